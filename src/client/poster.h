// SPDX-License-Identifier: Apache-2.0
//
// Calls beside the stream of events: POSTs on one connection, answered in order.

#pragma once

#include "base/error.h"
#include "client/address.h"
#include "env/env.h"
#include "wire/content.h"

struct poster;

struct poster_order {
    const struct address *address;
    const char *target;
    const char *authorization; // header value, or NULL
    const char *stream_id;     // Mesos-Stream-Id, or NULL
    enum content_type content;
};

// The answer to one call: the `tag` that it was sent with, its status (0 when none came) and its
// text, one line. When no answer came `text` says why.
typedef void poster_answer_fn(void *ctx, int tag, int status, const char *text);

struct poster *poster_new(struct env *env, const struct poster_order *order);
// Calls that were not answered are forgotten without callback. NULL is fine; returns NULL. Not from
// within an answer.
struct poster *poster_free(struct poster *poster);
// `on_answer` may be NULL.
void poster_send(struct poster *poster, const ProtobufCMessage *call, int tag,
                 poster_answer_fn *on_answer, void *ctx);
