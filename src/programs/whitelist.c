// SPDX-License-Identifier: Apache-2.0
//
// The file of --whitelist, watched.

#include "whitelist.h"

#include <string.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"

enum { WHITELIST_SIZE_MAX = 16 * 1024 * 1024 };

#define WATCH_INTERVAL_NS (5 * NS_PER_S)

struct whitelist {
    struct env *env;
    struct master_server *server;
    char *path;
    struct timer timer;
    char *last; // what the file had; NULL: it was never read
};

static void apply(struct whitelist *w)
{
    AUTO_FREE char *copy = mem_strdup(w->last);
    const char **hosts = mem_calloc(strlen(copy) + 1, sizeof(*hosts));
    size_t count = 0;
    char *rest;
    for (char *line = strtok_r(copy, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        line = text_trim(line);
        if (line[0] != '\0')
            hosts[count++] = line;
    }
    log_info("Updated agent whitelist: %zu hosts", count);
    if (count == 0)
        log_warning("Whitelist is empty, no offers will be made!");
    master_server_set_whitelist(w->server, hosts, count);
    mem_free(hosts);
}

static void look(struct timer *timer, struct instant now)
{
    (void)now;
    struct whitelist *w = CONTAINER_OF(timer, struct whitelist, timer);
    AUTO_FREE char *content = NULL;
    size_t size;
    struct error err;
    if (file_read(w->path, WHITELIST_SIZE_MAX, &content, &size, &err) < 0) {
        log_error("Error reading whitelist file: %s. Retrying", err.text);
    } else if (w->last == NULL || strcmp(w->last, content) != 0) {
        mem_free(w->last);
        w->last = TAKE_PTR(content);
        apply(w);
    }
    env_timer_set(w->env, &w->timer, WATCH_INTERVAL_NS);
}

struct whitelist *whitelist_new(struct env *env, struct master_server *server, const char *path)
{
    struct whitelist *w = mem_zalloc(sizeof(*w));
    w->env = env;
    w->server = server;
    w->path = mem_strdup(text_starts_with(path, "file://") ? path + strlen("file://") : path);
    w->timer.run = look;
    look(&w->timer, env_now(env));
    return w;
}

struct whitelist *whitelist_free(struct whitelist *w)
{
    if (w != NULL) {
        env_timer_cancel(w->env, &w->timer);
        mem_free(w->path);
        mem_free(w->last);
        mem_free(w);
    }
    return NULL;
}
