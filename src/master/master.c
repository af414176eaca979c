// SPDX-License-Identifier: Apache-2.0
//
// The master's birth and end, its clockwork, and the look-ups that every other file uses.

#include "master/master.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "master/internal.h"

void master_options_init(struct master_options *options)
{
    *options = (struct master_options){
        .port = 5050,
        .root_submissions = true,
        .filter_gpu_resources = true,
        .constraints_memory_max = 4096,
        .constraints_program_max = 100,
        .allocator_agent_recovery_factor = 0.8,
        .allocator_recovery_timeout_ns = 600 * NS_PER_S,
        .agent_ping_timeout_ns = 15 * NS_PER_S,
        .max_agent_ping_timeouts = 5,
        .agent_reregister_timeout_ns = 600 * NS_PER_S,
        .recovery_agent_removal_limit = 1,
        .registry_gc_interval_ns = 15 * 60 * NS_PER_S,
        .registry_max_agent_age_ns = INT64_C(14) * 24 * 60 * 60 * NS_PER_S,
        .registry_max_agent_count = 102400,
        .max_completed_frameworks = 50,
        .max_completed_tasks_per_framework = 1000,
        .max_unreachable_tasks_per_framework = 1000,
        .publish_per_framework_metrics = true,
    };
}

void master_enter(struct master *m, struct instant now)
{
    CHECK(m != NULL && m->magic == MASTER_MAGIC);
    m->now = now;
    arena_reset(m->scratch);
}

void master_snapshot_begin(struct master *m)
{
    CHECK(m->snapshot == 0 && m->ops->before_change != NULL);
    if (++m->snapshot_newest == 0)
        m->snapshot_newest = 1;
    m->snapshot = m->snapshot_newest;
}

void master_snapshot_end(struct master *m)
{
    CHECK(m->snapshot != 0);
    m->snapshot = 0;
}

void master_count(struct master *m, enum counter counter)
{
    m->counters[counter]++;
}

// What is asked for is mostly what was asked for last: messages come in batches.
struct framework *master_framework(const struct master *m, const char *id)
{
    struct framework *f = m->recent_framework;
    if (f != NULL && strcmp(f->id, id) == 0)
        return f;
    f = map_get(&m->frameworks, id);
    ((struct master *)(uintptr_t)m)->recent_framework = f;
    return f;
}

struct agent *master_agent(const struct master *m, const char *id)
{
    struct agent *a = m->recent_agent;
    if (a != NULL && strcmp(a->id, id) == 0)
        return a;
    a = map_get(&m->agents, id);
    ((struct master *)(uintptr_t)m)->recent_agent = a;
    return a;
}

struct offer *master_offer(const struct master *m, const char *id)
{
    return map_get(&m->offers, id);
}

const Mesos__V1__MasterInfo *master_info(const struct master *m)
{
    return m->info;
}

static void copy_options(struct master *m, const struct master_options *options)
{
    struct arena *arena = m->arena;
    struct master_options *o = &m->options;
    *o = *options;
    o->id = arena_strdup(arena, options->id);
    o->ip = arena_strdup(arena, options->ip);
    o->hostname = arena_strdup(arena, options->hostname);
    o->pid = arena_strdup(arena, options->pid);
    o->min_allocatable_resources = arena_strdup(arena, options->min_allocatable_resources);
    o->fair_sharing_excluded = arena_strdup(arena, options->fair_sharing_excluded);
    if (options->domain != NULL)
        o->domain = WIRE_COPY(arena, Mesos__V1__DomainInfo, options->domain);
    if (options->roles != NULL) {
        const char **roles = arena_calloc(arena, options->role_count + 1, sizeof(*roles));
        for (size_t i = 0; i < options->role_count; i++)
            roles[i] = arena_strdup(arena, options->roles[i]);
        o->roles = roles;
    }
}

// An IPv4 address as four bytes in the order they are written, read as a number of this machine:
// that is what clients of MasterInfo.ip expect. 0 for anything else.
static uint32_t ip_number(const char *ip)
{
    uint8_t bytes[4];
    unsigned parts[4];
    char rest;
    if (sscanf(ip, "%3u.%3u.%3u.%3u%c", &parts[0], &parts[1], &parts[2], &parts[3], &rest) != 4)
        return 0;
    for (size_t i = 0; i < 4; i++) {
        if (parts[i] > 255)
            return 0;
        bytes[i] = (uint8_t)parts[i];
    }
    uint32_t number;
    memcpy(&number, bytes, sizeof(number));
    return number;
}

static void make_info(struct master *m)
{
    struct arena *arena = m->arena;
    const struct master_options *o = &m->options;
    Mesos__V1__MasterInfo *info = WIRE_NEW(arena, Mesos__V1__MasterInfo, mesos__v1__master_info);
    info->id = m->id;
    info->ip = ip_number(o->ip);
    info->port = o->port;
    info->pid = o->pid != NULL ? arena_strdup(arena, o->pid)
                               : arena_printf(arena, "master@%s:%u", o->ip, (unsigned)o->port);
    info->hostname = arena_strdup(arena, o->hostname);
    info->version = arena_strdup(arena, "1.11.0");
    info->address = WIRE_NEW(arena, Mesos__V1__Address, mesos__v1__address);
    info->address->hostname = info->hostname;
    info->address->ip = arena_strdup(arena, o->ip);
    info->address->port = o->port;
    info->domain = (Mesos__V1__DomainInfo *)o->domain;
    static const Mesos__V1__MasterInfo__Capability__Type types[] = {
        MESOS__V1__MASTER_INFO__CAPABILITY__TYPE__AGENT_UPDATE,
        MESOS__V1__MASTER_INFO__CAPABILITY__TYPE__AGENT_DRAINING,
        MESOS__V1__MASTER_INFO__CAPABILITY__TYPE__QUOTA_V2,
    };
    info->n_capabilities = ARRAY_COUNT(types);
    info->capabilities = arena_calloc(arena, ARRAY_COUNT(types), sizeof(*info->capabilities));
    for (size_t i = 0; i < ARRAY_COUNT(types); i++) {
        info->capabilities[i] =
            WIRE_NEW(arena, Mesos__V1__MasterInfo__Capability, mesos__v1__master_info__capability);
        info->capabilities[i]->has_type = true;
        info->capabilities[i]->type = types[i];
    }
    m->info = info;
}

static const char *master_region(const Mesos__V1__DomainInfo *domain)
{
    return domain != NULL && domain->fault_domain != NULL ? domain->fault_domain->region->name
                                                          : NULL;
}

struct master *master_new(const struct master_options *options, const struct master_ops *ops,
                          void *ctx, struct instant now)
{
    CHECK(options->ip != NULL && options->hostname != NULL);
    CHECK(options->agent_ping_timeout_ns > 0 && options->max_agent_ping_timeouts > 0);
    struct master *m = mem_zalloc(sizeof(*m));
    m->magic = MASTER_MAGIC;
    m->ops = ops;
    m->ctx = ctx;
    m->notifies_tasks = true;
    m->now = now;
    m->started = now;
    m->arena = arena_new(0, 0);
    m->scratch = arena_new(16 * 1024, 0);
    m->timers = TIMERS_INIT;
    list_init(&m->completed);
    list_init(&m->sending);
    list_init(&m->unavailable);
    m->maintenance = m->maintenance_wanted = master_maintenance_new();
    m->inverse_round.run = master_inverse_turn;
    m->forgetting.run = master_forget_agents;
    m->recovery.run = master_recovery_is_over;
    list_init(&m->removal_queue);
    m->removal_turn.run = master_removal_turn;
    copy_options(m, options);
    master_limits_init(m, options->rate_limits);
    m->options.rate_limits = NULL; // the caller's
    prng_seed(&m->prng, options->seed);
    if (m->options.id != NULL) {
        m->id = arena_strdup(m->arena, m->options.id);
    } else {
        struct uuid uuid = uuid_random(&m->prng);
        m->id = arena_alloc(m->arena, UUID_TEXT_SIZE);
        uuid_text(&uuid, m->id);
    }
    make_info(m);
    struct allocator_options allocator = {
        .offer_interval_ns = m->options.allocation_interval_ns,
        .min_allocatable_resources = m->options.min_allocatable_resources,
        .fair_sharing_excluded = m->options.fair_sharing_excluded,
        .filter_gpu_resources = m->options.filter_gpu_resources,
        .region = master_region(m->options.domain),
        .is_role_random = m->options.role_sorter_random,
        .is_framework_random = m->options.framework_sorter_random,
        .is_demand_aware = m->options.demand_aware_shares,
        .is_packing = m->options.offer_packing,
        .seed = prng_u64(&m->prng),
    };
    static const struct allocator_callbacks callbacks = {.offer = master_offer_arrived};
    m->allocator = allocator_new(&allocator, &callbacks, m);
    return m;
}

// Those that are awaited, unreachable or gone.
static void free_absent_agents(struct master *m)
{
    MAP_FOREACH (&m->recovered, entry) {
        struct recovered_agent *r = entry->value;
        arena_free(r->arena);
        mem_free(r->id);
        mem_free(r);
    }
    map_free(&m->recovered);
    MAP_FOREACH (&m->unreachable, entry) {
        struct unreachable_agent *u = entry->value;
        mem_free(u->id);
        mem_free(u);
    }
    map_free(&m->unreachable);
    MAP_FOREACH (&m->gone, entry)
        mem_free(entry->value);
    map_free(&m->gone);
}

struct master *master_free(struct master *m)
{
    if (m == NULL)
        return NULL;
    CHECK(m->magic == MASTER_MAGIC);
    m->snapshot = 0;
    timers_free(&m->timers);
    MAP_FOREACH (&m->offers, entry) {
        struct offer *offer = entry->value;
        resources_free(offer->resources);
        mem_free(offer->role);
        mem_free(offer);
    }
    map_free(&m->offers);
    MAP_FOREACH (&m->agents, entry) {
        struct agent *agent = entry->value;
        list_init(&agent->offers);
        while (!list_is_empty(&agent->executors))
            master_executor_remove(LIST_ENTRY(agent->executors.next, struct executor, by_agent),
                                   false);
    }
    MAP_FOREACH (&m->agents, entry) {
        struct agent *a = entry->value;
        a->leaving = true; // nothing is decided any more
        master_operations_remove(a);
    }
    map_free(&m->operations);
    MAP_FOREACH (&m->frameworks, entry)
        master_framework_free(entry->value);
    map_free(&m->frameworks);
    while (!list_is_empty(&m->completed)) {
        struct framework *f = LIST_ENTRY(m->completed.next, struct framework, in_completed);
        list_remove(&f->in_completed);
        master_framework_free(f);
    }
    map_free(&m->completed_ids);
    MAP_FOREACH (&m->agents, entry)
        master_agent_free(entry->value);
    map_free(&m->agents);
    map_free(&m->agents_by_pid);
    map_free(&m->descriptions);
    free_absent_agents(m);
    master_deactivations_free(m);
    master_writes_free(m);
    map_free(&m->writing);
    map_free(&m->marking_gone);
    master_removal_free_all(m);
    MAP_FOREACH (&m->weights, entry)
        mem_free(entry->value);
    map_free(&m->weights);
    master_quotas_free(m);
    master_maintenance_free(m->maintenance);
    map_free(&m->inverse_offers);
    MAP_FOREACH (&m->task_losses, entry)
        mem_free(entry->value);
    map_free(&m->task_losses);
    master_limits_free(m);
    allocator_free(m->allocator);
    arena_free(m->scratch);
    arena_free(m->arena);
    m->magic = 0;
    mem_free(m);
    return NULL;
}

void master_set_whitelist(struct master *m, const char *const *hosts, size_t count)
{
    allocator_set_whitelist(m->allocator, hosts, count);
}

int64_t master_next(const struct master *m)
{
    int64_t timer = timers_next(&m->timers);
    int64_t offers = allocator_next(m->allocator);
    return timer < offers ? timer : offers;
}

void master_step(struct master *m, struct instant now)
{
    master_enter(m, now);
    if (timers_next(&m->timers) <= now.mono)
        timers_run(&m->timers, now);
    if (!master_round_is_due(m, now))
        return;
    if (m->ops->round != NULL)
        m->ops->round(m->ctx, true);
    m->offering = true;
    allocator_run(m->allocator, now);
    m->offering = false;
    master_offers_send(m);
    if (m->ops->round != NULL)
        m->ops->round(m->ctx, false);
}

bool master_round_is_due(const struct master *m, struct instant now)
{
    return allocator_next(m->allocator) <= now.mono;
}

bool master_teardown(struct master *m, const char *framework_id, struct instant now)
{
    master_enter(m, now);
    struct framework *f = master_framework(m, framework_id);
    if (f == NULL)
        return false;
    master_framework_remove(f);
    return true;
}

// The sum of what is booked for an agent must be what its tasks and executors hold.
static void check_agent(const struct agent *a)
{
    AUTO_RESOURCES struct resources *used = resources_new();
    LIST_FOREACH (&((struct agent *)a)->tasks, struct task, by_agent, t) {
        CHECK(t->magic == TASK_MAGIC && t->agent == a && t->place == TASK_ON_AGENT);
        CHECK(map_get(&t->framework->tasks, t->id) == t);
        if (t->holds)
            resources_add(used, t->resources);
    }
    LIST_FOREACH (&((struct agent *)a)->executors, struct executor, by_agent, e)
        resources_add(used, e->resources);
    CHECK(resources_is_equal(used, a->used));
    AUTO_RESOURCES struct resources *offered = resources_new();
    LIST_FOREACH (&((struct agent *)a)->offers, struct offer, by_agent, o)
        resources_add(offered, o->resources);
    CHECK(resources_is_equal(offered, a->offered));
    resources_add(used, offered);
    resources_unallocate(used);
    CHECK(a->unsettled || resources_covers(a->total, used));
    LIST_FOREACH (&((struct agent *)a)->operations, struct operation, by_agent, o) {
        CHECK(o->magic == OPERATION_MAGIC && o->agent == a);
        CHECK(map_get(&a->master->operations, o->uuid_text) == o);
        CHECK(o->framework == NULL || strcmp(o->framework->id, o->framework_id) == 0);
    }
    CHECK(a->channel != NULL || !a->active);
    CHECK(a->active || list_is_empty(&((struct agent *)a)->offers));
    CHECK(a->active == (a->channel != NULL && !master_agent_is_deactivated(a)));
    CHECK(!map_has(&a->master->gone, a->id));
}

// Only scalars: the same port on two agents is one port in a framework's sum.
static void check_sum(const struct resources *sum, const struct resources *booked)
{
    struct arena *arena = arena_new(512, 0);
    const struct resources *both[] = {sum, booked};
    for (size_t i = 0; i < ARRAY_COUNT(both); i++) {
        const char **names;
        size_t count = resources_scalar_names(both[i], arena, &names);
        for (size_t k = 0; k < count; k++)
            CHECK(resources_scalar(sum, names[k]) == resources_scalar(booked, names[k]));
    }
    arena_free(arena);
}

// Each is on one agent's list and, with a framework, on one framework's; the numbers agree.
static void check_operations(const struct master *m)
{
    size_t on_agents = 0, with_framework = 0, in_frameworks = 0, pending = 0, counted = 0;
    MAP_FOREACH (&m->agents, entry) {
        LIST_FOREACH (&((struct agent *)entry->value)->operations, struct operation, by_agent, o) {
            on_agents++;
            with_framework += o->framework != NULL;
            pending += !operation_state_is_terminal(o->state);
        }
    }
    MAP_FOREACH (&m->frameworks, entry) {
        struct framework *f = entry->value;
        LIST_FOREACH (&f->operations, struct operation, by_framework, o) {
            CHECK(o->framework == f);
            in_frameworks++;
        }
        MAP_FOREACH (&f->operation_ids, id)
            CHECK(((struct operation *)id->value)->framework == f);
    }
    for (size_t type = 0; type < OPERATION_TYPE_COUNT; type++) {
        for (size_t state = 0; state < OPERATION_STATE_COUNT; state++) {
            if (!operation_state_is_terminal((Mesos__V1__OperationState)state))
                counted += m->operation_states[type][state];
        }
    }
    CHECK(on_agents == m->operations.count && with_framework == in_frameworks);
    CHECK(pending == counted);
}

static void check_maintenance(const struct master *m)
{
    size_t unavailable = 0;
    MAP_FOREACH (&m->agents, entry) {
        const struct agent *a = entry->value;
        const struct machine *machine = master_agent_machine(a);
        CHECK((machine != NULL) == !list_is_empty(&((struct agent *)a)->unavailable));
        CHECK(machine == NULL || !machine->is_down);
        unavailable += machine != NULL;
    }
    LIST_FOREACH (&((struct master *)m)->unavailable, struct agent, unavailable, a) {
        CHECK(a->magic == AGENT_MAGIC);
        unavailable--;
    }
    CHECK(unavailable == 0);
    MAP_FOREACH (&m->inverse_offers, entry) {
        const struct inverse *i = entry->value;
        const struct framework *f = master_framework(m, i->framework_id);
        CHECK(strcmp(i->offer_id, entry->key) == 0);
        CHECK(f != NULL && f->subscriber != NULL && i->agent->active);
        CHECK(map_get(&i->agent->inverse, f->id) == i);
    }
}

void master_check(const struct master *m)
{
    check_maintenance(m);
    MAP_FOREACH (&m->agents, entry)
        check_agent(entry->value);
    MAP_FOREACH (&m->frameworks, entry) {
        const struct framework *f = entry->value;
        CHECK(f->magic == FRAMEWORK_MAGIC && !f->completed);
        CHECK(f->subscriber == NULL || f->subscriber->framework == f);
        CHECK(f->subscriber != NULL || list_is_empty(&((struct framework *)f)->offers));
        AUTO_RESOURCES struct resources *used = resources_new();
        size_t states[TASK_STATE_COUNT] = {0};
        MAP_FOREACH (&f->tasks, task_entry) {
            const struct task *t = task_entry->value;
            CHECK(t->framework == f && t->agent != NULL);
            states[t->state]++;
            if (t->holds)
                resources_add(used, t->resources);
        }
        MAP_FOREACH (&f->unreachable, task_entry) {
            const struct task *t = task_entry->value;
            CHECK(map_has(&m->unreachable, t->agent_id));
            states[t->state]++;
        }
        CHECK(memcmp(states, f->states, sizeof(states)) == 0);
        LIST_FOREACH (&((struct framework *)f)->uses, struct agent_use, by_framework, use)
            CHECK(map_get(&use->agent->uses, f->id) == use);
        LIST_FOREACH (&((struct framework *)f)->executors, struct executor, by_framework, e)
            resources_add(used, e->resources);
        check_sum(used, f->used);
        CHECK(f->completed_count <= m->options.max_completed_tasks_per_framework);
    }
    CHECK(m->completed_count <= m->options.max_completed_frameworks);
    check_operations(m);
}
