// SPDX-License-Identifier: Apache-2.0
//
// The command line's words, the table that they are read by, and what comes from it.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "cli/cli.h"

enum { WORDS_MAX = 16 };

struct parsed {
    struct cli cli;
    char *words[WORDS_MAX + 2];
    int result;
    bool wants_help;
    struct error err;
};

// Reads a line as a shell does: blanks between words, '...' around one; redirections and pipes end
// it.
static void parse(struct parsed *p, const char *line)
{
    memset(p, 0, sizeof(*p));
    p->cli.arena = arena_new(0, 0);
    char *at = arena_strdup(p->cli.arena, line);
    int count = 0;
    p->words[count++] = arena_strdup(p->cli.arena, "mesos");
    while (*at != '\0' && count < WORDS_MAX) {
        at += strspn(at, " ");
        if (*at == '\0' || strchr("<>|", *at) != NULL) {
            break;
        }
        AUTO_BUF struct buf word = BUF_INIT;
        for (bool is_quoted = false; *at != '\0' && (is_quoted || *at != ' '); at++) {
            if (*at == '\'') {
                is_quoted = !is_quoted;
            } else {
                buf_putc(&word, *at);
            }
        }
        p->words[count++] = arena_strdup(p->cli.arena, word.size > 0 ? word.data : "");
    }
    p->result = cli_parse(&p->cli, count, p->words, &p->wants_help, &p->err);
}

static void end(struct parsed *p)
{
    arena_free(p->cli.arena);
}

static void fails(const char *line, const char *text)
{
    struct parsed p;
    parse(&p, line);
    assert_int_equal(p.result, CLI_ERROR_USAGE);
    assert_string_equal(p.err.text, text);
    end(&p);
}

static void lines_are_read(void **state)
{
    (void)state;
    struct parsed p;
    parse(&p, "task logs -fn 20 web.5 --framework=F -m h:1");
    assert_int_equal(p.result, 0);
    assert_ptr_equal(p.cli.command->run, cli_task_logs);
    assert_string_equal(p.cli.words[0], "web.5");
    assert_int_equal(p.cli.word_count, 1);
    assert_string_equal(cli_flag_value(&p.cli, "lines"), "20");
    assert_string_equal(cli_flag_value(&p.cli, "framework"), "F");
    assert_true(cli_has_flag(&p.cli, "follow"));
    assert_false(cli_has_flag(&p.cli, "stderr"));
    assert_string_equal(p.cli.master, "h:1");
    end(&p);
    parse(&p, "--master zk://a/b agent -o json list -q");
    assert_int_equal(p.result, 0);
    assert_ptr_equal(p.cli.command->run, cli_agent_list);
    assert_int_equal(p.cli.output, CLI_JSON);
    assert_true(p.cli.ids_only);
    end(&p);
    // "--" ends the flags.
    parse(&p, "task info -- -odd");
    assert_int_equal(p.result, 0);
    assert_string_equal(p.cli.words[0], "-odd");
    end(&p);
}

static void what_follows_a_task_is_the_commands(void **state)
{
    (void)state;
    static const char *const lines[] = {"task exec -it web.5 ls -l --help",
                                        "task exec -i -t web.5 -- ls -l --help"};
    for (size_t i = 0; i < ARRAY_COUNT(lines); i++) {
        struct parsed p;
        parse(&p, lines[i]);
        assert_int_equal(p.result, 0);
        assert_false(p.wants_help);
        assert_int_equal(p.cli.word_count, 4);
        assert_string_equal(p.cli.words[1], "ls");
        assert_string_equal(p.cli.words[2], "-l");
        assert_string_equal(p.cli.words[3], "--help");
        assert_true(cli_has_flag(&p.cli, "interactive"));
        assert_true(cli_has_flag(&p.cli, "tty"));
        end(&p);
    }
}

static void help_is_asked_for(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "", "--help", "agent", "agent -h", "task exec --help", "task logs --help", "agent info -h"};
    for (size_t i = 0; i < ARRAY_COUNT(lines); i++) {
        struct parsed p;
        parse(&p, lines[i]);
        assert_int_equal(p.result, 0);
        assert_true(p.wants_help);
        end(&p);
    }
}

static void bad_lines_are_named(void **state)
{
    (void)state;
    fails("nonsense", "There is no command `mesos nonsense`");
    fails("agent nonsense", "There is no command `mesos agent nonsense`");
    fails("agent info", "`mesos agent info` wants AGENT");
    fails("agent info a b", "`mesos agent info` does not take 'b'");
    fails("agent info ''", "`mesos agent info`: a word is empty");
    fails("agent list --grace=1", "`mesos agent list` has no flag '--grace'");
    fails("agent list -x", "`mesos agent list` has no flag '-x'");
    fails("agent list --quiet=yes", "--quiet takes no value");
    fails("agent list -o", "-o wants a value: FORMAT");
    fails("agent list --output", "--output wants a value: FORMAT");
    fails("agent list -o yaml", "--output: 'yaml' is none of: table json");
    fails("agent list -o json -o table", "--output is given twice");
    fails("agent drain --grace= S1", "--grace: its value is empty");
    fails("task logs -n 1 --lines=2 t", "--lines is given twice");
    fails("task logs -o json t", "`mesos task logs` has no flag '-o'");
    fails("task list --state=bad", "--state: 'bad' is none of: staging starting running killing "
                                   "finished failed killed error lost dropped unreachable gone "
                                   "gone_by_operator unknown");
    fails("completion tcsh", "SHELL: 'tcsh' is none of: bash zsh fish");
    fails("--bogus", "`mesos` has no flag '--bogus'");
    fails("task exec web.5", "`mesos task exec` wants COMMAND");
}

// ---- the table ----

static size_t flag_count(const struct cli_command *command)
{
    size_t count = 0;
    while (count < CLI_FLAGS_MAX && command->flags[count].name != NULL) {
        count++;
    }
    return count;
}

static void names_and_letters_are_unique(void **state)
{
    (void)state;
    for (size_t i = 0; i < cli_command_count; i++) {
        const struct cli_command *command = &cli_commands[i];
        assert_ptr_equal(cli_command_find(command->group, command->name), command);
        assert_true(command->group == NULL || cli_group_exists(command->group));
        assert_false(command->group == NULL && cli_group_exists(command->name));
        size_t count = flag_count(command);
        assert_true(count < CLI_FLAGS_MAX);
        for (size_t f = 0; f < count; f++) {
            const struct cli_flag *flag = &command->flags[f];
            for (size_t g = 0; g < f; g++) {
                assert_string_not_equal(flag->name, command->flags[g].name);
                assert_true(flag->letter == 0 || flag->letter != command->flags[g].letter);
            }
            for (const struct cli_flag *other = cli_global_flags; other->name != NULL; other++) {
                assert_string_not_equal(flag->name, other->name);
                assert_true(flag->letter != other->letter);
            }
        }
    }
}

static void examples_are_good_lines(void **state)
{
    (void)state;
    for (size_t i = 0; i < cli_command_count; i++) {
        const struct cli_command *command = &cli_commands[i];
        assert_non_null(command->examples[0].command);
        for (size_t e = 0; e < CLI_EXAMPLES_MAX && command->examples[e].command != NULL; e++) {
            struct parsed p;
            parse(&p, command->examples[e].command);
            if (p.result != 0) {
                fail_msg("mesos %s: %s", command->examples[e].command, p.err.text);
            }
            assert_ptr_equal(p.cli.command, command);
            end(&p);
        }
    }
}

static void help_names_all(void **state)
{
    (void)state;
    static const unsigned widths[] = {0, 40, 80, 160};
    for (size_t i = 0; i < cli_command_count; i++) {
        for (size_t w = 0; w < ARRAY_COUNT(widths); w++) {
            AUTO_BUF struct buf out = BUF_INIT;
            cli_put_help(&cli_commands[i], widths[w], &out);
            assert_non_null(strstr(out.data, "Usage: mesos "));
            assert_non_null(strstr(out.data, "Examples:\n"));
            for (size_t f = 0; f < flag_count(&cli_commands[i]); f++) {
                assert_non_null(strstr(out.data, cli_commands[i].flags[f].name));
            }
        }
    }
    AUTO_BUF struct buf out = BUF_INIT;
    cli_put_overview(NULL, 0, &out);
    for (size_t i = 0; i < cli_command_count; i++) {
        assert_non_null(strstr(out.data, cli_commands[i].summary));
    }
}

static void completion_names_all(void **state)
{
    (void)state;
    static const char *const shells[] = {"bash", "zsh", "fish"};
    for (size_t s = 0; s < ARRAY_COUNT(shells); s++) {
        AUTO_BUF struct buf out = BUF_INIT;
        assert_int_equal(cli_put_completion(shells[s], &out, NULL), 0);
        for (size_t i = 0; i < cli_command_count; i++) {
            assert_non_null(strstr(out.data, cli_commands[i].name));
            for (size_t f = 0; f < flag_count(&cli_commands[i]); f++) {
                assert_non_null(strstr(out.data, cli_commands[i].flags[f].name));
            }
        }
    }
    struct error err;
    AUTO_BUF struct buf out = BUF_INIT;
    assert_int_equal(cli_put_completion("tcsh", &out, &err), CLI_ERROR_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_read),
        cmocka_unit_test(what_follows_a_task_is_the_commands),
        cmocka_unit_test(help_is_asked_for),
        cmocka_unit_test(bad_lines_are_named),
        cmocka_unit_test(names_and_letters_are_unique),
        cmocka_unit_test(examples_are_good_lines),
        cmocka_unit_test(help_names_all),
        cmocka_unit_test(completion_names_all),
    };
    return cmocka_run_group_tests_name("cli-parse", tests, NULL, NULL);
}
