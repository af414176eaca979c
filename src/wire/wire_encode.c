// SPDX-License-Identifier: Apache-2.0
//
// Messages to protobuf bytes, from the last byte to the first. Written that way a nested message's
// size is known when its turn comes, so that nothing is measured beforehand. The bytes are those of
// protobuf-c: fields in the order of their numbers, without those that are unset.

#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "wire/plan.h"
#include "wire/wire.h"

enum { SCRATCH_SIZE_MIN = 64 * 1024, SCRATCH_SIZE_KEPT = 1024 * 1024, VARINT_SIZE_MAX = 10 };

// Bytes that grow towards the front.
struct back {
    uint8_t *data;
    uint8_t *at; // the first byte written
    uint8_t *end;
};

// Of each thread, so that a message costs no allocation.
static _Thread_local struct back scratch WIRE_TLS;

static void grow(struct back *b, size_t size)
{
    size_t used = (size_t)(b->end - b->at);
    size_t capacity = (size_t)(b->end - b->data);
    do
        capacity = capacity > 0 ? capacity * 2 : SCRATCH_SIZE_MIN;
    while (capacity - used < size);
    uint8_t *data = mem_alloc(capacity);
    if (used > 0)
        memcpy(data + capacity - used, b->at, used);
    mem_free(b->data);
    b->data = data;
    b->end = data + capacity;
    b->at = b->end - used;
}

// Room for `size` bytes before what is there.
static inline void need(struct back *b, size_t size)
{
    if (__builtin_expect((size_t)(b->at - b->data) < size, 0))
        grow(b, size);
}

static inline void put_bytes(struct back *b, const void *data, size_t size)
{
    need(b, size);
    b->at -= size;
    if (size > 0)
        memcpy(b->at, data, size);
}

static inline void put_varint(struct back *b, uint64_t value)
{
    need(b, VARINT_SIZE_MAX);
    if (value < 0x80) {
        *--b->at = (uint8_t)value;
        return;
    }
    uint8_t bytes[VARINT_SIZE_MAX];
    size_t size = 0;
    do {
        bytes[size++] = (uint8_t)((value & 0x7f) | 0x80);
        value >>= 7;
    } while (value != 0);
    bytes[size - 1] &= 0x7f;
    b->at -= size;
    memcpy(b->at, bytes, size);
}

static inline void put_tag(struct back *b, const struct field_plan *f)
{
    need(b, TAG_SIZE_MAX);
    if (f->tag_size == 1) {
        *--b->at = f->tag[0];
        return;
    }
    b->at -= f->tag_size;
    memcpy(b->at, f->tag, f->tag_size);
}

static void put_message(struct back *b, struct wire_plan *plan, const ProtobufCMessage *m,
                        unsigned depth);

static void put_nested(struct back *b, struct field_plan *f, const ProtobufCMessage *m,
                       unsigned depth)
{
    // As an offset, since the buffer may move.
    size_t before = (size_t)(b->end - b->at);
    if (m != NULL)
        put_message(b, wire_plan_child(f), m, depth + 1);
    put_varint(b, (size_t)(b->end - b->at) - before);
}

static void put_text(struct back *b, const char *text)
{
    size_t size = text != NULL ? strlen(text) : 0;
    put_bytes(b, text, size);
    put_varint(b, size);
}

// One value without its tag.
static void put_value(struct back *b, struct field_plan *f, const void *slot, unsigned depth)
{
    switch ((ProtobufCType)f->type) {
    case PROTOBUF_C_TYPE_STRING:
        put_text(b, *(char *const *)slot);
        break;
    case PROTOBUF_C_TYPE_MESSAGE:
        put_nested(b, f, *(ProtobufCMessage *const *)slot, depth);
        break;
    case PROTOBUF_C_TYPE_BYTES: {
        const ProtobufCBinaryData *bytes = slot;
        put_bytes(b, bytes->data, bytes->len);
        put_varint(b, bytes->len);
        break;
    }
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_ENUM:
        put_varint(b, (uint64_t)(int64_t) * (const int32_t *)slot);
        break;
    case PROTOBUF_C_TYPE_UINT32:
        put_varint(b, *(const uint32_t *)slot);
        break;
    case PROTOBUF_C_TYPE_SINT32: {
        uint32_t value = *(const uint32_t *)slot;
        put_varint(b, value << 1 ^ (0 - (value >> 31)));
        break;
    }
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_UINT64:
        put_varint(b, *(const uint64_t *)slot);
        break;
    case PROTOBUF_C_TYPE_SINT64: {
        uint64_t value = *(const uint64_t *)slot;
        put_varint(b, value << 1 ^ (0 - (value >> 63)));
        break;
    }
    case PROTOBUF_C_TYPE_BOOL:
        put_varint(b, *(const protobuf_c_boolean *)slot != 0);
        break;
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE: {
        // The wire is little-endian, as are the machines this is built for.
        _Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are copied as they are");
        put_bytes(b, slot, f->value_size);
        break;
    }
    }
}

static void put_repeated(struct back *b, struct field_plan *f, const ProtobufCMessage *m,
                         unsigned depth)
{
    size_t count = *(const size_t *)(const void *)((const char *)m + f->quantifier_offset);
    const char *values = *(char *const *)(const void *)((const char *)m + f->offset);
    size_t before = (size_t)(b->end - b->at);
    for (size_t i = count; i-- > 0;) {
        put_value(b, f, values + i * f->value_size, depth);
        if (!f->is_packed)
            put_tag(b, f);
    }
    if (f->is_packed) {
        put_varint(b, (size_t)(b->end - b->at) - before);
        put_tag(b, f);
    }
}

static void put_pinned(struct back *b, struct wire_plan *plan, const ProtobufCMessage *m,
                       unsigned depth)
{
    const ProtobufCMessageUnknownField *pin = m->unknown_fields;
    int live = pin->tag != 0 ? wire_plan_find(plan, pin->tag) : -1;
    if (live >= 0 && wire_plan_has(&plan->fields[live], m))
        put_repeated(b, &plan->fields[live], m, depth);
    put_bytes(b, pin->data, pin->len);
}

static void put_message(struct back *b, struct wire_plan *plan, const ProtobufCMessage *m,
                        unsigned depth)
{
    CHECK(depth <= WIRE_DEPTH_MAX + 1);
    if (wire_is_pinned(m)) {
        put_pinned(b, plan, m, depth);
        return;
    }
    for (unsigned i = plan->field_count; i-- > 0;) {
        struct field_plan *f = &plan->fields[i];
        if (!wire_plan_has(f, m)) {
            continue;
        }
        if (f->label == PROTOBUF_C_LABEL_REPEATED) {
            put_repeated(b, f, m, depth);
        } else {
            put_value(b, f, (const char *)m + f->offset, depth);
            put_tag(b, f);
        }
    }
}

size_t wire_pack(const ProtobufCMessage *message, const void **ret_data)
{
    struct back *b = &scratch;
    if ((size_t)(b->end - b->data) > SCRATCH_SIZE_KEPT) {
        mem_free(b->data);
        *b = (struct back){0};
    }
    b->at = b->end;
    put_message(b, wire_plan_get(message->descriptor), message, 1);
    *ret_data = b->at;
    return (size_t)(b->end - b->at);
}

void wire_encode(const ProtobufCMessage *message, struct buf *out)
{
    const void *data;
    size_t size = wire_pack(message, &data);
    buf_reserve(out, size);
    buf_append(out, data, size);
}
