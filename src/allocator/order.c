// SPDX-License-Identifier: Apache-2.0
//
// Who goes first. Roles make a tree; at each level the places, a role's own members and the roles
// right below it, are sorted by weighted dominant share, and a role's members likewise. A charge
// moves one item at each level of one branch.
//
// When the totals change, all shares do. The orders then stay as they are: sorted by shares of
// earlier totals, the *basis*. When all totals changed in the same proportion, that is the true
// order. If not, a true share is at least the share of the basis divided by the greatest growth of
// any total; so a walk need only look as far ahead as shares stand close to each other. It sorts
// those that it looks at. When they are many, or the proportions have changed by much, or a round
// will walk often, all are sorted anew by the totals as they are.

#include <string.h>

#include "allocator/state.h"
#include "base/check.h"
#include "base/mem.h"

// ---- shares ----

static double share_of(const struct allocator *a, const struct amounts *amounts,
                       const struct amounts *totals)
{
    double share = 0.0;
    const int64_t *held = amounts_items(amounts);
    const int64_t *all = amounts_items(totals);
    for (size_t i = 0; i < amounts->count && i < totals->count; i++) {
        if (all[i] <= 0 || a->is_excluded[i]) {
            continue;
        }
        double part = (double)held[i] / (double)all[i];
        if (part > share) {
            share = part;
        }
    }
    return share;
}

double order_share(const struct allocator *a, const struct amounts *amounts)
{
    return share_of(a, amounts, &a->totals);
}

static double place_share(const struct allocator *a, const struct alloc_place *place,
                          const struct amounts *totals)
{
    return share_of(a, &place->amounts, totals) / place_weight(place);
}

static void refresh_place(const struct allocator *a, struct alloc_place *place)
{
    place->share = place_share(a, place, &a->basis);
}

static void refresh_member(const struct allocator *a, struct alloc_member *member)
{
    member->share = share_of(a, &member->amounts, &a->basis);
}

// What is reserved for the role counts for those above, too.
static void reserve(struct allocator *a, const struct resource_entry *entry, int sign)
{
    struct alloc_role *role = role_get(a, entry->kind->role->text);
    role->reservation_count += sign > 0 ? 1 : (size_t)-1;
    if (entry->kind->type == MESOS__V1__VALUE__TYPE__SCALAR) {
        size_t number = name_number(a, entry->kind->interned_name);
        uint64_t value = (uint64_t)entry->scalar * (entry->kind->shared ? 1 : entry->count);
        for (struct alloc_role *r = role; r != NULL; r = r->parent) {
            amount_add(&r->reserved, number, (int64_t)(sign > 0 ? value : -value));
        }
        quota_refresh(a, role, sign < 0);
    }
    role_free_if_unused(a, role);
}

void order_add_total(struct allocator *a, const struct resources *r, int sign)
{
    amounts_add_scalars(a, &a->totals, r, false, sign);
    amounts_add_scalars(a, &a->firm_totals, r, true, sign);
    a->is_drifted = true; // unless order_refresh finds otherwise
    for (uint32_t i = 0; i < r->count; i++) {
        if (r->entries[i].kind->role != NULL) {
            reserve(a, &r->entries[i], sign);
        }
    }
    if (a->quota_count > 0) {
        quota_refresh(a, &a->root, false);
    }
}

// ---- order ----

// By all but the name.
static int compare_keys(bool is_sated, double share, uint64_t allocations, bool is_sated_y,
                        double share_y, uint64_t allocations_y)
{
    if (is_sated != is_sated_y) {
        return is_sated ? 1 : -1;
    }
    if (share != share_y) {
        return share < share_y ? -1 : 1;
    }
    return (allocations > allocations_y) - (allocations < allocations_y);
}

const char *order_place_name(const struct alloc_place *place)
{
    const char *name = place_role(place)->name->text;
    const char *slash = strrchr(name, '/');
    return place->is_own ? "." : slash != NULL ? slash + 1 : name;
}

// Of places that stand side by side.
static int compare_names(const struct alloc_place *x, const struct alloc_place *y)
{
    if (x->is_own || y->is_own) {
        return strcmp(order_place_name(x), order_place_name(y));
    }
    return strcmp(place_role(x)->name->text, place_role(y)->name->text); // differ in the last part
}

static int compare_places(const struct alloc_place *x, double x_share, const struct alloc_place *y,
                          double y_share)
{
    int order =
        compare_keys(x->is_sated, x_share, x->allocations, y->is_sated, y_share, y->allocations);
    return order != 0 || x == y ? order : compare_names(x, y);
}

static int compare_members(const struct alloc_member *x, double x_share,
                           const struct alloc_member *y, double y_share)
{
    int order =
        compare_keys(x->is_sated, x_share, x->allocations, y->is_sated, y_share, y->allocations);
    return order != 0 || x == y ? order
                                : strcmp(framework_id(x->framework), framework_id(y->framework));
}

int order_compare_places(const struct tree_node *x, const struct tree_node *y)
{
    const struct alloc_place *px = place_at(x);
    const struct alloc_place *py = place_at(y);
    return compare_places(px, px->share, py, py->share);
}

int order_compare_members(const struct tree_node *x, const struct tree_node *y)
{
    const struct alloc_member *mx = member_at(x);
    const struct alloc_member *my = member_at(y);
    return compare_members(mx, mx->share, my, my->share);
}

static double true_place_share(const struct allocator *a, const struct alloc_place *place)
{
    return a->is_drifted ? place_share(a, place, &a->totals) : place->share;
}

static double true_member_share(const struct allocator *a, const struct alloc_member *member)
{
    bool is_kept = !a->is_drifted && member->role->only == NULL && member->in_order.is_in;
    return is_kept ? member->share : share_of(a, &member->amounts, &a->totals);
}

int order_compare(const struct allocator *a, const struct alloc_member *x,
                  const struct alloc_member *y)
{
    if (x->role == y->role) {
        return compare_members(x, true_member_share(a, x), y, true_member_share(a, y));
    }
    // Up to the two places that stand side by side.
    const struct alloc_place *px = &x->role->own;
    const struct alloc_place *py = &y->role->own;
    const struct alloc_role *rx = x->role; // where px stands
    const struct alloc_role *ry = y->role;
    while (rx != ry) {
        if (rx->depth >= ry->depth) {
            px = &rx->all;
            rx = rx->parent;
        } else {
            py = &ry->all;
            ry = ry->parent;
        }
    }
    return compare_places(px, true_place_share(a, px), py, true_place_share(a, py));
}

static struct alloc_role *container_of(const struct alloc_place *place)
{
    return place->is_own ? place_role(place) : place_role(place)->parent;
}

// ---- totals that have changed ----

static void refresh_place_at(void *a, struct tree_node *node)
{
    refresh_place(a, place_at(node));
}

static void refresh_member_at(void *a, struct tree_node *node)
{
    refresh_member(a, member_at(node));
}

static void rebuild(struct allocator *a, struct tree *tree,
                    void (*refresh)(void *a, struct tree_node *node))
{
    if (tree->count > a->rebuilding_capacity) {
        a->rebuilding_capacity = tree->count * 2;
        a->rebuilding =
            mem_realloc_array(a->rebuilding, a->rebuilding_capacity, sizeof(struct tree_node *));
    }
    tree_rebuild(tree, a->rebuilding, refresh, a);
}

static void rebase_role(struct allocator *a, struct alloc_role *role)
{
    TREE_FOREACH(&role->places, node)
    {
        struct alloc_place *place = place_at(node);
        if (place->is_own) {
            rebuild(a, &role->order, refresh_member_at);
        } else {
            rebase_role(a, place_role(place));
        }
    }
    rebuild(a, &role->places, refresh_place_at);
}

void order_rebase(struct allocator *a)
{
    amounts_reserve(&a->basis, a->totals.count, 0);
    memcpy(amounts_items(&a->basis), amounts_items(&a->totals), a->totals.count * sizeof(int64_t));
    a->is_drifted = false;
    rebase_role(a, &a->root);
}

enum drift { DRIFT_NONE, DRIFT_SOME, DRIFT_MUCH };
#define DRIFT_MAX 1.5

// How the proportions of the totals to the basis differ.
static enum drift measure_drift(struct allocator *a)
{
    double low = 0, high = 0;
    int64_t total = 0, basis = 0; // of the first name
    bool is_same = true;
    for (size_t i = 0; i < a->totals.count; i++) {
        int64_t now = amount_of(&a->totals, i) > 0 ? amount_of(&a->totals, i) : 0;
        int64_t then = amount_of(&a->basis, i) > 0 ? amount_of(&a->basis, i) : 0;
        if (a->is_excluded[i] || (now == 0 && then == 0)) {
            continue;
        }
        if (now == 0 || then == 0) {
            return DRIFT_MUCH;
        }
        double growth = (double)now / (double)then;
        low = basis == 0 || growth < low ? growth : low;
        high = growth > high ? growth : high;
        is_same = is_same && (basis == 0 || (__int128)now * basis == (__int128)then * total);
        total = now;
        basis = then;
    }
    a->drift_high = high;
    return is_same ? DRIFT_NONE : high > low * DRIFT_MAX ? DRIFT_MUCH : DRIFT_SOME;
}

void order_refresh(struct allocator *a, size_t agents)
{
    enum { WORTH = 4 }; // walks ahead of so many agents cost what sorting one member does
    if (!a->is_drifted) {
        return;
    }
    enum drift drift = measure_drift(a);
    if (drift == DRIFT_NONE) {
        a->is_drifted = false;
    } else if (drift == DRIFT_MUCH || agents * WORTH > a->wanting_count) {
        order_rebase(a);
    }
}

// ---- walks ----

void order_walk_begin(const struct allocator *a, const struct tree *tree, bool is_member,
                      struct order_walk *ret_walk)
{
    ret_walk->a = a;
    ret_walk->next = tree->first;
    ret_walk->is_member = is_member;
    ret_walk->is_lost = false;
    ret_walk->count = 0;
}

static int compare_items(const struct order_walk *walk, const struct walk_item *x,
                         const struct walk_item *y)
{
    return walk->is_member
               ? compare_members(member_at(x->node), x->share, member_at(y->node), y->share)
               : compare_places(place_at(x->node), x->share, place_at(y->node), y->share);
}

// Whether nothing from the walk's next on can go before the item.
static bool is_settled(const struct order_walk *walk, const struct walk_item *item)
{
    bool is_sated =
        walk->is_member ? member_at(item->node)->is_sated : place_at(item->node)->is_sated;
    bool is_next_sated =
        walk->is_member ? member_at(walk->next)->is_sated : place_at(walk->next)->is_sated;
    double next = walk->is_member ? member_at(walk->next)->share : place_at(walk->next)->share;
    if (is_sated != is_next_sated) {
        return is_next_sated;
    }
    // Of those that have nothing, the order is true.
    enum { ROUNDINGS = 4 };
    return next == 0.0 ||
           item->share < next / walk->a->drift_high * (1.0 - ROUNDINGS * __DBL_EPSILON__);
}

static struct tree_node *walk_ahead(struct order_walk *walk)
{
    for (;;) {
        size_t first = 0;
        for (size_t i = 1; i < walk->count; i++) {
            first = compare_items(walk, &walk->ahead[i], &walk->ahead[first]) < 0 ? i : first;
        }
        if (walk->count > 0 && (walk->next == NULL || is_settled(walk, &walk->ahead[first]))) {
            struct tree_node *node = walk->ahead[first].node;
            walk->ahead[first] = walk->ahead[--walk->count];
            return node;
        }
        if (walk->next == NULL || walk->count == WALK_AHEAD) {
            walk->is_lost = walk->next != NULL;
            return NULL;
        }
        walk->ahead[walk->count++] = (struct walk_item){
            .share = walk->is_member ? true_member_share(walk->a, member_at(walk->next))
                                     : true_place_share(walk->a, place_at(walk->next)),
            .node = walk->next};
        walk->next = walk->next->next;
    }
}

struct tree_node *order_walk_next(struct order_walk *walk)
{
    if (walk->a->is_drifted) {
        return walk_ahead(walk);
    }
    struct tree_node *node = walk->next;
    walk->next = node != NULL ? node->next : NULL;
    return node;
}

// ---- charges ----

struct charge {
    const struct alloc_agent *agent;
    const struct alloc_member *member;
    const struct resources *r;
    int sign;
    bool has_shared;
    bool has_soft; // some of it is shared, or in a->soft_delta
    bool is_allocation;
};

static bool is_in_role(const struct alloc_role *role, const struct alloc_role *scope, bool is_own)
{
    while (role != scope && role->parent != NULL && !is_own) {
        role = role->parent;
    }
    return role == scope;
}

// Whether somebody in the scope (the member alone: NULL) holds the shared resource on the agent.
static bool is_held(const struct charge *c, const struct resource_entry *entry,
                    const struct alloc_role *scope, bool is_own)
{
    for (size_t i = 0; i < c->agent->bond_count; i++) {
        const struct alloc_bond *bond = c->agent->bonds[i].bond;
        if (bond->held == NULL || (scope == NULL && bond->member != c->member) ||
            (scope != NULL && !is_in_role(bond->member->role, scope, is_own))) {
            continue;
        }
        for (uint32_t k = 0; k < bond->held->count; k++) {
            if (bond->held->entries[k].kind->identity == entry->kind->identity &&
                bond->held->entries[k].scalar == entry->scalar) {
                return true;
            }
        }
    }
    return false;
}

static void apply(struct allocator *a, struct amounts *amounts, const struct amounts *delta,
                  const struct charge *c, const struct alloc_role *scope, bool is_own)
{
    amounts_add(amounts, delta, c->sign);
    for (uint32_t i = 0; c->has_shared && i < c->r->count; i++) {
        const struct resource_entry *entry = &c->r->entries[i];
        if (entry->kind->shared && entry->kind->type == MESOS__V1__VALUE__TYPE__SCALAR &&
            !is_held(c, entry, scope, is_own)) {
            amount_add(amounts, name_number(a, entry->kind->interned_name),
                       c->sign * entry->scalar);
        }
    }
}

static void charge_place(struct allocator *a, struct alloc_place *place, const struct charge *c)
{
    apply(a, &place->amounts, &a->delta, c, place_role(place), place->is_own);
    place->allocations += c->is_allocation;
    if (place->in_places.is_in) {
        refresh_place(a, place);
        tree_move(&container_of(place)->places, &place->in_places);
    }
}

static void charge_member(struct allocator *a, struct alloc_member *member, const struct charge *c)
{
    apply(a, &member->amounts, &a->delta, c, NULL, false);
    member->allocations += c->is_allocation;
    if (member->role->only == NULL && member->in_order.is_in) {
        refresh_member(a, member);
        tree_move(&member->role->order, &member->in_order);
    }
}

static void begin_soft(struct allocator *a, struct charge *c)
{
    if (!c->has_soft) {
        amounts_clear(&a->soft_delta);
        c->has_soft = true;
    }
}

// Fills a->delta with what is not shared, and a->soft_delta with what is not firm of it.
static void measure(struct allocator *a, const struct resources *r, struct charge *c)
{
    amounts_clear(&a->delta);
    for (uint32_t i = 0; i < r->count; i++) {
        const struct resource_entry *entry = &r->entries[i];
        if (entry->kind->type != MESOS__V1__VALUE__TYPE__SCALAR) {
            continue;
        }
        if (entry->kind->shared) {
            c->has_shared = true;
            begin_soft(a, c);
            continue;
        }
        size_t number = name_number(a, entry->kind->interned_name);
        int64_t value = (int64_t)((uint64_t)entry->scalar * entry->count);
        amount_add(&a->delta, number, value);
        if (!entry_is_firm(entry)) {
            begin_soft(a, c);
            amount_add(&a->soft_delta, number, value);
        }
    }
}

// The role and all below it.
static void charge_role(struct allocator *a, struct alloc_role *role, const struct charge *c)
{
    if (role->parent != NULL) {
        charge_place(a, &role->all, c);
    } else {
        apply(a, &role->all.amounts, &a->delta, c, role, false);
    }
    if (role != c->member->role) {
        role->allocations_below += c->is_allocation;
    }
    if (c->has_soft) {
        apply(a, &role->soft, &a->soft_delta, c, role, false);
    }
}

void order_charge(struct allocator *a, const struct alloc_agent *agent, struct alloc_member *member,
                  const struct resources *r, int sign, bool is_allocation)
{
    struct charge c = {
        .agent = agent, .member = member, .r = r, .sign = sign, .is_allocation = is_allocation};
    measure(a, r, &c);
    charge_member(a, member, &c);
    if (member->role->child_count > 0) {
        charge_place(a, &member->role->own, &c);
    }
    for (struct alloc_role *role = member->role; role != NULL; role = role->parent) {
        charge_role(a, role, &c);
    }
    if (a->quota_count > 0) {
        quota_refresh(a, member->role, sign < 0);
    }
}

// ---- coming and going ----

// Without roles below, what the role's own members hold is what all hold.
void order_add_child(const struct allocator *a, struct alloc_role *parent)
{
    struct alloc_place *own = &parent->own;
    if (parent->child_count++ > 0) {
        return;
    }
    const struct amounts *all = &parent->all.amounts;
    amounts_reserve(&own->amounts, all->count, 0);
    if (all->count > 0) {
        memcpy(amounts_items(&own->amounts), amounts_items(all), all->count * sizeof(int64_t));
    }
    own->allocations = parent->all.allocations - parent->allocations_below;
    refresh_place(a, own); // it stands alone
}

void order_remove_child(struct alloc_role *parent)
{
    if (--parent->child_count == 0) {
        amounts_free(&parent->own.amounts);
    }
}

static void list_place(struct allocator *a, struct alloc_place *place)
{
    struct alloc_role *container = container_of(place);
    if (container->places.count == 0 && container->parent != NULL) {
        list_place(a, &container->all);
    }
    refresh_place(a, place);
    tree_insert(&container->places, &place->in_places);
}

static void unlist_place(struct allocator *a, struct alloc_place *place)
{
    struct alloc_role *container = container_of(place);
    tree_remove(&container->places, &place->in_places);
    if (container->places.count == 0 && container->parent != NULL) {
        unlist_place(a, &container->all);
    }
}

void order_weigh(struct allocator *a, struct alloc_role *role)
{
    if (role->all.in_places.is_in) {
        refresh_place(a, &role->all);
        tree_move(&role->parent->places, &role->all.in_places);
    }
}

// A role is sated when all that want offers in it are; they go last, so the first tells.
static void refresh_sated(struct allocator *a, struct alloc_role *role)
{
    if (!a->is_demand_aware) {
        return;
    }
    struct alloc_place *place = &role->own;
    bool is_all = role->order.count > 0 && member_at(role->order.first)->is_sated;
    while (place != &a->root.all && place->is_sated != is_all) {
        struct alloc_role *container = container_of(place);
        place->is_sated = is_all;
        if (place->in_places.is_in) {
            tree_move(&container->places, &place->in_places);
        }
        is_all = container->places.count > 0 && place_at(container->places.first)->is_sated;
        place = &container->all;
    }
}

static void note_only(struct alloc_role *role)
{
    role->only = role->order.count == 1 ? member_at(role->order.first) : NULL;
}

void order_insert(struct allocator *a, struct alloc_member *member)
{
    struct alloc_role *role = member->role;
    if (role->order.count == 0) {
        list_place(a, &role->own);
    }
    if (role->only != NULL) {
        refresh_member(a, role->only);
    }
    refresh_member(a, member);
    tree_insert(&role->order, &member->in_order);
    note_only(role);
    refresh_sated(a, role);
}

void order_remove(struct allocator *a, struct alloc_member *member)
{
    struct alloc_role *role = member->role;
    tree_remove(&role->order, &member->in_order);
    note_only(role);
    if (role->order.count == 0) {
        unlist_place(a, &role->own);
    }
    refresh_sated(a, role);
}

void order_set_sated(struct allocator *a, struct alloc_member *member, uint32_t declines)
{
    bool is_sated = a->is_demand_aware && declines >= DECLINES_SATED;
    member->declines = declines;
    if (is_sated == member->is_sated) {
        return;
    }
    member->is_sated = is_sated;
    if (member->in_order.is_in) {
        tree_move(&member->role->order, &member->in_order);
        refresh_sated(a, member->role);
    }
}
