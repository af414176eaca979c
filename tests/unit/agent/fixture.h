// SPDX-License-Identifier: Apache-2.0
//
// An agent core with effects that are only noted down, and a master and executors that speak JSON.

#pragma once

// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include "agent/agent.h"
#include "agent/state.h"

enum { NOTES_MAX = 4096 };

struct fixture {
    struct agent *agent;
    struct arena *arena; // what was noted lives here
    struct instant now;
    Meseta__Link__ToMaster *sent[NOTES_MAX];
    size_t sent_count;
    Mesos__V1__Executor__Event *events[NOTES_MAX];
    void *event_streams[NOTES_MAX];
    size_t event_count;
    const char *launched[NOTES_MAX]; // container ids
    const char *launched_sandbox;    // of the last one
    const char *launched_user;
    char **launched_environment;
    double launched_cpus;
    struct hard_limits launched_limits;
    bool is_launched_command_task;
    Mesos__V1__CommandInfo *launched_command;
    size_t launched_count;
    const char *destroyed[NOTES_MAX];
    size_t destroyed_count;
    double updated_cpus; // of the last container_update
    struct hard_limits updated_limits;
    size_t updated_count;
    const char *removed[NOTES_MAX];
    size_t removed_count;
    const char *volumes_made[NOTES_MAX];
    size_t volumes_made_count;
    const char *volumes_removed[NOTES_MAX];
    size_t volumes_removed_count;
    const char *volumes_seen; // "container path=path ..." of the last launch or update
    const char *refuse_volume;
    size_t closed_count, reconnect_count, shut_down_count;
    const char *refuse_launch; // text of a refusal, or NULL
    const char *refuse_update;
    struct map kept;                              // key -> struct buf, what was to be written down
    size_t kept_count;                            // how often
    bool is_checkpointing;                        // of framework F
    const char *boot_id, *resources, *attributes; // of the next agent that is made
    bool is_rebooted;                             // f_restart found so
};

int fixture_setup(void **state);
int fixture_teardown(void **state);

// Another process: a new agent that recovers what was kept. The containers are the caller's to
// report, then agent_recovery_start.
int f_restart(struct fixture *f, const struct agent_recovery *how, struct error *err);
struct agent_executor *f_executor(struct fixture *f, const char *executor_id); // NULL: none
struct agent_task *f_task(struct fixture *f, const char *task_id);

// printf with ' for ": f_receive(f, "{'type':'PING'}").
void f_receive(struct fixture *f, const char *format, ...) __attribute__((format(printf, 2, 3)));
void f_register(struct fixture *f);
void f_advance(struct fixture *f, int64_t ns); // runs the timers on the way
// A command task of framework "F", 1 cpu and 100 MB; `more` is put into the TaskInfo ("" for none).
void f_run_task(struct fixture *f, const char *task_id, const char *more);
// A task of the custom executor `executor_id`, which has 0.5 cpus.
void f_run_custom(struct fixture *f, const char *task_id, const char *executor_id);
// The same, with the master's number for the executor, which is a new one.
void f_run_instance(struct fixture *f, const char *task_id, const char *executor_id,
                    unsigned instance);
// The status of agent_check_call; the call is acted on when that is 0.
int f_call(struct fixture *f, void *stream, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int f_subscribe(struct fixture *f, const char *executor_id, void *stream);
int f_update(struct fixture *f, const char *executor_id, const char *task_id, const char *state,
             int uuid);                                     // uuid: 0 to 99
void f_acknowledge(struct fixture *f, const char *task_id); // the last update of that task
// The container of the last launch ends.
void f_terminate(struct fixture *f, size_t launch, const struct agent_termination *termination);

Meseta__Link__ToMaster *f_last_sent(struct fixture *f);
Mesos__V1__TaskStatus *f_last_status(struct fixture *f); // CHECKs that it is a STATUS_UPDATE
Mesos__V1__Executor__Event *f_last_event(struct fixture *f);
const char *f_environment(struct fixture *f, const char *name); // of the last launch, or NULL
