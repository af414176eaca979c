// SPDX-License-Identifier: Apache-2.0
//
// POST /api/v1/scheduler. The checks that need no cluster are here, in Mesos' order; the rest is
// the core's. A SUBSCRIBE's answer is the stream of events; each event is one record in one chunk.

#include <string.h>

#include "api/master_internal.h"
#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "model/validate.h"

struct scheduler_stream {
    struct master_subscriber base;
    struct master_server *server;
    struct http_stream *http;
    enum content_type type;
    struct list link;
};

static void stream_free(struct scheduler_stream *stream)
{
    list_remove(&stream->link);
    mem_free(stream);
}

void master_scheduler_send(void *ctx, struct master_subscriber *subscriber,
                           const Mesos__V1__Scheduler__Event *event)
{
    (void)ctx;
    struct scheduler_stream *stream = CONTAINER_OF(subscriber, struct scheduler_stream, base);
    api_stream_send(stream->http, stream->type, &event->base);
}

void master_scheduler_close(void *ctx, struct master_subscriber *subscriber)
{
    (void)ctx;
    struct scheduler_stream *stream = CONTAINER_OF(subscriber, struct scheduler_stream, base);
    http_stream_close(stream->http);
    stream_free(stream);
}

static void stream_is_closed(void *ctx, struct http_stream *http)
{
    struct scheduler_stream *stream = ctx;
    struct master_server *server = stream->server;
    if (http_stream_overflowed(http)) {
        const struct framework *f = stream->base.framework;
        server->slow_streams_closed++;
        log_error("Disconnecting framework %s (%s): it does not read its events, and more than "
                  "--max_event_stream_size=%zuB of them wait",
                  f != NULL ? f->id : "?", f != NULL ? f->info->name : "not subscribed",
                  server->event_stream_size_max);
    }
    master_subscriber_closed(server->core, &stream->base, env_now(server->env));
    stream_free(stream);
    master_server_touch(server);
}

void master_scheduler_free_all(struct master_server *server)
{
    LIST_FOREACH (&server->streams, struct scheduler_stream, link, stream) {
        http_stream_close(stream->http);
        stream_free(stream);
    }
}

static void subscribe(struct master_server *server, struct http_request *r,
                      Mesos__V1__Scheduler__Call *call, enum content_type request_type)
{
    enum content_type type;
    bool recordio;
    // Mesos knows two types here and names them in its own order; RecordIO is taken as well.
    if (!api_accepts(r, "Accept", CONTENT_RECORDIO_NAME) &&
        !api_response_type(r, request_type, false, &type, &recordio))
        return;
    if (!api_response_type(r, request_type, true, &type, &recordio))
        return;
    if (http_get_common_header(r, HTTP_MESOS_STREAM_ID) != NULL) {
        http_respond_text(r, 400,
                          "Subscribe calls should not include the 'Mesos-Stream-Id' header");
        return;
    }
    struct uuid uuid;
    struct prng prng;
    prng_seed(&prng, env_random_u64());
    uuid = uuid_random(&prng);
    char id[UUID_TEXT_SIZE];
    uuid_text(&uuid, id);
    struct scheduler_stream *stream = mem_zalloc(sizeof(*stream));
    stream->server = server;
    stream->type = type;
    list_append(&server->streams, &stream->link);
    struct http_header header = {"Mesos-Stream-Id", id};
    stream->http = api_respond_stream(r, type, recordio, &header, 1, stream_is_closed, stream);
    master_subscribe(server->core, call->subscribe, &stream->base, id, env_now(server->env));
    master_server_touch(server);
}

static void scheduler(void *ctx, struct http_request *r)
{
    struct master_server *server = ctx;
    if (!master_require_recovery(server, r))
        return;
    enum content_type type;
    ProtobufCMessage *message;
    if (!api_call_type(r, &type) ||
        !api_request_message_pinned(r, type, &mesos__v1__scheduler__call__descriptor,
                                    MASTER_CALL_PINNED, &message))
        return;
    Mesos__V1__Scheduler__Call *call = (Mesos__V1__Scheduler__Call *)message;
    struct error err;
    if (validate_scheduler_call(call, &err) < 0) {
        http_respond_text(r, 400, "Failed to validate scheduler::Call: %s", err.text);
        return;
    }
    if (call->type == MESOS__V1__SCHEDULER__CALL__TYPE__SUBSCRIBE) {
        subscribe(server, r, call, type);
        return;
    }
    enum content_type unused;
    bool recordio;
    if (call->type == MESOS__V1__SCHEDULER__CALL__TYPE__RECONCILE_OPERATIONS &&
        !api_response_type(r, type, false, &unused, &recordio))
        return;
    const char *stream_id = http_get_common_header(r, HTTP_MESOS_STREAM_ID);
    int status = master_call(server->core, call, stream_id, r, env_now(server->env), &err);
    master_server_touch(server);
    if (status == 0)
        return; // its rate limit holds it up; the core answers
    if (status >= 400)
        http_respond_text(r, status, "%s", err.text);
    else
        http_respond_status(r, status);
}

static const struct api_route routes[] = {
    {"/api/v1/scheduler", NULL, scheduler, "The scheduler API: what frameworks call."},
};

void master_scheduler_add_routes(struct master_server *server)
{
    api_router_add(server->router, routes, ARRAY_COUNT(routes), server);
}
