// SPDX-License-Identifier: Apache-2.0
//
// A model of ZooKeeper: an ensemble of three servers, whose trees follow the leader's with some
// lag; sessions that expire when they were not heard of; ephemeral and sequential znodes; watches
// of children; versions, and multis that apply whole or not at all. Its clients are the real
// election and the real store, which call <zookeeper/zookeeper.h> and src/store/zk.h: zoo_client.c
// answers in the place of libzookeeper and zk.c. What is modelled are the sessions and the data,
// not how the servers agree: without two of three they serve nobody.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"
#include "base/timer.h"

struct sim;
struct end;

enum { ZOO_SERVERS = 3 };

// ---- what crosses the wire: zoo_wire.c ----

enum zoo_kind {
    ZOO_HELLO,     // client: session (0: a new one), last zxid, timeout; server: session, 0: gone
    ZOO_BYE,       // client: the session ends
    ZOO_SET_WATCH, // client: last zxid, path; after a connection was made anew
    ZOO_WATCH,     // server: zxid, path
    ZOO_CREATE,    // client: xid, path, data, flags; server: xid, zxid, rc, path
    ZOO_EXISTS,    // client: xid, path; server: xid, zxid, rc, stat
    ZOO_GET,       // client: xid, path; server: xid, zxid, rc, data, stat
    ZOO_CHILDREN,  // client: xid, path, watch; server: xid, zxid, rc, count, names
    ZOO_SET,       // client: xid, path, data, version; server: xid, zxid, rc, stat
    ZOO_MULTI,     // client: xid, count, operations; server: xid, zxid, rc, count, rc and stat each
    ZOO_SYNC,      // client: xid, path; server: xid, zxid, rc
    ZOO_CHECK_PART, // of a multi: path, version
    ZOO_DELETE_PART,
};

struct zoo_reader {
    const uint8_t *at;
    size_t left;
};

void zoo_put(struct buf *out, int64_t number);
void zoo_put_bytes(struct buf *out, const void *data, size_t size);
void zoo_put_text(struct buf *out, const char *text);
int64_t zoo_get(struct zoo_reader *in);
const void *zoo_get_bytes(struct zoo_reader *in, size_t *ret_size);
const char *zoo_get_text(struct zoo_reader *in); // points into what is read

// ---- trees: zoo_tree.c ----

struct znode {
    void *data;
    size_t size;
    size_t name_at;                             // in its path: behind the last '/'
    int64_t version, sequence, owner;           // owner: a session, or 0
    int64_t created, changed, children_changed; // zxids
};

struct zoo_tree {
    struct map nodes; // path -> struct znode
    int64_t zxid;     // of the last transaction
};

struct zoo_change {
    enum { ZNODE_CREATED, ZNODE_SET, ZNODE_DELETED } what;
    char *path;
    void *data;
    size_t size;
    int64_t owner;
};

struct zoo_txn {
    int64_t zxid;
    size_t count, refs;
    struct zoo_change *changes;
};

void zoo_tree_free(struct zoo_tree *tree);
void zoo_tree_apply(struct zoo_tree *tree, const struct zoo_txn *txn);
void zoo_put_parent(const char *path, struct buf *out);
// The next child of `parent` at or behind *position (start with 0); NULL: no more.
const char *zoo_next_child(const struct zoo_tree *tree, const char *parent, size_t *position);
// The path of the candidate that leads; NULL: none.
const char *zoo_lowest_candidate(const struct zoo_tree *tree);
struct zoo_txn *zoo_txn_new(size_t capacity); // with one reference
void zoo_txn_add(struct zoo_txn *txn, int what, const char *path, const void *data, size_t size,
                 int64_t owner);
struct zoo_txn *zoo_txn_unref(struct zoo_txn *txn);

// ---- the ensemble: zoo_server.c ----

struct zoo_server {
    struct sim *sim;
    size_t index;
    bool is_up;
    struct zoo_tree tree;
    struct list queue; // transactions that it has not applied yet
    struct timer apply;
    int64_t last_due;
    struct list doors;
};

struct zoo {
    struct zoo_server servers[ZOO_SERVERS];
    struct zoo_tree tree; // the leader's: what is committed
    struct list sessions;
    int64_t next_session;
    int64_t slow_until; // transactions take longer
};

void zoo_init(struct sim *sim);
void zoo_free(struct sim *sim);
void zoo_accept(struct sim *sim, size_t server, struct end *end);
bool zoo_server_crash(struct sim *sim, size_t server); // false: it is down already
// Somebody removes the leading candidate's znode by hand. False: there is none.
bool zoo_remove_candidate(struct sim *sim);
void zoo_server_start(struct sim *sim, size_t server);
// A ping of that session arrived.
void zoo_session_heard(struct sim *sim, int64_t session);
uint64_t zoo_session_process(struct sim *sim, int64_t session); // 0: it is no more
