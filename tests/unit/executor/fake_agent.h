// SPDX-License-Identifier: Apache-2.0
//
// An agent on src/net's server that does what the test says: it keeps what it is asked until the
// test takes it, and answers when the test answers. Functions that wait run the loop, for
// FAKE_PATIENCE_NS at most.

#pragma once

#include "net/http.h"
#include "proto/agent.pb-c.h"
#include "proto/executor.pb-c.h"
#include "wire/content.h"

#define FAKE_PATIENCE_NS (30 * NS_PER_S)

enum {
    FAKE_CALLS_MAX = 64,
    FAKE_ARRIVED = 1000, // stops the loop, and who waits looks whether that was what it waits for
};

// What was asked and not taken yet. A container is called by what its task's command says.
struct fake_call {
    const char *name;                               // of the call's task
    const Mesos__V1__Agent__Call *call;             // of /api/v1, or NULL
    const Mesos__V1__Executor__Call *executor_call; // of /api/v1/executor, or NULL
    struct http_request *request;                   // without an answer; NULL: it has one
    char authorization[64];
};

struct fake_agent {
    struct env *env;
    struct http_server *server;
    uint16_t port;
    struct arena *arena;                      // owns all calls
    struct fake_call waiting[FAKE_CALLS_MAX]; // oldest first
    size_t waiting_count;
    const char *containers[FAKE_CALLS_MAX][2]; // id, name
    size_t container_count;
    struct http_stream *stream; // of the last SUBSCRIBE
    enum content_type content;  // of the last call
    bool keeps_updates;         // they are not acknowledged
    bool holds_updates;         // nor even answered
    bool stopped;               // the executor stopped the loop
    int status;                 // with this
};

void fake_agent_open(struct fake_agent *agent, struct env *env);
void fake_agent_close(struct fake_agent *agent);

// Waits for that call and takes it.
struct fake_call fake_agent_take(struct fake_agent *agent, Mesos__V1__Agent__Call__Type type,
                                 const char *name);
struct fake_call fake_agent_take_executor(struct fake_agent *agent,
                                          Mesos__V1__Executor__Call__Type type);
// The next update; it is of that task.
const Mesos__V1__TaskStatus *fake_agent_take_update(struct fake_agent *agent, const char *name);
// Whether nothing like it waits.
bool fake_agent_has(const struct fake_agent *agent, Mesos__V1__Agent__Call__Type type,
                    const char *name);
// Until it is so; whatever makes it so stops the loop with FAKE_ARRIVED.
void fake_agent_wait(struct fake_agent *agent, bool (*is_done)(void *ctx), void *ctx);
// Waits until the executor stops the loop; returns its status.
int fake_agent_wait_stop(struct fake_agent *agent);

// 200 with a response in JSON (NULL: with an empty body), or another status with a text.
void fake_agent_answer(struct fake_call *call, const char *json);
void fake_agent_accept(struct fake_call *call); // 202
void fake_agent_refuse(struct fake_call *call, int status, const char *text);
void fake_agent_acknowledge(struct fake_agent *agent, const Mesos__V1__TaskStatus *status);
// An event in JSON.
void fake_agent_send(struct fake_agent *agent, const char *json);
// Takes SUBSCRIBE and opens the stream with SUBSCRIBED; `capabilities` in JSON.
struct fake_call fake_agent_subscribe(struct fake_agent *agent, const char *capabilities);
void fake_agent_send_bytes(struct fake_agent *agent, const void *data, size_t size);
// Nobody listens any more, and all connections end.
void fake_agent_hang_up(struct fake_agent *agent);
// The connection of the last SUBSCRIBE breaks.
void fake_agent_cut(struct fake_agent *agent);
