// SPDX-License-Identifier: Apache-2.0
//
// Many seeds in several processes. One that fails ends its process, be it by exit(1) or by a failed
// CHECK: it is told on standard error with what it said there, and a new process goes on with the
// seeds behind it.

#pragma once

#include <stdint.h>

#include "base/error.h"
#include "sim/run.h"

enum { SIM_JOBS_MAX = 64 };

struct sim_jobs {
    uint64_t first;       // seed
    uint64_t seed_count;  // how many from there on
    int64_t job_count;    // processes that share them; at most SIM_JOBS_MAX are started
    int64_t failures_max; // so many that failed, and the other seeds are left
    // Runs one seed and adds what came of it; called in a process of its own.
    void (*run)(void *ctx, uint64_t seed, struct sim_result *result);
    void *ctx;
};

// Adds up the results of all seeds that did not fail. Returns 0 or a negative errno.
int sim_jobs_run(const struct sim_jobs *jobs, struct sim_result *result, int64_t *ret_failures,
                 struct error *err);
