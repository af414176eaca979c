// SPDX-License-Identifier: Apache-2.0
//
// GET /roles: every role that somebody uses, with its ancestors, and what its subtree holds.

#include <stdlib.h>
#include <string.h>

#include "api/master_v0.h"
#include "base/mem.h"
#include "wire/wire.h"

// Amounts by resource name; a name is there once something of it was added.
struct quantity {
    const char *name;
    double value;
};

struct quantities {
    struct quantity list[64];
    size_t count;
};

static void add_quantity(struct quantities *q, const char *name, double value)
{
    for (size_t i = 0; i < q->count; i++) {
        if (strcmp(q->list[i].name, name) == 0) {
            q->list[i].value += value;
            return;
        }
    }
    if (q->count < ARRAY_COUNT(q->list))
        q->list[q->count++] = (struct quantity){.name = name, .value = value};
}

static double message_quantity(const Mesos__V1__Resource *resource)
{
    if (resource->type == MESOS__V1__VALUE__TYPE__SCALAR && resource->scalar != NULL)
        return resource->scalar->value;
    double count = 0;
    if (resource->ranges != NULL) {
        for (size_t i = 0; i < resource->ranges->n_range; i++)
            count +=
                (double)(resource->ranges->range[i]->end - resource->ranges->range[i]->begin + 1);
    }
    if (resource->set != NULL)
        count += (double)resource->set->n_item;
    return count;
}

static bool is_within(const char *role, const char *root)
{
    size_t size = strlen(root);
    return strncmp(role, root, size) == 0 && (role[size] == '\0' || role[size] == '/');
}

static void add_allocated(struct quantities *q, struct arena *arena, const struct resources *r,
                          const char *root)
{
    Mesos__V1__Resource **messages;
    size_t count = resources_to_proto(r, arena, RESOURCES_NEW_FORM, true, &messages);
    for (size_t i = 0; i < count; i++) {
        const Mesos__V1__Resource__AllocationInfo *allocation = messages[i]->allocation_info;
        if (allocation != NULL && allocation->role != NULL && is_within(allocation->role, root))
            add_quantity(q, messages[i]->name, message_quantity(messages[i]));
    }
}

static void add_reserved(struct quantities *q, struct arena *arena, const struct resources *r,
                         const char *root)
{
    const char **roles;
    size_t role_count = resources_reserved_roles(r, arena, &roles);
    for (size_t i = 0; i < role_count; i++) {
        if (!is_within(roles[i], root))
            continue;
        AUTO_RESOURCES struct resources *part = resources_reserved(r, roles[i]);
        Mesos__V1__Resource **messages;
        size_t count = resources_to_proto(part, arena, RESOURCES_NEW_FORM, false, &messages);
        for (size_t k = 0; k < count; k++)
            add_quantity(q, messages[k]->name, message_quantity(messages[k]));
    }
}

static void put_quantities(struct json_writer *w, const char *key, const struct quantities *q)
{
    json_key(w, key);
    json_object_open(w);
    for (size_t i = 0; i < q->count; i++)
        json_key_double(w, q->list[i].name, q->list[i].value);
    json_object_close(w);
}

static void add_all(struct quantities *to, const struct quantities *from, double sign)
{
    for (size_t i = 0; i < from->count; i++)
        add_quantity(to, from->list[i].name, sign * from->list[i].value);
}

static void put_quota(struct json_writer *w, const struct master *m, struct arena *arena,
                      const char *role, const struct quantities *allocated,
                      const struct quantities *reserved)
{
    struct quantities consumed = *allocated, used = {.count = 0};
    MAP_FOREACH (&m->agents, entry)
        add_reserved(&used, arena, ((const struct agent *)entry->value)->used, role);
    add_all(&consumed, reserved, 1);
    add_all(&consumed, &used, -1);
    json_key(w, "quota");
    json_object_open(w);
    json_key_string(w, "role", role);
    struct quantities guarantee = {.count = 0}, limit = {.count = 0};
    const struct quota *quota = map_get(&m->quotas, role);
    for (size_t i = 0; quota != NULL && i < quota->config->n_guarantees; i++)
        add_quantity(&guarantee, quota->config->guarantees[i]->key,
                     quota->config->guarantees[i]->value->value);
    for (size_t i = 0; quota != NULL && i < quota->config->n_limits; i++)
        add_quantity(&limit, quota->config->limits[i]->key, quota->config->limits[i]->value->value);
    put_quantities(w, "guarantee", &guarantee);
    put_quantities(w, "limit", &limit);
    put_quantities(w, "consumed", &consumed);
    json_object_close(w);
}

bool master_v0_is_in_role(const struct framework *f, const char *role)
{
    for (size_t i = 0; i < f->role_count; i++) {
        if (strcmp(f->roles[i], role) == 0)
            return true;
    }
    return resources_are_allocated_to(f->used, role);
}

static void put_role(struct json_writer *w, const struct master *m, const char *role)
{
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    struct quantities allocated = {.count = 0}, offered = {.count = 0}, reserved = {.count = 0};
    MAP_FOREACH (&m->frameworks, entry) {
        const struct framework *f = entry->value;
        add_allocated(&allocated, arena, f->used, role);
        add_allocated(&offered, arena, f->offered, role);
    }
    MAP_FOREACH (&m->agents, entry)
        add_reserved(&reserved, arena, ((const struct agent *)entry->value)->total, role);
    const double *weight = map_get(&m->weights, role);
    json_object_open(w);
    json_key_string(w, "name", role);
    json_key_double(w, "weight", weight != NULL ? *weight : 1.0);
    put_quota(w, m, arena, role, &allocated, &reserved);
    struct quantities sum = allocated;
    add_all(&sum, &offered, 1);
    put_quantities(w, "resources", &sum);
    put_quantities(w, "allocated", &allocated);
    put_quantities(w, "offered", &offered);
    put_quantities(w, "reserved", &reserved);
    json_key(w, "frameworks");
    json_array_open(w);
    MAP_FOREACH (&m->frameworks, entry) {
        const struct framework *f = entry->value;
        if (master_v0_is_in_role(f, role))
            json_string(w, f->id);
    }
    json_array_close(w);
    json_object_close(w);
}

// The role and all above it.
static void add_role(struct map *known, const char *role)
{
    AUTO_FREE char *name = mem_strdup(role);
    for (;;) {
        map_put(known, name, known);
        char *slash = strrchr(name, '/');
        if (slash == NULL)
            return;
        *slash = '\0';
    }
}

static void collect_roles(const struct master *m, struct map *known)
{
    if (m->options.roles != NULL) {
        for (size_t i = 0; i < m->options.role_count; i++)
            add_role(known, m->options.roles[i]);
        return;
    }
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    MAP_FOREACH (&m->frameworks, entry) {
        const struct framework *f = entry->value;
        for (size_t i = 0; i < f->role_count; i++)
            add_role(known, f->roles[i]);
        const char **roles; // it may have left some of them
        size_t count = resources_allocated_roles(f->used, arena, &roles);
        for (size_t i = 0; i < count; i++)
            add_role(known, roles[i]);
    }
    MAP_FOREACH (&m->agents, entry) {
        const char **roles;
        const struct agent *a = entry->value;
        size_t count = resources_reserved_roles(a->total, arena, &roles);
        for (size_t i = 0; i < count; i++)
            add_role(known, roles[i]);
    }
    MAP_FOREACH (&m->weights, entry)
        add_role(known, entry->key);
    MAP_FOREACH (&m->quotas, entry)
        add_role(known, entry->key);
}

// ---- metrics ----

// What is in use of a role's quota.
struct quota_use {
    struct quantities held;     // or offered, by the role and those beneath it
    struct quantities consumed; // held, or reserved and not used
};

struct quota_uses {
    struct map by_role; // role -> struct quota_use
    struct map kept;    // name of a resource -> the same, in `names`
    struct arena *names;
};

static double quantity_of(const struct quantities *q, const char *name)
{
    for (size_t i = 0; i < q->count; i++) {
        if (strcmp(q->list[i].name, name) == 0)
            return q->list[i].value;
    }
    return 0;
}

// Names live longer than the messages that they come with.
static const char *keep_name(struct quota_uses *uses, const char *name)
{
    const char *kept = map_get(&uses->kept, name);
    if (kept == NULL) {
        kept = arena_strdup(uses->names, name);
        map_put(&uses->kept, name, (void *)(uintptr_t)kept);
    }
    return kept;
}

// Adds to the role and all above it, as far as they have a quota.
static void add_use(struct quota_uses *uses, const char *role, const Mesos__V1__Resource *resource,
                    bool is_held, double sign)
{
    const char *resource_name = NULL;
    AUTO_FREE char *name = mem_strdup(role);
    for (;;) {
        struct quota_use *use = map_get(&uses->by_role, name);
        double value = sign * message_quantity(resource);
        if (use != NULL && resource_name == NULL)
            resource_name = keep_name(uses, resource->name);
        if (use != NULL && is_held)
            add_quantity(&use->held, resource_name, value);
        if (use != NULL)
            add_quantity(&use->consumed, resource_name, value);
        char *slash = strrchr(name, '/');
        if (slash == NULL)
            return;
        *slash = '\0';
    }
}

static void add_reservations(struct quota_uses *uses, struct arena *arena,
                             const struct resources *r, double sign)
{
    const char **roles;
    size_t role_count = resources_reserved_roles(r, arena, &roles);
    for (size_t i = 0; i < role_count; i++) {
        AUTO_RESOURCES struct resources *part = resources_reserved(r, roles[i]);
        Mesos__V1__Resource **messages;
        size_t count = resources_to_proto(part, arena, RESOURCES_NEW_FORM, false, &messages);
        for (size_t k = 0; k < count; k++)
            add_use(uses, roles[i], messages[k], false, sign);
    }
}

static void add_uses(const struct master *m, struct quota_uses *uses)
{
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    MAP_FOREACH (&m->frameworks, entry) {
        const struct framework *f = entry->value;
        const struct resources *both[] = {f->used, f->offered};
        for (size_t i = 0; i < ARRAY_COUNT(both); i++) {
            Mesos__V1__Resource **messages;
            arena_reset(arena);
            size_t count = resources_to_proto(both[i], arena, RESOURCES_NEW_FORM, true, &messages);
            for (size_t k = 0; k < count; k++) {
                const Mesos__V1__Resource__AllocationInfo *a = messages[k]->allocation_info;
                if (a != NULL && a->role != NULL)
                    add_use(uses, a->role, messages[k], true, 1);
            }
        }
    }
    // What is reserved counts, and was counted already where it is held.
    MAP_FOREACH (&m->agents, entry) {
        const struct agent *a = entry->value;
        arena_reset(arena);
        add_reservations(uses, arena, a->total, 1);
        add_reservations(uses, arena, a->used, -1);
        add_reservations(uses, arena, a->offered, -1);
    }
}

static void put_quota_metric(struct api_metric_sink *sink, const char *role, const char *resource,
                             const char *what, double value)
{
    AUTO_FREE char *name =
        mem_printf("allocator/mesos/quota/roles/%s/resources/%s/%s", role, resource, what);
    api_metric(sink, name, value);
}

void master_roles_put_metrics(const struct master *m, struct api_metric_sink *sink)
{
    if (m->quotas.count == 0)
        return;
    struct quota_uses uses = {.names = arena_new(0, 0)};
    MAP_FOREACH (&m->quotas, entry)
        map_put(&uses.by_role, entry->key, mem_zalloc(sizeof(struct quota_use)));
    add_uses(m, &uses);
    MAP_FOREACH (&m->quotas, entry) {
        const Mesos__V1__Quota__QuotaConfig *config = ((const struct quota *)entry->value)->config;
        const struct quota_use *use = map_get(&uses.by_role, entry->key);
        for (size_t i = 0; i < config->n_guarantees; i++) {
            const char *name = config->guarantees[i]->key;
            put_quota_metric(sink, entry->key, name, "guarantee",
                             config->guarantees[i]->value->value);
            put_quota_metric(sink, entry->key, name, "offered_or_allocated",
                             quantity_of(&use->held, name));
        }
        for (size_t i = 0; i < config->n_limits; i++) {
            const char *name = config->limits[i]->key;
            put_quota_metric(sink, entry->key, name, "limit", config->limits[i]->value->value);
            put_quota_metric(sink, entry->key, name, "offered_or_allocated",
                             quantity_of(&use->held, name));
        }
        for (size_t i = 0; i < use->consumed.count; i++)
            put_quota_metric(sink, entry->key, use->consumed.list[i].name, "consumed",
                             use->consumed.list[i].value);
    }
    MAP_FOREACH (&uses.by_role, entry)
        mem_free(entry->value);
    map_free(&uses.by_role);
    map_free(&uses.kept);
    arena_free(uses.names);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

size_t master_v0_roles(const struct master *m, struct arena *arena, const char ***ret_names)
{
    struct map known = MAP_INIT;
    collect_roles(m, &known);
    const char **names = arena_calloc(arena, known.count + 1, sizeof(*names));
    size_t count = 0;
    MAP_FOREACH (&known, entry)
        names[count++] = arena_strdup(arena, entry->key);
    map_free(&known);
    qsort(names, count, sizeof(*names), compare_names);
    *ret_names = names;
    return count;
}

static void roles_endpoint(void *ctx, struct http_request *r)
{
    struct master_server *server = ctx;
    if (!master_require_leader(server, r))
        return;
    const struct master *m = server->core;
    const char **names;
    size_t count = master_v0_roles(m, http_arena(r), &names);
    AUTO_BUF struct buf out = BUF_INIT;
    struct json_writer w;
    json_begin(&w, &out);
    json_object_open(&w);
    json_key(&w, "roles");
    json_array_open(&w);
    for (size_t i = 0; i < count; i++)
        put_role(&w, m, names[i]);
    json_array_close(&w);
    json_object_close(&w);
    api_respond_json(r, &out);
}

static const struct api_route routes[] = {
    {"/roles", NULL, roles_endpoint, "Roles with their weights and what they hold."},
};

void master_roles_add_routes(struct master_server *server)
{
    api_router_add(server->router, routes, ARRAY_COUNT(routes), server);
}
