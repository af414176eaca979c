// SPDX-License-Identifier: Apache-2.0
//
// What the files of the master's shell share.

#pragma once

#include "api/master_server.h"
#include "api/timing.h"
#include "api/v1_common.h"
#include "base/list.h"
#include "base/map.h"
#include "election/election.h"
#include "master/records.h"

#define MASTER_SERVER_MAGIC 0x6d737276u

struct master_server {
    uint32_t magic;
    struct env *env;
    struct store *store;
    struct master *core;
    struct api_router *router;
    struct api_common *common;
    struct http_server *http;
    struct api_v1 v1;     // the operator API
    struct env_hook turn; // steps the core and flushes the store at a turn's end
    struct timer timer;   // the core's next deadline
    struct list streams;  // scheduler_stream.link
    struct list watchers; // of the operator API: watcher.link, the oldest first
    size_t watcher_count, watcher_count_max;
    struct master_answers *answers; // that are being made, or sent
    size_t answers_size_max;
    size_t event_stream_size_max;
    uint64_t slow_streams_closed; // since more waited on them than that
    uint64_t answers_cut;         // connections that did not read theirs
    struct list links;            // agent_link.link
    struct arena *frame_arena;    // of the frame that is being handled
    struct list writes;           // pending_write.link
    struct election *election;
    const Mesos__V1__MasterInfo *leader; // NULL: none is known
    bool leads;                          // elected; `leader` is ourselves
    bool recovered;                      // the registry was read
    bool failed; // leadership or registry is lost: the program ends with this turn
    struct instant started;
    struct instant elected; // with leads
    char *cluster;
    char *log_dir;
    char *external_log_file;
    char *webui_dir;
    struct master_dashboard *dashboard;
    struct timing rounds;      // of the allocator
    struct timing round_waits; // from the input that made one due until it began
    struct timing writes_took; // until a batch of the registry was durable
    int64_t round_due_since;   // monotonic, ns; 0: none is due
    int64_t round_began;
    int64_t load_began;
    double load_took_ms;       // negative: the registry is not loaded
    struct map registry_sizes; // key -> bytes of key and value, as uintptr_t
    uint64_t registry_size;
    size_t write_count;  // of `writes`
    struct list proxies; // requests that are with an agent: proxy.link
    size_t proxy_count;
};

// Runs the turn's end for the core. After every input to it.
void master_server_touch(struct master_server *server);

// What only the leader answers: another master redirects to it, or says 503 while there is none.
bool master_require_leader(struct master_server *server, struct http_request *r);
// The same, and 503 until the registry was read.
bool master_require_recovery(struct master_server *server, struct http_request *r);

// master_scheduler.c
void master_scheduler_add_routes(struct master_server *server);
void master_scheduler_free_all(struct master_server *server);
void master_scheduler_send(void *ctx, struct master_subscriber *subscriber,
                           const Mesos__V1__Scheduler__Event *event);
void master_scheduler_close(void *ctx, struct master_subscriber *subscriber);

// master_link.c
void master_link_add_routes(struct master_server *server);
void master_link_free_all(struct master_server *server);
void master_link_send(void *ctx, struct master_channel *channel,
                      const Meseta__Link__ToAgent *message);
void master_link_close(void *ctx, struct master_channel *channel);

// master_state.c, master_roles.c, master_allocator.c, master_assets.c, master_v1.c
void master_state_add_routes(struct master_server *server);
void master_summary_add_routes(struct master_server *server);
void master_roles_add_routes(struct master_server *server);
// What quotas guarantee and allow, and how much of them is in use.
void master_roles_put_metrics(const struct master *m, struct api_metric_sink *sink);
void master_assets_add_routes(struct master_server *server);
void master_allocator_add_routes(struct master_server *server);
void master_proxy_add_routes(struct master_server *server);
void master_quota_add_routes(struct master_server *server);
void master_registry_add_routes(struct master_server *server);
void master_maintenance_add_routes(struct master_server *server);
void master_operations_add_routes(struct master_server *server);
void master_v1_add_routes(struct master_server *server);
// master_dashboard.c
void master_dashboard_add_routes(struct master_server *server);
void master_dashboard_free(struct master_server *server);
void master_dashboard_notice(struct master_server *server, const struct master_notice *notice);
// master_v1_events.c
void master_v1_notice(void *ctx, const struct master_notice *notice);
void master_v1_free_watchers(struct master_server *server);
// The core's answer to a call that waited for the registry: `waiter` is its http_request.
void master_v1_answer(void *ctx, void *waiter, int status, const char *text);
