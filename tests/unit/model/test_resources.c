// SPDX-License-Identifier: Apache-2.0
//
// Resources: what flags parse to, errors, arithmetic case by case, forms of messages.

#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "model/attributes.h"
#include "model/framework.h"
#include "model/task_state.h"
#include "model/value.h"
#include "wire/wire.h"

// ---- parsing and printing ----

static void test_parse(void **state)
{
    (void)state;
    const struct {
        const char *text;
        const char *role;
        const char *printed;
    } rows[] = {
        {"cpus:4;mem:1024", "*", "cpus:4; mem:1024"},
        {"cpus:0.1; mem : 512 ", "*", "cpus:0.1; mem:512"},
        {"", "*", "{}"},
        {"cpus:0", "*", "{}"},
        {"cpus:1.2345", "*", "cpus:1.235"},
        {"cpus:1.2344", "*", "cpus:1.234"},
        {"cpus:0.001", "*", "cpus:0.001"},
        {"cpus:1;cpus:2", "*", "cpus:3"},
        {"cpus:1e2", "*", "cpus:100"},
        {"ports:[31000-32000]", "*", "ports:[31000-32000]"},
        {"ports:[3-5, 1-2, 10-20, 15-30]", "*", "ports:[1-5, 10-30]"},
        {"ports:[1-1,3-3]", "*", "ports:[1-1, 3-3]"},
        {"ports:[]", "*", "{}"},
        {"ports:[0-18446744073709551615]", "*", "ports:[0-18446744073709551615]"},
        {"disks:{b,a}", "*", "disks:{a, b}"},
        {"disks:{}", "*", "{}"},
        {"cpus(role1):2;cpus:1", "*", "cpus(reservations: [(STATIC,role1)]):2; cpus:1"},
        {"cpus:2;mem(*):1", "prod", "cpus(reservations: [(STATIC,prod)]):2; mem:1"},
        {"cpus( a ):2", "*", "cpus(reservations: [(STATIC,a)]):2"},
        {"[{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":4}}]", "*", "cpus:4"},
        {" [{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":4}}]", "r",
         "cpus(reservations: [(STATIC,r)]):4"},
        {"[{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":4},\"role\":\"a\"}]", "r",
         "cpus(reservations: [(STATIC,a)]):4"},
        {"[{\"name\":\"disk\",\"type\":\"SCALAR\",\"scalar\":{\"value\":9},\"disk\":{\"source\":"
         "{\"type\":\"MOUNT\",\"mount\":{\"root\":\"/mnt\"}}}}]",
         "*", "disk[MOUNT:/mnt]:9"},
        {"[]", "*", "{}"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct resources *r = NULL;
        struct error err = {0};
        if (resources_parse(rows[i].text, rows[i].role, &r, &err) != 0) {
            fail_msg("row %zu: %s", i, err.text);
        }
        assert_text(r, rows[i].printed);
        resources_free(r);
    }
}

static void test_parse_errors(void **state)
{
    (void)state;
    const struct {
        const char *text;
        const char *error;
    } rows[] = {
        {"cpus", "Bad value for resources, missing or extra ':' in cpus"},
        {"cpus:1:2", "Bad value for resources, missing or extra ':' in cpus:1:2"},
        {"cpus(a:1", "Bad value for resources, mismatched parentheses in cpus(a:1"},
        {"cpus)a(:1", "Bad value for resources, mismatched parentheses in cpus)a(:1"},
        {"cpus: ", "Failed to parse resource cpus value   error Expecting non-empty string"},
        {"cpus:abc", "Bad type for resource cpus value abc type TEXT"},
        {"cpus:-1", "Bad type for resource cpus value -1 type TEXT"},
        {"cpus:inf", "Bad type for resource cpus value inf type TEXT"},
        {"cpus:1e-310",
         "Failed to parse resource cpus value 1e-310 error Subnormal values not supported"},
        {"cpus:0.0001", "Invalid scalar resource: value <= 0"},
        {"ports:[1-2", "Failed to parse resource ports value [1-2 error Mismatched brackets"},
        {"ports:[1]",
         "Failed to parse resource ports value [1] error Expecting one or more \"ranges\""},
        {"ports:[a-b]",
         "Failed to parse resource ports value [a-b] error Expecting non-negative integers in "
         "'a'"},
        {"ports:[5-1]", "Invalid ranges resource: begin > end"},
        {"ports:x[1-2]", "Failed to parse resource ports value x[1-2] error Unexpected '[' found"},
        {"set:x{a}", "Failed to parse resource set value x{a} error Unexpected '{' found"},
        {"set:{a,a}", "Invalid set resource: duplicated elements"},
        {":1", "Bad value for resources, missing or extra ':' in :1"},
        {" :1", "Empty resource name"},
        {"cpus(-a):1", "Role component '-a' is invalid because it starts with a dash"},
        {"cpus:1;cpus:[1-2]",
         "Resources with the same name ('cpus') but different types are not allowed"},
        {"[{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":4},\"revocable\":{}}]",
         "Revocable resources cannot be specified at the command line; do not include a "
         "'revocable' key in the resources JSON"},
        {"[{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":4},\"role\":\"a\","
         "\"reservation\":{}}]",
         "Dynamic reservations cannot be specified at the command line; do not include a "
         "reservation with DYNAMIC type in the resources JSON"},
        {"[{\"name\":\"disk\",\"type\":\"SCALAR\",\"scalar\":{\"value\":4},\"role\":\"a\","
         "\"disk\":{\"persistence\":{\"id\":\"x\"}}}]",
         "Persistent volumes cannot be specified at the command line"},
        {"[{\"name\":\"cpus\",\"type\":\"SCALAR\"}]", "Invalid scalar resource"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct resources *r = NULL;
        struct error err = {0};
        if (resources_parse(rows[i].text, "*", &r, &err) >= 0) {
            fail_msg("row %zu was accepted", i);
        }
        assert_null(r);
        assert_string_equal(err.text, rows[i].error);
    }
    struct resources *r = NULL;
    struct error err = {0};
    assert_true(resources_parse("[{\"name\":1}]", "*", &r, &err) < 0);
    assert_non_null(strstr(err.text, "Some JSON resources were not formatted properly: "));
}

// ---- arithmetic ----

static void test_scalars(void **state)
{
    (void)state;
    assert_int_equal(scalar_from_double(0.0005), 1);
    assert_int_equal(scalar_from_double(0.00049), 0);
    assert_int_equal(scalar_from_double(-0.0005), -1);
    assert_int_equal(scalar_from_double(1.0005), 1001);
    assert_int_equal(scalar_from_double(1e300), SCALAR_MAX);
    assert_int_equal(scalar_from_double(-1e300), -SCALAR_MAX);
    assert_int_equal(scalar_from_double(__builtin_nan("")), 0);
    assert_true(scalar_to_double(1100) == 1.1);
    // A tenth added ten times is one, unlike in floating point.
    struct resources *tenth = parse("cpus:0.1");
    struct resources *sum = resources_new();
    for (int i = 0; i < 10; i++) {
        resources_add(sum, tenth);
    }
    struct resources *one = parse("cpus:1");
    assert_true(resources_is_equal(sum, one));
    assert_int_equal(resources_scalar(sum, "cpus"), 1000);
    resources_free(tenth);
    resources_free(sum);
    resources_free(one);
}

static void test_contains(void **state)
{
    (void)state;
    const struct {
        const char *whole;
        const char *part;
        bool contains;
    } rows[] = {
        {"cpus:2;mem:10", "cpus:2", true},
        {"cpus:2;mem:10", "mem:10;cpus:1", true},
        {"cpus:2", "cpus:2.001", false},
        {"cpus:2", "mem:1", false},
        {"cpus(a):2", "cpus:1", false},
        {"cpus:2", "cpus(a):1", false},
        {"cpus(a):2", "cpus(a):1", true},
        {"ports:[1-10]", "ports:[2-3,5-5,9-10]", true},
        {"ports:[1-10]", "ports:[9-11]", false},
        {"ports:[1-5,7-10]", "ports:[5-7]", false},
        {"set:{a,b,c}", "set:{a,c}", true},
        {"set:{a,b,c}", "set:{a,d}", false},
        {"", "", true},
        {"cpus:1", "", true},
        {"", "cpus:1", false},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct resources *whole = parse(rows[i].whole);
        struct resources *part = parse(rows[i].part);
        assert_int_equal(resources_contains(whole, part), rows[i].contains);
        resources_free(whole);
        resources_free(part);
    }
}

static void test_add_subtract(void **state)
{
    (void)state;
    const struct {
        const char *a, *b, *sum, *clipped; // a + b; a - b as far as it goes
    } rows[] = {
        {"cpus:1", "cpus:2", "cpus:3", "{}"},
        {"cpus:2;mem:5", "cpus:2", "cpus:4; mem:5", "mem:5"},
        {"cpus:1", "mem:2", "cpus:1; mem:2", "cpus:1"},
        {"cpus(a):1", "cpus:2", "cpus(reservations: [(STATIC,a)]):1; cpus:2",
         "cpus(reservations: [(STATIC,a)]):1"},
        {"ports:[1-2,5-6]", "ports:[3-4]", "ports:[1-6]", "ports:[1-2, 5-6]"},
        {"ports:[1-10]", "ports:[1-2,5-6]", "ports:[1-10]", "ports:[3-4, 7-10]"},
        {"ports:[1-10]", "ports:[0-20]", "ports:[0-20]", "{}"},
        {"ports:[5-5]", "ports:[5-5]", "ports:[5-5]", "{}"},
        {"ports:[18446744073709551614-18446744073709551615]",
         "ports:[18446744073709551615-18446744073709551615]",
         "ports:[18446744073709551614-18446744073709551615]",
         "ports:[18446744073709551614-18446744073709551614]"},
        {"set:{a,b}", "set:{b,c}", "set:{a, b, c}", "set:{a}"},
        {"a:1;b:1;c:1;d:1;e:1", "f:1;a:1", "a:2; b:1; c:1; d:1; e:1; f:1", "b:1; c:1; d:1; e:1"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct resources *a = parse(rows[i].a);
        struct resources *b = parse(rows[i].b);
        struct resources *sum = resources_copy(a);
        resources_add(sum, b);
        assert_text(sum, rows[i].sum);
        resources_subtract_available(a, b);
        assert_text(a, rows[i].clipped);
        resources_free(a);
        resources_free(b);
        resources_free(sum);
    }
    struct resources *self = parse("cpus:1;ports:[1-2]");
    resources_add(self, self);
    assert_text(self, "cpus:2; ports:[1-2]");
    resources_subtract(self, self);
    assert_true(resources_is_empty(self));
    resources_free(self);
}

// MOUNT disks are counted, never merged or split.
static void test_indivisible(void **state)
{
    (void)state;
    const char *mount = "[{\"name\":\"disk\",\"type\":\"SCALAR\",\"scalar\":{\"value\":9},"
                        "\"disk\":{\"source\":{\"type\":\"MOUNT\",\"mount\":{\"root\":\"/m\"}}}}]";
    const char *smaller =
        "[{\"name\":\"disk\",\"type\":\"SCALAR\",\"scalar\":{\"value\":4},"
        "\"disk\":{\"source\":{\"type\":\"MOUNT\",\"mount\":{\"root\":\"/m\"}}}}]";
    struct resources *one = parse(mount);
    struct resources *two = resources_copy(one);
    struct resources *part = parse(smaller);
    resources_add(two, one);
    assert_text(two, "disk[MOUNT:/m]:9; disk[MOUNT:/m]:9");
    assert_int_equal(resources_scalar(two, "disk"), 18000);
    assert_true(resources_contains(two, one));
    assert_false(resources_contains(one, two));
    assert_false(resources_contains(one, part));
    resources_subtract(two, one);
    assert_true(resources_is_equal(two, one));
    resources_free(one);
    resources_free(two);
    resources_free(part);
}

static struct resources *from_json(struct arena *arena, const char *json)
{
    ProtobufCMessage **messages;
    size_t count;
    struct error err = {0};
    if (wire_json_decode_list(&mesos__v1__resource__descriptor, arena, json, strlen(json),
                              &messages, &count, &err) != 0) {
        fail_msg("%s", err.text);
    }
    struct resources *r = NULL;
    if (resources_from_proto((Mesos__V1__Resource **)messages, count, &r, &err) != 0) {
        fail_msg("%s", err.text);
    }
    return r;
}

#define VOLUME(path, shared)                                                                       \
    "[{\"name\":\"disk\",\"type\":\"SCALAR\",\"scalar\":{\"value\":9},\"role\":\"a\","             \
    "\"disk\":{\"persistence\":{\"id\":\"v1\"},\"volume\":{\"container_path\":\"" path             \
    "\",\"mode\":\"RW\"}}" shared "}]"

// Where a volume is mounted does not count; shared ones are counted.
static void test_volumes(void **state)
{
    (void)state;
    struct arena *arena = arena_new(0, 0);
    struct resources *data = from_json(arena, VOLUME("data", ""));
    struct resources *other = from_json(arena, VOLUME("elsewhere", ""));
    assert_true(resources_is_equal(data, other));
    assert_text(data, "disk(reservations: [(STATIC,a)])[v1:data]:9");
    assert_text(other, "disk(reservations: [(STATIC,a)])[v1:elsewhere]:9");
    resources_subtract(data, other);
    assert_true(resources_is_empty(data));
    struct resources *shared = from_json(arena, VOLUME("data", ",\"shared\":{}"));
    assert_false(resources_is_equal(shared, other));
    resources_add(shared, shared);
    assert_text(shared, "disk(reservations: [(STATIC,a)])[v1:data]<SHARED>:9<2>");
    assert_int_equal(resources_scalar(shared, "disk"), 9000);
    Mesos__V1__Resource **messages;
    assert_int_equal(resources_to_proto(shared, arena, RESOURCES_NEW_FORM, true, &messages), 1);
    resources_free(data);
    resources_free(other);
    resources_free(shared);
    arena_free(arena);
}

static void test_allocation(void **state)
{
    (void)state;
    struct resources *r = parse("cpus:2;mem:3");
    struct resources *plain = resources_copy(r);
    resources_allocate(r, "a");
    assert_text(r, "cpus(allocated: a):2; mem(allocated: a):3");
    assert_false(resources_contains(r, plain));
    resources_add(r, plain);
    assert_text(r, "cpus(allocated: a):2; mem(allocated: a):3; cpus:2; mem:3");
    assert_int_equal(resources_scalar(r, "cpus"), 4000);
    resources_unallocate(r);
    assert_text(r, "cpus:4; mem:6");
    resources_free(r);
    resources_free(plain);
}

static void test_views(void **state)
{
    (void)state;
    struct arena *arena = arena_new(0, 0);
    struct resources *r = from_json(
        arena, "[{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":1}},"
               "{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":2},\"role\":\"a\"},"
               "{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":4},\"role\":\"a/b\"},"
               "{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":8},\"role\":\"ab\"},"
               "{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":16},"
               "\"revocable\":{}}]");
    const struct {
        struct resources *view;
        int64_t cpus;
    } rows[] = {
        {resources_unreserved(r), 17000},
        {resources_reserved(r, NULL), 14000},
        {resources_reserved(r, "a"), 2000},
        {resources_allocatable_to(r, "a"), 19000},
        {resources_allocatable_to(r, "a/b"), 23000},
        {resources_allocatable_to(r, "x"), 17000},
        {resources_revocable(r), 16000},
        {resources_non_revocable(r), 15000},
        {resources_to_unreserved(r), 31000},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        assert_int_equal(resources_scalar(rows[i].view, "cpus"), rows[i].cpus);
        resources_free(rows[i].view);
    }
    const char **roles;
    assert_int_equal(resources_reserved_roles(r, arena, &roles), 3);
    assert_string_equal(roles[1], "a/b");
    const char **names;
    assert_int_equal(resources_scalar_names(r, arena, &names), 1);
    assert_int_equal(resources_allocated_roles(r, arena, &roles), 0);
    assert_false(resources_are_allocated_to(r, "a"));
    resources_allocate(r, "a/b");
    assert_int_equal(resources_allocated_roles(r, arena, &roles), 1);
    assert_string_equal(roles[0], "a/b");
    assert_true(resources_are_allocated_to(r, "a/b"));
    assert_false(resources_are_allocated_to(r, "a"));
    resources_free(r);
    arena_free(arena);
}

static void test_find(void **state)
{
    (void)state;
    const struct {
        const char *offered, *wanted, *found; // NULL: not there
    } rows[] = {
        {"cpus(a):1;cpus:3", "cpus:2", "cpus:2"},
        {"cpus(a):1;cpus:3", "cpus(a):2", "cpus(reservations: [(STATIC,a)]):1; cpus:1"},
        {"cpus(a):4", "cpus:2", "cpus(reservations: [(STATIC,a)]):2"},
        {"cpus(a):1;cpus:1", "cpus:3", NULL},
        {"ports:[1-3];ports(a):[4-9]", "ports:[2-5]",
         "ports:[2-3]; ports(reservations: [(STATIC,a)]):[4-5]"},
        {"cpus:1", "mem:1", NULL},
        {"cpus:1;mem:2", "cpus:1;mem:1", "cpus:1; mem:1"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct resources *offered = parse(rows[i].offered);
        struct resources *wanted = parse(rows[i].wanted);
        struct resources *found = NULL;
        int r = resources_find(offered, wanted, &found);
        assert_int_equal(r == 0, rows[i].found != NULL);
        if (r == 0) {
            assert_text(found, rows[i].found);
            assert_true(resources_contains(offered, found));
        }
        resources_free(offered);
        resources_free(wanted);
        resources_free(found);
    }
}

// ---- sharing ----

static const struct resources *share(const char *text, const char *role)
{
    struct resources *r = parse(text);
    resources_allocate(r, role);
    return resources_share(r);
}

static void test_shared(void **state)
{
    (void)state;
    const struct resources *first = share("cpus:1;mem:512", "a");
    const struct resources *same = share("cpus:1;mem:512", "a");
    assert_ptr_equal(same, first);
    const struct resources *others[] = {
        share("cpus:1;mem:512", "b"),
        share("cpus:1;mem:513", "a"),
        share("mem:512;cpus:1", "a"), // looks different in messages
        share("cpus:1;mem:512;ports:[1-2]", "a"),
        share("cpus:1;mem:512;ports:[1-3]", "a"),
    };
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        assert_ptr_not_equal(others[i], first);
        for (size_t k = 0; k < i; k++) {
            assert_ptr_not_equal(others[i], others[k]);
        }
    }
    // It may be added to something, and stays as it is.
    struct resources *sum = resources_copy(first);
    resources_add(sum, same);
    assert_int_equal(resources_scalar(sum, "cpus"), 2000);
    assert_null(resources_unshare(first));
    assert_int_equal(resources_scalar(same, "cpus"), 1000);
    resources_subtract(sum, same);
    assert_true(resources_is_same(sum, same));
    resources_free(sum);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        resources_unshare(others[i]);
    }
    resources_unshare(same);
    assert_null(resources_unshare(NULL));
    first = share("cpus:1;mem:512", "a"); // what went is not found again
    assert_int_equal(resources_scalar(first, "mem"), 512000);
    resources_unshare(first);
}

// ---- forms ----

// A role is given to the messages that have none, and to no others.
static void test_completed_messages(void **state)
{
    (void)state;
    struct arena *arena = arena_new(0, 0);
    struct resources *r = parse("cpus:1;mem(a):512");
    resources_allocate(r, "a");
    Mesos__V1__Resource **messages[2];
    assert_int_equal(resources_to_proto(r, arena, RESOURCES_OLD_FORM, true, &messages[0]), 2);
    assert_int_equal(resources_to_proto(r, arena, RESOURCES_OLD_FORM, false, &messages[1]), 2);
    Mesos__V1__Resource__AllocationInfo to_none = MESOS__V1__RESOURCE__ALLOCATION_INFO__INIT;
    messages[1][0]->allocation_info = &to_none;
    for (size_t i = 0; i < 2; i++) {
        resources_complete_messages(messages[i], 2, "b", arena);
        for (size_t k = 0; k < 2; k++) {
            assert_string_equal(messages[i][k]->allocation_info->role, i == 0 ? "a" : "b");
        }
    }
    assert_string_equal(messages[1][1]->role, "a"); // that is its reservation
    resources_free(r);
    arena_free(arena);
}

static void assert_json(const struct resources *r, enum resources_form form, const char *expected)
{
    struct arena *arena = arena_new(0, 0);
    struct buf json = BUF_INIT;
    Mesos__V1__Resource **messages;
    size_t count = resources_to_proto(r, arena, form, true, &messages);
    for (size_t i = 0; i < count; i++) {
        wire_json_encode(&messages[i]->base, &json);
    }
    assert_string_equal(json.data, expected);
    buf_free(&json);
    arena_free(arena);
}

static void test_forms(void **state)
{
    (void)state;
    struct resources *r = parse("cpus:1.5");
    resources_allocate(r, "x");
    assert_json(r, RESOURCES_OLD_FORM,
                "{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":1.5},"
                "\"role\":\"*\",\"allocation_info\":{\"role\":\"x\"}}");
    assert_json(r, RESOURCES_NEW_FORM,
                "{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":1.5},"
                "\"allocation_info\":{\"role\":\"x\"}}");
    resources_free(r);
    r = parse("ports(a):[1-2];s:{x}");
    assert_json(r, RESOURCES_ENDPOINT_FORM,
                "{\"name\":\"ports\",\"type\":\"RANGES\",\"ranges\":{\"range\":[{\"begin\":1,"
                "\"end\":2}]},\"role\":\"a\",\"reservations\":[{\"role\":\"a\",\"type\":"
                "\"STATIC\"}]}{\"name\":\"s\",\"type\":\"SET\",\"set\":{\"item\":[\"x\"]},"
                "\"role\":\"*\"}");
    resources_free(r);
}

// The same reserved resource in either form is the same thing.
static void test_form_round_trip(void **state)
{
    (void)state;
    struct arena *arena = arena_new(0, 0);
    struct resources *old = from_json(
        arena, "[{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":2},\"role\":\"a\","
               "\"reservation\":{\"principal\":\"p\",\"labels\":{\"labels\":[{\"key\":\"k\","
               "\"value\":\"v\"}]}}}]");
    struct resources *new = from_json(
        arena, "[{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":2},"
               "\"reservations\":[{\"type\":\"DYNAMIC\",\"role\":\"a\",\"principal\":\"p\","
               "\"labels\":{\"labels\":[{\"key\":\"k\",\"value\":\"v\"}]}}]}]");
    assert_true(resources_is_equal(old, new));
    assert_text(old, "cpus(reservations: [(DYNAMIC,a,p,{k: v})]):2");
    const enum resources_form forms[] = {RESOURCES_OLD_FORM, RESOURCES_NEW_FORM,
                                         RESOURCES_ENDPOINT_FORM};
    for (size_t i = 0; i < ARRAY_COUNT(forms); i++) {
        Mesos__V1__Resource **messages;
        size_t count = resources_to_proto(old, arena, forms[i], true, &messages);
        assert_int_equal(count, 1);
        assert_int_equal(messages[0]->n_reservations, forms[i] == RESOURCES_OLD_FORM ? 0 : 1);
        assert_int_equal(messages[0]->reservation != NULL, forms[i] != RESOURCES_NEW_FORM);
        struct resources *again = NULL;
        assert_int_equal(resources_from_proto(messages, count, &again, NULL), 0);
        assert_true(resources_is_equal(again, old));
        resources_free(again);
    }
    resources_free(old);
    resources_free(new);
    arena_free(arena);
}

static void test_summaries(void **state)
{
    (void)state;
    struct arena *arena = arena_new(0, 0);
    struct resources *r = parse("cpus:1;cpus(a):2;ports:[5-6];ports(a):[1-2,4-4];s:{b};s(a):{a}");
    struct resource_summary *rows;
    assert_int_equal(resources_summarize(r, arena, &rows), 3);
    assert_int_equal(rows[0].scalar, 3000);
    assert_string_equal(rows[1].text, "[1-2, 4-6]");
    assert_string_equal(rows[2].text, "{a, b}");
    struct buf text = BUF_INIT;
    assert_false(resources_put_ranges_text(r, "cpus", &text));
    assert_true(resources_put_ranges_text(r, "ports", &text));
    assert_string_equal(text.data, "[1-2, 4-6]");
    buf_free(&text);
    resources_free(r);
    arena_free(arena);
}

// ---- attributes, states, frameworks ----

static void test_attributes(void **state)
{
    (void)state;
    struct arena *arena = arena_new(0, 0);
    Mesos__V1__Attribute **attributes;
    size_t count;
    assert_int_equal(attributes_parse("rack:2;u:unit1;level:10.5\nports:[1-2,4-5];set:{b,a};x:a:b",
                                      arena, &attributes, &count, NULL),
                     0);
    const char *expected[] = {"2", "unit1", "10.5", "[1-2, 4-5]", "{b, a}", "a:b"};
    assert_int_equal(count, ARRAY_COUNT(expected));
    for (size_t i = 0; i < count; i++) {
        struct buf text = BUF_INIT;
        attribute_put_text(attributes[i], &text);
        assert_string_equal(text.data, expected[i]);
        buf_free(&text);
    }
    assert_int_equal(attributes[0]->type, MESOS__V1__VALUE__TYPE__SCALAR);
    assert_int_equal(attributes[1]->type, MESOS__V1__VALUE__TYPE__TEXT);
    struct error err;
    assert_true(attributes_parse("rack", arena, &attributes, &count, &err) < 0);
    assert_string_equal(err.text, "Invalid attribute key:value pair 'rack'");
    assert_true(attributes_parse(":1", arena, &attributes, &count, &err) < 0);
    assert_true(attributes_parse("a:", arena, &attributes, &count, &err) < 0);
    assert_true(attributes_parse("a:[1", arena, &attributes, &count, &err) < 0);
    assert_string_equal(err.text, "Failed to parse attribute a text [1 error Mismatched brackets");
    arena_free(arena);
}

static void test_task_states(void **state)
{
    (void)state;
    const char *terminal = " TASK_FINISHED TASK_FAILED TASK_KILLED TASK_ERROR TASK_LOST "
                           "TASK_DROPPED TASK_GONE TASK_GONE_BY_OPERATOR ";
    for (int from = 0; from <= 13; from++) {
        const char *name = task_state_name((Mesos__V1__TaskState)from);
        char padded[64];
        snprintf(padded, sizeof(padded), " %s ", name);
        bool is_terminal = task_state_is_terminal((Mesos__V1__TaskState)from);
        assert_int_equal(is_terminal, strstr(terminal, padded) != NULL);
        for (int to = 0; to <= 13; to++) {
            if (is_terminal) {
                assert_false(
                    task_state_may_move((Mesos__V1__TaskState)from, (Mesos__V1__TaskState)to));
            }
        }
    }
    assert_true(task_state_may_move(MESOS__V1__TASK_STATE__TASK_STAGING,
                                    MESOS__V1__TASK_STATE__TASK_RUNNING));
    assert_false(task_state_may_move(MESOS__V1__TASK_STATE__TASK_RUNNING,
                                     MESOS__V1__TASK_STATE__TASK_STARTING));
    assert_true(task_state_may_move(MESOS__V1__TASK_STATE__TASK_UNREACHABLE,
                                    MESOS__V1__TASK_STATE__TASK_RUNNING));
    assert_false(task_state_may_move((Mesos__V1__TaskState)99, (Mesos__V1__TaskState)1));
}

static void test_framework_roles(void **state)
{
    (void)state;
    struct arena *arena = arena_new(0, 0);
    Mesos__V1__FrameworkInfo info = MESOS__V1__FRAMEWORK_INFO__INIT;
    const char **roles;
    assert_int_equal(framework_roles(&info, arena, &roles), 1);
    assert_string_equal(roles[0], "*");
    Mesos__V1__FrameworkInfo__Capability capability = MESOS__V1__FRAMEWORK_INFO__CAPABILITY__INIT;
    capability.has_type = 1;
    capability.type = MESOS__V1__FRAMEWORK_INFO__CAPABILITY__TYPE__MULTI_ROLE;
    Mesos__V1__FrameworkInfo__Capability *capabilities[] = {&capability};
    info.n_capabilities = 1;
    info.capabilities = capabilities;
    assert_true(FRAMEWORK_HAS(framework_capabilities(&info), MULTI_ROLE));
    assert_false(FRAMEWORK_HAS(framework_capabilities(&info), GPU_RESOURCES));
    assert_int_equal(framework_roles(&info, arena, &roles), 0);
    char *two[] = {(char *)"a", (char *)"b"};
    info.n_roles = 2;
    info.roles = two;
    assert_int_equal(framework_roles(&info, arena, &roles), 2);
    assert_string_equal(roles[1], "b");
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),        cmocka_unit_test(test_parse_errors),
        cmocka_unit_test(test_scalars),      cmocka_unit_test(test_contains),
        cmocka_unit_test(test_add_subtract), cmocka_unit_test(test_indivisible),
        cmocka_unit_test(test_volumes),      cmocka_unit_test(test_allocation),
        cmocka_unit_test(test_views),        cmocka_unit_test(test_find),
        cmocka_unit_test(test_shared),       cmocka_unit_test(test_completed_messages),
        cmocka_unit_test(test_forms),        cmocka_unit_test(test_form_round_trip),
        cmocka_unit_test(test_summaries),    cmocka_unit_test(test_attributes),
        cmocka_unit_test(test_task_states),  cmocka_unit_test(test_framework_roles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
