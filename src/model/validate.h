// SPDX-License-Identifier: Apache-2.0
//
// Checks on messages by themselves, without a cluster: ids, roles, framework infos, commands,
// executors, tasks, kill policies, health checks. Texts and order are Mesos'
// (src/master/validation.cpp, src/common/validation.cpp, src/checks/*). Each returns 0 or -EINVAL.

#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "proto/executor.pb-c.h"
#include "proto/mesos.pb-c.h"
#include "proto/scheduler.pb-c.h"

struct resources;

// Not empty, not "." or "..", no slash of either kind nor control character, at most 255 bytes
// (NAME_MAX).
int validate_id(const char *id, struct error *err);
// "*", or components between single slashes: not "*", "." or "..", no '-' first, no white space.
int validate_role(const char *role, struct error *err);

int validate_framework_info(const Mesos__V1__FrameworkInfo *info, struct error *err);
// A framework that subscribes again or updates itself keeps its principal, user and checkpoint.
int validate_framework_update(const Mesos__V1__FrameworkInfo *before,
                              const Mesos__V1__FrameworkInfo *after, struct error *err);
// Suppressed roles must be roles of the framework.
int validate_suppressed_roles(const Mesos__V1__FrameworkInfo *info, char *const *suppressed,
                              size_t suppressed_count, struct error *err);

int validate_environment(const Mesos__V1__Environment *environment, struct error *err);
int validate_command(const Mesos__V1__CommandInfo *command, struct error *err);
int validate_container(const Mesos__V1__ContainerInfo *container, struct error *err);
// The executor alone: type, id, grace period, command, container.
int validate_executor(const Mesos__V1__ExecutorInfo *executor, struct error *err);
int validate_kill_policy(const Mesos__V1__KillPolicy *policy, struct error *err);
int validate_health_check(const Mesos__V1__HealthCheck *check, struct error *err);
int validate_check(const Mesos__V1__CheckInfo *check, struct error *err);
// Resources of one owner: each is sound, gpus are whole, volumes and reservations make sense.
int validate_resources(Mesos__V1__Resource *const *resources, size_t count, struct error *err);

// Everything of a task that needs neither framework nor agent nor offer, but its id (validate_id):
// slave id left alone, exactly one of command and executor, resources sound, no duplicate
// persistence ids, ... Whether the resources were offered, and whether limits suit the agent, is
// the master's to check. *resources is what the task's messages say; when it is NULL they are read
// first. The caller frees it, also when the task is not sound.
int validate_task(const Mesos__V1__TaskInfo *task, struct resources **resources, struct error *err);

// A task of a group, likewise; its executor is filled in already.
int validate_group_task(const Mesos__V1__TaskInfo *task, struct error *err);
// The resources of an executor alone.
int validate_executor_resources(const Mesos__V1__ExecutorInfo *executor, struct error *err);
// A group whose tasks and executor passed the checks above: they fit together. A task that names
// the very same executor points at it.
int validate_group(const Mesos__V1__TaskGroupInfo *group, const Mesos__V1__ExecutorInfo *executor,
                   struct error *err);
// Tasks of one executor have control groups of their own, or none has.
int validate_group_cgroups(const Mesos__V1__TaskGroupInfo *group,
                           const Mesos__V1__ExecutorInfo *executor, struct error *err);
bool validate_shares_cgroups(const Mesos__V1__ContainerInfo *container); // NULL: yes
#define VALIDATE_MIXED_CGROUPS                                                                     \
    "If set, the value of 'share_cgroups' must be the same for all tasks in each task group and "  \
    "under a single executor"

// A scheduler call: the body that its type names is there, ids are well formed (Mesos:
// "Expecting 'subscribe' to be present").
int validate_scheduler_call(const Mesos__V1__Scheduler__Call *call, struct error *err);
// An executor call, likewise.
// The status of an UPDATE, or one that a SUBSCRIBE repeats. Beyond Mesos' checks it may not be a
// state that only a master may tell: UNREACHABLE, GONE_BY_OPERATOR, UNKNOWN.
int validate_executor_status(const char *framework_id, const char *executor_id,
                             const Mesos__V1__TaskStatus *status, struct error *err);
int validate_executor_call(const Mesos__V1__Executor__Call *call, struct error *err);
