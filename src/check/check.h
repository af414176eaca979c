// SPDX-License-Identifier: Apache-2.0
//
// Checks and health checks of a task. A checker looks at it again and again: a command's exit
// status, the status of an HTTP answer, whether a TCP connection comes about.

#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "env/env.h"
#include "proto/mesos.pb-c.h"

struct checker;

// Runs command checks elsewhere than as a child of this process. After a start that succeeded one
// checker_command_ended is to follow, unless `stop` was called; none may come within `start`.
struct check_command_ops {
    int (*start)(void *ctx, struct checker *checker, const Mesos__V1__CommandInfo *command,
                 struct error *err);
    void (*stop)(void *ctx, struct checker *checker);
};

// Where the task is. All is copied but `environment`, `command_ops` and `command_ctx`, which stay
// valid as long as the checker.
struct check_place {
    struct env *env;
    const char *task_id;                         // for the log
    const char *launcher_dir;                    // absolute; where mesos-http-check is
    char *const *environment;                    // of command checks: "NAME=value", NULL-terminated
    int output_fd;                               // what command checks write goes there
    const struct check_command_ops *command_ops; // NULL: children of this process
    void *command_ctx;
};

// A check's status has changed. The message is valid during the call; after a check that failed it
// names only the type.
typedef void checker_status_fn(void *ctx, const Mesos__V1__CheckStatusInfo *status);
// The task is healthy now, or once more it is not; `kills`: as often as it is allowed to.
typedef void checker_health_fn(void *ctx, bool is_healthy, bool kills);

// The first look follows after the check's delay. The message was validated (model/validate.h), and
// is copied. Callbacks come from the loop.
struct checker *checker_new(const struct check_place *place, const Mesos__V1__CheckInfo *check,
                            checker_status_fn *on_status, void *ctx);
struct checker *checker_new_health(const struct check_place *place,
                                   const Mesos__V1__HealthCheck *check,
                                   checker_health_fn *on_health, void *ctx);
// Not from within a callback. NULL is fine; returns NULL.
struct checker *checker_free(struct checker *checker);

// Looks no more, ends what is under way and tells nothing, until checker_resume, which looks at
// once. Both are fine from within a callback, more than once, and for NULL.
void checker_pause(struct checker *checker);
void checker_resume(struct checker *checker);

// The child that works for it at the moment, whose status it waits for; 0: none. For NULL, too.
pid_t checker_pid(const struct checker *checker);

// The answer to check_command_ops.start. `status` is waitpid's. With a negative `code` there is
// none: -EAGAIN, when nothing is known and the look does not count, or else a failure.
void checker_command_ended(struct checker *checker, int code, int status, const char *text);

// A check's status of which nothing is known yet: type and an empty body, as each update of such a
// task must have it. All in `arena`.
Mesos__V1__CheckStatusInfo *check_status_empty(const Mesos__V1__CheckInfo *check,
                                               struct arena *arena);
// "HTTP status code 200".
void check_status_put(const Mesos__V1__CheckStatusInfo *status, struct buf *out);
