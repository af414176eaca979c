// SPDX-License-Identifier: Apache-2.0

#include "executor/agent_call.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/mem.h"
#include "net/http_client.h"
#include "wire/content.h"

#define AGENT_TARGET "/api/v1"
#define PATIENCE_NS (INT64_C(100) * 365 * 24 * 3600 * NS_PER_S) // a connection that broke tells

enum { AGENT_CALL_MAGIC = 0x41434c4c, ANSWER_SIZE_MAX = 1024 * 1024 };

struct agent_call {
    uint32_t magic;
    struct env *env;
    struct http_client *http;
    agent_call_fn *on_answer;
    void *ctx;
    bool is_stream;
    int status;
    struct buf body;
    struct error failure; // why there is no (whole) answer
    struct env_hook hook; // tells it, when no callback of `http` is on the stack
};

static void tell(struct env_hook *hook, struct instant now)
{
    (void)now;
    struct agent_call *call = CONTAINER_OF(hook, struct agent_call, hook);
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    struct agent_call_answer answer = {.status = call->status};
    ProtobufCMessage *response;
    struct error err = {0};
    if (call->failure.code != 0) {
        answer.status = 0;
        answer.text = call->failure.text;
    } else if (call->status != 200) {
        const char *text = call->body.data != NULL ? call->body.data : "";
        answer.text = arena_strndup(arena, text, strcspn(text, "\r\n"));
        answer.text = *answer.text != '\0' ? answer.text : http_reason(call->status);
    } else if (call->body.size > 0) {
        if (content_decode(CONTENT_PROTOBUF, &mesos__v1__agent__response__descriptor, arena,
                           call->body.data, call->body.size, &response, &err) < 0) {
            error_wrap(&err, err.code, "Bad answer of the agent");
            answer.status = 0;
            answer.text = err.text;
        } else {
            answer.response = (const Mesos__V1__Agent__Response *)(void *)response;
        }
    }
    call->on_answer(call->ctx, call, &answer);
}

static void on_head(void *ctx, struct http_call *http_call, int status)
{
    (void)http_call;
    struct agent_call *call = CHECK_CAST(agent_call, AGENT_CALL_MAGIC, ctx);
    call->status = status;
}

static void on_data(void *ctx, struct http_call *http_call, const void *data, size_t size)
{
    (void)http_call;
    struct agent_call *call = CHECK_CAST(agent_call, AGENT_CALL_MAGIC, ctx);
    if (call->is_stream && call->status == 200) {
        return;
    }
    if (call->body.size + size > ANSWER_SIZE_MAX) {
        error_set(&call->failure, -EFBIG, "The agent's answer is too large");
        return;
    }
    buf_append(&call->body, data, size);
}

static void on_end(void *ctx, struct http_call *http_call, const struct error *err)
{
    (void)http_call;
    struct agent_call *call = CHECK_CAST(agent_call, AGENT_CALL_MAGIC, ctx);
    if (err != NULL && call->failure.code == 0) {
        call->failure = *err;
    }
    env_at_turn_end(call->env, &call->hook);
}

struct agent_call *agent_call_send(struct env *env, const struct agent_call_order *order,
                                   agent_call_fn *on_answer, void *ctx)
{
    static const struct http_call_callbacks callbacks = {
        .on_head = on_head, .on_data = on_data, .on_end = on_end};
    struct agent_call *call = mem_zalloc(sizeof(*call));
    call->magic = AGENT_CALL_MAGIC;
    call->env = env;
    call->on_answer = on_answer;
    call->ctx = ctx;
    call->is_stream = order->is_stream;
    call->hook.run = tell;
    list_init(&call->hook.link);
    call->http = http_client_new(env, order->address->host, order->address->port);
    AUTO_BUF struct buf body = BUF_INIT;
    content_encode(CONTENT_PROTOBUF, &order->call->base, &body);
    struct http_header headers[3] = {{"Content-Type", CONTENT_PROTOBUF_NAME},
                                     {"Accept", CONTENT_PROTOBUF_NAME}};
    size_t count = 2;
    if (order->authorization != NULL) {
        headers[count++] = (struct http_header){"Authorization", order->authorization};
    }
    struct http_call_options options = {
        .method = "POST",
        .target = AGENT_TARGET,
        .headers = headers,
        .header_count = count,
        .body = body.data,
        .body_size = body.size,
        .timeout_ns = PATIENCE_NS,
    };
    http_client_send(call->http, &options, &callbacks, call);
    return call;
}

struct agent_call *agent_call_free(struct agent_call *call)
{
    if (call == NULL) {
        return NULL;
    }
    CHECK(call->magic == AGENT_CALL_MAGIC);
    env_hook_cancel(&call->hook);
    http_client_free(call->http);
    buf_free(&call->body);
    call->magic = 0;
    mem_free(call);
    return NULL;
}
