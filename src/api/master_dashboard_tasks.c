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

enum { TASKS_PER_TURN = 10000 };
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

// What is left of a row when its turn is over.
struct kept_row {
    const char *framework_id;
    const char *id;
    enum task_place place;
};

struct scan {
    struct master_server *server;
    const struct master *m;
    struct timer next; // runs the next turn's part
    const char **ids;  // of the frameworks as they were at the beginning
    size_t id_count;
    size_t at;       // the framework that is looked at, in ids
    unsigned place;  // the bit of its place that is looked at
    size_t position; // in the map of that place
    size_t left;     // tasks that this turn may still look at
    size_t matched;
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
    s->matched++;
    if (s->query.is_text)
        dashboard_rows_add_text(&s->rows, t, text_key(s, t));
    else
        dashboard_rows_add_number(&s->rows, t, number_key(s, t));
}

// False when the turn is over before the map.
static bool look_at_map(struct scan *s, const struct map *tasks)
{
    for (; s->left > 0; s->left--) {
        const struct map_entry *entry = map_next(tasks, &s->position);
        if (entry == NULL)
            return true;
        look_at(s, entry->value);
    }
    return false;
}

// Their number has a limit.
static void look_at_completed(struct scan *s, const struct framework *f)
{
    LIST_FOREACH ((struct list *)(uintptr_t)&f->completed_tasks, struct task, by_place, t) {
        look_at(s, t);
        s->left -= s->left > 0;
    }
}

// Goes on with a framework; false when the turn is over before.
static bool look_at_framework(struct scan *s, const struct framework *f)
{
    s->framework = f;
    s->framework_terms =
        dashboard_terms_in(&s->query, f->info->name) | dashboard_terms_in(&s->query, f->id);
    for (; s->place <= IN_COMPLETED; s->place <<= 1, s->position = 0) {
        if ((s->places & s->place) == 0)
            continue;
        if (s->place == IN_COMPLETED)
            look_at_completed(s, f);
        else if (!look_at_map(s, s->place == IN_ACTIVE ? &f->tasks : &f->unreachable))
            return false;
    }
    return true;
}

static const struct framework *find_framework(const struct master *m, const char *id)
{
    const struct framework *f = map_get(&m->frameworks, id);
    return f != NULL ? f : map_get(&m->completed_ids, id);
}

// Looks at as much as a turn may; true at the end of all.
static bool look_on(struct scan *s)
{
    s->left = TASKS_PER_TURN;
    for (; s->at < s->id_count; s->at++, s->place = IN_ACTIVE, s->position = 0) {
        const struct framework *f = find_framework(s->m, s->ids[s->at]);
        if (f != NULL && (s->left == 0 || !look_at_framework(s, f)))
            return false;
    }
    return true;
}

static void list_frameworks(struct scan *s)
{
    struct arena *arena = http_arena(s->query.r);
    s->ids =
        arena_calloc(arena, s->m->frameworks.count + s->m->completed_count + 1, sizeof(*s->ids));
    MAP_FOREACH (&s->m->frameworks, entry) {
        if (s->framework_id == NULL || strcmp(s->framework_id, entry->key) == 0)
            s->ids[s->id_count++] = arena_strdup(arena, entry->key);
    }
    LIST_FOREACH ((struct list *)(uintptr_t)&s->m->completed, struct framework, in_completed, f) {
        if (s->framework_id == NULL || strcmp(s->framework_id, f->id) == 0)
            s->ids[s->id_count++] = arena_strdup(arena, f->id);
    }
}

// ---- from turn to turn ----

// Rows that may still be shown, without their records.
static void keep_rows(struct scan *s)
{
    struct arena *arena = http_arena(s->query.r);
    dashboard_rows_cut(&s->rows, &s->query);
    for (size_t i = 0; i < s->rows.count; i++) {
        struct dashboard_row *row = &s->rows.list[i];
        if (row->kept)
            continue;
        const struct task *t = row->record;
        struct kept_row *kept = arena_alloc(arena, sizeof(*kept));
        *kept = (struct kept_row){arena_strdup(arena, t->framework->id), arena_strdup(arena, t->id),
                                  (enum task_place)t->place};
        row->record = kept;
        row->kept = 1;
        if (s->query.is_text)
            row->key.text = arena_strdup(arena, row->key.text);
    }
}

// The task of a row, if it is still where it was.
static const struct task *find_task(const struct scan *s, const struct dashboard_row *row)
{
    if (!row->kept)
        return row->record;
    const struct kept_row *kept = row->record;
    const struct framework *f = find_framework(s->m, kept->framework_id);
    if (f == NULL)
        return NULL;
    if (kept->place != TASK_COMPLETED)
        return map_get(kept->place == TASK_ON_AGENT ? &f->tasks : &f->unreachable, kept->id);
    LIST_FOREACH ((struct list *)(uintptr_t)&f->completed_tasks, struct task, by_place, t) {
        if (strcmp(t->id, kept->id) == 0)
            return t;
    }
    return NULL;
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
    dashboard_put_head(&w, &s->query, s->total, s->matched);
    json_key(&w, "states");
    json_object_open(&w);
    for (unsigned i = 0; i < TASK_STATE_COUNT; i++) {
        if (s->counts[i] > 0)
            json_key_u64(&w, task_state_name((Mesos__V1__TaskState)i), s->counts[i]);
    }
    json_object_close(&w);
    json_key(&w, "rows");
    json_array_open(&w);
    for (size_t i = from; i < to; i++) {
        const struct task *t = find_task(s, &s->rows.list[i]);
        if (t != NULL)
            put_task(&w, s->m, t);
    }
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

// ---- the whole ----

static void scan_free(struct scan *s)
{
    env_timer_cancel(s->server->env, &s->next);
    dashboard_rows_free(&s->rows);
    mem_free(s);
}

static void is_aborted(void *ctx, struct http_request *r)
{
    (void)r;
    scan_free(ctx);
}

static void go_on(struct scan *s)
{
    if (look_on(s)) {
        answer(s);
        scan_free(s);
        return;
    }
    keep_rows(s);
    s->query.spent += dashboard_cpu_ns() - s->query.began;
    env_timer_set(s->server->env, &s->next, 0);
}

static void next_turn(struct timer *timer, struct instant now)
{
    (void)now;
    struct scan *s = CONTAINER_OF(timer, struct scan, next);
    s->query.began = dashboard_cpu_ns();
    go_on(s);
}

void dashboard_tasks(void *ctx, struct http_request *r)
{
    struct master_server *server = ctx;
    struct scan wanted = {.server = server, .m = server->core, .place = IN_ACTIVE};
    if (!dashboard_begin(server, r) ||
        !dashboard_query_read(r, columns, ARRAY_COUNT(columns), &wanted.query) ||
        !read_places(r, &wanted.places) || !read_states(r, &wanted.states))
        return;
    struct scan *s = mem_dup(&wanted, sizeof(wanted));
    s->next.run = next_turn;
    s->id = http_query(r, "id");
    s->framework_id = http_query(r, "framework");
    s->agent_id = http_query(r, "agent");
    s->executor_id = http_query(r, "executor");
    s->role = http_query(r, "role");
    for (unsigned i = 0; i < TASK_STATE_COUNT; i++)
        s->state_terms[i] = dashboard_terms_in(&s->query, task_state_name((Mesos__V1__TaskState)i));
    list_frameworks(s);
    http_on_abort(r, is_aborted, s);
    go_on(s);
}
