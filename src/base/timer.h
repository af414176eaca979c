// SPDX-License-Identifier: Apache-2.0
//
// Timers without a clock: a heap of deadlines. The cores own one each; whoever drives a core asks
// for the next deadline and runs what is due.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Both clocks at one moment, in nanoseconds, as they are handed to the cores.
struct instant {
    int64_t mono; // monotonic: for deadlines and durations
    int64_t wall; // since 1970: for what people and messages see
};

#define NS_PER_US INT64_C(1000)
#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)

struct timer {
    int64_t deadline; // monotonic nanoseconds
    uint64_t order;   // equal deadlines run in the order in which they were set
    size_t position;  // where timer.c keeps it; 0 while not set
    void (*run)(struct timer *timer, struct instant now);
};

struct timers {
    struct timer **heap;
    size_t count;
    size_t capacity;
    uint64_t next_order;
    struct timer **due; // while timers_run runs: those whose turn has come, NULL once run
    size_t due_count;
    size_t due_capacity;
};

#define TIMERS_INIT ((struct timers){0})

void timers_free(struct timers *timers); // unsets all, frees the heap
// Sets, or moves a timer that is set. `timer->run` was filled by the caller.
void timer_set(struct timers *timers, struct timer *timer, int64_t deadline);
void timer_cancel(struct timers *timers, struct timer *timer); // harmless when not set
static inline bool timer_is_set(const struct timer *timer)
{
    return timer->position != 0;
}
// The earliest deadline, or INT64_MAX.
int64_t timers_next(const struct timers *timers);
// Runs what is due at `now`. A timer is unset before it runs and may set itself again; one that is
// set at or before `now` from within runs in the next call.
void timers_run(struct timers *timers, struct instant now);
