// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a message of the APIs. What is taken must encode, decode to the same, and survive
// JSON, unless it holds a number that JSON has not (NaN).

#include <stdint.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "proto/agent.pb-c.h"
#include "proto/executor.pb-c.h"
#include "proto/master.pb-c.h"
#include "proto/scheduler.pb-c.h"
#include "wire/quick.h"
#include "wire/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// Our bytes are those that protobuf-c would write.
static void check_bytes(const ProtobufCMessage *m, const struct buf *bytes)
{
    size_t size = protobuf_c_message_get_packed_size(m);
    AUTO_FREE uint8_t *packed = mem_alloc(size);
    CHECK(protobuf_c_message_pack(m, packed) == size);
    CHECK(bytes->size == size && memcmp(bytes->data, packed, size) == 0);
}

// What keeps the bytes that it was read from says the same when it is passed on.
static void check_pinned(const ProtobufCMessage *m, const uint8_t *data, size_t size,
                         const ProtobufCMessageDescriptor *pinned)
{
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    ProtobufCMessage *read, *again;
    CHECK(wire_decode_pinned(m->descriptor, arena, data, size, pinned, &read, NULL) == 0);
    CHECK(wire_is_equal(m, read));
    const void *bytes;
    size_t packed = wire_pack(read, &bytes);
    CHECK(wire_decode(m->descriptor, arena, packed > 0 ? bytes : "", packed, &again, NULL) == 0);
    CHECK(wire_is_equal(m, again));
    void *kept = arena_alloc(arena, size + 1);
    CHECK(wire_filter_fields(data, size, 0, kept) == size);
}

// The two ways of reading take and refuse the same, with the same words, and make the same of it.
static void check_both_ways(const ProtobufCMessageDescriptor *kind, const uint8_t *data,
                            size_t size, const ProtobufCMessageDescriptor *pinned)
{
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    ProtobufCMessage *one, *other;
    struct error err = {0}, other_err = {0};
    int r = wire_decode_pinned(kind, arena, data, size, pinned, &one, &err);
    CHECK(wire_decode_slowly(kind, arena, data, size, pinned, &other, &other_err) == r);
    if (r != 0) {
        CHECK(strcmp(err.text, other_err.text) == 0);
        return;
    }
    CHECK(wire_is_equal(one, other));
    AUTO_BUF struct buf bytes = BUF_INIT;
    AUTO_BUF struct buf other_bytes = BUF_INIT;
    wire_encode(one, &bytes);
    wire_encode(other, &other_bytes);
    CHECK(bytes.size == other_bytes.size);
    CHECK(bytes.size == 0 || memcmp(bytes.data, other_bytes.data, bytes.size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const ProtobufCMessageDescriptor *const kinds[] = {
        &mesos__v1__scheduler__call__descriptor, &mesos__v1__scheduler__event__descriptor,
        &mesos__v1__executor__call__descriptor,  &mesos__v1__executor__event__descriptor,
        &mesos__v1__master__call__descriptor,    &mesos__v1__master__response__descriptor,
        &mesos__v1__agent__call__descriptor,     &mesos__v1__agent__response__descriptor,
    };
    if (size == 0) {
        return 0;
    }
    const ProtobufCMessageDescriptor *kind = kinds[data[0] % (sizeof(kinds) / sizeof(kinds[0]))];
    check_both_ways(kind, data + 1, size - 1, NULL);
    check_both_ways(kind, data + 1, size - 1, &mesos__v1__task_info__descriptor);
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    ProtobufCMessage *m;
    struct error err;
    if (wire_decode(kind, arena, data + 1, size - 1, &m, &err) != 0) {
        CHECK(err.code < 0 && err.text[0] != '\0');
        return 0;
    }
    check_pinned(m, data + 1, size - 1, &mesos__v1__task_status__descriptor);
    check_pinned(m, data + 1, size - 1, &mesos__v1__task_info__descriptor);
    AUTO_BUF struct buf bytes = BUF_INIT;
    wire_encode(m, &bytes);
    check_bytes(m, &bytes);
    ProtobufCMessage *again;
    CHECK(wire_decode(kind, arena, bytes.data, bytes.size, &again, &err) == 0);
    CHECK(wire_is_equal(m, again));
    CHECK(wire_is_equal(m, wire_copy(arena, m)));
    AUTO_BUF struct buf json = BUF_INIT;
    wire_json_encode(m, &json);
    if (strstr(json.data, ":null") == NULL && strstr(json.data, "[null") == NULL &&
        strstr(json.data, ",null") == NULL) {
        CHECK(wire_json_decode(kind, arena, json.data, json.size, &again, &err) == 0);
    }
    return 0;
}
