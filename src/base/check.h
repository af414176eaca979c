// SPDX-License-Identifier: Apache-2.0
//
// Checks that stay on in release builds. A failed one prints the condition and the place to
// standard error and aborts: failover and recovery are the remedy for a bug.

#pragma once

#include <stdint.h>

#define CHECK(condition)                                                                           \
    (__builtin_expect(!!(condition), 1) ? (void)0 : check_failed(#condition, __FILE__, __LINE__))

// A long-lived object starts with `uint32_t magic`; a `void *` is cast back by this macro.
#define CHECK_CAST(type, magic_value, pointer)                                                     \
    ({                                                                                             \
        struct type *cast_ = (pointer);                                                            \
        CHECK(cast_ != NULL && cast_->magic == (magic_value));                                     \
        cast_;                                                                                     \
    })

_Noreturn void check_failed(const char *condition, const char *file, int line);
