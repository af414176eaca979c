// SPDX-License-Identifier: Apache-2.0
//
// The master core: a state machine that owns agents, frameworks, tasks and offers. It is handed
// decoded messages and the moment, changes its state, and asks for effects through struct
// master_ops. It makes no system call and never blocks; the real shell is in src/api, another one
// is the simulator.
//
// Ownership: the core keeps no pointer into a message after the call that brought it returned, and
// what it hands to an op is valid during that op only. No op may call back into the core.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/timer.h"
#include "proto/link.pb-c.h"
#include "proto/maintenance.pb-c.h"
#include "proto/mesos.pb-c.h"
#include "proto/quota.pb-c.h"
#include "proto/scheduler.pb-c.h"

struct master;
struct framework;
struct agent;
struct task;
struct admission;

// A framework's open event stream. The shell embeds one per stream, zeroed, and finds its own
// record again with CONTAINER_OF. The core owns the fields.
struct master_subscriber {
    struct framework *framework;
};

// An agent's end of the agent link: one channel of one connection. Embedded in the same way.
struct master_channel {
    struct agent *agent;         // once admitted
    struct admission *admission; // while the registry is being written
    // In the order in which links came (master_number_link): what an agent says over an older one,
    // however late it arrives, is older. 0: by its first message.
    uint64_t number;
};

// One durable key; a NULL value deletes it.
struct master_item {
    const char *key;
    const void *value;
    size_t size;
};

// What changed, with the records (src/master/records.h) as they are now, for the op's duration.
enum master_notice_kind {
    NOTICE_TASK_ADDED,
    NOTICE_TASK_UPDATED, // with `status`
    NOTICE_AGENT_ADDED,
    NOTICE_AGENT_REMOVED, // the last look at it
    NOTICE_FRAMEWORK_ADDED,
    NOTICE_FRAMEWORK_UPDATED,
    NOTICE_FRAMEWORK_REMOVED, // it is among the completed ones now
};
struct master_notice {
    enum master_notice_kind kind;
    const struct task *task;
    const Mesos__V1__TaskStatus *status;
    const struct agent *agent;
    const struct framework *framework;
};

// What a snapshot is made of, by the struct of src/master/records.h.
enum master_record {
    RECORD_AGENT,
    RECORD_RECOVERED_AGENT,
    RECORD_FRAMEWORK, // itself; its tasks are records of their own
    RECORD_TASK,
    RECORD_EXECUTOR,
    RECORD_OFFER,
};

// The effects. None may fail: what cannot be done (a broken stream) is told to the core later, as
// an input.
struct master_ops {
    void (*send_event)(void *ctx, struct master_subscriber *subscriber,
                       const Mesos__V1__Scheduler__Event *event);
    // The core has let go of it; master_subscriber_closed is not to be called for it any more.
    void (*close_subscriber)(void *ctx, struct master_subscriber *subscriber);
    void (*send_agent)(void *ctx, struct master_channel *channel,
                       const Meseta__Link__ToAgent *message);
    // Likewise: the core has let go; master_channel_closed is not to be called.
    void (*close_agent)(void *ctx, struct master_channel *channel);
    // Makes `items` durable, as one batch, in the order of asking; then master_applied(token).
    // token 0: nobody waits.
    void (*apply)(void *ctx, const struct master_item *items, size_t count, uint64_t token);
    // The master must end, for that reason: it may decide nothing more. May be NULL, see
    // recovery_agent_removal_limit.
    void (*give_up)(void *ctx, const char *why);
    // Answers a call that had to wait, for the registry or its rate limit, with an HTTP status and
    // a text (NULL: none). `waiter` is what came with the call; the core forgets it. May be NULL
    // when none is handed in.
    void (*answer)(void *ctx, void *waiter, int status, const char *text);
    // Something changed that those who watch the cluster are told. May be NULL. See
    // master_notify_tasks.
    void (*notice)(void *ctx, const struct master_notice *notice);
    // For a snapshot (master_snapshot_begin of records.h): `record` is about to change or to go.
    void (*before_change)(void *ctx, enum master_record kind, void *record);
    // A round of the allocator begins, or its offers have been sent: for who has a clock. May be
    // NULL.
    void (*round)(void *ctx, bool begins);
};

struct master_options {
    // Who we are. `id` NULL: a random uuid drawn from the seed.
    const char *id;
    const char *ip; // as text, what clients shall connect to
    uint16_t port;
    const char *hostname;
    const char *pid;          // NULL: "master@<ip>:<port>"
    const char *const *roles; // --roles; NULL: any role
    size_t role_count;
    bool root_submissions;
    int64_t allocation_interval_ns; // 0: offer as soon as something is free
    const char *min_allocatable_resources;
    const char *fair_sharing_excluded;
    bool filter_gpu_resources;
    bool role_sorter_random, framework_sorter_random;
    bool demand_aware_shares, offer_packing; // see struct allocator_options
    // Of the regular expressions in offer constraints.
    size_t constraints_memory_max, constraints_program_max;
    const Mesos__V1__DomainInfo *domain; // NULL: none, and agents may have none
    bool require_agent_domain;
    // After a failover, with quotas: no offers until that part of the registry's agents came back,
    // or the time is over.
    double allocator_agent_recovery_factor;
    int64_t allocator_recovery_timeout_ns;
    int64_t offer_timeout_ns; // 0: offers do not expire
    int64_t agent_ping_timeout_ns;
    size_t max_agent_ping_timeouts;
    int64_t agent_reregister_timeout_ns;
    // The part of the registry's agents that may stay away after a recovery, 0 to 1: when more do,
    // the master gives up. 1: ops->give_up is not needed.
    double recovery_agent_removal_limit;
    int64_t agent_removal_interval_ns; // between two agents marked unreachable; 0: none
    // Unreachable agents are forgotten when they are that old, or too many; looked at that often.
    int64_t registry_gc_interval_ns;
    int64_t registry_max_agent_age_ns;
    size_t registry_max_agent_count;
    size_t max_completed_frameworks;
    size_t max_completed_tasks_per_framework;
    size_t max_unreachable_tasks_per_framework;
    bool publish_per_framework_metrics;
    const Mesos__V1__RateLimits *rate_limits; // checked (master_check_rate_limits); NULL: none
    uint64_t seed;
};

// What a protobuf of rate limits cannot say: each principal once, rates more than nothing.
int master_check_rate_limits(const Mesos__V1__RateLimits *limits, struct error *err);

// Fills in Mesos' defaults.
void master_options_init(struct master_options *options);

// `options` and all its texts are copied; `ops` must live as long as the master.
struct master *master_new(const struct master_options *options, const struct master_ops *ops,
                          void *ctx, struct instant now);
// Every subscriber and channel is forgotten without an op. NULL is fine; returns NULL.
struct master *master_free(struct master *m);
// What the registry holds, once, before any other input. -EBADMSG: an entry cannot be read.
int master_recover(struct master *m, const struct master_item *items, size_t count,
                   struct instant now, struct error *err);
// A weight by --weights, before master_recover: it counts while the registry has none.
void master_set_weight(struct master *m, const char *role, double weight);
// Whether ops->notice is told of tasks, too (it is at first): they change often.
void master_notify_tasks(struct master *m, bool is_wanted);
// Only agents on these hosts are offered. NULL: all.
void master_set_whitelist(struct master *m, const char *const *hosts, size_t count);

// The next deadline on the monotonic clock (INT64_MAX: none), and what is due then: timers and the
// allocator. Call step at the end of each turn in which next is not in the future.
int64_t master_next(const struct master *m);
void master_step(struct master *m, struct instant now);
// Whether the allocator has a round to run at `now`.
bool master_round_is_due(const struct master *m, struct instant now);

// A batch is durable (result 0) or can never be (negative: the master must not go on; aborts).
void master_applied(struct master *m, uint64_t token, int result, struct instant now);

// ---- frameworks ----
// SUBSCRIBE on a new stream whose head was sent. A refusal comes as an ERROR event and a close.
// `call` was validated (validate_scheduler_call); it may be changed by the core. `stream_id` is
// copied.
void master_subscribe(struct master *m, Mesos__V1__Scheduler__Call__Subscribe *call,
                      struct master_subscriber *subscriber, const char *stream_id,
                      struct instant now);
void master_subscriber_closed(struct master *m, struct master_subscriber *subscriber,
                              struct instant now);
// Any other call, validated. Returns the HTTP status: 202 or 200 when it was taken; otherwise a 4xx
// or 501 with the text in `err`. `stream_id` is the request's header or NULL. 0: its principal's
// rate limit holds it up, and it is answered by ops.answer with `waiter` (NULL only without rate
// limits); `call` and `stream_id` must stay until then.
int master_call(struct master *m, Mesos__V1__Scheduler__Call *call, const char *stream_id,
                void *waiter, struct instant now, struct error *err);
// Answers those that are held up with 503, so that nobody waits for the core any more: before
// master_free.
void master_refuse_held_calls(struct master *m);
// An operator's teardown. False when the framework is unknown.
bool master_teardown(struct master *m, const char *framework_id, struct instant now);

// ---- operators ----
// An operation on what an agent has free or offered, with Mesos' texts: RESERVE, UNRESERVE, CREATE,
// DESTROY, GROW_VOLUME, SHRINK_VOLUME, with its body. It is changed. Returns the HTTP status: 202,
// or 400 or 409 with *ret_text, which is valid until the next input. `principal`: who asks; NULL:
// not known.
int master_operate(struct master *m, const char *agent_id, Mesos__V1__Offer__Operation *operation,
                   const char *principal, struct instant now, const char **ret_text);

// ---- agents ----
// What shells pin when they decode an agent's message and a scheduler's call (wire_decode_pinned),
// because it is passed on as it came: spares encoding it. Not needed.
#define MASTER_AGENT_MESSAGE_PINNED (&mesos__v1__task_status__descriptor)
#define MASTER_CALL_PINNED (&mesos__v1__task_info__descriptor)
void master_agent_message(struct master *m, struct master_channel *channel,
                          Meseta__Link__ToMaster *message, struct instant now);
// For a link that has just come, and all its channels.
uint64_t master_number_link(struct master *m);
// The same, where all of the message lies in `arena`: the core keeps it when it needs the message
// beyond the call, instead of copying it. Returns the arena, or NULL when it was kept.
struct arena *master_agent_message_in(struct master *m, struct master_channel *channel,
                                      Meseta__Link__ToMaster *message, struct arena *arena,
                                      struct instant now);
void master_channel_closed(struct master *m, struct master_channel *channel, struct instant now);

// ---- operators ----
// Each of these gives 0 when the answer comes later, by ops.answer with `waiter`, once the registry
// has it. Otherwise the HTTP status of the answer; one that is not 200 has its text in `err`.

// For good: its tasks are lost, and it may not return.
int master_mark_agent_gone(struct master *m, const char *agent_id, void *waiter, struct instant now,
                           struct error *err);
// No more offers, until it is reactivated.
int master_deactivate_agent(struct master *m, const char *agent_id, void *waiter,
                            struct instant now, struct error *err);
int master_reactivate_agent(struct master *m, const char *agent_id, void *waiter,
                            struct instant now, struct error *err);
struct master_drain_options {
    bool has_grace_period;
    int64_t grace_period_ns; // the longest that its tasks may take to end
    bool mark_gone;          // when they have
};
// Deactivated, and its tasks are killed.
int master_drain_agent(struct master *m, const char *agent_id,
                       const struct master_drain_options *options, void *waiter, struct instant now,
                       struct error *err);

int master_update_weights(struct master *m, Mesos__V1__WeightInfo *const *infos, size_t count,
                          void *waiter, struct instant now, struct error *err);
// `force`: also beyond what the cluster has, or below what the role uses already.
int master_update_quota(struct master *m, Mesos__V1__Quota__QuotaConfig *const *configs,
                        size_t count, bool force, void *waiter, struct instant now,
                        struct error *err);
int master_set_quota(struct master *m, const Mesos__V1__Quota__QuotaRequest *request, void *waiter,
                     struct instant now, struct error *err);
// `where` is the path of an HTTP DELETE, for its texts, or NULL.
int master_remove_quota(struct master *m, const char *role, const char *where, void *waiter,
                        struct instant now, struct error *err);

// The whole schedule of maintenance. Machines in it drain: those who use them are asked to leave.
int master_update_schedule(struct master *m, const Mesos__V1__Maintenance__Schedule *schedule,
                           void *waiter, struct instant now, struct error *err);
// Draining machines go down, with their agents; or come up again, out of the schedule.
int master_start_maintenance(struct master *m, Mesos__V1__MachineID *const *ids, size_t count,
                             void *waiter, struct instant now, struct error *err);
int master_stop_maintenance(struct master *m, Mesos__V1__MachineID *const *ids, size_t count,
                            void *waiter, struct instant now, struct error *err);

// ---- looking ----
const Mesos__V1__MasterInfo *master_info(const struct master *m);
// Every metric that the core can tell, by Mesos' names.
void master_put_metrics(const struct master *m, struct instant now,
                        void (*put)(void *ctx, const char *name, double value), void *ctx);
// Walks everything and checks that the books agree (for tests and the simulator); aborts by CHECK.
void master_check(const struct master *m);
