// SPDX-License-Identifier: Apache-2.0
//
// Snapshots taken while a story goes on: what the walk was given, bit by bit, must be what the
// records were at the moment when it began.

#pragma once

#include "world.h"

struct snapshot;

// Begins one when there is none, goes on with it, or finds at its end that nothing was left out.
struct snapshot *snapshot_step(struct snapshot *s, struct world *w);
// Drops one that is not at its end. NULL is fine; returns NULL.
struct snapshot *snapshot_drop(struct snapshot *s);
// Those that came to their end.
extern size_t snapshot_count;
// Records that were written because they were about to change.
extern size_t snapshot_before_count;
