// SPDX-License-Identifier: Apache-2.0
//
// See master_walk.h. No place in a list is remembered, since anything may go meanwhile: a list that
// is short is walked from its start again, past what was seen. In a map the position is kept, until
// its entries have moved. Which records were seen is written in the records.

#include "api/master_walk.h"

#include <string.h>
#include <time.h>

#include "base/check.h"
#include "base/mem.h"

enum {
    CLOCK_EVERY = 8,   // records between two looks at the clock
    FETCH_RECORD = 16, // so far ahead a task's record is asked for from memory,
    FETCH_PARTS = 8,   // what it points at,
    FETCH_STATUS = 4,  // and its newest status;
    FETCH_AGENT = 6,   // and likewise an agent's record,
    FETCH_AGENT_PARTS = 4,
    FETCH_AGENT_TEXTS = 2,
};

enum stage { STAGE_AGENTS, STAGE_RECOVERED, STAGE_FRAMEWORKS, STAGE_COMPLETED, STAGE_DONE };

// A position in a map.
struct place {
    size_t position;
    size_t moves; // as of map->moves when it was taken
};

struct master_walk {
    struct master *m;
    unsigned kinds;
    char *only; // this framework; NULL: all
    master_visit_fn *visit;
    void *ctx;
    enum stage stage;
    struct place outer;   // in the map of the stage
    char *framework_id;   // whose tasks are walked; NULL: none
    struct place running; // in its tasks, and its unreachable ones
    struct place unreachable;
    struct map done;  // ids of frameworks that were walked
    int64_t deadline; // of this step
    unsigned until_clock;
};

static int64_t clock_ns(void)
{
    struct timespec ts;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &ts) == 0);
    return (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

static bool is_over(struct master_walk *w)
{
    if (--w->until_clock > 0)
        return false;
    w->until_clock = CLOCK_EVERY;
    return clock_ns() >= w->deadline;
}

static bool wants_framework(const struct master_walk *w, const struct framework *f)
{
    return w->only == NULL || strcmp(w->only, f->id) == 0;
}

void master_walk_visit(struct master_walk *w, enum master_record kind, void *record)
{
    if ((w->kinds & 1u << kind) == 0)
        return;
    const struct framework *f = kind == RECORD_FRAMEWORK  ? record
                                : kind == RECORD_TASK     ? ((struct task *)record)->framework
                                : kind == RECORD_EXECUTOR ? ((struct executor *)record)->framework
                                : kind == RECORD_OFFER    ? ((struct offer *)record)->framework
                                                          : NULL;
    if (f == NULL || wants_framework(w, f))
        w->visit(w->ctx, kind, record);
}

static void take(struct master_walk *w, enum master_record kind, void *record, uint32_t *seen)
{
    if (master_snapshot_take(w->m, seen))
        master_walk_visit(w, kind, record);
}

static struct map_entry *next_in(const struct map *map, struct place *place)
{
    if (place->moves != map->moves)
        *place = (struct place){.moves = map->moves};
    return map_next(map, &place->position);
}

// ---- agents ----

static void take_agent(struct master_walk *w, struct agent *a)
{
    take(w, RECORD_AGENT, a, &a->seen);
    LIST_FOREACH (&a->executors, struct executor, by_agent, e)
        take(w, RECORD_EXECUTOR, e, &e->seen);
    LIST_FOREACH (&a->offers, struct offer, by_agent, o)
        take(w, RECORD_OFFER, o, &o->seen);
}

static void fetch_lines(const void *start, size_t count)
{
    for (size_t i = 0; i < count; i++)
        __builtin_prefetch((const char *)start + 64 * i);
}

// As for tasks (below): first the record, then what it points at, then what that points at.
static void fetch_agents_ahead(const struct map *agents, size_t at)
{
    if (at + FETCH_AGENT >= agents->used)
        return;
    const struct agent *a = agents->entries[at + FETCH_AGENT].value;
    if (a != NULL)
        fetch_lines(a, sizeof(*a) / 64);
    a = agents->entries[at + FETCH_AGENT_PARTS].value;
    if (a != NULL) {
        fetch_lines(a->info, 4);
        fetch_lines(a->total, 3);
        fetch_lines(a->used, 2);
        fetch_lines(a->offered, 1);
        fetch_lines(a->pid, 1);
    }
    a = agents->entries[at + FETCH_AGENT_TEXTS].value;
    if (a != NULL) {
        fetch_lines(a->info->id, 1);
        fetch_lines(a->info->hostname, 1);
        fetch_lines(a->capabilities, 1);
    }
}

static bool walk_agents(struct master_walk *w)
{
    struct map_entry *entry;
    while ((entry = next_in(&w->m->agents, &w->outer)) != NULL) {
        fetch_agents_ahead(&w->m->agents, w->outer.position);
        take_agent(w, entry->value);
        w->until_clock = 1; // an agent is as long as several tasks
        if (is_over(w))
            return false;
    }
    return true;
}

static bool walk_recovered(struct master_walk *w)
{
    struct map_entry *entry;
    while ((entry = next_in(&w->m->recovered, &w->outer)) != NULL) {
        struct recovered_agent *r = entry->value;
        take(w, RECORD_RECOVERED_AGENT, r, &r->seen);
        if (is_over(w))
            return false;
    }
    return true;
}

// ---- tasks ----

// Tasks lie all over the memory, and each in several pieces.
static void fetch_ahead(const struct map *tasks, size_t at)
{
    if (at + FETCH_RECORD >= tasks->used)
        return;
    const char *record = tasks->entries[at + FETCH_RECORD].value;
    if (record != NULL) {
        __builtin_prefetch(record);
        __builtin_prefetch(record + 64);
        __builtin_prefetch(record + 128);
        __builtin_prefetch(record + 192);
    }
    const struct task *t = tasks->entries[at + FETCH_PARTS].value;
    if (t != NULL) {
        __builtin_prefetch(t->resources);
        __builtin_prefetch((const char *)t->resources + 64);
        __builtin_prefetch(t->statuses);
    }
    t = tasks->entries[at + FETCH_STATUS].value;
    if (t != NULL && t->status_count > 0)
        __builtin_prefetch(t->statuses[t->status_count - 1]);
}

static bool walk_task_map(struct master_walk *w, const struct map *tasks, struct place *place)
{
    struct map_entry *entry;
    while ((entry = next_in(tasks, place)) != NULL) {
        struct task *t = entry->value;
        fetch_ahead(tasks, place->position);
        take(w, RECORD_TASK, t, &t->seen);
        if (is_over(w))
            return false;
    }
    return true;
}

static bool walk_tasks(struct master_walk *w, struct framework *f)
{
    if ((w->kinds & 1u << RECORD_TASK) == 0 || !wants_framework(w, f))
        return true;
    if (!walk_task_map(w, &f->tasks, &w->running) ||
        !walk_task_map(w, &f->unreachable, &w->unreachable))
        return false;
    LIST_FOREACH (&f->completed_tasks, struct task, by_place, t) {
        if (!master_snapshot_take(w->m, &t->seen))
            continue;
        master_walk_visit(w, RECORD_TASK, t);
        if (is_over(w))
            return false;
    }
    return true;
}

// ---- frameworks ----

static struct framework *find_framework(const struct master *m, const char *id)
{
    struct framework *f = map_get(&m->frameworks, id);
    return f != NULL ? f : map_get(&m->completed_ids, id);
}

static void begin_framework(struct master_walk *w, struct framework *f)
{
    take(w, RECORD_FRAMEWORK, f, &f->seen);
    w->framework_id = mem_strdup(f->id);
    w->running = w->unreachable = (struct place){0};
}

// Goes on with the one that is being walked, if it is still there: if not, all that it had was
// seen.
static bool go_on_with_framework(struct master_walk *w)
{
    if (w->framework_id == NULL)
        return true;
    struct framework *f = find_framework(w->m, w->framework_id);
    if (f != NULL && !walk_tasks(w, f))
        return false;
    map_put(&w->done, w->framework_id, w);
    mem_free(TAKE_PTR(w->framework_id));
    return true;
}

static bool walk_frameworks(struct master_walk *w)
{
    if (!go_on_with_framework(w))
        return false;
    struct map_entry *entry;
    while ((entry = next_in(&w->m->frameworks, &w->outer)) != NULL) {
        if (map_has(&w->done, entry->key))
            continue;
        begin_framework(w, entry->value);
        if (!go_on_with_framework(w) || is_over(w))
            return false;
    }
    return true;
}

static struct framework *next_completed(struct master_walk *w)
{
    LIST_FOREACH (&w->m->completed, struct framework, in_completed, f) {
        if (!map_has(&w->done, f->id))
            return f;
    }
    return NULL;
}

static bool walk_completed(struct master_walk *w)
{
    if (!go_on_with_framework(w))
        return false;
    struct framework *f;
    while ((f = next_completed(w)) != NULL) {
        begin_framework(w, f);
        if (!go_on_with_framework(w) || is_over(w))
            return false;
    }
    return true;
}

// ---- life ----

struct master_walk *master_walk_new(struct master *m, unsigned kinds, const char *framework_id,
                                    master_visit_fn *visit, void *ctx)
{
    struct master_walk *w = mem_zalloc(sizeof(*w));
    w->m = m;
    w->kinds = kinds;
    w->only = mem_strdup(framework_id);
    w->visit = visit;
    w->ctx = ctx;
    master_snapshot_begin(m);
    return w;
}

static bool walk_stage(struct master_walk *w)
{
    enum {
        OF_AGENTS = 1u << RECORD_AGENT | 1u << RECORD_EXECUTOR | 1u << RECORD_OFFER,
        OF_FRAMEWORKS = 1u << RECORD_FRAMEWORK | 1u << RECORD_TASK,
    };
    switch (w->stage) {
    case STAGE_AGENTS:
        return (w->kinds & OF_AGENTS) == 0 || walk_agents(w);
    case STAGE_RECOVERED:
        return (w->kinds & 1u << RECORD_RECOVERED_AGENT) == 0 || walk_recovered(w);
    case STAGE_FRAMEWORKS:
        return (w->kinds & OF_FRAMEWORKS) == 0 || walk_frameworks(w);
    case STAGE_COMPLETED:
        return (w->kinds & OF_FRAMEWORKS) == 0 || walk_completed(w);
    case STAGE_DONE:
        break;
    }
    return true;
}

bool master_walk_step(struct master_walk *w, int64_t budget_ns)
{
    w->deadline = clock_ns() + budget_ns;
    w->until_clock = CLOCK_EVERY;
    while (w->stage != STAGE_DONE) {
        if (!walk_stage(w))
            return false;
        w->stage++;
        w->outer = (struct place){0};
    }
    return true;
}

struct master_walk *master_walk_free(struct master_walk *w)
{
    if (w == NULL)
        return NULL;
    master_snapshot_end(w->m);
    map_free(&w->done);
    mem_free(w->only);
    mem_free(w->framework_id);
    mem_free(w);
    return NULL;
}
