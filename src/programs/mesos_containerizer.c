// SPDX-License-Identifier: Apache-2.0
//
// mesos-containerizer: becomes a container's first process. It reads a written order (order.h) from
// descriptor 3, enters the cgroups, drops to the user and execs. What goes wrong is told on
// descriptor 4 (order.h: struct order_reply), which closes by itself when the exec succeeds. It
// decides nothing: the agent resolved and checked everything beforehand. It is on the way of every
// container, so it is linked with nothing at all (bare.h) and starts in a fraction of the time.
// Where a container is to outlive its agent, the agent's child stays behind as supervise.h has it.

#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bare.h"
#include "bare_mount.h"
#include "bare_user.h"
#include "container/order.h"
#include "supervise.h"

// Where a program is looked for when the container's environment has no PATH.
#define PATH_DEFAULT "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// ---- text ----

static size_t text_size(const char *text)
{
    size_t size = 0;
    while (text[size] != '\0') {
        size++;
    }
    return size;
}

static bool text_begins(const char *text, const char *start)
{
    while (*start != '\0') {
        if (*text++ != *start++) {
            return false;
        }
    }
    return true;
}

static bool has_slash(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '/') {
            return true;
        }
    }
    return false;
}

// ---- failing ----

static void put(struct order_reply *reply, size_t *size, const char *text)
{
    while (*text != '\0' && *size < sizeof(reply->text)) {
        reply->text[(*size)++] = *text++;
    }
}

// Tells "<what> '<object>'" and errno's code, 0 when there is none.
static _Noreturn void fail(long code, const char *what, const char *object)
{
    struct order_reply reply = {.code = (int32_t)-code};
    size_t size = 0;
    put(&reply, &size, what);
    if (object != NULL) {
        put(&reply, &size, " '");
        put(&reply, &size, object);
        put(&reply, &size, "'");
    }
    long n =
        BARE_CALL3(SYS_write, ORDER_REPLY_FD, &reply, offsetof(struct order_reply, text) + size);
    for (;;) {
        BARE_CALL3(SYS_exit_group, n < 0 ? 2 : 1, 0, 0);
    }
}

static _Noreturn void fail_malformed(void)
{
    fail(0, "The order is malformed", NULL);
}

// ---- the order ----

struct plan {
    const char *directory;
    const char *file;
    char **arguments; // [-1] is free: for the shell, where the file is a script
    size_t argument_count;
    char **environment;
    size_t environment_count;
    uint32_t *groups;
    struct user_order user;   // its groups are the list above
    struct mount_order mount; // the next one
    bool has_own_mounts;
    bool is_supervised;
    bool ends_with_agent;
    bool has_terminal;
    const char *oom_score; // NULL: as it is
};

static void *map_memory(size_t size, int protection, int flags, int fd)
{
    long address = bare_call6(SYS_mmap, 0, (long)size, protection, flags, fd, 0);
    if (address < 0 && address > -4096) {
        fail(address, "Failed to read the order", NULL);
    }
    return (void *)address;
}

static struct order_reader open_order(void)
{
    long size = BARE_CALL3(SYS_lseek, ORDER_FD, 0, SEEK_END);
    if (size <= 0) {
        fail(size, "Failed to read the order", NULL);
    }
    const char *data = map_memory((size_t)size, PROT_READ, MAP_PRIVATE, ORDER_FD);
    return (struct order_reader){.at = data, .end = data + size};
}

static int64_t number_of(const struct order_record *record, size_t index)
{
    int64_t number;
    if (order_number(record, index, &number) < 0) {
        fail_malformed();
    }
    return number;
}

// Walks the order once for the sizes of the lists, and makes room for them.
static void make_room(struct plan *plan, struct order_reader reader)
{
    size_t arguments = 0, variables = 0, groups = 0;
    struct order_record record;
    int more;
    while ((more = order_next(&reader, &record)) > 0) {
        arguments += record.tag == ORDER_ARGUMENT;
        variables += record.tag == ORDER_ENVIRONMENT;
        groups += record.tag == ORDER_GROUP;
    }
    if (more < 0) {
        fail_malformed();
    }
    // One before the arguments, and a NULL after each of the two lists.
    size_t size = (arguments + variables + 3) * sizeof(char *) + groups * sizeof(uint32_t);
    char **room = map_memory(size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    plan->arguments = room + 1;
    plan->environment = plan->arguments + arguments + 1;
    plan->groups = (uint32_t *)(plan->environment + variables + 1);
}

static void write_file(const char *file, const char *text)
{
    long fd = bare_call6(SYS_openat, AT_FDCWD, (long)file, O_WRONLY | O_CLOEXEC, 0, 0, 0);
    if (fd < 0) {
        fail(fd, "Failed to open", file);
    }
    long size = (long)text_size(text);
    long written = BARE_CALL3(SYS_write, fd, text, size);
    if (written != size) {
        fail(written < 0 ? written : 0, "Failed to write", file);
    }
    BARE_CALL3(SYS_close, fd, 0, 0);
}

static void set_rlimit(const struct order_record *record)
{
    struct rlimit limit = {
        .rlim_cur = (rlim_t)number_of(record, 1),
        .rlim_max = (rlim_t)number_of(record, 2),
    };
    long code = bare_call6(SYS_prlimit64, 0, number_of(record, 0), (long)&limit, 0, 0, 0);
    if (code < 0) {
        fail(code, "Failed to set a resource limit", NULL);
    }
}

// False: it is of another kind. So below.
static bool take_user_record(struct plan *plan, const struct order_record *record)
{
    struct user_order *user = &plan->user;
    switch (record->tag) {
    case ORDER_UID:
        user->uid = number_of(record, 0);
        user->has_user = true;
        return true;
    case ORDER_GID:
        user->gid = number_of(record, 0);
        return true;
    case ORDER_GROUP:
        plan->groups[user->group_count++] = (uint32_t)number_of(record, 0);
        return true;
    case ORDER_BOUNDING:
        user->bounding = (uint64_t)number_of(record, 0);
        user->has_bounding = true;
        return true;
    case ORDER_EFFECTIVE:
        user->effective = (uint64_t)number_of(record, 0);
        user->has_effective = true;
        return true;
    default:
        return false;
    }
}

static void do_mount(struct plan *plan)
{
    struct mount_failure failure;
    long code = 0;
    if (!plan->has_own_mounts) {
        plan->has_own_mounts = true;
        code = mount_separate(&failure);
    }
    if (code >= 0) {
        code = mount_bind(&plan->mount, &failure);
    }
    if (code < 0) {
        fail(code, failure.what, failure.object);
    }
}

static bool take_mount_record(struct plan *plan, const struct order_record *record)
{
    struct mount_failure failure;
    long code;
    switch (record->tag) {
    case ORDER_MOUNT_NAMESPACE:
        code = mount_join(record->data, &failure);
        if (code < 0) {
            fail(code, failure.what, failure.object);
        }
        return true;
    case ORDER_MOUNT_BASE:
        plan->mount.base = record->data;
        return true;
    case ORDER_MOUNT_SOURCE:
        plan->mount.source = record->data;
        return true;
    case ORDER_MOUNT_SANDBOX:
        plan->mount.sandbox = record->data;
        return true;
    case ORDER_MOUNT_TARGET:
        plan->mount.target = record->data;
        return true;
    case ORDER_MOUNT:
        plan->mount.is_read_only = number_of(record, 0) != 0;
        do_mount(plan);
        return true;
    default:
        return false;
    }
}

// Cgroups, limits and mounts are acted on as they are met; the rest is collected.
static void take_record(struct plan *plan, const struct order_record *record)
{
    switch (record->tag) {
    case ORDER_DIRECTORY:
        plan->directory = record->data;
        return;
    case ORDER_FILE:
        plan->file = record->data;
        return;
    case ORDER_ARGUMENT:
        plan->arguments[plan->argument_count++] = (char *)record->data;
        return;
    case ORDER_ENVIRONMENT:
        plan->environment[plan->environment_count++] = (char *)record->data;
        return;
    case ORDER_CGROUP:
        write_file(record->data, "0"); // enters it
        return;
    case ORDER_RLIMIT:
        set_rlimit(record);
        return;
    case ORDER_SUPERVISE:
        plan->is_supervised = true;
        plan->ends_with_agent = number_of(record, 0) == 0;
        return;
    case ORDER_OOM_SCORE:
        plan->oom_score = record->data;
        return;
    case ORDER_TERMINAL:
        plan->has_terminal = true;
        return;
    default:
        if (!take_user_record(plan, record) && !take_mount_record(plan, record)) {
            fail_malformed();
        }
    }
}

// ---- becoming the container ----

// The agent's spawn made a session already, which is the supervisor's where there is one.
static void take_terminal(const struct plan *plan)
{
    long code = plan->is_supervised ? BARE_CALL3(SYS_setsid, 0, 0, 0) : 0;
    if (code >= 0) {
        code = BARE_CALL3(SYS_ioctl, STDIN_FILENO, TIOCSCTTY, 0);
    }
    if (code < 0) {
        fail(code, "Failed to take the terminal", NULL);
    }
}

// Returns only when it failed, with the negative errno.
static long run(const struct plan *plan, const char *file)
{
    long code = BARE_CALL3(SYS_execve, file, plan->arguments, plan->environment);
    if (code == -ENOEXEC) {
        // A script without a first line that names its interpreter, as execvp(3) has it.
        char **arguments = plan->arguments - 1;
        arguments[0] = (char *)"/bin/sh";
        arguments[1] = (char *)file;
        code = BARE_CALL3(SYS_execve, arguments[0], arguments, plan->environment);
    }
    return code;
}

static const char *search_path(const struct plan *plan)
{
    for (size_t i = 0; i < plan->environment_count; i++) {
        if (text_begins(plan->environment[i], "PATH=")) {
            return plan->environment[i] + text_size("PATH=");
        }
    }
    return PATH_DEFAULT;
}

// As execvpe(3): the first directory of PATH where the file may be executed. An empty one is the
// working directory.
static long find_and_run(const struct plan *plan)
{
    if (plan->file[0] == '\0' || has_slash(plan->file)) {
        return run(plan, plan->file);
    }
    char path[PATH_MAX];
    size_t name_size = text_size(plan->file) + 1;
    long result = -ENOENT;
    for (const char *at = search_path(plan); at != NULL;) {
        size_t size = 0;
        while (at[size] != ':' && at[size] != '\0') {
            size++;
        }
        if (size + 1 + name_size <= sizeof(path)) {
            char *end = path;
            for (size_t i = 0; i < size; i++) {
                *end++ = at[i];
            }
            if (size > 0) {
                *end++ = '/';
            }
            for (size_t i = 0; i < name_size; i++) {
                *end++ = plan->file[i];
            }
            long code = run(plan, path);
            if (code == -EACCES) {
                result = code;
            } else if (code != -ENOENT && code != -ENOTDIR && code != -ENODEV && code != -ESTALE &&
                       code != -ETIMEDOUT) {
                return code;
            }
        }
        at = at[size] == ':' ? at + size + 1 : NULL;
    }
    return result;
}

int bare_main(void)
{
    if (BARE_CALL3(SYS_fcntl, ORDER_FD, F_SETFD, FD_CLOEXEC) < 0 ||
        BARE_CALL3(SYS_fcntl, ORDER_REPLY_FD, F_SETFD, FD_CLOEXEC) < 0) {
        static const char usage[] = "mesos-containerizer is started by mesos-agent only\n";
        return BARE_CALL3(SYS_write, STDERR_FILENO, usage, sizeof(usage) - 1) < 0 ? 3 : 2;
    }
    struct order_reader reader = open_order();
    struct plan plan = {.directory = NULL};
    make_room(&plan, reader);
    struct order_record record;
    while (order_next(&reader, &record) > 0) {
        take_record(&plan, &record);
    }
    if (plan.directory == NULL || plan.file == NULL || plan.argument_count == 0) {
        fail_malformed();
    }
    long code = BARE_CALL3(SYS_chdir, plan.directory, 0, 0);
    if (code < 0) {
        fail(code, "Failed to change to the directory", plan.directory);
    }
    BARE_CALL3(SYS_umask, 022, 0, 0);
    long supervisor = 0;
    if (plan.is_supervised && (supervisor = supervise_fork(plan.ends_with_agent)) < 0) {
        fail(supervisor, "Failed to start under supervision", NULL);
    }
    if (plan.oom_score != NULL) {
        write_file("/proc/self/oom_score_adj", plan.oom_score);
    }
    if (plan.has_terminal) {
        take_terminal(&plan);
    }
    const char *what;
    plan.user.groups = plan.groups;
    if ((code = user_become(&plan.user, &what)) < 0) {
        fail(code, what, NULL);
    }
    if (plan.is_supervised && (code = supervise_bind(supervisor)) < 0) {
        fail(code, "Failed to start under supervision", NULL);
    }
    // Signals need nothing: the agent's spawn left them by default and none blocked.
    fail(find_and_run(&plan), "Failed to execute", plan.file);
}
