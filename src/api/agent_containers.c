// SPDX-License-Identifier: Apache-2.0
//
// /monitor/statistics and /containers: what runs, and what it uses.

#include <string.h>

#include "api/agent_daemon.h"
#include "base/check.h"
#include "base/mem.h"
#include "wire/wire.h"

static void put_message(struct json_writer *w, const char *key, const ProtobufCMessage *message)
{
    json_key(w, key);
    wire_json_put(w, message);
}

static void put_head(struct json_writer *w, const struct agent_executor *executor)
{
    const Mesos__V1__ExecutorInfo *info = executor->info;
    json_key_string(w, "framework_id", executor->framework->id);
    json_key_string(w, "executor_id", executor->id);
    json_key_string(w, "executor_name", info->name != NULL ? info->name : "");
    json_key_string(w, "source", info->source != NULL ? info->source : "");
}

// NULL when there is none (any more).
static Mesos__V1__ResourceStatistics *usage_of(struct agent_daemon *d,
                                               const struct agent_executor *executor,
                                               struct arena *arena)
{
    Mesos__V1__ResourceStatistics *statistics;
    int r = containerizer_usage(d->containerizer, executor->container_id, arena, &statistics, NULL);
    return r == 0 ? statistics : NULL;
}

static void handle_statistics(void *ctx, struct http_request *r)
{
    struct agent_daemon *d = ctx;
    struct buf text AUTO_BUF = BUF_INIT;
    struct json_writer w;
    json_begin(&w, &text);
    json_array_open(&w);
    MAP_FOREACH (&d->agent->containers, entry) {
        const struct agent_executor *executor = entry->value;
        struct arena *arena AUTO_ARENA = arena_new(2048, 0);
        Mesos__V1__ResourceStatistics *statistics = usage_of(d, executor, arena);
        if (statistics == NULL) {
            continue;
        }
        json_object_open(&w);
        put_head(&w, executor);
        put_message(&w, "statistics", &statistics->base);
        json_object_close(&w);
    }
    json_array_close(&w);
    api_respond_json(r, &text);
}

static void put_status(struct json_writer *w, const struct agent_daemon *d,
                       const struct agent_executor *executor)
{
    Mesos__V1__ContainerID id = MESOS__V1__CONTAINER_ID__INIT;
    id.value = (char *)(uintptr_t)executor->container_id;
    Mesos__V1__NetworkInfo__IPAddress address = MESOS__V1__NETWORK_INFO__IPADDRESS__INIT;
    address.ip_address = d->agent->ip;
    Mesos__V1__NetworkInfo__IPAddress *addresses[] = {&address};
    Mesos__V1__NetworkInfo network = MESOS__V1__NETWORK_INFO__INIT;
    network.n_ip_addresses = 1;
    network.ip_addresses = addresses;
    Mesos__V1__NetworkInfo *networks[] = {&network};
    Mesos__V1__ContainerStatus status = MESOS__V1__CONTAINER_STATUS__INIT;
    status.container_id = &id;
    status.n_network_infos = 1;
    status.network_infos = networks;
    status.has_executor_pid = executor->pid > 0;
    status.executor_pid = (uint32_t)executor->pid;
    put_message(w, "status", &status.base);
}

static bool is_wanted(const char *only, const char *id)
{
    return only == NULL || strcmp(only, id) == 0;
}

static void handle_containers(void *ctx, struct http_request *r)
{
    struct agent_daemon *d = ctx;
    const char *container_id = http_query(r, "container_id");
    const char *framework_id = http_query(r, "framework_id");
    const char *executor_id = http_query(r, "executor_id");
    if ((container_id != NULL && (executor_id != NULL || framework_id != NULL)) ||
        (executor_id != NULL && framework_id == NULL)) {
        http_respond_text(r, 400,
                          "Supported query parameters are container_id only, framework_id only, "
                          "or executor_id and framework_id only");
        return;
    }
    struct buf text AUTO_BUF = BUF_INIT;
    struct json_writer w;
    json_begin(&w, &text);
    json_array_open(&w);
    MAP_FOREACH (&d->agent->containers, entry) {
        const struct agent_executor *executor = entry->value;
        if (!is_wanted(container_id, executor->container_id) ||
            !is_wanted(framework_id, executor->framework->id) ||
            !is_wanted(executor_id, executor->id)) {
            continue;
        }
        struct arena *arena AUTO_ARENA = arena_new(2048, 0);
        Mesos__V1__ResourceStatistics *statistics = usage_of(d, executor, arena);
        json_object_open(&w);
        put_head(&w, executor);
        json_key_string(&w, "container_id", executor->container_id);
        put_status(&w, d, executor);
        if (statistics != NULL) {
            put_message(&w, "statistics", &statistics->base);
        }
        json_object_close(&w);
    }
    json_array_close(&w);
    api_respond_json(r, &text);
}

void agent_containers_add_routes(struct agent_daemon *daemon)
{
    static const struct api_route routes[] = {
        {"/monitor/statistics", NULL, handle_statistics, "What each executor's container uses."},
        {"/containers", NULL, handle_containers, "The containers, their state and use."},
    };
    api_router_add_open(daemon->router, routes, ARRAY_COUNT(routes), daemon);
}
