// SPDX-License-Identifier: Apache-2.0
//
// The parts of src/container that need no container: mount tables, isolation names, URIs, orders,
// the books of the fetcher's cache.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/text.h"
#include "container/cgroup_mounts.h"
#include "container/containerizer.h"
#include "container/fetch_cache.h"
#include "container/isolation.h"
#include "container/order_write.h"
#include "container/uri.h"

// ---- mounts ----

static struct cgroup_mounts parse(const char *text)
{
    struct cgroup_mounts mounts = {0};
    AUTO_FREE char *copy = mem_strdup(text);
    cgroup_mounts_parse(&mounts, copy, "/sys/fs/cgroup");
    return mounts;
}

static int choose(const struct cgroup_mounts *mounts, bool cpu, bool memory, struct error *err)
{
    struct cgroup_driver driver = {.cpu = cpu, .memory = memory};
    return cgroup_mounts_choose(mounts, &driver, err);
}

static void test_mounts_one_by_one(void **state)
{
    (void)state;
    struct cgroup_mounts mounts =
        parse("31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n"
              "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n"
              "33 31 0:30 / /sys/fs/cgroup/cpuacct rw - cgroup cgroup rw,cpuacct\n"
              "35 31 0:32 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory\n"
              "37 31 0:34 / /sys/fs/cgroup/freezer rw - cgroup cgroup rw,freezer\n"
              "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n");
    assert_string_equal(mounts.v1[CGROUP_CPU], "/sys/fs/cgroup/cpu");
    assert_string_equal(mounts.v1[CGROUP_CPUACCT], "/sys/fs/cgroup/cpuacct");
    assert_string_equal(mounts.v1[CGROUP_MEMORY], "/sys/fs/cgroup/memory");
    assert_string_equal(mounts.v1[CGROUP_FREEZER], "/sys/fs/cgroup/freezer");
    assert_string_equal(mounts.v2, "/sys/fs/cgroup/unified");
    assert_int_equal(choose(&mounts, true, true, NULL), 1);
    cgroup_mounts_free(&mounts);
}

static void test_mounts_together(void **state)
{
    (void)state;
    struct cgroup_mounts mounts =
        parse("1 1 0:1 / /elsewhere/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
              "2 1 0:1 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
              "3 1 0:1 / /other/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
              "4 1 0:2 / /sys/fs/cgroup/a\\040b rw - cgroup cgroup rw,xattr,memory,freezer\n");
    assert_string_equal(mounts.v1[CGROUP_CPU], "/sys/fs/cgroup/cpu,cpuacct");
    assert_string_equal(mounts.v1[CGROUP_CPUACCT], "/sys/fs/cgroup/cpu,cpuacct");
    assert_string_equal(mounts.v1[CGROUP_MEMORY], "/sys/fs/cgroup/a b");
    assert_int_equal(choose(&mounts, true, true, NULL), 1);
    cgroup_mounts_free(&mounts);
}

static void test_mounts_unified(void **state)
{
    (void)state;
    struct cgroup_mounts mounts = parse("1 1 0:1 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
    assert_null(mounts.v1[CGROUP_CPU]);
    mounts.v2_has[CGROUP_FREEZER] = mounts.v2_has[CGROUP_CPUACCT] = true;
    mounts.v2_has[CGROUP_CPU] = true;
    assert_int_equal(choose(&mounts, true, false, NULL), 2);
    struct error err = {0};
    assert_int_equal(choose(&mounts, true, true, &err), -ENOENT);
    assert_non_null(strstr(err.text, "does not offer 'memory'"));
    mounts.v2_has[CGROUP_MEMORY] = true;
    assert_int_equal(choose(&mounts, true, true, NULL), 2);
    cgroup_mounts_free(&mounts);
}

static void test_mounts_missing(void **state)
{
    (void)state;
    struct cgroup_mounts mounts =
        parse("garbage\n\n1 2 - cgroup\n1 2 3 4 - cgroup cgroup rw,cpu\n");
    struct error err = {0};
    assert_int_equal(choose(&mounts, false, false, &err), -ENOENT);
    assert_string_equal(err.text, "The cgroup controller 'freezer' is not mounted");
    cgroup_mounts_free(&mounts);
}

// ---- isolation ----

static void test_isolation(void **state)
{
    (void)state;
    struct isolation isolation;
    struct error err = {0};
    assert_int_equal(isolation_parse("posix/cpu,posix/mem", &isolation, NULL), 0);
    assert_true(isolation.posix_cpu && isolation.posix_memory && !isolation.cgroups_cpu);
    assert_int_equal(isolation_parse("cgroups/mem,filesystem/posix", &isolation, NULL), 0);
    assert_true(isolation.cgroups_memory && !isolation.cgroups_cpu && !isolation.posix_cpu);
    assert_int_equal(isolation_parse("cgroups", &isolation, NULL), 0);
    assert_true(isolation.cgroups_memory && isolation.cgroups_cpu);
    assert_int_equal(isolation_parse("posix/cpu,nonsense", &isolation, &err), -EINVAL);
    assert_string_equal(err.text, "Unknown or unsupported isolator 'nonsense'");
    assert_int_equal(isolation_parse("posix/cpu,posix/cpu", &isolation, &err), -EINVAL);
    assert_string_equal(err.text,
                        "Duplicate entries found in --isolation flag 'posix/cpu,posix/cpu'");
}

// ---- URIs ----

static void test_uris(void **state)
{
    (void)state;
    static const struct {
        const char *uri, *name;
    } rows[] = {
        {"http://host/a/b.tgz", "b.tgz"},
        {"http://host/b?x=1", "b?x=1"},
        {"/a/b", "b"},
        {"b", "b"},
        {"file:///a/b", "b"},
        {"http://host", NULL},
        {"http://host/", NULL},
        {"http://host/a/", NULL},
        {"a'b", NULL},
        {"a\\b", NULL},
        {"/a/..", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        const char *name = NULL;
        int code = uri_basename(rows[i].uri, &name, NULL);
        assert_int_equal(code, rows[i].name == NULL ? -EINVAL : 0);
        if (rows[i].name != NULL) {
            assert_string_equal(name, rows[i].name);
        }
    }
    static const char *const good[] = {"a", "a/b", "a/..b", ".../b"};
    static const char *const bad[] = {"", "/a", "../a", "a/../b", "a/..", "a/"};
    for (size_t i = 0; i < ARRAY_COUNT(good); i++) {
        assert_int_equal(uri_check_output(good[i], NULL), 0);
    }
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        assert_int_equal(uri_check_output(bad[i], NULL), -EINVAL);
    }
}

// ---- orders ----

static void test_orders(void **state)
{
    (void)state;
    AUTO_BUF struct buf buf = BUF_INIT;
    gid_t groups[] = {7, 8};
    struct user user = {.uid = 5, .gid = 6, .groups = groups, .group_count = 2};
    order_put_text(&buf, ORDER_DIRECTORY, "/x");
    order_put_user(&buf, &user);
    order_put_text(&buf, ORDER_ARGUMENT, "");
    AUTO_CLOSE int fd = -1;
    assert_int_equal(order_open(&buf, &fd, NULL), 0);
    struct order_reader reader;
    struct order_record record;
    int64_t number;
    assert_int_equal(order_map(fd, &reader), 0);
    assert_int_equal(order_next(&reader, &record), 1);
    assert_int_equal(record.tag, ORDER_DIRECTORY);
    assert_string_equal(record.data, "/x");
    for (int64_t want = 5; want <= 8; want++) {
        assert_int_equal(order_next(&reader, &record), 1);
        assert_int_equal(order_number(&record, 0, &number), 0);
        assert_int_equal(number, want);
    }
    assert_int_equal(order_number(&record, 1, &number), -EBADMSG);
    assert_int_equal(order_next(&reader, &record), 1);
    assert_int_equal(record.size, 0);
    assert_int_equal(order_next(&reader, &record), 0);
    // Cut anywhere, it is malformed or shorter, and never read beyond its end.
    for (size_t size = 1; size < buf.size; size++) {
        char *copy = mem_dup(buf.data, size);
        struct order_reader cut = {.at = copy, .end = copy + size};
        while (order_next(&cut, &record) > 0) {
        }
        mem_free(copy);
    }
}

// ---- the cache ----

struct cache_world {
    char directory[64];
    struct fetch_cache cache;
};

static void cache_begin(struct cache_world *w, uint64_t size_max)
{
    snprintf(w->directory, sizeof(w->directory), "/tmp/meseta-cache-XXXXXX");
    assert_non_null(mkdtemp(w->directory));
    fetch_cache_init(&w->cache, w->directory, size_max);
}

static void cache_end(struct cache_world *w)
{
    fetch_cache_free(&w->cache);
    assert_int_equal(path_remove_tree(w->directory, NULL), 0);
}

static struct fetch_entry *add(struct cache_world *w, const char *uri, size_t size)
{
    struct fetch_entry *entry;
    struct error err = {0};
    if (fetch_cache_add(&w->cache, NULL, NULL, uri, &entry, &err) < 0) {
        fail_msg("%s", err.text);
    }
    assert_true(entry->is_pending);
    assert_true(fetch_cache_reserve(&w->cache, entry, size));
    char *data = mem_zalloc(size);
    assert_int_equal(file_write(entry->path, data, size, NULL), 0);
    mem_free(data);
    assert_int_equal(fetch_cache_settle(&w->cache, entry), 0);
    return entry;
}

static void test_cache_evicts(void **state)
{
    (void)state;
    struct cache_world w;
    cache_begin(&w, 100);
    struct fetch_entry *a = add(&w, "/a", 40);
    add(&w, "/b", 40);
    assert_ptr_equal(fetch_cache_get(&w.cache, NULL, "/a"), a);
    assert_null(fetch_cache_get(&w.cache, "user", "/a"));
    add(&w, "/c", 50);
    assert_null(fetch_cache_get(&w.cache, NULL, "/b"));
    assert_ptr_equal(fetch_cache_get(&w.cache, NULL, "/a"), a);
    assert_int_equal(w.cache.size_used, 90);
    // What is in use stays, and nothing is evicted when it would not do.
    a->references = 1;
    struct fetch_entry *d;
    assert_int_equal(fetch_cache_add(&w.cache, NULL, NULL, "/d", &d, NULL), 0);
    assert_false(fetch_cache_reserve(&w.cache, d, 61));
    assert_non_null(fetch_cache_get(&w.cache, NULL, "/c"));
    assert_false(fetch_cache_reserve(&w.cache, d, 101));
    assert_true(fetch_cache_reserve(&w.cache, d, 60));
    assert_null(fetch_cache_get(&w.cache, NULL, "/c"));
    assert_int_equal(w.cache.size_used, 100);
    fetch_cache_drop(&w.cache, d);
    assert_int_equal(w.cache.size_used, 40);
    a->references = 0;
    cache_end(&w);
}

static void test_cache_checks_files(void **state)
{
    (void)state;
    struct cache_world w;
    cache_begin(&w, 100);
    struct fetch_entry *a = add(&w, "/a", 10);
    assert_int_equal(truncate(a->path, 5), 0);
    assert_null(fetch_cache_get(&w.cache, NULL, "/a"));
    assert_int_equal(w.cache.size_used, 0);
    a = add(&w, "http://h/a-very-long-name-with-a-suffix.tar.gz", 10);
    assert_true(text_ends_with(a->path, "-a-very-lon_fix.tar.gz"));
    assert_int_equal(unlink(a->path), 0);
    assert_int_equal(symlink("/etc/passwd", a->path), 0);
    assert_null(fetch_cache_get(&w.cache, NULL, "http://h/a-very-long-name-with-a-suffix.tar.gz"));
    cache_end(&w);
}

static void test_machine_resources(void **state)
{
    (void)state;
    AUTO_RESOURCES struct resources *resources = NULL;
    struct error err = {0};
    assert_int_equal(containerizer_machine_resources("/tmp", &resources, &err), 0);
    assert_int_equal(resources_scalar(resources, "cpus"), sysconf(_SC_NPROCESSORS_ONLN) * 1000);
    assert_true(resources_scalar(resources, "mem") > 64000);
    assert_true(resources_scalar(resources, "disk") >= 1000);
    AUTO_BUF struct buf ports = BUF_INIT;
    assert_true(resources_put_ranges_text(resources, "ports", &ports));
    assert_string_equal(ports.data, "[31000-32000]");
    struct resources *none = NULL;
    assert_int_equal(containerizer_machine_resources("/no/such/place", &none, &err), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mounts_one_by_one),
        cmocka_unit_test(test_mounts_together),
        cmocka_unit_test(test_mounts_unified),
        cmocka_unit_test(test_mounts_missing),
        cmocka_unit_test(test_isolation),
        cmocka_unit_test(test_uris),
        cmocka_unit_test(test_orders),
        cmocka_unit_test(test_cache_evicts),
        cmocka_unit_test(test_cache_checks_files),
        cmocka_unit_test(test_machine_resources),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
