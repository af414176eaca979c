// SPDX-License-Identifier: Apache-2.0
//
// Which handler a path reaches, by Mesos' rules:
//   a path with "/.." in it is unknown;
//   slashes at the end do not count;
//   "/<process>" in front does not count;
//   then the path itself, the path without ".json", and else the longest of its parents that is
//   known ("/slaves/ID" reaches "/slaves"). "/" is reached by "/" only.

#include "api/router.h"

#include <string.h>

#include "base/check.h"
#include "base/map.h"
#include "base/mem.h"

#define ROUTER_MAGIC UINT32_C(0x41524f55)

struct entry {
    const struct api_route *route;
    void *ctx;
    bool is_open; // to pages of other origins
    bool is_disabled;
};

struct api_router {
    uint32_t magic;
    char *process;
    // The last path that reached something, and what: a scheduler's calls come in rows.
    char *recent_path;
    const struct entry *recent;
    struct map entries;  // path -> struct entry
    struct map disabled; // paths of no route that are disabled -> the router
};

struct api_router *api_router_new(const char *process)
{
    struct api_router *router = mem_zalloc(sizeof(*router));
    router->magic = ROUTER_MAGIC;
    router->process = mem_strdup(process);
    return router;
}

struct api_router *api_router_free(struct api_router *router)
{
    if (router == NULL) {
        return NULL;
    }
    CHECK(router->magic == ROUTER_MAGIC);
    MAP_FOREACH (&router->entries, entry) {
        mem_free(entry->value);
    }
    map_free(&router->entries);
    map_free(&router->disabled);
    mem_free(router->recent_path);
    mem_free(router->process);
    router->magic = 0;
    mem_free(router);
    return NULL;
}

static void add(struct api_router *router, const struct api_route *routes, size_t count, void *ctx,
                bool is_open)
{
    CHECK(router->magic == ROUTER_MAGIC);
    for (size_t i = 0; i < count; i++) {
        CHECK(routes[i].path[0] == '/' && routes[i].handler != NULL);
        struct entry *entry = mem_alloc(sizeof(*entry));
        *entry = (struct entry){.route = &routes[i], .ctx = ctx, .is_open = is_open};
        CHECK(map_put(&router->entries, routes[i].path, entry) == NULL);
    }
    mem_free(TAKE_PTR(router->recent_path));
}

void api_router_add(struct api_router *router, const struct api_route *routes, size_t count,
                    void *ctx)
{
    add(router, routes, count, ctx, false);
}

void api_router_add_open(struct api_router *router, const struct api_route *routes, size_t count,
                         void *ctx)
{
    add(router, routes, count, ctx, true);
}

const char *api_router_process(const struct api_router *router)
{
    return router->process;
}

const struct api_route *api_router_next(const struct api_router *router, size_t *position)
{
    struct map_entry *entry = map_next(&router->entries, position);
    return entry == NULL ? NULL : ((struct entry *)entry->value)->route;
}

static const struct entry *find(const struct api_router *router, const char *path, size_t size)
{
    const struct entry *entry = map_get_n(&router->entries, path, size);
    if (entry == NULL && size > 5 && memcmp(path + size - 5, ".json", 5) == 0) {
        entry = map_get_n(&router->entries, path, size - 5);
    }
    return entry;
}

// `ret_is_exact`: it is the path's own, and not that of a parent.
static const struct entry *find_longest(const struct api_router *router, const char *path,
                                        bool *ret_is_exact)
{
    *ret_is_exact = true;
    if (strstr(path, "/..") != NULL || path[0] != '/') {
        return NULL;
    }
    size_t process_size = strlen(router->process);
    if (strncmp(path + 1, router->process, process_size) == 0 &&
        (path[1 + process_size] == '/' || path[1 + process_size] == '\0')) {
        path += 1 + process_size;
    }
    size_t size = strlen(path);
    while (size > 0 && path[size - 1] == '/') {
        size--;
    }
    if (size == 0) {
        return map_get(&router->entries, "/");
    }
    while (size > 0) {
        const struct entry *entry = find(router, path, size);
        if (entry != NULL) {
            return entry;
        }
        *ret_is_exact = false;
        do {
            size--;
        } while (size > 0 && path[size] != '/');
    }
    return NULL;
}

void api_router_disable(struct api_router *router, const char *path)
{
    CHECK(router->magic == ROUTER_MAGIC);
    bool is_exact;
    struct entry *entry = (struct entry *)(uintptr_t)find_longest(router, path, &is_exact);
    if (entry != NULL && is_exact)
        entry->is_disabled = true;
    else
        map_put(&router->disabled, path, router);
}

static const struct entry *find_recent(struct api_router *router, const char *path)
{
    if (router->recent_path != NULL && strcmp(router->recent_path, path) == 0) {
        return router->recent;
    }
    bool is_exact;
    const struct entry *entry = find_longest(router, path, &is_exact);
    if (entry != NULL) {
        mem_free(router->recent_path);
        router->recent_path = mem_strdup(path);
        router->recent = entry;
    }
    return entry;
}

void api_router_dispatch(struct api_router *router, struct http_request *request)
{
    CHECK(router->magic == ROUTER_MAGIC);
    struct http_memo *memo = http_memo(request);
    const struct entry *entry = memo->route;
    if (entry != NULL) {
        entry->route->handler(entry->ctx, request);
        return;
    }
    entry = find_recent(router, http_path(request));
    if ((entry != NULL && entry->is_disabled) || map_has(&router->disabled, http_path(request))) {
        http_respond_text(request, 403, "Endpoint '%s' is disabled", http_path(request));
        return;
    }
    if (entry == NULL) {
        http_respond_text(request, 404, "There is nothing at '%s'\n", http_path(request));
        return;
    }
    if (entry->is_open) {
        http_add_answer_header(request, "Access-Control-Allow-Origin", "*");
    }
    if (entry->route->methods != NULL && !api_require_method(request, entry->route->methods)) {
        return;
    }
    if (!entry->is_open) {
        memo->route = entry; // there is nothing to be done but to call it
    }
    entry->route->handler(entry->ctx, request);
}
