// SPDX-License-Identifier: Apache-2.0
//
// Starts and watches the programs of a local cluster.

#include "local_process.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/text.h"

enum { LOG_TAIL_SIZE = 2000, LOG_SIZE_MAX = 64 * 1024 * 1024, ARGUMENTS_MAX_OWN = 16 };

char *local_program_directory(void)
{
    char path[PATH_MAX];
    ssize_t size = readlink("/proc/self/exe", path, sizeof(path) - 1);
    path[size > 0 ? size : 0] = '\0';
    char *slash = strrchr(path, '/');
    AUTO_FREE char *own = mem_strndup(path, slash != NULL ? (size_t)(slash - path) : 0);
    AUTO_FREE char *master = mem_printf("%s/mesos-master", own);
    return mem_printf(access(master, X_OK) == 0 ? "%s" : "%s/../sbin", own);
}

// A port that is free now. Somebody may take it before the program does: good enough here.
static int find_free_port(const char *ip, uint16_t *ret_port, struct error *err)
{
    AUTO_CLOSE int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof(address);
    if (inet_pton(AF_INET, ip, &address.sin_addr) != 1) {
        return error_set(err, -EINVAL, "--ip=%s is no IPv4 address", ip);
    }
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) < 0) {
        return error_errno(err, -errno, "No free port on %s", ip);
    }
    *ret_port = ntohs(address.sin_port);
    return 0;
}

// Whether the user gave the agents this flag; one that is given twice is an error.
static bool is_passed(const struct local_process_order *order, const char *flag)
{
    for (size_t i = 0; i < order->flags->agent_count; i++) {
        if (text_starts_with(order->flags->agent[i], flag)) {
            return true;
        }
    }
    return false;
}

static char **make_arguments(const struct local_process *p, const struct local_process_order *o,
                             struct arena *arena)
{
    char *const *passed = o->index == 0 ? o->flags->master : o->flags->agent;
    size_t passed_count = o->index == 0 ? o->flags->master_count : o->flags->agent_count;
    char **arguments = arena_calloc(arena, passed_count + ARGUMENTS_MAX_OWN, sizeof(*arguments));
    size_t n = 0;
    arguments[n++] =
        arena_printf(arena, "%s/mesos-%s", o->directory, o->index == 0 ? "master" : "agent");
    arguments[n++] = arena_printf(arena, "--ip=%s", o->options->ip);
    arguments[n++] = arena_printf(arena, "--port=%u", p->port);
    arguments[n++] = arena_printf(arena, "--work_dir=%s/%s", o->work_dir, p->name);
    if (o->index > 0) {
        arguments[n++] = arena_printf(arena, "--master=%s:%u", o->options->ip, o->master_port);
        // What several agents on one machine must not share, and what is not to outlive us.
        if (!is_passed(o, "--runtime_dir=")) {
            arguments[n++] = arena_printf(arena, "--runtime_dir=%s/%s/run", o->work_dir, p->name);
        }
        if (!is_passed(o, "--fetcher_cache_dir=")) {
            arguments[n++] =
                arena_printf(arena, "--fetcher_cache_dir=%s/%s/fetch", o->work_dir, p->name);
        }
        if (!is_passed(o, "--cgroups_root=")) {
            arguments[n++] =
                arena_printf(arena, "--cgroups_root=mesos-local-%d-%zu", (int)getpid(), o->index);
        }
    }
    for (size_t i = 0; i < passed_count; i++) {
        arguments[n++] = passed[i];
    }
    return arguments;
}

// `death_signal` comes when mesos-local dies.
static _Noreturn void run_child(char *const *arguments, int log, pid_t parent, int death_signal)
{
    if (prctl(PR_SET_PDEATHSIG, death_signal) < 0 || getppid() != parent) {
        _exit(EXIT_FAILURE);
    }
    // A terminal's Ctrl-C is for mesos-local, which then ends the others in order.
    setpgid(0, 0);
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(log, STDOUT_FILENO) < 0 ||
        dup2(log, STDERR_FILENO) < 0) {
        _exit(EXIT_FAILURE);
    }
    signal(SIGPIPE, SIG_DFL);
    execv(arguments[0], arguments);
    dprintf(STDERR_FILENO, "Cannot run %s: %s\n", arguments[0], strerror(errno));
    _exit(EXIT_FAILURE);
}

int local_process_start(struct local_process *p, const struct local_process_order *o,
                        struct error *err)
{
    if (o->index == 0) {
        snprintf(p->name, sizeof(p->name), "master");
    } else {
        snprintf(p->name, sizeof(p->name), "agent-%zu", o->index);
    }
    p->port = (uint16_t)(o->options->port + (int64_t)o->index);
    int r = 0;
    if (o->options->port == 0) {
        r = find_free_port(o->options->ip, &p->port, err);
    }
    AUTO_FREE char *directory = mem_printf("%s/%s", o->work_dir, p->name);
    if (r == 0) {
        r = path_make_directories(directory, 0755, err);
    }
    if (r < 0) {
        return r;
    }
    if (snprintf(p->log, sizeof(p->log), "%s/log", directory) >= (int)sizeof(p->log)) {
        return error_set(err, -ENAMETOOLONG, "--work_dir is too long: %s", o->work_dir);
    }
    AUTO_CLOSE int log = open(p->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (log < 0) {
        return error_errno(err, -errno, "Cannot open %s", p->log);
    }
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    char **arguments = make_arguments(p, o, arena);
    pid_t parent = getpid();
    p->pid = fork();
    if (p->pid == 0) {
        run_child(arguments, log, parent, o->index == 0 ? SIGTERM : SIGUSR1);
    }
    return p->pid < 0 ? error_errno(err, -errno, "Cannot start the %s", p->name) : 0;
}

void local_process_signal(const struct local_process *p, int signal)
{
    if (p->pid > 0) {
        kill(p->pid, signal);
    }
}

void local_process_print_end(const struct local_process *p, FILE *out)
{
    if (WIFSIGNALED(p->status)) {
        fprintf(out, "The %s was ended by signal %s.", p->name, strsignal(WTERMSIG(p->status)));
    } else {
        fprintf(out, "The %s ended with status %d.", p->name, WEXITSTATUS(p->status));
    }
    AUTO_FREE char *data = NULL;
    size_t size = 0;
    if (file_read(p->log, LOG_SIZE_MAX, &data, &size, NULL) == 0) {
        size_t tail = size > LOG_TAIL_SIZE ? size - LOG_TAIL_SIZE : 0;
        fprintf(out, " The end of its log:\n%s", data + tail);
    }
    fputc('\n', out);
}
