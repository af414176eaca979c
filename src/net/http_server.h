// SPDX-License-Identifier: Apache-2.0
//
// What server.c (listening, limits of time) and conn.c (one connection) share.

#pragma once

#include "net/http_internal.h"

#define SERVER_MAGIC UINT32_C(0x48545356)
#define CONN_MAGIC UINT32_C(0x4854434e)

// What a connection waits for. Each phase with a limit of time has a queue in the server, ordered
// by the moment of entering: as all in a queue have the same limit, only its first can be due.
//
//   IDLE -> HEAD -> BODY -> ANSWERING -> IDLE      one request after another
//   any  -> CLOSING -> LINGER -> gone              our last answer is queued; then sent
//   ANSWERING -> UPGRADING -> gone                 the transport gets another owner
enum conn_phase {
    CONN_IDLE,    // for a request
    CONN_HEAD,    // for the rest of a head
    CONN_BODY,    // for more of a body
    CONN_CLOSING, // for the last answer to leave
    CONN_LINGER,  // for the peer to close, so that what it still sends does not reset the answer
    CONN_TIMED_COUNT,
    CONN_ANSWERING = CONN_TIMED_COUNT, // for the handler
    CONN_UPGRADING,
    CONN_DEAD, // for its memory to go at the turn's end
};

struct conn {
    uint32_t magic;
    enum conn_phase phase;
    bool feeding;    // conn_feed is on the stack
    bool peer_ended; // the peer sent its FIN
    bool broken;     // conn_break_later
    struct http_server *server;
    struct transport *transport;
    struct http_request *request; // being read, or with the handler
    struct file_sender *file;
    struct blob_sender *blob;
    struct known_head *known; // of a request before this one, or NULL
    unsigned head_misses;     // requests in a row that had another one
    struct buf waiting;       // bytes behind the request that is being answered
    struct list all;          // in server->conns
    struct list timed;        // in server->phases[phase]
    int64_t since;            // when it entered the phase (monotonic)
    size_t queued_then;       // bytes queued at that moment, to see progress
    struct env_hook hook;
    void (*on_upgraded)(void *ctx, struct transport *transport, const void *extra, size_t size);
    void *upgrade_ctx;
};

enum { LISTENER_COUNT_MAX = 16, EMPTY_ANSWER_MAX = 128 };

struct http_server {
    uint32_t magic;
    bool closing;
    struct env *env;
    struct http_options options;
    http_handler_fn *handler;
    void *ctx;
    uv_tcp_t *listeners[LISTENER_COUNT_MAX];
    size_t listener_count;
    size_t holders; // listeners and connections whose memory is not gone yet
    size_t conn_count;
    uint64_t fd_limit;     // RLIMIT_NOFILE, as it was at the beginning
    size_t refused_count;  // connections since that was told,
    int64_t refusals_told; // at this moment (monotonic); 0: never
    struct list conns;
    struct list phases[CONN_TIMED_COUNT];
    struct timer timer; // the earliest limit of time
    int64_t date_second;
    char date[32];
    // What conn_keep_empty_answer kept; of date_second, 0: nothing.
    int empty_status;
    size_t empty_size;
    char empty_answer[EMPTY_ANSWER_MAX];
};

// server.c
void server_release(struct http_server *server);
const char *server_date(struct http_server *server);
int64_t server_phase_limit(const struct http_server *server, enum conn_phase phase);
void server_watch_phase(struct http_server *server, enum conn_phase phase);

// conn.c
void conn_new(struct http_server *server, struct transport *transport);
// Closes at once; request, stream or upgrade are told.
void conn_destroy(struct conn *conn);
// The phase's limit of time is over.
void conn_time_out(struct conn *conn);
