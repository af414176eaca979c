// SPDX-License-Identifier: Apache-2.0
//
// What roles are promised, and what they may have at most.

#include "allocator/state.h"
#include "base/check.h"
#include "base/mem.h"

static void set_amount(struct allocator *a, struct amounts *amounts, const char *name,
                       int64_t amount, int64_t absent)
{
    struct intern *interned = intern_get(name);
    size_t number = name_number(a, interned);
    intern_drop(interned);
    if (number >= amounts->count) {
        amounts->items = mem_realloc_array(amounts->items, number + 1, sizeof(amounts->items[0]));
        while (amounts->count <= number) {
            amounts->items[amounts->count++] = absent;
        }
    }
    amounts->items[number] = amount;
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

static void quota_free(struct alloc_quota *quota)
{
    if (quota != NULL) {
        amounts_free(&quota->guarantees);
        amounts_free(&quota->limits);
        mem_free(quota);
    }
}

void allocator_set_quota(struct allocator *a, const char *name, const struct allocator_quota *quota)
{
    CHECK(!a->is_running);
    struct alloc_role *role = role_get(a, name);
    quota_free(role->quota);
    bool is_none = quota == NULL || quota->guarantee_count + quota->limit_count == 0;
    role->quota = is_none ? NULL : quota_new(a, quota);
    role_free_if_unused(a, role);
}
