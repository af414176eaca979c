// SPDX-License-Identifier: Apache-2.0
//
// Errors that carry their text. The text is made where the fact is known and may be wrapped once
// on the way up. Nothing here allocates, so an error path cannot fail itself.
//
// Convention for `int f(..., T **ret_x, struct error *err)`: 0 is done; a negative value is one of
// errno's codes, negated, and is forwarded unchanged; a positive one is a condition from the
// function's own enum. Outputs are written only on success. `err` may be NULL.

#pragma once

#include <stdarg.h>

#define ERROR_TEXT_SIZE 1024 // enough for two paths of sandboxes

struct error {
    int code;                   // negative errno, or 0 while nothing failed
    char text[ERROR_TEXT_SIZE]; // one line, without a full stop at its end
};

// Fills `err` (when not NULL) and returns `code`. A text that does not fit is cut.
int error_set(struct error *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// Like error_set with `: <strerror of -code>` behind the text, which is never cut.
int error_errno(struct error *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// Puts `<formatted>: ` before the text that is there, and returns err's code (or `code` when err is
// NULL).
int error_wrap(struct error *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// The static analyzer looks at one file at a time: it is told here that an error's code is returned
// and is negative.
#ifdef __clang_analyzer__
#define ERROR_RETURNED(call, code)                                                                 \
    ({                                                                                             \
        int code_ = (code);                                                                        \
        (void)call;                                                                                \
        if (code_ >= 0)                                                                            \
            __builtin_unreachable();                                                               \
        code_;                                                                                     \
    })
#define error_set(err, code, ...) ERROR_RETURNED(error_set(err, code_, __VA_ARGS__), code)
#define error_errno(err, code, ...) ERROR_RETURNED(error_errno(err, code_, __VA_ARGS__), code)
#define error_wrap(err, code, ...) ERROR_RETURNED(error_wrap(err, code_, __VA_ARGS__), code)
#endif
