// SPDX-License-Identifier: Apache-2.0
//
// WAIT for a nested container, again after each lost answer, and what its end means for the task
// and for its group.

#include <string.h>
#include <sys/wait.h>

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "executor/internal.h"
#include "model/task_state.h"
#include "wire/wire.h"

#define STATE(name) MESOS__V1__TASK_STATE__TASK_##name

static void run_wait(struct timer *timer, struct instant now)
{
    (void)now;
    pod_wait(CONTAINER_OF(timer, struct pod_task, wait_timer));
}

// "Command exited with status 1", "Command terminated with signal Killed (core dumped)".
static void put_status(struct buf *out, int status)
{
    if (WIFEXITED(status)) {
        buf_printf(out, "Command exited with status %d", WEXITSTATUS(status));
    } else {
        buf_printf(out, "Command terminated with signal %s%s", strsignal(WTERMSIG(status)),
                   WCOREDUMP(status) ? " (core dumped)" : "");
    }
}

static Mesos__V1__TaskState state_by_status(const struct pod_task *task, int status)
{
    if (task->is_out_of_time) {
        return STATE(FAILED);
    }
    if (task->is_killing) {
        return STATE(KILLED);
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? STATE(FINISHED) : STATE(FAILED);
}

// The agent does not know the container: it could not be launched, or was removed.
static void judge_missing(const struct pod_task *task, struct buf *text, struct pod_report *ret)
{
    if (task->is_killing) {
        ret->state = STATE(KILLED);
        return;
    }
    ret->state = STATE(FAILED);
    buf_puts(text, task->launch_error != NULL
                       ? task->launch_error
                       : "Unable to retrieve command's termination information");
}

// What the agent says of the end goes before what the status alone tells.
static void judge_end(const struct pod_task *task,
                      const Mesos__V1__Agent__Response__WaitContainer *end, struct buf *text,
                      struct pod_report *ret)
{
    if (end->has_exit_status) {
        ret->state = state_by_status(task, end->exit_status);
        ret->has_reason = task->is_out_of_time;
        ret->reason = MESOS__V1__TASK_STATUS__REASON__REASON_MAX_COMPLETION_TIME_REACHED;
        put_status(text, end->exit_status);
    } else {
        ret->state = task->is_killing ? STATE(KILLED) : STATE(FAILED);
        buf_puts(text, task->launch_error != NULL ? task->launch_error
                                                  : "Command terminated with unknown status");
    }
    if (end->has_state && !(task->is_killing && !end->has_exit_status)) {
        ret->state = end->state;
    }
    if (end->has_reason) {
        ret->has_reason = true;
        ret->reason = end->reason;
    }
    if (end->message != NULL && strcmp(end->message, text->data) != 0) {
        buf_printf(text, ": %s", end->message);
    }
    ret->limitation = end->limitation;
}

static void ended(struct pod_task *task, const struct agent_call_answer *answer)
{
    AUTO_BUF struct buf text = BUF_INIT;
    struct pod_report report = {.state = STATE(FAILED)};
    if (answer->status == 404 || answer->response == NULL ||
        answer->response->wait_container == NULL) {
        judge_missing(task, &text, &report);
    } else {
        judge_end(task, answer->response->wait_container, &text, &report);
    }
    report.message = text.size > 0 ? text.data : NULL;
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
