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
#include "base/text.h"

enum { CHUNK_DEFAULT = 4096, CHUNK_MAX = 65536 };

struct arena_chunk {
    struct arena_chunk *next; // older one
    size_t capacity;          // bytes behind the header
    char data[] __attribute__((aligned(ARENA_ALIGNMENT)));
};

struct arena *arena_new(size_t first_chunk, size_t limit)
{
    size_t size = ARENA_SEPARATE || limit != 0 ? 0 : first_chunk != 0 ? first_chunk : CHUNK_DEFAULT;
    struct arena *arena = mem_alloc(sizeof(*arena) + size);

    *arena = (struct arena){.limit = limit != 0 ? limit : SIZE_MAX, .first_size = size};
    arena_drop_chunks(arena);
    return arena;
}

static void chunks_free(struct arena *arena)
{
    while (arena->chunks != NULL) {
        struct arena_chunk *chunk = arena->chunks;

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

void arena_drop_chunks(struct arena *arena)
{
    chunks_free(arena);
    arena->at = arena->begin = arena->first;
    arena->end = arena->first + arena->first_size / ARENA_ALIGNMENT * ARENA_ALIGNMENT;
    arena->size = 0;
    arena->next_size = arena->first_size * 2 < CHUNK_MAX ? arena->first_size * 2 : CHUNK_MAX;
}

static struct arena_chunk *chunk_add(struct arena *arena, size_t capacity)
{
    struct arena_chunk *chunk;

    CHECK(capacity <= SIZE_MAX / 2);
    chunk = mem_alloc(sizeof(*chunk) + capacity);
    chunk->next = arena->chunks;
    chunk->capacity = capacity;
    arena->chunks = chunk;
    return chunk;
}

void *arena_alloc_slow(struct arena *arena, size_t size, size_t alignment)
{
    struct arena_chunk *chunk;

    CHECK(size <= arena->limit - arena_size(arena));
    CHECK(alignment <= ARENA_ALIGNMENT);
    arena->size += size;
    if (ARENA_SEPARATE || arena->limit != SIZE_MAX || size > arena->next_size / 4)
        return chunk_add(arena, size)->data;
    chunk = chunk_add(arena, arena->next_size);
    if (arena->next_size < CHUNK_MAX)
        arena->next_size *= 2;
    arena->size += (size_t)(arena->at - arena->begin);
    arena->at = arena->begin = chunk->data + size;
    arena->end = chunk->data + chunk->capacity / ARENA_ALIGNMENT * ARENA_ALIGNMENT;
    return chunk->data;
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

char *arena_strndup(struct arena *arena, const char *s, size_t size)
{
    size_t length = strnlen(s, size);
    char *copy = arena_alloc_aligned(arena, length + 1, 1);

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
    size = text_print(small, sizeof(small), format, args);
    va_end(args);
    CHECK(size >= 0);
    text = arena_alloc_aligned(arena, (size_t)size + 1, 1);
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
