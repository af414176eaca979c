// SPDX-License-Identifier: Apache-2.0
//
// The executor developer's side of the v1 executor API. It subscribes with the agent that its
// environment names, keeps each task until one of its updates was acknowledged and each update
// until it was acknowledged itself, and tells both to the agent at each new subscription. With
// checkpointing it comes back to a restarted agent until the recovery timeout has passed; without,
// it ends when the agent goes.
//
//   (start) ──> SUBSCRIBING ── 200 ──> SUBSCRIBED
//                 ^   │ 503, 404, lost     │ lost
//        back-off │   v                    │
//               WAITING <──────────────────┤ (checkpoint, or not yet refused)
//                 └──> ENDED <─────────────┘ (no checkpoint, or the recovery timeout has passed)

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "client/address.h"
#include "env/env.h"
#include "proto/executor.pb-c.h"
#include "wire/content.h"

// What the agent tells an executor through its environment. The strings belong to the environment.
struct executor_environment {
    const char *framework_id;         // MESOS_FRAMEWORK_ID
    const char *executor_id;          // MESOS_EXECUTOR_ID
    struct address agent;             // MESOS_AGENT_ENDPOINT, or the end of MESOS_SLAVE_PID
    const char *directory;            // MESOS_DIRECTORY, or NULL
    const char *sandbox;              // MESOS_SANDBOX, or NULL
    const char *token;                // MESOS_EXECUTOR_AUTHENTICATION_TOKEN, or NULL
    bool is_local;                    // MESOS_LOCAL
    bool checkpoint;                  // MESOS_CHECKPOINT is "1"
    int64_t recovery_timeout_ns;      // MESOS_RECOVERY_TIMEOUT; asked for with checkpoint
    int64_t backoff_max_ns;           // MESOS_SUBSCRIPTION_BACKOFF_MAX; asked for likewise
    int64_t shutdown_grace_period_ns; // MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD; 5 s when not there
};

// -EINVAL with Mesos' text ("Expecting 'MESOS_FRAMEWORK_ID' to be set in the environment").
int executor_environment_read(char *const environment[], struct executor_environment *ret,
                              struct error *err);

struct executor;

struct executor_callbacks {
    // One event, in order. The message lives until the callback returns. An acknowledged update and
    // its task were already forgotten.
    void (*on_event)(void *ctx, const Mesos__V1__Executor__Event *event);
    // It was subscribed and is not any more; it goes on trying, until a SUBSCRIBED event or
    // on_ended. May be NULL.
    void (*on_disconnected)(void *ctx);
    // The agent is gone for good, or will not have this executor: shut down. The last callback.
    void (*on_ended)(void *ctx, const struct error *why);
};

// Starts at once; callbacks come from the loop, never from within a call here. `environment` is
// copied, its strings are not. executor_free may not be called from a callback.
struct executor *executor_new(struct env *env, const struct executor_environment *environment,
                              enum content_type content, const struct executor_callbacks *callbacks,
                              void *ctx);
struct executor *executor_free(struct executor *executor);

// Sends an update, now or after the next subscription, until it is acknowledged. Filled in when
// unset: uuid, timestamp, source (SOURCE_EXECUTOR), executor_id. The status is copied.
void executor_update(struct executor *executor, const Mesos__V1__TaskStatus *status);
// Bytes to the scheduler, best effort; -ENOTCONN while not subscribed.
int executor_message(struct executor *executor, const void *data, size_t size, struct error *err);

// Updates that were not acknowledged yet.
size_t executor_unacknowledged(const struct executor *executor);
