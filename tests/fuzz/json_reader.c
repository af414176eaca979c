// SPDX-License-Identifier: Apache-2.0
//
// Any text through the pull reader: it ends, every container is closed, and what is written from
// its tokens reads as the same tokens again.

#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "wire/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// Writes the text anew, token by token; false when it is not JSON.
static bool rewrite(struct arena *arena, const char *text, size_t size, struct buf *out)
{
    struct json_reader *r = json_reader_new(arena, text, size);
    struct json_writer w;
    json_begin(&w, out);
    size_t tokens = 0;
    for (;;) {
        enum json_token token = json_next(r);
        size_t text_size;
        const char *content = json_text(r, &text_size);
        CHECK(++tokens <= size + 2);
        switch (token) {
        case JSON_ERROR:
            CHECK(json_reader_error(r, NULL) < 0);
            return false;
        case JSON_END:
            return true;
        case JSON_OBJECT_OPEN:
            json_object_open(&w);
            break;
        case JSON_OBJECT_CLOSE:
            json_object_close(&w);
            break;
        case JSON_ARRAY_OPEN:
            json_array_open(&w);
            break;
        case JSON_ARRAY_CLOSE:
            json_array_close(&w);
            break;
        case JSON_KEY:
            json_string_n(&w, content, text_size);
            buf_putc(out, ':');
            w.needs_comma = false;
            break;
        case JSON_STRING:
            json_string_n(&w, content, text_size);
            break;
        case JSON_NUMBER:
            json_raw(&w, content, text_size);
            break;
        case JSON_TRUE:
        case JSON_FALSE:
            json_bool(&w, token == JSON_TRUE);
            break;
        case JSON_NULL:
            json_null(&w);
            break;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    AUTO_BUF struct buf once = BUF_INIT;
    if (rewrite(arena, (const char *)data, size, &once)) {
        AUTO_BUF struct buf twice = BUF_INIT;
        CHECK(rewrite(arena, once.data, once.size, &twice));
        CHECK(once.size == twice.size && memcmp(once.data, twice.data, once.size) == 0);
    }
    return 0;
}
