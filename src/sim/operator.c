// SPDX-License-Identifier: Apache-2.0
//
// An operator who takes agents out of service and back, marks some gone, and sets quotas. Calls go
// to the leading master and may be lost with it. What was answered must hold: gone stays gone,
// limits are kept. Once the world is calm everything is taken back.

#include <stdio.h>
#include <string.h>

#include "sim/framework.h"
#include "sim/ledger.h"

const char *const quota_roles[QUOTA_ROLES] = {"a", "b"};
const char *const quota_names[QUOTA_NAMES] = {"cpus", "mem"};

// A call that was not answered yet.
struct operator_call {
    struct list link; // of its master
    enum { CALL_GONE, CALL_IN_OR_OUT, CALL_QUOTA, CALL_DOWN } what;
    size_t machine;
    char *agent_id;
    size_t role;
    uint64_t number; // of quotas and machines; only the answer of the last one says what counts
    struct quota_limit limit;
};

static void free_call(struct operator_call *call)
{
    list_remove(&call->link);
    mem_free(call->agent_id);
    mem_free(call);
}

void operator_forget(struct master_host *host)
{
    LIST_FOREACH (&host->waiters, struct operator_call, link, call)
        free_call(call);
}

void operator_answered(struct master_host *host, void *waiter, int status)
{
    struct sim *sim = host->sim;
    struct operator_call *call = waiter;
    if (status == 200 && call->what == CALL_GONE) {
        mark(sim, MARK_AGENT_MARKED_GONE);
        map_put(&sim->gone, call->agent_id, sim);
    } else if (status == 200 && call->what == CALL_QUOTA) {
        mark(sim, MARK_QUOTA_SET);
        call->limit.is_known = true;
        if (call->number == sim->quota_calls[call->role])
            sim->limits[call->role] = call->limit;
    }
    if (status == 200 && call->what == CALL_DOWN) {
        mark(sim, MARK_MACHINE_DOWN);
        sim->is_down[call->machine] = call->number == sim->machine_calls[call->machine];
    }
    free_call(call);
}

static struct operator_call *new_call(struct master_host *host, int what, const char *agent_id)
{
    struct operator_call *call = mem_zalloc(sizeof(*call));
    call->what = what;
    call->agent_id = mem_strdup(agent_id);
    list_append(&host->waiters, &call->link);
    return call;
}

// ---- agents ----

// One that the master was told of some time; NULL: none.
static const char *draw_agent(struct sim *sim)
{
    const struct agent_host *a = &sim->agents[draw(sim, sim->config.agent_count)];
    return a->id[0] != '\0' ? a->id : NULL;
}

static void take_out(struct master_host *host, const char *agent_id, uint64_t how)
{
    struct sim *sim = host->sim;
    struct error err;
    struct operator_call *call = new_call(host, CALL_IN_OR_OUT, agent_id);
    struct master_drain_options options = {
        .has_grace_period = chance(sim, 0.5),
        .grace_period_ns = draw_spread(sim, NS_PER_MS, 60 * NS_PER_S),
        .mark_gone = how == 1,
    };
    int status;
    if (how <= 1) {
        mark(sim, MARK_AGENT_DRAINED);
        if (options.mark_gone)
            ledger_agent_stops(sim->ledger, agent_id);
        status = master_drain_agent(host->core, agent_id, &options, call, sim->now, &err);
    } else if (how == 2) {
        mark(sim, MARK_AGENT_DEACTIVATED);
        status = master_deactivate_agent(host->core, agent_id, call, sim->now, &err);
    } else {
        status = master_reactivate_agent(host->core, agent_id, call, sim->now, &err);
    }
    if (status != 0)
        free_call(call);
}

static void mark_gone(struct master_host *host, const char *agent_id)
{
    struct sim *sim = host->sim;
    struct error err;
    TRACE(sim, "an operator marks agent %s gone", agent_id);
    // What it has not told by now, it need not.
    ledger_agent_stops(sim->ledger, agent_id);
    struct operator_call *call = new_call(host, CALL_GONE, agent_id);
    int status = master_mark_agent_gone(host->core, agent_id, call, sim->now, &err);
    if (status != 0)
        free_call(call);
}

// ---- quotas ----

static void set_quota(struct master_host *host, size_t role, bool is_removal)
{
    struct sim *sim = host->sim;
    struct arena *arena = sim->scratch;
    Mesos__V1__Quota__QuotaConfig config = MESOS__V1__QUOTA__QUOTA_CONFIG__INIT;
    config.role = arena_strdup(arena, quota_roles[role]);
    config.limits = arena_calloc(arena, QUOTA_NAMES, sizeof(*config.limits));
    struct operator_call *call = new_call(host, CALL_QUOTA, "");
    call->role = role;
    call->number = ++sim->quota_calls[role];
    config.guarantees = arena_calloc(arena, QUOTA_NAMES, sizeof(*config.guarantees));
    for (size_t k = 0; k < QUOTA_NAMES && !is_removal; k++) {
        if (chance(sim, 0.3))
            continue;
        Mesos__V1__Value__Scalar *value =
            WIRE_NEW(arena, Mesos__V1__Value__Scalar, mesos__v1__value__scalar);
        value->value = k == 0 ? (double)(1 + draw(sim, 6)) : (double)(64 * (1 + draw(sim, 30)));
        call->limit.of[k] = (int64_t)(value->value * 1000);
        Mesos__V1__Quota__QuotaConfig__LimitsEntry *entry =
            WIRE_NEW(arena, Mesos__V1__Quota__QuotaConfig__LimitsEntry,
                     mesos__v1__quota__quota_config__limits_entry);
        entry->key = arena_strdup(arena, quota_names[k]);
        entry->value = value;
        config.limits[config.n_limits++] = entry;
        if (chance(sim, 0.5))
            continue;
        Mesos__V1__Quota__QuotaConfig__GuaranteesEntry *guaranteed =
            WIRE_NEW(arena, Mesos__V1__Quota__QuotaConfig__GuaranteesEntry,
                     mesos__v1__quota__quota_config__guarantees_entry);
        guaranteed->key = entry->key;
        guaranteed->value = value;
        config.guarantees[config.n_guarantees++] = guaranteed;
        mark(sim, MARK_QUOTA_GUARANTEED);
    }
    Mesos__V1__Quota__QuotaConfig *configs[] = {&config};
    struct error err;
    // Until it is answered, nobody knows which of the two counts.
    sim->limits[role] = (struct quota_limit){0};
    int status = master_update_quota(host->core, configs, 1, true, call, sim->now, &err);
    if (status == 200)
        operator_answered(host, call, status);
    else if (status != 0)
        free_call(call);
}

// ---- maintenance ----

char *operator_machine(const struct sim *sim, size_t index)
{
    return arena_printf(sim->scratch, "agent-%zu", index);
}

static Mesos__V1__MachineID *make_machine(const struct sim *sim, size_t index)
{
    Mesos__V1__MachineID *id = WIRE_NEW(sim->scratch, Mesos__V1__MachineID, mesos__v1__machine_id);
    id->hostname = operator_machine(sim, index);
    return id;
}

static Mesos__V1__Maintenance__Window *make_window(struct sim *sim, size_t index)
{
    struct arena *arena = sim->scratch;
    Mesos__V1__Maintenance__Window *window =
        WIRE_NEW(arena, Mesos__V1__Maintenance__Window, mesos__v1__maintenance__window);
    window->machine_ids = arena_calloc(arena, 1, sizeof(void *));
    window->machine_ids[window->n_machine_ids++] = make_machine(sim, index);
    window->unavailability = WIRE_NEW(arena, Mesos__V1__Unavailability, mesos__v1__unavailability);
    window->unavailability->start = WIRE_NEW(arena, Mesos__V1__TimeInfo, mesos__v1__time_info);
    window->unavailability->start->nanoseconds =
        sim->now.wall + draw_between(sim, -60 * NS_PER_S, 300 * NS_PER_S);
    if (chance(sim, 0.5)) {
        window->unavailability->duration =
            WIRE_NEW(arena, Mesos__V1__DurationInfo, mesos__v1__duration_info);
        window->unavailability->duration->nanoseconds = draw_between(sim, 0, 300 * NS_PER_S);
    }
    return window;
}

// Some machines; or, to end it, those alone that are down.
static void schedule(struct master_host *host, bool is_end)
{
    struct sim *sim = host->sim;
    Mesos__V1__Maintenance__Schedule schedule = MESOS__V1__MAINTENANCE__SCHEDULE__INIT;
    schedule.windows = arena_calloc(sim->scratch, AGENTS_MAX, sizeof(void *));
    for (size_t i = 0; i < sim->config.agent_count; i++) {
        bool is_down = master_machine_state(sim, operator_machine(sim, i)) == MACHINE_DOWN;
        if (is_down || (!is_end && chance(sim, 0.5)))
            schedule.windows[schedule.n_windows++] = make_window(sim, i);
    }
    struct error err;
    struct operator_call *call = new_call(host, CALL_IN_OR_OUT, "");
    if (master_update_schedule(host->core, &schedule, call, sim->now, &err) != 0)
        free_call(call);
}

static void move_machine(struct master_host *host, size_t index, bool is_up)
{
    struct sim *sim = host->sim;
    Mesos__V1__MachineID *ids[] = {make_machine(sim, index)};
    struct operator_call *call = new_call(host, is_up ? CALL_IN_OR_OUT : CALL_DOWN, "");
    call->machine = index;
    call->number = ++sim->machine_calls[index];
    // Until it is answered, nobody knows.
    sim->is_down[index] = false;
    if (!is_up)
        ledger_agent_stops(sim->ledger, sim->agents[index].id);
    TRACE(sim, "an operator brings machine %zu %s", index, is_up ? "up" : "down");
    struct error err;
    int status = is_up ? master_stop_maintenance(host->core, ids, 1, call, sim->now, &err)
                       : master_start_maintenance(host->core, ids, 1, call, sim->now, &err);
    if (status != 0)
        free_call(call);
}

// Machines go the way from up over scheduled to down.
static void maintain(struct master_host *host, size_t index)
{
    struct sim *sim = host->sim;
    enum machine_state state = master_machine_state(sim, operator_machine(sim, index));
    if (state == MACHINE_DOWN)
        move_machine(host, index, true);
    else if (state == MACHINE_DRAINING && !sim->calm && chance(sim, 0.6))
        move_machine(host, index, false);
    else if (state == MACHINE_DRAINING || !sim->calm)
        schedule(host, sim->calm);
}

// ---- resources ----

// In trouble any of what the agent has, or a part of it, is reserved, given back, made a volume of
// or resized; then all that can be given back is.
static void operate(struct master_host *host, const struct agent_host *a)
{
    struct sim *sim = host->sim;
    if (!sim->config.has_operations || !agent_host_is_registered(a))
        return;
    AUTO_RESOURCES struct resources *total = agent_host_total(a);
    Mesos__V1__Resource **all;
    size_t count = resources_to_proto(total, sim->scratch, RESOURCES_NEW_FORM, false, &all);
    size_t first = sim->calm ? 0 : (size_t)draw(sim, count);
    size_t end = sim->calm ? count : first + 1;
    for (size_t i = first; i < end; i++) {
        if (sim->calm && !framework_is_dynamic(all[i]))
            continue;
        Mesos__V1__Offer__Operation *operation = operation_make_of(
            sim, all, count, all[i], "a",
            arena_printf(sim->scratch, "operators%llu", (unsigned long long)sim->next_volume++),
            chance(sim, 0.3));
        const char *why = "";
        int status = operation != NULL
                         ? master_operate(host->core, a->id, operation, NULL, sim->now, &why)
                         : 0;
        if (status != 0)
            TRACE(sim, "an operation of an operator on agent %s: %d %s", a->id, status, why);
    }
}

// ---- from time to time ----

static bool can_hear(const struct master_host *host)
{
    return host != NULL &&
           host->sim->net.paused_until[host_of_master(host->index)] <= host->sim->now.mono;
}

void operator_act(struct sim *sim)
{
    struct master_host *host = master_leading(sim);
    const char *agent_id = draw_agent(sim);
    if (!can_hear(host))
        return;
    uint64_t what = draw(sim, 28);
    if (what >= 24)
        maintain(host, (size_t)draw(sim, sim->config.agent_count));
    else if (what >= 16)
        operate(host, &sim->agents[draw(sim, sim->config.agent_count)]);
    else if (what < 4)
        set_quota(host, (size_t)draw(sim, QUOTA_ROLES), chance(sim, 0.4));
    else if (what == 4 && agent_id != NULL)
        mark_gone(host, agent_id);
    else if (what == 5 && agent_id != NULL)
        take_out(host, agent_id, 1);
    else if (agent_id != NULL)
        take_out(host, agent_id, what < 8 ? 0 : what < 10 ? 2 : 3);
    master_host_touched(host);
}

void operator_tidy(struct sim *sim)
{
    struct master_host *host = master_leading(sim);
    if (!can_hear(host))
        return;
    const char **ids;
    size_t count = master_list_deactivated(sim, sim->scratch, &ids);
    for (size_t i = 0; i < count; i++)
        take_out(host, ids[i], 3);
    for (size_t i = 0; i < sim->config.agent_count; i++) {
        operate(host, &sim->agents[i]);
        maintain(host, i);
    }
    for (size_t i = 0; i < QUOTA_ROLES; i++) {
        const struct quota_limit *limit = &sim->limits[i];
        if (!limit->is_known || limit->of[0] > 0 || limit->of[1] > 0)
            set_quota(host, i, true);
    }
    master_host_touched(host);
}
