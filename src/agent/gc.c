// SPDX-License-Identifier: Apache-2.0
//
// When sandboxes go. Each path is scheduled for --gc_delay ahead; as that is the same for all, the
// schedule is a list in order of time. When the disk fills, what is older than the age that is
// still allowed goes at once.

#include "agent/internal.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"

struct gc_entry {
    struct list link;
    int64_t deadline;
    char *path;
};

static void gc_drop(struct agent *agent, struct gc_entry *entry)
{
    list_remove(&entry->link);
    map_remove(&agent->gc.by_path, entry->path);
    mem_free(entry->path);
    mem_free(entry);
}

static void gc_arm(struct agent *agent)
{
    struct agent_gc *gc = &agent->gc;
    if (list_is_empty(&gc->entries)) {
        timer_cancel(&agent->timers, &gc->timer);
    } else {
        timer_set(&agent->timers, &gc->timer,
                  LIST_ENTRY(gc->entries.next, struct gc_entry, link)->deadline);
    }
}

// Removes what would be due at `until`.
static void gc_remove_until(struct agent *agent, int64_t until)
{
    LIST_FOREACH (&agent->gc.entries, struct gc_entry, link, entry) {
        if (entry->deadline > until) {
            break;
        }
        log_info("Deleting %s", entry->path);
        agent->gc.removing++;
        agent->ops.remove_path(agent->ctx, entry->path);
        gc_drop(agent, entry);
    }
    gc_arm(agent);
}

static void gc_due(struct timer *timer, struct instant now)
{
    gc_remove_until(CONTAINER_OF(timer, struct agent, gc.timer), now.mono);
}

void agent_gc_init(struct agent *agent)
{
    list_init(&agent->gc.entries);
    agent->gc.timer.run = gc_due;
    agent->gc.age_max_ns = agent->options.gc_delay_ns;
}

void agent_gc_free(struct agent *agent)
{
    LIST_FOREACH (&agent->gc.entries, struct gc_entry, link, entry) {
        gc_drop(agent, entry);
    }
    map_free(&agent->gc.by_path);
    timer_cancel(&agent->timers, &agent->gc.timer);
}

void agent_gc_schedule(struct agent *agent, const char *path, struct instant now)
{
    agent_gc_unschedule(agent, path);
    struct gc_entry *entry = mem_zalloc(sizeof(*entry));
    entry->path = mem_strdup(path);
    entry->deadline = now.mono + agent->options.gc_delay_ns;
    list_append(&agent->gc.entries, &entry->link);
    map_put(&agent->gc.by_path, path, entry);
    if (agent->gc.entries.next == &entry->link) {
        gc_arm(agent);
    }
    log_debug("Scheduled '%s' for gc", path);
}

void agent_leftover_found(struct agent *agent, const char *path, int64_t age_ns, struct instant now)
{
    if (map_has(&agent->gc.by_path, path)) {
        return;
    }
    int64_t age = age_ns < 0 ? 0 : age_ns;
    int64_t delay = agent->options.gc_delay_ns;
    struct gc_entry *entry = mem_zalloc(sizeof(*entry));
    entry->path = mem_strdup(path);
    entry->deadline = now.mono + (age < delay ? delay - age : 0);
    // It is older than all that are there.
    list_prepend(&agent->gc.entries, &entry->link);
    map_put(&agent->gc.by_path, path, entry);
    gc_arm(agent);
}

void agent_gc_unschedule(struct agent *agent, const char *path)
{
    struct gc_entry *entry = map_get(&agent->gc.by_path, path);
    if (entry != NULL) {
        gc_drop(agent, entry);
        gc_arm(agent);
    }
}

void agent_disk_usage(struct agent *agent, double usage, struct instant now)
{
    double part = 1.0 - agent->options.gc_disk_headroom - usage;
    agent->gc.age_max_ns = part > 0 ? (int64_t)((double)agent->options.gc_delay_ns * part) : 0;
    struct buf age AUTO_BUF = BUF_INIT;
    text_put_duration(&age, agent->gc.age_max_ns);
    log_info("Current disk usage %.2f%%. Max allowed age: %s", 100 * usage, age.data);
    gc_remove_until(agent, now.mono + agent->options.gc_delay_ns - agent->gc.age_max_ns);
}

void agent_path_removed(struct agent *agent, bool succeeded)
{
    CHECK(agent->gc.removing > 0);
    agent->gc.removing--;
    if (succeeded) {
        agent->metrics.removals_succeeded++;
    } else {
        agent->metrics.removals_failed++;
    }
}
