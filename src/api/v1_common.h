// SPDX-License-Identifier: Apache-2.0
//
// POST /api/v1 of both daemons: the checks in Mesos' order, the dispatch by a table with one row
// per call, and the calls that both have. Calls and responses of the two are different types with
// the same shape: `type` (optional, an enum), and for each call that carries something a member
// called like the type in small letters. Whatever is done here for both goes by these names.

#pragma once

#include "api/api.h"

struct api_v1;

// A call that passed the checks. Lives as long as the HTTP request, in its arena.
struct api_v1_request {
    const struct api_v1 *api;
    void *ctx; // the daemon's, as of struct api_v1
    struct http_request *http;
    const char *name;       // "GET_HEALTH"
    ProtobufCMessage *call; // whole
    ProtobufCMessage *body; // the member that belongs to the type; NULL when there is none
    enum content_type type; // to answer in
    bool recordio;          // a stream is to be application/recordio, with `type` inside
};

struct api_v1_row {
    const char *name; // of the type
    // Answers the request, now or later. NULL: 501.
    void (*handle)(struct api_v1_request *q);
    // What is demanded beyond the presence of the member. NULL: nothing.
    int (*validate)(const struct api_v1_request *q, struct error *err);
    bool is_body_optional; // the call's member may be left out
    bool is_stream;        // is answered by a stream
};

// One daemon's API; made once, as a constant or a member of the daemon's record.
struct api_v1 {
    const char *call_name; // "master::Call"
    const ProtobufCMessageDescriptor *call;
    const ProtobufCMessageDescriptor *response;
    const struct api_v1_row *rows; // those of the daemon; they go before the common ones
    size_t row_count;
    struct api_common *common;
    // Answers itself when it returns false (no leader, no recovery). NULL: always ready.
    bool (*is_ready)(void *ctx, struct http_request *r);
    void *ctx;
};

// Handles a request to /api/v1.
void api_v1_handle(const struct api_v1 *api, struct http_request *r);

// The member of the Response that belongs to the call, initialised, in the request's arena.
ProtobufCMessage *api_v1_make_body(struct api_v1_request *q);
// 200 with a Response of the call's type and that member.
void api_v1_respond(struct api_v1_request *q, ProtobufCMessage *body);
// 200 without a body.
void api_v1_respond_ok(struct api_v1_request *q);
// An error as Mesos writes it: text/plain.
void api_v1_refuse(struct api_v1_request *q, int status, const struct error *err);

// ---- members by name, for what is written once for both daemons ----
// Where the member's value lies (for texts and messages: the pointer to it). Aborts when the type
// has no such member.
void *api_v1_member(const ProtobufCMessage *message, const char *name);
// Whether an optional scalar is set.
bool api_v1_has(const ProtobufCMessage *message, const char *name);
// Marks it as set.
void api_v1_set_has(ProtobufCMessage *message, const char *name);
// Puts `count` pointers to messages into a repeated member.
void api_v1_set_list(ProtobufCMessage *message, const char *name, void *values, size_t count);

// ---- v1_calls.c: GET_HEALTH, GET_FLAGS, GET_VERSION, GET_METRICS, the logging level, files ----
extern const struct api_v1_row api_v1_common_rows[];
extern const size_t api_v1_common_row_count;
