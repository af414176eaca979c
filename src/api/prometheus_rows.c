// SPDX-License-Identifier: Apache-2.0
//
// How metrics are called in Prometheus' world: base units, counters that end in _total, agents
// instead of slaves, and labels where Mesos puts what varies into the name.

#include "api/prometheus.h"
#include "base/mem.h"

#define GAUGE(pattern, family, help)                                                               \
    {                                                                                              \
        pattern, family, PROMETHEUS_GAUGE, 0, NULL, help                                           \
    }
#define COUNTER(pattern, family, help)                                                             \
    {                                                                                              \
        pattern, family, PROMETHEUS_COUNTER, 0, NULL, help                                         \
    }
#define NONE(pattern)                                                                              \
    {                                                                                              \
        pattern, "", PROMETHEUS_NONE, 0, NULL, ""                                                  \
    }
#define LABELLED(pattern, family, kind, labels, help)                                              \
    {                                                                                              \
        pattern, family, kind, 0, labels, help                                                     \
    }

// "x_ms" and what is beneath it, of the newest samples.
#define TIMING(name, family, what)                                                                   \
    {name "_ms", family "_last_seconds", PROMETHEUS_GAUGE, 1e-3, NULL, what ": the newest one."},    \
        GAUGE(name "_ms/count", family "_recent_count", what ": how many the quantiles are of."),    \
        {name "_ms/min", family "_recent_seconds", PROMETHEUS_GAUGE,                                 \
         1e-3,           "quantile=\"0\"",         what ": quantiles of the newest."},               \
        {name "_ms/p50", family "_recent_seconds", PROMETHEUS_GAUGE, 1e-3, "quantile=\"0.5\"", ""},  \
        {name "_ms/p90", family "_recent_seconds", PROMETHEUS_GAUGE, 1e-3, "quantile=\"0.9\"", ""},  \
        {name "_ms/p95", family "_recent_seconds", PROMETHEUS_GAUGE, 1e-3, "quantile=\"0.95\"", ""}, \
        {name "_ms/p99", family "_recent_seconds", PROMETHEUS_GAUGE, 1e-3, "quantile=\"0.99\"", ""}, \
        {name "_ms/p999",      family "_recent_seconds",                                             \
         PROMETHEUS_GAUGE,     1e-3,                                                                 \
         "quantile=\"0.999\"", ""},                                                                  \
        {name "_ms/p9999",      family "_recent_seconds",                                            \
         PROMETHEUS_GAUGE,      1e-3,                                                                \
         "quantile=\"0.9999\"", ""},                                                                 \
    {                                                                                                \
        name "_ms/max", family "_recent_seconds", PROMETHEUS_GAUGE, 1e-3, "quantile=\"1\"", ""       \
    }

#define USE_LABELLED(prefix, family, rest, total_rest, help)                                       \
    LABELLED(prefix "/{resource}_revocable_" rest, family total_rest, PROMETHEUS_GAUGE,            \
             "revocable=\"true\"", help),                                                          \
        LABELLED(prefix "/{resource}_" rest, family total_rest, PROMETHEUS_GAUGE,                  \
                 "revocable=\"false\"", "")

// The resources of a daemon: all, used, and the share that is used.
#define USE(prefix, family, whose)                                                                 \
    USE_LABELLED(prefix, family, "total", "", whose " resources; mem and disk in MiB."),           \
        USE_LABELLED(prefix, family, "used", "_used",                                              \
                     whose " resources that executors and tasks hold."),                           \
        USE_LABELLED(prefix, family, "percent", "_used_ratio",                                     \
                     whose " resources that are held, from 0 to 1.")

#define FRAMEWORK "master/frameworks/{framework}/{framework_id}/"

const struct prometheus_row prometheus_rows[] = {
    // ---- frameworks ----
    GAUGE(FRAMEWORK "subscribed", "mesos_master_framework_subscribed",
          "Whether the framework is connected."),
    COUNTER(FRAMEWORK "offers/{result}", "mesos_master_framework_offers_total",
            "Offers to the framework: sent, accepted, declined, rescinded."),
    NONE(FRAMEWORK "calls"),
    COUNTER(FRAMEWORK "calls/{type}", "mesos_master_framework_calls_total",
            "Calls of the framework."),
    NONE(FRAMEWORK "events"),
    COUNTER(FRAMEWORK "events/{type}", "mesos_master_framework_events_total",
            "Events sent to the framework."),
    NONE(FRAMEWORK "operations"),
    COUNTER(FRAMEWORK "operations/{type}", "mesos_master_framework_operations_total",
            "Operations that the framework asked for when it accepted offers."),
    GAUGE(FRAMEWORK "tasks/active/{state}", "mesos_master_framework_tasks",
          "Tasks of the framework that have not ended, by state."),
    COUNTER(FRAMEWORK "tasks/terminal/{state}", "mesos_master_framework_tasks_ended_total",
            "Tasks of the framework that have ended, by state."),
    GAUGE(FRAMEWORK "roles/{role}/suppressed", "mesos_master_framework_role_suppressed",
          "Whether the framework wants no offers for the role."),
    COUNTER("frameworks/{principal}/messages_received", "mesos_master_messages_received_total",
            "Messages of frameworks that have the principal."),
    COUNTER("frameworks/{principal}/messages_processed", "mesos_master_messages_processed_total",
            "Messages of frameworks that have the principal which were handled."),

    // ---- the allocator ----
    GAUGE("allocator/mesos/offer_filters/roles/{role}/active", "mesos_allocator_offer_filters",
          "Filters of frameworks in the role that hold."),
    GAUGE("allocator/mesos/quota/roles/{role}/resources/{resource}/guarantee",
          "mesos_allocator_quota_guarantee", "What the role's quota guarantees."),
    GAUGE("allocator/mesos/quota/roles/{role}/resources/{resource}/limit",
          "mesos_allocator_quota_limit", "What the role's quota allows at most."),
    GAUGE("allocator/mesos/quota/roles/{role}/resources/{resource}/offered_or_allocated",
          "mesos_allocator_quota_offered_or_allocated",
          "What frameworks in the role, which has a quota, hold or are offered."),
    GAUGE("allocator/mesos/quota/roles/{role}/resources/{resource}/consumed",
          "mesos_allocator_quota_consumed",
          "What counts against the role's quota: held, or reserved for it."),
    GAUGE("allocator/mesos/resources/{resource}/total", "mesos_allocator_resources",
          "Resources that the allocator gives out; mem and disk in MiB."),
    GAUGE("allocator/mesos/resources/{resource}/offered_or_allocated",
          "mesos_allocator_resources_offered_or_allocated",
          "Resources that frameworks hold or are offered."),
    COUNTER("allocator/mesos/allocation_runs", "mesos_allocator_allocation_runs_total",
            "Rounds of the allocator."),
    TIMING("allocator/mesos/allocation_run", "mesos_allocator_allocation_run",
           "How long a round of the allocator takes"),
    TIMING("allocator/mesos/allocation_run_latency", "mesos_allocator_allocation_run_latency",
           "How long a round that is due has to wait"),
    NONE("allocator/mesos/event_queue_dispatches"),
    GAUGE("allocator/event_queue_dispatches", "mesos_allocator_event_queue_dispatches",
          "Rounds of the allocator that are due."),

    // ---- the registrar ----
    TIMING("registrar/state_store", "mesos_registrar_state_store",
           "How long a write of the registry takes"),
    {"registrar/state_fetch_ms", "mesos_registrar_state_fetch_seconds", PROMETHEUS_GAUGE, 1e-3,
     NULL, "How long reading the registry took."},
    GAUGE("registrar/log/recovered", "mesos_registrar_recovered",
          "Whether what the registry holds is known."),
    GAUGE("registrar/queued_operations", "mesos_registrar_queued_operations",
          "Writes of the registry that are not durable yet."),
    GAUGE("registrar/registry_size_bytes", "mesos_registrar_registry_size_bytes",
          "Size of the registry."),

    // ---- the master ----
    GAUGE("master/uptime_secs", "mesos_master_uptime_seconds", "Since the master began."),
    GAUGE("master/elected", "mesos_master_elected", "Whether this master leads."),
    USE("master", "mesos_master_resources", "The cluster's"),
    GAUGE("master/slaves_active", "mesos_master_agents_active", "Agents that get offers."),
    GAUGE("master/slaves_inactive", "mesos_master_agents_inactive", "Agents that do not."),
    GAUGE("master/slaves_connected", "mesos_master_agents_connected", "Agents with a link."),
    GAUGE("master/slaves_disconnected", "mesos_master_agents_disconnected",
          "Registered agents without a link."),
    GAUGE("master/slaves_unreachable", "mesos_master_agents_unreachable",
          "Agents that are marked unreachable."),
    GAUGE("master/frameworks_active", "mesos_master_frameworks_active",
          "Frameworks that get offers."),
    GAUGE("master/frameworks_inactive", "mesos_master_frameworks_inactive",
          "Frameworks that do not."),
    GAUGE("master/frameworks_connected", "mesos_master_frameworks_connected",
          "Frameworks with an open stream."),
    GAUGE("master/frameworks_disconnected", "mesos_master_frameworks_disconnected",
          "Frameworks without one."),
    GAUGE("master/outstanding_offers", "mesos_master_outstanding_offers",
          "Offers that were not answered yet."),
    LABELLED("master/tasks_staging", "mesos_master_tasks", PROMETHEUS_GAUGE, "state=\"staging\"",
             "Tasks that have not ended, by state."),
    LABELLED("master/tasks_starting", "mesos_master_tasks", PROMETHEUS_GAUGE, "state=\"starting\"",
             ""),
    LABELLED("master/tasks_running", "mesos_master_tasks", PROMETHEUS_GAUGE, "state=\"running\"",
             ""),
    LABELLED("master/tasks_killing", "mesos_master_tasks", PROMETHEUS_GAUGE, "state=\"killing\"",
             ""),
    LABELLED("master/tasks_unreachable", "mesos_master_tasks", PROMETHEUS_GAUGE,
             "state=\"unreachable\"", ""),
    COUNTER("master/tasks_{state}", "mesos_master_tasks_ended_total",
            "Tasks that have ended, by state."),
    COUNTER("master/task_{state}/source_{source}/reason_{reason}",
            "mesos_master_tasks_ended_by_reason_total",
            "Tasks that have ended, by state, who said so, and why."),
    NONE("master/operations/total"),
    NONE("master/operations/{type}/total"),
    LABELLED("master/operations/{type}/pending", "mesos_master_operations", PROMETHEUS_GAUGE,
             "state=\"pending\"", "Operations that have not ended, by type and state."),
    LABELLED("master/operations/{type}/recovering", "mesos_master_operations", PROMETHEUS_GAUGE,
             "state=\"recovering\"", ""),
    LABELLED("master/operations/{type}/unreachable", "mesos_master_operations", PROMETHEUS_GAUGE,
             "state=\"unreachable\"", ""),
    COUNTER("master/operations/{type}/{state}", "mesos_master_operations_ended_total",
            "Operations that have ended, by type and state."),
    NONE("master/operations/{state}"),
    COUNTER("master/slave_registrations", "mesos_master_agent_registrations_total",
            "Agents that registered."),
    COUNTER("master/slave_reregistrations", "mesos_master_agent_reregistrations_total",
            "Agents that came back."),
    COUNTER("master/slave_removals/reason_{reason}", "mesos_master_agent_removals_by_reason_total",
            "Agents that were removed, by reason."),
    COUNTER("master/slave_removals", "mesos_master_agent_removals_total",
            "Agents that were removed."),
    COUNTER("master/slave_unreachable_{stage}", "mesos_master_agent_unreachable_total",
            "Agents to be marked unreachable: scheduled, completed, canceled."),
    COUNTER("master/slave_shutdowns_{stage}", "mesos_master_agent_shutdowns_total",
            "Agents to be shut down: scheduled, completed, canceled."),
    COUNTER("master/recovery_slave_removals", "mesos_master_recovery_agent_removals_total",
            "Agents that did not come back after a failover."),
    COUNTER("master/messages_register_slave", "mesos_master_messages_total",
            "Messages of frameworks, executors and agents, by type."),
    COUNTER("master/messages_{type}", "mesos_master_messages_total", ""),
    COUNTER("master/dropped_messages", "mesos_master_dropped_messages_total",
            "Messages that were dropped."),
    COUNTER("master/valid_{type}", "mesos_master_valid_messages_total",
            "Messages that were in order, by type."),
    COUNTER("master/invalid_{type}", "mesos_master_invalid_messages_total",
            "Messages that were not, by type."),
    GAUGE("master/operator_event_stream_subscribers",
          "mesos_master_operator_event_stream_subscribers", "Open streams of the operator API."),
    COUNTER("master/slow_answers_closed", "mesos_master_slow_answers_closed_total",
            "Answers that were cut off because the client did not read them."),
    COUNTER("master/slow_event_streams_closed", "mesos_master_slow_event_streams_closed_total",
            "Event streams that were cut off because the client did not read them."),
    GAUGE("master/event_queue_{kind}", "mesos_master_event_queue",
          "What waits to be handled, by kind."),

    // ---- the agent ----
    GAUGE("slave/uptime_secs", "mesos_agent_uptime_seconds", "Since the agent began."),
    GAUGE("slave/recovery_time_secs", "mesos_agent_recovery_time_seconds",
          "How long finding executors again took."),
    GAUGE("slave/registered", "mesos_agent_registered", "Whether it is registered with a master."),
    USE("slave", "mesos_agent_resources", "The agent's"),
    GAUGE("slave/frameworks_active", "mesos_agent_frameworks_active",
          "Frameworks that have executors here."),
    LABELLED("slave/tasks_staging", "mesos_agent_tasks", PROMETHEUS_GAUGE, "state=\"staging\"",
             "Tasks that have not ended, by state."),
    LABELLED("slave/tasks_starting", "mesos_agent_tasks", PROMETHEUS_GAUGE, "state=\"starting\"",
             ""),
    LABELLED("slave/tasks_running", "mesos_agent_tasks", PROMETHEUS_GAUGE, "state=\"running\"", ""),
    LABELLED("slave/tasks_killing", "mesos_agent_tasks", PROMETHEUS_GAUGE, "state=\"killing\"", ""),
    COUNTER("slave/tasks_{state}", "mesos_agent_tasks_ended_total",
            "Tasks that have ended, by state."),
    COUNTER("slave/executors_terminated", "mesos_agent_executors_terminated_total",
            "Executors that have ended."),
    COUNTER("slave/executors_preempted", "mesos_agent_executors_preempted_total",
            "Executors that were ended to take revocable resources back."),
    GAUGE("slave/executors_{state}", "mesos_agent_executors",
          "Executors that have not ended, by state."),
    GAUGE("slave/executor_directory_max_allowed_age_secs",
          "mesos_agent_executor_directory_max_allowed_age_seconds",
          "How old a sandbox may become at this use of the disk."),
    COUNTER("slave/container_launch_errors", "mesos_agent_container_launch_errors_total",
            "Containers that could not be started."),
    COUNTER("slave/recovery_errors", "mesos_agent_recovery_errors_total",
            "What could not be read when the agent began."),
    COUNTER("slave/valid_{type}", "mesos_agent_valid_messages_total",
            "Messages that were in order, by type."),
    COUNTER("slave/invalid_{type}", "mesos_agent_invalid_messages_total",
            "Messages that were not, by type."),
    COUNTER("slave/slow_event_streams_closed", "mesos_agent_slow_event_streams_closed_total",
            "Event streams that were cut off because the client did not read them."),
    GAUGE("gc/path_removals_pending", "mesos_agent_gc_path_removals_pending",
          "Directories that will be removed."),
    COUNTER("gc/path_removals_{result}", "mesos_agent_gc_path_removals_total",
            "Directories that were removed, or could not be."),
    COUNTER("containerizer/mesos/container_destroy_errors",
            "mesos_containerizer_container_destroy_errors_total",
            "Containers that could not be ended in order."),
    COUNTER("containerizer/fetcher/task_fetches_{result}",
            "mesos_containerizer_fetcher_task_fetches_total",
            "Tasks whose URIs were fetched, or could not be."),
    GAUGE("containerizer/fetcher/cache_size_total_bytes",
          "mesos_containerizer_fetcher_cache_size_bytes", "How large the cache may become."),
    GAUGE("containerizer/fetcher/cache_size_used_bytes",
          "mesos_containerizer_fetcher_cache_used_bytes", "What the cache holds."),

    // ---- the machine ----
    GAUGE("system/load_{interval}", "mesos_system_load", "The machine's load."),
    GAUGE("system/cpus_total", "mesos_system_cpus", "The machine's processors."),
    GAUGE("system/mem_total_bytes", "mesos_system_mem_bytes", "The machine's memory."),
    GAUGE("system/mem_free_bytes", "mesos_system_mem_free_bytes", "What is free of it."),
};

const size_t prometheus_row_count = ARRAY_COUNT(prometheus_rows);
