// SPDX-License-Identifier: Apache-2.0
//
// The master's v1 operator API: which calls there are, and the short ones.

#include "api/master_v1.h"

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

static const struct api_v1_row rows[] = {
    {"GET_MASTER", get_master, NULL, false, false},
    {"TEARDOWN", teardown, NULL, false, false},
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
