// SPDX-License-Identifier: Apache-2.0
//
// The flag parser. All values are gathered first (the command line, then the environment where the
// command line is silent), then converted in the tables' order.

#include "base/flags.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/text.h"

enum { FILE_SIZE_MAX = 16 << 20, NAME_SIZE_MAX = 128 };

// What the user gave for one row.
struct given {
    char *text;               // NULL while not given
    char name[NAME_SIZE_MAX]; // the name that was used
    bool from_environment;
};

struct parse {
    const struct flag_table *tables;
    size_t table_count;
    struct given *given; // per row, tables in order
    size_t row_count;
};

static void parse_free(struct parse *parse)
{
    for (size_t i = 0; parse->given != NULL && i < parse->row_count; i++)
        mem_free(parse->given[i].text);
    mem_free(parse->given);
}

static const struct flag *find_row(const struct parse *parse, const char *name, size_t *ret_index)
{
    size_t index = 0;

    for (size_t t = 0; t < parse->table_count; t++) {
        for (size_t i = 0; i < parse->tables[t].count; i++, index++) {
            const struct flag *flag = &parse->tables[t].rows[i];

            if (text_is_equal(flag->name, name) || text_is_equal(flag->alias, name)) {
                *ret_index = index;
                return flag;
            }
        }
    }
    return NULL;
}

// Lower case, "-" as "_", without a leading "no-". False when too long to be a flag.
static bool normalize(const char *s, size_t size, char name[NAME_SIZE_MAX], bool *ret_negated)
{
    *ret_negated = size > 3 && strncasecmp(s, "no-", 3) == 0;
    if (*ret_negated) {
        s += 3;
        size -= 3;
    }
    if (size >= NAME_SIZE_MAX)
        return false;
    for (size_t i = 0; i < size; i++)
        name[i] = (char)(s[i] == '-' ? '_' : s[i] >= 'A' && s[i] <= 'Z' ? s[i] - 'A' + 'a' : s[i]);
    name[size] = '\0';
    return true;
}

// The text that stands for `value` (NULL: none was written), which the caller frees.
static int resolve_value(const struct flag *flag, const char *name, bool negated, const char *value,
                         char **ret_text, struct error *err)
{
    if (flag->type != FLAG_BOOL) {
        if (negated)
            return error_set(err, -EINVAL, "Failed to load non-boolean flag '%s' via 'no-%s'", name,
                             name);
        if (value == NULL)
            return error_set(err, -EINVAL, "Failed to load non-boolean flag '%s': Missing value",
                             name);
        *ret_text = mem_strdup(value);
        return 0;
    }
    if (negated && value != NULL && value[0] != '\0')
        return error_set(err, -EINVAL,
                         "Failed to load boolean flag '%s' via 'no-%s' with value '%.60s'", name,
                         name, value);
    if (value == NULL || value[0] == '\0')
        value = negated ? "false" : "true";
    *ret_text = mem_strdup(value);
    return 0;
}

static int take_argument(struct parse *parse, const char *argument, struct error *err)
{
    const char *equals = strchr(argument, '=');
    size_t size = equals != NULL ? (size_t)(equals - argument) : strlen(argument);
    char name[NAME_SIZE_MAX];
    const struct flag *flag;
    struct given *given;
    bool negated;
    size_t index;

    flag = normalize(argument, size, name, &negated) ? find_row(parse, name, &index) : NULL;
    if (flag == NULL)
        return error_set(err, -EINVAL, "Failed to load unknown flag '%.*s'",
                         (int)(size < 100 ? size : 100), argument);
    given = &parse->given[index];
    if (given->text != NULL)
        return error_set(err, -EINVAL, "Flag '%s' is already loaded via name '%s'", name,
                         given->name);
    memcpy(given->name, name, sizeof(name));
    return resolve_value(flag, name, negated, equals != NULL ? equals + 1 : NULL, &given->text,
                         err);
}

static int take_arguments(struct parse *parse, int argc, char *const argv[], int *ret_special,
                          struct error *err)
{
    *ret_special = FLAGS_DONE;
    for (int i = 1; i < argc; i++) {
        AUTO_FREE char *copy = mem_strdup(argv[i]);
        const char *argument = text_trim(copy);
        int result;

        if (strcmp(argument, "--") == 0)
            break;
        if (!text_starts_with(argument, "--"))
            continue;
        if (strcmp(argument, "--help") == 0) {
            *ret_special = FLAGS_HELP;
            return 0;
        }
        if (strcmp(argument, "--version") == 0) {
            *ret_special = FLAGS_VERSION;
            return 0;
        }
        result = take_argument(parse, argument + 2, err);
        if (result < 0)
            return result;
    }
    return 0;
}

static int take_environment(struct parse *parse, char *const environment[], const char *prefix,
                            struct error *err)
{
    for (; environment != NULL && *environment != NULL; environment++) {
        const char *start = *environment + strlen(prefix), *equals;
        char name[NAME_SIZE_MAX];
        const struct flag *flag;
        struct given *given;
        bool negated;
        size_t index;
        int result;

        if (!text_starts_with(*environment, prefix) || (equals = strchr(start, '=')) == NULL ||
            !normalize(start, (size_t)(equals - start), name, &negated) ||
            (flag = find_row(parse, name, &index)) == NULL)
            continue;
        given = &parse->given[index];
        if (given->text != NULL && given->from_environment && strcmp(given->name, name) != 0)
            return error_set(err, -EINVAL, "Flag '%s' is already loaded via name '%s'", name,
                             given->name);
        if (given->text != NULL)
            continue;
        memcpy(given->name, name, sizeof(name));
        given->from_environment = true;
        result = resolve_value(flag, name, negated, equals + 1, &given->text, err);
        if (result < 0)
            return result;
    }
    return 0;
}

static void *value_at(const struct flag *flag, const void *values)
{
    return (char *)(uintptr_t)values + flag->offset;
}

static int parse_bool(const char *text, bool *ret_value, struct error *err)
{
    if (strcmp(text, "true") == 0 || strcmp(text, "1") == 0)
        *ret_value = true;
    else if (strcmp(text, "false") == 0 || strcmp(text, "0") == 0)
        *ret_value = false;
    else
        return error_set(err, -EINVAL, "Expecting a boolean (e.g., true or false)");
    return 0;
}

static int parse_text(const struct flag *flag, const char *text, char **ret_value,
                      struct error *err)
{
    if ((flag->options & FLAG_FILE) && text_starts_with(text, "file://"))
        return file_read(text + strlen("file://"), FILE_SIZE_MAX, ret_value, NULL, err);
    *ret_value = mem_strdup(text);
    return 0;
}

static int load(const struct flag *flag, const char *text, void *values, struct error *err)
{
    void *at = value_at(flag, values);

    switch (flag->type) {
    case FLAG_BOOL:
        return parse_bool(text, at, err);
    case FLAG_INT:
        return text_parse_i64(text, at, err);
    case FLAG_SIZE:
        return text_parse_u64(text, at, err);
    case FLAG_DOUBLE:
        return text_parse_double(text, at, err);
    case FLAG_TEXT:
        return parse_text(flag, text, at, err);
    case FLAG_DURATION:
        return text_parse_duration(text, at, err);
    case FLAG_BYTES:
        return text_parse_bytes(text, at, err);
    }
    return error_set(err, -EINVAL, "Unknown type of flag");
}

static int load_all(const struct parse *parse, void *values, struct error *err)
{
    size_t index = 0;

    for (size_t t = 0; t < parse->table_count; t++) {
        for (size_t i = 0; i < parse->tables[t].count; i++, index++) {
            const struct flag *flag = &parse->tables[t].rows[i];
            const struct given *given = &parse->given[index];
            const char *text = given->text != NULL ? given->text : flag->default_value;
            int result;

            if (given->text == NULL && (flag->options & FLAG_REQUIRED))
                return error_set(err, -EINVAL, "Flag '%s' is required, but it was not provided",
                                 flag->name);
            if (text == NULL)
                continue;
            result = load(flag, text, values, err);
            if (result < 0 && (flag->options & FLAG_SECRET))
                return error_wrap(err, result, "Failed to load flag '%s'", flag->name);
            if (result < 0)
                return error_wrap(err, result,
                                  "Failed to load flag '%s': Failed to load value '%.60s'",
                                  given->text != NULL ? given->name : flag->name, text);
        }
    }
    return 0;
}

int flags_parse(const struct flag_table *tables, size_t table_count, void *values, int argc,
                char *const argv[], char *const environment[], const char *environment_prefix,
                bool **ret_given, struct error *err)
{
    __attribute__((cleanup(parse_free))) struct parse parse = {tables, table_count, NULL, 0};
    int result, special;

    for (size_t t = 0; t < table_count; t++)
        parse.row_count += tables[t].count;
    parse.given = mem_calloc(parse.row_count, sizeof(*parse.given));

    result = take_arguments(&parse, argc, argv, &special, err);
    if (result < 0 || special != FLAGS_DONE)
        return result < 0 ? result : special;
    result = take_environment(&parse, environment, environment_prefix, err);
    if (result < 0)
        return result;
    result = load_all(&parse, values, err);
    if (result < 0) {
        flags_free(tables, table_count, values);
        return result;
    }
    if (ret_given != NULL) {
        *ret_given = mem_calloc(parse.row_count, sizeof(**ret_given));
        for (size_t i = 0; i < parse.row_count; i++)
            (*ret_given)[i] = parse.given[i].text != NULL;
    }
    return FLAGS_DONE;
}

void flags_free(const struct flag_table *tables, size_t table_count, void *values)
{
    for (size_t t = 0; t < table_count; t++) {
        for (size_t i = 0; i < tables[t].count; i++) {
            const struct flag *flag = &tables[t].rows[i];
            char **text = value_at(flag, values);

            if (flag->type == FLAG_TEXT)
                mem_free(TAKE_PTR(*text));
        }
    }
}

bool flag_put_value(const struct flag *flag, const void *values, struct buf *out)
{
    static const char zeros[8] = {0};
    const void *at = value_at(flag, values);
    size_t size = flag->type == FLAG_BOOL ? sizeof(bool) : 8;

    if ((flag->default_value == NULL || flag->type == FLAG_TEXT) && memcmp(at, zeros, size) == 0)
        return false;
    if (flag->options & FLAG_SECRET) {
        buf_puts(out, "***");
        return true;
    }
    switch (flag->type) {
    case FLAG_BOOL:
        buf_puts(out, *(const bool *)at ? "true" : "false");
        break;
    case FLAG_INT:
        buf_put_i64(out, *(const int64_t *)at);
        break;
    case FLAG_SIZE:
        buf_put_u64(out, *(const uint64_t *)at);
        break;
    case FLAG_DOUBLE:
        buf_printf(out, "%.15g", *(const double *)at);
        break;
    case FLAG_TEXT:
        buf_puts(out, *(char *const *)at);
        break;
    case FLAG_DURATION:
        text_put_duration(out, *(const int64_t *)at);
        break;
    case FLAG_BYTES:
        text_put_bytes(out, *(const uint64_t *)at);
        break;
    }
    return true;
}

static const struct flag help_rows[] = {
    {.name = "help", .type = FLAG_BOOL, .help = "Prints this help message."},
    {.name = "version", .type = FLAG_BOOL, .help = "Shows the version and exits."},
};

static int compare_names(const void *a, const void *b)
{
    return strcmp((*(const struct flag *const *)a)->name, (*(const struct flag *const *)b)->name);
}

static void put_help_name(struct buf *out, const struct flag *flag)
{
    const char *names[] = {flag->name, flag->alias};

    for (size_t i = 0; i < ARRAY_COUNT(names) && names[i] != NULL; i++)
        buf_printf(out, flag->type == FLAG_BOOL ? "%s--[no-]%s" : "%s--%s=VALUE",
                   i == 0 ? "  " : ", ", names[i]);
}

// The help's lines, each behind the column of the names; words are kept whole.
static void put_help_text(struct buf *out, const struct flag *flag)
{
    enum { WIDTH = 84 };
    AUTO_FREE char *text = flag->default_value != NULL && flag->default_value[0] != '\0'
                               ? mem_printf("%s (default: %s)", flag->help, flag->default_value)
                               : mem_strdup(flag->help);
    const char *at = text;

    while (*at != '\0') {
        const char *newline = strchrnul(at, '\n');
        size_t size = (size_t)(newline - at);

        if (size > WIDTH) {
            size = WIDTH;
            while (size > 0 && at[size] != ' ')
                size--;
            if (size == 0)
                size = strcspn(at, " \n");
        }
        buf_printf(out, "      %.*s\n", (int)size, at);
        at += size;
        if (*at == ' ' || *at == '\n')
            at++;
    }
}

void flags_put_help(const struct flag_table *tables, size_t table_count, const char *program,
                    struct buf *out)
{
    AUTO_FREE const struct flag **rows = NULL;
    size_t count = 0, at = 0;

    for (size_t t = 0; t < table_count; t++)
        count += tables[t].count;
    rows = mem_calloc(count + ARRAY_COUNT(help_rows), sizeof(*rows));
    for (size_t t = 0; t < table_count; t++)
        for (size_t i = 0; i < tables[t].count; i++)
            rows[at++] = &tables[t].rows[i];
    for (size_t i = 0; i < ARRAY_COUNT(help_rows); i++)
        rows[at++] = &help_rows[i];
    qsort(rows, at, sizeof(const struct flag *), compare_names);

    buf_printf(out, "Usage: %s [options]\n\n", program);
    for (size_t i = 0; i < at; i++) {
        put_help_name(out, rows[i]);
        buf_putc(out, '\n');
        put_help_text(out, rows[i]);
    }
}
