// SPDX-License-Identifier: Apache-2.0
//
// A pod: what it is told by the agent, what it tells of its tasks, and its end.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "executor/internal.h"
#include "model/framework.h"
#include "model/task_state.h"
#include "wire/wire.h"

#define END_PATIENCE_NS (60 * NS_PER_S)
#define FORCED_KILL_RESERVE_NS (1 * NS_PER_S) // of the shutdown grace period

// ---- telling ----

Mesos__V1__ContainerID *pod_container_id(const struct pod_task *task, struct arena *arena)
{
    Mesos__V1__ContainerID *parent =
        WIRE_NEW(arena, Mesos__V1__ContainerID, mesos__v1__container_id);
    parent->value = task->pod->container_id;
    Mesos__V1__ContainerID *id = WIRE_NEW(arena, Mesos__V1__ContainerID, mesos__v1__container_id);
    id->value = task->container_name;
    id->parent = parent;
    return id;
}

void pod_report(struct pod_task *task, const struct pod_report *report)
{
    AUTO_ARENA struct arena *arena = arena_new(1024, 0);
    Mesos__V1__TaskStatus *status = WIRE_NEW(arena, Mesos__V1__TaskStatus, mesos__v1__task_status);
    status->task_id = task->info->task_id;
    status->state = report->state;
    status->message = arena_strdup(arena, report->message);
    status->has_reason = report->has_reason;
    status->reason = report->reason;
    status->limitation = (Mesos__V1__TaskResourceLimitation *)(uintptr_t)report->limitation;
    status->container_status =
        WIRE_NEW(arena, Mesos__V1__ContainerStatus, mesos__v1__container_status);
    status->container_status->container_id = pod_container_id(task, arena);
    if (task->checks != NULL) {
        task_checks_complete(task->checks, status);
    }
    if (task->pod->is_unhealthy && task_state_is_terminal(report->state)) {
        status->has_healthy = true;
        status->healthy = false;
    }
    executor_update(task->pod->client, status);
}

Mesos__V1__Agent__Call *pod_make_call(struct arena *arena, Mesos__V1__Agent__Call__Type type)
{
    Mesos__V1__Agent__Call *call = WIRE_NEW(arena, Mesos__V1__Agent__Call, mesos__v1__agent__call);
    call->has_type = true;
    call->type = type;
    return call;
}

Mesos__V1__Agent__Call *pod_make_wait(struct arena *arena, Mesos__V1__ContainerID *container_id)
{
    Mesos__V1__Agent__Call *call =
        pod_make_call(arena, MESOS__V1__AGENT__CALL__TYPE__WAIT_CONTAINER);
    call->wait_container = WIRE_NEW(arena, Mesos__V1__Agent__Call__WaitContainer,
                                    mesos__v1__agent__call__wait_container);
    call->wait_container->container_id = container_id;
    return call;
}

struct agent_call *pod_call(struct pod_task *task, const Mesos__V1__Agent__Call *call,
                            agent_call_fn *on_answer)
{
    struct agent_call_order order = {
        .address = &task->pod->environment.agent,
        .authorization = task->pod->authorization,
        .call = call,
    };
    return agent_call_send(task->pod->env, &order, on_answer, task);
}

// ---- the end ----

static void run_end(struct timer *timer, struct instant now)
{
    (void)now;
    struct pod *pod = CONTAINER_OF(timer, struct pod, end_timer);
    log_error("Did not receive ACK for the last status updates from the agent");
    env_stop(pod->env, EXIT_FAILURE);
}

void pod_finish(struct pod *pod)
{
    if (executor_unacknowledged(pod->client) == 0) {
        env_stop(pod->env, EXIT_SUCCESS);
    } else if (!timer_is_set(&pod->end_timer)) {
        env_timer_set(pod->env, &pod->end_timer, END_PATIENCE_NS);
    }
}

static void task_free(struct pod_task *task)
{
    struct pod *pod = task->pod;
    struct timer *timers[] = {&task->launch_timer, &task->wait_timer, &task->kill_timer,
                              &task->completion_timer};
    for (size_t i = 0; i < ARRAY_COUNT(timers); i++) {
        env_timer_cancel(pod->env, timers[i]);
    }
    pod_check_free(task);
    agent_call_free(task->launch);
    agent_call_free(task->wait);
    agent_call_free(task->kill);
    map_remove(&pod->tasks, task->id);
    list_remove(&task->member);
    if (list_is_empty(&task->group->tasks)) {
        list_remove(&task->group->link);
        mem_free(task->group);
    }
    arena_free(task->arena);
    task->magic = 0;
    mem_free(task);
}

void pod_task_done(struct pod_task *task)
{
    struct pod *pod = task->pod;
    task_free(task);
    if (pod->tasks.count == 0) {
        pod_finish(pod);
    }
}

// A part of the grace period is kept for the forced kill, else the agent would destroy the
// container before TASK_KILLED could be told.
static void shut_down(struct pod *pod)
{
    if (pod->is_shutting_down) {
        return;
    }
    log_info("Shutting down");
    pod->is_shutting_down = true;
    if (pod->tasks.count == 0) {
        pod_finish(pod);
        return;
    }
    int64_t grace_ns = pod->environment.shutdown_grace_period_ns;
    grace_ns =
        grace_ns > 2 * FORCED_KILL_RESERVE_NS ? grace_ns - FORCED_KILL_RESERVE_NS : grace_ns / 2;
    MAP_FOREACH (&pod->tasks, entry) {
        struct pod_task *task = CHECK_CAST(pod_task, POD_TASK_MAGIC, entry->value);
        pod_kill(task, grace_ns < POD_KILL_GRACE_NS ? grace_ns : POD_KILL_GRACE_NS);
    }
}

// ---- events ----

static void on_subscribed(struct pod *pod, const Mesos__V1__Executor__Event__Subscribed *event)
{
    log_info("Subscribed executor on %s", event->agent_info->hostname);
    pod->capabilities = framework_capabilities(event->framework_info);
    if (event->container_id != NULL && pod->container_id == NULL) {
        pod->container_id = arena_strdup(pod->arena, event->container_id->value);
    }
    CHECK(pod->container_id != NULL); // every agent since 1.1 tells it
    MAP_FOREACH (&pod->tasks, entry) {
        task_checks_resume(CHECK_CAST(pod_task, POD_TASK_MAGIC, entry->value)->checks);
    }
}

int64_t pod_grace_of(const struct pod_task *task, const Mesos__V1__KillPolicy *policy)
{
    const Mesos__V1__DurationInfo *grace = policy != NULL ? policy->grace_period : NULL;
    if (grace == NULL && task->info->kill_policy != NULL) {
        grace = task->info->kill_policy->grace_period;
    }
    if (grace == NULL) {
        return POD_KILL_GRACE_NS;
    }
    return grace->nanoseconds > 0 ? grace->nanoseconds : 0;
}

static void on_kill(struct pod *pod, const Mesos__V1__Executor__Event__Kill *kill)
{
    const char *id = kill->task_id->value;
    struct pod_task *task = map_get(&pod->tasks, id);
    log_info("Received kill for task '%s'", id);
    if (task == NULL || task->is_killing || pod->is_shutting_down) {
        log_warning("Ignoring kill for task '%s': it %s", id,
                    task == NULL ? "is no longer active" : "is being killed");
        return;
    }
    pod_kill(task, pod_grace_of(task, kill->kill_policy));
}

static void on_event(void *ctx, const Mesos__V1__Executor__Event *event)
{
    struct pod *pod = CHECK_CAST(pod, POD_MAGIC, ctx);
    const char *name =
        wire_enum_name(&mesos__v1__executor__event__type__descriptor, (int)event->type);
    log_info("Received %s event", name != NULL ? name : "an unknown");
    switch (event->type) {
    case MESOS__V1__EXECUTOR__EVENT__TYPE__SUBSCRIBED:
        if (event->subscribed != NULL) {
            on_subscribed(pod, event->subscribed);
        }
        break;
    case MESOS__V1__EXECUTOR__EVENT__TYPE__LAUNCH:
        log_error("LAUNCH event is not supported");
        shut_down(pod);
        break;
    case MESOS__V1__EXECUTOR__EVENT__TYPE__LAUNCH_GROUP:
        if (event->launch_group != NULL && pod->container_id != NULL) {
            pod_launch_group(pod, event->launch_group->task_group);
        }
        break;
    case MESOS__V1__EXECUTOR__EVENT__TYPE__KILL:
        if (event->kill != NULL) {
            on_kill(pod, event->kill);
        }
        break;
    case MESOS__V1__EXECUTOR__EVENT__TYPE__ACKNOWLEDGED:
        if (pod->tasks.count == 0) {
            pod_finish(pod);
        }
        break;
    case MESOS__V1__EXECUTOR__EVENT__TYPE__SHUTDOWN:
        shut_down(pod);
        break;
    case MESOS__V1__EXECUTOR__EVENT__TYPE__ERROR:
        log_error("Error: %s", event->error != NULL ? event->error->message : "");
        break;
    default: // MESSAGE and HEARTBEAT ask for nothing; others are from a later agent
        break;
    }
}

// What fails while the agent is away says nothing of the tasks; nobody could be told, either.
static void on_disconnected(void *ctx)
{
    struct pod *pod = CHECK_CAST(pod, POD_MAGIC, ctx);
    log_info("Disconnected from agent; the checks of %zu tasks pause", pod->tasks.count);
    MAP_FOREACH (&pod->tasks, entry) {
        task_checks_pause(CHECK_CAST(pod_task, POD_TASK_MAGIC, entry->value)->checks);
    }
}

// Nobody is left who could end the tasks: the next agent destroys what it does not know.
static void on_ended(void *ctx, const struct error *why)
{
    struct pod *pod = CHECK_CAST(pod, POD_MAGIC, ctx);
    log_info("Disconnected from agent: %s; Shutting down", why->text);
    env_stop(pod->env, EXIT_FAILURE);
}

struct pod *pod_new(struct env *env, const struct pod_options *options)
{
    static const struct executor_callbacks callbacks = {
        .on_event = on_event, .on_disconnected = on_disconnected, .on_ended = on_ended};
    struct pod *pod = mem_zalloc(sizeof(*pod));
    pod->magic = POD_MAGIC;
    pod->env = env;
    pod->environment = *options->environment;
    pod->launcher_dir = options->launcher_dir;
    pod->arena = arena_new(0, 0);
    prng_seed(&pod->prng, env_random_u64());
    list_init(&pod->groups);
    pod->end_timer.run = run_end;
    if (pod->environment.token != NULL) {
        pod->authorization = mem_printf("Bearer %s", pod->environment.token);
    }
    pod->client = executor_new(env, &pod->environment, CONTENT_PROTOBUF, &callbacks, pod);
    return pod;
}

struct pod *pod_free(struct pod *pod)
{
    if (pod == NULL) {
        return NULL;
    }
    CHECK(pod->magic == POD_MAGIC);
    MAP_FOREACH (&pod->tasks, entry) {
        task_free(CHECK_CAST(pod_task, POD_TASK_MAGIC, entry->value));
    }
    map_free(&pod->tasks);
    env_timer_cancel(pod->env, &pod->end_timer);
    executor_free(pod->client);
    arena_free(pod->arena);
    mem_free(pod->authorization);
    pod->magic = 0;
    mem_free(pod);
    return NULL;
}
