// SPDX-License-Identifier: Apache-2.0
//
// Random traces against a plain and slow allocator. It is told the same, and checks each offer when
// it is made: whether it may be made at all, whether anybody had a better claim, and after each run
// whether anything was forgotten. Everything is computed anew from tables each time.

#include <stdio.h>
#include <string.h>

#include "base/prng.h"
#include "fixture.h"
#include "model/framework.h"

enum { FRAMEWORKS = 5, ROLES = 4, AGENTS = 5, FILTERS_MAX = 400, STEPS = 400, TRACES = 300 };

#define CAPABLE(NAME) (1u << MESOS__V1__FRAMEWORK_INFO__CAPABILITY__TYPE__##NAME)

static const char *const role_names[ROLES] = {"a", "a/b", "c", "*"};
static const char *const names[] = {"cpus", "mem", "disk", "gpus"};

struct plain_framework {
    bool is_there, is_active;
    unsigned capabilities;
    bool subscribed[ROLES], suppressed[ROLES];
    uint64_t allocations[ROLES];
    struct resources *held[ROLES][AGENTS]; // allocated; never NULL
};

struct plain_agent {
    bool is_there, is_active;
    struct resources *total;
};

struct plain_filter {
    int framework, role, agent;
    struct resources *refused;
    int64_t deadline;
};

struct outstanding {
    int framework, role, agent;
    struct resources *resources;
};

struct world {
    struct prng prng;
    struct plain_framework frameworks[FRAMEWORKS];
    struct plain_agent agents[AGENTS];
    uint64_t role_allocations[ROLES];
    double weights[ROLES];
    struct plain_filter filters[FILTERS_MAX];
    size_t filter_count;
    struct outstanding *outstanding;
    size_t outstanding_count;
    struct allocator *allocator;
    struct instant now;
    uint64_t offers;
};

// ---- the plain allocator's arithmetic ----

static struct resources *available(const struct world *w, int agent)
{
    struct resources *rest = resources_copy(w->agents[agent].total);
    for (int f = 0; f < FRAMEWORKS; f++) {
        for (int r = 0; r < ROLES; r++) {
            AUTO_RESOURCES struct resources *held = resources_copy(w->frameworks[f].held[r][agent]);
            resources_unallocate(held);
            resources_subtract_available(rest, held);
        }
    }
    return rest;
}

static double total_of(const struct world *w, const char *name)
{
    int64_t sum = 0;
    for (int s = 0; s < AGENTS; s++) {
        sum += w->agents[s].is_there ? resources_scalar(w->agents[s].total, name) : 0;
    }
    return (double)sum;
}

// framework < 0: all of the role.
static double share(const struct world *w, int framework, int role)
{
    double dominant = 0;
    for (size_t n = 0; n < ARRAY_COUNT(names); n++) {
        int64_t sum = 0;
        for (int f = 0; f < FRAMEWORKS; f++) {
            for (int s = 0; s < AGENTS && (framework < 0 || framework == f); s++) {
                sum += resources_scalar(w->frameworks[f].held[role][s], names[n]);
            }
        }
        double total = total_of(w, names[n]);
        if (total > 0 && (double)sum / total > dominant) {
            dominant = (double)sum / total;
        }
    }
    return framework < 0 ? dominant / w->weights[role] : dominant;
}

static bool wants(const struct world *w, int framework, int role)
{
    const struct plain_framework *f = &w->frameworks[framework];
    return f->is_there && f->is_active && f->subscribed[role] && !f->suppressed[role];
}

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

// What the framework would be offered of the agent in the role; NULL: nothing.
static struct resources *claim(const struct world *w, int framework, int role, int agent)
{
    unsigned capabilities = w->frameworks[framework].capabilities;
    const struct plain_agent *s = &w->agents[agent];
    if (!wants(w, framework, role) || !s->is_there || !s->is_active) {
        return NULL;
    }
    if (resources_scalar(s->total, "gpus") > 0 && !(capabilities & CAPABLE(GPU_RESOURCES))) {
        return NULL;
    }
    AUTO_RESOURCES struct resources *rest = available(w, agent);
    struct resources *offer = resources_allocatable_to(rest, role_names[role]);
    if (!(capabilities & CAPABLE(REVOCABLE_RESOURCES))) {
        struct resources *firm = resources_non_revocable(offer);
        resources_free(offer);
        offer = firm;
    }
    if ((resources_scalar(offer, "cpus") < 10 && resources_scalar(offer, "mem") < 32000) ||
        is_filtered(w, framework, role, agent, offer)) {
        return resources_free(offer);
    }
    return offer;
}

// Negative when member 1 goes before member 2.
static int compare(const struct world *w, int framework1, int role1, int framework2, int role2)
{
    double share1 = role1 != role2 ? share(w, -1, role1) : share(w, framework1, role1);
    double share2 = role1 != role2 ? share(w, -1, role2) : share(w, framework2, role2);
    if (share1 != share2) {
        return share1 < share2 ? -1 : 1;
    }
    uint64_t count1 =
        role1 != role2 ? w->role_allocations[role1] : w->frameworks[framework1].allocations[role1];
    uint64_t count2 =
        role1 != role2 ? w->role_allocations[role2] : w->frameworks[framework2].allocations[role2];
    if (count1 != count2) {
        return count1 < count2 ? -1 : 1;
    }
    return role1 != role2 ? strcmp(role_names[role1], role_names[role2]) : framework1 - framework2;
}

static int role_number(const char *name)
{
    int r = 0;
    while (strcmp(role_names[r], name) != 0) {
        r++;
    }
    return r;
}

// An offer is made: nobody else that could have it goes before.
static void check_offer(void *ctx, const char *framework_id, const char *role_name,
                        const char *agent_id, const struct resources *offered)
{
    struct world *w = ctx;
    int framework = framework_id[1] - '0';
    int agent = agent_id[1] - '0';
    int role = role_number(role_name);
    AUTO_RESOURCES struct resources *expected = claim(w, framework, role, agent);
    assert_non_null(expected);
    resources_allocate(expected, role_name);
    assert_true(resources_is_equal(expected, offered));
    for (int f = 0; f < FRAMEWORKS; f++) {
        for (int r = 0; r < ROLES; r++) {
            if ((f == framework && r == role) || compare(w, f, r, framework, role) > 0) {
                continue;
            }
            assert_null(claim(w, f, r, agent));
        }
    }
    resources_add(w->frameworks[framework].held[role][agent], offered);
    w->frameworks[framework].allocations[role]++;
    w->role_allocations[role]++;
    w->offers++;
    w->outstanding =
        mem_realloc_array(w->outstanding, w->outstanding_count + 1, sizeof(w->outstanding[0]));
    w->outstanding[w->outstanding_count++] = (struct outstanding){
        .framework = framework, .role = role, .agent = agent, .resources = resources_copy(offered)};
}

static void run(struct world *w)
{
    bool is_due = allocator_next(w->allocator) <= w->now.mono;
    size_t before = w->outstanding_count;
    size_t count = allocator_run(w->allocator, w->now);
    assert_int_equal(w->outstanding_count, before + count);
    assert_true(is_due || count == 0);
    assert_true(allocator_next(w->allocator) > w->now.mono);
    for (int f = 0; f < FRAMEWORKS; f++) {
        for (int r = 0; r < ROLES; r++) {
            for (int s = 0; s < AGENTS; s++) {
                assert_null(claim(w, f, r, s)); // nothing was forgotten
            }
            char id[3] = {'F', (char)('0' + f), '\0'};
            assert_true(allocator_dominant_share(w->allocator, role_names[r], id) ==
                        share(w, f, r));
        }
    }
    for (int r = 0; r < ROLES; r++) {
        assert_true(allocator_dominant_share(w->allocator, role_names[r], NULL) == share(w, -1, r));
    }
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

// The number of the role's members decides whether its count of allocations is remembered.
static void forget_counts(struct world *w)
{
    for (int r = 0; r < ROLES; r++) {
        bool is_role_used = w->weights[r] != 1.0;
        for (int f = 0; f < FRAMEWORKS; f++) {
            bool is_used = w->frameworks[f].is_there && w->frameworks[f].subscribed[r];
            for (int s = 0; s < AGENTS; s++) {
                is_used = is_used || !resources_is_empty(w->frameworks[f].held[r][s]);
            }
            if (!is_used) {
                w->frameworks[f].allocations[r] = 0;
            }
            is_role_used = is_role_used || is_used;
        }
        if (!is_role_used) {
            w->role_allocations[r] = 0;
        }
    }
}

static struct resources *draw_total(struct world *w)
{
    char text[200];
    snprintf(text, sizeof(text), "cpus:%d;mem:%d;ports:[1-%d]%s%s%s", (int)prng_below(&w->prng, 8),
             (int)prng_below(&w->prng, 100), (int)prng_below(&w->prng, 9) + 1,
             prng_below(&w->prng, 3) == 0 ? ";cpus(a):2;mem(a):40" : "",
             prng_below(&w->prng, 3) == 0 ? ";cpus(c):1" : "",
             prng_below(&w->prng, 5) == 0 ? ";gpus:1" : "");
    struct resources *total = parse(text);
    if (prng_below(&w->prng, 4) == 0) {
        Mesos__V1__Value__Scalar amount = MESOS__V1__VALUE__SCALAR__INIT;
        amount.value = 2;
        Mesos__V1__Resource__RevocableInfo revocable = MESOS__V1__RESOURCE__REVOCABLE_INFO__INIT;
        Mesos__V1__Resource message = MESOS__V1__RESOURCE__INIT;
        message.name = (char *)"cpus";
        message.scalar = &amount;
        message.revocable = &revocable;
        Mesos__V1__Resource *messages[] = {&message};
        AUTO_RESOURCES struct resources *more = NULL;
        assert_int_equal(resources_from_proto(messages, 1, &more, NULL), 0);
        resources_add(total, more);
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
           (prng_below(&w->prng, 2) == 0 ? CAPABLE(REVOCABLE_RESOURCES) : 0);
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
    } else if (prng_below(&w->prng, 2) == 0) {
        size_t count = draw_roles(w, framework, roles, suppressed, &suppressed_count);
        framework->capabilities = draw_capabilities(w);
        allocator_update_framework(w->allocator, id, roles, count, suppressed, suppressed_count,
                                   framework->capabilities);
        for (int r = 0; r < ROLES; r++) {
            if (!framework->subscribed[r]) {
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

static void step_agent(struct world *w, int number)
{
    struct plain_agent *agent = &w->agents[number];
    char id[3];
    draw_id(id, 'S', number);
    if (!agent->is_there) {
        agent->total = draw_total(w);
        agent->is_there = agent->is_active = true;
        allocator_add_agent(w->allocator, id, agent->total, NULL, 0);
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
    uint64_t what = prng_below(&w->prng, 20);
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
        w->weights[role] = (double)(1 + prng_below(&w->prng, 3));
        allocator_set_weight(w->allocator, role_names[role], w->weights[role]);
    } else if (what < 14) {
        step_recover(w);
    } else if (what < 17) {
        w->now.mono += (int64_t)prng_below(&w->prng, 2000) * NS_PER_MS;
        drop_filters(w, FRAMEWORKS, -1, -1); // only those that are over
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
    const struct allocator_options options = {.filter_gpu_resources = true, .seed = seed};
    const struct allocator_callbacks callbacks = {.offer = check_offer};
    w->allocator = allocator_new(&options, &callbacks, w);
    for (int r = 0; r < ROLES; r++) {
        w->weights[r] = 1.0;
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
    uint64_t offers = 0;
    for (uint64_t seed = 1; seed <= TRACES; seed++) {
        offers += trace(seed);
    }
    assert_true(offers > TRACES * 20); // the traces are worth something
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_traces)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
