// SPDX-License-Identifier: Apache-2.0
//
// What schedulers and executors of the library have in common: a loop of their own, waking it from
// elsewhere, errors in the public form, and JSON that users add to.

#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "env/env.h"
#include "wire/json.h"
#include "wire/wire.h"
#include <mesos/message.h>

struct host {
    struct env *env;
    uv_async_t *async; // its memory goes with its closing
    void (*woken)(void *ctx);
    void *ctx;
};

int host_open(struct host *host, void (*woken)(void *ctx), void *ctx, struct error *err);
// Everything else on the loop is closed before.
void host_close(struct host *host);
void host_wake(struct host *host); // from any thread, and from a signal's handler

// Hands an error over; returns `r`, also when `to` is NULL.
int host_fail(struct mesos_error *to, int r, const struct error *err);

// Copies a caller's struct, which may be older (shorter) or newer than ours: its first member is
// its size. What it does not have is zero.
void host_copy(void *to, size_t to_size, const void *from);
// `more` is a JSON object, or NULL: its members are put behind those that `w`, whose object is
// open, has written; the last of two with one name counts. -EINVAL: it is no object.
int host_put_more(struct json_writer *w, const char *more, const char *what, struct error *err);
const struct mesos_message *host_message(const void *message); // a protobuf-c message as public one
