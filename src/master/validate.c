// SPDX-License-Identifier: Apache-2.0
//
// Checks that need the cluster: offers of an ACCEPT, and a task against framework, agent and what
// was offered. Order and texts are Mesos'. What a message can be checked for alone is in
// model/validate.h.

#include <string.h>

#include "master/internal.h"

static int check_unique(Mesos__V1__OfferID *const *ids, size_t count, struct error *err)
{
    struct map seen = MAP_INIT;
    int r = 0;
    for (size_t i = 0; i < count && count > 1 && r == 0; i++) {
        if (map_has(&seen, ids[i]->value))
            r = error_set(err, -EINVAL, "Duplicate offer %s in offer list", ids[i]->value);
        else
            map_put(&seen, ids[i]->value, ids[i]);
    }
    map_free(&seen);
    return r;
}

int master_validate_offers(struct framework *f, Mesos__V1__OfferID *const *ids, size_t count,
                           struct error *err)
{
    const struct master *m = f->master;
    if (count == 0)
        return error_set(err, -EINVAL, "No offers specified");
    int r = check_unique(ids, count, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < count; i++) {
        if (master_offer(m, ids[i]->value) == NULL)
            return error_set(err, -EINVAL, "Offer %s is no longer valid", ids[i]->value);
    }
    for (size_t i = 0; i < count; i++) {
        const struct offer *o = master_offer(m, ids[i]->value);
        if (o->framework != f)
            return error_set(err, -EINVAL,
                             "Offer %s has invalid framework %s while framework %s is expected",
                             o->id, o->framework->id, f->id);
    }
    const struct offer *first = master_offer(m, ids[0]->value);
    for (size_t i = 1; i < count; i++) {
        const struct offer *o = master_offer(m, ids[i]->value);
        // The quotes are odd in Mesos, too.
        if (strcmp(o->role, first->role) != 0)
            return error_set(err, -EINVAL,
                             "Aggregated offers must be allocated to the same role. Offer %s uses "
                             "role '%s but another is using role '%s",
                             o->id, o->role, first->role);
    }
    for (size_t i = 1; i < count; i++) {
        const struct offer *o = master_offer(m, ids[i]->value);
        if (o->agent != first->agent)
            return error_set(err, -EINVAL,
                             "Aggregated offers must belong to one single agent. Offer %s uses "
                             "agent %s and agent %s",
                             o->id, o->agent->id, first->agent->id);
    }
    return 0;
}

void master_normalise_executor(struct framework *f, Mesos__V1__ExecutorInfo *info,
                               const struct resources *resources)
{
    struct arena *arena = f->master->scratch;
    info->framework_id = master_make_framework_id(arena, f->id);
    info->n_resources =
        resources_to_proto(resources, arena, RESOURCES_NEW_FORM, true, &info->resources);
}

static const char *text_of(struct arena *arena, const struct resources *resources)
{
    AUTO_BUF struct buf buf = BUF_INIT;
    resources_put_text(resources, &buf);
    return arena_strdup(arena, buf.data != NULL ? buf.data : "");
}

static const char *json_of(struct arena *arena, const ProtobufCMessage *message)
{
    AUTO_BUF struct buf buf = BUF_INIT;
    wire_json_encode(message, &buf);
    return arena_strdup(arena, buf.data != NULL ? buf.data : "");
}

// The same id must mean the same executor.
static int check_compatible(struct framework *f, const struct executor *running,
                            const Mesos__V1__ExecutorInfo *info, const char **ret_text)
{
    struct arena *arena = f->master->scratch;
    struct packed *packed = master_pack(&info->base);
    bool same = packed->size == running->info->size &&
                memcmp(packed->data, running->info->data, packed->size) == 0;
    mem_free(packed);
    if (same)
        return 0;
    ProtobufCMessage *existing;
    int r = wire_decode(&mesos__v1__executor_info__descriptor, arena, running->info->data,
                        running->info->size, &existing, NULL);
    CHECK(r == 0);
    static const char line[] = "------------------------------------------------------------\n";
    *ret_text =
        arena_printf(arena,
                     "ExecutorInfo is not compatible with existing ExecutorInfo with same "
                     "ExecutorID.\n%sExisting ExecutorInfo:\n%s\n%sExecutorInfo:\n%s\n%s",
                     line, json_of(arena, existing), line, json_of(arena, &info->base), line);
    return -EINVAL;
}

static int check_ids(struct framework *f, struct agent *a, const Mesos__V1__TaskInfo *task,
                     struct error *err)
{
    const char *id = task->task_id->value;
    int r = validate_id(id, err);
    if (r < 0)
        return r;
    if (map_has(&f->tasks, id))
        return error_set(err, -EINVAL, "Task has duplicate ID: %s", id);
    if (map_has(&f->unreachable, id))
        return error_set(err, -EINVAL, "Task reuses the ID of an unreachable task: %s", id);
    if (strcmp(task->agent_id->value, a->id) != 0)
        return error_set(err, -EINVAL, "Task uses invalid agent %s while agent %s is expected",
                         task->agent_id->value, a->id);
    return 0;
}

static int check_executor_id(struct framework *f, const Mesos__V1__ExecutorInfo *executor,
                             struct error *err)
{
    if (executor->framework_id == NULL)
        return error_set(err, -EINVAL, "'ExecutorInfo.framework_id' must be set");
    if (strcmp(executor->framework_id->value, f->id) != 0)
        return error_set(err, -EINVAL,
                         "ExecutorInfo has an invalid FrameworkID (Actual: %s vs Expected: %s)",
                         executor->framework_id->value, f->id);
    return 0;
}

static int check_limits_capability(const struct agent *a, const Mesos__V1__TaskInfo *task,
                                   struct error *err)
{
    if (task->n_limits > 0 &&
        !master_agent_can(a, MESOS__V1__AGENT_INFO__CAPABILITY__TYPE__TASK_RESOURCE_LIMITS))
        return error_set(err, -EINVAL, "Agent is not capable of handling task resource limits");
    return 0;
}

// All that can be said with the texts of an error.
static int check_task(struct framework *f, struct agent *a, const Mesos__V1__TaskInfo *task,
                      struct resources **resources, struct error *err)
{
    int r = check_ids(f, a, task, err);
    if (r == 0)
        r = validate_task(task, resources, err);
    if (r < 0)
        return r;
    r = check_limits_capability(a, task, err);
    if (r < 0)
        return r;
    return task->executor != NULL ? check_executor_id(f, task->executor, err) : 0;
}

int master_validate_launch(struct framework *f, struct agent *a, Mesos__V1__TaskInfo *task,
                           struct resources *wanted, const struct resources *available,
                           struct resources **ret_executor, const char **ret_text)
{
    struct arena *arena = f->master->scratch;
    struct error err;
    AUTO_RESOURCES struct resources *executor = NULL;
    int r = check_task(f, a, task, &wanted, &err);
    if (r == 0 && task->executor != NULL)
        r = resources_from_proto(task->executor->resources, task->executor->n_resources, &executor,
                                 &err);
    if (r < 0) {
        *ret_text = arena_strdup(arena, err.text);
        return r;
    }
    AUTO_RESOURCES struct resources *both = NULL;
    const struct resources *total = wanted;
    if (executor != NULL) {
        master_normalise_executor(f, task->executor, executor);
        const struct executor *running =
            master_agent_find_executor(a, f, task->executor->executor_id->value);
        if (running == NULL) {
            both = resources_copy(wanted);
            resources_add(both, executor);
            total = both;
        } else {
            r = check_compatible(f, running, task->executor, ret_text);
            if (r < 0)
                return r;
            executor = resources_free(executor);
        }
    }
    if (!resources_contains(available, total)) {
        *ret_text = arena_printf(arena,
                                 "Total resources %s required by task and its executor is more "
                                 "than available %s",
                                 text_of(arena, total), text_of(arena, available));
        return -EINVAL;
    }
    *ret_executor = TAKE_PTR(executor);
    return 0;
}

// ---- groups ----

static int check_group_tasks(struct framework *f, struct agent *a,
                             const Mesos__V1__TaskGroupInfo *group, struct error *err)
{
    struct map seen = MAP_INIT;
    int r = 0;
    for (size_t i = 0; i < group->n_tasks && r == 0; i++) {
        const Mesos__V1__TaskInfo *task = group->tasks[i];
        const char *id = task->task_id->value;
        r = check_ids(f, a, task, err);
        if (r == 0 && map_has(&seen, id))
            r = error_set(err, -EINVAL, "Task has duplicate ID: %s", id);
        map_put(&seen, id, group->tasks[i]);
        if (r == 0)
            r = validate_group_task(task, err);
        if (r == 0)
            r = check_limits_capability(a, task, err);
        if (r < 0)
            error_wrap(err, r, "Task '%s' is invalid", id);
    }
    map_free(&seen);
    return r;
}

static bool shares_cgroups(const struct task *t, struct arena *arena)
{
    ProtobufCMessage *message;
    if (t->details == NULL || wire_decode(&mesos__v1__task__descriptor, arena, t->details->data,
                                          t->details->size, &message, NULL) < 0)
        return true;
    return validate_shares_cgroups(((Mesos__V1__Task *)message)->container);
}

// The tasks that its executor runs already share control groups, or do not, as those of the group.
static int check_cgroups_of_others(struct framework *f, struct agent *a,
                                   const Mesos__V1__TaskGroupInfo *group, const char *executor_id,
                                   struct error *err)
{
    bool shares = validate_shares_cgroups(group->tasks[0]->container);
    struct map *tasks[] = {&f->tasks, &f->unreachable};
    for (size_t i = 0; i < ARRAY_COUNT(tasks); i++) {
        MAP_FOREACH (tasks[i], entry) {
            const struct task *t = entry->value;
            if (t->executor_id != NULL && strcmp(t->executor_id, executor_id) == 0 &&
                strcmp(t->agent_id, a->id) == 0 && shares_cgroups(t, f->master->scratch) != shares)
                return error_set(err, -EINVAL, VALIDATE_MIXED_CGROUPS);
        }
    }
    return 0;
}

// Frees the amounts unless they were taken.
static void free_amounts(struct resources **amounts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        resources_free(amounts[i]);
}

static int check_available(const struct resources *available, struct resources *const *amounts,
                           size_t count, const struct resources *executor /* or NULL */,
                           struct arena *arena, const char **ret_text)
{
    AUTO_RESOURCES struct resources *total = resources_new();
    for (size_t i = 0; i < count; i++)
        resources_add(total, amounts[i]);
    if (executor != NULL)
        resources_add(total, executor);
    if (resources_contains(available, total))
        return 0;
    *ret_text = arena_printf(arena,
                             "Total resources %s required by task group and its executor are more "
                             "than available %s",
                             text_of(arena, total), text_of(arena, available));
    return -EINVAL;
}

static int read_amounts(const Mesos__V1__TaskGroupInfo *group, struct resources **amounts,
                        struct error *err)
{
    int r = 0;
    for (size_t i = 0; i < group->n_tasks && r == 0; i++)
        r = resources_from_proto(group->tasks[i]->resources, group->tasks[i]->n_resources,
                                 &amounts[i], err);
    return r;
}

int master_validate_group(struct framework *f, struct agent *a,
                          const Mesos__V1__TaskGroupInfo *group, Mesos__V1__ExecutorInfo *executor,
                          const struct resources *available, struct resources ***ret_tasks,
                          struct resources **ret_executor, const char **ret_text)
{
    struct arena *arena = f->master->scratch;
    struct error err;
    struct resources **amounts = arena_calloc(arena, group->n_tasks + 1, sizeof(*amounts));
    AUTO_RESOURCES struct resources *own = NULL;
    *ret_text = NULL;
    const struct executor *running = master_agent_find_executor(a, f, executor->executor_id->value);
    int r = check_group_tasks(f, a, group, &err);
    if (r == 0)
        r = validate_executor(executor, &err);
    if (r == 0)
        r = check_executor_id(f, executor, &err);
    if (r == 0)
        r = validate_executor_resources(executor, &err);
    if (r == 0)
        r = resources_from_proto(executor->resources, executor->n_resources, &own, &err);
    if (r == 0) {
        master_normalise_executor(f, executor, own);
        r = running == NULL ? 0 : check_compatible(f, running, executor, ret_text);
    }
    if (r == 0)
        r = validate_group(group, executor, &err);
    if (r == 0)
        r = read_amounts(group, amounts, &err);
    if (r == 0)
        r = check_available(available, amounts, group->n_tasks, running == NULL ? own : NULL, arena,
                            ret_text);
    if (r == 0)
        r = validate_group_cgroups(group, executor, &err);
    if (r == 0 && running != NULL)
        r = check_cgroups_of_others(f, a, group, running->id, &err);
    if (r < 0) {
        free_amounts(amounts, group->n_tasks);
        *ret_text = *ret_text != NULL ? *ret_text : arena_strdup(arena, err.text);
        return r;
    }
    *ret_tasks = amounts;
    *ret_executor = running == NULL ? TAKE_PTR(own) : NULL;
    return 0;
}
