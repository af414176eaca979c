// SPDX-License-Identifier: Apache-2.0
//
// Protobuf bytes to messages as nearly all come: each field in its own wire type, a nested message
// once, the values of a repeated field one behind the other; unknown fields may be between.
// Whatever else there is (what is broken or missing, a message in parts, packed lists, oneofs) ends
// it with a "no" and no error: wire_decode.c then reads the whole anew. So nothing here knows where
// in the message it is, and input that is odd at every level is still read no more than twice.

#include <string.h>

#include "wire/json_scan.h"
#include "wire/quick.h"

struct quick {
    struct arena *arena;
    // How much the arena may have handed out by now. wire_build's budget counts texts not at all,
    // and each other allocation at most twice; half of it is the limit here, so that this way says
    // no first.
    size_t arena_size_max;
    const ProtobufCMessageDescriptor *pinned; // as in wire_build
};

// For messages and arrays.
static inline void *take(struct quick *q, size_t size)
{
    return arena_alloc_aligned(q->arena, size, ARENA_SMALL_ALIGNMENT);
}

static __attribute__((noinline)) const uint8_t *take_long_varint(const uint8_t *at,
                                                                 const uint8_t *end,
                                                                 uint64_t *ret_value)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 70 && at < end; shift += 7) {
        uint8_t byte = *at++;
        value |= (uint64_t)(byte & 0x7f) << (shift < 64 ? shift : 63);
        if (byte < 0x80) {
            *ret_value = value;
            return at;
        }
    }
    return NULL;
}

// Returns what follows it; NULL: it is broken.
static inline const uint8_t *take_varint(const uint8_t *at, const uint8_t *end, uint64_t *ret_value)
{
    if (__builtin_expect(at < end && *at < 0x80, 1)) {
        *ret_value = *at;
        return at + 1;
    }
    return take_long_varint(at, end, ret_value);
}

// The length of what stands behind it. NULL: it is broken, or not all of that is there.
static inline const uint8_t *take_size(const uint8_t *at, const uint8_t *end, size_t *ret_size)
{
    uint64_t size;
    at = take_varint(at, end, &size);
    if (at == NULL || size > (uint64_t)(end - at)) {
        return NULL;
    }
    *ret_size = (size_t)size;
    return at;
}

// Steps over a field that the message's type has not.
static __attribute__((noinline)) const uint8_t *skip_unknown(const struct wire_plan *plan,
                                                             const uint8_t *at, const uint8_t *end)
{
    uint64_t tag, number;
    size_t size = 0;
    at = take_varint(at, end, &tag);
    if (at == NULL || tag >> 3 == 0 || tag >> 3 > 0x1fffffff ||
        wire_plan_find(plan, (uint32_t)(tag >> 3)) >= 0) {
        return NULL;
    }
    switch (tag & 7) {
    case PROTOBUF_C_WIRE_TYPE_VARINT:
        return take_varint(at, end, &number);
    case PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED:
        at = take_size(at, end, &size);
        return at != NULL ? at + size : NULL;
    case PROTOBUF_C_WIRE_TYPE_64BIT:
        return end - at >= 8 ? at + 8 : NULL;
    case PROTOBUF_C_WIRE_TYPE_32BIT:
        return end - at >= 4 ? at + 4 : NULL;
    default:
        return NULL;
    }
}

// Of blocks of a text that are all told to be ASCII without NUL by one look: a byte's highest bit
// is set in `odd` once one was none of these.
#define COPY_BLOCK(type, odd, to, from)                                                            \
    ({                                                                                             \
        type block_;                                                                               \
        memcpy(&block_, (from), sizeof(block_));                                                   \
        memcpy((to), &block_, sizeof(block_));                                                     \
        (odd) |= block_ | (type)(block_ == 0);                                                     \
    })

typedef int8_t block16 __attribute__((vector_size(16)));
typedef int8_t block8 __attribute__((vector_size(8)));

static inline bool copy_short(uint8_t *to, const uint8_t *from, size_t size)
{
    uint8_t odd = 0;
    for (size_t i = 0; i < size; i++) {
        to[i] = from[i];
        odd |= from[i] | (from[i] == 0 ? 0x80 : 0);
    }
    return odd < 0x80;
}

// Copies a text. Returns whether it is ASCII without NUL, as nearly all is. The last block overlaps
// the one before it.
static inline bool copy_plain(uint8_t *to, const uint8_t *from, size_t size)
{
    uint64_t bits[2] = {0, 0};
    if (size >= sizeof(block16)) {
        block16 odd = {0};
        for (size_t i = 0; i < size - sizeof(odd); i += sizeof(odd)) {
            COPY_BLOCK(block16, odd, to + i, from + i);
        }
        COPY_BLOCK(block16, odd, to + size - sizeof(odd), from + size - sizeof(odd));
        memcpy(bits, &odd, sizeof(odd));
    } else if (size >= sizeof(block8)) {
        block8 odd = {0};
        COPY_BLOCK(block8, odd, to, from);
        COPY_BLOCK(block8, odd, to + size - sizeof(odd), from + size - sizeof(odd));
        memcpy(bits, &odd, sizeof(odd));
    } else {
        return copy_short(to, from, size);
    }
    return ((bits[0] | bits[1]) & UINT64_C(0x8080808080808080)) == 0;
}

// Copies a text behind which there is room for its NUL. False: it is no text.
static inline bool read_text_to(uint8_t *to, const uint8_t *data, size_t size)
{
    to[size] = '\0';
    return __builtin_expect(copy_plain(to, data, size), 1) ||
           (memchr(to, '\0', size) == NULL && utf8_is_valid(to, size));
}

// NULL: it is no text.
static inline char *read_text(struct quick *q, const uint8_t *data, size_t size)
{
    uint8_t *text = arena_alloc_aligned(q->arena, size + 1, 1);
    return read_text_to(text, data, size) ? (char *)text : NULL;
}

static inline void read_bytes(struct quick *q, void *slot, const uint8_t *data, size_t size)
{
    uint8_t *copy = arena_alloc_aligned(q->arena, size + 1, 1);
    if (size > 0) {
        memcpy(copy, data, size);
    }
    copy[size] = '\0';
    *(ProtobufCBinaryData *)slot = (ProtobufCBinaryData){size, copy};
}

// An id that is nothing but its text; message and text in one piece. NULL: it is not so, or no
// text. What it takes is bound by its bytes, so the limit need not be asked.
static inline struct wire_id *read_id(struct quick *q, const ProtobufCMessageDescriptor *descriptor,
                                      const uint8_t *data, size_t size)
{
    if (size < 2 || data[0] != WIRE_ID_TAG || data[1] >= 0x80 || data[1] != size - 2) {
        return NULL;
    }
    struct wire_id *id = take(q, sizeof(*id) + size - 1);
    *id = (struct wire_id){{.descriptor = descriptor}, (char *)(id + 1)};
    return read_text_to((uint8_t *)id->text, data + 2, size - 2) ? id : NULL;
}

// Whether the entry of a map has a key and a value.
static bool is_whole_entry(const ProtobufCMessage *entry)
{
    for (unsigned i = 0; i < 2; i++) {
        const ProtobufCFieldDescriptor *f = &entry->descriptor->fields[i];
        bool is_pointer = f->type == PROTOBUF_C_TYPE_STRING || f->type == PROTOBUF_C_TYPE_MESSAGE;
        if (is_pointer && *(void **)field_at(entry, f) == NULL) {
            return false;
        }
    }
    return true;
}

static bool read_message(struct quick *q, struct wire_plan *plan, ProtobufCMessage *m,
                         const uint8_t *at, const uint8_t *end, unsigned depth);

// A message within one at `depth`. NULL: no.
static inline ProtobufCMessage *read_nested(struct quick *q, struct field_plan *f,
                                            const uint8_t *data, size_t size, unsigned depth)
{
    if (depth == WIRE_DEPTH_MAX) {
        return NULL;
    }
    if (f->is_id) {
        struct wire_id *id = read_id(q, f->field->descriptor, data, size);
        if (__builtin_expect(id != NULL, 1)) {
            return &id->base;
        }
    }
    struct wire_plan *plan = wire_plan_child(f);
    if (q->arena->size > q->arena_size_max) {
        return NULL;
    }
    ProtobufCMessage *m = take(q, plan->message_size);
    plan->message_init(m);
    if (!read_message(q, plan, m, data, data + size, depth + 1)) {
        return NULL;
    }
    if (plan->descriptor == q->pinned) {
        wire_pin(m, q->arena, memcpy(arena_alloc_aligned(q->arena, size, 1), data, size), size, 0);
    }
    return m;
}

// How many values of a repeated field stand one behind the other, of which the first begins at `at`
// behind its tag. 0: one is broken.
static size_t count_run(const struct field_plan *f, const uint8_t *at, const uint8_t *end)
{
    size_t count = 0, size;
    for (;;) {
        at = take_size(at, end, &size);
        if (at == NULL) {
            return 0;
        }
        count++;
        at += size;
        if ((size_t)(end - at) < f->tag_size || at[0] != f->tag[0] ||
            memcmp(at, f->tag, f->tag_size) != 0) {
            return count;
        }
        at += f->tag_size;
    }
}

// Reads these. Returns where they end; NULL: no.
static __attribute__((noinline)) const uint8_t *read_run(struct quick *q, struct field_plan *f,
                                                         ProtobufCMessage *m, const uint8_t *at,
                                                         const uint8_t *end, unsigned depth)
{
    size_t *ret_count = field_count(m, f->field), size = 0;
    size_t count = *ret_count == 0 ? count_run(f, at, end) : 0; // else: others came before
    if (count == 0) {
        return NULL;
    }
    void **values = take(q, count * sizeof(*values));
    for (size_t i = 0; i < count; i++) {
        at = take_size(at + (i > 0 ? f->tag_size : 0), end, &size);
        if (at == NULL) {
            return NULL; // count_run has seen that it is not
        }
        values[i] = f->read == READ_TEXTS ? (void *)read_text(q, at, size)
                                          : (void *)read_nested(q, f, at, size, depth);
        if (values[i] == NULL || (f->is_map && !is_whole_entry(values[i]))) {
            return NULL;
        }
        at += size;
    }
    *(void ***)field_at(m, f->field) = values;
    *ret_count = count;
    if (f->is_map) {
        wire_build_unique_entries((ProtobufCMessage **)values, ret_count);
    }
    return at;
}

// A single field of which `size` bytes are there.
static inline bool read_sized(struct quick *q, struct field_plan *f, void *slot,
                              const uint8_t *data, size_t size, unsigned depth)
{
    if (f->read == READ_TEXT) {
        char *text = read_text(q, data, size);
        *(char **)slot = text;
        return text != NULL;
    }
    if (f->read == READ_MESSAGE) {
        ProtobufCMessage **message = slot;
        if (*message != NULL) {
            return false; // it is to be merged
        }
        *message = read_nested(q, f, data, size, depth);
        return *message != NULL;
    }
    if (f->read != READ_BYTES) {
        return false; // a member of a oneof has not the room
    }
    read_bytes(q, slot, data, size);
    return true;
}

static inline bool store_number(const struct field_plan *f, void *slot, uint64_t number)
{
    switch (f->read) {
    case READ_ENUM:
        *(int32_t *)slot = (int32_t)number;
        return (uint32_t)number - (uint32_t)f->enum_first < f->enum_count;
    case READ_ENUM_IN_ROWS:
        *(int32_t *)slot = (int32_t)number;
        return wire_enum_has(f->field->descriptor, (int32_t)number);
    case READ_BOOL:
        *(protobuf_c_boolean *)slot = number != 0;
        return true;
    case READ_VARINT32:
        *(uint32_t *)slot = (uint32_t)number;
        return true;
    case READ_VARINT64:
        *(uint64_t *)slot = number;
        return true;
    default:
        return false;
    }
}

// The field that the tag at *at names, in its own wire type; *at is then behind it. NULL: there is
// none such.
static inline struct field_plan *take_field(const struct wire_plan *plan, const uint8_t **at,
                                            const uint8_t *end)
{
    const uint8_t *next = *at;
    uint32_t tag = *next++;
    if (__builtin_expect(tag >= 0x80, 0)) {
        if (next == end || *next >= 0x80) {
            return NULL;
        }
        tag = (tag & 0x7f) | (uint32_t)*next++ << 7;
        if (tag >= PLAN_DIRECT_TAGS) {
            return NULL;
        }
    }
    struct field_plan *f = plan->by_tag[tag];
    *at = f != NULL ? next : *at;
    return f;
}

// One value of a field that is not length-prefixed, behind its tag. Returns what follows.
static inline const uint8_t *read_number(const struct field_plan *f, char *m, const uint8_t *at,
                                         const uint8_t *end)
{
    if (f->wire_type == PROTOBUF_C_WIRE_TYPE_VARINT) {
        uint64_t number;
        at = take_varint(at, end, &number);
        if (at == NULL || !store_number(f, m + f->offset, number)) {
            return NULL;
        }
    } else if (f->read == READ_FIXED64 && end - at >= 8) {
        memcpy(m + f->offset, at, 8); // both are little-endian
        at += 8;
    } else if (f->read == READ_FIXED32 && end - at >= 4) {
        memcpy(m + f->offset, at, 4);
        at += 4;
    } else {
        return NULL;
    }
    return at;
}

static bool read_message(struct quick *q, struct wire_plan *plan, ProtobufCMessage *m,
                         const uint8_t *at, const uint8_t *end, unsigned depth)
{
    uint64_t missing = plan->required.bits[0];
    while (at < end) {
        struct field_plan *f = take_field(plan, &at, end);
        if (__builtin_expect(f == NULL, 0)) {
            at = skip_unknown(plan, at, end);
            if (at == NULL) {
                return false;
            }
            continue;
        }
        if (f->wire_type != PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED) {
            at = read_number(f, (char *)m, at, end);
            if (at == NULL) {
                return false;
            }
        } else if (f->read >= READ_TEXTS) {
            at = read_run(q, f, m, at, end, depth);
            if (at == NULL) {
                return false;
            }
            continue;
        } else {
            size_t size;
            at = take_size(at, end, &size);
            if (at == NULL || !read_sized(q, f, (char *)m + f->offset, at, size, depth)) {
                return false;
            }
            at += size;
        }
        if (f->probe == PROBE_FLAG) {
            *(protobuf_c_boolean *)(void *)((char *)m + f->quantifier_offset) = 1;
        }
        missing &= ~f->required_bit;
    }
    return (missing | plan->required.bits[1]) == 0;
}

ProtobufCMessage *wire_read_quick(const ProtobufCMessageDescriptor *descriptor, struct arena *arena,
                                  const void *data, size_t size,
                                  const ProtobufCMessageDescriptor *pinned)
{
    if (pinned != NULL && pinned->n_fields == 1) {
        return NULL; // read_id pins nothing
    }
    struct wire_plan *plan = wire_plan_get(descriptor);
    struct quick q = {arena, arena->size + wire_build_budget(size) / 2, pinned};
    ProtobufCMessage *m = take(&q, plan->message_size);
    plan->message_init(m);
    const uint8_t *at = data;
    return read_message(&q, plan, m, at, at + size, 1) && arena->size <= q.arena_size_max ? m
                                                                                          : NULL;
}
