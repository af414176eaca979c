// SPDX-License-Identifier: Apache-2.0
//
// Search, sort and paging for the dashboard's tables. A page is selected, not sorted out of the
// whole: of 100,000 rows only those that are shown are put in order.

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/master_dashboard.h"
#include "base/check.h"
#include "base/mem.h"

int64_t dashboard_cpu_ns(void)
{
    struct timespec time;
    CHECK(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) == 0);
    return (int64_t)time.tv_sec * NS_PER_S + time.tv_nsec;
}

static bool read_count(struct http_request *r, const char *name, size_t fallback, size_t max,
                       size_t *ret)
{
    const char *text = http_query(r, name);
    if (text == NULL) {
        *ret = fallback;
        return true;
    }
    size_t value = 0;
    size_t size = strspn(text, "0123456789");
    for (size_t i = 0; i < size && value <= max; i++)
        value = 10 * value + (size_t)(text[i] - '0');
    if (size == 0 || text[size] != '\0' || value > max) {
        http_respond_text(r, 400, "'%s' must be a number from 0 to %zu, not '%s'", name, max, text);
        return false;
    }
    *ret = value;
    return true;
}

static bool read_terms(struct dashboard_query *q)
{
    const char *search = http_query(q->r, "search");
    char *text = arena_strdup(http_arena(q->r), search != NULL ? search : "");
    for (char *at = text; *at != '\0'; at++)
        *at = (char)tolower((unsigned char)*at);
    char *rest = NULL;
    for (char *term = strtok_r(text, " \t", &rest); term != NULL;
         term = strtok_r(NULL, " \t", &rest)) {
        if (q->term_count == DASHBOARD_TERMS_MAX) {
            http_respond_text(q->r, 400, "'search' may hold %d words at most", DASHBOARD_TERMS_MAX);
            return false;
        }
        q->terms[q->term_count++] = term;
    }
    return true;
}

static bool read_sort(struct dashboard_query *q, const struct dashboard_column *columns,
                      size_t count)
{
    const char *sort = http_query(q->r, "sort");
    while (sort != NULL && q->column < count && strcmp(columns[q->column].name, sort) != 0)
        q->column++;
    if (q->column == count) {
        AUTO_BUF struct buf names = BUF_INIT;
        for (size_t i = 0; i < count; i++)
            buf_printf(&names, "%s%s", i > 0 ? ", " : "", columns[i].name);
        http_respond_text(q->r, 400, "'sort' must be one of %s, not '%s'", names.data, sort);
        return false;
    }
    q->is_text = columns[q->column].is_text;
    q->descends = columns[q->column].descends;
    const char *order = http_query(q->r, "order");
    if (order == NULL)
        return true;
    if (strcmp(order, "asc") != 0 && strcmp(order, "desc") != 0) {
        http_respond_text(q->r, 400, "'order' must be asc or desc, not '%s'", order);
        return false;
    }
    q->descends = order[0] == 'd';
    return true;
}

bool dashboard_query_read(struct http_request *r, const struct dashboard_column *columns,
                          size_t count, struct dashboard_query *ret)
{
    *ret = (struct dashboard_query){.r = r, .began = dashboard_cpu_ns()};
    return read_terms(ret) && read_sort(ret, columns, count) &&
           read_count(r, "offset", 0, 1000 * 1000 * 1000, &ret->offset) &&
           read_count(r, "limit", 100, DASHBOARD_LIMIT_MAX, &ret->limit);
}

// ---- searching ----

static unsigned char lower(char c)
{
    unsigned char u = (unsigned char)c;
    return u >= 'A' && u <= 'Z' ? (unsigned char)(u + ('a' - 'A')) : u;
}

static bool holds(const char *text, const char *term)
{
    unsigned char first = (unsigned char)term[0];
    for (; *text != '\0'; text++) {
        if (lower(*text) != first)
            continue;
        size_t i = 1;
        while (term[i] != '\0' && lower(text[i]) == (unsigned char)term[i])
            i++;
        if (term[i] == '\0')
            return true;
    }
    return false;
}

unsigned dashboard_terms_in(const struct dashboard_query *q, const char *text)
{
    unsigned found = 0;
    for (size_t i = 0; text != NULL && i < q->term_count; i++)
        found |= (unsigned)holds(text, q->terms[i]) << i;
    return found;
}

// ---- rows ----

void dashboard_rows_free(struct dashboard_rows *rows)
{
    mem_free(rows->list);
    *rows = (struct dashboard_rows){0};
}

static struct dashboard_row *add(struct dashboard_rows *rows, const void *record)
{
    if (rows->count == rows->capacity) {
        rows->capacity = rows->capacity == 0 ? 256 : 2 * rows->capacity;
        rows->list = mem_realloc_array(rows->list, rows->capacity, sizeof(*rows->list));
    }
    struct dashboard_row *row = &rows->list[rows->count];
    rows->count++;
    row->record = record;
    row->at = rows->added++;
    row->kept = 0;
    return row;
}

void dashboard_rows_add_number(struct dashboard_rows *rows, const void *record, double key)
{
    add(rows, record)->key.number = key;
}

void dashboard_rows_add_text(struct dashboard_rows *rows, const void *record, const char *key)
{
    add(rows, record)->key.text = key;
}

// Equal keys keep the order in which they were added.
static int compare(const struct dashboard_row *a, const struct dashboard_row *b, bool is_text,
                   bool descends)
{
    int order = is_text                         ? strverscmp(a->key.text, b->key.text)
                : a->key.number < b->key.number ? -1
                                                : a->key.number > b->key.number;
    if (order == 0)
        return a->at < b->at ? -1 : a->at > b->at;
    return descends ? -order : order;
}

static int compare_for_sort(const void *a, const void *b, void *ctx)
{
    const struct dashboard_query *q = ctx;
    return compare(a, b, q->is_text, q->descends);
}

static void swap(struct dashboard_row *a, struct dashboard_row *b)
{
    struct dashboard_row kept = *a;
    *a = *b;
    *b = kept;
}

// Rows come in an order that others choose (ids that count upwards), so pivots are drawn.
static size_t draw(uint64_t *state, size_t low, size_t high)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return low + (size_t)((*state >> 33) % (high - low));
}

static size_t median(const struct dashboard_row *list, size_t a, size_t b, size_t c,
                     const struct dashboard_query *q)
{
    bool ab = compare(&list[a], &list[b], q->is_text, q->descends) < 0;
    bool bc = compare(&list[b], &list[c], q->is_text, q->descends) < 0;
    if (ab == bc)
        return b;
    bool ac = compare(&list[a], &list[c], q->is_text, q->descends) < 0;
    return ab == ac ? c : a;
}

// Hoare's FIND: afterwards list[0, nth) goes before list[nth, count). No two rows are equal.
static void part(struct dashboard_row *list, size_t count, size_t nth,
                 const struct dashboard_query *q)
{
    size_t low = 0, high = nth < count ? count : 0;
    uint64_t state = count;
    while (low + 1 < high) {
        struct dashboard_row *pivot = &list[high - 1];
        size_t chosen = median(list, draw(&state, low, high), draw(&state, low, high),
                               draw(&state, low, high), q);
        swap(&list[chosen], pivot);
        size_t place = low;
        for (size_t i = low; i + 1 < high; i++) {
            if (compare(&list[i], pivot, q->is_text, q->descends) < 0)
                swap(&list[i], &list[place++]);
        }
        swap(&list[place], pivot);
        if (place == nth)
            return;
        if (nth < place)
            high = place;
        else
            low = place + 1;
    }
}

void dashboard_rows_select(struct dashboard_rows *rows, const struct dashboard_query *q,
                           size_t *ret_from, size_t *ret_to)
{
    size_t from = q->offset < rows->count ? q->offset : rows->count;
    size_t to = rows->count - from > q->limit ? from + q->limit : rows->count;
    *ret_from = from;
    *ret_to = to;
    if (from == to)
        return;
    part(rows->list, rows->count, from, q);
    part(rows->list + from, rows->count - from, to - from, q);
    qsort_r(rows->list + from, to - from, sizeof(*rows->list), compare_for_sort,
            (void *)(uintptr_t)q);
}

void dashboard_rows_cut(struct dashboard_rows *rows, const struct dashboard_query *q)
{
    size_t wanted = q->offset + q->limit;
    if (rows->count <= wanted)
        return;
    part(rows->list, rows->count, wanted, q);
    rows->count = wanted;
}

// ---- answers ----

void dashboard_put_head(struct json_writer *w, const struct dashboard_query *q, size_t total,
                        size_t matched)
{
    json_object_open(w);
    json_key_u64(w, "total", total);
    json_key_u64(w, "matched", matched);
    json_key_u64(w, "offset", q->offset);
    json_key_i64(w, "took_us", (q->spent + dashboard_cpu_ns() - q->began) / 1000);
}

void dashboard_put_resources(struct json_writer *w, const char *key, const struct resources *r)
{
    static const char *const names[] = {"cpus", "mem", "disk", "gpus"};
    json_key(w, key);
    json_object_open(w);
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        json_key_double(w, names[i], r != NULL ? (double)resources_scalar(r, names[i]) / 1000 : 0);
    json_object_close(w);
}
