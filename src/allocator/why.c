// SPDX-License-Identifier: Apache-2.0
//
// What a framework was offered of late, and why it is not offered the rest. Nothing of this is kept
// but the last offers: the reasons are found by looking at each agent anew, as a round would.

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "allocator/state.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/mem.h"
#include "model/framework.h"

// ---- offers ----

static struct resource_entry entry_of(const struct alloc_note *note, size_t i)
{
    return (struct resource_entry){
        .kind = note->entries[i].kind, .scalar = note->entries[i].scalar, .count = 1};
}

static void clear_note(struct alloc_note *note)
{
    if (note->entry_count == NOTE_MORE) {
        resources_free(note->more.resources);
        mem_free(note->more.agent_id);
    } else {
        for (size_t i = 0; i < note->entry_count; i++) {
            const struct resource_entry entry = entry_of(note, i);
            resource_entry_drop(&entry);
        }
    }
    note->entry_count = 0;
    note->role = intern_drop(note->role);
}

static bool is_ordinary(const struct alloc_agent *agent, const struct resources *offer)
{
    bool is_single = true;
    for (uint32_t i = 0; i < offer->count; i++) {
        is_single = is_single && offer->entries[i].count == 1;
    }
    return is_single && offer->count <= NOTE_ENTRIES && agent->id == agent->own_id;
}

// Mostly the oldest note is of the same kinds, and only amounts change.
static void put_entry(struct alloc_note *note, size_t i, const struct resource_entry *entry)
{
    bool is_used = i < note->entry_count;
    const struct resource_entry old = entry_of(note, i);
    note->entries[i] = (struct note_entry){.kind = entry->kind, .scalar = entry->scalar};
    if (is_used && old.kind == entry->kind && entry->kind->plain) {
        return;
    }
    const struct resource_entry kept = entry_of(note, i);
    resource_entry_hold(&kept);
    if (is_used) {
        resource_entry_drop(&old);
    }
}

void framework_note_offer(struct allocator *a, struct alloc_member *member,
                          const struct alloc_agent *agent, const struct resources *offer)
{
    struct alloc_framework *framework = member->framework;
    if (framework->notes == NULL) {
        framework->notes = slab_take(&a->notes_slab);
    }
    struct alloc_note *note = framework_next_note(framework);
    framework->offer_count++;
    bool is_ordinary_offer = is_ordinary(agent, offer);
    if (!is_ordinary_offer || note->entry_count > offer->count) {
        clear_note(note);
    }
    if (note->role != member->role->name) {
        intern_drop(note->role);
        note->role = intern_hold(member->role->name);
    }
    note->wall_ns = a->now.wall;
    if (!is_ordinary_offer) {
        note->entry_count = NOTE_MORE;
        note->more.resources = resources_copy(offer);
        note->more.agent_id = mem_strdup(agent->id);
        return;
    }
    memcpy(note->agent_id, agent->own_id, OWN_ID);
    for (uint32_t i = 0; i < offer->count; i++) {
        put_entry(note, i, &offer->entries[i]);
    }
    note->entry_count = (uint8_t)offer->count;
}

void framework_free_notes(struct allocator *a, struct alloc_framework *framework)
{
    if (framework->notes == NULL) {
        return;
    }
    for (size_t i = 0; i < NOTES_KEPT; i++) {
        clear_note(&framework->notes->items[i]);
    }
    slab_give(&a->notes_slab, framework->notes);
}

static struct resources *offered_by(const struct alloc_note *note)
{
    if (note->entry_count == NOTE_MORE) {
        return resources_copy(note->more.resources);
    }
    struct resources *offered = resources_new();
    for (size_t i = 0; i < note->entry_count; i++) {
        struct resource_entry entry = entry_of(note, i);
        entry.role = note->role;
        resources_add_entry(offered, &entry);
    }
    return offered;
}

uint64_t allocator_walk_offers(const struct allocator *a, const char *framework_id,
                               void (*visit)(void *ctx, const char *role, const char *agent_id,
                                             int64_t wall_ns, const struct resources *offered),
                               void *ctx)
{
    const struct alloc_framework *framework = map_get(&a->frameworks, framework_id);
    if (framework == NULL) {
        return 0;
    }
    uint64_t count = framework->offer_count;
    for (uint64_t i = 0; i < count && i < NOTES_KEPT; i++) {
        const struct alloc_note *note = &framework->notes->items[(count - 1 - i) % NOTES_KEPT];
        AUTO_RESOURCES struct resources *offered = offered_by(note);
        bool is_more = note->entry_count == NOTE_MORE;
        visit(ctx, note->role->text, is_more ? note->more.agent_id : note->agent_id, note->wall_ns,
              offered);
    }
    return count;
}

// ---- reasons ----

static void put(struct allocator_why *why, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void put(struct allocator_why *why, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why->detail, sizeof(why->detail), format, arguments);
    va_end(arguments);
}

static char *amount_text(int64_t thousandths)
{
    AUTO_BUF struct buf text = BUF_INIT;
    scalar_put_text(thousandths, &text);
    return buf_take(&text);
}

static void tell_reserved(const struct alloc_agent *agent, const struct alloc_member *member,
                          struct allocator_why *why)
{
    for (uint32_t i = 0; i < agent->available->count; i++) {
        const struct intern *role = agent->available->entries[i].kind->role;
        if (role != NULL && role != member->role->name &&
            !role_is_below(member->role->name->text, role->text)) {
            put(why, "reserved for role %s", role->text);
            return;
        }
    }
}

static void tell_capability(const struct alloc_agent *agent, const struct alloc_member *member,
                            struct allocator_why *why)
{
    unsigned capabilities = member->framework->capabilities;
    for (uint32_t i = 0; i < agent->available->count; i++) {
        const struct resource_kind *kind = agent->available->entries[i].kind;
        if (kind->revocable && !FRAMEWORK_HAS(capabilities, REVOCABLE_RESOURCES)) {
            put(why, "what is free is revocable: it needs REVOCABLE_RESOURCES");
        } else if (kind->shared && !FRAMEWORK_HAS(capabilities, SHARED_RESOURCES)) {
            put(why, "what is free is shared: it needs SHARED_RESOURCES");
        } else if (kind->reservation_count > 1 &&
                   !FRAMEWORK_HAS(capabilities, RESERVATION_REFINEMENT)) {
            put(why, "what is free has refined reservations: it needs RESERVATION_REFINEMENT");
        } else {
            continue;
        }
        return;
    }
}

static void put_minimum(const struct alloc_minimum *minimum, struct buf *out)
{
    for (size_t i = 0; i < minimum->count; i++) {
        buf_puts(out, i > 0 ? ";" : "");
        buf_puts(out, minimum->quantities[i].name);
        buf_putc(out, ':');
        scalar_put_text(minimum->quantities[i].amount, out);
    }
}

static void tell_minimum(const struct allocator *a, const struct alloc_member *member,
                         struct allocator_why *why)
{
    bool is_own = member->has_minimums;
    const struct alloc_minimum *minimums = is_own ? member->minimums : a->minimums;
    size_t count = is_own ? member->minimum_count : a->minimum_count;
    AUTO_BUF struct buf text = BUF_INIT;
    for (size_t i = 0; i < count; i++) {
        buf_puts(&text, i > 0 ? "|" : "");
        put_minimum(&minimums[i], &text);
    }
    put(why, "less than %s, %s", text.data,
        is_own ? "the framework's offer_filters" : "--min_allocatable_resources");
}

// The role from the member's upwards whose limit leaves least of the scalar.
static const struct alloc_role *limiting_role(const struct alloc_role *role, size_t number)
{
    const struct alloc_role *found = role;
    int64_t remaining = quota_remaining(role, number);
    for (; role->parent != NULL; role = role->parent) {
        if (quota_remaining(role, number) == remaining) {
            found = role; // it, or one above it
        }
    }
    return found;
}

static void tell_quota(struct allocator *a, const struct alloc_agent *agent,
                       const struct alloc_member *member, bool is_limit, struct allocator_why *why)
{
    const struct alloc_role *role = member->role;
    for (uint32_t i = 0; i < agent->available->count; i++) {
        const struct resource_entry *entry = &agent->available->entries[i];
        if (!entry_is_firm(entry)) {
            continue;
        }
        size_t number = name_number(a, entry->kind->interned_name);
        int64_t remaining = quota_remaining(role, number);
        if (is_limit && remaining < entry->scalar) {
            const struct alloc_role *limiting = limiting_role(role, number);
            AUTO_FREE char *limit = amount_text(amount_of(&limiting->quota->limits, number));
            AUTO_FREE char *left = amount_text(remaining);
            put(why, "the limit of role %s is %s:%s, and %s of it are left", limiting->name->text,
                entry->kind->name, limit, left);
            return;
        }
        if (!is_limit && quota_budget(a, role, number) < entry->scalar) {
            AUTO_FREE char *need = amount_text(amount_of(&a->root.need, number));
            AUTO_FREE char *surplus = amount_text(quota_surplus(a, number));
            put(why, "guarantees of roles lack %s:%s, and %s more are free", entry->kind->name,
                need, surplus);
            return;
        }
    }
}

static enum allocator_reason reason_of(enum offer_obstacle obstacle)
{
    static const enum allocator_reason reasons[] = {
        [OBSTACLE_NONE] = ALLOCATOR_NEXT,
        [OBSTACLE_NOTHING_FREE] = ALLOCATOR_NOTHING_FREE,
        [OBSTACLE_REGION] = ALLOCATOR_REGION,
        [OBSTACLE_GPUS] = ALLOCATOR_GPUS,
        [OBSTACLE_CONSTRAINTS] = ALLOCATOR_CONSTRAINTS,
        [OBSTACLE_RESERVED] = ALLOCATOR_RESERVED,
        [OBSTACLE_CAPABILITY] = ALLOCATOR_CAPABILITY,
        [OBSTACLE_MINIMUM] = ALLOCATOR_MINIMUM,
        [OBSTACLE_FILTER] = ALLOCATOR_FILTERED,
        [OBSTACLE_SHARED] = ALLOCATOR_SHARED,
        [OBSTACLE_LIMIT] = ALLOCATOR_LIMIT,
        [OBSTACLE_HEADROOM] = ALLOCATOR_HEADROOM,
        [OBSTACLE_REST_FILTER] = ALLOCATOR_FILTERED,
    };
    return reasons[obstacle];
}

static void tell(struct allocator *a, struct alloc_agent *agent, struct alloc_member *member,
                 struct allocator_why *why)
{
    *why = (struct allocator_why){.free = agent->available};
    if (!agent->is_active || agent->is_unlisted || resources_is_empty(agent->available)) {
        why->reason = !agent->is_active    ? ALLOCATOR_DEACTIVATED
                      : agent->is_unlisted ? ALLOCATOR_NOT_WHITELISTED
                                           : ALLOCATOR_NOTHING_FREE;
        return;
    }
    enum offer_obstacle obstacle;
    resources_free(offer_draft(a, agent, member, &obstacle, &why->until_ns));
    why->reason = reason_of(obstacle);
    switch (why->reason) {
    case ALLOCATOR_REGION:
        put(why, "region %s", agent->info->domain->fault_domain->region->name);
        break;
    case ALLOCATOR_RESERVED:
        tell_reserved(agent, member, why);
        break;
    case ALLOCATOR_CAPABILITY:
        tell_capability(agent, member, why);
        break;
    case ALLOCATOR_MINIMUM:
        tell_minimum(a, member, why);
        break;
    case ALLOCATOR_FILTERED:
        if (obstacle == OBSTACLE_REST_FILTER) {
            put(why, "as far as quotas leave it");
        }
        break;
    case ALLOCATOR_LIMIT:
    case ALLOCATOR_HEADROOM:
        tell_quota(a, agent, member, why->reason == ALLOCATOR_LIMIT, why);
        break;
    default:
        break;
    }
}

bool allocator_explain(struct allocator *a, const char *framework_id,
                       void (*visit)(void *ctx, const char *role, const char *agent_id,
                                     const struct allocator_why *why),
                       void *ctx)
{
    struct alloc_framework *framework = framework_get(a, framework_id, false);
    CHECK(!a->is_running);
    if (framework == NULL) {
        return false;
    }
    for (size_t i = 0; i < framework->member_count; i++) {
        struct alloc_member *member = framework->members[i];
        if (!member->is_subscribed) {
            continue;
        }
        MAP_FOREACH (&a->agents, entry) {
            struct alloc_agent *agent = entry->value;
            struct allocator_why why;
            agent_catch_up(a, agent);
            tell(a, agent, member, &why);
            visit(ctx, member->role->name->text, agent->id, &why);
        }
    }
    return true;
}

// ---- standing ----

static int64_t count_filters(const struct alloc_member *member)
{
    int64_t count = 0;
    BONDS_FOREACH(member, bond)
    {
        count += bond->filters != NULL;
    }
    return count;
}

bool allocator_get_standing(const struct allocator *a, const char *framework_id, const char *role,
                            struct allocator_standing *ret)
{
    const struct alloc_framework *framework = map_get(&a->frameworks, framework_id);
    const struct alloc_member *member = NULL;
    for (size_t i = 0; framework != NULL && i < framework->member_count; i++) {
        if (strcmp(framework->members[i]->role->name->text, role) == 0) {
            member = framework->members[i];
        }
    }
    if (member == NULL) {
        return false;
    }
    bonds_settle((struct allocator *)(uintptr_t)a);
    *ret = (struct allocator_standing){
        .is_active = framework->is_active,
        .is_suppressed = member->is_suppressed,
        .is_sated = a->is_demand_aware && member->declines >= DECLINES_SATED,
        .share = order_share(a, &member->amounts),
        .role_share = order_share(a, &member->role->all.amounts) / member->role->weight,
        .filters = count_filters(member),
        .paused_until = a->paused_until,
        .is_by_chance = a->is_role_random || a->is_framework_random,
    };
    for (uint32_t i = 0; i < a->member_slots; i++) {
        const struct alloc_member *other = a->members[i];
        if (other != NULL && other != member && other->is_wanting) {
            bool is_before = !ret->is_by_chance && order_compare(a, other, member) < 0;
            ret->before += is_before;
            ret->after += !is_before;
        }
    }
    return true;
}
