// SPDX-License-Identifier: Apache-2.0
//
// An executor on libmesos: runs each task's name as a command of the shell, kills it when asked,
// and ends when it is told to. Started by an agent (see framework.c beside this file).

#include <mesos/executor.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct task {
    struct task *next;
    pid_t pid;
    bool was_killed;
    char id[];
};

static struct task *tasks;
static struct mesos_executor *the_executor;

static void on_child(int number)
{
    (void)number;
    mesos_executor_wake(the_executor);
}

static void launch(void *ctx, struct mesos_executor *x, const struct mesos_message *info)
{
    (void)ctx;
    const char *id = mesos_text(info, "task_id.value");
    pid_t pid = fork();
    if (pid == 0) {
        setsid();
        execl("/bin/sh", "sh", "-c", mesos_text(info, "name"), (char *)NULL);
        _exit(127);
    }
    if (pid < 0) {
        mesos_update(x, id, "TASK_FAILED", "cannot fork", NULL, NULL);
        return;
    }
    struct task *task = calloc(1, sizeof(*task) + strlen(id) + 1);
    if (task == NULL)
        abort();
    strcpy(task->id, id);
    task->pid = pid;
    task->next = tasks;
    tasks = task;
    mesos_update(x, id, "TASK_RUNNING", NULL, NULL, NULL);
}

static void kill_task(void *ctx, struct mesos_executor *x, const char *task_id, double grace)
{
    (void)ctx;
    (void)x;
    (void)grace; // this one has none
    for (struct task *task = tasks; task != NULL; task = task->next) {
        if (strcmp(task->id, task_id) == 0) {
            task->was_killed = true;
            kill(-task->pid, SIGKILL);
        }
    }
}

static void tell_end(struct mesos_executor *x, const struct task *task, int status)
{
    char text[64];
    const char *state = task->was_killed                                ? "TASK_KILLED"
                        : WIFEXITED(status) && WEXITSTATUS(status) == 0 ? "TASK_FINISHED"
                                                                        : "TASK_FAILED";
    if (WIFEXITED(status))
        snprintf(text, sizeof(text), "exited with status %d", WEXITSTATUS(status));
    else
        snprintf(text, sizeof(text), "ended by signal %d", WTERMSIG(status));
    mesos_update(x, task->id, state, text, NULL, NULL);
}

// A child has ended, or several.
static void woken(void *ctx, struct mesos_executor *x)
{
    (void)ctx;
    int status;
    for (pid_t pid = waitpid(-1, &status, WNOHANG); pid > 0; pid = waitpid(-1, &status, WNOHANG)) {
        for (struct task **at = &tasks; *at != NULL; at = &(*at)->next) {
            struct task *task = *at;
            if (task->pid != pid)
                continue;
            *at = task->next;
            tell_end(x, task, status);
            free(task);
            break;
        }
    }
}

static void shut_down(void *ctx, struct mesos_executor *x, const char *why)
{
    (void)ctx;
    printf("Shutting down: %s\n", why);
    for (struct task *task = tasks; task != NULL; task = task->next)
        kill(-task->pid, SIGKILL);
    mesos_executor_stop(x, 0);
}

int main(void)
{
    struct mesos_executor_callbacks callbacks = {.size = sizeof(callbacks),
                                                 .launch = launch,
                                                 .kill = kill_task,
                                                 .shutdown = shut_down,
                                                 .woken = woken};
    struct mesos_error err;
    if (mesos_executor_new(&callbacks, NULL, &the_executor, &err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    signal(SIGCHLD, on_child);
    int status = mesos_executor_run(the_executor);
    mesos_executor_free(the_executor);
    return status;
}
