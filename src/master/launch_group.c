// SPDX-License-Identifier: Apache-2.0
//
// LAUNCH_GROUP: tasks that one executor is to run together. They are checked as one, and booked and
// sent as one.

#include "master/internal.h"

static void refuse_group(struct framework *f, const Mesos__V1__TaskGroupInfo *group,
                         const char *text)
{
    for (size_t i = 0; i < group->n_tasks; i++)
        master_refuse_task(f, group->tasks[i], STATE(ERROR), REASON(TASK_GROUP_INVALID), text);
}

// Roles and executors, where the framework left them out. The executor's framework id is not filled
// in here, as it is for LAUNCH: Mesos asks for it.
static void complete_group(struct framework *f, Mesos__V1__TaskGroupInfo *group,
                           Mesos__V1__ExecutorInfo *executor, const char *role)
{
    struct arena *arena = f->master->scratch;
    resources_complete_messages(executor->resources, executor->n_resources, role, arena);
    for (size_t i = 0; i < group->n_tasks; i++) {
        Mesos__V1__TaskInfo *task = group->tasks[i];
        wire_unpin(&task->base); // it is passed on with its changes
        resources_complete_messages(task->resources, task->n_resources, role, arena);
        if (task->executor != NULL)
            resources_complete_messages(task->executor->resources, task->executor->n_resources,
                                        role, arena);
        if (task->executor == NULL || wire_is_equal(&task->executor->base, &executor->base))
            task->executor = executor;
    }
}

void master_launch_group(struct framework *f, struct agent *a,
                         Mesos__V1__Offer__Operation__LaunchGroup *operation, const char *role,
                         struct resources *remaining)
{
    struct master *m = f->master;
    Mesos__V1__TaskGroupInfo *group = operation->task_group;
    Mesos__V1__ExecutorInfo *executor = operation->executor;
    if (group->n_tasks == 0) {
        log_warning("Ignoring a task group without tasks of framework %s", f->id);
        return;
    }
    complete_group(f, group, executor, role);
    struct resources **amounts, *own;
    const char *why;
    if (master_validate_group(f, a, group, executor, remaining, &amounts, &own, &why) < 0) {
        refuse_group(f, group, why);
        return;
    }
    f->operation_counts[OPERATION(LAUNCH_GROUP)]++;
    uint64_t instance = own != NULL ? master_make_instance(m) : 0;
    if (own != NULL) {
        resources_subtract(remaining, own);
        master_executor_add(a, f, executor, instance, own);
    }
    for (size_t i = 0; i < group->n_tasks; i++) {
        Mesos__V1__TaskInfo *task = group->tasks[i];
        resources_subtract(remaining, amounts[i]);
        task->n_resources =
            resources_to_proto(amounts[i], m->scratch, RESOURCES_NEW_FORM, true, &task->resources);
        master_task_add(a, f, master_make_task(m->scratch, f, task), amounts[i]);
    }
    Meseta__Link__ToAgent *message = master_make_to_agent(m->scratch, TO_AGENT(RUN_TASK_GROUP));
    message->run_task_group = WIRE_NEW(m->scratch, Meseta__Link__ToAgent__RunTaskGroup,
                                       meseta__link__to_agent__run_task_group);
    message->run_task_group->framework_info = f->info;
    message->run_task_group->executor_info = executor;
    message->run_task_group->task_group = group;
    message->run_task_group->launch_executor = own != NULL;
    message->run_task_group->has_executor_instance = own != NULL;
    message->run_task_group->executor_instance = instance;
    log_info("Launching a task group of %zu tasks of framework %s on agent %s, executor %s",
             group->n_tasks, f->id, a->id, executor->executor_id->value);
    master_agent_send(a, message);
}
