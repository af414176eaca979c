// SPDX-License-Identifier: Apache-2.0
//
// What the model's tests share.

#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "model/resources.h"

// Parses a flag's text; fails the test when it is not sound.
static inline struct resources *parse(const char *text)
{
    struct resources *r = NULL;
    struct error err = {0};
    if (resources_parse(text, "*", &r, &err) != 0) {
        fail_msg("'%s': %s", text, err.text);
    }
    return r;
}

static inline void assert_text(const struct resources *r, const char *expected)
{
    struct buf text = BUF_INIT;
    resources_put_text(r, &text);
    assert_string_equal(text.data, expected);
    buf_free(&text);
}
