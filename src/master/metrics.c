// SPDX-License-Identifier: Apache-2.0
//
// The core's numbers under Mesos' names. Counters stand in one table; the rest is counted when it
// is asked for.

#include <stdio.h>
#include <string.h>

#include "master/internal.h"

static const char *const counter_names[COUNTER_COUNT] = {
    [COUNT_SLAVE_REGISTRATIONS] = "master/slave_registrations",
    [COUNT_SLAVE_REREGISTRATIONS] = "master/slave_reregistrations",
    [COUNT_SLAVE_REMOVALS] = "master/slave_removals",
    [COUNT_SLAVE_REMOVALS_UNHEALTHY] = "master/slave_removals/reason_unhealthy",
    [COUNT_SLAVE_REMOVALS_UNREGISTERED] = "master/slave_removals/reason_unregistered",
    [COUNT_SLAVE_REMOVALS_REGISTERED] = "master/slave_removals/reason_registered",
    [COUNT_SLAVE_UNREACHABLE_SCHEDULED] = "master/slave_unreachable_scheduled",
    [COUNT_SLAVE_UNREACHABLE_COMPLETED] = "master/slave_unreachable_completed",
    [COUNT_SLAVE_UNREACHABLE_CANCELED] = "master/slave_unreachable_canceled",
    [COUNT_SLAVE_SHUTDOWNS_SCHEDULED] = "master/slave_shutdowns_scheduled",
    [COUNT_SLAVE_SHUTDOWNS_COMPLETED] = "master/slave_shutdowns_completed",
    [COUNT_SLAVE_SHUTDOWNS_CANCELED] = "master/slave_shutdowns_canceled",
    [COUNT_RECOVERY_SLAVE_REMOVALS] = "master/recovery_slave_removals",
    [COUNT_TASKS_ERROR] = "master/tasks_error",
    [COUNT_TASKS_FAILED] = "master/tasks_failed",
    [COUNT_TASKS_FINISHED] = "master/tasks_finished",
    [COUNT_TASKS_KILLED] = "master/tasks_killed",
    [COUNT_TASKS_LOST] = "master/tasks_lost",
    [COUNT_TASKS_DROPPED] = "master/tasks_dropped",
    [COUNT_TASKS_GONE] = "master/tasks_gone",
    [COUNT_TASKS_GONE_BY_OPERATOR] = "master/tasks_gone_by_operator",
    [COUNT_DROPPED_MESSAGES] = "master/dropped_messages",
    [COUNT_MESSAGES_REGISTER_FRAMEWORK] = "master/messages_register_framework",
    [COUNT_MESSAGES_REREGISTER_FRAMEWORK] = "master/messages_reregister_framework",
    [COUNT_MESSAGES_UNREGISTER_FRAMEWORK] = "master/messages_unregister_framework",
    [COUNT_MESSAGES_KILL_TASK] = "master/messages_kill_task",
    [COUNT_MESSAGES_STATUS_UPDATE_ACK] = "master/messages_status_update_acknowledgement",
    [COUNT_MESSAGES_LAUNCH_TASKS] = "master/messages_launch_tasks",
    [COUNT_MESSAGES_DECLINE_OFFERS] = "master/messages_decline_offers",
    [COUNT_MESSAGES_REVIVE_OFFERS] = "master/messages_revive_offers",
    [COUNT_MESSAGES_SUPPRESS_OFFERS] = "master/messages_suppress_offers",
    [COUNT_MESSAGES_RESOURCE_REQUEST] = "master/messages_resource_request",
    [COUNT_MESSAGES_RECONCILE_TASKS] = "master/messages_reconcile_tasks",
    [COUNT_MESSAGES_RECONCILE_OPERATIONS] = "master/messages_reconcile_operations",
    [COUNT_MESSAGES_OPERATION_ACK] = "master/messages_operation_status_update_acknowledgement",
    [COUNT_MESSAGES_FRAMEWORK_TO_EXECUTOR] = "master/messages_framework_to_executor",
    [COUNT_MESSAGES_EXECUTOR_TO_FRAMEWORK] = "master/messages_executor_to_framework",
    [COUNT_MESSAGES_REGISTER_SLAVE] = "master/messages_register_slave",
    [COUNT_MESSAGES_REREGISTER_SLAVE] = "master/messages_reregister_slave",
    [COUNT_MESSAGES_UNREGISTER_SLAVE] = "master/messages_unregister_slave",
    [COUNT_MESSAGES_STATUS_UPDATE] = "master/messages_status_update",
    [COUNT_MESSAGES_EXITED_EXECUTOR] = "master/messages_exited_executor",
    [COUNT_MESSAGES_UPDATE_SLAVE] = "master/messages_update_slave",
    [COUNT_VALID_FRAMEWORK_TO_EXECUTOR] = "master/valid_framework_to_executor_messages",
    [COUNT_INVALID_FRAMEWORK_TO_EXECUTOR] = "master/invalid_framework_to_executor_messages",
    [COUNT_VALID_EXECUTOR_TO_FRAMEWORK] = "master/valid_executor_to_framework_messages",
    [COUNT_INVALID_EXECUTOR_TO_FRAMEWORK] = "master/invalid_executor_to_framework_messages",
    [COUNT_VALID_STATUS_UPDATES] = "master/valid_status_updates",
    [COUNT_INVALID_STATUS_UPDATES] = "master/invalid_status_updates",
    [COUNT_VALID_STATUS_UPDATE_ACKS] = "master/valid_status_update_acknowledgements",
    [COUNT_INVALID_STATUS_UPDATE_ACKS] = "master/invalid_status_update_acknowledgements",
    [COUNT_VALID_OPERATION_ACKS] = "master/valid_operation_status_update_acknowledgements",
    [COUNT_MESSAGES_OPERATION_STATUS] = "master/messages_operation_status_update",
    [COUNT_VALID_OPERATION_STATUSES] = "master/valid_operation_status_updates",
    [COUNT_INVALID_OPERATION_STATUSES] = "master/invalid_operation_status_updates",
    [COUNT_INVALID_OPERATION_ACKS] = "master/invalid_operation_status_update_acknowledgements",
};

struct metrics {
    void (*put)(void *ctx, const char *name, double value);
    void *ctx;
};

static void put_agents(const struct master *m, struct metrics *out)
{
    size_t connected = 0, active = 0;
    MAP_FOREACH (&m->agents, entry) {
        const struct agent *a = entry->value;
        connected += a->channel != NULL;
        active += a->active;
    }
    out->put(out->ctx, "master/slaves_connected", (double)connected);
    out->put(out->ctx, "master/slaves_disconnected", (double)(m->agents.count - connected));
    out->put(out->ctx, "master/slaves_active", (double)active);
    out->put(out->ctx, "master/slaves_inactive", (double)(m->agents.count - active));
    out->put(out->ctx, "master/slaves_unreachable", (double)m->unreachable.count);
}

static void put_tasks(const struct master *m, struct metrics *out)
{
    static const struct {
        Mesos__V1__TaskState state;
        const char *name;
    } names[] = {
        {STATE(STAGING), "master/tasks_staging"},
        {STATE(STARTING), "master/tasks_starting"},
        {STATE(RUNNING), "master/tasks_running"},
        {STATE(KILLING), "master/tasks_killing"},
        {STATE(UNREACHABLE), "master/tasks_unreachable"},
    };
    size_t counts[TASK_STATE_COUNT] = {0};
    MAP_FOREACH (&m->frameworks, entry) {
        const struct framework *f = entry->value;
        for (size_t i = 0; i < TASK_STATE_COUNT; i++)
            counts[i] += f->states[i];
    }
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        out->put(out->ctx, names[i].name, (double)counts[names[i].state]);
}

static void put_frameworks(const struct master *m, struct metrics *out)
{
    size_t connected = 0, active = 0;
    MAP_FOREACH (&m->frameworks, entry) {
        const struct framework *f = entry->value;
        connected += f->subscriber != NULL;
        active += f->active;
    }
    out->put(out->ctx, "master/frameworks_connected", (double)connected);
    out->put(out->ctx, "master/frameworks_disconnected", (double)(m->frameworks.count - connected));
    out->put(out->ctx, "master/frameworks_active", (double)active);
    out->put(out->ctx, "master/frameworks_inactive", (double)(m->frameworks.count - active));
    out->put(out->ctx, "master/outstanding_offers", (double)m->offers.count);
}

static void put_resources(const struct master *m, struct metrics *out)
{
    static const char *const names[] = {"cpus", "gpus", "mem", "disk"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        for (int revocable = 0; revocable < 2; revocable++) {
            double total = 0, used = 0;
            MAP_FOREACH (&m->agents, entry) {
                const struct agent *a = entry->value;
                if (a->active)
                    total += (double)resources_scalar_of(a->total, names[i], revocable) / 1000;
                used += (double)resources_scalar_of(a->used, names[i], revocable) / 1000;
            }
            char name[64];
            const char *middle = revocable ? "_revocable" : "";
            snprintf(name, sizeof(name), "master/%s%s_total", names[i], middle);
            out->put(out->ctx, name, total);
            snprintf(name, sizeof(name), "master/%s%s_used", names[i], middle);
            out->put(out->ctx, name, used);
            snprintf(name, sizeof(name), "master/%s%s_percent", names[i], middle);
            out->put(out->ctx, name, total > 0 ? used / total : 0);
        }
    }
}

// "TASK_FINISHED" to "task_finished", in place.
static char *lower(char *text)
{
    for (char *c = text; *c != '\0'; c++) {
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c - 'A' + 'a');
    }
    return text;
}

static void put_framework_states(const struct framework *f, const char *prefix, struct metrics *out)
{
    for (int state = 0; state < TASK_STATE_COUNT - 1; state++) {
        bool ends = task_state_is_terminal((Mesos__V1__TaskState)state);
        const char *name = task_state_name((Mesos__V1__TaskState)state);
        if (name == NULL)
            continue;
        AUTO_FREE char *key =
            mem_printf("%s/tasks/%s/%s", prefix, ends ? "terminal" : "active", name);
        lower(key + strlen(prefix));
        out->put(out->ctx, key, (double)(ends ? f->terminal[state] : f->states[state]));
    }
}

static void put_named_counts(const char *prefix, const char *group,
                             const ProtobufCEnumDescriptor *names, const uint64_t *counts,
                             size_t count, struct metrics *out)
{
    uint64_t total = 0;
    for (size_t i = 1; i < count; i++) {
        const char *name = wire_enum_name(names, (int)i);
        if (name == NULL)
            continue;
        total += counts[i];
        AUTO_FREE char *key = mem_printf("%s/%s/%s", prefix, group, name);
        lower(key + strlen(prefix));
        out->put(out->ctx, key, (double)counts[i]);
    }
    AUTO_FREE char *key = mem_printf("%s/%s", prefix, group);
    out->put(out->ctx, key, (double)total);
}

// "master/operations/reserve/finished" and the like; `type` NULL: of all types.
static void put_operation_states(const char *type, const uint64_t *states, struct metrics *out)
{
    static const struct {
        Mesos__V1__OperationState state;
        const char *name;
    } names[] = {
        {OPERATION_STATE(PENDING), "pending"},
        {OPERATION_STATE(RECOVERING), "recovering"},
        {OPERATION_STATE(FINISHED), "finished"},
        {OPERATION_STATE(FAILED), "failed"},
        {OPERATION_STATE(ERROR), "error"},
        {OPERATION_STATE(DROPPED), "dropped"},
        {OPERATION_STATE(UNREACHABLE), "unreachable"},
        {OPERATION_STATE(GONE_BY_OPERATOR), "gone_by_operator"},
    };
    AUTO_FREE char *prefix =
        mem_printf("master/operations/%s%s", type != NULL ? type : "", type != NULL ? "/" : "");
    lower(prefix);
    uint64_t total = 0;
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        AUTO_FREE char *key = mem_printf("%s%s", prefix, names[i].name);
        out->put(out->ctx, key, (double)states[names[i].state]);
        total += states[names[i].state];
    }
    AUTO_FREE char *key = mem_printf("%stotal", prefix);
    out->put(out->ctx, key, (double)total);
}

static void put_operations(const struct master *m, struct metrics *out)
{
    uint64_t sums[OPERATION_STATE_COUNT] = {0};
    for (size_t type = 0; type < OPERATION_TYPE_COUNT; type++) {
        const char *name = operation_type_name((Mesos__V1__Offer__Operation__Type)type);
        bool is_launch = type == OPERATION(LAUNCH) || type == OPERATION(LAUNCH_GROUP);
        if (name == NULL || type == OPERATION(UNKNOWN) || is_launch)
            continue;
        for (size_t state = 0; state < OPERATION_STATE_COUNT; state++)
            sums[state] += m->operation_states[type][state];
        put_operation_states(name, m->operation_states[type], out);
    }
    put_operation_states(NULL, sums, out);
}

static void put_framework(const struct framework *f, struct metrics *out)
{
    AUTO_BUF struct buf name = BUF_INIT;
    text_percent_encode(&name, f->info->name);
    AUTO_FREE char *prefix =
        mem_printf("master/frameworks/%s/%s", name.data != NULL ? name.data : "", f->id);
    const struct {
        const char *name;
        double value;
    } values[] = {
        {"subscribed", f->subscriber != NULL},
        {"offers/sent", (double)f->offers_sent},
        {"offers/accepted", (double)f->offers_accepted},
        {"offers/declined", (double)f->offers_declined},
        {"offers/rescinded", (double)f->offers_rescinded},
    };
    for (size_t i = 0; i < ARRAY_COUNT(values); i++) {
        AUTO_FREE char *key = mem_printf("%s/%s", prefix, values[i].name);
        out->put(out->ctx, key, values[i].value);
    }
    put_named_counts(prefix, "calls", &mesos__v1__scheduler__call__type__descriptor, f->calls,
                     ARRAY_COUNT(f->calls), out);
    put_named_counts(prefix, "events", &mesos__v1__scheduler__event__type__descriptor, f->events,
                     ARRAY_COUNT(f->events), out);
    put_named_counts(prefix, "operations", &mesos__v1__offer__operation__type__descriptor,
                     f->operation_counts, ARRAY_COUNT(f->operation_counts), out);
    put_framework_states(f, prefix, out);
    for (size_t i = 0; i < f->role_count; i++) {
        AUTO_FREE char *key = mem_printf("%s/roles/%s/suppressed", prefix, f->roles[i]);
        out->put(out->ctx, key, allocator_is_suppressed(f->master->allocator, f->id, f->roles[i]));
    }
}

static void put_role_filters(void *ctx, const char *role, int64_t filters)
{
    struct metrics *out = ctx;
    AUTO_FREE char *key = mem_printf("allocator/mesos/offer_filters/roles/%s/active", role);
    out->put(out->ctx, key, (double)filters);
}

static void put_allocator(const struct master *m, struct metrics *out)
{
    struct allocator_statistics statistics;
    allocator_get_statistics(m->allocator, &statistics);
    out->put(out->ctx, "allocator/mesos/allocation_runs", (double)statistics.runs);
    static const char *const names[] = {"cpus", "mem", "disk"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        int64_t total, held;
        allocator_get_amounts(m->allocator, names[i], &total, &held);
        char name[64];
        snprintf(name, sizeof(name), "allocator/mesos/resources/%s/total", names[i]);
        out->put(out->ctx, name, (double)total / 1000);
        snprintf(name, sizeof(name), "allocator/mesos/resources/%s/offered_or_allocated", names[i]);
        out->put(out->ctx, name, (double)held / 1000);
    }
    allocator_walk_filters(m->allocator, put_role_filters, out);
}

void master_put_metrics(const struct master *m, struct instant now,
                        void (*put)(void *ctx, const char *name, double value), void *ctx)
{
    struct metrics out = {.put = put, .ctx = ctx};
    put(ctx, "master/uptime_secs", (double)(now.mono - m->started.mono) / (double)NS_PER_S);
    put_agents(m, &out);
    put_frameworks(m, &out);
    put_tasks(m, &out);
    put_resources(m, &out);
    put_operations(m, &out);
    for (size_t i = 0; i < COUNTER_COUNT; i++)
        put(ctx, counter_names[i], (double)m->counters[i]);
    MAP_FOREACH (&m->task_losses, entry)
        put(ctx, entry->key, (double)*(uint64_t *)entry->value);
    put_allocator(m, &out);
    master_principals_put(m, put, ctx);
    if (!m->options.publish_per_framework_metrics)
        return;
    MAP_FOREACH (&m->frameworks, entry)
        put_framework(entry->value, &out);
}
