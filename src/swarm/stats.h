// SPDX-License-Identifier: Apache-2.0
//
// Durations, counted in buckets of 3 % so that millions cost nothing.

#pragma once

#include <stdint.h>

enum { HISTOGRAM_STEPS = 32, HISTOGRAM_BUCKETS = 48 * HISTOGRAM_STEPS };

struct histogram {
    uint64_t counts[HISTOGRAM_BUCKETS];
    uint64_t count;
    uint64_t max;
};

void histogram_add(struct histogram *h, int64_t value); // ns; negative counts as 0
// The value that `part` (0 to 1) of all do not exceed, at most 3.2 % too large; 0 without any.
uint64_t histogram_at(const struct histogram *h, double part);
