// SPDX-License-Identifier: Apache-2.0
//
// Parts of resources as new resources, and finding an amount among differently reserved ones.

#include <errno.h>
#include <string.h>

#include "model/resource_entry.h"

bool role_is_below(const char *role, const char *parent)
{
    size_t size = strlen(parent);
    return strncmp(role, parent, size) == 0 && role[size] == '/';
}

struct resources *resources_filter(const struct resources *r,
                                   bool (*wanted)(const struct resource_entry *entry,
                                                  const void *ctx),
                                   const void *ctx)
{
    struct resources *kept = resources_new();
    for (uint32_t i = 0; i < r->count; i++) {
        if (wanted(&r->entries[i], ctx)) {
            resources_add_entry(kept, &r->entries[i]);
        }
    }
    return kept;
}

static bool is_unreserved(const struct resource_entry *entry, const void *ctx)
{
    (void)ctx;
    return entry->kind->role == NULL;
}

static bool is_reserved(const struct resource_entry *entry, const void *role)
{
    return entry->kind->role != NULL &&
           (role == NULL || strcmp(entry->kind->role->text, role) == 0);
}

static bool is_allocatable_to(const struct resource_entry *entry, const void *role)
{
    return entry->kind->role == NULL || strcmp(entry->kind->role->text, role) == 0 ||
           role_is_below(role, entry->kind->role->text);
}

static bool is_revocable(const struct resource_entry *entry, const void *ctx)
{
    (void)ctx;
    return entry->kind->revocable;
}

static bool is_non_revocable(const struct resource_entry *entry, const void *ctx)
{
    (void)ctx;
    return !entry->kind->revocable;
}

static bool is_shared(const struct resource_entry *entry, const void *ctx)
{
    (void)ctx;
    return entry->kind->shared;
}

static bool is_non_shared(const struct resource_entry *entry, const void *ctx)
{
    (void)ctx;
    return !entry->kind->shared;
}

struct resources *resources_unreserved(const struct resources *r)
{
    return resources_filter(r, is_unreserved, NULL);
}

struct resources *resources_reserved(const struct resources *r, const char *role)
{
    return resources_filter(r, is_reserved, role);
}

struct resources *resources_allocatable_to(const struct resources *r, const char *role)
{
    return resources_filter(r, is_allocatable_to, role);
}

struct resources *resources_revocable(const struct resources *r)
{
    return resources_filter(r, is_revocable, NULL);
}

struct resources *resources_non_revocable(const struct resources *r)
{
    return resources_filter(r, is_non_revocable, NULL);
}

struct resources *resources_shared(const struct resources *r)
{
    return resources_filter(r, is_shared, NULL);
}

struct resources *resources_non_shared(const struct resources *r)
{
    return resources_filter(r, is_non_shared, NULL);
}

struct resources *resources_to_unreserved(const struct resources *r)
{
    struct resources *bare = resources_new();
    for (uint32_t i = 0; i < r->count; i++) {
        struct resource_entry entry = r->entries[i];
        entry.kind = resource_kind_unreserved(entry.kind);
        resources_add_entry(bare, &entry);
        resource_kind_drop(entry.kind);
    }
    return bare;
}

// ---- finding ----

// What `a` and `b` of one kind have in common; false when nothing. The caller drops the value.
static bool common_amount(const struct resource_entry *a, const struct resource_entry *b,
                          struct resource_entry *common)
{
    *common = *a;
    if (a->kind->type == MESOS__V1__VALUE__TYPE__SCALAR) {
        if (b->scalar < a->scalar) {
            common->scalar = b->scalar;
        }
    } else if (a->kind->type == MESOS__V1__VALUE__TYPE__RANGES) {
        struct ranges *rest = ranges_difference(a->ranges, b->ranges);
        common->ranges = ranges_difference(a->ranges, rest);
        ranges_drop(rest);
    } else {
        struct text_set *rest = text_set_difference(a->set, b->set);
        common->set = text_set_difference(a->set, rest);
        text_set_drop(rest);
    }
    return !resource_entry_is_empty(common);
}

static void drop_amount(const struct resource_entry *entry)
{
    if (entry->kind->type == MESOS__V1__VALUE__TYPE__RANGES) {
        ranges_drop(entry->ranges);
    } else if (entry->kind->type == MESOS__V1__VALUE__TYPE__SET) {
        text_set_drop(entry->set);
    }
}

static bool is_indivisible(const struct resource_kind *kind)
{
    return kind->exclusive || kind->shared;
}

// Moves from `total` to `found` what serves `*remaining` (a set with one unreserved entry, or none
// when it is satisfied) among the entries that `wanted` accepts.
static void take(struct resources *total, struct resources *remaining, struct resources *found,
                 bool (*wanted)(const struct resource_entry *entry, const void *ctx),
                 const void *ctx)
{
    struct resources *candidates = resources_filter(total, wanted, ctx);
    for (uint32_t i = 0; i < candidates->count && remaining->count > 0; i++) {
        const struct resource_entry *target = &remaining->entries[0];
        struct resource_entry bare = candidates->entries[i];
        bare.kind = resource_kind_unreserved(bare.kind);
        struct resource_entry common;
        bool is_same = bare.kind->identity == target->kind->identity && bare.role == target->role;
        if (is_same && is_indivisible(bare.kind)) {
            struct resources *whole = resources_new();
            resources_add_entry(whole, &bare);
            is_same = resources_contains(whole, remaining);
            resources_free(whole);
        }
        if (is_same && common_amount(target, &bare, &common)) {
            struct resources *taken = resources_new();
            struct resource_entry reserved = common;
            reserved.kind = candidates->entries[i].kind;
            resources_add_entry(taken, &reserved);
            resources_subtract(total, taken);
            resources_add(found, taken);
            resources_free(taken);
            struct resources *served = resources_new();
            resources_add_entry(served, &common);
            drop_amount(&common);
            resources_subtract(remaining, served);
            resources_free(served);
        }
        resource_kind_drop(bare.kind);
    }
    resources_free(candidates);
}

static bool is_any(const struct resource_entry *entry, const void *ctx)
{
    (void)entry;
    (void)ctx;
    return true;
}

int resources_find(const struct resources *r, const struct resources *wanted,
                   struct resources **ret_found)
{
    AUTO_RESOURCES struct resources *total = resources_copy(r);
    AUTO_RESOURCES struct resources *found = resources_new();
    for (uint32_t i = 0; i < wanted->count; i++) {
        AUTO_RESOURCES struct resources *remaining = resources_new();
        struct resource_entry target = wanted->entries[i];
        target.kind = resource_kind_unreserved(target.kind);
        resources_add_entry(remaining, &target);
        resource_kind_drop(target.kind);
        const struct intern *role = wanted->entries[i].kind->role;
        if (role != NULL) {
            take(total, remaining, found, is_reserved, role->text);
        }
        take(total, remaining, found, is_unreserved, NULL);
        take(total, remaining, found, is_any, NULL);
        if (remaining->count > 0) {
            return -ENOENT;
        }
    }
    *ret_found = found;
    found = NULL;
    return 0;
}
