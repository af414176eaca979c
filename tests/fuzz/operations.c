// SPDX-License-Identifier: Apache-2.0
//
// An Offer.Operation as JSON: it is refused, or applied to what an agent has; quantities stay in
// any case.

#include "base/check.h"
#include "model/operation.h"
#include "wire/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct resources *agent_total(void)
{
    static const char text[] =
        "[{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":4}},"
        "{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":4},\"role\":\"r\"},"
        "{\"name\":\"disk\",\"type\":\"SCALAR\",\"scalar\":{\"value\":9},\"role\":\"r\"},"
        "{\"name\":\"disk\",\"type\":\"SCALAR\",\"scalar\":{\"value\":9},\"disk\":{\"source\":{"
        "\"type\":\"MOUNT\",\"mount\":{\"root\":\"/m\"}}}},"
        "{\"name\":\"ports\",\"type\":\"RANGES\",\"ranges\":{\"range\":[{\"begin\":1,\"end\":9}]}}"
        "]";
    struct resources *total;
    int r = resources_parse(text, "*", &total, NULL);
    CHECK(r == 0);
    return total;
}

static void apply(const Mesos__V1__Offer__Operation *operation, struct resources *total,
                  struct arena *arena)
{
    struct conversions conversions AUTO_CONVERSIONS = CONVERSIONS_INIT;
    conversions_get(operation, &conversions);
    int64_t cpus = resources_scalar(total, "cpus"), disk = resources_scalar(total, "disk");
    const char *why;
    conversions_apply(&conversions, total, arena, &why);
    CHECK(resources_scalar(total, "cpus") == cpus && resources_scalar(total, "disk") == disk);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena AUTO_ARENA = arena_new(0, 0);
    ProtobufCMessage *message;
    if (wire_json_decode(&mesos__v1__offer__operation__descriptor, arena, (const char *)data, size,
                         &message, NULL) < 0) {
        return 0;
    }
    Mesos__V1__Offer__Operation *operation = (Mesos__V1__Offer__Operation *)message;
    if (operation_upgrade(operation, arena, NULL) < 0) {
        return 0;
    }
    struct resources *total AUTO_RESOURCES = agent_total();
    struct resources *checkpointed AUTO_RESOURCES = resources_checkpointed(total);
    struct resources *used AUTO_RESOURCES = resources_new();
    const struct operation_scene scene = {
        .checkpointed = checkpointed,
        .used = used,
        .has_hierarchical_roles = true,
        .has_refinement = true,
        .has_resize = true,
    };
    const char *why;
    if (operation_validate(operation, &scene, arena, &why) == 0 &&
        operation_is_speculative(operation->type)) {
        operation_unallocate(operation);
        apply(operation, total, arena);
    }
    return 0;
}
