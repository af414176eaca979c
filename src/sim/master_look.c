// SPDX-License-Identifier: Apache-2.0
//
// What the checks and the marks ask of the master core's own records.

#include <stdlib.h>
#include <string.h>

#include "master/records.h"
#include "model/task_state.h"
#include "sim/sim.h"

static const struct master *leading_core(const struct sim *sim)
{
    const struct master_host *host = master_leading(sim);
    return host != NULL ? host->core : NULL;
}

bool master_host_has_framework(const struct master_host *host, const char *id)
{
    return map_has(&host->core->frameworks, id);
}

bool master_has_framework(const struct sim *sim, const char *id)
{
    const struct master *m = leading_core(sim);
    return m != NULL && map_has(&m->frameworks, id);
}

bool master_is_settled(const struct sim *sim)
{
    const struct master *m = leading_core(sim);
    return m != NULL && m->recovered.count == 0 && m->writes.count == 0;
}

bool master_has_active_agent(const struct sim *sim, const char *id)
{
    const struct agent *a = map_get(&leading_core(sim)->agents, id);
    return a != NULL && a->active && a->channel != NULL && !a->marking;
}

size_t master_agent_count(const struct sim *sim)
{
    return leading_core(sim)->agents.count;
}

size_t master_framework_count(const struct sim *sim)
{
    return leading_core(sim)->frameworks.count;
}

size_t master_timer_count(const struct sim *sim)
{
    const struct master *m = leading_core(sim);
    return m->timers.count - timer_is_set(&m->forgetting);
}

enum machine_state master_machine_state(const struct sim *sim, const char *hostname)
{
    const char *key = arena_printf(sim->scratch, "%s|", hostname);
    const struct machine *machine = map_get(&leading_core(sim)->maintenance_wanted->machines, key);
    if (machine == NULL)
        return MACHINE_UP;
    return machine->is_down ? MACHINE_DOWN : MACHINE_DRAINING;
}

size_t master_offer_count(const struct sim *sim)
{
    return leading_core(sim)->offers.count;
}

const char *master_lacks_resources(struct sim *sim, const struct agent_host *a)
{
    const struct master *m = leading_core(sim);
    const char *id = agent_host_id(a);
    const struct agent *agent = map_get(&m->agents, id);
    AUTO_RESOURCES struct resources *total = agent_host_total(a);
    if (!list_is_empty(&agent->operations) || agent_operation_count(a) > 0)
        return arena_printf(sim->scratch, "operations of agent %s are not acknowledged", id);
    AUTO_RESOURCES struct resources *base;
    CHECK(resources_parse(a->resources, "*", &base, NULL) == 0);
    static const char *const names[] = {"cpus", "mem", "disk"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        REQUIRE(sim, resources_scalar(total, names[i]) == resources_scalar(base, names[i]),
                "agent %s has come to another amount of %s", id, names[i]);
    if (!resources_is_equal(total, base))
        return arena_printf(sim->scratch, "not all of agent %s is as it was in the beginning", id);
    if (resources_is_equal(total, agent->total))
        return NULL;
    AUTO_BUF struct buf text = BUF_INIT;
    resources_put_text(total, &text);
    buf_puts(&text, ", and its master believes in ");
    resources_put_text(agent->total, &text);
    return arena_printf(sim->scratch, "agent %s has %s", id, text.data);
}

size_t master_list_deactivated(const struct sim *sim, struct arena *arena, const char ***ret_ids)
{
    const struct master *m = leading_core(sim);
    size_t count = 0;
    *ret_ids = arena_calloc(arena, m->deactivations.count + 1, sizeof(**ret_ids));
    MAP_FOREACH (&m->deactivations, entry)
        (*ret_ids)[count++] = arena_strdup(arena, entry->key);
    return count;
}

static bool is_somebodys(const struct sim *sim, const char *framework_id)
{
    for (size_t i = 0; i < sim->config.framework_count; i++) {
        if (!sim->frameworks[i].is_gone && strcmp(sim->frameworks[i].id, framework_id) == 0)
            return true;
    }
    return false;
}

void master_teardown_strangers(struct sim *sim)
{
    const struct master *m = leading_core(sim);
    struct arena *arena = arena_new(0, 0);
    const char **ids = arena_calloc(arena, m->frameworks.count + 1, sizeof(*ids));
    size_t count = 0;
    MAP_FOREACH (&m->frameworks, entry) {
        if (!is_somebodys(sim, entry->key))
            ids[count++] = arena_strdup(arena, entry->key);
    }
    for (size_t i = 0; i < count; i++) {
        mark(sim, MARK_STRANGER_REMOVED);
        master_host_teardown(master_leading(sim), ids[i]);
    }
    arena_free(arena);
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

size_t master_list_tasks(const struct sim *sim, const char *agent_id, struct arena *arena,
                         const char ***ret)
{
    struct agent *a = map_get(&leading_core(sim)->agents, agent_id);
    size_t count = 0;
    *ret = NULL;
    if (a == NULL)
        return 0;
    LIST_FOREACH (&a->tasks, struct task, by_agent, counted) {
        (void)counted;
        count++;
    }
    *ret = arena_calloc(arena, count + 1, sizeof(**ret));
    count = 0;
    LIST_FOREACH (&a->tasks, struct task, by_agent, t)
        (*ret)[count++] =
            arena_printf(arena, "%s/%s=%s", t->framework->id, t->id, task_state_name(t->state));
    qsort(*ret, count, sizeof(**ret), compare_texts);
    return count;
}

void master_count_marks(struct master_host *host)
{
    struct sim *sim = host->sim;
    MAP_FOREACH (&host->core->frameworks, entry) {
        if (((const struct framework *)entry->value)->recovered)
            mark(sim, MARK_FRAMEWORK_RECOVERED);
    }
    static const struct {
        enum counter counter;
        enum mark mark;
    } rows[] = {
        {COUNT_SLAVE_UNREACHABLE_COMPLETED, MARK_AGENT_UNREACHABLE},
        {COUNT_RECOVERY_SLAVE_REMOVALS, MARK_RECOVERED_AGENT_GIVEN_UP},
        {COUNT_SLAVE_REREGISTRATIONS, MARK_AGENT_RECOVERED},
        {COUNT_SLAVE_REMOVALS_REGISTERED, MARK_AGENT_REPLACED},
        {COUNT_VALID_EXECUTOR_TO_FRAMEWORK, MARK_MESSAGE_TO_FRAMEWORK},
        {COUNT_VALID_FRAMEWORK_TO_EXECUTOR, MARK_MESSAGE_TO_EXECUTOR},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        sim->marks[rows[i].mark] += host->core->counters[rows[i].counter];
}

void master_put_books(const struct sim *sim, struct buf *out)
{
    const struct master *m = leading_core(sim);
    if (m == NULL)
        return;
    MAP_FOREACH (&m->agents, entry) {
        struct agent *a = entry->value;
        buf_printf(out, "\n  agent %s (%s): used ", a->id, a->active ? "active" : "inactive");
        resources_put_text(a->used, out);
        buf_puts(out, "; offered ");
        resources_put_text(a->offered, out);
        LIST_FOREACH (&a->executors, struct executor, by_agent, e)
            buf_printf(out, "\n    executor %s of %s", e->id, e->framework->id);
        LIST_FOREACH (&a->tasks, struct task, by_agent, t)
            buf_printf(out, "\n    task %s of %s: %s", t->id, t->framework->id,
                       task_state_name(t->state));
        LIST_FOREACH (&a->offers, struct offer, by_agent, o)
            buf_printf(out, "\n    offer %s to %s", o->id, o->framework->id);
    }
}
