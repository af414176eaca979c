// SPDX-License-Identifier: Apache-2.0
//
// How the processes of a session are found and taken down.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "container/session.h"

enum {
    TRIES_MAX = 2000, // of a millisecond
    TURNS = 10,
};

// A process in a session of its own, and what reads as ended when all that came of it are gone.
static pid_t start(const char *const *arguments, int *ret_fd)
{
    int fds[2];
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        setsid();
        dup2(fds[1], STDOUT_FILENO);
        execv(arguments[0], (char **)(uintptr_t)arguments);
        _exit(127);
    }
    close(fds[1]);
    *ret_fd = fds[0];
    return pid;
}

static bool has_ended(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    return poll(&poll_fd, 1, 0) == 1 && (poll_fd.revents & (POLLHUP | POLLIN)) == POLLHUP;
}

static void take_down(struct session *session)
{
    struct error err = {0};
    int code;
    for (int i = 0; (code = session_take_down(session, &err)) != 0; i++) {
        assert_int_equal(code, 1);
        assert_true(i < TRIES_MAX);
        usleep(1000);
    }
}

// When nothing is said to be left, nothing is, though no process of it lives as long as a look at
// all processes takes.
static void test_hopping_from_process_to_process(void **state)
{
    (void)state;
    static const char *const arguments[] = {HOP, NULL};
    for (int i = 0; i < TURNS; i++) {
        AUTO_CLOSE int fd = -1;
        pid_t pid = start(arguments, &fd);
        struct session *session = session_new(pid, NULL, true);
        assert_int_equal(waitpid(pid, NULL, 0), pid); // after its first hop
        session_leader_gone(session);
        assert_false(has_ended(fd));
        take_down(session);
        assert_true(has_ended(fd));
        session_free(session);
    }
}

// The same where it is found by its name alone: another session, and nobody of the former is left.
static void test_found_by_its_sandbox(void **state)
{
    (void)state;
    static const char *const arguments[] = {
        "/usr/bin/env", "MESOS_SANDBOX=/no/such/place", "/bin/sh",
        "-c",           "setsid sleep 20 & exit 0",     NULL};
    AUTO_CLOSE int fd = -1;
    pid_t pid = start(arguments, &fd);
    struct session *session = session_new(pid, "/no/such/place", true);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    session_leader_gone(session);
    assert_false(has_ended(fd));
    take_down(session);
    assert_true(has_ended(fd));
    session_free(session);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hopping_from_process_to_process),
        cmocka_unit_test(test_found_by_its_sandbox),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
