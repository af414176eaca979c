// SPDX-License-Identifier: Apache-2.0
//
// Help texts and the generated part of docs/cli.md, both from the table.

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "cli/cli.h"

enum { WIDTH_DEFAULT = 100, WIDTH_MAX = 100, NAME_WIDTH = 26, COMMAND_WIDTH = 22 };

static const struct {
    int status;
    const char *meaning;
} exits[] = {
    {CLI_DONE, "it was done"},
    {CLI_FAILED, "the master or the agent refused, or it went wrong there"},
    {CLI_USAGE, "the command line or the configuration is wrong"},
    {CLI_UNREACHABLE, "no leading master, or not the agent, could be reached"},
    {CLI_NOT_FOUND, "there is no such agent, framework, task, file or role"},
    {CLI_AMBIGUOUS, "the id could mean several; the text names them"},
    {CLI_DENIED, "not allowed: principal or secret are missing or do not suffice"},
    {CLI_NOT_RUN, "`task exec` alone: the command could not be run, for any of these reasons"},
};

// Wraps `text` to `width`, each line behind `indent` spaces; the first one is begun already.
static void put_wrapped(const char *text, size_t indent, size_t width, struct buf *out)
{
    size_t column = indent;
    while (*text != '\0') {
        size_t size = strcspn(text, " \n");
        if (column > indent && column + 1 + size > width) {
            buf_printf(out, "\n%*s", (int)indent, "");
            column = indent;
        } else if (column > indent) {
            buf_putc(out, ' ');
            column++;
        }
        buf_append(out, text, size);
        column += size;
        text += size;
        text += strspn(text, " \n");
    }
    buf_putc(out, '\n');
}

static size_t page_width(unsigned width)
{
    return width == 0 ? WIDTH_DEFAULT : width < WIDTH_MAX ? width : WIDTH_MAX;
}

static void put_name(const struct cli_command *command, struct buf *out)
{
    buf_printf(out, "mesos %s%s%s", command->group != NULL ? command->group : "",
               command->group != NULL ? " " : "", command->name);
}

void cli_put_usage(const struct cli_command *command, struct buf *out)
{
    put_name(command, out);
    if (command->flags[0].name != NULL) {
        buf_puts(out, " [FLAG...]");
    }
    for (size_t i = 0; i < CLI_WORDS_MAX && command->words[i].name != NULL; i++) {
        const struct cli_word *word = &command->words[i];
        buf_printf(out, " %s%s%s%s", word->is_optional ? "[" : "", word->name,
                   word->is_many ? "..." : "", word->is_optional ? "]" : "");
    }
}

static void put_flag_name(const struct cli_flag *flag, struct buf *out)
{
    if (flag->letter != 0) {
        buf_printf(out, "-%c, ", flag->letter);
    }
    buf_printf(out, "--%s%s%s", flag->name, flag->value != NULL ? "=" : "",
               flag->value != NULL ? flag->value : "");
}

static void put_flag(const struct cli_flag *flag, size_t width, struct buf *out)
{
    AUTO_BUF struct buf name = BUF_INIT;
    AUTO_BUF struct buf help = BUF_INIT;
    if (flag->letter == 0) {
        buf_puts(&name, "    ");
    }
    put_flag_name(flag, &name);
    buf_puts(&help, flag->help);
    if (flag->choices != NULL && strcmp(flag->name, "output") != 0) {
        buf_printf(&help, " One of: %s.", flag->choices);
    }
    buf_printf(out, "  %s", name.data);
    if (name.size + 2 >= NAME_WIDTH) {
        buf_printf(out, "\n%*s", NAME_WIDTH, "");
    } else {
        buf_printf(out, "%*s", (int)(NAME_WIDTH - 2 - name.size), "");
    }
    put_wrapped(help.data, NAME_WIDTH, width, out);
}

static void put_config_keys(size_t width, struct buf *out)
{
    buf_puts(out, "\nKeys:\n");
    for (size_t i = 0; i < cli_config_key_count; i++) {
        buf_printf(out, "  %-28s", cli_config_keys[i].name);
        put_wrapped(cli_config_keys[i].help, 30, width, out);
    }
}

void cli_put_help(const struct cli_command *command, unsigned width, struct buf *out)
{
    size_t columns = page_width(width);
    buf_puts(out, "Usage: ");
    cli_put_usage(command, out);
    buf_puts(out, "\n\n");
    put_wrapped(command->summary, 0, columns, out);
    put_wrapped(command->help, 0, columns, out);
    buf_puts(out, "\nFlags:\n");
    for (size_t i = 0; i < CLI_FLAGS_MAX && command->flags[i].name != NULL; i++) {
        put_flag(&command->flags[i], columns, out);
    }
    for (const struct cli_flag *flag = cli_global_flags; flag->name != NULL; flag++) {
        if (cli_flag_is_of(flag, command)) {
            put_flag(flag, columns, out);
        }
    }
    if (command->run == cli_config_run) {
        put_config_keys(columns, out);
    }
    buf_puts(out, "\nExamples:\n");
    for (size_t i = 0; i < CLI_EXAMPLES_MAX && command->examples[i].command != NULL; i++) {
        buf_printf(out, "  # %s\n  mesos %s\n", command->examples[i].what,
                   command->examples[i].command);
    }
}

static void put_command_line(const struct cli_command *command, size_t width, struct buf *out)
{
    AUTO_BUF struct buf name = BUF_INIT;
    buf_printf(&name, "%s%s%s", command->group != NULL ? command->group : "",
               command->group != NULL ? " " : "", command->name);
    buf_printf(out, "  %-*s", COMMAND_WIDTH, name.data);
    put_wrapped(command->summary, COMMAND_WIDTH + 2, width, out);
}

void cli_put_overview(const char *group, unsigned width, struct buf *out)
{
    size_t columns = page_width(width);
    buf_printf(out, "Usage: mesos %s COMMAND [FLAG...] [WORD...]\n\n",
               group != NULL ? group : "[GROUP]");
    for (size_t i = 0; i < cli_group_count; i++) {
        if (group != NULL && strcmp(cli_groups[i].name, group) != 0) {
            continue;
        }
        put_wrapped(cli_groups[i].summary, 0, columns, out);
        for (size_t j = 0; j < cli_command_count; j++) {
            if (text_is_equal(cli_commands[j].group, cli_groups[i].name)) {
                put_command_line(&cli_commands[j], columns, out);
            }
        }
        buf_puts(out, "\n");
    }
    if (group == NULL) {
        buf_puts(out, "The cluster, the daemons, this program:\n");
        for (size_t j = 0; j < cli_command_count; j++) {
            if (cli_commands[j].group == NULL) {
                put_command_line(&cli_commands[j], columns, out);
            }
        }
        buf_puts(out, "\n");
    }
    put_wrapped("Each command explains itself, with examples: `mesos COMMAND --help`. An id may be "
                "cut short where it stays unambiguous.",
                0, columns, out);
}

int cli_help(struct cli *cli, struct error *err)
{
    AUTO_BUF struct buf out = BUF_INIT;
    const char *first = cli->words[0];
    const char *second = first != NULL ? cli->words[1] : NULL;
    bool is_group = first != NULL && cli_group_exists(first);
    const struct cli_command *command =
        first == NULL ? NULL
        : is_group    ? second != NULL ? cli_command_find(first, second) : NULL
                      : cli_command_find(NULL, first);
    if (command != NULL && cli->words[is_group ? 2 : 1] == NULL) {
        cli_put_help(command, cli->width, &out);
    } else if (first == NULL || (is_group && second == NULL)) {
        cli_put_overview(first, cli->width, &out);
    } else {
        return error_set(err, CLI_ERROR_USAGE, "There is no command `mesos %s%s%s`", first,
                         second != NULL ? " " : "", second != NULL ? second : "");
    }
    cli_write(out.data, out.size);
    return 0;
}

// ---- docs/cli.md ----

static void put_page_flags(const struct cli_command *command, struct buf *out)
{
    for (size_t i = 0; i < CLI_FLAGS_MAX && command->flags[i].name != NULL; i++) {
        const struct cli_flag *flag = &command->flags[i];
        buf_puts(out, i == 0 ? "\n| flag | |\n|---|---|\n| `" : "| `");
        put_flag_name(flag, out);
        buf_printf(out, "` | %s", flag->help);
        if (flag->choices != NULL) {
            buf_printf(out, " One of: %s.", flag->choices);
        }
        buf_puts(out, " |\n");
    }
}

static void put_page_command(const struct cli_command *command, struct buf *out)
{
    buf_puts(out, "\n### ");
    put_name(command, out);
    buf_printf(out, "\n\n%s %s\n\n    ", command->summary, command->help);
    cli_put_usage(command, out);
    buf_puts(out, "\n");
    put_page_flags(command, out);
    if (command->run == cli_config_run) {
        buf_puts(out, "\n| key | |\n|---|---|\n");
        for (size_t i = 0; i < cli_config_key_count; i++) {
            buf_printf(out, "| `%s` | %s |\n", cli_config_keys[i].name, cli_config_keys[i].help);
        }
    }
    buf_puts(out, "\nExamples:\n\n");
    for (size_t i = 0; i < CLI_EXAMPLES_MAX && command->examples[i].command != NULL; i++) {
        buf_printf(out, "    mesos %s%*s # %s\n", command->examples[i].command,
                   (int)(strlen(command->examples[i].command) < 50
                             ? 50 - strlen(command->examples[i].command)
                             : 1),
                   "", command->examples[i].what);
    }
}

void cli_put_page(struct buf *out)
{
    buf_puts(out, "## Flags of every command\n\n| flag | |\n|---|---|\n");
    for (const struct cli_flag *flag = cli_global_flags; flag->name != NULL; flag++) {
        buf_puts(out, "| `");
        put_flag_name(flag, out);
        buf_printf(out, "` | %s |\n", flag->help);
    }
    buf_puts(out, "\n## Exit statuses\n\n| status | |\n|--:|---|\n");
    for (size_t i = 0; i < ARRAY_COUNT(exits); i++) {
        buf_printf(out, "| %d | %s |\n", exits[i].status, exits[i].meaning);
    }
    buf_puts(out, "\n## Commands\n");
    for (size_t i = 0; i < cli_command_count; i++) {
        put_page_command(&cli_commands[i], out);
    }
}
