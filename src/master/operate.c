// SPDX-License-Identifier: Apache-2.0
//
// Operations on an agent's resources, from an ACCEPT or by an operator: checked, applied to the
// books at once, and sent to the agent. The agent does the same to what it has; when it cannot, it
// says so, registers again, and tells what it really has.

#include <string.h>

#include "master/internal.h"

bool master_agent_can(const struct agent *a, Mesos__V1__AgentInfo__Capability__Type type)
{
    for (size_t i = 0; i < a->capability_count; i++) {
        if (a->capabilities[i]->has_type && a->capabilities[i]->type == type)
            return true;
    }
    return false;
}

#define CAN(a, NAME) master_agent_can(a, MESOS__V1__AGENT_INFO__CAPABILITY__TYPE__##NAME)

static int validate(const struct agent *a, const Mesos__V1__FrameworkInfo *framework,
                    const char *principal, const Mesos__V1__Offer__Operation *operation,
                    const char **ret_text)
{
    struct arena *arena = a->master->scratch;
    AUTO_RESOURCES struct resources *checkpointed = resources_checkpointed(a->total);
    struct operation_scene scene = {
        .principal = principal,
        .framework = framework,
        .checkpointed = checkpointed,
        .used = a->used,
        .has_hierarchical_roles = CAN(a, HIERARCHICAL_ROLE),
        .has_refinement = CAN(a, RESERVATION_REFINEMENT),
        .has_resize = CAN(a, RESIZE_VOLUME),
    };
    return operation_validate(operation, &scene, arena, ret_text);
}

// The agent's total follows.
static void convert_total(struct agent *a, const struct conversions *conversions)
{
    for (size_t i = 0; i < conversions->count; i++) {
        AUTO_RESOURCES struct resources *consumed = resources_copy(conversions->items[i].consumed);
        AUTO_RESOURCES struct resources *converted =
            resources_copy(conversions->items[i].converted);
        resources_unallocate(consumed);
        resources_unallocate(converted);
        master_before_agent(a);
        resources_subtract(a->total, consumed);
        resources_add(a->total, converted);
    }
}

// Offers of the agent that hold a volume which is about to go.
static void rescind_with_volumes(struct agent *a, const struct conversions *conversions)
{
    LIST_FOREACH (&a->offers, struct offer, by_agent, o) {
        AUTO_RESOURCES struct resources *offered = resources_copy(o->resources);
        resources_unallocate(offered);
        for (size_t i = 0; i < conversions->count; i++) {
            AUTO_RESOURCES struct resources *volume =
                resources_copy(conversions->items[i].consumed);
            resources_unallocate(volume);
            if (resources_contains(offered, volume)) {
                master_offer_rescind(o);
                break;
            }
        }
    }
}

static bool is_resize(Mesos__V1__Offer__Operation__Type type)
{
    return type == OPERATION(GROW_VOLUME) || type == OPERATION(SHRINK_VOLUME);
}

// Turns what is left of the offers; what a resize gives is put aside.
static int convert_remaining(struct accepting *c, Mesos__V1__Offer__Operation__Type type,
                             const struct conversions *conversions, const char **ret_text)
{
    struct arena *arena = c->framework->master->scratch;
    if (!is_resize(type)) {
        int r = conversions_apply(conversions, c->remaining, arena, ret_text);
        if (r == 0 && (type == OPERATION(CREATE) || type == OPERATION(DESTROY))) {
            resources_free(c->shared);
            c->shared = resources_shared(c->remaining);
        }
        return r;
    }
    const struct conversion *only = &conversions->items[0];
    if (!resources_contains(c->remaining, only->consumed)) {
        *ret_text = arena_printf(arena, "Invalid %s operation: %s does not contain %s",
                                 operation_type_name(type), resources_text(c->remaining, arena),
                                 resources_text(only->consumed, arena));
        return -EINVAL;
    }
    resources_subtract(c->remaining, only->consumed);
    resources_add(c->resized, only->converted);
    return 0;
}

static void convert(struct accepting *c, Mesos__V1__Offer__Operation *operation)
{
    struct framework *f = c->framework;
    struct agent *a = c->agent;
    AUTO_CONVERSIONS struct conversions conversions = CONVERSIONS_INIT;
    conversions_get(operation, &conversions);
    if (operation->type == OPERATION(DESTROY))
        rescind_with_volumes(a, &conversions);
    const char *why;
    if (convert_remaining(c, operation->type, &conversions, &why) < 0) {
        master_operation_drop(f, operation, why);
        return;
    }
    for (size_t i = 0; i < conversions.count; i++)
        allocator_transform(f->master->allocator, f->id, a->id, conversions.items[i].consumed,
                            conversions.items[i].converted);
    c->has_converted = true;
    convert_total(a, &conversions);
    master_operation_begin(a, f, operation);
}

// Before the operation itself is looked at. NULL: nothing is wrong.
static const char *check_feedback(const struct framework *f, const struct agent *a,
                                  const Mesos__V1__Offer__Operation *operation)
{
    struct arena *arena = f->master->scratch;
    if (operation->id == NULL)
        return NULL;
    if (!CAN(a, RESOURCE_PROVIDER))
        return arena_printf(arena,
                            "Operation requested feedback, but agent %s does not have the required "
                            "RESOURCE_PROVIDER capability",
                            a->id);
    if (!CAN(a, AGENT_OPERATION_FEEDBACK))
        return arena_printf(arena,
                            "Operation on agent default resources requested feedback, but agent %s "
                            "does not have the required AGENT_OPERATION_FEEDBACK and "
                            "RESOURCE_PROVIDER capabilities",
                            a->id);
    // Mesos takes a second one and loses sight of the first.
    if (map_has(&f->operation_ids, operation->id->value))
        return arena_printf(arena, "Operation has duplicate ID: %s", operation->id->value);
    return NULL;
}

void master_operate_accepted(struct accepting *c, Mesos__V1__Offer__Operation *operation)
{
    struct framework *f = c->framework;
    struct agent *a = c->agent;
    struct arena *arena = f->master->scratch;
    struct error err;
    int r = operation_upgrade(operation, arena, &err);
    if (r == 0 && operation->reserve != NULL && operation->reserve->n_source > 0)
        r = error_set(&err, -EINVAL,
                      "Reservation updates are not yet implemented for the scheduler API.");
    if (r < 0) {
        master_operation_drop(
            f, operation,
            arena_printf(arena, "Operation attempted with invalid resources: %s", err.text));
        return;
    }
    const char *why = check_feedback(f, a, operation);
    if (why == NULL && f->operation_ids.count >= OPERATIONS_PER_FRAMEWORK_MAX)
        why = arena_printf(arena, "%zu operations wait for an acknowledgement already",
                           f->operation_ids.count);
    if (why != NULL) {
        master_operation_drop(f, operation, why);
        return;
    }
    operation_allocate(operation, c->role, arena);
    if (validate(a, f->info, f->info->principal, operation, &why) < 0) {
        why = arena_printf(arena, "%s; on agent %s at %s (%s)", why, a->id, a->pid,
                           a->info->hostname);
        master_operation_drop(f, operation, why);
        return;
    }
    if (operation_is_speculative(operation->type)) {
        convert(c, operation);
        return;
    }
    // A disk of a resource provider: agents have none yet, so it cannot be among what is left.
    AUTO_RESOURCES struct resources *source = NULL;
    r = resources_from_proto(operation->create_disk != NULL ? &operation->create_disk->source
                                                            : &operation->destroy_disk->source,
                             1, &source, NULL);
    CHECK(r == 0);
    master_operation_drop(f, operation,
                          arena_printf(arena, "Invalid %s Operation: %s does not contain %s",
                                       operation_type_name(operation->type),
                                       resources_text(c->remaining, arena),
                                       resources_text(source, arena)));
}

// ---- operators ----

// Rescinds offers until what is free together with them suffices, or no offer helps.
static void rescind_for(struct agent *a, const struct conversions *conversions)
{
    AUTO_RESOURCES struct resources *required = resources_new();
    for (size_t i = 0; i < conversions->count; i++)
        resources_add(required, conversions->items[i].consumed);
    AUTO_RESOURCES struct resources *recovered = resources_new();
    LIST_FOREACH (&a->offers, struct offer, by_agent, o) {
        AUTO_RESOURCES struct resources *offered = resources_copy(o->resources);
        resources_unallocate(offered);
        AUTO_RESOURCES struct resources *rest = resources_copy(required);
        resources_subtract_available(rest, offered);
        if (resources_is_equal(rest, required))
            continue;
        resources_subtract_available(required, offered);
        resources_add(recovered, offered);
        master_offer_rescind(o);
        AUTO_RESOURCES struct resources *after = resources_copy(recovered);
        const char *why;
        if (conversions_apply(conversions, after, a->master->scratch, &why) == 0)
            return;
    }
}

int master_operate(struct master *m, const char *agent_id, Mesos__V1__Offer__Operation *operation,
                   const char *principal, struct instant now, const char **ret_text)
{
    master_enter(m, now);
    struct arena *arena = m->scratch;
    struct error err;
    struct agent *a = master_agent(m, agent_id);
    if (a == NULL) {
        *ret_text = "No agent found with specified ID";
        return 400;
    }
    if (operation_upgrade(operation, arena, &err) < 0) {
        *ret_text = arena_strdup(arena, err.text);
        return 400;
    }
    const char *why;
    if (validate(a, NULL, principal, operation, &why) < 0) {
        *ret_text = arena_printf(arena, "Invalid %s operation on agent %s at %s (%s): %s",
                                 operation_type_name(operation->type), a->id, a->pid,
                                 a->info->hostname, why);
        return 400;
    }
    CHECK(operation_is_speculative(operation->type));
    if (a->channel == NULL) {
        *ret_text = arena_printf(arena, "Agent %s is disconnected", a->id);
        return 409;
    }
    AUTO_CONVERSIONS struct conversions conversions = CONVERSIONS_INIT;
    conversions_get(operation, &conversions);
    if (operation->type == OPERATION(DESTROY))
        rescind_with_volumes(a, &conversions); // a shared one stands in any number of offers
    rescind_for(a, &conversions);
    AUTO_RESOURCES struct resources *held = resources_copy(a->used);
    resources_add(held, a->offered);
    resources_unallocate(held);
    AUTO_RESOURCES struct resources *available = resources_copy(a->total);
    resources_subtract_available(available, held);
    if (conversions_apply(&conversions, available, arena, ret_text) < 0)
        return 409;
    convert_total(a, &conversions);
    allocator_update_agent(m->allocator, a->id, a->total);
    master_operation_begin(a, NULL, operation);
    return 202;
}
