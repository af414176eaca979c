// SPDX-License-Identifier: Apache-2.0
//
// SQLite behind a thread, so that a disk that is slow or full does not stop the loop. The thread is
// handed copies and gives back copies; it knows nothing of the store and of the loop, and says by
// an eventfd that it is done. One order is under way at a time.
//
//   IDLE ──begin_…──> WORKING ──done──> IDLE
//                      │   ^ └─the disk is full──> WAITING ──after a moment──> WORKING
//                      │   └──────────────────────────┘ │
//                      └── the patience is over <───────┘──> LEFT (fails; a thread that is stuck in
//                                                            the kernel is left behind, with its
//                                                            part)

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "store/backend.h"
#include "store/store_threaded.h"

#define PLACE_MAGIC 0x74687265u
#define RETRY_NS (500 * NS_PER_MS)

enum order { NOTHING, COMMIT, WALK, QUIT };

// The thread's part. `lock` guards `order`, `is_done` and the order's content, which belongs to the
// thread from the order until it is done.
struct worker {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t ordered;
    enum order order;
    bool is_done;
    int wake; // the eventfd; the thread writes
    const struct store_backend *backend;
    void *inner;
    struct arena *arena; // of batches and found
    struct store_batch *batches;
    size_t batch_count;
    struct store_item *found;
    size_t found_count, found_capacity;
    int result;
    struct error err;
};

enum place_state { IDLE, WORKING, WAITING, LEFT };

struct place {
    uint32_t magic;
    enum place_state state;
    bool is_load;
    bool was_full; // told once per order
    struct error full;
    struct env *env;
    struct store *store;
    struct worker *worker;
    uv_poll_t *poll;
    char *path;
    int64_t fetch_timeout_ns, store_timeout_ns;
    struct timer patience;
    struct timer retry;
};

// ---- the thread ----

static void note_found(void *ctx, const struct store_item *item)
{
    struct worker *w = ctx;
    if (w->found_count == w->found_capacity) {
        w->found_capacity = w->found_capacity * 2 + 64;
        w->found = mem_realloc_array(w->found, w->found_capacity, sizeof(*w->found));
    }
    void *value = arena_alloc(w->arena, item->size + 1);
    memcpy(value, item->value, item->size);
    w->found[w->found_count++] = (struct store_item){
        .key = arena_strdup(w->arena, item->key), .value = value, .size = item->size};
}

static void work(struct worker *w, enum order order)
{
    w->err = (struct error){0};
    w->result = order == COMMIT ? w->backend->commit(w->inner, w->batches, w->batch_count, &w->err)
                                : w->backend->walk(w->inner, note_found, w, &w->err);
}

static void *run_worker(void *ctx)
{
    struct worker *w = ctx;
    pthread_mutex_lock(&w->lock);
    while (w->order != QUIT) {
        if (w->order == NOTHING) {
            pthread_cond_wait(&w->ordered, &w->lock);
            continue;
        }
        enum order order = w->order;
        pthread_mutex_unlock(&w->lock);
        work(w, order);
        pthread_mutex_lock(&w->lock);
        if (w->order == order)
            w->order = NOTHING;
        w->is_done = true;
        uint64_t one = 1;
        ssize_t written = write(w->wake, &one, sizeof(one));
        CHECK(written == (ssize_t)sizeof(one));
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

static void give_order(struct worker *w, enum order order)
{
    pthread_mutex_lock(&w->lock);
    w->order = order;
    w->is_done = false;
    pthread_cond_signal(&w->ordered);
    pthread_mutex_unlock(&w->lock);
}

static void free_worker(struct worker *w)
{
    give_order(w, QUIT);
    pthread_join(w->thread, NULL);
    w->backend->free(w->inner);
    pthread_cond_destroy(&w->ordered);
    pthread_mutex_destroy(&w->lock);
    arena_free(w->arena);
    mem_free(w->found);
    close(w->wake);
    mem_free(w);
}

static int start_worker(struct worker *w, struct error *err)
{
    w->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (w->wake < 0)
        return error_errno(err, errno, "Failed to make an eventfd");
    CHECK(pthread_mutex_init(&w->lock, NULL) == 0 && pthread_cond_init(&w->ordered, NULL) == 0);
    // Signals are the loop's.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = pthread_create(&w->thread, NULL, run_worker, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return r != 0 ? error_set(err, -r, "Failed to start a thread: %s", strerror(r)) : 0;
}

// ---- the loop ----

static void finish(struct place *p, enum place_state state, int result, const struct error *err)
{
    p->state = state;
    env_timer_cancel(p->env, &p->patience);
    env_timer_cancel(p->env, &p->retry);
    store_backend_done(p->store, result, err);
}

static void end_order(struct place *p)
{
    struct worker *w = p->worker;
    if (w->result == -ENOSPC && !p->is_load) {
        if (!p->was_full)
            log_error("Cannot write the registry at %s: %s; trying again", p->path, w->err.text);
        p->was_full = true;
        p->full = w->err;
        p->state = WAITING;
        env_timer_set(p->env, &p->retry, RETRY_NS);
        return;
    }
    if (p->was_full && w->result == 0)
        log_info("There is room again: the registry is written");
    for (size_t i = 0; i < w->found_count && w->result == 0; i++)
        store_backend_item(p->store, &w->found[i]);
    w->found_count = 0;
    arena_reset(w->arena);
    struct error err = w->err;
    finish(p, IDLE, w->result, w->result < 0 ? &err : NULL);
}

static void on_wake(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    struct place *p = CHECK_CAST(place, PLACE_MAGIC, poll->data);
    struct worker *w = p->worker;
    uint64_t count;
    if (read(w->wake, &count, sizeof(count)) != (ssize_t)sizeof(count))
        return;
    pthread_mutex_lock(&w->lock);
    bool is_done = w->is_done;
    w->is_done = false;
    pthread_mutex_unlock(&w->lock);
    if (is_done && p->state == WORKING)
        end_order(p);
}

static void retry_is_due(struct timer *timer, struct instant now)
{
    (void)now;
    struct place *p = CONTAINER_OF(timer, struct place, retry);
    CHECK(p->state == WAITING);
    p->state = WORKING;
    give_order(p->worker, COMMIT);
}

static void patience_is_over(struct timer *timer, struct instant now)
{
    (void)now;
    struct place *p = CONTAINER_OF(timer, struct place, patience);
    AUTO_BUF struct buf duration = BUF_INIT;
    text_put_duration(&duration, p->is_load ? p->fetch_timeout_ns : p->store_timeout_ns);
    struct error err;
    // What is still being written may or may not get there.
    error_set(&err, -ETIMEDOUT, "%s was not %s within %s%s%s", p->path,
              p->is_load ? "read" : "written", duration.data, p->was_full ? ": " : "",
              p->was_full ? p->full.text : "");
    finish(p, p->state == WAITING ? IDLE : LEFT, -ETIMEDOUT, &err);
}

static void begin(struct place *p, bool is_load)
{
    CHECK(p->state == IDLE);
    p->state = WORKING;
    p->is_load = is_load;
    p->was_full = false;
    env_timer_set(p->env, &p->patience, is_load ? p->fetch_timeout_ns : p->store_timeout_ns);
    give_order(p->worker, is_load ? WALK : COMMIT);
}

static void begin_commit(void *place, struct store *store, const struct store_batch *batches,
                         size_t count)
{
    struct place *p = place;
    CHECK(store == p->store);
    struct worker *w = p->worker;
    arena_reset(w->arena);
    w->batches = arena_calloc(w->arena, count + 1, sizeof(*w->batches));
    w->batch_count = count;
    for (size_t i = 0; i < count; i++) {
        struct store_batch *copy = &w->batches[i];
        copy->count = batches[i].count;
        copy->items = arena_calloc(w->arena, copy->count + 1, sizeof(*copy->items));
        for (size_t k = 0; k < copy->count; k++) {
            const struct store_item *item = &batches[i].items[k];
            copy->items[k].key = arena_strdup(w->arena, item->key);
            copy->items[k].size = item->size;
            if (item->value != NULL) {
                void *value = arena_alloc(w->arena, item->size + 1);
                memcpy(value, item->value, item->size);
                copy->items[k].value = value;
            }
        }
    }
    begin(p, false);
}

static void begin_walk(void *place, struct store *store)
{
    struct place *p = place;
    CHECK(store == p->store);
    p->worker->found_count = 0;
    arena_reset(p->worker->arena);
    begin(p, true);
}

static void on_poll_closed(uv_handle_t *handle)
{
    mem_free(handle);
}

static void free_place(void *place)
{
    struct place *p = place;
    env_timer_cancel(p->env, &p->patience);
    env_timer_cancel(p->env, &p->retry);
    if (p->poll != NULL)
        uv_close((uv_handle_t *)p->poll, on_poll_closed);
    if (p->state == LEFT)
        pthread_detach(p->worker->thread); // the process ends soon; what the thread uses stays
    else
        free_worker(p->worker);
    mem_free(p->path);
    p->magic = 0;
    mem_free(p);
}

int store_threaded_open(struct env *env, const struct store_threaded_options *options,
                        struct store **ret_store, struct error *err)
{
    static const struct store_backend backend = {
        .begin_commit = begin_commit, .begin_walk = begin_walk, .free = free_place};
    struct worker *w = mem_zalloc(sizeof(*w));
    int r = sqlite_place_open(options->path, &w->inner, &w->backend, err);
    if (r < 0) {
        mem_free(w);
        return r;
    }
    r = start_worker(w, err);
    if (r < 0) {
        if (w->wake >= 0)
            close(w->wake);
        w->backend->free(w->inner);
        mem_free(w);
        return r;
    }
    w->arena = arena_new(0, 0);
    struct place *p = mem_zalloc(sizeof(*p));
    p->magic = PLACE_MAGIC;
    p->env = env;
    p->worker = w;
    p->path = mem_strdup(options->path);
    p->fetch_timeout_ns = options->fetch_timeout_ns;
    p->store_timeout_ns = options->store_timeout_ns;
    p->patience.run = patience_is_over;
    p->retry.run = retry_is_due;
    p->poll = mem_zalloc(sizeof(*p->poll));
    p->poll->data = p;
    CHECK(uv_poll_init(env_loop(env), p->poll, w->wake) == 0);
    CHECK(uv_poll_start(p->poll, UV_READABLE, on_wake) == 0);
    p->store = store_new(&backend, p);
    *ret_store = p->store;
    return 0;
}
