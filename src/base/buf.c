// SPDX-License-Identifier: Apache-2.0
//
// A byte buffer that doubles. `data[size]` is NUL whenever data is not NULL.

#include "base/buf.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/text.h"

enum { CAPACITY_MIN = 64 };

void buf_init(struct buf *buf, size_t limit)
{
    *buf = (struct buf){.limit = limit};
}

void buf_free(struct buf *buf)
{
    size_t limit = buf->limit;

    mem_free(buf->data);
    *buf = (struct buf){.limit = limit};
}

void buf_clear(struct buf *buf)
{
    buf->size = 0;
    buf->overflow = false;
    if (buf->data != NULL)
        buf->data[0] = '\0';
}

void buf_grow(struct buf *buf, size_t extra)
{
    size_t needed, capacity;

    CHECK(extra < SIZE_MAX / 4 - buf->size);
    needed = buf->size + extra + 1;
    capacity = buf->capacity * 2 > CAPACITY_MIN ? buf->capacity * 2 : CAPACITY_MIN;
    if (capacity < needed)
        capacity = needed;
    buf->data = mem_realloc(buf->data, capacity);
    buf->capacity = capacity;
    buf->data[buf->size] = '\0';
}

// Room for `size` more bytes; false beyond the limit.
static bool admit(struct buf *buf, size_t size)
{
    if (buf->overflow)
        return false;
    if (buf->limit != 0 && size > buf->limit - buf->size) {
        buf->overflow = true;
        return false;
    }
    buf_reserve(buf, size);
    return true;
}

void buf_append(struct buf *buf, const void *data, size_t size)
{
    if (size == 0 || !admit(buf, size))
        return;
    memcpy(buf->data + buf->size, data, size);
    buf->size += size;
    buf->data[buf->size] = '\0';
}

void buf_puts(struct buf *buf, const char *s)
{
    buf_append(buf, s, strlen(s));
}

void buf_printf(struct buf *buf, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    buf_vprintf(buf, format, args);
    va_end(args);
}

void buf_vprintf(struct buf *buf, const char *format, va_list args)
{
    char small[256];
    va_list again;
    int size;

    va_copy(again, args);
    size = text_print(small, sizeof(small), format, args);
    CHECK(size >= 0);
    if ((size_t)size < sizeof(small)) {
        buf_append(buf, small, (size_t)size);
    } else if (admit(buf, (size_t)size)) {
        vsnprintf(buf->data + buf->size, (size_t)size + 1, format, again);
        buf->size += (size_t)size;
    }
    va_end(again);
}

void buf_put_u64(struct buf *buf, unsigned long long value)
{
    char digits[20];
    size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    buf_append(buf, digits + at, sizeof(digits) - at);
}

void buf_put_i64(struct buf *buf, long long value)
{
    if (value < 0)
        buf_putc(buf, '-');
    buf_put_u64(buf, value < 0 ? 0 - (unsigned long long)value : (unsigned long long)value);
}

void buf_consume(struct buf *buf, size_t size)
{
    CHECK(size <= buf->size);
    if (size == 0)
        return;
    buf->size -= size;
    memmove(buf->data, buf->data + size, buf->size + 1);
}

char *buf_take(struct buf *buf)
{
    char *data = buf->data != NULL ? buf->data : mem_strdup("");

    buf->data = NULL;
    buf_free(buf);
    return data;
}
