// SPDX-License-Identifier: Apache-2.0
//
// How long something took, over the last while, as Mesos' timers tell it: the newest value, and
// from the second one on the number, the least, the greatest and percentiles.

#pragma once

#include <stddef.h>
#include <stdint.h>

struct api_metric_sink;

enum { TIMING_COUNT_MAX = 1000 };

struct timing_sample {
    int64_t at; // monotonic, ns
    double ms;
};

// A ring of the newest samples. All zero is an empty one.
struct timing {
    struct timing_sample *samples; // made with the first one
    size_t first;
    size_t count;
};

void timing_free(struct timing *timing);
void timing_add(struct timing *timing, int64_t now_ns, int64_t took_ns);
// `name` ("registrar/state_store_ms") and what is beneath it. Samples older than `window_ns` are
// forgotten.
void timing_put(struct timing *timing, const char *name, int64_t now_ns, int64_t window_ns,
                struct api_metric_sink *sink);
