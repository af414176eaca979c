// SPDX-License-Identifier: Apache-2.0
//
// The agent's metrics, under Mesos' names; and what its containers use, for Prometheus.

#include <stdio.h>

#include "api/agent_daemon.h"
#include "api/prometheus.h"
#include "base/check.h"
#include "base/mem.h"

#define NS_TO_S 1e-9

// Counters, by their place in the core's struct.
static const struct {
    const char *name;
    size_t offset;
} counters[] = {
#define COUNTER(metric_name, member)                                                               \
    {                                                                                              \
        metric_name, offsetof(struct agent_metrics, member)                                        \
    }
    COUNTER("slave/tasks_finished", tasks_finished),
    COUNTER("slave/tasks_failed", tasks_failed),
    COUNTER("slave/tasks_killed", tasks_killed),
    COUNTER("slave/tasks_lost", tasks_lost),
    COUNTER("slave/tasks_gone", tasks_gone),
    COUNTER("slave/tasks_error", tasks_error),
    COUNTER("slave/executors_terminated", executors_terminated),
    COUNTER("slave/executors_preempted", executors_preempted),
    COUNTER("slave/container_launch_errors", container_launch_errors),
    COUNTER("slave/valid_status_updates", valid_status_updates),
    COUNTER("slave/invalid_status_updates", invalid_status_updates),
    COUNTER("slave/valid_framework_messages", valid_framework_messages),
    COUNTER("slave/invalid_framework_messages", invalid_framework_messages),
    COUNTER("slave/recovery_errors", recovery_errors),
    COUNTER("gc/path_removals_succeeded", removals_succeeded),
    COUNTER("gc/path_removals_failed", removals_failed),
#undef COUNTER
};

static const struct {
    const char *name;
    Mesos__V1__TaskState state;
} task_states[] = {
    {"slave/tasks_staging", MESOS__V1__TASK_STATE__TASK_STAGING},
    {"slave/tasks_starting", MESOS__V1__TASK_STATE__TASK_STARTING},
    {"slave/tasks_running", MESOS__V1__TASK_STATE__TASK_RUNNING},
    {"slave/tasks_killing", MESOS__V1__TASK_STATE__TASK_KILLING},
};

static const struct {
    const char *name;
    enum agent_executor_state state;
} executor_states[] = {
    {"slave/executors_registering", EXECUTOR_REGISTERING},
    {"slave/executors_running", EXECUTOR_RUNNING},
    {"slave/executors_terminating", EXECUTOR_TERMINATING},
};

// slave/<name><infix>_total, _used and _percent.
static void put_use(struct api_metric_sink *sink, const char *name, const char *infix,
                    const struct resources *total, const struct resources *used)
{
    char metric[64];
    double all = (double)resources_scalar(total, name) / 1000;
    double part = (double)resources_scalar(used, name) / 1000;
    snprintf(metric, sizeof(metric), "slave/%s%s_total", name, infix);
    api_metric(sink, metric, all);
    snprintf(metric, sizeof(metric), "slave/%s%s_used", name, infix);
    api_metric(sink, metric, part);
    snprintf(metric, sizeof(metric), "slave/%s%s_percent", name, infix);
    api_metric(sink, metric, all > 0 ? part / all : 0);
}

static void put_resources(struct api_metric_sink *sink, const struct agent *agent)
{
    static const char *const names[] = {"cpus", "gpus", "mem", "disk"};
    struct resources *used AUTO_RESOURCES = agent_used_resources(agent);
    struct resources *total_kept AUTO_RESOURCES = resources_non_revocable(agent->total);
    struct resources *used_kept AUTO_RESOURCES = resources_non_revocable(used);
    struct resources *total_revocable AUTO_RESOURCES = resources_revocable(agent->total);
    struct resources *used_revocable AUTO_RESOURCES = resources_revocable(used);
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        put_use(sink, names[i], "", total_kept, used_kept);
        put_use(sink, names[i], "_revocable", total_revocable, used_revocable);
    }
}

static void put_containerizer(struct api_metric_sink *sink, const struct agent_daemon *d)
{
    struct containerizer_metrics m;
    containerizer_get_metrics(d->containerizer, &m);
    api_metric(sink, "containerizer/mesos/container_destroy_errors", (double)m.destroy_errors);
    api_metric(sink, "containerizer/fetcher/task_fetches_succeeded", (double)m.fetches_succeeded);
    api_metric(sink, "containerizer/fetcher/task_fetches_failed", (double)m.fetches_failed);
    api_metric(sink, "containerizer/fetcher/cache_size_total_bytes", (double)m.cache_size_total);
    api_metric(sink, "containerizer/fetcher/cache_size_used_bytes", (double)m.cache_size_used);
}

void agent_metrics_put(void *ctx, struct api_metric_sink *sink)
{
    struct agent_daemon *d = ctx;
    const struct agent *agent = d->agent;
    double now = (double)env_now(d->env).wall * NS_TO_S;
    api_put_system_metrics(sink);
    api_metric(sink, "slave/uptime_secs", now - agent->start_time);
    if (agent->recovery_time_s >= 0) {
        api_metric(sink, "slave/recovery_time_secs", agent->recovery_time_s);
    }
    api_metric(sink, "slave/registered", agent->state == AGENT_REGISTERED ? 1 : 0);
    api_metric(sink, "slave/slow_event_streams_closed", (double)d->slow_streams_closed);
    api_metric(sink, "slave/frameworks_active", (double)agent->frameworks.count);
    api_metric(sink, "slave/executor_directory_max_allowed_age_secs",
               (double)agent->gc.age_max_ns * NS_TO_S);
    api_metric(sink, "gc/path_removals_pending",
               (double)(agent->gc.by_path.count + agent->gc.removing));
    for (size_t i = 0; i < ARRAY_COUNT(counters); i++) {
        const char *at = (const char *)&agent->metrics + counters[i].offset;
        api_metric(sink, counters[i].name, (double)*(const uint64_t *)(const void *)at);
    }
    for (size_t i = 0; i < ARRAY_COUNT(task_states); i++) {
        api_metric(sink, task_states[i].name, (double)agent->task_states[task_states[i].state]);
    }
    for (size_t i = 0; i < ARRAY_COUNT(executor_states); i++) {
        api_metric(sink, executor_states[i].name,
                   (double)agent->executor_states[executor_states[i].state]);
    }
    put_resources(sink, agent);
    put_containerizer(sink, d);
}

// ---- containers ----

struct container_use {
    const struct agent_executor *executor;
    const Mesos__V1__ResourceStatistics *statistics;
};

// A field of ResourceStatistics and its family.
static const struct {
    const char *field;
    const char *family;
    enum prometheus_kind kind;
    const char *help;
} container_rows[] = {
    {"cpus_user_time_secs", "mesos_agent_container_cpus_user_seconds_total", PROMETHEUS_COUNTER,
     "Time that the container's processes spent in user mode."},
    {"cpus_system_time_secs", "mesos_agent_container_cpus_system_seconds_total", PROMETHEUS_COUNTER,
     "Time that the kernel spent for them."},
    {"cpus_limit", "mesos_agent_container_cpus_limit", PROMETHEUS_GAUGE,
     "Processors that the container may use."},
    {"cpus_nr_throttled", "mesos_agent_container_cpus_throttled_periods_total", PROMETHEUS_COUNTER,
     "Periods in which it was held up."},
    {"cpus_throttled_time_secs", "mesos_agent_container_cpus_throttled_seconds_total",
     PROMETHEUS_COUNTER, "How long it was held up."},
    {"mem_limit_bytes", "mesos_agent_container_mem_limit_bytes", PROMETHEUS_GAUGE,
     "Memory that the container may use."},
    {"mem_total_bytes", "mesos_agent_container_mem_bytes", PROMETHEUS_GAUGE,
     "Memory that it uses, with its part of the page cache."},
    {"mem_rss_bytes", "mesos_agent_container_mem_rss_bytes", PROMETHEUS_GAUGE,
     "Memory that it uses, without."},
    {"processes", "mesos_agent_container_processes", PROMETHEUS_GAUGE, "Its processes."},
    {"threads", "mesos_agent_container_threads", PROMETHEUS_GAUGE, "Their threads."},
};

// The number in that optional field; false when it is not set.
static bool get_number(const Mesos__V1__ResourceStatistics *statistics, const char *name,
                       double *ret_value)
{
    const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field_by_name(
        &mesos__v1__resource_statistics__descriptor, name);
    CHECK(field != NULL);
    const char *start = (const char *)statistics;
    if (!*(const protobuf_c_boolean *)(const void *)(start + field->quantifier_offset))
        return false;
    const void *at = start + field->offset;
    if (field->type == PROTOBUF_C_TYPE_DOUBLE)
        *ret_value = *(const double *)at;
    else if (field->type == PROTOBUF_C_TYPE_UINT64)
        *ret_value = (double)*(const uint64_t *)at;
    else
        *ret_value = (double)*(const uint32_t *)at;
    return true;
}

static size_t list_uses(struct agent_daemon *d, struct arena *arena,
                        struct container_use **ret_uses)
{
    struct container_use *uses = arena_calloc(arena, d->agent->containers.count + 1, sizeof(*uses));
    size_t count = 0;
    MAP_FOREACH (&d->agent->containers, entry) {
        const struct agent_executor *executor = entry->value;
        Mesos__V1__ResourceStatistics *statistics;
        if (containerizer_usage(d->containerizer, executor->container_id, arena, &statistics,
                                NULL) == 0)
            uses[count++] = (struct container_use){executor, statistics};
    }
    *ret_uses = uses;
    return count;
}

void agent_metrics_put_prometheus(void *ctx, struct buf *out)
{
    struct agent_daemon *d = ctx;
    const struct agent *agent = d->agent;
    const struct prometheus_label labels[] = {
        {"version", MESOS_VERSION},
        {"meseta_version", MESETA_VERSION},
        {"agent_id", agent->info->id != NULL ? agent->info->id->value : ""},
        {"hostname", agent->info->hostname}};
    prometheus_put_head(out, "mesos_agent_info", PROMETHEUS_GAUGE, "Which agent this is.");
    prometheus_put_sample(out, "mesos_agent_info", labels, ARRAY_COUNT(labels), 1);
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    struct container_use *uses;
    size_t count = list_uses(d, arena, &uses);
    for (size_t row = 0; row < ARRAY_COUNT(container_rows); row++) {
        bool has_head = false;
        for (size_t i = 0; i < count; i++) {
            const struct agent_executor *e = uses[i].executor;
            double value;
            if (!get_number(uses[i].statistics, container_rows[row].field, &value))
                continue;
            if (!has_head)
                prometheus_put_head(out, container_rows[row].family, container_rows[row].kind,
                                    container_rows[row].help);
            has_head = true;
            const struct prometheus_label container[] = {{"framework_id", e->framework->id},
                                                         {"executor_id", e->id},
                                                         {"container_id", e->container_id}};
            prometheus_put_sample(out, container_rows[row].family, container,
                                  ARRAY_COUNT(container), value);
        }
    }
}
