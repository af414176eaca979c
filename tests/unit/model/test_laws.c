// SPDX-License-Identifier: Apache-2.0
//
// Laws of resource arithmetic on random sets. A plain model stands beside: each unit of each
// resource is one mark in a table.

#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "base/prng.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_laws)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
