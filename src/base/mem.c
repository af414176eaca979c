// SPDX-License-Identifier: Apache-2.0
//
// malloc that does not fail; and, for threads that ask for it, a cache before malloc: freed blocks
// of the sizes that messages and records have, a list for each size, so that taking and giving back
// costs a few instructions. Blocks come from malloc and may go back to it, whoever freed them; what
// a list may hold is bounded. Where such a thread's heap is large it asks for huge pages: fewer
// faults while it grows, and fewer walks through page tables ever after.

#include "base/mem.h"

#include <malloc.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/check.h"

#if defined(__SANITIZE_ADDRESS__)
#define MEM_CACHES 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MEM_CACHES 0
#endif
#endif
#ifndef MEM_CACHES
#define MEM_CACHES 1 // under the address sanitizer each block is to be malloc's own
#endif

// List N holds blocks with room for N * STEP + 8 bytes or a little more: glibc's blocks have such
// sizes. There is no list 0.
enum { STEP = 16, LISTS = 264, LIST_BYTES_MAX = 16 * 1024 };

// A heap below the first size stays as it is: a small daemon is not to pay for whole huge pages. A
// larger one grows in steps of many of them, and gives back what is free at its end beyond two
// steps.
enum { HEAP_SMALL = 8 << 20, HEAP_STEP = 16 << 20, HEAP_MMAP = 4 << 20, HUGE_PAGE = 2 << 20 };

struct spare {
    struct spare *next;
};

struct cache {
    struct spare *lists[LISTS];
    uint32_t room[LISTS]; // how many blocks more a list may hold
    char *heap_begin;
    char *heap_end; // when it was looked at last
    bool heap_large;
};

static _Thread_local struct cache *cache __attribute__((tls_model("initial-exec")));

void mem_cache_begin(void)
{
    if (!MEM_CACHES || cache != NULL)
        return;
    struct cache *made = calloc(1, sizeof(*made));
    CHECK(made != NULL);
    for (uint32_t i = 1; i < LISTS; i++)
        made->room[i] = LIST_BYTES_MAX / (i * STEP);
    made->heap_begin = made->heap_end = sbrk(0);
    cache = made;
}

// The heap may have grown.
static void look_at_heap(struct cache *c)
{
    char *end = sbrk(0);

    if (end == c->heap_end)
        return;
    c->heap_end = end;
    if (end - c->heap_begin < HEAP_SMALL)
        return;
    if (!c->heap_large) {
        c->heap_large = true;
        mallopt(M_TOP_PAD, HEAP_STEP);
        mallopt(M_TRIM_THRESHOLD, 2 * HEAP_STEP);
        mallopt(M_MMAP_THRESHOLD, HEAP_MMAP); // else what the two set would fix it at 128 KiB
    }
    char *from = c->heap_begin + (-(uintptr_t)c->heap_begin & (HUGE_PAGE - 1));
    madvise(from, (size_t)(end - from), MADV_HUGEPAGE); // a kernel without them: small ones do
}

void mem_cache_end(void)
{
    struct cache *ended = cache;
    cache = NULL;
    for (size_t i = 0; ended != NULL && i < LISTS; i++) {
        while (ended->lists[i] != NULL) {
            struct spare *spare = ended->lists[i];
            ended->lists[i] = spare->next;
            free(spare);
        }
    }
    free(ended);
}

void *mem_alloc(size_t size)
{
    size_t list = size <= STEP + 8 ? 1 : (size - 8 + STEP - 1) / STEP;
    if (cache != NULL && list < LISTS && cache->lists[list] != NULL) {
        struct spare *spare = cache->lists[list];
        cache->lists[list] = spare->next;
        cache->room[list]++;
        return spare;
    }
    void *p = malloc(size != 0 ? size : 1);

    CHECK(p != NULL);
    if (cache != NULL)
        look_at_heap(cache);
    return p;
}

void mem_free(void *p)
{
    if (p == NULL)
        return;
    if (cache == NULL) {
        free(p);
        return;
    }
    size_t list = (malloc_usable_size(p) - 8) / STEP;
    if (list >= LISTS || cache->room[list] == 0) {
        free(p);
        return;
    }
    struct spare *spare = p;
    spare->next = cache->lists[list];
    cache->lists[list] = spare;
    cache->room[list]--;
}

void *mem_zalloc(size_t size)
{
    return mem_calloc(1, size);
}

void *mem_calloc(size_t count, size_t item_size)
{
    size_t size;

    CHECK(!__builtin_mul_overflow(count, item_size, &size));
    if (cache != NULL && size < LISTS * STEP)
        return memset(mem_alloc(size), 0, size);
    void *p = calloc(count != 0 ? count : 1, item_size != 0 ? item_size : 1);

    CHECK(p != NULL);
    return p;
}

void *mem_realloc(void *p, size_t size)
{
    if (p == NULL)
        return mem_alloc(size);
    if (cache != NULL && size > 0 && size < LISTS * STEP) {
        size_t usable = malloc_usable_size(p);
        if (size <= usable && size >= usable / 2)
            return p;
        void *moved = mem_alloc(size);
        memcpy(moved, p, size < usable ? size : usable);
        mem_free(p);
        return moved;
    }
    p = realloc(p, size != 0 ? size : 1);
    CHECK(p != NULL);
    return p;
}

void *mem_realloc_array(void *p, size_t count, size_t item_size)
{
    size_t size;

    CHECK(!__builtin_mul_overflow(count, item_size, &size));
    return mem_realloc(p, size);
}

char *mem_strdup(const char *s)
{
    return s != NULL ? mem_dup(s, strlen(s) + 1) : NULL;
}

char *mem_strndup(const char *s, size_t size)
{
    size_t length = strnlen(s, size);
    char *copy = mem_alloc(length + 1);

    memcpy(copy, s, length);
    copy[length] = '\0';
    return copy;
}

void *mem_dup(const void *p, size_t size)
{
    void *copy = mem_alloc(size);

    if (size != 0)
        memcpy(copy, p, size);
    return copy;
}

char *mem_printf(const char *format, ...)
{
    va_list args;
    char *text;
    int size;

    va_start(args, format);
    size = vsnprintf(NULL, 0, format, args);
    va_end(args);
    CHECK(size >= 0);
    text = mem_alloc((size_t)size + 1);
    va_start(args, format);
    vsnprintf(text, (size_t)size + 1, format, args);
    va_end(args);
    return text;
}
