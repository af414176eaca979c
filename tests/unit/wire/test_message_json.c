// SPDX-License-Identifier: Apache-2.0
//
// Messages in Mesos' JSON dialect, both ways.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "proto/agent.pb-c.h"
#include "proto/executor.pb-c.h"
#include "proto/master.pb-c.h"
#include "proto/mesos.pb-c.h"
#include "proto/quota.pb-c.h"
#include "proto/scheduler.pb-c.h"
#include "wire/wire.h"

#define CALL &mesos__v1__scheduler__call__descriptor
#define EVENT &mesos__v1__scheduler__event__descriptor
#define FRAMEWORK &mesos__v1__framework_info__descriptor
#define RESOURCE &mesos__v1__resource__descriptor
#define COMMAND &mesos__v1__command_info__descriptor
#define HEALTH &mesos__v1__health_check__descriptor
#define OPERATIONS &mesos__v1__scheduler__call__accept__descriptor
#define QUOTA &mesos__v1__quota__quota_config__descriptor
#define MASTER &mesos__v1__master_info__descriptor
#define CONSTRAINT &mesos__v1__scheduler__attribute_constraint__descriptor
#define OFFER_CONSTRAINTS &mesos__v1__scheduler__offer_constraints__descriptor
#define VALUE &mesos__v1__value__descriptor
#define SCALAR &mesos__v1__value__scalar__descriptor
#define RANGE &mesos__v1__value__range__descriptor
#define TASK_INFO &mesos__v1__task_info__descriptor

static int decode(const ProtobufCMessageDescriptor *d, struct arena *arena, const char *text,
                  ProtobufCMessage **ret, struct error *err)
{
    return wire_json_decode(d, arena, text, strlen(text), ret, err);
}

// Decodes `in` and encodes what came out: the same text, unless `out` says otherwise.
struct good_row {
    const ProtobufCMessageDescriptor *descriptor;
    const char *in;
    const char *out;
};

static void check_good(const struct good_row *row)
{
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    AUTO_BUF struct buf out = BUF_INIT;
    ProtobufCMessage *m;
    struct error err = {0};
    if (decode(row->descriptor, arena, row->in, &m, &err) != 0) {
        fail_msg("%s: %s", row->in, err.text);
    }
    wire_json_encode(m, &out);
    assert_string_equal(out.data, row->out == NULL ? row->in : row->out);

    // What was written reads back as the same; so do the protobuf bytes and a copy.
    ProtobufCMessage *again;
    if (decode(row->descriptor, arena, out.data, &again, &err) != 0) {
        fail_msg("%s: %s", out.data, err.text);
    }
    AUTO_BUF struct buf out2 = BUF_INIT;
    wire_json_encode(again, &out2);
    assert_string_equal(out2.data, out.data);
    AUTO_BUF struct buf bytes = BUF_INIT;
    wire_encode(m, &bytes);
    ProtobufCMessage *third;
    if (wire_decode(row->descriptor, arena, bytes.data, bytes.size, &third, &err) != 0) {
        fail_msg("%s: %s", out.data, err.text);
    }
    assert_true(wire_is_equal(m, third));
    ProtobufCMessage *copy = wire_copy(arena, m);
    assert_true(wire_is_equal(m, copy));
    AUTO_BUF struct buf copied = BUF_INIT;
    wire_encode(copy, &copied);
    assert_int_equal(copied.size, bytes.size);
    assert_memory_equal(copied.data == NULL ? "" : copied.data,
                        bytes.data == NULL ? "" : bytes.data, bytes.size);
}

static void test_both_ways(void **state)
{
    (void)state;
    static const struct good_row rows[] = {
        {CALL, "{}", NULL},
        {CALL, "{\"framework_id\":{\"value\":\"f\"},\"type\":\"REVIVE\"}", NULL},
        // White space, and keys in any order: written in the order of the fields' numbers.
        {CALL, " {\n\t\"type\" : \"REVIVE\" ,\r\n \"framework_id\":{ \"value\":\"f\" } } ",
         "{\"framework_id\":{\"value\":\"f\"},\"type\":\"REVIVE\"}"},
        // Defaults are written though unset, unless deprecated (role).
        {FRAMEWORK, "{\"user\":\"u\",\"name\":\"n\"}",
         "{\"user\":\"u\",\"name\":\"n\",\"failover_timeout\":0.0,\"checkpoint\":false}"},
        {FRAMEWORK,
         "{\"user\":\"u\",\"name\":\"n\",\"failover_timeout\":604800.0,\"checkpoint\":true,"
         "\"role\":\"*\"}",
         NULL},
        {COMMAND, "{\"value\":\"ls\"}", "{\"value\":\"ls\",\"shell\":true}"},
        {COMMAND, "{\"uris\":[{\"value\":\"u\"}]}",
         "{\"uris\":[{\"value\":\"u\",\"extract\":true}],\"shell\":true}"},
        {HEALTH, "{}",
         "{\"delay_seconds\":15.0,\"interval_seconds\":10.0,\"timeout_seconds\":20.0,"
         "\"consecutive_failures\":3,\"grace_period_seconds\":10.0}"},
        {HEALTH, "{\"http\":{\"port\":80,\"statuses\":[200,302]},\"type\":\"HTTP\"}",
         "{\"http\":{\"port\":80,\"statuses\":[200,302],\"protocol\":\"IPv4\"},"
         "\"delay_seconds\":15.0,\"interval_seconds\":10.0,\"timeout_seconds\":20.0,"
         "\"consecutive_failures\":3,\"grace_period_seconds\":10.0,\"type\":\"HTTP\"}"},
        // Empty lists are left out; null and unknown keys count for nothing.
        {FRAMEWORK,
         "{\"user\":\"u\",\"name\":\"n\",\"roles\":[],\"labels\":null,\"capabilities\":null,"
         "\"nothing\":[{\"x\":[1,2,{\"y\":null}]}],\"checkpoint\":null}",
         "{\"user\":\"u\",\"name\":\"n\",\"failover_timeout\":0.0,\"checkpoint\":false}"},
        // camelCase is an unknown key.
        {CALL, "{\"frameworkId\":{\"value\":\"f\"},\"type\":\"REVIVE\"}", "{\"type\":\"REVIVE\"}"},
        // One value for a list; lists in lists are flattened; null elements are skipped.
        {FRAMEWORK, "{\"user\":\"u\",\"name\":\"n\",\"roles\":\"x\"}",
         "{\"user\":\"u\",\"name\":\"n\",\"failover_timeout\":0.0,\"checkpoint\":false,"
         "\"roles\":[\"x\"]}"},
        {FRAMEWORK, "{\"user\":\"u\",\"name\":\"n\",\"capabilities\":{\"type\":\"MULTI_ROLE\"}}",
         "{\"user\":\"u\",\"name\":\"n\",\"failover_timeout\":0.0,\"checkpoint\":false,"
         "\"capabilities\":[{\"type\":\"MULTI_ROLE\"}]}"},
        {FRAMEWORK, "{\"user\":\"u\",\"name\":\"n\",\"roles\":[[\"a\",[\"b\"]],null,\"c\"]}",
         "{\"user\":\"u\",\"name\":\"n\",\"failover_timeout\":0.0,\"checkpoint\":false,"
         "\"roles\":[\"a\",\"b\",\"c\"]}"},
        // Numbers and booleans as strings.
        {RANGE, "{\"begin\":\"31000\",\"end\":\" 32000 \"}", "{\"begin\":31000,\"end\":32000}"},
        {SCALAR, "{\"value\":\"1.5\"}", "{\"value\":1.5}"},
        {SCALAR, "{\"value\":\"Infinity\"}", NULL},
        {SCALAR, "{\"value\":\"-Infinity\"}", NULL},
        {COMMAND, "{\"shell\":\"false\"}", "{\"shell\":false}"},
        {COMMAND, "{\"shell\":\" true \"}", "{\"shell\":true}"},
        // Numbers: whole, negative, large, with fractions where whole ones are meant (cut off).
        {RANGE, "{\"begin\":0,\"end\":18446744073709551615}", NULL},
        {RANGE, "{\"begin\":9007199254740993,\"end\":9223372036854775808}", NULL},
        {RANGE, "{\"begin\":1.9,\"end\":2e3}", "{\"begin\":1,\"end\":2000}"},
        {SCALAR, "{\"value\":4}", "{\"value\":4.0}"},
        {SCALAR, "{\"value\":-0.001}", NULL},
        {SCALAR, "{\"value\":0.30000000000000004}", NULL},
        {SCALAR, "{\"value\":1234567890.123456789}", "{\"value\":1234567890.1234567}"},
        // Unknown enum values of optional fields count as unset, in lists as absent.
        {CALL, "{\"type\":\"NO_SUCH_CALL\"}", "{}"},
        {CALL, "{\"type\":\"\"}", "{}"},
        {CALL, "{\"type\":\"REVIVE\\u0000\"}", "{}"},
        {FRAMEWORK, "{\"user\":\"u\",\"name\":\"n\",\"capabilities\":[{\"type\":\"NEW_ONE\"}]}",
         "{\"user\":\"u\",\"name\":\"n\",\"failover_timeout\":0.0,\"checkpoint\":false,"
         "\"capabilities\":[{}]}"},
        // Bytes.
        {TASK_INFO,
         "{\"name\":\"n\",\"task_id\":{\"value\":\"t\"},\"agent_id\":{\"value\":\"a\"},"
         "\"data\":\"aGVsbG8=\"}",
         NULL},
        {TASK_INFO,
         "{\"name\":\"n\",\"task_id\":{\"value\":\"t\"},\"agent_id\":{\"value\":\"a\"},"
         "\"data\":\"\"}",
         NULL},
        // Escapes in keys and values; output is plain ASCII.
        {COMMAND, "{\"v\\u0061lue\":\"\\u00e9 \xc3\xa9 \\ud83d\\ude00 \\\"\\\\\\/\\n\"}",
         "{\"value\":\"\\u00e9 \\u00e9 \\ud83d\\ude00 \\\"\\\\/\\n\",\"shell\":true}"},
        // The last of two equal keys counts, also when it is null, and lists are not joined.
        {COMMAND, "{\"value\":\"a\",\"value\":\"b\",\"shell\":false,\"shell\":null}",
         "{\"value\":\"b\",\"shell\":true}"},
        {COMMAND, "{\"arguments\":[\"a\"],\"arguments\":[\"b\",\"c\"],\"shell\":true}",
         "{\"shell\":true,\"arguments\":[\"b\",\"c\"]}"},
        {CALL, "{\"framework_id\":{\"value\":\"a\"},\"framework_id\":null}", "{}"},
        // Maps.
        {QUOTA,
         "{\"role\":\"r\",\"guarantees\":{\"cpus\":{\"value\":1.0},\"mem\":{\"value\":2.0}}}",
         NULL},
        {QUOTA, "{\"role\":\"r\",\"guarantees\":{}}", "{\"role\":\"r\"}"},
        {QUOTA, "{\"role\":\"r\",\"limits\":{\"cpus\":{\"value\":1},\"cpus\":{\"value\":\"3\"}}}",
         "{\"role\":\"r\",\"limits\":{\"cpus\":{\"value\":3.0}}}"},
        {QUOTA, "{\"role\":\"r\",\"limits\":{\"\":{\"value\":1.0},\"a\\\"b\":{\"value\":2.0}}}",
         NULL},
        // A oneof: the last one set counts.
        {CONSTRAINT, "{\"selector\":{\"attribute_name\":\"a\"},\"predicate\":{\"exists\":{}}}",
         NULL},
        {CONSTRAINT,
         "{\"selector\":{\"pseudoattribute_type\":\"UNKNOWN\"},"
         "\"predicate\":{\"text_equals\":{\"value\":\"v\"}}}",
         NULL},
        {CONSTRAINT,
         "{\"selector\":{\"attribute_name\":\"a\",\"pseudoattribute_type\":\"ZONE\"},"
         "\"predicate\":{\"text_equals\":{\"value\":\"v\"},\"exists\":{},\"not_exists\":null}}",
         "{\"selector\":{\"pseudoattribute_type\":\"ZONE\"},\"predicate\":{\"exists\":{}}}"},
        {CONSTRAINT,
         "{\"selector\":{\"attribute_name\":\"a\",\"attribute_name\":null},"
         "\"predicate\":{\"exists\":{}}}",
         "{\"selector\":{},\"predicate\":{\"exists\":{}}}"},
        {OFFER_CONSTRAINTS, "{\"role_constraints\":{\"r\":null}}",
         "{\"role_constraints\":{\"r\":{}}}"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        check_good(&rows[i]);
    }
}

static void test_whole_messages(void **state)
{
    (void)state;
    static const struct good_row rows[] = {
        {CALL,
         "{\"framework_id\":{\"value\":\"f-1\"},\"type\":\"ACCEPT\",\"accept\":{\"offer_ids\":[{"
         "\"value\":\"o-1\"}],\"operations\":[{\"type\":\"LAUNCH\",\"launch\":{\"task_infos\":[{"
         "\"name\":\"t\",\"task_id\":{\"value\":\"t-1\"},\"agent_id\":{\"value\":\"a-1\"},"
         "\"resources\":[{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":0.1}},{"
         "\"name\":\"ports\",\"type\":\"RANGES\",\"ranges\":{\"range\":[{\"begin\":31000,\"end\":"
         "31001}]}}],\"command\":{\"value\":\"echo HelloWorld\",\"shell\":true}}]}}],"
         "\"filters\":{\"refuse_seconds\":1.0}}}",
         NULL},
        {EVENT,
         "{\"type\":\"UPDATE\",\"update\":{\"status\":{\"task_id\":{\"value\":\"t\"},\"state\":"
         "\"TASK_RUNNING\",\"agent_id\":{\"value\":\"a\"},\"timestamp\":1700000000.25,"
         "\"executor_id\":{\"value\":\"t\"},\"source\":\"SOURCE_EXECUTOR\",\"uuid\":"
         "\"AAECAwQFBgcICQoLDA0ODw==\",\"container_status\":{\"network_infos\":[{"
         "\"ip_addresses\":[{\"protocol\":\"IPv4\",\"ip_address\":\"10.0.0.1\"}]}],"
         "\"container_id\":{\"value\":\"c\"}}}}}",
         NULL},
        {&mesos__v1__executor__call__descriptor,
         "{\"executor_id\":{\"value\":\"e\"},\"framework_id\":{\"value\":\"f\"},\"type\":"
         "\"MESSAGE\",\"message\":{\"data\":\"AA==\"}}",
         NULL},
        {&mesos__v1__master__call__descriptor,
         "{\"type\":\"SET_LOGGING_LEVEL\",\"set_logging_level\":{\"level\":1,\"duration\":{"
         "\"nanoseconds\":-60000000000}}}",
         NULL},
        {&mesos__v1__agent__call__descriptor,
         "{\"type\":\"READ_FILE\",\"read_file\":{\"path\":\"/p\",\"offset\":0,\"length\":"
         "18446744073709551615}}",
         NULL},
        {MASTER,
         "{\"id\":\"m\",\"ip\":16777343,\"port\":5050,\"pid\":\"master@127.0.0.1:5050\","
         "\"hostname\":\"localhost\",\"version\":\"1.11.0\",\"address\":{\"hostname\":"
         "\"localhost\","
         "\"ip\":\"127.0.0.1\",\"port\":5050}}",
         NULL},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        check_good(&rows[i]);
    }
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const ProtobufCMessageDescriptor *descriptor;
        const char *in;
        int code;
        const char *text;
    } rows[] = {
        // Not JSON.
        {CALL, "", -EBADMSG, "unexpected end of the text at line 1, column 1"},
        {CALL, "{", -EBADMSG, "expected a string at line 1, column 2"},
        {CALL, "{\"type\":\"REVIVE\"", -EBADMSG, "unexpected end of the text at line 1, column 17"},
        {CALL, "{} x", -EBADMSG, "unexpected text behind the value at line 1, column 4"},
        {CALL, "{\"type\":\"REVIVE\",}", -EBADMSG, "expected a string at line 1, column 18"},
        {CALL, "{\"x\":[1,}", -EBADMSG, "expected a value at line 1, column 9"},
        {CALL, "{\"x\":{\"y\" 1}}", -EBADMSG, "expected ':' at line 1, column 11"},
        {CALL, "{\"x\":\"\\q\"}", -EBADMSG, "bad escape in a string at line 1, column 7"},
        {CALL, "{\"type\":\"\xff\"}", -EBADMSG, "invalid UTF-8 at line 1, column 10"},
        {CALL, "{'type':1}", -EBADMSG, "expected a string at line 1, column 2"},
        {CALL, "\xef\xbb\xbf{}", -EBADMSG, "expected a value at line 1, column 1"},
        {CALL, "nul", -EBADMSG, "expected a value at line 1, column 1"},
        // JSON of another kind.
        {CALL, "[]", -EINVAL, "Expecting a JSON object"},
        {CALL, "null", -EINVAL, "Expecting a JSON object"},
        {CALL, "\"x\"", -EINVAL, "Expecting a JSON object"},
        {CALL, "17", -EINVAL, "Expecting a JSON object"},
        // Missing fields, by path.
        {FRAMEWORK, "{}", -EINVAL, "Missing required fields: user, name"},
        {FRAMEWORK, "{\"user\":null,\"name\":\"n\"}", -EINVAL, "Missing required fields: user"},
        {FRAMEWORK, "{\"user\":\"u\",\"user\":null,\"name\":\"n\"}", -EINVAL,
         "Missing required fields: user"},
        {CALL, "{\"subscribe\":{}}", -EINVAL, "Missing required fields: subscribe.framework_info"},
        {CALL, "{\"subscribe\":{\"framework_info\":{}}}", -EINVAL,
         "Missing required fields: subscribe.framework_info.user, subscribe.framework_info.name"},
        {OPERATIONS, "{\"offer_ids\":[{\"value\":\"a\"},{},{}]}", -EINVAL,
         "Missing required fields: offer_ids[1].value, offer_ids[2].value"},
        {MASTER, "{\"id\":\"m\",\"ip\":1}", -EINVAL, "Missing required fields: port"},
        {QUOTA, "{\"role\":\"r\",\"limits\":{\"a\":{}}}", -EINVAL,
         "Missing required fields: limits[0].value.value"},
        {QUOTA, "{\"role\":\"r\",\"limits\":{\"a\":null}}", -EINVAL,
         "Missing required fields: limits[0].value.value"},
        // The wrong kind of value.
        {CALL, "{\"type\":1}", -EINVAL, "Not expecting a JSON number for field 'type'"},
        {CALL, "{\"type\":true}", -EINVAL, "Not expecting a JSON boolean for field 'type'"},
        {CALL, "{\"type\":[\"REVIVE\"]}", -EINVAL, "Not expecting a JSON array for field 'type'"},
        {CALL, "{\"type\":{}}", -EINVAL, "Not expecting a JSON object for field 'type'"},
        {CALL, "{\"framework_id\":\"f\"}", -EINVAL,
         "Not expecting a JSON string for field 'framework_id'"},
        {CALL, "{\"framework_id\":{\"value\":7}}", -EINVAL,
         "Not expecting a JSON number for field 'framework_id.value'"},
        {CALL, "{\"framework_id\":[{\"value\":\"f\"}]}", -EINVAL,
         "Not expecting a JSON array for field 'framework_id'"},
        {FRAMEWORK, "{\"roles\":[1]}", -EINVAL, "Not expecting a JSON number for field 'roles'"},
        {FRAMEWORK, "{\"roles\":{}}", -EINVAL, "Not expecting a JSON object for field 'roles'"},
        {QUOTA, "{\"limits\":[[{\"a\":1}]]}", -EINVAL,
         "Not expecting a JSON number for field 'limits[0].value'"},
        {QUOTA, "{\"limits\":\"x\"}", -EINVAL, "Not expecting a JSON string for field 'limits'"},
        {COMMAND, "{\"shell\":1}", -EINVAL, "Not expecting a JSON number for field 'shell'"},
        {COMMAND, "{\"shell\":\"yes\"}", -EINVAL,
         "Failed to parse 'yes' as a JSON boolean for field 'shell'"},
        {SCALAR, "{\"value\":\"1.5x\"}", -EINVAL,
         "Failed to parse '1.5x' as a JSON number for field 'value'"},
        {SCALAR, "{\"value\":\"\"}", -EINVAL,
         "Failed to parse '' as a JSON number for field 'value'"},
        {SCALAR, "{\"value\":\"NaN\"}", -EINVAL,
         "Failed to parse 'NaN' as a JSON number for field 'value'"},
        // Numbers that do not fit.
        {SCALAR, "{\"value\":1e999}", -EINVAL, "Number out of range for field 'value'"},
        {RANGE, "{\"begin\":-1,\"end\":1}", -EINVAL, "Number out of range for field 'begin'"},
        {RANGE, "{\"begin\":18446744073709551616,\"end\":1}", -EINVAL,
         "Number out of range for field 'begin'"},
        {RANGE, "{\"begin\":1e300,\"end\":1}", -EINVAL, "Number out of range for field 'begin'"},
        {MASTER, "{\"ip\":4294967296}", -EINVAL, "Number out of range for field 'ip'"},
        {HEALTH, "{\"consecutive_failures\":-0.5,\"http\":{\"port\":-1.5}}", -EINVAL,
         "Number out of range for field 'http.port'"},
        // Enums, bytes, text.
        {VALUE, "{\"type\":\"NO_SUCH\"}", -EINVAL, "Failed to find enum for 'NO_SUCH'"},
        {TASK_INFO, "{\"data\":\"a*b=\"}", -EINVAL, "Failed to base64 decode bytes field 'data'"},
        {COMMAND, "{\"value\":\"a\\u0000b\"}", -EINVAL,
         "Not expecting a NUL character in field 'value'"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        AUTO_ARENA struct arena *arena = arena_new(0, 0);
        ProtobufCMessage *m = NULL;
        struct error err = {0};
        int r = decode(rows[i].descriptor, arena, rows[i].in, &m, &err);
        if (r != rows[i].code || err.code != r || strcmp(err.text, rows[i].text) != 0) {
            fail_msg("%s: %d %s", rows[i].in, r, err.text);
        }
        assert_null(m);
        assert_int_equal(decode(rows[i].descriptor, arena, rows[i].in, &m, NULL), r);
    }
}

// The limits of 32-bit and 64-bit fields, signed.
static void test_integer_limits(void **state)
{
    (void)state;
    static const struct {
        const char *number;
        bool fits;
    } rows[] = {
        {"2147483647", true}, {"-2147483648", true}, {"2147483648", false}, {"-2147483649", false},
        {"-0", true},         {"1e9", true},         {"1e10", false},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        AUTO_ARENA struct arena *arena = arena_new(0, 0);
        char text[64];
        snprintf(text, sizeof(text), "{\"status\":%s}", rows[i].number);
        ProtobufCMessage *m;
        int r = decode(&mesos__v1__scheduler__event__failure__descriptor, arena, text, &m, NULL);
        assert_int_equal(r, rows[i].fits ? 0 : -EINVAL);
    }
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    ProtobufCMessage *m;
    const ProtobufCMessageDescriptor *duration = &mesos__v1__duration_info__descriptor;
    assert_int_equal(decode(duration, arena, "{\"nanoseconds\":-9223372036854775808}", &m, NULL),
                     0);
    assert_true(((Mesos__V1__DurationInfo *)m)->nanoseconds == INT64_MIN);
    assert_int_equal(decode(duration, arena, "{\"nanoseconds\":9223372036854775808}", &m, NULL),
                     -EINVAL);
}

static void test_depth(void **state)
{
    (void)state;
    // A million brackets, under a known key and under an unknown one.
    enum { SIZE = 1000000 };
    static const char *const heads[] = {"{\"roles\":", "{\"unknown\":", ""};
    for (size_t i = 0; i < ARRAY_COUNT(heads); i++) {
        AUTO_ARENA struct arena *arena = arena_new(0, 0);
        AUTO_BUF struct buf text = BUF_INIT;
        buf_puts(&text, heads[i]);
        for (int j = 0; j < SIZE; j++) {
            buf_putc(&text, '[');
        }
        ProtobufCMessage *m;
        struct error err = {0};
        assert_int_equal(wire_json_decode(FRAMEWORK, arena, text.data, text.size, &m, &err),
                         -EBADMSG);
        assert_non_null(strstr(err.text, "nested too deeply"));
    }
    // Exactly as deep as allowed: a field's first array counts with the object.
    for (int extra = 0; extra < 2; extra++) {
        AUTO_ARENA struct arena *arena = arena_new(0, 0);
        AUTO_BUF struct buf text = BUF_INIT;
        buf_puts(&text, "{\"user\":\"u\",\"name\":\"n\",\"roles\":");
        for (int j = 0; j < WIRE_DEPTH_MAX + extra; j++) {
            buf_putc(&text, '[');
        }
        for (int j = 0; j < WIRE_DEPTH_MAX + extra; j++) {
            buf_putc(&text, ']');
        }
        buf_putc(&text, '}');
        ProtobufCMessage *m;
        assert_int_equal(wire_json_decode(FRAMEWORK, arena, text.data, text.size, &m, NULL),
                         extra ? -EBADMSG : 0);
    }
}

static void test_memory_is_bounded(void **state)
{
    (void)state;
    // Three bytes of text for each message that takes a hundred in memory.
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    AUTO_BUF struct buf text = BUF_INIT;
    buf_puts(&text, "{\"operations\":[{}");
    for (int i = 0; i < 1000000; i++) {
        buf_puts(&text, ",{}");
    }
    buf_puts(&text, "]}");
    ProtobufCMessage *m;
    assert_int_equal(wire_json_decode(OPERATIONS, arena, text.data, text.size, &m, NULL), -EFBIG);
    assert_true(arena_size(arena) < text.size * 40);
}

static void test_many_missing_fields_end_early(void **state)
{
    (void)state;
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    AUTO_BUF struct buf text = BUF_INIT;
    buf_puts(&text, "{\"offer_ids\":[{}");
    for (int i = 0; i < 1000; i++) {
        buf_puts(&text, ",{}");
    }
    buf_puts(&text, "]}");
    ProtobufCMessage *m;
    struct error err = {0};
    assert_int_equal(wire_json_decode(OPERATIONS, arena, text.data, text.size, &m, &err), -EINVAL);
    assert_non_null(strstr(err.text, "Missing required fields: offer_ids[0].value, "));
}

static void test_large_map(void **state)
{
    (void)state;
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    AUTO_BUF struct buf text = BUF_INIT;
    buf_puts(&text, "{\"role\":\"r\",\"limits\":{\"k0\":{\"value\":0}");
    for (int i = 1; i < 20000; i++) {
        buf_printf(&text, ",\"k%d\":{\"value\":%d}", i % 10000, i);
    }
    buf_puts(&text, "}}");
    ProtobufCMessage *m;
    assert_int_equal(wire_json_decode(QUOTA, arena, text.data, text.size, &m, NULL), 0);
    const Mesos__V1__Quota__QuotaConfig *config = (Mesos__V1__Quota__QuotaConfig *)m;
    assert_int_equal(config->n_limits, 10000);
    assert_string_equal(config->limits[7]->key, "k7");
    assert_true(config->limits[7]->value->value == 10007);
}

static void test_list(void **state)
{
    (void)state;
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    ProtobufCMessage **messages = NULL;
    size_t count = 99;
    struct error err = {0};
    static const char two[] = " [{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":1}},"
                              "{\"name\":\"mem\",\"type\":\"SCALAR\"} ] ";
    assert_int_equal(
        wire_json_decode_list(RESOURCE, arena, two, sizeof(two) - 1, &messages, &count, &err), 0);
    assert_int_equal(count, 2);
    assert_string_equal(((Mesos__V1__Resource *)messages[1])->name, "mem");
    assert_int_equal(wire_json_decode_list(RESOURCE, arena, "[]", 2, &messages, &count, &err), 0);
    assert_int_equal(count, 0);
    static const struct {
        const char *text;
        int code;
        const char *error;
    } rows[] = {
        {"{}", -EINVAL, "Expecting a JSON array"},
        {"[1]", -EINVAL, "Expecting a JSON object"},
        {"[{}]", -EINVAL, "Missing required fields: name, type"},
        {"[", -EBADMSG, "unexpected end of the text at line 1, column 2"},
        {"[] 1", -EBADMSG, "unexpected text behind the value at line 1, column 4"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        assert_int_equal(wire_json_decode_list(RESOURCE, arena, rows[i].text, strlen(rows[i].text),
                                               &messages, &count, &err),
                         rows[i].code);
        assert_string_equal(err.text, rows[i].error);
    }
}

static void test_doubles_read_exactly(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double value;
    } rows[] = {
        {"0.1", 0.1},
        {"-0.1", -0.1},
        {"0.000000000000001", 0.000000000000001},
        {"123456789012345", 123456789012345.0},
        {"1234567890123456", 1234567890123456.0},
        {"0.1234567890123456789", 0.1234567890123456789},
        {"1e22", 1e22},
        {"1e23", 1e23},
        {"4.9e-324", 4.9e-324},
        {"1.7976931348623157e308", 1.7976931348623157e308},
        {"0.00000000000000000000000000000000000000000000000000000000000000000000001", 1e-71},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        AUTO_ARENA struct arena *arena = arena_new(0, 0);
        char text[128];
        snprintf(text, sizeof(text), "{\"value\":%s}", rows[i].text);
        ProtobufCMessage *m;
        assert_int_equal(decode(SCALAR, arena, text, &m, NULL), 0);
        assert_true(((Mesos__V1__Value__Scalar *)m)->value == rows[i].value);
    }
}

static void test_put_within_other_json(void **state)
{
    (void)state;
    AUTO_BUF struct buf out = BUF_INIT;
    Mesos__V1__FrameworkID id = MESOS__V1__FRAMEWORK_ID__INIT;
    id.value = (char *)"f";
    struct json_writer w;
    json_begin(&w, &out);
    json_array_open(&w);
    wire_json_put(&w, &id.base);
    wire_json_put(&w, &id.base);
    json_array_close(&w);
    assert_string_equal(out.data, "[{\"value\":\"f\"},{\"value\":\"f\"}]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_ways),
        cmocka_unit_test(test_whole_messages),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_integer_limits),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_memory_is_bounded),
        cmocka_unit_test(test_many_missing_fields_end_early),
        cmocka_unit_test(test_large_map),
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_doubles_read_exactly),
        cmocka_unit_test(test_put_within_other_json),
    };
    return cmocka_run_group_tests_name("message_json", tests, NULL, NULL);
}
