// SPDX-License-Identifier: Apache-2.0
//
// memcpy in line, for what is mostly short: names, ids, fields of messages. A call of the C
// library's takes as long as copying forty bytes.

#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

// The biggest size that is worth it.
enum { COPY_SHORT_MAX = 64 };

// Copies a block. Returns it.
#define COPY_BLOCK(type, to, from)                                                                 \
    ({                                                                                             \
        type block_;                                                                               \
        memcpy(&block_, (from), sizeof(block_));                                                   \
        memcpy((to), &block_, sizeof(block_));                                                     \
        block_;                                                                                    \
    })

typedef int8_t copy_block16 __attribute__((vector_size(16)));

// As memcpy. It is copied in blocks, of which the last one may overlap the one before it.
static inline void copy_short(void *to, const void *from, size_t size)
{
    char *t = to;
    const char *f = from;

    if (size > COPY_SHORT_MAX) {
        memcpy(t, f, size);
    } else if (size >= 16) {
        for (size_t i = 0; i < size - 16; i += 16)
            COPY_BLOCK(copy_block16, t + i, f + i);
        COPY_BLOCK(copy_block16, t + size - 16, f + size - 16);
    } else if (size >= 8) {
        COPY_BLOCK(uint64_t, t, f);
        COPY_BLOCK(uint64_t, t + size - 8, f + size - 8);
    } else if (size >= 4) {
        COPY_BLOCK(uint32_t, t, f);
        COPY_BLOCK(uint32_t, t + size - 4, f + size - 4);
    } else {
        for (size_t i = 0; i < size; i++)
            t[i] = f[i];
    }
}
