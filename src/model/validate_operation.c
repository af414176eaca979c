// SPDX-License-Identifier: Apache-2.0
//
// Whether an operation makes sense for who asks, on the agent that it is for.

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "model/framework.h"
#include "model/operation.h"
#include "model/resource_entry.h"
#include "model/validate.h"
#include "wire/wire.h"

#define TYPE(NAME) MESOS__V1__OFFER__OPERATION__TYPE__##NAME
#define SOURCE(NAME) MESOS__V1__RESOURCE__DISK_INFO__SOURCE__TYPE__##NAME

// What one validation carries along.
struct checking {
    const struct operation_scene *scene;
    struct arena *arena;
    const char **ret_text;
    const char **roles; // of the framework
    size_t role_count;
};

// Says why not, in the arena.
#define FAIL(c, ...) (*(c)->ret_text = arena_printf((c)->arena, __VA_ARGS__), -EINVAL)

static const char *text_of(const struct checking *c, const Mesos__V1__Resource *m)
{
    return resource_text(m, c->arena);
}

// ---- resources by themselves ----

static const Mesos__V1__Resource__ReservationInfo *last_reservation(const Mesos__V1__Resource *m)
{
    return m->n_reservations > 0 ? m->reservations[m->n_reservations - 1] : NULL;
}

static bool is_dynamic(const Mesos__V1__Resource *m)
{
    const Mesos__V1__Resource__ReservationInfo *last = last_reservation(m);
    return last != NULL && last->type == MESOS__V1__RESOURCE__RESERVATION_INFO__TYPE__DYNAMIC;
}

static const char *role_of(const Mesos__V1__Resource *m)
{
    const Mesos__V1__Resource__ReservationInfo *last = last_reservation(m);
    return last != NULL ? last->role : "*";
}

static bool is_volume(const Mesos__V1__Resource *m)
{
    return m->disk != NULL && m->disk->persistence != NULL;
}

static int check_sound(const struct checking *c, Mesos__V1__Resource *const *list, size_t count,
                       const char *what)
{
    struct error err;
    return validate_resources(list, count, &err) < 0 ? FAIL(c, "%s: %s", what, err.text) : 0;
}

static int check_one_provider(const struct checking *c, Mesos__V1__Resource *const *list,
                              size_t count)
{
    AUTO_BUF struct buf ids = BUF_INIT;
    size_t id_count = 0;
    bool some_without = false;
    for (size_t i = 0; i < count; i++) {
        const char *id = list[i]->provider_id != NULL ? list[i]->provider_id->value : NULL;
        bool is_new = true;
        for (size_t k = 0; k < i && is_new; k++) {
            const char *other = list[k]->provider_id != NULL ? list[k]->provider_id->value : NULL;
            is_new = id == NULL || other == NULL ? id != other : strcmp(id, other) != 0;
        }
        some_without |= id == NULL;
        if (is_new && id != NULL)
            buf_printf(&ids, "%s%s", ids.size > 0 ? ", " : "", id);
        id_count += is_new;
    }
    if (id_count == 1)
        return 0;
    if (some_without)
        return FAIL(c, "Invalid resources: "
                       "Some resources have a resource provider and some do not");
    return FAIL(c, "Invalid resources: The resources have multiple resource providers: %s",
                ids.data != NULL ? ids.data : "");
}

// Mesos takes a volume of nothing, and then there is none; but its directory would be made.
static bool is_empty(const Mesos__V1__Resource *m)
{
    Mesos__V1__Resource *one = (Mesos__V1__Resource *)m;
    AUTO_RESOURCES struct resources *r = NULL;
    return resources_from_proto(&one, 1, &r, NULL) == 0 && resources_is_empty(r);
}

// `prefix` stands before the text, with ": ".
static int check_volumes(const struct checking *c, Mesos__V1__Resource *const *list, size_t count,
                         const char *prefix)
{
    for (size_t i = 0; i < count; i++) {
        const Mesos__V1__Resource *m = list[i];
        if (m->disk == NULL)
            return FAIL(c, "%s: Resource %s does not have DiskInfo", prefix, text_of(c, m));
        if (m->disk->persistence == NULL)
            return FAIL(c, "%s: 'persistence' is not set in DiskInfo", prefix);
        if (m->disk->volume == NULL)
            return FAIL(c, "%s: Expecting 'volume' to be set for persistent volume", prefix);
        if (m->disk->volume->mode == MESOS__V1__VOLUME__MODE__RO)
            return FAIL(c, "%s: Read-only persistent volume not supported", prefix);
        if (is_empty(m))
            return FAIL(c, "%s: Resource %s is empty", prefix, text_of(c, m));
    }
    return 0;
}

static int check_one_allocation(const struct checking *c, Mesos__V1__Resource *const *list,
                                size_t count, const char *prefix)
{
    const char *role = NULL;
    for (size_t i = 0; i < count; i++) {
        const Mesos__V1__Resource__AllocationInfo *allocation = list[i]->allocation_info;
        if (allocation == NULL || allocation->role == NULL)
            return FAIL(c, "%s: The resources are not allocated to a role", prefix);
        if (role != NULL && strcmp(role, allocation->role) != 0)
            return FAIL(c,
                        "%s: The resources have multiple allocation roles ('%s' and '%s') but only "
                        "one allocation role is allowed",
                        prefix, allocation->role, role);
        role = allocation->role;
    }
    return 0;
}

static int check_agent_roles(const struct checking *c, const Mesos__V1__Resource *m,
                             const char *noun, const char *verb)
{
    if (!c->scene->has_hierarchical_roles && strchr(role_of(m), '/') != NULL)
        return FAIL(c,
                    "%s %s with reservation for hierarchical role '%s' cannot be %s on an agent "
                    "without HIERARCHICAL_ROLE capability",
                    noun, text_of(c, m), role_of(m), verb);
    if (!c->scene->has_refinement && m->n_reservations > 1)
        return FAIL(c,
                    "%s %s with reservation refinement cannot be %s on an agent without "
                    "RESERVATION_REFINEMENT capability",
                    noun, text_of(c, m), verb);
    return 0;
}

// ---- RESERVE ----

static bool has_role(const struct checking *c, const char *role)
{
    for (size_t i = 0; i < c->role_count; i++) {
        if (strcmp(c->roles[i], role) == 0)
            return true;
    }
    return false;
}

static const char *roles_text(const struct checking *c)
{
    AUTO_BUF struct buf text = BUF_INIT;
    buf_putc(&text, '{');
    for (size_t i = 0; i < c->role_count; i++)
        buf_printf(&text, "%s%s", i > 0 ? ", " : " ", c->roles[i]);
    buf_puts(&text, c->role_count > 0 ? " }" : "}");
    return arena_strdup(c->arena, text.data);
}

static int check_reserve_principal(const struct checking *c, const Mesos__V1__Resource *m)
{
    const char *principal = c->scene->principal;
    const char *named = last_reservation(m)->principal;
    if (principal == NULL)
        return 0;
    if (named == NULL)
        return FAIL(c,
                    "A reserve operation was attempted by principal '%s', but there is a reserved "
                    "resource in the request with no principal set",
                    principal);
    if (strcmp(principal, named) != 0)
        return FAIL(c,
                    "A reserve operation was attempted by authenticated principal '%s', which does "
                    "not match a reserved resource in the request with principal '%s'",
                    principal, named);
    return 0;
}

static int check_reserve_allocation(const struct checking *c, const Mesos__V1__Resource *m)
{
    const char *role = m->allocation_info != NULL && m->allocation_info->role != NULL
                           ? m->allocation_info->role
                           : NULL;
    if (c->scene->framework == NULL) {
        return m->allocation_info == NULL
                   ? 0
                   : FAIL(c, "A reserve operation was attempted with an allocated resource, but "
                             "the operator API only allows reservations to be made to unallocated "
                             "resources");
    }
    if (role == NULL)
        return FAIL(c,
                    "A reserve operation was attempted on unallocated resource %s, but frameworks "
                    "can only perform reservations on allocated resources",
                    text_of(c, m));
    if (strcmp(role, role_of(m)) != 0)
        return FAIL(c,
                    "A reserve operation was attempted for a resource with role '%s', but the "
                    "resource was allocated to role '%s'",
                    role_of(m), role);
    if (!has_role(c, role))
        return FAIL(c,
                    "A reserve operation was attempted for a resource allocated to role '%s', but "
                    "the framework only has roles '%s'",
                    role, roles_text(c));
    return 0;
}

// All of them with the same reservations; `what` is "source" or "resources".
static int check_same_reservations(const struct checking *c, Mesos__V1__Resource *const *list,
                                   size_t count, const char *what)
{
    if (count == 0)
        return FAIL(c, "Invalid %s: Resource cannot be empty", what);
    for (size_t i = 1; i < count; i++) {
        bool is_same = list[i]->n_reservations == list[0]->n_reservations;
        for (size_t k = 0; is_same && k < list[0]->n_reservations; k++)
            is_same =
                wire_is_equal(&list[i]->reservations[k]->base, &list[0]->reservations[k]->base);
        if (!is_same) {
            AUTO_RESOURCES struct resources *r = NULL;
            resources_from_proto(list, count, &r, NULL);
            return FAIL(c, "Invalid %s: Mixed reservations are not supported%s", what,
                        resources_text(r, c->arena));
        }
    }
    return 0;
}

static int check_source(const struct checking *c,
                        const Mesos__V1__Offer__Operation__Reserve *reserve)
{
    if (reserve->n_source == 0)
        return 0;
    int r = check_same_reservations(c, reserve->source, reserve->n_source, "source");
    if (r == 0)
        r = check_same_reservations(c, reserve->resources, reserve->n_resources, "resources");
    if (r < 0)
        return r;
    AUTO_RESOURCES struct resources *source = NULL;
    AUTO_RESOURCES struct resources *target = NULL;
    resources_from_proto(reserve->source, reserve->n_source, &source, NULL);
    resources_from_proto(reserve->resources, reserve->n_resources, &target, NULL);
    AUTO_RESOURCES struct resources *bare_source = resources_to_unreserved(source);
    AUTO_RESOURCES struct resources *bare_target = resources_to_unreserved(target);
    if (!resources_is_equal(bare_source, bare_target))
        return FAIL(
            c,
            "Source and target resources should refer to identical resource quantities: %s vs. %s",
            resources_text(bare_source, c->arena), resources_text(bare_target, c->arena));
    return 0;
}

static int check_reserve(const struct checking *c,
                         const Mesos__V1__Offer__Operation__Reserve *reserve)
{
    Mesos__V1__Resource **list = reserve->resources;
    size_t count = reserve->n_resources;
    int r = check_sound(c, list, count, "Invalid resources");
    if (r == 0)
        r = check_sound(c, reserve->source, reserve->n_source, "Invalid source");
    if (r == 0)
        r = check_source(c, reserve);
    if (r == 0)
        r = check_one_provider(c, list, count);
    for (size_t i = 0; r == 0 && i < count; i++) {
        if (!is_dynamic(list[i]))
            return FAIL(c, "Resource %s is not dynamically reserved", text_of(c, list[i]));
        r = check_agent_roles(c, list[i], "Resource", "reserved");
        if (r == 0)
            r = check_reserve_principal(c, list[i]);
        if (r == 0)
            r = check_reserve_allocation(c, list[i]);
    }
    if (r == 0 && c->scene->framework != NULL)
        r = check_one_allocation(c, list, count, "Invalid reservation resources");
    return r;
}

// ---- UNRESERVE ----

static int check_unreserve(const struct checking *c,
                           const Mesos__V1__Offer__Operation__Unreserve *unreserve)
{
    Mesos__V1__Resource **list = unreserve->resources;
    size_t count = unreserve->n_resources;
    int r = check_sound(c, list, count, "Invalid resources");
    if (r == 0)
        r = check_one_provider(c, list, count);
    for (size_t i = 0; r == 0 && i < count; i++) {
        if (!is_dynamic(list[i]))
            return FAIL(c, "Resource %s is not dynamically reserved", text_of(c, list[i]));
        if (is_volume(list[i]))
            return FAIL(c,
                        "A dynamically reserved persistent volume %s cannot be unreserved directly."
                        " Please destroy the persistent volume first then unreserve the resource",
                        text_of(c, list[i]));
    }
    return r;
}

// ---- CREATE and DESTROY ----

static bool is_same_volume(const Mesos__V1__Resource *volume, const char *role, const char *id)
{
    return strcmp(role_of(volume), role) == 0 && strcmp(volume->disk->persistence->id, id) == 0;
}

// A volume's id is the agent's only once per role.
static int check_unique_ids(const struct checking *c, Mesos__V1__Resource *const *list,
                            size_t count)
{
    const struct resources *there = c->scene->checkpointed;
    for (size_t i = 0; i < count; i++) {
        const char *id = list[i]->disk->persistence->id;
        bool is_double = false;
        for (size_t k = 0; k < i && !is_double; k++)
            is_double = is_same_volume(list[k], role_of(list[i]), id);
        for (uint32_t k = 0; k < there->count && !is_double; k++)
            is_double = there->entries[k].kind->persistent &&
                        is_same_volume(there->entries[k].kind->message, role_of(list[i]), id);
        if (is_double)
            return FAIL(c, "Persistence ID '%s' is not unique", id);
    }
    return 0;
}

static int check_create_principal(const struct checking *c, const Mesos__V1__Resource *volume)
{
    const char *principal = c->scene->principal;
    const char *named = volume->disk->persistence->principal;
    if (principal == NULL)
        return 0;
    if (named == NULL)
        return FAIL(c,
                    "Create volume operation attempted by principal '%s', but there is a volume in "
                    "the operation with no principal set in 'disk.persistence'",
                    principal);
    if (strcmp(principal, named) != 0)
        return FAIL(c,
                    "Create volume operation attempted by authenticated principal '%s', which does "
                    "not match a volume in the operation with principal '%s' set in "
                    "'disk.persistence'",
                    principal, named);
    return 0;
}

static int check_create(const struct checking *c, const Mesos__V1__Offer__Operation__Create *create)
{
    Mesos__V1__Resource **list = create->volumes;
    size_t count = create->n_volumes;
    const Mesos__V1__FrameworkInfo *framework = c->scene->framework;
    int r = check_sound(c, list, count, "Invalid resources");
    if (r == 0)
        r = check_one_provider(c, list, count);
    if (r == 0)
        r = check_volumes(c, list, count, "Not a persistent volume");
    if (r == 0)
        r = check_unique_ids(c, list, count);
    for (size_t i = 0; r == 0 && i < count; i++) {
        if (framework != NULL && list[i]->shared != NULL &&
            !FRAMEWORK_HAS(framework_capabilities(framework), SHARED_RESOURCES))
            return FAIL(c,
                        "Create volume operation for '%s' has been attempted by framework '%s' "
                        "with no SHARED_RESOURCES capability",
                        text_of(c, list[i]), framework->id != NULL ? framework->id->value : "");
        r = check_agent_roles(c, list[i], "Volume", "created");
        if (r == 0)
            r = check_create_principal(c, list[i]);
    }
    if (r == 0 && framework != NULL)
        r = check_one_allocation(c, list, count, "Invalid volume resources");
    return r;
}

static int check_destroy(const struct checking *c,
                         const Mesos__V1__Offer__Operation__Destroy *destroy)
{
    Mesos__V1__Resource **list = destroy->volumes;
    size_t count = destroy->n_volumes;
    int r = check_sound(c, list, count, "Invalid resources");
    if (r == 0)
        r = check_one_provider(c, list, count);
    if (r == 0)
        r = check_volumes(c, list, count, "Not a persistent volume");
    if (r < 0)
        return r;
    AUTO_RESOURCES struct resources *used = resources_copy(c->scene->used);
    resources_unallocate(used);
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < count; i++) {
            AUTO_RESOURCES struct resources *volume = NULL;
            resources_from_proto(&list[i], 1, &volume, NULL);
            resources_unallocate(volume);
            if (pass == 0 && list[i]->provider_id == NULL &&
                !resources_contains(c->scene->checkpointed, volume))
                return FAIL(c, "Persistent volumes not found");
            if (pass == 1 && resources_contains(used, volume))
                return FAIL(c, "Persistent volumes in use");
        }
    }
    return 0;
}

// ---- GROW_VOLUME and SHRINK_VOLUME ----

static int check_alone(const struct checking *c, Mesos__V1__Resource *m, const char *field)
{
    struct error err;
    return resources_validate(m, &err) < 0
               ? FAIL(c, "Invalid resource in the '%s' field: %s", field, err.text)
               : 0;
}

// Whether the addition is of the disk that the volume lies on.
static bool fits_volume(const Mesos__V1__Resource *volume, const Mesos__V1__Resource *addition)
{
    Mesos__V1__Resource stripped = *volume;
    Mesos__V1__Resource__DiskInfo disk = *volume->disk;
    disk.persistence = NULL;
    disk.volume = NULL;
    stripped.disk = disk.source != NULL ? &disk : NULL;
    Mesos__V1__Resource *both[] = {&stripped, (Mesos__V1__Resource *)addition};
    AUTO_RESOURCES struct resources *r = NULL;
    return resources_from_proto(both, 2, &r, NULL) == 0 && r->count == 1 &&
           r->entries[0].count == 1;
}

static int check_grow(const struct checking *c, const Mesos__V1__Offer__Operation__GrowVolume *grow)
{
    int r = check_alone(c, grow->volume, "GrowVolume.volume");
    if (r == 0)
        r = check_alone(c, grow->addition, "GrowVolume.addition");
    if (r < 0)
        return r;
    if (grow->addition->scalar == NULL || scalar_from_double(grow->addition->scalar->value) <= 0)
        return FAIL(c, "The size of 'GrowVolume.addition' field must be greater than zero");
    if (grow->volume->provider_id != NULL)
        return FAIL(c, "Growing a volume from a resource provider is not supported");
    r = check_volumes(c, &grow->volume, 1,
                      "Invalid persistent volume in the 'GrowVolume.volume' field");
    if (r < 0)
        return r;
    if (grow->volume->shared != NULL)
        return FAIL(c, "Growing a shared persistent volume is not supported");
    if (grow->volume->scalar == NULL || !fits_volume(grow->volume, grow->addition))
        return FAIL(c, "Incompatible resources in the 'GrowVolume.volume' and "
                       "'GrowVolume.addition' fields");
    if (!c->scene->has_resize)
        return FAIL(c, "Volume %s cannot be grown on an agent without RESIZE_VOLUME capability",
                    text_of(c, grow->volume));
    return 0;
}

static int check_shrink(const struct checking *c,
                        const Mesos__V1__Offer__Operation__ShrinkVolume *shrink)
{
    const Mesos__V1__Resource *volume = shrink->volume;
    int r = check_alone(c, shrink->volume, "ShrinkVolume.volume");
    if (r < 0)
        return r;
    int64_t subtract = scalar_from_double(shrink->subtract->value);
    if (subtract <= 0)
        return FAIL(c, "Value of 'ShrinkVolume.subtract' must be greater than zero");
    if (volume->scalar == NULL || scalar_from_double(volume->scalar->value) <= subtract)
        return FAIL(c, "Value of 'ShrinkVolume.subtract' must be smaller than the size of "
                       "'ShrinkVolume.volume'");
    if (volume->provider_id != NULL)
        return FAIL(c, "Shrinking a volume from a resource provider is not supported");
    if (volume->disk != NULL && volume->disk->source != NULL &&
        volume->disk->source->type == SOURCE(MOUNT))
        return FAIL(c, "Shrinking a volume on a MOUNT disk is not supported");
    r = check_volumes(c, &shrink->volume, 1,
                      "Invalid persistent volume in the 'ShrinkVolume.volume' field");
    if (r < 0)
        return r;
    if (volume->shared != NULL)
        return FAIL(c, "Shrinking a shared persistent volume is not supported");
    if (!c->scene->has_resize)
        return FAIL(c, "Volume %s cannot be shrunk on an agent without RESIZE_VOLUME capability",
                    text_of(c, volume));
    return 0;
}

// ---- CREATE_DISK and DESTROY_DISK: only resource providers have such disks ----

static bool is_disk(const Mesos__V1__Resource *m, Mesos__V1__Resource__DiskInfo__Source__Type type)
{
    return m->disk != NULL && m->disk->source != NULL && m->disk->source->type == type;
}

static int check_create_disk(const struct checking *c,
                             const Mesos__V1__Offer__Operation__CreateDisk *create)
{
    const Mesos__V1__Resource *source = create->source;
    int r = check_sound(c, (Mesos__V1__Resource *const *)&create->source, 1, "Invalid resource");
    if (r < 0)
        return r;
    if (source->provider_id == NULL)
        return FAIL(c, "'source' is not managed by a resource provider");
    if (!is_disk(source, SOURCE(RAW)))
        return FAIL(c, "'source' is not a RAW disk resource");
    if (create->target_type != SOURCE(MOUNT) && create->target_type != SOURCE(BLOCK))
        return FAIL(c, "'target_type' is neither MOUNT or BLOCK");
    bool has_target = create->target_profile != NULL;
    if ((source->disk->source->profile != NULL) == has_target)
        return FAIL(c, has_target ? "'target_profile' must not be set when 'source' has a profile"
                                  : "'target_profile' must be set when 'source' has no profile");
    return 0;
}

static int check_destroy_disk(const struct checking *c,
                              const Mesos__V1__Offer__Operation__DestroyDisk *destroy)
{
    const Mesos__V1__Resource *source = destroy->source;
    int r = check_sound(c, (Mesos__V1__Resource *const *)&destroy->source, 1, "Invalid resource");
    if (r < 0)
        return r;
    if (source->provider_id == NULL)
        return FAIL(c, "'source' is not managed by a resource provider");
    if (!is_disk(source, SOURCE(MOUNT)) && !is_disk(source, SOURCE(BLOCK)) &&
        !is_disk(source, SOURCE(RAW)))
        return FAIL(c, "'source' is neither a MOUNT, BLOCK or RAW disk resource");
    if (source->disk->source->id == NULL)
        return FAIL(c, "'source' is not backed by a CSI volume");
    if (is_volume(source))
        return FAIL(c,
                    "A disk resource containing a persistent volume %s cannot be destroyed "
                    "directly. Please destroy the persistent volume first then destroy the disk "
                    "resource",
                    text_of(c, source));
    return 0;
}

int operation_validate(const Mesos__V1__Offer__Operation *operation,
                       const struct operation_scene *scene, struct arena *arena,
                       const char **ret_text)
{
    struct checking c = {.scene = scene, .arena = arena, .ret_text = ret_text};
    if (scene->framework != NULL)
        c.role_count = framework_roles(scene->framework, arena, &c.roles);
    switch (operation->type) {
    case TYPE(RESERVE):
        return check_reserve(&c, operation->reserve);
    case TYPE(UNRESERVE):
        return check_unreserve(&c, operation->unreserve);
    case TYPE(CREATE):
        return check_create(&c, operation->create);
    case TYPE(DESTROY):
        return check_destroy(&c, operation->destroy);
    case TYPE(GROW_VOLUME):
        return check_grow(&c, operation->grow_volume);
    case TYPE(SHRINK_VOLUME):
        return check_shrink(&c, operation->shrink_volume);
    case TYPE(CREATE_DISK):
        return check_create_disk(&c, operation->create_disk);
    case TYPE(DESTROY_DISK):
        return check_destroy_disk(&c, operation->destroy_disk);
    default:
        return FAIL(&c, "Unknown offer operation");
    }
}
