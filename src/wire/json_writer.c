// SPDX-License-Identifier: Apache-2.0
//
// Writes JSON: plain ASCII, one line. A byte that is not UTF-8 becomes U+FFFD.

#include <math.h>
#include <string.h>

#include "base/text.h"
#include "wire/json.h"
#include "wire/json_scan.h"

void json_begin(struct json_writer *w, struct buf *out)
{
    w->out = out;
    w->needs_comma = false;
}

static inline void begin_value(struct json_writer *w)
{
    if (w->needs_comma) {
        buf_putc(w->out, ',');
    }
    w->needs_comma = true;
}

static void open_container(struct json_writer *w, char c)
{
    begin_value(w);
    buf_putc(w->out, c);
    w->needs_comma = false;
}

static void close_container(struct json_writer *w, char c)
{
    buf_putc(w->out, c);
    w->needs_comma = true;
}

void json_object_open(struct json_writer *w)
{
    open_container(w, '{');
}

void json_object_close(struct json_writer *w)
{
    close_container(w, '}');
}

void json_array_open(struct json_writer *w)
{
    open_container(w, '[');
}

void json_array_close(struct json_writer *w)
{
    close_container(w, ']');
}

static void put_u(struct buf *out, unsigned unit)
{
    static const char digits[] = "0123456789abcdef";
    char text[6] = {'\\',
                    'u',
                    digits[unit >> 12 & 15],
                    digits[unit >> 8 & 15],
                    digits[unit >> 4 & 15],
                    digits[unit & 15]};
    buf_append(out, text, sizeof(text));
}

// Writes the character at `p`, which is not plain; returns the bytes that it took.
static size_t put_special(struct buf *out, const unsigned char *p, size_t size)
{
    static const char names[] = "\b\f\n\r\t\"\\";
    const char *name = p[0] == 0 ? NULL : strchr(names, p[0]);
    if (name != NULL) {
        char text[2] = {'\\', "bfnrt\"\\"[name - names]};
        buf_append(out, text, sizeof(text));
        return 1;
    }
    uint32_t code = 0xfffd;
    unsigned length = utf8_take(p, size, &code);
    if (code >= 0x10000) {
        put_u(out, 0xd800 + ((code - 0x10000) >> 10));
        put_u(out, 0xdc00 + ((code - 0x10000) & 0x3ff));
    } else {
        put_u(out, code);
    }
    return length == 0 ? 1 : length;
}

static void put_string(struct buf *out, const char *s, size_t size)
{
    const unsigned char *p = (const unsigned char *)s;
    const unsigned char *end = p + size;
    buf_putc(out, '"');
    while (p < end) {
        const unsigned char *plain = p;
        while (p < end && *p >= 0x20 && *p < 0x7f && *p != '"' && *p != '\\') {
            p++;
        }
        if (p > plain) {
            buf_append(out, plain, (size_t)(p - plain));
        }
        if (p < end) {
            p += put_special(out, p, (size_t)(end - p));
        }
    }
    buf_putc(out, '"');
}

void json_key(struct json_writer *w, const char *key)
{
    if (w->needs_comma) {
        buf_putc(w->out, ',');
    }
    put_string(w->out, key, strlen(key));
    buf_putc(w->out, ':');
    w->needs_comma = false;
}

void json_string(struct json_writer *w, const char *s)
{
    begin_value(w);
    put_string(w->out, s == NULL ? "" : s, s == NULL ? 0 : strlen(s));
}

void json_string_n(struct json_writer *w, const char *s, size_t size)
{
    begin_value(w);
    put_string(w->out, s, size);
}

void json_double(struct json_writer *w, double value)
{
    begin_value(w);
    if (isfinite(value)) {
        text_put_double(w->out, value);
    } else if (isnan(value)) {
        buf_append(w->out, "null", 4);
    } else {
        buf_puts(w->out, value < 0 ? "\"-Infinity\"" : "\"Infinity\"");
    }
}

void json_i64(struct json_writer *w, int64_t value)
{
    begin_value(w);
    buf_put_i64(w->out, value);
}

void json_u64(struct json_writer *w, uint64_t value)
{
    begin_value(w);
    buf_put_u64(w->out, value);
}

void json_bool(struct json_writer *w, bool value)
{
    begin_value(w);
    buf_puts(w->out, value ? "true" : "false");
}

void json_null(struct json_writer *w)
{
    begin_value(w);
    buf_append(w->out, "null", 4);
}

void json_raw(struct json_writer *w, const char *text, size_t size)
{
    begin_value(w);
    buf_append(w->out, text, size);
}

void json_key_string(struct json_writer *w, const char *key, const char *s)
{
    json_key(w, key);
    json_string(w, s);
}

void json_key_double(struct json_writer *w, const char *key, double value)
{
    json_key(w, key);
    json_double(w, value);
}

void json_key_i64(struct json_writer *w, const char *key, int64_t value)
{
    json_key(w, key);
    json_i64(w, value);
}

void json_key_u64(struct json_writer *w, const char *key, uint64_t value)
{
    json_key(w, key);
    json_u64(w, value);
}

void json_key_bool(struct json_writer *w, const char *key, bool value)
{
    json_key(w, key);
    json_bool(w, value);
}
