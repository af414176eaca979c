// SPDX-License-Identifier: Apache-2.0
//
// What a LAUNCH_GROUP may say, case by case: each is tried against a fresh offer of 4 cpus, 2048
// MB, 1024 MB of disk and eleven ports.

#include "world.h"

#include <string.h>

#define EVENT(NAME) MESOS__V1__SCHEDULER__EVENT__TYPE__##NAME
#define TO_AGENT(NAME) MESETA__LINK__TO_AGENT__TYPE__##NAME

struct scene {
    struct world w;
    struct stream s;
    struct end e;
    const Mesos__V1__Offer *offer;
};

#define SCALAR(name, value)                                                                        \
    "{\"name\":\"" name "\",\"type\":\"SCALAR\",\"scalar\":{\"value\":" value "}}"
#define TASK(id, more)                                                                             \
    "{\"name\":\"n\",\"task_id\":{\"value\":\"" id "\"},\"agent_id\":{\"value\":\"M-S0\"},"        \
    "\"command\":{\"value\":\"true\"},\"resources\":[" SCALAR("cpus", "1") "]" more "}"
#define EXECUTOR_HEAD "\"executor_id\":{\"value\":\"pod\"},\"framework_id\":{\"value\":\"M-0000\"}"
#define DEFAULT ",\"type\":\"DEFAULT\""
#define AMOUNTS                                                                                    \
    ",\"resources\":[" SCALAR("cpus", "0.1") "," SCALAR("mem", "32") "," SCALAR("disk", "16") "]"
#define SOUND EXECUTOR_HEAD DEFAULT AMOUNTS
#define PORT                                                                                       \
    ",{\"name\":\"ports\",\"type\":\"RANGES\",\"ranges\":{\"range\":[{\"begin\":31000,\"end\":"    \
    "31000}]}}"
#define OWN_CGROUPS ",\"container\":{\"type\":\"MESOS\",\"linux_info\":{\"share_cgroups\":false}}"

static const struct group_case {
    const char *executor; // members of the ExecutorInfo
    const char *tasks;
    const char *message; // NULL: it is launched
} group_cases[] = {
    {SOUND, TASK("a", "") "," TASK("b", ""), NULL},
    {SOUND, TASK("a", ",\"executor\":{" SOUND "}") "," TASK("b", ""), NULL},
    {EXECUTOR_HEAD AMOUNTS ",\"type\":\"CUSTOM\",\"command\":{\"value\":\"run\"}", TASK("a", ""),
     NULL},
    {SOUND, TASK("a", OWN_CGROUPS) "," TASK("b", OWN_CGROUPS), NULL},
    {SOUND, TASK("a", "") "," TASK("a", ""), "Task 'a' is invalid: Task has duplicate ID: a"},
    {SOUND, TASK("a", ",\"kill_policy\":{\"grace_period\":{\"nanoseconds\":-1}}") "," TASK("b", ""),
     "Task 'a' is invalid: Task's 'kill_policy.grace_period' must be non-negative"},
    {SOUND, TASK("a", ",\"container\":{\"type\":\"DOCKER\",\"docker\":{\"image\":\"x\"}}"),
     "Task 'a' is invalid: Docker ContainerInfo is not supported on the task"},
    {SOUND, TASK("a", ",\"limits\":{\"cpus\":{\"value\":2}}"),
     "Task 'a' is invalid: Resource limits may only be set for tasks within a task group when the "
     "'share_cgroups' field is set to 'false'."},
    {SOUND,
     TASK("a", ",\"container\":{\"type\":\"MESOS\",\"network_infos\":[{}]},\"health_check\":"
               "{\"type\":\"TCP\",\"tcp\":{\"port\":80}}"),
     "Task 'a' is invalid: HTTP and TCP health checks are not supported for nested containers not "
     "joining parent's network"},
    {"\"executor_id\":{\"value\":\"pod\"}" DEFAULT AMOUNTS, TASK("a", ""),
     "'ExecutorInfo.framework_id' must be set"},
    {EXECUTOR_HEAD AMOUNTS, TASK("a", ""), "'ExecutorInfo.type' must be set"},
    {EXECUTOR_HEAD AMOUNTS ",\"type\":\"UNKNOWN\"", TASK("a", ""), "Unknown executor type"},
    {SOUND ",\"command\":{\"value\":\"run\"}", TASK("a", ""),
     "'ExecutorInfo.command' must not be set for 'DEFAULT' executor"},
    {SOUND, TASK("a", ",\"executor\":{" SOUND ",\"name\":\"other\"}"),
     "The `ExecutorInfo` of task 'a' is different from executor 'pod'"},
    {EXECUTOR_HEAD DEFAULT, TASK("a", ""),
     "Executor 'pod' uses less CPUs (None) than the minimum required (0.01)"},
    {EXECUTOR_HEAD DEFAULT ",\"resources\":[" SCALAR("cpus", "0.1") "," SCALAR("mem", "16") "]",
     TASK("a", ""), "Executor 'pod' uses less memory (16MB) than the minimum required (32MB)"},
    {EXECUTOR_HEAD DEFAULT ",\"resources\":[" SCALAR("cpus", "0.1") "," SCALAR("mem", "32") "]",
     TASK("a", ""), "Executor 'pod' uses no disk"},
    {EXECUTOR_HEAD DEFAULT
     ",\"resources\":[" SCALAR("cpus", "4") "," SCALAR("mem", "32") "," SCALAR("disk", "16") "]",
     TASK("a", ""),
     "Total resources cpus(allocated: *):5; mem(allocated: *):32; disk(allocated: *):16 required "
     "by "
     "task group and its executor are more than available"},
    {SOUND, TASK("a", OWN_CGROUPS) "," TASK("b", ""),
     "If set, the value of 'share_cgroups' must be the same for all tasks in each task group and "
     "under a single executor"},
    {SOUND ",\"container\":{\"type\":\"MESOS\",\"linux_info\":{\"share_cgroups\":true}}",
     TASK("a", ""), "The 'share_cgroups' field cannot be set to 'true' on executor containers"},
};

static void begin(struct scene *c)
{
    world_begin(&c->w, NULL);
    end_register(&c->w, &c->e, "host", "cpus:4;mem:2048;disk:1024;ports:[31000-31010]");
    stream_subscribe(&c->w, &c->s, "{\"framework_info\":{\"user\":\"u\",\"name\":\"f\"}}");
    c->offer = stream_offer(&c->s);
}

static void end(struct scene *c)
{
    master_check(c->w.master);
    world_end(&c->w);
    mem_free(c);
}

static void launch(struct scene *c, const char *more, const char *executor, const char *tasks)
{
    int status = stream_call(
        &c->w, &c->s,
        "\"type\":\"ACCEPT\",\"accept\":{\"offer_ids\":[{\"value\":\"%s\"}],\"operations\":[{"
        "\"type\":\"LAUNCH_GROUP\"%s,\"launch_group\":{\"executor\":{%s},\"task_group\":{\"tasks\":"
        "[%s]}}}],\"filters\":{\"refuse_seconds\":0}}",
        c->offer->id->value, more, executor, tasks);
    assert_int_equal(status, 202);
}

static void expect_refusal(struct scene *c, const char *message)
{
    assert_null(end_next(&c->e, TO_AGENT(RUN_TASK_GROUP)));
    Mesos__V1__Scheduler__Event *event = stream_next(&c->s, EVENT(UPDATE));
    assert_non_null(event);
    const Mesos__V1__TaskStatus *status = event->update->status;
    assert_int_equal(status->state, MESOS__V1__TASK_STATE__TASK_ERROR);
    assert_int_equal(status->reason, MESOS__V1__TASK_STATUS__REASON__REASON_TASK_GROUP_INVALID);
    if (strncmp(status->message, message, strlen(message)) != 0) {
        fail_msg("'%s' instead of '%s'", status->message, message);
    }
}

static void test_group_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(group_cases); i++) {
        const struct group_case *one = &group_cases[i];
        struct scene *c = mem_zalloc(sizeof(*c));
        begin(c);
        launch(c, "", one->executor, one->tasks);
        if (one->message != NULL) {
            expect_refusal(c, one->message);
        } else {
            assert_non_null(end_next(&c->e, TO_AGENT(RUN_TASK_GROUP)));
            assert_null(stream_next(&c->s, EVENT(UPDATE)));
        }
        end(c);
    }
}

static void test_group_is_booked_with_its_executor_once(void **state)
{
    (void)state;
    struct scene *c = mem_zalloc(sizeof(*c));
    begin(c);
    launch(c, "", SOUND, TASK("a", "") "," TASK("b", ""));
    Meseta__Link__ToAgent *run = end_next(&c->e, TO_AGENT(RUN_TASK_GROUP));
    assert_non_null(run);
    const Meseta__Link__ToAgent__RunTaskGroup *body = run->run_task_group;
    assert_true(body->launch_executor);
    assert_string_equal(body->executor_info->executor_id->value, "pod");
    assert_int_equal(body->task_group->n_tasks, 2);
    assert_string_equal(body->task_group->tasks[1]->executor->executor_id->value, "pod");
    assert_string_equal(body->task_group->tasks[1]->resources[0]->allocation_info->role, "*");
    world_pass(&c->w, 2);
    c->offer = stream_offer(&c->s);
    assert_true(c->offer->resources[0]->scalar->value == 1.9);
    assert_int_equal(c->offer->n_executor_ids, 1);

    launch(c, "", SOUND, TASK("c", ""));
    run = end_next(&c->e, TO_AGENT(RUN_TASK_GROUP));
    assert_non_null(run);
    assert_false(run->run_task_group->launch_executor);
    world_pass(&c->w, 2);
    c->offer = stream_offer(&c->s);
    assert_true(c->offer->resources[0]->scalar->value == 0.9);
    end(c);
}

static void test_groups_of_one_executor_agree(void **state)
{
    (void)state;
    struct scene *c = mem_zalloc(sizeof(*c));
    begin(c);
    launch(c, "", SOUND, TASK("a", ""));
    assert_non_null(end_next(&c->e, TO_AGENT(RUN_TASK_GROUP)));
    world_pass(&c->w, 2);
    c->offer = stream_offer(&c->s);
    launch(c, "", SOUND, TASK("b", OWN_CGROUPS));
    expect_refusal(c, "If set, the value of 'share_cgroups' must be the same for all tasks");
    world_pass(&c->w, 2);
    c->offer = stream_offer(&c->s);
    launch(c, "", SOUND ",\"name\":\"other\"", TASK("b", ""));
    expect_refusal(c, "ExecutorInfo is not compatible with existing ExecutorInfo");
    end(c);
}

static void test_form_and_id(void **state)
{
    (void)state;
    struct scene *c = mem_zalloc(sizeof(*c));
    begin(c);
    launch(c, ",\"id\":{\"value\":\"op\"}", SOUND, TASK("a", "") "," TASK("b", ""));
    expect_refusal(c, "The `id` field cannot be set on LAUNCH_GROUP operations");
    expect_refusal(c, "The `id` field cannot be set on LAUNCH_GROUP operations");
    world_pass(&c->w, 2);
    c->offer = stream_offer(&c->s);
    launch(c, "", EXECUTOR_HEAD DEFAULT ",\"resources\":[" SCALAR("cpus", "-1") "]", TASK("a", ""));
    expect_refusal(c, "");
    end(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_group_cases),
        cmocka_unit_test(test_group_is_booked_with_its_executor_once),
        cmocka_unit_test(test_groups_of_one_executor_agree),
        cmocka_unit_test(test_form_and_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
