// SPDX-License-Identifier: Apache-2.0
//
// The master's v1 operator API: which calls there are, and the short ones.

#include "api/master_v1.h"

#include <errno.h>

#include "base/check.h"
#include "proto/master.pb-c.h"
#include "wire/wire.h"

static void get_master(struct api_v1_request *q)
{
    struct master_server *server = q->ctx;
    Mesos__V1__Master__Response__GetMaster *body =
        (Mesos__V1__Master__Response__GetMaster *)api_v1_make_body(q);
    body->master_info = (Mesos__V1__MasterInfo *)(uintptr_t)master_info(server->core);
    body->has_start_time = true;
    body->start_time = (double)server->started.wall / (double)NS_PER_S;
    body->has_elected_time = true;
    body->elected_time = (double)server->elected.wall / (double)NS_PER_S;
    api_v1_respond(q, &body->base);
}

static void teardown(struct api_v1_request *q)
{
    struct master_server *server = q->ctx;
    const Mesos__V1__Master__Call__Teardown *body =
        (const Mesos__V1__Master__Call__Teardown *)q->body;
    if (!master_teardown(server->core, body->framework_id->value, env_now(server->env))) {
        http_respond_text(q->http, 400, "No framework found with specified ID");
        return;
    }
    master_server_touch(server);
    api_v1_respond_ok(q);
}

// ---- agents out of service ----

void master_v1_answer(void *ctx, void *waiter, int status, const char *text)
{
    (void)ctx;
    if (text != NULL)
        http_respond_text(waiter, status, "%s", text);
    else
        http_respond_status(waiter, status);
}

void master_v1_finish(struct master_server *server, struct http_request *r, int status,
                      const struct error *err)
{
    if (status > 0)
        master_v1_answer(server, r, status, status == 200 ? NULL : err->text);
    master_server_touch(server);
}

static void mark_agent_gone(struct api_v1_request *q)
{
    struct master_server *server = q->ctx;
    const Mesos__V1__Master__Call__MarkAgentGone *body =
        (const Mesos__V1__Master__Call__MarkAgentGone *)q->body;
    struct error err;
    int status = master_mark_agent_gone(server->core, body->agent_id->value, q->http,
                                        env_now(server->env), &err);
    master_v1_finish(server, q->http, status, &err);
}

static void deactivate_agent(struct api_v1_request *q)
{
    struct master_server *server = q->ctx;
    const Mesos__V1__Master__Call__DeactivateAgent *body =
        (const Mesos__V1__Master__Call__DeactivateAgent *)q->body;
    struct error err;
    int status = master_deactivate_agent(server->core, body->agent_id->value, q->http,
                                         env_now(server->env), &err);
    master_v1_finish(server, q->http, status, &err);
}

static void reactivate_agent(struct api_v1_request *q)
{
    struct master_server *server = q->ctx;
    const Mesos__V1__Master__Call__ReactivateAgent *body =
        (const Mesos__V1__Master__Call__ReactivateAgent *)q->body;
    struct error err;
    int status = master_reactivate_agent(server->core, body->agent_id->value, q->http,
                                         env_now(server->env), &err);
    master_v1_finish(server, q->http, status, &err);
}

// What no duration in nanoseconds can hold is no grace period either.
static int check_drain_agent(const struct api_v1_request *q, struct error *err)
{
    const Mesos__V1__Master__Call__DrainAgent *body =
        (const Mesos__V1__Master__Call__DrainAgent *)q->body;
    const Google__Protobuf__Duration *grace = body->max_grace_period;
    if (grace == NULL)
        return 0;
    if (grace->seconds < 0 || grace->nanos < 0)
        return error_set(err, -EINVAL, "'drain_agent.max_grace_period' is negative");
    if (grace->nanos >= NS_PER_S || grace->seconds >= INT64_MAX / NS_PER_S)
        return error_set(err, -EINVAL, "'drain_agent.max_grace_period' is not a valid duration");
    return 0;
}

static void drain_agent(struct api_v1_request *q)
{
    struct master_server *server = q->ctx;
    const Mesos__V1__Master__Call__DrainAgent *body =
        (const Mesos__V1__Master__Call__DrainAgent *)q->body;
    struct master_drain_options options = {.mark_gone = body->has_mark_gone && body->mark_gone};
    const Google__Protobuf__Duration *grace = body->max_grace_period;
    if (grace != NULL) {
        options.has_grace_period = true;
        options.grace_period_ns = grace->seconds * NS_PER_S + grace->nanos;
    }
    struct error err;
    int status = master_drain_agent(server->core, body->agent_id->value, &options, q->http,
                                    env_now(server->env), &err);
    master_v1_finish(server, q->http, status, &err);
}

static const struct api_v1_row rows[] = {
    {"GET_AGENTS", master_v1_get_agents, NULL, false, false},
    {"RESERVE_RESOURCES", master_v1_reserve_resources, NULL, false, false},
    {"UNRESERVE_RESOURCES", master_v1_unreserve_resources, NULL, false, false},
    {"CREATE_VOLUMES", master_v1_create_volumes, NULL, false, false},
    {"DESTROY_VOLUMES", master_v1_destroy_volumes, NULL, false, false},
    {"GROW_VOLUME", master_v1_grow_volume, master_v1_check_grow_volume, false, false},
    {"SHRINK_VOLUME", master_v1_shrink_volume, master_v1_check_shrink_volume, false, false},
    {"GET_OPERATIONS", master_v1_get_operations, NULL, false, false},
    {"GET_FRAMEWORKS", master_v1_get_frameworks, NULL, false, false},
    {"GET_EXECUTORS", master_v1_get_executors, NULL, false, false},
    {"GET_TASKS", master_v1_get_tasks, NULL, false, false},
    {"GET_ROLES", master_v1_get_roles, NULL, false, false},
    {"GET_STATE", master_v1_get_state, NULL, false, false},
    {"SUBSCRIBE", master_v1_subscribe, NULL, false, true},
    {"GET_WEIGHTS", master_v1_get_weights, NULL, false, false},
    {"UPDATE_WEIGHTS", master_v1_update_weights, NULL, false, false},
    {"GET_QUOTA", master_v1_get_quota, NULL, false, false},
    {"UPDATE_QUOTA", master_v1_update_quota, NULL, false, false},
    {"SET_QUOTA", master_v1_set_quota, NULL, false, false},
    {"REMOVE_QUOTA", master_v1_remove_quota, NULL, false, false},
    {"GET_MAINTENANCE_STATUS", master_v1_get_maintenance_status, NULL, false, false},
    {"GET_MAINTENANCE_SCHEDULE", master_v1_get_maintenance_schedule, NULL, false, false},
    {"UPDATE_MAINTENANCE_SCHEDULE", master_v1_update_maintenance_schedule, NULL, false, false},
    {"START_MAINTENANCE", master_v1_start_maintenance, NULL, false, false},
    {"STOP_MAINTENANCE", master_v1_stop_maintenance, NULL, false, false},
    {"MARK_AGENT_GONE", mark_agent_gone, NULL, false, false},
    {"DEACTIVATE_AGENT", deactivate_agent, NULL, false, false},
    {"REACTIVATE_AGENT", reactivate_agent, NULL, false, false},
    {"DRAIN_AGENT", drain_agent, check_drain_agent, false, false},
    {"GET_MASTER", get_master, NULL, false, false},
    {"TEARDOWN", teardown, NULL, false, false},
    {"MESETA_EXPLAIN_OFFERS", master_v1_explain_offers, NULL, false, false},
};

static bool is_ready(void *ctx, struct http_request *r)
{
    return master_require_recovery(ctx, r);
}

static void handle(void *ctx, struct http_request *r)
{
    struct master_server *server = ctx;
    api_v1_handle(&server->v1, r);
}

static const struct api_route routes[] = {
    {"/api/v1", NULL, handle, "The operator API: calls about the cluster, in JSON or protobuf."},
};

void master_v1_add_routes(struct master_server *server)
{
    server->v1 = (struct api_v1){
        .call_name = "master::Call",
        .call = &mesos__v1__master__call__descriptor,
        .response = &mesos__v1__master__response__descriptor,
        .rows = rows,
        .row_count = ARRAY_COUNT(rows),
        .common = server->common,
        .is_ready = is_ready,
        .ctx = server,
    };
    api_router_add(server->router, routes, ARRAY_COUNT(routes), server);
}
