// SPDX-License-Identifier: Apache-2.0
//
// The agent and its master: REGISTER or REREGISTER until it is admitted, with back-off and jitter;
// PONG for each PING; and all that the master asks for once it is.

#include <string.h>

#include "agent/internal.h"
#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "model/operation.h"
#include "wire/wire.h"

// The agent speaks the protocol of this version.
#define SPOKEN_VERSION "1.11.0"
#define RETRY_MAX_NS (60 * NS_PER_S)

static const Mesos__V1__AgentInfo__Capability__Type capability_types[] = {
    MESOS__V1__AGENT_INFO__CAPABILITY__TYPE__MULTI_ROLE,
    MESOS__V1__AGENT_INFO__CAPABILITY__TYPE__HIERARCHICAL_ROLE,
    MESOS__V1__AGENT_INFO__CAPABILITY__TYPE__RESERVATION_REFINEMENT,
    MESOS__V1__AGENT_INFO__CAPABILITY__TYPE__RESOURCE_PROVIDER,
    MESOS__V1__AGENT_INFO__CAPABILITY__TYPE__RESIZE_VOLUME,
    MESOS__V1__AGENT_INFO__CAPABILITY__TYPE__AGENT_OPERATION_FEEDBACK,
    MESOS__V1__AGENT_INFO__CAPABILITY__TYPE__AGENT_DRAINING,
    MESOS__V1__AGENT_INFO__CAPABILITY__TYPE__TASK_RESOURCE_LIMITS,
};

size_t agent_capabilities(const Mesos__V1__AgentInfo__Capability__Type **ret_types)
{
    *ret_types = capability_types;
    return ARRAY_COUNT(capability_types);
}

void agent_send(struct agent *agent, const Meseta__Link__ToMaster *message)
{
    agent->ops.send_to_master(agent->ctx, message);
}

struct ended_executor {
    struct list link;
    char *framework_id;
    char *executor_id;
    uint64_t instance;
    int status;
};

void agent_forget_exits(struct agent *agent)
{
    LIST_FOREACH (&agent->exits, struct ended_executor, link, ended) {
        list_remove(&ended->link);
        mem_free(ended->framework_id);
        mem_free(ended->executor_id);
        mem_free(ended);
    }
}

void agent_send_exited(struct agent *agent, Mesos__V1__FrameworkID *framework_id,
                       Mesos__V1__ExecutorID *executor_id, uint64_t instance, int status)
{
    if (agent->state == AGENT_CONNECTED && agent->was_asked && !agent->is_resetting) {
        struct ended_executor *ended = mem_zalloc(sizeof(*ended));
        ended->framework_id = mem_strdup(framework_id->value);
        ended->executor_id = mem_strdup(executor_id->value);
        ended->instance = instance;
        ended->status = status;
        list_append(&agent->exits, &ended->link);
    }
    if (agent->state != AGENT_REGISTERED) {
        return;
    }
    Meseta__Link__ToMaster__ExecutorExited exited = MESETA__LINK__TO_MASTER__EXECUTOR_EXITED__INIT;
    exited.framework_id = framework_id;
    exited.executor_id = executor_id;
    exited.status = status;
    exited.has_instance = instance != 0;
    exited.instance = instance;
    Meseta__Link__ToMaster message = MESETA__LINK__TO_MASTER__INIT;
    message.type = MESETA__LINK__TO_MASTER__TYPE__EXECUTOR_EXITED;
    message.executor_exited = &exited;
    agent_send(agent, &message);
}

static void send_exits(struct agent *agent)
{
    LIST_FOREACH (&agent->exits, struct ended_executor, link, ended) {
        Mesos__V1__FrameworkID framework_id = MESOS__V1__FRAMEWORK_ID__INIT;
        Mesos__V1__ExecutorID executor_id = MESOS__V1__EXECUTOR_ID__INIT;
        framework_id.value = ended->framework_id;
        executor_id.value = ended->executor_id;
        agent_send_exited(agent, &framework_id, &executor_id, ended->instance, ended->status);
    }
    agent_forget_exits(agent);
}

static Meseta__Link__AgentDescription *describe(struct agent *agent, struct arena *arena)
{
    Meseta__Link__AgentDescription *d =
        WIRE_NEW(arena, Meseta__Link__AgentDescription, meseta__link__agent_description);
    d->info = agent->info;
    d->version = arena_strdup(arena, SPOKEN_VERSION);
    d->pid = agent->pid;
    d->n_capabilities = ARRAY_COUNT(capability_types);
    d->capabilities = arena_calloc(arena, d->n_capabilities, sizeof(d->capabilities[0]));
    for (size_t i = 0; i < d->n_capabilities; i++) {
        d->capabilities[i] =
            WIRE_NEW(arena, Mesos__V1__AgentInfo__Capability, mesos__v1__agent_info__capability);
        d->capabilities[i]->has_type = true;
        d->capabilities[i]->type = capability_types[i];
    }
    return d;
}

static void put_tasks(Meseta__Link__FrameworkOnAgent *f, const struct list *tasks,
                      struct arena *arena)
{
    LIST_FOREACH (tasks, struct agent_task, link, task) {
        f->tasks[f->n_tasks++] = agent_task_message(task, arena);
    }
}

// One that has ended is named until its end is told, but holds nothing: what it had may be
// another's.
static Mesos__V1__ExecutorInfo *describe_executor(const struct agent_executor *executor,
                                                  struct arena *arena)
{
    if (executor->state != EXECUTOR_TERMINATED) {
        return executor->info;
    }
    Mesos__V1__ExecutorInfo *info = arena_dup(arena, executor->info, sizeof(*executor->info));
    info->n_resources = 0;
    info->resources = NULL;
    return info;
}

static Meseta__Link__FrameworkOnAgent *describe_framework(const struct agent_framework *framework,
                                                          struct arena *arena)
{
    Meseta__Link__FrameworkOnAgent *f =
        WIRE_NEW(arena, Meseta__Link__FrameworkOnAgent, meseta__link__framework_on_agent);
    f->info = framework->info;
    f->tasks = arena_calloc(arena, framework->tasks.count + 1, sizeof(f->tasks[0]));
    f->executors = arena_calloc(arena, framework->executors.count + 1, sizeof(f->executors[0]));
    f->executor_instances =
        arena_calloc(arena, framework->executors.count + 1, sizeof(f->executor_instances[0]));
    MAP_FOREACH (&framework->executors, entry) {
        struct agent_executor *executor = CHECK_CAST(agent_executor, EXECUTOR_MAGIC, entry->value);
        if (!executor->is_generated &&
            (executor->state != EXECUTOR_TERMINATED || executor->has_unsent_exit)) {
            f->executors[f->n_executors++] = describe_executor(executor, arena);
            f->executor_instances[f->n_executor_instances++] = executor->instance;
        }
        put_tasks(f, &executor->queued, arena);
        put_tasks(f, &executor->launched, arena);
        put_tasks(f, &executor->terminated, arena);
    }
    return f;
}

static void put_operations(struct agent *agent, Meseta__Link__ToMaster__Reregister *message,
                           struct arena *arena)
{
    message->operations =
        arena_calloc(arena, agent->operations.count + 1, sizeof(message->operations[0]));
    MAP_FOREACH (&agent->operations, entry) {
        message->operations[message->n_operations++] = agent_operation_message(entry->value, arena);
    }
}

static void send_registration(struct agent *agent)
{
    struct arena *arena AUTO_ARENA = arena_new(0, 0);
    struct resources *made AUTO_RESOURCES = resources_checkpointed(agent->total);
    Mesos__V1__Resource **checkpointed;
    size_t checkpointed_count =
        resources_to_proto(made, arena, RESOURCES_NEW_FORM, false, &checkpointed);
    Meseta__Link__ToMaster message = MESETA__LINK__TO_MASTER__INIT;
    Meseta__Link__ToMaster__Register first = MESETA__LINK__TO_MASTER__REGISTER__INIT;
    Meseta__Link__ToMaster__Reregister again = MESETA__LINK__TO_MASTER__REREGISTER__INIT;
    if (agent->info->id == NULL) {
        first.agent = describe(agent, arena);
        first.checkpointed_resources = checkpointed;
        first.n_checkpointed_resources = checkpointed_count;
        message.type = MESETA__LINK__TO_MASTER__TYPE__REGISTER;
        message.register_ = &first;
    } else {
        again.agent = describe(agent, arena);
        again.checkpointed_resources = checkpointed;
        again.n_checkpointed_resources = checkpointed_count;
        put_operations(agent, &again, arena);
        again.frameworks =
            arena_calloc(arena, agent->frameworks.count + 1, sizeof(again.frameworks[0]));
        MAP_FOREACH (&agent->frameworks, entry) {
            const struct agent_framework *framework =
                CHECK_CAST(agent_framework, FRAMEWORK_MAGIC, entry->value);
            // What is being shut down was given back when the master removed it, and may be in use
            // by others; its end will not be told.
            if (!framework->is_terminating) {
                again.frameworks[again.n_frameworks++] = describe_framework(framework, arena);
            }
        }
        message.type = MESETA__LINK__TO_MASTER__TYPE__REREGISTER;
        message.reregister = &again;
    }
    agent->was_asked = true;
    agent_send(agent, &message);
}

// ---- trying ----

// Between half of the back-off and all of it, so that agents that lost a master together do not
// come back together; the first try of a link within the whole factor, but at once when the agent
// has just started.
static void registration_due(struct timer *timer, struct instant now)
{
    struct agent *agent = CONTAINER_OF(timer, struct agent, registration);
    if (agent->state != AGENT_CONNECTED || agent->is_resetting || agent->is_recovering) {
        return;
    }
    send_registration(agent);
    int64_t backoff = agent->registration_backoff_ns;
    int64_t delay = backoff / 2 + (int64_t)(prng_unit(&agent->prng) * (double)(backoff / 2));
    agent->registration_backoff_ns = backoff * 2 < RETRY_MAX_NS ? backoff * 2 : RETRY_MAX_NS;
    timer_set(&agent->timers, timer, now.mono + delay);
}

static void ping_due(struct timer *timer, struct instant now)
{
    (void)now;
    struct agent *agent = CONTAINER_OF(timer, struct agent, ping);
    log_warning("No pings from master received within %.3g secs",
                (double)agent->ping_timeout_ns / NS_PER_S);
    agent->ops.reconnect(agent->ctx);
}

void agent_registration_init(struct agent *agent)
{
    list_init(&agent->exits);
    agent->registration.run = registration_due;
    agent->ping.run = ping_due;
}

void agent_registration_start(struct agent *agent, struct instant now)
{
    int64_t factor = agent->options.registration_backoff_factor_ns;
    int64_t delay =
        agent->connection_count <= 1 ? 0 : (int64_t)(prng_unit(&agent->prng) * (double)factor / 2);
    agent->registration_backoff_ns = factor * 2 < RETRY_MAX_NS ? factor * 2 : RETRY_MAX_NS;
    timer_set(&agent->timers, &agent->registration, now.mono + delay);
}

void agent_link_opened(struct agent *agent, struct instant now)
{
    if (agent->state != AGENT_DISCONNECTED) {
        return;
    }
    agent->state = AGENT_CONNECTED;
    agent->was_asked = false;
    agent->connection_count++;
    agent_registration_start(agent, now);
}

void agent_link_closed(struct agent *agent, struct instant now)
{
    (void)now;
    timer_cancel(&agent->timers, &agent->registration);
    timer_cancel(&agent->timers, &agent->ping);
    agent_forget_exits(agent);
    agent->was_asked = false;
    if (agent->state == AGENT_TERMINATING) {
        return;
    }
    if (agent->state == AGENT_REGISTERED) {
        log_warning("Master disconnected! Waiting for a new master to be elected");
    }
    agent->state = AGENT_DISCONNECTED;
    agent_streams_pause(agent);
    agent_operations_pause(agent);
}

// ---- what the master says ----

// Executors that ended while there was no master to tell.
static void send_earlier_exits(struct agent *agent)
{
    MAP_FOREACH (&agent->frameworks, entry) {
        struct agent_framework *framework =
            CHECK_CAST(agent_framework, FRAMEWORK_MAGIC, entry->value);
        MAP_FOREACH (&framework->executors, inner) {
            struct agent_executor *executor =
                CHECK_CAST(agent_executor, EXECUTOR_MAGIC, inner->value);
            if (executor->has_unsent_exit) {
                executor->has_unsent_exit = false;
                agent_send_exited(agent, framework->info->id, executor->info->executor_id,
                                  executor->instance, executor->exit_status);
            }
        }
    }
}

static void handle_registered(struct agent *agent,
                              const Meseta__Link__ToAgent__Registered *registered, bool again,
                              struct instant now)
{
    if (agent->state != AGENT_CONNECTED) {
        return;
    }
    const char *id = registered->agent_id->value;
    if (agent->info->id == NULL) {
        agent_set_id(agent, id);
    } else if (strcmp(agent->info->id->value, id) != 0) {
        log_error("The master calls this agent %s, but it is %s", id, agent->info->id->value);
        return;
    }
    log_info("%s with master, agent ID %s", again ? "Reregistered" : "Registered", id);
    timer_cancel(&agent->timers, &agent->registration);
    arena_free(agent->master_arena);
    agent->master_arena = arena_new(512, 0);
    agent->master = WIRE_COPY(agent->master_arena, Mesos__V1__MasterInfo, registered->master_info);
    // A quarter more than the master's own patience: with --max_agent_ping_timeouts=1 the next ping
    // would else race with this timer.
    agent->ping_timeout_ns =
        registered->ping_timeout_total_ns + registered->ping_timeout_total_ns / 4;
    timer_set(&agent->timers, &agent->ping, now.mono + agent->ping_timeout_ns);
    agent->state = AGENT_REGISTERED;
    send_earlier_exits(agent);
    send_exits(agent);
    agent_send_oversubscribed(agent);
    agent_streams_resume(agent, now);
    agent_operations_resume(agent, now);
}

static void handle_ping(struct agent *agent, struct instant now)
{
    Meseta__Link__ToMaster message = MESETA__LINK__TO_MASTER__INIT;
    message.type = MESETA__LINK__TO_MASTER__TYPE__PONG;
    agent_send(agent, &message);
    if (agent->state == AGENT_REGISTERED) {
        timer_set(&agent->timers, &agent->ping, now.mono + agent->ping_timeout_ns);
    }
}

static void shut_down_frameworks(struct agent *agent, struct instant now)
{
    MAP_FOREACH (&agent->frameworks, entry) {
        agent_shutdown_framework(agent, CHECK_CAST(agent_framework, FRAMEWORK_MAGIC, entry->value),
                                 now);
    }
    agent_finish_if_idle(agent, now);
}

static void handle_shutdown(struct agent *agent, const Meseta__Link__ToAgent__Shutdown *shutdown,
                            struct instant now)
{
    bool ends = shutdown->has_ends && shutdown->ends;
    log_warning("The master removed this agent%s%s: ending its tasks%s",
                shutdown->message != NULL ? ": " : "",
                shutdown->message != NULL ? shutdown->message : "",
                ends ? ", and then itself" : "");
    timer_cancel(&agent->timers, &agent->ping);
    timer_cancel(&agent->timers, &agent->registration);
    if (ends) {
        // Under this id it may not return, and that shall stay so when it is started again.
        agent->keeps_id = true;
        agent->state = AGENT_TERMINATING;
        agent_streams_pause(agent);
        agent_operations_pause(agent);
    } else {
        agent->state = AGENT_CONNECTED;
        agent->is_resetting = true;
    }
    shut_down_frameworks(agent, now);
}

static void handle_acknowledge(struct agent *agent,
                               const Meseta__Link__ToAgent__Acknowledge *acknowledge,
                               struct instant now)
{
    bool is_last;
    const char *framework_id = acknowledge->framework_id->value;
    const char *task_id = acknowledge->task_id->value;
    if (!agent_stream_acknowledge(agent, framework_id, task_id, acknowledge->uuid.data,
                                  acknowledge->uuid.len, &is_last, now) ||
        !is_last) {
        return;
    }
    struct agent_framework *framework = map_get(&agent->frameworks, framework_id);
    struct agent_task *task = framework == NULL ? NULL : map_get(&framework->tasks, task_id);
    if (task != NULL && task->stage == TASK_TERMINATED) {
        struct agent_executor *executor = task->executor;
        agent_task_complete(task);
        agent_executor_remove_if_done(executor, now);
        agent_drain_check(agent);
    }
}

static void handle_shutdown_executor(struct agent *agent,
                                     const Meseta__Link__ToAgent__ShutdownExecutor *message,
                                     struct instant now)
{
    const char *executor_id = message->executor_id->value;
    struct agent_framework *framework = map_get(&agent->frameworks, message->framework_id->value);
    struct agent_executor *executor =
        framework == NULL ? NULL : map_get(&framework->executors, executor_id);
    if (executor == NULL || framework->is_terminating || executor->state >= EXECUTOR_TERMINATING) {
        log_warning("Ignoring shutdown of executor '%s' of framework %s: it is not running",
                    executor_id, message->framework_id->value);
        return;
    }
    agent_executor_shutdown(executor, now);
}

static void handle_framework_message(struct agent *agent,
                                     const Meseta__Link__ToAgent__FrameworkMessage *message)
{
    struct agent_framework *framework = map_get(&agent->frameworks, message->framework_id->value);
    struct agent_executor *executor =
        framework == NULL ? NULL : map_get(&framework->executors, message->executor_id->value);
    if (executor == NULL || framework->is_terminating || executor->state != EXECUTOR_RUNNING) {
        log_warning("Dropping message from framework %s for executor '%s', which is not running",
                    message->framework_id->value, message->executor_id->value);
        agent->metrics.invalid_framework_messages++;
        return;
    }
    Mesos__V1__Executor__Event__Message body = MESOS__V1__EXECUTOR__EVENT__MESSAGE__INIT;
    body.data = message->data;
    Mesos__V1__Executor__Event event = MESOS__V1__EXECUTOR__EVENT__INIT;
    event.has_type = true;
    event.type = MESOS__V1__EXECUTOR__EVENT__TYPE__MESSAGE;
    event.message = &body;
    agent_executor_send(executor, &event);
    agent->metrics.valid_framework_messages++;
}

static void handle_reconcile(struct agent *agent, const Meseta__Link__ToAgent__Reconcile *message,
                             struct instant now)
{
    const char *framework_id = message->framework_id->value;
    struct agent_framework *framework = map_get(&agent->frameworks, framework_id);
    bool aware = message->has_partition_aware
                     ? message->partition_aware
                     : framework != NULL && agent_framework_is_partition_aware(framework);
    for (size_t i = 0; i < message->n_task_ids; i++) {
        const char *task_id = message->task_ids[i]->value;
        if (framework != NULL && map_has(&framework->tasks, task_id)) {
            // Of one that is being shut down no end will be told, and its streams go with it.
            if (framework->is_terminating) {
                agent_status_refuse_task(agent, framework, task_id, NULL,
                                         MESOS__V1__TASK_STATUS__REASON__REASON_RECONCILIATION,
                                         "Reconciliation: its framework is being shut down", now);
            }
            continue;
        }
        struct own_update update = {
            .framework_id = framework_id,
            .framework = framework,
            .task_id = task_id,
            .state = aware ? MESOS__V1__TASK_STATE__TASK_DROPPED : MESOS__V1__TASK_STATE__TASK_LOST,
            .reason = MESOS__V1__TASK_STATUS__REASON__REASON_RECONCILIATION,
            .message = "Reconciliation: task unknown to the agent",
        };
        agent_status_make_own(agent, &update, now);
    }
}

// Sent when a framework changes or fails over: updates that wait are sent again at once, because
// the instance that would have acknowledged them may be gone.
static void handle_update_framework(struct agent *agent,
                                    const Meseta__Link__ToAgent__UpdateFramework *message,
                                    struct instant now)
{
    const Mesos__V1__FrameworkInfo *info = message->framework_info;
    if (info->id == NULL) {
        return;
    }
    struct agent_framework *framework = map_get(&agent->frameworks, info->id->value);
    if (framework != NULL && !wire_is_equal(&framework->info->base, &info->base)) {
        agent_framework_set_info(framework, info);
        agent_checkpoint_framework(framework);
    }
    agent_streams_resume_framework(agent, info->id->value, now);
}

// What counts only from the master that admitted the agent.
static void receive_registered(struct agent *agent, const Meseta__Link__ToAgent *message,
                               struct instant now)
{
    struct agent_framework *framework;
    switch (message->type) {
    case MESETA__LINK__TO_AGENT__TYPE__RUN_TASK:
        agent_run_task(agent, message->run_task, now);
        break;
    case MESETA__LINK__TO_AGENT__TYPE__RUN_TASK_GROUP:
        agent_run_task_group(agent, message->run_task_group, now);
        break;
    case MESETA__LINK__TO_AGENT__TYPE__KILL_TASK:
        agent_kill_task(agent, message->kill_task, now);
        break;
    case MESETA__LINK__TO_AGENT__TYPE__ACKNOWLEDGE:
        handle_acknowledge(agent, message->acknowledge, now);
        break;
    case MESETA__LINK__TO_AGENT__TYPE__SHUTDOWN_FRAMEWORK:
        framework = map_get(&agent->frameworks, message->shutdown_framework->framework_id->value);
        if (framework != NULL) {
            agent_shutdown_framework(agent, framework, now);
        } else {
            // Updates of tasks that never had an executor: nobody will acknowledge them.
            agent_streams_drop_framework(agent, message->shutdown_framework->framework_id->value);
        }
        break;
    case MESETA__LINK__TO_AGENT__TYPE__SHUTDOWN_EXECUTOR:
        handle_shutdown_executor(agent, message->shutdown_executor, now);
        break;
    case MESETA__LINK__TO_AGENT__TYPE__FRAMEWORK_MESSAGE:
        handle_framework_message(agent, message->framework_message);
        break;
    case MESETA__LINK__TO_AGENT__TYPE__UPDATE_FRAMEWORK:
        handle_update_framework(agent, message->update_framework, now);
        break;
    case MESETA__LINK__TO_AGENT__TYPE__RECONCILE:
        handle_reconcile(agent, message->reconcile, now);
        break;
    case MESETA__LINK__TO_AGENT__TYPE__APPLY_OPERATION:
        agent_apply_operation(agent, message->apply_operation, now);
        break;
    case MESETA__LINK__TO_AGENT__TYPE__ACKNOWLEDGE_OPERATION:
        agent_acknowledge_operation(agent, message->acknowledge_operation);
        break;
    case MESETA__LINK__TO_AGENT__TYPE__RECONCILE_OPERATIONS:
        agent_reconcile_operations(agent, message->reconcile_operations);
        break;
    case MESETA__LINK__TO_AGENT__TYPE__DRAIN_AGENT:
        agent_drain(agent, message->drain_agent->config, now);
        break;
    default:
        break;
    }
}

// The field that `type` names.
static bool has_body(const Meseta__Link__ToAgent *m)
{
    switch (m->type) {
    case MESETA__LINK__TO_AGENT__TYPE__REGISTERED:
    case MESETA__LINK__TO_AGENT__TYPE__REREGISTERED:
        return m->registered != NULL;
    case MESETA__LINK__TO_AGENT__TYPE__REFUSED:
        return m->refused != NULL;
    case MESETA__LINK__TO_AGENT__TYPE__SHUTDOWN:
        return m->shutdown != NULL;
    case MESETA__LINK__TO_AGENT__TYPE__PING:
        return true;
    case MESETA__LINK__TO_AGENT__TYPE__RUN_TASK:
        return m->run_task != NULL;
    case MESETA__LINK__TO_AGENT__TYPE__RUN_TASK_GROUP:
        return m->run_task_group != NULL && m->run_task_group->task_group->n_tasks > 0;
    case MESETA__LINK__TO_AGENT__TYPE__KILL_TASK:
        return m->kill_task != NULL;
    case MESETA__LINK__TO_AGENT__TYPE__ACKNOWLEDGE:
        return m->acknowledge != NULL;
    case MESETA__LINK__TO_AGENT__TYPE__SHUTDOWN_FRAMEWORK:
        return m->shutdown_framework != NULL;
    case MESETA__LINK__TO_AGENT__TYPE__SHUTDOWN_EXECUTOR:
        return m->shutdown_executor != NULL;
    case MESETA__LINK__TO_AGENT__TYPE__FRAMEWORK_MESSAGE:
        return m->framework_message != NULL;
    case MESETA__LINK__TO_AGENT__TYPE__UPDATE_FRAMEWORK:
        return m->update_framework != NULL;
    case MESETA__LINK__TO_AGENT__TYPE__RECONCILE:
        return m->reconcile != NULL;
    case MESETA__LINK__TO_AGENT__TYPE__APPLY_OPERATION:
        return m->apply_operation != NULL;
    case MESETA__LINK__TO_AGENT__TYPE__ACKNOWLEDGE_OPERATION:
        return m->acknowledge_operation != NULL;
    case MESETA__LINK__TO_AGENT__TYPE__RECONCILE_OPERATIONS:
        return m->reconcile_operations != NULL;
    case MESETA__LINK__TO_AGENT__TYPE__DRAIN_AGENT:
        return m->drain_agent != NULL;
    default:
        return false;
    }
}

void agent_receive(struct agent *agent, const Meseta__Link__ToAgent *message, struct instant now)
{
    if (!has_body(message)) {
        log_warning("Dropping a message of type %d from the master", (int)message->type);
        return;
    }
    if (agent->state == AGENT_TERMINATING || agent->state == AGENT_DISCONNECTED) {
        return;
    }
    switch (message->type) {
    case MESETA__LINK__TO_AGENT__TYPE__REGISTERED:
        handle_registered(agent, message->registered, false, now);
        break;
    case MESETA__LINK__TO_AGENT__TYPE__REREGISTERED:
        handle_registered(agent, message->registered, true, now);
        break;
    case MESETA__LINK__TO_AGENT__TYPE__REFUSED:
        log_error("Master refused this agent: %s", message->refused->message);
        break;
    case MESETA__LINK__TO_AGENT__TYPE__SHUTDOWN:
        handle_shutdown(agent, message->shutdown, now);
        break;
    case MESETA__LINK__TO_AGENT__TYPE__PING:
        handle_ping(agent, now);
        break;
    default:
        if (agent->state == AGENT_REGISTERED) {
            receive_registered(agent, message, now);
        }
        break;
    }
}

// ---- the end ----

void agent_shutdown(struct agent *agent, const char *message, struct instant now)
{
    if (agent->state == AGENT_TERMINATING) {
        return;
    }
    log_info("%s; unregistering and shutting down", message);
    if (agent->state == AGENT_REGISTERED) {
        Meseta__Link__ToMaster unregister = MESETA__LINK__TO_MASTER__INIT;
        unregister.type = MESETA__LINK__TO_MASTER__TYPE__UNREGISTER;
        agent_send(agent, &unregister);
    }
    timer_cancel(&agent->timers, &agent->registration);
    timer_cancel(&agent->timers, &agent->ping);
    agent->state = AGENT_TERMINATING;
    agent_streams_pause(agent);
    agent_operations_pause(agent);
    shut_down_frameworks(agent, now);
}

void agent_finish_if_idle(struct agent *agent, struct instant now)
{
    if (agent->frameworks.count > 0) {
        return;
    }
    if (agent->state == AGENT_TERMINATING) {
        if (!agent->has_ended) {
            // Whoever starts here next is a new agent.
            if (!agent->keeps_id) {
                agent_set_id(agent, NULL);
            }
            agent->has_ended = true;
            agent->ops.on_shut_down(agent->ctx);
        }
    } else if (agent->is_resetting) {
        agent->is_resetting = false;
        agent_set_id(agent, NULL);
        if (agent->state == AGENT_CONNECTED) {
            agent_registration_start(agent, now);
        }
    }
}
