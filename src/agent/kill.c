// SPDX-License-Identifier: Apache-2.0
//
// KILL_TASK and the ways to end an executor or a framework.

#include "agent/internal.h"
#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"

void agent_executor_fail(struct agent_executor *executor, Mesos__V1__TaskState state,
                         Mesos__V1__TaskStatus__Reason reason, const char *message)
{
    struct agent *agent = executor->framework->agent;
    log_error("Destroying container %s of executor '%s' of framework %s: %s",
              executor->container_id, executor->id, executor->framework->id, message);
    executor->has_pending_termination = true;
    executor->pending_state = state;
    executor->pending_reason = reason;
    mem_free(executor->pending_message);
    executor->pending_message = mem_strdup(message);
    agent->ops.container_destroy(agent->ctx, executor->container_id);
}

void agent_executor_shutdown(struct agent_executor *executor, struct instant now)
{
    log_info("Shutting down executor '%s' of framework %s", executor->id, executor->framework->id);
    CHECK(executor->state == EXECUTOR_REGISTERING || executor->state == EXECUTOR_RUNNING);
    agent_executor_set_state(executor, EXECUTOR_TERMINATING);
    Mesos__V1__Executor__Event event = MESOS__V1__EXECUTOR__EVENT__INIT;
    event.has_type = true;
    event.type = MESOS__V1__EXECUTOR__EVENT__TYPE__SHUTDOWN;
    agent_executor_send(executor, &event);
    agent_executor_arm_shutdown(executor, now);
}

static void kill_one_queued(struct agent_task *task, const char *message, struct instant now)
{
    struct agent_executor *executor = task->executor;
    struct agent_framework *framework = executor->framework;
    struct own_update update = {
        .framework_id = framework->id,
        .framework = framework,
        .task_id = task->info->task_id->value,
        .executor_id = executor->id,
        .state = MESOS__V1__TASK_STATE__TASK_KILLED,
        .reason = MESOS__V1__TASK_STATUS__REASON__REASON_TASK_KILLED_DURING_LAUNCH,
        .message = message,
    };
    agent_status_make_own(framework->agent, &update, now);
}

// With one task of a group go all of them.
static void kill_queued(struct agent_task *task, struct instant now)
{
    static const char alone[] = "Killed before delivery to the executor";
    struct agent_executor *executor = task->executor;
    uint64_t group = task->group;
    if (group == 0) {
        kill_one_queued(task, alone, now);
        return;
    }
    // Mesos words it so while the executor is awaited, but like a lone task's end later.
    const char *message =
        executor->state == EXECUTOR_REGISTERING
            ? "A task within the task group was killed before delivery to the executor"
            : alone;
    LIST_FOREACH (&executor->queued, struct agent_task, link, other) {
        if (other->group == group) {
            kill_one_queued(other, message, now);
        }
    }
}

static void kill_launched(struct agent_task *task, const Meseta__Link__ToAgent__KillTask *message)
{
    Mesos__V1__Executor__Event__Kill kill = MESOS__V1__EXECUTOR__EVENT__KILL__INIT;
    kill.task_id = message->task_id;
    kill.kill_policy = message->kill_policy;
    Mesos__V1__Executor__Event event = MESOS__V1__EXECUTOR__EVENT__INIT;
    event.has_type = true;
    event.type = MESOS__V1__EXECUTOR__EVENT__TYPE__KILL;
    event.kill = &kill;
    agent_executor_send(task->executor, &event);
}

void agent_kill_task(struct agent *agent, const Meseta__Link__ToAgent__KillTask *message,
                     struct instant now)
{
    const char *task_id = message->task_id->value;
    const char *framework_id = message->framework_id->value;
    log_info("Asked to kill task '%s' of framework %s", task_id, framework_id);
    struct agent_framework *framework = map_get(&agent->frameworks, framework_id);
    if (framework == NULL || framework->is_terminating) {
        log_warning("Ignoring kill task '%s' of framework %s: %s", task_id, framework_id,
                    framework == NULL ? "no such framework is running"
                                      : "the framework is terminating");
        return;
    }
    struct agent_task *task = map_get(&framework->tasks, task_id);
    if (task == NULL) {
        log_warning("Cannot kill task '%s' of framework %s because no corresponding executor is "
                    "running",
                    task_id, framework_id);
        agent_status_drop_task(agent, framework, task_id, NULL,
                               MESOS__V1__TASK_STATUS__REASON__REASON_EXECUTOR_TERMINATED,
                               "Cannot find executor", now);
        return;
    }
    struct agent_executor *executor = task->executor;
    if (executor->state >= EXECUTOR_TERMINATING) {
        log_warning("Ignoring kill task '%s' because its executor is %s", task_id,
                    agent_executor_state_name(executor->state));
    } else if (task->stage == TASK_QUEUED) {
        kill_queued(task, now);
        if (executor->state == EXECUTOR_RUNNING && !executor->was_sent_task &&
            list_is_empty(&executor->queued)) {
            agent_executor_shutdown(executor, now);
        }
    } else if (executor->state == EXECUTOR_RUNNING) {
        kill_launched(task, message);
    }
}

// Tasks that ended and wait for their acknowledgement: none will come. With their updates goes all
// that says of their records that they ended, so they must not be left as they are: they would live
// again in the next process of the agent.
static void complete_ended(struct agent_framework *framework)
{
    MAP_FOREACH (&framework->executors, entry) {
        struct agent_executor *executor = CHECK_CAST(agent_executor, EXECUTOR_MAGIC, entry->value);
        LIST_FOREACH (&executor->terminated, struct agent_task, link, task) {
            agent_task_complete(task);
        }
    }
}

void agent_shutdown_framework(struct agent *agent, struct agent_framework *framework,
                              struct instant now)
{
    // Nobody acknowledges for it any more. What a master asks from now on is answered, and waits
    // for that master: it believes in the framework.
    complete_ended(framework);
    agent_streams_drop_framework(agent, framework->id);
    if (framework->is_terminating) {
        log_warning("Ignoring shutdown framework %s because it is terminating", framework->id);
        return;
    }
    log_info("Shutting down framework %s", framework->id);
    framework->is_terminating = true;
    agent_checkpoint_framework(framework);
    MAP_FOREACH (&framework->executors, entry) {
        struct agent_executor *executor = CHECK_CAST(agent_executor, EXECUTOR_MAGIC, entry->value);
        if (executor->state < EXECUTOR_TERMINATING) {
            agent_executor_shutdown(executor, now);
        } else if (executor->state == EXECUTOR_TERMINATED) {
            agent_executor_remove(executor, now);
        }
    }
    agent_framework_remove_if_idle(framework, now);
}
