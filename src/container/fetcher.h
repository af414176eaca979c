// SPDX-License-Identifier: Apache-2.0
//
// Fetches a command's URIs into a sandbox before it starts. The transfers happen in a child,
// mesos-fetcher, as the container's user; the agent keeps the books of the cache: who may write
// which cache file, how much space is left, who waits for whose download.
//
// The cache lies in <cache_dir>/<user>/ and belongs to that user, so that no one reads another's
// files. An entry is pending while one fetch downloads it; others that want it wait, and get it or,
// when it failed, fetch for themselves. An entry's space is reserved when the child has learned the
// size; what does not fit goes into the sandbox directly.

#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "container/user.h"
#include "env/env.h"
#include "proto/mesos.pb-c.h"

struct fetcher_options {
    const char *launcher_dir; // where mesos-fetcher is
    const char *cache_dir;
    uint64_t cache_size;         // bytes
    int64_t stall_timeout_ns;    // a transfer that stands still for so long fails
    const char *frameworks_home; // for relative paths, or NULL
};

struct fetcher_metrics {
    uint64_t succeeded, failed, cache_size_total, cache_size_used;
};

struct fetch_request {
    const char *container_id;
    const char *sandbox;
    Mesos__V1__CommandInfo__URI *const *uris; // must stay until it is done or cancelled
    size_t uri_count;
    const char *user_name;    // names the cache's directory; NULL: the agent's own
    const struct user *user;  // to run as; NULL: the agent's own; must stay as well
    int stdout_fd, stderr_fd; // kept open by the caller until it is done
};

struct fetcher;
struct fetch;

// Empties what an earlier agent left in the cache directory.
struct fetcher *fetcher_new(struct env *env, const struct fetcher_options *options);
// Cancels what still runs.
struct fetcher *fetcher_free(struct fetcher *fetcher);
void fetcher_get_metrics(const struct fetcher *fetcher, struct fetcher_metrics *ret);

// `on_done` is called once, never from within a call: with NULL, or with what went wrong. A
// negative code: refused (a malformed URI or output file), and on_done is not called.
int fetcher_fetch(struct fetcher *fetcher, const struct fetch_request *request,
                  void (*on_done)(void *ctx, const char *failure), void *ctx,
                  struct fetch **ret_fetch, struct error *err);
// Kills the child; on_done will not be called.
void fetch_cancel(struct fetch *fetch);
