// SPDX-License-Identifier: Apache-2.0
//
// Child processes. clone (child_clone.c) with CLONE_VM and CLONE_VFORK costs the same whatever the
// size of the parent, and gives a pidfd, which the loop watches: it turns readable when the child
// has ended, so no SIGCHLD handler and no walk over all children is needed.

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "env/env_internal.h"

#define CHILD_MAGIC UINT32_C(0x43484c31)

enum { CHILD_FD_COUNT_MAX = 1024 };

struct env_child {
    uint32_t magic;
    uv_poll_t poll;
    int pidfd;
    pid_t pid;
    void (*on_exit)(void *ctx, pid_t pid, int status); // NULL: detached
    void *ctx;
    struct list link;
};

static void on_closed(uv_handle_t *handle)
{
    struct env_child *child = CHECK_CAST(env_child, CHILD_MAGIC, handle->data);
    child->magic = 0;
    mem_free(child);
}

static void child_close(struct env_child *child)
{
    list_remove(&child->link);
    uv_poll_stop(&child->poll);
    uv_close((uv_handle_t *)&child->poll, on_closed);
    close(child->pidfd);
    child->pidfd = -1;
}

static void on_pidfd(uv_poll_t *poll, int poll_status, int events)
{
    struct env_child *child = CHECK_CAST(env_child, CHILD_MAGIC, poll->data);
    (void)poll_status;
    (void)events;
    int status = 0;
    pid_t r = waitpid(child->pid, &status, WNOHANG);
    if (r == 0 || (r < 0 && errno == EINTR)) {
        return;
    }
    if (r < 0 && child->on_exit != NULL) {
        log_error("waiting for process %d failed: %s", (int)child->pid, strerror(errno));
        status = SIGKILL; // its real status is lost; it did not end well as far as we know
    }
    void (*on_exit_run)(void *, pid_t, int) = child->on_exit;
    void *ctx = child->ctx;
    pid_t pid = child->pid;
    child_close(child);
    if (on_exit_run != NULL) {
        on_exit_run(ctx, pid, status);
    }
}

static int child_start(const struct env_spawn *order, pid_t *ret_pid, int *ret_pidfd,
                       struct error *err)
{
    int fds[CHILD_FD_COUNT_MAX];
    if (order->fd_count > CHILD_FD_COUNT_MAX) {
        return error_set(err, -E2BIG, "more than %d descriptors for %s", CHILD_FD_COUNT_MAX,
                         order->file);
    }
    for (size_t i = 0; i < order->fd_count; i++) {
        fds[i] = order->fds[i];
    }
    struct env_child_order child = {
        .file = order->file,
        .arguments = order->arguments,
        .environment = order->environment != NULL ? order->environment : environ,
        .directory = order->directory,
        .fds = fds,
        .fd_count = (unsigned)order->fd_count,
        .new_session = order->new_session,
        .takes_terminal = order->takes_terminal,
        .cgroup_fd = order->cgroup_fd,
    };
    int pidfd = -1;
    pid_t pid = env_child_clone(&child, &pidfd);
    if (pid < 0) {
        return error_errno(err, pid, "cannot start a process for %s", order->file);
    }
    if (child.error != 0) {
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
        }
        close(pidfd);
        return error_errno(err, -child.error, "cannot run %s: %s", order->file, child.failed_step);
    }
    *ret_pid = pid;
    *ret_pidfd = pidfd;
    return 0;
}

int env_spawn(struct env *env, const struct env_spawn *order,
              void (*on_exit_run)(void *ctx, pid_t pid, int status), void *ctx, pid_t *ret_pid,
              struct env_child **ret_child, struct error *err)
{
    CHECK(order->file != NULL && order->file[0] == '/' && order->arguments != NULL);
    pid_t pid;
    int pidfd;
    int r = child_start(order, &pid, &pidfd, err);
    if (r < 0) {
        return r;
    }
    struct env_child *child = mem_zalloc(sizeof(*child));
    child->magic = CHILD_MAGIC;
    child->pid = pid;
    child->pidfd = pidfd;
    child->on_exit = on_exit_run;
    child->ctx = ctx;
    // These two fail only for a bad descriptor or a full epoll set, which nothing here can mend.
    CHECK(uv_poll_init(env_loop(env), &child->poll, pidfd) == 0);
    child->poll.data = child;
    CHECK(uv_poll_start(&child->poll, UV_READABLE, on_pidfd) == 0);
    list_append(&env->children, &child->link);
    if (ret_pid != NULL) {
        *ret_pid = pid;
    }
    if (ret_child != NULL) {
        *ret_child = child;
    }
    return 0;
}

void env_child_detach(struct env_child *child)
{
    CHECK(child->magic == CHILD_MAGIC);
    child->on_exit = NULL;
}

void env_children_forget(struct env *env)
{
    LIST_FOREACH (&env->children, struct env_child, link, child) {
        child_close(child);
    }
}
