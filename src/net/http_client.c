// SPDX-License-Identifier: Apache-2.0
//
// The HTTP client: calls wait in a queue, and one at a time is being answered. Behind it others may
// have been sent already, if the client was told to (http_client_pipeline) and the connection has
// proved that it stays open. A connection that was used before and that the peer closes before any
// byte of the answer was merely stale: the call is sent once more on a new one, if nothing else was
// under way when it was sent. Callbacks may do anything, also free the client: its memory goes at
// the turn's end.

#include "net/http_client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "net/answer.h"
#include "net/transport.h"

#define CLIENT_MAGIC UINT32_C(0x48434c49)
#define CALL_MAGIC UINT32_C(0x4843414c)

#define CALL_TIMEOUT_NS (30 * NS_PER_S)

struct http_call {
    uint32_t magic;
    bool is_head;
    bool sent;     // its request is with the transport
    bool answered; // a byte of the answer came
    bool sent_again;
    bool sent_behind; // others were under way when it was sent
    bool lost;        // it was sent, and the connection broke: it ends at the turn's end
    struct http_client *client;
    struct list link;   // in client->calls or ->behind; unlinked while it is the current one
    struct buf request; // head and body
    struct http_call_callbacks callbacks;
    void *ctx;
    struct timer timer; // until the answer's head, or until the peer was silent for too long
    int64_t timeout_ns;
};

struct http_client {
    uint32_t magic;
    bool connected;
    bool reused; // the connection has carried an answer before
    bool dead;   // http_client_free was called
    uint16_t port;
    char *host;
    char local_ip[TRANSPORT_NAME_SIZE];
    struct env *env;
    struct transport *transport;
    struct http_call *current; // the one that is being sent or answered
    struct list behind;        // sent after it, in order
    size_t behind_count;
    size_t under_way_max; // calls that are sent and not answered, at most
    struct list calls;    // not sent
    int64_t heard_at;     // when a part of an answer came last, but for unfinished heads
    struct answer_reader answer;
    struct env_hook hook;
};

static const struct transport_callbacks client_callbacks;
static const struct answer_callbacks client_answer_callbacks;

// ---- calls ----

static void call_free(struct http_call *call)
{
    env_timer_cancel(call->client->env, &call->timer);
    list_remove(&call->link);
    buf_free(&call->request);
    call->magic = 0;
    mem_free(call);
}

// Those behind the current call go back to the front of the queue: to be sent on another
// connection, or, when the peer may have seen them, to end without an answer.
static void put_back(struct http_client *c, bool lost)
{
    while (!list_is_empty(&c->behind)) {
        struct http_call *call = LIST_ENTRY(c->behind.previous, struct http_call, link);
        list_remove(&call->link);
        list_prepend(&c->calls, &call->link);
        call->sent = false;
        call->lost = lost;
    }
    c->behind_count = 0;
}

static void drop_connection(struct http_client *c)
{
    put_back(c, true);
    c->transport = transport_close(c->transport);
    c->connected = false;
    c->reused = false;
    answer_stop(&c->answer);
}

static void ask_advance(struct http_client *c)
{
    env_at_turn_end(c->env, &c->hook);
}

// The last callback of a call. The client may be gone (dead) after it.
static void call_end(struct http_call *call, const struct error *err)
{
    struct http_client *c = call->client;
    if (c->current == call) {
        c->current = NULL;
    }
    list_remove(&call->link);
    env_timer_cancel(c->env, &call->timer);
    struct http_call_callbacks callbacks = call->callbacks;
    ask_advance(c);
    if (callbacks.on_end != NULL) {
        callbacks.on_end(call->ctx, call, err);
    }
    call_free(call);
}

static void current_fails(struct http_client *c, int code, const char *text)
{
    struct error err;
    error_set(&err, code, "%s:%u: %s", c->host, c->port, text);
    drop_connection(c);
    call_end(c->current, &err);
}

static void send_current(struct http_client *c)
{
    struct http_call *call = c->current;
    call->sent = true;
    call->sent_behind = false;
    answer_start(&c->answer, call->is_head, &client_answer_callbacks, c);
    transport_write(c->transport, call->request.data, call->request.size);
}

// Sends what may follow the current call.
static void send_behind(struct http_client *c)
{
    while (c->reused && c->behind_count + 1 < c->under_way_max && !list_is_empty(&c->calls)) {
        struct http_call *call = LIST_ENTRY(c->calls.next, struct http_call, link);
        if (call->lost) {
            return;
        }
        list_remove(&call->link);
        list_append(&c->behind, &call->link);
        c->behind_count++;
        call->sent = true;
        call->sent_behind = true;
        transport_write(c->transport, call->request.data, call->request.size);
    }
}

// Ends those that were under way when a connection broke. The client may be dead after it.
static void end_lost(struct http_client *c)
{
    while (!c->dead && c->current == NULL && !list_is_empty(&c->calls)) {
        struct http_call *call = LIST_ENTRY(c->calls.next, struct http_call, link);
        if (!call->lost) {
            return;
        }
        struct error err;
        error_set(&err, -ECONNRESET, "%s:%u: the connection broke before the answer", c->host,
                  c->port);
        call_end(call, &err);
    }
}

static void advance(struct http_client *c)
{
    end_lost(c);
    if (c->dead) {
        return;
    }
    if (c->current == NULL && !list_is_empty(&c->calls)) {
        c->current = LIST_ENTRY(c->calls.next, struct http_call, link);
        list_remove(&c->current->link);
    }
    if (c->current == NULL) {
        return;
    }
    if (c->transport == NULL) {
        c->transport = transport_connect(c->env, c->host, c->port, &client_callbacks, c);
    } else if (c->connected) {
        if (!c->current->sent) {
            send_current(c);
        }
        send_behind(c);
    }
}

// The next call whose request is with the peer already.
static void promote(struct http_client *c)
{
    if (c->behind_count == 0) {
        return;
    }
    c->current = LIST_ENTRY(c->behind.next, struct http_call, link);
    list_remove(&c->current->link);
    c->behind_count--;
    answer_start(&c->answer, c->current->is_head, &client_answer_callbacks, c);
}

static void client_release(struct http_client *c)
{
    answer_free(&c->answer);
    mem_free(c->host);
    c->magic = 0;
    mem_free(c);
}

static void on_client_hook(struct env_hook *hook, struct instant now)
{
    (void)now;
    struct http_client *c = CONTAINER_OF(hook, struct http_client, hook);
    CHECK(c->magic == CLIENT_MAGIC);
    if (c->dead) {
        client_release(c);
    } else {
        advance(c);
    }
}

// ---- the answer ----

static void on_answer_head(void *ctx, int status)
{
    struct http_client *c = CHECK_CAST(http_client, CLIENT_MAGIC, ctx);
    struct http_call *call = c->current;
    c->heard_at = env_now(c->env).mono;
    env_timer_cancel(c->env, &call->timer);
    if (call->callbacks.on_head != NULL) {
        call->callbacks.on_head(call->ctx, call, status);
    }
}

static void on_answer_data(void *ctx, const void *data, size_t size)
{
    struct http_client *c = CHECK_CAST(http_client, CLIENT_MAGIC, ctx);
    c->heard_at = env_now(c->env).mono;
    if (c->current->callbacks.on_data != NULL) {
        c->current->callbacks.on_data(c->current->ctx, c->current, data, size);
    }
}

static const struct answer_callbacks client_answer_callbacks = {
    .on_head = on_answer_head,
    .on_data = on_answer_data,
};

// What the answer to the current call has come to; the call may be gone after it, and the client
// dead.
static void settle(struct http_client *c, enum answer_result result, bool nothing_left)
{
    switch (result) {
    case ANSWER_NEEDS_MORE:
    case ANSWER_STOPPED: // cancelled or freed from within a callback
        return;
    case ANSWER_IS_WHOLE: {
        struct http_call *call = TAKE_PTR(c->current);
        if (!c->answer.keep_alive) {
            put_back(c, false); // the peer has not looked at what came behind
        }
        bool stays = c->answer.keep_alive && c->answer.parser.status_code != 101 &&
                     (nothing_left || c->behind_count > 0);
        if (stays) {
            c->reused = true;
            promote(c);
        } else {
            drop_connection(c);
        }
        call_end(call, NULL);
        return;
    }
    case ANSWER_IS_BAD: {
        char text[128];
        snprintf(text, sizeof(text), "bad answer: %s", c->answer.bad_text);
        current_fails(c, -EPROTO, text);
    }
    }
}

// ---- what the transport tells ----

static void on_connect(void *ctx, const struct error *err)
{
    struct http_client *c = CHECK_CAST(http_client, CLIENT_MAGIC, ctx);
    if (err != NULL) {
        drop_connection(c);
        if (c->current != NULL) {
            call_end(c->current, err);
        }
        return;
    }
    c->connected = true;
    transport_local_ip(c->transport, c->local_ip);
    transport_read(c->transport, true);
    ask_advance(c);
}

static void on_read(void *ctx, const void *data, size_t size)
{
    struct http_client *c = CHECK_CAST(http_client, CLIENT_MAGIC, ctx);
    const char *at = data;
    while (size > 0) {
        struct http_call *call = c->current;
        if (call == NULL || !call->sent) {
            drop_connection(c); // bytes that nobody asked for
            ask_advance(c);
            return;
        }
        call->answered = true;
        size_t used = 0;
        enum answer_result result = answer_feed(&c->answer, at, size, &used);
        settle(c, result, used == size);
        if (result != ANSWER_IS_WHOLE || c->dead || c->transport == NULL) {
            return;
        }
        at += used;
        size -= used;
    }
}

static void on_end(void *ctx, int code)
{
    struct http_client *c = CHECK_CAST(http_client, CLIENT_MAGIC, ctx);
    struct http_call *call = c->current;
    if (call == NULL || !call->sent) {
        drop_connection(c);
        ask_advance(c);
        return;
    }
    if (!call->answered && c->reused && !call->sent_again && !call->sent_behind) {
        call->sent = false;
        call->sent_again = true;
        put_back(c, false);
        drop_connection(c);
        ask_advance(c);
        return;
    }
    if (code == 0 && call->answered) {
        settle(c, answer_end(&c->answer), true);
        return;
    }
    current_fails(c, code != 0 ? code : -ECONNRESET,
                  code != 0 ? uv_strerror(code) : "the connection was closed without an answer");
}

static const struct transport_callbacks client_callbacks = {
    .on_connect = on_connect,
    .on_read = on_read,
    .on_end = on_end,
};

// ---- the interface ----

struct http_client *http_client_new(struct env *env, const char *host, uint16_t port)
{
    struct http_client *c = mem_zalloc(sizeof(*c));
    c->magic = CLIENT_MAGIC;
    c->env = env;
    c->heard_at = INT64_MIN / 2;
    c->host = mem_strdup(host);
    c->port = port;
    c->under_way_max = 1;
    list_init(&c->behind);
    list_init(&c->calls);
    list_init(&c->hook.link);
    c->hook.run = on_client_hook;
    return c;
}

void http_client_pipeline(struct http_client *c, size_t under_way_max)
{
    CHECK(c->magic == CLIENT_MAGIC && under_way_max > 0);
    c->under_way_max = under_way_max;
}

void http_client_pause(struct http_client *c, bool is_paused)
{
    CHECK(c->magic == CLIENT_MAGIC);
    if (c->connected && c->transport != NULL) {
        transport_read(c->transport, !is_paused);
    }
}

struct http_client *http_client_free(struct http_client *c)
{
    if (c == NULL) {
        return NULL;
    }
    CHECK(c->magic == CLIENT_MAGIC && !c->dead);
    c->dead = true;
    drop_connection(c);
    if (c->current != NULL) {
        call_free(TAKE_PTR(c->current));
    }
    while (!list_is_empty(&c->calls)) {
        call_free(LIST_ENTRY(c->calls.next, struct http_call, link));
    }
    ask_advance(c);
    return NULL;
}

static void on_call_timer(struct timer *timer, struct instant now)
{
    struct http_call *call = CONTAINER_OF(timer, struct http_call, timer);
    CHECK(call->magic == CALL_MAGIC);
    struct http_client *c = call->client;
    struct error err;
    if (now.mono - c->heard_at < call->timeout_ns) {
        // The peer answers others: this one has to wait for its turn.
        env_timer_set(c->env, &call->timer, call->timeout_ns - (now.mono - c->heard_at));
        return;
    }
    error_set(&err, -ETIMEDOUT, "%s:%u: no answer in time", c->host, c->port);
    if (call->sent) {
        drop_connection(c);
        if (c->current != NULL && c->current != call) {
            // It was answered too late for those behind it.
            struct http_call *before = TAKE_PTR(c->current);
            before->lost = true;
            list_prepend(&c->calls, &before->link);
        }
    }
    call_end(call, &err);
}

static void put_request(const struct http_client *c, const struct http_call_options *o,
                        struct buf *out)
{
    bool bare_ip6 = strchr(c->host, ':') != NULL && c->host[0] != '[';
    buf_printf(out, "%s %s HTTP/1.1\r\nHost: %s%s%s:%u\r\n", o->method, o->target,
               bare_ip6 ? "[" : "", c->host, bare_ip6 ? "]" : "", c->port);
    for (size_t i = 0; i < o->header_count; i++) {
        CHECK(strpbrk(o->headers[i].value, "\r\n") == NULL);
        buf_printf(out, "%s: %s\r\n", o->headers[i].name, o->headers[i].value);
    }
    bool has_body =
        o->body_size > 0 || (strcmp(o->method, "GET") != 0 && strcmp(o->method, "HEAD") != 0);
    if (has_body) {
        buf_printf(out, "Content-Length: %zu\r\n", o->body_size);
    }
    buf_puts(out, "\r\n");
    buf_append(out, o->body, o->body_size);
}

struct http_call *http_client_send(struct http_client *c, const struct http_call_options *options,
                                   const struct http_call_callbacks *callbacks, void *ctx)
{
    CHECK(c->magic == CLIENT_MAGIC && !c->dead);
    struct http_call *call = mem_zalloc(sizeof(*call));
    call->magic = CALL_MAGIC;
    call->client = c;
    call->callbacks = *callbacks;
    call->ctx = ctx;
    call->is_head = strcmp(options->method, "HEAD") == 0;
    call->timer.run = on_call_timer;
    put_request(c, options, &call->request);
    list_append(&c->calls, &call->link);
    call->timeout_ns = options->timeout_ns != 0 ? options->timeout_ns : CALL_TIMEOUT_NS;
    env_timer_set(c->env, &call->timer, call->timeout_ns);
    ask_advance(c);
    return call;
}

const char *http_call_header(const struct http_call *call, const char *name)
{
    CHECK(call->magic == CALL_MAGIC && call->client->current == call);
    return answer_header(&call->client->answer, name);
}

void http_call_cancel(struct http_call *call)
{
    CHECK(call->magic == CALL_MAGIC);
    struct http_client *c = call->client;
    if (c->current != call && call->sent) {
        call->callbacks = (struct http_call_callbacks){0}; // its answer is read and forgotten
        return;
    }
    if (c->current == call) {
        c->current = NULL;
        if (call->sent) {
            drop_connection(c);
        }
        ask_advance(c);
    }
    call_free(call);
}

const char *http_client_local_ip(const struct http_client *c)
{
    return c->local_ip;
}
