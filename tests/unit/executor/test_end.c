// SPDX-License-Identifier: Apache-2.0
//
// What the end of a container means for its task.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <string.h>

#include "executor/internal.h"
#include "model/task_state.h"
#include "wire/content.h"
#include "wire/wire.h"

#define MISSING NULL // the agent does not know the container

struct end_case {
    bool is_killing;
    bool is_out_of_time;
    const char *launch_error;
    const char *container; // WaitContainer, the inside of its braces
    const char *state;
    const char *reason;  // NULL: none
    const char *message; // NULL: none
};

static const struct end_case end_cases[] = {
    // The exit status alone. 256: exited with 1; 15: by SIGTERM; 139: by SIGSEGV, with a core.
    {false, false, NULL, "\"exit_status\":0", "TASK_FINISHED", NULL,
     "Command exited with status 0"},
    {false, false, NULL, "\"exit_status\":256", "TASK_FAILED", NULL,
     "Command exited with status 1"},
    {false, false, NULL, "\"exit_status\":15", "TASK_FAILED", NULL,
     "Command terminated with signal Terminated"},
    {false, false, NULL, "\"exit_status\":139", "TASK_FAILED", NULL,
     "Command terminated with signal Segmentation fault (core dumped)"},
    // Killed: however it ended.
    {true, false, NULL, "\"exit_status\":15", "TASK_KILLED", NULL,
     "Command terminated with signal Terminated"},
    {true, false, NULL, "\"exit_status\":0", "TASK_KILLED", NULL, "Command exited with status 0"},
    {true, false, NULL, "", "TASK_KILLED", NULL, "Command terminated with unknown status"},
    // Its time was over: that is a failure with its reason, although it is killed for it.
    {true, true, NULL, "\"exit_status\":9", "TASK_FAILED", "REASON_MAX_COMPLETION_TIME_REACHED",
     "Command terminated with signal Killed"},
    {true, true, NULL, "\"exit_status\":0", "TASK_FAILED", "REASON_MAX_COMPLETION_TIME_REACHED",
     "Command exited with status 0"},
    // The agent knows better: a limit.
    {false, false, NULL,
     "\"exit_status\":9,\"state\":\"TASK_FAILED\",\"reason\":\"REASON_CONTAINER_LIMITATION_"
     "MEMORY\","
     "\"message\":\"Memory limit exceeded\"",
     "TASK_FAILED", "REASON_CONTAINER_LIMITATION_MEMORY",
     "Command terminated with signal Killed: Memory limit exceeded"},
    {true, true, NULL,
     "\"exit_status\":9,\"state\":\"TASK_FAILED\",\"reason\":\"REASON_CONTAINER_LIMITATION_DISK\"",
     "TASK_FAILED", "REASON_CONTAINER_LIMITATION_DISK", "Command terminated with signal Killed"},
    {false, false, NULL, "\"exit_status\":256,\"message\":\"Command exited with status 1\"",
     "TASK_FAILED", NULL, "Command exited with status 1"},
    // It never ran, for a reason that the agent told when it was launched, or tells now.
    {false, false, "no such image", "", "TASK_FAILED", NULL, "no such image"},
    {false, false, NULL,
     "\"state\":\"TASK_FAILED\",\"reason\":\"REASON_CONTAINER_LAUNCH_FAILED\",\"message\":"
     "\"fetch\"",
     "TASK_FAILED", "REASON_CONTAINER_LAUNCH_FAILED",
     "Command terminated with unknown status: fetch"},
    {true, false, NULL, "\"state\":\"TASK_FAILED\"", "TASK_KILLED", NULL,
     "Command terminated with unknown status"},
    // Nobody knows it.
    {false, false, NULL, MISSING, "TASK_FAILED", NULL,
     "Unable to retrieve command's termination information"},
    {false, false, "Bad request", MISSING, "TASK_FAILED", NULL, "Bad request"},
    {true, false, "Bad request", MISSING, "TASK_KILLED", NULL, NULL},
};

static void check_case(const struct end_case *c)
{
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    AUTO_BUF struct buf text = BUF_INIT;
    struct pod_end end = {c->is_killing, c->is_out_of_time, c->launch_error, NULL};
    if (c->container != MISSING) {
        const char *json = arena_printf(arena, "{%s}", c->container);
        ProtobufCMessage *message;
        assert_int_equal(content_decode(CONTENT_JSON,
                                        &mesos__v1__agent__response__wait_container__descriptor,
                                        arena, json, strlen(json), &message, NULL),
                         0);
        end.container = (const Mesos__V1__Agent__Response__WaitContainer *)(void *)message;
    }
    struct pod_report report;
    pod_judge(&end, &text, &report);
    assert_string_equal(task_state_name(report.state), c->state);
    assert_int_equal(report.has_reason, c->reason != NULL);
    if (c->reason != NULL) {
        assert_string_equal(
            wire_enum_name(&mesos__v1__task_status__reason__descriptor, (int)report.reason),
            c->reason);
    }
    if (c->message == NULL) {
        assert_null(report.message);
    } else {
        assert_string_equal(report.message, c->message);
    }
}

static void test_ends(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(end_cases) / sizeof(end_cases[0]); i++) {
        check_case(&end_cases[i]);
    }
}

static void test_limitation_is_passed_on(void **state)
{
    (void)state;
    Mesos__V1__TaskResourceLimitation limitation = MESOS__V1__TASK_RESOURCE_LIMITATION__INIT;
    Mesos__V1__Agent__Response__WaitContainer container =
        MESOS__V1__AGENT__RESPONSE__WAIT_CONTAINER__INIT;
    container.has_exit_status = true;
    container.exit_status = SIGKILL;
    container.limitation = &limitation;
    const struct pod_end end = {.container = &container};
    AUTO_BUF struct buf text = BUF_INIT;
    struct pod_report report;
    pod_judge(&end, &text, &report);
    assert_ptr_equal(report.limitation, &limitation);
}

// The kill's own policy goes before the task's, and that before 3 seconds; below zero is at once.
static void test_grace(void **state)
{
    (void)state;
    Mesos__V1__TaskInfo info = MESOS__V1__TASK_INFO__INIT;
    struct pod_task task = {.info = &info};
    assert_int_equal(pod_grace_of(&task, NULL), POD_KILL_GRACE_NS);

    Mesos__V1__KillPolicy empty = MESOS__V1__KILL_POLICY__INIT;
    assert_int_equal(pod_grace_of(&task, &empty), POD_KILL_GRACE_NS);

    Mesos__V1__DurationInfo seven = MESOS__V1__DURATION_INFO__INIT;
    seven.nanoseconds = 7 * NS_PER_S;
    Mesos__V1__KillPolicy of_task = MESOS__V1__KILL_POLICY__INIT;
    of_task.grace_period = &seven;
    info.kill_policy = &of_task;
    assert_int_equal(pod_grace_of(&task, NULL), 7 * NS_PER_S);
    assert_int_equal(pod_grace_of(&task, &empty), 7 * NS_PER_S);

    Mesos__V1__DurationInfo negative = MESOS__V1__DURATION_INFO__INIT;
    negative.nanoseconds = -1;
    Mesos__V1__KillPolicy of_kill = MESOS__V1__KILL_POLICY__INIT;
    of_kill.grace_period = &negative;
    assert_int_equal(pod_grace_of(&task, &of_kill), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_limitation_is_passed_on),
        cmocka_unit_test(test_grace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
