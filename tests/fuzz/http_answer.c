// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as an HTTP answer: fed at once, and in pieces of the size that the first byte says, the
// outcome is the same.

#include <stdint.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "net/answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    struct answer_reader reader;
    int status;
    struct buf body;
};

static void on_head(void *ctx, int status)
{
    struct seen *seen = ctx;
    CHECK(seen->status == 0);
    seen->status = status;
    buf_printf(&seen->body, "%d ", status);
    const char *location = answer_header(&seen->reader, "location");
    if (location != NULL) {
        buf_puts(&seen->body, location);
    }
}

static void on_data(void *ctx, const void *data, size_t size)
{
    struct seen *seen = ctx;
    CHECK(seen->status != 0);
    buf_append(&seen->body, data, size);
}

static const struct answer_callbacks callbacks = {on_head, on_data};

static void feed(const uint8_t *data, size_t size, size_t piece, struct buf *out)
{
    struct seen seen = {0};
    answer_start(&seen.reader, false, &callbacks, &seen);
    enum answer_result result = ANSWER_NEEDS_MORE;
    size_t at = 0;
    while (at < size && result == ANSWER_NEEDS_MORE) {
        size_t n = size - at < piece ? size - at : piece;
        size_t used;
        char *copy = mem_dup(data + at, n);
        result = answer_feed(&seen.reader, copy, n, &used);
        mem_free(copy);
        CHECK(used <= n && (used == n || result != ANSWER_NEEDS_MORE));
        at += used;
    }
    if (result == ANSWER_NEEDS_MORE) {
        result = answer_end(&seen.reader);
        CHECK(result != ANSWER_NEEDS_MORE);
    }
    // How far the bad part was read before it was seen to be bad is of no matter.
    if (result == ANSWER_IS_WHOLE) {
        buf_append(out, seen.body.data, seen.body.size);
        buf_printf(out, " whole %zu %d", at, seen.reader.keep_alive);
    } else {
        CHECK(seen.reader.bad_text[0] != '\0');
        buf_puts(out, "bad");
    }
    buf_free(&seen.body);
    answer_free(&seen.reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    AUTO_BUF struct buf whole = BUF_INIT;
    AUTO_BUF struct buf pieces = BUF_INIT;
    feed(data + 1, size - 1, size - 1, &whole);
    feed(data + 1, size - 1, (size_t)data[0] % 16 + 1, &pieces);
    CHECK(whole.size == pieces.size && memcmp(whole.data, pieces.data, whole.size) == 0);
    return 0;
}
