// SPDX-License-Identifier: Apache-2.0

#include "fake_master.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/text.h"
#include "wire/recordio.h"

static void on_close(void *ctx, struct http_stream *stream)
{
    struct fake_master *m = ctx;
    if (m->stream == stream) {
        m->stream = NULL;
    }
}

void fake_master_send(struct fake_master *m, const Mesos__V1__Scheduler__Event *event)
{
    AUTO_BUF struct buf body = BUF_INIT;
    AUTO_BUF struct buf record = BUF_INIT;
    content_encode(m->content, &event->base, &body);
    recordio_put(&record, body.data, body.size);
    CHECK(m->stream != NULL);
    http_stream_send(m->stream, record.data, record.size);
}

static void send_subscribed(struct fake_master *m, double heartbeat_seconds)
{
    Mesos__V1__FrameworkID id = MESOS__V1__FRAMEWORK_ID__INIT;
    id.value = (char *)"the-framework";
    Mesos__V1__Scheduler__Event__Subscribed body = MESOS__V1__SCHEDULER__EVENT__SUBSCRIBED__INIT;
    body.framework_id = &id;
    body.has_heartbeat_interval_seconds = true;
    body.heartbeat_interval_seconds = heartbeat_seconds;
    Mesos__V1__Scheduler__Event event = MESOS__V1__SCHEDULER__EVENT__INIT;
    event.has_type = true;
    event.type = MESOS__V1__SCHEDULER__EVENT__TYPE__SUBSCRIBED;
    event.subscribed = &body;
    fake_master_send(m, &event);
}

static void send_error(struct fake_master *m)
{
    Mesos__V1__Scheduler__Event__Error body = MESOS__V1__SCHEDULER__EVENT__ERROR__INIT;
    body.message = (char *)"Framework has been removed";
    Mesos__V1__Scheduler__Event event = MESOS__V1__SCHEDULER__EVENT__INIT;
    event.has_type = true;
    event.type = MESOS__V1__SCHEDULER__EVENT__TYPE__ERROR;
    event.error = &body;
    fake_master_send(m, &event);
}

static void redirect(struct fake_master *m, struct http_request *r, bool is_bad)
{
    char location[64];
    snprintf(location, sizeof(location), "//127.0.0.1:%u/api/v1/scheduler", m->leader_port);
    struct http_header header = {"Location", is_bad ? "/api/v1/scheduler" : location};
    http_respond(r, 307, NULL, NULL, 0, &header, 1);
}

static void open_stream(struct fake_master *m, struct http_request *r, enum fake_step step)
{
    char id[32];
    snprintf(id, sizeof(id), "stream-%zu", m->script_at);
    struct http_header header = {"Mesos-Stream-Id", id};
    m->stream = http_respond_stream(r, content_type_name(m->content), &header, 1, on_close, m);
    if (step == FAKE_GARBAGE) {
        http_stream_send(m->stream, "3\n\xff\xff\xff", 5);
    } else if (step == FAKE_BAD_LENGTH) {
        http_stream_send(m->stream, "-3\n", 3);
    } else if (step == FAKE_EMPTY) {
        http_stream_close(m->stream);
        m->stream = NULL;
    } else {
        send_subscribed(m, step == FAKE_SILENT ? 0.05 : 15.0);
    }
    if (step == FAKE_ERROR) {
        send_error(m);
    }
}

static void subscribe(struct fake_master *m, struct http_request *r)
{
    enum fake_step step = m->script_at < m->script_size ? m->script[m->script_at] : FAKE_SUBSCRIBED;
    m->script_at++;
    switch (step) {
    case FAKE_REDIRECT:
    case FAKE_BAD_REDIRECT:
        redirect(m, r, step == FAKE_BAD_REDIRECT);
        break;
    case FAKE_UNAVAILABLE:
        http_respond_text(r, 503, "No leader elected");
        break;
    case FAKE_UNAUTHORIZED:
        http_respond_text(r, 401, "Who are you?\nsecond line");
        break;
    default:
        open_stream(m, r, step);
    }
}

static void copy_header(char ret_value[64], const struct http_request *r, const char *name)
{
    const char *value = http_get_header(r, name);
    snprintf(ret_value, 64, "%s", value != NULL ? value : "");
}

static void handle(void *ctx, struct http_request *r)
{
    struct fake_master *m = ctx;
    CHECK(strcmp(http_method(r), "POST") == 0);
    CHECK(strcmp(http_path(r), "/api/v1/scheduler") == 0);
    size_t size;
    const void *body = http_body(r, &size);
    enum content_type content = text_is_equal(http_get_header(r, "Content-Type"), CONTENT_JSON_NAME)
                                    ? CONTENT_JSON
                                    : CONTENT_PROTOBUF;
    ProtobufCMessage *message;
    CHECK(content_decode(content, &mesos__v1__scheduler__call__descriptor, m->arena, body, size,
                         &message, NULL) == 0);
    CHECK(m->call_count < FAKE_CALLS_MAX);
    Mesos__V1__Scheduler__Call *call = (Mesos__V1__Scheduler__Call *)message;
    copy_header(m->stream_ids[m->call_count], r, "Mesos-Stream-Id");
    copy_header(m->authorizations[m->call_count], r, "Authorization");
    m->calls[m->call_count++] = call;
    if (call->type == MESOS__V1__SCHEDULER__CALL__TYPE__SUBSCRIBE) {
        m->content = content;
        subscribe(m, r);
    } else if (m->call_status == 202) {
        http_respond_status(r, 202);
    } else {
        http_respond_text(r, m->call_status, "No");
    }
}

void fake_master_open(struct fake_master *m, struct env *env, const enum fake_step *script,
                      size_t script_size)
{
    memset(m, 0, sizeof(*m));
    m->env = env;
    m->arena = arena_new(0, 0);
    m->call_status = 202;
    CHECK(script_size <= FAKE_SCRIPT_MAX);
    for (size_t i = 0; i < script_size; i++) {
        m->script[i] = script[i];
    }
    m->script_size = script_size;
    struct http_options options = {0};
    CHECK(http_server_new(env, &options, handle, m, &m->server, NULL) == 0);
    CHECK(http_server_listen(m->server, "127.0.0.1", 0, NULL) == 0);
    m->port = http_server_port(m->server);
    m->leader_port = m->port;
}

void fake_master_close(struct fake_master *m)
{
    m->server = http_server_free(m->server);
    arena_free(m->arena);
}
