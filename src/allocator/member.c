// SPDX-License-Identifier: Apache-2.0
//
// Frameworks, roles and members, and their bonds with agents.

#include <string.h>

#include "allocator/constraints.h"
#include "allocator/state.h"
#include "base/check.h"
#include "base/mem.h"

// ---- ids ----

char *id_keep(char own[OWN_ID], const char *id)
{
    size_t size = strlen(id) + 1;
    return size <= OWN_ID ? memcpy(own, id, size) : mem_dup(id, size);
}

void id_free(const char own[OWN_ID], char *id)
{
    if (id != own) {
        mem_free(id);
    }
}

// ---- frameworks and roles ----

struct alloc_framework *framework_get(struct allocator *a, const char *id, bool may_make)
{
    struct alloc_framework *framework = a->recent_framework;
    if (framework != NULL && strcmp(framework_id(framework), id) == 0) {
        return framework;
    }
    framework = map_get(&a->frameworks, id);
    if (framework == NULL && may_make) {
        framework = slab_take(&a->framework_slab);
        framework->long_id = id_keep(framework->own_id, id);
        framework->allocator = a;
        map_put(&a->frameworks, id, framework);
    }
    a->recent_framework = framework;
    return framework;
}

void framework_free_if_unused(struct allocator *a, struct alloc_framework *framework)
{
    if (framework->is_added || framework->member_count > 0) {
        return;
    }
    map_remove(&a->frameworks, framework_id(framework));
    a->recent_framework = NULL;
    constraints_free(framework->constraints);
    framework_free_notes(a, framework);
    mem_free(framework->members);
    id_free(framework->own_id, framework->long_id);
    slab_give(&a->framework_slab, framework);
}

// Makes the roles above it, too.
struct alloc_role *role_get(struct allocator *a, const char *name)
{
    struct alloc_role *role = map_get(&a->roles, name);
    if (role != NULL) {
        return role;
    }
    role = slab_take(&a->role_slab);
    role->name = intern_get(name);
    const char *slash = strrchr(role->name->text, '/');
    role->own.is_own = true;
    role->weight = 1.0;
    role->places = TREE_INIT(order_compare_places);
    role->order = TREE_INIT(order_compare_members);
    role->parent = &a->root;
    if (slash != NULL) {
        char *above AUTO_FREE = mem_strndup(name, (size_t)(slash - role->name->text));
        role->parent = role_get(a, above);
    }
    order_add_child(a, role->parent);
    role->depth = role->parent->depth + 1;
    map_put(&a->roles, name, role);
    return role;
}

// A role is kept for its weight or quota, for what is reserved for it, and for roles below it.
void role_free_if_unused(struct allocator *a, struct alloc_role *role)
{
    while (role != &a->root && role->member_count == 0 && role->weight == 1.0 &&
           role->quota == NULL && role->reservation_count == 0 && role->child_count == 0) {
        struct alloc_role *parent = role->parent;
        CHECK(role->places.count == 0 && role->order.count == 0);
        quota_forget(a, role);
        order_remove_child(parent);
        map_remove(&a->roles, role->name->text);
        intern_drop(role->name);
        amounts_free(&role->all.amounts);
        amounts_free(&role->reserved);
        amounts_free(&role->soft);
        amounts_free(&role->need);
        amounts_free(&role->need_below);
        slab_give(&a->role_slab, role);
        role = parent;
    }
}

void allocator_set_weight(struct allocator *a, const char *name, double weight)
{
    CHECK(weight > 0);
    struct alloc_role *role = role_get(a, name);
    role->weight = weight;
    role->all.is_weighted = weight != 1.0;
    order_weigh(a, role);
    role_free_if_unused(a, role);
}

// ---- members ----

static void grow_slots(struct allocator *a)
{
    uint32_t slots = a->member_slots + 64;
    a->members = mem_realloc_array(a->members, slots, sizeof(struct alloc_member *));
    a->free_numbers = mem_realloc_array(a->free_numbers, slots, sizeof(a->free_numbers[0]));
    a->drawn = mem_realloc_array(a->drawn, slots, sizeof(struct alloc_member *));
    for (uint32_t number = slots; number-- > a->member_slots;) {
        a->members[number] = NULL;
        a->free_numbers[a->free_number_count++] = number;
    }
    a->member_slots = slots;
}

static uint32_t take_number(struct allocator *a, struct alloc_member *member)
{
    if (a->free_number_count == 0) {
        grow_slots(a);
    }
    uint32_t number = a->free_numbers[--a->free_number_count];
    a->members[number] = member;
    return number;
}

static void retire_number(struct allocator *a, uint32_t number)
{
    a->retired[a->retired_count++ % RETIRED_KEPT] = number;
}

struct alloc_member *member_get(struct allocator *a, struct alloc_framework *framework,
                                const char *role, bool may_make)
{
    for (size_t i = 0; i < framework->member_count; i++) {
        if (strcmp(framework->members[i]->role->name->text, role) == 0) {
            return framework->members[i];
        }
    }
    if (!may_make) {
        return NULL;
    }
    struct alloc_member *member = slab_take(&a->member_slab);
    member->framework = framework;
    member->role = role_get(a, role);
    member->role->member_count++;
    member->number = take_number(a, member);
    framework->members = mem_realloc_array(framework->members, framework->member_count + 1,
                                           sizeof(struct alloc_member *));
    framework->members[framework->member_count++] = member;
    return member;
}

void member_free_if_unused(struct allocator *a, struct alloc_member *member)
{
    if (member->is_subscribed) {
        return;
    }
    bonds_settle(a);
    if (member->bond_count > member->bond_holes) {
        return;
    }
    CHECK(!member->is_wanting);
    struct alloc_framework *framework = member->framework;
    size_t at = 0;
    while (framework->members[at] != member) {
        at++;
    }
    framework->member_count--;
    memmove(&framework->members[at], &framework->members[at + 1],
            (framework->member_count - at) * sizeof(framework->members[0]));
    quota_remove_member(a, member);
    retire_number(a, member->number);
    a->members[member->number] = NULL;
    a->free_numbers[a->free_number_count++] = member->number;
    member->role->member_count--;
    role_free_if_unused(a, member->role);
    minimums_free(member->minimums, member->minimum_count);
    amounts_free(&member->amounts);
    mem_free(member->bonds);
    slab_give(&a->member_slab, member);
}

// Looks only at agents with something free. What their bits say of the member stays true while it
// does not change.
static void ask_for_free_agents(struct allocator *a, const struct alloc_member *member)
{
    agents_close_up(a);
    for (size_t i = 0; i < a->free_count; i++) {
        struct alloc_agent *agent = a->free[i];
        agent_catch_up(a, agent);
        if (!bits_has(&agent->blocked, member->number)) {
            agent_mark_dirty(a, agent);
        }
    }
    a->is_urgent = true;
}

void member_reconsider(struct allocator *a, struct alloc_member *member)
{
    retire_number(a, member->number);
    if (member->is_wanting) {
        ask_for_free_agents(a, member);
    }
}

void member_update(struct allocator *a, struct alloc_member *member)
{
    bool is_wanting = member->framework->is_added && member->framework->is_active &&
                      member->is_subscribed && !member->is_suppressed;
    if (is_wanting == member->is_wanting) {
        return;
    }
    if (is_wanting) {
        order_insert(a, member);
        member->is_wanting = true;
        bits_set(&a->wanting, member->number);
        a->wanting_count++;
        quota_add_member(a, member);
        ask_for_free_agents(a, member);
    } else {
        order_remove(a, member);
        member->is_wanting = false;
        bits_clear(&a->wanting, member->number);
        a->wanting_count--;
        quota_remove_member(a, member);
    }
}

static void close_up_bonds(struct alloc_member *member)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < member->bond_count; i++) {
        struct alloc_bond *bond = member->bonds[i];
        if (bond != NULL) {
            bond->at = kept;
            member->bonds[kept++] = bond;
        }
    }
    member->bond_count = kept;
    member->bond_holes = 0;
}

void member_clear_filters(struct allocator *a, struct alloc_member *member)
{
    bonds_settle(a);
    if (member->bond_holes > member->bond_count / 2) {
        close_up_bonds(member); // they are all looked at anyway
    }
    BONDS_FOREACH(member, bond)
    {
        if (bond->filters != NULL) {
            bond_clear_filters(a, bond);
            bond_free_if_unused(a, bond);
        }
    }
}

// ---- bonds ----

// The place of the member's slot, or where it belongs.
static size_t slot_place(const struct alloc_agent *agent, uint32_t number)
{
    size_t low = 0;
    size_t count = agent->bond_count;
    while (low < count) {
        size_t middle = low + (count - low) / 2;
        if (agent->bonds[middle].number < number) {
            low = middle + 1;
        } else {
            count = middle;
        }
    }
    return low;
}

struct alloc_bond *bond_find(const struct alloc_agent *agent, const struct alloc_member *member)
{
    size_t at = slot_place(agent, member->number);
    bool is_there = at < agent->bond_count && agent->bonds[at].number == member->number;
    return is_there ? agent->bonds[at].bond : NULL;
}

static void enter_member(struct alloc_member *member, struct alloc_bond *bond)
{
    bond->is_new = false;
    if (member->bond_count == member->bond_capacity &&
        member->bond_holes > member->bond_count / 2) {
        close_up_bonds(member);
    }
    if (member->bond_count == member->bond_capacity) {
        member->bond_capacity = member->bond_capacity * 2 + 4;
        member->bonds =
            mem_realloc_array(member->bonds, member->bond_capacity, sizeof(struct alloc_bond *));
    }
    bond->at = member->bond_count;
    member->bonds[member->bond_count++] = bond;
}

static void leave_member(struct alloc_member *member, const struct alloc_bond *bond)
{
    member->bonds[bond->at] = NULL;
    member->bond_holes++;
    while (member->bond_count > 0 && member->bonds[member->bond_count - 1] == NULL) {
        member->bond_count--;
        member->bond_holes--;
    }
}

static void close_up_new_bonds(struct allocator *a)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < a->new_bond_count; i++) {
        struct alloc_bond *bond = a->new_bonds[i];
        if (bond != NULL) {
            bond->at = kept;
            a->new_bonds[kept++] = bond;
        }
    }
    a->new_bond_count = kept;
    a->new_bond_holes = 0;
}

static void enter_new(struct allocator *a, struct alloc_bond *bond)
{
    if (a->new_bond_count == a->new_bond_capacity && a->new_bond_holes > a->new_bond_count / 2) {
        close_up_new_bonds(a);
    }
    if (a->new_bond_count == a->new_bond_capacity) {
        a->new_bond_capacity = a->new_bond_capacity * 2 + 16;
        a->new_bonds =
            mem_realloc_array(a->new_bonds, a->new_bond_capacity, sizeof(struct alloc_bond *));
    }
    bond->is_new = true;
    bond->at = a->new_bond_count;
    a->new_bonds[a->new_bond_count++] = bond;
}

static void leave_new(struct allocator *a, const struct alloc_bond *bond)
{
    a->new_bonds[bond->at] = NULL;
    a->new_bond_holes++;
    if (a->new_bond_holes == a->new_bond_count) {
        a->new_bond_count = 0;
        a->new_bond_holes = 0;
    }
}

void bonds_settle(struct allocator *a)
{
    for (uint32_t i = 0; i < a->new_bond_count; i++) {
        struct alloc_bond *bond = a->new_bonds[i];
        if (bond != NULL) {
            enter_member(bond->member, bond);
        }
    }
    a->new_bond_count = 0;
    a->new_bond_holes = 0;
}

struct alloc_bond *bond_get(struct allocator *a, struct alloc_agent *agent,
                            struct alloc_member *member)
{
    size_t at = slot_place(agent, member->number);
    if (at < agent->bond_count && agent->bonds[at].number == member->number) {
        return agent->bonds[at].bond;
    }
    if (agent->bond_count == agent->bond_capacity) {
        bool is_own = agent->bonds == agent->own_slots;
        agent->bond_capacity = agent->bond_capacity * 2 + 2;
        agent->bonds = mem_realloc_array(is_own ? NULL : agent->bonds, agent->bond_capacity,
                                         sizeof(agent->bonds[0]));
        if (is_own) {
            memcpy(agent->bonds, agent->own_slots, sizeof(agent->own_slots));
        }
    }
    memmove(&agent->bonds[at + 1], &agent->bonds[at],
            (agent->bond_count - at) * sizeof(agent->bonds[0]));
    agent->bond_count++;
    struct alloc_bond *bond =
        agent->is_own_bond_taken ? mem_alloc(sizeof(*bond)) : &agent->own_bond;
    agent->is_own_bond_taken = true;
    *bond = (struct alloc_bond){.agent = agent, .member = member};
    enter_new(a, bond);
    agent->bonds[at] = (struct alloc_bond_slot){.number = member->number, .bond = bond};
    return bond;
}

void bond_free_if_unused(struct allocator *a, struct alloc_bond *bond)
{
    if (bond->held != NULL || bond->filters != NULL) {
        return;
    }
    struct alloc_agent *agent = bond->agent;
    size_t at = slot_place(agent, bond->member->number);
    CHECK(at < agent->bond_count && agent->bonds[at].bond == bond);
    agent->bond_count--;
    memmove(&agent->bonds[at], &agent->bonds[at + 1],
            (agent->bond_count - at) * sizeof(agent->bonds[0]));
    if (bond->is_new) {
        leave_new(a, bond);
    } else {
        leave_member(bond->member, bond);
    }
    if (bond == &agent->own_bond) {
        agent->is_own_bond_taken = false;
    } else {
        mem_free(bond);
    }
}

// ---- filters ----

static void refusal_drop(struct alloc_refusal *refusal)
{
    if (refusal != NULL && --refusal->references == 0) {
        resources_free(refusal->resources);
        mem_free(refusal);
    }
}

static void filter_free(struct allocator *a, struct alloc_filter *filter)
{
    timer_cancel(&a->timers, &filter->timer);
    refusal_drop(filter->refusal);
    a->filter_count--;
    filter->bond->member->role->filter_count--;
    mem_free(filter);
}

static void filter_expire(struct timer *timer, struct instant now)
{
    (void)now;
    struct alloc_filter *filter = CONTAINER_OF(timer, struct alloc_filter, timer);
    struct alloc_bond *bond = filter->bond;
    struct alloc_agent *agent = bond->agent;
    struct allocator *a = agent->allocator;
    struct alloc_filter **link = &bond->filters;
    while (*link != filter) {
        link = &(*link)->next;
    }
    *link = filter->next;
    filter_free(a, filter);
    agent_unblock(agent, bond->member->number);
    agent_mark_dirty(a, agent);
    bond_free_if_unused(a, bond);
}

// Filters that refuse no more, and end no later, say nothing beside a new one: without this a
// framework that declines ever greater offers for a year would pile them up.
static void drop_covered(struct allocator *a, struct alloc_bond *bond,
                         const struct resources *refused, int64_t deadline)
{
    for (struct alloc_filter **link = &bond->filters; *link != NULL;) {
        struct alloc_filter *filter = *link;
        if (filter->timer.deadline <= deadline &&
            resources_contains(refused, filter->refusal->resources)) {
            *link = filter->next;
            filter_free(a, filter);
        } else {
            link = &filter->next;
        }
    }
}

// Whether the refusal is of just that, whatever role it was allocated to. May say no to what is
// equal in another order.
static bool is_refusal_of(const struct alloc_refusal *refusal, const struct resources *refused)
{
    const struct resources *r = refusal->resources;
    bool is_same = r->count == refused->count;
    for (uint32_t i = 0; is_same && i < r->count; i++) {
        const struct resource_entry *x = &r->entries[i];
        const struct resource_entry *y = &refused->entries[i];
        // Ranges and sets that are not one object are left to the general way.
        is_same = x->kind == y->kind && x->scalar == y->scalar && x->count == y->count;
    }
    return is_same;
}

void bond_add_filter(struct allocator *a, struct alloc_bond *bond, const struct resources *refused,
                     int64_t deadline)
{
    struct alloc_agent *agent = bond->agent;
    struct alloc_refusal *refusal = agent->last_refusal;
    if (refusal == NULL || !is_refusal_of(refusal, refused)) {
        refusal_drop(refusal);
        refusal = mem_alloc(sizeof(*refusal));
        refusal->references = 1;
        refusal->resources = resources_copy(refused);
        resources_unallocate(refusal->resources);
        agent->last_refusal = refusal;
    }
    refusal->references++;
    drop_covered(a, bond, refusal->resources, deadline);
    struct alloc_filter *filter = mem_zalloc(sizeof(*filter));
    filter->timer.run = filter_expire;
    filter->bond = bond;
    filter->refusal = refusal;
    filter->next = bond->filters;
    bond->filters = filter;
    a->filter_count++;
    bond->member->role->filter_count++;
    timer_set(&a->timers, &filter->timer, deadline);
}

void bond_clear_filters(struct allocator *a, struct alloc_bond *bond)
{
    if (bond->filters == NULL) {
        return;
    }
    while (bond->filters != NULL) {
        struct alloc_filter *filter = bond->filters;
        bond->filters = filter->next;
        filter_free(a, filter);
    }
    agent_unblock(bond->agent, bond->member->number);
    agent_mark_dirty(a, bond->agent);
}

const struct alloc_filter *bond_filter(const struct alloc_bond *bond, const struct resources *offer)
{
    for (const struct alloc_filter *filter = bond->filters; filter != NULL; filter = filter->next) {
        if (resources_contains(filter->refusal->resources, offer)) {
            return filter;
        }
    }
    return NULL;
}

int64_t bond_filtered_until(const struct alloc_bond *bond, const struct resources *offer)
{
    int64_t until = 0;
    for (const struct alloc_filter *filter = bond->filters; filter != NULL; filter = filter->next) {
        if (filter->timer.deadline > until &&
            resources_contains(filter->refusal->resources, offer)) {
            until = filter->timer.deadline;
        }
    }
    return until;
}
