// SPDX-License-Identifier: Apache-2.0
//
// What a framework does with what it is offered. Each behaviour is a row of a table: how long it
// keeps an offer, which part of it it uses, how late it acknowledges, how long its tasks run.

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "model/task_state.h"
#include "swarm/internal.h"
#include "wire/wire.h"

#define TICK_NS (10 * NS_PER_MS)

enum {
    WAVES = 10,
    PICKY_ONE_IN = 4,
    SERVICE_FACTOR = 3,
    // Tasks that were launched and are not running yet: more only make calls wait behind calls.
    STARTING_MAX = 10000,
};

static const struct {
    const char *name;
    int64_t hold_ns;        // an offer is kept for so long before it is used
    unsigned use_one_in;    // part of an offer that is used
    int64_t acknowledge_ns; // later
} behaviours[BEHAVIOUR_COUNT] = {
    [BEHAVES_GREEDY] = {"greedy", 0, 1, 0},
    [BEHAVES_PICKY] = {"picky", 0, 1, 0},
    [BEHAVES_BATCH] = {"batch", 0, 1, 0},
    [BEHAVES_SERVICE] = {"service", 0, 1, 0},
    [BEHAVES_HOARDING] = {"hoarding", 2 * NS_PER_S, 2, 0},
    [BEHAVES_SLOW] = {"slow", 500 * NS_PER_MS, 1, 200 * NS_PER_MS},
};

int swarm_behaviour_find(const char *name, size_t size)
{
    for (int i = 0; i < BEHAVIOUR_COUNT; i++)
        if (strlen(behaviours[i].name) == size && strncmp(behaviours[i].name, name, size) == 0)
            return i;
    return -1;
}

const char *swarm_behaviour_name(enum swarm_behaviour behaviour)
{
    return behaviours[behaviour].name;
}

const char *swarm_behaviour_names(void)
{
    return "greedy, picky, batch, service, hoarding, slow";
}

// ---- how much it wants ----

static uint64_t launchable_end(const struct swarm_framework *f)
{
    return f->behaviour == BEHAVES_BATCH && f->wave_end < f->task_count ? f->wave_end
                                                                        : f->task_count;
}

uint64_t swarm_framework_wants(const struct swarm_framework *f)
{
    return launchable_end(f) - f->next + f->again_count;
}

static uint64_t allowed_now(const struct swarm_framework *f)
{
    uint64_t wants = swarm_framework_wants(f);
    uint64_t starting = f->active - f->running;
    uint64_t room = starting < STARTING_MAX ? STARTING_MAX - starting : 0;
    wants = wants < room ? wants : room;
    if (f->swarm->options->rate <= 0)
        return wants;
    uint64_t allowance = f->allowance > 0 ? (uint64_t)f->allowance : 0;
    return wants < allowance ? wants : allowance;
}

// Whether it waits before it uses an offer for `count` tasks: until it may start one, or, where
// each offer is for so many and no more (--tasks_per_offer), all of them.
static bool must_wait(const struct swarm_framework *f, uint64_t count)
{
    uint64_t wants = swarm_framework_wants(f);
    uint64_t least = f->swarm->options->tasks_per_offer > 0 ? count : 1;
    return allowed_now(f) < (least < wants ? least : wants);
}

static void send_plain(struct swarm_framework *f, Mesos__V1__Scheduler__Call__Type type)
{
    Mesos__V1__Scheduler__Call call = MESOS__V1__SCHEDULER__CALL__INIT;
    call.type = type;
    swarm_framework_send(f, &call);
}

// Asks for no offers while it wants none.
static void settle_wish(struct swarm_framework *f)
{
    bool wants = swarm_framework_wants(f) > 0;
    if (!f->is_subscribed || wants != f->is_suppressed)
        return;
    f->is_suppressed = !wants;
    send_plain(f, wants ? MESOS__V1__SCHEDULER__CALL__TYPE__REVIVE
                        : MESOS__V1__SCHEDULER__CALL__TYPE__SUPPRESS);
}

// ---- launching ----

static double draw_seconds(struct swarm_framework *f)
{
    const struct swarm_options *o = f->swarm->options;
    double mean = (double)o->task_duration / NS_PER_S;
    double unit = prng_unit(&f->prng);
    if (strcmp(o->distribution, "uniform") == 0)
        return mean * 2 * unit;
    if (strcmp(o->distribution, "exponential") == 0)
        return -mean * log(1 - unit);
    return mean;
}

static Mesos__V1__TaskInfo *make_task(struct swarm_framework *f, struct arena *arena,
                                      uint64_t number, Mesos__V1__AgentID *agent_id)
{
    struct swarm *s = f->swarm;
    Mesos__V1__TaskInfo *task = WIRE_NEW(arena, Mesos__V1__TaskInfo, mesos__v1__task_info);
    task->task_id = WIRE_NEW(arena, Mesos__V1__TaskID, mesos__v1__task_id);
    task->task_id->value = swarm_task_id(arena, number, f->tasks[number].attempt);
    task->name = task->task_id->value;
    task->agent_id = agent_id;
    task->command = WIRE_NEW(arena, Mesos__V1__CommandInfo, mesos__v1__command_info);
    if (s->options->hold || f->behaviour == BEHAVES_SERVICE)
        task->command->value = arena_strdup(arena, "sleep infinity");
    else
        task->command->value = arena_printf(arena, "sleep %.6f", draw_seconds(f));
    task->resources = s->needs;
    task->n_resources = s->need_count;
    task->labels = s->labels;
    return task;
}

static uint64_t take_number(struct swarm_framework *f)
{
    return f->again_count > 0 ? f->again[--f->again_count] : f->next++;
}

static const double refusals[DECLINE_COUNT] = {[DECLINE_SHORT] = 5, [DECLINE_LONG] = 3600};

// Many offers in one call, as good frameworks do.
static void send_declines(struct swarm_framework *f, Mesos__V1__OfferID **ids, size_t count,
                          double refuse_seconds)
{
    Mesos__V1__Filters filters = MESOS__V1__FILTERS__INIT;
    filters.has_refuse_seconds = true;
    filters.refuse_seconds = refuse_seconds;
    Mesos__V1__Scheduler__Call__Decline decline = MESOS__V1__SCHEDULER__CALL__DECLINE__INIT;
    decline.offer_ids = ids;
    decline.n_offer_ids = count;
    decline.filters = &filters;
    Mesos__V1__Scheduler__Call call = MESOS__V1__SCHEDULER__CALL__INIT;
    call.type = MESOS__V1__SCHEDULER__CALL__TYPE__DECLINE;
    call.decline = &decline;
    swarm_framework_send(f, &call);
}

// Uses an offer for `count` tasks; 0 declines it.
static void answer_offer(struct swarm_framework *f, const char *offer_id, const char *agent,
                         uint64_t count, double refuse_seconds)
{
    struct swarm *s = f->swarm;
    struct arena *arena = s->scratch;
    Mesos__V1__OfferID id = MESOS__V1__OFFER_ID__INIT;
    Mesos__V1__OfferID *ids[] = {&id};
    Mesos__V1__AgentID agent_id = MESOS__V1__AGENT_ID__INIT;
    Mesos__V1__Filters filters = MESOS__V1__FILTERS__INIT;
    Mesos__V1__Scheduler__Call call = MESOS__V1__SCHEDULER__CALL__INIT;
    id.value = (char *)(uintptr_t)offer_id;
    agent_id.value = (char *)(uintptr_t)agent;
    filters.has_refuse_seconds = true;
    filters.refuse_seconds = refuse_seconds;
    if (count == 0) {
        send_declines(f, ids, 1, refuse_seconds);
        return;
    }
    Mesos__V1__Scheduler__Call__Accept accept = MESOS__V1__SCHEDULER__CALL__ACCEPT__INIT;
    Mesos__V1__Offer__Operation operation = MESOS__V1__OFFER__OPERATION__INIT;
    Mesos__V1__Offer__Operation *operations[] = {&operation};
    Mesos__V1__Offer__Operation__Launch launch = MESOS__V1__OFFER__OPERATION__LAUNCH__INIT;
    int64_t now = env_refresh_now(s->env).mono;
    launch.task_infos = arena_calloc(arena, count, sizeof(*launch.task_infos));
    for (uint64_t i = 0; i < count; i++) {
        uint64_t number = take_number(f);
        f->tasks[number].accepted_at = now;
        f->tasks[number].state = ACCEPTED;
        launch.task_infos[launch.n_task_infos++] = make_task(f, arena, number, &agent_id);
    }
    f->active += count;
    f->allowance -= (double)count;
    s->launched += count;
    if (s->first_accept_at == 0) {
        s->first_accept_at = now;
        s->at_first_accept = watch_read(&s->watch);
    }
    operation.has_type = true;
    operation.type = MESOS__V1__OFFER__OPERATION__TYPE__LAUNCH;
    operation.launch = &launch;
    accept.offer_ids = ids;
    accept.n_offer_ids = 1;
    accept.operations = operations;
    accept.n_operations = 1;
    accept.filters = &filters;
    call.type = MESOS__V1__SCHEDULER__CALL__TYPE__ACCEPT;
    call.accept = &accept;
    swarm_framework_send(f, &call);
}

// ---- offers that are kept ----

static void need_tick(struct swarm_framework *f)
{
    if (!timer_is_set(&f->tick))
        env_timer_set(f->swarm->env, &f->tick, TICK_NS);
}

static void held_free(struct swarm_framework *f, struct held_offer *held)
{
    map_remove(&f->held, held->id);
    list_remove(&held->link);
    mem_free(held->id);
    mem_free(held->agent_id);
    mem_free(held);
}

static void hold(struct swarm_framework *f, const char *offer_id, const char *agent_id,
                 uint64_t fit, int64_t due)
{
    struct held_offer *held = mem_zalloc(sizeof(*held));
    held->id = mem_strdup(offer_id);
    held->agent_id = mem_strdup(agent_id);
    held->fit = fit;
    held->due = due;
    map_put(&f->held, offer_id, held);
    list_append(&f->held_order, &held->link);
    need_tick(f);
}

void swarm_behave_forget_offers(struct swarm_framework *f)
{
    LIST_FOREACH (&f->held_order, struct held_offer, link, held)
        held_free(f, held);
}

void swarm_behave_rescind(struct swarm_framework *f, const char *offer_id)
{
    struct held_offer *held = map_get(&f->held, offer_id);
    if (held != NULL)
        held_free(f, held);
}

// For how many tasks an offer is used. Its scalars are few: they are added as they come.
static uint64_t fit_of(const struct swarm *s, const Mesos__V1__Offer *offer)
{
    uint64_t fit = UINT64_MAX;
    for (size_t i = 0; i < s->need_count; i++) {
        const Mesos__V1__Resource *need = s->needs[i];
        double sum = 0;
        for (size_t k = 0; k < offer->n_resources; k++) {
            const Mesos__V1__Resource *r = offer->resources[k];
            bool is_free = r->n_reservations == 0 && (r->role == NULL || strcmp(r->role, "*") == 0);
            if (is_free && r->scalar != NULL && strcmp(r->name, need->name) == 0)
                sum += r->scalar->value;
        }
        uint64_t n = (uint64_t)floor(sum / need->scalar->value + 1e-6);
        fit = n < fit ? n : fit;
    }
    uint64_t most = s->options->tasks_per_offer;
    return most > 0 && most < fit ? most : fit;
}

static bool wants_agent(const struct swarm_framework *f, const Mesos__V1__Offer *offer)
{
    const char *name = offer->hostname;
    return f->behaviour != BEHAVES_PICKY ||
           (map_hash(name, strlen(name)) + f->number) % PICKY_ONE_IN == 0;
}

static void decline(struct swarm_framework *f, const Mesos__V1__Offer *offer, enum decline how)
{
    f->declined[how][f->declined_count[how]++] = offer->id;
}

static void behave_offer(struct swarm_framework *f, const Mesos__V1__Offer *offer)
{
    struct swarm *s = f->swarm;
    const char *id = offer->id->value, *agent_id = offer->agent_id->value;
    uint64_t fit = fit_of(s, offer);
    uint64_t wants = swarm_framework_wants(f);
    if (s->phase != SWARM_RUNS || wants == 0 || fit == 0) {
        // A long refusal of too little does not hold back the agent's offers when more of it is
        // free. Who wants nothing now may have to launch a task again.
        decline(f, offer, fit == 0 ? DECLINE_LONG : DECLINE_SHORT);
        return;
    }
    if (!wants_agent(f, offer)) {
        decline(f, offer, DECLINE_SHORT);
        return;
    }
    int64_t hold_ns = behaviours[f->behaviour].hold_ns;
    uint64_t allowed = allowed_now(f);
    if (hold_ns > 0 || must_wait(f, fit)) {
        hold(f, id, agent_id, fit, env_now(s->env).mono + hold_ns);
        return;
    }
    // What it leaves of the offer only because it has enough for now shall come again.
    answer_offer(f, id, agent_id, fit < allowed ? fit : allowed, fit <= allowed ? 3600 : 0);
    settle_wish(f);
}

void swarm_behave_offers(struct swarm_framework *f,
                         const Mesos__V1__Scheduler__Event__Offers *event)
{
    for (size_t how = 0; how < DECLINE_COUNT; how++) {
        f->declined[how] = mem_calloc(event->n_offers + 1, sizeof(f->declined[how][0]));
        f->declined_count[how] = 0;
    }
    for (size_t i = 0; i < event->n_offers; i++) {
        arena_reset(f->swarm->scratch);
        behave_offer(f, event->offers[i]);
    }
    for (size_t how = 0; how < DECLINE_COUNT; how++) {
        if (f->declined_count[how] > 0)
            send_declines(f, f->declined[how], f->declined_count[how], refusals[how]);
        mem_free(TAKE_PTR(f->declined[how]));
    }
}

// Uses what was kept long enough, as far as it may.
static void use_held(struct swarm_framework *f, int64_t now)
{
    LIST_FOREACH (&f->held_order, struct held_offer, link, held) {
        uint64_t part = behaviours[f->behaviour].use_one_in;
        uint64_t use = (held->fit + part - 1) / part;
        uint64_t allowed = allowed_now(f);
        if (held->due > now || must_wait(f, use))
            return;
        arena_reset(f->swarm->scratch);
        use = use < allowed ? use : allowed;
        answer_offer(f, held->id, held->agent_id, use, use < held->fit ? 0 : 3600);
        held_free(f, held);
    }
}

// ---- acknowledgements and kills ----

static void acknowledge(struct swarm_framework *f, const char *agent, const char *task,
                        ProtobufCBinaryData uuid)
{
    Mesos__V1__Scheduler__Call call = MESOS__V1__SCHEDULER__CALL__INIT;
    Mesos__V1__Scheduler__Call__Acknowledge body = MESOS__V1__SCHEDULER__CALL__ACKNOWLEDGE__INIT;
    Mesos__V1__AgentID agent_id = MESOS__V1__AGENT_ID__INIT;
    Mesos__V1__TaskID task_id = MESOS__V1__TASK_ID__INIT;
    agent_id.value = (char *)(uintptr_t)agent;
    task_id.value = (char *)(uintptr_t)task;
    body.agent_id = &agent_id;
    body.task_id = &task_id;
    body.uuid = uuid;
    call.type = MESOS__V1__SCHEDULER__CALL__TYPE__ACKNOWLEDGE;
    call.acknowledge = &body;
    swarm_framework_send(f, &call);
}

static void kill_task(struct swarm_framework *f, const struct delayed *d)
{
    Mesos__V1__Scheduler__Call call = MESOS__V1__SCHEDULER__CALL__INIT;
    Mesos__V1__Scheduler__Call__Kill body = MESOS__V1__SCHEDULER__CALL__KILL__INIT;
    Mesos__V1__AgentID agent_id = MESOS__V1__AGENT_ID__INIT;
    Mesos__V1__TaskID task_id = MESOS__V1__TASK_ID__INIT;
    agent_id.value = d->agent_id;
    task_id.value = swarm_task_id(f->swarm->scratch, d->task, d->attempt);
    body.agent_id = &agent_id;
    body.task_id = &task_id;
    call.type = MESOS__V1__SCHEDULER__CALL__TYPE__KILL;
    call.kill = &body;
    swarm_framework_send(f, &call);
}

// All of one framework are due after the same time, so the list is in order.
static void delay(struct swarm_framework *f, const Mesos__V1__TaskStatus *status, int64_t delay_ns,
                  bool is_kill)
{
    struct delayed *d = mem_zalloc(sizeof(*d));
    d->due = env_now(f->swarm->env).mono + delay_ns;
    d->agent_id = mem_strdup(status->agent_id->value);
    (void)swarm_parse_task_id(status->task_id->value, &d->task, &d->attempt);
    if (!is_kill && status->uuid.len <= sizeof(d->uuid)) {
        d->uuid_size = status->uuid.len;
        memcpy(d->uuid, status->uuid.data, status->uuid.len);
    }
    list_append(&f->delayed, &d->link);
    need_tick(f);
}

static void delayed_free(struct delayed *d)
{
    list_remove(&d->link);
    mem_free(d->agent_id);
    mem_free(d);
}

static void do_delayed(struct swarm_framework *f, int64_t now)
{
    LIST_FOREACH (&f->delayed, struct delayed, link, d) {
        if (d->due > now)
            return;
        arena_reset(f->swarm->scratch);
        if (d->uuid_size == 0) {
            const struct wanted_task *t = &f->tasks[d->task];
            if (t->state == RUNNING && t->attempt == d->attempt)
                kill_task(f, d);
        } else {
            ProtobufCBinaryData uuid = {d->uuid_size, d->uuid};
            acknowledge(f, d->agent_id, swarm_task_id(f->swarm->scratch, d->task, d->attempt),
                        uuid);
        }
        delayed_free(d);
    }
}

void swarm_behave_update(struct swarm_framework *f, const Mesos__V1__TaskStatus *status)
{
    struct swarm *s = f->swarm;
    int64_t later = behaviours[f->behaviour].acknowledge_ns;
    if (status->has_uuid && later > 0)
        delay(f, status, later, false);
    else if (status->has_uuid)
        acknowledge(f, status->agent_id->value, status->task_id->value, status->uuid);
    if (f->behaviour == BEHAVES_SERVICE && !s->options->hold && status->agent_id != NULL &&
        status->state == MESOS__V1__TASK_STATE__TASK_RUNNING)
        delay(f, status, SERVICE_FACTOR * s->options->task_duration, true);
}

// A task has ended, or was lost and is wanted again.
void swarm_behave_ended(struct swarm_framework *f)
{
    if (f->behaviour == BEHAVES_BATCH && f->active == 0 && f->next >= f->wave_end) {
        uint64_t wave = (f->task_count + WAVES - 1) / WAVES;
        f->wave_end = f->next + wave < f->task_count ? f->next + wave : f->task_count;
    }
    settle_wish(f);
}

// ---- the tick ----

static void tick_due(struct timer *timer, struct instant now)
{
    struct swarm_framework *f = CONTAINER_OF(timer, struct swarm_framework, tick);
    const struct swarm *s = f->swarm;
    if (s->options->rate > 0) {
        double share = s->options->rate / (double)s->framework_count;
        double most = share > 10 ? share / 10 : 1; // what was not used goes
        f->allowance += share * TICK_NS / NS_PER_S;
        f->allowance = f->allowance < most ? f->allowance : most;
    }
    if (f->is_subscribed) {
        use_held(f, now.mono);
        do_delayed(f, now.mono);
        settle_wish(f);
    }
    if (s->options->rate > 0 || f->held.count > 0 || !list_is_empty(&f->delayed))
        need_tick(f);
}

void swarm_behave_init(struct swarm_framework *f)
{
    f->tick.run = tick_due;
    f->wave_end = (f->task_count + WAVES - 1) / WAVES;
    if (f->swarm->options->rate > 0)
        need_tick(f);
}

void swarm_behave_free(struct swarm_framework *f)
{
    env_timer_cancel(f->swarm->env, &f->tick);
    swarm_behave_forget_offers(f);
    map_free(&f->held);
    LIST_FOREACH (&f->delayed, struct delayed, link, d)
        delayed_free(d);
}
