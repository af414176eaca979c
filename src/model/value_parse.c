// SPDX-License-Identifier: Apache-2.0
//
// The text form of values, as --resources and --attributes give it.

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "model/value.h"
#include "wire/wire.h"

static bool are_brackets_matching(const char *s, char open, char close)
{
    size_t depth = 0;
    for (; *s != '\0'; s++) {
        if (*s == open) {
            depth++;
        } else if (*s == close && depth-- == 0) {
            return false;
        }
    }
    return depth == 0;
}

// Cuts `text` in place at each of `separators`; empty pieces are left out. In the arena.
static size_t split(char *text, const char *separators, struct arena *arena, char ***ret_pieces)
{
    size_t capacity = 1;
    for (const char *s = text; *s != '\0'; s++) {
        capacity += strchr(separators, *s) != NULL;
    }
    char **pieces = arena_calloc(arena, capacity, sizeof(pieces[0]));
    size_t count = 0;
    char *rest = NULL;
    for (char *piece = strtok_r(text, separators, &rest); piece != NULL;
         piece = strtok_r(NULL, separators, &rest)) {
        pieces[count++] = piece;
    }
    *ret_pieces = pieces;
    return count;
}

static void set_ranges(Mesos__V1__Value__Ranges *message, const struct range *items, size_t count,
                       struct arena *arena)
{
    message->n_range = count;
    message->range = arena_calloc(arena, count, sizeof(message->range[0]));
    for (size_t i = 0; i < count; i++) {
        message->range[i] = WIRE_NEW(arena, Mesos__V1__Value__Range, mesos__v1__value__range);
        message->range[i]->begin = items[i].begin;
        message->range[i]->end = items[i].end;
    }
}

static int parse_ranges(char *text, struct arena *arena, Mesos__V1__Value *value, struct error *err)
{
    char **pieces;
    size_t count = split(text, "[]-,\n", arena, &pieces);
    if (count % 2 != 0) {
        return error_set(err, -EINVAL, "Expecting one or more \"ranges\"");
    }
    struct range *items = arena_calloc(arena, count / 2 + 1, sizeof(items[0]));
    bool is_sound = true;
    for (size_t i = 0; i < count; i += 2) {
        struct range *range = &items[i / 2];
        if (text_parse_u64(pieces[i], &range->begin, NULL) != 0 ||
            text_parse_u64(pieces[i + 1], &range->end, NULL) != 0) {
            return error_set(err, -EINVAL, "Expecting non-negative integers in '%s'", pieces[i]);
        }
        is_sound = is_sound && range->begin <= range->end;
    }
    value->type = MESOS__V1__VALUE__TYPE__RANGES;
    value->ranges = WIRE_NEW(arena, Mesos__V1__Value__Ranges, mesos__v1__value__ranges);
    if (!is_sound) {
        set_ranges(value->ranges, items, count / 2, arena);
        return 0;
    }
    struct ranges *merged = ranges_new(items, count / 2);
    if (merged != NULL) {
        set_ranges(value->ranges, merged->items, merged->count, arena);
    }
    ranges_drop(merged);
    return 0;
}

static void parse_set(char *text, struct arena *arena, Mesos__V1__Value *value)
{
    value->type = MESOS__V1__VALUE__TYPE__SET;
    value->set = WIRE_NEW(arena, Mesos__V1__Value__Set, mesos__v1__value__set);
    value->set->n_item = split(text, "{},\n", arena, &value->set->item);
}

// A number that can be worked with is a scalar, everything else is text.
static int parse_scalar_or_text(char *text, struct arena *arena, Mesos__V1__Value *value,
                                struct error *err)
{
    double number;
    if (text_parse_double(text, &number, NULL) == 0) {
        if (__builtin_fpclassify(0, 1, 2, 3, 4, number) == 3) {
            return error_set(err, -EINVAL, "Subnormal values not supported");
        }
        if (number >= 0) {
            value->type = MESOS__V1__VALUE__TYPE__SCALAR;
            value->scalar = WIRE_NEW(arena, Mesos__V1__Value__Scalar, mesos__v1__value__scalar);
            value->scalar->value = number;
            return 0;
        }
    }
    value->type = MESOS__V1__VALUE__TYPE__TEXT;
    value->text = WIRE_NEW(arena, Mesos__V1__Value__Text, mesos__v1__value__text);
    value->text->value = text;
    return 0;
}

int value_parse(const char *text, struct arena *arena, Mesos__V1__Value **ret_value,
                struct error *err)
{
    char *packed = arena_strdup(arena, text);
    char *end = packed;
    for (const char *s = text; *s != '\0'; s++) {
        if (*s != ' ') {
            *end++ = *s;
        }
    }
    *end = '\0';
    if (*packed == '\0') {
        return error_set(err, -EINVAL, "Expecting non-empty string");
    }
    if (!are_brackets_matching(packed, '{', '}') || !are_brackets_matching(packed, '[', ']') ||
        !are_brackets_matching(packed, '(', ')')) {
        return error_set(err, -EINVAL, "Mismatched brackets");
    }
    Mesos__V1__Value *value = WIRE_NEW(arena, Mesos__V1__Value, mesos__v1__value);
    int r = 0;
    if (*packed == '[') {
        r = parse_ranges(packed, arena, value, err);
    } else if (strchr(packed, '[') != NULL) {
        r = error_set(err, -EINVAL, "Unexpected '[' found");
    } else if (*packed == '{') {
        parse_set(packed, arena, value);
    } else if (strchr(packed, '{') != NULL) {
        r = error_set(err, -EINVAL, "Unexpected '{' found");
    } else {
        r = parse_scalar_or_text(packed, arena, value, err);
    }
    if (r == 0) {
        *ret_value = value;
    }
    return r;
}
