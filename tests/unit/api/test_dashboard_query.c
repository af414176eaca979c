// SPDX-License-Identifier: Apache-2.0
//
// The dashboard's rows: a page of them is what sorting all of them would give, also when rows came
// in parts; and what a search finds.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/master_dashboard.h"
#include "base/mem.h"
#include "base/prng.h"

enum { ROWS = 2000 };

struct item {
    double number;
    char text[16];
    uint32_t at;
};

static const struct dashboard_query *sorting; // by what compare_items sorts

static int compare_items(const void *a, const void *b)
{
    const struct item *x = a, *y = b;
    int order = sorting->is_text        ? strverscmp(x->text, y->text)
                : x->number < y->number ? -1
                                        : x->number > y->number;
    if (order != 0)
        return sorting->descends ? -order : order;
    return x->at < y->at ? -1 : x->at > y->at;
}

// In any order: upwards, downwards, all alike, by chance.
static void make_items(struct item *items, size_t count, unsigned kind, struct prng *prng)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t value = kind == 0   ? i
                         : kind == 1 ? count - i
                         : kind == 2 ? 7
                                     : prng_u64(prng) % 500;
        items[i].number = (double)value;
        snprintf(items[i].text, sizeof(items[i].text), "task-%llu", (unsigned long long)value);
        items[i].at = (uint32_t)i;
    }
}

static void add(struct dashboard_rows *rows, const struct dashboard_query *q,
                const struct item *item)
{
    if (q->is_text)
        dashboard_rows_add_text(rows, item, item->text);
    else
        dashboard_rows_add_number(rows, item, item->number);
}

static void check_page(struct item *items, const struct dashboard_query *q, bool in_parts)
{
    AUTO_ROWS struct dashboard_rows rows = {0};
    struct item *sorted = mem_dup(items, ROWS * sizeof(*items));
    sorting = q;
    qsort(sorted, ROWS, sizeof(*sorted), compare_items);
    for (size_t i = 0; i < ROWS; i++) {
        add(&rows, q, &items[i]);
        if (in_parts && i % 300 == 299)
            dashboard_rows_cut(&rows, q);
    }
    size_t from, to;
    dashboard_rows_select(&rows, q, &from, &to);
    size_t wanted_from = q->offset < ROWS ? q->offset : ROWS;
    size_t wanted_to = wanted_from + q->limit < ROWS ? wanted_from + q->limit : ROWS;
    assert_int_equal(from, wanted_from);
    assert_int_equal(to, wanted_to);
    for (size_t i = from; i < to; i++)
        assert_int_equal(((const struct item *)rows.list[i].record)->at, sorted[i].at);
    mem_free(sorted);
}

static void test_pages(void **state)
{
    (void)state;
    static const size_t pages[][2] = {{0, 100},  {0, 0},      {50, 1},     {1950, 100},
                                      {0, ROWS}, {ROWS, 100}, {5000, 100}, {999, 1000}};
    struct prng prng;
    prng_seed(&prng, 11);
    struct item *items = mem_calloc(ROWS, sizeof(*items));
    for (unsigned kind = 0; kind < 4; kind++) {
        make_items(items, ROWS, kind, &prng);
        for (unsigned bits = 0; bits < 8; bits++) {
            for (size_t i = 0; i < ARRAY_COUNT(pages); i++) {
                struct dashboard_query q = {.is_text = bits & 1,
                                            .descends = (bits & 2) != 0,
                                            .offset = pages[i][0],
                                            .limit = pages[i][1]};
                check_page(items, &q, (bits & 4) != 0);
            }
        }
    }
    mem_free(items);
}

static void test_numbers_in_names_count(void **state)
{
    (void)state;
    AUTO_ROWS struct dashboard_rows rows = {0};
    static const char *const names[] = {"host-10", "host-9", "host-100", "host-1"};
    static const char *const sorted[] = {"host-1", "host-9", "host-10", "host-100"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        dashboard_rows_add_text(&rows, names[i], names[i]);
    struct dashboard_query q = {.is_text = true, .limit = 10};
    size_t from, to;
    dashboard_rows_select(&rows, &q, &from, &to);
    for (size_t i = from; i < to; i++)
        assert_string_equal(rows.list[i].record, sorted[i]);
    assert_int_equal(to, 4);
}

static void test_terms(void **state)
{
    (void)state;
    const struct dashboard_query q = {.terms = {"web", "7"}, .term_count = 2};
    assert_int_equal(dashboard_terms_in(&q, "WeB-7"), 3);
    assert_int_equal(dashboard_terms_in(&q, "we web"), 1);
    assert_int_equal(dashboard_terms_in(&q, "77"), 2);
    assert_int_equal(dashboard_terms_in(&q, "wewe"), 0);
    assert_int_equal(dashboard_terms_in(&q, ""), 0);
    assert_int_equal(dashboard_terms_in(&q, NULL), 0);
    assert_true(dashboard_has_all(&q, 3));
    assert_false(dashboard_has_all(&q, 1));
    // Without a search everything is found.
    const struct dashboard_query none = {0};
    assert_true(dashboard_has_all(&none, dashboard_terms_in(&none, "x")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages),
        cmocka_unit_test(test_numbers_in_names_count),
        cmocka_unit_test(test_terms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
