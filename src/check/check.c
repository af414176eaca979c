// SPDX-License-Identifier: Apache-2.0
//
// What results mean. A check tells when its status changes. A health check takes exit status 0,
// HTTP 200 to 399, and a connection for health; it tells of each failure, and of the first success
// and of those after failures. Failures within the grace period do not count until the first
// success.

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "check/internal.h"
#include "wire/wire.h"

#define NS_MAX_SECONDS 9.0e9 // what fits into 64 bits

static int64_t to_ns(double seconds)
{
    return seconds > 0 && seconds < NS_MAX_SECONDS ? (int64_t)(seconds * (double)NS_PER_S)
           : seconds > 0                           ? INT64_MAX
                                                   : 0;
}

// An interval that never passes is as good as a very long one; timers add it to `now`.
static int64_t to_delay_ns(double seconds)
{
    int64_t ns = to_ns(seconds);
    return ns < INT64_MAX / 4 ? ns : INT64_MAX / 4;
}

// ---- making ----

static struct checker *make(const struct check_place *place, int type, const char *kind)
{
    struct checker *checker = mem_zalloc(sizeof(*checker));
    checker->magic = CHECKER_MAGIC;
    checker->arena = arena_new(0, 0);
    checker->place = *place;
    checker->place.task_id = arena_strdup(checker->arena, place->task_id);
    checker->place.launcher_dir = arena_strdup(checker->arena, place->launcher_dir);
    // The types of checks and health checks have the same numbers.
    checker->type = (Mesos__V1__CheckInfo__Type)type;
    const char *name = wire_enum_name(&mesos__v1__check_info__type__descriptor, type);
    checker->name = arena_printf(checker->arena, "%s %s", name, kind);
    return checker;
}

static void set_times(struct checker *checker, double delay, double interval, double timeout)
{
    checker->delay_ns = to_delay_ns(delay);
    checker->interval_ns = to_delay_ns(interval);
    int64_t timeout_ns = to_ns(timeout);
    checker->timeout_ns =
        timeout_ns > 0 && timeout_ns < INT64_MAX / 4 ? timeout_ns : INT64_MAX; // 0: none
}

static void set_url(struct checker *checker, const char *scheme, bool is_ipv6, uint32_t port,
                    const char *path)
{
    checker->url =
        arena_printf(checker->arena, "%s://%s:%u%s", scheme != NULL ? scheme : "http",
                     is_ipv6 ? "[::1]" : "127.0.0.1", (unsigned)port, path != NULL ? path : "");
}

static void set_address(struct checker *checker, bool is_ipv6, uint32_t port)
{
    if (is_ipv6) {
        CHECK(uv_ip6_addr("::1", (int)port, (struct sockaddr_in6 *)&checker->address) == 0);
    } else {
        CHECK(uv_ip4_addr("127.0.0.1", (int)port, (struct sockaddr_in *)&checker->address) == 0);
    }
}

// ---- checks ----

Mesos__V1__CheckStatusInfo *check_status_empty(const Mesos__V1__CheckInfo *check,
                                               struct arena *arena)
{
    Mesos__V1__CheckStatusInfo *status =
        WIRE_NEW(arena, Mesos__V1__CheckStatusInfo, mesos__v1__check_status_info);
    status->has_type = true;
    status->type = check->type;
    switch (check->type) {
    case MESOS__V1__CHECK_INFO__TYPE__COMMAND:
        status->command = WIRE_NEW(arena, Mesos__V1__CheckStatusInfo__Command,
                                   mesos__v1__check_status_info__command);
        break;
    case MESOS__V1__CHECK_INFO__TYPE__HTTP:
        status->http =
            WIRE_NEW(arena, Mesos__V1__CheckStatusInfo__Http, mesos__v1__check_status_info__http);
        break;
    default:
        status->tcp =
            WIRE_NEW(arena, Mesos__V1__CheckStatusInfo__Tcp, mesos__v1__check_status_info__tcp);
        break;
    }
    return status;
}

void check_status_put(const Mesos__V1__CheckStatusInfo *status, struct buf *out)
{
    if (status->command != NULL) {
        buf_puts(out, "COMMAND");
        if (status->command->has_exit_code) {
            buf_printf(out, " exit code %d", status->command->exit_code);
        }
    } else if (status->http != NULL) {
        buf_puts(out, "HTTP");
        if (status->http->has_status_code) {
            buf_printf(out, " status code %u", (unsigned)status->http->status_code);
        }
    } else if (status->tcp != NULL) {
        buf_puts(out, "TCP");
        if (status->tcp->has_succeeded) {
            buf_puts(out, status->tcp->succeeded ? " connection success" : " connection failure");
        }
    }
}

static void tell_status(struct checker *checker, bool is_known, int value)
{
    AUTO_ARENA struct arena *arena = arena_new(512, 0);
    Mesos__V1__CheckInfo check = MESOS__V1__CHECK_INFO__INIT;
    check.type = checker->type;
    Mesos__V1__CheckStatusInfo *status = check_status_empty(&check, arena);
    if (is_known && status->command != NULL) {
        status->command->has_exit_code = true;
        status->command->exit_code = value;
    } else if (is_known && status->http != NULL) {
        status->http->has_status_code = true;
        status->http->status_code = (uint32_t)value;
    } else if (is_known) {
        status->tcp->has_succeeded = true;
        status->tcp->succeeded = value != 0;
    }
    checker->on_status(checker->ctx, status);
}

static void on_check_result(struct checker *checker, const struct probe_result *result)
{
    bool is_known = result->outcome == PROBE_SUCCEEDED;
    if (!is_known) {
        log_warning("%s for task '%s' failed: %s", checker->name, checker->place.task_id,
                    result->text);
    }
    if (is_known == checker->was_known && (!is_known || result->value == checker->last_value)) {
        return;
    }
    checker->was_known = is_known;
    checker->last_value = result->value;
    tell_status(checker, is_known, result->value);
}

struct checker *checker_new(const struct check_place *place, const Mesos__V1__CheckInfo *check,
                            checker_status_fn *on_status, void *ctx)
{
    struct checker *checker = make(place, (int)check->type, "check");
    set_times(checker, check->delay_seconds, check->interval_seconds, check->timeout_seconds);
    if (check->type == MESOS__V1__CHECK_INFO__TYPE__COMMAND) {
        checker->command =
            WIRE_COPY(checker->arena, Mesos__V1__CommandInfo, check->command->command);
    } else if (check->type == MESOS__V1__CHECK_INFO__TYPE__HTTP) {
        set_url(checker, NULL, false, check->http->port, check->http->path);
    } else {
        set_address(checker, false, check->tcp->port);
    }
    checker->on_result = on_check_result;
    checker->on_status = on_status;
    checker->ctx = ctx;
    checker_start(checker);
    return checker;
}

// ---- health checks ----

// False with a text.
static bool is_well(const struct checker *checker, const struct probe_result *result,
                    char text[CHECK_TEXT_SIZE])
{
    text[0] = '\0';
    if (result->outcome != PROBE_SUCCEEDED) {
        snprintf(text, CHECK_TEXT_SIZE, "%s", result->text);
    } else if (checker->type == MESOS__V1__CHECK_INFO__TYPE__COMMAND && result->value != 0) {
        snprintf(text, CHECK_TEXT_SIZE, "Command exited with status %d", result->value);
    } else if (checker->type == MESOS__V1__CHECK_INFO__TYPE__HTTP &&
               (result->value < 200 || result->value >= 400)) {
        snprintf(text, CHECK_TEXT_SIZE, "Unexpected HTTP response code: %d", result->value);
    } else if (checker->type == MESOS__V1__CHECK_INFO__TYPE__TCP && result->value == 0) {
        snprintf(text, CHECK_TEXT_SIZE, "TCP connection failed");
    }
    return text[0] == '\0';
}

static void on_failure(struct checker *checker, const char *text)
{
    log_warning("%s for task '%s' failed: %s", checker->name, checker->place.task_id, text);
    int64_t age = env_now(checker->place.env).mono - checker->start;
    if (!checker->was_healthy && checker->grace_ns > 0 && age <= checker->grace_ns) {
        log_info("Ignoring failure of %s for task '%s': still in grace period", checker->name,
                 checker->place.task_id);
        return;
    }
    checker->failures++;
    log_warning("%s for task '%s' failed %u times consecutively", checker->name,
                checker->place.task_id, checker->failures);
    checker->on_health(checker->ctx, false, checker->failures >= checker->failures_max);
}

static void on_health_result(struct checker *checker, const struct probe_result *result)
{
    char text[CHECK_TEXT_SIZE];
    if (!is_well(checker, result, text)) {
        on_failure(checker, text);
        return;
    }
    bool is_new = !checker->was_healthy || checker->failures > 0;
    checker->was_healthy = true;
    checker->failures = 0;
    if (is_new) {
        checker->on_health(checker->ctx, true, false);
    }
}

struct checker *checker_new_health(const struct check_place *place,
                                   const Mesos__V1__HealthCheck *check,
                                   checker_health_fn *on_health, void *ctx)
{
    struct checker *checker = make(place, (int)check->type, "health check");
    set_times(checker, check->delay_seconds, check->interval_seconds, check->timeout_seconds);
    const Mesos__V1__NetworkInfo__Protocol ipv6 = MESOS__V1__NETWORK_INFO__PROTOCOL__IPv6;
    if (check->type == MESOS__V1__HEALTH_CHECK__TYPE__COMMAND) {
        checker->command = WIRE_COPY(checker->arena, Mesos__V1__CommandInfo, check->command);
    } else if (check->type == MESOS__V1__HEALTH_CHECK__TYPE__HTTP) {
        set_url(checker, check->http->scheme, check->http->protocol == ipv6, check->http->port,
                check->http->path);
    } else {
        set_address(checker, check->tcp->protocol == ipv6, check->tcp->port);
    }
    checker->grace_ns = to_ns(check->grace_period_seconds);
    checker->failures_max = check->consecutive_failures;
    checker->on_result = on_health_result;
    checker->on_health = on_health;
    checker->ctx = ctx;
    checker_start(checker);
    return checker;
}
