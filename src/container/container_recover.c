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
#include <inttypes.h>
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
#include "container/container_io.h"

enum {
    FILE_SIZE_MAX = 1024,
    USER_SIZE_MAX = 257,
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
    pid_t inner;   // 0: not written
    bool has_status;
    int status;
    // Of nested ones, and of those that stand alone.
    bool is_standalone;
    char user[USER_SIZE_MAX]; // "": the agent's own
    bool is_session;
    bool has_tty, has_mounts;
    bool owns_limits;
    struct cgroup_limits limits;
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

// What stands on lines that begin with a letter.
enum run_mark {
    RUN_USER = 'u',
    RUN_SESSION = 's',
    RUN_LIMITS = 'l',
    RUN_STANDALONE = 'a',
    RUN_TTY = 't',
    RUN_MOUNTS = 'm'
};

// What nobody else remembers of one that stands alone, or of a nested one.
static void put_identity(const struct container *container, struct buf *head)
{
    if (container->is_standalone) {
        buf_printf(head, "%c\n", RUN_STANDALONE);
    }
    if (container->user_name != NULL) {
        buf_printf(head, "%c%s\n", RUN_USER, container->user_name);
    }
    if (container->is_session) {
        buf_printf(head, "%c\n", RUN_SESSION);
    }
    if (!container->shares_limits) {
        const struct cgroup_limits *limits = &container->limits;
        buf_printf(head, "%c%" PRId64 " %" PRIu64 " %" PRId64 " %" PRIu64 " %d\n", RUN_LIMITS,
                   limits->cpus, limits->mem_bytes, limits->cpus_max, limits->mem_max_bytes,
                   limits->has_revocable_cpus);
    }
}

int container_write_head(const struct container *container, int fd, struct error *err)
{
    AUTO_BUF struct buf head = BUF_INIT;
    if (container->tty.is_wanted) {
        buf_printf(&head, "%c\n", RUN_TTY);
    }
    if (container->has_mounts) {
        buf_printf(&head, "%c\n", RUN_MOUNTS);
    }
    if (container->parent != NULL || container->is_standalone) {
        put_identity(container, &head);
    }
    if (head.size > FILE_SIZE_MAX / 2) {
        return error_set(err, -ENAMETOOLONG, "The name of user '%s' is too long",
                         container->user_name);
    }
    if (head.size > 0 && write(fd, head.data, head.size) != (ssize_t)head.size) {
        return error_errno(err, -errno, "Failed to write the run file of container %s",
                           container->id);
    }
    return 0;
}

// What earlier versions wrote ends behind two numbers, or behind four.
static void read_limits(struct run_file *file, const char *text)
{
    int has_revocable_cpus = 0;
    file->owns_limits = sscanf(text, "%" SCNd64 " %" SCNu64 " %" SCNd64 " %" SCNu64 " %d",
                               &file->limits.cpus, &file->limits.mem_bytes, &file->limits.cpus_max,
                               &file->limits.mem_max_bytes, &has_revocable_cpus) >= 2;
    file->limits.has_revocable_cpus = has_revocable_cpus != 0;
}

static void read_mark(const char *line, size_t size, struct run_file *file)
{
    switch (line[0]) {
    case RUN_USER:
        snprintf(file->user, sizeof(file->user), "%.*s", (int)(size - 1), line + 1);
        break;
    case RUN_STANDALONE:
        file->is_standalone = true;
        break;
    case RUN_TTY:
        file->has_tty = true;
        break;
    case RUN_MOUNTS:
        file->has_mounts = true;
        break;
    case RUN_SESSION:
        file->is_session = true;
        break;
    case RUN_LIMITS:
        read_limits(file, line + 1);
        break;
    case ORDER_RUN_INNER:
        file->inner = (pid_t)strtol(line + 1, NULL, 10);
        break;
    default:
        break;
    }
}

static void read_lines(int fd, struct run_file *file)
{
    char text[FILE_SIZE_MAX];
    ssize_t size = pread(fd, text, sizeof(text) - 1, 0);
    text[size > 0 ? size : 0] = '\0';
    const char *at = text;
    const char *end;
    while ((end = strchr(at, '\n')) != NULL) {
        long number;
        if (*at >= 'a' && *at <= 'z') {
            read_mark(at, (size_t)(end - at), file);
            at = end + 1;
        } else if (!parse_line(&at, &number)) {
            return;
        } else if (file->pid == 0) {
            file->pid = (pid_t)number;
        } else {
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
        read_lines(fd, ret);
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
                                          const char *sandbox, const char *user)
{
    struct container *container = container_new(c, id);
    container->sandbox = container->directory =
        sandbox == NULL ? NULL : arena_strdup(container->arena, sandbox);
    if (c->switch_user && user != NULL && *user != '\0') {
        container->user_name = arena_strdup(container->arena, user);
    }
    container->outlives_agent = true;
    return container;
}

pid_t container_inner_pid(const struct container *container)
{
    if (!container->outlives_agent) {
        return container->pid;
    }
    struct run_file file;
    read_run_file(container->owner, container->id, &file);
    return file.is_alive && file.pid == container->pid ? file.inner : 0;
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
    if (container->shares_limits) {
        return;
    }
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
        container->cgroup =
            container_adopt_cgroup(container->owner, container->id, container->shares_limits);
    } else if (pid > 0) {
        container->session = session_new(pid, container->sandbox, false);
    }
}

// The supervisor has kept it.
static void take_over_terminal(struct container *container, int pidfd)
{
    int terminal = (int)syscall(SYS_pidfd_getfd, pidfd, ORDER_TTY_FD, 0);
    if (terminal < 0) {
        log_warning("The terminal of container %s cannot be taken over: %s", container->id,
                    strerror(errno));
        return;
    }
    container_io_adopt(container, terminal, container_reopen_output(container));
}

static void go_on_or_end(struct container *container, bool is_rebooted)
{
    struct containerizer *c = container->owner;
    const char *id = container->id;
    struct run_file file;
    read_run_file(c, id, &file);
    container->pid = file.pid;
    container->has_mounts = file.has_mounts;
    find_processes(container, is_rebooted ? 0 : file.pid);
    int pidfd = file.is_alive && file.pid > 0 ? open_supervisor(c, id, file.pid) : -1;
    if (pidfd >= 0) {
        log_info("Container %s is still running (pid %d)", id, (int)file.pid);
        container->state = CONTAINER_RUNNING;
        container_watch(container, &container->supervisor, pidfd, EPOLLIN, on_supervisor_ended);
        if (container->cgroup != NULL) {
            watch_memory(container);
        }
        if (file.has_tty) {
            take_over_terminal(container, pidfd);
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

static void recover_one(struct containerizer *c, const struct container_recovery *recovery,
                        bool is_rebooted)
{
    struct container *container =
        container_revive(c, recovery->container_id, recovery->sandbox, recovery->user);
    container_read_limits(recovery->resources, &recovery->limits, &container->limits);
    container_keep_volumes(container, recovery->volumes, recovery->volume_count);
    go_on_or_end(container, is_rebooted);
}

// ---- nested ones ----

static void recover_nested_one(struct container *parent, const char *id, bool is_rebooted)
{
    struct containerizer *c = parent->owner;
    struct run_file file;
    read_run_file(c, id, &file);
    AUTO_FREE char *sandbox =
        parent->sandbox == NULL
            ? NULL
            : mem_printf("%s/containers/%s", parent->sandbox, strrchr(id, '.') + 1);
    struct container *container = container_revive(c, id, sandbox, file.user);
    container_adopt_child(parent, container);
    // The agent ended before its process began: whoever asked for it may ask again.
    container->is_orphan = !file.is_alive && file.pid == 0;
    container->is_session = file.is_session;
    container->shares_limits = !file.owns_limits;
    container->limits = file.limits;
    go_on_or_end(container, is_rebooted);
    if (container->is_orphan) {
        containerizer_forget(c, id);
    }
    // A session has lost who spoke through it.
    if (container->is_session || parent->state == CONTAINER_DESTROYING) {
        container_begin_destroy(container);
    }
}

static int compare_ids(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

// The names of all files, sorted, so that parents come first. Caller frees them and the array.
static char **list_files(const struct containerizer *c, size_t *ret_count)
{
    char **names = NULL;
    *ret_count = 0;
    DIR *stream = opendir(c->containers_dir);
    if (stream == NULL) {
        return NULL;
    }
    for (struct dirent *entry; (entry = readdir(stream)) != NULL;) {
        if (entry->d_name[0] != '.') {
            names = mem_realloc_array(names, *ret_count + 1, sizeof(names[0]));
            names[(*ret_count)++] = mem_strdup(entry->d_name);
        }
    }
    closedir(stream);
    if (*ret_count > 0) {
        qsort(names, *ret_count, sizeof(names[0]), compare_ids);
    }
    return names;
}

static void recover_standalone(struct containerizer *c, const char *id, bool is_rebooted)
{
    struct run_file file;
    read_run_file(c, id, &file);
    AUTO_FREE char *sandbox = containerizer_standalone_sandbox(c, id);
    struct container *container = container_revive(c, id, sandbox, file.user);
    container->is_standalone = true;
    container->limits = file.limits;
    go_on_or_end(container, is_rebooted);
}

static bool is_standalone_file(const struct containerizer *c, const char *id)
{
    struct run_file file;
    read_run_file(c, id, &file);
    return file.is_standalone;
}

// Nobody asks for it, and nothing is around it: taken down when it is alive, else forgotten.
static void recover_orphan(struct containerizer *c, const char *id)
{
    struct run_file file;
    read_run_file(c, id, &file);
    if (file.is_alive) {
        log_info("Destroying the orphaned container %s", id);
        struct container *container = container_revive(c, id, NULL, NULL);
        container->is_orphan = true;
        container->shares_limits = strchr(id, '.') != NULL;
        go_on_or_end(container, false);
        container_begin_destroy(container);
    }
    containerizer_forget(c, id);
}

static void recover_others(struct containerizer *c, bool is_rebooted)
{
    size_t count;
    char **ids = list_files(c, &count);
    for (size_t i = 0; i < count; i++) {
        AUTO_FREE char *parent_id = container_parent_id(ids[i]);
        struct container *parent = parent_id == NULL ? NULL : map_get(&c->containers, parent_id);
        if (map_has(&c->containers, ids[i])) {
            // One of those that were asked for.
        } else if (parent != NULL && !parent->is_orphan) {
            recover_nested_one(parent, ids[i], is_rebooted);
        } else if (parent_id == NULL && is_standalone_file(c, ids[i])) {
            recover_standalone(c, ids[i], is_rebooted);
        } else {
            recover_orphan(c, ids[i]);
        }
        mem_free(ids[i]);
    }
    mem_free(ids);
}

void containerizer_recover(struct containerizer *c, const struct container_recovery *containers,
                           size_t count, bool is_rebooted)
{
    CHECK(c->containers.count == 0);
    for (size_t i = 0; i < count; i++) {
        recover_one(c, &containers[i], is_rebooted);
    }
    recover_others(c, is_rebooted);
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
    bool leaves = container->owner->leaves || container->is_standalone ||
                  (container->parent != NULL && container_is_left(container->parent));
    return leaves && container->outlives_agent && !container->is_session &&
           (container->state == CONTAINER_RUNNING || container->state == CONTAINER_STARTING) &&
           (container->parent == NULL || container_is_left(container->parent));
}
