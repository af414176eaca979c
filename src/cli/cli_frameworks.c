// SPDX-License-Identifier: Apache-2.0
//
// mesos framework ..., mesos offer ...

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/cli_json.h"
#include "cli/cli_parts.h"

typedef Mesos__V1__Master__Response__GetFrameworks__Framework framework_message;

static const char *id_of(const framework_message *framework)
{
    const Mesos__V1__FrameworkInfo *info = framework->framework_info;
    return info->id != NULL ? info->id->value : "";
}

static const char *state_of(const framework_message *framework, bool is_completed)
{
    return is_completed            ? "completed"
           : framework->recovered  ? "recovering"
           : !framework->connected ? "disconnected"
           : framework->active     ? "active"
                                   : "inactive";
}

static const char *roles_of(struct arena *arena, const Mesos__V1__FrameworkInfo *info)
{
    AUTO_BUF struct buf out = BUF_INIT;
    for (size_t i = 0; i < info->n_roles; i++) {
        buf_printf(&out, "%s%s", i > 0 ? "," : "", info->roles[i]);
    }
    if (info->n_roles == 0) {
        buf_puts(&out, info->role != NULL ? info->role : "*");
    }
    return arena_strdup(arena, out.data);
}

// ---- list ----

struct counting {
    struct map counts;
    struct arena *arena;
};

static void count_task(void *ctx, enum cli_task_list list, const Mesos__V1__Task *task)
{
    struct counting *counting = ctx;
    if (list == CLI_TASKS_ACTIVE) {
        cli_count_add(&counting->counts, counting->arena, task->framework_id->value);
    }
}

static void add_framework(struct cli *cli, struct cli_table *table,
                          const framework_message *framework, bool is_completed,
                          const size_t *task_count)
{
    struct arena *arena = cli->arena;
    Mesos__V1__Resource **used = framework->allocated_resources;
    size_t count = framework->n_allocated_resources;
    cli_table_add(table, id_of(framework));
    cli_table_add(table, framework->framework_info->name);
    cli_table_add(table, roles_of(arena, framework->framework_info));
    cli_table_add(table, state_of(framework, is_completed));
    cli_table_addf(table, "%zu", task_count != NULL ? *task_count : 0);
    cli_table_add(table, cli_text_amount(arena, cli_scalar(used, count, "cpus")));
    cli_table_add(table, cli_text_megabytes(arena, cli_scalar(used, count, "mem")));
    cli_table_addf(table, "%zu", framework->n_offers);
    cli_table_add(table, cli_text_since(arena, cli_seconds(framework->registered_time)));
}

int cli_framework_list(struct cli *cli, struct error *err)
{
    static const struct cli_column columns[] = {
        {"ID", CLI_COLUMN_ID},       {"NAME", CLI_COLUMN_TEXT},     {"ROLES", CLI_COLUMN_TEXT},
        {"STATE", CLI_COLUMN_STATE}, {"TASKS", CLI_COLUMN_NUMBER},  {"CPUS", CLI_COLUMN_NUMBER},
        {"MEM", CLI_COLUMN_NUMBER},  {"OFFERS", CLI_COLUMN_NUMBER}, {"AGE", CLI_COLUMN_NUMBER},
    };
    Mesos__V1__Master__Response__GetFrameworks *all;
    int r = cli_master_frameworks(cli, &all, err);
    if (r != 0) {
        return r;
    }
    size_t count = all->n_frameworks + (cli_has_flag(cli, "all") ? all->n_completed_frameworks : 0);
    struct cli_list list;
    cli_list_open(&list, cli, columns, ARRAY_COUNT(columns));
    struct counting counting = {.arena = cli->arena};
    if (cli->output == CLI_TABLE && !cli->ids_only) {
        r = cli_master_walk_tasks(cli, count_task, &counting, err);
    }
    for (size_t i = 0; r == 0 && i < count; i++) {
        bool is_completed = i >= all->n_frameworks;
        const framework_message *framework =
            is_completed ? all->completed_frameworks[i - all->n_frameworks] : all->frameworks[i];
        const char *id = id_of(framework);
        if (cli_list_put(&list, id, &framework->base)) {
            add_framework(cli, list.table, framework, is_completed, map_get(&counting.counts, id));
        }
    }
    map_free(&counting.counts);
    if (r == 0) {
        cli_list_close(&list, "There are no frameworks.");
    }
    return r;
}

// ---- info ----

static const char *capabilities_of(struct arena *arena, const Mesos__V1__FrameworkInfo *info)
{
    AUTO_BUF struct buf out = BUF_INIT;
    for (size_t i = 0; i < info->n_capabilities; i++) {
        const char *name = wire_enum_name(&mesos__v1__framework_info__capability__type__descriptor,
                                          (int)info->capabilities[i]->type);
        buf_printf(&out, "%s%s", i > 0 ? ", " : "", name != NULL ? name : "?");
    }
    return arena_strdup(arena, out.data);
}

static void put_framework(struct cli *cli, const framework_message *framework, bool is_completed)
{
    struct arena *arena = cli->arena;
    const Mesos__V1__FrameworkInfo *info = framework->framework_info;
    cli_field(cli, "Id", id_of(framework));
    cli_field(cli, "Name", info->name);
    cli_field(cli, "State", state_of(framework, is_completed));
    cli_field(cli, "User", info->user);
    cli_field(cli, "Principal", info->principal);
    cli_field(cli, "Host", info->hostname);
    cli_field(cli, "Web page", info->webui_url);
    cli_field(cli, "Roles", roles_of(arena, info));
    cli_field(cli, "Capabilities", capabilities_of(arena, info));
    cli_field(cli, "Checkpoint", info->checkpoint ? "yes" : "no");
    if (info->failover_timeout > 0) {
        cli_field(cli, "Failover", cli_text_age(arena, info->failover_timeout));
    }
    cli_field(cli, "Registered", cli_text_time(arena, cli_seconds(framework->registered_time)));
    if (cli_seconds(framework->reregistered_time) > cli_seconds(framework->registered_time)) {
        cli_field(cli, "Reregistered",
                  cli_text_time(arena, cli_seconds(framework->reregistered_time)));
    }
    cli_field(cli, "Ended", cli_text_time(arena, cli_seconds(framework->unregistered_time)));
    cli_field(cli, "Allocated",
              cli_text_resources(arena, framework->allocated_resources,
                                 framework->n_allocated_resources));
    cli_field(
        cli, "Offered",
        cli_text_resources(arena, framework->offered_resources, framework->n_offered_resources));
    cli_fieldf(cli, "Offers", "%zu", framework->n_offers);
}

int cli_framework_info(struct cli *cli, struct error *err)
{
    framework_message *framework;
    bool is_completed;
    int r = cli_find_framework(cli, cli->words[0], &framework, &is_completed, err);
    if (r != 0) {
        return r;
    }
    if (cli->output == CLI_JSON) {
        cli_json_put(&framework->base);
        return 0;
    }
    put_framework(cli, framework, is_completed);
    return cli_task_table_of(cli, id_of(framework), NULL, err);
}

// ---- teardown ----

int cli_framework_teardown(struct cli *cli, struct error *err)
{
    framework_message *framework;
    bool is_completed;
    int r = cli_find_framework(cli, cli->words[0], &framework, &is_completed, err);
    if (r == 0 && is_completed) {
        r = error_set(err, CLI_ERROR_FAILED, "The framework %s has ended already",
                      id_of(framework));
    }
    if (r == 0) {
        r = cli_confirm(cli,
                        arena_printf(cli->arena, "Tear down framework %s (%s) and kill its tasks?",
                                     id_of(framework), framework->framework_info->name),
                        err);
    }
    if (r != 0) {
        return r;
    }
    Mesos__V1__Master__Call__Teardown body = MESOS__V1__MASTER__CALL__TEARDOWN__INIT;
    Mesos__V1__Master__Call call = MESOS__V1__MASTER__CALL__INIT;
    body.framework_id = framework->framework_info->id;
    call.has_type = true;
    call.type = MESOS__V1__MASTER__CALL__TYPE__TEARDOWN;
    call.teardown = &body;
    r = cli_master_call(cli, &call, NULL, err);
    if (r == 0 && cli->output == CLI_JSON) {
        cli_json_put_done("framework_id", id_of(framework), "teardown");
    } else if (r == 0) {
        cli_say(cli, "Framework %s is torn down", id_of(framework));
    }
    return r;
}

// ---- why ----

static const char *put_free(struct arena *arena, const struct cli_json *group)
{
    AUTO_BUF struct buf out = BUF_INIT;
    for (const struct cli_json *at = cli_json_get(group, "free")->first; at != NULL;
         at = at->next) {
        double value = 0;
        if (at->text != NULL) {
            text_parse_double(at->text, &value, NULL);
        }
        buf_printf(&out, "%s%s %s", out.size > 0 ? ", " : "", cli_text_amount(arena, value),
                   at->key);
    }
    return arena_strdup(arena, out.size > 0 ? out.data : "nothing");
}

static void put_why_role(struct cli *cli, const struct cli_json *role)
{
    struct arena *arena = cli->arena;
    static const struct cli_column columns[] = {
        {"AGENTS", CLI_COLUMN_NUMBER}, {"FREE THERE", CLI_COLUMN_TEXT}, {"WHY NOT OFFERED", 0}};
    cli_heading(cli, arena_printf(arena, "Role %s", cli_clean(arena, cli_json_text(role, "role"))));
    cli_field(cli, "Standing", cli_json_text(role, "text"));
    cli_fieldf(cli, "Share", "%.2f%% of the cluster; its role %.2f%%",
               100 * cli_json_number(role, "share"), 100 * cli_json_number(role, "role_share"));
    if (cli_json_number(role, "filters") > 0) {
        cli_fieldf(cli, "Filters", "%s", cli_json_text(role, "filters"));
    }
    struct cli_table *table = cli_table_new(cli, columns, ARRAY_COUNT(columns));
    for (const struct cli_json *group = cli_json_get(role, "not_offered")->first; group != NULL;
         group = group->next) {
        cli_table_add(table, cli_json_text(group, "agents"));
        cli_table_add(table, put_free(arena, group));
        cli_table_add(table, cli_json_text(group, "text"));
    }
    if (cli_json_get(role, "not_offered")->count > 0) {
        // Sentences are read whole: they may wrap.
        unsigned width = cli->width;
        cli->width = 0;
        cli_table_print(table);
        cli->width = width;
    }
}

static void put_why_offers(struct cli *cli, const struct cli_json *offers)
{
    static const struct cli_column columns[] = {{"AGO", CLI_COLUMN_NUMBER},
                                                {"ROLE", CLI_COLUMN_TEXT},
                                                {"AGENT", CLI_COLUMN_ID},
                                                {"HOST", CLI_COLUMN_TEXT},
                                                {"RESOURCES", CLI_COLUMN_TEXT}};
    const struct cli_json *latest = cli_json_get(offers, "latest");
    if (latest->count == 0) {
        return;
    }
    cli_heading(cli, "Latest offers");
    struct cli_table *table = cli_table_new(cli, columns, ARRAY_COUNT(columns));
    for (const struct cli_json *offer = latest->first; offer != NULL; offer = offer->next) {
        cli_table_add(table, cli_text_since(cli->arena, cli_json_number(offer, "time")));
        cli_table_add(table, cli_json_text(offer, "role"));
        cli_table_add(table, cli_json_text(offer, "agent_id"));
        cli_table_add(table, cli_json_text(offer, "hostname"));
        cli_table_add(table, cli_json_text(offer, "resources"));
    }
    cli_table_print(table);
}

int cli_framework_why(struct cli *cli, struct error *err)
{
    framework_message *framework;
    bool is_completed;
    int r = cli_find_framework(cli, cli->words[0], &framework, &is_completed, err);
    if (r == 0 && is_completed) {
        r = error_set(err, CLI_ERROR_FAILED, "The framework %s has ended: it gets no offers",
                      id_of(framework));
    }
    if (r != 0) {
        return r;
    }
    AUTO_BUF struct buf target = BUF_INIT;
    buf_puts(&target, "/master/allocator?framework=");
    text_percent_encode(&target, id_of(framework));
    struct cli_answer answer;
    r = cli_master_get(cli, target.data, &answer, err);
    if (r != 0) {
        return r;
    }
    if (cli->output == CLI_JSON) {
        cli_write(answer.body, answer.size);
        cli_write("\n", 1);
        return 0;
    }
    struct cli_json *json;
    r = cli_json_read(cli->arena, answer.body, answer.size, &json, err);
    if (r < 0) {
        return cli_wrap(err, CLI_ERROR_FAILED, "The master's answer cannot be read");
    }
    const struct cli_json *offers = cli_json_get(json, "offers");
    cli_field(cli, "Framework", id_of(framework));
    cli_field(cli, "Name", framework->framework_info->name);
    cli_field(cli, "State", state_of(framework, false));
    cli_fieldf(cli, "Offers", "%s out, %s made, %s accepted, %s declined, %s rescinded",
               cli_json_text(offers, "outstanding"), cli_json_text(offers, "made"),
               cli_json_text(offers, "accepted"), cli_json_text(offers, "declined"),
               cli_json_text(offers, "rescinded"));
    for (const struct cli_json *role = cli_json_get(json, "roles")->first; role != NULL;
         role = role->next) {
        put_why_role(cli, role);
    }
    put_why_offers(cli, offers);
    return 0;
}

// ---- offers ----

static void add_offer(struct cli *cli, struct cli_table *table, const Mesos__V1__Offer *offer)
{
    const char *role = offer->allocation_info != NULL ? offer->allocation_info->role : NULL;
    cli_table_add(table, offer->id->value);
    cli_table_add(table, offer->framework_id->value);
    cli_table_add(table, offer->hostname);
    cli_table_add(table, role);
    cli_table_add(table, cli_text_resources(cli->arena, offer->resources, offer->n_resources));
}

static void add_inverse(struct cli *cli, struct cli_table *table,
                        const Mesos__V1__InverseOffer *offer)
{
    cli_table_add(table, offer->id->value);
    cli_table_add(table, offer->framework_id->value);
    cli_table_add(table, offer->agent_id != NULL ? offer->agent_id->value : NULL);
    cli_table_add(table, "-");
    cli_table_addf(table, "inverse: %s",
                   cli_text_resources(cli->arena, offer->resources, offer->n_resources));
}

static void put_offers(struct cli_list *list, const framework_message *framework)
{
    for (size_t i = 0; i < framework->n_offers; i++) {
        const Mesos__V1__Offer *offer = framework->offers[i];
        if (cli_list_put(list, offer->id->value, &offer->base)) {
            add_offer(list->cli, list->table, offer);
        }
    }
    for (size_t i = 0; i < framework->n_inverse_offers; i++) {
        const Mesos__V1__InverseOffer *inverse = framework->inverse_offers[i];
        if (cli_list_put(list, inverse->id->value, &inverse->base)) {
            add_inverse(list->cli, list->table, inverse);
        }
    }
}

int cli_offer_list(struct cli *cli, struct error *err)
{
    static const struct cli_column columns[] = {{"ID", CLI_COLUMN_ID},
                                                {"FRAMEWORK", CLI_COLUMN_ID},
                                                {"HOST", CLI_COLUMN_TEXT},
                                                {"ROLE", CLI_COLUMN_TEXT},
                                                {"RESOURCES", CLI_COLUMN_TEXT}};
    Mesos__V1__Master__Response__GetFrameworks *all;
    int r = cli_master_frameworks(cli, &all, err);
    if (r != 0) {
        return r;
    }
    struct cli_list list;
    cli_list_open(&list, cli, columns, ARRAY_COUNT(columns));
    for (size_t i = 0; i < all->n_frameworks; i++) {
        put_offers(&list, all->frameworks[i]);
    }
    cli_list_close(&list, "There are no offers.");
    return 0;
}
