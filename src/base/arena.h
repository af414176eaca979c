// SPDX-License-Identifier: Apache-2.0
//
// An arena: many allocations, freed whole. One is made per request (all that is decoded or built
// for a reply lives in it) and one per long-lived object that holds messages. In a build with
// address sanitizer each allocation is a malloc of its own, so that overruns are seen.

#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

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

enum { ARENA_ALIGNMENT = 16, ARENA_SMALL_ALIGNMENT = 8 };

struct arena_chunk;

// Private to arena.c, and here only so that most allocations are made in line. The first chunk's
// bytes follow the struct in the same allocation.
struct arena {
    char *at;                   // next free byte of the chunk being filled
    char *end;                  // its end, a multiple of ARENA_ALIGNMENT
    char *begin;                // where what is counted in line begins in it
    size_t size;                // handed out before that
    size_t limit;               // SIZE_MAX: none; else nothing is made in line
    struct arena_chunk *chunks; // all but the first, newest first
    size_t first_size;          // bytes of `first`
    size_t next_size;           // of the next chunk
    char first[] __attribute__((aligned(ARENA_ALIGNMENT)));
};

// `first_chunk` is the size in bytes of the first chunk (0: a default of 4 KiB); later ones double
// up to 64 KiB. `limit` is the most that it will hand out in bytes (0: none); beyond it
// arena_alloc aborts, so whoever reads input checks sizes first.
struct arena *arena_new(size_t first_chunk, size_t limit);
struct arena *arena_free(struct arena *arena); // NULL is fine; returns NULL

void arena_drop_chunks(struct arena *arena); // private

// Frees all but the first chunk.
static inline void arena_reset(struct arena *arena)
{
    if (__builtin_expect(arena->chunks != NULL, 0))
        arena_drop_chunks(arena);
    arena->at = arena->begin;
}

// Bytes handed out so far, with what alignment cost.
static inline size_t arena_size(const struct arena *arena)
{
    return arena->size + (size_t)(arena->at - arena->begin);
}

void *arena_alloc_slow(struct arena *arena, size_t size, size_t alignment)
    __attribute__((returns_nonnull)); // private

// `alignment` is a power of two, at most ARENA_ALIGNMENT. NULL: there is no room in the chunk that
// is being filled.
static inline void *arena_alloc_here(struct arena *arena, size_t size, size_t alignment)
{
    if (ARENA_SEPARATE)
        return NULL;
    char *at = arena->at + (-(uintptr_t)arena->at & (alignment - 1)); // at most `end`
    if (__builtin_expect(size > (size_t)(arena->end - at), 0))
        return NULL;
    arena->at = at + size;
    if (at == NULL)
        __builtin_unreachable(); // so that who looks for NULL looks at the size only
    return at;
}

// The same, wherever there is room.
static inline __attribute__((returns_nonnull)) void *arena_alloc_aligned(struct arena *arena,
                                                                         size_t size,
                                                                         size_t alignment)
{
    void *here = arena_alloc_here(arena, size, alignment);
    return here != NULL ? here : arena_alloc_slow(arena, size, alignment);
}

// Aligned for any type, not zeroed.
static inline void *arena_alloc(struct arena *arena, size_t size)
{
    return arena_alloc_aligned(arena, size,
                               size < ARENA_ALIGNMENT ? ARENA_SMALL_ALIGNMENT : ARENA_ALIGNMENT);
}

void *arena_zalloc(struct arena *arena, size_t size);
void *arena_calloc(struct arena *arena, size_t count, size_t item_size);
// NULL gives NULL.
static inline char *arena_strdup(struct arena *arena, const char *s)
{
    if (s == NULL)
        return NULL;
    size_t size = strlen(s) + 1;
    return memcpy(arena_alloc_aligned(arena, size, 1), s, size);
}

char *arena_strndup(struct arena *arena, const char *s, size_t size);
void *arena_dup(struct arena *arena, const void *p, size_t size);
char *arena_printf(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

void arena_free_at(struct arena **arena);
#define AUTO_ARENA __attribute__((cleanup(arena_free_at)))
