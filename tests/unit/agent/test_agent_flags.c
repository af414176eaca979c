// SPDX-License-Identifier: Apache-2.0
//
// The flags of mesos-agent: what is taken, and what is refused although Mesos has it.

// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include <errno.h>
#include <string.h>

#include "api/agent_flags.h"
#include "base/mem.h"

#define PARSE(f, err, ...)                                                                         \
    parse((f), (err), (const char *const[]){"mesos-agent", __VA_ARGS__, NULL})

static int parse(struct agent_flags *f, struct error *err, const char *const *words)
{
    memset(f, 0, sizeof(*f));
    int count = 0;
    while (words[count] != NULL) {
        count++;
    }
    return agent_flags_parse(f, count, (char *const *)(uintptr_t)words, NULL, err);
}

static void test_defaults(void **state)
{
    (void)state;
    struct agent_flags f;
    struct error err;
    assert_int_equal(PARSE(&f, &err, "--master=h:1", "--work_dir=/w"), 0);
    assert_int_equal(f.port, 5051);
    assert_string_equal(f.isolation, "posix/cpu,posix/mem");
    assert_true(f.switch_user);
    assert_int_equal(f.gc_delay, INT64_C(7) * 24 * 3600 * 1000000000);
    assert_int_equal(f.max_completed_executors_per_framework, 150);
    agent_flags_free(&f);
}

static void test_libprocess_port(void **state)
{
    (void)state;
    char port[] = "LIBPROCESS_PORT=6000", bad[] = "LIBPROCESS_PORT=x";
    char *environment[] = {port, NULL}, *bad_environment[] = {bad, NULL};
    char name[] = "mesos-agent", master[] = "--master=h:1", work[] = "--work_dir=/w";
    char given[] = "--port=7000";
    char *words[] = {name, master, work, given, NULL};
    struct agent_flags f = {0};
    struct error err;
    assert_int_equal(agent_flags_parse(&f, 3, words, environment, &err), 0);
    assert_int_equal(f.port, 6000);
    agent_flags_free(&f);
    memset(&f, 0, sizeof(f));
    assert_int_equal(agent_flags_parse(&f, 4, words, environment, &err), 0);
    assert_int_equal(f.port, 7000);
    agent_flags_free(&f);
    memset(&f, 0, sizeof(f));
    assert_true(agent_flags_parse(&f, 3, words, bad_environment, &err) < 0);
    assert_non_null(strstr(err.text, "LIBPROCESS_PORT"));
}

static void test_required(void **state)
{
    (void)state;
    struct agent_flags f;
    struct error err;
    assert_true(PARSE(&f, &err, "--master=h:1") < 0);
    assert_non_null(strstr(err.text, "work_dir"));
    assert_true(PARSE(&f, &err, "--work_dir=/w") < 0);
    assert_non_null(strstr(err.text, "master"));
    assert_int_equal(PARSE(&f, &err, "--help"), FLAGS_HELP);
}

static void test_pending_flags_take_their_default_only(void **state)
{
    (void)state;
    struct agent_flags f;
    struct error err;
    assert_int_equal(PARSE(&f, &err, "--master=h:1", "--work_dir=/w", "--containerizers=mesos",
                           "--no-docker_ignore_runtime", "--perf_duration=10000ms"),
                     0);
    agent_flags_free(&f);
    const char *const refused[] = {
        "--containerizers=docker,mesos", "--modules_dir=x", "--perf_duration=11secs", "--hooks=",
        "--slave_subsystems=cpu",
    };
    for (size_t i = 0; i < ARRAY_COUNT(refused); i++) {
        int r = PARSE(&f, &err, "--master=h:1", "--work_dir=/w", refused[i]);
        if (r != -ENOTSUP) {
            fail_msg("%s: %d", refused[i], r);
        }
        assert_non_null(strstr(err.text, "is not supported yet"));
    }
}

static void test_values_are_checked(void **state)
{
    (void)state;
    const char *const bad[] = {
        "--port=70000",
        "--gc_disk_headroom=1.5",
        "--gc_disk_headroom=-1",
        "--disk_watch_interval=0ns",
        "--gc_delay=-1secs",
        "--executor_registration_timeout=0secs",
        "--gc_delay=fortnight",
        "--no_such_flag=1",
        "--registration_backoff_factor=0secs",
    };
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct agent_flags f;
        struct error err;
        if (PARSE(&f, &err, "--master=h:1", "--work_dir=/w", bad[i]) >= 0) {
            fail_msg("%s was taken", bad[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_libprocess_port),
        cmocka_unit_test(test_required),
        cmocka_unit_test(test_pending_flags_take_their_default_only),
        cmocka_unit_test(test_values_are_checked),
    };
    return cmocka_run_group_tests_name("agent_flags", tests, NULL, NULL);
}
