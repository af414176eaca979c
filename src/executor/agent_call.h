// SPDX-License-Identifier: Apache-2.0
//
// One call to an agent's operator API (POST /api/v1), on a connection of its own, since an answer
// may take as long as a container lives.

#pragma once

#include <stdint.h>

#include "base/error.h"
#include "client/address.h"
#include "env/env.h"
#include "proto/agent.pb-c.h"

struct agent_call;

struct agent_call_order {
    const struct address *address;
    const char *authorization; // header value, or NULL
    const Mesos__V1__Agent__Call *call;
    bool is_stream; // the answer is one, and only its end counts
};

// What came. The last callback; the call may be freed from within it.
struct agent_call_answer {
    int status;                                 // of HTTP; 0: none came, and `text` says why
    const char *text;                           // of an answer other than 200: its first line
    const Mesos__V1__Agent__Response *response; // of a 200 with a body; NULL: without
};
typedef void agent_call_fn(void *ctx, struct agent_call *call,
                           const struct agent_call_answer *answer);

struct agent_call *agent_call_send(struct env *env, const struct agent_call_order *order,
                                   agent_call_fn *on_answer, void *ctx);
// No callback comes after it. NULL is fine; returns NULL.
struct agent_call *agent_call_free(struct agent_call *call);
