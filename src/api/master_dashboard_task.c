// SPDX-License-Identifier: Apache-2.0
//
// GET /dashboard/task: all that the master knows of one task, as the operator API tells it: a
// framework may have had a task of that id more than once.

#include <string.h>

#include "api/master_dashboard.h"
#include "proto/master.pb-c.h"

static void append(struct arena *arena, const struct task *t, Mesos__V1__Task ***list,
                   size_t *count)
{
    // Room for a power of two.
    if ((*count & (*count - 1)) == 0) {
        Mesos__V1__Task **larger =
            arena_calloc(arena, *count == 0 ? 1 : 2 * *count, sizeof(Mesos__V1__Task *));
        for (size_t i = 0; i < *count; i++)
            larger[i] = (*list)[i];
        *list = larger;
    }
    (*list)[(*count)++] = master_v0_task(arena, t);
}

static void find_task(struct arena *arena, const struct framework *f, const char *id,
                      Mesos__V1__Master__Response__GetTasks *ret)
{
    const struct task *t = map_get(&f->tasks, id);
    if (t != NULL)
        append(arena, t, &ret->tasks, &ret->n_tasks);
    t = map_get(&f->unreachable, id);
    if (t != NULL)
        append(arena, t, &ret->unreachable_tasks, &ret->n_unreachable_tasks);
    LIST_FOREACH ((struct list *)(uintptr_t)&f->completed_tasks, struct task, by_place, ended) {
        if (strcmp(ended->id, id) == 0)
            append(arena, ended, &ret->completed_tasks, &ret->n_completed_tasks);
    }
}

void dashboard_task(void *ctx, struct http_request *r)
{
    struct master_server *server = ctx;
    if (!dashboard_begin(server, r))
        return;
    const char *framework_id = http_query(r, "framework"), *id = http_query(r, "id");
    if (framework_id == NULL || id == NULL) {
        http_respond_text(r, 400, "Expecting 'framework' and 'id' in query");
        return;
    }
    Mesos__V1__Master__Response__GetTasks found = MESOS__V1__MASTER__RESPONSE__GET_TASKS__INIT;
    const struct framework *f = map_get(&server->core->frameworks, framework_id);
    if (f != NULL)
        find_task(http_arena(r), f, id, &found);
    LIST_FOREACH (&server->core->completed, struct framework, in_completed, ended) {
        if (strcmp(ended->id, framework_id) == 0)
            find_task(http_arena(r), ended, id, &found);
    }
    if (found.n_tasks + found.n_unreachable_tasks + found.n_completed_tasks == 0) {
        http_respond_text(r, 404,
                          "Framework %s has no task %s here. Tasks that ended are kept for "
                          "a while only.",
                          framework_id, id);
        return;
    }
    api_respond_json_message(r, &found.base);
}
