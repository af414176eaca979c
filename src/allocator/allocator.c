// SPDX-License-Identifier: Apache-2.0
//
// The allocator's life, its frameworks, and resources that come back.

#include "allocator/allocator.h"

#include <string.h>

#include "allocator/constraints.h"
#include "allocator/state.h"
#include "base/check.h"
#include "base/mem.h"
#include "base/text.h"

// ---- life ----

// ",a,b," without blanks, so that a name is found between commas.
static char *normalize_names(const char *names)
{
    AUTO_BUF struct buf out = BUF_INIT;
    buf_putc(&out, ',');
    for (const char *c = names != NULL ? names : ""; *c != '\0'; c++) {
        if (*c != ' ') {
            buf_putc(&out, *c);
        }
    }
    buf_putc(&out, ',');
    return buf_take(&out);
}

static void number_minimums(struct allocator *a)
{
    for (size_t i = 0; i < a->minimum_count; i++) {
        for (size_t k = 0; k < a->minimums[i].count; k++) {
            struct intern *name = intern_get(a->minimums[i].quantities[k].name);
            a->minimums[i].quantities[k].number = name_number(a, name);
            intern_drop(name);
        }
    }
}

struct allocator *allocator_new(const struct allocator_options *options,
                                const struct allocator_callbacks *callbacks, void *ctx)
{
    struct allocator *a = mem_zalloc(sizeof(*a));
    a->offer_interval_ns = options->offer_interval_ns;
    a->filter_gpu_resources = options->filter_gpu_resources;
    a->callbacks = *callbacks;
    a->ctx = ctx;
    prng_seed(&a->prng, options->seed);
    a->agent_slab = SLAB_INIT(struct alloc_agent);
    a->role_slab = SLAB_INIT(struct alloc_role);
    a->member_slab = SLAB_INIT(struct alloc_member);
    a->framework_slab = SLAB_INIT(struct alloc_framework);
    a->notes_slab = SLAB_INIT(struct alloc_notes);
    a->excluded_names = normalize_names(options->fair_sharing_excluded);
    const char *least = options->min_allocatable_resources;
    CHECK(minimums_parse(least != NULL ? least : ALLOCATOR_MIN_ALLOCATABLE, &a->minimums,
                         &a->minimum_count, NULL) == 0);
    number_minimums(a);
    a->region = options->region != NULL ? mem_strdup(options->region) : NULL;
    a->is_role_random = options->is_role_random;
    a->is_framework_random = options->is_framework_random;
    a->is_demand_aware = options->is_demand_aware;
    a->is_packing = options->is_packing;
    a->root = (struct alloc_role){.weight = 1.0, .own = {.is_own = true}};
    a->root.places = TREE_INIT(order_compare_places);
    a->root.order = TREE_INIT(order_compare_members);
    return a;
}

static void free_frameworks(struct allocator *a)
{
    MAP_FOREACH (&a->frameworks, entry) {
        allocator_remove_framework(a, entry->key);
    }
}

struct allocator *allocator_free(struct allocator *a)
{
    if (a == NULL) {
        return NULL;
    }
    MAP_FOREACH (&a->agents, entry) {
        alloc_agent_free(a, entry->value);
    }
    free_frameworks(a);
    MAP_FOREACH (&a->roles, entry) {
        ((struct alloc_role *)entry->value)->weight = 1.0;
        allocator_set_quota(a, entry->key, NULL);
    }
    CHECK(a->frameworks.count == 0 && a->roles.count == 0);
    for (size_t i = 0; i < a->name_count; i++) {
        intern_drop(a->names[i]);
    }
    allocator_set_whitelist(a, NULL, 0);
    map_free(&a->frameworks);
    map_free(&a->agents);
    map_free(&a->agents_of_host);
    map_free(&a->roles);
    timers_free(&a->timers);
    minimums_free(a->minimums, a->minimum_count);
    struct amounts *const amounts[] = {
        &a->totals,
        &a->firm_totals,
        &a->delta,
        &a->soft_delta,
        &a->basis,
        &a->surplus_low,
        &a->root.soft,
        &a->root.reserved,
        &a->root.need,
        &a->root.need_below,
        &a->root.all.amounts,
        &a->need_change,
    };
    for (size_t i = 0; i < ARRAY_COUNT(amounts); i++) {
        amounts_free(amounts[i]);
    }
    struct bits *const bits[] = {&a->wanting,  &a->exhausted, &a->assured,
                                 &a->peculiar, &a->relaxed,   &a->skipped};
    for (size_t i = 0; i < ARRAY_COUNT(bits); i++) {
        bits_free(bits[i]);
    }
    mem_free(a->names);
    mem_free(a->is_excluded);
    mem_free(a->excluded_names);
    mem_free(a->region);
    mem_free(a->rebuilding);
    mem_free(a->members);
    mem_free(a->new_bonds);
    mem_free(a->free_numbers);
    mem_free(a->drawn);
    mem_free(a->drawn_roles);
    mem_free(a->relaxed_roles);
    mem_free(a->held_back);
    mem_free(a->dirty);
    mem_free(a->free);
    mem_free(a);
    return NULL;
}

// ---- frameworks ----

static bool has_text(const char *const *texts, size_t count, const char *text)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(texts[i], text) == 0) {
            return true;
        }
    }
    return false;
}

// It wants offers again: what it refused before is asked about anew.
static void revive(struct allocator *a, struct alloc_member *member)
{
    order_set_sated(a, member, 0);
    member_clear_filters(a, member);
    member->is_suppressed = false;
    member_update(a, member);
}

// Makes the framework's members those of `roles`. Roles that it left keep only what they hold. A
// role that is not suppressed any more is revived, as in Mesos.
static void set_roles(struct allocator *a, struct alloc_framework *framework,
                      const char *const *roles, size_t role_count, const char *const *suppressed,
                      size_t suppressed_count)
{
    for (size_t i = 0; i < role_count; i++) {
        struct alloc_member *member = member_get(a, framework, roles[i], true);
        member->is_subscribed = true;
        bool is_suppressed = has_text(suppressed, suppressed_count, roles[i]);
        if (member->is_suppressed && !is_suppressed) {
            revive(a, member);
        } else {
            member->is_suppressed = is_suppressed;
            member_update(a, member);
        }
    }
    for (size_t i = framework->member_count; i-- > 0;) {
        struct alloc_member *member = framework->members[i];
        if (!has_text(roles, role_count, member->role->name->text)) {
            member->is_subscribed = false;
            member_update(a, member);
            member_clear_filters(a, member);
            member_free_if_unused(a, member);
        }
    }
}

static void set_capabilities(struct alloc_framework *framework, unsigned capabilities)
{
    CHECK(capabilities >> CAPABILITY_BITS == 0);
    framework->capabilities = capabilities & ((1U << CAPABILITY_BITS) - 1);
}

void allocator_add_framework(struct allocator *a, const char *framework_id,
                             const char *const *roles, size_t role_count,
                             const char *const *suppressed, size_t suppressed_count,
                             unsigned capabilities, bool active)
{
    struct alloc_framework *framework = framework_get(a, framework_id, true);
    CHECK(!a->is_running && !framework->is_added);
    framework->is_added = true;
    framework->is_active = active;
    set_capabilities(framework, capabilities);
    set_roles(a, framework, roles, role_count, suppressed, suppressed_count);
}

static struct alloc_framework *framework_find(struct allocator *a, const char *id)
{
    struct alloc_framework *framework = framework_get(a, id, false);
    CHECK(!a->is_running && framework != NULL && framework->is_added);
    return framework;
}

void allocator_update_framework(struct allocator *a, const char *framework_id,
                                const char *const *roles, size_t role_count,
                                const char *const *suppressed, size_t suppressed_count,
                                unsigned capabilities)
{
    struct alloc_framework *framework = framework_find(a, framework_id);
    bool has_changed = framework->capabilities != capabilities;
    set_capabilities(framework, capabilities);
    set_roles(a, framework, roles, role_count, suppressed, suppressed_count);
    for (size_t i = 0; has_changed && i < framework->member_count; i++) {
        member_reconsider(a, framework->members[i]);
    }
}

void allocator_set_constraints(struct allocator *a, const char *framework_id,
                               struct constraints *constraints)
{
    struct alloc_framework *framework = framework_find(a, framework_id);
    bool is_none = constraints == NULL && framework->constraints == NULL;
    constraints_free(framework->constraints);
    framework->constraints = constraints;
    framework->is_constrained = constraints != NULL;
    for (size_t i = 0; i < framework->member_count && !is_none; i++) {
        member_reconsider(a, framework->members[i]);
    }
}

void allocator_pause(struct allocator *a, size_t agents, int64_t deadline)
{
    if (a->agents.count < agents) {
        a->paused_agents = agents;
        a->paused_until = deadline;
    }
}

// What it still holds is free again.
void allocator_remove_framework(struct allocator *a, const char *framework_id)
{
    struct alloc_framework *framework = framework_find(a, framework_id);
    framework->is_added = false;
    bonds_settle(a);
    for (size_t i = framework->member_count; i-- > 0;) {
        struct alloc_member *member = framework->members[i];
        member->is_subscribed = false;
        member_update(a, member);
        BONDS_FOREACH(member, bond)
        {
            bond_clear_filters(a, bond);
            if (bond->held != NULL) {
                AUTO_RESOURCES struct resources *held = resources_copy(bond->held);
                agent_release(a, bond, held);
            }
            bond_free_if_unused(a, bond);
        }
        member_free_if_unused(a, member);
    }
    framework_free_if_unused(a, framework);
}

void allocator_activate_framework(struct allocator *a, const char *framework_id)
{
    struct alloc_framework *framework = framework_find(a, framework_id);
    framework->is_active = true;
    for (size_t i = 0; i < framework->member_count; i++) {
        member_update(a, framework->members[i]);
    }
}

void allocator_deactivate_framework(struct allocator *a, const char *framework_id)
{
    struct alloc_framework *framework = framework_find(a, framework_id);
    framework->is_active = false;
    for (size_t i = 0; i < framework->member_count; i++) {
        member_update(a, framework->members[i]);
        member_clear_filters(a, framework->members[i]);
    }
}

void allocator_suppress(struct allocator *a, const char *framework_id, const char *const *roles,
                        size_t role_count)
{
    struct alloc_framework *framework = framework_find(a, framework_id);
    for (size_t i = 0; i < framework->member_count; i++) {
        struct alloc_member *member = framework->members[i];
        if (role_count == 0 || has_text(roles, role_count, member->role->name->text)) {
            member->is_suppressed = true;
            member_update(a, member);
        }
    }
}

void allocator_revive(struct allocator *a, const char *framework_id, const char *const *roles,
                      size_t role_count)
{
    struct alloc_framework *framework = framework_find(a, framework_id);
    for (size_t i = 0; i < framework->member_count; i++) {
        struct alloc_member *member = framework->members[i];
        if (role_count == 0 || has_text(roles, role_count, member->role->name->text)) {
            revive(a, member);
        }
    }
    a->is_urgent = true;
}

// ---- resources that come and go ----

static int64_t add_time(int64_t mono, int64_t ns)
{
    int64_t sum;
    return __builtin_add_overflow(mono, ns, &sum) ? INT64_MAX : sum;
}

// Without the batch rhythm nothing else keeps a framework that refuses for no time at all from
// being asked again at once, for ever.
static int64_t refuse_time(const struct allocator *a, int64_t refuse_ns)
{
    if (a->offer_interval_ns > 0) {
        return refuse_ns == 0 || refuse_ns > a->offer_interval_ns ? refuse_ns
                                                                  : a->offer_interval_ns;
    }
    return refuse_ns > ALLOCATOR_REFUSE_MIN_NS ? refuse_ns : ALLOCATOR_REFUSE_MIN_NS;
}

// `part` is all of one role.
static void recover_part(struct allocator *a, struct alloc_framework *framework,
                         struct alloc_agent *agent, const struct resources *part, int64_t refuse_ns,
                         struct instant now)
{
    CHECK(part->entries[0].role != NULL);
    struct alloc_member *member = member_get(a, framework, part->entries[0].role->text, false);
    struct alloc_bond *bond = member != NULL ? bond_find(agent, member) : NULL;
    CHECK(bond != NULL);
    agent_release(a, bond, part);
    // It declined all of it, or it took something.
    order_set_sated(a, member, refuse_ns >= 0 && bond->held == NULL ? member->declines + 1 : 0);
    int64_t time = refuse_ns >= 0 ? refuse_time(a, refuse_ns) : 0;
    if (time > 0 && member->is_subscribed && framework->is_active) {
        bond_add_filter(a, bond, part, add_time(now.mono, time));
    }
    bond_free_if_unused(a, bond);
    member_free_if_unused(a, member);
}

void allocator_recover(struct allocator *a, const char *framework_id, const char *agent_id,
                       const struct resources *amount, int64_t refuse_ns, struct instant now)
{
    CHECK(!a->is_running);
    struct alloc_framework *framework = framework_get(a, framework_id, false);
    struct alloc_agent *agent = agent_find(a, agent_id);
    if (framework == NULL || agent == NULL) {
        return; // it went, and all that it held with it
    }
    for (uint32_t i = 0; i < amount->count; i++) {
        AUTO_RESOURCES struct resources *own = NULL;
        const struct resources *part = part_of_role(amount, i, &own);
        if (part != NULL) {
            recover_part(a, framework, agent, part, refuse_ns, now);
        }
    }
    framework_free_if_unused(a, framework);
}

void allocator_track(struct allocator *a, const char *framework_id, const char *agent_id,
                     const struct resources *amount)
{
    struct alloc_agent *agent = agent_find(a, agent_id);
    CHECK(!a->is_running && agent != NULL);
    agent_hold_all(a, agent, framework_id, amount);
}

// ---- what others want to know ----

void allocator_get_statistics(const struct allocator *a, struct allocator_statistics *ret)
{
    int64_t frameworks = 0;
    MAP_FOREACH (&a->frameworks, entry) {
        const struct alloc_framework *framework = entry->value;
        frameworks += framework->is_added;
    }
    *ret = (struct allocator_statistics){
        .runs = a->runs,
        .agents = (int64_t)a->agents.count,
        .frameworks = frameworks,
        .filters = a->filter_count,
    };
}

void allocator_get_amounts(const struct allocator *a, const char *name, int64_t *ret_total,
                           int64_t *ret_held)
{
    *ret_total = 0;
    *ret_held = 0;
    for (size_t i = 0; i < a->name_count; i++) {
        if (strcmp(a->names[i]->text, name) != 0) {
            continue;
        }
        *ret_total = amount_of(&a->totals, i);
        *ret_held = amount_of(&a->root.all.amounts, i);
        return;
    }
}

void allocator_walk_filters(const struct allocator *a,
                            void (*visit)(void *ctx, const char *role, int64_t filters), void *ctx)
{
    MAP_FOREACH (&a->roles, entry) {
        const struct alloc_role *role = entry->value;
        if (role->member_count > 0) {
            visit(ctx, role->name->text, role->filter_count);
        }
    }
}

bool allocator_is_suppressed(const struct allocator *a, const char *framework_id, const char *role)
{
    const struct alloc_framework *framework = map_get(&a->frameworks, framework_id);
    for (size_t i = 0; framework != NULL && i < framework->member_count; i++) {
        if (strcmp(framework->members[i]->role->name->text, role) == 0) {
            return framework->members[i]->is_suppressed;
        }
    }
    return false;
}

double allocator_dominant_share(const struct allocator *a, const char *role_name,
                                const char *framework_id)
{
    const struct alloc_role *role = map_get(&a->roles, role_name);
    if (role == NULL) {
        return 0.0;
    }
    if (framework_id == NULL) {
        return order_share(a, &role->all.amounts) / role->weight;
    }
    const struct alloc_framework *framework = map_get(&a->frameworks, framework_id);
    for (size_t i = 0; framework != NULL && i < framework->member_count; i++) {
        if (framework->members[i]->role == role) {
            return order_share(a, &framework->members[i]->amounts);
        }
    }
    return 0.0;
}
