// SPDX-License-Identifier: Apache-2.0
//
// The v0 endpoints that show the cluster: /state, /slaves, /frameworks. Keys and their order are
// Mesos'. All three are made of the same lists, each of which is written on its own (rope.h) while
// the records are visited (master_answers.h), and put together in the end.

#include <stdlib.h>
#include <string.h>

#include "api/master_answers.h"
#include "api/master_v0.h"
#include "api/rope.h"
#include "api/v0_json.h"
#include "base/mem.h"
#include "base/text.h"
#include "wire/wire.h"

// ---- lists that several endpoints have ----

// What a framework's object is made of.
struct framework_part {
    const struct framework *record; // only to be compared: it may be gone
    bool is_completed;
    struct rope members; // those before the lists; empty while only its tasks were seen
    struct rope tasks, unreachable, completed, offers, executors;
    struct rope last; // members behind them
};

struct shown {
    struct master_server *server;
    struct arena *arena;
    struct v0_texts *texts;
    struct rope self, self_last; // what /state says of the master; between them stand
    size_t active, inactive;     // agents
    struct rope agents, recovered;
    struct map by_id;            // framework id -> struct framework_part
    struct framework_part *last; // found
};

static void *begin_shown(struct master_server *server, const char *parameter)
{
    (void)parameter;
    struct shown *shown = mem_zalloc(sizeof(*shown));
    shown->server = server;
    shown->arena = arena_new(0, 0);
    shown->texts = v0_texts_new();
    return shown;
}

static void part_free(struct framework_part *part)
{
    rope_free(&part->members);
    rope_free(&part->tasks);
    rope_free(&part->unreachable);
    rope_free(&part->completed);
    rope_free(&part->offers);
    rope_free(&part->executors);
    rope_free(&part->last);
    mem_free(part);
}

static void free_shown(void *made)
{
    struct shown *shown = made;
    rope_free(&shown->self);
    rope_free(&shown->self_last);
    rope_free(&shown->agents);
    rope_free(&shown->recovered);
    MAP_FOREACH (&shown->by_id, entry)
        part_free(entry->value);
    map_free(&shown->by_id);
    arena_free(shown->arena);
    v0_texts_free(shown->texts);
    mem_free(shown);
}

static struct framework_part *part_of(struct shown *shown, const struct framework *f)
{
    if (shown->last != NULL && shown->last->record == f)
        return shown->last;
    struct framework_part *part = map_get(&shown->by_id, f->id);
    if (part == NULL) {
        part = mem_zalloc(sizeof(*part));
        part->record = f;
        map_put(&shown->by_id, f->id, part);
    }
    shown->last = part;
    return part;
}

static void visit_agent(struct shown *shown, const struct agent *a)
{
    if (a->active)
        shown->active++;
    else
        shown->inactive++;
    struct json_writer w = rope_put_begin(&shown->agents);
    json_object_open(&w);
    master_v0_put_agent_members(&w, shown->texts, a, true);
    json_object_close(&w);
    rope_put_end(&shown->agents);
}

static void visit_framework(struct framework_part *part, const struct framework *f)
{
    part->is_completed = f->completed;
    struct json_writer w = rope_put_begin(&part->members);
    json_object_open(&w);
    master_v0_put_framework_members(&w, f);
    w = rope_put_begin(&part->last);
    master_v0_put_framework_last_members(&w, f);
}

static void visit_task(struct shown *shown, const struct task *t)
{
    struct framework_part *part = part_of(shown, t->framework);
    struct rope *rope = t->place == TASK_ON_AGENT      ? &part->tasks
                        : t->place == TASK_UNREACHABLE ? &part->unreachable
                                                       : &part->completed;
    struct json_writer w = rope_put_begin(rope);
    master_v0_put_task(&w, shown->texts, shown->arena, t);
    rope_put_end(rope);
}

static void visit_recovered(struct shown *shown, const struct recovered_agent *r)
{
    struct json_writer w = rope_put_begin(&shown->recovered);
    master_v0_put_recovered_agent(&w, r);
    rope_put_end(&shown->recovered);
}

static void visit_offer(struct shown *shown, const struct offer *o)
{
    struct rope *rope = &part_of(shown, o->framework)->offers;
    struct json_writer w = rope_put_begin(rope);
    master_v0_put_offer(&w, shown->arena, o);
    rope_put_end(rope);
}

static void visit_executor(struct shown *shown, const struct executor *e)
{
    struct rope *rope = &part_of(shown, e->framework)->executors;
    struct json_writer w = rope_put_begin(rope);
    master_v0_put_executor(&w, shown->arena, e);
    rope_put_end(rope);
}

static void visit_record(void *made, enum master_record kind, void *record)
{
    struct shown *shown = made;
    switch (kind) {
    case RECORD_AGENT:
        visit_agent(shown, record);
        return;
    case RECORD_RECOVERED_AGENT:
        visit_recovered(shown, record);
        return;
    case RECORD_FRAMEWORK:
        visit_framework(part_of(shown, record), record);
        return;
    case RECORD_TASK:
        visit_task(shown, record);
        return;
    case RECORD_EXECUTOR:
        visit_executor(shown, record);
        return;
    case RECORD_OFFER:
        visit_offer(shown, record);
        return;
    }
}

static void put_text(struct rope *out, const char *text)
{
    buf_puts(&out->buf, text);
}

// `key` with what has to stand before it: ",\"tasks\":[".
static void put_list(struct rope *out, const char *key, struct rope *list)
{
    put_text(out, key);
    rope_join(out, list);
    put_text(out, "]");
}

static void put_agents(struct rope *out, struct shown *shown)
{
    put_list(out, "\"slaves\":[", &shown->agents);
    put_list(out, ",\"recovered_slaves\":[", &shown->recovered);
}

static void put_framework(struct rope *out, struct framework_part *part)
{
    rope_join(out, &part->members);
    put_list(out, ",\"tasks\":[", &part->tasks);
    put_list(out, ",\"unreachable_tasks\":[", &part->unreachable);
    put_list(out, ",\"completed_tasks\":[", &part->completed);
    put_list(out, ",\"offers\":[", &part->offers);
    put_list(out, ",\"executors\":[", &part->executors);
    if (rope_size(&part->last) > 0)
        put_text(out, ",");
    rope_join(out, &part->last);
    put_text(out, "}");
    rope_put_end(out);
}

static void put_frameworks(struct rope *out, struct shown *shown)
{
    for (int is_completed = 0; is_completed <= 1; is_completed++) {
        put_text(out, is_completed ? "],\"completed_frameworks\":[" : "\"frameworks\":[");
        bool is_first = true;
        MAP_FOREACH (&shown->by_id, entry) {
            struct framework_part *part = entry->value;
            if (part->is_completed != (is_completed == 1))
                continue;
            if (!is_first)
                put_text(out, ",");
            is_first = false;
            put_framework(out, part);
        }
    }
    put_text(out, "]");
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
}

static void put_agent_counts(struct json_writer *w, const struct shown *shown)
{
    json_key_double(w, "activated_slaves", (double)shown->active);
    json_key_double(w, "deactivated_slaves", (double)shown->inactive);
}

static void put_self_last(struct json_writer *w, const struct master_server *server)
{
    const struct master *m = server->core;
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

static struct http_blob *finish_state(void *made)
{
    struct shown *shown = made;
    AUTO_ROPE struct rope out = {0};
    struct json_writer w = rope_put_begin(&shown->self);
    put_agent_counts(&w, shown);
    put_text(&out, "{");
    rope_join(&out, &shown->self);
    put_text(&out, ",");
    rope_join(&out, &shown->self_last);
    put_text(&out, ",");
    put_agents(&out, shown);
    put_text(&out, ",");
    put_frameworks(&out, shown);
    put_text(&out, ",\"orphan_tasks\":[],\"unregistered_frameworks\":[]}");
    return rope_take(&out);
}

static void *begin_state(struct master_server *server, const char *parameter)
{
    struct shown *shown = begin_shown(server, parameter);
    struct json_writer w = rope_put_begin(&shown->self);
    api_put_version(&w);
    put_self(&w, server);
    w = rope_put_begin(&shown->self_last);
    put_self_last(&w, server);
    json_key(&w, "flags");
    json_object_open(&w);
    api_put_flags(server->common, &w);
    json_object_close(&w);
    return shown;
}

enum {
    OF_AGENTS = 1u << RECORD_AGENT | 1u << RECORD_RECOVERED_AGENT,
    OF_FRAMEWORKS =
        1u << RECORD_FRAMEWORK | 1u << RECORD_TASK | 1u << RECORD_EXECUTOR | 1u << RECORD_OFFER,
};

static const struct answer_kind state_kind = {
    .records = OF_AGENTS | OF_FRAMEWORKS,
    .begin = begin_state,
    .visit = visit_record,
    .finish = finish_state,
    .free = free_shown,
};

static void state(void *ctx, struct http_request *r)
{
    struct master_server *server = ctx;
    if (master_require_leader(server, r))
        master_answers_respond(server, r, &state_kind, "", CONTENT_JSON);
}

// ---- /slaves, /frameworks ----

static struct http_blob *finish_slaves(void *made)
{
    AUTO_ROPE struct rope out = {0};
    put_text(&out, "{");
    put_agents(&out, made);
    put_text(&out, "}");
    return rope_take(&out);
}

static const struct answer_kind slaves_kind = {
    .records = OF_AGENTS,
    .begin = begin_shown,
    .visit = visit_record,
    .finish = finish_slaves,
    .free = free_shown,
};

// One agent is shown at once.
static void respond_slave(struct master_server *server, struct http_request *r, const char *id)
{
    struct shown *shown = begin_shown(server, "");
    const struct agent *a = map_get(&server->core->agents, id);
    const struct recovered_agent *recovered = map_get(&server->core->recovered, id);
    if (a != NULL)
        visit_agent(shown, a);
    if (recovered != NULL)
        visit_recovered(shown, recovered);
    AUTO_ROPE struct rope out = {0};
    put_text(&out, "{");
    put_agents(&out, shown);
    put_text(&out, "}");
    struct http_blob *blob = rope_take(&out);
    AUTO_BUF struct buf whole = {.data = http_blob_copy(blob),
                                 .size = http_blob_size(blob),
                                 .capacity = http_blob_size(blob) + 1};
    api_respond_json(r, &whole);
    http_blob_release(blob);
    free_shown(shown);
}

static void slaves(void *ctx, struct http_request *r)
{
    struct master_server *server = ctx;
    if (!master_require_leader(server, r))
        return;
    const char *id = http_query(r, "slave_id");
    if (id != NULL)
        respond_slave(server, r, id);
    else
        master_answers_respond(server, r, &slaves_kind, "", CONTENT_JSON);
}

static struct http_blob *finish_frameworks(void *made)
{
    AUTO_ROPE struct rope out = {0};
    put_text(&out, "{");
    put_frameworks(&out, made);
    put_text(&out, ",\"unregistered_frameworks\":[]}");
    return rope_take(&out);
}

static const struct answer_kind frameworks_kind = {
    .records = OF_FRAMEWORKS,
    .begin = begin_shown,
    .visit = visit_record,
    .finish = finish_frameworks,
    .free = free_shown,
    .is_of_framework = true,
};

static void frameworks(void *ctx, struct http_request *r)
{
    struct master_server *server = ctx;
    if (!master_require_leader(server, r))
        return;
    const char *id = http_query(r, "framework_id");
    master_answers_respond(server, r, &frameworks_kind, id != NULL ? id : "", CONTENT_JSON);
}

static const struct api_route routes[] = {
    {"/state", NULL, state, "All that the master knows."},
    {"/slaves", NULL, slaves, "Agents; ?slave_id= for one."},
    {"/frameworks", NULL, frameworks, "Frameworks; ?framework_id= for one."},
};

void master_state_add_routes(struct master_server *server)
{
    api_router_add(server->router, routes, ARRAY_COUNT(routes), server);
}
