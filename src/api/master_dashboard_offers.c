// SPDX-License-Identifier: Apache-2.0
//
// GET /dashboard/offers: what frameworks are offered at the moment, searched, sorted and paged.

#include "api/master_dashboard.h"

enum column { ID, FRAMEWORK, AGENT, ROLE, CPUS, MEM, DISK, GPUS };

static const struct dashboard_column columns[] = {
    [ID] = {.name = "id", .is_text = true},
    [FRAMEWORK] = {.name = "framework", .is_text = true},
    [AGENT] = {.name = "agent", .is_text = true},
    [ROLE] = {.name = "role", .is_text = true},
    [CPUS] = {.name = "cpus", .descends = true},
    [MEM] = {.name = "mem", .descends = true},
    [DISK] = {.name = "disk", .descends = true},
    [GPUS] = {.name = "gpus", .descends = true},
};

static bool is_found(const struct dashboard_query *q, const struct offer *o)
{
    unsigned found =
        dashboard_terms_in(q, o->id) | dashboard_terms_in(q, o->role) |
        dashboard_terms_in(q, o->framework->info->name) | dashboard_terms_in(q, o->framework->id) |
        dashboard_terms_in(q, o->agent->info->hostname) | dashboard_terms_in(q, o->agent->id);
    return dashboard_has_all(q, found);
}

static const char *text_key(const struct dashboard_query *q, const struct offer *o)
{
    switch ((enum column)q->column) {
    case FRAMEWORK:
        return o->framework->info->name;
    case AGENT:
        return o->agent->info->hostname;
    case ROLE:
        return o->role;
    default:
        return o->id;
    }
}

static void add(struct dashboard_rows *rows, const struct dashboard_query *q, const struct offer *o)
{
    if (q->is_text)
        dashboard_rows_add_text(rows, o, text_key(q, o));
    else
        dashboard_rows_add_number(rows, o,
                                  (double)resources_scalar(o->resources, columns[q->column].name));
}

static void put_offer(struct json_writer *w, const struct offer *o)
{
    json_object_open(w);
    json_key_string(w, "id", o->id);
    json_key_string(w, "framework_id", o->framework->id);
    json_key_string(w, "framework", o->framework->info->name);
    json_key_string(w, "agent_id", o->agent->id);
    json_key_string(w, "host", o->agent->info->hostname);
    json_key_string(w, "role", o->role);
    dashboard_put_resources(w, "resources", o->resources);
    json_object_close(w);
}

void dashboard_offers(void *ctx, struct http_request *r)
{
    struct master_server *server = ctx;
    struct dashboard_query q;
    if (!dashboard_begin(server, r) || !dashboard_query_read(r, columns, ARRAY_COUNT(columns), &q))
        return;
    AUTO_ROWS struct dashboard_rows rows = {0};
    MAP_FOREACH (&server->core->offers, entry) {
        if (is_found(&q, entry->value))
            add(&rows, &q, entry->value);
    }
    size_t from, to;
    dashboard_rows_select(&rows, &q, &from, &to);
    AUTO_BUF struct buf out = BUF_INIT;
    struct json_writer w;
    json_begin(&w, &out);
    dashboard_put_head(&w, &q, server->core->offers.count, rows.count);
    json_key(&w, "rows");
    json_array_open(&w);
    for (size_t i = from; i < to; i++)
        put_offer(&w, rows.list[i].record);
    json_array_close(&w);
    json_object_close(&w);
    api_respond_json(r, &out);
}
