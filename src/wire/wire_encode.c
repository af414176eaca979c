// SPDX-License-Identifier: Apache-2.0
//
// Messages to protobuf bytes, from the last byte to the first. Written that way a nested message's
// size is known when its turn comes, so that nothing is measured beforehand. The bytes are those of
// protobuf-c: fields in the order of their numbers, without those that are unset.

#include <string.h>

#include "base/check.h"
#include "base/copy.h"
#include "base/mem.h"
#include "wire/plan.h"
#include "wire/wire.h"

enum {
    SCRATCH_SIZE_MIN = 64 * 1024,
    SCRATCH_SIZE_KEPT = 1024 * 1024,
    VARINT_SIZE_MAX = 10,
    HEAD_SIZE_MAX = TAG_SIZE_MAX + VARINT_SIZE_MAX, // what stands before a value
};

// A block that is filled from its end. Where it is filled down to is handed from function to
// function, and not kept here: `at`, the first byte written.
struct back {
    uint8_t *data;
    uint8_t *end;
};

// Of each thread, so that a message costs no allocation.
static _Thread_local struct back scratch WIRE_TLS;

static __attribute__((noinline)) uint8_t *grow(struct back *b, const uint8_t *at, size_t size)
{
    size_t used = (size_t)(b->end - at);
    size_t capacity = (size_t)(b->end - b->data);
    do
        capacity = capacity > 0 ? capacity * 2 : SCRATCH_SIZE_MIN;
    while (capacity - used < size);
    uint8_t *data = mem_alloc(capacity);
    if (used > 0)
        memcpy(data + capacity - used, at, used);
    mem_free(b->data);
    b->data = data;
    b->end = data + capacity;
    return b->end - used;
}

// Room for `size` bytes before `at`. Returns where that is now: the block may move.
static inline uint8_t *need(struct back *b, uint8_t *at, size_t size)
{
    return __builtin_expect((size_t)(at - b->data) < size, 0) ? grow(b, at, size) : at;
}

// These four are given the room that they need, and return where they wrote.

static inline uint8_t *put_varint(uint8_t *at, uint64_t value)
{
    if (__builtin_expect(value < 0x80, 1)) {
        *--at = (uint8_t)value;
        return at;
    }
    if (value < 0x4000) {
        *--at = (uint8_t)(value >> 7);
        *--at = (uint8_t)(value | 0x80);
        return at;
    }
    uint8_t bytes[VARINT_SIZE_MAX];
    size_t size = 0;
    do {
        bytes[size++] = (uint8_t)((value & 0x7f) | 0x80);
        value >>= 7;
    } while (value != 0);
    bytes[size - 1] &= 0x7f;
    return memcpy(at - size, bytes, size);
}

static inline uint8_t *put_tag(uint8_t *at, const struct field_plan *f)
{
    if (__builtin_expect(f->tag_size == 1, 1)) {
        *--at = f->tag[0];
        return at;
    }
    return memcpy(at - f->tag_size, f->tag, f->tag_size);
}

static inline uint8_t *put_head(uint8_t *at, const struct field_plan *f, size_t size)
{
    return put_tag(put_varint(at, size), f);
}

// A number without its tag. The wire is little-endian, as are the machines this is built for.
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are copied as they are");
static inline uint8_t *put_number(uint8_t *at, const struct field_plan *f, const void *slot)
{
    switch ((ProtobufCType)f->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_ENUM:
        return put_varint(at, (uint64_t)(int64_t) * (const int32_t *)slot);
    case PROTOBUF_C_TYPE_UINT32:
        return put_varint(at, *(const uint32_t *)slot);
    case PROTOBUF_C_TYPE_SINT32: {
        uint32_t value = *(const uint32_t *)slot;
        return put_varint(at, value << 1 ^ (0 - (value >> 31)));
    }
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_UINT64:
        return put_varint(at, *(const uint64_t *)slot);
    case PROTOBUF_C_TYPE_SINT64: {
        uint64_t value = *(const uint64_t *)slot;
        return put_varint(at, value << 1 ^ (0 - (value >> 63)));
    }
    case PROTOBUF_C_TYPE_BOOL:
        return put_varint(at, *(const protobuf_c_boolean *)slot != 0);
    default:
        return memcpy(at - f->value_size, slot, f->value_size);
    }
}

static inline uint8_t *put_bytes(struct back *b, uint8_t *at, const struct field_plan *f,
                                 const void *data, size_t size)
{
    at = need(b, at, size + HEAD_SIZE_MAX) - size;
    copy_short(at, data, size);
    return put_head(at, f, size);
}

static uint8_t *put_message(struct back *b, uint8_t *at, struct wire_plan *plan,
                            const ProtobufCMessage *m, unsigned depth);
static uint8_t *put_pinned(struct back *b, uint8_t *at, struct wire_plan *plan,
                           const ProtobufCMessage *m, unsigned depth);

static inline uint8_t *put_nested(struct back *b, uint8_t *at, struct field_plan *f,
                                  const ProtobufCMessage *m, unsigned depth)
{
    // As an offset, since the block may move.
    size_t before = (size_t)(b->end - at);
    if (f->is_id && m != NULL && !wire_is_pinned(m)) {
        const char *text = ((const struct wire_id *)(const void *)m)->text;
        size_t size = text != NULL ? strlen(text) : 0;
        at = need(b, at, size + 2 * HEAD_SIZE_MAX) - size;
        copy_short(at, text, size);
        at = put_varint(at, size);
        *--at = WIRE_ID_TAG;
    } else if (m != NULL) {
        struct wire_plan *plan = wire_plan_child(f);
        at = wire_is_pinned(m) ? put_pinned(b, at, plan, m, depth + 1)
                               : put_message(b, at, plan, m, depth + 1);
        at = need(b, at, HEAD_SIZE_MAX);
    } else {
        at = need(b, at, HEAD_SIZE_MAX);
    }
    return put_head(at, f, (size_t)(b->end - at) - before);
}

// One value with its tag.
static inline uint8_t *put_value(struct back *b, uint8_t *at, struct field_plan *f,
                                 const void *slot, unsigned depth)
{
    switch ((ProtobufCType)f->type) {
    case PROTOBUF_C_TYPE_STRING: {
        const char *text = *(char *const *)slot;
        return put_bytes(b, at, f, text, text != NULL ? strlen(text) : 0);
    }
    case PROTOBUF_C_TYPE_MESSAGE:
        return put_nested(b, at, f, *(ProtobufCMessage *const *)slot, depth);
    case PROTOBUF_C_TYPE_BYTES: {
        const ProtobufCBinaryData *bytes = slot;
        return put_bytes(b, at, f, bytes->data, bytes->len);
    }
    default:
        return put_tag(put_number(need(b, at, HEAD_SIZE_MAX), f, slot), f);
    }
}

static __attribute__((noinline)) uint8_t *put_repeated(struct back *b, uint8_t *at,
                                                       struct field_plan *f,
                                                       const ProtobufCMessage *m, unsigned depth)
{
    size_t count = *(const size_t *)(const void *)((const char *)m + f->quantifier_offset);
    const char *values = *(char *const *)(const void *)((const char *)m + f->offset);
    if (!f->is_packed) {
        for (size_t i = count; i-- > 0;)
            at = put_value(b, at, f, values + i * f->value_size, depth);
        return at;
    }
    size_t before = (size_t)(b->end - at);
    for (size_t i = count; i-- > 0;)
        at = put_number(need(b, at, VARINT_SIZE_MAX), f, values + i * f->value_size);
    at = need(b, at, HEAD_SIZE_MAX);
    return put_head(at, f, (size_t)(b->end - at) - before);
}

static __attribute__((noinline)) uint8_t *put_pinned(struct back *b, uint8_t *at,
                                                     struct wire_plan *plan,
                                                     const ProtobufCMessage *m, unsigned depth)
{
    const ProtobufCMessageUnknownField *pin = m->unknown_fields;
    int live = pin->tag != 0 ? wire_plan_find(plan, pin->tag) : -1;
    if (live >= 0 && wire_plan_has(&plan->fields[live], m))
        at = put_repeated(b, at, &plan->fields[live], m, depth);
    at = need(b, at, pin->len) - pin->len;
    copy_short(at, pin->data, pin->len);
    return at;
}

static uint8_t *put_message(struct back *b, uint8_t *at, struct wire_plan *plan,
                            const ProtobufCMessage *m, unsigned depth)
{
    CHECK(depth <= WIRE_DEPTH_MAX + 1);
    for (struct field_plan *f = plan->fields + plan->field_count; f > plan->fields;) {
        f--;
        if (f->ends_row && wire_plan_row_is_unset(f, m)) {
            f -= PLAN_ROW - 1;
            continue;
        }
        if (!wire_plan_has(f, m))
            continue;
        at = f->label == PROTOBUF_C_LABEL_REPEATED
                 ? put_repeated(b, at, f, m, depth)
                 : put_value(b, at, f, (const char *)m + f->offset, depth);
    }
    return at;
}

size_t wire_pack(const ProtobufCMessage *message, const void **ret_data)
{
    struct back b = scratch;
    if ((size_t)(b.end - b.data) > SCRATCH_SIZE_KEPT) {
        mem_free(b.data);
        b = (struct back){0};
    }
    struct wire_plan *plan = wire_plan_get(message->descriptor);
    uint8_t *at = wire_is_pinned(message) ? put_pinned(&b, b.end, plan, message, 1)
                                          : put_message(&b, b.end, plan, message, 1);
    scratch = b;
    *ret_data = at;
    return (size_t)(b.end - at);
}

void wire_encode(const ProtobufCMessage *message, struct buf *out)
{
    const void *data;
    size_t size = wire_pack(message, &data);
    buf_reserve(out, size);
    buf_append(out, data, size);
}
