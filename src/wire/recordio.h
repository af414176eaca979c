// SPDX-License-Identifier: Apache-2.0
//
// RecordIO framing: "<decimal length>\n<record>", nothing behind the record.

#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/error.h"

void recordio_put(struct buf *out, const void *record, size_t size);
// What stands in front of a record of this size; how long it is.
enum { RECORDIO_HEAD_MAX = 24 };
size_t recordio_put_head(char ret_head[RECORDIO_HEAD_MAX], size_t size);

struct recordio_reader {
    struct buf pending; // the record so far
    size_t wanted;      // length of the record that is being read
    size_t size_max;    // longest record that is taken
    int state;
};

void recordio_reader_init(struct recordio_reader *r, size_t size_max);
void recordio_reader_free(struct recordio_reader *r);

// True between records: a stream that ends elsewhere was cut off.
bool recordio_reader_is_idle(const struct recordio_reader *r);

// Takes bytes as they arrive and calls `on_record` for each whole record; a negative answer of
// on_record ends the feed and is returned. -EBADMSG for a length that is not a plain decimal
// number, -EFBIG for a record beyond size_max; after an error the reader is to be freed.
int recordio_feed(struct recordio_reader *r, const void *data, size_t size,
                  int (*on_record)(void *ctx, const void *record, size_t size), void *ctx,
                  struct error *err);
