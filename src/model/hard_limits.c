// SPDX-License-Identifier: Apache-2.0

#include "model/hard_limits.h"

#include <string.h>

#include "base/check.h"
#include "model/value.h"

// A million million cpus, or MB: sums of as many as there can be tasks do not overflow.
#define FINITE_MAX 1e12

void hard_limits_note(struct hard_limits *limits, const char *name,
                      const Mesos__V1__Value__Scalar *value)
{
    double amount = value != NULL ? value->value : 0;
    int64_t limit = amount >= FINITE_MAX ? HARD_LIMIT_INFINITE : scalar_from_double(amount);
    if (limit <= 0) {
        limit = 1;
    }
    if (name != NULL && strcmp(name, "cpus") == 0) {
        limits->cpus = limit;
    } else if (name != NULL && strcmp(name, "mem") == 0) {
        limits->mem = limit;
    }
}

struct hard_limits hard_limits_of_task(const Mesos__V1__TaskInfo *task)
{
    struct hard_limits limits = {.cpus = HARD_LIMIT_UNSET, .mem = HARD_LIMIT_UNSET};
    for (size_t i = 0; i < task->n_limits; i++) {
        hard_limits_note(&limits, task->limits[i]->key, task->limits[i]->value);
    }
    return limits;
}

void hard_limit_sum_add(struct hard_limit_sum *sum, int64_t limit, int64_t request)
{
    if (limit == HARD_LIMIT_UNSET) {
        sum->request += request;
        return;
    }
    sum->limited++;
    if (limit == HARD_LIMIT_INFINITE) {
        sum->infinite++;
    } else {
        sum->limit += limit;
    }
}

void hard_limit_sum_subtract(struct hard_limit_sum *sum, int64_t limit, int64_t request)
{
    if (limit == HARD_LIMIT_UNSET) {
        sum->request -= request;
        return;
    }
    CHECK(sum->limited > 0);
    sum->limited--;
    if (limit == HARD_LIMIT_INFINITE) {
        CHECK(sum->infinite > 0);
        sum->infinite--;
    } else {
        sum->limit -= limit;
    }
}

int64_t hard_limit_sum_total(const struct hard_limit_sum *sum, int64_t own)
{
    if (sum->limited == 0) {
        return HARD_LIMIT_UNSET;
    }
    return sum->infinite > 0 ? HARD_LIMIT_INFINITE : sum->limit + sum->request + own;
}
