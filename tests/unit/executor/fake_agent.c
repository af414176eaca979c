// SPDX-License-Identifier: Apache-2.0

#include "fake_agent.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/text.h"
#include "wire/content.h"
#include "wire/json.h"
#include "wire/recordio.h"
#include "wire/wire.h"

#define CALL_TYPE(name) MESOS__V1__AGENT__CALL__TYPE__##name

static const char *find_container(const struct fake_agent *a, const char *id)
{
    for (size_t i = 0; i < a->container_count; i++) {
        if (strcmp(a->containers[i][0], id) == 0) {
            return a->containers[i][1];
        }
    }
    return "(unknown)";
}

// The task's container, also of what runs beside it.
static const char *name_of(struct fake_agent *a, const Mesos__V1__Agent__Call *call)
{
    const Mesos__V1__ContainerID *id = NULL;
    switch (call->type) {
    case CALL_TYPE(LAUNCH_CONTAINER):
        CHECK(a->container_count < FAKE_CALLS_MAX);
        a->containers[a->container_count][0] = call->launch_container->container_id->value;
        a->containers[a->container_count][1] = call->launch_container->command->value;
        a->container_count++;
        return call->launch_container->command->value;
    case CALL_TYPE(LAUNCH_NESTED_CONTAINER_SESSION):
        id = call->launch_nested_container_session->container_id;
        break;
    case CALL_TYPE(WAIT_CONTAINER):
        id = call->wait_container->container_id;
        break;
    case CALL_TYPE(KILL_CONTAINER):
        id = call->kill_container->container_id;
        break;
    default:
        CHECK(call->type == CALL_TYPE(REMOVE_CONTAINER));
        id = call->remove_container->container_id;
    }
    CHECK(id->parent != NULL);
    return find_container(a, id->parent->parent != NULL ? id->parent->value : id->value);
}

void fake_agent_acknowledge(struct fake_agent *a, const Mesos__V1__TaskStatus *status)
{
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    Mesos__V1__Executor__Event *event =
        WIRE_NEW(arena, Mesos__V1__Executor__Event, mesos__v1__executor__event);
    event->has_type = true;
    event->type = MESOS__V1__EXECUTOR__EVENT__TYPE__ACKNOWLEDGED;
    event->acknowledged = WIRE_NEW(arena, Mesos__V1__Executor__Event__Acknowledged,
                                   mesos__v1__executor__event__acknowledged);
    event->acknowledged->task_id = status->task_id;
    event->acknowledged->uuid = status->uuid;
    AUTO_BUF struct buf body = BUF_INIT;
    AUTO_BUF struct buf record = BUF_INIT;
    content_encode(a->content, &event->base, &body);
    recordio_put(&record, body.data, body.size);
    http_stream_send(a->stream, record.data, record.size);
}

static void handle(void *ctx, struct http_request *r)
{
    struct fake_agent *a = ctx;
    size_t size;
    const void *body = http_body(r, &size);
    bool is_executor = strcmp(http_path(r), "/api/v1/executor") == 0;
    CHECK(is_executor || strcmp(http_path(r), "/api/v1") == 0);
    const ProtobufCMessageDescriptor *descriptor =
        is_executor ? &mesos__v1__executor__call__descriptor : &mesos__v1__agent__call__descriptor;
    a->content = text_is_equal(http_get_header(r, "Content-Type"), CONTENT_JSON_NAME)
                     ? CONTENT_JSON
                     : CONTENT_PROTOBUF;
    ProtobufCMessage *message;
    CHECK(content_decode(a->content, descriptor, a->arena, body, size, &message, NULL) == 0);
    CHECK(a->waiting_count < FAKE_CALLS_MAX);
    struct fake_call *call = &a->waiting[a->waiting_count++];
    *call = (struct fake_call){.name = "", .request = r};
    const char *authorization = http_get_header(r, "Authorization");
    snprintf(call->authorization, sizeof(call->authorization), "%s",
             authorization != NULL ? authorization : "");
    if (is_executor) {
        call->executor_call = (const Mesos__V1__Executor__Call *)(void *)message;
        if (call->executor_call->type == MESOS__V1__EXECUTOR__CALL__TYPE__UPDATE) {
            call->name = call->executor_call->update->status->task_id->value;
            if (!a->holds_updates) {
                http_respond_status(r, 202);
                call->request = NULL;
            }
            if (!a->holds_updates && !a->keeps_updates && a->stream != NULL) {
                fake_agent_acknowledge(a, call->executor_call->update->status);
            }
        }
    } else {
        call->call = (const Mesos__V1__Agent__Call *)(void *)message;
        call->name = name_of(a, call->call);
    }
    env_stop(a->env, FAKE_ARRIVED);
}

void fake_agent_open(struct fake_agent *a, struct env *env)
{
    memset(a, 0, sizeof(*a));
    a->env = env;
    a->arena = arena_new(0, 0);
    struct http_options options = {0};
    CHECK(http_server_new(env, &options, handle, a, &a->server, NULL) == 0);
    CHECK(http_server_listen(a->server, "127.0.0.1", 0, NULL) == 0);
    a->port = http_server_port(a->server);
}

void fake_agent_close(struct fake_agent *a)
{
    for (size_t i = 0; i < a->waiting_count; i++) {
        if (a->waiting[i].request != NULL) {
            http_respond_text(a->waiting[i].request, 503, "The test is over");
        }
    }
    a->server = http_server_free(a->server);
    arena_free(a->arena);
}

// ---- waiting ----

static void run_impatient(struct timer *timer, struct instant now)
{
    (void)timer;
    (void)now;
    CHECK(!"what the test waits for does not come");
}

// Until a call has come or the executor has stopped the loop.
static void run(struct fake_agent *a)
{
    struct timer patience = {.run = run_impatient};
    env_timer_set(a->env, &patience, FAKE_PATIENCE_NS);
    int status = env_run(a->env);
    env_timer_cancel(a->env, &patience);
    if (status != FAKE_ARRIVED) {
        a->stopped = true;
        a->status = status;
    }
}

void fake_agent_wait(struct fake_agent *a, bool (*is_done)(void *ctx), void *ctx)
{
    while (!is_done(ctx)) {
        CHECK(!a->stopped);
        run(a);
    }
}

static struct fake_call take_at(struct fake_agent *a, size_t i)
{
    struct fake_call call = a->waiting[i];
    a->waiting_count--;
    memmove(&a->waiting[i], &a->waiting[i + 1], (a->waiting_count - i) * sizeof(call));
    return call;
}

static size_t find(const struct fake_agent *a, Mesos__V1__Agent__Call__Type type, const char *name)
{
    for (size_t i = 0; i < a->waiting_count; i++) {
        const Mesos__V1__Agent__Call *call = a->waiting[i].call;
        if (call != NULL && call->type == type && strcmp(a->waiting[i].name, name) == 0) {
            return i;
        }
    }
    return SIZE_MAX;
}

bool fake_agent_has(const struct fake_agent *a, Mesos__V1__Agent__Call__Type type, const char *name)
{
    return find(a, type, name) != SIZE_MAX;
}

struct fake_call fake_agent_take(struct fake_agent *a, Mesos__V1__Agent__Call__Type type,
                                 const char *name)
{
    size_t i;
    while ((i = find(a, type, name)) == SIZE_MAX) {
        CHECK(!a->stopped);
        run(a);
    }
    return take_at(a, i);
}

struct fake_call fake_agent_take_executor(struct fake_agent *a,
                                          Mesos__V1__Executor__Call__Type type)
{
    while (true) {
        for (size_t i = 0; i < a->waiting_count; i++) {
            const Mesos__V1__Executor__Call *call = a->waiting[i].executor_call;
            if (call != NULL && call->type == type) {
                return take_at(a, i);
            }
        }
        CHECK(!a->stopped);
        run(a);
    }
}

const Mesos__V1__TaskStatus *fake_agent_take_update(struct fake_agent *a, const char *name)
{
    struct fake_call call = fake_agent_take_executor(a, MESOS__V1__EXECUTOR__CALL__TYPE__UPDATE);
    const Mesos__V1__TaskStatus *status = call.executor_call->update->status;
    CHECK(strcmp(status->task_id->value, name) == 0);
    return status;
}

int fake_agent_wait_stop(struct fake_agent *a)
{
    while (!a->stopped) {
        run(a);
    }
    return a->status;
}

// ---- answering ----

static ProtobufCMessage *parse(const ProtobufCMessageDescriptor *descriptor, struct arena *arena,
                               const char *json)
{
    ProtobufCMessage *message;
    struct error err = {0};
    int r = content_decode(CONTENT_JSON, descriptor, arena, json, strlen(json), &message, &err);
    if (r < 0) {
        fprintf(stderr, "%s: %s\n", json, err.text);
    }
    CHECK(r == 0);
    return message;
}

void fake_agent_answer(struct fake_call *call, const char *json)
{
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    AUTO_BUF struct buf body = BUF_INIT;
    if (json != NULL) {
        content_encode(CONTENT_PROTOBUF,
                       parse(&mesos__v1__agent__response__descriptor, arena, json), &body);
    }
    http_respond(TAKE_PTR(call->request), 200, CONTENT_PROTOBUF_NAME, body.data, body.size, NULL,
                 0);
}

void fake_agent_refuse(struct fake_call *call, int status, const char *text)
{
    http_respond_text(TAKE_PTR(call->request), status, "%s", text);
}

void fake_agent_send(struct fake_agent *a, const char *json)
{
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    AUTO_BUF struct buf body = BUF_INIT;
    AUTO_BUF struct buf record = BUF_INIT;
    content_encode(a->content, parse(&mesos__v1__executor__event__descriptor, arena, json), &body);
    recordio_put(&record, body.data, body.size);
    CHECK(a->stream != NULL);
    http_stream_send(a->stream, record.data, record.size);
}

static void on_close(void *ctx, struct http_stream *stream)
{
    struct fake_agent *a = ctx;
    if (a->stream == stream) {
        a->stream = NULL;
    }
}

struct fake_call fake_agent_subscribe(struct fake_agent *a, const char *capabilities)
{
    struct fake_call call = fake_agent_take_executor(a, MESOS__V1__EXECUTOR__CALL__TYPE__SUBSCRIBE);
    a->stream = http_respond_stream(TAKE_PTR(call.request), content_type_name(a->content), NULL, 0,
                                    on_close, a);
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    fake_agent_send(
        a, arena_printf(arena,
                        "{\"type\":\"SUBSCRIBED\",\"subscribed\":{"
                        "\"executor_info\":{\"executor_id\":{\"value\":\"E\"}},"
                        "\"framework_info\":{\"user\":\"u\",\"name\":\"n\",\"capabilities\":[%s]},"
                        "\"agent_info\":{\"hostname\":\"h\"},\"container_id\":{\"value\":\"C\"}}}",
                        capabilities));
    return call;
}

void fake_agent_accept(struct fake_call *call)
{
    http_respond_status(TAKE_PTR(call->request), 202);
}

void fake_agent_send_bytes(struct fake_agent *a, const void *data, size_t size)
{
    CHECK(a->stream != NULL);
    http_stream_send(a->stream, data, size);
}

void fake_agent_hang_up(struct fake_agent *a)
{
    a->server = http_server_free(a->server);
}

void fake_agent_cut(struct fake_agent *a)
{
    struct http_stream *stream = TAKE_PTR(a->stream);
    CHECK(stream != NULL);
    http_stream_break(stream);
}
