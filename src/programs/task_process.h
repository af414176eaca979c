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

// Reaps each child that has ended, but not `keep`, whose status somebody waits for (0: none).
void task_process_reap_orphans(pid_t keep);

// True while this process has any child, ended or not.
bool task_process_has_children(void);

// Sends `signal` to every descendant of this process. Returns how many there were.
unsigned task_process_signal_all(int signal);

// The absolute path of a program: `name` itself when it has a slash (made absolute with the working
// directory), else the first executable of that name in `path` (NULL: /usr/local/bin and so on).
// The caller frees with mem_free. -ENOENT, -EACCES.
int task_process_find_program(const char *name, const char *path, char **ret_file,
                              struct error *err);
