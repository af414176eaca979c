// SPDX-License-Identifier: Apache-2.0
//
// The values that resources and attributes have: scalars in thousandths, ranges, sets; and the text
// form that flags give them. Ranges and sets are immutable and shared by counting, so copying them
// costs nothing. NULL stands for the empty one.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "proto/mesos.pb-c.h"

// The largest scalar, in thousandths; sums stop here instead of wrapping round.
#define SCALAR_MAX INT64_C(1000000000000000000)

int64_t scalar_from_double(double value); // rounds half away from zero; clamps; NaN gives 0
double scalar_to_double(int64_t thousandths);
// Both >= 0; stops at SCALAR_MAX.
static inline int64_t scalar_add(int64_t a, int64_t b)
{
    return a + b > SCALAR_MAX ? SCALAR_MAX : a + b;
}
void scalar_put_text(int64_t thousandths, struct buf *out); // "4", "0.5", "1.025"

struct range {
    uint64_t begin;
    uint64_t end; // included
};

// Sorted, disjoint, not even touching.
struct ranges {
    uint32_t references;
    uint32_t count;
    struct range items[];
};

// Sorts and merges; `items` is changed. begin <= end in each. The caller drops the result.
struct ranges *ranges_new(struct range *items, size_t count);
struct ranges *ranges_hold(struct ranges *r);
struct ranges *ranges_drop(struct ranges *r); // returns NULL
// New values; the operands stay.
struct ranges *ranges_union(const struct ranges *a, const struct ranges *b);
struct ranges *ranges_difference(const struct ranges *a, const struct ranges *b);
bool ranges_contain(const struct ranges *r, const struct ranges *part);
bool ranges_are_equal(const struct ranges *a, const struct ranges *b);
bool ranges_overlap(const struct ranges *a, const struct ranges *b);
void ranges_put_text(const struct ranges *r, struct buf *out); // "[1-2, 5-5]"

// Sorted by strcmp, without doubles.
struct text_set {
    uint32_t references;
    uint32_t count;
    const char *items[]; // the bytes stand behind them
};

struct text_set *text_set_new(const char *const *items, size_t count);
struct text_set *text_set_hold(struct text_set *s);
struct text_set *text_set_drop(struct text_set *s);
struct text_set *text_set_union(const struct text_set *a, const struct text_set *b);
struct text_set *text_set_difference(const struct text_set *a, const struct text_set *b);
bool text_set_contains(const struct text_set *s, const struct text_set *part);
bool text_set_is_equal(const struct text_set *a, const struct text_set *b);
bool text_set_overlaps(const struct text_set *a, const struct text_set *b);
void text_set_put_text(const struct text_set *s, struct buf *out); // "{a, b}"

// "4.5", "[1-2,5-9]", "{a,b}" or else text; blanks are dropped wherever they stand. Ranges are
// merged unless one of them is inverted (left for validation to name). Lives in the arena.
int value_parse(const char *text, struct arena *arena, Mesos__V1__Value **ret_value,
                struct error *err);

// A value as it was sent, in text: the scalar, "[1-2]", "{a, b}" in the order given.
void value_put_ranges_text(const Mesos__V1__Value__Ranges *ranges, struct buf *out);
void value_put_set_text(const Mesos__V1__Value__Set *set, struct buf *out);
