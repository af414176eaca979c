// SPDX-License-Identifier: Apache-2.0
//
// Durable keys and values behind one interface: load all; apply a batch of puts and deletes; be
// told when it is durable. Batches become durable in the order in which they were applied, each as
// a whole. What was applied between two calls of store_flush may share one transaction.
//
// Whoever owns the loop calls store_flush at the end of a turn. Callbacks never run inside
// store_load or store_apply: they run inside store_flush (memory, SQLite) or later from the loop.
// After a failure the store is done for: that batch and all later ones report the same error, since
// nobody can know what is on the disk. One thread.

#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct store;

// One key with its value. In a batch, a NULL value deletes the key (one that is absent is fine).
struct store_item {
    const char *key;   // not empty; for instance "agents/S1"
    const void *value; // bytes; NULL deletes
    size_t size;       // of value
};

// The items of a load, ordered by key (strcmp); valid during the call only. `result` is 0 or a
// negative code; then `count` is 0 and `err` says why.
typedef void store_loaded_fn(void *ctx, int result, const struct store_item *items, size_t count,
                             const struct error *err);
// `result` is 0 once the batch is durable, or a negative code with its text in `err`.
typedef void store_durable_fn(void *ctx, int result, const struct error *err);

// Nothing survives the process.
struct store *store_memory_new(void);
// One file (and its -wal beside it), made when absent. Each flush is one transaction, synced.
int store_sqlite_open(const char *path, struct store **ret_store, struct error *err);
// Batches not yet flushed are dropped and their callbacks never run. NULL is fine; returns NULL.
struct store *store_free(struct store *store);

// For a place that several processes want: the path of the election's znode by which this process
// leads. A load takes the place over only while that znode is there. Others ignore it.
void store_set_leader(struct store *store, const char *znode);
// All that is stored, with the batches applied before this call. Items are copied.
void store_load(struct store *store, store_loaded_fn *loaded, void *ctx);
// Items are copied. A key may stand in a batch more than once: the last one counts. `durable` may
// be NULL. An empty batch is a barrier: it reports when all before it is durable.
void store_apply(struct store *store, const struct store_item *items, size_t count,
                 store_durable_fn *durable, void *ctx);
// Commits what was applied and runs the callbacks that are due, in order. What a callback applies
// is committed by the next flush. Costs nothing when nothing was asked for.
void store_flush(struct store *store);
// Whether what is flushed from now on must outlive the machine (as at first), or the process alone:
// a loss of power may undo flushes that were not synced, the last ones first. A synced flush makes
// all before it durable, too. Only SQLite makes a difference.
void store_set_synced(struct store *store, bool is_synced);
// True while a flush has work to do.
bool store_is_pending(const struct store *store);
