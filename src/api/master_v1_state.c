// SPDX-License-Identifier: Apache-2.0
//
// What the master's operator API tells of the cluster: agents.

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
