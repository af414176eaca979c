// SPDX-License-Identifier: Apache-2.0
//
// A container's way from the queue to its exec: sandbox, fetching, cgroups, the helper.

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "container/container_io.h"
#include "container/order_write.h"

#define LAUNCH_FAILED MESOS__V1__TASK_STATUS__REASON__REASON_CONTAINER_LAUNCH_FAILED

static void launch_failed(struct container *container, const char *text)
{
    container_fail(container, LAUNCH_FAILED, "Failed to launch container: %s", text);
}

// ---- the sandbox ----

static int open_output(const struct container *container, int sandbox_fd, const char *name,
                       int *ret_fd, struct error *err)
{
    AUTO_CLOSE int fd =
        openat(sandbox_fd, name, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0) {
        return error_errno(err, -errno, "Failed to create '%s' in the sandbox", name);
    }
    if (container->user != NULL && fchown(fd, container->user->uid, container->user->gid) < 0) {
        return error_errno(err, -errno, "Failed to change the owner of '%s'", name);
    }
    *ret_fd = TAKE_FD(fd);
    return 0;
}

static int open_sandbox(const struct container *container, int *ret_fd, struct error *err)
{
    if (container->parent != NULL) {
        return container_open_nested_sandbox(container, ret_fd, err);
    }
    int code = path_make_directories(container->sandbox, 0755, err);
    if (code < 0) {
        return code;
    }
    int fd = open(container->sandbox, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return error_errno(err, -errno, "Failed to open '%s'", container->sandbox);
    }
    *ret_fd = fd;
    return 0;
}

// Not for others' eyes, and handed over to the user only when all of ours is in it.
static int make_sandbox(struct container *container, struct error *err)
{
    AUTO_CLOSE int fd = -1;
    int code = open_sandbox(container, &fd, err);
    if (code < 0) {
        return error_wrap(err, code, "Failed to create the sandbox");
    }
    if (fchmod(fd, 0750) < 0) {
        return error_errno(err, -errno, "Failed to prepare the sandbox '%s'", container->sandbox);
    }
    if ((code = container_make_links(container, fd, err)) < 0) {
        return code;
    }
    if ((code = container_make_mount_points(container, fd, err)) < 0) {
        return code;
    }
    uid_t uid = container->user != NULL ? container->user->uid : geteuid();
    gid_t gid = container->user != NULL ? container->user->gid : getegid();
    if ((code = container_link_volumes(container, fd, uid, gid, err)) < 0) {
        return code;
    }
    if ((code = open_output(container, fd, container->stdout_name, &container->out_fd, err)) < 0 ||
        (code = open_output(container, fd, container->stderr_name, &container->err_fd, err)) < 0) {
        return code;
    }
    if (container->user != NULL && fchown(fd, container->user->uid, container->user->gid) < 0) {
        return error_errno(err, -errno, "Failed to change the owner of the sandbox '%s'",
                           container->sandbox);
    }
    return 0;
}

static int find_user(struct container *container, struct error *err)
{
    if (container->user_name == NULL) {
        return 0;
    }
    int code = user_find(container->user_name, &container->user, err);
    if (code < 0) {
        return code;
    }
    if (container->user->uid == geteuid()) {
        // Nothing to switch; without root it could not be done either.
        if (geteuid() != 0) {
            container->user = user_free(container->user);
        }
        return 0;
    }
    if (geteuid() != 0) {
        return error_set(err, -EPERM, "Only an agent of root can run containers as user '%s'",
                         container->user_name);
    }
    return 0;
}

// ---- the process ----

static void put_command(const struct container *container, struct buf *order)
{
    const Mesos__V1__CommandInfo *command = container->command;
    if (command->shell) {
        order_put_text(order, ORDER_FILE, "/bin/sh");
        order_put_text(order, ORDER_ARGUMENT, "sh");
        order_put_text(order, ORDER_ARGUMENT, "-c");
        order_put_text(order, ORDER_ARGUMENT, command->value);
        return;
    }
    order_put_text(order, ORDER_FILE, command->value);
    for (size_t i = 0; i < command->n_arguments; i++) {
        order_put_text(order, ORDER_ARGUMENT, command->arguments[i]);
    }
    if (command->n_arguments == 0) {
        order_put_text(order, ORDER_ARGUMENT, command->value);
    }
}

// The more of the machine's memory it asked for, the later it is killed when that runs out.
static void put_oom_score(const struct container *container, struct buf *order)
{
    const struct cgroup_limits *limits = &container->limits;
    if (!container->is_burstable || container->cgroup == NULL || container->shares_limits ||
        !container->owner->limits_mem || limits->mem_max_bytes <= limits->mem_bytes) {
        return;
    }
    uint64_t machine = machine_memory_bytes();
    if (machine == 0) {
        return;
    }
    uint64_t asked = limits->mem_bytes < machine ? limits->mem_bytes : machine;
    char text[32];
    snprintf(text, sizeof(text), "%d", 1000 - (int)((double)asked * 1000 / (double)machine));
    order_put_text(order, ORDER_OOM_SCORE, text);
}

// Without its agent. A nested one may have a supervisor only for a later agent to find it.
static bool goes_on(const struct container *container)
{
    const struct container *root = container;
    while (root->parent != NULL) {
        root = root->parent;
    }
    return root->outlives_agent && !container->is_session;
}

static int write_order(struct container *container, bool enters, int *ret_fd, struct error *err)
{
    AUTO_BUF struct buf order = BUF_INIT;
    if (enters) {
        const char **paths;
        size_t count = cgroup_enter_paths(container->cgroup, container->arena, &paths);
        for (size_t i = 0; i < count; i++) {
            order_put_text(&order, ORDER_CGROUP, paths[i]);
        }
    }
    int code = container_put_mounts(container, &order, err);
    if (code < 0) {
        return code;
    }
    order_put_text(&order, ORDER_DIRECTORY, container->directory);
    if (container->has_bounding) {
        order_put_number(&order, ORDER_BOUNDING, (int64_t)container->bounding);
    }
    if (container->has_effective) {
        order_put_number(&order, ORDER_EFFECTIVE, (int64_t)container->effective);
    }
    for (size_t i = 0; i < container->rlimit_count; i++) {
        const struct container_rlimit *limit = &container->rlimits[i];
        int64_t numbers[] = {limit->resource, (int64_t)limit->soft, (int64_t)limit->hard};
        order_put_numbers(&order, ORDER_RLIMIT, numbers, ARRAY_COUNT(numbers));
    }
    put_oom_score(container, &order);
    order_put_user(&order, container->user);
    if (container->outlives_agent) {
        order_put_number(&order, ORDER_SUPERVISE, goes_on(container) ? 1 : 0);
    }
    if (container->tty.is_wanted && !container->tty.is_input_only) {
        order_put_number(&order, ORDER_TERMINAL, 1);
    }
    put_command(container, &order);
    for (char **variable = container->environment; *variable != NULL; variable++) {
        order_put_text(&order, ORDER_ENVIRONMENT, *variable);
    }
    return order_open(&order, ret_fd, err);
}

static void helper_failed(struct container *container)
{
    struct order_reply reply = {.code = 0};
    memcpy(&reply, container->reply_data, container->reply_size);
    size_t head_size = offsetof(struct order_reply, text);
    int text_size =
        container->reply_size > head_size ? (int)(container->reply_size - head_size) : 0;
    container_fail(container, LAUNCH_FAILED, "Failed to launch container: %.*s%s%s", text_size,
                   reply.text, reply.code != 0 ? ": " : "",
                   reply.code != 0 ? strerror(reply.code) : "");
}

// The helper's reply, when it has one, arrives as one piece before the descriptor closes.
static void on_reply(struct container *container)
{
    size_t room = sizeof(container->reply_data) - container->reply_size;
    ssize_t n = read(container->reply.fd, container->reply_data + container->reply_size, room);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (n > 0 && (size_t)n < room) {
        container->reply_size += (size_t)n;
        return;
    }
    container->reply_size += n > 0 ? (size_t)n : 0;
    container_unwatch(container, &container->reply);
    if (container->state != CONTAINER_STARTING) {
        return;
    }
    if (container->reply_size > 0) {
        helper_failed(container);
        return;
    }
    container->state = CONTAINER_RUNNING;
    struct containerizer *owner = container->owner;
    owner->callbacks.on_launched(owner->ctx, container->id, container->pid);
}

static int spawn_with(struct container *container, int cgroup_fd, int order_fd, int reply_fd,
                      const int io_fds[3], struct error *err)
{
    static char name[] = "mesos-containerizer";
    char *arguments[] = {name, NULL};
    char *environment[] = {NULL};
    int fds[ORDER_TTY_FD + 1] = {io_fds[0], io_fds[1], io_fds[2], order_fd, reply_fd};
    size_t fd_count = ORDER_FD_COUNT;
    AUTO_CLOSE int run_fd = -1;
    if (container->outlives_agent) {
        int code = container_open_run_file(container, &run_fd, err);
        if (code == 0) {
            code = container_write_head(container, run_fd, err);
        }
        if (code < 0) {
            return code;
        }
        fds[ORDER_RUN_FD] = run_fd;
        fd_count = ORDER_RUN_FD + 1;
    }
    if (container->outlives_agent && container->tty.is_wanted) {
        fds[ORDER_TTY_FD] = container_io_terminal(container->io);
        fd_count = ORDER_TTY_FD + 1;
    }
    struct env_spawn spawn = {
        .file = container->owner->helper_path,
        .arguments = arguments,
        .environment = environment,
        .fds = fds,
        .fd_count = fd_count,
        .new_session = true,
        .cgroup_fd = cgroup_fd < 0 ? 0 : cgroup_fd,
    };
    return env_spawn(container->owner->env, &spawn, container_on_exit, container, &container->pid,
                     &container->child, err);
}

static int spawn_helper(struct container *container, int cgroup_fd, int order_fd, int reply_fd,
                        struct error *err)
{
    int own_fds[3] = {-1, -1, -1};
    bool has_io = container->is_session || container->tty.is_wanted;
    if (has_io) {
        int files[2] = {fcntl(container->out_fd, F_DUPFD_CLOEXEC, 3),
                        container->tty.is_wanted ? -1
                                                 : fcntl(container->err_fd, F_DUPFD_CLOEXEC, 3)};
        int code = container_io_new(container, files, own_fds, &container->io, err);
        if (code < 0) {
            return code;
        }
    }
    bool has_files = !has_io || container->tty.is_input_only;
    int io_fds[3] = {own_fds[0], has_files ? container->out_fd : own_fds[1],
                     has_files ? container->err_fd : own_fds[2]};
    int code = spawn_with(container, cgroup_fd, order_fd, reply_fd, io_fds, err);
    for (int i = 0; i < 3; i++) {
        fd_close_at(&own_fds[i]);
    }
    return code;
}

static int isolate(struct container *container, struct error *err)
{
    if (container->owner->driver == NULL) {
        return 0;
    }
    const struct container *parent = container->parent;
    int code;
    if (parent == NULL) {
        code = cgroup_new(container->owner->driver, container->id, &container->cgroup, err);
    } else if (parent->cgroup == NULL) {
        code = error_set(err, -EBUSY, "Parent container %s is being destroyed", parent->id);
    } else {
        code = cgroup_new_nested(parent->cgroup, strrchr(container->id, '.') + 1,
                                 !container->shares_limits, &container->cgroup, err);
    }
    if (code < 0 || container->shares_limits) {
        return code;
    }
    return cgroup_set_limits(container->cgroup, &container->limits, err);
}

static int start_process(struct container *container, struct error *err)
{
    int code = isolate(container, err);
    if (code < 0) {
        return code;
    }
    AUTO_CLOSE int cgroup_fd = -1;
    if (container->cgroup != NULL &&
        (code = cgroup_open_directory(container->cgroup, &cgroup_fd, err)) < 0) {
        return code;
    }
    AUTO_CLOSE int order_fd = -1;
    bool enters = container->cgroup != NULL && cgroup_fd < 0;
    if ((code = write_order(container, enters, &order_fd, err)) < 0) {
        return code;
    }
    int reply[2];
    if (pipe2(reply, O_CLOEXEC | O_NONBLOCK) < 0) {
        return error_errno(err, -errno, "Failed to create a pipe");
    }
    code = spawn_helper(container, cgroup_fd, order_fd, reply[1], err);
    close(reply[1]);
    if (code < 0) {
        close(reply[0]);
        return code;
    }
    container->state = CONTAINER_STARTING;
    container_watch(container, &container->reply, reply[0], EPOLLIN, on_reply);
    if (container->cgroup == NULL) {
        container->session = session_new(container->pid, container->sandbox, true);
        return 0;
    }
    uint32_t events;
    int oom_fd = cgroup_oom_fd(container->cgroup, &events);
    if (oom_fd >= 0) {
        container_watch(container, &container->oom, oom_fd, events, container_on_oom);
    }
    return 0;
}

static void start_or_fail(struct container *container)
{
    struct error err = {0};
    int code = start_process(container, &err);
    container_close_files(container);
    if (code < 0) {
        launch_failed(container, err.text);
    }
}

static void on_fetched(void *ctx, const char *failure)
{
    struct container *container = CHECK_CAST(container, CONTAINER_MAGIC, ctx);
    CHECK(container->state == CONTAINER_FETCHING);
    container->fetch = NULL;
    if (failure != NULL) {
        launch_failed(container, failure);
        return;
    }
    start_or_fail(container);
}

static int start_fetching(struct container *container, struct error *err)
{
    struct fetch_request request = {
        .container_id = container->id,
        .sandbox = container->sandbox,
        .uris = container->command->uris,
        .uri_count = container->command->n_uris,
        .user_name = container->user == NULL ? NULL : container->user_name,
        .user = container->user,
        .stdout_fd = container->out_fd,
        .stderr_fd = container->err_fd,
    };
    container->state = CONTAINER_FETCHING;
    return fetcher_fetch(container->owner->fetcher, &request, on_fetched, container,
                         &container->fetch, err);
}

void container_start(struct container *container)
{
    struct error err = {0};
    int code = find_user(container, &err);
    if (code == 0) {
        code = make_sandbox(container, &err);
    }
    if (code == 0 && container->command->n_uris > 0) {
        code = start_fetching(container, &err);
    } else if (code == 0) {
        start_or_fail(container);
    }
    if (code < 0) {
        launch_failed(container, err.text);
    }
}

int container_reopen_output(const struct container *container)
{
    AUTO_CLOSE int fd = -1;
    if (container->sandbox == NULL || open_sandbox(container, &fd, NULL) < 0) {
        return -1;
    }
    return openat(fd, "stdout", O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC);
}

void container_close_files(struct container *container)
{
    fd_close_at(&container->out_fd);
    container->out_fd = -1;
    fd_close_at(&container->err_fd);
    container->err_fd = -1;
}
