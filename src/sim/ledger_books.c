// SPDX-License-Identifier: Apache-2.0
//
// What each agent has and what is in use of it, as the master's messages tell. Operations on
// resources change what it has; whatever is booked is compared as it is, to whom it is reserved and
// as which volume.

#include <string.h>

#include "model/operation.h"
#include "model/task_state.h"
#include "sim/ledger_books.h"
#include "sim/process.h"

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

struct amount *books_read_amount(const struct books *l, const char *framework_id,
                                 Mesos__V1__Resource *const *messages, size_t count)
{
    const char *only = only_role(l, framework_id);
    struct amount *amount = mem_zalloc(sizeof(*amount));
    AUTO_RESOURCES struct resources *all = read_resources(messages, count);
    amount->plain = resources_non_shared(all);
    amount->shared = resources_shared(all);
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

void books_free_amount(struct amount *amount)
{
    if (amount == NULL)
        return;
    resources_free(amount->plain);
    resources_free(amount->shared);
    mem_free(amount);
}

static void drop_amounts(struct books *l, struct book_agent *a, struct map *map)
{
    MAP_FOREACH (map, entry)
        books_drop_amount(l, a, map, entry->key);
    map_clear(map);
}

static void free_agent(struct books *l, struct book_agent *a)
{
    if (a == NULL)
        return;
    drop_amounts(l, a, &a->tasks);
    drop_amounts(l, a, &a->executors);
    map_free(&a->tasks);
    map_free(&a->executors);
    map_free(&a->ended);
    resources_free(a->total);
    resources_free(a->left);
    mem_free(a);
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
    books_free_offers(l);
    MAP_FOREACH (&l->agents, agent_entry)
        free_agent(l, agent_entry->value);
    map_free(&l->agents);
    map_free(&l->frameworks);
    mem_free(l);
    return NULL;
}

// ---- sums ----

static void count_shares(struct books *l, const struct amount *amount, int64_t sign)
{
    for (size_t i = 0; i < QUOTA_ROLES; i++) {
        for (size_t k = 0; k < QUOTA_NAMES; k++)
            l->share.of[i][k] += sign * amount->share.of[i][k];
    }
}

// One by one, and not in their sum: in a sum a port that two of them have is one.
static bool take(struct resources *left, const struct amount *amount)
{
    if (amount->is_doubtful) {
        resources_subtract_available(left, amount->plain);
        return true;
    }
    if (!resources_contains(left, amount->plain) || !resources_covers(left, amount->shared))
        return false;
    resources_subtract(left, amount->plain);
    return true;
}

void books_hold(struct books *l, struct book_agent *a, const struct amount *amount)
{
    count_shares(l, amount, 1);
    a->is_stale = a->is_stale || !take(a->left, amount);
}

void books_release(struct books *l, struct book_agent *a, const struct amount *amount)
{
    count_shares(l, amount, -1);
    if (a == NULL)
        return;
    if (amount->is_doubtful)
        a->is_stale = true;
    else if (!a->is_stale)
        resources_add(a->left, amount->plain);
}

void books_put_amount(struct books *l, struct book_agent *a, struct map *map, const char *key,
                      struct amount *amount)
{
    books_drop_amount(l, a, map, key);
    map_put(map, key, amount);
    books_hold(l, a, amount);
    const char *end = strchr(key, '\n');
    const char *framework_id = arena_strndup(l->sim->scratch, key, (size_t)(end - key));
    if (!map_has(&l->frameworks, framework_id))
        map_put(&l->frameworks, framework_id, l);
}

void books_drop_amount(struct books *l, struct book_agent *a, struct map *map, const char *key)
{
    struct amount *amount = map_remove(map, key);
    if (amount == NULL)
        return;
    books_release(l, a, amount);
    books_free_amount(amount);
}

static void forget_framework(struct books *l, struct book_agent *a, struct map *map,
                             const char *framework_id)
{
    size_t size = strlen(framework_id);
    MAP_FOREACH (map, entry) {
        if (strncmp(entry->key, framework_id, size) == 0 && entry->key[size] == '\n')
            books_drop_amount(l, a, map, entry->key);
    }
}

void books_forget_removed(struct books *l)
{
    MAP_FOREACH (&l->frameworks, entry) {
        if (master_host_has_framework(l->host, entry->key))
            continue;
        MAP_FOREACH (&l->agents, agent_entry) {
            struct book_agent *a = agent_entry->value;
            forget_framework(l, a, &a->tasks, entry->key);
            forget_framework(l, a, &a->executors, entry->key);
        }
        map_remove(&l->frameworks, entry->key);
    }
}

// False: something does not fit.
static bool take_all(struct resources *left, const struct map *amounts)
{
    MAP_FOREACH (amounts, entry) {
        if (!take(left, entry->value))
            return false;
    }
    return true;
}

// The same for what is open of the agent's offers.
static bool take_offers(const struct books *l, struct resources *left, const char *agent_id)
{
    MAP_FOREACH (&l->offers, entry) {
        const struct book_offer *o = entry->value;
        if (strcmp(o->agent_id, agent_id) == 0 && !take(left, o->amount))
            return false;
    }
    return true;
}

static void put_amount(const char *what, const char *key, const struct amount *amount,
                       struct buf *out)
{
    int size = (int)strcspn(key, "\n");
    buf_printf(out, "\n  %s %.*s%s%s: ", what, size, key, key[size] != '\0' ? "/" : "",
               key[size] != '\0' ? key + size + 1 : "");
    resources_put_text(amount->plain, out);
}

static _Noreturn void fail_agent(const struct books *l, const char *agent_id)
{
    const struct book_agent *a = map_get(&l->agents, agent_id);
    AUTO_BUF struct buf text = BUF_INIT;
    resources_put_text(a->total, &text);
    MAP_FOREACH (&l->offers, entry) {
        const struct book_offer *o = entry->value;
        if (strcmp(o->agent_id, agent_id) == 0)
            put_amount("offer", entry->key, o->amount, &text);
    }
    MAP_FOREACH (&a->tasks, task)
        put_amount("task", task->key, task->value, &text);
    MAP_FOREACH (&a->executors, executor)
        put_amount("executor", executor->key, executor->value, &text);
    sim_fail(l->sim, "agent %s: offered and used are more than it has: %s", agent_id, text.data);
}

void books_check_agent(struct books *l, const char *agent_id)
{
    struct book_agent *a = map_get(&l->agents, agent_id);
    REQUIRE(l->sim, a != NULL, "something is offered of agent %s, which was not admitted",
            agent_id);
    books_forget_removed(l);
    if (!a->is_stale)
        return;
    resources_free(a->left);
    a->left = resources_copy(a->total);
    a->is_stale = false;
    if (!take_all(a->left, &a->tasks) || !take_all(a->left, &a->executors) ||
        !take_offers(l, a->left, agent_id))
        fail_agent(l, agent_id);
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
    drop_amounts(l, a, &a->executors);
    MAP_FOREACH (&a->tasks, entry)
        ((struct amount *)entry->value)->is_doubtful = true;
    for (size_t i = 0; i < message->n_frameworks; i++) {
        const Meseta__Link__FrameworkOnAgent *f = message->frameworks[i];
        const char *framework_id = f->info->id->value;
        for (size_t k = 0; k < f->n_executors; k++) {
            struct amount *amount = books_read_amount(l, framework_id, f->executors[k]->resources,
                                                      f->executors[k]->n_resources);
            amount->instance = f->executor_instances[k];
            books_put_amount(l, a, &a->executors,
                             ledger_pair(l->sim, framework_id, f->executors[k]->executor_id->value),
                             amount);
        }
        for (size_t k = 0; k < f->n_tasks; k++) {
            const Mesos__V1__Task *task = f->tasks[k];
            const char *key = ledger_pair(l->sim, framework_id, task->task_id->value);
            struct amount *known = map_get(&a->tasks, key);
            if (known != NULL)
                known->is_doubtful = false;
            // An end that the master was not told yet is told by the stream of updates. A message
            // of a link that was given up may come late, and know less than the master does.
            if (counts(task->state) && known == NULL && !map_has(&a->ended, key))
                books_put_amount(
                    l, a, &a->tasks, key,
                    books_read_amount(l, framework_id, task->resources, task->n_resources));
        }
    }
    a->is_stale = true;
}

static struct resources *read_total(const Meseta__Link__ToMaster *message)
{
    const Meseta__Link__ToMaster__Register *first = message->register_;
    const Meseta__Link__ToMaster__Reregister *again = message->reregister;
    const Mesos__V1__AgentInfo *info = first != NULL ? first->agent->info : again->agent->info;
    AUTO_RESOURCES struct resources *flags = read_resources(info->resources, info->n_resources);
    AUTO_RESOURCES struct resources *made =
        first != NULL
            ? read_resources(first->checkpointed_resources, first->n_checkpointed_resources)
            : read_resources(again->checkpointed_resources, again->n_checkpointed_resources);
    struct resources *total;
    struct arena *arena = arena_new(0, 0);
    const char *why;
    CHECK(resources_apply_checkpointed(flags, made, arena, &total, &why) == 0);
    arena_free(arena);
    return total;
}

void books_agent_admitted(struct books *l, const char *agent_id,
                          const Meseta__Link__ToMaster *message)
{
    const char *key = arena_printf(l->sim->scratch, "agents/%s", agent_id);
    REQUIRE(l->sim, registry_ever_had(l->sim, key), "agent %s is admitted before that is durable",
            agent_id);
    // A master that was deposed may not know that yet, nor whom the other one removed.
    bool is_owner = !l->sim->config.has_zoo || l->sim->registry.owner == l->host->env->number;
    REQUIRE(l->sim, !is_owner || !map_has(&l->sim->gone, agent_id),
            "agent %s is admitted, which is gone", agent_id);
    const Meseta__Link__AgentDescription *description =
        message->register_ != NULL ? message->register_->agent : message->reregister->agent;
    for (size_t i = 0; i < l->sim->config.agent_count; i++)
        REQUIRE(l->sim,
                !is_owner || !l->sim->is_down[i] ||
                    strcmp(description->info->hostname, operator_machine(l->sim, i)) != 0,
                "agent %s is admitted, whose machine is down", agent_id);
    struct book_agent *a = map_get(&l->agents, agent_id);
    if (a == NULL) {
        a = mem_zalloc(sizeof(*a));
        map_put(&l->agents, agent_id, a);
    }
    resources_free(a->total);
    a->total = read_total(message);
    if (a->left == NULL)
        a->left = resources_new();
    a->is_stale = true;
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
    l->must_look = true;
    // It may be gone for good: then nothing of it is in use. If not, it will name what is.
    drop_amounts(l, a, &a->tasks);
    drop_amounts(l, a, &a->executors);
}

// The master has applied it to its books, and sends it to the agent.
void books_operation(struct books *l, const char *agent_id,
                     const Meseta__Link__ToAgent__ApplyOperation *message)
{
    struct arena *arena = l->sim->scratch;
    struct book_agent *a = map_get(&l->agents, agent_id);
    REQUIRE(l->sim, a != NULL, "an operation is for agent %s, which was not admitted", agent_id);
    Mesos__V1__Offer__Operation *info =
        WIRE_COPY(arena, Mesos__V1__Offer__Operation, message->info);
    operation_unallocate(info);
    AUTO_CONVERSIONS struct conversions conversions = CONVERSIONS_INIT;
    conversions_get(info, &conversions);
    const char *why;
    const char *name = operation_type_name(info->type);
    if (conversions_apply(&conversions, a->total, arena, &why) < 0)
        sim_fail(l->sim, "%s on agent %s of what it has not: %s", name, agent_id, why);
    // A framework may change what it was offered; an operator, what nobody has.
    if (message->framework_id != NULL && l->accepted == NULL)
        sim_fail(l->sim, "%s of a framework without an ACCEPT", name);
    if (message->framework_id != NULL &&
        conversions_apply(&conversions, l->accepted, arena, &why) < 0)
        sim_fail(l->sim, "%s of more than its offers had: %s", name, why);
    a->is_stale = true;
    if (message->framework_id == NULL) {
        mark(l->sim, MARK_OPERATION_OF_OPERATOR);
        books_check_agent(l, agent_id);
    }
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
        const char *key =
            ledger_pair(l->sim, update->framework_id->value, update->status->task_id->value);
        if (!counts(update->status->state) || !counts(latest)) {
            books_drop_amount(l, a, &a->tasks, key);
            map_put(&a->ended, key, l);
        }
    }
    const Meseta__Link__ToMaster__ExecutorExited *exited = message->executor_exited;
    if (exited != NULL) {
        const char *key =
            ledger_pair(l->sim, exited->framework_id->value, exited->executor_id->value);
        const struct amount *amount = map_get(&a->executors, key);
        if (amount != NULL && amount->instance == exited->instance)
            books_drop_amount(l, a, &a->executors, key);
        else if (amount != NULL)
            mark(l->sim, MARK_EXECUTOR_NAMESAKE_EXITED);
    }
    if (message->type == MESETA__LINK__TO_MASTER__TYPE__UNREGISTER) {
        l->must_look = true;
        free_agent(l, map_remove(&l->agents, agent_id));
    }
}
