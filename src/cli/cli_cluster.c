// SPDX-License-Identifier: Apache-2.0
//
// mesos state, flags, log-level: the cluster as a whole, and single daemons.

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "base/timer.h"
#include "cli/cli.h"
#include "wire/content.h"

#define LEVEL_DURATION_NS (INT64_C(600) * NS_PER_S)

// ---- state ----

static int write_data(void *ctx, const void *data, size_t size)
{
    (void)ctx;
    cli_write(data, size);
    return 0;
}

static int put_whole_state(struct cli *cli, struct error *err)
{
    static const char body[] = "{\"type\":\"GET_STATE\"}";
    struct cli_request request = {
        .target = "/api/v1",
        .content_type = CONTENT_JSON_NAME,
        .accept = CONTENT_JSON_NAME,
        .body = body,
        .body_size = sizeof(body) - 1,
        .on_data = write_data,
    };
    struct cli_answer answer;
    int r = cli_master_ask(cli, &request, &answer, err);
    if (r == 0) {
        cli_write("\n", 1);
    }
    return r;
}

struct metrics {
    const Mesos__V1__Master__Response__GetMetrics *message;
    struct arena *arena;
};

static double metric(const struct metrics *metrics, const char *name)
{
    for (size_t i = 0; i < metrics->message->n_metrics; i++) {
        const Mesos__V1__Metric *one = metrics->message->metrics[i];
        if (strcmp(one->name, name) == 0) {
            return one->has_value ? one->value : 0;
        }
    }
    return 0;
}

// "3 active, 1 inactive": those of the names whose metric is not 0.
static void put_counts(struct cli *cli, const struct metrics *metrics, const char *title,
                       const char *const (*names)[2], size_t count)
{
    AUTO_BUF struct buf out = BUF_INIT;
    for (size_t i = 0; i < count; i++) {
        double value = metric(metrics, names[i][0]);
        if (value > 0 || i == 0) {
            buf_printf(&out, "%s%.0f %s", out.size > 0 ? ", " : "", value, names[i][1]);
        }
    }
    cli_field(cli, title, out.data);
}

static void put_use(struct cli *cli, const struct metrics *metrics, const char *title,
                    const char *name, const char *(*text)(struct arena *arena, double value))
{
    struct arena *arena = cli->arena;
    double used = metric(metrics, arena_printf(arena, "master/%s_used", name));
    double total = metric(metrics, arena_printf(arena, "master/%s_total", name));
    if (total <= 0) {
        cli_field(cli, title, strcmp(name, "gpus") == 0 ? NULL : "none");
        return;
    }
    cli_fieldf(cli, title, "%s of %s used (%.0f%%)", text(arena, used), text(arena, total),
               100 * used / total);
}

static void put_summary(struct cli *cli, const Mesos__V1__Master__Response__GetMaster *master,
                        const struct metrics *metrics)
{
    static const char *const agents[][2] = {
        {"master/slaves_active", "active"},
        {"master/slaves_inactive", "inactive"},
        {"master/slaves_disconnected", "disconnected"},
        {"master/slaves_unreachable", "unreachable"},
    };
    static const char *const frameworks[][2] = {
        {"master/frameworks_active", "active"},
        {"master/frameworks_inactive", "inactive"},
        {"master/frameworks_disconnected", "disconnected"},
    };
    static const char *const tasks[][2] = {
        {"master/tasks_running", "running"},         {"master/tasks_staging", "staging"},
        {"master/tasks_starting", "starting"},       {"master/tasks_killing", "being killed"},
        {"master/tasks_unreachable", "unreachable"},
    };
    static const char *const ended[][2] = {
        {"master/tasks_finished", "finished"}, {"master/tasks_failed", "failed"},
        {"master/tasks_killed", "killed"},     {"master/tasks_error", "with an error"},
        {"master/tasks_lost", "lost"},         {"master/tasks_dropped", "dropped"},
        {"master/tasks_gone", "gone"},
    };
    const Mesos__V1__MasterInfo *info = master->master_info;
    if (info != NULL) {
        cli_fieldf(cli, "Leader", "%s:%u",
                   info->hostname != NULL ? info->hostname : cli->leader.host, info->port);
        cli_field(cli, "Version", info->version);
    }
    cli_field(cli, "Started",
              master->has_start_time ? cli_text_time(cli->arena, master->start_time) : NULL);
    cli_field(cli, "Elected",
              master->has_elected_time ? cli_text_time(cli->arena, master->elected_time) : NULL);
    put_counts(cli, metrics, "Agents", agents, ARRAY_COUNT(agents));
    put_counts(cli, metrics, "Frameworks", frameworks, ARRAY_COUNT(frameworks));
    put_counts(cli, metrics, "Tasks", tasks, ARRAY_COUNT(tasks));
    put_counts(cli, metrics, "Ended", ended, ARRAY_COUNT(ended));
    put_use(cli, metrics, "Cpus", "cpus", cli_text_amount);
    put_use(cli, metrics, "Memory", "mem", cli_text_megabytes);
    put_use(cli, metrics, "Disk", "disk", cli_text_megabytes);
    put_use(cli, metrics, "Gpus", "gpus", cli_text_amount);
    cli_fieldf(cli, "Offers", "%.0f out", metric(metrics, "master/outstanding_offers"));
}

int cli_state(struct cli *cli, struct error *err)
{
    if (cli->output == CLI_JSON) {
        return put_whole_state(cli, err);
    }
    Mesos__V1__Master__Response *master, *metrics;
    int r = cli_master_look(cli, MESOS__V1__MASTER__CALL__TYPE__GET_MASTER, &master, err);
    Mesos__V1__Master__Call__GetMetrics body = MESOS__V1__MASTER__CALL__GET_METRICS__INIT;
    Mesos__V1__Master__Call call = MESOS__V1__MASTER__CALL__INIT;
    call.has_type = true;
    call.type = MESOS__V1__MASTER__CALL__TYPE__GET_METRICS;
    call.get_metrics = &body;
    if (r == 0) {
        r = cli_master_call(cli, &call, &metrics, err);
    }
    if (r != 0) {
        return r;
    }
    if (master->get_master == NULL || metrics->get_metrics == NULL) {
        return error_set(err, CLI_ERROR_FAILED, "The master's answer lacks what was asked for");
    }
    struct metrics all = {metrics->get_metrics, cli->arena};
    put_summary(cli, master->get_master, &all);
    return 0;
}

// ---- one daemon ----

// The agent that --agent names; *ret_has_agent is false without it.
static int find_daemon(struct cli *cli, struct address *ret_agent, bool *ret_has_agent,
                       struct error *err)
{
    const char *name = cli_flag_value(cli, "agent");
    Mesos__V1__Master__Response__GetAgents__Agent *agent;
    *ret_has_agent = name != NULL;
    if (name == NULL) {
        return 0;
    }
    int r = cli_find_agent(cli, name, &agent, err);
    return r < 0 ? r : cli_agent_address(agent, ret_agent, err);
}

static int get_flags(struct cli *cli, Mesos__V1__Flag ***ret_flags, size_t *ret_count,
                     struct error *err)
{
    struct address agent;
    bool has_agent;
    int r = find_daemon(cli, &agent, &has_agent, err);
    if (r == 0 && has_agent) {
        Mesos__V1__Agent__Call call = MESOS__V1__AGENT__CALL__INIT;
        Mesos__V1__Agent__Response *response;
        call.has_type = true;
        call.type = MESOS__V1__AGENT__CALL__TYPE__GET_FLAGS;
        r = cli_agent_call(cli, &agent, &call, &response, err);
        if (r == 0 && response->get_flags != NULL) {
            *ret_flags = response->get_flags->flags;
            *ret_count = response->get_flags->n_flags;
        }
    } else if (r == 0) {
        Mesos__V1__Master__Response *response;
        r = cli_master_look(cli, MESOS__V1__MASTER__CALL__TYPE__GET_FLAGS, &response, err);
        if (r == 0 && response->get_flags != NULL) {
            *ret_flags = response->get_flags->flags;
            *ret_count = response->get_flags->n_flags;
        }
    }
    return r;
}

int cli_flags(struct cli *cli, struct error *err)
{
    static const struct cli_column columns[] = {{"FLAG", CLI_COLUMN_TEXT},
                                                {"VALUE", CLI_COLUMN_TEXT}};
    Mesos__V1__Flag **flags = NULL;
    size_t count = 0;
    int r = get_flags(cli, &flags, &count, err);
    if (r != 0) {
        return r;
    }
    if (cli->output == CLI_TABLE) {
        struct cli_table *table = cli_table_new(cli, columns, ARRAY_COUNT(columns));
        for (size_t i = 0; i < count; i++) {
            cli_table_add(table, flags[i]->name);
            cli_table_add(table, flags[i]->value);
        }
        cli_table_print(table);
        return 0;
    }
    AUTO_BUF struct buf out = BUF_INIT;
    struct json_writer w;
    json_begin(&w, &out);
    json_object_open(&w);
    for (size_t i = 0; i < count; i++) {
        json_key_string(&w, flags[i]->name, flags[i]->value);
    }
    json_object_close(&w);
    buf_putc(&out, '\n');
    cli_write(out.data, out.size);
    return 0;
}

// ---- log level ----

static int get_level(struct cli *cli, const struct address *agent, uint32_t *ret_level,
                     struct error *err)
{
    if (agent != NULL) {
        Mesos__V1__Agent__Call call = MESOS__V1__AGENT__CALL__INIT;
        Mesos__V1__Agent__Response *response;
        call.has_type = true;
        call.type = MESOS__V1__AGENT__CALL__TYPE__GET_LOGGING_LEVEL;
        int r = cli_agent_call(cli, agent, &call, &response, err);
        *ret_level =
            r == 0 && response->get_logging_level != NULL ? response->get_logging_level->level : 0;
        return r;
    }
    Mesos__V1__Master__Response *response;
    int r = cli_master_look(cli, MESOS__V1__MASTER__CALL__TYPE__GET_LOGGING_LEVEL, &response, err);
    *ret_level =
        r == 0 && response->get_logging_level != NULL ? response->get_logging_level->level : 0;
    return r;
}

static int set_level(struct cli *cli, const struct address *agent, uint32_t level, int64_t ns,
                     struct error *err)
{
    Mesos__V1__DurationInfo duration = MESOS__V1__DURATION_INFO__INIT;
    duration.nanoseconds = ns;
    if (agent != NULL) {
        Mesos__V1__Agent__Call__SetLoggingLevel body =
            MESOS__V1__AGENT__CALL__SET_LOGGING_LEVEL__INIT;
        Mesos__V1__Agent__Call call = MESOS__V1__AGENT__CALL__INIT;
        body.level = level;
        body.duration = &duration;
        call.has_type = true;
        call.type = MESOS__V1__AGENT__CALL__TYPE__SET_LOGGING_LEVEL;
        call.set_logging_level = &body;
        return cli_agent_call(cli, agent, &call, NULL, err);
    }
    Mesos__V1__Master__Call__SetLoggingLevel body =
        MESOS__V1__MASTER__CALL__SET_LOGGING_LEVEL__INIT;
    Mesos__V1__Master__Call call = MESOS__V1__MASTER__CALL__INIT;
    body.level = level;
    body.duration = &duration;
    call.has_type = true;
    call.type = MESOS__V1__MASTER__CALL__TYPE__SET_LOGGING_LEVEL;
    call.set_logging_level = &body;
    return cli_master_call(cli, &call, NULL, err);
}

int cli_log_level(struct cli *cli, struct error *err)
{
    const char *duration = cli_flag_value(cli, "duration");
    const char *word = cli->words[0];
    struct address at;
    bool has_agent;
    uint64_t level = 0;
    uint32_t level_now = 0;
    int64_t ns = LEVEL_DURATION_NS;
    if (word != NULL && (text_parse_u64(word, &level, NULL) < 0 || level > INT32_MAX)) {
        return error_set(err, CLI_ERROR_USAGE, "LEVEL must be a number from 0 up, not '%s'", word);
    }
    if (duration != NULL && word == NULL) {
        return error_set(err, CLI_ERROR_USAGE, "--duration wants a LEVEL");
    }
    int r = duration != NULL ? cli_read_duration("duration", duration, &ns, err) : 0;
    if (r == 0) {
        r = find_daemon(cli, &at, &has_agent, err);
    }
    if (r == 0 && word != NULL) {
        r = set_level(cli, has_agent ? &at : NULL, (uint32_t)level, ns, err);
    }
    if (r == 0) {
        r = get_level(cli, has_agent ? &at : NULL, &level_now, err);
    }
    if (r != 0) {
        return r;
    }
    const char *text = cli->output == CLI_JSON
                           ? arena_printf(cli->arena, "{\"level\":%u}\n", level_now)
                           : arena_printf(cli->arena, "%u\n", level_now);
    cli_write(text, strlen(text));
    return 0;
}
