// SPDX-License-Identifier: Apache-2.0
//
// A store in ZooKeeper: a znode per entry, written by one owner at a time.
//
//   <path>/log_replicas/meseta/epoch              the owner's name; each write of an owner raises
//                                                 its version by one
//   <path>/log_replicas/meseta/entries/NN/<key>   the value; NN is a part of the key's hash
//
// A load takes the store over: it writes a new owner's name into `epoch`, and reads. That is one
// multi with a check that the election's znode by which its owner leads is still there. Who was
// stopped in the midst of it and woke when another led finds that znode gone, and takes nothing; so
// the owners follow one another as the leaders do. From then on every write is one multi that sets
// `epoch` from the version that we know to the next one, so that it fails when somebody else has
// taken over, whatever the clocks say, and so that it can be told after a lost answer whether it
// was applied: the version says so. One multi is under way at a time; what is flushed meanwhile
// goes with the next one.
//
//   IDLE ──load──> TAKING ──> LISTING ──> IDLE        (no connection: begins again at TAKING)
//   IDLE ──commit──> WRITING ──> IDLE, or the next piece
//                       └─answer lost, or refused──> ASKING ──> WRITING again, IDLE, or FAILED

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/plant.h"
#include "base/prng.h"
#include "base/text.h"
#include "base/uuid.h"
#include "store/backend.h"
#include "store/store_zookeeper.h"
#include "store/zk.h"

#define PLACE_MAGIC 0x7a6b706cu

// ZooKeeper takes requests of 1 MB by default.
enum {
    BUCKETS = 64,
    READS_MAX = 256, // under way
    PIECE_OPS_MAX = 256,
    PIECE_SIZE_MAX = 256 * 1024,
    BATCH_OPS_MAX = 2000,
    BATCH_SIZE_MAX = 900 * 1024,
    OP_SIZE = 128, // what an operation costs beside its path and value, generously
};

enum place_state { IDLE, TAKING, LISTING, WRITING, ASKING, FAILED };

struct place {
    uint32_t magic;
    enum place_state state;
    struct env *env;
    struct zk *zk;
    struct store *store;
    struct zk_url url;
    int64_t fetch_timeout_ns;
    int64_t store_timeout_ns;
    bool must_exist;
    char *root;       // "<path>/log_replicas/meseta"
    char *epoch_path; // root + "/epoch"
    char owner[UUID_TEXT_SIZE];
    bool is_owner;
    int32_t version;   // of epoch, as of the last answer
    char *leader_path; // the znode by which we lead; NULL before the election said so
    struct map keys;   // every key that is there; the value is a constant
    struct timer timeout;
    struct env_hook hook;
    // TAKING: a step is under way. The layout is made part by part.
    bool is_pending;
    bool layout_wanted; // the epoch was not there
    size_t made;        // parts of the layout that exist
    struct Stat taken;  // of epoch, filled in by the multi that takes it
    // LISTING
    struct arena *found_arena;
    struct store_item *found;
    size_t found_count, found_capacity;
    const char **names; // "entries/NN/..." to be read
    size_t name_count, name_capacity, name_next;
    size_t lists_left; // buckets not yet listed
    size_t reads;      // requests under way
    bool is_broken;    // one of them failed: all anew
    // WRITING
    const struct store_batch *batches;
    size_t batch_count, batch_next; // the piece is [batch_first, batch_next)
    size_t batch_first;
    struct arena *piece_arena; // of the multi under way
    zoo_op_result_t *results;
};

// ---- names ----

static uint32_t bucket_of(const char *key)
{
    uint32_t hash = 2166136261u;
    for (const char *c = key; *c != '\0'; c++)
        hash = (hash ^ (unsigned char)*c) * 16777619u;
    return (hash >> 16) % BUCKETS;
}

static const char *entry_path(const struct place *p, struct arena *arena, const char *key)
{
    AUTO_BUF struct buf name = BUF_INIT;
    text_percent_encode(&name, key);
    return arena_printf(arena, "%s/entries/%02u/%s", p->root, bucket_of(key), name.data);
}

// ---- ends ----

static void touch(struct place *p)
{
    env_at_turn_end(p->env, &p->hook);
}

static void finish(struct place *p, int result, const struct error *err)
{
    p->state = result < 0 ? FAILED : IDLE;
    env_timer_cancel(p->env, &p->timeout);
    store_backend_done(p->store, result, err);
}

static void fail(struct place *p, int code, const char *text)
{
    struct error err;
    error_set(&err, code, "%s", text);
    finish(p, code, &err);
}

static void fail_deposed(struct place *p)
{
    fail(p, -ESTALE, "another master has taken over the registry in ZooKeeper");
}

static void fail_rc(struct place *p, int rc, const char *what)
{
    struct error err;
    finish(p, zk_fail(rc, what, &err), &err);
}

// The answer says nothing about the request: it is asked again once there is a connection.
static bool is_lost(int rc)
{
    return rc == ZCONNECTIONLOSS || rc == ZOPERATIONTIMEOUT || rc == ZSESSIONEXPIRED ||
           rc == ZCLOSING || rc == ZSESSIONMOVED || rc == ZINVALIDSTATE;
}

static struct place *take_answer(const void *data)
{
    struct place *p = CHECK_CAST(place, PLACE_MAGIC, (void *)(uintptr_t)data);
    p->is_pending = false;
    return p;
}

// After zoo_a...: a request that was not even queued is tried again when something changes.
static void asked(struct place *p, int rc)
{
    p->is_pending = rc == ZOK;
    zk_touch(p->zk);
}

static void timeout_is_due(struct timer *timer, struct instant now)
{
    (void)now;
    struct place *p = CONTAINER_OF(timer, struct place, timeout);
    struct error err;
    int64_t ns =
        p->state == WRITING || p->state == ASKING ? p->store_timeout_ns : p->fetch_timeout_ns;
    AUTO_BUF struct buf duration = BUF_INIT;
    text_put_duration(&duration, ns);
    error_set(&err, -ETIMEDOUT, "ZooKeeper at %s did not answer within %s%s%s", p->url.servers,
              duration.data, zk_last_trouble()[0] != '\0' ? ": " : "", zk_last_trouble());
    finish(p, -ETIMEDOUT, &err);
}

// ---- taking over: the layout ----

// The part after `made` others: the path's own parts, log_replicas, meseta; NULL: they exist.
static char *next_part(const struct place *p)
{
    size_t at = 0;
    for (size_t i = 0; i <= p->made; i++) {
        if (p->root[at] == '\0')
            return NULL;
        at += 1 + strcspn(p->root + at + 1, "/");
    }
    return mem_strndup(p->root, at);
}

static void part_is_there(int rc, const char *value, const void *data)
{
    (void)value;
    struct place *p = take_answer(data);
    if (p->state != TAKING || is_lost(rc))
        return;
    // A part of the URL's path that we may not make is there, or the next part will tell.
    AUTO_FREE char *part = next_part(p);
    bool is_of_url = part != NULL && strlen(part) <= strlen(p->url.path);
    if (rc == ZOK || rc == ZNODEEXISTS || (rc == ZNOAUTH && is_of_url)) {
        p->made++;
        touch(p);
    } else {
        fail_rc(p, rc, "make the registry's place in ZooKeeper");
    }
}

static void layout_is_made(int rc, const void *data)
{
    struct place *p = take_answer(data);
    arena_reset(p->piece_arena);
    if (p->state != TAKING || is_lost(rc))
        return;
    p->layout_wanted = false;
    if (rc == ZOK || rc == ZNODEEXISTS)
        touch(p); // look at the epoch again
    else
        fail_rc(p, rc, "make the registry's place in ZooKeeper");
}

static void make_layout(struct place *p)
{
    zhandle_t *handle = zk_handle(p->zk);
    const struct ACL_vector *acl = zk_acl(p->zk);
    AUTO_FREE char *part = next_part(p);
    if (part != NULL) {
        asked(p, zoo_acreate(handle, part, "", 0, acl, 0, part_is_there, p));
        return;
    }
    struct arena *arena = p->piece_arena;
    size_t count = BUCKETS + 2;
    zoo_op_t *ops = arena_calloc(arena, count, sizeof(*ops));
    p->results = arena_calloc(arena, count, sizeof(*p->results));
    zoo_create_op_init(&ops[0], arena_printf(arena, "%s/entries", p->root), "", 0, acl, 0, NULL, 0);
    for (unsigned i = 0; i < BUCKETS; i++)
        zoo_create_op_init(&ops[1 + i], arena_printf(arena, "%s/entries/%02u", p->root, i), "", 0,
                           acl, 0, NULL, 0);
    zoo_create_op_init(&ops[count - 1], p->epoch_path, "", 0, acl, 0, NULL, 0);
    asked(p, zoo_amulti(handle, (int)count, ops, p->results, layout_is_made, p));
}

// ---- taking over: the epoch ----

static bool is_own(const struct place *p, const char *value, int size)
{
    return size == (int)strlen(p->owner) && memcmp(value, p->owner, (size_t)size) == 0;
}

static void become_owner(struct place *p, int32_t version)
{
    p->is_owner = true;
    p->version = version;
    p->state = LISTING;
    log_info("The registry in ZooKeeper is ours, epoch version %d", (int)p->version);
    touch(p);
}

enum { TAKE_CHECK, TAKE_SET, TAKE_OPS };

static void epoch_is_taken(int rc, const void *data)
{
    struct place *p = take_answer(data);
    if (p->state != TAKING || is_lost(rc))
        return;
    if (rc == ZOK)
        become_owner(p, p->taken.version);
    else if (rc == ZBADVERSION)
        touch(p); // somebody wrote meanwhile
    else if (rc == ZNONODE && p->results[TAKE_CHECK].err == ZNONODE)
        fail(p, -ESTALE, "the registry in ZooKeeper was not taken over: this master leads no more");
    else
        fail_rc(p, rc, "take over the registry in ZooKeeper");
}

static void take_epoch(struct place *p, int32_t version)
{
    arena_reset(p->piece_arena);
    zoo_op_t *ops = arena_calloc(p->piece_arena, TAKE_OPS, sizeof(*ops));
    p->results = arena_calloc(p->piece_arena, TAKE_OPS, sizeof(*p->results));
    zoo_check_op_init(&ops[TAKE_CHECK], p->leader_path, -1);
    zoo_set_op_init(&ops[TAKE_SET], p->epoch_path, p->owner, (int)strlen(p->owner), version,
                    &p->taken);
    asked(p, zoo_amulti(zk_handle(p->zk), TAKE_OPS, ops, p->results, epoch_is_taken, p));
}

static void epoch_was_read(int rc, const char *value, int size, const struct Stat *stat,
                           const void *data)
{
    struct place *p = take_answer(data);
    if (p->state != TAKING || is_lost(rc))
        return;
    if (rc == ZNONODE && !p->is_owner && p->must_exist) {
        fail(p, -ENOENT, "there is no registry in ZooKeeper beneath the path of the URL");
        return;
    }
    if (rc == ZNONODE && !p->is_owner) {
        p->layout_wanted = true;
        p->made = 0;
        touch(p);
        return;
    }
    if (rc != ZOK) {
        fail_rc(p, rc, "read the registry's epoch in ZooKeeper");
        return;
    }
    if (is_own(p, value, size)) {
        // Taken by a request whose answer was lost.
        become_owner(p, stat->version);
        return;
    }
    if (p->is_owner) {
        fail_deposed(p);
        return;
    }
    take_epoch(p, stat->version);
}

static void ignore_sync(int rc, const char *value, const void *data)
{
    (void)rc;
    (void)value;
    (void)data;
}

// Reads the epoch as it is now, not as a server that lags behind remembers it.
static void read_epoch(struct place *p, data_completion_t on_read)
{
    int rc = zoo_async(zk_handle(p->zk), p->epoch_path, ignore_sync, NULL);
    if (rc == ZOK)
        rc = zoo_aget(zk_handle(p->zk), p->epoch_path, 0, on_read, p);
    asked(p, rc);
}

// ---- reading all ----

struct read {
    struct place *place;
    char *key;
};

static void end_listing(struct place *p)
{
    map_free(&p->keys);
    for (size_t i = 0; i < p->found_count; i++) {
        map_put(&p->keys, p->found[i].key, p);
        store_backend_item(p->store, &p->found[i]);
    }
    mem_free(p->found);
    p->found = NULL;
    p->found_count = p->found_capacity = 0;
    mem_free(p->names);
    p->names = NULL;
    p->name_count = p->name_capacity = 0;
    p->found_arena = arena_free(p->found_arena);
    finish(p, 0, NULL);
}

static void begin_listing(struct place *p)
{
    arena_free(p->found_arena);
    p->found_arena = arena_new(0, 0);
    p->found_count = 0;
    p->name_count = 0;
    p->name_next = 0;
    p->is_broken = false;
    p->lists_left = BUCKETS;
}

// False when the state has changed meanwhile.
static bool end_read(struct place *p, int rc, const char *what)
{
    CHECK(p->reads > 0);
    p->reads--;
    if (p->state != LISTING)
        return false;
    if (rc == ZOK)
        return true;
    // What was listed and is gone was taken away by another leader: who owns the store is looked at
    // anew.
    if (is_lost(rc) || rc == ZNONODE)
        p->is_broken = true;
    else
        fail_rc(p, rc, what);
    return false;
}

static void entry_was_read(int rc, const char *value, int size, const struct Stat *stat,
                           const void *data)
{
    (void)stat;
    struct read *read = (struct read *)(uintptr_t)data;
    struct place *p = read->place;
    if (end_read(p, rc, "read an entry of the registry in ZooKeeper")) {
        if (p->found_count == p->found_capacity) {
            p->found_capacity = p->found_capacity * 2 + 64;
            p->found = mem_realloc_array(p->found, p->found_capacity, sizeof(*p->found));
        }
        size_t bytes = size > 0 ? (size_t)size : 0;
        void *copy = arena_alloc(p->found_arena, bytes + 1);
        memcpy(copy, value != NULL ? value : "", bytes);
        p->found[p->found_count++] = (struct store_item){
            .key = arena_strdup(p->found_arena, read->key), .value = copy, .size = bytes};
        touch(p);
    }
    mem_free(read->key);
    mem_free(read);
}

struct bucket_list {
    struct place *place;
    unsigned number;
};

static void bucket_was_listed(int rc, const struct String_vector *names, const void *data)
{
    struct bucket_list *list = (struct bucket_list *)(uintptr_t)data;
    struct place *p = list->place;
    unsigned number = list->number;
    mem_free(list);
    if (!end_read(p, rc, "list the registry in ZooKeeper"))
        return;
    for (int32_t i = 0; i < names->count; i++) {
        if (p->name_count == p->name_capacity) {
            p->name_capacity = p->name_capacity * 2 + 64;
            p->names = mem_realloc_array(p->names, p->name_capacity, sizeof(*p->names));
        }
        p->names[p->name_count++] = arena_printf(p->found_arena, "%02u/%s", number, names->data[i]);
    }
    touch(p);
}

static void list_bucket(struct place *p)
{
    struct bucket_list *list = mem_zalloc(sizeof(*list));
    list->place = p;
    list->number = (unsigned)--p->lists_left;
    AUTO_FREE char *path = mem_printf("%s/entries/%02u", p->root, list->number);
    p->reads++;
    if (zoo_aget_children(zk_handle(p->zk), path, 0, bucket_was_listed, list) != ZOK) {
        p->reads--;
        p->is_broken = true;
        mem_free(list);
    }
}

static void read_entry(struct place *p)
{
    const char *name = p->names[p->name_next++];
    char *key;
    const char *escaped = strchr(name, '/') + 1;
    if (text_percent_decode(escaped, strlen(escaped), false, &key) < 0) {
        fail(p, -EBADMSG, "the registry in ZooKeeper has an entry whose name cannot be read");
        return;
    }
    struct read *read = mem_zalloc(sizeof(*read));
    read->place = p;
    read->key = key;
    AUTO_FREE char *path = mem_printf("%s/entries/%s", p->root, name);
    p->reads++;
    if (zoo_aget(zk_handle(p->zk), path, 0, entry_was_read, read) != ZOK) {
        p->reads--;
        p->is_broken = true;
        mem_free(read->key);
        mem_free(read);
    }
}

static void advance_listing(struct place *p)
{
    if (p->found_arena == NULL)
        begin_listing(p);
    if (p->is_broken) {
        if (p->reads > 0)
            return;
        // Whether the store is still ours has to be seen first.
        p->found_arena = arena_free(p->found_arena);
        p->state = TAKING;
        touch(p);
        return;
    }
    while (p->state == LISTING && !p->is_broken && p->reads < READS_MAX) {
        if (p->lists_left > 0)
            list_bucket(p);
        else if (p->name_next < p->name_count)
            read_entry(p);
        else
            break;
    }
    zk_touch(p->zk);
    if (p->state == LISTING && !p->is_broken && p->reads == 0 && p->lists_left == 0 &&
        p->name_next == p->name_count)
        end_listing(p);
}

// ---- writing ----

// What the piece does to each key: the last word of its batches.
static void collect_piece(struct place *p, struct map *last)
{
    size_t ops = 0, size = 0;
    p->batch_next = p->batch_first;
    while (p->batch_next < p->batch_count) {
        const struct store_batch *batch = &p->batches[p->batch_next];
        size_t batch_size = 0;
        for (size_t i = 0; i < batch->count; i++)
            batch_size += OP_SIZE + 3 * strlen(batch->items[i].key) + batch->items[i].size;
        bool is_first = p->batch_next == p->batch_first;
        if (!is_first && (ops + batch->count > PIECE_OPS_MAX || size + batch_size > PIECE_SIZE_MAX))
            break;
        ops += batch->count;
        size += batch_size;
        for (size_t i = 0; i < batch->count; i++)
            map_put(last, batch->items[i].key, &batch->items[i]);
        p->batch_next++;
    }
    if (ops > BATCH_OPS_MAX || size > BATCH_SIZE_MAX) {
        struct error err;
        int r = error_set(&err, -E2BIG,
                          "%zu changes of %zu bytes at once are more than ZooKeeper "
                          "takes",
                          ops, size);
        finish(p, r, &err);
    }
}

static size_t fill_ops(struct place *p, const struct map *last, zoo_op_t *ops)
{
    struct arena *arena = p->piece_arena;
    size_t count = 0;
    struct Stat *stat = arena_zalloc(arena, sizeof(*stat));
    zoo_set_op_init(&ops[count++], p->epoch_path, p->owner, (int)strlen(p->owner),
                    PLANTED(FORGET_EPOCH_CHECK) ? -1 : p->version, stat);
    MAP_FOREACH (last, entry) {
        const struct store_item *item = entry->value;
        const char *path = entry_path(p, arena, item->key);
        bool exists = map_has(&p->keys, item->key);
        if (item->value == NULL && exists)
            zoo_delete_op_init(&ops[count++], path, -1);
        else if (item->value != NULL && exists)
            zoo_set_op_init(&ops[count++], path, item->value, (int)item->size, -1, NULL);
        else if (item->value != NULL)
            zoo_create_op_init(&ops[count++], path, item->value, (int)item->size, zk_acl(p->zk), 0,
                               NULL, 0);
    }
    return count;
}

// The piece is durable: goes on behind it.
static void piece_is_applied(struct place *p)
{
    for (size_t i = p->batch_first; i < p->batch_next; i++) {
        for (size_t k = 0; k < p->batches[i].count; k++) {
            const struct store_item *item = &p->batches[i].items[k];
            if (item->value != NULL)
                map_put(&p->keys, item->key, p);
            else
                map_remove(&p->keys, item->key);
        }
    }
    p->version++;
    p->batch_first = p->batch_next;
    p->state = WRITING;
    if (p->batch_first == p->batch_count)
        finish(p, 0, NULL);
    else
        touch(p);
}

static void piece_was_written(int rc, const void *data)
{
    struct place *p = take_answer(data);
    if (p->state != WRITING)
        return;
    if (rc == ZOK) {
        piece_is_applied(p);
    } else if (is_lost(rc) || rc == ZBADVERSION) {
        p->state = ASKING;
        touch(p);
    } else {
        // Also a node that is there, or is not, against our books: somebody else meddled.
        fail_rc(p, rc, "write the registry in ZooKeeper");
    }
}

static void write_piece(struct place *p)
{
    struct map last = MAP_INIT;
    collect_piece(p, &last);
    if (p->state == WRITING && last.count == 0) {
        // Nothing but barriers.
        p->batch_first = p->batch_next;
        finish(p, 0, NULL);
    } else if (p->state == WRITING) {
        arena_reset(p->piece_arena);
        zoo_op_t *ops = arena_calloc(p->piece_arena, last.count + 1, sizeof(*ops));
        size_t count = fill_ops(p, &last, ops);
        p->results = arena_calloc(p->piece_arena, count, sizeof(*p->results));
        asked(p, zoo_amulti(zk_handle(p->zk), (int)count, ops, p->results, piece_was_written, p));
    }
    map_free(&last);
}

// Whether a write whose answer was lost or strange was applied.
static void epoch_was_asked(int rc, const char *value, int size, const struct Stat *stat,
                            const void *data)
{
    struct place *p = take_answer(data);
    if (p->state != ASKING || is_lost(rc))
        return;
    if (rc != ZOK)
        fail_rc(p, rc, "read the registry's epoch in ZooKeeper");
    else if (!is_own(p, value, size))
        fail_deposed(p);
    else if (stat->version == p->version + 1)
        piece_is_applied(p);
    else if (stat->version == p->version) {
        p->state = WRITING;
        touch(p);
    } else
        fail(p, -EBADMSG, "the registry's epoch in ZooKeeper was changed by somebody else");
}

// ---- what to do next ----

static void advance(struct place *p)
{
    if (p->is_pending || !zk_is_connected(p->zk))
        return;
    switch (p->state) {
    case TAKING:
        if (p->layout_wanted)
            make_layout(p);
        else
            read_epoch(p, epoch_was_read);
        break;
    case LISTING:
        advance_listing(p);
        break;
    case WRITING:
        write_piece(p);
        break;
    case ASKING:
        read_epoch(p, epoch_was_asked);
        break;
    case IDLE:
    case FAILED:
        break;
    }
}

static void hook_is_due(struct env_hook *hook, struct instant now)
{
    (void)now;
    struct place *p = CONTAINER_OF(hook, struct place, hook);
    CHECK(p->magic == PLACE_MAGIC);
    advance(p);
}

static void on_zk_event(void *ctx, enum zk_event event)
{
    struct place *p = CHECK_CAST(place, PLACE_MAGIC, ctx);
    bool is_waiting = p->state != IDLE && p->state != FAILED;
    if (event == ZK_REFUSED && is_waiting)
        fail(p, -EACCES, "ZooKeeper refused the credentials of the URL");
    else if (event == ZK_CONNECTED && is_waiting)
        touch(p);
}

// ---- the backend ----

static void begin_commit(void *place, struct store *store, const struct store_batch *batches,
                         size_t count)
{
    struct place *p = place;
    CHECK(p->state == IDLE && p->is_owner && store == p->store);
    p->batches = batches;
    p->batch_count = count;
    p->batch_first = 0;
    p->state = WRITING;
    env_timer_set(p->env, &p->timeout, p->store_timeout_ns);
    touch(p);
}

static void begin_walk(void *place, struct store *store)
{
    struct place *p = place;
    CHECK(p->state == IDLE && store == p->store && p->leader_path != NULL);
    p->state = TAKING;
    env_timer_set(p->env, &p->timeout, p->fetch_timeout_ns);
    touch(p);
}

static void set_leader(void *place, const char *znode)
{
    struct place *p = place;
    mem_free(p->leader_path);
    p->leader_path = mem_strdup(znode);
}

static void free_place(void *place)
{
    struct place *p = place;
    p->state = FAILED; // answers that zk_free brings change nothing
    zk_free(p->zk);
    CHECK(p->reads == 0);
    env_timer_cancel(p->env, &p->timeout);
    env_hook_cancel(&p->hook);
    zk_url_free(&p->url);
    map_free(&p->keys);
    mem_free(p->root);
    mem_free(p->epoch_path);
    mem_free(p->leader_path);
    mem_free(p->found);
    mem_free(p->names);
    arena_free(p->found_arena);
    arena_free(p->piece_arena);
    p->magic = 0;
    mem_free(p);
}

int store_zookeeper_new(struct env *env, const struct store_zookeeper_options *options,
                        struct store **ret_store, struct error *err)
{
    static const struct store_backend backend = {.begin_commit = begin_commit,
                                                 .begin_walk = begin_walk,
                                                 .set_leader = set_leader,
                                                 .free = free_place};
    struct zk_url url;
    int r = zk_url_parse(options->url, &url, err);
    if (r < 0)
        return r;
    struct place *p = mem_zalloc(sizeof(*p));
    p->magic = PLACE_MAGIC;
    p->env = env;
    p->url = url;
    p->fetch_timeout_ns = options->fetch_timeout_ns;
    p->store_timeout_ns = options->store_timeout_ns;
    p->must_exist = options->must_exist;
    p->root = mem_printf("%s/log_replicas/meseta", url.path);
    p->epoch_path = mem_printf("%s/epoch", p->root);
    struct prng prng;
    prng_seed(&prng, env_random_u64());
    struct uuid uuid = uuid_random(&prng);
    uuid_text(&uuid, p->owner);
    p->piece_arena = arena_new(0, 0);
    p->timeout.run = timeout_is_due;
    p->hook.run = hook_is_due;
    list_init(&p->hook.link);
    p->zk = zk_new(env, &p->url, options->session_timeout_ns, on_zk_event, p);
    p->store = store_new(&backend, p);
    *ret_store = p->store;
    return 0;
}
