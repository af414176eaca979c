// SPDX-License-Identifier: Apache-2.0

#include "snapshots.h"

#include <string.h>

#include "api/master_walk.h"

enum {
    ALL = 1u << RECORD_AGENT | 1u << RECORD_RECOVERED_AGENT | 1u << RECORD_FRAMEWORK |
          1u << RECORD_TASK | 1u << RECORD_EXECUTOR | 1u << RECORD_OFFER,
};

struct snapshot {
    struct world *world;
    struct master_walk *walk;
    struct map expected; // kind and address of a record -> how it was; those not visited yet
};

size_t snapshot_count, snapshot_before_count;

static void put_amount(struct buf *out, const struct resources *r)
{
    buf_putc(out, ' ');
    resources_put_text(r, out);
}

static void describe(enum master_record kind, void *record, struct buf *out)
{
    switch (kind) {
    case RECORD_AGENT: {
        const struct agent *a = record;
        buf_printf(out, "%s %d %lld", a->id, a->active, (long long)a->reregistered);
        put_amount(out, a->total);
        put_amount(out, a->used);
        put_amount(out, a->offered);
        return;
    }
    case RECORD_RECOVERED_AGENT:
        buf_puts(out, ((struct recovered_agent *)record)->id);
        return;
    case RECORD_FRAMEWORK: {
        const struct framework *f = record;
        buf_printf(out, "%s %s %d %d %d %d %lld", f->id, f->info->name, f->active,
                   f->subscriber != NULL, f->recovered, f->completed, (long long)f->reregistered);
        put_amount(out, f->used);
        put_amount(out, f->offered);
        return;
    }
    case RECORD_TASK: {
        const struct task *t = record;
        buf_printf(out, "%s %s %s %d %d %u", t->framework->id, t->id, t->agent_id, t->place,
                   (int)t->state, t->status_count);
        for (uint32_t i = 0; i < t->status_count; i++)
            buf_printf(out, " %x",
                       map_hash((const char *)t->statuses[i]->data, t->statuses[i]->size));
        put_amount(out, t->resources);
        return;
    }
    case RECORD_EXECUTOR: {
        const struct executor *e = record;
        buf_printf(out, "%s %s %s", e->framework->id, e->agent->id, e->id);
        put_amount(out, e->resources);
        return;
    }
    case RECORD_OFFER: {
        const struct offer *o = record;
        buf_printf(out, "%s %s %s", o->framework->id, o->agent->id, o->id);
        put_amount(out, o->resources);
        return;
    }
    }
}

static char *key_of(enum master_record kind, const void *record)
{
    return mem_printf("%d %p", (int)kind, record);
}

static void expect(struct snapshot *s, enum master_record kind, void *record)
{
    AUTO_FREE char *key = key_of(kind, record);
    struct buf text = BUF_INIT;
    describe(kind, record, &text);
    assert_null(map_put(&s->expected, key, buf_take(&text)));
}

static void expect_framework(struct snapshot *s, struct framework *f)
{
    expect(s, RECORD_FRAMEWORK, f);
    MAP_FOREACH (&f->tasks, entry)
        expect(s, RECORD_TASK, entry->value);
    MAP_FOREACH (&f->unreachable, entry)
        expect(s, RECORD_TASK, entry->value);
    LIST_FOREACH (&f->completed_tasks, struct task, by_place, t)
        expect(s, RECORD_TASK, t);
}

static void expect_all(struct snapshot *s)
{
    struct master *m = s->world->master;
    MAP_FOREACH (&m->agents, entry) {
        struct agent *a = entry->value;
        expect(s, RECORD_AGENT, a);
        LIST_FOREACH (&a->executors, struct executor, by_agent, e)
            expect(s, RECORD_EXECUTOR, e);
        LIST_FOREACH (&a->offers, struct offer, by_agent, o)
            expect(s, RECORD_OFFER, o);
    }
    MAP_FOREACH (&m->recovered, entry)
        expect(s, RECORD_RECOVERED_AGENT, entry->value);
    MAP_FOREACH (&m->frameworks, entry)
        expect_framework(s, entry->value);
    LIST_FOREACH (&m->completed, struct framework, in_completed, f)
        expect_framework(s, f);
}

static void visit(void *ctx, enum master_record kind, void *record)
{
    struct snapshot *s = ctx;
    AUTO_FREE char *key = key_of(kind, record);
    AUTO_FREE char *expected = map_remove(&s->expected, key);
    AUTO_BUF struct buf found = BUF_INIT;
    describe(kind, record, &found);
    if (expected == NULL)
        fail_msg("a record that is new, or was visited already: %s", found.data);
    assert_string_equal(found.data, expected);
}

static void before_change(struct world *w, enum master_record kind, void *record)
{
    snapshot_before_count++;
    master_walk_visit(w->snapshot->walk, kind, record);
}

struct snapshot *snapshot_drop(struct snapshot *s)
{
    if (s == NULL)
        return NULL;
    master_walk_free(s->walk);
    MAP_FOREACH (&s->expected, entry)
        mem_free(entry->value);
    map_free(&s->expected);
    s->world->snapshot = NULL;
    mem_free(s);
    return NULL;
}

struct snapshot *snapshot_step(struct snapshot *s, struct world *w)
{
    if (s == NULL) {
        s = mem_zalloc(sizeof(*s));
        s->world = w;
        w->snapshot = s;
        w->before_change = before_change;
        expect_all(s);
        s->walk = master_walk_new(w->master, ALL, NULL, visit, s);
        return s;
    }
    if (!master_walk_step(s->walk, 0))
        return s;
    MAP_FOREACH (&s->expected, entry)
        fail_msg("a record that was left out: %s", (const char *)entry->value);
    snapshot_count++;
    return snapshot_drop(s);
}
