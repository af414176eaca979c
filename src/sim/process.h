// SPDX-License-Identifier: Apache-2.0
//
// A simulated process, as the code that lives on src/env sees it: this is its `struct env`. The
// real election and the real store of src/store/zookeeper.c run on it unchanged. Its timers and
// hooks stand still while the process is stopped.

#pragma once

#include "env/env.h"
#include "sim/sim.h"

struct env {
    struct sim *sim;
    size_t host;
    uint64_t number; // no other process of this world has it
    struct timers timers;
    struct timer wake;   // among the simulator's: runs what is due here
    struct list hooks;   // struct env_hook, asked for
    bool is_crashed;     // it can say nothing any more
    int64_t timers_from; // after a stop: none is looked at before
};

struct env *process_new(struct sim *sim, size_t host);
struct env *process_free(struct env *env); // NULL is fine; what lived on it is gone by then
