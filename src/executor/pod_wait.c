// SPDX-License-Identifier: Apache-2.0
//
// WAIT for a nested container, again after each lost answer, and what its end means for the task
// and for its group.

#include "base/check.h"
#include "base/log.h"
#include "executor/internal.h"
#include "model/task_state.h"

#define STATE(name) MESOS__V1__TASK_STATE__TASK_##name

static void run_wait(struct timer *timer, struct instant now)
{
    (void)now;
    pod_wait(CONTAINER_OF(timer, struct pod_task, wait_timer));
}

static void ended(struct pod_task *task, const struct agent_call_answer *answer)
{
    AUTO_BUF struct buf text = BUF_INIT;
    struct pod_report report;
    const struct pod_end end = {
        .is_killing = task->is_killing,
        .is_out_of_time = task->is_out_of_time,
        .launch_error = task->launch_error,
        .container = answer->response != NULL ? answer->response->wait_container : NULL,
    };
    pod_judge(&end, &text, &report);
    task_checks_stop(task->checks);
    pod_report(task, &report);
    log_info("Child container %s of task '%s' completed in state %s%s%s", task->container_name,
             task->id, task_state_name(report.state), text.size > 0 ? ": " : "",
             text.size > 0 ? text.data : "");
    if (!task->pod->is_shutting_down &&
        (report.state == STATE(FAILED) || report.state == STATE(KILLED))) {
        list_remove(&task->member); // the others
        struct pod_group *group = task->group;
        pod_kill_group(group);
        list_append(&group->tasks, &task->member);
    }
    pod_task_done(task);
}

static void on_wait_answer(void *ctx, struct agent_call *call,
                           const struct agent_call_answer *answer)
{
    struct pod_task *task = CHECK_CAST(pod_task, POD_TASK_MAGIC, ctx);
    CHECK(call == task->wait);
    if (answer->status == 200 || answer->status == 404) {
        ended(task, answer); // frees the call with the task
        return;
    }
    log_warning("Received '%d' (%s) waiting on child container %s of task '%s'", answer->status,
                answer->text, task->container_name, task->id);
    task->wait = agent_call_free(call);
    env_timer_set(task->pod->env, &task->wait_timer, POD_RETRY_NS);
}

void pod_wait(struct pod_task *task)
{
    if (task->wait != NULL) {
        return;
    }
    task->wait_timer.run = run_wait;
    AUTO_ARENA struct arena *arena = arena_new(1024, 0);
    const Mesos__V1__Agent__Call *call = pod_make_wait(arena, pod_container_id(task, arena));
    task->wait = pod_call(task, call, on_wait_answer);
}
