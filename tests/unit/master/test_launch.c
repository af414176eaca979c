// SPDX-License-Identifier: Apache-2.0
//
// What an ACCEPT may say, case by case: each is tried against a fresh offer of 2 cpus, 1024 MB and
// eleven ports, beside a running task "known" and a running executor "exec".

#include "world.h"

#include <string.h>

#define EVENT(NAME) MESOS__V1__SCHEDULER__EVENT__TYPE__##NAME
#define TO_AGENT(NAME) MESETA__LINK__TO_AGENT__TYPE__##NAME

struct scene {
    struct world w;
    struct stream s;
    struct stream other;
    struct end e;
    const Mesos__V1__Offer *offer;
    const char *foreign; // an offer of another framework
};

#define AGENT "\"agent_id\":{\"value\":\"M-S0\"}"
#define TASK_HEAD "\"name\":\"n\",\"task_id\":{\"value\":\"t\"}," AGENT
#define COMMAND "\"command\":{\"value\":\"true\"}"
#define CPUS "\"resources\":[{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":1}}]"
#define EXECUTOR(command)                                                                          \
    "\"executor\":{\"executor_id\":{\"value\":\"exec\"},\"command\":{\"value\":\"" command "\"}}"

struct launch_case {
    const char *task; // members of the TaskInfo
    const char *state;
    const char *reason;
    const char *message; // NULL: it is launched
};

static const struct launch_case launch_cases[] = {
    {TASK_HEAD "," CPUS "," COMMAND, NULL, NULL, NULL},
    {TASK_HEAD "," CPUS "," EXECUTOR("run"), NULL, NULL, NULL},
    {"\"name\":\"n\",\"task_id\":{\"value\":\"known\"}," AGENT "," CPUS "," COMMAND, "TASK_ERROR",
     "REASON_TASK_INVALID", "Task has duplicate ID: known"},
    {"\"name\":\"n\",\"task_id\":{\"value\":\"t\"},\"agent_id\":{\"value\":\"M-S9\"}," CPUS
     "," COMMAND,
     "TASK_ERROR", "REASON_TASK_INVALID",
     "Task uses invalid agent M-S9 while agent M-S0 is expected"},
    {TASK_HEAD "," COMMAND, "TASK_ERROR", "REASON_TASK_INVALID", "Task uses no resources"},
    {TASK_HEAD "," CPUS, "TASK_ERROR", "REASON_TASK_INVALID",
     "Task should have at least one (but not both) of CommandInfo or ExecutorInfo present"},
    {TASK_HEAD "," CPUS "," COMMAND "," EXECUTOR("run"), "TASK_ERROR", "REASON_TASK_INVALID",
     "Task should have at least one (but not both) of CommandInfo or ExecutorInfo present"},
    {TASK_HEAD
     ",\"resources\":[{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":3}}]," COMMAND,
     "TASK_ERROR", "REASON_TASK_INVALID",
     "Total resources cpus(allocated: *):3 required by task and its executor is more than "
     "available cpus(allocated: *):2; mem(allocated: *):1024; ports(allocated: *):[31000-31010]"},
    {TASK_HEAD
     ",\"resources\":[{\"name\":\"gpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":1}}]," COMMAND,
     "TASK_ERROR", "REASON_TASK_INVALID",
     "Total resources gpus(allocated: *):1 required by task and its executor is more than "
     "available cpus(allocated: *):2; mem(allocated: *):1024; ports(allocated: *):[31000-31010]"},
    {TASK_HEAD "," CPUS "," COMMAND ",\"kill_policy\":{\"grace_period\":{\"nanoseconds\":-1}}",
     "TASK_ERROR", "REASON_TASK_INVALID", "Task's 'kill_policy.grace_period' must be non-negative"},
    {TASK_HEAD "," CPUS ",\"executor\":{\"executor_id\":{\"value\":\"e2\"}}", "TASK_ERROR",
     "REASON_TASK_INVALID", "'ExecutorInfo.command' must be set"},
    {TASK_HEAD "," CPUS ",\"executor\":{\"executor_id\":{\"value\":\"e2\"},\"framework_id\":"
               "{\"value\":\"x\"},\"command\":{\"value\":\"run\"}}",
     "TASK_ERROR", "REASON_TASK_INVALID",
     "ExecutorInfo has an invalid FrameworkID (Actual: x vs Expected: M-0000)"},
    {TASK_HEAD "," CPUS "," COMMAND ",\"limits\":{\"cpus\":{\"value\":2}}", "TASK_ERROR",
     "REASON_TASK_INVALID", "Agent is not capable of handling task resource limits"},
};

static void begin(struct scene *c, const char *capabilities)
{
    world_begin(&c->w, NULL);
    end_register(&c->w, &c->e, "host", "cpus:4;mem:2048;ports:[31000-31010]");
    stream_subscribe(&c->w, &c->s,
                     arena_printf(c->w.arena,
                                  "{\"framework_info\":{\"user\":\"u\",\"name\":\"f\"%s}}",
                                  capabilities));
    const Mesos__V1__Offer *offer = stream_offer(&c->s);
    int status =
        stream_call(&c->w, &c->s,
                    "\"type\":\"ACCEPT\",\"accept\":{\"offer_ids\":[{\"value\":\"%s\"}],"
                    "\"operations\":[{\"type\":\"LAUNCH\",\"launch\":{\"task_infos\":[{\"name\":"
                    "\"n\",\"task_id\":{\"value\":\"known\"}," AGENT ",\"resources\":%s,%s}]}}],"
                    "\"filters\":{\"refuse_seconds\":0}}",
                    offer->id->value, amount(&c->w, "cpus:2;mem:1024"), EXECUTOR("run"));
    assert_int_equal(status, 202);
    assert_non_null(end_next(&c->e, TO_AGENT(RUN_TASK)));
    // A refusal for no time holds for the allocator's least one.
    world_pass(&c->w, 2);
    c->offer = stream_offer(&c->s);
    assert_int_equal(c->offer->n_executor_ids, 1);
}

static void end(struct scene *c)
{
    world_end(&c->w);
    mem_free(c);
}

static int accept_task(struct scene *c, const char *task)
{
    return stream_call(&c->w, &c->s,
                       "\"type\":\"ACCEPT\",\"accept\":{\"offer_ids\":[{\"value\":\"%s\"}],"
                       "\"operations\":[{\"type\":\"LAUNCH\",\"launch\":{\"task_infos\":[{%s}]}}],"
                       "\"filters\":{\"refuse_seconds\":0}}",
                       c->offer->id->value, task);
}

static void test_launch_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(launch_cases); i++) {
        const struct launch_case *one = &launch_cases[i];
        struct scene *c = mem_zalloc(sizeof(*c));
        begin(c, "");
        assert_int_equal(accept_task(c, one->task), 202);
        Meseta__Link__ToAgent *run = end_next(&c->e, TO_AGENT(RUN_TASK));
        if (one->message == NULL) {
            assert_non_null(run);
            assert_null(stream_next(&c->s, EVENT(UPDATE)));
        } else {
            assert_null(run);
            expect_update(&c->s, strstr(one->task, "known") != NULL ? "known" : "t", one->state,
                          one->reason, one->message);
        }
        master_check(c->w.master);
        end(c);
    }
}

// What is wrong with the form of one task's resources, or its executor's, refuses all of the
// LAUNCH.
static void test_unreadable_resources(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "\"name\":\"n\",\"task_id\":{\"value\":\"bad\"}," AGENT "," COMMAND
        ",\"resources\":[{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":-1}}]",
        "\"name\":\"n\",\"task_id\":{\"value\":\"bad\"}," AGENT "," CPUS
        ",\"executor\":{\"executor_id\":{\"value\":\"e\"},\"command\":{\"value\":\"x\"},"
        "\"resources\":"
        "[{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":-1}}]}",
    };
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct scene *c = mem_zalloc(sizeof(*c));
        begin(c, "");
        const char *both = arena_printf(c->w.arena, TASK_HEAD "," CPUS "," COMMAND "},{%s", bad[i]);
        assert_int_equal(accept_task(c, both), 202);
        assert_null(end_next(&c->e, TO_AGENT(RUN_TASK)));
        const char *why = "Invalid scalar resource: value <= 0";
        expect_update(&c->s, "t", "TASK_ERROR", "REASON_TASK_INVALID", why);
        expect_update(&c->s, "bad", "TASK_ERROR", "REASON_TASK_INVALID", why);
        master_check(c->w.master);
        end(c);
    }
}

// A task that came in protobuf goes to its agent as it came, with the role beside it.
static void test_task_is_passed_on_as_it_came(void **state)
{
    (void)state;
    struct scene *c = mem_zalloc(sizeof(*c));
    begin(c, ",\"roles\":[\"r\"],\"capabilities\":[{\"type\":\"MULTI_ROLE\"}]");
    const char *json = arena_printf(
        c->w.arena,
        "{\"framework_id\":{\"value\":\"M-0000\"},\"type\":\"ACCEPT\",\"accept\":{\"offer_ids\":"
        "[{\"value\":\"%s\"}],\"operations\":[{\"type\":\"LAUNCH\",\"launch\":{\"task_infos\":"
        "[{" TASK_HEAD "," CPUS "," COMMAND "}]}}]}}",
        c->offer->id->value);
    ProtobufCMessage *message;
    assert_int_equal(wire_json_decode(&mesos__v1__scheduler__call__descriptor, c->w.arena, json,
                                      strlen(json), &message, NULL),
                     0);
    const Mesos__V1__Scheduler__Call *call = (Mesos__V1__Scheduler__Call *)message;
    AUTO_BUF struct buf task = BUF_INIT;
    AUTO_BUF struct buf bytes = BUF_INIT;
    wire_encode(&call->accept->operations[0]->launch->task_infos[0]->base, &task);
    wire_encode(&call->base, &bytes);
    assert_int_equal(wire_decode_pinned(&mesos__v1__scheduler__call__descriptor, c->w.arena,
                                        bytes.data, bytes.size, MASTER_CALL_PINNED, &message, NULL),
                     0);
    assert_int_equal(master_call(c->w.master, (Mesos__V1__Scheduler__Call *)message, c->s.id, &c->w,
                                 c->w.now, &c->w.err),
                     202);
    const Meseta__Link__ToAgent *run = end_next(&c->e, TO_AGENT(RUN_TASK));
    assert_non_null(run);
    assert_string_equal(run->run_task->role, "r");
    AUTO_BUF struct buf sent = BUF_INIT;
    wire_encode(&run->run_task->task->base, &sent);
    assert_int_equal(sent.size, task.size);
    assert_memory_equal(sent.data, task.data, task.size);
    master_check(c->w.master);
    end(c);
}

static void test_other_executor_with_the_same_id(void **state)
{
    (void)state;
    struct scene *c = mem_zalloc(sizeof(*c));
    begin(c, "");
    assert_int_equal(accept_task(c, TASK_HEAD "," CPUS "," EXECUTOR("other")), 202);
    Mesos__V1__Scheduler__Event *event = stream_next(&c->s, EVENT(UPDATE));
    assert_non_null(event);
    assert_int_equal(event->update->status->state, MESOS__V1__TASK_STATE__TASK_ERROR);
    assert_non_null(strstr(event->update->status->message,
                           "ExecutorInfo is not compatible with existing ExecutorInfo with same "
                           "ExecutorID.\n"));
    end(c);
}

// ---- offers ----

static void try_offers(const char *offers, bool aware, const char *message)
{
    struct scene *c = mem_zalloc(sizeof(*c));
    begin(c, aware ? ",\"capabilities\":[{\"type\":\"PARTITION_AWARE\"}]" : "");
    struct end *second = mem_zalloc(sizeof(*second));
    stream_subscribe(&c->w, &c->other, "{\"framework_info\":{\"user\":\"u\",\"name\":\"g\"}}");
    // A second agent's offer goes to whoever has less: the other one.
    end_register(&c->w, second, "15052", "cpus:4;mem:2048");
    const char *foreign = stream_offer(&c->other)->id->value;
    const char *text = offers;
    if (strcmp(offers, "foreign") == 0)
        text = arena_printf(c->w.arena, "{\"value\":\"%s\"}", foreign);
    else if (strcmp(offers, "twice") == 0)
        text = arena_printf(c->w.arena, "{\"value\":\"%s\"},{\"value\":\"%s\"}",
                            c->offer->id->value, c->offer->id->value);
    else if (strcmp(offers, "one wrong") == 0)
        text = arena_printf(c->w.arena, "{\"value\":\"%s\"},{\"value\":\"nothing\"}",
                            c->offer->id->value);
    if (strstr(message, "%1") != NULL)
        message = arena_printf(c->w.arena,
                               "Task launched with invalid offers: Offer %s has invalid framework "
                               "M-0001 while framework M-0000 is expected",
                               foreign);
    else if (strstr(message, "%2") != NULL)
        message = arena_printf(c->w.arena,
                               "Task launched with invalid offers: Duplicate offer %s in offer "
                               "list",
                               c->offer->id->value);
    int status = stream_call(
        &c->w, &c->s,
        "\"type\":\"ACCEPT\",\"accept\":{\"offer_ids\":[%s],\"operations\":[{\"type\":\"LAUNCH\","
        "\"launch\":{\"task_infos\":[{%s},{%s}]}},{\"type\":\"RESERVE\",\"id\":{\"value\":\"op\"},"
        "\"reserve\":{}}]}",
        text, TASK_HEAD "," CPUS "," COMMAND,
        "\"name\":\"n\",\"task_id\":{\"value\":\"u\"}," AGENT "," CPUS "," COMMAND);
    assert_int_equal(status, 202);
    const char *state = aware ? "TASK_DROPPED" : "TASK_LOST";
    expect_update(&c->s, "t", state, "REASON_INVALID_OFFERS", message);
    expect_update(&c->s, "u", state, "REASON_INVALID_OFFERS", message);
    Mesos__V1__Scheduler__Event *event = stream_next(&c->s, EVENT(UPDATE_OPERATION_STATUS));
    assert_non_null(event);
    assert_string_equal(event->update_operation_status->status->operation_id->value, "op");
    // Nobody else notices.
    assert_non_null(map_get(&c->w.master->offers, foreign));
    assert_null(stream_next(&c->other, EVENT(RESCIND)));
    end(c);
    mem_free(second);
}

static void test_invalid_offers(void **state)
{
    (void)state;
    for (int aware = 0; aware < 2; aware++) {
        try_offers("", aware, "Task launched with invalid offers: No offers specified");
        try_offers("{\"value\":\"x\"}", aware,
                   "Task launched with invalid offers: Offer x is no longer valid");
        try_offers("one wrong", aware,
                   "Task launched with invalid offers: Offer nothing is no longer valid");
        try_offers("foreign", aware, "%1");
        try_offers("twice", aware, "%2");
    }
}

static void test_several_offers_of_one_agent(void **state)
{
    (void)state;
    struct scene *c = mem_zalloc(sizeof(*c));
    world_begin(&c->w, NULL);
    stream_subscribe(&c->w, &c->s, "{\"framework_info\":{\"user\":\"u\",\"name\":\"f\"}}");
    end_register(&c->w, &c->e, "host", "cpus:4;mem:2048");
    const char *first = stream_offer(&c->s)->id->value;
    end_send(&c->w, &c->e, "{\"type\":\"UPDATE_AGENT\",\"update_agent\":{\"resources\":%s}}",
             amount(&c->w, "cpus:6;mem:2048"));
    // The old offer is gone with the old amount.
    c->s.seen = 0;
    assert_non_null(stream_next(&c->s, EVENT(RESCIND)));
    assert_null(map_get(&c->w.master->offers, first));
    c->offer = stream_offer(&c->s);
    assert_true(c->offer->resources[0]->scalar->value == 6.0);
    assert_int_equal(accept_task(c, TASK_HEAD "," CPUS "," COMMAND), 202);
    world_pass(&c->w, 2);
    c->offer = stream_offer(&c->s); // the rest
    const char *rest = c->offer->id->value;
    // The first task ends, so a second offer of the same agent comes up.
    end_update(&c->w, &c->e, "M-0000", "t", "TASK_FINISHED", 0);
    expect_update(&c->s, "t", "TASK_FINISHED", NULL, NULL);
    const Mesos__V1__Offer *more = stream_offer(&c->s);
    int status = stream_call(
        &c->w, &c->s,
        "\"type\":\"ACCEPT\",\"accept\":{\"offer_ids\":[{\"value\":\"%s\"},{\"value\":\"%s\"}],"
        "\"operations\":[{\"type\":\"LAUNCH\",\"launch\":{\"task_infos\":[{\"name\":\"n\","
        "\"task_id\":{\"value\":\"big\"}," AGENT ",\"resources\":%s,%s}]}}]}",
        rest, more->id->value, amount(&c->w, "cpus:6;mem:2048"), COMMAND);
    assert_int_equal(status, 202);
    assert_non_null(end_next(&c->e, TO_AGENT(RUN_TASK)));
    Meseta__Link__ToAgent *run = end_next(&c->e, TO_AGENT(RUN_TASK));
    assert_non_null(run);
    assert_string_equal(run->run_task->task->task_id->value, "big");
    end(c);
}

static void test_operations_are_refused(void **state)
{
    (void)state;
    struct scene *c = mem_zalloc(sizeof(*c));
    begin(c, "");
    int status = stream_call(
        &c->w, &c->s,
        "\"type\":\"ACCEPT\",\"accept\":{\"offer_ids\":[{\"value\":\"%s\"}],\"operations\":["
        "{\"type\":\"LAUNCH_GROUP\",\"launch_group\":{\"executor\":{\"executor_id\":{\"value\":"
        "\"g\"}},\"task_group\":{\"tasks\":[{%s}]}}},{\"type\":\"RESERVE\",\"id\":{\"value\":"
        "\"op\"},\"reserve\":{\"resources\":%s}},{\"type\":\"LAUNCH\",\"launch\":{\"task_infos\":"
        "[{%s}]}}]}",
        c->offer->id->value, TASK_HEAD "," CPUS "," COMMAND, amount(&c->w, "cpus:1"),
        TASK_HEAD "," CPUS "," COMMAND);
    assert_int_equal(status, 202);
    expect_update(&c->s, "t", "TASK_ERROR", "REASON_TASK_GROUP_INVALID",
                  "'ExecutorInfo.framework_id' must be set");
    Mesos__V1__Scheduler__Event *event = stream_next(&c->s, EVENT(UPDATE_OPERATION_STATUS));
    assert_non_null(event);
    assert_int_equal(event->update_operation_status->status->state,
                     MESOS__V1__OPERATION_STATE__OPERATION_ERROR);
    assert_string_equal(event->update_operation_status->status->message,
                        "Operation requested feedback, but agent M-S0 does not have the required "
                        "RESOURCE_PROVIDER capability");
    assert_non_null(end_next(&c->e, TO_AGENT(RUN_TASK))); // what stands behind it runs
    end(c);
}

// ---- calls ----

static void test_who_may_call(void **state)
{
    (void)state;
    struct scene *c = mem_zalloc(sizeof(*c));
    begin(c, "");
    struct stream *s = &c->s;
    assert_int_equal(stream_call(&c->w, s, "\"type\":\"REVIVE\""), 202);
    memcpy(s->id, "stranger", 9);
    assert_int_equal(stream_call(&c->w, s, "\"type\":\"REVIVE\""), 400);
    assert_string_equal(c->w.err.text,
                        "The stream ID 'stranger' included in this request didn't match the "
                        "stream ID currently associated with framework ID M-0000");
    memcpy(s->framework_id, "M-9999", 7);
    assert_int_equal(stream_call(&c->w, s, "\"type\":\"REVIVE\""), 400);
    assert_string_equal(c->w.err.text, "Framework cannot be found");
    end(c);
}

static void test_kill_reconcile_message(void **state)
{
    (void)state;
    struct scene *c = mem_zalloc(sizeof(*c));
    begin(c, "");
    struct world *w = &c->w;
    struct stream *s = &c->s;
    assert_int_equal(
        stream_call(w, s, "\"type\":\"KILL\",\"kill\":{\"task_id\":{\"value\":\"known\"}}"), 202);
    assert_non_null(end_next(&c->e, TO_AGENT(KILL_TASK)));
    assert_int_equal(
        stream_call(w, s, "\"type\":\"KILL\",\"kill\":{\"task_id\":{\"value\":\"what\"}}"), 202);
    expect_update(s, "what", "TASK_LOST", "REASON_RECONCILIATION",
                  "Reconciliation: Task is unknown");
    assert_int_equal(
        stream_call(w, s,
                    "\"type\":\"KILL\",\"kill\":{\"task_id\":{\"value\":\"what\"}," AGENT "}"),
        202);
    expect_update(s, "what", "TASK_LOST", "REASON_RECONCILIATION",
                  "Reconciliation: Task is unknown to the agent");
    assert_int_equal(stream_call(w, s, "\"type\":\"RECONCILE\",\"reconcile\":{}"), 202);
    expect_update(s, "known", "TASK_STAGING", "REASON_RECONCILIATION",
                  "Reconciliation: Latest task state");
    assert_int_equal(stream_call(w, s,
                                 "\"type\":\"MESSAGE\",\"message\":{" AGENT
                                 ",\"executor_id\":{\"value\":\"exec\"},\"data\":\"aGk=\"}"),
                     202);
    Meseta__Link__ToAgent *message = end_next(&c->e, TO_AGENT(FRAMEWORK_MESSAGE));
    assert_non_null(message);
    assert_int_equal(message->framework_message->data.len, 2);
    assert_int_equal(stream_call(w, s,
                                 "\"type\":\"SHUTDOWN\",\"shutdown\":{" AGENT
                                 ",\"executor_id\":{\"value\":\"exec\"}}"),
                     202);
    assert_non_null(end_next(&c->e, TO_AGENT(SHUTDOWN_EXECUTOR)));
    end_send(w, &c->e,
             "{\"type\":\"EXECUTOR_MESSAGE\",\"executor_message\":{\"framework_id\":{\"value\":"
             "\"M-0000\"},\"executor_id\":{\"value\":\"exec\"},\"data\":\"aGk=\"}}");
    assert_non_null(stream_next(s, EVENT(MESSAGE)));
    end(c);
}

static void test_decline_suppress_revive(void **state)
{
    (void)state;
    struct scene *c = mem_zalloc(sizeof(*c));
    begin(c, "");
    struct world *w = &c->w;
    struct stream *s = &c->s;
    assert_int_equal(stream_call(w, s,
                                 "\"type\":\"DECLINE\",\"decline\":{\"offer_ids\":[{\"value\":"
                                 "\"%s\"}],\"filters\":{\"refuse_seconds\":100}}",
                                 c->offer->id->value),
                     202);
    world_pass(w, 50);
    assert_null(stream_next(s, EVENT(OFFERS)));
    assert_int_equal(stream_call(w, s, "\"type\":\"REVIVE\""), 202);
    c->offer = stream_offer(s);
    assert_int_equal(stream_call(w, s, "\"type\":\"SUPPRESS\""), 202);
    assert_int_equal(stream_call(w, s,
                                 "\"type\":\"DECLINE\",\"decline\":{\"offer_ids\":[{\"value\":"
                                 "\"%s\"}]}",
                                 c->offer->id->value),
                     202);
    world_pass(w, 50);
    assert_null(stream_next(s, EVENT(OFFERS)));
    assert_int_equal(stream_call(w, s, "\"type\":\"REVIVE\""), 202);
    assert_non_null(stream_next(s, EVENT(OFFERS)));
    end(c);
}

static void test_teardown(void **state)
{
    (void)state;
    struct scene *c = mem_zalloc(sizeof(*c));
    begin(c, "");
    assert_int_equal(stream_call(&c->w, &c->s, "\"type\":\"TEARDOWN\""), 202);
    assert_true(c->s.closed);
    assert_non_null(end_next(&c->e, TO_AGENT(SHUTDOWN_FRAMEWORK)));
    assert_int_equal(c->w.master->frameworks.count, 0);
    assert_int_equal(c->w.master->completed_count, 1);
    assert_int_equal(c->w.master->counters[COUNT_TASKS_KILLED], 1);
    // A late update is answered by telling the agent once more.
    end_update(&c->w, &c->e, "M-0000", "known", "TASK_KILLED", 'x');
    assert_non_null(end_next(&c->e, TO_AGENT(SHUTDOWN_FRAMEWORK)));
    end(c);
}

static void test_refused_subscriptions(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        const char *message;
    } cases[] = {
        {"{\"framework_info\":{\"user\":\"u\",\"name\":\"f\",\"roles\":[\"a\"],\"capabilities\":"
         "[{\"type\":\"MULTI_ROLE\"}]},\"suppressed_roles\":[\"c\",\"a\",\"b\"]}",
         "Suppressed roles { b, c } are not contained in the set of roles"},
        {"{\"framework_info\":{\"user\":\"u\",\"name\":\"f\",\"roles\":[\"x\"],\"capabilities\":"
         "[{\"type\":\"MULTI_ROLE\"}]}}",
         "Roles { x } are not present in the master's --roles"},
        {"{\"framework_info\":{\"user\":\"root\",\"name\":\"f\",\"role\":\"a\"}}",
         "User 'root' is not allowed to run frameworks without --root_submissions set"},
    };
    static const char *const roles[] = {"a", "b"};
    struct master_options options;
    master_options_init(&options);
    options.roles = roles;
    options.role_count = 2;
    options.root_submissions = false;
    struct world w;
    world_begin(&w, &options);
    struct stream *s = mem_zalloc(sizeof(*s));
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        stream_subscribe(&w, s, cases[i].json);
        Mesos__V1__Scheduler__Event *event = stream_next(s, EVENT(ERROR));
        assert_non_null(event);
        assert_string_equal(event->error->message, cases[i].message);
        assert_true(s->closed);
        assert_int_equal(w.master->frameworks.count, 0);
    }
    world_end(&w);
    mem_free(s);
}

static void test_offers_in_both_forms(void **state)
{
    (void)state;
    struct world w;
    world_begin(&w, NULL);
    struct stream *s = mem_zalloc(2 * sizeof(*s));
    struct end *e = mem_zalloc(sizeof(*e));
    stream_subscribe(&w, &s[0],
                     "{\"framework_info\":{\"user\":\"u\",\"name\":\"f\",\"roles\":[\"r\"],"
                     "\"capabilities\":[{\"type\":\"MULTI_ROLE\"},{\"type\":"
                     "\"RESERVATION_REFINEMENT\"}]}}");
    end_register(&w, e, "host", "cpus(r):2;mem:1024");
    const Mesos__V1__Offer *offer = stream_offer(&s[0]);
    assert_string_equal(offer->allocation_info->role, "r");
    assert_string_equal(offer->resources[0]->allocation_info->role, "r");
    assert_int_equal(offer->resources[0]->n_reservations, 1);
    stream_break(&w, &s[0]);
    stream_subscribe(&w, &s[1],
                     "{\"framework_info\":{\"user\":\"u\",\"name\":\"f\",\"role\":\"r\"}}");
    offer = stream_offer(&s[1]);
    assert_null(offer->allocation_info);
    assert_null(offer->resources[0]->allocation_info);
    assert_int_equal(offer->resources[0]->n_reservations, 0);
    assert_string_equal(offer->resources[0]->role, "r");
    world_end(&w);
    mem_free(s);
    mem_free(e);
}

static void test_offers_expire(void **state)
{
    (void)state;
    struct master_options options;
    master_options_init(&options);
    options.offer_timeout_ns = 10 * NS_PER_S;
    struct world w;
    world_begin(&w, &options);
    struct stream *s = mem_zalloc(sizeof(*s));
    struct end *e = mem_zalloc(sizeof(*e));
    stream_subscribe(&w, s, "{\"framework_info\":{\"user\":\"u\",\"name\":\"f\"}}");
    end_register(&w, e, "host", "cpus:2;mem:1024");
    const char *id = stream_offer(s)->id->value;
    world_pass(&w, 9);
    assert_null(stream_next(s, EVENT(RESCIND)));
    world_pass(&w, 2);
    s->seen = 0;
    Mesos__V1__Scheduler__Event *event = stream_next(s, EVENT(RESCIND));
    assert_non_null(event);
    assert_string_equal(event->rescind->offer_id->value, id);
    world_end(&w);
    mem_free(s);
    mem_free(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_launch_cases),
        cmocka_unit_test(test_unreadable_resources),
        cmocka_unit_test(test_task_is_passed_on_as_it_came),
        cmocka_unit_test(test_other_executor_with_the_same_id),
        cmocka_unit_test(test_invalid_offers),
        cmocka_unit_test(test_several_offers_of_one_agent),
        cmocka_unit_test(test_operations_are_refused),
        cmocka_unit_test(test_who_may_call),
        cmocka_unit_test(test_kill_reconcile_message),
        cmocka_unit_test(test_decline_suppress_revive),
        cmocka_unit_test(test_teardown),
        cmocka_unit_test(test_refused_subscriptions),
        cmocka_unit_test(test_offers_in_both_forms),
        cmocka_unit_test(test_offers_expire),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
