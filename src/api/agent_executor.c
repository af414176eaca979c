// SPDX-License-Identifier: Apache-2.0
//
// POST /api/v1/executor: SUBSCRIBE opens a stream of events; the other calls are answered with 202.

#include <string.h>

#include "api/agent_daemon.h"
#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "proto/executor.pb-c.h"
#include "wire/content.h"

enum { STREAM_MAGIC = 0x45585354 };

// One executor's open answer. The core holds it by `void *`.
struct executor_stream {
    uint32_t magic;
    struct agent_daemon *daemon;
    struct http_stream *stream;
    enum content_type type;
    char *framework_id;
    char *executor_id;
};

static void stream_free(struct executor_stream *s)
{
    s->magic = 0;
    mem_free(s->framework_id);
    mem_free(s->executor_id);
    mem_free(s);
}

void executor_api_send(void *stream, const Mesos__V1__Executor__Event *event)
{
    struct executor_stream *s = CHECK_CAST(executor_stream, STREAM_MAGIC, stream);
    api_stream_send(s->stream, s->type, &event->base);
}

void executor_api_close(void *stream)
{
    struct executor_stream *s = CHECK_CAST(executor_stream, STREAM_MAGIC, stream);
    http_stream_close(s->stream);
    stream_free(s);
}

static void on_close(void *ctx, struct http_stream *stream)
{
    struct executor_stream *s = CHECK_CAST(executor_stream, STREAM_MAGIC, ctx);
    if (http_stream_overflowed(stream)) {
        s->daemon->slow_streams_closed++;
        log_error("Disconnecting executor '%s' of framework %s: it does not read its events, and "
                  "more than --max_event_stream_size=%zuB of them wait",
                  s->executor_id, s->framework_id, (size_t)s->daemon->flags->max_event_stream_size);
    }
    agent_stream_closed(s->daemon->agent, s->framework_id, s->executor_id, s);
    agent_daemon_touch(s->daemon);
    stream_free(s);
}

static void subscribe(struct agent_daemon *d, struct http_request *r,
                      enum content_type request_type, const Mesos__V1__Executor__Call *call)
{
    enum content_type type;
    bool recordio;
    if (!api_response_type(r, request_type, true, &type, &recordio)) {
        return;
    }
    struct executor_stream *s = mem_zalloc(sizeof(*s));
    s->magic = STREAM_MAGIC;
    s->daemon = d;
    s->type = type;
    s->framework_id = mem_strdup(call->framework_id->value);
    s->executor_id = mem_strdup(call->executor_id->value);
    s->stream = api_respond_stream(r, type, recordio, NULL, 0, on_close, s);
    agent_subscribe(d->agent, call, s, env_now(d->env));
}

static void handle_executor(void *ctx, struct http_request *r)
{
    struct agent_daemon *d = ctx;
    enum content_type type;
    ProtobufCMessage *message;
    if (!api_call_type(r, &type) ||
        !api_request_message(r, type, &mesos__v1__executor__call__descriptor, &message)) {
        return;
    }
    const Mesos__V1__Executor__Call *call = (const void *)message;
    struct error err;
    int status = agent_check_call(d->agent, call, &err);
    if (status != 0) {
        http_respond_text(r, status, "%s", err.text);
        return;
    }
    if (call->type == MESOS__V1__EXECUTOR__CALL__TYPE__SUBSCRIBE) {
        subscribe(d, r, type, call);
    } else {
        agent_call(d->agent, call, env_now(d->env));
        http_respond_status(r, 202);
    }
    agent_daemon_touch(d);
}

void executor_api_add_routes(struct agent_daemon *daemon)
{
    static const struct api_route routes[] = {
        {"/api/v1/executor", NULL, handle_executor,
         "The API of executors: SUBSCRIBE, UPDATE, MESSAGE, HEARTBEAT."},
    };
    api_router_add(daemon->router, routes, ARRAY_COUNT(routes), daemon);
}
