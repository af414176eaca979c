// SPDX-License-Identifier: Apache-2.0
//
// Reservations and volumes: what a framework holds turns into something else, and who is offered it
// then.

#include <string.h>

#include "fixture.h"
#include "model/framework.h"

static const struct allocator_options plain = {.seed = 7};

#define CPUS_FOR_A                                                                                 \
    "[{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":2},\"reservations\":[{"         \
    "\"type\":\"DYNAMIC\",\"role\":\"a\",\"principal\":\"p\"}]}]"
#define DISK_FOR_A                                                                                 \
    "[{\"name\":\"disk\",\"type\":\"SCALAR\",\"scalar\":{\"value\":64},\"reservations\":[{"        \
    "\"type\":\"DYNAMIC\",\"role\":\"a\",\"principal\":\"p\"}]%s}]"

static struct resources *allocated(const char *text, const char *role)
{
    struct resources *r = parse(text);
    resources_allocate(r, role);
    return r;
}

static void transform(struct fixture *f, const struct offer *offer, const char *from,
                      const char *to)
{
    AUTO_RESOURCES struct resources *before = allocated(from, offer->role);
    AUTO_RESOURCES struct resources *after = allocated(to, offer->role);
    allocator_transform(f->allocator, offer->framework, offer->agent, before, after);
    resources_subtract(offer->resources, before);
    resources_add(offer->resources, after);
}

// What was reserved by way of an offer goes to its role only, the rest to anybody.
static void test_reserve(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, &plain);
    add_framework(&f, "F1", "a", 0);
    add_agent(&f, "S1", "cpus:4;mem:1024");
    assert_int_equal(fixture_run(&f), 1);
    double share = allocator_dominant_share(f.allocator, "a", "F1");
    transform(&f, &f.offers[0], "cpus:2", CPUS_FOR_A);
    assert_true(allocator_dominant_share(f.allocator, "a", "F1") == share);
    fixture_decline(&f, &f.offers[0], 100 * NS_PER_S);
    add_framework(&f, "F2", "b", 0);
    assert_int_equal(fixture_run(&f), 1);
    assert_string_equal(f.offers[0].framework, "F2");
    assert_resources(f.offers[0].resources, "cpus(allocated: b):2; mem(allocated: b):1024");
    // F1 is offered what is left once it wants it again.
    allocator_revive(f.allocator, "F1", NULL, 0);
    assert_int_equal(fixture_run(&f), 1);
    assert_string_equal(f.offers[0].framework, "F1");
    assert_int_equal(resources_scalar(f.offers[0].resources, "cpus"), 2000);
    assert_int_equal(resources_scalar(f.offers[0].resources, "mem"), 0);
    // Unreserved again, it is anybody's.
    transform(&f, &f.offers[0], CPUS_FOR_A, "cpus:2");
    fixture_decline(&f, &f.offers[0], 100 * NS_PER_S);
    assert_int_equal(fixture_run(&f), 1);
    assert_string_equal(f.offers[0].framework, "F2");
    fixture_close(&f);
}

// A volume is made of a reserved disk and destroyed again; an operator's view of the total follows.
static void test_volume(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, &plain);
    add_framework(&f, "F1", "a", 0);
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    const char *disk = arena_printf(arena, DISK_FOR_A, "");
    const char *volume =
        arena_printf(arena, DISK_FOR_A,
                     ",\"disk\":{\"persistence\":{\"id\":\"v\",\"principal\":\"p\"},"
                     "\"volume\":{\"mode\":\"RW\",\"container_path\":\"data\"}}");
    add_agent(&f, "S1", "cpus:4;mem:1024;disk:64");
    assert_int_equal(fixture_run(&f), 1);
    transform(&f, &f.offers[0], "disk:64", disk);
    transform(&f, &f.offers[0], disk, volume);
    fixture_decline(&f, &f.offers[0], -1);
    assert_int_equal(fixture_run(&f), 1);
    AUTO_RESOURCES struct resources *expected = allocated(volume, "a");
    assert_true(resources_contains(f.offers[0].resources, expected));
    int64_t total, held;
    allocator_get_amounts(f.allocator, "disk", &total, &held);
    assert_int_equal(total, 64000);
    assert_int_equal(held, 64000);
    transform(&f, &f.offers[0], volume, disk);
    fixture_decline(&f, &f.offers[0], -1);
    assert_int_equal(fixture_run(&f), 1);
    assert_false(resources_contains(f.offers[0].resources, expected));
    fixture_close(&f);
}

// What is destroyed for good leaves the total with it.
static void test_resources_that_go(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, &plain);
    add_framework(&f, "F1", "a", 0);
    add_agent(&f, "S1", "cpus:4;mem:1024");
    assert_int_equal(fixture_run(&f), 1);
    AUTO_RESOURCES struct resources *gone = allocated("cpus:3", "a");
    AUTO_RESOURCES struct resources *none = resources_new();
    allocator_transform(f.allocator, "F1", "S1", gone, none);
    int64_t total, held;
    allocator_get_amounts(f.allocator, "cpus", &total, &held);
    assert_int_equal(total, 1000);
    assert_int_equal(held, 1000);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reserve),
        cmocka_unit_test(test_volume),
        cmocka_unit_test(test_resources_that_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
