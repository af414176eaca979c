// SPDX-License-Identifier: Apache-2.0
//
// mesos-http-check asks, in a process of its own; what it writes is the status of the answer, or
// why there was none.

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "check/internal.h"

static void on_exit_status(void *ctx, pid_t pid, int status)
{
    (void)pid;
    struct checker *checker = CHECK_CAST(checker, CHECKER_MAGIC, ctx);
    checker->child = NULL;
    struct probe_result result = {.outcome = PROBE_FAILED};
    // It has ended, so all that it wrote is there.
    ssize_t size = read(checker->output_fd, result.text, sizeof(result.text) - 1);
    result.text[size > 0 ? size : 0] = '\0';
    result.text[strcspn(result.text, "\n")] = '\0';
    fd_close_at(&checker->output_fd);
    checker->output_fd = -1;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        result.outcome = PROBE_SUCCEEDED;
        result.value = atoi(result.text);
        log_info("%s for task '%s' returned: %d", checker->name, checker->place.task_id,
                 result.value);
    } else if (result.text[0] == '\0') {
        snprintf(result.text, sizeof(result.text), "mesos-http-check ended with status %d", status);
    }
    checker_finish(checker, &result);
}

int probe_http_start(struct checker *checker, struct error *err)
{
    int output[2];
    if (pipe2(output, O_CLOEXEC | O_NONBLOCK) < 0) {
        return error_errno(err, -errno, "Failed to create a pipe");
    }
    AUTO_FREE char *file = mem_printf("%s/mesos-http-check", checker->place.launcher_dir);
    AUTO_FREE char *url = mem_strdup(checker->url);
    char *arguments[] = {file, url, NULL};
    const int fds[] = {-1, output[1], output[1]};
    struct env_spawn order = {
        .file = file,
        .arguments = arguments,
        .fds = fds,
        .fd_count = ARRAY_COUNT(fds),
        .new_session = true,
    };
    int r = env_spawn(checker->place.env, &order, on_exit_status, checker, &checker->pid,
                      &checker->child, err);
    close(output[1]);
    if (r < 0) {
        close(output[0]);
        return r;
    }
    checker->output_fd = output[0];
    return 0;
}

void probe_http_stop(struct checker *checker)
{
    probe_child_stop(checker);
    fd_close_at(&checker->output_fd);
    checker->output_fd = -1;
}
