// SPDX-License-Identifier: Apache-2.0
//
// Containers that outlive their agent. Each has a file <runtime_dir>/containers/<id>, on which its
// supervising helper (see order.h, ORDER_SUPERVISE) holds a lock as long as it lives, and into
// which it writes its pid and in the end the exit status. The lock passes from the agent to the
// helper with the fork itself, so at no moment can a later agent take the one for the other: a lock
// that is held means a supervisor that lives, under the pid that the file names; a lock that is
// free means that it ended, whoever has its number now.

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/check.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "container/container.h"

enum {
    FILE_SIZE_MAX = 128,
    PID_TRIES_MAX = 2000, // of a millisecond each: a helper writes its pid as the first thing
};

static char *run_path(const struct containerizer *c, const char *id)
{
    return mem_printf("%s/%s", c->containers_dir, id);
}

int container_open_run_file(struct container *container, int *ret_fd, struct error *err)
{
    const struct containerizer *c = container->owner;
    int code = path_make_directories(c->containers_dir, 0755, err);
    if (code < 0) {
        return error_wrap(err, code, "Failed to create the runtime directory");
    }
    AUTO_FREE char *path = run_path(c, container->id);
    AUTO_CLOSE int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0) {
        return error_errno(err, -errno, "Failed to create '%s'", path);
    }
    *ret_fd = TAKE_FD(fd);
    return 0;
}

// ---- what the file says ----

struct run_file {
    bool exists;
    bool is_alive; // the lock is held
    pid_t pid;     // 0: not written
    bool has_status;
    int status;
};

// A line counts when it is whole.
static bool parse_line(const char **at, long *ret_number)
{
    char *end;
    long number = strtol(*at, &end, 10);
    if (end == *at || *end != '\n') {
        return false;
    }
    *at = end + 1;
    *ret_number = number;
    return true;
}

static void read_numbers(int fd, struct run_file *file)
{
    char text[FILE_SIZE_MAX];
    ssize_t size = pread(fd, text, sizeof(text) - 1, 0);
    text[size > 0 ? size : 0] = '\0';
    const char *at = text;
    long number;
    if (parse_line(&at, &number) && number > 0) {
        file->pid = (pid_t)number;
        if (parse_line(&at, &number)) {
            file->has_status = true;
            file->status = (int)number;
        }
    }
}

static bool is_locked(int fd)
{
    return flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}

static void read_run_file(const struct containerizer *c, const char *id, struct run_file *ret)
{
    *ret = (struct run_file){0};
    AUTO_FREE char *path = run_path(c, id);
    AUTO_CLOSE int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        return;
    }
    ret->exists = true;
    for (int i = 0; i < PID_TRIES_MAX; i++) {
        ret->is_alive = is_locked(fd);
        read_numbers(fd, ret);
        if (!ret->is_alive || ret->pid > 0) {
            return;
        }
        usleep(1000);
    }
}

// A descriptor of the process that holds the lock; -1 when it has ended meanwhile.
static int open_supervisor(const struct containerizer *c, const char *id, pid_t pid)
{
    AUTO_CLOSE int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    struct run_file again;
    read_run_file(c, id, &again);
    // Who holds the lock still was alive when the descriptor was opened, so that is what it names.
    return pidfd >= 0 && again.is_alive && again.pid == pid ? TAKE_FD(pidfd) : -1;
}

// ---- taking over ----

static struct container *container_revive(struct containerizer *c, const char *id,
                                          const char *sandbox)
{
    struct container *container = mem_zalloc(sizeof(*container));
    container->magic = CONTAINER_MAGIC;
    container->owner = c;
    container->id = mem_strdup(id);
    container->arena = arena_new(0, 0);
    container->sandbox = sandbox == NULL ? NULL : arena_strdup(container->arena, sandbox);
    container->outlives_agent = true;
    container->out_fd = container->err_fd = container->reply.fd = container->oom.fd =
        container->supervisor.fd = -1;
    list_init(&container->queue_link);
    map_put(&c->containers, container->id, container);
    return container;
}

static void note_status(struct container *container, const struct run_file *file)
{
    container->has_status = file->has_status;
    container->status = file->status;
    if (!file->has_status) {
        container->message = mem_strdup("Abnormal executor termination: unknown container");
    }
}

static void on_supervisor_ended(struct container *container)
{
    container_unwatch(container, &container->supervisor);
    struct run_file file;
    read_run_file(container->owner, container->id, &file);
    if (container->session != NULL) {
        session_leader_gone(container->session);
    }
    if (container->state == CONTAINER_DESTROYING) {
        return;
    }
    note_status(container, &file);
    container_begin_destroy(container);
}

static void adopted_due(struct timer *timer, struct instant now)
{
    (void)now;
    struct container *container = CONTAINER_OF(timer, struct container, step_timer);
    struct containerizer *owner = container->owner;
    owner->callbacks.on_launched(owner->ctx, container->id, container->pid);
}

static void watch_memory(struct container *container)
{
    struct error err;
    if (cgroup_watch_again(container->cgroup, &err) < 0 ||
        cgroup_set_limits(container->cgroup, &container->limits, &err) < 0) {
        log_warning("The memory of container %s is not watched: %s", container->id, err.text);
        return;
    }
    uint32_t events;
    int oom_fd = cgroup_oom_fd(container->cgroup, &events);
    if (oom_fd >= 0) {
        container_watch(container, &container->oom, oom_fd, events, container_on_oom);
    }
}

// What is left of it beside its first process: cgroups, or the session that `pid` led.
static void find_processes(struct container *container, pid_t pid)
{
    if (container->owner->driver != NULL) {
        container->cgroup = cgroup_adopt(container->owner->driver, container->id);
    } else if (pid > 0) {
        container->session = session_new(pid, container->sandbox, false);
    }
}

// `sandbox`: NULL when it is not known.
static void recover_one(struct containerizer *c, const char *id, const char *sandbox,
                        const struct cgroup_limits *limits, bool is_rebooted)
{
    struct container *container = container_revive(c, id, sandbox);
    struct run_file file;
    read_run_file(c, id, &file);
    container->limits = *limits;
    container->pid = file.pid;
    find_processes(container, is_rebooted ? 0 : file.pid);
    int pidfd = file.is_alive && file.pid > 0 ? open_supervisor(c, id, file.pid) : -1;
    if (pidfd >= 0) {
        log_info("Container %s is still running (pid %d)", id, (int)file.pid);
        container->state = CONTAINER_RUNNING;
        container_watch(container, &container->supervisor, pidfd, EPOLLIN, on_supervisor_ended);
        if (container->cgroup != NULL) {
            watch_memory(container);
        }
        container->step_timer.run = adopted_due;
        env_timer_set(c->env, &container->step_timer, 0);
        return;
    }
    read_run_file(c, id, &file);
    log_info("Container %s is not running any more", id);
    note_status(container, &file);
    if (container->session != NULL && !file.is_alive) {
        session_leader_gone(container->session);
    }
    container_begin_destroy(container);
}

// Files of containers that nobody asks for: taken down when alive, else removed.
static void recover_orphans(struct containerizer *c)
{
    DIR *stream = opendir(c->containers_dir);
    if (stream == NULL) {
        return;
    }
    static const struct cgroup_limits no_limits;
    for (struct dirent *entry; (entry = readdir(stream)) != NULL;) {
        const char *id = entry->d_name;
        if (id[0] == '.' || map_has(&c->containers, id)) {
            continue;
        }
        struct run_file file;
        read_run_file(c, id, &file);
        if (file.is_alive) {
            log_info("Destroying the orphaned container %s", id);
            recover_one(c, id, NULL, &no_limits, false);
            struct container *container = map_get(&c->containers, id);
            container->is_orphan = true;
            container_begin_destroy(container);
        }
        containerizer_forget(c, id);
    }
    closedir(stream);
}

void containerizer_recover(struct containerizer *c, const struct container_recovery *containers,
                           size_t count, bool is_rebooted)
{
    CHECK(c->containers.count == 0);
    for (size_t i = 0; i < count; i++) {
        struct cgroup_limits limits;
        container_read_limits(containers[i].resources, &limits);
        recover_one(c, containers[i].container_id, containers[i].sandbox, &limits, is_rebooted);
    }
    recover_orphans(c);
    container_destroy_orphans(c);
}

void containerizer_forget(struct containerizer *c, const char *container_id)
{
    AUTO_FREE char *path = run_path(c, container_id);
    if (unlink(path) < 0 && errno != ENOENT) {
        log_warning("Failed to remove '%s': %s", path, strerror(errno));
    }
}

void containerizer_leave(struct containerizer *c)
{
    c->leaves = true;
}

bool container_is_left(const struct container *container)
{
    return container->owner->leaves && container->outlives_agent &&
           (container->state == CONTAINER_RUNNING || container->state == CONTAINER_STARTING);
}
