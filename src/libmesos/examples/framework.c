// SPDX-License-Identifier: Apache-2.0
//
// A framework on libmesos: runs a command so many times, again where it fails, and ends when all
// have finished. SIGINT and SIGTERM end it, and its tasks.
//
//   framework MASTER COMMAND COUNT [EXECUTOR]
//
// With EXECUTOR, the path of a program on the agents (executor.c beside this file), tasks are its
// business: their name is the command.

#include <mesos/scheduler.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CPUS 0.1
#define MEM 32

struct work {
    const char *command;
    char more[1024]; // the executor, for each TaskInfo
    int wanted;      // to be launched
    int running;
    int finished;
    int launched; // in all; the next id
};

static struct mesos_scheduler *the_scheduler;

static void on_signal(int number)
{
    (void)number;
    mesos_scheduler_wake(the_scheduler);
}

static void woken(void *ctx, struct mesos_scheduler *s)
{
    (void)ctx;
    printf("Ending all tasks\n");
    mesos_teardown(s, NULL);
    mesos_scheduler_stop(s, 1);
}

static void subscribed(void *ctx, struct mesos_scheduler *s, const char *framework_id)
{
    (void)ctx;
    printf("Subscribed as %s\n", framework_id);
    mesos_reconcile(s, NULL, NULL); // what happened while we were not
}

static void disconnected(void *ctx, struct mesos_scheduler *s, const char *why)
{
    (void)ctx;
    (void)s;
    printf("Disconnected: %s\n", why);
}

static void refused(void *ctx, struct mesos_scheduler *s, const char *why)
{
    (void)ctx;
    (void)s;
    fprintf(stderr, "The master refuses this framework: %s\n", why);
}

static void offer(void *ctx, struct mesos_scheduler *s, const struct mesos_message *o)
{
    struct work *work = ctx;
    if (work->wanted == 0 || work->running == 16 || mesos_resource(o, "cpus") < CPUS ||
        mesos_resource(o, "mem") < MEM) {
        mesos_decline(s, o, 1, NULL);
        return;
    }
    char id[32];
    snprintf(id, sizeof(id), "task-%d", ++work->launched);
    struct mesos_task task = {.size = sizeof(task), .task_id = id, .cpus = CPUS, .mem = MEM};
    if (work->more[0] != '\0') {
        task.name = work->command;
        task.more = work->more;
    } else {
        task.command = work->command;
    }
    struct mesos_error err;
    if (mesos_launch(s, o, &task, 1, 0, &err) < 0) { // the rest is offered again at once
        fprintf(stderr, "Cannot launch: %s\n", err.text);
        return;
    }
    printf("Launched %s on %s\n", id, mesos_text(o, "hostname"));
    work->wanted--;
    work->running++;
}

static void update(void *ctx, struct mesos_scheduler *s, const struct mesos_message *status)
{
    struct work *work = ctx;
    const char *state = mesos_text(status, "state");
    const char *text = mesos_text(status, "message");
    printf("%s is %s%s%s\n", mesos_text(status, "task_id.value"), state, text != NULL ? ": " : "",
           text != NULL ? text : "");
    if (strcmp(state, "TASK_FINISHED") == 0) {
        work->running--;
        if (--work->finished == 0) {
            mesos_teardown(s, NULL);
            mesos_scheduler_stop(s, 0);
        }
    } else if (strcmp(state, "TASK_FAILED") == 0 || strcmp(state, "TASK_LOST") == 0 ||
               strcmp(state, "TASK_ERROR") == 0 || strcmp(state, "TASK_KILLED") == 0) {
        work->running--;
        work->wanted++;
        mesos_revive(s, NULL);
    }
}

int main(int argc, char *argv[])
{
    if (argc < 4) {
        fprintf(stderr, "Usage: %s MASTER COMMAND COUNT [EXECUTOR]\n", argv[0]);
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    struct work work = {.command = argv[2], .wanted = atoi(argv[3]), .finished = atoi(argv[3])};
    if (argc > 4)
        snprintf(work.more, sizeof(work.more),
                 "{\"executor\":{\"type\":\"CUSTOM\",\"executor_id\":{\"value\":\"example\"},"
                 "\"command\":{\"value\":\"%s\"}}}",
                 argv[4]);
    struct mesos_scheduler_options options = {.size = sizeof(options),
                                              .master = argv[1],
                                              .name = "example",
                                              .failover_timeout = 60,
                                              .checkpoint = true};
    struct mesos_scheduler_callbacks callbacks = {.size = sizeof(callbacks),
                                                  .subscribed = subscribed,
                                                  .disconnected = disconnected,
                                                  .refused = refused,
                                                  .offer = offer,
                                                  .update = update,
                                                  .woken = woken};
    struct mesos_error err;
    if (mesos_scheduler_new(&options, &callbacks, &work, &the_scheduler, &err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    int status = mesos_scheduler_run(the_scheduler);
    mesos_scheduler_free(the_scheduler);
    return status == 0 ? 0 : 1;
}
