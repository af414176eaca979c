// SPDX-License-Identifier: Apache-2.0
//
// The check and the health check of one task, and what the task's updates say of them.

#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "check/check.h"
#include "env/env.h"
#include "proto/mesos.pb-c.h"

struct task_checks;

struct task_checks_callbacks {
    // The newest update once more, with what a check found out. To be sent.
    void (*on_update)(void *ctx, const Mesos__V1__TaskStatus *status);
    // The health check failed too often; after on_update.
    void (*on_unhealthy)(void *ctx);
    // Where command checks run, with the same ctx; NULL: as children of this process.
    const struct check_command_ops *command_ops;
};

// NULL when the task has neither. The task and `launcher_dir` stay valid as long as it.
struct task_checks *task_checks_new(struct env *env, const Mesos__V1__TaskInfo *task,
                                    const char *launcher_dir,
                                    const struct task_checks_callbacks *callbacks, void *ctx);
struct task_checks *task_checks_free(struct task_checks *checks); // NULL is fine; returns NULL

// Of an update that was made from scratch: fills in the status of a check that is not known yet,
// and keeps a copy as the newest. What it fills in lives until the next call.
void task_checks_complete(struct task_checks *checks, Mesos__V1__TaskStatus *status);

// The task runs: looks begin. There was an update before. NULL is fine, here and below.
void task_checks_start(struct task_checks *checks);
// No looks until they go on, at once, and no calls back. What was under way is killed.
void task_checks_pause(struct task_checks *checks);
void task_checks_resume(struct task_checks *checks);
// No more looks, also when they were to go on.
void task_checks_stop(struct task_checks *checks);

enum { TASK_CHECKS_PIDS_MAX = 2 };
// Children whose status is waited for. Returns how many.
size_t task_checks_pids(const struct task_checks *checks, pid_t ret_pids[TASK_CHECKS_PIDS_MAX]);
