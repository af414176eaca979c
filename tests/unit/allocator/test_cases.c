// SPDX-License-Identifier: Apache-2.0
//
// The allocator, case by case.

#include <stdio.h>
#include <string.h>

#include "fixture.h"
#include "model/framework.h"

#define CAPABLE(NAME) (1u << MESOS__V1__FRAMEWORK_INFO__CAPABILITY__TYPE__##NAME)

static const struct allocator_options plain = {.filter_gpu_resources = true, .seed = 7};

static void add_agents(struct fixture *f, int count, const char *resources)
{
    for (int i = 0; i < count; i++) {
        char id[16];
        snprintf(id, sizeof(id), "S%d", i);
        add_agent(f, id, resources);
    }
}

// ---- fairness ----

static void test_two_equal(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, &plain);
    add_framework(&f, "F1", "a", 0);
    add_framework(&f, "F2", "a", 0);
    assert_int_equal(allocator_next(f.allocator), INT64_MAX);
    add_agents(&f, 10, "cpus:4;mem:1024");
    assert_true(allocator_next(f.allocator) <= f.now.mono);
    assert_int_equal(fixture_run(&f), 10);
    assert_int_equal(fixture_count(&f, "F1"), 5);
    assert_true(allocator_dominant_share(f.allocator, "a", "F1") == 0.5);
    assert_true(allocator_dominant_share(f.allocator, "a", NULL) == 1.0);
    assert_int_equal(allocator_next(f.allocator), INT64_MAX);
    assert_int_equal(fixture_run(&f), 0);
    fixture_close(&f);
}

static void test_weights(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, &plain);
    allocator_set_weight(f.allocator, "heavy", 3.0);
    add_framework(&f, "F1", "light", 0);
    add_framework(&f, "F2", "heavy", 0);
    add_agents(&f, 20, "cpus:4;mem:1024");
    assert_int_equal(fixture_run(&f), 20);
    assert_int_equal(fixture_count(&f, "F1"), 5);
    assert_int_equal(fixture_count(&f, "F2"), 15);
    fixture_close(&f);
}

// Roles come before frameworks: one in a role of its own gets as much as two in another.
static void test_roles_first(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, &plain);
    add_framework(&f, "F1", "a", 0);
    add_framework(&f, "F2", "b", 0);
    add_framework(&f, "F3", "b", 0);
    add_agents(&f, 12, "cpus:4;mem:1024");
    assert_int_equal(fixture_run(&f), 12);
    assert_int_equal(fixture_count(&f, "F1"), 6);
    assert_int_equal(fixture_count(&f, "F2"), 3);
    fixture_close(&f);
}

// The dominant resource counts; one that is excluded does not.
static void test_dominant(void **state)
{
    (void)state;
    for (int excluded = 0; excluded < 2; excluded++) {
        struct fixture f;
        struct allocator_options options = plain;
        options.fair_sharing_excluded = excluded ? "gpus, mem" : NULL;
        fixture_open(&f, &options);
        add_framework(&f, "F1", "a", 0);
        add_agent(&f, "S1", "cpus:1;mem:900");
        assert_int_equal(fixture_run(&f), 1);
        add_agent(&f, "S2", "cpus:9;mem:100");
        double share = allocator_dominant_share(f.allocator, "a", "F1");
        assert_true(share == (excluded ? 0.1 : 0.9));
        fixture_close(&f);
    }
}

// ---- numbers for the endpoints ----

static int64_t filters_of_role;

static void note_filters(void *ctx, const char *role, int64_t filters)
{
    (void)ctx;
    assert_string_equal(role, "a");
    filters_of_role = filters;
}

static void test_numbers(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, &plain);
    add_framework(&f, "F1", "a", 0);
    add_agents(&f, 2, "cpus:4;mem:1024");
    assert_int_equal(fixture_run(&f), 2);
    fixture_decline(&f, &f.offers[0], 5 * NS_PER_S);
    int64_t total, held;
    allocator_get_amounts(f.allocator, "cpus", &total, &held);
    assert_int_equal(total, 8000);
    assert_int_equal(held, 4000);
    allocator_get_amounts(f.allocator, "unheard", &total, &held);
    assert_int_equal(total + held, 0);
    allocator_walk_filters(f.allocator, note_filters, NULL);
    assert_int_equal(filters_of_role, 1);
    assert_false(allocator_is_suppressed(f.allocator, "F1", "a"));
    allocator_suppress(f.allocator, "F1", NULL, 0);
    assert_true(allocator_is_suppressed(f.allocator, "F1", "a"));
    assert_false(allocator_is_suppressed(f.allocator, "F2", "a"));
    fixture_close(&f);
}

// ---- filters ----

static void note_why(void *ctx, const char *role, const char *agent_id,
                     const struct allocator_why *why)
{
    (void)role;
    (void)agent_id;
    *(struct allocator_why *)ctx = *why;
}

// Of the one agent, for the one role.
static struct allocator_why why_of(struct fixture *f, const char *framework_id)
{
    struct allocator_why why;
    assert_true(allocator_explain(f->allocator, framework_id, note_why, &why));
    return why;
}

// Declining more and more leaves one filter, not one for each size.
static void test_covered_filters_go(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, &plain);
    add_framework(&f, "F1", "a", 0);
    add_agent(&f, "S1", "cpus:1;mem:1024");
    struct allocator_statistics statistics;
    for (int cpus = 1; cpus <= 20; cpus++) {
        AUTO_FREE char *text = mem_printf("cpus:%d;mem:1024", cpus);
        AUTO_RESOURCES struct resources *total = parse(text);
        allocator_update_agent(f.allocator, "S1", total);
        assert_int_equal(fixture_run(&f), 1);
        fixture_decline(&f, &f.offers[0], 3600 * NS_PER_S);
        allocator_get_statistics(f.allocator, &statistics);
        assert_int_equal(statistics.filters, 1);
    }
    // One that ends sooner leaves the longer one alone.
    AUTO_RESOURCES struct resources *total = parse("cpus:21;mem:1024");
    allocator_update_agent(f.allocator, "S1", total);
    assert_int_equal(fixture_run(&f), 1);
    fixture_decline(&f, &f.offers[0], 5 * NS_PER_S);
    allocator_get_statistics(f.allocator, &statistics);
    assert_int_equal(statistics.filters, 2);
    allocator_walk_filters(f.allocator, note_filters, NULL);
    assert_int_equal(filters_of_role, 2);
    // It says nothing of what is free now.
    struct allocator_why why = why_of(&f, "F1");
    assert_int_equal(why.reason, ALLOCATOR_FILTERED);
    assert_int_equal(why.until_ns, f.now.mono + 5 * NS_PER_S);
    fixture_advance(&f, 6 * NS_PER_S);
    assert_int_equal(fixture_run(&f), 1);
    fixture_close(&f);
}

// A filter for what a quota leaves is told as the reason, not the quota: REVIVE would end it.
static void test_filter_of_what_a_quota_leaves(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, &plain);
    const struct allocator_quantity limit = {"cpus", 2000};
    const struct allocator_quota quota = {.limits = &limit, .limit_count = 1};
    allocator_set_quota(f.allocator, "a", &quota);
    add_framework(&f, "F1", "a", 0);
    add_agent(&f, "S1", "cpus:4;mem:1024");
    assert_int_equal(fixture_run(&f), 1);
    assert_int_equal(why_of(&f, "F1").reason, ALLOCATOR_LIMIT);
    fixture_decline(&f, &f.offers[0], 50 * NS_PER_S);
    assert_int_equal(fixture_run(&f), 0);
    struct allocator_why why = why_of(&f, "F1");
    assert_int_equal(why.reason, ALLOCATOR_FILTERED);
    assert_int_equal(why.until_ns, f.now.mono + 50 * NS_PER_S);
    assert_string_equal(why.detail, "as far as quotas leave it");
    // More is left of the limit than was refused.
    const struct allocator_quantity more = {"cpus", 3000};
    const struct allocator_quota greater = {.limits = &more, .limit_count = 1};
    allocator_set_quota(f.allocator, "a", &greater);
    assert_int_equal(fixture_run(&f), 1);
    fixture_close(&f);
}

static void test_filter(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, &plain);
    add_framework(&f, "F1", "a", 0);
    add_agent(&f, "S1", "cpus:4;mem:1024");
    assert_int_equal(fixture_run(&f), 1);
    assert_resources(f.offers[0].resources, "cpus(allocated: a):4; mem(allocated: a):1024");
    fixture_decline(&f, &f.offers[0], 5 * NS_PER_S);
    assert_int_equal(fixture_run(&f), 0);
    struct allocator_statistics statistics;
    allocator_get_statistics(f.allocator, &statistics);
    assert_int_equal(statistics.filters, 1);
    assert_int_equal(allocator_next(f.allocator), f.now.mono + 5 * NS_PER_S);
    // Somebody else may have it.
    add_framework(&f, "F2", "a", 0);
    assert_int_equal(fixture_run(&f), 1);
    assert_int_equal(fixture_count(&f, "F2"), 1);
    fixture_decline(&f, &f.offers[0], 60 * NS_PER_S);
    fixture_advance(&f, 5 * NS_PER_S - 1);
    assert_int_equal(fixture_run(&f), 0);
    fixture_advance(&f, 1);
    assert_int_equal(fixture_run(&f), 1);
    assert_int_equal(fixture_count(&f, "F1"), 1);
    fixture_close(&f);
}

// A filter holds for what was refused or less of it, not for more.
static void test_filter_more(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, &plain);
    add_framework(&f, "F1", "a", 0);
    add_agent(&f, "S1", "cpus:4;mem:1024");
    assert_int_equal(fixture_run(&f), 1);
    AUTO_RESOURCES struct resources *task = parse("cpus:1;mem:100");
    resources_allocate(task, "a");
    AUTO_RESOURCES struct resources *rest = resources_copy(f.offers[0].resources);
    resources_subtract(rest, task);
    allocator_recover(f.allocator, "F1", "S1", rest, 3600 * NS_PER_S, f.now);
    assert_int_equal(fixture_run(&f), 0);
    // The task ends: at once there is more than was refused.
    allocator_recover(f.allocator, "F1", "S1", task, -1, f.now);
    assert_true(allocator_next(f.allocator) <= f.now.mono);
    assert_int_equal(fixture_run(&f), 1);
    assert_resources(f.offers[0].resources, "cpus(allocated: a):4; mem(allocated: a):1024");
    fixture_close(&f);
}

// To refuse for no time at all means a second without the batch rhythm.
static void test_filter_zero(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, &plain);
    add_framework(&f, "F1", "a", 0);
    add_agent(&f, "S1", "cpus:4;mem:1024");
    assert_int_equal(fixture_run(&f), 1);
    fixture_decline(&f, &f.offers[0], 0);
    assert_int_equal(fixture_run(&f), 0);
    fixture_advance(&f, ALLOCATOR_REFUSE_MIN_NS);
    assert_int_equal(fixture_run(&f), 1);
    fixture_decline(&f, &f.offers[0], INT64_MAX);
    assert_int_equal(fixture_run(&f), 0);
    fixture_close(&f);
}

static void test_revive(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, &plain);
    add_framework(&f, "F1", "a", 0);
    add_agents(&f, 3, "cpus:4;mem:1024");
    assert_int_equal(fixture_run(&f), 3);
    for (size_t i = 0; i < 3; i++) {
        fixture_decline(&f, &f.offers[i], 3600 * NS_PER_S);
    }
    assert_int_equal(fixture_run(&f), 0);
    const char *other = "b";
    allocator_revive(f.allocator, "F1", &other, 1);
    assert_int_equal(fixture_run(&f), 0);
    allocator_revive(f.allocator, "F1", NULL, 0);
    struct allocator_statistics statistics;
    allocator_get_statistics(f.allocator, &statistics);
    assert_int_equal(statistics.filters, 0);
    assert_int_equal(fixture_run(&f), 3);
    fixture_close(&f);
}

static void test_suppress(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, &plain);
    const char *roles[] = {"a", "b"};
    allocator_add_framework(f.allocator, "F1", roles, 2, &roles[1], 1, 0, true);
    add_agents(&f, 2, "cpus:4;mem:1024");
    assert_int_equal(fixture_run(&f), 2);
    assert_string_equal(f.offers[0].role, "a");
    allocator_suppress(f.allocator, "F1", NULL, 0);
    fixture_decline(&f, &f.offers[0], -1);
    assert_int_equal(fixture_run(&f), 0);
    assert_int_equal(allocator_next(f.allocator), INT64_MAX);
    allocator_revive(f.allocator, "F1", &roles[1], 1);
    assert_int_equal(fixture_run(&f), 1);
    assert_string_equal(f.offers[0].role, "b");
    fixture_close(&f);
}

// ---- frameworks and agents that come and go ----

static void test_deactivate(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, &plain);
    add_framework(&f, "F1", "a", 0);
    allocator_deactivate_framework(f.allocator, "F1");
    add_agents(&f, 2, "cpus:4;mem:1024");
    allocator_deactivate_agent(f.allocator, "S1");
    assert_int_equal(fixture_run(&f), 0);
    allocator_activate_framework(f.allocator, "F1");
    assert_int_equal(fixture_run(&f), 1);
    assert_string_equal(f.offers[0].agent, "S0");
    allocator_activate_agent(f.allocator, "S1");
    assert_int_equal(fixture_run(&f), 1);
    assert_string_equal(f.offers[0].agent, "S1");
    fixture_close(&f);
}

static void test_remove_agent_while_offered(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, &plain);
    add_framework(&f, "F1", "a", 0);
    add_agents(&f, 2, "cpus:4;mem:1024");
    assert_int_equal(fixture_run(&f), 2);
    allocator_remove_agent(f.allocator, f.offers[0].agent);
    assert_true(allocator_dominant_share(f.allocator, "a", "F1") == 1.0);
    fixture_decline(&f, &f.offers[0], 5 * NS_PER_S); // comes too late
    fixture_decline(&f, &f.offers[1], -1);
    assert_true(allocator_dominant_share(f.allocator, "a", "F1") == 0.0);
    assert_int_equal(fixture_run(&f), 1);
    fixture_close(&f);
}

static void test_remove_framework(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, &plain);
    add_framework(&f, "F1", "a", 0);
    add_agents(&f, 2, "cpus:4;mem:1024");
    assert_int_equal(fixture_run(&f), 2);
    fixture_decline(&f, &f.offers[0], 5 * NS_PER_S);
    allocator_remove_framework(f.allocator, "F1");
    fixture_decline(&f, &f.offers[1], 5 * NS_PER_S); // comes too late
    add_framework(&f, "F2", "b", 0);
    assert_int_equal(fixture_run(&f), 2);
    assert_true(allocator_dominant_share(f.allocator, "a", NULL) == 0.0);
    fixture_close(&f);
}

// A framework's tasks are found on an agent before the framework itself is back.
static void test_uses_before_framework(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, &plain);
    AUTO_RESOURCES struct resources *total = parse("cpus:4;mem:1024");
    AUTO_RESOURCES struct resources *used = parse("cpus:1;mem:512");
    resources_allocate(used, "a");
    const struct allocator_use use = {.framework_id = "F1", .used = used};
    allocator_add_agent(f.allocator, "S1", total, &use, 1);
    assert_true(allocator_dominant_share(f.allocator, "a", "F1") == 0.5);
    add_framework(&f, "F2", "b", 0);
    assert_int_equal(fixture_run(&f), 1);
    assert_resources(f.offers[0].resources, "cpus(allocated: b):3; mem(allocated: b):512");
    add_framework(&f, "F1", "a", 0);
    allocator_recover(f.allocator, "F1", "S1", used, -1, f.now);
    assert_int_equal(fixture_run(&f), 1);
    assert_resources(f.offers[0].resources, "cpus(allocated: a):1; mem(allocated: a):512");
    fixture_close(&f);
}

// An agent comes back smaller than what is used on it.
static void test_overcommitted(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, &plain);
    add_framework(&f, "F1", "a", 0);
    add_agent(&f, "S1", "cpus:4;mem:1024");
    assert_int_equal(fixture_run(&f), 1);
    AUTO_RESOURCES struct resources *smaller = parse("cpus:1;mem:2048");
    allocator_update_agent(f.allocator, "S1", smaller);
    struct resources *held = resources_copy(f.offers[0].resources);
    assert_int_equal(fixture_run(&f), 1);
    assert_resources(f.offers[0].resources, "mem(allocated: a):1024");
    allocator_recover(f.allocator, "F1", "S1", held, -1, f.now);
    assert_int_equal(fixture_run(&f), 1);
    assert_resources(f.offers[0].resources, "cpus(allocated: a):1; mem(allocated: a):1024");
    resources_free(held);
    fixture_close(&f);
}

static void test_change_roles(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, &plain);
    add_framework(&f, "F1", "a", 0);
    add_agent(&f, "S1", "cpus:4;mem:1024");
    assert_int_equal(fixture_run(&f), 1);
    const char *roles[] = {"b"};
    allocator_update_framework(f.allocator, "F1", roles, 1, NULL, 0, 0);
    assert_true(allocator_dominant_share(f.allocator, "a", "F1") == 1.0);
    fixture_decline(&f, &f.offers[0], 3600 * NS_PER_S);
    assert_int_equal(fixture_run(&f), 1);
    assert_string_equal(f.offers[0].role, "b");
    assert_true(allocator_dominant_share(f.allocator, "a", "F1") == 0.0);
    fixture_close(&f);
}

// A change that ends the suppression of a role forgets what was refused in it, as REVIVE does; one
// that leaves it as it was forgets nothing.
static void test_change_suppression(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, &plain);
    add_framework(&f, "F1", "a", 0);
    add_agent(&f, "S1", "cpus:4;mem:1024");
    assert_int_equal(fixture_run(&f), 1);
    fixture_decline(&f, &f.offers[0], 3600 * NS_PER_S);
    const char *roles[] = {"a"};
    allocator_update_framework(f.allocator, "F1", roles, 1, NULL, 0, 0);
    assert_int_equal(fixture_run(&f), 0);
    allocator_update_framework(f.allocator, "F1", roles, 1, roles, 1, 0);
    assert_int_equal(fixture_run(&f), 0);
    allocator_update_framework(f.allocator, "F1", roles, 1, NULL, 0, 0);
    assert_int_equal(fixture_run(&f), 1);
    fixture_close(&f);
}

// ---- what may be offered to whom ----

static void test_reserved(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, &plain);
    add_agent(&f, "S1", "cpus(a):1;mem(a):64;cpus(b):2;mem(b):64;cpus:4;mem:1024");
    add_framework(&f, "F1", "a/child", 0);
    assert_int_equal(fixture_run(&f), 1);
    assert_int_equal(resources_scalar(f.offers[0].resources, "cpus"), 5000);
    add_framework(&f, "F2", "c", 0);
    assert_int_equal(fixture_run(&f), 0);
    add_framework(&f, "F3", "b", 0);
    assert_int_equal(fixture_run(&f), 1);
    assert_resources(f.offers[0].resources, "cpus(allocated: b)(reservations: [(STATIC,b)]):2; "
                                            "mem(allocated: b)(reservations: [(STATIC,b)]):64");
    fixture_close(&f);
}

static void test_gpus(void **state)
{
    (void)state;
    for (int filters = 0; filters < 2; filters++) {
        struct fixture f;
        struct allocator_options options = plain;
        options.filter_gpu_resources = filters == 1;
        fixture_open(&f, &options);
        add_framework(&f, "F1", "a", 0);
        add_agent(&f, "S1", "cpus:4;mem:1024;gpus:1");
        assert_int_equal(fixture_run(&f), filters == 1 ? 0 : 1);
        if (filters == 1) {
            const char *role = "a";
            allocator_update_framework(f.allocator, "F1", &role, 1, NULL, 0,
                                       CAPABLE(GPU_RESOURCES));
            assert_int_equal(fixture_run(&f), 1);
        }
        fixture_close(&f);
    }
}

static void test_revocable(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, &plain);
    Mesos__V1__Value__Scalar amount = MESOS__V1__VALUE__SCALAR__INIT;
    amount.value = 2;
    Mesos__V1__Resource__RevocableInfo revocable = MESOS__V1__RESOURCE__REVOCABLE_INFO__INIT;
    Mesos__V1__Resource message = MESOS__V1__RESOURCE__INIT;
    message.name = (char *)"cpus";
    message.scalar = &amount;
    message.revocable = &revocable;
    Mesos__V1__Resource *messages[] = {&message};
    AUTO_RESOURCES struct resources *total = NULL;
    assert_int_equal(resources_from_proto(messages, 1, &total, NULL), 0);
    AUTO_RESOURCES struct resources *more = parse("cpus:1;mem:100");
    resources_add(total, more);
    allocator_add_agent(f.allocator, "S1", total, NULL, 0);
    add_framework(&f, "F1", "a", 0);
    assert_int_equal(fixture_run(&f), 1);
    assert_resources(f.offers[0].resources, "cpus(allocated: a):1; mem(allocated: a):100");
    add_framework(&f, "F2", "a", CAPABLE(REVOCABLE_RESOURCES));
    assert_int_equal(fixture_run(&f), 1);
    assert_resources(f.offers[0].resources, "cpus(allocated: a){REV}:2");
    fixture_close(&f);
}

static void test_minimum(void **state)
{
    (void)state;
    const struct {
        const char *minimum, *resources;
        size_t offers;
    } rows[] = {
        {NULL, "cpus:0.01", 1},
        {NULL, "cpus:0.009;mem:31", 0},
        {NULL, "mem:32", 1},
        {NULL, "disk:1000;ports:[1-2]", 0},
        {"", "disk:0.001", 1},
        {"cpus:1;ports:3|disk:1", "cpus:1;ports:[1-2]", 0},
        {"cpus:1;ports:3|disk:1", "cpus:1;ports:[1-2,5-5]", 1},
        {"cpus:1;ports:3|disk:1", "disk:1", 1},
        {"s:2", "s:{a}", 0},
        {"s:2", "s:{a,b}", 1},
        {"cpus:0", "ports:[1-1]", 1},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct fixture f;
        struct allocator_options options = plain;
        options.min_allocatable_resources = rows[i].minimum;
        fixture_open(&f, &options);
        add_framework(&f, "F1", "a", 0);
        add_agent(&f, "S1", rows[i].resources);
        assert_int_equal(fixture_run(&f), rows[i].offers);
        fixture_close(&f);
    }
    struct error err;
    assert_true(allocator_check_min_allocatable("cpus", &err) < 0);
    assert_string_equal(err.text, "Failed to parse 'cpus': missing or extra ':'");
    assert_true(allocator_check_min_allocatable("cpus:[1-2]", &err) < 0);
    assert_string_equal(err.text,
                        "Failed to parse '[1-2]' to quantity: only scalar values are allowed");
    assert_int_equal(allocator_check_min_allocatable(ALLOCATOR_MIN_ALLOCATABLE, &err), 0);
}

// ---- rhythm ----

static void test_batch(void **state)
{
    (void)state;
    struct fixture f;
    struct allocator_options options = plain;
    options.offer_interval_ns = NS_PER_S;
    fixture_open(&f, &options);
    add_framework(&f, "F1", "a", 0);
    add_agent(&f, "S1", "cpus:4;mem:1024");
    assert_int_equal(fixture_run(&f), 1);
    fixture_advance(&f, NS_PER_S / 4);
    fixture_decline(&f, &f.offers[0], 0);
    assert_int_equal(allocator_next(f.allocator), f.now.mono + NS_PER_S / 4 * 3);
    assert_int_equal(fixture_run(&f), 0);
    fixture_advance(&f, NS_PER_S / 4 * 3);
    assert_int_equal(fixture_run(&f), 1);
    // What is new does not wait.
    add_agent(&f, "S2", "cpus:4;mem:1024");
    assert_int_equal(fixture_run(&f), 1);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_covered_filters_go),
        cmocka_unit_test(test_two_equal),
        cmocka_unit_test(test_weights),
        cmocka_unit_test(test_roles_first),
        cmocka_unit_test(test_dominant),
        cmocka_unit_test(test_filter),
        cmocka_unit_test(test_filter_of_what_a_quota_leaves),
        cmocka_unit_test(test_filter_more),
        cmocka_unit_test(test_filter_zero),
        cmocka_unit_test(test_revive),
        cmocka_unit_test(test_suppress),
        cmocka_unit_test(test_deactivate),
        cmocka_unit_test(test_remove_agent_while_offered),
        cmocka_unit_test(test_remove_framework),
        cmocka_unit_test(test_uses_before_framework),
        cmocka_unit_test(test_overcommitted),
        cmocka_unit_test(test_change_roles),
        cmocka_unit_test(test_change_suppression),
        cmocka_unit_test(test_reserved),
        cmocka_unit_test(test_gpus),
        cmocka_unit_test(test_revocable),
        cmocka_unit_test(test_minimum),
        cmocka_unit_test(test_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
