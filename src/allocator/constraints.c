// SPDX-License-Identifier: Apache-2.0
//
// Offer constraints. An attribute that is no text meets every condition on texts, as in Mesos.

#include "allocator/constraints.h"

#include <errno.h>
#include <string.h>

#include "base/arena.h"
#include "base/mem.h"
#include "wire/wire.h"

#define PREDICATE(NAME) MESOS__V1__SCHEDULER__ATTRIBUTE_CONSTRAINT__PREDICATE__PREDICATE_##NAME
#define SELECTOR(NAME) MESOS__V1__SCHEDULER__ATTRIBUTE_CONSTRAINT__SELECTOR__SELECTOR_##NAME
#define PSEUDO(NAME)                                                                               \
    MESOS__V1__SCHEDULER__ATTRIBUTE_CONSTRAINT__SELECTOR__PSEUDOATTRIBUTE_TYPE__##NAME

struct condition {
    const Mesos__V1__Scheduler__AttributeConstraint__Selector *selector;
    const Mesos__V1__Scheduler__AttributeConstraint__Predicate *predicate;
    struct pattern *pattern; // of the conditions with one
};

struct group {
    struct condition *conditions;
    size_t count;
};

struct role_groups {
    const char *role;
    struct group *groups;
    size_t count;
};

struct constraints {
    struct arena *arena; // of all of it
    struct role_groups *roles;
    size_t count;
};

// ---- reading ----

static int check_selector(const Mesos__V1__Scheduler__AttributeConstraint__Selector *selector,
                          struct error *err)
{
    if (selector->selector_case == SELECTOR(ATTRIBUTE_NAME)) {
        return 0;
    }
    if (selector->selector_case != SELECTOR(PSEUDOATTRIBUTE_TYPE)) {
        return error_set(err, -EINVAL,
                         "Exactly one of 'AttributeConstraint::Selector::name' or "
                         "'AttributeConstraint::Selector::pseudoattribute_type' must be set");
    }
    switch (selector->pseudoattribute_type) {
    case PSEUDO(HOSTNAME):
    case PSEUDO(REGION):
    case PSEUDO(ZONE):
        return 0;
    default:
        return error_set(err, -EINVAL, "Unknown pseudoattribute type");
    }
}

static int read_predicate(const Mesos__V1__Scheduler__AttributeConstraint__Predicate *predicate,
                          const struct pattern_limits *limits, struct pattern **ret_pattern,
                          struct error *err)
{
    switch (predicate->predicate_case) {
    case PREDICATE(EXISTS):
    case PREDICATE(NOT_EXISTS):
    case PREDICATE(TEXT_EQUALS):
    case PREDICATE(TEXT_NOT_EQUALS):
        return 0;
    case PREDICATE(TEXT_MATCHES):
        return pattern_new(predicate->text_matches->regex, limits, ret_pattern, err);
    case PREDICATE(TEXT_NOT_MATCHES):
        return pattern_new(predicate->text_not_matches->regex, limits, ret_pattern, err);
    default:
        return error_set(err, -EINVAL, "Unknown predicate type");
    }
}

static int read_group(const Mesos__V1__Scheduler__OfferConstraints__RoleConstraints__Group *message,
                      const char *role, const struct pattern_limits *limits, struct arena *arena,
                      struct group *group, struct error *err)
{
    if (message->n_attribute_constraints == 0) {
        return error_set(
            err, -EINVAL,
            "'OfferConstraints::RoleConstraints::groups' for role %s contains an empty "
            "RoleConstraints::Group",
            role);
    }
    group->conditions =
        arena_calloc(arena, message->n_attribute_constraints, sizeof(group->conditions[0]));
    for (size_t i = 0; i < message->n_attribute_constraints; i++) {
        struct condition *condition = &group->conditions[group->count++];
        condition->selector = message->attribute_constraints[i]->selector;
        condition->predicate = message->attribute_constraints[i]->predicate;
        struct error why;
        int r = check_selector(condition->selector, &why);
        if (r == 0) {
            r = read_predicate(condition->predicate, limits, &condition->pattern, &why);
        }
        if (r < 0) {
            return error_set(err, r, "A role %s has an invalid 'AttributeConstraint': %s", role,
                             why.text);
        }
    }
    return 0;
}

static int read_role(const Mesos__V1__Scheduler__OfferConstraints__RoleConstraintsEntry *entry,
                     const struct pattern_limits *limits, struct arena *arena,
                     struct role_groups *role, struct error *err)
{
    role->role = entry->key != NULL ? entry->key : "";
    size_t count = entry->value != NULL ? entry->value->n_groups : 0;
    if (count == 0) {
        return error_set(err, -EINVAL,
                         "'OfferConstraints::role_constraints' has an empty "
                         "'RoleConstraints::groups' for role %s",
                         role->role);
    }
    role->groups = arena_calloc(arena, count, sizeof(role->groups[0]));
    for (size_t i = 0; i < count; i++) {
        int r = read_group(entry->value->groups[i], role->role, limits, arena,
                           &role->groups[role->count++], err);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

int constraints_new(const Mesos__V1__Scheduler__OfferConstraints *message,
                    const struct pattern_limits *limits, struct constraints **ret_constraints,
                    struct error *err)
{
    struct constraints *made = mem_zalloc(sizeof(*made));
    made->arena = arena_new(512, 0);
    const Mesos__V1__Scheduler__OfferConstraints *copy =
        WIRE_COPY(made->arena, Mesos__V1__Scheduler__OfferConstraints, message);
    made->roles = arena_calloc(made->arena, copy->n_role_constraints + 1, sizeof(made->roles[0]));
    for (size_t i = 0; i < copy->n_role_constraints; i++) {
        int r = read_role(copy->role_constraints[i], limits, made->arena,
                          &made->roles[made->count++], err);
        if (r < 0) {
            constraints_free(made);
            return r;
        }
    }
    *ret_constraints = made;
    return 0;
}

struct constraints *constraints_free(struct constraints *constraints)
{
    if (constraints == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < constraints->count; i++) {
        const struct role_groups *role = &constraints->roles[i];
        for (size_t k = 0; k < role->count; k++) {
            for (size_t n = 0; n < role->groups[k].count; n++) {
                pattern_free(role->groups[k].conditions[n].pattern);
            }
        }
    }
    arena_free(constraints->arena);
    mem_free(constraints);
    return NULL;
}

// ---- judging ----

// What a selector finds on an agent.
struct found {
    bool exists;
    const char *text; // NULL: it is no text
};

static struct found find_pseudo(int type, const Mesos__V1__AgentInfo *info)
{
    if (type == PSEUDO(HOSTNAME)) {
        return (struct found){.exists = true, .text = info->hostname};
    }
    const Mesos__V1__DomainInfo__FaultDomain *domain =
        info->domain != NULL ? info->domain->fault_domain : NULL;
    if (domain == NULL) {
        return (struct found){0};
    }
    return (struct found){
        .exists = true, .text = type == PSEUDO(REGION) ? domain->region->name : domain->zone->name};
}

static struct found find(const Mesos__V1__Scheduler__AttributeConstraint__Selector *selector,
                         const Mesos__V1__AgentInfo *info)
{
    if (selector->selector_case == SELECTOR(PSEUDOATTRIBUTE_TYPE)) {
        return find_pseudo((int)selector->pseudoattribute_type, info);
    }
    for (size_t i = 0; i < info->n_attributes; i++) {
        const Mesos__V1__Attribute *attribute = info->attributes[i];
        if (strcmp(attribute->name, selector->attribute_name) == 0) {
            bool is_text =
                attribute->type == MESOS__V1__VALUE__TYPE__TEXT && attribute->text != NULL;
            return (struct found){.exists = true, .text = is_text ? attribute->text->value : NULL};
        }
    }
    return (struct found){0};
}

static bool is_met(const struct condition *condition, const Mesos__V1__AgentInfo *info)
{
    struct found found = find(condition->selector, info);
    const Mesos__V1__Scheduler__AttributeConstraint__Predicate *predicate = condition->predicate;
    switch (predicate->predicate_case) {
    case PREDICATE(EXISTS):
        return found.exists;
    case PREDICATE(NOT_EXISTS):
        return !found.exists;
    case PREDICATE(TEXT_EQUALS):
        return found.exists &&
               (found.text == NULL || strcmp(found.text, predicate->text_equals->value) == 0);
    case PREDICATE(TEXT_NOT_EQUALS):
        return !found.exists || found.text == NULL ||
               strcmp(found.text, predicate->text_not_equals->value) != 0;
    case PREDICATE(TEXT_MATCHES):
        return found.exists &&
               (found.text == NULL || pattern_is_match(condition->pattern, found.text));
    default: // TEXT_NOT_MATCHES: there are no others
        return !found.exists || found.text == NULL ||
               !pattern_is_match(condition->pattern, found.text);
    }
}

static bool is_group_met(const struct group *group, const Mesos__V1__AgentInfo *info)
{
    for (size_t i = 0; i < group->count; i++) {
        if (!is_met(&group->conditions[i], info)) {
            return false;
        }
    }
    return true;
}

bool constraints_exclude(const struct constraints *constraints, const char *role,
                         const Mesos__V1__AgentInfo *info)
{
    for (size_t i = 0; i < constraints->count; i++) {
        const struct role_groups *groups = &constraints->roles[i];
        if (strcmp(groups->role, role) != 0) {
            continue;
        }
        for (size_t k = 0; k < groups->count; k++) {
            if (is_group_met(&groups->groups[k], info)) {
                return false;
            }
        }
        return true;
    }
    return false;
}
