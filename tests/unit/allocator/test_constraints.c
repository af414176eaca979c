// SPDX-License-Identifier: Apache-2.0
//
// Offer constraints and their regular expressions.

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "allocator/constraints.h"
#include "base/mem.h"
#include "wire/wire.h"

static const struct pattern_limits limits = {.memory_max = 4096, .program_max = 100};

// ---- patterns ----

static void test_matches(void **state)
{
    (void)state;
    static const struct {
        const char *pattern;
        const char *text;
        bool is_match;
    } table[] = {
        {"rack-[0-9]+", "rack-12", true},
        {"rack-[0-9]+", "rack-12b", false}, // all of the text
        {"rack-[0-9]+", "xrack-12", false},
        {"a|ab", "ab", true},
        {"", "", true},
        {"", "x", false},
        {"(?i)us-EAST-.", "US-east-1", true},
        {"(us|eu)-(?:east|west)", "eu-west", true},
        {"\\d{2,3}\\.\\w*", "123.abc", true},
        {"[^]a]b", "xb", true},
        {"[[:alpha:]]+", "Zone", true},
        {".", "\xc3\xa9", true}, // one letter of two bytes
        {"\\(\\?=\\)", "(?=)", true},
        {"[(?=]+", "(?=(", true},
        {"a*?b", "aab", true},
        {"(?P<name>x)y", "xy", true},
        {"x", "\xff", false}, // no UTF-8
        // Nobody waits for these: backtracking would take for ever.
        {"(a+)+b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac", false},
        {"(a|a)*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac", false},
        {"(.*)(.*)(.*)(.*)(.*)x", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false},
    };
    for (size_t i = 0; i < ARRAY_COUNT(table); i++) {
        struct pattern *pattern;
        struct error err;
        if (pattern_new(table[i].pattern, &limits, &pattern, &err) != 0) {
            fail_msg("%s", err.text);
        }
        if (pattern_is_match(pattern, table[i].text) != table[i].is_match) {
            fail_msg("'%s' and '%s'", table[i].pattern, table[i].text);
        }
        pattern_free(pattern);
    }
}

static void expect_refusal(const char *text, const struct pattern_limits *with,
                           const char *expected)
{
    struct pattern *pattern;
    struct error err;
    assert_int_equal(pattern_new(text, with, &pattern, &err), -EINVAL);
    if (strstr(err.text, expected) == NULL) {
        fail_msg("'%s' instead of '%s'", err.text, expected);
    }
}

static void test_refused_patterns(void **state)
{
    (void)state;
    expect_refusal("(", &limits, "Failed to construct regex from pattern '(': missing closing");
    expect_refusal("[a", &limits, "Failed to construct regex from pattern '[a': missing");
    expect_refusal("a\\", &limits, "trailing \\");
    expect_refusal("*a", &limits, "quantifier does not follow");
    expect_refusal("(?=a)b", &limits, "invalid perl operator: (?=");
    expect_refusal("(?<!a)b", &limits, "invalid perl operator: (?<");
    expect_refusal("(?>a)b", &limits, "invalid perl operator: (?>");
    expect_refusal("(?R)", &limits, "invalid perl operator: (?R");
    expect_refusal("(?1)", &limits, "invalid perl operator: (?1");
    expect_refusal("(*LIMIT_MATCH=1)a", &limits, "no argument for repetition operator: *");
    expect_refusal("(a)\\1", &limits, "invalid escape sequence: \\1");
    expect_refusal("(?P<n>a)\\k<n>", &limits, "invalid escape sequence: \\k");
    expect_refusal("a++", &limits, "bad repetition operator: ++");
    expect_refusal("a{1001}", &limits, "invalid repetition size: {1001}");
    expect_refusal("\xff", &limits, "UTF-8");
    const struct pattern_limits small = {.memory_max = 4096, .program_max = 10};
    expect_refusal("abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz", &small,
                   "is larger than maximum of 10 allowed");
    const struct pattern_limits tiny = {.memory_max = 64, .program_max = 1000};
    expect_refusal("((((a{100}){100}){100}){100})", &limits, "too large");
    expect_refusal("abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz", &tiny,
                   "pattern too large - compile failed");
}

// ---- constraints ----

static void *decode(struct arena *arena, const ProtobufCMessageDescriptor *descriptor,
                    const char *json)
{
    ProtobufCMessage *message;
    struct error err;
    if (wire_json_decode(descriptor, arena, json, strlen(json), &message, &err) != 0) {
        fail_msg("%s: %s", json, err.text);
    }
    return message;
}

#define AGENT                                                                                      \
    "{\"hostname\":\"h1.example\",\"attributes\":["                                                \
    "{\"name\":\"rack\",\"type\":\"TEXT\",\"text\":{\"value\":\"r1\"}},"                           \
    "{\"name\":\"level\",\"type\":\"SCALAR\",\"scalar\":{\"value\":3}}],"                          \
    "\"domain\":{\"fault_domain\":{\"region\":{\"name\":\"eu\"},\"zone\":{\"name\":\"eu-1\"}}}}"

static struct constraints *read(struct arena *arena, const char *groups, struct error *err)
{
    const char *json =
        arena_printf(arena, "{\"role_constraints\":{\"a\":{\"groups\":[%s]}}}", groups);
    struct constraints *constraints = NULL;
    const void *message = decode(arena, &mesos__v1__scheduler__offer_constraints__descriptor, json);
    return constraints_new(message, &limits, &constraints, err) == 0 ? constraints : NULL;
}

#define WHEN(selector, predicate) "{\"selector\":{" selector "},\"predicate\":{" predicate "}}"
#define GROUP(conditions) "{\"attribute_constraints\":[" conditions "]}"
#define NAMED(name) "\"attribute_name\":\"" name "\""
#define PSEUDO(name) "\"pseudoattribute_type\":\"" name "\""
#define IS(kind, what) "\"" kind "\":{" what "}"
#define TEXT(value) "\"value\":\"" value "\""

static void test_constraints(void **state)
{
    (void)state;
    static const struct {
        const char *groups;
        bool is_excluded;
    } table[] = {
        {GROUP(WHEN(NAMED("rack"), IS("exists", ""))), false},
        {GROUP(WHEN(NAMED("none"), IS("exists", ""))), true},
        {GROUP(WHEN(NAMED("none"), IS("not_exists", ""))), false},
        {GROUP(WHEN(NAMED("rack"), IS("not_exists", ""))), true},
        {GROUP(WHEN(NAMED("rack"), IS("text_equals", TEXT("r1")))), false},
        {GROUP(WHEN(NAMED("rack"), IS("text_equals", TEXT("r2")))), true},
        {GROUP(WHEN(NAMED("none"), IS("text_equals", TEXT("r2")))), true},
        {GROUP(WHEN(NAMED("rack"), IS("text_not_equals", TEXT("r2")))), false},
        {GROUP(WHEN(NAMED("rack"), IS("text_not_equals", TEXT("r1")))), true},
        {GROUP(WHEN(NAMED("none"), IS("text_not_equals", TEXT("r1")))), false},
        {GROUP(WHEN(NAMED("rack"), IS("text_matches", "\"regex\":\"r[0-9]\""))), false},
        {GROUP(WHEN(NAMED("rack"), IS("text_matches", "\"regex\":\"r\""))), true},
        {GROUP(WHEN(NAMED("rack"), IS("text_not_matches", "\"regex\":\"r\""))), false},
        {GROUP(WHEN(NAMED("rack"), IS("text_not_matches", "\"regex\":\"r.\""))), true},
        {GROUP(WHEN(NAMED("none"), IS("text_not_matches", "\"regex\":\"r.\""))), false},
        // An attribute that is no text meets all but the test of its absence.
        {GROUP(WHEN(NAMED("level"), IS("text_equals", TEXT("x")))), false},
        {GROUP(WHEN(NAMED("level"), IS("text_not_equals", TEXT("x")))), false},
        {GROUP(WHEN(NAMED("level"), IS("text_matches", "\"regex\":\"x\""))), false},
        {GROUP(WHEN(NAMED("level"), IS("not_exists", ""))), true},
        {GROUP(WHEN(PSEUDO("HOSTNAME"), IS("text_matches", "\"regex\":\".*\\\\.example\""))),
         false},
        {GROUP(WHEN(PSEUDO("REGION"), IS("text_equals", TEXT("eu")))), false},
        {GROUP(WHEN(PSEUDO("ZONE"), IS("text_equals", TEXT("eu")))), true},
        // All of a group, any of the groups.
        {GROUP(WHEN(NAMED("rack"), IS("exists", "")) "," WHEN(NAMED("none"), IS("exists", ""))),
         true},
        {GROUP(WHEN(NAMED("none"), IS("exists", ""))) "," GROUP(
             WHEN(NAMED("rack"), IS("exists", ""))),
         false},
    };
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    const Mesos__V1__AgentInfo *info = decode(arena, &mesos__v1__agent_info__descriptor, AGENT);
    for (size_t i = 0; i < ARRAY_COUNT(table); i++) {
        struct error err = {0};
        struct constraints *constraints = read(arena, table[i].groups, &err);
        if (constraints == NULL ||
            constraints_exclude(constraints, "a", info) != table[i].is_excluded) {
            fail_msg("%s %s", table[i].groups, err.text);
        }
        assert_false(constraints_exclude(constraints, "b", info));
        constraints_free(constraints);
    }
}

static void test_no_domain(void **state)
{
    (void)state;
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    const Mesos__V1__AgentInfo *info =
        decode(arena, &mesos__v1__agent_info__descriptor, "{\"hostname\":\"h\"}");
    struct constraints *constraints =
        read(arena, GROUP(WHEN(PSEUDO("REGION"), IS("not_exists", ""))), NULL);
    assert_false(constraints_exclude(constraints, "a", info));
    constraints_free(constraints);
}

static void test_invalid(void **state)
{
    (void)state;
    static const char *const table[][2] = {
        {"", "'OfferConstraints::role_constraints' has an empty 'RoleConstraints::groups' for role "
             "a"},
        {"{}", "'OfferConstraints::RoleConstraints::groups' for role a contains an empty "
               "RoleConstraints::Group"},
        {GROUP(WHEN("", IS("exists", ""))),
         "A role a has an invalid 'AttributeConstraint': Exactly one of "
         "'AttributeConstraint::Selector::name' or "
         "'AttributeConstraint::Selector::pseudoattribute_type' must be set"},
        {GROUP(WHEN(PSEUDO("UNKNOWN"), IS("exists", ""))),
         "A role a has an invalid 'AttributeConstraint': Unknown pseudoattribute type"},
        {GROUP(WHEN(NAMED("x"), "")),
         "A role a has an invalid 'AttributeConstraint': Unknown predicate type"},
        {GROUP(WHEN(NAMED("x"), IS("exists", "")) "," WHEN(NAMED("x"),
                                                           IS("text_matches", "\"regex\":\"(\""))),
         "A role a has an invalid 'AttributeConstraint': Failed to construct regex from pattern "
         "'(': missing closing parenthesis (at offset 1)"},
    };
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    for (size_t i = 0; i < ARRAY_COUNT(table); i++) {
        struct error err;
        assert_null(read(arena, table[i][0], &err));
        assert_string_equal(err.text, table[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matches),     cmocka_unit_test(test_refused_patterns),
        cmocka_unit_test(test_constraints), cmocka_unit_test(test_no_domain),
        cmocka_unit_test(test_invalid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
