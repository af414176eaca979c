// SPDX-License-Identifier: Apache-2.0
//
// Recovery of the agent core as a function of what was written down.

#include "fixture.h"

#include <errno.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"

static const struct agent_recovery strict = {.is_strict = true};
static const struct agent_recovery lenient = {.is_strict = false};
static int stream, other_stream;

static void restart(struct fixture *f)
{
    struct error err = {0};
    if (f_restart(f, &strict, &err) != 0) {
        fail_msg("%s", err.text);
    }
}

// Runs the executors' containers that were recovered.
static void containers_run(struct fixture *f)
{
    MAP_FOREACH (&f->agent->containers, entry) {
        agent_container_launched(f->agent, entry->key, 77, f->now);
    }
    agent_recovery_start(f->agent, f->now);
}

static void reregister(struct fixture *f)
{
    agent_link_opened(f->agent, f->now);
    f_advance(f, NS_PER_S / 100);
    assert_int_equal(f_last_sent(f)->type, MESETA__LINK__TO_MASTER__TYPE__REREGISTER);
    f_receive(f, "{'type':'REREGISTERED','registered':{'agent_id':{'value':'S1'},"
                 "'master_info':{'id':'M','ip':1,'port':5050},"
                 "'ping_timeout_total_ns':75000000000}}");
    assert_int_equal(f->agent->state, AGENT_REGISTERED);
}

static void run(struct fixture *f, const char *task_id)
{
    f->is_checkpointing = true;
    f_register(f);
    f_run_task(f, task_id, "");
    agent_container_launched(f->agent, f->launched[0], 77, f->now);
    assert_int_equal(f_subscribe(f, task_id, &stream), 0);
    assert_int_equal(f_update(f, task_id, task_id, "TASK_RUNNING", 1), 0);
}

// The executor comes back and says what it was not told to have arrived.
static void come_back(struct fixture *f, const char *executor_id, const char *unacknowledged)
{
    assert_int_equal(f_call(f, &other_stream,
                            "{'executor_id':{'value':'%s'},'framework_id':{'value':'F'},"
                            "'type':'SUBSCRIBE','subscribe':{%s}}",
                            executor_id, unacknowledged),
                     0);
}

static size_t count_updates(const struct fixture *f, Mesos__V1__TaskState state)
{
    size_t count = 0;
    for (size_t i = 0; i < f->sent_count; i++) {
        count += f->sent[i]->type == MESETA__LINK__TO_MASTER__TYPE__STATUS_UPDATE &&
                 f->sent[i]->status_update->status->state == state;
    }
    return count;
}

static void test_running_task(void **state)
{
    struct fixture *f = *state;
    run(f, "t");
    f_acknowledge(f, "t");
    char *container_id = mem_strdup(f_executor(f, "t")->container_id);
    restart(f);
    assert_string_equal(f->agent->info->id->value, "S1");
    assert_string_equal(f_executor(f, "t")->container_id, container_id);
    mem_free(container_id);
    assert_int_equal(f_task(f, "t")->state, MESOS__V1__TASK_STATE__TASK_RUNNING);
    containers_run(f);
    size_t sent = f->sent_count;
    agent_link_opened(f->agent, f->now);
    f_advance(f, NS_PER_S);
    assert_int_equal(f->sent_count, sent); // it waits for its executor
    come_back(f, "t", "");
    f_advance(f, NS_PER_S / 100);
    const Meseta__Link__ToMaster *m = f_last_sent(f);
    assert_int_equal(m->type, MESETA__LINK__TO_MASTER__TYPE__REREGISTER);
    assert_int_equal(m->reregister->n_frameworks, 1);
    assert_int_equal(m->reregister->frameworks[0]->n_tasks, 1);
    assert_int_equal(m->reregister->frameworks[0]->tasks[0]->state,
                     MESOS__V1__TASK_STATE__TASK_RUNNING);
    assert_int_equal(f->agent->task_states[MESOS__V1__TASK_STATE__TASK_RUNNING], 1);
    assert_int_equal(f->launched_count, 1);
}

static void test_unacknowledged_updates(void **state)
{
    struct fixture *f = *state;
    run(f, "t");
    assert_int_equal(f_update(f, "t", "t", "TASK_FINISHED", 2), 0);
    restart(f);
    containers_run(f);
    // What it was told to have arrived may have got lost.
    come_back(f, "t",
              "'unacknowledged_updates':[{'status':{'task_id':{'value':'t'},"
              "'state':'TASK_FINISHED','source':'SOURCE_EXECUTOR',"
              "'uuid':'AAAAAAAAAAAAAAAAAA02AA=='}}]");
    reregister(f);
    assert_int_equal(count_updates(f, MESOS__V1__TASK_STATE__TASK_RUNNING), 2); // before and after
    f_acknowledge(f, "t");
    f_acknowledge(f, "t");
    assert_int_equal(count_updates(f, MESOS__V1__TASK_STATE__TASK_FINISHED), 1);
    // Again, after all was acknowledged: known as a repetition also by the next process.
    restart(f);
    containers_run(f);
    size_t sent = f->sent_count;
    come_back(f, "t",
              "'unacknowledged_updates':[{'status':{'task_id':{'value':'t'},"
              "'state':'TASK_FINISHED','source':'SOURCE_EXECUTOR',"
              "'uuid':'AAAAAAAAAAAAAAAAAA02AA=='}}]");
    reregister(f);
    assert_int_equal(count_updates(f, MESOS__V1__TASK_STATE__TASK_FINISHED), 1);
    assert_int_equal(f->sent_count, sent + 1);
    static const struct agent_termination exited = {.has_status = true};
    agent_container_terminated(f->agent, f_executor(f, "t")->container_id, &exited, f->now);
    assert_int_equal(f->kept.count, 1); // the agent itself
}

static void test_repeated_update_that_was_acknowledged(void **state)
{
    struct fixture *f = *state;
    run(f, "t");
    f_acknowledge(f, "t");
    restart(f);
    containers_run(f);
    come_back(f, "t",
              "'unacknowledged_updates':[{'status':{'task_id':{'value':'t'},"
              "'state':'TASK_RUNNING','source':'SOURCE_EXECUTOR',"
              "'uuid':'AAAAAAAAAAAAAAAAAA01AA=='}}]");
    reregister(f);
    assert_int_equal(count_updates(f, MESOS__V1__TASK_STATE__TASK_RUNNING), 1);
}

static void test_launch_that_may_not_have_arrived(void **state)
{
    struct fixture *f = *state;
    f->is_checkpointing = true;
    f_register(f);
    f_run_task(f, "t", "");
    agent_container_launched(f->agent, f->launched[0], 77, f->now);
    f_subscribe(f, "t", &stream); // LAUNCH was sent
    for (int heard = 0; heard < 2; heard++) {
        restart(f);
        containers_run(f);
        size_t events = f->event_count;
        come_back(f, "t",
                  heard ? "'unacknowledged_tasks':[{'name':'n','task_id':{'value':'t'},"
                          "'agent_id':{'value':'S1'}}]"
                        : "");
        size_t launches = 0;
        for (size_t i = events; i < f->event_count; i++) {
            launches += f->events[i]->type == MESOS__V1__EXECUTOR__EVENT__TYPE__LAUNCH;
        }
        assert_int_equal(launches, heard ? 0 : 1);
        assert_int_equal(f_task(f, "t")->stage, TASK_LAUNCHED);
    }
}

static void test_custom_executor_drops_what_it_does_not_name(void **state)
{
    struct fixture *f = *state;
    f->is_checkpointing = true;
    f_register(f);
    f_run_custom(f, "a", "e");
    agent_container_launched(f->agent, f->launched[0], 77, f->now);
    f_subscribe(f, "e", &stream);
    f_update(f, "e", "a", "TASK_RUNNING", 1);
    f_acknowledge(f, "a");
    f_run_custom(f, "b", "e");
    restart(f);
    assert_int_equal(f_executor(f, "e")->launched.next == &f_executor(f, "e")->launched, false);
    containers_run(f);
    come_back(f, "e", "");
    reregister(f);
    assert_int_equal(f_task(f, "a")->state, MESOS__V1__TASK_STATE__TASK_RUNNING);
    assert_int_equal(f_last_status(f)->state, MESOS__V1__TASK_STATE__TASK_LOST);
    assert_string_equal(f_last_status(f)->task_id->value, "b");
    assert_int_equal(f_last_status(f)->reason,
                     MESOS__V1__TASK_STATUS__REASON__REASON_AGENT_RESTARTED);
}

static void test_container_that_ended(void **state)
{
    struct fixture *f = *state;
    f->is_checkpointing = true;
    f_register(f);
    f_run_custom(f, "a", "e");
    restart(f);
    agent_recovery_start(f->agent, f->now);
    assert_true(f->agent->is_recovering);
    static const struct agent_termination killed = {.has_status = true, .status = 9};
    agent_container_terminated(f->agent, f_executor(f, "e")->container_id, &killed, f->now);
    assert_false(f->agent->is_recovering);
    reregister(f);
    // The end of the executor is told with its status, before the update of its task.
    bool is_told = false;
    for (size_t i = 0; i < f->sent_count; i++) {
        if (f->sent[i]->type == MESETA__LINK__TO_MASTER__TYPE__EXECUTOR_EXITED) {
            assert_int_equal(f->sent[i]->executor_exited->status, 9);
            is_told = true;
        }
    }
    assert_true(is_told);
    assert_int_equal(f_last_status(f)->state, MESOS__V1__TASK_STATE__TASK_FAILED);
    f_acknowledge(f, "a");
    assert_int_equal(f->agent->frameworks.count, 0);
    assert_int_equal(f->kept.count, 1);
}

// An executor that ended long ago is found to have ended by each process that waits for its last
// acknowledgement. The master may have given away what it had: it is named without resources.
static void test_ended_executor_holds_nothing(void **state)
{
    struct fixture *f = *state;
    f->is_checkpointing = true;
    f_register(f);
    f_run_custom(f, "a", "e");
    agent_container_launched(f->agent, f->launched[0], 77, f->now);
    assert_int_equal(f_subscribe(f, "e", &stream), 0);
    assert_int_equal(f_update(f, "e", "a", "TASK_FINISHED", 1), 0);
    f_run_custom(f, "b", "alive");
    f_terminate(f, 0, NULL);
    assert_int_equal(f_last_sent(f)->type, MESETA__LINK__TO_MASTER__TYPE__EXECUTOR_EXITED);
    restart(f);
    agent_recovery_start(f->agent, f->now);
    agent_container_launched(f->agent, f_executor(f, "alive")->container_id, 78, f->now);
    come_back(f, "alive", "");
    static const struct agent_termination unknown = {.has_status = false};
    agent_container_terminated(f->agent, f_executor(f, "e")->container_id, &unknown, f->now);
    assert_false(f->agent->is_recovering);
    agent_link_opened(f->agent, f->now);
    f_advance(f, NS_PER_S / 100);
    const Meseta__Link__FrameworkOnAgent *named = f_last_sent(f)->reregister->frameworks[0];
    assert_int_equal(named->n_executors, 2);
    for (size_t i = 0; i < named->n_executors; i++) {
        bool is_alive = strcmp(named->executors[i]->executor_id->value, "alive") == 0;
        assert_int_equal(named->executors[i]->n_resources, is_alive ? 2 : 0);
    }
}

static void test_executor_that_stays_away(void **state)
{
    struct fixture *f = *state;
    run(f, "t");
    f_acknowledge(f, "t");
    restart(f);
    containers_run(f);
    f_advance(f, 2 * NS_PER_S - 1);
    assert_true(f->agent->is_recovering);
    f_advance(f, 1);
    assert_false(f->agent->is_recovering);
    assert_int_equal(f->destroyed_count, 1);
    static const struct agent_termination killed = {.has_status = true, .status = 9};
    agent_container_terminated(f->agent, f_executor(f, "t")->container_id, &killed, f->now);
    reregister(f);
    assert_int_equal(f_last_status(f)->state, MESOS__V1__TASK_STATE__TASK_LOST);
    assert_int_equal(f_last_status(f)->reason,
                     MESOS__V1__TASK_STATUS__REASON__REASON_EXECUTOR_REREGISTRATION_TIMEOUT);
    assert_string_equal(f_last_status(f)->message, "Executor did not reregister within 2secs");
}

static void test_cleanup(void **state)
{
    struct fixture *f = *state;
    run(f, "t");
    struct error err = {0};
    const struct agent_recovery how = {.is_strict = true, .is_cleanup = true};
    assert_int_equal(f_restart(f, &how, &err), 0);
    containers_run(f);
    assert_int_equal(f->shut_down_count, 0);
    come_back(f, "t", "");
    assert_int_equal(f_last_event(f)->type, MESOS__V1__EXECUTOR__EVENT__TYPE__SHUTDOWN);
    static const struct agent_termination exited = {.has_status = true};
    agent_container_terminated(f->agent, f_executor(f, "t")->container_id, &exited, f->now);
    assert_int_equal(f->shut_down_count, 1);
    assert_int_equal(f->kept.count, 0);
}

static void test_without_checkpoint_only_the_agent_is_kept(void **state)
{
    struct fixture *f = *state;
    f_register(f);
    f_run_task(f, "t", "");
    f_subscribe(f, "t", &stream);
    f_update(f, "t", "t", "TASK_RUNNING", 1);
    f_acknowledge(f, "t");
    assert_int_equal(f->kept.count, 1);
    assert_int_equal(f->kept_count, 1);
    assert_true(map_has(&f->kept, "agent"));
}

static void test_removed_by_the_master(void **state)
{
    struct fixture *f = *state;
    run(f, "t");
    f_receive(f, "{'type':'SHUTDOWN','shutdown':{}}");
    f_terminate(f, 0, NULL);
    assert_int_equal(f->kept.count, 0);
    restart(f);
    agent_recovery_start(f->agent, f->now);
    assert_null(f->agent->info->id);
}

static void test_reboot(void **state)
{
    struct fixture *f = *state;
    run(f, "t");
    f->boot_id = "boot-2";
    restart(f);
    assert_true(f->is_rebooted);
    assert_non_null(f_executor(f, "t"));
    f->boot_id = "boot-2";
    restart(f);
    assert_false(f->is_rebooted);
    // With other resources it is a new agent.
    f->boot_id = "boot-3";
    f->resources = "";
    restart(f);
    assert_null(f->agent->info->id);
    assert_int_equal(f->kept.count, 0);
}

static void test_policies(void **state)
{
    struct fixture *f = *state;
    run(f, "t");
#define CPUS(n) "{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":" n "}}"
#define MEM ",{\"name\":\"mem\",\"type\":\"SCALAR\",\"scalar\":{\"value\":4096}}"
    static const struct {
        const char *resources, *attributes;
        bool is_additive;
        const char *refusal; // or NULL
    } cases[] = {
        {CPUS("4") MEM, "", false, NULL},
        {CPUS("5") MEM, "", false, "Incompatible agent info detected"},
        {CPUS("3") MEM, "", true, "Resources decreased"},
        {CPUS("5") MEM,
         ",\"attributes\":[{\"name\":\"r\",\"type\":\"TEXT\",\"text\":{\"value\":\"1\"}}]", true,
         NULL},
        {CPUS("5") MEM, "", true, "Couldn't find attribute 'r'"},
        {CPUS("5") MEM,
         ",\"attributes\":[{\"name\":\"r\",\"type\":\"TEXT\",\"text\":{\"value\":\"2\"}}]", true,
         "Value of attribute 'r' changed"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        f->resources = cases[i].resources;
        f->attributes = cases[i].attributes;
        struct error err = {0};
        const struct agent_recovery how = {.is_strict = true, .is_additive = cases[i].is_additive};
        int r = f_restart(f, &how, &err);
        if (cases[i].refusal == NULL) {
            assert_int_equal(r, 0);
            assert_non_null(f_task(f, "t"));
        } else {
            assert_int_equal(r, -EINVAL);
            if (strstr(err.text, cases[i].refusal) == NULL) {
                fail_msg("case %zu: %s", i, err.text);
            }
        }
    }
}

// Every record, cut off at every byte: strict says so or can live with it; lenient always can.
static void test_damaged_records(void **state)
{
    struct fixture *f = *state;
    run(f, "t");
    f_acknowledge(f, "t");
    assert_int_equal(f_update(f, "t", "t", "TASK_RUNNING", 2), 0);
    assert_int_equal(f_update(f, "t", "t", "TASK_FINISHED", 3), 0);
    const char *keys[16];
    size_t count = 0;
    MAP_FOREACH (&f->kept, entry) {
        keys[count++] = arena_strdup(f->arena, entry->key);
    }
    assert_int_equal(count, 7);
    struct map whole = MAP_INIT;
    MAP_FOREACH (&f->kept, entry) {
        const struct buf *value = entry->value;
        struct buf *copy = arena_calloc(f->arena, 1, sizeof(*copy));
        buf_append(copy, value->data, value->size);
        map_put(&whole, entry->key, copy);
    }
    size_t refusals = 0;
    for (size_t i = 0; i < count; i++) {
        const struct buf *value = map_get(&whole, keys[i]);
        for (size_t size = 0; size < value->size; size++) {
            for (int is_strict = 1; is_strict >= 0; is_strict--) {
                // Whole again, but for this one.
                MAP_FOREACH (&f->kept, entry) {
                    buf_free(entry->value);
                    mem_free(entry->value);
                }
                map_clear(&f->kept);
                MAP_FOREACH (&whole, entry) {
                    const struct buf *from = entry->value;
                    struct buf *to = mem_zalloc(sizeof(*to));
                    buf_append(to, from->data,
                               strcmp(entry->key, keys[i]) == 0 ? size : from->size);
                    map_put(&f->kept, entry->key, to);
                }
                struct error err = {0};
                int r = f_restart(f, is_strict ? &strict : &lenient, &err);
                if (is_strict) {
                    refusals += r < 0;
                    continue;
                }
                assert_int_equal(r, 0);
                containers_run(f);
                f_advance(f, 3 * NS_PER_S);
                assert_false(f->agent->is_recovering);
            }
            f->launched_count = f->destroyed_count = f->sent_count = 0;
        }
    }
    assert_true(refusals > 100);
    MAP_FOREACH (&whole, entry) {
        buf_free(entry->value);
    }
    map_free(&whole);
}

static void run_with_port(struct fixture *f, const char *task_id)
{
    f_receive(f,
              "{'type':'RUN_TASK','run_task':{'framework_info':{'user':'joe','name':'test',"
              "'id':{'value':'F'},'checkpoint':true},'task':{'name':'n','task_id':{'value':'%s'},"
              "'agent_id':{'value':'S1'},'executor':{'executor_id':{'value':'e'},"
              "'command':{'value':'./e'}},'resources':[{'name':'ports','type':'RANGES','ranges':"
              "{'range':[{'begin':31000,'end':31000}]},'allocation_info':{'role':'*'}}]}}}",
              task_id);
}

// Launches "a", which ends, and "b", which has its port now.
static void hand_a_port_on(struct fixture *f)
{
    f->is_checkpointing = true;
    f_register(f);
    run_with_port(f, "a");
    agent_container_launched(f->agent, f->launched[0], 77, f->now);
    assert_int_equal(f_subscribe(f, "e", &stream), 0);
    assert_int_equal(f_update(f, "e", "a", "TASK_FINISHED", 1), 0);
    run_with_port(f, "b");
}

// A task that has ended and waits for its acknowledgement had the port that another one has
// now.
static void test_port_of_an_ended_task(void **state)
{
    struct fixture *f = *state;
    hand_a_port_on(f);
    assert_int_equal(f_update(f, "e", "b", "TASK_RUNNING", 2), 0);
    restart(f);
    containers_run(f);
    come_back(f, "e", "");
    assert_true(resources_is_equal(f_executor(f, "e")->allocated, f_task(f, "b")->resources));
    assert_int_equal(f_update(f, "e", "b", "TASK_FINISHED", 3), 0);
    assert_true(resources_is_empty(f_executor(f, "e")->allocated));
}

static void end_container(struct fixture *f)
{
    static const struct agent_termination killed = {.has_status = true, .status = 9};
    agent_recovery_start(f->agent, f->now);
    agent_container_terminated(f->agent, f_executor(f, "e")->container_id, &killed, f->now);
}

// Its framework ends: nobody will acknowledge, and the update is dropped.
static void test_port_of_an_ended_task_while_its_framework_ends(void **state)
{
    struct fixture *f = *state;
    hand_a_port_on(f);
    f_receive(f,
              "{'type':'SHUTDOWN_FRAMEWORK','shutdown_framework':{'framework_id':{'value':'F'}}}");
    restart(f);
    assert_null(f_task(f, "a"));
    assert_true(resources_is_equal(f_executor(f, "e")->allocated, f_task(f, "b")->resources));
    end_container(f);
    assert_int_equal(f->agent->frameworks.count, 0);
}

// The record of its update is damaged, so that it lives again: both have the port.
static void test_port_of_an_ended_task_whose_end_is_lost(void **state)
{
    struct fixture *f = *state;
    hand_a_port_on(f);
    MAP_FOREACH (&f->kept, entry) {
        if (strncmp(entry->key, "update/", 7) == 0) {
            ((struct buf *)entry->value)->size = 1;
        }
    }
    struct error err;
    assert_int_equal(f_restart(f, &lenient, &err), 0);
    assert_non_null(f_task(f, "a"));
    assert_non_null(f_task(f, "b"));
    end_container(f);
    assert_true(resources_is_empty(f_executor(f, "e")->allocated));
}

// The framework may know of the update that waits for its acknowledgement: a new master is
// told.
static void test_pending_update_counts_as_told(void **state)
{
    struct fixture *f = *state;
    run(f, "t");
    f_acknowledge(f, "t");
    assert_int_equal(f_update(f, "t", "t", "TASK_FINISHED", 2), 0);
    restart(f);
    containers_run(f);
    come_back(f, "t", "");
    agent_link_opened(f->agent, f->now);
    f_advance(f, NS_PER_S / 100);
    const Mesos__V1__Task *task = f_last_sent(f)->reregister->frameworks[0]->tasks[0];
    assert_int_equal(task->status_update_state, MESOS__V1__TASK_STATE__TASK_FINISHED);
}

// One of its executors has ended, the other one not, when the agent is killed: nothing is left
// of the one that makes no sense without what was taken away.
static void test_killed_while_a_framework_ends(void **state)
{
    struct fixture *f = *state;
    run(f, "t");
    f_run_task(f, "u", "");
    f_receive(f,
              "{'type':'SHUTDOWN_FRAMEWORK','shutdown_framework':{'framework_id':{'value':'F'}}}");
    f_terminate(f, 0, NULL);
    restart(f);
    assert_int_equal(f->agent->containers.count, 1);
    assert_non_null(f_executor(f, "u"));
    containers_run(f);
    // It goes on ending, whatever its executor was told meanwhile; the master hears nothing of it.
    come_back(f, "u", "");
    assert_int_equal(f_last_event(f)->type, MESOS__V1__EXECUTOR__EVENT__TYPE__SHUTDOWN);
    f_advance(f, 3 * NS_PER_S);
    reregister(f);
    assert_int_equal(f_last_sent(f)->reregister->n_frameworks, 0);
}

// A launch may have got lost with the link: when the master asks about its task, it gets an answer
// also from a process that goes on ending the framework.
static void test_ending_framework_answers_what_is_asked(void **state)
{
    struct fixture *f = *state;
    run(f, "t");
    f_acknowledge(f, "t");
    f_receive(f,
              "{'type':'SHUTDOWN_FRAMEWORK','shutdown_framework':{'framework_id':{'value':'F'}}}");
    restart(f);
    containers_run(f);
    come_back(f, "t", "");
    f_advance(f, 3 * NS_PER_S);
    reregister(f);
    assert_true(map_has(&f->agent->frameworks, "F"));
    f_receive(f, "{'type':'RECONCILE','reconcile':{'framework_id':{'value':'F'},"
                 "'task_ids':[{'value':'u'}]}}");
    assert_int_equal(f_last_sent(f)->type, MESETA__LINK__TO_MASTER__TYPE__STATUS_UPDATE);
    assert_int_equal(f_last_status(f)->state, MESOS__V1__TASK_STATE__TASK_LOST);
    assert_int_equal(f_last_status(f)->reason,
                     MESOS__V1__TASK_STATUS__REASON__REASON_RECONCILIATION);
    assert_string_equal(f_last_status(f)->task_id->value, "u");
}

// Also about a task that it still has: of its end nothing will be told.
static void test_ending_framework_disowns_its_task(void **state)
{
    struct fixture *f = *state;
    run(f, "t");
    f_receive(f,
              "{'type':'SHUTDOWN_FRAMEWORK','shutdown_framework':{'framework_id':{'value':'F'}}}");
    f_receive(f, "{'type':'RECONCILE','reconcile':{'framework_id':{'value':'F'},"
                 "'task_ids':[{'value':'t'}]}}");
    assert_int_equal(f_last_sent(f)->type, MESETA__LINK__TO_MASTER__TYPE__STATUS_UPDATE);
    assert_int_equal(f_last_status(f)->state, MESOS__V1__TASK_STATE__TASK_LOST);
    assert_false(f_last_status(f)->has_uuid);
    assert_string_equal(f_last_status(f)->task_id->value, "t");
}

// A master that asks believes in the framework: its answer waits for it, whatever becomes of what
// is left of the framework here; until a master ends the framework again.
static void test_answer_outlives_an_ending_framework(void **state)
{
    struct fixture *f = *state;
    static const char shutdown[] =
        "{'type':'SHUTDOWN_FRAMEWORK','shutdown_framework':{'framework_id':{'value':'F'}}}";
    run(f, "t");
    f_receive(f, shutdown);
    f_receive(f, "{'type':'RECONCILE','reconcile':{'framework_id':{'value':'F'},"
                 "'task_ids':[{'value':'u'}]}}");
    assert_true(f_last_status(f)->has_uuid);
    static const struct agent_termination exited = {.has_status = true};
    agent_container_terminated(f->agent, f_executor(f, "t")->container_id, &exited, f->now);
    assert_false(map_has(&f->agent->frameworks, "F"));
    f->sent_count = 0;
    f_advance(f, 11 * NS_PER_S);
    assert_int_equal(f_last_sent(f)->type, MESETA__LINK__TO_MASTER__TYPE__STATUS_UPDATE);
    assert_string_equal(f_last_status(f)->task_id->value, "u");
    f_receive(f, shutdown);
    f->sent_count = 0;
    f_advance(f, 60 * NS_PER_S);
    assert_int_equal(f->sent_count, 0);
}

// Whoever is told that an executor ended must know which one of that id: the master's number for it
// outlives the agent's process, and an executor that could not be launched is told by its own.
static void test_end_names_the_instance(void **state)
{
    struct fixture *f = *state;
    f->is_checkpointing = true;
    f_register(f);
    f_run_instance(f, "a", "e", 7);
    f_receive(f,
              "{'type':'SHUTDOWN_FRAMEWORK','shutdown_framework':{'framework_id':{'value':'F'}}}");
    restart(f);
    containers_run(f);
    come_back(f, "e", "");
    f_advance(f, 3 * NS_PER_S);
    reregister(f);
    assert_int_equal(f_last_sent(f)->reregister->n_frameworks, 0);
    f_run_instance(f, "b", "e", 8);
    assert_int_equal(f_last_sent(f)->type, MESETA__LINK__TO_MASTER__TYPE__EXECUTOR_EXITED);
    assert_int_equal(f_last_sent(f)->executor_exited->instance, 8);
    static const struct agent_termination exited = {.has_status = true};
    agent_container_terminated(f->agent, f_executor(f, "e")->container_id, &exited, f->now);
    assert_int_equal(f_last_sent(f)->type, MESETA__LINK__TO_MASTER__TYPE__EXECUTOR_EXITED);
    assert_int_equal(f_last_sent(f)->executor_exited->instance, 7);
}

// Its only task was killed before it was sent: also the next process ends it.
static void test_executor_without_a_task(void **state)
{
    struct fixture *f = *state;
    f->is_checkpointing = true;
    f_register(f);
    f_run_custom(f, "a", "e");
    agent_container_launched(f->agent, f->launched[0], 77, f->now);
    f_receive(f, "{'type':'KILL_TASK','kill_task':{'framework_id':{'value':'F'},"
                 "'task_id':{'value':'a'}}}");
    assert_int_equal(f_last_status(f)->state, MESOS__V1__TASK_STATE__TASK_KILLED);
    restart(f);
    containers_run(f);
    come_back(f, "e", "");
    assert_int_equal(f_last_event(f)->type, MESOS__V1__EXECUTOR__EVENT__TYPE__SHUTDOWN);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_running_task),
        TEST(test_unacknowledged_updates),
        TEST(test_repeated_update_that_was_acknowledged),
        TEST(test_launch_that_may_not_have_arrived),
        TEST(test_custom_executor_drops_what_it_does_not_name),
        TEST(test_container_that_ended),
        TEST(test_ended_executor_holds_nothing),
        TEST(test_executor_that_stays_away),
        TEST(test_cleanup),
        TEST(test_without_checkpoint_only_the_agent_is_kept),
        TEST(test_removed_by_the_master),
        TEST(test_reboot),
        TEST(test_policies),
        TEST(test_damaged_records),
        TEST(test_port_of_an_ended_task),
        TEST(test_port_of_an_ended_task_while_its_framework_ends),
        TEST(test_port_of_an_ended_task_whose_end_is_lost),
        TEST(test_pending_update_counts_as_told),
        TEST(test_killed_while_a_framework_ends),
        TEST(test_ending_framework_answers_what_is_asked),
        TEST(test_ending_framework_disowns_its_task),
        TEST(test_answer_outlives_an_ending_framework),
        TEST(test_end_names_the_instance),
        TEST(test_executor_without_a_task),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
