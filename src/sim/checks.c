// SPDX-License-Identifier: Apache-2.0
//
// The conditions of the second phase. A condition returns NULL when it holds, or says what it
// lacks.

#include "sim/checks.h"

#include <string.h>

#include "sim/framework.h"
#include "sim/ledger.h"

#define LOOK_EVERY_NS (5 * NS_PER_S)

typedef const char *condition_fn(struct sim *sim);

static void wait_for(struct sim *sim, condition_fn *condition, int64_t bound_ns, const char *what)
{
    int64_t until = sim->now.mono + bound_ns;
    for (;;) {
        arena_reset(sim->scratch);
        operator_tidy(sim);
        arena_reset(sim->scratch);
        const char *lacks = condition(sim);
        if (lacks == NULL)
            return;
        if (sim->now.mono >= until) {
            struct buf books = BUF_INIT; // the process ends
            master_put_books(sim, &books);
            sim_fail(sim, "%s, but not within %.0f s: %s%s", what,
                     (double)bound_ns / (double)NS_PER_S, lacks, books.data);
        }
        sim_run_until(sim, sim->now.mono + LOOK_EVERY_NS);
    }
}

// ---- calm ----

static const char *compare_tasks(struct sim *sim, const struct agent_host *a)
{
    const char **there, **here;
    const char *id = agent_host_id(a);
    size_t here_count = agent_list_tasks(a, sim->scratch, &here);
    size_t there_count = master_list_tasks(sim, id, sim->scratch, &there);
    if (here_count != there_count)
        return arena_printf(sim->scratch, "agent %s has %zu tasks and its master believes in %zu",
                            id, here_count, there_count);
    for (size_t i = 0; i < here_count; i++) {
        if (strcmp(here[i], there[i]) != 0)
            return arena_printf(sim->scratch, "agent %s has %s and its master believes in %s", id,
                                here[i], there[i]);
    }
    return NULL;
}

// One leader, and everybody knows it.
static const char *lacks_leader(struct sim *sim)
{
    const struct master_host *leader = master_leading(sim);
    if (leader == NULL)
        return "no master leads, or more than one";
    for (size_t i = 0; i < sim->config.master_count; i++) {
        if (sim->masters[i].core == NULL || sim->masters[i].failed)
            return arena_printf(sim->scratch, "master %zu is down", i);
    }
    for (size_t i = 0; i < sim->config.agent_count; i++) {
        const struct detector *d = &sim->agents[i].detector;
        if (!d->knows || d->leader != leader->index)
            return arena_printf(sim->scratch, "agent %zu does not know who leads", i);
    }
    for (size_t i = 0; i < sim->config.framework_count; i++) {
        const struct detector *d = &sim->frameworks[i].detector;
        if (!d->knows || d->leader != leader->index)
            return arena_printf(sim->scratch, "framework %zu does not know who leads", i);
    }
    return NULL;
}

static const char *lacks_agents(struct sim *sim)
{
    const char *lacks = lacks_leader(sim);
    if (lacks != NULL)
        return lacks;
    if (!master_is_settled(sim))
        return "the master is not settled";
    for (size_t i = 0; i < sim->config.agent_count; i++) {
        const struct agent_host *a = &sim->agents[i];
        const char *id = agent_host_id(a);
        if (id == NULL || !agent_host_is_registered(a))
            return arena_printf(sim->scratch, "agent %zu is not registered", i);
        if (!master_has_active_agent(sim, id))
            return arena_printf(sim->scratch, "the master does not count on agent %s", id);
        const char *stray = containers_stray(a);
        if (stray != NULL)
            return arena_printf(sim->scratch, "agent %s does not know of its container %s", id,
                                stray);
        const char *lacks_resources = master_lacks_resources(sim, a);
        if (lacks_resources != NULL)
            return lacks_resources;
        const char *differs = compare_tasks(sim, a);
        if (differs != NULL)
            return differs;
    }
    if (master_agent_count(sim) != sim->config.agent_count)
        return arena_printf(sim->scratch, "the master believes in %zu agents",
                            master_agent_count(sim));
    return ledger_lacks_told(sim->ledger);
}

static const char *lacks_calm(struct sim *sim)
{
    for (size_t i = 0; i < sim->config.framework_count; i++) {
        const struct framework_host *f = &sim->frameworks[i];
        if (framework_is_content(f))
            continue;
        MAP_FOREACH (&f->tasks, entry) {
            const struct fw_task *task = entry->value;
            if (!task->is_over && !task->is_service)
                return arena_printf(sim->scratch, "framework %zu waits for task %s of agent %s", i,
                                    task->id, task->agent_id);
        }
        return arena_printf(sim->scratch, "framework %zu (%s) is %s; %u tasks ran to their end", i,
                            f->id, f->is_subscribed ? "subscribed" : "not subscribed", f->finished);
    }
    return lacks_agents(sim);
}

void checks_calm(struct sim *sim)
{
    sim_run_until(sim, sim->now.mono + 5 * NS_PER_MIN);
    if (master_leading(sim) != NULL)
        master_teardown_strangers(sim);
    wait_for(sim, lacks_calm, 40 * NS_PER_MIN, "all agents and frameworks shall be served");
    master_check(master_leading(sim)->core);
}

// ---- drain ----

static const char *lacks_drain(struct sim *sim)
{
    for (size_t i = 0; i < sim->config.framework_count; i++) {
        if (!framework_is_drained(&sim->frameworks[i]))
            return arena_printf(sim->scratch, "framework %zu has %zu tasks", i,
                                sim->frameworks[i].live_count);
    }
    const char *lacks = lacks_agents(sim);
    if (lacks != NULL)
        return lacks;
    for (size_t i = 0; i < sim->config.agent_count; i++) {
        const struct agent_host *a = &sim->agents[i];
        const char **tasks;
        if (agent_list_tasks(a, sim->scratch, &tasks) > 0)
            return arena_printf(sim->scratch, "agent %zu still has %s", i, tasks[0]);
        if (agent_stream_framework(a) != NULL)
            return arena_printf(sim->scratch, "agent %zu still has streams of framework %s", i,
                                agent_stream_framework(a));
        const char *lacks_offers = books_lacks_offers(master_leading(sim)->books, agent_host_id(a));
        if (lacks_offers != NULL)
            return lacks_offers;
    }
    return NULL;
}

void checks_drain(struct sim *sim)
{
    TRACE(sim, "==== drain ====");
    for (size_t i = 0; i < sim->config.framework_count; i++)
        sim->frameworks[i].is_draining = true;
    // What is held for its own sake would expire and come again for ever: then it is looked at
    // between two offers, which is as good.
    wait_for(sim, lacks_drain, 30 * NS_PER_MIN, "every task shall end and everything be offered");
    master_check(master_leading(sim)->core);
}

// ---- leave ----

static const char *lacks_leave(struct sim *sim)
{
    if (master_leading(sim) == NULL)
        return "no master leads, or more than one";
    for (size_t i = 0; i < sim->config.framework_count; i++) {
        if (sim->frameworks[i].id[0] != '\0')
            return arena_printf(sim->scratch, "framework %s is not torn down",
                                sim->frameworks[i].id);
    }
    for (size_t i = 0; i < sim->config.agent_count; i++) {
        if (sim->agents[i].core != NULL)
            return arena_printf(sim->scratch, "agent %zu has not ended", i);
    }
    if (master_agent_count(sim) + master_framework_count(sim) + master_offer_count(sim) > 0)
        return arena_printf(sim->scratch, "the master has %zu agents, %zu frameworks, %zu offers",
                            master_agent_count(sim), master_framework_count(sim),
                            master_offer_count(sim));
    if (!master_is_settled(sim))
        return "the master is not settled";
    if (master_timer_count(sim) > 0)
        return arena_printf(sim->scratch, "the master has %zu timers", master_timer_count(sim));
    return NULL;
}

void checks_leave(struct sim *sim)
{
    TRACE(sim, "==== leave ====");
    for (size_t i = 0; i < sim->config.framework_count; i++) {
        sim->frameworks[i].wants_teardown = true;
        sim->frameworks[i].leaves = true;
    }
    for (size_t i = 0; i < sim->config.agent_count; i++) {
        // All that is left to do there is to remove sandboxes and to look at the disk.
        sim->agents[i].stays_down = true;
        agent_host_stop(&sim->agents[i]);
    }
    wait_for(sim, lacks_leave, 10 * NS_PER_MIN, "nothing shall be left");
    master_check(master_leading(sim)->core);
}
