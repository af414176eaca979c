// SPDX-License-Identifier: Apache-2.0
//
// Inverse offers: each framework that holds something on an agent that is to become unavailable is
// asked to leave it, again and again: once it has answered, when its filter is over, or when it
// asks for offers anew (REVIVE, UPDATE_FRAMEWORK, a new connection), as in Mesos. What it answered
// is shown to operators; nobody is forced.
//
// Records are by agent and framework, while the agent is in a maintenance schedule. Those agents
// are in a list of their own, which is walked once a second.

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "master/internal.h"

#define ROUND_NS NS_PER_S // as often as Mesos' allocator by default

static void watch(struct master *m)
{
    if (!list_is_empty(&m->unavailable) && !timer_is_set(&m->inverse_round))
        timer_set(&m->timers, &m->inverse_round, m->now.mono + ROUND_NS);
}

// ---- records ----

// The offer is no more; what was answered stays.
static void end_offer(struct inverse *i)
{
    if (i->offer_id[0] != '\0')
        map_remove(&i->agent->master->inverse_offers, i->offer_id);
    i->offer_id[0] = '\0';
}

static void rescind(struct inverse *i)
{
    struct master *m = i->agent->master;
    struct framework *f = master_framework(m, i->framework_id);
    if (i->offer_id[0] != '\0' && f != NULL) {
        Mesos__V1__Scheduler__Event *event =
            master_make_event(m->scratch, EVENT(RESCIND_INVERSE_OFFER));
        event->rescind_inverse_offer =
            WIRE_NEW(m->scratch, Mesos__V1__Scheduler__Event__RescindInverseOffer,
                     mesos__v1__scheduler__event__rescind_inverse_offer);
        event->rescind_inverse_offer->inverse_offer_id =
            WIRE_NEW(m->scratch, Mesos__V1__OfferID, mesos__v1__offer_id);
        event->rescind_inverse_offer->inverse_offer_id->value =
            arena_strdup(m->scratch, i->offer_id);
        master_framework_send(f, event);
    }
    end_offer(i);
}

static void record_free(struct inverse *i)
{
    end_offer(i);
    mem_free(i->framework_id);
    mem_free(i);
}

void master_inverse_rescind(struct agent *a)
{
    MAP_FOREACH (&a->inverse, entry)
        rescind(entry->value);
}

void master_inverse_free(struct agent *a)
{
    MAP_FOREACH (&a->inverse, entry)
        record_free(entry->value);
    map_free(&a->inverse);
    list_remove(&a->unavailable);
}

void master_inverse_reset(struct agent *a, bool is_unavailable)
{
    master_inverse_rescind(a);
    master_inverse_free(a);
    if (!is_unavailable)
        return;
    list_append(&a->master->unavailable, &a->unavailable);
    watch(a->master);
}

void master_inverse_forget_filters(struct framework *f)
{
    LIST_FOREACH (&f->master->unavailable, struct agent, unavailable, a) {
        struct inverse *i = map_get(&a->inverse, f->id);
        if (i != NULL)
            i->filtered_until = 0;
    }
}

void master_inverse_forget_framework(struct framework *f, bool is_removed)
{
    LIST_FOREACH (&f->master->unavailable, struct agent, unavailable, a) {
        struct inverse *i = map_get(&a->inverse, f->id);
        if (i == NULL)
            continue;
        end_offer(i);
        i->filtered_until = 0;
        if (is_removed)
            record_free(map_remove(&a->inverse, f->id));
    }
}

// ---- offering ----

static Mesos__V1__InverseOffer *make(struct arena *arena, const struct inverse *i,
                                     const struct machine *machine)
{
    Mesos__V1__InverseOffer *offer =
        WIRE_NEW(arena, Mesos__V1__InverseOffer, mesos__v1__inverse_offer);
    offer->id = WIRE_NEW(arena, Mesos__V1__OfferID, mesos__v1__offer_id);
    offer->id->value = arena_strdup(arena, i->offer_id);
    offer->url = master_agent_url(arena, i->agent);
    offer->framework_id = master_make_framework_id(arena, i->framework_id);
    offer->agent_id = master_make_agent_id(arena, i->agent->id);
    offer->unavailability = machine->unavailability;
    return offer;
}

Mesos__V1__InverseOffer *master_inverse_message(const struct inverse *i, struct arena *arena)
{
    const struct machine *machine = master_agent_machine(i->agent);
    return i->offer_id[0] != '\0' && machine != NULL ? make(arena, i, machine) : NULL;
}

static struct inverse *record_of(struct agent *a, const struct framework *f)
{
    struct inverse *i = map_get(&a->inverse, f->id);
    if (i != NULL)
        return i;
    i = mem_zalloc(sizeof(*i));
    i->agent = a;
    i->framework_id = mem_strdup(f->id);
    map_put(&a->inverse, f->id, i);
    return i;
}

// A new offer, unless there is one or the framework wants none now.
static bool offer(struct inverse *i)
{
    struct master *m = i->agent->master;
    int64_t timeout = m->options.offer_timeout_ns;
    if (i->offer_id[0] != '\0' && timeout > 0 && m->now.mono - i->offered >= timeout)
        rescind(i);
    if (i->offer_id[0] != '\0' || i->filtered_until > m->now.mono)
        return false;
    snprintf(i->offer_id, sizeof(i->offer_id), "%s-O%" PRIu64, m->id, m->next_offer++);
    i->offered = m->now.mono;
    map_put(&m->inverse_offers, i->offer_id, i);
    return true;
}

struct gathered {
    struct framework *framework;
    Mesos__V1__InverseOffer **offers;
    size_t count, capacity;
};

static void gather(struct map *all, struct framework *f, Mesos__V1__InverseOffer *offer)
{
    struct arena *arena = f->master->scratch;
    struct gathered *g = map_get(all, f->id);
    if (g == NULL) {
        g = arena_calloc(arena, 1, sizeof(*g));
        g->framework = f;
        map_put(all, f->id, g);
    }
    if (g->count == g->capacity) {
        size_t capacity = g->capacity * 2 + 8;
        Mesos__V1__InverseOffer **grown =
            arena_calloc(arena, capacity, sizeof(Mesos__V1__InverseOffer *));
        if (g->count > 0)
            memcpy(grown, g->offers, g->count * sizeof(*grown));
        g->offers = grown;
        g->capacity = capacity;
    }
    g->offers[g->count++] = offer;
}

static void consider(struct agent *a, struct map *gathered)
{
    struct master *m = a->master;
    const struct machine *machine = master_agent_machine(a);
    CHECK(machine != NULL);
    if (!a->active)
        return;
    MAP_FOREACH (&a->uses, entry) {
        struct framework *f = ((const struct agent_use *)entry->value)->framework;
        if (!f->active || f->subscriber == NULL)
            continue;
        struct inverse *i = record_of(a, f);
        if (offer(i))
            gather(gathered, f, make(m->scratch, i, machine));
    }
}

void master_inverse_turn(struct timer *timer, struct instant now)
{
    (void)now;
    struct master *m = CONTAINER_OF(timer, struct master, inverse_round);
    struct map all = MAP_INIT;
    LIST_FOREACH (&m->unavailable, struct agent, unavailable, a)
        consider(a, &all);
    MAP_FOREACH (&all, entry) {
        struct gathered *g = entry->value;
        Mesos__V1__Scheduler__Event *event = master_make_event(m->scratch, EVENT(INVERSE_OFFERS));
        event->inverse_offers = WIRE_NEW(m->scratch, Mesos__V1__Scheduler__Event__InverseOffers,
                                         mesos__v1__scheduler__event__inverse_offers);
        event->inverse_offers->inverse_offers = g->offers;
        event->inverse_offers->n_inverse_offers = g->count;
        log_debug("Sending %zu inverse offers to framework %s", g->count, g->framework->id);
        master_framework_send(g->framework, event);
    }
    map_free(&all);
    watch(m);
}

// ---- answers ----

void master_call_answer_inverse_offers(struct framework *f, Mesos__V1__OfferID *const *ids,
                                       size_t count, const Mesos__V1__Filters *filters,
                                       bool accepts)
{
    struct master *m = f->master;
    const char *what = accepts ? "accept" : "decline";
    if (count == 0)
        log_warning("Framework %s answers to no inverse offers", f->id);
    for (size_t k = 0; k < count; k++) {
        struct inverse *i = map_get(&m->inverse_offers, ids[k]->value);
        if (i == NULL || strcmp(i->framework_id, f->id) != 0) {
            log_warning("Ignoring %s of inverse offer %s since it is no longer valid", what,
                        ids[k]->value);
            master_count(m, COUNT_DROPPED_MESSAGES);
            continue;
        }
        i->answer = accepts ? MESOS__V1__ALLOCATOR__INVERSE_OFFER_STATUS__STATUS__ACCEPT
                            : MESOS__V1__ALLOCATOR__INVERSE_OFFER_STATUS__STATUS__DECLINE;
        i->answered = m->now.wall;
        i->filtered_until = m->now.mono + master_filters_refuse_ns(filters);
        end_offer(i);
    }
}
