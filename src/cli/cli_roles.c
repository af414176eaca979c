// SPDX-License-Identifier: Apache-2.0
//
// mesos role, quota, weight.

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/cli_parts.h"
#include "model/resources.h"

typedef Mesos__V1__Quota__QuotaConfig quota_message;

static int done(struct cli *cli, const char *role, const char *verb, const char *text)
{
    if (cli->output == CLI_JSON) {
        cli_json_put_done("role", role, verb);
    } else {
        cli_say(cli, "%s of role %s", text, role);
    }
    return 0;
}

// ---- quotas ----

static int get_quotas(struct cli *cli, Mesos__V1__Quota__QuotaStatus **ret, struct error *err)
{
    Mesos__V1__Master__Response *response;
    int r = cli_master_look(cli, MESOS__V1__MASTER__CALL__TYPE__GET_QUOTA, &response, err);
    if (r == 0 && response->get_quota == NULL) {
        return error_set(err, CLI_ERROR_FAILED, "The master's answer holds no quotas");
    }
    if (r == 0) {
        *ret = response->get_quota->status;
    }
    return r;
}

static void put_amount(struct arena *arena, const char *name, double value, struct buf *out)
{
    bool is_size = strcmp(name, "mem") == 0 || strcmp(name, "disk") == 0;
    buf_printf(out, "%s%s:%s", out->size > 0 ? " " : "", name,
               is_size ? cli_text_megabytes(arena, value) : cli_text_amount(arena, value));
}

static const char *guarantees_of(struct arena *arena, const quota_message *config)
{
    AUTO_BUF struct buf out = BUF_INIT;
    for (size_t i = 0; config != NULL && i < config->n_guarantees; i++) {
        put_amount(arena, config->guarantees[i]->key, config->guarantees[i]->value->value, &out);
    }
    return arena_strdup(arena, out.data);
}

static const char *limits_of(struct arena *arena, const quota_message *config)
{
    AUTO_BUF struct buf out = BUF_INIT;
    for (size_t i = 0; config != NULL && i < config->n_limits; i++) {
        put_amount(arena, config->limits[i]->key, config->limits[i]->value->value, &out);
    }
    return arena_strdup(arena, out.data);
}

int cli_quota_list(struct cli *cli, struct error *err)
{
    static const struct cli_column columns[] = {
        {"ROLE", CLI_COLUMN_TEXT}, {"GUARANTEE", CLI_COLUMN_TEXT}, {"LIMIT", CLI_COLUMN_TEXT}};
    Mesos__V1__Quota__QuotaStatus *status = NULL;
    int r = get_quotas(cli, &status, err);
    if (r != 0) {
        return r;
    }
    struct cli_list list;
    cli_list_open(&list, cli, columns, ARRAY_COUNT(columns));
    for (size_t i = 0; i < status->n_configs; i++) {
        const quota_message *config = status->configs[i];
        if (cli_list_put(&list, config->role, &config->base)) {
            cli_table_add(list.table, config->role);
            cli_table_add(list.table, guarantees_of(cli->arena, config));
            cli_table_add(list.table, limits_of(cli->arena, config));
        }
    }
    cli_list_close(&list, "There are no quotas.");
    return 0;
}

int cli_read_amounts(const char *flag, const char *text, struct arena *arena,
                     Mesos__V1__Resource ***ret_resources, size_t *ret_count, struct error *err)
{
    AUTO_RESOURCES struct resources *resources = NULL;
    int r = resources_parse(text, "*", &resources, err);
    if (r < 0) {
        return cli_wrap(err, CLI_ERROR_USAGE, "--%s", flag);
    }
    *ret_count = resources_to_proto(resources, arena, RESOURCES_OLD_FORM, false, ret_resources);
    for (size_t i = 0; i < *ret_count; i++) {
        if ((*ret_resources)[i]->scalar == NULL) {
            return error_set(err, CLI_ERROR_USAGE, "--%s: '%s' is no amount, such as cpus:4", flag,
                             (*ret_resources)[i]->name);
        }
    }
    return 0;
}

static int update_quota(struct cli *cli, quota_message *config, struct error *err)
{
    Mesos__V1__Master__Call__UpdateQuota body = MESOS__V1__MASTER__CALL__UPDATE_QUOTA__INIT;
    Mesos__V1__Master__Call call = MESOS__V1__MASTER__CALL__INIT;
    body.quota_configs = &config;
    body.n_quota_configs = 1;
    body.has_force = cli->command->run == cli_quota_set && cli_has_flag(cli, "force");
    body.force = body.has_force;
    call.has_type = true;
    call.type = MESOS__V1__MASTER__CALL__TYPE__UPDATE_QUOTA;
    call.update_quota = &body;
    return cli_master_call(cli, &call, NULL, err);
}

int cli_quota_set(struct cli *cli, struct error *err)
{
    const char *guarantee = cli_flag_value(cli, "guarantee");
    const char *limit = cli_flag_value(cli, "limit");
    struct arena *arena = cli->arena;
    Mesos__V1__Resource **amounts;
    size_t count;
    quota_message config = MESOS__V1__QUOTA__QUOTA_CONFIG__INIT;
    config.role = cli->words[0];
    if (guarantee == NULL && limit == NULL) {
        return error_set(err, CLI_ERROR_USAGE, "Neither --guarantee nor --limit is given");
    }
    if (guarantee != NULL) {
        int r = cli_read_amounts("guarantee", guarantee, arena, &amounts, &count, err);
        if (r != 0) {
            return r;
        }
        config.guarantees = arena_calloc(arena, count + 1, sizeof(config.guarantees[0]));
        for (; config.n_guarantees < count; config.n_guarantees++) {
            config.guarantees[config.n_guarantees] =
                WIRE_NEW(arena, Mesos__V1__Quota__QuotaConfig__GuaranteesEntry,
                         mesos__v1__quota__quota_config__guarantees_entry);
            config.guarantees[config.n_guarantees]->key = amounts[config.n_guarantees]->name;
            config.guarantees[config.n_guarantees]->value = amounts[config.n_guarantees]->scalar;
        }
    }
    if (limit != NULL) {
        int r = cli_read_amounts("limit", limit, arena, &amounts, &count, err);
        if (r != 0) {
            return r;
        }
        config.limits = arena_calloc(arena, count + 1, sizeof(config.limits[0]));
        for (; config.n_limits < count; config.n_limits++) {
            config.limits[config.n_limits] =
                WIRE_NEW(arena, Mesos__V1__Quota__QuotaConfig__LimitsEntry,
                         mesos__v1__quota__quota_config__limits_entry);
            config.limits[config.n_limits]->key = amounts[config.n_limits]->name;
            config.limits[config.n_limits]->value = amounts[config.n_limits]->scalar;
        }
    }
    int r = update_quota(cli, &config, err);
    return r != 0 ? r : done(cli, config.role, "quota-set", "Set the quota");
}

int cli_quota_remove(struct cli *cli, struct error *err)
{
    Mesos__V1__Quota__QuotaStatus *status = NULL;
    quota_message config = MESOS__V1__QUOTA__QUOTA_CONFIG__INIT;
    config.role = cli->words[0];
    int r = get_quotas(cli, &status, err);
    if (r != 0) {
        return r;
    }
    size_t i = 0;
    while (i < status->n_configs && strcmp(status->configs[i]->role, config.role) != 0) {
        i++;
    }
    if (i == status->n_configs) {
        return error_set(err, CLI_ERROR_NOT_FOUND, "The role '%s' has no quota", config.role);
    }
    r = update_quota(cli, &config, err);
    return r != 0 ? r : done(cli, config.role, "quota-remove", "Removed the quota");
}

// ---- weights ----

int cli_weight_list(struct cli *cli, struct error *err)
{
    static const struct cli_column columns[] = {{"ROLE", CLI_COLUMN_TEXT},
                                                {"WEIGHT", CLI_COLUMN_NUMBER}};
    Mesos__V1__Master__Response *response;
    int r = cli_master_look(cli, MESOS__V1__MASTER__CALL__TYPE__GET_WEIGHTS, &response, err);
    if (r != 0) {
        return r;
    }
    const Mesos__V1__Master__Response__GetWeights *weights = response->get_weights;
    struct cli_list list;
    cli_list_open(&list, cli, columns, ARRAY_COUNT(columns));
    for (size_t i = 0; weights != NULL && i < weights->n_weight_infos; i++) {
        const Mesos__V1__WeightInfo *weight = weights->weight_infos[i];
        if (cli_list_put(&list, weight->role != NULL ? weight->role : "*", &weight->base)) {
            cli_table_add(list.table, weight->role);
            cli_table_add(list.table, cli_text_amount(cli->arena, weight->weight));
        }
    }
    cli_list_close(&list, "No weight was set: every role weighs 1.");
    return 0;
}

int cli_weight_set(struct cli *cli, struct error *err)
{
    Mesos__V1__WeightInfo weight = MESOS__V1__WEIGHT_INFO__INIT;
    Mesos__V1__WeightInfo *weights = &weight;
    Mesos__V1__Master__Call__UpdateWeights body = MESOS__V1__MASTER__CALL__UPDATE_WEIGHTS__INIT;
    Mesos__V1__Master__Call call = MESOS__V1__MASTER__CALL__INIT;
    weight.role = cli->words[0];
    if (text_parse_double(cli->words[1], &weight.weight, NULL) < 0 || !(weight.weight > 0)) {
        return error_set(err, CLI_ERROR_USAGE, "WEIGHT must be a number above 0, not '%s'",
                         cli->words[1]);
    }
    body.weight_infos = &weights;
    body.n_weight_infos = 1;
    call.has_type = true;
    call.type = MESOS__V1__MASTER__CALL__TYPE__UPDATE_WEIGHTS;
    call.update_weights = &body;
    int r = cli_master_call(cli, &call, NULL, err);
    return r != 0 ? r : done(cli, weight.role, "weight-set", "Set the weight");
}

// ---- roles ----

static const quota_message *quota_of(const Mesos__V1__Quota__QuotaStatus *status, const char *role)
{
    for (size_t i = 0; i < status->n_configs; i++) {
        if (strcmp(status->configs[i]->role, role) == 0) {
            return status->configs[i];
        }
    }
    return NULL;
}

static void add_role(struct cli *cli, struct cli_table *table, const Mesos__V1__Role *role,
                     const Mesos__V1__Quota__QuotaStatus *quotas)
{
    struct arena *arena = cli->arena;
    const quota_message *quota = quota_of(quotas, role->name);
    cli_table_add(table, role->name);
    cli_table_add(table, cli_text_amount(arena, role->weight));
    cli_table_addf(table, "%zu", role->n_frameworks);
    cli_table_add(table,
                  cli_text_amount(arena, cli_scalar(role->resources, role->n_resources, "cpus")));
    cli_table_add(table,
                  cli_text_megabytes(arena, cli_scalar(role->resources, role->n_resources, "mem")));
    cli_table_add(table, guarantees_of(arena, quota));
    cli_table_add(table, limits_of(arena, quota));
}

int cli_role_list(struct cli *cli, struct error *err)
{
    static const struct cli_column columns[] = {
        {"ROLE", CLI_COLUMN_TEXT},         {"WEIGHT", CLI_COLUMN_NUMBER},
        {"FRAMEWORKS", CLI_COLUMN_NUMBER}, {"CPUS", CLI_COLUMN_NUMBER},
        {"MEM", CLI_COLUMN_NUMBER},        {"GUARANTEE", CLI_COLUMN_TEXT},
        {"LIMIT", CLI_COLUMN_TEXT}};
    Mesos__V1__Master__Response *response;
    Mesos__V1__Quota__QuotaStatus *quotas = NULL;
    int r = cli_master_look(cli, MESOS__V1__MASTER__CALL__TYPE__GET_ROLES, &response, err);
    if (r == 0) {
        r = get_quotas(cli, &quotas, err);
    }
    if (r != 0) {
        return r;
    }
    const Mesos__V1__Master__Response__GetRoles *roles = response->get_roles;
    struct cli_list list;
    cli_list_open(&list, cli, columns, ARRAY_COUNT(columns));
    for (size_t i = 0; roles != NULL && i < roles->n_roles; i++) {
        const Mesos__V1__Role *role = roles->roles[i];
        if (cli_list_put(&list, role->name, &role->base)) {
            add_role(cli, list.table, role, quotas);
        }
    }
    cli_list_close(&list, "There are no roles.");
    return 0;
}
