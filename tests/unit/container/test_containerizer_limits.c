// SPDX-License-Identifier: Apache-2.0
//
// What real containers may use, and what they used: limits of memory, swap and processors, when
// they are launched and when they are updated, and their statistics. Run as test_containerizer.c
// is: on this machine, and on both versions of cgroups in user-mode Linux.

#include "harness.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/text.h"
#include "container/cgroup_mounts.h"

#define OUT_OF_MEMORY MESOS__V1__TASK_STATUS__REASON__REASON_CONTAINER_LIMITATION_MEMORY

static const struct hard_limits no_limits;

static void check_oom(struct world *w, const char *id)
{
    struct outcome *o = world_outcome(w, id);
    assert_true(o->has_reason);
    assert_int_equal(o->reason, OUT_OF_MEMORY);
    assert_true(
        text_starts_with(o->message, "Memory limit exceeded: Requested: 40MB Maximum Used: "));
    assert_non_null(strstr(o->message, "\n\nMEMORY STATISTICS: \n"));
    assert_true(o->limited_mem > 30000 && o->limited_mem <= 41000);
}

static void test_memory_limit(void **state)
{
    BEGIN(state);
    if (!world_has_cgroups(w)) {
        world_end(w);
        skip();
    }
    // The hog itself is the first process, a child of it, and one of many.
    world_run(
        w, &(struct order){.id = "hog", .shell = "exec " HOG " 200", .resources = "cpus:1;mem:40"});
    check_oom(w, "hog");
    world_run(w, &(struct order){
                     .id = "child", .shell = HOG " 200; sleep 1000", .resources = "cpus:1;mem:40"});
    check_oom(w, "child");
    // Just below the limit it lives.
    struct outcome *o = world_run(
        w, &(struct order){.id = "modest", .shell = HOG " 20", .resources = "cpus:1;mem:40"});
    assert_false(o->has_reason);
    assert_int_equal(o->status, 0);
    world_end(w);
}

static void limit_swap(struct containerizer_options *options)
{
    options->cgroups_limit_swap = true;
}

// Memory and swap together, where the kernel counts swap.
static void test_swap_limit(void **state)
{
    const struct setting *setting = *state;
    if (strcmp(setting->launcher, "linux") != 0 || geteuid() != 0) {
        skip();
    }
    struct cgroup_mounts mounts = {0};
    assert_int_equal(cgroup_mounts_find(&mounts, "/sys/fs/cgroup", NULL), 0);
    AUTO_FREE char *file =
        mem_printf("%s/memory.memsw.limit_in_bytes",
                   mounts.v1[CGROUP_MEMORY] == NULL ? "" : mounts.v1[CGROUP_MEMORY]);
    bool there = mounts.v1[CGROUP_FREEZER] == NULL || access(file, F_OK) == 0;
    cgroup_mounts_free(&mounts);
    if (!there) {
        skip();
    }
    struct world *w = world_begin_with(setting, limit_swap);
    world_run(
        w, &(struct order){.id = "hog", .shell = "exec " HOG " 200", .resources = "cpus:1;mem:40"});
    check_oom(w, "hog");
    world_launch(
        w, &(struct order){.id = "grow", .shell = "exec sleep 1000", .resources = "cpus:1;mem:40"});
    world_wait_launched(w, 2);
    AUTO_RESOURCES struct resources *more = NULL;
    assert_int_equal(resources_parse("cpus:1;mem:128", "*", &more, NULL), 0);
    struct error err = {0};
    if (containerizer_update(w->c, "grow", more, &no_limits, &err) < 0) {
        fail_msg("%s", err.text);
    }
    containerizer_destroy(w->c, "grow");
    world_wait_all(w);
    world_end(w);
}

static void test_memory_raised(void **state)
{
    BEGIN(state);
    if (!world_has_cgroups(w)) {
        world_end(w);
        skip();
    }
    world_launch(w, &(struct order){.id = "grow",
                                    .shell = "sleep 0.3; exec " HOG " 80",
                                    .resources = "cpus:1;mem:40"});
    world_wait_launched(w, 1);
    AUTO_RESOURCES struct resources *more = NULL, *less = NULL;
    assert_int_equal(resources_parse("cpus:1;mem:128", "*", &more, NULL), 0);
    assert_int_equal(resources_parse("cpus:1;mem:40", "*", &less, NULL), 0);
    assert_int_equal(containerizer_update(w->c, "grow", more, &no_limits, NULL), 0);
    // A running container's hard limit is never lowered.
    assert_int_equal(containerizer_update(w->c, "grow", less, &no_limits, NULL), 0);
    world_wait_all(w);
    struct outcome *o = world_outcome(w, "grow");
    assert_false(o->has_reason);
    assert_int_equal(o->status, 0);
    world_end(w);
}

// What stands in a control file of a container: version 1's or version 2's name. NULL: there are no
// controllers.
static const char *control(struct world *w, const char *id, int controller, const char *v1,
                           const char *v2)
{
    struct cgroup_mounts mounts = {0};
    assert_int_equal(cgroup_mounts_find(&mounts, "/sys/fs/cgroup", NULL), 0);
    const char *mount = mounts.v1[controller] != NULL ? mounts.v1[controller] : mounts.v2;
    const char *name = mounts.v1[controller] != NULL ? v1 : v2;
    AUTO_FREE char *path = mem_printf("%s/%s/%s/%s", mount == NULL ? "" : mount, w->root, id, name);
    cgroup_mounts_free(&mounts);
    char *text;
    size_t size;
    struct error err = {0};
    if (file_read(path, 4096, &text, &size, &err) < 0) {
        fail_msg("%s", err.text);
    }
    const char *copy = arena_strdup(w->arena, text_trim(text));
    mem_free(text);
    return copy;
}

static void test_hard_limits(void **state)
{
    BEGIN(state);
    if (!world_has_cgroups(w)) {
        world_end(w);
        skip();
    }
    struct hard_limits some = {.cpus = 1500, .mem = 128000};
    struct hard_limits infinite = {.cpus = HARD_LIMIT_INFINITE, .mem = HARD_LIMIT_INFINITE};
    const char *score = "cat /proc/self/oom_score_adj";
    struct order order = {.id = "fits",
                          .shell = "cat /proc/self/oom_score_adj; exec " HOG " 80",
                          .resources = "cpus:0.5;mem:40",
                          .limits = some,
                          .is_burstable = true};
    struct outcome *o = world_run(w, &order);
    assert_false(o->has_reason);
    assert_int_equal(o->status, 0);
    int adjusted = atoi(world_file(w, "fits", "stdout"));
    assert_true(adjusted > 900 && adjusted < 1000);
    order.id = "exceeds";
    order.shell = "exec " HOG " 200";
    o = world_run(w, &order);
    assert_int_equal(o->reason, OUT_OF_MEMORY);
    assert_non_null(strstr(o->message, "Requested: 128MB"));
    order.id = "infinite";
    order.limits = infinite;
    o = world_run(w, &order);
    assert_false(o->has_reason);
    assert_int_equal(o->status, 0);

    // Executors of several tasks are not preferred, and neither is what has no room above its
    // request.
    order = (struct order){.id = "plain", .shell = score, .limits = some};
    world_run(w, &order);
    assert_string_equal(world_file(w, "plain", "stdout"), "0\n");
    order = (struct order){.id = "same", .shell = score, .is_burstable = true};
    world_run(w, &order);
    assert_string_equal(world_file(w, "same", "stdout"), "0\n");
    world_end(w);
}

static void leave_cpus_free(struct containerizer_options *options)
{
    options->cgroups_enable_cfs = false;
}

static void test_cpu_quota(void **state)
{
    struct world *w = world_begin_with(*state, leave_cpus_free);
    if (w == NULL || !world_has_cgroups(w)) {
        if (w != NULL) {
            world_end(w);
        }
        skip();
        return;
    }
    struct hard_limits half = {.cpus = 1500};
    struct hard_limits infinite = {.cpus = HARD_LIMIT_INFINITE};
    world_launch(w, &(struct order){.id = "q", .shell = "exec sleep 1000", .limits = half});
    world_wait_launched(w, 1);
    AUTO_RESOURCES struct resources *same = NULL;
    assert_int_equal(resources_parse("cpus:1;mem:64", "*", &same, NULL), 0);
    const char *now = control(w, "q", CGROUP_CPU, "cpu.cfs_quota_us", "cpu.max");
    assert_true(text_starts_with(now, "150000"));
    Mesos__V1__ResourceStatistics *statistics;
    assert_int_equal(containerizer_usage(w->c, "q", w->arena, &statistics, NULL), 0);
    assert_true(statistics->has_cpus_limit && statistics->cpus_limit == 1.5);
    assert_true(statistics->cpus_soft_limit == 1);
    assert_int_equal(containerizer_update(w->c, "q", same, &infinite, NULL), 0);
    now = control(w, "q", CGROUP_CPU, "cpu.cfs_quota_us", "cpu.max");
    assert_true(text_starts_with(now, "-1") || text_starts_with(now, "max"));
    assert_int_equal(containerizer_usage(w->c, "q", w->arena, &statistics, NULL), 0);
    assert_true(statistics->cpus_limit == (double)sysconf(_SC_NPROCESSORS_ONLN));
    // What was limited by a task that has gone is free again.
    assert_int_equal(containerizer_update(w->c, "q", same, &half, NULL), 0);
    assert_int_equal(containerizer_update(w->c, "q", same, &no_limits, NULL), 0);
    now = control(w, "q", CGROUP_CPU, "cpu.cfs_quota_us", "cpu.max");
    assert_true(text_starts_with(now, "-1") || text_starts_with(now, "max"));
    containerizer_destroy(w->c, "q");
    world_wait_all(w);
    world_end(w);
}

static Mesos__V1__ResourceStatistics *usage(struct world *w, const char *id)
{
    Mesos__V1__ResourceStatistics *statistics;
    struct error err = {0};
    if (containerizer_usage(w->c, id, w->arena, &statistics, &err) < 0) {
        fail_msg("containerizer_usage: %s", err.text);
    }
    return statistics;
}

static void test_cpu_limit(void **state)
{
    BEGIN(state);
    if (!world_has_cgroups(w)) {
        world_end(w);
        skip();
    }
    world_launch(w, &(struct order){.id = "spin",
                                    .shell = "while :; do :; done",
                                    .resources = "cpus:0.2;mem:40"});
    world_wait_launched(w, 1);
    world_sleep(w, 200 * NS_PER_MS);
    struct instant from = env_refresh_now(w->env);
    Mesos__V1__ResourceStatistics *before = usage(w, "spin");
    world_sleep(w, 2 * NS_PER_S);
    Mesos__V1__ResourceStatistics *after = usage(w, "spin");
    double wall = (double)(env_refresh_now(w->env).mono - from.mono) / 1e9;
    double used = after->cpus_user_time_secs + after->cpus_system_time_secs -
                  before->cpus_user_time_secs - before->cpus_system_time_secs;
    assert_true(used / wall < 0.26);
    assert_true(used / wall > 0.05); // a busy machine may give it less
    assert_true(after->cpus_nr_throttled > before->cpus_nr_throttled);
    assert_true(after->has_cpus_limit && after->cpus_limit == 0.2);
    containerizer_destroy(w->c, "spin");
    world_wait_all(w);
    world_end(w);
}

static void test_usage(void **state)
{
    BEGIN(state);
    world_launch(w, &(struct order){
                        .id = "busy",
                        .shell = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; sleep 1000"});
    world_wait_launched(w, 1);
    world_sleep(w, 1500 * NS_PER_MS);
    Mesos__V1__ResourceStatistics *statistics = usage(w, "busy");
    assert_true(statistics->has_cpus_user_time_secs && statistics->cpus_user_time_secs > 0.02);
    assert_true(statistics->has_mem_rss_bytes && statistics->mem_rss_bytes > 50000);
    assert_int_equal(statistics->mem_limit_bytes, 64 << 20);
    assert_true(statistics->timestamp > 1.6e9);
    containerizer_destroy(w->c, "busy");
    world_wait_all(w);
    assert_int_equal(containerizer_usage(w->c, "busy", w->arena, &statistics, NULL), -ENOENT);
    world_end(w);
}

// An argument names the tests to run: "test_user*".
int main(int argc, char **argv)
{
    if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
    }
    const struct CMUnitTest tests[] = {
        BOTH(test_memory_limit), BOTH(test_memory_raised), BOTH(test_hard_limits),
        BOTH(test_cpu_quota),    BOTH(test_swap_limit),    BOTH(test_cpu_limit),
        BOTH(test_usage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
