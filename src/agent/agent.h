// SPDX-License-Identifier: Apache-2.0
//
// The agent core: what an agent knows and decides, without I/O. It is handed decoded messages and
// `now`, changes its state, and asks for effects through `struct agent_ops`. It makes no system
// call. state.h shows what it knows to those who print it.
//
// Who drives it runs agent_run_timers() when agent_next_deadline() is due. No function here may be
// called from within an effect.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/timer.h"
#include "model/hard_limits.h"
#include "model/resources.h"
#include "proto/executor.pb-c.h"
#include "proto/link.pb-c.h"
#include "proto/mesos.pb-c.h"

struct agent;

// ---- effects ----

// One executor to be started. All pointers are valid during the call only.
struct agent_launch {
    const char *container_id;
    const char *sandbox; // the run's directory, absolute; to be made
    const char *latest;  // the link that is to point at it
    const char *user;    // to run as; NULL: the agent's own user
    const Mesos__V1__CommandInfo *command;
    char *const *environment;                  // "NAME=value", complete, NULL-terminated
    const struct resources *resources;         // executor's and its first task's
    struct hard_limits limits;                 // of them together
    bool is_command_task;                      // the container is one task's alone
    const Mesos__V1__ContainerInfo *container; // or NULL
    bool outlives_agent;                       // it goes on when the agent's process ends
    const struct agent_volume *volumes;        // the executor's and its first tasks'
    size_t volume_count;
};

// A persistent volume in a sandbox.
struct agent_volume {
    const char *path;           // the volume's directory
    const char *container_path; // where it appears: relative to the sandbox
    bool keeps_owner;           // another container uses it as well
    bool is_read_only;
};

// How a container ended.
struct agent_termination {
    bool has_status;
    int status; // as waitpid gives it
    bool has_reason;
    Mesos__V1__TaskStatus__Reason reason;
    const char *message;             // or NULL
    const struct resources *limited; // what went beyond its limit, or NULL
};

// None of them calls back into the core. Messages are valid during the call only.
struct agent_ops {
    void (*send_to_master)(void *ctx, const Meseta__Link__ToMaster *message);
    // `stream` is what was handed to agent_subscribe.
    void (*send_event)(void *ctx, void *stream, const Mesos__V1__Executor__Event *event);
    // The core forgets the stream with this call.
    void (*close_stream)(void *ctx, void *stream);
    // 0: agent_container_terminated will be called once, some day. Negative: refused, with a text.
    int (*container_launch)(void *ctx, const struct agent_launch *launch, struct error *err);
    int (*container_update)(void *ctx, const char *container_id, const struct resources *resources,
                            const struct hard_limits *limits, struct error *err);
    void (*container_destroy)(void *ctx, const char *container_id);
    // Out of the way at once, then agent_path_removed.
    void (*remove_path)(void *ctx, const char *path);
    // The master is silent: close the link, find the leader, connect again.
    void (*reconnect)(void *ctx);
    // After agent_shutdown: nothing runs any more.
    void (*on_shut_down)(void *ctx);
    // Keeps the message under `key`, for agent_recover of a later process; NULL takes the key away.
    // Whatever else is asked for in this turn must not leave before that is durable. NULL here:
    // nothing outlives this agent.
    void (*checkpoint)(void *ctx, const char *key, const ProtobufCMessage *message);
    // Makes the directory of a persistent volume, or finds it there. `is_mount`: it is a disk of
    // its own, which must be there. These three may be NULL: then there are no directories.
    int (*volume_make)(void *ctx, const char *path, bool is_mount, struct error *err);
    // Its content goes, out of the way at once; then agent_volume_removed.
    void (*volume_remove)(void *ctx, const char *path, bool is_mount);
    // What is to be seen in a container from now on.
    int (*volumes_update)(void *ctx, const char *container_id, const struct agent_volume *volumes,
                          size_t count, struct error *err);
};

// ---- making ----

struct agent_options {
    const char *work_dir;     // absolute
    const char *launcher_dir; // absolute; where mesos-executor is
    bool switch_user;
    // What containers can be held to (TaskInfo.limits); and whether what they ask for of cpus is a
    // hard limit.
    bool limits_cpus, limits_mem, enables_cfs;
    int64_t executor_registration_timeout_ns;
    int64_t executor_shutdown_grace_period_ns;
    int64_t registration_backoff_factor_ns;
    int64_t gc_delay_ns;
    double gc_disk_headroom;
    size_t max_completed_executors; // per framework
    // Environment of executors before what the agent adds: "NAME=value", NULL-terminated.
    char *const *environment;
    // With checkpointing frameworks: what MESOS_RECOVERY_TIMEOUT and MESOS_SUBSCRIPTION_BACKOFF_MAX
    // say.
    int64_t recovery_timeout_ns;
    int64_t executor_reregistration_timeout_ns;
    // What it tells of itself. `info` is copied; its id is the core's to set.
    const Mesos__V1__AgentInfo *info;
    const char *ip;      // as text
    uint64_t seed;       // for uuids and jitter
    const char *boot_id; // of the machine's start; "" when unknown
};

struct agent *agent_new(const struct agent_options *options, const struct agent_ops *ops, void *ctx,
                        struct instant now, struct error *err); // NULL: resources are not sound
struct agent *agent_free(struct agent *agent);                  // no effects; NULL is fine

int64_t agent_next_deadline(const struct agent *agent); // monotonic; INT64_MAX: none
void agent_run_timers(struct agent *agent, struct instant now);

// The agent's own address, when it was not known at start (no --ip). Before it is registered.
void agent_set_address(struct agent *agent, const char *ip, const char *hostname);

// ---- recovery ----

// What an earlier process had asked to keep (`checkpoint` above).
struct agent_record {
    const char *key;
    const void *value;
    size_t size;
};

struct agent_recovery {
    const struct agent_record *records;
    size_t count;
    bool is_strict;      // what cannot be understood is an error, rather than left out
    bool is_additive;    // the agent may offer more than it did; else it must be the same
    bool is_cleanup;     // end what still runs, then on_shut_down
    bool takes_hostname; // the own host name is not known yet: take over the former one
};

// Takes over what the records tell, before anything else. Afterwards agent->containers are those
// that may still run: for each of them agent_container_launched (it does) or
// agent_container_terminated is to follow; then agent_recovery_start. Until all executors are back
// or gone, or --executor_reregistration_timeout is over, the agent does not register.
// `ret_is_rebooted`: the machine was started anew since, so that no container can be alive. An
// error has a text: -EBADMSG (records that make no sense), -EINVAL (the agent changed too much).
int agent_recover(struct agent *agent, const struct agent_recovery *recovery, bool *ret_is_rebooted,
                  struct instant now, struct error *err);
void agent_recovery_start(struct agent *agent, struct instant now);

// ---- the master ----
void agent_link_opened(struct agent *agent, struct instant now);
void agent_link_closed(struct agent *agent, struct instant now);
void agent_receive(struct agent *agent, const Meseta__Link__ToAgent *message, struct instant now);

// ---- executors ----
// What is checked before a call is acted on. 0, or the HTTP status to answer with and the text.
int agent_check_call(const struct agent *agent, const Mesos__V1__Executor__Call *call,
                     struct error *err);
// A SUBSCRIBE that passed the check. `stream` stands for the open answer until close_stream was
// asked for or agent_stream_closed says that it broke.
void agent_subscribe(struct agent *agent, const Mesos__V1__Executor__Call *call, void *stream,
                     struct instant now);
void agent_stream_closed(struct agent *agent, const char *framework_id, const char *executor_id,
                         void *stream);
// An UPDATE, MESSAGE or HEARTBEAT that passed the check.
void agent_call(struct agent *agent, const Mesos__V1__Executor__Call *call, struct instant now);

// ---- containers ----
void agent_container_launched(struct agent *agent, const char *container_id, pid_t pid,
                              struct instant now);
void agent_container_terminated(struct agent *agent, const char *container_id,
                                const struct agent_termination *termination, struct instant now);

// ---- disk ----
// How full the work directory's file system is, 0 to 1: asked for every --disk_watch_interval. Old
// sandboxes go the earlier the fuller it is.
void agent_disk_usage(struct agent *agent, double usage, struct instant now);
void agent_path_removed(struct agent *agent, bool succeeded);
// A sandbox of a former process, last changed so long ago. After agent_recover, the youngest first.
void agent_leftover_found(struct agent *agent, const char *path, int64_t age_ns,
                          struct instant now);

// ---- volumes ----
void agent_volume_removed(struct agent *agent, const char *path, bool succeeded);

// ---- oversubscription ----
// What is offered a second time, as revocable resources; the master is told when it changed.
void agent_set_oversubscribed(struct agent *agent, const struct resources *estimate);
// Takes down every executor that uses revocable resources. Returns their number.
size_t agent_preempt_revocable(struct agent *agent);

// ---- the end ----
// Unregisters, shuts the executors down, and then says on_shut_down.
void agent_shutdown(struct agent *agent, const char *message, struct instant now);
// No more grace: destroys what still runs.
void agent_destroy_containers(struct agent *agent);
