// SPDX-License-Identifier: Apache-2.0
//
// The executor API, and what happens when an executor's container starts and ends.

#include <string.h>

#include "agent/internal.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "model/task_state.h"
#include "model/validate.h"
#include "wire/wire.h"

#define HEARTBEAT_INTERVAL_NS (30 * 60 * NS_PER_S)

void agent_executor_send(struct agent_executor *executor, const Mesos__V1__Executor__Event *event)
{
    struct agent *agent = executor->framework->agent;
    if (executor->stream == NULL) {
        log_warning("Unable to send event to executor '%s' of framework %s: it is not connected",
                    executor->id, executor->framework->id);
        return;
    }
    agent->ops.send_event(agent->ctx, executor->stream, event);
}

static void send_shutdown(struct agent *agent, void *stream)
{
    Mesos__V1__Executor__Event event = MESOS__V1__EXECUTOR__EVENT__INIT;
    event.has_type = true;
    event.type = MESOS__V1__EXECUTOR__EVENT__TYPE__SHUTDOWN;
    agent->ops.send_event(agent->ctx, stream, &event);
    agent->ops.close_stream(agent->ctx, stream);
}

static struct agent_executor *find_executor(const struct agent *agent, const char *framework_id,
                                            const char *executor_id)
{
    struct agent_framework *framework = map_get(&agent->frameworks, framework_id);
    return framework == NULL ? NULL : map_get(&framework->executors, executor_id);
}

// ---- timers ----

static void registration_timeout(struct timer *timer, struct instant now)
{
    (void)now;
    struct agent_executor *executor = CONTAINER_OF(timer, struct agent_executor, timer);
    if (executor->state != EXECUTOR_REGISTERING) {
        return;
    }
    struct buf text AUTO_BUF = BUF_INIT;
    buf_puts(&text, "Executor did not register within ");
    text_put_duration(&text, executor->framework->agent->options.executor_registration_timeout_ns);
    agent_executor_set_state(executor, EXECUTOR_TERMINATING);
    agent_executor_fail(executor, MESOS__V1__TASK_STATE__TASK_FAILED,
                        MESOS__V1__TASK_STATUS__REASON__REASON_EXECUTOR_REGISTRATION_TIMEOUT,
                        text.data);
}

static void shutdown_timeout(struct timer *timer, struct instant now)
{
    (void)now;
    struct agent_executor *executor = CONTAINER_OF(timer, struct agent_executor, timer);
    struct agent *agent = executor->framework->agent;
    if (executor->state == EXECUTOR_TERMINATING) {
        log_info("Killing executor '%s' of framework %s", executor->id, executor->framework->id);
        agent->ops.container_destroy(agent->ctx, executor->container_id);
    }
}

static void heartbeat_due(struct timer *timer, struct instant now)
{
    struct agent_executor *executor = CONTAINER_OF(timer, struct agent_executor, heartbeat);
    if (executor->stream == NULL) {
        return;
    }
    Mesos__V1__Executor__Event event = MESOS__V1__EXECUTOR__EVENT__INIT;
    event.has_type = true;
    event.type = MESOS__V1__EXECUTOR__EVENT__TYPE__HEARTBEAT;
    agent_executor_send(executor, &event);
    timer_set(&executor->framework->agent->timers, timer, now.mono + HEARTBEAT_INTERVAL_NS);
}

void agent_executor_arm_registration(struct agent_executor *executor, struct instant now)
{
    struct agent *agent = executor->framework->agent;
    executor->timer.run = registration_timeout;
    timer_set(&agent->timers, &executor->timer,
              now.mono + agent->options.executor_registration_timeout_ns);
}

void agent_executor_arm_shutdown(struct agent_executor *executor, struct instant now)
{
    struct agent *agent = executor->framework->agent;
    int64_t grace = agent->options.executor_shutdown_grace_period_ns;
    if (executor->info->shutdown_grace_period != NULL) {
        grace = executor->info->shutdown_grace_period->nanoseconds;
    }
    executor->timer.run = shutdown_timeout;
    timer_set(&agent->timers, &executor->timer, now.mono + grace);
}

// ---- calls ----

// Tasks that were sent while the connection was breaking: the executor does not name them.
static void drop_unheard_tasks(struct agent_executor *executor,
                               const Mesos__V1__Executor__Call__Subscribe *subscribe,
                               struct instant now)
{
    struct map heard = MAP_INIT;
    for (size_t i = 0; i < subscribe->n_unacknowledged_tasks; i++) {
        map_put(&heard, subscribe->unacknowledged_tasks[i]->task_id->value, executor);
    }
    LIST_FOREACH (&executor->launched, struct agent_task, link, task) {
        const char *task_id = task->info->task_id->value;
        if (task->state == MESOS__V1__TASK_STATE__TASK_STAGING && !map_has(&heard, task_id)) {
            agent_status_drop_task(executor->framework->agent, executor->framework, task_id,
                                   executor->id,
                                   MESOS__V1__TASK_STATUS__REASON__REASON_AGENT_RESTARTED,
                                   "Task launched during agent restart", now);
        }
    }
    map_free(&heard);
}

static void send_subscribed(struct agent_executor *executor)
{
    Mesos__V1__ContainerID container_id = MESOS__V1__CONTAINER_ID__INIT;
    container_id.value = executor->container_id;
    Mesos__V1__Executor__Event__Subscribed subscribed =
        MESOS__V1__EXECUTOR__EVENT__SUBSCRIBED__INIT;
    subscribed.executor_info = executor->info;
    subscribed.framework_info = executor->framework->info;
    subscribed.agent_info = executor->framework->agent->info;
    subscribed.container_id = &container_id;
    Mesos__V1__Executor__Event event = MESOS__V1__EXECUTOR__EVENT__INIT;
    event.has_type = true;
    event.type = MESOS__V1__EXECUTOR__EVENT__TYPE__SUBSCRIBED;
    event.subscribed = &subscribed;
    agent_executor_send(executor, &event);
}

void agent_subscribe(struct agent *agent, const Mesos__V1__Executor__Call *call, void *stream,
                     struct instant now)
{
    struct agent_executor *executor =
        find_executor(agent, call->framework_id->value, call->executor_id->value);
    CHECK(executor != NULL);
    if (agent->state == AGENT_TERMINATING || executor->framework->is_terminating ||
        executor->state >= EXECUTOR_TERMINATING) {
        log_warning("Shutting down executor '%s' of framework %s, which subscribes while it is to "
                    "end",
                    executor->id, executor->framework->id);
        send_shutdown(agent, stream);
        return;
    }
    if (executor->is_recovering) {
        agent_recovery_note_heard(executor, call->subscribe);
    }
    if (executor->stream != NULL) {
        log_warning("Closing already existing connection from executor '%s' of framework %s",
                    executor->id, executor->framework->id);
        agent->ops.close_stream(agent->ctx, executor->stream);
    }
    executor->stream = stream;
    timer_cancel(&agent->timers, &executor->timer);
    agent_executor_set_state(executor, EXECUTOR_RUNNING);
    executor->heartbeat.run = heartbeat_due;
    timer_set(&agent->timers, &executor->heartbeat, now.mono + HEARTBEAT_INTERVAL_NS);

    // The first event of all: what it brings may be acknowledged at once.
    bool has_work = executor->was_sent_task || !list_is_empty(&executor->queued);
    if (has_work) {
        send_subscribed(executor);
    }
    for (size_t i = 0; i < call->subscribe->n_unacknowledged_updates; i++) {
        Mesos__V1__TaskStatus status = *call->subscribe->unacknowledged_updates[i]->status;
        status.has_source = true; // who else could have said it
        status.source = MESOS__V1__TASK_STATUS__SOURCE__SOURCE_EXECUTOR;
        struct error err;
        if (validate_executor_status(executor->framework->id, executor->id, &status, &err) < 0) {
            log_warning("Ignoring unacknowledged update of task '%s': %s", status.task_id->value,
                        err.text);
            agent->metrics.invalid_status_updates++;
            continue;
        }
        agent_status_from_executor(executor, &status, now);
    }
    drop_unheard_tasks(executor, call->subscribe, now);
    agent_recovery_executor_done(executor, now);
    if (!has_work) {
        log_warning("Executor '%s' of framework %s has never been sent a task, and all of its "
                    "queued tasks were killed",
                    executor->id, executor->framework->id);
        agent_executor_shutdown(executor, now);
        return;
    }
    agent_drain_executor(executor, now);
    agent_executor_send_queued(executor, now);
}

void agent_stream_closed(struct agent *agent, const char *framework_id, const char *executor_id,
                         void *stream)
{
    struct agent_executor *executor = find_executor(agent, framework_id, executor_id);
    if (executor != NULL && executor->stream == stream) {
        executor->stream = NULL;
        timer_cancel(&agent->timers, &executor->heartbeat);
    }
}

static void forward_message(struct agent_executor *executor, const ProtobufCBinaryData *data)
{
    struct agent *agent = executor->framework->agent;
    if (agent->state != AGENT_REGISTERED || executor->framework->is_terminating) {
        log_warning("Dropping message from executor '%s' of framework %s", executor->id,
                    executor->framework->id);
        agent->metrics.invalid_framework_messages++;
        return;
    }
    Meseta__Link__ToMaster__ExecutorMessage forward =
        MESETA__LINK__TO_MASTER__EXECUTOR_MESSAGE__INIT;
    forward.framework_id = executor->framework->info->id;
    forward.executor_id = executor->info->executor_id;
    forward.data = *data;
    Meseta__Link__ToMaster message = MESETA__LINK__TO_MASTER__INIT;
    message.type = MESETA__LINK__TO_MASTER__TYPE__EXECUTOR_MESSAGE;
    message.executor_message = &forward;
    agent_send(agent, &message);
    agent->metrics.valid_framework_messages++;
}

void agent_call(struct agent *agent, const Mesos__V1__Executor__Call *call, struct instant now)
{
    if (call->type == MESOS__V1__EXECUTOR__CALL__TYPE__HEARTBEAT) {
        return;
    }
    struct agent_executor *executor =
        find_executor(agent, call->framework_id->value, call->executor_id->value);
    CHECK(executor != NULL);
    if (call->type == MESOS__V1__EXECUTOR__CALL__TYPE__UPDATE) {
        agent_status_from_executor(executor, call->update->status, now);
        agent_executor_remove_if_done(executor, now);
    } else if (call->type == MESOS__V1__EXECUTOR__CALL__TYPE__MESSAGE) {
        forward_message(executor, &call->message->data);
    }
}

// ---- its container ----

int agent_executor_update_container(struct agent_executor *executor, struct error *err)
{
    struct agent *agent = executor->framework->agent;
    struct hard_limits limits = agent_executor_limits(executor);
    return agent->ops.container_update(agent->ctx, executor->container_id, executor->allocated,
                                       &limits, err);
}

void agent_container_launched(struct agent *agent, const char *container_id, pid_t pid,
                              struct instant now)
{
    (void)now;
    struct agent_executor *executor = map_get(&agent->containers, container_id);
    if (executor == NULL) {
        return;
    }
    executor->pid = pid;
    if (executor->state == EXECUTOR_TERMINATING) {
        log_warning("Killing executor '%s' of framework %s because it is terminating", executor->id,
                    executor->framework->id);
        agent->ops.container_destroy(agent->ctx, container_id);
    }
}

// What a task that still lived is told. The container's own reason wins over the agent's.
static void fail_task(struct agent_task *task, const struct agent_termination *termination,
                      struct instant now)
{
    struct agent_executor *executor = task->executor;
    struct agent_framework *framework = executor->framework;
    struct own_update update = {
        .framework_id = framework->id,
        .framework = framework,
        .task_id = task->info->task_id->value,
        .executor_id = executor->id,
        .state = MESOS__V1__TASK_STATE__TASK_FAILED,
        .reason = MESOS__V1__TASK_STATUS__REASON__REASON_EXECUTOR_TERMINATED,
        .limited = termination->limited,
    };
    struct buf text AUTO_BUF = BUF_INIT;
    if (executor->has_pending_termination) {
        update.state = executor->pending_state;
        update.reason = executor->pending_reason;
        buf_puts(&text, executor->pending_message);
    }
    if (termination->has_reason) {
        update.reason = termination->reason;
    }
    if (termination->message != NULL) {
        buf_printf(&text, "%s%s", text.size > 0 ? "; " : "", termination->message);
    }
    update.message = text.size > 0 ? text.data : "Executor terminated";
    agent_status_make_own(framework->agent, &update, now);
}

static void end_tasks(struct agent_executor *executor, const struct agent_termination *termination,
                      struct instant now)
{
    struct list *lists[] = {&executor->launched, &executor->queued};
    for (size_t i = 0; i < ARRAY_COUNT(lists); i++) {
        LIST_FOREACH (lists[i], struct agent_task, link, task) {
            if (executor->framework->is_terminating) {
                agent_task_set_stage(task, TASK_TERMINATED);
            } else {
                fail_task(task, termination, now);
            }
        }
    }
}

void agent_container_terminated(struct agent *agent, const char *container_id,
                                const struct agent_termination *termination, struct instant now)
{
    struct agent_executor *executor = map_remove(&agent->containers, container_id);
    if (executor == NULL) {
        return;
    }
    log_info("Executor '%s' of framework %s has terminated, status %d", executor->id,
             executor->framework->id, termination->has_status ? termination->status : -1);
    if (termination->has_reason &&
        termination->reason == MESOS__V1__TASK_STATUS__REASON__REASON_CONTAINER_LAUNCH_FAILED) {
        agent->metrics.container_launch_errors++;
    }
    agent->metrics.executors_terminated++;
    agent_executor_set_state(executor, EXECUTOR_TERMINATED);
    timer_cancel(&agent->timers, &executor->timer);
    timer_cancel(&agent->timers, &executor->heartbeat);
    if (executor->stream != NULL) {
        void *stream = executor->stream;
        executor->stream = NULL;
        agent->ops.close_stream(agent->ctx, stream);
    }
    end_tasks(executor, termination, now);
    if (!executor->is_generated) {
        executor->exit_status = termination->has_status ? termination->status : -1;
        // Where no registration is under way, the next one names it, if updates keep it, and its
        // end is told then. What no registration names must not be told: the master may know
        // another one by that name.
        executor->has_unsent_exit = !agent->was_asked;
        if (!executor->has_unsent_exit) {
            agent_send_exited(agent, executor->framework->info->id, executor->info->executor_id,
                              executor->instance, executor->exit_status);
        }
    }
    agent_recovery_executor_done(executor, now);
    agent_executor_remove_if_done(executor, now);
}

// ---- removal ----

void agent_executor_remove_if_done(struct agent_executor *executor, struct instant now)
{
    struct agent_framework *framework = executor->framework;
    if (executor->state != EXECUTOR_TERMINATED) {
        return;
    }
    if (framework->is_terminating || !agent_executor_has_incomplete_tasks(executor)) {
        agent_executor_remove(executor, now);
        agent_framework_remove_if_idle(framework, now);
    }
}

static void forget_tasks(struct agent_executor *executor)
{
    struct agent_framework *framework = executor->framework;
    LIST_FOREACH (&executor->terminated, struct agent_task, link, task) {
        // The records of the task go with the executor's, so those of its updates must not stay.
        agent_stream_drop(framework->agent, framework->id, task->info->task_id->value);
        agent_task_complete(task);
    }
}

void agent_executor_remove(struct agent_executor *executor, struct instant now)
{
    struct agent_framework *framework = executor->framework;
    struct agent *agent = framework->agent;
    CHECK(executor->state == EXECUTOR_TERMINATED);
    log_info("Cleaning up executor '%s' of framework %s", executor->id, framework->id);
    forget_tasks(executor);
    agent_checkpoint_drop_executor(executor);
    agent_gc_schedule(agent, executor->directory, now);
    struct arena *scratch AUTO_ARENA = arena_new(1024, 0);
    agent_gc_schedule(agent, agent_path_executor(agent, framework->id, executor->id, scratch), now);

    map_remove(&framework->executors, executor->id);
    list_append(&framework->completed_executors, &executor->link);
    framework->completed_executor_count++;
    while (framework->completed_executor_count > agent->options.max_completed_executors) {
        agent_executor_free(
            LIST_ENTRY(framework->completed_executors.next, struct agent_executor, link));
        framework->completed_executor_count--;
    }
    agent_drain_check(agent);
}

void agent_framework_remove_if_idle(struct agent_framework *framework, struct instant now)
{
    struct agent *agent = framework->agent;
    if (framework->executors.count > 0) {
        return;
    }
    log_info("Cleaning up framework %s", framework->id);
    struct arena *scratch AUTO_ARENA = arena_new(512, 0);
    agent_gc_schedule(agent, agent_path_framework(agent, framework->id, scratch), now);
    agent_checkpoint_drop_framework(framework);
    map_remove(&agent->frameworks, framework->id);
    agent_drain_check(agent);
    list_append(&agent->completed_frameworks, &framework->link);
    if (++agent->completed_framework_count > AGENT_COMPLETED_FRAMEWORKS_MAX) {
        agent_framework_free(
            LIST_ENTRY(agent->completed_frameworks.next, struct agent_framework, link));
        agent->completed_framework_count--;
    }
    agent_finish_if_idle(agent, now);
}
