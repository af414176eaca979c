// SPDX-License-Identifier: Apache-2.0
//
// Protobuf bytes to messages, in one pass, straight into the arena. Nearly all messages are read by
// wire_quick.c; those that it will not read are read here, whatever they are, and all errors are
// made here. When the first value of a repeated field turns up, the rest of that message's bytes is
// counted (not descended into), so each array is allocated once, at its size. Recursion is bounded
// by WIRE_DEPTH_MAX, memory by the budget of wire_build, time by the input's size.
//
// As in protobuf's own decoder: fields that are unknown or come in a wire type of another kind are
// skipped; scalars and text that come twice: the last counts; messages that come twice are merged;
// packed and unpacked are both taken.

#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "wire/field.h"
#include "wire/json_scan.h"
#include "wire/quick.h"

struct input {
    const uint8_t *at;
    const uint8_t *end;
};

// One field as it stands in the bytes.
struct item {
    uint32_t id;
    unsigned wire_type;
    uint64_t number;     // varint, 32 bit and 64 bit
    const uint8_t *data; // length-prefixed
    size_t size;
};

static int malformed(struct wire_build *b, const char *what)
{
    error_set(b->err, -EBADMSG, "malformed protobuf: %s", what);
    return -EBADMSG; // as a constant: gcc sees that items are only read when they were taken
}

// At most ten bytes; -1 when it does not end in time.
static int take_varint(struct input *in, uint64_t *ret_value)
{
    if (in->at < in->end && *in->at < 0x80) {
        *ret_value = *in->at++;
        return 0;
    }
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 70 && in->at < in->end; shift += 7) {
        uint8_t byte = *in->at++;
        value |= (uint64_t)(byte & 0x7f) << (shift < 64 ? shift : 63);
        if (byte < 0x80) {
            *ret_value = value;
            return 0;
        }
    }
    return -1;
}

static int take_fixed(struct input *in, size_t size, uint64_t *ret_value)
{
    if ((size_t)(in->end - in->at) < size) {
        return -1;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++) {
        value |= (uint64_t)in->at[i] << (8 * i);
    }
    in->at += size;
    *ret_value = value;
    return 0;
}

static int take_item(struct wire_build *b, struct input *in, struct item *item)
{
    uint64_t tag;
    if (take_varint(in, &tag) < 0 || tag >> 3 == 0 || tag >> 3 > 0x1fffffff) {
        return malformed(b, "bad field tag");
    }
    item->id = (uint32_t)(tag >> 3);
    item->wire_type = (unsigned)(tag & 7);
    int r = 0;
    switch (item->wire_type) {
    case PROTOBUF_C_WIRE_TYPE_VARINT:
        r = take_varint(in, &item->number);
        break;
    case PROTOBUF_C_WIRE_TYPE_64BIT:
        r = take_fixed(in, 8, &item->number);
        break;
    case PROTOBUF_C_WIRE_TYPE_32BIT:
        r = take_fixed(in, 4, &item->number);
        break;
    case PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED: {
        uint64_t size;
        r = take_varint(in, &size);
        if (r == 0 && size > (uint64_t)(in->end - in->at)) {
            r = -1;
        }
        if (r == 0) {
            item->data = in->at;
            item->size = (size_t)size;
            in->at += size;
        }
        break;
    }
    default:
        return malformed(b, "unsupported wire type");
    }
    return r < 0 ? malformed(b, "cut off or bad value") : 0;
}

// Whether the item is a packed list of the repeated field's scalars.
static bool is_packed(const struct field_plan *f, const struct item *item)
{
    return item->wire_type != f->wire_type;
}

static size_t count_packed(const struct field_plan *f, const struct item *item)
{
    switch (f->wire_type) {
    case PROTOBUF_C_WIRE_TYPE_32BIT:
        return item->size / 4;
    case PROTOBUF_C_WIRE_TYPE_64BIT:
        return item->size / 8;
    default: {
        size_t count = 0;
        for (size_t i = 0; i < item->size; i++) {
            count += item->data[i] < 0x80;
        }
        return count;
    }
    }
}

// The field that an item is for, or -1 when it is to be skipped: it is unknown, or in a wire type
// of another kind.
static int find_field(const struct wire_plan *plan, const struct item *item)
{
    int i = wire_plan_find(plan, item->id);
    if (i < 0 || plan->fields[i].wire_type == item->wire_type) {
        return i;
    }
    bool packs = plan->fields[i].label == PROTOBUF_C_LABEL_REPEATED &&
                 item->wire_type == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED;
    return packs ? i : -1;
}

// Counts the repeated values in what is left of the message, and makes room for them.
static int make_room(struct wire_build *b, const struct wire_plan *plan, ProtobufCMessage *m,
                     struct input in)
{
    size_t counts[WIRE_FIELDS_MAX]; // of those in `found`
    uint8_t found[WIRE_FIELDS_MAX];
    size_t found_count = 0;
    struct field_set seen = {{0}};
    while (in.at < in.end) {
        struct item item = {0};
        int r = take_item(b, &in, &item);
        if (r < 0) {
            return r;
        }
        int i = find_field(plan, &item);
        if (i < 0 || plan->fields[i].label != PROTOBUF_C_LABEL_REPEATED) {
            continue;
        }
        if (!field_set_has(&seen, (unsigned)i)) {
            field_set_add(&seen, (unsigned)i);
            found[found_count++] = (uint8_t)i;
            counts[i] = 0;
        }
        const struct field_plan *f = &plan->fields[i];
        counts[i] += is_packed(f, &item) ? count_packed(f, &item) : 1;
    }
    for (size_t k = 0; k < found_count; k++) {
        const struct field_plan *f = &plan->fields[found[k]];
        size_t count = counts[found[k]];
        if (count == 0) {
            continue;
        }
        size_t before = *field_count(m, f->field);
        void *values = wire_build_alloc(b, (before + count) * f->value_size);
        if (values == NULL) {
            return -EFBIG;
        }
        if (before > 0) {
            memcpy(values, *(void **)field_at(m, f->field), before * f->value_size);
        }
        *(void **)field_at(m, f->field) = values;
    }
    return 0;
}

static int bad_field(struct wire_build *b, const struct wire_path *path,
                     const ProtobufCFieldDescriptor *f, const char *what)
{
    char name[ERROR_TEXT_SIZE];
    wire_path_text(path, f, name, sizeof(name));
    return error_set(b->err, -EBADMSG, "field '%s' %s", name, what);
}

// Stores a number into `slot`. 0 done, 1 when it is an enum's unknown value.
static int store_number(const ProtobufCFieldDescriptor *f, void *slot, uint64_t number)
{
    switch (f->type) {
    case PROTOBUF_C_TYPE_ENUM:
        if (!wire_enum_has(f->descriptor, (int)number)) {
            return 1;
        }
        *(int32_t *)slot = (int32_t)number;
        break;
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
        *(uint32_t *)slot = (uint32_t)number;
        break;
    case PROTOBUF_C_TYPE_SINT32:
        *(uint32_t *)slot = (uint32_t)number >> 1 ^ (0 - ((uint32_t)number & 1));
        break;
    case PROTOBUF_C_TYPE_BOOL:
        *(protobuf_c_boolean *)slot = number != 0;
        break;
    case PROTOBUF_C_TYPE_SINT64:
        *(uint64_t *)slot = number >> 1 ^ (0 - (number & 1));
        break;
    default:
        *(uint64_t *)slot = number;
    }
    return 0;
}

static int store_text(struct wire_build *b, const struct wire_path *path,
                      const ProtobufCFieldDescriptor *f, void *slot, const uint8_t *data,
                      size_t size)
{
    if (memchr(data, '\0', size) != NULL) {
        return bad_field(b, path, f, "holds a NUL character");
    }
    if (!utf8_is_valid(data, size)) {
        return bad_field(b, path, f, "is not valid UTF-8");
    }
    // The budget need not be asked: a text takes what came and a byte for the tag and the length.
    char *copy = arena_alloc_aligned(b->arena, size + 1, 1);
    memcpy(copy, data, size);
    copy[size] = '\0';
    *(char **)slot = copy;
    return 0;
}

static void store_bytes(struct wire_build *b, void *slot, const uint8_t *data, size_t size)
{
    uint8_t *copy = arena_alloc_aligned(b->arena, size + 1, 1);
    if (size > 0) {
        memcpy(copy, data, size);
    }
    copy[size] = '\0';
    *(ProtobufCBinaryData *)slot = (ProtobufCBinaryData){size, copy};
}

static int decode_into(struct wire_build *b, struct wire_plan *plan, ProtobufCMessage *m,
                       struct input in, bool merging, const struct wire_path *path, unsigned depth);

// A message that comes in parts has no bytes of its own.
static int keep_bytes(struct wire_build *b, ProtobufCMessage *m, bool merging, const uint8_t *data,
                      size_t size)
{
    if (merging) {
        wire_unpin(m);
        return 0;
    }
    uint8_t *copy = wire_build_alloc(b, size);
    if (copy == NULL) {
        return -EFBIG;
    }
    if (size > 0) {
        memcpy(copy, data, size);
    }
    wire_pin(m, b->arena, copy, size, 0);
    return 0;
}

static int store_message(struct wire_build *b, const struct wire_path *path, struct field_plan *f,
                         void *slot, size_t index, bool merging, const struct item *item,
                         unsigned depth)
{
    if (depth == WIRE_DEPTH_MAX) {
        return malformed(b, "nested too deeply");
    }
    struct wire_path below = {path, f->field, index};
    ProtobufCMessage *m = *(ProtobufCMessage **)slot;
    if (!merging) {
        m = wire_build_message(b, f->field->descriptor);
        if (m == NULL) {
            return -EFBIG;
        }
        *(ProtobufCMessage **)slot = m;
    }
    struct input in = {item->data, item->data + item->size};
    int r = decode_into(b, wire_plan_child(f), m, in, merging, &below, depth + 1);
    if (r == 0 && m->descriptor == b->pinned) {
        r = keep_bytes(b, m, merging, item->data, item->size);
    }
    return r == 0 && f->is_map ? wire_build_complete_entry(b, m, &below) : r;
}

// 0 stored, 1 left out (an enum's unknown value), negative: error.
static int store_item(struct wire_build *b, const struct wire_path *path, struct field_plan *f,
                      void *slot, size_t index, bool merging, const struct item *item,
                      unsigned depth)
{
    switch (f->type) {
    case PROTOBUF_C_TYPE_STRING:
        return store_text(b, path, f->field, slot, item->data, item->size);
    case PROTOBUF_C_TYPE_BYTES:
        store_bytes(b, slot, item->data, item->size);
        return 0;
    case PROTOBUF_C_TYPE_MESSAGE:
        return store_message(b, path, f, slot, index, merging, item, depth);
    default:
        return store_number(f->field, slot, item->number);
    }
}

static int store_packed(struct wire_build *b, ProtobufCMessage *m, const struct field_plan *f,
                        const struct item *item)
{
    struct input in = {item->data, item->data + item->size};
    size_t *count = field_count(m, f->field);
    char *values = *(char **)field_at(m, f->field);
    while (in.at < in.end) {
        uint64_t number;
        int r = f->wire_type == PROTOBUF_C_WIRE_TYPE_32BIT   ? take_fixed(&in, 4, &number)
                : f->wire_type == PROTOBUF_C_WIRE_TYPE_64BIT ? take_fixed(&in, 8, &number)
                                                             : take_varint(&in, &number);
        if (r < 0) {
            return malformed(b, "cut off or bad packed value");
        }
        if (store_number(f->field, values + *count * f->value_size, number) == 0) {
            ++*count;
        }
    }
    return 0;
}

static int store_repeated(struct wire_build *b, ProtobufCMessage *m, const struct wire_path *path,
                          struct field_plan *f, const struct item *item, unsigned depth)
{
    if (is_packed(f, item)) {
        return store_packed(b, m, f, item);
    }
    size_t *count = field_count(m, f->field);
    char *slot = *(char **)field_at(m, f->field) + *count * f->value_size;
    int r = store_item(b, path, f, slot, *count, false, item, depth);
    if (r == 0) {
        ++*count;
    }
    return r < 0 ? r : 0;
}

static int store_single(struct wire_build *b, ProtobufCMessage *m, const struct wire_path *path,
                        struct field_plan *f, const struct item *item, unsigned depth)
{
    bool merging =
        f->type == PROTOBUF_C_TYPE_MESSAGE &&
        (f->is_oneof ? field_is_set(m, f->field) : *(void **)field_at(m, f->field) != NULL);
    int r = store_item(b, path, f, (char *)m + f->offset, 0, merging, item, depth);
    if (r < 0) {
        return r;
    }
    if (r == 1) {
        return f->label == PROTOBUF_C_LABEL_REQUIRED
                   ? bad_field(b, path, f->field, "has an unknown value")
                   : 1;
    }
    if (f->probe == PROBE_FLAG) {
        *(protobuf_c_boolean *)(void *)((char *)m + f->quantifier_offset) = 1;
    } else if (f->is_oneof) {
        field_mark_set(m, f->field);
    }
    return 0;
}

static void make_maps_unique(const struct wire_plan *plan, ProtobufCMessage *m)
{
    for (unsigned i = 0; i < plan->field_count; i++) {
        const ProtobufCFieldDescriptor *f = plan->fields[i].field;
        if (plan->fields[i].is_map) {
            wire_build_unique_entries(*(ProtobufCMessage ***)field_at(m, f), field_count(m, f));
        }
    }
}

// A message that is being read.
struct reading {
    struct wire_plan *plan;
    ProtobufCMessage *m;
    const struct wire_path *path;
    struct input in;          // from the next field on
    struct field_set missing; // required fields that did not come yet
    unsigned depth;
    bool has_room; // for its repeated fields
};

static int read_field(struct wire_build *b, struct reading *d)
{
    struct input before = d->in;
    struct item item = {0};
    int r = take_item(b, &d->in, &item);
    if (r < 0) {
        return r;
    }
    int i = find_field(d->plan, &item);
    if (i < 0) {
        return 0;
    }
    struct field_plan *f = &d->plan->fields[i];
    if (f->label != PROTOBUF_C_LABEL_REPEATED) {
        r = store_single(b, d->m, d->path, f, &item, d->depth);
        if (r == 0) {
            field_set_remove(&d->missing, (unsigned)i);
        }
        return r < 0 ? r : 0;
    }
    r = d->has_room ? 0 : make_room(b, d->plan, d->m, before);
    d->has_room = true;
    return r == 0 ? store_repeated(b, d->m, d->path, f, &item, d->depth) : r;
}

// `merging`: the message came before, and its required fields were looked for then.
static int decode_into(struct wire_build *b, struct wire_plan *plan, ProtobufCMessage *m,
                       struct input in, bool merging, const struct wire_path *path, unsigned depth)
{
    struct reading d = {
        .plan = plan, .m = m, .path = path, .in = in, .missing = plan->required, .depth = depth};
    while (d.in.at < d.in.end) {
        int r = read_field(b, &d);
        if (r < 0) {
            return r;
        }
    }
    if (d.has_room && plan->has_maps) {
        make_maps_unique(plan, m);
    }
    if (merging || (d.missing.bits[0] | d.missing.bits[1]) == 0) {
        return 0;
    }
    struct field_set seen = {{~d.missing.bits[0], ~d.missing.bits[1]}};
    return wire_build_require(b, plan->descriptor, &seen, path);
}

int wire_decode_slowly(const ProtobufCMessageDescriptor *descriptor, struct arena *arena,
                       const void *data, size_t size, const ProtobufCMessageDescriptor *pinned,
                       ProtobufCMessage **ret_message, struct error *err)
{
    struct wire_build b;
    wire_build_init(&b, arena, size, err);
    b.pinned = pinned;
    ProtobufCMessage *m = wire_build_message(&b, descriptor);
    CHECK(m != NULL);
    struct input in = {data, (const uint8_t *)data + size};
    int r = decode_into(&b, wire_plan_get(descriptor), m, in, false, NULL, 1);
    if (r == 0) {
        r = wire_build_finish(&b);
    }
    if (r == 0) {
        *ret_message = m;
    }
    return r;
}

int wire_decode_pinned(const ProtobufCMessageDescriptor *descriptor, struct arena *arena,
                       const void *data, size_t size, const ProtobufCMessageDescriptor *pinned,
                       ProtobufCMessage **ret_message, struct error *err)
{
    if (size > WIRE_SIZE_MAX) {
        return error_set(err, -EFBIG, "message of %zu bytes is over the limit of %d", size,
                         (int)WIRE_SIZE_MAX);
    }
    ProtobufCMessage *m = wire_read_quick(descriptor, arena, data, size, pinned);
    if (m != NULL) {
        *ret_message = m;
        return 0;
    }
    return wire_decode_slowly(descriptor, arena, data, size, pinned, ret_message, err);
}

int wire_decode(const ProtobufCMessageDescriptor *descriptor, struct arena *arena, const void *data,
                size_t size, ProtobufCMessage **ret_message, struct error *err)
{
    return wire_decode_pinned(descriptor, arena, data, size, NULL, ret_message, err);
}
