// SPDX-License-Identifier: Apache-2.0
//
// libmesos: executors. It subscribes with the agent that started the process, keeps each update
// until it is acknowledged, and each task until one of its updates is, and tells both to an agent
// that was started anew; with checkpointing it waits for that one. What is left is to run tasks and
// to say how they fare.
//
// All callbacks run within mesos_executor_run, in the thread that called it. Functions here are for
// that thread too, but for mesos_executor_wake. One thread of a process uses the library at a time.

#ifndef MESOS_EXECUTOR_H
#define MESOS_EXECUTOR_H

#include <mesos/message.h>

#ifdef __cplusplus
extern "C" {
#endif

struct mesos_executor;

// Each may be NULL.
struct mesos_executor_callbacks {
    size_t size; // sizeof(struct mesos_executor_callbacks)
    // A message Subscribed, with executor_info, framework_info and agent_info. Also after each time
    // that the agent was away.
    void (*subscribed)(void *ctx, struct mesos_executor *executor,
                       const struct mesos_message *subscribed);
    // A message TaskInfo. Those of a group come one after the other.
    void (*launch)(void *ctx, struct mesos_executor *executor, const struct mesos_message *task);
    // `grace` in seconds, of the kill policy; negative: none was given.
    void (*kill)(void *ctx, struct mesos_executor *executor, const char *task_id, double grace);
    // From the scheduler.
    void (*message)(void *ctx, struct mesos_executor *executor, const void *data, size_t size);
    // Everything is to end, by the agent's word or because the agent is gone for good. Without this
    // callback, or when it has not called mesos_executor_stop, run returns at once.
    void (*shutdown)(void *ctx, struct mesos_executor *executor, const char *why);
    // Each event, a message Event, before the callback of its kind.
    void (*event)(void *ctx, struct mesos_executor *executor, const struct mesos_message *event);
    // After mesos_executor_wake; several wakes may be one.
    void (*woken)(void *ctx, struct mesos_executor *executor);
};

// Reads who it is from the environment. -EINVAL: it was not started by an agent.
MESOS_API int mesos_executor_new(const struct mesos_executor_callbacks *callbacks, void *ctx,
                                 struct mesos_executor **ret_executor, struct mesos_error *err);
// Without a callback on the stack. NULL is fine. Updates that were not acknowledged are lost.
MESOS_API void mesos_executor_free(struct mesos_executor *executor);

// Until mesos_executor_stop or a shutdown; returns the status, 0 after a shutdown.
MESOS_API int mesos_executor_run(struct mesos_executor *executor);
// Makes run return when all updates are acknowledged, or after ten seconds without.
MESOS_API void mesos_executor_stop(struct mesos_executor *executor, int status);
// Makes run call `woken` soon. From any thread, and from a signal's handler (SIGCHLD, say).
MESOS_API void mesos_executor_wake(struct mesos_executor *executor);

// Says how a task fares: a state as "TASK_RUNNING", and a text for people or NULL. It is sent until
// it is acknowledged. `more`: a JSON object of more fields of TaskStatus, or NULL. -EINVAL: no such
// state, or what is in `more` is not right.
MESOS_API int mesos_update(struct mesos_executor *executor, const char *task_id, const char *state,
                           const char *text, const char *more, struct mesos_error *err);
// Updates that are not acknowledged yet.
MESOS_API size_t mesos_executor_unacknowledged(const struct mesos_executor *executor);
// Bytes to the scheduler, which may get lost. -ENOTCONN: not subscribed.
MESOS_API int mesos_executor_send(struct mesos_executor *executor, const void *data, size_t size,
                                  struct mesos_error *err);

#ifdef __cplusplus
}
#endif

#endif
