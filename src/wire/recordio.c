// SPDX-License-Identifier: Apache-2.0
//
// RecordIO, both ways. The reader hands out a record from the caller's bytes where it lies there
// whole, and gathers it only when it came in pieces.

#include "wire/recordio.h"

#include <errno.h>
#include <string.h>

enum { AT_LENGTH, AT_RECORD };

// Digits that a length may have; more than size_max could ever need.
#define LENGTH_DIGITS_MAX 19

size_t recordio_put_head(char ret_head[RECORDIO_HEAD_MAX], size_t size)
{
    char digits[RECORDIO_HEAD_MAX];
    size_t at = sizeof(digits);
    digits[--at] = '\n';
    do {
        digits[--at] = (char)('0' + size % 10);
        size /= 10;
    } while (size > 0);
    memcpy(ret_head, digits + at, sizeof(digits) - at);
    return sizeof(digits) - at;
}

void recordio_put(struct buf *out, const void *record, size_t size)
{
    char head[RECORDIO_HEAD_MAX];
    size_t head_size = recordio_put_head(head, size);
    buf_reserve(out, head_size + size);
    buf_append(out, head, head_size);
    buf_append(out, record, size);
}

void recordio_reader_init(struct recordio_reader *r, size_t size_max)
{
    buf_init(&r->pending, 0);
    r->wanted = 0;
    r->size_max = size_max;
    r->state = AT_LENGTH;
}

void recordio_reader_free(struct recordio_reader *r)
{
    buf_free(&r->pending);
}

bool recordio_reader_is_idle(const struct recordio_reader *r)
{
    return r->state == AT_LENGTH && r->pending.size == 0;
}

static int parse_length(struct recordio_reader *r, struct error *err)
{
    size_t length = 0;
    for (size_t i = 0; i < r->pending.size; i++) {
        length = length * 10 + (size_t)(r->pending.data[i] - '0');
    }
    if (r->pending.size == 0) {
        return error_set(err, -EBADMSG, "a record has no length");
    }
    if (length > r->size_max) {
        return error_set(err, -EFBIG, "a record of %zu bytes is over the limit of %zu", length,
                         r->size_max);
    }
    buf_clear(&r->pending);
    r->wanted = length;
    r->state = AT_RECORD;
    return 0;
}

static int feed_length(struct recordio_reader *r, const char **at, const char *end,
                       struct error *err)
{
    while (*at < end) {
        char c = *(*at)++;
        if (c == '\n') {
            return parse_length(r, err);
        }
        if (c < '0' || c > '9' || r->pending.size == LENGTH_DIGITS_MAX) {
            return error_set(err, -EBADMSG, "a record's length is not a plain decimal number");
        }
        buf_putc(&r->pending, c);
    }
    return 0;
}

static int feed_record(struct recordio_reader *r, const char **at, const char *end,
                       int (*on_record)(void *ctx, const void *record, size_t size), void *ctx)
{
    size_t missing = r->wanted - r->pending.size;
    size_t there = (size_t)(end - *at);
    size_t taken = there < missing ? there : missing;
    const char *record = *at;
    *at += taken;
    if (taken < missing || r->pending.size > 0) {
        buf_append(&r->pending, record, taken);
        record = r->pending.data;
    }
    if (taken < missing) {
        return 0;
    }
    r->state = AT_LENGTH;
    int result = on_record(ctx, record, r->wanted);
    buf_clear(&r->pending);
    return result;
}

int recordio_feed(struct recordio_reader *r, const void *data, size_t size,
                  int (*on_record)(void *ctx, const void *record, size_t size), void *ctx,
                  struct error *err)
{
    const char *at = data;
    const char *end = at + size;
    // An empty record is whole as soon as its length is.
    while (at < end || (r->state == AT_RECORD && r->wanted == 0)) {
        int result = r->state == AT_LENGTH ? feed_length(r, &at, end, err)
                                           : feed_record(r, &at, end, on_record, ctx);
        if (result < 0) {
            return result;
        }
    }
    return 0;
}
