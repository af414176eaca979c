// SPDX-License-Identifier: Apache-2.0
//
// mesos task list, info, kill.

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/cli_parts.h"
#include "model/task_state.h"

static const Mesos__V1__TaskStatus *last_status(const Mesos__V1__Task *task)
{
    return task->n_statuses > 0 ? task->statuses[task->n_statuses - 1] : NULL;
}

static double since_of(const Mesos__V1__Task *task)
{
    const Mesos__V1__TaskStatus *status = last_status(task);
    return status != NULL && status->has_timestamp ? status->timestamp : 0;
}

// The first container that a status tells of, from the newest back.
static const Mesos__V1__ContainerStatus *container_of(const Mesos__V1__Task *task)
{
    for (size_t i = task->n_statuses; i > 0; i--) {
        const Mesos__V1__ContainerStatus *status = task->statuses[i - 1]->container_status;
        if (status != NULL && status->container_id != NULL) {
            return status;
        }
    }
    return NULL;
}

const Mesos__V1__ContainerID *cli_task_container(const Mesos__V1__Task *task)
{
    const Mesos__V1__ContainerStatus *status = container_of(task);
    return status != NULL ? status->container_id : NULL;
}

// ---- list ----

struct listing {
    struct cli *cli;
    struct cli_table *table; // NULL: ids or JSON
    struct cli_json_list json;
    bool takes_ended;
    const char *state;        // as cli_text_state gives it; NULL: any
    const char *framework_id; // NULL: any
    const char *agent_id;
    struct map hosts; // agent id -> its hostname
    struct map names; // framework id -> its name
};

static bool is_wanted(const struct listing *l, enum cli_task_list list, const Mesos__V1__Task *task)
{
    if (l->framework_id != NULL && strcmp(l->framework_id, task->framework_id->value) != 0) {
        return false;
    }
    if (l->agent_id != NULL && strcmp(l->agent_id, task->agent_id->value) != 0) {
        return false;
    }
    if (l->state != NULL) {
        AUTO_ARENA struct arena *arena = arena_new(256, 0);
        return strcmp(l->state, cli_text_state(arena, task->state)) == 0;
    }
    return l->takes_ended || (list != CLI_TASKS_COMPLETED && !task_state_is_terminal(task->state));
}

static void add_task(void *ctx, enum cli_task_list list, const Mesos__V1__Task *task)
{
    struct listing *l = ctx;
    struct cli *cli = l->cli;
    if (!is_wanted(l, list, task)) {
        return;
    }
    if (cli->output == CLI_JSON) {
        cli_json_list_put(&l->json, &task->base);
        return;
    }
    if (l->table == NULL) {
        cli_write(task->task_id->value, strlen(task->task_id->value));
        cli_write("\n", 1);
        return;
    }
    const char *name = map_get(&l->names, task->framework_id->value);
    const char *host = map_get(&l->hosts, task->agent_id->value);
    cli_table_add(l->table, task->task_id->value);
    cli_table_add(l->table, cli_text_state(cli->arena, task->state));
    cli_table_add(l->table, cli_text_since(cli->arena, since_of(task)));
    cli_table_add(l->table, name != NULL ? name : task->framework_id->value);
    cli_table_add(l->table, host != NULL ? host : task->agent_id->value);
    cli_table_add(l->table, cli_text_amount(cli->arena, cli_scalar(task->resources,
                                                                   task->n_resources, "cpus")));
    cli_table_add(l->table, cli_text_megabytes(
                                cli->arena, cli_scalar(task->resources, task->n_resources, "mem")));
}

static const struct cli_column task_columns[] = {
    {"TASK", CLI_COLUMN_TEXT},      {"STATE", CLI_COLUMN_STATE}, {"SINCE", CLI_COLUMN_NUMBER},
    {"FRAMEWORK", CLI_COLUMN_TEXT}, {"HOST", CLI_COLUMN_TEXT},   {"CPUS", CLI_COLUMN_NUMBER},
    {"MEM", CLI_COLUMN_NUMBER},
};

// Names of frameworks and hosts for the table.
static int learn_names(struct listing *l, struct error *err)
{
    Mesos__V1__Master__Response__GetAgents__Agent **agents;
    Mesos__V1__Master__Response__GetFrameworks *frameworks;
    size_t count;
    int r = cli_master_agents(l->cli, &agents, &count, err);
    if (r == 0) {
        r = cli_master_frameworks(l->cli, &frameworks, err);
    }
    if (r != 0) {
        return r;
    }
    for (size_t i = 0; i < count; i++) {
        const Mesos__V1__AgentInfo *info = agents[i]->agent_info;
        map_put(&l->hosts, info->id != NULL ? info->id->value : "", info->hostname);
    }
    for (size_t i = 0; i < frameworks->n_frameworks + frameworks->n_completed_frameworks; i++) {
        const Mesos__V1__FrameworkInfo *info =
            i < frameworks->n_frameworks
                ? frameworks->frameworks[i]->framework_info
                : frameworks->completed_frameworks[i - frameworks->n_frameworks]->framework_info;
        map_put(&l->names, info->id != NULL ? info->id->value : "", info->name);
    }
    return 0;
}

// Fills a table and prints it.
static int print_table(struct listing *l, struct error *err)
{
    l->table = cli_table_new(l->cli, task_columns, ARRAY_COUNT(task_columns));
    int r = learn_names(l, err);
    if (r == 0) {
        r = cli_master_walk_tasks(l->cli, add_task, l, err);
    }
    map_free(&l->hosts);
    map_free(&l->names);
    if (r == 0) {
        cli_table_print_or(l->table, "There are no tasks.");
    }
    return r;
}

int cli_task_list(struct cli *cli, struct error *err)
{
    struct listing l = {
        .cli = cli,
        .takes_ended = cli_has_flag(cli, "all"),
        .state = cli_flag_value(cli, "state"),
    };
    int r = 0;
    const char *framework = cli_flag_value(cli, "framework");
    const char *agent = cli_flag_value(cli, "agent");
    if (framework != NULL) {
        Mesos__V1__Master__Response__GetFrameworks__Framework *found;
        bool is_completed;
        r = cli_find_framework(cli, framework, &found, &is_completed, err);
        l.framework_id = r == 0 ? found->framework_info->id->value : NULL;
    }
    if (r == 0 && agent != NULL) {
        Mesos__V1__Master__Response__GetAgents__Agent *found;
        r = cli_find_agent(cli, agent, &found, err);
        l.agent_id = r == 0 ? found->agent_info->id->value : NULL;
    }
    if (r != 0) {
        return r;
    }
    if (cli->output == CLI_TABLE && !cli->ids_only) {
        return print_table(&l, err);
    }
    if (cli->output == CLI_JSON) {
        cli_json_list_open(&l.json);
    }
    r = cli_master_walk_tasks(cli, add_task, &l, err);
    if (r == 0 && cli->output == CLI_JSON) {
        cli_json_list_close(&l.json);
    }
    return r;
}

int cli_task_table_of(struct cli *cli, const char *framework_id, const char *agent_id,
                      struct error *err)
{
    struct listing l = {.cli = cli, .framework_id = framework_id, .agent_id = agent_id};
    cli_heading(cli, "Tasks");
    return print_table(&l, err);
}

// ---- info ----

static void put_statuses(struct cli *cli, const Mesos__V1__Task *task)
{
    static const struct cli_column columns[] = {{"STATE", CLI_COLUMN_STATE},
                                                {"SINCE", CLI_COLUMN_TEXT},
                                                {"REASON", CLI_COLUMN_TEXT},
                                                {"MESSAGE", CLI_COLUMN_TEXT}};
    if (task->n_statuses == 0) {
        return;
    }
    cli_heading(cli, "States");
    struct cli_table *table = cli_table_new(cli, columns, ARRAY_COUNT(columns));
    for (size_t i = 0; i < task->n_statuses; i++) {
        const Mesos__V1__TaskStatus *status = task->statuses[i];
        const char *reason =
            status->has_reason
                ? wire_enum_name(&mesos__v1__task_status__reason__descriptor, (int)status->reason)
                : NULL;
        cli_table_add(table, cli_text_state(cli->arena, status->state));
        cli_table_add(table,
                      status->has_timestamp ? cli_text_time(cli->arena, status->timestamp) : NULL);
        cli_table_add(table, reason);
        cli_table_add(table, status->message);
    }
    cli_table_print(table);
}

static void put_addresses(struct cli *cli, const Mesos__V1__Task *task)
{
    const Mesos__V1__ContainerStatus *status = container_of(task);
    if (status == NULL) {
        return;
    }
    AUTO_BUF struct buf out = BUF_INIT;
    for (size_t i = 0; i < status->n_network_infos; i++) {
        const Mesos__V1__NetworkInfo *network = status->network_infos[i];
        for (size_t j = 0; j < network->n_ip_addresses; j++) {
            if (network->ip_addresses[j]->ip_address != NULL) {
                buf_printf(&out, "%s%s", out.size > 0 ? ", " : "",
                           network->ip_addresses[j]->ip_address);
            }
        }
    }
    cli_field(cli, "Addresses", out.data);
    cli_field(cli, "Container", cli_text_container_id(cli->arena, status->container_id));
}

static void put_labels(struct cli *cli, const Mesos__V1__Task *task)
{
    AUTO_BUF struct buf out = BUF_INIT;
    for (size_t i = 0; task->labels != NULL && i < task->labels->n_labels; i++) {
        const Mesos__V1__Label *label = task->labels->labels[i];
        buf_printf(&out, "%s%s%s%s", i > 0 ? ", " : "", label->key, label->value != NULL ? "=" : "",
                   label->value != NULL ? label->value : "");
    }
    cli_field(cli, "Labels", out.data);
}

int cli_task_info(struct cli *cli, struct error *err)
{
    Mesos__V1__Task *task;
    int r = cli_find_task(cli, cli->words[0], cli_flag_value(cli, "framework"), &task, err);
    if (r != 0) {
        return r;
    }
    if (cli->output == CLI_JSON) {
        cli_json_put(&task->base);
        return 0;
    }
    const Mesos__V1__TaskStatus *status = last_status(task);
    Mesos__V1__Master__Response__GetAgents__Agent *agent;
    bool has_agent = cli_agent_of(cli, task->agent_id->value, &agent, NULL) == 0;
    cli_field(cli, "Id", task->task_id->value);
    cli_field(cli, "Name", task->name);
    cli_field(cli, "State", cli_text_state(cli->arena, task->state));
    if (status != NULL && status->has_healthy) {
        cli_field(cli, "Healthy", status->healthy ? "yes" : "no");
    }
    cli_field(cli, "Framework", task->framework_id->value);
    cli_field(cli, "Executor", task->executor_id != NULL ? task->executor_id->value : NULL);
    cli_field(cli, "Agent", task->agent_id->value);
    cli_field(cli, "Host", has_agent ? agent->agent_info->hostname : NULL);
    cli_field(cli, "User", task->user);
    cli_field(cli, "Resources", cli_text_resources(cli->arena, task->resources, task->n_resources));
    put_addresses(cli, task);
    put_labels(cli, task);
    put_statuses(cli, task);
    return 0;
}

// ---- kill ----

int cli_task_kill(struct cli *cli, struct error *err)
{
    Mesos__V1__Task *task;
    Mesos__V1__Master__Response__GetAgents__Agent *agent;
    struct address address;
    int r = cli_find_task(cli, cli->words[0], cli_flag_value(cli, "framework"), &task, err);
    if (r != 0) {
        return r;
    }
    const char *id = task->task_id->value;
    const Mesos__V1__ContainerID *container = cli_task_container(task);
    if (task_state_is_terminal(task->state)) {
        return error_set(err, CLI_ERROR_FAILED, "The task %s has ended already: %s", id,
                         cli_text_state(cli->arena, task->state));
    }
    if (container == NULL) {
        return error_set(err, CLI_ERROR_FAILED, "The task %s has no container yet", id);
    }
    r = cli_agent_of(cli, task->agent_id->value, &agent, err);
    if (r == 0) {
        r = cli_agent_address(agent, &address, err);
    }
    bool is_shared = container->parent == NULL && task->executor_id != NULL &&
                     strcmp(task->executor_id->value, id) != 0;
    if (r == 0) {
        r = cli_confirm(cli,
                        arena_printf(cli->arena, "Kill the container of task %s%s?", id,
                                     is_shared ? ", with all tasks of its executor" : ""),
                        err);
    }
    if (r != 0) {
        return r;
    }
    Mesos__V1__Agent__Call__KillContainer body = MESOS__V1__AGENT__CALL__KILL_CONTAINER__INIT;
    Mesos__V1__Agent__Call call = MESOS__V1__AGENT__CALL__INIT;
    body.container_id = (Mesos__V1__ContainerID *)(uintptr_t)container;
    call.has_type = true;
    call.type = MESOS__V1__AGENT__CALL__TYPE__KILL_CONTAINER;
    call.kill_container = &body;
    r = cli_agent_call(cli, &address, &call, NULL, err);
    if (r == 0 && cli->output == CLI_JSON) {
        cli_json_put_done("task_id", id, "kill");
    } else if (r == 0) {
        cli_say(cli, "The container of task %s is killed", id);
    }
    return r;
}
