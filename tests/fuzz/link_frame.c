// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as frames of the agent link: fed at once, and in pieces of the size that the first byte
// says, the outcome is the same.

#include <stdint.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "net/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool note(void *ctx, uint32_t channel, const void *data, size_t size)
{
    struct buf *out = ctx;
    buf_printf(out, "%u %zu ", channel, size);
    buf_append(out, data, size);
    return channel != 13;
}

static int feed(const uint8_t *data, size_t size, size_t piece, struct buf *out)
{
    struct frame_reader reader;
    frame_reader_init(&reader, 300);
    int result = 0;
    for (size_t at = 0; at < size && result == 0; at += piece) {
        size_t n = size - at < piece ? size - at : piece;
        char *copy = mem_dup(data + at, n);
        result = frame_reader_feed(&reader, copy, n, note, out);
        mem_free(copy);
    }
    frame_reader_free(&reader);
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    AUTO_BUF struct buf whole = BUF_INIT;
    AUTO_BUF struct buf pieces = BUF_INIT;
    int r = feed(data + 1, size - 1, size - 1, &whole);
    CHECK(feed(data + 1, size - 1, (size_t)data[0] % 16 + 1, &pieces) == r);
    CHECK(whole.size == pieces.size);
    CHECK(whole.size == 0 || memcmp(whole.data, pieces.data, whole.size) == 0);
    return 0;
}
