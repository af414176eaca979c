// SPDX-License-Identifier: Apache-2.0
//
// An arena: many allocations, freed whole. One is made per request (all that is decoded or built
// for a reply lives in it) and one per long-lived object that holds messages. In a build with
// address sanitizer each allocation is a malloc of its own, so that overruns are seen.

#pragma once

#include <stddef.h>

struct arena;

// `first_chunk` is the size in bytes of the first chunk (0: a default of 4 KiB); later ones double
// up to 64 KiB. `limit` is the most that it will hand out in bytes (0: none); beyond it
// arena_alloc aborts, so whoever reads input checks sizes first.
struct arena *arena_new(size_t first_chunk, size_t limit);
struct arena *arena_free(struct arena *arena); // NULL is fine; returns NULL
void arena_reset(struct arena *arena);         // frees all but the first chunk
size_t arena_size(const struct arena *arena);  // bytes handed out so far

void *arena_alloc(struct arena *arena, size_t size); // aligned for any type, not zeroed
void *arena_zalloc(struct arena *arena, size_t size);
void *arena_calloc(struct arena *arena, size_t count, size_t item_size);
char *arena_strdup(struct arena *arena, const char *s); // NULL gives NULL
char *arena_strndup(struct arena *arena, const char *s, size_t size);
void *arena_dup(struct arena *arena, const void *p, size_t size);
char *arena_printf(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

void arena_free_at(struct arena **arena);
#define AUTO_ARENA __attribute__((cleanup(arena_free_at)))
