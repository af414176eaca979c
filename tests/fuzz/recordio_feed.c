// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a stream of records: fed at once, and in pieces of the size that the first byte
// says, the outcome is the same.

#include <stdint.h>
#include <string.h>

#include "base/check.h"
#include "wire/recordio.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int gather(void *ctx, const void *record, size_t size)
{
    recordio_put(ctx, record, size);
    return 0;
}

static int feed(const uint8_t *data, size_t size, size_t piece, struct buf *out)
{
    struct recordio_reader r;
    recordio_reader_init(&r, 1000);
    int result = 0;
    for (size_t at = 0; at < size && result == 0; at += piece) {
        size_t n = size - at < piece ? size - at : piece;
        result = recordio_feed(&r, data + at, n, gather, out, NULL);
    }
    recordio_reader_free(&r);
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
