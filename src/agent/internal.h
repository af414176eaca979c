// SPDX-License-Identifier: Apache-2.0
//
// What the files of the agent core offer each other.

#pragma once

#include "agent/state.h"

enum {
    AGENT_MAGIC = 0x41474e54,
    FRAMEWORK_MAGIC = 0x46524d57,
    EXECUTOR_MAGIC = 0x45584543,
};

// ---- paths.c: strings in `arena` ----
const char *agent_path_framework(const struct agent *agent, const char *framework_id,
                                 struct arena *arena);
const char *agent_path_executor(const struct agent *agent, const char *framework_id,
                                const char *executor_id, struct arena *arena);
const char *agent_path_run(const struct agent *agent, const char *framework_id,
                           const char *executor_id, const char *run, struct arena *arena);

// ---- environment.c ----
// An executor's whole environment, NULL-terminated, in `arena`.
char **agent_environment_make(const struct agent_executor *executor, struct arena *arena);

// ---- executor_info.c ----
// The executor that runs a command task, in `arena`; it may point into `task`.
Mesos__V1__ExecutorInfo *agent_executor_info_generate(const struct agent *agent,
                                                      const Mesos__V1__FrameworkInfo *framework,
                                                      const Mesos__V1__TaskInfo *task,
                                                      struct arena *arena);

// What starts an executor of type DEFAULT, which brings no command of its own; in `arena`.
Mesos__V1__CommandInfo *agent_default_executor_command(const struct agent *agent,
                                                       struct arena *arena);

// ---- objects.c: making and freeing ----
struct agent_framework *agent_framework_new(struct agent *agent,
                                            const Mesos__V1__FrameworkInfo *info);
struct agent_framework *agent_framework_free(struct agent_framework *framework);
void agent_framework_set_info(struct agent_framework *framework,
                              const Mesos__V1__FrameworkInfo *info);
bool agent_framework_is_partition_aware(const struct agent_framework *framework);
// Takes `own`, the resources of its own, as what is allocated to it.
void agent_executor_allocate_own(struct agent_executor *executor, struct resources *own);
struct agent_executor *agent_executor_new(struct agent_framework *framework,
                                          const Mesos__V1__ExecutorInfo *info, bool is_generated);
struct agent_executor *agent_executor_free(struct agent_executor *executor);
void agent_executor_set_state(struct agent_executor *executor, enum agent_executor_state state);
bool agent_executor_has_incomplete_tasks(const struct agent_executor *executor);
// Takes `resources` over. Queues the task and counts it.
void agent_task_allocate(struct agent_task *task); // to its executor
struct agent_task *agent_task_new(struct agent_executor *executor, const Mesos__V1__TaskInfo *info,
                                  struct resources *resources);
struct agent_task *agent_task_free(struct agent_task *task);
void agent_task_set_stage(struct agent_task *task, enum agent_task_stage stage);
void agent_task_set_state(struct agent_task *task, Mesos__V1__TaskState state);
// `status` is the one that the master is told, or was told last.
void agent_task_note_forwarded(struct agent_task *task, const Mesos__V1__TaskStatus *status);
// Ended, and nobody waits for its updates: into the executor's ring.
void agent_task_complete(struct agent_task *task);
struct agent_status *agent_status_new(const Mesos__V1__TaskStatus *message); // a copy of it
struct agent_status *agent_status_ref(struct agent_status *status);
struct agent_status *agent_status_unref(struct agent_status *status);

// ---- launch.c ----
void agent_run_task(struct agent *agent, const Meseta__Link__ToAgent__RunTask *run,
                    struct instant now);
void agent_run_task_group(struct agent *agent, const Meseta__Link__ToAgent__RunTaskGroup *run,
                          struct instant now);
// Sends LAUNCH or LAUNCH_GROUP for all that is queued, after the container got its new limits.
void agent_executor_send_queued(struct agent_executor *executor, struct instant now);

// ---- kill.c ----
void agent_kill_task(struct agent *agent, const Meseta__Link__ToAgent__KillTask *kill,
                     struct instant now);
void agent_shutdown_framework(struct agent *agent, struct agent_framework *framework,
                              struct instant now);
void agent_executor_shutdown(struct agent_executor *executor, struct instant now);
// Destroys the container and remembers why.
void agent_executor_fail(struct agent_executor *executor, Mesos__V1__TaskState state,
                         Mesos__V1__TaskStatus__Reason reason, const char *message);

// ---- drain.c ----
void agent_drain(struct agent *agent, const Mesos__V1__DrainConfig *config, struct instant now);
// While the agent drains: kills what the executor still has. After it subscribed.
void agent_drain_executor(struct agent_executor *executor, struct instant now);
// Ends the draining when no task is left. After a task or an executor has gone.
void agent_drain_check(struct agent *agent);
void agent_drain_recover(struct agent *agent, const Mesos__V1__DrainConfig *config,
                         struct instant now);
void agent_drain_free(struct agent *agent);
// Says in an update of a killed task that the drain was the reason.
void agent_drain_mark_status(const struct agent_framework *framework,
                             Mesos__V1__TaskStatus *status);

// ---- executor.c ----
void agent_executor_send(struct agent_executor *executor, const Mesos__V1__Executor__Event *event);
void agent_executor_arm_registration(struct agent_executor *executor, struct instant now);
// Its container gets the limits that follow from its tasks.
int agent_executor_update_container(struct agent_executor *executor, struct error *err);
void agent_executor_arm_shutdown(struct agent_executor *executor, struct instant now);
// Ended, as far as the agent has to do with it: out of its framework's map, sandbox to the
// collector.
void agent_executor_remove(struct agent_executor *executor, struct instant now);
// Removes the framework when it has no executor any more.
void agent_framework_remove_if_idle(struct agent_framework *framework, struct instant now);
// After a change of `terminated`: removes what has nothing left to wait for.
void agent_executor_remove_if_done(struct agent_executor *executor, struct instant now);
// Last part of agent_shutdown, and of a removal by the master.
void agent_finish_if_idle(struct agent *agent, struct instant now);

// ---- status.c ----
// Notes it as the newest of the task; takes a reference of its own.
void agent_task_add_status(struct agent_task *task, struct agent_status *status);
struct own_update {
    const char *framework_id;
    struct agent_framework *framework; // NULL: unknown to the agent
    const char *task_id;
    const char *executor_id; // or NULL
    Mesos__V1__TaskState state;
    Mesos__V1__TaskStatus__Reason reason;
    const char *message;
    const struct resources *limited; // or NULL
};
// An update that the agent itself makes.
void agent_status_make_own(struct agent *agent, const struct own_update *update,
                           struct instant now);
// TASK_DROPPED, or TASK_LOST for a framework that does not know it.
void agent_status_drop_task(struct agent *agent, struct agent_framework *framework,
                            const char *task_id, const char *executor_id,
                            Mesos__V1__TaskStatus__Reason reason, const char *message,
                            struct instant now);
// The same while the framework is being shut down, when it has no streams any more: the master is
// told once, and asks for no acknowledgement. (A master that came later may know the framework
// again.)
void agent_status_refuse_task(struct agent *agent, struct agent_framework *framework,
                              const char *task_id, const char *executor_id,
                              Mesos__V1__TaskStatus__Reason reason, const char *message,
                              struct instant now);
void agent_status_from_executor(struct agent_executor *executor,
                                const Mesos__V1__TaskStatus *status, struct instant now);

// ---- streams.c: one per task; ordered, one update outstanding ----
// Takes no reference of the caller's. Doubles (by uuid) are dropped.
void agent_stream_update(struct agent *agent, const char *framework_id, struct agent_status *status,
                         struct instant now);
// True when the update was outstanding; `ret_is_last` says that it was the stream's terminal one.
bool agent_stream_acknowledge(struct agent *agent, const char *framework_id, const char *task_id,
                              const void *uuid, size_t uuid_size, bool *ret_is_last,
                              struct instant now);
void agent_streams_pause(struct agent *agent);
void agent_streams_resume(struct agent *agent, struct instant now);
// The same for one framework: somebody new listens there.
void agent_streams_resume_framework(struct agent *agent, const char *framework_id,
                                    struct instant now);
// Nobody is to be told of that task any more. Harmless without a stream.
void agent_stream_drop(struct agent *agent, const char *framework_id, const char *task_id);
void agent_streams_drop_framework(struct agent *agent, const char *framework_id);
void agent_streams_free(struct agent *agent);

// Taken over from records: an update that is not acknowledged, and what was acknowledged before.
// False: an update between is missing.
bool agent_stream_recover_update(struct agent *agent, const char *framework_id, uint64_t number,
                                 struct agent_status *status, bool *ret_is_first);
// `seen`: uuids of UUID_SIZE bytes each, the oldest first.
void agent_stream_recover(struct agent *agent, const char *framework_id, const char *task_id,
                          uint64_t next, const uint8_t *seen, size_t seen_count);

// ---- checkpoint.c: what is written down, for frameworks that want it ----
struct agent_update_place {
    const char *framework_id;
    const char *task_id;
    uint64_t number;
};
bool agent_framework_is_durable(const struct agent_framework *framework);
void agent_checkpoint_self(struct agent *agent); // without an id: forgets
void agent_checkpoint_framework(const struct agent_framework *framework);
void agent_checkpoint_drop_framework(const struct agent_framework *framework);
void agent_checkpoint_executor(const struct agent_executor *executor);
void agent_checkpoint_drop_executor(const struct agent_executor *executor); // and its tasks
void agent_checkpoint_task(const struct agent_task *task);
void agent_checkpoint_drop_task(const struct agent_task *task);
// A NULL status takes the update away.
void agent_checkpoint_update(struct agent *agent, const struct agent_update_place *place,
                             const Mesos__V1__TaskStatus *status);
// `next` is the first that is not acknowledged, `last` the one before; NULL: the stream ended.
void agent_checkpoint_stream(struct agent *agent, const struct agent_update_place *next,
                             const Mesos__V1__TaskStatus *last, const void *seen, size_t seen_size);

void agent_checkpoint_resources(struct agent *agent);
// Without a status: forgets.
void agent_checkpoint_operation(const struct agent_operation *operation, bool is_there);
void agent_checkpoint_doomed(struct agent *agent, const char *path, bool is_mount, bool is_there);

// ---- operations.c ----
void agent_apply_operation(struct agent *agent, const Meseta__Link__ToAgent__ApplyOperation *apply,
                           struct instant now);
void agent_acknowledge_operation(struct agent *agent,
                                 const Meseta__Link__ToAgent__AcknowledgeOperation *acknowledge);
void agent_reconcile_operations(struct agent *agent,
                                const Meseta__Link__ToAgent__ReconcileOperations *reconcile);
void agent_operations_pause(struct agent *agent);
void agent_operations_resume(struct agent *agent, struct instant now);
void agent_operations_forget(struct agent *agent); // the agent is a new one
void agent_operations_free(struct agent *agent);
// Taken over from records. -EBADMSG.
int agent_operation_recover(struct agent *agent, const ProtobufCMessage *record, struct error *err);
// What was made of the flags' resources. -EINVAL: they do not have it any more.
int agent_resources_recover(struct agent *agent, const ProtobufCMessage *record, struct error *err);
// Whether dynamic reservations and volumes that a task or executor uses are here.
bool agent_knows_resources(const struct agent *agent, Mesos__V1__Resource *const *messages,
                           size_t count);

// ---- volumes.c ----
void agent_volumes_init(struct agent *agent);
void agent_volumes_free(struct agent *agent);
// Its directory, in the arena; `ret_is_mount` says that the directory is not the agent's own.
const char *agent_volume_path(const struct agent *agent, const Mesos__V1__Resource *volume,
                              struct arena *arena, bool *ret_is_mount);
int agent_volume_make(struct agent *agent, const Mesos__V1__Resource *volume, struct error *err);
// Its content goes as soon as that is durable.
void agent_volume_doom(struct agent *agent, const Mesos__V1__Resource *volume, struct instant now);
void agent_doomed_recover(struct agent *agent, const ProtobufCMessage *record, struct instant now);
bool agent_names_volume(Mesos__V1__Resource *const *resources, size_t count);
// After the executor's tasks changed. Negative: a volume cannot be shown.
int agent_executor_update_volumes(struct agent_executor *executor, struct error *err);

// ---- compatible.c ----
int agent_check_compatible(const struct agent *agent, const Mesos__V1__AgentInfo *before,
                           bool is_additive, struct error *err);

// ---- recover.c ----
void agent_recovery_init(struct agent *agent);
// An executor that was awaited is back, or gone.
void agent_recovery_executor_done(struct agent_executor *executor, struct instant now);
// What an executor that is back says it was given; the rest of its tasks never arrived.
void agent_recovery_note_heard(struct agent_executor *executor,
                               const Mesos__V1__Executor__Call__Subscribe *subscribe);

// ---- registration.c ----
void agent_registration_init(struct agent *agent);
void agent_registration_start(struct agent *agent, struct instant now);
void agent_send(struct agent *agent, const Meseta__Link__ToMaster *message);
void agent_send_oversubscribed(struct agent *agent); // when it is registered, and offers any
// Without a link nothing is sent: the reregistration tells by not naming it. What ends while the
// master is about to admit the agent, which then named it, is told once it is admitted.
void agent_send_exited(struct agent *agent, Mesos__V1__FrameworkID *framework_id,
                       Mesos__V1__ExecutorID *executor_id, uint64_t instance, int status);

void agent_forget_exits(struct agent *agent);

// ---- gc.c ----
void agent_gc_init(struct agent *agent);
void agent_gc_free(struct agent *agent);
void agent_gc_schedule(struct agent *agent, const char *path, struct instant now);
void agent_gc_unschedule(struct agent *agent, const char *path);

// ---- agent.c ----
// A new AgentInfo with that id (or none).
void agent_set_id(struct agent *agent, const char *id);
