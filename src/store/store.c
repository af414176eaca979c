// SPDX-License-Identifier: Apache-2.0
//
// The queue in front of a backend: what was asked for, in order, until the next flush. A run of
// batches without a load between them is one transaction.
//
//   asked ──store_flush──> flushed ──(the place is free)──> running ──answer──> callbacks

#include "store/store.h"

#include <stdlib.h>
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

// What a walk has found so far.
struct loading {
    struct store_item *items;
    size_t count;
    size_t capacity;
};

struct store {
    const struct store_backend *backend;
    void *place;
    struct list asked;
    struct list flushed;
    struct list running;         // one load, or batches
    struct store_batch *batches; // those of `running`
    size_t batch_count;
    struct loading loading;
    bool is_busy;         // the place has not answered yet
    bool is_flushing;     // callbacks may be on the stack
    struct error failure; // code is 0 while all went well
};

struct store *store_new(const struct store_backend *backend, void *place)
{
    struct store *store = mem_zalloc(sizeof(*store));
    store->backend = backend;
    store->place = place;
    list_init(&store->asked);
    list_init(&store->flushed);
    list_init(&store->running);
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

static void free_requests(struct list *requests)
{
    LIST_FOREACH (requests, struct request, link, request) {
        request_free(request);
    }
}

struct store *store_free(struct store *store)
{
    if (store == NULL) {
        return NULL;
    }
    CHECK(!store->is_flushing);
    store->backend->free(store->place);
    free_requests(&store->asked);
    free_requests(&store->flushed);
    free_requests(&store->running);
    mem_free(store->batches);
    free_items(store->loading.items, store->loading.count);
    mem_free(store);
    return NULL;
}

static struct request *request_new(struct store *store, void *ctx)
{
    struct request *request = mem_zalloc(sizeof(*request));
    request->ctx = ctx;
    list_append(&store->asked, &request->link);
    return request;
}

void store_set_leader(struct store *store, const char *znode)
{
    if (store->backend->set_leader != NULL)
        store->backend->set_leader(store->place, znode);
}

void store_set_synced(struct store *store, bool is_synced)
{
    if (store->backend->set_synced != NULL)
        store->backend->set_synced(store->place, is_synced);
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
    return !list_is_empty(&store->asked);
}

// ---- flushing ----

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

void store_backend_item(struct store *store, const struct store_item *item)
{
    note_item(&store->loading, item);
}

static int compare_items(const void *a, const void *b)
{
    return strcmp(((const struct store_item *)a)->key, ((const struct store_item *)b)->key);
}

static void move_all(struct list *from, struct list *to)
{
    while (!list_is_empty(from)) {
        struct list *first = from->next;
        list_remove(first);
        list_append(to, first);
    }
}

// Moves what stands at the front of `flushed` to `running`: one load, or the batches up to the next
// load. Says which.
static bool take_front(struct store *store)
{
    while (!list_is_empty(&store->flushed)) {
        struct request *request = LIST_ENTRY(store->flushed.next, struct request, link);
        if (request->loaded != NULL && store->batch_count > 0) {
            break;
        }
        list_remove(&request->link);
        list_append(&store->running, &request->link);
        if (request->loaded != NULL) {
            return true;
        }
        store->batches =
            mem_realloc_array(store->batches, store->batch_count + 1, sizeof(store->batches[0]));
        store->batches[store->batch_count++] = request->batch;
    }
    return false;
}

// Reports what is running; `store->failure` says how it went.
static void report(struct store *store)
{
    int r = store->failure.code;
    const struct error *err = r == 0 ? NULL : &store->failure;
    struct loading loading = store->loading;
    store->loading = (struct loading){0};
    mem_free(store->batches);
    store->batches = NULL;
    store->batch_count = 0;
    struct list done = LIST_INIT(done);
    move_all(&store->running, &done);
    store->is_busy = false;
    LIST_FOREACH (&done, struct request, link, request) {
        if (request->loaded != NULL) {
            if (loading.count > 0) {
                qsort(loading.items, loading.count, sizeof(loading.items[0]), compare_items);
            }
            request->loaded(request->ctx, r, loading.items, r == 0 ? loading.count : 0, err);
        } else if (request->durable != NULL) {
            request->durable(request->ctx, r, err);
        }
        request_free(request);
    }
    free_items(loading.items, loading.count);
}

static void run(struct store *store, bool is_load)
{
    const struct store_backend *backend = store->backend;
    store->is_busy = true;
    if (store->failure.code != 0) {
        report(store);
    } else if (is_load && backend->begin_walk != NULL) {
        backend->begin_walk(store->place, store);
    } else if (!is_load && backend->begin_commit != NULL) {
        backend->begin_commit(store->place, store, store->batches, store->batch_count);
    } else {
        int r = is_load ? backend->walk(store->place, note_item, &store->loading, &store->failure)
                        : backend->commit(store->place, store->batches, store->batch_count,
                                          &store->failure);
        store->failure.code = r;
        report(store);
    }
}

// Runs what was flushed, until a place does not answer at once.
static void proceed(struct store *store)
{
    while (!store->is_busy && !list_is_empty(&store->flushed)) {
        run(store, take_front(store));
    }
}

void store_flush(struct store *store)
{
    CHECK(!store->is_flushing);
    store->is_flushing = true;
    move_all(&store->asked, &store->flushed);
    proceed(store);
    store->is_flushing = false;
}

void store_backend_done(struct store *store, int result, const struct error *err)
{
    CHECK(store->is_busy && !store->is_flushing);
    if (result < 0) {
        store->failure = *err;
        store->failure.code = result;
    }
    store->is_flushing = true;
    report(store);
    proceed(store);
    store->is_flushing = false;
}
