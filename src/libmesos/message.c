// SPDX-License-Identifier: Apache-2.0
//
// Looking into messages by paths, over protobuf-c's descriptors. A public message is a
// ProtobufCMessage, which knows its own descriptor.

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "libmesos/host.h"

enum { NAME_MAX_SIZE = 128 };

// One value that a path leads to.
struct found {
    const ProtobufCFieldDescriptor *field;
    const void *value; // the element: a pointer to it, as it lies in the message
    size_t count;      // of the list; 1 when it is none
};

static const ProtobufCMessage *message_of(const struct mesos_message *message)
{
    const ProtobufCMessage *m = (const ProtobufCMessage *)(const void *)message;
    CHECK(m != NULL && m->descriptor->magic == PROTOBUF_C__MESSAGE_DESCRIPTOR_MAGIC);
    return m;
}

static size_t size_of(const ProtobufCFieldDescriptor *field)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return 8;
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    default:
        return 4;
    }
}

static bool is_set(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *field)
{
    const char *base = (const char *)m;
    if (field->type == PROTOBUF_C_TYPE_STRING || field->type == PROTOBUF_C_TYPE_MESSAGE) {
        const void *pointer = *(const void *const *)(const void *)(base + field->offset);
        return pointer != NULL && pointer != field->default_value;
    }
    if (field->label == PROTOBUF_C_LABEL_REQUIRED)
        return true;
    return *(const protobuf_c_boolean *)(base + field->quantifier_offset);
}

static bool find_field(const ProtobufCMessage *m, const char *name, size_t index, struct found *ret)
{
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field_by_name(m->descriptor, name);
    if (field == NULL)
        return false;
    const char *base = (const char *)m;
    ret->field = field;
    ret->count = 1;
    ret->value = base + field->offset;
    if (field->label != PROTOBUF_C_LABEL_REPEATED)
        return index == 0 && is_set(m, field);
    ret->count = *(const size_t *)(const void *)(base + field->quantifier_offset);
    const char *elements = *(const char *const *)(const void *)(base + field->offset);
    if (index < ret->count)
        ret->value = elements + index * size_of(field);
    return index < ret->count;
}

static const ProtobufCMessage *message_at(const struct found *found)
{
    if (found->field->type != PROTOBUF_C_TYPE_MESSAGE)
        return NULL;
    return *(const ProtobufCMessage *const *)found->value;
}

// Takes "name" or "name[index]" off the path's front; false when it is neither.
static bool take_part(const char **path, char ret_name[NAME_MAX_SIZE], size_t *ret_index)
{
    size_t size = strcspn(*path, ".[");
    if (size == 0 || size >= NAME_MAX_SIZE)
        return false;
    memcpy(ret_name, *path, size);
    ret_name[size] = '\0';
    const char *at = *path + size;
    *ret_index = 0;
    if (*at == '[') {
        char *end;
        *ret_index = strtoul(at + 1, &end, 10);
        if (end == at + 1 || *end != ']')
            return false;
        at = end + 1;
    }
    if (*at == '.' && at[1] != '\0')
        at++;
    else if (*at != '\0')
        return false;
    *path = at;
    return true;
}

static bool find(const struct mesos_message *message, const char *path, struct found *ret)
{
    const ProtobufCMessage *m = message_of(message);
    char name[NAME_MAX_SIZE];
    size_t index;
    while (m != NULL && take_part(&path, name, &index)) {
        if (!find_field(m, name, index, ret))
            return false;
        if (*path == '\0')
            return true;
        m = message_at(ret);
    }
    return false;
}

bool mesos_has(const struct mesos_message *message, const char *path)
{
    struct found found;
    return find(message, path, &found);
}

size_t mesos_count(const struct mesos_message *message, const char *path)
{
    struct found found;
    return find(message, path, &found) ? found.count : 0;
}

const char *mesos_text(const struct mesos_message *message, const char *path)
{
    struct found found;
    if (!find(message, path, &found))
        return NULL;
    if (found.field->type == PROTOBUF_C_TYPE_STRING)
        return *(const char *const *)found.value;
    if (found.field->type == PROTOBUF_C_TYPE_ENUM)
        return wire_enum_name(found.field->descriptor, *(const int *)found.value);
    return NULL;
}

double mesos_number(const struct mesos_message *message, const char *path, double otherwise)
{
    struct found found;
    if (!find(message, path, &found))
        return otherwise;
    const void *value = found.value;
    switch (found.field->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_ENUM:
        return *(const int32_t *)value;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        return *(const uint32_t *)value;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        return (double)*(const int64_t *)value;
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        return (double)*(const uint64_t *)value;
    case PROTOBUF_C_TYPE_FLOAT:
        return (double)*(const float *)value;
    case PROTOBUF_C_TYPE_DOUBLE:
        return *(const double *)value;
    case PROTOBUF_C_TYPE_BOOL:
        return *(const protobuf_c_boolean *)value;
    default:
        return otherwise;
    }
}

const void *mesos_bytes(const struct mesos_message *message, const char *path, size_t *ret_size)
{
    struct found found;
    *ret_size = 0;
    if (!find(message, path, &found))
        return NULL;
    if (found.field->type == PROTOBUF_C_TYPE_STRING) {
        const char *text = *(const char *const *)found.value;
        *ret_size = strlen(text);
        return text;
    }
    if (found.field->type != PROTOBUF_C_TYPE_BYTES)
        return NULL;
    const ProtobufCBinaryData *bytes = found.value;
    *ret_size = bytes->len;
    return bytes->data != NULL ? (const void *)bytes->data : "";
}

const struct mesos_message *mesos_child(const struct mesos_message *message, const char *path)
{
    struct found found;
    return find(message, path, &found) ? host_message(message_at(&found)) : NULL;
}

double mesos_resource(const struct mesos_message *message, const char *name)
{
    double sum = 0;
    struct found found;
    for (size_t i = 0; find_field(message_of(message), "resources", i, &found); i++) {
        const ProtobufCMessage *resource = message_at(&found);
        if (resource == NULL)
            return 0;
        const char *own = mesos_text(host_message(resource), "name");
        if (own != NULL && strcmp(own, name) == 0)
            sum += mesos_number(host_message(resource), "scalar.value", 0);
    }
    return sum;
}

char *mesos_json(const struct mesos_message *message)
{
    AUTO_BUF struct buf text = BUF_INIT;
    wire_json_encode(message_of(message), &text);
    return buf_take(&text);
}

void *mesos_protobuf(const struct mesos_message *message, size_t *ret_size)
{
    const ProtobufCMessage *m = message_of(message);
    *ret_size = protobuf_c_message_get_packed_size(m);
    void *data = mem_alloc(*ret_size + 1);
    protobuf_c_message_pack(m, data);
    return data;
}
