// SPDX-License-Identifier: Apache-2.0
//
// Operations on the agent's resources. An operation is applied, and its status is made, in the turn
// in which it comes; resources and status are durable together before the master hears of it. The
// status is sent again, with back-off, until it is acknowledged; then the record goes.
//
// The master has applied the operation to its books before it sent it. When the agent cannot do
// the same, the two differ: the agent says so and registers again, telling what it really has.

#include <errno.h>
#include <string.h>

#include "agent/internal.h"
#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "model/operation.h"
#include "proto/checkpoint.pb-c.h"
#include "wire/wire.h"

#define RETRY_MIN_NS (10 * NS_PER_S)
#define RETRY_MAX_NS (600 * NS_PER_S)

#define STATE(NAME) MESOS__V1__OPERATION_STATE__OPERATION_##NAME
#define TYPE(NAME) MESOS__V1__OFFER__OPERATION__TYPE__##NAME

// ---- statuses ----

static void send_status(struct agent *agent, const ProtobufCBinaryData *uuid,
                        const Mesos__V1__OperationStatus *status)
{
    Meseta__Link__ToMaster__OperationStatus body = MESETA__LINK__TO_MASTER__OPERATION_STATUS__INIT;
    body.operation_uuid = *uuid;
    body.status = (Mesos__V1__OperationStatus *)status;
    Meseta__Link__ToMaster message = MESETA__LINK__TO_MASTER__INIT;
    message.type = MESETA__LINK__TO_MASTER__TYPE__OPERATION_STATUS;
    message.operation_status = &body;
    agent_send(agent, &message);
}

static void operation_send(struct agent_operation *o, struct instant now)
{
    struct agent *agent = o->agent;
    if (agent->state != AGENT_REGISTERED) {
        return;
    }
    ProtobufCBinaryData uuid = {.data = o->uuid, .len = UUID_SIZE};
    send_status(agent, &uuid, o->status);
    timer_set(&agent->timers, &o->timer, now.mono + o->delay_ns);
    o->delay_ns = o->delay_ns * 2 < RETRY_MAX_NS ? o->delay_ns * 2 : RETRY_MAX_NS;
}

static void operation_retry(struct timer *timer, struct instant now)
{
    struct agent_operation *o = CONTAINER_OF(timer, struct agent_operation, timer);
    log_warning("Resending the status %s of operation %s", operation_state_name(o->status->state),
                o->key);
    operation_send(o, now);
}

// ---- records ----

// `uuid` has UUID_SIZE bytes. Info and status are copied.
static struct agent_operation *operation_add(struct agent *agent, const uint8_t *uuid,
                                             const char *framework_id,
                                             const Mesos__V1__Offer__Operation *info,
                                             const Mesos__V1__OperationStatus *status)
{
    struct arena *arena = arena_new(1024, 0);
    struct agent_operation *o = arena_calloc(arena, 1, sizeof(*o));
    o->agent = agent;
    o->arena = arena;
    memcpy(o->uuid, uuid, UUID_SIZE);
    struct uuid text;
    memcpy(text.bytes, uuid, UUID_SIZE);
    o->key = arena_alloc(arena, UUID_TEXT_SIZE);
    uuid_text(&text, o->key);
    o->framework_id = arena_strdup(arena, framework_id);
    o->info = WIRE_COPY(arena, Mesos__V1__Offer__Operation, info);
    o->status = WIRE_COPY(arena, Mesos__V1__OperationStatus, status);
    o->timer.run = operation_retry;
    o->delay_ns = RETRY_MIN_NS;
    map_put(&agent->operations, o->key, o);
    return o;
}

static void operation_free(struct agent_operation *o)
{
    map_remove(&o->agent->operations, o->key);
    timer_cancel(&o->agent->timers, &o->timer);
    arena_free(o->arena);
}

static struct agent_operation *operation_find(const struct agent *agent,
                                              const ProtobufCBinaryData *uuid)
{
    if (uuid->len != UUID_SIZE) {
        return NULL;
    }
    struct uuid bytes;
    char text[UUID_TEXT_SIZE];
    memcpy(bytes.bytes, uuid->data, UUID_SIZE);
    uuid_text(&bytes, text);
    return map_get(&agent->operations, text);
}

Mesos__V1__Operation *agent_operation_message(const struct agent_operation *o, struct arena *arena)
{
    Mesos__V1__Operation *message = WIRE_NEW(arena, Mesos__V1__Operation, mesos__v1__operation);
    if (o->framework_id != NULL) {
        message->framework_id = WIRE_NEW(arena, Mesos__V1__FrameworkID, mesos__v1__framework_id);
        message->framework_id->value = arena_strdup(arena, o->framework_id);
    }
    if (o->agent->info->id != NULL) {
        message->agent_id = WIRE_COPY(arena, Mesos__V1__AgentID, o->agent->info->id);
    }
    message->info = WIRE_COPY(arena, Mesos__V1__Offer__Operation, o->info);
    message->latest_status = WIRE_COPY(arena, Mesos__V1__OperationStatus, o->status);
    message->statuses = arena_calloc(arena, 1, sizeof(message->statuses[0]));
    message->statuses[message->n_statuses++] = message->latest_status;
    message->uuid = WIRE_NEW(arena, Mesos__V1__UUID, mesos__v1__uuid);
    message->uuid->value.len = UUID_SIZE;
    message->uuid->value.data = arena_dup(arena, o->uuid, UUID_SIZE);
    return message;
}

// ---- applying ----

static Mesos__V1__Resource *const *created_volumes(const Mesos__V1__Offer__Operation *info,
                                                   size_t *ret_count)
{
    *ret_count = info->type == TYPE(CREATE) ? info->create->n_volumes : 0;
    return info->type == TYPE(CREATE) ? info->create->volumes : NULL;
}

static int make_volumes(struct agent *agent, const Mesos__V1__Offer__Operation *info,
                        struct error *err)
{
    size_t count;
    Mesos__V1__Resource *const *volumes = created_volumes(info, &count);
    for (size_t i = 0; i < count; i++) {
        int r = agent_volume_make(agent, volumes[i], err);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

// The resources follow, or stay as they were with a text of why.
static int convert(struct agent *agent, const Mesos__V1__Offer__Operation *info,
                   struct arena *arena, struct instant now, const char **ret_text)
{
    struct conversions conversions AUTO_CONVERSIONS = CONVERSIONS_INIT;
    conversions_get(info, &conversions);
    struct resources *total AUTO_RESOURCES = resources_copy(agent->total);
    int r = conversions_apply(&conversions, total, arena, ret_text);
    if (r < 0) {
        return r;
    }
    struct error err;
    r = make_volumes(agent, info, &err);
    if (r < 0) {
        *ret_text = arena_strdup(arena, err.text);
        return r;
    }
    resources_free(agent->total);
    agent->total = total;
    total = NULL;
    agent_checkpoint_resources(agent);
    for (size_t i = 0; info->type == TYPE(DESTROY) && i < info->destroy->n_volumes; i++) {
        agent_volume_doom(agent, info->destroy->volumes[i], now);
    }
    return 0;
}

static Mesos__V1__OperationStatus *make_status(struct agent *agent,
                                               const Mesos__V1__Offer__Operation *info,
                                               struct arena *arena)
{
    Mesos__V1__OperationStatus *status =
        WIRE_NEW(arena, Mesos__V1__OperationStatus, mesos__v1__operation_status);
    status->operation_id = info->id;
    status->agent_id = agent->info->id;
    struct uuid uuid = uuid_random(&agent->prng);
    status->uuid = WIRE_NEW(arena, Mesos__V1__UUID, mesos__v1__uuid);
    status->uuid->value.len = UUID_SIZE;
    status->uuid->value.data = arena_dup(arena, uuid.bytes, UUID_SIZE);
    return status;
}

// What Mesos tells with OPERATION_FINISHED.
static void put_converted(Mesos__V1__OperationStatus *status,
                          const Mesos__V1__Offer__Operation *info, struct arena *arena)
{
    struct conversions conversions AUTO_CONVERSIONS = CONVERSIONS_INIT;
    conversions_get(info, &conversions);
    struct resources *all AUTO_RESOURCES = resources_new();
    for (size_t i = 0; i < conversions.count; i++) {
        resources_add(all, conversions.items[i].converted);
    }
    status->n_converted_resources =
        resources_to_proto(all, arena, RESOURCES_NEW_FORM, false, &status->converted_resources);
}

void agent_apply_operation(struct agent *agent, const Meseta__Link__ToAgent__ApplyOperation *apply,
                           struct instant now)
{
    struct agent_operation *o = operation_find(agent, &apply->uuid);
    if (o != NULL) {
        operation_send(o, now); // it came twice
        return;
    }
    struct arena *arena AUTO_ARENA = arena_new(0, 0);
    Mesos__V1__Offer__Operation *info = WIRE_COPY(arena, Mesos__V1__Offer__Operation, apply->info);
    struct error err;
    if (apply->uuid.len != UUID_SIZE || operation_upgrade(info, arena, &err) < 0 ||
        !operation_is_speculative(info->type)) {
        log_error("Dropping an operation of the master that makes no sense");
        return;
    }
    operation_unallocate(info);
    const char *framework_id = apply->framework_id != NULL ? apply->framework_id->value : NULL;
    Mesos__V1__OperationStatus *status = make_status(agent, info, arena);
    const char *why;
    bool is_done = convert(agent, info, arena, now, &why) == 0;
    status->state = is_done ? STATE(FINISHED) : STATE(FAILED);
    if (is_done) {
        put_converted(status, info, arena);
    } else {
        status->message = arena_strdup(arena, why);
    }
    o = operation_add(agent, apply->uuid.data, framework_id, info, status);
    agent_checkpoint_operation(o, true);
    if (is_done) {
        log_info("Applied operation %s (%s)", o->key, operation_type_name(info->type));
    } else {
        log_error("Failed to apply operation %s (%s): %s", o->key, operation_type_name(info->type),
                  why);
    }
    operation_send(o, now);
    if (!is_done) {
        agent->ops.reconnect(agent->ctx);
    }
}

// ---- the master's answers and questions ----

void agent_acknowledge_operation(struct agent *agent,
                                 const Meseta__Link__ToAgent__AcknowledgeOperation *acknowledge)
{
    struct agent_operation *o = operation_find(agent, &acknowledge->operation_uuid);
    if (o == NULL || acknowledge->status_uuid.len != UUID_SIZE ||
        memcmp(o->status->uuid->value.data, acknowledge->status_uuid.data, UUID_SIZE) != 0) {
        log_warning("Ignoring unexpected acknowledgement of an operation");
        return;
    }
    agent_checkpoint_operation(o, false);
    operation_free(o);
}

void agent_reconcile_operations(struct agent *agent,
                                const Meseta__Link__ToAgent__ReconcileOperations *reconcile)
{
    for (size_t i = 0; i < reconcile->n_uuids; i++) {
        if (reconcile->uuids[i].len != UUID_SIZE ||
            operation_find(agent, &reconcile->uuids[i]) != NULL) {
            continue;
        }
        static char text[] = "Reconciliation: Operation is unknown to the agent";
        Mesos__V1__OperationStatus status = MESOS__V1__OPERATION_STATUS__INIT;
        status.state = STATE(DROPPED);
        status.message = text;
        status.agent_id = agent->info->id;
        send_status(agent, &reconcile->uuids[i], &status);
    }
}

void agent_operations_pause(struct agent *agent)
{
    MAP_FOREACH (&agent->operations, entry) {
        struct agent_operation *o = entry->value;
        timer_cancel(&agent->timers, &o->timer);
    }
}

void agent_operations_resume(struct agent *agent, struct instant now)
{
    MAP_FOREACH (&agent->operations, entry) {
        struct agent_operation *o = entry->value;
        o->delay_ns = RETRY_MIN_NS;
        operation_send(o, now);
    }
}

void agent_operations_forget(struct agent *agent)
{
    MAP_FOREACH (&agent->operations, entry) {
        agent_checkpoint_operation(entry->value, false);
        operation_free(entry->value);
    }
}

void agent_operations_free(struct agent *agent)
{
    MAP_FOREACH (&agent->operations, entry) {
        operation_free(entry->value);
    }
    map_free(&agent->operations);
}

// ---- recovery ----

int agent_operation_recover(struct agent *agent, const ProtobufCMessage *record, struct error *err)
{
    const Meseta__Checkpoint__Operation *m = (const void *)record;
    if (m->uuid.len != UUID_SIZE || m->status->uuid == NULL ||
        m->status->uuid->value.len != UUID_SIZE || operation_find(agent, &m->uuid) != NULL) {
        return error_set(err, -EBADMSG, "it has no uuid of its own");
    }
    operation_add(agent, m->uuid.data, m->framework_id, m->info, m->status);
    return 0;
}

int agent_resources_recover(struct agent *agent, const ProtobufCMessage *record, struct error *err)
{
    const Meseta__Checkpoint__Resources *m = (const void *)record;
    struct resources *made AUTO_RESOURCES = NULL;
    int r = resources_from_proto(m->resources, m->n_resources, &made, err);
    if (r < 0) {
        return error_set(err, -EBADMSG, "%s", err->text);
    }
    struct arena *arena AUTO_ARENA = arena_new(0, 0);
    struct resources *total;
    const char *why;
    r = resources_apply_checkpointed(agent->total, made, arena, &total, &why);
    if (r < 0) {
        log_error("Checkpointed resources %s are incompatible with agent resources %s: %s",
                  resources_text(made, arena), resources_text(agent->total, arena), why);
        return error_set(err, -EINVAL,
                         "Checkpointed resources %.100s are incompatible with agent resources: "
                         "%.100s",
                         resources_text(made, arena), why);
    }
    resources_free(agent->total);
    agent->total = total;
    return 0;
}

// Most tasks use nothing of the kind.
static bool may_be_checkpointed(Mesos__V1__Resource *const *messages, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (messages[i]->n_reservations > 0 || messages[i]->reservation != NULL) {
            return true;
        }
    }
    return agent_names_volume(messages, count);
}

bool agent_knows_resources(const struct agent *agent, Mesos__V1__Resource *const *messages,
                           size_t count)
{
    if (!may_be_checkpointed(messages, count)) {
        return true;
    }
    struct resources *all AUTO_RESOURCES = NULL;
    if (resources_from_proto(messages, count, &all, NULL) < 0) {
        return true; // which is for others to say
    }
    struct resources *made AUTO_RESOURCES = resources_checkpointed(all);
    resources_unallocate(made);
    return resources_covers(agent->total, made);
}
