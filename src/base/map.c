// SPDX-License-Identifier: Apache-2.0
//
// Entries stand in an array in the order of insertion; `index` is an open-addressed table (linear
// probing) of positions in it. A removed entry keeps its slot in the index as a stone to step on
// until the array is full; then the live entries move together and the index is made anew. So
// `used` never exceeds `capacity`, and the index, twice as large, is never more than half full.
//
// A slot of the index holds the position + 1 in its lower bits (as many as number the slots), and
// in the others the hash's own upper bits; 0 is free. So a search looks at hardly any entry but the
// one that it is for: in a large map each such look is one into memory that is in no cache.

#include "base/map.h"

#include <string.h>

#include "base/check.h"
#include "base/mem.h"

enum { CAPACITY_MIN = 2 }; // many maps have one entry

static uint64_t hash_key[2] = {UINT64_C(0x5851f42d4c957f2d), UINT64_C(0x14057b7ef767814f)};

void map_seed(uint64_t seed)
{
    for (int i = 0; i < 2; i++) {
        seed += UINT64_C(0x9e3779b97f4a7c15);
        hash_key[i] = seed;
        hash_key[i] = (hash_key[i] ^ (hash_key[i] >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        hash_key[i] = (hash_key[i] ^ (hash_key[i] >> 27)) * UINT64_C(0x94d049bb133111eb);
        hash_key[i] ^= hash_key[i] >> 31;
    }
    hash_key[1] |= 1;
}

static inline uint64_t read_word(const char *p)
{
    uint64_t word;

    memcpy(&word, p, sizeof(word));
    return word;
}

static inline uint64_t read_half_word(const char *p)
{
    uint32_t word;

    memcpy(&word, p, sizeof(word));
    return word;
}

// Both halves of the product, folded: each bit of the inputs reaches each bit of the result.
static inline uint64_t fold(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

// Two words at a time, of which the last ones may overlap those before them. Both factors are
// secret from the first words on, so nobody outside can choose words that cancel.
uint32_t map_hash(const char *key, size_t key_size)
{
    uint64_t state = hash_key[0] ^ key_size;
    uint64_t a = 0, b = 0;
    size_t left = key_size;

    for (; left > 16; left -= 16, key += 16)
        state = fold(hash_key[1] ^ read_word(key), state ^ read_word(key + 8));
    if (left >= 8) {
        a = read_word(key);
        b = read_word(key + left - 8);
    } else if (left >= 4) {
        a = read_half_word(key);
        b = read_half_word(key + left - 4);
    } else if (left > 0) {
        a = (uint64_t)(uint8_t)key[0] << 16 | (uint64_t)(uint8_t)key[left / 2] << 8 |
            (uint8_t)key[left - 1];
    }
    state = fold(hash_key[1] ^ a, state ^ b);
    state = fold(state, hash_key[1] ^ UINT64_C(0xa0761d6478bd642f));
    return (uint32_t)(state ^ state >> 32);
}

// Slots of the index, a power of two.
static inline size_t index_count(const struct map *map)
{
    return map->capacity * 2;
}

static inline uint32_t slot_of(const struct map *map, uint32_t hash, size_t position)
{
    uint32_t mask = (uint32_t)index_count(map) - 1;

    return (hash & ~mask) | (uint32_t)(position + 1);
}

// Writes all entries' positions into an index that holds only zeros.
static void index_fill(struct map *map)
{
    size_t mask = index_count(map) - 1;

    for (size_t i = 0; i < map->used; i++) {
        size_t slot = map->entries[i].hash & mask;

        while (map->index[slot] != 0)
            slot = (slot + 1) & mask;
        map->index[slot] = slot_of(map, map->entries[i].hash, i);
    }
}

// Moves live entries together and makes room for at least one more.
static void rebuild(struct map *map)
{
    size_t capacity = CAPACITY_MIN, to = 0;

    while (capacity < map->count + map->count / 2 + 1)
        capacity *= 2;
    CHECK(capacity <= UINT32_MAX / 4);
    for (size_t from = map->first; from < map->used; from++)
        if (map->entries[from].key != NULL)
            map->entries[to++] = map->entries[from];
    CHECK(to == map->count);
    map->used = to;
    map->first = 0;
    map->moves++;
    if (capacity != map->capacity) {
        map->entries = mem_realloc_array(map->entries, capacity, sizeof(*map->entries));
        map->capacity = capacity;
        mem_free(map->index);
        map->index = mem_calloc(index_count(map), sizeof(*map->index));
    } else {
        memset(map->index, 0, index_count(map) * sizeof(*map->index));
    }
    index_fill(map);
}

static inline __attribute__((always_inline)) struct map_entry *find(const struct map *map,
                                                                    const char *key,
                                                                    size_t key_size, uint32_t hash)
{
    uint32_t mask = (uint32_t)index_count(map) - 1;

    if (map->count == 0)
        return NULL;
    for (size_t slot = hash & mask; map->index[slot] != 0; slot = (slot + 1) & mask) {
        if (((map->index[slot] ^ hash) & ~mask) != 0)
            continue;
        struct map_entry *entry = &map->entries[(map->index[slot] & mask) - 1];

        if (entry->hash == hash && entry->key_size == key_size && entry->key != NULL &&
            memcmp(entry->key, key, key_size) == 0)
            return entry;
    }
    return NULL;
}

static void free_key(struct map_entry *entry)
{
    char *key = TAKE_PTR(entry->key);

    if (!entry->is_borrowed)
        mem_free(key);
}

void map_clear(struct map *map)
{
    for (size_t i = 0; i < map->used; i++)
        free_key(&map->entries[i]);
    map->count = map->used = map->first = 0;
    map->moves++;
    if (map->index != NULL)
        memset(map->index, 0, index_count(map) * sizeof(*map->index));
}

void map_free(struct map *map)
{
    map_clear(map);
    mem_free(map->entries);
    mem_free(map->index);
    *map = MAP_INIT;
}

void *map_get_n(const struct map *map, const char *key, size_t key_size)
{
    if (map->count == 0)
        return NULL;
    struct map_entry *entry = find(map, key, key_size, map_hash(key, key_size));

    return entry != NULL ? entry->value : NULL;
}

void *map_get(const struct map *map, const char *key)
{
    return map_get_n(map, key, strlen(key));
}

bool map_has(const struct map *map, const char *key)
{
    if (map->count == 0)
        return false;
    size_t key_size = strlen(key);

    return find(map, key, key_size, map_hash(key, key_size)) != NULL;
}

// `entry` has a key that is not there yet.
static void add(struct map *map, struct map_entry entry)
{
    size_t slot;

    if (map->used == map->capacity)
        rebuild(map);
    slot = entry.hash & (index_count(map) - 1);
    while (map->index[slot] != 0)
        slot = (slot + 1) & (index_count(map) - 1);
    map->index[slot] = slot_of(map, entry.hash, map->used);
    map->entries[map->used++] = entry;
    map->count++;
}

void *map_put(struct map *map, const char *key, void *value)
{
    size_t key_size = strlen(key);
    uint32_t hash = map_hash(key, key_size);
    struct map_entry *entry = find(map, key, key_size, hash);

    CHECK(key_size <= INT32_MAX);
    if (entry != NULL) {
        void *former = entry->value;

        entry->value = value;
        return former;
    }
    add(map, (struct map_entry){
                 .key = mem_dup(key, key_size + 1),
                 .value = value,
                 .hash = hash,
                 .key_size = (uint32_t)key_size & INT32_MAX,
             });
    return NULL;
}

void map_add_borrowed(struct map *map, const char *key, void *value)
{
    size_t key_size = strlen(key);
    uint32_t hash = map_hash(key, key_size);

    CHECK(key_size <= INT32_MAX && find(map, key, key_size, hash) == NULL);
    add(map, (struct map_entry){
                 .key = (char *)(uintptr_t)key,
                 .value = value,
                 .hash = hash,
                 .key_size = (uint32_t)key_size & INT32_MAX,
                 .is_borrowed = true,
             });
}

void *map_remove(struct map *map, const char *key)
{
    if (map->count == 0)
        return NULL;
    size_t key_size = strlen(key);
    struct map_entry *entry = find(map, key, key_size, map_hash(key, key_size));
    void *value;

    if (entry == NULL)
        return NULL;
    value = entry->value;
    free_key(entry); // `key` may be this very text
    entry->value = NULL;
    map->count--;
    while (map->first < map->used && map->entries[map->first].key == NULL)
        map->first++;
    return value;
}

struct map_entry *map_next(const struct map *map, size_t *position)
{
    if (*position < map->first)
        *position = map->first;
    while (*position < map->used) {
        struct map_entry *entry = &map->entries[(*position)++];

        if (entry->key != NULL)
            return entry;
    }
    return NULL;
}
