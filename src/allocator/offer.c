// SPDX-License-Identifier: Apache-2.0
//
// What a member would be offered of an agent, or why nothing. As in Mesos, all that an agent has
// free, and that the member's role, capabilities and quotas allow, makes one offer.
//
// Quotas bound firm scalars only: what is reserved, revocable, or no scalar is always part of the
// offer. A resource that cannot be divided is left out when it is too much.

#include <string.h>

#include "allocator/constraints.h"
#include "allocator/state.h"
#include "base/check.h"
#include "base/mem.h"
#include "model/framework.h"

// ---- what is fit for the member ----

struct fitness {
    const struct alloc_member *member;
    bool may_share;   // shared resources are included
    bool has_foreign; // something was left out for its reservation
    bool has_unfit;   // or for a capability
    bool has_shared;  // or since it was offered in this run already
};

static bool is_for_role(const struct resource_kind *kind, const struct alloc_role *role)
{
    return kind->role == NULL || kind->role == role->name ||
           role_is_below(role->name->text, kind->role->text);
}

static bool is_fit(const struct resource_entry *entry, struct fitness *fitness)
{
    const struct resource_kind *kind = entry->kind;
    if (kind->simple) {
        return true;
    }
    if (!is_for_role(kind, fitness->member->role)) {
        fitness->has_foreign = true;
        return false;
    }
    unsigned capabilities = fitness->member->framework->capabilities;
    if ((kind->shared && !FRAMEWORK_HAS(capabilities, SHARED_RESOURCES)) ||
        (kind->revocable && !FRAMEWORK_HAS(capabilities, REVOCABLE_RESOURCES)) ||
        (kind->reservation_count > 1 && !FRAMEWORK_HAS(capabilities, RESERVATION_REFINEMENT))) {
        fitness->has_unfit = true;
        return false;
    }
    if (kind->shared && !fitness->may_share) {
        fitness->has_shared = true;
        return false;
    }
    return true;
}

static struct resources *fit_part(const struct alloc_agent *agent, struct fitness *fitness)
{
    struct resources *fit = resources_new();
    for (uint32_t i = 0; i < agent->available->count; i++) {
        if (is_fit(&agent->available->entries[i], fitness)) {
            resources_add_entry(fit, &agent->available->entries[i]);
        }
    }
    return fit;
}

// ---- quotas ----

// Takes from `offer` what is more than the role may have. Returns whether it took anything.
static bool chop(struct allocator *a, const struct alloc_role *role, struct resources **offer,
                 enum offer_obstacle *ret_obstacle)
{
    struct resources *kept = resources_new();
    bool is_chopped = false;
    amounts_clear(&a->delta); // what is in `kept` of each name
    for (uint32_t i = 0; i < (*offer)->count; i++) {
        struct resource_entry entry = (*offer)->entries[i];
        if (!entry_is_firm(&entry)) {
            resources_add_entry(kept, &entry);
            continue;
        }
        size_t number = name_number(a, entry.kind->interned_name);
        int64_t budget = quota_budget(a, role, number);
        int64_t left = budget == AMOUNT_UNLIMITED ? budget : budget - amount_of(&a->delta, number);
        bool is_whole_only = entry.kind->exclusive || entry.kind->shared;
        int64_t size =
            is_whole_only ? (int64_t)((uint64_t)entry.scalar * entry.count) : entry.scalar;
        if (size > left) {
            is_chopped = true;
            int64_t limit = quota_remaining(role, number);
            *ret_obstacle = limit <= budget ? OBSTACLE_LIMIT : OBSTACLE_HEADROOM;
            if (is_whole_only || left <= 0) {
                continue;
            }
            entry.scalar = left;
            size = left;
        }
        amount_add(&a->delta, number, size);
        resources_add_entry(kept, &entry);
    }
    resources_free(*offer);
    *offer = kept;
    return is_chopped;
}

// ---- the whole of it ----

static bool is_excluded(struct alloc_agent *agent, const struct alloc_member *member)
{
    if (!member->framework->is_constrained || agent->info == NULL) {
        return false;
    }
    const struct constraints *constraints = member->framework->constraints;
    if (!bits_has(&agent->judged, member->number)) {
        bits_set(&agent->judged, member->number);
        if (constraints_exclude(constraints, member->role->name->text, agent->info)) {
            bits_set(&agent->excluded, member->number);
        } else {
            bits_clear(&agent->excluded, member->number);
        }
    }
    return bits_has(&agent->excluded, member->number);
}

static enum offer_obstacle agent_obstacle(const struct allocator *a, struct alloc_agent *agent,
                                          const struct alloc_member *member)
{
    unsigned capabilities = member->framework->capabilities;
    if (agent->is_remote && !FRAMEWORK_HAS(capabilities, REGION_AWARE)) {
        return OBSTACLE_REGION;
    }
    if (a->filter_gpu_resources && agent->has_gpus && !FRAMEWORK_HAS(capabilities, GPU_RESOURCES)) {
        return OBSTACLE_GPUS;
    }
    return is_excluded(agent, member) ? OBSTACLE_CONSTRAINTS : OBSTACLE_NONE;
}

bool offer_is_whole(struct allocator *a, struct alloc_agent *agent, struct alloc_member *member)
{
    // Where all have the same minimums, the agent was found worth an offer already.
    if (!agent->is_plain || a->quota_count > 0 || a->peculiar_count > 0 ||
        agent_obstacle(a, agent, member) != OBSTACLE_NONE) {
        return false;
    }
    const struct alloc_bond *bond = bond_find(agent, member);
    return bond == NULL || bond_filter(bond, agent->available) == NULL;
}

// Why `fit`, the fit part of what is available, is too little: for its size, or for what is
// missing.
static enum offer_obstacle unfit_obstacle(const struct allocator *a,
                                          const struct alloc_agent *agent,
                                          const struct fitness *fitness,
                                          const struct resources *fit)
{
    if (fitness->has_shared) {
        return OBSTACLE_SHARED;
    }
    if (!resources_is_empty(fit) && !minimums_are_met_for(a, fitness->member, agent->available)) {
        return OBSTACLE_MINIMUM;
    }
    return fitness->has_unfit     ? OBSTACLE_CAPABILITY
           : fitness->has_foreign ? OBSTACLE_RESERVED
                                  : OBSTACLE_NOTHING_FREE;
}

static enum offer_obstacle draft(struct allocator *a, struct alloc_agent *agent,
                                 struct alloc_member *member, struct resources **ret_offer)
{
    enum offer_obstacle obstacle = agent_obstacle(a, agent, member);
    if (obstacle != OBSTACLE_NONE) {
        return obstacle;
    }
    struct fitness fitness = {.member = member,
                              .may_share = !a->is_running || agent->shared_run != a->runs};
    *ret_offer = fit_part(agent, &fitness);
    if (!minimums_are_met_for(a, member, *ret_offer)) {
        return unfit_obstacle(a, agent, &fitness, *ret_offer);
    }
    const struct alloc_bond *bond = bond_find(agent, member);
    if (bond != NULL && bond_filter(bond, *ret_offer) != NULL) {
        return fitness.has_shared ? OBSTACLE_SHARED : OBSTACLE_FILTER;
    }
    if (a->quota_count == 0 || !chop(a, member->role, ret_offer, &obstacle)) {
        return OBSTACLE_NONE;
    }
    if (!minimums_are_met_for(a, member, *ret_offer)) {
        return obstacle;
    }
    return bond != NULL && bond_filter(bond, *ret_offer) != NULL ? OBSTACLE_REST_FILTER
                                                                 : OBSTACLE_NONE;
}

struct resources *offer_draft(struct allocator *a, struct alloc_agent *agent,
                              struct alloc_member *member, enum offer_obstacle *ret_obstacle,
                              int64_t *ret_until)
{
    AUTO_RESOURCES struct resources *offer = NULL;
    *ret_obstacle = draft(a, agent, member, &offer);
    if (ret_until != NULL) {
        bool is_filter = *ret_obstacle == OBSTACLE_FILTER || *ret_obstacle == OBSTACLE_REST_FILTER;
        *ret_until = is_filter ? bond_filtered_until(bond_find(agent, member), offer) : 0;
    }
    return *ret_obstacle == OBSTACLE_NONE ? TAKE_PTR(offer) : NULL;
}
