// SPDX-License-Identifier: Apache-2.0
//
// Walks the lists in a big protobuf message, an item at a time: an answer with the tasks of a whole
// cluster may be larger than what is decoded in one piece, and need not be in memory as messages at
// once.

#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/error.h"

struct cli_walk_list {
    unsigned number; // of the repeated field
    const ProtobufCMessageDescriptor *descriptor;
};

// `path`: numbers of the message fields that lead to the one with the lists, ended by 0. Each item
// is decoded into `arena`, which is reset after it. -EREMOTEIO when something cannot be read.
int cli_walk(const void *data, size_t size, const unsigned *path, const struct cli_walk_list *lists,
             size_t list_count, struct arena *arena,
             void (*on_item)(void *ctx, unsigned number, const ProtobufCMessage *item), void *ctx,
             struct error *err);
// How many items of that field there are behind the path.
size_t cli_walk_count(const void *data, size_t size, const unsigned *path, unsigned number);
