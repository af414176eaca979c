// SPDX-License-Identifier: Apache-2.0
//
// The agent's /state, key for key as Mesos writes it.

#include <string.h>

#include "api/agent_daemon.h"
#include "api/v0_json.h"
#include "base/check.h"
#include "base/mem.h"
#include "model/framework.h"
#include "model/resources.h"
#include "wire/wire.h"

static const char *text_or_empty(const char *s)
{
    return s != NULL ? s : "";
}

static void put_message(struct json_writer *w, const char *key, const ProtobufCMessage *message)
{
    struct buf text AUTO_BUF = BUF_INIT;
    wire_json_encode(message, &text);
    json_key(w, key);
    json_raw(w, text.data, text.size);
}

static const char *role_of(Mesos__V1__Resource *const *resources, size_t count)
{
    if (count == 0 || resources[0]->allocation_info == NULL) {
        return NULL;
    }
    return resources[0]->allocation_info->role;
}

// ---- executors ----

static void put_queued_task(struct json_writer *w, const struct agent_task *task)
{
    const Mesos__V1__TaskInfo *info = task->info;
    json_object_open(w);
    json_key_string(w, "id", info->task_id->value);
    json_key_string(w, "name", info->name);
    json_key_string(w, "slave_id", info->agent_id->value);
    json_key(w, "resources");
    v0_put_resource_messages(w, info->resources, info->n_resources);
    const char *role = role_of(info->resources, info->n_resources);
    json_key_string(w, "role", role != NULL ? role : "*");
    if (info->command != NULL) {
        json_key(w, "command");
        v0_put_command(w, info->command);
    }
    if (info->executor != NULL) {
        json_key_string(w, "executor_id", info->executor->executor_id->value);
    }
    if (info->discovery != NULL) {
        put_message(w, "discovery", &info->discovery->base);
    }
    json_object_close(w);
}

static void put_tasks(struct json_writer *w, const struct list *tasks)
{
    LIST_FOREACH (tasks, struct agent_task, link, task) {
        struct arena *arena AUTO_ARENA = arena_new(1024, 0);
        v0_put_task(w, agent_task_message(task, arena), NULL);
    }
}

static void put_executor(struct json_writer *w, const struct agent_executor *executor)
{
    const Mesos__V1__ExecutorInfo *info = executor->info;
    json_object_open(w);
    json_key_string(w, "id", executor->id);
    json_key_string(w, "name", text_or_empty(info->name));
    json_key_string(w, "source", text_or_empty(info->source));
    json_key_string(w, "container", executor->container_id);
    json_key_string(w, "directory", executor->directory);
    json_key(w, "resources");
    v0_put_resources(w, executor->allocated);
    const char *role = role_of(info->resources, info->n_resources);
    if (role != NULL) {
        json_key_string(w, "role", role);
    }
    if (info->labels != NULL) {
        json_key(w, "labels");
        v0_put_labels(w, info->labels);
    }
    if (info->has_type) {
        json_key_string(w, "type",
                        wire_enum_name(&mesos__v1__executor_info__type__descriptor, info->type));
    }
    json_key(w, "tasks");
    json_array_open(w);
    put_tasks(w, &executor->launched);
    json_array_close(w);
    json_key(w, "queued_tasks");
    json_array_open(w);
    LIST_FOREACH (&executor->queued, struct agent_task, link, task) {
        put_queued_task(w, task);
    }
    json_array_close(w);
    json_key(w, "completed_tasks");
    json_array_open(w);
    put_tasks(w, &executor->completed);
    put_tasks(w, &executor->terminated);
    json_array_close(w);
    json_object_close(w);
}

// ---- frameworks ----

static void put_roles(struct json_writer *w, const struct agent_framework *framework)
{
    const Mesos__V1__FrameworkInfo *info = framework->info;
    if (!FRAMEWORK_HAS(framework->capabilities, MULTI_ROLE)) {
        json_key_string(w, "role", info->role != NULL ? info->role : "*");
        return;
    }
    json_key(w, "roles");
    json_array_open(w);
    for (size_t i = 0; i < info->n_roles; i++) {
        json_string(w, info->roles[i]);
    }
    json_array_close(w);
}

static void put_framework(struct json_writer *w, const struct agent_framework *framework)
{
    const Mesos__V1__FrameworkInfo *info = framework->info;
    json_object_open(w);
    json_key_string(w, "id", framework->id);
    json_key_string(w, "name", info->name);
    json_key_string(w, "user", info->user);
    json_key_double(w, "failover_timeout", info->has_failover_timeout ? info->failover_timeout : 0);
    json_key_bool(w, "checkpoint", info->has_checkpoint && info->checkpoint);
    json_key_string(w, "hostname", text_or_empty(info->hostname));
    if (info->principal != NULL) {
        json_key_string(w, "principal", info->principal);
    }
    put_roles(w, framework);
    json_key(w, "executors");
    json_array_open(w);
    MAP_FOREACH (&framework->executors, entry) {
        put_executor(w, entry->value);
    }
    json_array_close(w);
    json_key(w, "completed_executors");
    json_array_open(w);
    LIST_FOREACH (&framework->completed_executors, struct agent_executor, link, executor) {
        put_executor(w, executor);
    }
    json_array_close(w);
    json_object_close(w);
}

// ---- resources ----

// {role: value} of what is reserved; `full` as whole messages.
static void put_reserved(struct json_writer *w, const char *key, const struct resources *resources,
                         bool full)
{
    struct arena *arena AUTO_ARENA = arena_new(1024, 0);
    const char **roles;
    size_t count = resources_reserved_roles(resources, arena, &roles);
    json_key(w, key);
    json_object_open(w);
    for (size_t i = 0; i < count; i++) {
        struct resources *part AUTO_RESOURCES = resources_reserved(resources, roles[i]);
        json_key(w, roles[i]);
        if (full) {
            v0_put_resources_full(w, part);
        } else {
            v0_put_resources(w, part);
        }
    }
    json_object_close(w);
}

static void put_resources(struct json_writer *w, const struct agent *agent)
{
    struct resources *unreserved AUTO_RESOURCES = resources_unreserved(agent->total);
    json_key(w, "resources");
    v0_put_resources(w, agent->total);
    put_reserved(w, "reserved_resources", agent->total, false);
    json_key(w, "unreserved_resources");
    v0_put_resources(w, unreserved);
    put_reserved(w, "reserved_resources_full", agent->total, true);
    json_key(w, "unreserved_resources_full");
    v0_put_resources_full(w, unreserved);

    struct resources *used AUTO_RESOURCES = agent_used_resources(agent);
    struct resources *unreserved_used AUTO_RESOURCES = resources_unreserved(used);
    put_reserved(w, "reserved_resources_allocated", used, false);
    json_key(w, "unreserved_resources_allocated");
    v0_put_resources(w, unreserved_used);
}

// ---- the whole ----

static void put_capabilities(struct json_writer *w)
{
    const Mesos__V1__AgentInfo__Capability__Type *types;
    size_t count = agent_capabilities(&types);
    json_key(w, "capabilities");
    json_array_open(w);
    for (size_t i = 0; i < count; i++) {
        json_string(w,
                    wire_enum_name(&mesos__v1__agent_info__capability__type__descriptor, types[i]));
    }
    json_array_close(w);
}

static void put_state(struct agent_daemon *d, struct json_writer *w)
{
    const struct agent *agent = d->agent;
    json_object_open(w);
    api_put_version(w);
    json_key_double(w, "start_time", agent->start_time);
    json_key_string(w, "id", agent->info->id != NULL ? agent->info->id->value : "");
    json_key_string(w, "pid", agent->pid);
    json_key_string(w, "hostname", agent->info->hostname);
    put_capabilities(w);
    if (agent->info->domain != NULL) {
        json_key(w, "domain");
        v0_put_domain(w, agent->info->domain);
    }
    put_resources(w, agent);
    json_key(w, "resource_providers");
    json_array_open(w);
    json_array_close(w);
    json_key(w, "attributes");
    v0_put_attributes(w, agent->info->attributes, agent->info->n_attributes);
    if (agent->master != NULL && agent->master->hostname != NULL) {
        json_key_string(w, "master_hostname", agent->master->hostname);
    }
    if (d->flags->log_dir != NULL) {
        json_key_string(w, "log_dir", d->flags->log_dir);
    }
    if (d->flags->external_log_file != NULL) {
        json_key_string(w, "external_log_file", d->flags->external_log_file);
    }
    if (agent->drain != NULL) {
        json_key(w, "drain_config");
        wire_json_put(w, &agent->drain->base);
        json_key_i64(w, "estimated_drain_start_time_seconds", (int64_t)agent->drain_start_time);
    }
    json_key(w, "flags");
    json_object_open(w);
    api_put_flags(d->common, w);
    json_object_close(w);
    json_key(w, "frameworks");
    json_array_open(w);
    MAP_FOREACH (&agent->frameworks, entry) {
        put_framework(w, entry->value);
    }
    json_array_close(w);
    json_key(w, "completed_frameworks");
    json_array_open(w);
    LIST_FOREACH (&agent->completed_frameworks, struct agent_framework, link, framework) {
        put_framework(w, framework);
    }
    json_array_close(w);
    json_object_close(w);
}

static void handle_state(void *ctx, struct http_request *r)
{
    struct buf text AUTO_BUF = BUF_INIT;
    struct json_writer w;
    json_begin(&w, &text);
    put_state(ctx, &w);
    api_respond_json(r, &text);
}

void agent_state_add_routes(struct agent_daemon *daemon)
{
    static const struct api_route routes[] = {
        {"/state", NULL, handle_state,
         "What the agent knows: resources, frameworks, executors and tasks."},
    };
    api_router_add_open(daemon->router, routes, ARRAY_COUNT(routes), daemon);
}
