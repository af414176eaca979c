// SPDX-License-Identifier: Apache-2.0
//
// Sandboxes that former agents left beneath <work_dir>/slaves: of other agent ids, and of
// frameworks, executors and runs that are not known any more. They go to the core's collector with
// the age that they have.

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "api/agent_daemon.h"
#include "base/check.h"
#include "base/mem.h"

struct leftover {
    char *path;
    int64_t changed; // nanoseconds since 1970
};

struct search {
    const struct agent *agent;
    struct leftover *found;
    size_t count;
};

static void add(struct search *s, const char *path)
{
    struct stat info;
    if (lstat(path, &info) < 0 || !S_ISDIR(info.st_mode)) {
        return;
    }
    s->found = mem_realloc_array(s->found, s->count + 1, sizeof(s->found[0]));
    s->found[s->count++] = (struct leftover){
        .path = mem_strdup(path),
        .changed = (int64_t)info.st_mtim.tv_sec * NS_PER_S + info.st_mtim.tv_nsec,
    };
}

// Calls `visit` for each entry of <path>/<folder>.
static void walk(struct search *s, const char *path, const char *folder, void *known,
                 void (*visit)(struct search *s, const char *path, const char *name, void *known))
{
    AUTO_FREE char *place = mem_printf("%s/%s", path, folder);
    DIR *stream = opendir(place);
    if (stream == NULL) {
        return; // never made, or gone
    }
    for (struct dirent *entry; (entry = readdir(stream)) != NULL;) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            AUTO_FREE char *inner = mem_printf("%s/%s", place, entry->d_name);
            visit(s, inner, entry->d_name, known);
        }
    }
    closedir(stream);
}

static void visit_run(struct search *s, const char *path, const char *name, void *known)
{
    const struct agent_executor *executor = known;
    if (strcmp(name, "latest") != 0 && strcmp(name, executor->container_id) != 0) {
        add(s, path);
    }
}

static void visit_executor(struct search *s, const char *path, const char *name, void *known)
{
    const struct agent_framework *framework = known;
    struct agent_executor *executor = map_get(&framework->executors, name);
    if (executor == NULL) {
        add(s, path);
    } else {
        walk(s, path, "runs", executor, visit_run);
    }
}

static void visit_framework(struct search *s, const char *path, const char *name, void *known)
{
    (void)known;
    struct agent_framework *framework = map_get(&s->agent->frameworks, name);
    if (framework == NULL) {
        add(s, path);
    } else {
        walk(s, path, "executors", framework, visit_executor);
    }
}

static void visit_agent(struct search *s, const char *path, const char *name, void *known)
{
    (void)known;
    const Mesos__V1__AgentID *id = s->agent->info->id;
    if (id == NULL || strcmp(id->value, name) != 0) {
        add(s, path);
    } else {
        walk(s, path, "frameworks", NULL, visit_framework);
    }
}

static int compare_youngest_first(const void *a, const void *b)
{
    int64_t left = ((const struct leftover *)a)->changed;
    int64_t right = ((const struct leftover *)b)->changed;
    return left > right ? -1 : left < right;
}

void agent_leftovers_schedule(struct agent_daemon *d)
{
    struct search s = {.agent = d->agent};
    walk(&s, d->work_dir, "slaves", NULL, visit_agent);
    if (s.count > 0) {
        qsort(s.found, s.count, sizeof(s.found[0]), compare_youngest_first);
    }
    struct instant now = env_now(d->env);
    for (size_t i = 0; i < s.count; i++) {
        agent_leftover_found(d->agent, s.found[i].path, now.wall - s.found[i].changed, now);
        mem_free(s.found[i].path);
    }
    mem_free(s.found);
}
