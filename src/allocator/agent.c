// SPDX-License-Identifier: Apache-2.0
//
// Agents: what they have, who holds how much of it, and who would not take the rest.

#include <string.h>

#include "allocator/state.h"
#include "base/check.h"
#include "base/mem.h"
#include "base/plant.h"

struct alloc_agent *agent_find(const struct allocator *a, const char *id)
{
    struct alloc_agent *agent = a->recent_agent;
    if (agent != NULL && strcmp(agent->id, id) == 0) {
        return agent;
    }
    agent = map_get(&a->agents, id);
    ((struct allocator *)(uintptr_t)a)->recent_agent = agent;
    return agent;
}

void agent_mark_dirty(struct allocator *a, struct alloc_agent *agent)
{
    if (agent->dirty_at != 0 || !agent->is_active || agent->is_unlisted ||
        resources_is_empty(agent->available)) {
        return;
    }
    if (a->dirty_count == a->dirty_capacity) {
        a->dirty_capacity = a->dirty_capacity * 2 + 16;
        a->dirty = mem_realloc_array(a->dirty, a->dirty_capacity, sizeof(struct alloc_agent *));
    }
    a->dirty[a->dirty_count++] = agent;
    agent->dirty_at = (uint32_t)a->dirty_count;
}

static void unmark_dirty(struct allocator *a, struct alloc_agent *agent)
{
    if (agent->dirty_at == 0) {
        return;
    }
    struct alloc_agent *last = a->dirty[--a->dirty_count];
    a->dirty[agent->dirty_at - 1] = last;
    last->dirty_at = agent->dirty_at;
    agent->dirty_at = 0;
}

void agent_set_held_back(struct allocator *a, struct alloc_agent *agent, bool is_held_back)
{
    if (is_held_back == (agent->held_back_at != 0)) {
        return;
    }
    if (!is_held_back) {
        struct alloc_agent *last = a->held_back[--a->held_back_count];
        a->held_back[agent->held_back_at - 1] = last;
        last->held_back_at = agent->held_back_at;
        agent->held_back_at = 0;
        a->held_back_rough -= agent->is_held_rough;
        return;
    }
    if (a->held_back_count == a->held_back_capacity) {
        a->held_back_capacity = a->held_back_capacity * 2 + 16;
        a->held_back =
            mem_realloc_array(a->held_back, a->held_back_capacity, sizeof(struct alloc_agent *));
    }
    a->held_back[a->held_back_count++] = agent;
    agent->held_back_at = (uint32_t)a->held_back_count;
    agent->is_held_rough = !agent->is_plain;
    a->held_back_rough += agent->is_held_rough;
}

// Others are not touched: a round that offers all would wait for the memory of each.
static void leave_free(struct allocator *a, struct alloc_agent *agent)
{
    if (agent->free_at != 0) {
        a->free[agent->free_at - 1] = NULL;
        a->free_holes++;
        agent->free_at = 0;
    }
}

void agents_close_up(struct allocator *a)
{
    size_t kept = 0;
    for (size_t i = 0; i < a->free_count && a->free_holes > 0; i++) {
        struct alloc_agent *agent = a->free[i];
        if (agent != NULL && kept != i) {
            agent->free_at = (uint32_t)kept + 1;
            a->free[kept] = agent;
        }
        kept += agent != NULL;
    }
    a->free_count -= a->free_holes;
    a->free_holes = 0;
}

static void enter_free(struct allocator *a, struct alloc_agent *agent)
{
    if (agent->free_at != 0) {
        return;
    }
    if (a->free_count == a->free_capacity && a->free_holes >= a->free_count / 2) {
        agents_close_up(a);
    }
    if (a->free_count == a->free_capacity) {
        a->free_capacity = a->free_capacity * 2 + 16;
        a->free = mem_realloc_array(a->free, a->free_capacity, sizeof(struct alloc_agent *));
    }
    a->free[a->free_count++] = agent;
    agent->free_at = (uint32_t)a->free_count;
}

void agent_note_free(struct allocator *a, struct alloc_agent *agent)
{
    if (!resources_is_empty(agent->available)) {
        enter_free(a, agent);
    } else {
        leave_free(a, agent);
        agent_set_held_back(a, agent, false);
    }
}

struct resources agent_nothing = {0};

struct resources *agent_get_resources(struct alloc_agent *agent)
{
    if (!agent->is_first_taken) {
        agent->is_first_taken = true;
        return &agent->own_first;
    }
    if (!agent->is_second_taken) {
        agent->is_second_taken = true;
        return &agent->own_second;
    }
    return resources_new();
}

struct resources *agent_drop_resources(struct alloc_agent *agent, struct resources *r)
{
    if (r == &agent->own_first) {
        resources_clear(r);
        agent->is_first_taken = false;
    } else if (r == &agent->own_second) {
        resources_clear(r);
        agent->is_second_taken = false;
    } else if (r != &agent_nothing) {
        resources_free(r);
    }
    return NULL;
}

// What is available, to be added to.
static struct resources *available_of(struct alloc_agent *agent)
{
    if (agent->available == &agent_nothing) {
        agent->available = agent_get_resources(agent);
    }
    return agent->available;
}

// ---- who would not take it ----

void agent_unblock(struct alloc_agent *agent, uint32_t number)
{
    bits_clear(&agent->blocked, number);
}

void agent_unblock_all(struct alloc_agent *agent)
{
    agent->level = resources_free(agent->level);
    bits_clear_all(&agent->blocked);
}

void agent_catch_up(const struct allocator *a, struct alloc_agent *agent)
{
    if (agent->retired_seen == a->retired_count) {
        return;
    }
    if (a->retired_count - agent->retired_seen > RETIRED_KEPT) {
        agent_unblock_all(agent);
        bits_clear_all(&agent->judged);
    } else {
        for (uint64_t i = agent->retired_seen; i < a->retired_count; i++) {
            bits_clear(&agent->blocked, a->retired[i % RETIRED_KEPT]);
            bits_clear(&agent->judged, a->retired[i % RETIRED_KEPT]);
        }
    }
    agent->retired_seen = a->retired_count;
}

// Free resources grew. When they are but back at a level for which the bits are true (an offer was
// declined), nobody needs to be asked again.
static void grow_to(struct allocator *a, struct alloc_agent *agent)
{
    agent->is_level_sound = false;
    if (agent->level != NULL && !resources_contains(agent->level, agent->available)) {
        agent_unblock_all(agent);
    }
    agent_mark_dirty(a, agent);
}

void agent_block(struct alloc_agent *agent, uint32_t number)
{
    if (!agent->is_level_sound || agent->level == NULL) {
        // The level sinks to what is free now: for that, the new bit is true and the old ones stay
        // so.
        if (agent->level == NULL || !resources_contains(agent->available, agent->level)) {
            resources_free(agent->level);
            agent->level = resources_copy(agent->available);
        }
        agent->is_level_sound = true;
    }
    bits_set(&agent->blocked, number);
}

// ---- holding ----

static bool is_not_shared(const struct resource_entry *entry, const void *ctx)
{
    (void)ctx;
    return !entry->kind->shared;
}

// What holding `amount` takes away from what is available: shared resources stay there.
static struct resources *bare_of(const struct alloc_agent *agent, const struct resources *amount)
{
    struct resources *bare =
        agent->has_shared ? resources_filter(amount, is_not_shared, NULL) : resources_copy(amount);
    resources_unallocate(bare);
    return bare;
}

void agent_recount(struct allocator *a, struct alloc_agent *agent)
{
    resources_assign(available_of(agent), agent->total);
    agent->is_overcommitted = false;
    for (size_t i = 0; i < agent->bond_count; i++) {
        const struct alloc_bond *bond = agent->bonds[i].bond;
        if (bond->held == NULL) {
            continue;
        }
        AUTO_RESOURCES struct resources *bare = bare_of(agent, bond->held);
        if (!resources_contains(agent->available, bare)) {
            agent->is_overcommitted = true;
        }
        resources_subtract_available(agent->available, bare);
    }
    agent_unblock_all(agent);
    agent_note_free(a, agent);
    agent_mark_dirty(a, agent);
}

void agent_hold(struct allocator *a, struct alloc_agent *agent, struct alloc_member *member,
                const struct resources *amount)
{
    struct alloc_bond *bond = bond_get(a, agent, member);
    AUTO_RESOURCES struct resources *bare = bare_of(agent, amount);
    if (!resources_contains(agent->available, bare)) {
        agent->is_overcommitted = true;
    }
    resources_subtract_available(agent->available, bare);
    agent->is_level_sound = false;
    agent_note_free(a, agent);
    order_charge(a, agent, member, amount, 1, true);
    if (bond->held == NULL) {
        bond->held = agent_get_resources(agent);
        resources_assign(bond->held, amount);
    } else {
        resources_add(bond->held, amount);
    }
}

const struct resources *part_of_role(const struct resources *amount, uint32_t first,
                                     struct resources **ret_own)
{
    const struct intern *role = amount->entries[first].role;
    bool is_all = first == 0;
    CHECK(role != NULL);
    for (uint32_t i = 0; i < amount->count; i++) {
        if (i < first && amount->entries[i].role == role) {
            return NULL;
        }
        is_all = is_all && amount->entries[i].role == role;
    }
    if (is_all) {
        return amount;
    }
    struct resources *part = resources_new();
    for (uint32_t i = first; i < amount->count; i++) {
        if (amount->entries[i].role == role) {
            resources_add_entry(part, &amount->entries[i]);
        }
    }
    *ret_own = part;
    return part;
}

void agent_hold_all(struct allocator *a, struct alloc_agent *agent, const char *framework_id,
                    const struct resources *amount)
{
    struct alloc_framework *framework = framework_get(a, framework_id, true);
    for (uint32_t i = 0; i < amount->count; i++) {
        AUTO_RESOURCES struct resources *own = NULL;
        const struct resources *part = part_of_role(amount, i, &own);
        if (part != NULL) {
            struct alloc_member *member =
                member_get(a, framework, amount->entries[i].role->text, true);
            agent_hold(a, agent, member, part);
        }
    }
    framework_free_if_unused(a, framework);
}

static void add_available(struct alloc_agent *agent, const struct resources *amount)
{
    if (!agent->has_shared) {
        resources_add_unallocated(available_of(agent), amount);
        return;
    }
    AUTO_RESOURCES struct resources *bare = bare_of(agent, amount);
    resources_add(available_of(agent), bare);
}

// The short way for an offer of all that was free, when it was declined: what moved to the member
// moves back.
static bool give_back_whole(struct alloc_bond *bond, const struct resources *amount)
{
    struct alloc_agent *agent = bond->agent;
    if (!resources_is_empty(agent->available) || agent->has_shared || agent->is_overcommitted ||
        !resources_is_same(bond->held, amount)) {
        return false;
    }
    agent_drop_resources(agent, agent->available);
    agent->available = TAKE_PTR(bond->held);
    resources_unallocate(agent->available);
    return true;
}

void agent_release(struct allocator *a, struct alloc_bond *bond, const struct resources *amount)
{
    struct alloc_agent *agent = bond->agent;
    CHECK(bond->held != NULL);
    bool is_whole = give_back_whole(bond, amount);
    if (!is_whole) {
        CHECK(resources_contains(bond->held, amount));
        resources_subtract(bond->held, amount);
    }
    order_charge(a, agent, bond->member, amount, -1, false);
    if (!is_whole && resources_is_empty(bond->held)) {
        bond->held = agent_drop_resources(agent, bond->held);
    }
    if (agent->is_overcommitted) {
        agent_recount(a, agent);
        return;
    }
    if (!is_whole) {
        add_available(agent, amount);
    }
    if (PLANTED(OFFER_TWICE)) {
        add_available(agent, amount);
    }
    agent_note_free(a, agent);
    grow_to(a, agent);
}

// ---- lifetime ----

// Takes over `total`.
static void set_total(struct allocator *a, struct alloc_agent *agent, struct resources *total)
{
    order_add_total(a, total, 1);
    if (agent->total != NULL) {
        order_add_total(a, agent->total, -1);
        resources_free(agent->total);
    }
    agent_set_held_back(a, agent, false);
    agent->total = total;
    agent->has_gpus = resources_scalar(total, "gpus") > 0;
    agent->is_plain = true;
    agent->has_shared = false;
    for (uint32_t i = 0; i < total->count; i++) {
        agent->is_plain = agent->is_plain && total->entries[i].kind->simple;
        agent->has_shared = agent->has_shared || total->entries[i].kind->shared;
    }
}

// ---- what the agent is ----

static void leave_host(struct allocator *a, struct alloc_agent *agent)
{
    struct alloc_host *host = TAKE_PTR(agent->host);
    if (host == NULL) {
        return;
    }
    list_remove(&agent->in_host);
    if (list_is_empty(&host->agents)) {
        map_remove(&a->agents_of_host, host->name);
        mem_free(host->name);
        mem_free(host);
    }
}

static void enter_host(struct allocator *a, struct alloc_agent *agent)
{
    if (a->hosts == NULL || agent->info == NULL) {
        return;
    }
    const char *name = agent->info->hostname;
    agent->host = map_get(&a->agents_of_host, name);
    if (agent->host == NULL) {
        agent->host = mem_zalloc(sizeof(*agent->host));
        agent->host->name = mem_strdup(name);
        list_init(&agent->host->agents);
        map_put(&a->agents_of_host, name, agent->host);
    }
    list_append(&agent->host->agents, &agent->in_host);
}

static void judge_host(const struct allocator *a, struct alloc_agent *agent)
{
    agent->is_unlisted =
        a->hosts != NULL && (agent->info == NULL || !map_has(a->hosts, agent->info->hostname));
}

static bool is_remote(const struct allocator *a, const Mesos__V1__AgentInfo *info)
{
    const Mesos__V1__DomainInfo *domain = info != NULL ? info->domain : NULL;
    return a->region != NULL && domain != NULL && domain->fault_domain != NULL &&
           domain->fault_domain->region != NULL &&
           strcmp(domain->fault_domain->region->name, a->region) != 0;
}

static void rejudge_host(struct allocator *a, struct alloc_agent *agent)
{
    judge_host(a, agent);
    if (agent->is_unlisted) {
        unmark_dirty(a, agent);
        agent_set_held_back(a, agent, false);
    } else {
        agent_mark_dirty(a, agent);
    }
}

void allocator_set_agent_info(struct allocator *a, const char *agent_id,
                              const Mesos__V1__AgentInfo *info)
{
    struct alloc_agent *agent = agent_find(a, agent_id);
    CHECK(!a->is_running && agent != NULL);
    leave_host(a, agent);
    agent->info = info;
    enter_host(a, agent);
    agent->is_remote = is_remote(a, info);
    bits_clear_all(&agent->judged);
    agent_unblock_all(agent);
    rejudge_host(a, agent);
    a->is_urgent = true;
}

void allocator_forget_filters(struct allocator *a, const char *agent_id)
{
    struct alloc_agent *agent = agent_find(a, agent_id);
    CHECK(!a->is_running && agent != NULL);
    for (size_t i = agent->bond_count; i-- > 0;) {
        struct alloc_bond *bond = agent->bonds[i].bond;
        bond_clear_filters(a, bond);
        bond_free_if_unused(a, bond);
    }
}

static struct map *map_of_hosts(const char *const *hosts, size_t count)
{
    struct map *map = mem_zalloc(sizeof(*map));
    for (size_t i = 0; i < count; i++) {
        map_put(map, hosts[i], map);
    }
    return map;
}

// The agents on the hosts of `x` that are not in `y`.
static void rejudge_difference(struct allocator *a, const struct map *x, const struct map *y)
{
    MAP_FOREACH (x, entry) {
        const struct alloc_host *host =
            map_has(y, entry->key) ? NULL : map_get(&a->agents_of_host, entry->key);
        if (host != NULL) {
            LIST_FOREACH (&host->agents, struct alloc_agent, in_host, agent) {
                rejudge_host(a, agent);
            }
        }
    }
}

// Looks at the agents that it concerns: where there was none, or will be none, at all of them.
void allocator_set_whitelist(struct allocator *a, const char *const *hosts, size_t count)
{
    CHECK(!a->is_running);
    struct map *before = a->hosts;
    a->hosts = hosts != NULL ? map_of_hosts(hosts, count) : NULL;
    if (before != NULL && a->hosts != NULL) {
        rejudge_difference(a, before, a->hosts);
        rejudge_difference(a, a->hosts, before);
    } else if (before != a->hosts) {
        MAP_FOREACH (&a->agents, entry) {
            leave_host(a, entry->value);
            enter_host(a, entry->value);
            rejudge_host(a, entry->value);
        }
    }
    if (before != NULL) {
        map_free(before);
        mem_free(before);
    }
}

static struct alloc_agent *agent_new(struct allocator *a, const char *id)
{
    struct alloc_agent *agent = slab_take(&a->agent_slab);
    agent->id = id_keep(agent->own_id, id);
    agent->allocator = a;
    agent->is_active = true;
    agent->retired_seen = a->retired_count;
    resources_init(&agent->own_first);
    resources_init(&agent->own_second);
    list_init(&agent->in_host);
    agent->bonds = agent->own_slots;
    agent->bond_capacity = AGENT_OWN_SLOTS;
    return agent;
}

void allocator_add_agent(struct allocator *a, const char *agent_id, const struct resources *total,
                         const struct allocator_use *uses, size_t use_count)
{
    CHECK(!a->is_running && agent_find(a, agent_id) == NULL);
    struct alloc_agent *agent = agent_new(a, agent_id);
    map_put(&a->agents, agent_id, agent);
    set_total(a, agent, resources_copy(total));
    agent->available = agent_get_resources(agent);
    resources_assign(agent->available, total);
    for (size_t i = 0; i < use_count; i++) {
        agent_hold_all(a, agent, uses[i].framework_id, uses[i].used);
    }
    judge_host(a, agent);
    agent_note_free(a, agent);
    agent_mark_dirty(a, agent);
    a->is_urgent = true;
    if (a->paused_until != 0 && a->agents.count >= a->paused_agents) {
        a->paused_until = 0;
    }
}

void allocator_update_agent(struct allocator *a, const char *agent_id,
                            const struct resources *total)
{
    struct alloc_agent *agent = agent_find(a, agent_id);
    CHECK(!a->is_running && agent != NULL);
    set_total(a, agent, resources_copy(total));
    agent_recount(a, agent);
    a->is_urgent = true;
}

void allocator_transform(struct allocator *a, const char *framework_id, const char *agent_id,
                         const struct resources *from, const struct resources *to)
{
    struct alloc_framework *framework = framework_get(a, framework_id, false);
    struct alloc_agent *agent = agent_find(a, agent_id);
    const char *role = resources_role(resources_is_empty(from) ? to : from);
    CHECK(!a->is_running && framework != NULL && agent != NULL && role != NULL);
    struct alloc_member *member = member_get(a, framework, role, false);
    struct alloc_bond *bond = member != NULL ? bond_find(agent, member) : NULL;
    CHECK(bond != NULL && bond->held != NULL);
    for (uint32_t i = 0; i < to->count; i++) {
        CHECK(to->entries[i].role == member->role->name);
    }
    CHECK(resources_contains(bond->held, from));
    resources_subtract(bond->held, from);
    order_charge(a, agent, member, from, -1, false);
    order_charge(a, agent, member, to, 1, false);
    resources_add(bond->held, to);
    AUTO_RESOURCES struct resources *bare_from = resources_copy(from);
    AUTO_RESOURCES struct resources *bare_to = resources_copy(to);
    resources_unallocate(bare_from);
    resources_unallocate(bare_to);
    if (resources_is_empty(from)) {
        CHECK(resources_contains(agent->total, bare_to));
    } else {
        struct resources *total = resources_copy(agent->total);
        CHECK(resources_contains(total, bare_from));
        resources_subtract(total, bare_from);
        resources_add(total, bare_to);
        set_total(a, agent, total);
    }
    if (resources_is_empty(bond->held)) {
        bond->held = agent_drop_resources(agent, bond->held);
    }
    bond_free_if_unused(a, bond);
    member_free_if_unused(a, member);
    agent_recount(a, agent);
}

void alloc_agent_free(struct allocator *a, struct alloc_agent *agent)
{
    while (agent->bond_count > 0) {
        struct alloc_bond *bond = agent->bonds[agent->bond_count - 1].bond;
        struct alloc_member *member = bond->member;
        struct alloc_framework *framework = member->framework;
        bond_clear_filters(a, bond);
        if (bond->held != NULL) {
            struct resources *held = TAKE_PTR(bond->held);
            order_charge(a, agent, member, held, -1, false);
            agent_drop_resources(agent, held);
        }
        bond_free_if_unused(a, bond);
        member_free_if_unused(a, member);
        framework_free_if_unused(a, framework);
    }
    unmark_dirty(a, agent);
    agent_set_held_back(a, agent, false);
    leave_free(a, agent);
    leave_host(a, agent);
    order_add_total(a, agent->total, -1);
    map_remove(&a->agents, agent->id);
    a->recent_agent = NULL;
    if (agent->last_refusal != NULL) {
        CHECK(agent->last_refusal->references == 1);
        resources_free(agent->last_refusal->resources);
        mem_free(agent->last_refusal);
    }
    resources_free(agent->total);
    agent_drop_resources(agent, agent->available);
    resources_free(agent->level);
    if (agent->bonds != agent->own_slots) {
        mem_free(agent->bonds);
    }
    bits_free(&agent->blocked);
    bits_free(&agent->judged);
    bits_free(&agent->excluded);
    id_free(agent->own_id, agent->id);
    slab_give(&a->agent_slab, agent);
}

void allocator_remove_agent(struct allocator *a, const char *agent_id)
{
    struct alloc_agent *agent = agent_find(a, agent_id);
    CHECK(!a->is_running && agent != NULL);
    alloc_agent_free(a, agent);
}

void allocator_activate_agent(struct allocator *a, const char *agent_id)
{
    struct alloc_agent *agent = agent_find(a, agent_id);
    CHECK(!a->is_running && agent != NULL);
    agent->is_active = true;
    agent_mark_dirty(a, agent);
    a->is_urgent = true;
}

void allocator_deactivate_agent(struct allocator *a, const char *agent_id)
{
    struct alloc_agent *agent = agent_find(a, agent_id);
    CHECK(!a->is_running && agent != NULL);
    agent->is_active = false;
    unmark_dirty(a, agent);
    agent_set_held_back(a, agent, false);
}
