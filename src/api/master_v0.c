// SPDX-License-Identifier: Apache-2.0

#include "api/master_v0.h"

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
    json_key_string(w, "id", info->id->value);
    json_key_string(w, "hostname", info->hostname);
    json_key_i64(w, "port", info->has_port ? info->port : 5051);
    json_key(w, "attributes");
    v0_put_attributes(w, info->attributes, info->n_attributes);
    if (info->domain != NULL) {
        json_key(w, "domain");
        v0_put_domain(w, info->domain);
    }
}

static void put_resources(struct json_writer *w, const char *key, const struct resources *r)
{
    json_key(w, key);
    v0_put_resources(w, r);
}

static void put_reserved(struct json_writer *w, const char *key, const struct resources *total,
                         struct arena *arena, bool full)
{
    const char **roles;
    size_t count = resources_reserved_roles(total, arena, &roles);
    json_key(w, key);
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

static void put_full(struct json_writer *w, const struct agent *a,
                     const struct resources *unreserved, struct arena *arena)
{
    put_reserved(w, "reserved_resources_full", a->total, arena, true);
    json_key(w, "unreserved_resources_full");
    v0_put_resources_full(w, unreserved);
    json_key(w, "used_resources_full");
    v0_put_resources_full(w, a->used);
    json_key(w, "offered_resources_full");
    v0_put_resources_full(w, a->offered);
}

// Not only what Mesos shows, but also when the agent becomes unavailable.
static void put_drain(struct json_writer *w, const struct agent *a, struct arena *arena)
{
    const struct deactivation *d = map_get(&a->master->deactivations, a->id);
    const Mesos__V1__DrainInfo *info = d != NULL ? master_deactivation_drain_info(d, arena) : NULL;
    const struct machine *machine = master_agent_machine(a);
    if (machine != NULL) {
        json_key(w, "unavailability");
        wire_json_put(w, &machine->unavailability->base);
    }
    if (info == NULL)
        return;
    json_key(w, "drain_info");
    wire_json_put(w, &info->base);
    if (d->drain_started != 0)
        json_key_double(w, "estimated_drain_start_time_seconds",
                        master_v0_seconds(d->drain_started));
}

void master_v0_put_agent_members(struct json_writer *w, const struct agent *a, bool full)
{
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    put_agent_info_members(w, a->info);
    json_key_string(w, "pid", a->pid);
    json_key_double(w, "registered_time", master_v0_seconds(a->registered));
    if (a->reregistered != 0)
        json_key_double(w, "reregistered_time", master_v0_seconds(a->reregistered));
    put_resources(w, "resources", a->total);
    put_resources(w, "used_resources", a->used);
    put_resources(w, "offered_resources", a->offered);
    put_reserved(w, "reserved_resources", a->total, arena, false);
    AUTO_RESOURCES struct resources *unreserved = resources_unreserved(a->total);
    put_resources(w, "unreserved_resources", unreserved);
    json_key_bool(w, "active", a->active);
    json_key_bool(w, "deactivated", master_agent_is_deactivated(a));
    json_key_string(w, "version", a->version);
    json_key(w, "capabilities");
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
        put_full(w, a, unreserved, arena);
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
    json_key_string(w, "id", f->id);
    json_key_string(w, "name", f->info->name);
    put_resources(w, "used_resources", f->used);
    put_resources(w, "offered_resources", f->offered);
    json_key(w, "capabilities");
    v0_put_framework_capabilities(w, f->info);
    json_key_string(w, "hostname", f->info->hostname);
    json_key_string(w, "webui_url", f->info->webui_url);
    json_key_bool(w, "active", f->active);
    json_key_bool(w, "connected", f->subscriber != NULL);
    json_key_bool(w, "recovered", f->recovered);
}

void master_v0_put_task(struct json_writer *w, struct arena *arena, const struct task *t)
{
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
    json_key_string(w, "slave_id", e->agent->id);
    json_object_close(w);
}

static void put_roles(struct json_writer *w, const struct framework *f)
{
    if (!FRAMEWORK_HAS(f->capabilities, MULTI_ROLE)) {
        json_key_string(w, "role", f->role_count > 0 ? f->roles[0] : "*");
        return;
    }
    json_key(w, "roles");
    json_array_open(w);
    for (size_t i = 0; i < f->role_count; i++)
        json_string(w, f->roles[i]);
    json_array_close(w);
}

void master_v0_put_framework_members(struct json_writer *w, const struct framework *f)
{
    master_v0_put_framework_summary_members(w, f);
    json_key_string(w, "user", f->info->user);
    json_key_double(w, "failover_timeout",
                    f->info->has_failover_timeout ? f->info->failover_timeout : 0);
    json_key_bool(w, "checkpoint", f->info->has_checkpoint && f->info->checkpoint);
    json_key_double(w, "registered_time", master_v0_seconds(f->registered));
    json_key_double(w, "unregistered_time", master_v0_seconds(f->unregistered));
    if (f->info->principal != NULL)
        json_key_string(w, "principal", f->info->principal);
    AUTO_RESOURCES struct resources *sum = resources_copy(f->used);
    resources_add(sum, f->offered);
    put_resources(w, "resources", sum);
    if (f->registered != f->reregistered)
        json_key_double(w, "reregistered_time", master_v0_seconds(f->reregistered));
    put_roles(w, f);
}

void master_v0_put_framework_last_members(struct json_writer *w, const struct framework *f)
{
    if (f->info->labels != NULL) {
        json_key(w, "labels");
        v0_put_labels(w, f->info->labels);
    }
    json_key(w, "offer_constraints");
    if (f->offer_constraints != NULL) {
        wire_json_put(w, &f->offer_constraints->base);
    } else {
        json_object_open(w);
        json_object_close(w);
    }
}
