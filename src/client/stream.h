// SPDX-License-Identifier: Apache-2.0
//
// A stream of events: one POST whose answer is RecordIO that stays open. Both APIs subscribe so.

#pragma once

#include <stddef.h>

#include "base/error.h"
#include "client/address.h"
#include "env/env.h"
#include "net/http.h"
#include "wire/content.h"

struct event_stream;

struct event_stream_order {
    const struct address *address;
    const char *target;                           // "/api/v1/scheduler"
    const char *authorization;                    // header value, or NULL
    enum content_type content;                    // of the request and of the events
    const ProtobufCMessage *call;                 // SUBSCRIBE
    const ProtobufCMessageDescriptor *descriptor; // of the events
};

struct event_stream_callbacks {
    // The answer is 200; event_stream_header may be asked now.
    void (*on_open)(void *ctx, struct event_stream *stream);
    // One event; the message lives until the callback returns.
    void (*on_event)(void *ctx, struct event_stream *stream, const ProtobufCMessage *event);
    // The last callback. `status` is the answer's, 0 when none came. `err` says why the stream is
    // no more; for another status than 200 its text is the answer's. `location` is the header, or
    // "". The stream may be freed from within this one (not from the others).
    void (*on_end)(void *ctx, struct event_stream *stream, int status, const char *location,
                   const struct error *err);
};

// Everything of the order is copied.
struct event_stream *event_stream_new(struct env *env, const struct event_stream_order *order,
                                      const struct event_stream_callbacks *callbacks, void *ctx);
// No callback comes after it. NULL is fine; returns NULL.
struct event_stream *event_stream_free(struct event_stream *stream);
const char *event_stream_header(const struct event_stream *stream, const char *name);
