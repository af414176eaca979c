// SPDX-License-Identifier: Apache-2.0
//
// Offers: made when the allocator says so, collected per framework over its round, sent as one
// event each. An offer is used, declined, rescinded or expires exactly once; then its record is
// gone.

#include <string.h>

#include "master/internal.h"

// What Mesos gives a filter at most, and what it takes for a nonsensical one.
#define REFUSE_SECONDS_MAX (365.0 * 24 * 60 * 60)
#define REFUSE_SECONDS_DEFAULT 5.0

int64_t master_filters_refuse_ns(const Mesos__V1__Filters *filters)
{
    double seconds = REFUSE_SECONDS_DEFAULT;
    if (filters != NULL && filters->has_refuse_seconds)
        seconds = filters->refuse_seconds;
    if (!(seconds >= 0)) // negative, or not a number
        seconds = REFUSE_SECONDS_DEFAULT;
    if (seconds > REFUSE_SECONDS_MAX)
        seconds = REFUSE_SECONDS_MAX;
    return (int64_t)(seconds * (double)NS_PER_S);
}

static void expire(struct timer *timer, struct instant now)
{
    (void)now;
    master_offer_rescind(CONTAINER_OF(timer, struct offer, timeout));
}

void master_offer_arrived(void *ctx, const char *framework_id, const char *role,
                          const char *agent_id, const struct resources *offered)
{
    struct master *m = ctx;
    CHECK(m->magic == MASTER_MAGIC && m->offering);
    struct framework *f = master_framework(m, framework_id);
    struct agent *a = master_agent(m, agent_id);
    // The allocator is told of every change at once, so it cannot offer what is not there.
    CHECK(f != NULL && f->active && f->subscriber != NULL);
    CHECK(a != NULL && a->active);
    struct offer *o = mem_zalloc(sizeof(*o));
    o->master = m;
    o->framework = f;
    o->agent = a;
    o->role = mem_strdup(role);
    o->resources = resources_copy(offered);
    o->timeout.run = expire;
    o->seen = m->snapshot;
    master_before_agent(a);
    master_before_framework(f);
    text_format(o->id, sizeof(o->id), "%s-O%zu", m->id, (size_t)m->next_offer++);
    list_append(&f->offers, &o->by_framework);
    list_append(&a->offers, &o->by_agent);
    list_append(&f->unsent, &o->unsent);
    if (list_is_empty(&f->sending))
        list_append(&m->sending, &f->sending);
    resources_add(a->offered, o->resources);
    resources_add(f->offered, o->resources);
    map_add_borrowed(&m->offers, o->id, o);
    if (m->options.offer_timeout_ns > 0)
        timer_set(&m->timers, &o->timeout, m->now.mono + m->options.offer_timeout_ns);
}

void master_offer_remove(struct offer *o)
{
    struct master *m = o->master;
    master_before_change(m, RECORD_OFFER, o, &o->seen);
    master_before_agent(o->agent);
    master_before_framework(o->framework);
    timer_cancel(&m->timers, &o->timeout);
    list_remove(&o->by_framework);
    list_remove(&o->by_agent);
    list_remove(&o->unsent);
    resources_subtract(o->agent->offered, o->resources);
    // Ports of several agents are one set in a framework's sum, so a part may be gone already.
    resources_subtract_available(o->framework->offered, o->resources);
    map_remove(&m->offers, o->id);
    resources_free(o->resources);
    mem_free(o->role);
    mem_free(o);
}

void master_offer_discard(struct offer *o, int64_t refuse_ns)
{
    struct master *m = o->master;
    allocator_recover(m->allocator, o->framework->id, o->agent->id, o->resources, refuse_ns,
                      m->now);
    master_offer_remove(o);
}

void master_offer_rescind(struct offer *o)
{
    struct framework *f = o->framework;
    struct arena *arena = o->master->scratch;
    Mesos__V1__Scheduler__Event *event = master_make_event(arena, EVENT(RESCIND));
    event->rescind =
        WIRE_NEW(arena, Mesos__V1__Scheduler__Event__Rescind, mesos__v1__scheduler__event__rescind);
    event->rescind->offer_id = WIRE_NEW(arena, Mesos__V1__OfferID, mesos__v1__offer_id);
    event->rescind->offer_id->value = arena_strdup(arena, o->id);
    f->offers_rescinded++;
    master_framework_send(f, event);
    master_offer_discard(o, -1);
}

// "slave(1)@ip:port" in its parts; false when it is not of that form. Texts in the arena.
static bool split_pid(struct arena *arena, const char *pid, char **ret_name, char **ret_ip,
                      int32_t *ret_port)
{
    const char *at = strchr(pid, '@');
    const char *colon = at != NULL ? strrchr(at, ':') : NULL;
    if (colon == NULL)
        return false;
    int64_t port;
    if (text_parse_i64(colon + 1, &port, NULL) < 0 || port < 0 || port > 65535)
        return false;
    *ret_name = arena_strndup(arena, pid, (size_t)(at - pid));
    *ret_ip = arena_strndup(arena, at + 1, (size_t)(colon - at - 1));
    *ret_port = (int32_t)port;
    return true;
}

Mesos__V1__URL *master_agent_url(struct arena *arena, const struct agent *a)
{
    char *name, *ip;
    int32_t port;
    if (!split_pid(arena, a->pid, &name, &ip, &port))
        return NULL;
    Mesos__V1__URL *url = WIRE_NEW(arena, Mesos__V1__URL, mesos__v1__url);
    url->scheme = arena_strdup(arena, "http");
    url->address = WIRE_NEW(arena, Mesos__V1__Address, mesos__v1__address);
    url->address->hostname = a->info->hostname;
    url->address->ip = ip;
    url->address->port = port;
    url->path = arena_printf(arena, "/%s", name);
    return url;
}

// The executors of the framework that run on the agent.
static void put_executor_ids(struct arena *arena, const struct offer *o, Mesos__V1__Offer *offer)
{
    size_t count = 0;
    LIST_FOREACH (&o->agent->executors, struct executor, by_agent, e)
        count += e->framework == o->framework;
    if (count == 0)
        return;
    offer->executor_ids = arena_calloc(arena, count, sizeof(*offer->executor_ids));
    LIST_FOREACH (&o->agent->executors, struct executor, by_agent, e) {
        if (e->framework == o->framework)
            offer->executor_ids[offer->n_executor_ids++] = master_make_executor_id(arena, e->id);
    }
}

Mesos__V1__Offer *master_offer_message(const struct offer *o, struct arena *arena)
{
    const struct framework *f = o->framework;
    const struct agent *a = o->agent;
    bool multi_role = FRAMEWORK_HAS(f->capabilities, MULTI_ROLE);
    bool refined = FRAMEWORK_HAS(f->capabilities, RESERVATION_REFINEMENT);
    Mesos__V1__Offer *offer = WIRE_NEW(arena, Mesos__V1__Offer, mesos__v1__offer);
    offer->id = WIRE_NEW(arena, Mesos__V1__OfferID, mesos__v1__offer_id);
    offer->id->value = arena_strdup(arena, o->id);
    offer->framework_id = master_make_framework_id(arena, f->id);
    offer->agent_id = master_make_agent_id(arena, a->id);
    offer->hostname = a->info->hostname;
    offer->url = master_agent_url(arena, a);
    offer->domain = a->info->domain;
    const struct machine *machine = master_agent_machine(a);
    if (machine != NULL)
        offer->unavailability = machine->unavailability;
    offer->n_resources =
        resources_to_proto(o->resources, arena, refined ? RESOURCES_NEW_FORM : RESOURCES_OLD_FORM,
                           multi_role, &offer->resources);
    offer->n_attributes = a->info->n_attributes;
    offer->attributes = a->info->attributes;
    put_executor_ids(arena, o, offer);
    if (multi_role) {
        offer->allocation_info = WIRE_NEW(arena, Mesos__V1__Resource__AllocationInfo,
                                          mesos__v1__resource__allocation_info);
        offer->allocation_info->role = arena_strdup(arena, o->role);
    }
    return offer;
}

static void send_framework_offers(struct framework *f)
{
    struct master *m = f->master;
    arena_reset(m->scratch);
    size_t count = 0;
    LIST_FOREACH (&f->unsent, struct offer, unsent, o) {
        (void)o;
        count++;
    }
    Mesos__V1__Scheduler__Event *event = master_make_event(m->scratch, EVENT(OFFERS));
    Mesos__V1__Scheduler__Event__Offers *offers = WIRE_NEW(
        m->scratch, Mesos__V1__Scheduler__Event__Offers, mesos__v1__scheduler__event__offers);
    offers->offers = arena_calloc(m->scratch, count, sizeof(*offers->offers));
    LIST_FOREACH (&f->unsent, struct offer, unsent, o) {
        offers->offers[offers->n_offers++] = master_offer_message(o, m->scratch);
        list_remove(&o->unsent);
    }
    event->offers = offers;
    f->offers_sent += count;
    log_debug("Sending %zu offers to framework %s (%s)", count, f->id, f->info->name);
    master_framework_send(f, event);
}

void master_offers_send(struct master *m)
{
    while (!list_is_empty(&m->sending)) {
        struct framework *f = LIST_ENTRY(m->sending.next, struct framework, sending);
        list_remove(&f->sending);
        if (!list_is_empty(&f->unsent))
            send_framework_offers(f);
    }
}
