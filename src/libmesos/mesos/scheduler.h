// SPDX-License-Identifier: Apache-2.0
//
// libmesos: frameworks' schedulers. It finds the leading master and goes with it (an address, or
// the election in ZooKeeper), subscribes, comes back with back-off when the connection breaks or
// goes silent, under the id that it had, and acknowledges status updates. What is left is to answer
// offers and to look at updates.
//
// All callbacks run within mesos_scheduler_run, in the thread that called it. Functions here are
// for that thread too, before, within callbacks and after, but for mesos_scheduler_wake. One thread
// of a process uses the library at a time.

#ifndef MESOS_SCHEDULER_H
#define MESOS_SCHEDULER_H

#include <mesos/message.h>

#ifdef __cplusplus
extern "C" {
#endif

struct mesos_scheduler;

struct mesos_scheduler_options {
    size_t size;        // sizeof(struct mesos_scheduler_options)
    const char *master; // "host:port", "zk://host:port,.../path", "file:///where/one/is/written"
    const char *name;   // of the framework
    const char *user;   // that tasks run as; NULL: who runs this
    const char *const *roles;        // ends with NULL; NULL: "*"
    const char *const *capabilities; // beside MULTI_ROLE, as "PARTITION_AWARE"; ends with NULL
    const char *framework_id;        // that it had before; NULL: a new one
    double failover_timeout;         // seconds that its tasks live without it
    bool checkpoint;                 // tasks outlive a restart of their agent
    const char *framework_info;      // a JSON object of more fields of FrameworkInfo; these win
    const char *principal;           // with secret: who it is
    const char *secret;
    bool explicit_acknowledgements; // mesos_acknowledge is called for each update
    bool json;                      // on the wire, rather than protobuf: to be read by people
};

// Each may be NULL.
struct mesos_scheduler_callbacks {
    size_t size; // sizeof(struct mesos_scheduler_callbacks)
    // Also after each time that the connection was lost. The id is to be kept for a failover.
    void (*subscribed)(void *ctx, struct mesos_scheduler *scheduler, const char *framework_id);
    // Offers that were not used are void. Calls fail with -ENOTCONN until it is subscribed again.
    void (*disconnected)(void *ctx, struct mesos_scheduler *scheduler, const char *why);
    // The master will not have this framework. Nothing is tried again: run returns -EPERM.
    void (*refused)(void *ctx, struct mesos_scheduler *scheduler, const char *why);
    // A message Offer. Without this callback offers are declined.
    void (*offer)(void *ctx, struct mesos_scheduler *scheduler, const struct mesos_message *offer);
    void (*rescinded)(void *ctx, struct mesos_scheduler *scheduler, const char *offer_id);
    // A message TaskStatus; it is acknowledged when this returns.
    void (*update)(void *ctx, struct mesos_scheduler *scheduler,
                   const struct mesos_message *status);
    // From an executor.
    void (*message)(void *ctx, struct mesos_scheduler *scheduler, const char *agent_id,
                    const char *executor_id, const void *data, size_t size);
    // An agent went, or (executor_id is not NULL) one of its executors, with waitpid's status.
    void (*failure)(void *ctx, struct mesos_scheduler *scheduler, const char *agent_id,
                    const char *executor_id, int status);
    // A call that was sent was answered with an HTTP status other than 200 and 202.
    void (*call_refused)(void *ctx, struct mesos_scheduler *scheduler, const char *call, int status,
                         const char *why);
    // Each event, a message Event, before the callback of its kind.
    void (*event)(void *ctx, struct mesos_scheduler *scheduler, const struct mesos_message *event);
    // After mesos_scheduler_wake; several wakes may be one.
    void (*woken)(void *ctx, struct mesos_scheduler *scheduler);
};

// Everything is copied but `ctx`. Nothing is connected before mesos_scheduler_run.
MESOS_API int mesos_scheduler_new(const struct mesos_scheduler_options *options,
                                  const struct mesos_scheduler_callbacks *callbacks, void *ctx,
                                  struct mesos_scheduler **ret_scheduler, struct mesos_error *err);
// Without a callback on the stack. NULL is fine. Closes the connection: after failover_timeout the
// framework's tasks are killed, unless somebody subscribes under its id.
MESOS_API void mesos_scheduler_free(struct mesos_scheduler *scheduler);

// Until mesos_scheduler_stop; returns its status, or -EPERM when the master refused.
MESOS_API int mesos_scheduler_run(struct mesos_scheduler *scheduler);
// Makes run return, when all calls that were made are answered. From a callback.
MESOS_API void mesos_scheduler_stop(struct mesos_scheduler *scheduler, int status);
// Makes run call `woken` soon. From any thread, and from a signal's handler.
MESOS_API void mesos_scheduler_wake(struct mesos_scheduler *scheduler);
MESOS_API bool mesos_scheduler_is_subscribed(const struct mesos_scheduler *scheduler);
MESOS_API const char *mesos_scheduler_framework_id(const struct mesos_scheduler *scheduler);

// ---- calls ----
// 0: it is on its way. -ENOTCONN: not subscribed; nothing is kept for later, since what it is about
// may be gone by then. -EINVAL: what was handed over is not right.

struct mesos_task {
    size_t size;            // sizeof(struct mesos_task)
    const char *task_id;    // never used before by this framework
    const char *name;       // NULL: the id
    const char *command;    // for the shell; NULL: `more` has a command or an executor
    double cpus, mem, disk; // mem and disk in MB; 0: none
    const char *more;       // a JSON object of more fields of TaskInfo; these win. NULL: none
};

// Uses an offer: launches tasks on its agent. What they leave is offered to others at once, and to
// this framework again after `refuse_seconds` (negative: Mesos' 5 s).
MESOS_API int mesos_launch(struct mesos_scheduler *scheduler, const struct mesos_message *offer,
                           const struct mesos_task *tasks, size_t count, double refuse_seconds,
                           struct mesos_error *err);
MESOS_API int mesos_decline(struct mesos_scheduler *scheduler, const struct mesos_message *offer,
                            double refuse_seconds, struct mesos_error *err);
// `agent_id` may be NULL. The end comes as an update.
MESOS_API int mesos_kill(struct mesos_scheduler *scheduler, const char *task_id,
                         const char *agent_id, struct mesos_error *err);
// Asks for the state of these tasks (ends with NULL; NULL: of all that the master knows), which
// come as updates.
MESOS_API int mesos_reconcile(struct mesos_scheduler *scheduler, const char *const *task_ids,
                              struct mesos_error *err);
// With explicit_acknowledgements: of a status that was handed to `update` (one without a uuid needs
// none: 0).
MESOS_API int mesos_acknowledge(struct mesos_scheduler *scheduler,
                                const struct mesos_message *status, struct mesos_error *err);
// Wants no more offers; wants them again, and forgets all refuse_seconds.
MESOS_API int mesos_suppress(struct mesos_scheduler *scheduler, struct mesos_error *err);
MESOS_API int mesos_revive(struct mesos_scheduler *scheduler, struct mesos_error *err);
// Bytes to an executor, which may get lost.
MESOS_API int mesos_send(struct mesos_scheduler *scheduler, const char *agent_id,
                         const char *executor_id, const void *data, size_t size,
                         struct mesos_error *err);
// Ends the framework and all its tasks.
MESOS_API int mesos_teardown(struct mesos_scheduler *scheduler, struct mesos_error *err);
// Any call of the scheduler API, as JSON ("{\"type\":\"REQUEST\",...}") or as protobuf bytes of
// mesos.v1.scheduler.Call; framework_id is filled in.
MESOS_API int mesos_call(struct mesos_scheduler *scheduler, const char *json,
                         struct mesos_error *err);
MESOS_API int mesos_call_protobuf(struct mesos_scheduler *scheduler, const void *data, size_t size,
                                  struct mesos_error *err);

#ifdef __cplusplus
}
#endif

#endif
