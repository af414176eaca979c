// SPDX-License-Identifier: Apache-2.0
//
// What needs no ZooKeeper: standalone, names and addresses. The rest is
// tests/system/test_election.py.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "election/election.h"

static Mesos__V1__MasterInfo make_master(void)
{
    Mesos__V1__MasterInfo master = MESOS__V1__MASTER_INFO__INIT;
    master.id = (char *)"m1";
    master.ip = htonl(0x0a000001);
    master.port = 5050;
    master.hostname = (char *)"host";
    return master;
}

// ---- standalone ----

struct seen {
    struct env *env;
    int count;
    bool is_self;
    char id[32];
};

static void on_leader(void *ctx, const Mesos__V1__MasterInfo *leader, bool is_self)
{
    struct seen *seen = ctx;
    assert_non_null(leader);
    seen->count++;
    seen->is_self = is_self;
    assert_true(strlen(leader->id) < sizeof(seen->id));
    strcpy(seen->id, leader->id);
    env_stop(seen->env, 7);
}

static void on_failed(void *ctx, const struct error *why)
{
    (void)ctx;
    fail_msg("%s", why->text);
}

static const struct election_callbacks callbacks = {.on_leader = on_leader, .on_failed = on_failed};

static void test_standalone_leads_on_a_later_turn(void **state)
{
    (void)state;
    struct seen seen = {0};
    assert_int_equal(env_new(&seen.env, NULL), 0);
    Mesos__V1__MasterInfo master = make_master();
    struct election_options options = {.candidate = &master};
    struct election *election;
    assert_int_equal(election_new(seen.env, &options, &callbacks, &seen, &election, NULL), 0);
    assert_int_equal(seen.count, 0);
    master.id = (char *)"changed"; // it was copied
    assert_int_equal(env_run(seen.env), 7);
    assert_int_equal(seen.count, 1);
    assert_true(seen.is_self);
    assert_string_equal(seen.id, "m1");
    assert_null(election_free(election));
    env_free(seen.env);
}

// Nobody listens there: it neither blocks nor ends, and goes away while it tries.
static void on_time(struct timer *timer, struct instant now)
{
    (void)now;
    (void)timer;
}

static void test_no_server_is_no_answer(void **state)
{
    (void)state;
    struct seen seen = {0};
    assert_int_equal(env_new(&seen.env, NULL), 0);
    Mesos__V1__MasterInfo master = make_master();
    struct election_options options = {
        .url = "zk://127.0.0.1:1/mesos", .session_timeout_ns = NS_PER_S, .candidate = &master};
    struct election *election;
    assert_int_equal(election_new(seen.env, &options, &callbacks, &seen, &election, NULL), 0);
    struct timer timer = {.run = on_time};
    env_timer_set(seen.env, &timer, 200 * NS_PER_MS);
    while (timer_is_set(&timer))
        uv_run(env_loop(seen.env), UV_RUN_ONCE);
    assert_int_equal(seen.count, 0);
    assert_null(election_free(election));
    env_free(seen.env);
}

static void test_bad_url(void **state)
{
    (void)state;
    struct env *env;
    assert_int_equal(env_new(&env, NULL), 0);
    struct election_options options = {.url = "zk://h:1/", .session_timeout_ns = NS_PER_S};
    struct election *election;
    struct error err;
    assert_int_equal(election_new(env, &options, &callbacks, NULL, &election, &err), -EINVAL);
    assert_string_equal(err.text, "Expecting a (chroot) path for ZooKeeper ('/' is not supported)");
    env_free(env);
}

// ---- names and addresses ----

static void test_candidate_numbers(void **state)
{
    (void)state;
    assert_int_equal(election_candidate_number("json.info_0000000012"), 12);
    assert_int_equal(election_candidate_number("json.info_2147483647"), 2147483647);
    static const char *const others[] = {
        "log_replicas",          "info_0000000012",      "json.info_",          "json.info_12",
        "json.info_00000000012", "json.info_000000001x", "json.info_-000000001"};
    for (size_t i = 0; i < ARRAY_COUNT(others); i++)
        assert_int_equal(election_candidate_number(others[i]), -1);
}

static void expect_address(const Mesos__V1__MasterInfo *master, const char *host, uint16_t port)
{
    char found[256];
    uint16_t found_port;
    assert_true(election_address(master, found, &found_port));
    assert_string_equal(found, host);
    assert_int_equal(found_port, port);
}

static void test_addresses(void **state)
{
    (void)state;
    Mesos__V1__MasterInfo master = make_master();
    expect_address(&master, "10.0.0.1", 5050);
    Mesos__V1__Address address = MESOS__V1__ADDRESS__INIT;
    address.hostname = (char *)"named";
    address.port = 6060;
    master.address = &address;
    expect_address(&master, "named", 6060);
    address.ip = (char *)"10.0.0.2";
    expect_address(&master, "10.0.0.2", 6060);
    master.address = NULL;
    master.ip = 0;
    expect_address(&master, "host", 5050);
    char found[256];
    uint16_t port;
    master.hostname = NULL;
    assert_false(election_address(&master, found, &port));
    master.hostname = (char *)"host";
    master.port = 0;
    assert_false(election_address(&master, found, &port));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_standalone_leads_on_a_later_turn),
        cmocka_unit_test(test_no_server_is_no_answer),
        cmocka_unit_test(test_bad_url),
        cmocka_unit_test(test_candidate_numbers),
        cmocka_unit_test(test_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
