// SPDX-License-Identifier: Apache-2.0
//
// The tasks of simulated agents. A task says how long it runs by its command, `sleep SECONDS`; any
// other one runs for a time that the agent draws. Its updates are sent one after another, each
// again until it is acknowledged, as a real agent does.

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "model/resources.h"
#include "model/task_state.h"
#include "swarm/internal.h"
#include "wire/wire.h"

#define RESEND_NS (10 * NS_PER_S) // and twice as long each time
#define STATE(name) MESOS__V1__TASK_STATE__TASK_##name

enum { FREED_MAX = 4096 };

// ---- frameworks ----

static struct known_framework *know(struct swarm *s, const Mesos__V1__FrameworkInfo *info)
{
    struct known_framework *k = map_get(&s->known, info->id->value);
    if (k != NULL)
        return k;
    k = mem_zalloc(sizeof(*k));
    map_put(&s->known, info->id->value, k);
    k->arena = arena_new(0, 0);
    k->info = WIRE_COPY(k->arena, Mesos__V1__FrameworkInfo, info);
    k->is_checkpointing = info->has_checkpoint && info->checkpoint;
    for (size_t i = 0; i < info->n_capabilities; i++)
        k->is_partition_aware = k->is_partition_aware ||
                                info->capabilities[i]->type ==
                                    MESOS__V1__FRAMEWORK_INFO__CAPABILITY__TYPE__PARTITION_AWARE;
    return k;
}

void swarm_task_update_framework(struct swarm *s, const Mesos__V1__FrameworkInfo *info)
{
    struct known_framework *k = map_get(&s->known, info->id->value);
    if (k == NULL)
        return;
    arena_reset(k->arena);
    k->info = WIRE_COPY(k->arena, Mesos__V1__FrameworkInfo, info);
}

void swarm_known_free(struct swarm *s)
{
    MAP_FOREACH (&s->known, entry) {
        struct known_framework *k = entry->value;
        arena_free(k->arena);
        mem_free(k);
    }
    map_free(&s->known);
}

// ---- the slots of an agent ----

static void note_freed(struct swarm_agent *a, int64_t now)
{
    if (a->freed_count == a->freed_capacity) {
        if (a->freed_capacity == FREED_MAX)
            return;
        uint32_t capacity = a->freed_capacity == 0 ? 4 : a->freed_capacity * 2;
        int64_t *freed = mem_calloc(capacity, sizeof(*freed));
        for (uint32_t i = 0; i < a->freed_count; i++)
            freed[i] = a->freed[(a->freed_first + i) % a->freed_capacity];
        mem_free(a->freed);
        a->freed = freed;
        a->freed_first = 0;
        a->freed_capacity = capacity;
    }
    a->freed[(a->freed_first + a->freed_count++) % a->freed_capacity] = now;
}

static void note_taken(struct swarm_agent *a, int64_t now)
{
    if (a->freed_count == 0)
        return;
    if (swarm_is_warm(a->swarm, a->freed[a->freed_first]))
        histogram_add(&a->swarm->turn_round, now - a->freed[a->freed_first]);
    a->freed_first = (a->freed_first + 1) % a->freed_capacity;
    a->freed_count--;
}

// ---- updates ----

static struct swarm_task *find(const struct swarm_agent *a, const char *framework_id,
                               const char *task_id)
{
    LIST_FOREACH (&a->tasks, struct swarm_task, link, t) {
        if (strcmp(t->id, task_id) == 0 && strcmp(t->framework->info->id->value, framework_id) == 0)
            return t;
    }
    return NULL;
}

static void task_free(struct swarm_task *t)
{
    env_timer_cancel(t->agent->swarm->env, &t->end);
    list_remove(&t->link);
    list_remove(&t->unacked);
    t->agent->task_count--;
    mem_free(t->packed);
    mem_free(t->id);
    mem_free(t);
}

// Sends an update; without `uuid` it is not to be acknowledged.
static void send_update(struct swarm_agent *a, const char *framework_id, const char *task_id,
                        Mesos__V1__TaskState state, Mesos__V1__TaskState latest, uint8_t *uuid,
                        const char *message)
{
    Mesos__V1__TaskID task = MESOS__V1__TASK_ID__INIT;
    Mesos__V1__AgentID agent = MESOS__V1__AGENT_ID__INIT;
    Mesos__V1__FrameworkID framework = MESOS__V1__FRAMEWORK_ID__INIT;
    Mesos__V1__TaskStatus status = MESOS__V1__TASK_STATUS__INIT;
    Meseta__Link__ToMaster__StatusUpdate update = MESETA__LINK__TO_MASTER__STATUS_UPDATE__INIT;
    Meseta__Link__ToMaster whole = MESETA__LINK__TO_MASTER__INIT;
    task.value = (char *)(uintptr_t)task_id;
    agent.value = a->id;
    framework.value = (char *)(uintptr_t)framework_id;
    status.task_id = &task;
    status.state = state;
    status.agent_id = &agent;
    status.message = (char *)(uintptr_t)message;
    status.has_source = true;
    status.source = uuid != NULL ? MESOS__V1__TASK_STATUS__SOURCE__SOURCE_EXECUTOR
                                 : MESOS__V1__TASK_STATUS__SOURCE__SOURCE_AGENT;
    status.has_timestamp = true;
    status.timestamp = (double)env_now(a->swarm->env).wall / NS_PER_S;
    status.has_uuid = uuid != NULL;
    status.uuid.data = uuid;
    status.uuid.len = uuid != NULL ? 16 : 0;
    update.framework_id = &framework;
    update.status = &status;
    update.has_latest_state = true;
    update.latest_state = latest;
    whole.type = MESETA__LINK__TO_MASTER__TYPE__STATUS_UPDATE;
    whole.status_update = &update;
    swarm_agent_send(a, &whole);
}

static void send_first(struct swarm_task *t)
{
    struct swarm *s = t->agent->swarm;
    t->sent_at = env_now(s->env).mono;
    list_remove(&t->unacked);
    list_append(&s->unacked[t->resent], &t->unacked);
    if (t->agent->state == AGENT_REGISTERED)
        send_update(t->agent, t->framework->info->id->value, t->id, t->queue[0], t->state, t->uuid,
                    t->message);
}

static void begin_update(struct swarm_task *t)
{
    uint64_t words[2] = {prng_u64(&t->agent->prng), prng_u64(&t->agent->prng)};
    memcpy(t->uuid, words, sizeof(t->uuid));
    t->uuid[6] = (uint8_t)((t->uuid[6] & 0x0f) | 0x40); // a random one, by RFC 4122
    t->uuid[8] = (uint8_t)((t->uuid[8] & 0x3f) | 0x80);
    t->resent = 0;
    send_first(t);
}

static void queue_update(struct swarm_task *t, Mesos__V1__TaskState state)
{
    CHECK(t->queued < ARRAY_COUNT(t->queue));
    t->state = state;
    t->queue[t->queued++] = state;
    if (t->queued == 1)
        begin_update(t);
}

static void task_end(struct swarm_task *t, Mesos__V1__TaskState state, const char *message)
{
    struct swarm *s = t->agent->swarm;
    if (t->ended_at != 0)
        return;
    env_timer_cancel(s->env, &t->end);
    t->ended_at = env_now(s->env).mono;
    t->message = message;
    s->ended++;
    note_freed(t->agent, t->ended_at);
    queue_update(t, state);
}

static void end_due(struct timer *timer, struct instant now)
{
    (void)now;
    struct swarm_task *t = CONTAINER_OF(timer, struct swarm_task, end);
    bool fails = prng_unit(&t->agent->prng) < t->agent->swarm->options->task_failures;
    task_end(t, fails ? STATE(FAILED) : STATE(FINISHED), fails ? "Told to fail" : NULL);
}

void swarm_tasks_send_again(struct swarm_agent *a)
{
    LIST_FOREACH (&a->tasks, struct swarm_task, link, t) {
        t->resent = 0;
        if (t->queued > 0)
            send_first(t);
    }
}

void swarm_tasks_release(struct swarm *s)
{
    for (size_t i = 0; i < s->agent_count; i++) {
        struct swarm_agent *a = &s->agents[i];
        LIST_FOREACH (&a->tasks, struct swarm_task, link, t) {
            double part = prng_unit(&a->prng);
            if (t->ended_at == 0)
                env_timer_set(s->env, &t->end, (int64_t)(part * (double)s->options->task_duration));
        }
    }
}

void swarm_tasks_resend_due(struct swarm *s, int64_t now)
{
    for (unsigned step = 0; step < SWARM_RESEND_STEPS; step++) {
        LIST_FOREACH (&s->unacked[step], struct swarm_task, unacked, t) {
            if (now - t->sent_at < RESEND_NS << step)
                break;
            s->resent += t->agent->state == AGENT_REGISTERED;
            t->resent = step + 1 < SWARM_RESEND_STEPS ? step + 1 : step;
            send_first(t);
        }
    }
}

// ---- orders ----

// In ns; INT64_MAX: for ever.
static int64_t draw_duration(struct swarm_agent *a, const Mesos__V1__TaskInfo *info)
{
    const char *command = info->command != NULL ? info->command->value : NULL;
    double seconds = -1;
    if (command != NULL && strncmp(command, "sleep ", 6) == 0) {
        char *end;
        seconds = strtod(command + 6, &end);
        if (*end != '\0')
            seconds = -1;
    }
    if (seconds < 0 || isnan(seconds))
        seconds =
            -log(1 - prng_unit(&a->prng)) * (double)a->swarm->options->task_duration / NS_PER_S;
    return seconds < 1e9 ? (int64_t)(seconds * NS_PER_S) : INT64_MAX;
}

static void pack_task(struct swarm_task *t, const Mesos__V1__TaskInfo *info)
{
    Mesos__V1__Task message = MESOS__V1__TASK__INIT;
    struct swarm *s = t->agent->swarm;
    message.name = info->name;
    message.task_id = info->task_id;
    message.framework_id = t->framework->info->id;
    message.agent_id = info->agent_id;
    message.state = STATE(STAGING);
    message.resources = info->resources;
    message.n_resources = info->n_resources;
    message.labels = info->labels;
    message.discovery = info->discovery;
    buf_clear(&s->frame);
    wire_encode(&message.base, &s->frame);
    t->packed_size = s->frame.size;
    t->packed = mem_dup(s->frame.data, s->frame.size);
}

static void refuse_executor(struct swarm_agent *a, const Meseta__Link__ToAgent__RunTask *run)
{
    const Mesos__V1__TaskInfo *info = run->task;
    send_update(a, run->framework_info->id->value, info->task_id->value, STATE(FAILED),
                STATE(FAILED), NULL, "A simulated agent runs no executors");
    if (!run->has_launch_executor || !run->launch_executor)
        return;
    Meseta__Link__ToMaster__ExecutorExited exited = MESETA__LINK__TO_MASTER__EXECUTOR_EXITED__INIT;
    Meseta__Link__ToMaster message = MESETA__LINK__TO_MASTER__INIT;
    exited.framework_id = run->framework_info->id;
    exited.executor_id = info->executor->executor_id;
    exited.status = 1 << 8; // as waitpid gives an exit with 1
    exited.has_instance = run->has_executor_instance;
    exited.instance = run->executor_instance;
    message.type = MESETA__LINK__TO_MASTER__TYPE__EXECUTOR_EXITED;
    message.executor_exited = &exited;
    swarm_agent_send(a, &message);
}

void swarm_task_run(struct swarm_agent *a, const Meseta__Link__ToAgent__RunTask *run)
{
    struct swarm *s = a->swarm;
    const Mesos__V1__TaskInfo *info = run->task;
    if (info->executor != NULL) {
        refuse_executor(a, run);
        return;
    }
    if (find(a, run->framework_info->id->value, info->task_id->value) != NULL)
        return; // a retry
    struct swarm_task *t = mem_zalloc(sizeof(*t));
    t->agent = a;
    t->framework = know(s, run->framework_info);
    t->id = mem_strdup(info->task_id->value);
    t->end.run = end_due;
    list_init(&t->unacked);
    list_append(&a->tasks, &t->link);
    a->task_count++;
    s->started++;
    resources_complete_messages(info->resources, info->n_resources, run->role, s->scratch);
    pack_task(t, info);
    note_taken(a, env_now(s->env).mono);
    int64_t duration = draw_duration(a, info);
    queue_update(t, STATE(RUNNING));
    if (duration < INT64_MAX)
        env_timer_set(s->env, &t->end, duration);
}

// A task that is not here: the master is told so.
static void say_unknown(struct swarm_agent *a, const char *framework_id, const char *task_id,
                        const char *message)
{
    const struct known_framework *k = map_get(&a->swarm->known, framework_id);
    Mesos__V1__TaskState state = k != NULL && k->is_partition_aware ? STATE(DROPPED) : STATE(LOST);
    send_update(a, framework_id, task_id, state, state, NULL, message);
}

void swarm_task_kill(struct swarm_agent *a, const Meseta__Link__ToAgent__KillTask *kill)
{
    struct swarm_task *t = find(a, kill->framework_id->value, kill->task_id->value);
    if (t != NULL)
        task_end(t, STATE(KILLED), "Command terminated with signal Terminated");
    else
        say_unknown(a, kill->framework_id->value, kill->task_id->value,
                    "Attempted to kill an unknown task");
}

void swarm_task_acknowledge(struct swarm_agent *a, const Meseta__Link__ToAgent__Acknowledge *ack)
{
    struct swarm_task *t = find(a, ack->framework_id->value, ack->task_id->value);
    if (t == NULL || t->queued == 0 || ack->uuid.len != sizeof(t->uuid) ||
        memcmp(ack->uuid.data, t->uuid, sizeof(t->uuid)) != 0)
        return; // of one that was sent twice
    bool was_last = task_state_is_terminal(t->queue[0]);
    list_remove(&t->unacked);
    t->queue[0] = t->queue[1];
    t->queued--;
    if (was_last)
        task_free(t);
    else if (t->queued > 0)
        begin_update(t);
}

void swarm_task_reconcile(struct swarm_agent *a, const Meseta__Link__ToAgent__Reconcile *reconcile)
{
    const char *framework_id = reconcile->framework_id->value;
    for (size_t i = 0; i < reconcile->n_task_ids; i++) {
        if (find(a, framework_id, reconcile->task_ids[i]->value) == NULL)
            say_unknown(a, framework_id, reconcile->task_ids[i]->value,
                        "The agent does not know the task");
    }
}

void swarm_task_shutdown_framework(struct swarm_agent *a, const char *framework_id)
{
    LIST_FOREACH (&a->tasks, struct swarm_task, link, t) {
        if (strcmp(t->framework->info->id->value, framework_id) == 0)
            task_free(t); // nobody is left who would acknowledge an update
    }
}

void swarm_tasks_drop(struct swarm_agent *a, bool all)
{
    LIST_FOREACH (&a->tasks, struct swarm_task, link, t) {
        if (all || !t->framework->is_checkpointing)
            task_free(t);
    }
    a->freed_count = 0;
}

size_t swarm_tasks_describe(struct swarm_agent *a, struct arena *arena,
                            Meseta__Link__FrameworkOnAgent ***ret_frameworks)
{
    struct map by_id = MAP_INIT;
    *ret_frameworks = arena_calloc(arena, a->task_count + 1, sizeof(**ret_frameworks));
    size_t count = 0;
    LIST_FOREACH (&a->tasks, struct swarm_task, link, t) {
        Mesos__V1__FrameworkInfo *info = t->framework->info;
        Meseta__Link__FrameworkOnAgent *f = map_get(&by_id, info->id->value);
        if (f == NULL) {
            f = WIRE_NEW(arena, Meseta__Link__FrameworkOnAgent, meseta__link__framework_on_agent);
            f->info = info;
            f->tasks = arena_calloc(arena, a->task_count, sizeof(*f->tasks));
            (*ret_frameworks)[count++] = f;
            map_put(&by_id, info->id->value, f);
        }
        ProtobufCMessage *message;
        int r = wire_decode(&mesos__v1__task__descriptor, arena, t->packed, t->packed_size,
                            &message, NULL);
        CHECK(r == 0); // we packed it
        Mesos__V1__Task *task = (Mesos__V1__Task *)(void *)message;
        task->state = t->state;
        task->has_status_update_state = t->queued > 0;
        task->status_update_state = t->queue[0];
        task->has_status_update_uuid = t->queued > 0;
        task->status_update_uuid.data = t->uuid;
        task->status_update_uuid.len = sizeof(t->uuid);
        f->tasks[f->n_tasks++] = task;
    }
    map_free(&by_id);
    return count;
}
