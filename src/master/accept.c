// SPDX-License-Identifier: Apache-2.0
//
// ACCEPT: what is launched from offers. Offers are checked first, as a whole; then the operations
// run in order against what is left of the offered amount; what remains goes back to the allocator
// under the call's filter.
//
// LAUNCH is here, LAUNCH_GROUP in launch_group.c, operations on resources in operate.c. A task may
// use what an operation of the same ACCEPT has just reserved or made.

#include <string.h>

#include "master/internal.h"

static size_t operation_tasks(const Mesos__V1__Offer__Operation *operation,
                              Mesos__V1__TaskInfo ***ret_tasks)
{
    if (operation->has_type && operation->type == OPERATION(LAUNCH) && operation->launch != NULL) {
        *ret_tasks = operation->launch->task_infos;
        return operation->launch->n_task_infos;
    }
    if (operation->has_type && operation->type == OPERATION(LAUNCH_GROUP) &&
        operation->launch_group != NULL) {
        *ret_tasks = operation->launch_group->task_group->tasks;
        return operation->launch_group->task_group->n_tasks;
    }
    return 0;
}

static bool is_launch(const Mesos__V1__Offer__Operation *operation)
{
    return operation->has_type &&
           (operation->type == OPERATION(LAUNCH) || operation->type == OPERATION(LAUNCH_GROUP));
}

void master_refuse_task(struct framework *f, const Mesos__V1__TaskInfo *task,
                        Mesos__V1__TaskState state, int reason, const char *text)
{
    struct master *m = f->master;
    Mesos__V1__TaskStatus *status =
        master_make_status(m, task->task_id->value, task->agent_id->value, state, reason, text);
    log_info("Task %s of framework %s: %s (%s)", task->task_id->value, f->id,
             task_state_name(state), text);
    master_count_task_end(m, status, state);
    f->terminal[state]++;
    master_framework_send_update(f, status);
}

static void refuse_tasks(struct framework *f, const Mesos__V1__Offer__Operation *operation,
                         Mesos__V1__TaskState state, int reason, const char *text)
{
    Mesos__V1__TaskInfo **tasks = NULL;
    size_t count = operation_tasks(operation, &tasks);
    for (size_t i = 0; i < count; i++)
        master_refuse_task(f, tasks[i], state, reason, text);
}

static void reject(struct framework *f, Mesos__V1__Scheduler__Call__Accept *call, const char *why)
{
    struct master *m = f->master;
    log_warning("ACCEPT call of framework %s used invalid offers: %s", f->id, why);
    for (size_t i = 0; i < call->n_offer_ids; i++) {
        struct offer *o = master_offer(m, call->offer_ids[i]->value);
        // Another framework's offer is none of its business.
        if (o != NULL && o->framework == f)
            master_offer_discard(o, -1);
    }
    bool aware = FRAMEWORK_HAS(f->capabilities, PARTITION_AWARE);
    for (size_t i = 0; i < call->n_operations; i++) {
        const Mesos__V1__Offer__Operation *operation = call->operations[i];
        if (is_launch(operation))
            refuse_tasks(f, operation, aware ? STATE(DROPPED) : STATE(LOST), REASON(INVALID_OFFERS),
                         arena_printf(m->scratch, "Task launched with invalid offers: %s", why));
        else if (operation->has_type)
            master_operation_drop(
                f, operation,
                arena_printf(m->scratch, "Operation attempted with invalid offers: %s", why));
    }
}

// ---- launching ----

// What Mesos fills in before it looks: role, the executor's framework, an old health check's type.
static void complete_task(struct framework *f, Mesos__V1__TaskInfo *task, const char *role)
{
    struct arena *arena = f->master->scratch;
    resources_complete_messages(task->resources, task->n_resources, role, arena);
    if (task->executor != NULL) {
        resources_complete_messages(task->executor->resources, task->executor->n_resources, role,
                                    arena);
        if (task->executor->framework_id == NULL)
            task->executor->framework_id = master_make_framework_id(arena, f->id);
    }
    Mesos__V1__HealthCheck *check = task->health_check;
    if (check == NULL || check->has_type)
        return;
    if (check->command != NULL && check->http == NULL) {
        check->has_type = true;
        check->type = MESOS__V1__HEALTH_CHECK__TYPE__COMMAND;
    } else if (check->http != NULL && check->command == NULL) {
        check->has_type = true;
        check->type = MESOS__V1__HEALTH_CHECK__TYPE__HTTP;
    }
}

static void copy_limits(struct arena *arena, const Mesos__V1__TaskInfo *info, Mesos__V1__Task *task)
{
    if (info->n_limits == 0)
        return;
    task->limits = arena_calloc(arena, info->n_limits, sizeof(*task->limits));
    for (size_t i = 0; i < info->n_limits; i++) {
        Mesos__V1__Task__LimitsEntry *entry =
            WIRE_NEW(arena, Mesos__V1__Task__LimitsEntry, mesos__v1__task__limits_entry);
        entry->key = info->limits[i]->key;
        entry->value = info->limits[i]->value;
        task->limits[task->n_limits++] = entry;
    }
}

Mesos__V1__Task *master_make_task(struct arena *arena, struct framework *f,
                                  const Mesos__V1__TaskInfo *info)
{
    Mesos__V1__Task *task = WIRE_NEW(arena, Mesos__V1__Task, mesos__v1__task);
    task->name = info->name;
    task->task_id = info->task_id;
    task->framework_id = f->info->id;
    task->agent_id = info->agent_id;
    task->state = STATE(STAGING);
    if (info->executor != NULL)
        task->executor_id = info->executor->executor_id;
    task->labels = info->labels;
    task->discovery = info->discovery;
    task->container = info->container;
    task->health_check = info->health_check;
    task->kill_policy = info->kill_policy;
    if (info->command != NULL && info->command->user != NULL)
        task->user = info->command->user;
    else if (info->executor != NULL && info->executor->command != NULL)
        task->user = info->executor->command->user;
    copy_limits(arena, info, task);
    return task;
}

// Takes it from what is left. A shared volume is there for as many tasks as like it: of those that
// launch, each holds a copy of its own, more than were offered if need be.
static void take_consumed(struct accepting *c, const struct resources *consumed)
{
    struct framework *f = c->framework;
    if (resources_is_empty(c->shared)) {
        resources_subtract(c->remaining, consumed);
        return;
    }
    AUTO_RESOURCES struct resources *additional = resources_shared(consumed);
    if (!resources_is_empty(additional)) {
        AUTO_RESOURCES struct resources *left = resources_shared(c->remaining);
        resources_subtract_available(additional, left);
    }
    if (!resources_is_empty(additional)) {
        AUTO_RESOURCES struct resources *nothing = resources_new();
        allocator_transform(f->master->allocator, f->id, c->agent->id, nothing, additional);
        resources_add(c->remaining, additional);
    }
    resources_subtract(c->remaining, consumed);
}

static int validate_launch(struct accepting *c, Mesos__V1__TaskInfo *info, struct resources *wanted,
                           struct resources **ret_executor, const char **ret_text)
{
    if (resources_is_empty(c->shared))
        return master_validate_launch(c->framework, c->agent, info, wanted, c->remaining,
                                      ret_executor, ret_text);
    AUTO_RESOURCES struct resources *available = resources_non_shared(c->remaining);
    resources_add(available, c->shared);
    return master_validate_launch(c->framework, c->agent, info, wanted, available, ret_executor,
                                  ret_text);
}

static void launch_task(struct accepting *c, Mesos__V1__TaskInfo *info, struct resources *its)
{
    struct framework *f = c->framework;
    struct agent *a = c->agent;
    struct master *m = f->master;
    AUTO_RESOURCES struct resources *wanted = its;
    struct resources *executor;
    const char *why;
    if (validate_launch(c, info, wanted, &executor, &why) < 0) {
        master_refuse_task(f, info, STATE(ERROR), REASON(TASK_INVALID), why);
        return;
    }
    uint64_t instance = executor != NULL ? master_make_instance(m) : 0;
    if (executor != NULL) {
        take_consumed(c, executor);
        master_executor_add(a, f, info->executor, instance, executor);
    }
    take_consumed(c, wanted);
    struct task *t = master_task_add(a, f, master_make_task(m->scratch, f, info), TAKE_PTR(wanted));
    f->operation_counts[OPERATION(LAUNCH)]++;
    // It is passed on as it came, unless the master completed more of it than its resources.
    if (info->executor != NULL || info->health_check != NULL)
        wire_unpin(&info->base);
    Meseta__Link__ToAgent *message = master_make_to_agent(m->scratch, TO_AGENT(RUN_TASK));
    message->run_task =
        WIRE_NEW(m->scratch, Meseta__Link__ToAgent__RunTask, meseta__link__to_agent__run_task);
    message->run_task->framework_info = f->info;
    message->run_task->task = info;
    message->run_task->role = (char *)(uintptr_t)c->role;
    message->run_task->has_launch_executor = info->executor != NULL;
    message->run_task->launch_executor = executor != NULL;
    message->run_task->has_executor_instance = executor != NULL;
    message->run_task->executor_instance = instance;
    log_info("Launching task %s of framework %s on agent %s", t->id, f->id, a->id);
    master_agent_send(a, message);
}

static int check_executor_resources(const Mesos__V1__ExecutorInfo *executor, struct error *err)
{
    for (size_t k = 0; k < executor->n_resources; k++) {
        int r = resources_validate(executor->resources[k], err);
        if (r < 0)
            return r;
    }
    return 0;
}

// Mesos looks at the form of all resources of a LAUNCH before it looks at any task.
static int check_resources(const Mesos__V1__Offer__Operation *operation, struct error *err)
{
    Mesos__V1__TaskInfo **tasks = NULL;
    size_t count = operation_tasks(operation, &tasks);
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < tasks[i]->n_resources; k++) {
            int r = resources_validate(tasks[i]->resources[k], err);
            if (r < 0)
                return r;
        }
        if (tasks[i]->executor != NULL) {
            int r = check_executor_resources(tasks[i]->executor, err);
            if (r < 0)
                return r;
        }
    }
    return operation->launch_group != NULL
               ? check_executor_resources(operation->launch_group->executor, err)
               : 0;
}

// What each task wants, each in an object of its own in `wanted`; the tasks are completed first.
// False: something cannot be read.
static bool read_wanted(struct accepting *c, Mesos__V1__TaskInfo **tasks, size_t count,
                        struct resources **wanted)
{
    for (size_t i = 0; i < count; i++) {
        complete_task(c->framework, tasks[i], c->role);
        if (resources_from_proto(tasks[i]->resources, tasks[i]->n_resources, &wanted[i], NULL) < 0)
            return false;
        if (tasks[i]->executor != NULL && check_executor_resources(tasks[i]->executor, NULL) < 0)
            return false;
    }
    return true;
}

static void launch_tasks(struct accepting *c, const Mesos__V1__Offer__Operation *operation)
{
    Mesos__V1__TaskInfo **tasks = NULL;
    size_t count = operation_tasks(operation, &tasks);
    struct resources **wanted =
        arena_calloc(c->framework->master->scratch, count + 1, sizeof(*wanted));
    if (read_wanted(c, tasks, count, wanted)) {
        for (size_t i = 0; i < count; i++)
            launch_task(c, tasks[i], wanted[i]);
        return;
    }
    for (size_t i = 0; i < count; i++)
        resources_free(wanted[i]);
    struct error err;
    CHECK(check_resources(operation, &err) < 0);
    refuse_tasks(c->framework, operation, STATE(ERROR), REASON(TASK_INVALID), err.text);
}

static void run_operation(struct accepting *c, Mesos__V1__Offer__Operation *operation)
{
    struct framework *f = c->framework;
    if (!operation->has_type || operation->type == OPERATION(UNKNOWN)) {
        log_warning("Ignoring unknown operation of framework %s", f->id);
        return;
    }
    if (!is_launch(operation)) {
        master_operate_accepted(c, operation);
        return;
    }
    bool is_group = operation->type == OPERATION(LAUNCH_GROUP);
    if (is_group ? operation->launch_group == NULL : operation->launch == NULL) {
        log_warning("Ignoring a %s operation of framework %s without a body",
                    operation_type_name(operation->type), f->id);
        return;
    }
    if (!is_group && operation->id == NULL) {
        launch_tasks(c, operation);
        return;
    }
    struct error err;
    int reason = is_group ? REASON(TASK_GROUP_INVALID) : REASON(TASK_INVALID);
    if (check_resources(operation, &err) < 0) {
        refuse_tasks(f, operation, STATE(ERROR), reason, err.text);
        return;
    }
    if (operation->id != NULL) {
        refuse_tasks(f, operation, STATE(ERROR), reason,
                     is_group ? "The `id` field cannot be set on LAUNCH_GROUP operations"
                              : "The `id` field cannot be set on LAUNCH operations");
        return;
    }
    master_launch_group(f, c->agent, operation->launch_group, c->role, c->remaining);
}

// What operations made is free at once; what was offered and is left comes under the filter.
static void give_back(struct accepting *c, const struct resources *offered, int64_t refuse_ns)
{
    struct master *m = c->framework->master;
    if (c->has_converted) {
        resources_add(c->remaining, c->resized);
        AUTO_RESOURCES struct resources *made = resources_copy(c->remaining);
        resources_subtract_available(made, offered);
        resources_subtract(c->remaining, made);
        if (!resources_is_empty(made))
            allocator_recover(m->allocator, c->framework->id, c->agent->id, made, -1, m->now);
    }
    if (!resources_is_empty(c->remaining))
        allocator_recover(m->allocator, c->framework->id, c->agent->id, c->remaining, refuse_ns,
                          m->now);
}

void master_call_accept(struct framework *f, Mesos__V1__Scheduler__Call__Accept *call)
{
    struct master *m = f->master;
    for (size_t i = 0; i < call->n_operations; i++) {
        Mesos__V1__TaskInfo **tasks;
        if (call->operations[i]->has_type && call->operations[i]->type == OPERATION(LAUNCH))
            master_count(m, operation_tasks(call->operations[i], &tasks) > 0
                                ? COUNT_MESSAGES_LAUNCH_TASKS
                                : COUNT_MESSAGES_DECLINE_OFFERS);
    }
    struct error err;
    if (master_validate_offers(f, call->offer_ids, call->n_offer_ids, &err) < 0) {
        reject(f, call, err.text);
        return;
    }
    struct offer *first = master_offer(m, call->offer_ids[0]->value);
    struct accepting c = {
        .framework = f,
        .agent = first->agent,
        .role = arena_strdup(m->scratch, first->role),
        .remaining = resources_new(),
        .resized = resources_new(),
    };
    CHECK(c.agent->channel != NULL); // offers do not outlive the link
    for (size_t i = 0; i < call->n_offer_ids; i++) {
        struct offer *o = master_offer(m, call->offer_ids[i]->value);
        resources_add(c.remaining, o->resources);
        master_offer_remove(o);
        f->offers_accepted++;
    }
    c.shared = resources_shared(c.remaining);
    AUTO_RESOURCES struct resources *offered = resources_copy(c.remaining);
    for (size_t i = 0; i < call->n_operations; i++)
        run_operation(&c, call->operations[i]);
    give_back(&c, offered, master_filters_refuse_ns(call->filters));
    resources_free(c.remaining);
    resources_free(c.resized);
    resources_free(c.shared);
}
