// SPDX-License-Identifier: Apache-2.0
//
// See v0_json.h.

#include "api/v0_json.h"

#include <string.h>

#include "api/api.h"
#include "base/arena.h"
#include "base/mem.h"
#include "base/text.h"
#include "model/attributes.h"
#include "model/value.h"
#include "wire/wire.h"

// ---- resources ----

enum { THOUSANDTHS_SIZE_MAX = 24 };

// A scalar as Mesos writes doubles: "0.0", "128.0", "0.125". Returns the end.
static char *write_thousandths(char *at, int64_t thousandths)
{
    if (thousandths < 0)
        *at++ = '-';
    uint64_t value = thousandths < 0 ? 0 - (uint64_t)thousandths : (uint64_t)thousandths;
    uint64_t whole = value / 1000;
    unsigned fraction = (unsigned)(value % 1000);
    char digits[20];
    size_t count = 0;
    do {
        digits[count++] = (char)('0' + whole % 10);
        whole /= 10;
    } while (whole > 0);
    while (count > 0)
        *at++ = digits[--count];
    *at++ = '.';
    *at++ = (char)('0' + fraction / 100);
    if (fraction % 100 != 0)
        *at++ = (char)('0' + fraction / 10 % 10);
    if (fraction % 10 != 0)
        *at++ = (char)('0' + fraction % 10);
    return at;
}

static void put_thousandths(struct json_writer *w, int64_t thousandths)
{
    char text[THOUSANDTHS_SIZE_MAX];
    json_raw(w, text, (size_t)(write_thousandths(text, thousandths) - text));
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

// A literal, as it is.
#define WRITE(at, text) (memcpy((at), (text), sizeof(text) - 1), (at) + sizeof(text) - 1)

static char *write_always(char *at, const int64_t amounts[ARRAY_COUNT(always)])
{
    at = write_thousandths(WRITE(at, "{\"cpus\":"), amounts[0]);
    at = write_thousandths(WRITE(at, ",\"disk\":"), amounts[1]);
    at = write_thousandths(WRITE(at, ",\"gpus\":"), amounts[2]);
    return write_thousandths(WRITE(at, ",\"mem\":"), amounts[3]);
}

enum { ALWAYS_SIZE_MAX = 40 + 4 * THOUSANDTHS_SIZE_MAX };

// Opens the object.
static void put_always(struct json_writer *w, const int64_t amounts[ARRAY_COUNT(always)])
{
    char text[ALWAYS_SIZE_MAX];
    json_raw(w, text, (size_t)(write_always(text, amounts) - text));
}

void v0_put_resources(struct json_writer *w, const struct resources *resources)
{
    int64_t amounts[ARRAY_COUNT(always)] = {0};
    if (resources == NULL ||
        resources_sum_scalars(resources, always, ARRAY_COUNT(always), amounts)) {
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
    put_always(w, amounts);
    json_object_close(w);
}

void v0_put_resources_full(struct json_writer *w, const struct resources *resources)
{
    if (resources_put_simple_json(resources, w)) {
        return;
    }
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
    JSON_KEY_STRING(w, "name", name);
    json_object_close(w);
}

void v0_put_domain(struct json_writer *w, const Mesos__V1__DomainInfo *domain)
{
    json_object_open(w);
    if (domain->fault_domain != NULL) {
        JSON_KEY(w, "fault_domain");
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
            JSON_KEY_BOOL(w, "shell", command->shell);
        }
        if (command->value != NULL) {
            JSON_KEY_STRING(w, "value", command->value);
        }
        JSON_KEY(w, "argv");
        put_texts(w, command->arguments, command->n_arguments);
        if (command->environment != NULL) {
            JSON_KEY(w, "environment");
            wire_json_put(w, &command->environment->base);
        }
        JSON_KEY(w, "uris");
        json_array_open(w);
        for (size_t i = 0; i < command->n_uris; i++) {
            json_object_open(w);
            JSON_KEY_STRING(w, "value", command->uris[i]->value);
            JSON_KEY_BOOL(w, "executable", command->uris[i]->executable);
            json_object_close(w);
        }
        json_array_close(w);
    }
    json_object_close(w);
}

void v0_put_master_info(struct json_writer *w, const Mesos__V1__MasterInfo *info)
{
    json_object_open(w);
    JSON_KEY_STRING(w, "id", info->id);
    JSON_KEY_STRING(w, "pid", info->pid);
    JSON_KEY_U64(w, "port", info->port);
    JSON_KEY_STRING(w, "hostname", info->hostname);
    if (info->domain != NULL) {
        JSON_KEY(w, "domain");
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
        JSON_KEY(w, "groups");
        put_texts(w, info->groups, info->n_groups);
    }
    if (info->labels != NULL) {
        JSON_KEY(w, "labels");
        v0_put_labels(w, info->labels);
    }
    if (info->n_ip_addresses > 0) {
        JSON_KEY(w, "ip_addresses");
        json_array_open(w);
        for (size_t i = 0; i < info->n_ip_addresses; i++) {
            wire_json_put(w, &info->ip_addresses[i]->base);
        }
        json_array_close(w);
    }
    if (info->name != NULL) {
        JSON_KEY_STRING(w, "name", info->name);
    }
    if (info->n_port_mappings > 0) {
        JSON_KEY(w, "port_mappings");
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
        JSON_KEY(w, "container_id");
        wire_json_put(w, &status->container_id->base);
    }
    if (status->n_network_infos > 0) {
        JSON_KEY(w, "network_infos");
        json_array_open(w);
        for (size_t i = 0; i < status->n_network_infos; i++) {
            put_network_info(w, status->network_infos[i]);
        }
        json_array_close(w);
    }
    if (status->cgroup_info != NULL) {
        JSON_KEY(w, "cgroup_info");
        wire_json_put(w, &status->cgroup_info->base);
    }
    json_object_close(w);
}

static void put_task_state(struct json_writer *w, Mesos__V1__TaskState state)
{
    JSON_KEY_STRING(w, "state", wire_enum_name(&mesos__v1__task_state__descriptor, (int)state));
}

void v0_put_task_status(struct json_writer *w, const Mesos__V1__TaskStatus *status)
{
    json_object_open(w);
    put_task_state(w, status->state);
    JSON_KEY_DOUBLE(w, "timestamp", status->has_timestamp ? status->timestamp : 0);
    if (status->labels != NULL) {
        JSON_KEY(w, "labels");
        v0_put_labels(w, status->labels);
    }
    if (status->container_status != NULL) {
        JSON_KEY(w, "container_status");
        v0_put_container_status(w, status->container_status);
    }
    if (status->has_healthy) {
        JSON_KEY_BOOL(w, "healthy", status->healthy);
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
        JSON_KEY_STRING(w, "user", task->user);
    }
    if (task->labels != NULL) {
        JSON_KEY(w, "labels");
        v0_put_labels(w, task->labels);
    }
    if (task->discovery != NULL) {
        JSON_KEY(w, "discovery");
        wire_json_put(w, &task->discovery->base);
    }
    if (task->container != NULL) {
        JSON_KEY(w, "container");
        wire_json_put(w, &task->container->base);
    }
    if (task->health_check != NULL) {
        JSON_KEY(w, "health_check");
        wire_json_put(w, &task->health_check->base);
    }
}

// ---- plain tasks ----

struct plain_text {
    const char *text;
    size_t size;
};

static struct plain_text text_of(const char *text)
{
    return (struct plain_text){text, strlen(text)};
}

static char *write_text(char *at, struct plain_text text)
{
    memcpy(at, text.text, text.size);
    return at + text.size;
}

static struct plain_text state_text(Mesos__V1__TaskState state)
{
    static _Thread_local struct plain_text known[32];
    if ((unsigned)state >= ARRAY_COUNT(known))
        return (struct plain_text){"", 0};
    if (known[state].text == NULL) {
        const char *name = wire_enum_name(&mesos__v1__task_state__descriptor, (int)state);
        known[state] = text_of(name != NULL ? name : "");
    }
    return known[state];
}

bool v0_put_plain_task(struct json_writer *w, const struct v0_plain_task *t)
{
    enum { KEYS_SIZE = 256, STATUS_SIZE = 128 };
    struct plain_text texts[] = {
        text_of(t->id),          text_of(t->name),     text_of(t->framework_id),
        text_of(t->executor_id), text_of(t->agent_id), text_of(t->role),
    };
    const struct plain_text resources = {t->resources->data, t->resources->size};
    size_t size = KEYS_SIZE + resources.size + STATUS_SIZE * (t->status_count + 1);
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        if (!json_is_plain(texts[i].text, texts[i].size))
            return false;
        size += texts[i].size;
    }
    struct buf *out = w->out;
    if (out->limit != 0)
        return false;
    buf_reserve(out, size);
    char *at = out->data + out->size;
    if (w->needs_comma)
        *at++ = ',';
    at = write_text(WRITE(at, "{\"id\":\""), texts[0]);
    at = write_text(WRITE(at, "\",\"name\":\""), texts[1]);
    at = write_text(WRITE(at, "\",\"framework_id\":\""), texts[2]);
    at = write_text(WRITE(at, "\",\"executor_id\":\""), texts[3]);
    at = write_text(WRITE(at, "\",\"slave_id\":\""), texts[4]);
    at = write_text(WRITE(at, "\",\"state\":\""), state_text(t->state));
    at = write_text(WRITE(at, "\",\"resources\":"), resources);
    at = write_text(WRITE(at, ",\"role\":\""), texts[5]);
    at = WRITE(at, "\",\"statuses\":[");
    for (size_t i = 0; i < t->status_count; i++) {
        if (i > 0)
            *at++ = ',';
        at = write_text(WRITE(at, "{\"state\":\""), state_text(t->statuses[i].state));
        at = WRITE(at, "\",\"timestamp\":");
        out->size = (size_t)(at - out->data);
        text_put_double(out, t->statuses[i].timestamp);
        at = out->data + out->size;
        if (t->statuses[i].has_healthy)
            at = t->statuses[i].healthy ? WRITE(at, ",\"healthy\":true")
                                        : WRITE(at, ",\"healthy\":false");
        *at++ = '}';
    }
    at = WRITE(at, "]}");
    *at = '\0';
    out->size = (size_t)(at - out->data);
    w->needs_comma = true;
    return true;
}

void v0_put_task(struct json_writer *w, const Mesos__V1__Task *task,
                 const struct resources *resources)
{
    json_object_open(w);
    JSON_KEY_STRING(w, "id", task->task_id->value);
    JSON_KEY_STRING(w, "name", task->name);
    JSON_KEY_STRING(w, "framework_id", task->framework_id->value);
    JSON_KEY_STRING(w, "executor_id", task->executor_id == NULL ? "" : task->executor_id->value);
    JSON_KEY_STRING(w, "slave_id", task->agent_id->value);
    put_task_state(w, task->state);
    JSON_KEY(w, "resources");
    if (resources != NULL) {
        v0_put_resources(w, resources);
    } else {
        v0_put_resource_messages(w, task->resources, task->n_resources);
    }
    if (task->n_limits > 0) {
        JSON_KEY(w, "limits");
        json_object_open(w);
        for (size_t i = 0; i < task->n_limits; i++) {
            json_key_double(w, task->limits[i]->key, task->limits[i]->value->value);
        }
        json_object_close(w);
    }
    JSON_KEY_STRING(w, "role",
                    resources != NULL ? resources_role(resources)
                                      : role_of(task->resources, task->n_resources));
    JSON_KEY(w, "statuses");
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
    JSON_KEY_STRING(w, "executor_id", info->executor_id->value);
    JSON_KEY_STRING(w, "name", info->name);
    JSON_KEY_STRING(w, "framework_id", info->framework_id == NULL ? "" : info->framework_id->value);
    JSON_KEY(w, "command");
    v0_put_command(w, info->command);
    JSON_KEY(w, "resources");
    v0_put_resource_messages(w, info->resources, info->n_resources);
    if (info->n_resources > 0) {
        JSON_KEY_STRING(w, "role", role_of(info->resources, info->n_resources));
    }
    if (info->labels != NULL) {
        JSON_KEY(w, "labels");
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
    JSON_KEY_STRING(w, "id", offer->id->value);
    JSON_KEY_STRING(w, "framework_id", offer->framework_id->value);
    JSON_KEY(w, "allocation_info");
    if (offer->allocation_info != NULL) {
        wire_json_put(w, &offer->allocation_info->base);
    } else {
        json_object_open(w);
        json_object_close(w);
    }
    JSON_KEY_STRING(w, "slave_id", offer->agent_id->value);
    JSON_KEY(w, "resources");
    v0_put_resource_messages(w, offer->resources, offer->n_resources);
    json_object_close(w);
}
