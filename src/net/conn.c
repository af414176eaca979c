// SPDX-License-Identifier: Apache-2.0
//
// One connection of the HTTP server. Requests are handled one after another: while one is with the
// handler, further bytes wait, up to WAITING_SIZE_MAX, and then are not read. So answers are in
// order by construction. A connection's memory goes at the end of the turn in which it died, so
// that nobody on the stack loses it.

#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "net/http_server.h"
#include "net/known_head.h"

enum {
    WAITING_SIZE_MAX = 64 * 1024,
    // With more than this unsent, further requests wait until the peer has read.
    QUEUE_PAUSE_SIZE = 256 * 1024,
    // Heads that differ from the one that is known; after so many in a row none is kept any more.
    HEAD_MISSES_MAX = 16,
};

static const struct transport_callbacks conn_callbacks;

static void set_phase(struct conn *conn, enum conn_phase phase)
{
    struct http_server *server = conn->server;
    list_remove(&conn->timed);
    conn->phase = phase;
    if (phase >= CONN_TIMED_COUNT) {
        return;
    }
    conn->since = env_now(server->env).mono;
    conn->queued_then = transport_queued(conn->transport);
    bool first = list_is_empty(&server->phases[phase]);
    list_append(&server->phases[phase], &conn->timed);
    if (first) {
        server_watch_phase(server, phase);
    }
}

// ---- life ----

static void conn_free(struct conn *conn)
{
    struct http_server *server = conn->server;
    buf_free(&conn->waiting);
    known_head_free(conn->known);
    conn->magic = 0;
    mem_free(conn);
    server_release(server);
}

// Tells whoever holds the request that its connection has gone.
static void drop_request(struct conn *conn)
{
    struct http_request *r = TAKE_PTR(conn->request);
    if (r == NULL) {
        return;
    }
    r->conn = NULL;
    if (conn->phase == CONN_ANSWERING && r->stream.magic != 0) {
        if (r->stream.on_close != NULL) {
            r->stream.on_close(r->stream.ctx, &r->stream);
        }
    } else if (conn->phase == CONN_ANSWERING && conn->file == NULL && conn->blob == NULL) {
        if (r->on_abort == NULL) {
            return; // the handler still has it, and its answer will free it
        }
        r->on_abort(r->on_abort_ctx, r);
    }
    request_free(r);
}

void conn_destroy(struct conn *conn)
{
    CHECK(conn->magic == CONN_MAGIC);
    if (conn->phase == CONN_DEAD) {
        return;
    }
    drop_request(conn);
    file_sender_cancel(TAKE_PTR(conn->file));
    blob_sender_cancel(TAKE_PTR(conn->blob));
    if (conn->phase == CONN_UPGRADING) {
        conn->on_upgraded(conn->upgrade_ctx, NULL, NULL, 0);
    }
    set_phase(conn, CONN_DEAD);
    list_remove(&conn->all);
    conn->server->conn_count--;
    conn->transport = transport_close(conn->transport);
    env_at_turn_end(conn->server->env, &conn->hook);
}

void conn_break_later(struct conn *conn)
{
    conn->broken = true;
    env_at_turn_end(conn->server->env, &conn->hook);
}

void conn_resume_parts(struct conn *conn)
{
    env_at_turn_end(conn->server->env, &conn->hook);
}

// No more requests: when the queue has left, the peer is told, and has a moment to close.
static void conn_close_in_order(struct conn *conn)
{
    transport_finish(conn->transport);
    buf_free(&conn->waiting);
    set_phase(conn, CONN_CLOSING);
    transport_read(conn->transport, !conn->peer_ended);
}

// ---- requests ----

static void refuse(struct conn *conn, int status, const char *text)
{
    struct http_request *r = conn->request;
    r->keep_alive = false;
    set_phase(conn, CONN_ANSWERING);
    http_respond_text(r, status, "%s\n", text);
}

// While bytes are fed, an answered request may be followed by another one: the connection enters
// the queue of the idle ones when it is clear that none does (conn_feed).
static void become_idle(struct conn *conn)
{
    if (conn->feeding) {
        conn->phase = CONN_IDLE;
    } else {
        set_phase(conn, CONN_IDLE);
    }
}

static bool hand_over_request(struct conn *conn)
{
    struct http_server *server = conn->server;
    set_phase(conn, CONN_ANSWERING);
    server->handler(server->ctx, conn->request);
    return conn->phase == CONN_IDLE && transport_queued(conn->transport) <= QUEUE_PAUSE_SIZE;
}

// A request that came in one piece: the next may have the same head.
static void learn_head(struct conn *conn, const char *data, size_t size)
{
    if (conn->head_misses > HEAD_MISSES_MAX) {
        return;
    }
    struct known_head *known = known_head_new(conn->request, data, size);
    if (known != NULL) {
        conn->head_misses++;
        known_head_free(conn->known);
        conn->known = known;
    }
}

// Whether the request that is with the handler still gets parts of its body.
static bool takes_parts(const struct conn *conn)
{
    return conn->phase == CONN_ANSWERING && conn->request != NULL && conn->request->in_parts &&
           !conn->request->parts_paused && conn->request->stage == REQUEST_BODY;
}

// Hands over what has come of the body. The handler may answer, whereby the request goes.
static void hand_part(struct conn *conn)
{
    struct http_request *r = conn->request;
    bool is_last = r->stage == REQUEST_WHOLE;
    if (r->on_part == NULL || (r->body.size == 0 && !is_last)) {
        return;
    }
    struct buf part AUTO_BUF = r->body;
    r->body = BUF_INIT;
    r->parts_size += part.size;
    if (is_last) {
        r->keep_alive = r->keeps_alive_whole;
    }
    r->on_part(r->on_part_ctx, part.data != NULL ? part.data : "", part.size, is_last);
}

// The head is whole, and the handler wants the rest as it comes.
static void begin_parts(struct conn *conn)
{
    struct http_request *r = conn->request;
    struct http_server *server = conn->server;
    if (r->is_packed) {
        refuse(conn, 415, "What is taken as it comes must not be packed");
        return;
    }
    r->in_parts = true;
    r->keeps_alive_whole = r->keep_alive;
    r->keep_alive = false; // for an answer before the last part
    if (r->expects_continue) {
        transport_write(conn->transport, "HTTP/1.1 100 Continue\r\n\r\n", 25);
        r->expects_continue = false;
    }
    set_phase(conn, CONN_ANSWERING);
    server->handler(server->ctx, r);
}

static bool wants_parts(const struct conn *conn)
{
    const struct http_server *server = conn->server;
    return !conn->request->in_parts && server->options.wants_parts != NULL &&
           server->options.wants_parts(server->ctx, conn->request);
}

// After bytes were fed. True while the connection can take more.
static bool step_in_parts(struct conn *conn)
{
    struct http_request *r = conn->request;
    if (!r->in_parts) {
        begin_parts(conn);
    }
    if (conn->request == r && conn->phase == CONN_ANSWERING) {
        hand_part(conn);
    }
    return takes_parts(conn) ||
           (conn->phase == CONN_IDLE && transport_queued(conn->transport) <= QUEUE_PAUSE_SIZE);
}

// Takes one step with the request that is being read. Returns false when the connection can take no
// more bytes for now.
static bool feed_step(struct conn *conn, const char *data, size_t size, size_t *ret_used)
{
    struct http_server *server = conn->server;
    bool is_new = conn->request == NULL;
    bool is_known = false;
    if (is_new) {
        if (conn->known != NULL) {
            conn->request = known_head_take(conn->known, &server->options, data, size, ret_used);
        }
        is_known = conn->request != NULL;
        if (!is_known) {
            conn->request = request_new(&server->options);
        }
        conn->request->conn = conn;
        conn->request->env = server->env;
    }
    if (is_known) {
        conn->head_misses = 0;
        return hand_over_request(conn);
    }
    struct http_request *r = conn->request;
    switch (request_feed(r, data, size, ret_used)) {
    case REQUEST_NEEDS_MORE:
        if (r->in_parts || (r->stage == REQUEST_BODY && wants_parts(conn))) {
            return step_in_parts(conn);
        }
        if (r->stage == REQUEST_BODY) {
            set_phase(conn, CONN_BODY);
            if (r->expects_continue && r->body.size == 0) {
                transport_write(conn->transport, "HTTP/1.1 100 Continue\r\n\r\n", 25);
            }
            r->expects_continue = false;
        } else if (conn->phase != CONN_HEAD) {
            set_phase(conn, CONN_HEAD);
        }
        return true;
    case REQUEST_IS_WHOLE:
        if (r->in_parts || wants_parts(conn)) {
            return step_in_parts(conn);
        }
        if (is_new) {
            learn_head(conn, data, *ret_used);
        }
        return hand_over_request(conn);
    case REQUEST_IS_BAD:
        if (r->in_parts) {
            conn_break_later(conn);
            return false;
        }
        refuse(conn, r->bad_status, r->bad_text);
        return false;
    }
    return false;
}

static bool is_at_rest(const struct conn *conn)
{
    return conn->phase == CONN_IDLE || conn->phase == CONN_HEAD || conn->phase == CONN_BODY;
}

// Returns how many of the bytes were used; the rest waits.
static size_t conn_feed(struct conn *conn, const char *data, size_t size)
{
    size_t at = 0;
    bool more = true;
    conn->feeding = true;
    while (more && at < size) {
        size_t used = 0;
        more = feed_step(conn, data + at, size - at, &used);
        at += used;
    }
    conn->feeding = false;
    if (conn->phase == CONN_IDLE && list_is_empty(&conn->timed)) {
        set_phase(conn, CONN_IDLE);
    }
    return at;
}

// After any step: the end of a peer that will send no more.
static void conn_settle(struct conn *conn)
{
    if (!conn->peer_ended || conn->waiting.size > 0) {
        return;
    }
    bool is_cut = conn->phase == CONN_ANSWERING && conn->request != NULL &&
                  conn->request->in_parts && conn->request->stage == REQUEST_BODY;
    if (conn->phase == CONN_HEAD || conn->phase == CONN_BODY || is_cut) {
        conn_destroy(conn); // half a request
    } else if (conn->phase == CONN_IDLE || conn->phase == CONN_CLOSING) {
        if (transport_queued(conn->transport) == 0) {
            conn_destroy(conn);
        } else if (conn->phase == CONN_IDLE) {
            conn_close_in_order(conn);
        }
    }
}

static void feed_waiting(struct conn *conn)
{
    if (conn->waiting.size > 0 && (is_at_rest(conn) || takes_parts(conn)) &&
        transport_queued(conn->transport) <= QUEUE_PAUSE_SIZE) {
        // conn_feed may lead to buf_free(&conn->waiting), so the bytes are taken out first.
        struct buf bytes = conn->waiting;
        conn->waiting = BUF_INIT;
        size_t used = conn_feed(conn, bytes.data, bytes.size);
        if (conn->phase < CONN_CLOSING || conn->phase == CONN_ANSWERING ||
            conn->phase == CONN_UPGRADING) {
            buf_consume(&bytes, used);
            if (bytes.size > 0) {
                CHECK(conn->waiting.size == 0);
                conn->waiting = bytes;
                bytes = BUF_INIT;
            }
        }
        buf_free(&bytes);
    }
    if (conn->phase == CONN_DEAD) {
        return;
    }
    if (!conn->peer_ended && conn->phase != CONN_UPGRADING) {
        transport_read(conn->transport, conn->waiting.size < WAITING_SIZE_MAX);
    }
    conn_settle(conn);
}

static void on_conn_hook(struct env_hook *hook, struct instant now)
{
    (void)now;
    struct conn *conn = CONTAINER_OF(hook, struct conn, hook);
    CHECK(conn->magic == CONN_MAGIC);
    if (conn->phase == CONN_DEAD) {
        conn_free(conn);
    } else if (conn->broken) {
        conn_destroy(conn);
    } else {
        feed_waiting(conn);
    }
}

void conn_answered(struct conn *conn, bool keep_alive)
{
    CHECK(conn->magic == CONN_MAGIC && conn->phase == CONN_ANSWERING);
    struct http_request *r = TAKE_PTR(conn->request);
    if (keep_alive && r->is_of_known_head) {
        known_head_give_back(conn->known, r);
    } else {
        request_free(r);
    }
    if (!keep_alive) {
        conn_close_in_order(conn);
    } else {
        become_idle(conn);
    }
    if (!conn->feeding && (conn->waiting.size > 0 || conn->peer_ended)) {
        env_at_turn_end(conn->server->env, &conn->hook);
    }
}

// ---- what the transport tells ----

static void on_read(void *ctx, const void *data, size_t size)
{
    struct conn *conn = CHECK_CAST(conn, CONN_MAGIC, ctx);
    if (conn->phase == CONN_CLOSING || conn->phase == CONN_LINGER) {
        return;
    }
    size_t used = 0;
    if ((is_at_rest(conn) || takes_parts(conn)) && conn->waiting.size == 0 &&
        transport_queued(conn->transport) <= QUEUE_PAUSE_SIZE) {
        used = conn_feed(conn, data, size);
    }
    if (used < size &&
        (is_at_rest(conn) || conn->phase == CONN_ANSWERING || conn->phase == CONN_UPGRADING)) {
        buf_append(&conn->waiting, (const char *)data + used, size - used);
        if (conn->waiting.size >= WAITING_SIZE_MAX || conn->phase == CONN_UPGRADING) {
            transport_read(conn->transport, false);
        }
        if (is_at_rest(conn) || takes_parts(conn)) {
            // The queue was too long, or bytes were waiting already: look again when it has left.
            env_at_turn_end(conn->server->env, &conn->hook);
        }
    }
}

static void on_end(void *ctx, int code)
{
    struct conn *conn = CHECK_CAST(conn, CONN_MAGIC, ctx);
    bool is_stream = conn->phase == CONN_ANSWERING && conn->request->stream.magic != 0;
    if (code < 0 || is_stream || conn->phase == CONN_LINGER) {
        conn_destroy(conn);
        return;
    }
    conn->peer_ended = true;
    feed_waiting(conn);
}

static void hand_over(struct conn *conn)
{
    struct transport *t = TAKE_PTR(conn->transport);
    // It reads on: to stop and to begin again would tell the kernel twice.
    transport_set_owner(t, NULL, NULL);
    void (*on_upgraded)(void *, struct transport *, const void *, size_t) = conn->on_upgraded;
    struct buf extra AUTO_BUF = conn->waiting;
    conn->waiting = BUF_INIT;
    void *ctx = conn->upgrade_ctx;
    conn->phase = CONN_ANSWERING; // no longer to be told of an end
    conn_destroy(conn);
    on_upgraded(ctx, t, extra.data, extra.size);
}

static void on_drained(void *ctx)
{
    struct conn *conn = CHECK_CAST(conn, CONN_MAGIC, ctx);
    switch (conn->phase) {
    case CONN_UPGRADING:
        hand_over(conn);
        return;
    case CONN_CLOSING:
        if (conn->peer_ended) {
            conn_destroy(conn);
        } else {
            set_phase(conn, CONN_LINGER);
        }
        return;
    case CONN_ANSWERING:
        if (conn->file != NULL) {
            file_sender_drained(conn->file);
        } else if (conn->blob != NULL) {
            blob_sender_drained(conn->blob);
        } else if (conn->request != NULL && conn->request->stream.on_drained != NULL) {
            struct http_stream *s = &conn->request->stream;
            s->on_drained(s->ctx, s);
        }
        return;
    case CONN_DEAD:
    case CONN_LINGER:
        return;
    default:
        feed_waiting(conn);
    }
}

static const struct transport_callbacks conn_callbacks = {
    .on_read = on_read,
    .on_end = on_end,
    .on_drained = on_drained,
};

void conn_new(struct http_server *server, struct transport *transport)
{
    struct conn *conn = mem_zalloc(sizeof(*conn));
    conn->magic = CONN_MAGIC;
    conn->server = server;
    conn->transport = transport;
    list_init(&conn->timed);
    list_init(&conn->hook.link);
    conn->hook.run = on_conn_hook;
    list_append(&server->conns, &conn->all);
    server->conn_count++;
    server->holders++;
    set_phase(conn, CONN_IDLE);
    transport_set_owner(transport, &conn_callbacks, conn);
    transport_read(transport, true);
}

void conn_time_out(struct conn *conn)
{
    size_t queued = transport_queued(conn->transport);
    switch (conn->phase) {
    case CONN_HEAD:
    case CONN_BODY:
        refuse(conn, 408,
               conn->phase == CONN_HEAD ? "The head did not come in time"
                                        : "The body did not come in time");
        return;
    case CONN_IDLE:
    case CONN_CLOSING:
        if (queued > 0 && queued < conn->queued_then) {
            set_phase(conn, conn->phase); // slow, but it reads
            return;
        }
        conn_destroy(conn);
        return;
    default:
        conn_destroy(conn);
    }
}

// ---- what the answers need ----

struct transport *conn_transport(struct conn *conn)
{
    CHECK(conn->magic == CONN_MAGIC && conn->phase != CONN_DEAD);
    return conn->transport;
}

const char *conn_date(struct conn *conn)
{
    return server_date(conn->server);
}

bool conn_send_empty_answer(struct conn *conn, int status)
{
    struct http_server *server = conn->server;
    server_date(server); // drops what is of another second
    if (server->empty_size == 0 || server->empty_status != status) {
        return false;
    }
    transport_write(conn->transport, server->empty_answer, server->empty_size);
    return true;
}

void conn_keep_empty_answer(struct conn *conn, int status, const char *data, size_t size)
{
    struct http_server *server = conn->server;
    if (size <= sizeof(server->empty_answer)) {
        memcpy(server->empty_answer, data, size);
        server->empty_size = size;
        server->empty_status = status;
    }
}

size_t conn_queue_size_max(const struct conn *conn)
{
    return conn->server->options.queue_size_max;
}

void conn_set_file(struct conn *conn, struct file_sender *file)
{
    conn->file = file;
}

void conn_set_blob(struct conn *conn, struct blob_sender *sender)
{
    conn->blob = sender;
}

bool conn_has_blob(const struct conn *conn)
{
    return conn->blob != NULL;
}

void conn_upgrade(struct conn *conn,
                  void (*on_upgraded)(void *ctx, struct transport *transport, const void *extra,
                                      size_t size),
                  void *ctx)
{
    CHECK(conn->phase == CONN_ANSWERING);
    conn->on_upgraded = on_upgraded;
    conn->upgrade_ctx = ctx;
    conn->request = request_free(conn->request);
    set_phase(conn, CONN_UPGRADING);
}
