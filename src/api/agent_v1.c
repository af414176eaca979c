// SPDX-License-Identifier: Apache-2.0
//
// POST /api/v1 of the agent: the operator API, which the executor of task groups uses as well.

#include "api/agent_v1.h"

#include <string.h>

#include "base/mem.h"

static bool is_ready(void *ctx, struct http_request *r)
{
    const struct agent_daemon *d = ctx;
    if (d->agent->is_recovering) {
        http_respond_text(r, 503, "Agent has not finished recovery");
        return false;
    }
    return true;
}

static void handle(void *ctx, struct http_request *r)
{
    struct agent_daemon *d = ctx;
    if (!http_is_in_parts(r)) {
        api_v1_handle(d->v1, r);
    } else if (is_ready(ctx, r)) {
        agent_v1_take_input(d, r);
    }
    agent_daemon_touch(d);
}

// The tables of the other files, one behind the other.
static struct api_v1_row *join_rows(size_t *ret_count, struct arena *arena)
{
    const struct {
        const struct api_v1_row *rows;
        size_t count;
    } parts[] = {
        {agent_v1_look_rows, agent_v1_look_row_count},
        {agent_v1_container_rows, agent_v1_container_row_count},
        {agent_v1_session_rows, agent_v1_session_row_count},
        {agent_v1_refuse_rows, agent_v1_refuse_row_count},
    };
    size_t total = 0;
    for (size_t i = 0; i < ARRAY_COUNT(parts); i++) {
        total += parts[i].count;
    }
    struct api_v1_row *rows = arena_calloc(arena, total, sizeof(rows[0]));
    size_t at = 0;
    for (size_t i = 0; i < ARRAY_COUNT(parts); i++) {
        memcpy(rows + at, parts[i].rows, parts[i].count * sizeof(rows[0]));
        at += parts[i].count;
    }
    *ret_count = total;
    return rows;
}

void agent_v1_add_routes(struct agent_daemon *d)
{
    static const struct api_route routes[] = {
        {"/api/v1", NULL, handle,
         "The operator API: calls about the agent and its containers, in JSON or protobuf."},
    };
    struct api_v1 *api = arena_calloc(d->arena, 1, sizeof(*api));
    *api = (struct api_v1){
        .call_name = "agent::Call",
        .call = &mesos__v1__agent__call__descriptor,
        .response = &mesos__v1__agent__response__descriptor,
        .common = d->common,
        .is_ready = is_ready,
        .ctx = d,
    };
    api->rows = join_rows(&api->row_count, d->arena);
    d->v1 = api;
    api_router_add(d->router, routes, ARRAY_COUNT(routes), d);
}
