// SPDX-License-Identifier: Apache-2.0
//
// A container's end: why it ends, and the repeated take-down until nothing of it is left.

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "container/container_io.h"

// The take-down is repeated after 0.5 ms, then ever less often.
static const int64_t STEP_DELAY_FIRST_NS = 500 * NS_PER_US;
static const int64_t STEP_DELAY_MAX_NS = 50 * NS_PER_MS;
static const int64_t STEP_DELAY_OVERDUE_NS = NS_PER_S;

static void on_step(struct timer *timer, struct instant now);

void container_fail(struct container *container, Mesos__V1__TaskStatus__Reason reason,
                    const char *format, ...)
{
    if (!container->has_reason) {
        AUTO_BUF struct buf text = BUF_INIT;
        va_list args;
        va_start(args, format);
        buf_vprintf(&text, format, args);
        va_end(args);
        container->has_reason = true;
        container->reason = reason;
        container->message = buf_take(&text);
    }
    container_begin_destroy(container);
}

void container_begin_destroy(struct container *container)
{
    if (container->state == CONTAINER_DESTROYING) {
        return;
    }
    if (container->fetch != NULL) {
        fetch_cancel(container->fetch);
        container->fetch = NULL;
    }
    if (container->state == CONTAINER_STARTING && container->child != NULL) {
        // It may not be in its cgroups yet. (What it started since its exec, of which we have not
        // heard yet, goes with all the rest.)
        (void)kill(container->pid, SIGKILL);
    }
    container->state = CONTAINER_DESTROYING;
    list_remove(&container->queue_link);
    container_close_files(container);
    container->destroy_since = env_now(container->owner->env).mono;
    container->step_delay_ns = STEP_DELAY_FIRST_NS;
    container->step_timer.run = on_step;
    env_timer_set(container->owner->env, &container->step_timer, 0);
}

// ---- memory ----

static void note_oom(struct container *container)
{
    if (container->has_reason || container->cgroup == NULL || container->shares_limits ||
        !cgroup_has_oomed(container->cgroup)) {
        return;
    }
    AUTO_BUF struct buf text = BUF_INIT;
    uint64_t used;
    cgroup_put_oom_text(container->cgroup, &text, &used);
    AUTO_FREE char *amount = mem_printf("mem:%.3f", (double)used / (1024 * 1024));
    if (resources_parse(amount, "*", &container->limited, NULL) < 0) {
        container->limited = NULL;
    }
    container->has_reason = true;
    container->reason = MESOS__V1__TASK_STATUS__REASON__REASON_CONTAINER_LIMITATION_MEMORY;
    container->message = buf_take(&text);
    log_info("Container %s ran out of memory: %.*s", container->id,
             (int)strcspn(container->message, "\n"), container->message);
}

void container_on_oom(struct container *container)
{
    note_oom(container);
    if (cgroup_has_oomed(container->cgroup)) {
        container_unwatch(container, &container->oom);
        container_begin_destroy(container);
    }
}

// ---- exit ----

void container_on_exit(void *ctx, pid_t pid, int status)
{
    struct container *container = CHECK_CAST(container, CONTAINER_MAGIC, ctx);
    (void)pid;
    container->child = NULL;
    container->has_status = true;
    container->status = status;
    if (container->session != NULL) {
        session_leader_gone(container->session);
    }
    while (container->reply.fd >= 0 && container->state == CONTAINER_STARTING) {
        // Nobody holds the other end any more: this ends in a text or in on_launched.
        container->reply.run(container);
    }
    if (container->state == CONTAINER_DESTROYING) {
        env_timer_set(container->owner->env, &container->step_timer, 0);
        return;
    }
    container_begin_destroy(container);
}

// ---- the take-down ----

// True when there are none (any more).
static bool children_are_gone(struct container *container)
{
    LIST_FOREACH (&container->children, struct container, sibling, child) {
        container_begin_destroy(child);
    }
    return list_is_empty(&container->children);
}

// 0: nothing is left but the unreaped first process, if any. 1: again. Negative: cannot now.
static int take_down(struct container *container, struct error *err)
{
    int code = 0;
    if (container->cgroup != NULL) {
        code = cgroup_take_down(container->cgroup, err);
    } else if (container->session != NULL) {
        code = session_take_down(container->session, err);
    }
    if (code == 0) {
        container_unwatch(container, &container->oom);
        container->cgroup = cgroup_free(container->cgroup);
        container->session = session_free(container->session);
    }
    return code;
}

static void container_finish(struct container *container)
{
    struct containerizer *owner = container->owner;
    CHECK(map_remove(&owner->containers, container->id) == container);
    // What the helper said is the cause; its exit status is not the container's.
    bool launch_failed =
        container->has_reason &&
        container->reason == MESOS__V1__TASK_STATUS__REASON__REASON_CONTAINER_LAUNCH_FAILED;
    struct container_termination termination = {
        .has_status = container->has_status && !launch_failed,
        .status = container->status,
        .has_reason = container->has_reason,
        .reason = container->reason,
        .message = container->message,
        .limited = container->limited,
    };
    if (container->io != NULL) {
        container_io_end(container->io);
    }
    container_note_end(container, &termination);
    struct container *parent = container->parent;
    if (parent != NULL && parent->state == CONTAINER_DESTROYING) {
        env_timer_set(owner->env, &parent->step_timer, 0);
    }
    container_forget_ended(container, true);
    if (!container->is_orphan) {
        owner->callbacks.on_terminated(owner->ctx, container->id, &termination);
    }
    container_free(container);
}

static void report_overdue(struct container *container, int code, const struct error *err)
{
    if (container->is_overdue) {
        return;
    }
    container->is_overdue = true;
    container->owner->destroy_errors++;
    log_error("Failed to destroy container %s in time, and keep trying: %s", container->id,
              code < 0 ? err->text : "processes of it are still alive");
}

static void on_step(struct timer *timer, struct instant now)
{
    struct container *container = CONTAINER_OF(timer, struct container, step_timer);
    CHECK(container->magic == CONTAINER_MAGIC && container->state == CONTAINER_DESTROYING);
    note_oom(container);
    struct error err = {0};
    int code = children_are_gone(container) ? take_down(container, &err) : 1;
    if (code == 0 && container->child == NULL) {
        container_finish(container);
        return;
    }
    if (code == 0) {
        (void)kill(container->pid, SIGKILL);
    }
    if (now.mono - container->destroy_since > container->owner->destroy_timeout_ns) {
        report_overdue(container, code, &err);
        container->step_delay_ns = STEP_DELAY_OVERDUE_NS;
    }
    env_timer_set(container->owner->env, &container->step_timer, container->step_delay_ns);
    if (container->step_delay_ns < STEP_DELAY_MAX_NS) {
        container->step_delay_ns *= 2;
    }
}

bool container_take_down_now(struct container *container)
{
    // As in container_begin_destroy: one that has not exec'ed yet may be outside of its cgroups.
    if (container->state == CONTAINER_STARTING && container->child != NULL) {
        (void)kill(container->pid, SIGKILL);
    }
    if (take_down(container, NULL) != 0) {
        return false;
    }
    if (container->child != NULL) {
        (void)kill(container->pid, SIGKILL);
    }
    return true;
}

struct container *container_free(struct container *container)
{
    if (container == NULL) {
        return NULL;
    }
    env_timer_cancel(container->owner->env, &container->step_timer);
    if (container->fetch != NULL) {
        fetch_cancel(container->fetch);
    }
    if (container->child != NULL) {
        env_child_detach(container->child);
    }
    list_remove(&container->queue_link);
    list_remove(&container->sibling);
    LIST_FOREACH (&container->children, struct container, sibling, child) {
        list_remove(&child->sibling);
        child->parent = NULL;
    }
    container_forget_ended(container, false);
    container_unwatch(container, &container->reply);
    container_unwatch(container, &container->oom);
    container_unwatch(container, &container->supervisor);
    container_close_files(container);
    container->io = container_io_free(container->io);
    cgroup_free(container->cgroup);
    session_free(container->session);
    user_free(container->user);
    resources_free(container->limited);
    mem_free(container->message);
    arena_free(container->arena);
    arena_free(container->volume_arena);
    mem_free(container->id);
    container->magic = 0;
    mem_free(container);
    return NULL;
}
