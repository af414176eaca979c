// SPDX-License-Identifier: Apache-2.0
//
// What a user means by an id.

#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/cli.h"

// The better it fits the higher. Twice the step, so that callers may add one for what is alive.
enum { RANK_PART = 2, RANK_NAME = 4, RANK_ID = 6 };

int cli_match_rank(const char *wanted, const char *id, const char *name)
{
    if (strcmp(wanted, id) == 0) {
        return RANK_ID;
    }
    if (name != NULL && strcmp(wanted, name) == 0) {
        return RANK_NAME;
    }
    size_t id_size = strlen(id);
    size_t size = strlen(wanted);
    bool is_last = size > 0 && size < id_size && id[id_size - size - 1] == '-' &&
                   strcmp(id + id_size - size, wanted) == 0;
    return size > 0 && (text_starts_with(id, wanted) || is_last) ? RANK_PART : 0;
}

void cli_match_offer(struct cli_match *match, struct arena *arena, int rank, const char *id,
                     void *value)
{
    if (rank == 0 || rank < match->rank) {
        return;
    }
    if (rank > match->rank) {
        match->rank = rank;
        match->count = 0;
    }
    if (match->count == 0) {
        match->value = value;
    }
    if (match->count < ARRAY_COUNT(match->ids)) {
        match->ids[match->count] = arena_strdup(arena, id);
    }
    match->count++;
}

int cli_match_end(const struct cli_match *match, struct error *err)
{
    if (match->count == 0) {
        return error_set(err, CLI_ERROR_NOT_FOUND, "There is no %s '%s'", match->what,
                         match->wanted);
    }
    if (match->count == 1) {
        return 0;
    }
    AUTO_BUF struct buf names = BUF_INIT;
    size_t named = match->count < ARRAY_COUNT(match->ids) ? match->count : ARRAY_COUNT(match->ids);
    for (size_t i = 0; i < named; i++) {
        buf_printf(&names, "%s%s", i > 0 ? ", " : "", match->ids[i]);
    }
    if (match->count > named) {
        buf_printf(&names, " and %zu more", match->count - named);
    }
    return error_set(err, CLI_ERROR_AMBIGUOUS, "'%s' could be %zu %ss: %s", match->wanted,
                     match->count, match->what, names.data);
}

// ---- agents ----

int cli_find_agent(struct cli *cli, const char *wanted,
                   Mesos__V1__Master__Response__GetAgents__Agent **ret_agent, struct error *err)
{
    Mesos__V1__Master__Response__GetAgents__Agent **agents;
    size_t count;
    int r = cli_master_agents(cli, &agents, &count, err);
    if (r != 0) {
        return r;
    }
    struct cli_match match = {.wanted = wanted, .what = "agent"};
    for (size_t i = 0; i < count; i++) {
        const Mesos__V1__AgentInfo *info = agents[i]->agent_info;
        const char *id = info->id != NULL ? info->id->value : "";
        int rank = cli_match_rank(wanted, id, info->hostname);
        const char *at = agents[i]->pid != NULL ? strchr(agents[i]->pid, '@') : NULL;
        if (rank < RANK_NAME && at != NULL && strcmp(at + 1, wanted) == 0) {
            rank = RANK_NAME;
        }
        cli_match_offer(&match, cli->arena, rank,
                        arena_printf(cli->arena, "%s (%s)", id, info->hostname), agents[i]);
    }
    r = cli_match_end(&match, err);
    if (r == 0) {
        *ret_agent = match.value;
    }
    return r;
}

int cli_agent_of(struct cli *cli, const char *agent_id,
                 Mesos__V1__Master__Response__GetAgents__Agent **ret_agent, struct error *err)
{
    Mesos__V1__Master__Response__GetAgents__Agent **agents;
    size_t count;
    int r = cli_master_agents(cli, &agents, &count, err);
    if (r != 0) {
        return r;
    }
    for (size_t i = 0; i < count; i++) {
        const Mesos__V1__AgentID *id = agents[i]->agent_info->id;
        if (id != NULL && strcmp(id->value, agent_id) == 0) {
            *ret_agent = agents[i];
            return 0;
        }
    }
    return error_set(err, CLI_ERROR_UNREACHABLE,
                     "The agent %s is not there: unreachable, gone, or shut down", agent_id);
}

// ---- frameworks ----

int cli_find_framework(struct cli *cli, const char *wanted,
                       Mesos__V1__Master__Response__GetFrameworks__Framework **ret_framework,
                       bool *ret_is_completed, struct error *err)
{
    Mesos__V1__Master__Response__GetFrameworks *all;
    int r = cli_master_frameworks(cli, &all, err);
    if (r != 0) {
        return r;
    }
    struct cli_match match = {.wanted = wanted, .what = "framework"};
    for (size_t i = 0; i < all->n_frameworks + all->n_completed_frameworks; i++) {
        bool is_alive = i < all->n_frameworks;
        Mesos__V1__Master__Response__GetFrameworks__Framework *framework =
            is_alive ? all->frameworks[i] : all->completed_frameworks[i - all->n_frameworks];
        const Mesos__V1__FrameworkInfo *info = framework->framework_info;
        const char *id = info->id != NULL ? info->id->value : "";
        int rank = cli_match_rank(wanted, id, info->name);
        cli_match_offer(&match, cli->arena, rank > 0 ? rank + is_alive : 0,
                        arena_printf(cli->arena, "%s (%s)", id, info->name), framework);
    }
    r = cli_match_end(&match, err);
    if (r == 0) {
        CHECK(match.value != NULL);
        *ret_framework = match.value;
        *ret_is_completed = match.rank % 2 == 0;
    }
    return r;
}

// ---- tasks ----

struct task_search {
    struct cli *cli;
    const char *framework_id; // NULL: any
    struct cli_match match;
    struct map seen; // "framework task" of candidates of the best rank -> Mesos__V1__Task
};

static void consider(void *ctx, enum cli_task_list list, const Mesos__V1__Task *task)
{
    struct task_search *search = ctx;
    struct arena *arena = search->cli->arena;
    const char *framework_id = task->framework_id->value;
    if (search->framework_id != NULL && strcmp(search->framework_id, framework_id) != 0) {
        return;
    }
    int rank = cli_match_rank(search->match.wanted, task->task_id->value, task->name);
    rank += rank > 0 && list != CLI_TASKS_COMPLETED;
    if (rank == 0 || rank < search->match.rank) {
        return;
    }
    if (rank > search->match.rank) {
        map_clear(&search->seen);
    }
    const char *id = arena_printf(arena, "%s (framework %s)", task->task_id->value, framework_id);
    // A task that ran twice is one; the later run counts.
    if (map_has(&search->seen, id)) {
        if (search->match.count == 1) {
            search->match.value = WIRE_COPY(arena, Mesos__V1__Task, task);
        }
        return;
    }
    bool is_first = rank > search->match.rank || search->match.count == 0;
    map_put(&search->seen, id, search);
    cli_match_offer(&search->match, arena, rank, id,
                    is_first ? WIRE_COPY(arena, Mesos__V1__Task, task) : NULL);
}

int cli_find_task(struct cli *cli, const char *wanted, const char *framework,
                  Mesos__V1__Task **ret_task, struct error *err)
{
    struct task_search search = {.cli = cli, .match = {.wanted = wanted, .what = "task"}};
    if (framework != NULL) {
        Mesos__V1__Master__Response__GetFrameworks__Framework *found;
        bool is_completed;
        int r = cli_find_framework(cli, framework, &found, &is_completed, err);
        if (r != 0) {
            return r;
        }
        search.framework_id = found->framework_info->id->value;
    }
    int r = cli_master_walk_tasks(cli, consider, &search, err);
    if (r == 0) {
        r = cli_match_end(&search.match, err);
    }
    map_free(&search.seen);
    if (r == 0) {
        *ret_task = search.match.value;
    }
    return r;
}
