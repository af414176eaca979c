// SPDX-License-Identifier: Apache-2.0

#include "container/session.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/mem.h"

enum {
    STOP_ROUNDS_MAX = 16,
    ENVIRONMENT_STEP = 16 * 1024,
    ENVIRONMENT_SIZE_MAX = 256 * 1024, // what lies beyond it of an environment is not looked at
    NAME_ROOM = 40,                    // bytes for one process in a directory's list, not for two
    NAMES_ROOM = 1024,
};

#define SANDBOX_NAME "MESOS_SANDBOX="

struct process {
    pid_t pid;
    pid_t parent;
    pid_t group;
    pid_t sid;
    char state;
    uint64_t user_ticks;
    uint64_t system_ticks;
    uint64_t rss_pages;
    uint64_t start_ticks; // since the machine's start
    bool named;           // its environment names the container
    bool member;
};

struct session {
    char *mark; // a variable that its processes have; NULL: not known
    pid_t leader;
    bool leader_gone;
    uint64_t start_ticks; // the leader's; 0: unknown. Nothing older belongs to it.
    pid_t *sids;          // every session that was seen; the leader's first
    size_t sid_count;
    struct process *processes; // the last scan
    size_t process_count;
};

struct session *session_free(struct session *session)
{
    if (session != NULL) {
        mem_free(session->mark);
        mem_free(session->sids);
        mem_free(session->processes);
        mem_free(session);
    }
    return NULL;
}

void session_leader_gone(struct session *session)
{
    session->leader_gone = true;
}

static bool knows_sid(const struct session *session, pid_t sid)
{
    for (size_t i = 0; i < session->sid_count; i++) {
        if (session->sids[i] == sid) {
            return true;
        }
    }
    return false;
}

// "pid (name) state ppid pgrp session ...": the name may hold anything, so look for its end from
// the right.
static bool parse_stat(char *text, struct process *process)
{
    char *after = strrchr(text, ')');
    if (after == NULL) {
        return false;
    }
    long long parent, group, sid, rss;
    unsigned long long user, system, start;
    char state;
    int n = sscanf(after + 1,
                   " %c %lld %lld %lld %*d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d %*d %*d "
                   "%*d %llu %*u %lld",
                   &state, &parent, &group, &sid, &user, &system, &start, &rss);
    if (n != 8) {
        return false;
    }
    process->start_ticks = start;
    process->state = state;
    process->parent = (pid_t)parent;
    process->group = (pid_t)group;
    process->sid = (pid_t)sid;
    process->user_ticks = user;
    process->system_ticks = system;
    process->rss_pages = rss < 0 ? 0 : (uint64_t)rss;
    return true;
}

static bool read_process(int proc_fd, const char *name, struct process *process)
{
    char path[64], text[1024];
    snprintf(path, sizeof(path), "%.32s/stat", name);
    AUTO_CLOSE int fd = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    ssize_t n = read(fd, text, sizeof(text) - 1);
    if (n <= 0) {
        return false;
    }
    text[n] = '\0';
    *process = (struct process){.pid = (pid_t)atol(name)};
    return parse_stat(text, process);
}

struct session *session_new(pid_t leader, const char *sandbox, bool is_child)
{
    struct session *session = mem_zalloc(sizeof(*session));
    session->mark = sandbox == NULL ? NULL : mem_printf(SANDBOX_NAME "%s", sandbox);
    session->leader = leader;
    session->sids = mem_alloc(sizeof(session->sids[0]));
    session->sids[0] = leader;
    session->sid_count = 1;
    char name[32];
    snprintf(name, sizeof(name), "/proc/%d", (int)leader);
    struct process process;
    if (is_child && read_process(AT_FDCWD, name, &process)) {
        session->start_ticks = process.start_ticks;
    }
    return session;
}

static bool has_variable(const char *environment, size_t size, const char *variable)
{
    for (const char *at = environment; at < environment + size;) {
        size_t length = strnlen(at, (size_t)(environment + size - at));
        if (length == strlen(variable) && memcmp(at, variable, length) == 0) {
            return true;
        }
        at += length + 1;
    }
    return false;
}

static void find_named(struct session *session)
{
    for (size_t i = 0; session->mark != NULL && i < session->process_count; i++) {
        struct process *process = &session->processes[i];
        if (process->start_ticks < session->start_ticks || process->state == 'Z') {
            continue;
        }
        char path[64];
        snprintf(path, sizeof(path), "/proc/%d/environ", (int)process->pid);
        AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0) {
            continue;
        }
        AUTO_BUF struct buf environment = BUF_INIT;
        ssize_t n = 1;
        while (n > 0 && environment.size < ENVIRONMENT_SIZE_MAX) {
            buf_reserve(&environment, ENVIRONMENT_STEP);
            n = read(fd, environment.data + environment.size, ENVIRONMENT_STEP);
            environment.size += n > 0 ? (size_t)n : 0;
        }
        process->named = has_variable(environment.data, environment.size, session->mark);
    }
}

static void keep_process(struct session *session, size_t *capacity, const struct process *process)
{
    if (session->process_count >= *capacity) {
        *capacity = *capacity < 64 ? 128 : *capacity * 2;
        session->processes =
            mem_realloc_array(session->processes, *capacity, sizeof(session->processes[0]));
    }
    session->processes[session->process_count++] = *process;
}

// The next names in /proc: one, when it is a process. Returns the bytes used of `room`; 0: the end.
static long list_names(int fd, char *room, size_t size)
{
    long n = syscall(SYS_getdents64, fd, room, (size_t)NAME_ROOM);
    // A name that is too long is no process.
    return n < 0 && errno == EINVAL ? syscall(SYS_getdents64, fd, room, size) : n;
}

// The kernel lists processes in the order of their numbers, and each is looked at before the next
// is asked for. Who starts another and ends is therefore either seen alive, or the other one, whose
// number is higher, is still to come. (readdir(3) asks for a thousand at once: one of them could
// start another and end before it was looked at, and neither was seen.)
static int scan(struct session *session, struct error *err)
{
    AUTO_CLOSE int fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return error_errno(err, -errno, "Failed to open /proc");
    }
    size_t capacity = session->process_count;
    session->process_count = 0;
    _Alignas(struct dirent64) char room[NAMES_ROOM];
    long size;
    while ((size = list_names(fd, room, sizeof(room))) > 0) {
        for (long at = 0; at < size;) {
            const struct dirent64 *entry = (const struct dirent64 *)(room + at);
            at += entry->d_reclen;
            struct process process;
            if (entry->d_name[0] >= '0' && entry->d_name[0] <= '9' &&
                read_process(fd, entry->d_name, &process)) {
                keep_process(session, &capacity, &process);
            }
        }
    }
    return size < 0 ? error_errno(err, -errno, "Failed to read /proc") : 0;
}

static bool is_member_pid(const struct session *session, pid_t pid)
{
    for (size_t i = 0; i < session->process_count; i++) {
        if (session->processes[i].member && session->processes[i].pid == pid) {
            return true;
        }
    }
    return false;
}

static bool belongs(const struct session *session, const struct process *process)
{
    if (process->named) {
        return true;
    }
    if (process->pid == session->leader) {
        return !session->leader_gone;
    }
    return knows_sid(session, process->sid) || is_member_pid(session, process->parent);
}

// A session without members ended: its number may go to a stranger.
static void forget_empty_sessions(struct session *session)
{
    size_t kept = 1;
    for (size_t i = 1; i < session->sid_count; i++) {
        bool used = false;
        for (size_t j = 0; j < session->process_count && !used; j++) {
            used = session->processes[j].sid == session->sids[i];
        }
        if (used) {
            session->sids[kept++] = session->sids[i];
        }
    }
    session->sid_count = kept;
}

// Marks members until no more are found, and learns their sessions. Returns how many are alive.
static size_t mark_members(struct session *session)
{
    forget_empty_sessions(session);
    if (session->leader_gone) {
        for (size_t i = 0; i < session->process_count; i++) {
            // While a session has members, its number is not given to a new process.
            if (session->processes[i].pid == session->leader) {
                session->sids[0] = -1;
            }
        }
    }
    size_t alive = 0;
    bool found = true;
    while (found) {
        found = false;
        for (size_t i = 0; i < session->process_count; i++) {
            struct process *process = &session->processes[i];
            if (process->member || !belongs(session, process)) {
                continue;
            }
            process->member = true;
            found = true;
            alive += process->state != 'Z' && process->state != 'X';
            // A session counts as ours only by a leader that descends from ours.
            if (process->pid == process->sid && !knows_sid(session, process->sid)) {
                session->sids = mem_realloc_array(session->sids, session->sid_count + 1,
                                                  sizeof(session->sids[0]));
                session->sids[session->sid_count++] = process->sid;
            }
        }
    }
    return alive;
}

// By their groups where these are ours: the kernel lets no member start another one meanwhile that
// the signal would miss.
static void signal_members(const struct session *session, int signal)
{
    for (size_t i = 0; i < session->process_count; i++) {
        const struct process *process = &session->processes[i];
        if (process->member && process->state != 'Z' && process->state != 'X') {
            bool has_group = process->group > 1 && knows_sid(session, process->sid);
            (void)kill(has_group ? -process->group : process->pid, signal);
        }
    }
}

// How many are alive. "None" is looked at twice, since the numbers may have begun anew from the
// lowest one meanwhile.
static int count_living(struct session *session, size_t *ret_alive, struct error *err)
{
    *ret_alive = 0;
    for (int look = 0; look < 2 && *ret_alive == 0; look++) {
        int code = scan(session, err);
        if (code < 0) {
            return code;
        }
        find_named(session);
        *ret_alive = mark_members(session);
    }
    return 0;
}

int session_take_down(struct session *session, struct error *err)
{
    size_t before = 0;
    for (int round = 0; round < STOP_ROUNDS_MAX; round++) {
        size_t alive;
        int code = count_living(session, &alive, err);
        if (code < 0) {
            return code;
        }
        if (alive == 0) {
            return 0;
        }
        if (alive == before) {
            break;
        }
        // Stopped ones start no others. When a round finds no more than the last, all are stopped.
        signal_members(session, SIGSTOP);
        before = alive;
    }
    signal_members(session, SIGKILL);
    return 1;
}

int session_usage(struct session *session, bool cpu, bool memory,
                  Mesos__V1__ResourceStatistics *statistics, struct error *err)
{
    int code = scan(session, err);
    if (code < 0) {
        return code;
    }
    mark_members(session);
    double hertz = (double)sysconf(_SC_CLK_TCK);
    uint64_t page_size = (uint64_t)sysconf(_SC_PAGESIZE);
    for (size_t i = 0; i < session->process_count; i++) {
        const struct process *process = &session->processes[i];
        if (!process->member) {
            continue;
        }
        statistics->cpus_user_time_secs += (double)process->user_ticks / hertz;
        statistics->cpus_system_time_secs += (double)process->system_ticks / hertz;
        statistics->mem_rss_bytes += process->rss_pages * page_size;
    }
    statistics->has_cpus_user_time_secs = statistics->has_cpus_system_time_secs = cpu;
    statistics->has_mem_rss_bytes = memory;
    return 0;
}
