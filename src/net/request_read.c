// SPDX-License-Identifier: Apache-2.0
//
// Bytes to a request, without sockets. llhttp does the grammar; here is what it leaves out: limits,
// one Host, no folded header lines, one framing, a sane target. The method is read here and llhttp
// is given "POST" in its place: so any token is a method (the routes answer 405), and none changes
// how the body is framed.
//
// One http_request, with a parser of its own, per message: an idle connection has none.

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/text.h"
#include "net/http_internal.h"

enum {
    METHOD_SIZE_MAX = 32,
    HEAD_RESERVE = 500,             // most heads are shorter
    BODY_RESERVE_MAX = 1024 * 1024, // a Content-Length is believed up to here
    FRAMING_SIZE_FREE = 64 * 1024,  // chunk sizes and extensions: this much, and
    FRAMING_FACTOR = 8,             // this many times the body
};

static int refuse(struct http_request *r, int status, const char *text)
{
    if (r->stage != REQUEST_BAD) {
        r->stage = REQUEST_BAD;
        r->bad_status = status;
        snprintf(r->bad_text, sizeof(r->bad_text), "%s", text);
    }
    return -1;
}

// ---- llhttp's callbacks ----

static struct http_request *request_of(llhttp_t *parser)
{
    return CHECK_CAST(http_request, REQUEST_MAGIC, parser->data);
}

static int head_append(struct http_request *r, const char *data, size_t size)
{
    if (size > 0 && memchr(data, '\0', size) != NULL) {
        return refuse(r, 400, "NUL in the head");
    }
    if (r->head.size + size > r->limits->head_size_max) {
        return refuse(r, 431, "The head is too large");
    }
    buf_append(&r->head, data, size);
    return 0;
}

static int head_terminate(struct http_request *r)
{
    if (r->head.size + 1 > r->limits->head_size_max) {
        return refuse(r, 431, "The head is too large");
    }
    buf_putc(&r->head, '\0');
    return 0;
}

static int trailer_skip(struct http_request *r, size_t size)
{
    r->trailer_size += (uint32_t)size;
    if (r->trailer_size > r->limits->head_size_max) {
        return refuse(r, 431, "The trailer is too large");
    }
    return 0;
}

static int on_url(llhttp_t *parser, const char *at, size_t size)
{
    return head_append(request_of(parser), at, size);
}

static int on_url_complete(llhttp_t *parser)
{
    struct http_request *r = request_of(parser);
    if (head_terminate(r) < 0) {
        return -1;
    }
    r->headers_at = (uint32_t)r->head.size;
    return 0;
}

static int on_header_bytes(llhttp_t *parser, const char *at, size_t size)
{
    struct http_request *r = request_of(parser);
    return r->stage == REQUEST_BODY ? trailer_skip(r, size) : head_append(r, at, size);
}

static int on_header_field_complete(llhttp_t *parser)
{
    struct http_request *r = request_of(parser);
    if (r->stage == REQUEST_BODY) {
        return 0;
    }
    if (++r->header_count > r->limits->header_count_max) {
        return refuse(r, 431, "Too many headers");
    }
    return head_terminate(r);
}

static int on_header_value_complete(llhttp_t *parser)
{
    struct http_request *r = request_of(parser);
    if (r->stage == REQUEST_BODY) {
        return 0;
    }
    while (r->head.size > 0 &&
           (r->head.data[r->head.size - 1] == ' ' || r->head.data[r->head.size - 1] == '\t')) {
        r->head.size--;
    }
    return head_terminate(r);
}

static int on_body(llhttp_t *parser, const char *at, size_t size)
{
    struct http_request *r = request_of(parser);
    if (r->body.size + size > r->limits->body_size_max) {
        return refuse(r, 413, "The body is too large");
    }
    buf_append(&r->body, at, size);
    return 0;
}

// A body that came packed is handed over as it was before; the limit is on that, too.
static int unpack_body(struct http_request *r)
{
    AUTO_BUF struct buf body = BUF_INIT;
    int code = gzip_decompress(r->body.data, r->body.size, r->limits->body_size_max, &body);
    if (code == -EFBIG) {
        return refuse(r, 413, "The body is too large");
    }
    if (code < 0) {
        return refuse(r, 400, "The body is not what gzip makes");
    }
    buf_free(&r->body);
    r->body = body;
    body = BUF_INIT;
    return 0;
}

static int on_message_complete(llhttp_t *parser)
{
    struct http_request *r = request_of(parser);
    if (r->is_packed && r->body.size > 0 && unpack_body(r) < 0) {
        return -1;
    }
    r->stage = REQUEST_WHOLE;
    return HPE_PAUSED; // so that llhttp_execute tells where the message ended
}

// ---- checks of the whole head ----

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool has_good_escapes(const char *s)
{
    for (; (s = strchr(s, '%')) != NULL; s += 3) {
        if (!is_hex(s[1]) || !is_hex(s[2]) || (s[1] == '0' && s[2] == '0')) {
            return false;
        }
    }
    return true;
}

// The path of an absolute target begins behind the authority.
static char *skip_authority(char *target)
{
    if (strncasecmp(target, "http://", 7) != 0 && strncasecmp(target, "https://", 8) != 0) {
        return target;
    }
    char *authority = strchr(target, ':') + 3;
    return authority + strcspn(authority, "/?#");
}

static int check_target(struct http_request *r)
{
    const char *target = r->head.data + r->target_at;
    char *copy AUTO_FREE = mem_strdup(target);
    copy[strcspn(copy, "#")] = '\0';
    char *path = skip_authority(copy);
    bool is_absolute = path != copy;
    const char *query = strchr(path, '?');
    size_t path_size = query != NULL ? (size_t)(query - path) : strlen(path);
    if (query != NULL) {
        r->query = target + (query - copy) + 1;
        if (!has_good_escapes(query)) {
            return refuse(r, 400, "Bad escape in the query");
        }
    }
    if (path_size == 0 && is_absolute) {
        r->path = mem_strdup("/");
        return 0;
    }
    if (path_size == 1 && path[0] == '*' && strcmp(r->head.data, "OPTIONS") == 0) {
        r->path = mem_strdup("*");
        return 0;
    }
    if (path_size == 0 || path[0] != '/') {
        return refuse(r, 400, "The path does not begin with a slash");
    }
    if (text_percent_decode(path, path_size, false, &r->path) < 0) {
        return refuse(r, 400, "Bad escape in the path");
    }
    return 0;
}

static bool is_good_host(const char *value)
{
    for (const char *c = value; *c != '\0'; c++) {
        if (strchr("-._~!$&'()*+,;=:[]%", *c) == NULL && !(*c >= '0' && *c <= '9') &&
            !(*c >= 'a' && *c <= 'z') && !(*c >= 'A' && *c <= 'Z')) {
            return false;
        }
    }
    return true;
}

static int check_expect(struct http_request *r, const char *value)
{
    if (strcasecmp(value, "100-continue") != 0) {
        return refuse(r, 417, "Only 100-continue can be expected");
    }
    r->expects_continue = !r->is_http_1_0;
    return 0;
}

static int check_encoding(struct http_request *r, const char *value)
{
    if (strcasecmp(value, "gzip") == 0 || strcasecmp(value, "x-gzip") == 0) {
        if (r->is_packed) {
            return refuse(r, 415, "A body that is packed twice");
        }
        r->is_packed = true;
        return 0;
    }
    if (strcasecmp(value, "identity") != 0) {
        return refuse(r, 415, "Only the content coding gzip is known");
    }
    return 0;
}

static int check_headers(struct http_request *r)
{
    unsigned hosts = 0, lengths = 0, encodings = 0;
    const char *at = r->head.data + r->headers_at;
    for (uint32_t i = 0; i < r->header_count; i++) {
        const char *name = at;
        const char *value = name + strlen(name) + 1;
        at = value + strlen(value) + 1;
        if (name[0] == '\0') {
            return refuse(r, 400, "A header without a name");
        }
        if (strcasecmp(name, "host") == 0) {
            hosts++;
            if (!is_good_host(value)) {
                return refuse(r, 400, "Bad Host header");
            }
        } else if (strcasecmp(name, "content-length") == 0) {
            lengths++;
        } else if (strcasecmp(name, "transfer-encoding") == 0) {
            encodings++;
            if (strcasecmp(value, "chunked") != 0) {
                return refuse(r, 501, "Only the transfer coding chunked is known");
            }
        } else if (strcasecmp(name, "expect") == 0 && check_expect(r, value) < 0) {
            return -1;
        } else if (strcasecmp(name, "content-encoding") == 0 && check_encoding(r, value) < 0) {
            return -1;
        }
    }
    if (hosts > 1 || (hosts == 0 && !r->is_http_1_0)) {
        return refuse(r, 400, hosts > 1 ? "More than one Host header" : "No Host header");
    }
    if (lengths + encodings > 1) {
        return refuse(r, 400, "More than one Content-Length or Transfer-Encoding header");
    }
    if (encodings > 0 && r->is_http_1_0) {
        return refuse(r, 400, "Transfer-Encoding in HTTP/1.0");
    }
    return 0;
}

static int on_headers_complete(llhttp_t *parser)
{
    struct http_request *r = request_of(parser);
    if (parser->http_major != 1 || parser->http_minor > 1) {
        return refuse(r, 505, "Only HTTP/1.0 and HTTP/1.1 are spoken here");
    }
    r->is_http_1_0 = parser->http_minor == 0;
    r->is_head = strcmp(r->head.data, "HEAD") == 0;
    r->keep_alive = llhttp_should_keep_alive(parser) != 0;
    if (check_target(r) < 0 || check_headers(r) < 0) {
        return -1;
    }
    if (parser->content_length > r->limits->body_size_max) {
        return refuse(r, 413, "The body is too large");
    }
    if (parser->content_length > 0) {
        buf_reserve(&r->body, parser->content_length < BODY_RESERVE_MAX
                                  ? (size_t)parser->content_length
                                  : BODY_RESERVE_MAX);
    }
    r->stage = REQUEST_BODY;
    return 0;
}

static llhttp_settings_t settings;

static void settings_fill(void)
{
    llhttp_settings_init(&settings);
    settings.on_url = on_url;
    settings.on_url_complete = on_url_complete;
    settings.on_header_field = on_header_bytes;
    settings.on_header_field_complete = on_header_field_complete;
    settings.on_header_value = on_header_bytes;
    settings.on_header_value_complete = on_header_value_complete;
    settings.on_headers_complete = on_headers_complete;
    settings.on_body = on_body;
    settings.on_message_complete = on_message_complete;
}

// ---- feeding ----

struct http_request *request_new(const struct http_options *limits)
{
    if (settings.on_url == NULL) {
        settings_fill();
    }
    struct http_request *r = mem_zalloc(sizeof(*r));
    r->magic = REQUEST_MAGIC;
    r->limits = limits;
    list_init(&r->hook.link);
    llhttp_init(&r->parser, HTTP_REQUEST, &settings);
    r->parser.data = r;
    return r;
}

struct http_request *request_free(struct http_request *r)
{
    if (r == NULL) {
        return NULL;
    }
    CHECK(r->magic == REQUEST_MAGIC);
    env_hook_cancel(&r->hook);
    buf_free(&r->head);
    buf_free(&r->body);
    mem_free(r->path);
    arena_free(r->arena);
    r->magic = 0;
    r->stream.magic = 0;
    mem_free(r);
    return NULL;
}

static bool is_token(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

// Reads the method and the space behind it. Empty lines before a request are skipped.
static void feed_method(struct http_request *r, const char *data, size_t size, size_t *used)
{
    while (*used < size && r->stage == REQUEST_METHOD) {
        char c = data[*used];
        if (r->head.size == 0 && (c == '\r' || c == '\n')) {
            r->head_raw_size++;
            if (r->head_raw_size > 16) {
                refuse(r, 400, "Empty lines instead of a request");
            }
        } else if (c == ' ' && r->head.size > 0) {
            buf_putc(&r->head, '\0');
            r->target_at = (uint32_t)r->head.size;
            r->stage = REQUEST_HEAD;
            CHECK(llhttp_execute(&r->parser, "POST ", 5) == HPE_OK);
        } else if (is_token(c) && r->head.size < METHOD_SIZE_MAX) {
            if (r->head.size == 0) {
                buf_reserve(&r->head, HEAD_RESERVE);
            }
            buf_putc(&r->head, c);
        } else {
            refuse(r, 400, "This is no HTTP request");
        }
        (*used)++;
    }
}

// A header line that begins with white space continues the one before: an old form that others read
// in other ways, so it is refused. Looks at the head's lines up to the empty one.
static bool has_folded_line(struct http_request *r, const char *data, size_t size)
{
    const char *end = data + size;
    for (;;) {
        if (data == end) {
            return false;
        }
        if (r->line_ended) {
            r->line_ended = false;
            if (*data == ' ' || *data == '\t') {
                return true;
            }
            if (*data == '\r' || *data == '\n') {
                r->head_scanned = true; // the empty line: what follows is the body
                return false;
            }
        }
        const char *newline = memchr(data, '\n', (size_t)(end - data));
        if (newline == NULL) {
            return false;
        }
        r->line_ended = true;
        data = newline + 1;
    }
}

static void refuse_by_parser(struct http_request *r, llhttp_errno_t error)
{
    const char *reason = llhttp_get_error_reason(&r->parser);
    char text[sizeof(r->bad_text)];
    snprintf(text, sizeof(text), "Malformed request: %s", reason != NULL ? reason : "unreadable");
    refuse(r, error == HPE_INVALID_VERSION ? 505 : 400, text);
}

static void feed_parser(struct http_request *r, const char *data, size_t size, size_t *used)
{
    bool in_head = r->stage == REQUEST_HEAD;
    if (in_head && !r->head_scanned && has_folded_line(r, data, size)) {
        refuse(r, 400, "A header line begins with white space");
        return;
    }
    size_t body_before = r->body.size;
    llhttp_errno_t error = llhttp_execute(&r->parser, data, size);
    if (r->stage == REQUEST_BAD) {
        return;
    }
    if (error == HPE_PAUSED || error == HPE_PAUSED_UPGRADE) {
        CHECK(r->stage == REQUEST_WHOLE);
        const char *end = llhttp_get_error_pos(&r->parser);
        CHECK(end >= data && end <= data + size);
        *used += (size_t)(end - data);
        return;
    }
    if (error != HPE_OK) {
        refuse_by_parser(r, error);
        return;
    }
    *used += size;
    if (r->stage == REQUEST_HEAD) {
        r->head_raw_size += (uint32_t)size;
        if (r->head_raw_size > r->limits->head_size_max) {
            refuse(r, 431, "The head is too large");
        }
    } else if (!in_head) {
        r->framing_size += size - (r->body.size - body_before);
        if (r->framing_size >
            FRAMING_SIZE_FREE + FRAMING_FACTOR * (r->parts_size + (uint64_t)r->body.size)) {
            refuse(r, 400, "Too much framing for so small a body");
        }
    }
}

enum request_result request_feed(struct http_request *r, const char *data, size_t size,
                                 size_t *ret_used)
{
    CHECK(r->magic == REQUEST_MAGIC && r->stage <= REQUEST_BODY);
    *ret_used = 0;
    if (r->stage == REQUEST_METHOD) {
        feed_method(r, data, size, ret_used);
    }
    if (*ret_used < size && (r->stage == REQUEST_HEAD || r->stage == REQUEST_BODY)) {
        feed_parser(r, data + *ret_used, size - *ret_used, ret_used);
    }
    switch (r->stage) {
    case REQUEST_WHOLE:
        return REQUEST_IS_WHOLE;
    case REQUEST_BAD:
        return REQUEST_IS_BAD;
    default:
        return REQUEST_NEEDS_MORE;
    }
}
