// SPDX-License-Identifier: Apache-2.0
//
// /help: the routes, as plain text or, with format=json, in the form that Mesos' generator of
// endpoint pages reads: {"processes":[{"id":..,"endpoints":[{"name":..,"text":..}]}]}.

#include <string.h>

#include "api/common.h"
#include "api/router.h"
#include "base/mem.h"
#include "base/text.h"

// In Mesos these endpoints belong to processes of their own, named by the path's first part.
static const char *const own_processes[] = {"files",   "help",   "logging",
                                            "metrics", "system", "version"};

struct endpoint {
    const char *process;
    size_t process_size;
    const char *name; // "/state"; "/" for "/version"
};

static struct endpoint split(const struct api_router *router, const char *path)
{
    for (size_t i = 0; i < ARRAY_COUNT(own_processes); i++) {
        size_t size = strlen(own_processes[i]);
        if (strncmp(path + 1, own_processes[i], size) == 0 &&
            (path[1 + size] == '/' || path[1 + size] == '\0')) {
            const char *name = path[1 + size] == '\0' ? "/" : path + 1 + size;
            return (struct endpoint){own_processes[i], size, name};
        }
    }
    const char *process = api_router_process(router);
    return (struct endpoint){process, strlen(process), path};
}

static void put_endpoints(const struct api_router *router, const char *process,
                          struct json_writer *w)
{
    json_object_open(w);
    json_key_string(w, "id", process);
    json_key(w, "endpoints");
    json_array_open(w);
    size_t position = 0;
    for (const struct api_route *route; (route = api_router_next(router, &position)) != NULL;) {
        struct endpoint endpoint = split(router, route->path);
        if (strcmp(endpoint.process, process) == 0) {
            json_object_open(w);
            json_key_string(w, "name", endpoint.name);
            json_key_string(w, "text", route->help);
            json_object_close(w);
        }
    }
    json_array_close(w);
    json_object_close(w);
}

static void respond_json(struct api_common *common, struct http_request *r)
{
    AUTO_BUF struct buf out = BUF_INIT;
    struct json_writer w;
    json_begin(&w, &out);
    json_object_open(&w);
    json_key(&w, "processes");
    json_array_open(&w);
    put_endpoints(common->router, api_router_process(common->router), &w);
    for (size_t i = 0; i < ARRAY_COUNT(own_processes); i++) {
        put_endpoints(common->router, own_processes[i], &w);
    }
    json_array_close(&w);
    json_object_close(&w);
    api_respond_json(r, &out);
}

// Whether what stands behind "/help" in the path selects the endpoint: nothing, its process, or
// process and name.
static bool is_selected(const char *selection, const struct endpoint *endpoint)
{
    while (*selection == '/') {
        selection++;
    }
    if (*selection == '\0') {
        return true;
    }
    if (strncmp(selection, endpoint->process, endpoint->process_size) != 0) {
        return false;
    }
    selection += endpoint->process_size;
    return *selection == '\0' || strcmp(selection, "/") == 0 ||
           strcmp(selection, endpoint->name) == 0;
}

void api_help(void *ctx, struct http_request *r)
{
    struct api_common *common = api_common_cast(ctx);
    const char *format = http_query(r, "format");
    if (format != NULL && strcmp(format, "json") == 0) {
        respond_json(common, r);
        return;
    }
    const char *selection = strstr(http_path(r), "/help") + strlen("/help");
    AUTO_BUF struct buf out = BUF_INIT;
    size_t position = 0;
    for (const struct api_route *route;
         (route = api_router_next(common->router, &position)) != NULL;) {
        struct endpoint endpoint = split(common->router, route->path);
        if (is_selected(selection, &endpoint)) {
            buf_printf(&out, "/%s%s%s%s\n    %s\n", endpoint.process,
                       strcmp(endpoint.name, "/") == 0 ? "" : endpoint.name,
                       route->methods == NULL ? "" : "  ",
                       route->methods == NULL ? "" : route->methods,
                       route->help == NULL ? "" : route->help);
        }
    }
    if (out.size == 0) {
        http_respond_text(r, 400, "No help available for '%s'.\n", selection);
        return;
    }
    http_respond(r, 200, "text/plain; charset=utf-8", out.data, out.size, NULL, 0);
}
