// SPDX-License-Identifier: Apache-2.0
//
// What the agent core knows, for those who print it (src/api) and for its own files. Nobody outside
// src/agent writes these fields or keeps these pointers over a turn.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/agent.h"
#include "base/arena.h"
#include "base/list.h"
#include "base/map.h"
#include "base/prng.h"
#include "base/timer.h"
#include "base/uuid.h"
#include "model/resources.h"
#include "proto/mesos.pb-c.h"

enum {
    AGENT_COMPLETED_TASKS_MAX = 200, // per executor
    AGENT_COMPLETED_FRAMEWORKS_MAX = 50,
    AGENT_STATUSES_MAX = 64, // kept per task; the oldest goes
    AGENT_TASK_STATES = 16,  // above the largest TaskState
};

// A status update, shared by its task and its stream. Immutable once made.
struct agent_status {
    unsigned references;
    struct arena *arena; // owns the message
    Mesos__V1__TaskStatus *message;
};

//            launch sent         terminal update      acknowledged
//   QUEUED ---------------> LAUNCHED -----------> TERMINATED -----------> COMPLETED
//      \______ killed before it was sent ____________/
enum agent_task_stage { TASK_QUEUED, TASK_LAUNCHED, TASK_TERMINATED, TASK_COMPLETED };

struct agent_task {
    struct list link; // in the executor's list of its stage
    enum agent_task_stage stage;
    struct agent_executor *executor;
    uint64_t group;      // the same in all tasks that are launched together; 0: launched alone
    struct arena *arena; // owns `info`
    Mesos__V1__TaskInfo *info;
    struct resources *resources;    // allocated; NULL once it ended
    Mesos__V1__TaskState state;     // the newest
    struct agent_status **statuses; // oldest first
    size_t status_count;
    bool has_forwarded; // an update went to the master:
    Mesos__V1__TaskState forwarded_state;
    uint8_t forwarded_uuid[UUID_SIZE];
};

//               SUBSCRIBE            SHUTDOWN, timeout           container gone
//   REGISTERING ---------> RUNNING -----------------> TERMINATING -----------> TERMINATED
//   (each of them goes to TERMINATED when its container is gone)
enum agent_executor_state {
    EXECUTOR_REGISTERING,
    EXECUTOR_RUNNING,
    EXECUTOR_TERMINATING,
    EXECUTOR_TERMINATED,
    EXECUTOR_STATES
};

struct agent_executor {
    uint32_t magic;
    struct list link; // among the completed ones, once it is
    struct agent_framework *framework;
    struct arena *arena; // owns `info`
    Mesos__V1__ExecutorInfo *info;
    const char *id;    // in `info`
    uint64_t instance; // the master's number for it; 0: it has none
    bool is_generated; // made by the agent for a command task
    enum agent_executor_state state;
    char container_id[UUID_TEXT_SIZE];
    char *directory;   // its sandbox
    char *user;        // NULL: the agent's own
    pid_t pid;         // 0 while unknown
    void *stream;      // the shell's; NULL while it is not connected
    bool uses_volumes; // it, or a task that it had, named a persistent volume
    bool was_sent_task;
    bool is_recovering;   // taken over from a former process; neither back nor gone yet
    bool has_unsent_exit; // ended before the agent was registered again:
    int exit_status;      // as waitpid gives it, or -1
    struct list queued;   // struct agent_task, in order of arrival
    struct list launched;
    struct list terminated;
    struct list completed;
    size_t completed_count;
    struct resources *allocated;                 // its own and its live tasks'
    int64_t own_cpus, own_mem;                   // thousandths
    struct hard_limit_sum cpus_limit, mem_limit; // of its live tasks
    struct timer timer;                          // to register in time, then to end in time
    struct timer heartbeat;
    bool has_pending_termination; // why the agent itself destroys the container:
    Mesos__V1__TaskState pending_state;
    Mesos__V1__TaskStatus__Reason pending_reason;
    char *pending_message;
};

struct agent_framework {
    uint32_t magic;
    struct list link; // among the completed ones, once it is
    struct agent *agent;
    struct arena *arena; // owns `info`
    Mesos__V1__FrameworkInfo *info;
    const char *id;        // in `info`
    unsigned capabilities; // bits, see model/framework.h
    bool is_terminating;
    bool was_ending;                 // when an earlier process wrote it down
    struct map executors;            // id -> struct agent_executor
    struct map tasks;                // id -> struct agent_task; queued, launched, terminated
    struct list completed_executors; // oldest first
    size_t completed_executor_count;
};

struct agent_metrics {
    uint64_t tasks_finished, tasks_failed, tasks_killed, tasks_lost, tasks_gone, tasks_error;
    uint64_t executors_terminated, executors_preempted, container_launch_errors;
    uint64_t valid_status_updates, invalid_status_updates;
    uint64_t valid_framework_messages, invalid_framework_messages;
    uint64_t removals_succeeded, removals_failed;
    uint64_t recovery_errors;
};

//                  link opened            (RE)REGISTERED
//   DISCONNECTED ---------------> CONNECTED -------------> REGISTERED
//         ^___________________________|___________________________|      link closed
//   From each of them agent_shutdown leads to TERMINATING.
// An operation whose status the master has not acknowledged. The status is terminal: an operation
// is applied, or fails, when it comes.
struct agent_operation {
    struct agent *agent;
    struct arena *arena; // owns all below
    char *key;           // the uuid as text
    uint8_t uuid[UUID_SIZE];
    const char *framework_id; // NULL: an operator's
    Mesos__V1__Offer__Operation *info;
    Mesos__V1__OperationStatus *status; // with a uuid
    struct timer timer;                 // to send it again
    int64_t delay_ns;
};

enum agent_state { AGENT_DISCONNECTED, AGENT_CONNECTED, AGENT_REGISTERED, AGENT_TERMINATING };

// Paths that wait for their removal, in the order of their time.
struct agent_gc {
    struct list entries;
    struct map by_path; // -> its entry
    size_t removing;    // handed to remove_path, not yet reported
    struct timer timer;
    int64_t age_max_ns; // how old a sandbox may get at today's disk usage
};

struct agent {
    uint32_t magic;
    struct arena *arena;          // owns options' texts
    struct agent_options options; // `info` is NULL here
    struct agent_ops ops;
    void *ctx;
    struct timers timers;
    struct prng prng;
    double start_time; // seconds since 1970

    struct arena *info_arena;   // owns `info`
    Mesos__V1__AgentInfo *info; // `id` is NULL until registered
    char *ip;
    char *pid;                        // "slave(1)@ip:port"
    struct resources *oversubscribed; // revocable; NULL: there is no estimator
    struct resources *total;          // with dynamic reservations and volumes
    struct map operations;            // uuid as text -> struct agent_operation
    struct map doomed;                // path -> struct doomed_volume (volumes.c)
    struct timer doomed_turn;         // when what dooms them is durable

    enum agent_state state;
    bool is_resetting;             // removed by the master: forgets its id when idle
    bool has_ended;                // on_shut_down was called
    bool keeps_id;                 // over its end: the master said that it is gone
    Mesos__V1__DrainConfig *drain; // NULL: it is not draining
    struct arena *drain_arena;     // owns `drain`
    double drain_start_time;       // seconds since 1970, with `drain`
    bool is_recovering;            // does not register yet
    bool is_loading;               // within agent_recover: `allocated` is summed up in the end
    bool is_cleanup;               // ends what it recovered, and then itself
    size_t recovering_executors;   // with is_recovering
    struct timer recovery;         // until the executors must be back
    double recovery_time_s;        // what the recovery took; negative before its end
    struct timer registration;
    int64_t registration_backoff_ns;
    bool was_asked;    // the master was, over the link that is open, to admit the agent
    struct list exits; // executors that ended since the master was asked to admit the agent
    uint64_t connection_count;
    struct timer ping;
    int64_t ping_timeout_ns;
    struct arena *master_arena;    // owns `master`
    Mesos__V1__MasterInfo *master; // of the last registration, or NULL

    uint64_t group_count;             // task groups so far; numbers them
    struct map frameworks;            // id -> struct agent_framework
    struct list completed_frameworks; // oldest first
    size_t completed_framework_count;
    struct map containers; // id -> struct agent_executor, until it is gone
    struct map streams;    // framework id -> struct stream_group (streams.c)
    struct agent_gc gc;

    size_t task_states[AGENT_TASK_STATES]; // live tasks by state
    size_t executor_states[EXECUTOR_STATES];
    struct agent_metrics metrics;
};

// The Task message as the master and the operator API see it. Lives in `arena`, and points into the
// task.
Mesos__V1__Task *agent_task_message(const struct agent_task *task, struct arena *arena);
// The same for an operation.
Mesos__V1__Operation *agent_operation_message(const struct agent_operation *operation,
                                              struct arena *arena);
// The volumes that the executor and its tasks use, in the arena.
size_t agent_executor_volumes(const struct agent_executor *executor, struct arena *arena,
                              struct agent_volume **ret_volumes);
// What holds for its container where that is not what was allocated to it.
struct hard_limits agent_executor_limits(const struct agent_executor *executor);
// What all executors hold, as a new object.
struct resources *agent_used_resources(const struct agent *agent);
// The capabilities that it announces.
size_t agent_capabilities(const Mesos__V1__AgentInfo__Capability__Type **ret_types);
const char *agent_executor_state_name(enum agent_executor_state state); // "REGISTERING"
