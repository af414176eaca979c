// SPDX-License-Identifier: Apache-2.0
//
// A round: each agent that changed goes to the first member in the order that takes it.
//
// Where guarantees are not met, the agents are gone through twice, as in Mesos: first for roles
// that come nearer to a guarantee by what the agent has, then for all. Agents that quotas kept from
// somebody are held back, and looked at again when quotas have relaxed.

#include <stdlib.h>
#include <string.h>

#include "allocator/state.h"
#include "base/check.h"
#include "base/mem.h"

enum stage { STAGE_GUARANTEES, STAGE_ALL };

// ---- offers ----

static struct resources *take_offer(struct allocator *a, struct alloc_agent *agent,
                                    struct alloc_member *member, enum offer_verdict *ret_verdict)
{
    *ret_verdict = OFFER_MADE;
    agent->is_level_sound = false;
    if (offer_is_whole(a, agent, member)) {
        struct resources *all = agent->available;
        agent->available = &agent_nothing;
        return all;
    }
    enum offer_obstacle obstacle;
    struct resources *offer = offer_draft(a, agent, member, &obstacle, NULL);
    *ret_verdict = offer_verdict_of(obstacle);
    if (offer == NULL) {
        return NULL;
    }
    bool has_shared = false;
    for (uint32_t i = 0; i < offer->count && agent->has_shared; i++) {
        has_shared = has_shared || offer->entries[i].kind->shared;
    }
    if (!has_shared) {
        resources_subtract(agent->available, offer);
        return offer;
    }
    // Shared resources stay, but are offered once a run only.
    agent->shared_run = a->runs;
    for (uint32_t i = 0; i < offer->count; i++) {
        if (!offer->entries[i].kind->shared) {
            AUTO_RESOURCES struct resources *one = resources_new();
            resources_add_entry(one, &offer->entries[i]);
            resources_subtract(agent->available, one);
        }
    }
    return offer;
}

// Until the next agent.
static void skip(struct allocator *a, const struct alloc_member *member)
{
    bits_set(&a->skipped, member->number);
    a->is_any_skipped = true;
}

static void skip_nobody(struct allocator *a)
{
    if (a->is_any_skipped) {
        bits_clear_all(&a->skipped);
        a->is_any_skipped = false;
    }
}

static enum offer_verdict offer_to(struct allocator *a, struct alloc_agent *agent,
                                   struct alloc_member *member)
{
    bool was_sound = agent->is_level_sound;
    enum offer_verdict verdict;
    struct resources *offer = take_offer(a, agent, member, &verdict);
    if (offer == NULL) {
        agent->is_level_sound = was_sound;
        if (verdict == OFFER_NOT_WANTED) {
            agent_block(agent, member->number);
        } else {
            skip(a, member);
            if (a->quota_count > 0) {
                quota_note_low(a, member->role);
            }
        }
        return verdict;
    }
    resources_set_role(offer, member->role->name);
    struct alloc_bond *bond = bond_get(a, agent, member);
    order_charge(a, agent, member, offer, 1, true);
    bool is_kept = bond->held == NULL;
    if (is_kept) {
        bond->held = offer;
    } else {
        resources_add(bond->held, offer);
    }
    framework_note_offer(a, member, agent, offer);
    a->callbacks.offer(a->ctx, framework_id(member->framework), member->role->name->text, agent->id,
                       offer);
    if (!is_kept) {
        agent_drop_resources(agent, offer);
    }
    return verdict;
}

// ---- who may be asked ----

// Members that are worth asking about the agent, of one word.
static uint64_t candidate_bits(const struct allocator *a, const struct alloc_agent *agent,
                               enum stage stage, size_t word)
{
    uint64_t bits = bits_word(&a->wanting, word) & ~bits_word(&agent->blocked, word);
    if (a->quota_count == 0) {
        return bits & ~bits_word(&a->skipped, word);
    }
    bits &= ~bits_word(&a->skipped, word);
    if (stage == STAGE_GUARANTEES) {
        bits &= bits_word(&a->assured, word);
    }
    if (agent->is_plain) {
        bits &= ~bits_word(&a->exhausted, word);
        if (a->is_surplus_exhausted) {
            bits &= bits_word(&a->assured, word) | bits_word(&a->peculiar, word);
        }
    }
    return bits;
}

static bool is_candidate(const struct allocator *a, const struct alloc_agent *agent,
                         enum stage stage, uint32_t number)
{
    return ((candidate_bits(a, agent, stage, number / 64) >> (number % 64)) & 1) != 0;
}

enum { FEW_CANDIDATES = 8 };

// Stops counting when they are more than a few.
static size_t count_candidates(const struct allocator *a, const struct alloc_agent *agent,
                               enum stage stage)
{
    size_t count = 0;
    for (size_t i = 0; i < a->wanting.count && count <= FEW_CANDIDATES; i++) {
        for (uint64_t bits = candidate_bits(a, agent, stage, i);
             bits != 0 && count <= FEW_CANDIDATES; bits &= bits - 1) {
            count++;
        }
    }
    return count;
}

// In the first stage only those are asked for whom the agent has something of what they lack.
static bool is_progress(struct allocator *a, const struct alloc_agent *agent,
                        const struct alloc_member *member)
{
    for (uint32_t i = 0; i < agent->available->count; i++) {
        const struct resource_entry *entry = &agent->available->entries[i];
        if (entry_is_firm(entry) &&
            quota_assured(member->role, name_number(a, entry->kind->interned_name)) > 0) {
            return true;
        }
    }
    return false;
}

static bool ask(struct allocator *a, struct alloc_agent *agent, enum stage stage,
                struct alloc_member *member)
{
    if (stage == STAGE_GUARANTEES && !is_progress(a, agent, member)) {
        skip(a, member);
        return false;
    }
    return offer_to(a, agent, member) == OFFER_MADE;
}

// ---- who comes first ----

static struct alloc_member *first_of_few(const struct allocator *a, const struct alloc_agent *agent,
                                         enum stage stage)
{
    struct alloc_member *first = NULL;
    for (size_t i = 0; i < a->wanting.count; i++) {
        for (uint64_t bits = candidate_bits(a, agent, stage, i); bits != 0; bits &= bits - 1) {
            struct alloc_member *member = a->members[i * 64 + (size_t)__builtin_ctzll(bits)];
            if (first == NULL || order_compare(a, member, first) < 0) {
                first = member;
            }
        }
    }
    return first;
}

static bool ask_member(struct allocator *a, struct alloc_agent *agent, enum stage stage,
                       struct alloc_member *member)
{
    return is_candidate(a, agent, stage, member->number) && ask(a, agent, stage, member);
}

enum answer { TAKEN, NOT_TAKEN, LOST /* the order is not known */ };

static enum answer ask_members_by_chance(struct allocator *a, struct alloc_agent *agent,
                                         enum stage stage, struct alloc_role *role)
{
    size_t count = 0;
    TREE_FOREACH(&role->order, node)
    {
        a->drawn[count++] = member_at(node);
    }
    while (count > 0) {
        size_t k = (size_t)prng_below(&a->prng, count);
        struct alloc_member *member = a->drawn[k];
        a->drawn[k] = a->drawn[--count];
        if (ask_member(a, agent, stage, member)) {
            return TAKEN;
        }
    }
    return NOT_TAKEN;
}

static enum answer ask_role_members(struct allocator *a, struct alloc_agent *agent,
                                    enum stage stage, struct alloc_role *role)
{
    if (a->is_framework_random) {
        return ask_members_by_chance(a, agent, stage, role);
    }
    if (role->only != NULL) { // without a look at the order
        return ask_member(a, agent, stage, role->only) ? TAKEN : NOT_TAKEN;
    }
    struct order_walk walk;
    order_walk_begin(a, &role->order, true, &walk);
    for (struct tree_node *node; (node = order_walk_next(&walk)) != NULL;) {
        if (ask_member(a, agent, stage, member_at(node))) {
            return TAKEN;
        }
    }
    return walk.is_lost ? LOST : NOT_TAKEN;
}

static enum answer ask_by_share(struct allocator *a, struct alloc_agent *agent, enum stage stage,
                                struct alloc_role *role)
{
    if (role->child_count == 0) {
        return ask_role_members(a, agent, stage, role);
    }
    struct order_walk walk;
    order_walk_begin(a, &role->places, false, &walk);
    for (struct tree_node *node; (node = order_walk_next(&walk)) != NULL;) {
        struct alloc_place *place = place_at(node);
        enum answer answer = place->is_own ? ask_role_members(a, agent, stage, role)
                                           : ask_by_share(a, agent, stage, place_role(place));
        if (answer != NOT_TAKEN) {
            return answer;
        }
    }
    return walk.is_lost ? LOST : NOT_TAKEN;
}

// Each role's part of its parent's weight, times the parent's own part.
static size_t weigh_roles(struct allocator *a, struct alloc_role *role, double part, size_t count)
{
    double sum = 0;
    TREE_FOREACH(&role->places, node)
    {
        sum += place_weight(place_at(node));
    }
    TREE_FOREACH(&role->places, node)
    {
        struct alloc_place *place = place_at(node);
        if (!place->is_own) {
            count = weigh_roles(a, place_role(place), part * place_weight(place) / sum, count);
            continue;
        }
        if (count == a->drawn_role_capacity) {
            a->drawn_role_capacity = a->drawn_role_capacity * 2 + 16;
            a->drawn_roles = mem_realloc_array(a->drawn_roles, a->drawn_role_capacity,
                                               sizeof(a->drawn_roles[0]));
        }
        a->drawn_roles[count++] = (struct drawn_role){.role = role, .weight = part / sum};
    }
    return count;
}

static enum answer ask_by_chance(struct allocator *a, struct alloc_agent *agent, enum stage stage)
{
    size_t count = weigh_roles(a, &a->root, 1.0, 0);
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += a->drawn_roles[i].weight;
    }
    while (count > 0) {
        double point = prng_unit(&a->prng) * sum;
        size_t i = 0;
        while (i + 1 < count && point >= a->drawn_roles[i].weight) {
            point -= a->drawn_roles[i++].weight;
        }
        struct drawn_role drawn = a->drawn_roles[i];
        sum -= drawn.weight;
        a->drawn_roles[i] = a->drawn_roles[--count];
        enum answer answer = ask_role_members(a, agent, stage, drawn.role);
        if (answer != NOT_TAKEN) {
            return answer;
        }
    }
    return NOT_TAKEN;
}

// Walks the order until one takes the agent.
static bool offer_to_first(struct allocator *a, struct alloc_agent *agent, enum stage stage)
{
    for (;;) {
        enum answer answer = a->is_role_random ? ask_by_chance(a, agent, stage)
                                               : ask_by_share(a, agent, stage, &a->root);
        if (answer != LOST) {
            return answer == TAKEN;
        }
        order_rebase(a); // nobody was found to take it yet
    }
}

// ---- an agent ----

static bool is_worth_asking(const struct allocator *a, const struct alloc_agent *agent)
{
    // Members with minimums of their own may take less.
    return a->peculiar_count > 0
               ? !resources_is_empty(agent->available)
               : minimums_are_met(a->minimums, a->minimum_count, agent->available);
}

static bool wants_more(const struct allocator *a, const struct alloc_agent *agent)
{
    for (size_t i = 0; i < a->wanting.count; i++) {
        if ((bits_word(&a->wanting, i) & ~bits_word(&agent->blocked, i)) != 0) {
            return true;
        }
    }
    return false;
}

static size_t visit(struct allocator *a, struct alloc_agent *agent, enum stage stage)
{
    agent_catch_up(a, agent);
    skip_nobody(a);
    bool is_random = a->is_role_random || a->is_framework_random;
    size_t offers = 0;
    while (is_worth_asking(a, agent)) {
        size_t candidates = count_candidates(a, agent, stage);
        if (candidates == 0) {
            break;
        }
        if (candidates > FEW_CANDIDATES || (is_random && candidates > 1)) {
            if (!offer_to_first(a, agent, stage)) {
                break;
            }
            offers++;
        } else {
            offers += ask(a, agent, stage, first_of_few(a, agent, stage));
        }
    }
    agent_note_free(a, agent);
    if (stage == STAGE_ALL) {
        agent_set_held_back(
            a, agent, a->quota_count > 0 && is_worth_asking(a, agent) && wants_more(a, agent));
    }
    return offers;
}

// ---- the order of agents ----

static void shuffle(struct allocator *a, struct alloc_agent **agents, size_t count)
{
    for (size_t i = count; i > 1; i--) {
        size_t k = (size_t)prng_below(&a->prng, i);
        struct alloc_agent *agent = agents[i - 1];
        agents[i - 1] = agents[k];
        agents[k] = agent;
    }
}

// The part of it that is free, of the scalar that most is free of.
static double free_part(const struct alloc_agent *agent)
{
    double part = 0;
    for (uint32_t i = 0; i < agent->available->count; i++) {
        const struct resource_entry *entry = &agent->available->entries[i];
        if (entry->kind->type != MESOS__V1__VALUE__TYPE__SCALAR) {
            continue;
        }
        int64_t total = resources_scalar(agent->total, entry->kind->name);
        double one = total > 0 ? (double)entry->scalar / (double)total : 0;
        part = one > part ? one : part;
    }
    return part;
}

static int compare_fullness(const void *x_, const void *y_)
{
    const struct alloc_agent *x = *(struct alloc_agent *const *)x_;
    const struct alloc_agent *y = *(struct alloc_agent *const *)y_;
    return (x->free_part > y->free_part) - (x->free_part < y->free_part);
}

static void arrange(struct allocator *a)
{
    shuffle(a, a->dirty, a->dirty_count);
    if (a->is_packing && a->dirty_count > 1) {
        for (size_t i = 0; i < a->dirty_count; i++) {
            a->dirty[i]->free_part = free_part(a->dirty[i]);
        }
        qsort(a->dirty, a->dirty_count, sizeof(a->dirty[0]), compare_fullness);
    }
}

// ---- the round ----

static void prefetch_lines(const void *memory, size_t size)
{
    enum { LINE = 64 };
    for (size_t at = 0; at < size; at += LINE) {
        __builtin_prefetch((const char *)memory + at, 1);
    }
}

// Agents are looked at in random order, so memory is asked for them ahead.
static void prefetch_agent(const struct allocator *a, size_t i)
{
    enum { AHEAD = 12 };
    if (i + AHEAD < a->dirty_count) {
        const struct alloc_agent *agent = a->dirty[i + AHEAD];
        prefetch_lines(agent, AGENT_HOT);
    }
}

// Likewise those who will be asked about the next agents: who stands second in the order, third,
// and so on. At each distance only such memory is read as was asked for at the one before, while
// the last agent was looked at.
enum { AHEAD_NOTE = 1, AHEAD_FRAMEWORK, AHEAD_MEMBER, AHEAD_NODE };

static void prefetch_member(const struct alloc_member *member, int ahead)
{
    const struct alloc_framework *framework = member->framework;
    if (ahead == AHEAD_FRAMEWORK) {
        prefetch_lines(framework, offsetof(struct alloc_framework, long_id));
        __builtin_prefetch(member->role->name, 1);
    } else if (ahead == AHEAD_NOTE && framework->notes != NULL) {
        prefetch_lines(framework_next_note(framework), sizeof(struct alloc_note));
    }
}

static void prefetch_role(const struct alloc_role *role, int ahead)
{
    if (role->only == NULL) {
        return;
    }
    if (ahead == AHEAD_MEMBER) {
        prefetch_lines(role->only, offsetof(struct alloc_member, in_order));
    } else {
        prefetch_member(role->only, ahead);
    }
}

static void prefetch_order(const struct allocator *a)
{
    const struct tree_node *node = a->root.places.first;
    bool is_role = a->root.places.count > 1;
    if (node != NULL && !is_role) {
        node = place_role(place_at(node))->order.first;
    }
    for (int ahead = 0; node != NULL && ahead < AHEAD_NODE; ahead++, node = node->next) {
        if (ahead > 0 && is_role) {
            prefetch_role(place_role(place_at(node)), ahead);
        } else if (ahead > 0) {
            prefetch_member(member_at(node), ahead);
        }
    }
    if (node != NULL && is_role) {
        prefetch_lines(place_at(node), offsetof(struct alloc_role, order));
    } else if (node != NULL) {
        prefetch_lines(member_at(node), offsetof(struct alloc_member, bonds));
    }
}

static size_t visit_dirty(struct allocator *a)
{
    size_t offers = 0;
    arrange(a);
    if (a->root.is_assured || a->guarantee_count > 0) {
        for (size_t i = 0; i < a->dirty_count; i++) {
            offers += visit(a, a->dirty[i], STAGE_GUARANTEES);
        }
        arrange(a);
    }
    for (size_t i = 0; i < a->dirty_count; i++) {
        struct alloc_agent *agent = a->dirty[i];
        prefetch_agent(a, i);
        if (i + 1 < a->dirty_count) {
            prefetch_order(a);
        }
        agent->dirty_at = 0;
        offers += visit(a, agent, STAGE_ALL);
    }
    a->dirty_count = 0;
    return offers;
}

// Whether quotas may give anybody more who is to be looked at again.
static bool is_any_left(const struct allocator *a)
{
    for (size_t i = 0; i < a->relaxed.count; i++) {
        uint64_t bits = a->relaxed.words[i] & bits_word(&a->wanting, i);
        if (a->held_back_rough == 0) {
            bits &= ~bits_word(&a->exhausted, i);
            if (a->is_surplus_exhausted) {
                bits &= bits_word(&a->assured, i) | bits_word(&a->peculiar, i);
            }
        }
        if (bits != 0) {
            return true;
        }
    }
    return false;
}

static bool is_concerned(const struct allocator *a, const struct alloc_agent *agent)
{
    for (size_t i = 0; i < a->relaxed.count; i++) {
        if ((a->relaxed.words[i] & candidate_bits(a, agent, STAGE_ALL, i)) != 0) {
            return true;
        }
    }
    return false;
}

// Those that are held back, in random order, until quotas allow no more.
static size_t visit_held_back(struct allocator *a, enum stage stage)
{
    size_t offers = 0;
    for (size_t left = a->held_back_count; left > 0 && is_any_left(a); left--) {
        size_t at = (size_t)prng_below(&a->prng, left);
        struct alloc_agent *agent = a->held_back[at];
        struct alloc_agent *last = a->held_back[left - 1];
        a->held_back[at] = last;
        last->held_back_at = (uint32_t)at + 1;
        a->held_back[left - 1] = agent;
        agent->held_back_at = (uint32_t)left;
        agent_catch_up(a, agent);
        skip_nobody(a);
        if (is_concerned(a, agent)) {
            offers += visit(a, agent, stage);
        }
    }
    return offers;
}

static int64_t batch_time(const struct allocator *a)
{
    if (a->offer_interval_ns <= 0 || a->is_urgent || !a->has_run) {
        return INT64_MIN;
    }
    return a->last_run + a->offer_interval_ns;
}

static bool is_work(const struct allocator *a)
{
    return a->wanting_count > 0 && (a->dirty_count > 0 || quota_is_relaxed(a));
}

int64_t allocator_next(const struct allocator *a)
{
    int64_t next = timers_next(&a->timers);
    if (is_work(a)) {
        int64_t at = batch_time(a);
        if (at < a->paused_until) {
            at = a->paused_until;
        }
        if (at < next) {
            next = at;
        }
    }
    return next;
}

size_t allocator_run(struct allocator *a, struct instant now)
{
    CHECK(!a->is_running);
    timers_run(&a->timers, now);
    if (!is_work(a) || batch_time(a) > now.mono || a->paused_until > now.mono) {
        return 0;
    }
    a->runs++;
    a->has_run = true;
    a->last_run = now.mono;
    a->now = now;
    a->is_urgent = false;
    a->is_running = true;
    order_refresh(a, a->dirty_count);
    size_t offers = visit_dirty(a);
    if (quota_collect_relaxed(a)) {
        if (a->guarantee_count > 0) {
            offers += visit_held_back(a, STAGE_GUARANTEES);
        }
        offers += visit_held_back(a, STAGE_ALL);
    }
    a->is_running = false;
    return offers;
}
