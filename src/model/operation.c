// SPDX-License-Identifier: Apache-2.0
//
// What operations make of resources.

#include "model/operation.h"

#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "model/resource_entry.h"
#include "wire/wire.h"

#define TYPE(NAME) MESOS__V1__OFFER__OPERATION__TYPE__##NAME
#define STATE(NAME) MESOS__V1__OPERATION_STATE__OPERATION_##NAME

bool operation_is_speculative(Mesos__V1__Offer__Operation__Type type)
{
    switch (type) {
    case TYPE(RESERVE):
    case TYPE(UNRESERVE):
    case TYPE(CREATE):
    case TYPE(DESTROY):
    case TYPE(GROW_VOLUME):
    case TYPE(SHRINK_VOLUME):
        return true;
    default:
        return false;
    }
}

bool operation_state_is_terminal(Mesos__V1__OperationState state)
{
    switch (state) {
    case STATE(FINISHED):
    case STATE(FAILED):
    case STATE(ERROR):
    case STATE(DROPPED):
    case STATE(GONE_BY_OPERATOR):
        return true;
    default:
        return false;
    }
}

const char *operation_state_name(Mesos__V1__OperationState state)
{
    return wire_enum_name(&mesos__v1__operation_state__descriptor, (int)state);
}

const char *operation_type_name(Mesos__V1__Offer__Operation__Type type)
{
    return wire_enum_name(&mesos__v1__offer__operation__type__descriptor, (int)type);
}

const char *resources_text(const struct resources *r, struct arena *arena)
{
    AUTO_BUF struct buf text = BUF_INIT;
    resources_put_text(r, &text);
    return arena_strdup(arena, text.data);
}

const char *resource_text(const Mesos__V1__Resource *message, struct arena *arena)
{
    AUTO_BUF struct buf text = BUF_INIT;
    resource_put_text(message, &text);
    return arena_strdup(arena, text.data != NULL ? text.data : "");
}

// ---- the resources of an operation ----

static void walk_list(Mesos__V1__Resource **list, size_t count,
                      void (*visit)(Mesos__V1__Resource *resource, void *ctx), void *ctx)
{
    for (size_t i = 0; i < count; i++)
        visit(list[i], ctx);
}

void operation_walk(Mesos__V1__Offer__Operation *operation,
                    void (*visit)(Mesos__V1__Resource *resource, void *ctx), void *ctx)
{
    if (operation->reserve != NULL) {
        walk_list(operation->reserve->resources, operation->reserve->n_resources, visit, ctx);
        walk_list(operation->reserve->source, operation->reserve->n_source, visit, ctx);
    }
    if (operation->unreserve != NULL)
        walk_list(operation->unreserve->resources, operation->unreserve->n_resources, visit, ctx);
    if (operation->create != NULL)
        walk_list(operation->create->volumes, operation->create->n_volumes, visit, ctx);
    if (operation->destroy != NULL)
        walk_list(operation->destroy->volumes, operation->destroy->n_volumes, visit, ctx);
    if (operation->grow_volume != NULL) {
        visit(operation->grow_volume->volume, ctx);
        visit(operation->grow_volume->addition, ctx);
    }
    if (operation->shrink_volume != NULL)
        visit(operation->shrink_volume->volume, ctx);
    if (operation->create_disk != NULL)
        visit(operation->create_disk->source, ctx);
    if (operation->destroy_disk != NULL)
        visit(operation->destroy_disk->source, ctx);
}

// The field that the type names, and "A" or "An" as Mesos writes it; the last ones differ by a full
// stop.
static int check_body(const Mesos__V1__Offer__Operation *operation, struct error *err)
{
    const struct {
        Mesos__V1__Offer__Operation__Type type;
        const void *body;
        const char *text;
    } bodies[] = {
        {TYPE(RESERVE), operation->reserve,
         "A RESERVE offer operation must have the Offer.Operation.reserve field set."},
        {TYPE(UNRESERVE), operation->unreserve,
         "An UNRESERVE offer operation must have the Offer.Operation.unreserve field set."},
        {TYPE(CREATE), operation->create,
         "A CREATE offer operation must have the Offer.Operation.create field set."},
        {TYPE(DESTROY), operation->destroy,
         "A DESTROY offer operation must have the Offer.Operation.destroy field set."},
        {TYPE(GROW_VOLUME), operation->grow_volume,
         "A GROW_VOLUME operation must have the Offer.Operation.grow_volume field set"},
        {TYPE(SHRINK_VOLUME), operation->shrink_volume,
         "A SHRINK_VOLUME offer operation must have the Offer.Operation.shrink_volume field set"},
        {TYPE(CREATE_DISK), operation->create_disk,
         "A CREATE_DISK offer operation must have the Offer.Operation.create_disk field set."},
        {TYPE(DESTROY_DISK), operation->destroy_disk,
         "A DESTROY_DISK offer operation must have the Offer.Operation.destroy_disk field set."},
    };
    for (size_t i = 0; i < ARRAY_COUNT(bodies); i++) {
        if (operation->has_type && bodies[i].type == operation->type)
            return bodies[i].body != NULL ? 0 : error_set(err, -EINVAL, "%s", bodies[i].text);
    }
    return error_set(err, -EINVAL, "Unknown offer operation");
}

struct checking {
    int result;
    struct error *err;
};

static void check_resource(Mesos__V1__Resource *resource, void *ctx)
{
    struct checking *c = ctx;
    if (c->result < 0)
        return;
    struct resources *parsed = NULL;
    c->result = resources_from_proto(&resource, 1, &parsed, c->err);
    resources_free(parsed);
}

void resource_upgrade(Mesos__V1__Resource *resource, struct arena *arena)
{
    if (resource->n_reservations == 0 && resource->role != NULL &&
        strcmp(resource->role, "*") != 0) {
        Mesos__V1__Resource__ReservationInfo *reservation = WIRE_NEW(
            arena, Mesos__V1__Resource__ReservationInfo, mesos__v1__resource__reservation_info);
        if (resource->reservation != NULL) {
            reservation->principal = resource->reservation->principal;
            reservation->labels = resource->reservation->labels;
        }
        reservation->has_type = true;
        reservation->type = resource->reservation != NULL
                                ? MESOS__V1__RESOURCE__RESERVATION_INFO__TYPE__DYNAMIC
                                : MESOS__V1__RESOURCE__RESERVATION_INFO__TYPE__STATIC;
        reservation->role = resource->role;
        resource->reservations = arena_calloc(arena, 1, sizeof(*resource->reservations));
        resource->reservations[0] = reservation;
        resource->n_reservations = 1;
    }
    resource->role = NULL;
    resource->reservation = NULL;
}

static void upgrade_resource(Mesos__V1__Resource *resource, void *arena)
{
    resource_upgrade(resource, arena);
}

int operation_upgrade(Mesos__V1__Offer__Operation *operation, struct arena *arena,
                      struct error *err)
{
    int r = check_body(operation, err);
    if (r < 0)
        return r;
    // A body that the type does not name is ignored by all that follows.
    Mesos__V1__Offer__Operation bare = *operation;
    if (bare.type != TYPE(RESERVE))
        operation->reserve = NULL;
    if (bare.type != TYPE(UNRESERVE))
        operation->unreserve = NULL;
    if (bare.type != TYPE(CREATE))
        operation->create = NULL;
    if (bare.type != TYPE(DESTROY))
        operation->destroy = NULL;
    if (bare.type != TYPE(GROW_VOLUME))
        operation->grow_volume = NULL;
    if (bare.type != TYPE(SHRINK_VOLUME))
        operation->shrink_volume = NULL;
    if (bare.type != TYPE(CREATE_DISK))
        operation->create_disk = NULL;
    if (bare.type != TYPE(DESTROY_DISK))
        operation->destroy_disk = NULL;
    operation->launch = NULL;
    operation->launch_group = NULL;
    struct checking c = {.err = err};
    operation_walk(operation, check_resource, &c);
    if (c.result < 0)
        return c.result;
    operation_walk(operation, upgrade_resource, arena);
    return 0;
}

struct allocating {
    struct arena *arena;
    const char *role;
};

static void allocate_resource(Mesos__V1__Resource *resource, void *ctx)
{
    struct allocating *a = ctx;
    if (resource->allocation_info != NULL && resource->allocation_info->role != NULL)
        return;
    resource->allocation_info = WIRE_NEW(a->arena, Mesos__V1__Resource__AllocationInfo,
                                         mesos__v1__resource__allocation_info);
    resource->allocation_info->role = arena_strdup(a->arena, a->role);
}

void operation_allocate(Mesos__V1__Offer__Operation *operation, const char *role,
                        struct arena *arena)
{
    struct allocating a = {.arena = arena, .role = role};
    operation_walk(operation, allocate_resource, &a);
}

static void unallocate_resource(Mesos__V1__Resource *resource, void *ctx)
{
    (void)ctx;
    resource->allocation_info = NULL;
}

void operation_unallocate(Mesos__V1__Offer__Operation *operation)
{
    operation_walk(operation, unallocate_resource, NULL);
}

// ---- conversions ----

// A sound message as an amount.
static struct resources *one(const Mesos__V1__Resource *message)
{
    struct resources *r = resources_new();
    struct resource_entry entry;
    resource_entry_from_proto(message, &entry);
    resources_add_entry(r, &entry);
    resource_entry_drop(&entry);
    return r;
}

static struct resources *all(Mesos__V1__Resource *const *messages, size_t count)
{
    struct resources *r = resources_new();
    for (size_t i = 0; i < count; i++) {
        struct resource_entry entry;
        resource_entry_from_proto(messages[i], &entry);
        resources_add_entry(r, &entry);
        resource_entry_drop(&entry);
    }
    return r;
}

// Without the innermost reservation.
static struct resources *pop_one(const Mesos__V1__Resource *message)
{
    CHECK(message->n_reservations > 0);
    Mesos__V1__Resource popped = *message;
    popped.n_reservations--;
    return one(&popped);
}

static struct resources *pop_all(Mesos__V1__Resource *const *messages, size_t count)
{
    struct resources *r = resources_new();
    for (size_t i = 0; i < count; i++) {
        AUTO_RESOURCES struct resources *popped = pop_one(messages[i]);
        resources_add(r, popped);
    }
    return r;
}

// The disk below a volume.
static struct resources *strip_volume(const Mesos__V1__Resource *volume)
{
    Mesos__V1__Resource stripped = *volume;
    Mesos__V1__Resource__DiskInfo disk;
    if (volume->disk != NULL && volume->disk->source != NULL) {
        disk = *volume->disk;
        disk.persistence = NULL;
        disk.volume = NULL;
        stripped.disk = &disk;
    } else {
        stripped.disk = NULL;
    }
    stripped.shared = NULL;
    return one(&stripped);
}

// The volume in another size.
static struct resources *resize_volume(const Mesos__V1__Resource *volume, int64_t thousandths)
{
    Mesos__V1__Resource resized = *volume;
    Mesos__V1__Value__Scalar scalar = *volume->scalar;
    scalar.value = scalar_to_double(thousandths);
    resized.scalar = &scalar;
    return one(&resized);
}

static void append(struct conversions *c, struct resources *consumed, struct resources *converted)
{
    c->items = mem_realloc_array(c->items, c->count + 1, sizeof(*c->items));
    c->items[c->count++] = (struct conversion){.consumed = consumed, .converted = converted};
}

static void get_reserve(const Mesos__V1__Offer__Operation__Reserve *reserve, struct conversions *c)
{
    struct resources *consumed = reserve->n_source > 0
                                     ? all(reserve->source, reserve->n_source)
                                     : pop_all(reserve->resources, reserve->n_resources);
    append(c, consumed, all(reserve->resources, reserve->n_resources));
}

static void get_grow(const Mesos__V1__Offer__Operation__GrowVolume *grow, struct conversions *c)
{
    struct resources *consumed = one(grow->volume);
    AUTO_RESOURCES struct resources *addition = one(grow->addition);
    resources_add(consumed, addition);
    int64_t size = scalar_add(scalar_from_double(grow->volume->scalar->value),
                              scalar_from_double(grow->addition->scalar->value));
    append(c, consumed, resize_volume(grow->volume, size));
}

static void get_shrink(const Mesos__V1__Offer__Operation__ShrinkVolume *shrink,
                       struct conversions *c)
{
    int64_t size = scalar_from_double(shrink->volume->scalar->value) -
                   scalar_from_double(shrink->subtract->value);
    struct resources *converted = resize_volume(shrink->volume, size);
    Mesos__V1__Resource part = *shrink->volume;
    part.scalar = shrink->subtract;
    AUTO_RESOURCES struct resources *freed = strip_volume(&part);
    resources_add(converted, freed);
    append(c, one(shrink->volume), converted);
}

void conversions_get(const Mesos__V1__Offer__Operation *operation,
                     struct conversions *ret_conversions)
{
    struct conversions c = CONVERSIONS_INIT;
    switch (operation->type) {
    case TYPE(RESERVE):
        get_reserve(operation->reserve, &c);
        break;
    case TYPE(UNRESERVE):
        for (size_t i = 0; i < operation->unreserve->n_resources; i++)
            append(&c, one(operation->unreserve->resources[i]),
                   pop_one(operation->unreserve->resources[i]));
        break;
    case TYPE(CREATE):
        for (size_t i = 0; i < operation->create->n_volumes; i++) {
            const Mesos__V1__Resource *volume = operation->create->volumes[i];
            append(&c, strip_volume(volume), one(volume));
        }
        break;
    case TYPE(DESTROY):
        for (size_t i = 0; i < operation->destroy->n_volumes; i++) {
            const Mesos__V1__Resource *volume = operation->destroy->volumes[i];
            append(&c, one(volume), strip_volume(volume));
            c.items[c.count - 1].is_destroyed = true;
        }
        break;
    case TYPE(GROW_VOLUME):
        get_grow(operation->grow_volume, &c);
        break;
    case TYPE(SHRINK_VOLUME):
        get_shrink(operation->shrink_volume, &c);
        break;
    default:
        CHECK(!operation_is_speculative(operation->type));
    }
    *ret_conversions = c;
}

void conversions_free(struct conversions *c)
{
    for (size_t i = 0; i < c->count; i++) {
        resources_free(c->items[i].consumed);
        resources_free(c->items[i].converted);
    }
    mem_free(c->items);
    *c = (struct conversions)CONVERSIONS_INIT;
}

int conversions_apply(const struct conversions *c, struct resources *r, struct arena *arena,
                      const char **ret_text)
{
    AUTO_RESOURCES struct resources *result = resources_copy(r);
    for (size_t i = 0; i < c->count; i++) {
        const struct conversion *item = &c->items[i];
        if (!resources_contains(result, item->consumed)) {
            *ret_text = arena_printf(arena, "%s does not contain %s", resources_text(result, arena),
                                     resources_text(item->consumed, arena));
            return -EINVAL;
        }
        resources_subtract(result, item->consumed);
        resources_add(result, item->converted);
        if (item->is_destroyed && resources_contains(result, item->consumed)) {
            Mesos__V1__Resource **messages;
            resources_to_proto(item->consumed, arena, RESOURCES_NEW_FORM, true, &messages);
            *ret_text = arena_printf(
                arena, "Persistent volume %s cannot be removed due to additional shared copies",
                resource_text(messages[0], arena));
            return -EINVAL;
        }
    }
    resources_subtract(r, r);
    resources_add(r, result);
    return 0;
}

// ---- what agents write down ----

static bool needs_checkpoint(const struct resource_entry *entry, const void *ctx)
{
    (void)ctx;
    return entry->kind->message->provider_id == NULL &&
           (entry->kind->dynamic || entry->kind->persistent);
}

struct resources *resources_checkpointed(const struct resources *r)
{
    return resources_filter(r, needs_checkpoint, NULL);
}

// What a checkpointed resource was made from, as the agent's flags give it.
static struct resources *strip_checkpointed(const Mesos__V1__Resource *message)
{
    Mesos__V1__Resource stripped = *message;
    if (stripped.n_reservations > 0 && stripped.reservations[stripped.n_reservations - 1]->type ==
                                           MESOS__V1__RESOURCE__RESERVATION_INFO__TYPE__DYNAMIC)
        stripped.n_reservations =
            stripped.reservations[0]->type == MESOS__V1__RESOURCE__RESERVATION_INFO__TYPE__STATIC;
    if (stripped.disk != NULL && stripped.disk->persistence != NULL)
        return strip_volume(&stripped);
    return one(&stripped);
}

int resources_apply_checkpointed(const struct resources *r, const struct resources *checkpointed,
                                 struct arena *arena, struct resources **ret_total,
                                 const char **ret_text)
{
    AUTO_RESOURCES struct resources *total = resources_copy(r);
    Mesos__V1__Resource **messages;
    size_t count = resources_to_proto(checkpointed, arena, RESOURCES_NEW_FORM, false, &messages);
    for (size_t i = 0; i < count; i++) {
        AUTO_RESOURCES struct resources *resource = one(messages[i]);
        AUTO_RESOURCES struct resources *needed = resources_checkpointed(resource);
        if (resources_is_empty(needed)) {
            *ret_text = arena_printf(arena, "Unexpected checkpointed resources %s",
                                     resource_text(messages[i], arena));
            return -EINVAL;
        }
        AUTO_RESOURCES struct resources *stripped = strip_checkpointed(messages[i]);
        if (!resources_contains(total, stripped)) {
            *ret_text = arena_printf(arena, "Incompatible agent resources: %s does not contain %s",
                                     resources_text(total, arena), resources_text(stripped, arena));
            return -EINVAL;
        }
        resources_subtract(total, stripped);
        resources_add(total, resource);
    }
    *ret_total = TAKE_PTR(total);
    return 0;
}
