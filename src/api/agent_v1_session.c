// SPDX-License-Identifier: Apache-2.0
//
// What comes out of a session, as a stream of ProcessIO records: LAUNCH_NESTED_CONTAINER_SESSION,
// which ends its container when the client goes, and ATTACH_CONTAINER_OUTPUT, which does not.

#include <errno.h>
#include <string.h>

#include "api/agent_v1.h"
#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "wire/wire.h"

#define LOOK_AGAIN_NS (10 * NS_PER_MS) // whether a slow client has read

enum {
    OUTPUT_MAGIC = 0x4f555450,
    QUEUE_MAX = 1024 * 1024, // with more than this unsent, the container waits
};

struct output {
    uint32_t magic;
    struct agent_daemon *daemon;
    struct container_listener listener;
    struct http_stream *stream;
    enum content_type type;
    char *container_id;
    bool is_session;
    struct timer heartbeat;
    struct timer look_again;
};

static void output_free(struct output *o)
{
    env_timer_cancel(o->daemon->env, &o->heartbeat);
    env_timer_cancel(o->daemon->env, &o->look_again);
    containerizer_detach(&o->listener);
    mem_free(o->container_id);
    o->magic = 0;
    mem_free(o);
}

static void send_io(struct output *o, const Mesos__V1__Agent__ProcessIO *io)
{
    api_stream_send(o->stream, o->type, &io->base);
}

static void on_output(struct container_listener *listener, enum container_output which,
                      const void *data, size_t size)
{
    struct output *o = CONTAINER_OF(listener, struct output, listener);
    Mesos__V1__Agent__ProcessIO__Data body = MESOS__V1__AGENT__PROCESS_IO__DATA__INIT;
    body.has_type = true;
    body.type = which == CONTAINER_STDOUT ? MESOS__V1__AGENT__PROCESS_IO__DATA__TYPE__STDOUT
                                          : MESOS__V1__AGENT__PROCESS_IO__DATA__TYPE__STDERR;
    body.has_data = true;
    body.data.data = (uint8_t *)(uintptr_t)data;
    body.data.len = size;
    Mesos__V1__Agent__ProcessIO io = MESOS__V1__AGENT__PROCESS_IO__INIT;
    io.has_type = true;
    io.type = MESOS__V1__AGENT__PROCESS_IO__TYPE__DATA;
    io.data = &body;
    send_io(o, &io);
    if (http_stream_queued(o->stream) > QUEUE_MAX) {
        containerizer_pause_output(&o->listener, true);
        env_timer_set(o->daemon->env, &o->look_again, LOOK_AGAIN_NS);
    }
}

static void run_look_again(struct timer *timer, struct instant now)
{
    (void)now;
    struct output *o = CONTAINER_OF(timer, struct output, look_again);
    if (http_stream_queued(o->stream) > QUEUE_MAX / 2) {
        env_timer_set(o->daemon->env, timer, LOOK_AGAIN_NS);
    } else {
        containerizer_pause_output(&o->listener, false);
    }
}

static void run_heartbeat(struct timer *timer, struct instant now)
{
    (void)now;
    struct output *o = CONTAINER_OF(timer, struct output, heartbeat);
    int64_t interval = o->daemon->flags->http_heartbeat_interval;
    Mesos__V1__DurationInfo duration = MESOS__V1__DURATION_INFO__INIT;
    duration.nanoseconds = interval;
    Mesos__V1__Agent__ProcessIO__Control__Heartbeat heartbeat =
        MESOS__V1__AGENT__PROCESS_IO__CONTROL__HEARTBEAT__INIT;
    heartbeat.interval = &duration;
    Mesos__V1__Agent__ProcessIO__Control control = MESOS__V1__AGENT__PROCESS_IO__CONTROL__INIT;
    control.has_type = true;
    control.type = MESOS__V1__AGENT__PROCESS_IO__CONTROL__TYPE__HEARTBEAT;
    control.heartbeat = &heartbeat;
    Mesos__V1__Agent__ProcessIO io = MESOS__V1__AGENT__PROCESS_IO__INIT;
    io.has_type = true;
    io.type = MESOS__V1__AGENT__PROCESS_IO__TYPE__CONTROL;
    io.control = &control;
    send_io(o, &io);
    env_timer_set(o->daemon->env, timer, interval);
}

static void on_container_end(struct container_listener *listener)
{
    struct output *o = CONTAINER_OF(listener, struct output, listener);
    http_stream_close(o->stream);
    output_free(o);
}

// The client has gone.
static void on_close(void *ctx, struct http_stream *stream)
{
    (void)stream;
    struct output *o = CHECK_CAST(output, OUTPUT_MAGIC, ctx);
    if (o->is_session) {
        log_info("Launch nested container session connection for container %s closed",
                 o->container_id);
        containerizer_destroy(o->daemon->containerizer, o->container_id);
    }
    output_free(o);
}

void agent_v1_begin_output(struct api_v1_request *q, const char *container_id, bool is_session)
{
    struct agent_daemon *d = q->ctx;
    struct output *o = mem_zalloc(sizeof(*o));
    o->magic = OUTPUT_MAGIC;
    o->daemon = d;
    o->type = q->type;
    o->is_session = is_session;
    o->container_id = mem_strdup(container_id);
    list_init(&o->listener.link);
    o->listener.on_output = on_output;
    o->listener.on_end = on_container_end;
    o->heartbeat.run = run_heartbeat;
    o->look_again.run = run_look_again;
    struct error err;
    int r = containerizer_attach(d->containerizer, container_id, &o->listener, &err);
    if (r < 0) {
        http_respond_text(q->http, r == -ENOENT ? 404 : 500, "%s", err.text);
        output_free(o);
        return;
    }
    o->stream = api_respond_stream(q->http, q->type, q->recordio, NULL, 0, on_close, o);
    env_timer_set(d->env, &o->heartbeat, d->flags->http_heartbeat_interval);
}

static int check_attach(const struct api_v1_request *q, struct error *err)
{
    const Mesos__V1__Agent__Call__AttachContainerOutput *body = (const void *)q->body;
    int r = agent_v1_check_id(body->container_id, err);
    return r < 0 ? error_wrap(err, r, "'attach_container_output.container_id' is invalid") : 0;
}

static void attach_output(struct api_v1_request *q)
{
    const Mesos__V1__Agent__Call__AttachContainerOutput *body = (const void *)q->body;
    agent_v1_begin_output(q, agent_v1_id_text(body->container_id, http_arena(q->http)), false);
}

// Only a stream of records may say it.
static void attach_input(struct api_v1_request *q)
{
    http_respond_text(q->http, 415,
                      "Expecting 'Content-Type' to be %s for ATTACH_CONTAINER_INPUT call",
                      CONTENT_RECORDIO_NAME);
}

const struct api_v1_row agent_v1_session_rows[] = {
    {"ATTACH_CONTAINER_OUTPUT", attach_output, check_attach, false, true},
    {"ATTACH_CONTAINER_INPUT", attach_input, NULL, true, false},
};
const size_t agent_v1_session_row_count = ARRAY_COUNT(agent_v1_session_rows);
