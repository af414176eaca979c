// SPDX-License-Identifier: Apache-2.0
//
// Times of allocation rounds. For each size it prints what a round costs in these situations:
//   first    all agents are free, all frameworks want offers: an offer per agent
//   cycle    the same again, after all was given back; the best of several
//   again    every offer was declined for an hour; each agent goes to the next framework
//   refused  all frameworks refused all agents, and every agent must be looked at again
//   task     one task ended on one agent
//   empty    nothing changed
//   add      a framework comes while all agents are held by others, and a round
//   remove   it goes again, and a round
//   revive   all frameworks revive while all agents are held, and a round
// Columns are milliseconds of CPU; "offer" is microseconds per offer of the cycle. Agents are all
// of one size, or, where it says so, of sizes at random. A second table has quotas: each role has
// one, with a guarantee.
//
//   allocator_bench [--quick] [--json=FILE]
//   allocator_bench --cycles=AGENTSxFRAMEWORKSxROLESxCYCLES    only cycles, for valgrind and perf

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "allocator/allocator.h"
#include "base/check.h"
#include "base/mem.h"
#include "base/prng.h"
#include "model/resource_entry.h"

enum { TOTALS = 16 }; // so many sorts of agents

// An offer. It is small, so that a round's cost is the allocator's.
struct note {
    uint32_t framework;
    uint32_t agent;
    struct resources *part; // what was offered; NULL: all that the agent has
};

struct bench {
    struct allocator *allocator;
    struct instant now;
    struct note *notes; // of the last round
    size_t note_count;
    size_t note_capacity;
    size_t agents, frameworks, roles;
    bool is_mixed; // agents are of various sizes
    struct resources *totals[TOTALS];
    uint8_t *total_of; // by agent
};

struct size {
    size_t agents, frameworks, roles;
    bool is_mixed;
};

static double clock_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static bool is_all(const struct bench *b, uint32_t agent, const struct resources *offered)
{
    const struct resources *total = b->totals[b->total_of[agent]];
    bool is_same = offered->count == total->count;
    for (uint32_t i = 0; is_same && i < total->count; i++) {
        const struct resource_entry *x = &offered->entries[i], *y = &total->entries[i];
        is_same = x->kind == y->kind && x->scalar == y->scalar && x->count == y->count;
    }
    return is_same;
}

// What a master does least of all: it notes who got what.
static void on_offer(void *ctx, const char *framework_id, const char *role, const char *agent_id,
                     const struct resources *offered)
{
    (void)role;
    struct bench *b = ctx;
    CHECK(b->note_count < b->note_capacity);
    struct note *note = &b->notes[b->note_count++];
    note->framework = (uint32_t)atoi(framework_id + 1);
    note->agent = (uint32_t)atoi(agent_id + 1);
    note->part = is_all(b, note->agent, offered) ? NULL : resources_copy(offered);
}

static double run_ms(struct bench *b, size_t expected)
{
    double start = clock_ms();
    size_t count = allocator_run(b->allocator, b->now);
    double took = clock_ms() - start;
    CHECK(count == expected && b->note_count == expected);
    return took;
}

// As it was offered; the note has its own afterwards.
static struct resources *resources_of(const struct bench *b, struct note *note)
{
    if (note->part == NULL) {
        char role[32];
        snprintf(role, sizeof(role), "role%zu", note->framework % b->roles);
        note->part = resources_copy(b->totals[b->total_of[note->agent]]);
        resources_allocate(note->part, role);
    }
    return note->part;
}

static void recover_all(struct bench *b, int64_t refuse_ns)
{
    for (size_t i = 0; i < b->note_count; i++) {
        struct note *note = &b->notes[i];
        char framework[24], agent[24];
        snprintf(framework, sizeof(framework), "F%u", note->framework);
        snprintf(agent, sizeof(agent), "S%u", note->agent);
        allocator_recover(b->allocator, framework, agent, resources_of(b, note), refuse_ns, b->now);
        note->part = resources_free(note->part);
    }
    b->note_count = 0;
}

static void fill(struct bench *b)
{
    const struct allocator_options options = {.seed = 1};
    const struct allocator_callbacks callbacks = {.offer = on_offer};
    b->allocator = allocator_new(&options, &callbacks, b);
    // An offer for each agent, and as many more as quotas, or a task that ended, may make.
    b->note_capacity = 2 * (b->agents + b->roles);
    b->notes = mem_calloc(b->note_capacity, sizeof(b->notes[0]));
    for (size_t i = 0; i < b->frameworks; i++) {
        char id[24], name[32];
        snprintf(id, sizeof(id), "F%zu", i);
        snprintf(name, sizeof(name), "role%zu", i % b->roles);
        const char *role = name;
        allocator_add_framework(b->allocator, id, &role, 1, NULL, 0, 0, true);
    }
    struct prng prng;
    prng_seed(&prng, 1);
    for (size_t i = 0; i < TOTALS; i++) {
        char text[96];
        snprintf(text, sizeof(text), "cpus:%d;mem:%d;disk:4096;ports:[31000-32000]",
                 b->is_mixed ? 4 + (int)prng_below(&prng, 60) : 24,
                 b->is_mixed ? 1024 + (int)prng_below(&prng, 16384) : 4096);
        CHECK(resources_parse(text, "*", &b->totals[i], NULL) == 0);
    }
    b->total_of = mem_alloc(b->agents);
    for (size_t i = 0; i < b->agents; i++) {
        char id[24];
        snprintf(id, sizeof(id), "S%zu", i);
        b->total_of[i] = (uint8_t)prng_below(&prng, TOTALS);
        allocator_add_agent(b->allocator, id, b->totals[b->total_of[i]], NULL, 0);
    }
}

// All is given back and offered again, `cycles` times; the best.
static double cycle_ms(struct bench *b, size_t cycles)
{
    double best = 0;
    for (size_t i = 0; i < cycles; i++) {
        recover_all(b, -1);
        b->now.mono += NS_PER_S;
        double took = run_ms(b, b->agents);
        best = i == 0 || took < best ? took : best;
    }
    return best;
}

// One task's worth comes back on an agent that is wholly used, and is offered again.
static double task_ms(struct bench *b)
{
    struct resources *task = NULL;
    CHECK(resources_parse("cpus:1;mem:100", "*", &task, NULL) == 0);
    struct note *note = &b->notes[b->note_count / 2];
    while (resources_scalar(resources_of(b, note), "cpus") < 1000 ||
           resources_scalar(resources_of(b, note), "mem") < 100000) {
        note++;
        CHECK(note < b->notes + b->note_count);
    }
    char framework[24], agent[24], role[32];
    snprintf(framework, sizeof(framework), "F%u", note->framework);
    snprintf(agent, sizeof(agent), "S%u", note->agent);
    snprintf(role, sizeof(role), "role%zu", note->framework % b->roles);
    resources_allocate(task, role);
    double start = clock_ms();
    allocator_recover(b->allocator, framework, agent, task, -1, b->now);
    CHECK(allocator_run(b->allocator, b->now) == 1);
    double took = clock_ms() - start;
    resources_subtract(note->part, task);
    resources_free(task);
    return took;
}

static double empty_ms(struct bench *b)
{
    double start = clock_ms();
    for (int i = 0; i < 1000; i++) {
        CHECK(allocator_next(b->allocator) > b->now.mono &&
              allocator_run(b->allocator, b->now) == 0);
    }
    return (clock_ms() - start) / 1000;
}

// A framework comes and goes while nothing is free.
static void come_and_go(struct bench *b, double *ret_add, double *ret_remove)
{
    const char *role = "role0";
    double start = clock_ms();
    allocator_add_framework(b->allocator, "new", &role, 1, NULL, 0, 0, true);
    CHECK(allocator_run(b->allocator, b->now) == 0);
    double middle = clock_ms();
    allocator_remove_framework(b->allocator, "new");
    CHECK(allocator_run(b->allocator, b->now) == 0);
    *ret_add = middle - start;
    *ret_remove = clock_ms() - middle;
}

static double revive_ms(struct bench *b)
{
    double start = clock_ms();
    for (size_t i = 0; i < b->frameworks; i++) {
        char id[24];
        snprintf(id, sizeof(id), "F%zu", i);
        allocator_revive(b->allocator, id, NULL, 0);
    }
    CHECK(allocator_run(b->allocator, b->now) == 0);
    return clock_ms() - start;
}

// Everybody refuses everything, as long as that fits into memory; then each agent is looked at.
static double refused_ms(struct bench *b)
{
    if (b->roles == 1 || b->agents * b->frameworks > 2000000) {
        return -1;
    }
    size_t rounds = 0;
    do {
        recover_all(b, 3600 * NS_PER_S);
        allocator_run(b->allocator, b->now);
        rounds++;
    } while (b->note_count > 0 && rounds < 2 * b->frameworks + 2);
    for (size_t i = 0; i < b->agents; i++) {
        char id[24];
        snprintf(id, sizeof(id), "S%zu", i);
        allocator_deactivate_agent(b->allocator, id);
        allocator_activate_agent(b->allocator, id);
    }
    return run_ms(b, 0);
}

static void finish(struct bench *b)
{
    recover_all(b, -1);
    b->allocator = allocator_free(b->allocator);
    for (size_t i = 0; i < TOTALS; i++) {
        resources_free(b->totals[i]);
    }
    mem_free(b->total_of);
    mem_free(b->notes);
}

// Rows stand in an array: a comma goes before all but the first.
static void begin_row(FILE *json, bool *has_rows)
{
    fputs(*has_rows ? ",\n  " : "\n  ", json);
    *has_rows = true;
}

static void measure(const struct size *size, FILE *json, bool *has_rows)
{
    struct bench b = {.agents = size->agents,
                      .frameworks = size->frameworks,
                      .roles = size->roles,
                      .is_mixed = size->is_mixed,
                      .now = {.mono = NS_PER_S}};
    fill(&b);
    enum { OFFERS = 400000, CYCLES = 8 }; // so many offers at least, and so many cycles
    double first = run_ms(&b, b.agents);
    double cycle = cycle_ms(&b, OFFERS / b.agents > CYCLES ? OFFERS / b.agents : CYCLES);
    double task = task_ms(&b);
    double empty = empty_ms(&b);
    recover_all(&b, 3600 * NS_PER_S);
    double again = run_ms(&b, b.agents);
    double add, remove;
    come_and_go(&b, &add, &remove);
    double revive = revive_ms(&b);
    double refused = refused_ms(&b);
    printf("%7zu %10zu %6zu%6s %8.2f %8.2f %8.2f %8.2f %8.4f %8.6f %8.4f %8.4f %8.2f %6.2f\n",
           b.agents, b.frameworks, b.roles, b.is_mixed ? "mixed" : "", first, cycle, again, refused,
           task, empty, add, remove, revive, cycle * 1000 / (double)b.agents);
    fflush(stdout);
    begin_row(json, has_rows);
    fprintf(json,
            "{\"agents\":%zu,\"frameworks\":%zu,\"roles\":%zu,\"mixed\":%s,\"first_ms\":%f,"
            "\"cycle_ms\":%f,\"again_ms\":%f,\"refused_ms\":%f,\"task_ms\":%f,\"empty_ms\":%f,"
            "\"add_ms\":%f,\"remove_ms\":%f,\"revive_ms\":%f}",
            b.agents, b.frameworks, b.roles, b.is_mixed ? "true" : "false", first, cycle, again,
            refused, task, empty, add, remove, revive);
    finish(&b);
}

// ---- quotas ----

// Each role is promised a little and limited; half of the cluster is never theirs.
static void measure_quotas(size_t agents, size_t roles, FILE *json, bool *has_rows)
{
    struct bench b = {
        .agents = agents, .frameworks = roles, .roles = roles, .now = {.mono = NS_PER_S}};
    fill(&b);
    int64_t total, mem, held;
    allocator_get_amounts(b.allocator, "cpus", &total, &held);
    allocator_get_amounts(b.allocator, "mem", &mem, &held);
    double start = clock_ms();
    for (size_t i = 0; i < roles; i++) {
        char name[32];
        snprintf(name, sizeof(name), "role%zu", i);
        const struct allocator_quantity guarantee = {"cpus", total / 4 / (int64_t)roles};
        const struct allocator_quantity limits[] = {{"cpus", total / 2 / (int64_t)roles},
                                                    {"mem", mem / 2 / (int64_t)roles}};
        const struct allocator_quota quota = {
            .guarantees = &guarantee, .guarantee_count = 1, .limits = limits, .limit_count = 2};
        allocator_set_quota(b.allocator, name, &quota);
    }
    double set = clock_ms() - start;
    start = clock_ms();
    size_t offers = allocator_run(b.allocator, b.now);
    double first = clock_ms() - start;
    double empty = empty_ms(&b);
    double task = task_ms(&b);
    printf("%7zu %6zu %8.2f %8.2f %8zu %8.4f %8.6f\n", agents, roles, set, first, offers, task,
           empty);
    fflush(stdout);
    begin_row(json, has_rows);
    fprintf(json,
            "{\"agents\":%zu,\"quota_roles\":%zu,\"set_ms\":%f,\"first_ms\":%f,"
            "\"offers\":%zu,\"task_ms\":%f,\"empty_ms\":%f}",
            agents, roles, set, first, offers, task, empty);
    finish(&b);
}

// ---- which ----

// Growth is told of those with ten agents to a framework and to a role.
static const struct size sizes[] = {
    {2500, 250, 250, false},    {5000, 500, 500, false},    {10000, 1000, 1000, false},
    {20000, 2000, 2000, false}, {2500, 250, 250, true},     {5000, 500, 500, true},
    {10000, 1000, 1000, true},  {20000, 2000, 2000, true},  {1000, 200, 200, false},
    {2500, 200, 200, false},    {5000, 200, 200, false},    {10000, 200, 200, false},
    {10000, 200, 1, false},     {20000, 200, 200, false},   {30000, 3000, 3000, false},
    {45000, 4500, 4500, false}, {67500, 6750, 6750, false}, {100000, 10000, 10000, false},
};
static const struct size quick_sizes[] = {
    {2500, 250, 250, false},    {5000, 500, 500, false},  {10000, 1000, 1000, false},
    {20000, 2000, 2000, false}, {10000, 200, 200, false},
};

static void measure_all(bool is_quick, FILE *json)
{
    bool has_rows = false;
    fputs("{\"rounds\": [", json);
    printf("%7s %10s %6s%6s %8s %8s %8s %8s %8s %8s %8s %8s %8s %6s\n", "agents", "frameworks",
           "roles", "", "first", "cycle", "again", "refused", "task", "empty", "add", "remove",
           "revive", "offer");
    size_t count = is_quick ? ARRAY_COUNT(quick_sizes) : ARRAY_COUNT(sizes);
    for (size_t i = 0; i < count; i++) {
        measure(is_quick ? &quick_sizes[i] : &sizes[i], json, &has_rows);
    }
    fputs("],\n\"quotas\": [", json);
    printf("%7s %6s %8s %8s %8s %8s %8s\n", "agents", "quotas", "set", "first", "offers", "task",
           "empty");
    has_rows = false;
    measure_quotas(10000, 300, json, &has_rows);
    measure_quotas(10000, 3000, json, &has_rows);
    fputs("]}\n", json);
}

static void measure_cycles(const struct size *size, size_t cycles)
{
    struct bench b = {.agents = size->agents,
                      .frameworks = size->frameworks,
                      .roles = size->roles,
                      .now = {.mono = NS_PER_S}};
    fill(&b);
    run_ms(&b, b.agents);
    printf("%.4f\n", cycle_ms(&b, cycles));
    finish(&b);
}

int main(int argc, char **argv)
{
    bool is_quick = false;
    const char *path = "/dev/null";
    for (int i = 1; i < argc; i++) {
        struct size size = {0};
        size_t cycles;
        if (strcmp(argv[i], "--quick") == 0) {
            is_quick = true;
        } else if (strncmp(argv[i], "--json=", 7) == 0) {
            path = argv[i] + 7;
        } else if (sscanf(argv[i], "--cycles=%zux%zux%zux%zu", &size.agents, &size.frameworks,
                          &size.roles, &cycles) == 4) {
            measure_cycles(&size, cycles);
            return 0;
        } else {
            fprintf(stderr, "'%s' is no flag of this program\n", argv[i]);
            return 1;
        }
    }
    FILE *json = fopen(path, "w");
    CHECK(json != NULL);
    measure_all(is_quick, json);
    CHECK(fclose(json) == 0);
    return 0;
}
