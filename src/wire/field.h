// SPDX-License-Identifier: Apache-2.0
//
// What decoders, encoders and copies share: how a field of a protobuf-c message lies in memory.
// Private to src/wire.
//
//   required, proto3  the value at `offset`; no quantifier
//   optional          scalars: has_x at `quantifier_offset`; text and messages: a pointer, unset
//   when
//                     NULL or the very default of the descriptor
//   of a oneof        the case (the set member's number) at `quantifier_offset`, the union at
//   `offset` repeated          n_x at `quantifier_offset`, a pointer to the values at `offset`
//
// A map is a repeated message whose type is called ...Entry and has exactly the fields key and
// value.

#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/error.h"

// Most fields that a message may have here (our bitmaps of seen fields).
enum { WIRE_FIELDS_MAX = 128 };

static inline void *field_at(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
    return (char *)m + f->offset;
}

static inline protobuf_c_boolean *field_has(const ProtobufCMessage *m,
                                            const ProtobufCFieldDescriptor *f)
{
    return (protobuf_c_boolean *)((char *)m + f->quantifier_offset);
}

static inline size_t *field_count(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
    return (size_t *)((char *)m + f->quantifier_offset);
}

static inline bool field_is_oneof(const ProtobufCFieldDescriptor *f)
{
    return (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0;
}

static inline int *field_case(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
    return (int *)((char *)m + f->quantifier_offset);
}

// Bytes of one value of the field in memory.
size_t field_value_size(const ProtobufCFieldDescriptor *f);

// Whether a field that is not repeated has a value of its own. Required scalars always have one.
bool field_is_set(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f);

// Says that the value at `offset`, which was just written, counts.
void field_mark_set(ProtobufCMessage *m, const ProtobufCFieldDescriptor *f);

// Makes the field unset again (required scalars: the default).
void field_clear(ProtobufCMessage *m, const ProtobufCFieldDescriptor *f);

bool field_is_map(const ProtobufCFieldDescriptor *f);

// The field of that name, or NULL. `hint` is the index that is tried first.
const ProtobufCFieldDescriptor *field_by_name(const ProtobufCMessageDescriptor *d, unsigned hint,
                                              const char *name, size_t size);

// A set of field indexes of one message.
struct field_set {
    uint64_t bits[WIRE_FIELDS_MAX / 64];
};

static inline void field_set_add(struct field_set *s, unsigned i)
{
    s->bits[i / 64] |= UINT64_C(1) << i % 64;
}

static inline void field_set_remove(struct field_set *s, unsigned i)
{
    s->bits[i / 64] &= ~(UINT64_C(1) << i % 64);
}

static inline bool field_set_has(const struct field_set *s, unsigned i)
{
    return (s->bits[i / 64] >> i % 64 & 1) != 0;
}

// ---- what a decoder carries along ----

// Where a decoder stands: the chain of fields from the outermost message, on the stack.
struct wire_path {
    const struct wire_path *parent;        // NULL: the outermost message
    const ProtobufCFieldDescriptor *field; // through which this message is reached
    size_t index;                          // in a repeated field
};

// "subscribe.framework_info.user", "tasks[2].name"; `leaf` may be NULL.
void wire_path_text(const struct wire_path *path, const ProtobufCFieldDescriptor *leaf, char *out,
                    size_t size);

// The state that both decoders share. `budget` bounds what a small text may blow up to in memory.
struct wire_build {
    struct arena *arena;
    size_t budget;
    struct error *err;
    const ProtobufCMessageDescriptor *pinned; // messages of this type keep their bytes; or NULL
    char missing[ERROR_TEXT_SIZE];            // paths of missing required fields, joined by ", "
    size_t missing_size;
};

// Of bytes that memory may be taken for such input.
size_t wire_build_budget(size_t input_size);

void wire_build_init(struct wire_build *b, struct arena *arena, size_t input_size,
                     struct error *err);

// Sets the error of a budget that is used up; returns NULL.
void *wire_build_too_much(struct wire_build *b);

// NULL when the budget is used up; the error is then set (-EFBIG).
static inline void *wire_build_alloc(struct wire_build *b, size_t size)
{
    size_t cost = (size | 15) + 1;
    if (cost > b->budget) {
        return wire_build_too_much(b);
    }
    b->budget -= cost;
    return arena_alloc(b->arena, size);
}

ProtobufCMessage *wire_build_message(struct wire_build *b, const ProtobufCMessageDescriptor *d);

// Notes the required fields of `m` that are not in `seen`. Returns -EBADMSG when there are more
// than can be named, so that hopeless input ends early.
int wire_build_require(struct wire_build *b, const ProtobufCMessageDescriptor *d,
                       const struct field_set *seen, const struct wire_path *path);

// At the end: 0, or -EBADMSG and "Missing required fields: ...".
int wire_build_finish(struct wire_build *b);

// Completes a map's entry that came without its key or value: an empty key; an empty message. So
// that users of maps need not look for NULL. Returns what wire_build_require does.
int wire_build_complete_entry(struct wire_build *b, ProtobufCMessage *entry,
                              const struct wire_path *path);

// Of entries with equal keys only the last stays (in the place of the first). `values` is the array
// of a map field.
void wire_build_unique_entries(ProtobufCMessage **values, size_t *count);
