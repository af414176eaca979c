// SPDX-License-Identifier: Apache-2.0
//
// A pod against an agent that does what the test says: what it asks for its tasks, what it tells of
// them, how it ends, and what it does when answers or the agent are lost.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "executor/pod.h"
#include "fake_agent.h"

#define LAUNCH MESOS__V1__AGENT__CALL__TYPE__LAUNCH_CONTAINER
#define WAIT MESOS__V1__AGENT__CALL__TYPE__WAIT_CONTAINER
#define KILL MESOS__V1__AGENT__CALL__TYPE__KILL_CONTAINER
#define SESSION MESOS__V1__AGENT__CALL__TYPE__LAUNCH_NESTED_CONTAINER_SESSION
#define REMOVE MESOS__V1__AGENT__CALL__TYPE__REMOVE_CONTAINER
#define STATE(name) MESOS__V1__TASK_STATE__TASK_##name

// WAIT_CONTAINER's answer, with the inside of wait_container's braces.
#define ENDED(inside) "{\"type\":\"WAIT_CONTAINER\",\"wait_container\":{" inside "}}"
// A task whose command says its id, and what else is in it.
#define TASK(id, more)                                                                             \
    "{\"name\":\"" id "\",\"task_id\":{\"value\":\"" id "\"},\"agent_id\":{\"value\":\"S\"},"      \
    "\"command\":{\"value\":\"" id "\"}" more "}"
#define KILL_AT_ONCE ",\"kill_policy\":{\"grace_period\":{\"nanoseconds\":1}}"

struct world {
    struct env *env;
    struct fake_agent agent;
    struct executor_environment environment;
    struct pod *pod;
    struct fake_call task_wait; // WAIT for the task itself, as look() met it
};

static int setup(void **state)
{
    struct world *w = mem_zalloc(sizeof(*w));
    assert_int_equal(env_new(&w->env, NULL), 0);
    fake_agent_open(&w->agent, w->env);
    const char *const variables[] = {"MESOS_FRAMEWORK_ID=F",
                                     "MESOS_EXECUTOR_ID=E",
                                     "MESOS_AGENT_ENDPOINT=127.0.0.1:1",
                                     "MESOS_CHECKPOINT=1",
                                     "MESOS_RECOVERY_TIMEOUT=20secs",
                                     "MESOS_SUBSCRIPTION_BACKOFF_MAX=10ms",
                                     NULL};
    assert_int_equal(executor_environment_read((char *const *)variables, &w->environment, NULL), 0);
    w->environment.agent.port = w->agent.port;
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    pod_free(w->pod);
    if (w->task_wait.request != NULL) {
        fake_agent_refuse(&w->task_wait, 503, "The test is over");
    }
    fake_agent_close(&w->agent);
    env_free(w->env);
    mem_free(w);
    return 0;
}

// Starts the pod and subscribes it.
static struct world *start(void **state, const char *capabilities)
{
    struct world *w = *state;
    struct pod_options options = {.environment = &w->environment, .launcher_dir = "/nowhere"};
    w->pod = pod_new(w->env, &options);
    fake_agent_subscribe(&w->agent, capabilities);
    return w;
}

static void send_group(struct world *w, const char *tasks)
{
    AUTO_FREE char *json = mem_printf("{\"type\":\"LAUNCH_GROUP\",\"launch_group\":{"
                                      "\"task_group\":{\"tasks\":[%s]}}}",
                                      tasks);
    fake_agent_send(&w->agent, json);
}

static void send_kill(struct world *w, const char *id, const char *more)
{
    AUTO_FREE char *json =
        mem_printf("{\"type\":\"KILL\",\"kill\":{\"task_id\":{\"value\":\"%s\"}%s}}", id, more);
    fake_agent_send(&w->agent, json);
}

static void expect(struct world *w, const char *id, Mesos__V1__TaskState task_state,
                   const char *message)
{
    const Mesos__V1__TaskStatus *status = fake_agent_take_update(&w->agent, id);
    assert_int_equal(status->state, task_state);
    assert_string_equal(status->container_status->container_id->parent->value, "C");
    if (message != NULL) {
        assert_string_equal(status->message, message);
    } else {
        assert_null(status->message);
    }
}

static void answer(struct world *w, Mesos__V1__Agent__Call__Type type, const char *name,
                   const char *json)
{
    struct fake_call call = fake_agent_take(&w->agent, type, name);
    fake_agent_answer(&call, json);
}

static void refuse(struct world *w, Mesos__V1__Agent__Call__Type type, const char *name, int status,
                   const char *text)
{
    struct fake_call call = fake_agent_take(&w->agent, type, name);
    fake_agent_refuse(&call, status, text);
}

static int take_signal(struct world *w, const char *name)
{
    struct fake_call call = fake_agent_take(&w->agent, KILL, name);
    fake_agent_answer(&call, NULL);
    return call.call->kill_container->signal;
}

// Starts one task and lets it run.
static void run_task(struct world *w, const char *json)
{
    send_group(w, json);
    expect(w, "a", STATE(STARTING), NULL);
    answer(w, LAUNCH, "a", NULL);
    expect(w, "a", STATE(RUNNING), NULL);
}

// ---- groups ----

static void test_group_runs_when_all_are_answered(void **state)
{
    struct world *w = start(state, "");
    send_group(w, TASK("a", "") "," TASK("b", ""));
    expect(w, "a", STATE(STARTING), NULL);
    expect(w, "b", STATE(STARTING), NULL);
    answer(w, LAUNCH, "a", NULL);
    struct fake_call second = fake_agent_take(&w->agent, LAUNCH, "b");
    assert_false(fake_agent_has(&w->agent, WAIT, "a"));
    fake_agent_answer(&second, NULL);
    expect(w, "a", STATE(RUNNING), NULL);
    expect(w, "b", STATE(RUNNING), NULL);
    // One that finished leaves the other alone.
    answer(w, WAIT, "a", ENDED("\"exit_status\":0"));
    expect(w, "a", STATE(FINISHED), "Command exited with status 0");
    struct fake_call last = fake_agent_take(&w->agent, WAIT, "b");
    assert_false(fake_agent_has(&w->agent, KILL, "b"));
    fake_agent_answer(&last, ENDED("\"exit_status\":0"));
    expect(w, "b", STATE(FINISHED), "Command exited with status 0");
    assert_int_equal(fake_agent_wait_stop(&w->agent), EXIT_SUCCESS);
}

static void test_failed_one_takes_the_others(void **state)
{
    struct world *w = start(state, "");
    send_group(w, TASK("a", "") "," TASK("b", ""));
    expect(w, "a", STATE(STARTING), NULL);
    expect(w, "b", STATE(STARTING), NULL);
    answer(w, LAUNCH, "a", NULL);
    refuse(w, LAUNCH, "b", 400, "no such image\nmore");
    expect(w, "a", STATE(RUNNING), NULL);
    refuse(w, WAIT, "b", 404, "Container does not exist");
    expect(w, "b", STATE(FAILED), "no such image");
    assert_int_equal(take_signal(w, "a"), SIGTERM);
    answer(w, WAIT, "a", ENDED("\"exit_status\":15"));
    expect(w, "a", STATE(KILLED), "Command terminated with signal Terminated");
    assert_int_equal(fake_agent_wait_stop(&w->agent), EXIT_SUCCESS);
}

// A second group may come; a task that is here already, or no task at all, is not taken.
static void test_groups_that_are_ignored(void **state)
{
    struct world *w = start(state, "");
    run_task(w, TASK("a", ""));
    send_group(w, "");
    send_group(w, TASK("c", "") "," TASK("a", ""));
    send_group(w, TASK("b", ""));
    expect(w, "b", STATE(STARTING), NULL); // nothing of c
    answer(w, LAUNCH, "b", NULL);
    expect(w, "b", STATE(RUNNING), NULL);
    // A group of its own: what fails in it leaves the first alone.
    answer(w, WAIT, "b", ENDED("\"exit_status\":256"));
    expect(w, "b", STATE(FAILED), "Command exited with status 1");
    answer(w, WAIT, "a", ENDED("\"exit_status\":0"));
    expect(w, "a", STATE(FINISHED), "Command exited with status 0");
    assert_int_equal(fake_agent_wait_stop(&w->agent), EXIT_SUCCESS);
}

static void test_launch_event_ends_it(void **state)
{
    struct world *w = start(state, "");
    fake_agent_send(&w->agent, "{\"type\":\"LAUNCH\",\"launch\":{\"task\":" TASK("a", "") "}}");
    assert_int_equal(fake_agent_wait_stop(&w->agent), EXIT_SUCCESS);
}

// What the agent gets for a task: its limits, its persistent volumes, its variables.
static void test_what_is_launched(void **state)
{
    struct world *w = *state;
    w->environment.token = "secret";
    start(state, "");
    send_group(w,
               TASK("a", ",\"limits\":{\"mem\":{\"value\":64}},\"resources\":[{\"name\":\"disk\","
                         "\"type\":\"SCALAR\",\"scalar\":{\"value\":8},"
                         "\"allocation_info\":{\"role\":\"dev\"},\"disk\":{"
                         "\"persistence\":{\"id\":\"p\"},"
                         "\"volume\":{\"mode\":\"RO\",\"container_path\":\"data\"}}}]"));
    expect(w, "a", STATE(STARTING), NULL);
    struct fake_call call = fake_agent_take(&w->agent, LAUNCH, "a");
    assert_string_equal(call.authorization, "Bearer secret");
    const Mesos__V1__Agent__Call__LaunchContainer *launch = call.call->launch_container;
    assert_string_equal(launch->container_id->parent->value, "C");
    assert_int_equal(launch->n_limits, 1);
    assert_string_equal(launch->limits[0]->key, "mem");
    assert_int_equal(launch->container->n_volumes, 1);
    const Mesos__V1__Volume *volume = launch->container->volumes[0];
    assert_int_equal(volume->mode, MESOS__V1__VOLUME__MODE__RO);
    assert_string_equal(volume->container_path, "data");
    assert_int_equal(volume->source->sandbox_path->type,
                     MESOS__V1__VOLUME__SOURCE__SANDBOX_PATH__TYPE__PARENT);
    const Mesos__V1__Environment *environment = launch->command->environment;
    assert_int_equal(environment->n_variables, 2);
    assert_string_equal(environment->variables[0]->name, "MESOS_CONTAINER_IP");
    assert_string_equal(environment->variables[0]->value, "127.0.0.1");
    assert_string_equal(environment->variables[1]->name, "MESOS_ALLOCATION_ROLE");
    assert_string_equal(environment->variables[1]->value, "dev");
    fake_agent_answer(&call, NULL);
}

static void test_sandbox_is_found_by_task(void **state)
{
    struct world *w = *state;
    char directory[] = "/tmp/meseta-pod-XXXXXX";
    assert_non_null(mkdtemp(directory));
    w->environment.sandbox = directory;
    start(state, "");
    run_task(w, TASK("a", ""));
    struct fake_call wait = fake_agent_take(&w->agent, WAIT, "a");
    AUTO_FREE char *folder = mem_printf("%s/tasks", directory);
    AUTO_FREE char *link = mem_printf("%s/a", folder);
    AUTO_FREE char *wanted =
        mem_printf("%s/containers/%s", directory, wait.call->wait_container->container_id->value);
    char target[256] = "";
    assert_in_range(readlink(link, target, sizeof(target) - 1), 1, sizeof(target) - 1);
    assert_string_equal(target, wanted);
    fake_agent_answer(&wait, ENDED("\"exit_status\":0"));
    expect(w, "a", STATE(FINISHED), "Command exited with status 0");
    unlink(link);
    rmdir(folder);
    rmdir(directory);
}

// ---- killing ----

static void test_kill(void **state)
{
    struct world *w = start(state, "{\"type\":\"TASK_KILLING_STATE\"}");
    run_task(w, TASK("a", ""));
    send_kill(w, "unknown", "");
    send_kill(w, "a", KILL_AT_ONCE);
    send_kill(w, "a", KILL_AT_ONCE);
    expect(w, "a", STATE(KILLING), NULL); // once, and only with the capability
    // Signals follow each other until the end was told: SIGTERM may be overtaken by SIGKILL.
    int signal = take_signal(w, "a");
    if (signal == SIGTERM) {
        signal = take_signal(w, "a");
    }
    assert_int_equal(signal, SIGKILL);
    assert_int_equal(take_signal(w, "a"), SIGKILL);
    answer(w, WAIT, "a", ENDED("\"exit_status\":9"));
    expect(w, "a", STATE(KILLED), "Command terminated with signal Killed");
    assert_int_equal(fake_agent_wait_stop(&w->agent), EXIT_SUCCESS);
}

// The agent may get the signal before the container is there; it is sent again then.
static void test_kill_while_launching(void **state)
{
    struct world *w = start(state, "");
    send_group(w, TASK("a", ""));
    expect(w, "a", STATE(STARTING), NULL);
    struct fake_call launch = fake_agent_take(&w->agent, LAUNCH, "a");
    send_kill(w, "a", "");
    refuse(w, KILL, "a", 404, "Container does not exist");
    fake_agent_answer(&launch, NULL);
    assert_int_equal(take_signal(w, "a"), SIGTERM);
    expect(w, "a", STATE(RUNNING), NULL);
    answer(w, WAIT, "a", ENDED("\"exit_status\":15"));
    expect(w, "a", STATE(KILLED), "Command terminated with signal Terminated");
}

static void test_shutdown_ends_all(void **state)
{
    struct world *w = start(state, "");
    run_task(w, TASK("a", ""));
    fake_agent_send(&w->agent, "{\"type\":\"SHUTDOWN\"}");
    assert_int_equal(take_signal(w, "a"), SIGTERM);
    send_group(w, TASK("b", "")); // too late
    answer(w, WAIT, "a", ENDED("\"exit_status\":15"));
    expect(w, "a", STATE(KILLED), "Command terminated with signal Terminated");
    assert_int_equal(fake_agent_wait_stop(&w->agent), EXIT_SUCCESS);
}

static void test_completion_time(void **state)
{
    struct world *w = start(state, "{\"type\":\"TASK_KILLING_STATE\"}");
    run_task(w, TASK("a", ",\"max_completion_time\":{\"nanoseconds\":1}"));
    int signal = take_signal(w, "a"); // the grace period is none, and TASK_KILLING is not told
    assert_true(signal == SIGTERM || signal == SIGKILL);
    answer(w, WAIT, "a", ENDED("\"exit_status\":9"));
    const Mesos__V1__TaskStatus *status = fake_agent_take_update(&w->agent, "a");
    assert_int_equal(status->state, STATE(FAILED));
    assert_int_equal(status->reason,
                     MESOS__V1__TASK_STATUS__REASON__REASON_MAX_COMPLETION_TIME_REACHED);
}

// ---- lost answers, and the agent ----

static void test_lost_answers_are_asked_for_again(void **state)
{
    struct world *w = start(state, "");
    send_group(w, TASK("a", ""));
    expect(w, "a", STATE(STARTING), NULL);
    struct fake_call first = fake_agent_take(&w->agent, LAUNCH, "a");
    fake_agent_refuse(&first, 503, "Agent has not finished recovery");
    struct fake_call second = fake_agent_take(&w->agent, LAUNCH, "a");
    assert_string_equal(second.call->launch_container->container_id->value,
                        first.call->launch_container->container_id->value);
    fake_agent_answer(&second, NULL);
    expect(w, "a", STATE(RUNNING), NULL);
    refuse(w, WAIT, "a", 503, "Agent has not finished recovery");
    answer(w, WAIT, "a", ENDED("\"exit_status\":0"));
    expect(w, "a", STATE(FINISHED), "Command exited with status 0");
    assert_int_equal(fake_agent_wait_stop(&w->agent), EXIT_SUCCESS);
}

// It comes back with what was not acknowledged: the task, and the updates in their order. It does
// not end before they are.
static void test_agent_comes_back(void **state)
{
    struct world *w = start(state, "");
    w->agent.keeps_updates = true;
    run_task(w, TASK("a", ""));
    answer(w, WAIT, "a", ENDED("\"exit_status\":0"));
    expect(w, "a", STATE(FINISHED), "Command exited with status 0");
    assert_false(w->agent.stopped);
    fake_agent_cut(&w->agent);
    w->agent.keeps_updates = false;
    struct fake_call again = fake_agent_subscribe(&w->agent, "");
    const Mesos__V1__Executor__Call__Subscribe *subscribe = again.executor_call->subscribe;
    assert_int_equal(subscribe->n_unacknowledged_tasks, 1);
    assert_string_equal(subscribe->unacknowledged_tasks[0]->task_id->value, "a");
    assert_int_equal(subscribe->n_unacknowledged_updates, 3);
    const Mesos__V1__TaskState states[] = {STATE(STARTING), STATE(RUNNING), STATE(FINISHED)};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(subscribe->unacknowledged_updates[i]->status->state, states[i]);
    }
    for (size_t i = 0; i < 3; i++) {
        fake_agent_acknowledge(&w->agent, subscribe->unacknowledged_updates[i]->status);
    }
    assert_int_equal(fake_agent_wait_stop(&w->agent), EXIT_SUCCESS);
}

// An agent that is about to recover says 503, or does not know the path yet: patience.
static void test_agent_asks_for_patience(void **state)
{
    struct world *w = *state;
    w->environment.checkpoint = false;
    struct pod_options options = {.environment = &w->environment, .launcher_dir = "/nowhere"};
    w->pod = pod_new(w->env, &options);
    const int statuses[] = {503, 404, 429};
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        struct fake_call call =
            fake_agent_take_executor(&w->agent, MESOS__V1__EXECUTOR__CALL__TYPE__SUBSCRIBE);
        fake_agent_refuse(&call, statuses[i], "later");
    }
    fake_agent_subscribe(&w->agent, "");
    run_task(w, TASK("a", ""));
}

static void test_agent_refuses(void **state)
{
    struct world *w = *state;
    struct pod_options options = {.environment = &w->environment, .launcher_dir = "/nowhere"};
    w->pod = pod_new(w->env, &options);
    struct fake_call call =
        fake_agent_take_executor(&w->agent, MESOS__V1__EXECUTOR__CALL__TYPE__SUBSCRIBE);
    fake_agent_refuse(&call, 400, "Unknown executor");
    assert_int_equal(fake_agent_wait_stop(&w->agent), EXIT_FAILURE);
}

static void test_no_return_without_checkpoint(void **state)
{
    struct world *w = *state;
    w->environment.checkpoint = false;
    start(state, "");
    run_task(w, TASK("a", ""));
    fake_agent_cut(&w->agent);
    assert_int_equal(fake_agent_wait_stop(&w->agent), EXIT_FAILURE);
}

static void test_agent_stays_away(void **state)
{
    struct world *w = *state;
    w->environment.recovery_timeout_ns = 1;
    start(state, "");
    run_task(w, TASK("a", ""));
    fake_agent_cut(&w->agent);
    assert_int_equal(fake_agent_wait_stop(&w->agent), EXIT_FAILURE);
}

// ---- checks ----

#define CHECK_COMMAND                                                                              \
    "\"type\":\"COMMAND\",\"delay_seconds\":0,\"interval_seconds\":0,\"timeout_seconds\":20,"      \
    "\"command\":{"
#define COMMAND_CHECK ",\"check\":{" CHECK_COMMAND "\"command\":{\"value\":\"look\"}}}"
#define HEALTH_CHECK                                                                               \
    ",\"health_check\":{" CHECK_COMMAND "\"value\":\"look\"},\"grace_period_seconds\":0,"          \
    "\"consecutive_failures\":2}"

// A look runs beside the task, in the task's container, and is removed when it has ended.
static void look(struct world *w, const char *end)
{
    struct fake_call session = fake_agent_take(&w->agent, SESSION, "a");
    const Mesos__V1__Agent__Call__LaunchNestedContainerSession *launch =
        session.call->launch_nested_container_session;
    assert_string_equal(launch->command->value, "look");
    assert_true(text_starts_with(launch->container_id->value, "check-"));
    fake_agent_answer(&session, NULL);
    while (true) { // the task's own end is waited for, too
        struct fake_call wait = fake_agent_take(&w->agent, WAIT, "a");
        if (text_starts_with(wait.call->wait_container->container_id->value, "check-")) {
            fake_agent_answer(&wait, end);
            break;
        }
        w->task_wait = wait;
    }
}

static void expect_looked(struct world *w, bool has_exit_code, int exit_code)
{
    const Mesos__V1__TaskStatus *status = fake_agent_take_update(&w->agent, "a");
    assert_int_equal(status->check_status->command->has_exit_code, has_exit_code);
    if (has_exit_code) {
        assert_int_equal(status->check_status->command->exit_code, exit_code);
    }
}

static void test_check(void **state)
{
    struct world *w = start(state, "");
    send_group(w, TASK("a", COMMAND_CHECK));
    expect_looked(w, false, 0); // TASK_STARTING: nothing is known, but that there is a check
    answer(w, LAUNCH, "a", NULL);
    expect_looked(w, false, 0);
    look(w, ENDED("\"exit_status\":0"));
    expect_looked(w, true, 0);
    answer(w, REMOVE, "a", NULL);
    look(w, ENDED("\"exit_status\":768"));
    expect_looked(w, true, 3);
    refuse(w, REMOVE, "a", 500, "no");
    // A look that could not begin because the agent is away says nothing; the next one does.
    refuse(w, SESSION, "a", 503, "Agent has not finished recovery");
    look(w, ENDED("\"exit_status\":0"));
    expect_looked(w, true, 0);
}

static void test_health_check_kills(void **state)
{
    struct world *w = start(state, "");
    send_group(w, TASK("a", HEALTH_CHECK KILL_AT_ONCE));
    expect(w, "a", STATE(STARTING), NULL);
    answer(w, LAUNCH, "a", NULL);
    expect(w, "a", STATE(RUNNING), NULL);
    for (unsigned i = 0; i < 2; i++) {
        look(w, ENDED("\"exit_status\":256"));
        const Mesos__V1__TaskStatus *status = fake_agent_take_update(&w->agent, "a");
        assert_int_equal(status->state, STATE(RUNNING));
        assert_false(status->healthy);
    }
    take_signal(w, "a");
    fake_agent_answer(&w->task_wait, ENDED("\"exit_status\":9"));
    const Mesos__V1__TaskStatus *status = fake_agent_take_update(&w->agent, "a");
    assert_int_equal(status->state, STATE(KILLED));
    assert_true(status->has_healthy);
    assert_false(status->healthy);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_group_runs_when_all_are_answered),
        TEST(test_failed_one_takes_the_others),
        TEST(test_groups_that_are_ignored),
        TEST(test_launch_event_ends_it),
        TEST(test_what_is_launched),
        TEST(test_sandbox_is_found_by_task),
        TEST(test_kill),
        TEST(test_kill_while_launching),
        TEST(test_shutdown_ends_all),
        TEST(test_completion_time),
        TEST(test_lost_answers_are_asked_for_again),
        TEST(test_agent_comes_back),
        TEST(test_agent_asks_for_patience),
        TEST(test_agent_refuses),
        TEST(test_no_return_without_checkpoint),
        TEST(test_agent_stays_away),
        TEST(test_check),
        TEST(test_health_check_kills),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
