// SPDX-License-Identifier: Apache-2.0
//
// From words to a command and its end. Flags may stand anywhere after "mesos"; "--" ends them.

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "api/api.h"
#include "base/check.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/cli.h"

#define MASTER_DEFAULT "localhost:5050"
enum { WIDTH_MIN = 20 };

enum cli_exit cli_exit_status(int code)
{
    switch (code) {
    case CLI_ERROR_USAGE:
        return CLI_USAGE;
    case CLI_ERROR_UNREACHABLE:
        return CLI_UNREACHABLE;
    case CLI_ERROR_NOT_FOUND:
        return CLI_NOT_FOUND;
    case CLI_ERROR_AMBIGUOUS:
        return CLI_AMBIGUOUS;
    case CLI_ERROR_DENIED:
        return CLI_DENIED;
    default:
        return CLI_FAILED;
    }
}

// ---- flags ----

static size_t flag_index(const struct cli_command *command, const char *name)
{
    for (size_t i = 0; i < CLI_FLAGS_MAX && command->flags[i].name != NULL; i++) {
        if (strcmp(command->flags[i].name, name) == 0) {
            return i;
        }
    }
    CHECK(strcmp(name, "yes") == 0); // a question whose command has no such flag
    return CLI_FLAGS_MAX;
}

const char *cli_flag_value(const struct cli *cli, const char *name)
{
    size_t i = flag_index(cli->command, name);
    return i < CLI_FLAGS_MAX ? cli->flags[i] : NULL;
}

bool cli_has_flag(const struct cli *cli, const char *name)
{
    return cli_flag_value(cli, name) != NULL;
}

// The words of the command line, with what was found of them.
struct parse {
    struct cli *cli;
    char **at; // the next word
    bool flags_ended;
    bool wants_help;
    const char *output; // as given
    const char *group;
    struct error *err;
};

static const struct cli_flag *find_flag(const struct parse *p, const char *name, size_t size,
                                        char letter)
{
    const struct cli_command *command = p->cli->command;
    const struct cli_flag *lists[] = {command != NULL ? command->flags : NULL, cli_global_flags};
    for (size_t l = 0; l < ARRAY_COUNT(lists); l++) {
        for (size_t i = 0; lists[l] != NULL && i < CLI_FLAGS_MAX && lists[l][i].name != NULL; i++) {
            const struct cli_flag *flag = &lists[l][i];
            bool is_it = letter != 0
                             ? flag->letter == letter
                             : strlen(flag->name) == size && strncmp(flag->name, name, size) == 0;
            if (is_it && (l == 0 || command == NULL || cli_flag_is_of(flag, command))) {
                return flag;
            }
        }
    }
    return NULL;
}

static int check_choice(const struct parse *p, const char *what, const char *choices,
                        const char *value)
{
    AUTO_FREE char *copy = mem_strdup(choices);
    char *rest = copy;
    for (char *choice; (choice = strsep(&rest, " ")) != NULL;) {
        if (strcmp(choice, value) == 0) {
            return 0;
        }
    }
    return error_set(p->err, CLI_ERROR_USAGE, "%s: '%s' is none of: %s", what, value, choices);
}

static int set_flag(struct parse *p, const struct cli_flag *flag, const char *value)
{
    struct cli *cli = p->cli;
    const char *name = arena_printf(cli->arena, "--%s", flag->name);
    if (value != NULL && flag->choices != NULL) {
        int r = check_choice(p, name, flag->choices, value);
        if (r != 0) {
            return r;
        }
    }
    if (value != NULL && value[0] == '\0') {
        return error_set(p->err, CLI_ERROR_USAGE, "%s: its value is empty", name);
    }
    bool was_given = false;
    if (strcmp(flag->name, "help") == 0) {
        p->wants_help = true;
    } else if (flag == &cli_global_flags[0]) {
        was_given = cli->master != NULL;
        cli->master = value;
    } else if (flag == &cli_global_flags[1]) {
        was_given = p->output != NULL;
        p->output = value;
    } else if (flag == &cli_global_flags[2]) {
        cli->ids_only = true;
    } else {
        size_t i = flag_index(cli->command, flag->name);
        was_given = cli->flags[i] != NULL && flag->value != NULL;
        cli->flags[i] = value != NULL ? value : "";
    }
    return was_given ? error_set(p->err, CLI_ERROR_USAGE, "%s is given twice", name) : 0;
}

static const char *command_name(const struct parse *p)
{
    const struct cli_command *command = p->cli->command;
    if (command == NULL) {
        return p->group != NULL ? arena_printf(p->cli->arena, "mesos %s", p->group) : "mesos";
    }
    return command->group != NULL
               ? arena_printf(p->cli->arena, "mesos %s %s", command->group, command->name)
               : arena_printf(p->cli->arena, "mesos %s", command->name);
}

static int unknown_flag(const struct parse *p, const char *word)
{
    return error_set(p->err, CLI_ERROR_USAGE, "`%s` has no flag '%s'", command_name(p), word);
}

// --name, --name=value, --name value
static int take_long(struct parse *p, char *word)
{
    const char *equals = strchr(word, '=');
    size_t size = equals != NULL ? (size_t)(equals - word - 2) : strlen(word) - 2;
    const struct cli_flag *flag = find_flag(p, word + 2, size, 0);
    if (flag == NULL) {
        return unknown_flag(p, arena_strndup(p->cli->arena, word, size + 2));
    }
    if (flag->value == NULL) {
        return equals == NULL
                   ? set_flag(p, flag, NULL)
                   : error_set(p->err, CLI_ERROR_USAGE, "--%s takes no value", flag->name);
    }
    if (equals != NULL) {
        return set_flag(p, flag, equals + 1);
    }
    if (*p->at == NULL) {
        return error_set(p->err, CLI_ERROR_USAGE, "--%s wants a value: %s", flag->name,
                         flag->value);
    }
    return set_flag(p, flag, *p->at++);
}

// -f, -fi, -n5, -n 5
static int take_short(struct parse *p, char *word)
{
    for (char *at = word + 1; *at != '\0'; at++) {
        const struct cli_flag *flag = find_flag(p, NULL, 0, *at);
        if (flag == NULL) {
            return unknown_flag(p, (char[]){'-', *at, '\0'});
        }
        if (flag->value == NULL) {
            int r = set_flag(p, flag, NULL);
            if (r != 0) {
                return r;
            }
            continue;
        }
        if (at[1] != '\0') {
            return set_flag(p, flag, at[1] == '=' ? at + 2 : at + 1);
        }
        if (*p->at == NULL) {
            return error_set(p->err, CLI_ERROR_USAGE, "-%c wants a value: %s", *at, flag->value);
        }
        return set_flag(p, flag, *p->at++);
    }
    return 0;
}

// ---- words ----

static int unknown_command(const struct parse *p, const char *word)
{
    if (p->group != NULL) {
        return error_set(p->err, CLI_ERROR_USAGE, "There is no command `mesos %s %s`", p->group,
                         word);
    }
    return error_set(p->err, CLI_ERROR_USAGE, "There is no command `mesos %s`", word);
}

// The command's own name; flags of the program may stand before and within it.
static int take_name(struct parse *p, const char *word)
{
    if (p->group == NULL && cli_group_exists(word)) {
        p->group = word;
        return 0;
    }
    p->cli->command = cli_command_find(p->group, word);
    return p->cli->command != NULL ? 0 : unknown_command(p, word);
}

static int take_word(struct parse *p, char *word)
{
    struct cli *cli = p->cli;
    if (cli->command == NULL) {
        return take_name(p, word);
    }
    if (word[0] == '\0' && !cli->command->passes_rest) {
        return error_set(p->err, CLI_ERROR_USAGE, "`%s`: a word is empty", command_name(p));
    }
    cli->words[cli->word_count++] = word;
    if (cli->command->passes_rest) {
        // TASK was it: all that follows is the command's.
        if (*p->at != NULL && strcmp(*p->at, "--") == 0) {
            p->at++;
        }
        while (*p->at != NULL) {
            cli->words[cli->word_count++] = *p->at++;
        }
    }
    return 0;
}

static int check_words(const struct parse *p)
{
    const struct cli *cli = p->cli;
    const struct cli_word *words = cli->command->words;
    size_t i = 0;
    for (; i < CLI_WORDS_MAX && words[i].name != NULL; i++) {
        if (i >= cli->word_count) {
            return words[i].is_optional ? 0
                                        : error_set(p->err, CLI_ERROR_USAGE, "`%s` wants %s",
                                                    command_name(p), words[i].name);
        }
        if (words[i].choices != NULL) {
            int r = check_choice(p, words[i].name, words[i].choices, cli->words[i]);
            if (r != 0) {
                return r;
            }
        }
        if (words[i].is_many) {
            return 0;
        }
    }
    return i >= cli->word_count ? 0
                                : error_set(p->err, CLI_ERROR_USAGE, "`%s` does not take '%s'",
                                            command_name(p), cli->words[i]);
}

int cli_parse(struct cli *cli, int argc, char **argv, bool *ret_help, struct error *err)
{
    struct parse p = {.cli = cli, .at = argv + 1, .err = err};
    int r = 0;
    cli->words = arena_calloc(cli->arena, (size_t)argc + 1, sizeof(cli->words[0]));
    while (r == 0 && *p.at != NULL && !p.wants_help) {
        char *word = *p.at++;
        if (p.flags_ended || word[0] != '-' || word[1] == '\0') {
            r = take_word(&p, word);
        } else if (strcmp(word, "--") == 0) {
            p.flags_ended = true;
        } else {
            r = word[1] == '-' ? take_long(&p, word) : take_short(&p, word);
        }
    }
    *ret_help = p.wants_help;
    if (r != 0) {
        return r;
    }
    if (p.wants_help || (cli->command == NULL && p.group != NULL)) {
        *ret_help = true;
        if (cli->command == NULL && p.group != NULL) {
            cli->words[0] = (char *)(uintptr_t)p.group;
        }
        return 0;
    }
    if (cli->command == NULL) {
        *ret_help = true;
        return 0;
    }
    if (p.output != NULL) {
        cli->output = strcmp(p.output, "json") == 0 ? CLI_JSON : CLI_TABLE;
    } else if (cli->config.is_json && cli->command->has_output) {
        cli->output = CLI_JSON;
    }
    return check_words(&p);
}

// ---- the run ----

static void look_at_terminal(struct cli *cli)
{
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");
    struct winsize size;
    if (!isatty(STDOUT_FILENO)) {
        return;
    }
    cli->has_colours =
        (no_color == NULL || no_color[0] == '\0') && !(term != NULL && strcmp(term, "dumb") == 0);
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
        cli->width = size.ws_col > WIDTH_MIN ? size.ws_col : WIDTH_MIN;
    }
}

static void choose_master(struct cli *cli)
{
    const char *environment = getenv("MESOS_MASTER");
    if (cli->master != NULL) {
        cli->master_source = "--master";
    } else if (environment != NULL && environment[0] != '\0') {
        cli->master = environment;
        cli->master_source = "$MESOS_MASTER";
    } else if (cli->config.master != NULL) {
        cli->master = cli->config.master;
        cli->master_source = cli->config.path;
    } else {
        cli->master = MASTER_DEFAULT;
        cli->master_source = "the default";
    }
}

static int complain(struct cli *cli, int code, const struct error *err)
{
    fflush(stdout);
    fprintf(stderr, "mesos: %s\n", cli_clean(cli->arena, err->text));
    if (cli->command != NULL && cli->command->run == cli_task_exec) {
        return CLI_NOT_RUN;
    }
    return (int)cli_exit_status(code);
}

static int print_help(struct cli *cli)
{
    AUTO_BUF struct buf out = BUF_INIT;
    if (cli->command != NULL) {
        cli_put_help(cli->command, cli->width, &out);
    } else {
        cli_put_overview(cli->words[0], cli->width, &out);
    }
    cli_write(out.data, out.size);
    cli_flush();
    return CLI_DONE;
}

static int run(struct cli *cli, int argc, char **argv)
{
    struct error err = {0};
    struct error config_err = {0};
    bool wants_help = false;
    int config_code = cli_config_read(cli->arena, &cli->config, &config_err);
    int r = cli_parse(cli, argc, argv, &wants_help, &err);
    if (r < 0) {
        complain(cli, r, &err);
        fprintf(stderr, "See `mesos%s%s%s%s --help`\n",
                cli->command != NULL && cli->command->group != NULL ? " " : "",
                cli->command != NULL && cli->command->group != NULL ? cli->command->group : "",
                cli->command != NULL ? " " : "", cli->command != NULL ? cli->command->name : "");
        return cli->command != NULL && cli->command->run == cli_task_exec ? CLI_NOT_RUN : CLI_USAGE;
    }
    if (wants_help) {
        // Nobody asked for it who only forgot to name a command.
        return print_help(cli) + (argc == 1 ? CLI_USAGE : 0);
    }
    if (config_code < 0 && !cli->command->needs_no_master) {
        return complain(cli, config_code, &config_err);
    }
    if (config_code < 0 && cli->command->run == cli_config_run) {
        fprintf(stderr, "mesos: %s\n", cli_clean(cli->arena, config_err.text));
    }
    choose_master(cli);
    r = cli->command->run(cli, &err);
    cli_flush();
    return r < 0 ? complain(cli, r, &err) : r;
}

int cli_main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        printf("mesos %s\n", MESOS_VERSION);
        return CLI_DONE;
    }
    struct cli cli = {.arena = arena_new(0, 0)};
    look_at_terminal(&cli);
    cli.http = cli_http_new();
    int status = run(&cli, argc, argv);
    cli.http = cli_http_free(cli.http);
    cli.arena = arena_free(cli.arena);
    return status;
}
