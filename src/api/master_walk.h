// SPDX-License-Identifier: Apache-2.0
//
// A snapshot of the master's records, read in pieces (see master_snapshot_begin of
// src/master/records.h): a walk over all of them that can stop after each, goes on when the master
// has changed meanwhile, and is told of what changes before it gets there.

#pragma once

#include "api/master_internal.h"

struct master_walk;

// Gets each record once. Of a framework: itself, and then its tasks.
typedef void master_visit_fn(void *ctx, enum master_record kind, void *record);

// Begins a snapshot; there may be no other. `kinds`: bits of 1 << enum master_record; the others
// are left out. `framework_id`: of frameworks and tasks, only those (NULL: all).
struct master_walk *master_walk_new(struct master *m, unsigned kinds, const char *framework_id,
                                    master_visit_fn *visit, void *ctx);
// Goes on for about so long. True: all were visited.
bool master_walk_step(struct master_walk *w, int64_t budget_ns);
// Of ops->before_change.
void master_walk_visit(struct master_walk *w, enum master_record kind, void *record);
// Ends the snapshot. NULL is fine; returns NULL.
struct master_walk *master_walk_free(struct master_walk *w);
