// SPDX-License-Identifier: Apache-2.0
//
// map, list, timer, prng, uuid, log.

#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/prng.h"
#include "base/timer.h"
#include "base/tree.h"
#include "base/uuid.h"

static void *number(size_t n)
{
    return (void *)(uintptr_t)n;
}

static void map_finds_what_was_put(void **state)
{
    struct map map = MAP_INIT;

    (void)state;
    assert_null(map_get(&map, "a"));
    assert_false(map_has(&map, "a"));
    assert_null(map_remove(&map, "a"));
    assert_null(map_put(&map, "a", number(1)));
    assert_null(map_put(&map, "", number(2)));
    assert_ptr_equal(map_put(&map, "a", number(3)), number(1));
    assert_ptr_equal(map_get(&map, "a"), number(3));
    assert_ptr_equal(map_get(&map, ""), number(2));
    assert_ptr_equal(map_get_n(&map, "abc", 1), number(3));
    assert_null(map_put(&map, "null", NULL));
    assert_true(map_has(&map, "null"));
    assert_int_equal(map.count, 3);
    map_clear(&map);
    assert_int_equal(map.count, 0);
    assert_null(map_get(&map, "a"));
    assert_null(map_put(&map, "a", number(4)));
    assert_ptr_equal(map_get(&map, "a"), number(4));
    map_free(&map);
    assert_null(map.entries);
    map_free(&map);
}

// Compares with a plain table over many random operations; the walk must be in order of insertion.
static void map_agrees_with_a_plain_table(void **state)
{
    enum { KEYS = 400, STEPS = 40000 };
    static size_t value_of[KEYS], inserted_at[KEYS];
    struct map map = MAP_INIT;
    struct prng prng;
    size_t count = 0;

    (void)state;
    prng_seed(&prng, 42);
    for (size_t step = 1; step <= STEPS; step++) {
        // Phases of growth and of decline, so that rebuilding happens in all its ways.
        bool is_growing = step / 4000 % 2 == 0;
        size_t k = prng_below(&prng, KEYS);
        char key[32];

        snprintf(key, sizeof(key), "task-%zu-%0*d", k, (int)(k % 9), 0);
        if (prng_below(&prng, 10) < (is_growing ? 7 : 3)) {
            assert_ptr_equal(map_put(&map, key, number(step)), number(value_of[k]));
            if (value_of[k] == 0) {
                inserted_at[k] = step;
                count++;
            }
            value_of[k] = step;
        } else {
            assert_ptr_equal(map_remove(&map, key), number(value_of[k]));
            count -= value_of[k] != 0;
            value_of[k] = 0;
        }
        assert_int_equal(map.count, count);
        if (step % 500 == 0) {
            size_t seen = 0, former = 0;

            MAP_FOREACH (&map, entry) {
                size_t index = (size_t)strtoul(entry->key + 5, NULL, 10);

                assert_ptr_equal(entry->value, number(value_of[index]));
                assert_true(inserted_at[index] > former);
                former = inserted_at[index];
                seen++;
            }
            assert_int_equal(seen, count);
        }
    }
    map_free(&map);
}

static void map_entries_may_be_removed_while_walking(void **state)
{
    struct map map = MAP_INIT;
    char key[32];
    size_t seen = 0;

    (void)state;
    for (size_t i = 0; i < 100; i++) {
        snprintf(key, sizeof(key), "%zu", i);
        map_put(&map, key, number(i + 1));
    }
    MAP_FOREACH (&map, entry) {
        size_t i = (size_t)(uintptr_t)entry->value - 1;

        seen++;
        if (i % 2 == 0) {
            snprintf(key, sizeof(key), "%zu", i + 1);
            assert_ptr_equal(map_remove(&map, key), number(i + 2)); // the next one
        }
        assert_ptr_equal(map_remove(&map, entry->key), number(i + 1));
    }
    assert_int_equal(seen, 50);
    assert_int_equal(map.count, 0);
    map_free(&map);
}

static void map_used_as_a_queue_stays_small(void **state)
{
    struct map map = MAP_INIT;
    char key[32];

    (void)state;
    for (size_t i = 0; i < 20000; i++) {
        snprintf(key, sizeof(key), "%zu", i);
        map_put(&map, key, number(i));
        if (i >= 10) {
            size_t position = 0;
            struct map_entry *oldest = map_next(&map, &position);

            assert_ptr_equal(oldest->value, number(i - 10));
            map_remove(&map, oldest->key);
        }
    }
    assert_true(map.capacity <= 64);
    map_free(&map);
}

static void map_order_does_not_depend_on_the_seed(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 3; seed++) {
        struct map map = MAP_INIT;
        size_t position = 0;

        map_seed(seed);
        map_put(&map, "one", NULL);
        map_put(&map, "two", NULL);
        map_put(&map, "three", NULL);
        map_remove(&map, "one");
        map_put(&map, "one", NULL);
        assert_string_equal(map_next(&map, &position)->key, "two");
        assert_string_equal(map_next(&map, &position)->key, "three");
        assert_string_equal(map_next(&map, &position)->key, "one");
        assert_null(map_next(&map, &position));
        map_free(&map);
    }
}

// Keys that differ in few bits must spread: both halves of the hash are looked at.
static void map_hash_spreads(void **state)
{
    enum { KEYS = 65536, SLOTS = 65536 };
    static uint8_t low[SLOTS], high[SLOTS];
    size_t low_used = 0, high_used = 0;
    char key[64];

    (void)state;
    for (size_t i = 0; i < KEYS; i++) {
        int size = snprintf(key, sizeof(key), "c0ffee00-0000-4000-8000-%012zx-S%zu", i, i % 7);
        uint32_t hash = map_hash(key, (size_t)size);

        low_used += low[hash & 0xffff]++ == 0;
        high_used += high[hash >> 16]++ == 0;
    }
    // A random function fills 63.2 % of the slots.
    assert_in_range(low_used, 40800, 42100);
    assert_in_range(high_used, 40800, 42100);
}

static void map_hash_depends_on_seed_and_size(void **state)
{
    uint32_t former;

    (void)state;
    map_seed(1);
    former = map_hash("abc", 3);
    assert_int_equal(map_hash("abc", 3), former);
    assert_int_not_equal(map_hash("abc\0", 4), former);
    map_seed(2);
    assert_int_not_equal(map_hash("abc", 3), former);
}

struct item {
    int n;
    struct list link;
};

static void list_keeps_order_and_unlinks(void **state)
{
    struct list list = LIST_INIT(list);
    struct item items[5];
    int sum = 0, expected[] = {4, 0, 1, 2, 3}, at = 0;

    (void)state;
    assert_true(list_is_empty(&list));
    for (int i = 0; i < 4; i++) {
        items[i].n = i;
        list_append(&list, &items[i].link);
    }
    items[4].n = 4;
    list_prepend(&list, &items[4].link);
    LIST_FOREACH (&list, struct item, link, item)
        assert_int_equal(item->n, expected[at++]);
    assert_int_equal(at, 5);
    LIST_FOREACH (&list, struct item, link, item) {
        if (item->n % 2 == 0)
            list_remove(&item->link);
    }
    list_remove(&items[0].link);
    LIST_FOREACH (&list, struct item, link, item)
        sum += item->n;
    assert_int_equal(sum, 4);
    sum = 0;
    LIST_FOREACH (&list, struct item, link, item) {
        if (item->n == 3)
            break; // ends the whole walk
        sum += 10;
        continue;
    }
    assert_int_equal(sum, 10);
}

struct alarm {
    struct timer timer;
    struct timers *timers;
    struct timer *other; // cancelled when this one runs
    int64_t again;       // set again at this deadline; 0: not
    int id;
};

static int ran[64];
static size_t ran_count;

static void note_alarm(struct timer *timer, struct instant now)
{
    struct alarm *alarm = CONTAINER_OF(timer, struct alarm, timer);

    assert_true(timer->deadline <= now.mono);
    assert_false(timer_is_set(timer));
    ran[ran_count++] = alarm->id;
    if (alarm->other != NULL)
        timer_cancel(alarm->timers, alarm->other);
    if (alarm->again != 0)
        timer_set(alarm->timers, timer, alarm->again);
}

static void timers_run_in_order(void **state)
{
    struct timers timers = TIMERS_INIT;
    struct alarm alarms[6];
    static const int64_t deadlines[] = {30, 10, 20, 10, 40, 20};
    static const int order[] = {1, 3, 2, 5, 0};

    (void)state;
    ran_count = 0;
    assert_true(timers_next(&timers) == INT64_MAX);
    for (int i = 0; i < 6; i++) {
        alarms[i] = (struct alarm){.timer.run = note_alarm, .timers = &timers, .id = i};
        timer_set(&timers, &alarms[i].timer, deadlines[i]);
    }
    assert_int_equal(timers_next(&timers), 10);
    timers_run(&timers, (struct instant){.mono = 9});
    assert_int_equal(ran_count, 0);
    timers_run(&timers, (struct instant){.mono = 30});
    assert_int_equal(ran_count, 5);
    for (int i = 0; i < 5; i++)
        assert_int_equal(ran[i], order[i]);
    assert_int_equal(timers_next(&timers), 40);
    timer_set(&timers, &alarms[4].timer, 5);
    assert_int_equal(timers_next(&timers), 5);
    timer_cancel(&timers, &alarms[4].timer);
    timer_cancel(&timers, &alarms[4].timer);
    assert_true(timers_next(&timers) == INT64_MAX);
    timers_free(&timers);
}

static void timers_may_be_set_and_cancelled_by_those_that_run(void **state)
{
    struct timers timers = TIMERS_INIT;
    struct alarm alarms[3];

    (void)state;
    ran_count = 0;
    for (int i = 0; i < 3; i++) {
        alarms[i] = (struct alarm){.timer.run = note_alarm, .timers = &timers, .id = i};
        timer_set(&timers, &alarms[i].timer, 10 + i);
    }
    alarms[0].other = &alarms[1].timer; // due in the same run
    alarms[0].again = 1;                // in the past: the next call runs it
    timers_run(&timers, (struct instant){.mono = 100});
    assert_int_equal(ran_count, 2);
    assert_int_equal(ran[0], 0);
    assert_int_equal(ran[1], 2);
    assert_false(timer_is_set(&alarms[1].timer));
    assert_true(timer_is_set(&alarms[0].timer));
    alarms[0].again = 0;
    timers_run(&timers, (struct instant){.mono = 100});
    assert_int_equal(ran_count, 3);
    assert_int_equal(ran[2], 0);
    timers_free(&timers);
}

static void timers_agree_with_a_plain_table(void **state)
{
    enum { TIMERS = 200, STEPS = 20000 };
    static struct alarm alarms[TIMERS];
    static int64_t deadlines[TIMERS]; // 0: not set
    struct timers timers = TIMERS_INIT;
    struct prng prng;
    int64_t now = 0;

    (void)state;
    prng_seed(&prng, 7);
    for (int i = 0; i < TIMERS; i++)
        alarms[i] = (struct alarm){.timer.run = note_alarm, .timers = &timers, .id = i};
    for (int step = 0; step < STEPS; step++) {
        size_t i = prng_below(&prng, TIMERS);
        int64_t least = INT64_MAX;

        if (prng_below(&prng, 4) != 0) {
            deadlines[i] = now + 1 + (int64_t)prng_below(&prng, 1000);
            timer_set(&timers, &alarms[i].timer, deadlines[i]);
        } else {
            timer_cancel(&timers, &alarms[i].timer);
            deadlines[i] = 0;
        }
        for (int k = 0; k < TIMERS; k++) {
            if (deadlines[k] != 0 && deadlines[k] < least)
                least = deadlines[k];
            assert_int_equal(timer_is_set(&alarms[k].timer), deadlines[k] != 0);
        }
        assert_true(timers_next(&timers) == least);
        if (prng_below(&prng, 20) == 0 && least != INT64_MAX) {
            now = least;
            ran_count = 0;
            timers_run(&timers, (struct instant){.mono = now});
            assert_true(ran_count > 0);
            for (size_t r = 0; r < ran_count; r++) {
                assert_int_equal(deadlines[ran[r]], now);
                deadlines[ran[r]] = 0;
            }
        }
    }
    timers_free(&timers);
    for (int i = 0; i < TIMERS; i++)
        assert_false(timer_is_set(&alarms[i].timer));
}

static void prng_repeats_and_stays_in_bounds(void **state)
{
    struct prng a, b;
    size_t counts[7] = {0};

    (void)state;
    prng_seed(&a, 1);
    prng_seed(&b, 1);
    for (int i = 0; i < 1000; i++)
        assert_true(prng_u64(&a) == prng_u64(&b));
    prng_seed(&b, 2);
    assert_false(prng_u64(&a) == prng_u64(&b));
    for (int i = 0; i < 70000; i++) {
        double unit = prng_unit(&a);

        assert_true(unit >= 0 && unit < 1);
        counts[prng_below(&a, 7)]++;
    }
    for (int i = 0; i < 7; i++)
        assert_in_range(counts[i], 9500, 10500);
    assert_int_equal(prng_below(&a, 1), 0);
}

static void uuids_are_version_4_and_round_trip(void **state)
{
    struct prng prng;
    struct uuid uuid, parsed;
    char text[UUID_TEXT_SIZE];

    (void)state;
    prng_seed(&prng, 3);
    for (int i = 0; i < 100; i++) {
        uuid = uuid_random(&prng);
        uuid_text(&uuid, text);
        assert_int_equal(strlen(text), 36);
        assert_int_equal(text[14], '4');
        assert_non_null(strchr("89ab", text[19]));
        assert_true(uuid_parse(text, &parsed));
        assert_memory_equal(&uuid, &parsed, sizeof(uuid));
    }
    assert_true(uuid_parse("ABCDEF01-2345-6789-abcd-ef0123456789", &parsed));
    assert_false(uuid_parse(NULL, &parsed));
    assert_false(uuid_parse("", &parsed));
    assert_false(uuid_parse("abcdef01-2345-6789-abcd-ef012345678", &parsed));
    assert_false(uuid_parse("abcdef01-2345-6789-abcd-ef01234567890", &parsed));
    assert_false(uuid_parse("abcdef01x2345-6789-abcd-ef0123456789", &parsed));
    assert_false(uuid_parse("abcdef0g-2345-6789-abcd-ef0123456789", &parsed));
}

struct caught {
    int count;
    enum log_level level;
    char text[4000];
};

static void catch_line(void *ctx, enum log_level level, const char *file, int line,
                       const char *text, size_t size)
{
    struct caught *caught = ctx;

    assert_int_equal(size, strlen(text));
    assert_non_null(strstr(file, "test_structures.c"));
    assert_true(line > 0);
    caught->count++;
    caught->level = level;
    snprintf(caught->text, sizeof(caught->text), "%s", text);
}

static void log_lines_reach_the_sink(void **state)
{
    struct caught caught = {0};

    (void)state;
    log_error("nobody listens");
    log_set_sink(catch_line, &caught);
    log_info("task %s is %d", "t", 5);
    assert_string_equal(caught.text, "task t is 5");
    assert_int_equal(caught.level, LOG_LEVEL_INFO);
    log_debug("below the level");
    assert_int_equal(caught.count, 1);
    log_set_level(LOG_LEVEL_ERROR);
    log_warning("below it now");
    assert_int_equal(caught.count, 1);
    log_error("%03000d", 1);
    assert_int_equal(caught.count, 2);
    assert_int_equal(strlen(caught.text), 3000);
    assert_int_equal(log_get_level(), LOG_LEVEL_ERROR);
    log_set_sink(NULL, NULL);
    log_error("nobody listens");
    assert_int_equal(caught.count, 2);
}

// ---- tree ----

struct leaf {
    struct tree_node node;
    uint32_t key;
};

static struct leaf *leaf_of(const struct tree_node *node)
{
    return CONTAINER_OF(node, struct leaf, node);
}

static int compare_leaves(const struct tree_node *x, const struct tree_node *y)
{
    uint32_t a = leaf_of(x)->key;
    uint32_t b = leaf_of(y)->key;
    return a != b ? (a < b ? -1 : 1) : (x > y) - (x < y);
}

static void check_tree(const struct tree *tree, size_t count)
{
    size_t seen = 0;
    const struct tree_node *before = NULL;
    TREE_FOREACH(tree, node)
    {
        assert_true(before == NULL || compare_leaves(before, node) < 0);
        assert_true(node->is_in);
        assert_ptr_equal(node->previous, before);
        assert_true(node->parent == NULL ? tree->root == node
                                         : node->parent->priority >= node->priority);
        before = node;
        seen++;
    }
    assert_int_equal(seen, count);
    assert_int_equal(tree->count, count);
    assert_ptr_equal(tree->last, before);
}

static void draw_key(void *prng, struct tree_node *node)
{
    leaf_of(node)->key = (uint32_t)prng_below(prng, 1000);
}

static void tree_keeps_order(void **state)
{
    (void)state;
    enum { LEAVES = 300, ROUNDS = 20000 };
    static struct leaf leaves[LEAVES];
    struct tree_node *scratch[LEAVES];
    struct tree tree = TREE_INIT(compare_leaves);
    struct prng prng;
    size_t count = 0;
    prng_seed(&prng, 5);
    for (int i = 0; i < ROUNDS; i++) {
        struct leaf *leaf = &leaves[prng_below(&prng, LEAVES)];
        if (!leaf->node.is_in) {
            draw_key(&prng, &leaf->node);
            tree_insert(&tree, &leaf->node);
            count++;
        } else if (prng_below(&prng, 3) == 0) {
            tree_remove(&tree, &leaf->node);
            assert_false(leaf->node.is_in);
            count--;
        } else {
            draw_key(&prng, &leaf->node);
            tree_move(&tree, &leaf->node);
        }
        if (i % 1000 == 0) {
            tree_rebuild(&tree, scratch, draw_key, &prng);
        }
        if (i % 50 == 0) {
            check_tree(&tree, count);
        }
    }
    while (tree.first != NULL) {
        tree_remove(&tree, tree.first);
        check_tree(&tree, --count);
    }
}

static size_t depth_of(const struct tree_node *node)
{
    size_t left = node->left != NULL ? depth_of(node->left) : 0;
    size_t right = node->right != NULL ? depth_of(node->right) : 0;
    return 1 + (left > right ? left : right);
}

// However they come, a path is not much longer than the logarithm.
static void tree_stays_low(void **state)
{
    (void)state;
    enum { LEAVES = 4096 };
    static struct leaf leaves[LEAVES];
    for (int descending = 0; descending < 2; descending++) {
        struct tree tree = TREE_INIT(compare_leaves);
        memset(leaves, 0, sizeof(leaves));
        for (uint32_t i = 0; i < LEAVES; i++) {
            leaves[i].key = descending ? LEAVES - i : i;
            tree_insert(&tree, &leaves[i].node);
        }
        assert_true(depth_of(tree.root) < 48);
        // A queue: the first becomes the last.
        for (uint32_t i = 0; i < 2 * LEAVES; i++) {
            struct tree_node *first = tree.first;
            leaf_of(first)->key += 2 * LEAVES;
            tree_move(&tree, first);
            assert_ptr_equal(tree.last, first);
        }
        assert_true(depth_of(tree.root) < 48);
        check_tree(&tree, LEAVES);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(map_finds_what_was_put),
        cmocka_unit_test(map_agrees_with_a_plain_table),
        cmocka_unit_test(map_entries_may_be_removed_while_walking),
        cmocka_unit_test(map_used_as_a_queue_stays_small),
        cmocka_unit_test(map_order_does_not_depend_on_the_seed),
        cmocka_unit_test(map_hash_spreads),
        cmocka_unit_test(map_hash_depends_on_seed_and_size),
        cmocka_unit_test(list_keeps_order_and_unlinks),
        cmocka_unit_test(tree_keeps_order),
        cmocka_unit_test(tree_stays_low),
        cmocka_unit_test(timers_run_in_order),
        cmocka_unit_test(timers_may_be_set_and_cancelled_by_those_that_run),
        cmocka_unit_test(timers_agree_with_a_plain_table),
        cmocka_unit_test(prng_repeats_and_stays_in_bounds),
        cmocka_unit_test(uuids_are_version_4_and_round_trip),
        cmocka_unit_test(log_lines_reach_the_sink),
    };

    return cmocka_run_group_tests_name("base-structures", tests, NULL, NULL);
}
