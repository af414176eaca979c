// SPDX-License-Identifier: Apache-2.0
//
// Frameworks, executors, tasks and statuses as objects: made, moved between lists, freed. Counters
// of states are kept here and nowhere else.

#include <string.h>

#include "agent/internal.h"
#include "base/check.h"
#include "base/mem.h"
#include "model/framework.h"
#include "model/task_state.h"
#include "wire/wire.h"

// ---- statuses ----

struct agent_status *agent_status_ref(struct agent_status *status)
{
    status->references++;
    return status;
}

struct agent_status *agent_status_unref(struct agent_status *status)
{
    if (status != NULL && --status->references == 0) {
        arena_free(status->arena);
        mem_free(status);
    }
    return NULL;
}

// ---- tasks ----

static struct agent *task_agent(const struct agent_task *task)
{
    return task->executor->framework->agent;
}

static bool task_is_live(const struct agent_task *task)
{
    return task->stage == TASK_QUEUED || task->stage == TASK_LAUNCHED;
}

void agent_task_allocate(struct agent_task *task)
{
    struct agent_executor *executor = task->executor;
    struct hard_limits limits = hard_limits_of_task(task->info);
    resources_add(executor->allocated, task->resources);
    hard_limit_sum_add(&executor->cpus_limit, limits.cpus,
                       resources_scalar(task->resources, "cpus"));
    hard_limit_sum_add(&executor->mem_limit, limits.mem, resources_scalar(task->resources, "mem"));
}

static void task_deallocate(struct agent_task *task)
{
    struct agent_executor *executor = task->executor;
    struct hard_limits limits = hard_limits_of_task(task->info);
    // A damaged record may have brought back a task whose port another one has by now: what both
    // have is in the sum but once.
    resources_subtract_available(executor->allocated, task->resources);
    hard_limit_sum_subtract(&executor->cpus_limit, limits.cpus,
                            resources_scalar(task->resources, "cpus"));
    hard_limit_sum_subtract(&executor->mem_limit, limits.mem,
                            resources_scalar(task->resources, "mem"));
}

struct hard_limits agent_executor_limits(const struct agent_executor *executor)
{
    struct hard_limits limits = {
        .cpus = hard_limit_sum_total(&executor->cpus_limit, executor->own_cpus),
        .mem = hard_limit_sum_total(&executor->mem_limit, executor->own_mem),
    };
    // Tasks without a limit may use what is idle, unless cpus are a hard limit for all.
    if (executor->cpus_limit.request > 0 && !executor->framework->agent->options.enables_cfs) {
        limits.cpus = HARD_LIMIT_UNSET;
    }
    return limits;
}

void agent_executor_allocate_own(struct agent_executor *executor, struct resources *own)
{
    executor->allocated = own;
    executor->own_cpus = resources_scalar(own, "cpus");
    executor->own_mem = resources_scalar(own, "mem");
}

struct agent_task *agent_task_new(struct agent_executor *executor, const Mesos__V1__TaskInfo *info,
                                  struct resources *resources)
{
    struct agent_task *task = mem_zalloc(sizeof(*task));
    list_init(&task->link);
    task->executor = executor;
    task->arena = arena_new(2048, 0);
    task->info = WIRE_COPY(task->arena, Mesos__V1__TaskInfo, info);
    task->resources = resources;
    task->stage = TASK_QUEUED;
    task->state = MESOS__V1__TASK_STATE__TASK_STAGING;
    task_agent(task)->task_states[task->state]++;
    if (!task_agent(task)->is_loading) {
        agent_task_allocate(task);
    }
    list_append(&executor->queued, &task->link);
    map_put(&executor->framework->tasks, task->info->task_id->value, task);
    executor->uses_volumes |= agent_names_volume(info->resources, info->n_resources);
    return task;
}

struct agent_task *agent_task_free(struct agent_task *task)
{
    if (task == NULL) {
        return NULL;
    }
    if (task_is_live(task)) {
        task_agent(task)->task_states[task->state]--;
    }
    list_remove(&task->link);
    for (size_t i = 0; i < task->status_count; i++) {
        agent_status_unref(task->statuses[i]);
    }
    mem_free(task->statuses);
    resources_free(task->resources);
    arena_free(task->arena);
    mem_free(task);
    return NULL;
}

void agent_task_set_stage(struct agent_task *task, enum agent_task_stage stage)
{
    struct agent_executor *executor = task->executor;
    bool was_live = task_is_live(task);
    task->stage = stage;
    list_remove(&task->link);
    struct list *lists[] = {
        [TASK_QUEUED] = &executor->queued,
        [TASK_LAUNCHED] = &executor->launched,
        [TASK_TERMINATED] = &executor->terminated,
        [TASK_COMPLETED] = &executor->completed,
    };
    list_append(lists[stage], &task->link);
    if (was_live && !task_is_live(task)) {
        task_agent(task)->task_states[task->state]--;
        if (!task_agent(task)->is_loading) {
            task_deallocate(task);
        }
    }
}

void agent_task_set_state(struct agent_task *task, Mesos__V1__TaskState state)
{
    if (task_is_live(task)) {
        task_agent(task)->task_states[task->state]--;
        task_agent(task)->task_states[state]++;
    }
    task->state = state;
}

void agent_task_note_forwarded(struct agent_task *task, const Mesos__V1__TaskStatus *status)
{
    task->has_forwarded = true;
    task->forwarded_state = status->state;
    memcpy(task->forwarded_uuid, status->uuid.data, UUID_SIZE);
}

void agent_task_complete(struct agent_task *task)
{
    struct agent_executor *executor = task->executor;
    map_remove(&executor->framework->tasks, task->info->task_id->value);
    agent_task_set_stage(task, TASK_COMPLETED);
    agent_checkpoint_task(task);
    if (++executor->completed_count > AGENT_COMPLETED_TASKS_MAX) {
        struct agent_task *oldest = LIST_ENTRY(executor->completed.next, struct agent_task, link);
        agent_checkpoint_drop_task(oldest);
        agent_task_free(oldest);
        executor->completed_count--;
    }
}

static char *task_user(const Mesos__V1__TaskInfo *info)
{
    if (info->command != NULL && info->command->user != NULL) {
        return info->command->user;
    }
    if (info->executor != NULL && info->executor->command != NULL) {
        return info->executor->command->user;
    }
    return NULL;
}

static void copy_limits(Mesos__V1__Task *message, const Mesos__V1__TaskInfo *info,
                        struct arena *arena)
{
    message->limits = arena_calloc(arena, info->n_limits + 1, sizeof(message->limits[0]));
    for (size_t i = 0; i < info->n_limits; i++) {
        Mesos__V1__Task__LimitsEntry *entry =
            WIRE_NEW(arena, Mesos__V1__Task__LimitsEntry, mesos__v1__task__limits_entry);
        entry->key = info->limits[i]->key;
        entry->value = info->limits[i]->value;
        message->limits[message->n_limits++] = entry;
    }
}

Mesos__V1__Task *agent_task_message(const struct agent_task *task, struct arena *arena)
{
    const Mesos__V1__TaskInfo *info = task->info;
    Mesos__V1__Task *message = WIRE_NEW(arena, Mesos__V1__Task, mesos__v1__task);
    message->name = info->name;
    message->task_id = info->task_id;
    message->framework_id = task->executor->framework->info->id;
    message->executor_id = info->executor != NULL ? info->executor->executor_id : NULL;
    message->agent_id = info->agent_id;
    message->state = task->state;
    message->n_resources = info->n_resources;
    message->resources = info->resources;
    message->labels = info->labels;
    message->discovery = info->discovery;
    message->container = info->container;
    message->health_check = info->health_check;
    message->kill_policy = info->kill_policy;
    message->user = task_user(info);
    copy_limits(message, info, arena);
    message->n_statuses = task->status_count;
    message->statuses =
        arena_calloc(arena, task->status_count + 1, sizeof(Mesos__V1__TaskStatus *));
    for (size_t i = 0; i < task->status_count; i++) {
        message->statuses[i] = task->statuses[i]->message;
    }
    if (task->has_forwarded) {
        message->has_status_update_state = true;
        message->status_update_state = task->forwarded_state;
        message->has_status_update_uuid = true;
        message->status_update_uuid.len = UUID_SIZE;
        message->status_update_uuid.data = arena_dup(arena, task->forwarded_uuid, UUID_SIZE);
    }
    return message;
}

// ---- executors ----

const char *agent_executor_state_name(enum agent_executor_state state)
{
    static const char *const names[] = {"REGISTERING", "RUNNING", "TERMINATING", "TERMINATED"};
    CHECK(state < EXECUTOR_STATES);
    return names[state];
}

struct agent_executor *agent_executor_new(struct agent_framework *framework,
                                          const Mesos__V1__ExecutorInfo *info, bool is_generated)
{
    struct agent *agent = framework->agent;
    struct agent_executor *executor = mem_zalloc(sizeof(*executor));
    executor->magic = EXECUTOR_MAGIC;
    list_init(&executor->link);
    list_init(&executor->queued);
    list_init(&executor->launched);
    list_init(&executor->terminated);
    list_init(&executor->completed);
    executor->framework = framework;
    executor->arena = arena_new(2048, 0);
    executor->info = WIRE_COPY(executor->arena, Mesos__V1__ExecutorInfo, info);
    executor->id = executor->info->executor_id->value;
    executor->is_generated = is_generated;
    executor->uses_volumes = agent_names_volume(info->resources, info->n_resources);
    executor->state = EXECUTOR_REGISTERING;
    agent->executor_states[executor->state]++;
    struct uuid uuid = uuid_random(&agent->prng);
    uuid_text(&uuid, executor->container_id);
    if (agent->options.switch_user) {
        const char *user = framework->info->user;
        if (info->command != NULL && info->command->user != NULL) {
            user = info->command->user;
        }
        executor->user = user != NULL && *user != '\0' ? mem_strdup(user) : NULL;
    }
    struct arena *scratch AUTO_ARENA = arena_new(512, 0);
    executor->directory = mem_strdup(
        agent_path_run(agent, framework->id, executor->id, executor->container_id, scratch));
    map_put(&framework->executors, executor->id, executor);
    map_put(&agent->containers, executor->container_id, executor);
    return executor;
}

static void free_tasks(struct list *tasks)
{
    LIST_FOREACH (tasks, struct agent_task, link, task) {
        agent_task_free(task);
    }
}

struct agent_executor *agent_executor_free(struct agent_executor *executor)
{
    if (executor == NULL) {
        return NULL;
    }
    struct agent *agent = executor->framework->agent;
    timer_cancel(&agent->timers, &executor->timer);
    timer_cancel(&agent->timers, &executor->heartbeat);
    if (executor->state != EXECUTOR_TERMINATED) {
        agent->executor_states[executor->state]--;
    }
    map_remove(&agent->containers, executor->container_id);
    list_remove(&executor->link);
    free_tasks(&executor->queued);
    free_tasks(&executor->launched);
    free_tasks(&executor->terminated);
    free_tasks(&executor->completed);
    resources_free(executor->allocated);
    mem_free(executor->directory);
    mem_free(executor->user);
    mem_free(executor->pending_message);
    arena_free(executor->arena);
    executor->magic = 0;
    mem_free(executor);
    return NULL;
}

void agent_executor_set_state(struct agent_executor *executor, enum agent_executor_state state)
{
    struct agent *agent = executor->framework->agent;
    CHECK(executor->state != EXECUTOR_TERMINATED);
    agent->executor_states[executor->state]--;
    executor->state = state;
    if (state != EXECUTOR_TERMINATED) {
        agent->executor_states[state]++;
    }
}

bool agent_executor_has_incomplete_tasks(const struct agent_executor *executor)
{
    return !list_is_empty(&executor->queued) || !list_is_empty(&executor->launched) ||
           !list_is_empty(&executor->terminated);
}

// ---- frameworks ----

void agent_framework_set_info(struct agent_framework *framework,
                              const Mesos__V1__FrameworkInfo *info)
{
    struct arena *arena = arena_new(1024, 0);
    framework->info = WIRE_COPY(arena, Mesos__V1__FrameworkInfo, info);
    framework->id = framework->info->id->value;
    framework->capabilities = framework_capabilities(framework->info);
    arena_free(framework->arena);
    framework->arena = arena;
}

bool agent_framework_is_partition_aware(const struct agent_framework *framework)
{
    return FRAMEWORK_HAS(framework->capabilities, PARTITION_AWARE);
}

// The executors of a completed framework of that id are shown again under the new one.
static void adopt_completed(struct agent_framework *framework)
{
    struct agent *agent = framework->agent;
    LIST_FOREACH (&agent->completed_frameworks, struct agent_framework, link, old) {
        if (strcmp(old->id, framework->id) != 0) {
            continue;
        }
        LIST_FOREACH (&old->completed_executors, struct agent_executor, link, executor) {
            list_remove(&executor->link);
            list_append(&framework->completed_executors, &executor->link);
            executor->framework = framework;
        }
        framework->completed_executor_count = old->completed_executor_count;
        agent_framework_free(old);
        agent->completed_framework_count--;
        return;
    }
}

struct agent_framework *agent_framework_new(struct agent *agent,
                                            const Mesos__V1__FrameworkInfo *info)
{
    struct agent_framework *framework = mem_zalloc(sizeof(*framework));
    framework->magic = FRAMEWORK_MAGIC;
    list_init(&framework->link);
    list_init(&framework->completed_executors);
    framework->agent = agent;
    agent_framework_set_info(framework, info);
    adopt_completed(framework);
    map_put(&agent->frameworks, framework->id, framework);
    return framework;
}

struct agent_framework *agent_framework_free(struct agent_framework *framework)
{
    if (framework == NULL) {
        return NULL;
    }
    list_remove(&framework->link);
    MAP_FOREACH (&framework->executors, entry) {
        agent_executor_free(CHECK_CAST(agent_executor, EXECUTOR_MAGIC, entry->value));
    }
    LIST_FOREACH (&framework->completed_executors, struct agent_executor, link, executor) {
        agent_executor_free(executor);
    }
    map_free(&framework->executors);
    map_free(&framework->tasks);
    arena_free(framework->arena);
    framework->magic = 0;
    mem_free(framework);
    return NULL;
}
