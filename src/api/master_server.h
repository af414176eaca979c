// SPDX-License-Identifier: Apache-2.0
//
// The master's shell: the core driven by the event loop, HTTP, the agent link, an election and a
// store. One object holds them together; a program makes it, runs the loop, and frees it.
//
//   STANDBY ──elected──> RECOVERS ──the registry was read──> LEADS
//      (redirects)                                             │ leadership or registry lost
//                                                              v
//                                                        the loop is stopped with EXIT_FAILURE

#pragma once

#include "api/api.h"
#include "env/env.h"
#include "master/master.h"
#include "store/store.h"

struct master_server;

struct master_server_options {
    struct env *env;
    struct store *store;            // owned by the caller, outlives the server
    const char *listen_ip;          // "0.0.0.0"
    uint16_t listen_port;           // 0: any
    uint16_t advertise_port;        // 0: the one it listens on
    struct master_options master;   // `port` is filled in
    const char *zk;                 // where masters contend, as election.h takes it; NULL: we lead
    int64_t zk_session_timeout_ns;  // with zk
    const char *cluster;            // shown by /state; NULL: none
    const char *log_dir;            // likewise; its log is readable as /master/log
    const char *external_log_file;  // readable as /master/log instead; NULL: none
    size_t event_stream_count_max;  // of the operator API; 0: 1000
    size_t event_stream_size_max;   // bytes that wait on one stream of events; 0: 64 MiB
    size_t answers_size_max;        // bytes of large answers that wait to be sent; 0: 1 GiB
    const char *webui_dir;          // NULL: the assets that were built in
    const char *firewall_rules;     // JSON; NULL: none
    const struct flag_table *flags; // for /flags
    size_t flag_table_count;
    const void *flag_values;
};

int master_server_new(const struct master_server_options *options,
                      struct master_server **ret_server, struct error *err);
struct master_server *master_server_free(struct master_server *server);
// Only agents on these hosts are offered. NULL: all.
void master_server_set_whitelist(struct master_server *server, const char *const *hosts,
                                 size_t count);
struct master *master_server_core(struct master_server *server);
uint16_t master_server_port(const struct master_server *server);
