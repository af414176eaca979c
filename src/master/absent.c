// SPDX-License-Identifier: Apache-2.0
//
// Agents that are not here: those of the registry that did not come back yet, unreachable and gone
// ones, and when these are forgotten.

#include "master/internal.h"

static void give_up_recovered(struct timer *timer, struct instant now)
{
    (void)now;
    struct recovered_agent *r = CONTAINER_OF(timer, struct recovered_agent, timeout);
    master_removal_schedule(r->master, r->id, "agent did not reregister in time");
}

void master_recovered_add(struct master *m, const Mesos__V1__AgentInfo *info, int64_t deadline_ns)
{
    const char *id = info->id->value;
    if (map_has(&m->recovered, id) || map_has(&m->agents, id))
        return;
    struct recovered_agent *r = mem_zalloc(sizeof(*r));
    r->master = m;
    r->id = mem_strdup(id);
    r->arena = arena_new(1024, 0);
    r->info = WIRE_COPY(r->arena, Mesos__V1__AgentInfo, info);
    r->timeout.run = give_up_recovered;
    r->seen = m->snapshot;
    map_put(&m->recovered, r->id, r);
    if (deadline_ns > 0)
        timer_set(&m->timers, &r->timeout, deadline_ns);
}

void master_recovered_remove(struct master *m, const char *id)
{
    struct recovered_agent *r = map_remove(&m->recovered, id);
    if (r == NULL)
        return;
    master_before_change(m, RECORD_RECOVERED_AGENT, r, &r->seen);
    master_removal_cancel(m, id, "it reregistered");
    timer_cancel(&m->timers, &r->timeout);
    arena_free(r->arena);
    mem_free(r->id);
    mem_free(r);
}

// While there is something to forget.
static void watch_age(struct master *m)
{
    if (!timer_is_set(&m->forgetting) && m->options.registry_gc_interval_ns > 0)
        timer_set(&m->timers, &m->forgetting, m->now.mono + m->options.registry_gc_interval_ns);
}

void master_unreachable_add(struct master *m, const char *id, int64_t since_ns)
{
    struct unreachable_agent *u = map_get(&m->unreachable, id);
    if (u == NULL) {
        u = mem_zalloc(sizeof(*u));
        u->id = mem_strdup(id);
        list_init(&u->tasks);
        map_put(&m->unreachable, u->id, u);
    }
    u->since_ns = since_ns;
    watch_age(m);
}

void master_gone_add(struct master *m, const char *id, int64_t since_ns)
{
    int64_t *since = mem_alloc(sizeof(*since));
    *since = since_ns;
    mem_free(map_put(&m->gone, id, since));
    watch_age(m);
}

void master_unreachable_remove(struct master *m, const char *id)
{
    struct unreachable_agent *u = map_remove(&m->unreachable, id);
    if (u == NULL)
        return;
    LIST_FOREACH (&u->tasks, struct task, by_agent, t) {
        map_remove(&t->framework->unreachable, t->id);
        master_task_free(t);
    }
    mem_free(u->id);
    mem_free(u);
}

struct aged {
    const char *id;
    int64_t since_ns;
};

static int compare_ages(const void *left, const void *right)
{
    const struct aged *a = left, *b = right;
    return (a->since_ns > b->since_ns) - (a->since_ns < b->since_ns);
}

// Of `aged` those that are too old, or more than are remembered, the oldest first.
static size_t choose_old(struct master *m, struct aged *aged, size_t count)
{
    const struct master_options *o = &m->options;
    if (count > 0)
        qsort(aged, count, sizeof(*aged), compare_ages);
    size_t chosen = 0;
    while (chosen < count && (count - chosen > o->registry_max_agent_count ||
                              m->now.wall - aged[chosen].since_ns > o->registry_max_agent_age_ns))
        chosen++;
    return chosen;
}

static void forget_unreachable(struct master *m)
{
    struct aged *aged = arena_calloc(m->scratch, m->unreachable.count + 1, sizeof(*aged));
    size_t count = 0;
    MAP_FOREACH (&m->unreachable, entry) {
        const struct unreachable_agent *u = entry->value;
        aged[count++] = (struct aged){u->id, u->since_ns};
    }
    count = choose_old(m, aged, count);
    for (size_t i = 0; i < count; i++) {
        // It may be coming back, or become gone, this very moment.
        if (map_has(&m->writing, aged[i].id) || map_has(&m->marking_gone, aged[i].id))
            continue;
        log_info("Forgetting agent %s, which was unreachable for %.0f seconds", aged[i].id,
                 (double)(m->now.wall - aged[i].since_ns) / (double)NS_PER_S);
        master_registry_forget_agent(m, aged[i].id);
        master_unreachable_remove(m, aged[i].id);
    }
}

static void forget_gone(struct master *m)
{
    struct aged *aged = arena_calloc(m->scratch, m->gone.count + 1, sizeof(*aged));
    size_t count = 0;
    MAP_FOREACH (&m->gone, entry)
        aged[count++] =
            (struct aged){arena_strdup(m->scratch, entry->key), *(const int64_t *)entry->value};
    count = choose_old(m, aged, count);
    for (size_t i = 0; i < count; i++) {
        log_info("Forgetting agent %s, which was marked gone %.0f seconds ago", aged[i].id,
                 (double)(m->now.wall - aged[i].since_ns) / (double)NS_PER_S);
        struct master_item item = {.key = arena_printf(m->scratch, "gone/%s", aged[i].id)};
        m->ops->apply(m->ctx, &item, 1, 0);
        mem_free(map_remove(&m->gone, aged[i].id));
    }
}

void master_forget_agents(struct timer *timer, struct instant now)
{
    (void)now;
    struct master *m = CONTAINER_OF(timer, struct master, forgetting);
    forget_unreachable(m);
    forget_gone(m);
    if (m->unreachable.count > 0 || m->gone.count > 0)
        watch_age(m);
}
