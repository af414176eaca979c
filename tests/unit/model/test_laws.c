// SPDX-License-Identifier: Apache-2.0
//
// Laws of resource arithmetic on random sets. A plain model stands beside: each unit of each
// resource is one mark in a table.

#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "base/prng.h"
#include "model/resource_entry.h"
#include "wire/wire.h"

enum { KINDS = 8, PORTS = 40, ITEMS = 6, ROUNDS = 4000 };

// For each of two roles (none, "r"): scalars in thousandths, ports and set items that are there.
struct plain {
    int scalars[2][KINDS];
    bool ports[2][PORTS];
    bool items[2][ITEMS];
};

static void put_ranges(struct buf *text, const bool *ports)
{
    buf_putc(text, '[');
    bool is_first = true;
    for (int i = 0; i < PORTS; i++) {
        if (ports[i]) {
            buf_printf(text, "%s%d-%d", is_first ? "" : ",", i, i);
            is_first = false;
        }
    }
    buf_puts(text, "];");
}

static struct resources *build(const struct plain *p)
{
    struct buf text = BUF_INIT;
    for (int role = 0; role < 2; role++) {
        const char *suffix = role == 0 ? "" : "(r)";
        for (int i = 0; i < KINDS; i++) {
            buf_printf(&text, "s%d%s:%d.%03d;", i, suffix, p->scalars[role][i] / 1000,
                       p->scalars[role][i] % 1000);
        }
        buf_printf(&text, "ports%s:", suffix);
        put_ranges(&text, p->ports[role]);
        buf_printf(&text, "items%s:{", suffix);
        for (int i = 0; i < ITEMS; i++) {
            if (p->items[role][i]) {
                buf_printf(&text, "i%d,", i);
            }
        }
        buf_puts(&text, "};");
    }
    struct resources *r = parse(text.data);
    buf_free(&text);
    return r;
}

static struct plain draw(struct prng *prng)
{
    struct plain p = {0};
    for (int role = 0; role < 2; role++) {
        for (int i = 0; i < KINDS; i++) {
            p.scalars[role][i] = prng_below(prng, 2) == 0 ? 0 : (int)prng_below(prng, 3000);
        }
        uint64_t density = prng_below(prng, 4);
        for (int i = 0; i < PORTS; i++) {
            p.ports[role][i] = prng_below(prng, 4) < density;
        }
        for (int i = 0; i < ITEMS; i++) {
            p.items[role][i] = prng_below(prng, 2) == 0;
        }
    }
    return p;
}

static struct plain plain_add(const struct plain *a, const struct plain *b)
{
    struct plain sum;
    for (int role = 0; role < 2; role++) {
        for (int i = 0; i < KINDS; i++) {
            sum.scalars[role][i] = a->scalars[role][i] + b->scalars[role][i];
        }
        for (int i = 0; i < PORTS; i++) {
            sum.ports[role][i] = a->ports[role][i] || b->ports[role][i];
        }
        for (int i = 0; i < ITEMS; i++) {
            sum.items[role][i] = a->items[role][i] || b->items[role][i];
        }
    }
    return sum;
}

static struct plain plain_subtract(const struct plain *a, const struct plain *b)
{
    struct plain rest;
    for (int role = 0; role < 2; role++) {
        for (int i = 0; i < KINDS; i++) {
            int left = a->scalars[role][i] - b->scalars[role][i];
            rest.scalars[role][i] = left > 0 ? left : 0;
        }
        for (int i = 0; i < PORTS; i++) {
            rest.ports[role][i] = a->ports[role][i] && !b->ports[role][i];
        }
        for (int i = 0; i < ITEMS; i++) {
            rest.items[role][i] = a->items[role][i] && !b->items[role][i];
        }
    }
    return rest;
}

static bool plain_contains(const struct plain *a, const struct plain *b)
{
    for (int role = 0; role < 2; role++) {
        for (int i = 0; i < KINDS; i++) {
            if (a->scalars[role][i] < b->scalars[role][i]) {
                return false;
            }
        }
        for (int i = 0; i < PORTS; i++) {
            if (b->ports[role][i] && !a->ports[role][i]) {
                return false;
            }
        }
        for (int i = 0; i < ITEMS; i++) {
            if (b->items[role][i] && !a->items[role][i]) {
                return false;
            }
        }
    }
    return true;
}

static void assert_same(const struct resources *r, const struct plain *p)
{
    struct resources *expected = build(p);
    assert_true(resources_is_equal(r, expected));
    resources_free(expected);
}

static void check_round(struct prng *prng)
{
    struct plain pa = draw(prng);
    struct plain pb = draw(prng);
    if (prng_below(prng, 3) == 0) {
        pb = plain_subtract(&pa, &pb); // contained for sure
    }
    struct resources *a = build(&pa);
    struct resources *b = build(&pb);
    bool contains = plain_contains(&pa, &pb);
    assert_int_equal(resources_contains(a, b), contains);

    struct plain psum = plain_add(&pa, &pb);
    struct resources *sum = resources_copy(a);
    resources_add(sum, b);
    assert_same(sum, &psum);
    struct resources *other_way = resources_copy(b);
    resources_add(other_way, a);
    assert_true(resources_is_equal(sum, other_way));
    assert_true(resources_contains(sum, a) && resources_contains(sum, b));
    assert_int_equal(resources_scalar(sum, "s0"), psum.scalars[0][0] + psum.scalars[1][0]);

    struct plain prest = plain_subtract(&pa, &pb);
    struct resources *rest = resources_copy(a);
    resources_subtract_available(rest, b);
    assert_same(rest, &prest);
    if (contains) {
        struct resources *exact = resources_copy(a);
        resources_subtract(exact, b);
        assert_true(resources_is_equal(exact, rest));
        resources_add(exact, b);
        assert_true(resources_is_equal(exact, a));
        resources_free(exact);
    }
    assert_same(a, &pa); // the operands stayed as they were
    assert_same(b, &pb);
    resources_free(a);
    resources_free(b);
    resources_free(sum);
    resources_free(other_way);
    resources_free(rest);
}

static void test_laws(void **state)
{
    (void)state;
    struct prng prng;
    prng_seed(&prng, 20261123);
    for (int i = 0; i < ROUNDS; i++) {
        check_round(&prng);
    }
}

// ---- messages ----

// A resource such as clients send them: mostly sound and plain, at times with something odd.
static Mesos__V1__Resource *draw_message(struct prng *prng, struct arena *arena)
{
    static const char *const names[] = {"cpus", "mem", "disk", "gpus", "cxus", "x", ""};
    static const double amounts[] = {1, 0.5, 0.001, 2.0004, 0, -1, 0.0004, 1e300, -1e300};
    static const char *const roles[] = {"*", "r", "", "a/b", "-"};
    Mesos__V1__Resource *m = WIRE_NEW(arena, Mesos__V1__Resource, mesos__v1__resource);
    m->name = arena_strdup(arena, names[prng_below(prng, ARRAY_COUNT(names))]);
    m->type = MESOS__V1__VALUE__TYPE__SCALAR;
    m->scalar = WIRE_NEW(arena, Mesos__V1__Value__Scalar, mesos__v1__value__scalar);
    m->scalar->value = prng_below(prng, 2) == 0 ? (double)prng_below(prng, 5000) / 1000.0
                                                : amounts[prng_below(prng, ARRAY_COUNT(amounts))];
    switch (prng_below(prng, 16)) {
    case 0:
        m->type = (Mesos__V1__Value__Type)prng_below(prng, 4);
        break;
    case 1:
        m->scalar = NULL;
        break;
    case 2:
        m->set = WIRE_NEW(arena, Mesos__V1__Value__Set, mesos__v1__value__set);
        break;
    case 3:
        m->role = arena_strdup(arena, roles[prng_below(prng, ARRAY_COUNT(roles))]);
        break;
    case 4:
        m->reservation = WIRE_NEW(arena, Mesos__V1__Resource__ReservationInfo,
                                  mesos__v1__resource__reservation_info);
        break;
    case 5:
        m->revocable = WIRE_NEW(arena, Mesos__V1__Resource__RevocableInfo,
                                mesos__v1__resource__revocable_info);
        break;
    case 6:
        m->shared =
            WIRE_NEW(arena, Mesos__V1__Resource__SharedInfo, mesos__v1__resource__shared_info);
        break;
    case 7:
        m->disk = WIRE_NEW(arena, Mesos__V1__Resource__DiskInfo, mesos__v1__resource__disk_info);
        break;
    case 8:
        m->ranges = WIRE_NEW(arena, Mesos__V1__Value__Ranges, mesos__v1__value__ranges);
        break;
    default:
        break;
    }
    if (prng_below(prng, 2) == 0) {
        m->allocation_info = WIRE_NEW(arena, Mesos__V1__Resource__AllocationInfo,
                                      mesos__v1__resource__allocation_info);
        m->allocation_info->role = arena_strdup(arena, roles[prng_below(prng, 2)]);
    }
    return m;
}

// What is a kind that is known is read the short way, and what is not, the long way: both say the
// same of each message. Nobody holds a kind when this begins. Counts the messages read both ways.
static void check_reading(Mesos__V1__Resource *m, size_t *both_ways)
{
    struct error first_err = {0}, then_err = {0};
    struct resource_kind *kind;
    int64_t scalar;
    struct resources *first = NULL, *then = NULL;
    assert_false(resource_read_plain(m, &kind, &scalar));
    int sound = resources_validate(m, &then_err);
    int first_result = resources_from_proto(&m, 1, &first, &first_err);
    assert_int_equal(sound, first_result);

    struct resources *known = parse("cpus:1;mem:1;disk:1;gpus:1;cxus:1;x:1");
    bool is_plain = resource_read_plain(m, &kind, &scalar);
    assert_int_equal(resources_validate(m, NULL), sound);
    int then_result = resources_from_proto(&m, 1, &then, &then_err);
    assert_int_equal(then_result, first_result);
    if (first_result == 0) {
        assert_true(resources_is_equal(first, then));
        assert_int_equal(first->count, then->count);
    } else {
        assert_false(is_plain);
        assert_string_equal(first_err.text, then_err.text);
    }
    if (is_plain) {
        ++*both_ways;
        assert_ptr_equal(first->entries[0].kind, kind);
        assert_int_equal(first->entries[0].scalar, scalar);
    }
    resources_free(known);
    resources_free(first);
    resources_free(then);
}

static void test_reading(void **state)
{
    (void)state;
    struct prng prng;
    prng_seed(&prng, 20261128);
    struct arena *arena = arena_new(0, 0);
    size_t both_ways = 0;
    for (int i = 0; i < ROUNDS; i++) {
        check_reading(draw_message(&prng, arena), &both_ways);
        arena_reset(arena);
    }
    assert_true(both_ways > ROUNDS / 4);
    arena_free(arena);
}

// ---- allocated ----

enum { ROLES = 3, NAMES = 4 };

// Thousandths by role and name. Two of the names are plain, one is revocable, one reserved.
struct amounts {
    int64_t of[ROLES][NAMES];
};

static struct resources *build_one(size_t name)
{
    static const char *const texts[NAMES] = {"cpus:1", "mem:1", NULL, "mem(r):1"};
    if (texts[name] != NULL) {
        return parse(texts[name]);
    }
    Mesos__V1__Value__Scalar one = MESOS__V1__VALUE__SCALAR__INIT;
    one.value = 1;
    Mesos__V1__Resource__RevocableInfo revocable = MESOS__V1__RESOURCE__REVOCABLE_INFO__INIT;
    char cpus[] = "cpus";
    Mesos__V1__Resource message = MESOS__V1__RESOURCE__INIT;
    message.name = cpus;
    message.type = MESOS__V1__VALUE__TYPE__SCALAR;
    message.scalar = &one;
    message.revocable = &revocable;
    struct resources *r = NULL;
    assert_int_equal(resources_from_proto((Mesos__V1__Resource *[]){&message}, 1, &r, NULL), 0);
    return r;
}

// In an order of its own.
static struct resources *build_allocated(const struct amounts *amounts, struct prng *prng)
{
    static const char *const roles[ROLES] = {NULL, "r", "s"};
    struct resources *r = resources_new();
    size_t start = prng_below(prng, ROLES * NAMES);
    for (size_t i = 0; i < ROLES * NAMES; i++) {
        size_t at = (start + i * 5) % (ROLES * NAMES);
        size_t role = at / NAMES, name = at % NAMES;
        struct resources *one = build_one(name);
        if (roles[role] != NULL) {
            resources_allocate(one, roles[role]);
        }
        one->entries[0].scalar = amounts->of[role][name];
        resources_add_entry(r, &one->entries[0]);
        resources_free(one);
    }
    return r;
}

static void assert_amounts(const struct resources *r, const struct amounts *amounts,
                           struct prng *prng)
{
    struct resources *expected = build_allocated(amounts, prng);
    assert_true(resources_is_equal(r, expected));
    resources_free(expected);
}

static void check_allocated(struct prng *prng)
{
    struct amounts a = {0}, b = {0}, sum = {0}, rest = {0}, bare;
    bool contains = true, is_part = prng_below(prng, 2) == 0;
    for (size_t role = 0; role < ROLES; role++) {
        for (size_t name = 0; name < NAMES; name++) {
            int64_t x = prng_below(prng, 2) == 0 ? 0 : (int64_t)prng_below(prng, 3000);
            int64_t y = prng_below(prng, 2) == 0 ? 0 : (int64_t)prng_below(prng, 3000);
            y = is_part && y > x ? x : y;
            a.of[role][name] = x;
            b.of[role][name] = y;
            sum.of[role][name] = x + y;
            rest.of[role][name] = x > y ? x - y : 0;
            contains = contains && x >= y;
        }
    }
    bare = a;
    for (size_t i = 0; i < ROLES * NAMES; i++) {
        bare.of[0][i % NAMES] += b.of[i / NAMES][i % NAMES];
    }
    struct resources *ra = build_allocated(&a, prng);
    struct resources *rb = build_allocated(&b, prng);
    assert_int_equal(resources_contains(ra, rb), contains);
    struct resources *r = resources_copy(ra);
    resources_add(r, rb);
    assert_amounts(r, &sum, prng);
    resources_subtract(r, rb);
    assert_amounts(r, &a, prng);
    resources_subtract_available(r, rb);
    assert_amounts(r, &rest, prng);
    resources_assign(r, ra);
    resources_add_unallocated(r, rb);
    assert_amounts(r, &bare, prng);
    assert_int_equal(resources_scalar(ra, "cpus"),
                     a.of[0][0] + a.of[1][0] + a.of[2][0] + a.of[0][2] + a.of[1][2] + a.of[2][2]);
    assert_int_equal(resources_scalar_of(ra, "cpus", true), a.of[0][2] + a.of[1][2] + a.of[2][2]);
    resources_free(ra);
    resources_free(rb);
    resources_free(r);
}

static void test_allocated(void **state)
{
    (void)state;
    struct prng prng;
    prng_seed(&prng, 20261129);
    for (int i = 0; i < ROUNDS; i++) {
        check_allocated(&prng);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_laws),
        cmocka_unit_test(test_reading),
        cmocka_unit_test(test_allocated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
