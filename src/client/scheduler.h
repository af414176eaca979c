// SPDX-License-Identifier: Apache-2.0
//
// The framework developer's side of the v1 scheduler API. It subscribes, follows redirects to the
// leading master, notices a master that went silent, subscribes again with back-off, and sends
// calls. It does not acknowledge updates or answer offers: that is the framework's business.
//
//                 new                    200                  stream lost, call unanswered
//   (start) ──> SUBSCRIBING ─────────> SUBSCRIBED ──────────────────────┐
//                 ^  │ 307: at once      │ ERROR event                  │
//        back-off │  │ refused for good  v                              │
//              WAITING │             CLOSED <── scheduler_close         │
//                 ^    └───────────────^                                │
//                 └─────────────────────────────────────────────────────┘

#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "env/env.h"
#include "proto/scheduler.pb-c.h"
#include "wire/content.h"

struct scheduler;

enum scheduler_state {
    SCHEDULER_WAITING,     // for the back-off to pass
    SCHEDULER_SUBSCRIBING, // SUBSCRIBE was sent
    SCHEDULER_SUBSCRIBED,  // the stream of events is open
    SCHEDULER_CLOSED,      // for good
};

struct scheduler_options {
    const char *master; // as address_parse_master takes it, or a ZooKeeper URL (election.h)
    enum content_type content;
    const Mesos__V1__FrameworkInfo *framework_info; // copied; with `id`: subscribes under it
    const char *principal;                          // with secret: HTTP Basic; NULL: none
    const char *secret;
    int64_t backoff_min_ns; // 0: 100 ms; doubles at each failure
    int64_t backoff_max_ns; // 0: 5 s
};

struct scheduler_callbacks {
    // One event, in order; SUBSCRIBED included. The message lives until the callback returns.
    void (*on_event)(void *ctx, const Mesos__V1__Scheduler__Event *event);
    // The stream was lost, or a try to subscribe failed; it will be tried again.
    void (*on_disconnected)(void *ctx, const struct error *why);
    // The master will not have this framework (a 4xx to SUBSCRIBE, or an ERROR event). Nothing is
    // tried again.
    void (*on_refused)(void *ctx, const struct error *why);
    // A call was answered with something else than 200 or 202. May be NULL.
    void (*on_call_refused)(void *ctx, Mesos__V1__Scheduler__Call__Type type, int status,
                            const char *text);
    // Every call that was sent has been answered. May be NULL.
    void (*on_calls_answered)(void *ctx);
};

// Starts at once; callbacks come from the loop, never from within a call here. scheduler_free may
// not be called from a callback.
int scheduler_new(struct env *env, const struct scheduler_options *options,
                  const struct scheduler_callbacks *callbacks, void *ctx,
                  struct scheduler **ret_scheduler, struct error *err);
struct scheduler *scheduler_free(struct scheduler *scheduler);

// Sends a call; `framework_id` is filled in. -ENOTCONN while not subscribed: the call is dropped,
// since what it is about (offers, above all) may be gone by the next subscription.
int scheduler_send(struct scheduler *scheduler, const Mesos__V1__Scheduler__Call *call,
                   struct error *err);

enum scheduler_state scheduler_get_state(const struct scheduler *scheduler);
const char *scheduler_framework_id(const struct scheduler *scheduler); // "" before the first one
// Calls that were sent and not answered yet.
unsigned scheduler_pending(const struct scheduler *scheduler);
