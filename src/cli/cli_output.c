// SPDX-License-Identifier: Apache-2.0
//
// What goes to standard output: tables, fields, JSON. A table on a terminal never wraps: ids give
// up all but their last part, the last columns go where there is no room at all, and then the
// widest are cut. Elsewhere nothing is ever cut.

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/cli.h"

#define GAP "  "
enum { CUT_MIN = 6, FIELD_WIDTH = 14, PIPE_CLOSED = 141 /* as a shell shows SIGPIPE */ };

// ---- bytes ----

static void no_reader(void)
{
    if (errno != EPIPE) {
        fprintf(stderr, "mesos: cannot write: %s\n", strerror(errno));
        _exit(CLI_FAILED);
    }
    _exit(PIPE_CLOSED);
}

void cli_write(const void *data, size_t size)
{
    if (size > 0 && fwrite(data, 1, size, stdout) != size) {
        no_reader();
    }
}

void cli_flush(void)
{
    if (fflush(stdout) != 0) {
        no_reader();
    }
}

static void put(const char *text)
{
    cli_write(text, strlen(text));
}

static void put_spaces(size_t count)
{
    static const char spaces[] = "                                ";
    while (count > 0) {
        size_t now = count < sizeof(spaces) - 1 ? count : sizeof(spaces) - 1;
        cli_write(spaces, now);
        count -= now;
    }
}

// ---- tables ----

struct cli_table {
    struct cli *cli;
    const struct cli_column *columns;
    size_t column_count;
    size_t shown_count; // columns that the terminal has room for
    const char **cells;
    size_t count, capacity; // of cells
};

struct cli_table *cli_table_new(struct cli *cli, const struct cli_column *columns, size_t count)
{
    struct cli_table *table = arena_zalloc(cli->arena, sizeof(*table));
    table->cli = cli;
    table->columns = columns;
    table->column_count = table->shown_count = count;
    return table;
}

void cli_table_add(struct cli_table *table, const char *text)
{
    struct arena *arena = table->cli->arena;
    if (table->count == table->capacity) {
        size_t capacity = table->capacity * 2 + 64;
        const char **cells = arena_alloc(arena, capacity * sizeof(cells[0]));
        if (table->count > 0) {
            memcpy(cells, table->cells, table->count * sizeof(cells[0]));
        }
        table->cells = cells;
        table->capacity = capacity;
    }
    const char *clean = text != NULL && text[0] != '\0' ? cli_clean(arena, text) : "-";
    table->cells[table->count++] = arena_strdup(arena, clean);
}

void cli_table_addf(struct cli_table *table, const char *format, ...)
{
    AUTO_BUF struct buf text = BUF_INIT;
    va_list args;
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    cli_table_add(table, text.data);
}

static void measure(const struct cli_table *table, size_t *widths)
{
    for (size_t c = 0; c < table->column_count; c++) {
        widths[c] = cli_text_width(table->columns[c].title);
    }
    for (size_t i = 0, c = 0; i < table->count; i++) {
        size_t width = cli_text_width(table->cells[i]);
        widths[c] = width > widths[c] ? width : widths[c];
        c = c + 1 < table->column_count ? c + 1 : 0;
    }
}

// What the shown columns take when none is wider than `most`.
static size_t sum_of(const struct cli_table *table, const size_t *widths, size_t most)
{
    size_t sum = (table->shown_count - 1) * strlen(GAP);
    for (size_t c = 0; c < table->shown_count; c++) {
        sum += widths[c] < most ? widths[c] : most;
    }
    return sum;
}

// "f1b2...-S3" as "S3", where no other row would be called so. A whole id stays typeable, and so
// does its last part.
static void shorten_ids(struct cli_table *table, size_t column)
{
    struct map seen = MAP_INIT; // last part -> the id that has it
    bool is_unique = true;
    for (size_t i = column; i < table->count; i += table->column_count) {
        const char *dash = strrchr(table->cells[i], '-');
        const char *last = dash != NULL && dash[1] != '\0' ? dash + 1 : table->cells[i];
        const char *other = map_get(&seen, last);
        is_unique = is_unique && (other == NULL || strcmp(other, table->cells[i]) == 0);
        map_put(&seen, last, (void *)(uintptr_t)table->cells[i]);
    }
    map_free(&seen);
    for (size_t i = column; is_unique && i < table->count; i += table->column_count) {
        const char *dash = strrchr(table->cells[i], '-');
        if (dash != NULL && dash[1] != '\0') {
            table->cells[i] = dash + 1;
        }
    }
}

static void fit(struct cli_table *table, size_t *widths)
{
    size_t width = table->cli->width;
    for (size_t c = table->column_count; c > 0 && sum_of(table, widths, SIZE_MAX) > width; c--) {
        if (table->columns[c - 1].kind == CLI_COLUMN_ID) {
            shorten_ids(table, c - 1);
            measure(table, widths);
        }
    }
    while (table->shown_count > 1 && sum_of(table, widths, CUT_MIN) > width) {
        table->shown_count--;
    }
    while (sum_of(table, widths, SIZE_MAX) > width) {
        size_t widest = 0;
        for (size_t c = 1; c < table->shown_count; c++) {
            widest = widths[c] > widths[widest] ? c : widest;
        }
        widths[widest]--;
    }
}

static const char *colour_of(const char *state)
{
    static const struct {
        const char *state, *colour;
    } colours[] = {
        {"running", "32"},      {"active", "32"},      {"finished", "32"},
        {"killed", "33"},       {"starting", "33"},    {"staging", "33"},
        {"killing", "33"},      {"draining", "33"},    {"drained", "33"},
        {"recovering", "33"},   {"deactivated", "33"}, {"unreachable", "31"},
        {"failed", "31"},       {"error", "31"},       {"lost", "31"},
        {"dropped", "31"},      {"gone", "31"},        {"inactive", "31"},
        {"disconnected", "31"}, {"down", "31"},        {"gone_by_operator", "31"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(colours); i++) {
        if (strcmp(colours[i].state, state) == 0) {
            return colours[i].colour;
        }
    }
    return NULL;
}

// At most `width` columns of the text; what is cut ends with "…".
static void put_cut(const char *text, size_t width)
{
    size_t shown = 0;
    bool is_cut = cli_text_width(text) > width;
    const char *at = text;
    while (*at != '\0') {
        bool begins = ((unsigned char)*at & 0xc0) != 0x80;
        if (is_cut && begins && shown + 1 >= width) {
            break;
        }
        shown += begins;
        at++;
    }
    cli_write(text, (size_t)(at - text));
    if (is_cut) {
        put("…");
    }
}

static void put_cell(const struct cli_table *table, size_t column, const char *text, size_t width,
                     const char *colour)
{
    size_t own = cli_text_width(text);
    size_t pad = own < width ? width - own : 0;
    bool is_right = table->columns[column].kind == CLI_COLUMN_NUMBER;
    bool is_last = column + 1 == table->shown_count;
    if (is_right) {
        put_spaces(pad);
    }
    if (colour != NULL) {
        put("\033[");
        put(colour);
        put("m");
    }
    put_cut(text, width);
    if (colour != NULL) {
        put("\033[0m");
    }
    if (!is_right && !is_last) {
        put_spaces(pad);
    }
    put(is_last ? "\n" : GAP);
}

void cli_table_print(struct cli_table *table)
{
    size_t *widths = arena_calloc(table->cli->arena, table->column_count, sizeof(widths[0]));
    measure(table, widths);
    if (table->cli->width > 0) {
        fit(table, widths);
    }
    bool has_colours = table->cli->has_colours;
    for (size_t c = 0; c < table->shown_count; c++) {
        put_cell(table, c, table->columns[c].title, widths[c], has_colours ? "1" : NULL);
    }
    for (size_t i = 0, c = 0; i < table->count; i++, c = c < table->column_count ? c : 0) {
        if (c >= table->shown_count) {
            c++;
            continue;
        }
        const char *colour = has_colours && table->columns[c].kind == CLI_COLUMN_STATE
                                 ? colour_of(table->cells[i])
                                 : NULL;
        put_cell(table, c, table->cells[i], widths[c], colour);
        c++;
    }
    cli_flush();
}

void cli_table_print_or(struct cli_table *table, const char *text_if_empty)
{
    if (table->count > 0) {
        cli_table_print(table);
    } else if (isatty(STDERR_FILENO) && isatty(STDOUT_FILENO)) {
        fprintf(stderr, "%s\n", text_if_empty);
    }
}

// ---- one thing ----

void cli_field(struct cli *cli, const char *name, const char *value)
{
    if (value == NULL || value[0] == '\0') {
        return;
    }
    put(cli->has_colours ? "\033[1m" : "");
    put(name);
    put(cli->has_colours ? ":\033[0m" : ":");
    size_t width = strlen(name) + 1;
    put_spaces(width < FIELD_WIDTH ? FIELD_WIDTH - width : 1);
    put(cli_clean(cli->arena, value));
    put("\n");
}

void cli_fieldf(struct cli *cli, const char *name, const char *format, ...)
{
    AUTO_BUF struct buf text = BUF_INIT;
    va_list args;
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    cli_field(cli, name, text.data);
}

void cli_heading(struct cli *cli, const char *text)
{
    put(cli->has_colours ? "\n\033[1m" : "\n");
    put(text);
    put(cli->has_colours ? "\033[0m\n" : "\n");
}

void cli_say(const struct cli *cli, const char *format, ...)
{
    if (cli->ids_only) {
        return;
    }
    AUTO_BUF struct buf text = BUF_INIT;
    va_list args;
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    cli_write(text.data, text.size);
    put("\n");
    cli_flush();
}

// ---- JSON ----

void cli_json_list_open(struct cli_json_list *list)
{
    list->has_items = false;
}

void cli_json_list_put_text(struct cli_json_list *list, const char *text)
{
    put(list->has_items ? ",\n" : "[\n");
    list->has_items = true;
    put(text);
}

void cli_json_list_put(struct cli_json_list *list, const ProtobufCMessage *message)
{
    AUTO_BUF struct buf out = BUF_INIT;
    wire_json_encode(message, &out);
    cli_json_list_put_text(list, out.data);
}

void cli_json_list_close(struct cli_json_list *list)
{
    put(list->has_items ? "\n]\n" : "[]\n");
    cli_flush();
}

void cli_json_put(const ProtobufCMessage *message)
{
    AUTO_BUF struct buf out = BUF_INIT;
    wire_json_encode(message, &out);
    buf_putc(&out, '\n');
    cli_write(out.data, out.size);
    cli_flush();
}

void cli_json_put_done(const char *key, const char *id, const char *done)
{
    AUTO_BUF struct buf out = BUF_INIT;
    struct json_writer w;
    json_begin(&w, &out);
    json_object_open(&w);
    json_key_string(&w, key, id);
    json_key_string(&w, "done", done);
    json_object_close(&w);
    buf_putc(&out, '\n');
    cli_write(out.data, out.size);
    cli_flush();
}

// ---- questions ----

int cli_confirm(struct cli *cli, const char *question, struct error *err)
{
    if (cli_has_flag(cli, "yes")) {
        return 0;
    }
    if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO)) {
        return error_set(err, CLI_ERROR_USAGE, "%s There is no terminal to ask at: give --yes",
                         question);
    }
    fprintf(stderr, "%s [y/N] ", question);
    char answer[16];
    if (fgets(answer, sizeof(answer), stdin) == NULL || (answer[0] != 'y' && answer[0] != 'Y')) {
        return error_set(err, CLI_ERROR_FAILED, "Nothing was done");
    }
    return 0;
}

// ---- lists ----

void cli_list_open(struct cli_list *list, struct cli *cli, const struct cli_column *columns,
                   size_t column_count)
{
    list->cli = cli;
    list->table = cli_table_new(cli, columns, column_count);
    cli_json_list_open(&list->json);
}

bool cli_list_put(struct cli_list *list, const char *id, const ProtobufCMessage *message)
{
    if (list->cli->output == CLI_JSON) {
        cli_json_list_put(&list->json, message);
        return false;
    }
    if (list->cli->ids_only) {
        put(id);
        put("\n");
        return false;
    }
    return true;
}

void cli_list_close(struct cli_list *list, const char *text_if_empty)
{
    if (list->cli->output == CLI_JSON) {
        cli_json_list_close(&list->json);
    } else if (!list->cli->ids_only) {
        cli_table_print_or(list->table, text_if_empty);
    }
}
