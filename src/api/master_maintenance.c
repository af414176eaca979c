// SPDX-License-Identifier: Apache-2.0
//
// Maintenance: /maintenance/schedule, /maintenance/status, /machine/down and /machine/up, and the
// calls of the operator API.

#include <errno.h>
#include <string.h>

#include "api/master_v1.h"
#include "base/check.h"
#include "wire/wire.h"

// ---- schedule ----

void master_v1_get_maintenance_schedule(struct api_v1_request *q)
{
    struct master_server *server = q->ctx;
    Mesos__V1__Master__Response__GetMaintenanceSchedule *body =
        (Mesos__V1__Master__Response__GetMaintenanceSchedule *)api_v1_make_body(q);
    body->schedule = server->core->maintenance->schedule;
    api_v1_respond(q, &body->base);
}

static void update_schedule(struct master_server *server, struct http_request *r,
                            const Mesos__V1__Maintenance__Schedule *schedule)
{
    struct error err;
    int status = master_update_schedule(server->core, schedule, r, env_now(server->env), &err);
    master_v1_finish(server, r, status, &err);
}

void master_v1_update_maintenance_schedule(struct api_v1_request *q)
{
    update_schedule(
        q->ctx, q->http,
        ((const Mesos__V1__Master__Call__UpdateMaintenanceSchedule *)q->body)->schedule);
}

static void schedule_endpoint(void *ctx, struct http_request *r)
{
    struct master_server *server = ctx;
    if (!master_require_recovery(server, r) || !api_require_method(r, "GET,POST"))
        return;
    if (strcmp(http_method(r), "GET") == 0) {
        api_respond_json_message(r, &server->core->maintenance->schedule->base);
        return;
    }
    size_t size;
    const char *body = http_body(r, &size);
    ProtobufCMessage *message;
    struct error err;
    if (wire_json_decode(&mesos__v1__maintenance__schedule__descriptor, http_arena(r), body, size,
                         &message, &err) < 0) {
        http_respond_text(r, 400, "%s", err.text);
        return;
    }
    update_schedule(server, r, (const Mesos__V1__Maintenance__Schedule *)message);
}

// ---- status ----

typedef Mesos__V1__Maintenance__ClusterStatus__DrainingMachine draining_t;

static Mesos__V1__Allocator__InverseOfferStatus *make_answer(struct arena *arena,
                                                             const struct inverse *i)
{
    Mesos__V1__Allocator__InverseOfferStatus *status =
        WIRE_NEW(arena, Mesos__V1__Allocator__InverseOfferStatus,
                 mesos__v1__allocator__inverse_offer_status);
    status->status = i->answer;
    status->framework_id = WIRE_NEW(arena, Mesos__V1__FrameworkID, mesos__v1__framework_id);
    status->framework_id->value = arena_strdup(arena, i->framework_id);
    status->timestamp = WIRE_NEW(arena, Mesos__V1__TimeInfo, mesos__v1__time_info);
    status->timestamp->nanoseconds = i->answered;
    return status;
}

// What frameworks answered about the agents of one machine.
static void put_answers(struct arena *arena, const struct master *m, const struct machine *machine,
                        draining_t *draining)
{
    size_t most = 0;
    LIST_FOREACH (&m->unavailable, const struct agent, unavailable, counted)
        most += counted->inverse.count;
    draining->statuses = arena_calloc(arena, most + 1, sizeof(*draining->statuses));
    LIST_FOREACH (&m->unavailable, const struct agent, unavailable, a) {
        if (master_agent_machine(a) != machine)
            continue;
        MAP_FOREACH (&a->inverse, entry) {
            const struct inverse *i = entry->value;
            if (i->answered != 0)
                draining->statuses[draining->n_statuses++] = make_answer(arena, i);
        }
    }
}

static Mesos__V1__Maintenance__ClusterStatus *make_status(const struct master *m,
                                                          struct arena *arena)
{
    const struct map *machines = &m->maintenance->machines;
    Mesos__V1__Maintenance__ClusterStatus *status = WIRE_NEW(
        arena, Mesos__V1__Maintenance__ClusterStatus, mesos__v1__maintenance__cluster_status);
    status->draining_machines =
        arena_calloc(arena, machines->count + 1, sizeof(*status->draining_machines));
    status->down_machines =
        arena_calloc(arena, machines->count + 1, sizeof(*status->down_machines));
    MAP_FOREACH (machines, entry) {
        const struct machine *machine = entry->value;
        if (machine->is_down) {
            status->down_machines[status->n_down_machines++] = machine->id;
            continue;
        }
        draining_t *draining =
            WIRE_NEW(arena, draining_t, mesos__v1__maintenance__cluster_status__draining_machine);
        draining->id = machine->id;
        put_answers(arena, m, machine, draining);
        status->draining_machines[status->n_draining_machines++] = draining;
    }
    return status;
}

void master_v1_get_maintenance_status(struct api_v1_request *q)
{
    struct master_server *server = q->ctx;
    Mesos__V1__Master__Response__GetMaintenanceStatus *body =
        (Mesos__V1__Master__Response__GetMaintenanceStatus *)api_v1_make_body(q);
    body->status = make_status(server->core, http_arena(q->http));
    api_v1_respond(q, &body->base);
}

static void status_endpoint(void *ctx, struct http_request *r)
{
    struct master_server *server = ctx;
    if (master_require_recovery(server, r) && api_require_method(r, "GET"))
        api_respond_json_message(r, &make_status(server->core, http_arena(r))->base);
}

// ---- down and up ----

typedef int change_fn(struct master *m, Mesos__V1__MachineID *const *ids, size_t count,
                      void *waiter, struct instant now, struct error *err);

static void change_machines(struct master_server *server, struct http_request *r,
                            Mesos__V1__MachineID *const *ids, size_t count, change_fn *change)
{
    struct error err;
    int status = change(server->core, ids, count, r, env_now(server->env), &err);
    master_v1_finish(server, r, status, &err);
}

void master_v1_start_maintenance(struct api_v1_request *q)
{
    const Mesos__V1__Master__Call__StartMaintenance *body =
        (const Mesos__V1__Master__Call__StartMaintenance *)q->body;
    change_machines(q->ctx, q->http, body->machines, body->n_machines, master_start_maintenance);
}

void master_v1_stop_maintenance(struct api_v1_request *q)
{
    const Mesos__V1__Master__Call__StopMaintenance *body =
        (const Mesos__V1__Master__Call__StopMaintenance *)q->body;
    change_machines(q->ctx, q->http, body->machines, body->n_machines, master_stop_maintenance);
}

static void machine_endpoint(struct master_server *server, struct http_request *r,
                             change_fn *change)
{
    if (!master_require_recovery(server, r) || !api_require_method(r, "POST"))
        return;
    size_t size;
    const char *body = http_body(r, &size);
    ProtobufCMessage **messages;
    size_t count;
    struct error err;
    if (wire_json_decode_list(&mesos__v1__machine_id__descriptor, http_arena(r), body, size,
                              &messages, &count, &err) < 0) {
        http_respond_text(r, 400, "%s", err.text);
        return;
    }
    change_machines(server, r, (Mesos__V1__MachineID *const *)messages, count, change);
}

static void down_endpoint(void *ctx, struct http_request *r)
{
    machine_endpoint(ctx, r, master_start_maintenance);
}

static void up_endpoint(void *ctx, struct http_request *r)
{
    machine_endpoint(ctx, r, master_stop_maintenance);
}

static const struct api_route routes[] = {
    {"/maintenance/schedule", NULL, schedule_endpoint,
     "When which machines go down; POST replaces it."},
    {"/maintenance/status", NULL, status_endpoint,
     "Machines that drain, with what frameworks answered, and those that are down."},
    {"/machine/down", NULL, down_endpoint, "Takes machines of the schedule down."},
    {"/machine/up", NULL, up_endpoint, "Brings machines up again, out of the schedule."},
};

void master_maintenance_add_routes(struct master_server *server)
{
    api_router_add(server->router, routes, ARRAY_COUNT(routes), server);
}
