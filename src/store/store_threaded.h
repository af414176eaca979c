// SPDX-License-Identifier: Apache-2.0
//
// The store in an SQLite file, for a daemon that must not stand still while its disk does: a thread
// of its own reads and writes. Apart from store.h since it needs the loop.

#pragma once

#include <stdint.h>

#include "env/env.h"
#include "store/store.h"

struct store_threaded_options {
    const char *path;
    int64_t fetch_timeout_ns; // for a load
    // For what one flush writes. While the disk is full it is tried again and again, so long.
    int64_t store_timeout_ns;
};

// As store_sqlite_open, which it does on the caller's thread. -ETIMEDOUT: the disk took too long.
int store_threaded_open(struct env *env, const struct store_threaded_options *options,
                        struct store **ret_store, struct error *err);
