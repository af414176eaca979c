// SPDX-License-Identifier: Apache-2.0
//
// What encoding and decoding ask of a message type again and again, worked out once from
// protobuf-c's descriptor: a plan for each type, made when it is first met and kept for good. Each
// thread has its own, so no lock is needed; the number of message types bounds their memory.

#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stdint.h>

#include "wire/field.h"

// Of a variable of each thread: reached without a call.
#define WIRE_TLS __attribute__((tls_model("initial-exec")))

enum { PLAN_DIRECT_IDS = 48, TAG_SIZE_MAX = 5 };

struct wire_plan;

// How one sees whether a field has a value.
enum field_probe {
    PROBE_ASK, // a oneof, or a field without presence: field_is_set
    PROBE_ALWAYS,
    PROBE_POINTER,
    PROBE_COUNT,
    PROBE_FLAG,
};

struct field_plan {
    const ProtobufCFieldDescriptor *field;
    struct wire_plan *child; // of a message; NULL until it is needed
    uint32_t offset;
    uint32_t quantifier_offset;
    uint32_t probe_offset;
    uint8_t probe; // enum field_probe
    uint8_t type;  // ProtobufCType
    uint8_t label; // ProtobufCLabel
    bool is_oneof;
    bool is_map;
    bool is_packed;     // as it is written
    uint8_t wire_type;  // of one value
    uint8_t value_size; // in memory
    uint8_t tag_size;
    uint8_t tag[TAG_SIZE_MAX]; // as it is written
};

struct wire_plan {
    const ProtobufCMessageDescriptor *descriptor;
    uint32_t field_count;
    bool has_maps;
    struct field_set required;
    uint8_t by_id[PLAN_DIRECT_IDS]; // field's index + 1; 0: no such field
    struct field_plan fields[];
};

struct wire_plan *wire_plan_get(const ProtobufCMessageDescriptor *descriptor);

// The plan of a message field's type.
static inline struct wire_plan *wire_plan_child(struct field_plan *f)
{
    if (__builtin_expect(f->child == NULL, 0))
        f->child = wire_plan_get(f->field->descriptor);
    return f->child;
}

// The index of the field with that number, or -1.
int wire_plan_search(const struct wire_plan *plan, uint32_t id);

static inline int wire_plan_find(const struct wire_plan *plan, uint32_t id)
{
    return id < PLAN_DIRECT_IDS ? (int)plan->by_id[id] - 1 : wire_plan_search(plan, id);
}

// Whether the enum has that value.
bool wire_enum_has(const ProtobufCEnumDescriptor *descriptor, int value);

unsigned wire_type_of(ProtobufCType type);
