// SPDX-License-Identifier: Apache-2.0
//
// The agent core and its master: registration, update streams, the sandbox collector, the end.

#include <string.h>

#include "fixture.h"

#define STATE(name) MESOS__V1__TASK_STATE__TASK_##name
#define TO_MASTER(name) MESETA__LINK__TO_MASTER__TYPE__##name

static size_t count_sent(const struct fixture *f, Meseta__Link__ToMaster__Type type)
{
    size_t count = 0;
    for (size_t i = 0; i < f->sent_count; i++) {
        count += f->sent[i]->type == type;
    }
    return count;
}

static void start_task(struct fixture *f, const char *task_id)
{
    static int stream;
    f_run_task(f, task_id, "");
    assert_int_equal(f_subscribe(f, task_id, &stream), 0);
}

static void test_registration_backs_off(void **state)
{
    struct fixture *f = *state;
    f_advance(f, 3600 * NS_PER_S);
    assert_int_equal(f->sent_count, 0);
    agent_link_opened(f->agent, f->now);
    f_advance(f, 0);
    assert_int_equal(f->sent_count, 1);
    assert_int_equal(f->sent[0]->type, TO_MASTER(REGISTER));
    const Meseta__Link__AgentDescription *d = f->sent[0]->register_->agent;
    assert_string_equal(d->version, "1.11.0");
    assert_string_equal(d->pid, "slave(1)@10.0.0.7:5051");
    assert_null(d->info->id);
    assert_true(d->n_capabilities >= 3);
    f_advance(f, 2 * NS_PER_S);
    assert_int_equal(f->sent_count, 2);
    // 2, 4, 8, 16, 32, 60 s at most, half of it at least: in ten minutes more, 13 to 26 tries.
    f_advance(f, 600 * NS_PER_S);
    assert_in_range(f->sent_count, 13, 28);
    size_t sent = f->sent_count;
    agent_link_closed(f->agent, f->now);
    f_advance(f, 600 * NS_PER_S);
    assert_int_equal(f->sent_count, sent);
}

// An executor that the agent named, and that ends before the master admits it: told once it does.
static void test_executor_ends_during_reregistration(void **state)
{
    struct fixture *f = *state;
    int stream;
    f_register(f);
    f_run_custom(f, "t", "ex");
    assert_int_equal(f_subscribe(f, "ex", &stream), 0);
    f_update(f, "ex", "t", "TASK_FINISHED", 1);
    agent_link_closed(f->agent, f->now);
    agent_link_opened(f->agent, f->now);
    f_advance(f, NS_PER_S);
    assert_int_equal(f_last_sent(f)->type, TO_MASTER(REREGISTER));
    assert_int_equal(f_last_sent(f)->reregister->frameworks[0]->n_executors, 1);
    f_terminate(f, 0, NULL);
    assert_int_equal(count_sent(f, TO_MASTER(EXECUTOR_EXITED)), 0);
    f_receive(f, "{'type':'REREGISTERED','registered':{'agent_id':{'value':'S1'},"
                 "'master_info':{'id':'M','ip':1,'port':5050},"
                 "'ping_timeout_total_ns':75000000000}}");
    assert_int_equal(count_sent(f, TO_MASTER(EXECUTOR_EXITED)), 1);
    // Not again at the next one, which does not name it.
    agent_link_closed(f->agent, f->now);
    agent_link_opened(f->agent, f->now);
    f_advance(f, NS_PER_S);
    assert_int_equal(f_last_sent(f)->reregister->frameworks[0]->n_executors, 0);
    assert_int_equal(count_sent(f, TO_MASTER(EXECUTOR_EXITED)), 1);
}

// One that ends before the master is asked over a new link is not named, and its end is not told:
// the master may know another one by that name by then.
static void test_executor_ends_before_reregistration(void **state)
{
    struct fixture *f = *state;
    int stream;
    f_register(f);
    f_run_custom(f, "t", "ex");
    assert_int_equal(f_subscribe(f, "ex", &stream), 0);
    f_update(f, "ex", "t", "TASK_FINISHED", 1);
    f_acknowledge(f, "t");
    agent_link_closed(f->agent, f->now);
    agent_link_opened(f->agent, f->now);
    f_terminate(f, 0, NULL);
    assert_int_equal(f->agent->frameworks.count, 0);
    f_advance(f, NS_PER_S);
    assert_int_equal(f_last_sent(f)->type, TO_MASTER(REREGISTER));
    assert_int_equal(f_last_sent(f)->reregister->n_frameworks, 0);
    f_receive(f, "{'type':'REREGISTERED','registered':{'agent_id':{'value':'S1'},"
                 "'master_info':{'id':'M','ip':1,'port':5050},"
                 "'ping_timeout_total_ns':75000000000}}");
    assert_int_equal(count_sent(f, TO_MASTER(EXECUTOR_EXITED)), 0);
}

// A framework that is being shut down is not named: the master has given its resources to others.
static void test_terminating_framework_is_not_named(void **state)
{
    struct fixture *f = *state;
    f_register(f);
    start_task(f, "t");
    f_receive(f, "{'type':'SHUTDOWN_FRAMEWORK','shutdown_framework':{'framework_id':"
                 "{'value':'F'}}}");
    agent_link_closed(f->agent, f->now);
    agent_link_opened(f->agent, f->now);
    f_advance(f, NS_PER_S);
    assert_int_equal(f_last_sent(f)->type, TO_MASTER(REREGISTER));
    assert_int_equal(f_last_sent(f)->reregister->n_frameworks, 0);
}

// A framework that has nothing left here but an update that nobody will acknowledge.
static void test_shutdown_of_a_framework_without_executors(void **state)
{
    struct fixture *f = *state;
    f_register(f);
    f_receive(f, "{'type':'RECONCILE','reconcile':{'framework_id':{'value':'F'},"
                 "'task_ids':[{'value':'t'}]}}");
    assert_int_equal(f->agent->streams.count, 1);
    f_receive(f, "{'type':'SHUTDOWN_FRAMEWORK','shutdown_framework':{'framework_id':"
                 "{'value':'F'}}}");
    assert_int_equal(f->agent->streams.count, 0);
}

// A refused agent asks again, ever more rarely, and is admitted when the master has changed its
// mind.
static void test_refused_agent_tries_again(void **state)
{
    struct fixture *f = *state;
    agent_link_opened(f->agent, f->now);
    size_t tries = 0;
    for (int i = 0; i < 600; i++) {
        size_t sent = f->sent_count;
        f_advance(f, NS_PER_S);
        if (f->sent_count > sent) {
            tries++;
            f_receive(f, "{'type':'REFUSED','refused':{'message':'no'}}");
        }
    }
    assert_in_range(tries, 12, 28);
    assert_int_equal(count_sent(f, TO_MASTER(REGISTER)), f->sent_count);
    f_receive(f, "{'type':'REGISTERED','registered':{'agent_id':{'value':'S1'},"
                 "'master_info':{'id':'M','ip':1,'port':5050},"
                 "'ping_timeout_total_ns':75000000000}}");
    assert_string_equal(f->agent->info->id->value, "S1");
    assert_int_equal(f->agent->state, AGENT_REGISTERED);
    size_t sent = f->sent_count;
    f_advance(f, 70 * NS_PER_S);
    assert_int_equal(f->sent_count, sent);
    // One that is being marked unreachable is refused until that is written: it keeps its id and
    // asks soon.
    agent_link_closed(f->agent, f->now);
    agent_link_opened(f->agent, f->now);
    f_advance(f, NS_PER_S);
    assert_int_equal(f_last_sent(f)->type, TO_MASTER(REREGISTER));
    sent = f->sent_count;
    f_receive(f, "{'type':'REFUSED','refused':{'message':'try again'}}");
    f_advance(f, 2 * NS_PER_S);
    assert_true(f->sent_count > sent);
    assert_int_equal(f_last_sent(f)->type, TO_MASTER(REREGISTER));
}

static void test_ping(void **state)
{
    struct fixture *f = *state;
    f_register(f);
    for (int i = 0; i < 10; i++) {
        f_advance(f, 15 * NS_PER_S);
        f_receive(f, "{'type':'PING'}");
        assert_int_equal(f_last_sent(f)->type, TO_MASTER(PONG));
    }
    assert_int_equal(f->reconnect_count, 0);
    f_advance(f, 94 * NS_PER_S);
    assert_int_equal(f->reconnect_count, 1);
}

static void test_reregistration_names_all_tasks(void **state)
{
    struct fixture *f = *state;
    f_register(f);
    start_task(f, "t1");
    f_update(f, "t1", "t1", "TASK_RUNNING", 1);
    f_run_task(f, "t2", "");
    f_run_custom(f, "t3", "ex");
    start_task(f, "t4");
    f_update(f, "t4", "t4", "TASK_FINISHED", 2);
    agent_link_closed(f->agent, f->now);
    agent_link_opened(f->agent, f->now);
    f_advance(f, NS_PER_S);
    assert_int_equal(f_last_sent(f)->type, TO_MASTER(REREGISTER));
    const Meseta__Link__ToMaster__Reregister *r = f_last_sent(f)->reregister;
    assert_string_equal(r->agent->info->id->value, "S1");
    assert_int_equal(r->n_frameworks, 1);
    assert_int_equal(r->frameworks[0]->n_tasks, 4);
    assert_int_equal(r->frameworks[0]->n_executors, 1);
    assert_string_equal(r->frameworks[0]->executors[0]->executor_id->value, "ex");
    const Mesos__V1__Task *running = r->frameworks[0]->tasks[0];
    assert_int_equal(running->state, STATE(RUNNING));
    assert_true(running->has_status_update_uuid);
    assert_null(running->executor_id);
    assert_int_equal(running->n_statuses, 1);
    assert_int_equal(r->frameworks[0]->tasks[1]->state, STATE(STAGING));
    assert_string_equal(r->frameworks[0]->tasks[2]->executor_id->value, "ex");
    assert_int_equal(r->frameworks[0]->tasks[3]->state, STATE(FINISHED));

    // Once it is admitted, what is outstanding goes again.
    size_t updates = count_sent(f, TO_MASTER(STATUS_UPDATE));
    f_receive(f, "{'type':'REREGISTERED','registered':{'agent_id':{'value':'S1'},"
                 "'master_info':{'id':'M','ip':1,'port':5050},"
                 "'ping_timeout_total_ns':75000000000}}");
    assert_int_equal(count_sent(f, TO_MASTER(STATUS_UPDATE)), updates + 2);
}

static void test_updates_are_ordered_and_retried(void **state)
{
    struct fixture *f = *state;
    f_register(f);
    start_task(f, "t1");
    f_update(f, "t1", "t1", "TASK_STARTING", 1);
    f_update(f, "t1", "t1", "TASK_RUNNING", 2);
    f_update(f, "t1", "t1", "TASK_RUNNING", 2);
    f_update(f, "t1", "t1", "TASK_FINISHED", 3);
    assert_int_equal(count_sent(f, TO_MASTER(STATUS_UPDATE)), 1);
    assert_int_equal(f_last_status(f)->state, STATE(STARTING));
    assert_int_equal(f_last_sent(f)->status_update->latest_state, STATE(STARTING));
    // Pings go on, so that the master is not taken for dead.
    for (int i = 0; i < 7; i++) {
        f_advance(f, 10 * NS_PER_S);
        f_receive(f, "{'type':'PING'}");
    }
    // At 10 and 30 s; the next one is at 70 s.
    assert_int_equal(count_sent(f, TO_MASTER(STATUS_UPDATE)), 4);
    f_acknowledge(f, "t1");
    assert_int_equal(f_last_status(f)->state, STATE(RUNNING));
    assert_int_equal(f_last_sent(f)->status_update->latest_state, STATE(FINISHED));
    // An acknowledgement of something else moves nothing.
    f_receive(f, "{'type':'ACKNOWLEDGE','acknowledge':{'framework_id':{'value':'F'},"
                 "'task_id':{'value':'t1'},'uuid':'AAAAAAAAQAAAAAAAAAAAAA=='}}");
    assert_int_equal(count_sent(f, TO_MASTER(STATUS_UPDATE)), 5);
    f_acknowledge(f, "t1");
    assert_int_equal(f_last_status(f)->state, STATE(FINISHED));
    // Repeated after the end: acknowledged to the executor, but no second stream.
    f_acknowledge(f, "t1");
    size_t events = f->event_count;
    f_update(f, "t1", "t1", "TASK_FINISHED", 3);
    assert_int_equal(f->event_count, events + 1);
    assert_int_equal(f->agent->streams.count, 0);
}

static void test_retry_slows_down(void **state)
{
    struct fixture *f = *state;
    f_register(f);
    start_task(f, "t1");
    f_update(f, "t1", "t1", "TASK_RUNNING", 1);
    f_advance(f, 7200 * NS_PER_S);
    // After 10, 20, .. 320 s come 600 s each.
    assert_in_range(count_sent(f, TO_MASTER(STATUS_UPDATE)), 15, 19);
}

static void test_disconnected_updates_wait(void **state)
{
    struct fixture *f = *state;
    f_register(f);
    start_task(f, "t1");
    agent_link_closed(f->agent, f->now);
    f_update(f, "t1", "t1", "TASK_RUNNING", 1);
    f_advance(f, 100 * NS_PER_S);
    assert_int_equal(count_sent(f, TO_MASTER(STATUS_UPDATE)), 0);
}

static void test_reconcile(void **state)
{
    struct fixture *f = *state;
    f_register(f);
    start_task(f, "t1");
    f_receive(f, "{'type':'RECONCILE','reconcile':{'framework_id':{'value':'F'},"
                 "'task_ids':[{'value':'t1'},{'value':'gone'}]}}");
    assert_int_equal(count_sent(f, TO_MASTER(STATUS_UPDATE)), 1);
    assert_string_equal(f_last_status(f)->task_id->value, "gone");
    assert_int_equal(f_last_status(f)->state, STATE(LOST));
    assert_string_equal(f_last_status(f)->message, "Reconciliation: task unknown to the agent");
    // The master knows what a framework can read that is not here.
    f_receive(f, "{'type':'RECONCILE','reconcile':{'framework_id':{'value':'other'},"
                 "'task_ids':[{'value':'gone'}],'partition_aware':true}}");
    assert_int_equal(count_sent(f, TO_MASTER(STATUS_UPDATE)), 2);
    assert_int_equal(f_last_status(f)->state, STATE(DROPPED));
}

// Somebody new listens for a framework: what is outstanding is sent again at once, but when it was
// sent just now; then it may well be on its way.
static void test_framework_news_resend(void **state)
{
    struct fixture *f = *state;
    f_register(f);
    start_task(f, "t1");
    f_update(f, "t1", "t1", "TASK_RUNNING", 1);
    const char *news = "{'type':'UPDATE_FRAMEWORK','update_framework':{'framework_info':"
                       "{'user':'root','name':'n','id':{'value':'F'}}}}";
    f_receive(f, "%s", news);
    f_advance(f, 100 * NS_PER_MS);
    assert_int_equal(count_sent(f, TO_MASTER(STATUS_UPDATE)), 1);
    f_advance(f, 101 * NS_PER_MS);
    assert_int_equal(count_sent(f, TO_MASTER(STATUS_UPDATE)), 2);
    f_advance(f, NS_PER_S);
    f_receive(f, "%s", news);
    assert_int_equal(count_sent(f, TO_MASTER(STATUS_UPDATE)), 3);
    f_acknowledge(f, "t1");
    f_receive(f, "%s", news);
    f_advance(f, NS_PER_S);
    assert_int_equal(count_sent(f, TO_MASTER(STATUS_UPDATE)), 3);
}

// An update of a framework that has nothing here and that nobody knows ends some day.
static void test_update_that_nobody_wants(void **state)
{
    struct fixture *f = *state;
    f_register(f);
    start_task(f, "t1");
    f_update(f, "t1", "t1", "TASK_RUNNING", 1);
    f_receive(f, "{'type':'RECONCILE','reconcile':{'framework_id':{'value':'unknown'},"
                 "'task_ids':[{'value':'gone'}]}}");
    assert_int_equal(f->agent->streams.count, 2);
    f_advance(f, 23 * 3600 * NS_PER_S);
    assert_int_equal(f->agent->streams.count, 2);
    f_advance(f, 2 * 3600 * NS_PER_S);
    assert_null(map_get(&f->agent->streams, "unknown"));
    assert_non_null(map_get(&f->agent->streams, "F")); // that one is here
}

static void test_run_task_is_checked(void **state)
{
    struct fixture *f = *state;
    f_run_task(f, "t0", "");
    f_register(f);
    f_receive(f, "{'type':'RUN_TASK','run_task':{'framework_info':{'user':'u','name':'n',"
                 "'id':{'value':'F'}},'task':{'name':'n','task_id':{'value':'t'},"
                 "'agent_id':{'value':'other'},'command':{'value':'x'}}}}");
    f_receive(f, "{'type':'RUN_TASK'}");
    assert_int_equal(f->launched_count, 0);
    f_run_task(f, "t1", "");
    f_run_task(f, "t1", "");
    assert_int_equal(f->launched_count, 1);
    assert_int_equal(count_sent(f, TO_MASTER(STATUS_UPDATE)), 0);
    assert_int_equal(f->agent->frameworks.count, 1);
}

static void finish_task(struct fixture *f, const char *task_id, size_t launch)
{
    start_task(f, task_id);
    f_update(f, task_id, task_id, "TASK_FINISHED", (int)launch);
    f_acknowledge(f, task_id);
    f_terminate(f, launch, NULL);
}

static void test_sandboxes_go(void **state)
{
    struct fixture *f = *state;
    f_register(f);
    finish_task(f, "t1", 0);
    agent_link_closed(f->agent, f->now); // no ping timeouts here
    f_advance(f, 999 * NS_PER_S);
    assert_int_equal(f->removed_count, 0);
    f_advance(f, 2 * NS_PER_S);
    assert_int_equal(f->removed_count, 3);
    assert_string_equal(f->removed[1], "/work/slaves/S1/frameworks/F/executors/t1");
    assert_string_equal(f->removed[2], "/work/slaves/S1/frameworks/F");
    agent_path_removed(f->agent, true);
    agent_path_removed(f->agent, false);
    assert_int_equal(f->agent->metrics.removals_succeeded, 1);
    assert_int_equal(f->agent->metrics.removals_failed, 1);
}

static void test_disk_pressure(void **state)
{
    struct fixture *f = *state;
    f_register(f);
    finish_task(f, "t1", 0);
    agent_link_closed(f->agent, f->now);
    f_advance(f, 300 * NS_PER_S);
    // 60 % full: 1000 s * (1 - 0.1 - 0.6) = 300 s are allowed.
    agent_disk_usage(f->agent, 0.5, f->now);
    assert_int_equal(f->removed_count, 0);
    assert_int_equal(f->agent->gc.age_max_ns / NS_PER_S, 400);
    agent_disk_usage(f->agent, 0.61, f->now);
    assert_int_equal(f->removed_count, 3);
}

static void test_directories_in_use_stay(void **state)
{
    struct fixture *f = *state;
    f_register(f);
    finish_task(f, "t1", 0);
    f_run_task(f, "t1", "");
    agent_disk_usage(f->agent, 1.0, f->now);
    // The old run goes; the executor's and the framework's directory are in use again.
    assert_int_equal(f->removed_count, 1);
    assert_non_null(strstr(f->removed[0], "/runs/"));
}

static void test_removed_by_master(void **state)
{
    struct fixture *f = *state;
    f_register(f);
    start_task(f, "t1");
    f_receive(f, "{'type':'SHUTDOWN','shutdown':{'message':'gone'}}");
    assert_int_equal(f_last_event(f)->type, MESOS__V1__EXECUTOR__EVENT__TYPE__SHUTDOWN);
    f_advance(f, 5 * NS_PER_S);
    assert_int_equal(f->destroyed_count, 1);
    size_t sent = f->sent_count;
    f_terminate(f, 0, NULL);
    assert_null(f->agent->info->id);
    f_advance(f, NS_PER_S);
    assert_int_equal(f->sent_count, sent + 1);
    assert_int_equal(f_last_sent(f)->type, TO_MASTER(REGISTER));
    f_receive(f, "{'type':'REGISTERED','registered':{'agent_id':{'value':'S2'},"
                 "'master_info':{'id':'M','ip':1,'port':5050},"
                 "'ping_timeout_total_ns':75000000000}}");
    assert_string_equal(f->agent->info->id->value, "S2");
}

static void test_shutdown(void **state)
{
    struct fixture *f = *state;
    f_register(f);
    start_task(f, "t1");
    f_run_task(f, "t2", "");
    agent_shutdown(f->agent, "Received SIGUSR1 signal", f->now);
    assert_int_equal(count_sent(f, TO_MASTER(UNREGISTER)), 1);
    f_terminate(f, 0, NULL);
    assert_int_equal(f->shut_down_count, 0);
    agent_destroy_containers(f->agent);
    assert_int_equal(f->destroyed_count, 1);
    assert_string_equal(f->destroyed[0], f->launched[1]);
    f_terminate(f, 1, NULL);
    assert_int_equal(f->shut_down_count, 1);
}

static void test_shutdown_when_idle(void **state)
{
    struct fixture *f = *state;
    agent_shutdown(f->agent, "Received SIGTERM", f->now);
    assert_int_equal(f->shut_down_count, 1);
    assert_int_equal(f->sent_count, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(registration_backs_off),
        TEST(executor_ends_during_reregistration),
        TEST(executor_ends_before_reregistration),
        TEST(shutdown_of_a_framework_without_executors),
        TEST(terminating_framework_is_not_named),
        TEST(refused_agent_tries_again),
        TEST(ping),
        TEST(reregistration_names_all_tasks),
        TEST(updates_are_ordered_and_retried),
        TEST(retry_slows_down),
        TEST(disconnected_updates_wait),
        TEST(reconcile),
        TEST(framework_news_resend),
        TEST(update_that_nobody_wants),
        TEST(run_task_is_checked),
        TEST(sandboxes_go),
        TEST(disk_pressure),
        TEST(directories_in_use_stay),
        TEST(removed_by_master),
        TEST(shutdown),
        TEST(shutdown_when_idle),
    };
    return cmocka_run_group_tests_name("agent_master", tests, NULL, NULL);
}
