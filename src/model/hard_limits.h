// SPDX-License-Identifier: Apache-2.0
//
// What a container may use at most, where that is not what it asked for: TaskInfo.limits.

#pragma once

#include <stddef.h>
#include <stdint.h>

#include "proto/mesos.pb-c.h"

#define HARD_LIMIT_UNSET INT64_C(0)   // what was asked for is the limit
#define HARD_LIMIT_INFINITE INT64_MAX // there is none

struct hard_limits {
    int64_t cpus, mem; // thousandths of a cpu, and of a MB
};

// Takes one entry of a map of limits; names other than "cpus" and "mem" change nothing. What is
// beyond all machines is infinite; what is not above zero is the least there is.
void hard_limits_note(struct hard_limits *limits, const char *name,
                      const Mesos__V1__Value__Scalar *value /* or NULL */);
struct hard_limits hard_limits_of_task(const Mesos__V1__TaskInfo *task);

// The limits of several tasks in one container, kept as they come and go.
struct hard_limit_sum {
    size_t limited, infinite; // tasks with a limit, and those of them whose limit is infinite
    int64_t limit;            // the sum of the finite ones
    int64_t request;          // what those without a limit asked for
};
// `limit` and `request` are one task's. It is added, or taken away again.
void hard_limit_sum_add(struct hard_limit_sum *sum, int64_t limit, int64_t request);
void hard_limit_sum_subtract(struct hard_limit_sum *sum, int64_t limit, int64_t request);
// What holds for all of them together and for `own`, which the container asked for beside them:
// unset when none has a limit.
int64_t hard_limit_sum_total(const struct hard_limit_sum *sum, int64_t own);
