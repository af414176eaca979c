// SPDX-License-Identifier: Apache-2.0
//
// Frameworks for the dashboard: the table, running and completed ones together, and one framework;
// and the roles, each with what it has itself (the page adds up the tree).

#include <string.h>

#include "api/master_dashboard.h"
#include "api/v0_json.h"
#include "base/mem.h"
#include "model/framework.h"
#include "model/task_state.h"
#include "wire/wire.h"

enum column { NAME, ID, STATE, ROLES, TASKS, CPUS, MEM, DISK, GPUS, SHARE, REGISTERED, ENDED };

static const struct dashboard_column columns[] = {
    [NAME] = {.name = "name", .is_text = true},
    [ID] = {.name = "id", .is_text = true},
    [STATE] = {.name = "state", .is_text = true},
    [ROLES] = {.name = "roles", .is_text = true},
    [TASKS] = {.name = "tasks", .descends = true},
    [CPUS] = {.name = "cpus", .descends = true},
    [MEM] = {.name = "mem", .descends = true},
    [DISK] = {.name = "disk", .descends = true},
    [GPUS] = {.name = "gpus", .descends = true},
    [SHARE] = {.name = "share", .descends = true},
    [REGISTERED] = {.name = "registered", .descends = true},
    [ENDED] = {.name = "ended", .descends = true},
};

static const char *state_of(const struct framework *f)
{
    if (f->completed)
        return "completed";
    if (f->recovered)
        return "recovered";
    if (f->subscriber == NULL)
        return "disconnected";
    return f->active ? "active" : "inactive";
}

// The largest of its shares in its roles.
static double share_of(const struct framework *f)
{
    double share = 0;
    for (size_t i = 0; i < f->role_count && !f->completed; i++) {
        double one = allocator_dominant_share(f->master->allocator, f->roles[i], f->id);
        share = one > share ? one : share;
    }
    return share;
}

static bool is_found(const struct dashboard_query *q, const struct framework *f)
{
    unsigned found = dashboard_terms_in(q, f->info->name) | dashboard_terms_in(q, f->id) |
                     dashboard_terms_in(q, f->info->user) |
                     dashboard_terms_in(q, f->info->principal) | dashboard_terms_in(q, state_of(f));
    for (size_t i = 0; i < f->role_count; i++)
        found |= dashboard_terms_in(q, f->roles[i]);
    return dashboard_has_all(q, found);
}

static void add(struct dashboard_rows *rows, const struct dashboard_query *q,
                const struct framework *f)
{
    if (!is_found(q, f))
        return;
    double number;
    switch ((enum column)q->column) {
    case NAME:
        dashboard_rows_add_text(rows, f, f->info->name);
        return;
    case ID:
        dashboard_rows_add_text(rows, f, f->id);
        return;
    case STATE:
        dashboard_rows_add_text(rows, f, state_of(f));
        return;
    case ROLES:
        dashboard_rows_add_text(rows, f, f->role_count > 0 ? f->roles[0] : "");
        return;
    case TASKS:
        number = (double)f->tasks.count;
        break;
    case SHARE:
        number = share_of(f);
        break;
    case REGISTERED:
        number = (double)f->registered;
        break;
    case ENDED:
        number = (double)f->unregistered;
        break;
    default:
        number = (double)resources_scalar(f->used, columns[q->column].name);
        break;
    }
    dashboard_rows_add_number(rows, f, number);
}

static void put_roles(struct json_writer *w, const struct framework *f)
{
    json_key(w, "roles");
    json_array_open(w);
    for (size_t i = 0; i < f->role_count; i++)
        json_string(w, f->roles[i]);
    json_array_close(w);
}

static void put_states(struct json_writer *w, const struct framework *f)
{
    json_key(w, "states");
    json_object_open(w);
    for (unsigned i = 0; i < TASK_STATE_COUNT; i++) {
        if (f->states[i] > 0)
            json_key_u64(w, task_state_name((Mesos__V1__TaskState)i), f->states[i]);
    }
    json_object_close(w);
    json_key(w, "ended_states");
    json_object_open(w);
    for (unsigned i = 0; i < TASK_STATE_COUNT; i++) {
        if (f->terminal[i] > 0)
            json_key_u64(w, task_state_name((Mesos__V1__TaskState)i), f->terminal[i]);
    }
    json_object_close(w);
}

static void put_members(struct json_writer *w, const struct framework *f)
{
    json_key_string(w, "id", f->id);
    json_key_string(w, "name", f->info->name);
    json_key_string(w, "state", state_of(f));
    json_key_string(w, "user", f->info->user);
    json_key_string(w, "principal", f->info->principal);
    json_key_string(w, "hostname", f->info->hostname);
    json_key_string(w, "webui_url", f->info->webui_url);
    put_roles(w, f);
    json_key_u64(w, "tasks", f->tasks.count);
    json_key_u64(w, "unreachable_tasks", f->unreachable.count);
    json_key_u64(w, "completed_tasks", f->completed_count);
    put_states(w, f);
    dashboard_put_resources(w, "used", f->used);
    dashboard_put_resources(w, "offered", f->offered);
    json_key_double(w, "share", share_of(f));
    json_key_double(w, "registered", master_v0_seconds(f->registered));
    json_key_double(w, "reregistered", master_v0_seconds(f->reregistered));
    json_key_double(w, "ended", master_v0_seconds(f->unregistered));
}

// ---- the table ----

// ?state=running: those that are not completed; completed: the others.
static bool read_kind(struct http_request *r, bool *ret_running, bool *ret_completed)
{
    const char *state = http_query(r, "state");
    *ret_running = state == NULL || strcmp(state, "running") == 0;
    *ret_completed = state == NULL || strcmp(state, "completed") == 0;
    if (*ret_running || *ret_completed)
        return true;
    http_respond_text(r, 400, "'state' must be running or completed, not '%s'", state);
    return false;
}

static bool has_role(const struct framework *f, const char *role)
{
    for (size_t i = 0; i < f->role_count; i++) {
        if (role == NULL || strcmp(f->roles[i], role) == 0)
            return true;
    }
    return role == NULL;
}

void dashboard_frameworks(void *ctx, struct http_request *r)
{
    struct master_server *server = ctx;
    const struct master *m = server->core;
    struct dashboard_query query;
    bool is_running, is_completed;
    if (!dashboard_begin(server, r) ||
        !dashboard_query_read(r, columns, ARRAY_COUNT(columns), &query) ||
        !read_kind(r, &is_running, &is_completed))
        return;
    const char *role = http_query(r, "role");
    size_t total = 0, from, to;
    AUTO_ROWS struct dashboard_rows rows = {0};
    MAP_FOREACH (&m->frameworks, entry) {
        if (is_running && has_role(entry->value, role)) {
            total++;
            add(&rows, &query, entry->value);
        }
    }
    LIST_FOREACH ((struct list *)(uintptr_t)&m->completed, struct framework, in_completed, f) {
        if (is_completed && has_role(f, role)) {
            total++;
            add(&rows, &query, f);
        }
    }
    dashboard_rows_select(&rows, &query, &from, &to);
    AUTO_BUF struct buf out = BUF_INIT;
    struct json_writer w;
    json_begin(&w, &out);
    dashboard_put_head(&w, &query, total, rows.count);
    json_key(&w, "rows");
    json_array_open(&w);
    for (size_t i = from; i < to; i++) {
        json_object_open(&w);
        put_members(&w, rows.list[i].record);
        json_object_close(&w);
    }
    json_array_close(&w);
    json_object_close(&w);
    api_respond_json(r, &out);
}

// ---- one framework ----

static size_t count_list(const struct list *list)
{
    size_t count = 0;
    for (const struct list *at = list->next; at != list; at = at->next)
        count++;
    return count;
}

static void put_shares(struct json_writer *w, const struct framework *f)
{
    const struct master *m = f->master;
    json_key(w, "standings");
    json_array_open(w);
    for (size_t i = 0; i < f->role_count; i++) {
        struct allocator_standing standing;
        if (f->completed || !allocator_get_standing(m->allocator, f->id, f->roles[i], &standing))
            continue;
        const double *weight = map_get(&m->weights, f->roles[i]);
        json_object_open(w);
        json_key_string(w, "role", f->roles[i]);
        json_key_double(w, "weight", weight != NULL ? *weight : 1);
        json_key_double(w, "share", standing.share);
        json_key_double(w, "role_share", standing.role_share);
        json_key_bool(w, "suppressed", standing.is_suppressed);
        json_key_i64(w, "filters", standing.filters);
        json_object_close(w);
    }
    json_array_close(w);
}

static void put_details(struct json_writer *w, const struct framework *f)
{
    json_key(w, "capabilities");
    v0_put_framework_capabilities(w, f->info);
    json_key_bool(w, "checkpoint", f->info->has_checkpoint && f->info->checkpoint);
    json_key_double(w, "failover_timeout",
                    f->info->has_failover_timeout ? f->info->failover_timeout : 0);
    json_key(w, "labels");
    v0_put_labels(w, f->info->labels);
    json_key_u64(w, "agents", count_list(&f->uses));
    json_key_u64(w, "executors", count_list(&f->executors));
    json_key(w, "offers");
    json_object_open(w);
    json_key_u64(w, "outstanding", count_list(&f->offers));
    json_key_u64(w, "sent", f->offers_sent);
    json_key_u64(w, "accepted", f->offers_accepted);
    json_key_u64(w, "declined", f->offers_declined);
    json_key_u64(w, "rescinded", f->offers_rescinded);
    json_object_close(w);
    put_shares(w, f);
}

void dashboard_framework(void *ctx, struct http_request *r)
{
    struct master_server *server = ctx;
    const struct master *m = server->core;
    if (!dashboard_begin(server, r))
        return;
    int64_t began = dashboard_cpu_ns();
    const char *id = http_query(r, "id");
    if (id == NULL || id[0] == '\0') {
        http_respond_text(r, 400, "Missing query parameter: /dashboard/framework?id=ID");
        return;
    }
    const struct framework *f = map_get(&m->frameworks, id);
    if (f == NULL)
        f = map_get(&m->completed_ids, id);
    if (f == NULL) {
        http_respond_text(r, 404, "No framework with ID %s is known to the master", id);
        return;
    }
    AUTO_BUF struct buf out = BUF_INIT;
    struct json_writer w;
    json_begin(&w, &out);
    json_object_open(&w);
    put_members(&w, f);
    put_details(&w, f);
    json_key_i64(&w, "took_us", (dashboard_cpu_ns() - began) / 1000);
    json_object_close(&w);
    api_respond_json(r, &out);
}

// ---- roles ----

enum { AMOUNT_COUNT = 4 };
static const char *const amount_names[AMOUNT_COUNT] = {"cpus", "mem", "disk", "gpus"};

struct role {
    int64_t used[AMOUNT_COUNT], offered[AMOUNT_COUNT], reserved[AMOUNT_COUNT];
    size_t frameworks, tasks;
};

static struct role *find_role(struct map *roles, const char *name)
{
    struct role *role = map_get(roles, name);
    if (role == NULL) {
        role = mem_zalloc(sizeof(*role));
        map_put(roles, name, role);
    }
    return role;
}

static void add_amounts(int64_t amounts[], const struct resources *r)
{
    for (size_t i = 0; i < AMOUNT_COUNT; i++)
        amounts[i] += resources_scalar(r, amount_names[i]);
}

// Mostly all is of one role; else the roles of the entries tell.
static void add_held(struct map *roles, const struct resources *r, size_t offset)
{
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    const char **held;
    if (resources_allocated_roles(r, arena, &held) == 1) {
        add_amounts((int64_t *)((char *)find_role(roles, held[0]) + offset), r);
        return;
    }
    Mesos__V1__Resource **messages;
    size_t count = resources_to_proto(r, arena, RESOURCES_NEW_FORM, true, &messages);
    for (size_t i = 0; i < count; i++) {
        const Mesos__V1__Resource *one = messages[i];
        if (one->allocation_info == NULL || one->allocation_info->role == NULL ||
            one->scalar == NULL)
            continue;
        int64_t *amounts =
            (int64_t *)((char *)find_role(roles, one->allocation_info->role) + offset);
        for (size_t k = 0; k < AMOUNT_COUNT; k++) {
            if (strcmp(amount_names[k], one->name) == 0)
                amounts[k] += (int64_t)(one->scalar->value * 1000 + 0.5);
        }
    }
}

static void add_reserved(struct map *roles, const struct agent *a, struct arena *arena)
{
    const char **names;
    size_t count = resources_reserved_roles(a->total, arena, &names);
    for (size_t i = 0; i < count; i++) {
        AUTO_RESOURCES struct resources *part = resources_reserved(a->total, names[i]);
        add_amounts(find_role(roles, names[i])->reserved, part);
    }
}

static void collect(const struct master *m, struct map *roles)
{
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    const char **names;
    size_t count = master_v0_roles(m, arena, &names);
    for (size_t i = 0; i < count; i++)
        find_role(roles, names[i]);
    MAP_FOREACH (&m->frameworks, entry) {
        const struct framework *f = entry->value;
        for (size_t i = 0; i < f->role_count; i++)
            find_role(roles, f->roles[i])->frameworks++;
        if (f->role_count == 1)
            find_role(roles, f->roles[0])->tasks += f->tasks.count;
        add_held(roles, f->used, offsetof(struct role, used));
        add_held(roles, f->offered, offsetof(struct role, offered));
    }
    MAP_FOREACH (&m->agents, entry)
        add_reserved(roles, entry->value, arena);
}

static void put_amounts(struct json_writer *w, const char *key, const int64_t amounts[])
{
    json_key(w, key);
    json_object_open(w);
    for (size_t i = 0; i < AMOUNT_COUNT; i++)
        json_key_double(w, amount_names[i], (double)amounts[i] / 1000);
    json_object_close(w);
}

static void put_quota(struct json_writer *w, const struct quota *quota)
{
    const Mesos__V1__Quota__QuotaConfig *config = quota->config;
    json_key(w, "quota");
    json_object_open(w);
    json_key(w, "guarantees");
    json_object_open(w);
    for (size_t i = 0; i < config->n_guarantees; i++)
        json_key_double(w, config->guarantees[i]->key, config->guarantees[i]->value->value);
    json_object_close(w);
    json_key(w, "limits");
    json_object_open(w);
    for (size_t i = 0; i < config->n_limits; i++)
        json_key_double(w, config->limits[i]->key, config->limits[i]->value->value);
    json_object_close(w);
    json_object_close(w);
}

static void put_role(struct json_writer *w, const struct master *m, const char *name,
                     const struct role *role)
{
    const double *weight = map_get(&m->weights, name);
    const struct quota *quota = map_get(&m->quotas, name);
    json_object_open(w);
    json_key_string(w, "name", name);
    json_key_double(w, "weight", weight != NULL ? *weight : 1);
    json_key_double(w, "share", allocator_dominant_share(m->allocator, name, NULL));
    json_key_u64(w, "frameworks", role->frameworks);
    json_key_u64(w, "tasks", role->tasks);
    put_amounts(w, "used", role->used);
    put_amounts(w, "offered", role->offered);
    put_amounts(w, "reserved", role->reserved);
    if (quota != NULL)
        put_quota(w, quota);
    json_object_close(w);
}

void dashboard_roles(void *ctx, struct http_request *r)
{
    struct master_server *server = ctx;
    const struct master *m = server->core;
    if (!dashboard_begin(server, r))
        return;
    int64_t began = dashboard_cpu_ns();
    struct map roles = MAP_INIT;
    collect(m, &roles);
    AUTO_BUF struct buf out = BUF_INIT;
    struct json_writer w;
    json_begin(&w, &out);
    json_object_open(&w);
    json_key(&w, "roles");
    json_array_open(&w);
    MAP_FOREACH (&roles, entry) {
        put_role(&w, m, entry->key, entry->value);
        mem_free(entry->value);
    }
    map_free(&roles);
    json_array_close(&w);
    json_key_i64(&w, "took_us", (dashboard_cpu_ns() - began) / 1000);
    json_object_close(&w);
    api_respond_json(r, &out);
}
