// SPDX-License-Identifier: Apache-2.0
//
// The same story for each kind of store, and what only a file can show: it survives.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "store/store.h"

// What callbacks say, in order.
static struct buf said;

static void on_loaded(void *ctx, int result, const struct store_item *items, size_t count,
                      const struct error *err)
{
    (void)ctx;
    assert_int_equal(result, 0);
    assert_null(err);
    buf_puts(&said, "load:");
    for (size_t i = 0; i < count; i++) {
        buf_printf(&said, " %s=%.*s", items[i].key, (int)items[i].size,
                   (const char *)items[i].value);
    }
    buf_puts(&said, ";");
}

static void on_durable(void *ctx, int result, const struct error *err)
{
    buf_printf(&said, "%s:%d;", (const char *)ctx, result);
    assert_int_equal(result == 0, err == NULL);
}

static void expect_said(const char *expected)
{
    buf_putc(&said, '\0');
    assert_string_equal(said.data, expected);
    buf_free(&said);
}

static struct store_item item(const char *key, const char *value)
{
    return (struct store_item){
        .key = key, .value = value, .size = value != NULL ? strlen(value) : 0};
}

static void tell_story(struct store *store)
{
    assert_false(store_is_pending(store));
    const struct store_item first[] = {item("b", "2"), item("a", "1"), item("c", "")};
    store_apply(store, first, 3, on_durable, (void *)"first");
    store_load(store, on_loaded, NULL);
    const struct store_item second[] = {item("a", NULL), item("x", NULL), item("b", "3"),
                                        item("b", "4")};
    store_apply(store, second, 4, on_durable, (void *)"second");
    store_apply(store, NULL, 0, on_durable, (void *)"barrier");
    store_load(store, on_loaded, NULL);
    assert_true(store_is_pending(store));
    assert_null(said.data);
    store_flush(store);
    assert_false(store_is_pending(store));
    expect_said("first:0;load: a=1 b=2 c=;second:0;barrier:0;load: b=4 c=;");
    store_flush(store);
    assert_null(said.data);
}

static void test_memory(void **state)
{
    (void)state;
    struct store *store = store_memory_new();
    tell_story(store);
    const struct store_item late = item("z", "1");
    store_apply(store, &late, 1, on_durable, (void *)"never");
    store_free(store);
    assert_null(said.data);
    assert_null(store_free(NULL));
}

static char directory[] = "/tmp/meseta-test-store-XXXXXX";
static char path[64];
static char bad_path[64];

static int make_directory(void **state)
{
    (void)state;
    if (mkdtemp(directory) == NULL) {
        return -1;
    }
    snprintf(path, sizeof(path), "%s/db", directory);
    snprintf(bad_path, sizeof(bad_path), "%s/bad", directory);
    return 0;
}

static int remove_directory(void **state)
{
    (void)state;
    unlink(path);
    unlink(bad_path);
    return rmdir(directory);
}

static struct store *open_sqlite(void)
{
    struct store *store = NULL;
    struct error err = {0};
    if (store_sqlite_open(path, &store, &err) != 0) {
        fail_msg("%s", err.text);
    }
    return store;
}

static void test_sqlite(void **state)
{
    (void)state;
    struct store *store = open_sqlite();
    tell_story(store);
    struct store *other = NULL;
    struct error err;
    assert_int_equal(store_sqlite_open(path, &other, &err), -EBUSY);
    store_free(store);
    store = open_sqlite();
    store_load(store, on_loaded, NULL);
    store_flush(store);
    expect_said("load: b=4 c=;");
    store_free(store);
}

// SQLite's syncs come by here.
static unsigned syncs;

int fdatasync(int fd)
{
    syncs++;
    return (int)syscall(SYS_fdatasync, fd);
}

// What need not outlive the machine costs no sync; the next synced flush carries it along.
static void test_sqlite_without_sync(void **state)
{
    (void)state;
    struct store *store = open_sqlite();
    const struct store_item one = item("k", "1"), two = item("k", "2"), gone = item("k", NULL);
    syncs = 0;
    store_apply(store, &one, 1, NULL, NULL);
    store_flush(store);
    unsigned synced = syncs;
    assert_true(synced > 0);
    store_set_synced(store, false);
    store_apply(store, &two, 1, on_durable, (void *)"unsynced");
    store_flush(store);
    store_apply(store, &gone, 1, NULL, NULL);
    store_flush(store);
    store_apply(store, &two, 1, NULL, NULL);
    store_flush(store);
    assert_int_equal(syncs, synced);
    store_set_synced(store, true);
    store_apply(store, &(struct store_item){.key = "l", .value = "3", .size = 1}, 1, NULL, NULL);
    store_flush(store);
    assert_true(syncs > synced);
    store_free(store);
    store = open_sqlite();
    store_load(store, on_loaded, NULL);
    const struct store_item both[] = {gone, item("l", NULL)};
    store_apply(store, both, 2, NULL, NULL);
    store_flush(store);
    expect_said("unsynced:0;load: b=4 c= k=2 l=3;");
    store_free(store);
}

static void test_sqlite_errors(void **state)
{
    (void)state;
    struct store *store = NULL;
    struct error err;
    assert_int_equal(store_sqlite_open("/nonexistent/db", &store, &err), -ENOENT);
    assert_non_null(strstr(err.text, "/nonexistent/db: Failed to open the store: "));
    FILE *file = fopen(bad_path, "w");
    assert_non_null(file);
    for (int i = 0; i < 1000; i++) {
        fputs("this is no database\n", file);
    }
    fclose(file);
    assert_int_equal(store_sqlite_open(bad_path, &store, &err), -EBADMSG);
    assert_null(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_sqlite),
        cmocka_unit_test(test_sqlite_without_sync),
        cmocka_unit_test(test_sqlite_errors),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
