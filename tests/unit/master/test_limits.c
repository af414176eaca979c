// SPDX-License-Identifier: Apache-2.0
//
// Rate limits: at which rate calls pass, in which order, what is dropped, and who is not held up.

#include "world.h"

#include <errno.h>
#include <string.h>

struct case_ {
    struct world w;
    struct arena *arena;
};

static const Mesos__V1__RateLimits *limits_of(struct arena *arena, const char *json)
{
    ProtobufCMessage *message;
    struct error err;
    if (wire_json_decode(&mesos__v1__rate_limits__descriptor, arena, json, strlen(json), &message,
                         &err) < 0)
        fail_msg("%s", err.text);
    return (Mesos__V1__RateLimits *)(void *)message;
}

static int begin(void **state)
{
    struct case_ *c = mem_zalloc(sizeof(*c));
    c->arena = arena_new(0, 0);
    struct master_options options;
    master_options_init(&options);
    options.ip = "10.0.0.1";
    options.hostname = "m";
    options.rate_limits =
        limits_of(c->arena, "{\"limits\":[{\"principal\":\"slow\",\"qps\":2},"
                            "{\"principal\":\"small\",\"qps\":1,\"capacity\":2},"
                            "{\"principal\":\"shut\",\"qps\":1,\"capacity\":0},"
                            "{\"principal\":\"free\",\"capacity\":1}],"
                            "\"aggregate_default_qps\":1,\"aggregate_default_capacity\":1}");
    world_begin(&c->w, &options);
    *state = c;
    return 0;
}

static int end(void **state)
{
    struct case_ *c = *state;
    world_end(&c->w);
    arena_free(c->arena);
    mem_free(c);
    return 0;
}

// Streams last as long as the world, which lets go of them at its end.
static struct stream *stream_new(struct case_ *c)
{
    return arena_calloc(c->arena, 1, sizeof(struct stream));
}

static void subscribe(struct case_ *c, struct stream *s, const char *principal)
{
    AUTO_FREE char *more =
        principal != NULL ? mem_printf(",\"principal\":\"%s\"", principal) : mem_strdup("");
    AUTO_FREE char *json =
        mem_printf("{\"framework_info\":{\"user\":\"u\",\"name\":\"f\"%s}}", more);
    stream_subscribe(&c->w, s, json);
}

static int revive(struct case_ *c, struct stream *s)
{
    return stream_call(&c->w, s, "\"type\":\"REVIVE\"");
}

struct wanted {
    const char *name;
    double value; // -1 until it was told
};

static void look(void *ctx, const char *name, double value)
{
    struct wanted *wanted = ctx;
    if (strcmp(name, wanted->name) == 0)
        wanted->value = value;
}

static double number(struct case_ *c, const char *name)
{
    struct wanted wanted = {name, -1};
    master_put_metrics(c->w.master, c->w.now, look, &wanted);
    return wanted.value;
}

static void test_calls_wait_for_their_turn(void **state)
{
    struct case_ *c = *state;
    struct stream *s = stream_new(c);
    subscribe(c, s, "slow");
    assert_int_equal(revive(c, s), 202);
    for (int i = 0; i < 3; i++)
        assert_int_equal(revive(c, s), 0);
    assert_int_equal(number(c, "frameworks/slow/messages_received"), 4);
    assert_int_equal(number(c, "frameworks/slow/messages_processed"), 1);
    for (int i = 2; i <= 4; i++) {
        c->w.answer = 0;
        world_pass(&c->w, 0.49);
        assert_int_equal(number(c, "frameworks/slow/messages_processed"), i - 1);
        assert_int_equal(c->w.answer, 0);
        world_pass(&c->w, 0.01);
        assert_int_equal(number(c, "frameworks/slow/messages_processed"), i);
        assert_int_equal(c->w.answer, 202);
    }
    // Time that nobody used is not saved up.
    world_pass(&c->w, 60);
    assert_int_equal(revive(c, s), 202);
    assert_int_equal(revive(c, s), 0);
    world_pass(&c->w, 0.5);
}

static void test_order_and_a_framework_that_goes(void **state)
{
    struct case_ *c = *state;
    struct stream *s = stream_new(c);
    struct stream *other = stream_new(c);
    subscribe(c, s, "slow");
    subscribe(c, other, "slow");
    assert_int_equal(revive(c, s), 202);
    assert_int_equal(stream_call(&c->w, s, "\"type\":\"TEARDOWN\""), 0);
    assert_int_equal(revive(c, s), 0);
    // Of one principal: they share the limit, and the numbers.
    assert_int_equal(revive(c, other), 0);
    world_pass(&c->w, 0.5);
    assert_int_equal(c->w.answer, 202);
    assert_true(s->closed);
    world_pass(&c->w, 0.5);
    assert_int_equal(c->w.answer, 400);
    assert_string_equal(c->w.answer_text, "Framework cannot be found");
    world_pass(&c->w, 0.5);
    assert_int_equal(c->w.answer, 202);
    assert_int_equal(number(c, "frameworks/slow/messages_processed"), 3);
    assert_int_equal(stream_call(&c->w, other, "\"type\":\"TEARDOWN\""), 0);
    world_pass(&c->w, 0.5);
    assert_true(number(c, "frameworks/slow/messages_processed") < 0);
}

static void expect_dropped(struct case_ *c, struct stream *s, const char *capacity)
{
    AUTO_FREE char *text =
        mem_printf("Message mesos.scheduler.Call dropped: capacity(%s) exceeded", capacity);
    assert_int_equal(revive(c, s), 429);
    assert_string_equal(c->w.err.text, text);
    Mesos__V1__Scheduler__Event *event = stream_next(s, MESOS__V1__SCHEDULER__EVENT__TYPE__ERROR);
    assert_non_null(event);
    assert_string_equal(event->error->message, text);
    assert_false(s->closed);
}

static void test_capacity(void **state)
{
    struct case_ *c = *state;
    struct stream *s = stream_new(c);
    struct stream *shut = stream_new(c);
    subscribe(c, s, "small");
    assert_int_equal(revive(c, s), 202);
    assert_int_equal(revive(c, s), 0);
    assert_int_equal(revive(c, s), 0);
    expect_dropped(c, s, "2");
    world_pass(&c->w, 1);
    assert_int_equal(revive(c, s), 0);
    expect_dropped(c, s, "2");
    world_pass(&c->w, 3);
    assert_int_equal(number(c, "frameworks/small/messages_received"), 6);
    assert_int_equal(number(c, "frameworks/small/messages_processed"), 4);
    subscribe(c, shut, "shut");
    expect_dropped(c, shut, "0");
}

static void test_others_are_not_held_up(void **state)
{
    struct case_ *c = *state;
    struct stream *slow = stream_new(c);
    struct stream *free_ = stream_new(c);
    struct stream *stranger = stream_new(c);
    struct stream *nameless = stream_new(c);
    subscribe(c, slow, "slow");
    subscribe(c, free_, "free");
    subscribe(c, stranger, "stranger");
    subscribe(c, nameless, NULL);
    revive(c, slow);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(revive(c, slow), 0);
        assert_int_equal(revive(c, free_), 202);
    }
    // Those who are not listed share what is left for them.
    assert_int_equal(revive(c, stranger), 202);
    assert_int_equal(revive(c, nameless), 0);
    expect_dropped(c, stranger, "1");
    // A call that would be refused takes nobody's turn.
    world_pass(&c->w, 2);
    memcpy(stranger->id, "x", 2);
    assert_int_equal(revive(c, stranger), 400);
    assert_int_equal(revive(c, nameless), 202);
}

static void test_the_master_ends(void **state)
{
    struct case_ *c = *state;
    struct stream *s = stream_new(c);
    subscribe(c, s, "slow");
    revive(c, s);
    assert_int_equal(revive(c, s), 0);
    master_refuse_held_calls(c->w.master);
    assert_int_equal(c->w.answer, 503);
    // And one that is held when it is freed is forgotten.
    assert_int_equal(revive(c, s), 0);
}

static void test_what_is_refused(void **state)
{
    struct case_ *c = *state;
    static const char *const cases[][2] = {
        {"{\"limits\":[{\"principal\":\"a\"},{\"principal\":\"a\",\"qps\":1}]}",
         "Duplicate principal a found in RateLimits configuration"},
        {"{\"limits\":[{\"principal\":\"a\",\"qps\":0}]}",
         "Invalid qps: 0. It must be a positive number"},
        {"{\"aggregate_default_qps\":-1}",
         "Invalid aggregate_default_qps: -1. It must be a positive number"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct error err = {0};
        assert_int_equal(master_check_rate_limits(limits_of(c->arena, cases[i][0]), &err), -EINVAL);
        assert_string_equal(err.text, cases[i][1]);
    }
    assert_int_equal(master_check_rate_limits(limits_of(c->arena, "{}"), NULL), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(test_calls_wait_for_their_turn),
        TEST(test_order_and_a_framework_that_goes),
        TEST(test_capacity),
        TEST(test_others_are_not_held_up),
        TEST(test_the_master_ends),
        TEST(test_what_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
