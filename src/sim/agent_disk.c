// SPDX-License-Identifier: Apache-2.0
//
// An agent's disk: what its core asks to keep in a turn becomes durable with that turn, before
// anything that the turn says or starts leaves. A process that is killed in a turn either leaves
// nothing of it, or all that was to be kept and a part, from the front, of what was to be done.
// Since that is drawn when the turn begins, effects may be done at once.

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "sim/ledger.h"

struct agent_put {
    struct list link;
    char *key;
    struct buf value;
    bool is_deletion;
};

// What counts once the turn is durable.
struct agent_note {
    struct list link;
    enum { EXECUTOR_SAID, UPDATE_ACKNOWLEDGED, OPERATION_ACKNOWLEDGED } what;
    char *framework_id, *task_id;
    Mesos__V1__TaskState state;
    uint8_t uuid[UUID_SIZE]; // of the update, or of the operation's status
    uint8_t operation_uuid[UUID_SIZE];
};

static void free_put(struct agent_put *put)
{
    list_remove(&put->link);
    mem_free(put->key);
    buf_free(&put->value);
    mem_free(put);
}

static void free_note(struct agent_note *note)
{
    list_remove(&note->link);
    mem_free(note->framework_id);
    mem_free(note->task_id);
    mem_free(note);
}

// ---- the turn ----

// The first thing of a turn in which the process is to be killed: how far does it come?
static void begin_last_turn(struct agent_host *a)
{
    if (!a->is_armed)
        return;
    a->is_armed = false;
    a->is_doomed = true;
    a->doom_commits = chance(a->sim, 0.6);
    a->doom_left = a->doom_commits ? (size_t)draw(a->sim, 6) : 0;
}

// The turn becomes durable: what it heard counts.
static void count_notes(struct agent_host *a)
{
    LIST_FOREACH (&a->notes, struct agent_note, link, note) {
        if (note->what == EXECUTOR_SAID)
            ledger_executor_said(a->sim->ledger, a->id, note->framework_id, note->task_id,
                                 note->state);
        else if (note->what == OPERATION_ACKNOWLEDGED)
            operations_acknowledged(ledger_operations(a->sim->ledger), note->operation_uuid,
                                    note->uuid);
        else
            ledger_acknowledgement_counts(a->sim->ledger, note->framework_id, note->task_id,
                                          note->uuid);
        free_note(note);
    }
}

bool agent_disk_may_act(struct agent_host *a)
{
    begin_last_turn(a);
    if (a->is_doomed && a->doom_left == 0)
        return false;
    a->doom_left -= a->is_doomed;
    count_notes(a);
    return true;
}

void agent_disk_put(struct agent_host *a, const char *key, const ProtobufCMessage *message)
{
    begin_last_turn(a);
    struct agent_put *put = mem_zalloc(sizeof(*put));
    put->key = mem_strdup(key);
    put->is_deletion = message == NULL;
    if (message != NULL)
        wire_encode(message, &put->value);
    list_append(&a->puts, &put->link);
}

static struct agent_note *add_note(struct agent_host *a, const char *framework_id,
                                   const char *task_id)
{
    struct agent_note *note = mem_zalloc(sizeof(*note));
    note->framework_id = mem_strdup(framework_id);
    note->task_id = mem_strdup(task_id);
    list_append(&a->notes, &note->link);
    return note;
}

void agent_disk_note_said(struct agent_host *a, const char *framework_id, const char *task_id,
                          Mesos__V1__TaskState state)
{
    struct agent_note *note = add_note(a, framework_id, task_id);
    note->what = EXECUTOR_SAID;
    note->state = state;
}

void agent_disk_note_acknowledged(struct agent_host *a, const char *framework_id,
                                  const char *task_id, const uint8_t *uuid)
{
    struct agent_note *note = add_note(a, framework_id, task_id);
    note->what = UPDATE_ACKNOWLEDGED;
    memcpy(note->uuid, uuid, UUID_SIZE);
}

void agent_disk_note_operation(struct agent_host *a,
                               const Meseta__Link__ToAgent__AcknowledgeOperation *message)
{
    struct agent_note *note = add_note(a, "", "");
    note->what = OPERATION_ACKNOWLEDGED;
    memcpy(note->uuid, message->status_uuid.data, UUID_SIZE);
    memcpy(note->operation_uuid, message->operation_uuid.data, UUID_SIZE);
}

static void commit(struct agent_host *a)
{
    LIST_FOREACH (&a->puts, struct agent_put, link, put) {
        struct buf *value = NULL;
        if (!put->is_deletion) {
            value = mem_zalloc(sizeof(*value));
            *value = put->value;
            put->value = (struct buf)BUF_INIT;
        }
        struct buf *old =
            value != NULL ? map_put(&a->disk, put->key, value) : map_remove(&a->disk, put->key);
        if (old != NULL)
            buf_free(old);
        mem_free(old);
    }
    count_notes(a);
    containers_forget_told(a);
}

bool agent_disk_end_turn(struct agent_host *a)
{
    bool is_killed = a->is_doomed;
    if (!is_killed || a->doom_commits)
        commit(a);
    else
        mark(a->sim, MARK_AGENT_TURN_LOST);
    LIST_FOREACH (&a->puts, struct agent_put, link, put)
        free_put(put);
    LIST_FOREACH (&a->notes, struct agent_note, link, note)
        free_note(note);
    return !is_killed;
}

// ---- reading ----

static int compare_records(const void *a, const void *b)
{
    const struct agent_record *x = a, *y = b;
    return strcmp(x->key, y->key);
}

size_t agent_disk_load(struct agent_host *a, struct arena *arena, struct agent_record **ret)
{
    size_t count = 0;
    *ret = arena_calloc(arena, a->disk.count + 1, sizeof(**ret));
    MAP_FOREACH (&a->disk, entry) {
        const struct buf *value = entry->value;
        (*ret)[count++] = (struct agent_record){
            .key = arena_strdup(arena, entry->key),
            .value = value->size > 0 ? arena_dup(arena, value->data, value->size) : "",
            .size = value->size,
        };
    }
    qsort(*ret, count, sizeof(**ret), compare_records);
    return count;
}

const char *agent_disk_leftover(const struct agent_host *a)
{
    static const char *const kinds[] = {"framework/", "executor/", "task/", "stream/", "update/"};
    MAP_FOREACH (&a->disk, entry) {
        for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
            if (text_starts_with(entry->key, kinds[i]))
                return entry->key;
        }
    }
    return NULL;
}

void agent_disk_wipe(struct agent_host *a)
{
    MAP_FOREACH (&a->disk, entry) {
        buf_free(entry->value);
        mem_free(entry->value);
    }
    map_clear(&a->disk);
}

void agent_disk_init(struct agent_host *a)
{
    list_init(&a->puts);
    list_init(&a->notes);
}

void agent_disk_free(struct agent_host *a)
{
    agent_disk_wipe(a);
    map_free(&a->disk);
}
