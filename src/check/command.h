// SPDX-License-Identifier: Apache-2.0
//
// A CommandInfo made ready to be spawned: file, arguments, environment. For tasks and their checks.

#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "env/env.h"
#include "proto/mesos.pb-c.h"

// `base` ("NAME=value", NULL-terminated) with the command's own variables over it, and after them
// the last one (NULL: none), in the arena. Secrets, which nobody resolved, are left out.
char **command_environment(char *const *base, const Mesos__V1__CommandInfo *command,
                           const char *last, struct arena *arena);

// Fills in `file`, `arguments` and `environment` of the order, in the arena. A program without a
// slash is looked for in the environment's PATH. -ENOENT, -EACCES.
int command_prepare(const Mesos__V1__CommandInfo *command, char **environment, struct arena *arena,
                    struct env_spawn *order, struct error *err);

// The absolute path of a program: `name` itself when it has a slash (made absolute with the working
// directory), else the first executable of that name in `path` (NULL: /usr/local/bin and so on).
// The caller frees with mem_free. -ENOENT, -EACCES.
int command_find_program(const char *name, const char *path, char **ret_file, struct error *err);
