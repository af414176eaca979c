// SPDX-License-Identifier: Apache-2.0
//
// A heap with four children per node, ordered by (deadline, order). What is due leaves the heap for
// an array before the first of it runs; until its turn it still counts as set and can be cancelled
// or moved. A timer's `position` is its place in the heap plus one, or, with the top bit set, its
// place in the array of those due.

#include "base/timer.h"

#include "base/check.h"
#include "base/mem.h"

#define DUE_BIT (~(SIZE_MAX >> 1))

static bool is_before(const struct timer *a, const struct timer *b)
{
    return a->deadline != b->deadline ? a->deadline < b->deadline : a->order < b->order;
}

static void place(struct timers *timers, struct timer *timer, size_t at)
{
    timers->heap[at] = timer;
    timer->position = at + 1;
}

static void sift_up(struct timers *timers, struct timer *timer, size_t at)
{
    while (at > 0) {
        size_t parent = (at - 1) / 4;

        if (!is_before(timer, timers->heap[parent]))
            break;
        place(timers, timers->heap[parent], at);
        at = parent;
    }
    place(timers, timer, at);
}

static void sift_down(struct timers *timers, struct timer *timer, size_t at)
{
    for (;;) {
        size_t child = at * 4 + 1, least = child;
        size_t end = child + 4 < timers->count ? child + 4 : timers->count;

        if (child >= timers->count)
            break;
        for (size_t i = child + 1; i < end; i++)
            if (is_before(timers->heap[i], timers->heap[least]))
                least = i;
        if (!is_before(timers->heap[least], timer))
            break;
        place(timers, timers->heap[least], at);
        at = least;
    }
    place(timers, timer, at);
}

// Puts `timer` at `at`, whose former timer is no longer in the heap, and restores the order.
static void settle(struct timers *timers, struct timer *timer, size_t at)
{
    if (at > 0 && is_before(timer, timers->heap[(at - 1) / 4]))
        sift_up(timers, timer, at);
    else
        sift_down(timers, timer, at);
}

static void heap_remove(struct timers *timers, size_t at)
{
    struct timer *last = timers->heap[--timers->count];

    timers->heap[at]->position = 0;
    if (at != timers->count)
        settle(timers, last, at);
}

void timers_free(struct timers *timers)
{
    for (size_t i = 0; i < timers->count; i++)
        timers->heap[i]->position = 0;
    for (size_t i = 0; i < timers->due_count; i++)
        if (timers->due[i] != NULL)
            timers->due[i]->position = 0;
    mem_free(timers->heap);
    mem_free(timers->due);
    *timers = TIMERS_INIT;
}

void timer_set(struct timers *timers, struct timer *timer, int64_t deadline)
{
    CHECK(timer->run != NULL);
    if (timer->position & DUE_BIT)
        timer_cancel(timers, timer);
    timer->deadline = deadline;
    timer->order = timers->next_order++;
    if (timer->position != 0) {
        settle(timers, timer, timer->position - 1);
        return;
    }
    if (timers->count == timers->capacity) {
        timers->capacity = timers->capacity != 0 ? timers->capacity * 2 : 16;
        timers->heap = mem_realloc_array(timers->heap, timers->capacity, sizeof(*timers->heap));
    }
    sift_up(timers, timer, timers->count++);
}

void timer_cancel(struct timers *timers, struct timer *timer)
{
    if (timer->position == 0)
        return;
    if (timer->position & DUE_BIT) {
        timers->due[timer->position & ~DUE_BIT] = NULL;
        timer->position = 0;
    } else {
        CHECK(timers->heap[timer->position - 1] == timer);
        heap_remove(timers, timer->position - 1);
    }
}

int64_t timers_next(const struct timers *timers)
{
    for (size_t i = 0; i < timers->due_count; i++)
        if (timers->due[i] != NULL)
            return timers->due[i]->deadline;
    return timers->count != 0 ? timers->heap[0]->deadline : INT64_MAX;
}

void timers_run(struct timers *timers, struct instant now)
{
    CHECK(timers->due_count == 0); // not from within itself
    while (timers->count != 0 && timers->heap[0]->deadline <= now.mono) {
        struct timer *timer = timers->heap[0];

        heap_remove(timers, 0);
        if (timers->due_count == timers->due_capacity) {
            timers->due_capacity = timers->due_capacity != 0 ? timers->due_capacity * 2 : 16;
            timers->due =
                mem_realloc_array(timers->due, timers->due_capacity, sizeof(*timers->due));
        }
        timer->position = timers->due_count | DUE_BIT;
        timers->due[timers->due_count++] = timer;
    }
    // A run may free `timers` as a whole: then due_count is 0.
    for (size_t i = 0; i < timers->due_count; i++) {
        struct timer *timer = timers->due[i];

        if (timer == NULL)
            continue;
        timers->due[i] = NULL;
        timer->position = 0;
        timer->run(timer, now);
    }
    timers->due_count = 0;
}
