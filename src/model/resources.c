// SPDX-License-Identifier: Apache-2.0
//
// Arithmetic on resources. Sets are small, and two that meet mostly have the same entries in the
// same order: each search starts where the last one ended, so that adding and subtracting are
// linear then.
//
// Entries are never empty, and no two divisible ones have the same identity and allocation.

#include "model/resources.h"

#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "model/resource_entry.h"

// ---- entries ----

static inline void entry_hold(const struct resource_entry *entry)
{
    resource_kind_hold(entry->kind);
    intern_hold(entry->role);
    if (entry->kind->type == MESOS__V1__VALUE__TYPE__RANGES) {
        ranges_hold(entry->ranges);
    } else if (entry->kind->type == MESOS__V1__VALUE__TYPE__SET) {
        text_set_hold(entry->set);
    }
}

static inline void entry_drop(const struct resource_entry *entry)
{
    if (entry->kind->type == MESOS__V1__VALUE__TYPE__RANGES) {
        ranges_drop(entry->ranges);
    } else if (entry->kind->type == MESOS__V1__VALUE__TYPE__SET) {
        text_set_drop(entry->set);
    }
    intern_drop(entry->role);
    resource_kind_drop(entry->kind);
}

void resource_entry_hold(const struct resource_entry *entry)
{
    entry_hold(entry);
}

void resource_entry_drop(const struct resource_entry *entry)
{
    entry_drop(entry);
}

bool resource_entry_is_empty(const struct resource_entry *entry)
{
    switch (entry->kind->type) {
    case MESOS__V1__VALUE__TYPE__SCALAR:
        return entry->scalar == 0;
    case MESOS__V1__VALUE__TYPE__RANGES:
        return entry->ranges == NULL;
    case MESOS__V1__VALUE__TYPE__SET:
        return entry->set == NULL;
    default:
        return true;
    }
}

static bool is_indivisible(const struct resource_kind *kind)
{
    return kind->exclusive || kind->shared;
}

static bool has_same_amount(const struct resource_entry *a, const struct resource_entry *b)
{
    switch (a->kind->type) {
    case MESOS__V1__VALUE__TYPE__SCALAR:
        return a->scalar == b->scalar;
    case MESOS__V1__VALUE__TYPE__RANGES:
        return ranges_are_equal(a->ranges, b->ranges);
    default:
        return text_set_is_equal(a->set, b->set);
    }
}

// True when `b` can be added to `a` or taken from it. What cannot be divided must be the same.
static bool is_match(const struct resource_entry *a, const struct resource_entry *b)
{
    if (a->kind != b->kind && a->kind->identity != b->kind->identity) {
        return false;
    }
    if (a->role != b->role) {
        return false;
    }
    return !is_indivisible(a->kind) || has_same_amount(a, b);
}

// As find, where the next entry is not simply the one.
static struct resource_entry *find_slowly(const struct resources *r,
                                          const struct resource_entry *wanted, uint32_t *cursor)
{
    for (uint32_t i = 0, at = *cursor; i < r->count; i++, at++) {
        if (at >= r->count) {
            at = 0;
        }
        if (is_match(&r->entries[at], wanted)) {
            *cursor = at + 1;
            return &r->entries[at];
        }
    }
    return NULL;
}

// The entry that matches, searched from *cursor on and round; moves *cursor behind it. No other one
// is of the same kind and role, if that can be divided; and no other kind is the same as a simple
// one.
static inline struct resource_entry *find(const struct resources *r,
                                          const struct resource_entry *wanted, uint32_t *cursor)
{
    if (!is_indivisible(wanted->kind)) {
        for (uint32_t i = 0, at = *cursor; i < r->count; i++, at++) {
            at = at < r->count ? at : 0;
            struct resource_entry *entry = &r->entries[at];
            if (entry->kind == wanted->kind && entry->role == wanted->role) {
                *cursor = at + 1;
                return entry;
            }
        }
        if (wanted->kind->simple) {
            return NULL;
        }
    }
    return r->count > 0 ? find_slowly(r, wanted, cursor) : NULL;
}

// Whether both are amounts of the same plain thing: mostly what stands at the same place of two
// sets that meet is.
static inline bool is_twin(const struct resource_entry *a, const struct resource_entry *b)
{
    return a->kind == b->kind && a->role == b->role && a->kind->plain;
}

static inline bool entry_contains(const struct resource_entry *entry,
                                  const struct resource_entry *part)
{
    if (entry->kind->plain) {
        return entry->scalar >= part->scalar;
    }
    if (is_indivisible(entry->kind)) {
        return entry->count >= part->count;
    }
    switch (entry->kind->type) {
    case MESOS__V1__VALUE__TYPE__SCALAR:
        return entry->scalar >= part->scalar;
    case MESOS__V1__VALUE__TYPE__RANGES:
        return ranges_contain(entry->ranges, part->ranges);
    default:
        return text_set_contains(entry->set, part->set);
    }
}

static inline void entry_add(struct resource_entry *entry, const struct resource_entry *other)
{
    if (entry->kind->plain) {
        entry->scalar = scalar_add(entry->scalar, other->scalar);
    } else if (is_indivisible(entry->kind)) {
        CHECK(!__builtin_add_overflow(entry->count, other->count, &entry->count));
    } else if (entry->kind->type == MESOS__V1__VALUE__TYPE__SCALAR) {
        entry->scalar = scalar_add(entry->scalar, other->scalar);
    } else if (entry->kind->type == MESOS__V1__VALUE__TYPE__RANGES) {
        struct ranges *sum = ranges_union(entry->ranges, other->ranges);
        ranges_drop(entry->ranges);
        entry->ranges = sum;
    } else {
        struct text_set *sum = text_set_union(entry->set, other->set);
        text_set_drop(entry->set);
        entry->set = sum;
    }
}

// Returns true when nothing is left of `entry`.
static inline bool entry_subtract(struct resource_entry *entry, const struct resource_entry *other)
{
    if (entry->kind->plain) {
        entry->scalar -= other->scalar;
        return entry->scalar == 0;
    }
    if (is_indivisible(entry->kind)) {
        entry->count -= other->count;
        return entry->count == 0;
    }
    if (entry->kind->type == MESOS__V1__VALUE__TYPE__SCALAR) {
        entry->scalar -= other->scalar;
    } else if (entry->kind->type == MESOS__V1__VALUE__TYPE__RANGES) {
        struct ranges *rest = ranges_difference(entry->ranges, other->ranges);
        ranges_drop(entry->ranges);
        entry->ranges = rest;
    } else {
        struct text_set *rest = text_set_difference(entry->set, other->set);
        text_set_drop(entry->set);
        entry->set = rest;
    }
    return resource_entry_is_empty(entry);
}

// ---- lifetime ----

void resources_init(struct resources *r)
{
    r->count = 0;
    r->capacity = RESOURCES_INLINE;
    r->sharers = 0;
    r->entries = r->few;
}

void resources_clear(struct resources *r)
{
    CHECK(r->sharers == 0);
    for (uint32_t i = 0; i < r->count; i++) {
        entry_drop(&r->entries[i]);
    }
    if (r->entries != r->few) {
        mem_free(r->entries);
    }
    resources_init(r);
}

struct resources *resources_new(void)
{
    struct resources *r = mem_alloc(sizeof(*r));
    resources_init(r);
    return r;
}

struct resources *resources_free(struct resources *r)
{
    if (r != NULL) {
        resources_clear(r);
        mem_free(r);
    }
    return NULL;
}

void resources_free_at(struct resources **r)
{
    resources_free(*r);
}

static void reserve(struct resources *r, uint32_t count)
{
    CHECK(r->sharers == 0);
    if (count <= r->capacity) {
        return;
    }
    uint32_t capacity = r->capacity * 2 > count ? r->capacity * 2 : count;
    if (r->entries == r->few) {
        r->entries = mem_alloc(capacity * sizeof(r->entries[0]));
        memcpy(r->entries, r->few, r->count * sizeof(r->entries[0]));
    } else {
        r->entries = mem_realloc_array(r->entries, capacity, sizeof(r->entries[0]));
    }
    r->capacity = capacity;
}

static void append(struct resources *r, const struct resource_entry *entry)
{
    reserve(r, r->count + 1);
    r->entries[r->count++] = *entry;
    entry_hold(entry);
}

void resources_assign(struct resources *r, const struct resources *other)
{
    CHECK(r != other && r->sharers == 0);
    for (uint32_t i = 0; i < r->count; i++) {
        entry_drop(&r->entries[i]);
    }
    r->count = 0;
    reserve(r, other->count);
    memcpy(r->entries, other->entries, other->count * sizeof(r->entries[0]));
    r->count = other->count;
    for (uint32_t i = 0; i < r->count; i++) {
        entry_hold(&r->entries[i]);
    }
}

struct resources *resources_copy(const struct resources *r)
{
    struct resources *copy = resources_new();
    resources_assign(copy, r);
    return copy;
}

// ---- sharing ----

// What was shared last, by its hash; without references of its own.
enum { SHARED_PLACES = 64 };
static struct resources *shared[SHARED_PLACES];

static struct resources **shared_place(const struct resources *r)
{
    return &shared[resources_hash(r) % SHARED_PLACES];
}

const struct resources *resources_share(struct resources *r)
{
    CHECK(r->sharers == 0);
    struct resources **place = shared_place(r);
    if (*place != NULL && resources_is_same(*place, r)) {
        resources_free(r);
    } else {
        *place = r;
    }
    (*place)->sharers++;
    return *place;
}

const struct resources *resources_unshare(const struct resources *shared_one)
{
    struct resources *r = (struct resources *)(uintptr_t)shared_one;
    if (r == NULL) {
        return NULL;
    }
    CHECK(r->sharers > 0);
    if (--r->sharers == 0) {
        struct resources **place = shared_place(r);
        *place = *place == r ? NULL : *place;
        resources_free(r);
    }
    return NULL;
}

// ---- arithmetic ----

static inline void add_entry_at(struct resources *r, const struct resource_entry *entry,
                                uint32_t *cursor)
{
    struct resource_entry *same = find(r, entry, cursor);
    if (same != NULL) {
        entry_add(same, entry);
    } else {
        append(r, entry);
    }
}

void resources_add_entry(struct resources *r, const struct resource_entry *entry)
{
    uint32_t cursor = 0;
    if (!resource_entry_is_empty(entry)) {
        add_entry_at(r, entry, &cursor);
    }
}

void resources_take_entry(struct resources *r, const struct resource_entry *entry)
{
    uint32_t cursor = 0;
    struct resource_entry *same = find(r, entry, &cursor);
    if (same == NULL && !resource_entry_is_empty(entry)) {
        reserve(r, r->count + 1);
        r->entries[r->count++] = *entry;
        return;
    }
    if (same != NULL) {
        entry_add(same, entry);
    }
    entry_drop(entry);
}

void resources_add(struct resources *r, const struct resources *other)
{
    CHECK(r->sharers == 0);
    uint32_t i = 0;
    uint32_t count = other->count; // `other` may be `r`: then each entry finds itself
    for (; i < count && i < r->count && is_twin(&r->entries[i], &other->entries[i]); i++) {
        r->entries[i].scalar = scalar_add(r->entries[i].scalar, other->entries[i].scalar);
    }
    for (uint32_t cursor = i; i < count; i++) {
        add_entry_at(r, &other->entries[i], &cursor);
    }
}

void resources_add_unallocated(struct resources *r, const struct resources *other)
{
    CHECK(r->sharers == 0);
    uint32_t cursor = 0;
    for (uint32_t i = 0; i < other->count; i++) {
        struct resource_entry entry = other->entries[i];
        entry.role = NULL;
        add_entry_at(r, &entry, &cursor);
    }
}

// Returns where the entry was: the next one stands there now.
static uint32_t remove_entry(struct resources *r, struct resource_entry *entry)
{
    uint32_t at = (uint32_t)(entry - r->entries);
    entry_drop(entry);
    r->count--;
    memmove(entry, entry + 1, (r->count - at) * sizeof(*entry));
    return at;
}

// Takes away the entries of `other` that stand at the same places in `r`, are amounts of the same
// plain things there, and leave something. How many; others may follow.
static inline uint32_t subtract_twins(struct resources *r, const struct resources *other)
{
    uint32_t i = 0;
    for (; i < other->count && i < r->count && is_twin(&r->entries[i], &other->entries[i]) &&
           r->entries[i].scalar > other->entries[i].scalar;
         i++) {
        r->entries[i].scalar -= other->entries[i].scalar;
    }
    return i;
}

void resources_subtract(struct resources *r, const struct resources *other)
{
    CHECK(r->sharers == 0);
    if (r == other) {
        for (uint32_t i = 0; i < r->count; i++) {
            entry_drop(&r->entries[i]);
        }
        r->count = 0;
        return;
    }
    uint32_t cursor = subtract_twins(r, other);
    for (uint32_t i = cursor; i < other->count; i++) {
        struct resource_entry *entry = find(r, &other->entries[i], &cursor);
        CHECK(entry != NULL && entry_contains(entry, &other->entries[i]));
        if (entry_subtract(entry, &other->entries[i])) {
            cursor = remove_entry(r, entry);
        }
    }
}

void resources_subtract_available(struct resources *r, const struct resources *other)
{
    CHECK(r != other && r->sharers == 0);
    uint32_t cursor = subtract_twins(r, other);
    for (uint32_t i = cursor; i < other->count; i++) {
        struct resource_entry *entry = find(r, &other->entries[i], &cursor);
        if (entry == NULL) {
            continue;
        }
        struct resource_entry part = other->entries[i];
        if (is_indivisible(entry->kind) && part.count > entry->count) {
            part.count = entry->count;
        } else if (part.kind->type == MESOS__V1__VALUE__TYPE__SCALAR &&
                   !is_indivisible(entry->kind) && part.scalar > entry->scalar) {
            part.scalar = entry->scalar;
        }
        if (entry_subtract(entry, &part)) {
            cursor = remove_entry(r, entry);
        }
    }
}

bool resources_is_empty(const struct resources *r)
{
    return r->count == 0;
}

bool resources_has_shared(const struct resources *r)
{
    for (uint32_t i = 0; i < r->count; i++) {
        if (r->entries[i].kind->shared) {
            return true;
        }
    }
    return false;
}

bool resources_contains(const struct resources *r, const struct resources *part)
{
    uint32_t i = 0;
    while (i < part->count && i < r->count && is_twin(&r->entries[i], &part->entries[i]) &&
           r->entries[i].scalar >= part->entries[i].scalar) {
        i++;
    }
    for (uint32_t cursor = i; i < part->count; i++) {
        const struct resource_entry *entry = find(r, &part->entries[i], &cursor);
        if (entry == NULL || !entry_contains(entry, &part->entries[i])) {
            return false;
        }
    }
    return true;
}

bool resources_covers(const struct resources *r, const struct resources *part)
{
    uint32_t cursor = 0;
    for (uint32_t i = 0; i < part->count; i++) {
        const struct resource_entry *entry = find(r, &part->entries[i], &cursor);
        if (entry == NULL || !(entry->kind->shared || entry_contains(entry, &part->entries[i]))) {
            return false;
        }
    }
    return true;
}

bool resources_is_equal(const struct resources *a, const struct resources *b)
{
    return a->count == b->count && resources_contains(a, b) && resources_contains(b, a);
}

bool resources_is_same(const struct resources *a, const struct resources *b)
{
    if (a->count != b->count)
        return false;
    for (uint32_t i = 0; i < a->count; i++) {
        const struct resource_entry *x = &a->entries[i], *y = &b->entries[i];
        if (is_twin(x, y) ? x->scalar != y->scalar
                          : x->kind != y->kind || x->role != y->role || x->count != y->count ||
                                !has_same_amount(x, y))
            return false;
    }
    return true;
}

uint32_t resources_hash(const struct resources *r)
{
    const uint64_t odd = UINT64_C(0x9e3779b97f4a7c15);
    uint64_t hash = r->count;
    for (uint32_t i = 0; i < r->count; i++) {
        const struct resource_entry *entry = &r->entries[i];
        hash = (hash ^ (uintptr_t)entry->kind) * odd;
        hash = (hash ^ (uintptr_t)entry->role) * odd;
        if (entry->kind->type == MESOS__V1__VALUE__TYPE__SCALAR)
            hash = (hash ^ (uint64_t)entry->scalar) * odd;
    }
    return (uint32_t)(hash >> 32);
}

// ---- allocation ----

static bool has_one_allocation(const struct resources *r)
{
    for (uint32_t i = 1; i < r->count; i++) {
        if (r->entries[i].role != r->entries[0].role) {
            return false;
        }
    }
    return true;
}

// Entries that differed only in their allocation may have become one: add all anew.
static void set_allocation(struct resources *r, struct intern *role)
{
    CHECK(r->sharers == 0);
    if (has_one_allocation(r)) {
        for (uint32_t i = 0; i < r->count; i++) {
            intern_hold(role);
            intern_drop(r->entries[i].role);
            r->entries[i].role = role;
        }
        return;
    }
    struct resources *set = resources_new();
    reserve(set, r->count);
    uint32_t cursor = 0;
    for (uint32_t i = 0; i < r->count; i++) {
        struct resource_entry entry = r->entries[i];
        entry.role = role;
        add_entry_at(set, &entry, &cursor);
        entry_drop(&r->entries[i]);
    }
    r->count = 0;
    reserve(r, set->count);
    memcpy(r->entries, set->entries, set->count * sizeof(r->entries[0]));
    r->count = set->count;
    set->count = 0;
    resources_free(set);
}

void resources_allocate(struct resources *r, const char *role)
{
    struct intern *interned = intern_get(role);
    set_allocation(r, interned);
    intern_drop(interned);
}

void resources_set_role(struct resources *r, struct intern *role)
{
    for (uint32_t i = 0; i < r->count; i++) {
        CHECK(r->entries[i].role == NULL);
        r->entries[i].role = intern_hold(role);
    }
}

void resources_unallocate(struct resources *r)
{
    set_allocation(r, NULL);
}

// ---- sums ----

static int64_t sum_named(const struct resources *r, const char *name, bool firm, bool revocable)
{
    int64_t sum = 0;
    for (uint32_t i = 0; i < r->count; i++) {
        const struct resource_entry *entry = &r->entries[i];
        const struct resource_kind *kind = entry->kind;
        if (kind->type != MESOS__V1__VALUE__TYPE__SCALAR || kind->name[0] != name[0] ||
            !(kind->revocable ? revocable : firm) || strcmp(kind->name, name) != 0) {
            continue;
        }
        uint32_t times = kind->shared ? 1 : entry->count;
        for (uint32_t k = 0; k < times; k++) {
            sum = scalar_add(sum, entry->scalar);
        }
    }
    return sum;
}

int64_t resources_scalar_of(const struct resources *r, const char *name, bool revocable)
{
    return sum_named(r, name, !revocable, revocable);
}

int64_t resources_scalar(const struct resources *r, const char *name)
{
    return sum_named(r, name, true, true);
}

static size_t name_place(const char *const *names, size_t count, const char *name)
{
    size_t place = 0;
    while (place < count && strcmp(names[place], name) != 0) {
        place++;
    }
    return place;
}

bool resources_sum_scalars(const struct resources *r, const char *const *names, size_t count,
                           int64_t *ret_sums)
{
    memset(ret_sums, 0, count * sizeof(*ret_sums));
    for (uint32_t i = 0; i < r->count; i++) {
        const struct resource_entry *entry = &r->entries[i];
        size_t place = name_place(names, count, entry->kind->name);
        if (place == count || entry->kind->type != MESOS__V1__VALUE__TYPE__SCALAR ||
            entry->kind->revocable || entry->count > 1) {
            return false;
        }
        ret_sums[place] = scalar_add(ret_sums[place], entry->scalar);
    }
    return true;
}

const char *resources_role(const struct resources *r)
{
    return r->count > 0 && r->entries[0].role != NULL ? r->entries[0].role->text : NULL;
}

static bool has_name(const char **names, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

size_t resources_scalar_names(const struct resources *r, struct arena *arena, const char ***ret)
{
    const char **names = arena_calloc(arena, r->count + 1, sizeof(names[0]));
    size_t count = 0;
    for (uint32_t i = 0; i < r->count; i++) {
        const struct resource_kind *kind = r->entries[i].kind;
        if (kind->type == MESOS__V1__VALUE__TYPE__SCALAR && !has_name(names, count, kind->name)) {
            names[count++] = arena_strdup(arena, kind->name);
        }
    }
    *ret = names;
    return count;
}

size_t resources_reserved_roles(const struct resources *r, struct arena *arena,
                                const char ***ret_roles)
{
    const char **roles = arena_calloc(arena, r->count + 1, sizeof(roles[0]));
    size_t count = 0;
    for (uint32_t i = 0; i < r->count; i++) {
        const struct intern *role = r->entries[i].kind->role;
        if (role != NULL && !has_name(roles, count, role->text)) {
            roles[count++] = arena_strdup(arena, role->text);
        }
    }
    *ret_roles = roles;
    return count;
}

size_t resources_allocated_roles(const struct resources *r, struct arena *arena,
                                 const char ***ret_roles)
{
    const char **roles = arena_calloc(arena, r->count + 1, sizeof(roles[0]));
    size_t count = 0;
    for (uint32_t i = 0; i < r->count; i++) {
        const struct intern *role = r->entries[i].role;
        if (role != NULL && !has_name(roles, count, role->text)) {
            roles[count++] = arena_strdup(arena, role->text);
        }
    }
    *ret_roles = roles;
    return count;
}

bool resources_are_allocated_to(const struct resources *r, const char *role)
{
    for (uint32_t i = 0; i < r->count; i++) {
        if (r->entries[i].role != NULL && strcmp(r->entries[i].role->text, role) == 0) {
            return true;
        }
    }
    return false;
}
