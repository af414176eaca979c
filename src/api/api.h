// SPDX-License-Identifier: Apache-2.0
//
// What the HTTP APIs of both daemons share: routing by table with Mesos' rules (process prefix,
// trailing slash, `.json` aliases, longest prefix), content negotiation, JSONP, and the endpoints
// that master and agent have in common (/version, /health, /flags, /metrics/snapshot, /files/...,
// /logging/toggle, /system/stats.json, /help). The APIs of one daemon only are in master_*.c and
// agent_*.c here.

#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/flags.h"
#include "base/timer.h"
#include "net/http.h"
#include "model/resources.h"
#include "wire/content.h"
#include "wire/json.h"

// The version that clients compare is Mesos'; our own stands beside it.
#define MESOS_VERSION "1.11.0"

// ---- routing ----
struct api_route {
    const char *path;      // "/state"; without the process' prefix
    const char *methods;   // "GET", "GET,POST"; NULL: any
    http_handler_fn *handler;
    const char *help;      // one sentence, for /help and docs/compatibility.md
};

struct api_router;

// `process` is "master" or "slave(1)": /X and /<process>/X both reach X.
struct api_router *api_router_new(const char *process);
struct api_router *api_router_free(struct api_router *router);
void api_router_add(struct api_router *router, const struct api_route *routes, size_t count,
                    void *ctx);
void api_router_dispatch(struct api_router *router, struct http_request *request);

// ---- negotiation ----
// The request's Content-Type must be exactly one of the two: else answers 400 (missing) or 415 and
// returns false. Texts are Mesos'.
bool api_request_type(struct http_request *r, enum content_type *ret_type);
// What to answer in: per Accept; none: the request's own type. 406 and false when not satisfiable.
// For streams `ret_recordio` says that application/recordio was asked for (Message-Accept then names
// the inner type).
bool api_response_type(struct http_request *r, enum content_type request_type, bool stream,
                       enum content_type *ret_type, bool *ret_recordio);

// 200 with JSON, wrapped for ?jsonp= when given.
void api_respond_json(struct http_request *r, const struct buf *json);

// ---- common endpoints ----
struct api_metric_sink;
void api_metric(struct api_metric_sink *sink, const char *name, double value);

struct api_common_options {
    struct env *env;
    const struct flag_table *flags;     // for /flags; the values' struct
    size_t flag_table_count;
    const void *flag_values;
    void (*put_metrics)(void *ctx, struct api_metric_sink *sink);  // all metrics of the daemon
    void *ctx;
};
struct api_common;
struct api_common *api_common_new(const struct api_common_options *options);
struct api_common *api_common_free(struct api_common *common);
void api_common_add_routes(struct api_common *common, struct api_router *router);
// Writes the members of the object {"name": "value", ...}, for /flags and /state.
void api_put_flags(struct api_common *common, struct json_writer *w);
// "version", "build_date", ... members, for /version and /state.
void api_put_version(struct json_writer *w);

// ---- files ----
// The virtual tree of /files/*: a path that was attached, and everything beneath it. `resolve` may
// rewrite what lies beneath (".../runs/latest").
void api_files_attach(struct api_common *common, const char *virtual_path, const char *real_path);
void api_files_detach(struct api_common *common, const char *virtual_path);

// ---- shared pieces of v0 JSON ----
void api_put_resources(struct json_writer *w, const struct resources *resources);
