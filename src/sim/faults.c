// SPDX-License-Identifier: Apache-2.0
//
// What goes wrong. Each world draws which kinds of faults it knows and how often they come, so that
// some worlds are haunted by one kind alone. Faults that last heal by themselves, and all of them
// when the second phase begins.

#include <string.h>

#include "sim/sim.h"

enum fault {
    FAULT_BREAK,
    FAULT_PARTITION,
    FAULT_PARTITION_ONE_WAY,
    FAULT_PAUSE,
    FAULT_SLOW_DISK,
    FAULT_CLOCK_STEP,
    FAULT_MASTER_CRASH,
    FAULT_AGENT_CRASH,
    FAULT_AGENT_STOP,
    FAULT_FRAMEWORK_RESTART,
    FAULT_FRAMEWORK_FAIL_OVER,
    FAULT_OPERATOR_TEARDOWN,
    FAULT_EXECUTOR_STREAM,
    FAULT_EXECUTOR_DEATH,
    FAULT_COUNT,
};

const char *const fault_names[] = {
    "break",           "partition",         "one-way partition",   "pause",
    "slow disk",       "clock step",        "master crash",        "agent crash",
    "agent stop",      "framework restart", "framework fail-over", "operator's teardown",
    "executor stream", "executor death",
};

struct heal {
    struct list link;
    struct timer timer;
    struct sim *sim;
    size_t from, to;
    bool both;
};

static void heal_now(struct heal *heal)
{
    struct sim *sim = heal->sim;
    timer_cancel(&sim->timers, &heal->timer);
    list_remove(&heal->link);
    TRACE(sim, "hosts %zu and %zu hear each other again", heal->from, heal->to);
    net_unblock(sim, heal->from, heal->to);
    if (heal->both)
        net_unblock(sim, heal->to, heal->from);
    mem_free(heal);
}

static void heal_due(struct timer *timer, struct instant now)
{
    (void)now;
    heal_now(CONTAINER_OF(timer, struct heal, timer));
}

static size_t draw_host(struct sim *sim)
{
    return 1 + (size_t)draw(sim, sim->config.agent_count + sim->config.framework_count);
}

static void partition(struct sim *sim, bool both)
{
    struct heal *heal = mem_zalloc(sizeof(*heal));
    bool outwards = chance(sim, 0.5);
    size_t host = draw_host(sim);
    heal->sim = sim;
    heal->from = outwards ? HOST_MASTER : host;
    heal->to = outwards ? host : HOST_MASTER;
    heal->both = both;
    heal->timer.run = heal_due;
    TRACE(sim, "host %zu does not hear host %zu%s", heal->to, heal->from,
          both ? ", nor the other way" : "");
    net_block(sim, heal->from, heal->to);
    if (both)
        net_block(sim, heal->to, heal->from);
    list_append(&sim->heals, &heal->link);
    after(sim, &heal->timer, draw_spread(sim, 100 * NS_PER_MS, 15 * NS_PER_MIN));
}

static void pause_host(struct sim *sim)
{
    size_t host = chance(sim, 0.4) ? HOST_MASTER : draw_host(sim);
    int64_t length = draw_spread(sim, 100 * NS_PER_MS, 100 * NS_PER_S);
    TRACE(sim, "host %zu stands still", host);
    mark(sim, MARK_HOST_PAUSED);
    net_pause(sim, host, sim->now.mono + length);
}

static void step_clock(struct sim *sim)
{
    int64_t step = draw_spread(sim, NS_PER_MS, 3600 * NS_PER_S);
    sim->now.wall += chance(sim, 0.5) ? step : -step;
    TRACE(sim, "the wall clock steps");
    mark(sim, MARK_CLOCK_STEPPED);
}

static void crash_master(struct sim *sim)
{
    master_host_crash(sim);
    if (!timer_is_set(&sim->master.start))
        after(sim, &sim->master.start, draw_spread(sim, 10 * NS_PER_MS, 120 * NS_PER_S));
}

static void tear_down(struct sim *sim)
{
    const struct framework_host *f = &sim->frameworks[draw(sim, sim->config.framework_count)];
    if (f->id[0] == '\0' || chance(sim, 0.7))
        return;
    mark(sim, MARK_FRAMEWORK_TORN_DOWN_BY_OPERATOR);
    master_host_teardown(sim, f->id);
}

static void happen(struct sim *sim, enum fault fault)
{
    struct agent_host *a = &sim->agents[draw(sim, sim->config.agent_count)];
    struct framework_host *f = &sim->frameworks[draw(sim, sim->config.framework_count)];
    switch (fault) {
    case FAULT_BREAK:
        net_break_one(sim);
        break;
    case FAULT_PARTITION:
    case FAULT_PARTITION_ONE_WAY:
        partition(sim, fault == FAULT_PARTITION);
        break;
    case FAULT_PAUSE:
        pause_host(sim);
        break;
    case FAULT_SLOW_DISK:
        mark(sim, MARK_DISK_SLOW);
        sim->disk.slow_until = sim->now.mono + draw_spread(sim, NS_PER_S, 120 * NS_PER_S);
        break;
    case FAULT_CLOCK_STEP:
        step_clock(sim);
        break;
    case FAULT_MASTER_CRASH:
        crash_master(sim);
        break;
    case FAULT_AGENT_CRASH:
        agent_host_crash(a, draw_spread(sim, 10 * NS_PER_MS, 300 * NS_PER_S));
        break;
    case FAULT_AGENT_STOP:
        agent_host_stop(a);
        break;
    case FAULT_FRAMEWORK_RESTART:
        framework_restart(f);
        break;
    case FAULT_FRAMEWORK_FAIL_OVER:
        framework_fail_over(f);
        break;
    case FAULT_OPERATOR_TEARDOWN:
        tear_down(sim);
        break;
    case FAULT_EXECUTOR_STREAM:
        containers_break_stream(a);
        break;
    case FAULT_EXECUTOR_DEATH:
        containers_kill_one(a);
        break;
    case FAULT_COUNT:
        break;
    }
}

static void fault_due(struct timer *timer, struct instant now)
{
    (void)now;
    struct sim *sim = CONTAINER_OF(timer, struct sim, fault);
    enum fault kinds[FAULT_COUNT];
    size_t count = 0;
    for (size_t i = 0; i < FAULT_COUNT; i++) {
        if ((sim->config.faults >> i) & 1u)
            kinds[count++] = (enum fault)i;
    }
    if (count > 0)
        happen(sim, kinds[draw(sim, count)]);
    after(sim, timer, draw_between(sim, 0, 2 * sim->config.fault_mean_ns));
}

void faults_begin(struct sim *sim)
{
    list_init(&sim->heals);
    sim->fault.run = fault_due;
    after(sim, &sim->fault, draw_between(sim, 0, 2 * sim->config.fault_mean_ns));
}

void faults_end(struct sim *sim)
{
    TRACE(sim, "==== the world heals ====");
    sim->calm = true;
    timer_cancel(&sim->timers, &sim->fault);
    LIST_FOREACH (&sim->heals, struct heal, link, heal)
        heal_now(heal);
    sim->disk.slow_until = 0;
    master_host_start(sim);
    for (size_t i = 0; i < sim->config.agent_count; i++)
        agent_host_start(&sim->agents[i]);
}
