// SPDX-License-Identifier: Apache-2.0
//
// What another process costs, from /proc and, where the machine counts them, its instructions.

#pragma once

#include <stdint.h>

#include "base/error.h"

struct watch {
    int pid;          // 0: nobody
    int counter;      // of user instructions, or -1
    struct error why; // there is no counter
};

struct watch_sample {
    double cpu_seconds; // user and system
    double user_seconds;
    uint64_t resident_size;     // bytes
    uint64_t resident_size_max; // so far
    uint64_t instructions;
};

// -ESRCH and others: there is no such process. Its threads count, its children do not.
int watch_begin(struct watch *watch, int pid, struct error *err);
void watch_end(struct watch *watch);
// All zero when it has ended.
struct watch_sample watch_read(const struct watch *watch);
