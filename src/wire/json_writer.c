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

// Both go into room that is there nearly always, without asking twice.
static inline bool has_room(const struct buf *out, size_t size)
{
    return out->limit == 0 && out->capacity - out->size > size;
}

static inline void open_container(struct json_writer *w, char c)
{
    struct buf *out = w->out;
    if (__builtin_expect(has_room(out, 2), 1)) {
        char *at = out->data + out->size;
        at[0] = ',';
        at += w->needs_comma;
        at[0] = c;
        at[1] = '\0';
        out->size += (size_t)w->needs_comma + 1;
    } else {
        begin_value(w);
        buf_putc(out, c);
    }
    w->needs_comma = false;
}

static inline void close_container(struct json_writer *w, char c)
{
    struct buf *out = w->out;
    w->needs_comma = true;
    if (__builtin_expect(has_room(out, 1), 1)) {
        out->data[out->size++] = c;
        out->data[out->size] = '\0';
    } else {
        buf_putc(out, c);
    }
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

static inline bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

#define EACH_BYTE(value) (UINT64_C(0x0101010101010101) * (value))
#define HAS_ZERO(word) (((word)-EACH_BYTE(1)) & ~(word)&EACH_BYTE(0x80))

// Marks the bytes of a word that do not stand for themselves.
static inline uint64_t find_odd(uint64_t word)
{
    return (word & EACH_BYTE(0x80)) | ((word - EACH_BYTE(0x20)) & ~word & EACH_BYTE(0x80)) |
           HAS_ZERO(word ^ EACH_BYTE(0x7f)) | HAS_ZERO(word ^ EACH_BYTE('"')) |
           HAS_ZERO(word ^ EACH_BYTE('\\'));
}

static inline uint64_t load_8(const unsigned char *p)
{
    uint64_t word;
    memcpy(&word, p, sizeof(word));
    return word;
}

static inline uint64_t load_4(const unsigned char *p)
{
    uint32_t word;
    memcpy(&word, p, sizeof(word));
    return word;
}

typedef uint8_t bytes16 __attribute__((vector_size(16)));
typedef uint64_t words2 __attribute__((vector_size(16)));

// As find_odd, of sixteen bytes.
static inline bytes16 find_odd_16(const unsigned char *p)
{
    bytes16 v;
    memcpy(&v, p, sizeof(v));
    return (bytes16)((v - 0x20 > 0x7e - 0x20) | (v == '"') | (v == '\\'));
}

// Whether all of them stand for themselves. The last word overlaps the one before it.
static inline bool is_all_plain(const unsigned char *p, size_t size)
{
    if (size >= 16) {
        bytes16 odd = find_odd_16(p + size - 16);
        for (size_t i = 0; i + 16 < size; i += 16) {
            odd |= find_odd_16(p + i);
        }
        words2 words = (words2)odd;
        return (words[0] | words[1]) == 0;
    }
    if (size >= 8) {
        return (find_odd(load_8(p)) | find_odd(load_8(p + size - 8))) == 0;
    }
    if (size >= 4) {
        return find_odd(load_4(p) | load_4(p + size - 4) << 32) == 0;
    }
    size_t i = 0;
    while (i < size && is_plain(p[i])) {
        i++;
    }
    return i == size;
}

bool json_is_plain(const char *s, size_t size)
{
    return is_all_plain((const unsigned char *)s, size);
}

// The bytes at the start that stand for themselves; eight at a time.
static size_t count_plain(const unsigned char *p, size_t size)
{
    size_t count = 0;
    while (size - count >= 8 && find_odd(load_8(p + count)) == 0) {
        count += 8;
    }
    while (count < size && is_plain(p[count])) {
        count++;
    }
    return count;
}

// The usual case: nothing to escape, and room for all. False: nothing was written.
static bool put_plain_string(struct buf *out, const char *s, size_t size)
{
    if (out->limit != 0 || out->capacity - out->size < size + 3 || out->data == NULL ||
        !is_all_plain((const unsigned char *)s, size)) {
        return false;
    }
    char *at = out->data + out->size;
    *at++ = '"';
    memcpy(at, s, size);
    at[size] = '"';
    at[size + 1] = '\0';
    out->size += size + 2;
    return true;
}

static void put_string(struct buf *out, const char *s, size_t size)
{
    if (put_plain_string(out, s, size)) {
        return;
    }
    const unsigned char *p = (const unsigned char *)s;
    const unsigned char *end = p + size;
    buf_putc(out, '"');
    while (p < end) {
        const unsigned char *plain = p;
        p += count_plain(p, (size_t)(end - p));
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
