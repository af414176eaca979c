// SPDX-License-Identifier: Apache-2.0
//
// A status update on its way in: from an executor or made by the agent. It is completed (who,
// where, when), noted at its task, put into the task's stream, and acknowledged to the executor.

#include <string.h>

#include "agent/internal.h"
#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "model/task_state.h"
#include "wire/wire.h"

static struct agent_status *status_new(size_t size)
{
    struct agent_status *status = mem_zalloc(sizeof(*status));
    status->references = 1;
    status->arena = arena_new(size, 0);
    return status;
}

static void count_terminal(struct agent *agent, Mesos__V1__TaskState state)
{
    switch (state) {
    case MESOS__V1__TASK_STATE__TASK_FINISHED:
        agent->metrics.tasks_finished++;
        break;
    case MESOS__V1__TASK_STATE__TASK_FAILED:
        agent->metrics.tasks_failed++;
        break;
    case MESOS__V1__TASK_STATE__TASK_KILLED:
        agent->metrics.tasks_killed++;
        break;
    case MESOS__V1__TASK_STATE__TASK_LOST:
        agent->metrics.tasks_lost++;
        break;
    case MESOS__V1__TASK_STATE__TASK_GONE:
        agent->metrics.tasks_gone++;
        break;
    case MESOS__V1__TASK_STATE__TASK_ERROR:
        agent->metrics.tasks_error++;
        break;
    default:
        break;
    }
}

struct agent_status *agent_status_new(const Mesos__V1__TaskStatus *message)
{
    struct agent_status *status = status_new(512);
    status->message = WIRE_COPY(status->arena, Mesos__V1__TaskStatus, message);
    return status;
}

// The statuses of a task: one for each stretch of the same state, the newest of it.
void agent_task_add_status(struct agent_task *task, struct agent_status *status)
{
    if (task->status_count > 0 &&
        task->statuses[task->status_count - 1]->message->state == status->message->state) {
        agent_status_unref(task->statuses[--task->status_count]);
    } else if (task->status_count == AGENT_STATUSES_MAX) {
        agent_status_unref(task->statuses[0]);
        task->status_count--;
        memmove(task->statuses, task->statuses + 1, task->status_count * sizeof(task->statuses[0]));
    }
    task->statuses =
        mem_realloc_array(task->statuses, task->status_count + 1, sizeof(struct agent_status *));
    task->statuses[task->status_count++] = agent_status_ref(status);
}

static void task_end(struct agent_task *task)
{
    struct agent_executor *executor = task->executor;
    count_terminal(executor->framework->agent, task->state);
    agent_task_set_stage(task, TASK_TERMINATED);
    // A generated executor has but this task and ends now: its limits may stay as they are.
    if (executor->is_generated ||
        (executor->state != EXECUTOR_RUNNING && executor->state != EXECUTOR_TERMINATING)) {
        return;
    }
    struct error err;
    if (agent_executor_update_container(executor, &err) < 0 ||
        agent_executor_update_volumes(executor, &err) < 0) {
        struct arena *scratch AUTO_ARENA = arena_new(512, 0);
        agent_executor_fail(
            executor,
            agent_framework_is_partition_aware(executor->framework)
                ? MESOS__V1__TASK_STATE__TASK_GONE
                : MESOS__V1__TASK_STATE__TASK_LOST,
            MESOS__V1__TASK_STATUS__REASON__REASON_CONTAINER_UPDATE_FAILED,
            arena_printf(scratch, "Failed to update resources for container: %s", err.text));
    }
}

// Notes the status at its task. False when the task may not move there: then it goes no further.
static bool task_apply(struct agent_task *task, struct agent_status *status)
{
    Mesos__V1__TaskState state = status->message->state;
    const char *task_id = status->message->task_id->value;
    if (task->stage == TASK_QUEUED && !task_state_is_terminal(state)) {
        log_error("Failed to update state of task '%s' to %s: Cannot send non-terminal update for "
                  "queued task",
                  task_id, task_state_name(state));
        return false;
    }
    if (task->stage == TASK_TERMINATED) {
        log_error("Failed to update state of task '%s' to %s: Task is already terminated with "
                  "state %s",
                  task_id, task_state_name(state), task_state_name(task->state));
        return false;
    }
    agent_task_add_status(task, status);
    agent_task_set_state(task, state);
    if (task_state_is_terminal(state)) {
        task_end(task);
    }
    return true;
}

// ---- the agent's own updates ----

static Mesos__V1__TaskStatus *make_message(struct agent *agent, const struct own_update *update,
                                           struct arena *arena, struct instant now)
{
    Mesos__V1__TaskStatus *s = WIRE_NEW(arena, Mesos__V1__TaskStatus, mesos__v1__task_status);
    s->task_id = WIRE_NEW(arena, Mesos__V1__TaskID, mesos__v1__task_id);
    s->task_id->value = arena_strdup(arena, update->task_id);
    s->state = update->state;
    s->message = arena_strdup(arena, update->message);
    s->has_source = true;
    s->source = MESOS__V1__TASK_STATUS__SOURCE__SOURCE_AGENT;
    s->has_reason = true;
    s->reason = update->reason;
    s->agent_id = WIRE_COPY(arena, Mesos__V1__AgentID, agent->info->id);
    s->has_timestamp = true;
    s->timestamp = (double)now.wall / NS_PER_S;
    struct uuid uuid = uuid_random(&agent->prng);
    s->has_uuid = true;
    s->uuid.len = UUID_SIZE;
    s->uuid.data = arena_dup(arena, uuid.bytes, UUID_SIZE);
    if (update->executor_id != NULL) {
        s->executor_id = WIRE_NEW(arena, Mesos__V1__ExecutorID, mesos__v1__executor_id);
        s->executor_id->value = arena_strdup(arena, update->executor_id);
    }
    if (update->limited != NULL && !resources_is_empty(update->limited)) {
        s->limitation =
            WIRE_NEW(arena, Mesos__V1__TaskResourceLimitation, mesos__v1__task_resource_limitation);
        s->limitation->n_resources = resources_to_proto(update->limited, arena, RESOURCES_NEW_FORM,
                                                        true, &s->limitation->resources);
    }
    return s;
}

void agent_status_make_own(struct agent *agent, const struct own_update *update, struct instant now)
{
    struct agent_status *status = status_new(512);
    status->message = make_message(agent, update, status->arena, now);
    log_info("Status update %s for task '%s' of framework %s: %s", task_state_name(update->state),
             update->task_id, update->framework_id, update->message);
    struct agent_framework *framework = update->framework;
    if (framework != NULL) {
        agent_drain_mark_status(framework, status->message);
    }
    struct agent_task *task =
        framework != NULL ? map_get(&framework->tasks, update->task_id) : NULL;
    // What the master asks for, it believes in, and needs an answer.
    bool is_asked = update->reason == MESOS__V1__TASK_STATUS__REASON__REASON_RECONCILIATION;
    bool is_ending = framework != NULL && framework->is_terminating;
    if (is_ending && !is_asked) {
        agent->metrics.invalid_status_updates++;
    } else if (is_ending || task == NULL || task_apply(task, status)) {
        agent->metrics.valid_status_updates++;
        agent_stream_update(agent, update->framework_id, status, now);
    }
    agent_status_unref(status);
}

static struct own_update make_drop(struct agent_framework *framework, const char *task_id,
                                   const char *executor_id, Mesos__V1__TaskStatus__Reason reason,
                                   const char *message)
{
    return (struct own_update){
        .framework_id = framework->id,
        .framework = framework,
        .task_id = task_id,
        .executor_id = executor_id,
        .state = agent_framework_is_partition_aware(framework) ? MESOS__V1__TASK_STATE__TASK_DROPPED
                                                               : MESOS__V1__TASK_STATE__TASK_LOST,
        .reason = reason,
        .message = message,
    };
}

void agent_status_drop_task(struct agent *agent, struct agent_framework *framework,
                            const char *task_id, const char *executor_id,
                            Mesos__V1__TaskStatus__Reason reason, const char *message,
                            struct instant now)
{
    struct own_update update = make_drop(framework, task_id, executor_id, reason, message);
    agent_status_make_own(agent, &update, now);
}

void agent_status_refuse_task(struct agent *agent, struct agent_framework *framework,
                              const char *task_id, const char *executor_id,
                              Mesos__V1__TaskStatus__Reason reason, const char *message,
                              struct instant now)
{
    struct arena *arena AUTO_ARENA = arena_new(512, 0);
    struct own_update update = make_drop(framework, task_id, executor_id, reason, message);
    Meseta__Link__ToMaster__StatusUpdate body = MESETA__LINK__TO_MASTER__STATUS_UPDATE__INIT;
    body.framework_id = framework->info->id;
    body.status = make_message(agent, &update, arena, now);
    body.status->has_uuid = false;
    body.status->uuid = (ProtobufCBinaryData){0};
    Meseta__Link__ToMaster to_master = MESETA__LINK__TO_MASTER__INIT;
    to_master.type = MESETA__LINK__TO_MASTER__TYPE__STATUS_UPDATE;
    to_master.status_update = &body;
    agent_send(agent, &to_master);
}

// ---- updates from executors ----

// The container and the address, where the executor left them out. Mesos fills in the same.
static void add_container_status(struct agent_executor *executor, Mesos__V1__TaskStatus *s,
                                 struct arena *arena)
{
    const struct agent *agent = executor->framework->agent;
    Mesos__V1__ContainerStatus *c = s->container_status;
    if (c == NULL) {
        c = s->container_status =
            WIRE_NEW(arena, Mesos__V1__ContainerStatus, mesos__v1__container_status);
    }
    if (c->container_id == NULL) {
        c->container_id = WIRE_NEW(arena, Mesos__V1__ContainerID, mesos__v1__container_id);
        c->container_id->value = arena_strdup(arena, executor->container_id);
    }
    if (!c->has_executor_pid && executor->pid > 0) {
        c->has_executor_pid = true;
        c->executor_pid = (uint32_t)executor->pid;
    }
    if (c->n_network_infos == 0) {
        Mesos__V1__NetworkInfo__IPAddress *address =
            WIRE_NEW(arena, Mesos__V1__NetworkInfo__IPAddress, mesos__v1__network_info__ipaddress);
        address->ip_address = arena_strdup(arena, agent->ip);
        Mesos__V1__NetworkInfo *network =
            WIRE_NEW(arena, Mesos__V1__NetworkInfo, mesos__v1__network_info);
        network->n_ip_addresses = 1;
        network->ip_addresses = arena_dup(arena, &address, sizeof(address));
        c->n_network_infos = 1;
        c->network_infos = arena_dup(arena, &network, sizeof(network));
    }
}

static struct agent_status *complete_status(struct agent_executor *executor,
                                            const Mesos__V1__TaskStatus *from, struct instant now)
{
    const struct agent *agent = executor->framework->agent;
    struct agent_status *status = status_new(1024);
    Mesos__V1__TaskStatus *s = WIRE_COPY(status->arena, Mesos__V1__TaskStatus, from);
    status->message = s;
    s->has_source = true;
    s->source = MESOS__V1__TASK_STATUS__SOURCE__SOURCE_EXECUTOR;
    if (s->agent_id == NULL) {
        s->agent_id = WIRE_COPY(status->arena, Mesos__V1__AgentID, agent->info->id);
    }
    if (s->executor_id == NULL) {
        s->executor_id =
            WIRE_COPY(status->arena, Mesos__V1__ExecutorID, executor->info->executor_id);
    }
    if (!s->has_timestamp) {
        s->has_timestamp = true;
        s->timestamp = (double)now.wall / NS_PER_S;
    }
    add_container_status(executor, s, status->arena);
    agent_drain_mark_status(executor->framework, s);
    return status;
}

static void acknowledge(struct agent_executor *executor, const Mesos__V1__TaskStatus *status)
{
    Mesos__V1__Executor__Event__Acknowledged acknowledged =
        MESOS__V1__EXECUTOR__EVENT__ACKNOWLEDGED__INIT;
    acknowledged.task_id = status->task_id;
    acknowledged.uuid = status->uuid;
    Mesos__V1__Executor__Event event = MESOS__V1__EXECUTOR__EVENT__INIT;
    event.has_type = true;
    event.type = MESOS__V1__EXECUTOR__EVENT__TYPE__ACKNOWLEDGED;
    event.acknowledged = &acknowledged;
    agent_executor_send(executor, &event);
}

static bool is_completed(const struct agent_executor *executor, const char *task_id)
{
    LIST_FOREACH (&executor->completed, struct agent_task, link, task) {
        if (strcmp(task->info->task_id->value, task_id) == 0) {
            return true;
        }
    }
    return false;
}

void agent_status_from_executor(struct agent_executor *executor, const Mesos__V1__TaskStatus *from,
                                struct instant now)
{
    struct agent_framework *framework = executor->framework;
    struct agent *agent = framework->agent;
    const char *task_id = from->task_id->value;
    log_debug("Status update %s for task '%s' of framework %s", task_state_name(from->state),
              task_id, framework->id);

    if (from->agent_id != NULL && strcmp(from->agent_id->value, agent->info->id->value) != 0) {
        log_warning("Ignoring status update for task '%s' due to Agent ID mismatch; expected '%s', "
                    "received '%s'",
                    task_id, agent->info->id->value, from->agent_id->value);
        agent->metrics.invalid_status_updates++;
        return;
    }
    if (framework->is_terminating) {
        // Nobody wants to know, but the executor may wait for it before it ends.
        log_debug("Ignoring status update for task '%s' of terminating framework %s", task_id,
                  framework->id);
        agent->metrics.invalid_status_updates++;
        acknowledge(executor, from);
        return;
    }
    struct agent_task *task = map_get(&framework->tasks, task_id);
    if (task != NULL && task->executor != executor) {
        // Mesos would believe it. Acknowledged, so that it is not said again and again.
        log_warning("Ignoring status update for task '%s' from executor '%s': the task is of "
                    "executor '%s'",
                    task_id, executor->id, task->executor->id);
        agent->metrics.invalid_status_updates++;
        acknowledge(executor, from);
        return;
    }
    agent->metrics.valid_status_updates++;
    struct agent_status *status = complete_status(executor, from, now);
    // An unknown task's update goes to the master, which knows better; one of a task that is done
    // (a repetition) is only acknowledged.
    if (task != NULL ? task_apply(task, status) : !is_completed(executor, task_id)) {
        agent_stream_update(agent, framework->id, status, now);
    }
    acknowledge(executor, status->message);
    agent_status_unref(status);
}
