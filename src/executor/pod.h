// SPDX-License-Identifier: Apache-2.0
//
// The executor of task groups. It starts at once, and stops the loop of `env` when it has ended.

#pragma once

#include "client/executor.h"
#include "env/env.h"

struct pod;

struct pod_options {
    const struct executor_environment *environment; // its strings stay
    const char *launcher_dir;
};

struct pod *pod_new(struct env *env, const struct pod_options *options);
struct pod *pod_free(struct pod *pod);
