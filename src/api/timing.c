// SPDX-License-Identifier: Apache-2.0

#include "api/timing.h"

#include <stdio.h>
#include <stdlib.h>

#include "api/api.h"
#include "base/mem.h"

void timing_free(struct timing *timing)
{
    mem_free(timing->samples);
    *timing = (struct timing){0};
}

void timing_add(struct timing *timing, int64_t now_ns, int64_t took_ns)
{
    if (timing->samples == NULL)
        timing->samples = mem_calloc(TIMING_COUNT_MAX, sizeof(*timing->samples));
    size_t at = (timing->first + timing->count) % TIMING_COUNT_MAX;
    timing->samples[at] = (struct timing_sample){now_ns, (double)took_ns / (double)NS_PER_MS};
    if (timing->count < TIMING_COUNT_MAX)
        timing->count++;
    else
        timing->first = (timing->first + 1) % TIMING_COUNT_MAX;
}

static int compare_doubles(const void *left, const void *right)
{
    const double *a = left, *b = right;
    return (*a > *b) - (*a < *b);
}

// Between the two samples on either side of that place.
static double percentile(const double *sorted, size_t count, double share)
{
    double place = share * (double)(count - 1);
    size_t below = (size_t)place;
    if (below + 1 >= count)
        return sorted[count - 1];
    double rest = place - (double)below;
    return sorted[below] + rest * (sorted[below + 1] - sorted[below]);
}

static void put(struct api_metric_sink *sink, const char *name, const char *rest, double value)
{
    char key[128];
    snprintf(key, sizeof(key), "%s/%s", name, rest);
    api_metric(sink, key, value);
}

void timing_put(struct timing *timing, const char *name, int64_t now_ns, int64_t window_ns,
                struct api_metric_sink *sink)
{
    static const struct {
        const char *name;
        double share;
    } percentiles[] = {
        {"min", 0},    {"p50", 0.5},    {"p90", 0.9},      {"p95", 0.95},
        {"p99", 0.99}, {"p999", 0.999}, {"p9999", 0.9999}, {"max", 1},
    };
    size_t newest = (timing->first + timing->count + TIMING_COUNT_MAX - 1) % TIMING_COUNT_MAX;
    if (timing->count > 0)
        api_metric(sink, name, timing->samples[newest].ms);
    while (timing->count > 1 && timing->samples[timing->first].at < now_ns - window_ns) {
        timing->first = (timing->first + 1) % TIMING_COUNT_MAX;
        timing->count--;
    }
    if (timing->count < 2)
        return;
    double *sorted = mem_calloc(timing->count, sizeof(*sorted));
    for (size_t i = 0; i < timing->count; i++)
        sorted[i] = timing->samples[(timing->first + i) % TIMING_COUNT_MAX].ms;
    qsort(sorted, timing->count, sizeof(*sorted), compare_doubles);
    put(sink, name, "count", (double)timing->count);
    for (size_t i = 0; i < sizeof(percentiles) / sizeof(percentiles[0]); i++)
        put(sink, name, percentiles[i].name,
            percentile(sorted, timing->count, percentiles[i].share));
    mem_free(sorted);
}
