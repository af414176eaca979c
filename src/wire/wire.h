// SPDX-License-Identifier: Apache-2.0
//
// Messages in and out: protobuf and Mesos' JSON dialect, over protobuf-c's descriptors.
//
// Decoding checks before it builds: size, depth, UTF-8 and required fields, so a decoded message
// can be used without looking for NULL in its required fields (recursively). Everything decoded
// lives in the caller's arena. Names are the short proto names ("framework_info.user") in error
// texts.

#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "wire/json.h"

// Limits that hold for every input, whatever its encoding.
enum {
    WIRE_DEPTH_MAX = 64,              // nested messages, objects and arrays
    WIRE_SIZE_MAX = 64 * 1024 * 1024, // bytes of one message
};

// Protobuf bytes to a message. -EBADMSG with a text that names what is wrong (a missing required
// field is named by its path); -EFBIG. An enum value that is unknown counts as unset when the field
// is optional (repeated: left out), and is an error when it is required.
int wire_decode(const ProtobufCMessageDescriptor *descriptor, struct arena *arena, const void *data,
                size_t size, ProtobufCMessage **ret_message, struct error *err);

// The same; nested messages of the type `pinned` keep a copy of the bytes that they were read from
// (wire_pin), and are encoded as these.
int wire_decode_pinned(const ProtobufCMessageDescriptor *descriptor, struct arena *arena,
                       const void *data, size_t size, const ProtobufCMessageDescriptor *pinned,
                       ProtobufCMessage **ret_message, struct error *err);

// From now on the message is encoded to protobuf as these bytes, and after them the repeated field
// with the number `live`, if there is one, as it stands then (0: no field). For messages that are
// passed on as they came. Whoever changes another field unpins it first. A flat copy of a message
// is pinned as that is; wire_copy gives one that is not. `data` must live as long as the message.
void wire_pin(ProtobufCMessage *m, struct arena *arena, const void *data, size_t size,
              uint32_t live);
// The same; `pin` is memory that lives as long as the message.
static inline void wire_pin_with(ProtobufCMessage *m, ProtobufCMessageUnknownField *pin,
                                 const void *data, size_t size, uint32_t live)
{
    *pin = (ProtobufCMessageUnknownField){.tag = live, .len = size, .data = (uint8_t *)data};
    m->n_unknown_fields = 1;
    m->unknown_fields = pin;
}
static inline bool wire_is_pinned(const ProtobufCMessage *m)
{
    return m->n_unknown_fields > 0;
}
static inline void wire_unpin(ProtobufCMessage *m)
{
    m->n_unknown_fields = 0;
}
// The bytes of a pinned message.
static inline const void *wire_pinned_bytes(const ProtobufCMessage *m, size_t *ret_size)
{
    *ret_size = m->unknown_fields->len;
    return m->unknown_fields->data;
}
// Copies an encoded message without its fields whose number is below 64 and in `left_out` (bit N is
// number N). Returns the size; `out` has room for `size` bytes. The bytes must be sound.
size_t wire_filter_fields(const void *data, size_t size, uint64_t left_out, void *out);

// Appends the message's protobuf bytes.
void wire_encode(const ProtobufCMessage *message, struct buf *out);
// The same bytes, valid until the next message is encoded in this thread.
size_t wire_pack(const ProtobufCMessage *message, const void **ret_data);

// JSON text to a message, Mesos' way: unknown keys are ignored, null is unset, numbers and booleans
// may be strings, one value may stand for a list of one, enums by name (unknown: unset when
// optional), bytes in base64, 64-bit integers as numbers, maps as objects; an array where one value
// is meant is an error; field names are exactly the proto's. Text after the value is an error. Of a
// key that comes twice the last counts. -EBADMSG: the text is not JSON (the text says where);
// -EINVAL: it is, but does not fit the message (wrong kind of value, missing required fields, which
// are named by path); -EFBIG: too large.
int wire_json_decode(const ProtobufCMessageDescriptor *descriptor, struct arena *arena,
                     const char *text, size_t size, ProtobufCMessage **ret_message,
                     struct error *err);

// A JSON array of messages (`--resources` as JSON, /reserve, ...).
int wire_json_decode_list(const ProtobufCMessageDescriptor *descriptor, struct arena *arena,
                          const char *text, size_t size, ProtobufCMessage ***ret_messages,
                          size_t *ret_count, struct error *err);

// Appends the message as JSON, Mesos' way: one line, no white space, plain ASCII (\u escapes),
// names as in the proto, empty repeated fields left out, optional fields with a declared default
// written though unset (unless deprecated), enums by name, bytes in base64, doubles shortest with
// ".0".
void wire_json_encode(const ProtobufCMessage *message, struct buf *out);

// The same as the next value of a writer, to place a message within other JSON.
void wire_json_put(struct json_writer *w, const ProtobufCMessage *message);

// A deep copy in `arena`.
ProtobufCMessage *wire_copy(struct arena *arena, const ProtobufCMessage *message);

// True when both encode to the same protobuf bytes.
int wire_is_equal(const ProtobufCMessage *a, const ProtobufCMessage *b);

// The name of an enum value, or NULL; the value by name, or -1 when unknown.
const char *wire_enum_name(const ProtobufCEnumDescriptor *descriptor, int value);
int wire_enum_value(const ProtobufCEnumDescriptor *descriptor, const char *name);

// ProtobufCAllocator over an arena, for calling protobuf-c directly. Its free does nothing.
ProtobufCAllocator wire_arena_allocator(struct arena *arena);

// Typed shorthand: WIRE_NEW(arena, Mesos__V1__TaskStatus, mesos__v1__task_status) gives an
// initialised message in the arena. WIRE_COPY(arena, Type, message) copies deeply.
#define WIRE_NEW(arena, type, prefix)                                                              \
    ({                                                                                             \
        type *new_ = arena_alloc((arena), sizeof(type));                                           \
        prefix##__init(new_);                                                                      \
        new_;                                                                                      \
    })
#define WIRE_COPY(arena, type, message) ((type *)wire_copy((arena), &(message)->base))
