// SPDX-License-Identifier: Apache-2.0
//
// The agent link over a transport. A link is opened by HTTP (the client's side reads the answer
// with answer.c, the server's comes from http_upgrade) and then carries frames. Callbacks may free
// the link: its memory goes at the turn's end.

#include "net/link.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/check.h"
#include "base/mem.h"
#include "net/answer.h"
#include "net/frame.h"
#include "net/transport.h"

#define LINK_MAGIC UINT32_C(0x4c494e4b)

#define OPEN_LIMIT_NS (15 * NS_PER_S)
#define SEND_PAUSE_NS (10 * NS_PER_S)
#define SILENCE_LIMIT_NS (60 * NS_PER_S)

enum { QUEUE_SIZE_MAX = 256 * 1024 * 1024, REDIRECT_SIZE_MAX = 200 };

// CONNECTING -> ASKING -> OPEN on the client's side, UPGRADING -> OPEN on the server's; any ->
// CLOSED.
enum link_state { LINK_CONNECTING, LINK_ASKING, LINK_UPGRADING, LINK_OPEN, LINK_CLOSED };

struct link {
    uint32_t magic;
    enum link_state state;
    bool dead; // link_free was called
    struct env *env;
    struct transport *transport;
    struct link_callbacks callbacks;
    void *ctx;
    char *host;                   // client side
    struct answer_reader *answer; // client side, while ASKING
    struct buf early;             // frames sent before the link is open
    struct frame_reader frames;
    int64_t sent_at;
    int64_t received_at;
    struct timer timer;
    struct env_hook hook; // frees a dead link, or tells of an overflow
    char peer[TRANSPORT_NAME_SIZE];
    char *local_ip; // client side, once it is open
};

static const struct transport_callbacks transport_callbacks;

// ---- life ----

static void link_release(struct link *link)
{
    if (link->answer != NULL) {
        answer_free(link->answer);
        mem_free(link->answer);
    }
    buf_free(&link->early);
    frame_reader_free(&link->frames);
    mem_free(link->host);
    mem_free(link->local_ip);
    link->magic = 0;
    mem_free(link);
}

static void link_shut(struct link *link)
{
    link->state = LINK_CLOSED;
    link->transport = transport_close(link->transport);
    env_timer_cancel(link->env, &link->timer);
}

// Ends the link and tells its owner, who may free it then or later.
static void link_fail(struct link *link, int code, const char *text)
{
    if (link->state == LINK_CLOSED) {
        return;
    }
    link_shut(link);
    struct error err;
    error_set(&err, code, "%s", text);
    if (!link->dead && link->callbacks.on_close != NULL) {
        link->callbacks.on_close(link->ctx, link, &err);
    }
}

static void on_link_hook(struct env_hook *hook, struct instant now)
{
    (void)now;
    struct link *link = CONTAINER_OF(hook, struct link, hook);
    CHECK(link->magic == LINK_MAGIC);
    if (link->dead) {
        link_release(link);
    } else {
        link_fail(link, -ENOBUFS, "the peer does not read what it is sent");
    }
}

struct link *link_free(struct link *link)
{
    if (link == NULL) {
        return NULL;
    }
    CHECK(link->magic == LINK_MAGIC && !link->dead);
    link->dead = true;
    if (link->state == LINK_UPGRADING) {
        return NULL; // on_upgraded ends it
    }
    if (link->state != LINK_CLOSED) {
        link_shut(link);
    }
    if (link->answer != NULL) {
        answer_stop(link->answer);
    }
    env_at_turn_end(link->env, &link->hook);
    return NULL;
}

static void on_timer(struct timer *timer, struct instant now)
{
    struct link *link = CONTAINER_OF(timer, struct link, timer);
    CHECK(link->magic == LINK_MAGIC);
    if (link->state != LINK_OPEN) {
        link_fail(link, -ETIMEDOUT, "the link was not opened in time");
        return;
    }
    if (now.mono >= link->received_at + SILENCE_LIMIT_NS) {
        link_fail(link, -ETIMEDOUT, "nothing was heard from the peer");
        return;
    }
    if (now.mono >= link->sent_at + SEND_PAUSE_NS) {
        link_send(link, 0, NULL, 0);
    }
    int64_t next = link->sent_at + SEND_PAUSE_NS;
    int64_t silence = link->received_at + SILENCE_LIMIT_NS;
    timer_set(env_timers(link->env), &link->timer, next < silence ? next : silence);
}

static struct link *link_new(struct env *env, const struct link_callbacks *callbacks, void *ctx)
{
    struct link *link = mem_zalloc(sizeof(*link));
    link->magic = LINK_MAGIC;
    link->env = env;
    link->callbacks = *callbacks;
    link->ctx = ctx;
    link->timer.run = on_timer;
    list_init(&link->hook.link);
    link->hook.run = on_link_hook;
    frame_reader_init(&link->frames, LINK_FRAME_SIZE_MAX);
    return link;
}

// ---- frames ----

static bool on_frame(void *ctx, uint32_t channel, const void *data, size_t size)
{
    struct link *link = CHECK_CAST(link, LINK_MAGIC, ctx);
    if (channel != 0 && link->callbacks.on_frame != NULL) {
        link->callbacks.on_frame(link->ctx, link, channel, data, size);
    }
    return link->state == LINK_OPEN;
}

static void take_frames(struct link *link, const void *data, size_t size)
{
    link->received_at = env_now(link->env).mono;
    int r = frame_reader_feed(&link->frames, data, size, on_frame, link);
    if (r < 0) {
        link_fail(link, r, "a frame beyond the limit of size");
    }
}

void link_send(struct link *link, uint32_t channel, const void *data, size_t size)
{
    CHECK(link->magic == LINK_MAGIC && !link->dead && size <= LINK_FRAME_SIZE_MAX);
    if (link->state == LINK_CLOSED) {
        return;
    }
    if (link_queued(link) + size > QUEUE_SIZE_MAX) {
        env_at_turn_end(link->env, &link->hook);
        return;
    }
    if (link->state != LINK_OPEN) {
        char head[FRAME_HEAD_SIZE];
        frame_put_head(head, channel, size);
        buf_append(&link->early, head, sizeof(head));
        buf_append(&link->early, data, size);
        return;
    }
    char *at = transport_reserve(link->transport, FRAME_HEAD_SIZE + size);
    frame_put_head(at, channel, size);
    if (size > 0) {
        memcpy(at + FRAME_HEAD_SIZE, data, size);
    }
    transport_commit(link->transport, FRAME_HEAD_SIZE + size);
    link->sent_at = env_now(link->env).mono;
}

size_t link_queued(const struct link *link)
{
    return link->early.size + (link->state == LINK_OPEN ? transport_queued(link->transport) : 0);
}

// The transport speaks frames from now on.
static void link_open(struct link *link)
{
    int64_t now = env_now(link->env).mono;
    link->state = LINK_OPEN;
    link->sent_at = now;
    link->received_at = now;
    env_timer_set(link->env, &link->timer, SEND_PAUSE_NS);
    transport_write(link->transport, link->early.data, link->early.size);
    buf_free(&link->early);
    transport_read(link->transport, true);
}

// ---- the server's side ----

static void on_upgraded(void *ctx, struct transport *transport, const void *extra, size_t size)
{
    struct link *link = CHECK_CAST(link, LINK_MAGIC, ctx);
    link->transport = transport;
    if (link->dead) {
        link_shut(link);
        env_at_turn_end(link->env, &link->hook);
        return;
    }
    if (transport == NULL) {
        link_fail(link, -ECONNRESET, "the connection went before the link was open");
        return;
    }
    transport_set_owner(transport, &transport_callbacks, link);
    link_open(link);
    if (size > 0) {
        take_frames(link, extra, size);
    }
}

static bool has_token(const char *value, const char *token)
{
    size_t size = strlen(token);
    while (value != NULL && *value != '\0') {
        value += strspn(value, " \t,");
        size_t length = strcspn(value, " \t,");
        if (length == size && strncasecmp(value, token, size) == 0) {
            return true;
        }
        value += length;
    }
    return false;
}

struct link *link_accept(struct env *env, struct http_request *request,
                         const struct link_callbacks *callbacks, void *ctx)
{
    if (strcmp(http_method(request), "GET") != 0) {
        http_respond_text(request, 405, "A link is opened with GET\n");
        return NULL;
    }
    if (!has_token(http_get_header(request, "Connection"), "upgrade") ||
        !has_token(http_get_header(request, "Upgrade"), LINK_PROTOCOL)) {
        struct http_header headers[] = {{"Upgrade", LINK_PROTOCOL}};
        static const char text[] = "Only agents speak here, over " LINK_PROTOCOL "\n";
        http_respond(request, 426, "text/plain; charset=utf-8", text, sizeof(text) - 1, headers, 1);
        return NULL;
    }
    struct link *link = link_new(env, callbacks, ctx);
    link->state = LINK_UPGRADING;
    // No timer yet: HTTP ends it one way or the other.
    http_peer(request, link->peer);
    http_upgrade(request, LINK_PROTOCOL, on_upgraded, link);
    return link;
}

// ---- the client's side ----

static void on_answer_head(void *ctx, int status)
{
    (void)ctx;
    (void)status;
}

static void on_answer_data(void *ctx, const void *data, size_t size)
{
    (void)ctx;
    (void)data;
    (void)size;
}

static const struct answer_callbacks answer_callbacks = {
    .on_head = on_answer_head,
    .on_data = on_answer_data,
};

// "//host:port/path" or "http://host:port/path" to "host:port".
static bool redirect_target(const char *location, char ret_target[REDIRECT_SIZE_MAX])
{
    const char *at = location != NULL ? strstr(location, "//") : NULL;
    if (at == NULL) {
        return false;
    }
    at += 2;
    size_t size = strcspn(at, "/?#");
    if (size == 0 || size >= REDIRECT_SIZE_MAX) {
        return false;
    }
    memcpy(ret_target, at, size);
    ret_target[size] = '\0';
    return true;
}

static void take_answer(struct link *link, const char *data, size_t size)
{
    size_t used;
    enum answer_result result = answer_feed(link->answer, data, size, &used);
    int status = link->answer->parser.status_code;
    if (result == ANSWER_IS_BAD) {
        link_fail(link, -EPROTO, link->answer->bad_text);
    } else if (result == ANSWER_IS_WHOLE && status == 101) {
        answer_free(link->answer);
        mem_free(TAKE_PTR(link->answer));
        link_open(link);
        if (link->callbacks.on_open != NULL) {
            link->callbacks.on_open(link->ctx, link);
        }
        if (link->state == LINK_OPEN && used < size) {
            take_frames(link, data + used, size - used);
        }
    } else if (link->answer->head_told) {
        char text[REDIRECT_SIZE_MAX];
        const char *location = answer_header(link->answer, "Location");
        if (status >= 300 && status < 400 && redirect_target(location, text)) {
            link_fail(link, -EREMCHG, text);
            return;
        }
        snprintf(text, sizeof(text), "the link was refused: %d %s", status, http_reason(status));
        link_fail(link, -ECONNREFUSED, text);
    }
}

static void on_connect(void *ctx, const struct error *err)
{
    struct link *link = CHECK_CAST(link, LINK_MAGIC, ctx);
    if (err != NULL) {
        link_fail(link, err->code, err->text);
        return;
    }
    transport_peer(link->transport, link->peer);
    char local_ip[TRANSPORT_NAME_SIZE];
    transport_local_ip(link->transport, local_ip);
    link->local_ip = mem_strdup(local_ip);
    link->state = LINK_ASKING;
    link->answer = mem_zalloc(sizeof(*link->answer));
    answer_start(link->answer, false, &answer_callbacks, link);
    struct buf head AUTO_BUF = BUF_INIT;
    buf_printf(&head,
               "GET " LINK_PATH " HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\n"
               "Upgrade: " LINK_PROTOCOL "\r\n\r\n",
               link->host);
    transport_write(link->transport, head.data, head.size);
    transport_read(link->transport, true);
}

struct link *link_connect(struct env *env, const char *host, uint16_t port,
                          const struct link_callbacks *callbacks, void *ctx)
{
    struct link *link = link_new(env, callbacks, ctx);
    bool bare_ip6 = strchr(host, ':') != NULL && host[0] != '[';
    env_timer_set(env, &link->timer, OPEN_LIMIT_NS);
    link->host = mem_printf(bare_ip6 ? "[%s]:%u" : "%s:%u", host, port);
    link->transport = transport_connect(env, host, port, &transport_callbacks, link);
    return link;
}

struct link *link_connect_from(struct env *env, const char *source, const char *host, uint16_t port,
                               const struct link_callbacks *callbacks, void *ctx)
{
    struct link *link = link_new(env, callbacks, ctx);
    env_timer_set(env, &link->timer, OPEN_LIMIT_NS);
    link->host = mem_printf("%s:%u", host, port);
    link->transport = transport_connect_from(env, source, host, port, &transport_callbacks, link);
    return link;
}

// ---- both ----

static void on_read(void *ctx, const void *data, size_t size)
{
    struct link *link = CHECK_CAST(link, LINK_MAGIC, ctx);
    if (link->state == LINK_ASKING) {
        take_answer(link, data, size);
    } else {
        take_frames(link, data, size);
    }
}

static void on_end(void *ctx, int code)
{
    struct link *link = CHECK_CAST(link, LINK_MAGIC, ctx);
    link_fail(link, code != 0 ? code : -ECONNRESET,
              code != 0 ? uv_strerror(code) : "the peer closed the link");
}

static const struct transport_callbacks transport_callbacks = {
    .on_connect = on_connect,
    .on_read = on_read,
    .on_end = on_end,
};

const char *link_peer(const struct link *link)
{
    return link->peer;
}

const char *link_local_ip(const struct link *link)
{
    return link->local_ip != NULL ? link->local_ip : "";
}
