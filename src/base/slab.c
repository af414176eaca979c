// SPDX-License-Identifier: Apache-2.0
//
// Blocks grow with what is needed: a small cluster has small ones.

#include "base/slab.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/check.h"

#if defined(__SANITIZE_ADDRESS__)
#define SLAB_BLOCKS 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SLAB_BLOCKS 0
#endif
#endif
#ifndef SLAB_BLOCKS
#define SLAB_BLOCKS 1 // under the address sanitizer each object is to be malloc's own
#endif

enum { BLOCK_MIN = 16 * 1024, BLOCK_HUGE = 2 * 1024 * 1024 };

struct slab_block {
    struct slab_block *next;
};

struct slab_spare {
    struct slab_spare *next;
};

static void *get_memory(size_t alignment, size_t size)
{
    void *memory = aligned_alloc(alignment, size);
    CHECK(memory != NULL);
    return memory;
}

static void add_block(struct slab *slab)
{
    size_t size = slab->block_size == 0           ? BLOCK_MIN
                  : slab->block_size < BLOCK_HUGE ? slab->block_size * 2
                                                  : BLOCK_HUGE;
    CHECK(slab->item_size + SLAB_LINE <= size);
    struct slab_block *block = get_memory(size < BLOCK_HUGE ? SLAB_LINE : BLOCK_HUGE, size);
    if (size == BLOCK_HUGE) {
        madvise(block, size, MADV_HUGEPAGE); // a kernel without them: small ones do
    }
    block->next = slab->blocks;
    slab->blocks = block;
    slab->block_size = size;
    slab->fresh = (char *)block + SLAB_LINE;
    slab->end = (char *)block + size;
}

void *slab_take(struct slab *slab)
{
    slab->taken++;
    if (!SLAB_BLOCKS) {
        return memset(get_memory(SLAB_LINE, slab->item_size), 0, slab->item_size);
    }
    struct slab_spare *spare = slab->spare;
    if (spare != NULL) {
        slab->spare = spare->next;
        return memset(spare, 0, slab->item_size);
    }
    if ((size_t)(slab->end - slab->fresh) < slab->item_size) {
        add_block(slab);
    }
    void *item = slab->fresh;
    slab->fresh += slab->item_size;
    return memset(item, 0, slab->item_size);
}

static void free_blocks(struct slab *slab)
{
    while (slab->blocks != NULL) {
        struct slab_block *block = slab->blocks;
        slab->blocks = block->next;
        free(block);
    }
    *slab = (struct slab){.item_size = slab->item_size};
}

void slab_give(struct slab *slab, void *item)
{
    CHECK(slab->taken > 0);
    slab->taken--;
    if (!SLAB_BLOCKS) {
        free(item);
        return;
    }
    struct slab_spare *spare = item;
    spare->next = slab->spare;
    slab->spare = spare;
    if (slab->taken == 0) {
        free_blocks(slab);
    }
}
