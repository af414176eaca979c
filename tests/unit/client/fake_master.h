// SPDX-License-Identifier: Apache-2.0
//
// A master that follows a script, on src/net's server: how the scheduler client meets faults.

#pragma once

#include "client/scheduler.h"
#include "net/http.h"

enum { FAKE_CALLS_MAX = 64, FAKE_SCRIPT_MAX = 16 };

// What to do with the next SUBSCRIBE.
enum fake_step {
    FAKE_SUBSCRIBED,   // 200 and a SUBSCRIBED event
    FAKE_SILENT,       // likewise; its heartbeats, said to come every 50 ms, never do
    FAKE_EMPTY,        // 200, then the stream ends
    FAKE_GARBAGE,      // 200 and a record that is no message
    FAKE_BAD_LENGTH,   // 200 and a length that is no number
    FAKE_ERROR,        // 200, SUBSCRIBED, then an ERROR event
    FAKE_REDIRECT,     // 307 to `leader_port`
    FAKE_BAD_REDIRECT, // 307 with a Location that names no host
    FAKE_UNAVAILABLE,  // 503
    FAKE_UNAUTHORIZED, // 401
};

struct fake_master {
    struct env *env;
    struct http_server *server;
    uint16_t port;
    uint16_t leader_port;
    enum fake_step script[FAKE_SCRIPT_MAX];
    size_t script_size;
    size_t script_at;
    enum content_type content;  // of the last SUBSCRIBE
    struct http_stream *stream; // of the last SUBSCRIBE
    struct arena *arena;        // of `calls`
    Mesos__V1__Scheduler__Call *calls[FAKE_CALLS_MAX];
    char stream_ids[FAKE_CALLS_MAX][64]; // header of each call
    char authorizations[FAKE_CALLS_MAX][64];
    size_t call_count;
    int call_status; // for calls other than SUBSCRIBE
};

void fake_master_open(struct fake_master *master, struct env *env, const enum fake_step *script,
                      size_t script_size);
void fake_master_close(struct fake_master *master);
void fake_master_send(struct fake_master *master, const Mesos__V1__Scheduler__Event *event);
