// SPDX-License-Identifier: Apache-2.0
//
// Protobuf is read in two ways, of which the quick one leaves to the other what is odd. Together
// they take, refuse, say and make what the other one would alone, whatever is done to the bytes.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "proto/link.pb-c.h"
#include "proto/scheduler.pb-c.h"
#include "wire/quick.h"
#include "wire/wire.h"

#define CALL &mesos__v1__scheduler__call__descriptor
#define TASK &mesos__v1__task_info__descriptor
#define STATUS &mesos__v1__task_status__descriptor
#define RESOURCE &mesos__v1__resource__descriptor
#define HTTP_CHECK &mesos__v1__health_check__httpcheck_info__descriptor
#define FRAMEWORK_ON_AGENT &meseta__link__framework_on_agent__descriptor
#define SELECTOR &mesos__v1__scheduler__attribute_constraint__selector__descriptor

#define BYTES(literal) (literal), sizeof(literal) - 1

// Both ways on the same bytes. Returns what they return.
static int read_both_ways(const ProtobufCMessageDescriptor *kind, const void *data, size_t size)
{
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    ProtobufCMessage *one, *other;
    struct error err = {0}, other_err = {0};
    int r = wire_decode_pinned(kind, arena, data, size, TASK, &one, &err);
    assert_int_equal(wire_decode_slowly(kind, arena, data, size, TASK, &other, &other_err), r);
    assert_string_equal(err.text, other_err.text);
    if (r != 0)
        return r;
    assert_true(wire_is_equal(one, other));
    AUTO_BUF struct buf bytes = BUF_INIT;
    AUTO_BUF struct buf other_bytes = BUF_INIT;
    wire_encode(one, &bytes);
    wire_encode(other, &other_bytes);
    assert_int_equal(bytes.size, other_bytes.size);
    assert_memory_equal(bytes.size > 0 ? bytes.data : "", bytes.size > 0 ? other_bytes.data : "",
                        bytes.size);
    return 0;
}

static bool is_read_quickly(const ProtobufCMessageDescriptor *kind, const void *data, size_t size)
{
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    return wire_read_quick(kind, arena, data, size, TASK) != NULL;
}

// A call with much of what there is: nested ids, lists, ranges, sets, a map, bytes, numbers of each
// kind, enums with gaps, texts of all lengths up to 40.
static const char accept[] =
    "{\"framework_id\":{\"value\":\"0123456789-framework\"},\"type\":\"ACCEPT\",\"accept\":{"
    "\"offer_ids\":[{\"value\":\"o1\"},{\"value\":\"o2\"}],\"filters\":{\"refuse_seconds\":1.5},"
    "\"operations\":[{\"type\":\"LAUNCH\",\"id\":{\"value\":\"\"},\"launch\":{\"task_infos\":[{"
    "\"name\":\"a task with a name of forty characters.\",\"task_id\":{\"value\":\"t1\"},"
    "\"agent_id\":{\"value\":\"0123456789012345-S1\"},\"resources\":["
    "{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":0.5},"
    "\"allocation_info\":{\"role\":\"*\"}},"
    "{\"name\":\"ports\",\"type\":\"RANGES\",\"ranges\":{\"range\":[{\"begin\":31000,\"end\":32000}"
    ","
    "{\"begin\":1,\"end\":2}]}},"
    "{\"name\":\"zones\",\"type\":\"SET\",\"set\":{\"item\":[\"a\",\"b\",\"\"]},"
    "\"reservations\":[{\"type\":\"DYNAMIC\",\"role\":\"r/s\",\"principal\":\"p\"}]}],"
    "\"command\":{\"value\":\"sleep 1000 && \\u00e4\\u20ac\",\"shell\":false,"
    "\"arguments\":[\"x\",\"1234567\",\"12345678\",\"123456789012345\",\"1234567890123456\"],"
    "\"environment\":{\"variables\":[{\"name\":\"N\",\"value\":\"V\"}]},"
    "\"uris\":[{\"value\":\"http://x/y\",\"extract\":true}]},"
    "\"data\":\"AAEC\",\"limits\":{\"cpus\":{\"value\":1.0},\"mem\":{\"value\":32.0}},"
    "\"health_check\":{\"type\":\"HTTP\",\"consecutive_failures\":3,"
    "\"http\":{\"port\":80,\"path\":\"/health\"}},"
    "\"labels\":{\"labels\":[{\"key\":\"k\",\"value\":\"v\"},{\"key\":\"l\"}]}}]}},"
    "{\"type\":\"DESTROY_DISK\",\"destroy_disk\":{\"source\":{\"name\":\"disk\","
    "\"type\":\"SCALAR\",\"scalar\":{\"value\":1024.0}}}}]}}";

static void make_accept(struct arena *arena, struct buf *out)
{
    ProtobufCMessage *m;
    struct error err = {0};
    if (wire_json_decode(CALL, arena, accept, sizeof(accept) - 1, &m, &err) != 0)
        fail_msg("%s", err.text);
    wire_encode(m, out);
}

// What comes as encoders write it is read the quick way, and cut off anywhere it is not.
static void test_cut_off(void **state)
{
    (void)state;
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    AUTO_BUF struct buf bytes = BUF_INIT;
    make_accept(arena, &bytes);
    assert_true(is_read_quickly(CALL, bytes.data, bytes.size));
    assert_int_equal(read_both_ways(CALL, bytes.data, bytes.size), 0);
    size_t taken = 0;
    for (size_t size = 0; size < bytes.size; size++) {
        // In a block of its own, so that the address sanitizer sees what is read beyond the end.
        AUTO_FREE char *cut = mem_dup(bytes.data, size);
        taken += read_both_ways(CALL, cut, size) == 0;
    }
    // Nothing; the framework's id; the type.
    assert_int_equal(taken, 3);
}

static void test_changed_bytes(void **state)
{
    (void)state;
    static const uint8_t patterns[] = {0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0xff, 0x03};
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    AUTO_BUF struct buf bytes = BUF_INIT;
    make_accept(arena, &bytes);
    unsigned taken = 0, refused = 0, quickly = 0;
    for (size_t i = 0; i < bytes.size; i++) {
        char was = bytes.data[i];
        for (size_t k = 0; k <= ARRAY_COUNT(patterns); k++) {
            bytes.data[i] = k < ARRAY_COUNT(patterns) ? (char)(was ^ patterns[k]) : 0;
            if (read_both_ways(CALL, bytes.data, bytes.size) == 0) {
                taken++;
                quickly += is_read_quickly(CALL, bytes.data, bytes.size);
            } else {
                assert_false(is_read_quickly(CALL, bytes.data, bytes.size));
                refused++;
            }
        }
        bytes.data[i] = was;
    }
    // All three happen often, or this would show little.
    assert_true(taken > 1000 && refused > 1000 && quickly > 1000 && quickly < taken);
}

// Two messages one behind the other are one that comes in parts: lists go on, messages are merged.
static void test_in_parts(void **state)
{
    (void)state;
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    AUTO_BUF struct buf bytes = BUF_INIT;
    make_accept(arena, &bytes);
    size_t size = bytes.size;
    buf_reserve(&bytes, size);
    buf_append(&bytes, bytes.data, size);
    assert_false(is_read_quickly(CALL, bytes.data, bytes.size));
    assert_int_equal(read_both_ways(CALL, bytes.data, bytes.size), 0);
}

static void test_odd(void **state)
{
    (void)state;
    static const struct {
        const ProtobufCMessageDescriptor *kind;
        const char *bytes;
        size_t size;
        bool is_quick;
    } rows[] = {
        {CALL, BYTES(""), true},
        {CALL, BYTES("\x0a\x03\x0a\x01x\x10\x04"), true},
        // Unknown fields of each kind, at the end, in between, in a list's middle; a group.
        {CALL,
         BYTES("\xf8\x3f\x01\xf9\x3f"
               "12345678"
               "\xfa\x3f\x03"
               "abc"
               "\xfd\x3f"
               "1234"),
         true},
        {CALL, BYTES("\x0a\x06\x0a\x01x\x48\x80\x01\x10\x04"), true},
        {CALL, BYTES("\x22\x0c\x0a\x03\x0a\x01x\x78\x01\x0a\x03\x0a\x01y"), false},
        {CALL, BYTES("\xfb\x3f\xfc\x3f"), false},
        {CALL,
         BYTES("\xfa\x3f\x04"
               "abc"),
         false},
        {CALL, BYTES("\xf8\x3f\xff"), false},
        {CALL, BYTES("\x80\x80\x80\x80\x80\x01\x00"), false},
        // An id with more, less, or something else in it than its text.
        {CALL, BYTES("\x0a\x05\x0a\x01x\x10\x01"), true},
        {CALL, BYTES("\x0a\x06\x0a\x01x\x0a\x01y"), true},
        {CALL, BYTES("\x0a\x02\x0a\x01x"), false},
        {CALL, BYTES("\x0a\x03\x0a\x02x"), false},
        {CALL, BYTES("\x0a\x01\x0a"), false},
        {CALL, BYTES("\x0a\x00"), false},
        {CALL, BYTES("\x0a\x03\x0a\x01\x80"), false},
        {CALL, BYTES("\x0a\x04\x0a\x02\xc3\xa4"), true},
        {CALL, BYTES("\x0a\x03\x0a\x01\0"), false},
        // A message that comes twice; a number that comes twice; one of another wire type.
        {CALL, BYTES("\x0a\x03\x0a\x01x\x0a\x03\x0a\x01y"), false},
        {CALL, BYTES("\x10\x04\x10\x05"), true},
        {CALL, BYTES("\x12\x01x\x10\x04"), false},
        {CALL, BYTES("\x08\x01"), false},
        // Enums: unknown where it may be left out, and where it may not.
        {CALL, BYTES("\x10\x63"), false},
        {RESOURCE, BYTES("\x0a\x01n\x10\x63"), false},
        {RESOURCE, BYTES("\x0a\x01n\x10\x00"), true},
        // Numbers in lists: one behind the other, in two places, packed, cut off.
        {HTTP_CHECK, BYTES("\x08\x50\x20\xc8\x01"), true},
        {HTTP_CHECK, BYTES("\x08\x50\x20\xc8\x01\x20\x01\x20\xff\xff\xff\xff\x0f"), true},
        {HTTP_CHECK, BYTES("\x20\xc8\x01\x08\x50\x20\x01"), false},
        {HTTP_CHECK, BYTES("\x08\x50\x22\x02\xc8\x01"), false},
        {HTTP_CHECK, BYTES("\x08\x50\x20\xc8\x01\x20\xff"), false},
        {FRAMEWORK_ON_AGENT,
         BYTES("\x0a\x06\x0a\x01u\x12\x01n"
               "\x21"
               "12345678"
               "\x21"
               "abcdefgh"),
         true},
        {FRAMEWORK_ON_AGENT,
         BYTES("\x0a\x06\x0a\x01u\x12\x01n"
               "\x21"
               "12345678"
               "\x21"
               "abcdefg"),
         false},
        // Members of a oneof.
        {SELECTOR, BYTES("\x08\x03"), false},
        {SELECTOR, BYTES("\x12\x01x"), false},
        // A map's entry without its key or its value, and keys that come twice.
        {TASK, BYTES("\x0a\x01n\x12\x02\x0a\x00\x1a\x02\x0a\x00\x7a\x00"), false},
        {TASK,
         BYTES("\x0a\x01n\x12\x02\x0a\x00\x1a\x02\x0a\x00"
               "\x7a\x0e\x0a\x01k\x12\x09\x09\0\0\0\0\0\0\xf0\x3f"
               "\x7a\x0e\x0a\x01k\x12\x09\x09\0\0\0\0\0\0\0\x40"),
         true},
        // Required fields: the last one comes last, or not at all.
        {STATUS, BYTES("\x10\x01\x0a\x02\x0a\x00"), true},
        {STATUS, BYTES("\x0a\x02\x0a\x00"), false},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        read_both_ways(rows[i].kind, rows[i].bytes, rows[i].size);
        if (is_read_quickly(rows[i].kind, rows[i].bytes, rows[i].size) != rows[i].is_quick)
            fail_msg("row %zu is %sread quickly", i, rows[i].is_quick ? "not " : "");
    }
}

// Two bytes can mean a message of two hundred: both ways have the same bound.
static void test_memory(void **state)
{
    (void)state;
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    enum { COUNT = 40000 };
    AUTO_BUF struct buf body = BUF_INIT;
    for (unsigned i = 0; i < COUNT; i++)
        buf_append(&body, "\x12\x00", 2); // an operation that says nothing
    char head[] = {0x22, (char)(0x80 | (body.size & 0x7f)), (char)(0x80 | (body.size >> 7 & 0x7f)),
                   (char)(body.size >> 14)};
    AUTO_BUF struct buf bytes = BUF_INIT;
    buf_append(&bytes, head, sizeof(head));
    buf_append(&bytes, body.data, body.size);
    assert_false(is_read_quickly(CALL, bytes.data, bytes.size));
    assert_int_equal(read_both_ways(CALL, bytes.data, bytes.size), -EFBIG);
    ProtobufCMessage *m;
    size_t before = arena_size(arena);
    assert_int_equal(wire_decode(CALL, arena, bytes.data, bytes.size, &m, NULL), -EFBIG);
    assert_true(arena_size(arena) - before < 2 * wire_build_budget(bytes.size));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cut_off),  cmocka_unit_test(test_changed_bytes),
        cmocka_unit_test(test_in_parts), cmocka_unit_test(test_odd),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests_name("quick", tests, NULL, NULL);
}
