// SPDX-License-Identifier: Apache-2.0

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "client/address.h"
#include "client/backoff.h"
#include "client/executor.h"

static void test_parse(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int result;
        const char *host;
        unsigned port;
    } cases[] = {
        {"127.0.0.1:5050", 0, "127.0.0.1", 5050},
        {"host.example:1", 0, "host.example", 1},
        {"host", 0, "host", 7},
        {"[::1]:65535", 0, "::1", 65535},
        {"[fe80::2]", 0, "fe80::2", 7},
        {"", -EINVAL, NULL, 0},
        {":5050", -EINVAL, NULL, 0},
        {"host:", -EINVAL, NULL, 0},
        {"host:0", -EINVAL, NULL, 0},
        {"host:65536", -EINVAL, NULL, 0},
        {"host:x", -EINVAL, NULL, 0},
        {"host:-1", -EINVAL, NULL, 0},
        {"host:99999999999999999999", -EINVAL, NULL, 0},
        {"::1:5050", -EINVAL, NULL, 0},
        {"[::1", -EINVAL, NULL, 0},
        {"[::1]x", -EINVAL, NULL, 0},
        {"a b:1", -EINVAL, NULL, 0},
        {"user@host:1", -EINVAL, NULL, 0},
        {"host/path:1", -EINVAL, NULL, 0},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct address address = {"untouched", 9};
        struct error err = {0};
        assert_int_equal(address_parse(cases[i].text, 7, &address, &err), cases[i].result);
        assert_string_equal(address.host, cases[i].result == 0 ? cases[i].host : "untouched");
        assert_int_equal(address.port, cases[i].result == 0 ? cases[i].port : 9);
        assert_true(cases[i].result == 0 || strstr(err.text, cases[i].text) != NULL);
    }
    char longest[ADDRESS_HOST_SIZE + 8];
    memset(longest, 'a', sizeof(longest));
    struct address address;
    longest[ADDRESS_HOST_SIZE - 1] = '\0';
    assert_int_equal(address_parse(longest, 7, &address, NULL), 0);
    longest[ADDRESS_HOST_SIZE - 1] = 'a';
    longest[ADDRESS_HOST_SIZE] = '\0';
    assert_int_equal(address_parse(longest, 7, &address, NULL), -EINVAL);
}

static void test_parse_master(void **state)
{
    (void)state;
    struct address address;
    struct error err = {0};
    assert_int_equal(address_parse_master("host", &address, &err), 0);
    assert_int_equal(address.port, 5050);
    assert_int_equal(address_parse_master("http://host:1/", &address, &err), 0);
    assert_int_equal(address.port, 1);
    assert_int_equal(address_parse_master("zk://h:2181/mesos", &address, &err), -ENOTSUP);
    assert_int_equal(address_parse_master("https://h", &address, &err), -ENOTSUP);
    assert_int_equal(address_parse_master("file:///no/such/file", &address, &err), -ENOENT);

    char path[] = "/tmp/meseta-address-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, " h:77\n", 6), 6);
    close(fd);
    char uri[64];
    snprintf(uri, sizeof(uri), "file://%s", path);
    assert_int_equal(address_parse_master(uri, &address, &err), 0);
    assert_string_equal(address.host, "h");
    assert_int_equal(address.port, 77);
    unlink(path);
}

static void test_parse_location(void **state)
{
    (void)state;
    struct address address;
    assert_int_equal(address_parse_location("//a:1/api/v1/scheduler", &address, NULL), 0);
    assert_string_equal(address.host, "a");
    assert_int_equal(address_parse_location("http://b:2", &address, NULL), 0);
    assert_string_equal(address.host, "b");
    assert_int_equal(address_parse_location("//[::1]:3/x", &address, NULL), 0);
    assert_string_equal(address.host, "::1");
    static const char *const bad[] = {"", "/api", "a:1", "///api", "https://a:1", "//a:x/"};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        assert_int_equal(address_parse_location(bad[i], &address, NULL), -EINVAL);
    }
}

static void test_backoff(void **state)
{
    (void)state;
    struct backoff b;
    backoff_init(&b, 100, 450);
    static const int64_t most[] = {100, 200, 400, 450, 450};
    for (size_t i = 0; i < ARRAY_COUNT(most); i++) {
        int64_t next = backoff_next(&b);
        assert_in_range(next, most[i] / 2, most[i]);
    }
    backoff_reset(&b);
    assert_in_range(backoff_next(&b), 50, 100);
    backoff_init(&b, 100, 40); // the most wins
    assert_in_range(backoff_next(&b), 20, 40);
}

static void test_environment(void **state)
{
    (void)state;
    const char *const whole[] = {"MESOS_FRAMEWORK_ID=F",
                                 "MESOS_EXECUTOR_ID=E",
                                 "MESOS_AGENT_ENDPOINT=1.2.3.4:55",
                                 "MESOS_SLAVE_PID=slave(1)@9.9.9.9:99",
                                 "MESOS_CHECKPOINT=1",
                                 "MESOS_RECOVERY_TIMEOUT=15mins",
                                 "MESOS_SUBSCRIPTION_BACKOFF_MAX=2secs",
                                 "MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD=7secs",
                                 "MESOS_LOCAL=",
                                 NULL};
    struct executor_environment e;
    assert_int_equal(executor_environment_read((char *const *)whole, &e, NULL), 0);
    assert_string_equal(e.framework_id, "F");
    assert_string_equal(e.executor_id, "E");
    assert_string_equal(e.agent.host, "1.2.3.4");
    assert_true(e.checkpoint);
    assert_true(e.is_local);
    assert_int_equal(e.recovery_timeout_ns, 15 * 60 * NS_PER_S);
    assert_int_equal(e.backoff_max_ns, 2 * NS_PER_S);
    assert_int_equal(e.shutdown_grace_period_ns, 7 * NS_PER_S);
    assert_null(e.token);

    const char *const least[] = {"MESOS_FRAMEWORK_ID=F", "MESOS_EXECUTOR_ID=E",
                                 "MESOS_SLAVE_PID=slave(1)@9.9.9.9:99", NULL};
    assert_int_equal(executor_environment_read((char *const *)least, &e, NULL), 0);
    assert_string_equal(e.agent.host, "9.9.9.9");
    assert_int_equal(e.agent.port, 99);
    assert_false(e.checkpoint);
    assert_int_equal(e.shutdown_grace_period_ns, 5 * NS_PER_S);

    struct error err = {0};
    const char *const none[] = {NULL};
    assert_int_equal(executor_environment_read((char *const *)none, &e, &err), -EINVAL);
    assert_string_equal(err.text, "Expecting 'MESOS_FRAMEWORK_ID' to be set in the environment");
    const char *const bad[] = {"MESOS_FRAMEWORK_ID=F", "MESOS_EXECUTOR_ID=E",
                               "MESOS_SLAVE_PID=slave", NULL};
    assert_int_equal(executor_environment_read((char *const *)bad, &e, &err), -EINVAL);
    assert_string_equal(err.text, "Failed to parse MESOS_SLAVE_PID 'slave'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),       cmocka_unit_test(test_parse_master),
        cmocka_unit_test(test_backoff),     cmocka_unit_test(test_parse_location),
        cmocka_unit_test(test_environment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
