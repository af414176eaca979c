// SPDX-License-Identifier: Apache-2.0
//
// Checks on messages by themselves, without a cluster: ids, roles, framework infos, commands,
// executors, tasks, kill policies, health checks. Texts and order are Mesos'
// (src/master/validation.cpp, src/common/validation.cpp, src/checks/*). Each returns 0 or -EINVAL.

#pragma once

#include "base/error.h"
#include "proto/mesos.pb-c.h"
#include "proto/scheduler.pb-c.h"

// Not empty, not "." or "..", no '/' nor control character, at most 255 bytes (NAME_MAX).
int validate_id(const char *id, struct error *err);
// No '-' first, not "." or "..", no white space or control or '/' but as hierarchy, "*" alone only.
int validate_role(const char *role, struct error *err);
int validate_framework_info(const Mesos__V1__FrameworkInfo *info, struct error *err);
int validate_command(const Mesos__V1__CommandInfo *command, struct error *err);
int validate_executor(const Mesos__V1__ExecutorInfo *executor, struct error *err);
int validate_kill_policy(const Mesos__V1__KillPolicy *policy, struct error *err);
int validate_health_check(const Mesos__V1__HealthCheck *check, struct error *err);
// Everything of a task that needs neither framework nor agent nor offer: id, slave id left alone,
// exactly one of command and executor, resources sound, no duplicate persistence ids, ...
int validate_task(const Mesos__V1__TaskInfo *task, struct error *err);
// A scheduler call: the body that its type names is there, ids are well formed (Mesos:
// "Expecting 'subscribe' to be present").
int validate_scheduler_call(const Mesos__V1__Scheduler__Call *call, struct error *err);
