// SPDX-License-Identifier: Apache-2.0
//
// What roles are promised, and what they may have at most. state.h has the terms. Needs, surplus
// and exhaustion are kept up to date by what changes, along one branch of the tree of roles.
//
// Agents that quotas keep from somebody are held back, and looked at again when quotas have relaxed
// since: more is left of a limit than the least that was too little (`low`), a role is assured of
// more, or the surplus is greater than the least that was too little.

#include "allocator/state.h"
#include "base/check.h"
#include "base/mem.h"
#include "model/value.h"

static int64_t add(int64_t x, int64_t y)
{
    int64_t sum;
    return __builtin_add_overflow(x, y, &sum) ? INT64_MAX : sum;
}

static int64_t limit_of(const struct alloc_quota *quota, size_t number)
{
    return number < quota->limits.count ? amounts_items(&quota->limits)[number] : AMOUNT_UNLIMITED;
}

static int64_t firm_of(const struct alloc_role *role, size_t number)
{
    return (int64_t)((uint64_t)amount_of(&role->all.amounts, number) -
                     (uint64_t)amount_of(&role->soft, number));
}

static int64_t consumed(const struct alloc_role *role, size_t number)
{
    return add(amount_of(&role->reserved, number), firm_of(role, number));
}

static int64_t left_of_limit(const struct alloc_role *role, size_t number)
{
    int64_t limit = role->quota != NULL ? limit_of(role->quota, number) : AMOUNT_UNLIMITED;
    if (limit == AMOUNT_UNLIMITED) {
        return AMOUNT_UNLIMITED;
    }
    int64_t used = consumed(role, number);
    return used < limit ? limit - used : 0;
}

// ---- what a role may have ----

int64_t quota_remaining(const struct alloc_role *role, size_t number)
{
    int64_t least = AMOUNT_UNLIMITED;
    for (; role != NULL; role = role->parent) {
        int64_t left = left_of_limit(role, number);
        if (left < least) {
            least = left;
        }
    }
    return least;
}

int64_t quota_surplus(const struct allocator *a, size_t number)
{
    int64_t rest = amount_of(&a->firm_totals, number) - firm_of(&a->root, number) -
                   amount_of(&a->root.need, number);
    return rest > 0 ? rest : 0;
}

static int64_t extra(const struct alloc_role *role, size_t number)
{
    return amount_of(&role->need, number) - amount_of(&role->need_below, number);
}

int64_t quota_assured(const struct alloc_role *role, size_t number)
{
    int64_t sum = 0;
    for (; role != NULL; role = role->parent) {
        sum = add(sum, extra(role, number));
    }
    return sum;
}

int64_t quota_budget(const struct allocator *a, const struct alloc_role *role, size_t number)
{
    int64_t remaining = quota_remaining(role, number);
    if (a->guarantee_count == 0) {
        return remaining;
    }
    int64_t free = add(quota_assured(role, number), quota_surplus(a, number));
    return free < remaining ? free : remaining;
}

// ---- exhaustion ----

// Whether an offer could meet the default minimum with no more than what `left` tells.
static bool can_be_worth(const struct allocator *a,
                         int64_t (*left)(const struct allocator *a, const struct alloc_role *role,
                                         size_t number),
                         const struct alloc_role *role)
{
    for (size_t i = 0; i < a->minimum_count; i++) {
        const struct alloc_minimum *minimum = &a->minimums[i];
        bool is_met = true;
        for (size_t k = 0; k < minimum->count && is_met; k++) {
            size_t number = minimum->quantities[k].number;
            // What is no scalar on any agent is not limited either.
            is_met = amount_of(&a->totals, number) == 0 ||
                     left(a, role, number) >= minimum->quantities[k].amount;
        }
        if (is_met) {
            return true;
        }
    }
    return a->minimum_count == 0;
}

static int64_t left_of_role(const struct allocator *a, const struct alloc_role *role, size_t number)
{
    (void)a;
    return left_of_limit(role, number);
}

static int64_t left_of_surplus(const struct allocator *a, const struct alloc_role *role,
                               size_t number)
{
    (void)role;
    return quota_surplus(a, number);
}

// ---- bits of members ----

static void put_bit(struct bits *bits, uint32_t number, bool is_set)
{
    if (is_set) {
        bits_set(bits, number);
    } else {
        bits_clear(bits, number);
    }
}

static void put_bits(struct allocator *a, const struct alloc_member *member)
{
    bool is_usual = member->is_wanting && !member->has_minimums;
    put_bit(&a->exhausted, member->number, is_usual && member->exhausted_above > 0);
    put_bit(&a->assured, member->number, member->is_wanting && member->assured_above > 0);
    bool is_peculiar = member->is_wanting && member->has_minimums;
    if (is_peculiar != bits_has(&a->peculiar, member->number)) {
        a->peculiar_count += is_peculiar ? 1 : (size_t)-1;
        put_bit(&a->peculiar, member->number, is_peculiar);
    }
}

void quota_add_member(struct allocator *a, struct alloc_member *member)
{
    member->exhausted_above = 0;
    member->assured_above = 0;
    for (const struct alloc_role *role = member->role; role != NULL; role = role->parent) {
        member->exhausted_above += role->quota != NULL && role->quota->is_exhausted;
        member->assured_above += role->is_assured;
    }
    put_bits(a, member);
}

void quota_remove_member(struct allocator *a, struct alloc_member *member)
{
    CHECK(!member->is_wanting);
    put_bits(a, member);
}

// Tells the wanting members of the role and below.
static void tell_members(struct allocator *a, struct alloc_role *role, int exhausted, int assured)
{
    TREE_FOREACH(&role->places, place)
    {
        if (!place_at(place)->is_own) {
            tell_members(a, place_role(place_at(place)), exhausted, assured);
            continue;
        }
        TREE_FOREACH(&role->order, node)
        {
            struct alloc_member *member = member_at(node);
            member->exhausted_above += (uint32_t)exhausted;
            member->assured_above += (uint32_t)assured;
            put_bits(a, member);
        }
    }
}

// ---- keeping track ----

static void relax(struct allocator *a, struct alloc_role *role)
{
    if (role->is_relaxed) {
        return;
    }
    if (a->relaxed_count == a->relaxed_capacity) {
        a->relaxed_capacity = a->relaxed_capacity * 2 + 8;
        a->relaxed_roles =
            mem_realloc_array(a->relaxed_roles, a->relaxed_capacity, sizeof(struct alloc_role *));
    }
    a->relaxed_roles[a->relaxed_count++] = role;
    role->is_relaxed = true;
}

void quota_forget(struct allocator *a, const struct alloc_role *role)
{
    for (size_t i = 0; role->is_relaxed && i < a->relaxed_count; i++) {
        if (a->relaxed_roles[i] == role) {
            a->relaxed_roles[i] = a->relaxed_roles[--a->relaxed_count];
            return;
        }
    }
}

static void note_low_of(struct alloc_role *role)
{
    struct alloc_quota *quota = role->quota;
    for (size_t i = 0; i < quota->limits.count; i++) {
        int64_t left = left_of_limit(role, i);
        if (!quota->is_low || i >= quota->low.count) {
            amount_add(&quota->low, i, left - amount_of(&quota->low, i));
        } else if (left < amount_of(&quota->low, i)) {
            amounts_items(&quota->low)[i] = left;
        }
    }
    quota->is_low = true;
}

static void note_surplus_low(struct allocator *a)
{
    for (size_t i = 0; i < a->name_count; i++) {
        int64_t surplus = quota_surplus(a, i);
        if (!a->is_surplus_low || i >= a->surplus_low.count ||
            surplus < amount_of(&a->surplus_low, i)) {
            amount_add(&a->surplus_low, i, surplus - amount_of(&a->surplus_low, i));
        }
    }
    a->is_surplus_low = true;
}

void quota_note_low(struct allocator *a, struct alloc_role *role)
{
    for (; role != NULL; role = role->parent) {
        if (role->quota != NULL) {
            note_low_of(role);
        }
    }
    if (a->guarantee_count > 0) {
        note_surplus_low(a);
    }
}

static bool is_above_low(const struct alloc_role *role)
{
    const struct alloc_quota *quota = role->quota;
    for (size_t i = 0; quota != NULL && quota->is_low && i < quota->limits.count; i++) {
        if (left_of_limit(role, i) > amount_of(&quota->low, i)) {
            return true;
        }
    }
    return false;
}

static void refresh_limits(struct allocator *a, struct alloc_role *role, bool is_less)
{
    struct alloc_quota *quota = role->quota;
    if (quota == NULL) {
        return;
    }
    bool is_exhausted = !can_be_worth(a, left_of_role, role);
    if (is_exhausted != quota->is_exhausted) {
        quota->is_exhausted = is_exhausted;
        tell_members(a, role, is_exhausted ? 1 : -1, 0);
    }
    if (is_less && is_above_low(role)) {
        relax(a, role);
    }
    if (is_exhausted) {
        note_low_of(role);
    }
}

// a->need_change has what changed in need_below just now, and afterwards what did so in need.
static void refresh_need(struct allocator *a, struct alloc_role *role)
{
    bool is_assured = false;
    bool has_grown = false;
    for (size_t i = 0; i < a->name_count; i++) {
        int64_t before = extra(role, i) + amount_of(&a->need_change, i);
        int64_t need = amount_of(&role->need_below, i);
        int64_t guarantee = role->quota != NULL ? amount_of(&role->quota->guarantees, i) : 0;
        int64_t lacking = guarantee > 0 ? guarantee - consumed(role, i) : 0;
        if (lacking > need) {
            need = lacking;
        }
        int64_t change = need - amount_of(&role->need, i);
        amount_add(&a->need_change, i, change - amount_of(&a->need_change, i));
        if (change != 0) {
            amount_add(&role->need, i, change);
            if (role->parent != NULL) {
                amount_add(&role->parent->need_below, i, change);
            }
        }
        is_assured = is_assured || extra(role, i) > 0;
        has_grown = has_grown || extra(role, i) > before;
    }
    if (is_assured != role->is_assured) {
        role->is_assured = is_assured;
        tell_members(a, role, 0, is_assured ? 1 : -1);
    }
    if (has_grown) {
        relax(a, role);
    }
}

void quota_refresh(struct allocator *a, struct alloc_role *role, bool is_less)
{
    if (a->quota_count == 0 && a->guarantee_count == 0) {
        return;
    }
    amounts_clear(&a->need_change);
    for (; role != NULL; role = role->parent) {
        refresh_limits(a, role, is_less);
        if (a->guarantee_count > 0) {
            refresh_need(a, role);
        }
    }
    a->is_surplus_exhausted = a->guarantee_count > 0 && !can_be_worth(a, left_of_surplus, NULL);
    if (a->is_surplus_exhausted) {
        note_surplus_low(a);
    }
}

// ---- looking again ----

static bool is_surplus_above_low(const struct allocator *a)
{
    for (size_t i = 0; a->is_surplus_low && i < a->name_count; i++) {
        if ((a->guarantee_count > 0 ? quota_surplus(a, i) : INT64_MAX) >
            amount_of(&a->surplus_low, i)) {
            return true;
        }
    }
    return false;
}

bool quota_is_relaxed(const struct allocator *a)
{
    return a->held_back_count > 0 && (a->relaxed_count > 0 || is_surplus_above_low(a));
}

static void collect(struct allocator *a, const struct alloc_role *role)
{
    TREE_FOREACH(&role->places, place)
    {
        if (!place_at(place)->is_own) {
            collect(a, place_role(place_at(place)));
            continue;
        }
        TREE_FOREACH(&role->order, node)
        {
            bits_set(&a->relaxed, member_at(node)->number);
        }
    }
}

bool quota_collect_relaxed(struct allocator *a)
{
    bool is_any = quota_is_relaxed(a);
    if (!is_any && a->held_back_count > 0) {
        return false; // what was too little still is
    }
    bits_clear_all(&a->relaxed);
    if (is_surplus_above_low(a)) {
        collect(a, &a->root);
        a->is_surplus_low = false;
        if (a->is_surplus_exhausted) {
            note_surplus_low(a);
        }
    }
    for (size_t i = 0; i < a->relaxed_count; i++) {
        struct alloc_role *role = a->relaxed_roles[i];
        role->is_relaxed = false;
        if (is_any) {
            collect(a, role);
        }
        if (role->quota != NULL) {
            role->quota->is_low = false;
            if (role->quota->is_exhausted) {
                note_low_of(role);
            }
        }
    }
    a->relaxed_count = 0;
    return is_any;
}

// ---- setting ----

static void set_amount(struct allocator *a, struct amounts *amounts, const char *name,
                       int64_t amount, int64_t absent)
{
    struct intern *interned = intern_get(name);
    size_t number = name_number(a, interned);
    intern_drop(interned);
    amounts_reserve(amounts, number + 1, absent);
    amounts_items(amounts)[number] = amount;
}

static struct alloc_quota *quota_new(struct allocator *a, const struct allocator_quota *quota)
{
    struct alloc_quota *made = mem_zalloc(sizeof(*made));
    for (size_t i = 0; i < quota->guarantee_count; i++) {
        const struct allocator_quantity *q = &quota->guarantees[i];
        CHECK(q->amount >= 0);
        set_amount(a, &made->guarantees, q->name, q->amount, 0);
    }
    for (size_t i = 0; i < quota->limit_count; i++) {
        const struct allocator_quantity *q = &quota->limits[i];
        CHECK(q->amount >= 0);
        set_amount(a, &made->limits, q->name, q->amount, AMOUNT_UNLIMITED);
    }
    return made;
}

void quota_free(struct alloc_quota *quota)
{
    if (quota != NULL) {
        amounts_free(&quota->guarantees);
        amounts_free(&quota->limits);
        amounts_free(&quota->low);
        mem_free(quota);
    }
}

bool allocator_has_quotas(const struct allocator *a)
{
    return a->quota_count > 0;
}

void allocator_set_quota(struct allocator *a, const char *name, const struct allocator_quota *quota)
{
    CHECK(!a->is_running);
    struct alloc_role *role = role_get(a, name);
    struct alloc_quota *old = role->quota;
    bool is_none = quota == NULL || quota->guarantee_count + quota->limit_count == 0;
    if (old == NULL && is_none) {
        role_free_if_unused(a, role);
        return;
    }
    if (old != NULL && old->is_exhausted) {
        tell_members(a, role, -1, 0);
    }
    role->quota = is_none ? NULL : quota_new(a, quota);
    a->quota_count += (size_t)(role->quota != NULL) - (size_t)(old != NULL);
    // Needs are refreshed while either the old or the new one may have a part in them.
    bool had_guarantees = old != NULL && old->guarantees.count > 0;
    a->guarantee_count += role->quota != NULL && role->quota->guarantees.count > 0;
    quota_refresh(a, role, true);
    a->guarantee_count -= had_guarantees;
    if (a->guarantee_count == 0) {
        a->is_surplus_exhausted = false;
    }
    quota_free(old);
    relax(a, role);
    role_free_if_unused(a, role);
}
