// SPDX-License-Identifier: Apache-2.0
//
// The HTTP server: addresses, the number of connections, and limits of time. One timer serves all
// connections: see enum conn_phase.

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/http_server.h"

enum {
    BACKLOG = 4096,
    FDS_KEPT = 32, // descriptors that are no connections
};

#define REFUSALS_TOLD_NS (60 * NS_PER_S) // no oftener than that
#define LINGER_LIMIT_NS (2 * NS_PER_S)

// ---- limits of time ----

int64_t server_phase_limit(const struct http_server *server, enum conn_phase phase)
{
    switch (phase) {
    case CONN_HEAD:
        return server->options.head_timeout_ns;
    case CONN_BODY:
    case CONN_CLOSING:
        return server->options.body_timeout_ns;
    case CONN_LINGER:
        return LINGER_LIMIT_NS;
    default:
        return server->options.idle_timeout_ns;
    }
}

void server_watch_phase(struct http_server *server, enum conn_phase phase)
{
    if (list_is_empty(&server->phases[phase])) {
        return;
    }
    const struct conn *first = LIST_ENTRY(server->phases[phase].next, struct conn, timed);
    int64_t deadline = first->since + server_phase_limit(server, phase);
    if (!timer_is_set(&server->timer) || server->timer.deadline > deadline) {
        timer_set(env_timers(server->env), &server->timer, deadline);
    }
}

static void on_timer(struct timer *timer, struct instant now)
{
    struct http_server *server = CONTAINER_OF(timer, struct http_server, timer);
    CHECK(server->magic == SERVER_MAGIC);
    for (int phase = 0; phase < CONN_TIMED_COUNT && !server->closing; phase++) {
        struct list *queue = &server->phases[phase];
        int64_t limit = server_phase_limit(server, (enum conn_phase)phase);
        while (!list_is_empty(queue)) {
            struct conn *conn = LIST_ENTRY(queue->next, struct conn, timed);
            if (conn->since + limit > now.mono) {
                break;
            }
            conn_time_out(conn);
        }
        server_watch_phase(server, (enum conn_phase)phase);
    }
}

const char *server_date(struct http_server *server)
{
    int64_t second = env_now(server->env).wall / NS_PER_S;
    if (second != server->date_second) {
        static const char days[] = "SunMonTueWedThuFriSat";
        static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
        time_t when = (time_t)second;
        struct tm tm;
        gmtime_r(&when, &tm);
        server->date_second = second;
        server->empty_size = 0;
        // Not strftime: the names must not follow the locale.
        snprintf(server->date, sizeof(server->date), "%.3s, %02u %.3s %04u %02u:%02u:%02u GMT",
                 days + 3 * tm.tm_wday, (unsigned)tm.tm_mday % 100, months + 3 * tm.tm_mon,
                 (unsigned)(tm.tm_year + 1900) % 10000, (unsigned)tm.tm_hour % 100,
                 (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100);
    }
    return server->date;
}

// ---- accepting ----

// Whether nearly all descriptors of this process are connections, be they ours or somebody else's.
// What is kept is for files: without, the registry and the log would fail, and not a newcomer.
static bool is_short_of_descriptors(const struct http_server *server)
{
    return transport_count() + FDS_KEPT > server->fd_limit;
}

static void warn_of_refusals(struct http_server *server, struct instant now)
{
    server->refused_count++;
    if (server->refusals_told == 0 || now.mono - server->refusals_told >= REFUSALS_TOLD_NS) {
        log_warning("Refused %zu new connections: %zu are open, and this process may have %" PRIu64
                    " files open (ulimit -n)",
                    server->refused_count, transport_count(), server->fd_limit);
        server->refused_count = 0;
        server->refusals_told = now.mono;
    }
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct http_server *server = CHECK_CAST(http_server, SERVER_MAGIC, listener->data);
    if (status < 0) {
        log_warning("cannot accept a connection: %s", uv_strerror(status));
        return;
    }
    struct transport *transport = transport_accept(server->env, listener);
    if (transport == NULL) {
        return;
    }
    struct list *idle = &server->phases[CONN_IDLE];
    bool is_full = server->conn_count >= server->options.connection_count_max ||
                   is_short_of_descriptors(server);
    if (is_full && !list_is_empty(idle)) {
        conn_destroy(LIST_ENTRY(idle->next, struct conn, timed));
    } else if (is_full) {
        transport_close(transport);
        warn_of_refusals(server, env_now(server->env));
        return;
    }
    conn_new(server, transport);
    env_defer_background(server->env);
}

static void on_listener_closed(uv_handle_t *handle)
{
    struct http_server *server = CHECK_CAST(http_server, SERVER_MAGIC, handle->data);
    mem_free(handle);
    server_release(server);
}

// Used where a listener never came into use: nobody counts it.
static void on_listener_failed(uv_handle_t *handle)
{
    mem_free(handle);
}

int http_server_listen(struct http_server *server, const char *ip, uint16_t port, struct error *err)
{
    CHECK(server->magic == SERVER_MAGIC && !server->closing);
    if (server->listener_count == LISTENER_COUNT_MAX) {
        return error_set(err, -E2BIG, "more than %d addresses", LISTENER_COUNT_MAX);
    }
    struct sockaddr_storage address;
    if (uv_ip4_addr(ip, port, (struct sockaddr_in *)&address) != 0 &&
        uv_ip6_addr(ip, port, (struct sockaddr_in6 *)&address) != 0) {
        return error_set(err, -EINVAL, "'%s' is not an IP address", ip);
    }
    uv_tcp_t *listener = mem_zalloc(sizeof(*listener));
    CHECK(uv_tcp_init(env_loop(server->env), listener) == 0);
    listener->data = server;
    int r = uv_tcp_bind(listener, (struct sockaddr *)&address, 0);
    if (r == 0) {
        transport_prepare_listener(listener);
        r = uv_listen((uv_stream_t *)listener, BACKLOG, on_connection);
    }
    if (r < 0) {
        uv_close((uv_handle_t *)listener, on_listener_failed);
        return error_set(err, r, "cannot listen on %s:%u: %s", ip, port, uv_strerror(r));
    }
    server->listeners[server->listener_count++] = listener;
    server->holders++;
    return 0;
}

uint16_t http_server_port(const struct http_server *server)
{
    CHECK(server->listener_count > 0);
    struct sockaddr_storage address;
    int size = sizeof(address);
    CHECK(uv_tcp_getsockname(server->listeners[0], (struct sockaddr *)&address, &size) == 0);
    return address.ss_family == AF_INET6 ? ntohs(((struct sockaddr_in6 *)&address)->sin6_port)
                                         : ntohs(((struct sockaddr_in *)&address)->sin_port);
}

// ---- life ----

static void set_default_size(size_t *value, size_t otherwise)
{
    if (*value == 0) {
        *value = otherwise;
    }
}

static void set_default_time(int64_t *value, int64_t otherwise)
{
    if (*value == 0) {
        *value = otherwise;
    }
}

void http_options_fill(struct http_options *options)
{
    set_default_size(&options->head_size_max, 64 * 1024);
    set_default_size(&options->header_count_max, 100);
    set_default_size(&options->body_size_max, 64 * 1024 * 1024);
    set_default_size(&options->queue_size_max, 64 * 1024 * 1024);
    set_default_size(&options->connection_count_max, 19000);
    set_default_time(&options->idle_timeout_ns, 600 * NS_PER_S);
    set_default_time(&options->head_timeout_ns, 30 * NS_PER_S);
    set_default_time(&options->body_timeout_ns, 60 * NS_PER_S);
}

int http_server_new(struct env *env, const struct http_options *options, http_handler_fn *handler,
                    void *ctx, struct http_server **ret_server, struct error *err)
{
    (void)err;
    struct http_server *server = mem_zalloc(sizeof(*server));
    server->magic = SERVER_MAGIC;
    server->env = env;
    if (options != NULL) {
        server->options = *options;
    }
    http_options_fill(&server->options);
    server->handler = handler;
    server->ctx = ctx;
    server->holders = 1;
    server->date_second = -1;
    struct rlimit files;
    CHECK(getrlimit(RLIMIT_NOFILE, &files) == 0);
    server->fd_limit = files.rlim_cur;
    server->timer.run = on_timer;
    list_init(&server->conns);
    for (int i = 0; i < CONN_TIMED_COUNT; i++) {
        list_init(&server->phases[i]);
    }
    *ret_server = server;
    return 0;
}

void server_release(struct http_server *server)
{
    CHECK(server->magic == SERVER_MAGIC && server->holders > 0);
    if (--server->holders == 0) {
        CHECK(server->conn_count == 0);
        server->magic = 0;
        mem_free(server);
    }
}

struct http_server *http_server_free(struct http_server *server)
{
    if (server == NULL) {
        return NULL;
    }
    CHECK(server->magic == SERVER_MAGIC && !server->closing);
    server->closing = true;
    env_timer_cancel(server->env, &server->timer);
    for (size_t i = 0; i < server->listener_count; i++) {
        uv_close((uv_handle_t *)server->listeners[i], on_listener_closed);
    }
    while (!list_is_empty(&server->conns)) {
        conn_destroy(LIST_ENTRY(server->conns.next, struct conn, all));
    }
    server_release(server);
    return NULL;
}
