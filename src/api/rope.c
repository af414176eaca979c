// SPDX-License-Identifier: Apache-2.0
//
// See rope.h.

#include "api/rope.h"

#include <string.h>

#include "base/mem.h"
#include "wire/wire.h"

enum {
    BLOCK_SIZE = 32 * 1024,   // then it is handed on; HTTP_BLOCK_SIZE leaves room for a last value
    JOIN_COPY_MAX = 4 * 1024, // what is smaller is copied, not kept as a block of its own
};

struct json_writer rope_put_begin(struct rope *r)
{
    struct json_writer w;
    json_begin(&w, &r->buf);
    w.needs_comma = r->count++ > 0;
    return w;
}

static void end_block(struct rope *r)
{
    if (r->buf.size == 0)
        return;
    if (r->blob == NULL)
        r->blob = http_blob_new();
    size_t size = r->buf.size, capacity = r->buf.capacity;
    http_blob_add(r->blob, buf_take(&r->buf), size, capacity);
}

void rope_put_end(struct rope *r)
{
    if (r->buf.size < BLOCK_SIZE)
        return;
    end_block(r);
    r->buf = (struct buf){.data = http_block_new(), .capacity = HTTP_BLOCK_SIZE};
    buf_clear(&r->buf);
}

static void put_varint(struct buf *out, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        buf_putc(out, (char)(value | 0x80));
    buf_putc(out, (char)value);
}

void rope_put_field_head(struct buf *out, unsigned field, size_t size)
{
    enum { LENGTH_DELIMITED = 2 };
    put_varint(out, (uint64_t)field << 3 | LENGTH_DELIMITED);
    put_varint(out, size);
}

void rope_put_message(struct rope *r, enum content_type type, unsigned field,
                      const ProtobufCMessage *message)
{
    if (type == CONTENT_PROTOBUF) {
        const void *data;
        size_t size = wire_pack(message, &data);
        rope_put_field_head(&r->buf, field, size);
        buf_append(&r->buf, data, size);
        r->count++;
    } else {
        struct json_writer w = rope_put_begin(r);
        wire_json_put(&w, message);
    }
    rope_put_end(r);
}

size_t rope_size(const struct rope *r)
{
    return r->buf.size + (r->blob != NULL ? http_blob_size(r->blob) : 0);
}

void rope_join(struct rope *to, struct rope *from)
{
    if (from->blob != NULL) {
        end_block(to);
        if (to->blob == NULL)
            to->blob = http_blob_new();
        http_blob_join(to->blob, from->blob);
        from->blob = NULL;
    }
    if (from->buf.size > JOIN_COPY_MAX) {
        end_block(to);
        end_block(from);
        if (to->blob == NULL)
            to->blob = http_blob_new();
        http_blob_join(to->blob, from->blob);
        from->blob = NULL;
    } else if (from->buf.size > 0) {
        buf_append(&to->buf, from->buf.data, from->buf.size);
    }
    rope_free(from);
}

struct http_blob *rope_take(struct rope *r)
{
    end_block(r);
    struct http_blob *blob = r->blob != NULL ? r->blob : http_blob_new();
    *r = (struct rope){0};
    return blob;
}

void rope_free(struct rope *r)
{
    buf_free(&r->buf);
    http_blob_release(r->blob);
    *r = (struct rope){0};
}
