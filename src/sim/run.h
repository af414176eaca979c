// SPDX-License-Identifier: Apache-2.0
//
// The simulator's entry: one seed, one world, to its end. A violation prints the seed and exits
// with 1; a failed CHECK of a core aborts.

#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "sim/marks.h"

struct sim_options {
    bool trace; // every event on standard output
};

// Sums over seeds; the caller zeroes them.
struct sim_result {
    int64_t simulated_ns;
    uint64_t event_count;
    uint64_t digest; // of the last seed: the same seed gives the same one
    uint64_t marks[MARK_COUNT];
};

void sim_run(uint64_t seed, const struct sim_options *options, struct sim_result *result);
