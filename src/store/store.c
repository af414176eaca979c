// SPDX-License-Identifier: Apache-2.0
//
// The queue in front of a backend: what was asked for, in order, until the next flush. A run of
// batches without a load between them is one transaction.

#include "store/store.h"

#include <string.h>

#include "base/check.h"
#include "base/list.h"
#include "base/mem.h"
#include "store/backend.h"

struct request {
    struct list link;
    store_loaded_fn *loaded;   // a load when set
    store_durable_fn *durable; // of a batch; may be NULL
    void *ctx;
    struct store_batch batch;
};

struct store {
    const struct store_backend *backend;
    void *place;
    struct list requests;
    bool is_flushing;
    struct error failure; // code is 0 while all went well
};

struct store *store_new(const struct store_backend *backend, void *place)
{
    struct store *store = mem_zalloc(sizeof(*store));
    store->backend = backend;
    store->place = place;
    list_init(&store->requests);
    return store;
}

static void free_items(struct store_item *items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        mem_free((void *)items[i].key);
        mem_free((void *)items[i].value);
    }
    mem_free(items);
}

static void request_free(struct request *request)
{
    list_remove(&request->link);
    free_items(request->batch.items, request->batch.count);
    mem_free(request);
}

struct store *store_free(struct store *store)
{
    if (store == NULL) {
        return NULL;
    }
    CHECK(!store->is_flushing);
    LIST_FOREACH (&store->requests, struct request, link, request) {
        request_free(request);
    }
    store->backend->free(store->place);
    mem_free(store);
    return NULL;
}

static struct request *request_new(struct store *store, void *ctx)
{
    struct request *request = mem_zalloc(sizeof(*request));
    request->ctx = ctx;
    list_append(&store->requests, &request->link);
    return request;
}

void store_load(struct store *store, store_loaded_fn *loaded, void *ctx)
{
    request_new(store, ctx)->loaded = loaded;
}

static void copy_item(struct store_item *to, const struct store_item *from)
{
    CHECK(from->key[0] != '\0');
    to->key = mem_strdup(from->key);
    to->size = from->value != NULL ? from->size : 0;
    to->value = NULL;
    if (from->value != NULL) {
        // One byte more, so that an empty value is not a NULL pointer.
        char *value = mem_alloc(from->size + 1);
        memcpy(value, from->value, from->size);
        value[from->size] = '\0';
        to->value = value;
    }
}

void store_apply(struct store *store, const struct store_item *items, size_t count,
                 store_durable_fn *durable, void *ctx)
{
    struct request *request = request_new(store, ctx);
    request->durable = durable;
    request->batch.items = mem_calloc(count + 1, sizeof(items[0]));
    request->batch.count = count;
    for (size_t i = 0; i < count; i++) {
        copy_item(&request->batch.items[i], &items[i]);
    }
}

bool store_is_pending(const struct store *store)
{
    return !list_is_empty(&store->requests);
}

// ---- flushing ----

struct loading {
    struct store_item *items;
    size_t count;
    size_t capacity;
};

static void note_item(void *ctx, const struct store_item *item)
{
    struct loading *loading = ctx;
    if (loading->count == loading->capacity) {
        loading->capacity = loading->capacity * 2 + 16;
        loading->items =
            mem_realloc_array(loading->items, loading->capacity, sizeof(loading->items[0]));
    }
    copy_item(&loading->items[loading->count++], item);
}

static void run_load(struct store *store, const struct request *request)
{
    struct loading loading = {0};
    int r = store->failure.code;
    if (r == 0) {
        r = store->backend->walk(store->place, note_item, &loading, &store->failure);
        store->failure.code = r;
    }
    request->loaded(request->ctx, r, loading.items, r == 0 ? loading.count : 0,
                    r == 0 ? NULL : &store->failure);
    free_items(loading.items, loading.count);
}

// Commits the batches at the front of `requests`, up to the first load, and reports them.
static void run_batches(struct store *store, struct list *requests)
{
    struct list done = LIST_INIT(done);
    struct store_batch *batches = NULL;
    size_t count = 0;
    while (!list_is_empty(requests)) {
        struct request *request = LIST_ENTRY(requests->next, struct request, link);
        if (request->loaded != NULL) {
            break;
        }
        batches = mem_realloc_array(batches, count + 1, sizeof(batches[0]));
        batches[count++] = request->batch;
        list_remove(&request->link);
        list_append(&done, &request->link);
    }
    int r = store->failure.code;
    if (r == 0) {
        r = store->backend->commit(store->place, batches, count, &store->failure);
        store->failure.code = r;
    }
    mem_free(batches);
    LIST_FOREACH (&done, struct request, link, request) {
        if (request->durable != NULL) {
            request->durable(request->ctx, r, r == 0 ? NULL : &store->failure);
        }
        request_free(request);
    }
}

void store_flush(struct store *store)
{
    CHECK(!store->is_flushing);
    store->is_flushing = true;
    struct list requests = LIST_INIT(requests);
    while (!list_is_empty(&store->requests)) {
        struct list *first = store->requests.next;
        list_remove(first);
        list_append(&requests, first);
    }
    while (!list_is_empty(&requests)) {
        struct request *first = LIST_ENTRY(requests.next, struct request, link);
        if (first->loaded != NULL) {
            run_load(store, first);
            request_free(first);
        } else {
            run_batches(store, &requests);
        }
    }
    store->is_flushing = false;
}
