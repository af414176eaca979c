// SPDX-License-Identifier: Apache-2.0
//
// The store in ZooKeeper, apart from store.h since it needs the loop. What it means to be its owner
// is said in zookeeper.c.

#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "env/env.h"
#include "store/store.h"

struct store_zookeeper_options {
    const char *url; // "zk://...", "file://..."
    int64_t session_timeout_ns;
    int64_t fetch_timeout_ns; // for a load
    int64_t store_timeout_ns; // for what one flush writes
    bool must_exist;          // a load fails with -ENOENT where no store ever was
};

// Connects at once. The first load takes the store over from whoever had it, if the znode that
// store_set_leader named is there at that moment: else it fails with -ESTALE. It may not be asked
// for before store_set_leader, nor may anything be applied before it. When somebody else takes it
// over later, the next write fails with -ESTALE, as nothing of it was written. -ETIMEDOUT: no
// answer in time. -EINVAL: the URL cannot be read.
int store_zookeeper_new(struct env *env, const struct store_zookeeper_options *options,
                        struct store **ret_store, struct error *err);
