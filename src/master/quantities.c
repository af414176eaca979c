// SPDX-License-Identifier: Apache-2.0

#include "master/quantities.h"

#include <math.h>
#include <string.h>

#include "base/text.h"
#include "model/value.h"

static size_t find(const struct quantities *q, const char *name, bool *ret_is_there)
{
    size_t at = 0;
    while (at < q->count && strcmp(q->list[at].name, name) < 0)
        at++;
    *ret_is_there = at < q->count && strcmp(q->list[at].name, name) == 0;
    return at;
}

int64_t quantities_get(const struct quantities *q, const char *name)
{
    bool is_there;
    size_t at = find(q, name, &is_there);
    return is_there ? q->list[at].amount : 0;
}

void quantities_add(struct quantities *q, const char *name, int64_t amount)
{
    bool is_there;
    size_t at = find(q, name, &is_there);
    if (is_there) {
        q->list[at].amount += amount;
        return;
    }
    if (q->count == q->capacity) {
        size_t capacity = q->capacity * 2 + 8;
        struct quantity *list = arena_calloc(q->arena, capacity, sizeof(*list));
        if (q->count > 0)
            memcpy(list, q->list, q->count * sizeof(*list));
        q->list = list;
        q->capacity = capacity;
    }
    memmove(&q->list[at + 1], &q->list[at], (q->count - at) * sizeof(*q->list));
    q->list[at] = (struct quantity){arena_strdup(q->arena, name), amount};
    q->count++;
}

void quantities_add_all(struct quantities *q, const struct quantities *other, int sign)
{
    for (size_t i = 0; i < other->count; i++)
        quantities_add(q, other->list[i].name, sign * other->list[i].amount);
}

static int64_t amount_of(const Mesos__V1__Resource *resource)
{
    if (resource->scalar != NULL)
        return llround(resource->scalar->value * 1000);
    int64_t count = 0;
    if (resource->ranges != NULL) {
        for (size_t i = 0; i < resource->ranges->n_range; i++)
            count +=
                (int64_t)(resource->ranges->range[i]->end - resource->ranges->range[i]->begin + 1);
    }
    if (resource->set != NULL)
        count += (int64_t)resource->set->n_item;
    return count * 1000;
}

bool role_is_within(const char *role, const char *root)
{
    size_t size = strlen(root);
    return strncmp(role, root, size) == 0 && (role[size] == '\0' || role[size] == '/');
}

void quantities_add_allocated(struct quantities *q, const struct resources *r, const char *role)
{
    Mesos__V1__Resource **messages;
    size_t count = resources_to_proto(r, q->arena, RESOURCES_NEW_FORM, true, &messages);
    for (size_t i = 0; i < count; i++) {
        const Mesos__V1__Resource__AllocationInfo *allocation = messages[i]->allocation_info;
        if (role == NULL || (allocation != NULL && allocation->role != NULL &&
                             role_is_within(allocation->role, role)))
            quantities_add(q, messages[i]->name, amount_of(messages[i]));
    }
}

void quantities_add_reserved(struct quantities *q, const struct resources *r, const char *role)
{
    const char **roles;
    size_t count = resources_reserved_roles(r, q->arena, &roles);
    for (size_t i = 0; i < count; i++) {
        if (!role_is_within(roles[i], role))
            continue;
        AUTO_RESOURCES struct resources *part = resources_reserved(r, roles[i]);
        quantities_add_allocated(q, part, NULL);
    }
}

bool quantities_contain(const struct quantities *whole, const struct quantities *part)
{
    for (size_t i = 0; i < part->count; i++) {
        if (part->list[i].amount > quantities_get(whole, part->list[i].name))
            return false;
    }
    return true;
}

bool quantities_are_within(const struct quantities *part, const struct quantities *limits)
{
    for (size_t i = 0; i < limits->count; i++) {
        if (quantities_get(part, limits->list[i].name) > limits->list[i].amount)
            return false;
    }
    return true;
}

const char *quantities_text(const struct quantities *q)
{
    AUTO_BUF struct buf out = BUF_INIT;
    for (size_t i = 0; i < q->count; i++) {
        if (q->list[i].amount == 0)
            continue;
        buf_printf(&out, "%s%s:", out.size > 0 ? "; " : "", q->list[i].name);
        scalar_put_text(q->list[i].amount, &out);
    }
    return arena_strdup(q->arena, out.size > 0 ? out.data : "{}");
}
