// SPDX-License-Identifier: Apache-2.0
//
// RUN_TASK and RUN_TASK_GROUP: finds or makes the executor, queues the tasks, and sends them when
// the executor is there. A group is queued, sent, killed or dropped as a whole.

#include <string.h>

#include "agent/internal.h"
#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "model/framework.h"
#include "model/resources.h"
#include "wire/wire.h"

struct run {
    struct agent *agent;
    struct instant now;
    struct arena *arena; // for the time of the call
    Mesos__V1__TaskInfo **tasks;
    size_t task_count; // not 0
    bool is_group;
    const Mesos__V1__ExecutorInfo *executor_info;
    bool is_generated;
    bool books_executor;   // the master counts on a new executor,
    uint64_t instance;     // with this number,
    bool expects_executor; // or on one that it knows
};

static void drop_tasks(const struct run *run, struct agent_framework *framework,
                       Mesos__V1__TaskStatus__Reason reason, const char *message)
{
    const char *executor_id = run->executor_info->executor_id->value;
    for (size_t i = 0; i < run->task_count; i++) {
        const char *task_id = run->tasks[i]->task_id->value;
        log_warning("Dropping task '%s' of framework %s: %s", task_id, framework->id, message);
        if (framework->is_terminating) {
            agent_status_refuse_task(run->agent, framework, task_id, executor_id, reason, message,
                                     run->now);
        } else if (!map_has(&framework->tasks, task_id)) {
            agent_status_drop_task(run->agent, framework, task_id, executor_id, reason, message,
                                   run->now);
        }
    }
    // The executor that the master booked with the tasks will never be: it may give that back. One
    // that has no number cannot be told from another that lives here.
    const struct agent_executor *executor = map_get(&framework->executors, executor_id);
    if (run->books_executor &&
        (run->instance != 0 || executor == NULL || executor->state == EXECUTOR_TERMINATED)) {
        agent_send_exited(run->agent, framework->info->id, run->executor_info->executor_id,
                          run->instance, -1);
    }
}

static void launch_failed(struct agent_executor *executor, const char *text, struct instant now)
{
    struct agent *agent = executor->framework->agent;
    struct arena *scratch AUTO_ARENA = arena_new(512, 0);
    struct agent_termination termination = {
        .has_reason = true,
        .reason = MESOS__V1__TASK_STATUS__REASON__REASON_CONTAINER_LAUNCH_FAILED,
        .message = arena_printf(scratch, "Failed to launch container: %s", text),
    };
    agent_container_terminated(agent, executor->container_id, &termination, now);
}

static struct agent_executor *start_executor(const struct run *run,
                                             struct agent_framework *framework)
{
    struct agent *agent = run->agent;
    struct error err;
    struct resources *own = NULL;
    if (resources_from_proto(run->executor_info->resources, run->executor_info->n_resources, &own,
                             &err) < 0) {
        drop_tasks(run, framework, MESOS__V1__TASK_STATUS__REASON__REASON_TASK_INVALID, err.text);
        return NULL;
    }
    const char *id = run->executor_info->executor_id->value;
    agent_gc_unschedule(agent, agent_path_executor(agent, framework->id, id, run->arena));
    struct agent_executor *executor =
        agent_executor_new(framework, run->executor_info, run->is_generated);
    agent_executor_allocate_own(executor, own);
    executor->instance = run->instance;
    agent_checkpoint_executor(executor);
    log_info("Launching executor '%s' of framework %s in container %s", id, framework->id,
             executor->container_id);
    return executor;
}

// The executor's container, once its first tasks are queued (whose resources it gets as well).
static void launch_container(const struct run *run, struct agent_executor *executor)
{
    struct agent *agent = run->agent;
    const Mesos__V1__CommandInfo *command = executor->info->command;
    if (command == NULL) {
        command = agent_default_executor_command(agent, run->arena);
    }
    struct agent_volume *volumes;
    size_t volume_count = agent_executor_volumes(executor, run->arena, &volumes);
    struct agent_launch launch = {
        .volumes = volumes,
        .volume_count = volume_count,
        .container_id = executor->container_id,
        .sandbox = executor->directory,
        .latest =
            agent_path_run(agent, executor->framework->id, executor->id, "latest", run->arena),
        .user = executor->user,
        .command = command,
        .environment = agent_environment_make(executor, run->arena),
        .resources = executor->allocated,
        .limits = agent_executor_limits(executor),
        .is_command_task = executor->is_generated,
        .container = executor->info->container,
        .outlives_agent = agent_framework_is_durable(executor->framework),
    };
    struct error err;
    agent_executor_arm_registration(executor, run->now);
    if (agent->ops.container_launch(agent->ctx, &launch, &err) < 0) {
        log_error("Failed to launch container %s: %s", executor->container_id, err.text);
        launch_failed(executor, err.text, run->now);
    }
}

// Limits that the containers of this agent would not be held to.
static const char *find_loose_limit(const struct run *run)
{
    const struct agent_options *options = &run->agent->options;
    for (size_t i = 0; i < run->task_count; i++) {
        struct hard_limits limits = hard_limits_of_task(run->tasks[i]);
        if (limits.cpus != HARD_LIMIT_UNSET && !options->limits_cpus) {
            return "CPU limits can only be set on tasks launched in Mesos containers when the "
                   "agent has loaded the 'cgroups/cpu' isolator";
        }
        if (limits.mem != HARD_LIMIT_UNSET && !options->limits_mem) {
            return "Memory limits can only be set on tasks launched in Mesos containers when the "
                   "agent has loaded the 'cgroups/mem' isolator";
        }
    }
    return NULL;
}

// The master does not know of that executor, else it would not want another one: it goes.
static const char one_too_many[] = "Master wants to launch executor, but one already exists";

// Why the tasks cannot go to the executor of that id, or NULL.
static const char *find_obstacle(const struct run *run, const struct agent_framework *framework,
                                 const struct agent_executor *executor,
                                 Mesos__V1__TaskStatus__Reason *ret_reason)
{
    *ret_reason = MESOS__V1__TASK_STATUS__REASON__REASON_EXECUTOR_TERMINATED;
    if (framework->is_terminating) {
        return "Framework is terminating";
    }
    const char *loose = find_loose_limit(run);
    if (loose != NULL) {
        *ret_reason = MESOS__V1__TASK_STATUS__REASON__REASON_GC_ERROR; // as Mesos has it
        return loose;
    }
    if (run->agent->drain != NULL) {
        *ret_reason = MESOS__V1__TASK_STATUS__REASON__REASON_AGENT_DRAINING;
        return "Task was received while agent was already draining";
    }
    for (size_t i = 0; i < run->task_count; i++) {
        if (!agent_knows_resources(run->agent, run->tasks[i]->resources,
                                   run->tasks[i]->n_resources)) {
            *ret_reason = MESOS__V1__TASK_STATUS__REASON__REASON_RESOURCES_UNKNOWN;
            return "The checkpointed resources being used by the task or task group are unknown to "
                   "the agent";
        }
    }
    if (executor == NULL && !run->is_generated &&
        !agent_knows_resources(run->agent, run->executor_info->resources,
                               run->executor_info->n_resources)) {
        *ret_reason = MESOS__V1__TASK_STATUS__REASON__REASON_RESOURCES_UNKNOWN;
        return "The checkpointed resources being used by the executor are unknown to the agent";
    }
    if (executor == NULL) {
        // If one is expected, it ended and the master did not know yet: nothing is booked for
        // another one.
        return run->expects_executor ? "No executor is expected to launch and there is none running"
                                     : NULL;
    }
    if (run->is_generated) {
        *ret_reason = MESOS__V1__TASK_STATUS__REASON__REASON_TASK_INVALID;
        return "Cannot reuse an already existing executor for a command task";
    }
    if (run->books_executor) {
        return one_too_many;
    }
    if (executor->state >= EXECUTOR_TERMINATING) {
        return executor->state == EXECUTOR_TERMINATING ? "Executor terminating"
                                                       : "Executor terminated";
    }
    return NULL;
}

// All that the tasks use, each in an object of its own; in the run's arena. The tasks say it in the
// new form then. False: they were dropped.
static bool read_resources(const struct run *run, struct agent_framework *framework,
                           struct resources ***ret_resources)
{
    struct resources **resources = arena_calloc(run->arena, run->task_count, sizeof(resources[0]));
    for (size_t i = 0; i < run->task_count; i++) {
        struct error err;
        Mesos__V1__TaskInfo *task = run->tasks[i];
        if (resources_from_proto(task->resources, task->n_resources, &resources[i], &err) < 0) {
            while (i-- > 0) {
                resources_free(resources[i]);
            }
            drop_tasks(run, framework, MESOS__V1__TASK_STATUS__REASON__REASON_TASK_INVALID,
                       err.text);
            return false;
        }
        task->n_resources = resources_to_proto(resources[i], run->arena, RESOURCES_NEW_FORM, true,
                                               &task->resources);
    }
    *ret_resources = resources;
    return true;
}

static void queue_tasks(const struct run *run, struct agent_framework *framework)
{
    const char *executor_id = run->executor_info->executor_id->value;
    struct agent_executor *executor = map_get(&framework->executors, executor_id);
    Mesos__V1__TaskStatus__Reason reason;
    const char *obstacle = find_obstacle(run, framework, executor, &reason);
    if (obstacle != NULL) {
        drop_tasks(run, framework, reason, obstacle);
        if (obstacle == one_too_many && !executor->is_generated &&
            executor->state < EXECUTOR_TERMINATING) {
            agent_executor_shutdown(executor, run->now);
        }
        return;
    }
    struct resources **resources;
    if (!read_resources(run, framework, &resources)) {
        return;
    }
    bool is_new = executor == NULL;
    if (is_new) {
        executor = start_executor(run, framework);
        if (executor == NULL) {
            for (size_t i = 0; i < run->task_count; i++) {
                resources_free(resources[i]);
            }
            return;
        }
    }
    uint64_t group = run->is_group ? ++run->agent->group_count : 0;
    for (size_t i = 0; i < run->task_count; i++) {
        struct agent_task *task = agent_task_new(executor, run->tasks[i], resources[i]);
        task->group = group;
        agent_checkpoint_task(task);
    }
    if (is_new) {
        launch_container(run, executor);
    } else if (executor->state == EXECUTOR_RUNNING) {
        agent_executor_send_queued(executor, run->now);
    }
}

static struct agent_framework *find_framework(struct agent *agent,
                                              const Mesos__V1__FrameworkInfo *info,
                                              struct arena *arena)
{
    struct agent_framework *framework = map_get(&agent->frameworks, info->id->value);
    if (framework == NULL) {
        agent_gc_unschedule(agent, agent_path_framework(agent, info->id->value, arena));
        framework = agent_framework_new(agent, info);
        agent_checkpoint_framework(framework);
    }
    return framework;
}

// False, after a line in the log: the master speaks to an agent that is not there any more.
static bool is_addressed(const struct agent *agent, const Mesos__V1__FrameworkInfo *info,
                         const Mesos__V1__TaskInfo *task)
{
    const char *task_id = task->task_id->value;
    if (agent->state != AGENT_REGISTERED || agent->is_resetting || info->id == NULL) {
        log_warning("Ignoring running task '%s': the agent is not registered", task_id);
        return false;
    }
    if (strcmp(task->agent_id->value, agent->info->id->value) != 0) {
        log_warning("Ignoring running task '%s' because it was intended for old agent %s", task_id,
                    task->agent_id->value);
        return false;
    }
    log_debug("Got assigned task '%s' for framework %s", task_id, info->id->value);
    return true;
}

// Fills in what a task and its executor lack. `role` NULL: the framework's one role, as in Mesos.
static void complete_task(const struct agent_framework *framework, Mesos__V1__TaskInfo *task,
                          const char *role, struct arena *arena)
{
    const char **roles;
    if (role == NULL) {
        role = framework_roles(framework->info, arena, &roles) > 0 ? roles[0] : "*";
    }
    resources_complete_messages(task->resources, task->n_resources, role, arena);
    if (task->executor != NULL) {
        resources_complete_messages(task->executor->resources, task->executor->n_resources, role,
                                    arena);
        if (task->executor->framework_id == NULL) {
            task->executor->framework_id = framework->info->id;
        }
    }
}

void agent_run_task(struct agent *agent, const Meseta__Link__ToAgent__RunTask *message,
                    struct instant now)
{
    const Mesos__V1__FrameworkInfo *info = message->framework_info;
    const char *task_id = message->task->task_id->value;
    if (!is_addressed(agent, info, message->task)) {
        return;
    }
    struct arena *arena AUTO_ARENA = arena_new(8192, 0);
    struct agent_framework *framework = find_framework(agent, info, arena);
    if (map_has(&framework->tasks, task_id)) {
        log_warning("Ignoring running task '%s' of framework %s: it is here already", task_id,
                    framework->id);
        return;
    }
    struct run run = {.agent = agent, .now = now, .arena = arena, .task_count = 1};
    if (message->has_launch_executor) {
        run.books_executor = message->launch_executor;
        run.expects_executor = !message->launch_executor;
        run.instance = message->executor_instance;
    }
    Mesos__V1__TaskInfo *task = WIRE_COPY(arena, Mesos__V1__TaskInfo, message->task);
    run.tasks = &task;
    complete_task(framework, task, message->role, arena);
    if (task->executor != NULL) {
        run.executor_info = task->executor;
    } else if (task->command != NULL) {
        run.is_generated = true;
        run.executor_info = agent_executor_info_generate(agent, framework->info, task, arena);
    }
    CHECK(run.executor_info != NULL); // the master lets only such tasks pass
    queue_tasks(&run, framework);
    agent_framework_remove_if_idle(framework, now);
}

// One that runs here, or one that is there twice.
static bool has_known_task(const struct agent_framework *framework, const struct run *run)
{
    struct map seen = MAP_INIT;
    bool found = false;
    for (size_t i = 0; i < run->task_count && !found; i++) {
        const char *task_id = run->tasks[i]->task_id->value;
        found = map_has(&framework->tasks, task_id) || map_has(&seen, task_id);
        map_put(&seen, task_id, run->tasks[i]);
    }
    map_free(&seen);
    return found;
}

void agent_run_task_group(struct agent *agent, const Meseta__Link__ToAgent__RunTaskGroup *message,
                          struct instant now)
{
    const Mesos__V1__FrameworkInfo *info = message->framework_info;
    for (size_t i = 0; i < message->task_group->n_tasks; i++) {
        if (!is_addressed(agent, info, message->task_group->tasks[i])) {
            return;
        }
    }
    struct arena *arena AUTO_ARENA = arena_new(8192, 0);
    struct agent_framework *framework = find_framework(agent, info, arena);
    Mesos__V1__TaskGroupInfo *group =
        WIRE_COPY(arena, Mesos__V1__TaskGroupInfo, message->task_group);
    struct run run = {
        .agent = agent,
        .now = now,
        .arena = arena,
        .tasks = group->tasks,
        .task_count = group->n_tasks,
        .is_group = true,
        .books_executor = message->launch_executor,
        .instance = message->executor_instance,
        .expects_executor = !message->launch_executor,
    };
    Mesos__V1__ExecutorInfo *executor =
        WIRE_COPY(arena, Mesos__V1__ExecutorInfo, message->executor_info);
    run.executor_info = executor;
    for (size_t i = 0; i < run.task_count; i++) {
        run.tasks[i]->executor = executor;
        complete_task(framework, run.tasks[i], NULL, arena);
    }
    if (has_known_task(framework, &run)) {
        drop_tasks(&run, framework, MESOS__V1__TASK_STATUS__REASON__REASON_TASK_INVALID,
                   "A task of the task group is here already");
    } else {
        queue_tasks(&run, framework);
    }
    agent_framework_remove_if_idle(framework, now);
}

static void send_launch(struct agent_executor *executor, struct agent_task *task)
{
    agent_task_set_stage(task, TASK_LAUNCHED);
    executor->was_sent_task = true;
    log_debug("Sending queued task '%s' to executor '%s' of framework %s",
              task->info->task_id->value, executor->id, executor->framework->id);
    Mesos__V1__Executor__Event__Launch launch = MESOS__V1__EXECUTOR__EVENT__LAUNCH__INIT;
    launch.task = task->info;
    Mesos__V1__Executor__Event event = MESOS__V1__EXECUTOR__EVENT__INIT;
    event.has_type = true;
    event.type = MESOS__V1__EXECUTOR__EVENT__TYPE__LAUNCH;
    event.launch = &launch;
    agent_executor_send(executor, &event);
}

// All of the group; they stand in the queue one behind the other.
static void send_launch_group(struct agent_executor *executor, uint64_t number)
{
    struct arena *arena AUTO_ARENA = arena_new(512, 0);
    size_t capacity = 0;
    LIST_FOREACH (&executor->queued, struct agent_task, link, counted) {
        capacity += counted->group == number;
    }
    Mesos__V1__TaskGroupInfo group = MESOS__V1__TASK_GROUP_INFO__INIT;
    group.tasks = arena_calloc(arena, capacity, sizeof(group.tasks[0]));
    LIST_FOREACH (&executor->queued, struct agent_task, link, task) {
        if (task->group == number) {
            group.tasks[group.n_tasks++] = task->info;
            agent_task_set_stage(task, TASK_LAUNCHED);
        }
    }
    executor->was_sent_task = true;
    log_debug("Sending queued task group of %zu tasks to executor '%s' of framework %s",
              group.n_tasks, executor->id, executor->framework->id);
    Mesos__V1__Executor__Event__LaunchGroup launch_group =
        MESOS__V1__EXECUTOR__EVENT__LAUNCH_GROUP__INIT;
    launch_group.task_group = &group;
    Mesos__V1__Executor__Event event = MESOS__V1__EXECUTOR__EVENT__INIT;
    event.has_type = true;
    event.type = MESOS__V1__EXECUTOR__EVENT__TYPE__LAUNCH_GROUP;
    event.launch_group = &launch_group;
    agent_executor_send(executor, &event);
}

void agent_executor_send_queued(struct agent_executor *executor, struct instant now)
{
    (void)now;
    if (list_is_empty(&executor->queued)) {
        return;
    }
    // A generated executor's container has had its one task's resources from the start.
    struct error err;
    if (!executor->is_generated && (agent_executor_update_container(executor, &err) < 0 ||
                                    agent_executor_update_volumes(executor, &err) < 0)) {
        struct arena *scratch AUTO_ARENA = arena_new(512, 0);
        agent_executor_fail(
            executor,
            agent_framework_is_partition_aware(executor->framework)
                ? MESOS__V1__TASK_STATE__TASK_GONE
                : MESOS__V1__TASK_STATE__TASK_LOST,
            MESOS__V1__TASK_STATUS__REASON__REASON_CONTAINER_UPDATE_FAILED,
            arena_printf(scratch, "Failed to update resources for container: %s", err.text));
        return;
    }
    while (!list_is_empty(&executor->queued)) {
        struct agent_task *task = LIST_ENTRY(executor->queued.next, struct agent_task, link);
        if (task->group == 0) {
            send_launch(executor, task);
        } else {
            send_launch_group(executor, task->group);
        }
    }
}
