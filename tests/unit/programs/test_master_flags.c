// SPDX-License-Identifier: Apache-2.0
//
// The flags of mesos-master: defaults, and what is refused with which words.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "base/timer.h"
#include "master_flags.h"

#define PARSE(f, err, ...)                                                                         \
    parse((f), (err), (const char *const[]){"mesos-master", "--work_dir=/w", __VA_ARGS__, NULL})

static int parse(struct master_flags *f, struct error *err, const char *const *words)
{
    memset(f, 0, sizeof(*f));
    int count = 0;
    while (words[count] != NULL)
        count++;
    return master_flags_parse(f, count, (char *const *)(uintptr_t)words, NULL, err);
}

static void test_defaults(void **state)
{
    (void)state;
    struct master_flags f;
    struct error err;
    assert_int_equal(PARSE(&f, &err, "--ip=127.0.0.1", "--quorum=1"), 0);
    assert_int_equal(f.port, 5050);
    assert_int_equal(f.quorum, 1);
    assert_int_equal(f.registry_gc_interval, 900 * NS_PER_S);
    assert_int_equal(f.registry_max_agent_age, INT64_C(14) * 24 * 3600 * NS_PER_S);
    assert_int_equal(f.registry_max_agent_count, 102400);
    assert_int_equal(f.agent_reregister_timeout, 600 * NS_PER_S);
    master_flags_free(&f);
    // Old names, and those that must be what they are by default.
    assert_int_equal(PARSE(&f, &err, "--slave_ping_timeout=2secs", "--authenticators=crammd5"), 0);
    assert_int_equal(f.agent_ping_timeout, 2 * NS_PER_S);
    double part;
    int64_t interval;
    assert_int_equal(master_flags_removal_limit(&f, &part, &err), 0);
    assert_true(part == 1);
    assert_int_equal(master_flags_removal_interval(&f, &interval, &err), 0);
    assert_int_equal(interval, 0);
    assert_true(f.log_auto_initialize);
    master_flags_free(&f);
    assert_int_equal(PARSE(&f, &err, "--slave_removal_rate_limit=2/10mins", "--no-registry_strict",
                           "--recovery_agent_removal_limit=12.5%"),
                     0);
    assert_int_equal(master_flags_removal_limit(&f, &part, &err), 0);
    assert_true(part == 0.125);
    assert_int_equal(master_flags_removal_interval(&f, &interval, &err), 0);
    assert_int_equal(interval, 300 * NS_PER_S);
    master_flags_free(&f);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *word;
        const char *text;
    } cases[] = {
        {"--quorum=0",
         "Invalid value for --quorum: Must be at least 1, the majority of one master"},
        {"--quorum=-1", NULL},
        {"--quorum=some", NULL},
        {"--agent_ping_timeout=1ms",
         "Expected `--agent_ping_timeout` to be between 1secs and 15mins"},
        {"--max_agent_ping_timeouts=0", "Expected `--max_agent_ping_timeouts` to be at least 1"},
        {"--agent_reregister_timeout=5mins",
         "Invalid value '5mins' for --agent_reregister_timeout: Must be at least 10mins"},
        {"--min_agent_reregister_timeout=0secs",
         "Flag 'min_agent_reregister_timeout' must be more than nothing"},
        {"--recovery_agent_removal_limit=50",
         "Invalid value '50' for --recovery_agent_removal_limit: missing '%'"},
        {"--recovery_agent_removal_limit=half%",
         "Invalid value 'half%' for --recovery_agent_removal_limit: not a number"},
        {"--recovery_slave_removal_limit=101%",
         "Invalid value '101%' for --recovery_agent_removal_limit: Must be within [0%-100%]"},
        {"--agent_removal_rate_limit=1",
         "Invalid agent_removal_rate_limit: 1. Format is <Number of agents>/<Duration>"},
        {"--agent_removal_rate_limit=0/1mins",
         "Invalid agent_removal_rate_limit: 0/1mins. Format is <Number of agents>/<Duration>"},
        {"--agent_removal_rate_limit=1/soon",
         "Invalid agent_removal_rate_limit: 1/soon. Format is <Number of agents>/<Duration>"},
        {"--registry_strict",
         "Support for '--registry_strict' has been disabled, in Mesos too: what an agent brings "
         "back is always taken"},
        {"--master_contender=org_x",
         "--master_contender is not supported: it names a class of a C++ module, which cannot be "
         "loaded here; masters elect their leader through ZooKeeper (--zk)"},
        {"--master_detector=org_x",
         "--master_detector is not supported: it names a class of a C++ module, which cannot be "
         "loaded here; masters elect their leader through ZooKeeper (--zk)"},
        {"--registry_gc_interval=0secs",
         "Flags 'registry_gc_interval' and 'registry_max_agent_age' must be more than nothing"},
        {"--registry=sql", "'sql' is not a supported option for registry persistence"},
        {"--ip=::1", "Flag 'ip': '::1' is not an IPv4 address"},
        {"--credentials=/x", "--credentials is not supported yet"},
        {"--port=70000", "Flag 'port' is not a port number"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct master_flags f;
        struct error err = {0};
        if (PARSE(&f, &err, cases[i].word) >= 0)
            fail_msg("%s was taken", cases[i].word);
        if (cases[i].text != NULL)
            assert_string_equal(err.text, cases[i].text);
        else
            assert_non_null(strstr(err.text, "quorum"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
