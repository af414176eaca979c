// SPDX-License-Identifier: Apache-2.0
//
// Arithmetic on scalars, ranges and sets. All of it is linear in the sizes of its operands.

#include "model/value.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"

// ---- scalars ----

int64_t scalar_from_double(double value)
{
    double scaled = value * 1000.0;
    if (!(scaled > (double)-SCALAR_MAX)) {
        return scaled <= (double)-SCALAR_MAX ? -SCALAR_MAX : 0;
    }
    if (scaled >= (double)SCALAR_MAX) {
        return SCALAR_MAX;
    }
    int64_t whole = (int64_t)scaled;
    double rest = scaled - (double)whole;
    return whole + (rest >= 0.5 ? 1 : 0) - (rest <= -0.5 ? 1 : 0);
}

double scalar_to_double(int64_t thousandths)
{
    return (double)(thousandths / 1000) + (double)(thousandths % 1000) / 1000.0;
}

void scalar_put_text(int64_t thousandths, struct buf *out)
{
    int64_t whole = thousandths / 1000;
    int64_t rest = thousandths % 1000;
    if (thousandths < 0) {
        buf_putc(out, '-');
        whole = -whole;
        rest = -rest;
    }
    buf_put_i64(out, whole);
    if (rest == 0) {
        return;
    }
    char digits[4] = {(char)('0' + rest / 100), (char)('0' + rest / 10 % 10),
                      (char)('0' + rest % 10), '\0'};
    for (size_t i = 2; digits[i] == '0'; i--) {
        digits[i] = '\0';
    }
    buf_putc(out, '.');
    buf_puts(out, digits);
}

// ---- ranges ----

static int compare_ranges(const void *a_, const void *b_)
{
    const struct range *a = a_;
    const struct range *b = b_;
    if (a->begin != b->begin) {
        return a->begin < b->begin ? -1 : 1;
    }
    return (a->end > b->end) - (a->end < b->end);
}

static struct ranges *ranges_alloc(size_t capacity)
{
    struct ranges *r = mem_alloc(sizeof(*r) + capacity * sizeof(r->items[0]));
    r->references = 1;
    r->count = 0;
    return r;
}

// Appends to a value under construction, whose last range begins no later than this one.
static void ranges_append(struct ranges *r, struct range range)
{
    if (r->count > 0) {
        struct range *last = &r->items[r->count - 1];
        if (last->end == UINT64_MAX || range.begin <= last->end + 1) {
            if (range.end > last->end) {
                last->end = range.end;
            }
            return;
        }
    }
    r->items[r->count++] = range;
}

static struct ranges *ranges_finish(struct ranges *r)
{
    return r->count > 0 ? r : ranges_drop(r);
}

struct ranges *ranges_new(struct range *items, size_t count)
{
    if (count == 0) {
        return NULL;
    }
    CHECK(count <= UINT32_MAX);
    qsort(items, count, sizeof(items[0]), compare_ranges);
    struct ranges *r = ranges_alloc(count);
    for (size_t i = 0; i < count; i++) {
        CHECK(items[i].begin <= items[i].end);
        ranges_append(r, items[i]);
    }
    return r;
}

struct ranges *ranges_hold(struct ranges *r)
{
    if (r != NULL) {
        r->references++;
    }
    return r;
}

struct ranges *ranges_drop(struct ranges *r)
{
    if (r != NULL && --r->references == 0) {
        mem_free(r);
    }
    return NULL;
}

static uint32_t ranges_count(const struct ranges *r)
{
    return r != NULL ? r->count : 0;
}

struct ranges *ranges_union(const struct ranges *a, const struct ranges *b)
{
    uint32_t a_count = ranges_count(a), b_count = ranges_count(b);
    struct ranges *sum = ranges_alloc((size_t)a_count + b_count);
    uint32_t i = 0, j = 0;
    while (i < a_count || j < b_count) {
        if (j == b_count || (i < a_count && a->items[i].begin <= b->items[j].begin)) {
            ranges_append(sum, a->items[i++]);
        } else {
            ranges_append(sum, b->items[j++]);
        }
    }
    return ranges_finish(sum);
}

struct ranges *ranges_difference(const struct ranges *a, const struct ranges *b)
{
    uint32_t a_count = ranges_count(a), b_count = ranges_count(b);
    // Each range of b splits at most one range of a.
    struct ranges *rest = ranges_alloc((size_t)a_count + b_count);
    uint32_t j = 0;
    for (uint32_t i = 0; i < a_count; i++) {
        struct range left = a->items[i];
        bool is_used_up = false;
        while (j < b_count && b->items[j].end < left.begin) {
            j++;
        }
        for (uint32_t k = j; k < b_count && b->items[k].begin <= left.end; k++) {
            if (b->items[k].begin > left.begin) {
                rest->items[rest->count++] =
                    (struct range){.begin = left.begin, .end = b->items[k].begin - 1};
            }
            if (b->items[k].end >= left.end) {
                is_used_up = true;
                break;
            }
            left.begin = b->items[k].end + 1;
            j = k + 1;
        }
        if (!is_used_up) {
            rest->items[rest->count++] = left;
        }
    }
    return ranges_finish(rest);
}

bool ranges_contain(const struct ranges *r, const struct ranges *part)
{
    if (r == part) {
        return true;
    }
    uint32_t i = 0, r_count = ranges_count(r);
    for (uint32_t j = 0; j < ranges_count(part); j++) {
        while (i < r_count && r->items[i].end < part->items[j].end) {
            i++;
        }
        if (i == r_count || r->items[i].begin > part->items[j].begin) {
            return false;
        }
    }
    return true;
}

bool ranges_are_equal(const struct ranges *a, const struct ranges *b)
{
    if (a == b) {
        return true;
    }
    uint32_t count = ranges_count(a);
    return count == ranges_count(b) &&
           (count == 0 || memcmp(a->items, b->items, count * sizeof(a->items[0])) == 0);
}

bool ranges_overlap(const struct ranges *a, const struct ranges *b)
{
    uint32_t i = 0, j = 0;
    while (i < ranges_count(a) && j < ranges_count(b)) {
        if (a->items[i].end < b->items[j].begin) {
            i++;
        } else if (b->items[j].end < a->items[i].begin) {
            j++;
        } else {
            return true;
        }
    }
    return false;
}

void ranges_put_text(const struct ranges *r, struct buf *out)
{
    buf_putc(out, '[');
    for (uint32_t i = 0; i < ranges_count(r); i++) {
        if (i > 0) {
            buf_append(out, ", ", 2);
        }
        buf_put_u64(out, r->items[i].begin);
        buf_putc(out, '-');
        buf_put_u64(out, r->items[i].end);
    }
    buf_putc(out, ']');
}

// ---- sets ----

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static uint32_t text_set_count(const struct text_set *s)
{
    return s != NULL ? s->count : 0;
}

// From sorted items without doubles; one block of memory holds all.
static struct text_set *text_set_build(const char *const *items, size_t count)
{
    if (count == 0) {
        return NULL;
    }
    CHECK(count <= UINT32_MAX);
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        bytes += strlen(items[i]) + 1;
    }
    struct text_set *s = mem_alloc(sizeof(*s) + count * sizeof(s->items[0]) + bytes);
    s->references = 1;
    s->count = (uint32_t)count;
    char *at = (char *)&s->items[count];
    for (size_t i = 0; i < count; i++) {
        size_t size = strlen(items[i]) + 1;
        memcpy(at, items[i], size);
        s->items[i] = at;
        at += size;
    }
    return s;
}

struct text_set *text_set_new(const char *const *items, size_t count)
{
    if (count == 0) {
        return NULL;
    }
    const char **sorted = mem_alloc(count * sizeof(sorted[0]));
    memcpy(sorted, items, count * sizeof(sorted[0]));
    qsort(sorted, count, sizeof(sorted[0]), compare_texts);
    size_t kept = 1;
    for (size_t i = 1; i < count; i++) {
        if (strcmp(sorted[i], sorted[kept - 1]) != 0) {
            sorted[kept++] = sorted[i];
        }
    }
    struct text_set *s = text_set_build(sorted, kept);
    mem_free(sorted);
    return s;
}

struct text_set *text_set_hold(struct text_set *s)
{
    if (s != NULL) {
        s->references++;
    }
    return s;
}

struct text_set *text_set_drop(struct text_set *s)
{
    if (s != NULL && --s->references == 0) {
        mem_free(s);
    }
    return NULL;
}

enum { ONLY_LEFT = 1, ONLY_RIGHT = 2, BOTH = 4 };

// Merges two sets and keeps the items that stand in the sides named by `keep`.
static struct text_set *text_set_merge(const struct text_set *a, const struct text_set *b,
                                       unsigned keep)
{
    uint32_t a_count = text_set_count(a), b_count = text_set_count(b);
    if (a_count + b_count == 0) {
        return NULL;
    }
    const char **kept = mem_alloc(((size_t)a_count + b_count) * sizeof(kept[0]));
    size_t count = 0;
    uint32_t i = 0, j = 0;
    while (i < a_count || j < b_count) {
        int order;
        if (i == a_count) {
            order = 1;
        } else if (j == b_count) {
            order = -1;
        } else {
            order = strcmp(a->items[i], b->items[j]);
        }
        unsigned side = order < 0 ? ONLY_LEFT : order > 0 ? ONLY_RIGHT : BOTH;
        if ((keep & side) != 0) {
            kept[count++] = order <= 0 ? a->items[i] : b->items[j];
        }
        i += order <= 0;
        j += order >= 0;
    }
    struct text_set *s = text_set_build(kept, count);
    mem_free(kept);
    return s;
}

struct text_set *text_set_union(const struct text_set *a, const struct text_set *b)
{
    return text_set_merge(a, b, ONLY_LEFT | ONLY_RIGHT | BOTH);
}

struct text_set *text_set_difference(const struct text_set *a, const struct text_set *b)
{
    return text_set_merge(a, b, ONLY_LEFT);
}

bool text_set_contains(const struct text_set *s, const struct text_set *part)
{
    uint32_t i = 0, count = text_set_count(s);
    for (uint32_t j = 0; j < text_set_count(part); j++) {
        while (i < count && strcmp(s->items[i], part->items[j]) < 0) {
            i++;
        }
        if (i == count || strcmp(s->items[i], part->items[j]) != 0) {
            return false;
        }
    }
    return true;
}

bool text_set_is_equal(const struct text_set *a, const struct text_set *b)
{
    return text_set_count(a) == text_set_count(b) && text_set_contains(a, b);
}

bool text_set_overlaps(const struct text_set *a, const struct text_set *b)
{
    struct text_set *common = text_set_merge(a, b, BOTH);
    bool overlaps = common != NULL;
    text_set_drop(common);
    return overlaps;
}

void text_set_put_text(const struct text_set *s, struct buf *out)
{
    buf_putc(out, '{');
    for (uint32_t i = 0; i < text_set_count(s); i++) {
        buf_puts(out, i > 0 ? ", " : "");
        buf_puts(out, s->items[i]);
    }
    buf_putc(out, '}');
}

// ---- as sent ----

void value_put_ranges_text(const Mesos__V1__Value__Ranges *ranges, struct buf *out)
{
    buf_putc(out, '[');
    for (size_t i = 0; i < ranges->n_range; i++) {
        buf_printf(out, "%s%" PRIu64 "-%" PRIu64, i > 0 ? ", " : "", ranges->range[i]->begin,
                   ranges->range[i]->end);
    }
    buf_putc(out, ']');
}

void value_put_set_text(const Mesos__V1__Value__Set *set, struct buf *out)
{
    buf_putc(out, '{');
    for (size_t i = 0; i < set->n_item; i++) {
        buf_puts(out, i > 0 ? ", " : "");
        buf_puts(out, set->item[i]);
    }
    buf_putc(out, '}');
}
