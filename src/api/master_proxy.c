// SPDX-License-Identifier: Apache-2.0
//
// GET /agent/AGENT_ID/...: sandboxes and other views of an agent for whoever reaches only the
// master. The request goes to that agent, with its query unchanged, and the answer is handed
// through as it comes: what the one side has not read yet waits with the other, in the kernel, but
// for QUEUE_SIZE and one buffer. Without progress for IDLE_NS both are given up; an answer that
// ends early at the agent is cut here too, and never looks whole.
//
// Only the paths in the table are forwarded, and only few headers either way. What an agent answers
// is shown on the master's own origin: browsers are told to run nothing of it.

#include <stdio.h>
#include <string.h>

#include "api/master_internal.h"
#include "base/check.h"
#include "base/mem.h"
#include "base/text.h"
#include "net/http_client.h"

#define PROXY_MAGIC UINT32_C(0x4d505859)

#define HEAD_TIMEOUT_NS (15 * NS_PER_S)
#define IDLE_NS (60 * NS_PER_S)

enum {
    PROXY_COUNT_MAX = 200,       // requests at a time
    QUEUE_SIZE = 256 * 1024,     // waiting for the client: from here on the agent waits
    ERROR_SIZE_MAX = 64 * 1024,  // of an answer other than 200, which is held whole
    PASSED_HEADER_COUNT_MAX = 4, // of the agent's
    ASKING_HEADER_COUNT_MAX = 3, // of the client's
};

static const char *const targets[] = {
    "files/browse", "files/read", "files/download",     "files/debug",
    "state",        "containers", "monitor/statistics",
};

struct proxy {
    uint32_t magic;
    bool is_paused;
    struct master_server *server;
    struct list link; // server->proxies
    struct http_client *client;
    struct http_request *request; // until it is answered
    struct http_stream *stream;   // then, while an answer goes through
    struct timer timer;           // without progress
    char *agent_id;
    int status;      // of an answer that is held whole
    struct buf body; // likewise
    char *type;      // likewise
};

static struct proxy *proxy_free(struct proxy *p)
{
    CHECK(p->magic == PROXY_MAGIC);
    list_remove(&p->link);
    p->server->proxy_count--;
    env_timer_cancel(p->server->env, &p->timer);
    http_client_free(p->client);
    buf_free(&p->body);
    mem_free(p->agent_id);
    mem_free(p->type);
    p->magic = 0;
    mem_free(p);
    return NULL;
}

static void note_progress(struct proxy *p)
{
    env_timer_set(p->server->env, &p->timer, IDLE_NS);
}

// Ends it with an error, as far as the client can still be told. It is gone after it.
static void fail(struct proxy *p, int status, const char *text)
{
    if (p->stream != NULL)
        http_stream_break(p->stream);
    else
        http_respond_text(p->request, status, "Agent %s: %s\n", p->agent_id, text);
    proxy_free(p);
}

// ---- what the client's side tells ----

static void client_aborts(void *ctx, struct http_request *r)
{
    (void)r;
    proxy_free(CHECK_CAST(proxy, PROXY_MAGIC, ctx));
}

static void stream_closes(void *ctx, struct http_stream *s)
{
    (void)s;
    proxy_free(CHECK_CAST(proxy, PROXY_MAGIC, ctx));
}

static void stream_drained(void *ctx, struct http_stream *s)
{
    (void)s;
    struct proxy *p = CHECK_CAST(proxy, PROXY_MAGIC, ctx);
    note_progress(p);
    if (p->is_paused) {
        p->is_paused = false;
        http_client_pause(p->client, false);
    }
}

static void time_is_over(struct timer *timer, struct instant now)
{
    (void)now;
    struct proxy *p = CONTAINER_OF(timer, struct proxy, timer);
    CHECK(p->magic == PROXY_MAGIC);
    fail(p, 504, "no progress of its answer in time");
}

// ---- what the agent's side tells ----

static void put_header(struct arena *arena, const struct http_call *call, const char *name,
                       struct http_header *headers, size_t *count)
{
    const char *value = http_call_header(call, name);
    if (value != NULL)
        headers[(*count)++] = (struct http_header){name, arena_strdup(arena, value)};
}

// Opens the answer of a 200. Nothing in it is to be taken for a page of the master's.
static void open_stream(struct proxy *p, struct http_call *call)
{
    struct http_request *r = TAKE_PTR(p->request);
    struct arena *arena = http_arena(r);
    struct http_header headers[PASSED_HEADER_COUNT_MAX];
    size_t count = 0;
    put_header(arena, call, "Content-Encoding", headers, &count);
    put_header(arena, call, "Content-Disposition", headers, &count);
    headers[count++] = (struct http_header){"X-Content-Type-Options", "nosniff"};
    headers[count++] = (struct http_header){"Content-Security-Policy", "sandbox"};
    const char *type = arena_strdup(arena, http_call_header(call, "Content-Type"));
    const char *length = http_call_header(call, "Content-Length");
    int64_t size;
    if (length != NULL && text_parse_i64(length, &size, NULL) == 0 && size >= 0)
        p->stream =
            http_respond_sized_stream(r, type, (uint64_t)size, headers, count, stream_closes, p);
    else
        p->stream = http_respond_stream(r, type, headers, count, stream_closes, p);
    http_stream_on_drained(p->stream, stream_drained);
}

static void agent_answers(void *ctx, struct http_call *call, int status)
{
    struct proxy *p = CHECK_CAST(proxy, PROXY_MAGIC, ctx);
    note_progress(p);
    if (status == 200) {
        open_stream(p, call);
        return;
    }
    const char *type = http_call_header(call, "Content-Type");
    p->status = status;
    p->type = type != NULL ? mem_strdup(type) : NULL;
}

static void agent_sends(void *ctx, struct http_call *call, const void *data, size_t size)
{
    (void)call;
    struct proxy *p = CHECK_CAST(proxy, PROXY_MAGIC, ctx);
    note_progress(p);
    if (p->stream == NULL) {
        size_t free_size = ERROR_SIZE_MAX - p->body.size;
        buf_append(&p->body, data, size < free_size ? size : free_size);
        return;
    }
    http_stream_send(p->stream, data, size);
    if (!p->is_paused && http_stream_queued(p->stream) > QUEUE_SIZE) {
        p->is_paused = true;
        http_client_pause(p->client, true);
    }
}

static void agent_ends(void *ctx, struct http_call *call, const struct error *err)
{
    (void)call;
    struct proxy *p = CHECK_CAST(proxy, PROXY_MAGIC, ctx);
    if (err != NULL) {
        fail(p, 502, err->text);
        return;
    }
    if (p->stream != NULL)
        http_stream_close(p->stream);
    else if (p->status < 400)
        http_respond_text(p->request, 502, "Agent %s: it answered with status %d\n", p->agent_id,
                          p->status);
    else
        http_respond(p->request, p->status, p->type, p->body.data, p->body.size, NULL, 0);
    proxy_free(p);
}

// ---- asking ----

static const char *find_target(const char *path)
{
    for (size_t i = 0; i < ARRAY_COUNT(targets); i++) {
        if (strcmp(path, targets[i]) == 0)
            return targets[i];
    }
    return NULL;
}

// The address in "slave(1)@127.0.0.1:5051", in the arena; false when it holds none.
static bool find_address(struct arena *arena, const char *pid, const char **ret_host,
                         uint16_t *ret_port)
{
    const char *at = strchr(pid, '@');
    const char *colon = at != NULL ? strrchr(at, ':') : NULL;
    int64_t port;
    if (colon == NULL || colon == at + 1 || text_parse_i64(colon + 1, &port, NULL) < 0 ||
        port < 1 || port > UINT16_MAX)
        return false;
    const char *host = at + 1;
    size_t size = (size_t)(colon - host);
    if (size > 2 && host[0] == '[' && host[size - 1] == ']') {
        host++;
        size -= 2;
    }
    *ret_host = arena_strndup(arena, host, size);
    *ret_port = (uint16_t)port;
    return true;
}

// Where that agent is; or answers why that is not known.
static bool locate(struct master_server *server, struct http_request *r, const char *id,
                   const char **ret_host, uint16_t *ret_port)
{
    const struct master *m = server->core;
    const struct agent *a = map_get(&m->agents, id);
    if (a != NULL && find_address(http_arena(r), a->pid, ret_host, ret_port))
        return true;
    if (a != NULL)
        http_respond_text(r, 502, "Agent %s: its address '%s' cannot be used\n", id, a->pid);
    else if (map_get(&m->recovered, id) != NULL)
        http_respond_text(r, 502,
                          "Agent %s: it has not reregistered since the master was elected\n", id);
    else if (map_get(&m->unreachable, id) != NULL)
        http_respond_text(r, 502, "Agent %s: it is unreachable\n", id);
    else if (map_get(&m->gone, id) != NULL)
        http_respond_text(r, 502, "Agent %s: it is gone\n", id);
    else
        http_respond_text(r, 404, "There is no agent '%s'\n", id);
    return false;
}

static void ask(struct proxy *p, const char *target)
{
    struct http_request *r = p->request;
    const char *raw = http_raw_target(r);
    const char *query = strchr(raw, '?');
    static const char *const names[ASKING_HEADER_COUNT_MAX - 1] = {"Accept", "Accept-Encoding"};
    struct http_header headers[ASKING_HEADER_COUNT_MAX];
    size_t count = 0;
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        const char *value = http_get_header(r, names[i]);
        if (value != NULL)
            headers[count++] = (struct http_header){names[i], value};
    }
    headers[count++] = (struct http_header){"Connection", "close"};
    struct http_call_options options = {
        .method = "GET",
        .target = arena_printf(http_arena(r), "/%s%s", target, query != NULL ? query : ""),
        .headers = headers,
        .header_count = count,
        .timeout_ns = HEAD_TIMEOUT_NS,
    };
    static const struct http_call_callbacks callbacks = {
        .on_head = agent_answers,
        .on_data = agent_sends,
        .on_end = agent_ends,
    };
    http_client_send(p->client, &options, &callbacks, p);
}

static void forward(void *ctx, struct http_request *r)
{
    struct master_server *server = ctx;
    if (!master_require_recovery(server, r))
        return;
    const char *path = http_path(r);
    const char *id = strstr(path, "/agent/");
    id = id != NULL ? id + strlen("/agent/") : "";
    const char *slash = strchr(id, '/');
    const char *target = slash != NULL ? find_target(slash + 1) : NULL;
    if (target == NULL) {
        http_respond_text(r, 404, "There is nothing at '%s'\n", path);
        return;
    }
    id = arena_strndup(http_arena(r), id, (size_t)(slash - id));
    const char *host;
    uint16_t port;
    if (!locate(server, r, id, &host, &port))
        return;
    if (server->proxy_count >= PROXY_COUNT_MAX) {
        http_respond_text(r, 503, "Too many requests to agents at a time\n");
        return;
    }
    struct proxy *p = mem_zalloc(sizeof(*p));
    p->magic = PROXY_MAGIC;
    p->server = server;
    p->request = r;
    p->agent_id = mem_strdup(id);
    p->body = BUF_INIT;
    p->timer.run = time_is_over;
    p->client = http_client_new(server->env, host, port);
    list_append(&server->proxies, &p->link);
    server->proxy_count++;
    note_progress(p);
    http_on_abort(r, client_aborts, p);
    ask(p, target);
}

static const struct api_route routes[] = {
    {"/agent", "GET", forward,
     "An agent's `files/browse`, `files/read`, `files/download`, `files/debug`, `state`, "
     "`containers` and `monitor/statistics`, at /agent/AGENT_ID/..., through the master."},
};

void master_proxy_add_routes(struct master_server *server)
{
    list_init(&server->proxies);
    api_router_add(server->router, routes, ARRAY_COUNT(routes), server);
}
