// SPDX-License-Identifier: Apache-2.0
//
// A growing byte buffer with a limit, for all that is written piece by piece: JSON, HTTP heads,
// frames. `data` is always followed by a NUL that `size` does not count.

#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct buf {
    char *data;      // NULL while nothing was written
    size_t size;     // bytes written
    size_t capacity; // bytes allocated
    size_t limit;    // most bytes that may be written; 0: no limit
    bool overflow;   // a write went beyond `limit`; everything after it was dropped
};

#define BUF_INIT ((struct buf){0})

void buf_init(struct buf *buf, size_t limit);
void buf_free(struct buf *buf);               // frees the bytes; the buffer may be used again
void buf_clear(struct buf *buf);              // keeps the memory
void buf_grow(struct buf *buf, size_t extra); // private
void buf_append(struct buf *buf, const void *data, size_t size);
void buf_puts(struct buf *buf, const char *s);
void buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *buf, const char *format, va_list args);
void buf_put_u64(struct buf *buf, unsigned long long value); // decimal
void buf_put_i64(struct buf *buf, long long value);
void buf_consume(struct buf *buf, size_t size); // drops bytes from the front
char *buf_take(struct buf *buf);                // the caller frees with mem_free; never NULL

// Room for `extra` more bytes.
static inline void buf_reserve(struct buf *buf, size_t extra)
{
    if (extra >= buf->capacity - buf->size)
        buf_grow(buf, extra);
}

static inline void buf_putc(struct buf *buf, char c)
{
    if (buf->size + 1 < buf->capacity && !buf->overflow &&
        (buf->limit == 0 || buf->size < buf->limit)) {
        buf->data[buf->size++] = c;
        buf->data[buf->size] = '\0';
    } else {
        buf_append(buf, &c, 1);
    }
}

#define AUTO_BUF __attribute__((cleanup(buf_free)))
