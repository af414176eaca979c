// SPDX-License-Identifier: Apache-2.0
//
// The queue before a place that answers later: what waits goes together, in order, and nothing is
// begun before the answer.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "store/backend.h"

struct late {
    struct store *store;
    struct buf did; // what was begun
    bool is_freed;
};

static struct late late;
static struct buf said; // what callbacks said

static void begin_commit(void *place, struct store *store, const struct store_batch *batches,
                         size_t count)
{
    (void)place;
    (void)store;
    buf_puts(&late.did, "commit");
    for (size_t i = 0; i < count; i++) {
        buf_putc(&late.did, ' ');
        for (size_t k = 0; k < batches[i].count; k++)
            buf_puts(&late.did, batches[i].items[k].key);
    }
    buf_putc(&late.did, ';');
}

static void begin_walk(void *place, struct store *store)
{
    (void)place;
    (void)store;
    buf_puts(&late.did, "walk;");
}

static void free_place(void *place)
{
    (void)place;
    late.is_freed = true;
}

static void expect(struct buf *buf, const char *expected)
{
    buf_putc(buf, '\0');
    assert_string_equal(buf->data, expected);
    buf_free(buf);
}

static void put(const char *key);

static void on_durable(void *ctx, int result, const struct error *err)
{
    buf_printf(&said, "%s:%d%s;", (const char *)ctx, result, err != NULL ? err->text : "");
    if (strcmp(ctx, "chain") == 0)
        put("next");
}

static void put(const char *key)
{
    struct store_item item = {.key = key, .value = "v", .size = 1};
    store_apply(late.store, &item, 1, on_durable, (void *)(uintptr_t)key);
}

static void on_loaded(void *ctx, int result, const struct store_item *items, size_t count,
                      const struct error *err)
{
    (void)ctx;
    buf_printf(&said, "load %d%s", result, err != NULL ? err->text : "");
    for (size_t i = 0; i < count; i++)
        buf_printf(&said, " %s=%.*s", items[i].key, (int)items[i].size,
                   (const char *)items[i].value);
    buf_putc(&said, ';');
}

static int set_up(void **state)
{
    (void)state;
    static const struct store_backend backend = {
        .begin_commit = begin_commit, .begin_walk = begin_walk, .free = free_place};
    late = (struct late){.store = store_new(&backend, &late)};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    store_free(late.store);
    assert_true(late.is_freed);
    buf_free(&late.did);
    buf_free(&said);
    return 0;
}

static void test_what_waits_goes_together(void **state)
{
    (void)state;
    put("a");
    put("b");
    assert_true(store_is_pending(late.store));
    store_flush(late.store);
    assert_false(store_is_pending(late.store));
    put("c");
    store_flush(late.store);
    put("d");
    store_flush(late.store);
    put("e"); // not flushed
    expect(&late.did, "commit a b;");
    store_backend_done(late.store, 0, NULL);
    expect(&said, "a:0;b:0;");
    expect(&late.did, "commit c d;");
    store_backend_done(late.store, 0, NULL);
    expect(&said, "c:0;d:0;");
    expect(&late.did, "");
    store_flush(late.store);
    expect(&late.did, "commit e;");
}

static void test_a_load_stands_between_batches(void **state)
{
    (void)state;
    put("a");
    store_load(late.store, on_loaded, NULL);
    put("b");
    store_flush(late.store);
    expect(&late.did, "commit a;");
    store_backend_done(late.store, 0, NULL);
    expect(&late.did, "walk;");
    struct store_item second = {.key = "y", .value = "2", .size = 1};
    struct store_item first = {.key = "x", .value = "", .size = 0};
    store_backend_item(late.store, &second);
    store_backend_item(late.store, &first);
    store_backend_done(late.store, 0, NULL);
    expect(&said, "a:0;load 0 x= y=2;");
    expect(&late.did, "commit b;");
}

static void test_what_a_callback_asks_for_waits_for_a_flush(void **state)
{
    (void)state;
    put("chain");
    store_flush(late.store);
    store_backend_done(late.store, 0, NULL);
    expect(&late.did, "commit chain;");
    assert_true(store_is_pending(late.store));
    store_flush(late.store);
    expect(&late.did, "commit next;");
}

static void test_after_a_failure_nothing_is_begun(void **state)
{
    (void)state;
    put("a");
    store_flush(late.store);
    put("b");
    store_load(late.store, on_loaded, NULL);
    store_flush(late.store);
    struct error err;
    error_set(&err, -ESTALE, "gone");
    store_backend_done(late.store, -ESTALE, &err);
    AUTO_FREE char *expected =
        mem_printf("a:%dgone;b:%dgone;load %dgone;", -ESTALE, -ESTALE, -ESTALE);
    expect(&said, expected);
    expect(&late.did, "commit a;");
}

static void test_freed_while_it_is_under_way(void **state)
{
    (void)state;
    put("a");
    store_load(late.store, on_loaded, NULL);
    store_flush(late.store);
    put("b");
    expect(&said, "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_what_waits_goes_together),
        TEST(test_a_load_stands_between_batches),
        TEST(test_what_a_callback_asks_for_waits_for_a_flush),
        TEST(test_after_a_failure_nothing_is_begun),
        TEST(test_freed_while_it_is_under_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
