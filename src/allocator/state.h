// SPDX-License-Identifier: Apache-2.0
//
// The inside of the allocator.
//
// Roles make a tree: "a/b" is below "a", all are below the root (""). A *member* is a framework in
// one of its roles; it is what gets offers. A *bond* ties a member to an agent: what it holds
// there, and its offer filters for it. Members have small numbers, so that bitmaps tell who wants
// offers, and for each agent who would not take what it has free now.
//
// Invariants
//  - agent.available is agent.total less what all bonds hold (never below nothing), but for shared
//    resources, which stay available.
//  - A member's amounts are the scalars of its bonds; a role's `own` those of its members, its
//    `all` those of its members and of the roles below it. Shared ones count once per agent.
//  - Only members that want offers (framework active, role subscribed and not suppressed) stand in
//    their role's order; a role's places hold its own members and the roles right below it, those
//    with such members. All are sorted by shares of the totals that `basis` remembers, which may
//    have changed since (`is_drifted`): then walks find the true order themselves (order.c).
//  - A bit in agent.blocked says that the member would get nothing of the agent, whatever the
//    quotas: filtered, not capable, or too little. It is true for all that agent.level contains,
//    and is taken back when more than that is free, when a filter goes, or when the member changes.
//  - An agent that is active, has free resources worth an offer, and has a wanting member without a
//    bit is dirty; or it is held back, and quotas do not allow an offer to any of them.
//
// Quotas. A role has *consumed* what is reserved for it and below, and what it and those below hold
// of unreserved non-revocable ("firm") scalars. Its *need* is what its guarantee lacks, or what
// those of the roles below lack if that is more. What is firm and free beyond the root's need is
// the *surplus*: anybody may get it. A role may get the surplus and the parts of the needs above it
// that are not the need of others (*assured*), within the limits above it.

#pragma once

#include "allocator/allocator.h"
#include "base/list.h"
#include "base/map.h"
#include "base/prng.h"
#include "base/slab.h"
#include "base/timer.h"
#include "base/tree.h"
#include "model/resource_entry.h"

struct constraints;

// So many declines in a row, without anything taken, and a framework is sated: with demand-aware
// shares it comes after those that take something.
enum { DECLINES_SATED = 3 };

// Ids that masters give need no memory of their own.
enum { OWN_ID = 47 };

// A bit per member.
struct bits {
    uint64_t *words;
    size_t count; // of words
};

static inline bool bits_has(const struct bits *bits, uint32_t number)
{
    return number / 64 < bits->count && ((bits->words[number / 64] >> (number % 64)) & 1) != 0;
}

static inline uint64_t bits_word(const struct bits *bits, size_t word)
{
    return word < bits->count ? bits->words[word] : 0;
}

// Scalars by the allocator's numbering of their names: amounts_items. Nearly all clusters have
// cpus, mem and disk.
enum { AMOUNTS_FEW = 3 };
struct amounts {
    uint32_t count;
    union {
        int64_t few[AMOUNTS_FEW];
        int64_t *many; // when they are more
    };
};

static inline int64_t *amounts_items(const struct amounts *amounts)
{
    return amounts->count <= AMOUNTS_FEW ? (int64_t *)(uintptr_t)amounts->few : amounts->many;
}

// By the allocator's numbering of names.
struct alloc_quota {
    struct amounts guarantees; // 0: none
    struct amounts limits;     // AMOUNT_UNLIMITED: none
    struct amounts low; // of what the limits left, the least that was too little for somebody
    bool is_low;        // `low` says something
    bool is_exhausted;  // what the limits leave is not worth an offer by the default minimum
};
#define AMOUNT_UNLIMITED INT64_MAX

// A place in the order: a role with all below it, or a role's own members. What it is compared by
// stands in one cache line with the node.
struct alloc_place {
    struct tree_node in_places; // of the role above, or of its own if it is_own
    double share;               // of the basis, weighted; kept while it is in an order
    uint64_t allocations : 61;  // offers and uses so far
    bool is_own : 1;
    bool is_weighted : 1; // the role's weight is not 1, and counts here
    bool is_sated : 1;    // demand-aware: nobody here took anything of late
    struct amounts amounts;
};

// What an offer changes of a role with one member and no roles below stands in front: two cache
// lines.
struct alloc_role {
    struct alloc_place all;
    struct intern *name;
    struct alloc_role *parent; // NULL: this is the root
    struct alloc_member *only; // the only one in `order`; NULL: there are others, or none
    uint32_t child_count;
    uint32_t depth; // the root's is 0

    struct tree order; // its own members that want offers
    double weight;
    struct alloc_place own;     // what it is compared by is kept while there are roles below
    uint64_t allocations_below; // of those in all.allocations, by roles below
    struct tree places;         // `own` and the children's `all`, those with wanting members
    struct amounts soft;        // of all.amounts, what is reserved, revocable or shared
    size_t member_count;
    size_t reservation_count; // entries of agents' totals that are reserved for it
    int64_t filter_count;

    struct alloc_quota *quota; // NULL: none
    struct amounts reserved;   // for it and below
    struct amounts need;       // kept while there are guarantees
    struct amounts need_below; // the sum of the children's
    bool is_assured;           // need is more than need_below in something
    bool is_relaxed;           // in the allocator's list of those
};

// What an offer changes of a member, or asks of it, is one cache line, and a second one where its
// role has several that want offers.
struct alloc_member {
    struct alloc_framework *framework;
    struct alloc_role *role;
    struct amounts amounts;
    uint32_t number;    // the bit in bitmaps
    bool is_subscribed; // false: only holds resources from earlier
    bool is_suppressed;
    bool is_wanting;
    bool has_minimums; // of its own
    uint64_t allocations : 63;
    bool is_sated : 1; // demand-aware: it declined too often in a row

    struct tree_node in_order; // of its role
    double share;              // of the basis; kept while others are in the order, too
    uint32_t declines;         // in a row

    // In the order in which they came, NULL where one went. Not a list: a new one would wait for
    // the memory of the one before, on another agent. New ones are in the allocator's list first.
    uint32_t bond_count; // with the holes
    struct alloc_bond **bonds;
    uint32_t bond_holes;
    uint32_t bond_capacity;
    struct alloc_minimum *minimums;
    size_t minimum_count;
    uint32_t exhausted_above; // roles from its own upwards whose limits are exhausted
    uint32_t assured_above;   // likewise, with an assured part
};

// An offer that was made, to be told to those who ask. One is written for each offer, over the
// oldest, so it is small: two cache lines, but for offers out of the ordinary.
enum { NOTES_KEPT = 8, NOTE_ENTRIES = 4 };
struct alloc_note {
    struct intern *role; // that all was allocated to; NULL: there was no offer yet
    int64_t wall_ns;
    union {
        struct note_entry {
            struct resource_kind *kind;
            union {
                int64_t scalar;
                struct ranges *ranges;
                struct text_set *set;
            };
        } entries[NOTE_ENTRIES]; // one of each
        struct alloc_note_more {
            struct resources *resources;
            char *agent_id;
        } more; // where these have no room
    };
    uint8_t entry_count; // NOTE_MORE: `more`
    char agent_id[OWN_ID];
};
enum { NOTE_MORE = NOTE_ENTRIES + 1 };
struct alloc_notes {
    struct alloc_note items[NOTES_KEPT];
};

// What an offer changes of a framework, or asks of it, is one cache line.
enum { CAPABILITY_BITS = 16 };
struct alloc_framework {
    struct alloc_notes *notes; // of the last offers; NULL: none was made
    uint64_t offer_count : 64 - CAPABILITY_BITS;
    uint64_t capabilities : CAPABILITY_BITS;
    char own_id[OWN_ID];
    bool is_added : 1; // false: known only for what it holds on agents
    bool is_active : 1;
    bool is_constrained : 1; // there are constraints

    char *long_id; // NULL: it is own_id
    struct alloc_member **members;
    size_t member_count;
    struct constraints *constraints; // NULL: none
    struct allocator *allocator;
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
    uint32_t at;            // place in the member's bonds, or in the allocator's new ones
    bool is_new;            // it is in the latter
    struct resources *held; // allocated to the member's role; NULL: nothing. agent_drop_resources
    struct alloc_filter *filters;
};

struct alloc_bond_slot {
    uint32_t number; // the member's
    struct alloc_bond *bond;
};

// The agents on one host.
struct alloc_host {
    char *name;
    struct list agents;
};

enum { AGENT_OWN_SLOTS = 4 };

// What a round looks at stands together, in front, in five cache lines: agents are visited in
// random order, and each place of its own in memory is waited for.
struct alloc_agent {
    struct resources *available;   // agent_get_resources, or agent_nothing: not to be changed
    struct alloc_bond_slot *bonds; // sorted by number; `own_slots`, or memory of its own
    uint32_t bond_count;
    uint32_t bond_capacity;
    uint64_t retired_seen; // of the allocator's retired numbers
    uint32_t dirty_at;     // place in the allocator's dirty ones, plus one; 0: clean
    uint32_t free_at;      // likewise in those with something available
    uint32_t held_back_at; // likewise in those held back
    bool is_active : 1;
    bool is_unlisted : 1;   // there is a whitelist without it
    bool is_remote : 1;     // in another region than the master
    bool is_plain : 1;      // every entry of `total` is free to all: no reservations and the like
    bool is_held_rough : 1; // it was not plain when it was held back
    bool has_shared : 1;    // `total` has shared resources
    bool has_gpus : 1;      // `total` has some
    bool is_overcommitted : 1; // more is held than there is
    bool is_level_sound : 1;   // what is free contains `level`
    bool is_first_taken : 1;   // of own_first
    bool is_second_taken : 1;  // of own_second
    bool is_own_bond_taken : 1;
    struct bits blocked;
    // Where the first are kept of what an agent has several of.
    struct alloc_bond own_bond;
    char *id; // `own_id`, or memory of its own
    struct resources own_first;
    char own_id[OWN_ID];
    struct alloc_bond_slot own_slots[AGENT_OWN_SLOTS];

    struct resources own_second;
    struct allocator *allocator;
    struct resources *total;
    struct resources *level; // NULL: nobody was found not to want it since the bits were cleared
    const Mesos__V1__AgentInfo *info; // the caller's; NULL: not told
    struct alloc_host *host;          // NULL: there is no whitelist, or the agent has not told
    struct list in_host;
    double free_part;     // scratch of packing
    uint64_t shared_run;  // the run that offered them last
    struct bits judged;   // members whose constraints were looked at
    struct bits excluded; // those whose constraints exclude the agent
    struct alloc_refusal *last_refusal;
};
// With the first of own_slots.
enum { AGENT_HOT = offsetof(struct alloc_agent, own_slots) + sizeof(struct alloc_bond_slot) };

// One way to be worth an offer: at least these quantities.
struct alloc_minimum {
    struct alloc_quantity {
        char *name;
        size_t number;  // of the name; of the allocator's own minimums only
        int64_t amount; // thousandths; ranges and sets count their items
    } * quantities;
    size_t count;
};

enum { RETIRED_KEPT = 256 };

struct allocator {
    int64_t offer_interval_ns;
    bool filter_gpu_resources;
    struct allocator_callbacks callbacks;
    void *ctx;
    struct prng prng;
    struct alloc_minimum *minimums;
    size_t minimum_count;

    char *region;              // the master's; NULL: it has no domain
    struct map *hosts;         // the whitelist; NULL: all are listed
    struct map agents_of_host; // by host name, while there is a whitelist: struct alloc_host
    bool is_role_random;
    bool is_framework_random;
    bool is_demand_aware;
    bool is_packing;

    // Memory of all that a round goes through.
    struct slab agent_slab;
    struct slab role_slab;
    struct slab member_slab;
    struct slab framework_slab;
    struct slab notes_slab;

    struct map frameworks;
    struct map agents;
    struct alloc_framework *recent_framework; // the last that was found; a memory of framework_get
    struct alloc_agent *recent_agent;         // the same of agent_find
    struct map roles;                         // without the root
    struct alloc_role root;

    // Scalar names in order of appearance, with the cluster's totals.
    struct intern **names;
    bool *is_excluded;
    struct amounts totals;
    struct amounts basis; // the totals by which the orders are sorted
    bool is_drifted;      // they are others now, in another proportion
    double drift_high;    // then: the greatest growth of one of them
    struct amounts firm_totals;
    struct amounts delta, soft_delta; // scratch of a charge
    struct amounts need_change;       // scratch of quota_refresh
    size_t name_count;
    char *excluded_names; // ",a,b,"

    // Quotas.
    size_t quota_count;
    size_t guarantee_count;    // quotas with guarantees
    bool is_surplus_exhausted; // the surplus is not worth an offer by the default minimum
    struct amounts surplus_low;
    bool is_surplus_low;
    struct bits exhausted; // wanting members that limits keep from plain agents
    struct bits assured;   // wanting members with an assured part
    struct bits peculiar;  // wanting members with minimums of their own
    struct bits relaxed;   // scratch: those for whom held back agents are looked at again
    struct bits skipped;   // scratch: those whom quotas keep from the agent at hand
    bool is_any_skipped;
    struct alloc_role **relaxed_roles;
    size_t relaxed_count;
    size_t relaxed_capacity;
    struct alloc_agent **held_back;
    size_t held_back_count;
    size_t held_back_capacity;
    size_t held_back_rough; // of them, those that are not plain

    struct alloc_member **members; // by number; NULL: free
    uint32_t member_slots;
    // Bonds that are not in their members' lists yet: whoever needs those calls bonds_settle. So an
    // offer that is declined never waits for their memory.
    struct alloc_bond **new_bonds; // NULL where one went
    uint32_t new_bond_count;       // with the holes
    uint32_t new_bond_holes;
    uint32_t new_bond_capacity;
    uint32_t *free_numbers;
    uint32_t free_number_count;
    // Numbers whose bits on agents mean nothing any more, a ring by sequence. An agent clears them
    // when it is next looked at.
    uint32_t retired[RETIRED_KEPT];
    uint64_t retired_count;
    struct bits wanting; // members that want offers
    size_t wanting_count;
    struct alloc_member **drawn;   // scratch of the random sorter
    struct tree_node **rebuilding; // scratch of order_rebase
    size_t rebuilding_capacity;
    struct drawn_role {
        struct alloc_role *role;
        double weight;
    } * drawn_roles;
    size_t drawn_role_capacity;
    size_t peculiar_count; // members with minimums of their own that want offers

    // Those with something available. NULL: one that has nothing any more; they are closed up when
    // the next is walked or grows.
    struct alloc_agent **free;
    size_t free_count; // with the holes
    size_t free_holes;
    size_t free_capacity;
    struct alloc_agent **dirty;
    size_t dirty_count;
    size_t dirty_capacity;
    bool is_urgent; // in the batch rhythm: do not wait for the interval
    bool has_run;
    int64_t last_run;
    int64_t paused_until; // no rounds before, unless so many agents are there
    size_t paused_agents;
    struct instant now; // of the last run

    struct timers timers; // of filters
    int64_t filter_count;
    uint64_t runs;
    bool is_running; // a callback must not come back
};

// ---- amounts.c ----
void amounts_free(struct amounts *amounts);
// Makes room for so many; new ones are `fill`.
void amounts_reserve(struct amounts *amounts, size_t count, int64_t fill);
static inline int64_t amount_of(const struct amounts *amounts, size_t number)
{
    return number < amounts->count ? amounts_items(amounts)[number] : 0;
}
size_t name_number(struct allocator *a, struct intern *name);
void amount_add(struct amounts *amounts, size_t number, int64_t value);
// `by` times 1 or -1.
void amounts_add(struct amounts *amounts, const struct amounts *by, int sign);
void amounts_clear(struct amounts *amounts);
// Adds the scalars of `r`; of shared ones once. `is_firm`: only the unreserved non-revocable ones.
void amounts_add_scalars(struct allocator *a, struct amounts *amounts, const struct resources *r,
                         bool is_firm, int sign);
bool entry_is_firm(const struct resource_entry *entry);
void bits_set(struct bits *bits, uint32_t number);
static inline void bits_clear(struct bits *bits, uint32_t number)
{
    if (number / 64 < bits->count) {
        bits->words[number / 64] &= ~(UINT64_C(1) << (number % 64));
    }
}
void bits_clear_all(struct bits *bits);
void bits_free(struct bits *bits);

// ---- order.c: shares and sorting ----
// An agent's total comes or goes: shares, and what is reserved for roles.
void order_add_total(struct allocator *a, const struct resources *r, int sign);
// Counts resources for or against a member and its roles, and moves all of them in their orders.
// Called before they are added to the bond's held ones, and after they are taken from them.
void order_charge(struct allocator *a, const struct alloc_agent *agent, struct alloc_member *member,
                  const struct resources *r, int sign, bool is_allocation);
void order_insert(struct allocator *a, struct alloc_member *member);
void order_remove(struct allocator *a, struct alloc_member *member);
// The role's weight changed.
void order_weigh(struct allocator *a, struct alloc_role *role);
// Sorts all by the totals as they are now.
void order_rebase(struct allocator *a);
// Before a round that will look at so many agents.
void order_refresh(struct allocator *a, size_t agents);
double order_share(const struct allocator *a, const struct amounts *amounts);
// Negative when `x` goes first.
int order_compare(const struct allocator *a, const struct alloc_member *x,
                  const struct alloc_member *y);
// Moves the member to where it belongs with so many declines.
void order_set_sated(struct allocator *a, struct alloc_member *member, uint32_t declines);
int order_compare_places(const struct tree_node *x, const struct tree_node *y);
int order_compare_members(const struct tree_node *x, const struct tree_node *y);
static inline struct alloc_place *place_at(const struct tree_node *node)
{
    return CONTAINER_OF(node, struct alloc_place, in_places);
}
// The last part of the role's name, or "."
const char *order_place_name(const struct alloc_place *place);
static inline struct alloc_role *place_role(const struct alloc_place *place)
{
    return place->is_own ? CONTAINER_OF(place, struct alloc_role, own)
                         : CONTAINER_OF(place, struct alloc_role, all);
}
// A role below `parent` comes: the first one makes its `own` place differ from `all`.
void order_add_child(const struct allocator *a, struct alloc_role *parent);
void order_remove_child(struct alloc_role *parent);
static inline double place_weight(const struct alloc_place *place)
{
    return place->is_weighted ? place_role(place)->weight : 1.0;
}
static inline struct alloc_member *member_at(const struct tree_node *node)
{
    return CONTAINER_OF(node, struct alloc_member, in_order);
}

// A walk through places or members in the true order. Nothing may be charged meanwhile.
enum { WALK_AHEAD = 32 };
struct order_walk {
    const struct allocator *a;
    struct tree_node *next;
    bool is_member;
    bool is_lost; // too many stand too close to tell: order_rebase, and begin again
    size_t count;
    struct walk_item {
        double share;
        struct tree_node *node;
    } ahead[WALK_AHEAD];
};
void order_walk_begin(const struct allocator *a, const struct tree *tree, bool is_member,
                      struct order_walk *ret_walk);
struct tree_node *order_walk_next(struct order_walk *walk); // NULL: the end, or lost

// ---- quota.c ----
// What the role or one below it has consumed, or its quota, changed. `is_less`: others may get
// more.
void quota_refresh(struct allocator *a, struct alloc_role *role, bool is_less);
// The member began or ceased to want offers, or its minimums changed.
void quota_add_member(struct allocator *a, struct alloc_member *member);
void quota_remove_member(struct allocator *a, struct alloc_member *member);
// Of the firm scalar, what the limits leave to the role; what it may have of all that is free.
int64_t quota_remaining(const struct alloc_role *role, size_t number);
int64_t quota_budget(const struct allocator *a, const struct alloc_role *role, size_t number);
int64_t quota_assured(const struct alloc_role *role, size_t number);
int64_t quota_surplus(const struct allocator *a, size_t number);
// What is left now is too little for somebody in the role: more of it is to be looked at.
void quota_note_low(struct allocator *a, struct alloc_role *role);
// Whether agents that are held back must be looked at again; fills a->relaxed when asked to.
bool quota_is_relaxed(const struct allocator *a);
bool quota_collect_relaxed(struct allocator *a);
void quota_free(struct alloc_quota *quota);
void quota_forget(struct allocator *a, const struct alloc_role *role); // it goes

// ---- member.c: roles, members, bonds, filters ----
// Text of an id in `own`, if it fits, or in memory of its own.
char *id_keep(char own[OWN_ID], const char *id);
void id_free(const char own[OWN_ID], char *id);
static inline const char *framework_id(const struct alloc_framework *framework)
{
    return framework->own_id[0] != '\0' ? framework->own_id : framework->long_id;
}
struct alloc_role *role_get(struct allocator *a, const char *name);
void role_free_if_unused(struct allocator *a, struct alloc_role *role);
struct alloc_member *member_get(struct allocator *a, struct alloc_framework *framework,
                                const char *role, bool may_make);
// Sets whether the member wants offers, from its flags and its framework's.
void member_update(struct allocator *a, struct alloc_member *member);
// What it is changed: agents must look at it again.
void member_reconsider(struct allocator *a, struct alloc_member *member);
void member_clear_filters(struct allocator *a, struct alloc_member *member);
void member_free_if_unused(struct allocator *a, struct alloc_member *member);
struct alloc_framework *framework_get(struct allocator *a, const char *id, bool may_make);
void framework_free_if_unused(struct allocator *a, struct alloc_framework *framework);

struct alloc_bond *bond_find(const struct alloc_agent *agent, const struct alloc_member *member);
struct alloc_bond *bond_get(struct allocator *a, struct alloc_agent *agent,
                            struct alloc_member *member);
// Puts the new ones into their members' lists.
void bonds_settle(struct allocator *a);
// Walks a member's bonds, after bonds_settle; the current one may go, none may come.
#define BONDS_FOREACH(member, bond)                                                                \
    for (uint32_t bond##_at_ = 0; bond##_at_ < (member)->bond_count; bond##_at_++)                 \
        for (struct alloc_bond *bond = (member)->bonds[bond##_at_]; bond != NULL; bond = NULL)
// Frees it when it holds nothing and has no filter.
void bond_free_if_unused(struct allocator *a, struct alloc_bond *bond);
void bond_add_filter(struct allocator *a, struct alloc_bond *bond, const struct resources *refused,
                     int64_t deadline);
void bond_clear_filters(struct allocator *a, struct alloc_bond *bond);
// The filter that refuses the offer; NULL: none.
const struct alloc_filter *bond_filter(const struct alloc_bond *bond,
                                       const struct resources *offer);
// When the last filter ends that refuses the offer; 0: none does.
int64_t bond_filtered_until(const struct alloc_bond *bond, const struct resources *offer);

// ---- agent.c ----
struct alloc_agent *agent_find(const struct allocator *a, const char *id);
void agent_mark_dirty(struct allocator *a, struct alloc_agent *agent);
void agent_set_held_back(struct allocator *a, struct alloc_agent *agent, bool is_held_back);
void agent_unblock(struct alloc_agent *agent, uint32_t number);
void agent_unblock_all(struct alloc_agent *agent);
void agent_block(struct alloc_agent *agent, uint32_t number);
// Clears the bits of retired numbers; before any bit is looked at.
void agent_catch_up(const struct allocator *a, struct alloc_agent *agent);
// Closes the holes among those with something available.
void agents_close_up(struct allocator *a);
// `available` may have become empty, or not empty any more.
void agent_note_free(struct allocator *a, struct alloc_agent *agent);
// What is available on an agent where nothing is.
extern struct resources agent_nothing;
// Empty ones, for what is available on the agent or held of it. Only agent_drop_resources frees
// them; it frees others, too.
struct resources *agent_get_resources(struct alloc_agent *agent);
struct resources *agent_drop_resources(struct alloc_agent *agent, struct resources *r); // NULL
// `amount` is allocated to the member's role. Free resources grow or shrink with it.
void agent_hold(struct allocator *a, struct alloc_agent *agent, struct alloc_member *member,
                const struct resources *amount);
void agent_release(struct allocator *a, struct alloc_bond *bond, const struct resources *amount);
// The part of `amount` that is allocated to the role of its entry `first`: all of it, or new
// resources, which `*ret_own` gets. NULL: an earlier entry has that role.
const struct resources *part_of_role(const struct resources *amount, uint32_t first,
                                     struct resources **ret_own);
// For each role of `amount`, which the framework's member of that role then holds.
void agent_hold_all(struct allocator *a, struct alloc_agent *agent, const char *framework_id,
                    const struct resources *amount);
// Computes what is free from the total and all bonds.
void agent_recount(struct allocator *a, struct alloc_agent *agent);
void alloc_agent_free(struct allocator *a, struct alloc_agent *agent);

// ---- minimum.c ----
int minimums_parse(const char *text, struct alloc_minimum **ret_minimums, size_t *ret_count,
                   struct error *err);
void minimums_free(struct alloc_minimum *minimums, size_t count);
bool minimums_are_met(const struct alloc_minimum *minimums, size_t count,
                      const struct resources *r);
bool minimums_are_met_for(const struct allocator *a, const struct alloc_member *member,
                          const struct resources *r);

// ---- offer.c: what a member would be offered of an agent ----
enum offer_verdict {
    OFFER_MADE,
    OFFER_NOT_WANTED, // whatever else changes, until more is free
    OFFER_NOT_NOW,    // quotas, or a shared resource that went to another in this run
};
// Why not, in the order of the checks.
enum offer_obstacle {
    OBSTACLE_NONE,
    OBSTACLE_NOTHING_FREE,
    OBSTACLE_REGION,
    OBSTACLE_GPUS,
    OBSTACLE_CONSTRAINTS,
    OBSTACLE_RESERVED,   // all that is free is reserved for other roles
    OBSTACLE_CAPABILITY, // what is left is revocable, shared or refined
    OBSTACLE_MINIMUM,
    OBSTACLE_FILTER,
    OBSTACLE_SHARED,      // only a shared resource is left, and another was just offered it
    OBSTACLE_LIMIT,       // of the role or one above
    OBSTACLE_HEADROOM,    // kept for others' guarantees
    OBSTACLE_REST_FILTER, // what quotas leave, or more, was refused
};
// New resources, not allocated; they stay available too. NULL with the obstacle. `ret_until` (NULL:
// nobody asks) is when the last filter ends that refuses it; 0 without one.
struct resources *offer_draft(struct allocator *a, struct alloc_agent *agent,
                              struct alloc_member *member, enum offer_obstacle *ret_obstacle,
                              int64_t *ret_until);
static inline enum offer_verdict offer_verdict_of(enum offer_obstacle obstacle)
{
    return obstacle == OBSTACLE_NONE     ? OFFER_MADE
           : obstacle >= OBSTACLE_SHARED ? OFFER_NOT_NOW
                                         : OFFER_NOT_WANTED;
}
// The whole of what is available can go to the member as it is: a short way for the usual case.
bool offer_is_whole(struct allocator *a, struct alloc_agent *agent, struct alloc_member *member);

// ---- why.c ----
void framework_note_offer(struct allocator *a, struct alloc_member *member,
                          const struct alloc_agent *agent, const struct resources *offer);
// The one that the next offer takes.
static inline struct alloc_note *framework_next_note(const struct alloc_framework *framework)
{
    return &framework->notes->items[framework->offer_count % NOTES_KEPT];
}
void framework_free_notes(struct allocator *a, struct alloc_framework *framework);
