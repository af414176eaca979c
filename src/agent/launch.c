// SPDX-License-Identifier: Apache-2.0
//
// RUN_TASK: finds or makes the executor, queues the task, and sends it when the executor is there.

#include <string.h>

#include "agent/internal.h"
#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "model/framework.h"
#include "wire/wire.h"

// Mesos gives what lacks it the framework's one role.
static void inject_allocation(Mesos__V1__Resource **resources, size_t count, const char *role,
                              struct arena *arena)
{
    for (size_t i = 0; i < count; i++) {
        if (resources[i]->allocation_info == NULL) {
            resources[i]->allocation_info = WIRE_NEW(arena, Mesos__V1__Resource__AllocationInfo,
                                                     mesos__v1__resource__allocation_info);
            resources[i]->allocation_info->role = arena_strdup(arena, role);
        }
    }
}

struct run {
    struct agent *agent;
    struct instant now;
    struct arena *arena; // for the time of the call
    Mesos__V1__TaskInfo *task;
    const Mesos__V1__ExecutorInfo *executor_info;
    bool is_generated;
    bool books_executor;   // the master counts on a new executor,
    bool expects_executor; // or on one that it knows
};

static void drop_task(const struct run *run, struct agent_framework *framework,
                      Mesos__V1__TaskStatus__Reason reason, const char *message)
{
    log_warning("Dropping task '%s' of framework %s: %s", run->task->task_id->value, framework->id,
                message);
    const char *task_id = run->task->task_id->value;
    const char *executor_id = run->executor_info->executor_id->value;
    if (framework->is_terminating) {
        agent_status_refuse_task(run->agent, framework, task_id, executor_id, reason, message,
                                 run->now);
    } else {
        agent_status_drop_task(run->agent, framework, task_id, executor_id, reason, message,
                               run->now);
    }
    // The executor that the master booked with the task will never be: it may give that back.
    const struct agent_executor *executor = map_get(&framework->executors, executor_id);
    if (run->books_executor && (executor == NULL || executor->state == EXECUTOR_TERMINATED)) {
        agent_send_exited(run->agent, framework->info->id, run->executor_info->executor_id, -1);
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
        drop_task(run, framework, MESOS__V1__TASK_STATUS__REASON__REASON_TASK_INVALID, err.text);
        return NULL;
    }
    const char *id = run->executor_info->executor_id->value;
    agent_gc_unschedule(agent, agent_path_executor(agent, framework->id, id, run->arena));
    struct agent_executor *executor =
        agent_executor_new(framework, run->executor_info, run->is_generated);
    executor->allocated = own;
    agent_checkpoint_executor(executor);
    log_info("Launching executor '%s' of framework %s in container %s", id, framework->id,
             executor->container_id);
    return executor;
}

// The executor's container, once its first task is queued (whose resources it gets as well).
static void launch_container(const struct run *run, struct agent_executor *executor)
{
    struct agent *agent = run->agent;
    struct agent_launch launch = {
        .container_id = executor->container_id,
        .sandbox = executor->directory,
        .latest =
            agent_path_run(agent, executor->framework->id, executor->id, "latest", run->arena),
        .user = executor->user,
        .command = executor->info->command,
        .environment = agent_environment_make(executor, run->arena),
        .resources = executor->allocated,
        .outlives_agent = agent_framework_is_durable(executor->framework),
    };
    struct error err;
    agent_executor_arm_registration(executor, run->now);
    if (agent->ops.container_launch(agent->ctx, &launch, &err) < 0) {
        log_error("Failed to launch container %s: %s", executor->container_id, err.text);
        launch_failed(executor, err.text, run->now);
    }
}

static void queue_task(const struct run *run, struct agent_framework *framework)
{
    struct error err;
    struct resources *resources = NULL;
    if (resources_from_proto(run->task->resources, run->task->n_resources, &resources, &err) < 0) {
        drop_task(run, framework, MESOS__V1__TASK_STATUS__REASON__REASON_TASK_INVALID, err.text);
        return;
    }
    const char *executor_id = run->executor_info->executor_id->value;
    struct agent_executor *executor = map_get(&framework->executors, executor_id);
    if (framework->is_terminating) {
        drop_task(run, framework, MESOS__V1__TASK_STATUS__REASON__REASON_EXECUTOR_TERMINATED,
                  "Framework is terminating");
        resources_free(resources);
        return;
    }
    if (executor == NULL && run->expects_executor) {
        // It ended, and the master did not know yet: nothing is booked for another one.
        drop_task(run, framework, MESOS__V1__TASK_STATUS__REASON__REASON_EXECUTOR_TERMINATED,
                  "Executor terminated");
        resources_free(resources);
        return;
    }
    if (executor != NULL && run->is_generated) {
        drop_task(run, framework, MESOS__V1__TASK_STATUS__REASON__REASON_TASK_INVALID,
                  "Cannot reuse an already existing executor for a command task");
        resources_free(resources);
        return;
    }
    if (executor != NULL && executor->state >= EXECUTOR_TERMINATING) {
        drop_task(run, framework, MESOS__V1__TASK_STATUS__REASON__REASON_EXECUTOR_TERMINATED,
                  executor->state == EXECUTOR_TERMINATING ? "Executor terminating"
                                                          : "Executor terminated");
        resources_free(resources);
        return;
    }
    bool is_new = executor == NULL;
    if (is_new) {
        executor = start_executor(run, framework);
        if (executor == NULL) {
            resources_free(resources);
            return;
        }
    }
    agent_checkpoint_task(agent_task_new(executor, run->task, resources));
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

void agent_run_task(struct agent *agent, const Meseta__Link__ToAgent__RunTask *message,
                    struct instant now)
{
    const Mesos__V1__FrameworkInfo *info = message->framework_info;
    const char *task_id = message->task->task_id->value;
    if (agent->state != AGENT_REGISTERED || agent->is_resetting || info->id == NULL) {
        log_warning("Ignoring running task '%s': the agent is not registered", task_id);
        return;
    }
    if (strcmp(message->task->agent_id->value, agent->info->id->value) != 0) {
        log_warning("Ignoring running task '%s' because it was intended for old agent %s", task_id,
                    message->task->agent_id->value);
        return;
    }
    log_debug("Got assigned task '%s' for framework %s", task_id, info->id->value);
    struct arena *arena AUTO_ARENA = arena_new(8192, 0);
    struct agent_framework *framework = find_framework(agent, info, arena);
    if (map_has(&framework->tasks, task_id)) {
        log_warning("Ignoring running task '%s' of framework %s: it is here already", task_id,
                    framework->id);
        return;
    }
    struct run run = {.agent = agent, .now = now, .arena = arena};
    if (message->has_launch_executor) {
        run.books_executor = message->launch_executor;
        run.expects_executor = !message->launch_executor;
    }
    run.task = WIRE_COPY(arena, Mesos__V1__TaskInfo, message->task);
    const char **roles;
    const char *role = framework_roles(framework->info, arena, &roles) > 0 ? roles[0] : "*";
    inject_allocation(run.task->resources, run.task->n_resources, role, arena);
    if (run.task->executor != NULL) {
        inject_allocation(run.task->executor->resources, run.task->executor->n_resources, role,
                          arena);
        run.executor_info = run.task->executor;
        if (run.task->executor->framework_id == NULL) {
            run.task->executor->framework_id = framework->info->id;
        }
    } else if (run.task->command != NULL) {
        run.is_generated = true;
        run.executor_info = agent_executor_info_generate(agent, framework->info, run.task, arena);
    }
    CHECK(run.executor_info != NULL); // the master lets only such tasks pass
    queue_task(&run, framework);
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

void agent_executor_send_queued(struct agent_executor *executor, struct instant now)
{
    (void)now;
    struct agent *agent = executor->framework->agent;
    if (list_is_empty(&executor->queued)) {
        return;
    }
    // A generated executor's container has had its one task's resources from the start.
    struct error err;
    if (!executor->is_generated && agent->ops.container_update(agent->ctx, executor->container_id,
                                                               executor->allocated, &err) < 0) {
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
    LIST_FOREACH (&executor->queued, struct agent_task, link, task) {
        send_launch(executor, task);
    }
}
