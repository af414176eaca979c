// SPDX-License-Identifier: Apache-2.0
//
// The part of TOML that a configuration file needs: tables, strings, whole numbers, booleans, lists
// of strings, comments. What goes beyond (inline tables, dates, fractions, text of several lines)
// is an error that names its line. A value can be replaced in the text, comments and all else left
// as they are.

#pragma once

#include <stddef.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

enum toml_type { TOML_TEXT, TOML_NUMBER, TOML_BOOL, TOML_LIST };

struct toml_entry {
    const char *key; // with its table's: "master.zookeeper.path"
    enum toml_type type;
    const char *text; // the string; or the number, or true or false, as it is written
    const char **items;
    size_t item_count; // of a list
    unsigned line;
    size_t line_at;             // offset of its line
    size_t value_at, value_end; // offsets
};

struct toml_table {
    const char *name; // "" above all headers
    size_t end;       // offset behind the line of its header or of its last entry
};

struct toml {
    struct toml_entry *entries;
    size_t count;
    struct toml_table *tables;
    size_t table_count;
};

enum { TOML_SIZE_MAX = 64 * 1024 };

// Everything lives in the arena, nothing borrows from `text`. -EINVAL: "line 3: ...".
int toml_parse(struct arena *arena, const char *text, size_t size, struct toml *ret_toml,
               struct error *err);
const struct toml_entry *toml_get(const struct toml *toml, const char *key); // NULL: absent

// Appends the text with the key set to `value`, which is TOML already; or, with NULL, without it.
void toml_put_changed(const struct toml *toml, const char *text, size_t size, const char *key,
                      const char *value, struct buf *out);
void toml_put_string(const char *text, struct buf *out); // with its quotes
