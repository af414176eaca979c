// SPDX-License-Identifier: Apache-2.0
//
// mesos task logs, files.

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/cli_json.h"
#include "cli/cli_parts.h"
#include "model/task_state.h"

#define POLL_MS 500
enum { LOOK_EVERY = 4 /* polls without news, until the task's state is asked for */ };

// A path that stays within the sandbox, as the agent would insist anyway.
static int check_path(const char *path, struct error *err)
{
    if (path[0] == '/') {
        return error_set(err, CLI_ERROR_USAGE,
                         "'%s' is absolute: a path within the sandbox is wanted", path);
    }
    return 0;
}

static int open_sandbox(struct cli *cli, struct cli_sandbox *ret_sandbox, struct error *err)
{
    Mesos__V1__Task *task;
    int r = cli_find_task(cli, cli->words[0], cli_flag_value(cli, "framework"), &task, err);
    return r < 0 ? r : cli_sandbox_open(cli, task, ret_sandbox, err);
}

// ---- logs ----

struct log {
    struct cli_sandbox sandbox;
    const char *file;
    uint64_t at, size;
    struct buf piece;
};

static int read_piece(struct log *log, struct error *err)
{
    buf_clear(&log->piece);
    return cli_sandbox_read(&log->sandbox, log->file, log->at, &log->piece, &log->at, &log->size,
                            err);
}

// Where the last `lines` lines begin, looking back piece by piece.
static int seek_lines(struct log *log, uint64_t lines, struct error *err)
{
    enum { BACK = 32 * 1024 };
    log->at = UINT64_MAX / 4; // beyond the end: tells the size alone
    int r = read_piece(log, err);
    uint64_t end = log->size;
    uint64_t begin = end;
    uint64_t seen = 0;
    while (r == 0 && lines > 0 && begin > 0) {
        uint64_t from = begin > BACK ? begin - BACK : 0;
        log->at = from;
        r = read_piece(log, err);
        size_t size = begin - from < log->piece.size ? (size_t)(begin - from) : log->piece.size;
        while (r == 0 && size > 0) {
            size--;
            // The line end that ends the file begins no line.
            if (log->piece.data[size] == '\n' && from + size + 1 < end && ++seen >= lines) {
                log->at = from + size + 1;
                return 0;
            }
        }
        begin = from;
    }
    log->at = lines > 0 ? 0 : end;
    return r;
}

// All that is there now.
static int print_all(struct log *log, bool *ret_has_news, struct error *err)
{
    *ret_has_news = false;
    for (;;) {
        uint64_t before = log->at;
        int r = read_piece(log, err);
        if (r != 0) {
            return r;
        }
        cli_write(log->piece.data, log->piece.size);
        if (log->size < before) {
            log->at = 0; // it was cut off or replaced, as by a rotation
        } else if (log->at == before) {
            cli_flush();
            return 0;
        }
        *ret_has_news = true;
    }
}

// Whether the task has ended, or is not known any more. Asks for this one alone.
static bool has_ended(struct cli *cli, const Mesos__V1__Task *task)
{
    AUTO_BUF struct buf target = BUF_INIT;
    struct cli_answer answer;
    struct cli_json *json;
    buf_puts(&target, "/tasks?framework_id=");
    text_percent_encode(&target, task->framework_id->value);
    buf_puts(&target, "&task_id=");
    text_percent_encode(&target, task->task_id->value);
    if (cli_master_get(cli, target.data, &answer, NULL) < 0 ||
        cli_json_read(cli->arena, answer.body, answer.size, &json, NULL) < 0) {
        return false; // a failover, perhaps: the next look will tell
    }
    for (const struct cli_json *one = cli_json_get(json, "tasks")->first; one != NULL;
         one = one->next) {
        int state =
            wire_enum_value(&mesos__v1__task_state__descriptor, cli_json_text(one, "state"));
        if (state >= 0 && !task_state_is_terminal((Mesos__V1__TaskState)state)) {
            return false;
        }
    }
    return true;
}

static int follow(struct cli *cli, struct log *log, struct error *err)
{
    bool was_last = false;
    unsigned quiet = 0;
    for (;;) {
        // A run may be long: what one poll needed goes with it.
        struct arena *arena = TAKE_PTR(cli->arena);
        cli->arena = arena_new(0, 0);
        bool has_news;
        int r = print_all(log, &has_news, err);
        quiet = has_news ? 0 : quiet + 1;
        bool is_over = was_last && !has_news;
        if (r == 0 && !is_over && quiet % LOOK_EVERY == 1) {
            was_last = has_ended(cli, log->sandbox.task);
        }
        arena_free(cli->arena);
        cli->arena = arena;
        if (r < 0 || is_over) {
            return r;
        }
        nanosleep(&(struct timespec){.tv_nsec = POLL_MS * 1000000L}, NULL);
    }
}

int cli_task_logs(struct cli *cli, struct error *err)
{
    const char *file = cli_flag_value(cli, "file");
    const char *lines_text = cli_flag_value(cli, "lines");
    uint64_t lines = 0;
    if (file != NULL && cli_has_flag(cli, "stderr")) {
        return error_set(err, CLI_ERROR_USAGE, "--file and --stderr exclude each other");
    }
    if (lines_text != NULL && text_parse_u64(lines_text, &lines, NULL) < 0) {
        return error_set(err, CLI_ERROR_USAGE, "--lines: '%s' is no number of lines", lines_text);
    }
    struct log log = {.file = file != NULL                  ? file
                              : cli_has_flag(cli, "stderr") ? "stderr"
                                                            : "stdout"};
    int r = check_path(log.file, err);
    if (r == 0) {
        r = open_sandbox(cli, &log.sandbox, err);
    }
    if (r == 0 && lines_text != NULL) {
        r = seek_lines(&log, lines, err);
    }
    bool has_news;
    if (r == 0) {
        r = cli_has_flag(cli, "follow") ? follow(cli, &log, err) : print_all(&log, &has_news, err);
    }
    buf_free(&log.piece);
    return r;
}

// ---- files ----

static int write_data(void *ctx, const void *data, size_t size)
{
    (void)ctx;
    cli_write(data, size);
    return 0;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

static void put_files(struct cli *cli, const struct cli_json *files)
{
    static const struct cli_column columns[] = {{"MODE", CLI_COLUMN_TEXT},
                                                {"USER", CLI_COLUMN_TEXT},
                                                {"SIZE", CLI_COLUMN_NUMBER},
                                                {"CHANGED", CLI_COLUMN_TEXT},
                                                {"NAME", CLI_COLUMN_TEXT}};
    struct cli_table *table = cli_table_new(cli, columns, ARRAY_COUNT(columns));
    for (const struct cli_json *file = files->first; file != NULL; file = file->next) {
        const char *mode = cli_json_text(file, "mode");
        const char *name = base_name(cli_json_text(file, "path"));
        cli_table_add(table, mode);
        cli_table_add(table, cli_json_text(file, "uid"));
        cli_table_add(table, cli_text_bytes(cli->arena, (uint64_t)cli_json_number(file, "size")));
        cli_table_add(table, cli_text_time(cli->arena, cli_json_number(file, "mtime")));
        cli_table_addf(table, "%s%s", name, mode[0] == 'd' ? "/" : "");
    }
    cli_table_print_or(table, "The directory is empty, or no directory.");
}

int cli_task_files(struct cli *cli, struct error *err)
{
    const char *path = cli->words[1] != NULL ? cli->words[1] : "";
    struct cli_sandbox sandbox;
    struct cli_answer answer;
    struct cli_json *files;
    if (cli_has_flag(cli, "get") && path[0] == '\0') {
        return error_set(err, CLI_ERROR_USAGE, "--get wants the PATH of a file");
    }
    int r = check_path(path, err);
    if (r == 0) {
        r = open_sandbox(cli, &sandbox, err);
    }
    if (r != 0) {
        return r;
    }
    if (cli_has_flag(cli, "get")) {
        return cli_sandbox_get(&sandbox, "download", path, "", write_data, NULL, &answer, err);
    }
    r = cli_sandbox_get(&sandbox, "browse", path, "", NULL, NULL, &answer, err);
    if (r != 0) {
        return r;
    }
    if (cli->output == CLI_JSON) {
        cli_write(answer.body, answer.size);
        cli_write("\n", 1);
        return 0;
    }
    r = cli_json_read(cli->arena, answer.body, answer.size, &files, err);
    if (r < 0) {
        return cli_wrap(err, CLI_ERROR_FAILED, "The answer cannot be read");
    }
    if (!cli->ids_only) {
        put_files(cli, files);
        return 0;
    }
    for (const struct cli_json *file = files->first; file != NULL; file = file->next) {
        const char *name = base_name(cli_json_text(file, "path"));
        cli_write(name, strlen(name));
        cli_write("\n", 1);
    }
    return 0;
}
