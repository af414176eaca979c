// SPDX-License-Identifier: Apache-2.0
//
// Agents for the dashboard: the table (also of those that are unreachable, or awaited after a
// failover), one agent with who uses it, and the heat map: how full each agent is, a character per
// agent and resource.

#include <stdlib.h>
#include <string.h>

#include "api/master_dashboard.h"
#include "api/v0_json.h"
#include "base/mem.h"
#include "model/task_state.h"

enum column { HOST, ID, STATE, TASKS, CPUS, MEM, DISK, GPUS, REGISTERED };

static const struct dashboard_column columns[] = {
    [HOST] = {.name = "host", .is_text = true},
    [ID] = {.name = "id", .is_text = true},
    [STATE] = {.name = "state", .is_text = true},
    [TASKS] = {.name = "tasks", .descends = true},
    [CPUS] = {.name = "cpus", .descends = true}, // the share that is used
    [MEM] = {.name = "mem", .descends = true},
    [DISK] = {.name = "disk", .descends = true},
    [GPUS] = {.name = "gpus", .descends = true},
    [REGISTERED] = {.name = "registered", .descends = true},
};

// One of the three.
struct any_agent {
    const struct agent *here;
    const struct recovered_agent *awaited;
    const struct unreachable_agent *unreachable;
};

// ---- what there is to say ----

static const char *id_of(const struct any_agent *a)
{
    if (a->here != NULL)
        return a->here->id;
    return a->awaited != NULL ? a->awaited->id : a->unreachable->id;
}

static const char *host_of(const struct any_agent *a)
{
    if (a->here != NULL)
        return a->here->info->hostname;
    return a->awaited != NULL ? a->awaited->info->hostname : "";
}

static const char *deactivation_state(const struct master *m, const char *id)
{
    const struct deactivation *d = map_get(&m->deactivations, id);
    if (d == NULL || !d->now.is_deactivated)
        return NULL;
    if (!d->now.is_draining)
        return "deactivated";
    return d->now.state == MESOS__V1__DRAIN_STATE__DRAINED ? "drained" : "draining";
}

static const char *state_of(const struct master *m, const struct any_agent *a)
{
    if (a->unreachable != NULL)
        return "unreachable";
    if (a->awaited != NULL)
        return "awaited";
    const char *state = deactivation_state(m, a->here->id);
    if (state != NULL)
        return state;
    if (a->here->active)
        return "active";
    return a->here->channel == NULL ? "disconnected" : "inactive";
}

static size_t count_tasks(const struct any_agent *a)
{
    size_t count = 0;
    const struct list *tasks = a->here != NULL          ? &a->here->tasks
                               : a->unreachable != NULL ? &a->unreachable->tasks
                                                        : NULL;
    if (tasks == NULL)
        return 0;
    LIST_FOREACH ((struct list *)(uintptr_t)tasks, const struct task, by_agent, t)
        count += !task_state_is_terminal(t->state);
    return count;
}

static double share_of(const struct agent *a, const char *name)
{
    int64_t total = a != NULL ? resources_scalar(a->total, name) : 0;
    return total > 0 ? (double)resources_scalar(a->used, name) / (double)total : -1;
}

// ---- the table ----

static bool is_found(const struct dashboard_query *q, const struct master *m,
                     const struct any_agent *a)
{
    unsigned found = dashboard_terms_in(q, host_of(a)) | dashboard_terms_in(q, id_of(a)) |
                     dashboard_terms_in(q, state_of(m, a));
    const Mesos__V1__AgentInfo *info = a->here != NULL      ? a->here->info
                                       : a->awaited != NULL ? a->awaited->info
                                                            : NULL;
    for (size_t i = 0; info != NULL && i < info->n_attributes; i++) {
        if (info->attributes[i]->text != NULL)
            found |= dashboard_terms_in(q, info->attributes[i]->text->value);
    }
    return dashboard_has_all(q, found);
}

static double number_key(enum column column, const struct any_agent *a)
{
    switch (column) {
    case TASKS:
        return (double)count_tasks(a);
    case REGISTERED:
        return a->here != NULL ? (double)a->here->registered : 0;
    default:
        return share_of(a->here, columns[column].name);
    }
}

static void add(struct dashboard_rows *rows, const struct dashboard_query *q,
                const struct master *m, const struct any_agent *a)
{
    if (!is_found(q, m, a))
        return;
    enum column column = (enum column)q->column;
    if (column == HOST)
        dashboard_rows_add_text(rows, a, host_of(a));
    else if (column == ID)
        dashboard_rows_add_text(rows, a, id_of(a));
    else if (column == STATE)
        dashboard_rows_add_text(rows, a, state_of(m, a));
    else
        dashboard_rows_add_number(rows, a, number_key(column, a));
}

static void put_agent_members(struct json_writer *w, const struct master *m,
                              const struct any_agent *a)
{
    json_key_string(w, "id", id_of(a));
    json_key_string(w, "host", host_of(a));
    json_key_string(w, "state", state_of(m, a));
    json_key_u64(w, "tasks", count_tasks(a));
    if (a->unreachable != NULL)
        json_key_double(w, "since", master_v0_seconds(a->unreachable->since_ns));
    if (a->here == NULL)
        return;
    dashboard_put_resources(w, "total", a->here->total);
    dashboard_put_resources(w, "used", a->here->used);
    dashboard_put_resources(w, "offered", a->here->offered);
    json_key_double(w, "registered", master_v0_seconds(a->here->registered));
    json_key_double(w, "reregistered", master_v0_seconds(a->here->reregistered));
    json_key_string(w, "version", a->here->version);
}

static struct any_agent *list_agents(const struct master *m, struct arena *arena, size_t *ret_count)
{
    size_t max = m->agents.count + m->recovered.count + m->unreachable.count;
    struct any_agent *list = arena_calloc(arena, max + 1, sizeof(*list));
    size_t count = 0;
    MAP_FOREACH (&m->agents, here)
        list[count++].here = here->value;
    MAP_FOREACH (&m->recovered, awaited)
        list[count++].awaited = awaited->value;
    MAP_FOREACH (&m->unreachable, unreachable)
        list[count++].unreachable = unreachable->value;
    *ret_count = count;
    return list;
}

void dashboard_agents(void *ctx, struct http_request *r)
{
    struct master_server *server = ctx;
    const struct master *m = server->core;
    struct dashboard_query query;
    if (!dashboard_begin(server, r) ||
        !dashboard_query_read(r, columns, ARRAY_COUNT(columns), &query))
        return;
    size_t count, from, to;
    const struct any_agent *list = list_agents(m, http_arena(r), &count);
    AUTO_ROWS struct dashboard_rows rows = {0};
    for (size_t i = 0; i < count; i++)
        add(&rows, &query, m, &list[i]);
    dashboard_rows_select(&rows, &query, &from, &to);
    AUTO_BUF struct buf out = BUF_INIT;
    struct json_writer w;
    json_begin(&w, &out);
    dashboard_put_head(&w, &query, count, rows.count);
    json_key(&w, "rows");
    json_array_open(&w);
    for (size_t i = from; i < to; i++) {
        json_object_open(&w);
        put_agent_members(&w, m, rows.list[i].record);
        json_object_close(&w);
    }
    json_array_close(&w);
    json_object_close(&w);
    api_respond_json(r, &out);
}

// ---- one agent ----

static void put_states(struct json_writer *w, const size_t counts[])
{
    json_key(w, "states");
    json_object_open(w);
    for (unsigned i = 0; i < TASK_STATE_COUNT; i++) {
        if (counts[i] > 0)
            json_key_u64(w, task_state_name((Mesos__V1__TaskState)i), counts[i]);
    }
    json_object_close(w);
}

// A framework that uses the agent, with its tasks there by state.
struct user {
    const struct framework *framework;
    size_t counts[TASK_STATE_COUNT];
};

static void put_users(struct json_writer *w, const struct agent *a)
{
    struct map users = MAP_INIT;
    MAP_FOREACH (&a->uses, use) {
        struct user *user = mem_zalloc(sizeof(*user));
        user->framework = ((const struct agent_use *)use->value)->framework;
        map_put(&users, use->key, user);
    }
    LIST_FOREACH ((struct list *)(uintptr_t)&a->tasks, const struct task, by_agent, t) {
        struct user *user = map_get(&users, t->framework->id);
        if (user != NULL && (unsigned)t->state < TASK_STATE_COUNT)
            user->counts[t->state]++;
    }
    json_key(w, "frameworks");
    json_array_open(w);
    MAP_FOREACH (&users, entry) {
        struct user *user = entry->value;
        const struct agent_use *use = map_get(&a->uses, entry->key);
        json_object_open(w);
        json_key_string(w, "id", user->framework->id);
        json_key_string(w, "name", user->framework->info->name);
        json_key_string(w, "user", user->framework->info->user);
        dashboard_put_resources(w, "used", use->used);
        put_states(w, user->counts);
        json_object_close(w);
        mem_free(user);
    }
    json_array_close(w);
    map_free(&users);
}

static void put_executors(struct json_writer *w, const struct agent *a)
{
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    json_key(w, "executors");
    json_array_open(w);
    LIST_FOREACH ((struct list *)(uintptr_t)&a->executors, const struct executor, by_agent, e) {
        arena_reset(arena);
        const Mesos__V1__ExecutorInfo *info = master_v0_executor(arena, e);
        json_object_open(w);
        json_key_string(w, "id", e->id);
        json_key_string(w, "name", info->name);
        json_key_string(w, "framework_id", e->framework->id);
        json_key_string(w, "framework", e->framework->info->name);
        dashboard_put_resources(w, "used", e->resources);
        json_object_close(w);
    }
    json_array_close(w);
}

void dashboard_agent(void *ctx, struct http_request *r)
{
    struct master_server *server = ctx;
    const struct master *m = server->core;
    if (!dashboard_begin(server, r))
        return;
    int64_t began = dashboard_cpu_ns();
    const char *id = http_query(r, "id");
    if (id == NULL || id[0] == '\0') {
        http_respond_text(r, 400, "Missing query parameter: /dashboard/agent?id=ID");
        return;
    }
    struct any_agent a = {.here = map_get(&m->agents, id),
                          .awaited = map_get(&m->recovered, id),
                          .unreachable = map_get(&m->unreachable, id)};
    if (a.here == NULL && a.awaited == NULL && a.unreachable == NULL) {
        http_respond_text(r, 404,
                          map_has(&m->gone, id) ? "The agent with ID %s was marked gone"
                                                : "No agent with ID %s is known to the master",
                          id);
        return;
    }
    AUTO_BUF struct buf out = BUF_INIT;
    struct json_writer w;
    json_begin(&w, &out);
    json_object_open(&w);
    put_agent_members(&w, m, &a);
    if (a.here != NULL) {
        json_key(&w, "info"); // as /slaves has it
        json_object_open(&w);
        struct v0_texts *texts = v0_texts_new();
        master_v0_put_agent_members(&w, texts, a.here, false);
        v0_texts_free(texts);
        json_object_close(&w);
        put_users(&w, a.here);
        put_executors(&w, a.here);
    }
    json_key_i64(&w, "took_us", (dashboard_cpu_ns() - began) / 1000);
    json_object_close(&w);
    api_respond_json(r, &out);
}

// ---- the heat map ----

static int compare_agents(const void *a, const void *b)
{
    const struct agent *const *x = a, *const *y = b;
    int order = strverscmp((*x)->info->hostname, (*y)->info->hostname);
    return order != 0 ? order : strverscmp((*x)->id, (*y)->id);
}

// 63 steps from empty to full; '-' where the agent has nothing of it.
static char step_of(double share)
{
    static const char steps[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz+";
    if (share < 0)
        return '-';
    // What is used at all shows, and only what is full looks full.
    int step = share <= 0 ? 0 : share >= 1 ? 62 : 1 + (int)(share * 61);
    return steps[step < 62 || share >= 1 ? step : 61];
}

static void put_steps(struct json_writer *w, const struct agent *const *list, size_t count,
                      const char *name, bool is_offered)
{
    AUTO_BUF struct buf text = BUF_INIT;
    for (size_t i = 0; i < count; i++) {
        double share = share_of(list[i], name);
        if (is_offered && share >= 0)
            share = (double)resources_scalar(list[i]->offered, name) /
                    (double)resources_scalar(list[i]->total, name);
        buf_putc(&text, step_of(share));
    }
    json_key_string(w, name, text.data);
}

// 'a'ctive, 'd'raining or drained, 'o'ut of service, 'x': not connected.
static char state_letter(const struct master *m, const struct agent *a)
{
    const struct any_agent any = {.here = a};
    const char *state = state_of(m, &any);
    if (strcmp(state, "active") == 0)
        return 'a';
    if (strcmp(state, "draining") == 0 || strcmp(state, "drained") == 0)
        return 'd';
    return strcmp(state, "disconnected") == 0 ? 'x' : 'o';
}

static void put_names(struct json_writer *w, const struct agent *const *list, size_t count)
{
    json_key(w, "names");
    json_array_open(w);
    for (size_t i = 0; i < count; i++) {
        json_string(w, list[i]->id);
        json_string(w, list[i]->info->hostname);
    }
    json_array_close(w);
}

void dashboard_heat(void *ctx, struct http_request *r)
{
    static const char *const names[] = {"cpus", "mem", "disk", "gpus"};
    struct master_server *server = ctx;
    const struct master *m = server->core;
    if (!dashboard_begin(server, r))
        return;
    int64_t began = dashboard_cpu_ns();
    const struct agent **list = arena_calloc(http_arena(r), m->agents.count + 1, sizeof(*list));
    size_t count = 0;
    AUTO_BUF struct buf states = BUF_INIT;
    MAP_FOREACH (&m->agents, entry)
        list[count++] = entry->value;
    qsort(list, count, sizeof(*list), compare_agents);
    for (size_t i = 0; i < count; i++)
        buf_putc(&states, state_letter(m, list[i]));
    AUTO_BUF struct buf out = BUF_INIT;
    struct json_writer w;
    json_begin(&w, &out);
    json_object_open(&w);
    json_key_u64(&w, "count", count);
    const char *set = dashboard_agent_set(server, http_arena(r));
    const char *known = http_query(r, "known");
    json_key_string(&w, "set", set);
    if (known == NULL || strcmp(known, set) != 0)
        put_names(&w, list, count);
    json_key_string(&w, "states", states.data);
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        put_steps(&w, list, count, names[i], false);
    json_key(&w, "offered");
    json_object_open(&w);
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        put_steps(&w, list, count, names[i], true);
    json_object_close(&w);
    json_key_i64(&w, "took_us", (dashboard_cpu_ns() - began) / 1000);
    json_object_close(&w);
    api_respond_json(r, &out);
}
