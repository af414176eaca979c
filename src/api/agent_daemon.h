// SPDX-License-Identifier: Apache-2.0
//
// The agent's shell: the core on the loop, with its HTTP APIs, its link to the master and its
// containers. Its parts are agent_*.c; this header is what the program and these parts share.

#pragma once

#include "agent/agent.h"
#include "agent/state.h"
#include "api/agent_flags.h"
#include "api/api.h"
#include "container/containerizer.h"
#include "env/env.h"
#include "net/http.h"
#include "wire/json.h"

struct agent_link;
struct api_v1;
struct store;

struct agent_daemon {
    uint32_t magic;
    struct env *env;
    const struct agent_flags *flags;
    uint64_t slow_streams_closed; // of executors, since they did not read
    struct agent *agent;
    struct containerizer *containerizer;
    struct http_server *server;
    struct api_router *router;
    struct api_common *common;
    struct agent_link *link;
    struct arena *arena;  // texts below
    const char *work_dir; // absolute
    const char *launcher_dir;
    const char *runtime_dir;
    bool is_address_known;
    struct env_hook hook;    // at the turn's end: timers, a new agent id
    struct timer core_timer; // the core's next deadline
    struct timer disk_timer;
    char *attached_id;    // agent id whose sandboxes are in /files
    uint64_t trash_count; // paths moved away so far
    size_t removals;      // of them, still being removed
    bool is_stopping;
    bool is_leaving; // stops without a word, and leaves the executors that outlive it
    struct store *store;
    struct env_hook store_hook; // makes durable what the turn kept
    bool must_sync;             // some of it also in case that the machine loses its power
    const struct api_v1 *v1;    // the operator API
    struct map v1_waiters;      // container id -> struct agent_v1_waiters
    struct map v1_inputs;       // container id -> the one request that speaks to it
    char **ended;               // containers that ended in this turn
    size_t ended_count;
    struct agent_oversubscription *oversubscription;
};

// ---- agent_oversubscribe.c ----
int agent_oversubscribe_new(struct agent_daemon *daemon, struct error *err);
void agent_oversubscribe_free(struct agent_daemon *daemon);

// ---- agent_daemon.c ----
int agent_daemon_new(struct env *env, const struct agent_flags *flags,
                     struct agent_daemon **ret_daemon, struct error *err);
struct agent_daemon *agent_daemon_free(struct agent_daemon *daemon);
// SIGUSR1: unregisters, shuts the executors down, then stops the loop. A second time: no more grace
// for executors.
void agent_daemon_shutdown(struct agent_daemon *daemon, const char *message);
// SIGTERM: stops the loop. Executors of frameworks that checkpoint go on, and are found again by
// the next agent with this --work_dir; others are destroyed.
void agent_daemon_leave(struct agent_daemon *daemon, const char *message);
// To be called by whoever entered the core.
void agent_daemon_touch(struct agent_daemon *daemon);

// ---- agent_setup.c: what is known before the core is made, in the daemon's arena ----
int agent_setup_info(struct agent_daemon *daemon, uint16_t port, Mesos__V1__AgentInfo **ret_info,
                     struct error *err);
// --ip or what takes its place; NULL while it is not known.
const char *agent_setup_ip(const struct agent_flags *flags);
// The host name to tell with that address.
const char *agent_setup_hostname(struct agent_daemon *daemon, const char *ip);
// Executors' environment before the core adds to it.
int agent_setup_environment(struct agent_daemon *daemon, char ***ret_environment,
                            struct error *err);

// ---- agent_sandbox.c ----
int agent_sandbox_prepare(struct agent_daemon *daemon, const struct agent_launch *launch,
                          struct error *err);
void agent_sandbox_remove(struct agent_daemon *daemon, const char *path);
// Where to move what is to be discarded; the caller frees it. Then, when something is there:
char *agent_sandbox_trash_path(struct agent_daemon *daemon);
void agent_sandbox_discard(struct agent_daemon *daemon, const char *trash);
// What an agent that ended before could not remove any more.
void agent_sandbox_sweep(struct agent_daemon *daemon);
void agent_sandbox_attach(struct agent_daemon *daemon, const char *agent_id);

// ---- agent_volumes.c ----
int agent_volumes_make(const char *path, bool is_mount, struct error *err);
void agent_volumes_remove(struct agent_daemon *daemon, const char *path, bool is_mount);
int agent_volumes_update(struct agent_daemon *daemon, const char *container_id,
                         const struct agent_volume *volumes, size_t count, struct error *err);
// As the containerizer calls them.
struct container_volume *agent_volumes_of_container(const struct agent_volume *volumes,
                                                    size_t count, struct arena *arena);

// ---- agent_recovery.c ----
// Before the loop runs, when core and containerizer are there and nothing else has entered them.
int agent_recovery_run(struct agent_daemon *daemon, struct error *err);
void agent_recovery_free(struct agent_daemon *daemon);
const char *agent_recovery_boot_id(struct agent_daemon *daemon); // "" when unknown
// The core's `checkpoint`.
void agent_recovery_keep(struct agent_daemon *daemon, const char *key,
                         const ProtobufCMessage *message);
// What is kept of it goes as soon as this turn is durable.
void agent_recovery_container_ended(struct agent_daemon *daemon, const char *container_id);

// ---- agent_leftovers.c ----
void agent_leftovers_schedule(struct agent_daemon *daemon);

// ---- agent_link.c ----
struct agent_link_callbacks {
    void (*on_open)(void *ctx, const char *local_ip);
    void (*on_message)(void *ctx, const Meseta__Link__ToAgent *message);
    void (*on_close)(void *ctx);
};
// `master` is "host:port", or where masters are to be looked for, as election.h takes it. It
// connects, follows to the leader, and connects again whenever it must.
int agent_link_new(struct env *env, const char *master, int64_t zk_session_timeout_ns,
                   const struct agent_link_callbacks *callbacks, void *ctx,
                   struct agent_link **ret_link, struct error *err);
struct agent_link *agent_link_free(struct agent_link *link);
void agent_link_send(struct agent_link *link, const Meseta__Link__ToMaster *message);
// Drops the connection and starts anew with what --master says. on_close is called on a later turn.
void agent_link_reconnect(struct agent_link *link);
// A connection that breaks from now on is not made anew.
void agent_link_stop(struct agent_link *link);

// ---- agent_executor.c ----
void executor_api_add_routes(struct agent_daemon *daemon);
void executor_api_send(void *stream, const Mesos__V1__Executor__Event *event);
void executor_api_close(void *stream);

// ---- agent_state.c, agent_containers.c ----
void agent_state_add_routes(struct agent_daemon *daemon);
void agent_containers_add_routes(struct agent_daemon *daemon);

// ---- agent_v1.c ----
void agent_v1_add_routes(struct agent_daemon *daemon);

// ---- agent_metrics.c ----
void agent_metrics_put(void *ctx, struct api_metric_sink *sink);
void agent_metrics_put_prometheus(void *ctx, struct buf *out);
