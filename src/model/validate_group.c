// SPDX-License-Identifier: Apache-2.0
//
// Checks of task groups and of the executor that is to run them.

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "model/resource_entry.h"
#include "model/validate.h"
#include "model/validate_parts.h"

// The least that an executor of task groups needs. Mesos' numbers.
enum { CPUS_MIN = 10, MEM_MIN = 32000 }; // thousandths of a cpu, of a MB

bool validate_shares_cgroups(const Mesos__V1__ContainerInfo *container)
{
    const Mesos__V1__LinuxInfo *info = container != NULL ? container->linux_info : NULL;
    return info == NULL || !info->has_share_cgroups || info->share_cgroups;
}

static bool is_docker(const Mesos__V1__ContainerInfo *container)
{
    return container != NULL && container->type == MESOS__V1__CONTAINER_INFO__TYPE__DOCKER;
}

int validate_group_task(const Mesos__V1__TaskInfo *task, struct error *err)
{
    AUTO_RESOURCES struct resources *resources = NULL;
    int r = validate_task_parts(task, &resources, err);
    if (r < 0) {
        return r;
    }
    if (task->executor == NULL) {
        return error_set(err, -EINVAL, "'TaskInfo.executor' must be set");
    }
    const Mesos__V1__HealthCheck *check = task->health_check;
    if (task->container != NULL && task->container->n_network_infos > 0 && check != NULL &&
        check->has_type &&
        (check->type == MESOS__V1__HEALTH_CHECK__TYPE__HTTP ||
         check->type == MESOS__V1__HEALTH_CHECK__TYPE__TCP)) {
        return error_set(err, -EINVAL,
                         "HTTP and TCP health checks are not supported for nested containers not "
                         "joining parent's network");
    }
    if (is_docker(task->container)) {
        return error_set(err, -EINVAL, "Docker ContainerInfo is not supported on the task");
    }
    if (task->n_limits > 0 && validate_shares_cgroups(task->container)) {
        return error_set(err, -EINVAL,
                         "Resource limits may only be set for tasks within a task group when the "
                         "'share_cgroups' field is set to 'false'.");
    }
    return 0;
}

int validate_executor_resources(const Mesos__V1__ExecutorInfo *executor, struct error *err)
{
    AUTO_RESOURCES struct resources *resources = NULL;
    return validate_owned_resources(executor->resources, executor->n_resources, "Executor",
                                    &resources, err);
}

static int validate_least(const Mesos__V1__ExecutorInfo *executor,
                          const struct resources *resources, struct error *err)
{
    const char *id = executor->executor_id->value;
    int64_t cpus = resources_scalar(resources, "cpus");
    if (cpus < CPUS_MIN) {
        AUTO_BUF struct buf text = BUF_INIT;
        if (cpus > 0) {
            buf_printf(&text, "%g", (double)cpus / 1000);
        } else {
            buf_puts(&text, "None");
        }
        return error_set(err, -EINVAL,
                         "Executor '%s' uses less CPUs (%s) than the minimum required (%g)", id,
                         text.data, CPUS_MIN / 1000.0);
    }
    int64_t mem = resources_scalar(resources, "mem");
    if (mem < MEM_MIN) {
        AUTO_BUF struct buf text = BUF_INIT;
        AUTO_BUF struct buf least = BUF_INIT;
        text_put_bytes(&least, (uint64_t)MEM_MIN / 1000 * 1024 * 1024);
        if (mem > 0) {
            text_put_bytes(&text, (uint64_t)mem * 1024 / 1000 * 1024);
        } else {
            buf_puts(&text, "None");
        }
        return error_set(err, -EINVAL,
                         "Executor '%s' uses less memory (%s) than the minimum required (%s)", id,
                         text.data, least.data);
    }
    if (resources_scalar(resources, "disk") <= 0) {
        return error_set(err, -EINVAL, "Executor '%s' uses no disk", id);
    }
    return 0;
}

static void put_all_texts(const Mesos__V1__TaskGroupInfo *group, struct buf *out)
{
    buf_puts(out, "{ ");
    for (size_t i = 0; i < group->n_tasks; i++) {
        AUTO_RESOURCES struct resources *one = NULL;
        if (resources_from_proto(group->tasks[i]->resources, group->tasks[i]->n_resources, &one,
                                 NULL) == 0) {
            buf_puts(out, i > 0 ? ", " : "");
            resources_put_text(one, out);
        }
    }
    buf_puts(out, " }");
}

// No port twice, no volume twice, in all that the group and its executor use.
static int validate_all(const Mesos__V1__TaskGroupInfo *group, const struct resources *executor,
                        struct error *err)
{
    AUTO_RESOURCES struct resources *total = resources_copy(executor);
    bool overlaps = false;
    for (size_t i = 0; i < group->n_tasks; i++) {
        AUTO_RESOURCES struct resources *one = NULL;
        int r = resources_from_proto(group->tasks[i]->resources, group->tasks[i]->n_resources, &one,
                                     err);
        if (r < 0) {
            return r;
        }
        overlaps |= validate_has_overlap(total, one);
        resources_add(total, one);
    }
    struct error why;
    int r = validate_unique_volumes(total, &why);
    if (r < 0) {
        return error_set(err, r, "Task group and executor use duplicate persistence ID: %s",
                         why.text);
    }
    r = validate_one_revocability(total, &why);
    if (r < 0) {
        return error_set(err, r,
                         "Task group and executor mix revocable and non-revocable resources: %s",
                         why.text);
    }
    if (overlaps) {
        AUTO_BUF struct buf tasks = BUF_INIT;
        AUTO_BUF struct buf own = BUF_INIT;
        put_all_texts(group, &tasks);
        resources_put_text(executor, &own);
        return error_set(err, -EINVAL,
                         "There are overlapping resources in the task group's task resources %s "
                         "and/or executor resources %s",
                         tasks.data, own.data);
    }
    return 0;
}

int validate_group(const Mesos__V1__TaskGroupInfo *group, const Mesos__V1__ExecutorInfo *executor,
                   struct error *err)
{
    if (!executor->has_type) {
        return error_set(err, -EINVAL, "'ExecutorInfo.type' must be set");
    }
    if (executor->type == MESOS__V1__EXECUTOR_INFO__TYPE__UNKNOWN) {
        return error_set(err, -EINVAL, "Unknown executor type");
    }
    if (is_docker(executor->container)) {
        return error_set(err, -EINVAL, "Docker ContainerInfo is not supported on the executor");
    }
    for (size_t i = 0; i < group->n_tasks; i++) {
        const Mesos__V1__TaskInfo *task = group->tasks[i];
        if (task->executor != executor) {
            return error_set(err, -EINVAL,
                             "The `ExecutorInfo` of task '%s' is different from executor '%s'",
                             task->task_id->value, executor->executor_id->value);
        }
    }
    AUTO_RESOURCES struct resources *resources = NULL;
    int r = resources_from_proto(executor->resources, executor->n_resources, &resources, err);
    if (r == 0) {
        r = validate_least(executor, resources, err);
    }
    return r < 0 ? r : validate_all(group, resources, err);
}

int validate_group_cgroups(const Mesos__V1__TaskGroupInfo *group,
                           const Mesos__V1__ExecutorInfo *executor, struct error *err)
{
    const Mesos__V1__LinuxInfo *info =
        executor->container != NULL ? executor->container->linux_info : NULL;
    if (info != NULL && info->has_share_cgroups && info->share_cgroups) {
        return error_set(err, -EINVAL,
                         "The 'share_cgroups' field cannot be set to 'true' on executor "
                         "containers");
    }
    for (size_t i = 1; i < group->n_tasks; i++) {
        if (validate_shares_cgroups(group->tasks[i]->container) !=
            validate_shares_cgroups(group->tasks[0]->container)) {
            return error_set(err, -EINVAL, VALIDATE_MIXED_CGROUPS);
        }
    }
    return 0;
}
