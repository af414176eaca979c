// SPDX-License-Identifier: Apache-2.0
//
// mesos events: the master's stream of SUBSCRIBE. As JSON, records pass through as they came. In
// words, each event is a line; the snapshot, which may be larger than what is decoded in one piece,
// is walked.

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/cli_walk.h"
#include "wire/content.h"
#include "wire/recordio.h"

// Of one event; the snapshot of a big cluster is the largest.
#define RECORD_SIZE_MAX ((size_t)4 * 1024 * 1024 * 1024 - 1)
enum { RETRIES_MAX = 30, SECONDS_BETWEEN = 1 };

struct events {
    struct cli *cli;
    bool follows;
    bool has_snapshot; // of this stream
    struct recordio_reader records;
};

// Ends a stream from within: nothing went wrong.
#define IS_OVER (-ECANCELED)

static void put_line(struct events *e, const char *kind, const char *id, const char *text)
{
    struct arena *arena = e->cli->arena;
    char clock[16];
    struct tm tm;
    time_t now = time(NULL);
    strftime(clock, sizeof(clock), "%H:%M:%S", localtime_r(&now, &tm));
    const char *line = arena_printf(arena, "%s  %-17s  %s%s%s\n", clock, kind, cli_clean(arena, id),
                                    text[0] != '\0' ? "  " : "", cli_clean(arena, text));
    cli_write(line, strlen(line));
}

// ---- things ----

// On a terminal, where lines are to be short, the last part of an id of Mesos': "S3", "0002".
static const char *short_id(const struct events *e, const char *id)
{
    const char *dash = strrchr(id, '-');
    return e->cli->width > 0 && dash != NULL && dash[1] != '\0' ? dash + 1 : id;
}

static void put_agent(struct events *e, const Mesos__V1__Master__Response__GetAgents__Agent *agent)
{
    const Mesos__V1__AgentInfo *info = agent->agent_info;
    put_line(e, "agent added", info->id != NULL ? short_id(e, info->id->value) : "?",
             arena_printf(e->cli->arena, "%s  %s", info->hostname,
                          cli_text_resources(e->cli->arena, agent->total_resources,
                                             agent->n_total_resources)));
}

static void put_framework(struct events *e, const char *kind,
                          const Mesos__V1__Master__Response__GetFrameworks__Framework *framework)
{
    const Mesos__V1__FrameworkInfo *info = framework->framework_info;
    put_line(e, kind, info->id != NULL ? short_id(e, info->id->value) : "?",
             arena_printf(e->cli->arena, "%s  %s", info->name,
                          framework->connected ? framework->active ? "active" : "inactive"
                                               : "disconnected"));
}

static void put_task(struct events *e, const Mesos__V1__Task *task)
{
    struct arena *arena = e->cli->arena;
    put_line(e, "task added", task->task_id->value,
             arena_printf(arena, "%s  framework %s  agent %s", cli_text_state(arena, task->state),
                          short_id(e, task->framework_id->value),
                          short_id(e, task->agent_id->value)));
}

static void put_update(struct events *e, const Mesos__V1__Master__Event__TaskUpdated *update)
{
    struct arena *arena = e->cli->arena;
    const Mesos__V1__TaskStatus *status = update->status;
    const char *reason =
        status->has_reason
            ? wire_enum_name(&mesos__v1__task_status__reason__descriptor, (int)status->reason)
            : NULL;
    put_line(e, "task updated", status->task_id->value,
             arena_printf(arena, "%s  framework %s%s%s%s%s", cli_text_state(arena, update->state),
                          short_id(e, update->framework_id->value), reason != NULL ? "  " : "",
                          reason != NULL ? reason : "", status->message != NULL ? "  " : "",
                          status->message != NULL ? status->message : ""));
}

// ---- the snapshot ----

static void on_agent(void *ctx, unsigned number, const ProtobufCMessage *message)
{
    (void)number;
    put_agent(ctx, (const Mesos__V1__Master__Response__GetAgents__Agent *)message);
}

static void on_framework(void *ctx, unsigned number, const ProtobufCMessage *message)
{
    (void)number;
    put_framework(ctx, "framework added",
                  (const Mesos__V1__Master__Response__GetFrameworks__Framework *)message);
}

static void on_task(void *ctx, unsigned number, const ProtobufCMessage *message)
{
    (void)number;
    struct events *e = ctx;
    put_task(e, (const Mesos__V1__Task *)message);
    arena_reset(e->cli->arena);
}

// Numbers in messages: Event.subscribed, Subscribed.get_state, GetState.get_....
static const unsigned agents_path[] = {2, 1, 4, 0};
static const unsigned frameworks_path[] = {2, 1, 3, 0};
static const unsigned tasks_path[] = {2, 1, 1, 0};

static int put_snapshot(struct events *e, const void *data, size_t size, struct error *err)
{
    static const struct cli_walk_list agents = {
        1, &mesos__v1__master__response__get_agents__agent__descriptor};
    static const struct cli_walk_list frameworks = {
        1, &mesos__v1__master__response__get_frameworks__framework__descriptor};
    static const struct cli_walk_list tasks = {CLI_TASKS_ACTIVE, &mesos__v1__task__descriptor};
    if (e->follows) {
        put_line(e, "subscribed", "",
                 arena_printf(e->cli->arena, "%zu agents, %zu frameworks, %zu tasks",
                              cli_walk_count(data, size, agents_path, 1),
                              cli_walk_count(data, size, frameworks_path, 1),
                              cli_walk_count(data, size, tasks_path, CLI_TASKS_ACTIVE)));
        return 0;
    }
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    int r = cli_walk(data, size, agents_path, &agents, 1, arena, on_agent, e, err);
    if (r == 0) {
        r = cli_walk(data, size, frameworks_path, &frameworks, 1, arena, on_framework, e, err);
    }
    return r < 0 ? r : cli_walk(data, size, tasks_path, &tasks, 1, arena, on_task, e, err);
}

// ---- events ----

static void put_event(struct events *e, const Mesos__V1__Master__Event *event)
{
    switch (event->type) {
    case MESOS__V1__MASTER__EVENT__TYPE__TASK_ADDED:
        if (event->task_added != NULL) {
            put_task(e, event->task_added->task);
        }
        break;
    case MESOS__V1__MASTER__EVENT__TYPE__TASK_UPDATED:
        if (event->task_updated != NULL) {
            put_update(e, event->task_updated);
        }
        break;
    case MESOS__V1__MASTER__EVENT__TYPE__AGENT_ADDED:
        if (event->agent_added != NULL) {
            put_agent(e, event->agent_added->agent);
        }
        break;
    case MESOS__V1__MASTER__EVENT__TYPE__AGENT_REMOVED:
        if (event->agent_removed != NULL) {
            put_line(e, "agent removed", short_id(e, event->agent_removed->agent_id->value), "");
        }
        break;
    case MESOS__V1__MASTER__EVENT__TYPE__FRAMEWORK_ADDED:
        if (event->framework_added != NULL) {
            put_framework(e, "framework added", event->framework_added->framework);
        }
        break;
    case MESOS__V1__MASTER__EVENT__TYPE__FRAMEWORK_UPDATED:
        if (event->framework_updated != NULL) {
            put_framework(e, "framework updated", event->framework_updated->framework);
        }
        break;
    case MESOS__V1__MASTER__EVENT__TYPE__FRAMEWORK_REMOVED:
        if (event->framework_removed != NULL) {
            const Mesos__V1__FrameworkInfo *info = event->framework_removed->framework_info;
            put_line(e, "framework removed", info->id != NULL ? short_id(e, info->id->value) : "?",
                     info->name);
        }
        break;
    default: // heartbeats say nothing
        break;
    }
}

static int decode_event(struct events *e, const void *data, size_t size, struct error *err)
{
    // The type alone says whether it is the snapshot; it stands first.
    const unsigned char *bytes = data;
    bool is_snapshot = size >= 2 && bytes[0] == 0x08 && bytes[1] == 1;
    if (is_snapshot) {
        return put_snapshot(e, data, size, err);
    }
    ProtobufCMessage *event;
    int r =
        wire_decode(&mesos__v1__master__event__descriptor, e->cli->arena, data, size, &event, err);
    if (r < 0) {
        return cli_wrap(err, CLI_ERROR_FAILED, "An event cannot be read");
    }
    put_event(e, (const Mesos__V1__Master__Event *)event);
    return 0;
}

struct feed {
    struct events *events;
    struct error *err;
};

static int on_record(void *ctx, const void *record, size_t size)
{
    struct feed *feed = ctx;
    struct events *e = feed->events;
    int r = 0;
    if (e->cli->output == CLI_JSON) {
        static const char heartbeat[] = "\"type\":\"HEARTBEAT\"";
        if (size > 200 || memmem(record, size, heartbeat, sizeof(heartbeat) - 1) == NULL) {
            cli_write(record, size);
            cli_write("\n", 1);
        }
    } else {
        r = decode_event(e, record, size, feed->err);
    }
    cli_flush();
    arena_reset(e->cli->arena);
    e->has_snapshot = true;
    return r < 0 ? r : e->follows ? 0 : IS_OVER;
}

static int on_data(void *ctx, const void *data, size_t size)
{
    struct feed *feed = ctx;
    return recordio_feed(&feed->events->records, data, size, on_record, feed, feed->err);
}

// One stream, to its end: IS_OVER when that was ours.
static int subscribe(struct events *e, struct error *err)
{
    bool is_json = e->cli->output == CLI_JSON;
    static const char json[] = "{\"type\":\"SUBSCRIBE\"}";
    static const char protobuf[] = {0x08, MESOS__V1__MASTER__CALL__TYPE__SUBSCRIBE};
    struct feed feed = {e, err};
    struct cli_request request = {
        .target = "/api/v1",
        .content_type = is_json ? CONTENT_JSON_NAME : CONTENT_PROTOBUF_NAME,
        .accept = is_json ? CONTENT_JSON_NAME : CONTENT_PROTOBUF_NAME,
        .body = is_json ? json : protobuf,
        .body_size = is_json ? sizeof(json) - 1 : sizeof(protobuf),
        .on_data = on_data,
        .ctx = &feed,
    };
    struct cli_answer answer;
    // What a record needs goes with it; what the request needs stays until its end.
    struct arena *arena = TAKE_PTR(e->cli->arena);
    e->cli->arena = arena_new(0, 0);
    recordio_reader_init(&e->records, RECORD_SIZE_MAX);
    int r = cli_master_ask(e->cli, &request, &answer, err);
    recordio_reader_free(&e->records);
    arena_free(e->cli->arena);
    e->cli->arena = arena;
    return r;
}

int cli_events(struct cli *cli, struct error *err)
{
    struct events e = {.cli = cli, .follows = cli_has_flag(cli, "follow")};
    bool was_there = false;
    for (int retries = 0; retries <= RETRIES_MAX; retries++) {
        e.has_snapshot = false;
        int r = subscribe(&e, err);
        if (r == IS_OVER) {
            return 0;
        }
        bool is_lost = r == 0 || r == CLI_ERROR_UNREACHABLE;
        was_there = was_there || e.has_snapshot;
        if (!is_lost || !e.follows || !was_there) {
            return r < 0 ? r : error_set(err, CLI_ERROR_UNREACHABLE, "The master sent no events");
        }
        if (e.has_snapshot) {
            fprintf(stderr, "mesos: the master is gone, looking for its successor\n");
            retries = 0;
        }
        // Who leads now?
        cli->has_leader = false;
        nanosleep(&(struct timespec){.tv_sec = SECONDS_BETWEEN}, NULL);
    }
    return error_set(err, CLI_ERROR_UNREACHABLE, "The master is gone, and no successor was found");
}
