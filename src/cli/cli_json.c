// SPDX-License-Identifier: Apache-2.0

#include "cli/cli_json.h"

#include <string.h>

#include "base/text.h"
#include "wire/json.h"

// Reads the value whose first token is `token`. The depth has the reader's limit.
static struct cli_json *read_value(struct arena *arena, struct json_reader *r,
                                   enum json_token token);

static struct cli_json *read_children(struct arena *arena, struct json_reader *r,
                                      struct cli_json *json, enum json_token close)
{
    struct cli_json **end = &json->first;
    for (;;) {
        enum json_token token = json_next(r);
        const char *key = NULL;
        if (token == close) {
            return json;
        }
        if (token == JSON_KEY) {
            size_t size;
            const char *text = json_text(r, &size);
            key = arena_strndup(arena, text, size);
            token = json_next(r);
        }
        struct cli_json *child = read_value(arena, r, token);
        if (child == NULL) {
            return NULL;
        }
        child->key = key;
        *end = child;
        end = &child->next;
        json->count++;
    }
}

static struct cli_json *read_value(struct arena *arena, struct json_reader *r,
                                   enum json_token token)
{
    struct cli_json *json = arena_zalloc(arena, sizeof(*json));
    size_t size;
    const char *text;
    switch (token) {
    case JSON_OBJECT_OPEN:
        json->type = CLI_JSON_OBJECT;
        return read_children(arena, r, json, JSON_OBJECT_CLOSE);
    case JSON_ARRAY_OPEN:
        json->type = CLI_JSON_ARRAY;
        return read_children(arena, r, json, JSON_ARRAY_CLOSE);
    case JSON_STRING:
    case JSON_NUMBER:
        json->type = token == JSON_STRING ? CLI_JSON_TEXT : CLI_JSON_NUMBER;
        text = json_text(r, &size);
        json->text = arena_strndup(arena, text, size);
        return json;
    case JSON_TRUE:
    case JSON_FALSE:
        json->type = CLI_JSON_BOOL;
        json->text = token == JSON_TRUE ? "true" : "false";
        return json;
    case JSON_NULL:
        return json;
    default:
        return NULL;
    }
}

int cli_json_read(struct arena *arena, const char *text, size_t size, struct cli_json **ret_json,
                  struct error *err)
{
    struct json_reader *r = json_reader_new(arena, text, size);
    struct cli_json *json = read_value(arena, r, json_next(r));
    if (json == NULL || json_next(r) != JSON_END) {
        return json_reader_error(r, err);
    }
    *ret_json = json;
    return 0;
}

const struct cli_json *cli_json_get(const struct cli_json *json, const char *key)
{
    static const struct cli_json none = {.type = CLI_JSON_NULL};
    for (const struct cli_json *at = json->first; at != NULL; at = at->next) {
        if (text_is_equal(at->key, key)) {
            return at;
        }
    }
    return &none;
}

const char *cli_json_text(const struct cli_json *json, const char *key)
{
    const struct cli_json *value = cli_json_get(json, key);
    return value->text != NULL ? value->text : "";
}

double cli_json_number(const struct cli_json *json, const char *key)
{
    const struct cli_json *value = cli_json_get(json, key);
    double number = 0;
    if (value->type == CLI_JSON_NUMBER && text_parse_double(value->text, &number, NULL) < 0) {
        number = 0;
    }
    return number;
}
