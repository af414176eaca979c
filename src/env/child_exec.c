// SPDX-License-Identifier: Apache-2.0
//
// The only code that runs between clone and exec. The child shares the parent's memory and the
// parent waits (CLONE_VM | CLONE_VFORK): system calls on prepared data only; no allocation, no
// locks, no library state, no sanitizer. All signals are blocked when it starts.

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "env/env_internal.h"

// The sanitizers' bookkeeping belongs to the parent.
#define NO_SANITIZERS __attribute__((no_sanitize("address", "undefined")))

NO_SANITIZERS static int fail(struct env_child_order *order, const char *step)
{
    order->error = errno;
    order->failed_step = step;
    _exit(127);
}

// Ignored signals would stay ignored over exec, and a handler of the parent must not run here once
// signals are unblocked. The kernel is called directly: make and others leave the C library's own
// signals (32, 33) ignored in what they start, and the library does not let us touch those.
NO_SANITIZERS static void reset_signals(void)
{
    unsigned long by_default[4] = {(unsigned long)SIG_DFL}; // the kernel's struct sigaction
    for (int i = 1; i < NSIG; i++) {
        syscall(SYS_rt_sigaction, i, by_default, NULL, NSIG / 8);
    }
}

// fds[i] becomes i. Sources below fd_count are first moved above it, so that none is overwritten
// before its turn.
NO_SANITIZERS static int map_fds(struct env_child_order *order)
{
    int count = (int)order->fd_count;
    for (int i = 0; i < count; i++) {
        if (order->fds[i] >= 0 && order->fds[i] < count && order->fds[i] != i) {
            order->fds[i] = fcntl(order->fds[i], F_DUPFD, count);
            if (order->fds[i] < 0) {
                return -1;
            }
        }
    }
    for (int i = 0; i < count; i++) {
        int source = order->fds[i];
        if (source == i) {
            if (fcntl(i, F_SETFD, 0) < 0) {
                return -1;
            }
            continue;
        }
        bool opened = source < 0;
        if (opened && (source = open("/dev/null", O_RDWR)) < 0) {
            return -1;
        }
        if (source != i && dup2(source, i) < 0) {
            return -1;
        }
    }
    return close_range(order->fd_count, ~0U, 0);
}

NO_SANITIZERS int env_child_exec(void *argument)
{
    struct env_child_order *order = argument;
    if (order->new_session && setsid() < 0) {
        return fail(order, "setsid");
    }
    if (map_fds(order) < 0) {
        return fail(order, "descriptors");
    }
    if (order->takes_terminal && ioctl(0, TIOCSCTTY, 0) < 0) {
        return fail(order, "terminal");
    }
    if (order->directory != NULL && chdir(order->directory) < 0) {
        return fail(order, "chdir");
    }
    reset_signals();
    sigset_t none;
    sigemptyset(&none);
    if (sigprocmask(SIG_SETMASK, &none, NULL) < 0) {
        return fail(order, "signal mask");
    }
    execve(order->file, order->arguments, order->environment);
    return fail(order, "exec");
}
