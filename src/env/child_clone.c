// SPDX-License-Identifier: Apache-2.0
//
// Makes the child process. It runs env_child_exec on a stack of its own in the parent's memory, and
// the parent waits until it has exec'ed or ended. clone3 alone can put a child into a version 2
// cgroup from the start; moving it there afterwards would wait for all processes (5 ms and more).
// The C library has no clone3 for us: it is called from here, on the processors that we know.

#include <errno.h>
#include <limits.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/check.h"
#include "env/env_internal.h"

enum { CHILD_STACK_SIZE = 64 * 1024 };

#if (defined(__x86_64__) || defined(__aarch64__)) && defined(CLONE_INTO_CGROUP)

// The child never comes back from run(argument). A negative errno when there is no child.
static long clone3_and_run(struct clone_args *args, int (*run)(void *), void *argument)
{
#if defined(__x86_64__)
    register int (*r8)(void *) __asm__("r8") = run;
    register void *r9 __asm__("r9") = argument;
    long result;
    __asm__ volatile("syscall\n\t"
                     "test %%rax, %%rax\n\t"
                     "jnz 1f\n\t"
                     "xor %%ebp, %%ebp\n\t"
                     "mov %%r9, %%rdi\n\t"
                     "call *%%r8\n\t"
                     "ud2\n"
                     "1:"
                     : "=a"(result)
                     : "a"(SYS_clone3), "D"(args), "S"(sizeof(*args)), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
#else
    register long x8 __asm__("x8") = SYS_clone3;
    register long x0 __asm__("x0") = (long)args;
    register long x1 __asm__("x1") = sizeof(*args);
    register int (*x2)(void *) __asm__("x2") = run;
    register void *x3 __asm__("x3") = argument;
    __asm__ volatile("svc #0\n\t"
                     "cbnz x0, 1f\n\t"
                     "mov x29, #0\n\t"
                     "mov x0, x3\n\t"
                     "blr x2\n\t"
                     "brk #1\n"
                     "1:"
                     : "+r"(x0)
                     : "r"(x8), "r"(x1), "r"(x2), "r"(x3)
                     : "memory");
    return x0;
#endif
}

bool env_can_spawn_into_cgroup(void)
{
    // A kernel that knows the flag looks at the descriptor, and finds none.
    struct clone_args args = {
        .flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = (uint64_t)INT_MAX};
    long result = syscall(SYS_clone3, &args, sizeof(args));
    CHECK(result < 0);
    return errno == EBADF;
}

static long clone_into(struct env_child_order *order, char *stack, int *ret_pidfd)
{
    struct clone_args args = {
        .flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD | CLONE_INTO_CGROUP,
        .pidfd = (uint64_t)(uintptr_t)ret_pidfd,
        .exit_signal = SIGCHLD,
        .stack = (uint64_t)(uintptr_t)stack,
        .stack_size = CHILD_STACK_SIZE,
        .cgroup = (uint64_t)order->cgroup_fd,
    };
    return clone3_and_run(&args, env_child_exec, order);
}

#else

bool env_can_spawn_into_cgroup(void)
{
    return false;
}

static long clone_into(struct env_child_order *order, char *stack, int *ret_pidfd)
{
    (void)order;
    (void)stack;
    (void)ret_pidfd;
    return -ENOSYS;
}

#endif

pid_t env_child_clone(struct env_child_order *order, int *ret_pidfd)
{
    char *stack = mmap(NULL, CHILD_STACK_SIZE, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (stack == MAP_FAILED) {
        return -errno;
    }
    sigset_t all, before;
    sigfillset(&all);
    CHECK(pthread_sigmask(SIG_BLOCK, &all, &before) == 0);
    long pid;
    if (order->cgroup_fd > 0) {
        pid = clone_into(order, stack, ret_pidfd);
    } else {
        pid = clone(env_child_exec, stack + CHILD_STACK_SIZE,
                    CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, order, ret_pidfd);
        pid = pid < 0 ? -errno : pid;
    }
    CHECK(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    munmap(stack, CHILD_STACK_SIZE);
    return (pid_t)pid;
}
