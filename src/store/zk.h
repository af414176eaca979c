// SPDX-License-Identifier: Apache-2.0
//
// A session with a ZooKeeper ensemble on our loop: libzookeeper's single-threaded flavour, polled
// by libuv. Connections that break are made anew by the library, to any server; a session that has
// expired is followed by a new one. Used by the ZooKeeper store and by src/election, which include
// <zookeeper/zookeeper.h> and issue their own zoo_a... calls on zk_handle.

#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <zookeeper/zookeeper.h>

#include "base/error.h"
#include "env/env.h"

// "zk://[user:password@]host1:port1,host2:port2/path", in parts.
struct zk_url {
    char *servers;     // "host1:port1,host2:port2"
    char *credentials; // "user:password", or NULL
    char *path;        // "/mesos": never "/", without a slash at its end
};

// Takes also "file:///path" whose content is such a URL. -EINVAL with a text fit for users, which
// does not repeat the password.
int zk_url_parse(const char *text, struct zk_url *ret_url, struct error *err);
void zk_url_free(struct zk_url *url);
// Whether `text` is, or by file:// leads to, a zk:// URL. False when the file cannot be read.
bool zk_url_is(const char *text);

enum zk_event {
    ZK_CONNECTED,    // to a server; the session is a new one after ZK_EXPIRED and at first
    ZK_DISCONNECTED, // the session may live on; requests that were under way failed
    ZK_EXPIRED,      // what the session held is gone; watches and requests were dropped
    ZK_REFUSED,      // the credentials: for good
};

struct zk;
typedef void zk_event_fn(void *ctx, enum zk_event event);

// Connects at once; events and completions come from the loop. `url` is copied.
struct zk *zk_new(struct env *env, const struct zk_url *url, int64_t session_timeout_ns,
                  zk_event_fn *on_event, void *ctx);
// Ends the session in good order when connected. Completions that are open run inside with
// ZCLOSING: they must touch nothing but their own `data`. Not from within a completion or event.
// NULL is fine; returns NULL.
struct zk *zk_free(struct zk *zk);

// For zoo_a... calls while connected; NULL while there is no session. Completions and watches never
// run inside such a call. zk_touch after it, so that it is sent at the turn's end. Completions get
// ZCLOSING also before ZK_EXPIRED.
zhandle_t *zk_handle(struct zk *zk);
void zk_touch(struct zk *zk);
bool zk_is_connected(const struct zk *zk);
int64_t zk_session_id(const struct zk *zk); // 0 while there is none
// What our znodes allow: with credentials everything to ourselves and reading to everybody, else
// everything to everybody.
const struct ACL_vector *zk_acl(const struct zk *zk);
// What the library said last, for error texts; "" when nothing.
const char *zk_last_trouble(void);
// The ensemble's answer `rc` (not ZOK) as a negative code, with ZooKeeper's text in `err`.
int zk_fail(int rc, const char *what, struct error *err);
