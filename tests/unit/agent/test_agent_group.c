// SPDX-License-Identifier: Apache-2.0
//
// Task groups in the agent core: queued, sent, killed and dropped as a whole.

#include "fixture.h"

#include <string.h>

#include "base/mem.h"

#define STATE(name) MESOS__V1__TASK_STATE__TASK_##name
#define REASON(name) MESOS__V1__TASK_STATUS__REASON__REASON_##name
#define EVENT(name) MESOS__V1__EXECUTOR__EVENT__TYPE__##name

#define AMOUNT(cpus)                                                                               \
    "'resources':[{'name':'cpus','type':'SCALAR','scalar':{'value':" cpus "},"                     \
    "'allocation_info':{'role':'*'}}]"

// Tasks `first` and `second` of 1 cpu each, for the executor "pod" of 0.5 cpus.
static void run_group(struct fixture *f, const char *first, const char *second, bool launches)
{
    f_receive(f,
              "{'type':'RUN_TASK_GROUP','run_task_group':{'framework_info':{'user':'joe',"
              "'name':'test','id':{'value':'F'},'checkpoint':%s},'executor_info':{'type':"
              "'DEFAULT','executor_id':{'value':'pod'},'framework_id':{'value':'F'}," AMOUNT(
                  "0.5") "},'launch_executor':%s,'task_group':{'tasks':["
                         "{'name':'n','task_id':{'value':'%s'},'agent_id':{'value':'S1'},"
                         "'command':{'value':'a'}," AMOUNT(
                             "1") "},"
                                  "{'name':'n','task_id':{'value':'%s'},'agent_id':{'value':'S1'},"
                                  "'command':{'value':'b'}," AMOUNT("1") "}]}}}",
              f->is_checkpointing ? "true" : "false", launches ? "true" : "false", first, second);
}

static const Mesos__V1__TaskStatus *sent_status(struct fixture *f, const char *task_id)
{
    for (size_t i = f->sent_count; i-- > 0;) {
        const Meseta__Link__ToMaster__StatusUpdate *update = f->sent[i]->status_update;
        if (update != NULL && strcmp(update->status->task_id->value, task_id) == 0) {
            return update->status;
        }
    }
    return NULL;
}

static void assert_group(const Mesos__V1__Executor__Event *event, const char *first,
                         const char *second)
{
    assert_int_equal(event->type, EVENT(LAUNCH_GROUP));
    const Mesos__V1__TaskGroupInfo *group = event->launch_group->task_group;
    assert_int_equal(group->n_tasks, 2);
    assert_string_equal(group->tasks[0]->task_id->value, first);
    assert_string_equal(group->tasks[1]->task_id->value, second);
    assert_string_equal(group->tasks[0]->executor->executor_id->value, "pod");
}

static void test_group_lives(void **state)
{
    struct fixture *f = *state;
    f_register(f);
    run_group(f, "a", "b", true);
    assert_int_equal(f->launched_count, 1);
    assert_string_equal(f->launched_user, "joe");
    assert_true(f->launched_cpus > 2.49 && f->launched_cpus < 2.51);
    assert_string_equal(f->launched_command->value, "/libexec/mesos-default-executor");
    assert_string_equal(f->launched_command->arguments[0], "mesos-default-executor");
    assert_string_equal(f->launched_command->arguments[1], "--launcher_dir=/libexec");

    int stream;
    assert_int_equal(f_subscribe(f, "pod", &stream), 0);
    assert_int_equal(f->event_count, 2);
    assert_null(f->events[0]->subscribed->executor_info->command);
    assert_group(f->events[1], "a", "b");

    // A second group goes to the same executor at once, when its container has the new limits.
    size_t updated = f->updated_count;
    run_group(f, "c", "d", false);
    assert_int_equal(f->launched_count, 1);
    assert_int_equal(f->updated_count, updated + 1);
    assert_true(f->updated_cpus > 4.49 && f->updated_cpus < 4.51);
    assert_group(f_last_event(f), "c", "d");

    // A task that ends gives its part back, and the rest goes on.
    f_update(f, "pod", "a", "TASK_FINISHED", 1);
    assert_true(f->updated_cpus > 3.49 && f->updated_cpus < 3.51);
    struct agent_termination lost = {.has_status = true, .status = 9};
    f_terminate(f, 0, &lost);
    assert_int_equal(sent_status(f, "b")->state, STATE(FAILED));
    assert_int_equal(sent_status(f, "b")->reason, REASON(EXECUTOR_TERMINATED));
    assert_int_equal(sent_status(f, "a")->state, STATE(FINISHED));
    const char *ids[] = {"a", "b", "c", "d"};
    for (size_t i = 0; i < ARRAY_COUNT(ids); i++) {
        f_acknowledge(f, ids[i]);
    }
    assert_int_equal(f->agent->frameworks.count, 0);
}

// A task of 1 cpu and 100 MB for executor "e", which has 0.5 cpus and 32 MB.
static void run_limited(struct fixture *f, const char *task_id, const char *limits)
{
    f_receive(f,
              "{'type':'RUN_TASK','run_task':{'framework_info':{'user':'joe','name':'test',"
              "'id':{'value':'F'},'checkpoint':%s,'capabilities':[{'type':'PARTITION_AWARE'}]},"
              "'task':{'name':'n','task_id':{'value':'%s'},'agent_id':{'value':'S1'},"
              "'limits':{%s},'executor':{'executor_id':{'value':'e'},"
              "'framework_id':{'value':'F'},'command':{'value':'./exec'},'resources':["
              "{'name':'cpus','type':'SCALAR','scalar':{'value':0.5}},"
              "{'name':'mem','type':'SCALAR','scalar':{'value':32}}]},'resources':["
              "{'name':'cpus','type':'SCALAR','scalar':{'value':1}},"
              "{'name':'mem','type':'SCALAR','scalar':{'value':100}}]}}}",
              f->is_checkpointing ? "true" : "false", task_id, limits);
}

static void assert_limits(struct hard_limits limits, int64_t cpus, int64_t mem)
{
    assert_int_equal(limits.cpus, cpus);
    assert_int_equal(limits.mem, mem);
}

static void test_limits_of_an_executor(void **state)
{
    struct fixture *f = *state;
    f->is_checkpointing = true;
    f_register(f);
    run_limited(f, "a", "'cpus':{'value':2},'mem':{'value':200}");
    assert_limits(f->launched_limits, 2500, 232000);
    assert_false(f->is_launched_command_task);
    int stream;
    assert_int_equal(f_subscribe(f, "e", &stream), 0);
    // One without a limit may use what is idle of cpus, and has what it asked for of memory.
    run_limited(f, "b", "");
    assert_limits(f->updated_limits, HARD_LIMIT_UNSET, 332000);
    run_limited(f, "c", "'cpus':{'value':'Infinity'},'mem':{'value':'Infinity'}");
    assert_limits(f->updated_limits, HARD_LIMIT_UNSET, HARD_LIMIT_INFINITE);
    f_update(f, "e", "b", "TASK_FINISHED", 1);
    assert_limits(f->updated_limits, HARD_LIMIT_INFINITE, HARD_LIMIT_INFINITE);
    // Another process finds the same.
    struct error err = {0};
    static const struct agent_recovery strict = {.is_strict = true};
    assert_int_equal(f_restart(f, &strict, &err), 0);
    assert_limits(agent_executor_limits(f_executor(f, "e")), HARD_LIMIT_INFINITE,
                  HARD_LIMIT_INFINITE);
    MAP_FOREACH (&f->agent->containers, entry) {
        agent_container_launched(f->agent, entry->key, 77, f->now);
    }
    agent_recovery_start(f->agent, f->now);
    assert_int_equal(f_call(f, &stream,
                            "{'type':'SUBSCRIBE','framework_id':{'value':'F'},"
                            "'executor_id':{'value':'e'},'subscribe':{'unacknowledged_tasks':["
                            "{'name':'n','task_id':{'value':'a'},'agent_id':{'value':'S1'}},"
                            "{'name':'n','task_id':{'value':'c'},'agent_id':{'value':'S1'}}]}}"),
                     0);
    f_update(f, "e", "c", "TASK_FINISHED", 2);
    assert_limits(f->updated_limits, 2500, 232000);
    // They are told with the task.
    struct arena *arena AUTO_ARENA = arena_new(0, 0);
    const Mesos__V1__Task *message = agent_task_message(f_task(f, "a"), arena);
    assert_int_equal(message->n_limits, 2);
}

static void test_limits_of_a_command_task(void **state)
{
    struct fixture *f = *state;
    f_register(f);
    f_run_task(f, "a", ",'limits':{'cpus':{'value':4}}");
    assert_limits(f->launched_limits, 4100, HARD_LIMIT_UNSET);
    assert_true(f->is_launched_command_task);
    f_run_task(f, "b", "");
    assert_limits(f->launched_limits, HARD_LIMIT_UNSET, HARD_LIMIT_UNSET);
}

static void test_limits_that_would_not_hold(void **state)
{
    struct fixture *f = *state;
    f_register(f);
    f->agent->options.limits_mem = false;
    run_limited(f, "a", "'cpus':{'value':2},'mem':{'value':200}");
    assert_int_equal(f->launched_count, 0);
    assert_int_equal(sent_status(f, "a")->state, STATE(DROPPED));
    assert_int_equal(sent_status(f, "a")->reason, REASON(GC_ERROR));
    assert_string_equal(sent_status(f, "a")->message,
                        "Memory limits can only be set on tasks launched in Mesos containers when "
                        "the agent has loaded the 'cgroups/mem' isolator");
    f->agent->options.limits_cpus = false;
    f_run_task(f, "b", ",'limits':{'cpus':{'value':4}}");
    assert_int_equal(sent_status(f, "b")->state, STATE(LOST));
    assert_int_equal(sent_status(f, "b")->reason, REASON(GC_ERROR));
}

static void test_groups_in_one_queue(void **state)
{
    struct fixture *f = *state;
    f_register(f);
    run_group(f, "a", "b", true);
    run_group(f, "c", "d", false);
    int stream;
    assert_int_equal(f_subscribe(f, "pod", &stream), 0);
    assert_int_equal(f->event_count, 3);
    assert_group(f->events[1], "a", "b");
    assert_group(f->events[2], "c", "d");
}

static void test_kill_takes_the_queued_group(void **state)
{
    struct fixture *f = *state;
    f_register(f);
    run_group(f, "a", "b", true);
    run_group(f, "c", "d", false);
    f_receive(f, "{'type':'KILL_TASK','kill_task':{'framework_id':{'value':'F'},"
                 "'task_id':{'value':'b'}}}");
    for (const char *id = "a"; id != NULL; id = *id == 'a' ? "b" : NULL) {
        const Mesos__V1__TaskStatus *status = sent_status(f, id);
        assert_int_equal(status->state, STATE(KILLED));
        assert_int_equal(status->reason, REASON(TASK_KILLED_DURING_LAUNCH));
        assert_string_equal(
            status->message,
            "A task within the task group was killed before delivery to the executor");
    }
    assert_null(sent_status(f, "c"));
    assert_true(resources_scalar(f_executor(f, "pod")->allocated, "cpus") == 2500);
    int stream;
    assert_int_equal(f_subscribe(f, "pod", &stream), 0);
    assert_int_equal(f->event_count, 2);
    assert_group(f->events[1], "c", "d");

    // Once it was sent, a kill concerns the one task, and the executor sees to the others.
    f_receive(f, "{'type':'KILL_TASK','kill_task':{'framework_id':{'value':'F'},"
                 "'task_id':{'value':'d'}}}");
    assert_int_equal(f_last_event(f)->type, EVENT(KILL));
    assert_string_equal(f_last_event(f)->kill->task_id->value, "d");
    assert_null(sent_status(f, "c"));
}

static void test_executor_of_a_killed_group_is_shut_down(void **state)
{
    struct fixture *f = *state;
    f_register(f);
    run_group(f, "a", "b", true);
    f_receive(f, "{'type':'KILL_TASK','kill_task':{'framework_id':{'value':'F'},"
                 "'task_id':{'value':'a'}}}");
    int stream;
    assert_int_equal(f_subscribe(f, "pod", &stream), 0);
    assert_int_equal(f_last_event(f)->type, EVENT(SHUTDOWN));
}

static void test_dropped_as_a_whole(void **state)
{
    struct fixture *f = *state;
    f_register(f);
    // The master takes the executor for one that runs.
    run_group(f, "a", "b", false);
    assert_int_equal(f->launched_count, 0);
    assert_int_equal(sent_status(f, "a")->state, STATE(LOST));
    assert_int_equal(sent_status(f, "b")->state, STATE(LOST));
    assert_int_equal(sent_status(f, "b")->reason, REASON(EXECUTOR_TERMINATED));

    run_group(f, "c", "d", true);
    run_group(f, "e", "d", false);
    assert_int_equal(sent_status(f, "e")->state, STATE(LOST));
    assert_null(sent_status(f, "d")); // the one that runs is left alone
    run_group(f, "g", "g", false);
    assert_int_equal(sent_status(f, "g")->state, STATE(LOST));
    int stream;
    assert_int_equal(f_subscribe(f, "pod", &stream), 0);
    assert_int_equal(f->event_count, 2);
    assert_group(f->events[1], "c", "d");
}

static void test_recovered(void **state)
{
    struct fixture *f = *state;
    f->is_checkpointing = true;
    f_register(f);
    run_group(f, "a", "b", true);
    agent_container_launched(f->agent, f->launched[0], 77, f->now);
    int stream, again;
    assert_int_equal(f_subscribe(f, "pod", &stream), 0);
    f_update(f, "pod", "a", "TASK_RUNNING", 1);
    f_update(f, "pod", "b", "TASK_RUNNING", 2);
    f_acknowledge(f, "a");
    f_acknowledge(f, "b");
    run_group(f, "c", "d", false); // the event does not arrive
    struct error err = {0};
    static const struct agent_recovery strict = {.is_strict = true};
    assert_int_equal(f_restart(f, &strict, &err), 0);
    assert_true(resources_scalar(f_executor(f, "pod")->allocated, "cpus") == 4500);
    MAP_FOREACH (&f->agent->containers, entry) {
        agent_container_launched(f->agent, entry->key, 77, f->now);
    }
    agent_recovery_start(f->agent, f->now);
    assert_int_equal(f_subscribe(f, "pod", &again), 0);
    assert_int_equal(f_task(f, "a")->state, STATE(RUNNING));
    assert_int_equal(f_task(f, "b")->state, STATE(RUNNING));
    assert_int_equal(f_task(f, "c")->state, STATE(LOST));
    assert_int_equal(f_task(f, "d")->state, STATE(LOST));
    assert_true(resources_scalar(f_executor(f, "pod")->allocated, "cpus") == 2500);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(group_lives),
        TEST(groups_in_one_queue),
        TEST(limits_of_an_executor),
        TEST(limits_of_a_command_task),
        TEST(limits_that_would_not_hold),
        TEST(kill_takes_the_queued_group),
        TEST(executor_of_a_killed_group_is_shut_down),
        TEST(dropped_as_a_whole),
        TEST(recovered),
    };
    return cmocka_run_group_tests_name("agent groups", tests, NULL, NULL);
}
