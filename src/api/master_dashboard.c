// SPDX-License-Identifier: Apache-2.0
//
// The dashboard's data: /dashboard/overview (the cluster in figures), /dashboard/stream (the same
// whenever it changed, as server-sent events), and the routes of its tables.
//
// The stream is the page's clock. It carries figures and a version for each table, so that a page
// asks again only for what it shows and what changed. It is looked at on a timer while somebody
// listens, and written only when it differs from before: a quiet cluster sends nothing, a busy one
// at most one event per TICK to each, and the look itself is spread out when it takes long.

#include "api/master_dashboard.h"
#include "api/master_dashboard_history.h"

#include <string.h>

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "model/task_state.h"

#define TICK_NS (NS_PER_S / 2)
#define TICK_MAX_NS (10 * NS_PER_S)
#define BEAT_NS (15 * NS_PER_S)
// A look may take this part of the time at most.
enum { TICK_SHARE = 300 };
enum { LISTENERS_MAX = 1000, WAITING_SIZE_MAX = 256 * 1024 };

static const char *const resource_names[] = {"cpus", "mem", "disk", "gpus"};

struct listener {
    struct list link; // dashboard->listeners, the oldest first
    struct master_dashboard *dashboard;
    struct http_stream *http;
};

struct master_dashboard {
    struct master_server *server;
    struct list listeners;
    size_t listener_count;
    struct timer tick; // set while there are listeners
    struct buf last;   // the overview that was sent last
    int64_t last_sent; // monotonic
    struct timer sampling;
    struct dashboard_history *history;
    uint64_t agent_notices, framework_notices;
};

// ---- figures ----

struct amounts {
    int64_t used, offered;
};

static void add_framework(const struct framework *f, struct amounts amounts[])
{
    for (size_t i = 0; i < ARRAY_COUNT(resource_names); i++) {
        amounts[i].used += resources_scalar(f->used, resource_names[i]);
        amounts[i].offered += resources_scalar(f->offered, resource_names[i]);
    }
}

static void put_resources(struct json_writer *w, const struct master *m)
{
    struct amounts amounts[ARRAY_COUNT(resource_names)] = {0};
    MAP_FOREACH (&m->frameworks, entry)
        add_framework(entry->value, amounts);
    json_key(w, "resources");
    json_object_open(w);
    for (size_t i = 0; i < ARRAY_COUNT(resource_names); i++) {
        int64_t total, held;
        allocator_get_amounts(m->allocator, resource_names[i], &total, &held);
        json_key(w, resource_names[i]);
        json_object_open(w);
        json_key_double(w, "total", (double)total / 1000);
        json_key_double(w, "used", (double)amounts[i].used / 1000);
        json_key_double(w, "offered", (double)amounts[i].offered / 1000);
        json_object_close(w);
    }
    json_object_close(w);
}

static size_t count_active_agents(const struct master *m)
{
    size_t active = 0;
    MAP_FOREACH (&m->agents, entry)
        active += ((const struct agent *)entry->value)->active;
    return active;
}

static void put_agents(struct json_writer *w, const struct master *m, size_t active)
{
    size_t draining = 0;
    MAP_FOREACH (&m->deactivations, entry)
        draining += ((const struct deactivation *)entry->value)->now.is_draining;
    json_key(w, "agents");
    json_object_open(w);
    json_key_u64(w, "total", m->agents.count);
    json_key_u64(w, "active", active);
    json_key_u64(w, "inactive", m->agents.count - active);
    json_key_u64(w, "draining", draining);
    json_key_u64(w, "unreachable", m->unreachable.count);
    json_key_u64(w, "awaited", m->recovered.count);
    json_key_u64(w, "gone", m->gone.count);
    json_object_close(w);
}

static void put_frameworks(struct json_writer *w, const struct master *m)
{
    size_t active = 0, disconnected = 0;
    MAP_FOREACH (&m->frameworks, entry) {
        const struct framework *f = entry->value;
        active += f->active;
        disconnected += f->subscriber == NULL;
    }
    json_key(w, "frameworks");
    json_object_open(w);
    json_key_u64(w, "total", m->frameworks.count);
    json_key_u64(w, "active", active);
    json_key_u64(w, "disconnected", disconnected);
    json_key_u64(w, "completed", m->completed_count);
    json_object_close(w);
}

static void put_states(struct json_writer *w, const char *key, const uint64_t counts[])
{
    json_key(w, key);
    json_object_open(w);
    for (unsigned i = 0; i < TASK_STATE_COUNT; i++) {
        if (counts[i] > 0)
            json_key_u64(w, task_state_name((Mesos__V1__TaskState)i), counts[i]);
    }
    json_object_close(w);
}

static void add_tasks(const struct framework *f, uint64_t now[], uint64_t ended[], size_t kept[3])
{
    for (size_t i = 0; i < TASK_STATE_COUNT; i++) {
        now[i] += f->states[i];
        ended[i] += f->terminal[i];
    }
    kept[0] += f->tasks.count;
    kept[1] += f->unreachable.count;
    kept[2] += f->completed_count;
}

static void put_tasks(struct json_writer *w, const struct master *m)
{
    uint64_t now[TASK_STATE_COUNT] = {0}, ended[TASK_STATE_COUNT] = {0};
    size_t kept[3] = {0};
    MAP_FOREACH (&m->frameworks, entry)
        add_tasks(entry->value, now, ended, kept);
    LIST_FOREACH ((struct list *)(uintptr_t)&m->completed, struct framework, in_completed, f)
        add_tasks(f, now, ended, kept);
    json_key(w, "tasks");
    json_object_open(w);
    json_key_u64(w, "active", kept[0]);
    json_key_u64(w, "unreachable", kept[1]);
    json_key_u64(w, "completed", kept[2]);
    put_states(w, "states", now);
    put_states(w, "ended", ended);
    json_object_close(w);
}

// ---- versions ----

static uint64_t mix(uint64_t hash, uint64_t value)
{
    return (hash ^ value) * UINT64_C(0x100000001b3);
}

static uint64_t mix_double(uint64_t hash, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return mix(hash, bits);
}

static uint64_t agents_version(const struct master *m, size_t active)
{
    uint64_t hash = mix(mix(m->agents.count, active), m->unreachable.count);
    hash = mix(mix(hash, m->gone.count), m->recovered.count);
    MAP_FOREACH (&m->deactivations, entry) {
        const struct deactivation *d = entry->value;
        hash = mix(mix(hash, entry->hash), (uint64_t)d->now.state << 2 |
                                               (uint64_t)d->now.is_deactivated << 1 |
                                               (uint64_t)d->now.is_draining);
    }
    return hash;
}

static uint64_t roles_version(const struct master *m)
{
    uint64_t hash = mix(m->weights.count, m->quotas.count);
    MAP_FOREACH (&m->weights, weight)
        hash = mix_double(mix(hash, weight->hash), *(const double *)weight->value);
    MAP_FOREACH (&m->quotas, entry) {
        const Mesos__V1__Quota__QuotaConfig *config = ((const struct quota *)entry->value)->config;
        hash = mix(mix(hash, entry->hash), config->n_limits);
        for (size_t i = 0; i < config->n_limits; i++)
            hash = mix_double(
                mix(hash, map_hash(config->limits[i]->key, strlen(config->limits[i]->key))),
                config->limits[i]->value->value);
        for (size_t i = 0; i < config->n_guarantees; i++)
            hash = mix_double(
                mix(hash, map_hash(config->guarantees[i]->key, strlen(config->guarantees[i]->key))),
                config->guarantees[i]->value->value);
    }
    return hash;
}

static uint64_t maintenance_version(const struct master *m)
{
    uint64_t hash = mix((uintptr_t)m->maintenance, m->inverse_offers.count);
    size_t down = 0;
    MAP_FOREACH (&m->maintenance->machines, entry)
        down += ((const struct machine *)entry->value)->is_down;
    return mix(mix(hash, m->maintenance->machines.count), down);
}

static void put_version(struct json_writer *w, const char *key, uint64_t a, uint64_t b)
{
    char text[64];
    snprintf(text, sizeof(text), "%llx.%llx", (unsigned long long)a, (unsigned long long)b);
    json_key_string(w, key, text);
}

static void put_versions(struct json_writer *w, const struct master_dashboard *d, size_t active)
{
    const struct master *m = d->server->core;
    json_key(w, "versions");
    json_object_open(w);
    put_version(w, "tasks", m->task_changes, 0);
    put_version(w, "agents", d->agent_notices, agents_version(m, active));
    put_version(w, "frameworks", d->framework_notices, 0);
    put_version(w, "offers", m->next_offer, m->offers.count);
    put_version(w, "roles", roles_version(m), d->framework_notices);
    put_version(w, "maintenance", maintenance_version(m), 0);
    json_object_close(w);
}

// ---- the overview ----

static void put_self(struct json_writer *w, const struct master_server *server)
{
    const struct master *m = server->core;
    json_key_string(w, "cluster", server->cluster);
    json_key_string(w, "version", MESOS_VERSION);
    json_key_string(w, "build", MESETA_VERSION);
    json_key_string(w, "id", m->info->id);
    json_key_string(w, "hostname", m->info->hostname);
    json_key_u64(w, "port", m->info->port);
    json_key_double(w, "start_time", master_v0_seconds(server->started.wall));
    json_key_double(w, "elected_time", master_v0_seconds(server->elected.wall));
}

static void put_master(void *ctx, const char *address)
{
    json_string(ctx, address);
}

// All that contend, so that a page whose master died knows whom to ask.
static void put_masters(struct json_writer *w, const struct master_server *server)
{
    json_key(w, "masters");
    json_array_open(w);
    election_walk_peers(server->election, put_master, w);
    json_array_close(w);
}

static void put_overview(struct buf *out, const struct master_dashboard *d)
{
    const struct master *m = d->server->core;
    size_t active = count_active_agents(m);
    struct json_writer w;
    json_begin(&w, out);
    json_object_open(&w);
    put_self(&w, d->server);
    put_masters(&w, d->server);
    put_resources(&w, m);
    put_agents(&w, m, active);
    put_frameworks(&w, m);
    put_tasks(&w, m);
    put_versions(&w, d, active);
    json_object_close(&w);
}

bool dashboard_begin(struct master_server *server, struct http_request *r)
{
    return master_require_recovery(server, r) && api_require_method(r, "GET");
}

static void overview(void *ctx, struct http_request *r)
{
    struct master_server *server = ctx;
    if (!dashboard_begin(server, r))
        return;
    AUTO_BUF struct buf out = BUF_INIT;
    put_overview(&out, server->dashboard);
    api_respond_json(r, &out);
}

const char *dashboard_agent_set(const struct master_server *server, struct arena *arena)
{
    return arena_printf(arena, "%llx.%zx", (unsigned long long)server->dashboard->agent_notices,
                        server->core->agents.count);
}

// ---- the last hour ----

static void sample(struct timer *timer, struct instant now)
{
    struct master_dashboard *d = CONTAINER_OF(timer, struct master_dashboard, sampling);
    struct master_server *server = d->server;
    if (server->leads && server->recovered && !server->failed)
        dashboard_history_take(d->history, server->core, now.wall);
    env_timer_set(server->env, timer, dashboard_history_interval_ns());
}

static void history(void *ctx, struct http_request *r)
{
    struct master_server *server = ctx;
    if (!dashboard_begin(server, r))
        return;
    AUTO_BUF struct buf out = BUF_INIT;
    struct json_writer w;
    json_begin(&w, &out);
    dashboard_history_put(server->dashboard->history, &w);
    api_respond_json(r, &out);
}

// ---- who leads ----

// Any master answers, and to pages of other masters, too: so an open page finds the leader.
static void leader(void *ctx, struct http_request *r)
{
    static const struct http_header headers[] = {{"Access-Control-Allow-Origin", "*"},
                                                 {"Cache-Control", "no-store"}};
    struct master_server *server = ctx;
    if (!api_require_method(r, "GET"))
        return;
    AUTO_BUF struct buf out = BUF_INIT;
    struct json_writer w;
    json_begin(&w, &out);
    json_object_open(&w);
    json_key_bool(&w, "leads", server->leads && !server->failed);
    json_key_bool(&w, "ready", server->leads && !server->failed && server->recovered);
    json_key(&w, "leader");
    if (server->leader == NULL) {
        json_null(&w);
    } else {
        const char *host = server->leader->hostname;
        char address[256];
        uint16_t port;
        if ((host == NULL || host[0] == '\0') && election_address(server->leader, address, &port))
            host = address;
        json_object_open(&w);
        json_key_string(&w, "id", server->leader->id);
        json_key_string(&w, "hostname", host);
        json_key_u64(&w, "port", server->leader->port);
        json_object_close(&w);
    }
    json_object_close(&w);
    http_respond_buf(r, 200, "application/json", &out, headers, ARRAY_COUNT(headers));
}

// ---- the stream ----

static void listener_free(struct listener *l)
{
    struct master_dashboard *d = l->dashboard;
    list_remove(&l->link);
    d->listener_count--;
    if (d->listener_count == 0) {
        env_timer_cancel(d->server->env, &d->tick);
        buf_free(&d->last);
    }
    mem_free(l);
}

static void stream_is_closed(void *ctx, struct http_stream *http)
{
    (void)http;
    listener_free(ctx);
}

static void send_event(struct listener *l, const char *name, const struct buf *data)
{
    AUTO_BUF struct buf event = BUF_INIT;
    buf_printf(&event, "event: %s\ndata: ", name);
    buf_append(&event, data->data, data->size);
    buf_puts(&event, "\n\n");
    http_stream_send(l->http, event.data, event.size);
}

static void send_all(struct master_dashboard *d, const char *name, const struct buf *data)
{
    LIST_FOREACH (&d->listeners, struct listener, link, l) {
        // Who does not keep up misses events, and gets the newest when it reads again.
        if (http_stream_queued(l->http) == 0)
            send_event(l, name, data);
    }
}

static bool is_equal(const struct buf *a, const struct buf *b)
{
    return a->size == b->size && (a->size == 0 || memcmp(a->data, b->data, a->size) == 0);
}

// A listener that missed an event while it was slow sees the beat, whose data is the same.
static void look(struct timer *timer, struct instant now)
{
    struct master_dashboard *d = CONTAINER_OF(timer, struct master_dashboard, tick);
    int64_t began = dashboard_cpu_ns();
    struct buf body = BUF_INIT;
    put_overview(&body, d);
    bool is_changed = !is_equal(&body, &d->last);
    if (is_changed || now.mono - d->last_sent >= BEAT_NS) {
        send_all(d, is_changed ? "overview" : "beat", &body);
        d->last_sent = now.mono;
    }
    buf_free(&d->last);
    d->last = body;
    int64_t delay = TICK_SHARE * (dashboard_cpu_ns() - began);
    delay = delay < TICK_NS ? TICK_NS : delay > TICK_MAX_NS ? TICK_MAX_NS : delay;
    env_timer_set(d->server->env, &d->tick, delay);
}

static void stream(void *ctx, struct http_request *r)
{
    struct master_server *server = ctx;
    struct master_dashboard *d = server->dashboard;
    if (!dashboard_begin(server, r))
        return;
    if (d->listener_count >= LISTENERS_MAX) {
        struct listener *oldest = LIST_ENTRY(d->listeners.next, struct listener, link);
        log_info("More than %d pages listen to the dashboard's stream; the oldest is closed",
                 LISTENERS_MAX);
        http_stream_close(oldest->http);
        listener_free(oldest);
    }
    static const struct http_header headers[] = {{"Cache-Control", "no-store"}};
    struct listener *l = mem_zalloc(sizeof(*l));
    l->dashboard = d;
    list_append(&d->listeners, &l->link);
    d->listener_count++;
    l->http = http_respond_stream(r, "text/event-stream", headers, ARRAY_COUNT(headers),
                                  stream_is_closed, l);
    http_stream_set_queue_max(l->http, WAITING_SIZE_MAX);
    struct buf body = BUF_INIT;
    put_overview(&body, d);
    send_event(l, "overview", &body);
    if (d->listener_count == 1) {
        d->last_sent = env_now(server->env).mono;
        env_timer_set(server->env, &d->tick, TICK_NS);
        d->last = body;
    } else {
        buf_free(&body);
    }
}

// ---- life ----

void master_dashboard_notice(struct master_server *server, const struct master_notice *notice)
{
    struct master_dashboard *d = server->dashboard;
    switch (notice->kind) {
    case NOTICE_TASK_ADDED:
    case NOTICE_TASK_UPDATED:
        break; // the core counts them
    case NOTICE_AGENT_ADDED:
    case NOTICE_AGENT_REMOVED:
        d->agent_notices++;
        break;
    case NOTICE_FRAMEWORK_ADDED:
    case NOTICE_FRAMEWORK_UPDATED:
    case NOTICE_FRAMEWORK_REMOVED:
        d->framework_notices++;
        break;
    }
}

static const struct api_route routes[] = {
    {"/dashboard/leader", NULL, leader, "Which master leads, for an open dashboard."},
    {"/dashboard/overview", NULL, overview, "The cluster in figures, for the dashboard."},
    {"/dashboard/stream", NULL, stream,
     "The same whenever it changes, as server-sent events; with a version of each table."},
    {"/dashboard/history", NULL, history,
     "Use of the cluster over the last hour, in total and by role, for the dashboard."},
    {"/dashboard/agents", NULL, dashboard_agents,
     "Agents, for the dashboard: ?search=, ?sort=, ?order=, ?offset=, ?limit=."},
    {"/dashboard/agent", NULL, dashboard_agent, "One agent (?id=), for the dashboard."},
    {"/dashboard/heat", NULL, dashboard_heat,
     "How full each agent is, in 63 steps, for the dashboard; ?known= leaves names out."},
    {"/dashboard/frameworks", NULL, dashboard_frameworks,
     "Frameworks, for the dashboard: ?state=running|completed, ?role=, ?search=, ?sort=, ?order=, "
     "?offset=, ?limit=."},
    {"/dashboard/framework", NULL, dashboard_framework, "One framework (?id=), for the dashboard."},
    {"/dashboard/roles", NULL, dashboard_roles, "Roles and what each has, for the dashboard."},
    {"/dashboard/tasks", NULL, dashboard_tasks,
     "Tasks, for the dashboard: ?search=, ?place=, ?state=, ?framework=, ?agent=, ?executor=, "
     "?role=, ?id=, ?sort=, ?order=, ?offset=, ?limit=."},
    {"/dashboard/task", NULL, dashboard_task,
     "All that is known of one task, for the dashboard: ?framework=, ?id=."},
    {"/dashboard/offers", NULL, dashboard_offers,
     "Offers, for the dashboard: ?search=, ?sort=, ?order=, ?offset=, ?limit=."},
};

void master_dashboard_add_routes(struct master_server *server)
{
    struct master_dashboard *d = mem_zalloc(sizeof(*d));
    d->server = server;
    d->tick.run = look;
    d->sampling.run = sample;
    d->history = dashboard_history_new();
    list_init(&d->listeners);
    env_timer_set(server->env, &d->sampling, NS_PER_S);
    server->dashboard = d;
    api_router_add(server->router, routes, ARRAY_COUNT(routes), server);
}

void master_dashboard_free(struct master_server *server)
{
    struct master_dashboard *d = server->dashboard;
    LIST_FOREACH (&d->listeners, struct listener, link, l) {
        http_stream_close(l->http);
        listener_free(l);
    }
    CHECK(d->listener_count == 0);
    env_timer_cancel(server->env, &d->tick);
    env_timer_cancel(server->env, &d->sampling);
    dashboard_history_free(d->history);
    buf_free(&d->last);
    mem_free(d);
    server->dashboard = NULL;
}
