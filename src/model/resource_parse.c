// SPDX-License-Identifier: Apache-2.0
//
// Resources from flags: "cpus:4;mem(role):1024;ports:[1-2]" or a JSON array of Resource.

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "model/resource_entry.h"
#include "wire/wire.h"

// ---- text ----

// Cuts "name(role)" in place. The role stays as it is without parentheses.
static int parse_name(char *text, const char *token, char **ret_name, const char **role,
                      struct error *err)
{
    char *open = strchr(text, '(');
    if (open != NULL) {
        char *close = strchr(text, ')');
        if (close == NULL || close < open) {
            return error_set(err, -EINVAL, "Bad value for resources, mismatched parentheses in %s",
                             token);
        }
        *open = '\0';
        *close = '\0';
        *role = text_trim(open + 1);
    }
    *ret_name = text_trim(text);
    return 0;
}

static Mesos__V1__Resource *new_resource(char *name, const char *role,
                                         const Mesos__V1__Value *value, struct arena *arena)
{
    Mesos__V1__Resource *m = WIRE_NEW(arena, Mesos__V1__Resource, mesos__v1__resource);
    m->name = name;
    m->type = value->type;
    m->scalar = value->scalar;
    m->ranges = value->ranges;
    m->set = value->set;
    if (strcmp(role, "*") != 0) {
        Mesos__V1__Resource__ReservationInfo *reservation = WIRE_NEW(
            arena, Mesos__V1__Resource__ReservationInfo, mesos__v1__resource__reservation_info);
        reservation->has_type = 1;
        reservation->type = MESOS__V1__RESOURCE__RESERVATION_INFO__TYPE__STATIC;
        reservation->role = arena_strdup(arena, role);
        m->reservations = arena_dup(arena, &reservation, sizeof(reservation));
        m->n_reservations = 1;
    }
    return m;
}

static int parse_token(const char *token, const char *default_role, struct arena *arena,
                       Mesos__V1__Resource **ret_message, struct error *err)
{
    char *rest = NULL;
    char *copy = arena_strdup(arena, token);
    char *head = strtok_r(copy, ":", &rest);
    char *text = head != NULL ? strtok_r(NULL, ":", &rest) : NULL;
    if (text == NULL || strtok_r(NULL, ":", &rest) != NULL) {
        return error_set(err, -EINVAL, "Bad value for resources, missing or extra ':' in %s",
                         token);
    }
    char *name = NULL;
    const char *role = default_role;
    int r = parse_name(head, token, &name, &role, err);
    if (r < 0) {
        return r;
    }
    Mesos__V1__Value *value;
    struct error why;
    r = value_parse(text, arena, &value, &why);
    if (r < 0) {
        return error_set(err, r, "Failed to parse resource %s value %s error %s", name, text,
                         why.text);
    }
    if (value->type == MESOS__V1__VALUE__TYPE__TEXT) {
        return error_set(err, -EINVAL, "Bad type for resource %s value %s type TEXT", name, text);
    }
    *ret_message = new_resource(name, role, value, arena);
    return 0;
}

static int parse_text(const char *text, const char *default_role, struct arena *arena,
                      Mesos__V1__Resource ***ret_messages, size_t *ret_count, struct error *err)
{
    size_t capacity = 1;
    for (const char *s = text; *s != '\0'; s++) {
        capacity += *s == ';';
    }
    Mesos__V1__Resource **messages = arena_calloc(arena, capacity, sizeof(messages[0]));
    size_t count = 0;
    char *rest = NULL;
    for (char *token = strtok_r(arena_strdup(arena, text), ";", &rest); token != NULL;
         token = strtok_r(NULL, ";", &rest)) {
        int r = parse_token(token, default_role, arena, &messages[count], err);
        if (r < 0) {
            return r;
        }
        count++;
    }
    *ret_messages = messages;
    *ret_count = count;
    return 0;
}

// ---- JSON ----

static int parse_json(const char *text, const char *default_role, struct arena *arena,
                      Mesos__V1__Resource ***ret_messages, size_t *ret_count, struct error *err)
{
    ProtobufCMessage **messages;
    size_t count;
    struct error why;
    int r = wire_json_decode_list(&mesos__v1__resource__descriptor, arena, text, strlen(text),
                                  &messages, &count, &why);
    if (r < 0) {
        return error_set(err, r, "Some JSON resources were not formatted properly: %s", why.text);
    }
    Mesos__V1__Resource **resources = arena_calloc(arena, count + 1, sizeof(resources[0]));
    for (size_t i = 0; i < count; i++) {
        resources[i] = (Mesos__V1__Resource *)messages[i];
        bool has_role = resources[i]->role != NULL &&
                        resources[i]->role != mesos__v1__resource__role__default_value;
        if (!has_role && resources[i]->n_reservations == 0) {
            resources[i]->role = arena_strdup(arena, default_role);
        }
    }
    *ret_messages = resources;
    *ret_count = count;
    return 0;
}

// ---- both ----

// What only programs may ask for, and names that mean one thing only.
static int validate_flag(const struct resources *r, struct error *err)
{
    for (uint32_t i = 0; i < r->count; i++) {
        const struct resource_kind *kind = r->entries[i].kind;
        if (kind->persistent) {
            return error_set(err, -EINVAL,
                             "Persistent volumes cannot be specified at the command line");
        }
        if (kind->revocable) {
            return error_set(err, -EINVAL,
                             "Revocable resources cannot be specified at the command line; do not "
                             "include a 'revocable' key in the resources JSON");
        }
        if (kind->dynamic) {
            return error_set(err, -EINVAL,
                             "Dynamic reservations cannot be specified at the command line; do "
                             "not include a reservation with DYNAMIC type in the resources JSON");
        }
        for (uint32_t k = 0; k < i; k++) {
            const struct resource_kind *other = r->entries[k].kind;
            if (strcmp(other->name, kind->name) == 0 && other->type != kind->type) {
                return error_set(err, -EINVAL,
                                 "Resources with the same name ('%s') but different types are not "
                                 "allowed",
                                 kind->name);
            }
        }
    }
    return 0;
}

int resources_parse(const char *text, const char *default_role, struct resources **ret_resources,
                    struct error *err)
{
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    const char *start = text + strspn(text, " \t\r\n");
    Mesos__V1__Resource **messages = NULL;
    size_t count = 0;
    int r = *start == '[' ? parse_json(start, default_role, arena, &messages, &count, err)
                          : parse_text(text, default_role, arena, &messages, &count, err);
    if (r < 0) {
        return r;
    }
    AUTO_RESOURCES struct resources *parsed = resources_new();
    for (size_t i = 0; i < count; i++) {
        r = resources_validate(messages[i], err);
        if (r < 0) {
            return r;
        }
        struct resource_entry entry;
        resource_entry_from_proto(messages[i], &entry);
        resources_add_entry(parsed, &entry);
        resource_entry_drop(&entry);
    }
    r = validate_flag(parsed, err);
    if (r < 0) {
        return r;
    }
    *ret_resources = TAKE_PTR(parsed);
    return 0;
}
