// SPDX-License-Identifier: Apache-2.0
//
// The public library without a cluster: paths into messages, and what is refused before anything is
// sent. What it does with a master and an agent is tests/system/test_libmesos.py's.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <mesos/executor.h>
#include <mesos/scheduler.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/mem.h"
#include "proto/mesos.pb-c.h"
#include "proto/scheduler.pb-c.h"
#include "wire/wire.h"

#define ASSERT_CLOSE(a, b) assert_true((a) - (b) < 1e-9 && (b) - (a) < 1e-9)

static const struct mesos_message *decode(const ProtobufCMessageDescriptor *descriptor,
                                          struct arena *arena, const char *json)
{
    ProtobufCMessage *message;
    struct error err;
    if (wire_json_decode(descriptor, arena, json, strlen(json), &message, &err) < 0)
        fail_msg("%s", err.text);
    return (const struct mesos_message *)(void *)message;
}

static void test_paths(void **state)
{
    (void)state;
    struct arena *arena = arena_new(0, 0);
    const struct mesos_message *o = decode(
        &mesos__v1__offer__descriptor, arena,
        "{\"id\":{\"value\":\"O1\"},\"framework_id\":{\"value\":\"F\"},\"agent_id\":{\"value\":"
        "\"S\"},\"hostname\":\"h\",\"resources\":[{\"name\":\"cpus\",\"type\":\"SCALAR\","
        "\"scalar\":"
        "{\"value\":1.5}},{\"name\":\"ports\",\"type\":\"RANGES\",\"ranges\":{\"range\":[{"
        "\"begin\":"
        "1,\"end\":18446744073709551615}]}},{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":"
        "{\"value\":2}}],\"unavailability\":{\"start\":{\"nanoseconds\":-5}}}");
    assert_string_equal(mesos_text(o, "id.value"), "O1");
    assert_string_equal(mesos_text(o, "hostname"), "h");
    assert_string_equal(mesos_text(o, "resources.name"), "cpus");
    assert_string_equal(mesos_text(o, "resources[1].type"), "RANGES");
    assert_int_equal(mesos_count(o, "resources"), 3);
    assert_int_equal(mesos_count(o, "resources[1].ranges.range"), 1);
    assert_int_equal(mesos_count(o, "executor_ids"), 0);
    assert_int_equal(mesos_count(o, "hostname"), 1);
    ASSERT_CLOSE(mesos_number(o, "resources[2].scalar.value", -1), 2);
    ASSERT_CLOSE(mesos_number(o, "resources[1].ranges.range[0].begin", -1), 1);
    ASSERT_CLOSE(mesos_number(o, "unavailability.start.nanoseconds", 0), -5);
    ASSERT_CLOSE(mesos_number(o, "resources[1].type", -1), 1);
    ASSERT_CLOSE(mesos_resource(o, "cpus"), 3.5);
    ASSERT_CLOSE(mesos_resource(o, "ports"), 0);
    assert_true(mesos_has(o, "unavailability"));
    const struct mesos_message *start = mesos_child(o, "unavailability.start");
    assert_non_null(start);
    ASSERT_CLOSE(mesos_number(start, "nanoseconds", 0), -5);
    size_t size;
    assert_memory_equal(mesos_bytes(o, "hostname", &size), "h", 1);
    assert_int_equal(size, 1);
    static const char *const absent[] = {"",
                                         ".",
                                         "nothing",
                                         "id.",
                                         ".id",
                                         "id.value.x",
                                         "resources[3]",
                                         "resources[-1]",
                                         "resources[x]",
                                         "resources[",
                                         "resources[0",
                                         "resources[0]x",
                                         "hostname[1]",
                                         "domain",
                                         "domain.fault_domain",
                                         "unavailability.duration",
                                         "resources[99999999999999999999].name",
                                         "resources[0].provider_id.value"};
    for (size_t i = 0; i < ARRAY_COUNT(absent); i++) {
        if (mesos_has(o, absent[i]))
            fail_msg("'%s' is there", absent[i]);
        assert_null(mesos_text(o, absent[i]));
        assert_null(mesos_child(o, absent[i]));
        assert_null(mesos_bytes(o, absent[i], &size));
        assert_int_equal(size, 0);
        ASSERT_CLOSE(mesos_number(o, absent[i], 7), 7);
    }
    char *long_path = calloc(1, 5000);
    memset(long_path, 'a', 4999);
    assert_false(mesos_has(o, long_path));
    free(long_path);
    // Of another kind.
    assert_null(mesos_text(o, "id"));
    assert_null(mesos_text(o, "resources[0].scalar.value"));
    assert_null(mesos_child(o, "hostname"));
    assert_null(mesos_bytes(o, "id", &size));
    ASSERT_CLOSE(mesos_number(o, "hostname", 7), 7);
    arena_free(arena);
}

static void test_whole_messages(void **state)
{
    (void)state;
    struct arena *arena = arena_new(0, 0);
    const struct mesos_message *s = decode(
        &mesos__v1__task_status__descriptor, arena,
        "{\"task_id\":{\"value\":\"t\"},\"state\":\"TASK_RUNNING\",\"healthy\":false,\"uuid\":"
        "\"AAEC\",\"timestamp\":2.5}");
    assert_string_equal(mesos_text(s, "state"), "TASK_RUNNING");
    assert_true(mesos_has(s, "healthy") && !mesos_has(s, "reason"));
    ASSERT_CLOSE(mesos_number(s, "healthy", 7), 0);
    ASSERT_CLOSE(mesos_number(s, "timestamp", 7), 2.5);
    size_t size;
    assert_memory_equal(mesos_bytes(s, "uuid", &size), "\0\1\2", 3);
    assert_int_equal(size, 3);
    assert_null(mesos_bytes(s, "data", &size));
    char *json = mesos_json(s);
    assert_non_null(strstr(json, "\"state\":\"TASK_RUNNING\""));
    free(json);
    uint8_t *data = mesos_protobuf(s, &size);
    ProtobufCMessage *again;
    assert_int_equal(
        wire_decode(&mesos__v1__task_status__descriptor, arena, data, size, &again, NULL), 0);
    assert_string_equal(((Mesos__V1__TaskStatus *)(void *)again)->task_id->value, "t");
    free(data);
    arena_free(arena);
}

static void expect_refused(struct mesos_scheduler_options options, const char *text)
{
    struct mesos_scheduler_callbacks callbacks = {.size = sizeof(callbacks)};
    struct mesos_scheduler *s = NULL;
    struct mesos_error err = {0};
    options.size = sizeof(options);
    int r = mesos_scheduler_new(&options, &callbacks, NULL, &s, &err);
    if (r >= 0 || strstr(err.text, text) == NULL)
        fail_msg("%d '%s', not '%s'", r, err.text, text);
    assert_int_equal(err.code, r);
    assert_null(s);
}

static void test_options_that_are_refused(void **state)
{
    (void)state;
    const char *const unknown[] = {"PARTITION_AWARE", "FLYING", NULL};
    expect_refused((struct mesos_scheduler_options){.name = "n"}, "needs a master, a name");
    expect_refused((struct mesos_scheduler_options){.master = "h:1"}, "needs a master, a name");
    expect_refused((struct mesos_scheduler_options){.master = "h:x", .name = "n"}, "h:x");
    expect_refused((struct mesos_scheduler_options){.master = "zk://h:1", .name = "n"}, "chroot");
    expect_refused(
        (struct mesos_scheduler_options){.master = "h:1", .name = "n", .capabilities = unknown},
        "Unknown capability 'FLYING'");
    expect_refused(
        (struct mesos_scheduler_options){.master = "h:1", .name = "n", .framework_info = "[]"},
        "More fields of FrameworkInfo must be a JSON object");
    expect_refused((struct mesos_scheduler_options){.master = "h:1",
                                                    .name = "n",
                                                    .framework_info = "{\"labels\":7}"},
                   "FrameworkInfo: ");
    expect_refused(
        (struct mesos_scheduler_options){.master = "h:1", .name = "n", .framework_info = "{\"a}"},
        "FrameworkInfo: ");
}

static void test_calls_before_it_is_subscribed(void **state)
{
    (void)state;
    struct mesos_scheduler_options options = {.size = sizeof(options),
                                              .master = "127.0.0.1:1",
                                              .name = "n",
                                              .framework_id = "F",
                                              .framework_info = " { \"webui_url\" : \"u\" } "};
    // A caller of an older library knows fewer callbacks.
    struct mesos_scheduler_callbacks callbacks = {
        .size = offsetof(struct mesos_scheduler_callbacks, offer)};
    callbacks.offer =
        (void (*)(void *, struct mesos_scheduler *, const struct mesos_message *))abort;
    struct mesos_scheduler *s;
    struct mesos_error err;
    assert_int_equal(mesos_scheduler_new(&options, &callbacks, NULL, &s, &err), 0);
    assert_false(mesos_scheduler_is_subscribed(s));
    assert_string_equal(mesos_scheduler_framework_id(s), "F");
    assert_int_equal(mesos_revive(s, &err), -ENOTCONN);
    assert_string_equal(err.text, "Not subscribed to a master");
    assert_int_equal(mesos_kill(s, "t\"", NULL, NULL), -ENOTCONN);
    assert_int_equal(mesos_reconcile(s, (const char *const[]){"a", "b", NULL}, NULL), -ENOTCONN);
    assert_int_equal(mesos_call(s, "{\"type\":\"REVIVE\"}", &err), -ENOTCONN);
    assert_int_equal(mesos_call(s, "{\"type\":\"SUBSCRIBE\"}", &err), -EINVAL);
    assert_int_equal(mesos_call(s, "{\"type\":\"NO\"}", &err), -EINVAL);
    assert_int_equal(mesos_call(s, "{", &err), -EINVAL);
    assert_non_null(strstr(err.text, "Not a call of a scheduler: "));
    assert_int_equal(mesos_call_protobuf(s, "\xff", 1, &err), -EINVAL);
    mesos_scheduler_free(s);
    mesos_scheduler_free(NULL);
}

static void test_an_executor_that_no_agent_started(void **state)
{
    (void)state;
    unsetenv("MESOS_FRAMEWORK_ID");
    struct mesos_executor_callbacks callbacks = {.size = sizeof(callbacks)};
    struct mesos_executor *x;
    struct mesos_error err;
    assert_int_equal(mesos_executor_new(&callbacks, NULL, &x, &err), -EINVAL);
    assert_string_equal(err.text, "Expecting 'MESOS_FRAMEWORK_ID' to be set in the environment");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_whole_messages),
        cmocka_unit_test(test_options_that_are_refused),
        cmocka_unit_test(test_calls_before_it_is_subscribed),
        cmocka_unit_test(test_an_executor_that_no_agent_started),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
