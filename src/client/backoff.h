// SPDX-License-Identifier: Apache-2.0
//
// Waiting times that double from a least to a most, drawn from the upper half of their range, so
// that many clients of one lost server do not come back at one moment.

#pragma once

#include <stdint.h>

struct backoff {
    int64_t min_ns;
    int64_t max_ns;
    int64_t next_ns; // upper end of the next draw
};

void backoff_init(struct backoff *backoff, int64_t min_ns, int64_t max_ns);
int64_t backoff_next(struct backoff *backoff); // nanoseconds to wait; the one after it is longer
void backoff_reset(struct backoff *backoff);
