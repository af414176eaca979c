// SPDX-License-Identifier: Apache-2.0
//
// Answers: whole ones, files, streams, and the way out of HTTP. Each puts its head and body into
// the connection's queue; the turn's end sends them. A request whose connection has gone is
// answered into nothing.

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/mem.h"
#include "base/text.h"
#include "net/http_internal.h"

enum {
    GZIP_SIZE_MIN = 1024,
    GZIP_THREAD_SIZE_MIN = 128 * 1024, // from here on a thread packs
    HEAD_FIXED_SIZE = 256,
    BODY_COPY_MAX = 16 * 1024
};

// ---- heads ----

enum framing { FRAMING_NONE, FRAMING_LENGTH, FRAMING_CHUNKED, FRAMING_CLOSE };

struct answer {
    int status;
    const char *content_type;
    const struct http_header *headers;
    size_t header_count;
    enum framing framing;
    uint64_t size;
    bool gzip;
    bool keep_alive;
};

static char *put(char *at, const char *text)
{
    size_t size = strlen(text);
    memcpy(at, text, size);
    return at + size;
}

static char *put_u64(char *at, uint64_t value)
{
    char digits[20];
    size_t n = 0;
    do {
        digits[n++] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    while (n > 0) {
        *at++ = digits[--n];
    }
    return at;
}

// A line's end in a value would let it forge headers: control characters become spaces.
static char *put_value(char *at, const char *value)
{
    for (; *value != '\0'; value++) {
        unsigned char c = (unsigned char)*value;
        *at++ = (c < 0x20 && c != '\t') || c == 0x7f ? ' ' : (char)c;
    }
    return at;
}

static char *put_header(char *at, const char *name, const char *value)
{
    at = put_value(at, name);
    at = put(at, ": ");
    at = put_value(at, value);
    return put(at, "\r\n");
}

static char *put_framing(char *at, const struct http_request *r, const struct answer *a)
{
    if (a->framing == FRAMING_LENGTH) {
        at = put(at, "Content-Length: ");
        at = put_u64(at, a->size);
        at = put(at, "\r\n");
    } else if (a->framing == FRAMING_CHUNKED) {
        at = put(at, "Transfer-Encoding: chunked\r\n");
    }
    if (!a->keep_alive) {
        at = put(at, "Connection: close\r\n");
    } else if (r->is_http_1_0) {
        at = put(at, "Connection: keep-alive\r\n");
    }
    return at;
}

// Such as all calls get that are accepted: another one of the same second is the same.
static bool says_only_status(const struct http_request *r, const struct answer *a)
{
    return a->content_type == NULL && a->header_count == 0 && r->answer_header_count == 0 &&
           a->framing == FRAMING_LENGTH && a->size == 0 && a->keep_alive && !r->is_http_1_0;
}

static void send_head(struct http_request *r, const struct answer *a)
{
    struct transport *t = conn_transport(r->conn);
    size_t size = HEAD_FIXED_SIZE;
    if (a->content_type != NULL) {
        size += strlen(a->content_type);
    }
    for (size_t i = 0; i < a->header_count; i++) {
        size += strlen(a->headers[i].name) + strlen(a->headers[i].value) + 4;
    }
    for (size_t i = 0; i < r->answer_header_count; i++) {
        size += strlen(r->answer_headers[i].name) + strlen(r->answer_headers[i].value) + 4;
    }
    char *start = transport_reserve(t, size);
    char *at = put(start, "HTTP/1.1 ");
    at = put_u64(at, (uint64_t)a->status);
    at = put(at, " ");
    at = put(at, http_reason(a->status));
    at = put(at, "\r\nDate: ");
    at = put(at, conn_date(r->conn));
    at = put(at, "\r\n");
    if (a->content_type != NULL) {
        at = put_header(at, "Content-Type", a->content_type);
    }
    if (a->gzip) {
        at = put(at, "Content-Encoding: gzip\r\n");
    }
    at = put_framing(at, r, a);
    for (size_t i = 0; i < a->header_count; i++) {
        at = put_header(at, a->headers[i].name, a->headers[i].value);
    }
    for (size_t i = 0; i < r->answer_header_count; i++) {
        at = put_header(at, r->answer_headers[i].name, r->answer_headers[i].value);
    }
    at = put(at, "\r\n");
    CHECK((size_t)(at - start) <= size);
    if (says_only_status(r, a)) {
        conn_keep_empty_answer(r->conn, a->status, start, (size_t)(at - start));
    }
    transport_commit(t, (size_t)(at - start));
}

// ---- whole answers ----

static bool has_no_body(int status)
{
    return status < 200 || status == 204 || status == 304;
}

static bool names_header(const struct answer *a, const char *name)
{
    for (size_t i = 0; i < a->header_count; i++) {
        if (strcasecmp(a->headers[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

bool http_accepts_gzip(const struct http_request *r)
{
    return gzip_is_accepted(http_get_header(r, "Accept-Encoding"));
}

static bool wants_gzip(const struct http_request *r, const struct answer *a)
{
    return a->size >= GZIP_SIZE_MIN && http_accepts_gzip(r) &&
           !names_header(a, "Content-Encoding") &&
           (a->content_type == NULL || strncmp(a->content_type, "image/", 6) != 0);
}

// Puts the whole answer into the queue. `owned`, when not NULL, is `body` itself, given away.
static void send_whole(struct http_request *r, struct answer *a, const void *body, char *owned)
{
    struct conn *conn = r->conn;
    struct transport *t = conn_transport(conn);
    send_head(r, a);
    bool send_body = a->size > 0 && !r->is_head && a->framing == FRAMING_LENGTH;
    if (send_body && owned != NULL && a->size > BODY_COPY_MAX) {
        transport_write_owned(t, TAKE_PTR(owned), a->size);
    } else if (send_body) {
        transport_write(t, body, a->size);
    }
    mem_free(owned);
    conn_answered(conn, a->keep_alive);
}

// A large body is packed on one of libuv's threads, which gets buffers of its own; the request
// waits.
struct packing {
    uv_work_t work;
    struct http_request *request;
    struct answer answer; // what it points at is in the request's arena
    char *body;
    char *packed;
    size_t packed_size;
};

static void pack(uv_work_t *work)
{
    struct packing *p = work->data;
    if (!gzip_compress(p->body, p->answer.size, &p->packed, &p->packed_size)) {
        p->packed = NULL;
    }
}

static void on_packed(uv_work_t *work, int status)
{
    (void)status; // never cancelled
    struct packing *p = work->data;
    struct http_request *r = p->request;
    if (p->packed != NULL) {
        mem_free(p->body);
        p->body = p->packed;
        p->answer.size = p->packed_size;
        p->answer.gzip = true;
    }
    if (r->conn != NULL) {
        send_whole(r, &p->answer, p->body, p->body);
    } else {
        mem_free(p->body);
        request_free(r);
    }
    mem_free(p);
}

static void pack_then_send(struct http_request *r, const struct answer *a, const void *body,
                           char *owned)
{
    struct packing *p = mem_zalloc(sizeof(*p));
    struct arena *arena = http_arena(r);
    struct http_header *headers = arena_calloc(arena, a->header_count, sizeof(*headers));
    for (size_t i = 0; i < a->header_count; i++) {
        headers[i].name = arena_strdup(arena, a->headers[i].name);
        headers[i].value = arena_strdup(arena, a->headers[i].value);
    }
    p->answer = *a;
    p->answer.content_type = arena_strdup(arena, a->content_type);
    p->answer.headers = headers;
    p->body = owned != NULL ? owned : mem_dup(body, a->size);
    p->request = r;
    p->work.data = p;
    // If its connection goes, the request stays until on_packed frees it.
    r->on_abort = NULL;
    CHECK(uv_queue_work(env_loop(r->env), &p->work, pack, on_packed) == 0);
}

static void respond(struct http_request *r, struct answer *a, const void *body, char *owned)
{
    CHECK(r->magic == REQUEST_MAGIC && r->stream.magic == 0);
    if (r->conn == NULL) {
        mem_free(owned);
        request_free(r);
        return;
    }
    a->keep_alive = r->keep_alive;
    a->framing = has_no_body(a->status) ? FRAMING_NONE : FRAMING_LENGTH;
    if (wants_gzip(r, a)) {
        if (a->size >= GZIP_THREAD_SIZE_MIN) {
            pack_then_send(r, a, body, owned);
            return;
        }
        char *packed;
        size_t packed_size;
        if (gzip_compress(body, a->size, &packed, &packed_size)) {
            mem_free(owned);
            owned = packed;
            body = packed;
            a->size = packed_size;
            a->gzip = true;
        }
    }
    send_whole(r, a, body, owned);
}

void http_respond(struct http_request *r, int status, const char *content_type, const void *body,
                  size_t body_size, const struct http_header *headers, size_t header_count)
{
    struct answer a = {
        .status = status,
        .content_type = content_type,
        .headers = headers,
        .header_count = header_count,
        .size = body_size,
    };
    respond(r, &a, body, NULL);
}

void http_respond_status(struct http_request *r, int status)
{
    CHECK(r->magic == REQUEST_MAGIC && r->stream.magic == 0);
    if (r->conn != NULL && r->keep_alive && !r->is_http_1_0 && r->answer_header_count == 0 &&
        conn_send_empty_answer(r->conn, status)) {
        conn_answered(r->conn, true);
        return;
    }
    http_respond(r, status, NULL, NULL, 0, NULL, 0);
}

void http_respond_buf(struct http_request *r, int status, const char *content_type,
                      struct buf *body, const struct http_header *headers, size_t header_count)
{
    struct answer a = {
        .status = status,
        .content_type = content_type,
        .headers = headers,
        .header_count = header_count,
        .size = body->size,
    };
    char *data = buf_take(body);
    respond(r, &a, data, data);
}

void http_respond_text(struct http_request *r, int status, const char *format, ...)
{
    struct buf text AUTO_BUF = BUF_INIT;
    va_list args;
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    http_respond(r, status, "text/plain; charset=utf-8", text.data, text.size, NULL, 0);
}

void http_respond_file(struct http_request *r, int status, const char *content_type, int fd,
                       uint64_t offset, uint64_t size, const struct http_header *headers,
                       size_t header_count)
{
    CHECK(r->magic == REQUEST_MAGIC && r->stream.magic == 0);
    struct conn *conn = r->conn;
    if (conn == NULL) {
        close(fd);
        request_free(r);
        return;
    }
    struct answer a = {
        .status = status,
        .content_type = content_type,
        .headers = headers,
        .header_count = header_count,
        .framing = FRAMING_LENGTH,
        .size = size,
        .keep_alive = r->keep_alive,
    };
    send_head(r, &a);
    if (r->is_head || size == 0) {
        close(fd);
        conn_answered(conn, a.keep_alive);
        return;
    }
    conn_set_file(conn, file_sender_new(r->env, conn, fd, offset, size, a.keep_alive));
}

void http_respond_blob(struct http_request *r, int status, const char *content_type,
                       struct http_blob *blob, bool is_packed)
{
    CHECK(r->magic == REQUEST_MAGIC && r->stream.magic == 0);
    struct conn *conn = r->conn;
    if (conn == NULL) {
        request_free(r);
        return;
    }
    struct answer a = {
        .status = status,
        .content_type = content_type,
        .framing = FRAMING_LENGTH,
        .size = http_blob_size(blob),
        .gzip = is_packed,
        .keep_alive = r->keep_alive,
    };
    send_head(r, &a);
    if (r->is_head || a.size == 0) {
        conn_answered(conn, a.keep_alive);
        return;
    }
    blob_sender_new(r->env, conn, blob, a.keep_alive, false, NULL, NULL);
}

// ---- streams ----

static void on_orphan_hook(struct env_hook *hook, struct instant now)
{
    (void)now;
    struct http_request *r = CONTAINER_OF(hook, struct http_request, hook);
    CHECK(r->magic == REQUEST_MAGIC && r->stream.magic == STREAM_MAGIC);
    if (r->stream.on_close != NULL) {
        r->stream.on_close(r->stream.ctx, &r->stream);
    }
    request_free(r);
}

static struct http_stream *open_stream(struct http_request *r, struct answer *a,
                                       void (*on_close)(void *ctx, struct http_stream *s),
                                       void *ctx)
{
    CHECK(r->magic == REQUEST_MAGIC && r->stream.magic == 0);
    struct http_stream *s = &r->stream;
    s->magic = STREAM_MAGIC;
    s->on_close = on_close;
    s->ctx = ctx;
    s->is_sized = a->framing == FRAMING_LENGTH;
    s->left = a->size;
    s->chunked = a->framing == FRAMING_CHUNKED;
    if (r->conn == NULL) {
        r->hook.run = on_orphan_hook;
        env_at_turn_end(r->env, &r->hook);
        return s;
    }
    if (a->framing == FRAMING_CLOSE) {
        r->keep_alive = false;
    }
    a->keep_alive = r->keep_alive;
    send_head(r, a);
    return s;
}

struct http_stream *http_respond_stream(struct http_request *r, const char *content_type,
                                        const struct http_header *headers, size_t header_count,
                                        void (*on_close)(void *ctx, struct http_stream *s),
                                        void *ctx)
{
    struct answer a = {
        .status = 200,
        .content_type = content_type,
        .headers = headers,
        .header_count = header_count,
        .framing = r->is_http_1_0 ? FRAMING_CLOSE : FRAMING_CHUNKED,
    };
    return open_stream(r, &a, on_close, ctx);
}

struct http_stream *http_respond_sized_stream(struct http_request *r, const char *content_type,
                                              uint64_t size, const struct http_header *headers,
                                              size_t header_count,
                                              void (*on_close)(void *ctx, struct http_stream *s),
                                              void *ctx)
{
    struct answer a = {
        .status = 200,
        .content_type = content_type,
        .headers = headers,
        .header_count = header_count,
        .framing = FRAMING_LENGTH,
        .size = size,
    };
    return open_stream(r, &a, on_close, ctx);
}

void http_stream_on_drained(struct http_stream *s,
                            void (*on_drained)(void *ctx, struct http_stream *s))
{
    s->on_drained = on_drained;
}

static struct http_request *stream_request(const struct http_stream *s)
{
    CHECK(s != NULL && s->magic == STREAM_MAGIC);
    return CONTAINER_OF(s, struct http_request, stream);
}

static char *put_hex(char *at, size_t value)
{
    int shift = 0;
    while (shift + 4 < 64 && value >> (shift + 4) != 0) {
        shift += 4;
    }
    for (; shift >= 0; shift -= 4) {
        *at++ = "0123456789abcdef"[(value >> shift) & 15];
    }
    return at;
}

void http_stream_send(struct http_stream *s, const void *data, size_t size)
{
    http_stream_send_behind(s, NULL, 0, data, size);
}

void http_stream_send_behind(struct http_stream *s, const void *prefix, size_t prefix_size,
                             const void *data, size_t data_size)
{
    struct http_request *r = stream_request(s);
    size_t size = prefix_size + data_size;
    if (r->conn == NULL || s->overflowed || r->is_head || size == 0) {
        return;
    }
    if (s->is_sized) {
        CHECK(size <= s->left);
        s->left -= size;
    }
    struct transport *t = conn_transport(r->conn);
    size_t most = s->queue_size_max > 0 ? s->queue_size_max : conn_queue_size_max(r->conn);
    if (transport_queued(t) > most) {
        s->overflowed = true;
        conn_break_later(r->conn);
        return;
    }
    char *start = transport_reserve(t, size + 20);
    char *at = start;
    if (s->chunked) {
        at = put_hex(at, size);
        at = put(at, "\r\n");
    }
    if (prefix_size > 0) {
        memcpy(at, prefix, prefix_size);
        at += prefix_size;
    }
    if (data_size > 0) {
        memcpy(at, data, data_size);
        at += data_size;
    }
    if (s->chunked) {
        at = put(at, "\r\n");
    }
    transport_commit(t, (size_t)(at - start));
}

void http_stream_send_blob(struct http_stream *s, const void *prefix, size_t prefix_size,
                           struct http_blob *blob, void (*on_sent)(void *ctx), void *ctx)
{
    struct http_request *r = stream_request(s);
    if (r->conn == NULL || s->overflowed) {
        return;
    }
    CHECK(!conn_has_blob(r->conn) && prefix_size + http_blob_size(blob) > 0);
    struct transport *t = conn_transport(r->conn);
    if (s->chunked) {
        char head[20];
        char *end = put(put_hex(head, prefix_size + http_blob_size(blob)), "\r\n");
        transport_write(t, head, (size_t)(end - head));
    }
    transport_write(t, prefix, prefix_size);
    blob_sender_new(r->env, r->conn, blob, false, s->chunked, on_sent, ctx);
}

void http_stream_set_queue_max(struct http_stream *s, size_t size)
{
    s->queue_size_max = size;
}

bool http_stream_overflowed(const struct http_stream *s)
{
    return s->overflowed;
}

size_t http_stream_queued(const struct http_stream *s)
{
    const struct http_request *r = stream_request(s);
    return r->conn == NULL ? 0 : transport_queued(conn_transport(r->conn));
}

void http_stream_break(struct http_stream *s)
{
    struct http_request *r = stream_request(s);
    s->on_close = NULL;
    s->on_drained = NULL;
    if (r->conn == NULL) {
        request_free(r);
        return;
    }
    s->overflowed = true; // nothing more is sent
    conn_break_later(r->conn);
}

void http_stream_close(struct http_stream *s)
{
    struct http_request *r = stream_request(s);
    if (s->is_sized && s->left > 0 && !r->is_head && !s->overflowed) {
        http_stream_break(s);
        return;
    }
    s->on_close = NULL;
    s->on_drained = NULL;
    if (r->conn == NULL) {
        request_free(r);
        return;
    }
    if (s->overflowed) {
        return; // the turn's end closes the connection
    }
    if (conn_has_blob(r->conn)) {
        conn_break_later(r->conn); // within a chunk there is no other end
        return;
    }
    if (s->chunked && !r->is_head) {
        transport_write(conn_transport(r->conn), "0\r\n\r\n", 5);
    }
    conn_answered(r->conn, r->keep_alive);
}

// ---- upgrade ----

void http_upgrade(struct http_request *r, const char *protocol,
                  void (*on_upgraded)(void *ctx, struct transport *transport, const void *extra,
                                      size_t size),
                  void *ctx)
{
    CHECK(r->magic == REQUEST_MAGIC && r->stream.magic == 0 && r->conn != NULL);
    struct transport *t = conn_transport(r->conn);
    static const char head[] = "HTTP/1.1 101 Switching Protocols\r\n"
                               "Connection: Upgrade\r\nUpgrade: ";
    transport_write(t, head, sizeof(head) - 1);
    transport_write(t, protocol, strlen(protocol));
    transport_write(t, "\r\n\r\n", 4);
    conn_upgrade(r->conn, on_upgraded, ctx);
}
