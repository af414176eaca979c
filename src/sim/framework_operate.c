// SPDX-License-Identifier: Apache-2.0
//
// Operations on resources: some frameworks, and operators, reserve what they are offered, give it
// back, make volumes of reserved disk, resize and destroy them, each under an id, and acknowledge
// what they are told of it.

#include <string.h>

#include "sim/framework.h"
#include "sim/ledger.h"

bool framework_is_dynamic(const Mesos__V1__Resource *r)
{
    if (r->reservation != NULL)
        return true; // the older form
    return r->n_reservations > 0 && r->reservations[r->n_reservations - 1]->type ==
                                        MESOS__V1__RESOURCE__RESERVATION_INFO__TYPE__DYNAMIC;
}

static void add_reservation(struct arena *arena, Mesos__V1__Resource *r, const char *role)
{
    Mesos__V1__Resource__ReservationInfo *info = WIRE_NEW(
        arena, Mesos__V1__Resource__ReservationInfo, mesos__v1__resource__reservation_info);
    info->has_type = true;
    info->type = MESOS__V1__RESOURCE__RESERVATION_INFO__TYPE__DYNAMIC;
    info->role = arena_strdup(arena, role);
    r->reservations = arena_calloc(arena, 1, sizeof(void *));
    r->reservations[r->n_reservations++] = info;
}

static void add_volume(struct arena *arena, Mesos__V1__Resource *r, const char *id)
{
    Mesos__V1__Resource__DiskInfo *disk =
        WIRE_NEW(arena, Mesos__V1__Resource__DiskInfo, mesos__v1__resource__disk_info);
    disk->persistence = WIRE_NEW(arena, Mesos__V1__Resource__DiskInfo__Persistence,
                                 mesos__v1__resource__disk_info__persistence);
    disk->persistence->id = arena_strdup(arena, id);
    disk->volume = WIRE_NEW(arena, Mesos__V1__Volume, mesos__v1__volume);
    disk->volume->container_path = arena_strdup(arena, "data");
    disk->volume->mode = MESOS__V1__VOLUME__MODE__RW;
    r->disk = disk;
}

// A half of what is there, or all of it; where it came from has that less.
static Mesos__V1__Resource *take_part(struct sim *sim, Mesos__V1__Resource *from)
{
    Mesos__V1__Resource *part = WIRE_COPY(sim->scratch, Mesos__V1__Resource, from);
    double amount = from->scalar->value;
    // A volume is destroyed as a whole. Amounts are whole thousandths.
    if (from->disk == NULL && !sim->calm && chance(sim, 0.7))
        amount = (double)(int64_t)(amount * 500) / 1000;
    part->scalar->value = amount;
    from->scalar->value -= amount;
    return part;
}

static void fill_resize(struct arena *arena, Mesos__V1__Offer__Operation *operation,
                        Mesos__V1__Resource *volume, Mesos__V1__Resource *addition)
{
    if (addition != NULL) {
        operation->grow_volume = WIRE_NEW(arena, Mesos__V1__Offer__Operation__GrowVolume,
                                          mesos__v1__offer__operation__grow_volume);
        operation->grow_volume->volume = volume;
        operation->grow_volume->addition = addition;
        return;
    }
    operation->shrink_volume = WIRE_NEW(arena, Mesos__V1__Offer__Operation__ShrinkVolume,
                                        mesos__v1__offer__operation__shrink_volume);
    operation->shrink_volume->volume = volume;
    operation->shrink_volume->subtract =
        WIRE_NEW(arena, Mesos__V1__Value__Scalar, mesos__v1__value__scalar);
    operation->shrink_volume->subtract->value =
        (double)(int64_t)(volume->scalar->value * 500) / 1000;
}

static Mesos__V1__Offer__Operation *make(struct arena *arena,
                                         Mesos__V1__Offer__Operation__Type type,
                                         Mesos__V1__Resource *part, Mesos__V1__Resource *addition)
{
    Mesos__V1__Offer__Operation *operation =
        WIRE_NEW(arena, Mesos__V1__Offer__Operation, mesos__v1__offer__operation);
    Mesos__V1__Resource **list = arena_calloc(arena, 1, sizeof(*list));
    list[0] = part;
    operation->has_type = true;
    operation->type = type;
#define BODY(member, type_name, descriptor, field)                                                 \
    operation->member = WIRE_NEW(arena, type_name, descriptor);                                    \
    operation->member->n_##field = 1;                                                              \
    operation->member->field = list
    switch (type) {
    case MESOS__V1__OFFER__OPERATION__TYPE__RESERVE:
        BODY(reserve, Mesos__V1__Offer__Operation__Reserve, mesos__v1__offer__operation__reserve,
             resources);
        break;
    case MESOS__V1__OFFER__OPERATION__TYPE__UNRESERVE:
        BODY(unreserve, Mesos__V1__Offer__Operation__Unreserve,
             mesos__v1__offer__operation__unreserve, resources);
        break;
    case MESOS__V1__OFFER__OPERATION__TYPE__CREATE:
        BODY(create, Mesos__V1__Offer__Operation__Create, mesos__v1__offer__operation__create,
             volumes);
        break;
    case MESOS__V1__OFFER__OPERATION__TYPE__DESTROY:
        BODY(destroy, Mesos__V1__Offer__Operation__Destroy, mesos__v1__offer__operation__destroy,
             volumes);
        break;
    default:
        fill_resize(arena, operation, part, addition);
        break;
    }
#undef BODY
    return operation;
}

// What the volume may grow by: of the same reservation, and no volume itself. NULL: nothing.
static Mesos__V1__Resource *find_addition(Mesos__V1__Resource *const *resources, size_t count,
                                          const Mesos__V1__Resource *volume)
{
    for (size_t i = 0; i < count; i++) {
        Mesos__V1__Resource *r = resources[i];
        if (strcmp(r->name, "disk") == 0 && r->disk == NULL && r->scalar->value > 0.002 &&
            r->n_reservations == volume->n_reservations && r->n_reservations > 0 &&
            wire_is_equal(&r->reservations[r->n_reservations - 1]->base,
                          &volume->reservations[r->n_reservations - 1]->base))
            return r;
    }
    return NULL;
}

// What may be made of it. In trouble anything, then what gives it back.
static Mesos__V1__Offer__Operation__Type draw_type(struct sim *sim, const Mesos__V1__Resource *from,
                                                   bool may_grow)
{
    bool is_volume = from->disk != NULL, is_disk = strcmp(from->name, "disk") == 0;
    if (is_volume && !sim->calm && chance(sim, 0.5)) {
        if (may_grow && chance(sim, 0.7))
            return MESOS__V1__OFFER__OPERATION__TYPE__GROW_VOLUME;
        return MESOS__V1__OFFER__OPERATION__TYPE__SHRINK_VOLUME;
    }
    if (is_volume)
        return MESOS__V1__OFFER__OPERATION__TYPE__DESTROY;
    if (!framework_is_dynamic(from))
        return MESOS__V1__OFFER__OPERATION__TYPE__RESERVE;
    return is_disk && !sim->calm && chance(sim, 0.5) ? MESOS__V1__OFFER__OPERATION__TYPE__CREATE
                                                     : MESOS__V1__OFFER__OPERATION__TYPE__UNRESERVE;
}

Mesos__V1__Offer__Operation *operation_make_of(struct sim *sim, Mesos__V1__Resource *const *all,
                                               size_t count, Mesos__V1__Resource *from,
                                               const char *role, const char *volume_id,
                                               bool is_shared)
{
    struct arena *arena = sim->scratch;
    bool is_static = from->n_reservations > 0 && !framework_is_dynamic(from);
    if (from->scalar == NULL || from->scalar->value < 0.001 || is_static)
        return NULL;
    Mesos__V1__Resource *more = from->disk != NULL ? find_addition(all, count, from) : NULL;
    Mesos__V1__Offer__Operation__Type type = draw_type(sim, from, more != NULL);
    Mesos__V1__Resource *part = take_part(sim, from), *addition = NULL;
    if (type == MESOS__V1__OFFER__OPERATION__TYPE__GROW_VOLUME && more != NULL)
        addition = take_part(sim, more);
    if (part->scalar->value <= 0 || (addition != NULL && addition->scalar->value <= 0))
        return NULL;
    if (type == MESOS__V1__OFFER__OPERATION__TYPE__RESERVE)
        add_reservation(arena, part, role);
    if (type == MESOS__V1__OFFER__OPERATION__TYPE__CREATE)
        add_volume(arena, part, volume_id);
    if (type == MESOS__V1__OFFER__OPERATION__TYPE__CREATE && is_shared)
        part->shared =
            WIRE_NEW(arena, Mesos__V1__Resource__SharedInfo, mesos__v1__resource__shared_info);
    if (part->disk != NULL && type > MESOS__V1__OFFER__OPERATION__TYPE__DESTROY)
        mark(sim, MARK_VOLUME_RESIZED);
    return make(arena, type, part, addition);
}

bool framework_has_reserved(const struct framework_host *f, const Mesos__V1__Offer *offer)
{
    for (size_t i = 0; i < offer->n_resources; i++) {
        if (f->manners.operates && framework_is_dynamic(offer->resources[i]))
            return true;
    }
    return false;
}

// In trouble any of them; then what is to be given back.
static Mesos__V1__Resource *draw_resource(struct sim *sim, const Mesos__V1__Offer *offer)
{
    if (!sim->calm)
        return chance(sim, 0.6) ? NULL : offer->resources[draw(sim, offer->n_resources)];
    for (size_t i = 0; i < offer->n_resources; i++) {
        if (framework_is_dynamic(offer->resources[i]))
            return offer->resources[i];
    }
    return NULL;
}

Mesos__V1__Offer__Operation *framework_make_operation(struct framework_host *f,
                                                      Mesos__V1__Offer *offer)
{
    struct sim *sim = f->sim;
    struct arena *arena = sim->scratch;
    if (!f->manners.operates || offer->n_resources == 0)
        return NULL;
    Mesos__V1__Resource *from = draw_resource(sim, offer);
    if (from == NULL)
        return NULL;
    f->next_operation++;
    // Offers to frameworks of one role do not say to which.
    const char *role =
        from->allocation_info != NULL ? from->allocation_info->role : f->manners.role;
    Mesos__V1__Offer__Operation *operation = operation_make_of(
        sim, offer->resources, offer->n_resources, from, role,
        arena_printf(arena, "v%zu.%u.%u", f->index, f->life, f->next_operation), f->manners.shares);
    if (operation == NULL)
        return NULL;
    operation->id = WIRE_NEW(arena, Mesos__V1__OperationID, mesos__v1__operation_id);
    operation->id->value = arena_printf(arena, "o%zu.%u.%u", f->index, f->life, f->next_operation);
    mark(sim, MARK_OPERATION_ASKED);
    return operation;
}

void framework_take_operation(struct framework_host *f, const Mesos__V1__OperationStatus *status)
{
    struct sim *sim = f->sim;
    TRACE(sim, "framework %zu hears that operation %s is %d", f->index,
          status->operation_id != NULL ? status->operation_id->value : "?", (int)status->state);
    operations_told(ledger_operations(sim->ledger), f->id, status);
    if (status->uuid == NULL || status->operation_id == NULL || status->agent_id == NULL)
        return;
    if (!sim->calm && chance(sim, 0.1))
        return; // it comes again
    Mesos__V1__Scheduler__Call__AcknowledgeOperationStatus body =
        MESOS__V1__SCHEDULER__CALL__ACKNOWLEDGE_OPERATION_STATUS__INIT;
    body.agent_id = status->agent_id;
    body.uuid = status->uuid->value;
    body.operation_id = status->operation_id;
    Mesos__V1__Scheduler__Call call = MESOS__V1__SCHEDULER__CALL__INIT;
    call.type = SCHEDULER_CALL(ACKNOWLEDGE_OPERATION_STATUS);
    call.acknowledge_operation_status = &body;
    framework_call(f, &call);
}
