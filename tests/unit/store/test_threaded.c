// SPDX-License-Identifier: Apache-2.0
//
// SQLite behind a thread, on a real loop: what is applied is there, in order, and stays; callbacks
// come from the loop; a file that cannot be opened is said at once. Slow and full disks are a
// system test's (tests/system/test_registry_disk.py).

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "store/store_threaded.h"

enum { BATCHES = 200 };

struct scene {
    struct env *env;
    struct store *store;
    struct buf said;
    struct timer late;
    bool inside; // a call to the store is on the stack
    int left;    // answers
};

static void too_late(struct timer *timer, struct instant now)
{
    (void)timer;
    (void)now;
    fail_msg("no answer within 20 s");
}

static void note(struct scene *s)
{
    assert_false(s->inside);
    if (--s->left == 0)
        env_stop(s->env, 0);
}

static void on_durable(void *ctx, int result, const struct error *err)
{
    struct scene *s = ctx;
    assert_int_equal(result, 0);
    assert_null(err);
    buf_putc(&s->said, '.');
    note(s);
}

static void on_loaded(void *ctx, int result, const struct store_item *items, size_t count,
                      const struct error *err)
{
    struct scene *s = ctx;
    assert_int_equal(result, 0);
    assert_null(err);
    buf_printf(&s->said, "%zu", count);
    for (size_t i = 0; i < count && i < 3; i++)
        buf_printf(&s->said, " %s=%.*s", items[i].key, (int)items[i].size,
                   (const char *)items[i].value);
    note(s);
}

static void run(struct scene *s)
{
    s->inside = true;
    store_flush(s->store);
    s->inside = false;
    s->late.run = too_late;
    env_timer_set(s->env, &s->late, 20 * NS_PER_S);
    assert_int_equal(env_run(s->env), 0);
    env_timer_cancel(s->env, &s->late);
}

static void open_scene(struct scene *s, const char *path)
{
    *s = (struct scene){0};
    struct error err;
    struct store_threaded_options options = {
        .path = path, .fetch_timeout_ns = 30 * NS_PER_S, .store_timeout_ns = 30 * NS_PER_S};
    assert_int_equal(env_new(&s->env, &err), 0);
    assert_int_equal(store_threaded_open(s->env, &options, &s->store, &err), 0);
}

static void close_scene(struct scene *s)
{
    store_free(s->store);
    env_free(s->env);
    buf_free(&s->said);
}

static void put(struct scene *s, const char *key, const char *value)
{
    struct store_item item = {
        .key = key, .value = value, .size = value != NULL ? strlen(value) : 0};
    s->left++;
    store_apply(s->store, &item, 1, on_durable, s);
}

static void test_what_is_applied_stays(void **state)
{
    (void)state;
    char directory[] = "/tmp/meseta-threaded-XXXXXX";
    assert_non_null(mkdtemp(directory));
    AUTO_FREE char *path = mem_printf("%s/r.db", directory);
    struct scene s;
    open_scene(&s, path);
    s.left = 1;
    store_load(s.store, on_loaded, &s);
    put(&s, "a", "1");
    put(&s, "b", "2");
    put(&s, "a", "");
    run(&s);
    assert_string_equal(s.said.data, "0...");
    for (int i = 0; i < BATCHES; i++) {
        char key[16];
        snprintf(key, sizeof(key), "k%03d", i);
        put(&s, key, "x");
        if (i % 7 == 0) {
            s.inside = true;
            store_flush(s.store);
            s.inside = false;
        }
    }
    put(&s, "b", NULL);
    run(&s);
    close_scene(&s);

    open_scene(&s, path);
    s.left = 1;
    store_load(s.store, on_loaded, &s);
    run(&s);
    assert_string_equal(s.said.data, "201 a= k000=x k001=x");
    close_scene(&s);
    // What was applied and not flushed is dropped, without a callback.
    open_scene(&s, path);
    put(&s, "never", "x");
    close_scene(&s);
    AUTO_FREE char *command = mem_printf("rm -r %s", directory);
    assert_int_equal(system(command), 0);
}

static void test_a_file_that_cannot_be_opened(void **state)
{
    (void)state;
    struct env *env;
    struct error err;
    struct store *store;
    struct store_threaded_options options = {
        .path = "/no/such/place/r.db", .fetch_timeout_ns = NS_PER_S, .store_timeout_ns = NS_PER_S};
    assert_int_equal(env_new(&env, &err), 0);
    assert_int_equal(store_threaded_open(env, &options, &store, &err), -ENOENT);
    assert_non_null(strstr(err.text, "/no/such/place/r.db"));
    env_free(env);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_applied_stays),
        cmocka_unit_test(test_a_file_that_cannot_be_opened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
