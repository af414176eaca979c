// SPDX-License-Identifier: Apache-2.0
//
// Rate limits: calls of frameworks by their principal, so that those who ask much do not hold up
// the others. A limiter lets one call through each 1/qps; what comes too soon waits in a queue in
// its order, and what the queue's capacity leaves out is dropped, of which the framework is told by
// an ERROR event. Who shares a principal, or the default, shares one limiter. Numbers of what came
// and what was done, per principal, live as long as a framework of that principal is there.
//
// Subscriptions are never held up: who is not subscribed has no principal yet.

#include <string.h>

#include "master/internal.h"

#define INTERVAL_MAX (INT64_C(3600) * 24 * 365 * NS_PER_S)

struct limiter {
    struct master *master;
    int64_t interval_ns; // between two calls; 0: this principal is not limited
    bool has_capacity;
    uint64_t capacity; // calls that may wait
    uint64_t waiting;  // calls that do
    int64_t next;      // before it, monotonic, no call is let through
    struct list held;  // held_call.link, the oldest first
    struct timer turn; // while any is held: `next`
};

struct held_call {
    struct list link;
    Mesos__V1__Scheduler__Call *call; // the caller's, as the texts are, until it is answered
    const char *stream_id;
    void *waiter;
};

struct principal {
    uint64_t received, processed; // calls
    size_t framework_count;
};

static int check_qps(bool is_given, double qps, const char *name, struct error *err)
{
    if (is_given && !(qps > 0))
        return error_set(err, -EINVAL, "Invalid %s: %g. It must be a positive number", name, qps);
    return 0;
}

int master_check_rate_limits(const Mesos__V1__RateLimits *limits, struct error *err)
{
    struct map seen = MAP_INIT;
    int r = check_qps(limits->has_aggregate_default_qps, limits->aggregate_default_qps,
                      "aggregate_default_qps", err);
    for (size_t i = 0; i < limits->n_limits && r == 0; i++) {
        const Mesos__V1__RateLimit *limit = limits->limits[i];
        if (map_has(&seen, limit->principal))
            r = error_set(err, -EINVAL, "Duplicate principal %s found in RateLimits configuration",
                          limit->principal);
        else
            r = check_qps(limit->has_qps, limit->qps, "qps", err);
        map_put(&seen, limit->principal, (void *)limit);
    }
    map_free(&seen);
    return r;
}

// ---- the queue ----

static bool is_due(const struct limiter *l, int64_t now)
{
    return l->next <= now;
}

static void take_turn(struct limiter *l, int64_t now)
{
    // From when it was due, so that late timers do not make the rate less; but what nobody used is
    // not saved up.
    int64_t from = l->waiting > 0 && l->next > now - NS_PER_S ? l->next : now;
    l->next = from + l->interval_ns;
}

static void answer(struct master *m, struct held_call *held, int status, const struct error *err)
{
    m->ops->answer(m->ctx, held->waiter, status, status >= 400 ? err->text : NULL);
    list_remove(&held->link);
    mem_free(held);
}

static void run_turn(struct timer *timer, struct instant now)
{
    struct limiter *l = CONTAINER_OF(timer, struct limiter, turn);
    struct master *m = l->master;
    while (!list_is_empty(&l->held) && is_due(l, now.mono)) {
        struct held_call *held = LIST_ENTRY(l->held.next, struct held_call, link);
        take_turn(l, now.mono);
        l->waiting--;
        struct error err;
        int status = master_call_now(m, held->call, held->stream_id, &err);
        answer(m, held, status, &err);
    }
    if (!list_is_empty(&l->held))
        timer_set(&m->timers, &l->turn, l->next);
}

static struct limiter *limiter_new(struct master *m, bool has_qps, double qps, bool has_capacity,
                                   uint64_t capacity)
{
    struct limiter *l = mem_zalloc(sizeof(*l));
    l->master = m;
    if (has_qps) {
        double interval = (double)NS_PER_S / qps;
        l->interval_ns = interval >= (double)INTERVAL_MAX ? INTERVAL_MAX
                         : interval < 1                   ? 1
                                                          : (int64_t)interval;
    }
    l->has_capacity = has_capacity;
    l->capacity = capacity;
    l->turn.run = run_turn;
    list_init(&l->held);
    return l;
}

static struct limiter *limiter_free(struct limiter *l)
{
    if (l == NULL)
        return NULL;
    timer_cancel(&l->master->timers, &l->turn);
    LIST_FOREACH (&l->held, struct held_call, link, held)
        mem_free(held);
    mem_free(l);
    return NULL;
}

void master_limits_init(struct master *m, const Mesos__V1__RateLimits *limits)
{
    if (limits == NULL)
        return;
    for (size_t i = 0; i < limits->n_limits; i++) {
        const Mesos__V1__RateLimit *limit = limits->limits[i];
        map_put(&m->limiters, limit->principal,
                limiter_new(m, limit->has_qps, limit->qps, limit->has_capacity, limit->capacity));
    }
    if (limits->has_aggregate_default_qps)
        m->default_limiter =
            limiter_new(m, true, limits->aggregate_default_qps,
                        limits->has_aggregate_default_capacity, limits->aggregate_default_capacity);
    log_info("Framework rate limiting enabled");
}

void master_limits_free(struct master *m)
{
    MAP_FOREACH (&m->limiters, entry)
        limiter_free(entry->value);
    map_free(&m->limiters);
    m->default_limiter = limiter_free(m->default_limiter);
    MAP_FOREACH (&m->principals, entry)
        mem_free(entry->value);
    map_free(&m->principals);
}

static void refuse_held(struct limiter *l)
{
    struct error err;
    error_set(&err, -ECANCELED, "Master is ending");
    LIST_FOREACH (&l->held, struct held_call, link, held)
        answer(l->master, held, 503, &err);
    l->waiting = 0;
    timer_cancel(&l->master->timers, &l->turn);
}

void master_refuse_held_calls(struct master *m)
{
    MAP_FOREACH (&m->limiters, entry)
        refuse_held(entry->value);
    if (m->default_limiter != NULL)
        refuse_held(m->default_limiter);
}

static struct limiter *find_limiter(const struct framework *f)
{
    const char *principal = f->info->principal;
    struct limiter *l = principal != NULL ? map_get(&f->master->limiters, principal) : NULL;
    if (l == NULL)
        l = f->master->default_limiter;
    return l != NULL && l->interval_ns > 0 ? l : NULL;
}

enum limit_result master_limit_call(struct framework *f, Mesos__V1__Scheduler__Call *call,
                                    const char *stream_id, void *waiter, struct error *err)
{
    struct master *m = f->master;
    struct limiter *l = find_limiter(f);
    if (l == NULL)
        return LIMIT_PASSES;
    if (l->has_capacity && l->waiting >= l->capacity) {
        error_set(err, -EAGAIN, "Message mesos.scheduler.Call dropped: capacity(%llu) exceeded",
                  (unsigned long long)l->capacity);
        log_warning("Dropping a call from framework %s%s%s%s: capacity(%llu) exceeded", f->id,
                    f->info->principal != NULL ? " (" : "",
                    f->info->principal != NULL ? f->info->principal : "",
                    f->info->principal != NULL ? ")" : "", (unsigned long long)l->capacity);
        master_framework_send_error(f, err->text);
        return LIMIT_DROPPED;
    }
    if (list_is_empty(&l->held) && is_due(l, m->now.mono)) {
        take_turn(l, m->now.mono);
        return LIMIT_PASSES;
    }
    CHECK(waiter != NULL && m->ops->answer != NULL);
    struct held_call *held = mem_zalloc(sizeof(*held));
    held->call = call;
    held->stream_id = stream_id;
    held->waiter = waiter;
    list_append(&l->held, &held->link);
    l->waiting++;
    timer_set(&m->timers, &l->turn, l->next);
    return LIMIT_HELD;
}

// ---- the numbers ----

void master_principal_add(struct framework *f)
{
    const char *name = f->info->principal;
    if (name == NULL)
        return;
    struct principal *p = map_get(&f->master->principals, name);
    if (p == NULL) {
        p = mem_zalloc(sizeof(*p));
        map_put(&f->master->principals, name, p);
    }
    p->framework_count++;
}

void master_principal_remove(struct framework *f)
{
    const char *name = f->info->principal;
    struct principal *p = name != NULL ? map_get(&f->master->principals, name) : NULL;
    if (p == NULL || --p->framework_count > 0)
        return;
    map_remove(&f->master->principals, name);
    mem_free(p);
}

void master_principal_count(struct framework *f, bool is_processed)
{
    const char *name = f->info->principal;
    struct principal *p = name != NULL ? map_get(&f->master->principals, name) : NULL;
    if (p == NULL)
        return;
    if (is_processed)
        p->processed++;
    else
        p->received++;
}

void master_principals_put(const struct master *m,
                           void (*put)(void *ctx, const char *name, double value), void *ctx)
{
    MAP_FOREACH (&m->principals, entry) {
        const struct principal *p = entry->value;
        AUTO_FREE char *received = mem_printf("frameworks/%s/messages_received", entry->key);
        AUTO_FREE char *processed = mem_printf("frameworks/%s/messages_processed", entry->key);
        put(ctx, received, (double)p->received);
        put(ctx, processed, (double)p->processed);
    }
}
