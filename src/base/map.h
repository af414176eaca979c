// SPDX-License-Identifier: Apache-2.0
//
// A hash map from strings to pointers. It keeps a copy of each key, but for those that it is lent
// (map_add_borrowed), and never touches the values.
// Iteration is in the order of insertion (a removed key's place closes up), so that a simulated
// run is the same each time. The hash is seeded per process against chosen collisions; the seed
// (map_seed) changes nothing that a caller can see.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map_entry {
    char *key;   // NULL marks a removed entry
    void *value; // the caller's
    uint32_t hash;
    uint32_t key_size : 31;
    uint32_t is_borrowed : 1; // the key is not the map's
};

struct map {
    struct map_entry *entries; // in insertion order, with holes
    uint32_t *index;           // open addressing into `entries`: see map.c
    size_t count;              // live entries
    size_t used;               // entries written, live or removed
    size_t first;              // entries before this one are all removed
    size_t capacity;           // allocated entries
    size_t moves;              // how often entries moved together, so that positions mean others
};

#define MAP_INIT ((struct map){0})

void map_free(struct map *map);                        // values are left alone
void *map_get(const struct map *map, const char *key); // NULL when absent
void *map_get_n(const struct map *map, const char *key, size_t key_size);
bool map_has(const struct map *map, const char *key);
void *map_put(struct map *map, const char *key, void *value); // the former value, or NULL
// Adds a key that is not there (CHECKed), without a copy: it has to stay as long as its entry.
void map_add_borrowed(struct map *map, const char *key, void *value);
void *map_remove(struct map *map, const char *key); // the removed value, or NULL
void map_clear(struct map *map);

// The first entry at or behind *position (start with 0), or NULL at the end; moves *position on.
// Removing any entry while walking is allowed; adding is not, but for who begins anew when
// map->moves has changed.
struct map_entry *map_next(const struct map *map, size_t *position);

#define MAP_FOREACH(map, entry)                                                                    \
    for (size_t entry##_at_ = 0, entry##_once_ = 1; entry##_once_; entry##_once_ = 0)              \
        for (struct map_entry * entry; (entry = map_next((map), &entry##_at_)) != NULL;)

void map_seed(uint64_t seed); // before the first map is filled
uint32_t map_hash(const char *key, size_t key_size);
