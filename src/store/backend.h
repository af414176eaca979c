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
    // Makes the batches durable, all or none, in this order.
    int (*commit)(void *place, const struct store_batch *batches, size_t count, struct error *err);
    // Calls `item` for each key in order (strcmp); its arguments are valid during the call.
    int (*walk)(void *place, void (*item)(void *ctx, const struct store_item *item), void *ctx,
                struct error *err);
    void (*free)(void *place);
};

struct store *store_new(const struct store_backend *backend, void *place);
