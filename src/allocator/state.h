// SPDX-License-Identifier: Apache-2.0
//
// The inside of the allocator.
//
// A *member* is a framework in one of its roles; it is what gets offers. A *bond* ties a member to
// an agent: what it holds there, and its offer filters for it. Members have small numbers, so that
// an agent can note in a bitmap who would not take what it has free now.
//
// Invariants
//  - agent.available is agent.total less what all bonds hold (never below nothing).
//  - A member's amounts are the scalars of its bonds, a role's those of its members.
//  - Only members that want offers (framework active, role subscribed and not suppressed) stand in
//    their role's order, and only roles with such members in the allocator's. Both are sorted
//    unless `is_stale`.
//  - A bit in agent.blocked says that the member would get nothing of the agent: filtered, not
//    capable, or too little. It is true for all that agent.level contains, and is taken back when
//    more than that is free, when a filter goes, or when the member changes.
//  - An agent that is active, has free resources worth an offer, and has a wanting member without a
//    bit is dirty.

#pragma once

#include "allocator/allocator.h"
#include "base/list.h"
#include "base/map.h"
#include "base/prng.h"
#include "base/timer.h"
#include "model/resource_entry.h"

// Scalars by the allocator's numbering of their names.
struct amounts {
    int64_t *items;
    size_t count;
};

// By the allocator's numbering of names.
struct alloc_quota {
    struct amounts guarantees; // 0: none
    struct amounts limits;     // AMOUNT_UNLIMITED: none
};
#define AMOUNT_UNLIMITED INT64_MAX

struct alloc_role {
    struct intern *name;
    double weight;
    struct alloc_quota *quota; // NULL: none
    double share;              // weighted; kept while the role is in the order
    uint64_t allocations;      // offers and uses so far
    struct amounts amounts;
    struct alloc_member **order; // the members that want offers, by share
    size_t order_count;
    size_t order_capacity;
    size_t member_count;
    int64_t filter_count;
};

struct alloc_member {
    struct alloc_framework *framework;
    struct alloc_role *role;
    uint32_t number;    // the bit in bitmaps
    bool is_subscribed; // false: only holds resources from earlier
    bool is_suppressed;
    bool is_wanting;
    double share;
    uint64_t allocations;
    struct amounts amounts;
    struct list bonds;
};

struct alloc_framework {
    char *id;
    bool is_added; // false: known only for what it holds on agents
    bool is_active;
    unsigned capabilities;
    struct alloc_member **members;
    size_t member_count;
};

// Refused resources, shared by the filters that refuse the same.
struct alloc_refusal {
    uint32_t references;
    struct resources *resources; // not allocated to a role
};

struct alloc_filter {
    struct timer timer;
    struct alloc_bond *bond;
    struct alloc_filter *next;
    struct alloc_refusal *refusal;
};

struct alloc_bond {
    struct alloc_agent *agent;
    struct alloc_member *member;
    struct list in_member;
    struct resources *held; // allocated to the member's role; NULL: nothing
    struct alloc_filter *filters;
};

struct alloc_bond_slot {
    uint32_t number; // the member's
    struct alloc_bond *bond;
};

struct alloc_agent {
    struct allocator *allocator;
    char *id;
    struct resources *total;
    struct resources *available;
    bool is_active;
    size_t dirty_at;       // place in the allocator's dirty ones, plus one; 0: clean
    bool is_plain;         // every entry of `total` is free to all: no reservations and the like
    bool is_overcommitted; // more is held than there is
    bool has_gpus;
    struct alloc_bond_slot *bonds; // sorted by number
    size_t bond_count;
    size_t bond_capacity;
    struct resources *level; // NULL: nobody was found not to want it since the bits were cleared
    bool is_level_sound;     // what is free contains `level`
    uint64_t *blocked;
    size_t blocked_words;
    struct alloc_refusal *last_refusal;
};

// One way to be worth an offer: at least these quantities.
struct alloc_minimum {
    struct alloc_quantity {
        char *name;
        int64_t amount; // thousandths; ranges and sets count their items
    } * quantities;
    size_t count;
};

struct allocator {
    int64_t offer_interval_ns;
    bool filter_gpu_resources;
    struct allocator_callbacks callbacks;
    void *ctx;
    struct prng prng;
    struct alloc_minimum *minimums;
    size_t minimum_count;

    struct map frameworks;
    struct map agents;
    struct map roles;

    // Scalar names in order of appearance, with the cluster's totals.
    struct intern **names;
    bool *is_excluded;
    struct amounts totals;
    size_t name_count;
    char *excluded_names; // ",a,b,"

    struct alloc_role **order;
    size_t order_count;
    size_t order_capacity;
    bool is_stale; // shares changed all at once: totals, weights

    struct alloc_member **members; // by number; NULL: free
    uint32_t member_slots;
    uint64_t *wanting; // bits of members that want offers
    size_t wanting_words;
    size_t wanting_count;

    struct alloc_agent **dirty;
    size_t dirty_count;
    size_t dirty_capacity;
    bool is_urgent; // in the batch rhythm: do not wait for the interval
    bool has_run;
    int64_t last_run;

    struct timers timers; // of filters
    int64_t filter_count;
    uint64_t runs;
    bool is_running; // a callback must not come back
};

// ---- order.c: amounts, shares and sorting ----
void amounts_free(struct amounts *amounts);
size_t name_number(struct allocator *a, struct intern *name);
void order_add_total(struct allocator *a, const struct resources *r, int sign);
// Counts resources for or against a member and its role, and moves both in their orders.
void order_charge(struct allocator *a, struct alloc_member *member, const struct resources *r,
                  int sign, bool is_allocation);
void order_insert(struct allocator *a, struct alloc_member *member);
void order_remove(struct allocator *a, struct alloc_member *member);
void order_refresh(struct allocator *a); // sorts all anew when stale
double order_share(const struct allocator *a, const struct amounts *amounts);
// Negative when `x` goes first.
int order_compare(const struct alloc_member *x, const struct alloc_member *y);

// ---- member.c: roles, members, bonds, filters ----
struct alloc_role *role_get(struct allocator *a, const char *name);
void role_free_if_unused(struct allocator *a, struct alloc_role *role);
struct alloc_member *member_get(struct allocator *a, struct alloc_framework *framework,
                                const char *role, bool may_make);
// Sets whether the member wants offers, from its flags and its framework's.
void member_update(struct allocator *a, struct alloc_member *member);
// What it is may have changed: agents must look at it again.
void member_reconsider(struct allocator *a, struct alloc_member *member);
void member_clear_filters(struct allocator *a, struct alloc_member *member);
void member_free_if_unused(struct allocator *a, struct alloc_member *member);
struct alloc_framework *framework_get(struct allocator *a, const char *id, bool may_make);
void framework_free_if_unused(struct allocator *a, struct alloc_framework *framework);

struct alloc_bond *bond_find(const struct alloc_agent *agent, const struct alloc_member *member);
struct alloc_bond *bond_get(struct alloc_agent *agent, struct alloc_member *member);
// Frees it when it holds nothing and has no filter.
void bond_free_if_unused(struct allocator *a, struct alloc_bond *bond);
void bond_add_filter(struct allocator *a, struct alloc_bond *bond, const struct resources *refused,
                     int64_t deadline);
void bond_clear_filters(struct allocator *a, struct alloc_bond *bond);
bool bond_is_filtered(const struct alloc_bond *bond, const struct resources *offer);

// ---- agent.c ----
struct alloc_agent *agent_find(const struct allocator *a, const char *id);
void agent_mark_dirty(struct allocator *a, struct alloc_agent *agent);
void agent_unblock(struct alloc_agent *agent, uint32_t number);
void agent_unblock_all(struct alloc_agent *agent);
void agent_block(struct alloc_agent *agent, uint32_t number);
static inline bool agent_is_blocked(const struct alloc_agent *agent, uint32_t number)
{
    return number / 64 < agent->blocked_words &&
           ((agent->blocked[number / 64] >> (number % 64)) & 1) != 0;
}
// `amount` is allocated to the member's role. Free resources grow or shrink with it.
void agent_hold(struct allocator *a, struct alloc_agent *agent, struct alloc_member *member,
                const struct resources *amount);
void agent_release(struct allocator *a, struct alloc_bond *bond, const struct resources *amount);
// Computes what is free from the total and all bonds.
void agent_recount(struct allocator *a, struct alloc_agent *agent);
void alloc_agent_free(struct allocator *a, struct alloc_agent *agent);

// ---- round.c ----
int minimums_parse(const char *text, struct alloc_minimum **ret_minimums, size_t *ret_count,
                   struct error *err);
void minimums_free(struct alloc_minimum *minimums, size_t count);
