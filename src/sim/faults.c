// SPDX-License-Identifier: Apache-2.0
//
// What goes wrong. Each world draws which kinds of faults it knows and how often they come, so that
// some worlds are haunted by one kind alone. Faults that last heal by themselves, and all of them
// when the second phase begins.

#include <string.h>

#include "sim/sim.h"

enum fault {
    FAULT_BREAK,
    FAULT_STALL,
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
    FAULT_AGENT_KILL,
    FAULT_AGENT_LEAVE,
    FAULT_AGENT_REBOOT,
    FAULT_OPERATOR,
    FAULT_CUT_FROM_ZOO,
    FAULT_ZOO_SERVER_CRASH,
    FAULT_ZOO_SLOW,
    FAULT_MASTER_STOP,
    FAULT_LEADER_PAUSE,
    FAULT_CANDIDATE_REMOVED,
    FAULT_COUNT,
};

const char *const fault_names[] = {
    "break",
    "stall",
    "partition",
    "one-way partition",
    "pause",
    "slow disk",
    "clock step",
    "master crash",
    "agent crash",
    "agent stop",
    "framework restart",
    "framework fail-over",
    "operator's teardown",
    "executor stream",
    "executor death",
    "agent killed in a turn",
    "agent leaves",
    "reboot",
    "operator",
    "cut from ZooKeeper",
    "ZooKeeper server's crash",
    "slow ZooKeeper",
    "master stop",
    "pause of the leader",
    "candidate removed",
};

struct heal {
    struct list link;
    struct timer timer;
    struct sim *sim;
    size_t from, to, to_count; // from -> [to, to + to_count)
    bool to_is_cut, from_is_cut;
    bool starts_server; // `to` is a server of ZooKeeper that was down
};

static void set_cut(const struct heal *heal, void (*set)(struct sim *, size_t, size_t))
{
    for (size_t to = heal->to; to < heal->to + heal->to_count; to++) {
        if (heal->to_is_cut)
            set(heal->sim, heal->from, to);
        if (heal->from_is_cut)
            set(heal->sim, to, heal->from);
    }
}

static void heal_now(struct heal *heal)
{
    struct sim *sim = heal->sim;
    timer_cancel(&sim->timers, &heal->timer);
    list_remove(&heal->link);
    if (heal->starts_server) {
        zoo_server_start(sim, heal->to - HOST_ZOO);
    } else {
        TRACE(sim, "hosts %zu and %zu hear each other again", heal->from, heal->to);
        set_cut(heal, net_unblock);
    }
    mem_free(heal);
}

static void heal_due(struct timer *timer, struct instant now)
{
    (void)now;
    heal_now(CONTAINER_OF(timer, struct heal, timer));
}

static struct heal *heal_after(struct sim *sim, int64_t delay_ns)
{
    struct heal *heal = mem_zalloc(sizeof(*heal));
    heal->sim = sim;
    heal->timer.run = heal_due;
    list_append(&sim->heals, &heal->link);
    after(sim, &heal->timer, delay_ns);
    return heal;
}

static size_t draw_master(struct sim *sim)
{
    return host_of_master((size_t)draw(sim, sim->config.master_count));
}

// An agent's or a framework's.
static size_t draw_host(struct sim *sim)
{
    return host_of_agent(sim, 0) +
           (size_t)draw(sim, sim->config.agent_count + sim->config.framework_count);
}

static void cut(struct heal *heal, bool both)
{
    struct sim *sim = heal->sim;
    heal->to_is_cut = both || chance(sim, 0.5);
    heal->from_is_cut = both || !heal->to_is_cut;
    TRACE(sim, "host %zu and the %zu hosts from %zu on do not hear each other%s", heal->from,
          heal->to_count, heal->to, both ? "" : ", one way");
    set_cut(heal, net_block);
}

static void partition(struct sim *sim, bool both)
{
    struct heal *heal = heal_after(sim, draw_spread(sim, 100 * NS_PER_MS, 15 * NS_PER_MIN));
    heal->from = draw_host(sim);
    heal->to = draw_master(sim);
    heal->to_count = 1;
    cut(heal, both);
}

// A master, an agent or a framework loses one server of ZooKeeper, or all of them.
static void cut_from_zoo(struct sim *sim)
{
    bool is_all = chance(sim, 0.6);
    struct heal *heal = heal_after(sim, draw_spread(sim, 100 * NS_PER_MS, 3 * NS_PER_MIN));
    heal->from = chance(sim, 0.7) ? draw_master(sim) : draw_host(sim);
    heal->to = is_all ? HOST_ZOO : HOST_ZOO + (size_t)draw(sim, ZOO_SERVERS);
    heal->to_count = is_all ? ZOO_SERVERS : 1;
    mark(sim, MARK_CUT_FROM_ZOO);
    cut(heal, chance(sim, 0.6));
}

static void crash_zoo_server(struct sim *sim)
{
    size_t server = (size_t)draw(sim, ZOO_SERVERS);
    if (!zoo_server_crash(sim, server))
        return;
    struct heal *heal = heal_after(sim, draw_spread(sim, 100 * NS_PER_MS, 2 * NS_PER_MIN));
    heal->to = HOST_ZOO + server;
    heal->starts_server = true;
}

static void pause_host(struct sim *sim)
{
    size_t host = chance(sim, 0.5) ? draw_master(sim) : draw_host(sim);
    int64_t length = draw_spread(sim, 100 * NS_PER_MS, 100 * NS_PER_S);
    TRACE(sim, "host %zu stands still for %.3f s", host, (double)length / (double)NS_PER_S);
    mark(sim, MARK_HOST_PAUSED);
    net_pause(sim, host, sim->now.mono + length);
}

// About as long as its sessions last: it may wake before it is deposed, in the midst of it, or
// after.
static void pause_leader(struct sim *sim)
{
    int64_t timeout = sim->config.session_timeout_ns;
    for (size_t i = 0; i < sim->config.master_count; i++) {
        if (!sim->masters[i].leads)
            continue;
        int64_t length = draw_between(sim, timeout / 2, timeout * 3 / 2);
        TRACE(sim, "master %zu, which leads, stands still for %.3f s", i,
              (double)length / (double)NS_PER_S);
        mark(sim, MARK_LEADER_PAUSED);
        net_pause(sim, host_of_master(i), sim->now.mono + length);
    }
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
    struct master_host *host = &sim->masters[draw_master(sim)];
    // Now and then all of them at once.
    bool is_all = chance(sim, 0.1);
    for (size_t i = 0; i < sim->config.master_count; i++) {
        if (!is_all && &sim->masters[i] != host)
            continue;
        master_host_crash(&sim->masters[i]);
        if (!timer_is_set(&sim->masters[i].start))
            after(sim, &sim->masters[i].start, draw_spread(sim, 10 * NS_PER_MS, 120 * NS_PER_S));
    }
}

static void tear_down(struct sim *sim)
{
    const struct framework_host *f = &sim->frameworks[draw(sim, sim->config.framework_count)];
    struct master_host *leader = master_leading(sim);
    if (f->id[0] == '\0' || chance(sim, 0.7) || leader == NULL)
        return;
    mark(sim, MARK_FRAMEWORK_TORN_DOWN_BY_OPERATOR);
    master_host_teardown(leader, f->id);
}

// To an agent, or to what runs there. False: it is none of these.
static bool happen_to_agent(struct agent_host *a, enum fault fault)
{
    struct sim *sim = a->sim;
    switch (fault) {
    case FAULT_AGENT_CRASH:
        agent_host_crash(a, draw_spread(sim, 10 * NS_PER_MS, 300 * NS_PER_S));
        return true;
    case FAULT_AGENT_STOP:
        agent_host_stop(a);
        return true;
    case FAULT_EXECUTOR_STREAM:
        containers_break_stream(a);
        return true;
    case FAULT_EXECUTOR_DEATH:
        containers_kill_one(a);
        return true;
    case FAULT_AGENT_KILL:
        agent_host_kill_in_turn(a);
        return true;
    case FAULT_AGENT_LEAVE:
        agent_host_leave(a);
        return true;
    case FAULT_AGENT_REBOOT:
        if (chance(sim, 0.3))
            agent_host_reboot(a, draw_spread(sim, NS_PER_S, 300 * NS_PER_S));
        return true;
    default:
        return false;
    }
}

static bool happen_to_zoo(struct sim *sim, enum fault fault)
{
    switch (fault) {
    case FAULT_CUT_FROM_ZOO:
        cut_from_zoo(sim);
        return true;
    case FAULT_ZOO_SERVER_CRASH:
        crash_zoo_server(sim);
        return true;
    case FAULT_ZOO_SLOW:
        mark(sim, MARK_ZOO_SLOW);
        sim->zoo.slow_until = sim->now.mono + draw_spread(sim, NS_PER_S, 60 * NS_PER_S);
        return true;
    case FAULT_CANDIDATE_REMOVED:
        zoo_remove_candidate(sim);
        return true;
    default:
        return false;
    }
}

static void happen(struct sim *sim, enum fault fault)
{
    struct agent_host *a = &sim->agents[draw(sim, sim->config.agent_count)];
    struct framework_host *f = &sim->frameworks[draw(sim, sim->config.framework_count)];
    if (happen_to_agent(a, fault) || happen_to_zoo(sim, fault))
        return;
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
    case FAULT_FRAMEWORK_RESTART:
        framework_restart(f);
        break;
    case FAULT_FRAMEWORK_FAIL_OVER:
        framework_fail_over(f);
        break;
    case FAULT_OPERATOR_TEARDOWN:
        tear_down(sim);
        break;
    case FAULT_STALL:
        net_stall_one(sim, draw_spread(sim, 100 * NS_PER_MS, 60 * NS_PER_S));
        break;
    case FAULT_OPERATOR:
        operator_act(sim);
        break;
    case FAULT_MASTER_STOP:
        master_host_stop(&sim->masters[draw_master(sim)]);
        break;
    case FAULT_LEADER_PAUSE:
        pause_leader(sim);
        break;
    case FAULT_AGENT_CRASH:
    case FAULT_AGENT_STOP:
    case FAULT_AGENT_KILL:
    case FAULT_AGENT_LEAVE:
    case FAULT_AGENT_REBOOT:
    case FAULT_EXECUTOR_STREAM:
    case FAULT_EXECUTOR_DEATH:
    case FAULT_CUT_FROM_ZOO:
    case FAULT_ZOO_SERVER_CRASH:
    case FAULT_ZOO_SLOW:
    case FAULT_CANDIDATE_REMOVED:
    case FAULT_COUNT:
        break; // an agent's, or ZooKeeper's
    }
}

static void fault_due(struct timer *timer, struct instant now)
{
    (void)now;
    struct sim *sim = CONTAINER_OF(timer, struct sim, fault);
    enum fault kinds[FAULT_COUNT];
    size_t count = 0;
    for (size_t i = 0; i < FAULT_COUNT; i++) {
        bool is_zoos = i >= FAULT_CUT_FROM_ZOO;
        if (((sim->config.faults >> i) & 1u) && (sim->config.has_zoo || !is_zoos))
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
    sim->zoo.slow_until = 0;
    for (size_t i = 0; i < sim->config.master_count; i++)
        master_host_start(&sim->masters[i]);
    for (size_t i = 0; i < sim->config.agent_count; i++)
        agent_host_start(&sim->agents[i]);
}
