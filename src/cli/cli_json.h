// SPDX-License-Identifier: Apache-2.0
//
// A JSON text as a tree in an arena, for answers that are not messages of Mesos' APIs.

#pragma once

#include <stddef.h>

#include "base/arena.h"
#include "base/error.h"

enum cli_json_type {
    CLI_JSON_NULL,
    CLI_JSON_BOOL,
    CLI_JSON_NUMBER,
    CLI_JSON_TEXT,
    CLI_JSON_ARRAY,
    CLI_JSON_OBJECT
};

struct cli_json {
    enum cli_json_type type;
    const char *key;  // within an object
    const char *text; // of a string; of a number and a boolean as written
    struct cli_json *first, *next;
    size_t count; // of what it holds
};

int cli_json_read(struct arena *arena, const char *text, size_t size, struct cli_json **ret_json,
                  struct error *err);
// What lies beneath the key; of a value that is no object, or has no such key, an empty one.
const struct cli_json *cli_json_get(const struct cli_json *json, const char *key);
const char *cli_json_text(const struct cli_json *json, const char *key); // "" when there is none
double cli_json_number(const struct cli_json *json, const char *key);    // 0 when there is none
