// SPDX-License-Identifier: Apache-2.0
//
// Any text as a message of the APIs. What is taken must encode to JSON that is taken again and
// encodes to the same, and to protobuf bytes that mean the same message.

#include <stdint.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "proto/agent.pb-c.h"
#include "proto/executor.pb-c.h"
#include "proto/master.pb-c.h"
#include "proto/scheduler.pb-c.h"
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

static void check_round_trip(const ProtobufCMessageDescriptor *kind, struct arena *arena,
                             const ProtobufCMessage *m)
{
    struct error err;
    ProtobufCMessage *again;
    AUTO_BUF struct buf json = BUF_INIT;
    wire_json_encode(m, &json);
    for (size_t i = 0; i < json.size; i++) {
        CHECK(json.data[i] >= 0x20 && json.data[i] < 0x7f);
    }
    CHECK(wire_json_decode(kind, arena, json.data, json.size, &again, &err) == 0);
    AUTO_BUF struct buf json2 = BUF_INIT;
    wire_json_encode(again, &json2);
    CHECK(json.size == json2.size && memcmp(json.data, json2.data, json.size) == 0);
    AUTO_BUF struct buf bytes = BUF_INIT;
    wire_encode(m, &bytes);
    check_bytes(m, &bytes);
    CHECK(wire_decode(kind, arena, bytes.data, bytes.size, &again, &err) == 0);
    CHECK(wire_is_equal(m, again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const ProtobufCMessageDescriptor *const kinds[] = {
        &mesos__v1__scheduler__call__descriptor,
        &mesos__v1__scheduler__event__descriptor,
        &mesos__v1__executor__call__descriptor,
        &mesos__v1__executor__event__descriptor,
        &mesos__v1__master__call__descriptor,
        &mesos__v1__agent__call__descriptor,
        &mesos__v1__scheduler__offer_constraints__descriptor,
    };
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        ProtobufCMessage *m;
        struct error err;
        if (wire_json_decode(kinds[i], arena, (const char *)data, size, &m, &err) == 0) {
            check_round_trip(kinds[i], arena, m);
        } else {
            CHECK(err.code < 0 && err.text[0] != '\0');
        }
    }
    ProtobufCMessage **messages;
    size_t count;
    if (wire_json_decode_list(&mesos__v1__resource__descriptor, arena, (const char *)data, size,
                              &messages, &count, NULL) == 0) {
        for (size_t i = 0; i < count; i++) {
            check_round_trip(&mesos__v1__resource__descriptor, arena, messages[i]);
        }
    }
    return 0;
}
