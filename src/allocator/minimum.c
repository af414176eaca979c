// SPDX-License-Identifier: Apache-2.0
//
// What must at least be in an offer: the flag --min_allocatable_resources, or what a framework asks
// for in its offer_filters.

#include <errno.h>
#include <string.h>

#include "allocator/state.h"
#include "base/check.h"
#include "base/mem.h"
#include "base/text.h"

static int parse_quantity(const char *token, struct arena *arena, struct alloc_minimum *minimum,
                          struct error *err)
{
    char *rest = NULL;
    char *name = strtok_r(arena_strdup(arena, token), ":", &rest);
    char *text = name != NULL ? strtok_r(NULL, ":", &rest) : NULL;
    if (text == NULL || strtok_r(NULL, ":", &rest) != NULL) {
        return error_set(err, -EINVAL, "Failed to parse '%s': missing or extra ':'", token);
    }
    Mesos__V1__Value *value = NULL;
    struct error why;
    int r = value_parse(text, arena, &value, &why);
    if (r < 0) {
        return error_set(err, r, "Failed to parse '%s' to quantity: %s", text, why.text);
    }
    if (value->type != MESOS__V1__VALUE__TYPE__SCALAR) {
        return error_set(err, -EINVAL,
                         "Failed to parse '%s' to quantity: only scalar values are allowed", text);
    }
    int64_t amount = scalar_from_double(value->scalar->value);
    if (amount > 0) {
        minimum->quantities = mem_realloc_array(minimum->quantities, minimum->count + 1,
                                                sizeof(minimum->quantities[0]));
        minimum->quantities[minimum->count].name = mem_strdup(text_trim(name));
        minimum->quantities[minimum->count++].amount = amount;
    }
    return 0;
}

static int parse_minimum(char *text, struct arena *arena, struct alloc_minimum *minimum,
                         struct error *err)
{
    char *rest = NULL;
    int r = 0;
    for (char *token = strtok_r(text, ";", &rest); token != NULL && r == 0;
         token = strtok_r(NULL, ";", &rest)) {
        r = parse_quantity(token, arena, minimum, err);
    }
    return r;
}

int minimums_parse(const char *text, struct alloc_minimum **ret_minimums, size_t *ret_count,
                   struct error *err)
{
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    struct alloc_minimum *minimums = NULL;
    size_t count = 0;
    char *rest = NULL;
    for (char *token = strtok_r(arena_strdup(arena, text), "|", &rest); token != NULL;
         token = strtok_r(NULL, "|", &rest)) {
        minimums = mem_realloc_array(minimums, count + 1, sizeof(minimums[0]));
        minimums[count] = (struct alloc_minimum){0};
        int r = parse_minimum(token, arena, &minimums[count++], err);
        if (r < 0) {
            minimums_free(minimums, count);
            return r;
        }
    }
    *ret_minimums = minimums;
    *ret_count = count;
    return 0;
}

void minimums_free(struct alloc_minimum *minimums, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < minimums[i].count; k++) {
            mem_free(minimums[i].quantities[k].name);
        }
        mem_free(minimums[i].quantities);
    }
    mem_free(minimums);
}

int allocator_check_min_allocatable(const char *text, struct error *err)
{
    struct alloc_minimum *minimums;
    size_t count;
    int r = minimums_parse(text, &minimums, &count, err);
    if (r == 0) {
        minimums_free(minimums, count);
    }
    return r;
}

static int64_t quantity_of(const struct resources *r, const char *name)
{
    int64_t sum = 0;
    for (uint32_t i = 0; i < r->count; i++) {
        const struct resource_entry *entry = &r->entries[i];
        if (strcmp(entry->kind->name, name) != 0) {
            continue;
        }
        if (entry->kind->type == MESOS__V1__VALUE__TYPE__SCALAR) {
            sum = scalar_add(sum, entry->scalar);
        } else if (entry->kind->type == MESOS__V1__VALUE__TYPE__SET) {
            sum = scalar_add(sum, (int64_t)entry->set->count * 1000);
        } else {
            for (uint32_t k = 0; k < entry->ranges->count; k++) {
                uint64_t items = entry->ranges->items[k].end - entry->ranges->items[k].begin;
                sum = scalar_add(sum, items < SCALAR_MAX / 1000 ? (int64_t)(items + 1) * 1000
                                                                : SCALAR_MAX);
            }
        }
    }
    return sum;
}

bool minimums_are_met(const struct alloc_minimum *minimums, size_t count, const struct resources *r)
{
    if (resources_is_empty(r)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        const struct alloc_minimum *minimum = &minimums[i];
        bool is_enough = true;
        for (size_t k = 0; k < minimum->count && is_enough; k++) {
            is_enough =
                quantity_of(r, minimum->quantities[k].name) >= minimum->quantities[k].amount;
        }
        if (is_enough) {
            return true;
        }
    }
    return count == 0;
}

bool minimums_are_met_for(const struct allocator *a, const struct alloc_member *member,
                          const struct resources *r)
{
    return member->has_minimums ? minimums_are_met(member->minimums, member->minimum_count, r)
                                : minimums_are_met(a->minimums, a->minimum_count, r);
}

// ---- offer filters ----

static struct alloc_minimum minimum_of(const Mesos__V1__OfferFilters__ResourceQuantities *message)
{
    struct alloc_minimum minimum = {0};
    for (size_t i = 0; i < message->n_quantities; i++) {
        const Mesos__V1__OfferFilters__ResourceQuantities__QuantitiesEntry *entry =
            message->quantities[i];
        int64_t amount = entry->value != NULL ? scalar_from_double(entry->value->value) : 0;
        if (entry->key == NULL || amount <= 0) {
            continue;
        }
        minimum.quantities =
            mem_realloc_array(minimum.quantities, minimum.count + 1, sizeof(minimum.quantities[0]));
        minimum.quantities[minimum.count++] =
            (struct alloc_quantity){.name = mem_strdup(entry->key), .amount = amount};
    }
    return minimum;
}

static const Mesos__V1__OfferFilters *filters_of(const Mesos__V1__FrameworkInfo *info,
                                                 const char *role)
{
    for (size_t i = 0; i < info->n_offer_filters; i++) {
        if (info->offer_filters[i]->key != NULL && strcmp(info->offer_filters[i]->key, role) == 0) {
            return info->offer_filters[i]->value;
        }
    }
    return NULL;
}

static bool is_same_minimums(const struct alloc_minimum *x, size_t x_count,
                             const struct alloc_minimum *y, size_t y_count)
{
    if (x_count != y_count) {
        return false;
    }
    for (size_t i = 0; i < x_count; i++) {
        if (x[i].count != y[i].count) {
            return false;
        }
        for (size_t k = 0; k < x[i].count; k++) {
            if (x[i].quantities[k].amount != y[i].quantities[k].amount ||
                strcmp(x[i].quantities[k].name, y[i].quantities[k].name) != 0) {
                return false;
            }
        }
    }
    return true;
}

static void set_minimums(struct allocator *a, struct alloc_member *member,
                         const Mesos__V1__OfferFilters *filters)
{
    struct alloc_minimum *minimums = NULL;
    size_t count = 0;
    bool is_set = filters != NULL && filters->min_allocatable_resources != NULL;
    if (is_set) {
        count = filters->min_allocatable_resources->n_quantities;
        minimums = mem_calloc(count + 1, sizeof(minimums[0]));
        for (size_t i = 0; i < count; i++) {
            minimums[i] = minimum_of(filters->min_allocatable_resources->quantities[i]);
        }
    }
    bool is_same = is_set == member->has_minimums &&
                   is_same_minimums(minimums, count, member->minimums, member->minimum_count);
    minimums_free(member->minimums, member->minimum_count);
    member->has_minimums = is_set;
    member->minimums = minimums;
    member->minimum_count = count;
    if (!is_same) {
        quota_add_member(a, member);
        member_reconsider(a, member);
    }
}

void allocator_set_offer_filters(struct allocator *a, const char *framework_id,
                                 const Mesos__V1__FrameworkInfo *info)
{
    struct alloc_framework *framework = framework_get(a, framework_id, false);
    CHECK(!a->is_running && framework != NULL);
    for (size_t i = 0; i < framework->member_count; i++) {
        struct alloc_member *member = framework->members[i];
        set_minimums(a, member, filters_of(info, member->role->name->text));
    }
}
