// SPDX-License-Identifier: Apache-2.0
//
// JSON as text: a writer that appends to a buffer without a document in between, and a pull reader.
// wire.h stands on both; the v0 endpoints write with the writer directly.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

// ---- writing ----
// Commas are set by the writer. All that is written is plain ASCII: other characters as \u escapes,
// a byte that is not UTF-8 as \ufffd.
struct json_writer {
    struct buf *out;
    bool needs_comma;
};

void json_begin(struct json_writer *w, struct buf *out);
void json_object_open(struct json_writer *w);
void json_object_close(struct json_writer *w);
void json_array_open(struct json_writer *w);
void json_array_close(struct json_writer *w);
void json_key(struct json_writer *w, const char *key);
void json_string(struct json_writer *w, const char *s);                // NULL writes ""
void json_string_n(struct json_writer *w, const char *s, size_t size); // may hold NUL bytes
void json_double(struct json_writer *w, double value); // 128.0, shortest; "Infinity"; NaN: null
void json_i64(struct json_writer *w, int64_t value);
void json_u64(struct json_writer *w, uint64_t value);
void json_bool(struct json_writer *w, bool value);
void json_null(struct json_writer *w);
// Whether each of the bytes stands for itself in a string.
bool json_is_plain(const char *s, size_t size);
void json_raw(struct json_writer *w, const char *text, size_t size); // already JSON

// A key that is a literal, of characters that stand for themselves: it is copied, and no more.
#define JSON_KEY(w, key) json_key_text((w), ",\"" key "\":", sizeof(",\"" key "\":") - 1)
static inline void json_key_text(struct json_writer *w, const char *text, size_t size)
{
    size_t skipped = w->needs_comma ? 0 : 1;
    struct buf *out = w->out;
    w->needs_comma = false;
    if (__builtin_expect(out->limit != 0 || out->capacity - out->size <= size, 0)) {
        buf_append(out, text + skipped, size - skipped);
        return;
    }
    __builtin_memcpy(out->data + out->size, text + skipped, size - 1);
    if (skipped == 0) {
        out->data[out->size + size - 1] = ':';
    }
    out->size += size - skipped;
    out->data[out->size] = '\0';
}

#define JSON_KEY_STRING(w, key, value) (JSON_KEY(w, key), json_string((w), (value)))
#define JSON_KEY_DOUBLE(w, key, value) (JSON_KEY(w, key), json_double((w), (value)))
#define JSON_KEY_BOOL(w, key, value) (JSON_KEY(w, key), json_bool((w), (value)))
#define JSON_KEY_I64(w, key, value) (JSON_KEY(w, key), json_i64((w), (value)))
#define JSON_KEY_U64(w, key, value) (JSON_KEY(w, key), json_u64((w), (value)))

// Key and value at once.
void json_key_string(struct json_writer *w, const char *key, const char *s);
void json_key_double(struct json_writer *w, const char *key, double value);
void json_key_i64(struct json_writer *w, const char *key, int64_t value);
void json_key_u64(struct json_writer *w, const char *key, uint64_t value);
void json_key_bool(struct json_writer *w, const char *key, bool value);

// ---- reading ----
// Strict RFC 8259 over one text in memory; depth is limited (WIRE_DEPTH_MAX of wire.h). Duplicate
// keys: the reader reports both, the user decides (wire.h: the last one counts).
enum json_token {
    JSON_ERROR = -1,
    JSON_END, // after the whole value
    JSON_OBJECT_OPEN,
    JSON_OBJECT_CLOSE,
    JSON_ARRAY_OPEN,
    JSON_ARRAY_CLOSE,
    JSON_KEY,    // text and text_size hold the key, unescaped
    JSON_STRING, // unescaped UTF-8; may hold NUL bytes (\u0000)
    JSON_NUMBER, // text holds the number as written
    JSON_TRUE,
    JSON_FALSE,
    JSON_NULL,
};

struct json_reader;
struct arena;

// The reader and the strings that it hands out live in `arena`; the text must stay until then.
struct json_reader *json_reader_new(struct arena *arena, const char *text, size_t size);
enum json_token json_next(struct json_reader *r);
const char *json_text(const struct json_reader *r, size_t *ret_size); // of the last token
int json_skip(struct json_reader *r); // the rest of the value whose first token was just read
// After JSON_ERROR: what was wrong, with the line and column.
int json_reader_error(const struct json_reader *r, struct error *err);
