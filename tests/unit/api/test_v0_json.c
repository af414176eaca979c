// SPDX-License-Identifier: Apache-2.0
//
// The pieces of the v0 objects.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>

#include "api/v0_json.h"
#include "api/v0_texts.h"
#include "base/mem.h"
#include "wire/wire.h"

enum piece {
    RESOURCES,
    ATTRIBUTES,
    COMMAND,
    TASK,
    STATUS,
    EXECUTOR,
    OFFER,
    DOMAIN_INFO,
    MASTER,
    CAPABILITIES
};

static const ProtobufCMessageDescriptor *const descriptors[] = {
    [RESOURCES] = &mesos__v1__executor_info__descriptor, // its resources
    [ATTRIBUTES] = &mesos__v1__agent_info__descriptor,   // its attributes
    [COMMAND] = &mesos__v1__command_info__descriptor,
    [TASK] = &mesos__v1__task__descriptor,
    [STATUS] = &mesos__v1__task_status__descriptor,
    [EXECUTOR] = &mesos__v1__executor_info__descriptor,
    [OFFER] = &mesos__v1__offer__descriptor,
    [DOMAIN_INFO] = &mesos__v1__domain_info__descriptor,
    [MASTER] = &mesos__v1__master_info__descriptor,
    [CAPABILITIES] = &mesos__v1__framework_info__descriptor,
};

static void put(enum piece piece, const ProtobufCMessage *m, struct json_writer *w)
{
    switch (piece) {
    case RESOURCES: {
        const Mesos__V1__ExecutorInfo *info = (const Mesos__V1__ExecutorInfo *)m;
        v0_put_resource_messages(w, info->resources, info->n_resources);
        break;
    }
    case ATTRIBUTES: {
        const Mesos__V1__AgentInfo *info = (const Mesos__V1__AgentInfo *)m;
        v0_put_attributes(w, info->attributes, info->n_attributes);
        break;
    }
    case COMMAND:
        v0_put_command(w, (const Mesos__V1__CommandInfo *)m);
        break;
    case TASK:
        v0_put_task(w, (const Mesos__V1__Task *)m, NULL);
        break;
    case STATUS:
        v0_put_task_status(w, (const Mesos__V1__TaskStatus *)m);
        break;
    case EXECUTOR:
        json_object_open(w);
        v0_put_executor_members(w, (const Mesos__V1__ExecutorInfo *)m);
        json_object_close(w);
        break;
    case OFFER:
        v0_put_offer(w, (const Mesos__V1__Offer *)m);
        break;
    case DOMAIN_INFO:
        v0_put_domain(w, (const Mesos__V1__DomainInfo *)m);
        break;
    case MASTER:
        v0_put_master_info(w, (const Mesos__V1__MasterInfo *)m);
        break;
    case CAPABILITIES:
        v0_put_framework_capabilities(w, (const Mesos__V1__FrameworkInfo *)m);
        break;
    }
}

#define CPUS(value) "{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":" value "}}"
#define MEM(value) "{\"name\":\"mem\",\"type\":\"SCALAR\",\"scalar\":{\"value\":" value "}}"
#define IN_ROLE(name, value)                                                                       \
    "{\"name\":\"" name "\",\"type\":\"SCALAR\",\"scalar\":{\"value\":" value                      \
    "},\"allocation_info\":{\"role\":\"r\"}}"
#define EXECUTOR_OF(resources) "{\"executor_id\":{\"value\":\"e\"},\"resources\":[" resources "]}"
#define NONE "{\"cpus\":0.0,\"disk\":0.0,\"gpus\":0.0,\"mem\":0.0}"

static void test_pieces(void **state)
{
    (void)state;
    static const struct {
        enum piece piece;
        const char *message;
        const char *json;
    } rows[] = {
        {RESOURCES, EXECUTOR_OF(""), NONE},
        {RESOURCES, EXECUTOR_OF(CPUS("0.1") "," MEM("128")),
         "{\"cpus\":0.1,\"disk\":0.0,\"gpus\":0.0,\"mem\":128.0}"},
        {RESOURCES, EXECUTOR_OF(CPUS("0.1") "," CPUS("0.2")),
         "{\"cpus\":0.3,\"disk\":0.0,\"gpus\":0.0,\"mem\":0.0}"},
        {RESOURCES, EXECUTOR_OF(CPUS("12.345") "," MEM("0.05") "," CPUS("1")),
         "{\"cpus\":13.345,\"disk\":0.0,\"gpus\":0.0,\"mem\":0.05}"},
        {RESOURCES,
         EXECUTOR_OF(CPUS("1") ",{\"name\":\"ports\",\"type\":\"RANGES\",\"ranges\":{\"range\":[{"
                               "\"begin\":31010,\"end\":31011},{\"begin\":31000,\"end\":31000},{"
                               "\"begin\":31001,\"end\":31002}]}}"),
         "{\"cpus\":1.0,\"disk\":0.0,\"gpus\":0.0,\"mem\":0.0,\"ports\":\"[31000-31002, "
         "31010-31011]\"}"},
        {RESOURCES,
         EXECUTOR_OF(
             "{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":2},\"revocable\":"
             "{}},{\"name\":\"widgets\",\"type\":\"SCALAR\",\"scalar\":{\"value\":3}}"),
         "{\"cpus\":0.0,\"disk\":0.0,\"gpus\":0.0,\"mem\":0.0,\"cpus_revocable\":2.0,\"widgets\":"
         "3.0}"},
        {ATTRIBUTES,
         "{\"hostname\":\"h\",\"attributes\":[{\"name\":\"level\",\"type\":\"SCALAR\",\"scalar\":{"
         "\"value\":10}},{\"name\":\"rack\",\"type\":\"TEXT\",\"text\":{\"value\":\"a\\\"b\"}},{"
         "\"name\":\"p\",\"type\":\"RANGES\",\"ranges\":{\"range\":[{\"begin\":1,\"end\":2},{"
         "\"begin\":5,\"end\":6}]}},{\"name\":\"s\",\"type\":\"SET\",\"set\":{\"item\":[\"a\","
         "\"b\"]}}]}",
         "{\"level\":10.0,\"rack\":\"a\\\"b\",\"p\":\"[1-2, 5-6]\",\"s\":\"{a, b}\"}"},
        {COMMAND, "{}", "{\"argv\":[],\"uris\":[]}"},
        {COMMAND,
         "{\"shell\":false,\"value\":\"/bin/ls\",\"arguments\":[\"ls\",\"-l\"],\"environment\":{"
         "\"variables\":[{\"name\":\"A\",\"value\":\"1\"}]},\"uris\":[{\"value\":\"u\","
         "\"executable\":true},{\"value\":\"v\"}]}",
         "{\"shell\":false,\"value\":\"/bin/ls\",\"argv\":[\"ls\",\"-l\"],\"environment\":{"
         "\"variables\":[{\"name\":\"A\",\"value\":\"1\",\"type\":\"VALUE\"}]},\"uris\":[{"
         "\"value\":"
         "\"u\",\"executable\":true},{\"value\":\"v\",\"executable\":false}]}"},
        {STATUS, "{\"state\":\"TASK_LOST\"}", "{\"state\":\"TASK_LOST\",\"timestamp\":0.0}"},
        {STATUS,
         "{\"state\":\"TASK_RUNNING\",\"timestamp\":1.5,\"healthy\":true,\"labels\":{\"labels\":[{"
         "\"key\":\"k\",\"value\":\"v\"}]},\"container_status\":{\"container_id\":{\"value\":\"c\"}"
         ","
         "\"executor_pid\":7,\"network_infos\":[{\"ip_addresses\":[{\"ip_address\":\"1.2.3.4\"}],"
         "\"name\":\"n\"}]}}",
         "{\"state\":\"TASK_RUNNING\",\"timestamp\":1.5,\"labels\":[{\"key\":\"k\",\"value\":\"v\"}"
         "],"
         "\"container_status\":{\"container_id\":{\"value\":\"c\"},\"network_infos\":[{"
         "\"ip_addresses\":[{\"protocol\":\"IPv4\",\"ip_address\":\"1.2.3.4\"}],\"name\":\"n\"}]},"
         "\"healthy\":true}"},
        {TASK,
         "{\"name\":\"n\",\"task_id\":{\"value\":\"t\"},\"framework_id\":{\"value\":\"f\"},"
         "\"agent_id\":{\"value\":\"a\"},\"state\":\"TASK_STAGING\"}",
         "{\"id\":\"t\",\"name\":\"n\",\"framework_id\":\"f\",\"executor_id\":\"\",\"slave_id\":"
         "\"a\",\"state\":\"TASK_STAGING\",\"resources\":" NONE ",\"role\":\"\",\"statuses\":[]}"},
        {TASK,
         "{\"name\":\"n\",\"task_id\":{\"value\":\"t\"},\"framework_id\":{\"value\":\"f\"},"
         "\"agent_id\":{\"value\":\"a\"},\"executor_id\":{\"value\":\"e\"},\"state\":"
         "\"TASK_FINISHED\",\"user\":\"u\",\"resources\":[" IN_ROLE(
             "mem",
             "1") "],\"limits\":{"
                  "\"mem\":{\"value\":2}},\"statuses\":[{\"task_id\":{\"value\":\"t\"},\"state\":"
                  "\"TASK_FINISHED\",\"timestamp\":2}],\"discovery\":{\"visibility\":\"CLUSTER\"}}",
         "{\"id\":\"t\",\"name\":\"n\",\"framework_id\":\"f\",\"executor_id\":\"e\",\"slave_id\":"
         "\"a\",\"state\":\"TASK_FINISHED\",\"resources\":{\"cpus\":0.0,\"disk\":0.0,\"gpus\":0.0,"
         "\"mem\":1.0},\"limits\":{\"mem\":2.0},\"role\":\"r\",\"statuses\":[{\"state\":"
         "\"TASK_FINISHED\",\"timestamp\":2.0}],\"user\":\"u\",\"discovery\":{\"visibility\":"
         "\"CLUSTER\"}}"},
        {EXECUTOR, "{\"executor_id\":{\"value\":\"e\"}}",
         "{\"executor_id\":\"e\",\"name\":\"\",\"framework_id\":\"\",\"command\":{},"
         "\"resources\":" NONE "}"},
        {EXECUTOR,
         "{\"executor_id\":{\"value\":\"e\"},\"type\":\"CUSTOM\",\"framework_id\":{\"value\":\"f\"}"
         ","
         "\"name\":\"n\",\"command\":{\"value\":\"x\"},\"resources\":[" IN_ROLE("cpus", "1") "]}",
         "{\"executor_id\":\"e\",\"name\":\"n\",\"framework_id\":\"f\",\"command\":{\"value\":"
         "\"x\","
         "\"argv\":[],\"uris\":[]},\"resources\":{\"cpus\":1.0,\"disk\":0.0,\"gpus\":0.0,\"mem\":"
         "0.0},\"role\":\"r\",\"type\":\"CUSTOM\"}"},
        {OFFER,
         "{\"id\":{\"value\":\"o\"},\"framework_id\":{\"value\":\"f\"},\"agent_id\":{\"value\":"
         "\"a\"}"
         ",\"hostname\":\"h\",\"allocation_info\":{\"role\":\"r\"}}",
         "{\"id\":\"o\",\"framework_id\":\"f\",\"allocation_info\":{\"role\":\"r\"},\"slave_id\":"
         "\"a\",\"resources\":" NONE "}"},
        {DOMAIN_INFO, "{}", "{}"},
        {DOMAIN_INFO, "{\"fault_domain\":{\"region\":{\"name\":\"r\"},\"zone\":{\"name\":\"z\"}}}",
         "{\"fault_domain\":{\"region\":{\"name\":\"r\"},\"zone\":{\"name\":\"z\"}}}"},
        {MASTER,
         "{\"id\":\"m\",\"ip\":1,\"port\":5050,\"pid\":\"master@1.2.3.4:5050\",\"hostname\":\"h\"}",
         "{\"id\":\"m\",\"pid\":\"master@1.2.3.4:5050\",\"port\":5050,\"hostname\":\"h\"}"},
        {CAPABILITIES,
         "{\"user\":\"u\",\"name\":\"n\",\"capabilities\":[{\"type\":\"MULTI_ROLE\"},{},{\"type\":"
         "\"PARTITION_AWARE\"}]}",
         "[\"MULTI_ROLE\",\"PARTITION_AWARE\"]"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        AUTO_ARENA struct arena *arena = arena_new(0, 0);
        AUTO_BUF struct buf out = BUF_INIT;
        ProtobufCMessage *m;
        struct error err = {0};
        // A status within a task needs its task's id; the rows leave it out.
        AUTO_FREE char *text =
            rows[i].piece == STATUS
                ? mem_printf("{\"task_id\":{\"value\":\"t\"},%s", rows[i].message + 1)
                : mem_strdup(rows[i].message);
        if (wire_json_decode(descriptors[rows[i].piece], arena, text, strlen(text), &m, &err) !=
            0) {
            fail_msg("%s: %s", text, err.text);
        }
        struct json_writer w;
        json_begin(&w, &out);
        put(rows[i].piece, m, &w);
        assert_string_equal(out.data, rows[i].json);
    }
}

static void test_resources(void **state)
{
    (void)state;
    AUTO_RESOURCES struct resources *r = NULL;
    struct error err;
    assert_int_equal(
        resources_parse("cpus:4;mem:1024;ports:[31000-32000];cpus(role):2", "*", &r, &err), 0);
    AUTO_BUF struct buf out = BUF_INIT;
    struct json_writer w;
    json_begin(&w, &out);
    v0_put_resources(&w, r);
    assert_string_equal(out.data, "{\"cpus\":6.0,\"disk\":0.0,\"gpus\":0.0,\"mem\":1024.0,"
                                  "\"ports\":\"[31000-32000]\"}");
    buf_clear(&out);
    json_begin(&w, &out);
    v0_put_resources(&w, NULL);
    assert_string_equal(out.data, NONE);
    buf_clear(&out);
    json_begin(&w, &out);
    AUTO_RESOURCES struct resources *reserved = resources_reserved(r, "role");
    v0_put_resources_full(&w, reserved);
    assert_string_equal(out.data,
                        "[{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":2.0},"
                        "\"role\":\"role\",\"reservations\":[{\"role\":\"role\",\"type\":"
                        "\"STATIC\"}]}]");
}

// A plain task is written as v0_put_task writes it, or not at all.
static void test_plain_tasks(void **state)
{
    (void)state;
    static const struct {
        const char *message; // a Task
        const char *resources;
        bool is_plain;
    } rows[] = {
        {"\"state\":\"TASK_STAGING\"", "cpus:1;mem:128", true},
        {"\"state\":\"TASK_RUNNING\",\"executor_id\":{\"value\":\"e\"},\"statuses\":[{\"task_id\":"
         "{\"value\":\"t\"},\"state\":\"TASK_STARTING\",\"timestamp\":1700000000.25},{\"task_id\":"
         "{\"value\":\"t\"},\"state\":\"TASK_RUNNING\",\"timestamp\":1700000000.1234567,"
         "\"healthy\":"
         "true}]",
         "cpus:0.125;mem:1000000000.5;disk:7;gpus:2", true},
        {"\"state\":\"TASK_LOST\",\"statuses\":[{\"task_id\":{\"value\":\"t\"},\"state\":"
         "\"TASK_LOST\",\"healthy\":false}]",
         "", true},
        {"\"state\":\"TASK_RUNNING\"", "cpus:1;ports:[1-2]", true},
        {"\"state\":\"TASK_RUNNING\",\"executor_id\":{\"value\":\"\\u00e9\"}", "cpus:1", false},
    };
    struct v0_texts *texts = v0_texts_new();
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        AUTO_ARENA struct arena *arena = arena_new(0, 0);
        AUTO_RESOURCES struct resources *resources = NULL;
        assert_int_equal(resources_parse(rows[i].resources, "*", &resources, NULL), 0);
        resources_allocate(resources, "role");
        AUTO_FREE char *text = mem_printf("{\"name\":\"n\",\"task_id\":{\"value\":\"t-%zu\"},"
                                          "\"framework_id\":{\"value\":\"f\"},\"agent_id\":"
                                          "{\"value\":\"a\"},%s}",
                                          i, rows[i].message);
        ProtobufCMessage *m;
        struct error err;
        if (wire_json_decode(&mesos__v1__task__descriptor, arena, text, strlen(text), &m, &err) !=
            0)
            fail_msg("%s: %s", text, err.text);
        const Mesos__V1__Task *task = (const Mesos__V1__Task *)m;
        struct v0_plain_status statuses[4] = {0};
        for (size_t k = 0; k < task->n_statuses; k++)
            statuses[k] = (struct v0_plain_status){
                .state = task->statuses[k]->state,
                .timestamp = task->statuses[k]->timestamp,
                .has_healthy = task->statuses[k]->has_healthy,
                .healthy = task->statuses[k]->healthy,
            };
        const char *role = resources_role(resources);
        const struct v0_plain_task plain = {
            .id = task->task_id->value,
            .name = task->name,
            .framework_id = task->framework_id->value,
            .executor_id = task->executor_id != NULL ? task->executor_id->value : "",
            .agent_id = task->agent_id->value,
            .role = role != NULL ? role : "",
            .state = task->state,
            .resources = v0_texts_resources(texts, resources),
            .statuses = statuses,
            .status_count = task->n_statuses,
        };
        AUTO_BUF struct buf expected = BUF_INIT, found = BUF_INIT;
        struct json_writer w;
        json_begin(&w, &expected);
        json_array_open(&w);
        v0_put_task(&w, task, resources);
        v0_put_task(&w, task, resources);
        json_begin(&w, &found);
        json_array_open(&w);
        assert_int_equal(v0_put_plain_task(&w, &plain), rows[i].is_plain);
        if (!rows[i].is_plain) {
            assert_string_equal(found.data, "[");
            continue;
        }
        assert_true(v0_put_plain_task(&w, &plain));
        assert_string_equal(found.data, expected.data);
    }
    v0_texts_free(texts);
}

// Whatever was remembered before, the texts are those of these resources.
static void test_remembered_texts(void **state)
{
    (void)state;
    static const char *const forms[] = {
        "cpus:%d;mem:128",       "mem:128;cpus:%d",     "cpus:%d;mem:128;ports:[1-2]",
        "cpus:%d;ports:[1-3]",   "cpus(role):%d",       "cpus:%d;names:{a,b}",
        "cpus:%d;names:{a,b,c}", "cpus:0.5;widgets:%d", "",
    };
    struct v0_texts *texts = v0_texts_new();
    for (int round = 0; round < 2; round++) {
        // More of them than there are places, and each twice.
        for (int i = 0; i < 50 * (int)ARRAY_COUNT(forms); i++) {
            AUTO_RESOURCES struct resources *r = NULL;
            AUTO_BUF struct buf text = BUF_INIT, expected = BUF_INIT, full = BUF_INIT;
            const char *form = forms[i % (int)ARRAY_COUNT(forms)];
            const char *amount = strchr(form, '%');
            if (amount != NULL)
                buf_append(&text, form, (size_t)(amount - form));
            if (amount != NULL)
                buf_put_i64(&text, i / (int)ARRAY_COUNT(forms) + 1);
            buf_puts(&text, amount != NULL ? amount + 2 : form);
            assert_int_equal(resources_parse(text.data != NULL ? text.data : "", "*", &r, NULL), 0);
            if (i % 4 == 0)
                resources_allocate(r, i % 8 == 0 ? "role" : "other");
            struct json_writer w;
            json_begin(&w, &expected);
            v0_put_resources(&w, r);
            json_begin(&w, &full);
            v0_put_resources_full(&w, r);
            for (int again = 0; again < 2; again++) {
                assert_string_equal(v0_texts_resources(texts, r)->data, expected.data);
                assert_string_equal(v0_texts_resources_full(texts, r)->data, full.data);
            }
        }
    }
    v0_texts_free(texts);
}

// Simple resources in full are written as their messages are.
static void test_simple_resources(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_simple;
    } rows[] = {
        {"", true},
        {"cpus:4;mem:1024.125;ports:[1-2, 31000-32000];names:{a,b\"}", true},
        {"cpus:4;cpus(role):2", false},
    };
    for (size_t i = 0; i < 2 * ARRAY_COUNT(rows); i++) {
        AUTO_ARENA struct arena *arena = arena_new(0, 0);
        AUTO_RESOURCES struct resources *r = NULL;
        assert_int_equal(resources_parse(rows[i / 2].text, "*", &r, NULL), 0);
        if (i % 2 == 1)
            resources_allocate(r, "role");
        Mesos__V1__Resource **messages;
        size_t count = resources_to_proto(r, arena, RESOURCES_ENDPOINT_FORM, true, &messages);
        AUTO_BUF struct buf expected = BUF_INIT, found = BUF_INIT;
        struct json_writer w;
        json_begin(&w, &expected);
        json_array_open(&w);
        for (size_t k = 0; k < count; k++)
            wire_json_put(&w, &messages[k]->base);
        json_array_close(&w);
        json_begin(&w, &found);
        assert_int_equal(resources_put_simple_json(r, &w), rows[i / 2].is_simple);
        assert_int_equal(resources_are_simple(r), rows[i / 2].is_simple);
        if (rows[i / 2].is_simple)
            assert_string_equal(found.data, expected.data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces),           cmocka_unit_test(test_resources),
        cmocka_unit_test(test_plain_tasks),      cmocka_unit_test(test_remembered_texts),
        cmocka_unit_test(test_simple_resources),
    };
    return cmocka_run_group_tests_name("v0_json", tests, NULL, NULL);
}
