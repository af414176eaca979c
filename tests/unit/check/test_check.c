// SPDX-License-Identifier: Apache-2.0
//
// Checkers on a real loop. Commands run "elsewhere": the test says how each of them ends, so that
// nothing depends on time. Also real children, and a port.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"
#include "check/check.h"
#include "check/command.h"
#include "wire/wire.h"

struct world {
    struct env *env;
    struct arena *arena;
    struct checker *checker;
    struct buf trace;   // what was told
    const char *script; // ends of the commands, one letter each; see end_next
    struct timer end;   // the command under way ends
    unsigned started, stopped;
    bool pauses; // when the checker tells something
};

static char *no_variables[] = {NULL};

static int setup(void **state)
{
    struct world *w = mem_zalloc(sizeof(*w));
    struct error err;
    assert_int_equal(env_new(&w->env, &err), 0);
    w->arena = arena_new(0, 0);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    checker_free(w->checker);
    env_timer_cancel(w->env, &w->end);
    env_free(w->env);
    arena_free(w->arena);
    buf_free(&w->trace);
    mem_free(w);
    return 0;
}

// 0-9: exits with that; k: killed by a signal; t: it takes too long; u: nobody knows; f: a failure
// that is told; n: it does not start. At the end of the script the world stops.
static void end_next(struct timer *timer, struct instant now)
{
    (void)now;
    struct world *w = CONTAINER_OF(timer, struct world, end);
    char letter = *w->script++;
    if (letter >= '0' && letter <= '9') {
        checker_command_ended(w->checker, 0, (letter - '0') << 8, NULL);
    } else if (letter == 'k') {
        checker_command_ended(w->checker, 0, 9, NULL);
    } else {
        checker_command_ended(w->checker, letter == 'u' ? -EAGAIN : -EIO, 0, "as the script says");
    }
}

static int start(void *ctx, struct checker *checker, const Mesos__V1__CommandInfo *command,
                 struct error *err)
{
    struct world *w = ctx;
    assert_ptr_equal(checker, w->checker);
    assert_string_equal(command->value, "look");
    w->started++;
    if (*w->script == '\0') {
        env_stop(w->env, 0);
        return 0;
    }
    if (*w->script == 'n') {
        w->script++;
        return error_set(err, -ENOENT, "no such program");
    }
    if (*w->script != 't') {
        w->end.run = end_next;
        env_timer_set(w->env, &w->end, 0);
    }
    return 0;
}

static void stop(void *ctx, struct checker *checker)
{
    struct world *w = ctx;
    assert_ptr_equal(checker, w->checker);
    w->stopped++;
    env_timer_cancel(w->env, &w->end);
    if (*w->script == 't') {
        w->script++;
    }
}

static struct check_place place_of(struct world *w)
{
    static const struct check_command_ops ops = {.start = start, .stop = stop};
    return (struct check_place){
        .env = w->env,
        .task_id = "t1",
        .launcher_dir = "/nowhere",
        .environment = no_variables,
        .output_fd = STDERR_FILENO,
        .command_ops = &ops,
        .command_ctx = w,
    };
}

static void on_status(void *ctx, const Mesos__V1__CheckStatusInfo *status)
{
    struct world *w = ctx;
    if (status->command != NULL && status->command->has_exit_code) {
        buf_printf(&w->trace, "%d ", status->command->exit_code);
    } else if (status->tcp != NULL && status->tcp->has_succeeded) {
        buf_puts(&w->trace, status->tcp->succeeded ? "open " : "closed ");
    } else {
        buf_puts(&w->trace, "unknown ");
    }
    if (w->pauses) {
        checker_pause(w->checker);
        env_stop(w->env, 0);
    }
}

static void on_health(void *ctx, bool is_healthy, bool kills)
{
    struct world *w = ctx;
    buf_puts(&w->trace, kills ? "kill " : is_healthy ? "well " : "ill ");
    if (kills) {
        checker_pause(w->checker);
        env_stop(w->env, 0);
    }
}

static const char *trace(struct world *w)
{
    return w->trace.size > 0 ? w->trace.data : "";
}

// `json` without interval and delay, which are 0.
static const char *check(struct world *w, const char *script, const char *json)
{
    ProtobufCMessage *message;
    const char *text =
        arena_printf(w->arena, "{\"delay_seconds\":0,\"interval_seconds\":0,%s}", json);
    assert_int_equal(wire_json_decode(&mesos__v1__check_info__descriptor, w->arena, text,
                                      strlen(text), &message, NULL),
                     0);
    struct check_place place = place_of(w);
    w->script = script;
    w->checker = checker_new(&place, (void *)message, on_status, w);
    env_run(w->env);
    return trace(w);
}

static const char *health(struct world *w, const char *script, const char *json)
{
    ProtobufCMessage *message;
    const char *text = arena_printf(w->arena,
                                    "{\"type\":\"COMMAND\",\"command\":{\"value\":\"look\"},"
                                    "\"delay_seconds\":0,\"interval_seconds\":0,%s}",
                                    json);
    assert_int_equal(wire_json_decode(&mesos__v1__health_check__descriptor, w->arena, text,
                                      strlen(text), &message, NULL),
                     0);
    struct check_place place = place_of(w);
    w->script = script;
    w->checker = checker_new_health(&place, (void *)message, on_health, w);
    env_run(w->env);
    return trace(w);
}

#define COMMAND "\"type\":\"COMMAND\",\"command\":{\"command\":{\"value\":\"look\"}}"

// Only changes are told; a look that fails makes the status unknown, one that does not count
// nothing.
static void test_changes(void **state)
{
    assert_string_equal(check(*state, "000330uu0kk0ffn0", COMMAND), "0 3 0 unknown 0 unknown 0 ");
}

static void test_unknown_from_the_start(void **state)
{
    assert_string_equal(check(*state, "kfn7", COMMAND), "7 ");
}

static void test_timeout(void **state)
{
    struct world *w = *state;
    assert_string_equal(check(w, "1t1", COMMAND ",\"timeout_seconds\":0.01"), "1 unknown 1 ");
    assert_int_equal(w->stopped, 1);
}

static void test_pause_and_resume(void **state)
{
    struct world *w = *state;
    w->pauses = true;
    assert_string_equal(check(w, "22223", COMMAND), "2 ");
    assert_int_equal(w->started, 1);
    w->pauses = false;
    checker_pause(w->checker);
    checker_resume(w->checker);
    checker_resume(w->checker);
    env_run(w->env);
    assert_string_equal(trace(w), "2 3 ");
    // The one under way when the script ended is stopped.
    checker_pause(w->checker);
    assert_int_equal(w->stopped, 1);
}

static void test_failures_kill(void **state)
{
    assert_string_equal(health(*state, "1k0010",
                               "\"consecutive_failures\":3,"
                               "\"grace_period_seconds\":0"),
                        "ill ill well ill well ");
}

static void test_kill(void **state)
{
    struct world *w = *state;
    assert_string_equal(health(w, "0f1n00000",
                               "\"consecutive_failures\":3,"
                               "\"grace_period_seconds\":0"),
                        "well ill ill kill ");
    assert_int_equal(w->started, 4);
}

static void test_first_failure_kills(void **state)
{
    assert_string_equal(
        health(*state, "u1", "\"consecutive_failures\":1,\"grace_period_seconds\":0"), "kill ");
}

// Until the first success.
static void test_grace_period(void **state)
{
    assert_string_equal(
        health(*state, "1111011", "\"consecutive_failures\":2,\"grace_period_seconds\":1000"),
        "well ill kill ");
}

static void test_grace_period_ends(void **state)
{
    assert_string_equal(health(*state, "t111",
                               "\"consecutive_failures\":2,\"grace_period_seconds\":0.001,"
                               "\"timeout_seconds\":0.05"),
                        "ill kill ");
}

static void test_huge_times(void **state)
{
    assert_string_equal(check(*state, "4", COMMAND ",\"timeout_seconds\":1e300"), "4 ");
}

// ---- real ones ----

static void test_tcp(void **state)
{
    struct world *w = *state;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    const char *json =
        arena_printf(w->arena, "\"type\":\"TCP\",\"tcp\":{\"port\":%d}", ntohs(address.sin_port));
    w->pauses = true;
    assert_string_equal(check(w, "", json), "closed ");
    assert_int_equal(listen(listener, 1), 0);
    checker_resume(w->checker);
    env_run(w->env);
    assert_string_equal(trace(w), "closed open ");
    close(listener);
}

static void test_child(void **state)
{
    struct world *w = *state;
    char *variables[] = {(char *)"KEPT=1", (char *)"CHANGED=1", NULL};
    struct check_place place = place_of(w);
    place.command_ops = NULL;
    place.environment = variables;
    Mesos__V1__Environment__Variable one = MESOS__V1__ENVIRONMENT__VARIABLE__INIT;
    one.name = (char *)"CHANGED";
    one.value = (char *)"2";
    Mesos__V1__Environment__Variable *list[] = {&one};
    Mesos__V1__Environment environment = MESOS__V1__ENVIRONMENT__INIT;
    environment.n_variables = 1;
    environment.variables = list;
    Mesos__V1__CommandInfo command = MESOS__V1__COMMAND_INFO__INIT;
    command.value = (char *)"exit $((KEPT * 10 + CHANGED))";
    command.environment = &environment;
    Mesos__V1__CheckInfo__Command body = MESOS__V1__CHECK_INFO__COMMAND__INIT;
    body.command = &command;
    Mesos__V1__CheckInfo info = MESOS__V1__CHECK_INFO__INIT;
    info.type = MESOS__V1__CHECK_INFO__TYPE__COMMAND;
    info.command = &body;
    info.delay_seconds = 0;
    w->pauses = true;
    w->checker = checker_new(&place, &info, on_status, w);
    assert_int_equal(checker_pid(w->checker), 0);
    env_run(w->env);
    assert_string_equal(trace(w), "12 ");
}

// There is no mesos-http-check in that directory: a failure, not an end.
static void test_http_without_helper(void **state)
{
    struct world *w = *state;
    const char *json = "\"type\":\"HTTP\",\"http\":{\"port\":80}";
    ProtobufCMessage *message;
    const char *text = arena_printf(w->arena,
                                    "{\"delay_seconds\":0,\"consecutive_failures\":1,"
                                    "\"grace_period_seconds\":0,%s}",
                                    json);
    assert_int_equal(wire_json_decode(&mesos__v1__health_check__descriptor, w->arena, text,
                                      strlen(text), &message, NULL),
                     0);
    struct check_place place = place_of(w);
    w->checker = checker_new_health(&place, (void *)message, on_health, w);
    env_run(w->env);
    assert_string_equal(trace(w), "kill ");
}

static void test_find_program(void **state)
{
    (void)state;
    char *file = NULL;
    struct error err;
    assert_int_equal(command_find_program("sh", "/nowhere:/bin", &file, NULL), 0);
    assert_string_equal(file, "/bin/sh");
    mem_free(file);
    assert_int_equal(command_find_program("sh", "/nowhere", &file, &err), -ENOENT);
    assert_int_equal(command_find_program("passwd", "/etc", &file, &err), -EACCES);
    assert_int_equal(command_find_program("a/b", NULL, &file, &err), 0);
    assert_true(file[0] == '/' && strcmp(file + strlen(file) - 4, "/a/b") == 0);
    mem_free(file);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_changes),
        TEST(test_unknown_from_the_start),
        TEST(test_timeout),
        TEST(test_pause_and_resume),
        TEST(test_failures_kill),
        TEST(test_kill),
        TEST(test_first_failure_kills),
        TEST(test_grace_period),
        TEST(test_grace_period_ends),
        TEST(test_huge_times),
        TEST(test_tcp),
        TEST(test_child),
        TEST(test_http_without_helper),
        TEST(test_find_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
