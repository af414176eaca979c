// SPDX-License-Identifier: Apache-2.0
//
// See field.h.

#include "wire/field.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/text.h"
#include "wire/wire.h"

// Memory that a decoded message may take: this much whatever its size, and so many bytes for each
// byte of input. Real messages stay below 15 per byte.
#define BUDGET_BASE (256 * 1024)
#define BUDGET_PER_BYTE 32

size_t field_value_size(const ProtobufCFieldDescriptor *f)
{
    switch (f->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_ENUM:
        return 4;
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return 8;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    }
    CHECK(false);
    return 0;
}

static bool is_pointer(const ProtobufCFieldDescriptor *f)
{
    return f->type == PROTOBUF_C_TYPE_STRING || f->type == PROTOBUF_C_TYPE_MESSAGE;
}

bool field_is_set(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
    if (field_is_oneof(f) && *field_case(m, f) != (int)f->id) {
        return false;
    }
    if (is_pointer(f)) {
        const void *p = *(void **)field_at(m, f);
        return p != NULL && (f->label == PROTOBUF_C_LABEL_REQUIRED || p != f->default_value);
    }
    switch (f->label) {
    case PROTOBUF_C_LABEL_OPTIONAL:
        return field_is_oneof(f) || *field_has(m, f) != 0;
    case PROTOBUF_C_LABEL_REQUIRED:
        return true;
    default: {
        static const char zeros[sizeof(ProtobufCBinaryData)];
        return memcmp(field_at(m, f), zeros, field_value_size(f)) != 0;
    }
    }
}

void field_mark_set(ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
    if (field_is_oneof(f)) {
        *field_case(m, f) = (int)f->id;
    } else if (f->label == PROTOBUF_C_LABEL_OPTIONAL && !is_pointer(f)) {
        *field_has(m, f) = 1;
    }
}

void field_clear(ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
    if (f->label == PROTOBUF_C_LABEL_REPEATED) {
        *field_count(m, f) = 0;
        *(void **)field_at(m, f) = NULL;
        return;
    }
    if (field_is_oneof(f)) {
        if (*field_case(m, f) == (int)f->id) {
            *field_case(m, f) = 0;
            memset(field_at(m, f), 0, field_value_size(f));
        }
        return;
    }
    if (is_pointer(f)) {
        *(const void **)field_at(m, f) = f->default_value;
        return;
    }
    if (f->label == PROTOBUF_C_LABEL_OPTIONAL) {
        *field_has(m, f) = 0;
    }
    if (f->default_value != NULL) {
        memcpy(field_at(m, f), f->default_value, field_value_size(f));
    } else {
        memset(field_at(m, f), 0, field_value_size(f));
    }
}

bool field_is_map(const ProtobufCFieldDescriptor *f)
{
    if (f->label != PROTOBUF_C_LABEL_REPEATED || f->type != PROTOBUF_C_TYPE_MESSAGE) {
        return false;
    }
    const ProtobufCMessageDescriptor *d = f->descriptor;
    return d->n_fields == 2 && d->fields[0].id == 1 && d->fields[1].id == 2 &&
           strcmp(d->fields[0].name, "key") == 0 && strcmp(d->fields[1].name, "value") == 0 &&
           text_ends_with(d->short_name, "Entry");
}

static int compare_name(const char *field_name, const char *name, size_t size)
{
    int order = strncmp(field_name, name, size);
    return order != 0 ? order : field_name[size] != '\0';
}

const ProtobufCFieldDescriptor *field_by_name(const ProtobufCMessageDescriptor *d, unsigned hint,
                                              const char *name, size_t size)
{
    if (hint < d->n_fields && compare_name(d->fields[hint].name, name, size) == 0) {
        return &d->fields[hint];
    }
    unsigned low = 0;
    unsigned high = d->n_fields;
    while (low < high) {
        unsigned middle = low + (high - low) / 2;
        const ProtobufCFieldDescriptor *f = &d->fields[d->fields_sorted_by_name[middle]];
        int order = compare_name(f->name, name, size);
        if (order == 0) {
            return f;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

static size_t put_path(const struct wire_path *path, char *out, size_t size)
{
    if (path == NULL || path->field == NULL) {
        return 0;
    }
    size_t at = put_path(path->parent, out, size);
    int n = 0;
    if (at < size) {
        bool is_repeated = path->field->label == PROTOBUF_C_LABEL_REPEATED;
        n = is_repeated ? snprintf(out + at, size - at, "%s[%zu].", path->field->name, path->index)
                        : snprintf(out + at, size - at, "%s.", path->field->name);
    }
    return at + (size_t)n;
}

void wire_path_text(const struct wire_path *path, const ProtobufCFieldDescriptor *leaf, char *out,
                    size_t size)
{
    CHECK(size > 0);
    out[0] = '\0';
    size_t at = put_path(path, out, size);
    if (leaf != NULL && at < size) {
        snprintf(out + at, size - at, "%s", leaf->name);
    } else if (leaf == NULL && at > 0 && at < size) {
        out[at - 1] = '\0';
    }
}

size_t wire_build_budget(size_t input_size)
{
    return BUDGET_BASE + input_size * BUDGET_PER_BYTE;
}

void wire_build_init(struct wire_build *b, struct arena *arena, size_t input_size,
                     struct error *err)
{
    b->arena = arena;
    b->budget = wire_build_budget(input_size);
    b->err = err;
    b->pinned = NULL;
    b->missing[0] = '\0';
    b->missing_size = 0;
}

void *wire_build_too_much(struct wire_build *b)
{
    error_set(b->err, -EFBIG, "the message would take too much memory");
    return NULL;
}

ProtobufCMessage *wire_build_message(struct wire_build *b, const ProtobufCMessageDescriptor *d)
{
    CHECK(d->n_fields <= WIRE_FIELDS_MAX);
    ProtobufCMessage *m = wire_build_alloc(b, d->sizeof_message);
    if (m != NULL) {
        d->message_init(m);
    }
    return m;
}

static int note_missing(struct wire_build *b, const struct wire_path *path,
                        const ProtobufCFieldDescriptor *f)
{
    char name[ERROR_TEXT_SIZE];
    wire_path_text(path, f, name, sizeof(name));
    size_t room = sizeof(b->missing) - b->missing_size;
    int n = snprintf(b->missing + b->missing_size, room, "%s%s", b->missing_size == 0 ? "" : ", ",
                     name);
    if ((size_t)n >= room) {
        b->missing_size = sizeof(b->missing) - 1;
        return wire_build_finish(b);
    }
    b->missing_size += (size_t)n;
    return 0;
}

int wire_build_require(struct wire_build *b, const ProtobufCMessageDescriptor *d,
                       const struct field_set *seen, const struct wire_path *path)
{
    for (unsigned i = 0; i < d->n_fields; i++) {
        if (d->fields[i].label == PROTOBUF_C_LABEL_REQUIRED && !field_set_has(seen, i)) {
            int r = note_missing(b, path, &d->fields[i]);
            if (r < 0) {
                return r;
            }
        }
    }
    return 0;
}

int wire_build_finish(struct wire_build *b)
{
    if (b->missing_size == 0) {
        return 0;
    }
    return error_set(b->err, -EBADMSG, "Missing required fields: %s", b->missing);
}

int wire_build_complete_entry(struct wire_build *b, ProtobufCMessage *entry,
                              const struct wire_path *path)
{
    for (unsigned i = 0; i < 2; i++) {
        const ProtobufCFieldDescriptor *f = &entry->descriptor->fields[i];
        if (!is_pointer(f) || *(void **)field_at(entry, f) != NULL) {
            continue;
        }
        if (f->type == PROTOBUF_C_TYPE_STRING) {
            char *empty = wire_build_alloc(b, 1);
            if (empty == NULL) {
                return -EFBIG;
            }
            *empty = '\0';
            *(char **)field_at(entry, f) = empty;
            continue;
        }
        ProtobufCMessage *value = wire_build_message(b, f->descriptor);
        if (value == NULL) {
            return -EFBIG;
        }
        *(ProtobufCMessage **)field_at(entry, f) = value;
        struct wire_path below = {path, f, 0};
        struct field_set none = {{0}};
        int r = wire_build_require(b, f->descriptor, &none, &below);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

// The key as bytes, for comparison: the text, or the scalar's memory.
static const char *entry_key(const ProtobufCMessage *entry, size_t *ret_size)
{
    const ProtobufCFieldDescriptor *f = &entry->descriptor->fields[0];
    if (f->type == PROTOBUF_C_TYPE_STRING) {
        const char *text = *(char **)field_at(entry, f);
        *ret_size = strlen(text);
        return text;
    }
    *ret_size = field_value_size(f);
    return field_at(entry, f);
}

void wire_build_unique_entries(ProtobufCMessage **values, size_t *count)
{
    if (*count < 2) {
        return;
    }
    size_t slots = 4;
    while (slots < *count * 2) {
        slots *= 2;
    }
    uint32_t *index = mem_calloc(slots, sizeof(*index));
    size_t kept = 0;
    for (size_t i = 0; i < *count; i++) {
        size_t size;
        const char *key = entry_key(values[i], &size);
        size_t slot = map_hash(key, size) & (slots - 1);
        for (;; slot = (slot + 1) & (slots - 1)) {
            if (index[slot] == 0) {
                values[kept++] = values[i];
                index[slot] = (uint32_t)kept;
                break;
            }
            size_t other_size;
            const char *other = entry_key(values[index[slot] - 1], &other_size);
            if (other_size == size && memcmp(other, key, size) == 0) {
                values[index[slot] - 1] = values[i];
                break;
            }
        }
    }
    mem_free(index);
    *count = kept;
}
