// SPDX-License-Identifier: Apache-2.0
//
// What the checks ask of an agent core's own records.

#include <stdlib.h>
#include <string.h>

#include "agent/state.h"
#include "model/task_state.h"
#include "sim/sim.h"

const char *agent_host_id(const struct agent_host *a)
{
    return a->core != NULL && a->core->info->id != NULL ? a->core->info->id->value : NULL;
}

struct resources *agent_host_total(const struct agent_host *a)
{
    return resources_copy(a->core->total);
}

static void add_tasks(struct resources *sum, const struct list *tasks)
{
    LIST_FOREACH (tasks, struct agent_task, link, task)
        resources_add(sum, task->resources);
}

// What was launched here and lives fits into what there is. An executor of the agent's own costs a
// little more, which nobody accounts for, as in Mesos; a framework that is being removed has given
// everything back, also when the agent's process does not know that yet; and what an earlier
// process has left may have ended.
void agent_host_check(struct agent_host *a)
{
    if (a->core == NULL)
        return;
    AUTO_RESOURCES struct resources *sum = resources_new();
    MAP_FOREACH (&a->core->containers, entry) {
        const struct agent_executor *e = entry->value;
        if (e->framework->is_terminating || e->is_recovering ||
            !master_has_framework(a->sim, e->framework->id))
            continue;
        add_tasks(sum, &e->queued);
        add_tasks(sum, &e->launched);
        if (e->is_generated)
            continue;
        struct resources *own = NULL;
        CHECK(resources_from_proto(e->info->resources, e->info->n_resources, &own, NULL) == 0);
        resources_add(sum, own);
        resources_free(own);
    }
    resources_unallocate(sum);
    // One copy of what is shared serves for all.
    if (resources_covers(a->core->total, sum))
        return;
    AUTO_BUF struct buf text = BUF_INIT;
    resources_put_text(sum, &text);
    sim_fail(a->sim, "agent %zu runs more than it has: %s of %s", a->index, text.data,
             a->resources);
}

void agent_host_look(struct agent_host *a)
{
    if (++a->sim->check_count % 16 == 0)
        agent_host_check(a);
}

size_t agent_operation_count(const struct agent_host *a)
{
    return a->core->operations.count;
}

bool agent_knows_container(const struct agent_host *a, const char *container_id)
{
    return a->core != NULL && map_has(&a->core->containers, container_id);
}

const char *agent_recovering_container(const struct agent_host *a, size_t n)
{
    MAP_FOREACH (&a->core->containers, entry) {
        if (n-- == 0)
            return entry->key;
    }
    return NULL;
}

bool agent_host_is_registered(const struct agent_host *a)
{
    return a->core != NULL && a->core->state == AGENT_REGISTERED;
}

const char *agent_stream_framework(const struct agent_host *a)
{
    MAP_FOREACH (&a->core->streams, entry) {
        if (master_has_framework(a->sim, entry->key))
            return entry->key;
    }
    return NULL;
}

bool agent_awaits_update(const struct agent_host *a, const char *framework_id, const char *task_id,
                         bool in_subscribe)
{
    const struct agent_framework *f = map_get(&a->core->frameworks, framework_id);
    if (f == NULL || f->is_terminating)
        return false;
    const struct agent_task *task = map_get(&f->tasks, task_id);
    // An executor that subscribes tells a recovered agent which tasks it was sent.
    bool is_here = task != NULL &&
                   (task->stage == TASK_LAUNCHED || (in_subscribe && task->stage == TASK_QUEUED));
    if (!is_here)
        return false;
    return !in_subscribe ||
           (task->executor->state < EXECUTOR_TERMINATING && a->core->state != AGENT_TERMINATING);
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

size_t agent_list_tasks(const struct agent_host *a, struct arena *arena, const char ***ret)
{
    size_t count = 0;
    MAP_FOREACH (&a->core->frameworks, counted)
        count += ((const struct agent_framework *)counted->value)->tasks.count;
    *ret = arena_calloc(arena, count + 1, sizeof(**ret));
    count = 0;
    MAP_FOREACH (&a->core->frameworks, entry) {
        const struct agent_framework *f = entry->value;
        MAP_FOREACH (&f->tasks, task_entry) {
            const struct agent_task *task = task_entry->value;
            (*ret)[count++] = arena_printf(arena, "%s/%s=%s", f->id, task_entry->key,
                                           task_state_name(task->state));
        }
    }
    qsort(*ret, count, sizeof(**ret), compare_texts);
    return count;
}
