// SPDX-License-Identifier: Apache-2.0
//
// The executor client and an agent that does what the test says.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "base/mem.h"
#include "base/uuid.h"
#include "client/executor.h"
#include "executor/fake_agent.h"

#define CALL_TYPE(name) MESOS__V1__EXECUTOR__CALL__TYPE__##name

// What the callbacks saw.
struct world {
    struct env *env;
    struct fake_agent agent;
    struct executor_environment environment;
    struct executor *executor;
    char events[400]; // their types, each behind a blank
    size_t event_count, awaited_events;
    unsigned disconnected, ended;
    struct error why;
};

static void on_event(void *ctx, const Mesos__V1__Executor__Event *event)
{
    struct world *w = ctx;
    const ProtobufCEnumValue *type = protobuf_c_enum_descriptor_get_value(
        &mesos__v1__executor__event__type__descriptor, (int)event->type);
    size_t size = strlen(w->events);
    snprintf(w->events + size, sizeof(w->events) - size, " %s", type->name);
    w->event_count++;
    env_stop(w->env, FAKE_ARRIVED);
}

static void on_disconnected(void *ctx)
{
    struct world *w = ctx;
    w->disconnected++;
    env_stop(w->env, FAKE_ARRIVED);
}

static void on_ended(void *ctx, const struct error *why)
{
    struct world *w = ctx;
    w->ended++;
    w->why = *why;
    env_stop(w->env, FAKE_ARRIVED);
}

static int setup(void **state)
{
    struct world *w = mem_zalloc(sizeof(*w));
    assert_int_equal(env_new(&w->env, NULL), 0);
    fake_agent_open(&w->agent, w->env);
    w->agent.keeps_updates = true;
    w->environment = (struct executor_environment){
        .framework_id = "F",
        .executor_id = "E",
        .token = "secret",
        .recovery_timeout_ns = 20 * NS_PER_S,
        .backoff_max_ns = 10 * NS_PER_MS,
    };
    assert_int_equal(address_parse("127.0.0.1:1", ADDRESS_PORT_AGENT, &w->environment.agent, NULL),
                     0);
    w->environment.agent.port = w->agent.port;
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    executor_free(w->executor);
    fake_agent_close(&w->agent);
    env_free(w->env);
    mem_free(w);
    return 0;
}

static void start_with(struct world *w, enum content_type content, bool checkpoint)
{
    static const struct executor_callbacks callbacks = {
        .on_event = on_event, .on_disconnected = on_disconnected, .on_ended = on_ended};
    w->environment.checkpoint = checkpoint;
    w->executor = executor_new(w->env, &w->environment, content, &callbacks, w);
}

static bool has_events(void *ctx)
{
    struct world *w = ctx;
    return w->event_count >= w->awaited_events;
}

// Until that many have come, those that were seen before included.
static void wait_events(struct world *w, size_t count)
{
    w->awaited_events = count;
    fake_agent_wait(&w->agent, has_events, w);
}

static bool is_disconnected(void *ctx)
{
    return ((struct world *)ctx)->disconnected > 0;
}

static bool has_ended(void *ctx)
{
    return ((struct world *)ctx)->ended > 0;
}

static struct fake_call take(struct world *w, Mesos__V1__Executor__Call__Type type)
{
    return fake_agent_take_executor(&w->agent, type);
}

// Accepts the next SUBSCRIBE; what it said.
static const Mesos__V1__Executor__Call__Subscribe *subscribe(struct world *w)
{
    size_t before = w->event_count;
    struct fake_call call = fake_agent_subscribe(&w->agent, "");
    wait_events(w, before + 1);
    return call.executor_call->subscribe;
}

static void update(struct world *w, const char *task_id, Mesos__V1__TaskState task_state)
{
    Mesos__V1__TaskID id = MESOS__V1__TASK_ID__INIT;
    Mesos__V1__TaskStatus status = MESOS__V1__TASK_STATUS__INIT;
    id.value = (char *)(uintptr_t)task_id;
    status.task_id = &id;
    status.state = task_state;
    executor_update(w->executor, &status);
}

#define RUNNING MESOS__V1__TASK_STATE__TASK_RUNNING
#define FINISHED MESOS__V1__TASK_STATE__TASK_FINISHED

static void check_subscribes(struct world *w, enum content_type content)
{
    start_with(w, content, false);
    struct fake_call call = fake_agent_subscribe(&w->agent, "");
    wait_events(w, 1);
    assert_string_equal(w->events, " SUBSCRIBED");
    assert_int_equal(w->agent.content, content);
    assert_string_equal(call.authorization, "Bearer secret");
    assert_string_equal(call.executor_call->framework_id->value, "F");
    assert_string_equal(call.executor_call->executor_id->value, "E");
    assert_int_equal(call.executor_call->subscribe->n_unacknowledged_updates, 0);
    assert_int_equal(call.executor_call->subscribe->n_unacknowledged_tasks, 0);
}

static void test_subscribes_in_json(void **state)
{
    check_subscribes(*state, CONTENT_JSON);
}

static void test_subscribes_in_protobuf(void **state)
{
    check_subscribes(*state, CONTENT_PROTOBUF);
}

static void test_update_is_completed(void **state)
{
    struct world *w = *state;
    start_with(w, CONTENT_PROTOBUF, false);
    update(w, "t", RUNNING); // before there is a subscription
    assert_int_equal(executor_unacknowledged(w->executor), 1);
    subscribe(w);
    struct fake_call call = take(w, CALL_TYPE(UPDATE));
    const Mesos__V1__TaskStatus *status = call.executor_call->update->status;
    assert_string_equal(call.authorization, "Bearer secret");
    assert_string_equal(call.executor_call->executor_id->value, "E");
    assert_string_equal(status->task_id->value, "t");
    assert_int_equal(status->state, RUNNING);
    assert_true(status->has_uuid);
    assert_int_equal(status->uuid.len, UUID_SIZE);
    assert_true(status->has_timestamp);
    assert_true(status->timestamp > 1e9);
    assert_true(status->has_source);
    assert_int_equal(status->source, MESOS__V1__TASK_STATUS__SOURCE__SOURCE_EXECUTOR);
    assert_string_equal(status->executor_id->value, "E");
    fake_agent_acknowledge(&w->agent, status);
    wait_events(w, 2);
    assert_int_equal(executor_unacknowledged(w->executor), 0);
    // The same acknowledgement once more is for nothing that is known, and harms nothing.
    fake_agent_acknowledge(&w->agent, status);
    wait_events(w, 3);
    assert_string_equal(w->events, " SUBSCRIBED ACKNOWLEDGED ACKNOWLEDGED");
}

// What the caller filled in stays as it is.
static void test_update_is_left_as_it_is(void **state)
{
    struct world *w = *state;
    start_with(w, CONTENT_JSON, false);
    subscribe(w);
    uint8_t uuid[UUID_SIZE] = {1, 2, 3};
    Mesos__V1__TaskID id = MESOS__V1__TASK_ID__INIT;
    Mesos__V1__ExecutorID executor_id = MESOS__V1__EXECUTOR_ID__INIT;
    Mesos__V1__TaskStatus status = MESOS__V1__TASK_STATUS__INIT;
    id.value = (char *)"t";
    executor_id.value = (char *)"another";
    status.task_id = &id;
    status.executor_id = &executor_id;
    status.has_uuid = status.has_timestamp = status.has_source = true;
    status.state = FINISHED;
    status.uuid = (ProtobufCBinaryData){.len = sizeof(uuid), .data = uuid};
    status.timestamp = 17;
    status.source = MESOS__V1__TASK_STATUS__SOURCE__SOURCE_MASTER;
    executor_update(w->executor, &status);
    struct fake_call call = take(w, CALL_TYPE(UPDATE));
    const Mesos__V1__TaskStatus *sent = call.executor_call->update->status;
    assert_int_equal(sent->uuid.len, sizeof(uuid));
    assert_memory_equal(sent->uuid.data, uuid, sizeof(uuid));
    assert_true(sent->timestamp > 16.9 && sent->timestamp < 17.1);
    assert_int_equal(sent->source, MESOS__V1__TASK_STATUS__SOURCE__SOURCE_MASTER);
    assert_string_equal(sent->executor_id->value, "another");
}

static bool is_waiting(const struct world *w, Mesos__V1__Executor__Call__Type type)
{
    for (size_t i = 0; i < w->agent.waiting_count; i++) {
        const Mesos__V1__Executor__Call *call = w->agent.waiting[i].executor_call;
        if (call != NULL && call->type == type) {
            return true;
        }
    }
    return false;
}

static void message(struct world *w, const char *text)
{
    assert_int_equal(executor_message(w->executor, text, strlen(text), NULL), 0);
}

// An update that was not answered yet keeps the next ones back, so that trying it again changes no
// order.
static void test_updates_go_one_by_one(void **state)
{
    struct world *w = *state;
    w->agent.holds_updates = true;
    start_with(w, CONTENT_PROTOBUF, false);
    subscribe(w);
    update(w, "1", RUNNING);
    update(w, "2", RUNNING);
    message(w, "hello");
    struct fake_call first = take(w, CALL_TYPE(UPDATE));
    assert_string_equal(first.name, "1");
    // It may be acknowledged before it is answered.
    fake_agent_acknowledge(&w->agent, first.executor_call->update->status);
    wait_events(w, 2);
    assert_int_equal(executor_unacknowledged(w->executor), 1);
    fake_agent_accept(&first);
    struct fake_call hello = take(w, CALL_TYPE(MESSAGE));
    assert_int_equal(hello.executor_call->message->data.len, 5);
    assert_memory_equal(hello.executor_call->message->data.data, "hello", 5);
    assert_false(is_waiting(w, CALL_TYPE(UPDATE))); // the message went out before it
    fake_agent_accept(&hello);
    struct fake_call second = take(w, CALL_TYPE(UPDATE));
    assert_string_equal(second.name, "2");
    fake_agent_accept(&second);
}

// The agent will not have it: the next one goes out, and a new subscription tells of both.
static void test_refused_update(void **state)
{
    struct world *w = *state;
    w->agent.holds_updates = true;
    start_with(w, CONTENT_PROTOBUF, true);
    subscribe(w);
    update(w, "1", RUNNING);
    update(w, "2", RUNNING);
    struct fake_call first = take(w, CALL_TYPE(UPDATE));
    fake_agent_refuse(&first, 400, "No such thing");
    struct fake_call second = take(w, CALL_TYPE(UPDATE));
    assert_string_equal(second.name, "2");
    fake_agent_accept(&second);
    assert_int_equal(executor_unacknowledged(w->executor), 2);
    fake_agent_cut(&w->agent);
    const Mesos__V1__Executor__Call__Subscribe *again = subscribe(w);
    assert_int_equal(w->disconnected, 1);
    assert_int_equal(again->n_unacknowledged_updates, 2);
    assert_string_equal(again->unacknowledged_updates[0]->status->task_id->value, "1");
    assert_string_equal(again->unacknowledged_updates[1]->status->task_id->value, "2");
    // They were told with that: only a new one is sent.
    update(w, "3", RUNNING);
    struct fake_call third = take(w, CALL_TYPE(UPDATE));
    assert_string_equal(third.name, "3");
    fake_agent_accept(&third);
}

// An answer that may be another one next time: three tries, then a new connection.
static void test_update_is_tried_again(void **state)
{
    struct world *w = *state;
    w->agent.holds_updates = true;
    start_with(w, CONTENT_PROTOBUF, true);
    subscribe(w);
    update(w, "1", RUNNING);
    update(w, "2", RUNNING);
    const ProtobufCBinaryData *uuid = NULL;
    for (int i = 0; i < 3; i++) {
        struct fake_call call = take(w, CALL_TYPE(UPDATE));
        assert_string_equal(call.name, "1");
        const ProtobufCBinaryData *sent = &call.executor_call->update->status->uuid;
        assert_true(uuid == NULL || memcmp(uuid->data, sent->data, UUID_SIZE) == 0);
        uuid = sent;
        fake_agent_refuse(&call, 503, "Busy");
    }
    const Mesos__V1__Executor__Call__Subscribe *again = subscribe(w);
    assert_int_equal(w->disconnected, 1);
    assert_int_equal(again->n_unacknowledged_updates, 2);
    assert_memory_equal(again->unacknowledged_updates[0]->status->uuid.data, uuid->data, UUID_SIZE);
}

// "Not subscribed", says an agent that is there: also an executor without checkpoint comes back.
static void test_not_subscribed_any_more(void **state)
{
    struct world *w = *state;
    w->agent.holds_updates = true;
    start_with(w, CONTENT_PROTOBUF, false);
    subscribe(w);
    update(w, "1", RUNNING);
    struct fake_call call = take(w, CALL_TYPE(UPDATE));
    fake_agent_refuse(&call, 403, "Executor is not subscribed");
    assert_int_equal(subscribe(w)->n_unacknowledged_updates, 1);
    assert_int_equal(w->ended, 0);
}

#define TASK(id)                                                                                   \
    "{\"name\":\"n\",\"task_id\":{\"value\":\"" id "\"},\"agent_id\":{\"value\":\"S\"}}"

// A task is told of at each subscription until an update of it was acknowledged.
static void test_tasks_are_kept(void **state)
{
    struct world *w = *state;
    start_with(w, CONTENT_PROTOBUF, true);
    subscribe(w);
    fake_agent_send(&w->agent, "{\"type\":\"LAUNCH\",\"launch\":{\"task\":" TASK("1") "}}");
    fake_agent_send(&w->agent, "{\"type\":\"LAUNCH_GROUP\",\"launch_group\":{\"task_group\":"
                               "{\"tasks\":[" TASK("2") "," TASK("3") "]}}}");
    wait_events(w, 3);
    assert_string_equal(w->events, " SUBSCRIBED LAUNCH LAUNCH_GROUP");
    fake_agent_cut(&w->agent);
    const Mesos__V1__Executor__Call__Subscribe *again = subscribe(w);
    assert_int_equal(again->n_unacknowledged_tasks, 3);
    assert_string_equal(again->unacknowledged_tasks[0]->task_id->value, "1");
    assert_string_equal(again->unacknowledged_tasks[2]->task_id->value, "3");
    update(w, "2", RUNNING);
    struct fake_call call = take(w, CALL_TYPE(UPDATE));
    fake_agent_acknowledge(&w->agent, call.executor_call->update->status);
    wait_events(w, 5);
    fake_agent_cut(&w->agent);
    again = subscribe(w);
    assert_int_equal(again->n_unacknowledged_tasks, 2);
    assert_string_equal(again->unacknowledged_tasks[0]->task_id->value, "1");
    assert_string_equal(again->unacknowledged_tasks[1]->task_id->value, "3");
    assert_int_equal(w->disconnected, 2);
}

// ---- ends ----

static void test_ends_with_its_agent(void **state)
{
    struct world *w = *state;
    start_with(w, CONTENT_PROTOBUF, false);
    subscribe(w);
    fake_agent_cut(&w->agent);
    fake_agent_wait(&w->agent, has_ended, w);
    assert_int_equal(w->disconnected, 0);
    assert_true(w->why.code < 0);
    assert_int_not_equal(w->why.text[0], '\0');
    // It is over: nothing is sent any more.
    struct error err;
    update(w, "1", FINISHED);
    assert_int_equal(executor_message(w->executor, "x", 1, &err), -ENOTCONN);
    assert_string_equal(err.text, "Not subscribed to the agent");
    assert_int_equal(w->agent.waiting_count, 0);
}

static void test_waits_for_an_agent_that_asks_for_patience(void **state)
{
    struct world *w = *state;
    static const int statuses[] = {503, 404, 408, 429, 500};
    start_with(w, CONTENT_PROTOBUF, false);
    struct error err;
    assert_int_equal(executor_message(w->executor, "x", 1, &err), -ENOTCONN);
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        struct fake_call call = take(w, CALL_TYPE(SUBSCRIBE));
        fake_agent_refuse(&call, statuses[i], "Not now");
    }
    subscribe(w);
    assert_int_equal(w->ended, 0);
    assert_int_equal(w->disconnected, 0); // it was not subscribed before
}

static void test_refused_for_good(void **state)
{
    struct world *w = *state;
    start_with(w, CONTENT_PROTOBUF, true);
    struct fake_call call = take(w, CALL_TYPE(SUBSCRIBE));
    fake_agent_refuse(&call, 401, "Who are you?");
    fake_agent_wait(&w->agent, has_ended, w);
    assert_non_null(strstr(w->why.text, "Who are you?"));
}

static void test_recovery_timeout(void **state)
{
    struct world *w = *state;
    w->environment.recovery_timeout_ns = 100 * NS_PER_MS;
    start_with(w, CONTENT_PROTOBUF, true);
    subscribe(w);
    fake_agent_hang_up(&w->agent);
    fake_agent_wait(&w->agent, is_disconnected, w);
    assert_int_equal(w->ended, 0);
    fake_agent_wait(&w->agent, has_ended, w);
    assert_int_equal(w->why.code, -ETIMEDOUT);
    assert_string_equal(w->why.text, "The agent did not come back within the recovery timeout");
}

// A new subscription ends the wait, and the next loss begins a new one.
static void test_recovery_timeout_begins_anew(void **state)
{
    struct world *w = *state;
    start_with(w, CONTENT_PROTOBUF, true);
    for (unsigned i = 1; i <= 3; i++) {
        subscribe(w);
        fake_agent_cut(&w->agent);
        w->disconnected = 0;
        fake_agent_wait(&w->agent, is_disconnected, w);
    }
    subscribe(w);
    assert_int_equal(w->ended, 0);
}

// What is no stream of events is an agent that went.
static void test_broken_streams(void **state)
{
    struct world *w = *state;
    static const char *const garbage[] = {"3\n\xff\xff\xff", "-3\n", "99999999999\n"};
    start_with(w, CONTENT_PROTOBUF, true);
    for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
        subscribe(w);
        w->disconnected = 0;
        fake_agent_send_bytes(&w->agent, garbage[i], strlen(garbage[i]));
        fake_agent_wait(&w->agent, is_disconnected, w);
    }
    subscribe(w);
    assert_int_equal(w->ended, 0);
}

// Freed with all that may be under way.
static void test_freed_early(void **state)
{
    struct world *w = *state;
    w->agent.holds_updates = true;
    start_with(w, CONTENT_PROTOBUF, true);
    update(w, "1", RUNNING);
    w->executor = executor_free(w->executor); // nothing was sent yet
    start_with(w, CONTENT_PROTOBUF, true);
    struct fake_call call = take(w, CALL_TYPE(SUBSCRIBE));
    w->executor = executor_free(w->executor); // its SUBSCRIBE waits for an answer
    fake_agent_accept(&call);
    start_with(w, CONTENT_PROTOBUF, true);
    subscribe(w);
    update(w, "1", RUNNING);
    call = take(w, CALL_TYPE(UPDATE));
    w->executor = executor_free(w->executor); // its update does
    fake_agent_accept(&call);
    start_with(w, CONTENT_PROTOBUF, true);
    subscribe(w);
    w->disconnected = 0;
    fake_agent_cut(&w->agent);
    fake_agent_wait(&w->agent, is_disconnected, w);
    w->executor = executor_free(w->executor); // it waits to try again
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_subscribes_in_json),
        TEST(test_subscribes_in_protobuf),
        TEST(test_update_is_completed),
        TEST(test_update_is_left_as_it_is),
        TEST(test_updates_go_one_by_one),
        TEST(test_refused_update),
        TEST(test_update_is_tried_again),
        TEST(test_not_subscribed_any_more),
        TEST(test_tasks_are_kept),
        TEST(test_ends_with_its_agent),
        TEST(test_waits_for_an_agent_that_asks_for_patience),
        TEST(test_refused_for_good),
        TEST(test_recovery_timeout),
        TEST(test_recovery_timeout_begins_anew),
        TEST(test_broken_streams),
        TEST(test_freed_early),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
