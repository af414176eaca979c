// SPDX-License-Identifier: Apache-2.0
//
// The store that survives nothing: --registry=in_memory and tests. Batches are applied at once, and
// their callbacks wait for the flush, as with the durable ones.

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "store/store.h"

struct value {
    size_t size;
    unsigned char data[];
};

// One callback that is due at the next flush; a load carries what was there when it was asked for.
struct waiting {
    struct list link;
    store_loaded_fn *loaded;
    store_durable_fn *durable;
    void *ctx;
    struct store_item *items;
    size_t count;
};

struct store {
    struct map values; // key -> struct value
    struct list waiting;
};

struct store *store_memory_new(void)
{
    struct store *store = mem_zalloc(sizeof(*store));
    list_init(&store->waiting);
    return store;
}

static void waiting_free(struct waiting *waiting)
{
    list_remove(&waiting->link);
    for (size_t i = 0; i < waiting->count; i++) {
        mem_free((void *)(uintptr_t)waiting->items[i].key);
        mem_free((void *)(uintptr_t)waiting->items[i].value);
    }
    mem_free(waiting->items);
    mem_free(waiting);
}

struct store *store_free(struct store *store)
{
    if (store == NULL) {
        return NULL;
    }
    LIST_FOREACH (&store->waiting, struct waiting, link, waiting) {
        waiting_free(waiting);
    }
    MAP_FOREACH (&store->values, entry) {
        mem_free(entry->value);
    }
    map_free(&store->values);
    mem_free(store);
    return NULL;
}

static int compare_items(const void *a, const void *b)
{
    return strcmp(((const struct store_item *)a)->key, ((const struct store_item *)b)->key);
}

void store_load(struct store *store, store_loaded_fn *loaded, void *ctx)
{
    struct waiting *waiting = mem_zalloc(sizeof(*waiting));
    waiting->loaded = loaded;
    waiting->ctx = ctx;
    waiting->items = mem_calloc(store->values.count + 1, sizeof(*waiting->items));
    MAP_FOREACH (&store->values, entry) {
        const struct value *value = entry->value;
        waiting->items[waiting->count++] =
            (struct store_item){.key = mem_strdup(entry->key),
                                .value = mem_dup(value->data, value->size + 1),
                                .size = value->size};
    }
    qsort(waiting->items, waiting->count, sizeof(*waiting->items), compare_items);
    list_append(&store->waiting, &waiting->link);
}

void store_apply(struct store *store, const struct store_item *items, size_t count,
                 store_durable_fn *durable, void *ctx)
{
    for (size_t i = 0; i < count; i++) {
        CHECK(items[i].key != NULL && items[i].key[0] != '\0');
        if (items[i].value == NULL) {
            mem_free(map_remove(&store->values, items[i].key));
            continue;
        }
        struct value *value = mem_alloc(sizeof(*value) + items[i].size + 1);
        value->size = items[i].size;
        memcpy(value->data, items[i].value, items[i].size);
        value->data[items[i].size] = '\0';
        mem_free(map_put(&store->values, items[i].key, value));
    }
    if (durable == NULL) {
        return;
    }
    struct waiting *waiting = mem_zalloc(sizeof(*waiting));
    waiting->durable = durable;
    waiting->ctx = ctx;
    list_append(&store->waiting, &waiting->link);
}

void store_flush(struct store *store)
{
    // What a callback asks for waits for the next flush.
    struct list *last = store->waiting.previous;
    bool more = !list_is_empty(&store->waiting);
    while (more) {
        struct waiting *waiting = LIST_ENTRY(store->waiting.next, struct waiting, link);
        more = &waiting->link != last;
        if (waiting->loaded != NULL) {
            waiting->loaded(waiting->ctx, 0, waiting->items, waiting->count, NULL);
        } else {
            waiting->durable(waiting->ctx, 0, NULL);
        }
        waiting_free(waiting);
    }
}

bool store_is_pending(const struct store *store)
{
    return !list_is_empty(&store->waiting);
}
