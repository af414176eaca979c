// SPDX-License-Identifier: Apache-2.0
//
// See v0_json.h.

#include "api/v0_json.h"

#include <string.h>

#include "api/api.h"
#include "base/arena.h"
#include "base/mem.h"
#include "model/attributes.h"
#include "model/value.h"
#include "wire/wire.h"

// ---- resources ----

// A scalar as Mesos writes doubles: "0.0", "128.0", "0.125".
static void put_thousandths(struct json_writer *w, int64_t thousandths)
{
    char text[32];
    size_t at = sizeof(text);
    bool is_negative = thousandths < 0;
    uint64_t value = is_negative ? 0 - (uint64_t)thousandths : (uint64_t)thousandths;
    unsigned fraction = (unsigned)(value % 1000);
    unsigned digits = fraction == 0 ? 1 : fraction % 100 == 0 ? 1 : fraction % 10 == 0 ? 2 : 3;
    fraction = digits == 1 ? fraction / 100 : digits == 2 ? fraction / 10 : fraction;
    for (unsigned i = 0; i < digits; i++, fraction /= 10) {
        text[--at] = (char)('0' + fraction % 10);
    }
    text[--at] = '.';
    uint64_t whole = value / 1000;
    do {
        text[--at] = (char)('0' + whole % 10);
        whole /= 10;
    } while (whole > 0);
    if (is_negative) {
        text[--at] = '-';
    }
    json_raw(w, text + at, sizeof(text) - at);
}

static void put_amount_key(struct json_writer *w, const char *name, bool is_revocable)
{
    if (!is_revocable) {
        json_key(w, name);
        return;
    }
    AUTO_FREE char *key = mem_printf("%s_revocable", name);
    json_key(w, key);
}

static const char *const always[] = {"cpus", "disk", "gpus", "mem"};

static size_t always_index(const char *name)
{
    size_t i = 0;
    while (i < ARRAY_COUNT(always) && strcmp(name, always[i]) != 0) {
        i++;
    }
    return i;
}

static void put_always(struct json_writer *w, const int64_t amounts[ARRAY_COUNT(always)])
{
    for (size_t i = 0; i < ARRAY_COUNT(always); i++) {
        json_key(w, always[i]);
        put_thousandths(w, amounts[i]);
    }
}

void v0_put_resources(struct json_writer *w, const struct resources *resources)
{
    int64_t amounts[ARRAY_COUNT(always)] = {0};
    if (resources == NULL ||
        resources_sum_scalars(resources, always, ARRAY_COUNT(always), amounts)) {
        json_object_open(w);
        put_always(w, amounts);
        json_object_close(w);
        return;
    }
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    struct resource_summary *summaries = NULL;
    size_t count = resources_summarize(resources, arena, &summaries);
    memset(amounts, 0, sizeof(amounts));
    for (size_t i = 0; i < count; i++) {
        size_t index = always_index(summaries[i].name);
        if (index < ARRAY_COUNT(always) && !summaries[i].revocable &&
            summaries[i].type == MESOS__V1__VALUE__TYPE__SCALAR) {
            amounts[index] = summaries[i].scalar;
            summaries[i].name = NULL;
        }
    }
    json_object_open(w);
    put_always(w, amounts);
    for (size_t i = 0; i < count; i++) {
        if (summaries[i].name == NULL) {
            continue;
        }
        put_amount_key(w, summaries[i].name, summaries[i].revocable);
        if (summaries[i].type == MESOS__V1__VALUE__TYPE__SCALAR) {
            put_thousandths(w, summaries[i].scalar);
        } else {
            json_string(w, summaries[i].text);
        }
    }
    json_object_close(w);
}

void v0_put_resource_messages(struct json_writer *w, Mesos__V1__Resource *const *messages,
                              size_t count)
{
    // Tasks have cpus, mem and disk as a rule: those are added up here. Anything else goes the long
    // way.
    int64_t amounts[ARRAY_COUNT(always)] = {0};
    for (size_t i = 0; i < count; i++) {
        const Mesos__V1__Resource *m = messages[i];
        size_t index = always_index(m->name);
        if (index == ARRAY_COUNT(always) || m->type != MESOS__V1__VALUE__TYPE__SCALAR ||
            m->scalar == NULL || m->revocable != NULL) {
            struct resources *resources;
            if (resources_from_proto(messages, count, &resources, NULL) == 0) {
                v0_put_resources(w, resources);
                resources_free(resources);
            } else {
                v0_put_resources(w, NULL);
            }
            return;
        }
        amounts[index] += scalar_from_double(m->scalar->value);
    }
    json_object_open(w);
    put_always(w, amounts);
    json_object_close(w);
}

void v0_put_resources_full(struct json_writer *w, const struct resources *resources)
{
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    Mesos__V1__Resource **messages = NULL;
    size_t count = resources_to_proto(resources, arena, RESOURCES_ENDPOINT_FORM, true, &messages);
    json_array_open(w);
    for (size_t i = 0; i < count; i++) {
        wire_json_put(w, &messages[i]->base);
    }
    json_array_close(w);
}

// ---- small pieces ----

void v0_put_attributes(struct json_writer *w, Mesos__V1__Attribute *const *attributes, size_t count)
{
    AUTO_BUF struct buf text = BUF_INIT;
    json_object_open(w);
    for (size_t i = 0; i < count; i++) {
        const Mesos__V1__Attribute *a = attributes[i];
        json_key(w, a->name);
        if (a->type == MESOS__V1__VALUE__TYPE__SCALAR) {
            json_double(w, a->scalar == NULL ? 0 : a->scalar->value);
        } else {
            buf_clear(&text);
            attribute_put_text(a, &text);
            json_string_n(w, text.data == NULL ? "" : text.data, text.size);
        }
    }
    json_object_close(w);
}

void v0_put_labels(struct json_writer *w, const Mesos__V1__Labels *labels)
{
    json_array_open(w);
    for (size_t i = 0; labels != NULL && i < labels->n_labels; i++) {
        wire_json_put(w, &labels->labels[i]->base);
    }
    json_array_close(w);
}

static void put_name_object(struct json_writer *w, const char *key, const char *name)
{
    json_key(w, key);
    json_object_open(w);
    json_key_string(w, "name", name);
    json_object_close(w);
}

void v0_put_domain(struct json_writer *w, const Mesos__V1__DomainInfo *domain)
{
    json_object_open(w);
    if (domain->fault_domain != NULL) {
        json_key(w, "fault_domain");
        json_object_open(w);
        put_name_object(w, "region", domain->fault_domain->region->name);
        put_name_object(w, "zone", domain->fault_domain->zone->name);
        json_object_close(w);
    }
    json_object_close(w);
}

static void put_texts(struct json_writer *w, char *const *texts, size_t count)
{
    json_array_open(w);
    for (size_t i = 0; i < count; i++) {
        json_string(w, texts[i]);
    }
    json_array_close(w);
}

void v0_put_command(struct json_writer *w, const Mesos__V1__CommandInfo *command)
{
    json_object_open(w);
    if (command != NULL) {
        if (command->has_shell) {
            json_key_bool(w, "shell", command->shell);
        }
        if (command->value != NULL) {
            json_key_string(w, "value", command->value);
        }
        json_key(w, "argv");
        put_texts(w, command->arguments, command->n_arguments);
        if (command->environment != NULL) {
            json_key(w, "environment");
            wire_json_put(w, &command->environment->base);
        }
        json_key(w, "uris");
        json_array_open(w);
        for (size_t i = 0; i < command->n_uris; i++) {
            json_object_open(w);
            json_key_string(w, "value", command->uris[i]->value);
            json_key_bool(w, "executable", command->uris[i]->executable);
            json_object_close(w);
        }
        json_array_close(w);
    }
    json_object_close(w);
}

void v0_put_master_info(struct json_writer *w, const Mesos__V1__MasterInfo *info)
{
    json_object_open(w);
    json_key_string(w, "id", info->id);
    json_key_string(w, "pid", info->pid);
    json_key_u64(w, "port", info->port);
    json_key_string(w, "hostname", info->hostname);
    if (info->domain != NULL) {
        json_key(w, "domain");
        v0_put_domain(w, info->domain);
    }
    json_object_close(w);
}

void v0_put_framework_capabilities(struct json_writer *w, const Mesos__V1__FrameworkInfo *info)
{
    json_array_open(w);
    for (size_t i = 0; i < info->n_capabilities; i++) {
        const Mesos__V1__FrameworkInfo__Capability *c = info->capabilities[i];
        const char *name =
            c->has_type
                ? wire_enum_name(&mesos__v1__framework_info__capability__type__descriptor, c->type)
                : NULL;
        if (name != NULL) {
            json_string(w, name);
        }
    }
    json_array_close(w);
}

// ---- tasks ----

static void put_network_info(struct json_writer *w, const Mesos__V1__NetworkInfo *info)
{
    json_object_open(w);
    if (info->n_groups > 0) {
        json_key(w, "groups");
        put_texts(w, info->groups, info->n_groups);
    }
    if (info->labels != NULL) {
        json_key(w, "labels");
        v0_put_labels(w, info->labels);
    }
    if (info->n_ip_addresses > 0) {
        json_key(w, "ip_addresses");
        json_array_open(w);
        for (size_t i = 0; i < info->n_ip_addresses; i++) {
            wire_json_put(w, &info->ip_addresses[i]->base);
        }
        json_array_close(w);
    }
    if (info->name != NULL) {
        json_key_string(w, "name", info->name);
    }
    if (info->n_port_mappings > 0) {
        json_key(w, "port_mappings");
        json_array_open(w);
        for (size_t i = 0; i < info->n_port_mappings; i++) {
            wire_json_put(w, &info->port_mappings[i]->base);
        }
        json_array_close(w);
    }
    json_object_close(w);
}

void v0_put_container_status(struct json_writer *w, const Mesos__V1__ContainerStatus *status)
{
    json_object_open(w);
    if (status->container_id != NULL) {
        json_key(w, "container_id");
        wire_json_put(w, &status->container_id->base);
    }
    if (status->n_network_infos > 0) {
        json_key(w, "network_infos");
        json_array_open(w);
        for (size_t i = 0; i < status->n_network_infos; i++) {
            put_network_info(w, status->network_infos[i]);
        }
        json_array_close(w);
    }
    if (status->cgroup_info != NULL) {
        json_key(w, "cgroup_info");
        wire_json_put(w, &status->cgroup_info->base);
    }
    json_object_close(w);
}

static void put_task_state(struct json_writer *w, Mesos__V1__TaskState state)
{
    json_key_string(w, "state", wire_enum_name(&mesos__v1__task_state__descriptor, (int)state));
}

void v0_put_task_status(struct json_writer *w, const Mesos__V1__TaskStatus *status)
{
    json_object_open(w);
    put_task_state(w, status->state);
    json_key_double(w, "timestamp", status->has_timestamp ? status->timestamp : 0);
    if (status->labels != NULL) {
        json_key(w, "labels");
        v0_put_labels(w, status->labels);
    }
    if (status->container_status != NULL) {
        json_key(w, "container_status");
        v0_put_container_status(w, status->container_status);
    }
    if (status->has_healthy) {
        json_key_bool(w, "healthy", status->healthy);
    }
    json_object_close(w);
}

// The role that resources are allocated to: a task's or executor's are all of one.
static const char *role_of(Mesos__V1__Resource *const *resources, size_t count)
{
    bool has_role = count > 0 && resources[0]->allocation_info != NULL &&
                    resources[0]->allocation_info->role != NULL;
    return has_role ? resources[0]->allocation_info->role : "";
}

static void put_task_options(struct json_writer *w, const Mesos__V1__Task *task)
{
    if (task->user != NULL) {
        json_key_string(w, "user", task->user);
    }
    if (task->labels != NULL) {
        json_key(w, "labels");
        v0_put_labels(w, task->labels);
    }
    if (task->discovery != NULL) {
        json_key(w, "discovery");
        wire_json_put(w, &task->discovery->base);
    }
    if (task->container != NULL) {
        json_key(w, "container");
        wire_json_put(w, &task->container->base);
    }
    if (task->health_check != NULL) {
        json_key(w, "health_check");
        wire_json_put(w, &task->health_check->base);
    }
}

void v0_put_task(struct json_writer *w, const Mesos__V1__Task *task,
                 const struct resources *resources)
{
    json_object_open(w);
    json_key_string(w, "id", task->task_id->value);
    json_key_string(w, "name", task->name);
    json_key_string(w, "framework_id", task->framework_id->value);
    json_key_string(w, "executor_id", task->executor_id == NULL ? "" : task->executor_id->value);
    json_key_string(w, "slave_id", task->agent_id->value);
    put_task_state(w, task->state);
    json_key(w, "resources");
    if (resources != NULL) {
        v0_put_resources(w, resources);
    } else {
        v0_put_resource_messages(w, task->resources, task->n_resources);
    }
    if (task->n_limits > 0) {
        json_key(w, "limits");
        json_object_open(w);
        for (size_t i = 0; i < task->n_limits; i++) {
            json_key_double(w, task->limits[i]->key, task->limits[i]->value->value);
        }
        json_object_close(w);
    }
    json_key_string(w, "role",
                    resources != NULL ? resources_role(resources)
                                      : role_of(task->resources, task->n_resources));
    json_key(w, "statuses");
    json_array_open(w);
    for (size_t i = 0; i < task->n_statuses; i++) {
        v0_put_task_status(w, task->statuses[i]);
    }
    json_array_close(w);
    put_task_options(w, task);
    json_object_close(w);
}

void v0_put_executor_members(struct json_writer *w, const Mesos__V1__ExecutorInfo *info)
{
    json_key_string(w, "executor_id", info->executor_id->value);
    json_key_string(w, "name", info->name);
    json_key_string(w, "framework_id", info->framework_id == NULL ? "" : info->framework_id->value);
    json_key(w, "command");
    v0_put_command(w, info->command);
    json_key(w, "resources");
    v0_put_resource_messages(w, info->resources, info->n_resources);
    if (info->n_resources > 0) {
        json_key_string(w, "role", role_of(info->resources, info->n_resources));
    }
    if (info->labels != NULL) {
        json_key(w, "labels");
        v0_put_labels(w, info->labels);
    }
    if (info->has_type) {
        json_key_string(
            w, "type",
            wire_enum_name(&mesos__v1__executor_info__type__descriptor, (int)info->type));
    }
}

void v0_put_offer(struct json_writer *w, const Mesos__V1__Offer *offer)
{
    json_object_open(w);
    json_key_string(w, "id", offer->id->value);
    json_key_string(w, "framework_id", offer->framework_id->value);
    json_key(w, "allocation_info");
    if (offer->allocation_info != NULL) {
        wire_json_put(w, &offer->allocation_info->base);
    } else {
        json_object_open(w);
        json_object_close(w);
    }
    json_key_string(w, "slave_id", offer->agent_id->value);
    json_key(w, "resources");
    v0_put_resource_messages(w, offer->resources, offer->n_resources);
    json_object_close(w);
}
