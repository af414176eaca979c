// SPDX-License-Identifier: Apache-2.0
//
// What the master's operator API tells of the cluster.

#include <string.h>

#include "api/master_v0.h"
#include "api/master_v1.h"
#include "base/check.h"
#include "wire/wire.h"

static Mesos__V1__TimeInfo *make_time(struct arena *arena, int64_t wall_ns)
{
    Mesos__V1__TimeInfo *time = WIRE_NEW(arena, Mesos__V1__TimeInfo, mesos__v1__time_info);
    time->nanoseconds = wall_ns;
    return time;
}

static size_t put_resources(struct arena *arena, const struct resources *from,
                            Mesos__V1__Resource ***ret_resources)
{
    return resources_to_proto(from, arena, RESOURCES_ENDPOINT_FORM, true, ret_resources);
}

// ---- agents ----

Mesos__V1__Master__Response__GetAgents__Agent *master_v1_agent(struct arena *arena,
                                                               const struct agent *a)
{
    Mesos__V1__Master__Response__GetAgents__Agent *agent =
        WIRE_NEW(arena, Mesos__V1__Master__Response__GetAgents__Agent,
                 mesos__v1__master__response__get_agents__agent);
    agent->agent_info = a->info;
    agent->active = a->active;
    agent->has_deactivated = true;
    agent->deactivated = master_agent_is_deactivated(a);
    agent->version = arena_strdup(arena, a->version);
    agent->pid = arena_strdup(arena, a->pid);
    agent->registered_time = make_time(arena, a->registered);
    if (a->reregistered != 0)
        agent->reregistered_time = make_time(arena, a->reregistered);
    agent->n_total_resources = put_resources(arena, a->total, &agent->total_resources);
    agent->n_allocated_resources = put_resources(arena, a->used, &agent->allocated_resources);
    agent->n_offered_resources = put_resources(arena, a->offered, &agent->offered_resources);
    agent->n_capabilities = a->capability_count;
    agent->capabilities = a->capabilities;
    const struct deactivation *d = map_get(&a->master->deactivations, a->id);
    if (d != NULL) {
        agent->drain_info = master_deactivation_drain_info(d, arena);
        if (agent->drain_info != NULL && d->drain_started != 0)
            agent->estimated_drain_start_time = make_time(arena, d->drain_started);
    }
    return agent;
}

Mesos__V1__Master__Response__GetAgents *master_v1_agents(struct arena *arena,
                                                         const struct master *m)
{
    Mesos__V1__Master__Response__GetAgents *body = WIRE_NEW(
        arena, Mesos__V1__Master__Response__GetAgents, mesos__v1__master__response__get_agents);
    body->agents = arena_calloc(arena, m->agents.count + 1, sizeof(*body->agents));
    MAP_FOREACH (&m->agents, entry)
        body->agents[body->n_agents++] = master_v1_agent(arena, entry->value);
    body->recovered_agents =
        arena_calloc(arena, m->recovered.count + 1, sizeof(*body->recovered_agents));
    MAP_FOREACH (&m->recovered, entry)
        body->recovered_agents[body->n_recovered_agents++] =
            ((const struct recovered_agent *)entry->value)->info;
    return body;
}

void master_v1_get_agents(struct api_v1_request *q)
{
    struct master_server *server = q->ctx;
    api_v1_respond(q, &master_v1_agents(http_arena(q->http), server->core)->base);
}

// ---- frameworks ----

// For LIST_FOREACH over records that are only read.
#define READ_ONLY(head) ((struct list *)(uintptr_t) & (head))

static void put_offers(struct arena *arena, const struct framework *f,
                       Mesos__V1__Master__Response__GetFrameworks__Framework *framework)
{
    size_t count = 0;
    LIST_FOREACH (READ_ONLY(f->offers), const struct offer, by_framework, counted)
        count += counted->framework == f;
    framework->offers = arena_calloc(arena, count + 1, sizeof(*framework->offers));
    LIST_FOREACH (READ_ONLY(f->offers), const struct offer, by_framework, o)
        framework->offers[framework->n_offers++] = master_offer_message(o, arena);
    const struct master *m = f->master;
    framework->inverse_offers =
        arena_calloc(arena, m->inverse_offers.count + 1, sizeof(*framework->inverse_offers));
    MAP_FOREACH (&m->inverse_offers, entry) {
        const struct inverse *i = entry->value;
        Mesos__V1__InverseOffer *offer =
            strcmp(i->framework_id, f->id) == 0 ? master_inverse_message(i, arena) : NULL;
        if (offer != NULL)
            framework->inverse_offers[framework->n_inverse_offers++] = offer;
    }
}

Mesos__V1__Master__Response__GetFrameworks__Framework *master_v1_framework(
    struct arena *arena, const struct framework *f)
{
    Mesos__V1__Master__Response__GetFrameworks__Framework *framework =
        WIRE_NEW(arena, Mesos__V1__Master__Response__GetFrameworks__Framework,
                 mesos__v1__master__response__get_frameworks__framework);
    framework->framework_info = f->info;
    framework->active = f->active;
    framework->connected = f->subscriber != NULL;
    framework->recovered = f->recovered;
    if (f->registered != 0)
        framework->registered_time = make_time(arena, f->registered);
    if (f->reregistered != 0)
        framework->reregistered_time = make_time(arena, f->reregistered);
    if (f->unregistered != 0)
        framework->unregistered_time = make_time(arena, f->unregistered);
    framework->offer_constraints = f->offer_constraints;
    put_offers(arena, f, framework);
    framework->n_allocated_resources =
        put_resources(arena, f->used, &framework->allocated_resources);
    framework->n_offered_resources =
        put_resources(arena, f->offered, &framework->offered_resources);
    return framework;
}

static Mesos__V1__Master__Response__GetFrameworks *make_frameworks(struct arena *arena,
                                                                   const struct master *m)
{
    Mesos__V1__Master__Response__GetFrameworks *body =
        WIRE_NEW(arena, Mesos__V1__Master__Response__GetFrameworks,
                 mesos__v1__master__response__get_frameworks);
    body->frameworks = arena_calloc(arena, m->frameworks.count + 1, sizeof(*body->frameworks));
    MAP_FOREACH (&m->frameworks, entry)
        body->frameworks[body->n_frameworks++] = master_v1_framework(arena, entry->value);
    body->completed_frameworks =
        arena_calloc(arena, m->completed_count + 1, sizeof(*body->completed_frameworks));
    LIST_FOREACH (READ_ONLY(m->completed), const struct framework, in_completed, f)
        body->completed_frameworks[body->n_completed_frameworks++] = master_v1_framework(arena, f);
    return body;
}

void master_v1_get_frameworks(struct api_v1_request *q)
{
    struct master_server *server = q->ctx;
    api_v1_respond(q, &make_frameworks(http_arena(q->http), server->core)->base);
}

// ---- executors ----

static Mesos__V1__Master__Response__GetExecutors *make_executors(struct arena *arena,
                                                                 const struct master *m)
{
    Mesos__V1__Master__Response__GetExecutors *body =
        WIRE_NEW(arena, Mesos__V1__Master__Response__GetExecutors,
                 mesos__v1__master__response__get_executors);
    size_t count = 0;
    MAP_FOREACH (&m->agents, counted_entry) {
        const struct agent *a = counted_entry->value;
        LIST_FOREACH (READ_ONLY(a->executors), const struct executor, by_agent, counted)
            count += counted->agent == a;
    }
    body->executors = arena_calloc(arena, count + 1, sizeof(*body->executors));
    MAP_FOREACH (&m->agents, entry) {
        const struct agent *a = entry->value;
        LIST_FOREACH (READ_ONLY(a->executors), const struct executor, by_agent, e) {
            Mesos__V1__Master__Response__GetExecutors__Executor *executor =
                WIRE_NEW(arena, Mesos__V1__Master__Response__GetExecutors__Executor,
                         mesos__v1__master__response__get_executors__executor);
            executor->executor_info = master_v0_executor(arena, e);
            executor->agent_id = a->info->id;
            body->executors[body->n_executors++] = executor;
        }
    }
    return body;
}

void master_v1_get_executors(struct api_v1_request *q)
{
    struct master_server *server = q->ctx;
    api_v1_respond(q, &make_executors(http_arena(q->http), server->core)->base);
}

// ---- tasks ----

struct task_counts {
    size_t running, unreachable, completed;
};

static void count_tasks(struct task_counts *counts, const struct framework *f)
{
    counts->running += f->tasks.count;
    counts->unreachable += f->unreachable.count;
    counts->completed += f->completed_count;
}

static void put_tasks(struct arena *arena, Mesos__V1__Master__Response__GetTasks *body,
                      const struct framework *f)
{
    MAP_FOREACH (&f->tasks, entry)
        body->tasks[body->n_tasks++] = master_v0_task(arena, entry->value);
    MAP_FOREACH (&f->unreachable, entry)
        body->unreachable_tasks[body->n_unreachable_tasks++] = master_v0_task(arena, entry->value);
    LIST_FOREACH (READ_ONLY(f->completed_tasks), const struct task, by_place, t)
        body->completed_tasks[body->n_completed_tasks++] = master_v0_task(arena, t);
}

static Mesos__V1__Master__Response__GetTasks *make_tasks(struct arena *arena,
                                                         const struct master *m)
{
    Mesos__V1__Master__Response__GetTasks *body = WIRE_NEW(
        arena, Mesos__V1__Master__Response__GetTasks, mesos__v1__master__response__get_tasks);
    struct task_counts counts = {0};
    MAP_FOREACH (&m->frameworks, counted)
        count_tasks(&counts, counted->value);
    LIST_FOREACH (READ_ONLY(m->completed), const struct framework, in_completed, ended)
        count_tasks(&counts, ended);
    body->tasks = arena_calloc(arena, counts.running + 1, sizeof(*body->tasks));
    body->unreachable_tasks =
        arena_calloc(arena, counts.unreachable + 1, sizeof(*body->unreachable_tasks));
    body->completed_tasks =
        arena_calloc(arena, counts.completed + 1, sizeof(*body->completed_tasks));
    MAP_FOREACH (&m->frameworks, entry)
        put_tasks(arena, body, entry->value);
    LIST_FOREACH (READ_ONLY(m->completed), const struct framework, in_completed, f)
        put_tasks(arena, body, f);
    return body;
}

void master_v1_get_tasks(struct api_v1_request *q)
{
    struct master_server *server = q->ctx;
    api_v1_respond(q, &make_tasks(http_arena(q->http), server->core)->base);
}

// ---- roles ----

static void add_of_role(struct arena *arena, struct resources *sum, const struct resources *from,
                        const char *role)
{
    Mesos__V1__Resource **messages;
    size_t count = resources_to_proto(from, arena, RESOURCES_NEW_FORM, true, &messages);
    for (size_t i = 0; i < count; i++) {
        const Mesos__V1__Resource__AllocationInfo *allocation = messages[i]->allocation_info;
        if (allocation == NULL || strcmp(allocation->role, role) != 0)
            continue;
        struct resources *part;
        messages[i]->allocation_info = NULL;
        int r = resources_from_proto(&messages[i], 1, &part, NULL);
        CHECK(r == 0); // it was one a moment ago
        resources_add(sum, part);
        resources_free(part);
    }
}

// What frameworks hold in the role, or are offered.
static size_t put_role_resources(struct arena *arena, const struct master *m, const char *role,
                                 Mesos__V1__Resource ***ret_resources)
{
    AUTO_RESOURCES struct resources *sum = resources_new();
    MAP_FOREACH (&m->frameworks, entry) {
        const struct framework *f = entry->value;
        const struct resources *both[] = {f->used, f->offered};
        for (size_t i = 0; i < ARRAY_COUNT(both); i++) {
            add_of_role(arena, sum, both[i], role);
        }
    }
    return put_resources(arena, sum, ret_resources);
}

static Mesos__V1__Role *make_role(struct arena *arena, const struct master *m, const char *name)
{
    Mesos__V1__Role *role = WIRE_NEW(arena, Mesos__V1__Role, mesos__v1__role);
    role->name = arena_strdup(arena, name);
    const double *weight = map_get(&m->weights, name);
    role->weight = weight != NULL ? *weight : 1.0;
    role->frameworks = arena_calloc(arena, m->frameworks.count + 1, sizeof(*role->frameworks));
    MAP_FOREACH (&m->frameworks, entry) {
        const struct framework *f = entry->value;
        bool is_in = false;
        for (size_t i = 0; i < f->role_count; i++)
            is_in = is_in || strcmp(f->roles[i], name) == 0;
        if (is_in)
            role->frameworks[role->n_frameworks++] = f->info->id;
    }
    role->n_resources = put_role_resources(arena, m, name, &role->resources);
    return role;
}

void master_v1_get_roles(struct api_v1_request *q)
{
    struct master_server *server = q->ctx;
    const struct master *m = server->core;
    struct arena *arena = http_arena(q->http);
    const char **names;
    size_t count = master_v0_roles(m, arena, &names);
    Mesos__V1__Role **roles = arena_calloc(arena, count + 1, sizeof(Mesos__V1__Role *));
    for (size_t i = 0; i < count; i++)
        roles[i] = make_role(arena, m, names[i]);
    ProtobufCMessage *body = api_v1_make_body(q);
    api_v1_set_list(body, "roles", roles, count);
    api_v1_respond(q, body);
}

// ---- all of it ----

Mesos__V1__Master__Response__GetState *master_v1_state(struct arena *arena, const struct master *m)
{
    Mesos__V1__Master__Response__GetState *body = WIRE_NEW(
        arena, Mesos__V1__Master__Response__GetState, mesos__v1__master__response__get_state);
    body->get_tasks = make_tasks(arena, m);
    body->get_executors = make_executors(arena, m);
    body->get_frameworks = make_frameworks(arena, m);
    body->get_agents = master_v1_agents(arena, m);
    return body;
}

void master_v1_get_state(struct api_v1_request *q)
{
    struct master_server *server = q->ctx;
    api_v1_respond(q, &master_v1_state(http_arena(q->http), server->core)->base);
}
