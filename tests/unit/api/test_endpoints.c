// SPDX-License-Identifier: Apache-2.0
//
// Routing, negotiation, and the common endpoints, asked over a real server on loopback.

#include "../net/harness.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "base/flags.h"
#include "base/log.h"
#include "base/mem.h"
#include "proto/mesos.pb-c.h"
#include "proto/scheduler.pb-c.h"

struct values {
    char *cluster;
    char *secret;
    char *unset;
    int64_t timeout;
    bool quiet;
};

static const struct flag flag_rows[] = {
    FLAG_ROW(struct values, cluster, "cluster", NULL, FLAG_TEXT, NULL, 0, "x"),
    FLAG_ROW(struct values, secret, "secret", NULL, FLAG_TEXT, NULL, FLAG_SECRET, "x"),
    FLAG_ROW(struct values, unset, "unset", NULL, FLAG_TEXT, NULL, 0, "x"),
    FLAG_ROW(struct values, timeout, "timeout", NULL, FLAG_DURATION, "10secs", 0, "x"),
    FLAG_ROW(struct values, quiet, "quiet", NULL, FLAG_BOOL, "false", 0, "x"),
};
static const struct flag_table flag_table = {flag_rows, ARRAY_COUNT(flag_rows)};

struct world {
    struct harness h;
    struct values values;
    struct api_common *common;
    struct api_router *router;
    bool is_healthy;
};

static void put_metrics(void *ctx, struct api_metric_sink *sink)
{
    (void)ctx;
    api_metric(sink, "master/tasks_running", 2);
    api_metric(sink, "allocator/x", 0.5);
    api_metric(sink, "master/not_a_number", NAN);
    api_metric(sink, "master/tasks_running", 3);
}

static bool is_healthy(void *ctx)
{
    return ((struct world *)ctx)->is_healthy;
}

static void handle_echo(void *ctx, struct http_request *r)
{
    (void)ctx;
    http_respond_text(r, 200, "echo %s", http_path(r));
}

static void handle_root(void *ctx, struct http_request *r)
{
    (void)ctx;
    http_respond_text(r, 200, "root");
}

// Decodes a call and says which encodings were agreed upon.
static void handle_call(void *ctx, struct http_request *r)
{
    (void)ctx;
    enum content_type request_type;
    enum content_type response_type;
    bool recordio;
    ProtobufCMessage *m;
    if (!api_call_type(r, &request_type) ||
        !api_request_message(r, request_type, &mesos__v1__scheduler__call__descriptor, &m) ||
        !api_response_type(r, request_type, http_query(r, "stream") != NULL, &response_type,
                           &recordio)) {
        return;
    }
    if (http_query(r, "stream") != NULL) {
        struct http_header header = {"Mesos-Stream-Id", "s-1"};
        struct http_stream *s =
            api_respond_stream(r, response_type, recordio, &header, 1, NULL, NULL);
        api_stream_send(s, response_type, m);
        http_stream_close(s);
    } else {
        api_respond_message(r, response_type, m);
    }
}

static const struct api_route routes[] = {
    {"/", NULL, handle_root, "The root."},
    {"/state", NULL, handle_echo, "The state."},
    {"/slaves", "GET,POST", handle_echo, "The agents."},
    {"/api/v1", NULL, handle_echo, "The operator API."},
    {"/api/v1/scheduler", "POST", handle_call, "The scheduler API."},
};

static void dispatch(void *ctx, struct http_request *r)
{
    api_router_dispatch(((struct world *)ctx)->router, r);
}

static void world_init(struct world *w)
{
    memset(w, 0, sizeof(*w));
    harness_init(&w->h, NULL);
    w->is_healthy = true;
    w->values.cluster = mem_strdup("c1");
    w->values.secret = mem_strdup("hidden");
    w->values.timeout = 10 * NS_PER_S;
    struct api_common_options options = {
        .env = w->h.env,
        .flags = &flag_table,
        .flag_table_count = 1,
        .flag_values = &w->values,
        .put_metrics = put_metrics,
        .is_healthy = is_healthy,
        .ctx = w,
    };
    w->common = api_common_new(&options);
    w->router = api_router_new("master");
    api_common_add_routes(w->common, w->router);
    api_router_add(w->router, routes, ARRAY_COUNT(routes), w);
    w->h.handler = dispatch;
    w->h.handler_ctx = w;
}

static void world_free(struct world *w)
{
    api_router_free(w->router);
    api_common_free(w->common);
    mem_free(w->values.cluster);
    mem_free(w->values.secret);
    harness_free(&w->h);
}

// Sends one request ("GET /x" and more header lines) and gives the whole answer.
static void ask(struct world *w, const char *method_and_target, const char *headers,
                const char *body, struct buf *out)
{
    AUTO_BUF struct buf request = BUF_INIT;
    buf_printf(&request, "%s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n%s", method_and_target,
               headers);
    if (body != NULL) {
        buf_printf(&request, "Content-Length: %zu\r\n", strlen(body));
    }
    buf_printf(&request, "\r\n%s", body == NULL ? "" : body);
    buf_clear(out);
    harness_ask(&w->h, request.data, out);
}

static const char *body_of(const struct buf *answer)
{
    const char *end = strstr(answer->data, "\r\n\r\n");
    assert_non_null(end);
    return end + 4;
}

struct row {
    const char *target; // with its method
    const char *headers;
    const char *request_body;
    int status;
    const char *body; // of the answer
};

static void check_rows_in(struct world *w, const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        AUTO_BUF struct buf answer = BUF_INIT;
        ask(w, rows[i].target, rows[i].headers == NULL ? "" : rows[i].headers, rows[i].request_body,
            &answer);
        int status = atoi(answer.data + strlen("HTTP/1.1 "));
        if (status != rows[i].status || strcmp(body_of(&answer), rows[i].body) != 0) {
            fail_msg("%s: %s", rows[i].target, answer.data);
        }
    }
}

static void check_rows(const struct row *rows, size_t count)
{
    struct world w;
    world_init(&w);
    check_rows_in(&w, rows, count);
    world_free(&w);
}

static void test_routing(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"GET /", NULL, NULL, 200, "root"},
        {"GET /master", NULL, NULL, 200, "root"},
        {"GET /master/", NULL, NULL, 200, "root"},
        {"GET /state", NULL, NULL, 200, "echo /state"},
        {"GET /state/", NULL, NULL, 200, "echo /state/"},
        {"GET /state.json", NULL, NULL, 200, "echo /state.json"},
        {"GET /master/state", NULL, NULL, 200, "echo /master/state"},
        {"GET /master/state.json", NULL, NULL, 200, "echo /master/state.json"},
        {"POST /state", NULL, "", 200, "echo /state"},
        {"GET /st%61te", NULL, NULL, 200, "echo /state"},
        // A longer path reaches the longest handler that is a prefix of it.
        {"GET /slaves/abc-S1", NULL, NULL, 200, "echo /slaves/abc-S1"},
        {"POST /slaves/abc/def/", NULL, "", 200, "echo /slaves/abc/def/"},
        {"GET /api/v1/operator", NULL, NULL, 200, "echo /api/v1/operator"},
        {"GET /api/v1", NULL, NULL, 200, "echo /api/v1"},
        // Not a prefix at a slash.
        {"GET /states", NULL, NULL, 404, "There is nothing at '/states'\n"},
        {"GET /masters/state", NULL, NULL, 404, "There is nothing at '/masters/state'\n"},
        {"GET /api", NULL, NULL, 404, "There is nothing at '/api'\n"},
        {"GET /none", NULL, NULL, 404, "There is nothing at '/none'\n"},
        {"GET /state/../version", NULL, NULL, 404, "There is nothing at '/state/../version'\n"},
        {"GET /state/%2e%2e/x", NULL, NULL, 404, "There is nothing at '/state/../x'\n"},
        {"GET /api/v1/scheduler", NULL, NULL, 405,
         "405 Method Not Allowed. Expecting one of { 'POST' }, but received 'GET'."},
        {"PUT /slaves", NULL, "", 405,
         "405 Method Not Allowed. Expecting one of { 'GET', 'POST' }, but received 'PUT'."},
    };
    check_rows(rows, ARRAY_COUNT(rows));
}

// A route that is disabled is so by all its names; another path only as it is written.
static void test_firewall(void **state)
{
    (void)state;
    static const struct {
        const char *rules;
        const char *text;
    } bad[] = {
        {"[]", "Flag 'firewall_rules': Expecting a JSON object"},
        {"{\"disabled_endpoints\":{\"paths\":[\"/a\",\"\"]}}",
         "Flag 'firewall_rules': the path '' begins with no '/'"},
        {"{\"disabled\":{}}", "Flag 'firewall_rules': expecting 'disabled_endpoints'"},
    };
    static const struct row rows[] = {
        {"GET /state", NULL, NULL, 403, "Endpoint '/state' is disabled"},
        {"POST /master/state.json/", NULL, "", 403, "Endpoint '/master/state.json/' is disabled"},
        {"GET /state/x", NULL, NULL, 403, "Endpoint '/state/x' is disabled"},
        {"GET /slaves", NULL, NULL, 200, "echo /slaves"},
        {"GET /slaves/one", NULL, NULL, 403, "Endpoint '/slaves/one' is disabled"},
        {"GET /slaves/two", NULL, NULL, 200, "echo /slaves/two"},
        {"GET /none", NULL, NULL, 403, "Endpoint '/none' is disabled"},
        {"GET /none/x", NULL, NULL, 404, "There is nothing at '/none/x'\n"},
    };
    struct world w;
    struct error err;
    world_init(&w);
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        assert_true(api_router_set_firewall(w.router, bad[i].rules, &err) < 0);
        assert_int_equal(strncmp(err.text, bad[i].text, strlen(bad[i].text)), 0);
    }
    assert_int_equal(api_router_set_firewall(w.router, NULL, &err), 0);
    assert_int_equal(
        api_router_set_firewall(w.router,
                                "{\"disabled_endpoints\":{\"paths\":[\"/master/state\","
                                "\"/slaves/one\",\"/none\"]}}",
                                &err),
        0);
    check_rows_in(&w, rows, ARRAY_COUNT(rows));
    world_free(&w);
}

#define JSON_TYPE "Content-Type: application/json\r\n"
#define REVIVE "{\"type\":\"REVIVE\"}"

static void test_negotiation(void **state)
{
    (void)state;
    static const char target[] = "POST /api/v1/scheduler";
    static const struct row rows[] = {
        {target, NULL, REVIVE, 400, "Expecting 'Content-Type' to be present"},
        {target, "Content-Type: text/plain\r\n", REVIVE, 415,
         "Expecting 'Content-Type' of application/json or application/x-protobuf"},
        {target, "Content-Type: application/json; charset=utf-8\r\n", REVIVE, 415,
         "Expecting 'Content-Type' of application/json or application/x-protobuf"},
        {target, JSON_TYPE, "{", 400,
         "Failed to parse body into JSON: expected a string at line 1, column 2"},
        {target, JSON_TYPE, "{\"framework_id\":{}}", 400,
         "Failed to convert JSON into Call protobuf: Missing required fields: framework_id.value"},
        {target, "Content-Type: application/x-protobuf\r\n", "{", 400,
         "Failed to parse body into Call protobuf: malformed protobuf: unsupported wire type"},
        {target, JSON_TYPE "Accept: text/html\r\n", REVIVE, 406,
         "Expecting 'Accept' to allow 'application/x-protobuf' or 'application/json'"},
        {target, JSON_TYPE "Accept: application/json;q=0\r\n", REVIVE, 406,
         "Expecting 'Accept' to allow 'application/x-protobuf' or 'application/json'"},
        {target, JSON_TYPE, REVIVE, 200, REVIVE},
        {target, JSON_TYPE "Accept: */*\r\n", REVIVE, 200, REVIVE},
        {target, JSON_TYPE "Accept: text/html, Application/* ;q=0.5\r\n", REVIVE, 200, REVIVE},
        // No Accept: as the request. Protobuf's REVIVE is 10 05, and these are ASCII enough.
        {target, "Content-Type: application/x-protobuf\r\n", "\x10\x05", 200, "\x10\x05"},
        {target, "Content-Type: application/x-protobuf\r\nAccept: application/json\r\n", "\x10\x05",
         200, REVIVE},
        {target, JSON_TYPE "Accept: application/x-protobuf\r\n", REVIVE, 200, "\x10\x05"},
        // JSON is preferred when both are allowed, unless it is refused by itself.
        {target, JSON_TYPE "Accept: application/x-protobuf, application/json\r\n", REVIVE, 200,
         REVIVE},
        {target, JSON_TYPE "Accept: */*, application/json;q=0\r\n", REVIVE, 200, "\x10\x05"},
        {"POST /api/v1/scheduler?stream", JSON_TYPE "Accept: text/html\r\n", REVIVE, 406,
         "Expecting 'Accept' to allow application/json or application/x-protobuf or "
         "application/recordio"},
        {"POST /api/v1/scheduler?stream",
         JSON_TYPE "Accept: application/recordio\r\nMessage-Accept: text/html\r\n", REVIVE, 406,
         "Expecting 'Message-Accept' to allow application/json or application/x-protobuf"},
    };
    check_rows(rows, ARRAY_COUNT(rows));
}

static void test_streams(void **state)
{
    (void)state;
    static const struct {
        const char *headers;
        const char *content_type;
        const char *message_type;
        const char *chunk;
    } rows[] = {
        {"Accept: application/json\r\n", "\r\nContent-Type: application/json\r\n", NULL,
         "14\r\n17\n{\"type\":\"REVIVE\"}\r\n"},
        {"Accept: application/x-protobuf\r\n", "\r\nContent-Type: application/x-protobuf\r\n", NULL,
         "4\r\n2\n\x10\x05\r\n"},
        {"Accept: application/recordio\r\n", "\r\nContent-Type: application/recordio\r\n",
         "\r\nMessage-Content-Type: application/json\r\n", "14\r\n17\n{\"type\":\"REVIVE\"}\r\n"},
        {"Accept: application/recordio\r\nMessage-Accept: application/x-protobuf\r\n",
         "\r\nContent-Type: application/recordio\r\n",
         "\r\nMessage-Content-Type: application/x-protobuf\r\n", "4\r\n2\n\x10\x05\r\n"},
    };
    struct world w;
    world_init(&w);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        AUTO_BUF struct buf answer = BUF_INIT;
        AUTO_FREE char *headers = mem_printf("%s%s", JSON_TYPE, rows[i].headers);
        ask(&w, "POST /api/v1/scheduler?stream", headers, REVIVE, &answer);
        assert_non_null(strstr(answer.data, "HTTP/1.1 200 OK\r\n"));
        assert_non_null(strstr(answer.data, "\r\nMesos-Stream-Id: s-1\r\n"));
        assert_non_null(strstr(answer.data, "\r\nTransfer-Encoding: chunked\r\n"));
        assert_non_null(strstr(answer.data, rows[i].content_type));
        if (rows[i].message_type != NULL) {
            assert_non_null(strstr(answer.data, rows[i].message_type));
        } else {
            assert_null(strstr(answer.data, "Message-Content-Type"));
        }
        AUTO_FREE char *body = mem_printf("%s0\r\n\r\n", rows[i].chunk);
        assert_string_equal(body_of(&answer), body);
    }
    world_free(&w);
}

static void test_common(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"GET /flags", NULL, NULL, 200,
         "{\"flags\":{\"cluster\":\"c1\",\"secret\":\"***\",\"timeout\":\"10secs\",\"quiet\":"
         "\"false\"}}"},
        {"GET /master/flags", NULL, NULL, 200,
         "{\"flags\":{\"cluster\":\"c1\",\"secret\":\"***\",\"timeout\":\"10secs\",\"quiet\":"
         "\"false\"}}"},
        // Sorted; of a name that comes twice the last; what is no number is left out.
        {"GET /metrics/snapshot", NULL, NULL, 200,
         "{\"allocator/x\":0.5,\"master/tasks_running\":3.0}"},
        {"GET /metrics/snapshot?timeout=1secs", NULL, NULL, 200,
         "{\"allocator/x\":0.5,\"master/tasks_running\":3.0}"},
        {"GET /metrics/snapshot?jsonp=angular.callbacks._0", NULL, NULL, 200,
         "angular.callbacks._0({\"allocator/x\":0.5,\"master/tasks_running\":3.0})"},
        {"GET /metrics/snapshot?jsonp=alert(1)", NULL, NULL, 400,
         "Expecting 'jsonp' to be the name of a function\n"},
        {"GET /metrics/snapshot?jsonp=", NULL, NULL, 400,
         "Expecting 'jsonp' to be the name of a function\n"},
        {"GET /health", NULL, NULL, 200, ""},
        {"GET /logging/toggle", NULL, NULL, 200, "0\n"},
        {"GET /logging/toggle?level=1", NULL, NULL, 400, "Expecting 'duration=value' in query.\n"},
        {"GET /logging/toggle?duration=1secs", NULL, NULL, 400,
         "Expecting 'level=value' in query.\n"},
        {"GET /logging/toggle?level=x&duration=1secs", NULL, NULL, 400,
         "Failed to convert 'x' to number.\n"},
        {"GET /logging/toggle?level=-1&duration=1secs", NULL, NULL, 400, "Invalid level '-1'.\n"},
        {"GET /help/state", NULL, NULL, 400, "No help available for '/state'.\n"},
        {"GET /help/master/state", NULL, NULL, 200, "/master/state\n    The state.\n"},
        {"GET /help/master/api/v1/scheduler", NULL, NULL, 200,
         "/master/api/v1/scheduler  POST\n    The scheduler API.\n"},
        {"GET /help/metrics", NULL, NULL, 200,
         "/metrics/snapshot\n    All metrics as numbers, by name.\n"
         "/metrics  GET,HEAD\n    All metrics in Prometheus' text format.\n"},
    };
    check_rows(rows, ARRAY_COUNT(rows));
}

static void test_documents(void **state)
{
    (void)state;
    static const struct {
        const char *target;
        const char *part;
    } rows[] = {
        {"GET /version", "\"version\":\"1.11.0\""},
        {"GET /version", "\"build_date\":\"20"},
        {"GET /version.json", "\"meseta_version\":\"" MESETA_VERSION "\""},
        {"GET /version?jsonp=f", "f({\"build_date\""},
        {"GET /system/stats.json", "\"cpus_total\":"},
        {"GET /system/stats.json", "\"mem_total_bytes\":"},
        {"GET /metrics/snapshot?timeout=soon", "Invalid timeout 'soon': "},
        {"GET /help", "/files/browse\n"},
        {"GET /help?format=json",
         "{\"processes\":[{\"id\":\"master\",\"endpoints\":[{\"name\":\"/health\","},
        {"GET /help?format=json", "{\"id\":\"version\",\"endpoints\":[{\"name\":\"/\","},
    };
    struct world w;
    world_init(&w);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        AUTO_BUF struct buf answer = BUF_INIT;
        ask(&w, rows[i].target, "", NULL, &answer);
        if (strstr(body_of(&answer), rows[i].part) == NULL) {
            fail_msg("%s: %s", rows[i].target, answer.data);
        }
    }
    AUTO_BUF struct buf answer = BUF_INIT;
    ask(&w, "PUT /slaves", "", "", &answer);
    assert_non_null(strstr(answer.data, "\r\nAllow: GET, POST\r\n"));
    ask(&w, "GET /version?jsonp=f", "", NULL, &answer);
    assert_non_null(strstr(answer.data, "\r\nContent-Type: text/javascript\r\n"));
    ask(&w, "GET /version", "", NULL, &answer);
    assert_non_null(strstr(answer.data, "\r\nContent-Type: application/json\r\n"));
    w.is_healthy = false;
    ask(&w, "GET /health", "", NULL, &answer);
    assert_non_null(strstr(answer.data, "HTTP/1.1 503 "));
    world_free(&w);
}

static void test_verbosity_reverts(void **state)
{
    (void)state;
    enum log_level before = log_get_level();
    log_set_level(LOG_LEVEL_WARNING);
    struct world w;
    world_init(&w);
    AUTO_BUF struct buf answer = BUF_INIT;
    ask(&w, "POST /logging/toggle?level=3&duration=60ms", "", "", &answer);
    assert_non_null(strstr(answer.data, "HTTP/1.1 200 "));
    assert_int_equal(log_get_level(), LOG_LEVEL_DEBUG);
    HARNESS_UNTIL(&w.h, log_get_level() == LOG_LEVEL_WARNING);
    ask(&w, "GET /logging/toggle", "", NULL, &answer);
    assert_string_equal(body_of(&answer), "0\n");
    // Level 0 ends it at once; and it must not outlive the daemon.
    ask(&w, "POST /logging/toggle?level=1&duration=1hrs", "", "", &answer);
    ask(&w, "POST /logging/toggle?level=0&duration=1hrs", "", "", &answer);
    assert_int_equal(log_get_level(), LOG_LEVEL_WARNING);
    ask(&w, "POST /logging/toggle?level=2&duration=1hrs", "", "", &answer);
    ask(&w, "GET /logging/toggle", "", NULL, &answer);
    assert_string_equal(body_of(&answer), "2\n");
    world_free(&w);
    log_set_level(before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_firewall),
        cmocka_unit_test(test_routing),
        cmocka_unit_test(test_negotiation),
        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_common),
        cmocka_unit_test(test_documents),
        cmocka_unit_test(test_verbosity_reverts),
    };
    return cmocka_run_group_tests_name("endpoints", tests, NULL, NULL);
}
