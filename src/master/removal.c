// SPDX-License-Identifier: Apache-2.0
//
// Which agents are to be marked unreachable, and when: not more of them than
// --agent_removal_rate_limit lets, and none at all when too many of the registry did not come back
// to a new master. Whoever comes back while it waits for its turn is let off.
//
//   (silent, or not back in time) ──> SCHEDULED ──its turn──> admission.c marks it
//                                         └──came back──> CANCELED

#include <inttypes.h>
#include <string.h>

#include "master/internal.h"

enum { NAMES_MAX = 100 }; // in the text of why a master gives up

// One that waits for its turn.
struct removal {
    struct list link; // master->removal_queue
    char *agent_id;
    const char *reason; // a constant text
};

static void free_removal(struct master *m, struct removal *removal)
{
    list_remove(&removal->link);
    map_remove(&m->removals, removal->agent_id);
    mem_free(removal->agent_id);
    mem_free(removal);
}

void master_removal_free_all(struct master *m)
{
    LIST_FOREACH (&m->removal_queue, struct removal, link, removal)
        free_removal(m, removal);
    map_free(&m->removals);
}

static void perform(struct master *m, const char *agent_id, const char *reason)
{
    m->removal_next = m->now.mono + m->options.agent_removal_interval_ns;
    struct agent *a = master_agent(m, agent_id);
    struct recovered_agent *r = map_get(&m->recovered, agent_id);
    if (a != NULL)
        master_agent_mark_unreachable(a, reason);
    else if (r != NULL)
        master_recovered_mark_unreachable(r, reason);
}

void master_removal_schedule(struct master *m, const char *agent_id, const char *reason)
{
    if (map_has(&m->removals, agent_id))
        return;
    master_count(m, COUNT_SLAVE_UNREACHABLE_SCHEDULED);
    if (list_is_empty(&m->removal_queue) && m->now.mono >= m->removal_next) {
        perform(m, agent_id, reason);
        return;
    }
    log_info("Scheduling transition of agent %s to UNREACHABLE: %s", agent_id, reason);
    struct removal *removal = mem_zalloc(sizeof(*removal));
    removal->agent_id = mem_strdup(agent_id);
    removal->reason = reason;
    map_put(&m->removals, removal->agent_id, removal);
    list_append(&m->removal_queue, &removal->link);
    if (!timer_is_set(&m->removal_turn))
        timer_set(&m->timers, &m->removal_turn, m->removal_next);
}

void master_removal_cancel(struct master *m, const char *agent_id, const char *why)
{
    struct removal *removal = map_get(&m->removals, agent_id);
    if (removal == NULL)
        return;
    log_info("Canceling transition of agent %s to UNREACHABLE because %s", agent_id, why);
    master_count(m, COUNT_SLAVE_UNREACHABLE_CANCELED);
    free_removal(m, removal);
    if (list_is_empty(&m->removal_queue))
        timer_cancel(&m->timers, &m->removal_turn);
}

void master_removal_turn(struct timer *timer, struct instant now)
{
    struct master *m = CONTAINER_OF(timer, struct master, removal_turn);
    CHECK(!list_is_empty(&m->removal_queue));
    struct removal *removal = LIST_ENTRY(m->removal_queue.next, struct removal, link);
    const char *agent_id = arena_strdup(m->scratch, removal->agent_id);
    const char *reason = removal->reason;
    free_removal(m, removal);
    perform(m, agent_id, reason);
    if (!list_is_empty(&m->removal_queue))
        timer_set(&m->timers, timer, now.mono + m->options.agent_removal_interval_ns);
}

// ---- after a new master began ----

static void give_up(struct master *m, size_t missing)
{
    AUTO_BUF struct buf text = BUF_INIT;
    buf_puts(&text, "Post-recovery agent removal limit exceeded! After ");
    text_put_duration(&text, m->options.agent_reregister_timeout_ns);
    buf_printf(&text,
               " there were %zu (%g%%) agents recovered from the registry that did not reregister:",
               missing, 100.0 * (double)missing / (double)m->recovered_count);
    size_t named = 0;
    MAP_FOREACH (&m->recovered, entry) {
        if (++named > NAMES_MAX)
            break;
        buf_printf(&text, " %s", entry->key);
    }
    buf_printf(&text,
               "%s. The configured removal limit is %g%%. Please investigate or increase this "
               "limit to proceed further",
               named > NAMES_MAX ? " ..." : "", 100.0 * m->options.recovery_agent_removal_limit);
    CHECK(m->ops->give_up != NULL);
    m->ops->give_up(m->ctx, text.data);
}

void master_recovery_is_over(struct timer *timer, struct instant now)
{
    (void)now;
    struct master *m = CONTAINER_OF(timer, struct master, recovery);
    // Those with a timer came, and broke off again: it is theirs that counts.
    size_t missing = 0;
    MAP_FOREACH (&m->recovered, entry)
        missing += !timer_is_set(&((struct recovered_agent *)entry->value)->timeout);
    double part = m->recovered_count > 0 ? (double)missing / (double)m->recovered_count : 0;
    if (part > m->options.recovery_agent_removal_limit) {
        give_up(m, missing);
        return;
    }
    MAP_FOREACH (&m->recovered, entry) {
        const struct recovered_agent *r = entry->value;
        if (!timer_is_set(&r->timeout))
            master_removal_schedule(m, r->id, "agent did not reregister after master failover");
    }
}
