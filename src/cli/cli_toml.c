// SPDX-License-Identifier: Apache-2.0
//
// Reads the file in one pass, line by line where TOML has lines. Time is linear in its size but for
// the look for keys that come twice, of which a file of this size has few enough.

#include "cli/cli_toml.h"

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "wire/wire.h"

enum { ENTRIES_MAX = 200, TABLES_MAX = 50, ITEMS_MAX = 100 };

struct reader {
    struct arena *arena;
    const char *start, *at, *end;
    unsigned line;
    struct toml *toml;
    const char *table; // the current one's name
    struct error *err;
};

static int fail(struct reader *r, const char *what)
{
    return error_set(r->err, -EINVAL, "line %u: %s", r->line, what);
}

static char peek(const struct reader *r)
{
    return r->at < r->end ? *r->at : '\n';
}

static void skip_blanks(struct reader *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\t')) {
        r->at++;
    }
}

// Blanks and a comment up to the line's end, and the end itself.
static int skip_line_end(struct reader *r)
{
    skip_blanks(r);
    if (r->at < r->end && *r->at == '#') {
        while (r->at < r->end && *r->at != '\n') {
            r->at++;
        }
    }
    if (r->at < r->end && *r->at == '\r') {
        r->at++;
    }
    if (r->at < r->end && *r->at != '\n') {
        return fail(r, "something stands behind what should end the line");
    }
    if (r->at < r->end) {
        r->at++;
        r->line++;
    }
    return 0;
}

static bool is_bare(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
}

// "text" with the escapes that have one character, or 'text' as it is.
static int read_string(struct reader *r, const char **ret_text)
{
    char quote = *r->at++;
    struct buf out = BUF_INIT;
    int result = 0;
    for (;; r->at++) {
        char c = peek(r);
        if (c == quote && r->at < r->end) {
            r->at++;
            break;
        }
        if ((unsigned char)c < ' ' && c != '\t') {
            result = fail(r, "a string does not end on its line");
            break;
        }
        if (c == '\\' && quote == '"') {
            static const char from[] = "\"\\tnr", to[] = "\"\\\t\n\r";
            r->at++;
            const char *found = peek(r) != '\0' ? strchr(from, peek(r)) : NULL;
            if (found == NULL) {
                result = fail(r, "an unknown escape in a string");
                break;
            }
            c = to[found - from];
        }
        buf_putc(&out, c);
    }
    if (result == 0) {
        *ret_text = arena_strndup(r->arena, out.size > 0 ? out.data : "", out.size);
    }
    buf_free(&out);
    return result;
}

// "a.b.c", with blanks around the dots and quotes around the parts, as its plain text.
static int read_key(struct reader *r, const char **ret_key)
{
    struct buf key = BUF_INIT;
    int result = 0;
    do {
        if (key.size > 0) {
            r->at++;
            buf_putc(&key, '.');
        }
        skip_blanks(r);
        const char *begin = r->at;
        const char *part = NULL;
        if (peek(r) == '"' || peek(r) == '\'') {
            result = read_string(r, &part);
        } else {
            while (r->at < r->end && is_bare(*r->at)) {
                r->at++;
            }
            part = arena_strndup(r->arena, begin, (size_t)(r->at - begin));
        }
        if (result == 0 && part[0] == '\0') {
            result = fail(r, "a name is missing");
        }
        if (result == 0) {
            buf_puts(&key, part);
            skip_blanks(r);
        }
    } while (result == 0 && peek(r) == '.');
    if (result == 0) {
        *ret_key = arena_strndup(r->arena, key.data, key.size);
    }
    buf_free(&key);
    return result;
}

// Blanks, line ends and comments within a list.
static int skip_in_list(struct reader *r)
{
    skip_blanks(r);
    while (r->at < r->end && (peek(r) == '\n' || peek(r) == '\r' || peek(r) == '#')) {
        int result = skip_line_end(r);
        if (result < 0) {
            return result;
        }
        skip_blanks(r);
    }
    return 0;
}

static int read_list(struct reader *r, struct toml_entry *entry)
{
    r->at++;
    entry->type = TOML_LIST;
    entry->items = arena_calloc(r->arena, ITEMS_MAX, sizeof(entry->items[0]));
    for (;;) {
        int result = skip_in_list(r);
        if (result < 0) {
            return result;
        }
        if (peek(r) == ']') {
            r->at++;
            return 0;
        }
        if (peek(r) != '"' && peek(r) != '\'') {
            return fail(r, "a list may hold strings only");
        }
        if (entry->item_count == ITEMS_MAX) {
            return fail(r, "a list is too long");
        }
        result = read_string(r, &entry->items[entry->item_count]);
        if (result == 0) {
            entry->item_count++;
            result = skip_in_list(r);
        }
        if (result < 0) {
            return result;
        }
        if (peek(r) == ',') {
            r->at++;
        } else if (peek(r) != ']') {
            return fail(r, "expected ',' or ']' in a list");
        }
    }
}

static int read_value(struct reader *r, struct toml_entry *entry)
{
    if (peek(r) == '"' || peek(r) == '\'') {
        entry->type = TOML_TEXT;
        return read_string(r, &entry->text);
    }
    if (peek(r) == '[') {
        return read_list(r, entry);
    }
    const char *begin = r->at;
    while (r->at < r->end && (is_bare(*r->at) || *r->at == '+')) {
        r->at++;
    }
    entry->text = arena_strndup(r->arena, begin, (size_t)(r->at - begin));
    int64_t number;
    if (strcmp(entry->text, "true") == 0 || strcmp(entry->text, "false") == 0) {
        entry->type = TOML_BOOL;
        return 0;
    }
    entry->type = TOML_NUMBER;
    if (entry->text[0] == '\0' || text_parse_i64(entry->text, &number, NULL) < 0) {
        return fail(r, "expected a string in quotes, a whole number, true, false or a list");
    }
    return 0;
}

static int read_table(struct reader *r)
{
    r->at++;
    if (peek(r) == '[') {
        return fail(r, "lists of tables are not supported");
    }
    int result = read_key(r, &r->table);
    if (result == 0 && (r->at == r->end || *r->at != ']')) {
        result = fail(r, "expected ']' behind the name of a table");
    }
    if (result < 0) {
        return result;
    }
    r->at++;
    result = skip_line_end(r);
    if (result == 0 && r->toml->table_count == TABLES_MAX) {
        result = fail(r, "there are too many tables");
    }
    if (result == 0) {
        r->toml->tables[r->toml->table_count++] =
            (struct toml_table){r->table, (size_t)(r->at - r->start)};
    }
    return result;
}

static int read_entry(struct reader *r, const char *line_at)
{
    struct toml_entry entry = {.line = r->line, .line_at = (size_t)(line_at - r->start)};
    const char *name;
    int result = read_key(r, &name);
    if (result == 0 && (r->at == r->end || *r->at != '=')) {
        result = fail(r, "expected '=' behind a name");
    }
    if (result < 0) {
        return result;
    }
    r->at++;
    skip_blanks(r);
    entry.key = r->table[0] == '\0' ? name : arena_printf(r->arena, "%s.%s", r->table, name);
    entry.value_at = (size_t)(r->at - r->start);
    result = read_value(r, &entry);
    entry.value_end = (size_t)(r->at - r->start);
    if (result == 0) {
        result = skip_line_end(r);
    }
    if (result == 0 && toml_get(r->toml, entry.key) != NULL) {
        return error_set(r->err, -EINVAL, "line %u: '%s' is set a second time", entry.line,
                         entry.key);
    }
    if (result == 0 && r->toml->count == ENTRIES_MAX) {
        result = fail(r, "there are too many settings");
    }
    if (result == 0) {
        r->toml->entries[r->toml->count++] = entry;
        r->toml->tables[r->toml->table_count - 1].end = (size_t)(r->at - r->start);
    }
    return result;
}

int toml_parse(struct arena *arena, const char *text, size_t size, struct toml *ret_toml,
               struct error *err)
{
    struct toml toml = {
        .entries = arena_calloc(arena, ENTRIES_MAX, sizeof(toml.entries[0])),
        .tables = arena_calloc(arena, TABLES_MAX, sizeof(toml.tables[0])),
        .table_count = 1,
    };
    toml.tables[0].name = "";
    struct reader r = {arena, text, text, text + size, 1, &toml, "", err};
    if (size > TOML_SIZE_MAX) {
        return error_set(err, -EFBIG, "it is larger than %d bytes", TOML_SIZE_MAX);
    }
    if (memchr(text, '\0', size) != NULL) {
        return error_set(err, -EINVAL, "it holds a NUL byte");
    }
    while (r.at < r.end) {
        const char *line_at = r.at;
        skip_blanks(&r);
        int result = 0;
        if (peek(&r) == '[') {
            result = read_table(&r);
        } else if (peek(&r) == '#' || peek(&r) == '\n' || peek(&r) == '\r') {
            result = skip_line_end(&r);
        } else {
            result = read_entry(&r, line_at);
        }
        if (result < 0) {
            return result;
        }
    }
    *ret_toml = toml;
    return 0;
}

const struct toml_entry *toml_get(const struct toml *toml, const char *key)
{
    for (size_t i = 0; i < toml->count; i++) {
        if (strcmp(toml->entries[i].key, key) == 0) {
            return &toml->entries[i];
        }
    }
    return NULL;
}

void toml_put_string(const char *text, struct buf *out)
{
    static const char from[] = "\"\\\t\n\r", to[] = "\"\\tnr";
    buf_putc(out, '"');
    for (; *text != '\0'; text++) {
        const char *found = strchr(from, *text);
        if (found != NULL) {
            buf_putc(out, '\\');
        }
        buf_putc(out, found != NULL ? to[found - from] : *text);
    }
    buf_putc(out, '"');
}

// Where the line that holds `at` ends, its end included.
static size_t line_end(const char *text, size_t size, size_t at)
{
    while (at < size && text[at] != '\n') {
        at++;
    }
    return at < size ? at + 1 : size;
}

static void put_new(const struct toml *toml, const char *text, size_t size, const char *key,
                    const char *value, struct buf *out)
{
    const char *dot = strrchr(key, '.');
    size_t table_size = dot != NULL ? (size_t)(dot - key) : 0;
    const struct toml_table *table = NULL;
    for (size_t i = 0; i < toml->table_count; i++) {
        const char *name = toml->tables[i].name;
        if (strlen(name) == table_size && strncmp(name, key, table_size) == 0) {
            table = &toml->tables[i];
        }
    }
    size_t at = table != NULL ? table->end : size;
    buf_append(out, text, at);
    if (at > 0 && text[at - 1] != '\n') {
        buf_putc(out, '\n');
    }
    if (table == NULL) {
        buf_printf(out, "%s[%.*s]\n", at > 0 ? "\n" : "", (int)table_size, key);
    }
    buf_printf(out, "%s = %s\n", dot != NULL ? dot + 1 : key, value);
    buf_append(out, text + at, size - at);
}

void toml_put_changed(const struct toml *toml, const char *text, size_t size, const char *key,
                      const char *value, struct buf *out)
{
    const struct toml_entry *entry = toml_get(toml, key);
    if (entry == NULL && value != NULL) {
        put_new(toml, text, size, key, value, out);
        return;
    }
    if (entry == NULL) {
        buf_append(out, text, size);
        return;
    }
    size_t from = value != NULL ? entry->value_at : entry->line_at;
    size_t to = value != NULL ? entry->value_end : line_end(text, size, entry->value_end);
    buf_append(out, text, from);
    if (value != NULL) {
        buf_puts(out, value);
    }
    buf_append(out, text + to, size - to);
}
