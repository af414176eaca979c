// SPDX-License-Identifier: Apache-2.0

#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/flags.h"
#include "base/mem.h"

struct settings {
    bool checkpoint;
    int64_t port;
    uint64_t count;
    double factor;
    char *master;
    char *secret;
    int64_t timeout;
    uint64_t size;
    bool quiet;
};

static const struct flag rows[] = {
    FLAG_ROW(struct settings, checkpoint, "checkpoint", NULL, FLAG_BOOL, "true", 0, "Keeps state."),
    FLAG_ROW(struct settings, port, "port", NULL, FLAG_INT, "5050", 0, "Where to listen."),
    FLAG_ROW(struct settings, count, "max_count", NULL, FLAG_SIZE, NULL, 0, "How many."),
    FLAG_ROW(struct settings, factor, "factor", NULL, FLAG_DOUBLE, "0.1", 0, "How much."),
    FLAG_ROW(struct settings, master, "master", "leader", FLAG_TEXT, NULL,
             FLAG_REQUIRED | FLAG_FILE, "Who leads."),
    FLAG_ROW(struct settings, secret, "secret", NULL, FLAG_TEXT, NULL, FLAG_SECRET, "Not shown."),
    FLAG_ROW(struct settings, timeout, "agent_timeout", "slave_timeout", FLAG_DURATION, "10secs", 0,
             "Patience."),
    FLAG_ROW(struct settings, size, "size", NULL, FLAG_BYTES, "2GB", 0, "Room."),
};
static const struct flag log_rows[] = {
    FLAG_ROW(struct settings, quiet, "quiet", NULL, FLAG_BOOL, "false", 0, "Says less."),
};
static const struct flag_table tables[] = {{rows, ARRAY_COUNT(rows)},
                                           {log_rows, ARRAY_COUNT(log_rows)}};

static int parse(struct settings *settings, const char *const environment[], struct error *err,
                 const char *const argv[])
{
    int argc = 0;

    while (argv[argc] != NULL)
        argc++;
    *settings = (struct settings){0};
    return flags_parse(tables, ARRAY_COUNT(tables), settings, argc, (char *const *)argv,
                       (char *const *)environment, "MESOS_", NULL, err);
}
#define PARSE(settings, environment, err, ...)                                                     \
    parse(settings, environment, err, (const char *const[]){"program", ##__VA_ARGS__, NULL})

static void release(struct settings *settings)
{
    flags_free(tables, ARRAY_COUNT(tables), settings);
}
#define AUTO_SETTINGS __attribute__((cleanup(release)))

static void defaults_fill_what_is_not_given(void **state)
{
    AUTO_SETTINGS struct settings s;

    (void)state;
    assert_int_equal(PARSE(&s, NULL, NULL, "--master=m"), FLAGS_DONE);
    assert_true(s.checkpoint);
    assert_int_equal(s.port, 5050);
    assert_int_equal(s.count, 0);
    assert_true(s.factor == 0.1);
    assert_string_equal(s.master, "m");
    assert_null(s.secret);
    assert_true(s.timeout == INT64_C(10000000000));
    assert_true(s.size == UINT64_C(2) << 30);
    assert_false(s.quiet);
}

static void values_are_converted(void **state)
{
    AUTO_SETTINGS struct settings s;

    (void)state;
    assert_int_equal(PARSE(&s, NULL, NULL, "--no-checkpoint", "--port=-1", "--Max-Count=7",
                           "--factor=2.5", "--master=a=b", "--slave_timeout=1mins", "--size=5KB",
                           "--quiet", "stray", "-x"),
                     FLAGS_DONE);
    assert_false(s.checkpoint);
    assert_int_equal(s.port, -1);
    assert_int_equal(s.count, 7);
    assert_true(s.factor == 2.5);
    assert_string_equal(s.master, "a=b");
    assert_true(s.timeout == INT64_C(60000000000));
    assert_int_equal(s.size, 5120);
    assert_true(s.quiet);
}

static void stray_words_and_all_behind_two_dashes_are_skipped(void **state)
{
    AUTO_SETTINGS struct settings s;

    (void)state;
    assert_int_equal(
        PARSE(&s, NULL, NULL, "--master=m", "Hello, World", "--", "--port=x", "--nonsense"),
        FLAGS_DONE);
    assert_int_equal(s.port, 5050);
}

static void booleans_take_several_forms(void **state)
{
    struct settings s;
    struct error err;

    (void)state;
    assert_int_equal(PARSE(&s, NULL, NULL, "--master=m", "--checkpoint=0", "--quiet="), FLAGS_DONE);
    assert_false(s.checkpoint);
    assert_true(s.quiet);
    release(&s);
    assert_int_equal(PARSE(&s, NULL, NULL, "--master=m", "--no-quiet="), FLAGS_DONE);
    assert_false(s.quiet);
    release(&s);
    assert_int_equal(PARSE(&s, NULL, &err, "--master=m", "--quiet=maybe"), -EINVAL);
    assert_string_equal(err.text, "Failed to load flag 'quiet': Failed to load value 'maybe': "
                                  "Expecting a boolean (e.g., true or false)");
    assert_int_equal(PARSE(&s, NULL, &err, "--master=m", "--no-quiet=true"), -EINVAL);
    assert_string_equal(err.text,
                        "Failed to load boolean flag 'quiet' via 'no-quiet' with value 'true'");
}

static void mistakes_are_named(void **state)
{
    static const struct {
        const char *argument, *text;
    } mistakes[] = {
        {"--nope=1", "Failed to load unknown flag 'nope'"},
        {"--no-nope", "Failed to load unknown flag 'no-nope'"},
        {"--port", "Failed to load non-boolean flag 'port': Missing value"},
        {"--no-port", "Failed to load non-boolean flag 'port' via 'no-port'"},
        {"--leader=x", "Flag 'leader' is already loaded via name 'master'"},
        {"--master=x", "Flag 'master' is already loaded via name 'master'"},
        {"--port=x",
         "Failed to load flag 'port': Failed to load value 'x': Failed to convert 'x' to number"},
        {"--secret", "Failed to load non-boolean flag 'secret': Missing value"},
        {"--master", "Flag 'master' is already loaded via name 'master'"},
    };
    struct settings s;
    struct error err;

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(mistakes); i++) {
        assert_int_equal(PARSE(&s, NULL, &err, "--master=m", mistakes[i].argument), -EINVAL);
        assert_string_equal(err.text, mistakes[i].text);
        assert_null(s.master);
    }
    assert_int_equal(PARSE(&s, NULL, &err, "--port=1"), -EINVAL);
    assert_string_equal(err.text, "Flag 'master' is required, but it was not provided");
}

static void help_and_version_come_first(void **state)
{
    struct settings s;

    (void)state;
    assert_int_equal(PARSE(&s, NULL, NULL, "--help"), FLAGS_HELP);
    assert_int_equal(PARSE(&s, NULL, NULL, "--version"), FLAGS_VERSION);
    assert_null(s.master);
}

static void the_environment_is_read_and_the_command_line_wins(void **state)
{
    const char *const environment[] = {"PATH=/bin",          "MESOS_PORT=7",  "MESOS_LEADER=env",
                                       "MESOS_UNKNOWN=x",    "MESOS_QUIET=",  "MESOS_max_count=3",
                                       "MESOS_CHECKPOINT=0", "MESOS_NOTHING", NULL};
    const char *const doubled[] = {"MESOS_LEADER=a", "MESOS_MASTER=b", NULL};
    struct settings s;
    struct error err;

    (void)state;
    assert_int_equal(PARSE(&s, environment, NULL, "--port=8"), FLAGS_DONE);
    assert_int_equal(s.port, 8);
    assert_int_equal(s.count, 3);
    assert_string_equal(s.master, "env");
    assert_true(s.quiet);
    assert_false(s.checkpoint);
    release(&s);
    assert_int_equal(PARSE(&s, environment, NULL, "--master=line"), FLAGS_DONE);
    assert_string_equal(s.master, "line");
    release(&s);
    assert_int_equal(PARSE(&s, doubled, &err), -EINVAL);
}

static void files_stand_for_values(void **state)
{
    char path[] = "/tmp/meseta-unit-XXXXXX";
    AUTO_CLOSE int fd = mkstemp(path);
    AUTO_FREE char *argument = mem_printf("--master=file://%s", path);
    AUTO_FREE char *plain = mem_printf("--secret=file://%s", path);
    AUTO_SETTINGS struct settings s;
    struct error err;

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(file_write(path, "zk://host/mesos", 15, NULL), 0);
    assert_int_equal(PARSE(&s, NULL, NULL, argument, plain), FLAGS_DONE);
    assert_string_equal(s.master, "zk://host/mesos");
    assert_string_equal(s.secret, plain + strlen("--secret="));
    release(&s);
    assert_int_equal(remove(path), 0);
    assert_int_equal(PARSE(&s, NULL, &err, argument), -ENOENT);
    assert_non_null(strstr(err.text, "No such file or directory"));
}

static void given_flags_are_told(void **state)
{
    const char *const argv[] = {"program", "--leader=m", "--quiet", NULL};
    AUTO_SETTINGS struct settings s = {0};
    AUTO_FREE bool *given = NULL;

    (void)state;
    assert_int_equal(
        flags_parse(tables, 2, &s, 3, (char *const *)argv, NULL, "MESOS_", &given, NULL),
        FLAGS_DONE);
    for (size_t i = 0; i < ARRAY_COUNT(rows) + 1; i++)
        assert_int_equal(given[i], i == 4 || i == 8);
}

static void values_are_shown_as_mesos_does(void **state)
{
    static const char *const shown[] = {"false", "5050", NULL, "0.1", "m", "***", "90secs", "2GB"};
    AUTO_SETTINGS struct settings s;

    (void)state;
    assert_int_equal(PARSE(&s, NULL, NULL, "--no-checkpoint", "--master=m", "--secret=s",
                           "--agent_timeout=1.5mins"),
                     FLAGS_DONE);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        AUTO_BUF struct buf buf = BUF_INIT;

        assert_int_equal(flag_put_value(&rows[i], &s, &buf), shown[i] != NULL);
        if (shown[i] != NULL)
            assert_string_equal(buf.data, shown[i]);
    }
}

static void help_lists_every_flag(void **state)
{
    AUTO_BUF struct buf buf = BUF_INIT;

    (void)state;
    flags_put_help(tables, ARRAY_COUNT(tables), "mesos-x", &buf);
    assert_non_null(strstr(buf.data, "Usage: mesos-x [options]\n"));
    assert_non_null(strstr(buf.data, "  --[no-]checkpoint\n      Keeps state. (default: true)\n"));
    assert_non_null(strstr(buf.data, "  --master=VALUE, --leader=VALUE\n      Who leads.\n"));
    assert_non_null(strstr(buf.data, "  --[no-]quiet\n"));
    assert_non_null(strstr(buf.data, "  --[no-]help\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_fill_what_is_not_given),
        cmocka_unit_test(values_are_converted),
        cmocka_unit_test(stray_words_and_all_behind_two_dashes_are_skipped),
        cmocka_unit_test(booleans_take_several_forms),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(help_and_version_come_first),
        cmocka_unit_test(the_environment_is_read_and_the_command_line_wins),
        cmocka_unit_test(files_stand_for_values),
        cmocka_unit_test(given_flags_are_told),
        cmocka_unit_test(values_are_shown_as_mesos_does),
        cmocka_unit_test(help_lists_every_flag),
    };

    return cmocka_run_group_tests_name("base-flags", tests, NULL, NULL);
}
