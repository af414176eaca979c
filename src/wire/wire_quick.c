// SPDX-License-Identifier: Apache-2.0
//
// Protobuf bytes to messages as nearly all come: each field in its own wire type, a nested message
// once, the values of a repeated field one behind the other; unknown fields may be between.
// Whatever else there is (what is broken or missing, a message in parts, packed lists, oneofs) ends
// it with a "no" and no error: wire_decode.c then reads the whole anew. So nothing here knows where
// in the message it is, and input that is odd at every level is still read no more than twice.
//
// Functions that read what stands at `at` return what follows it, or NULL: no.

#include <string.h>

#include "base/copy.h"
#include "wire/json_scan.h"
#include "wire/quick.h"

struct quick {
    struct arena *arena;
    // How much the arena may have handed out by now. wire_build's budget counts texts not at all,
    // and each other allocation at most twice; half of it is the limit here, so that this way says
    // no first.
    size_t arena_size_max;
    const ProtobufCMessageDescriptor *pinned; // as in wire_build
    unsigned depth;                           // of the message that is being read
    bool is_too_much; // the limit was found to be passed when the arena's chunk was full
};

static __attribute__((noinline, returns_nonnull)) void *take_slowly(struct quick *q, size_t size,
                                                                    size_t alignment)
{
    q->is_too_much = q->is_too_much || arena_size(q->arena) > q->arena_size_max;
    return arena_alloc_aligned(q->arena, size, alignment);
}

static inline void *take(struct quick *q, size_t size, size_t alignment)
{
    void *here = arena_alloc_here(q->arena, size, alignment);
    return __builtin_expect(here != NULL, 1) ? here : take_slowly(q, size, alignment);
}

struct varint {
    const uint8_t *next;
    uint64_t value;
};

static __attribute__((noinline)) struct varint take_long_varint(const uint8_t *at,
                                                                const uint8_t *end)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 70 && at < end; shift += 7) {
        uint8_t byte = *at++;
        value |= (uint64_t)(byte & 0x7f) << (shift < 64 ? shift : 63);
        if (byte < 0x80) {
            return (struct varint){at, value};
        }
    }
    return (struct varint){NULL, 0};
}

static inline const uint8_t *take_varint(const uint8_t *at, const uint8_t *end, uint64_t *ret_value)
{
    if (__builtin_expect(at < end && *at < 0x80, 1)) {
        *ret_value = *at;
        return at + 1;
    }
    struct varint varint = take_long_varint(at, end);
    *ret_value = varint.value;
    return varint.next;
}

// The length of what stands behind it, all of which is there.
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

// Bytes that are all 1 to 127 are told by one look at a word of them: else the highest bit of one
// of these is set.
#define WORD_OF(byte) (UINT64_C(0x0101010101010101) * (byte))
static inline uint64_t odd_in_word(uint64_t word)
{
    return ((word - WORD_OF(1)) | word) & WORD_OF(0x80);
}

// Copies a text. Returns whether it is ASCII without NUL, as nearly all is. It is copied in blocks,
// of which the last one may overlap the one before it.
static inline bool copy_plain(uint8_t *to, const uint8_t *from, size_t size)
{
    if (size >= 16) {
        copy_block16 odd = {0};
        for (size_t i = 0; i < size - 16; i += 16) {
            copy_block16 block = COPY_BLOCK(copy_block16, to + i, from + i);
            odd |= block | (block == 0);
        }
        copy_block16 block = COPY_BLOCK(copy_block16, to + size - 16, from + size - 16);
        odd |= block | (block == 0);
        uint64_t words[2];
        memcpy(words, &odd, sizeof(words));
        return ((words[0] | words[1]) & WORD_OF(0x80)) == 0;
    }
    if (size >= 8) {
        uint64_t first = COPY_BLOCK(uint64_t, to, from);
        uint64_t last = COPY_BLOCK(uint64_t, to + size - 8, from + size - 8);
        return (odd_in_word(first) | odd_in_word(last)) == 0;
    }
    if (size >= 4) {
        uint64_t first = COPY_BLOCK(uint32_t, to, from);
        uint64_t last = COPY_BLOCK(uint32_t, to + size - 4, from + size - 4);
        return odd_in_word(first | last << 32) == 0;
    }
    uint8_t odd = 0;
    for (size_t i = 0; i < size; i++) {
        to[i] = from[i];
        odd |= from[i] | (from[i] - 1);
    }
    return odd < 0x80;
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
    uint8_t *text = take(q, size + 1, 1);
    return read_text_to(text, data, size) ? (char *)text : NULL;
}

static inline void read_bytes(struct quick *q, void *slot, const uint8_t *data, size_t size)
{
    uint8_t *copy = take(q, size + 1, 1);
    copy_short(copy, data, size);
    copy[size] = '\0';
    *(ProtobufCBinaryData *)slot = (ProtobufCBinaryData){size, copy};
}

// An id that is nothing but its text; message and text in one piece. NULL: it is not so, or no
// text.
static inline struct wire_id *read_id(struct quick *q, const ProtobufCMessageDescriptor *descriptor,
                                      const uint8_t *data, size_t size)
{
    if (size < 2 || data[0] != WIRE_ID_TAG || data[1] != size - 2 || data[1] >= 0x80) {
        return NULL;
    }
    struct wire_id *id = take(q, sizeof(*id) + size - 1, ARENA_SMALL_ALIGNMENT);
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
                         const uint8_t *at, const uint8_t *end);

// A message within the one that is being read. NULL: no.
static inline ProtobufCMessage *read_nested(struct quick *q, struct field_plan *f,
                                            const uint8_t *data, size_t size)
{
    struct wire_plan *plan = wire_plan_child(f);
    if (q->depth == WIRE_DEPTH_MAX) {
        return NULL;
    }
    ProtobufCMessage *m = take(q, plan->message_size, ARENA_SMALL_ALIGNMENT);
    plan->message_init(m);
    q->depth++;
    if (!read_message(q, plan, m, data, data + size)) {
        return NULL;
    }
    q->depth--;
    if (plan->descriptor == q->pinned) {
        // Its bytes behind what says that it is pinned.
        ProtobufCMessageUnknownField *pin = take(q, sizeof(*pin) + size, ARENA_SMALL_ALIGNMENT);
        wire_pin_with(m, pin, memcpy(pin + 1, data, size), size, 0);
    }
    return m;
}

// What a field's value points to. NULL: no.
static inline __attribute__((always_inline)) void *read_pointed(struct quick *q,
                                                                struct field_plan *f,
                                                                enum field_read how,
                                                                const uint8_t *data, size_t size)
{
    if (how == READ_TEXT) {
        return read_text(q, data, size);
    }
    if (how == READ_ID) {
        struct wire_id *id = read_id(q, f->field->descriptor, data, size);
        if (__builtin_expect(id != NULL, 1)) {
            return id;
        }
    }
    return read_nested(q, f, data, size);
}

// One value that does not point to anything but bytes, from behind its tag on.
static inline __attribute__((always_inline)) const uint8_t *read_value(
    struct quick *q, struct field_plan *f, enum field_read how, void *slot, const uint8_t *at,
    const uint8_t *end)
{
    size_t size;
    uint64_t number;
    switch (how) {
    case READ_ENUM:
        at = take_varint(at, end, &number);
        *(int32_t *)slot = (int32_t)number;
        return (uint32_t)number - (uint32_t)f->enum_first < f->enum_count ? at : NULL;
    case READ_ENUM_IN_ROWS:
        at = take_varint(at, end, &number);
        *(int32_t *)slot = (int32_t)number;
        return wire_enum_has(f->field->descriptor, (int32_t)number) ? at : NULL;
    case READ_BOOL:
        at = take_varint(at, end, &number);
        *(protobuf_c_boolean *)slot = number != 0;
        return at;
    case READ_VARINT32:
        at = take_varint(at, end, &number);
        *(uint32_t *)slot = (uint32_t)number;
        return at;
    case READ_VARINT64:
        return take_varint(at, end, slot);
    case READ_FIXED32:
        return end - at >= 4 ? (memcpy(slot, at, 4), at + 4) : NULL; // both are little-endian
    case READ_FIXED64:
        return end - at >= 8 ? (memcpy(slot, at, 8), at + 8) : NULL;
    case READ_BYTES:
        at = take_size(at, end, &size);
        if (at == NULL) {
            return NULL;
        }
        read_bytes(q, slot, at, size);
        return at + size;
    default:
        return NULL;
    }
}

static inline const uint8_t *skip_value(const struct field_plan *f, const uint8_t *at,
                                        const uint8_t *end)
{
    uint64_t number;
    size_t size = f->value_size;
    if (f->wire_type == PROTOBUF_C_WIRE_TYPE_VARINT) {
        return take_varint(at, end, &number);
    }
    if (f->wire_type == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED) {
        at = take_size(at, end, &size);
    }
    return at != NULL && size <= (size_t)(end - at) ? at + size : NULL;
}

// How many values of a repeated field stand one behind the other, of which the first begins at `at`
// behind its tag. 0: one is broken.
static size_t count_run(const struct field_plan *f, const uint8_t *at, const uint8_t *end)
{
    for (size_t count = 1;; count++) {
        at = skip_value(f, at, end);
        if (at == NULL) {
            return 0;
        }
        if ((size_t)(end - at) < f->tag_size || at[0] != f->tag[0] ||
            memcmp(at, f->tag, f->tag_size) != 0) {
            return count;
        }
        at += f->tag_size;
    }
}

// Reads these.
static __attribute__((noinline)) const uint8_t *read_run(struct quick *q, struct field_plan *f,
                                                         ProtobufCMessage *m, const uint8_t *at,
                                                         const uint8_t *end)
{
    size_t *ret_count = field_count(m, f->field);
    size_t count = *ret_count == 0 ? count_run(f, at, end) : 0; // else: others came before
    if (count == 0) {
        return NULL;
    }
    char *values = take(q, count * f->value_size, ARENA_SMALL_ALIGNMENT);
    for (size_t i = 0; i < count; i++) {
        void *slot = values + i * f->value_size;
        at += i > 0 ? f->tag_size : 0;
        if (f->read_each > READ_POINTED_LAST) {
            at = read_value(q, f, f->read_each, slot, at, end);
            if (at == NULL) {
                return NULL;
            }
            continue;
        }
        size_t size;
        at = take_size(at, end, &size);
        void *pointed = at != NULL ? read_pointed(q, f, f->read_each, at, size) : NULL;
        if (pointed == NULL || (f->is_map && !is_whole_entry(pointed))) {
            return NULL;
        }
        *(void **)slot = pointed;
        at += size;
    }
    *(void **)field_at(m, f->field) = values;
    *ret_count = count;
    if (f->is_map) {
        wire_build_unique_entries((ProtobufCMessage **)(void *)values, ret_count);
    }
    return at;
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

static bool read_message(struct quick *q, struct wire_plan *plan, ProtobufCMessage *m,
                         const uint8_t *at, const uint8_t *end)
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
        missing &= f->not_required_bit;
        enum field_read how = f->read;
        void *slot = (char *)m + f->offset;
        if (how <= READ_POINTED_LAST) {
            size_t size;
            at = take_size(at, end, &size);
            if (at == NULL || (how != READ_TEXT && *(void **)slot != NULL)) {
                return false; // a message that came before is to be merged
            }
            void *pointed = read_pointed(q, f, how, at, size);
            if (pointed == NULL) {
                return false;
            }
            *(void **)slot = pointed;
            at += size;
        } else if (how == READ_RUN) {
            at = read_run(q, f, m, at, end);
            if (at == NULL) {
                return false;
            }
        } else {
            at = read_value(q, f, how, slot, at, end);
            if (at == NULL) {
                return false;
            }
            if (f->probe == PROBE_FLAG) {
                *(protobuf_c_boolean *)(void *)((char *)m + f->quantifier_offset) = 1;
            }
        }
    }
    return (missing | plan->required.bits[1]) == 0 && !q->is_too_much;
}

ProtobufCMessage *wire_read_quick(const ProtobufCMessageDescriptor *descriptor, struct arena *arena,
                                  const void *data, size_t size,
                                  const ProtobufCMessageDescriptor *pinned)
{
    if (pinned != NULL && pinned->n_fields == 1) {
        return NULL; // read_id pins nothing
    }
    struct wire_plan *plan = wire_plan_get(descriptor);
    struct quick q = {arena, arena_size(arena) + wire_build_budget(size) / 2, pinned, 1, false};
    ProtobufCMessage *m = arena_alloc_aligned(arena, plan->message_size, ARENA_SMALL_ALIGNMENT);
    plan->message_init(m);
    const uint8_t *at = data;
    bool is_read = read_message(&q, plan, m, at, at + size);
    return is_read && arena_size(arena) <= q.arena_size_max ? m : NULL;
}
