// SPDX-License-Identifier: Apache-2.0
//
// Runs a command, as a child in a session of its own, and takes its exit status.

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "check/command.h"
#include "check/internal.h"

static void finish(struct checker *checker, int status)
{
    struct probe_result result = {.outcome = PROBE_FAILED};
    if (WIFEXITED(status)) {
        result.outcome = PROBE_SUCCEEDED;
        result.value = WEXITSTATUS(status);
        log_info("%s for task '%s' returned: %d", checker->name, checker->place.task_id,
                 result.value);
    } else {
        snprintf(result.text, sizeof(result.text), "Command terminated with signal %d",
                 WTERMSIG(status));
    }
    checker_finish(checker, &result);
}

static void on_exit_status(void *ctx, pid_t pid, int status)
{
    (void)pid;
    struct checker *checker = CHECK_CAST(checker, CHECKER_MAGIC, ctx);
    checker->child = NULL;
    finish(checker, status);
}

static int start_child(struct checker *checker, struct error *err)
{
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    const int fds[] = {-1, checker->place.output_fd, checker->place.output_fd};
    struct env_spawn order = {.fds = fds, .fd_count = ARRAY_COUNT(fds), .new_session = true};
    char **environment =
        command_environment(checker->place.environment, checker->command, NULL, arena);
    int r = command_prepare(checker->command, environment, arena, &order, err);
    if (r < 0) {
        return r;
    }
    return env_spawn(checker->place.env, &order, on_exit_status, checker, &checker->pid,
                     &checker->child, err);
}

int probe_command_start(struct checker *checker, struct error *err)
{
    const struct check_command_ops *ops = checker->place.command_ops;
    if (ops == NULL) {
        return start_child(checker, err);
    }
    int r = ops->start(checker->place.command_ctx, checker, checker->command, err);
    checker->is_command_elsewhere = r >= 0;
    return r;
}

void checker_command_ended(struct checker *checker, int code, int status, const char *text)
{
    CHECK(checker->magic == CHECKER_MAGIC && checker->is_command_elsewhere);
    checker->is_command_elsewhere = false;
    if (code >= 0) {
        finish(checker, status);
        return;
    }
    struct probe_result result = {.outcome = code == -EAGAIN ? PROBE_UNAVAILABLE : PROBE_FAILED};
    snprintf(result.text, sizeof(result.text), "%s", text);
    checker_finish(checker, &result);
}

void probe_child_stop(struct checker *checker)
{
    if (checker->child == NULL) {
        return;
    }
    // It leads a session: its number is its group's as well, and stays so until it is reaped.
    kill(-checker->pid, SIGKILL);
    kill(checker->pid, SIGKILL);
    env_child_detach(checker->child);
    checker->child = NULL;
}

void probe_command_stop(struct checker *checker)
{
    probe_child_stop(checker);
    if (checker->is_command_elsewhere) {
        checker->is_command_elsewhere = false;
        checker->place.command_ops->stop(checker->place.command_ctx, checker);
    }
}
