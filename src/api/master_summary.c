// SPDX-License-Identifier: Apache-2.0
//
// The v0 endpoints that choose among tasks or count them: /tasks, /state-summary. Keys and their
// order are Mesos'. Both look at all tasks, in pieces (master_answers.h), and keep little of them.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/master_answers.h"
#include "api/master_v0.h"
#include "api/rope.h"
#include "api/v0_json.h"
#include "base/check.h"
#include "base/mem.h"
#include "base/text.h"
#include "wire/wire.h"

// ---- /tasks ----

struct task_row {
    char *text; // the object
    size_t size;
    bool has_time;
    double time;     // of the first status
    size_t position; // among equals, the order in which they were found
};

// The first ones in the order that was asked for: a heap whose root is the last of them.
struct task_rows {
    struct task_row *rows;
    size_t count;
    size_t capacity;
    size_t found;
    int (*compare)(const void *left, const void *right);
    size_t limit, offset;
    char *task_id, *framework_id; // only those; NULL: all
    struct arena *arena;
    struct v0_texts *texts;
};

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

static void swap_rows(struct task_row *a, struct task_row *b)
{
    struct task_row other = *a;
    *a = *b;
    *b = other;
}

static void sift_up(struct task_rows *rows, size_t at)
{
    while (at > 0 && rows->compare(&rows->rows[at], &rows->rows[(at - 1) / 2]) > 0) {
        swap_rows(&rows->rows[at], &rows->rows[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
}

static void sift_down(struct task_rows *rows)
{
    for (size_t at = 0, child; (child = 2 * at + 1) < rows->count; at = child) {
        if (child + 1 < rows->count &&
            rows->compare(&rows->rows[child + 1], &rows->rows[child]) > 0)
            child++;
        if (rows->compare(&rows->rows[child], &rows->rows[at]) <= 0)
            return;
        swap_rows(&rows->rows[child], &rows->rows[at]);
    }
}

static void read_time(struct task_rows *rows, struct task_row *row, const struct task *t)
{
    if (t->status_count == 0)
        return;
    arena_reset(rows->arena);
    ProtobufCMessage *message;
    int r = wire_decode(&mesos__v1__task_status__descriptor, rows->arena, t->statuses[0]->data,
                        t->statuses[0]->size, &message, NULL);
    CHECK(r == 0); // the core encoded it
    row->has_time = true;
    row->time = ((Mesos__V1__TaskStatus *)message)->timestamp;
}

static void write_row(struct task_rows *rows, struct task_row *row, const struct task *t)
{
    AUTO_BUF struct buf text = BUF_INIT;
    struct json_writer w;
    json_begin(&w, &text);
    master_v0_put_task(&w, rows->texts, rows->arena, t);
    row->size = text.size;
    row->text = buf_take(&text);
}

static void visit_row(void *made, enum master_record kind, void *record)
{
    struct task_rows *rows = made;
    CHECK(kind == RECORD_TASK);
    const struct task *t = record;
    if ((rows->task_id != NULL && strcmp(rows->task_id, t->id) != 0) ||
        (rows->framework_id != NULL && strcmp(rows->framework_id, t->framework->id) != 0))
        return;
    struct task_row row = {.position = rows->found++};
    read_time(rows, &row, t);
    size_t wanted = rows->limit > SIZE_MAX - rows->offset ? SIZE_MAX : rows->limit + rows->offset;
    if (rows->count < wanted) {
        if (rows->count == rows->capacity) {
            rows->capacity = rows->capacity > 0 ? 2 * rows->capacity : 64;
            rows->rows = mem_realloc_array(rows->rows, rows->capacity, sizeof(*rows->rows));
        }
        write_row(rows, &row, t);
        rows->rows[rows->count++] = row;
        sift_up(rows, rows->count - 1);
    } else if (rows->count > 0 && rows->compare(&row, &rows->rows[0]) < 0) {
        write_row(rows, &row, t);
        mem_free(rows->rows[0].text);
        rows->rows[0] = row;
        sift_down(rows);
    }
}

// "ascending limit offset framework's-size framework task"; a size of -1, or a '-' before the task:
// any.
static char *tasks_parameter(struct http_request *r, bool ascending, size_t limit, size_t offset)
{
    const char *framework_id = http_query(r, "framework_id"), *task_id = http_query(r, "task_id");
    return arena_printf(http_arena(r), "%d %zu %zu %zd %s%s%s", ascending, limit, offset,
                        framework_id != NULL ? (ssize_t)strlen(framework_id) : -1,
                        framework_id != NULL ? framework_id : "", task_id != NULL ? "=" : "-",
                        task_id != NULL ? task_id : "");
}

static void *begin_rows(struct master_server *server, const char *parameter)
{
    (void)server;
    struct task_rows *rows = mem_zalloc(sizeof(*rows));
    int ascending, at;
    ssize_t size;
    int n =
        sscanf(parameter, "%d %zu %zu %zd%n", &ascending, &rows->limit, &rows->offset, &size, &at);
    CHECK(n == 4); // written a moment ago
    const char *rest = parameter + at + 1;
    rows->compare = ascending ? compare_ascending : compare_descending;
    if (size >= 0) {
        rows->framework_id = mem_strndup(rest, (size_t)size);
        rest += size;
    }
    if (rest[0] == '=')
        rows->task_id = mem_strdup(rest + 1);
    rows->arena = arena_new(0, 0);
    rows->texts = v0_texts_new();
    return rows;
}

static struct http_blob *finish_rows(void *made)
{
    struct task_rows *rows = made;
    if (rows->count > 0)
        qsort(rows->rows, rows->count, sizeof(*rows->rows), rows->compare);
    AUTO_ROPE struct rope list = {0};
    for (size_t i = rows->offset; i < rows->count && i - rows->offset < rows->limit; i++) {
        struct json_writer w = rope_put_begin(&list);
        json_raw(&w, rows->rows[i].text, rows->rows[i].size);
        rope_put_end(&list);
    }
    AUTO_ROPE struct rope out = {0};
    buf_puts(&out.buf, "{\"tasks\":[");
    rope_join(&out, &list);
    buf_puts(&out.buf, "]}");
    return rope_take(&out);
}

static void free_rows(void *made)
{
    struct task_rows *rows = made;
    for (size_t i = 0; i < rows->count; i++)
        mem_free(rows->rows[i].text);
    mem_free(rows->rows);
    mem_free(rows->task_id);
    mem_free(rows->framework_id);
    arena_free(rows->arena);
    v0_texts_free(rows->texts);
    mem_free(rows);
}

static const struct answer_kind tasks_kind = {
    .records = 1u << RECORD_TASK,
    .begin = begin_rows,
    .visit = visit_row,
    .finish = finish_rows,
    .free = free_rows,
};

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
    const char *order = http_query(r, "order");
    bool ascending = order != NULL && strcmp(order, "asc") == 0;
    size_t limit = query_number(r, "limit", 100), offset = query_number(r, "offset", 0);
    master_answers_respond(server, r, &tasks_kind, tasks_parameter(r, ascending, limit, offset),
                           CONTENT_JSON);
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

// An object without what tasks count for it, and without its end.
struct summary_part {
    char *id;
    struct buf text;
};

struct summary_parts {
    struct summary_part *parts;
    size_t count, capacity;
};

struct summaries {
    struct master_server *server;
    struct v0_texts *texts;
    struct map agents; // id -> struct summary
    struct map frameworks;
    struct summary_parts agent_parts, framework_parts;
};

static void *begin_summary(struct master_server *server, const char *parameter)
{
    (void)parameter;
    struct summaries *s = mem_zalloc(sizeof(*s));
    s->server = server;
    s->texts = v0_texts_new();
    return s;
}

static struct json_writer add_part(struct summary_parts *parts, const char *id)
{
    if (parts->count == parts->capacity) {
        parts->capacity = parts->capacity > 0 ? 2 * parts->capacity : 16;
        parts->parts = mem_realloc_array(parts->parts, parts->capacity, sizeof(*parts->parts));
    }
    struct summary_part *part = &parts->parts[parts->count++];
    *part = (struct summary_part){.id = mem_strdup(id)};
    struct json_writer w;
    json_begin(&w, &part->text);
    json_object_open(&w);
    return w;
}

static void visit_summary(void *made, enum master_record kind, void *record)
{
    struct summaries *s = made;
    if (kind == RECORD_AGENT) {
        struct json_writer w = add_part(&s->agent_parts, ((struct agent *)record)->id);
        master_v0_put_agent_members(&w, s->texts, record, false);
    } else if (kind == RECORD_FRAMEWORK) {
        const struct framework *f = record;
        if (f->completed)
            return;
        struct json_writer w = add_part(&s->framework_parts, f->id);
        master_v0_put_framework_summary_members(&w, f);
    } else {
        CHECK(kind == RECORD_TASK);
        const struct task *t = record;
        if (!t->framework->completed)
            count_task(&s->agents, summary_of(&s->frameworks, t->framework->id), t);
    }
}

static void put_parts(struct rope *out, const char *key, struct summary_parts *parts,
                      struct map *summaries, const char *others_key)
{
    buf_printf(&out->buf, ",\"%s\":[", key);
    out->count = 0;
    for (size_t i = 0; i < parts->count; i++) {
        struct summary_part *part = &parts->parts[i];
        struct json_writer w = rope_put_begin(out);
        json_raw(&w, part->text.data, part->text.size);
        put_summary_members(&w, summary_of(summaries, part->id), others_key);
        json_object_close(&w);
        rope_put_end(out);
    }
    buf_puts(&out->buf, "]");
}

static struct http_blob *finish_summary(void *made)
{
    struct summaries *s = made;
    const struct master *m = s->server->core;
    AUTO_ROPE struct rope out = {0};
    struct json_writer w = rope_put_begin(&out);
    json_object_open(&w);
    json_key_string(&w, "hostname", m->info->hostname);
    if (s->server->cluster != NULL)
        json_key_string(&w, "cluster", s->server->cluster);
    put_parts(&out, "slaves", &s->agent_parts, &s->agents, "framework_ids");
    put_parts(&out, "frameworks", &s->framework_parts, &s->frameworks, "slave_ids");
    buf_puts(&out.buf, "}");
    return rope_take(&out);
}

static void free_parts(struct summary_parts *parts)
{
    for (size_t i = 0; i < parts->count; i++) {
        mem_free(parts->parts[i].id);
        buf_free(&parts->parts[i].text);
    }
    mem_free(parts->parts);
}

static void free_summary(void *made)
{
    struct summaries *s = made;
    free_parts(&s->agent_parts);
    free_parts(&s->framework_parts);
    free_summaries(&s->agents);
    free_summaries(&s->frameworks);
    v0_texts_free(s->texts);
    mem_free(s);
}

static const struct answer_kind summary_kind = {
    .records = 1u << RECORD_AGENT | 1u << RECORD_FRAMEWORK | 1u << RECORD_TASK,
    .begin = begin_summary,
    .visit = visit_summary,
    .finish = finish_summary,
    .free = free_summary,
};

static void state_summary(void *ctx, struct http_request *r)
{
    struct master_server *server = ctx;
    if (master_require_leader(server, r))
        master_answers_respond(server, r, &summary_kind, "", CONTENT_JSON);
}

static const struct api_route routes[] = {
    {"/state-summary", NULL, state_summary, "Agents and frameworks with numbers of tasks."},
    {"/tasks", NULL, tasks, "Tasks; ?limit=, ?offset=, ?order=asc, ?framework_id=, ?task_id=."},
};

void master_summary_add_routes(struct master_server *server)
{
    api_router_add(server->router, routes, ARRAY_COUNT(routes), server);
}
