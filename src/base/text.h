// SPDX-License-Identifier: Apache-2.0
//
// Text to value and back, the way Mesos writes durations, sizes and numbers (stout's duration.hpp
// and bytes.hpp; rapidjson's doubles).

#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

bool text_is_equal(const char *a, const char *b); // NULL equals only NULL
bool text_is_equal_nocase(const char *a, const char *b);
bool text_starts_with(const char *s, const char *prefix);
bool text_ends_with(const char *s, const char *suffix);
char *text_trim(char *s); // in place; returns within s

// Whole string or error. "12", "-3".
int text_parse_i64(const char *s, int64_t *ret_value, struct error *err);
int text_parse_u64(const char *s, uint64_t *ret_value, struct error *err);
int text_parse_double(const char *s, double *ret_value, struct error *err); // finite

// "10secs", "1.5mins", units ns us ms secs mins hrs days weeks; nanoseconds.
int text_parse_duration(const char *s, int64_t *ret_ns, struct error *err);
// As Mesos prints: the largest unit that gives 1 or more, or the next smaller one where only that
// gives a whole number: "5secs", "90secs", "100ms", "1.234567891secs".
void text_put_duration(struct buf *out, int64_t ns);

// "512B", "10KB", "2GB", "1TB" (powers of 1024); bytes.
int text_parse_bytes(const char *s, uint64_t *ret_bytes, struct error *err);
void text_put_bytes(struct buf *out, uint64_t bytes); // "2GB", largest unit that divides it

// Shortest decimal that reads back to the same double; whole numbers get ".0" ("128.0", "0.1"),
// an exponent stands outside [1e-6, 1e21) ("1e30", "1.5e-7"). What is not finite becomes "null".
void text_put_double(struct buf *out, double value);

// vsnprintf, quicker where the format has no more than %s, %d, %u and %zu in it.
int text_print(char *out, size_t size, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));

// The same as snprintf is to that.
int text_format(char *out, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// RFC 3986 percent coding. Decoding fails (-EINVAL) on a bad escape or an encoded NUL; `+` is a
// space when `form` is set. The result is NUL-terminated and owned by the caller (mem_free).
int text_percent_decode(const char *s, size_t size, bool form, char **ret_text);
void text_percent_encode(struct buf *out, const char *s); // keeps unreserved characters only
