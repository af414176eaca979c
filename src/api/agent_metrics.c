// SPDX-License-Identifier: Apache-2.0
//
// The agent's metrics, under Mesos' names.

#include <stdio.h>

#include "api/agent_daemon.h"
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
