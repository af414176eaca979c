// SPDX-License-Identifier: Apache-2.0
//
// Recorded cases: each file in cases/ is a cluster and what happens to it, line by line, with the
// offers, shares and reasons that are expected. cases/README.md has the words.
// And the last offers, as they are told of.

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/text.h"
#include "fixture.h"
#include "model/framework.h"
#include "model/value.h"
#include "proto/mesos.pb-c.h"
#include "wire/wire.h"

struct case_state {
    struct fixture f;
    struct allocator_options options;
    struct arena *arena; // of the options' texts
    bool is_open;
    size_t checked; // offers of the last run that were expected by name
    struct offer *kept;
    size_t kept_count;
    char place[160]; // file and line, for messages
};

enum { WORDS_MAX = 40 };

static struct case_state *current;

#define FAIL(...)                                                                                  \
    do {                                                                                           \
        char *why_ = mem_printf(__VA_ARGS__);                                                      \
        fail_msg("%s: %s", current->place, why_);                                                  \
    } while (0)

static void open_case(struct case_state *c)
{
    if (!c->is_open) {
        fixture_open(&c->f, &c->options);
        c->is_open = true;
    }
}

// ---- the cluster ----

static unsigned capability(const char *name)
{
    int value = wire_enum_value(&mesos__v1__framework_info__capability__type__descriptor, name);
    if (value <= 0) {
        FAIL("no capability %s", name);
    }
    return 1u << value;
}

// framework ID ROLE,ROLE [CAPABILITY ...]
static void do_framework(struct case_state *c, char **words, size_t count)
{
    const char *roles[16];
    size_t role_count = 0;
    char *rest;
    for (char *role = strtok_r(words[2], ",", &rest); role != NULL;
         role = strtok_r(NULL, ",", &rest)) {
        roles[role_count++] = role;
    }
    unsigned capabilities = 0;
    for (size_t i = 3; i < count; i++) {
        capabilities |= capability(words[i]);
    }
    allocator_add_framework(c->f.allocator, words[1], roles, role_count, NULL, 0, capabilities,
                            true);
}

// Numbered ones for {N..M}: the same words with N, N+1, ... in place of the braces.
static void repeat(struct case_state *c, char **words, size_t count,
                   void (*run)(struct case_state *c, char **words, size_t count))
{
    char *brace = strchr(words[1], '{');
    if (brace == NULL) {
        run(c, words, count);
        return;
    }
    int first, last;
    assert_int_equal(sscanf(brace, "{%d..%d}", &first, &last), 2);
    for (int n = first; n <= last; n++) {
        char *copies[WORDS_MAX];
        for (size_t i = 0; i < count; i++) {
            const char *at = strchr(words[i], '{');
            copies[i] = at != NULL ? mem_printf("%.*s%d%s", (int)(at - words[i]), words[i], n,
                                                strchr(at, '}') + 1)
                                   : mem_strdup(words[i]);
        }
        run(c, copies, count);
        for (size_t i = 0; i < count; i++) {
            mem_free(copies[i]);
        }
    }
}

// agent ID RESOURCES
static void do_agent(struct case_state *c, char **words, size_t count)
{
    (void)count;
    add_agent(&c->f, words[1], words[2]);
}

// quota ROLE guarantee NAME:AMOUNT ... limit NAME:AMOUNT ...
static void do_quota(struct case_state *c, char **words, size_t count)
{
    struct allocator_quantity guarantees[8], limits[8];
    struct allocator_quota quota = {.guarantees = guarantees, .limits = limits};
    bool is_limit = false;
    for (size_t i = 2; i < count; i++) {
        char *colon = strchr(words[i], ':');
        if (colon == NULL) {
            is_limit = strcmp(words[i], "limit") == 0;
            continue;
        }
        *colon = '\0';
        struct allocator_quantity *q =
            is_limit ? &limits[quota.limit_count++] : &guarantees[quota.guarantee_count++];
        *q = (struct allocator_quantity){words[i], scalar_from_double(strtod(colon + 1, NULL))};
    }
    allocator_set_quota(c->f.allocator, words[1], &quota);
}

// ---- what happens ----

static struct offer *find_offer(struct case_state *c, const char *framework, const char *agent)
{
    for (size_t i = 0; i < c->kept_count; i++) {
        if (strcmp(c->kept[i].framework, framework) == 0 && strcmp(c->kept[i].agent, agent) == 0 &&
            !resources_is_empty(c->kept[i].resources)) {
            return &c->kept[i];
        }
    }
    FAIL("%s has no offer of %s", framework, agent);
    return NULL;
}

static void do_run(struct case_state *c)
{
    fixture_run(&c->f);
    for (size_t i = 0; i < c->f.offer_count; i++) {
        const struct offer *o = &c->f.offers[i];
        c->kept = mem_realloc_array(c->kept, c->kept_count + 1, sizeof(c->kept[0]));
        c->kept[c->kept_count++] = (struct offer){.framework = mem_strdup(o->framework),
                                                  .role = mem_strdup(o->role),
                                                  .agent = mem_strdup(o->agent),
                                                  .resources = resources_copy(o->resources)};
    }
    c->checked = 0;
}

// decline FRAMEWORK AGENT SECONDS: all of the offer. use: keep RESOURCES of it, decline the rest.
static void do_decline(struct case_state *c, char **words, size_t count)
{
    struct offer *o = find_offer(c, words[1], words[2]);
    AUTO_RESOURCES struct resources *back = resources_copy(o->resources);
    if (strcmp(words[0], "use") == 0) {
        AUTO_RESOURCES struct resources *used = parse(words[3]);
        resources_allocate(used, o->role);
        if (!resources_contains(back, used)) {
            FAIL("the offer has not %s", words[3]);
        }
        resources_subtract(back, used);
    }
    double seconds = strtod(words[count - 1], NULL);
    if (!resources_is_empty(back)) {
        allocator_recover(c->f.allocator, o->framework, o->agent, back,
                          (int64_t)(seconds * (double)NS_PER_S), c->f.now);
    }
    resources_subtract(o->resources, o->resources);
}

// end FRAMEWORK ROLE AGENT RESOURCES: a task ends.
static void do_end(struct case_state *c, char **words)
{
    AUTO_RESOURCES struct resources *used = parse(words[4]);
    resources_allocate(used, words[2]);
    allocator_recover(c->f.allocator, words[1], words[3], used, -1, c->f.now);
}

// transform FRAMEWORK ROLE AGENT FROM TO
static void do_transform(struct case_state *c, char **words)
{
    AUTO_RESOURCES struct resources *from = parse(words[4]);
    AUTO_RESOURCES struct resources *to = parse(words[5]);
    resources_allocate(from, words[2]);
    resources_allocate(to, words[2]);
    allocator_transform(c->f.allocator, words[1], words[3], from, to);
    struct offer *o = find_offer(c, words[1], words[3]);
    resources_subtract(o->resources, from);
    resources_add(o->resources, to);
}

// ---- what is expected ----

// offered FRAMEWORK AGENT|* RESOURCES: of the last run. COUNT instead of resources: so many offers.
static void do_offered(struct case_state *c, char **words)
{
    if (strcmp(words[2], "*") == 0) {
        size_t count = fixture_count(&c->f, words[1]);
        if (count != strtoull(words[3], NULL, 10)) {
            FAIL("%zu offers to %s", count, words[1]);
        }
        c->checked += count;
        return;
    }
    AUTO_RESOURCES struct resources *expected = parse(words[3]);
    for (size_t i = 0; i < c->f.offer_count; i++) {
        const struct offer *o = &c->f.offers[i];
        if (strcmp(o->framework, words[1]) != 0 || strcmp(o->agent, words[2]) != 0) {
            continue;
        }
        AUTO_RESOURCES struct resources *bare = resources_copy(o->resources);
        resources_unallocate(bare);
        if (!resources_is_equal(bare, expected)) {
            AUTO_BUF struct buf text = BUF_INIT;
            resources_put_text(bare, &text);
            FAIL("it was %s", text.data);
        }
        c->checked++;
        return;
    }
    FAIL("no such offer");
}

// share ROLE|FRAMEWORK@ROLE NUMBER
static void do_share(struct case_state *c, char **words)
{
    char *at = strchr(words[1], '@');
    const char *role = at != NULL ? at + 1 : words[1];
    AUTO_FREE char *framework = at != NULL ? mem_strndup(words[1], (size_t)(at - words[1])) : NULL;
    double share = allocator_dominant_share(c->f.allocator, role, framework);
    double expected = strtod(words[2], NULL);
    if (share < expected - 1e-9 || share > expected + 1e-9) {
        FAIL("it is %.6f", share);
    }
}

struct question {
    const char *role;
    const char *agent;
    struct allocator_why why;
    bool is_answered;
};

static void answer(void *ctx, const char *role, const char *agent_id,
                   const struct allocator_why *why)
{
    struct question *q = ctx;
    if (strcmp(role, q->role) == 0 && strcmp(agent_id, q->agent) == 0) {
        q->why = *why;
        q->is_answered = true;
    }
}

static const char *const reasons[] = {
    "DEACTIVATED", "NOT_WHITELISTED", "NOTHING_FREE", "REGION", "GPUS",  "CONSTRAINTS", "RESERVED",
    "CAPABILITY",  "MINIMUM",         "FILTERED",     "SHARED", "LIMIT", "HEADROOM",    "NEXT",
};

// why FRAMEWORK ROLE AGENT REASON [the detail's words]
static void do_why(struct case_state *c, char **words, size_t count)
{
    struct question q = {.role = words[2], .agent = words[3]};
    assert_true(allocator_explain(c->f.allocator, words[1], answer, &q));
    if (!q.is_answered || strcmp(reasons[q.why.reason], words[4]) != 0) {
        FAIL("it is %s (%s)", q.is_answered ? reasons[q.why.reason] : "unknown", q.why.detail);
    }
    AUTO_BUF struct buf detail = BUF_INIT;
    for (size_t i = 5; i < count; i++) {
        buf_puts(&detail, i > 5 ? " " : "");
        buf_puts(&detail, words[i]);
    }
    if (count > 5 && strcmp(detail.data, q.why.detail) != 0) {
        FAIL("it is '%s'", q.why.detail);
    }
}

// ---- lines ----

// option NAME [TEXT], before anything else
static void do_option(struct case_state *c, char **words, size_t count)
{
    const char *name = words[1];
    if (strcmp(name, "minimum") == 0) {
        c->options.min_allocatable_resources = count > 2 ? arena_strdup(c->arena, words[2]) : "";
    } else if (strcmp(name, "demand_aware") == 0) {
        c->options.is_demand_aware = true;
    } else if (strcmp(name, "packing") == 0) {
        c->options.is_packing = true;
    } else if (strcmp(name, "excluded") == 0) {
        c->options.fair_sharing_excluded = arena_strdup(c->arena, words[2]);
    } else {
        FAIL("no option %s", name);
    }
}

static void do_role_call(struct case_state *c, char **words, size_t count)
{
    const char *role = count > 2 ? words[2] : NULL;
    (strcmp(words[0], "revive") == 0 ? allocator_revive : allocator_suppress)(
        c->f.allocator, words[1], &role, role != NULL ? 1 : 0);
}

static bool do_event(struct case_state *c, char **words, size_t count)
{
    const char *word = words[0];
    if (strcmp(word, "decline") == 0 || strcmp(word, "use") == 0) {
        repeat(c, words, count, do_decline);
    } else if (strcmp(word, "end") == 0) {
        do_end(c, words);
    } else if (strcmp(word, "transform") == 0) {
        do_transform(c, words);
    } else if (strcmp(word, "revive") == 0 || strcmp(word, "suppress") == 0) {
        do_role_call(c, words, count);
    } else if (strcmp(word, "deactivate") == 0) {
        allocator_deactivate_agent(c->f.allocator, words[1]);
    } else if (strcmp(word, "remove") == 0) {
        allocator_remove_framework(c->f.allocator, words[1]);
    } else if (strcmp(word, "wait") == 0) {
        fixture_advance(&c->f, (int64_t)(strtod(words[1], NULL) * (double)NS_PER_S));
    } else if (strcmp(word, "run") == 0) {
        do_run(c);
    } else {
        return false;
    }
    return true;
}

static void do_line(struct case_state *c, char **words, size_t count)
{
    const char *word = words[0];
    if (strcmp(word, "option") == 0) {
        do_option(c, words, count);
        return;
    }
    open_case(c);
    if (strcmp(word, "agent") == 0) {
        repeat(c, words, count, do_agent);
    } else if (strcmp(word, "framework") == 0) {
        repeat(c, words, count, do_framework);
    } else if (strcmp(word, "quota") == 0) {
        repeat(c, words, count, do_quota);
    } else if (strcmp(word, "weight") == 0) {
        allocator_set_weight(c->f.allocator, words[1], strtod(words[2], NULL));
    } else if (strcmp(word, "offered") == 0) {
        do_offered(c, words);
    } else if (strcmp(word, "nothing_else") == 0) {
        if (c->checked != c->f.offer_count) {
            FAIL("%zu offers were made", c->f.offer_count);
        }
    } else if (strcmp(word, "share") == 0) {
        do_share(c, words);
    } else if (strcmp(word, "why") == 0) {
        do_why(c, words, count);
    } else if (!do_event(c, words, count)) {
        FAIL("no word %s", word);
    }
}

static void run_case(const char *path)
{
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    struct case_state c = {.options = {.seed = 1}, .arena = arena_new(0, 0)};
    current = &c;
    char line[2000];
    for (int number = 1; fgets(line, sizeof(line), file) != NULL; number++) {
        snprintf(c.place, sizeof(c.place), "%s:%d", strrchr(path, '/') + 1, number);
        char *words[WORDS_MAX];
        size_t count = 0;
        char *rest;
        for (char *word = strtok_r(line, " \n", &rest);
             word != NULL && word[0] != '#' && count < WORDS_MAX;
             word = strtok_r(NULL, " \n", &rest)) {
            words[count++] = word;
        }
        if (count > 0) {
            do_line(&c, words, count);
        }
    }
    fclose(file);
    for (size_t i = 0; i < c.kept_count; i++) {
        mem_free(c.kept[i].framework);
        mem_free(c.kept[i].role);
        mem_free(c.kept[i].agent);
        resources_free(c.kept[i].resources);
    }
    mem_free(c.kept);
    assert_true(c.is_open);
    fixture_close(&c.f);
    arena_free(c.arena);
}

static void test_recorded(void **state)
{
    (void)state;
    DIR *directory = opendir(CASES);
    assert_non_null(directory);
    size_t count = 0;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        size_t size = strlen(entry->d_name);
        if (size > 4 && strcmp(entry->d_name + size - 4, ".txt") == 0) {
            char *path AUTO_FREE = mem_printf("%s/%s", CASES, entry->d_name);
            run_case(path);
            count++;
        }
    }
    closedir(directory);
    assert_true(count >= 10);
}

// ---- the last offers ----

struct heard {
    char agents[16][80];
    int64_t cpus[16];
    size_t entries[16];
    size_t count;
};

static void hear(void *ctx, const char *role, const char *agent_id, int64_t wall_ns,
                 const struct resources *offered)
{
    struct heard *heard = ctx;
    assert_string_equal(role, "a");
    assert_string_equal(resources_role(offered), "a");
    assert_int_equal(wall_ns, 5);
    snprintf(heard->agents[heard->count], sizeof(heard->agents[0]), "%s", agent_id);
    heard->cpus[heard->count] = resources_scalar(offered, "cpus");
    struct buf text = BUF_INIT;
    resources_put_text(offered, &text);
    for (const char *c = text.data; *c != '\0'; c++) {
        heard->entries[heard->count] += *c == ';';
    }
    buf_free(&text);
    heard->count++;
}

// The latest first, no more than are kept, whatever they are made of.
static void test_last_offers(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, &(struct allocator_options){.seed = 3});
    f.now.wall = 5;
    add_framework(&f, "F1", "a", 0);
    const char *long_id =
        "an-agent-with-a-name-that-is-longer-than-those-that-masters-give-to-them";
    for (int i = 1; i <= 12; i++) {
        char id[80], text[160];
        snprintf(id, sizeof(id), "%s%d", i % 3 == 0 ? long_id : "S", i);
        snprintf(text, sizeof(text), "cpus:%d;mem:1024;ports:[1-%d];zones:{x,y}%s", i, i,
                 i % 4 == 0 ? ";gold:2;disk:3" : "");
        add_agent(&f, id, text);
        assert_int_equal(fixture_run(&f), 1);
    }
    struct heard heard = {0};
    assert_int_equal(allocator_walk_offers(f.allocator, "F1", hear, &heard), 12);
    assert_int_equal(heard.count, 8);
    for (size_t k = 0; k < heard.count; k++) {
        int i = 12 - (int)k;
        char id[80];
        snprintf(id, sizeof(id), "%s%d", i % 3 == 0 ? long_id : "S", i);
        assert_string_equal(heard.agents[k], id);
        assert_int_equal(heard.cpus[k], i * 1000);
        assert_int_equal(heard.entries[k], i % 4 == 0 ? 5 : 3);
    }
    assert_int_equal(allocator_walk_offers(f.allocator, "F2", hear, &heard), 0);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recorded),
        cmocka_unit_test(test_last_offers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
