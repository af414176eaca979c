// SPDX-License-Identifier: Apache-2.0
//
// The ensemble. A server answers what reads from its own tree, which may lag behind; what writes
// goes to the leader, and is answered when the server has applied it, as is SYNC. The requests of a
// connection are answered in order. A session that was not heard of for its timeout is expired by
// the leader: its ephemeral znodes go in one transaction.

#include <stdio.h>
#include <string.h>
#include <zookeeper/zookeeper.h>

#include "sim/process.h"
#include "sim/registry.h"
#include "sim/zoo.h"

// A client's connection.
struct zoo_door {
    struct list link;
    struct zoo_server *server;
    struct end *end;
    struct zoo_session *session;
    struct list requests; // struct zoo_request
    bool is_forwarded;    // the first one is on its way to the leader, or back
    int64_t wanted_zxid;  // answer it when that is applied; 0: not known yet
    struct buf answer;
    struct timer forward;
    struct map watches; // paths
};

struct zoo_request {
    struct list link;
    size_t size;
    uint8_t data[];
};

struct zoo_session {
    struct list link;
    struct sim *sim;
    int64_t id, timeout_ns, heard;
    uint64_t process; // whose it is
    struct timer expiry;
    struct zoo_door *door; // or NULL
};

struct zoo_queued {
    struct list link;
    struct zoo_txn *txn;
    int64_t due;
};

static struct zoo *zoo_of(const struct zoo_server *s)
{
    return &s->sim->zoo;
}

static bool has_quorum(const struct zoo *zoo)
{
    size_t up = 0;
    for (size_t i = 0; i < ZOO_SERVERS; i++)
        up += zoo->servers[i].is_up;
    return up * 2 > ZOO_SERVERS;
}

static struct zoo_session *find_session(struct zoo *zoo, int64_t id)
{
    LIST_FOREACH (&zoo->sessions, struct zoo_session, link, session) {
        if (session->id == id)
            return session;
    }
    return NULL;
}

// ---- servers follow the leader ----

static void send_answer(struct zoo_door *door, const struct buf *answer)
{
    net_send(door->end, answer->data, answer->size);
}

static void fire_watches(struct zoo_server *s, const struct zoo_txn *txn)
{
    for (size_t i = 0; i < txn->count; i++) {
        if (txn->changes[i].what == ZNODE_SET)
            continue;
        AUTO_BUF struct buf parent = BUF_INIT;
        zoo_put_parent(txn->changes[i].path, &parent);
        LIST_FOREACH (&s->doors, struct zoo_door, link, door) {
            if (map_remove(&door->watches, parent.data) == NULL)
                continue;
            AUTO_BUF struct buf out = BUF_INIT;
            zoo_put(&out, ZOO_WATCH);
            zoo_put(&out, txn->zxid);
            zoo_put_text(&out, parent.data);
            send_answer(door, &out);
        }
    }
}

static void proceed(struct zoo_door *door);

static void arm_apply(struct zoo_server *s)
{
    if (!list_is_empty(&s->queue))
        timer_set(&s->sim->timers, &s->apply,
                  LIST_ENTRY(s->queue.next, struct zoo_queued, link)->due);
}

static void apply_first(struct zoo_server *s)
{
    struct zoo_queued *queued = LIST_ENTRY(s->queue.next, struct zoo_queued, link);
    list_remove(&queued->link);
    zoo_tree_apply(&s->tree, queued->txn);
    fire_watches(s, queued->txn);
    zoo_txn_unref(queued->txn);
    mem_free(queued);
}

static void apply_due(struct timer *timer, struct instant now)
{
    (void)now;
    struct zoo_server *s = CONTAINER_OF(timer, struct zoo_server, apply);
    apply_first(s);
    arm_apply(s);
    LIST_FOREACH (&s->doors, struct zoo_door, link, door)
        proceed(door);
}

static int64_t draw_lag(struct sim *sim)
{
    int64_t lag = draw_spread(sim, 100 * NS_PER_US, sim->config.zoo_lag_ns);
    int64_t slow = sim->zoo.slow_until - sim->now.mono;
    return slow > lag ? slow : lag;
}

// What was checked becomes a transaction; `process` asked for it (0: the leader itself).
static void commit(struct sim *sim, struct zoo_txn *txn, uint64_t process)
{
    struct zoo *zoo = &sim->zoo;
    txn->zxid = zoo->tree.zxid + 1;
    registry_zoo_changes(sim, txn, process);
    zoo_tree_apply(&zoo->tree, txn);
    for (size_t i = 0; i < ZOO_SERVERS; i++) {
        struct zoo_server *s = &zoo->servers[i];
        struct zoo_queued *queued = mem_zalloc(sizeof(*queued));
        int64_t due = sim->now.mono + draw_lag(sim);
        queued->txn = txn;
        txn->refs++;
        queued->due = s->last_due = due > s->last_due ? due : s->last_due;
        list_append(&s->queue, &queued->link);
        if (s->is_up && s->queue.next == &queued->link)
            arm_apply(s);
    }
    zoo_txn_unref(txn);
}

// ---- reading ----

static void put_stat(struct buf *out, const struct znode *node)
{
    zoo_put(out, node->version);
    zoo_put(out, node->owner);
    zoo_put(out, node->created);
    zoo_put(out, node->changed);
}

static void put_head(struct buf *out, int kind, int64_t xid, int64_t zxid, int rc)
{
    zoo_put(out, kind);
    zoo_put(out, xid);
    zoo_put(out, zxid);
    zoo_put(out, rc);
}

static void answer_children(struct zoo_door *door, const char *path, bool is_watched,
                            struct buf *out)
{
    const struct zoo_tree *tree = &door->server->tree;
    size_t count = 0, position = 0;
    const char *name;
    AUTO_BUF struct buf names = BUF_INIT;
    while ((name = zoo_next_child(tree, path, &position)) != NULL) {
        zoo_put_text(&names, name);
        count++;
    }
    zoo_put(out, (int64_t)count);
    if (count > 0)
        buf_append(out, names.data, names.size);
    if (is_watched)
        map_put(&door->watches, path, door);
}

static void answer_read(struct zoo_door *door, int kind, struct zoo_reader *in)
{
    const struct zoo_tree *tree = &door->server->tree;
    AUTO_BUF struct buf out = BUF_INIT;
    int64_t xid = zoo_get(in);
    const char *path = zoo_get_text(in);
    const struct znode *node = map_get(&tree->nodes, path);
    put_head(&out, kind, xid, tree->zxid, node != NULL ? ZOK : ZNONODE);
    if (node != NULL && kind == ZOO_CHILDREN) {
        answer_children(door, path, zoo_get(in) != 0, &out);
    } else if (node != NULL) {
        if (kind == ZOO_GET)
            zoo_put_bytes(&out, node->data, node->size);
        put_stat(&out, node);
    }
    send_answer(door, &out);
}

// ---- writing, at the leader ----

// One write, or a part of a multi.
struct zoo_part {
    int kind;
    const char *path; // in a sequential create, without the number
    const void *data;
    size_t size;
    int64_t version, flags;
};

static struct zoo_part read_part(int kind, struct zoo_reader *in)
{
    struct zoo_part part = {.kind = kind, .version = -1};
    part.path = zoo_get_text(in);
    if (kind == ZOO_CREATE || kind == ZOO_SET)
        part.data = zoo_get_bytes(in, &part.size);
    if (kind == ZOO_CREATE)
        part.flags = zoo_get(in);
    else
        part.version = zoo_get(in);
    return part;
}

// `made`: paths that earlier parts of the same multi make.
static int check_part(struct sim *sim, const struct zoo_part *part, const struct map *made)
{
    const struct map *nodes = &sim->zoo.tree.nodes;
    const struct znode *node = map_get(nodes, part->path);
    if (part->kind != ZOO_CREATE) {
        if (node == NULL)
            return ZNONODE;
        return part->version >= 0 && part->version != node->version ? ZBADVERSION : ZOK;
    }
    AUTO_BUF struct buf parent = BUF_INIT;
    zoo_put_parent(part->path, &parent);
    if (parent.data[0] != '\0' && !map_has(nodes, parent.data) && !map_has(made, parent.data))
        return ZNONODE;
    bool is_sequential = (part->flags & 2) != 0;
    return !is_sequential && (node != NULL || map_has(made, part->path)) ? ZNODEEXISTS : ZOK;
}

// Returns the path: of a sequential znode it is made here.
static const char *add_part(struct zoo_door *door, struct zoo_txn *txn, const struct zoo_part *part)
{
    struct sim *sim = door->server->sim;
    const char *path = part->path;
    int64_t owner = (part->flags & 1) != 0 ? door->session->id : 0;
    if (part->kind == ZOO_CREATE && (part->flags & 2) != 0) {
        AUTO_BUF struct buf parent = BUF_INIT;
        zoo_put_parent(path, &parent);
        const struct znode *node = map_get(&sim->zoo.tree.nodes, parent.data);
        path = arena_printf(sim->scratch, "%s%010lld", path, (long long)node->sequence);
    }
    if (part->kind == ZOO_CREATE)
        zoo_txn_add(txn, ZNODE_CREATED, path, part->data, part->size, owner);
    else if (part->kind == ZOO_SET)
        zoo_txn_add(txn, ZNODE_SET, path, part->data, part->size, 0);
    else if (part->kind == ZOO_DELETE_PART)
        zoo_txn_add(txn, ZNODE_DELETED, path, NULL, 0, 0);
    return path;
}

static void write_one(struct zoo_door *door, int kind, int64_t xid, struct zoo_reader *in)
{
    struct sim *sim = door->server->sim;
    struct zoo_tree *tree = &sim->zoo.tree;
    struct zoo_part part = read_part(kind, in);
    struct map none = MAP_INIT;
    int rc = check_part(sim, &part, &none);
    if (rc != ZOK) {
        put_head(&door->answer, kind, xid, tree->zxid, rc);
        return;
    }
    struct zoo_txn *txn = zoo_txn_new(1);
    const char *path = add_part(door, txn, &part);
    commit(sim, txn, door->session->process);
    put_head(&door->answer, kind, xid, tree->zxid, ZOK);
    if (kind == ZOO_CREATE)
        zoo_put_text(&door->answer, path);
    else
        put_stat(&door->answer, map_get(&tree->nodes, path));
}

static void write_multi(struct zoo_door *door, int64_t xid, struct zoo_reader *in)
{
    struct sim *sim = door->server->sim;
    struct zoo_tree *tree = &sim->zoo.tree;
    size_t count = (size_t)zoo_get(in), failed = count;
    struct zoo_part *parts = arena_calloc(sim->scratch, count, sizeof(*parts));
    struct map made = MAP_INIT;
    int rc = ZOK;
    for (size_t i = 0; i < count; i++) {
        int kind = (int)zoo_get(in);
        parts[i] = read_part(kind, in);
        if (rc != ZOK)
            continue;
        rc = check_part(sim, &parts[i], &made);
        failed = rc != ZOK ? i : failed;
        if (kind == ZOO_CREATE)
            map_put(&made, parts[i].path, door);
    }
    map_free(&made);
    if (rc == ZOK) {
        struct zoo_txn *txn = zoo_txn_new(count);
        for (size_t i = 0; i < count; i++)
            add_part(door, txn, &parts[i]);
        commit(sim, txn, door->session->process);
    } else {
        mark(sim, MARK_ZOO_MULTI_REFUSED);
    }
    put_head(&door->answer, ZOO_MULTI, xid, tree->zxid, rc);
    zoo_put(&door->answer, (int64_t)count);
    for (size_t i = 0; i < count; i++) {
        // As in ZooKeeper: those before the one that failed are rolled back, the others not tried.
        int part_rc = rc == ZOK ? ZOK : i == failed ? rc : i < failed ? ZOK : ZRUNTIMEINCONSISTENCY;
        zoo_put(&door->answer, part_rc);
        bool has_stat = rc == ZOK && parts[i].kind == ZOO_SET;
        zoo_put(&door->answer, has_stat);
        if (has_stat)
            put_stat(&door->answer, map_get(&tree->nodes, parts[i].path));
    }
}

static void reach_leader(struct zoo_door *door)
{
    struct zoo_request *request = LIST_ENTRY(door->requests.next, struct zoo_request, link);
    struct zoo_reader in = {request->data, request->size};
    int kind = (int)zoo_get(&in);
    int64_t xid = zoo_get(&in);
    buf_clear(&door->answer);
    if (kind == ZOO_MULTI)
        write_multi(door, xid, &in);
    else if (kind == ZOO_SYNC)
        put_head(&door->answer, kind, xid, zoo_of(door->server)->tree.zxid, ZOK);
    else
        write_one(door, kind, xid, &in);
    door->wanted_zxid = zoo_of(door->server)->tree.zxid;
}

static void forward_due(struct timer *timer, struct instant now)
{
    (void)now;
    struct zoo_door *door = CONTAINER_OF(timer, struct zoo_door, forward);
    reach_leader(door);
    proceed(door);
}

static void end_first(struct zoo_door *door)
{
    struct zoo_request *request = LIST_ENTRY(door->requests.next, struct zoo_request, link);
    list_remove(&request->link);
    mem_free(request);
}

// Answers what can be answered by now.
static void proceed(struct zoo_door *door)
{
    struct sim *sim = door->server->sim;
    while (!list_is_empty(&door->requests)) {
        if (door->is_forwarded) {
            if (door->wanted_zxid == 0 || door->server->tree.zxid < door->wanted_zxid)
                return;
            send_answer(door, &door->answer);
            door->is_forwarded = false;
            door->wanted_zxid = 0;
            end_first(door);
            continue;
        }
        struct zoo_request *request = LIST_ENTRY(door->requests.next, struct zoo_request, link);
        struct zoo_reader in = {request->data, request->size};
        int kind = (int)zoo_get(&in);
        if (kind == ZOO_EXISTS || kind == ZOO_GET || kind == ZOO_CHILDREN) {
            answer_read(door, kind, &in);
            end_first(door);
            continue;
        }
        door->is_forwarded = true;
        after(sim, &door->forward, draw_spread(sim, 100 * NS_PER_US, 10 * NS_PER_MS));
    }
}

// ---- sessions ----

static void free_door(struct zoo_door *door)
{
    struct sim *sim = door->server->sim;
    // What was on its way to the leader may still get there.
    if (timer_is_set(&door->forward) && has_quorum(&sim->zoo) && door->session != NULL &&
        chance(sim, 0.5)) {
        mark(sim, MARK_ZOO_WRITE_WITHOUT_ANSWER);
        reach_leader(door);
    } else if (door->is_forwarded && door->wanted_zxid > 0) {
        mark(sim, MARK_ZOO_WRITE_WITHOUT_ANSWER);
    }
    timer_cancel(&sim->timers, &door->forward);
    if (door->session != NULL)
        door->session->door = NULL;
    LIST_FOREACH (&door->requests, struct zoo_request, link, request)
        mem_free(request);
    map_free(&door->watches);
    buf_free(&door->answer);
    list_remove(&door->link);
    mem_free(door);
}

static void close_door(struct zoo_door *door)
{
    net_close(door->end);
    free_door(door);
}

// Its ephemeral znodes go, and itself.
static void end_session(struct zoo_session *session)
{
    struct sim *sim = session->sim;
    struct zoo_tree *tree = &sim->zoo.tree;
    struct zoo_txn *txn = zoo_txn_new(tree->nodes.count);
    MAP_FOREACH (&tree->nodes, entry) {
        if (((const struct znode *)entry->value)->owner == session->id)
            zoo_txn_add(txn, ZNODE_DELETED, entry->key, NULL, 0, 0);
    }
    commit(sim, txn, 0);
    if (session->door != NULL) {
        struct zoo_door *door = session->door;
        door->session = NULL;
        close_door(door);
    }
    timer_cancel(&sim->timers, &session->expiry);
    list_remove(&session->link);
    mem_free(session);
}

static void arm_expiry(struct zoo_session *session)
{
    timer_set(&session->sim->timers, &session->expiry, session->heard + session->timeout_ns);
}

static void expiry_due(struct timer *timer, struct instant now)
{
    struct zoo_session *session = CONTAINER_OF(timer, struct zoo_session, expiry);
    struct sim *sim = session->sim;
    if (!has_quorum(&sim->zoo))
        session->heard = now.mono; // nobody counts
    if (session->heard + session->timeout_ns > now.mono) {
        arm_expiry(session);
        return;
    }
    TRACE(sim, "zoo: session %llx of process %llu expires", (unsigned long long)session->id,
          (unsigned long long)session->process);
    mark(sim, MARK_ZOO_SESSION_EXPIRED);
    end_session(session);
}

void zoo_session_heard(struct sim *sim, int64_t id)
{
    struct zoo_session *session = find_session(&sim->zoo, id);
    if (session != NULL)
        session->heard = sim->now.mono;
}

uint64_t zoo_session_process(struct sim *sim, int64_t id)
{
    const struct zoo_session *session = find_session(&sim->zoo, id);
    return session != NULL ? session->process : 0;
}

static struct zoo_session *new_session(struct sim *sim, int64_t timeout_ns, uint64_t process)
{
    struct zoo_session *session = mem_zalloc(sizeof(*session));
    session->sim = sim;
    session->id = ++sim->zoo.next_session;
    session->timeout_ns = timeout_ns;
    session->process = process;
    session->expiry.run = expiry_due;
    list_append(&sim->zoo.sessions, &session->link);
    return session;
}

bool zoo_remove_candidate(struct sim *sim)
{
    const char *lowest = zoo_lowest_candidate(&sim->zoo.tree);
    if (lowest == NULL || !has_quorum(&sim->zoo))
        return false;
    TRACE(sim, "zoo: somebody removes %s", lowest);
    mark(sim, MARK_CANDIDATE_REMOVED);
    struct zoo_txn *txn = zoo_txn_new(1);
    zoo_txn_add(txn, ZNODE_DELETED, lowest, NULL, 0, 0);
    commit(sim, txn, 0);
    return true;
}

// ---- connections ----

static void take_hello(struct zoo_door *door, struct zoo_reader *in)
{
    struct sim *sim = door->server->sim;
    int64_t id = zoo_get(in), zxid = zoo_get(in), timeout_ns = zoo_get(in);
    uint64_t process = (uint64_t)zoo_get(in);
    if (zxid > door->server->tree.zxid) {
        // The client has seen more than this server: it must look for another.
        mark(sim, MARK_ZOO_SERVER_LAGS);
        close_door(door);
        return;
    }
    struct zoo_session *session = find_session(&sim->zoo, id);
    if (id == 0)
        session = new_session(sim, timeout_ns, process);
    AUTO_BUF struct buf out = BUF_INIT;
    zoo_put(&out, ZOO_HELLO);
    zoo_put(&out, session != NULL ? session->id : 0);
    send_answer(door, &out);
    if (session == NULL) {
        close_door(door);
        return;
    }
    if (session->door != NULL)
        close_door(session->door); // it has moved
    session->door = door;
    door->session = session;
    session->heard = sim->now.mono;
    arm_expiry(session);
}

static void take_set_watch(struct zoo_door *door, struct zoo_reader *in)
{
    int64_t zxid = zoo_get(in);
    const char *path = zoo_get_text(in);
    const struct zoo_tree *tree = &door->server->tree;
    const struct znode *node = map_get(&tree->nodes, path);
    if (node != NULL && node->children_changed <= zxid) {
        map_put(&door->watches, path, door);
        return;
    }
    AUTO_BUF struct buf out = BUF_INIT;
    zoo_put(&out, ZOO_WATCH);
    zoo_put(&out, tree->zxid);
    zoo_put_text(&out, path);
    send_answer(door, &out);
}

static void on_frame(void *ctx, const void *data, size_t size)
{
    struct zoo_door *door = ctx;
    struct zoo_reader in = {data, size};
    int kind = (int)zoo_get(&in);
    if (kind == ZOO_HELLO) {
        take_hello(door, &in);
        return;
    }
    if (door->session == NULL)
        return;
    door->session->heard = door->server->sim->now.mono;
    if (kind == ZOO_BYE) {
        end_session(door->session);
    } else if (kind == ZOO_SET_WATCH) {
        take_set_watch(door, &in);
    } else {
        struct zoo_request *request = mem_alloc(sizeof(*request) + size);
        request->size = size;
        memcpy(request->data, data, size);
        list_append(&door->requests, &request->link);
        proceed(door);
    }
}

static void on_closed(void *ctx)
{
    free_door(ctx);
}

void zoo_accept(struct sim *sim, size_t server, struct end *end)
{
    static const struct end_ops ops = {.frame = on_frame, .closed = on_closed};
    struct zoo_door *door = mem_zalloc(sizeof(*door));
    door->server = &sim->zoo.servers[server];
    door->end = end;
    door->forward.run = forward_due;
    list_init(&door->requests);
    list_append(&door->server->doors, &door->link);
    end->ops = &ops;
    end->ctx = door;
}

// ---- servers come and go ----

static void listen_as_fits(struct sim *sim)
{
    struct zoo *zoo = &sim->zoo;
    for (size_t i = 0; i < ZOO_SERVERS; i++) {
        struct zoo_server *s = &zoo->servers[i];
        bool serves = s->is_up && has_quorum(zoo);
        sim->net.has_listener[HOST_ZOO + i] = serves;
        if (serves)
            continue;
        LIST_FOREACH (&s->doors, struct zoo_door, link, door)
            close_door(door);
    }
}

bool zoo_server_crash(struct sim *sim, size_t server)
{
    struct zoo_server *s = &sim->zoo.servers[server];
    if (!s->is_up)
        return false;
    TRACE(sim, "zoo: server %zu crashes", server);
    mark(sim, MARK_ZOO_SERVER_CRASHED);
    s->is_up = false;
    timer_cancel(&sim->timers, &s->apply);
    net_crash_host(sim, HOST_ZOO + server, chance(sim, 0.2));
    LIST_FOREACH (&s->doors, struct zoo_door, link, door)
        free_door(door);
    if (!has_quorum(&sim->zoo))
        mark(sim, MARK_ZOO_WITHOUT_QUORUM);
    listen_as_fits(sim);
    return true;
}

void zoo_server_start(struct sim *sim, size_t server)
{
    struct zoo_server *s = &sim->zoo.servers[server];
    if (s->is_up)
        return;
    TRACE(sim, "zoo: server %zu is up", server);
    s->is_up = true;
    while (!list_is_empty(&s->queue))
        apply_first(s);
    // A new leader gives every session its full time anew.
    LIST_FOREACH (&sim->zoo.sessions, struct zoo_session, link, session)
        session->heard = sim->now.mono;
    listen_as_fits(sim);
}

void zoo_init(struct sim *sim)
{
    list_init(&sim->zoo.sessions);
    for (size_t i = 0; i < ZOO_SERVERS; i++) {
        struct zoo_server *s = &sim->zoo.servers[i];
        s->sim = sim;
        s->index = i;
        s->apply.run = apply_due;
        list_init(&s->queue);
        list_init(&s->doors);
    }
    for (size_t i = 0; i < ZOO_SERVERS && sim->config.has_zoo; i++)
        zoo_server_start(sim, i);
}

void zoo_free(struct sim *sim)
{
    for (size_t i = 0; i < ZOO_SERVERS; i++) {
        struct zoo_server *s = &sim->zoo.servers[i];
        LIST_FOREACH (&s->doors, struct zoo_door, link, door) {
            timer_cancel(&sim->timers, &door->forward);
            free_door(door);
        }
        LIST_FOREACH (&s->queue, struct zoo_queued, link, queued) {
            zoo_txn_unref(queued->txn);
            mem_free(queued);
        }
        timer_cancel(&sim->timers, &s->apply);
        zoo_tree_free(&s->tree);
    }
    LIST_FOREACH (&sim->zoo.sessions, struct zoo_session, link, session) {
        timer_cancel(&sim->timers, &session->expiry);
        mem_free(session);
    }
    zoo_tree_free(&sim->zoo.tree);
}
