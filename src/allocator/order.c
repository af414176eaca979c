// SPDX-License-Identifier: Apache-2.0
//
// Who goes first: roles by weighted dominant share, members of a role likewise. The arrays are kept
// sorted; a charge moves one role and one member. When the totals change, all shares do: then the
// next round sorts all anew.

#include <stdlib.h>
#include <string.h>

#include "allocator/state.h"
#include "base/check.h"
#include "base/mem.h"

// ---- amounts ----

void amounts_free(struct amounts *amounts)
{
    mem_free(amounts->items);
    *amounts = (struct amounts){0};
}

static bool is_name_excluded(const struct allocator *a, const char *name)
{
    char wanted[256];
    size_t size = strlen(name);
    if (size + 3 > sizeof(wanted)) {
        return false;
    }
    wanted[0] = ',';
    memcpy(wanted + 1, name, size);
    wanted[size + 1] = ',';
    wanted[size + 2] = '\0';
    return strstr(a->excluded_names, wanted) != NULL;
}

size_t name_number(struct allocator *a, struct intern *name)
{
    for (size_t i = 0; i < a->name_count; i++) {
        if (a->names[i] == name) {
            return i;
        }
    }
    size_t number = a->name_count++;
    a->names = mem_realloc_array(a->names, a->name_count, sizeof(struct intern *));
    a->is_excluded = mem_realloc_array(a->is_excluded, a->name_count, sizeof(bool));
    a->names[number] = intern_hold(name);
    a->is_excluded[number] = is_name_excluded(a, name->text);
    return number;
}

static void amounts_add(struct allocator *a, struct amounts *amounts, const struct resources *r,
                        int sign)
{
    for (uint32_t i = 0; i < r->count; i++) {
        const struct resource_entry *entry = &r->entries[i];
        if (entry->kind->type != MESOS__V1__VALUE__TYPE__SCALAR) {
            continue;
        }
        size_t number = name_number(a, entry->kind->interned_name);
        if (number >= amounts->count) {
            amounts->items =
                mem_realloc_array(amounts->items, a->name_count, sizeof(amounts->items[0]));
            while (amounts->count < a->name_count) {
                amounts->items[amounts->count++] = 0;
            }
        }
        // Wraps round without harm: what is added is taken back in the same steps.
        uint64_t value = (uint64_t)entry->scalar * (entry->kind->shared ? 1 : entry->count);
        amounts->items[number] =
            (int64_t)((uint64_t)amounts->items[number] + (sign > 0 ? value : -value));
    }
}

void order_add_total(struct allocator *a, const struct resources *r, int sign)
{
    amounts_add(a, &a->totals, r, sign);
    a->is_stale = true;
}

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

// ---- order ----

static int compare_roles(const struct alloc_role *x, const struct alloc_role *y)
{
    if (x->share != y->share) {
        return x->share < y->share ? -1 : 1;
    }
    if (x->allocations != y->allocations) {
        return x->allocations < y->allocations ? -1 : 1;
    }
    return x == y ? 0 : strcmp(x->name->text, y->name->text);
}

static int compare_members(const struct alloc_member *x, const struct alloc_member *y)
{
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
    return x->role != y->role ? compare_roles(x->role, y->role) : compare_members(x, y);
}

// The place of `role` among the first `count` of the order: before the first that goes behind it.
static size_t role_place(struct alloc_role *const *order, size_t count,
                         const struct alloc_role *role)
{
    size_t low = 0;
    while (low < count) {
        size_t middle = low + (count - low) / 2;
        if (compare_roles(order[middle], role) < 0) {
            low = middle + 1;
        } else {
            count = middle;
        }
    }
    return low;
}

static size_t member_place(struct alloc_member *const *order, size_t count,
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

static void refresh_role(struct allocator *a, struct alloc_role *role)
{
    role->share = order_share(a, &role->amounts) / role->weight;
}

static void refresh_member(struct allocator *a, struct alloc_member *member)
{
    member->share = order_share(a, &member->amounts);
}

// A charge moves one item: up when its share grew, else down. The place is searched on that side.
static void resort_role(struct allocator *a, struct alloc_role *role, size_t at)
{
    struct alloc_role **order = a->order;
    size_t to;
    if (at > 0 && compare_roles(role, order[at - 1]) < 0) {
        to = role_place(order, at, role);
    } else {
        to = at + role_place(&order[at + 1], a->order_count - at - 1, role);
    }
    move_item((void **)order, at, to);
}

static void resort_member(struct alloc_member *member, size_t at)
{
    struct alloc_member **order = member->role->order;
    size_t to;
    if (at > 0 && compare_members(member, order[at - 1]) < 0) {
        to = member_place(order, at, member);
    } else {
        to = at + member_place(&order[at + 1], member->role->order_count - at - 1, member);
    }
    move_item((void **)order, at, to);
}

void order_charge(struct allocator *a, struct alloc_member *member, const struct resources *r,
                  int sign, bool is_allocation)
{
    struct alloc_role *role = member->role;
    bool is_sorted = !a->is_stale;
    size_t role_at = 0;
    size_t member_at = 0;
    bool is_role_in_order = is_sorted && role->order_count > 0;
    if (is_role_in_order) {
        role_at = role_place(a->order, a->order_count, role);
        CHECK(role_at < a->order_count && a->order[role_at] == role);
    }
    if (is_sorted && member->is_wanting) {
        member_at = member_place(role->order, role->order_count, member);
        CHECK(member_at < role->order_count && role->order[member_at] == member);
    }
    amounts_add(a, &role->amounts, r, sign);
    amounts_add(a, &member->amounts, r, sign);
    role->allocations += is_allocation;
    member->allocations += is_allocation;
    if (is_role_in_order) {
        refresh_role(a, role);
        resort_role(a, role, role_at);
    }
    if (is_sorted && member->is_wanting) {
        refresh_member(a, member);
        resort_member(member, member_at);
    }
}

static void insert_role(struct allocator *a, struct alloc_role *role)
{
    if (a->order_count == a->order_capacity) {
        a->order_capacity = a->order_capacity * 2 + 8;
        a->order = mem_realloc_array(a->order, a->order_capacity, sizeof(struct alloc_role *));
    }
    refresh_role(a, role);
    size_t at = a->is_stale ? a->order_count : role_place(a->order, a->order_count, role);
    memmove(&a->order[at + 1], &a->order[at], (a->order_count - at) * sizeof(a->order[0]));
    a->order[at] = role;
    a->order_count++;
}

void order_insert(struct allocator *a, struct alloc_member *member)
{
    struct alloc_role *role = member->role;
    if (role->order_count == 0) {
        insert_role(a, role);
    }
    if (role->order_count == role->order_capacity) {
        role->order_capacity = role->order_capacity * 2 + 4;
        role->order =
            mem_realloc_array(role->order, role->order_capacity, sizeof(struct alloc_member *));
    }
    refresh_member(a, member);
    size_t at =
        a->is_stale ? role->order_count : member_place(role->order, role->order_count, member);
    memmove(&role->order[at + 1], &role->order[at],
            (role->order_count - at) * sizeof(role->order[0]));
    role->order[at] = member;
    role->order_count++;
}

void order_remove(struct allocator *a, struct alloc_member *member)
{
    struct alloc_role *role = member->role;
    size_t at = 0;
    while (role->order[at] != member) {
        at++;
        CHECK(at < role->order_count);
    }
    role->order_count--;
    memmove(&role->order[at], &role->order[at + 1],
            (role->order_count - at) * sizeof(role->order[0]));
    if (role->order_count > 0) {
        return;
    }
    for (at = 0; a->order[at] != role; at++) {
        CHECK(at + 1 < a->order_count);
    }
    a->order_count--;
    memmove(&a->order[at], &a->order[at + 1], (a->order_count - at) * sizeof(a->order[0]));
}

static int compare_role_items(const void *x, const void *y)
{
    return compare_roles(*(struct alloc_role *const *)x, *(struct alloc_role *const *)y);
}

static int compare_member_items(const void *x, const void *y)
{
    return compare_members(*(struct alloc_member *const *)x, *(struct alloc_member *const *)y);
}

void order_refresh(struct allocator *a)
{
    if (!a->is_stale) {
        return;
    }
    for (size_t i = 0; i < a->order_count; i++) {
        struct alloc_role *role = a->order[i];
        refresh_role(a, role);
        for (size_t k = 0; k < role->order_count; k++) {
            refresh_member(a, role->order[k]);
        }
        qsort(role->order, role->order_count, sizeof(role->order[0]), compare_member_items);
    }
    if (a->order_count > 1) {
        qsort(a->order, a->order_count, sizeof(a->order[0]), compare_role_items);
    }
    a->is_stale = false;
}
