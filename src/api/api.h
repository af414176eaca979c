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
#include "wire/content.h"
#include "wire/json.h"

// The version that clients compare is Mesos'; our own stands beside it.
#define MESOS_VERSION "1.11.0"
#define MESETA_VERSION "0.1.0"

// ---- routing ----
struct api_route {
    const char *path;    // "/state"; without the process' prefix
    const char *methods; // "GET", "GET,POST"; NULL: any
    http_handler_fn *handler;
    const char *help; // one sentence, for /help and docs/compatibility.md
};

struct api_router;

// `process` is "master" or "slave(1)": /X and /<process>/X both reach X.
struct api_router *api_router_new(const char *process);
struct api_router *api_router_free(struct api_router *router);
void api_router_add(struct api_router *router, const struct api_route *routes, size_t count,
                    void *ctx);
// Likewise, for what pages from anywhere may read, as they can through ?jsonp= in any case: answers
// carry Access-Control-Allow-Origin.
void api_router_add_open(struct api_router *router, const struct api_route *routes, size_t count,
                         void *ctx);
// Answers 403 to that path: in any of its forms when it is a route's, else as it is written.
void api_router_disable(struct api_router *router, const char *path);
// The same for each path in the rules of --firewall_rules, JSON; NULL: there are none.
int api_router_set_firewall(struct api_router *router, const char *rules, struct error *err);
void api_router_dispatch(struct api_router *router, struct http_request *request);

// ---- negotiation ----
// Each answers the request itself when it returns false; texts are Mesos'.

// 405 with `Allow` unless the method is one of `methods` ("POST", "GET,POST").
bool api_require_method(struct http_request *r, const char *methods);
// A call is POSTed, or it gets 405; its Content-Type is exactly one of the two: else 400 (missing)
// or 415. Heads that repeat are looked at once.
bool api_call_type(struct http_request *r, enum content_type *ret_type);
// The body as a message in the request's arena: else 400 with the reason. Use api_call_type, then
// this, then validate.
bool api_request_message(struct http_request *r, enum content_type type,
                         const ProtobufCMessageDescriptor *descriptor,
                         ProtobufCMessage **ret_message);
// The same; messages of the type `pinned` within it are pinned (wire_decode_pinned).
bool api_request_message_pinned(struct http_request *r, enum content_type type,
                                const ProtobufCMessageDescriptor *descriptor,
                                const ProtobufCMessageDescriptor *pinned,
                                ProtobufCMessage **ret_message);
// What to answer in. Accept given: JSON when it allows that, else protobuf; not given: the
// request's own type. 406 and false when neither is allowed. With `stream` application/recordio is
// allowed as well: `*ret_recordio` says so, and `*ret_type` is then the inner type by
// Message-Accept.
bool api_response_type(struct http_request *r, enum content_type request_type, bool stream,
                       enum content_type *ret_type, bool *ret_recordio);
// Whether the request's header `name` ("Accept") allows that media type, by RFC 7231's rules
// (ranges, q=0). True when there is no such header.
bool api_accepts(struct http_request *r, const char *name, const char *media_type);

// ---- answers ----
// 200 with JSON, wrapped for ?jsonp= when given.
void api_respond_json(struct http_request *r, const struct buf *json);
// 200 with one message as JSON, wrapped as above.
void api_respond_json_message(struct http_request *r, const ProtobufCMessage *message);
// 200 with one message.
void api_respond_message(struct http_request *r, enum content_type type,
                         const ProtobufCMessage *message);
// Opens a RecordIO stream: Content-Type (and Message-Content-Type for application/recordio) as
// api_response_type said. `headers` are more headers, such as Mesos-Stream-Id.
struct http_stream *api_respond_stream(struct http_request *r, enum content_type type,
                                       bool recordio, const struct http_header *headers,
                                       size_t header_count,
                                       void (*on_close)(void *ctx, struct http_stream *s),
                                       void *ctx);
// One event, as one record in one chunk.
void api_stream_send(struct http_stream *s, enum content_type type, const ProtobufCMessage *event);

// ---- common endpoints ----
struct api_metric_sink;
// `name` is copied. A name that is given twice: the last counts. NaN and infinities are left out.
void api_metric(struct api_metric_sink *sink, const char *name, double value);

// system/...: load, processors and memory of the machine.
void api_put_system_metrics(struct api_metric_sink *sink);

struct api_common_options {
    struct env *env;
    const struct flag_table *flags; // for /flags; the values' struct
    size_t flag_table_count;
    const void *flag_values;
    void (*put_metrics)(void *ctx, struct api_metric_sink *sink); // all metrics of the daemon
    // More of them for Prometheus, in its text format. NULL: none.
    void (*put_prometheus)(void *ctx, struct buf *out);
    void *ctx;
    // /health answers 200 while this is NULL or says true, else 503.
    bool (*is_healthy)(void *ctx);
};
struct api_common;
struct api_common *api_common_new(const struct api_common_options *options);
struct api_common *api_common_free(struct api_common *common);
void api_common_add_routes(struct api_common *common, struct api_router *router);
// Writes the members of the object {"name": "value", ...}, for /flags and /state.
void api_put_flags(struct api_common *common, struct json_writer *w);
// "version", "build_date", ... members, for /version and /state.
void api_put_version(struct json_writer *w);
// The object of /metrics/snapshot, as the next value.
void api_put_metrics(struct api_common *common, struct json_writer *w);
// Logs more (level 1 and up) for a while, as /logging/toggle and SET_LOGGING_LEVEL ask; 0 ends it.
void api_set_verbosity(struct api_common *common, int level, int64_t duration_ns);

// ---- files ----
// The virtual tree of /files/*: a path that was attached, and everything beneath it; symbolic links
// beneath it work as long as they stay beneath it (".../runs/latest"). Attaching fails when the
// real path does not exist or cannot be read; attaching anew replaces.
int api_files_attach(struct api_common *common, const char *virtual_path, const char *real_path,
                     struct error *err);
void api_files_detach(struct api_common *common, const char *virtual_path);

// v0 JSON: the pieces that both daemons share are in api/v0_json.h.
