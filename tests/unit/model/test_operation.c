// SPDX-License-Identifier: Apache-2.0
//
// Operations on resources: which are refused and in which words, what they turn into what, and that
// nothing is won or lost on the way.

#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/prng.h"
#include "model/operation.h"
#include "wire/wire.h"

#define STATIC(role) "{\"type\":\"STATIC\",\"role\":\"" role "\"}"
#define DYNAMIC(role) "{\"type\":\"DYNAMIC\",\"role\":\"" role "\",\"principal\":\"p\"}"
#define ALLOCATED(role) ",\"allocation_info\":{\"role\":\"" role "\"}"
#define SCALAR(name, value, reservations, more)                                                    \
    "{\"name\":\"" name "\",\"type\":\"SCALAR\",\"scalar\":{\"value\":" value                      \
    "},\"reservations\":[" reservations "]" more "}"
#define CPUS(reservations, more) SCALAR("cpus", "1", reservations, more)
#define DISK(value, reservations, disk, more)                                                      \
    SCALAR("disk", value, reservations, ",\"disk\":{" disk "}" more)
#define PERSISTENCE(id, path)                                                                      \
    "\"persistence\":{\"id\":\"" id "\",\"principal\":\"p\"},\"volume\":{\"mode\":\"RW\","         \
    "\"container_path\":\"" path "\"}"
#define MOUNT(root) "\"source\":{\"type\":\"MOUNT\",\"mount\":{\"root\":\"" root "\"}}"
#define PATH(root) "\"source\":{\"type\":\"PATH\",\"path\":{\"root\":\"" root "\"}}"
#define VOLUME(value, more) DISK(value, DYNAMIC("r"), PERSISTENCE("v", "data"), ALLOCATED("r") more)

#define RESERVE(resources) "{\"type\":\"RESERVE\",\"reserve\":{\"resources\":[" resources "]}}"
#define UNRESERVE(resources)                                                                       \
    "{\"type\":\"UNRESERVE\",\"unreserve\":{\"resources\":[" resources "]}}"
#define CREATE(volumes) "{\"type\":\"CREATE\",\"create\":{\"volumes\":[" volumes "]}}"
#define DESTROY(volumes) "{\"type\":\"DESTROY\",\"destroy\":{\"volumes\":[" volumes "]}}"
#define GROW(volume, addition)                                                                     \
    "{\"type\":\"GROW_VOLUME\",\"grow_volume\":{\"volume\":" volume ",\"addition\":" addition "}}"
#define SHRINK(volume, size)                                                                       \
    "{\"type\":\"SHRINK_VOLUME\",\"shrink_volume\":{\"volume\":" volume                            \
    ",\"subtract\":{\"value\":" size "}}}"
#define CREATE_DISK(source, more)                                                                  \
    "{\"type\":\"CREATE_DISK\",\"create_disk\":{\"source\":" source more "}}"
#define DESTROY_DISK(source) "{\"type\":\"DESTROY_DISK\",\"destroy_disk\":{\"source\":" source "}}"

static Mesos__V1__Offer__Operation *operation_of(struct arena *arena, const char *json)
{
    ProtobufCMessage *message;
    struct error err;
    if (wire_json_decode(&mesos__v1__offer__operation__descriptor, arena, json, strlen(json),
                         &message, &err) != 0)
        fail_msg("%s: %s", json, err.text);
    return (Mesos__V1__Offer__Operation *)message;
}

static struct resources *list_of(struct arena *arena, const char *json)
{
    ProtobufCMessage **messages;
    size_t count;
    struct error err;
    struct resources *r = NULL;
    if (wire_json_decode_list(&mesos__v1__resource__descriptor, arena, json, strlen(json),
                              &messages, &count, &err) != 0 ||
        resources_from_proto((Mesos__V1__Resource **)messages, count, &r, &err) != 0)
        fail_msg("%s: %s", json, err.text);
    return r;
}

// ---- what is refused ----

static void test_upgrade_errors(void **state)
{
    (void)state;
    const struct {
        const char *json;
        const char *error;
    } rows[] = {
        {"{\"type\":\"RESERVE\"}",
         "A RESERVE offer operation must have the Offer.Operation.reserve field set."},
        {"{\"type\":\"UNRESERVE\"}",
         "An UNRESERVE offer operation must have the Offer.Operation.unreserve field set."},
        {"{\"type\":\"CREATE\"}",
         "A CREATE offer operation must have the Offer.Operation.create field set."},
        {"{\"type\":\"DESTROY\"}",
         "A DESTROY offer operation must have the Offer.Operation.destroy field set."},
        {"{\"type\":\"GROW_VOLUME\"}",
         "A GROW_VOLUME operation must have the Offer.Operation.grow_volume field set"},
        {"{\"type\":\"SHRINK_VOLUME\"}",
         "A SHRINK_VOLUME offer operation must have the Offer.Operation.shrink_volume field set"},
        {"{\"type\":\"CREATE_DISK\"}",
         "A CREATE_DISK offer operation must have the Offer.Operation.create_disk field set."},
        {"{\"type\":\"DESTROY_DISK\"}",
         "A DESTROY_DISK offer operation must have the Offer.Operation.destroy_disk field set."},
        {"{\"type\":\"UNKNOWN\"}", "Unknown offer operation"},
        {"{}", "Unknown offer operation"},
        {RESERVE("{\"name\":\"cpus\",\"type\":\"SCALAR\"}"),
         "Resource 'cpus:' is invalid: Invalid scalar resource"},
        {RESERVE("{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":1},"
                 "\"reservation\":{}}"),
         "Resource 'cpus(reservations: [(DYNAMIC,*)]):1' is invalid: Invalid reservation: role "
         "\"*\" cannot be dynamically reserved"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct arena *arena = arena_new(0, 0);
        struct error err = {0};
        assert_int_equal(operation_upgrade(operation_of(arena, rows[i].json), arena, &err),
                         -EINVAL);
        if (strstr(rows[i].error, "is invalid") == NULL)
            assert_string_equal(err.text, rows[i].error);
        else
            assert_non_null(strstr(err.text, strstr(rows[i].error, "is invalid")));
        arena_free(arena);
    }
}

// Who asks, and where.
struct scene_row {
    const char *json;
    const char *error; // NULL: sound
    enum { BY_FRAMEWORK, BY_OPERATOR, BY_ANYBODY, ON_OLD_AGENT, ON_USED_VOLUME } how;
};

static const struct scene_row scene_rows[] = {
    {RESERVE(CPUS(DYNAMIC("r"), ALLOCATED("r"))), NULL, BY_FRAMEWORK},
    {RESERVE(CPUS(STATIC("r") "," DYNAMIC("r/a"), ALLOCATED("r/a"))), NULL, BY_FRAMEWORK},
    {RESERVE(CPUS(DYNAMIC("r"), "")), NULL, BY_OPERATOR},
    {RESERVE(""),
     "Invalid resources: The resources have multiple resource providers: ", BY_FRAMEWORK},
    {RESERVE(CPUS("", ALLOCATED("r"))), "Resource cpus(allocated: r):1 is not dynamically reserved",
     BY_FRAMEWORK},
    {RESERVE(CPUS(STATIC("r"), ALLOCATED("r"))),
     "Resource cpus(allocated: r)(reservations: [(STATIC,r)]):1 is not dynamically reserved",
     BY_FRAMEWORK},
    {RESERVE(CPUS("{\"type\":\"DYNAMIC\",\"role\":\"r\"}", ALLOCATED("r"))),
     "A reserve operation was attempted by principal 'p', but there is a reserved resource in the "
     "request with no principal set",
     BY_FRAMEWORK},
    {RESERVE(CPUS("{\"type\":\"DYNAMIC\",\"role\":\"r\",\"principal\":\"q\"}", ALLOCATED("r"))),
     "A reserve operation was attempted by authenticated principal 'p', which does not match a "
     "reserved resource in the request with principal 'q'",
     BY_FRAMEWORK},
    {RESERVE(CPUS("{\"type\":\"DYNAMIC\",\"role\":\"r\"}", "")), NULL, BY_ANYBODY},
    {RESERVE(CPUS(DYNAMIC("r"), "")),
     "A reserve operation was attempted on unallocated resource "
     "cpus(reservations: [(DYNAMIC,r,p)]):1, but frameworks can only perform reservations on "
     "allocated resources",
     BY_FRAMEWORK},
    {RESERVE(CPUS(DYNAMIC("r"), ALLOCATED("r/a"))),
     "A reserve operation was attempted for a resource with role 'r', but the resource was "
     "allocated to role 'r/a'",
     BY_FRAMEWORK},
    {RESERVE(CPUS(DYNAMIC("other"), ALLOCATED("other"))),
     "A reserve operation was attempted for a resource allocated to role 'other', but the "
     "framework only has roles '{ r, r/a }'",
     BY_FRAMEWORK},
    {RESERVE(CPUS(DYNAMIC("r"), ALLOCATED("r"))),
     "A reserve operation was attempted with an allocated resource, but the operator API only "
     "allows reservations to be made to unallocated resources",
     BY_OPERATOR},
    {RESERVE(CPUS(DYNAMIC("r"), ALLOCATED("r")) "," CPUS(DYNAMIC("r/a"), ALLOCATED("r/a"))),
     "Invalid reservation resources: The resources have multiple allocation roles ('r/a' and 'r') "
     "but only one allocation role is allowed",
     BY_FRAMEWORK},
    {RESERVE(CPUS(DYNAMIC("r"), ALLOCATED("r")) "," CPUS(
         DYNAMIC("r"), ALLOCATED("r") ",\"provider_id\":{\"value\":\"x\"}")),
     "Invalid resources: Some resources have a resource provider and some do not", BY_FRAMEWORK},
    {RESERVE(CPUS(DYNAMIC("r"), ",\"provider_id\":{\"value\":\"y\"}") "," CPUS(
         DYNAMIC("r"), ",\"provider_id\":{\"value\":\"x\"}")),
     "Invalid resources: The resources have multiple resource providers: y, x", BY_FRAMEWORK},
    {RESERVE(CPUS(DYNAMIC("r"), ALLOCATED("r") ",\"revocable\":{}")),
     "Invalid resources: Invalid ReservationInfo: Dynamically reserved resource "
     "cpus(allocated: r)(reservations: [(DYNAMIC,r,p)]){REV}:1 cannot be created from revocable "
     "resources",
     BY_FRAMEWORK},
    {RESERVE(SCALAR("gpus", "1.5", DYNAMIC("r"), ALLOCATED("r"))),
     "Invalid resources: Invalid 'gpus' resource: The 'gpus' resource must be an unsigned integer",
     BY_FRAMEWORK},
    {RESERVE(CPUS(DYNAMIC("r/a"), ALLOCATED("r/a"))),
     "Resource cpus(allocated: r/a)(reservations: [(DYNAMIC,r/a,p)]):1 with reservation for "
     "hierarchical role 'r/a' cannot be reserved on an agent without HIERARCHICAL_ROLE capability",
     ON_OLD_AGENT},
    {"{\"type\":\"RESERVE\",\"reserve\":{\"source\":[" CPUS(
         DYNAMIC("r"), "") "],\"resources\":[" CPUS(DYNAMIC("s"), "") "]}}",
     NULL, BY_OPERATOR},
    {"{\"type\":\"RESERVE\",\"reserve\":{\"source\":[" CPUS(DYNAMIC("r"),
                                                            "") "],\"resources\":[]}}",
     "Invalid resources: Resource cannot be empty", BY_OPERATOR},
    {"{\"type\":\"RESERVE\",\"reserve\":{\"source\":[" CPUS(DYNAMIC("r"), "") "," CPUS(
         DYNAMIC("s"), "") "],\"resources\":[" CPUS(DYNAMIC("s"), "") "]}}",
     "Invalid source: Mixed reservations are not supported"
     "cpus(reservations: [(DYNAMIC,r,p)]):1; cpus(reservations: [(DYNAMIC,s,p)]):1",
     BY_OPERATOR},
    {"{\"type\":\"RESERVE\",\"reserve\":{\"source\":[" CPUS(
         DYNAMIC("r"), "") "],\"resources\":[" SCALAR("cpus", "2", DYNAMIC("s"), "") "]}}",
     "Source and target resources should refer to identical resource quantities: cpus:1 vs. cpus:2",
     BY_OPERATOR},

    {UNRESERVE(CPUS(DYNAMIC("r"), ALLOCATED("r"))), NULL, BY_FRAMEWORK},
    {UNRESERVE(CPUS(STATIC("r"), "")),
     "Resource cpus(reservations: [(STATIC,r)]):1 is not dynamically reserved", BY_OPERATOR},
    {UNRESERVE(VOLUME("4", "")),
     "A dynamically reserved persistent volume disk(allocated: r)(reservations: [(DYNAMIC,r,p)])"
     "[v:data]:4 cannot be unreserved directly. Please destroy the persistent volume first then "
     "unreserve the resource",
     BY_FRAMEWORK},

    {CREATE(VOLUME("4", "")), NULL, BY_FRAMEWORK},
    {CREATE(DISK("4", STATIC("r"), PERSISTENCE("v", "data"), ALLOCATED("r"))), NULL, BY_FRAMEWORK},
    {CREATE(CPUS(DYNAMIC("r"), ALLOCATED("r"))),
     "Not a persistent volume: Resource cpus(allocated: r)(reservations: [(DYNAMIC,r,p)]):1 does "
     "not have DiskInfo",
     BY_FRAMEWORK},
    {CREATE(DISK("4", DYNAMIC("r"), PATH("/d"), ALLOCATED("r"))),
     "Not a persistent volume: 'persistence' is not set in DiskInfo", BY_FRAMEWORK},
    {CREATE(DISK("4", "", PERSISTENCE("v", "data"), ALLOCATED("r"))),
     "Invalid resources: Invalid DiskInfo: Persistent volumes cannot be created from unreserved "
     "resources",
     BY_FRAMEWORK},
    {CREATE(DISK("4", DYNAMIC("r"), "\"persistence\":{\"id\":\"v\"}", ALLOCATED("r"))),
     "Invalid resources: Invalid DiskInfo: Expecting 'volume' to be set for persistent volume",
     BY_FRAMEWORK},
    {CREATE(DISK("4", DYNAMIC("r"), PERSISTENCE("a/b", "data"), ALLOCATED("r"))),
     "Invalid resources: Invalid DiskInfo: Invalid persistence ID for persistent volume: 'a/b' "
     "contains invalid characters",
     BY_FRAMEWORK},
    {CREATE(DISK("4", DYNAMIC("r"),
                 "\"persistence\":{\"id\":\"v\",\"principal\":\"p\"},"
                 "\"volume\":{\"mode\":\"RO\",\"container_path\":\"data\"}",
                 ALLOCATED("r"))),
     "Not a persistent volume: Read-only persistent volume not supported", BY_FRAMEWORK},
    {CREATE(DISK("4", DYNAMIC("r"),
                 "\"persistence\":{\"id\":\"v\",\"principal\":\"p\"},"
                 "\"volume\":{\"mode\":\"RW\",\"container_path\":\"data\",\"host_path\":\"/\"}",
                 ALLOCATED("r"))),
     "Invalid resources: Invalid DiskInfo: Expecting 'host_path' to be unset for persistent volume",
     BY_FRAMEWORK},
    {CREATE(VOLUME("0", "")),
     "Not a persistent volume: Resource disk(allocated: r)(reservations: "
     "[(DYNAMIC,r,p)])[v:data]:0 "
     "is empty",
     BY_FRAMEWORK},
    {GROW(VOLUME("0", ""), SCALAR("disk", "2", DYNAMIC("r"), ALLOCATED("r"))),
     "Invalid persistent volume in the 'GrowVolume.volume' field: Resource "
     "disk(allocated: r)(reservations: [(DYNAMIC,r,p)])[v:data]:0 is empty",
     BY_FRAMEWORK},
    {CREATE(VOLUME("4", "") "," VOLUME("5", "")), "Persistence ID 'v' is not unique", BY_FRAMEWORK},
    {CREATE(DISK("1", DYNAMIC("r"), PERSISTENCE("there", "x"), ALLOCATED("r"))),
     "Persistence ID 'there' is not unique", BY_FRAMEWORK},
    {CREATE(DISK("1", DYNAMIC("r/a"), PERSISTENCE("there", "x"), ALLOCATED("r/a"))), NULL,
     BY_FRAMEWORK},
    {CREATE(VOLUME("4", ",\"shared\":{}")),
     "Create volume operation for 'disk(allocated: r)(reservations: [(DYNAMIC,r,p)])[v:data]"
     "<SHARED>:4' has been attempted by framework 'F' with no SHARED_RESOURCES capability",
     BY_FRAMEWORK},
    {CREATE(DISK("4", DYNAMIC("r"), PERSISTENCE("v", "data"), ",\"shared\":{}")), NULL,
     BY_OPERATOR},
    {CREATE(DISK("4", DYNAMIC("r"),
                 "\"persistence\":{\"id\":\"v\"},\"volume\":{\"mode\":\"RW\","
                 "\"container_path\":\"data\"}",
                 ALLOCATED("r"))),
     "Create volume operation attempted by principal 'p', but there is a volume in the operation "
     "with no principal set in 'disk.persistence'",
     BY_FRAMEWORK},
    {CREATE(DISK("4", DYNAMIC("r"),
                 "\"persistence\":{\"id\":\"v\",\"principal\":\"q\"},\"volume\":{\"mode\":\"RW\","
                 "\"container_path\":\"data\"}",
                 ALLOCATED("r"))),
     "Create volume operation attempted by authenticated principal 'p', which does not match a "
     "volume in the operation with principal 'q' set in 'disk.persistence'",
     BY_FRAMEWORK},
    {CREATE(DISK("4", DYNAMIC("r"), PERSISTENCE("v", "data"), "")),
     "Invalid volume resources: The resources are not allocated to a role", BY_FRAMEWORK},
    {CREATE(DISK("4", STATIC("r") "," DYNAMIC("r/a"), PERSISTENCE("v", "data"), ALLOCATED("r/a"))),
     "Volume disk(allocated: r/a)(reservations: [(STATIC,r),(DYNAMIC,r/a,p)])[v:data]:4 with "
     "reservation for hierarchical role 'r/a' cannot be created on an agent without "
     "HIERARCHICAL_ROLE capability",
     ON_OLD_AGENT},

    {DESTROY(DISK("1", DYNAMIC("r"), PERSISTENCE("there", "x"), ALLOCATED("r"))), NULL,
     BY_FRAMEWORK},
    {DESTROY(VOLUME("4", "")), "Persistent volumes not found", BY_FRAMEWORK},
    {DESTROY(DISK("1", DYNAMIC("r"), PERSISTENCE("there", "x"), ALLOCATED("r"))),
     "Persistent volumes in use", ON_USED_VOLUME},
    {DESTROY(CPUS(DYNAMIC("r"), "")),
     "Not a persistent volume: Resource cpus(reservations: [(DYNAMIC,r,p)]):1 does not have "
     "DiskInfo",
     BY_OPERATOR},

    {GROW(VOLUME("4", ""), SCALAR("disk", "2", DYNAMIC("r"), ALLOCATED("r"))), NULL, BY_FRAMEWORK},
    {GROW(VOLUME("4", ""), SCALAR("disk", "0", DYNAMIC("r"), ALLOCATED("r"))),
     "The size of 'GrowVolume.addition' field must be greater than zero", BY_FRAMEWORK},
    {GROW(VOLUME("4", ""), CPUS(DYNAMIC("r"), ALLOCATED("r"))),
     "Incompatible resources in the 'GrowVolume.volume' and 'GrowVolume.addition' fields",
     BY_FRAMEWORK},
    {GROW(VOLUME("4", ""), SCALAR("disk", "2", "", ALLOCATED("r"))),
     "Incompatible resources in the 'GrowVolume.volume' and 'GrowVolume.addition' fields",
     BY_FRAMEWORK},
    {GROW(DISK("4", DYNAMIC("r"), MOUNT("/m") "," PERSISTENCE("v", "d"), ""),
          DISK("4", DYNAMIC("r"), MOUNT("/m"), "")),
     "Incompatible resources in the 'GrowVolume.volume' and 'GrowVolume.addition' fields",
     BY_OPERATOR},
    {GROW(DISK("4", DYNAMIC("r"), PATH("/d") "," PERSISTENCE("v", "d"), ""),
          DISK("4", DYNAMIC("r"), PATH("/d"), "")),
     NULL, BY_OPERATOR},
    {GROW(VOLUME("4", ",\"shared\":{}"), SCALAR("disk", "2", DYNAMIC("r"), ALLOCATED("r"))),
     "Growing a shared persistent volume is not supported", BY_FRAMEWORK},
    {GROW(SCALAR("disk", "2", DYNAMIC("r"), ""), SCALAR("disk", "2", DYNAMIC("r"), "")),
     "Invalid persistent volume in the 'GrowVolume.volume' field: Resource "
     "disk(reservations: [(DYNAMIC,r,p)]):2 does not have DiskInfo",
     BY_FRAMEWORK},
    {GROW(VOLUME("4", ",\"provider_id\":{\"value\":\"x\"}"), SCALAR("disk", "2", "", "")),
     "Growing a volume from a resource provider is not supported", BY_FRAMEWORK},
    {GROW(VOLUME("4", ""), SCALAR("disk", "2", DYNAMIC("r"), ALLOCATED("r"))),
     "Volume disk(allocated: r)(reservations: [(DYNAMIC,r,p)])[v:data]:4 cannot be grown on an "
     "agent without RESIZE_VOLUME capability",
     ON_OLD_AGENT},

    {SHRINK(VOLUME("4", ""), "2"), NULL, BY_FRAMEWORK},
    {SHRINK(VOLUME("4", ""), "0"), "Value of 'ShrinkVolume.subtract' must be greater than zero",
     BY_FRAMEWORK},
    {SHRINK(VOLUME("4", ""), "4"),
     "Value of 'ShrinkVolume.subtract' must be smaller than the size of 'ShrinkVolume.volume'",
     BY_FRAMEWORK},
    {SHRINK(VOLUME("4", ",\"shared\":{}"), "2"),
     "Shrinking a shared persistent volume is not supported", BY_FRAMEWORK},
    {SHRINK(VOLUME("4", ",\"provider_id\":{\"value\":\"x\"}"), "2"),
     "Shrinking a volume from a resource provider is not supported", BY_FRAMEWORK},
    {SHRINK(DISK("4", DYNAMIC("r"), MOUNT("/m") "," PERSISTENCE("v", "d"), ""), "2"),
     "Shrinking a volume on a MOUNT disk is not supported", BY_FRAMEWORK},
    {SHRINK(SCALAR("disk", "4", DYNAMIC("r"), ""), "2"),
     "Invalid persistent volume in the 'ShrinkVolume.volume' field: Resource "
     "disk(reservations: [(DYNAMIC,r,p)]):4 does not have DiskInfo",
     BY_FRAMEWORK},
    {SHRINK(VOLUME("4", ""), "2"),
     "Volume disk(allocated: r)(reservations: [(DYNAMIC,r,p)])[v:data]:4 cannot be shrunk on an "
     "agent without RESIZE_VOLUME capability",
     ON_OLD_AGENT},

    {CREATE_DISK(DISK("4", "", "\"source\":{\"type\":\"RAW\"}", ""), ",\"target_type\":\"MOUNT\""),
     "'source' is not managed by a resource provider", BY_FRAMEWORK},
    {CREATE_DISK(SCALAR("disk", "4", "", ",\"provider_id\":{\"value\":\"x\"}"),
                 ",\"target_type\":\"MOUNT\""),
     "'source' is not a RAW disk resource", BY_FRAMEWORK},
    {CREATE_DISK(
         DISK("4", "", "\"source\":{\"type\":\"RAW\"}", ",\"provider_id\":{\"value\":\"x\"}"),
         ",\"target_type\":\"PATH\""),
     "'target_type' is neither MOUNT or BLOCK", BY_FRAMEWORK},
    {CREATE_DISK(
         DISK("4", "", "\"source\":{\"type\":\"RAW\"}", ",\"provider_id\":{\"value\":\"x\"}"),
         ",\"target_type\":\"MOUNT\""),
     "'target_profile' must be set when 'source' has no profile", BY_FRAMEWORK},
    {CREATE_DISK(DISK("4", "", "\"source\":{\"type\":\"RAW\",\"profile\":\"f\"}",
                      ",\"provider_id\":{\"value\":\"x\"}"),
                 ",\"target_type\":\"MOUNT\",\"target_profile\":\"f\""),
     "'target_profile' must not be set when 'source' has a profile", BY_FRAMEWORK},
    {DESTROY_DISK(DISK("4", "", MOUNT("/m"), "")), "'source' is not managed by a resource provider",
     BY_FRAMEWORK},
    {DESTROY_DISK(DISK("4", "", PATH("/m"), ",\"provider_id\":{\"value\":\"x\"}")),
     "'source' is neither a MOUNT, BLOCK or RAW disk resource", BY_FRAMEWORK},
    {DESTROY_DISK(DISK("4", "", MOUNT("/m"), ",\"provider_id\":{\"value\":\"x\"}")),
     "'source' is not backed by a CSI volume", BY_FRAMEWORK},
};

static void check_scene(const struct scene_row *row)
{
    struct arena *arena = arena_new(0, 0);
    struct resources *there =
        list_of(arena, "[" DISK("1", DYNAMIC("r"), PERSISTENCE("there", "y"), "") "]");
    struct resources *used = resources_new();
    if (row->how == ON_USED_VOLUME) {
        resources_add(used, there);
        resources_allocate(used, "r");
    }
    ProtobufCMessage *info;
    const char *text =
        "{\"user\":\"u\",\"name\":\"n\",\"id\":{\"value\":\"F\"},\"principal\":\"p\","
        "\"roles\":[\"r\",\"r/a\"],\"capabilities\":[{\"type\":\"MULTI_ROLE\"}]}";
    assert_int_equal(wire_json_decode(&mesos__v1__framework_info__descriptor, arena, text,
                                      strlen(text), &info, NULL),
                     0);
    bool is_able = row->how != ON_OLD_AGENT;
    struct operation_scene scene = {
        .principal = row->how == BY_ANYBODY ? NULL : "p",
        .framework = row->how == BY_OPERATOR || row->how == BY_ANYBODY
                         ? NULL
                         : (Mesos__V1__FrameworkInfo *)info,
        .checkpointed = there,
        .used = used,
        .has_hierarchical_roles = is_able,
        .has_refinement = is_able,
        .has_resize = is_able,
    };
    Mesos__V1__Offer__Operation *operation = operation_of(arena, row->json);
    struct error err = {0};
    if (operation_upgrade(operation, arena, &err) != 0)
        fail_msg("%s: %s", row->json, err.text);
    const char *why = NULL;
    int r = operation_validate(operation, &scene, arena, &why);
    if (row->error == NULL && r != 0)
        fail_msg("%s: %s", row->json, why);
    if (row->error != NULL) {
        if (r == 0)
            fail_msg("%s was taken", row->json);
        assert_string_equal(why, row->error);
    }
    if (r == 0) { // what is sound can be applied or not, and neither may abort
        struct conversions conversions;
        conversions_get(operation, &conversions);
        struct resources *empty = resources_new();
        assert_int_equal(conversions_apply(&conversions, empty, arena, &why), -EINVAL);
        assert_true(resources_is_empty(empty));
        resources_free(empty);
        conversions_free(&conversions);
    }
    resources_free(there);
    resources_free(used);
    arena_free(arena);
}

static void test_scenes(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(scene_rows); i++)
        check_scene(&scene_rows[i]);
}

// ---- what becomes of resources ----

static void test_conversions(void **state)
{
    (void)state;
    const struct {
        const char *before; // JSON list
        const char *operation;
        const char *after; // text, or why it is not
    } rows[] = {
        {"[" SCALAR("cpus", "3", "", "") "]", RESERVE(CPUS(DYNAMIC("r"), "")),
         "cpus:2; cpus(reservations: [(DYNAMIC,r,p)]):1"},
        // The old form says the same.
        {"[" SCALAR("cpus", "3", "", "") "]",
         RESERVE("{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":1},\"role\":\"r\","
                 "\"reservation\":{\"principal\":\"p\"}}"),
         "cpus:2; cpus(reservations: [(DYNAMIC,r,p)]):1"},
        {"[" SCALAR("cpus", "3", STATIC("r"), "") "]",
         RESERVE(CPUS(STATIC("r") "," DYNAMIC("r/a"), "")),
         "cpus(reservations: [(STATIC,r)]):2; "
         "cpus(reservations: [(STATIC,r),(DYNAMIC,r/a,p)]):1"},
        {"[" SCALAR("cpus", "0.5", "", "") "]", RESERVE(CPUS(DYNAMIC("r"), "")),
         "!cpus:0.5 does not contain cpus:1"},
        {"[" SCALAR("cpus", "3", DYNAMIC("r"), "") "]",
         "{\"type\":\"RESERVE\",\"reserve\":{\"source\":[" CPUS(
             DYNAMIC("r"), "") "],\"resources\":[" CPUS(DYNAMIC("s"), "") "]}}",
         "cpus(reservations: [(DYNAMIC,r,p)]):2; cpus(reservations: [(DYNAMIC,s,p)]):1"},
        {"[" SCALAR("cpus", "3", DYNAMIC("r"), "") "]", UNRESERVE(CPUS(DYNAMIC("r"), "")),
         "cpus(reservations: [(DYNAMIC,r,p)]):2; cpus:1"},
        {"[" SCALAR("cpus", "1", DYNAMIC("r") "," DYNAMIC("r/a"), "") "]",
         UNRESERVE(CPUS(DYNAMIC("r") "," DYNAMIC("r/a"), "")),
         "cpus(reservations: [(DYNAMIC,r,p)]):1"},
        {"[" SCALAR("disk", "5", DYNAMIC("r"), "") "]",
         CREATE(DISK("4", DYNAMIC("r"), PERSISTENCE("v", "data"), "")),
         "disk(reservations: [(DYNAMIC,r,p)]):1; disk(reservations: [(DYNAMIC,r,p)])[v:data]:4"},
        {"[" DISK("5", DYNAMIC("r"), MOUNT("/m"), "") "]",
         CREATE(DISK("4", DYNAMIC("r"), MOUNT("/m") "," PERSISTENCE("v", "data"), "")),
         "!disk(reservations: [(DYNAMIC,r,p)])[MOUNT:/m]:5 does not contain "
         "disk(reservations: [(DYNAMIC,r,p)])[MOUNT:/m]:4"},
        {"[" DISK("5", DYNAMIC("r"), MOUNT("/m"), "") "]",
         CREATE(DISK("5", DYNAMIC("r"), MOUNT("/m") "," PERSISTENCE("v", "data"), "")),
         "disk(reservations: [(DYNAMIC,r,p)])[MOUNT:/m,v:data]:5"},
        {"[" DISK("5", DYNAMIC("r"), PATH("/d"), "") "]",
         CREATE(DISK("2", DYNAMIC("r"), PATH("/d") "," PERSISTENCE("v", "data"), ",\"shared\":{}")),
         "disk(reservations: [(DYNAMIC,r,p)])[PATH:/d]:3; "
         "disk(reservations: [(DYNAMIC,r,p)])[PATH:/d,v:data]<SHARED>:2<1>"},
        // Another mount point of the volume does not count.
        {"[" DISK("4", DYNAMIC("r"), PERSISTENCE("v", "elsewhere"), "") "]",
         DESTROY(DISK("4", DYNAMIC("r"), PERSISTENCE("v", "data"), "")),
         "disk(reservations: [(DYNAMIC,r,p)]):4"},
        {"[" DISK("4", DYNAMIC("r"), PERSISTENCE("v", "d"), ",\"shared\":{}") "," DISK(
             "4", DYNAMIC("r"), PERSISTENCE("v", "d"), ",\"shared\":{}") "]",
         DESTROY(DISK("4", DYNAMIC("r"), PERSISTENCE("v", "d"), ",\"shared\":{}")),
         "!Persistent volume disk(reservations: [(DYNAMIC,r,p)])[v:d]<SHARED>:4 cannot be removed "
         "due to additional shared copies"},
        {"[" DISK("4", DYNAMIC("r"), PERSISTENCE("v", "d"), "") "," SCALAR("disk", "3",
                                                                           DYNAMIC("r"), "") "]",
         GROW(DISK("4", DYNAMIC("r"), PERSISTENCE("v", "d"), ""),
              SCALAR("disk", "2.5", DYNAMIC("r"), "")),
         "disk(reservations: [(DYNAMIC,r,p)]):0.5; disk(reservations: [(DYNAMIC,r,p)])[v:d]:6.5"},
        {"[" DISK("4", DYNAMIC("r"), PERSISTENCE("v", "d"), "") "]",
         SHRINK(DISK("4", DYNAMIC("r"), PERSISTENCE("v", "d"), ""), "1.5"),
         "disk(reservations: [(DYNAMIC,r,p)])[v:d]:2.5; disk(reservations: [(DYNAMIC,r,p)]):1.5"},
        {"[" DISK("4", DYNAMIC("r"), PERSISTENCE("v", "d"), "") "]",
         SHRINK(DISK("5", DYNAMIC("r"), PERSISTENCE("v", "d"), ""), "1.5"),
         "!disk(reservations: [(DYNAMIC,r,p)])[v:d]:4 does not contain "
         "disk(reservations: [(DYNAMIC,r,p)])[v:d]:5"},
        // Ports and sets can be reserved, too.
        {"[{\"name\":\"ports\",\"type\":\"RANGES\",\"ranges\":{\"range\":[{\"begin\":1,\"end\":9}]}"
         "}]",
         RESERVE("{\"name\":\"ports\",\"type\":\"RANGES\",\"ranges\":{\"range\":[{\"begin\":3,"
                 "\"end\":4}]},\"reservations\":[" DYNAMIC("r") "]}"),
         "ports:[1-2, 5-9]; ports(reservations: [(DYNAMIC,r,p)]):[3-4]"},
        {"[{\"name\":\"disk\",\"type\":\"SET\",\"set\":{\"item\":[\"a\"]},\"reservations\":"
         "[" DYNAMIC("r") "]}]",
         CREATE("{\"name\":\"disk\",\"type\":\"SET\",\"set\":{\"item\":[\"a\"]},\"reservations\":"
                "[" DYNAMIC("r") "],\"disk\":{" PERSISTENCE("v", "d") "}}"),
         "disk(reservations: [(DYNAMIC,r,p)])[v:d]:{a}"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct arena *arena = arena_new(0, 0);
        struct resources *r = list_of(arena, rows[i].before);
        struct resources *before = resources_copy(r);
        Mesos__V1__Offer__Operation *operation = operation_of(arena, rows[i].operation);
        assert_int_equal(operation_upgrade(operation, arena, NULL), 0);
        struct conversions c;
        conversions_get(operation, &c);
        const char *why = NULL;
        if (rows[i].after[0] == '!') {
            assert_int_equal(conversions_apply(&c, r, arena, &why), -EINVAL);
            assert_string_equal(why, rows[i].after + 1);
            assert_true(resources_is_equal(r, before));
        } else {
            if (conversions_apply(&c, r, arena, &why) != 0)
                fail_msg("row %zu: %s", i, why);
            assert_text(r, rows[i].after);
        }
        conversions_free(&c);
        resources_free(r);
        resources_free(before);
        arena_free(arena);
    }
}

static void test_allocation(void **state)
{
    (void)state;
    struct arena *arena = arena_new(0, 0);
    Mesos__V1__Offer__Operation *operation =
        operation_of(arena, RESERVE(CPUS(DYNAMIC("r"), "") "," CPUS(DYNAMIC("s"), ALLOCATED("s"))));
    operation_allocate(operation, "r", arena);
    assert_string_equal(operation->reserve->resources[0]->allocation_info->role, "r");
    assert_string_equal(operation->reserve->resources[1]->allocation_info->role, "s");
    operation_unallocate(operation);
    assert_null(operation->reserve->resources[0]->allocation_info);
    assert_null(operation->reserve->resources[1]->allocation_info);
    arena_free(arena);
}

static void test_checkpointed(void **state)
{
    (void)state;
    const struct {
        const char *flags;
        const char *checkpointed;
        const char *total; // or why not
    } rows[] = {
        {"cpus:4;disk:9", "[]", "cpus:4; disk:9"},
        {"cpus:4;disk:9", "[" CPUS(DYNAMIC("r"), "") "]",
         "cpus:3; disk:9; cpus(reservations: [(DYNAMIC,r,p)]):1"},
        {"cpus(r):4", "[" CPUS(STATIC("r") "," DYNAMIC("r/a") "," DYNAMIC("r/a/b"), "") "]",
         "cpus(reservations: [(STATIC,r)]):3; "
         "cpus(reservations: [(STATIC,r),(DYNAMIC,r/a,p),(DYNAMIC,r/a/b,p)]):1"},
        {"disk(r):9", "[" DISK("4", STATIC("r"), PERSISTENCE("v", "d"), ",\"shared\":{}") "]",
         "disk(reservations: [(STATIC,r)]):5; disk(reservations: [(STATIC,r)])[v:d]<SHARED>:4<1>"},
        {"disk:9", "[" DISK("4", DYNAMIC("r"), PERSISTENCE("v", "d"), "") "]",
         "disk:5; disk(reservations: [(DYNAMIC,r,p)])[v:d]:4"},
        {"disk:3", "[" DISK("4", DYNAMIC("r"), PERSISTENCE("v", "d"), "") "]",
         "!Incompatible agent resources: disk:3 does not contain disk:4"},
        {"cpus:3", "[" CPUS(STATIC("r"), "") "]",
         "!Unexpected checkpointed resources cpus(reservations: [(STATIC,r)]):1"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct arena *arena = arena_new(0, 0);
        struct resources *flags = parse(rows[i].flags);
        struct resources *checkpointed = list_of(arena, rows[i].checkpointed);
        struct resources *total = NULL;
        const char *why = NULL;
        int r = resources_apply_checkpointed(flags, checkpointed, arena, &total, &why);
        if (rows[i].total[0] == '!') {
            assert_int_equal(r, -EINVAL);
            assert_string_equal(why, rows[i].total + 1);
        } else {
            assert_int_equal(r, 0);
            assert_text(total, rows[i].total);
            struct resources *again = resources_checkpointed(total);
            assert_true(resources_is_equal(again, checkpointed));
            resources_free(again);
        }
        resources_free(flags);
        resources_free(checkpointed);
        resources_free(total);
        arena_free(arena);
    }
}

// ---- nothing is won or lost ----

enum { ROUNDS = 200, STEPS = 60 };

// One of few, so that volumes are often met again.
static const char *draw_amount(struct prng *prng)
{
    static const char *const amounts[] = {"0.5", "1", "1.125", "2"};
    return amounts[prng_below(prng, ARRAY_COUNT(amounts))];
}

static const char *draw_operation(struct prng *prng, struct arena *arena)
{
    static const char *const stacks[] = {DYNAMIC("r"), DYNAMIC("r") "," DYNAMIC("r/a"),
                                         DYNAMIC("s")};
    static const char *const disks[] = {"", PATH("/d") ",", MOUNT("/m") ","};
    const char *stack = stacks[prng_below(prng, 8) < 5 ? 0 : prng_below(prng, 3)];
    const char *name = prng_below(prng, 2) == 0 ? "cpus" : "disk";
    const char *disk = disks[prng_below(prng, 3)];
    const char *amount = disk == disks[2] ? "2" : draw_amount(prng);
    const char *resource = arena_printf(arena,
                                        "{\"name\":\"%s\",\"type\":\"SCALAR\",\"scalar\":{\"value\""
                                        ":%s},\"reservations\":[%s]}",
                                        name, amount, stack);
    const char *bare_disk =
        disk[0] == '\0'
            ? arena_printf(arena,
                           "{\"name\":\"disk\",\"type\":\"SCALAR\",\"scalar\":{\"value\":%s},"
                           "\"reservations\":[%s]}",
                           amount, stack)
            : arena_printf(arena,
                           "{\"name\":\"disk\",\"type\":\"SCALAR\",\"scalar\":{\"value\":%s},"
                           "\"reservations\":[%s],\"disk\":{%.*s}}",
                           amount, stack, (int)strlen(disk) - 1, disk);
    const char *volume = arena_printf(
        arena,
        "{\"name\":\"disk\",\"type\":\"SCALAR\",\"scalar\":{\"value\":%s},\"reservations\":[%s],"
        "\"disk\":{%s" PERSISTENCE("v%d", "data") "}%s}",
        amount, stack, disk, (int)prng_below(prng, 3),
        prng_below(prng, 4) == 0 ? ",\"shared\":{}" : "");
    switch (prng_below(prng, 7)) {
    case 0:
        return arena_printf(arena, RESERVE("%s"), resource);
    case 1:
        return arena_printf(arena, RESERVE("%s"), bare_disk);
    case 2:
        return arena_printf(arena, UNRESERVE("%s"), resource);
    case 3:
        return arena_printf(arena, CREATE("%s"), volume);
    case 4:
        return arena_printf(arena, DESTROY("%s"), volume);
    case 5:
        return arena_printf(arena, GROW("%s", "%s"), volume, bare_disk);
    default:
        return arena_printf(arena, SHRINK("%s", "%s"), volume, draw_amount(prng));
    }
}

static size_t taken[16]; // operations that could be applied, by type

// An operation that undoes one of the volumes or reservations that are there.
static void undo_one(struct prng *prng, struct arena *arena, struct resources *r)
{
    struct resources *made = resources_checkpointed(r);
    Mesos__V1__Resource **messages;
    size_t count = resources_to_proto(made, arena, RESOURCES_NEW_FORM, false, &messages);
    resources_free(made);
    if (count == 0)
        return;
    Mesos__V1__Offer__Operation operation = MESOS__V1__OFFER__OPERATION__INIT;
    Mesos__V1__Offer__Operation__Unreserve unreserve = MESOS__V1__OFFER__OPERATION__UNRESERVE__INIT;
    Mesos__V1__Offer__Operation__Destroy destroy = MESOS__V1__OFFER__OPERATION__DESTROY__INIT;
    Mesos__V1__Resource **one = &messages[prng_below(prng, count)];
    operation.has_type = true;
    bool is_volume = (*one)->disk != NULL && (*one)->disk->persistence != NULL;
    operation.type = is_volume ? MESOS__V1__OFFER__OPERATION__TYPE__DESTROY
                               : MESOS__V1__OFFER__OPERATION__TYPE__UNRESERVE;
    unreserve.resources = destroy.volumes = one;
    unreserve.n_resources = destroy.n_volumes = 1;
    operation.unreserve = &unreserve;
    operation.destroy = &destroy;
    struct conversions c;
    conversions_get(&operation, &c);
    const char *why = "";
    if (conversions_apply(&c, r, arena, &why) != 0)
        fail_msg("%s", why);
    conversions_free(&c);
    taken[operation.type]++;
}

static void test_quantities_stay(void **state)
{
    (void)state;
    struct prng prng;
    prng_seed(&prng, 20261128);
    for (int round = 0; round < ROUNDS; round++) {
        struct arena *arena = arena_new(0, 0);
        struct resources *flags = list_of(
            arena, "[" SCALAR("cpus", "8", "", "") "," SCALAR("disk", "10", "", "") "," DISK(
                       "9", "", PATH("/d"), "") "," DISK("2", "", MOUNT("/m"), "") "]");
        struct resources *r = resources_copy(flags);
        for (int step = 0; step < STEPS; step++) {
            if (prng_below(&prng, 12) == 0)
                undo_one(&prng, arena, r);
            Mesos__V1__Offer__Operation *operation =
                operation_of(arena, draw_operation(&prng, arena));
            assert_int_equal(operation_upgrade(operation, arena, NULL), 0);
            struct resources *checkpointed = resources_checkpointed(r);
            struct resources *used = resources_new();
            struct operation_scene scene = {.checkpointed = checkpointed,
                                            .used = used,
                                            .has_hierarchical_roles = true,
                                            .has_refinement = true,
                                            .has_resize = true};
            const char *why = NULL;
            struct conversions c = CONVERSIONS_INIT;
            if (operation_validate(operation, &scene, arena, &why) == 0) {
                conversions_get(operation, &c);
                if (conversions_apply(&c, r, arena, &why) == 0)
                    taken[operation->type]++;
            }
            conversions_free(&c);
            assert_int_equal(resources_scalar(r, "cpus"), 8000);
            assert_int_equal(resources_scalar(r, "disk"), 21000);
            resources_free(checkpointed);
            resources_free(used);
        }
        // What was made is found again below the flags, and taking it all back gives the flags.
        struct resources *checkpointed = resources_checkpointed(r);
        struct resources *total = NULL;
        const char *why = "";
        if (resources_apply_checkpointed(flags, checkpointed, arena, &total, &why) != 0)
            fail_msg("%s", why);
        assert_true(resources_is_equal(total, r));
        while (!resources_is_equal(r, flags))
            undo_one(&prng, arena, r);
        resources_free(checkpointed);
        resources_free(total);
        resources_free(r);
        resources_free(flags);
        arena_free(arena);
    }
    // Otherwise the test would say little.
    for (int type = MESOS__V1__OFFER__OPERATION__TYPE__RESERVE;
         type <= MESOS__V1__OFFER__OPERATION__TYPE__DESTROY; type++)
        assert_true(taken[type] > 10);
    assert_true(taken[MESOS__V1__OFFER__OPERATION__TYPE__GROW_VOLUME] > 0);
    assert_true(taken[MESOS__V1__OFFER__OPERATION__TYPE__SHRINK_VOLUME] > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_upgrade_errors), cmocka_unit_test(test_scenes),
        cmocka_unit_test(test_conversions),    cmocka_unit_test(test_allocation),
        cmocka_unit_test(test_checkpointed),   cmocka_unit_test(test_quantities_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
