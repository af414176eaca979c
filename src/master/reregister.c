// SPDX-License-Identifier: Apache-2.0
//
// What a returning agent brings: frameworks, executors and tasks. Two cases. An agent that the
// master does not have in its books (unreachable, or from a former master) is taken over as it
// says. One that only lost its link is compared with the books: what it does not know any more it
// is asked about, and what the books do not know is added.

#include <string.h>

#include "base/plant.h"
#include "master/internal.h"

// Amounts between master and agent carry their allocation; one that lacks it belongs to the
// framework's first role.
static struct resources *read_amount(struct framework *f, Mesos__V1__Resource **messages,
                                     size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (messages[i]->allocation_info != NULL && messages[i]->allocation_info->role != NULL)
            continue;
        struct arena *arena = f->master->scratch;
        messages[i]->allocation_info = WIRE_NEW(arena, Mesos__V1__Resource__AllocationInfo,
                                                mesos__v1__resource__allocation_info);
        messages[i]->allocation_info->role =
            arena_strdup(arena, f->role_count > 0 ? f->roles[0] : "*");
    }
    struct resources *amount;
    int r = resources_from_proto(messages, count, &amount, NULL);
    CHECK(r == 0); // admission looked at them
    return amount;
}

// A completed or unreachable record of the task makes way for the task itself. True: it was lost.
static bool forget_record(struct framework *f, const char *task_id)
{
    struct task *t = map_remove(&f->unreachable, task_id);
    bool found = t != NULL;
    if (t != NULL)
        master_task_free(t);
    LIST_FOREACH (&f->completed_tasks, struct task, by_place, done) {
        if (strcmp(done->id, task_id) == 0) {
            found |= done->state == STATE(LOST);
            f->completed_count--;
            master_task_free(done);
        }
    }
    return found;
}

static void tell_of_return(struct framework *f, struct task *t, const char *message)
{
    struct master *m = f->master;
    Mesos__V1__TaskStatus *status =
        master_make_status(m, t->id, t->agent_id, t->state, REASON(AGENT_REREGISTERED), message);
    if (t->executor_id != NULL)
        status->executor_id = master_make_executor_id(m->scratch, t->executor_id);
    master_task_copy_condition(t, m->scratch, status);
    master_framework_send_update(f, status);
}

uint64_t master_named_instance(const Meseta__Link__FrameworkOnAgent *on_agent, size_t index)
{
    return index < on_agent->n_executor_instances ? on_agent->executor_instances[index] : 0;
}

static void add_executors(struct agent *a, struct framework *f,
                          Meseta__Link__FrameworkOnAgent *on_agent, bool track)
{
    for (size_t i = 0; i < on_agent->n_executors; i++) {
        Mesos__V1__ExecutorInfo *info = on_agent->executors[i];
        if (master_agent_find_executor(a, f, info->executor_id->value) != NULL)
            continue; // it is this one: others of that id were removed
        struct resources *amount = read_amount(f, info->resources, info->n_resources);
        master_normalise_executor(f, info, amount);
        master_executor_add(a, f, info, master_named_instance(on_agent, i), amount);
        if (track && !resources_is_empty(amount))
            allocator_track(a->master->allocator, f->id, a->id, amount);
    }
}

// `tell` is the text of the update that the framework gets for each task that was added (or for
// each that it was told to be lost), or NULL.
static void add_tasks(struct agent *a, struct framework *f,
                      Meseta__Link__FrameworkOnAgent *on_agent, bool track, const char *tell,
                      bool only_lost)
{
    for (size_t i = 0; i < on_agent->n_tasks; i++) {
        Mesos__V1__Task *task = on_agent->tasks[i];
        if (PLANTED(FORGET_TASK) && i + 1 == on_agent->n_tasks)
            continue;
        struct task *known = map_get(&f->tasks, task->task_id->value);
        if (known != NULL) {
            if (known->agent != a) {
                log_warning("Agent %s runs task %s of framework %s, which runs on agent %s as "
                            "well; killing it",
                            a->id, known->id, f->id, known->agent_id);
                master_agent_send_kill(a, f->id, known->id, NULL);
            }
            continue;
        }
        bool was_lost = forget_record(f, task->task_id->value);
        struct task *t =
            master_task_add(a, f, task, read_amount(f, task->resources, task->n_resources));
        if (track && t->holds)
            allocator_track(a->master->allocator, f->id, a->id, t->resources);
        if (tell != NULL && (was_lost || !only_lost))
            tell_of_return(f, t, tell);
    }
}

// NULL: it was removed, and the agent is told so.
static struct framework *find_or_recover(struct agent *a, const Mesos__V1__FrameworkInfo *info)
{
    struct master *m = a->master;
    const char *id = info->id->value;
    struct framework *f = master_framework(m, id);
    if (f != NULL)
        return f;
    if (map_has(&m->completed_ids, id)) {
        log_info("Shutting down framework %s at agent %s: it was removed", id, a->id);
        master_agent_send_shutdown_framework(a, id);
        return NULL;
    }
    log_info("Recovering framework %s from agent %s", id, a->id);
    f = master_framework_add(m, info, NULL, 0, true);
    master_notice_framework(f, NOTICE_FRAMEWORK_ADDED);
    return f;
}

static void send_framework_infos(struct agent *a)
{
    MAP_FOREACH (&a->uses, entry) {
        const struct agent_use *use = entry->value;
        if (!use->framework->recovered)
            master_agent_send_framework_info(a, use->framework);
    }
}

static void publish(struct agent *a)
{
    struct master *m = a->master;
    struct allocator_use *uses = arena_calloc(m->scratch, a->uses.count + 1, sizeof(*uses));
    size_t count = 0;
    MAP_FOREACH (&a->uses, entry) {
        const struct agent_use *use = entry->value;
        if (resources_is_empty(use->used))
            continue;
        uses[count++] =
            (struct allocator_use){.framework_id = use->framework->id, .used = use->used};
    }
    allocator_add_agent(m->allocator, a->id, a->total, uses, count);
    allocator_set_agent_info(m->allocator, a->id, a->info);
    if (master_agent_is_deactivated(a))
        master_agent_deactivate(a);
}

void master_agent_take_over(struct agent *a, Meseta__Link__ToMaster__Reregister *message,
                            bool was_unreachable, bool was_recovered)
{
    const char *tell = NULL;
    if (!was_recovered)
        tell = was_unreachable ? "Unreachable agent re-reregistered" : "Unknown agent reregistered";
    master_send_registered(a, true);
    for (size_t i = 0; i < message->n_frameworks; i++) {
        Meseta__Link__FrameworkOnAgent *on_agent = message->frameworks[i];
        struct framework *f = find_or_recover(a, on_agent->info);
        if (f == NULL)
            continue;
        add_executors(a, f, on_agent, false);
        add_tasks(a, f, on_agent, false, tell, false);
    }
    publish(a);
    send_framework_infos(a);
    master_operations_take_over(a, message->operations, message->n_operations);
    master_agent_resume_drain(a);
    master_agent_enter_maintenance(a);
    master_notice_agent(a, NOTICE_AGENT_ADDED);
    log_info("Reregistered agent %s at %s (%s)", a->id, a->pid, a->info->hostname);
}

// ---- an agent that is in the books ----

// "<framework>\n<task or executor>" of all that the agent named; of executors, to their numbers.
static const char *pair(struct arena *arena, const char *framework_id, const char *id)
{
    return arena_printf(arena, "%s\n%s", framework_id, id);
}

static void name_all(struct arena *arena, Meseta__Link__ToMaster__Reregister *message,
                     struct map *tasks, struct map *executors)
{
    for (size_t i = 0; i < message->n_frameworks; i++) {
        Meseta__Link__FrameworkOnAgent *on_agent = message->frameworks[i];
        const char *id = on_agent->info->id->value;
        for (size_t k = 0; k < on_agent->n_tasks; k++)
            map_put(tasks, pair(arena, id, on_agent->tasks[k]->task_id->value), on_agent->tasks[k]);
        for (size_t k = 0; k < on_agent->n_executors; k++) {
            uint64_t instance = master_named_instance(on_agent, k);
            map_put(executors, pair(arena, id, on_agent->executors[k]->executor_id->value),
                    arena_dup(arena, &instance, sizeof(instance)));
        }
    }
}

static bool is_named(const struct map *executors, const struct executor *e)
{
    struct arena *arena = e->framework->master->scratch;
    const uint64_t *instance = map_get(executors, pair(arena, e->framework->id, e->id));
    return instance != NULL && (*instance == 0 || e->instance == 0 || *instance == e->instance);
}

static void ask_about(struct agent *a, struct framework *f, const char **task_ids, size_t count)
{
    struct arena *arena = a->master->scratch;
    Meseta__Link__ToAgent *message = master_make_to_agent(arena, TO_AGENT(RECONCILE));
    Meseta__Link__ToAgent__Reconcile *reconcile =
        WIRE_NEW(arena, Meseta__Link__ToAgent__Reconcile, meseta__link__to_agent__reconcile);
    reconcile->framework_id = master_make_framework_id(arena, f->id);
    reconcile->has_partition_aware = true;
    reconcile->partition_aware = FRAMEWORK_HAS(f->capabilities, PARTITION_AWARE);
    reconcile->task_ids = arena_calloc(arena, count, sizeof(*reconcile->task_ids));
    for (size_t i = 0; i < count; i++)
        reconcile->task_ids[reconcile->n_task_ids++] = master_make_task_id(arena, task_ids[i]);
    message->reconcile = reconcile;
    master_agent_send(a, message);
}

// Tasks that had ended and that the agent does not name are over: it forgets one when its end was
// acknowledged, which another master may have passed on. Asked, it could only say that the task was
// dropped, after the framework heard the true end.
static void finish_missing(struct agent *a, const struct map *named)
{
    LIST_FOREACH (&a->tasks, struct task, by_agent, t) {
        if (task_state_is_terminal(t->state) &&
            !map_has(named, pair(a->master->scratch, t->framework->id, t->id)))
            master_task_finish(t);
    }
}

static void ask_about_missing(struct agent *a, const struct map *named)
{
    struct arena *arena = a->master->scratch;
    MAP_FOREACH (&a->uses, entry) {
        const struct agent_use *use = entry->value;
        struct framework *f = use->framework;
        const char **missing = arena_calloc(arena, use->holders + 1, sizeof(*missing));
        size_t count = 0;
        LIST_FOREACH (&a->tasks, struct task, by_agent, t) {
            if (t->framework == f && !map_has(named, pair(arena, f->id, t->id)))
                missing[count++] = t->id;
        }
        if (count > 0)
            ask_about(a, f, missing, count);
    }
}

static bool has_same_attributes(const Mesos__V1__AgentInfo *x, const Mesos__V1__AgentInfo *y)
{
    bool is_same = x->n_attributes == y->n_attributes;
    for (size_t i = 0; i < x->n_attributes && is_same; i++)
        is_same = wire_is_equal(&x->attributes[i]->base, &y->attributes[i]->base);
    return is_same;
}

void master_agent_return(struct agent *a, Meseta__Link__ToMaster__Reregister *message)
{
    struct master *m = a->master;
    struct map tasks = MAP_INIT, executors = MAP_INIT;
    name_all(m->scratch, message, &tasks, &executors);
    // Who declined it may have done so for an attribute that it lacked.
    if (!has_same_attributes(a->info, message->agent->info))
        allocator_forget_filters(m->allocator, a->id);
    master_agent_describe(a, message->agent);
    allocator_set_agent_info(m->allocator, a->id, a->info);
    a->reregistered = m->now.wall;
    a->returned = m->now.mono;
    LIST_FOREACH (&a->offers, struct offer, by_agent, o)
        master_offer_rescind(o);
    struct resources *total = NULL;
    int r = master_agent_read_total(message->agent, message->checkpointed_resources,
                                    message->n_checkpointed_resources, &total, NULL);
    CHECK(r == 0); // admission looked at them
    master_agent_add_revocable(m, message, total);
    master_agent_set_total(a, total);
    allocator_update_agent(m->allocator, a->id, a->total);
    master_send_registered(a, true);
    LIST_FOREACH (&a->executors, struct executor, by_agent, e) {
        if (!is_named(&executors, e))
            master_executor_remove(e, true);
    }
    finish_missing(a, &tasks);
    ask_about_missing(a, &tasks);
    for (size_t i = 0; i < message->n_frameworks; i++) {
        Meseta__Link__FrameworkOnAgent *on_agent = message->frameworks[i];
        struct framework *f = find_or_recover(a, on_agent->info);
        if (f == NULL)
            continue;
        add_executors(a, f, on_agent, true);
        add_tasks(a, f, on_agent, true, "Disconnected agent reregistered", true);
    }
    LIST_FOREACH (&a->tasks, struct task, by_agent, t) {
        if (t->kill_wanted && master_task_state_counts(t->state))
            master_agent_send_kill(a, t->framework->id, t->id, NULL);
    }
    send_framework_infos(a);
    master_operations_take_over(a, message->operations, message->n_operations);
    master_agent_resume_drain(a);
    master_agent_enter_maintenance(a);
    map_free(&tasks);
    map_free(&executors);
    log_info("Agent %s at %s (%s) is back", a->id, a->pid, a->info->hostname);
}
