// SPDX-License-Identifier: Apache-2.0
//
// The frame of the master's shell: makes the parts, steps the core at each turn's end, writes its
// registry, and answers the endpoints that need nothing but the frame.

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/master_answers.h"
#include "api/master_internal.h"
#include "api/prometheus.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"

// ---- the turn ----

static void arm_timer(struct master_server *server, struct instant now)
{
    int64_t next = master_next(server->core);
    if (next == INT64_MAX) {
        env_timer_cancel(server->env, &server->timer);
        return;
    }
    int64_t delay = next > now.mono ? next - now.mono : 0;
    env_timer_set(server->env, &server->timer, delay);
}

static void end_turn(struct env_hook *hook, struct instant now)
{
    struct master_server *server = CONTAINER_OF(hook, struct master_server, turn);
    CHECK(server->magic == MASTER_SERVER_MAGIC);
    if (server->failed)
        return;
    if (server->recovered && master_next(server->core) <= now.mono)
        master_step(server->core, now);
    // What becomes durable here may give the core more to do: then it asks for another round.
    store_flush(server->store);
    if (server->failed)
        return;
    if (store_is_pending(server->store) ||
        (server->recovered && master_next(server->core) <= now.mono))
        master_server_touch(server);
    if (server->recovered)
        arm_timer(server, now);
}

// Reads the clock itself: a turn's moment does not pass within the turn.
static int64_t clock_ns(void)
{
    return (int64_t)uv_hrtime();
}

void master_server_touch(struct master_server *server)
{
    if (server->recovered && server->round_due_since == 0 &&
        master_round_is_due(server->core, env_now(server->env)))
        server->round_due_since = clock_ns();
    env_at_turn_end(server->env, &server->turn);
}

static void timer_is_due(struct timer *timer, struct instant now)
{
    (void)now;
    master_server_touch(CONTAINER_OF(timer, struct master_server, timer));
}

static void note_round(void *ctx, bool begins)
{
    struct master_server *server = ctx;
    int64_t now = clock_ns();
    if (!begins) {
        timing_add(&server->rounds, now, now - server->round_began);
        return;
    }
    server->round_began = now;
    // One that a timer of the core made due did not wait.
    timing_add(&server->round_waits, now,
               server->round_due_since > 0 ? now - server->round_due_since : 0);
    server->round_due_since = 0;
}

// ---- the registry ----

// The program ends with this turn; nothing is decided any more.
static void give_up(struct master_server *server)
{
    server->failed = true;
    env_stop(server->env, EXIT_FAILURE);
}

static void core_gives_up(void *ctx, const char *why)
{
    struct master_server *server = ctx;
    if (!server->failed)
        log_error("%s", why);
    give_up(server);
}

struct pending_write {
    struct list link;
    struct master_server *server;
    uint64_t token;
    int64_t began;
};

static void note_size(struct master_server *server, const char *key, bool is_there, size_t size)
{
    uintptr_t now = is_there ? strlen(key) + size : 0;
    uintptr_t before = is_there ? (uintptr_t)map_put(&server->registry_sizes, key, (void *)now)
                                : (uintptr_t)map_remove(&server->registry_sizes, key);
    server->registry_size += now - before;
}

static void write_is_durable(void *ctx, int result, const struct error *err)
{
    struct pending_write *write = ctx;
    struct master_server *server = write->server;
    list_remove(&write->link);
    server->write_count--;
    if (result < 0) {
        // What is stored is unknown now: nothing more may be decided here.
        if (!server->failed)
            log_error("Failed to write the registry: %s", err->text);
        mem_free(write);
        give_up(server);
        return;
    }
    int64_t now = clock_ns();
    timing_add(&server->writes_took, now, now - write->began);
    master_applied(server->core, write->token, 0, env_now(server->env));
    mem_free(write);
    master_server_touch(server);
}

static void apply(void *ctx, const struct master_item *items, size_t count, uint64_t token)
{
    struct master_server *server = ctx;
    struct pending_write *write = mem_zalloc(sizeof(*write));
    write->server = server;
    write->token = token;
    write->began = clock_ns();
    list_append(&server->writes, &write->link);
    server->write_count++;
    struct store_item *copy = mem_calloc(count, sizeof(*copy));
    for (size_t i = 0; i < count; i++) {
        copy[i] = (struct store_item){
            .key = items[i].key, .value = items[i].value, .size = items[i].size};
        note_size(server, items[i].key, items[i].value != NULL, items[i].size);
    }
    store_apply(server->store, copy, count, write_is_durable, write);
    mem_free(copy);
    master_server_touch(server);
}

static void registry_is_loaded(void *ctx, int result, const struct store_item *items, size_t count,
                               const struct error *err)
{
    struct master_server *server = ctx;
    struct error own = {0};
    if (result == 0) {
        struct master_item *copy = mem_calloc(count + 1, sizeof(*copy));
        for (size_t i = 0; i < count; i++) {
            copy[i] = (struct master_item){
                .key = items[i].key, .value = items[i].value, .size = items[i].size};
            note_size(server, items[i].key, true, items[i].size);
        }
        server->load_took_ms = (double)(clock_ns() - server->load_began) / (double)NS_PER_MS;
        result = master_recover(server->core, copy, count, env_now(server->env), &own);
        mem_free(copy);
        err = &own;
    }
    if (result < 0) {
        log_error("Failed to recover the registry: %s", err->text);
        give_up(server);
        return;
    }
    server->recovered = true;
    master_server_touch(server);
}

// ---- who leads ----

static void leader_changed(void *ctx, const Mesos__V1__MasterInfo *leader, bool is_self)
{
    struct master_server *server = ctx;
    server->leader = leader;
    if (server->failed)
        return;
    if (server->leads && !is_self) {
        if (leader != NULL)
            log_error("Lost leadership to the master at %s; ending", leader->pid);
        else
            log_error("Lost leadership: the session with ZooKeeper or our candidate is gone; "
                      "ending");
        give_up(server);
    } else if (server->leads) {
        log_info("Elected again");
    } else if (is_self) {
        log_info("Elected as the leading master");
        server->leads = true;
        server->elected = env_now(server->env);
        server->load_began = clock_ns();
        AUTO_BUF struct buf znode = BUF_INIT;
        if (election_put_znode(server->election, &znode))
            store_set_leader(server->store, znode.data);
        store_load(server->store, registry_is_loaded, server);
        master_server_touch(server);
    } else if (leader != NULL) {
        log_info("The leading master is %s with id %s", leader->pid, leader->id);
    } else {
        log_info("No master leads");
    }
}

static void election_failed(void *ctx, const struct error *why)
{
    struct master_server *server = ctx;
    if (!server->failed)
        log_error("%s; ending", why->text);
    give_up(server);
}

static bool respond_redirect(struct master_server *server, struct http_request *r,
                             const char *target)
{
    const Mesos__V1__MasterInfo *info = server->leader;
    if (info == NULL) {
        http_respond_text(r, 503, "No leader elected");
        return false;
    }
    char address[256];
    uint16_t port;
    const char *host = info->hostname;
    if ((host == NULL || host[0] == '\0') && election_address(info, address, &port))
        host = address;
    char *location = arena_printf(http_arena(r), "//%s:%u%s", host != NULL ? host : "",
                                  (unsigned)info->port, target);
    struct http_header header = {"Location", location};
    http_respond(r, 307, NULL, NULL, 0, &header, 1);
    return false;
}

bool master_require_leader(struct master_server *server, struct http_request *r)
{
    if (server->leads && !server->failed)
        return true;
    if (server->failed) {
        http_respond_text(r, 503, "No leader elected");
        return false;
    }
    return respond_redirect(server, r, http_raw_target(r));
}

bool master_require_recovery(struct master_server *server, struct http_request *r)
{
    if (!master_require_leader(server, r))
        return false;
    if (server->recovered)
        return true;
    http_respond_text(r, 503, "Master has not finished recovery");
    return false;
}

// ---- small endpoints ----

static void redirect(void *ctx, struct http_request *r)
{
    struct master_server *server = ctx;
    const char *path = http_path(r);
    if (strcmp(path, "/redirect") != 0 && strcmp(path, "/master/redirect") != 0) {
        http_respond_text(r, 404, "Not Found");
        return;
    }
    respond_redirect(server, r, "");
}

static void teardown(void *ctx, struct http_request *r)
{
    struct master_server *server = ctx;
    if (!master_require_recovery(server, r) || !api_require_method(r, "POST"))
        return;
    const char *id = http_form(r, "frameworkId");
    if (id == NULL) {
        http_respond_text(r, 400, "Missing 'frameworkId' query parameter in the request body");
        return;
    }
    if (!master_teardown(server->core, id, env_now(server->env))) {
        http_respond_text(r, 400, "No framework found with specified ID");
        return;
    }
    master_server_touch(server);
    http_respond_status(r, 200);
}

static const struct api_route routes[] = {
    {"/redirect", NULL, redirect, "Redirects to the leading master."},
    {"/teardown", NULL, teardown, "Ends a framework and all that it runs."},
};

// ---- metrics ----

static void put_metric(void *ctx, const char *name, double value)
{
    api_metric(ctx, name, value);
}

static void put_timings(struct master_server *server, struct api_metric_sink *sink)
{
    const int64_t hour = INT64_C(3600) * NS_PER_S;
    int64_t now = clock_ns();
    timing_put(&server->rounds, "allocator/mesos/allocation_run_ms", now, hour, sink);
    timing_put(&server->round_waits, "allocator/mesos/allocation_run_latency_ms", now, hour, sink);
    timing_put(&server->writes_took, "registrar/state_store_ms", now, 24 * hour, sink);
    if (server->load_took_ms >= 0)
        api_metric(sink, "registrar/state_fetch_ms", server->load_took_ms);
    // Where Mesos has a replicated log: whether what it holds is known.
    api_metric(sink, "registrar/log/recovered", server->recovered ? 1 : 0);
    api_metric(sink, "registrar/queued_operations", (double)server->write_count);
    api_metric(sink, "registrar/registry_size_bytes", (double)server->registry_size);
}

// Frames and requests are handled as they are read: nothing stands between. What waits is the
// continuation of each registry write, and a round of the allocator until the turn's end.
static void put_queues(struct master_server *server, struct api_metric_sink *sink)
{
    double rounds = master_round_is_due(server->core, env_now(server->env));
    api_metric(sink, "master/event_queue_messages", 0);
    api_metric(sink, "master/event_queue_http_requests", 0);
    api_metric(sink, "master/event_queue_dispatches", (double)server->write_count);
    api_metric(sink, "allocator/event_queue_dispatches", rounds);
    api_metric(sink, "allocator/mesos/event_queue_dispatches", rounds);
}

static void put_metrics(void *ctx, struct api_metric_sink *sink)
{
    struct master_server *server = ctx;
    master_put_metrics(server->core, env_now(server->env), put_metric, sink);
    api_metric(sink, "master/operator_event_stream_subscribers", (double)server->watcher_count);
    api_metric(sink, "master/slow_event_streams_closed", (double)server->slow_streams_closed);
    api_metric(sink, "master/slow_answers_closed", (double)server->answers_cut);
    api_metric(sink, "master/elected", server->leads ? 1 : 0);
    api_put_system_metrics(sink);
    master_roles_put_metrics(server->core, sink);
    put_timings(server, sink);
    put_queues(server, sink);
}

static void put_prometheus(void *ctx, struct buf *out)
{
    struct master_server *server = ctx;
    const struct prometheus_label labels[] = {{"version", MESOS_VERSION},
                                              {"meseta_version", MESETA_VERSION},
                                              {"master_id", master_info(server->core)->id},
                                              {"hostname", master_info(server->core)->hostname}};
    prometheus_put_head(out, "mesos_master_info", PROMETHEUS_GAUGE, "Which master this is.");
    prometheus_put_sample(out, "mesos_master_info", labels, ARRAY_COUNT(labels), 1);
}

static bool is_healthy(void *ctx)
{
    struct master_server *server = ctx;
    return !server->leads || server->recovered;
}

static void handle(void *ctx, struct http_request *r)
{
    struct master_server *server = ctx;
    api_router_dispatch(server->router, r);
}

// ---- life ----

static void notice(void *ctx, const struct master_notice *what)
{
    master_dashboard_notice(ctx, what);
    master_v1_notice(ctx, what);
}

static const struct master_ops ops = {
    .send_event = master_scheduler_send,
    .close_subscriber = master_scheduler_close,
    .send_agent = master_link_send,
    .close_agent = master_link_close,
    .apply = apply,
    .give_up = core_gives_up,
    .answer = master_v1_answer,
    .notice = notice,
    .before_change = master_answers_before_change,
    .round = note_round,
};

static void make_router(struct master_server *server, const struct master_server_options *options)
{
    server->router = api_router_new("master");
    struct api_common_options common = {
        .env = options->env,
        .flags = options->flags,
        .flag_table_count = options->flag_table_count,
        .flag_values = options->flag_values,
        .put_metrics = put_metrics,
        .put_prometheus = put_prometheus,
        .is_healthy = is_healthy,
        .ctx = server,
    };
    server->common = api_common_new(&common);
    api_common_add_routes(server->common, server->router);
    api_router_add(server->router, routes, ARRAY_COUNT(routes), server);
    master_scheduler_add_routes(server);
    master_link_add_routes(server);
    master_state_add_routes(server);
    master_summary_add_routes(server);
    master_roles_add_routes(server);
    master_allocator_add_routes(server);
    master_assets_add_routes(server);
    master_proxy_add_routes(server);
    master_dashboard_add_routes(server);
    master_quota_add_routes(server);
    master_registry_add_routes(server);
    master_maintenance_add_routes(server);
    master_operations_add_routes(server);
    master_v1_add_routes(server);
}

static void attach_log(struct master_server *server, const struct master_server_options *options)
{
    AUTO_FREE char *own =
        options->log_dir != NULL ? mem_printf("%s/mesos-master.INFO", options->log_dir) : NULL;
    const char *path = options->external_log_file != NULL ? options->external_log_file : own;
    struct error err;
    if (path != NULL && api_files_attach(server->common, "/master/log", path, &err) < 0)
        log_error("Failed to attach the log file: %s", err.text);
}

int master_server_new(const struct master_server_options *options,
                      struct master_server **ret_server, struct error *err)
{
    struct master_server *server = mem_zalloc(sizeof(*server));
    server->magic = MASTER_SERVER_MAGIC;
    server->env = options->env;
    server->store = options->store;
    server->cluster = mem_strdup(options->cluster);
    server->log_dir = mem_strdup(options->log_dir);
    server->external_log_file = mem_strdup(options->external_log_file);
    server->webui_dir = mem_strdup(options->webui_dir);
    server->turn.run = end_turn;
    server->timer.run = timer_is_due;
    list_init(&server->turn.link);
    list_init(&server->streams);
    list_init(&server->watchers);
    server->watcher_count_max =
        options->event_stream_count_max > 0 ? options->event_stream_count_max : 1000;
    server->answers_size_max =
        options->answers_size_max > 0 ? options->answers_size_max : (size_t)1 << 30;
    master_answers_init(server);
    list_init(&server->links);
    server->frame_arena = arena_new(0, 0);
    list_init(&server->writes);
    server->started = env_now(server->env);
    make_router(server, options);
    attach_log(server, options);
    server->event_stream_size_max = options->event_stream_size_max > 0
                                        ? options->event_stream_size_max
                                        : (size_t)64 * 1024 * 1024;
    struct http_options http = {.queue_size_max = server->event_stream_size_max};
    int r = api_router_set_firewall(server->router, options->firewall_rules, err);
    if (r == 0)
        r = http_server_new(options->env, &http, handle, server, &server->http, err);
    if (r == 0)
        r = http_server_listen(server->http, options->listen_ip, options->listen_port, err);
    if (r < 0) {
        master_server_free(server);
        return r;
    }
    struct master_options master = options->master;
    master.port =
        options->advertise_port != 0 ? options->advertise_port : http_server_port(server->http);
    server->core = master_new(&master, &ops, server, env_now(server->env));
    master_notify_tasks(server->core, false);
    server->load_took_ms = -1;
    static const struct election_callbacks callbacks = {.on_leader = leader_changed,
                                                        .on_failed = election_failed};
    struct election_options election = {.url = options->zk,
                                        .session_timeout_ns = options->zk_session_timeout_ns,
                                        .candidate = master_info(server->core),
                                        .wants_peers = true};
    r = election_new(options->env, &election, &callbacks, server, &server->election, err);
    if (r < 0) {
        master_server_free(server);
        return r;
    }
    *ret_server = server;
    return 0;
}

struct master_server *master_server_free(struct master_server *server)
{
    if (server == NULL)
        return NULL;
    CHECK(server->magic == MASTER_SERVER_MAGIC);
    election_free(server->election);
    env_timer_cancel(server->env, &server->timer);
    if (server->core != NULL)
        master_refuse_held_calls(server->core);
    env_hook_cancel(&server->turn);
    master_answers_free(server);
    server->core = master_free(server->core);
    master_scheduler_free_all(server);
    master_v1_free_watchers(server);
    master_dashboard_free(server);
    master_link_free_all(server);
    arena_free(server->frame_arena);
    LIST_FOREACH (&server->writes, struct pending_write, link, write)
        mem_free(write);
    http_server_free(server->http);
    CHECK(server->proxy_count == 0);
    api_router_free(server->router);
    api_common_free(server->common);
    timing_free(&server->rounds);
    timing_free(&server->round_waits);
    timing_free(&server->writes_took);
    map_free(&server->registry_sizes);
    mem_free(server->cluster);
    mem_free(server->log_dir);
    mem_free(server->external_log_file);
    mem_free(server->webui_dir);
    server->magic = 0;
    mem_free(server);
    return NULL;
}

struct master *master_server_core(struct master_server *server)
{
    return server->core;
}

uint16_t master_server_port(const struct master_server *server)
{
    return http_server_port(server->http);
}

void master_server_set_whitelist(struct master_server *server, const char *const *hosts,
                                 size_t count)
{
    master_set_whitelist(server->core, hosts, count);
    master_server_touch(server);
}
