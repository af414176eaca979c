// SPDX-License-Identifier: Apache-2.0
//
// GET /registrar(1)/registry: what the registry holds, in the shape of Mesos' one big message. Read
// from what the core knows to be durable.

#include <string.h>

#include "api/master_v0.h"
#include "base/check.h"
#include "proto/registry.pb-c.h"
#include "wire/wire.h"

static void put_message(struct json_writer *w, const char *key, const ProtobufCMessage *message)
{
    json_key(w, key);
    wire_json_put(w, message);
}

static void put_value(struct json_writer *w, const char *key, const char *value)
{
    json_key(w, key);
    json_object_open(w);
    json_key_string(w, "value", value);
    json_object_close(w);
}

static void put_time(struct json_writer *w, int64_t wall_ns)
{
    json_key(w, "timestamp");
    json_object_open(w);
    json_key_i64(w, "nanoseconds", wall_ns);
    json_object_close(w);
}

static void put_deactivation(struct json_writer *w, const struct master *m, const char *id)
{
    AUTO_ARENA struct arena *arena = arena_new(512, 0);
    const struct deactivation *d = map_get(&m->deactivations, id);
    const Mesos__V1__DrainInfo *drain = d != NULL ? master_deactivation_drain_info(d, arena) : NULL;
    if (drain != NULL)
        put_message(w, "drain_info", &drain->base);
    json_key_bool(w, "deactivated", d != NULL && d->now.is_deactivated);
}

static void put_admitted(struct json_writer *w, const struct master *m,
                         const Mesos__V1__AgentInfo *info)
{
    json_object_open(w);
    put_message(w, "info", &info->base);
    put_deactivation(w, m, info->id->value);
    json_object_close(w);
}

// {"<key>": {"slaves": [...]}}
static void open_agents(struct json_writer *w, const char *key, const char *inner)
{
    json_key(w, key);
    json_object_open(w);
    json_key(w, inner);
    json_array_open(w);
}

static void close_agents(struct json_writer *w)
{
    json_array_close(w);
    json_object_close(w);
}

static void put_agents(struct json_writer *w, const struct master *m)
{
    open_agents(w, "slaves", "slaves");
    MAP_FOREACH (&m->agents, entry)
        put_admitted(w, m, ((const struct agent *)entry->value)->info);
    MAP_FOREACH (&m->recovered, entry)
        put_admitted(w, m, ((const struct recovered_agent *)entry->value)->info);
    close_agents(w);
    open_agents(w, "unreachable", "slaves");
    MAP_FOREACH (&m->unreachable, entry) {
        const struct unreachable_agent *u = entry->value;
        json_object_open(w);
        put_value(w, "id", u->id);
        put_time(w, u->since_ns);
        put_deactivation(w, m, u->id);
        json_object_close(w);
    }
    close_agents(w);
    open_agents(w, "gone", "slaves");
    MAP_FOREACH (&m->gone, entry) {
        json_object_open(w);
        put_value(w, "id", entry->key);
        put_time(w, *(const int64_t *)entry->value);
        json_object_close(w);
    }
    close_agents(w);
}

static void put_maintenance(struct json_writer *w, const struct maintenance *maintenance)
{
    open_agents(w, "machines", "machines");
    MAP_FOREACH (&maintenance->machines, entry) {
        const struct machine *machine = entry->value;
        Mesos__V1__MachineInfo info = MESOS__V1__MACHINE_INFO__INIT;
        info.id = machine->id;
        info.has_mode = true;
        info.mode = machine->is_down ? MESOS__V1__MACHINE_INFO__MODE__DOWN
                                     : MESOS__V1__MACHINE_INFO__MODE__DRAINING;
        info.unavailability = machine->unavailability;
        json_object_open(w);
        put_message(w, "info", &info.base);
        json_object_close(w);
    }
    close_agents(w);
    json_key(w, "schedules");
    json_array_open(w);
    if (maintenance->schedule->n_windows > 0)
        wire_json_put(w, &maintenance->schedule->base);
    json_array_close(w);
}

static void put_roles(struct json_writer *w, const struct master *m)
{
    json_key(w, "weights");
    json_array_open(w);
    MAP_FOREACH (&m->weights, entry) {
        json_object_open(w);
        json_key(w, "info");
        json_object_open(w);
        json_key_string(w, "role", entry->key);
        json_key_double(w, "weight", *(const double *)entry->value);
        json_object_close(w);
        json_object_close(w);
    }
    json_array_close(w);
    json_key(w, "quota_configs");
    json_array_open(w);
    MAP_FOREACH (&m->quotas, entry)
        wire_json_put(w, &((const struct quota *)entry->value)->config->base);
    json_array_close(w);
}

static void put_capabilities(struct json_writer *w, const struct master *m)
{
    const struct {
        const char *name;
        bool is_needed;
    } capabilities[] = {{"AGENT_DRAINING", m->deactivations.count > 0},
                        {"QUOTA_V2", m->quotas.count > 0}};
    json_key(w, "minimum_capabilities");
    json_array_open(w);
    for (size_t i = 0; i < ARRAY_COUNT(capabilities); i++) {
        if (!capabilities[i].is_needed)
            continue;
        json_object_open(w);
        json_key_string(w, "capability", capabilities[i].name);
        json_object_close(w);
    }
    json_array_close(w);
}

static void registry_endpoint(void *ctx, struct http_request *r)
{
    struct master_server *server = ctx;
    if (!master_require_recovery(server, r))
        return;
    const struct master *m = server->core;
    AUTO_BUF struct buf out = BUF_INIT;
    struct json_writer w;
    json_begin(&w, &out);
    json_object_open(&w);
    json_key(&w, "master");
    json_object_open(&w);
    put_message(&w, "info", &m->info->base);
    json_object_close(&w);
    put_agents(&w, m);
    put_maintenance(&w, m->maintenance);
    put_roles(&w, m);
    put_capabilities(&w, m);
    json_object_close(&w);
    api_respond_json(r, &out);
}

static const struct api_route routes[] = {
    {"/registrar(1)/registry", NULL, registry_endpoint, "What the registry holds."},
};

void master_registry_add_routes(struct master_server *server)
{
    api_router_add(server->router, routes, ARRAY_COUNT(routes), server);
}
