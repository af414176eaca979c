// SPDX-License-Identifier: Apache-2.0
//
// How messages to and from the ensemble are written: numbers of eight bytes, and texts behind their
// length. It is not ZooKeeper's own form; only that everything crosses as bytes matters here.

#include <string.h>

#include "base/check.h"
#include "sim/zoo.h"

void zoo_put(struct buf *out, int64_t number)
{
    uint64_t bits = (uint64_t)number;
    uint8_t bytes[8];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(bits >> (8 * i));
    buf_append(out, bytes, sizeof(bytes));
}

void zoo_put_bytes(struct buf *out, const void *data, size_t size)
{
    zoo_put(out, (int64_t)size);
    if (size > 0)
        buf_append(out, data, size);
    buf_append(out, "", 1);
}

void zoo_put_text(struct buf *out, const char *text)
{
    zoo_put_bytes(out, text, strlen(text));
}

int64_t zoo_get(struct zoo_reader *in)
{
    uint64_t bits = 0;
    CHECK(in->left >= 8);
    for (size_t i = 0; i < 8; i++)
        bits |= (uint64_t)in->at[i] << (8 * i);
    in->at += 8;
    in->left -= 8;
    return (int64_t)bits;
}

const void *zoo_get_bytes(struct zoo_reader *in, size_t *ret_size)
{
    size_t size = (size_t)zoo_get(in);
    CHECK(in->left > size && in->at[size] == '\0');
    const void *bytes = in->at;
    in->at += size + 1;
    in->left -= size + 1;
    *ret_size = size;
    return bytes;
}

const char *zoo_get_text(struct zoo_reader *in)
{
    size_t size;
    return zoo_get_bytes(in, &size);
}
