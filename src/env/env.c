// SPDX-License-Identifier: Apache-2.0
//
// The loop and its turn. libuv's order within one iteration is: timers, pending callbacks, prepare,
// poll (where sockets, processes and signals call back), check, closing callbacks. We hang the
// turn's end on prepare, the last moment before the loop sleeps: whatever ran since the last sleep
// has queued its hooks by then, and they run once. Deadlines live in our own heap; one uv_timer
// only bounds the sleep, and the check phase runs what is due.

#include "env/env.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/check.h"
#include "base/map.h"
#include "base/mem.h"
#include "env/env_internal.h"

// ---- clocks and chance ----

static int64_t clock_read(clockid_t clock)
{
    struct timespec ts;
    CHECK(clock_gettime(clock, &ts) == 0);
    return (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

struct instant env_refresh_now(struct env *env)
{
    env->now.mono = clock_read(CLOCK_MONOTONIC);
    env->now.wall = clock_read(CLOCK_REALTIME);
    env->now_is_stale = false;
    return env->now;
}

struct instant env_now(const struct env *env)
{
    if (env->now_is_stale) {
        // The moment is a cache: reading it does not change what the caller sees of `env`.
        return env_refresh_now((struct env *)(uintptr_t)env);
    }
    return env->now;
}

void env_random(void *ret_data, size_t size)
{
    char *at = ret_data;
    while (size > 0) {
        ssize_t n = getrandom(at, size, 0);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        CHECK(n > 0);
        at += n;
        size -= (size_t)n;
    }
}

uint64_t env_random_u64(void)
{
    uint64_t value;
    env_random(&value, sizeof(value));
    return value;
}

// ---- the turn ----

static void run_hooks(struct env *env)
{
    while (!list_is_empty(&env->hooks)) {
        struct env_hook *hook = LIST_ENTRY(env->hooks.next, struct env_hook, link);
        list_remove(&hook->link);
        hook->run(hook, env_now(env));
    }
}

static void on_alarm(uv_timer_t *alarm)
{
    struct env *env = CHECK_CAST(env, ENV_MAGIC, alarm->data);
    env->alarm_due_ms = UINT64_MAX;
}

// Sets the alarm to the next deadline. Both count milliseconds of the monotonic clock; rounding up
// means that the loop never wakes early to find nothing due.
static void set_alarm(struct env *env)
{
    int64_t next = timers_next(&env->timers);
    uint64_t due = UINT64_MAX;
    if (next != INT64_MAX) {
        due = next <= 0 ? 0 : ((uint64_t)next + (NS_PER_MS - 1)) / NS_PER_MS;
    }
    if (due == env->alarm_due_ms) {
        return;
    }
    env->alarm_due_ms = due;
    if (due == UINT64_MAX) {
        uv_timer_stop(&env->alarm);
        return;
    }
    uint64_t loop_ms = uv_now(&env->loop);
    uv_timer_start(&env->alarm, on_alarm, due > loop_ms ? due - loop_ms : 0, 0);
}

static void stay_awake(uv_idle_t *awake)
{
    (void)awake;
}

// The part of this turn that is for longer work. Where the turn has taken long for other things,
// little is won by being short now.
static int64_t background_budget(const struct env *env, int64_t now)
{
    enum { MOST = 100 * NS_PER_US };
    int64_t half = env->now_is_stale ? 0 : (now - env->now.mono) / 2;
    return half < ENV_PIECE_NS ? ENV_PIECE_NS : half > MOST ? MOST : half;
}

// What the turn has to say has left by now; pieces of longer work, and what they have to say.
static void run_pieces(struct env *env)
{
    int64_t now = clock_read(CLOCK_MONOTONIC);
    int64_t end = now + background_budget(env, now);
    do {
        struct env_hook *hook = LIST_ENTRY(env->background.next, struct env_hook, link);
        list_remove(&hook->link);
        hook->run(hook, env_now(env));
        run_hooks(env);
    } while (!list_is_empty(&env->background) && clock_read(CLOCK_MONOTONIC) < end);
}

static void run_background(struct env *env)
{
    bool waits = env->defer && !env->has_deferred;
    env->defer = false;
    env->has_deferred = waits;
    if (!waits && !list_is_empty(&env->background)) {
        run_pieces(env);
    }
    if (list_is_empty(&env->background)) {
        uv_idle_stop(&env->awake);
    } else {
        uv_idle_start(&env->awake, stay_awake);
    }
}

static void on_prepare(uv_prepare_t *prepare)
{
    struct env *env = CHECK_CAST(env, ENV_MAGIC, prepare->data);
    run_hooks(env);
    run_background(env);
    set_alarm(env);
    env->now_is_stale = true;
}

static void on_check(uv_check_t *check)
{
    struct env *env = CHECK_CAST(env, ENV_MAGIC, check->data);
    if (timers_next(&env->timers) != INT64_MAX) {
        timers_run(&env->timers, env_now(env));
    }
}

int env_new(struct env **ret_env, struct error *err)
{
    struct env *env = mem_zalloc(sizeof(*env));
    env->magic = ENV_MAGIC;
    int r = uv_loop_init(&env->loop);
    if (r < 0) {
        mem_free(env);
        return error_set(err, r, "cannot make an event loop: %s", uv_strerror(r));
    }
    list_init(&env->hooks);
    list_init(&env->background);
    list_init(&env->children);
    env->timers = TIMERS_INIT;
    env->alarm_due_ms = UINT64_MAX;
    CHECK(uv_prepare_init(&env->loop, &env->prepare) == 0);
    CHECK(uv_check_init(&env->loop, &env->check) == 0);
    CHECK(uv_timer_init(&env->loop, &env->alarm) == 0);
    CHECK(uv_idle_init(&env->loop, &env->awake) == 0);
    env->prepare.data = env;
    env->check.data = env;
    env->alarm.data = env;
    CHECK(uv_prepare_start(&env->prepare, on_prepare) == 0);
    CHECK(uv_check_start(&env->check, on_check) == 0);
    signal(SIGPIPE, SIG_IGN);
    map_seed(env_random_u64());
    env_refresh_now(env);
    *ret_env = env;
    return 0;
}

static void close_own(struct env *env)
{
    uv_close((uv_handle_t *)&env->prepare, NULL);
    uv_close((uv_handle_t *)&env->check, NULL);
    uv_close((uv_handle_t *)&env->alarm, NULL);
    uv_close((uv_handle_t *)&env->awake, NULL);
    for (int i = 0; i < ENV_SIGNAL_COUNT; i++) {
        if (env->signals[i] != NULL) {
            uv_close((uv_handle_t *)&env->signals[i]->handle, NULL);
        }
    }
}

static void unref_own(struct env *env)
{
    uv_unref((uv_handle_t *)&env->prepare);
    uv_unref((uv_handle_t *)&env->check);
    uv_unref((uv_handle_t *)&env->alarm);
    uv_unref((uv_handle_t *)&env->awake);
    for (int i = 0; i < ENV_SIGNAL_COUNT; i++) {
        if (env->signals[i] != NULL) {
            uv_unref((uv_handle_t *)&env->signals[i]->handle);
        }
    }
}

static void report_open_handle(uv_handle_t *handle, void *ctx)
{
    (void)ctx;
    if (!uv_is_closing(handle)) {
        fprintf(stderr, "env_free: a handle of type %s is still open\n",
                uv_handle_type_name(handle->type));
    }
}

struct env *env_free(struct env *env)
{
    if (env == NULL) {
        return NULL;
    }
    CHECK(env->magic == ENV_MAGIC);
    env_children_forget(env);
    unref_own(env);
    // What was closed needs turns until its memory is gone, and work on libuv's threads must come
    // home; whoever left a handle open is told, instead of waiting for ever.
    int64_t deadline = clock_read(CLOCK_MONOTONIC) + 5 * NS_PER_S;
    while (run_hooks(env), uv_run(&env->loop, UV_RUN_NOWAIT) != 0) {
        if (clock_read(CLOCK_MONOTONIC) > deadline) {
            uv_walk(&env->loop, report_open_handle, NULL);
            CHECK(!"everything on the loop is closed before env_free");
        }
        struct timespec pause = {.tv_nsec = 200000};
        nanosleep(&pause, NULL);
    }
    close_own(env);
    while (uv_run(&env->loop, UV_RUN_NOWAIT) != 0) {
    }
    CHECK(uv_loop_close(&env->loop) == 0);
    for (int i = 0; i < ENV_SIGNAL_COUNT; i++) {
        mem_free(env->signals[i]);
    }
    timers_free(&env->timers);
    mem_free(env);
    return NULL;
}

uv_loop_t *env_loop(struct env *env)
{
    return &env->loop;
}

int env_run(struct env *env)
{
    CHECK(env->magic == ENV_MAGIC);
    while (!env->stopped) {
        uv_run(&env->loop, UV_RUN_DEFAULT);
    }
    run_hooks(env);
    env->stopped = false;
    return env->status;
}

void env_stop(struct env *env, int status)
{
    env->stopped = true;
    env->status = status;
    uv_stop(&env->loop);
}

// ---- timers and hooks ----

struct timers *env_timers(struct env *env)
{
    return &env->timers;
}

void env_timer_set(struct env *env, struct timer *timer, int64_t delay_ns)
{
    timer_set(&env->timers, timer, env_now(env).mono + delay_ns);
}

void env_timer_cancel(struct env *env, struct timer *timer)
{
    timer_cancel(&env->timers, timer);
}

void env_at_turn_end(struct env *env, struct env_hook *hook)
{
    if (list_is_empty(&hook->link)) {
        list_append(&env->hooks, &hook->link);
    }
}

void env_in_background(struct env *env, struct env_hook *hook)
{
    if (list_is_empty(&hook->link)) {
        list_append(&env->background, &hook->link);
    }
}

void env_defer_background(struct env *env)
{
    env->defer = true;
}

void env_before_turn_end(struct env *env, struct env_hook *hook)
{
    list_remove(&hook->link);
    list_prepend(&env->hooks, &hook->link);
}

void env_hook_cancel(struct env_hook *hook)
{
    list_remove(&hook->link);
}

// ---- signals ----

static void on_signal(uv_signal_t *handle, int number)
{
    struct env_signal *entry = handle->data;
    entry->run(entry->ctx, number);
}

void env_on_signal(struct env *env, int number, void (*run)(void *ctx, int signal), void *ctx)
{
    CHECK(number > 0 && number < ENV_SIGNAL_COUNT);
    struct env_signal *entry = env->signals[number];
    if (entry == NULL) {
        entry = mem_zalloc(sizeof(*entry));
        CHECK(uv_signal_init(&env->loop, &entry->handle) == 0);
        entry->handle.data = entry;
        env->signals[number] = entry;
        CHECK(uv_signal_start(&entry->handle, on_signal, number) == 0);
    }
    entry->run = run;
    entry->ctx = ctx;
}
