// SPDX-License-Identifier: Apache-2.0
//
// Memory for many objects of one type that are walked often: they lie in blocks of their own, each
// object beginning a cache line, and large blocks ask for huge pages. Then whoever goes from one
// object to another does not wait for the page tables, too.
//
// The memory of those given back is kept for the next; it goes when all are given back.

#pragma once

#include <stddef.h>

enum { SLAB_LINE = 64 };

struct slab {
    size_t item_size; // whole lines, an odd number
    size_t taken;
    size_t block_size; // of the newest block
    char *fresh;       // of it, what was never taken
    char *end;
    struct slab_block *blocks;
    struct slab_spare *spare; // given back
};

// An odd number of lines: the same line of each object would be in few of a cache's sets otherwise.
#define SLAB_INIT(type)                                                                            \
    ((struct slab){.item_size = ((sizeof(type) + SLAB_LINE - 1) / SLAB_LINE | 1) * SLAB_LINE})

void *slab_take(struct slab *slab); // zeroed
void slab_give(struct slab *slab, void *item);
