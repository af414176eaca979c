// SPDX-License-Identifier: Apache-2.0

#include "net/answer.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/check.h"

enum { ANSWER_HEAD_SIZE_MAX = 64 * 1024, ANSWER_HEADER_COUNT_MAX = 200 };

static int spoil(struct answer_reader *a, const char *text)
{
    if (a->bad_text[0] == '\0') {
        snprintf(a->bad_text, sizeof(a->bad_text), "%s", text);
    }
    return -1;
}

static int on_message_begin(llhttp_t *parser)
{
    struct answer_reader *a = parser->data;
    buf_clear(&a->head);
    a->header_count = 0;
    a->in_head = true;
    return 0;
}

static int on_header_bytes(llhttp_t *parser, const char *at, size_t size)
{
    struct answer_reader *a = parser->data;
    if (!a->in_head) {
        return 0; // trailers
    }
    if (size > 0 && memchr(at, '\0', size) != NULL) {
        return spoil(a, "NUL in the head");
    }
    if (a->head.size + size >= ANSWER_HEAD_SIZE_MAX) {
        return spoil(a, "the head is too large");
    }
    buf_append(&a->head, at, size);
    return 0;
}

static int on_header_field_complete(llhttp_t *parser)
{
    struct answer_reader *a = parser->data;
    if (!a->in_head) {
        return 0;
    }
    if (a->header_count == ANSWER_HEADER_COUNT_MAX) {
        return spoil(a, "too many headers");
    }
    buf_putc(&a->head, '\0');
    return 0;
}

static int on_header_value_complete(llhttp_t *parser)
{
    struct answer_reader *a = parser->data;
    if (a->in_head) {
        while (a->head.size > 0 &&
               (a->head.data[a->head.size - 1] == ' ' || a->head.data[a->head.size - 1] == '\t')) {
            a->head.size--;
        }
        buf_putc(&a->head, '\0');
        a->header_count++;
    }
    return 0;
}

static bool is_provisional(const llhttp_t *parser)
{
    return parser->status_code >= 100 && parser->status_code < 200 && parser->status_code != 101;
}

static int on_headers_complete(llhttp_t *parser)
{
    struct answer_reader *a = parser->data;
    a->in_head = false;
    if (is_provisional(parser)) {
        return 1; // no body, whatever its headers say
    }
    a->head_told = true;
    if (parser->status_code < 100) {
        return spoil(a, "the status is no status");
    }
    a->callbacks->on_head(a->ctx, parser->status_code);
    if (a->stopped) {
        return -1;
    }
    bool no_body = a->is_head || parser->status_code == 101 || parser->status_code == 204 ||
                   parser->status_code == 304;
    return no_body ? 1 : 0;
}

static int on_body(llhttp_t *parser, const char *at, size_t size)
{
    struct answer_reader *a = parser->data;
    if (size > 0) {
        a->callbacks->on_data(a->ctx, at, size);
    }
    return a->stopped ? -1 : 0;
}

static int on_message_complete(llhttp_t *parser)
{
    struct answer_reader *a = parser->data;
    if (is_provisional(parser)) {
        return 0;
    }
    a->whole = true;
    a->keep_alive = llhttp_should_keep_alive(parser) != 0;
    return HPE_PAUSED;
}

static llhttp_settings_t settings;

void answer_start(struct answer_reader *a, bool is_head, const struct answer_callbacks *callbacks,
                  void *ctx)
{
    if (settings.on_body == NULL) {
        llhttp_settings_init(&settings);
        settings.on_message_begin = on_message_begin;
        settings.on_header_field = on_header_bytes;
        settings.on_header_field_complete = on_header_field_complete;
        settings.on_header_value = on_header_bytes;
        settings.on_header_value_complete = on_header_value_complete;
        settings.on_headers_complete = on_headers_complete;
        settings.on_body = on_body;
        settings.on_message_complete = on_message_complete;
    }
    answer_free(a);
    llhttp_init(&a->parser, HTTP_RESPONSE, &settings);
    a->parser.data = a;
    a->callbacks = callbacks;
    a->ctx = ctx;
    a->is_head = is_head;
}

void answer_free(struct answer_reader *a)
{
    buf_free(&a->head);
    memset(a, 0, sizeof(*a));
}

void answer_stop(struct answer_reader *a)
{
    a->stopped = true;
}

static enum answer_result result_of(struct answer_reader *a, llhttp_errno_t error)
{
    if (a->stopped) {
        return ANSWER_STOPPED;
    }
    if (a->whole) {
        return ANSWER_IS_WHOLE;
    }
    if (error != HPE_OK || a->bad_text[0] != '\0') {
        const char *reason = llhttp_get_error_reason(&a->parser);
        spoil(a, reason != NULL && reason[0] != '\0' ? reason : "unreadable");
        return ANSWER_IS_BAD;
    }
    return ANSWER_NEEDS_MORE;
}

enum answer_result answer_feed(struct answer_reader *a, const void *data, size_t size,
                               size_t *ret_used)
{
    CHECK(!a->whole && !a->stopped && a->bad_text[0] == '\0');
    llhttp_errno_t error = llhttp_execute(&a->parser, data, size);
    *ret_used = size;
    if (a->whole && (error == HPE_PAUSED || error == HPE_PAUSED_UPGRADE)) {
        *ret_used = (size_t)(llhttp_get_error_pos(&a->parser) - (const char *)data);
        CHECK(*ret_used <= size);
    }
    if (!a->head_told && error == HPE_OK) {
        a->head_raw_size += size;
        if (a->head_raw_size > ANSWER_HEAD_SIZE_MAX) {
            spoil(a, "the head is too large");
        }
    }
    return result_of(a, error);
}

enum answer_result answer_end(struct answer_reader *a)
{
    if (a->whole || a->stopped || a->bad_text[0] != '\0') {
        return result_of(a, HPE_OK);
    }
    llhttp_errno_t error = llhttp_finish(&a->parser);
    a->keep_alive = false;
    if (!a->whole && !a->stopped) {
        spoil(a, "the connection ended within the answer");
        return ANSWER_IS_BAD;
    }
    return result_of(a, error);
}

const char *answer_header(const struct answer_reader *a, const char *name)
{
    const char *at = a->head.data;
    for (size_t i = 0; i < a->header_count; i++) {
        const char *value = at + strlen(at) + 1;
        if (strcasecmp(at, name) == 0) {
            return value;
        }
        at = value + strlen(value) + 1;
    }
    return NULL;
}
