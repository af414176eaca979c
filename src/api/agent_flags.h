// SPDX-License-Identifier: Apache-2.0
//
// The flags of mesos-agent.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/flags.h"

enum { AGENT_FLAGS_PENDING_MAX = 128 };

struct agent_flags {
    char *master;
    int64_t zk_session_timeout;
    char *ip;
    int64_t port;
    char *advertise_ip;
    int64_t advertise_port; // 0: the port itself
    char *hostname;
    bool hostname_lookup;
    char *domain;
    char *work_dir;
    char *runtime_dir;  // NULL: /var/run/mesos for root, else beneath work_dir
    char *launcher_dir; // NULL: where the program itself lies, or ../libexec/mesos from there
    char *launcher;
    char *isolation;
    char *cgroups_hierarchy;
    char *cgroups_root;
    bool cgroups_enable_cfs;
    bool revocable_cpu_low_priority;
    bool cgroups_limit_swap;
    int64_t cgroups_destroy_timeout;
    bool switch_user;
    char *resources;
    char *default_role;
    char *attributes;
    int64_t gc_delay;
    double gc_disk_headroom;
    int64_t disk_watch_interval;
    int64_t registration_backoff_factor;
    int64_t executor_registration_timeout;
    int64_t executor_reregistration_timeout;
    int64_t executor_shutdown_grace_period;
    int64_t http_heartbeat_interval;
    char *executor_environment_variables;
    int64_t recovery_timeout;
    char *recover;
    bool strict;
    char *reconfiguration_policy;
    uint64_t max_completed_executors_per_framework;
    uint64_t max_event_stream_size;
    char *fetcher_cache_dir;
    uint64_t fetcher_cache_size;
    int64_t fetcher_stall_timeout;
    char *frameworks_home;
    char *modules;            // JSON
    char *resource_estimator; // NULL: none
    char *qos_controller;     // likewise
    int64_t qos_correction_interval_min;
    int64_t oversubscribed_resources_interval;
    bool quiet;
    char *firewall_rules;
    char *ip_discovery_command;
    int64_t logbufsecs;
    char *logging_level;
    char *log_format;
    char *log_dir;
    char *external_log_file;
    // Flags of Mesos that have no effect yet. Whatever the type, a value fits into 8 bytes.
    uint64_t pending[AGENT_FLAGS_PENDING_MAX];
};

// Its tables, for /flags and --help.
size_t agent_flags_tables(const struct flag_table **ret_tables);

// flags_parse, then what goes beyond a single value. A flag of Mesos that has no effect yet may be
// given only with its default value. Returns FLAGS_HELP, FLAGS_VERSION or a negative code likewise.
int agent_flags_parse(struct agent_flags *flags, int argc, char *const argv[],
                      char *const environment[], struct error *err);
void agent_flags_free(struct agent_flags *flags);
