// SPDX-License-Identifier: Apache-2.0
//
// Bump allocation in chunks. The newest chunk is the one being filled; what does not fit and is
// large gets a chunk of its own behind it, so that the room left in the newest is not lost. Under
// address sanitizer each allocation is a chunk of its own.

#include "base/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_SEPARATE 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_SEPARATE 1
#endif
#endif
#ifndef ARENA_SEPARATE
#define ARENA_SEPARATE 0
#endif

enum { CHUNK_DEFAULT = 4096, CHUNK_MAX = 65536, ALIGNMENT = 16, SMALL_ALIGNMENT = 8 };

struct chunk {
    struct chunk *next; // older one
    size_t capacity;    // bytes behind the header
    char data[] __attribute__((aligned(ALIGNMENT)));
};

// The first chunk's bytes follow the struct in the same allocation.
struct arena {
    char *at;             // next free byte of the chunk being filled
    char *end;            // its end
    struct chunk *chunks; // all but the first, newest first
    size_t size;          // handed out
    size_t limit;         // 0: none
    size_t first_size;    // bytes of `first`
    size_t next_size;     // of the next chunk
    char first[] __attribute__((aligned(ALIGNMENT)));
};

struct arena *arena_new(size_t first_chunk, size_t limit)
{
    size_t size = ARENA_SEPARATE ? 0 : first_chunk != 0 ? first_chunk : CHUNK_DEFAULT;
    struct arena *arena = mem_alloc(sizeof(*arena) + size);

    *arena = (struct arena){.limit = limit, .first_size = size};
    arena_reset(arena);
    return arena;
}

static void chunks_free(struct arena *arena)
{
    while (arena->chunks != NULL) {
        struct chunk *chunk = arena->chunks;

        arena->chunks = chunk->next;
        mem_free(chunk);
    }
}

struct arena *arena_free(struct arena *arena)
{
    if (arena != NULL) {
        chunks_free(arena);
        mem_free(arena);
    }
    return NULL;
}

void arena_reset(struct arena *arena)
{
    chunks_free(arena);
    arena->at = arena->first;
    arena->end = arena->first + arena->first_size;
    arena->size = 0;
    arena->next_size = arena->first_size * 2 < CHUNK_MAX ? arena->first_size * 2 : CHUNK_MAX;
}

size_t arena_size(const struct arena *arena)
{
    return arena->size;
}

static struct chunk *chunk_add(struct arena *arena, size_t capacity)
{
    struct chunk *chunk;

    CHECK(capacity <= SIZE_MAX / 2);
    chunk = mem_alloc(sizeof(*chunk) + capacity);
    chunk->next = arena->chunks;
    chunk->capacity = capacity;
    arena->chunks = chunk;
    return chunk;
}

static void *alloc_slow(struct arena *arena, size_t size)
{
    struct chunk *chunk;

    if (ARENA_SEPARATE || size > arena->next_size / 4)
        return chunk_add(arena, size)->data;
    chunk = chunk_add(arena, arena->next_size);
    if (arena->next_size < CHUNK_MAX)
        arena->next_size *= 2;
    arena->at = chunk->data + size;
    arena->end = chunk->data + chunk->capacity;
    return chunk->data;
}

// `alignment` is a power of two, at most ALIGNMENT.
static inline void *alloc(struct arena *arena, size_t size, size_t alignment)
{
    CHECK(arena->limit == 0 || size <= arena->limit - arena->size);
    arena->size += size;
    if (!ARENA_SEPARATE) {
        size_t skip = -(uintptr_t)arena->at & (alignment - 1);
        size_t room = (size_t)(arena->end - arena->at);

        if (skip <= room && size <= room - skip) {
            void *p = arena->at + skip;

            arena->at += skip + size;
            return p;
        }
    }
    return alloc_slow(arena, size);
}

void *arena_alloc(struct arena *arena, size_t size)
{
    return alloc(arena, size, size < ALIGNMENT ? SMALL_ALIGNMENT : ALIGNMENT);
}

void *arena_zalloc(struct arena *arena, size_t size)
{
    return memset(arena_alloc(arena, size), 0, size);
}

void *arena_calloc(struct arena *arena, size_t count, size_t item_size)
{
    size_t size;

    CHECK(!__builtin_mul_overflow(count, item_size, &size));
    return arena_zalloc(arena, size);
}

char *arena_strdup(struct arena *arena, const char *s)
{
    size_t size;

    if (s == NULL)
        return NULL;
    size = strlen(s) + 1;
    return memcpy(alloc(arena, size, 1), s, size);
}

char *arena_strndup(struct arena *arena, const char *s, size_t size)
{
    size_t length = strnlen(s, size);
    char *copy = alloc(arena, length + 1, 1);

    memcpy(copy, s, length);
    copy[length] = '\0';
    return copy;
}

void *arena_dup(struct arena *arena, const void *p, size_t size)
{
    void *copy = arena_alloc(arena, size);

    if (size != 0)
        memcpy(copy, p, size);
    return copy;
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
    char small[256], *text;
    va_list args;
    int size;

    va_start(args, format);
    size = vsnprintf(small, sizeof(small), format, args);
    va_end(args);
    CHECK(size >= 0);
    text = alloc(arena, (size_t)size + 1, 1);
    if ((size_t)size < sizeof(small)) {
        memcpy(text, small, (size_t)size + 1);
    } else {
        va_start(args, format);
        vsnprintf(text, (size_t)size + 1, format, args);
        va_end(args);
    }
    return text;
}

void arena_free_at(struct arena **arena)
{
    *arena = arena_free(*arena);
}
