// SPDX-License-Identifier: Apache-2.0

#include "net/frame.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

void frame_reader_init(struct frame_reader *f, size_t size_max)
{
    memset(f, 0, sizeof(*f));
    f->size_max = size_max;
}

void frame_reader_free(struct frame_reader *f)
{
    buf_free(&f->payload);
    f->head_size = 0;
}

static uint32_t get_u32(const char *p)
{
    uint32_t value;
    memcpy(&value, p, sizeof(value));
    return be32toh(value);
}

static void put_u32(char *p, uint32_t value)
{
    value = htobe32(value);
    memcpy(p, &value, sizeof(value));
}

void frame_put_head(char ret_head[FRAME_HEAD_SIZE], uint32_t channel, size_t size)
{
    put_u32(ret_head, (uint32_t)size);
    put_u32(ret_head + 4, channel);
}

// Frames that lie whole in the bytes, one behind the other. Moves `at` behind them; false when the
// owner wants no more.
static bool take_whole(const struct frame_reader *f, const char **at, const char *end,
                       bool (*on_frame)(void *ctx, uint32_t channel, const void *data, size_t size),
                       void *ctx)
{
    while ((size_t)(end - *at) >= FRAME_HEAD_SIZE) {
        const char *payload = *at + FRAME_HEAD_SIZE;
        size_t size = get_u32(*at);
        if (size > (size_t)(end - payload) || size > f->size_max) {
            return true;
        }
        uint32_t channel = get_u32(*at + 4);
        *at = payload + size;
        if (!on_frame(ctx, channel, payload, size)) {
            return false;
        }
    }
    return true;
}

int frame_reader_feed(struct frame_reader *f, const void *data, size_t size,
                      bool (*on_frame)(void *ctx, uint32_t channel, const void *data, size_t size),
                      void *ctx)
{
    const char *at = data;
    const char *end = at + size;
    for (;;) {
        if (f->head_size == 0 && !take_whole(f, &at, end, on_frame, ctx)) {
            return 1;
        }
        size_t take = FRAME_HEAD_SIZE - f->head_size;
        take = take < (size_t)(end - at) ? take : (size_t)(end - at);
        memcpy(f->head + f->head_size, at, take);
        f->head_size += take;
        at += take;
        if (f->head_size < FRAME_HEAD_SIZE) {
            return 0;
        }
        size_t whole = get_u32(f->head);
        uint32_t channel = get_u32(f->head + 4);
        if (whole > f->size_max) {
            return -EPROTO;
        }
        size_t missing = whole - f->payload.size;
        if ((size_t)(end - at) < missing) {
            // Memory follows what came, not what the head promised.
            buf_append(&f->payload, at, (size_t)(end - at));
            return 0;
        }
        const char *payload = at;
        if (f->payload.size > 0) {
            buf_append(&f->payload, at, missing);
            payload = f->payload.data;
        }
        at += missing;
        f->head_size = 0;
        struct buf done = f->payload;
        f->payload = BUF_INIT;
        bool more = on_frame(ctx, channel, payload, whole);
        buf_free(&done);
        if (!more) {
            return 1;
        }
    }
}
