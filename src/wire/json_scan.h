// SPDX-License-Identifier: Apache-2.0
//
// The lowest layer under the JSON readers of this folder: it walks over one text in memory and
// takes the lexical pieces off its front (strings, numbers, literals). What it accepts is RFC 8259,
// strictly: valid UTF-8, no raw control characters, whole surrogate pairs. It allocates nothing.
// Private to src/wire.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct json_scan {
    const char *start;  // of the whole text
    const char *at;     // where the next piece begins
    const char *end;    // behind the last byte
    struct error error; // of the first failure
};

// A string or number as it stands in the text; of a string what is between the quotes.
struct json_slice {
    const char *data;
    size_t size;
    bool escaped; // holds backslash escapes: json_unescape gives the meaning
};

void json_scan_init(struct json_scan *s, const char *text, size_t size);

// Records `what` with line and column of s->at; returns -EBADMSG. The first failure stays.
int json_scan_fail(struct json_scan *s, const char *what);

// Skips white space; the next byte, or '\0' at the end. (A NUL byte in the text gives '\0' as well;
// no piece begins with it, so it fails wherever a piece is wanted.)
char json_scan_peek(struct json_scan *s);

// Each takes one piece that must begin at s->at; 0 or -EBADMSG.
int json_scan_string(struct json_scan *s, struct json_slice *ret_slice);
int json_scan_number(struct json_scan *s, struct json_slice *ret_slice);
int json_scan_literal(struct json_scan *s, const char *literal);
int json_scan_char(struct json_scan *s, char wanted);

// Skips one whole value, at most `depth_max` levels of nesting deep. No recursion.
int json_scan_skip(struct json_scan *s, unsigned depth_max);

// After the last value: only white space may follow.
int json_scan_finish(struct json_scan *s);

// Writes the meaning of a string slice; `out` holds slice->size bytes at least. Returns its size.
size_t json_unescape(const struct json_slice *slice, char *out);

// Whether the bytes are well-formed UTF-8 (no surrogates, no overlong forms).
bool utf8_is_valid(const void *data, size_t size);

// The code point at the front of `data` and the bytes that it takes, or 0 when it is malformed.
unsigned utf8_take(const unsigned char *data, size_t size, uint32_t *ret_code);
