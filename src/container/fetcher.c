// SPDX-License-Identifier: Apache-2.0
//
// Runs mesos-fetcher for each container that has URIs, and answers its questions about the cache.
//
// A fetch that finds one of its URIs being downloaded by another waits with nothing claimed, and
// looks again when that is settled: so no two fetches can wait for each other.

#include "container/fetcher.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "base/fd.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "container/fetch_cache.h"
#include "container/fetch_talk.h"
#include "container/order_write.h"
#include "container/uri.h"

#define FETCH_MAGIC UINT32_C(0x46455443)

struct fetcher {
    struct env *env;
    struct fetch_cache cache;
    char *program;
    char *frameworks_home;
    int64_t stall_timeout_ns;
    struct list fetches;
    uint64_t succeeded, failed;
};

// One URI of a fetch.
struct fetch_item {
    struct fetch_entry *entry; // referenced; NULL: not by the cache
    bool is_owner;             // this fetch downloads the entry
    bool waited;               // for another's download of it
    bool bypass;               // that failed, or found no room: not by the cache
};

struct fetch {
    uint32_t magic;
    struct fetcher *fetcher;
    struct list link;
    struct fetch_request request;
    char *container_id;
    struct fetch_item *items;
    bool is_waiting; // for another's download
    struct env_child *child;
    pid_t pid;
    int socket;
    uv_poll_t *poll;
    struct timer timer; // to begin, and to look again
    void (*on_done)(void *ctx, const char *failure);
    void *ctx;
};

static void on_timer(struct timer *timer, struct instant now);

struct fetcher *fetcher_new(struct env *env, const struct fetcher_options *options)
{
    struct fetcher *fetcher = mem_zalloc(sizeof(*fetcher));
    fetcher->env = env;
    fetch_cache_init(&fetcher->cache, options->cache_dir, options->cache_size);
    fetcher->program = mem_printf("%s/mesos-fetcher", options->launcher_dir);
    fetcher->frameworks_home = mem_strdup(options->frameworks_home);
    fetcher->stall_timeout_ns = options->stall_timeout_ns;
    list_init(&fetcher->fetches);
    return fetcher;
}

void fetcher_get_metrics(const struct fetcher *fetcher, struct fetcher_metrics *ret)
{
    *ret = (struct fetcher_metrics){
        .succeeded = fetcher->succeeded,
        .failed = fetcher->failed,
        .cache_size_total = fetcher->cache.size_max,
        .cache_size_used = fetcher->cache.size_used,
    };
}

static void wake_waiting(struct fetcher *fetcher)
{
    LIST_FOREACH (&fetcher->fetches, struct fetch, link, fetch) {
        if (fetch->is_waiting) {
            env_timer_set(fetcher->env, &fetch->timer, 0);
        }
    }
}

// Lets go of an entry; one that this fetch did not finish is dropped.
static void release_item(struct fetch *fetch, size_t index)
{
    struct fetch_item *item = &fetch->items[index];
    struct fetch_entry *entry = item->entry;
    if (entry == NULL) {
        return;
    }
    item->entry = NULL;
    entry->references--;
    if (item->is_owner && entry->is_pending) {
        // Others of this same fetch may name it too.
        for (size_t i = 0; i < fetch->request.uri_count; i++) {
            if (fetch->items[i].entry == entry) {
                fetch->items[i].entry = NULL;
            }
        }
        fetch_cache_drop(&fetch->fetcher->cache, entry);
        wake_waiting(fetch->fetcher);
    }
    item->is_owner = false;
}

static void on_poll_closed(uv_handle_t *handle)
{
    mem_free(handle);
}

static void close_socket(struct fetch *fetch)
{
    if (fetch->poll != NULL) {
        uv_poll_stop(fetch->poll);
        uv_close((uv_handle_t *)fetch->poll, on_poll_closed);
        fetch->poll = NULL;
    }
    fd_close_at(&fetch->socket);
    fetch->socket = -1;
}

static void fetch_free(struct fetch *fetch)
{
    env_timer_cancel(fetch->fetcher->env, &fetch->timer);
    for (size_t i = 0; i < fetch->request.uri_count; i++) {
        release_item(fetch, i);
    }
    close_socket(fetch);
    list_remove(&fetch->link);
    mem_free(fetch->items);
    mem_free(fetch->container_id);
    fetch->magic = 0;
    mem_free(fetch);
}

static void finish(struct fetch *fetch, const char *failure)
{
    if (failure == NULL) {
        fetch->fetcher->succeeded++;
    } else {
        fetch->fetcher->failed++;
        log_warning("%s", failure);
    }
    void (*on_done)(void *, const char *) = fetch->on_done;
    void *ctx = fetch->ctx;
    fetch_free(fetch);
    on_done(ctx, failure);
}

// ---- the child's words ----

static void answer(struct fetch *fetch, const struct fetch_packet *packet)
{
    if (packet->item >= fetch->request.uri_count) {
        return;
    }
    struct fetch_item *item = &fetch->items[packet->item];
    if (item->entry == NULL || !item->is_owner || !item->entry->is_pending) {
        return;
    }
    struct fetch_cache *cache = &fetch->fetcher->cache;
    if (packet->word == FETCH_WANTS_SPACE) {
        bool yes = fetch_cache_reserve(cache, item->entry, packet->size);
        struct fetch_packet reply = {.word = yes ? FETCH_YES : FETCH_NO, .item = packet->item};
        (void)send(fetch->socket, &reply, sizeof(reply), MSG_NOSIGNAL | MSG_DONTWAIT);
        return;
    }
    if (packet->word == FETCH_CACHED) {
        struct fetch_entry *entry = item->entry;
        if (fetch_cache_settle(cache, entry) < 0) {
            item->entry = NULL;
        }
        wake_waiting(fetch->fetcher);
    } else if (packet->word == FETCH_NOT_CACHED) {
        release_item(fetch, packet->item);
    }
}

static void drain_socket(struct fetch *fetch)
{
    struct fetch_packet packet;
    ssize_t n;
    while ((n = recv(fetch->socket, &packet, sizeof(packet), MSG_DONTWAIT)) > 0) {
        if (n == (ssize_t)sizeof(packet)) {
            answer(fetch, &packet);
        }
    }
    if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        close_socket(fetch);
    }
}

static void on_socket(uv_poll_t *poll, int status, int events)
{
    struct fetch *fetch = CHECK_CAST(fetch, FETCH_MAGIC, poll->data);
    (void)status;
    (void)events;
    drain_socket(fetch);
}

static void on_exit_of_child(void *ctx, pid_t pid, int status)
{
    struct fetch *fetch = CHECK_CAST(fetch, FETCH_MAGIC, ctx);
    (void)pid;
    fetch->child = NULL;
    if (fetch->socket >= 0) {
        drain_socket(fetch);
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        finish(fetch, NULL);
        return;
    }
    AUTO_FREE char *how =
        WIFEXITED(status) ? mem_printf("exited with status %d", WEXITSTATUS(status))
                          : mem_printf("terminated with signal %s", strsignal(WTERMSIG(status)));
    AUTO_FREE char *failure =
        mem_printf("Failed to fetch all URIs for container '%s': %s", fetch->container_id, how);
    finish(fetch, failure);
}

// ---- starting it ----

// The agent's environment without its own settings, which are no one's business; what libcurl reads
// (proxies, certificates) passes.
static char **make_environment(void)
{
    size_t count = 0;
    while (environ[count] != NULL) {
        count++;
    }
    char **copy = mem_calloc(count + 1, sizeof(copy[0]));
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (!text_starts_with(environ[i], "MESOS_") &&
            !text_starts_with(environ[i], "LIBPROCESS_")) {
            copy[kept++] = environ[i];
        }
    }
    return copy;
}

static int write_order(const struct fetch *fetch, int *ret_fd, struct error *err)
{
    const struct fetcher *fetcher = fetch->fetcher;
    AUTO_BUF struct buf order = BUF_INIT;
    order_put_text(&order, ORDER_DIRECTORY, fetch->request.sandbox);
    order_put_user(&order, fetch->request.user);
    if (fetcher->frameworks_home != NULL) {
        order_put_text(&order, ORDER_FRAMEWORKS_HOME, fetcher->frameworks_home);
    }
    int64_t seconds = (fetcher->stall_timeout_ns + NS_PER_S - 1) / NS_PER_S;
    order_put_number(&order, ORDER_STALL_TIMEOUT, seconds);
    for (size_t i = 0; i < fetch->request.uri_count; i++) {
        const Mesos__V1__CommandInfo__URI *uri = fetch->request.uris[i];
        const struct fetch_item *item = &fetch->items[i];
        bool cached = item->entry != NULL && !item->entry->is_pending;
        order_put_text(&order, ORDER_URI, uri->value);
        order_put_number(&order, ORDER_URI_OPTIONS,
                         (uri->has_executable && uri->executable ? ORDER_URI_EXECUTABLE : 0) |
                             (uri->extract ? ORDER_URI_EXTRACT : 0) |
                             (cached ? ORDER_URI_CACHED : 0));
        if (uri->output_file != NULL) {
            order_put_text(&order, ORDER_URI_OUTPUT, uri->output_file);
        }
        if (item->entry != NULL) {
            order_put_text(&order, ORDER_URI_CACHE_FILE, item->entry->path);
        }
    }
    return order_open(&order, ret_fd, err);
}

static int spawn(struct fetch *fetch, struct error *err)
{
    struct fetcher *fetcher = fetch->fetcher;
    AUTO_CLOSE int order_fd = -1;
    int code = write_order(fetch, &order_fd, err);
    if (code < 0) {
        return code;
    }
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
        return error_errno(err, -errno, "Failed to create a socket pair");
    }
    static char name[] = "mesos-fetcher";
    char *arguments[] = {name, NULL};
    char **environment = make_environment();
    int fds[ORDER_FD_COUNT] = {-1, fetch->request.stdout_fd, fetch->request.stderr_fd, order_fd,
                               pair[1]};
    struct env_spawn order = {
        .file = fetcher->program,
        .arguments = arguments,
        .environment = environment,
        .fds = fds,
        .fd_count = ARRAY_COUNT(fds),
        .new_session = true,
    };
    code =
        env_spawn(fetcher->env, &order, on_exit_of_child, fetch, &fetch->pid, &fetch->child, err);
    mem_free(environment);
    close(pair[1]);
    fetch->socket = pair[0];
    if (code < 0) {
        return code;
    }
    fetch->poll = mem_zalloc(sizeof(*fetch->poll));
    CHECK(uv_poll_init(env_loop(fetcher->env), fetch->poll, fetch->socket) == 0);
    fetch->poll->data = fetch;
    CHECK(uv_poll_start(fetch->poll, UV_READABLE, on_socket) == 0);
    return 0;
}

static bool is_owned_here(const struct fetch *fetch, const struct fetch_entry *entry)
{
    for (size_t i = 0; i < fetch->request.uri_count; i++) {
        if (fetch->items[i].entry == entry && fetch->items[i].is_owner) {
            return true;
        }
    }
    return false;
}

static bool wants_cache(const struct fetch *fetch, size_t index)
{
    const Mesos__V1__CommandInfo__URI *uri = fetch->request.uris[index];
    return uri->has_cache && uri->cache && !fetch->items[index].bypass;
}

// True when one of its URIs is being downloaded by another fetch.
static bool must_wait(struct fetch *fetch)
{
    bool wait = false;
    for (size_t i = 0; i < fetch->request.uri_count; i++) {
        if (!wants_cache(fetch, i)) {
            continue;
        }
        const struct fetch_entry *entry = fetch_cache_get(
            &fetch->fetcher->cache, fetch->request.user_name, fetch->request.uris[i]->value);
        struct fetch_item *item = &fetch->items[i];
        if (entry != NULL && entry->is_pending) {
            item->waited = wait = true;
        } else if (entry == NULL && item->waited) {
            item->bypass = true;
        }
    }
    return wait;
}

static void claim(struct fetch *fetch)
{
    struct fetch_cache *cache = &fetch->fetcher->cache;
    for (size_t i = 0; i < fetch->request.uri_count; i++) {
        if (!wants_cache(fetch, i)) {
            continue;
        }
        struct fetch_item *item = &fetch->items[i];
        const char *uri = fetch->request.uris[i]->value;
        struct error err = {0};
        struct fetch_entry *entry = fetch_cache_get(cache, fetch->request.user_name, uri);
        if (entry != NULL && entry->is_pending && is_owned_here(fetch, entry)) {
            // Named twice: the child takes it from where it put it the first time.
            continue;
        }
        if (entry == NULL) {
            int code = fetch_cache_add(cache, fetch->request.user_name, fetch->request.user, uri,
                                       &entry, &err);
            if (code < 0) {
                log_warning("Fetching '%s' past the cache: %s", uri, err.text);
                continue;
            }
            item->is_owner = true;
        }
        item->entry = entry;
        entry->references++;
    }
}

static void on_timer(struct timer *timer, struct instant now)
{
    struct fetch *fetch = CONTAINER_OF(timer, struct fetch, timer);
    CHECK(fetch->magic == FETCH_MAGIC);
    (void)now;
    fetch->is_waiting = must_wait(fetch);
    if (fetch->is_waiting) {
        return;
    }
    claim(fetch);
    struct error err = {0};
    if (spawn(fetch, &err) < 0) {
        AUTO_FREE char *failure = mem_printf("Failed to fetch all URIs for container '%s': %s",
                                             fetch->container_id, err.text);
        finish(fetch, failure);
    }
}

static int check_uris(const struct fetch_request *request, struct error *err)
{
    for (size_t i = 0; i < request->uri_count; i++) {
        const char *name;
        int code = uri_basename(request->uris[i]->value, &name, err);
        if (code == 0 && request->uris[i]->output_file != NULL) {
            code = uri_check_output(request->uris[i]->output_file, err);
        }
        if (code < 0) {
            return error_wrap(err, code, "Could not fetch");
        }
    }
    return 0;
}

int fetcher_fetch(struct fetcher *fetcher, const struct fetch_request *request,
                  void (*on_done)(void *ctx, const char *failure), void *ctx,
                  struct fetch **ret_fetch, struct error *err)
{
    int code = check_uris(request, err);
    if (code < 0) {
        fetcher->failed++;
        return code;
    }
    struct fetch *fetch = mem_zalloc(sizeof(*fetch));
    fetch->magic = FETCH_MAGIC;
    fetch->fetcher = fetcher;
    fetch->request = *request;
    fetch->container_id = mem_strdup(request->container_id);
    fetch->items = mem_calloc(request->uri_count, sizeof(fetch->items[0]));
    fetch->socket = -1;
    fetch->on_done = on_done;
    fetch->ctx = ctx;
    fetch->timer.run = on_timer;
    list_append(&fetcher->fetches, &fetch->link);
    env_timer_set(fetcher->env, &fetch->timer, 0);
    *ret_fetch = fetch;
    return 0;
}

void fetch_cancel(struct fetch *fetch)
{
    if (fetch->child != NULL) {
        // Its whole session is this one process.
        (void)kill(fetch->pid, SIGKILL);
        env_child_detach(fetch->child);
        fetch->child = NULL;
    }
    fetch_free(fetch);
}

struct fetcher *fetcher_free(struct fetcher *fetcher)
{
    if (fetcher == NULL) {
        return NULL;
    }
    LIST_FOREACH (&fetcher->fetches, struct fetch, link, fetch) {
        fetch_cancel(fetch);
    }
    fetch_cache_free(&fetcher->cache);
    mem_free(fetcher->program);
    mem_free(fetcher->frameworks_home);
    mem_free(fetcher);
    return NULL;
}
