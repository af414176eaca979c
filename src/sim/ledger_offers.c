// SPDX-License-Identifier: Apache-2.0
//
// Offers, as the master's messages tell, and what frameworks do with them. An offer is of an agent
// that is connected, fits into what the agent has left and into the limits of its role, and is used
// or rescinded once.

#include <string.h>

#include "sim/ledger_books.h"

static void free_offer(struct book_offer *o)
{
    mem_free(o->framework_id);
    mem_free(o->agent_id);
    books_free_amount(o->amount);
    mem_free(o);
}

static void close_offer(struct books *l, const char *offer_id)
{
    map_put(&l->past, offer_id, l); // the id may go with the entry
    struct book_offer *o = map_remove(&l->offers, offer_id);
    struct book_agent *a = map_get(&l->agents, o->agent_id);
    books_release(l, a, o->amount);
    free_offer(o);
}

static void close_inverse(struct books *l, const char *id)
{
    map_put(&l->past, id, l);
    struct book_inverse *inverse = map_remove(&l->inverse, id);
    mem_free(inverse->framework_id);
    mem_free(inverse->agent_id);
    mem_free(inverse);
}

// Of the framework; NULL: all.
static void end_inverse(struct books *l, const char *framework_id)
{
    MAP_FOREACH (&l->inverse, entry) {
        const struct book_inverse *inverse = entry->value;
        if (framework_id == NULL || strcmp(inverse->framework_id, framework_id) == 0)
            close_inverse(l, entry->key);
    }
}

void books_free_offers(struct books *l)
{
    end_inverse(l, NULL);
    map_free(&l->inverse);
    MAP_FOREACH (&l->offers, entry)
        close_offer(l, entry->key);
    map_free(&l->offers);
    map_free(&l->past);
}

void books_check_offers(struct books *l)
{
    books_forget_removed(l);
    if (!l->must_look)
        return;
    l->must_look = false;
    MAP_FOREACH (&l->offers, entry) {
        const struct book_offer *o = entry->value;
        const struct book_agent *a = map_get(&l->agents, o->agent_id);
        REQUIRE(l->sim, a != NULL && a->is_connected,
                "offer %s is open and its agent %s is not connected", entry->key, o->agent_id);
    }
    MAP_FOREACH (&l->inverse, inverse_entry) {
        const struct book_inverse *inverse = inverse_entry->value;
        const struct book_agent *a = map_get(&l->agents, inverse->agent_id);
        REQUIRE(l->sim, a != NULL && a->is_connected,
                "inverse offer %s is open and its agent %s is not connected", inverse_entry->key,
                inverse->agent_id);
    }
}

// What is newly offered to a role keeps within the role's limits.
static void check_limits(const struct books *l, const char *offer_id, const struct amount *offered)
{
    const struct share sum = l->share;
    for (size_t i = 0; i < QUOTA_ROLES && l->sim->trace; i++)
        sim_trace(l->sim, "offer %s: of role %s %lld cpus, %lld mem; limits %lld, %lld", offer_id,
                  quota_roles[i], (long long)sum.of[i][0], (long long)sum.of[i][1],
                  (long long)l->sim->limits[i].of[0], (long long)l->sim->limits[i].of[1]);
    for (size_t i = 0; i < QUOTA_ROLES; i++) {
        const struct quota_limit *limit = &l->sim->limits[i];
        for (size_t k = 0; k < QUOTA_NAMES && limit->is_known; k++)
            REQUIRE(
                l->sim,
                offered->share.of[i][k] == 0 || limit->of[k] == 0 || sum.of[i][k] <= limit->of[k],
                "offer %s: role %s has %lld thousandths of %s, and its limit is %lld", offer_id,
                quota_roles[i], (long long)sum.of[i][k], quota_names[k], (long long)limit->of[k]);
    }
}

static void take_offers(struct books *l, const char *framework_id,
                        const Mesos__V1__Scheduler__Event__Offers *offers)
{
    for (size_t i = 0; i < offers->n_offers; i++) {
        const Mesos__V1__Offer *offer = offers->offers[i];
        const char *agent_id = offer->agent_id->value;
        struct book_agent *a = map_get(&l->agents, agent_id);
        REQUIRE(l->sim,
                !map_has(&l->offers, offer->id->value) && !map_has(&l->past, offer->id->value),
                "offer %s is made twice", offer->id->value);
        REQUIRE(l->sim, a != NULL && a->is_connected,
                "offer %s is of agent %s, which is not connected", offer->id->value, agent_id);
        REQUIRE(l->sim, strcmp(offer->framework_id->value, framework_id) == 0,
                "offer %s for framework %s is sent to %s", offer->id->value,
                offer->framework_id->value, framework_id);
        struct book_offer *o = mem_zalloc(sizeof(*o));
        o->framework_id = mem_strdup(framework_id);
        o->agent_id = mem_strdup(agent_id);
        o->amount = books_read_amount(l, framework_id, offer->resources, offer->n_resources);
        REQUIRE(l->sim,
                !resources_is_empty(o->amount->plain) || !resources_is_empty(o->amount->shared),
                "offer %s is empty", offer->id->value);
        map_put(&l->offers, offer->id->value, o);
        books_hold(l, a, o->amount);
        books_check_agent(l, agent_id);
        check_limits(l, offer->id->value, o->amount);
    }
}

static void take_rescind(struct books *l, const char *framework_id, const char *offer_id)
{
    struct book_offer *o = map_get(&l->offers, offer_id);
    REQUIRE(l->sim, o != NULL, "offer %s is rescinded, but it is over", offer_id);
    REQUIRE(l->sim, strcmp(o->framework_id, framework_id) == 0,
            "offer %s of framework %s is rescinded from %s", offer_id, o->framework_id,
            framework_id);
    close_offer(l, offer_id);
    mark(l->sim, MARK_OFFER_RESCINDED);
}

// A framework is asked once at a time to leave an agent.
static void take_inverse(struct books *l, const char *framework_id,
                         const Mesos__V1__InverseOffer *offer)
{
    const char *id = offer->id->value, *agent_id = offer->agent_id->value;
    const struct book_agent *a = map_get(&l->agents, agent_id);
    REQUIRE(l->sim, !map_has(&l->offers, id) && !map_has(&l->past, id) && !map_has(&l->inverse, id),
            "inverse offer %s is made twice", id);
    REQUIRE(l->sim, a != NULL && a->is_connected,
            "inverse offer %s is of agent %s, which is not connected", id, agent_id);
    REQUIRE(l->sim, strcmp(offer->framework_id->value, framework_id) == 0,
            "inverse offer %s for framework %s is sent to %s", id, offer->framework_id->value,
            framework_id);
    MAP_FOREACH (&l->inverse, entry) {
        const struct book_inverse *open = entry->value;
        REQUIRE(l->sim,
                strcmp(open->agent_id, agent_id) != 0 ||
                    strcmp(open->framework_id, framework_id) != 0,
                "framework %s is asked by %s to leave agent %s, and by %s already", framework_id,
                id, agent_id, entry->key);
    }
    struct book_inverse *inverse = mem_zalloc(sizeof(*inverse));
    inverse->framework_id = mem_strdup(framework_id);
    inverse->agent_id = mem_strdup(agent_id);
    map_put(&l->inverse, id, inverse);
    mark(l->sim, MARK_INVERSE_OFFER);
}

static void take_inverse_rescind(struct books *l, const char *framework_id, const char *id)
{
    const struct book_inverse *inverse = map_get(&l->inverse, id);
    REQUIRE(l->sim, inverse != NULL && strcmp(inverse->framework_id, framework_id) == 0,
            "inverse offer %s is rescinded from framework %s, which has no such", id, framework_id);
    close_inverse(l, id);
    mark(l->sim, MARK_INVERSE_OFFER_RESCINDED);
}

static void close_answered(struct books *l, const char *framework_id,
                           Mesos__V1__OfferID *const *ids, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct book_inverse *inverse = map_get(&l->inverse, ids[i]->value);
        if (inverse == NULL || strcmp(inverse->framework_id, framework_id) != 0)
            continue;
        close_inverse(l, ids[i]->value);
        mark(l->sim, MARK_INVERSE_OFFER_ANSWERED);
    }
}

// An agent is called unreachable only once that is durable.
static void check_unreachable(struct books *l, const Mesos__V1__TaskStatus *status)
{
    if (!status->has_reason ||
        status->reason != MESOS__V1__TASK_STATUS__REASON__REASON_AGENT_REMOVED ||
        status->unreachable_time == NULL)
        return;
    const char *key = arena_printf(l->sim->scratch, "unreachable/%s", status->agent_id->value);
    REQUIRE(l->sim, registry_ever_had(l->sim, key),
            "task %s is told to be unreachable before its agent %s durably is",
            status->task_id->value, status->agent_id->value);
}

void books_event(struct books *l, const char *framework_id,
                 const Mesos__V1__Scheduler__Event *event)
{
    if (event->offers != NULL)
        take_offers(l, framework_id, event->offers);
    if (event->rescind != NULL)
        take_rescind(l, framework_id, event->rescind->offer_id->value);
    for (size_t i = 0; event->inverse_offers != NULL && i < event->inverse_offers->n_inverse_offers;
         i++)
        take_inverse(l, framework_id, event->inverse_offers->inverse_offers[i]);
    if (event->rescind_inverse_offer != NULL)
        take_inverse_rescind(l, framework_id,
                             event->rescind_inverse_offer->inverse_offer_id->value);
    if (event->update != NULL)
        check_unreachable(l, event->update->status);
}

void books_offers_end(struct books *l, const char *framework_id)
{
    MAP_FOREACH (&l->offers, entry) {
        struct book_offer *o = entry->value;
        if (strcmp(o->framework_id, framework_id) == 0)
            close_offer(l, entry->key);
    }
    end_inverse(l, framework_id);
}

// ---- calls ----

void books_call_begins(struct books *l, const char *framework_id,
                       const Mesos__V1__Scheduler__Call *call)
{
    if (call->accept == NULL)
        return;
    l->accepted = resources_new();
    l->accept_is_sound = true;
    const char *agent_id = NULL;
    for (size_t i = 0; i < call->accept->n_offer_ids; i++) {
        struct book_offer *o = map_get(&l->offers, call->accept->offer_ids[i]->value);
        if (o == NULL || strcmp(o->framework_id, framework_id) != 0 ||
            (agent_id != NULL && strcmp(agent_id, o->agent_id) != 0)) {
            l->accept_is_sound = false;
            continue;
        }
        agent_id = o->agent_id;
        resources_add(l->accepted, o->amount->plain);
        resources_add(l->accepted, o->amount->shared);
    }
}

static void close_named(struct books *l, const char *framework_id, Mesos__V1__OfferID *const *ids,
                        size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct book_offer *o = map_get(&l->offers, ids[i]->value);
        if (o != NULL && strcmp(o->framework_id, framework_id) == 0)
            close_offer(l, ids[i]->value);
    }
}

void books_call_ends(struct books *l, const char *framework_id,
                     const Mesos__V1__Scheduler__Call *call, int status)
{
    l->accepted = resources_free(l->accepted);
    if (status != 202)
        return;
    if (call->accept != NULL)
        close_named(l, framework_id, call->accept->offer_ids, call->accept->n_offer_ids);
    if (call->accept_inverse_offers != NULL)
        close_answered(l, framework_id, call->accept_inverse_offers->inverse_offer_ids,
                       call->accept_inverse_offers->n_inverse_offer_ids);
    if (call->decline_inverse_offers != NULL)
        close_answered(l, framework_id, call->decline_inverse_offers->inverse_offer_ids,
                       call->decline_inverse_offers->n_inverse_offer_ids);
    if (call->decline != NULL)
        close_named(l, framework_id, call->decline->offer_ids, call->decline->n_offer_ids);
}

static void spend(struct books *l, const struct amount *amount, const char *what)
{
    if (!resources_contains(l->accepted, amount->plain) ||
        !resources_covers(l->accepted, amount->shared))
        sim_fail(l->sim, "%s is launched with more than its offers had", what);
    resources_subtract(l->accepted, amount->plain);
}

// The agent of what an ACCEPT launches.
static struct book_agent *find_launching(struct books *l, const char *agent_id, const char *task_id)
{
    REQUIRE(l->sim, l->accepted != NULL, "task %s is launched without an ACCEPT", task_id);
    REQUIRE(l->sim, l->accept_is_sound, "task %s is launched with offers that are over", task_id);
    struct book_agent *a = map_get(&l->agents, agent_id);
    REQUIRE(l->sim, a != NULL, "task %s is launched on agent %s, which was not admitted", task_id,
            agent_id);
    // Until the call has ended, its offers are counted as well.
    a->is_stale = true;
    return a;
}

static void book_task(struct books *l, struct book_agent *a, const char *framework_id,
                      const Mesos__V1__TaskInfo *task)
{
    const char *id = task->task_id->value;
    struct amount *amount = books_read_amount(l, framework_id, task->resources, task->n_resources);
    spend(l, amount, id);
    const char *key = ledger_pair(l->sim, framework_id, id);
    REQUIRE(l->sim, !map_has(&a->tasks, key), "task %s is launched while it runs", id);
    books_put_amount(l, a, &a->tasks, key, amount);
}

static void book_executor(struct books *l, struct book_agent *a, const char *framework_id,
                          const Mesos__V1__ExecutorInfo *info, bool is_new, uint64_t instance)
{
    const char *id = info->executor_id->value;
    const char *key = ledger_pair(l->sim, framework_id, id);
    bool is_known = map_has(&a->executors, key);
    REQUIRE(l->sim, is_known != is_new, "a task is launched with a %s executor %s, and there is %s",
            is_new ? "new" : "known", id, is_known ? "one" : "none");
    if (is_known) {
        mark(l->sim, MARK_EXECUTOR_REUSED);
        return;
    }
    struct amount *own = books_read_amount(l, framework_id, info->resources, info->n_resources);
    spend(l, own, id);
    own->instance = instance;
    books_put_amount(l, a, &a->executors, key, own);
}

void books_run_task(struct books *l, const char *agent_id,
                    const Meseta__Link__ToAgent__RunTask *run)
{
    const char *framework_id = run->framework_info->id->value;
    struct book_agent *a = find_launching(l, agent_id, run->task->task_id->value);
    book_task(l, a, framework_id, run->task);
    if (run->task->executor != NULL)
        book_executor(l, a, framework_id, run->task->executor, run->launch_executor,
                      run->executor_instance);
}

void books_run_group(struct books *l, const char *agent_id,
                     const Meseta__Link__ToAgent__RunTaskGroup *run)
{
    const char *framework_id = run->framework_info->id->value;
    struct book_agent *a = NULL;
    for (size_t i = 0; i < run->task_group->n_tasks; i++) {
        a = find_launching(l, agent_id, run->task_group->tasks[i]->task_id->value);
        book_task(l, a, framework_id, run->task_group->tasks[i]);
    }
    REQUIRE(l->sim, a != NULL, "a group without tasks is launched on agent %s", agent_id);
    book_executor(l, a, framework_id, run->executor_info, run->launch_executor,
                  run->executor_instance);
}

static struct resources *sum_offered(const struct books *l, const char *agent_id)
{
    struct resources *sum = resources_new();
    MAP_FOREACH (&l->offers, entry) {
        const struct book_offer *o = entry->value;
        if (strcmp(o->agent_id, agent_id) == 0)
            resources_add(sum, o->amount->plain);
    }
    return sum;
}

// What is reserved is only for those of that role.
static struct resources *offerable(const struct books *l, const struct resources *total)
{
    const struct sim *sim = l->sim;
    for (size_t i = 0; i < sim->config.framework_count; i++) {
        if (sim->frameworks[i].manners.role[0] == 'a')
            return resources_copy(total);
    }
    return resources_unreserved(total);
}

const char *books_lacks_offers(const struct books *l, const char *agent_id)
{
    const struct book_agent *a = map_get(&l->agents, agent_id);
    if (a == NULL)
        return arena_printf(l->sim->scratch, "agent %s was not admitted", agent_id);
    AUTO_RESOURCES struct resources *sum = sum_offered(l, agent_id);
    AUTO_RESOURCES struct resources *wanted = offerable(l, a->total);
    if (resources_is_equal(sum, wanted))
        return NULL;
    AUTO_BUF struct buf has = BUF_INIT, offered = BUF_INIT;
    resources_put_text(wanted, &has);
    resources_put_text(sum, &offered);
    return arena_printf(l->sim->scratch, "agent %s has %s, and offered is %s", agent_id, has.data,
                        offered.data != NULL ? offered.data : "nothing");
}
