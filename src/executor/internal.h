// SPDX-License-Identifier: Apache-2.0
//
// Private to this folder: a pod and its tasks.
//
//              LAUNCH sent        answered, all of the group       WAIT answered
//   (arrives) ------------> LAUNCHING ------------> WAITED_FOR -------------------> freed
//
// A task is being killed at the same time or not; that changes what its end is called.

#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"
#include "base/prng.h"
#include "check/task_checks.h"
#include "executor/agent_call.h"
#include "executor/pod.h"

#define POD_RETRY_NS (1 * NS_PER_S)      // after a call without an answer
#define POD_KILL_GRACE_NS (3 * NS_PER_S) // when nobody says otherwise

enum { POD_MAGIC = 0x504f4421, POD_TASK_MAGIC = 0x504f4454 };

struct pod_group {
    struct list link;  // in the pod's groups
    struct list tasks; // struct pod_task, by `member`; those that have not ended
    size_t unanswered; // LAUNCHes that wait for an answer
    bool is_killed;    // with one of its tasks all others end
};

struct pod_task {
    uint32_t magic;
    struct list member; // of the group
    struct pod *pod;
    struct pod_group *group;
    struct arena *arena; // owns what follows
    Mesos__V1__TaskInfo *info;
    const char *id;
    char *container_name; // of the nested container
    bool is_answered;     // LAUNCH was
    bool is_launched;     // and well
    const char *launch_error;
    bool is_killing;
    bool is_out_of_time; // by max_completion_time
    struct agent_call *launch, *wait, *kill;
    struct task_checks *checks; // NULL: it has none
    struct list probes;         // of command checks (pod_check.c)
    int kill_signal;            // of the last KILL
    struct timer launch_timer;  // to try it again
    struct timer wait_timer;
    struct timer kill_timer;       // SIGKILL, and again
    struct timer completion_timer; // max_completion_time
};

struct pod {
    uint32_t magic;
    struct env *env;
    struct executor_environment environment;
    const char *launcher_dir;
    char *authorization; // or NULL
    struct executor *client;
    struct arena *arena;
    char *container_id;    // of the executor; NULL before it subscribed
    unsigned capabilities; // of the framework
    struct prng prng;      // for names of containers
    struct map tasks;      // id -> struct pod_task
    struct list groups;
    bool is_shutting_down;
    bool is_unhealthy;      // a health check had a task killed
    struct timer end_timer; // the last acknowledgements are not waited for any longer
};

// ---- pod.c ----
struct pod_report {
    Mesos__V1__TaskState state;
    const char *message; // or NULL
    bool has_reason;
    Mesos__V1__TaskStatus__Reason reason;
    const Mesos__V1__TaskResourceLimitation *limitation; // or NULL
};
void pod_report(struct pod_task *task, const struct pod_report *report);
// The task's nested container, in `arena`.
Mesos__V1__ContainerID *pod_container_id(const struct pod_task *task, struct arena *arena);
// A call to the agent's operator API, in `arena`: its type is set, its body is the caller's
// business.
Mesos__V1__Agent__Call *pod_make_call(struct arena *arena, Mesos__V1__Agent__Call__Type type);
// WAIT_CONTAINER, whole.
Mesos__V1__Agent__Call *pod_make_wait(struct arena *arena, Mesos__V1__ContainerID *container_id);
struct agent_call *pod_call(struct pod_task *task, const Mesos__V1__Agent__Call *call,
                            agent_call_fn *on_answer);
// It has ended and that was told: it is freed, and the pod ends after its last one.
void pod_task_done(struct pod_task *task);
// Everything has ended: stops when nothing waits for an acknowledgement, at the latest in a while.
void pod_finish(struct pod *pod);

// The grace period of a kill by that policy, or by the task's own, in nanoseconds.
int64_t pod_grace_of(const struct pod_task *task,
                     const Mesos__V1__KillPolicy *policy /* or NULL */);

// ---- pod_check.c ----
void pod_check_new(struct pod_task *task); // looks begin with task_checks_start
void pod_check_free(struct pod_task *task);

// ---- pod_launch.c ----
void pod_launch_group(struct pod *pod, const Mesos__V1__TaskGroupInfo *info);

// ---- pod_end.c ----
// What is known when a container has ended.
struct pod_end {
    bool is_killing;
    bool is_out_of_time;      // by max_completion_time
    const char *launch_error; // or NULL
    // What the agent says of it; NULL: it does not know the container.
    const Mesos__V1__Agent__Response__WaitContainer *container;
};
// The report's message, if there is one, is `text`, which was empty and stays the caller's.
void pod_judge(const struct pod_end *end, struct buf *text, struct pod_report *ret);

// ---- pod_wait.c ----
void pod_wait(struct pod_task *task);

// ---- pod_kill.c ----
// With its group the rest is killed when it has ended.
void pod_kill(struct pod_task *task, int64_t grace_ns);
void pod_kill_group(struct pod_group *group);
void pod_kill_again(struct pod_task *task); // it was not there yet
void pod_arm_completion(struct pod_task *task);
void pod_task_init_timers(struct pod_task *task);
