// SPDX-License-Identifier: Apache-2.0
//
// The agent link's frames, without sockets: 4 bytes size, 4 bytes channel (big endian), payload.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum { FRAME_HEAD_SIZE = 8 };

struct frame_reader {
    char head[FRAME_HEAD_SIZE];
    size_t head_size;   // bytes of `head` that came
    struct buf payload; // of a frame that is not whole yet
    size_t size_max;
};

void frame_reader_init(struct frame_reader *f, size_t size_max);
void frame_reader_free(struct frame_reader *f);
// Calls on_frame for each frame that is whole; `data` is valid during the call. on_frame returns
// false to stop (then 1 is returned and the rest is dropped). -EPROTO: a frame beyond size_max.
int frame_reader_feed(struct frame_reader *f, const void *data, size_t size,
                      bool (*on_frame)(void *ctx, uint32_t channel, const void *data, size_t size),
                      void *ctx);
void frame_put_head(char ret_head[FRAME_HEAD_SIZE], uint32_t channel, size_t size);
