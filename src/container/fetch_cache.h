// SPDX-License-Identifier: Apache-2.0
//
// The books of the fetcher's cache: entries by user and URI, their space, and which may be evicted.
// It removes files, but starts nothing and waits for nothing.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/list.h"
#include "base/map.h"
#include "container/user.h"

struct fetch_cache {
    char *directory;
    uint64_t size_max, size_used;
    struct map entries; // key to entry
    struct list by_use; // least recently used first
    uint64_t next_serial;
};

struct fetch_entry {
    char *key;
    char *path;          // of its file
    uint64_t size;       // reserved or occupied
    unsigned references; // fetches that use it: not to be evicted
    bool is_pending;     // is being downloaded
    struct list use_link;
};

// Removes what an earlier run left: files of our own naming in the directories beneath.
void fetch_cache_init(struct fetch_cache *cache, const char *directory, uint64_t size_max);
void fetch_cache_free(struct fetch_cache *cache);

// The entry, most recently used now, or NULL. One whose file is gone or has another size is
// dropped.
struct fetch_entry *fetch_cache_get(struct fetch_cache *cache, const char *user, const char *uri);
// A new pending one; also makes the user's directory.
int fetch_cache_add(struct fetch_cache *cache, const char *user_name, const struct user *user,
                    const char *uri, struct fetch_entry **ret_entry, struct error *err);
// Makes room by evicting and takes it. False: there is not so much room.
bool fetch_cache_reserve(struct fetch_cache *cache, struct fetch_entry *entry, uint64_t size);
// The download is there: its true size counts. A negative code: it is not usable and was dropped.
int fetch_cache_settle(struct fetch_cache *cache, struct fetch_entry *entry);
void fetch_cache_drop(struct fetch_cache *cache, struct fetch_entry *entry);
