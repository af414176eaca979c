// SPDX-License-Identifier: Apache-2.0

#include "api/v1_common.h"

#include <ctype.h>
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "wire/wire.h"

// ---- members by name ----

static const ProtobufCFieldDescriptor *find_field(const ProtobufCMessageDescriptor *descriptor,
                                                  const char *name)
{
    return protobuf_c_message_descriptor_get_field_by_name(descriptor, name);
}

void *api_v1_member(const ProtobufCMessage *message, const char *name)
{
    const ProtobufCFieldDescriptor *field = find_field(message->descriptor, name);
    CHECK(field != NULL);
    return (char *)(uintptr_t)message + field->offset;
}

bool api_v1_has(const ProtobufCMessage *message, const char *name)
{
    const ProtobufCFieldDescriptor *field = find_field(message->descriptor, name);
    CHECK(field != NULL && field->label == PROTOBUF_C_LABEL_OPTIONAL &&
          field->type != PROTOBUF_C_TYPE_MESSAGE && field->type != PROTOBUF_C_TYPE_STRING);
    return *(const protobuf_c_boolean *)((const char *)message + field->quantifier_offset);
}

void api_v1_set_has(ProtobufCMessage *message, const char *name)
{
    const ProtobufCFieldDescriptor *field = find_field(message->descriptor, name);
    CHECK(field != NULL && field->label == PROTOBUF_C_LABEL_OPTIONAL &&
          field->type != PROTOBUF_C_TYPE_MESSAGE && field->type != PROTOBUF_C_TYPE_STRING);
    *(protobuf_c_boolean *)((char *)message + field->quantifier_offset) = 1;
}

void api_v1_set_list(ProtobufCMessage *message, const char *name, void *values, size_t count)
{
    const ProtobufCFieldDescriptor *field = find_field(message->descriptor, name);
    CHECK(field != NULL && field->label == PROTOBUF_C_LABEL_REPEATED);
    *(size_t *)((char *)message + field->quantifier_offset) = count;
    *(void **)((char *)message + field->offset) = values;
}

// The member of a Call or Response that belongs to the type called `name`, or NULL.
static const ProtobufCFieldDescriptor *body_field(const ProtobufCMessageDescriptor *descriptor,
                                                  const char *name)
{
    char small[64];
    size_t size = strlen(name);
    CHECK(size < sizeof(small));
    for (size_t i = 0; i <= size; i++)
        small[i] = (char)tolower((unsigned char)name[i]);
    return find_field(descriptor, small);
}

static const ProtobufCEnumDescriptor *type_enum(const ProtobufCMessageDescriptor *descriptor)
{
    const ProtobufCFieldDescriptor *field = find_field(descriptor, "type");
    CHECK(field != NULL && field->type == PROTOBUF_C_TYPE_ENUM);
    return field->descriptor;
}

// ---- dispatch ----

static const struct api_v1_row *find_row_in(const struct api_v1_row *rows, size_t count,
                                            const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(rows[i].name, name) == 0)
            return &rows[i];
    }
    return NULL;
}

static const struct api_v1_row *find_row(const struct api_v1 *api, const char *name)
{
    const struct api_v1_row *row = find_row_in(api->rows, api->row_count, name);
    return row != NULL ? row : find_row_in(api_v1_common_rows, api_v1_common_row_count, name);
}

// The call's type and its row; NULL for one that is not implemented.
static int find_type(struct api_v1_request *q, const struct api_v1_row **ret_row, struct error *err)
{
    if (!api_v1_has(q->call, "type"))
        return error_set(err, -EINVAL, "Expecting 'type' to be present");
    q->name = wire_enum_name(type_enum(q->api->call), *(int *)api_v1_member(q->call, "type"));
    CHECK(q->name != NULL); // the decoder lets none pass that it does not know
    const struct api_v1_row *row = find_row(q->api, q->name);
    *ret_row = row != NULL && row->handle != NULL ? row : NULL;
    return 0;
}

static int validate(struct api_v1_request *q, const struct api_v1_row *row, struct error *err)
{
    const ProtobufCFieldDescriptor *field = body_field(q->api->call, q->name);
    if (field != NULL)
        q->body = *(ProtobufCMessage **)api_v1_member(q->call, field->name);
    if (field != NULL && q->body == NULL && !row->is_body_optional)
        return error_set(err, -EINVAL, "Expecting '%s' to be present", field->name);
    return row->validate != NULL ? row->validate(q, err) : 0;
}

void api_v1_handle(const struct api_v1 *api, struct http_request *r)
{
    if (api->is_ready != NULL && !api->is_ready(api->ctx, r))
        return;
    enum content_type request_type;
    ProtobufCMessage *call;
    if (!api_call_type(r, &request_type) || !api_request_message(r, request_type, api->call, &call))
        return;
    struct api_v1_request *q = arena_calloc(http_arena(r), 1, sizeof(*q));
    *q = (struct api_v1_request){.api = api, .ctx = api->ctx, .http = r, .call = call};
    const struct api_v1_row *row = NULL;
    struct error err;
    int result = find_type(q, &row, &err);
    if (result == 0 && row == NULL) {
        http_respond_text(r, 501, "The call %s is not implemented", q->name);
        return;
    }
    if (result == 0)
        result = validate(q, row, &err);
    if (result < 0) {
        http_respond_text(r, 400, "Failed to validate %s: %s", api->call_name, err.text);
        return;
    }
    // Without `Accept` an answer is JSON, whatever the call was written in.
    if (!api_response_type(r, CONTENT_JSON, row->is_stream, &q->type, &q->recordio))
        return;
    log_debug("Processing call %s", q->name);
    row->handle(q);
}

// ---- answers ----

ProtobufCMessage *api_v1_make_body(struct api_v1_request *q)
{
    const ProtobufCFieldDescriptor *field = body_field(q->api->response, q->name);
    CHECK(field != NULL && field->type == PROTOBUF_C_TYPE_MESSAGE);
    const ProtobufCMessageDescriptor *descriptor = field->descriptor;
    ProtobufCMessage *body = arena_alloc(http_arena(q->http), descriptor->sizeof_message);
    protobuf_c_message_init(descriptor, body);
    return body;
}

void api_v1_respond(struct api_v1_request *q, ProtobufCMessage *body)
{
    const ProtobufCMessageDescriptor *descriptor = q->api->response;
    ProtobufCMessage *response = arena_alloc(http_arena(q->http), descriptor->sizeof_message);
    protobuf_c_message_init(descriptor, response);
    const ProtobufCFieldDescriptor *type = find_field(descriptor, "type");
    *(protobuf_c_boolean *)((char *)response + type->quantifier_offset) = 1;
    int value = wire_enum_value(type_enum(descriptor), q->name);
    CHECK(value >= 0);
    *(int *)((char *)response + type->offset) = value;
    const ProtobufCFieldDescriptor *field = body_field(descriptor, q->name);
    *(ProtobufCMessage **)((char *)response + field->offset) = body;
    api_respond_message(q->http, q->type, response);
}

void api_v1_respond_ok(struct api_v1_request *q)
{
    http_respond_status(q->http, 200);
}

void api_v1_refuse(struct api_v1_request *q, int status, const struct error *err)
{
    http_respond_text(q->http, status, "%s", err->text);
}
