// SPDX-License-Identifier: Apache-2.0
//
// The processes of a command task, as its executor sees them. The executor is a subreaper, so every
// process that the task leaves behind becomes its child: "all descendants" is then all that the
// task has.

#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"

// Orphans of this process's descendants become its children from now on.
int task_process_adopt_orphans(struct error *err);

// Reaps each child that has ended, but not those of `keep`, for whose status somebody waits.
void task_process_reap_orphans(const pid_t *keep, size_t count);

// True while this process has any child, ended or not.
bool task_process_has_children(void);

// Sends `signal` to every descendant of this process. Returns how many there were.
unsigned task_process_signal_all(int signal);
