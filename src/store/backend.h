// SPDX-License-Identifier: Apache-2.0
//
// What stands behind a store: a place that keeps keys and values. store.c keeps the order of what
// was asked for and calls these from store_flush only.

#pragma once

#include <stddef.h>

#include "base/error.h"
#include "store/store.h"

struct store_batch {
    struct store_item *items;
    size_t count;
};

struct store_backend {
    // A place that answers later has begin_commit and begin_walk in place of commit and walk: they
    // start the work, and store_backend_item and then store_backend_done tell what came of it,
    // from the loop. Nothing else is begun in between. The batches stay where they are until then.
    void (*begin_commit)(void *place, struct store *store, const struct store_batch *batches,
                         size_t count);
    void (*begin_walk)(void *place, struct store *store);
    // Makes the batches durable, all or none, in this order.
    int (*commit)(void *place, const struct store_batch *batches, size_t count, struct error *err);
    // Calls `item` for each key in order (strcmp); its arguments are valid during the call.
    int (*walk)(void *place, void (*item)(void *ctx, const struct store_item *item), void *ctx,
                struct error *err);
    // store_set_leader. NULL: the place is ours alone.
    void (*set_leader)(void *place, const char *znode);
    // store_set_synced. NULL: all the same.
    void (*set_synced)(void *place, bool is_synced);
    void (*free)(void *place);
};

// One item of a walk; they need not come in order.
void store_backend_item(struct store *store, const struct store_item *item);
// `result` is 0, or a negative code with its text in `err`. Runs the callbacks that are due, and
// begins what was asked for meanwhile.
void store_backend_done(struct store *store, int result, const struct error *err);

// SQLite's: it answers at once, on the thread that calls. Freed by the backend's `free`.
int sqlite_place_open(const char *path, void **ret_place, const struct store_backend **ret_backend,
                      struct error *err);

struct store *store_new(const struct store_backend *backend, void *place);
