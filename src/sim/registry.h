// SPDX-License-Identifier: Apache-2.0
//
// The book of what is durable, kept where it becomes so: at the disk and at ZooKeeper's leader.
// A master that lost leadership changes nothing there; what a master was told to be durable is; and
// what a new leader reads is all of it.

#pragma once

#include "master/master.h"
#include "sim/zoo.h"

struct registry {
    struct map committed; // "key\nhash of the value", of all that ever was durable
    struct map keys;      // likewise, the keys alone
    uint64_t owner;       // process that took it over last, in ZooKeeper
};

void registry_free(struct sim *sim);
// `process` asked for the transaction, which is sound and about to be applied.
void registry_zoo_changes(struct sim *sim, const struct zoo_txn *txn, uint64_t process);
void registry_disk_changes(struct sim *sim, const char *key, const void *value, size_t size);
// A master is told that this is durable.
void registry_told(struct sim *sim, const char *key, const void *value, size_t size);
// Whether an entry of that key ever was durable.
bool registry_ever_had(const struct sim *sim, const char *key);
// What a process has read in ZooKeeper after it took the registry over.
void registry_read(struct sim *sim, uint64_t process, const struct master_item *items,
                   size_t count);
