// SPDX-License-Identifier: Apache-2.0
//
// What the end of a task's container means: the state, reason and message of the task's last
// update.

#include <string.h>
#include <sys/wait.h>

#include "executor/internal.h"

#define STATE(name) MESOS__V1__TASK_STATE__TASK_##name

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

static Mesos__V1__TaskState state_by_status(const struct pod_end *end, int status)
{
    if (end->is_out_of_time) {
        return STATE(FAILED);
    }
    if (end->is_killing) {
        return STATE(KILLED);
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? STATE(FINISHED) : STATE(FAILED);
}

// The agent does not know the container: it could not be launched, or was removed.
static void judge_missing(const struct pod_end *end, struct buf *text, struct pod_report *ret)
{
    if (end->is_killing) {
        ret->state = STATE(KILLED);
        return;
    }
    ret->state = STATE(FAILED);
    buf_puts(text, end->launch_error != NULL
                       ? end->launch_error
                       : "Unable to retrieve command's termination information");
}

// What the agent says of the end goes before what the status alone tells.
static void judge_known(const struct pod_end *end, struct buf *text, struct pod_report *ret)
{
    const Mesos__V1__Agent__Response__WaitContainer *container = end->container;
    if (container->has_exit_status) {
        ret->state = state_by_status(end, container->exit_status);
        ret->has_reason = end->is_out_of_time;
        ret->reason = MESOS__V1__TASK_STATUS__REASON__REASON_MAX_COMPLETION_TIME_REACHED;
        put_status(text, container->exit_status);
    } else {
        ret->state = end->is_killing ? STATE(KILLED) : STATE(FAILED);
        buf_puts(text, end->launch_error != NULL ? end->launch_error
                                                 : "Command terminated with unknown status");
    }
    if (container->has_state && !(end->is_killing && !container->has_exit_status)) {
        ret->state = container->state;
    }
    if (container->has_reason) {
        ret->has_reason = true;
        ret->reason = container->reason;
    }
    if (container->message != NULL && strcmp(container->message, text->data) != 0) {
        buf_printf(text, ": %s", container->message);
    }
    ret->limitation = container->limitation;
}

void pod_judge(const struct pod_end *end, struct buf *text, struct pod_report *ret)
{
    *ret = (struct pod_report){.state = STATE(FAILED)};
    if (end->container == NULL) {
        judge_missing(end, text, ret);
    } else {
        judge_known(end, text, ret);
    }
    ret->message = text->size > 0 ? text->data : NULL;
}
