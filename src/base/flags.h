// SPDX-License-Identifier: Apache-2.0
//
// Flags as rows of one table per program. The struct that holds the values, the parser, `--help`,
// `/flags` and the configuration page all come from the table. Meaning as in Mesos (stout's flags):
//   --name=value; booleans also --name and --no-name; never "--name value" (the value would be a
//   stray word, and stray words are skipped); "--" ends the flags; names are lower-cased and "-"
//   counts as "_"; MESOS_NAME in the environment, where the command line wins; an unknown flag,
//   one given twice or under two of its names is an error; unknown MESOS_* are ignored.
// A text flag's value of the form file:///path is replaced by that file's content, where the row
// says so (FLAG_FILE).

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

enum flag_type {
    FLAG_BOOL,     // bool
    FLAG_INT,      // int64_t
    FLAG_SIZE,     // uint64_t, not negative
    FLAG_DOUBLE,   // double
    FLAG_TEXT,     // char *, NULL while unset; owned by the struct
    FLAG_DURATION, // int64_t nanoseconds
    FLAG_BYTES,    // uint64_t bytes
};

enum { FLAG_REQUIRED = 1, FLAG_FILE = 2, FLAG_SECRET = 4 /* shown as "***" */ };

struct flag {
    const char *name;  // with underscores
    const char *alias; // deprecated name, or NULL
    enum flag_type type;
    size_t offset;             // of the value in the program's struct
    const char *default_value; // as text, or NULL: unset (0, false, NULL)
    unsigned options;          // FLAG_REQUIRED, ...
    const char *help;          // sentences for --help and the configuration page
};

#define FLAG_ROW(struct_type, member, flag_name, flag_alias, flag_type, text, opts, help_text)     \
    {                                                                                              \
        .name = (flag_name), .alias = (flag_alias), .type = (flag_type),                           \
        .offset = offsetof(struct_type, member), .default_value = (text), .options = (opts),       \
        .help = (help_text)                                                                        \
    }

struct flag_table {
    const struct flag *rows;
    size_t count;
};

enum flags_result { FLAGS_DONE = 0, FLAGS_HELP = 1, FLAGS_VERSION = 2 };

// Fills `values` (zeroed by the caller) from defaults, `environment` (may be NULL) and the command
// line. Several tables may describe one struct (a program's own and the logging flags). Returns
// FLAGS_HELP or FLAGS_VERSION when --help or --version was given (then required flags may lack), or
// a negative code with a text that names the flag; in these cases `values` owns nothing.
// `ret_given` (may be NULL) gets, per table row in order, whether it was set by the user; the
// caller frees it. `environment_prefix` is "MESOS_".
int flags_parse(const struct flag_table *tables, size_t table_count, void *values, int argc,
                char *const argv[], char *const environment[], const char *environment_prefix,
                bool **ret_given, struct error *err);
void flags_free(const struct flag_table *tables, size_t table_count, void *values);

// The value as Mesos' /flags shows it ("10secs", "true", "2GB"). Returns false when the flag is
// unset and has no default: then /flags leaves it out.
bool flag_put_value(const struct flag *flag, const void *values, struct buf *out);
void flags_put_help(const struct flag_table *tables, size_t table_count, const char *program,
                    struct buf *out);
