// SPDX-License-Identifier: Apache-2.0
//
// GET /dashboard/tasks: tasks of all places in one table, searched, sorted and paged here, so that
// a page need not hold 100,000 of them. It looks at each task once, and writes only those asked
// for. GET /dashboard/task: all that is known of one.

#include <string.h>

#include "api/master_dashboard.h"
#include "base/text.h"
#include "model/task_state.h"
#include "proto/master.pb-c.h"

enum { IN_ACTIVE = 1, IN_UNREACHABLE = 2, IN_COMPLETED = 4 };

enum column {
    UPDATED,
    STARTED,
    ID,
    NAME,
    STATE,
    FRAMEWORK,
    AGENT,
    ROLE,
    CPUS,
    MEM,
    DISK,
    GPUS,
};

static const struct dashboard_column columns[] = {
    [UPDATED] = {.name = "updated", .descends = true},
    [STARTED] = {.name = "started", .descends = true},
    [ID] = {.name = "id", .is_text = true},
    [NAME] = {.name = "name", .is_text = true},
    [STATE] = {.name = "state", .is_text = true},
    [FRAMEWORK] = {.name = "framework", .is_text = true},
    [AGENT] = {.name = "agent", .is_text = true},
    [ROLE] = {.name = "role", .is_text = true},
    [CPUS] = {.name = "cpus", .descends = true},
    [MEM] = {.name = "mem", .descends = true},
    [DISK] = {.name = "disk", .descends = true},
    [GPUS] = {.name = "gpus", .descends = true},
};

struct scan {
    const struct master *m;
    struct dashboard_query query;
    unsigned places;
    unsigned states; // bits of those that are wanted; 0: all
    const char *id;  // of one task, or NULL
    const char *framework_id;
    const char *agent_id;
    const char *executor_id; // a command task's is its own id
    const char *role;
    const struct framework *framework;      // of the task that is looked at
    unsigned framework_terms;               // that its name or id holds
    unsigned state_terms[TASK_STATE_COUNT]; // that the names of states hold
    const char *seen_role;                  // the last role, and what it holds: roles are interned
    unsigned role_terms;
    size_t total;
    size_t counts[TASK_STATE_COUNT]; // of what matched but for `states`
    struct dashboard_rows rows;
};

// ---- times ----

// The timestamp of an encoded TaskStatus, without decoding it: seconds, 0 when it has none.
static double status_time(const struct packed *packed)
{
    enum { TIMESTAMP = 6 };
    const uint8_t *at = packed->data, *end = packed->data + packed->size;
    while (at < end) {
        uint64_t values[2] = {0, 0}; // the tag; then a number or a length
        size_t wanted = 1;
        for (size_t i = 0; i < wanted; i++) {
            unsigned shift = 0;
            while (at < end && shift < 64) {
                values[i] |= (uint64_t)(*at & 0x7f) << shift;
                shift += 7;
                if ((*at++ & 0x80) == 0)
                    break;
            }
            if (i == 0 && ((values[0] & 7) == 0 || (values[0] & 7) == 2))
                wanted = 2;
        }
        size_t left = (size_t)(end - at), size = 0;
        switch (values[0] & 7) {
        case 1:
            size = 8;
            break;
        case 2:
            size = values[1] < left ? (size_t)values[1] : left;
            break;
        case 5:
            size = 4;
            break;
        default:
            break;
        }
        if (size > left)
            return 0;
        if (values[0] == (TIMESTAMP << 3 | 1)) {
            double time;
            memcpy(&time, at, sizeof(time));
            return time;
        }
        at += size;
    }
    return 0;
}

static double started(const struct task *t)
{
    return t->status_count > 0 ? status_time(t->statuses[0]) : 0;
}

static double updated(const struct task *t)
{
    return t->status_count > 0 ? status_time(t->statuses[t->status_count - 1]) : 0;
}

// ---- scanning ----

static const char *host_of(const struct master *m, const struct task *t)
{
    const struct agent *a = t->agent != NULL ? t->agent : map_get(&m->agents, t->agent_id);
    return a != NULL ? a->info->hostname : "";
}

static unsigned state_of(const struct task *t)
{
    return (unsigned)t->state < TASK_STATE_COUNT ? (unsigned)t->state : 0;
}

static bool is_wanted(const struct scan *s, const struct task *t)
{
    if (s->agent_id != NULL && strcmp(t->agent_id, s->agent_id) != 0)
        return false;
    if (s->id != NULL && strcmp(t->id, s->id) != 0)
        return false;
    if (s->executor_id != NULL &&
        strcmp(t->executor_id != NULL ? t->executor_id : t->id, s->executor_id) != 0)
        return false;
    if (s->role == NULL)
        return true;
    const char *role = resources_role(t->resources);
    return role != NULL && strcmp(role, s->role) == 0;
}

static unsigned terms_in_role(struct scan *s, const char *role)
{
    if (role != s->seen_role) {
        s->seen_role = role;
        s->role_terms = dashboard_terms_in(&s->query, role);
    }
    return s->role_terms;
}

static bool is_found(struct scan *s, const struct task *t)
{
    const struct dashboard_query *q = &s->query;
    unsigned found = s->framework_terms;
    if (dashboard_has_all(q, found))
        return true;
    found |= dashboard_terms_in(q, t->id) | dashboard_terms_in(q, t->name);
    if (dashboard_has_all(q, found))
        return true;
    found |= dashboard_terms_in(q, host_of(s->m, t)) | dashboard_terms_in(q, t->agent_id) |
             dashboard_terms_in(q, t->executor_id) | s->state_terms[state_of(t)] |
             terms_in_role(s, resources_role(t->resources));
    return dashboard_has_all(q, found);
}

static const char *text_key(const struct scan *s, const struct task *t)
{
    const char *role;
    switch ((enum column)s->query.column) {
    case NAME:
        return t->name;
    case STATE:
        return task_state_name(t->state);
    case FRAMEWORK:
        return s->framework->info->name;
    case AGENT:
        return host_of(s->m, t);
    case ROLE:
        role = resources_role(t->resources);
        return role != NULL ? role : "";
    default:
        return t->id;
    }
}

static double number_key(const struct scan *s, const struct task *t)
{
    switch ((enum column)s->query.column) {
    case STARTED:
        return started(t);
    case UPDATED:
        return updated(t);
    default:
        return (double)resources_scalar(t->resources, columns[s->query.column].name);
    }
}

static void look_at(struct scan *s, const struct task *t)
{
    if (!is_wanted(s, t))
        return;
    s->total++;
    if (!is_found(s, t))
        return;
    unsigned state = state_of(t);
    s->counts[state]++;
    if (s->states != 0 && (s->states >> state & 1) == 0)
        return;
    if (s->query.is_text)
        dashboard_rows_add_text(&s->rows, t, text_key(s, t));
    else
        dashboard_rows_add_number(&s->rows, t, number_key(s, t));
}

static void look_at_framework(struct scan *s, const struct framework *f)
{
    if (s->framework_id != NULL && strcmp(s->framework_id, f->id) != 0)
        return;
    s->framework = f;
    s->framework_terms =
        dashboard_terms_in(&s->query, f->info->name) | dashboard_terms_in(&s->query, f->id);
    if (s->places & IN_ACTIVE) {
        MAP_FOREACH (&f->tasks, entry)
            look_at(s, entry->value);
    }
    if (s->places & IN_UNREACHABLE) {
        MAP_FOREACH (&f->unreachable, entry)
            look_at(s, entry->value);
    }
    if (s->places & IN_COMPLETED) {
        LIST_FOREACH ((struct list *)(uintptr_t)&f->completed_tasks, struct task, by_place, t)
            look_at(s, t);
    }
}

static void look_at_all(struct scan *s)
{
    MAP_FOREACH (&s->m->frameworks, entry)
        look_at_framework(s, entry->value);
    LIST_FOREACH ((struct list *)(uintptr_t)&s->m->completed, struct framework, in_completed, f)
        look_at_framework(s, f);
}

// ---- answering ----

static void put_task(struct json_writer *w, const struct master *m, const struct task *t)
{
    static const char *const places[] = {
        [TASK_ON_AGENT] = "active",
        [TASK_UNREACHABLE] = "unreachable",
        [TASK_COMPLETED] = "completed",
    };
    json_object_open(w);
    json_key_string(w, "id", t->id);
    json_key_string(w, "name", t->name);
    json_key_string(w, "state", task_state_name(t->state));
    json_key_string(w, "place", places[t->place]);
    json_key_string(w, "framework_id", t->framework->id);
    json_key_string(w, "framework", t->framework->info->name);
    json_key_string(w, "agent_id", t->agent_id);
    json_key_string(w, "host", host_of(m, t));
    json_key_string(w, "executor_id", t->executor_id != NULL ? t->executor_id : t->id);
    json_key_string(w, "role", resources_role(t->resources));
    dashboard_put_resources(w, "resources", t->resources);
    json_key_double(w, "started", started(t));
    json_key_double(w, "updated", updated(t));
    json_object_close(w);
}

static void answer(struct scan *s)
{
    size_t from, to;
    dashboard_rows_select(&s->rows, &s->query, &from, &to);
    AUTO_BUF struct buf out = BUF_INIT;
    struct json_writer w;
    json_begin(&w, &out);
    dashboard_put_head(&w, &s->query, s->total, s->rows.count);
    json_key(&w, "states");
    json_object_open(&w);
    for (unsigned i = 0; i < TASK_STATE_COUNT; i++) {
        if (s->counts[i] > 0)
            json_key_u64(&w, task_state_name((Mesos__V1__TaskState)i), s->counts[i]);
    }
    json_object_close(&w);
    json_key(&w, "rows");
    json_array_open(&w);
    for (size_t i = from; i < to; i++)
        put_task(&w, s->m, s->rows.list[i].record);
    json_array_close(&w);
    json_object_close(&w);
    api_respond_json(s->query.r, &out);
}

// ---- what is asked for ----

static bool read_places(struct http_request *r, unsigned *ret)
{
    static const struct {
        const char *name;
        unsigned places;
    } rows[] = {
        {"all", IN_ACTIVE | IN_UNREACHABLE | IN_COMPLETED},
        {"active", IN_ACTIVE},
        {"unreachable", IN_UNREACHABLE},
        {"completed", IN_COMPLETED},
    };
    const char *place = http_query(r, "place");
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (place == NULL || strcmp(place, rows[i].name) == 0) {
            *ret = rows[i].places;
            return true;
        }
    }
    http_respond_text(r, 400, "'place' must be all, active, unreachable or completed, not '%s'",
                      place);
    return false;
}

// ?state=TASK_RUNNING,TASK_FAILED
static bool read_states(struct http_request *r, unsigned *ret)
{
    const char *states = http_query(r, "state");
    *ret = 0;
    for (const char *at = states; at != NULL && *at != '\0';) {
        size_t size = strcspn(at, ",");
        unsigned state = 0;
        while (state < TASK_STATE_COUNT) {
            const char *name = task_state_name((Mesos__V1__TaskState)state);
            if (strlen(name) == size && memcmp(name, at, size) == 0)
                break;
            state++;
        }
        if (state == TASK_STATE_COUNT) {
            http_respond_text(r, 400, "'state' names an unknown state: '%.*s'", (int)size, at);
            return false;
        }
        *ret |= 1u << state;
        at += size + (at[size] == ',');
    }
    return true;
}

void dashboard_tasks(void *ctx, struct http_request *r)
{
    struct master_server *server = ctx;
    struct scan s = {.m = server->core};
    if (!dashboard_begin(server, r) ||
        !dashboard_query_read(r, columns, ARRAY_COUNT(columns), &s.query) ||
        !read_places(r, &s.places) || !read_states(r, &s.states))
        return;
    s.id = http_query(r, "id");
    s.framework_id = http_query(r, "framework");
    s.agent_id = http_query(r, "agent");
    s.executor_id = http_query(r, "executor");
    s.role = http_query(r, "role");
    for (unsigned i = 0; i < TASK_STATE_COUNT; i++)
        s.state_terms[i] = dashboard_terms_in(&s.query, task_state_name((Mesos__V1__TaskState)i));
    look_at_all(&s);
    answer(&s);
    dashboard_rows_free(&s.rows);
}

// ---- one task ----

static void append(struct arena *arena, const struct task *t, Mesos__V1__Task ***list,
                   size_t *count)
{
    // Room for a power of two.
    if ((*count & (*count - 1)) == 0) {
        Mesos__V1__Task **larger =
            arena_calloc(arena, *count == 0 ? 1 : 2 * *count, sizeof(Mesos__V1__Task *));
        for (size_t i = 0; i < *count; i++)
            larger[i] = (*list)[i];
        *list = larger;
    }
    (*list)[(*count)++] = master_v0_task(arena, t);
}

// A framework may have had a task of that id more than once.
static void find_task(struct arena *arena, const struct framework *f, const char *id,
                      Mesos__V1__Master__Response__GetTasks *ret)
{
    const struct task *t = map_get(&f->tasks, id);
    if (t != NULL)
        append(arena, t, &ret->tasks, &ret->n_tasks);
    t = map_get(&f->unreachable, id);
    if (t != NULL)
        append(arena, t, &ret->unreachable_tasks, &ret->n_unreachable_tasks);
    LIST_FOREACH ((struct list *)(uintptr_t)&f->completed_tasks, struct task, by_place, ended) {
        if (strcmp(ended->id, id) == 0)
            append(arena, ended, &ret->completed_tasks, &ret->n_completed_tasks);
    }
}

void dashboard_task(void *ctx, struct http_request *r)
{
    struct master_server *server = ctx;
    if (!dashboard_begin(server, r))
        return;
    const char *framework_id = http_query(r, "framework"), *id = http_query(r, "id");
    if (framework_id == NULL || id == NULL) {
        http_respond_text(r, 400, "Expecting 'framework' and 'id' in query");
        return;
    }
    Mesos__V1__Master__Response__GetTasks found = MESOS__V1__MASTER__RESPONSE__GET_TASKS__INIT;
    const struct framework *f = map_get(&server->core->frameworks, framework_id);
    if (f != NULL)
        find_task(http_arena(r), f, id, &found);
    LIST_FOREACH (&server->core->completed, struct framework, in_completed, ended) {
        if (strcmp(ended->id, framework_id) == 0)
            find_task(http_arena(r), ended, id, &found);
    }
    if (found.n_tasks + found.n_unreachable_tasks + found.n_completed_tasks == 0) {
        http_respond_text(r, 404,
                          "Framework %s has no task %s here. Tasks that ended are kept for "
                          "a while only.",
                          framework_id, id);
        return;
    }
    api_respond_json_message(r, &found.base);
}
