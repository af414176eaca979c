// SPDX-License-Identifier: Apache-2.0
//
// mesos agent ...

#include <errno.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/timer.h"
#include "cli/cli.h"
#include "cli/cli_parts.h"
#include "model/attributes.h"
#include "model/task_state.h"

typedef Mesos__V1__Master__Response__GetAgents__Agent agent_message;

static const char *id_of(const agent_message *agent)
{
    return agent->agent_info->id != NULL ? agent->agent_info->id->value : "";
}

static const char *state_of(const agent_message *agent)
{
    if (agent->drain_info != NULL) {
        return agent->drain_info->state == MESOS__V1__DRAIN_STATE__DRAINED ? "drained" : "draining";
    }
    if (agent->has_deactivated && agent->deactivated) {
        return "deactivated";
    }
    return agent->active ? "active" : "disconnected";
}

static const char *used_of(struct cli *cli, const agent_message *agent, const char *name,
                           const char *(*text)(struct arena *arena, double value))
{
    double used = cli_scalar(agent->allocated_resources, agent->n_allocated_resources, name);
    double total = cli_scalar(agent->total_resources, agent->n_total_resources, name);
    return arena_printf(cli->arena, "%s/%s", text(cli->arena, used), text(cli->arena, total));
}

// ---- list ----

static void add_agent(struct cli *cli, struct cli_table *table, const agent_message *agent,
                      const size_t *task_count)
{
    cli_table_add(table, id_of(agent));
    cli_table_add(table, agent->agent_info->hostname);
    cli_table_add(table, state_of(agent));
    cli_table_add(table, used_of(cli, agent, "cpus", cli_text_amount));
    cli_table_add(table, used_of(cli, agent, "mem", cli_text_megabytes));
    cli_table_add(table, used_of(cli, agent, "disk", cli_text_megabytes));
    cli_table_addf(table, "%zu", task_count != NULL ? *task_count : 0);
    const Mesos__V1__TimeInfo *since =
        agent->reregistered_time != NULL ? agent->reregistered_time : agent->registered_time;
    cli_table_add(table, cli_text_since(cli->arena, cli_seconds(since)));
    cli_table_add(table, agent->version);
}

void cli_count_add(struct map *counts, struct arena *arena, const char *id)
{
    size_t *count = map_get(counts, id);
    if (count == NULL) {
        count = arena_zalloc(arena, sizeof(*count));
        map_put(counts, id, count);
    }
    (*count)++;
}

struct counting {
    struct map counts;
    struct arena *arena;
};

static void count_task(void *ctx, enum cli_task_list list, const Mesos__V1__Task *task)
{
    struct counting *counting = ctx;
    if (list == CLI_TASKS_ACTIVE) {
        cli_count_add(&counting->counts, counting->arena, task->agent_id->value);
    }
}

int cli_agent_list(struct cli *cli, struct error *err)
{
    static const struct cli_column columns[] = {
        {"ID", CLI_COLUMN_ID},        {"HOST", CLI_COLUMN_TEXT},    {"STATE", CLI_COLUMN_STATE},
        {"CPUS", CLI_COLUMN_NUMBER},  {"MEM", CLI_COLUMN_NUMBER},   {"DISK", CLI_COLUMN_NUMBER},
        {"TASKS", CLI_COLUMN_NUMBER}, {"SINCE", CLI_COLUMN_NUMBER}, {"VERSION", CLI_COLUMN_TEXT},
    };
    agent_message **agents;
    size_t count;
    int r = cli_master_agents(cli, &agents, &count, err);
    if (r != 0) {
        return r;
    }
    struct cli_list list;
    cli_list_open(&list, cli, columns, ARRAY_COUNT(columns));
    struct counting counting = {.arena = cli->arena};
    if (cli->output == CLI_TABLE && !cli->ids_only) {
        r = cli_master_walk_tasks(cli, count_task, &counting, err);
    }
    for (size_t i = 0; r == 0 && i < count; i++) {
        const char *id = id_of(agents[i]);
        if (cli_list_put(&list, id, &agents[i]->base)) {
            add_agent(cli, list.table, agents[i], map_get(&counting.counts, id));
        }
    }
    map_free(&counting.counts);
    if (r == 0) {
        cli_list_close(&list, "There are no agents.");
    }
    return r;
}

// ---- info ----

static void put_attributes(struct cli *cli, const Mesos__V1__AgentInfo *info)
{
    AUTO_BUF struct buf out = BUF_INIT;
    for (size_t i = 0; i < info->n_attributes; i++) {
        buf_printf(&out, "%s%s:", i > 0 ? "; " : "", info->attributes[i]->name);
        attribute_put_text(info->attributes[i], &out);
    }
    cli_field(cli, "Attributes", out.data);
}

static void put_drain(struct cli *cli, const agent_message *agent)
{
    if (agent->drain_info == NULL) {
        return;
    }
    const Mesos__V1__DrainConfig *config = agent->drain_info->config;
    if (config->max_grace_period != NULL) {
        AUTO_BUF struct buf text = BUF_INIT;
        text_put_duration(&text, config->max_grace_period->nanoseconds);
        cli_fieldf(cli, "Drain", "grace at most %s%s", text.data,
                   config->mark_gone ? ", then marked gone" : "");
    } else {
        cli_field(cli, "Drain", config->mark_gone ? "then marked gone" : "each task's own grace");
    }
    cli_field(cli, "Drain began",
              cli_text_time(cli->arena, cli_seconds(agent->estimated_drain_start_time)));
}

static void put_agent(struct cli *cli, const agent_message *agent)
{
    struct arena *arena = cli->arena;
    const Mesos__V1__AgentInfo *info = agent->agent_info;
    const char *at = agent->pid != NULL ? strchr(agent->pid, '@') : NULL;
    cli_field(cli, "Id", id_of(agent));
    cli_field(cli, "Host", info->hostname);
    cli_field(cli, "Address", at != NULL ? at + 1 : NULL);
    cli_field(cli, "State", state_of(agent));
    put_drain(cli, agent);
    cli_field(cli, "Version", agent->version);
    cli_field(cli, "Registered", cli_text_time(arena, cli_seconds(agent->registered_time)));
    cli_field(cli, "Reregistered", cli_text_time(arena, cli_seconds(agent->reregistered_time)));
    if (info->domain != NULL && info->domain->fault_domain != NULL) {
        cli_fieldf(cli, "Domain", "%s, %s", info->domain->fault_domain->region->name,
                   info->domain->fault_domain->zone->name);
    }
    put_attributes(cli, info);
    cli_field(cli, "Resources",
              cli_text_resources(arena, agent->total_resources, agent->n_total_resources));
    cli_field(cli, "Allocated",
              cli_text_resources(arena, agent->allocated_resources, agent->n_allocated_resources));
    cli_field(cli, "Offered",
              cli_text_resources(arena, agent->offered_resources, agent->n_offered_resources));
}

int cli_agent_info(struct cli *cli, struct error *err)
{
    agent_message *agent;
    int r = cli_find_agent(cli, cli->words[0], &agent, err);
    if (r != 0) {
        return r;
    }
    if (cli->output == CLI_JSON) {
        cli_json_put(&agent->base);
        return 0;
    }
    put_agent(cli, agent);
    return cli_task_table_of(cli, NULL, id_of(agent), err);
}

// ---- operations ----

// The id of the agent that the first word means. A whole id that nobody has stands for itself,
// since an agent that is unreachable is in no list.
static int resolve(struct cli *cli, Mesos__V1__AgentID *ret_id, struct error *err)
{
    agent_message *agent;
    int r = cli_find_agent(cli, cli->words[0], &agent, err);
    bool looks_whole = strstr(cli->words[0], "-S") != NULL && strlen(cli->words[0]) > 36;
    if (r == CLI_ERROR_NOT_FOUND && looks_whole) {
        ret_id->value = cli->words[0];
        return 0;
    }
    if (r == 0) {
        ret_id->value = (char *)(uintptr_t)id_of(agent);
    }
    return r;
}

static int done(struct cli *cli, const char *id, const char *verb, const char *text)
{
    if (cli->output == CLI_JSON) {
        cli_json_put_done("agent_id", id, verb);
    } else {
        cli_say(cli, "Agent %s %s", id, text);
    }
    return 0;
}

int cli_agent_drain(struct cli *cli, struct error *err)
{
    Mesos__V1__AgentID id = MESOS__V1__AGENT_ID__INIT;
    Google__Protobuf__Duration grace = GOOGLE__PROTOBUF__DURATION__INIT;
    Mesos__V1__Master__Call__DrainAgent drain = MESOS__V1__MASTER__CALL__DRAIN_AGENT__INIT;
    Mesos__V1__Master__Call call = MESOS__V1__MASTER__CALL__INIT;
    const char *text = cli_flag_value(cli, "grace");
    int64_t ns = 0;
    int r = text != NULL ? cli_read_duration("grace", text, &ns, err) : 0;
    if (r == 0) {
        r = resolve(cli, &id, err);
    }
    if (r != 0) {
        return r;
    }
    if (text != NULL) {
        grace.seconds = ns / NS_PER_S;
        grace.nanos = (int32_t)(ns % NS_PER_S);
        drain.max_grace_period = &grace;
    }
    drain.agent_id = &id;
    drain.has_mark_gone = cli_has_flag(cli, "mark-gone");
    drain.mark_gone = drain.has_mark_gone;
    call.has_type = true;
    call.type = MESOS__V1__MASTER__CALL__TYPE__DRAIN_AGENT;
    call.drain_agent = &drain;
    r = cli_master_call(cli, &call, NULL, err);
    return r != 0 ? r : done(cli, id.value, "drain", "is draining");
}

// What needs nothing but the agent: the word's call is sent, and what it came to is told.
static int call_about_agent(struct cli *cli, Mesos__V1__Master__Call *call,
                            Mesos__V1__AgentID *id /* in the call */, const char *verb,
                            const char *text, struct error *err)
{
    int r = resolve(cli, id, err);
    if (r == 0) {
        call->has_type = true;
        r = cli_master_call(cli, call, NULL, err);
    }
    return r != 0 ? r : done(cli, id->value, verb, text);
}

int cli_agent_deactivate(struct cli *cli, struct error *err)
{
    Mesos__V1__AgentID id = MESOS__V1__AGENT_ID__INIT;
    Mesos__V1__Master__Call__DeactivateAgent body = MESOS__V1__MASTER__CALL__DEACTIVATE_AGENT__INIT;
    Mesos__V1__Master__Call call = MESOS__V1__MASTER__CALL__INIT;
    body.agent_id = &id;
    call.type = MESOS__V1__MASTER__CALL__TYPE__DEACTIVATE_AGENT;
    call.deactivate_agent = &body;
    return call_about_agent(cli, &call, &id, "deactivate", "is deactivated", err);
}

int cli_agent_reactivate(struct cli *cli, struct error *err)
{
    Mesos__V1__AgentID id = MESOS__V1__AGENT_ID__INIT;
    Mesos__V1__Master__Call__ReactivateAgent body = MESOS__V1__MASTER__CALL__REACTIVATE_AGENT__INIT;
    Mesos__V1__Master__Call call = MESOS__V1__MASTER__CALL__INIT;
    body.agent_id = &id;
    call.type = MESOS__V1__MASTER__CALL__TYPE__REACTIVATE_AGENT;
    call.reactivate_agent = &body;
    return call_about_agent(cli, &call, &id, "reactivate", "is active again", err);
}

int cli_agent_gone(struct cli *cli, struct error *err)
{
    Mesos__V1__AgentID id = MESOS__V1__AGENT_ID__INIT;
    Mesos__V1__Master__Call__MarkAgentGone body = MESOS__V1__MASTER__CALL__MARK_AGENT_GONE__INIT;
    Mesos__V1__Master__Call call = MESOS__V1__MASTER__CALL__INIT;
    int r = resolve(cli, &id, err);
    if (r == 0) {
        r = cli_confirm(
            cli,
            arena_printf(cli->arena, "Mark agent %s as gone for good, with its tasks?", id.value),
            err);
    }
    if (r != 0) {
        return r;
    }
    body.agent_id = &id;
    call.has_type = true;
    call.type = MESOS__V1__MASTER__CALL__TYPE__MARK_AGENT_GONE;
    call.mark_agent_gone = &body;
    r = cli_master_call(cli, &call, NULL, err);
    return r != 0 ? r : done(cli, id.value, "gone", "is gone for good");
}
