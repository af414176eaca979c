// SPDX-License-Identifier: Apache-2.0
//
// The registry objects of the master. Written by src/master only; src/api/master_state.c reads them
// for the endpoints. Each object has one owner: frameworks own their tasks (running, unreachable
// and completed), agents own executors, the master owns agents, frameworks and offers.
//
// A task is packed: one block holds the record and its texts; what nobody but the endpoints looks
// at (labels, container, statuses) is kept encoded. Operations are the agent's on which they work.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "allocator/allocator.h"
#include "base/arena.h"
#include "base/list.h"
#include "base/map.h"
#include "base/prng.h"
#include "base/timer.h"
#include "base/uuid.h"
#include "master/master.h"
#include "model/resources.h"
#include "proto/allocator.pb-c.h"
#include "proto/maintenance.pb-c.h"
#include "proto/quota.pb-c.h"

enum { TASK_STATE_COUNT = 15, OPERATION_TYPE_COUNT = 15, OPERATION_STATE_COUNT = 10 };

struct packed {
    uint32_t size;
    uint8_t data[];
};

enum task_place {
    TASK_ON_AGENT,    // in framework->tasks and on its agent
    TASK_UNREACHABLE, // in framework->unreachable
    TASK_COMPLETED,   // in framework->completed
};

enum { TASK_STATUSES_INLINE = 2 };

struct task {
    uint32_t magic;
    uint8_t place;    // enum task_place
    bool holds;       // its resources are counted as used
    bool has_update;  // an update that wants an acknowledgement was forwarded
    bool kill_wanted; // a KILL came; it is sent again when the agent returns
    Mesos__V1__TaskState state;
    Mesos__V1__TaskState update_state; // of the newest forwarded update
    uint8_t update_uuid[UUID_SIZE];
    struct framework *framework;
    struct agent *agent;               // NULL unless TASK_ON_AGENT
    struct agent_use *use;             // as `agent`: what it holds there
    struct list by_agent;              // agent->tasks, or those of its unreachable agent
    struct list by_place;              // framework->unreachable_order or completed
    const struct resources *resources; // allocated to the role it was launched for; shared
    const char *id;                    // these texts lie behind the record
    const char *name;
    const char *agent_id;
    const char *executor_id;  // NULL for a command task
    struct packed *details;   // an encoded Task: what else endpoints show
    struct packed **statuses; // encoded TaskStatus, oldest first, without data and ids
    struct packed *few_statuses[TASK_STATUSES_INLINE]; // is `statuses` while these suffice
    uint32_t status_count;
    Mesos__V1__TaskState last_state; // of the newest of statuses
    uint32_t seen;                   // the newest snapshot that has it, or came before it
};

struct executor {
    struct framework *framework;
    struct agent *agent;
    struct agent_use *use;
    struct list by_agent;
    struct list by_framework;
    struct resources *resources;
    struct packed *info; // encoded ExecutorInfo, resources normalised, framework id set
    char *id;
    uint64_t instance; // tells it from others of that id, before and after it; 0: not known
    uint32_t seen;     // as of struct task
};

struct offer {
    struct master *master;
    struct framework *framework;
    struct agent *agent;
    struct list by_framework;
    struct list by_agent;
    struct list unsent; // framework->unsent until the event goes out
    struct resources *resources;
    char *role;
    struct timer timeout;
    char id[64];
    uint32_t seen; // as of struct task
};

// An operation that was sent to an agent and has not come to its end: until its terminal status is
// acknowledged, by the framework that named it or else by the master itself.
struct operation {
    uint32_t magic;
    struct agent *agent;
    struct framework *framework; // NULL: an operator's, or of a framework that is not here
    struct list by_agent;
    struct list by_framework; // framework->operations
    char *framework_id;       // NULL: an operator's
    char *id;                 // as the framework calls it; NULL: it did not
    uint8_t uuid[UUID_SIZE];
    char uuid_text[UUID_TEXT_SIZE];
    Mesos__V1__Offer__Operation__Type type;
    Mesos__V1__OperationState state; // the newest
    struct packed *info;             // an encoded Offer.Operation
    struct packed **statuses;        // encoded OperationStatus, oldest first
    size_t status_count;
};

// What a framework holds on an agent.
struct agent_use {
    struct framework *framework;
    struct agent *agent;
    struct list by_framework; // framework->uses
    struct resources *used;
    size_t holders; // tasks and executors; the entry goes at zero
};

struct agent {
    uint32_t magic;
    struct master *master;
    char *id;
    struct arena *arena;               // of info and pid
    Mesos__V1__AgentInfo *info;        // `id` is set; its resources are of `shared`
    struct shared_description *shared; // of which are those three:
    Mesos__V1__AgentInfo__Capability **capabilities;
    size_t capability_count;
    const char *version;
    const char *pid;
    struct master_channel *channel; // NULL: disconnected
    uint64_t channel_number;        // of the newest one that it was admitted over
    bool active;                    // gets offers
    uint32_t seen;                  // as of struct task
    struct resources *total;
    struct resources *used; // all frameworks
    struct resources *offered;
    struct map uses;              // framework id -> struct agent_use
    struct agent_use *recent_use; // the one of them that was looked for last; or NULL
    struct list tasks;            // task.by_agent
    struct list executors;
    struct list offers;
    struct list operations; // operation.by_agent
    // It came back without resources that tasks in the books hold: they were made by operations
    // that it never got, and it is being asked about those tasks.
    bool unsettled;
    struct timer ping;
    uint32_t pings_missed;
    bool ping_open;          // sent and not answered
    struct map inverse;      // framework id -> struct inverse
    struct list unavailable; // master->unavailable, while it is in a maintenance schedule
    bool marking;            // the registry is being told that it is unreachable
    int64_t disconnected;    // monotonic, ns: since when `channel` is NULL
    bool leaving;            // it is being removed this very moment
    int64_t registered;      // wall clock, ns
    int64_t reregistered;    // 0: never
    int64_t returned;        // the same by the monotonic clock
};

struct framework {
    uint32_t magic;
    struct master *master;
    char *id;
    struct arena *arena;            // of info, roles, suppressed
    Mesos__V1__FrameworkInfo *info; // `id` is set; pinned
    unsigned capabilities;          // bits as in model/framework.h
    const char **roles;
    size_t role_count;
    const char **suppressed; // as of the last SUBSCRIBE
    size_t suppressed_count;
    Mesos__V1__Scheduler__OfferConstraints *offer_constraints; // in `arena`; NULL: none
    struct master_subscriber *subscriber;                      // NULL: not connected
    char stream_id[UUID_TEXT_SIZE];
    bool active;    // gets offers
    bool recovered; // known from agents only, did not subscribe yet
    bool completed; // removed; kept for the endpoints
    uint32_t seen;  // as of struct task
    struct timer heartbeat;
    struct timer failover;
    struct resources *used;
    struct resources *offered;
    struct map tasks;              // task id (the task's own) -> struct task, TASK_ON_AGENT
    struct map unreachable;        // task id -> struct task
    struct list unreachable_order; // oldest first
    struct list completed_tasks;   // oldest first
    size_t completed_count;
    struct list offers;
    struct list unsent;  // offers that wait for the end of the allocator's round
    struct list sending; // master->sending, while there are such
    struct list executors;
    struct list operations;   // operation.by_framework
    struct map operation_ids; // as it calls them -> struct operation
    struct list uses;         // agents where it holds something: agent_use.by_framework
    struct list in_completed; // master->completed
    int64_t registered, reregistered, unregistered;  // wall clock, ns; 0: never
    uint64_t calls[20];                              // by Call.Type
    uint64_t events[12];                             // by Event.Type
    uint64_t operation_counts[OPERATION_TYPE_COUNT]; // taken, by Offer.Operation.Type
    uint64_t offers_sent, offers_accepted, offers_declined, offers_rescinded;
    size_t states[TASK_STATE_COUNT];     // `tasks` and `unreachable`, by state
    uint64_t terminal[TASK_STATE_COUNT]; // tasks that ended, by state
};

// An agent that the registry names but that has not come back since this master began.
struct recovered_agent {
    struct master *master;
    char *id;
    struct arena *arena;
    Mesos__V1__AgentInfo *info;
    struct timer timeout; // not set: it is given up with the others of the registry
    bool marking;
    uint32_t seen; // as of struct task
};

struct unreachable_agent {
    char *id;
    int64_t since_ns;  // wall clock
    struct list tasks; // task.by_agent of those that became unreachable with it
};

// An agent that an operator took out of service, wherever it is: admitted, awaited or unreachable.
// What counts is what is durable; what the newest request wants may still be on its way there.
struct deactivation_state {
    bool is_deactivated;
    bool is_draining; // or drained: see `state`
    Mesos__V1__DrainState state;
    bool mark_gone; // once it is drained
    bool has_grace_period;
    int64_t grace_period_ns; // the longest that a task may take to be killed
};

struct deactivation {
    char *id; // of the agent
    struct deactivation_state now, wanted;
    size_t writes;         // that are under way
    int64_t drain_started; // wall clock; 0: not by this master, or not yet
};

// A machine in a maintenance schedule. In its snapshot's arena.
struct machine {
    Mesos__V1__MachineID *id;
    Mesos__V1__Unavailability *unavailability; // of its window
    bool is_down;                              // else it is draining
};

// All that is known of maintenance at one moment.
struct maintenance {
    struct arena *arena;
    Mesos__V1__Maintenance__Schedule *schedule;
    struct map machines; // "host name|ip" -> struct machine
};

// What a framework is asked and answers about an agent that will be unavailable.
struct inverse {
    struct agent *agent;
    char *framework_id;
    char offer_id[64];      // of the open inverse offer; "" when there is none
    int64_t offered;        // monotonic
    int64_t filtered_until; // monotonic
    Mesos__V1__Allocator__InverseOfferStatus__Status answer; // with `answered`
    int64_t answered;                                        // wall clock; 0: not yet
};

struct quota {
    struct arena *arena; // of `config`
    Mesos__V1__Quota__QuotaConfig *config;
};

enum counter {
    COUNT_SLAVE_REGISTRATIONS,
    COUNT_SLAVE_REREGISTRATIONS,
    COUNT_SLAVE_REMOVALS,
    COUNT_SLAVE_REMOVALS_UNHEALTHY,
    COUNT_SLAVE_REMOVALS_UNREGISTERED,
    COUNT_SLAVE_REMOVALS_REGISTERED,
    COUNT_SLAVE_UNREACHABLE_SCHEDULED,
    COUNT_SLAVE_UNREACHABLE_COMPLETED,
    COUNT_SLAVE_UNREACHABLE_CANCELED,
    // Shown and never counted, as in Mesos since agents are marked unreachable instead.
    COUNT_SLAVE_SHUTDOWNS_SCHEDULED,
    COUNT_SLAVE_SHUTDOWNS_COMPLETED,
    COUNT_SLAVE_SHUTDOWNS_CANCELED,
    COUNT_RECOVERY_SLAVE_REMOVALS,
    COUNT_TASKS_ERROR,
    COUNT_TASKS_FAILED,
    COUNT_TASKS_FINISHED,
    COUNT_TASKS_KILLED,
    COUNT_TASKS_LOST,
    COUNT_TASKS_DROPPED,
    COUNT_TASKS_GONE,
    COUNT_TASKS_GONE_BY_OPERATOR,
    COUNT_DROPPED_MESSAGES,
    COUNT_MESSAGES_REGISTER_FRAMEWORK,
    COUNT_MESSAGES_REREGISTER_FRAMEWORK,
    COUNT_MESSAGES_UNREGISTER_FRAMEWORK,
    COUNT_MESSAGES_KILL_TASK,
    COUNT_MESSAGES_STATUS_UPDATE_ACK,
    COUNT_MESSAGES_LAUNCH_TASKS,
    COUNT_MESSAGES_DECLINE_OFFERS,
    COUNT_MESSAGES_REVIVE_OFFERS,
    COUNT_MESSAGES_SUPPRESS_OFFERS,
    COUNT_MESSAGES_RESOURCE_REQUEST,
    COUNT_MESSAGES_RECONCILE_TASKS,
    COUNT_MESSAGES_RECONCILE_OPERATIONS,
    COUNT_MESSAGES_OPERATION_ACK,
    COUNT_MESSAGES_FRAMEWORK_TO_EXECUTOR,
    COUNT_MESSAGES_EXECUTOR_TO_FRAMEWORK,
    COUNT_MESSAGES_REGISTER_SLAVE,
    COUNT_MESSAGES_REREGISTER_SLAVE,
    COUNT_MESSAGES_UNREGISTER_SLAVE,
    COUNT_MESSAGES_STATUS_UPDATE,
    COUNT_MESSAGES_EXITED_EXECUTOR,
    COUNT_MESSAGES_UPDATE_SLAVE,
    COUNT_VALID_FRAMEWORK_TO_EXECUTOR,
    COUNT_INVALID_FRAMEWORK_TO_EXECUTOR,
    COUNT_VALID_EXECUTOR_TO_FRAMEWORK,
    COUNT_INVALID_EXECUTOR_TO_FRAMEWORK,
    COUNT_VALID_STATUS_UPDATES,
    COUNT_INVALID_STATUS_UPDATES,
    COUNT_VALID_STATUS_UPDATE_ACKS,
    COUNT_INVALID_STATUS_UPDATE_ACKS,
    COUNT_VALID_OPERATION_ACKS,
    COUNT_INVALID_OPERATION_ACKS,
    COUNT_MESSAGES_OPERATION_STATUS,
    COUNT_VALID_OPERATION_STATUSES,
    COUNT_INVALID_OPERATION_STATUSES,
    COUNTER_COUNT,
};

struct master {
    uint32_t magic;
    struct master_options options;
    const struct master_ops *ops;
    void *ctx;
    struct arena *arena;   // of options and info
    struct arena *scratch; // messages that one input makes; reset at its start
    struct arena *lent;    // of the message that is handled, if whoever keeps it may take it
    struct prng prng;
    struct timers timers;
    struct allocator *allocator;
    Mesos__V1__MasterInfo *info;
    char *id;
    struct instant now; // of the input that is being handled
    struct instant started;
    struct agent *recent_agent;         // the last that was found; a memory of master_agent
    struct framework *recent_framework; // the same of master_framework
    struct map agents;                  // id -> struct agent
    struct map agents_by_pid;           // pid -> struct agent
    struct map descriptions;            // hash -> struct shared_description
    struct map recovered;               // id -> struct recovered_agent
    struct map unreachable;             // id -> struct unreachable_agent
    struct map gone;                    // id -> int64_t *: since when, wall clock
    struct map marking_gone;            // ids of agents for which the registry is being told so
    struct map deactivations;           // agent id -> struct deactivation
    struct map frameworks;              // id -> struct framework
    struct map completed_ids;           // id -> struct framework
    struct list completed;              // oldest first
    size_t completed_count;
    struct map offers;     // id -> struct offer
    struct map operations; // uuid as text -> struct operation
    // Those that are not over, by state; and those that are, since the master began.
    uint64_t operation_states[OPERATION_TYPE_COUNT][OPERATION_STATE_COUNT];
    struct map writes;                      // token as text -> struct write
    struct map writing;                     // agent id -> number of those about it
    struct map weights;                     // role -> double *
    bool weights_recovered;                 // they are the registry's, not the flag's
    struct map quotas;                      // role -> struct quota: what is durable
    struct map quotas_wanted;               // the same: what was asked for
    struct maintenance *maintenance;        // what is durable
    struct maintenance *maintenance_wanted; // the newest; the same, or of a write under way
    struct list unavailable;                // agents in it: agent.unavailable
    struct map inverse_offers;              // id -> struct inverse
    struct timer inverse_round;             // while there are such agents
    uint64_t next_agent, next_framework, next_offer, next_token;
    uint64_t channel_count;  // numbers links
    struct list sending;     // frameworks with offers to send: framework.sending
    struct timer forgetting; // set while there are unreachable or gone agents
    struct timer recovery;   // when those of the registry must be back
    size_t recovered_count;  // how many the registry had
    struct map removals;     // agent id -> struct removal
    struct list removal_queue;
    struct timer removal_turn; // of the first in the queue
    int64_t removal_next;      // the next turn, monotonic
    bool offering;             // within the allocator's round
    uint32_t snapshot;         // that is being taken; 0: none
    uint32_t snapshot_newest;
    bool notifies_tasks;   // see master_notify_tasks
    uint64_t task_changes; // how often somebody who watches tasks was told something, or could be
    uint64_t counters[COUNTER_COUNT];
    struct map task_losses;          // metric name -> uint64_t *
    struct map limiters;             // principal -> struct limiter
    struct limiter *default_limiter; // of those that are not there; NULL: they are not limited
    struct map principals;           // of the frameworks there are -> struct principal
};

// ---- for those who show the records ----

// A snapshot is what the records were at one moment, read bit by bit while the master goes on. Who
// takes one asks master_snapshot_take for each record, and reads it when that says true. A record
// that is about to change or to go before it was asked for is handed to ops->before_change, once;
// one that is made later is not part of it. One at a time.
void master_snapshot_begin(struct master *m);
void master_snapshot_end(struct master *m);
// True once for each record and snapshot; `seen` is the record's.
static inline bool master_snapshot_take(const struct master *m, uint32_t *seen)
{
    bool is_new = *seen != m->snapshot;
    *seen = m->snapshot;
    return is_new;
}

bool master_agent_is_deactivated(const struct agent *a);
// The machine that it is on, when that is in a maintenance schedule; else NULL.
const struct machine *master_agent_machine(const struct agent *a);
// As its framework gets it. In the arena.
Mesos__V1__Offer *master_offer_message(const struct offer *o, struct arena *arena);
// NULL when no inverse offer is open. In the arena.
Mesos__V1__InverseOffer *master_inverse_message(const struct inverse *i, struct arena *arena);
// NULL when it is not drained. In the arena.
Mesos__V1__DrainInfo *master_deactivation_drain_info(const struct deactivation *d,
                                                     struct arena *arena);
// The whole of an operation, for the endpoints.
Mesos__V1__Operation *master_operation_message(const struct operation *o, struct arena *arena);
