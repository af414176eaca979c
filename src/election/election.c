// SPDX-License-Identifier: Apache-2.0
//
// Contending and watching. What is wanted follows from flags, not from a script: after each answer
// and event `advance` looks what is missing and asks for it, so that an answer that was lost is
// asked for again with the next connection.
//
//   candidate:  make the path -> create the znode -+
//   watcher:    ------------------------------------+-> list -> read the lowest -> tell
//
// The lowest candidate is ourselves when its znode belongs to our session. A create whose answer
// was lost may leave two znodes of one session, which does no harm.

#include "election/election.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/text.h"
#include "store/zk.h"
#include "wire/wire.h"

#define ELECTION_MAGIC 0x656c6563u
#define CANDIDATE_PREFIX "json.info_"
#define RETRY_NS (1 * NS_PER_S)

enum { NUMBER_DIGITS = 10 };

struct election {
    uint32_t magic;
    struct env *env;
    struct election_callbacks callbacks;
    void *ctx;
    struct zk *zk; // NULL: standalone
    struct zk_url url;
    struct arena *arena;                    // of candidate
    const Mesos__V1__MasterInfo *candidate; // NULL: only watches
    struct buf candidate_json;
    size_t path_done;  // bytes of url.path that are known to exist
    char *own_name;    // of our znode; NULL: none yet
    char *lowest_name; // whom we told of last, or NULL
    char *asked_name;  // whose znode is being read
    bool is_self;      // that one is ours
    bool is_pending;   // an answer is awaited
    bool list_wanted;
    bool failed;
    bool wants_peers;
    struct map peers; // name of a znode -> "host:port"; "" when it cannot be read; NULL: not yet
    char *asked_peer; // whose znode is being read, or NULL
    struct arena *leader_arena;
    struct timer retry;
    struct env_hook hook;
};

int64_t election_candidate_number(const char *name)
{
    if (!text_starts_with(name, CANDIDATE_PREFIX))
        return -1;
    const char *digits = name + strlen(CANDIDATE_PREFIX);
    int64_t number;
    if (strlen(digits) != NUMBER_DIGITS || strspn(digits, "0123456789") != NUMBER_DIGITS ||
        text_parse_i64(digits, &number, NULL) < 0)
        return -1;
    return number;
}

bool election_is_url(const char *text)
{
    return zk_url_is(text);
}

bool election_address(const Mesos__V1__MasterInfo *master, char ret_host[256], uint16_t *ret_port)
{
    uint32_t port = master->port;
    const char *host = NULL;
    char ip[INET_ADDRSTRLEN];
    if (master->address != NULL) {
        host = master->address->ip != NULL ? master->address->ip : master->address->hostname;
        port = (uint32_t)master->address->port;
    }
    if (host == NULL && master->ip != 0)
        host = inet_ntop(AF_INET, &master->ip, ip, sizeof(ip));
    if (host == NULL)
        host = master->hostname;
    if (host == NULL || host[0] == '\0' || strlen(host) >= 256 || port == 0 || port > 65535)
        return false;
    snprintf(ret_host, 256, "%s", host);
    *ret_port = (uint16_t)port;
    return true;
}

bool election_put_znode(const struct election *e, struct buf *out)
{
    if (e->zk == NULL || !e->is_self)
        return false;
    buf_printf(out, "%s/%s", e->url.path, e->lowest_name);
    return true;
}

static void advance(struct election *e);

static void touch(struct election *e)
{
    env_at_turn_end(e->env, &e->hook);
}

static void fail(struct election *e, const struct error *why)
{
    if (e->failed)
        return;
    e->failed = true;
    e->callbacks.on_failed(e->ctx, why);
}

static void tell(struct election *e, const char *name, const Mesos__V1__MasterInfo *leader,
                 bool is_self)
{
    char *copy = mem_strdup(name);
    mem_free(e->lowest_name);
    e->lowest_name = copy;
    e->is_self = is_self;
    e->callbacks.on_leader(e->ctx, leader, is_self);
}

// Something went wrong that a later try may find better. A lost connection brings its own event.
static void try_later(struct election *e, int rc, const char *what)
{
    if (rc != ZCONNECTIONLOSS && rc != ZOPERATIONTIMEOUT && rc != ZSESSIONEXPIRED) {
        struct error err;
        zk_fail(rc, what, &err);
        log_warning("%s; trying again", err.text);
    }
    env_timer_set(e->env, &e->retry, RETRY_NS);
}

// Begins the handling of an answer: false when there is nothing to handle.
static bool take_answer(int rc, const void *data, struct election **ret_election)
{
    if (rc == ZCLOSING)
        return false;
    struct election *e = CHECK_CAST(election, ELECTION_MAGIC, (void *)(uintptr_t)data);
    e->is_pending = false;
    touch(e); // a watch may have fired meanwhile
    *ret_election = e;
    return true;
}

// After zoo_a...: `rc` is not ZOK when the request was not even queued.
static void asked(struct election *e, int rc)
{
    e->is_pending = rc == ZOK;
    if (rc != ZOK)
        env_timer_set(e->env, &e->retry, RETRY_NS);
    zk_touch(e->zk);
}

// ---- the path ----

static void path_part_is_there(int rc, const char *value, const void *data)
{
    (void)value;
    struct election *e;
    if (!take_answer(rc, data, &e))
        return;
    if (rc == ZOK || rc == ZNODEEXISTS) {
        const char *next = strchr(e->url.path + e->path_done + 1, '/');
        e->path_done = next != NULL ? (size_t)(next - e->url.path) : strlen(e->url.path);
        return;
    }
    if (rc == ZNOAUTH || rc == ZINVALIDACL) {
        struct error err;
        zk_fail(rc, "create the path of --zk in ZooKeeper", &err);
        fail(e, &err);
        return;
    }
    try_later(e, rc, "create the path of --zk in ZooKeeper");
}

// The first part of the path that is not known to exist; mem_free.
static char *next_part(const struct election *e)
{
    const char *next = strchr(e->url.path + e->path_done + 1, '/');
    return next != NULL ? mem_strndup(e->url.path, (size_t)(next - e->url.path))
                        : mem_strdup(e->url.path);
}

static void path_part_was_looked_for(int rc, const struct Stat *stat, const void *data)
{
    (void)stat;
    struct election *e;
    if (rc != ZNONODE) {
        path_part_is_there(rc, NULL, data);
        return;
    }
    if (!take_answer(rc, data, &e))
        return;
    AUTO_FREE char *part = next_part(e);
    asked(e, zoo_acreate(zk_handle(e->zk), part, "", 0, zk_acl(e->zk), 0, path_part_is_there, e));
}

static void make_path(struct election *e)
{
    AUTO_FREE char *part = next_part(e);
    asked(e, zoo_aexists(zk_handle(e->zk), part, 0, path_part_was_looked_for, e));
}

// ---- contending ----

static void candidate_is_created(int rc, const char *value, const void *data)
{
    struct election *e;
    if (!take_answer(rc, data, &e))
        return;
    if (rc == ZOK) {
        const char *slash = strrchr(value, '/');
        mem_free(e->own_name);
        e->own_name = mem_strdup(slash != NULL ? slash + 1 : value);
        e->list_wanted = true;
        log_info("Contending for leadership as %s", value);
    } else if (rc == ZNONODE) {
        e->path_done = 0; // somebody removed the path
    } else if (rc == ZNOAUTH || rc == ZINVALIDACL) {
        struct error err;
        zk_fail(rc, "contend for leadership", &err);
        fail(e, &err);
    } else {
        try_later(e, rc, "contend for leadership");
    }
}

static void contend(struct election *e)
{
    AUTO_FREE char *path = mem_printf("%s/" CANDIDATE_PREFIX, e->url.path);
    asked(e,
          zoo_acreate(zk_handle(e->zk), path, e->candidate_json.data, (int)e->candidate_json.size,
                      zk_acl(e->zk), ZOO_EPHEMERAL | ZOO_SEQUENCE, candidate_is_created, e));
}

// ---- watching ----

static void candidates_changed(zhandle_t *handle, int type, int state, const char *path, void *ctx)
{
    (void)handle;
    (void)state;
    (void)path;
    if (type == ZOO_SESSION_EVENT)
        return; // told by zk.h as well
    struct election *e = CHECK_CAST(election, ELECTION_MAGIC, ctx);
    e->list_wanted = true;
    touch(e);
}

static void leader_was_read(int rc, const char *value, int size, const struct Stat *stat,
                            const void *data);

// ---- the other masters ----

static void free_peers(struct election *e)
{
    MAP_FOREACH (&e->peers, entry)
        mem_free(entry->value);
    map_free(&e->peers);
}

// Those that came are read one after another, when there is nothing more urgent to do.
static void note_peers(struct election *e, const struct String_vector *names)
{
    struct map peers = MAP_INIT;
    for (int32_t i = 0; i < names->count; i++) {
        if (election_candidate_number(names->data[i]) >= 0)
            map_put(&peers, names->data[i], map_remove(&e->peers, names->data[i]));
    }
    free_peers(e);
    e->peers = peers;
}

static void peer_was_read(int rc, const char *value, int size, const struct Stat *stat,
                          const void *data)
{
    (void)stat;
    struct election *e;
    if (!take_answer(rc, data, &e))
        return;
    AUTO_FREE char *name = TAKE_PTR(e->asked_peer);
    if (name == NULL || !map_has(&e->peers, name))
        return; // it went meanwhile
    if (rc != ZOK && rc != ZNONODE && rc != ZNOAUTH) {
        try_later(e, rc, "read the znode of a master");
        return;
    }
    AUTO_ARENA struct arena *arena = arena_new(1024, 0);
    ProtobufCMessage *message;
    char *address = NULL;
    if (rc == ZOK && wire_json_decode(&mesos__v1__master_info__descriptor, arena, value,
                                      size > 0 ? (size_t)size : 0, &message, NULL) == 0) {
        const Mesos__V1__MasterInfo *info = (const Mesos__V1__MasterInfo *)message;
        char host[256];
        uint16_t port;
        if (info->hostname != NULL && info->hostname[0] != '\0')
            address = mem_printf("%s:%u", info->hostname, (unsigned)info->port);
        else if (election_address(info, host, &port))
            address = mem_printf("%s:%u", host, (unsigned)port);
    }
    mem_free(map_put(&e->peers, name, address != NULL ? address : mem_strdup("")));
}

static void read_peer(struct election *e)
{
    MAP_FOREACH (&e->peers, entry) {
        if (entry->value != NULL)
            continue;
        mem_free(e->asked_peer);
        e->asked_peer = mem_strdup(entry->key);
        AUTO_FREE char *path = mem_printf("%s/%s", e->url.path, e->asked_peer);
        asked(e, zoo_aget(zk_handle(e->zk), path, 0, peer_was_read, e));
        return;
    }
}

void election_walk_peers(const struct election *e, void (*visit)(void *ctx, const char *address),
                         void *ctx)
{
    MAP_FOREACH (&e->peers, entry) {
        const char *address = entry->value;
        if (address != NULL && address[0] != '\0')
            visit(ctx, address);
    }
}

// ---- the list ----

static void note_list(struct election *e, const struct String_vector *names)
{
    if (e->wants_peers)
        note_peers(e, names);
    const char *lowest = NULL;
    bool has_own = false;
    for (int32_t i = 0; i < names->count; i++) {
        const char *name = names->data[i];
        int64_t number = election_candidate_number(name);
        has_own = has_own || text_is_equal(name, e->own_name);
        if (number >= 0 && (lowest == NULL || number < election_candidate_number(lowest)))
            lowest = name;
    }
    if (e->own_name != NULL && !has_own) {
        log_warning("Our candidate %s was removed from ZooKeeper", e->own_name);
        mem_free(e->own_name);
        e->own_name = NULL;
        // Others may lead before the next candidate of ours does: what we knew as leader is old.
        if (e->is_self)
            tell(e, NULL, NULL, false);
    }
    if (lowest == NULL) {
        if (e->lowest_name != NULL)
            tell(e, NULL, NULL, false);
        return;
    }
    if (text_is_equal(lowest, e->lowest_name))
        return;
    mem_free(e->asked_name);
    e->asked_name = mem_strdup(lowest);
    AUTO_FREE char *path = mem_printf("%s/%s", e->url.path, lowest);
    asked(e, zoo_aget(zk_handle(e->zk), path, 0, leader_was_read, e));
    if (!e->is_pending)
        e->list_wanted = true;
}

static void candidates_were_listed(int rc, const struct String_vector *names, const void *data)
{
    struct election *e;
    if (!take_answer(rc, data, &e))
        return;
    if (rc == ZOK) {
        note_list(e, names);
        return;
    }
    e->list_wanted = true;
    if (rc == ZNOAUTH) {
        struct error err;
        zk_fail(rc, "list the masters", &err);
        fail(e, &err);
        return;
    }
    if (rc == ZNONODE) {
        // No master ever was here; masters make the path.
        e->path_done = 0;
        if (e->lowest_name != NULL)
            tell(e, NULL, NULL, false);
        env_timer_set(e->env, &e->retry, RETRY_NS);
        return;
    }
    try_later(e, rc, "list the masters");
}

static void list(struct election *e)
{
    e->list_wanted = false;
    asked(e, zoo_awget_children(zk_handle(e->zk), e->url.path, candidates_changed, e,
                                candidates_were_listed, e));
    if (!e->is_pending)
        e->list_wanted = true;
}

static void note_leader(struct election *e, const char *value, int size, const struct Stat *stat)
{
    struct arena *arena = arena_new(1024, 0);
    ProtobufCMessage *message;
    struct error err = {0};
    int r = wire_json_decode(&mesos__v1__master_info__descriptor, arena, value,
                             size > 0 ? (size_t)size : 0, &message, &err);
    if (r < 0) {
        log_error("The leading master's znode %s cannot be read: %s", e->asked_name, err.text);
        arena_free(arena);
        env_timer_set(e->env, &e->retry, RETRY_NS);
        e->list_wanted = true;
        return;
    }
    bool is_self = e->candidate != NULL && stat->ephemeralOwner == zk_session_id(e->zk);
    struct arena *old = e->leader_arena;
    e->leader_arena = arena;
    tell(e, e->asked_name, (Mesos__V1__MasterInfo *)message, is_self);
    arena_free(old);
}

static void leader_was_read(int rc, const char *value, int size, const struct Stat *stat,
                            const void *data)
{
    struct election *e;
    if (!take_answer(rc, data, &e))
        return;
    if (rc == ZOK) {
        note_leader(e, value, size, stat);
        return;
    }
    e->list_wanted = true;
    // ZNONODE: it went between the list and now.
    if (rc != ZNONODE)
        try_later(e, rc, "read the leading master");
}

static void advance(struct election *e)
{
    if (e->failed || e->is_pending || timer_is_set(&e->retry) || !zk_is_connected(e->zk))
        return;
    if (e->candidate != NULL && e->path_done < strlen(e->url.path))
        make_path(e);
    else if (e->candidate != NULL && e->own_name == NULL)
        contend(e);
    else if (e->list_wanted)
        list(e);
    else
        read_peer(e);
}

// ---- life ----

static void on_zk_event(void *ctx, enum zk_event event)
{
    struct election *e = CHECK_CAST(election, ELECTION_MAGIC, ctx);
    if (event == ZK_REFUSED) {
        struct error err;
        error_set(&err, -EACCES, "ZooKeeper refused the credentials of the URL");
        fail(e, &err);
    } else if (event == ZK_EXPIRED) {
        e->is_pending = false;
        e->list_wanted = true;
        mem_free(e->own_name);
        e->own_name = NULL;
        if (e->is_self)
            tell(e, NULL, NULL, false);
    } else if (event == ZK_CONNECTED) {
        env_timer_cancel(e->env, &e->retry);
        touch(e);
    }
}

static void retry_is_due(struct timer *timer, struct instant now)
{
    (void)now;
    touch(CONTAINER_OF(timer, struct election, retry));
}

static void hook_is_due(struct env_hook *hook, struct instant now)
{
    (void)now;
    struct election *e = CONTAINER_OF(hook, struct election, hook);
    CHECK(e->magic == ELECTION_MAGIC);
    if (e->zk != NULL)
        advance(e);
    else
        tell(e, "", e->candidate, true);
}

int election_new(struct env *env, const struct election_options *options,
                 const struct election_callbacks *callbacks, void *ctx,
                 struct election **ret_election, struct error *err)
{
    CHECK(options->url != NULL || options->candidate != NULL);
    struct zk_url url = {0};
    int r = options->url != NULL ? zk_url_parse(options->url, &url, err) : 0;
    if (r < 0)
        return r;
    struct election *e = mem_zalloc(sizeof(*e));
    e->magic = ELECTION_MAGIC;
    e->env = env;
    e->callbacks = *callbacks;
    e->ctx = ctx;
    e->url = url;
    e->list_wanted = true;
    e->wants_peers = options->wants_peers;
    e->retry.run = retry_is_due;
    e->hook.run = hook_is_due;
    list_init(&e->hook.link);
    if (options->candidate != NULL) {
        e->arena = arena_new(1024, 0);
        e->candidate = WIRE_COPY(e->arena, Mesos__V1__MasterInfo, options->candidate);
        wire_json_encode(&e->candidate->base, &e->candidate_json);
    }
    if (options->url != NULL)
        e->zk = zk_new(env, &e->url, options->session_timeout_ns, on_zk_event, e);
    else
        touch(e);
    *ret_election = e;
    return 0;
}

struct election *election_free(struct election *e)
{
    if (e == NULL)
        return NULL;
    CHECK(e->magic == ELECTION_MAGIC);
    zk_free(e->zk);
    env_timer_cancel(e->env, &e->retry);
    env_hook_cancel(&e->hook);
    zk_url_free(&e->url);
    arena_free(e->arena);
    arena_free(e->leader_arena);
    buf_free(&e->candidate_json);
    mem_free(e->own_name);
    mem_free(e->lowest_name);
    mem_free(e->asked_name);
    mem_free(e->asked_peer);
    free_peers(e);
    e->magic = 0;
    mem_free(e);
    return NULL;
}
