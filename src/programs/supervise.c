// SPDX-License-Identifier: Apache-2.0

#include "supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "bare.h"
#include "container/order.h"

static _Noreturn void end(long status)
{
    for (;;) {
        BARE_CALL3(SYS_exit_group, status, 0, 0);
    }
}

// A line of its own, with `mark` first unless that is NUL; 0 or a negative errno. What is cut short
// lacks its end, so nobody takes it for more. The later lines fit into the block of the first, so
// that a disk that fills up meanwhile does not matter.
static long write_line(char mark, unsigned long number)
{
    char text[24];
    char *at = text + sizeof(text);
    *--at = '\n';
    do {
        *--at = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    if (mark != '\0') {
        *--at = mark;
    }
    long size = text + sizeof(text) - at;
    long written = BARE_CALL3(SYS_write, ORDER_RUN_FD, at, size);
    return written == size ? 0 : written < 0 ? written : -ENOSPC;
}

// Kills the children that the kernel lists. False: there are none, or the kernel keeps no list.
static bool kill_children(void)
{
    char text[4096];
    long fd = bare_call6(SYS_openat, AT_FDCWD, (long)"/proc/thread-self/children",
                         O_RDONLY | O_CLOEXEC, 0, 0, 0);
    if (fd < 0) {
        return false;
    }
    long size = BARE_CALL3(SYS_read, fd, text, sizeof(text));
    BARE_CALL3(SYS_close, fd, 0, 0);
    // Each number is followed by a blank; one that was cut off is not, and its turn comes later.
    long pid = 0;
    for (long i = 0; i < size; i++) {
        if (text[i] >= '0' && text[i] <= '9') {
            pid = pid * 10 + (text[i] - '0');
        } else {
            if (pid > 1) {
                BARE_CALL3(SYS_kill, pid, SIGKILL, 0);
            }
            pid = 0;
        }
    }
    return size > 0;
}

static _Noreturn void end_like(int status)
{
    if (WIFEXITED(status)) {
        end(WEXITSTATUS(status));
    }
    uint64_t no_signals = 0; // that were watched are blocked
    bare_call6(SYS_rt_sigprocmask, SIG_SETMASK, (long)&no_signals, 0, sizeof(no_signals), 0, 0);
    struct rlimit none = {.rlim_cur = 0, .rlim_max = 0};
    bare_call6(SYS_prlimit64, 0, RLIMIT_CORE, (long)&none, 0, 0, 0);
    BARE_CALL3(SYS_kill, BARE_CALL3(SYS_getpid, 0, 0, 0), WTERMSIG(status), 0);
    end(128 + WTERMSIG(status));
}

// ---- the agent's end ----

// The kernel's set of signals, one bit each.
#define SIGNAL_BIT(number) (UINT64_C(1) << ((number)-1))

// Asks to be told of the agent's end (SIGTERM) and of the children's (SIGCHLD) by a descriptor,
// which it returns; negative: it cannot be had. Both signals stay pending, so that none is missed.
static long watch(uint64_t *signals)
{
    *signals = SIGNAL_BIT(SIGTERM) | SIGNAL_BIT(SIGCHLD);
    long code = bare_call6(SYS_rt_sigprocmask, SIG_BLOCK, (long)signals, 0, sizeof(*signals), 0, 0);
    if (code >= 0) {
        code = bare_call6(SYS_prctl, PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0, 0);
    }
    return code < 0
               ? code
               : bare_call6(SYS_signalfd4, -1, (long)signals, sizeof(*signals), O_CLOEXEC, 0, 0);
}

// `agent` is the parent that this process must not outlive, or 0.
static _Noreturn void stay(long child, long agent)
{
    for (int fd = 0; fd < ORDER_FD_COUNT; fd++) {
        BARE_CALL3(SYS_close, fd, 0, 0);
    }
    BARE_CALL3(SYS_chdir, "/", 0, 0);
    uint64_t signals;
    long watch_fd = agent > 0 ? watch(&signals) : -1;
    int status = 0, child_status = 0;
    bool has_ended = false;
    for (;;) {
        bool is_watching = watch_fd >= 0 && BARE_CALL3(SYS_getppid, 0, 0, 0) == agent;
        if (watch_fd >= 0 && !is_watching) {
            (void)kill_children();
        }
        long pid = bare_call6(SYS_wait4, -1, (long)&status, is_watching ? WNOHANG : 0, 0, 0, 0);
        if (pid == 0) {
            // Until a child has ended, or the agent.
            struct signalfd_siginfo news;
            (void)BARE_CALL3(SYS_read, watch_fd, &news, sizeof(news));
            continue;
        }
        if (pid == -EINTR) {
            continue;
        }
        if (pid < 0) {
            break; // no child is left
        }
        if (pid == child) {
            has_ended = true;
            child_status = status;
            (void)write_line('\0', (unsigned long)status);
        }
        if (has_ended && !kill_children()) {
            break;
        }
    }
    end_like(child_status);
}

long supervise_fork(bool ends_with_agent)
{
    long agent = ends_with_agent ? BARE_CALL3(SYS_getppid, 0, 0, 0) : 0;
    long code = BARE_CALL3(SYS_fcntl, ORDER_RUN_FD, F_SETFD, FD_CLOEXEC);
    if (code < 0) {
        return code;
    }
    (void)BARE_CALL3(SYS_fcntl, ORDER_TTY_FD, F_SETFD, FD_CLOEXEC); // where there is one
    long self = BARE_CALL3(SYS_getpid, 0, 0, 0);
    code = write_line('\0', (unsigned long)self);
    if (code < 0) {
        return code; // a later agent would not find it
    }
    code = bare_call6(SYS_prctl, PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0, 0);
    if (code < 0) {
        return code;
    }
    long child = bare_call6(SYS_clone, SIGCHLD, 0, 0, 0, 0, 0);
    if (child > 0) {
        stay(child, agent);
    }
    if (child == 0) {
        code = write_line(ORDER_RUN_INNER, (unsigned long)BARE_CALL3(SYS_getpid, 0, 0, 0));
    }
    return child < 0 ? child : code < 0 ? code : self;
}

long supervise_bind(long supervisor)
{
    long code = bare_call6(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0, 0);
    if (code < 0) {
        return code;
    }
    return BARE_CALL3(SYS_getppid, 0, 0, 0) == supervisor ? 0 : -ESRCH;
}
