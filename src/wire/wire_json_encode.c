// SPDX-License-Identifier: Apache-2.0
//
// Messages to JSON in Mesos' dialect, straight into the buffer, by the plan of each type.

#include <string.h>

#include "base/base64.h"
#include "base/check.h"
#include "wire/field.h"
#include "wire/json.h"
#include "wire/plan.h"
#include "wire/wire.h"

static void put_message(struct json_writer *w, struct wire_plan *plan, const ProtobufCMessage *m,
                        unsigned depth);

static void put_key(struct json_writer *w, const struct field_plan *f)
{
    json_key_text(w, f->json_key, f->json_key_size);
}

static void put_bytes(struct json_writer *w, const ProtobufCBinaryData *bytes)
{
    json_raw(w, "\"", 1);
    base64_encode(bytes->data, bytes->len, w->out);
    buf_putc(w->out, '"');
}

static void put_enum(struct json_writer *w, const ProtobufCFieldDescriptor *f, int value)
{
    const ProtobufCEnumDescriptor *d = f->descriptor;
    // Nearly all have their values in one row.
    size_t at = (size_t)((int64_t)value - d->value_ranges[0].start_value);
    const char *name = d->n_value_ranges == 1 ? (at < d->n_values ? d->values[at].name : NULL)
                                              : wire_enum_name(d, value);
    if (name != NULL) {
        json_string(w, name);
    } else {
        json_i64(w, value); // cannot come from a decoder
    }
}

static void put_value(struct json_writer *w, struct field_plan *f, const void *value,
                      unsigned depth)
{
    switch (f->type) {
    case PROTOBUF_C_TYPE_STRING:
        json_string(w, *(char *const *)value);
        break;
    case PROTOBUF_C_TYPE_MESSAGE:
        put_message(w, wire_plan_child(f), *(ProtobufCMessage *const *)value, depth + 1);
        break;
    case PROTOBUF_C_TYPE_BYTES:
        put_bytes(w, value);
        break;
    case PROTOBUF_C_TYPE_ENUM:
        put_enum(w, f->field, *(const int32_t *)value);
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

static const void *value_at(const ProtobufCMessage *m, const struct field_plan *f)
{
    return (const char *)m + f->offset;
}

// A map's key is always a string in JSON.
static void put_map_key(struct json_writer *w, struct field_plan *f, const ProtobufCMessage *entry)
{
    if (f->type == PROTOBUF_C_TYPE_STRING) {
        const char *key = *(char *const *)value_at(entry, f);
        json_key(w, key == NULL ? "" : key);
        return;
    }
    json_raw(w, "\"", 1);
    w->needs_comma = false;
    put_value(w, f, value_at(entry, f), 0);
    buf_append(w->out, "\":", 2);
    w->needs_comma = false;
}

static void put_map(struct json_writer *w, struct field_plan *f, ProtobufCMessage *const *entries,
                    size_t count, unsigned depth)
{
    struct wire_plan *plan = wire_plan_child(f);
    json_object_open(w);
    for (size_t i = 0; i < count; i++) {
        put_map_key(w, &plan->fields[0], entries[i]);
        put_value(w, &plan->fields[1], value_at(entries[i], &plan->fields[1]), depth);
    }
    json_object_close(w);
}

static void put_repeated(struct json_writer *w, const ProtobufCMessage *m, struct field_plan *f,
                         unsigned depth)
{
    size_t count = *field_count(m, f->field);
    const char *values = *(char *const *)value_at(m, f);
    put_key(w, f);
    if (f->is_map) {
        put_map(w, f, (ProtobufCMessage *const *)(const void *)values, count, depth);
        return;
    }
    json_array_open(w);
    for (size_t i = 0; i < count; i++) {
        put_value(w, f, values + i * f->value_size, depth);
    }
    json_array_close(w);
}

// As field_is_set: what is required may be missing from a message that was made here.
static bool has_value(const struct field_plan *f, const ProtobufCMessage *m)
{
    bool is_pointer = f->type == PROTOBUF_C_TYPE_STRING || f->type == PROTOBUF_C_TYPE_MESSAGE;
    if (f->probe == PROBE_ALWAYS && is_pointer) {
        return *(const void *const *)value_at(m, f) != NULL;
    }
    return wire_plan_has(f, m);
}

static void put_field(struct json_writer *w, const ProtobufCMessage *m, struct field_plan *f,
                      unsigned depth)
{
    if (has_value(f, m)) {
        if (f->label == PROTOBUF_C_LABEL_REPEATED) {
            put_repeated(w, m, f, depth);
            return;
        }
        put_key(w, f);
        put_value(w, f, value_at(m, f), depth);
    } else if (f->json_default != NULL) {
        put_key(w, f);
        put_value(w, f, f->json_default, depth);
    }
}

static void put_message(struct json_writer *w, struct wire_plan *plan, const ProtobufCMessage *m,
                        unsigned depth)
{
    CHECK(depth <= WIRE_DEPTH_MAX);
    json_object_open(w);
    struct field_plan *end = plan->fields + (m != NULL ? plan->field_count : 0);
    for (struct field_plan *f = plan->fields; f < end; f++) {
        // Most fields of most messages are unset: they are stepped over here, rows of them at once.
        struct field_plan *last = f + PLAN_ROW - 1;
        if (last < end && last->ends_row && wire_plan_row_is_unset(last, m)) {
            f = last;
        } else if (f->json_default != NULL || !wire_plan_is_unset(f, m)) {
            put_field(w, m, f, depth);
        }
    }
    json_object_close(w);
}

void wire_json_encode(const ProtobufCMessage *message, struct buf *out)
{
    struct json_writer w;
    json_begin(&w, out);
    put_message(&w, wire_plan_get(message->descriptor), message, 1);
}

void wire_json_put(struct json_writer *w, const ProtobufCMessage *message)
{
    put_message(w, wire_plan_get(message->descriptor), message, 1);
}
