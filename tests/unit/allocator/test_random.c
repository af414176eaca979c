// SPDX-License-Identifier: Apache-2.0
//
// Random traces against a plain and slow allocator. It is told the same, and checks each offer when
// it is made: whether it may be made at all, whether anybody had a better claim, and after each run
// whether anything was forgotten. Everything is computed anew from tables each time.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "allocator/constraints.h"
#include "model/framework.h"
#include "model/resource_entry.h"
#include "plain.h"
#include "wire/wire.h"

// The sanitizers make it five times as slow.
#if defined(__SANITIZE_ADDRESS__)
enum { STEPS = 150, TRACES = 60 };
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
enum { STEPS = 150, TRACES = 60 };
#else
enum { STEPS = 150, TRACES = 1000 };
#endif
#else
enum { STEPS = 150, TRACES = 1000 };
#endif

static uint64_t current_seed; // for the debugger

static int role_number(const char *name)
{
    int r = 0;
    while (strcmp(role_names[r], name) != 0) {
        r++;
    }
    return r;
}

// Nobody else that could have it goes before. Who comes nearer to a guarantee may go first.
static void check_order(const struct world *w, int framework, int role, int agent)
{
    bool is_progress = plain_is_progress(w, role, agent);
    for (int f = 0; f < FRAMEWORKS; f++) {
        for (int r = 0; r < ROLES; r++) {
            if ((f == framework && r == role) || plain_compare(w, f, r, framework, role) > 0 ||
                (is_progress && !plain_is_progress(w, r, agent))) {
                continue;
            }
            AUTO_RESOURCES struct resources *claim =
                plain_claim(w, f, r, agent, !w->agents[agent].is_shared_out);
            assert_null(claim);
        }
    }
}

static bool has_shared(const struct resources *r)
{
    for (uint32_t i = 0; i < r->count; i++) {
        if (r->entries[i].kind->shared) {
            return true;
        }
    }
    return false;
}

static void check_limits(const struct world *w, int role, const struct resources *offered)
{
    for (int n = 0; n < NAMES; n++) {
        AUTO_RESOURCES struct resources *unreserved = resources_unreserved(offered);
        for (int r = role; r >= 0; r = role_parents[r]) {
            if (w->roles[r].has_quota && w->roles[r].limits[n] >= 0 &&
                resources_scalar_of(unreserved, plain_names[n], false) > 0) {
                assert_true(plain_consumed(w, r, n) <= w->roles[r].limits[n]);
            }
        }
    }
}

// An offer is made.
static void check_offer(void *ctx, const char *framework_id, const char *role_name,
                        const char *agent_id, const struct resources *offered)
{
    struct world *w = ctx;
    int framework = framework_id[1] - '0';
    int agent = agent_id[1] - '0';
    int role = role_number(role_name);
    struct plain_agent *s = &w->agents[agent];
    AUTO_RESOURCES struct resources *expected =
        plain_claim(w, framework, role, agent, !s->is_shared_out);
    if (expected != NULL) {
        resources_allocate(expected, role_name);
    }
    if (expected == NULL || !resources_is_equal(expected, offered)) {
        struct buf text = BUF_INIT;
        if (expected != NULL) {
            resources_put_text(expected, &text);
        }
        buf_puts(&text, "; but offered: ");
        resources_put_text(offered, &text);
        fail_msg("seed %d: %s of %s in %s: expected %s", (int)current_seed, framework_id, agent_id,
                 role_name, text.data);
    }
    if (w->is_ordered) {
        check_order(w, framework, role, agent);
    }
    s->is_shared_out = s->is_shared_out || has_shared(offered);
    resources_add(w->frameworks[framework].held[role][agent], offered);
    w->frameworks[framework].allocations[role]++;
    w->roles[role].own_allocations++;
    for (int r = role; r >= 0; r = role_parents[r]) {
        w->roles[r].all_allocations++;
    }
    check_limits(w, role, offered);
    w->offers++;
    w->outstanding =
        mem_realloc_array(w->outstanding, w->outstanding_count + 1, sizeof(w->outstanding[0]));
    w->outstanding[w->outstanding_count++] = (struct outstanding){
        .framework = framework, .role = role, .agent = agent, .resources = resources_copy(offered)};
}

static void check_amounts(const struct world *w)
{
    for (int n = 0; n < NAMES; n++) {
        int64_t total, held;
        allocator_get_amounts(w->allocator, plain_names[n], &total, &held);
        int64_t expected = 0;
        for (int s = 0; s < AGENTS; s++) {
            expected +=
                w->agents[s].is_there ? resources_scalar(w->agents[s].total, plain_names[n]) : 0;
        }
        assert_int_equal(total, expected);
    }
}

static void check_all(const struct world *w)
{
    for (int f = 0; f < FRAMEWORKS; f++) {
        for (int r = 0; r < ROLES; r++) {
            for (int s = 0; s < AGENTS; s++) {
                // Nothing was forgotten.
                AUTO_RESOURCES struct resources *all = plain_claim(w, f, r, s, true);
                AUTO_RESOURCES struct resources *unshared = plain_claim(w, f, r, s, false);
                if (all != NULL && unshared != NULL) {
                    struct buf text = BUF_INIT;
                    resources_put_text(unshared, &text);
                    fail_msg("seed %d: F%d in %s was not offered %s of S%d", (int)current_seed, f,
                             role_names[r], text.data, s);
                }
            }
            char id[3] = {'F', (char)('0' + f), '\0'};
            assert_true(allocator_dominant_share(w->allocator, role_names[r], id) ==
                        plain_share(w, f, r));
        }
    }
    for (int r = 0; r < ROLES; r++) {
        assert_true(allocator_dominant_share(w->allocator, role_names[r], NULL) ==
                    plain_share(w, -1, r));
    }
    check_amounts(w);
}

static void run(struct world *w)
{
    bool is_due = allocator_next(w->allocator) <= w->now.mono;
    size_t before = w->outstanding_count;
    for (int s = 0; s < AGENTS; s++) {
        w->agents[s].is_shared_out = false;
    }
    size_t count = allocator_run(w->allocator, w->now);
    assert_int_equal(w->outstanding_count, before + count);
    assert_true(is_due || count == 0);
    assert_true(allocator_next(w->allocator) > w->now.mono);
    check_all(w);
}

// ---- what happens ----

static void draw_id(char id[3], char letter, int number)
{
    id[0] = letter;
    id[1] = (char)('0' + number);
    id[2] = '\0';
}

static void drop_filters(struct world *w, int framework, int role, int agent)
{
    size_t kept = 0;
    for (size_t i = 0; i < w->filter_count; i++) {
        struct plain_filter *filter = &w->filters[i];
        bool is_gone =
            filter->deadline <= w->now.mono ||
            ((framework < 0 || filter->framework == framework) &&
             (role < 0 || filter->role == role) && (agent < 0 || filter->agent == agent));
        if (is_gone) {
            resources_free(filter->refused);
        } else {
            w->filters[kept++] = *filter;
        }
    }
    w->filter_count = kept;
}

static void clear(struct resources **r)
{
    resources_free(*r);
    *r = resources_new();
}

static void drop_outstanding(struct world *w, size_t at)
{
    resources_free(w->outstanding[at].resources);
    w->outstanding[at] = w->outstanding[--w->outstanding_count];
}

// Counts of allocations are remembered as long as members and roles are.
static void forget_counts(struct world *w)
{
    for (int r = 0; r < ROLES; r++) {
        for (int f = 0; f < FRAMEWORKS; f++) {
            if (!plain_is_member(w, f, r)) {
                w->frameworks[f].allocations[r] = 0;
            }
        }
        if (!plain_is_kept(w, r)) {
            w->roles[r].own_allocations = 0;
            w->roles[r].all_allocations = 0;
        }
    }
}

#define SHARED_VOLUME                                                                              \
    "[{\"name\":\"disk\",\"type\":\"SCALAR\",\"scalar\":{\"value\":9},\"role\":\"a\",\"shared\":"  \
    "{},\"disk\":{\"persistence\":{\"id\":\"v\"},\"volume\":{\"container_path\":\"p\",\"mode\":"   \
    "\"RW\"}}}]"
#define REVOCABLE                                                                                  \
    "[{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":2},\"revocable\":{}}]"

static void add_text(struct resources *r, const char *text)
{
    AUTO_RESOURCES struct resources *more = parse(text);
    resources_add(r, more);
}

static struct resources *draw_total(struct world *w)
{
    char text[200];
    snprintf(text, sizeof(text), "cpus:%d;mem:%d;ports:[1-%d]%s%s%s", (int)prng_below(&w->prng, 8),
             (int)prng_below(&w->prng, 100), (int)prng_below(&w->prng, 9) + 1,
             prng_below(&w->prng, 3) == 0 ? ";cpus(a):2;mem(a):40" : "",
             prng_below(&w->prng, 3) == 0 ? ";cpus(a/b):1" : "",
             prng_below(&w->prng, 5) == 0 ? ";gpus:1" : "");
    struct resources *total = parse(text);
    if (prng_below(&w->prng, 4) == 0) {
        add_text(total, REVOCABLE);
    }
    if (prng_below(&w->prng, 4) == 0) {
        add_text(total, SHARED_VOLUME);
    }
    return total;
}

static size_t draw_roles(struct world *w, struct plain_framework *framework, const char **roles,
                         const char **suppressed, size_t *suppressed_count)
{
    size_t count = 0;
    *suppressed_count = 0;
    for (int r = 0; r < ROLES; r++) {
        framework->subscribed[r] = prng_below(&w->prng, 2) == 0;
        framework->suppressed[r] = prng_below(&w->prng, 4) == 0;
        if (framework->subscribed[r]) {
            roles[count++] = role_names[r];
            if (framework->suppressed[r]) {
                suppressed[(*suppressed_count)++] = role_names[r];
            }
        }
    }
    return count;
}

static unsigned draw_capabilities(struct world *w)
{
    return (prng_below(&w->prng, 2) == 0 ? CAPABLE(GPU_RESOURCES) : 0) |
           (prng_below(&w->prng, 2) == 0 ? CAPABLE(SHARED_RESOURCES) : 0) |
           (prng_below(&w->prng, 2) == 0 ? CAPABLE(REVOCABLE_RESOURCES) : 0);
}

// Its offer_filters and constraints.
static void draw_wishes(struct world *w, int number)
{
    struct plain_framework *f = &w->frameworks[number];
    char id[3];
    draw_id(id, 'F', number);
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    f->least_cpus =
        prng_below(&w->prng, 3) == 0 ? 1000 * (int64_t)(1 + prng_below(&w->prng, 3)) : 0;
    f->rack = prng_below(&w->prng, 4) == 0 ? (int)prng_below(&w->prng, 2) : -1;
    struct buf filters = BUF_INIT;
    struct buf conditions = BUF_INIT;
    buf_puts(&filters, "{\"user\":\"u\",\"name\":\"n\",\"offer_filters\":{");
    buf_puts(&conditions, "{\"role_constraints\":{");
    for (int r = 0; r < ROLES; r++) {
        const char *comma = r > 0 ? "," : "";
        buf_puts(&filters, arena_printf(arena,
                                        "%s\"%s\":{\"min_allocatable_resources\":{\"quantities\":[{"
                                        "\"quantities\":{\"cpus\":{\"value\":%d}}}]}}",
                                        comma, role_names[r], (int)(f->least_cpus / 1000)));
        buf_puts(&conditions,
                 arena_printf(arena,
                              "%s\"%s\":{\"groups\":[{\"attribute_constraints\":[{\"selector\":{"
                              "\"attribute_name\":\"rack\"},\"predicate\":{\"text_matches\":{"
                              "\"regex\":\"rack-[%d]\"}}}]}]}",
                              comma, role_names[r], f->rack));
    }
    buf_puts(&filters, "}}");
    buf_puts(&conditions, "}}");
    if (f->least_cpus == 0) {
        buf_clear(&filters);
        buf_puts(&filters, "{\"user\":\"u\",\"name\":\"n\"}");
    }
    ProtobufCMessage *info, *message;
    assert_int_equal(wire_json_decode(&mesos__v1__framework_info__descriptor, arena, filters.data,
                                      filters.size, &info, NULL),
                     0);
    allocator_set_offer_filters(w->allocator, id, (Mesos__V1__FrameworkInfo *)info);
    struct constraints *constraints = NULL;
    if (f->rack >= 0) {
        const struct pattern_limits limits = {.memory_max = 4096, .program_max = 100};
        assert_int_equal(wire_json_decode(&mesos__v1__scheduler__offer_constraints__descriptor,
                                          arena, conditions.data, conditions.size, &message, NULL),
                         0);
        assert_int_equal(constraints_new((Mesos__V1__Scheduler__OfferConstraints *)message, &limits,
                                         &constraints, NULL),
                         0);
    }
    allocator_set_constraints(w->allocator, id, constraints);
    buf_free(&filters);
    buf_free(&conditions);
}

static void step_framework(struct world *w, int number)
{
    struct plain_framework *framework = &w->frameworks[number];
    char id[3];
    draw_id(id, 'F', number);
    const char *roles[ROLES];
    const char *suppressed[ROLES];
    size_t suppressed_count;
    if (!framework->is_there) {
        size_t count = draw_roles(w, framework, roles, suppressed, &suppressed_count);
        framework->is_there = true;
        framework->is_active = prng_below(&w->prng, 4) != 0;
        framework->capabilities = draw_capabilities(w);
        allocator_add_framework(w->allocator, id, roles, count, suppressed, suppressed_count,
                                framework->capabilities, framework->is_active);
        draw_wishes(w, number);
    } else if (prng_below(&w->prng, 2) == 0) {
        const struct plain_framework before = *framework;
        size_t count = draw_roles(w, framework, roles, suppressed, &suppressed_count);
        framework->capabilities = draw_capabilities(w);
        allocator_update_framework(w->allocator, id, roles, count, suppressed, suppressed_count,
                                   framework->capabilities);
        draw_wishes(w, number);
        for (int r = 0; r < ROLES; r++) {
            bool is_revived = before.suppressed[r] && !framework->suppressed[r];
            if (!framework->subscribed[r] || is_revived) {
                drop_filters(w, number, r, -1);
            }
        }
    } else {
        allocator_remove_framework(w->allocator, id);
        framework->is_there = false;
        drop_filters(w, number, -1, -1);
        for (int r = 0; r < ROLES; r++) {
            for (int s = 0; s < AGENTS; s++) {
                clear(&framework->held[r][s]);
            }
        }
        for (size_t i = w->outstanding_count; i-- > 0;) {
            if (w->outstanding[i].framework == number) {
                drop_outstanding(w, i);
            }
        }
    }
}

// Host and rack by the agent's number.
static const Mesos__V1__AgentInfo *agent_info(int number)
{
    static Mesos__V1__AgentInfo infos[AGENTS];
    static Mesos__V1__Attribute attributes[AGENTS];
    static Mesos__V1__Attribute *lists[AGENTS];
    static Mesos__V1__Value__Text texts[AGENTS];
    mesos__v1__agent_info__init(&infos[number]);
    mesos__v1__attribute__init(&attributes[number]);
    mesos__v1__value__text__init(&texts[number]);
    static const char *const hosts[AGENTS] = {"h0", "h1", "h2", "h3", "h4"};
    texts[number].value = (char *)(number % 2 == 0 ? "rack-0" : "rack-1");
    attributes[number].name = (char *)"rack";
    attributes[number].type = MESOS__V1__VALUE__TYPE__TEXT;
    attributes[number].text = &texts[number];
    lists[number] = &attributes[number];
    infos[number].hostname = (char *)hosts[number];
    infos[number].n_attributes = 1;
    infos[number].attributes = &lists[number];
    return &infos[number];
}

static void step_whitelist(struct world *w)
{
    const char *hosts[AGENTS];
    size_t count = 0;
    w->is_listing = prng_below(&w->prng, 2) == 0;
    for (int s = 0; s < AGENTS; s++) {
        w->is_listed[s] = prng_below(&w->prng, 2) == 0;
        if (w->is_listed[s]) {
            hosts[count++] = agent_info(s)->hostname;
        }
        w->agents[s].is_unlisted = w->is_listing && !w->is_listed[s];
    }
    allocator_set_whitelist(w->allocator, w->is_listing ? hosts : NULL, count);
}

static void step_quota(struct world *w)
{
    int number = (int)prng_below(&w->prng, ROLES);
    struct plain_role *role = &w->roles[number];
    role->has_quota = prng_below(&w->prng, 3) != 0;
    struct allocator_quantity guarantees[2];
    struct allocator_quantity limits[2];
    struct allocator_quota quota = {.guarantees = guarantees, .limits = limits};
    for (int n = 0; n < 2; n++) {
        int64_t unit = n == 0 ? 1000 : 20000;
        role->guarantees[n] = 0;
        role->limits[n] = -1;
        if (role->has_quota && prng_below(&w->prng, 2) == 0) {
            role->guarantees[n] = unit * (int64_t)(1 + prng_below(&w->prng, 8));
            guarantees[quota.guarantee_count++] =
                (struct allocator_quantity){.name = plain_names[n], .amount = role->guarantees[n]};
        }
        if (role->has_quota && prng_below(&w->prng, 2) == 0) {
            role->limits[n] = unit * (int64_t)prng_below(&w->prng, 10);
            limits[quota.limit_count++] =
                (struct allocator_quantity){.name = plain_names[n], .amount = role->limits[n]};
        }
    }
    role->has_quota = quota.guarantee_count + quota.limit_count > 0;
    allocator_set_quota(w->allocator, role_names[number], role->has_quota ? &quota : NULL);
}

// Reserves or unreserves a CPU of an outstanding offer.
static void step_transform(struct world *w)
{
    if (w->outstanding_count == 0) {
        return;
    }
    struct outstanding *o = &w->outstanding[prng_below(&w->prng, w->outstanding_count)];
    if (strcmp(role_names[o->role], "*") == 0) {
        return;
    }
    char text[200];
    snprintf(text, sizeof(text),
             "[{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":1},\"reservations\":[{"
             "\"type\":\"DYNAMIC\",\"role\":\"%s\"}]}]",
             role_names[o->role]);
    bool is_reserving = prng_below(&w->prng, 2) == 0;
    AUTO_RESOURCES struct resources *from = parse(is_reserving ? "cpus:1" : text);
    AUTO_RESOURCES struct resources *to = parse(is_reserving ? text : "cpus:1");
    struct plain_agent *agent = &w->agents[o->agent];
    if (!resources_contains(agent->total, from)) {
        return;
    }
    resources_subtract(agent->total, from);
    resources_add(agent->total, to);
    resources_allocate(from, role_names[o->role]);
    resources_allocate(to, role_names[o->role]);
    if (!resources_contains(o->resources, from)) {
        resources_unallocate(from);
        resources_unallocate(to);
        resources_subtract(agent->total, to);
        resources_add(agent->total, from);
        return;
    }
    resources_subtract(o->resources, from);
    resources_add(o->resources, to);
    struct resources *held = w->frameworks[o->framework].held[o->role][o->agent];
    resources_subtract(held, from);
    resources_add(held, to);
    char framework_id[3];
    char agent_id[3];
    draw_id(framework_id, 'F', o->framework);
    draw_id(agent_id, 'S', o->agent);
    allocator_transform(w->allocator, framework_id, agent_id, from, to);
}

static void step_agent(struct world *w, int number)
{
    struct plain_agent *agent = &w->agents[number];
    char id[3];
    draw_id(id, 'S', number);
    if (!agent->is_there) {
        agent->total = draw_total(w);
        agent->is_there = agent->is_active = true;
        agent->is_shared_out = false;
        allocator_add_agent(w->allocator, id, agent->total, NULL, 0);
        allocator_set_agent_info(w->allocator, id, agent_info(number));
        agent->is_unlisted = w->is_listing && !w->is_listed[number];
    } else if (prng_below(&w->prng, 2) == 0) {
        resources_free(agent->total);
        agent->total = draw_total(w);
        allocator_update_agent(w->allocator, id, agent->total);
    } else {
        allocator_remove_agent(w->allocator, id);
        agent->is_there = false;
        agent->total = resources_free(agent->total);
        drop_filters(w, -1, -1, number);
        for (int f = 0; f < FRAMEWORKS; f++) {
            for (int r = 0; r < ROLES; r++) {
                clear(&w->frameworks[f].held[r][number]);
            }
        }
        for (size_t i = w->outstanding_count; i-- > 0;) {
            if (w->outstanding[i].agent == number) {
                drop_outstanding(w, i);
            }
        }
    }
}

static void step_switch(struct world *w, int number)
{
    struct plain_framework *framework = &w->frameworks[number];
    char id[3];
    if (framework->is_there) {
        draw_id(id, 'F', number);
        framework->is_active = !framework->is_active;
        if (framework->is_active) {
            allocator_activate_framework(w->allocator, id);
        } else {
            allocator_deactivate_framework(w->allocator, id);
            drop_filters(w, number, -1, -1);
        }
    }
    struct plain_agent *agent = &w->agents[prng_below(&w->prng, AGENTS)];
    if (agent->is_there) {
        draw_id(id, 'S', (int)(agent - w->agents));
        agent->is_active = !agent->is_active;
        (agent->is_active ? allocator_activate_agent : allocator_deactivate_agent)(w->allocator,
                                                                                   id);
    }
}

static void step_revive(struct world *w, int number)
{
    struct plain_framework *framework = &w->frameworks[number];
    if (!framework->is_there) {
        return;
    }
    char id[3];
    draw_id(id, 'F', number);
    int only = (int)prng_below(&w->prng, ROLES + 1); // ROLES: all
    bool is_revived = prng_below(&w->prng, 2) == 0;
    (is_revived ? allocator_revive : allocator_suppress)(w->allocator, id, &role_names[only],
                                                         only < ROLES ? 1 : 0);
    for (int r = 0; r < ROLES; r++) {
        if (only == ROLES || only == r) {
            framework->suppressed[r] = !is_revived;
            if (is_revived) {
                drop_filters(w, number, r, -1);
            }
        }
    }
}

// Gives back all or some of what is outstanding, with or without a filter.
static void step_recover(struct world *w)
{
    if (w->outstanding_count == 0) {
        return;
    }
    size_t at = (size_t)prng_below(&w->prng, w->outstanding_count);
    struct outstanding *o = &w->outstanding[at];
    AUTO_RESOURCES struct resources *part = resources_copy(o->resources);
    if (prng_below(&w->prng, 3) == 0) {
        AUTO_RESOURCES struct resources *task = parse("cpus:1;mem:10;ports:[1-2]");
        resources_allocate(task, role_names[o->role]);
        resources_subtract_available(part, task);
    }
    int64_t refuse_ns =
        prng_below(&w->prng, 3) == 0 ? -1 : (int64_t)prng_below(&w->prng, 6) * NS_PER_S;
    char framework_id[3];
    char agent_id[3];
    draw_id(framework_id, 'F', o->framework);
    draw_id(agent_id, 'S', o->agent);
    allocator_recover(w->allocator, framework_id, agent_id, part, refuse_ns, w->now);
    struct plain_framework *framework = &w->frameworks[o->framework];
    resources_subtract(framework->held[o->role][o->agent], part);
    if (refuse_ns >= 0 && framework->is_active && framework->subscribed[o->role] &&
        !resources_is_empty(part)) {
        assert_true(w->filter_count < FILTERS_MAX);
        int64_t time = refuse_ns > NS_PER_S ? refuse_ns : NS_PER_S;
        struct plain_filter *filter = &w->filters[w->filter_count++];
        *filter = (struct plain_filter){.framework = o->framework,
                                        .role = o->role,
                                        .agent = o->agent,
                                        .refused = resources_copy(part),
                                        .deadline = w->now.mono + time};
        resources_unallocate(filter->refused);
    }
    resources_subtract(o->resources, part);
    if (resources_is_empty(o->resources)) {
        drop_outstanding(w, at);
    }
}

static void step(struct world *w)
{
    int framework = (int)prng_below(&w->prng, FRAMEWORKS);
    uint64_t what = prng_below(&w->prng, 23);
    if (what < 2) {
        step_framework(w, framework);
    } else if (what < 4) {
        step_agent(w, (int)prng_below(&w->prng, AGENTS));
    } else if (what < 5) {
        step_switch(w, framework);
    } else if (what < 7) {
        step_revive(w, framework);
    } else if (what < 8) {
        int role = (int)prng_below(&w->prng, ROLES);
        w->roles[role].weight = (double)(1 + prng_below(&w->prng, 3));
        allocator_set_weight(w->allocator, role_names[role], w->roles[role].weight);
    } else if (what < 14) {
        step_recover(w);
    } else if (what < 17) {
        w->now.mono += (int64_t)prng_below(&w->prng, 2000) * NS_PER_MS;
        drop_filters(w, FRAMEWORKS, -1, -1); // only those that are over
    } else if (what < 18) {
        step_transform(w);
    } else if (what < 19 && w->has_quotas) {
        step_quota(w);
    } else if (what < 20 && prng_below(&w->prng, 4) == 0) {
        step_whitelist(w);
    } else {
        run(w);
    }
    forget_counts(w);
}

// Returns the number of offers that were made.
static uint64_t trace(uint64_t seed)
{
    struct world *w = mem_zalloc(sizeof(*w));
    prng_seed(&w->prng, seed);
    w->now.mono = 1000 * NS_PER_S;
    // A quarter each: as usual; without quotas; sorted by chance; packing with demand-aware shares.
    struct allocator_options options = {.filter_gpu_resources = true, .seed = seed};
    w->has_quotas = seed % 4 != 1;
    w->is_ordered = seed % 4 < 2;
    options.is_role_random = seed % 4 == 2;
    options.is_framework_random = seed % 8 == 2;
    options.is_demand_aware = options.is_packing = seed % 4 == 3;
    const struct allocator_callbacks callbacks = {.offer = check_offer};
    w->allocator = allocator_new(&options, &callbacks, w);
    for (int r = 0; r < ROLES; r++) {
        w->roles[r].weight = 1.0;
        for (int n = 0; n < NAMES; n++) {
            w->roles[r].limits[n] = -1;
        }
        for (int f = 0; f < FRAMEWORKS; f++) {
            for (int s = 0; s < AGENTS; s++) {
                w->frameworks[f].held[r][s] = resources_new();
            }
        }
    }
    for (int i = 0; i < STEPS; i++) {
        step(w);
    }
    run(w);
    uint64_t offers = w->offers;
    allocator_free(w->allocator);
    drop_filters(w, -1, -1, -1);
    while (w->outstanding_count > 0) {
        drop_outstanding(w, 0);
    }
    for (int s = 0; s < AGENTS; s++) {
        resources_free(w->agents[s].total);
        for (int i = 0; i < FRAMEWORKS * ROLES; i++) {
            resources_free(w->frameworks[i / ROLES].held[i % ROLES][s]);
        }
    }
    mem_free(w->outstanding);
    mem_free(w);
    return offers;
}

static void test_traces(void **state)
{
    (void)state;
    const char *more = getenv("ALLOCATOR_TRACES");
    uint64_t count = more != NULL ? strtoull(more, NULL, 10) : TRACES;
    uint64_t first = getenv("SEED") ? strtoull(getenv("SEED"), NULL, 10) : 1;
    uint64_t offers = 0;
    for (uint64_t seed = first; seed <= count; seed++) {
        current_seed = seed;
        offers += trace(seed);
    }
    assert_true(offers > (count - first + 1) * 8); // the traces are worth something
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_traces)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
