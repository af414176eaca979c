// SPDX-License-Identifier: Apache-2.0
//
// What a handler may ask of a request.

#include <string.h>
#include <strings.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/text.h"
#include "net/http_internal.h"

enum { ARENA_CHUNK_SIZE = 2048 };

const char *http_method(const struct http_request *r)
{
    return r->head.data;
}

const char *http_path(const struct http_request *r)
{
    return r->path;
}

const char *http_raw_target(const struct http_request *r)
{
    return r->head.data + r->target_at;
}

struct arena *http_arena(struct http_request *r)
{
    if (r->arena == NULL) {
        r->arena = arena_new(ARENA_CHUNK_SIZE, 0);
    }
    return r->arena;
}

const char *http_get_header(const struct http_request *r, const char *name)
{
    size_t name_size = strlen(name);
    const char *at = r->head.data + r->headers_at;
    for (uint32_t i = 0; i < r->header_count; i++) {
        size_t size = strlen(at);
        const char *value = at + size + 1;
        if (size == name_size && strncasecmp(at, name, size) == 0) {
            return value;
        }
        at = value + strlen(value) + 1;
    }
    return NULL;
}

const char *http_get_common_header(struct http_request *r, enum http_common_header header)
{
    static const char *const names[HTTP_COMMON_COUNT] = {
        [HTTP_CONTENT_TYPE] = "Content-Type",
        [HTTP_MESOS_STREAM_ID] = "Mesos-Stream-Id",
    };
    uint32_t *at = &r->common_at[header];
    if (*at == 0) {
        const char *value = http_get_header(r, names[header]);
        *at = value != NULL ? (uint32_t)(value - r->head.data) : 1;
    }
    return *at > 1 ? r->head.data + *at : NULL;
}

struct http_memo *http_memo(struct http_request *r)
{
    return &r->memo;
}

const void *http_body(const struct http_request *r, size_t *ret_size)
{
    if (ret_size != NULL) {
        *ret_size = r->body.size;
    }
    return r->body.data != NULL ? r->body.data : "";
}

// Finds `name` in "a=1&b=2" and returns its decoded value from the request's arena; "" when it has
// none; NULL when it is absent or badly escaped.
static const char *find_field(struct http_request *r, const char *fields, size_t size,
                              const char *name)
{
    const char *end = fields + size;
    while (fields < end) {
        const char *stop = memchr(fields, '&', (size_t)(end - fields));
        if (stop == NULL) {
            stop = end;
        }
        const char *equals = memchr(fields, '=', (size_t)(stop - fields));
        const char *key_end = equals != NULL ? equals : stop;
        char *key AUTO_FREE = NULL;
        if (text_percent_decode(fields, (size_t)(key_end - fields), true, &key) == 0 &&
            strcmp(key, name) == 0) {
            const char *value = equals != NULL ? equals + 1 : stop;
            char *text AUTO_FREE = NULL;
            if (text_percent_decode(value, (size_t)(stop - value), true, &text) < 0) {
                return NULL;
            }
            return arena_strdup(http_arena(r), text);
        }
        fields = stop + 1;
    }
    return NULL;
}

const char *http_query(const struct http_request *r, const char *name)
{
    if (r->query == NULL) {
        return NULL;
    }
    // The arena is a cache of decoded values: the request stays what it was.
    return find_field((struct http_request *)(uintptr_t)r, r->query, strcspn(r->query, "#"), name);
}

const char *http_form(struct http_request *r, const char *name)
{
    static const char form_type[] = "application/x-www-form-urlencoded";
    const char *type = http_get_header(r, "Content-Type");
    if (type == NULL || strncasecmp(type, form_type, sizeof(form_type) - 1) != 0) {
        return NULL;
    }
    size_t size;
    const char *body = http_body(r, &size);
    return find_field(r, body, size, name);
}

void http_add_answer_header(struct http_request *r, const char *name, const char *value)
{
    CHECK(r->answer_header_count < HTTP_ANSWER_HEADERS_MAX);
    r->answer_headers[r->answer_header_count++] = (struct http_header){name, value};
}

void http_peer(const struct http_request *r, char ret_name[TRANSPORT_NAME_SIZE])
{
    ret_name[0] = '\0';
    if (r->conn != NULL) {
        transport_peer(conn_transport(r->conn), ret_name);
    }
}

void http_on_part(struct http_request *r,
                  void (*on_part)(void *ctx, const void *data, size_t size, bool is_last),
                  void *ctx)
{
    CHECK(r->in_parts);
    r->on_part = on_part;
    r->on_part_ctx = ctx;
}

bool http_is_in_parts(const struct http_request *r)
{
    return r->in_parts;
}

void http_pause_parts(struct http_request *r, bool is_paused)
{
    r->parts_paused = is_paused;
    if (!is_paused && r->conn != NULL) {
        conn_resume_parts(r->conn);
    }
}

void http_on_abort(struct http_request *r, void (*on_abort)(void *ctx, struct http_request *r),
                   void *ctx)
{
    r->on_abort = on_abort;
    r->on_abort_ctx = ctx;
}
