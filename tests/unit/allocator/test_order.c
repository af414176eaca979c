// SPDX-License-Identifier: Apache-2.0
//
// Who goes first while totals change: walks through the orders against sorting everything anew.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "allocator/state.h"
#include "fixture.h"

enum { FRAMEWORKS = 400, ROLES = 24, AGENTS = 30, STEPS = 1500 };

static const struct allocator *sorting; // for the comparison

static double true_share(const struct tree_node *node, bool is_member)
{
    if (is_member) {
        return order_share(sorting, &member_at(node)->amounts);
    }
    const struct alloc_place *place = place_at(node);
    double share = order_share(sorting, &place->amounts);
    return share / place_weight(place);
}

static int compare_items(const struct tree_node *x, const struct tree_node *y, bool is_member)
{
    double x_share = true_share(x, is_member);
    double y_share = true_share(y, is_member);
    if (x_share != y_share) {
        return x_share < y_share ? -1 : 1;
    }
    uint64_t x_count = is_member ? member_at(x)->allocations : place_at(x)->allocations;
    uint64_t y_count = is_member ? member_at(y)->allocations : place_at(y)->allocations;
    if (x_count != y_count) {
        return x_count < y_count ? -1 : 1;
    }
    return strcmp(is_member ? framework_id(member_at(x)->framework) : order_place_name(place_at(x)),
                  is_member ? framework_id(member_at(y)->framework)
                            : order_place_name(place_at(y)));
}

static int compare_places(const void *x, const void *y)
{
    return compare_items(*(struct tree_node *const *)x, *(struct tree_node *const *)y, false);
}

static int compare_members(const void *x, const void *y)
{
    return compare_items(*(struct tree_node *const *)x, *(struct tree_node *const *)y, true);
}

struct counts {
    size_t drifted, lost, rebased;
};

static void check_tree(struct allocator *a, const struct tree *tree, bool is_member,
                       struct counts *counts)
{
    struct tree_node *sorted[FRAMEWORKS];
    size_t count = 0;
    TREE_FOREACH(tree, node)
    {
        sorted[count++] = node;
    }
    assert_int_equal(count, tree->count);
    qsort(sorted, count, sizeof(sorted[0]), is_member ? compare_members : compare_places);
    struct order_walk walk;
    order_walk_begin(a, tree, is_member, &walk);
    size_t at = 0;
    for (struct tree_node *node; (node = order_walk_next(&walk)) != NULL;) {
        assert_true(at < count);
        assert_ptr_equal(node, sorted[at]);
        at++;
    }
    counts->drifted += a->is_drifted;
    if (walk.is_lost) {
        counts->lost++;
        order_rebase(a);
        check_tree(a, tree, is_member, counts);
        return;
    }
    assert_int_equal(at, count);
}

static void check_role(struct allocator *a, struct alloc_role *role, struct counts *counts)
{
    check_tree(a, &role->places, false, counts);
    check_tree(a, &role->order, true, counts);
    TREE_FOREACH(&role->places, node)
    {
        if (!place_at(node)->is_own) {
            check_role(a, place_role(place_at(node)), counts);
        }
    }
}

static struct resources *random_resources(struct prng *prng, int most)
{
    char text[64];
    snprintf(text, sizeof(text), "cpus:%d;mem:%d", 1 + (int)prng_below(prng, (uint64_t)most),
             1 + (int)prng_below(prng, (uint64_t)most * 10));
    return parse(text);
}

// Half of the frameworks stand in one role.
static void name_role(int framework, char *text, size_t size)
{
    int number = framework < FRAMEWORKS / 2 ? 1 : framework % ROLES;
    snprintf(text, size, number % 3 == 0 ? "r%d/below" : "r%d", number / 2);
}

static void fill(struct fixture *f, struct prng *prng)
{
    for (int i = 0; i < AGENTS; i++) {
        char id[16];
        snprintf(id, sizeof(id), "S%d", i);
        AUTO_RESOURCES struct resources *total = random_resources(prng, 400);
        allocator_add_agent(f->allocator, id, total, NULL, 0);
    }
    for (int i = 0; i < FRAMEWORKS; i++) {
        char id[16], role[32];
        snprintf(id, sizeof(id), "F%d", i);
        name_role(i, role, sizeof(role));
        add_framework(f, id, role, 0);
        if (i % 4 == 0) { // many with the same share
            AUTO_RESOURCES struct resources *used = parse("cpus:1;mem:1");
            resources_allocate(used, role);
            allocator_track(f->allocator, id, "S0", used);
        }
    }
}

static void use(struct fixture *f, struct prng *prng)
{
    char framework[16], role[32], agent[16];
    int number = (int)prng_below(prng, FRAMEWORKS);
    snprintf(framework, sizeof(framework), "F%d", number);
    name_role(number, role, sizeof(role));
    snprintf(agent, sizeof(agent), "S%d", (int)prng_below(prng, AGENTS));
    AUTO_RESOURCES struct resources *used = random_resources(prng, 8);
    resources_allocate(used, role);
    allocator_track(f->allocator, framework, agent, used);
    if (prng_below(prng, 3) == 0) {
        allocator_recover(f->allocator, framework, agent, used, -1, f->now);
    }
}

static void change_total(struct fixture *f, struct prng *prng)
{
    char agent[16];
    snprintf(agent, sizeof(agent), "S%d", (int)prng_below(prng, AGENTS));
    AUTO_RESOURCES struct resources *total = random_resources(prng, 400);
    allocator_update_agent(f->allocator, agent, total);
}

// Every walk gives the true order, whatever became of the totals.
static void test_drift(void **state)
{
    (void)state;
    const struct allocator_options options = {.seed = 3};
    struct counts counts = {0};
    struct prng prng;
    prng_seed(&prng, 11);
    struct fixture f;
    fixture_open(&f, &options);
    fill(&f, &prng);
    struct allocator *a = f.allocator;
    sorting = a;
    for (int step = 0; step < STEPS; step++) {
        if (prng_below(&prng, 4) == 0) {
            change_total(&f, &prng);
        } else if (prng_below(&prng, 50) == 0) {
            char role[32];
            name_role((int)prng_below(&prng, FRAMEWORKS), role, sizeof(role));
            allocator_set_weight(a, role, 1.0 + (double)prng_below(&prng, 3));
        } else {
            use(&f, &prng);
        }
        bool was_drifted = a->is_drifted;
        order_refresh(a, prng_below(&prng, 200) == 0 ? 1000 : 1);
        counts.rebased += was_drifted && !a->is_drifted;
        check_role(a, &a->root, &counts);
    }
    assert_true(counts.drifted > 10000);
    assert_true(counts.lost > 0);
    assert_true(counts.rebased > 0);
    fixture_close(&f);
}

// As many agents more of the same kind change no order: nothing is sorted anew.
static void test_growth_in_proportion(void **state)
{
    (void)state;
    const struct allocator_options options = {.seed = 3};
    struct counts counts = {0};
    struct fixture f;
    fixture_open(&f, &options);
    add_agent(&f, "S", "cpus:8;mem:800");
    order_refresh(f.allocator, 1000);
    int64_t before = amount_of(&f.allocator->basis, 0);
    for (int i = 0; i < 20; i++) {
        char id[16];
        snprintf(id, sizeof(id), "F%d", i);
        add_framework(&f, id, "role", 0);
        snprintf(id, sizeof(id), "T%d", i);
        add_agent(&f, id, "cpus:8;mem:800");
        order_refresh(f.allocator, 1000);
        assert_false(f.allocator->is_drifted);
        assert_int_equal(amount_of(&f.allocator->basis, 0), before);
    }
    sorting = f.allocator;
    check_role(f.allocator, &f.allocator->root, &counts);
    assert_int_equal(counts.drifted, 0);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_drift),
        cmocka_unit_test(test_growth_in_proportion),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
