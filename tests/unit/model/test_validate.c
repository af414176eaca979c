// SPDX-License-Identifier: Apache-2.0
//
// Checks of messages: each row is a message as JSON and the text that refuses it (NULL: sound).

#include "unit.h"

#include <string.h>

#include "model/validate.h"
#include "wire/wire.h"

struct row {
    const char *json;
    const char *error;
};

typedef int validate_fn(const ProtobufCMessage *message, struct error *err);

static void check_rows(const ProtobufCMessageDescriptor *descriptor, validate_fn *validate,
                       const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct arena *arena = arena_new(0, 0);
        ProtobufCMessage *message;
        struct error err = {0};
        if (wire_json_decode(descriptor, arena, rows[i].json, strlen(rows[i].json), &message,
                             &err) != 0) {
            fail_msg("row %zu is no message: %s", i, err.text);
        }
        int r = validate(message, &err);
        if ((r == 0) != (rows[i].error == NULL)) {
            fail_msg("row %zu: %d '%s'", i, r, err.text);
        }
        if (r != 0) {
            assert_string_equal(err.text, rows[i].error);
        }
        arena_free(arena);
    }
}

// ---- ids and roles ----

static void test_ids(void **state)
{
    (void)state;
    char longest[257];
    memset(longest, 'a', 256);
    longest[255] = '\0';
    assert_int_equal(validate_id(longest, NULL), 0);
    longest[255] = 'a';
    longest[256] = '\0';
    struct error err;
    assert_true(validate_id(longest, &err) < 0);
    assert_string_equal(err.text, "ID must not be greater than 255 characters");
    const struct row rows[] = {
        {"a-1_b.c", NULL},
        {"with space", NULL},
        {"\xc3\xa4", NULL},
        {"", "ID must not be empty"},
        {".", "'.' is disallowed"},
        {"..", "'..' is disallowed"},
        {"...", NULL},
        {"a/b", "'a/b' contains invalid characters"},
        {"a\\b", "'a\\b' contains invalid characters"},
        {"a\nb", "'a\nb' contains invalid characters"},
        {"a\x7f", "'a\x7f' contains invalid characters"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        assert_int_equal(validate_id(rows[i].json, &err) == 0, rows[i].error == NULL);
        if (rows[i].error != NULL) {
            assert_string_equal(err.text, rows[i].error);
        }
    }
}

static void test_roles(void **state)
{
    (void)state;
    const struct row rows[] = {
        {"*", NULL},
        {"foo", NULL},
        {"foo/bar-1", NULL},
        {"...", NULL},
        {"", "Role names cannot be the empty string"},
        {"/", "Role '/' cannot start with a slash"},
        {"/a", "Role '/a' cannot start with a slash"},
        {"a/", "Role 'a/' cannot end with a slash"},
        {"a//b", "Role 'a//b' cannot contain two adjacent slashes"},
        {"a/./b", "Role 'a/./b' cannot include '.' as a component"},
        {"..", "Role '..' cannot include '..' as a component"},
        {"a/*", "Role 'a/*' cannot include '*' as a component"},
        {"a/-b", "Role component '-b' is invalid because it starts with a dash"},
        {"a/b c/d", "Role component 'b c' is invalid because it contains backspace or whitespace"},
        {"a/b\x7f",
         "Role component 'b\x7f' is invalid because it contains backspace or whitespace"},
        {"a b/c", "Role component 'a b' is invalid because it contains backspace or whitespace"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct error err;
        assert_int_equal(validate_role(rows[i].json, &err) == 0, rows[i].error == NULL);
        if (rows[i].error != NULL) {
            assert_string_equal(err.text, rows[i].error);
        }
    }
}

// ---- resources ----

static int check_resource(const ProtobufCMessage *message, struct error *err)
{
    return resources_validate((const Mesos__V1__Resource *)message, err);
}

#define CPUS "\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":1}"
#define DISK "\"name\":\"disk\",\"type\":\"SCALAR\",\"scalar\":{\"value\":1}"
#define DYNAMIC(role) "{\"type\":\"DYNAMIC\",\"role\":\"" role "\"}"
#define STATIC(role) "{\"type\":\"STATIC\",\"role\":\"" role "\"}"

static void test_resources(void **state)
{
    (void)state;
    const struct row rows[] = {
        {"{" CPUS "}", NULL},
        {"{\"name\":\"\",\"type\":\"SCALAR\",\"scalar\":{\"value\":1}}", "Empty resource name"},
        {"{\"name\":\"a\",\"type\":\"SCALAR\",\"scalar\":{\"value\":0}}", NULL},
        {"{\"name\":\"a\",\"type\":\"SCALAR\",\"scalar\":{\"value\":-1}}",
         "Invalid scalar resource: value <= 0"},
        {"{\"name\":\"a\",\"type\":\"SCALAR\",\"scalar\":{\"value\":0.0004}}",
         "Invalid scalar resource: value <= 0"},
        {"{\"name\":\"a\",\"type\":\"SCALAR\",\"scalar\":{\"value\":1e16}}",
         "Invalid scalar resource: value is too large"},
        {"{\"name\":\"a\",\"type\":\"SCALAR\"}", "Invalid scalar resource"},
        {"{\"name\":\"a\",\"type\":\"SCALAR\",\"scalar\":{\"value\":1},\"set\":{}}",
         "Invalid scalar resource"},
        {"{\"name\":\"a\",\"type\":\"RANGES\"}", "Invalid ranges resource"},
        {"{\"name\":\"a\",\"type\":\"RANGES\",\"ranges\":{\"range\":[{\"begin\":2,\"end\":1}]}}",
         "Invalid ranges resource: begin > end"},
        {"{\"name\":\"a\",\"type\":\"RANGES\",\"ranges\":{\"range\":[{\"begin\":4,\"end\":9},"
         "{\"begin\":1,\"end\":4}]}}",
         "Invalid ranges resource: overlapping ranges"},
        {"{\"name\":\"a\",\"type\":\"SET\"}", "Invalid set resource"},
        {"{\"name\":\"a\",\"type\":\"SET\",\"set\":{\"item\":[\"x\",\"y\",\"x\"]}}",
         "Invalid set resource: duplicated elements"},
        {"{\"name\":\"a\",\"type\":\"TEXT\"}", "Unsupported resource type"},
        {"{" CPUS ",\"disk\":{}}", "DiskInfo should not be set for cpus resource"},
        {"{" DISK ",\"disk\":{\"source\":{\"type\":\"RAW\",\"mount\":{}}}}",
         "Mount should not be set for RAW disk source"},
        {"{" DISK ",\"disk\":{\"source\":{\"type\":\"BLOCK\",\"path\":{}}}}",
         "Path should not be set for BLOCK disk source"},
        {"{" CPUS ",\"role\":\"a b\"}",
         "Role component 'a b' is invalid because it contains backspace or whitespace"},
        {"{" CPUS ",\"role\":\"a\",\"reservation\":{\"principal\":\"p\"}}", NULL},
        {"{" CPUS ",\"reservation\":{}}",
         "Invalid reservation: role \"*\" cannot be dynamically reserved"},
        {"{" CPUS ",\"role\":\"a\",\"reservation\":{\"role\":\"a\"}}",
         "'Resource.ReservationInfo.role' must not be set for the 'Resource.reservation' field"},
        {"{" CPUS ",\"reservations\":[" STATIC("a") "," DYNAMIC("a/b") "]}", NULL},
        {"{" CPUS ",\"reservations\":[" STATIC("a") "," STATIC("a/b") "]}",
         "Invalid refined reservation: A refined reservation cannot be STATIC"},
        {"{" CPUS ",\"reservations\":[" STATIC("a") "," DYNAMIC("ab") "]}",
         "Invalid refined reservation: role 'ab' is not a refinement of 'a'"},
        {"{" CPUS ",\"reservations\":[" STATIC("*") "]}",
         "Invalid reservation: role \"*\" cannot be reserved"},
        {"{" CPUS ",\"reservations\":[{\"role\":\"a\"}]}",
         "Invalid reservation: 'Resource.ReservationInfo.type' field must be set."},
        {"{" CPUS ",\"role\":\"b\",\"reservations\":[" STATIC("a") "]}",
         "Invalid resource format: 'Resource.role' field with 'b' does not match the role 'a' in "
         "'Resource.reservations'"},
        {"{" CPUS ",\"role\":\"a\",\"reservations\":[" DYNAMIC("a") "]}",
         "Invalid resource format: 'Resource.role' and 'Resource.reservation' must either be both "
         "set or both not set if the single reservation in 'Resource.reservations' is DYNAMIC"},
        {"{" CPUS ",\"role\":\"a\",\"reservations\":[" STATIC("a") "," DYNAMIC("a/b") "]}",
         "Invalid resource format: 'Resource.role' must not be set if there is more than one "
         "reservation in 'Resource.reservations'"},
        {"{" CPUS ",\"shared\":{}}", "Resource cpus cannot be shared"},
        {"{" DISK ",\"shared\":{}}", "Only persistent volumes can be shared"},
    };
    check_rows(&mesos__v1__resource__descriptor, check_resource, rows, ARRAY_COUNT(rows));
}

// ---- frameworks ----

static int check_framework(const ProtobufCMessage *message, struct error *err)
{
    return validate_framework_info((const Mesos__V1__FrameworkInfo *)message, err);
}

#define FRAMEWORK "\"user\":\"u\",\"name\":\"n\""
#define MULTI "\"capabilities\":[{\"type\":\"MULTI_ROLE\"}]"

static void test_frameworks(void **state)
{
    (void)state;
    const struct row rows[] = {
        {"{" FRAMEWORK "}", NULL},
        {"{" FRAMEWORK ",\"role\":\"a\",\"id\":{\"value\":\"\"}}", NULL},
        {"{" FRAMEWORK "," MULTI ",\"roles\":[\"a\",\"b\"]}", NULL},
        {"{" FRAMEWORK "," MULTI ",\"role\":\"a\"}",
         "'FrameworkInfo.role' must not be set when the framework is MULTI_ROLE capable"},
        {"{" FRAMEWORK ",\"roles\":[\"a\"]}",
         "'FrameworkInfo.roles' must not be set when the framework is not MULTI_ROLE capable"},
        {"{" FRAMEWORK "," MULTI ",\"roles\":[\"a\",\"b\",\"a\"]}",
         "'FrameworkInfo.roles' contains duplicate items: { a }"},
        {"{" FRAMEWORK "," MULTI ",\"roles\":[\"a\",\"/b\"]}",
         "'FrameworkInfo.roles' contains invalid role: Role '/b' cannot start with a slash"},
        {"{" FRAMEWORK ",\"role\":\"/a\"}",
         "'FrameworkInfo.role' is not a valid role: Role '/a' cannot start with a slash"},
        {"{" FRAMEWORK ",\"id\":{\"value\":\"a/b\"}}", "'a/b' contains invalid characters"},
        {"{" FRAMEWORK ",\"failover_timeout\":1e10}",
         "The framework failover_timeout (1e+10) is invalid"},
        {"{" FRAMEWORK ",\"failover_timeout\":604800}", NULL},
        {"{" FRAMEWORK ",\"offer_filters\":{\"*\":{\"min_allocatable_resources\":{\"quantities\":"
         "[{\"quantities\":{\"cpus\":{\"value\":-1}}}]}}}}",
         "Invalid resource quantity for 'cpus': Negative values not supported"},
        {"{" FRAMEWORK ",\"offer_filters\":{\"*\":{\"min_allocatable_resources\":{\"quantities\":"
         "[{}]}}}}",
         "Resource quantities must contain at least one quantity"},
    };
    check_rows(&mesos__v1__framework_info__descriptor, check_framework, rows, ARRAY_COUNT(rows));
}

static void test_framework_update(void **state)
{
    (void)state;
    Mesos__V1__FrameworkInfo before = MESOS__V1__FRAMEWORK_INFO__INIT;
    before.user = (char *)"u";
    Mesos__V1__FrameworkInfo after = before;
    struct error err;
    assert_int_equal(validate_framework_update(&before, &after, &err), 0);
    after.principal = (char *)"p";
    assert_true(validate_framework_update(&before, &after, &err) < 0);
    assert_string_equal(err.text, "Changing framework's principal is not allowed.");
    after = before;
    after.user = (char *)"v";
    assert_true(validate_framework_update(&before, &after, &err) < 0);
    assert_string_equal(err.text, "Updating 'FrameworkInfo.user' is unsupported; attempted to "
                                  "update from 'u' to 'v'");
    after = before;
    after.checkpoint = 1;
    assert_true(validate_framework_update(&before, &after, &err) < 0);
    char *suppressed[] = {(char *)"*", (char *)"x"};
    assert_int_equal(validate_suppressed_roles(&before, suppressed, 1, &err), 0);
    assert_true(validate_suppressed_roles(&before, suppressed, 2, &err) < 0);
    assert_string_equal(err.text, "Suppressed roles { x } are not contained in the set of roles");
}

// ---- calls ----

static int check_scheduler_call(const ProtobufCMessage *message, struct error *err)
{
    return validate_scheduler_call((const Mesos__V1__Scheduler__Call *)message, err);
}

#define ID "\"framework_id\":{\"value\":\"f\"}"
#define UUID "\"uuid\":\"AAAAAAAAQACAAAAAAAAAAA==\""

static void test_scheduler_calls(void **state)
{
    (void)state;
    const struct row rows[] = {
        {"{}", "Expecting 'type' to be present"},
        {"{\"type\":\"SUBSCRIBE\"}", "Expecting 'subscribe' to be present"},
        {"{\"type\":\"SUBSCRIBE\",\"subscribe\":{\"framework_info\":{" FRAMEWORK "}}}", NULL},
        {"{\"type\":\"SUBSCRIBE\"," ID ",\"subscribe\":{\"framework_info\":{" FRAMEWORK "}}}",
         "'framework_id' differs from 'subscribe.framework_info.id'"},
        {"{\"type\":\"SUBSCRIBE\"," ID ",\"subscribe\":{\"framework_info\":{" FRAMEWORK
         ",\"id\":{\"value\":\"f\"}}}}",
         NULL},
        {"{\"type\":\"REVIVE\"}", "Expecting 'framework_id' to be present"},
        {"{\"type\":\"REVIVE\"," ID "}", NULL},
        {"{\"type\":\"TEARDOWN\"," ID "}", NULL},
        {"{\"type\":\"ACCEPT\"," ID "}", "Expecting 'accept' to be present"},
        {"{\"type\":\"DECLINE\"," ID "}", "Expecting 'decline' to be present"},
        {"{\"type\":\"KILL\"," ID "}", "Expecting 'kill' to be present"},
        {"{\"type\":\"SHUTDOWN\"," ID "}", "Expecting 'shutdown' to be present"},
        {"{\"type\":\"RECONCILE\"," ID "}", "Expecting 'reconcile' to be present"},
        {"{\"type\":\"MESSAGE\"," ID "}", "Expecting 'message' to be present"},
        {"{\"type\":\"REQUEST\"," ID "}", "Expecting 'request' to be present"},
        {"{\"type\":\"ACCEPT_INVERSE_OFFERS\"," ID "}",
         "Expecting 'accept_inverse_offers' to be present"},
        {"{\"type\":\"ACKNOWLEDGE\"," ID "}", "Expecting 'acknowledge' to be present"},
        {"{\"type\":\"ACKNOWLEDGE\"," ID ",\"acknowledge\":{\"agent_id\":{\"value\":\"a\"},"
         "\"task_id\":{\"value\":\"t\"}," UUID "}}",
         NULL},
        {"{\"type\":\"ACKNOWLEDGE\"," ID ",\"acknowledge\":{\"agent_id\":{\"value\":\"a\"},"
         "\"task_id\":{\"value\":\"t\"},\"uuid\":\"AAAA\"}}",
         "Not a valid UUID"},
        {"{\"type\":\"ACKNOWLEDGE_OPERATION_STATUS\"," ID
         ",\"acknowledge_operation_status\":{\"operation_id\":{\"value\":\"o\"}," UUID "}}",
         "Expecting 'agent_id' to be present"},
        {"{\"type\":\"UPDATE_FRAMEWORK\"," ID
         ",\"update_framework\":{\"framework_info\":{" FRAMEWORK "}}}",
         "'framework_id' differs from 'update_framework.framework_info.id'"},
    };
    check_rows(&mesos__v1__scheduler__call__descriptor, check_scheduler_call, rows,
               ARRAY_COUNT(rows));
}

static int check_executor_call(const ProtobufCMessage *message, struct error *err)
{
    return validate_executor_call((const Mesos__V1__Executor__Call *)message, err);
}

#define EXECUTOR_IDS ID ",\"executor_id\":{\"value\":\"e\"}"
#define STATUS(rest)                                                                               \
    "{\"type\":\"UPDATE\"," EXECUTOR_IDS                                                           \
    ",\"update\":{\"status\":{\"task_id\":{\"value\":\"t\"}," rest "}}}"

static void test_executor_calls(void **state)
{
    (void)state;
    const struct row rows[] = {
        {"{" EXECUTOR_IDS "}", "Expecting 'type' to be present"},
        {"{\"type\":\"SUBSCRIBE\"," EXECUTOR_IDS "}", "Expecting 'subscribe' to be present"},
        {"{\"type\":\"SUBSCRIBE\"," EXECUTOR_IDS ",\"subscribe\":{}}", NULL},
        {"{\"type\":\"HEARTBEAT\"," EXECUTOR_IDS "}", NULL},
        {"{\"type\":\"MESSAGE\"," EXECUTOR_IDS "}", "Expecting 'message' to be present"},
        {"{\"type\":\"UPDATE\"," EXECUTOR_IDS "}", "Expecting 'update' to be present"},
        {STATUS("\"state\":\"TASK_RUNNING\""), "Expecting 'uuid' to be present"},
        {STATUS("\"state\":\"TASK_RUNNING\"," UUID),
         "Received Call from executor e of framework f with invalid source, expecting "
         "'SOURCE_EXECUTOR'"},
        {STATUS("\"state\":\"TASK_RUNNING\",\"source\":\"SOURCE_EXECUTOR\"," UUID), NULL},
        {STATUS("\"state\":\"TASK_STAGING\",\"source\":\"SOURCE_EXECUTOR\"," UUID),
         "Received TASK_STAGING from executor e of framework f which is not allowed"},
        {STATUS("\"state\":\"TASK_RUNNING\",\"source\":\"SOURCE_EXECUTOR\",\"executor_id\":"
                "{\"value\":\"x\"}," UUID),
         "ExecutorID in Call: e does not match ExecutorID in TaskStatus: x"},
        {STATUS("\"state\":\"TASK_RUNNING\",\"source\":\"SOURCE_EXECUTOR\",\"check_status\":"
                "{\"type\":\"TCP\"}," UUID),
         "Expecting 'tcp' to be set for TCP check's status"},
    };
    check_rows(&mesos__v1__executor__call__descriptor, check_executor_call, rows,
               ARRAY_COUNT(rows));
}

// ---- tasks ----

static int check_task(const ProtobufCMessage *message, struct error *err)
{
    AUTO_RESOURCES struct resources *resources = NULL;
    const Mesos__V1__TaskInfo *task = (const Mesos__V1__TaskInfo *)message;
    int r = validate_id(task->task_id->value, err);
    return r < 0 ? r : validate_task(task, &resources, err);
}

#define TASK_ID(id)                                                                                \
    "\"name\":\"t\",\"task_id\":{\"value\":\"" id "\"},\"agent_id\":{\"value\":\"a\"}"
#define RESOURCES "\"resources\":[{" CPUS "}]"
#define COMMAND "\"command\":{\"value\":\"true\"}"
#define TASK(rest) "{" TASK_ID("t") "," RESOURCES "," rest "}"
#define EXECUTOR(rest) "\"executor\":{\"executor_id\":{\"value\":\"e\"}" rest "}"

static void test_tasks(void **state)
{
    (void)state;
    const struct row rows[] = {
        {TASK(COMMAND), NULL},
        {TASK(EXECUTOR("," COMMAND)), NULL},
        {"{" TASK_ID("a/b") "," RESOURCES "," COMMAND "}", "'a/b' contains invalid characters"},
        {TASK(COMMAND ",\"kill_policy\":{\"grace_period\":{\"nanoseconds\":-1}}"),
         "Task's 'kill_policy.grace_period' must be non-negative"},
        {TASK(COMMAND ",\"max_completion_time\":{\"nanoseconds\":-1}"),
         "Task's `max_completion_time` must be non-negative"},
        {TASK(COMMAND ",\"check\":{}"), "Task uses invalid check: CheckInfo must specify 'type'"},
        {TASK(COMMAND ",\"health_check\":{\"type\":\"HTTP\",\"http\":{\"port\":1,\"path\":\"x\"}}"),
         "Task uses invalid health check: The path 'x' of HTTP health check must start with '/'"},
        {TASK(COMMAND ",\"health_check\":{\"type\":\"TCP\",\"tcp\":{\"port\":1},"
                      "\"interval_seconds\":-1}"),
         "Task uses invalid health check: Expecting 'interval_seconds' to be non-negative"},
        {TASK(COMMAND ",\"health_check\":{\"type\":\"COMMAND\",\"command\":{\"shell\":false}}"),
         "Task uses invalid health check: Command health check must contain 'executable path'"},
        {"{" TASK_ID("t") "," COMMAND "}", "Task uses no resources"},
        {"{" TASK_ID("t") "," COMMAND ",\"resources\":[{\"name\":\"cpus\",\"type\":\"SCALAR\","
                          "\"scalar\":{\"value\":-1}}]}",
         "Task uses invalid resources: Invalid resources: Resource 'cpus:-1' is invalid: Invalid "
         "scalar resource: value <= 0"},
        {"{" TASK_ID("t") "," COMMAND ",\"resources\":[{\"name\":\"gpus\",\"type\":\"SCALAR\","
                          "\"scalar\":{\"value\":0.5}}]}",
         "Task uses invalid resources: Invalid 'gpus' resource: The 'gpus' resource must be an "
         "unsigned integer"},
        {"{" TASK_ID("t") "," COMMAND ",\"resources\":[{" DISK ",\"disk\":{}}]}",
         "Task uses invalid resources: Invalid DiskInfo: DiskInfo is set but empty"},
        {"{" TASK_ID("t") "," COMMAND ",\"resources\":[{" DISK
                          ",\"disk\":{\"persistence\":{\"id\":\"v\"}}}]}",
         "Task uses invalid resources: Invalid DiskInfo: Persistent volumes cannot be created "
         "from unreserved resources"},
        {"{" TASK_ID("t") "," COMMAND ",\"resources\":[{" CPUS "},{" CPUS ",\"revocable\":{}}]}",
         "Task mixes revocable and non-revocable resources: Cannot use both revocable and "
         "non-revocable 'cpus' at the same time"},
        {TASK("\"command\":{\"environment\":{\"variables\":[{\"name\":\"A\"}]}}"),
         "Task's `CommandInfo` is invalid: Environment variable 'A' of type 'VALUE' must have a "
         "value set"},
        {TASK("\"command\":{\"environment\":{\"variables\":[{\"name\":\"A\",\"type\":\"SECRET\","
              "\"secret\":{\"type\":\"VALUE\",\"value\":{\"data\":\"YQBi\"}}}]}}"),
         "Task's `CommandInfo` is invalid: Environment variable 'A' specifies a secret containing "
         "null bytes, which is not allowed in the environment"},
        {TASK(COMMAND ",\"container\":{\"type\":\"DOCKER\"}"),
         "Task's `ContainerInfo` is invalid: DockerInfo 'docker' is not set for DOCKER typed "
         "ContainerInfo"},
        {TASK(COMMAND ",\"container\":{\"type\":\"MESOS\",\"volumes\":[{\"mode\":\"RW\","
                      "\"container_path\":\"p\"}]}"),
         "Task's `ContainerInfo` is invalid: Invalid volume: Only one of them should be set: "
         "'host_path', 'image' and 'source'"},
        {TASK(COMMAND ",\"limits\":{\"disk\":{\"value\":1}}"),
         "Only cpus and mem may be included in a task's resource limits"},
        {TASK(COMMAND ",\"limits\":{\"mem\":{\"value\":1}}"),
         "When a memory limit is specified, a memory request must also be specified"},
        {TASK(COMMAND ",\"limits\":{\"cpus\":{\"value\":0.5}}"),
         "The cpu limit must be greater than or equal to the cpu request"},
        {TASK(COMMAND ",\"limits\":{\"cpus\":{\"value\":2}}"), NULL},
        {"{" TASK_ID("t") "," RESOURCES "}",
         "Task should have at least one (but not both) of CommandInfo or ExecutorInfo present"},
        {TASK(COMMAND "," EXECUTOR("," COMMAND)),
         "Task should have at least one (but not both) of CommandInfo or ExecutorInfo present"},
        {TASK(EXECUTOR("")), "'ExecutorInfo.command' must be set"},
        {TASK(EXECUTOR(",\"type\":\"DEFAULT\"")), "'ExecutorInfo.type' must be 'CUSTOM'"},
        {TASK(EXECUTOR(",\"type\":\"DEFAULT\"," COMMAND)),
         "'ExecutorInfo.command' must not be set for 'DEFAULT' executor"},
        {TASK(EXECUTOR("," COMMAND ",\"shutdown_grace_period\":{\"nanoseconds\":-1}")),
         "ExecutorInfo's 'shutdown_grace_period' must be non-negative"},
        {TASK("\"executor\":{\"executor_id\":{\"value\":\"..\"}," COMMAND "}"),
         "'..' is disallowed"},
        {"{" TASK_ID("t") ",\"resources\":[{\"name\":\"p\",\"type\":\"RANGES\",\"ranges\":"
                          "{\"range\":[{\"begin\":1,\"end\":5}]}}]," EXECUTOR(
                              "," COMMAND ",\"resources\":[{\"name\":\"p\",\"type\":\"RANGES\","
                              "\"ranges\":{\"range\":[{\"begin\":5,\"end\":6}]}}]") "}",
         "There are overlapping resources in the task resources p:[1-5] and executor resources "
         "p:[5-6]"},
        {TASK(COMMAND ",\"container\":{\"type\":\"MESOS\",\"linux_info\":{\"share_cgroups\":"
                      "false}}"),
         "Only tasks in a task group may have 'share_cgroups' set to 'false'"},
    };
    check_rows(&mesos__v1__task_info__descriptor, check_task, rows, ARRAY_COUNT(rows));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_roles),
        cmocka_unit_test(test_resources),
        cmocka_unit_test(test_frameworks),
        cmocka_unit_test(test_framework_update),
        cmocka_unit_test(test_scheduler_calls),
        cmocka_unit_test(test_executor_calls),
        cmocka_unit_test(test_tasks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
