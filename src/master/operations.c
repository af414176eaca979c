// SPDX-License-Identifier: Apache-2.0
//
// Operations: their records, what agents say of them, acknowledgements, reconciliation.
//
//   PENDING ──the agent did it, or could not──> FINISHED, FAILED, DROPPED ──acknowledged──> (gone)
//
// Who acknowledges: the framework, when it gave the operation an id; else the master at once. An
// operation whose framework is not here is an orphan. It waits for the framework for a while after
// its agent came back, since both may be on their way to a new master; then the master
// acknowledges for it. The agent sends a status again until somebody does.

#include <string.h>

#include "master/internal.h"

// For how long a returned agent's orphans wait for their frameworks; as in Mesos.
#define ORPHAN_WAIT_NS (10 * 60 * NS_PER_S)
enum { OPERATION_STATUSES_MAX = 8 };

// ---- records ----

static const char *text_of_uuid(struct arena *arena, const uint8_t *bytes)
{
    struct uuid uuid;
    memcpy(uuid.bytes, bytes, UUID_SIZE);
    char *text = arena_alloc(arena, UUID_TEXT_SIZE);
    uuid_text(&uuid, text);
    return text;
}

struct operation *master_operation(struct master *m, const ProtobufCBinaryData *uuid)
{
    if (uuid->len != UUID_SIZE)
        return NULL;
    return map_get(&m->operations, text_of_uuid(m->scratch, uuid->data));
}

static void count_state(const struct operation *o, int change)
{
    o->agent->master->operation_states[o->type][o->state] += (uint64_t)change;
}

static void set_state(struct operation *o, Mesos__V1__OperationState state)
{
    count_state(o, -1);
    o->state = state;
    count_state(o, 1);
}

static void join_framework(struct operation *o, struct framework *f)
{
    CHECK(o->framework == NULL);
    o->framework = f;
    list_append(&f->operations, &o->by_framework);
    if (o->id != NULL && !map_has(&f->operation_ids, o->id))
        map_put(&f->operation_ids, o->id, o);
}

static void leave_framework(struct operation *o)
{
    if (o->framework == NULL)
        return;
    list_remove(&o->by_framework);
    if (o->id != NULL && map_get(&o->framework->operation_ids, o->id) == o)
        map_remove(&o->framework->operation_ids, o->id);
    o->framework = NULL;
}

static void keep_status(struct operation *o, const Mesos__V1__OperationStatus *status)
{
    if (o->status_count == OPERATION_STATUSES_MAX) {
        mem_free(o->statuses[0]);
        o->status_count--;
        memmove(&o->statuses[0], &o->statuses[1], o->status_count * sizeof(*o->statuses));
    }
    o->statuses = mem_realloc_array(o->statuses, o->status_count + 1, sizeof(*o->statuses));
    o->statuses[o->status_count++] = master_pack(&status->base);
}

// `framework_id` NULL: an operator's. The info is copied.
static struct operation *add(struct agent *a, const char *framework_id,
                             const Mesos__V1__Offer__Operation *info, const uint8_t *uuid)
{
    struct master *m = a->master;
    struct operation *o = mem_zalloc(sizeof(*o));
    o->magic = OPERATION_MAGIC;
    o->agent = a;
    o->type = info->type;
    o->state = OPERATION_STATE(PENDING);
    o->framework_id = framework_id != NULL ? mem_strdup(framework_id) : NULL;
    o->id = info->id != NULL ? mem_strdup(info->id->value) : NULL;
    o->info = master_pack(&info->base);
    memcpy(o->uuid, uuid, UUID_SIZE);
    memcpy(o->uuid_text, text_of_uuid(m->scratch, uuid), UUID_TEXT_SIZE);
    list_init(&o->by_framework);
    list_append(&a->operations, &o->by_agent);
    CHECK(map_put(&m->operations, o->uuid_text, o) == NULL);
    count_state(o, 1);
    struct framework *f = framework_id != NULL ? master_framework(m, framework_id) : NULL;
    if (f != NULL)
        join_framework(o, f);
    return o;
}

struct operation *master_operation_free(struct operation *o)
{
    CHECK(o->magic == OPERATION_MAGIC);
    // What ended stays in the numbers.
    if (!operation_state_is_terminal(o->state))
        count_state(o, -1);
    struct agent *a = o->agent;
    map_remove(&a->master->operations, o->uuid_text);
    leave_framework(o);
    list_remove(&o->by_agent);
    for (size_t i = 0; i < o->status_count; i++)
        mem_free(o->statuses[i]);
    mem_free(o->statuses);
    mem_free(o->framework_id);
    mem_free(o->id);
    mem_free(o->info);
    o->magic = 0;
    mem_free(o);
    master_agent_check_drained(a);
    return NULL;
}

static Mesos__V1__OperationStatus *last_status(const struct operation *o, struct arena *arena)
{
    if (o->status_count > 0) {
        const struct packed *last = o->statuses[o->status_count - 1];
        ProtobufCMessage *message;
        int r = wire_decode(&mesos__v1__operation_status__descriptor, arena, last->data, last->size,
                            &message, NULL);
        CHECK(r == 0);
        return (Mesos__V1__OperationStatus *)message;
    }
    Mesos__V1__OperationStatus *status =
        WIRE_NEW(arena, Mesos__V1__OperationStatus, mesos__v1__operation_status);
    status->state = o->state;
    status->agent_id = master_make_agent_id(arena, o->agent->id);
    if (o->id != NULL) {
        status->operation_id = WIRE_NEW(arena, Mesos__V1__OperationID, mesos__v1__operation_id);
        status->operation_id->value = arena_strdup(arena, o->id);
    }
    return status;
}

Mesos__V1__Operation *master_operation_message(const struct operation *o, struct arena *arena)
{
    Mesos__V1__Operation *message = WIRE_NEW(arena, Mesos__V1__Operation, mesos__v1__operation);
    if (o->framework_id != NULL)
        message->framework_id = master_make_framework_id(arena, o->framework_id);
    message->agent_id = master_make_agent_id(arena, o->agent->id);
    ProtobufCMessage *info;
    int r = wire_decode(&mesos__v1__offer__operation__descriptor, arena, o->info->data,
                        o->info->size, &info, NULL);
    CHECK(r == 0);
    message->info = (Mesos__V1__Offer__Operation *)info;
    message->latest_status = last_status(o, arena);
    message->statuses = arena_calloc(arena, o->status_count + 1, sizeof(*message->statuses));
    for (size_t i = 0; i < o->status_count; i++) {
        ProtobufCMessage *status;
        r = wire_decode(&mesos__v1__operation_status__descriptor, arena, o->statuses[i]->data,
                        o->statuses[i]->size, &status, NULL);
        CHECK(r == 0);
        message->statuses[message->n_statuses++] = (Mesos__V1__OperationStatus *)status;
    }
    message->uuid = WIRE_NEW(arena, Mesos__V1__UUID, mesos__v1__uuid);
    message->uuid->value.len = UUID_SIZE;
    message->uuid->value.data = arena_alloc(arena, UUID_SIZE);
    memcpy(message->uuid->value.data, o->uuid, UUID_SIZE);
    return message;
}

// ---- to the agent ----

static ProtobufCBinaryData bytes_of(const uint8_t *uuid)
{
    return (ProtobufCBinaryData){.len = UUID_SIZE, .data = (uint8_t *)uuid};
}

void master_operation_begin(struct agent *a, struct framework *f, Mesos__V1__Offer__Operation *info)
{
    struct master *m = a->master;
    struct uuid uuid = uuid_random(&m->prng);
    struct operation *o = add(a, f != NULL ? f->id : NULL, info, uuid.bytes);
    if (f != NULL)
        f->operation_counts[o->type]++;
    log_info("Sending operation '%s' (uuid %s, %s) of %s to agent %s", o->id != NULL ? o->id : "",
             o->uuid_text, operation_type_name(o->type), f != NULL ? f->id : "an operator", a->id);
    Meseta__Link__ToAgent *message = master_make_to_agent(m->scratch, TO_AGENT(APPLY_OPERATION));
    Meseta__Link__ToAgent__ApplyOperation *apply = WIRE_NEW(
        m->scratch, Meseta__Link__ToAgent__ApplyOperation, meseta__link__to_agent__apply_operation);
    if (f != NULL)
        apply->framework_id = master_make_framework_id(m->scratch, f->id);
    apply->info = info;
    apply->uuid = bytes_of(o->uuid);
    message->apply_operation = apply;
    master_agent_send(a, message);
}

static void send_acknowledgement(struct agent *a, const uint8_t *operation_uuid,
                                 const ProtobufCBinaryData *status_uuid)
{
    struct arena *arena = a->master->scratch;
    Meseta__Link__ToAgent *message = master_make_to_agent(arena, TO_AGENT(ACKNOWLEDGE_OPERATION));
    message->acknowledge_operation = WIRE_NEW(arena, Meseta__Link__ToAgent__AcknowledgeOperation,
                                              meseta__link__to_agent__acknowledge_operation);
    message->acknowledge_operation->operation_uuid = bytes_of(operation_uuid);
    message->acknowledge_operation->status_uuid = *status_uuid;
    master_agent_send(a, message);
}

// ---- to the framework ----

static void send_status(struct framework *f, Mesos__V1__OperationStatus *status)
{
    struct arena *arena = f->master->scratch;
    Mesos__V1__Scheduler__Event *event = master_make_event(arena, EVENT(UPDATE_OPERATION_STATUS));
    event->update_operation_status =
        WIRE_NEW(arena, Mesos__V1__Scheduler__Event__UpdateOperationStatus,
                 mesos__v1__scheduler__event__update_operation_status);
    event->update_operation_status->status = status;
    master_framework_send(f, event);
}

void master_operation_drop(struct framework *f, const Mesos__V1__Offer__Operation *operation,
                           const char *text)
{
    struct master *m = f->master;
    const char *name = operation_type_name(operation->type);
    log_warning("Dropping %s operation from framework %s (%s): %s", name != NULL ? name : "unknown",
                f->id, f->info->name, text);
    if ((size_t)operation->type < OPERATION_TYPE_COUNT)
        m->operation_states[operation->type][OPERATION_STATE(ERROR)]++;
    if (operation->id == NULL)
        return;
    Mesos__V1__OperationStatus *status =
        WIRE_NEW(m->scratch, Mesos__V1__OperationStatus, mesos__v1__operation_status);
    status->operation_id = operation->id;
    status->state = OPERATION_STATE(ERROR);
    status->message = arena_strdup(m->scratch, text);
    send_status(f, status);
}

void master_operations_tell(struct agent *a, Mesos__V1__OperationState state, const char *text)
{
    struct arena *arena = a->master->scratch;
    LIST_FOREACH (&a->operations, struct operation, by_agent, o) {
        if (o->id == NULL || o->framework == NULL)
            continue;
        Mesos__V1__OperationStatus *status =
            WIRE_NEW(arena, Mesos__V1__OperationStatus, mesos__v1__operation_status);
        status->operation_id = WIRE_NEW(arena, Mesos__V1__OperationID, mesos__v1__operation_id);
        status->operation_id->value = arena_strdup(arena, o->id);
        status->state = state;
        status->message = arena_strdup(arena, text);
        status->agent_id = master_make_agent_id(arena, a->id);
        send_status(o->framework, status);
    }
}

// ---- what agents say ----

// Whether the framework will acknowledge, now or when it is back.
static bool is_awaited(const struct operation *o)
{
    const struct agent *a = o->agent;
    const struct master *m = a->master;
    if (o->id == NULL || o->framework_id == NULL)
        return false;
    if (o->framework != NULL)
        return true;
    return !map_has(&m->completed_ids, o->framework_id) && a->reregistered != 0 &&
           m->now.mono - a->returned < ORPHAN_WAIT_NS;
}

// Agents do not say what they are told: whose operation it is and where.
static void complete_status(const struct operation *o, Mesos__V1__OperationStatus *status)
{
    struct arena *arena = o->agent->master->scratch;
    status->agent_id = master_make_agent_id(arena, o->agent->id);
    status->operation_id = NULL;
    if (o->id != NULL) {
        status->operation_id = WIRE_NEW(arena, Mesos__V1__OperationID, mesos__v1__operation_id);
        status->operation_id->value = arena_strdup(arena, o->id);
    }
}

static void take_status(struct operation *o, Mesos__V1__OperationStatus *status)
{
    struct agent *a = o->agent;
    struct arena *arena = a->master->scratch;
    complete_status(o, status);
    log_info("Operation '%s' (uuid %s) on agent %s is now %s (was %s)", o->id != NULL ? o->id : "",
             o->uuid_text, a->id, operation_state_name(status->state),
             operation_state_name(o->state));
    if (!operation_state_is_terminal(o->state))
        set_state(o, status->state);
    const Mesos__V1__OperationStatus *last = o->status_count > 0 ? last_status(o, arena) : NULL;
    if (last == NULL || !wire_is_equal(&last->base, &status->base))
        keep_status(o, status);
}

void master_agent_operation_status(struct agent *a,
                                   Meseta__Link__ToMaster__OperationStatus *message)
{
    struct master *m = a->master;
    Mesos__V1__OperationStatus *status = message->status;
    const ProtobufCBinaryData *uuid = status->uuid != NULL ? &status->uuid->value : NULL;
    master_count(m, COUNT_MESSAGES_OPERATION_STATUS);
    struct operation *o = master_operation(m, &message->operation_uuid);
    if (o == NULL || o->agent != a || (uuid != NULL && uuid->len != UUID_SIZE) ||
        (size_t)status->state >= OPERATION_STATE_COUNT) {
        log_warning("Ignoring a status of an operation from agent %s: it is not known", a->id);
        master_count(m, COUNT_INVALID_OPERATION_STATUSES);
        // A returning agent names all that it waits for, so nobody else will.
        if (uuid != NULL && message->operation_uuid.len == UUID_SIZE)
            send_acknowledgement(a, message->operation_uuid.data, uuid);
        return;
    }
    // A second end is nobody's business.
    if (operation_state_is_terminal(o->state) && uuid == NULL)
        return;
    master_count(m, COUNT_VALID_OPERATION_STATUSES);
    take_status(o, status);
    bool is_terminal = operation_state_is_terminal(o->state);
    if (is_awaited(o)) {
        if (o->framework == NULL)
            return; // the agent sends it again
        if (o->framework->subscriber != NULL)
            send_status(o->framework, status);
        else
            log_info("Framework %s is not connected and gets the status of '%s' later",
                     o->framework_id, o->id);
        // What is not acknowledged is over once it is told.
        if (is_terminal && uuid == NULL)
            master_operation_free(o);
        master_agent_check_drained(a);
        return;
    }
    if (uuid != NULL)
        send_acknowledgement(a, o->uuid, uuid);
    if (is_terminal)
        master_operation_free(o);
    master_agent_check_drained(a);
}

// ---- comings and goings ----

void master_operations_adopt(struct framework *f)
{
    MAP_FOREACH (&f->master->operations, entry) {
        struct operation *o = entry->value;
        if (o->framework == NULL && o->framework_id != NULL && strcmp(o->framework_id, f->id) == 0)
            join_framework(o, f);
    }
}

void master_operations_resend(struct framework *f)
{
    MAP_FOREACH (&f->operation_ids, entry) {
        const struct operation *o = entry->value;
        Mesos__V1__OperationStatus *status = last_status(o, f->master->scratch);
        if (status->uuid != NULL)
            send_status(f, status);
    }
}

void master_operations_orphan(struct framework *f)
{
    LIST_FOREACH (&f->operations, struct operation, by_framework, o) {
        leave_framework(o);
        if (!operation_state_is_terminal(o->state))
            continue;
        const Mesos__V1__OperationStatus *status = last_status(o, f->master->scratch);
        if (status->uuid != NULL)
            send_acknowledgement(o->agent, o->uuid, &status->uuid->value);
        master_operation_free(o);
    }
}

static void take_one(struct agent *a, const Mesos__V1__Operation *message)
{
    struct master *m = a->master;
    if (message->uuid->value.len != UUID_SIZE || !message->info->has_type ||
        !operation_is_speculative(message->info->type)) {
        log_warning("Agent %s names an operation that makes no sense", a->id);
        return;
    }
    struct operation *o = master_operation(m, &message->uuid->value);
    if (o != NULL)
        return;
    const char *framework_id = message->framework_id != NULL ? message->framework_id->value : NULL;
    o = add(a, framework_id, message->info, message->uuid->value.data);
    for (size_t i = 0; i < message->n_statuses; i++) {
        complete_status(o, message->statuses[i]);
        keep_status(o, message->statuses[i]);
    }
    if ((size_t)message->latest_status->state < OPERATION_STATE_COUNT)
        set_state(o, message->latest_status->state);
}

void master_operations_take_over(struct agent *a, Mesos__V1__Operation *const *messages,
                                 size_t count)
{
    struct arena *arena = a->master->scratch;
    struct map named = MAP_INIT;
    for (size_t i = 0; i < count; i++) {
        if (messages[i]->uuid->value.len == UUID_SIZE)
            map_put(&named, text_of_uuid(arena, messages[i]->uuid->value.data), messages[i]);
        take_one(a, messages[i]);
    }
    Meseta__Link__ToAgent *message = master_make_to_agent(arena, TO_AGENT(RECONCILE_OPERATIONS));
    Meseta__Link__ToAgent__ReconcileOperations *reconcile =
        WIRE_NEW(arena, Meseta__Link__ToAgent__ReconcileOperations,
                 meseta__link__to_agent__reconcile_operations);
    LIST_FOREACH (&a->operations, struct operation, by_agent, o) {
        if (map_has(&named, o->uuid_text))
            continue;
        // The agent has forgotten it: it was acknowledged.
        if (operation_state_is_terminal(o->state)) {
            master_operation_free(o);
            continue;
        }
        reconcile->uuids =
            memcpy(arena_calloc(arena, reconcile->n_uuids + 1, sizeof(*reconcile->uuids)),
                   reconcile->uuids != NULL ? reconcile->uuids : (ProtobufCBinaryData *)"",
                   reconcile->n_uuids * sizeof(*reconcile->uuids));
        reconcile->uuids[reconcile->n_uuids++] = bytes_of(o->uuid);
    }
    map_free(&named);
    message->reconcile_operations = reconcile;
    if (reconcile->n_uuids > 0)
        master_agent_send(a, message);
}

void master_operations_remove(struct agent *a)
{
    while (!list_is_empty(&a->operations))
        master_operation_free(LIST_ENTRY(a->operations.next, struct operation, by_agent));
}

// ---- acknowledgement and reconciliation ----

static bool has_status(const struct operation *o, const ProtobufCBinaryData *uuid,
                       struct arena *arena, Mesos__V1__OperationState *ret_state)
{
    for (size_t i = 0; i < o->status_count; i++) {
        ProtobufCMessage *message;
        int r = wire_decode(&mesos__v1__operation_status__descriptor, arena, o->statuses[i]->data,
                            o->statuses[i]->size, &message, NULL);
        CHECK(r == 0);
        const Mesos__V1__OperationStatus *status = (Mesos__V1__OperationStatus *)message;
        if (status->uuid != NULL && status->uuid->value.len == uuid->len &&
            memcmp(status->uuid->value.data, uuid->data, uuid->len) == 0) {
            *ret_state = status->state;
            return true;
        }
    }
    return false;
}

void master_call_acknowledge_operation(
    struct framework *f, const Mesos__V1__Scheduler__Call__AcknowledgeOperationStatus *call)
{
    struct master *m = f->master;
    master_count(m, COUNT_MESSAGES_OPERATION_ACK);
    const char *id = call->operation_id->value;
    struct agent *a = master_agent(m, call->agent_id->value);
    struct operation *o = map_get(&f->operation_ids, id);
    Mesos__V1__OperationState state = OPERATION_STATE(UNKNOWN);
    const char *why = NULL;
    if (a == NULL)
        why = "the agent is not registered";
    else if (a->channel == NULL)
        why = "the agent is disconnected";
    else if (o == NULL || o->agent != a)
        why = "the operation is unknown";
    else if (!has_status(o, &call->uuid, m->scratch, &state))
        why = "the operation status is unknown";
    if (why != NULL) {
        log_warning("Cannot acknowledge a status of operation '%s' of framework %s to agent %s: %s",
                    id, f->id, call->agent_id->value, why);
        master_count(m, COUNT_INVALID_OPERATION_ACKS);
        return;
    }
    send_acknowledgement(a, o->uuid, &call->uuid);
    if (operation_state_is_terminal(state))
        master_operation_free(o);
    master_count(m, COUNT_VALID_OPERATION_ACKS);
    master_agent_check_drained(a);
}

static void send_known(struct framework *f, const struct operation *o)
{
    Mesos__V1__OperationStatus *status = last_status(o, f->master->scratch);
    status->uuid = NULL; // this one needs no acknowledgement
    send_status(f, status);
}

// What is said of an operation that is not in the books.
static void send_unknown(struct framework *f,
                         const Mesos__V1__Scheduler__Call__ReconcileOperations__Operation *asked)
{
    struct master *m = f->master;
    const char *agent_id = asked->agent_id != NULL ? asked->agent_id->value : NULL;
    Mesos__V1__OperationState state = OPERATION_STATE(UNKNOWN);
    const char *text;
    if (agent_id == NULL) {
        text = "Reconciliation: Operation is unknown and no 'agent_id' was provided";
    } else if (map_has(&m->recovered, agent_id)) {
        state = OPERATION_STATE(RECOVERING);
        text = "Reconciliation: Agent is recovered but has not re-registered";
    } else if (map_has(&m->agents, agent_id)) {
        text = "Reconciliation: Operation is unknown";
    } else if (map_has(&m->unreachable, agent_id)) {
        state = OPERATION_STATE(UNREACHABLE);
        text = "Reconciliation: Agent is unreachable";
    } else if (map_has(&m->gone, agent_id)) {
        state = OPERATION_STATE(GONE_BY_OPERATOR);
        text = "Reconciliation: Agent marked gone by operator";
    } else {
        text = "Reconciliation: Both operation and agent are unknown";
    }
    Mesos__V1__OperationStatus *status =
        WIRE_NEW(m->scratch, Mesos__V1__OperationStatus, mesos__v1__operation_status);
    status->operation_id = asked->operation_id;
    status->agent_id = asked->agent_id;
    status->resource_provider_id = asked->resource_provider_id;
    status->state = state;
    status->message = arena_strdup(m->scratch, text);
    send_status(f, status);
}

void master_call_reconcile_operations(struct framework *f,
                                      const Mesos__V1__Scheduler__Call__ReconcileOperations *call)
{
    master_count(f->master, COUNT_MESSAGES_RECONCILE_OPERATIONS);
    if (call->n_operations == 0) {
        MAP_FOREACH (&f->operation_ids, entry)
            send_known(f, entry->value);
        return;
    }
    for (size_t i = 0; i < call->n_operations; i++) {
        const struct operation *o =
            map_get(&f->operation_ids, call->operations[i]->operation_id->value);
        if (o != NULL)
            send_known(f, o);
        else
            send_unknown(f, call->operations[i]);
    }
}
