// SPDX-License-Identifier: Apache-2.0
//
// mesos maintenance ...

#include <errno.h>
#include <math.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/mem.h"
#include "base/text.h"
#include "base/timer.h"
#include "cli/cli.h"

typedef Mesos__V1__Maintenance__Schedule schedule_message;
typedef Mesos__V1__Maintenance__Window window_message;

struct machines {
    Mesos__V1__MachineID **items;
    size_t count;
};

static bool is_same(const Mesos__V1__MachineID *a, const Mesos__V1__MachineID *b)
{
    return text_is_equal_nocase(a->hostname != NULL ? a->hostname : "",
                                b->hostname != NULL ? b->hostname : "") &&
           text_is_equal(a->ip != NULL ? a->ip : "", b->ip != NULL ? b->ip : "");
}

static bool holds(const struct machines *machines, const Mesos__V1__MachineID *machine)
{
    for (size_t i = 0; i < machines->count; i++) {
        if (is_same(machines->items[i], machine)) {
            return true;
        }
    }
    return false;
}

static const char *name_of(struct arena *arena, const Mesos__V1__MachineID *machine)
{
    const char *host = machine->hostname != NULL ? machine->hostname : "";
    const char *ip = machine->ip != NULL ? machine->ip : "";
    return arena_printf(arena, "%s%s%s", host, host[0] != '\0' && ip[0] != '\0' ? "/" : "", ip);
}

static int get_schedule(struct cli *cli, schedule_message **ret, struct error *err)
{
    Mesos__V1__Master__Response *response;
    int r = cli_master_look(cli, MESOS__V1__MASTER__CALL__TYPE__GET_MAINTENANCE_SCHEDULE, &response,
                            err);
    if (r == 0 && response->get_maintenance_schedule == NULL) {
        return error_set(err, CLI_ERROR_FAILED, "The master's answer holds no schedule");
    }
    if (r == 0) {
        *ret = response->get_maintenance_schedule->schedule;
    }
    return r;
}

static int get_status(struct cli *cli, Mesos__V1__Maintenance__ClusterStatus **ret,
                      struct error *err)
{
    Mesos__V1__Master__Response *response;
    int r =
        cli_master_look(cli, MESOS__V1__MASTER__CALL__TYPE__GET_MAINTENANCE_STATUS, &response, err);
    if (r == 0 && response->get_maintenance_status == NULL) {
        return error_set(err, CLI_ERROR_FAILED, "The master's answer holds no status");
    }
    if (r == 0) {
        *ret = response->get_maintenance_status->status;
    }
    return r;
}

// ---- showing ----

static const char *answers_of(struct arena *arena,
                              const Mesos__V1__Maintenance__ClusterStatus__DrainingMachine *machine)
{
    size_t accepted = 0, declined = 0;
    for (size_t i = 0; machine != NULL && i < machine->n_statuses; i++) {
        Mesos__V1__Allocator__InverseOfferStatus__Status status = machine->statuses[i]->status;
        accepted += status == MESOS__V1__ALLOCATOR__INVERSE_OFFER_STATUS__STATUS__ACCEPT;
        declined += status == MESOS__V1__ALLOCATOR__INVERSE_OFFER_STATUS__STATUS__DECLINE;
    }
    return accepted + declined == 0
               ? "-"
               : arena_printf(arena, "%zu accept, %zu decline", accepted, declined);
}

static const char *mode_of(const Mesos__V1__Maintenance__ClusterStatus *status,
                           const Mesos__V1__MachineID *machine,
                           const Mesos__V1__Maintenance__ClusterStatus__DrainingMachine **ret)
{
    *ret = NULL;
    for (size_t i = 0; i < status->n_down_machines; i++) {
        if (is_same(status->down_machines[i], machine)) {
            return "down";
        }
    }
    for (size_t i = 0; i < status->n_draining_machines; i++) {
        if (is_same(status->draining_machines[i]->id, machine)) {
            *ret = status->draining_machines[i];
            return "draining";
        }
    }
    return "up";
}

static void add_machine(struct cli *cli, struct cli_table *table, const window_message *window,
                        const Mesos__V1__MachineID *machine,
                        const Mesos__V1__Maintenance__ClusterStatus *status)
{
    struct arena *arena = cli->arena;
    const Mesos__V1__Maintenance__ClusterStatus__DrainingMachine *draining;
    const char *mode = mode_of(status, machine, &draining);
    const Mesos__V1__DurationInfo *duration = window->unavailability->duration;
    cli_table_add(table, name_of(arena, machine));
    cli_table_add(table, mode);
    cli_table_add(table, cli_text_time(arena, cli_seconds(window->unavailability->start)));
    cli_table_add(table, duration != NULL ? cli_text_age(arena, (double)duration->nanoseconds / 1e9)
                                          : "without end");
    cli_table_add(table, answers_of(arena, draining));
}

static void put_ids(struct cli *cli, const schedule_message *schedule)
{
    for (size_t i = 0; i < schedule->n_windows; i++) {
        for (size_t j = 0; j < schedule->windows[i]->n_machine_ids; j++) {
            const char *name = name_of(cli->arena, schedule->windows[i]->machine_ids[j]);
            cli_write(name, strlen(name));
            cli_write("\n", 1);
        }
    }
}

static int show(struct cli *cli,
                const ProtobufCMessage *(*pick)(const schedule_message *schedule,
                                                const void *status),
                struct error *err)
{
    static const struct cli_column columns[] = {{"MACHINE", CLI_COLUMN_TEXT},
                                                {"MODE", CLI_COLUMN_STATE},
                                                {"START", CLI_COLUMN_TEXT},
                                                {"FOR", CLI_COLUMN_NUMBER},
                                                {"ANSWERS", CLI_COLUMN_TEXT}};
    schedule_message *schedule = NULL;
    Mesos__V1__Maintenance__ClusterStatus *status = NULL;
    int r = get_schedule(cli, &schedule, err);
    if (r == 0) {
        r = get_status(cli, &status, err);
    }
    if (r != 0) {
        return r;
    }
    if (cli->output == CLI_JSON) {
        cli_json_put(pick(schedule, status));
        return 0;
    }
    if (cli->ids_only) {
        put_ids(cli, schedule);
        return 0;
    }
    struct cli_table *table = cli_table_new(cli, columns, ARRAY_COUNT(columns));
    for (size_t i = 0; i < schedule->n_windows; i++) {
        const window_message *window = schedule->windows[i];
        for (size_t j = 0; j < window->n_machine_ids; j++) {
            add_machine(cli, table, window, window->machine_ids[j], status);
        }
    }
    cli_table_print_or(table, "No maintenance is scheduled.");
    return 0;
}

static const ProtobufCMessage *pick_status(const schedule_message *schedule, const void *status)
{
    (void)schedule;
    return &((const Mesos__V1__Maintenance__ClusterStatus *)status)->base;
}

static const ProtobufCMessage *pick_schedule(const schedule_message *schedule, const void *status)
{
    (void)status;
    return &schedule->base;
}

int cli_maintenance_status(struct cli *cli, struct error *err)
{
    return show(cli, pick_status, err);
}

// ---- which machines ----

// HOSTNAME/IP as it is written; else a machine of the schedule; else an agent's.
static int read_machine(struct cli *cli, const char *text, const schedule_message *schedule,
                        Mesos__V1__MachineID *ret, struct error *err)
{
    struct arena *arena = cli->arena;
    const char *slash = strchr(text, '/');
    if (slash != NULL) {
        ret->hostname = slash > text ? arena_strndup(arena, text, (size_t)(slash - text)) : NULL;
        ret->ip = slash[1] != '\0' ? arena_strdup(arena, slash + 1) : NULL;
        return ret->hostname != NULL || ret->ip != NULL
                   ? 0
                   : error_set(err, CLI_ERROR_USAGE, "'%s' names no machine", text);
    }
    struct cli_match match = {.wanted = text, .what = "machine"};
    for (size_t i = 0; i < schedule->n_windows; i++) {
        for (size_t j = 0; j < schedule->windows[i]->n_machine_ids; j++) {
            Mesos__V1__MachineID *machine = schedule->windows[i]->machine_ids[j];
            bool fits =
                text_is_equal_nocase(machine->hostname, text) || text_is_equal(machine->ip, text);
            cli_match_offer(&match, arena, fits, name_of(arena, machine), machine);
        }
    }
    if (match.count > 0) {
        int r = cli_match_end(&match, err);
        if (r == 0) {
            *ret = *(Mesos__V1__MachineID *)match.value;
        }
        return r;
    }
    Mesos__V1__Master__Response__GetAgents__Agent *agent;
    struct address address;
    int r = cli_find_agent(cli, text, &agent, err);
    if (r == 0) {
        r = cli_agent_address(agent, &address, err);
    }
    if (r == 0) {
        ret->hostname = agent->agent_info->hostname;
        ret->ip = arena_strdup(arena, address.host);
    }
    return r;
}

static int read_machines(struct cli *cli, const schedule_message *schedule,
                         struct machines *ret_machines, struct error *err)
{
    struct machines machines = {
        arena_calloc(cli->arena, cli->word_count + 1, sizeof(machines.items[0])), 0};
    for (size_t i = 0; i < cli->word_count; i++) {
        Mesos__V1__MachineID *machine =
            WIRE_NEW(cli->arena, Mesos__V1__MachineID, mesos__v1__machine_id);
        int r = read_machine(cli, cli->words[i], schedule, machine, err);
        if (r != 0) {
            return r;
        }
        if (!holds(&machines, machine)) {
            machines.items[machines.count++] = machine;
        }
    }
    *ret_machines = machines;
    return 0;
}

static void tell(struct cli *cli, const struct machines *machines, const char *verb,
                 const char *text)
{
    for (size_t i = 0; i < machines->count; i++) {
        const char *name = name_of(cli->arena, machines->items[i]);
        if (cli->output == CLI_JSON) {
            cli_json_put_done("machine", name, verb);
        } else {
            cli_say(cli, "Machine %s %s", name, text);
        }
    }
}

// ---- schedule ----

// "now", "2hrs" from now, or a local time.
static int read_start(const char *text, int64_t *ret_ns, struct error *err)
{
    int64_t from_now = 0;
    double now = cli_now();
    struct tm tm = {.tm_isdst = -1};
    if (text == NULL || strcmp(text, "now") == 0 ||
        (text_parse_duration(text, &from_now, NULL) == 0 && from_now >= 0)) {
        *ret_ns = (int64_t)(now * 1e9) + from_now;
        return 0;
    }
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    time_t when = end != NULL && *end == '\0' ? mktime(&tm) : (time_t)-1;
    if (when == (time_t)-1) {
        return error_set(err, CLI_ERROR_USAGE,
                         "--start: '%s' is neither now, nor a duration such as 2hrs, nor a time "
                         "such as 2026-12-01T08:00:00",
                         text);
    }
    *ret_ns = (int64_t)when * NS_PER_S;
    return 0;
}

// The schedule without these machines. Windows that had no others go.
static void take_out(struct arena *arena, schedule_message *schedule,
                     const struct machines *machines)
{
    size_t kept = 0;
    for (size_t i = 0; i < schedule->n_windows; i++) {
        window_message *window = schedule->windows[i];
        size_t count = 0;
        for (size_t j = 0; j < window->n_machine_ids; j++) {
            if (!holds(machines, window->machine_ids[j])) {
                window->machine_ids[count++] = window->machine_ids[j];
            }
        }
        window->n_machine_ids = count;
        if (count > 0) {
            schedule->windows[kept++] = window;
        }
    }
    schedule->n_windows = kept;
    // One more has room.
    window_message **windows = arena_calloc(arena, kept + 1, sizeof(windows[0]));
    for (size_t i = 0; i < kept; i++) {
        windows[i] = schedule->windows[i];
    }
    schedule->windows = windows;
}

static int update_schedule(struct cli *cli, schedule_message *schedule, struct error *err)
{
    Mesos__V1__Master__Call__UpdateMaintenanceSchedule body =
        MESOS__V1__MASTER__CALL__UPDATE_MAINTENANCE_SCHEDULE__INIT;
    Mesos__V1__Master__Call call = MESOS__V1__MASTER__CALL__INIT;
    body.schedule = schedule;
    call.has_type = true;
    call.type = MESOS__V1__MASTER__CALL__TYPE__UPDATE_MAINTENANCE_SCHEDULE;
    call.update_maintenance_schedule = &body;
    return cli_master_call(cli, &call, NULL, err);
}

static int check_scheduled(struct cli *cli, const schedule_message *schedule,
                           const struct machines *machines, struct error *err)
{
    struct machines all = {NULL, 0};
    for (size_t m = 0; m < machines->count; m++) {
        bool is_there = false;
        for (size_t i = 0; i < schedule->n_windows; i++) {
            all.items = schedule->windows[i]->machine_ids;
            all.count = schedule->windows[i]->n_machine_ids;
            is_there = is_there || holds(&all, machines->items[m]);
        }
        if (!is_there) {
            return error_set(err, CLI_ERROR_NOT_FOUND, "The machine %s is not scheduled",
                             name_of(cli->arena, machines->items[m]));
        }
    }
    return 0;
}

static window_message *make_window(struct arena *arena, const struct machines *machines,
                                   int64_t start_ns, const int64_t *duration_ns)
{
    window_message *window =
        WIRE_NEW(arena, Mesos__V1__Maintenance__Window, mesos__v1__maintenance__window);
    window->machine_ids = machines->items;
    window->n_machine_ids = machines->count;
    window->unavailability = WIRE_NEW(arena, Mesos__V1__Unavailability, mesos__v1__unavailability);
    window->unavailability->start = WIRE_NEW(arena, Mesos__V1__TimeInfo, mesos__v1__time_info);
    window->unavailability->start->nanoseconds = start_ns;
    if (duration_ns != NULL) {
        window->unavailability->duration =
            WIRE_NEW(arena, Mesos__V1__DurationInfo, mesos__v1__duration_info);
        window->unavailability->duration->nanoseconds = *duration_ns;
    }
    return window;
}

int cli_maintenance_schedule(struct cli *cli, struct error *err)
{
    const char *start = cli_flag_value(cli, "start");
    const char *duration = cli_flag_value(cli, "duration");
    bool removes = cli_has_flag(cli, "remove");
    if (cli->word_count == 0) {
        return start != NULL || duration != NULL || removes
                   ? error_set(err, CLI_ERROR_USAGE, "No MACHINE is named")
                   : show(cli, pick_schedule, err);
    }
    if (removes && (start != NULL || duration != NULL)) {
        return error_set(err, CLI_ERROR_USAGE, "--remove takes no --start and no --duration");
    }
    int64_t start_ns = 0, duration_ns = 0;
    schedule_message *schedule = NULL;
    struct machines machines;
    int r = read_start(start, &start_ns, err);
    if (r == 0 && duration != NULL) {
        r = cli_read_duration("duration", duration, &duration_ns, err);
    }
    if (r == 0) {
        r = get_schedule(cli, &schedule, err);
    }
    if (r == 0) {
        r = read_machines(cli, schedule, &machines, err);
    }
    if (r == 0 && removes) {
        r = check_scheduled(cli, schedule, &machines, err);
    }
    if (r != 0) {
        return r;
    }
    take_out(cli->arena, schedule, &machines);
    if (!removes) {
        schedule->windows[schedule->n_windows++] =
            make_window(cli->arena, &machines, start_ns, duration != NULL ? &duration_ns : NULL);
    }
    r = update_schedule(cli, schedule, err);
    if (r == 0) {
        tell(cli, &machines, removes ? "unschedule" : "schedule",
             removes ? "is out of the schedule" : "is scheduled");
    }
    return r;
}

// ---- start, stop ----

int cli_maintenance_start(struct cli *cli, struct error *err)
{
    schedule_message *schedule = NULL;
    struct machines machines;
    int r = get_schedule(cli, &schedule, err);
    if (r == 0) {
        r = read_machines(cli, schedule, &machines, err);
    }
    if (r == 0) {
        r = check_scheduled(cli, schedule, &machines, err);
    }
    if (r == 0) {
        r = cli_confirm(cli,
                        arena_printf(cli->arena, "Take down %zu machine%s, with all tasks there?",
                                     machines.count, machines.count == 1 ? "" : "s"),
                        err);
    }
    if (r != 0) {
        return r;
    }
    Mesos__V1__Master__Call__StartMaintenance body =
        MESOS__V1__MASTER__CALL__START_MAINTENANCE__INIT;
    Mesos__V1__Master__Call call = MESOS__V1__MASTER__CALL__INIT;
    body.machines = machines.items;
    body.n_machines = machines.count;
    call.has_type = true;
    call.type = MESOS__V1__MASTER__CALL__TYPE__START_MAINTENANCE;
    call.start_maintenance = &body;
    r = cli_master_call(cli, &call, NULL, err);
    if (r == 0) {
        tell(cli, &machines, "start", "is down");
    }
    return r;
}

int cli_maintenance_stop(struct cli *cli, struct error *err)
{
    schedule_message *schedule = NULL;
    struct machines machines;
    int r = get_schedule(cli, &schedule, err);
    if (r == 0) {
        r = read_machines(cli, schedule, &machines, err);
    }
    if (r != 0) {
        return r;
    }
    Mesos__V1__Master__Call__StopMaintenance body = MESOS__V1__MASTER__CALL__STOP_MAINTENANCE__INIT;
    Mesos__V1__Master__Call call = MESOS__V1__MASTER__CALL__INIT;
    body.machines = machines.items;
    body.n_machines = machines.count;
    call.has_type = true;
    call.type = MESOS__V1__MASTER__CALL__TYPE__STOP_MAINTENANCE;
    call.stop_maintenance = &body;
    r = cli_master_call(cli, &call, NULL, err);
    if (r == 0) {
        tell(cli, &machines, "stop", "may come back");
    }
    return r;
}
