// SPDX-License-Identifier: Apache-2.0
//
// What a request is written in, what its answer is to be written in, and the answers.

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "api/api.h"
#include "base/arena.h"
#include "base/text.h"
#include "wire/recordio.h"

bool api_require_method(struct http_request *r, const char *methods)
{
    const char *method = http_method(r);
    if (strcmp(method, methods) == 0) {
        return true;
    }
    size_t method_size = strlen(method);
    AUTO_BUF struct buf quoted = BUF_INIT;
    AUTO_BUF struct buf allow = BUF_INIT;
    for (const char *at = methods; *at != '\0';) {
        size_t size = strcspn(at, ",");
        if (size == method_size && memcmp(at, method, size) == 0) {
            return true;
        }
        const char *separator = allow.size == 0 ? "" : ", ";
        buf_printf(&allow, "%s%.*s", separator, (int)size, at);
        buf_printf(&quoted, "%s'%.*s'", separator, (int)size, at);
        at += size + (at[size] == ',');
    }
    AUTO_BUF struct buf body = BUF_INIT;
    buf_printf(&body, "405 Method Not Allowed. Expecting one of { %s }, but received '%s'.",
               quoted.data, method);
    struct http_header header = {"Allow", allow.data};
    http_respond(r, 405, "text/plain; charset=utf-8", body.data, body.size, &header, 1);
    return false;
}

static bool request_type(struct http_request *r, enum content_type *ret_type)
{
    const char *type = http_get_common_header(r, HTTP_CONTENT_TYPE);
    if (type == NULL) {
        http_respond_text(r, 400, "Expecting 'Content-Type' to be present");
        return false;
    }
    if (strcmp(type, CONTENT_JSON_NAME) == 0) {
        *ret_type = CONTENT_JSON;
    } else if (strcmp(type, CONTENT_PROTOBUF_NAME) == 0) {
        *ret_type = CONTENT_PROTOBUF;
    } else {
        http_respond_text(r, 415, "Expecting 'Content-Type' of %s or %s", CONTENT_JSON_NAME,
                          CONTENT_PROTOBUF_NAME);
        return false;
    }
    return true;
}

bool api_call_type(struct http_request *r, enum content_type *ret_type)
{
    struct http_memo *memo = http_memo(r);
    if (memo->kind != 0) {
        *ret_type = (enum content_type)(memo->kind - 1);
        return true;
    }
    if (!api_require_method(r, "POST") || !request_type(r, ret_type)) {
        return false;
    }
    memo->kind = 1 + (unsigned)*ret_type;
    return true;
}

bool api_request_message(struct http_request *r, enum content_type type,
                         const ProtobufCMessageDescriptor *descriptor,
                         ProtobufCMessage **ret_message)
{
    return api_request_message_pinned(r, type, descriptor, NULL, ret_message);
}

bool api_request_message_pinned(struct http_request *r, enum content_type type,
                                const ProtobufCMessageDescriptor *descriptor,
                                const ProtobufCMessageDescriptor *pinned,
                                ProtobufCMessage **ret_message)
{
    size_t size;
    const void *body = http_body(r, &size);
    struct error err;
    int result = content_decode_pinned(type, descriptor, http_arena(r), body, size, pinned,
                                       ret_message, &err);
    if (result == 0) {
        return true;
    }
    const char *what = type == CONTENT_PROTOBUF ? "Failed to parse body into Call protobuf"
                       : result == -EINVAL      ? "Failed to convert JSON into Call protobuf"
                                                : "Failed to parse body into JSON";
    http_respond_text(r, result == -EFBIG ? 413 : 400, "%s: %s", what, err.text);
    return false;
}

// ---- Accept ----

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

// One element of a list of media ranges, "type/subtype;q=0.5": its range, and whether q allows it.
static bool take_range(const char **at, char *range, size_t range_size, bool *ret_allowed)
{
    if (**at == '\0') {
        return false;
    }
    size_t size = 0;
    const char *p = *at;
    for (; *p != '\0' && *p != ',' && *p != ';'; p++) {
        if (!is_blank(*p) && size + 1 < range_size) {
            range[size++] = *p;
        }
    }
    range[size] = '\0';
    *ret_allowed = true;
    while (*p == ';') {
        char parameter[32];
        size = 0;
        for (p++; *p != '\0' && *p != ',' && *p != ';'; p++) {
            if (!is_blank(*p) && size + 1 < sizeof(parameter)) {
                parameter[size++] = *p;
            }
        }
        parameter[size] = '\0';
        double quality;
        if (parameter[0] == 'q' && parameter[1] == '=') {
            *ret_allowed = text_parse_double(parameter + 2, &quality, NULL) == 0 && quality > 0;
        }
    }
    *at = *p == ',' ? p + 1 : p;
    return true;
}

bool api_accepts(struct http_request *r, const char *name, const char *media_type)
{
    const char *accept = http_get_header(r, name);
    if (accept == NULL) {
        return true;
    }
    char any_subtype[64];
    snprintf(any_subtype, sizeof(any_subtype), "%.*s/*", (int)strcspn(media_type, "/"), media_type);
    // The most specific range that fits decides.
    const char *const candidates[] = {media_type, any_subtype, "*/*"};
    for (size_t i = 0; i < sizeof(candidates) / sizeof(candidates[0]); i++) {
        char range[128];
        bool is_allowed;
        for (const char *at = accept; take_range(&at, range, sizeof(range), &is_allowed);) {
            if (text_is_equal_nocase(range, candidates[i])) {
                return is_allowed;
            }
        }
    }
    return false;
}

// JSON or protobuf, as the header `name` allows; `preferred` when there is no such header.
static bool choose_type(struct http_request *r, const char *name, enum content_type preferred,
                        enum content_type *ret_type)
{
    if (http_get_header(r, name) == NULL) {
        *ret_type = preferred;
    } else if (api_accepts(r, name, CONTENT_JSON_NAME)) {
        *ret_type = CONTENT_JSON;
    } else if (api_accepts(r, name, CONTENT_PROTOBUF_NAME)) {
        *ret_type = CONTENT_PROTOBUF;
    } else {
        return false;
    }
    return true;
}

bool api_response_type(struct http_request *r, enum content_type request_type, bool stream,
                       enum content_type *ret_type, bool *ret_recordio)
{
    if (ret_recordio != NULL) {
        *ret_recordio = false;
    }
    if (choose_type(r, "Accept", request_type, ret_type)) {
        return true;
    }
    if (!stream) {
        http_respond_text(r, 406, "Expecting 'Accept' to allow '%s' or '%s'", CONTENT_PROTOBUF_NAME,
                          CONTENT_JSON_NAME);
        return false;
    }
    if (!api_accepts(r, "Accept", CONTENT_RECORDIO_NAME)) {
        http_respond_text(r, 406, "Expecting 'Accept' to allow %s or %s or %s", CONTENT_JSON_NAME,
                          CONTENT_PROTOBUF_NAME, CONTENT_RECORDIO_NAME);
        return false;
    }
    if (!choose_type(r, "Message-Accept", CONTENT_JSON, ret_type)) {
        http_respond_text(r, 406, "Expecting 'Message-Accept' to allow %s or %s", CONTENT_JSON_NAME,
                          CONTENT_PROTOBUF_NAME);
        return false;
    }
    if (ret_recordio != NULL) {
        *ret_recordio = true;
    }
    return true;
}

// ---- answers ----

// A callback's name may hold what names in JavaScript hold, and nothing that would be a script.
static bool is_callback_name(const char *name)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_$.[]";
    return *name != '\0' && name[strspn(name, allowed)] == '\0';
}

void api_respond_json(struct http_request *r, const struct buf *json)
{
    const char *callback = http_query(r, "jsonp");
    if (callback == NULL) {
        http_respond(r, 200, CONTENT_JSON_NAME, json->data, json->size, NULL, 0);
        return;
    }
    if (!is_callback_name(callback)) {
        http_respond_text(r, 400, "Expecting 'jsonp' to be the name of a function\n");
        return;
    }
    AUTO_BUF struct buf script = BUF_INIT;
    buf_reserve(&script, json->size + strlen(callback) + 3);
    buf_printf(&script, "%s(", callback);
    buf_append(&script, json->data, json->size);
    buf_putc(&script, ')');
    http_respond(r, 200, "text/javascript", script.data, script.size, NULL, 0);
}

void api_respond_json_message(struct http_request *r, const ProtobufCMessage *message)
{
    AUTO_BUF struct buf out = BUF_INIT;
    wire_json_encode(message, &out);
    api_respond_json(r, &out);
}

void api_respond_message(struct http_request *r, enum content_type type,
                         const ProtobufCMessage *message)
{
    AUTO_BUF struct buf body = BUF_INIT;
    content_encode(type, message, &body);
    http_respond(r, 200, content_type_name(type), body.data, body.size, NULL, 0);
}

struct http_stream *api_respond_stream(struct http_request *r, enum content_type type,
                                       bool recordio, const struct http_header *headers,
                                       size_t header_count,
                                       void (*on_close)(void *ctx, struct http_stream *s),
                                       void *ctx)
{
    if (!recordio) {
        return http_respond_stream(r, content_type_name(type), headers, header_count, on_close,
                                   ctx);
    }
    struct http_header *all = arena_calloc(http_arena(r), header_count + 1, sizeof(*all));
    for (size_t i = 0; i < header_count; i++) {
        all[i] = headers[i];
    }
    all[header_count] = (struct http_header){"Message-Content-Type", content_type_name(type)};
    return http_respond_stream(r, CONTENT_RECORDIO_NAME, all, header_count + 1, on_close, ctx);
}

void api_stream_send(struct http_stream *s, enum content_type type, const ProtobufCMessage *event)
{
    AUTO_BUF struct buf body = BUF_INIT;
    const void *data;
    size_t size;
    if (type == CONTENT_PROTOBUF) {
        size = wire_pack(event, &data);
    } else {
        content_encode(type, event, &body);
        data = body.data;
        size = body.size;
    }
    char head[RECORDIO_HEAD_MAX];
    http_stream_send_behind(s, head, recordio_put_head(head, size), data, size);
}
