// SPDX-License-Identifier: Apache-2.0
//
// Opens the stream, cuts its records and decodes them. Whatever ends it (a refusal, a lost
// connection, a record that cannot be read) is told once, from a hook at the end of the turn, so
// that on_end may free everything.

#include "client/stream.h"

#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "net/http_client.h"
#include "wire/recordio.h"

enum { STREAM_MAGIC = 0x45737472, STREAM_TEXT_MAX = 1024, STREAM_LOCATION_SIZE = 512 };

struct event_stream {
    uint32_t magic;
    struct env *env;
    struct http_client *http;
    struct http_call *call; // NULL once the answer has ended
    const ProtobufCMessageDescriptor *descriptor;
    enum content_type content;
    struct event_stream_callbacks callbacks;
    void *ctx;
    struct recordio_reader records;
    struct arena *arena; // of one event
    struct buf text;     // body of a refusal
    int status;          // of the answer, 0 before its head
    char location[STREAM_LOCATION_SIZE];
    bool is_ending; // end_hook was asked for
    struct error failure;
    struct env_hook end_hook;
};

static void stream_fail(struct event_stream *s, const struct error *err)
{
    if (s->is_ending) {
        return;
    }
    s->is_ending = true;
    s->failure = *err;
    env_at_turn_end(s->env, &s->end_hook);
}

static void stream_run_end(struct env_hook *hook, struct instant now)
{
    (void)now;
    struct event_stream *s = CONTAINER_OF(hook, struct event_stream, end_hook);
    if (s->call != NULL) {
        http_call_cancel(s->call);
        s->call = NULL;
    }
    s->callbacks.on_end(s->ctx, s, s->status, s->location, &s->failure);
}

static void stream_on_head(void *ctx, struct http_call *call, int status)
{
    struct event_stream *s = CHECK_CAST(event_stream, STREAM_MAGIC, ctx);
    s->status = status;
    if (s->is_ending) {
        return;
    }
    if (status == 200) {
        s->call = call;
        s->callbacks.on_open(s->ctx, s);
        return;
    }
    const char *location = http_call_header(call, "Location");
    if (location != NULL && strlen(location) < sizeof(s->location)) {
        memcpy(s->location, location, strlen(location) + 1);
    }
}

static int stream_on_record(void *ctx, const void *record, size_t size)
{
    struct event_stream *s = CHECK_CAST(event_stream, STREAM_MAGIC, ctx);
    ProtobufCMessage *event;
    struct error err = {0};
    int r = content_decode(s->content, s->descriptor, s->arena, record, size, &event, &err);
    if (r < 0) {
        error_wrap(&err, r, "Bad event");
        stream_fail(s, &err);
        return r;
    }
    s->callbacks.on_event(s->ctx, s, event);
    arena_reset(s->arena);
    return s->is_ending ? -ECANCELED : 0;
}

static void stream_on_data(void *ctx, struct http_call *call, const void *data, size_t size)
{
    (void)call;
    struct event_stream *s = CHECK_CAST(event_stream, STREAM_MAGIC, ctx);
    if (s->is_ending) {
        return;
    }
    if (s->status != 200) {
        buf_append(&s->text, data, size);
        return;
    }
    struct error err = {0};
    int r = recordio_feed(&s->records, data, size, stream_on_record, s, &err);
    if (r < 0) {
        error_wrap(&err, r, "Bad stream of events");
        stream_fail(s, &err);
    }
}

static void stream_on_end(void *ctx, struct http_call *call, const struct error *why)
{
    (void)call;
    struct event_stream *s = CHECK_CAST(event_stream, STREAM_MAGIC, ctx);
    s->call = NULL;
    struct error err = {0};
    if (why != NULL) {
        err = *why;
    } else if (s->status == 200) {
        error_set(&err, -EPIPE, "The stream of events was ended by the other side");
    } else {
        error_set(&err, -EPROTO, "%s: %.*s", http_reason(s->status),
                  s->text.data != NULL ? (int)strcspn(s->text.data, "\r\n") : 0,
                  s->text.data != NULL ? s->text.data : "");
    }
    stream_fail(s, &err);
}

struct event_stream *event_stream_new(struct env *env, const struct event_stream_order *order,
                                      const struct event_stream_callbacks *callbacks, void *ctx)
{
    static const struct http_call_callbacks http_callbacks = {
        .on_head = stream_on_head,
        .on_data = stream_on_data,
        .on_end = stream_on_end,
    };
    struct event_stream *s = mem_zalloc(sizeof(*s));
    s->magic = STREAM_MAGIC;
    s->env = env;
    s->descriptor = order->descriptor;
    s->content = order->content;
    s->callbacks = *callbacks;
    s->ctx = ctx;
    s->arena = arena_new(0, 0);
    recordio_reader_init(&s->records, WIRE_SIZE_MAX);
    buf_init(&s->text, STREAM_TEXT_MAX);
    list_init(&s->end_hook.link);
    s->end_hook.run = stream_run_end;
    s->http = http_client_new(env, order->address->host, order->address->port);

    AUTO_BUF struct buf body = BUF_INIT;
    content_encode(order->content, order->call, &body);
    const char *name = content_type_name(order->content);
    struct http_header headers[3] = {{"Content-Type", name}, {"Accept", name}};
    size_t count = 2;
    if (order->authorization != NULL) {
        headers[count++] = (struct http_header){"Authorization", order->authorization};
    }
    struct http_call_options options = {
        .method = "POST",
        .target = order->target,
        .headers = headers,
        .header_count = count,
        .body = body.data,
        .body_size = body.size,
    };
    s->call = http_client_send(s->http, &options, &http_callbacks, s);
    return s;
}

struct event_stream *event_stream_free(struct event_stream *s)
{
    if (s == NULL) {
        return NULL;
    }
    CHECK(s->magic == STREAM_MAGIC);
    env_hook_cancel(&s->end_hook);
    s->http = http_client_free(s->http);
    recordio_reader_free(&s->records);
    buf_free(&s->text);
    arena_free(s->arena);
    s->magic = 0;
    mem_free(s);
    return NULL;
}

const char *event_stream_header(const struct event_stream *s, const char *name)
{
    return s->call != NULL ? http_call_header(s->call, name) : NULL;
}
