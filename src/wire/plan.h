// SPDX-License-Identifier: Apache-2.0
//
// What encoding and decoding ask of a message type again and again, worked out once from
// protobuf-c's descriptor: a plan for each type, made when it is first met and kept for good. Each
// thread has its own, so no lock is needed; the number of message types bounds their memory.

#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "wire/field.h"

// Of a variable of each thread: reached without a call.
#define WIRE_TLS __attribute__((tls_model("initial-exec")))

// Fields with numbers up to 31 are found by their tag at once.
enum { PLAN_DIRECT_TAGS = 32 * 8, TAG_SIZE_MAX = 5, PLAN_ROW = 4 };

struct wire_plan;

// How one sees whether a field has a value.
enum field_probe {
    PROBE_ASK, // a oneof, or a field without presence: field_is_set
    PROBE_ALWAYS,
    PROBE_POINTER,
    PROBE_COUNT,
    PROBE_FLAG,
};

// How wire_quick.c reads a field that comes in its own wire type.
enum field_read {
    READ_ID, // a message that is laid out as struct wire_id
    READ_MESSAGE,
    READ_TEXT,
    READ_POINTED_LAST = READ_TEXT, // so far, values are pointers
    READ_BYTES,
    READ_ENUM, // whose values stand in one row
    READ_ENUM_IN_ROWS,
    READ_BOOL,
    READ_VARINT32,
    READ_VARINT64,
    READ_FIXED32,
    READ_FIXED64,
    READ_RUN, // a repeated field
    READ_NOT, // members of oneofs, and what else is rare
};

struct field_plan {
    const ProtobufCFieldDescriptor *field;
    struct wire_plan *child; // of a message; NULL until it is needed
    uint32_t offset;
    uint32_t quantifier_offset;
    uint32_t probe_offset;
    uint64_t probe_mask; // of the 8 bytes at probe_offset: nothing is set when they have none of it
    uint8_t probe;       // enum field_probe
    uint8_t read;        // enum field_read
    uint8_t read_each;   // enum field_read of one value of a repeated field
    uint8_t type;        // ProtobufCType
    uint8_t label;       // ProtobufCLabel
    bool is_oneof;
    bool is_map;
    bool is_id;         // of a message that is laid out as struct wire_id
    bool is_packed;     // as it is written
    bool ends_row;      // it and the PLAN_ROW - 1 before it are pointers that lie in a row
    uint8_t wire_type;  // of one value
    uint8_t value_size; // in memory
    uint8_t tag_size;
    uint8_t tag[TAG_SIZE_MAX]; // as it is written
    uint8_t json_key_size;
    const char *json_key;      // `,"name":`, never freed
    const void *json_default;  // what JSON shows when it is unset; NULL: nothing
    uint64_t not_required_bit; // all bits but its own in field_set.bits[0], if it is there
    int32_t enum_first;        // of READ_ENUM
    uint32_t enum_count;
};

// How a message lies in memory that has one field, a required text with the number 1, as have most
// nested messages: FrameworkID, TaskID and so on.
struct wire_id {
    ProtobufCMessage base;
    char *text;
};
enum { WIRE_ID_TAG = 1 << 3 | PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED };

struct wire_plan {
    const ProtobufCMessageDescriptor *descriptor;
    ProtobufCMessageInit message_init; // the descriptor's
    size_t message_size;               // the same
    uint32_t field_count;
    bool has_maps;
    struct field_set required;
    struct field_plan *by_tag[PLAN_DIRECT_TAGS]; // the number and a value's own wire type
    struct field_plan fields[];
};

// Plans by the address of their descriptor, in open addressing: small enough to be searched often,
// large enough for all types of all our protocols twice over.
enum { PLAN_SLOT_BITS = 10, PLAN_SLOTS = 1 << PLAN_SLOT_BITS };
struct wire_plans {
    struct wire_plan *slots[PLAN_SLOTS];
    unsigned count;
};

// Private to plan.c. A pointer only: a shared library has little room of this kind.
extern _Thread_local struct wire_plans *wire_plans WIRE_TLS;
struct wire_plan *wire_plan_search(const ProtobufCMessageDescriptor *descriptor, size_t slot);

static inline struct wire_plan *wire_plan_get(const ProtobufCMessageDescriptor *descriptor)
{
    size_t slot =
        ((uintptr_t)descriptor >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> (64 - PLAN_SLOT_BITS);
    if (__builtin_expect(wire_plans != NULL, 1)) {
        struct wire_plan *plan = wire_plans->slots[slot];
        if (plan != NULL && plan->descriptor == descriptor)
            return plan;
    }
    return wire_plan_search(descriptor, slot);
}

// The plan of a message field's type.
static inline struct wire_plan *wire_plan_child(struct field_plan *f)
{
    if (__builtin_expect(f->child == NULL, 0))
        f->child = wire_plan_get(f->field->descriptor);
    return f->child;
}

// The index of the field with that number, or -1.
int wire_plan_find(const struct wire_plan *plan, uint32_t id);

// Whether one look shows that the field has none.
static inline bool wire_plan_is_unset(const struct field_plan *f, const ProtobufCMessage *m)
{
    uint64_t word;
    memcpy(&word, (const char *)m + f->probe_offset, sizeof(word));
    return (word & f->probe_mask) == 0;
}

// Whether the field has a value, or values: most fields of most messages are unset, so this is
// asked of many and answered by one look.
static inline bool wire_plan_has(const struct field_plan *f, const ProtobufCMessage *m)
{
    const char *at = (const char *)m + f->probe_offset;
    uint64_t word;
    memcpy(&word, at, sizeof(word));
    if ((word & f->probe_mask) == 0)
        return false;
    if (f->probe == PROBE_POINTER)
        return f->field->default_value == NULL ||
               *(const void *const *)(const void *)at != f->field->default_value;
    return f->probe != PROBE_ASK || field_is_set(m, f->field);
}

// Whether all of the row that the field ends is unset: messages that are one of many have rows of
// such fields.
static inline bool wire_plan_row_is_unset(const struct field_plan *f, const ProtobufCMessage *m)
{
    const void *const *row = (const void *const *)(const void *)((const char *)m + f->offset);
    return row[0] == NULL && row[-1] == NULL && row[-2] == NULL && row[-3] == NULL;
}

// Whether the enum has that value.
bool wire_enum_has(const ProtobufCEnumDescriptor *descriptor, int value);

unsigned wire_type_of(ProtobufCType type);
