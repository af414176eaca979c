// SPDX-License-Identifier: Apache-2.0
//
// The agent as a whole: made from its options, driven by its timers, freed.

#include "agent/agent.h"

#include <string.h>

#include "agent/internal.h"
#include "base/check.h"
#include "base/mem.h"
#include "wire/wire.h"

// Everything of the options that points somewhere lives in the agent's arena from here on.
static void copy_options(struct agent *agent, const struct agent_options *options)
{
    struct arena *arena = agent->arena;
    agent->options = *options;
    agent->options.info = NULL;
    agent->options.work_dir = arena_strdup(arena, options->work_dir);
    agent->options.launcher_dir = arena_strdup(arena, options->launcher_dir);
    agent->options.boot_id = arena_strdup(arena, options->boot_id != NULL ? options->boot_id : "");
    size_t count = 0;
    while (options->environment != NULL && options->environment[count] != NULL) {
        count++;
    }
    char **environment = arena_calloc(arena, count + 1, sizeof(char *));
    for (size_t i = 0; i < count; i++) {
        environment[i] = arena_strdup(arena, options->environment[i]);
    }
    environment[count] = NULL;
    agent->options.environment = environment;
}

struct agent *agent_new(const struct agent_options *options, const struct agent_ops *ops, void *ctx,
                        struct instant now, struct error *err)
{
    struct resources *total = NULL;
    if (resources_from_proto(options->info->resources, options->info->n_resources, &total, err) <
        0) {
        return NULL;
    }
    struct agent *agent = mem_zalloc(sizeof(*agent));
    agent->magic = AGENT_MAGIC;
    agent->arena = arena_new(0, 0);
    agent->ops = *ops;
    agent->ctx = ctx;
    agent->total = total;
    agent->start_time = (double)now.wall / NS_PER_S;
    copy_options(agent, options);
    prng_seed(&agent->prng, options->seed);
    list_init(&agent->completed_frameworks);
    agent_registration_init(agent);
    agent_recovery_init(agent);
    agent_gc_init(agent);
    agent_volumes_init(agent);
    agent->info_arena = arena_new(0, 0);
    agent->info = WIRE_COPY(agent->info_arena, Mesos__V1__AgentInfo, options->info);
    agent->info->id = NULL;
    agent_set_address(agent, options->ip, NULL);
    return agent;
}

struct agent *agent_free(struct agent *agent)
{
    if (agent == NULL) {
        return NULL;
    }
    agent_streams_free(agent);
    agent_operations_free(agent);
    agent_volumes_free(agent);
    agent_forget_exits(agent);
    agent_drain_free(agent);
    MAP_FOREACH (&agent->frameworks, entry) {
        agent_framework_free(CHECK_CAST(agent_framework, FRAMEWORK_MAGIC, entry->value));
    }
    LIST_FOREACH (&agent->completed_frameworks, struct agent_framework, link, framework) {
        agent_framework_free(framework);
    }
    map_free(&agent->frameworks);
    map_free(&agent->containers);
    agent_gc_free(agent);
    timers_free(&agent->timers);
    resources_free(agent->total);
    resources_free(agent->oversubscribed);
    mem_free(agent->ip);
    mem_free(agent->pid);
    arena_free(agent->master_arena);
    arena_free(agent->info_arena);
    arena_free(agent->arena);
    agent->magic = 0;
    mem_free(agent);
    return NULL;
}

int64_t agent_next_deadline(const struct agent *agent)
{
    return timers_next(&agent->timers);
}

void agent_run_timers(struct agent *agent, struct instant now)
{
    timers_run(&agent->timers, now);
}

// A copy of the info, with that id.
void agent_set_id(struct agent *agent, const char *id)
{
    if (id == NULL) {
        agent_operations_forget(agent);
    }
    struct arena *arena = arena_new(0, 0);
    agent->info->id = NULL;
    Mesos__V1__AgentInfo *info = WIRE_COPY(arena, Mesos__V1__AgentInfo, agent->info);
    if (id != NULL) {
        info->id = WIRE_NEW(arena, Mesos__V1__AgentID, mesos__v1__agent_id);
        info->id->value = arena_strdup(arena, id);
    }
    arena_free(agent->info_arena);
    agent->info_arena = arena;
    agent->info = info;
    agent_checkpoint_self(agent);
}

void agent_set_address(struct agent *agent, const char *ip, const char *hostname)
{
    if (ip != agent->ip) {
        mem_free(agent->ip);
        agent->ip = mem_strdup(ip);
    }
    bool is_v6 = strchr(ip, ':') != NULL;
    mem_free(agent->pid);
    agent->pid =
        mem_printf("slave(1)@%s%s%s:%d", is_v6 ? "[" : "", ip, is_v6 ? "]" : "", agent->info->port);
    if (hostname != NULL) {
        agent->info->hostname = arena_strdup(agent->info_arena, hostname);
    }
}

void agent_destroy_containers(struct agent *agent)
{
    MAP_FOREACH (&agent->containers, entry) {
        agent->ops.container_destroy(agent->ctx, entry->key);
    }
}

struct resources *agent_used_resources(const struct agent *agent)
{
    struct resources *used = resources_new();
    MAP_FOREACH (&agent->containers, entry) {
        const struct agent_executor *executor =
            CHECK_CAST(agent_executor, EXECUTOR_MAGIC, entry->value);
        resources_add(used, executor->allocated);
    }
    return used;
}
