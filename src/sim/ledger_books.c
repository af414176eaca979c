// SPDX-License-Identifier: Apache-2.0
//
// Offers and what is in use on each agent, as the master's messages tell.

#include <stdio.h>
#include <string.h>

#include "model/task_state.h"
#include "sim/ledger.h"
#include "sim/process.h"

// What is not reserved and allocated to roles that may have quotas, in thousandths.
struct share {
    int64_t of[QUOTA_ROLES][QUOTA_NAMES];
};

struct amount {
    struct resources *plain; // without the roles that it is allocated to
    struct share share;
    uint64_t instance; // of an executor: its number, as the master gave it
};

struct book_offer {
    char *framework_id;
    char *agent_id;
    struct amount *amount;
};

struct book_agent {
    struct resources *total;
    struct map tasks;     // "framework\ntask" -> struct amount
    struct map executors; // "framework\nexecutor" -> struct amount
    struct map ended;     // "framework\ntask" of those whose end the master was told
    bool is_connected;
};

struct books {
    struct sim *sim;
    struct master_host *host;
    struct map offers; // id -> struct book_offer: those that are open
    struct map past;   // ids of those that are over
    struct map agents; // id -> struct book_agent
    // Within an ACCEPT: what is left of its offers.
    struct resources *accepted;
    bool accept_is_sound;
};

static const char *pair(struct books *l, const char *framework_id, const char *id)
{
    return arena_printf(l->sim->scratch, "%s\n%s", framework_id, id);
}

static struct resources *read_resources(Mesos__V1__Resource *const *messages, size_t count)
{
    struct resources *r;
    CHECK(resources_from_proto(messages, count, &r, NULL) == 0);
    resources_unallocate(r);
    return r;
}

// Which of the roles with quotas the role belongs to; QUOTA_ROLES: none.
static size_t quota_index(const char *role)
{
    for (size_t i = 0; i < QUOTA_ROLES; i++) {
        size_t size = strlen(quota_roles[i]);
        if (strncmp(role, quota_roles[i], size) == 0 && (role[size] == '\0' || role[size] == '/'))
            return i;
    }
    return QUOTA_ROLES;
}

// The role of a framework that has but one: messages to it do not name it. NULL: another one.
static const char *only_role(const struct books *l, const char *framework_id)
{
    for (size_t i = 0; i < l->sim->config.framework_count; i++) {
        const struct framework_host *f = &l->sim->frameworks[i];
        if (strcmp(f->id, framework_id) == 0)
            return f->manners.multi_role ? NULL : f->manners.role;
    }
    return NULL;
}

static struct amount *read_amount(const struct books *l, const char *framework_id,
                                  Mesos__V1__Resource *const *messages, size_t count)
{
    const char *only = only_role(l, framework_id);
    struct amount *amount = mem_zalloc(sizeof(*amount));
    amount->plain = read_resources(messages, count);
    for (size_t i = 0; i < count; i++) {
        const Mesos__V1__Resource *r = messages[i];
        bool is_reserved = r->n_reservations > 0 || (r->role != NULL && strcmp(r->role, "*") != 0);
        const char *name = r->allocation_info != NULL ? r->allocation_info->role : only;
        if (is_reserved || r->scalar == NULL || name == NULL)
            continue;
        size_t role = quota_index(name);
        for (size_t k = 0; k < QUOTA_NAMES && role < QUOTA_ROLES; k++) {
            if (strcmp(r->name, quota_names[k]) == 0)
                amount->share.of[role][k] += (int64_t)(r->scalar->value * 1000 + 0.5);
        }
    }
    return amount;
}

static struct amount *free_amount(struct amount *amount)
{
    if (amount != NULL)
        resources_free(amount->plain);
    mem_free(amount);
    return NULL;
}

static void free_amounts(struct map *map)
{
    MAP_FOREACH (map, entry)
        free_amount(entry->value);
    map_free(map);
}

static void free_agent(struct book_agent *a)
{
    if (a == NULL)
        return;
    resources_free(a->total);
    free_amounts(&a->tasks);
    free_amounts(&a->executors);
    map_free(&a->ended);
    mem_free(a);
}

static void free_offer(struct book_offer *o)
{
    mem_free(o->framework_id);
    mem_free(o->agent_id);
    free_amount(o->amount);
    mem_free(o);
}

struct books *books_new(struct master_host *host)
{
    struct books *l = mem_zalloc(sizeof(*l));
    l->sim = host->sim;
    l->host = host;
    return l;
}

struct books *books_free(struct books *l)
{
    if (l == NULL)
        return NULL;
    MAP_FOREACH (&l->offers, entry)
        free_offer(entry->value);
    map_free(&l->offers);
    map_free(&l->past);
    MAP_FOREACH (&l->agents, agent_entry)
        free_agent(agent_entry->value);
    map_free(&l->agents);
    mem_free(l);
    return NULL;
}

// ---- sums ----

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

// What a framework that was removed leaves behind is given back at once, as in Mesos.
static void forget_removed(const struct books *l, struct map *amounts)
{
    MAP_FOREACH (amounts, entry) {
        char framework_id[128];
        snprintf(framework_id, sizeof(framework_id), "%.*s", (int)strcspn(entry->key, "\n"),
                 entry->key);
        if (!master_host_has_framework(l->host, framework_id))
            free_amount(map_remove(amounts, entry->key));
    }
}

static void add_amounts(const struct map *amounts, struct resources *sum)
{
    MAP_FOREACH (amounts, entry)
        resources_add(sum, ((const struct amount *)entry->value)->plain);
}

static void put_parts(const struct map *amounts, struct buf *out)
{
    MAP_FOREACH (amounts, entry) {
        int size = (int)strcspn(entry->key, "\n");
        buf_printf(out, "\n  %.*s/%s: ", size, entry->key, entry->key + size + 1);
        resources_put_text(((const struct amount *)entry->value)->plain, out);
    }
}

// With operations on resources the books do not follow to whom things are reserved: then the
// amounts alone count.
static bool fits(const struct sim *sim, const struct resources *total, const struct resources *part)
{
    if (!sim->config.has_operations)
        return resources_contains(total, part);
    static const char *const names[] = {"cpus", "mem", "disk"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (resources_scalar(part, names[i]) > resources_scalar(total, names[i]))
            return false;
    }
    return true;
}

static bool is_same(const struct sim *sim, const struct resources *a, const struct resources *b)
{
    return sim->config.has_operations ? fits(sim, a, b) && fits(sim, b, a)
                                      : resources_is_equal(a, b);
}

// Offered and used fit into what the agent has.
static void check_agent(struct books *l, const char *agent_id)
{
    struct book_agent *a = map_get(&l->agents, agent_id);
    REQUIRE(l->sim, a != NULL, "something is offered of agent %s, which was not admitted",
            agent_id);
    AUTO_RESOURCES struct resources *sum = sum_offered(l, agent_id);
    forget_removed(l, &a->tasks);
    forget_removed(l, &a->executors);
    add_amounts(&a->tasks, sum);
    add_amounts(&a->executors, sum);
    if (fits(l->sim, a->total, sum))
        return;
    AUTO_BUF struct buf text = BUF_INIT;
    resources_put_text(sum, &text);
    buf_puts(&text, " of ");
    resources_put_text(a->total, &text);
    put_parts(&a->tasks, &text);
    put_parts(&a->executors, &text);
    sim_fail(l->sim, "agent %s: offered and used are more than it has: %s", agent_id, text.data);
}

static void add_shares(const struct map *amounts, struct share *sum)
{
    MAP_FOREACH (amounts, entry) {
        const struct amount *amount = entry->value;
        for (size_t i = 0; i < QUOTA_ROLES; i++) {
            for (size_t k = 0; k < QUOTA_NAMES; k++)
                sum->of[i][k] += amount->share.of[i][k];
        }
    }
}

// What is newly offered to a role keeps within the role's limits.
static void check_limits(const struct books *l, const char *offer_id, const struct amount *offered)
{
    struct share sum = {0};
    MAP_FOREACH (&l->agents, agent_entry) {
        struct book_agent *a = agent_entry->value;
        forget_removed(l, &a->tasks);
        forget_removed(l, &a->executors);
        add_shares(&a->tasks, &sum);
        add_shares(&a->executors, &sum);
    }
    MAP_FOREACH (&l->offers, entry) {
        const struct book_offer *o = entry->value;
        for (size_t i = 0; i < QUOTA_ROLES; i++) {
            for (size_t k = 0; k < QUOTA_NAMES; k++)
                sum.of[i][k] += o->amount->share.of[i][k];
        }
    }
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
    if (is_same(l->sim, sum, wanted))
        return NULL;
    AUTO_BUF struct buf has = BUF_INIT, offered = BUF_INIT;
    resources_put_text(wanted, &has);
    resources_put_text(sum, &offered);
    return arena_printf(l->sim->scratch, "agent %s has %s, and offered is %s", agent_id, has.data,
                        offered.data != NULL ? offered.data : "nothing");
}

// ---- offers ----

static void close_offer(struct books *l, const char *offer_id)
{
    map_put(&l->past, offer_id, l);
    free_offer(map_remove(&l->offers, offer_id));
}

static void take_offers(struct books *l, const char *framework_id,
                        const Mesos__V1__Scheduler__Event__Offers *offers)
{
    for (size_t i = 0; i < offers->n_offers; i++) {
        const Mesos__V1__Offer *offer = offers->offers[i];
        const char *agent_id = offer->agent_id->value;
        const struct book_agent *a = map_get(&l->agents, agent_id);
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
        o->amount = read_amount(l, framework_id, offer->resources, offer->n_resources);
        REQUIRE(l->sim, !resources_is_empty(o->amount->plain), "offer %s is empty",
                offer->id->value);
        map_put(&l->offers, offer->id->value, o);
        check_agent(l, agent_id);
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
    if (call->decline != NULL)
        close_named(l, framework_id, call->decline->offer_ids, call->decline->n_offer_ids);
}

static void spend(struct books *l, const struct resources *amount, const char *what)
{
    if (!resources_contains(l->accepted, amount))
        sim_fail(l->sim, "%s is launched with more than its offers had", what);
    resources_subtract(l->accepted, amount);
}

void books_run_task(struct books *l, const char *agent_id,
                    const Meseta__Link__ToAgent__RunTask *run)
{
    const Mesos__V1__TaskInfo *task = run->task;
    const char *framework_id = run->framework_info->id->value;
    const char *id = task->task_id->value;
    REQUIRE(l->sim, l->accepted != NULL, "task %s is launched without an ACCEPT", id);
    REQUIRE(l->sim, l->accept_is_sound, "task %s is launched with offers that are over", id);
    struct book_agent *a = map_get(&l->agents, agent_id);
    REQUIRE(l->sim, a != NULL, "task %s is launched on agent %s, which was not admitted", id,
            agent_id);
    struct amount *amount = read_amount(l, framework_id, task->resources, task->n_resources);
    spend(l, amount->plain, id);
    struct amount *old = map_put(&a->tasks, pair(l, framework_id, id), amount);
    REQUIRE(l->sim, old == NULL, "task %s is launched while it runs", id);
    if (task->executor == NULL)
        return;
    const char *executor_id = task->executor->executor_id->value;
    if (map_has(&a->executors, pair(l, framework_id, executor_id))) {
        mark(l->sim, MARK_EXECUTOR_REUSED);
        return;
    }
    struct amount *own =
        read_amount(l, framework_id, task->executor->resources, task->executor->n_resources);
    spend(l, own->plain, executor_id);
    own->instance = run->executor_instance;
    map_put(&a->executors, pair(l, framework_id, executor_id), own);
}

// ---- agents ----

static bool counts(Mesos__V1__TaskState state)
{
    return !task_state_is_terminal(state);
}

// What the agent names is what it uses. What the books had beyond that stays until it is answered
// for, if the master never lost sight of the agent.
static void take_named(struct books *l, struct book_agent *a,
                       const Meseta__Link__ToMaster__Reregister *message)
{
    free_amounts(&a->executors);
    for (size_t i = 0; i < message->n_frameworks; i++) {
        const Meseta__Link__FrameworkOnAgent *f = message->frameworks[i];
        const char *framework_id = f->info->id->value;
        for (size_t k = 0; k < f->n_executors; k++) {
            struct amount *amount = read_amount(l, framework_id, f->executors[k]->resources,
                                                f->executors[k]->n_resources);
            amount->instance = f->executor_instances[k];
            map_put(&a->executors, pair(l, framework_id, f->executors[k]->executor_id->value),
                    amount);
        }
        for (size_t k = 0; k < f->n_tasks; k++) {
            const Mesos__V1__Task *task = f->tasks[k];
            const char *key = pair(l, framework_id, task->task_id->value);
            // An end that the master was not told yet is told by the stream of updates. A message
            // of a link that was given up may come late, and know less than the master does.
            if (counts(task->state) && !map_has(&a->tasks, key) && !map_has(&a->ended, key))
                map_put(&a->tasks, key,
                        read_amount(l, framework_id, task->resources, task->n_resources));
        }
    }
}

void books_agent_admitted(struct books *l, const char *agent_id,
                          const Meseta__Link__ToMaster *message)
{
    const Meseta__Link__AgentDescription *description =
        message->register_ != NULL ? message->register_->agent : message->reregister->agent;
    const char *key = arena_printf(l->sim->scratch, "agents/%s", agent_id);
    REQUIRE(l->sim, registry_ever_had(l->sim, key), "agent %s is admitted before that is durable",
            agent_id);
    // A master that was deposed may not know that yet, nor whom the other one removed.
    bool is_owner = !l->sim->config.has_zoo || l->sim->registry.owner == l->host->env->number;
    REQUIRE(l->sim, !is_owner || !map_has(&l->sim->gone, agent_id),
            "agent %s is admitted, which is gone", agent_id);
    struct book_agent *a = map_get(&l->agents, agent_id);
    if (a == NULL) {
        a = mem_zalloc(sizeof(*a));
        map_put(&l->agents, agent_id, a);
    }
    resources_free(a->total);
    a->total = read_resources(description->info->resources, description->info->n_resources);
    a->is_connected = true;
    if (message->reregister != NULL)
        take_named(l, a, message->reregister);
}

void books_agent_disconnected(struct books *l, const char *agent_id)
{
    struct book_agent *a = map_get(&l->agents, agent_id);
    if (a == NULL)
        return;
    a->is_connected = false;
    // It may be gone for good: then nothing of it is in use. If not, it will name what is.
    free_amounts(&a->tasks);
    free_amounts(&a->executors);
}

void books_check_offers(struct books *l)
{
    MAP_FOREACH (&l->agents, agent_entry) {
        struct book_agent *agent = agent_entry->value;
        forget_removed(l, &agent->tasks);
        forget_removed(l, &agent->executors);
    }
    MAP_FOREACH (&l->offers, entry) {
        const struct book_offer *o = entry->value;
        const struct book_agent *a = map_get(&l->agents, o->agent_id);
        REQUIRE(l->sim, a != NULL && a->is_connected,
                "offer %s is open and its agent %s is not connected", entry->key, o->agent_id);
    }
}

static void release(struct map *amounts, const char *key)
{
    free_amount(map_remove(amounts, key));
}

void books_from_agent(struct books *l, const char *agent_id, const Meseta__Link__ToMaster *message)
{
    struct book_agent *a = map_get(&l->agents, agent_id);
    if (a == NULL)
        return;
    const Meseta__Link__ToMaster__StatusUpdate *update = message->status_update;
    if (update != NULL) {
        Mesos__V1__TaskState latest =
            update->has_latest_state ? update->latest_state : update->status->state;
        const char *key = pair(l, update->framework_id->value, update->status->task_id->value);
        if (!counts(update->status->state) || !counts(latest)) {
            release(&a->tasks, key);
            map_put(&a->ended, key, l);
        }
    }
    const Meseta__Link__ToMaster__ExecutorExited *exited = message->executor_exited;
    if (exited != NULL) {
        const char *key = pair(l, exited->framework_id->value, exited->executor_id->value);
        const struct amount *amount = map_get(&a->executors, key);
        if (amount != NULL && amount->instance == exited->instance)
            release(&a->executors, key);
        else if (amount != NULL)
            mark(l->sim, MARK_EXECUTOR_NAMESAKE_EXITED);
    }
    if (message->type == MESETA__LINK__TO_MASTER__TYPE__UNREGISTER)
        free_agent(map_remove(&l->agents, agent_id));
}
