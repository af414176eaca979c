// SPDX-License-Identifier: Apache-2.0
//
// See json_scan.h. Every function here moves s->at forward only, so a text is walked once.

#include "wire/json_scan.h"

#include <errno.h>
#include <string.h>

#include "wire/wire.h"

void json_scan_init(struct json_scan *s, const char *text, size_t size)
{
    s->start = text;
    s->at = text;
    s->end = text + size;
    s->error.code = 0;
    s->error.text[0] = '\0';
}

int json_scan_fail(struct json_scan *s, const char *what)
{
    if (s->error.code != 0) {
        return s->error.code;
    }
    size_t line = 1;
    const char *line_start = s->start;
    for (const char *p = s->start; p < s->at; p++) {
        if (*p == '\n') {
            line++;
            line_start = p + 1;
        }
    }
    return error_set(&s->error, -EBADMSG, "%s at line %zu, column %zu", what, line,
                     (size_t)(s->at - line_start) + 1);
}

char json_scan_peek(struct json_scan *s)
{
    while (s->at < s->end) {
        char c = *s->at;
        if (c != ' ' && c != '\n' && c != '\r' && c != '\t') {
            return c;
        }
        s->at++;
    }
    return '\0';
}

int json_scan_char(struct json_scan *s, char wanted)
{
    if (json_scan_peek(s) != wanted || s->at == s->end) {
        char what[32] = "expected ' '";
        what[10] = wanted;
        return json_scan_fail(s, s->at == s->end ? "unexpected end of the text" : what);
    }
    s->at++;
    return 0;
}

int json_scan_literal(struct json_scan *s, const char *literal)
{
    size_t size = strlen(literal);
    if ((size_t)(s->end - s->at) < size || memcmp(s->at, literal, size) != 0) {
        return json_scan_fail(s, "expected a value");
    }
    s->at += size;
    return 0;
}

unsigned utf8_take(const unsigned char *p, size_t size, uint32_t *ret_code)
{
    if (size == 0) {
        return 0;
    }
    if (p[0] < 0x80) {
        *ret_code = p[0];
        return 1;
    }
    unsigned length = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4 || size < length) {
        return 0;
    }
    uint32_t code = p[0] & (0xffu >> (length + 1));
    for (unsigned i = 1; i < length; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
        code = code << 6 | (p[i] & 0x3fu);
    }
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (code < least[length] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) {
        return 0;
    }
    *ret_code = code;
    return length;
}

bool utf8_is_valid(const void *data, size_t size)
{
    const unsigned char *p = data;
    const unsigned char *end = p + size;
    while (p < end) {
        while (end - p >= 8) {
            uint64_t word;
            memcpy(&word, p, sizeof(word));
            if ((word & UINT64_C(0x8080808080808080)) != 0) {
                break;
            }
            p += 8;
        }
        uint32_t code;
        unsigned length = utf8_take(p, (size_t)(end - p), &code);
        if (p < end && length == 0) {
            return false;
        }
        p += length;
    }
    return true;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// The value of four hex digits at `p`, or -1.
static int hex4(const char *p, const char *end)
{
    if (end - p < 4) {
        return -1;
    }
    int value = 0;
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(p[i]);
        if (digit < 0) {
            return -1;
        }
        value = value << 4 | digit;
    }
    return value;
}

// Checks one escape whose backslash is at s->at and moves behind it.
static int scan_escape(struct json_scan *s)
{
    const char *p = s->at + 1;
    if (p == s->end) {
        return json_scan_fail(s, "unterminated string");
    }
    if (*p != 'u') {
        if (memchr("\"\\/bfnrt", *p, 8) == NULL) {
            return json_scan_fail(s, "bad escape in a string");
        }
        s->at += 2;
        return 0;
    }
    int code = hex4(p + 1, s->end);
    if (code < 0) {
        return json_scan_fail(s, "bad \\u escape in a string");
    }
    if (code < 0xd800 || code > 0xdfff) {
        s->at += 6;
        return 0;
    }
    p += 5;
    int low = s->end - p >= 6 && p[0] == '\\' && p[1] == 'u' ? hex4(p + 2, s->end) : -1;
    if (code > 0xdbff || low < 0xdc00 || low > 0xdfff) {
        return json_scan_fail(s, "half a surrogate pair in a string");
    }
    s->at += 12;
    return 0;
}

// Bytes that end the plain run inside of a string: quote, backslash, control characters, non-ASCII.
static inline bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

int json_scan_string(struct json_scan *s, struct json_slice *ret_slice)
{
    if (s->at == s->end || *s->at != '"') {
        return json_scan_fail(s, "expected a string");
    }
    const char *first = ++s->at;
    bool escaped = false;
    for (;;) {
        while (s->at < s->end && is_plain((unsigned char)*s->at)) {
            s->at++;
        }
        if (s->at == s->end) {
            return json_scan_fail(s, "unterminated string");
        }
        unsigned char c = (unsigned char)*s->at;
        if (c == '"') {
            *ret_slice = (struct json_slice){first, (size_t)(s->at - first), escaped};
            s->at++;
            return 0;
        }
        if (c == '\\') {
            escaped = true;
            int r = scan_escape(s);
            if (r < 0) {
                return r;
            }
        } else if (c < 0x20) {
            return json_scan_fail(s, "raw control character in a string");
        } else {
            uint32_t code;
            unsigned length =
                utf8_take((const unsigned char *)s->at, (size_t)(s->end - s->at), &code);
            if (length == 0) {
                return json_scan_fail(s, "invalid UTF-8");
            }
            s->at += length;
        }
    }
}

static bool take_digits(struct json_scan *s)
{
    const char *first = s->at;
    while (s->at < s->end && *s->at >= '0' && *s->at <= '9') {
        s->at++;
    }
    return s->at > first;
}

int json_scan_number(struct json_scan *s, struct json_slice *ret_slice)
{
    const char *first = s->at;
    if (s->at < s->end && *s->at == '-') {
        s->at++;
    }
    if (s->at < s->end && *s->at == '0') {
        s->at++;
    } else if (!take_digits(s)) {
        return json_scan_fail(s, s->at == first ? "expected a value" : "malformed number");
    }
    if (s->at < s->end && *s->at == '.') {
        s->at++;
        if (!take_digits(s)) {
            return json_scan_fail(s, "malformed number");
        }
    }
    if (s->at < s->end && (*s->at == 'e' || *s->at == 'E')) {
        s->at++;
        if (s->at < s->end && (*s->at == '+' || *s->at == '-')) {
            s->at++;
        }
        if (!take_digits(s)) {
            return json_scan_fail(s, "malformed number");
        }
    }
    *ret_slice = (struct json_slice){first, (size_t)(s->at - first), false};
    return 0;
}

static int skip_scalar(struct json_scan *s, char c)
{
    struct json_slice slice;
    switch (c) {
    case '"':
        return json_scan_string(s, &slice);
    case 't':
        return json_scan_literal(s, "true");
    case 'f':
        return json_scan_literal(s, "false");
    case 'n':
        return json_scan_literal(s, "null");
    case '\0':
        return json_scan_fail(s,
                              s->at == s->end ? "unexpected end of the text" : "expected a value");
    default:
        return json_scan_number(s, &slice);
    }
}

static int skip_key(struct json_scan *s)
{
    struct json_slice slice;
    json_scan_peek(s);
    int r = json_scan_string(s, &slice);
    return r < 0 ? r : json_scan_char(s, ':');
}

int json_scan_skip(struct json_scan *s, unsigned depth_max)
{
    uint64_t objects = 0; // bit i: the container at level i + 1 is an object
    unsigned depth = 0;
    if (depth_max > 64) {
        depth_max = 64;
    }
    for (;;) {
        // At a value.
        char c = json_scan_peek(s);
        int r = 0;
        if (c == '{' || c == '[') {
            if (depth == depth_max) {
                return json_scan_fail(s, "nested too deeply");
            }
            s->at++;
            uint64_t bit = UINT64_C(1) << depth++;
            objects = c == '{' ? objects | bit : objects & ~bit;
            if (json_scan_peek(s) != (c == '{' ? '}' : ']')) {
                r = c == '{' ? skip_key(s) : 0;
                if (r < 0) {
                    return r;
                }
                continue;
            }
        } else {
            r = skip_scalar(s, c);
            if (r < 0) {
                return r;
            }
        }
        // Behind a value, or at the end of an empty container.
        for (;;) {
            if (depth == 0) {
                return 0;
            }
            bool in_object = (objects >> (depth - 1) & 1) != 0;
            c = json_scan_peek(s);
            if (c == ',') {
                s->at++;
                r = in_object ? skip_key(s) : 0;
                if (r < 0) {
                    return r;
                }
                break;
            }
            r = json_scan_char(s, in_object ? '}' : ']');
            if (r < 0) {
                return r;
            }
            depth--;
        }
    }
}

int json_scan_finish(struct json_scan *s)
{
    json_scan_peek(s);
    return s->at == s->end ? 0 : json_scan_fail(s, "unexpected text behind the value");
}

static size_t put_utf8(char *out, uint32_t code)
{
    unsigned char *p = (unsigned char *)out;
    if (code < 0x80) {
        p[0] = (unsigned char)code;
        return 1;
    }
    if (code < 0x800) {
        p[0] = (unsigned char)(0xc0 | code >> 6);
        p[1] = (unsigned char)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        p[0] = (unsigned char)(0xe0 | code >> 12);
        p[1] = (unsigned char)(0x80 | (code >> 6 & 0x3f));
        p[2] = (unsigned char)(0x80 | (code & 0x3f));
        return 3;
    }
    p[0] = (unsigned char)(0xf0 | code >> 18);
    p[1] = (unsigned char)(0x80 | (code >> 12 & 0x3f));
    p[2] = (unsigned char)(0x80 | (code >> 6 & 0x3f));
    p[3] = (unsigned char)(0x80 | (code & 0x3f));
    return 4;
}

size_t json_unescape(const struct json_slice *slice, char *out)
{
    if (!slice->escaped) {
        memcpy(out, slice->data, slice->size);
        return slice->size;
    }
    const char *p = slice->data;
    const char *end = p + slice->size;
    size_t size = 0;
    while (p < end) {
        if (*p != '\\') {
            out[size++] = *p++;
            continue;
        }
        char c = p[1];
        p += 2;
        switch (c) {
        case 'b':
            out[size++] = '\b';
            break;
        case 'f':
            out[size++] = '\f';
            break;
        case 'n':
            out[size++] = '\n';
            break;
        case 'r':
            out[size++] = '\r';
            break;
        case 't':
            out[size++] = '\t';
            break;
        case 'u': {
            uint32_t code = (uint32_t)hex4(p, end);
            p += 4;
            if (code >= 0xd800 && code <= 0xdbff) {
                code = 0x10000 + ((code - 0xd800) << 10) + ((uint32_t)hex4(p + 2, end) - 0xdc00);
                p += 6;
            }
            size += put_utf8(out + size, code);
            break;
        }
        default:
            out[size++] = c;
        }
    }
    return size;
}
