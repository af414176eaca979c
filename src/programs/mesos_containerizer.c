// SPDX-License-Identifier: Apache-2.0
//
// mesos-containerizer: becomes a container's first process. It reads a written order (order.h) from
// descriptor 3, enters the cgroups, drops to the user and execs. What goes wrong is told as one
// line of text on descriptor 4, which closes by itself when the exec succeeds. It decides nothing:
// the agent resolved and checked everything beforehand. Linked with libc alone, so that it starts
// fast.

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "container/order.h"

static _Noreturn void fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void fail(int code, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    size_t size = n < 0 ? 0 : (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1;
    if (code != 0) {
        n = snprintf(text + size, sizeof(text) - size, ": %s", strerror(code));
        size += n < 0 ? 0 : (size_t)n;
        size = size < sizeof(text) ? size : sizeof(text) - 1;
    }
    ssize_t written = write(ORDER_REPLY_FD, text, size);
    _exit(written < 0 ? 2 : 1);
}

// Everything of the order that is used after it was read through once.
struct plan {
    const char *directory;
    const char *file;
    char **arguments;
    size_t argument_count;
    char **environment;
    size_t environment_count;
    gid_t *groups;
    size_t group_count;
    int64_t uid;
    int64_t gid;
    bool has_user;
};

static void *grow(void *list, size_t count, size_t item_size)
{
    // Doubles at powers of two; one more place for the closing NULL.
    if ((count & (count - 1)) != 0) {
        return list;
    }
    void *grown = realloc(list, (count * 2 + 2) * item_size);
    if (grown == NULL) {
        fail(ENOMEM, "Failed to read the order");
    }
    return grown;
}

static int64_t number_of(const struct order_record *record, size_t index)
{
    int64_t number;
    if (order_number(record, index, &number) < 0) {
        fail(0, "The order is malformed");
    }
    return number;
}

static void enter_cgroup(const char *procs)
{
    int fd = open(procs, O_WRONLY | O_CLOEXEC);
    if (fd < 0) {
        fail(errno, "Failed to open '%s'", procs);
    }
    if (write(fd, "0", 1) != 1) {
        fail(errno, "Failed to enter the cgroup of '%s'", procs);
    }
    close(fd);
}

static void set_rlimit(const struct order_record *record)
{
    int resource = (int)number_of(record, 0);
    struct rlimit limit = {
        .rlim_cur = (rlim_t)number_of(record, 1),
        .rlim_max = (rlim_t)number_of(record, 2),
    };
    if (setrlimit(resource, &limit) < 0) {
        fail(errno, "Failed to set the resource limit %d", resource);
    }
}

// Cgroups and limits are acted on as they are met; the rest is collected.
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
        plan->arguments = grow(plan->arguments, plan->argument_count, sizeof(char *));
        plan->arguments[plan->argument_count++] = (char *)record->data;
        return;
    case ORDER_ENVIRONMENT:
        plan->environment = grow(plan->environment, plan->environment_count, sizeof(char *));
        plan->environment[plan->environment_count++] = (char *)record->data;
        return;
    case ORDER_CGROUP_PROCS:
        enter_cgroup(record->data);
        return;
    case ORDER_RLIMIT:
        set_rlimit(record);
        return;
    case ORDER_UID:
        plan->uid = number_of(record, 0);
        plan->has_user = true;
        return;
    case ORDER_GID:
        plan->gid = number_of(record, 0);
        return;
    case ORDER_GROUP:
        plan->groups = grow(plan->groups, plan->group_count, sizeof(gid_t));
        plan->groups[plan->group_count++] = (gid_t)number_of(record, 0);
        return;
    default:
        fail(0, "The order is malformed");
    }
}

static void become_user(const struct plan *plan)
{
    if (!plan->has_user) {
        return;
    }
    if (setgroups(plan->group_count, plan->groups) < 0) {
        fail(errno, "Failed to set the supplementary groups");
    }
    gid_t gid = (gid_t)plan->gid;
    if (setresgid(gid, gid, gid) < 0) {
        fail(errno, "Failed to set the group id %u", gid);
    }
    uid_t uid = (uid_t)plan->uid;
    if (setresuid(uid, uid, uid) < 0) {
        fail(errno, "Failed to set the user id %u", uid);
    }
}

// The kernel is called directly: make and others leave the C library's own signals (32, 33) ignored
// in what they start, and the library does not let us touch those.
static void reset_signals(void)
{
    for (int signal = 1; signal < NSIG; signal++) {
        if (signal != SIGKILL && signal != SIGSTOP) {
            unsigned long by_default[4] = {(unsigned long)SIG_DFL}; // the kernel's struct
            syscall(SYS_rt_sigaction, signal, by_default, NULL, NSIG / 8);
        }
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

int main(void)
{
    if (fcntl(ORDER_FD, F_SETFD, FD_CLOEXEC) < 0 ||
        fcntl(ORDER_REPLY_FD, F_SETFD, FD_CLOEXEC) < 0) {
        static const char usage[] = "mesos-containerizer is started by mesos-agent only\n";
        return write(STDERR_FILENO, usage, sizeof(usage) - 1) < 0 ? 3 : 2;
    }
    struct order_reader reader;
    int code = order_map(ORDER_FD, &reader);
    if (code < 0) {
        fail(-code, "Failed to read the order");
    }
    struct plan plan = {0};
    struct order_record record;
    while ((code = order_next(&reader, &record)) > 0) {
        take_record(&plan, &record);
    }
    if (code < 0 || plan.directory == NULL || plan.file == NULL || plan.argument_count == 0) {
        fail(0, "The order is malformed");
    }
    plan.arguments[plan.argument_count] = NULL;
    plan.environment = grow(plan.environment, plan.environment_count, sizeof(char *));
    plan.environment[plan.environment_count] = NULL;

    if (chdir(plan.directory) < 0) {
        fail(errno, "Failed to change to the directory '%s'", plan.directory);
    }
    umask(022);
    become_user(&plan);
    reset_signals();
    environ = plan.environment;
    if (getenv("PATH") == NULL) {
        // Only for the look-up: the environment that the program gets is the one below.
        setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
    }
    execvpe(plan.file, plan.arguments, plan.environment);
    fail(errno, "Failed to execute '%s'", plan.file);
}
