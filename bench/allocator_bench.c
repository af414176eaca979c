// SPDX-License-Identifier: Apache-2.0
//
// Times of allocation rounds. For each size it prints what a round costs in these situations:
//   first    all agents are free, all frameworks want offers: an offer per agent
//   again    every offer was declined for an hour; each agent goes to the next framework
//   refused  all frameworks refused all agents, and every agent must be looked at again
//   task     one task ended on one agent
//   empty    nothing changed
//   add      a framework comes while all agents are held by others, and a round
//   remove   it goes again, and a round
//   revive   all frameworks revive while all agents are held, and a round
// Columns are milliseconds of CPU; "offer" is microseconds per offer of the first round. A second
// table has quotas: each role has one, with a guarantee. The exponent of growth of the first round
// is fitted over four sizes. --json=FILE writes a JSON object per line as well.

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "allocator/allocator.h"
#include "base/check.h"
#include "base/mem.h"

struct note {
    uint32_t framework;
    uint32_t agent;
    struct resources *resources;
};

struct bench {
    struct allocator *allocator;
    struct instant now;
    struct note *notes; // of the last round
    size_t note_count;
    size_t agents, frameworks, roles;
};

static double clock_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

// What a master does least of all: it notes who got what.
static void on_offer(void *ctx, const char *framework_id, const char *role, const char *agent_id,
                     const struct resources *offered)
{
    (void)role;
    struct bench *b = ctx;
    b->notes[b->note_count++] = (struct note){.framework = (uint32_t)atoi(framework_id + 1),
                                              .agent = (uint32_t)atoi(agent_id + 1),
                                              .resources = resources_copy(offered)};
}

static double run_ms(struct bench *b, size_t expected)
{
    double start = clock_ms();
    size_t count = allocator_run(b->allocator, b->now);
    double took = clock_ms() - start;
    CHECK(count == expected && b->note_count == expected);
    return took;
}

static void recover_all(struct bench *b, int64_t refuse_ns)
{
    for (size_t i = 0; i < b->note_count; i++) {
        char framework[24], agent[24];
        snprintf(framework, sizeof(framework), "F%u", b->notes[i].framework);
        snprintf(agent, sizeof(agent), "S%u", b->notes[i].agent);
        allocator_recover(b->allocator, framework, agent, b->notes[i].resources, refuse_ns, b->now);
        resources_free(b->notes[i].resources);
    }
    b->note_count = 0;
}

static void fill(struct bench *b)
{
    const struct allocator_options options = {.seed = 1};
    const struct allocator_callbacks callbacks = {.offer = on_offer};
    b->allocator = allocator_new(&options, &callbacks, b);
    b->notes = mem_calloc(b->agents, sizeof(b->notes[0]));
    for (size_t i = 0; i < b->frameworks; i++) {
        char id[24], name[32];
        snprintf(id, sizeof(id), "F%zu", i);
        snprintf(name, sizeof(name), "role%zu", i % b->roles);
        const char *role = name;
        allocator_add_framework(b->allocator, id, &role, 1, NULL, 0, 0, true);
    }
    struct resources *total = NULL;
    CHECK(resources_parse("cpus:24;mem:4096;disk:4096;ports:[31000-32000]", "*", &total, NULL) ==
          0);
    for (size_t i = 0; i < b->agents; i++) {
        char id[24];
        snprintf(id, sizeof(id), "S%zu", i);
        allocator_add_agent(b->allocator, id, total, NULL, 0);
    }
    resources_free(total);
}

// One task's worth comes back on an agent that is wholly used, and is offered again.
static double task_ms(struct bench *b)
{
    struct resources *task = NULL;
    CHECK(resources_parse("cpus:1;mem:100", "*", &task, NULL) == 0);
    struct note *note = &b->notes[b->note_count / 2];
    while (resources_scalar(note->resources, "cpus") < 1000 ||
           resources_scalar(note->resources, "mem") < 100000) {
        note++;
        CHECK(note < b->notes + b->note_count);
    }
    char framework[24], agent[24], role[32];
    snprintf(framework, sizeof(framework), "F%u", note->framework);
    snprintf(agent, sizeof(agent), "S%u", note->agent);
    snprintf(role, sizeof(role), "role%zu", note->framework % b->roles);
    resources_allocate(task, role);
    size_t before = b->note_count;
    b->notes = mem_realloc_array(b->notes, before + 1, sizeof(b->notes[0]));
    double start = clock_ms();
    allocator_recover(b->allocator, framework, agent, task, -1, b->now);
    CHECK(allocator_run(b->allocator, b->now) == 1);
    double took = clock_ms() - start;
    resources_subtract(note->resources, task);
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

static double measure(size_t agents, size_t frameworks, size_t roles, FILE *json)
{
    struct bench b = {
        .agents = agents, .frameworks = frameworks, .roles = roles, .now = {.mono = NS_PER_S}};
    fill(&b);
    double first = run_ms(&b, agents);
    double task = task_ms(&b);
    double empty = empty_ms(&b);
    recover_all(&b, 3600 * NS_PER_S);
    double again = run_ms(&b, agents);
    double add, remove;
    come_and_go(&b, &add, &remove);
    double revive = revive_ms(&b);
    // Let everybody refuse everything, as long as that fits into memory.
    double refused = -1;
    if (roles > 1 && agents * frameworks <= 2000000) {
        size_t rounds = 0;
        do {
            recover_all(&b, 3600 * NS_PER_S);
            allocator_run(b.allocator, b.now);
            rounds++;
        } while (b.note_count > 0 && rounds < 2 * frameworks + 2);
        for (size_t i = 0; i < agents; i++) {
            char id[24];
            snprintf(id, sizeof(id), "S%zu", i);
            allocator_deactivate_agent(b.allocator, id);
            allocator_activate_agent(b.allocator, id);
        }
        refused = run_ms(&b, 0);
    }
    printf("%7zu %10zu %6zu %8.2f %8.2f %8.2f %8.4f %8.6f %8.4f %8.4f %8.2f %6.2f\n", agents,
           frameworks, roles, first, again, refused, task, empty, add, remove, revive,
           first * 1000 / (double)agents);
    fflush(stdout);
    if (json != NULL) {
        fprintf(json,
                "{\"agents\":%zu,\"frameworks\":%zu,\"roles\":%zu,\"first_ms\":%f,"
                "\"again_ms\":%f,\"refused_ms\":%f,\"task_ms\":%f,\"empty_ms\":%f,\"add_ms\":%f,"
                "\"remove_ms\":%f,\"revive_ms\":%f}\n",
                agents, frameworks, roles, first, again, refused, task, empty, add, remove, revive);
    }
    recover_all(&b, -1);
    b.allocator = allocator_free(b.allocator);
    mem_free(b.notes);
    return first;
}

// ---- quotas ----

// Each role is promised a little and limited; half of the cluster is never theirs.
static void measure_quotas(size_t agents, size_t roles, FILE *json)
{
    struct bench b = {
        .agents = agents, .frameworks = roles, .roles = roles, .now = {.mono = NS_PER_S}};
    fill(&b);
    mem_free(b.notes);
    b.notes = mem_calloc(2 * (agents + roles), sizeof(b.notes[0]));
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
    if (json != NULL) {
        fprintf(json,
                "{\"agents\":%zu,\"quota_roles\":%zu,\"set_ms\":%f,\"first_ms\":%f,"
                "\"offers\":%zu,\"task_ms\":%f,\"empty_ms\":%f}\n",
                agents, roles, set, first, offers, task, empty);
    }
    recover_all(&b, -1);
    b.allocator = allocator_free(b.allocator);
    mem_free(b.notes);
}

// The slope of log(time) over log(agents).
static double fit_exponent(const double *x, const double *y, size_t count)
{
    double sx = 0, sy = 0, sxx = 0, sxy = 0;
    for (size_t i = 0; i < count; i++) {
        sx += log(x[i]);
        sy += log(y[i]);
        sxx += log(x[i]) * log(x[i]);
        sxy += log(x[i]) * log(y[i]);
    }
    double n = (double)count;
    return (n * sxy - sx * sy) / (n * sxx - sx * sx);
}

static void measure_growth(FILE *json)
{
    static const size_t sizes[] = {2500, 5000, 10000, 20000, 40000};
    double x[ARRAY_COUNT(sizes)], y[ARRAY_COUNT(sizes)];
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        x[i] = (double)sizes[i];
        y[i] = measure(sizes[i], sizes[i] / 20, sizes[i] / 20, json);
    }
    double exponent = fit_exponent(x, y, ARRAY_COUNT(sizes));
    printf("a round of N agents and N/20 frameworks grows with N^%.2f\n", exponent);
    if (json != NULL) {
        fprintf(json, "{\"exponent\":%f}\n", exponent);
    }
}

int main(int argc, char **argv)
{
    FILE *json = NULL;
    if (argc == 2 && strncmp(argv[1], "--json=", 7) == 0) {
        json = fopen(argv[1] + 7, "w");
        CHECK(json != NULL);
    }
    static const size_t sizes[][3] = {
        {1000, 20, 20},    {1000, 200, 200},  {10000, 20, 20},     {10000, 200, 1},
        {10000, 200, 200}, {20000, 200, 200}, {20000, 2000, 2000},
    };
    printf("%7s %10s %6s %8s %8s %8s %8s %8s %8s %8s %8s %6s\n", "agents", "frameworks", "roles",
           "first", "again", "refused", "task", "empty", "add", "remove", "revive", "offer");
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        measure(sizes[i][0], sizes[i][1], sizes[i][2], json);
    }
    measure_growth(json);
    printf("%7s %6s %8s %8s %8s %8s %8s\n", "agents", "quotas", "set", "first", "offers", "task",
           "empty");
    measure_quotas(10000, 300, json);
    measure_quotas(10000, 3000, json);
    if (json != NULL) {
        CHECK(fclose(json) == 0);
    }
    return 0;
}
