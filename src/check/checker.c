// SPDX-License-Identifier: Apache-2.0
//
// The rhythm of a checker: after the delay, and then an interval after each result, one probe. A
// probe that takes longer than the timeout is stopped and has failed.

#include <stdio.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "check/internal.h"

static void stop_probe(struct checker *checker)
{
    switch (checker->type) {
    case MESOS__V1__CHECK_INFO__TYPE__COMMAND:
        probe_command_stop(checker);
        break;
    case MESOS__V1__CHECK_INFO__TYPE__HTTP:
        probe_http_stop(checker);
        break;
    default:
        probe_tcp_stop(checker);
        break;
    }
}

static int start_probe(struct checker *checker, struct error *err)
{
    switch (checker->type) {
    case MESOS__V1__CHECK_INFO__TYPE__COMMAND:
        return probe_command_start(checker, err);
    case MESOS__V1__CHECK_INFO__TYPE__HTTP:
        return probe_http_start(checker, err);
    default:
        return probe_tcp_start(checker, err);
    }
}

static void wait(struct checker *checker, int64_t delay_ns)
{
    checker->state = CHECKER_WAITING;
    env_timer_set(checker->place.env, &checker->timer, delay_ns);
}

void checker_finish(struct checker *checker, const struct probe_result *result)
{
    CHECK(checker->state == CHECKER_PROBING);
    env_timer_cancel(checker->place.env, &checker->timer);
    wait(checker, checker->interval_ns);
    if (result->outcome == PROBE_UNAVAILABLE) {
        log_info("%s for task '%s' is not available", checker->name, checker->place.task_id);
        return;
    }
    checker->on_result(checker, result);
}

static void give_up(struct checker *checker)
{
    stop_probe(checker);
    struct probe_result result = {.outcome = PROBE_FAILED};
    AUTO_BUF struct buf timeout = BUF_INIT;
    text_put_duration(&timeout, checker->timeout_ns);
    snprintf(result.text, sizeof(result.text), "%s timed out after %s",
             checker->type == MESOS__V1__CHECK_INFO__TYPE__COMMAND ? "Command" : "It",
             timeout.data);
    checker_finish(checker, &result);
}

static void look(struct checker *checker)
{
    checker->state = CHECKER_PROBING;
    struct error err = {0};
    int r = start_probe(checker, &err);
    if (r < 0) {
        struct probe_result result = {.outcome = PROBE_FAILED};
        snprintf(result.text, sizeof(result.text), "%s", err.text);
        checker_finish(checker, &result);
    } else if (checker->timeout_ns != INT64_MAX) {
        env_timer_set(checker->place.env, &checker->timer, checker->timeout_ns);
    }
}

static void run_timer(struct timer *timer, struct instant now)
{
    (void)now;
    struct checker *checker = CONTAINER_OF(timer, struct checker, timer);
    CHECK(checker->magic == CHECKER_MAGIC && checker->state != CHECKER_PAUSED);
    if (checker->state == CHECKER_WAITING) {
        look(checker);
    } else {
        give_up(checker);
    }
}

void checker_start(struct checker *checker)
{
    checker->output_fd = -1;
    checker->timer.run = run_timer;
    checker->start = env_now(checker->place.env).mono;
    wait(checker, checker->delay_ns);
}

void checker_pause(struct checker *checker)
{
    if (checker == NULL || checker->state == CHECKER_PAUSED) {
        return;
    }
    env_timer_cancel(checker->place.env, &checker->timer);
    if (checker->state == CHECKER_PROBING) {
        stop_probe(checker);
    }
    checker->state = CHECKER_PAUSED;
}

void checker_resume(struct checker *checker)
{
    if (checker != NULL && checker->state == CHECKER_PAUSED) {
        wait(checker, 0);
    }
}

struct checker *checker_free(struct checker *checker)
{
    if (checker != NULL) {
        CHECK(checker->magic == CHECKER_MAGIC);
        checker_pause(checker);
        checker->magic = 0;
        arena_free(checker->arena);
        mem_free(checker);
    }
    return NULL;
}

pid_t checker_pid(const struct checker *checker)
{
    return checker != NULL && checker->child != NULL ? checker->pid : 0;
}
