// SPDX-License-Identifier: Apache-2.0
//
// A round: each agent that changed goes to the first member in the order that takes it. As in
// Mesos, all that an agent has free, and that the member's role and capabilities allow, makes one
// offer.

#include <errno.h>
#include <string.h>

#include "allocator/state.h"
#include "base/check.h"
#include "base/mem.h"
#include "base/text.h"
#include "model/framework.h"

// ---- worth an offer ----

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

static bool is_worth_offer(const struct allocator *a, const struct resources *r)
{
    if (resources_is_empty(r)) {
        return false;
    }
    for (size_t i = 0; i < a->minimum_count; i++) {
        const struct alloc_minimum *minimum = &a->minimums[i];
        bool is_enough = true;
        for (size_t k = 0; k < minimum->count && is_enough; k++) {
            is_enough =
                quantity_of(r, minimum->quantities[k].name) >= minimum->quantities[k].amount;
        }
        if (is_enough) {
            return true;
        }
    }
    return a->minimum_count == 0;
}

// ---- offers ----

static bool may_take(const struct resource_entry *entry, const void *ctx)
{
    const struct alloc_member *member = ctx;
    const struct resource_kind *kind = entry->kind;
    if (kind->simple) {
        return true;
    }
    unsigned capabilities = member->framework->capabilities;
    if ((kind->shared && !FRAMEWORK_HAS(capabilities, SHARED_RESOURCES)) ||
        (kind->revocable && !FRAMEWORK_HAS(capabilities, REVOCABLE_RESOURCES)) ||
        (kind->reservation_count > 1 && !FRAMEWORK_HAS(capabilities, RESERVATION_REFINEMENT))) {
        return false;
    }
    return kind->role == NULL || kind->role == member->role->name ||
           role_is_below(member->role->name->text, kind->role->text);
}

// Takes out of the agent's free resources what the member would be offered; NULL when it would not
// be.
static struct resources *take_offer(struct allocator *a, struct alloc_agent *agent,
                                    const struct alloc_member *member)
{
    if (a->filter_gpu_resources && agent->has_gpus &&
        !FRAMEWORK_HAS(member->framework->capabilities, GPU_RESOURCES)) {
        return NULL;
    }
    const struct alloc_bond *bond = bond_find(agent, member);
    if (agent->is_plain) {
        if (bond != NULL && bond_is_filtered(bond, agent->available)) {
            return NULL;
        }
        struct resources *offer = agent->available;
        agent->available = resources_new();
        agent->is_level_sound = false;
        return offer;
    }
    AUTO_RESOURCES struct resources *offer = resources_filter(agent->available, may_take, member);
    if (!is_worth_offer(a, offer) || (bond != NULL && bond_is_filtered(bond, offer))) {
        return NULL;
    }
    resources_subtract(agent->available, offer);
    agent->is_level_sound = false;
    return TAKE_PTR(offer);
}

static bool offer_to(struct allocator *a, struct alloc_agent *agent, struct alloc_member *member)
{
    struct resources *offer = take_offer(a, agent, member);
    if (offer == NULL) {
        agent_block(agent, member->number);
        return false;
    }
    resources_set_role(offer, member->role->name);
    struct alloc_bond *bond = bond_get(agent, member);
    order_charge(a, member, offer, 1, true);
    bool is_kept = bond->held == NULL;
    if (is_kept) {
        bond->held = offer;
    } else {
        resources_add(bond->held, offer);
    }
    a->callbacks.offer(a->ctx, member->framework->id, member->role->name->text, agent->id, offer);
    if (!is_kept) {
        resources_free(offer);
    }
    return true;
}

// ---- who comes first ----

enum { FEW_CANDIDATES = 8 };

static uint64_t candidate_bits(const struct allocator *a, const struct alloc_agent *agent,
                               size_t word)
{
    return a->wanting[word] & ~(word < agent->blocked_words ? agent->blocked[word] : 0);
}

// Stops counting when they are more than a few.
static size_t count_candidates(const struct allocator *a, const struct alloc_agent *agent)
{
    size_t count = 0;
    for (size_t i = 0; i < a->wanting_words && count <= FEW_CANDIDATES; i++) {
        for (uint64_t bits = candidate_bits(a, agent, i); bits != 0 && count <= FEW_CANDIDATES;
             bits &= bits - 1) {
            count++;
        }
    }
    return count;
}

static struct alloc_member *first_of_few(const struct allocator *a, const struct alloc_agent *agent)
{
    struct alloc_member *first = NULL;
    for (size_t i = 0; i < a->wanting_words; i++) {
        for (uint64_t bits = candidate_bits(a, agent, i); bits != 0; bits &= bits - 1) {
            struct alloc_member *member = a->members[i * 64 + (size_t)__builtin_ctzll(bits)];
            if (first == NULL || order_compare(member, first) < 0) {
                first = member;
            }
        }
    }
    return first;
}

// Walks the order until one takes the agent.
static bool offer_to_first(struct allocator *a, struct alloc_agent *agent)
{
    for (size_t i = 0; i < a->order_count; i++) {
        const struct alloc_role *role = a->order[i];
        for (size_t k = 0; k < role->order_count; k++) {
            struct alloc_member *member = role->order[k];
            if (!agent_is_blocked(agent, member->number) && offer_to(a, agent, member)) {
                return true;
            }
        }
    }
    return false;
}

static size_t visit(struct allocator *a, struct alloc_agent *agent)
{
    size_t offers = 0;
    while (is_worth_offer(a, agent->available)) {
        size_t candidates = count_candidates(a, agent);
        if (candidates == 0) {
            break;
        }
        if (candidates > FEW_CANDIDATES) {
            if (!offer_to_first(a, agent)) {
                break;
            }
            offers++;
        } else {
            offers += offer_to(a, agent, first_of_few(a, agent));
        }
    }
    return offers;
}

// ---- the round ----

static void shuffle(struct allocator *a, struct alloc_agent **agents, size_t count)
{
    for (size_t i = count; i > 1; i--) {
        size_t k = (size_t)prng_below(&a->prng, i);
        struct alloc_agent *agent = agents[i - 1];
        agents[i - 1] = agents[k];
        agents[k] = agent;
    }
}

static int64_t batch_time(const struct allocator *a)
{
    if (a->offer_interval_ns <= 0 || a->is_urgent || !a->has_run) {
        return INT64_MIN;
    }
    return a->last_run + a->offer_interval_ns;
}

int64_t allocator_next(const struct allocator *a)
{
    int64_t next = timers_next(&a->timers);
    if (a->dirty_count > 0 && a->wanting_count > 0 && batch_time(a) < next) {
        next = batch_time(a);
    }
    return next;
}

size_t allocator_run(struct allocator *a, struct instant now)
{
    CHECK(!a->is_running);
    timers_run(&a->timers, now);
    if (a->dirty_count == 0 || batch_time(a) > now.mono) {
        return 0;
    }
    a->runs++;
    a->has_run = true;
    a->last_run = now.mono;
    a->is_urgent = false;
    a->is_running = true;
    order_refresh(a);
    shuffle(a, a->dirty, a->dirty_count);
    size_t offers = 0;
    for (size_t i = 0; i < a->dirty_count; i++) {
        struct alloc_agent *agent = a->dirty[i];
        agent->dirty_at = 0;
        offers += visit(a, agent);
    }
    a->dirty_count = 0;
    a->is_running = false;
    return offers;
}
