// SPDX-License-Identifier: Apache-2.0
//
// DRAIN_AGENT in the agent core: who is killed with how much grace, what is refused meanwhile, when
// it is over, and that it outlives the process. And the end of an agent that is gone.

#include <string.h>

#include "fixture.h"

#define STATE(name) MESOS__V1__TASK_STATE__TASK_##name
#define REASON(name) MESOS__V1__TASK_STATUS__REASON__REASON_##name
#define AGENT_EVENT(name) MESOS__V1__EXECUTOR__EVENT__TYPE__##name

static int stream, other_stream;

static void start(struct fixture *f, const char *task_id, void *at, const char *more)
{
    f_run_task(f, task_id, more);
    assert_int_equal(f_subscribe(f, task_id, at), 0);
    assert_int_equal(f_update(f, task_id, task_id, "TASK_RUNNING", 1), 0);
    f_acknowledge(f, task_id);
}

static const Mesos__V1__Executor__Event__Kill *last_kill(struct fixture *f)
{
    const Mesos__V1__Executor__Event *event = f_last_event(f);
    assert_int_equal(event->type, AGENT_EVENT(KILL));
    return event->kill;
}

static void drain(struct fixture *f, const char *config)
{
    f_receive(f, "{'type':'DRAIN_AGENT','drain_agent':{'config':{%s}}}", config);
}

static void test_nothing_to_drain(void **state)
{
    struct fixture *f = *state;
    f_register(f);
    drain(f, "");
    assert_null(f->agent->drain);
    start(f, "t", &stream, "");
}

static void test_the_shorter_grace_counts(void **state)
{
    static const struct {
        const char *more, *config;
        int64_t expected; // 0: the task's own policy
    } cases[] = {
        {"", "", 0},
        {"", "'max_grace_period':{'nanoseconds':5}", 5},
        {",'kill_policy':{'grace_period':{'nanoseconds':9}}",
         "'max_grace_period':{'nanoseconds':5}", 5},
        {",'kill_policy':{'grace_period':{'nanoseconds':3}}",
         "'max_grace_period':{'nanoseconds':5}", 0},
        {",'kill_policy':{'grace_period':{'nanoseconds':9}}", "", 0},
    };
    struct fixture *f = *state;
    f_register(f);
    char task_id[2] = "a";
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++, task_id[0]++) {
        start(f, task_id, &stream, cases[i].more);
        drain(f, cases[i].config);
        const Mesos__V1__Executor__Event__Kill *kill = last_kill(f);
        assert_string_equal(kill->task_id->value, task_id);
        assert_int_equal(kill->kill_policy != NULL, cases[i].expected > 0);
        if (cases[i].expected > 0)
            assert_int_equal(kill->kill_policy->grace_period->nanoseconds, cases[i].expected);
        f_update(f, task_id, task_id, "TASK_KILLED", 2);
        assert_non_null(f->agent->drain);
        f_acknowledge(f, task_id);
        assert_null(f->agent->drain);
        f_terminate(f, f->launched_count - 1, NULL);
    }
}

static void test_updates_say_why(void **state)
{
    struct fixture *f = *state;
    f_register(f);
    start(f, "t", &stream, "");
    drain(f, "'mark_gone':true");
    f_update(f, "t", "t", "TASK_KILLING", 2);
    assert_int_equal(f_last_status(f)->state, STATE(KILLING));
    assert_int_equal(f_last_status(f)->reason, REASON(AGENT_DRAINING));
    f_acknowledge(f, "t");
    f_update(f, "t", "t", "TASK_KILLED", 3);
    // Framework F is not PARTITION_AWARE.
    assert_int_equal(f_last_status(f)->state, STATE(KILLED));
    assert_int_equal(f_last_status(f)->reason, REASON(AGENT_DRAINING));
}

static void test_a_task_that_ends_otherwise_says_so(void **state)
{
    struct fixture *f = *state;
    f_register(f);
    start(f, "t", &stream, "");
    drain(f, "");
    f_update(f, "t", "t", "TASK_FINISHED", 2);
    assert_int_equal(f_last_status(f)->state, STATE(FINISHED));
    assert_int_not_equal(f_last_status(f)->reason, REASON(AGENT_DRAINING));
}

static void test_queued_tasks_and_new_ones(void **state)
{
    struct fixture *f = *state;
    f_register(f);
    f_run_custom(f, "queued", "ex");
    drain(f, "");
    assert_int_equal(f_last_status(f)->state, STATE(KILLED));
    assert_int_equal(f_last_status(f)->reason, REASON(AGENT_DRAINING));
    f_run_task(f, "late", "");
    assert_int_equal(f_last_status(f)->state, STATE(LOST));
    assert_int_equal(f_last_status(f)->reason, REASON(AGENT_DRAINING));
    assert_string_equal(f_last_status(f)->message,
                        "Task was received while agent was already draining");
    assert_int_equal(f->launched_count, 1);
    // The executor of the killed task may stay; tasks are what is waited for.
    f_acknowledge(f, "queued");
    assert_null(f->agent->drain);
    start(f, "after", &other_stream, "");
}

static void test_a_shut_down_framework_ends_the_drain(void **state)
{
    struct fixture *f = *state;
    f_register(f);
    start(f, "t", &stream, "");
    drain(f, "");
    f_receive(f, "{'type':'SHUTDOWN_FRAMEWORK','shutdown_framework':{'framework_id':"
                 "{'value':'F'}}}");
    assert_non_null(f->agent->drain);
    f_terminate(f, 0, NULL);
    assert_null(f->agent->drain);
}

static void test_it_outlives_the_process(void **state)
{
    struct fixture *f = *state;
    f->is_checkpointing = true;
    f_register(f);
    f_run_task(f, "t", "");
    agent_container_launched(f->agent, f->launched[0], 77, f->now);
    assert_int_equal(f_subscribe(f, "t", &stream), 0);
    f_update(f, "t", "t", "TASK_RUNNING", 1);
    f_acknowledge(f, "t");
    drain(f, "'max_grace_period':{'nanoseconds':5}");
    static const struct agent_recovery strict = {.is_strict = true};
    struct error err;
    assert_int_equal(f_restart(f, &strict, &err), 0);
    assert_int_equal(f->agent->drain->max_grace_period->nanoseconds, 5);
    MAP_FOREACH (&f->agent->containers, entry)
        agent_container_launched(f->agent, entry->key, 77, f->now);
    agent_recovery_start(f->agent, f->now);
    // Without a master: the executor that comes back is told again.
    assert_int_equal(f_call(f, &other_stream,
                            "{'executor_id':{'value':'t'},'framework_id':{'value':'F'},"
                            "'type':'SUBSCRIBE','subscribe':{}}"),
                     0);
    assert_int_equal(last_kill(f)->kill_policy->grace_period->nanoseconds, 5);
    f_update(f, "t", "t", "TASK_KILLED", 2);
    assert_int_equal(f_restart(f, &strict, &err), 0);
    assert_non_null(f->agent->drain); // not acknowledged yet
    agent_recovery_start(f->agent, f->now);
    MAP_FOREACH (&f->agent->containers, entry)
        agent_container_terminated(f->agent, entry->key, &(struct agent_termination){0}, f->now);
    agent_link_opened(f->agent, f->now);
    f_advance(f, NS_PER_S);
    f_receive(f, "{'type':'REREGISTERED','registered':{'agent_id':{'value':'S1'},"
                 "'master_info':{'id':'M','ip':1,'port':5050},"
                 "'ping_timeout_total_ns':75000000000}}");
    f_acknowledge(f, "t");
    assert_null(f->agent->drain);
    assert_int_equal(f_restart(f, &strict, &err), 0);
    assert_null(f->agent->drain);
}

static void test_a_gone_agent_ends_and_keeps_its_id(void **state)
{
    struct fixture *f = *state;
    f_register(f);
    start(f, "t", &stream, "");
    f_receive(f, "{'type':'SHUTDOWN','shutdown':{'message':'gone','ends':true}}");
    assert_int_equal(f_last_event(f)->type, AGENT_EVENT(SHUTDOWN));
    assert_int_equal(f->shut_down_count, 0);
    f_terminate(f, 0, NULL);
    assert_int_equal(f->shut_down_count, 1);
    static const struct agent_recovery strict = {.is_strict = true};
    struct error err;
    assert_int_equal(f_restart(f, &strict, &err), 0);
    assert_string_equal(f->agent->info->id->value, "S1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
        CASE(test_nothing_to_drain),          CASE(test_the_shorter_grace_counts),
        CASE(test_updates_say_why),           CASE(test_a_task_that_ends_otherwise_says_so),
        CASE(test_queued_tasks_and_new_ones), CASE(test_a_shut_down_framework_ends_the_drain),
        CASE(test_it_outlives_the_process),   CASE(test_a_gone_agent_ends_and_keeps_its_id),
#undef CASE
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
