// SPDX-License-Identifier: Apache-2.0
//
// The store that survives nothing: --registry=in_memory and tests.

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "store/backend.h"

struct value {
    size_t size;
    unsigned char data[];
};

struct memory {
    struct map values; // key -> struct value
};

static int memory_commit(void *place, const struct store_batch *batches, size_t count,
                         struct error *err)
{
    (void)err;
    struct memory *memory = place;
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < batches[i].count; k++) {
            const struct store_item *item = &batches[i].items[k];
            if (item->value == NULL) {
                mem_free(map_remove(&memory->values, item->key));
                continue;
            }
            struct value *value = mem_alloc(sizeof(*value) + item->size);
            value->size = item->size;
            memcpy(value->data, item->value, item->size);
            mem_free(map_put(&memory->values, item->key, value));
        }
    }
    return 0;
}

static int compare_items(const void *a, const void *b)
{
    return strcmp(((const struct store_item *)a)->key, ((const struct store_item *)b)->key);
}

static int memory_walk(void *place, void (*item)(void *ctx, const struct store_item *item),
                       void *ctx, struct error *err)
{
    (void)err;
    struct memory *memory = place;
    AUTO_FREE struct store_item *items = mem_calloc(memory->values.count + 1, sizeof(*items));
    size_t count = 0;
    MAP_FOREACH (&memory->values, entry) {
        const struct value *value = entry->value;
        items[count++] =
            (struct store_item){.key = entry->key, .value = value->data, .size = value->size};
    }
    qsort(items, count, sizeof(*items), compare_items);
    for (size_t i = 0; i < count; i++) {
        item(ctx, &items[i]);
    }
    return 0;
}

static void memory_free(void *place)
{
    struct memory *memory = place;
    MAP_FOREACH (&memory->values, entry) {
        mem_free(entry->value);
    }
    map_free(&memory->values);
    mem_free(memory);
}

static const struct store_backend backend = {
    .commit = memory_commit,
    .walk = memory_walk,
    .free = memory_free,
};

struct store *store_memory_new(void)
{
    return store_new(&backend, mem_zalloc(sizeof(struct memory)));
}
