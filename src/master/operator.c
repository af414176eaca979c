// SPDX-License-Identifier: Apache-2.0
//
// Agents that an operator takes out of service.
//
//   in service ──DEACTIVATE_AGENT──> deactivated ──REACTIVATE_AGENT──> in service
//       │                                │                                  ^
//       └──────────DRAIN_AGENT───────────┴──> DRAINING ──nothing runs──> DRAINED
//                                                 └──(mark_gone)──> gone
//   MARK_AGENT_GONE: from anywhere to gone, for good.
//
// All of it belongs to the agent's id, wherever that agent is (admitted, awaited, unreachable), and
// counts when it is durable. A deactivated agent has no offers. A draining one is told to kill its
// tasks, again at each return, and is drained when the last task was acknowledged.

#include <inttypes.h>
#include <string.h>

#include "master/internal.h"

// ---- what is known of deactivated agents ----

static struct deactivation *find(const struct master *m, const char *agent_id)
{
    return map_get(&m->deactivations, agent_id);
}

static struct deactivation *find_or_make(struct master *m, const char *agent_id)
{
    struct deactivation *d = find(m, agent_id);
    if (d == NULL) {
        d = mem_zalloc(sizeof(*d));
        d->id = mem_strdup(agent_id);
        map_put(&m->deactivations, agent_id, d);
    }
    return d;
}

static void deactivation_free(struct deactivation *d)
{
    mem_free(d->id);
    mem_free(d);
}

void master_deactivation_drop(struct master *m, const char *agent_id)
{
    struct deactivation *d = map_remove(&m->deactivations, agent_id);
    if (d != NULL)
        deactivation_free(d);
}

void master_deactivations_free(struct master *m)
{
    MAP_FOREACH (&m->deactivations, entry)
        deactivation_free(entry->value);
    map_free(&m->deactivations);
}

const char *master_deactivation_key(struct master *m, const char *agent_id)
{
    return arena_printf(m->scratch, "drains/%s", agent_id);
}

bool master_agent_is_deactivated(const struct agent *a)
{
    const struct deactivation *d = find(a->master, a->id);
    return d != NULL && d->now.is_deactivated;
}

Mesos__V1__DrainInfo *master_deactivation_drain_info(const struct deactivation *d,
                                                     struct arena *arena)
{
    const struct deactivation_state *state = &d->now;
    if (!state->is_draining)
        return NULL;
    Mesos__V1__DrainInfo *info = WIRE_NEW(arena, Mesos__V1__DrainInfo, mesos__v1__drain_info);
    info->state = state->state;
    info->config = WIRE_NEW(arena, Mesos__V1__DrainConfig, mesos__v1__drain_config);
    info->config->has_mark_gone = true;
    info->config->mark_gone = state->mark_gone;
    if (state->has_grace_period) {
        info->config->max_grace_period =
            WIRE_NEW(arena, Mesos__V1__DurationInfo, mesos__v1__duration_info);
        info->config->max_grace_period->nanoseconds = state->grace_period_ns;
    }
    return info;
}

void master_deactivation_load(struct master *m, const char *agent_id,
                              const Meseta__Registry__Deactivation *message)
{
    struct deactivation *d = find_or_make(m, agent_id);
    d->now = (struct deactivation_state){.is_deactivated = true};
    const Mesos__V1__DrainInfo *drain = message->drain;
    if (drain != NULL) {
        d->now.is_draining = true;
        d->now.state = drain->state;
        d->now.mark_gone = drain->config->has_mark_gone && drain->config->mark_gone;
        if (drain->config->max_grace_period != NULL) {
            d->now.has_grace_period = true;
            d->now.grace_period_ns = drain->config->max_grace_period->nanoseconds;
        }
    }
    d->wanted = d->now;
}

// ---- changes on their way to the registry ----

struct change {
    struct write write;
    char *agent_id;
    void *waiter; // who is to be answered; NULL: nobody
    struct deactivation_state state;
    int64_t since_ns; // of being gone
};

static struct change *change_new(const char *agent_id, void *waiter)
{
    struct change *change = mem_zalloc(sizeof(*change));
    change->agent_id = mem_strdup(agent_id);
    change->waiter = waiter;
    return change;
}

static void change_free(struct change *change)
{
    mem_free(change->agent_id);
    mem_free(change);
}

static void drop(struct write *write)
{
    change_free(CONTAINER_OF(write, struct change, write));
}

void master_answer(struct master *m, void *waiter, int status, const char *text)
{
    if (waiter != NULL)
        m->ops->answer(m->ctx, waiter, status, text);
}

static bool is_known(const struct master *m, const char *agent_id)
{
    return map_has(&m->agents, agent_id) || map_has(&m->recovered, agent_id) ||
           map_has(&m->unreachable, agent_id);
}

// ---- deactivated, draining, drained ----

static void send_drain(struct agent *a, const struct deactivation *d)
{
    struct arena *arena = a->master->scratch;
    Meseta__Link__ToAgent *message = master_make_to_agent(arena, TO_AGENT(DRAIN_AGENT));
    message->drain_agent =
        WIRE_NEW(arena, Meseta__Link__ToAgent__DrainAgent, meseta__link__to_agent__drain_agent);
    message->drain_agent->config = master_deactivation_drain_info(d, arena)->config;
    master_agent_send(a, message);
}

void master_agent_resume_drain(struct agent *a)
{
    struct deactivation *d = find(a->master, a->id);
    if (d == NULL || !d->now.is_draining)
        return;
    if (d->drain_started == 0)
        d->drain_started = a->master->now.wall;
    send_drain(a, d);
    master_agent_check_drained(a);
}

// The agent begins to do what is durable now.
static void state_changed(struct master *m, struct deactivation *d, bool begins_drain)
{
    struct agent *a = master_agent(m, d->id);
    if (a == NULL)
        return;
    if (!d->now.is_deactivated) {
        log_info("Reactivating agent %s (%s)", a->id, a->info->hostname);
        master_agent_activate(a);
        return;
    }
    master_agent_deactivate(a);
    if (begins_drain) {
        log_info("Agent %s (%s) is draining; it has %s", a->id, a->info->hostname,
                 list_is_empty(&a->tasks) ? "no tasks" : "tasks");
        d->drain_started = m->now.wall;
        send_drain(a, d);
    }
    master_agent_check_drained(a);
}

static bool is_state(const struct deactivation_state *state, Mesos__V1__DrainState which)
{
    return state->is_draining && state->state == which;
}

static void state_is_durable(struct write *write)
{
    struct change *change = CONTAINER_OF(write, struct change, write);
    struct master *m = write->master;
    struct deactivation *d = find(m, change->agent_id);
    int status = 200;
    const char *text = NULL;
    if (d != NULL && d->writes > 0) {
        bool begins_drain = is_state(&change->state, MESOS__V1__DRAIN_STATE__DRAINING);
        d->now = change->state;
        d->writes--;
        if (!d->now.is_draining)
            d->drain_started = 0;
        if (!d->now.is_deactivated && master_agent(m, change->agent_id) == NULL) {
            status = 409;
            text = "Agent removed while processing the call";
        }
        state_changed(m, d, begins_drain);
        if (d->writes == 0 && !d->now.is_deactivated)
            master_deactivation_drop(m, change->agent_id);
    }
    master_answer(m, change->waiter, status, text);
    change_free(change);
}

static void write_state(struct master *m, const char *agent_id,
                        const struct deactivation_state *wanted, void *waiter)
{
    struct deactivation *d = find_or_make(m, agent_id);
    d->wanted = *wanted;
    d->writes++;
    struct change *change = change_new(agent_id, waiter);
    change->state = *wanted;
    change->write.done = state_is_durable;
    change->write.drop = drop;
    const char *key = master_deactivation_key(m, agent_id);
    struct master_item item = {.key = key};
    if (wanted->is_deactivated) {
        struct deactivation shown = {.now = *wanted};
        Meseta__Registry__Deactivation message = MESETA__REGISTRY__DEACTIVATION__INIT;
        message.drain = master_deactivation_drain_info(&shown, m->scratch);
        item = master_item_put(m, key, &message.base);
    }
    struct master_item items[] = {item, master_capability_item(m, "AGENT_DRAINING", true)};
    if (!wanted->is_deactivated && m->deactivations.count == 1)
        items[1] = master_capability_item(m, "AGENT_DRAINING", false);
    master_write(m, &change->write, items, ARRAY_COUNT(items));
}

int master_deactivate_agent(struct master *m, const char *agent_id, void *waiter,
                            struct instant now, struct error *err)
{
    master_enter(m, now);
    if (!is_known(m, agent_id)) {
        error_set(err, -ENOENT, "Unknown agent");
        return 400;
    }
    if (map_has(&m->marking_gone, agent_id)) {
        error_set(err, -EBUSY, "Agent is currently being marked gone");
        return 409;
    }
    struct deactivation_state wanted = find_or_make(m, agent_id)->wanted;
    wanted.is_deactivated = true;
    write_state(m, agent_id, &wanted, waiter);
    return 0;
}

int master_reactivate_agent(struct master *m, const char *agent_id, void *waiter,
                            struct instant now, struct error *err)
{
    master_enter(m, now);
    const struct deactivation *d = find(m, agent_id);
    if (d == NULL || !d->wanted.is_deactivated) {
        error_set(err, -EINVAL, "Agent is not deactivated");
        return 400;
    }
    if (is_state(&d->wanted, MESOS__V1__DRAIN_STATE__DRAINING)) {
        error_set(err, -EINVAL, "Agent is still in the DRAINING state");
        return 400;
    }
    if (map_has(&m->marking_gone, agent_id)) {
        error_set(err, -EBUSY, "Agent is currently being marked gone");
        return 409;
    }
    struct deactivation_state none = {.is_deactivated = false};
    write_state(m, agent_id, &none, waiter);
    return 0;
}

static bool can_drain(const struct agent *a)
{
    for (size_t i = 0; i < a->capability_count; i++) {
        if (a->capabilities[i]->has_type &&
            a->capabilities[i]->type == MESOS__V1__AGENT_INFO__CAPABILITY__TYPE__AGENT_DRAINING)
            return true;
    }
    return false;
}

int master_drain_agent(struct master *m, const char *agent_id,
                       const struct master_drain_options *options, void *waiter, struct instant now,
                       struct error *err)
{
    master_enter(m, now);
    const struct agent *a = master_agent(m, agent_id);
    const struct machine *machine = a != NULL ? master_agent_machine(a) : NULL;
    if (machine != NULL) {
        const char *name = machine->id->hostname, *ip = machine->id->ip;
        error_set(err, -EINVAL, "Agent %s is part of a maintenance schedule under Machine %s%s%s%s",
                  agent_id, name != NULL ? name : "", name != NULL && ip != NULL ? " (" : "",
                  ip != NULL ? ip : "", name != NULL && ip != NULL ? ")" : "");
        return 400;
    }
    if (a != NULL && !can_drain(a)) {
        error_set(err, -EINVAL, "Agent %s is not capable of draining", agent_id);
        return 400;
    }
    if (!is_known(m, agent_id)) {
        error_set(err, -ENOENT, "Unknown agent");
        return 400;
    }
    if (map_has(&m->marking_gone, agent_id)) {
        error_set(err, -EBUSY, "Agent is currently being marked gone");
        return 409;
    }
    struct deactivation_state wanted = {
        .is_deactivated = true,
        .is_draining = true,
        .state = MESOS__V1__DRAIN_STATE__DRAINING,
        .mark_gone = options->mark_gone,
        .has_grace_period = options->has_grace_period,
        .grace_period_ns = options->grace_period_ns,
    };
    write_state(m, agent_id, &wanted, waiter);
    return 0;
}

// ---- gone ----

// What its tasks were called unreachable for is certain now.
static void end_unreachable_tasks(struct master *m, struct unreachable_agent *u,
                                  const char *message)
{
    LIST_FOREACH (&u->tasks, struct task, by_agent, t) {
        struct framework *f = t->framework;
        bool is_aware = FRAMEWORK_HAS(f->capabilities, PARTITION_AWARE);
        Mesos__V1__TaskState state = is_aware ? STATE(GONE_BY_OPERATOR) : STATE(LOST);
        Mesos__V1__TaskStatus *status = master_make_status(
            m, t->id, u->id, state,
            is_aware ? REASON(AGENT_REMOVED_BY_OPERATOR) : REASON(AGENT_REMOVED), message);
        if (t->executor_id != NULL)
            status->executor_id = master_make_executor_id(m->scratch, t->executor_id);
        master_task_update(t, status, state);
        master_count_task_end(m, status, state);
        f->terminal[state]++;
        master_task_finish(t);
        master_framework_send_update(f, status);
    }
}

static void gone_is_durable(struct write *write)
{
    struct change *change = CONTAINER_OF(write, struct change, write);
    struct master *m = write->master;
    const char *id = change->agent_id;
    static const char message[] = "Agent has been marked gone";
    map_remove(&m->marking_gone, id);
    struct agent *a = master_agent(m, id);
    struct unreachable_agent *u = map_get(&m->unreachable, id);
    if (a != NULL)
        master_agent_remove(a, AGENT_GONE, message, 0);
    if (u != NULL) {
        end_unreachable_tasks(m, u, message);
        master_unreachable_remove(m, id);
    }
    if (map_has(&m->recovered, id)) {
        master_recovered_remove(m, id);
        MAP_FOREACH (&m->frameworks, entry)
            master_framework_send_failure(entry->value, id, NULL, NULL);
    }
    master_deactivation_drop(m, id);
    master_gone_add(m, id, change->since_ns);
    log_info("Agent %s is gone", id);
    master_answer(m, change->waiter, 200, NULL);
    change_free(change);
}

static void write_gone(struct master *m, const char *agent_id, void *waiter)
{
    struct change *change = change_new(agent_id, waiter);
    change->since_ns = m->now.wall;
    change->write.done = gone_is_durable;
    change->write.drop = drop;
    map_put(&m->marking_gone, agent_id, m);
    log_info("Marking agent %s as gone", agent_id);
    struct master_item items[4];
    size_t count = master_registry_gone_items(m, agent_id, change->since_ns, items);
    master_write(m, &change->write, items, count);
}

int master_mark_agent_gone(struct master *m, const char *agent_id, void *waiter, struct instant now,
                           struct error *err)
{
    master_enter(m, now);
    if (map_has(&m->gone, agent_id))
        return 200;
    if (map_has(&m->marking_gone, agent_id)) {
        error_set(err, -EBUSY, "Agent '%s' is already being transitioned to gone", agent_id);
        return 503;
    }
    const struct agent *a = master_agent(m, agent_id);
    const struct recovered_agent *r = map_get(&m->recovered, agent_id);
    if ((a != NULL && a->marking) || (r != NULL && r->marking)) {
        error_set(err, -EBUSY, "Agent '%s' is being transitioned to unreachable", agent_id);
        return 503;
    }
    if (!is_known(m, agent_id)) {
        error_set(err, -ENOENT, "Agent '%s' not found", agent_id);
        return 404;
    }
    write_gone(m, agent_id, waiter);
    return 0;
}

void master_agent_check_drained(struct agent *a)
{
    struct master *m = a->master;
    // Nearly always, and asked at the end of each task.
    if (m->deactivations.count == 0)
        return;
    const struct deactivation *d = find(m, a->id);
    if (d == NULL || !is_state(&d->now, MESOS__V1__DRAIN_STATE__DRAINING) ||
        !is_state(&d->wanted, MESOS__V1__DRAIN_STATE__DRAINING) || d->writes > 0)
        return;
    // What a disconnected agent still runs will be known when it is back.
    if (a->leaving || a->marking || a->channel == NULL || !list_is_empty(&a->tasks) ||
        !list_is_empty(&a->operations) || map_has(&m->marking_gone, a->id))
        return;
    log_info("Agent %s (%s) is drained", a->id, a->info->hostname);
    if (d->now.mark_gone) {
        write_gone(m, a->id, NULL);
        return;
    }
    struct deactivation_state wanted = d->now;
    wanted.state = MESOS__V1__DRAIN_STATE__DRAINED;
    write_state(m, a->id, &wanted, NULL);
}
