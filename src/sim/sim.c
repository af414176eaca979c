// SPDX-License-Identifier: Apache-2.0
//
// The world as a whole: time, chance, trace, and its two phases. First anything may fail, and what
// must never happen is looked for after each event; then everything heals, and what must happen in
// the end is waited for, within a bound of simulated time:
//
//   TROUBLE ──heals──> CALM: all agents active, all frameworks subscribed and served, master and
//                      agents agree ──> DRAIN: every task ended, acknowledged and forgotten, every
//                      resource offered again ──> LEAVE: frameworks tear down, agents unregister,
//                      and nothing is left.

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/checks.h"
#include "sim/ledger.h"
#include "sim/run.h"

#define MARK_NAME(name) #name,
const char *const mark_names[MARK_COUNT] = {MARKS(MARK_NAME)};

// ---- chance ----

uint64_t draw(struct sim *sim, uint64_t bound)
{
    return prng_below(&sim->prng, bound);
}

bool chance(struct sim *sim, double probability)
{
    return prng_unit(&sim->prng) < probability;
}

int64_t draw_between(struct sim *sim, int64_t least, int64_t most)
{
    return least + (int64_t)draw(sim, (uint64_t)(most - least) + 1);
}

int64_t draw_spread(struct sim *sim, int64_t least, int64_t most)
{
    // A power of two below the ratio, then evenly within it: no logarithm, which could differ
    // from one C library to another.
    int64_t span = least > 0 ? most / least : most;
    unsigned bits = 0;
    while (bits < 62 && (INT64_C(1) << bits) < span)
        bits++;
    int64_t top = least << draw(sim, bits + 1);
    return draw_between(sim, least, top < most ? top : most);
}

// ---- time ----

void after(struct sim *sim, struct timer *timer, int64_t delay_ns)
{
    timer_set(&sim->timers, timer, sim->now.mono + delay_ns);
}

void sim_run_until(struct sim *sim, int64_t mono)
{
    for (;;) {
        int64_t next = timers_next(&sim->timers);
        if (next > mono)
            break;
        if (next > sim->now.mono) {
            sim->now.wall += next - sim->now.mono;
            sim->now.mono = next;
        }
        arena_reset(sim->scratch);
        sim->event_count++;
        timers_run(&sim->timers, sim->now);
    }
    sim->now.wall += mono - sim->now.mono;
    sim->now.mono = mono;
}

void sim_digest(struct sim *sim, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    uint64_t digest = sim->digest ^ (uint64_t)sim->now.mono;
    size_t at = 0;
    for (; at + sizeof(uint64_t) <= size; at += sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, bytes + at, sizeof(word));
        digest = (digest ^ word) * UINT64_C(1099511628211);
        digest ^= digest >> 32; // what came in above would else never come down
    }
    for (; at < size; at++)
        digest = (digest ^ bytes[at]) * UINT64_C(1099511628211);
    sim->digest = digest * UINT64_C(1099511628211) + size;
}

// ---- trace ----

static void print_moment(const struct sim *sim, FILE *out)
{
    fprintf(out, "%10.6f ", (double)(sim->now.mono - SIM_BEGIN_NS) / (double)NS_PER_S);
}

void sim_trace(struct sim *sim, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    print_moment(sim, stdout);
    vprintf(format, args);
    putchar('\n');
    va_end(args);
}

void sim_fail(struct sim *sim, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fflush(stdout);
    fprintf(stderr, "seed %" PRIu64 ": FAILED at ", sim->seed);
    print_moment(sim, stderr);
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    va_end(args);
    exit(1);
}

size_t host_of_master(size_t index)
{
    return index;
}

size_t host_of_agent(const struct sim *sim, size_t index)
{
    (void)sim;
    return HOST_ZOO + ZOO_SERVERS + index;
}

size_t host_of_framework(const struct sim *sim, size_t index)
{
    return host_of_agent(sim, sim->config.agent_count) + index;
}

// ---- the world ----

static void draw_config(struct sim *sim)
{
    struct config *c = &sim->config;
    c->has_zoo = chance(sim, 0.7);
    c->master_count = c->has_zoo ? 1 + (size_t)draw(sim, MASTERS_MAX) : 1;
    c->session_timeout_ns = draw_spread(sim, 2 * NS_PER_S, 20 * NS_PER_S);
    c->zoo_lag_ns = draw_spread(sim, NS_PER_MS, 2 * NS_PER_S);
    c->recovery_timeout_ns = chance(sim, 0.5) ? 900 * NS_PER_S : 30 * NS_PER_S;
    c->has_operations = chance(sim, 0.4);
    c->agent_count = 1 + (size_t)draw(sim, AGENTS_MAX);
    c->framework_count = 1 + (size_t)draw(sim, FRAMEWORKS_MAX);
    c->trouble_ns = draw_spread(sim, NS_PER_MIN, 40 * NS_PER_MIN);
    c->ping_timeout_ns = chance(sim, 0.5) ? 15 * NS_PER_S : 3 * NS_PER_S;
    c->max_ping_timeouts = chance(sim, 0.5) ? 5 : 2;
    c->reregister_timeout_ns = draw_spread(sim, 60 * NS_PER_S, 600 * NS_PER_S);
    c->offer_timeout_ns = chance(sim, 0.5) ? 0 : draw_spread(sim, 30 * NS_PER_S, 120 * NS_PER_S);
    c->allocation_interval_ns = chance(sim, 0.7) ? 0 : NS_PER_S;
    c->max_completed_frameworks = chance(sim, 0.5) ? 50 : 3;
    c->max_completed_tasks = chance(sim, 0.5) ? 1000 : 3;
    c->max_unreachable_tasks = chance(sim, 0.5) ? 1000 : 3;
    c->delay_ns = draw_spread(sim, 10 * NS_PER_US, 200 * NS_PER_MS);
    c->disk_ns = draw_spread(sim, NS_PER_MS, 5 * NS_PER_S);
    // A third of the worlds knows all faults, the others some.
    c->faults = (unsigned)prng_u64(&sim->prng);
    if (chance(sim, 0.33))
        c->faults = ~0u;
    c->fault_mean_ns = draw_spread(sim, 500 * NS_PER_MS, 120 * NS_PER_S);
}

static struct sim *begin(uint64_t seed, const struct sim_options *options, uint64_t *marks)
{
    struct sim *sim = mem_zalloc(sizeof(*sim));
    sim->seed = seed;
    sim->trace = options->trace;
    sim->marks = marks;
    sim->now = (struct instant){.mono = SIM_BEGIN_NS, .wall = 1700000000 * NS_PER_S};
    sim->scratch = arena_new(64 * 1024, 0);
    prng_seed(&sim->prng, seed);
    draw_config(sim);
    net_init(sim);
    disk_init(sim);
    zoo_init(sim);
    sim->ledger = ledger_new(sim);
    for (size_t i = 0; i < sim->config.master_count; i++) {
        master_host_init(sim, i);
        master_host_start(&sim->masters[i]);
    }
    for (size_t i = 0; i < sim->config.agent_count; i++) {
        agent_host_init(sim, i);
        agent_host_start(&sim->agents[i]);
    }
    for (size_t i = 0; i < sim->config.framework_count; i++)
        framework_init(sim, i);
    faults_begin(sim);
    TRACE(sim, "%zu masters%s, %zu agents, %zu frameworks, %.0f s of trouble",
          sim->config.master_count, sim->config.has_zoo ? " with ZooKeeper" : "",
          sim->config.agent_count, sim->config.framework_count,
          (double)sim->config.trouble_ns / (double)NS_PER_S);
    return sim;
}

static void end(struct sim *sim)
{
    for (size_t i = 0; i < sim->config.framework_count; i++)
        framework_free(&sim->frameworks[i]);
    for (size_t i = 0; i < sim->config.agent_count; i++)
        agent_host_free(&sim->agents[i]);
    for (size_t i = 0; i < sim->config.master_count; i++)
        master_host_free(&sim->masters[i]);
    zoo_free(sim);
    disk_free(sim);
    net_free(sim);
    ledger_free(sim->ledger);
    registry_free(sim);
    map_free(&sim->gone);
    // Removals of sandboxes may be under way: they free themselves.
    sim_run_until(sim, sim->now.mono + NS_PER_MIN);
    REQUIRE(sim, sim->timers.count == 0, "%zu timers are left in the end", sim->timers.count);
    timers_free(&sim->timers);
    arena_free(sim->scratch);
    arena_free(sim->spare);
    mem_free(sim);
}

void sim_run(uint64_t seed, const struct sim_options *options, struct sim_result *result)
{
    struct sim *sim = begin(seed, options, result->marks);
    sim_run_until(sim, sim->now.mono + sim->config.trouble_ns);
    faults_end(sim);
    checks_calm(sim);
    checks_drain(sim);
    checks_leave(sim);
    result->simulated_ns += sim->now.mono - SIM_BEGIN_NS;
    result->event_count += sim->event_count;
    result->digest = sim->digest;
    end(sim);
}
