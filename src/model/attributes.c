// SPDX-License-Identifier: Apache-2.0
//
// Attributes as text.

#include "model/attributes.h"

#include <errno.h>
#include <string.h>

#include "model/value.h"
#include "wire/wire.h"

static int parse_pair(char *pair, struct arena *arena, Mesos__V1__Attribute **ret_attribute,
                      struct error *err)
{
    char *colon = strchr(pair, ':');
    if (colon == NULL || colon == pair || colon[1] == '\0') {
        return error_set(err, -EINVAL, "Invalid attribute key:value pair '%s'", pair);
    }
    *colon = '\0';
    Mesos__V1__Value *value;
    struct error why;
    int r = value_parse(colon + 1, arena, &value, &why);
    if (r < 0) {
        return error_set(err, r, "Failed to parse attribute %s text %s error %s", pair, colon + 1,
                         why.text);
    }
    Mesos__V1__Attribute *attribute = WIRE_NEW(arena, Mesos__V1__Attribute, mesos__v1__attribute);
    attribute->name = pair;
    attribute->type = value->type;
    attribute->scalar = value->scalar;
    attribute->ranges = value->ranges;
    attribute->set = value->set;
    attribute->text = value->text;
    *ret_attribute = attribute;
    return 0;
}

int attributes_parse(const char *text, struct arena *arena, Mesos__V1__Attribute ***ret_attributes,
                     size_t *ret_count, struct error *err)
{
    size_t capacity = 1;
    for (const char *s = text; *s != '\0'; s++) {
        capacity += *s == ';' || *s == '\n';
    }
    Mesos__V1__Attribute **attributes = arena_calloc(arena, capacity, sizeof(attributes[0]));
    size_t count = 0;
    char *rest = NULL;
    for (char *pair = strtok_r(arena_strdup(arena, text), ";\n", &rest); pair != NULL;
         pair = strtok_r(NULL, ";\n", &rest)) {
        int r = parse_pair(pair, arena, &attributes[count], err);
        if (r < 0) {
            return r;
        }
        count++;
    }
    *ret_attributes = attributes;
    *ret_count = count;
    return 0;
}

void attribute_put_text(const Mesos__V1__Attribute *attribute, struct buf *out)
{
    if (attribute->type == MESOS__V1__VALUE__TYPE__SCALAR && attribute->scalar != NULL) {
        scalar_put_text(scalar_from_double(attribute->scalar->value), out);
    } else if (attribute->type == MESOS__V1__VALUE__TYPE__RANGES && attribute->ranges != NULL) {
        value_put_ranges_text(attribute->ranges, out);
    } else if (attribute->type == MESOS__V1__VALUE__TYPE__SET && attribute->set != NULL) {
        value_put_set_text(attribute->set, out);
    } else if (attribute->type == MESOS__V1__VALUE__TYPE__TEXT && attribute->text != NULL) {
        buf_puts(out, attribute->text->value);
    }
}
