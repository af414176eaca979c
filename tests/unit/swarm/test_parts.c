// SPDX-License-Identifier: Apache-2.0
//
// The swarm's parts that need no master: its histogram, what it reads of a process, its flags.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/flags.h"
#include "base/mem.h"
#include "base/prng.h"
#include "swarm/stats.h"
#include "swarm/swarm.h"
#include "swarm/watch.h"

enum { VALUES = 20000 };

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void test_histogram(void **state)
{
    (void)state;
    static const double parts[] = {0, 0.1, 0.5, 0.9, 0.99, 0.999, 1};
    struct histogram *h = mem_zalloc(sizeof(*h));
    uint64_t *values = mem_calloc(VALUES, sizeof(*values));
    struct prng prng;
    assert_int_equal(histogram_at(h, 0.5), 0);
    prng_seed(&prng, 7);
    for (size_t i = 0; i < VALUES; i++) {
        // From single nanoseconds to hours.
        values[i] = prng_below(&prng, UINT64_C(1) << prng_below(&prng, 44));
        histogram_add(h, (int64_t)values[i]);
    }
    qsort(values, VALUES, sizeof(*values), compare);
    for (size_t i = 0; i < ARRAY_COUNT(parts); i++) {
        size_t at = (size_t)(parts[i] * VALUES);
        uint64_t exact = values[at < VALUES ? at : VALUES - 1];
        uint64_t found = histogram_at(h, parts[i]);
        assert_true(found >= exact);
        assert_true((double)found <= (double)exact * 1.032 + 1);
    }
    assert_int_equal(histogram_at(h, 1), values[VALUES - 1]);
    histogram_add(h, -5);
    assert_int_equal(h->count, VALUES + 1);
    mem_free(values);
    mem_free(h);
}

static void test_watch(void **state)
{
    (void)state;
    struct watch watch;
    struct error err;
    assert_int_equal(watch_begin(&watch, (int)getpid(), &err), 0);
    struct watch_sample before = watch_read(&watch);
    assert_true(before.resident_size > 100000);
    assert_true(before.resident_size_max >= before.resident_size);
    volatile uint64_t sum = 0;
    struct watch_sample after;
    assert_int_equal(sum, 0);
    do {
        for (int i = 0; i < 10000000; i++)
            sum += (uint64_t)i;
        after = watch_read(&watch);
    } while (after.cpu_seconds <= before.cpu_seconds);
    assert_true(after.user_seconds <= after.cpu_seconds);
    if (watch.counter >= 0)
        assert_true(after.instructions > before.instructions);
    else
        assert_true(watch.why.text[0] != '\0');
    watch_end(&watch);
    // Nobody, and a process that there is not.
    assert_int_equal(watch_begin(&watch, 0, &err), 0);
    assert_int_equal(watch_read(&watch).resident_size, 0);
    assert_true(watch_begin(&watch, 0x3fffffff, &err) < 0);
    assert_non_null(strstr(err.text, "1073741823"));
}

static void test_flags(void **state)
{
    (void)state;
    static const struct {
        const char *flag;
        const char *complaint;
    } bad[] = {
        {"--agents=1000001", "--agents"},
        {"--connections=19001", "--connections"},
        {"--frameworks=5001", "--frameworks"},
        {"--distribution=normal", "'normal'"},
        {"--task_failures=1.5", "--task_failures"},
        {"--rate=-1", "--rate"},
        {"--outage=-1secs", "outage"},
        {"--timeout=0ns", "--timeout"},
        {"--tasks=100000001", "--tasks"},
        {"--master_pid=99999999999", "--master_pid"},
        {"--hold_for=5secs", "--hold"},
        {"--task_labels=101", "--task_labels"},
        {"--tasks_per_offer=1001", "--tasks_per_offer"},
        {"--nothing=1", "nothing"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct swarm_options options = {0};
        struct error err = {0};
        char *arguments[] = {(char *)(uintptr_t) "mesos-swarm",
                             (char *)(uintptr_t) "--master=127.0.0.1:5050",
                             (char *)(uintptr_t)bad[i].flag, NULL};
        assert_true(swarm_options_parse(&options, 3, arguments, &err) < 0);
        assert_non_null(strstr(err.text, bad[i].complaint));
    }
    struct swarm_options options = {0};
    struct error err = {0};
    char *both[] = {
        (char *)(uintptr_t) "mesos-swarm", (char *)(uintptr_t) "--master=127.0.0.1:5050",
        (char *)(uintptr_t) "--tasks_per_offer=2", (char *)(uintptr_t) "--rate=5", NULL};
    assert_true(swarm_options_parse(&options, 4, both, &err) < 0);
    assert_non_null(strstr(err.text, "--tasks_per_offer and --rate"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_histogram),
        cmocka_unit_test(test_watch),
        cmocka_unit_test(test_flags),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
