// SPDX-License-Identifier: Apache-2.0
//
// Who leads. One interface for masters, which contend, and for everybody else, who only watches:
// standalone (the candidate leads, at once and for ever) and ZooKeeper, with Mesos' znodes: each
// candidate has an ephemeral sequential `json.info_NNNNNNNNNN` beneath the URL's path, with its
// MasterInfo as JSON; the lowest number leads.
//
// Watchers keep the leader that they know while ZooKeeper is away: it is told anew only when it
// changed. A candidate that led and whose session expired leads no more, whatever comes: the
// program should end.

#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "env/env.h"
#include "proto/mesos.pb-c.h"

struct election;

struct election_callbacks {
    // The leader changed. NULL: there is none. `is_self`: the candidate of this election leads.
    // The message is valid until the next call of this callback.
    void (*on_leader)(void *ctx, const Mesos__V1__MasterInfo *leader, bool is_self);
    // It can never work: wrong credentials, say. The last callback.
    void (*on_failed)(void *ctx, const struct error *why);
};

struct election_options {
    const char *url; // "zk://...", "file://..."; NULL: standalone, with a candidate
    int64_t session_timeout_ns;
    const Mesos__V1__MasterInfo *candidate; // NULL: only watch. Copied.
    bool wants_peers;                       // election_walk_peers is asked for
};

// Callbacks come from the loop, never from within a call here; election_free may not be called from
// a callback. -EINVAL: the URL cannot be read.
int election_new(struct env *env, const struct election_options *options,
                 const struct election_callbacks *callbacks, void *ctx,
                 struct election **ret_election, struct error *err);
// A candidate resigns: its znode goes. NULL is fine; returns NULL.
struct election *election_free(struct election *election);

// With wants_peers: every master that contends, ourselves among them, as "host:port". Standalone:
// none.
void election_walk_peers(const struct election *election,
                         void (*visit)(void *ctx, const char *address), void *ctx);

// Appends the path of the znode by which the candidate leads. False when it does not lead, or
// leads without ZooKeeper.
bool election_put_znode(const struct election *election, struct buf *out);

// Whether `text` (of --master, --zk) names a place where masters are to be looked for.
bool election_is_url(const char *text);
// Where to reach a master: its address as ip and port. False when the message has none.
bool election_address(const Mesos__V1__MasterInfo *master, char ret_host[256], uint16_t *ret_port);

// ---- for tests ----
// The candidate's number in a znode's name ("json.info_0000000012" is 12), or -1.
int64_t election_candidate_number(const char *name);
