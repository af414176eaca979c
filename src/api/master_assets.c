// SPDX-License-Identifier: Apache-2.0
//
// The dashboard: `/` and `/assets/...`, from what was built in or from --webui_dir.  What is built
// in is packed already, and named by its content: a browser that has it gets 304.

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "api/assets.h"
#include "api/master_internal.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/text.h"

static const char *type_of(const char *path)
{
    static const struct {
        const char *end;
        const char *type;
    } types[] = {
        {".html", "text/html; charset=utf-8"},
        {".css", "text/css; charset=utf-8"},
        {".js", "text/javascript; charset=utf-8"},
        {".json", "application/json"},
        {".svg", "image/svg+xml"},
        {".png", "image/png"},
        {".ico", "image/x-icon"},
        {".woff2", "font/woff2"},
        {".txt", "text/plain; charset=utf-8"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(types); i++) {
        if (text_ends_with(path, types[i].end))
            return types[i].type;
    }
    return "application/octet-stream";
}

// Scripts and styles are the master's own files. The page asks other masters who leads, and agents
// for the files of sandboxes.
#define HEADERS                                                                                    \
    {"Cache-Control", "no-cache"}, {"X-Content-Type-Options", "nosniff"},                          \
        {"Referrer-Policy", "no-referrer"},                                                        \
    {                                                                                              \
        "Content-Security-Policy",                                                                 \
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "      \
            "connect-src http: https:; base-uri 'none'; form-action 'none'; frame-ancestors "      \
            "'self'"                                                                               \
    }

// Whether the browser has it already, by If-None-Match: a list of tags, maybe weak ones, or "*".
static bool is_known(const struct http_request *r, const char *tag)
{
    const char *known = http_get_header(r, "If-None-Match");
    return known != NULL && (strcmp(known, "*") == 0 || strstr(known, tag) != NULL);
}

static void respond_built_in(struct http_request *r, const char *path)
{
    for (size_t i = 0; i < asset_count; i++) {
        const struct asset *a = &assets[i];
        if (strcmp(a->path, path) != 0)
            continue;
        struct http_header headers[] = {
            HEADERS,
            {"ETag", a->tag},
            {"Vary", "Accept-Encoding"},
            {"Content-Encoding", "gzip"},
        };
        size_t count = ARRAY_COUNT(headers);
        if (is_known(r, a->tag))
            http_respond(r, 304, NULL, NULL, 0, headers, count - 1);
        else if (a->packed_size < a->size && http_accepts_gzip(r))
            http_respond(r, 200, type_of(path), a->packed, a->packed_size, headers, count);
        else
            http_respond(r, 200, type_of(path), a->data, a->size, headers, count - 1);
        return;
    }
    http_respond_text(r, 404, "Not Found");
}

static bool has_parent_step(const char *path)
{
    for (const char *at = strstr(path, "/.."); at != NULL; at = strstr(at + 1, "/..")) {
        if (at[3] == '\0' || at[3] == '/')
            return true;
    }
    return false;
}

static void respond_file(struct http_request *r, const char *directory, const char *path)
{
    AUTO_FREE char *name = mem_printf("%s%s", directory, path);
    AUTO_CLOSE int fd = has_parent_step(path) ? -1 : open(name, O_RDONLY | O_CLOEXEC);
    static const struct http_header headers[] = {HEADERS};
    struct stat stat;
    if (fd < 0 || fstat(fd, &stat) < 0 || !S_ISREG(stat.st_mode)) {
        http_respond_text(r, 404, "Not Found");
        return;
    }
    http_respond_file(r, 200, type_of(path), TAKE_FD(fd), 0, (uint64_t)stat.st_size, headers,
                      ARRAY_COUNT(headers));
}

static void respond(struct master_server *server, struct http_request *r, const char *path)
{
    if (!api_require_method(r, "GET,HEAD"))
        return;
    // The libraries are no part of the page's sources.
    if (server->webui_dir != NULL && !text_starts_with(path, "/assets/vendor/"))
        respond_file(r, server->webui_dir, path);
    else
        respond_built_in(r, path);
}

static void asset(void *ctx, struct http_request *r)
{
    const char *path = http_path(r);
    if (text_starts_with(path, "/master/"))
        path += strlen("/master");
    respond(ctx, r, path);
}

static void front(void *ctx, struct http_request *r)
{
    const char *path = http_path(r);
    if (strcmp(path, "/") != 0 && strcmp(path, "") != 0 && strcmp(path, "/index.html") != 0 &&
        strcmp(path, "/master") != 0 && strcmp(path, "/master/") != 0) {
        http_respond_text(r, 404, "Not Found");
        return;
    }
    if (master_require_leader(ctx, r))
        respond(ctx, r, "/index.html");
}

static const struct api_route routes[] = {
    {"/", NULL, front, "The dashboard."},
    {"/index.html", NULL, front, "The dashboard."},
    {"/assets", NULL, asset, "Parts of the dashboard."},
};

void master_assets_add_routes(struct master_server *server)
{
    api_router_add(server->router, routes, ARRAY_COUNT(routes), server);
}
