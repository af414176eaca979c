// SPDX-License-Identifier: Apache-2.0
//
// Messages to JSON in Mesos' dialect, straight into the buffer.

#include <string.h>

#include "base/base64.h"
#include "base/check.h"
#include "wire/field.h"
#include "wire/json.h"
#include "wire/wire.h"

static void put_message(struct json_writer *w, const ProtobufCMessage *m, unsigned depth);

static void put_bytes(struct json_writer *w, const ProtobufCBinaryData *bytes)
{
    json_raw(w, "\"", 1);
    base64_encode(bytes->data, bytes->len, w->out);
    buf_putc(w->out, '"');
}

static void put_enum(struct json_writer *w, const ProtobufCFieldDescriptor *f, int value)
{
    const char *name = wire_enum_name(f->descriptor, value);
    if (name != NULL) {
        json_string(w, name);
    } else {
        json_i64(w, value); // cannot come from a decoder
    }
}

static void put_value(struct json_writer *w, const ProtobufCFieldDescriptor *f, const void *value,
                      unsigned depth)
{
    switch (f->type) {
    case PROTOBUF_C_TYPE_STRING:
        json_string(w, *(char *const *)value);
        break;
    case PROTOBUF_C_TYPE_MESSAGE:
        put_message(w, *(ProtobufCMessage *const *)value, depth + 1);
        break;
    case PROTOBUF_C_TYPE_BYTES:
        put_bytes(w, value);
        break;
    case PROTOBUF_C_TYPE_ENUM:
        put_enum(w, f, *(const int32_t *)value);
        break;
    case PROTOBUF_C_TYPE_BOOL:
        json_bool(w, *(const protobuf_c_boolean *)value != 0);
        break;
    case PROTOBUF_C_TYPE_DOUBLE:
        json_double(w, *(const double *)value);
        break;
    case PROTOBUF_C_TYPE_FLOAT:
        json_double(w, (double)*(const float *)value);
        break;
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        json_i64(w, *(const int32_t *)value);
        break;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        json_u64(w, *(const uint32_t *)value);
        break;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        json_i64(w, *(const int64_t *)value);
        break;
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        json_u64(w, *(const uint64_t *)value);
        break;
    }
}

// A map's key is always a string in JSON.
static void put_map_key(struct json_writer *w, const ProtobufCMessage *entry)
{
    const ProtobufCFieldDescriptor *f = &entry->descriptor->fields[0];
    if (f->type == PROTOBUF_C_TYPE_STRING) {
        const char *key = *(char **)field_at(entry, f);
        json_key(w, key == NULL ? "" : key);
        return;
    }
    json_raw(w, "\"", 1);
    w->needs_comma = false;
    put_value(w, f, field_at(entry, f), 0);
    buf_append(w->out, "\":", 2);
    w->needs_comma = false;
}

static void put_map(struct json_writer *w, const ProtobufCFieldDescriptor *f,
                    ProtobufCMessage **entries, size_t count, unsigned depth)
{
    json_key(w, f->name);
    json_object_open(w);
    for (size_t i = 0; i < count; i++) {
        const ProtobufCFieldDescriptor *value = &entries[i]->descriptor->fields[1];
        put_map_key(w, entries[i]);
        put_value(w, value, field_at(entries[i], value), depth);
    }
    json_object_close(w);
}

static void put_repeated(struct json_writer *w, const ProtobufCMessage *m,
                         const ProtobufCFieldDescriptor *f, unsigned depth)
{
    size_t count = *field_count(m, f);
    char *values = *(char **)field_at(m, f);
    if (count == 0) {
        return;
    }
    if (field_is_map(f)) {
        put_map(w, f, (ProtobufCMessage **)(void *)values, count, depth);
        return;
    }
    size_t value_size = field_value_size(f);
    json_key(w, f->name);
    json_array_open(w);
    for (size_t i = 0; i < count; i++) {
        put_value(w, f, values + i * value_size, depth);
    }
    json_array_close(w);
}

static void put_message(struct json_writer *w, const ProtobufCMessage *m, unsigned depth)
{
    CHECK(depth <= WIRE_DEPTH_MAX);
    json_object_open(w);
    if (m != NULL) {
        const ProtobufCMessageDescriptor *d = m->descriptor;
        for (unsigned i = 0; i < d->n_fields; i++) {
            const ProtobufCFieldDescriptor *f = &d->fields[i];
            if (f->label == PROTOBUF_C_LABEL_REPEATED) {
                put_repeated(w, m, f, depth);
            } else if (field_is_set(m, f)) {
                json_key(w, f->name);
                put_value(w, f, field_at(m, f), depth);
            } else if (f->default_value != NULL &&
                       (f->flags & PROTOBUF_C_FIELD_FLAG_DEPRECATED) == 0) {
                json_key(w, f->name);
                put_value(w, f,
                          f->type == PROTOBUF_C_TYPE_STRING ? &f->default_value : f->default_value,
                          depth);
            }
        }
    }
    json_object_close(w);
}

void wire_json_encode(const ProtobufCMessage *message, struct buf *out)
{
    struct json_writer w;
    json_begin(&w, out);
    put_message(&w, message, 1);
}

void wire_json_put(struct json_writer *w, const ProtobufCMessage *message)
{
    put_message(w, message, 1);
}
