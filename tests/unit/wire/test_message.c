// SPDX-License-Identifier: Apache-2.0
//
// Messages as protobuf bytes: what is taken, what is refused, copies and equality.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "proto/mesos.pb-c.h"
#include "proto/quota.pb-c.h"
#include "proto/scheduler.pb-c.h"
#include "wire/content.h"
#include "wire/wire.h"

#define CALL &mesos__v1__scheduler__call__descriptor
#define ACCEPT &mesos__v1__scheduler__call__accept__descriptor
#define FRAMEWORK &mesos__v1__framework_info__descriptor
#define HTTP_CHECK &mesos__v1__health_check__httpcheck_info__descriptor
#define COMMAND &mesos__v1__command_info__descriptor
#define QUOTA &mesos__v1__quota__quota_config__descriptor
#define VALUE &mesos__v1__value__descriptor
#define LABELS &mesos__v1__labels__descriptor
#define SELECTOR &mesos__v1__scheduler__attribute_constraint__selector__descriptor
#define PREDICATE &mesos__v1__scheduler__attribute_constraint__predicate__descriptor
#define FAILURE &mesos__v1__scheduler__event__failure__descriptor

#define BYTES(literal) (literal), sizeof(literal) - 1

// Bytes, and the JSON of what they mean.
static void test_taken(void **state)
{
    (void)state;
    static const struct {
        const ProtobufCMessageDescriptor *descriptor;
        const char *bytes;
        size_t size;
        const char *json;
    } rows[] = {
        {CALL, BYTES(""), "{}"},
        // Field numbers in any order.
        {FRAMEWORK, BYTES("\x12\x01n\x0a\x01u"),
         "{\"user\":\"u\",\"name\":\"n\",\"failover_timeout\":0.0,\"checkpoint\":false}"},
        // Unknown fields of each wire type are skipped.
        {CALL,
         BYTES("\xf8\x3f\x01\xf9\x3f"
               "12345678"
               "\xfa\x3f\x03"
               "abc"
               "\xfd\x3f"
               "1234\x10\x04"),
         "{\"type\":\"DECLINE\"}"},
        // A known field in a wire type of another kind is skipped as well.
        {CALL, BYTES("\x12\x01x\x10\x04"), "{\"type\":\"DECLINE\"}"},
        // Scalars that come twice: the last counts.
        {CALL, BYTES("\x10\x04\x10\x05"), "{\"type\":\"REVIVE\"}"},
        // An unknown value of an optional enum counts as unset, before and after a known one.
        {CALL, BYTES("\x10\x63"), "{}"},
        {CALL, BYTES("\x10\x04\x10\x63"), "{\"type\":\"DECLINE\"}"},
        // Messages that come twice are merged.
        {CALL,
         BYTES("\x22\x04\x0a\x02\x0a\x00\x22\x05\x0a\x03\x0a\x01"
               "b"),
         "{\"accept\":{\"offer_ids\":[{\"value\":\"\"},{\"value\":\"b\"}]}}"},
        // Lists unpacked, packed, both, and with other fields in between.
        {HTTP_CHECK, BYTES("\x08\x50\x20\xc8\x01\x20\xae\x02"),
         "{\"port\":80,\"statuses\":[200,302],\"protocol\":\"IPv4\"}"},
        {HTTP_CHECK, BYTES("\x22\x04\xc8\x01\xae\x02\x08\x50\x20\x07\x22\x00\x22\x01\x08"),
         "{\"port\":80,\"statuses\":[200,302,7,8],\"protocol\":\"IPv4\"}"},
        {COMMAND,
         BYTES("\x3a\x01"
               "a\x1a\x01v\x3a\x01"
               "b"),
         "{\"value\":\"v\",\"shell\":true,\"arguments\":[\"a\",\"b\"]}"},
        // Varints longer than they need to be; negative int32 in ten bytes.
        {CALL, BYTES("\x10\x84\x80\x80\x00"), "{\"type\":\"DECLINE\"}"},
        {FAILURE, BYTES("\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), "{\"status\":-1}"},
        {COMMAND, BYTES("\x30\x02"), "{\"shell\":true}"},
        // Maps: a missing key is "", equal keys: the last counts.
        {QUOTA, BYTES("\x0a\x01r\x1a\x0b\x12\x09\x09\0\0\0\0\0\0\xf0\x3f"),
         "{\"role\":\"r\",\"limits\":{\"\":{\"value\":1.0}}}"},
        {QUOTA,
         BYTES("\x0a\x01r\x1a\x0e\x0a\x01k\x12\x09\x09\0\0\0\0\0\0\xf0\x3f"
               "\x1a\x0e\x0a\x01k\x12\x09\x09\0\0\0\0\0\0\0\x40"),
         "{\"role\":\"r\",\"limits\":{\"k\":{\"value\":2.0}}}"},
        // A oneof: the last one counts; one message of it that comes twice is merged.
        {SELECTOR,
         BYTES("\x12\x01"
               "a\x08\x03"),
         "{\"pseudoattribute_type\":\"ZONE\"}"},
        {SELECTOR,
         BYTES("\x08\x03\x12\x01"
               "a"),
         "{\"attribute_name\":\"a\"}"},
        {PREDICATE, BYTES("\x1a\x03\x0a\x01v\x0a\x00"), "{\"exists\":{}}"},
        {PREDICATE, BYTES("\x0a\x00\x1a\x03\x0a\x01v\x1a\x03\x0a\x01w"),
         "{\"text_equals\":{\"value\":\"w\"}}"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        AUTO_ARENA struct arena *arena = arena_new(0, 0);
        AUTO_BUF struct buf out = BUF_INIT;
        ProtobufCMessage *m;
        struct error err = {0};
        if (wire_decode(rows[i].descriptor, arena, rows[i].bytes, rows[i].size, &m, &err) != 0) {
            fail_msg("%s: %s", rows[i].json, err.text);
        }
        wire_json_encode(m, &out);
        assert_string_equal(out.data, rows[i].json);
    }
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const ProtobufCMessageDescriptor *descriptor;
        const char *bytes;
        size_t size;
        const char *text;
    } rows[] = {
        {CALL, BYTES("\x10"), "malformed protobuf: cut off or bad value"},
        {CALL, BYTES("\x10\x80"), "malformed protobuf: cut off or bad value"},
        {CALL, BYTES("\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
         "malformed protobuf: cut off or bad value"},
        {CALL,
         BYTES("\x0a\x05"
               "ab"),
         "malformed protobuf: cut off or bad value"},
        {CALL, BYTES("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
         "malformed protobuf: cut off or bad value"},
        {CALL,
         BYTES("\xf9\x3f"
               "1234"),
         "malformed protobuf: cut off or bad value"},
        {CALL,
         BYTES("\xfd\x3f"
               "123"),
         "malformed protobuf: cut off or bad value"},
        {CALL, BYTES("\x00\x00"), "malformed protobuf: bad field tag"},
        {CALL, BYTES("\xff"), "malformed protobuf: bad field tag"},
        {CALL, BYTES("\xf8\xff\xff\xff\xff\x01\x00"), "malformed protobuf: bad field tag"},
        {CALL, BYTES("\x0b\x0c"), "malformed protobuf: unsupported wire type"},
        {CALL, BYTES("\x0e"), "malformed protobuf: unsupported wire type"},
        {HTTP_CHECK, BYTES("\x08\x50\x22\x01\x80"),
         "malformed protobuf: cut off or bad packed value"},
        {CALL, BYTES("\x0a\x03\x0a\x01\xff"), "field 'framework_id.value' is not valid UTF-8"},
        {CALL,
         BYTES("\x0a\x05\x0a\x03"
               "a\0b"),
         "field 'framework_id.value' holds a NUL character"},
        {CALL, BYTES("\x0a\x00"), "Missing required fields: framework_id.value"},
        {FRAMEWORK, BYTES(""), "Missing required fields: user, name"},
        {ACCEPT, BYTES("\x0a\x03\x0a\x01x\x0a\x00"), "Missing required fields: offer_ids[1].value"},
        {VALUE, BYTES("\x08\x63"), "field 'type' has an unknown value"},
        {QUOTA, BYTES("\x0a\x01r\x1a\x00"), "Missing required fields: limits[0].value.value"},
        {CALL, BYTES("{\"type\":\"REVIVE\"}"), "malformed protobuf: unsupported wire type"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        AUTO_ARENA struct arena *arena = arena_new(0, 0);
        ProtobufCMessage *m = NULL;
        struct error err = {0};
        int r = wire_decode(rows[i].descriptor, arena, rows[i].bytes, rows[i].size, &m, &err);
        if (r != -EBADMSG || strcmp(err.text, rows[i].text) != 0) {
            fail_msg("row %zu (%s): %d %s", i, rows[i].text, r, err.text);
        }
        assert_null(m);
    }
}

// ContainerID has a parent of its own kind: that is how bytes nest without end.
static void test_depth(void **state)
{
    (void)state;
    for (unsigned levels = WIRE_DEPTH_MAX; levels <= WIRE_DEPTH_MAX + 1; levels++) {
        AUTO_ARENA struct arena *arena = arena_new(0, 0);
        AUTO_BUF struct buf bytes = BUF_INIT;
        buf_append(&bytes, "\x0a\x01x", 3);
        for (unsigned i = 1; i < levels; i++) {
            AUTO_BUF struct buf outer = BUF_INIT;
            buf_append(&outer, "\x0a\x01x\x12", 4);
            for (size_t size = bytes.size;; size >>= 7) {
                buf_putc(&outer, (char)((size & 0x7f) | (size > 0x7f ? 0x80 : 0)));
                if (size <= 0x7f) {
                    break;
                }
            }
            buf_append(&outer, bytes.data, bytes.size);
            buf_free(&bytes);
            bytes = outer;
            outer = BUF_INIT;
        }
        ProtobufCMessage *m;
        struct error err = {0};
        int r = wire_decode(&mesos__v1__container_id__descriptor, arena, bytes.data, bytes.size, &m,
                            &err);
        assert_int_equal(r, levels > WIRE_DEPTH_MAX ? -EBADMSG : 0);
        if (r == 0) {
            // As deep as can be: everything else must manage it, too.
            AUTO_BUF struct buf json = BUF_INIT;
            wire_json_encode(m, &json);
            assert_true(wire_is_equal(m, wire_copy(arena, m)));
            assert_int_equal(wire_json_decode(&mesos__v1__container_id__descriptor, arena,
                                              json.data, json.size, &m, NULL),
                             0);
        }
    }
}

static void test_memory_is_bounded(void **state)
{
    (void)state;
    // Two bytes for each empty message of a list.
    AUTO_BUF struct buf bytes = BUF_INIT;
    for (int i = 0; i < 1000000; i++) {
        buf_append(&bytes, "\x12\x00", 2);
    }
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    ProtobufCMessage *m;
    assert_int_equal(wire_decode(ACCEPT, arena, bytes.data, bytes.size, &m, NULL), -EFBIG);
    assert_true(arena_size(arena) < bytes.size * 60);

    // A message that comes again and again, each time with one more element.
    buf_clear(&bytes);
    for (int i = 0; i < 100000; i++) {
        buf_append(&bytes, "\x22\x04\x0a\x02\x0a\x00", 6);
    }
    AUTO_ARENA struct arena *arena2 = arena_new(0, 0);
    assert_int_equal(wire_decode(CALL, arena2, bytes.data, bytes.size, &m, NULL), -EFBIG);
    assert_true(arena_size(arena2) < bytes.size * 60);

    assert_int_equal(wire_decode(CALL, arena2, bytes.data, (size_t)WIRE_SIZE_MAX + 1, &m, NULL),
                     -EFBIG);
}

// An event with a status; a field 99 that nobody knows is in it.
#define STATUS "\x0a\x03\x0a\x01t\x10\x01\x9a\x06\x01x\x22\x02hi"
#define UPDATE "\x08\x04\x2a\x11\x0a\x0f" STATUS

static void test_pinned(void **state)
{
    (void)state;
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    const ProtobufCMessageDescriptor *event = &mesos__v1__scheduler__event__descriptor;
    ProtobufCMessage *m;
    assert_int_equal(wire_decode_pinned(event, arena, BYTES(UPDATE),
                                        &mesos__v1__task_status__descriptor, &m, NULL),
                     0);
    Mesos__V1__TaskStatus *status = ((Mesos__V1__Scheduler__Event *)m)->update->status;
    assert_true(wire_is_pinned(&status->base));
    assert_false(wire_is_pinned(m));
    assert_string_equal(status->message, "hi");
    size_t size;
    assert_memory_equal(wire_pinned_bytes(&status->base, &size), STATUS, sizeof(STATUS) - 1);
    assert_int_equal(size, sizeof(STATUS) - 1);
    // It goes on as it came; a copy, and one that is unpinned, as it is understood.
    const void *bytes;
    size = wire_pack(m, &bytes);
    assert_int_equal(size, sizeof(UPDATE) - 1);
    assert_memory_equal(bytes, UPDATE, size);
    assert_int_equal(wire_pack(wire_copy(arena, m), &bytes), sizeof(UPDATE) - 1 - 4);
    wire_unpin(&status->base);
    assert_int_equal(wire_pack(m, &bytes), sizeof(UPDATE) - 1 - 4);
    // One that comes in parts is merged, and has no bytes of its own.
    AUTO_BUF struct buf twice = BUF_INIT;
    buf_append(&twice, BYTES(UPDATE));
    buf_append(&twice, BYTES(UPDATE));
    assert_int_equal(wire_decode_pinned(event, arena, twice.data, twice.size,
                                        &mesos__v1__task_status__descriptor, &m, NULL),
                     0);
    assert_false(wire_is_pinned(&((Mesos__V1__Scheduler__Event *)m)->update->status->base));
}

static void test_pinned_with_a_live_field(void **state)
{
    (void)state;
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    Mesos__V1__CommandInfo *command =
        WIRE_NEW(arena, Mesos__V1__CommandInfo, mesos__v1__command_info);
    char a[] = "a", b[] = "b", *arguments[] = {a, b};
    command->value = a; // not what is sent
    command->n_arguments = 2;
    command->arguments = arguments;
    wire_pin(&command->base, arena, BYTES("\x1a\x02is"), 7);
    const void *bytes;
    size_t size = wire_pack(&command->base, &bytes);
    assert_int_equal(size, 10);
    assert_memory_equal(bytes,
                        "\x1a\x02is\x3a\x01"
                        "a\x3a\x01"
                        "b",
                        10);
    command->n_arguments = 0;
    assert_int_equal(wire_pack(&command->base, &bytes), 4);
}

static void test_fields_are_filtered(void **state)
{
    (void)state;
    // Numbers 1 (varint of two bytes), 2 (text), 3 (64 bit), 4 (32 bit), 2 again, 100 (text).
#define FIRST "\x08\x80\x01"
#define SECOND                                                                                     \
    "\x12\x03"                                                                                     \
    "abc"
#define THIRD                                                                                      \
    "\x19"                                                                                         \
    "12345678"
#define FOURTH                                                                                     \
    "\x25"                                                                                         \
    "1234"
#define FAR "\xa2\x06\x01z"
    static const char all[] = FIRST SECOND THIRD FOURTH SECOND FAR;
    static const struct {
        uint64_t left_out;
        const char *kept;
        size_t size;
    } cases[] = {
        {0, BYTES(FIRST SECOND THIRD FOURTH SECOND FAR)},
        {UINT64_C(1) << 2, BYTES(FIRST THIRD FOURTH FAR)},
        {UINT64_C(1) << 1 | UINT64_C(1) << 3, BYTES(SECOND FOURTH SECOND FAR)},
        {UINT64_MAX, BYTES(FAR)},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        char out[sizeof(all)];
        size_t size = wire_filter_fields(all, sizeof(all) - 1, cases[i].left_out, out);
        assert_int_equal(size, cases[i].size);
        assert_memory_equal(out, cases[i].kept, size);
    }
    assert_int_equal(wire_filter_fields(all, 0, UINT64_MAX, (char[1]){0}), 0);
}

static void test_explicit_default_is_kept(void **state)
{
    (void)state;
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    Mesos__V1__FrameworkInfo *info =
        WIRE_NEW(arena, Mesos__V1__FrameworkInfo, mesos__v1__framework_info);
    info->user = (char *)"u";
    info->name = (char *)"n";
    AUTO_BUF struct buf unset = BUF_INIT;
    wire_encode(&info->base, &unset);
    assert_int_equal(unset.size, 6);
    ProtobufCMessage *m;
    assert_int_equal(wire_decode(FRAMEWORK, arena, BYTES("\x0a\x01u\x12\x01n\x32\x01*"), &m, NULL),
                     0);
    assert_false(wire_is_equal(m, &info->base));
    AUTO_BUF struct buf set = BUF_INIT;
    wire_encode(m, &set);
    assert_int_equal(set.size, 9);
    AUTO_BUF struct buf copied = BUF_INIT;
    wire_encode(wire_copy(arena, m), &copied);
    assert_int_equal(copied.size, 9);
}

static Mesos__V1__Label *new_label(struct arena *arena, const char *key, const char *value)
{
    Mesos__V1__Label *label = WIRE_NEW(arena, Mesos__V1__Label, mesos__v1__label);
    label->key = arena_strdup(arena, key);
    label->value = arena_strdup(arena, value);
    return label;
}

static void test_copy_shares_nothing(void **state)
{
    (void)state;
    struct arena *first = arena_new(0, 0);
    AUTO_ARENA struct arena *second = arena_new(0, 0);
    Mesos__V1__Labels *labels = WIRE_NEW(first, Mesos__V1__Labels, mesos__v1__labels);
    labels->n_labels = 2;
    labels->labels = arena_calloc(first, 2, sizeof(*labels->labels));
    labels->labels[0] = new_label(first, "a", "1");
    labels->labels[1] = new_label(first, "b", NULL);
    Mesos__V1__Labels *copy = WIRE_COPY(second, Mesos__V1__Labels, labels);
    assert_true(wire_is_equal(&labels->base, &copy->base));
    labels->labels[0]->value[0] = '2';
    assert_false(wire_is_equal(&labels->base, &copy->base));
    arena_free(first);
    assert_int_equal(copy->n_labels, 2);
    assert_string_equal(copy->labels[0]->value, "1");
    assert_null(copy->labels[1]->value);
}

static void test_equality(void **state)
{
    (void)state;
    // Each pair differs in one thing.
    static const char *const pairs[][2] = {
        {"{\"type\":\"REVIVE\"}", "{\"type\":\"DECLINE\"}"},
        {"{\"type\":\"UNKNOWN\"}", "{}"},
        {"{\"framework_id\":{\"value\":\"a\"}}", "{\"framework_id\":{\"value\":\"b\"}}"},
        {"{\"framework_id\":{\"value\":\"\"}}", "{}"},
        {"{\"accept\":{}}", "{}"},
        {"{\"accept\":{\"offer_ids\":[{\"value\":\"a\"}]}}", "{\"accept\":{}}"},
        {"{\"accept\":{\"offer_ids\":[{\"value\":\"a\"}]}}",
         "{\"accept\":{\"offer_ids\":[{\"value\":\"b\"}]}}"},
        {"{\"accept\":{\"filters\":{}}}", "{\"accept\":{\"filters\":{\"refuse_seconds\":5.0}}}"},
        {"{\"message\":{\"agent_id\":{\"value\":\"a\"},\"executor_id\":{\"value\":\"e\"},"
         "\"data\":\"AA==\"}}",
         "{\"message\":{\"agent_id\":{\"value\":\"a\"},\"executor_id\":{\"value\":\"e\"},"
         "\"data\":\"AQ==\"}}"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(pairs); i++) {
        AUTO_ARENA struct arena *arena = arena_new(0, 0);
        ProtobufCMessage *m[3];
        for (int j = 0; j < 3; j++) {
            const char *text = pairs[i][j % 2];
            assert_int_equal(wire_json_decode(CALL, arena, text, strlen(text), &m[j], NULL), 0);
        }
        assert_false(wire_is_equal(m[0], m[1]));
        assert_false(wire_is_equal(m[1], m[0]));
        assert_true(wire_is_equal(m[0], m[2]));
        assert_true(wire_is_equal(m[1], m[1]));
        assert_false(wire_is_equal(m[0], NULL));
    }
}

static void test_enum_names(void **state)
{
    (void)state;
    const ProtobufCEnumDescriptor *d = &mesos__v1__task_state__descriptor;
    assert_string_equal(wire_enum_name(d, MESOS__V1__TASK_STATE__TASK_RUNNING), "TASK_RUNNING");
    assert_null(wire_enum_name(d, 4711));
    assert_int_equal(wire_enum_value(d, "TASK_LOST"), MESOS__V1__TASK_STATE__TASK_LOST);
    assert_int_equal(wire_enum_value(d, "TASK_NONE"), -1);
}

static void test_encode_respects_limit(void **state)
{
    (void)state;
    Mesos__V1__FrameworkID id = MESOS__V1__FRAMEWORK_ID__INIT;
    id.value = (char *)"0123456789";
    struct buf out;
    buf_init(&out, 8);
    wire_encode(&id.base, &out);
    assert_true(out.overflow);
    assert_int_equal(out.size, 0);
    buf_free(&out);
}

static void test_content(void **state)
{
    (void)state;
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    assert_string_equal(content_type_name(CONTENT_JSON), "application/json");
    assert_string_equal(content_type_name(CONTENT_PROTOBUF), "application/x-protobuf");
    for (int type = CONTENT_JSON; type <= CONTENT_PROTOBUF; type++) {
        AUTO_BUF struct buf out = BUF_INIT;
        Mesos__V1__FrameworkID id = MESOS__V1__FRAMEWORK_ID__INIT;
        id.value = (char *)"f";
        content_encode(type, &id.base, &out);
        assert_int_equal(out.size, type == CONTENT_JSON ? 13 : 3);
        ProtobufCMessage *m;
        assert_int_equal(content_decode(type, &mesos__v1__framework_id__descriptor, arena, out.data,
                                        out.size, &m, NULL),
                         0);
        assert_true(wire_is_equal(m, &id.base));
    }
}

static void test_allocator(void **state)
{
    (void)state;
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    ProtobufCAllocator allocator = wire_arena_allocator(arena);
    Mesos__V1__Labels *labels = (Mesos__V1__Labels *)protobuf_c_message_unpack(
        LABELS, &allocator, 7, (const uint8_t *)"\x0a\x05\x0a\x03key");
    assert_string_equal(labels->labels[0]->key, "key");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_taken),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_memory_is_bounded),
        cmocka_unit_test(test_pinned),
        cmocka_unit_test(test_pinned_with_a_live_field),
        cmocka_unit_test(test_fields_are_filtered),
        cmocka_unit_test(test_explicit_default_is_kept),
        cmocka_unit_test(test_copy_shares_nothing),
        cmocka_unit_test(test_equality),
        cmocka_unit_test(test_enum_names),
        cmocka_unit_test(test_encode_respects_limit),
        cmocka_unit_test(test_content),
        cmocka_unit_test(test_allocator),
    };
    return cmocka_run_group_tests_name("message", tests, NULL, NULL);
}
