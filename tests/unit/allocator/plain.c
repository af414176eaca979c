// SPDX-License-Identifier: Apache-2.0
//
// The plain allocator's arithmetic.

#include "plain.h"

#include <stdio.h>
#include <string.h>

#include "model/framework.h"
#include "model/resource_entry.h"

const char *const role_names[ROLES] = {"a", "a/b", "a/b/c", "a/d", "c", "*"};
const int role_parents[ROLES] = {-1, 0, 1, 0, -1, -1};
const char *const plain_names[NAMES] = {"cpus", "mem", "disk", "gpus"};

bool plain_is_within(int role, int scope)
{
    while (role >= 0 && role != scope) {
        role = role_parents[role];
    }
    return role == scope;
}

static bool is_not_shared(const struct resource_entry *entry, const void *ctx)
{
    (void)ctx;
    return !entry->kind->shared;
}

struct resources *plain_available(const struct world *w, int agent)
{
    struct resources *rest = resources_copy(w->agents[agent].total);
    for (int f = 0; f < FRAMEWORKS; f++) {
        for (int r = 0; r < ROLES; r++) {
            AUTO_RESOURCES struct resources *held =
                resources_filter(w->frameworks[f].held[r][agent], is_not_shared, NULL);
            resources_unallocate(held);
            resources_subtract_available(rest, held);
        }
    }
    return rest;
}

// ---- shares ----

static double total_of(const struct world *w, const char *name)
{
    int64_t sum = 0;
    for (int s = 0; s < AGENTS; s++) {
        sum += w->agents[s].is_there ? resources_scalar(w->agents[s].total, name) : 0;
    }
    return (double)sum;
}

// What is held in the scope on an agent, as one: of shared resources many copies, which count once.
static struct resources *held_of(const struct world *w, int framework, int scope, bool is_own,
                                 int agent)
{
    struct resources *sum = resources_new();
    for (int f = 0; f < FRAMEWORKS; f++) {
        for (int r = 0; r < ROLES; r++) {
            if ((framework < 0 || framework == f) &&
                (is_own ? r == scope : plain_is_within(r, scope))) {
                AUTO_RESOURCES struct resources *held =
                    resources_copy(w->frameworks[f].held[r][agent]);
                resources_unallocate(held);
                resources_add(sum, held);
            }
        }
    }
    return sum;
}

static double dominant(const struct world *w, int framework, int scope, bool is_own)
{
    double most = 0;
    for (size_t n = 0; n < NAMES; n++) {
        int64_t sum = 0;
        for (int s = 0; s < AGENTS; s++) {
            AUTO_RESOURCES struct resources *held = held_of(w, framework, scope, is_own, s);
            sum += resources_scalar(held, plain_names[n]);
        }
        double total = total_of(w, plain_names[n]);
        if (total > 0 && (double)sum / total > most) {
            most = (double)sum / total;
        }
    }
    return most;
}

double plain_share(const struct world *w, int framework, int role)
{
    return framework < 0 ? dominant(w, -1, role, false) / w->roles[role].weight
                         : dominant(w, framework, role, true);
}

static int compare_numbers(double share1, double share2, uint64_t count1, uint64_t count2)
{
    if (share1 != share2) {
        return share1 < share2 ? -1 : 1;
    }
    return count1 < count2 ? -1 : count1 > count2;
}

// The role that stands below `top` on the way to `role`; -1: it is `top` itself.
static int branch(int role, int top)
{
    int below = -1;
    while (role != top) {
        below = role;
        role = role_parents[role];
    }
    return below;
}

static int depth(int role)
{
    return role < 0 ? 0 : 1 + depth(role_parents[role]);
}

static int compare_roles(const struct world *w, int role1, int role2)
{
    int top1 = role1;
    int top2 = role2;
    while (top1 != top2) {
        if (depth(top1) >= depth(top2)) {
            top1 = role_parents[top1];
        } else {
            top2 = role_parents[top2];
        }
    }
    int x = branch(role1, top1);
    int y = branch(role2, top1);
    double share1 = x < 0 ? dominant(w, -1, top1, true) : plain_share(w, -1, x);
    double share2 = y < 0 ? dominant(w, -1, top1, true) : plain_share(w, -1, y);
    int order = compare_numbers(
        share1, share2, x < 0 ? w->roles[top1].own_allocations : w->roles[x].all_allocations,
        y < 0 ? w->roles[top1].own_allocations : w->roles[y].all_allocations);
    return order != 0 ? order : x < 0 ? -1 : y < 0 ? 1 : strcmp(role_names[x], role_names[y]);
}

int plain_compare(const struct world *w, int framework1, int role1, int framework2, int role2)
{
    if (role1 != role2) {
        return compare_roles(w, role1, role2);
    }
    int order = compare_numbers(
        plain_share(w, framework1, role1), plain_share(w, framework2, role2),
        w->frameworks[framework1].allocations[role1], w->frameworks[framework2].allocations[role1]);
    return order != 0 ? order : framework1 - framework2;
}

// ---- quotas ----

static int64_t firm_of(const struct resources *r, const char *name)
{
    AUTO_RESOURCES struct resources *unreserved = resources_unreserved(r);
    return resources_scalar_of(unreserved, name, false);
}

int64_t plain_consumed(const struct world *w, int role, int name)
{
    int64_t sum = 0;
    for (int s = 0; s < AGENTS; s++) {
        for (int r = 0; r < ROLES; r++) {
            if (!plain_is_within(r, role)) {
                continue;
            }
            if (w->agents[s].is_there) {
                AUTO_RESOURCES struct resources *reserved =
                    resources_reserved(w->agents[s].total, role_names[r]);
                sum += resources_scalar(reserved, plain_names[name]);
            }
            for (int f = 0; f < FRAMEWORKS; f++) {
                sum += firm_of(w->frameworks[f].held[r][s], plain_names[name]);
            }
        }
    }
    return sum;
}

static int64_t need(const struct world *w, int role, int name);

static int64_t need_below(const struct world *w, int role, int name)
{
    int64_t sum = 0;
    for (int r = 0; r < ROLES; r++) {
        sum += role_parents[r] == role ? need(w, r, name) : 0;
    }
    return sum;
}

static int64_t need(const struct world *w, int role, int name)
{
    int64_t below = need_below(w, role, name);
    const struct plain_role *r = &w->roles[role];
    if (!r->has_quota || r->guarantees[name] == 0) {
        return below;
    }
    int64_t lacking = r->guarantees[name] - plain_consumed(w, role, name);
    return lacking > below ? lacking : below;
}

static int64_t assured(const struct world *w, int role, int name)
{
    int64_t sum = 0;
    for (int r = role; r >= 0; r = role_parents[r]) {
        sum += need(w, r, name) - need_below(w, r, name);
    }
    return sum;
}

static int64_t remaining(const struct world *w, int role, int name)
{
    int64_t least = INT64_MAX;
    for (int r = role; r >= 0; r = role_parents[r]) {
        if (w->roles[r].has_quota && w->roles[r].limits[name] >= 0) {
            int64_t left = w->roles[r].limits[name] - plain_consumed(w, r, name);
            left = left > 0 ? left : 0;
            least = left < least ? left : least;
        }
    }
    return least;
}

static int64_t surplus(const struct world *w, int name)
{
    int64_t sum = 0;
    for (int s = 0; s < AGENTS; s++) {
        sum += w->agents[s].is_there ? firm_of(w->agents[s].total, plain_names[name]) : 0;
        for (int f = 0; f < FRAMEWORKS; f++) {
            for (int r = 0; r < ROLES; r++) {
                sum -= firm_of(w->frameworks[f].held[r][s], plain_names[name]);
            }
        }
    }
    for (int r = 0; r < ROLES; r++) {
        sum -= role_parents[r] < 0 ? need(w, r, name) : 0;
    }
    return sum > 0 ? sum : 0;
}

static bool has_guarantees(const struct world *w)
{
    for (int r = 0; r < ROLES; r++) {
        for (int n = 0; n < NAMES; n++) {
            if (w->roles[r].has_quota && w->roles[r].guarantees[n] > 0) {
                return true;
            }
        }
    }
    return false;
}

static void chop(const struct world *w, int role, struct resources *offer)
{
    for (int n = 0; n < NAMES; n++) {
        int64_t budget = remaining(w, role, n);
        if (has_guarantees(w)) {
            int64_t free = assured(w, role, n) + surplus(w, n);
            budget = free < budget ? free : budget;
        }
        int64_t excess = firm_of(offer, plain_names[n]) - budget;
        if (budget == INT64_MAX || excess <= 0) {
            continue;
        }
        char text[64];
        snprintf(text, sizeof(text), "%s:%.3f", plain_names[n], (double)excess / 1000);
        AUTO_RESOURCES struct resources *part = parse(text);
        resources_subtract(offer, part);
    }
}

bool plain_is_progress(const struct world *w, int role, int agent)
{
    AUTO_RESOURCES struct resources *rest = plain_available(w, agent);
    for (int n = 0; n < NAMES; n++) {
        if (has_guarantees(w) && firm_of(rest, plain_names[n]) > 0 && assured(w, role, n) > 0) {
            return true;
        }
    }
    return false;
}

// ---- claims ----

static bool is_filtered(const struct world *w, int framework, int role, int agent,
                        const struct resources *offer)
{
    for (size_t i = 0; i < w->filter_count; i++) {
        const struct plain_filter *filter = &w->filters[i];
        if (filter->framework == framework && filter->role == role && filter->agent == agent &&
            filter->deadline > w->now.mono && resources_contains(filter->refused, offer)) {
            return true;
        }
    }
    return false;
}

static bool is_enough(const struct plain_framework *f, const struct resources *offer)
{
    if (f->least_cpus > 0) {
        return resources_scalar(offer, "cpus") >= f->least_cpus;
    }
    return resources_scalar(offer, "cpus") >= 10 || resources_scalar(offer, "mem") >= 32000;
}

static bool may_have(const struct world *w, int framework, int role, int agent)
{
    const struct plain_framework *f = &w->frameworks[framework];
    const struct plain_agent *s = &w->agents[agent];
    return f->is_there && f->is_active && f->subscribed[role] && !f->suppressed[role] &&
           s->is_there && s->is_active && !s->is_unlisted &&
           (f->rack < 0 || f->rack == agent % 2) &&
           (resources_scalar(s->total, "gpus") == 0 || (f->capabilities & CAPABLE(GPU_RESOURCES)));
}

static void keep(struct resources **r, struct resources *kept)
{
    resources_free(*r);
    *r = kept;
}

struct resources *plain_claim(const struct world *w, int framework, int role, int agent,
                              bool may_share)
{
    if (!may_have(w, framework, role, agent)) {
        return NULL;
    }
    const struct plain_framework *f = &w->frameworks[framework];
    AUTO_RESOURCES struct resources *rest = plain_available(w, agent);
    struct resources *offer = resources_allocatable_to(rest, role_names[role]);
    if (!(f->capabilities & CAPABLE(REVOCABLE_RESOURCES))) {
        keep(&offer, resources_non_revocable(offer));
    }
    if (!(f->capabilities & CAPABLE(SHARED_RESOURCES)) || !may_share) {
        keep(&offer, resources_filter(offer, is_not_shared, NULL));
    }
    for (int round = 0; round < 2; round++) {
        if (!is_enough(f, offer) || is_filtered(w, framework, role, agent, offer)) {
            return resources_free(offer);
        }
        chop(w, role, offer);
    }
    return offer;
}

// ---- what the allocator keeps ----

bool plain_is_member(const struct world *w, int framework, int role)
{
    const struct plain_framework *f = &w->frameworks[framework];
    bool is_used = f->is_there && f->subscribed[role];
    for (int s = 0; s < AGENTS && !is_used; s++) {
        is_used = !resources_is_empty(f->held[role][s]);
    }
    return is_used;
}

bool plain_is_kept(const struct world *w, int role)
{
    bool is_kept = w->roles[role].weight != 1.0 || w->roles[role].has_quota;
    for (int f = 0; f < FRAMEWORKS && !is_kept; f++) {
        is_kept = plain_is_member(w, f, role);
    }
    for (int s = 0; s < AGENTS && !is_kept; s++) {
        if (w->agents[s].is_there) {
            AUTO_RESOURCES struct resources *reserved =
                resources_reserved(w->agents[s].total, role_names[role]);
            is_kept = !resources_is_empty(reserved);
        }
    }
    for (int r = 0; r < ROLES && !is_kept; r++) {
        is_kept = role_parents[r] == role && plain_is_kept(w, r);
    }
    return is_kept;
}
