// SPDX-License-Identifier: Apache-2.0
//
// What the files of the master core tell each other. Names ending in `_now` do not exist: the
// moment of the input that is being handled is m->now, set by each entry point (master_enter).

#pragma once

#include <errno.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "master/records.h"
#include "model/framework.h"
#include "model/operation.h"
#include "model/task_state.h"
#include "model/validate.h"
#include "proto/registry.pb-c.h"
#include "wire/wire.h"

#define MASTER_MAGIC 0x6d617374u
#define AGENT_MAGIC 0x61676e74u
#define FRAMEWORK_MAGIC 0x6672616du
#define TASK_MAGIC 0x7461736bu
#define OPERATION_MAGIC 0x6f706572u

// What one framework may leave without an acknowledgement.
enum { OPERATIONS_PER_FRAMEWORK_MAX = 10000 };

#define HEARTBEAT_INTERVAL_NS (15 * NS_PER_S)

// Short names of what is written often.
#define STATE(NAME) MESOS__V1__TASK_STATE__TASK_##NAME
#define REASON(NAME) MESOS__V1__TASK_STATUS__REASON__REASON_##NAME
#define EVENT(NAME) MESOS__V1__SCHEDULER__EVENT__TYPE__##NAME
#define CALL(NAME) MESOS__V1__SCHEDULER__CALL__TYPE__##NAME
#define TO_AGENT(NAME) MESETA__LINK__TO_AGENT__TYPE__##NAME
#define TO_MASTER(NAME) MESETA__LINK__TO_MASTER__TYPE__##NAME
#define OPERATION(NAME) MESOS__V1__OFFER__OPERATION__TYPE__##NAME
#define OPERATION_STATE(NAME) MESOS__V1__OPERATION_STATE__OPERATION_##NAME
enum { REASON_NONE = -1 };

// ---- master.c ----
void master_enter(struct master *m, struct instant now);
void master_count(struct master *m, enum counter counter);
struct framework *master_framework(const struct master *m, const char *id); // not completed ones
struct agent *master_agent(const struct master *m, const char *id);

// Before the record, which is named by its variable, changes or goes: a snapshot that is being
// taken reads it now. `seen` of a record that is made is m->snapshot.
static inline void master_before_change(const struct master *m, enum master_record kind,
                                        void *record, uint32_t *seen)
{
    if (__builtin_expect(m->snapshot != 0, 0) && master_snapshot_take(m, seen))
        m->ops->before_change(m->ctx, kind, record);
}

static inline void master_before_agent(struct agent *a)
{
    master_before_change(a->master, RECORD_AGENT, a, &a->seen);
}

static inline void master_before_framework(struct framework *f)
{
    master_before_change(f->master, RECORD_FRAMEWORK, f, &f->seen);
}

static inline void master_before_task(struct task *t)
{
    master_before_change(t->framework->master, RECORD_TASK, t, &t->seen);
}

// ---- calls.c ----
// A call whose turn has come: checked again, as its framework may have gone.
int master_call_now(struct master *m, Mesos__V1__Scheduler__Call *call, const char *stream_id,
                    struct error *err);

// ---- limits.c: rate limits of frameworks' calls ----
enum limit_result { LIMIT_PASSES, LIMIT_HELD, LIMIT_DROPPED };
void master_limits_init(struct master *m, const Mesos__V1__RateLimits *limits);
void master_limits_free(struct master *m);
// Dropped: `err` says so, and the framework was told by an ERROR event.
enum limit_result master_limit_call(struct framework *f, Mesos__V1__Scheduler__Call *call,
                                    const char *stream_id, void *waiter, struct error *err);
// The numbers of a framework's principal, which may be none; they begin with its first framework
// and go with its last.
void master_principal_add(struct framework *f);
void master_principal_remove(struct framework *f);
void master_principal_count(struct framework *f, bool is_processed);
void master_principals_put(const struct master *m,
                           void (*put)(void *ctx, const char *name, double value), void *ctx);

// ---- registry.c: what must be durable first ----
// One batch that somebody waits for. Embedded in what is known of it, which `done` or `drop` frees.
struct write {
    struct master *master;
    void (*done)(struct write *write); // it is durable
    void (*drop)(struct write *write); // the master ends before
};
void master_write(struct master *m, struct write *write, const struct master_item *items,
                  size_t count);
void master_writes_free(struct master *m);
// -E2BIG: more than one call of an operator may change.
int master_check_batch(const struct master_item *items, size_t count, struct error *err);
// The entry that says what a master must be able to do to take this registry over.
struct master_item master_capability_item(struct master *m, const char *name, bool is_needed);
// An entry with a message; `key` lives in m->scratch or is a constant.
struct master_item master_item_put(struct master *m, const char *key,
                                   const ProtobufCMessage *message);

// ---- events.c: notices for those who watch ----
void master_notice_task(const struct task *t, const Mesos__V1__TaskStatus *status /* or NULL */);
void master_notice_agent(const struct agent *a, enum master_notice_kind kind);
void master_notice_framework(const struct framework *f, enum master_notice_kind kind);

// ---- events.c: messages in m->scratch ----
Mesos__V1__FrameworkID *master_make_framework_id(struct arena *arena, const char *id);
Mesos__V1__AgentID *master_make_agent_id(struct arena *arena, const char *id);
Mesos__V1__TaskID *master_make_task_id(struct arena *arena, const char *id);
Mesos__V1__ExecutorID *master_make_executor_id(struct arena *arena, const char *id);
Mesos__V1__Scheduler__Event *master_make_event(struct arena *arena,
                                               Mesos__V1__Scheduler__Event__Type type);
// A status by the master itself, stamped with m->now. `agent_id` may be NULL; reason REASON_NONE:
// none.
Mesos__V1__TaskStatus *master_make_status(struct master *m, const char *task_id,
                                          const char *agent_id, Mesos__V1__TaskState state,
                                          int reason, const char *message);
// Sends to the framework's stream when it has one, and counts.
void master_framework_send(struct framework *f, Mesos__V1__Scheduler__Event *event);
void master_framework_send_update(struct framework *f, Mesos__V1__TaskStatus *status);
void master_framework_send_error(struct framework *f, const char *message);
void master_framework_send_failure(struct framework *f, const char *agent_id,
                                   const char *executor_id, const int *status);
// An ERROR event on a stream that belongs to no framework yet, and its end.
void master_subscriber_refuse(struct master *m, struct master_subscriber *subscriber,
                              const char *message);
// Goes nowhere while the agent is disconnected; so do the three below.
void master_agent_send(struct agent *a, Meseta__Link__ToAgent *message);
// Also for an agent that is not admitted. `ends`: it is to end, and not to begin anew.
void master_channel_send_shutdown(struct master *m, struct master_channel *channel,
                                  const char *message, bool ends);
void master_agent_send_shutdown_framework(struct agent *a, const char *framework_id);
void master_agent_send_framework_info(struct agent *a, const struct framework *f);
void master_agent_send_kill(struct agent *a, const char *framework_id, const char *task_id,
                            Mesos__V1__KillPolicy *policy /* or NULL */);
Meseta__Link__ToAgent *master_make_to_agent(struct arena *arena, Meseta__Link__ToAgent__Type type);

// ---- frameworks.c ----
struct framework *master_framework_add(struct master *m, const Mesos__V1__FrameworkInfo *info,
                                       const char *const *suppressed, size_t suppressed_count,
                                       bool recovered);
void master_framework_remove(struct framework *f); // teardown, or its time is over
struct framework *master_framework_free(struct framework *f);
int master_framework_check_info(struct master *m, const Mesos__V1__FrameworkInfo *info,
                                struct error *err);
// What SUBSCRIBE and UPDATE_FRAMEWORK say of the agents that they want; NULL: any. -EINVAL with
// Mesos' texts.
struct constraints;
int master_framework_read_constraints(struct master *m, const Mesos__V1__FrameworkInfo *info,
                                      const Mesos__V1__Scheduler__OfferConstraints *message,
                                      struct constraints **ret_constraints, struct error *err);
// Lets them count from now on, and takes them over.
void master_framework_set_constraints(struct framework *f,
                                      const Mesos__V1__Scheduler__OfferConstraints *message,
                                      struct constraints *constraints);
int master_framework_check_suppressed(const Mesos__V1__FrameworkInfo *info, size_t count,
                                      char **roles, struct arena *arena, struct error *err);
int master_framework_check_update(const struct framework *f, const Mesos__V1__FrameworkInfo *info,
                                  struct error *err);
void master_framework_update(struct framework *f, const Mesos__V1__FrameworkInfo *info,
                             const char *const *suppressed, size_t suppressed_count);
// Agents that run something of it learn of its new info.
void master_framework_tell_agents(struct framework *f);
bool master_framework_has_role(const struct framework *f, const char *role);

// ---- descriptions.c: what many agents say alike ----
// The flags' resources (in `info`), the version and the capabilities; nothing else of it is set.
const Meseta__Link__AgentDescription *master_description_parts(const struct shared_description *d);
struct shared_description *master_description_hold(
    struct master *m, const Meseta__Link__AgentDescription *description);
// NULL is fine; returns NULL.
struct shared_description *master_description_drop(struct master *m, struct shared_description *d);

// ---- agents.c ----
// `total` is taken over.
struct agent *master_agent_add(struct master *m, const Meseta__Link__AgentDescription *description,
                               const char *id, struct resources *total);
void master_agent_describe(struct agent *a, const Meseta__Link__AgentDescription *description);
// What an agent has: its flags' resources with what operations made of them. -EINVAL.
int master_agent_read_total(const Meseta__Link__AgentDescription *description,
                            Mesos__V1__Resource *const *checkpointed, size_t count,
                            struct resources **ret_total, struct error *err);
// What runs on revocable resources was oversubscribed, which no agent says of itself when it comes
// back: it is part of the total until the agent tells its estimate again.
void master_agent_add_revocable(struct master *m, const Meseta__Link__ToMaster__Reregister *message,
                                struct resources *total);
// `total` is taken over.
void master_agent_set_total(struct agent *a, struct resources *total);
void master_agent_connect(struct agent *a, struct master_channel *channel);
void master_agent_disconnect(struct agent *a);
enum agent_removal {
    AGENT_UNREACHABLE, // since_ns; it is among m->unreachable. Its tasks are unreachable
    AGENT_GONE,        // for good: its tasks are gone by operator; it is told to end
    AGENT_DOWN,        // its machine is: its tasks are lost; it is told to forget its id
    AGENT_LEFT,        // by itself: its tasks are lost
};
// Takes it out of the books. Frameworks that are not PARTITION_AWARE hear of lost tasks anyway.
void master_agent_remove(struct agent *a, enum agent_removal how, const char *message,
                         int64_t since_ns);
// Rescinds its offers; the allocator gives it out no more.
void master_agent_deactivate(struct agent *a);
// It gets offers again, if it is connected and not deactivated by an operator.
void master_agent_activate(struct agent *a);
struct agent *master_agent_free(struct agent *a);
// Books what a framework uses there, in the agent's and the framework's sums. Not the allocator's.
void master_agent_use_add(struct agent_use *use, const struct resources *amount);
void master_agent_use_remove(struct agent_use *use, const struct resources *amount);
// One more, one less task or executor of the framework on the agent, whether it uses something or
// not.
struct agent_use *master_agent_hold(struct agent *a, struct framework *f);
void master_agent_unhold(struct agent_use *use);
void master_send_registered(struct agent *a, bool again);
struct executor *master_agent_find_executor(const struct agent *a, const struct framework *f,
                                            const char *executor_id);
// The one with that number. Where a number is 0 (it is not known), the id has to do.
struct executor *master_agent_find_instance(const struct agent *a, const struct framework *f,
                                            const char *executor_id, uint64_t instance);
struct executor *master_executor_add(struct agent *a, struct framework *f,
                                     const Mesos__V1__ExecutorInfo *info, uint64_t instance,
                                     struct resources *resources);
// A number for an executor that is to be launched; not 0.
uint64_t master_make_instance(struct master *m);
void master_executor_remove(struct executor *e, bool recover);

// ---- absent.c ----
// `deadline_ns`: when it is given up (monotonic); 0: with all those of the registry.
void master_recovered_add(struct master *m, const Mesos__V1__AgentInfo *info, int64_t deadline_ns);
void master_recovered_remove(struct master *m, const char *id);
void master_unreachable_add(struct master *m, const char *id, int64_t since_ns);
// With the records of its tasks.
void master_unreachable_remove(struct master *m, const char *id);
void master_gone_add(struct master *m, const char *id, int64_t since_ns);
// Unreachable and gone agents that are too old or too many.
void master_forget_agents(struct timer *timer, struct instant now);

// ---- admission.c: registration, reregistration, the registry ----
void master_agent_register(struct master *m, struct master_channel *channel,
                           Meseta__Link__ToMaster__Register *message);
void master_agent_reregister(struct master *m, struct master_channel *channel,
                             Meseta__Link__ToMaster *message);
void master_agent_mark_unreachable(struct agent *a, const char *message);
void master_admission_forget_channel(struct master_channel *channel);
// The same for one that never came back after this master began.
void master_recovered_mark_unreachable(struct recovered_agent *r, const char *reason);
void master_registry_forget_agent(struct master *m, const char *id);
// The batch that makes an agent gone. Gives how many items there are.
size_t master_registry_gone_items(struct master *m, const char *id, int64_t since_ns,
                                  struct master_item ret_items[4]);

// ---- weights.c, quota.c ----
int master_weight_load(struct master *m, const Mesos__V1__WeightInfo *info, struct error *err);
void master_weights_recovered(struct master *m); // the whole registry was read
int master_quota_load(struct master *m, const Mesos__V1__Quota__QuotaConfig *config,
                      struct error *err);
void master_quotas_free(struct master *m);
bool master_role_is_allowed(const struct master *m, const char *role); // by --roles

// ---- maintenance.c, inverse.c ----
struct maintenance *master_maintenance_new(void);
struct maintenance *master_maintenance_free(struct maintenance *maintenance);
int master_schedule_load(struct master *m, const Mesos__V1__Maintenance__Schedule *schedule,
                         struct error *err);
int master_machine_load(struct master *m, const Mesos__V1__MachineInfo *info, struct error *err);
bool master_machine_is_down(struct master *m, const Meseta__Link__AgentDescription *description);
// Whether what it says of itself is said from another machine than the agent's.
bool master_agent_is_elsewhere(const struct agent *a,
                               const Meseta__Link__AgentDescription *description);
// After it was (re)registered, perhaps with another name or address.
void master_agent_enter_maintenance(struct agent *a);
// Rescinds its inverse offers and forgets all answers; begins anew if it is to be unavailable.
void master_inverse_reset(struct agent *a, bool is_unavailable);
void master_inverse_rescind(struct agent *a);            // the answers stay
void master_inverse_free(struct agent *a);               // without an event
void master_inverse_forget_filters(struct framework *f); // it is asked again
// A framework that is not connected any more, or removed, has no inverse offers, nor filters.
void master_inverse_forget_framework(struct framework *f, bool is_removed);
void master_inverse_turn(struct timer *timer, struct instant now); // of inverse_round
void master_call_answer_inverse_offers(struct framework *f, Mesos__V1__OfferID *const *ids,
                                       size_t count, const Mesos__V1__Filters *filters,
                                       bool accepts);

// ---- operator.c: agents that an operator takes out of service ----
void master_deactivation_load(struct master *m, const char *agent_id,
                              const Meseta__Registry__Deactivation *message);
const char *master_deactivation_key(struct master *m, const char *agent_id);
void master_deactivation_drop(struct master *m, const char *agent_id); // in memory
void master_deactivations_free(struct master *m);
// To whoever asked for what is durable now; `waiter` may be NULL.
void master_answer(struct master *m, void *waiter, int status, const char *text);
// A returning agent is told again that it is to be drained.
void master_agent_resume_drain(struct agent *a);
// After a task has left it, or what else a drain waits for.
void master_agent_check_drained(struct agent *a);

// ---- removal.c: who is to be marked unreachable, and when ----
// `reason`: a constant text.
void master_removal_schedule(struct master *m, const char *agent_id, const char *reason);
// It came back, or went for another reason: "because <why>".
void master_removal_cancel(struct master *m, const char *agent_id, const char *why);
void master_removal_free_all(struct master *m);
void master_removal_turn(struct timer *timer, struct instant now);     // of removal_turn
void master_recovery_is_over(struct timer *timer, struct instant now); // of recovery

// ---- reregister.c: what a returning agent brings ----
void master_agent_take_over(struct agent *a, Meseta__Link__ToMaster__Reregister *message,
                            bool was_unreachable, bool was_recovered);
// The number of the executor that stands there; 0: it is not known.
uint64_t master_named_instance(const Meseta__Link__FrameworkOnAgent *on_agent, size_t index);
void master_agent_return(struct agent *a, Meseta__Link__ToMaster__Reregister *message);

// ---- tasks.c ----
// Copies what it keeps. `resources` is taken over.
struct task *master_task_add(struct agent *a, struct framework *f, const Mesos__V1__Task *task,
                             struct resources *resources);
// The framework's books and the allocator learn of the new state.
void master_task_update(struct task *t, const Mesos__V1__TaskStatus *status,
                        Mesos__V1__TaskState latest);
void master_task_finish(struct task *t);                   // to the completed ones of its framework
void master_task_make_unreachable(struct task *t);         // to the unreachable ones
struct task *master_task_free(struct task *t);             // from wherever it is
bool master_task_state_counts(Mesos__V1__TaskState state); // holds resources
void master_agent_status_update(struct agent *a, Meseta__Link__ToMaster__StatusUpdate *message);
void master_call_acknowledge(struct framework *f, Mesos__V1__Scheduler__Call__Acknowledge *call);
// Health, check and container status of the newest status are put into `status`.
void master_task_copy_condition(const struct task *t, struct arena *arena,
                                Mesos__V1__TaskStatus *status);
// `state` is what the task ended in; `status` may be an update on the way there.
void master_count_task_end(struct master *m, const Mesos__V1__TaskStatus *status,
                           Mesos__V1__TaskState state);
struct packed *master_pack(const ProtobufCMessage *message);

// ---- offers.c ----
void master_offers_send(struct master *m); // after the allocator's round
void master_offer_arrived(void *ctx, const char *framework_id, const char *role,
                          const char *agent_id, const struct resources *offered);
struct offer *master_offer(const struct master *m, const char *id);
// Gives the resources back. refuse_ns < 0: without a filter.
void master_offer_discard(struct offer *o, int64_t refuse_ns);
void master_offer_rescind(struct offer *o);
void master_offer_remove(struct offer *o); // resources stay with the framework
Mesos__V1__URL *master_agent_url(struct arena *arena, const struct agent *a);
int64_t master_filters_refuse_ns(const Mesos__V1__Filters *filters);

// ---- accept.c ----
void master_call_accept(struct framework *f, Mesos__V1__Scheduler__Call__Accept *call);
// What an ACCEPT has in hand while its operations run. All amounts are allocated to `role`.
struct accepting {
    struct framework *framework;
    struct agent *agent;
    const char *role;
    struct resources *remaining;
    struct resources *resized; // what GROW_VOLUME and SHRINK_VOLUME gave: not for later operations
    bool has_converted;        // some operation did
    struct resources *shared;  // copies that tasks may use, however many of them launch
};
// A task that never was: its framework is told, and it is counted.
void master_refuse_task(struct framework *f, const Mesos__V1__TaskInfo *task,
                        Mesos__V1__TaskState state, int reason, const char *text);
// The Task that stands for a TaskInfo; it borrows the parts.
Mesos__V1__Task *master_make_task(struct arena *arena, struct framework *f,
                                  const Mesos__V1__TaskInfo *info);

// ---- launch_group.c ----
// LAUNCH_GROUP, from `remaining`: all tasks or none.
void master_launch_group(struct framework *f, struct agent *a,
                         Mesos__V1__Offer__Operation__LaunchGroup *operation, const char *role,
                         struct resources *remaining);

// ---- operate.c ----
bool master_agent_can(const struct agent *a, Mesos__V1__AgentInfo__Capability__Type type);
// Any operation but LAUNCH and LAUNCH_GROUP. It is changed.
void master_operate_accepted(struct accepting *c, Mesos__V1__Offer__Operation *operation);

// ---- operations.c ----
struct operation *master_operation(struct master *m, const ProtobufCBinaryData *uuid);
// Makes the record and sends it to the agent. `f` NULL: an operator's.
void master_operation_begin(struct agent *a, struct framework *f,
                            Mesos__V1__Offer__Operation *info);
struct operation *master_operation_free(struct operation *o); // returns NULL
// OPERATION_ERROR, for one that never began.
void master_operation_drop(struct framework *f, const Mesos__V1__Offer__Operation *operation,
                           const char *text);
// Frameworks hear of the state of all that they have named on the agent; the records stay.
void master_operations_tell(struct agent *a, Mesos__V1__OperationState state, const char *text);
void master_operations_remove(struct agent *a);
void master_operations_adopt(struct framework *f);  // it is here now
void master_operations_orphan(struct framework *f); // it goes
void master_operations_resend(struct framework *f); // somebody new listens there
// What a returning agent names; it is asked about what it does not.
void master_operations_take_over(struct agent *a, Mesos__V1__Operation *const *messages,
                                 size_t count);
void master_agent_operation_status(struct agent *a,
                                   Meseta__Link__ToMaster__OperationStatus *message);
void master_call_acknowledge_operation(
    struct framework *f, const Mesos__V1__Scheduler__Call__AcknowledgeOperationStatus *call);
void master_call_reconcile_operations(struct framework *f,
                                      const Mesos__V1__Scheduler__Call__ReconcileOperations *call);

// ---- validate.c ----
int master_validate_offers(struct framework *f, Mesos__V1__OfferID *const *ids, size_t count,
                           struct error *err);
// A task to be launched on `a` from `available`, in Mesos' order of checks; `wanted` is what it
// says that it uses. 0: when its executor is new, that one's amount (else NULL) is the caller's.
// Negative: *ret_text says why, in m->scratch (these texts may be longer than an error's).
int master_validate_launch(struct framework *f, struct agent *a, Mesos__V1__TaskInfo *task,
                           struct resources *wanted, const struct resources *available,
                           struct resources **ret_executor, const char **ret_text);

// The same for a group, with *ret_tasks in m->scratch, one amount per task.
int master_validate_group(struct framework *f, struct agent *a,
                          const Mesos__V1__TaskGroupInfo *group, Mesos__V1__ExecutorInfo *executor,
                          const struct resources *available, struct resources ***ret_tasks,
                          struct resources **ret_executor, const char **ret_text);

// Sets the framework's id and writes the resources in the new form, so that two infos that mean the
// same encode the same.
void master_normalise_executor(struct framework *f, Mesos__V1__ExecutorInfo *info,
                               const struct resources *resources);

// ---- reconcile.c ----
void master_call_reconcile(struct framework *f, const Mesos__V1__Scheduler__Call__Reconcile *call);
