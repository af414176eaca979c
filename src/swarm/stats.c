// SPDX-License-Identifier: Apache-2.0
//
// Buckets: below HISTOGRAM_STEPS each value has its own; above, each power of two is cut in
// HISTOGRAM_STEPS.

#include "swarm/stats.h"

#include <stddef.h>

enum { STEP_BITS = 5 };

static size_t bucket_of(uint64_t value)
{
    if (value < HISTOGRAM_STEPS)
        return (size_t)value;
    unsigned exponent = 63 - (unsigned)__builtin_clzll(value) - STEP_BITS;
    size_t bucket = (size_t)exponent * HISTOGRAM_STEPS + (size_t)(value >> exponent);
    return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

// The largest value of a bucket.
static uint64_t bucket_top(size_t bucket)
{
    if (bucket < 2 * HISTOGRAM_STEPS)
        return bucket;
    unsigned exponent = (unsigned)(bucket / HISTOGRAM_STEPS) - 1;
    uint64_t step = bucket % HISTOGRAM_STEPS + HISTOGRAM_STEPS;
    return ((step + 1) << exponent) - 1;
}

void histogram_add(struct histogram *h, int64_t value)
{
    uint64_t v = value > 0 ? (uint64_t)value : 0;
    h->counts[bucket_of(v)]++;
    h->count++;
    if (v > h->max)
        h->max = v;
}

uint64_t histogram_at(const struct histogram *h, double part)
{
    uint64_t wanted = (uint64_t)(part * (double)h->count);
    uint64_t seen = 0;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += h->counts[i];
        if (seen > wanted || (seen == h->count && seen > 0)) {
            uint64_t top = bucket_top(i);
            return top < h->max ? top : h->max;
        }
    }
    return 0;
}
