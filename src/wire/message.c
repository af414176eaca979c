// SPDX-License-Identifier: Apache-2.0
//
// What is done with whole messages: copy, compare; and the names of enum values.

#include <string.h>

#include "base/check.h"
#include "base/copy.h"
#include "wire/field.h"
#include "wire/plan.h"
#include "wire/wire.h"

// ---- pinned messages ----
//
// What was decoded never has unknown fields, so that protobuf-c's place for them is free: one there
// stands for the whole message. Its tag is the number of the live field.

void wire_pin(ProtobufCMessage *m, struct arena *arena, const void *data, size_t size,
              uint32_t live)
{
    wire_pin_with(m, arena_alloc(arena, sizeof(ProtobufCMessageUnknownField)), data, size, live);
}

static inline const uint8_t *skip_varint(const uint8_t *at, uint64_t *ret_value)
{
    if (*at < 0x80) {
        *ret_value = *at;
        return at + 1;
    }
    uint64_t value = *at & 0x7f;
    for (unsigned shift = 7; (*at++ & 0x80) != 0 && shift < 64; shift += 7)
        value |= (uint64_t)(*at & 0x7f) << shift;
    *ret_value = value;
    return at;
}

// The end of the field that begins at `at`, and its number.
static __attribute__((noinline)) const uint8_t *skip_long_field(const uint8_t *at, uint32_t *ret_id)
{
    uint64_t tag, value;
    at = skip_varint(at, &tag);
    *ret_id = (uint32_t)(tag >> 3);
    switch (tag & 7) {
    case PROTOBUF_C_WIRE_TYPE_64BIT:
        return at + 8;
    case PROTOBUF_C_WIRE_TYPE_32BIT:
        return at + 4;
    case PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED:
        at = skip_varint(at, &value);
        return at + value;
    default:
        return skip_varint(at, &value);
    }
}

// The same; most tags have one byte, and most values or lengths. No field is shorter than two.
static inline const uint8_t *skip_field(const uint8_t *at, uint32_t *ret_id)
{
    if ((at[0] | at[1]) >= 0x80)
        return skip_long_field(at, ret_id);
    *ret_id = at[0] >> 3;
    switch (at[0] & 7) {
    case PROTOBUF_C_WIRE_TYPE_64BIT:
        return at + 9;
    case PROTOBUF_C_WIRE_TYPE_32BIT:
        return at + 5;
    case PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED:
        return at + 2 + at[1];
    default:
        return at + 2;
    }
}

size_t wire_filter_fields(const void *data, size_t size, uint64_t left_out, void *out)
{
    const uint8_t *at = data, *end = at + size, *kept = at; // where what is to be copied begins
    uint8_t *to = out;
    while (at < end) {
        uint32_t id;
        const uint8_t *next = skip_field(at, &id);
        CHECK(next <= end);
        if (id < 64 && (left_out >> id & 1) != 0) {
            copy_short(to, kept, (size_t)(at - kept));
            to += at - kept;
            kept = next;
        }
        at = next;
    }
    copy_short(to, kept, (size_t)(end - kept));
    to += end - kept;
    return (size_t)(to - (uint8_t *)out);
}

// ---- copies ----

static ProtobufCMessage *copy_message(struct arena *arena, const ProtobufCMessage *m,
                                      unsigned depth);

// Replaces what `slot` (a flat copy) points to by copies.
static void copy_value(struct arena *arena, struct field_plan *f, void *slot, unsigned depth)
{
    if (f->type == PROTOBUF_C_TYPE_STRING) {
        *(char **)slot = arena_strdup(arena, *(char **)slot);
    } else if (f->type == PROTOBUF_C_TYPE_MESSAGE) {
        *(ProtobufCMessage **)slot = copy_message(arena, *(ProtobufCMessage **)slot, depth + 1);
    } else if (f->type == PROTOBUF_C_TYPE_BYTES) {
        ProtobufCBinaryData *bytes = slot;
        if (bytes->data != NULL) {
            bytes->data = arena_dup(arena, bytes->data, bytes->len);
        }
    }
}

static void copy_repeated(struct arena *arena, ProtobufCMessage *copy, struct field_plan *f,
                          unsigned depth)
{
    size_t count = *field_count(copy, f->field);
    void **slot = field_at(copy, f->field);
    if (count == 0) {
        *slot = NULL;
        return;
    }
    char *values = arena_dup(arena, *slot, count * f->value_size);
    *slot = values;
    for (size_t i = 0; i < count; i++) {
        copy_value(arena, f, values + i * f->value_size, depth);
    }
}

static ProtobufCMessage *copy_message(struct arena *arena, const ProtobufCMessage *m,
                                      unsigned depth)
{
    CHECK(depth <= WIRE_DEPTH_MAX);
    if (m == NULL) {
        return NULL;
    }
    struct wire_plan *plan = wire_plan_get(m->descriptor);
    ProtobufCMessage *copy = arena_dup(arena, m, m->descriptor->sizeof_message);
    copy->n_unknown_fields = 0;
    copy->unknown_fields = NULL;
    for (unsigned i = 0; i < plan->field_count; i++) {
        struct field_plan *f = &plan->fields[i];
        if (f->label == PROTOBUF_C_LABEL_REPEATED) {
            copy_repeated(arena, copy, f, depth);
        } else if (wire_plan_has(f, copy)) {
            copy_value(arena, f, (char *)copy + f->offset, depth);
        }
    }
    return copy;
}

ProtobufCMessage *wire_copy(struct arena *arena, const ProtobufCMessage *message)
{
    return copy_message(arena, message, 1);
}

// ---- equality ----

static bool is_same_message(const ProtobufCMessage *a, const ProtobufCMessage *b, unsigned depth);

static bool is_same_value(const ProtobufCFieldDescriptor *f, const void *a, const void *b,
                          unsigned depth)
{
    switch (f->type) {
    case PROTOBUF_C_TYPE_STRING: {
        const char *x = *(char *const *)a;
        const char *y = *(char *const *)b;
        return strcmp(x == NULL ? "" : x, y == NULL ? "" : y) == 0;
    }
    case PROTOBUF_C_TYPE_MESSAGE:
        return is_same_message(*(ProtobufCMessage *const *)a, *(ProtobufCMessage *const *)b,
                               depth + 1);
    case PROTOBUF_C_TYPE_BYTES: {
        const ProtobufCBinaryData *x = a;
        const ProtobufCBinaryData *y = b;
        return x->len == y->len && (x->len == 0 || memcmp(x->data, y->data, x->len) == 0);
    }
    case PROTOBUF_C_TYPE_BOOL:
        return !*(const protobuf_c_boolean *)a == !*(const protobuf_c_boolean *)b;
    default:
        return memcmp(a, b, field_value_size(f)) == 0;
    }
}

static bool is_same_field(const ProtobufCMessage *a, const ProtobufCMessage *b,
                          const ProtobufCFieldDescriptor *f, unsigned depth)
{
    if (f->label != PROTOBUF_C_LABEL_REPEATED) {
        bool is_set = field_is_set(a, f);
        return is_set == field_is_set(b, f) &&
               (!is_set || is_same_value(f, field_at(a, f), field_at(b, f), depth));
    }
    size_t count = *field_count(a, f);
    if (count != *field_count(b, f)) {
        return false;
    }
    const char *x = *(char **)field_at(a, f);
    const char *y = *(char **)field_at(b, f);
    size_t value_size = field_value_size(f);
    for (size_t i = 0; i < count; i++) {
        if (!is_same_value(f, x + i * value_size, y + i * value_size, depth)) {
            return false;
        }
    }
    return true;
}

static bool is_same_message(const ProtobufCMessage *a, const ProtobufCMessage *b, unsigned depth)
{
    CHECK(depth <= WIRE_DEPTH_MAX);
    if (a == b) {
        return true;
    }
    if (a == NULL || b == NULL || a->descriptor != b->descriptor) {
        return false;
    }
    for (unsigned i = 0; i < a->descriptor->n_fields; i++) {
        if (!is_same_field(a, b, &a->descriptor->fields[i], depth)) {
            return false;
        }
    }
    return true;
}

int wire_is_equal(const ProtobufCMessage *a, const ProtobufCMessage *b)
{
    return is_same_message(a, b, 1);
}

// ---- enums ----

const char *wire_enum_name(const ProtobufCEnumDescriptor *descriptor, int value)
{
    const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(descriptor, value);
    return v == NULL ? NULL : v->name;
}

int wire_enum_value(const ProtobufCEnumDescriptor *descriptor, const char *name)
{
    const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value_by_name(descriptor, name);
    return v == NULL ? -1 : v->value;
}

// ---- allocator ----

static void *allocate(void *arena, size_t size)
{
    return arena_alloc(arena, size);
}

static void allocator_free(void *arena, void *pointer)
{
    (void)arena;
    (void)pointer;
}

ProtobufCAllocator wire_arena_allocator(struct arena *arena)
{
    return (ProtobufCAllocator){.alloc = allocate, .free = allocator_free, .allocator_data = arena};
}
