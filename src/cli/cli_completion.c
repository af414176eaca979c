// SPDX-License-Identifier: Apache-2.0
//
// Completion for bash, zsh and fish, made from the table. Ids are asked of the master when they are
// wanted: `mesos agent list -q`. The scripts hold one line a command; what is common stands in
// front.

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "cli/cli.h"

// How a shell gets the words of a kind: "=agent" asks the master, others are the words themselves.
static void put_source(enum cli_kind kind, const char *choices, struct buf *out)
{
    static const char *const sources[] = {
        [CLI_TEXT] = "",      [CLI_AGENT] = "=agent", [CLI_FRAMEWORK] = "=framework",
        [CLI_TASK] = "=task", [CLI_ROLE] = "=role",   [CLI_FILE] = "=file",
        [CLI_CHOICE] = "",
    };
    buf_puts(out, choices != NULL ? choices : sources[kind]);
}

static void put_flags(const struct cli_command *command, struct buf *out)
{
    const struct cli_flag *lists[] = {command->flags, cli_global_flags};
    for (size_t l = 0; l < ARRAY_COUNT(lists); l++) {
        for (size_t i = 0; i < CLI_FLAGS_MAX && lists[l][i].name != NULL; i++) {
            const struct cli_flag *flag = &lists[l][i];
            if (l == 0 || cli_flag_is_of(flag, command)) {
                buf_printf(out, "%s--%s%s", out->size > 0 ? " " : "", flag->name,
                           flag->value != NULL ? "=" : "");
            }
        }
    }
}

static void put_key(const struct cli_command *command, struct buf *out)
{
    buf_printf(out, "%s%s%s", command->group != NULL ? command->group : "",
               command->group != NULL ? " " : "", command->name);
}

// The names after `group`, or the first words.
static void put_names(const char *group, struct buf *out)
{
    size_t count = 0;
    for (size_t i = 0; group == NULL && i < cli_group_count; i++) {
        buf_printf(out, "%s%s", count++ > 0 ? " " : "", cli_groups[i].name);
    }
    for (size_t i = 0; i < cli_command_count; i++) {
        if (text_is_equal(cli_commands[i].group, group)) {
            buf_printf(out, "%s%s", count++ > 0 ? " " : "", cli_commands[i].name);
        }
    }
}

// ---- bash, and zsh by its bash layer ----

// One arm of a case over "command:flag" for each flag whose values are known.
static void put_bash_values(const struct cli_command *command, struct buf *out)
{
    const struct cli_flag *lists[] = {command->flags, cli_global_flags};
    for (size_t l = 0; l < ARRAY_COUNT(lists); l++) {
        for (size_t i = 0; i < CLI_FLAGS_MAX && lists[l][i].name != NULL; i++) {
            const struct cli_flag *flag = &lists[l][i];
            AUTO_BUF struct buf source = BUF_INIT;
            put_source(flag->kind, flag->choices, &source);
            if (flag->value == NULL || source.size == 0 ||
                (l == 1 && !cli_flag_is_of(flag, command))) {
                continue;
            }
            buf_puts(out, "    \"");
            put_key(command, out);
            buf_printf(out, ":--%s\"%s", flag->name, "");
            if (flag->letter != 0) {
                buf_puts(out, " | \"");
                put_key(command, out);
                buf_printf(out, ":-%c\"", flag->letter);
            }
            buf_printf(out, ") echo \"%s\" ;;\n", source.data);
        }
    }
}

static void put_bash_words(const struct cli_command *command, struct buf *out)
{
    for (size_t i = 0; i < CLI_WORDS_MAX && command->words[i].name != NULL; i++) {
        const struct cli_word *word = &command->words[i];
        AUTO_BUF struct buf source = BUF_INIT;
        put_source(word->kind, word->choices, &source);
        if (source.size == 0) {
            continue;
        }
        buf_puts(out, "    \"");
        put_key(command, out);
        buf_printf(out, ":%zu\"%s) echo \"%s\" ;;\n", i, word->is_many ? "*" : "", source.data);
    }
}

static const char bash_head[] = "# Completion of mesos for bash. Made by `mesos completion bash`.\n"
                                "_mesos_values() {\n"
                                "    case $1 in\n";

static const char bash_middle[] = "    esac\n"
                                  "}\n"
                                  "_mesos_flags() {\n"
                                  "    case $1 in\n";

static const char bash_tail[] =
    "    esac\n"
    "}\n"
    "_mesos() {\n"
    "    local current=${COMP_WORDS[COMP_CWORD]} group= command= previous= place=0 i word values\n"
    "    local -a master=()\n"
    "    # \"--flag=value\" comes in three words.\n"
    "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
    "        word=${COMP_WORDS[i]}\n"
    "        [ \"$word\" = = ] && continue\n"
    "        if [ -n \"$previous\" ]; then\n"
    "            case $previous in --master | -m) master=(--master \"$word\") ;; esac\n"
    "            previous=\n"
    "        elif [[ $word == -* ]]; then\n"
    "            case \" $(_mesos_flags \"${group:+$group }$command\") --master= --output= \" in\n"
    "            *\" $word= \"*) previous=$word ;;\n"
    "            *) [ -n \"$(_mesos_values \"${group:+$group }$command:$word\")\" ] && "
    "previous=$word\n"
    "               [ \"$word\" = -m ] && previous=$word ;;\n"
    "            esac\n"
    "        elif [ -z \"$command\" ] && [ -z \"$group\" ] && [ -n \"$(_mesos_names \"$word\")\" "
    "]; then\n"
    "            group=$word\n"
    "        elif [ -z \"$command\" ]; then\n"
    "            command=$word\n"
    "        else\n"
    "            place=$((place + 1))\n"
    "        fi\n"
    "    done\n"
    "    [ \"$current\" = = ] && current=\n"
    "    if [ -n \"$previous\" ]; then\n"
    "        values=$(_mesos_values \"${group:+$group }$command:$previous\")\n"
    "    elif [[ $current == -* ]]; then\n"
    "        values=$(_mesos_flags \"${group:+$group }$command\")\n"
    "        [ -n \"$command\" ] || values=\"--master= --help --version\"\n"
    "    elif [ -z \"$command\" ]; then\n"
    "        values=$(_mesos_names \"$group\")\n"
    "    else\n"
    "        values=$(_mesos_values \"${group:+$group }$command:$place\")\n"
    "    fi\n"
    "    case $values in\n"
    "    =*) values=$(mesos \"${master[@]}\" \"${values#=}\" list -q 2>/dev/null) ;;\n"
    "    esac\n"
    "    COMPREPLY=($(compgen -W \"$values\" -- \"$current\"))\n"
    "    if [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *= ]]; then\n"
    "        compopt -o nospace 2>/dev/null\n"
    "    fi\n"
    "}\n";

static void put_bash_functions(struct buf *out)
{
    buf_puts(out, bash_head);
    for (size_t i = 0; i < cli_command_count; i++) {
        put_bash_values(&cli_commands[i], out);
        put_bash_words(&cli_commands[i], out);
    }
    buf_puts(out, bash_middle);
    for (size_t i = 0; i < cli_command_count; i++) {
        AUTO_BUF struct buf flags = BUF_INIT;
        put_flags(&cli_commands[i], &flags);
        buf_puts(out, "    \"");
        put_key(&cli_commands[i], out);
        buf_printf(out, "\") echo \"%s\" ;;\n", flags.data);
    }
    buf_puts(out, "    esac\n}\n_mesos_names() {\n    case $1 in\n");
    for (size_t i = 0; i < cli_group_count; i++) {
        buf_printf(out, "    %s) echo \"", cli_groups[i].name);
        put_names(cli_groups[i].name, out);
        buf_puts(out, "\" ;;\n");
    }
    buf_puts(out, "    \"\") echo \"");
    put_names(NULL, out);
    buf_puts(out, "\" ;;\n");
    buf_puts(out, bash_tail);
}

// ---- fish ----

static void put_fish_quoted(const char *text, struct buf *out)
{
    buf_putc(out, '\'');
    for (; *text != '\0'; text++) {
        if (*text == '\'' || *text == '\\') {
            buf_putc(out, '\\');
        }
        buf_putc(out, *text);
    }
    buf_putc(out, '\'');
}

// What to offer as an argument of -a.
static void put_fish_source(enum cli_kind kind, const char *choices, struct buf *out)
{
    AUTO_BUF struct buf source = BUF_INIT;
    put_source(kind, choices, &source);
    if (source.size > 0 && source.data[0] == '=') {
        buf_printf(out, " -a '(mesos %s list -q 2>/dev/null)'", source.data + 1);
    } else if (source.size > 0) {
        buf_printf(out, " -a '%s'", source.data);
    }
}

static void put_fish_condition(const struct cli_command *command, struct buf *out)
{
    buf_puts(out, "complete -c mesos -n '");
    if (command->group != NULL) {
        buf_printf(out, "__fish_seen_subcommand_from %s; and ", command->group);
    }
    buf_printf(out, "__fish_seen_subcommand_from %s'", command->name);
}

static void put_fish_flags(const struct cli_command *command, struct buf *out)
{
    const struct cli_flag *lists[] = {command->flags, cli_global_flags};
    for (size_t l = 0; l < ARRAY_COUNT(lists); l++) {
        for (size_t i = 0; i < CLI_FLAGS_MAX && lists[l][i].name != NULL; i++) {
            const struct cli_flag *flag = &lists[l][i];
            if (l == 1 && !cli_flag_is_of(flag, command)) {
                continue;
            }
            put_fish_condition(command, out);
            if (flag->letter != 0) {
                buf_printf(out, " -s %c", flag->letter);
            }
            buf_printf(out, " -l %s%s -d ", flag->name, flag->value != NULL ? " -x" : "");
            put_fish_quoted(flag->help, out);
            put_fish_source(flag->kind, flag->choices, out);
            buf_putc(out, '\n');
        }
    }
}

static void put_fish_command(const struct cli_command *command, struct buf *out)
{
    if (command->group == NULL) {
        buf_puts(out, "complete -c mesos -n __fish_use_subcommand");
    } else {
        AUTO_BUF struct buf names = BUF_INIT;
        put_names(command->group, &names);
        buf_printf(out,
                   "complete -c mesos -n '__fish_seen_subcommand_from %s; and not "
                   "__fish_seen_subcommand_from %s'",
                   command->group, names.data);
    }
    buf_printf(out, " -a %s -d ", command->name);
    put_fish_quoted(command->summary, out);
    buf_putc(out, '\n');
    put_fish_flags(command, out);
    const struct cli_word *word = &command->words[0];
    if (word->name != NULL && (word->kind != CLI_TEXT || word->choices != NULL)) {
        put_fish_condition(command, out);
        put_fish_source(word->kind, word->choices, out);
        buf_putc(out, '\n');
    }
}

static void put_fish(struct buf *out)
{
    buf_puts(out, "# Completion of mesos for fish. Made by `mesos completion fish`.\n"
                  "complete -c mesos -f\n");
    for (size_t i = 0; i < cli_group_count; i++) {
        buf_printf(out, "complete -c mesos -n __fish_use_subcommand -a %s -d ", cli_groups[i].name);
        put_fish_quoted(cli_groups[i].summary, out);
        buf_putc(out, '\n');
    }
    for (size_t i = 0; i < cli_command_count; i++) {
        put_fish_command(&cli_commands[i], out);
    }
}

int cli_put_completion(const char *shell, struct buf *out, struct error *err)
{
    if (strcmp(shell, "bash") == 0) {
        put_bash_functions(out);
        buf_puts(out, "complete -F _mesos mesos\n");
        return 0;
    }
    if (strcmp(shell, "zsh") == 0) {
        buf_puts(out, "#compdef mesos\n# Made by `mesos completion zsh`; runs what bash has.\n"
                      "autoload -U +X bashcompinit && bashcompinit\n");
        put_bash_functions(out);
        buf_puts(out, "complete -F _mesos mesos\n");
        return 0;
    }
    if (strcmp(shell, "fish") == 0) {
        put_fish(out);
        return 0;
    }
    return error_set(err, CLI_ERROR_USAGE, "There is no completion for '%s'", shell);
}

int cli_completion(struct cli *cli, struct error *err)
{
    AUTO_BUF struct buf out = BUF_INIT;
    int r = cli_put_completion(cli->words[0], &out, err);
    if (r == 0) {
        cli_write(out.data, out.size);
    }
    return r;
}
