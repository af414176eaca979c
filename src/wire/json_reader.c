// SPDX-License-Identifier: Apache-2.0
//
// The pull reader: a state machine over the scanner. The kinds of the open containers are bits of
// one word, so nesting costs no memory.

#include <errno.h>
#include <string.h>

#include "base/arena.h"
#include "wire/json.h"
#include "wire/json_scan.h"
#include "wire/wire.h"

//   AT_VALUE --(scalar)--> BEHIND_VALUE --(',')--> AT_KEY or AT_VALUE
//   AT_VALUE --('{')--> AT_FIRST_KEY     AT_VALUE --('[')--> AT_FIRST_ITEM
//   BEHIND_VALUE --(end of the outermost value)--> DONE
enum reader_state {
    AT_VALUE,
    AT_FIRST_KEY,  // or '}'
    AT_FIRST_ITEM, // or ']'
    BEHIND_VALUE,  // a comma or the end of the container
    DONE,
    FAILED,
};

struct json_reader {
    struct json_scan scan;
    struct arena *arena;
    enum reader_state state;
    unsigned depth;
    uint64_t objects; // bit i: the container at level i + 1 is an object
    enum json_token last;
    const char *text; // of the last key, string or number
    size_t text_size;
};

struct json_reader *json_reader_new(struct arena *arena, const char *text, size_t size)
{
    struct json_reader *r = arena_zalloc(arena, sizeof(*r));
    r->arena = arena;
    json_scan_init(&r->scan, text, size);
    if (size > WIRE_SIZE_MAX) {
        error_set(&r->scan.error, -EFBIG, "JSON text of %zu bytes is over the limit", size);
        r->state = FAILED;
    }
    return r;
}

static enum json_token token(struct json_reader *r, enum json_token token, enum reader_state next)
{
    r->state = next;
    r->last = token;
    return token;
}

static enum json_token failed(struct json_reader *r)
{
    return token(r, JSON_ERROR, FAILED);
}

static void keep_string(struct json_reader *r, const struct json_slice *slice)
{
    char *copy = arena_alloc(r->arena, slice->size + 1);
    r->text_size = json_unescape(slice, copy);
    copy[r->text_size] = '\0';
    r->text = copy;
}

static enum json_token read_open(struct json_reader *r, char c)
{
    if (r->depth == WIRE_DEPTH_MAX) {
        json_scan_fail(&r->scan, "nested too deeply");
        return failed(r);
    }
    r->scan.at++;
    uint64_t bit = UINT64_C(1) << r->depth++;
    if (c == '{') {
        r->objects |= bit;
        return token(r, JSON_OBJECT_OPEN, AT_FIRST_KEY);
    }
    r->objects &= ~bit;
    return token(r, JSON_ARRAY_OPEN, AT_FIRST_ITEM);
}

static enum json_token read_close(struct json_reader *r)
{
    bool in_object = (r->objects >> (r->depth - 1) & 1) != 0;
    if (json_scan_char(&r->scan, in_object ? '}' : ']') < 0) {
        return failed(r);
    }
    r->depth--;
    return token(r, in_object ? JSON_OBJECT_CLOSE : JSON_ARRAY_CLOSE, BEHIND_VALUE);
}

static enum json_token read_literal(struct json_reader *r, const char *literal,
                                    enum json_token which)
{
    return json_scan_literal(&r->scan, literal) < 0 ? failed(r) : token(r, which, BEHIND_VALUE);
}

static enum json_token read_value(struct json_reader *r)
{
    struct json_slice slice;
    char c = json_scan_peek(&r->scan);
    switch (c) {
    case '{':
    case '[':
        return read_open(r, c);
    case '"':
        if (json_scan_string(&r->scan, &slice) < 0) {
            return failed(r);
        }
        keep_string(r, &slice);
        return token(r, JSON_STRING, BEHIND_VALUE);
    case 't':
        return read_literal(r, "true", JSON_TRUE);
    case 'f':
        return read_literal(r, "false", JSON_FALSE);
    case 'n':
        return read_literal(r, "null", JSON_NULL);
    default:
        if (r->scan.at == r->scan.end) {
            json_scan_fail(&r->scan, "unexpected end of the text");
            return failed(r);
        }
        if (json_scan_number(&r->scan, &slice) < 0) {
            return failed(r);
        }
        keep_string(r, &slice);
        return token(r, JSON_NUMBER, BEHIND_VALUE);
    }
}

static enum json_token read_key(struct json_reader *r)
{
    struct json_slice slice;
    json_scan_peek(&r->scan);
    if (json_scan_string(&r->scan, &slice) < 0 || json_scan_char(&r->scan, ':') < 0) {
        return failed(r);
    }
    keep_string(r, &slice);
    return token(r, JSON_KEY, AT_VALUE);
}

static enum json_token read_behind_value(struct json_reader *r)
{
    if (r->depth == 0) {
        return json_scan_finish(&r->scan) < 0 ? failed(r) : token(r, JSON_END, DONE);
    }
    if (json_scan_peek(&r->scan) != ',') {
        return read_close(r);
    }
    r->scan.at++;
    bool in_object = (r->objects >> (r->depth - 1) & 1) != 0;
    return in_object ? read_key(r) : read_value(r);
}

enum json_token json_next(struct json_reader *r)
{
    r->text = "";
    r->text_size = 0;
    switch (r->state) {
    case AT_VALUE:
        return read_value(r);
    case AT_FIRST_KEY:
        return json_scan_peek(&r->scan) == '}' ? read_close(r) : read_key(r);
    case AT_FIRST_ITEM:
        return json_scan_peek(&r->scan) == ']' ? read_close(r) : read_value(r);
    case BEHIND_VALUE:
        return read_behind_value(r);
    case DONE:
        return JSON_END;
    case FAILED:
        break;
    }
    return JSON_ERROR;
}

const char *json_text(const struct json_reader *r, size_t *ret_size)
{
    if (ret_size != NULL) {
        *ret_size = r->text_size;
    }
    return r->text;
}

int json_skip(struct json_reader *r)
{
    if (r->last == JSON_KEY) {
        json_next(r);
    }
    if (r->last == JSON_OBJECT_OPEN || r->last == JSON_ARRAY_OPEN) {
        unsigned outside = r->depth - 1;
        while (r->depth > outside && r->state != FAILED) {
            json_next(r);
        }
    }
    return r->state == FAILED ? r->scan.error.code : 0;
}

int json_reader_error(const struct json_reader *r, struct error *err)
{
    if (r->scan.error.code == 0) {
        return 0;
    }
    return error_set(err, r->scan.error.code, "%s", r->scan.error.text);
}
