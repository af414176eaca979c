// SPDX-License-Identifier: Apache-2.0
//
// A small HTTP/1.1 client towards a Mesos API: one connection, requests one after another, answers
// whole or streamed. (The rest of the world is reached with libcurl, see src/container/fetcher.h.)

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "env/env.h"
#include "net/http.h"

struct http_client;
struct http_call;

struct http_call_options {
    const char *method;                // "POST"
    const char *target;                // "/api/v1/scheduler"
    const struct http_header *headers; // Host, Content-Length are added
    size_t header_count;
    const void *body; // copied
    size_t body_size;
    // To the answer's head, of a peer that is silent: it begins anew while answers to earlier calls
    // come. 0: 30 s.
    int64_t timeout_ns;
};

struct http_call_callbacks {
    // The head. Header values are valid during the call.
    void (*on_head)(void *ctx, struct http_call *call, int status);
    // Body bytes as they arrive, chunk framing removed.
    void (*on_data)(void *ctx, struct http_call *call, const void *data, size_t size);
    // The last callback: err is NULL when the answer ended as it should. The call is gone after it.
    void (*on_end)(void *ctx, struct http_call *call, const struct error *err);
};

// Connects when the first call is made, again when the connection was lost. ip or host name.
struct http_client *http_client_new(struct env *env, const char *host, uint16_t port);
// Up to `under_way_max` calls (1 until then) are sent without waiting for the answers of those
// before them, on a connection that has answered once. When it breaks, those that were sent end
// with an error: what the peer has done of them is unknown.
void http_client_pipeline(struct http_client *c, size_t under_way_max);
struct http_client *http_client_free(struct http_client *c); // running calls end without callback
struct http_call *http_client_send(struct http_client *c, const struct http_call_options *options,
                                   const struct http_call_callbacks *callbacks, void *ctx);
// Reads no more of the connection until it is told to again: what the peer sends waits with it.
void http_client_pause(struct http_client *c, bool is_paused);
const char *http_call_header(const struct http_call *call, const char *name); // in on_head
void http_call_cancel(struct http_call *call);                                // no further callback
// The local address of the connection, "" before it stands.
const char *http_client_local_ip(const struct http_client *c);
