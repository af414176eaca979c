// SPDX-License-Identifier: Apache-2.0
//
// Status-update streams from end to end: what agents send, what frameworks get and acknowledge,
// what executors said. One stream per task and agent; its updates stand in the order in which the
// agent sent them for the first time.

#include <string.h>

#include "model/operation.h"
#include "model/task_state.h"
#include "sim/ledger.h"

struct book_update {
    uint8_t uuid[UUID_SIZE];
    Mesos__V1__TaskState state;
    bool is_received, is_acknowledged;
    bool is_done; // ... and the agent knows
};

struct book_stream {
    struct list link; // of its task
    char *agent_id;
    bool is_dead;          // the agent is no more
    bool may_be_forgotten; // only the agent spoke in it: of a task that it did not take, say
    bool is_forgotten;     // by the agent, whose process ended: it may begin another one
    struct book_update *updates;
    size_t count;
    size_t received; // index of the newest one that the framework got, plus 1
};

struct book_task {
    char *framework_id;
    char *id;
    bool is_given; // an executor got it
    bool is_dead;  // its framework is no more
    bool has_end;  // an executor said that it ended, and that counted:
    Mesos__V1__TaskState end;
    char *end_agent_id;
    bool may_end_otherwise; // the agent was told to forget it, or had not written it down
    struct list streams;
};

struct ledger {
    struct sim *sim;
    struct operations *operations;
    struct map tasks; // "framework\ntask" -> struct book_task
    struct map dead;  // ids of frameworks that are no more
};

struct ledger *ledger_new(struct sim *sim)
{
    struct ledger *t = mem_zalloc(sizeof(*t));
    t->sim = sim;
    t->operations = operations_new(sim);
    return t;
}

struct ledger *ledger_free(struct ledger *t)
{
    MAP_FOREACH (&t->tasks, entry) {
        struct book_task *task = entry->value;
        LIST_FOREACH (&task->streams, struct book_stream, link, stream) {
            mem_free(stream->agent_id);
            mem_free(stream->updates);
            mem_free(stream);
        }
        mem_free(task->end_agent_id);
        mem_free(task->framework_id);
        mem_free(task->id);
        mem_free(task);
    }
    map_free(&t->tasks);
    map_free(&t->dead);
    operations_free(t->operations);
    mem_free(t);
    return NULL;
}

const char *ledger_pair(const struct sim *sim, const char *framework_id, const char *id)
{
    size_t size = strlen(framework_id), id_size = strlen(id);
    char *key = arena_alloc(sim->scratch, size + id_size + 2);
    memcpy(key, framework_id, size);
    key[size] = '\n';
    memcpy(key + size + 1, id, id_size + 1);
    return key;
}

static struct book_task *find_task(struct ledger *l, const char *framework_id, const char *task_id)
{
    const char *key = ledger_pair(l->sim, framework_id, task_id);
    struct book_task *task = map_get(&l->tasks, key);
    if (task == NULL) {
        task = mem_zalloc(sizeof(*task));
        task->framework_id = mem_strdup(framework_id);
        task->id = mem_strdup(task_id);
        list_init(&task->streams);
        task->is_dead = map_has(&l->dead, framework_id);
        map_put(&l->tasks, key, task);
    }
    return task;
}

static struct book_stream *find_stream(struct book_task *task, const char *agent_id)
{
    LIST_FOREACH (&task->streams, struct book_stream, link, stream) {
        if (!stream->is_forgotten && strcmp(stream->agent_id, agent_id) == 0)
            return stream;
    }
    struct book_stream *stream = mem_zalloc(sizeof(*stream));
    stream->agent_id = mem_strdup(agent_id);
    list_append(&task->streams, &stream->link);
    return stream;
}

static struct book_update *find_update(const struct book_task *task, const uint8_t *uuid,
                                       struct book_stream **ret_stream)
{
    LIST_FOREACH (&task->streams, struct book_stream, link, stream) {
        for (size_t i = stream->count; i-- > 0;) {
            if (memcmp(stream->updates[i].uuid, uuid, UUID_SIZE) == 0) {
                *ret_stream = stream;
                return &stream->updates[i];
            }
        }
    }
    return NULL;
}

// ---- agents ----

static void check_next(struct sim *sim, const struct book_task *task,
                       const struct book_stream *stream, const Mesos__V1__TaskStatus *status)
{
    const char *state = task_state_name(status->state);
    const struct book_update *last = stream->count > 0 ? &stream->updates[stream->count - 1] : NULL;
    REQUIRE(sim, last == NULL || last->is_acknowledged,
            "agent %s goes on with %s of task %s before %s was acknowledged", stream->agent_id,
            state, task->id, task_state_name(last->state));
    Mesos__V1__TaskState from = last != NULL ? last->state : MESOS__V1__TASK_STATE__TASK_STAGING;
    REQUIRE(sim, task_state_may_move(from, status->state),
            "task %s moves from %s to %s on agent %s", task->id, task_state_name(from), state,
            stream->agent_id);
    bool is_end = task_state_is_terminal(status->state);
    bool is_executors = status->source == MESOS__V1__TASK_STATUS__SOURCE__SOURCE_EXECUTOR;
    REQUIRE(sim, !is_end || !is_executors || task->has_end,
            "agent %s says that task %s is %s, and its executor never said that", stream->agent_id,
            task->id, state);
    bool is_renamed = status->state == MESOS__V1__TASK_STATE__TASK_GONE_BY_OPERATOR &&
                      task->end == MESOS__V1__TASK_STATE__TASK_KILLED; // by a drain to gone
    REQUIRE(sim,
            !is_end || !task->has_end || task->may_end_otherwise || is_renamed ||
                task->end == status->state,
            "task %s ended in %s and agent %s says %s", task->id, task_state_name(task->end),
            stream->agent_id, state);
}

void ledger_update_sent(struct ledger *l, const Meseta__Link__ToMaster__StatusUpdate *update)
{
    struct sim *sim = l->sim;
    const Mesos__V1__TaskStatus *status = update->status;
    struct book_task *task = find_task(l, update->framework_id->value, status->task_id->value);
    if (!status->has_uuid)
        return; // told once, outside of any stream
    REQUIRE(sim, status->uuid.len == UUID_SIZE, "an update of task %s has a bad uuid", task->id);
    struct book_stream *known_in;
    struct book_update *known = find_update(task, status->uuid.data, &known_in);
    if (known != NULL && known_in->is_forgotten)
        known_in->is_forgotten = false;
    struct book_stream *stream = find_stream(task, status->agent_id->value);
    if (known != NULL) {
        mark(sim, MARK_UPDATE_SENT_AGAIN);
        REQUIRE(sim, !known->is_done,
                "agent %s sends %s of task %s again after it took its acknowledgement",
                stream->agent_id, task_state_name(status->state), task->id);
        REQUIRE(sim, known_in == stream && known == &stream->updates[stream->count - 1],
                "agent %s sends an old update of task %s again", stream->agent_id, task->id);
        REQUIRE(sim, known->state == status->state,
                "agent %s sends task %s as %s under the uuid of %s", stream->agent_id, task->id,
                task_state_name(status->state), task_state_name(known->state));
        return;
    }
    check_next(sim, task, stream, status);
    stream->updates =
        mem_realloc_array(stream->updates, stream->count + 1, sizeof(*stream->updates));
    struct book_update *next = &stream->updates[stream->count++];
    stream->may_be_forgotten =
        stream->count == 1 && status->source != MESOS__V1__TASK_STATUS__SOURCE__SOURCE_EXECUTOR;
    *next = (struct book_update){.state = status->state};
    memcpy(next->uuid, status->uuid.data, UUID_SIZE);
}

struct operations *ledger_operations(struct ledger *l)
{
    return l->operations;
}

void ledger_agent_died(struct ledger *l, const char *agent_id)
{
    operations_excuse(l->operations, agent_id, NULL);
    MAP_FOREACH (&l->tasks, entry) {
        struct book_task *task = entry->value;
        LIST_FOREACH (&task->streams, struct book_stream, link, stream)
            stream->is_dead = stream->is_dead || strcmp(stream->agent_id, agent_id) == 0;
    }
}

static bool is_durable(const struct sim *sim, const char *framework_id)
{
    for (size_t i = 0; i < sim->config.framework_count; i++) {
        const struct framework_host *f = &sim->frameworks[i];
        if (f->manners.checkpoint && strcmp(f->id, framework_id) == 0)
            return true;
    }
    return false;
}

// The agent may forget what it has of the task, and may not: it may be killed before it does.
static void may_forget(struct book_task *task, const char *agent_id, bool is_all)
{
    if (is_all && task->end_agent_id != NULL && strcmp(task->end_agent_id, agent_id) == 0)
        task->may_end_otherwise = true;
    LIST_FOREACH (&task->streams, struct book_stream, link, stream) {
        if (strcmp(stream->agent_id, agent_id) != 0 || (!is_all && !stream->may_be_forgotten))
            continue;
        stream->is_dead = stream->is_forgotten = stream->may_be_forgotten = true;
        task->may_end_otherwise = true;
    }
}

void ledger_agent_crashed(struct ledger *l, const char *agent_id)
{
    MAP_FOREACH (&l->tasks, entry) {
        struct book_task *task = entry->value;
        may_forget(task, agent_id, !is_durable(l->sim, task->framework_id));
    }
}

void ledger_acknowledgement_counts(struct ledger *l, const char *framework_id, const char *task_id,
                                   const uint8_t *uuid)
{
    struct book_stream *stream;
    struct book_update *update = find_update(find_task(l, framework_id, task_id), uuid, &stream);
    if (update != NULL)
        update->is_done = true;
}

void ledger_framework_shut_down(struct ledger *l, const char *framework_id, const char *agent_id)
{
    MAP_FOREACH (&l->tasks, entry) {
        struct book_task *task = entry->value;
        if (strcmp(task->framework_id, framework_id) == 0)
            may_forget(task, agent_id, true);
    }
}

void ledger_agent_stops(struct ledger *l, const char *agent_id)
{
    operations_excuse(l->operations, agent_id, NULL);
    MAP_FOREACH (&l->tasks, entry)
        may_forget(entry->value, agent_id, true);
}

// ---- frameworks ----

// The master speaks for itself: it may not deny an end that the framework knows.
static void check_own(struct sim *sim, const struct book_task *task,
                      const Mesos__V1__TaskStatus *status)
{
    bool lives = status->state == MESOS__V1__TASK_STATE__TASK_STAGING ||
                 status->state == MESOS__V1__TASK_STATE__TASK_STARTING ||
                 status->state == MESOS__V1__TASK_STATE__TASK_RUNNING ||
                 status->state == MESOS__V1__TASK_STATE__TASK_KILLING;
    if (!lives || status->agent_id == NULL)
        return;
    LIST_FOREACH (&task->streams, struct book_stream, link, stream) {
        if (stream->received == 0 || strcmp(stream->agent_id, status->agent_id->value) != 0)
            continue;
        const struct book_update *newest = &stream->updates[stream->received - 1];
        REQUIRE(sim, !task_state_is_terminal(newest->state),
                "the master calls task %s %s after its framework got %s", task->id,
                task_state_name(status->state), task_state_name(newest->state));
    }
}

void ledger_update_received(struct ledger *l, const char *framework_id,
                            const Mesos__V1__TaskStatus *status)
{
    struct sim *sim = l->sim;
    struct book_task *task = find_task(l, framework_id, status->task_id->value);
    if (!status->has_uuid) {
        check_own(sim, task, status);
        return;
    }
    REQUIRE(sim, status->uuid.len == UUID_SIZE, "an update of task %s has a bad uuid", task->id);
    struct book_stream *stream = NULL;
    struct book_update *update = find_update(task, status->uuid.data, &stream);
    REQUIRE(sim, update != NULL, "framework %s gets an update of task %s that no agent sent",
            framework_id, task->id);
    REQUIRE(sim, update->state == status->state, "task %s was %s and its framework gets %s",
            task->id, task_state_name(update->state), task_state_name(status->state));
    size_t at = (size_t)(update - stream->updates) + 1;
    REQUIRE(sim, at >= stream->received, "framework %s gets %s of task %s after a later update",
            framework_id, task_state_name(status->state), task->id);
    if (update->is_received)
        mark(sim, MARK_UPDATE_RECEIVED_AGAIN);
    update->is_received = true;
    stream->received = at;
}

void ledger_update_acknowledged(struct ledger *l, const char *framework_id, const char *agent_id,
                                const char *task_id, const uint8_t *uuid)
{
    (void)agent_id;
    struct book_task *task = find_task(l, framework_id, task_id);
    struct book_stream *stream;
    struct book_update *update = find_update(task, uuid, &stream);
    CHECK(update != NULL);
    update->is_acknowledged = true;
}

void ledger_framework_died(struct ledger *l, const char *framework_id)
{
    operations_excuse(l->operations, NULL, framework_id);
    map_put(&l->dead, framework_id, l);
    MAP_FOREACH (&l->tasks, entry) {
        struct book_task *task = entry->value;
        task->is_dead = task->is_dead || strcmp(task->framework_id, framework_id) == 0;
    }
}

// ---- executors ----

void ledger_task_given(struct ledger *l, const char *framework_id, const char *task_id)
{
    struct book_task *task = find_task(l, framework_id, task_id);
    REQUIRE(l->sim, !task->is_given, "task %s is given to an executor twice", task_id);
    task->is_given = true;
}

void ledger_executor_said(struct ledger *l, const char *agent_id, const char *framework_id,
                          const char *task_id, Mesos__V1__TaskState state)
{
    struct book_task *task = find_task(l, framework_id, task_id);
    if (!task_state_is_terminal(state) || task->has_end)
        return;
    task->has_end = true;
    task->end_agent_id = mem_strdup(agent_id);
    task->end = state;
}

// ---- the end ----

static const char *lacks_in_stream(struct sim *sim, const struct book_task *task,
                                   const struct book_stream *stream)
{
    const struct book_update *last = &stream->updates[stream->count - 1];
    if (!last->is_received || !last->is_acknowledged)
        return arena_printf(sim->scratch, "task %s is %s on agent %s, and framework %s %s",
                            task->id, task_state_name(last->state), stream->agent_id,
                            task->framework_id,
                            last->is_received ? "did not acknowledge it" : "was never told");
    if (task->has_end && !task_state_is_terminal(last->state))
        return arena_printf(sim->scratch, "task %s ended in %s and agent %s stopped at %s",
                            task->id, task_state_name(task->end), stream->agent_id,
                            task_state_name(last->state));
    return NULL;
}

const char *ledger_lacks_told(struct ledger *l)
{
    MAP_FOREACH (&l->tasks, entry) {
        const struct book_task *task = entry->value;
        if (task->is_dead)
            continue;
        LIST_FOREACH (&task->streams, struct book_stream, link, stream) {
            const char *lacks = stream->is_dead || stream->count == 0
                                    ? NULL
                                    : lacks_in_stream(l->sim, task, stream);
            if (lacks != NULL)
                return lacks;
        }
    }
    return operations_lack_told(l->operations);
}
