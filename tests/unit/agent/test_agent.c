// SPDX-License-Identifier: Apache-2.0
//
// The life of tasks and executors in the agent core.

#include <stdio.h>
#include <string.h>

#include "fixture.h"

#define STATE(name) MESOS__V1__TASK_STATE__TASK_##name
#define REASON(name) MESOS__V1__TASK_STATUS__REASON__REASON_##name
#define EVENT(name) MESOS__V1__EXECUTOR__EVENT__TYPE__##name

static void start_task(struct fixture *f, const char *task_id, void *stream)
{
    f_run_task(f, task_id, "");
    assert_int_equal(f_subscribe(f, task_id, stream), 0);
}

static void test_command_is_cut_between_characters(void **state)
{
    struct fixture *f = *state;
    f_register(f);
    f_run_task(f, "t1", ",'command':{'value':'echo 123456\\u00fc and more'}");
    int stream;
    agent_container_launched(f->agent, f->launched[0], 4711, f->now);
    assert_int_equal(f_subscribe(f, "t1", &stream), 0);
    const Mesos__V1__ExecutorInfo *info = f->events[0]->subscribed->executor_info;
    assert_string_equal(info->name,
                        "Command Executor (Task: t1) (Command: sh -c 'echo 123456...')");
}

static void test_command_task_lives(void **state)
{
    struct fixture *f = *state;
    f_register(f);
    f_run_task(f, "t1", ",'kill_policy':{'grace_period':{'nanoseconds':3000000000}}");
    assert_int_equal(f->launched_count, 1);
    assert_string_equal(f->launched_user, "joe");
    assert_true(f->launched_cpus > 1.09 && f->launched_cpus < 1.11);
    char sandbox[256];
    snprintf(sandbox, sizeof(sandbox), "/work/slaves/S1/frameworks/F/executors/t1/runs/%s",
             f->launched[0]);
    assert_string_equal(f->launched_sandbox, sandbox);
    assert_false(f->launched_command->shell);
    assert_string_equal(f->launched_command->value, "/libexec/mesos-executor");
    assert_string_equal(f->launched_command->arguments[1], "--launcher_dir=/libexec");

    int stream;
    agent_container_launched(f->agent, f->launched[0], 4711, f->now);
    assert_int_equal(f_subscribe(f, "t1", &stream), 0);
    assert_int_equal(f->event_count, 2);
    assert_int_equal(f->events[0]->type, EVENT(SUBSCRIBED));
    const Mesos__V1__ExecutorInfo *info = f->events[0]->subscribed->executor_info;
    assert_string_equal(info->name, "Command Executor (Task: t1) (Command: sh -c 'sleep 1')");
    assert_int_equal(info->shutdown_grace_period->nanoseconds, 5 * NS_PER_S);
    assert_string_equal(f->events[0]->subscribed->agent_info->id->value, "S1");
    assert_string_equal(f->events[0]->subscribed->container_id->value, f->launched[0]);
    assert_int_equal(f->events[1]->type, EVENT(LAUNCH));
    assert_string_equal(f->events[1]->launch->task->task_id->value, "t1");
    assert_ptr_equal(f->event_streams[1], &stream);

    assert_int_equal(f_update(f, "t1", "t1", "TASK_RUNNING", 1), 0);
    const Mesos__V1__TaskStatus *status = f_last_status(f);
    assert_int_equal(status->state, STATE(RUNNING));
    assert_string_equal(status->agent_id->value, "S1");
    assert_string_equal(status->executor_id->value, "t1");
    assert_true(status->timestamp >= 1700000000);
    assert_string_equal(status->container_status->container_id->value, f->launched[0]);
    assert_int_equal(status->container_status->executor_pid, 4711);
    assert_string_equal(status->container_status->network_infos[0]->ip_addresses[0]->ip_address,
                        "10.0.0.7");
    assert_int_equal(f_last_event(f)->type, EVENT(ACKNOWLEDGED));
    assert_int_equal(f_last_event(f)->acknowledged->uuid.len, 16);
    f_acknowledge(f, "t1");

    assert_int_equal(f_update(f, "t1", "t1", "TASK_FINISHED", 2), 0);
    assert_int_equal(f_last_status(f)->state, STATE(FINISHED));
    f_terminate(f, 0, NULL);
    // The update is not acknowledged: the executor stays.
    assert_int_equal(f->agent->frameworks.count, 1);
    f_acknowledge(f, "t1");
    assert_int_equal(f->agent->frameworks.count, 0);
    assert_int_equal(f->agent->streams.count, 0);
    assert_int_equal(f->agent->completed_framework_count, 1);
    assert_int_equal(f->agent->metrics.tasks_finished, 1);
    // No ExecutorExited for what the agent made itself.
    assert_int_equal(f_last_sent(f)->type, MESETA__LINK__TO_MASTER__TYPE__STATUS_UPDATE);
    for (size_t i = 0; i < AGENT_TASK_STATES; i++) {
        assert_int_equal(f->agent->task_states[i], 0);
    }
}

static void test_environment(void **state)
{
    struct fixture *f = *state;
    f_register(f);
    f_run_task(f, "t1", "");
    assert_string_equal(f_environment(f, "PATH"), "/bin");
    assert_string_equal(f_environment(f, "MESOS_CHECKPOINT"), "0");
    assert_string_equal(f_environment(f, "MESOS_FRAMEWORK_ID"), "F");
    assert_string_equal(f_environment(f, "MESOS_EXECUTOR_ID"), "t1");
    assert_string_equal(f_environment(f, "MESOS_DIRECTORY"), f->launched_sandbox);
    assert_string_equal(f_environment(f, "MESOS_SANDBOX"), f->launched_sandbox);
    assert_string_equal(f_environment(f, "MESOS_SLAVE_ID"), "S1");
    assert_string_equal(f_environment(f, "MESOS_SLAVE_PID"), "slave(1)@10.0.0.7:5051");
    assert_string_equal(f_environment(f, "MESOS_AGENT_ENDPOINT"), "10.0.0.7:5051");
    assert_string_equal(f_environment(f, "MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD"), "5secs");
    assert_string_equal(f_environment(f, "LIBPROCESS_PORT"), "0");
    assert_null(f_environment(f, "MESOS_RECOVERY_TIMEOUT"));

    f_receive(f, "{'type':'RUN_TASK','run_task':{'framework_info':{'user':'joe','name':'c',"
                 "'id':{'value':'G'},'checkpoint':true},'task':{'name':'n',"
                 "'task_id':{'value':'t2'},'agent_id':{'value':'S1'},'command':{'value':'x',"
                 "'environment':{'variables':[{'name':'A','value':'1'},{'name':'PATH',"
                 "'value':'/mine'}]}},'resources':[]}}}");
    assert_string_equal(f_environment(f, "MESOS_CHECKPOINT"), "1");
    assert_string_equal(f_environment(f, "MESOS_RECOVERY_TIMEOUT"), "15mins");
    assert_string_equal(f_environment(f, "MESOS_SUBSCRIPTION_BACKOFF_MAX"), "2secs");
    assert_string_equal(f_environment(f, "A"), "1");
    assert_string_equal(f_environment(f, "PATH"), "/mine");
}

// What a task uses is told to its executor as it was read: allocated, in the new form, each once.
static void test_resources_are_completed(void **state)
{
    struct fixture *f = *state;
    f_register(f);
    f_receive(f, "{'type':'RUN_TASK','run_task':{'framework_info':{'user':'joe','name':'test',"
                 "'id':{'value':'F'},'roles':['a','b'],'capabilities':[{'type':'MULTI_ROLE'}]},"
                 "'role':'b','task':{'name':'n','task_id':{'value':'t'},'agent_id':{'value':'S1'},"
                 "'command':{'value':'x'},'resources':[{'name':'cpus','type':'SCALAR','role':'*',"
                 "'scalar':{'value':0.25}},{'name':'cpus','type':'SCALAR','scalar':"
                 "{'value':0.2501}}]}}}");
    int stream;
    agent_container_launched(f->agent, f->launched[0], 4711, f->now);
    assert_int_equal(f_subscribe(f, "t", &stream), 0);
    assert_int_equal(f->events[1]->type, EVENT(LAUNCH));
    const Mesos__V1__TaskInfo *task = f->events[1]->launch->task;
    assert_int_equal(task->n_resources, 1);
    assert_string_equal(task->resources[0]->allocation_info->role, "b");
    assert_true(task->resources[0]->scalar->value == 0.5);
}

static void test_custom_executor_is_shared(void **state)
{
    struct fixture *f = *state;
    int stream;
    f_register(f);
    f_run_custom(f, "a", "ex");
    f_run_custom(f, "b", "ex");
    assert_int_equal(f->launched_count, 1);
    assert_int_equal(f_subscribe(f, "ex", &stream), 0);
    assert_int_equal(f->event_count, 3);
    assert_true(f->updated_cpus > 2.49 && f->updated_cpus < 2.51);
    f_run_custom(f, "c", "ex");
    assert_string_equal(f_last_event(f)->launch->task->task_id->value, "c");
    assert_true(f->updated_cpus > 3.49 && f->updated_cpus < 3.51);
    f_update(f, "ex", "a", "TASK_FINISHED", 1);
    assert_true(f->updated_cpus > 2.49 && f->updated_cpus < 2.51);

    // Its death fails what lived, and the master hears of it.
    struct agent_termination killed = {.has_status = true, .status = 9};
    f_terminate(f, 0, &killed);
    size_t failed = 0;
    for (size_t i = 0; i < f->sent_count; i++) {
        if (f->sent[i]->status_update != NULL &&
            f->sent[i]->status_update->status->state == STATE(FAILED)) {
            failed++;
            assert_int_equal(f->sent[i]->status_update->status->reason,
                             REASON(EXECUTOR_TERMINATED));
            assert_string_equal(f->sent[i]->status_update->status->message, "Executor terminated");
        }
    }
    assert_int_equal(failed, 2);
    assert_int_equal(f_last_sent(f)->type, MESETA__LINK__TO_MASTER__TYPE__EXECUTOR_EXITED);
    assert_int_equal(f_last_sent(f)->executor_exited->status, 9);
    // A task for the dead executor, whose updates still wait.
    f_run_custom(f, "d", "ex");
    assert_int_equal(f_last_status(f)->state, STATE(LOST));
    assert_string_equal(f_last_status(f)->message, "Executor terminated");
    f_acknowledge(f, "a");
    f_acknowledge(f, "b");
    assert_int_equal(f->agent->frameworks.count, 1);
    f_acknowledge(f, "c");
    assert_int_equal(f->agent->frameworks.count, 0);
    // The update of the task that never was is still owed.
    assert_int_equal(f->agent->streams.count, 1);
    f_acknowledge(f, "d");
    assert_int_equal(f->agent->streams.count, 0);
}

// A RUN_TASK of a custom executor: what the master thinks of the executor is in `launch_executor`.
static void run_booked(struct fixture *f, const char *task_id, const char *launch_executor)
{
    f_receive(f,
              "{'type':'RUN_TASK','run_task':{'framework_info':{'user':'joe','name':'test',"
              "'id':{'value':'F'}},'launch_executor':%s,'task':{'name':'n','task_id':{'value':"
              "'%s'},'agent_id':{'value':'S1'},'executor':{'executor_id':{'value':'ex'},"
              "'framework_id':{'value':'F'},'command':{'value':'./exec'},'resources':[]},"
              "'resources':[]}}}",
              launch_executor, task_id);
}

// The executor ends while a task for it is on its way. What the master booked for an executor that
// will not be is given back; and no executor begins that the master has not booked.
static void test_executor_ends_as_a_task_comes(void **state)
{
    struct fixture *f = *state;
    int stream;
    f_register(f);
    run_booked(f, "a", "true");
    assert_int_equal(f_subscribe(f, "ex", &stream), 0);
    f_update(f, "ex", "a", "TASK_FINISHED", 1);
    f_terminate(f, 0, NULL);
    // It is still here, as its update waits; the master knows that it ended, and books another.
    size_t before = f->sent_count;
    run_booked(f, "b", "true");
    assert_int_equal(f->sent_count, before + 2);
    assert_string_equal(f->sent[before]->status_update->status->message,
                        "Master wants to launch executor, but one already exists");
    assert_int_equal(f_last_sent(f)->type, MESETA__LINK__TO_MASTER__TYPE__EXECUTOR_EXITED);
    // The master did not know yet that it ended.
    f_acknowledge(f, "a");
    f_acknowledge(f, "b");
    run_booked(f, "c", "false");
    assert_int_equal(f_last_status(f)->state, STATE(LOST));
    assert_string_equal(f_last_status(f)->message,
                        "No executor is expected to launch and there is none running");
    assert_int_equal(f->launched_count, 1);
}

// The master lost it from its books: it cannot take a task, and goes.
static void test_executor_that_the_master_does_not_know(void **state)
{
    struct fixture *f = *state;
    int stream;
    f_register(f);
    run_booked(f, "a", "true");
    assert_int_equal(f_subscribe(f, "ex", &stream), 0);
    size_t before = f->sent_count;
    run_booked(f, "b", "true");
    const Mesos__V1__TaskStatus *status = f->sent[before]->status_update->status;
    assert_int_equal(status->state, STATE(LOST));
    assert_int_equal(status->reason, REASON(EXECUTOR_TERMINATED));
    assert_string_equal(status->message, "Master wants to launch executor, but one already exists");
    assert_int_equal(f_last_event(f)->type, MESOS__V1__EXECUTOR__EVENT__TYPE__SHUTDOWN);
    assert_int_equal(f_executor(f, "ex")->state, EXECUTOR_TERMINATING);
    assert_int_equal(f_task(f, "a")->stage, TASK_LAUNCHED);
}

// A master that came later may know a framework again that is being shut down here.
static void test_task_for_a_terminating_framework(void **state)
{
    struct fixture *f = *state;
    int stream;
    f_register(f);
    run_booked(f, "a", "true");
    assert_int_equal(f_subscribe(f, "ex", &stream), 0);
    f_receive(f, "{'type':'SHUTDOWN_FRAMEWORK','shutdown_framework':{'framework_id':"
                 "{'value':'F'}}}");
    run_booked(f, "b", "false");
    assert_int_equal(f_last_status(f)->state, STATE(LOST));
    assert_string_equal(f_last_status(f)->message, "Framework is terminating");
    assert_false(f_last_status(f)->has_uuid);
}

static void test_memory_limit_is_told(void **state)
{
    struct fixture *f = *state;
    int stream;
    f_register(f);
    start_task(f, "t1", &stream);
    struct resources *limited = NULL;
    assert_int_equal(resources_parse("mem:132", "*", &limited, NULL), 0);
    struct agent_termination limit = {
        .has_status = true,
        .status = 9,
        .has_reason = true,
        .reason = REASON(CONTAINER_LIMITATION_MEMORY),
        .message = "Memory limit exceeded: Requested: 132MB Maximum Used: 132MB",
        .limited = limited,
    };
    f_terminate(f, 0, &limit);
    const Mesos__V1__TaskStatus *status = f_last_status(f);
    assert_int_equal(status->state, STATE(FAILED));
    assert_int_equal(status->reason, REASON(CONTAINER_LIMITATION_MEMORY));
    assert_string_equal(status->message, limit.message);
    assert_string_equal(status->limitation->resources[0]->name, "mem");
    resources_free(limited);
}

static void test_launch_refused(void **state)
{
    struct fixture *f = *state;
    f_register(f);
    f->refuse_launch = "no space left";
    f_run_task(f, "t1", "");
    assert_int_equal(f_last_status(f)->state, STATE(FAILED));
    assert_int_equal(f_last_status(f)->reason, REASON(CONTAINER_LAUNCH_FAILED));
    assert_string_equal(f_last_status(f)->message, "Failed to launch container: no space left");
    assert_int_equal(f->agent->metrics.container_launch_errors, 1);
    f_acknowledge(f, "t1");
    assert_int_equal(f->agent->frameworks.count, 0);
}

static void test_registration_timeout(void **state)
{
    struct fixture *f = *state;
    f_register(f);
    f_run_task(f, "t1", "");
    f_advance(f, 59 * NS_PER_S);
    assert_int_equal(f->destroyed_count, 0);
    f_advance(f, 2 * NS_PER_S);
    assert_int_equal(f->destroyed_count, 1);
    f_terminate(f, 0, NULL);
    assert_int_equal(f_last_status(f)->state, STATE(FAILED));
    assert_int_equal(f_last_status(f)->reason, REASON(EXECUTOR_REGISTRATION_TIMEOUT));
    assert_string_equal(f_last_status(f)->message, "Executor did not register within 1mins");
}

static void test_update_refused(void **state)
{
    struct fixture *f = *state;
    int stream;
    f_register(f);
    f_run_custom(f, "a", "ex");
    assert_int_equal(f_subscribe(f, "ex", &stream), 0);
    f->refuse_update = "cgroup is gone";
    f_run_custom(f, "b", "ex");
    assert_int_equal(f->destroyed_count, 1);
    f_terminate(f, 0, NULL);
    const Mesos__V1__TaskStatus *status = f->sent[f->sent_count - 2]->status_update->status;
    assert_int_equal(status->state, STATE(LOST));
    assert_int_equal(status->reason, REASON(CONTAINER_UPDATE_FAILED));
    assert_string_equal(status->message,
                        "Failed to update resources for container: cgroup is gone");
}

static void kill_task(struct fixture *f, const char *task_id)
{
    f_receive(f,
              "{'type':'KILL_TASK','kill_task':{'framework_id':{'value':'F'},"
              "'task_id':{'value':'%s'},'kill_policy':{'grace_period':{'nanoseconds':7}}}}",
              task_id);
}

static void test_kill(void **state)
{
    struct fixture *f = *state;
    int stream;
    f_register(f);
    start_task(f, "t1", &stream);
    kill_task(f, "t1");
    assert_int_equal(f_last_event(f)->type, EVENT(KILL));
    assert_int_equal(f_last_event(f)->kill->kill_policy->grace_period->nanoseconds, 7);

    // Queued: never sent, and its executor is shut down when it comes.
    f_run_task(f, "t2", "");
    kill_task(f, "t2");
    assert_int_equal(f_last_status(f)->state, STATE(KILLED));
    assert_int_equal(f_last_status(f)->reason, REASON(TASK_KILLED_DURING_LAUNCH));
    assert_int_equal(f_subscribe(f, "t2", &stream), 0);
    assert_int_equal(f_last_event(f)->type, EVENT(SHUTDOWN));

    kill_task(f, "unknown");
    assert_int_equal(f_last_status(f)->state, STATE(LOST));
    assert_string_equal(f_last_status(f)->message, "Cannot find executor");
    assert_int_equal(f_last_status(f)->reason, REASON(EXECUTOR_TERMINATED));
}

static void test_shutdown_framework(void **state)
{
    struct fixture *f = *state;
    int stream;
    f_register(f);
    start_task(f, "t1", &stream);
    f_update(f, "t1", "t1", "TASK_RUNNING", 1);
    f_receive(f, "{'type':'SHUTDOWN_FRAMEWORK','shutdown_framework':"
                 "{'framework_id':{'value':'F'}}}");
    assert_int_equal(f_last_event(f)->type, EVENT(SHUTDOWN));
    assert_int_equal(f->destroyed_count, 0);
    f_advance(f, 5 * NS_PER_S);
    assert_int_equal(f->destroyed_count, 1);
    size_t sent = f->sent_count;
    f_update(f, "t1", "t1", "TASK_KILLED", 2);
    f_terminate(f, 0, NULL);
    assert_int_equal(f->sent_count, sent);
    assert_int_equal(f->agent->frameworks.count, 0);
    assert_int_equal(f->agent->streams.count, 0);
}

static void test_messages(void **state)
{
    struct fixture *f = *state;
    int stream;
    f_register(f);
    f_run_custom(f, "a", "ex");
    f_receive(f, "{'type':'FRAMEWORK_MESSAGE','framework_message':{'framework_id':{'value':'F'},"
                 "'executor_id':{'value':'ex'},'data':'aGk='}}");
    assert_int_equal(f->agent->metrics.invalid_framework_messages, 1);
    f_subscribe(f, "ex", &stream);
    f_receive(f, "{'type':'FRAMEWORK_MESSAGE','framework_message':{'framework_id':{'value':'F'},"
                 "'executor_id':{'value':'ex'},'data':'aGk='}}");
    assert_int_equal(f_last_event(f)->type, EVENT(MESSAGE));
    assert_memory_equal(f_last_event(f)->message->data.data, "hi", 2);
    assert_int_equal(f_call(f, NULL,
                            "{'executor_id':{'value':'ex'},'framework_id':{'value':'F'},"
                            "'type':'MESSAGE','message':{'data':'eW8='}}"),
                     0);
    assert_memory_equal(f_last_sent(f)->executor_message->data.data, "yo", 2);
}

static void test_calls_are_checked(void **state)
{
    struct fixture *f = *state;
    int stream;
    f_register(f);
    assert_int_equal(f_subscribe(f, "t1", &stream), 400);
    f_run_task(f, "t1", "");
    assert_int_equal(f_update(f, "t1", "t1", "TASK_RUNNING", 1), 403);
    assert_int_equal(f_subscribe(f, "t2", &stream), 400);
    assert_int_equal(f_subscribe(f, "t1", &stream), 0);
    assert_int_equal(f_update(f, "t1", "t1", "TASK_STAGING", 1), 400);
#define HEAD "{'executor_id':{'value':'t1'},'framework_id':{'value':'F'},"
    assert_int_equal(f_call(f, NULL, HEAD "'type':'SUBSCRIBE'}"), 400);
    assert_int_equal(f_call(f, NULL, HEAD "'type':'UPDATE'}"), 400);
    assert_int_equal(f_call(f, NULL, HEAD "'type':'MESSAGE'}"), 400);
    assert_int_equal(f_call(f, NULL, HEAD "'type':'HEARTBEAT'}"), 0);
    assert_int_equal(f_call(f, NULL, "{'executor_id':{'value':'t1'},'framework_id':{'value':'F'}}"),
                     400);
#define STATUS "'type':'UPDATE','update':{'status':{'task_id':{'value':'t1'},'state':'TASK_RUNNING'"
#define UUID "'uuid':'AAAAAAAAQAAAAAAAAAAAAA=='"
    assert_int_equal(f_call(f, NULL, HEAD STATUS ",'source':'SOURCE_EXECUTOR'}}}"), 400);
    assert_int_equal(f_call(f, NULL, HEAD STATUS ",'source':'SOURCE_EXECUTOR','uuid':'AAAA'}}}"),
                     400);
    assert_int_equal(f_call(f, NULL, HEAD STATUS ",'source':'SOURCE_MASTER'," UUID "}}}"), 400);
    assert_int_equal(f_call(f, NULL, HEAD STATUS "," UUID "}}}"), 400);
    assert_int_equal(f_call(f, NULL,
                            HEAD STATUS ",'executor_id':{'value':'x'},"
                                        "'source':'SOURCE_EXECUTOR'," UUID "}}}"),
                     400);
    assert_int_equal(f_call(f, NULL, HEAD STATUS ",'source':'SOURCE_EXECUTOR'," UUID "}}}"), 0);
}

static void test_executor_resubscribes(void **state)
{
    struct fixture *f = *state;
    int first, second;
    f_register(f);
    f_run_custom(f, "a", "ex");
    f_subscribe(f, "ex", &first);
    f_run_custom(f, "b", "ex");
    assert_int_equal(f_call(f, &second,
                            "{'executor_id':{'value':'ex'},'framework_id':{'value':'F'},"
                            "'type':'SUBSCRIBE','subscribe':{'unacknowledged_tasks':[{'name':'n',"
                            "'task_id':{'value':'a'},'agent_id':{'value':'S1'}}],"
                            "'unacknowledged_updates':[{'status':{'task_id':{'value':'a'},"
                            "'state':'TASK_RUNNING','source':'SOURCE_EXECUTOR',"
                            "'uuid':'AAAAAAAAQAAAAAAAAAAAAA=='}}]}}"),
                     0);
    assert_int_equal(f->closed_count, 1);
    // "a" goes on, "b" was never heard of.
    assert_int_equal(f->sent[f->sent_count - 2]->status_update->status->state, STATE(RUNNING));
    assert_string_equal(f_last_status(f)->task_id->value, "b");
    assert_int_equal(f_last_status(f)->state, STATE(LOST));
    // The old stream's end is no news.
    agent_stream_closed(f->agent, "F", "ex", &first);
    f_run_custom(f, "c", "ex");
    assert_ptr_equal(f->event_streams[f->event_count - 1], &second);
    agent_stream_closed(f->agent, "F", "ex", &second);
    size_t events = f->event_count;
    f_advance(f, 3600 * NS_PER_S);
    assert_int_equal(f->event_count, events);
}

static void test_heartbeat(void **state)
{
    struct fixture *f = *state;
    int stream;
    f_register(f);
    start_task(f, "t1", &stream);
    size_t events = f->event_count;
    f_advance(f, 1799 * NS_PER_S);
    assert_int_equal(f->event_count, events);
    f_advance(f, NS_PER_S);
    assert_int_equal(f_last_event(f)->type, EVENT(HEARTBEAT));
    f_advance(f, 1800 * NS_PER_S);
    assert_int_equal(f->event_count, events + 2);
}

static void test_rings(void **state)
{
    struct fixture *f = *state;
    f_register(f);
    for (size_t i = 0; i < 10; i++) {
        char id[8];
        int stream;
        snprintf(id, sizeof(id), "t%zu", i);
        start_task(f, id, &stream);
        f_update(f, id, id, "TASK_FINISHED", (int)i);
        f_acknowledge(f, id);
        f_terminate(f, i, NULL);
    }
    assert_int_equal(f->agent->frameworks.count, 0);
    assert_int_equal(f->agent->completed_framework_count, 1);
    struct agent_framework *framework =
        LIST_ENTRY(f->agent->completed_frameworks.next, struct agent_framework, link);
    assert_int_equal(framework->completed_executor_count, 3);
    struct agent_executor *last =
        LIST_ENTRY(framework->completed_executors.previous, struct agent_executor, link);
    assert_string_equal(last->id, "t9");
    assert_int_equal(last->completed_count, 1);
    // Run directory and executor directory of each, and the framework's.
    assert_int_equal(f->agent->gc.by_path.count, 21);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(command_task_lives),
        TEST(command_is_cut_between_characters),
        TEST(environment),
        TEST(resources_are_completed),
        TEST(custom_executor_is_shared),
        TEST(executor_ends_as_a_task_comes),
        TEST(executor_that_the_master_does_not_know),
        TEST(task_for_a_terminating_framework),
        TEST(memory_limit_is_told),
        TEST(launch_refused),
        TEST(registration_timeout),
        TEST(update_refused),
        TEST(kill),
        TEST(shutdown_framework),
        TEST(messages),
        TEST(calls_are_checked),
        TEST(executor_resubscribes),
        TEST(heartbeat),
        TEST(rings),
    };
    return cmocka_run_group_tests_name("agent", tests, NULL, NULL);
}
