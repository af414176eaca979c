// SPDX-License-Identifier: Apache-2.0
//
// GET_... calls of the agent's operator API: what it is, what runs on it, what that uses. Messages
// borrow from the core's objects and are encoded at once.

#include <string.h>

#include "api/agent_v1.h"
#include "base/check.h"
#include "base/mem.h"
#include "wire/wire.h"

// A growing list of messages in an arena.
struct messages {
    struct arena *arena;
    void **items;
    size_t count;
    size_t capacity;
};

static void messages_add(struct messages *m, void *message)
{
    if (m->count == m->capacity) {
        size_t capacity = m->capacity == 0 ? 16 : m->capacity * 2;
        void **items = arena_calloc(m->arena, capacity, sizeof(items[0]));
        if (m->count > 0) {
            memcpy(items, m->items, m->count * sizeof(items[0]));
        }
        m->items = items;
        m->capacity = capacity;
    }
    m->items[m->count++] = message;
}

// ---- the agent ----

static void get_agent(struct api_v1_request *q)
{
    struct agent_daemon *d = q->ctx;
    Mesos__V1__Agent__Response__GetAgent *body = (void *)api_v1_make_body(q);
    body->agent_info = d->agent->info;
    body->drain_config = d->agent->drain;
    if (d->agent->drain != NULL) {
        body->estimated_drain_start_time =
            WIRE_NEW(http_arena(q->http), Mesos__V1__TimeInfo, mesos__v1__time_info);
        body->estimated_drain_start_time->nanoseconds =
            (int64_t)(d->agent->drain_start_time * (double)NS_PER_S);
    }
    api_v1_respond(q, &body->base);
}

static void get_resource_providers(struct api_v1_request *q)
{
    api_v1_respond(q, api_v1_make_body(q)); // there are none
}

// ---- frameworks ----

static void add_framework(struct messages *m, const struct agent_framework *framework)
{
    Mesos__V1__Agent__Response__GetFrameworks__Framework *one =
        WIRE_NEW(m->arena, Mesos__V1__Agent__Response__GetFrameworks__Framework,
                 mesos__v1__agent__response__get_frameworks__framework);
    one->framework_info = framework->info;
    messages_add(m, one);
}

static void fill_frameworks(const struct agent *agent, struct arena *arena,
                            Mesos__V1__Agent__Response__GetFrameworks *body)
{
    struct messages running = {.arena = arena}, completed = {.arena = arena};
    MAP_FOREACH (&agent->frameworks, entry) {
        add_framework(&running, entry->value);
    }
    LIST_FOREACH (&agent->completed_frameworks, struct agent_framework, link, framework) {
        add_framework(&completed, framework);
    }
    body->frameworks = (void *)running.items;
    body->n_frameworks = running.count;
    body->completed_frameworks = (void *)completed.items;
    body->n_completed_frameworks = completed.count;
}

static void get_frameworks(struct api_v1_request *q)
{
    struct agent_daemon *d = q->ctx;
    Mesos__V1__Agent__Response__GetFrameworks *body = (void *)api_v1_make_body(q);
    fill_frameworks(d->agent, http_arena(q->http), body);
    api_v1_respond(q, &body->base);
}

// ---- executors ----

static void add_executor(struct messages *m, const struct agent_executor *executor)
{
    Mesos__V1__Agent__Response__GetExecutors__Executor *one =
        WIRE_NEW(m->arena, Mesos__V1__Agent__Response__GetExecutors__Executor,
                 mesos__v1__agent__response__get_executors__executor);
    one->executor_info = executor->info;
    messages_add(m, one);
}

static void add_completed_executors(struct messages *m, const struct agent_framework *framework)
{
    LIST_FOREACH (&framework->completed_executors, struct agent_executor, link, executor) {
        add_executor(m, executor);
    }
}

static void fill_executors(const struct agent *agent, struct arena *arena,
                           Mesos__V1__Agent__Response__GetExecutors *body)
{
    struct messages running = {.arena = arena}, completed = {.arena = arena};
    MAP_FOREACH (&agent->frameworks, entry) {
        const struct agent_framework *framework = entry->value;
        MAP_FOREACH (&framework->executors, inner) {
            add_executor(&running, inner->value);
        }
        add_completed_executors(&completed, framework);
    }
    LIST_FOREACH (&agent->completed_frameworks, struct agent_framework, link, framework) {
        add_completed_executors(&completed, framework);
    }
    body->executors = (void *)running.items;
    body->n_executors = running.count;
    body->completed_executors = (void *)completed.items;
    body->n_completed_executors = completed.count;
}

static void get_executors(struct api_v1_request *q)
{
    struct agent_daemon *d = q->ctx;
    Mesos__V1__Agent__Response__GetExecutors *body = (void *)api_v1_make_body(q);
    fill_executors(d->agent, http_arena(q->http), body);
    api_v1_respond(q, &body->base);
}

// ---- tasks ----

struct task_lists {
    struct messages queued, launched, terminated, completed;
};

static void add_tasks(struct messages *m, const struct list *tasks)
{
    LIST_FOREACH (tasks, struct agent_task, link, task) {
        messages_add(m, agent_task_message(task, m->arena));
    }
}

static void add_tasks_of(struct task_lists *lists, const struct agent_executor *executor)
{
    add_tasks(&lists->queued, &executor->queued);
    add_tasks(&lists->launched, &executor->launched);
    add_tasks(&lists->terminated, &executor->terminated);
    add_tasks(&lists->completed, &executor->completed);
}

static void add_tasks_of_completed(struct task_lists *lists,
                                   const struct agent_framework *framework)
{
    LIST_FOREACH (&framework->completed_executors, struct agent_executor, link, executor) {
        add_tasks_of(lists, executor);
    }
}

static void fill_tasks(const struct agent *agent, struct arena *arena,
                       Mesos__V1__Agent__Response__GetTasks *body)
{
    struct messages none = {.arena = arena};
    struct task_lists lists = {none, none, none, none};
    MAP_FOREACH (&agent->frameworks, entry) {
        const struct agent_framework *framework = entry->value;
        MAP_FOREACH (&framework->executors, inner) {
            add_tasks_of(&lists, inner->value);
        }
        add_tasks_of_completed(&lists, framework);
    }
    LIST_FOREACH (&agent->completed_frameworks, struct agent_framework, link, framework) {
        add_tasks_of_completed(&lists, framework);
    }
    body->queued_tasks = (void *)lists.queued.items;
    body->n_queued_tasks = lists.queued.count;
    body->launched_tasks = (void *)lists.launched.items;
    body->n_launched_tasks = lists.launched.count;
    body->terminated_tasks = (void *)lists.terminated.items;
    body->n_terminated_tasks = lists.terminated.count;
    body->completed_tasks = (void *)lists.completed.items;
    body->n_completed_tasks = lists.completed.count;
}

static void get_tasks(struct api_v1_request *q)
{
    struct agent_daemon *d = q->ctx;
    Mesos__V1__Agent__Response__GetTasks *body = (void *)api_v1_make_body(q);
    fill_tasks(d->agent, http_arena(q->http), body);
    api_v1_respond(q, &body->base);
}

static void get_state(struct api_v1_request *q)
{
    struct agent_daemon *d = q->ctx;
    struct arena *arena = http_arena(q->http);
    Mesos__V1__Agent__Response__GetState *body = (void *)api_v1_make_body(q);
    body->get_tasks = WIRE_NEW(arena, Mesos__V1__Agent__Response__GetTasks,
                               mesos__v1__agent__response__get_tasks);
    body->get_executors = WIRE_NEW(arena, Mesos__V1__Agent__Response__GetExecutors,
                                   mesos__v1__agent__response__get_executors);
    body->get_frameworks = WIRE_NEW(arena, Mesos__V1__Agent__Response__GetFrameworks,
                                    mesos__v1__agent__response__get_frameworks);
    fill_tasks(d->agent, arena, body->get_tasks);
    fill_executors(d->agent, arena, body->get_executors);
    fill_frameworks(d->agent, arena, body->get_frameworks);
    api_v1_respond(q, &body->base);
}

// ---- containers ----

static Mesos__V1__ContainerStatus *make_status(const struct agent_daemon *d, const char *id,
                                               pid_t pid, struct arena *arena)
{
    Mesos__V1__ContainerStatus *status =
        WIRE_NEW(arena, Mesos__V1__ContainerStatus, mesos__v1__container_status);
    status->container_id = agent_v1_id_message(id, arena);
    status->has_executor_pid = pid > 0;
    status->executor_pid = (uint32_t)pid;
    Mesos__V1__NetworkInfo__IPAddress *address =
        WIRE_NEW(arena, Mesos__V1__NetworkInfo__IPAddress, mesos__v1__network_info__ipaddress);
    address->ip_address = d->agent->ip;
    Mesos__V1__NetworkInfo *network =
        WIRE_NEW(arena, Mesos__V1__NetworkInfo, mesos__v1__network_info);
    network->n_ip_addresses = 1;
    network->ip_addresses = arena_dup(arena, &address, sizeof(address));
    status->n_network_infos = 1;
    status->network_infos = arena_dup(arena, &network, sizeof(network));
    return status;
}

// `executor` is NULL for one that stands alone.
static void add_container(struct agent_daemon *d, struct messages *m, const char *id,
                          const struct agent_executor *executor)
{
    Mesos__V1__Agent__Response__GetContainers__Container *one =
        WIRE_NEW(m->arena, Mesos__V1__Agent__Response__GetContainers__Container,
                 mesos__v1__agent__response__get_containers__container);
    if (executor != NULL) {
        one->framework_id = executor->framework->info->id;
        one->executor_id = executor->info->executor_id;
        one->executor_name =
            executor->info->name != NULL ? executor->info->name : arena_strdup(m->arena, "");
    }
    one->container_id = agent_v1_id_message(id, m->arena);
    one->container_status = make_status(d, id, containerizer_pid(d->containerizer, id), m->arena);
    // One that shares its parent's limits has no books of its own.
    if (containerizer_owns_limits(d->containerizer, id) &&
        containerizer_usage(d->containerizer, id, m->arena, &one->resource_statistics, NULL) < 0) {
        one->resource_statistics = NULL;
    }
    messages_add(m, one);
}

static void get_containers(struct api_v1_request *q)
{
    struct agent_daemon *d = q->ctx;
    const Mesos__V1__Agent__Call__GetContainers *call = (const void *)q->body;
    bool nested = call != NULL && call->has_show_nested && call->show_nested;
    bool standalone = call != NULL && call->has_show_standalone && call->show_standalone;
    struct messages m = {.arena = http_arena(q->http)};
    const char *const *ids;
    size_t count = containerizer_list(d->containerizer, m.arena, &ids);
    for (size_t i = 0; i < count; i++) {
        // An executor's own, or within it.
        const struct agent_executor *executor =
            map_get_n(&d->agent->containers, ids[i], strcspn(ids[i], "."));
        bool is_nested = strchr(ids[i], '.') != NULL;
        bool is_alone = containerizer_is_standalone(d->containerizer, ids[i]);
        bool is_known = executor != NULL || is_alone || is_nested;
        if (is_known && (nested || !is_nested) && (standalone || !is_alone)) {
            add_container(d, &m, ids[i], executor);
        }
    }
    Mesos__V1__Agent__Response__GetContainers *body = (void *)api_v1_make_body(q);
    body->containers = (void *)m.items;
    body->n_containers = m.count;
    api_v1_respond(q, &body->base);
}

static void get_operations(struct api_v1_request *q)
{
    struct agent_daemon *d = q->ctx;
    struct messages m = {.arena = http_arena(q->http)};
    MAP_FOREACH (&d->agent->operations, entry) {
        messages_add(&m, agent_operation_message(entry->value, m.arena));
    }
    Mesos__V1__Agent__Response__GetOperations *body = (void *)api_v1_make_body(q);
    body->operations = (void *)m.items;
    body->n_operations = m.count;
    api_v1_respond(q, &body->base);
}

const struct api_v1_row agent_v1_look_rows[] = {
    {"GET_AGENT", get_agent, NULL, false, false},
    {"GET_CONTAINERS", get_containers, NULL, true, false},
    {"GET_EXECUTORS", get_executors, NULL, false, false},
    {"GET_FRAMEWORKS", get_frameworks, NULL, false, false},
    {"GET_OPERATIONS", get_operations, NULL, false, false},
    {"GET_RESOURCE_PROVIDERS", get_resource_providers, NULL, false, false},
    {"GET_STATE", get_state, NULL, false, false},
    {"GET_TASKS", get_tasks, NULL, false, false},
};
const size_t agent_v1_look_row_count = ARRAY_COUNT(agent_v1_look_rows);
