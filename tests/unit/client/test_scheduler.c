// SPDX-License-Identifier: Apache-2.0

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "base/mem.h"
#include "fake_master.h"

// What the callbacks saw, and what ends the loop.
struct world {
    struct env *env;
    struct fake_master master;
    struct fake_master other;
    struct scheduler *scheduler;
    struct timer watchdog;
    unsigned subscribed, disconnected, refused, calls_refused, answered, errors;
    unsigned stop_at_subscribed; // stop the loop at that many
    bool stop_at_answered, stop_at_refused, stop_at_call_refused;
    char reason[ERROR_TEXT_SIZE];
    int last_status;
};

static void on_event(void *ctx, const Mesos__V1__Scheduler__Event *event)
{
    struct world *w = ctx;
    if (event->type == MESOS__V1__SCHEDULER__EVENT__TYPE__SUBSCRIBED) {
        w->subscribed++;
        if (w->subscribed == w->stop_at_subscribed) {
            env_stop(w->env, 0);
        }
    } else if (event->type == MESOS__V1__SCHEDULER__EVENT__TYPE__ERROR) {
        w->errors++;
    }
}

static void on_disconnected(void *ctx, const struct error *why)
{
    struct world *w = ctx;
    w->disconnected++;
    snprintf(w->reason, sizeof(w->reason), "%s", why->text);
}

static void on_refused(void *ctx, const struct error *why)
{
    struct world *w = ctx;
    w->refused++;
    snprintf(w->reason, sizeof(w->reason), "%s", why->text);
    if (w->stop_at_refused) {
        env_stop(w->env, 0);
    }
}

static void on_call_refused(void *ctx, Mesos__V1__Scheduler__Call__Type type, int status,
                            const char *text)
{
    struct world *w = ctx;
    assert_int_equal(type, MESOS__V1__SCHEDULER__CALL__TYPE__REVIVE);
    w->calls_refused++;
    w->last_status = status;
    snprintf(w->reason, sizeof(w->reason), "%s", text);
    if (w->stop_at_call_refused) {
        env_stop(w->env, 0);
    }
}

static void on_calls_answered(void *ctx)
{
    struct world *w = ctx;
    w->answered++;
    if (w->stop_at_answered) {
        env_stop(w->env, 0);
    }
}

static void run_watchdog(struct timer *timer, struct instant now)
{
    (void)now;
    env_stop(CONTAINER_OF(timer, struct world, watchdog)->env, 99);
}

static void world_open(struct world *w, const enum fake_step *script, size_t script_size)
{
    memset(w, 0, sizeof(*w));
    assert_int_equal(env_new(&w->env, NULL), 0);
    fake_master_open(&w->master, w->env, script, script_size);
    fake_master_open(&w->other, w->env, NULL, 0);
    w->master.leader_port = w->other.port;
    w->watchdog.run = run_watchdog;
    env_timer_set(w->env, &w->watchdog, 20 * NS_PER_S);
}

#define WORLD(w, ...)                                                                              \
    struct world w;                                                                                \
    static const enum fake_step w##_script[] = {__VA_ARGS__};                                      \
    world_open(&w, w##_script, ARRAY_COUNT(w##_script))

static void world_start(struct world *w, enum content_type content, const char *framework_id)
{
    static const struct scheduler_callbacks callbacks = {
        .on_event = on_event,
        .on_disconnected = on_disconnected,
        .on_refused = on_refused,
        .on_call_refused = on_call_refused,
        .on_calls_answered = on_calls_answered,
    };
    char address[32];
    snprintf(address, sizeof(address), "127.0.0.1:%u", w->master.port);
    Mesos__V1__FrameworkInfo info = MESOS__V1__FRAMEWORK_INFO__INIT;
    info.user = (char *)"me";
    info.name = (char *)"test";
    Mesos__V1__FrameworkID id = MESOS__V1__FRAMEWORK_ID__INIT;
    if (framework_id != NULL) {
        id.value = (char *)framework_id;
        info.id = &id;
    }
    struct scheduler_options options = {
        .master = address,
        .content = content,
        .framework_info = &info,
        .principal = "p",
        .secret = "s",
        .backoff_min_ns = 5 * NS_PER_MS,
        .backoff_max_ns = 20 * NS_PER_MS,
    };
    assert_int_equal(scheduler_new(w->env, &options, &callbacks, w, &w->scheduler, NULL), 0);
}

static void world_close(struct world *w)
{
    w->scheduler = scheduler_free(w->scheduler);
    env_timer_cancel(w->env, &w->watchdog);
    fake_master_close(&w->master);
    fake_master_close(&w->other);
    env_free(w->env);
}

static void check_subscribes(enum content_type content)
{
    WORLD(w, FAKE_SUBSCRIBED);
    w.stop_at_subscribed = 1;
    world_start(&w, content, NULL);
    assert_int_equal(scheduler_get_state(w.scheduler), SCHEDULER_WAITING);
    assert_int_equal(env_run(w.env), 0);
    assert_int_equal(w.master.content, content);
    assert_int_equal(scheduler_get_state(w.scheduler), SCHEDULER_SUBSCRIBED);
    assert_string_equal(scheduler_framework_id(w.scheduler), "the-framework");
    assert_null(w.master.calls[0]->framework_id);
    assert_string_equal(w.master.calls[0]->subscribe->framework_info->name, "test");
    assert_string_equal(w.master.stream_ids[0], "");
    assert_string_equal(w.master.authorizations[0], "Basic cDpz");
    assert_int_equal(w.disconnected, 0);
    world_close(&w);
}

static void test_subscribes(void **state)
{
    (void)state;
    check_subscribes(CONTENT_JSON);
    check_subscribes(CONTENT_PROTOBUF);
}

static void test_own_framework_id(void **state)
{
    (void)state;
    WORLD(w, FAKE_SUBSCRIBED);
    w.stop_at_subscribed = 1;
    world_start(&w, CONTENT_PROTOBUF, "mine");
    assert_int_equal(env_run(w.env), 0);
    assert_string_equal(w.master.calls[0]->framework_id->value, "mine");
    assert_string_equal(w.master.calls[0]->subscribe->framework_info->id->value, "mine");
    world_close(&w);
}

static void send_revive(struct world *w)
{
    Mesos__V1__Scheduler__Call call = MESOS__V1__SCHEDULER__CALL__INIT;
    call.has_type = true;
    call.type = MESOS__V1__SCHEDULER__CALL__TYPE__REVIVE;
    assert_int_equal(scheduler_send(w->scheduler, &call, NULL), 0);
}

static void test_calls(void **state)
{
    (void)state;
    WORLD(w, FAKE_SUBSCRIBED);
    w.stop_at_subscribed = 1;
    world_start(&w, CONTENT_PROTOBUF, NULL);
    struct error err = {0};
    Mesos__V1__Scheduler__Call early = MESOS__V1__SCHEDULER__CALL__INIT;
    assert_int_equal(scheduler_send(w.scheduler, &early, &err), -ENOTCONN);
    assert_string_equal(err.text, "Not subscribed to a master");
    assert_int_equal(env_run(w.env), 0);
    send_revive(&w);
    send_revive(&w);
    assert_int_equal(scheduler_pending(w.scheduler), 2);
    w.stop_at_answered = true;
    assert_int_equal(env_run(w.env), 0);
    assert_int_equal(w.answered, 1);
    assert_int_equal(scheduler_pending(w.scheduler), 0);
    assert_int_equal(w.master.call_count, 3);
    assert_string_equal(w.master.calls[1]->framework_id->value, "the-framework");
    assert_string_equal(w.master.stream_ids[1], "stream-1");
    assert_string_equal(w.master.authorizations[1], "Basic cDpz");
    w.master.call_status = 400;
    w.stop_at_answered = false;
    w.stop_at_call_refused = true;
    send_revive(&w);
    assert_int_equal(env_run(w.env), 0);
    assert_int_equal(w.calls_refused, 1);
    assert_int_equal(w.last_status, 400);
    assert_string_equal(w.reason, "No");
    assert_int_equal(scheduler_get_state(w.scheduler), SCHEDULER_SUBSCRIBED);
    world_close(&w);
}

static void test_follows_redirect(void **state)
{
    (void)state;
    WORLD(w, FAKE_REDIRECT);
    w.stop_at_subscribed = 1;
    world_start(&w, CONTENT_JSON, NULL);
    assert_int_equal(env_run(w.env), 0);
    assert_int_equal(w.master.call_count, 1);
    assert_int_equal(w.other.call_count, 1);
    assert_int_equal(w.disconnected, 0);
    send_revive(&w); // goes to the leader
    w.stop_at_answered = true;
    assert_int_equal(env_run(w.env), 0);
    assert_int_equal(w.other.call_count, 2);
    world_close(&w);
}

static void test_redirect_to_itself_ends(void **state)
{
    (void)state;
    WORLD(w, FAKE_REDIRECT, FAKE_REDIRECT, FAKE_REDIRECT, FAKE_REDIRECT, FAKE_REDIRECT,
          FAKE_REDIRECT);
    w.master.leader_port = w.master.port;
    w.stop_at_subscribed = 1;
    world_start(&w, CONTENT_JSON, NULL);
    assert_int_equal(env_run(w.env), 0);
    assert_int_equal(w.disconnected, 1);
    assert_string_equal(w.reason, "Redirected 5 times in a row");
    world_close(&w);
}

static void test_faults_are_survived(void **state)
{
    (void)state;
    static const struct {
        enum fake_step step;
        const char *reason;
    } cases[] = {
        {FAKE_UNAVAILABLE, "No leader elected"},
        {FAKE_EMPTY, "ended"},
        {FAKE_GARBAGE, "Bad event"},
        {FAKE_BAD_LENGTH, "Bad stream of events"},
        {FAKE_SILENT, "went silent"},
        {FAKE_BAD_REDIRECT, "names no host"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct world w;
        world_open(&w, &cases[i].step, 1);
        w.stop_at_subscribed = cases[i].step == FAKE_SILENT ? 2 : 1;
        world_start(&w, CONTENT_PROTOBUF, NULL);
        assert_int_equal(env_run(w.env), 0);
        assert_int_equal(w.disconnected, 1);
        assert_non_null(strstr(w.reason, cases[i].reason));
        assert_int_equal(w.refused, 0);
        assert_int_equal(w.master.call_count, 2);
        world_close(&w);
    }
}

// The second subscription is under the id that the first one brought.
static void test_resubscribes_under_its_id(void **state)
{
    (void)state;
    WORLD(w, FAKE_SUBSCRIBED);
    w.stop_at_subscribed = 1;
    world_start(&w, CONTENT_PROTOBUF, NULL);
    assert_int_equal(env_run(w.env), 0);
    http_stream_close(w.master.stream);
    w.master.stream = NULL;
    w.stop_at_subscribed = 2;
    assert_int_equal(env_run(w.env), 0);
    assert_int_equal(w.disconnected, 1);
    assert_string_equal(w.master.calls[1]->framework_id->value, "the-framework");
    assert_string_equal(w.master.calls[1]->subscribe->framework_info->id->value, "the-framework");
    world_close(&w);
}

static void test_refusals_are_final(void **state)
{
    (void)state;
    static const struct {
        enum fake_step step;
        const char *reason;
        unsigned errors;
    } cases[] = {
        {FAKE_UNAUTHORIZED, "Unauthorized: Who are you?", 0},
        {FAKE_ERROR, "Framework has been removed", 1},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct world w;
        world_open(&w, &cases[i].step, 1);
        w.stop_at_refused = true;
        world_start(&w, CONTENT_PROTOBUF, NULL);
        assert_int_equal(env_run(w.env), 0);
        assert_int_equal(w.refused, 1);
        assert_int_equal(w.errors, cases[i].errors);
        assert_int_equal(w.disconnected, 0);
        assert_string_equal(w.reason, cases[i].reason);
        assert_int_equal(scheduler_get_state(w.scheduler), SCHEDULER_CLOSED);
        Mesos__V1__Scheduler__Call call = MESOS__V1__SCHEDULER__CALL__INIT;
        assert_int_equal(scheduler_send(w.scheduler, &call, NULL), -ENOTCONN);
        world_close(&w);
    }
}

static void test_bad_master(void **state)
{
    (void)state;
    struct env *env;
    assert_int_equal(env_new(&env, NULL), 0);
    Mesos__V1__FrameworkInfo info = MESOS__V1__FRAMEWORK_INFO__INIT;
    static const struct {
        const char *master;
        int code;
    } cases[] = {{"zk://a/", -EINVAL}, {"zk://a", -EINVAL}, {"https://a:1", -ENOTSUP}};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct scheduler_options options = {.master = cases[i].master, .framework_info = &info};
        struct scheduler_callbacks callbacks = {0};
        struct scheduler *scheduler = NULL;
        assert_int_equal(scheduler_new(env, &options, &callbacks, NULL, &scheduler, NULL),
                         cases[i].code);
        assert_null(scheduler);
    }
    env_free(env);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_subscribes),
        cmocka_unit_test(test_own_framework_id),
        cmocka_unit_test(test_calls),
        cmocka_unit_test(test_follows_redirect),
        cmocka_unit_test(test_redirect_to_itself_ends),
        cmocka_unit_test(test_faults_are_survived),
        cmocka_unit_test(test_resubscribes_under_its_id),
        cmocka_unit_test(test_refusals_are_final),
        cmocka_unit_test(test_bad_master),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
