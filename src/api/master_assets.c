// SPDX-License-Identifier: Apache-2.0
//
// The dashboard: `/` and `/assets/...`, from what was built in or from --webui_dir.

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

// The page talks to its own origin only.
static const struct http_header headers[] = {
    {"Cache-Control", "no-cache"},
    {"X-Content-Type-Options", "nosniff"},
    {"Content-Security-Policy", "default-src 'self'; connect-src *; img-src 'self' data:; "
                                "style-src 'self' 'unsafe-inline'"},
};

static void respond_built_in(struct http_request *r, const char *path)
{
    for (size_t i = 0; i < asset_count; i++) {
        if (strcmp(assets[i].path, path) == 0) {
            http_respond(r, 200, type_of(path), assets[i].data, assets[i].size, headers,
                         ARRAY_COUNT(headers));
            return;
        }
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
    if (server->webui_dir != NULL)
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
