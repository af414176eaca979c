// SPDX-License-Identifier: Apache-2.0
//
// Which of the given flags are whose. The programs themselves are asked, by --help, so that no list
// of their flags has to be kept here.

#include "local_flags.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/flags.h"
#include "base/mem.h"
#include "base/text.h"

enum { HELP_SIZE_MAX = 1024 * 1024, AGENTS_MAX = 1000, FLAG_NAME_SIZE = 128 };

static const struct flag rows[] = {
    FLAG_ROW(struct local_options, num_slaves, "num_slaves", "num_agents", FLAG_INT, "1", 0,
             "How many agents to start."),
    FLAG_ROW(struct local_options, ip, "ip", NULL, FLAG_TEXT, "127.0.0.1", 0,
             "The address that all listen on."),
    FLAG_ROW(struct local_options, port, "port", NULL, FLAG_INT, "5050", 0,
             "The master's port; the agents take those behind it. 0: free ones."),
    FLAG_ROW(
        struct local_options, work_dir, "work_dir", NULL, FLAG_TEXT, NULL, 0,
        "Where logs, state and sandboxes go. Without it: a temporary directory that is removed "
        "at the end."),
};

static const struct flag_table table = {rows, ARRAY_COUNT(rows)};

// The name of the flag in "--no-some-name=value", as the tables write it: "some_name". False when
// the word is no flag.
static bool flag_name(const char *word, bool strip_no, char ret_name[FLAG_NAME_SIZE])
{
    if (!text_starts_with(word, "--") || word[2] == '\0') {
        return false;
    }
    word += 2;
    if (strip_no && (text_starts_with(word, "no-") || text_starts_with(word, "no_"))) {
        word += 3;
    }
    size_t size = strcspn(word, "=");
    if (size >= FLAG_NAME_SIZE) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        ret_name[i] = word[i] == '-' ? '_' : (char)tolower((unsigned char)word[i]);
    }
    ret_name[size] = '\0';
    return true;
}

static bool is_ours(const char *word)
{
    char name[FLAG_NAME_SIZE];
    if (!flag_name(word, false, name)) {
        return true; // a stray word, skipped as everywhere
    }
    if (strcmp(name, "help") == 0 || strcmp(name, "version") == 0) {
        return true;
    }
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (strcmp(name, rows[i].name) == 0 || text_is_equal(name, rows[i].alias)) {
            return true;
        }
    }
    return false;
}

int local_options_parse(struct local_options *o, int argc, char **argv, struct error *err)
{
    char **own = mem_calloc((size_t)argc + 1, sizeof(*own));
    char **passed = mem_calloc((size_t)argc + 1, sizeof(*passed));
    int own_count = 0;
    size_t passed_count = 0;
    for (int i = 0; i < argc; i++) {
        if (i == 0 || is_ours(argv[i])) {
            own[own_count++] = argv[i];
        } else {
            passed[passed_count++] = argv[i];
        }
    }
    int r = flags_parse(&table, 1, o, own_count, own, NULL, "MESOS_", NULL, err);
    mem_free(own);
    if (r == 0 && (o->num_slaves < 0 || o->num_slaves > AGENTS_MAX || o->port < 0 ||
                   o->port + o->num_slaves > 65535)) {
        flags_free(&table, 1, o);
        r = error_set(err, -EINVAL, "--num_slaves is 0 to %d, --port 0 to 65535 less the agents",
                      AGENTS_MAX);
    }
    if (r != 0) {
        mem_free(passed);
        return r;
    }
    o->passed = passed;
    o->passed_count = passed_count;
    return 0;
}

void local_options_free(struct local_options *o)
{
    mem_free(o->passed);
    flags_free(&table, 1, o);
}

void local_options_put_help(struct buf *out)
{
    flags_put_help(&table, 1, "mesos-local", out);
    buf_puts(out, "\nEvery other flag goes to the master and to the agents, whoever has it.\n");
}

static int read_help(const char *directory, const char *program, char **ret_help, struct error *err)
{
    AUTO_FREE char *command = mem_printf("exec '%s/%s' --help", directory, program);
    FILE *pipe = popen(command, "re");
    if (pipe == NULL) {
        return error_errno(err, -errno, "Cannot run %s", program);
    }
    AUTO_BUF struct buf help = BUF_INIT;
    buf_init(&help, HELP_SIZE_MAX);
    char chunk[4096];
    for (size_t size; (size = fread(chunk, 1, sizeof(chunk), pipe)) > 0;) {
        buf_append(&help, chunk, size);
    }
    int status = pclose(pipe);
    if (status != 0 || help.size == 0) {
        return error_set(err, -ENOENT, "Cannot run %s/%s", directory, program);
    }
    *ret_help = buf_take(&help);
    return 0;
}

static bool has_flag(const char *help, const char *word)
{
    static const char *const prefixes[] = {"--", "--[no-]"};
    for (int strip_no = 0; strip_no <= 1; strip_no++) {
        char name[FLAG_NAME_SIZE];
        if (!flag_name(word, strip_no == 1, name)) {
            return false;
        }
        for (size_t i = 0; i < ARRAY_COUNT(prefixes); i++) {
            AUTO_FREE char *needle = mem_printf("%s%s", prefixes[i], name);
            for (const char *at = help; (at = strstr(at, needle)) != NULL; at++) {
                unsigned char behind = (unsigned char)at[strlen(needle)];
                if (!isalnum(behind) && behind != '_') {
                    return true;
                }
            }
        }
    }
    return false;
}

int local_flags_sort(const struct local_options *o, const char *directory,
                     struct local_flags *ret_flags, struct error *err)
{
    AUTO_FREE char *master_help = NULL;
    AUTO_FREE char *agent_help = NULL;
    int r = read_help(directory, "mesos-master", &master_help, err);
    if (r == 0) {
        r = read_help(directory, "mesos-agent", &agent_help, err);
    }
    if (r < 0) {
        return r;
    }
    struct local_flags flags = {
        .master = mem_calloc(o->passed_count + 1, sizeof(char *)),
        .agent = mem_calloc(o->passed_count + 1, sizeof(char *)),
    };
    for (size_t i = 0; r == 0 && i < o->passed_count; i++) {
        bool is_masters = has_flag(master_help, o->passed[i]);
        bool is_agents = has_flag(agent_help, o->passed[i]);
        if (is_masters) {
            flags.master[flags.master_count++] = o->passed[i];
        }
        if (is_agents) {
            flags.agent[flags.agent_count++] = o->passed[i];
        }
        if (!is_masters && !is_agents) {
            r = error_set(err, -EINVAL, "Neither master nor agent has the flag '%s'", o->passed[i]);
        }
    }
    if (r < 0) {
        local_flags_free(&flags);
        return r;
    }
    *ret_flags = flags;
    return 0;
}

void local_flags_free(struct local_flags *flags)
{
    mem_free(flags->master);
    mem_free(flags->agent);
}
