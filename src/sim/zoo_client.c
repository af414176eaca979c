// SPDX-License-Identifier: Apache-2.0
//
// What src/store/zk.h and libzookeeper promise to their users, over a simulated connection to the
// model of the ensemble. Answers come in the order of the requests; a connection that is lost fails
// those that are under way, whether they were applied or not; the session lives on until the
// ensemble, or our own patience, ends it.

#include <errno.h>
#include <string.h>

#include "sim/process.h"
#include "sim/zoo.h"
#include "store/zk.h"

#define ZK_MAGIC 0x736d7a6bu

struct zk {
    uint32_t magic;
    struct env *env;
    int64_t session_timeout_ns;
    zk_event_fn *on_event;
    void *ctx;
    struct end *end; // NULL: none
    bool is_connected;
    int64_t session, zxid, xid;
    int64_t heard; // when the ensemble was last heard of
    struct list pending;
    struct list watches;
    struct timer retry, tick, patience;
};

struct pending {
    struct list link;
    int64_t xid;
    int kind;
    const void *completion; // of the type that `kind` has
    const void *data;
    zoo_op_t *ops; // of a multi
    zoo_op_result_t *results;
    size_t count;
    struct zk_watch *watch; // is set with the answer
};

struct zk_watch {
    struct list link;
    char *path;
    watcher_fn fn;
    void *ctx;
};

struct ACL_vector ZOO_OPEN_ACL_UNSAFE;
const int ZOO_EPHEMERAL = 1;
const int ZOO_SEQUENCE = 2;
const int ZOO_SESSION_EVENT = -1;
const int ZOO_CHILD_EVENT = 4;

static struct zk *zk_of(zhandle_t *handle)
{
    return CHECK_CAST(zk, ZK_MAGIC, (void *)handle);
}

// ---- answers ----

static void free_watch(struct zk_watch *watch)
{
    if (watch == NULL)
        return;
    list_remove(&watch->link);
    mem_free(watch->path);
    mem_free(watch);
}

static void read_stat(struct zoo_reader *in, struct Stat *stat)
{
    *stat = (struct Stat){.version = (int32_t)zoo_get(in), .ephemeralOwner = zoo_get(in)};
    stat->czxid = zoo_get(in);
    stat->mzxid = zoo_get(in);
}

static void complete_children(const struct pending *p, int rc, struct zoo_reader *in)
{
    strings_completion_t fn = (strings_completion_t)p->completion;
    if (rc != ZOK) {
        fn(rc, NULL, p->data);
        return;
    }
    struct String_vector names = {.count = (int32_t)zoo_get(in)};
    names.data = mem_calloc((size_t)names.count + 1, sizeof(*names.data));
    for (int32_t i = 0; i < names.count; i++)
        names.data[i] = (char *)(uintptr_t)zoo_get_text(in);
    fn(rc, &names, p->data);
    mem_free(names.data);
}

static void complete_multi(const struct pending *p, int rc, struct zoo_reader *in)
{
    for (size_t i = 0; in != NULL && i < p->count; i++) {
        if (i == 0)
            CHECK((size_t)zoo_get(in) == p->count);
        p->results[i].err = (int)zoo_get(in);
        struct Stat stat;
        if (zoo_get(in) == 0)
            continue;
        read_stat(in, &stat);
        if (p->ops[i].set_op.stat != NULL)
            *p->ops[i].set_op.stat = stat;
    }
    ((void_completion_t)p->completion)(rc, p->data);
}

// `in` is NULL when there is no answer.
static void complete(struct zk *zk, struct pending *p, int rc, struct zoo_reader *in)
{
    list_remove(&p->link);
    if (rc == ZOK && p->watch != NULL)
        list_append(&zk->watches, &TAKE_PTR(p->watch)->link);
    free_watch(p->watch);
    struct Stat stat = {0};
    size_t size = 0;
    const void *data = NULL;
    switch (p->kind) {
    case ZOO_CREATE:
    case ZOO_SYNC:
        ((string_completion_t)p->completion)(
            rc, rc == ZOK && p->kind == ZOO_CREATE ? zoo_get_text(in) : NULL, p->data);
        break;
    case ZOO_EXISTS:
    case ZOO_SET:
        if (rc == ZOK)
            read_stat(in, &stat);
        ((stat_completion_t)p->completion)(rc, rc == ZOK ? &stat : NULL, p->data);
        break;
    case ZOO_GET:
        if (rc == ZOK) {
            data = zoo_get_bytes(in, &size);
            read_stat(in, &stat);
        }
        ((data_completion_t)p->completion)(rc, data, (int)size, rc == ZOK ? &stat : NULL, p->data);
        break;
    case ZOO_CHILDREN:
        complete_children(p, rc, in);
        break;
    default:
        complete_multi(p, rc, in);
        break;
    }
    mem_free(p->ops);
    mem_free(p);
}

static void fail_pending(struct zk *zk, int rc)
{
    struct list failed = LIST_INIT(failed);
    while (!list_is_empty(&zk->pending)) {
        struct list *first = zk->pending.next;
        list_remove(first);
        list_append(&failed, first);
    }
    while (!list_is_empty(&failed))
        complete(zk, LIST_ENTRY(failed.next, struct pending, link), rc, NULL);
}

// ---- the connection ----

static void retry_later(struct zk *zk)
{
    env_timer_set(zk->env, &zk->retry, draw_spread(zk->env->sim, 10 * NS_PER_MS, NS_PER_S));
}

static void drop_end(struct zk *zk)
{
    if (zk->end != NULL && !zk->env->is_crashed)
        net_close(zk->end);
    zk->end = NULL;
    zk->is_connected = false;
    env_timer_cancel(zk->env, &zk->tick);
}

static void lose(struct zk *zk)
{
    bool was_connected = zk->is_connected;
    drop_end(zk);
    retry_later(zk);
    if (!was_connected)
        return;
    struct sim *sim = zk->env->sim;
    mark(sim, MARK_ZOO_CONNECTION_LOST);
    int64_t left = zk->heard + zk->session_timeout_ns - sim->now.mono;
    env_timer_set(zk->env, &zk->patience, left > 0 ? left : 0);
    zk->on_event(zk->ctx, ZK_DISCONNECTED);
    fail_pending(zk, ZCONNECTIONLOSS);
}

static void expire(struct zk *zk)
{
    drop_end(zk);
    env_timer_cancel(zk->env, &zk->patience);
    zk->session = 0;
    LIST_FOREACH (&zk->watches, struct zk_watch, link, watch)
        free_watch(watch);
    fail_pending(zk, ZCLOSING);
    env_timer_set(zk->env, &zk->retry, 0);
    zk->on_event(zk->ctx, ZK_EXPIRED);
}

static void patience_is_over(struct timer *timer, struct instant now)
{
    (void)now;
    struct zk *zk = CONTAINER_OF(timer, struct zk, patience);
    mark(zk->env->sim, MARK_ZOO_PATIENCE_OVER);
    expire(zk);
}

// Pings, in one event for both ways: each third of the session's time, as the library does.
static void tick_due(struct timer *timer, struct instant now)
{
    struct zk *zk = CONTAINER_OF(timer, struct zk, tick);
    struct sim *sim = zk->env->sim;
    if (net_is_heard(zk->end)) {
        zoo_session_heard(sim, zk->session);
        if (net_hears(zk->end))
            zk->heard = now.mono;
    }
    if (now.mono - zk->heard >= zk->session_timeout_ns * 2 / 3)
        lose(zk);
    else
        env_timer_set(zk->env, timer, zk->session_timeout_ns / 3);
}

static void set_watches_again(struct zk *zk)
{
    LIST_FOREACH (&zk->watches, struct zk_watch, link, watch) {
        AUTO_BUF struct buf out = BUF_INIT;
        zoo_put(&out, ZOO_SET_WATCH);
        zoo_put(&out, zk->zxid);
        zoo_put_text(&out, watch->path);
        net_send(zk->end, out.data, out.size);
    }
}

static void take_hello(struct zk *zk, int64_t session)
{
    if (session == 0) {
        mark(zk->env->sim, MARK_ZOO_EXPIRY_TOLD);
        expire(zk);
        return;
    }
    zk->session = session;
    zk->is_connected = true;
    env_timer_cancel(zk->env, &zk->patience);
    env_timer_set(zk->env, &zk->tick, zk->session_timeout_ns / 3);
    set_watches_again(zk);
    zk->on_event(zk->ctx, ZK_CONNECTED);
}

static void take_watch(struct zk *zk, const char *path)
{
    LIST_FOREACH (&zk->watches, struct zk_watch, link, watch) {
        if (strcmp(watch->path, path) != 0)
            continue;
        watcher_fn fn = watch->fn;
        void *ctx = watch->ctx;
        free_watch(watch);
        fn((zhandle_t *)(void *)zk, ZOO_CHILD_EVENT, 3, path, ctx);
    }
}

static void on_opened(void *ctx)
{
    struct zk *zk = ctx;
    AUTO_BUF struct buf out = BUF_INIT;
    zoo_put(&out, ZOO_HELLO);
    zoo_put(&out, zk->session);
    zoo_put(&out, zk->zxid);
    zoo_put(&out, zk->session_timeout_ns);
    zoo_put(&out, (int64_t)zk->env->number);
    net_send(zk->end, out.data, out.size);
}

static void on_frame(void *ctx, const void *data, size_t size)
{
    struct zk *zk = ctx;
    struct zoo_reader in = {data, size};
    zk->heard = zk->env->sim->now.mono;
    int kind = (int)zoo_get(&in);
    int64_t number = zoo_get(&in);
    if (kind == ZOO_HELLO) {
        take_hello(zk, number);
        return;
    }
    if (kind == ZOO_WATCH) {
        zk->zxid = number;
        take_watch(zk, zoo_get_text(&in));
        return;
    }
    zk->zxid = zoo_get(&in);
    int rc = (int)zoo_get(&in);
    struct pending *p = LIST_ENTRY(zk->pending.next, struct pending, link);
    CHECK(!list_is_empty(&zk->pending) && p->xid == number && p->kind == kind);
    complete(zk, p, rc, &in);
}

static void on_closed(void *ctx)
{
    struct zk *zk = ctx;
    bool was_connected = zk->is_connected;
    zk->end = NULL;
    zk->is_connected = was_connected;
    lose(zk);
}

static void retry_due(struct timer *timer, struct instant now)
{
    (void)now;
    static const struct end_ops ops = {.opened = on_opened, .frame = on_frame, .closed = on_closed};
    struct zk *zk = CONTAINER_OF(timer, struct zk, retry);
    CHECK(zk->end == NULL);
    size_t server = (size_t)draw(zk->env->sim, ZOO_SERVERS);
    zk->end = net_connect(zk->env->sim, zk->env->host, HOST_ZOO + server,
                          zk->session_timeout_ns * 2 / 3, &ops, zk);
}

// ---- zk.h ----

struct zk *zk_new(struct env *env, const struct zk_url *url, int64_t session_timeout_ns,
                  zk_event_fn *on_event, void *ctx)
{
    (void)url;
    struct zk *zk = mem_zalloc(sizeof(*zk));
    zk->magic = ZK_MAGIC;
    zk->env = env;
    zk->session_timeout_ns = session_timeout_ns;
    zk->on_event = on_event;
    zk->ctx = ctx;
    zk->retry.run = retry_due;
    zk->tick.run = tick_due;
    zk->patience.run = patience_is_over;
    list_init(&zk->pending);
    list_init(&zk->watches);
    env_timer_set(env, &zk->retry, 0);
    return zk;
}

struct zk *zk_free(struct zk *zk)
{
    if (zk == NULL)
        return NULL;
    if (zk->is_connected && !zk->env->is_crashed) {
        AUTO_BUF struct buf out = BUF_INIT;
        zoo_put(&out, ZOO_BYE);
        net_send(zk->end, out.data, out.size);
    }
    drop_end(zk);
    env_timer_cancel(zk->env, &zk->retry);
    env_timer_cancel(zk->env, &zk->patience);
    fail_pending(zk, ZCLOSING);
    LIST_FOREACH (&zk->watches, struct zk_watch, link, watch)
        free_watch(watch);
    zk->magic = 0;
    mem_free(zk);
    return NULL;
}

zhandle_t *zk_handle(struct zk *zk)
{
    return (zhandle_t *)(void *)zk;
}

void zk_touch(struct zk *zk)
{
    (void)zk; // requests leave at once
}

bool zk_is_connected(const struct zk *zk)
{
    return zk->is_connected;
}

int64_t zk_session_id(const struct zk *zk)
{
    return zk->is_connected ? zk->session : 0;
}

const struct ACL_vector *zk_acl(const struct zk *zk)
{
    (void)zk;
    return &ZOO_OPEN_ACL_UNSAFE;
}

const char *zk_last_trouble(void)
{
    return "";
}

int zk_fail(int rc, const char *what, struct error *err)
{
    return error_set(err, rc == ZNONODE ? -ENOENT : -EIO, "Failed to %s: ZooKeeper says %d", what,
                     rc);
}

// ---- zookeeper.h ----

static struct pending *begin(struct zk *zk, int kind, const char *path, struct buf *out)
{
    struct pending *p = mem_zalloc(sizeof(*p));
    p->kind = kind;
    p->xid = ++zk->xid;
    zoo_put(out, kind);
    zoo_put(out, p->xid);
    if (path != NULL)
        zoo_put_text(out, path);
    return p;
}

static int ask(struct zk *zk, struct pending *p, struct buf *out, const void *completion,
               const void *data)
{
    p->completion = completion;
    p->data = data;
    list_append(&zk->pending, &p->link);
    net_send(zk->end, out->data, out->size);
    buf_free(out);
    return ZOK;
}

int zoo_acreate(zhandle_t *zh, const char *path, const char *value, int valuelen,
                const struct ACL_vector *acl, int mode, string_completion_t completion,
                const void *data)
{
    (void)acl;
    struct zk *zk = zk_of(zh);
    struct buf out = BUF_INIT;
    if (!zk->is_connected)
        return ZINVALIDSTATE;
    struct pending *p = begin(zk, ZOO_CREATE, path, &out);
    zoo_put_bytes(&out, value, (size_t)valuelen);
    zoo_put(&out, mode);
    return ask(zk, p, &out, (const void *)completion, data);
}

int zoo_aexists(zhandle_t *zh, const char *path, int watch, stat_completion_t completion,
                const void *data)
{
    (void)watch;
    struct zk *zk = zk_of(zh);
    struct buf out = BUF_INIT;
    if (!zk->is_connected)
        return ZINVALIDSTATE;
    return ask(zk, begin(zk, ZOO_EXISTS, path, &out), &out, (const void *)completion, data);
}

int zoo_aget(zhandle_t *zh, const char *path, int watch, data_completion_t completion,
             const void *data)
{
    (void)watch;
    struct zk *zk = zk_of(zh);
    struct buf out = BUF_INIT;
    if (!zk->is_connected)
        return ZINVALIDSTATE;
    return ask(zk, begin(zk, ZOO_GET, path, &out), &out, (const void *)completion, data);
}

static int ask_children(struct zk *zk, const char *path, watcher_fn watcher, void *ctx,
                        strings_completion_t completion, const void *data)
{
    struct buf out = BUF_INIT;
    if (!zk->is_connected)
        return ZINVALIDSTATE;
    struct pending *p = begin(zk, ZOO_CHILDREN, path, &out);
    zoo_put(&out, watcher != NULL);
    if (watcher != NULL) {
        p->watch = mem_zalloc(sizeof(*p->watch));
        p->watch->path = mem_strdup(path);
        p->watch->fn = watcher;
        p->watch->ctx = ctx;
        list_init(&p->watch->link);
    }
    return ask(zk, p, &out, (const void *)completion, data);
}

int zoo_aget_children(zhandle_t *zh, const char *path, int watch, strings_completion_t completion,
                      const void *data)
{
    (void)watch;
    return ask_children(zk_of(zh), path, NULL, NULL, completion, data);
}

int zoo_awget_children(zhandle_t *zh, const char *path, watcher_fn watcher, void *watcherCtx,
                       strings_completion_t completion, const void *data)
{
    return ask_children(zk_of(zh), path, watcher, watcherCtx, completion, data);
}

int zoo_aset(zhandle_t *zh, const char *path, const char *buffer, int buflen, int version,
             stat_completion_t completion, const void *data)
{
    struct zk *zk = zk_of(zh);
    struct buf out = BUF_INIT;
    if (!zk->is_connected)
        return ZINVALIDSTATE;
    struct pending *p = begin(zk, ZOO_SET, path, &out);
    zoo_put_bytes(&out, buffer, (size_t)buflen);
    zoo_put(&out, version);
    return ask(zk, p, &out, (const void *)completion, data);
}

int zoo_async(zhandle_t *zh, const char *path, string_completion_t completion, const void *data)
{
    struct zk *zk = zk_of(zh);
    struct buf out = BUF_INIT;
    if (!zk->is_connected)
        return ZINVALIDSTATE;
    return ask(zk, begin(zk, ZOO_SYNC, path, &out), &out, (const void *)completion, data);
}

// The types are the simulator's own; the library's users never look at them.
void zoo_create_op_init(zoo_op_t *op, const char *path, const char *value, int valuelen,
                        const struct ACL_vector *acl, int mode, char *path_buffer,
                        int path_buffer_len)
{
    *op = (zoo_op_t){.type = ZOO_CREATE};
    op->create_op.path = path;
    op->create_op.data = value;
    op->create_op.datalen = valuelen;
    op->create_op.acl = acl;
    op->create_op.flags = mode;
    op->create_op.buf = path_buffer;
    op->create_op.buflen = path_buffer_len;
}

void zoo_delete_op_init(zoo_op_t *op, const char *path, int version)
{
    *op = (zoo_op_t){.type = ZOO_DELETE_PART};
    op->delete_op.path = path;
    op->delete_op.version = version;
}

void zoo_set_op_init(zoo_op_t *op, const char *path, const char *buffer, int buflen, int version,
                     struct Stat *stat)
{
    *op = (zoo_op_t){.type = ZOO_SET};
    op->set_op.path = path;
    op->set_op.data = buffer;
    op->set_op.datalen = buflen;
    op->set_op.version = version;
    op->set_op.stat = stat;
}

void zoo_check_op_init(zoo_op_t *op, const char *path, int version)
{
    *op = (zoo_op_t){.type = ZOO_CHECK_PART};
    op->check_op.path = path;
    op->check_op.version = version;
}

static void put_part(const zoo_op_t *op, struct buf *out)
{
    zoo_put(out, op->type);
    switch (op->type) {
    case ZOO_CREATE:
        zoo_put_text(out, op->create_op.path);
        zoo_put_bytes(out, op->create_op.data, (size_t)op->create_op.datalen);
        zoo_put(out, op->create_op.flags);
        break;
    case ZOO_SET:
        zoo_put_text(out, op->set_op.path);
        zoo_put_bytes(out, op->set_op.data, (size_t)op->set_op.datalen);
        zoo_put(out, op->set_op.version);
        break;
    case ZOO_DELETE_PART:
        zoo_put_text(out, op->delete_op.path);
        zoo_put(out, op->delete_op.version);
        break;
    default:
        zoo_put_text(out, op->check_op.path);
        zoo_put(out, op->check_op.version);
        break;
    }
}

int zoo_amulti(zhandle_t *zh, int count, const zoo_op_t *ops, zoo_op_result_t *results,
               void_completion_t completion, const void *data)
{
    struct zk *zk = zk_of(zh);
    struct buf out = BUF_INIT;
    if (!zk->is_connected)
        return ZINVALIDSTATE;
    struct pending *p = begin(zk, ZOO_MULTI, NULL, &out);
    p->count = (size_t)count;
    p->ops = mem_calloc(p->count, sizeof(*p->ops));
    memcpy(p->ops, ops, p->count * sizeof(*ops));
    p->results = results;
    zoo_put(&out, count);
    for (int i = 0; i < count; i++)
        put_part(&ops[i], &out);
    return ask(zk, p, &out, (const void *)completion, data);
}
