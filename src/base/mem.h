// SPDX-License-Identifier: Apache-2.0
//
// The one allocator: it never returns NULL, because running out of memory aborts. Every input
// therefore has a limit of its own. Also what scopes own: cleanup attributes and TAKE_PTR.

#pragma once

#include <stddef.h>

void *mem_alloc(size_t size);                     // not zeroed
void *mem_zalloc(size_t size);                    // zeroed
void *mem_calloc(size_t count, size_t item_size); // zeroed; aborts on overflow
void *mem_realloc(void *p, size_t size);
void *mem_realloc_array(void *p, size_t count, size_t item_size);
char *mem_strdup(const char *s); // NULL gives NULL
char *mem_strndup(const char *s, size_t size);
void *mem_dup(const void *p, size_t size);
char *mem_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));
void mem_free(void *p); // NULL is fine

// From now on this thread keeps some of what it frees, up to a few MiB, and takes from that first:
// for a daemon's main thread. The end gives all of it back.
void mem_cache_begin(void);
void mem_cache_end(void);

static inline void mem_free_at(void *p)
{
    mem_free(*(void **)p);
}

// char *text __attribute__((cleanup)): freed when the scope ends.
#define AUTO_FREE __attribute__((cleanup(mem_free_at)))

// Moves what a scope owns out of it.
#define TAKE_PTR(p)                                                                                \
    ({                                                                                             \
        __typeof__(p) taken_ = (p);                                                                \
        (p) = NULL;                                                                                \
        taken_;                                                                                    \
    })

#define ARRAY_COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define CONTAINER_OF(pointer, type, member)                                                        \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))
