// SPDX-License-Identifier: Apache-2.0
//
// What became of operations on resources, as agents say it and frameworks hear it: each ends once,
// its end is sent again until it is acknowledged and never after that, and comes to the framework
// that asked for it. Only what has a uuid is an end: without one it is an answer about something
// that is not known.

#include <string.h>

#include "model/operation.h"
#include "sim/ledger.h"

struct book_operation {
    char *agent_id, *framework_id; // NULL: an operator's
    bool wants_told;               // it has an id
    bool has_end;
    Mesos__V1__OperationState end;
    uint8_t status_uuid[UUID_SIZE]; // of its end
    bool is_acknowledged, is_told, is_excused;
};

struct operations {
    struct sim *sim;
    struct map by_uuid; // as text -> struct book_operation
    struct map by_id;   // "framework\nid" -> the same; those that have one
};

struct operations *operations_new(struct sim *sim)
{
    struct operations *o = mem_zalloc(sizeof(*o));
    o->sim = sim;
    return o;
}

void operations_free(struct operations *o)
{
    MAP_FOREACH (&o->by_uuid, entry) {
        struct book_operation *book = entry->value;
        mem_free(book->agent_id);
        mem_free(book->framework_id);
        mem_free(book);
    }
    map_free(&o->by_uuid);
    map_free(&o->by_id);
    mem_free(o);
}

static const char *text_of(const struct operations *o, const uint8_t *bytes)
{
    struct uuid uuid;
    memcpy(uuid.bytes, bytes, UUID_SIZE);
    char *text = arena_alloc(o->sim->scratch, UUID_TEXT_SIZE);
    uuid_text(&uuid, text);
    return text;
}

void operations_begin(struct operations *o, const char *agent_id,
                      const Meseta__Link__ToAgent__ApplyOperation *message)
{
    const char *uuid = text_of(o, message->uuid.data);
    REQUIRE(o->sim, !map_has(&o->by_uuid, uuid), "operation %s is sent twice", uuid);
    struct book_operation *book = mem_zalloc(sizeof(*book));
    book->agent_id = mem_strdup(agent_id);
    map_put(&o->by_uuid, uuid, book);
    if (message->framework_id == NULL)
        return;
    book->framework_id = mem_strdup(message->framework_id->value);
    book->wants_told = message->info->id != NULL;
    if (book->wants_told)
        map_put(&o->by_id, ledger_pair(o->sim, book->framework_id, message->info->id->value), book);
}

void operations_sent(struct operations *o, const char *agent_id,
                     const Meseta__Link__ToMaster__OperationStatus *message)
{
    struct sim *sim = o->sim;
    const Mesos__V1__OperationStatus *status = message->status;
    const char *uuid = text_of(o, message->operation_uuid.data);
    const char *state = operation_state_name(status->state);
    struct book_operation *book = map_get(&o->by_uuid, uuid);
    if (status->uuid == NULL) {
        mark(sim, MARK_OPERATION_DISOWNED);
        return;
    }
    REQUIRE(sim, book != NULL, "agent %s says %s of an operation that nobody sent", agent_id,
            state);
    REQUIRE(sim, operation_state_is_terminal(status->state), "agent %s says %s", agent_id, state);
    if (!book->has_end) {
        book->has_end = true;
        book->end = status->state;
        memcpy(book->status_uuid, status->uuid->value.data, UUID_SIZE);
        return;
    }
    mark(sim, MARK_OPERATION_SENT_AGAIN);
    REQUIRE(sim, book->end == status->state, "operation %s ended in %s and agent %s says %s", uuid,
            operation_state_name(book->end), agent_id, state);
    REQUIRE(sim, memcmp(book->status_uuid, status->uuid->value.data, UUID_SIZE) == 0,
            "agent %s says the end of operation %s under another uuid", agent_id, uuid);
    REQUIRE(sim, !book->is_acknowledged,
            "agent %s says the end of operation %s again after it took its acknowledgement",
            agent_id, uuid);
}

void operations_named(struct operations *o, const Meseta__Link__ToMaster__Reregister *message)
{
    for (size_t i = 0; i < message->n_operations; i++) {
        const Mesos__V1__Operation *named = message->operations[i];
        const Mesos__V1__OperationStatus *status = named->latest_status;
        struct book_operation *book = map_get(&o->by_uuid, text_of(o, named->uuid->value.data));
        if (book == NULL || book->has_end || status->uuid == NULL ||
            !operation_state_is_terminal(status->state))
            continue;
        book->has_end = true;
        book->end = status->state;
        memcpy(book->status_uuid, status->uuid->value.data, UUID_SIZE);
    }
}

void operations_acknowledged(struct operations *o, const uint8_t *uuid, const uint8_t *status_uuid)
{
    struct book_operation *book = map_get(&o->by_uuid, text_of(o, uuid));
    if (book != NULL && book->has_end && memcmp(book->status_uuid, status_uuid, UUID_SIZE) == 0)
        book->is_acknowledged = true;
}

void operations_told(struct operations *o, const char *framework_id,
                     const Mesos__V1__OperationStatus *status)
{
    if (status->operation_id == NULL || status->uuid == NULL)
        return;
    const char *id = status->operation_id->value;
    const char *state = operation_state_name(status->state);
    struct book_operation *book = map_get(&o->by_id, ledger_pair(o->sim, framework_id, id));
    REQUIRE(o->sim, book != NULL && book->has_end,
            "framework %s is told that operation %s is %s, and no agent said so", framework_id, id,
            state);
    REQUIRE(o->sim, book->end == status->state,
            "framework %s is told that operation %s is %s, and its agent said %s", framework_id, id,
            state, operation_state_name(book->end));
    mark(o->sim, book->is_told ? MARK_OPERATION_TOLD_AGAIN : MARK_OPERATION_ENDED);
    book->is_told = true;
}

void operations_excuse(struct operations *o, const char *agent_id, const char *framework_id)
{
    MAP_FOREACH (&o->by_uuid, entry) {
        struct book_operation *book = entry->value;
        bool is_meant = agent_id != NULL ? strcmp(book->agent_id, agent_id) == 0
                                         : book->framework_id != NULL &&
                                               strcmp(book->framework_id, framework_id) == 0;
        book->is_excused = book->is_excused || is_meant;
    }
}

const char *operations_lack_told(const struct operations *o)
{
    MAP_FOREACH (&o->by_id, entry) {
        const struct book_operation *book = entry->value;
        if (book->has_end && !book->is_told && !book->is_excused)
            return arena_printf(
                o->sim->scratch, "agent %s says %s of an operation and framework %s was never told",
                book->agent_id, operation_state_name(book->end), book->framework_id);
    }
    return NULL;
}
