// SPDX-License-Identifier: Apache-2.0
//
// mesos-executor runs one command task: it subscribes with the agent, starts the command in a
// session of its own, reports its states, kills it with all that it left behind, and ends when the
// agent has acknowledged the terminal state. It is started for every command task, so its start
// must cost next to nothing: no threads, no name lookups, few libraries.

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "check/command.h"
#include "check/task_checks.h"
#include "client/executor.h"
#include "env/env.h"
#include "executor_flags.h"
#include "model/framework.h"
#include "model/task_state.h"
#include "model/validate.h"
#include "task_process.h"

#define TOKEN_NAME "MESOS_EXECUTOR_AUTHENTICATION_TOKEN="
#define KILL_GRACE_PERIOD_NS (3 * NS_PER_S)
#define FORCED_KILL_RESERVE_NS (1 * NS_PER_S) // of the shutdown grace period
#define ACKNOWLEDGEMENT_TIMEOUT_NS (60 * NS_PER_S)
#define SWEEP_INTERVAL_NS (20 * NS_PER_MS)

enum { EXECUTOR_MAGIC = 0x43457865 };

// What the one task is at; it only moves down.
enum task_phase {
    TASK_NONE,     // no LAUNCH came yet
    TASK_RUNS,     // its process runs
    TASK_SWEEPS,   // its process has ended; what it left behind is being killed
    TASK_REPORTED, // the terminal update waits for its acknowledgement
};

struct command_executor {
    uint32_t magic;
    struct env *env;
    struct executor_environment environment;
    struct executor *client;
    unsigned capabilities; // of the framework
    struct arena *arena;   // of `task`
    Mesos__V1__TaskInfo *task;
    enum task_phase phase;
    pid_t pid;
    int status;                 // of the process, once it has ended
    bool is_killed;             // by KILL or SHUTDOWN
    bool is_out_of_time;        // by max_completion_time
    bool is_unhealthy;          // killed by its health check
    struct task_checks *checks; // NULL: it has none
    char *launcher_dir;
    bool is_agent_gone;
    int64_t kill_start;    // monotonic
    int64_t kill_deadline; // monotonic: SIGKILL
    struct timer kill_timer;
    struct timer completion_timer;
    struct timer sweep_timer;
    struct timer acknowledgement_timer;
};

// ---- updates ----

static void report(struct command_executor *e, const char *task_id, Mesos__V1__TaskState state,
                   const char *message, const Mesos__V1__TaskStatus__Reason *reason)
{
    Mesos__V1__TaskID id = MESOS__V1__TASK_ID__INIT;
    Mesos__V1__TaskStatus status = MESOS__V1__TASK_STATUS__INIT;
    id.value = (char *)task_id; // copied, never written
    status.task_id = &id;
    status.state = state;
    status.message = (char *)message;
    if (reason != NULL) {
        status.has_reason = true;
        status.reason = *reason;
    }
    if (e->checks != NULL && strcmp(task_id, e->task->task_id->value) == 0) {
        task_checks_complete(e->checks, &status);
    }
    if (e->is_unhealthy && task_state_is_terminal(state)) {
        status.has_healthy = true;
        status.healthy = false;
    }
    executor_update(e->client, &status);
}

static void on_check_update(void *ctx, const Mesos__V1__TaskStatus *status)
{
    struct command_executor *e = CHECK_CAST(command_executor, EXECUTOR_MAGIC, ctx);
    executor_update(e->client, status);
}

static void run_acknowledgement(struct timer *timer, struct instant now)
{
    (void)now;
    struct command_executor *e =
        CONTAINER_OF(timer, struct command_executor, acknowledgement_timer);
    log_error("Did not receive ACK for the terminal status update from the agent");
    env_stop(e->env, EXIT_FAILURE);
}

static void report_terminal(struct command_executor *e, Mesos__V1__TaskState state,
                            const char *message, const Mesos__V1__TaskStatus__Reason *reason)
{
    e->phase = TASK_REPORTED;
    if (e->is_agent_gone) {
        env_stop(e->env, EXIT_FAILURE);
        return;
    }
    report(e, e->task->task_id->value, state, message, reason);
    env_timer_set(e->env, &e->acknowledgement_timer, ACKNOWLEDGEMENT_TIMEOUT_NS);
}

// "exited with status 1", "terminated with signal Killed (core dumped)".
static void put_status(struct buf *out, int status)
{
    if (WIFEXITED(status)) {
        buf_printf(out, "exited with status %d", WEXITSTATUS(status));
        return;
    }
    buf_printf(out, "terminated with signal %s%s", strsignal(WTERMSIG(status)),
               WCOREDUMP(status) ? " (core dumped)" : "");
}

static void report_end(struct command_executor *e)
{
    static const Mesos__V1__TaskStatus__Reason out_of_time =
        MESOS__V1__TASK_STATUS__REASON__REASON_MAX_COMPLETION_TIME_REACHED;
    AUTO_BUF struct buf message = BUF_INIT;
    buf_puts(&message, "Command ");
    put_status(&message, e->status);
    log_info("%s (pid: %d)", message.data, (int)e->pid);
    if (e->is_out_of_time) {
        report_terminal(e, MESOS__V1__TASK_STATE__TASK_FAILED, message.data, &out_of_time);
    } else if (e->is_killed) {
        report_terminal(e, MESOS__V1__TASK_STATE__TASK_KILLED, message.data, NULL);
    } else if (WIFEXITED(e->status) && WEXITSTATUS(e->status) == 0) {
        report_terminal(e, MESOS__V1__TASK_STATE__TASK_FINISHED, message.data, NULL);
    } else {
        report_terminal(e, MESOS__V1__TASK_STATE__TASK_FAILED, message.data, NULL);
    }
}

// ---- the process and its end ----

// Kills what the task left behind, again and again until nothing is left: a process may fork while
// the tree is walked.
static void sweep(struct command_executor *e)
{
    task_process_reap_orphans(NULL, 0);
    if (!task_process_has_children()) {
        env_timer_cancel(e->env, &e->sweep_timer);
        report_end(e);
        return;
    }
    task_process_signal_all(SIGKILL);
    env_timer_set(e->env, &e->sweep_timer, SWEEP_INTERVAL_NS);
}

static void run_sweep(struct timer *timer, struct instant now)
{
    (void)now;
    sweep(CONTAINER_OF(timer, struct command_executor, sweep_timer));
}

static void on_task_exit(void *ctx, pid_t pid, int status)
{
    (void)pid;
    struct command_executor *e = CHECK_CAST(command_executor, EXECUTOR_MAGIC, ctx);
    e->status = status;
    e->phase = TASK_SWEEPS;
    task_checks_stop(e->checks);
    env_timer_cancel(e->env, &e->kill_timer);
    env_timer_cancel(e->env, &e->completion_timer);
    sweep(e);
}

static void on_child_signal(void *ctx, int signal)
{
    (void)signal;
    struct command_executor *e = CHECK_CAST(command_executor, EXECUTOR_MAGIC, ctx);
    if (e->phase == TASK_RUNS) {
        pid_t awaited[1 + TASK_CHECKS_PIDS_MAX] = {e->pid};
        task_process_reap_orphans(awaited, 1 + task_checks_pids(e->checks, awaited + 1));
    } else if (e->phase == TASK_SWEEPS) {
        sweep(e);
    }
}

static void run_kill(struct timer *timer, struct instant now)
{
    struct command_executor *e = CONTAINER_OF(timer, struct command_executor, kill_timer);
    AUTO_BUF struct buf waited = BUF_INIT;
    text_put_duration(&waited, now.mono - e->kill_start);
    log_info("Process %d did not terminate after %s, sending SIGKILL to process tree at %d",
             (int)e->pid, waited.data, (int)e->pid);
    task_process_signal_all(SIGKILL);
    env_timer_set(e->env, &e->kill_timer, SWEEP_INTERVAL_NS); // in case it forked meanwhile
}

// The grace period of a kill that goes on can only become shorter.
static void shorten_kill(struct command_executor *e, int64_t grace_ns)
{
    int64_t deadline = e->kill_start + grace_ns;
    if (deadline >= e->kill_deadline) {
        return;
    }
    int64_t now = env_now(e->env).mono;
    int64_t remaining = deadline > now ? deadline - now : 0;
    AUTO_BUF struct buf text = BUF_INIT;
    text_put_duration(&text, remaining);
    log_info("Rescheduling escalation to SIGKILL in %s from now", text.data);
    e->kill_deadline = deadline;
    env_timer_set(e->env, &e->kill_timer, remaining);
}

static void kill_task(struct command_executor *e, int64_t grace_ns)
{
    if (e->phase != TASK_RUNS) {
        return;
    }
    if (e->is_killed || e->is_out_of_time) {
        shorten_kill(e, grace_ns);
        return;
    }
    task_checks_stop(e->checks);
    if (FRAMEWORK_HAS(e->capabilities, TASK_KILLING_STATE)) {
        report(e, e->task->task_id->value, MESOS__V1__TASK_STATE__TASK_KILLING, NULL, NULL);
    }
    log_info("Sending SIGTERM to process tree at pid %d", (int)e->pid);
    task_process_signal_all(SIGTERM);
    AUTO_BUF struct buf text = BUF_INIT;
    text_put_duration(&text, grace_ns);
    log_info("Scheduling escalation to SIGKILL in %s from now", text.data);
    e->is_killed = true;
    e->kill_start = env_now(e->env).mono;
    e->kill_deadline = e->kill_start + grace_ns;
    env_timer_set(e->env, &e->kill_timer, grace_ns);
}

// `override` (or NULL) wins over the task's own policy.
static void kill_by_policy(struct command_executor *e, const Mesos__V1__KillPolicy *override)
{
    env_timer_cancel(e->env, &e->completion_timer);
    int64_t grace_ns = KILL_GRACE_PERIOD_NS;
    if (override != NULL && override->grace_period != NULL) {
        grace_ns = override->grace_period->nanoseconds;
    } else if (e->task->kill_policy != NULL && e->task->kill_policy->grace_period != NULL) {
        grace_ns = e->task->kill_policy->grace_period->nanoseconds;
    }
    grace_ns = grace_ns > 0 ? grace_ns : 0;
    AUTO_BUF struct buf text = BUF_INIT;
    text_put_duration(&text, grace_ns);
    log_info("Received kill for task %s with grace period of %s", e->task->task_id->value,
             text.data);
    kill_task(e, grace_ns);
}

static void on_unhealthy(void *ctx)
{
    struct command_executor *e = CHECK_CAST(command_executor, EXECUTOR_MAGIC, ctx);
    e->is_unhealthy = true;
    kill_by_policy(e, NULL);
}

static void run_completion(struct timer *timer, struct instant now)
{
    struct command_executor *e = CONTAINER_OF(timer, struct command_executor, completion_timer);
    AUTO_BUF struct buf text = BUF_INIT;
    text_put_duration(&text, (int64_t)e->task->max_completion_time->nanoseconds);
    log_info("Killing task %s which exceeded its maximum completion time of %s",
             e->task->task_id->value, text.data);
    e->is_out_of_time = true;
    task_checks_stop(e->checks);
    e->kill_start = now.mono;
    e->kill_deadline = now.mono;
    task_process_signal_all(SIGTERM);
    env_timer_set(e->env, &e->kill_timer, 0);
}

// ---- launching ----

// The executor's own environment without its token, then the command's, then the role.
static char **task_environment(const Mesos__V1__TaskInfo *task, struct arena *arena)
{
    size_t count = 0, kept = 0;
    while (environ[count] != NULL) {
        count++;
    }
    char **own = arena_calloc(arena, count + 1, sizeof(*own));
    for (size_t i = 0; i < count; i++) {
        if (strncmp(environ[i], TOKEN_NAME, strlen(TOKEN_NAME)) != 0) {
            own[kept++] = environ[i];
        }
    }
    const char *role = NULL;
    if (task->n_resources > 0 && task->resources[0]->allocation_info != NULL &&
        task->resources[0]->allocation_info->role != NULL) {
        role = arena_printf(arena, "MESOS_ALLOCATION_ROLE=%s",
                            task->resources[0]->allocation_info->role);
    }
    return command_environment(own, task->command, role, arena);
}

static int start_command(struct command_executor *e, struct error *err)
{
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    // A terminal is this process's standard input; what it tells itself goes to the sandbox.
    static const int files[] = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO};
    static const int terminal[] = {STDIN_FILENO, STDIN_FILENO, STDIN_FILENO};
    bool has_terminal = e->task->container != NULL && e->task->container->tty_info != NULL;
    if (has_terminal && !isatty(STDIN_FILENO)) {
        return error_set(err, -ENOTTY, "The agent gave the task no terminal");
    }
    struct env_spawn order = {
        .fds = has_terminal ? terminal : files,
        .fd_count = ARRAY_COUNT(files),
        .new_session = true,
        .takes_terminal = has_terminal,
    };
    int r = command_prepare(e->task->command, task_environment(e->task, arena), arena, &order, err);
    return r < 0 ? r : env_spawn(e->env, &order, on_task_exit, e, &e->pid, NULL, err);
}

// 0, or why this executor cannot run the task. The master let it pass, but who knows which one.
static int check_task(const Mesos__V1__TaskInfo *task, struct error *err)
{
    int r = 0;
    if (task->command == NULL || task->command->value == NULL) {
        return error_set(err, -EINVAL, "it has no command");
    }
    if (task->check != NULL && (r = validate_check(task->check, err)) < 0) {
        return r;
    }
    return task->health_check != NULL ? validate_health_check(task->health_check, err) : 0;
}

static void launch(struct command_executor *e, const Mesos__V1__TaskInfo *task)
{
    static const Mesos__V1__TaskStatus__Reason invalid =
        MESOS__V1__TASK_STATUS__REASON__REASON_TASK_INVALID;
    if (e->phase != TASK_NONE) {
        report(e, task->task_id->value, MESOS__V1__TASK_STATE__TASK_FAILED,
               "Attempted to run multiple tasks using a \"command\" executor", NULL);
        return;
    }
    e->task = WIRE_COPY(e->arena, Mesos__V1__TaskInfo, task);
    const char *id = e->task->task_id->value;
    struct error err = {0};
    if (check_task(e->task, &err) < 0) {
        error_wrap(&err, -EINVAL, "The command executor cannot run this task");
        log_error("%s", err.text);
        report_terminal(e, MESOS__V1__TASK_STATE__TASK_ERROR, err.text, &invalid);
        return;
    }
    static const struct task_checks_callbacks callbacks = {
        .on_update = on_check_update,
        .on_unhealthy = on_unhealthy,
    };
    e->checks = task_checks_new(e->env, e->task, e->launcher_dir, &callbacks, e);
    report(e, id, MESOS__V1__TASK_STATE__TASK_STARTING, NULL, NULL);
    log_info("Starting task %s", id);
    int r = start_command(e, &err);
    if (r < 0) {
        log_error("%s", err.text);
        report_terminal(e, MESOS__V1__TASK_STATE__TASK_FAILED, err.text, NULL);
        return;
    }
    log_info("Forked command at %d", (int)e->pid);
    e->phase = TASK_RUNS;
    if (e->task->max_completion_time != NULL && e->task->max_completion_time->nanoseconds > 0) {
        env_timer_set(e->env, &e->completion_timer, e->task->max_completion_time->nanoseconds);
    }
    report(e, id, MESOS__V1__TASK_STATE__TASK_RUNNING, NULL, NULL);
    task_checks_start(e->checks);
}

// ---- events ----

static void on_kill(struct command_executor *e, const Mesos__V1__Executor__Event__Kill *kill)
{
    if (e->phase == TASK_NONE) {
        log_error(
            "Terminating because kill task message has been received before the task has been "
            "launched");
        env_stop(e->env, EXIT_FAILURE);
        return;
    }
    if (strcmp(kill->task_id->value, e->task->task_id->value) != 0) {
        log_warning("Ignoring kill for task %s: it is not the one that runs here",
                    kill->task_id->value);
        return;
    }
    kill_by_policy(e, kill->kill_policy);
}

// A part of the grace period is kept for the forced kill, else the agent would destroy the
// container before TASK_KILLED could be told.
static void shut_down(struct command_executor *e)
{
    log_info("Shutting down");
    int64_t grace_ns = e->environment.shutdown_grace_period_ns;
    grace_ns =
        grace_ns > 2 * FORCED_KILL_RESERVE_NS ? grace_ns - FORCED_KILL_RESERVE_NS : grace_ns / 2;
    if (e->phase == TASK_NONE || (e->phase == TASK_REPORTED && e->is_agent_gone)) {
        env_stop(e->env, e->is_agent_gone ? EXIT_FAILURE : EXIT_SUCCESS);
    } else {
        kill_task(e, grace_ns);
    }
}

static void on_event(void *ctx, const Mesos__V1__Executor__Event *event)
{
    struct command_executor *e = CHECK_CAST(command_executor, EXECUTOR_MAGIC, ctx);
    const char *name =
        wire_enum_name(&mesos__v1__executor__event__type__descriptor, (int)event->type);
    log_info("Received %s event", name != NULL ? name : "an unknown");
    switch (event->type) {
    case MESOS__V1__EXECUTOR__EVENT__TYPE__SUBSCRIBED:
        if (event->subscribed != NULL) {
            log_info("Subscribed executor on %s", event->subscribed->agent_info->hostname);
            e->capabilities = framework_capabilities(event->subscribed->framework_info);
        }
        break;
    case MESOS__V1__EXECUTOR__EVENT__TYPE__LAUNCH:
        if (event->launch != NULL) {
            launch(e, event->launch->task);
        }
        break;
    case MESOS__V1__EXECUTOR__EVENT__TYPE__LAUNCH_GROUP:
        log_error("LAUNCH_GROUP event is not supported");
        shut_down(e);
        break;
    case MESOS__V1__EXECUTOR__EVENT__TYPE__KILL:
        if (event->kill != NULL) {
            on_kill(e, event->kill);
        }
        break;
    case MESOS__V1__EXECUTOR__EVENT__TYPE__ACKNOWLEDGED:
        if (e->phase == TASK_REPORTED && executor_unacknowledged(e->client) == 0) {
            env_stop(e->env, EXIT_SUCCESS);
        }
        break;
    case MESOS__V1__EXECUTOR__EVENT__TYPE__SHUTDOWN:
        shut_down(e);
        break;
    case MESOS__V1__EXECUTOR__EVENT__TYPE__ERROR:
        log_error("Error: %s", event->error != NULL ? event->error->message : "");
        break;
    default: // MESSAGE and HEARTBEAT ask for nothing; others are from a later agent
        break;
    }
}

static void on_ended(void *ctx, const struct error *why)
{
    struct command_executor *e = CHECK_CAST(command_executor, EXECUTOR_MAGIC, ctx);
    log_info("Disconnected from agent: %s; Shutting down", why->text);
    e->is_agent_gone = true;
    shut_down(e);
}

// ---- the program ----

static void command_executor_init(struct command_executor *e)
{
    static const struct executor_callbacks callbacks = {.on_event = on_event, .on_ended = on_ended};
    e->magic = EXECUTOR_MAGIC;
    e->arena = arena_new(0, 0);
    e->kill_timer.run = run_kill;
    e->completion_timer.run = run_completion;
    e->sweep_timer.run = run_sweep;
    e->acknowledgement_timer.run = run_acknowledgement;
    env_on_signal(e->env, SIGCHLD, on_child_signal, e);
    e->client = executor_new(e->env, &e->environment, CONTENT_PROTOBUF, &callbacks, e);
}

int main(int argc, char **argv)
{
    int status = EXIT_FAILURE;
    struct command_executor e = {0};
    if (argc > 1 &&
        executor_flags_read("mesos-executor", argc, argv, &e.launcher_dir, &status) != FLAGS_DONE) {
        return status;
    }
    if (e.launcher_dir == NULL) {
        e.launcher_dir = path_own_directory();
    }
    struct error err = {0};
    int r = executor_environment_read(environ, &e.environment, &err);
    if (r == 0) {
        r = task_process_adopt_orphans(&err);
    }
    if (r == 0) {
        r = env_log_open("mesos-executor", NULL, false, "INFO", &err);
    }
    if (r == 0) {
        r = env_new(&e.env, &err);
    }
    if (r < 0) {
        fprintf(stderr, "%s\n", err.text);
        return EXIT_FAILURE;
    }
    command_executor_init(&e);
    status = env_run(e.env);
    e.checks = task_checks_free(e.checks);
    e.client = executor_free(e.client);
    mem_free(e.launcher_dir);
    arena_free(e.arena);
    env_free(e.env);
    return status;
}
