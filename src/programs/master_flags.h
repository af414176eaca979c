// SPDX-License-Identifier: Apache-2.0
//
// The flags of mesos-master: Mesos' names, all of them. One that has no effect yet is accepted with
// its default only.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/flags.h"

enum { MASTER_FLAGS_PENDING_MAX = 64 };

struct master_flags {
    char *ip;
    int64_t port;
    char *advertise_ip;
    int64_t advertise_port; // 0: the port itself
    char *hostname;
    bool hostname_lookup;
    char *work_dir;
    char *registry;
    uint64_t quorum; // 0: not given
    int64_t registry_fetch_timeout;
    int64_t registry_store_timeout;
    char *zk; // NULL: the only master
    int64_t zk_session_timeout;
    char *cluster;
    char *roles;
    char *weights;
    bool root_submissions;
    int64_t allocation_interval; // 0: at once
    char *min_allocatable_resources;
    char *fair_sharing_excluded_resource_names;
    bool filter_gpu_resources;
    char *role_sorter;
    char *framework_sorter;
    bool demand_aware_shares;
    bool offer_packing;
    double allocator_agent_recovery_factor;
    int64_t allocator_recovery_timeout;
    char *whitelist; // the file's path; NULL: none
    char *domain;    // JSON; NULL: none
    bool require_agent_domain;
    uint64_t offer_constraints_re2_max_mem;
    int64_t offer_constraints_re2_max_program_size;
    int64_t offer_timeout; // 0: never
    int64_t agent_ping_timeout;
    uint64_t max_agent_ping_timeouts;
    int64_t agent_reregister_timeout;
    int64_t min_agent_reregister_timeout; // the least that it may be: a flag of ours
    char *recovery_agent_removal_limit;   // "50%"
    char *agent_removal_rate_limit;       // "1/10mins", or NULL
    bool registry_strict;
    bool log_auto_initialize;
    int64_t registry_gc_interval;
    int64_t registry_max_agent_age;
    uint64_t registry_max_agent_count;
    char *rate_limits; // JSON; NULL: none
    uint64_t max_completed_frameworks;
    uint64_t max_completed_tasks_per_framework;
    uint64_t max_unreachable_tasks_per_framework;
    bool publish_per_framework_metrics;
    uint64_t max_operator_event_stream_subscribers;
    uint64_t max_event_stream_size;
    uint64_t max_answers_size;
    char *webui_dir;
    bool quiet;
    char *firewall_rules;
    char *ip_discovery_command;
    int64_t logbufsecs;
    char *logging_level;
    char *log_format;
    char *log_dir;
    char *external_log_file;
    // Flags of Mesos that have no effect yet. Whatever the type, a value fits into 8 bytes.
    uint64_t pending[MASTER_FLAGS_PENDING_MAX];
};

// FLAGS_DONE, FLAGS_HELP, FLAGS_VERSION or a negative code. LIBPROCESS_* of the environment stand
// in for ip, port, advertise_ip and advertise_port.
int master_flags_parse(struct master_flags *flags, int argc, char *const argv[],
                       char *const environment[], struct error *err);
void master_flags_free(struct master_flags *flags);
// recovery_agent_removal_limit as a part of 1.
int master_flags_removal_limit(const struct master_flags *flags, double *ret_part,
                               struct error *err);
// The time between two removals that agent_removal_rate_limit leaves; 0: as many as there are.
int master_flags_removal_interval(const struct master_flags *flags, int64_t *ret_ns,
                                  struct error *err);
size_t master_flags_tables(const struct flag_table **ret_tables);
