// SPDX-License-Identifier: Apache-2.0
//
// The v0 endpoints that show the cluster: /state, /state-summary, /slaves, /frameworks, /tasks.
// Keys and their order are Mesos'.

#include <stdlib.h>
#include <string.h>

#include "api/master_v0.h"
#include "api/v0_json.h"
#include "base/mem.h"
#include "base/text.h"
#include "wire/wire.h"

static bool is_wanted(const char *wanted, const char *id)
{
    return wanted == NULL || strcmp(wanted, id) == 0;
}

// ---- lists that several endpoints have ----

static void put_agents(struct json_writer *w, const struct master *m, const char *only, bool full)
{
    json_key(w, "slaves");
    json_array_open(w);
    MAP_FOREACH (&m->agents, entry) {
        const struct agent *a = entry->value;
        if (!is_wanted(only, a->id))
            continue;
        json_object_open(w);
        master_v0_put_agent_members(w, a, full);
        json_object_close(w);
    }
    json_array_close(w);
    json_key(w, "recovered_slaves");
    json_array_open(w);
    MAP_FOREACH (&m->recovered, entry) {
        const struct recovered_agent *r = entry->value;
        if (is_wanted(only, r->id))
            master_v0_put_recovered_agent(w, r);
    }
    json_array_close(w);
}

static void put_empty(struct json_writer *w, const char *key)
{
    json_key(w, key);
    json_array_open(w);
    json_array_close(w);
}

static void put_frameworks(struct json_writer *w, const struct master *m, const char *only)
{
    json_key(w, "frameworks");
    json_array_open(w);
    MAP_FOREACH (&m->frameworks, entry) {
        const struct framework *f = entry->value;
        if (is_wanted(only, f->id))
            master_v0_put_framework(w, f);
    }
    json_array_close(w);
    json_key(w, "completed_frameworks");
    json_array_open(w);
    LIST_FOREACH (&((struct master *)(uintptr_t)m)->completed, struct framework, in_completed, f) {
        if (is_wanted(only, f->id))
            master_v0_put_framework(w, f);
    }
    json_array_close(w);
}

// ---- /state ----

static void put_leader(struct json_writer *w, const struct master *m)
{
    json_key_string(w, "leader", m->info->pid);
    json_key(w, "leader_info");
    v0_put_master_info(w, m->info);
}

static void put_self(struct json_writer *w, const struct master_server *server)
{
    const struct master *m = server->core;
    size_t active = 0;
    MAP_FOREACH (&m->agents, entry)
        active += ((const struct agent *)entry->value)->active;
    json_key_double(w, "start_time", master_v0_seconds(server->started.wall));
    json_key_double(w, "elected_time", master_v0_seconds(server->elected.wall));
    json_key_string(w, "id", m->info->id);
    json_key_string(w, "pid", m->info->pid);
    json_key_string(w, "hostname", m->info->hostname);
    json_key(w, "capabilities");
    json_array_open(w);
    for (size_t i = 0; i < m->info->n_capabilities; i++)
        json_string(w, wire_enum_name(&mesos__v1__master_info__capability__type__descriptor,
                                      (int)m->info->capabilities[i]->type));
    json_array_close(w);
    json_key_double(w, "activated_slaves", (double)active);
    json_key_double(w, "deactivated_slaves", (double)(m->agents.count - active));
    json_key_double(w, "unreachable_slaves", (double)m->unreachable.count);
    put_leader(w, m);
    if (server->cluster != NULL)
        json_key_string(w, "cluster", server->cluster);
    if (m->info->domain != NULL) {
        json_key(w, "domain");
        v0_put_domain(w, m->info->domain);
    }
    if (server->log_dir != NULL)
        json_key_string(w, "log_dir", server->log_dir);
    if (server->external_log_file != NULL)
        json_key_string(w, "external_log_file", server->external_log_file);
}

static void state(void *ctx, struct http_request *r)
{
    struct master_server *server = ctx;
    if (!master_require_leader(server, r))
        return;
    const struct master *m = server->core;
    AUTO_BUF struct buf out = BUF_INIT;
    struct json_writer w;
    json_begin(&w, &out);
    json_object_open(&w);
    api_put_version(&w);
    put_self(&w, server);
    json_key(&w, "flags");
    json_object_open(&w);
    api_put_flags(server->common, &w);
    json_object_close(&w);
    put_agents(&w, m, NULL, true);
    put_frameworks(&w, m, NULL);
    put_empty(&w, "orphan_tasks");
    put_empty(&w, "unregistered_frameworks");
    json_object_close(&w);
    api_respond_json(r, &out);
}

// ---- /slaves, /frameworks ----

static void slaves(void *ctx, struct http_request *r)
{
    struct master_server *server = ctx;
    if (!master_require_leader(server, r))
        return;
    AUTO_BUF struct buf out = BUF_INIT;
    struct json_writer w;
    json_begin(&w, &out);
    json_object_open(&w);
    put_agents(&w, server->core, http_query(r, "slave_id"), true);
    json_object_close(&w);
    api_respond_json(r, &out);
}

static void frameworks(void *ctx, struct http_request *r)
{
    struct master_server *server = ctx;
    if (!master_require_leader(server, r))
        return;
    AUTO_BUF struct buf out = BUF_INIT;
    struct json_writer w;
    json_begin(&w, &out);
    json_object_open(&w);
    put_frameworks(&w, server->core, http_query(r, "framework_id"));
    put_empty(&w, "unregistered_frameworks");
    json_object_close(&w);
    api_respond_json(r, &out);
}

// ---- /tasks ----

struct task_row {
    const struct task *task;
    bool has_time;
    double time;     // of the first status
    size_t position; // among equals, the order in which they were found
};

struct task_rows {
    struct task_row *rows;
    size_t count;
    size_t capacity;
    const char *framework_id;
    const char *task_id;
};

static void add_row(struct task_rows *rows, struct arena *arena, const struct task *t)
{
    if (!is_wanted(rows->task_id, t->id))
        return;
    if (rows->count == rows->capacity) {
        rows->capacity = rows->capacity > 0 ? 2 * rows->capacity : 64;
        rows->rows = mem_realloc_array(rows->rows, rows->capacity, sizeof(*rows->rows));
    }
    struct task_row *row = &rows->rows[rows->count];
    *row = (struct task_row){.task = t, .position = rows->count};
    rows->count++;
    if (t->status_count == 0)
        return;
    arena_reset(arena);
    ProtobufCMessage *message;
    if (wire_decode(&mesos__v1__task_status__descriptor, arena, t->statuses[0]->data,
                    t->statuses[0]->size, &message, NULL) < 0)
        return;
    row->has_time = true;
    row->time = ((Mesos__V1__TaskStatus *)message)->timestamp;
}

static void add_rows(struct task_rows *rows, struct arena *arena, const struct framework *f)
{
    if (!is_wanted(rows->framework_id, f->id))
        return;
    MAP_FOREACH (&f->tasks, entry)
        add_row(rows, arena, entry->value);
    MAP_FOREACH (&f->unreachable, entry)
        add_row(rows, arena, entry->value);
    LIST_FOREACH (&((struct framework *)(uintptr_t)f)->completed_tasks, struct task, by_place, t)
        add_row(rows, arena, t);
}

// Tasks without a status come first when ascending.
static int compare_ascending(const void *left, const void *right)
{
    const struct task_row *a = left, *b = right;
    if (a->has_time != b->has_time)
        return a->has_time ? 1 : -1;
    if (a->has_time && a->time != b->time)
        return a->time < b->time ? -1 : 1;
    return a->position < b->position ? -1 : a->position > b->position;
}

static int compare_descending(const void *left, const void *right)
{
    const struct task_row *a = left, *b = right;
    if (a->has_time != b->has_time)
        return a->has_time ? -1 : 1;
    if (a->has_time && a->time != b->time)
        return a->time > b->time ? -1 : 1;
    return a->position < b->position ? -1 : a->position > b->position;
}

// A whole number of the query, or `otherwise` when there is none that can be read.
static size_t query_number(struct http_request *r, const char *name, size_t otherwise)
{
    const char *text = http_query(r, name);
    uint64_t value;
    if (text == NULL || text_parse_u64(text, &value, NULL) < 0)
        return otherwise;
    return (size_t)value;
}

static void tasks(void *ctx, struct http_request *r)
{
    struct master_server *server = ctx;
    if (!master_require_leader(server, r))
        return;
    const struct master *m = server->core;
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    struct task_rows rows = {.framework_id = http_query(r, "framework_id"),
                             .task_id = http_query(r, "task_id")};
    MAP_FOREACH (&m->frameworks, entry)
        add_rows(&rows, arena, entry->value);
    LIST_FOREACH (&((struct master *)(uintptr_t)m)->completed, struct framework, in_completed, f)
        add_rows(&rows, arena, f);
    const char *order = http_query(r, "order");
    bool ascending = order != NULL && strcmp(order, "asc") == 0;
    if (rows.count > 0)
        qsort(rows.rows, rows.count, sizeof(*rows.rows),
              ascending ? compare_ascending : compare_descending);
    size_t limit = query_number(r, "limit", 100);
    size_t offset = query_number(r, "offset", 0);
    AUTO_BUF struct buf out = BUF_INIT;
    struct json_writer w;
    json_begin(&w, &out);
    json_object_open(&w);
    json_key(&w, "tasks");
    json_array_open(&w);
    for (size_t i = offset; i < rows.count && i - offset < limit; i++) {
        master_v0_put_task(&w, arena, rows.rows[i].task);
    }
    json_array_close(&w);
    json_object_close(&w);
    mem_free(rows.rows);
    api_respond_json(r, &out);
}

// ---- /state-summary ----

// What a framework or an agent has of tasks: numbers by state, and ids of the other side.
struct summary {
    size_t states[TASK_STATE_COUNT];
    struct map others;
};

static struct summary *summary_of(struct map *summaries, const char *id)
{
    struct summary *s = map_get(summaries, id);
    if (s == NULL) {
        s = mem_zalloc(sizeof(*s));
        map_put(summaries, id, s);
    }
    return s;
}

static void count_task(struct map *agents, struct summary *framework, const struct task *t)
{
    struct summary *agent = summary_of(agents, t->agent_id);
    agent->states[t->state]++;
    framework->states[t->state]++;
    map_put(&agent->others, t->framework->id, agent);
    map_put(&framework->others, t->agent_id, agent);
}

static void summarise(const struct master *m, struct map *agents, struct map *frameworks_by_id)
{
    MAP_FOREACH (&m->frameworks, entry) {
        struct framework *f = entry->value;
        struct summary *s = summary_of(frameworks_by_id, f->id);
        MAP_FOREACH (&f->tasks, task_entry)
            count_task(agents, s, task_entry->value);
        MAP_FOREACH (&f->unreachable, task_entry)
            count_task(agents, s, task_entry->value);
        LIST_FOREACH (&f->completed_tasks, struct task, by_place, t)
            count_task(agents, s, t);
    }
}

static void put_summary_members(struct json_writer *w, const struct summary *s,
                                const char *others_key)
{
    static const Mesos__V1__TaskState shown[] = {
        MESOS__V1__TASK_STATE__TASK_STAGING,  MESOS__V1__TASK_STATE__TASK_STARTING,
        MESOS__V1__TASK_STATE__TASK_RUNNING,  MESOS__V1__TASK_STATE__TASK_KILLING,
        MESOS__V1__TASK_STATE__TASK_FINISHED, MESOS__V1__TASK_STATE__TASK_KILLED,
        MESOS__V1__TASK_STATE__TASK_FAILED,   MESOS__V1__TASK_STATE__TASK_LOST,
        MESOS__V1__TASK_STATE__TASK_ERROR,    MESOS__V1__TASK_STATE__TASK_UNREACHABLE,
    };
    for (size_t i = 0; i < ARRAY_COUNT(shown); i++)
        json_key_u64(w, wire_enum_name(&mesos__v1__task_state__descriptor, (int)shown[i]),
                     s->states[shown[i]]);
    json_key(w, others_key);
    json_array_open(w);
    MAP_FOREACH (&s->others, entry)
        json_string(w, entry->key);
    json_array_close(w);
}

static void free_summaries(struct map *summaries)
{
    MAP_FOREACH (summaries, entry) {
        struct summary *s = entry->value;
        map_free(&s->others);
        mem_free(s);
    }
    map_free(summaries);
}

static void state_summary(void *ctx, struct http_request *r)
{
    struct master_server *server = ctx;
    if (!master_require_leader(server, r))
        return;
    const struct master *m = server->core;
    struct map agents = MAP_INIT, by_framework = MAP_INIT;
    summarise(m, &agents, &by_framework);
    AUTO_BUF struct buf out = BUF_INIT;
    struct json_writer w;
    json_begin(&w, &out);
    json_object_open(&w);
    json_key_string(&w, "hostname", m->info->hostname);
    if (server->cluster != NULL)
        json_key_string(&w, "cluster", server->cluster);
    json_key(&w, "slaves");
    json_array_open(&w);
    MAP_FOREACH (&m->agents, entry) {
        const struct agent *a = entry->value;
        json_object_open(&w);
        master_v0_put_agent_members(&w, a, false);
        put_summary_members(&w, summary_of(&agents, a->id), "framework_ids");
        json_object_close(&w);
    }
    json_array_close(&w);
    json_key(&w, "frameworks");
    json_array_open(&w);
    MAP_FOREACH (&m->frameworks, entry) {
        const struct framework *f = entry->value;
        json_object_open(&w);
        master_v0_put_framework_summary_members(&w, f);
        put_summary_members(&w, summary_of(&by_framework, f->id), "slave_ids");
        json_object_close(&w);
    }
    json_array_close(&w);
    json_object_close(&w);
    free_summaries(&agents);
    free_summaries(&by_framework);
    api_respond_json(r, &out);
}

static const struct api_route routes[] = {
    {"/state", NULL, state, "All that the master knows."},
    {"/state-summary", NULL, state_summary, "Agents and frameworks with numbers of tasks."},
    {"/slaves", NULL, slaves, "Agents; ?slave_id= for one."},
    {"/frameworks", NULL, frameworks, "Frameworks; ?framework_id= for one."},
    {"/tasks", NULL, tasks, "Tasks; ?limit=, ?offset=, ?order=asc, ?framework_id=, ?task_id=."},
};

void master_state_add_routes(struct master_server *server)
{
    api_router_add(server->router, routes, ARRAY_COUNT(routes), server);
}
