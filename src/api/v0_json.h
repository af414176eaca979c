// SPDX-License-Identifier: Apache-2.0
//
// The objects of the v0 endpoints (/state and its kin) that master and agent share, written from
// the v1 messages: keys are v0's (`slave_id`), and what is shortened there is shortened here. Each
// function writes the writer's next value, unless its name ends in `_members`: those write keys
// into an object that the caller opened, so that he can add his own.

#pragma once

#include <stddef.h>

#include "model/resources.h"
#include "proto/mesos.pb-c.h"
#include "wire/json.h"

// {"cpus":4.0,"disk":0.0,"gpus":0.0,"mem":1024.0,"ports":"[31000-32000]"}: cpus, disk, gpus and mem
// always; revocable ones as "<name>_revocable". Amounts of one name are summed up.
void v0_put_resources(struct json_writer *w, const struct resources *resources);
// The same of messages, as a task or an executor carries them.
void v0_put_resource_messages(struct json_writer *w, Mesos__V1__Resource *const *messages,
                              size_t count);
// The "..._full" arrays: whole Resource objects with `role` and `reservations` side by side
// (RESOURCES_ENDPOINT_FORM).
void v0_put_resources_full(struct json_writer *w, const struct resources *resources);

// {"name": value}: numbers for scalars, text for all else ("[1-2, 5-6]", "{a, b}").
void v0_put_attributes(struct json_writer *w, Mesos__V1__Attribute *const *attributes,
                       size_t count);
// [{"key":..,"value":..}]
void v0_put_labels(struct json_writer *w, const Mesos__V1__Labels *labels);
// {"fault_domain":{"region":{"name":..},"zone":{"name":..}}}
void v0_put_domain(struct json_writer *w, const Mesos__V1__DomainInfo *domain);
// {"shell":..,"value":..,"argv":[..],"environment":..,"uris":[..]}
void v0_put_command(struct json_writer *w, const Mesos__V1__CommandInfo *command);
// {"id":..,"pid":..,"port":..,"hostname":..}: "leader_info"
void v0_put_master_info(struct json_writer *w, const Mesos__V1__MasterInfo *info);
// ["MULTI_ROLE",..]; unknown ones are left out.
void v0_put_framework_capabilities(struct json_writer *w, const Mesos__V1__FrameworkInfo *info);

void v0_put_container_status(struct json_writer *w, const Mesos__V1__ContainerStatus *status);
void v0_put_task_status(struct json_writer *w, const Mesos__V1__TaskStatus *status);
// `resources` are used instead of the task's own messages when not NULL.
void v0_put_task(struct json_writer *w, const Mesos__V1__Task *task,
                 const struct resources *resources);
// Most tasks have nothing but what is here: such a one is written in one go. False: nothing was
// written, since a text has to be escaped; v0_put_task writes the same.
struct v0_plain_status {
    Mesos__V1__TaskState state;
    double timestamp;
    bool has_healthy, healthy;
};
struct v0_plain_task {
    const char *id, *name, *framework_id, *executor_id, *agent_id, *role; // "": none
    Mesos__V1__TaskState state;
    const struct buf *resources; // as v0_put_resources writes them
    const struct v0_plain_status *statuses;
    size_t status_count;
};
bool v0_put_plain_task(struct json_writer *w, const struct v0_plain_task *t);
// executor_id, name, framework_id, command, resources, role?, labels?, type?. The role is that of
// the first resource's allocation.
void v0_put_executor_members(struct json_writer *w, const Mesos__V1__ExecutorInfo *info);
// id, framework_id, allocation_info, slave_id, resources
void v0_put_offer(struct json_writer *w, const Mesos__V1__Offer *offer);
