// SPDX-License-Identifier: Apache-2.0
//
// libzookeeper on the loop. The library owns the socket and says by zookeeper_interest what it
// waits for; each time it was called, the poll and the timer are set anew. It may close the socket
// within zookeeper_interest, zookeeper_process and zookeeper_close, so the poll is stopped before.
//
//   (new) ──> CONNECTING ──> CONNECTED ──broken──> CONNECTING (the same session)
//                 ^              │                     │ the session's time is over, here or there
//                 └── EXPIRED <──┴─────────────────────┘
//
// A session whose time has passed without a connection is given up here as well: then somebody else
// may lead already, whether we can hear of it or not.

#include "store/zk.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"

#define ZK_MAGIC 0x7a6b7a6bu
#define RETRY_NS (1 * NS_PER_S)
#define PAUSE_MIN_NS (10 * NS_PER_MS)

struct zk {
    uint32_t magic;
    struct env *env;
    char *servers;
    char *credentials;
    int64_t session_timeout_ns;
    zk_event_fn *on_event;
    void *ctx;
    zhandle_t *handle; // NULL while it waits to try again
    uv_poll_t *poll;   // of poll_fd; NULL: none
    int poll_fd;
    bool is_connected;
    int64_t heard;    // when the server was last heard of (monotonic)
    bool has_expired; // seen by the watcher; handled after the library returned
    bool was_refused;
    bool is_inside;        // the library is on the stack
    struct timer timer;    // what the library waits for, or the next try
    struct timer patience; // of the session, while disconnected
    struct env_hook hook;
};

static char last_trouble[256];

// Lines look like "2026-01-01 00:00:00,000:1:ZOO_ERROR@function@123: text".
static void note_trouble(const char *message)
{
    const char *at = strstr(message, "ZOO_");
    const char *text = at != NULL ? strstr(at, ": ") : NULL;
    snprintf(last_trouble, sizeof(last_trouble), "%s", text != NULL ? text + 2 : message);
    last_trouble[strcspn(last_trouble, "\n")] = '\0';
}

const char *zk_last_trouble(void)
{
    return last_trouble;
}

static void open_session(struct zk *zk);
static void update(struct zk *zk);

// ---- the poll ----

static void on_poll_closed(uv_handle_t *handle)
{
    mem_free(handle);
}

static void stop_poll(struct zk *zk)
{
    if (zk->poll != NULL)
        uv_poll_stop(zk->poll);
}

static void drop_poll(struct zk *zk)
{
    if (zk->poll == NULL)
        return;
    uv_close((uv_handle_t *)zk->poll, on_poll_closed);
    zk->poll = NULL;
    zk->poll_fd = -1;
}

static void process(struct zk *zk, int events)
{
    stop_poll(zk);
    zk->is_inside = true;
    zookeeper_process(zk->handle, events);
    zk->is_inside = false;
    update(zk);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct zk *zk = CHECK_CAST(zk, ZK_MAGIC, poll->data);
    int wanted = 0;
    if (status >= 0 && (events & UV_READABLE) != 0)
        zk->heard = env_now(zk->env).mono;
    if (status < 0 || (events & UV_READABLE) != 0)
        wanted |= ZOOKEEPER_READ; // an error is found by reading
    if (status < 0 || (events & UV_WRITABLE) != 0)
        wanted |= ZOOKEEPER_WRITE;
    process(zk, wanted);
}

static void start_poll(struct zk *zk, int fd, int interest)
{
    if (zk->poll_fd != fd)
        drop_poll(zk);
    int events = ((interest & ZOOKEEPER_READ) != 0 ? UV_READABLE : 0) |
                 ((interest & ZOOKEEPER_WRITE) != 0 ? UV_WRITABLE : 0);
    if (fd < 0 || events == 0)
        return;
    if (zk->poll == NULL) {
        zk->poll = mem_zalloc(sizeof(*zk->poll));
        CHECK(uv_poll_init(env_loop(zk->env), zk->poll, fd) == 0);
        zk->poll->data = zk;
        zk->poll_fd = fd;
    }
    CHECK(uv_poll_start(zk->poll, events, on_poll) == 0);
}

// ---- the session ----

static void close_session(struct zk *zk)
{
    drop_poll(zk);
    env_timer_cancel(zk->env, &zk->timer);
    env_timer_cancel(zk->env, &zk->patience);
    if (zk->handle != NULL) {
        zk->is_inside = true;
        zookeeper_close(zk->handle);
        zk->is_inside = false;
    }
    zk->handle = NULL;
    zk->is_connected = false;
    zk->has_expired = false;
}

static void expire(struct zk *zk)
{
    log_warning("The session with ZooKeeper has expired");
    close_session(zk);
    env_timer_set(zk->env, &zk->timer, 0);
    zk->on_event(zk->ctx, ZK_EXPIRED);
}

static void patience_is_over(struct timer *timer, struct instant now)
{
    (void)now;
    struct zk *zk = CONTAINER_OF(timer, struct zk, patience);
    log_warning("No connection to ZooKeeper for as long as the session lasts");
    expire(zk);
}

static void on_session_event(zhandle_t *handle, int type, int state, const char *path, void *ctx)
{
    (void)path;
    struct zk *zk = CHECK_CAST(zk, ZK_MAGIC, ctx);
    if (type != ZOO_SESSION_EVENT || (zk->handle != NULL && handle != zk->handle))
        return;
    if (state == ZOO_CONNECTED_STATE) {
        zk->is_connected = true;
        env_timer_cancel(zk->env, &zk->patience);
        log_info("Connected to ZooKeeper at %s, session 0x%llx", zoo_get_current_server(handle),
                 (unsigned long long)zoo_client_id(handle)->client_id);
        zk->on_event(zk->ctx, ZK_CONNECTED);
    } else if (state == ZOO_EXPIRED_SESSION_STATE) {
        zk->has_expired = true;
    } else if (state == ZOO_AUTH_FAILED_STATE) {
        zk->was_refused = true;
        zk->on_event(zk->ctx, ZK_REFUSED);
    } else if (zk->is_connected) {
        zk->is_connected = false;
        log_warning("Lost the connection to ZooKeeper: %s", last_trouble);
        int64_t left = zk->heard + zoo_recv_timeout(handle) * NS_PER_MS - env_now(zk->env).mono;
        env_timer_set(zk->env, &zk->patience, left > 0 ? left : 0);
        zk->on_event(zk->ctx, ZK_DISCONNECTED);
    }
}

// Asks the library what it waits for. To be called whenever it was entered or has more to send.
static void update(struct zk *zk)
{
    if (zk->handle == NULL)
        return;
    if (!zk->has_expired && !zk->was_refused) {
        stop_poll(zk);
        int fd = -1, interest = 0;
        struct timeval wait = {0};
        zk->is_inside = true;
        int rc = zookeeper_interest(zk->handle, &fd, &interest, &wait);
        zk->is_inside = false;
        int64_t pause = wait.tv_sec * NS_PER_S + wait.tv_usec * NS_PER_US;
        start_poll(zk, rc == ZOK ? fd : -1, interest);
        env_timer_set(zk->env, &zk->timer, pause > PAUSE_MIN_NS ? pause : PAUSE_MIN_NS);
    }
    if (zk->has_expired)
        expire(zk);
    else if (zk->was_refused)
        close_session(zk);
}

static void timer_is_due(struct timer *timer, struct instant now)
{
    (void)now;
    struct zk *zk = CONTAINER_OF(timer, struct zk, timer);
    if (zk->handle == NULL)
        open_session(zk);
    else
        process(zk, 0);
}

static void hook_is_due(struct env_hook *hook, struct instant now)
{
    (void)now;
    update(CONTAINER_OF(hook, struct zk, hook));
}

static void auth_is_done(int rc, const void *data)
{
    (void)data;
    if (rc != ZOK && rc != ZCLOSING)
        log_warning("ZooKeeper did not take the credentials: %s", zerror(rc));
}

static void open_session(struct zk *zk)
{
    int timeout_ms = (int)(zk->session_timeout_ns / NS_PER_MS);
    zk->handle =
        zookeeper_init2(zk->servers, on_session_event, timeout_ms, NULL, zk, 0, note_trouble);
    if (zk->handle == NULL) {
        log_warning("Cannot begin a session with ZooKeeper at %s: %s; trying again", zk->servers,
                    errno == EINVAL ? "no such host" : strerror(errno));
        env_timer_set(zk->env, &zk->timer, RETRY_NS);
        return;
    }
    if (zk->credentials != NULL)
        zoo_add_auth(zk->handle, "digest", zk->credentials, (int)strlen(zk->credentials),
                     auth_is_done, NULL);
    zk_touch(zk);
}

// ---- for users ----

struct zk *zk_new(struct env *env, const struct zk_url *url, int64_t session_timeout_ns,
                  zk_event_fn *on_event, void *ctx)
{
    zoo_set_debug_level(ZOO_LOG_LEVEL_ERROR);
    struct zk *zk = mem_zalloc(sizeof(*zk));
    zk->magic = ZK_MAGIC;
    zk->env = env;
    zk->servers = mem_strdup(url->servers);
    zk->credentials = mem_strdup(url->credentials);
    zk->session_timeout_ns = session_timeout_ns;
    zk->on_event = on_event;
    zk->ctx = ctx;
    zk->poll_fd = -1;
    zk->timer.run = timer_is_due;
    zk->patience.run = patience_is_over;
    zk->hook.run = hook_is_due;
    list_init(&zk->hook.link);
    env_timer_set(env, &zk->timer, 0);
    return zk;
}

struct zk *zk_free(struct zk *zk)
{
    if (zk == NULL)
        return NULL;
    CHECK(zk->magic == ZK_MAGIC && !zk->is_inside);
    close_session(zk);
    env_hook_cancel(&zk->hook);
    mem_free(zk->servers);
    mem_free(zk->credentials);
    zk->magic = 0;
    mem_free(zk);
    return NULL;
}

zhandle_t *zk_handle(struct zk *zk)
{
    return zk->handle;
}

void zk_touch(struct zk *zk)
{
    env_at_turn_end(zk->env, &zk->hook);
}

bool zk_is_connected(const struct zk *zk)
{
    return zk->is_connected && !zk->has_expired && !zk->was_refused;
}

int64_t zk_session_id(const struct zk *zk)
{
    return zk->is_connected ? zoo_client_id(zk->handle)->client_id : 0;
}

const struct ACL_vector *zk_acl(const struct zk *zk)
{
    static struct ACL own[2];
    static struct ACL_vector own_or_read = {.count = 2, .data = own};
    if (zk->credentials == NULL)
        return &ZOO_OPEN_ACL_UNSAFE;
    own[0] = (struct ACL){.perms = ZOO_PERM_READ, .id = ZOO_ANYONE_ID_UNSAFE};
    own[1] = (struct ACL){.perms = ZOO_PERM_ALL, .id = ZOO_AUTH_IDS};
    return &own_or_read;
}

int zk_fail(int rc, const char *what, struct error *err)
{
    int code = rc == ZNOAUTH || rc == ZAUTHFAILED ? -EACCES : rc == ZNONODE ? -ENOENT : -EIO;
    if (rc == ZNOAUTH)
        return error_set(err, code,
                         "Failed to %s: ZooKeeper does not allow it with the "
                         "credentials of the URL",
                         what);
    return error_set(err, code, "Failed to %s: %s", what, zerror(rc));
}
