// SPDX-License-Identifier: Apache-2.0
//
// Who goes first. Roles make a tree; at each level the places, a role's own members and the roles
// right below it, are sorted by weighted dominant share, and a role's members likewise. The arrays
// are kept sorted: a charge moves one item at each level of one branch. When the totals change, all
// shares do: then the next round sorts all anew.

#include <stdlib.h>
#include <string.h>

#include "allocator/state.h"
#include "base/check.h"
#include "base/mem.h"

// ---- shares ----

double order_share(const struct allocator *a, const struct amounts *amounts)
{
    double share = 0.0;
    for (size_t i = 0; i < amounts->count && i < a->totals.count; i++) {
        if (a->totals.items[i] <= 0 || a->is_excluded[i]) {
            continue;
        }
        double part = (double)amounts->items[i] / (double)a->totals.items[i];
        if (part > share) {
            share = part;
        }
    }
    return share;
}

static void refresh_place(struct allocator *a, struct alloc_place *place)
{
    double share = order_share(a, &place->amounts);
    place->share = place->is_own ? share : share / place->role->weight;
}

static void refresh_member(struct allocator *a, struct alloc_member *member)
{
    member->share = order_share(a, &member->amounts);
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
            amount_add(a, &r->reserved, number, (int64_t)(sign > 0 ? value : -value));
        }
        quota_refresh(a, role, sign < 0);
    }
    role_free_if_unused(a, role);
}

void order_add_total(struct allocator *a, const struct resources *r, int sign)
{
    amounts_add_scalars(a, &a->totals, r, false, sign);
    amounts_add_scalars(a, &a->firm_totals, r, true, sign);
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

static int compare_places(const struct alloc_place *x, const struct alloc_place *y)
{
    if (x->is_sated != y->is_sated) {
        return x->is_sated ? 1 : -1;
    }
    if (x->share != y->share) {
        return x->share < y->share ? -1 : 1;
    }
    if (x->allocations != y->allocations) {
        return x->allocations < y->allocations ? -1 : 1;
    }
    return x == y ? 0 : strcmp(x->name, y->name);
}

static bool is_sated(const struct alloc_member *member)
{
    return member->declines >= DECLINES_SATED && member->framework->allocator->is_demand_aware;
}

static int compare_members(const struct alloc_member *x, const struct alloc_member *y)
{
    if (is_sated(x) != is_sated(y)) {
        return is_sated(x) ? 1 : -1;
    }
    if (x->share != y->share) {
        return x->share < y->share ? -1 : 1;
    }
    if (x->allocations != y->allocations) {
        return x->allocations < y->allocations ? -1 : 1;
    }
    return x == y ? 0 : strcmp(x->framework->id, y->framework->id);
}

int order_compare(const struct alloc_member *x, const struct alloc_member *y)
{
    if (x->role == y->role) {
        return compare_members(x, y);
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
    return compare_places(px, py);
}

// The place among the first `count`: before the first that goes behind it.
static size_t find_place(struct alloc_place *const *places, size_t count,
                         const struct alloc_place *place)
{
    size_t low = 0;
    while (low < count) {
        size_t middle = low + (count - low) / 2;
        if (compare_places(places[middle], place) < 0) {
            low = middle + 1;
        } else {
            count = middle;
        }
    }
    return low;
}

static size_t find_member(struct alloc_member *const *order, size_t count,
                          const struct alloc_member *member)
{
    size_t low = 0;
    while (low < count) {
        size_t middle = low + (count - low) / 2;
        if (compare_members(order[middle], member) < 0) {
            low = middle + 1;
        } else {
            count = middle;
        }
    }
    return low;
}

// Moves the item at `from` of an array that is sorted but for it, to `to` of the array without it.
static void move_item(void **items, size_t from, size_t to)
{
    void *item = items[from];
    if (to > from) {
        memmove(&items[from], &items[from + 1], (to - from) * sizeof(items[0]));
    } else {
        memmove(&items[to + 1], &items[to], (from - to) * sizeof(items[0]));
    }
    items[to] = item;
}

// A charge moves one item: up when its share grew, else down. The place is searched on that side.
static void resort_place(struct alloc_role *container, struct alloc_place *place, size_t at)
{
    struct alloc_place **places = container->places;
    size_t to;
    if (at > 0 && compare_places(place, places[at - 1]) < 0) {
        to = find_place(places, at, place);
    } else {
        to = at + find_place(&places[at + 1], container->place_count - at - 1, place);
    }
    move_item((void **)places, at, to);
}

static void resort_member(struct alloc_member *member, size_t at)
{
    struct alloc_member **order = member->role->order;
    size_t to;
    if (at > 0 && compare_members(member, order[at - 1]) < 0) {
        to = find_member(order, at, member);
    } else {
        to = at + find_member(&order[at + 1], member->role->order_count - at - 1, member);
    }
    move_item((void **)order, at, to);
}

static struct alloc_role *container_of(const struct alloc_place *place)
{
    return place->is_own ? place->role : place->role->parent;
}

static bool is_listed(const struct alloc_place *place)
{
    return place->is_own ? place->role->order_count > 0 : place->role->place_count > 0;
}

// ---- charges ----

struct charge {
    const struct alloc_agent *agent;
    const struct alloc_member *member;
    const struct resources *r;
    int sign;
    bool has_shared;
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

static void apply(struct allocator *a, struct amounts *amounts, const struct charge *c,
                  const struct alloc_role *scope, bool is_own)
{
    amounts_add(a, amounts, &a->delta, c->sign);
    for (uint32_t i = 0; c->has_shared && i < c->r->count; i++) {
        const struct resource_entry *entry = &c->r->entries[i];
        if (entry->kind->shared && entry->kind->type == MESOS__V1__VALUE__TYPE__SCALAR &&
            !is_held(c, entry, scope, is_own)) {
            amount_add(a, amounts, name_number(a, entry->kind->interned_name),
                       c->sign * entry->scalar);
        }
    }
}

static void charge_place(struct allocator *a, struct alloc_place *place, const struct charge *c)
{
    struct alloc_role *container = container_of(place);
    bool is_sorted = !a->is_stale && is_listed(place);
    size_t at = 0;
    if (is_sorted) {
        at = find_place(container->places, container->place_count, place);
        CHECK(at < container->place_count && container->places[at] == place);
    }
    apply(a, &place->amounts, c, place->role, place->is_own);
    place->allocations += c->is_allocation;
    if (is_sorted) {
        refresh_place(a, place);
        resort_place(container, place, at);
    }
}

static void charge_member(struct allocator *a, struct alloc_member *member, const struct charge *c)
{
    struct alloc_role *role = member->role;
    bool is_sorted = !a->is_stale && member->is_wanting;
    size_t at = 0;
    if (is_sorted) {
        at = find_member(role->order, role->order_count, member);
        CHECK(at < role->order_count && role->order[at] == member);
    }
    apply(a, &member->amounts, c, NULL, false);
    member->allocations += c->is_allocation;
    if (is_sorted) {
        refresh_member(a, member);
        resort_member(member, at);
    }
}

// Fills a->delta with what is not shared, and a->firm_delta; tells whether there is more.
static bool measure(struct allocator *a, const struct resources *r)
{
    bool has_shared = false;
    amounts_clear(&a->delta);
    amounts_clear(&a->firm_delta);
    for (uint32_t i = 0; i < r->count; i++) {
        const struct resource_entry *entry = &r->entries[i];
        if (entry->kind->type != MESOS__V1__VALUE__TYPE__SCALAR) {
            continue;
        }
        if (entry->kind->shared) {
            has_shared = true;
            continue;
        }
        size_t number = name_number(a, entry->kind->interned_name);
        int64_t value = (int64_t)((uint64_t)entry->scalar * entry->count);
        amount_add(a, &a->delta, number, value);
        if (entry_is_firm(entry)) {
            amount_add(a, &a->firm_delta, number, value);
        }
    }
    return has_shared;
}

void order_charge(struct allocator *a, const struct alloc_agent *agent, struct alloc_member *member,
                  const struct resources *r, int sign, bool is_allocation)
{
    const struct charge c = {.agent = agent,
                             .member = member,
                             .r = r,
                             .sign = sign,
                             .has_shared = measure(a, r),
                             .is_allocation = is_allocation};
    charge_member(a, member, &c);
    charge_place(a, &member->role->own, &c);
    for (struct alloc_role *role = member->role; role != NULL; role = role->parent) {
        if (role->parent != NULL) {
            charge_place(a, &role->all, &c);
        } else {
            apply(a, &role->all.amounts, &c, role, false);
        }
        amounts_add(a, &role->firm, &a->firm_delta, sign);
    }
    if (a->quota_count > 0) {
        quota_refresh(a, member->role, sign < 0);
    }
}

// ---- coming and going ----

static void list_place(struct allocator *a, struct alloc_place *place)
{
    struct alloc_role *container = container_of(place);
    if (container->place_count == 0 && container->parent != NULL) {
        list_place(a, &container->all);
    }
    if (container->place_count == container->place_capacity) {
        container->place_capacity = container->place_capacity * 2 + 2;
        container->places = mem_realloc_array(container->places, container->place_capacity,
                                              sizeof(struct alloc_place *));
    }
    refresh_place(a, place);
    struct alloc_place **places = container->places;
    size_t at =
        a->is_stale ? container->place_count : find_place(places, container->place_count, place);
    memmove(&places[at + 1], &places[at], (container->place_count - at) * sizeof(places[0]));
    places[at] = place;
    container->place_count++;
}

static void unlist_place(struct allocator *a, struct alloc_place *place)
{
    struct alloc_role *container = container_of(place);
    struct alloc_place **places = container->places;
    size_t at = a->is_stale ? 0 : find_place(places, container->place_count, place);
    while (at < container->place_count && places[at] != place) {
        at++;
    }
    CHECK(at < container->place_count);
    container->place_count--;
    memmove(&places[at], &places[at + 1], (container->place_count - at) * sizeof(places[0]));
    if (container->place_count == 0 && container->parent != NULL) {
        unlist_place(a, &container->all);
    }
}

// A role is sated when all that want offers in it are.
static void refresh_sated(struct allocator *a, struct alloc_role *role)
{
    if (!a->is_demand_aware) {
        return;
    }
    struct alloc_place *place = &role->own;
    bool is_all = role->order_count > 0;
    for (size_t i = 0; i < role->order_count && is_all; i++) {
        is_all = is_sated(role->order[i]); // the first, unless all are, when they are sorted
    }
    while (place != &a->root.all && place->is_sated != is_all) {
        struct alloc_role *container = container_of(place);
        bool is_sorted = !a->is_stale && is_listed(place);
        size_t at = is_sorted ? find_place(container->places, container->place_count, place) : 0;
        place->is_sated = is_all;
        if (is_sorted) {
            resort_place(container, place, at);
        }
        is_all = container->place_count > 0;
        for (size_t i = 0; i < container->place_count && is_all; i++) {
            is_all = container->places[i]->is_sated;
        }
        place = &container->all;
    }
}

void order_insert(struct allocator *a, struct alloc_member *member)
{
    struct alloc_role *role = member->role;
    if (role->order_count == 0) {
        list_place(a, &role->own);
    }
    if (role->order_count == role->order_capacity) {
        role->order_capacity = role->order_capacity * 2 + 4;
        role->order =
            mem_realloc_array(role->order, role->order_capacity, sizeof(struct alloc_member *));
    }
    refresh_member(a, member);
    size_t at =
        a->is_stale ? role->order_count : find_member(role->order, role->order_count, member);
    memmove(&role->order[at + 1], &role->order[at],
            (role->order_count - at) * sizeof(role->order[0]));
    role->order[at] = member;
    role->order_count++;
    refresh_sated(a, role);
}

void order_remove(struct allocator *a, struct alloc_member *member)
{
    struct alloc_role *role = member->role;
    size_t at = a->is_stale ? 0 : find_member(role->order, role->order_count, member);
    while (at < role->order_count && role->order[at] != member) {
        at++;
    }
    CHECK(at < role->order_count);
    role->order_count--;
    memmove(&role->order[at], &role->order[at + 1],
            (role->order_count - at) * sizeof(role->order[0]));
    if (role->order_count == 0) {
        unlist_place(a, &role->own);
    }
    refresh_sated(a, role);
}

void order_set_sated(struct allocator *a, struct alloc_member *member, uint32_t declines)
{
    if (!a->is_demand_aware || (declines >= DECLINES_SATED) == is_sated(member) ||
        !member->is_wanting) {
        member->declines = declines;
        return;
    }
    order_remove(a, member);
    member->declines = declines;
    order_insert(a, member);
}

static int compare_place_items(const void *x, const void *y)
{
    return compare_places(*(struct alloc_place *const *)x, *(struct alloc_place *const *)y);
}

static int compare_member_items(const void *x, const void *y)
{
    return compare_members(*(struct alloc_member *const *)x, *(struct alloc_member *const *)y);
}

static void sort_members(struct allocator *a, struct alloc_role *role)
{
    for (size_t i = 0; i < role->order_count; i++) {
        refresh_member(a, role->order[i]);
    }
    if (role->order_count > 1) {
        qsort(role->order, role->order_count, sizeof(role->order[0]), compare_member_items);
    }
}

static void sort_role(struct allocator *a, struct alloc_role *role)
{
    for (size_t i = 0; i < role->place_count; i++) {
        struct alloc_place *place = role->places[i];
        refresh_place(a, place);
        if (place->is_own) {
            sort_members(a, role);
        } else {
            sort_role(a, place->role);
        }
    }
    if (role->place_count > 1) {
        qsort(role->places, role->place_count, sizeof(role->places[0]), compare_place_items);
    }
}

void order_refresh(struct allocator *a)
{
    if (a->is_stale) {
        sort_role(a, &a->root);
        a->is_stale = false;
    }
}
