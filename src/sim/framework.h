// SPDX-License-Identifier: Apache-2.0
//
// What a framework's two files share: framework.c has its connections and what it hears,
// framework_act.c what it does.

#pragma once

#include "sim/sim.h"

#define SCHEDULER_CALL(NAME) MESOS__V1__SCHEDULER__CALL__TYPE__##NAME
#define TASK(NAME) MESOS__V1__TASK_STATE__TASK_##NAME

enum { CALM_TASKS = 3 }; // that must run to their end once the world is calm

struct fw_task {
    char *id, *agent_id, *executor_id;
    Mesos__V1__TaskState state;
    bool is_over;  // as far as the framework can know
    bool is_final; // its own end came, by a status update
    bool is_calm;  // launched since the world is calm
    bool is_service;
};

// One event's offers, in its arena.
struct fw_batch {
    struct sim *sim;
    struct arena *arena;
    size_t left; // offers that are kept
};

struct fw_offer {
    struct list link;
    struct fw_batch *batch;
    Mesos__V1__Offer *offer; // the framework's to change
    int64_t since;
};

struct fw_ack {
    struct list link;
    struct timer timer;
    struct framework_host *framework;
    char *agent_id, *task_id;
    uint8_t uuid[UUID_SIZE];
};

void framework_call(struct framework_host *f, Mesos__V1__Scheduler__Call *call);
void framework_free_offer(struct fw_offer *offer);
void framework_begin_anew(struct framework_host *f);
// An end that nobody listens at any more.
void framework_deaf_opened(void *ctx);
void framework_deaf_frame(void *ctx, const void *data, size_t size);

// ---- framework_operate.c ----
// One on what is offered, which has that less afterwards; NULL: none.
Mesos__V1__Offer__Operation *framework_make_operation(struct framework_host *f,
                                                      Mesos__V1__Offer *offer);
// One on `from`, which is one of `all` and has that less afterwards; NULL: none makes sense.
Mesos__V1__Offer__Operation *operation_make_of(struct sim *sim, Mesos__V1__Resource *const *all,
                                               size_t count, Mesos__V1__Resource *from,
                                               const char *role, const char *volume_id,
                                               bool is_shared);
bool framework_is_dynamic(const Mesos__V1__Resource *r); // reserved by an operation
// Whether it has something that is to be given back in the end.
bool framework_has_reserved(const struct framework_host *f, const Mesos__V1__Offer *offer);
void framework_take_operation(struct framework_host *f, const Mesos__V1__OperationStatus *status);

// ---- framework_act.c ----
void framework_act(struct timer *timer, struct instant now);
void framework_use_offers(struct framework_host *f);
