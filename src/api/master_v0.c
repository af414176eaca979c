// SPDX-License-Identifier: Apache-2.0

#include "api/master_v0.h"

#include <math.h>
#include <string.h>

#include "api/v0_json.h"
#include "base/check.h"
#include "base/mem.h"
#include "model/framework.h"
#include "wire/wire.h"

static void *decode(struct arena *arena, const ProtobufCMessageDescriptor *descriptor,
                    const struct packed *packed)
{
    ProtobufCMessage *message;
    int r = wire_decode(descriptor, arena, packed->data, packed->size, &message, NULL);
    CHECK(r == 0); // the core encoded it
    return message;
}

// The id messages point into the record: nothing writes to them.
static char *borrow(const char *text)
{
    return (char *)(uintptr_t)text;
}

static bool take_varint(const uint8_t **at, const uint8_t *end, uint64_t *ret_value)
{
    uint64_t value = 0;
    for (unsigned shift = 0; *at < end && shift < 64; shift += 7) {
        uint8_t byte = *(*at)++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *ret_value = value;
            return true;
        }
    }
    return false;
}

// A status as v0 shows it has a state, a time, and maybe a word about health: where there is no
// more to show, those are picked out of the bytes. False: it has to be decoded.
static bool pick_status(const struct packed *packed, struct v0_plain_status *status)
{
    enum { VARINT = 0, FIXED64 = 1, DELIMITED = 2 };
    enum { STATE = 2, TIMESTAMP = 6, HEALTHY = 8, LABELS = 12, CONTAINER_STATUS = 13 };
    const uint8_t *at = packed->data, *end = at + packed->size;
    while (at < end) {
        uint64_t tag, value;
        if (!take_varint(&at, end, &tag))
            return false;
        unsigned field = (unsigned)(tag >> 3), type = tag & 7;
        if (field == LABELS || field == CONTAINER_STATUS)
            return false;
        if (type == FIXED64 && end - at >= 8) {
            if (field == TIMESTAMP)
                memcpy(&status->timestamp, at, sizeof(status->timestamp));
            at += 8;
        } else if ((type == VARINT || type == DELIMITED) && take_varint(&at, end, &value)) {
            if (type == DELIMITED && value > (uint64_t)(end - at))
                return false;
            if (type == DELIMITED) {
                at += value;
            } else if (field == STATE) {
                status->state = (Mesos__V1__TaskState)value;
            } else if (field == HEALTHY) {
                status->has_healthy = true;
                status->healthy = value != 0;
            }
        } else {
            return false;
        }
    }
    return true;
}

static Mesos__V1__TaskStatus *decode_status(struct arena *arena, const Mesos__V1__Task *task,
                                            const struct packed *packed)
{
    Mesos__V1__TaskStatus *status = decode(arena, &mesos__v1__task_status__descriptor, packed);
    status->task_id = task->task_id;
    status->agent_id = task->agent_id;
    status->executor_id = task->executor_id;
    return status;
}

// Without its resources.
static Mesos__V1__Task *make_task(struct arena *arena, const struct task *t)
{
    Mesos__V1__Task *task = t->details != NULL
                                ? decode(arena, &mesos__v1__task__descriptor, t->details)
                                : WIRE_NEW(arena, Mesos__V1__Task, mesos__v1__task);
    task->name = borrow(t->name);
    task->task_id = WIRE_NEW(arena, Mesos__V1__TaskID, mesos__v1__task_id);
    task->task_id->value = borrow(t->id);
    task->framework_id = WIRE_NEW(arena, Mesos__V1__FrameworkID, mesos__v1__framework_id);
    task->framework_id->value = t->framework->id;
    task->agent_id = WIRE_NEW(arena, Mesos__V1__AgentID, mesos__v1__agent_id);
    task->agent_id->value = borrow(t->agent_id);
    if (t->executor_id != NULL) {
        task->executor_id = WIRE_NEW(arena, Mesos__V1__ExecutorID, mesos__v1__executor_id);
        task->executor_id->value = borrow(t->executor_id);
    }
    task->state = t->state;
    task->statuses = arena_calloc(arena, t->status_count + 1, sizeof(*task->statuses));
    for (uint32_t i = 0; i < t->status_count; i++)
        task->statuses[task->n_statuses++] = decode_status(arena, task, t->statuses[i]);
    if (t->has_update) {
        task->has_status_update_state = true;
        task->status_update_state = t->update_state;
        task->has_status_update_uuid = true;
        task->status_update_uuid.len = UUID_SIZE;
        task->status_update_uuid.data = arena_dup(arena, t->update_uuid, UUID_SIZE);
    }
    return task;
}

Mesos__V1__Task *master_v0_task(struct arena *arena, const struct task *t)
{
    Mesos__V1__Task *task = make_task(arena, t);
    task->n_resources =
        resources_to_proto(t->resources, arena, RESOURCES_NEW_FORM, true, &task->resources);
    return task;
}

Mesos__V1__ExecutorInfo *master_v0_executor(struct arena *arena, const struct executor *e)
{
    return decode(arena, &mesos__v1__executor_info__descriptor, e->info);
}

// ---- agents ----

static void put_agent_info_members(struct json_writer *w, const Mesos__V1__AgentInfo *info)
{
    JSON_KEY_STRING(w, "id", info->id->value);
    JSON_KEY_STRING(w, "hostname", info->hostname);
    JSON_KEY_I64(w, "port", info->has_port ? info->port : 5051);
    JSON_KEY(w, "attributes");
    v0_put_attributes(w, info->attributes, info->n_attributes);
    if (info->domain != NULL) {
        JSON_KEY(w, "domain");
        v0_put_domain(w, info->domain);
    }
}

static void put_resources(struct json_writer *w, const char *key, const struct resources *r)
{
    json_key(w, key);
    v0_put_resources(w, r);
}

static void put_reserved(struct json_writer *w, const struct resources *total, struct arena *arena,
                         bool full)
{
    const char **roles;
    size_t count = resources_reserved_roles(total, arena, &roles);
    json_object_open(w);
    for (size_t i = 0; i < count; i++) {
        AUTO_RESOURCES struct resources *reserved = resources_reserved(total, roles[i]);
        json_key(w, roles[i]);
        if (full)
            v0_put_resources_full(w, reserved);
        else
            v0_put_resources(w, reserved);
    }
    json_object_close(w);
}

static void put_text(struct json_writer *w, const struct buf *text)
{
    json_raw(w, text->data, text->size);
}

static void put_full(struct json_writer *w, struct v0_texts *texts, const struct agent *a,
                     const struct resources *unreserved, struct arena *arena)
{
    JSON_KEY(w, "reserved_resources_full");
    put_reserved(w, a->total, arena, true);
    JSON_KEY(w, "unreserved_resources_full");
    put_text(w, v0_texts_resources_full(texts, unreserved));
    JSON_KEY(w, "used_resources_full");
    put_text(w, v0_texts_resources_full(texts, a->used));
    JSON_KEY(w, "offered_resources_full");
    put_text(w, v0_texts_resources_full(texts, a->offered));
}

// Not only what Mesos shows, but also when the agent becomes unavailable.
static void put_drain(struct json_writer *w, const struct agent *a, struct arena *arena)
{
    const struct deactivation *d = map_get(&a->master->deactivations, a->id);
    const Mesos__V1__DrainInfo *info = d != NULL ? master_deactivation_drain_info(d, arena) : NULL;
    const struct machine *machine = master_agent_machine(a);
    if (machine != NULL) {
        JSON_KEY(w, "unavailability");
        wire_json_put(w, &machine->unavailability->base);
    }
    if (info == NULL)
        return;
    JSON_KEY(w, "drain_info");
    wire_json_put(w, &info->base);
    if (d->drain_started != 0)
        JSON_KEY_DOUBLE(w, "estimated_drain_start_time_seconds",
                        master_v0_seconds(d->drain_started));
}

static void put_agent_resources(struct json_writer *w, struct v0_texts *texts,
                                const struct agent *a, const struct resources *unreserved,
                                struct arena *arena)
{
    JSON_KEY(w, "resources");
    put_text(w, v0_texts_resources(texts, a->total));
    JSON_KEY(w, "used_resources");
    put_text(w, v0_texts_resources(texts, a->used));
    JSON_KEY(w, "offered_resources");
    put_text(w, v0_texts_resources(texts, a->offered));
    JSON_KEY(w, "reserved_resources");
    put_reserved(w, a->total, arena, false);
    JSON_KEY(w, "unreserved_resources");
    put_text(w, v0_texts_resources(texts, unreserved));
}

void master_v0_put_agent_members(struct json_writer *w, struct v0_texts *texts,
                                 const struct agent *a, bool full)
{
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    put_agent_info_members(w, a->info);
    JSON_KEY_STRING(w, "pid", a->pid);
    JSON_KEY_DOUBLE(w, "registered_time", master_v0_seconds(a->registered));
    if (a->reregistered != 0)
        JSON_KEY_DOUBLE(w, "reregistered_time", master_v0_seconds(a->reregistered));
    AUTO_RESOURCES struct resources *rest =
        resources_are_simple(a->total) ? NULL : resources_unreserved(a->total);
    const struct resources *unreserved = rest != NULL ? rest : a->total;
    put_agent_resources(w, texts, a, unreserved, arena);
    JSON_KEY_BOOL(w, "active", a->active);
    JSON_KEY_BOOL(w, "deactivated", master_agent_is_deactivated(a));
    JSON_KEY_STRING(w, "version", a->version);
    JSON_KEY(w, "capabilities");
    json_array_open(w);
    for (size_t i = 0; i < a->capability_count; i++) {
        const char *name = wire_enum_name(&mesos__v1__agent_info__capability__type__descriptor,
                                          (int)a->capabilities[i]->type);
        if (a->capabilities[i]->has_type && name != NULL)
            json_string(w, name);
    }
    json_array_close(w);
    put_drain(w, a, arena);
    if (full)
        put_full(w, texts, a, unreserved, arena);
}

void master_v0_put_recovered_agent(struct json_writer *w, const struct recovered_agent *r)
{
    json_object_open(w);
    put_agent_info_members(w, r->info);
    json_object_close(w);
}

// ---- frameworks ----

void master_v0_put_framework_summary_members(struct json_writer *w, const struct framework *f)
{
    JSON_KEY_STRING(w, "id", f->id);
    JSON_KEY_STRING(w, "name", f->info->name);
    put_resources(w, "used_resources", f->used);
    put_resources(w, "offered_resources", f->offered);
    JSON_KEY(w, "capabilities");
    v0_put_framework_capabilities(w, f->info);
    JSON_KEY_STRING(w, "hostname", f->info->hostname);
    JSON_KEY_STRING(w, "webui_url", f->info->webui_url);
    JSON_KEY_BOOL(w, "active", f->active);
    JSON_KEY_BOOL(w, "connected", f->subscriber != NULL);
    JSON_KEY_BOOL(w, "recovered", f->recovered);
}

static bool put_plain_task(struct json_writer *w, struct v0_texts *texts, const struct task *t)
{
    enum { STATUSES_MAX = 8 };
    if (t->details != NULL || t->status_count > STATUSES_MAX)
        return false;
    struct v0_plain_status statuses[STATUSES_MAX] = {0};
    for (uint32_t i = 0; i < t->status_count; i++) {
        if (!pick_status(t->statuses[i], &statuses[i]) || !isfinite(statuses[i].timestamp))
            return false;
    }
    const char *role = resources_role(t->resources);
    const struct v0_plain_task plain = {
        .id = t->id,
        .name = t->name,
        .framework_id = t->framework->id,
        .executor_id = t->executor_id != NULL ? t->executor_id : "",
        .agent_id = t->agent_id,
        .role = role != NULL ? role : "",
        .state = t->state,
        .resources = v0_texts_resources(texts, t->resources),
        .statuses = statuses,
        .status_count = t->status_count,
    };
    return v0_put_plain_task(w, &plain);
}

void master_v0_put_task(struct json_writer *w, struct v0_texts *texts, struct arena *arena,
                        const struct task *t)
{
    if (put_plain_task(w, texts, t))
        return;
    arena_reset(arena);
    v0_put_task(w, make_task(arena, t), t->resources);
}

void master_v0_put_offer(struct json_writer *w, struct arena *arena, const struct offer *o)
{
    arena_reset(arena);
    Mesos__V1__OfferID id = MESOS__V1__OFFER_ID__INIT;
    id.value = borrow(o->id);
    Mesos__V1__FrameworkID framework_id = MESOS__V1__FRAMEWORK_ID__INIT;
    framework_id.value = o->framework->id;
    Mesos__V1__AgentID agent_id = MESOS__V1__AGENT_ID__INIT;
    agent_id.value = o->agent->id;
    Mesos__V1__Resource__AllocationInfo allocation = MESOS__V1__RESOURCE__ALLOCATION_INFO__INIT;
    allocation.role = o->role;
    Mesos__V1__Offer offer = MESOS__V1__OFFER__INIT;
    offer.id = &id;
    offer.framework_id = &framework_id;
    offer.agent_id = &agent_id;
    offer.hostname = o->agent->info->hostname;
    offer.allocation_info = &allocation;
    offer.n_resources =
        resources_to_proto(o->resources, arena, RESOURCES_NEW_FORM, true, &offer.resources);
    v0_put_offer(w, &offer);
}

void master_v0_put_executor(struct json_writer *w, struct arena *arena, const struct executor *e)
{
    arena_reset(arena);
    json_object_open(w);
    v0_put_executor_members(w, master_v0_executor(arena, e));
    JSON_KEY_STRING(w, "slave_id", e->agent->id);
    json_object_close(w);
}

static void put_roles(struct json_writer *w, const struct framework *f)
{
    if (!FRAMEWORK_HAS(f->capabilities, MULTI_ROLE)) {
        JSON_KEY_STRING(w, "role", f->role_count > 0 ? f->roles[0] : "*");
        return;
    }
    JSON_KEY(w, "roles");
    json_array_open(w);
    for (size_t i = 0; i < f->role_count; i++)
        json_string(w, f->roles[i]);
    json_array_close(w);
}

void master_v0_put_framework_members(struct json_writer *w, const struct framework *f)
{
    master_v0_put_framework_summary_members(w, f);
    JSON_KEY_STRING(w, "user", f->info->user);
    JSON_KEY_DOUBLE(w, "failover_timeout",
                    f->info->has_failover_timeout ? f->info->failover_timeout : 0);
    JSON_KEY_BOOL(w, "checkpoint", f->info->has_checkpoint && f->info->checkpoint);
    JSON_KEY_DOUBLE(w, "registered_time", master_v0_seconds(f->registered));
    JSON_KEY_DOUBLE(w, "unregistered_time", master_v0_seconds(f->unregistered));
    if (f->info->principal != NULL)
        JSON_KEY_STRING(w, "principal", f->info->principal);
    AUTO_RESOURCES struct resources *sum = resources_copy(f->used);
    resources_add(sum, f->offered);
    put_resources(w, "resources", sum);
    if (f->registered != f->reregistered)
        JSON_KEY_DOUBLE(w, "reregistered_time", master_v0_seconds(f->reregistered));
    put_roles(w, f);
}

void master_v0_put_framework_last_members(struct json_writer *w, const struct framework *f)
{
    if (f->info->labels != NULL) {
        JSON_KEY(w, "labels");
        v0_put_labels(w, f->info->labels);
    }
    JSON_KEY(w, "offer_constraints");
    if (f->offer_constraints != NULL) {
        wire_json_put(w, &f->offer_constraints->base);
    } else {
        json_object_open(w);
        json_object_close(w);
    }
}
