// SPDX-License-Identifier: Apache-2.0
//
// Ending tasks: SIGTERM, and SIGKILL when the grace period is over, again until WAIT has told the
// end.

#include <signal.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "executor/internal.h"
#include "model/framework.h"
#include "wire/wire.h"

static void on_kill_answer(void *ctx, struct agent_call *call,
                           const struct agent_call_answer *answer)
{
    struct pod_task *task = CHECK_CAST(pod_task, POD_TASK_MAGIC, ctx);
    CHECK(call == task->kill);
    if (answer->status != 200) {
        log_warning("The agent failed to send signal %d to the container of task '%s': %s",
                    task->kill_signal, task->id, answer->text);
    }
    if (task->kill_signal == SIGKILL) {
        env_timer_set(task->pod->env, &task->kill_timer, POD_RETRY_NS);
    }
    task->kill = agent_call_free(call);
}

static void send_kill(struct pod_task *task, int signal)
{
    AUTO_ARENA struct arena *arena = arena_new(1024, 0);
    Mesos__V1__Agent__Call *call =
        pod_make_call(arena, MESOS__V1__AGENT__CALL__TYPE__KILL_CONTAINER);
    call->kill_container = WIRE_NEW(arena, Mesos__V1__Agent__Call__KillContainer,
                                    mesos__v1__agent__call__kill_container);
    call->kill_container->container_id = pod_container_id(task, arena);
    call->kill_container->has_signal = true;
    call->kill_container->signal = signal;
    task->kill_signal = signal;
    agent_call_free(task->kill);
    task->kill = pod_call(task, call, on_kill_answer);
}

static void run_kill(struct timer *timer, struct instant now)
{
    (void)now;
    struct pod_task *task = CONTAINER_OF(timer, struct pod_task, kill_timer);
    log_info("Task '%s' running in child container %s did not terminate in time, sending SIGKILL "
             "to the container",
             task->id, task->container_name);
    send_kill(task, SIGKILL);
}

void pod_kill(struct pod_task *task, int64_t grace_ns)
{
    struct pod *pod = task->pod;
    if (task->is_killing) {
        return;
    }
    task->is_killing = true;
    env_timer_cancel(pod->env, &task->completion_timer);
    task_checks_stop(task->checks);
    AUTO_BUF struct buf text = BUF_INIT;
    text_put_duration(&text, grace_ns);
    log_info("Killing task '%s' running in child container %s with SIGTERM signal; scheduling "
             "escalation to SIGKILL in %s from now",
             task->id, task->container_name, text.data);
    if (!task->is_out_of_time && FRAMEWORK_HAS(pod->capabilities, TASK_KILLING_STATE)) {
        pod_report(task, &(struct pod_report){.state = MESOS__V1__TASK_STATE__TASK_KILLING});
    }
    // One that is being launched still may not be there yet; then it is told again.
    send_kill(task, SIGTERM);
    env_timer_set(pod->env, &task->kill_timer, grace_ns);
}

void pod_kill_again(struct pod_task *task)
{
    if (task->kill_signal == SIGTERM) {
        send_kill(task, SIGTERM);
    }
}

void pod_kill_group(struct pod_group *group)
{
    if (group->is_killed) {
        return;
    }
    group->is_killed = true;
    if (!list_is_empty(&group->tasks)) {
        log_info("Killing the rest of the task group");
    }
    LIST_FOREACH (&group->tasks, struct pod_task, member, task) {
        pod_kill(task, POD_KILL_GRACE_NS);
    }
}

static void run_completion(struct timer *timer, struct instant now)
{
    (void)now;
    struct pod_task *task = CONTAINER_OF(timer, struct pod_task, completion_timer);
    AUTO_BUF struct buf text = BUF_INIT;
    text_put_duration(&text, task->info->max_completion_time->nanoseconds);
    log_info("Killing task '%s' which exceeded its maximum completion time of %s", task->id,
             text.data);
    task->is_out_of_time = true;
    pod_kill(task, 0);
}

void pod_arm_completion(struct pod_task *task)
{
    const Mesos__V1__DurationInfo *limit = task->info->max_completion_time;
    if (limit != NULL && limit->nanoseconds > 0 && !task->is_killing) {
        env_timer_set(task->pod->env, &task->completion_timer, limit->nanoseconds);
    }
}

void pod_task_init_timers(struct pod_task *task)
{
    task->kill_timer.run = run_kill;
    task->completion_timer.run = run_completion;
}
