// SPDX-License-Identifier: Apache-2.0
//
// See plan.h.

#include "wire/plan.h"

#include <string.h>

#include "base/check.h"
#include "base/mem.h"

_Thread_local struct wire_plans *wire_plans WIRE_TLS;

unsigned wire_type_of(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
        return PROTOBUF_C_WIRE_TYPE_32BIT;
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return PROTOBUF_C_WIRE_TYPE_64BIT;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE:
        return PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED;
    default:
        return PROTOBUF_C_WIRE_TYPE_VARINT;
    }
}

// Each probe is a word of the message and a mask, so that most fields, which are unset, are seen to
// be so by one look of the same kind.
static void plan_probe(struct field_plan *p, const ProtobufCFieldDescriptor *f)
{
    _Static_assert(sizeof(protobuf_c_boolean) == 4 && sizeof(size_t) == 8, "as masks expect");
    // What is never zero: a message's first member is the pointer to its descriptor.
    p->probe = PROBE_ASK;
    p->probe_offset = offsetof(ProtobufCMessage, descriptor);
    p->probe_mask = UINT64_MAX;
    if (f->label == PROTOBUF_C_LABEL_REPEATED) {
        p->probe = PROBE_COUNT;
        p->probe_offset = f->quantifier_offset;
    } else if (f->label == PROTOBUF_C_LABEL_REQUIRED) {
        p->probe = PROBE_ALWAYS;
    } else if (f->label == PROTOBUF_C_LABEL_OPTIONAL && !field_is_oneof(f)) {
        bool is_pointer = f->type == PROTOBUF_C_TYPE_STRING || f->type == PROTOBUF_C_TYPE_MESSAGE;
        p->probe = is_pointer ? PROBE_POINTER : PROBE_FLAG;
        p->probe_offset = is_pointer ? f->offset : f->quantifier_offset;
        if (!is_pointer) {
            // The word before, of which it is the upper half: there is always one.
            p->probe_offset -= 4;
            p->probe_mask = UINT64_C(0xffffffff) << 32;
        }
    }
}

static bool is_id(const ProtobufCFieldDescriptor *f)
{
    if (f->type != PROTOBUF_C_TYPE_MESSAGE)
        return false;
    const ProtobufCMessageDescriptor *d = f->descriptor;
    return d->n_fields == 1 && d->fields[0].id == 1 &&
           d->fields[0].label == PROTOBUF_C_LABEL_REQUIRED &&
           d->fields[0].type == PROTOBUF_C_TYPE_STRING &&
           d->fields[0].offset == offsetof(struct wire_id, text) &&
           d->sizeof_message == sizeof(struct wire_id);
}

static enum field_read read_each_of(const ProtobufCFieldDescriptor *f)
{
    switch (f->type) {
    case PROTOBUF_C_TYPE_STRING:
        return READ_TEXT;
    case PROTOBUF_C_TYPE_BYTES:
        return READ_BYTES;
    case PROTOBUF_C_TYPE_MESSAGE:
        return is_id(f) ? READ_ID : READ_MESSAGE;
    case PROTOBUF_C_TYPE_BOOL:
        return READ_BOOL;
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_UINT32:
        return READ_VARINT32;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_UINT64:
        return READ_VARINT64;
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
        return READ_FIXED32;
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return READ_FIXED64;
    case PROTOBUF_C_TYPE_ENUM: {
        const ProtobufCEnumDescriptor *d = f->descriptor;
        return d->n_value_ranges == 1 ? READ_ENUM : READ_ENUM_IN_ROWS;
    }
    default:
        return READ_NOT;
    }
}

static enum field_read read_of(const ProtobufCFieldDescriptor *f)
{
    if (f->label == PROTOBUF_C_LABEL_NONE || field_is_oneof(f))
        return READ_NOT;
    return f->label == PROTOBUF_C_LABEL_REPEATED ? READ_RUN : read_each_of(f);
}

static void plan_field(struct field_plan *p, const ProtobufCFieldDescriptor *f)
{
    p->field = f;
    p->offset = f->offset;
    p->quantifier_offset = f->quantifier_offset;
    p->type = (uint8_t)f->type;
    p->label = (uint8_t)f->label;
    p->is_oneof = field_is_oneof(f);
    plan_probe(p, f);
    p->read = (uint8_t)read_of(f);
    p->read_each = (uint8_t)read_each_of(f);
    p->not_required_bit = UINT64_MAX;
    if (p->read_each == READ_ENUM) {
        const ProtobufCEnumDescriptor *d = f->descriptor;
        p->enum_first = d->value_ranges[0].start_value;
        p->enum_count = d->n_values;
    }
    p->is_map = field_is_map(f);
    p->is_id = is_id(f);
    p->is_packed =
        f->label == PROTOBUF_C_LABEL_REPEATED && (f->flags & PROTOBUF_C_FIELD_FLAG_PACKED) != 0;
    p->wire_type = (uint8_t)wire_type_of(f->type);
    p->value_size = (uint8_t)field_value_size(f);
    uint32_t wire_type = p->is_packed ? PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED : p->wire_type;
    uint64_t tag = (uint64_t)f->id << 3 | wire_type;
    char *key = mem_printf(",\"%s\":", f->name);
    CHECK(strlen(key) <= UINT8_MAX);
    p->json_key = key;
    p->json_key_size = (uint8_t)strlen(key);
    if ((f->flags & PROTOBUF_C_FIELD_FLAG_DEPRECATED) == 0 && f->default_value != NULL)
        p->json_default = f->type == PROTOBUF_C_TYPE_STRING ? &f->default_value : f->default_value;
    do {
        p->tag[p->tag_size++] = (uint8_t)((tag & 0x7f) | (tag > 0x7f ? 0x80 : 0));
        tag >>= 7;
    } while (tag != 0);
}

static bool ends_row(const struct wire_plan *plan, unsigned last)
{
    for (unsigned i = 0; i < PLAN_ROW; i++) {
        const struct field_plan *f = &plan->fields[last - i];
        if (f->probe != PROBE_POINTER || f->field->default_value != NULL ||
            f->offset + i * sizeof(void *) != plan->fields[last].offset)
            return false;
    }
    return true;
}

static struct wire_plan *plan_new(const ProtobufCMessageDescriptor *d)
{
    CHECK(d->n_fields <= WIRE_FIELDS_MAX);
    struct wire_plan *plan = mem_calloc(1, sizeof(*plan) + d->n_fields * sizeof(plan->fields[0]));
    plan->descriptor = d;
    plan->message_init = d->message_init;
    plan->message_size = d->sizeof_message;
    plan->field_count = d->n_fields;
    for (unsigned i = 0; i < d->n_fields; i++) {
        plan_field(&plan->fields[i], &d->fields[i]);
        plan->has_maps = plan->has_maps || plan->fields[i].is_map;
        if (d->fields[i].label == PROTOBUF_C_LABEL_REQUIRED) {
            field_set_add(&plan->required, i);
            if (i < 64)
                plan->fields[i].not_required_bit = ~(UINT64_C(1) << i);
        }
        uint32_t tag = d->fields[i].id << 3 | plan->fields[i].wire_type;
        if (tag < PLAN_DIRECT_TAGS)
            plan->by_tag[tag] = &plan->fields[i];
        plan->fields[i].ends_row = i + 1 >= PLAN_ROW && ends_row(plan, i);
    }
    return plan;
}

struct wire_plan *wire_plan_search(const ProtobufCMessageDescriptor *descriptor, size_t slot)
{
    if (wire_plans == NULL)
        wire_plans = mem_zalloc(sizeof(*wire_plans));
    struct wire_plan **found = &wire_plans->slots[slot];
    while (*found != NULL && (*found)->descriptor != descriptor) {
        slot = (slot + 1) % PLAN_SLOTS;
        found = &wire_plans->slots[slot];
    }
    if (*found == NULL) {
        CHECK(++wire_plans->count < PLAN_SLOTS);
        *found = plan_new(descriptor);
    }
    return *found;
}

int wire_plan_find(const struct wire_plan *plan, uint32_t id)
{
    const ProtobufCFieldDescriptor *f =
        protobuf_c_message_descriptor_get_field(plan->descriptor, id);
    return f != NULL ? (int)(f - plan->descriptor->fields) : -1;
}

bool wire_enum_has(const ProtobufCEnumDescriptor *d, int value)
{
    // Nearly all have their values in one row.
    if (d->n_value_ranges == 1) {
        int first = d->value_ranges[0].start_value;
        return value >= first && (unsigned)(value - first) < d->n_values;
    }
    return protobuf_c_enum_descriptor_get_value(d, value) != NULL;
}
