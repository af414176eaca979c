// SPDX-License-Identifier: Apache-2.0
//
// What the files about containers share: container.c has their life, executor.c what runs in them.

#pragma once

#include "sim/sim.h"

// What an executor was told or says, on its way.
struct mail {
    struct list link;
    struct timer timer;
    struct container *container;
    unsigned session; // of the stream that an event came over
    bool is_call;
    struct buf bytes;
};

// What the core holds for an open stream.
struct exec_stream {
    struct list link;
    struct container *container;
    bool is_open;
    unsigned session;
};

struct exec_update {
    struct list link;
    uint8_t uuid[UUID_SIZE];
    struct buf bytes; // of the Update
    bool is_sent;     // ... over this stream, or named when it was opened
};

struct exec_task {
    struct list link;
    struct container *container;
    char *id;
    struct buf info;      // the TaskInfo
    bool is_acknowledged; // any update of it was
    bool has_ended;       // its terminal update was made
    Mesos__V1__TaskState next;
    struct timer timer;
    struct list updates; // those that were not acknowledged
    int64_t run_ns;      // 0: until it is killed
};

struct container {
    struct list link;
    struct agent_host *host;
    char *id, *framework_id, *executor_id;
    bool is_command, keeps_on; // ... when its stream breaks
    bool outlives_agent;
    bool is_launched, is_alive, is_ending, is_shutting_down;
    bool has_ended; // ... and the agent was not told, or that is not durable yet
    bool is_told;
    bool never_subscribes, ignores_shutdown, ignores_kill;
    unsigned session;
    struct exec_stream *stream; // the newest one
    bool is_subscribed;
    struct list streams, mails, tasks;
    struct timer life; // its launch, then its end
    struct timer subscribe, idle;
    int64_t last_due[2];
    struct agent_termination termination;
    struct resources *limited;
};

// ---- container.c ----
// Whether something goes wrong with it now: never once the world is calm.
bool container_fails(const struct container *c, double probability);
void container_end_after(struct container *c, int64_t delay_ns, int status);
void container_die(struct container *c, int status); // soon

// ---- executor.c ----
void executor_subscribe(struct timer *timer, struct instant now); // of `subscribe`
void executor_idle(struct timer *timer, struct instant now);      // of `idle`: it was for long
void executor_free_mail(struct mail *mail);
void executor_free_task(struct exec_task *task);
