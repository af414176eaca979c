// SPDX-License-Identifier: Apache-2.0

#include "fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "wire/wire.h"

static void send_to_master(void *ctx, const Meseta__Link__ToMaster *message)
{
    struct fixture *f = ctx;
    CHECK(f->sent_count < NOTES_MAX);
    f->sent[f->sent_count++] = WIRE_COPY(f->arena, Meseta__Link__ToMaster, message);
}

static void send_event(void *ctx, void *stream, const Mesos__V1__Executor__Event *event)
{
    struct fixture *f = ctx;
    CHECK(f->event_count < NOTES_MAX && stream != NULL);
    f->event_streams[f->event_count] = stream;
    f->events[f->event_count++] = WIRE_COPY(f->arena, Mesos__V1__Executor__Event, event);
}

static void close_stream(void *ctx, void *stream)
{
    struct fixture *f = ctx;
    CHECK(stream != NULL);
    f->closed_count++;
}

static void note_volumes(struct fixture *f, const struct agent_volume *volumes, size_t count)
{
    f->volumes_seen = "";
    for (size_t i = 0; i < count; i++) {
        f->volumes_seen = arena_printf(f->arena, "%s%s%s=%s%s", f->volumes_seen, i > 0 ? " " : "",
                                       volumes[i].container_path, volumes[i].path,
                                       volumes[i].keeps_owner ? " (kept)" : "");
    }
}

static int volume_make(void *ctx, const char *path, bool is_mount, struct error *err)
{
    struct fixture *f = ctx;
    if (f->refuse_volume != NULL) {
        return error_set(err, -EIO, "%s", f->refuse_volume);
    }
    f->volumes_made[f->volumes_made_count++] =
        arena_printf(f->arena, "%s%s", path, is_mount ? " (mount)" : "");
    return 0;
}

static void volume_remove(void *ctx, const char *path, bool is_mount)
{
    struct fixture *f = ctx;
    f->volumes_removed[f->volumes_removed_count++] =
        arena_printf(f->arena, "%s%s", path, is_mount ? " (mount)" : "");
}

static int volumes_update(void *ctx, const char *container_id, const struct agent_volume *volumes,
                          size_t count, struct error *err)
{
    (void)container_id;
    (void)err;
    note_volumes(ctx, volumes, count);
    return 0;
}

static int container_launch(void *ctx, const struct agent_launch *launch, struct error *err)
{
    struct fixture *f = ctx;
    if (f->refuse_launch != NULL) {
        return error_set(err, -EIO, "%s", f->refuse_launch);
    }
    f->launched[f->launched_count++] = arena_strdup(f->arena, launch->container_id);
    f->launched_sandbox = arena_strdup(f->arena, launch->sandbox);
    f->launched_user = arena_strdup(f->arena, launch->user);
    note_volumes(f, launch->volumes, launch->volume_count);
    f->launched_limits = launch->limits;
    f->is_launched_command_task = launch->is_command_task;
    f->launched_cpus = (double)resources_scalar(launch->resources, "cpus") / 1000;
    f->launched_command = WIRE_COPY(f->arena, Mesos__V1__CommandInfo, launch->command);
    size_t count = 0;
    while (launch->environment[count] != NULL) {
        count++;
    }
    f->launched_environment = arena_calloc(f->arena, count + 1, sizeof(char *));
    for (size_t i = 0; i < count; i++) {
        f->launched_environment[i] = arena_strdup(f->arena, launch->environment[i]);
    }
    return 0;
}

static int container_update(void *ctx, const char *container_id, const struct resources *resources,
                            const struct hard_limits *limits, struct error *err)
{
    struct fixture *f = ctx;
    CHECK(container_id != NULL);
    if (f->refuse_update != NULL) {
        return error_set(err, -EIO, "%s", f->refuse_update);
    }
    f->updated_count++;
    f->updated_limits = *limits;
    f->updated_cpus = (double)resources_scalar(resources, "cpus") / 1000;
    return 0;
}

static void container_destroy(void *ctx, const char *container_id)
{
    struct fixture *f = ctx;
    f->destroyed[f->destroyed_count++] = arena_strdup(f->arena, container_id);
}

static void remove_path(void *ctx, const char *path)
{
    struct fixture *f = ctx;
    f->removed[f->removed_count++] = arena_strdup(f->arena, path);
}

static void reconnect(void *ctx)
{
    struct fixture *f = ctx;
    f->reconnect_count++;
}

static void on_shut_down(void *ctx)
{
    struct fixture *f = ctx;
    f->shut_down_count++;
}

static void checkpoint(void *ctx, const char *key, const ProtobufCMessage *message)
{
    struct fixture *f = ctx;
    struct buf *value = map_remove(&f->kept, key);
    if (value != NULL) {
        buf_free(value);
        mem_free(value);
    }
    f->kept_count++;
    if (message != NULL) {
        value = mem_zalloc(sizeof(*value));
        wire_encode(message, value);
        map_put(&f->kept, key, value);
    }
}

static void make_agent(struct fixture *f)
{
    static const struct agent_ops ops = {
        .send_to_master = send_to_master,
        .send_event = send_event,
        .close_stream = close_stream,
        .container_launch = container_launch,
        .container_update = container_update,
        .container_destroy = container_destroy,
        .remove_path = remove_path,
        .volume_make = volume_make,
        .volume_remove = volume_remove,
        .volumes_update = volumes_update,
        .reconnect = reconnect,
        .on_shut_down = on_shut_down,
        .checkpoint = checkpoint,
    };
    const char *text =
        arena_printf(f->arena, "{\"hostname\":\"host\",\"port\":5051%s,\"resources\":[%s]}",
                     f->attributes, f->resources);
    ProtobufCMessage *info;
    struct error err;
    CHECK(wire_json_decode(&mesos__v1__agent_info__descriptor, f->arena, text, strlen(text), &info,
                           &err) == 0);
    static char path[] = "PATH=/bin", inherited[] = "MESOS_CHECKPOINT=inherited";
    static char *environment[] = {path, inherited, NULL};
    struct agent_options options = {
        .work_dir = "/work",
        .launcher_dir = "/libexec",
        .switch_user = true,
        .limits_cpus = true,
        .limits_mem = true,
        .executor_registration_timeout_ns = 60 * NS_PER_S,
        .executor_shutdown_grace_period_ns = 5 * NS_PER_S,
        .registration_backoff_factor_ns = NS_PER_S,
        .gc_delay_ns = 1000 * NS_PER_S,
        .gc_disk_headroom = 0.1,
        .max_completed_executors = 3,
        .environment = environment,
        .recovery_timeout_ns = 900 * NS_PER_S,
        .executor_reregistration_timeout_ns = 2 * NS_PER_S,
        .info = (Mesos__V1__AgentInfo *)(void *)info,
        .ip = "10.0.0.7",
        .seed = 7,
        .boot_id = f->boot_id,
    };
    f->agent = agent_new(&options, &ops, f, f->now, &err);
    CHECK(f->agent != NULL);
}

int fixture_setup(void **state)
{
    struct fixture *f = mem_zalloc(sizeof(*f));
    f->arena = arena_new(0, 0);
    f->now = (struct instant){.mono = NS_PER_S, .wall = 1700000000 * NS_PER_S};
    f->boot_id = "boot-1";
    f->attributes = "";
    f->resources = "{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":4}},"
                   "{\"name\":\"mem\",\"type\":\"SCALAR\",\"scalar\":{\"value\":4096}}";
    make_agent(f);
    *state = f;
    return 0;
}

int fixture_teardown(void **state)
{
    struct fixture *f = *state;
    agent_free(f->agent);
    MAP_FOREACH (&f->kept, entry) {
        buf_free(entry->value);
        mem_free(entry->value);
    }
    map_free(&f->kept);
    arena_free(f->arena);
    mem_free(f);
    return 0;
}

static int compare_records(const void *a, const void *b)
{
    return strcmp(((const struct agent_record *)a)->key, ((const struct agent_record *)b)->key);
}

int f_restart(struct fixture *f, const struct agent_recovery *how, struct error *err)
{
    agent_free(f->agent);
    make_agent(f);
    // A copy: what is recovered may be forgotten meanwhile.
    struct agent_record *records = arena_calloc(f->arena, f->kept.count + 1, sizeof(*records));
    size_t count = 0;
    MAP_FOREACH (&f->kept, entry) {
        const struct buf *value = entry->value;
        records[count++] = (struct agent_record){
            .key = arena_strdup(f->arena, entry->key),
            .value = arena_dup(f->arena, value->data, value->size),
            .size = value->size,
        };
    }
    qsort(records, count, sizeof(*records), compare_records);
    struct agent_recovery recovery = *how;
    recovery.records = records;
    recovery.count = count;
    return agent_recover(f->agent, &recovery, &f->is_rebooted, f->now, err);
}

struct agent_executor *f_executor(struct fixture *f, const char *executor_id)
{
    struct agent_framework *framework = map_get(&f->agent->frameworks, "F");
    return framework == NULL ? NULL : map_get(&framework->executors, executor_id);
}

struct agent_task *f_task(struct fixture *f, const char *task_id)
{
    struct agent_framework *framework = map_get(&f->agent->frameworks, "F");
    return framework == NULL ? NULL : map_get(&framework->tasks, task_id);
}

static ProtobufCMessage *decode(struct fixture *f, const ProtobufCMessageDescriptor *descriptor,
                                const char *format, va_list args)
{
    struct buf text AUTO_BUF = BUF_INIT;
    buf_vprintf(&text, format, args);
    for (size_t i = 0; i < text.size; i++) {
        text.data[i] = text.data[i] == '\'' ? '"' : text.data[i];
    }
    ProtobufCMessage *message;
    struct error err;
    if (wire_json_decode(descriptor, f->arena, text.data, text.size, &message, &err) < 0) {
        fail_msg("%s: %s", err.text, text.data);
    }
    return message;
}

void f_receive(struct fixture *f, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    ProtobufCMessage *m = decode(f, &meseta__link__to_agent__descriptor, format, args);
    va_end(args);
    agent_receive(f->agent, (Meseta__Link__ToAgent *)(void *)m, f->now);
}

void f_register(struct fixture *f)
{
    agent_link_opened(f->agent, f->now);
    f_advance(f, NS_PER_S);
    f_receive(f, "{'type':'REGISTERED','registered':{'agent_id':{'value':'S1'},"
                 "'master_info':{'id':'M','ip':1,'port':5050},"
                 "'ping_timeout_total_ns':75000000000}}");
    assert_int_equal(f->agent->state, AGENT_REGISTERED);
}

void f_advance(struct fixture *f, int64_t ns)
{
    int64_t until = f->now.mono + ns;
    for (;;) {
        int64_t next = agent_next_deadline(f->agent);
        if (next > until) {
            break;
        }
        if (next > f->now.mono) {
            f->now.wall += next - f->now.mono;
            f->now.mono = next;
        }
        agent_run_timers(f->agent, f->now);
    }
    f->now.wall += until - f->now.mono;
    f->now.mono = until;
}

#define RESOURCES(cpus, mem)                                                                       \
    "{'name':'cpus','type':'SCALAR','scalar':{'value':" cpus "},'allocation_info':{'role':'*'}},"  \
    "{'name':'mem','type':'SCALAR','scalar':{'value':" mem "},'allocation_info':{'role':'*'}}"

#define FRAMEWORK "'framework_info':{'user':'joe','name':'test','id':{'value':'F'},'checkpoint':%s}"
#define CHECKPOINT(f) ((f)->is_checkpointing ? "true" : "false")

void f_run_task(struct fixture *f, const char *task_id, const char *more)
{
    f_receive(f,
              "{'type':'RUN_TASK','run_task':{" FRAMEWORK ",'task':{'name':'n',"
              "'task_id':{'value':'%s'},'agent_id':{'value':'S1'},'command':{'value':'sleep 1'},"
              "'resources':[" RESOURCES("1", "100") "]%s}}}",
              CHECKPOINT(f), task_id, more);
}

void f_run_custom(struct fixture *f, const char *task_id, const char *executor_id)
{
    f_receive(f,
              "{'type':'RUN_TASK','run_task':{" FRAMEWORK ",'task':{'name':'n',"
              "'task_id':{'value':'%s'},'agent_id':{'value':'S1'},"
              "'executor':{'executor_id':{'value':'%s'},'framework_id':{'value':'F'},"
              "'command':{'value':'./exec'},'resources':[" RESOURCES(
                  "0.5", "32") "]},"
                               "'resources':[" RESOURCES("1", "100") "]}}}",
              CHECKPOINT(f), task_id, executor_id);
}

void f_run_instance(struct fixture *f, const char *task_id, const char *executor_id,
                    unsigned instance)
{
    f_receive(f,
              "{'type':'RUN_TASK','run_task':{" FRAMEWORK ",'task':{'name':'n',"
              "'task_id':{'value':'%s'},'agent_id':{'value':'S1'},"
              "'executor':{'executor_id':{'value':'%s'},'framework_id':{'value':'F'},"
              "'command':{'value':'./exec'}}},'launch_executor':true,'executor_instance':'%u'}}",
              CHECKPOINT(f), task_id, executor_id, instance);
}

static int act(struct fixture *f, void *stream, ProtobufCMessage *message)
{
    const Mesos__V1__Executor__Call *call = (void *)message;
    struct error err;
    int status = agent_check_call(f->agent, call, &err);
    if (status != 0) {
        return status;
    }
    if (call->type == MESOS__V1__EXECUTOR__CALL__TYPE__SUBSCRIBE) {
        agent_subscribe(f->agent, call, stream, f->now);
    } else {
        agent_call(f->agent, call, f->now);
    }
    return 0;
}

int f_call(struct fixture *f, void *stream, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    ProtobufCMessage *m = decode(f, &mesos__v1__executor__call__descriptor, format, args);
    va_end(args);
    return act(f, stream, m);
}

int f_subscribe(struct fixture *f, const char *executor_id, void *stream)
{
    return f_call(f, stream,
                  "{'executor_id':{'value':'%s'},'framework_id':{'value':'F'},"
                  "'type':'SUBSCRIBE','subscribe':{}}",
                  executor_id);
}

int f_update(struct fixture *f, const char *executor_id, const char *task_id, const char *state,
             int uuid)
{
    // 16 bytes in base64: 22 characters and the padding.
    return f_call(f, NULL,
                  "{'executor_id':{'value':'%s'},'framework_id':{'value':'F'},'type':'UPDATE',"
                  "'update':{'status':{'task_id':{'value':'%s'},'state':'%s',"
                  "'source':'SOURCE_EXECUTOR','uuid':'AAAAAAAAQAAAAAAAAA%02dAA=='}}}",
                  executor_id, task_id, state, uuid);
}

void f_acknowledge(struct fixture *f, const char *task_id)
{
    for (size_t i = f->sent_count; i-- > 0;) {
        const Meseta__Link__ToMaster__StatusUpdate *update = f->sent[i]->status_update;
        if (update == NULL || strcmp(update->status->task_id->value, task_id) != 0) {
            continue;
        }
        Meseta__Link__ToAgent__Acknowledge acknowledge = MESETA__LINK__TO_AGENT__ACKNOWLEDGE__INIT;
        acknowledge.framework_id = update->framework_id;
        acknowledge.task_id = update->status->task_id;
        acknowledge.uuid = update->status->uuid;
        Meseta__Link__ToAgent message = MESETA__LINK__TO_AGENT__INIT;
        message.type = MESETA__LINK__TO_AGENT__TYPE__ACKNOWLEDGE;
        message.acknowledge = &acknowledge;
        agent_receive(f->agent, &message, f->now);
        return;
    }
    fail_msg("no update of %s was sent", task_id);
}

void f_terminate(struct fixture *f, size_t launch, const struct agent_termination *termination)
{
    static const struct agent_termination exited = {.has_status = true, .status = 0};
    agent_container_terminated(f->agent, f->launched[launch],
                               termination != NULL ? termination : &exited, f->now);
}

Meseta__Link__ToMaster *f_last_sent(struct fixture *f)
{
    CHECK(f->sent_count > 0);
    return f->sent[f->sent_count - 1];
}

Mesos__V1__TaskStatus *f_last_status(struct fixture *f)
{
    CHECK(f_last_sent(f)->type == MESETA__LINK__TO_MASTER__TYPE__STATUS_UPDATE);
    return f_last_sent(f)->status_update->status;
}

Mesos__V1__Executor__Event *f_last_event(struct fixture *f)
{
    CHECK(f->event_count > 0);
    return f->events[f->event_count - 1];
}

const char *f_environment(struct fixture *f, const char *name)
{
    size_t size = strlen(name);
    for (char **v = f->launched_environment; *v != NULL; v++) {
        if (strncmp(*v, name, size) == 0 && (*v)[size] == '=') {
            return *v + size + 1;
        }
    }
    return NULL;
}
