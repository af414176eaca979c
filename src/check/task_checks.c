// SPDX-License-Identifier: Apache-2.0

#include "check/task_checks.h"

#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "check/check.h"
#include "wire/wire.h"

#define TOKEN_NAME "MESOS_EXECUTOR_AUTHENTICATION_TOKEN="

struct task_checks {
    struct env *env;
    const Mesos__V1__TaskInfo *task;
    const char *launcher_dir;
    struct task_checks_callbacks callbacks;
    void *ctx;
    struct checker *check;  // NULL: none, or not started
    struct checker *health; // likewise
    bool is_stopped;
    char **environment;  // of command checks: this process's own, without its token
    struct arena *arena; // of `last`
    Mesos__V1__TaskStatus *last;
};

// The executor's environment, as its task got it before the task's own variables.
static char **own_environment(void)
{
    size_t count = 0, kept = 0;
    while (environ[count] != NULL) {
        count++;
    }
    char **variables = mem_calloc(count + 1, sizeof(*variables));
    for (size_t i = 0; i < count; i++) {
        if (strncmp(environ[i], TOKEN_NAME, strlen(TOKEN_NAME)) != 0) {
            variables[kept++] = environ[i];
        }
    }
    return variables;
}

struct task_checks *task_checks_new(struct env *env, const Mesos__V1__TaskInfo *task,
                                    const char *launcher_dir,
                                    const struct task_checks_callbacks *callbacks, void *ctx)
{
    if (task->check == NULL && task->health_check == NULL) {
        return NULL;
    }
    struct task_checks *checks = mem_zalloc(sizeof(*checks));
    checks->env = env;
    checks->task = task;
    checks->launcher_dir = launcher_dir;
    checks->callbacks = *callbacks;
    checks->ctx = ctx;
    return checks;
}

struct task_checks *task_checks_free(struct task_checks *checks)
{
    if (checks != NULL) {
        checker_free(checks->check);
        checker_free(checks->health);
        arena_free(checks->arena);
        mem_free(checks->environment);
        mem_free(checks);
    }
    return NULL;
}

static void keep(struct task_checks *checks, const Mesos__V1__TaskStatus *status)
{
    struct arena *arena = arena_new(1024, 0);
    checks->last = WIRE_COPY(arena, Mesos__V1__TaskStatus, status);
    arena_free(checks->arena); // `status` may live there
    checks->arena = arena;
}

void task_checks_complete(struct task_checks *checks, Mesos__V1__TaskStatus *status)
{
    if (checks->task->check != NULL) {
        AUTO_ARENA struct arena *arena = arena_new(256, 0);
        status->check_status = check_status_empty(checks->task->check, arena);
        keep(checks, status);
        status->check_status = checks->last->check_status;
    } else {
        keep(checks, status);
    }
}

// The newest update with a change, as a new one.
static void tell(struct task_checks *checks, Mesos__V1__TaskStatus__Reason reason)
{
    checks->last->has_reason = true;
    checks->last->reason = reason;
    checks->callbacks.on_update(checks->ctx, checks->last);
}

static void on_status(void *ctx, const Mesos__V1__CheckStatusInfo *check_status)
{
    struct task_checks *checks = ctx;
    AUTO_BUF struct buf text = BUF_INIT;
    check_status_put(check_status, &text);
    log_info("Received check update '%s'", text.size > 0 ? text.data : "");
    Mesos__V1__TaskStatus status = *checks->last;
    status.check_status = (Mesos__V1__CheckStatusInfo *)check_status; // copied, never written
    keep(checks, &status);
    tell(checks, MESOS__V1__TASK_STATUS__REASON__REASON_TASK_CHECK_STATUS_UPDATED);
}

static void on_health(void *ctx, bool is_healthy, bool kills)
{
    struct task_checks *checks = ctx;
    log_info("Received task health update, healthy: %s", is_healthy ? "true" : "false");
    checks->last->has_healthy = true;
    checks->last->healthy = is_healthy;
    tell(checks, MESOS__V1__TASK_STATUS__REASON__REASON_TASK_HEALTH_CHECK_STATUS_UPDATED);
    if (kills) {
        checks->callbacks.on_unhealthy(checks->ctx);
    }
}

void task_checks_start(struct task_checks *checks)
{
    if (checks == NULL) {
        return;
    }
    checks->environment = own_environment();
    struct check_place place = {
        .env = checks->env,
        .task_id = checks->task->task_id->value,
        .launcher_dir = checks->launcher_dir,
        .environment = checks->environment,
        .output_fd = STDERR_FILENO,
        .command_ops = checks->callbacks.command_ops,
        .command_ctx = checks->ctx,
    };
    if (checks->task->check != NULL) {
        checks->check = checker_new(&place, checks->task->check, on_status, checks);
    }
    if (checks->task->health_check != NULL) {
        checks->health = checker_new_health(&place, checks->task->health_check, on_health, checks);
    }
}

void task_checks_pause(struct task_checks *checks)
{
    if (checks != NULL) {
        checker_pause(checks->check);
        checker_pause(checks->health);
    }
}

void task_checks_resume(struct task_checks *checks)
{
    if (checks != NULL && !checks->is_stopped) {
        checker_resume(checks->check);
        checker_resume(checks->health);
    }
}

void task_checks_stop(struct task_checks *checks)
{
    task_checks_pause(checks);
    if (checks != NULL) {
        checks->is_stopped = true;
    }
}

size_t task_checks_pids(const struct task_checks *checks, pid_t ret_pids[TASK_CHECKS_PIDS_MAX])
{
    size_t count = 0;
    if (checks != NULL && checker_pid(checks->check) > 0) {
        ret_pids[count++] = checker_pid(checks->check);
    }
    if (checks != NULL && checker_pid(checks->health) > 0) {
        ret_pids[count++] = checker_pid(checks->health);
    }
    return count;
}
