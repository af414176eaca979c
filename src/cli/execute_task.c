// SPDX-License-Identifier: Apache-2.0
//
// From flags to a task and a framework.

#include <errno.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/execute.h"
#include "model/resources.h"
#include "wire/json.h"
#include "wire/wire.h"

enum { TASK_FILE_SIZE_MAX = 16 * 1024 * 1024 };

// ---- what is refused ----

static int check_supported(const struct execute_options *o, struct error *err)
{
    static const char hdfs[] = "HDFS is not; --package takes what the agent can fetch";
    static const char images[] = "agents have no images";
    const struct {
        const char *name;
        bool is_given;
        const char *why;
    } refused[] = {
        {"hadoop", o->hadoop != NULL, hdfs},
        {"hdfs", o->hdfs != NULL, hdfs},
        {"overwrite", o->overwrite, hdfs},
        {"appc_image", o->appc_image != NULL, images},
        {"docker_image", o->docker_image != NULL, images},
        {"networks", o->networks != NULL, "tasks share the network of their agent"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(refused); i++) {
        if (refused[i].is_given) {
            return error_set(err, -ENOTSUP, "--%s is not supported: %s", refused[i].name,
                             refused[i].why);
        }
    }
    if (!text_is_equal(o->containerizer, "mesos")) {
        return error_set(err, -ENOTSUP,
                         "--containerizer=%s is not supported: agents have only the mesos one",
                         o->containerizer);
    }
    return 0;
}

static int check_together(const struct execute_options *o, struct error *err)
{
    if (o->task != NULL && o->task_group != NULL) {
        return error_set(err, -EINVAL, "--task and --task_group cannot be given together");
    }
    if (o->task != NULL || o->task_group != NULL) {
        if (o->name != NULL || o->command != NULL || o->env != NULL || o->package != NULL) {
            return error_set(
                err, -EINVAL,
                "--name, --command, --env and --package cannot be given beside --task%s",
                o->task_group != NULL ? "_group" : "");
        }
        if (o->tty || o->volumes != NULL || o->rlimits != NULL ||
            o->effective_capabilities != NULL || o->bounding_capabilities != NULL) {
            return error_set(err, -EINVAL,
                             "--tty, --volumes, --rlimits, --effective_capabilities and "
                             "--bounding_capabilities cannot be given beside --task%s: its "
                             "'container' says it",
                             o->task_group != NULL ? "_group" : "");
        }
        return 0;
    }
    if (o->name == NULL) {
        return error_set(err, -EINVAL, "Missing required option --name");
    }
    if (o->command == NULL) {
        return error_set(err, -EINVAL, "Missing required option --command");
    }
    return 0;
}

// ---- --task ----

// The messages need an agent_id, which only the offer brings. It is put first into each object at
// that depth: of two equal keys the last counts, so one that the user gave wins.
static void put_with_agent_ids(struct buf *out, const char *text, int depth)
{
    int level = 0;
    bool in_string = false;
    for (const char *at = text; *at != '\0'; at++) {
        buf_putc(out, *at);
        if (in_string) {
            if (*at == '\\' && at[1] != '\0') {
                buf_putc(out, *++at);
            } else if (*at == '"') {
                in_string = false;
            }
        } else if (*at == '"') {
            in_string = true;
        } else if (*at == '{' || *at == '[') {
            level++;
            if (*at == '{' && level == depth && at[1 + strspn(at + 1, " \t\r\n")] == '"') {
                buf_puts(out, "\"agent_id\":{\"value\":\"\"},");
            }
        } else if (*at == '}' || *at == ']') {
            level--;
        }
    }
}

// What a flag holds, or the file that it names.
static int read_message(const char *flag, const char *name, int depth,
                        const ProtobufCMessageDescriptor *descriptor, struct arena *arena,
                        ProtobufCMessage **ret_message, struct error *err)
{
    AUTO_FREE char *data = NULL;
    if (flag[0] == '/') {
        size_t size;
        int r = file_read(flag, TASK_FILE_SIZE_MAX, &data, &size, err);
        if (r < 0) {
            return error_wrap(err, r, "Failed to load --%s", name);
        }
        flag = data;
    }
    AUTO_BUF struct buf json = BUF_INIT;
    put_with_agent_ids(&json, flag, depth);
    int r = wire_json_decode(descriptor, arena, json.data != NULL ? json.data : "", json.size,
                             ret_message, err);
    return r < 0 ? error_wrap(err, r, "Failed to load --%s", name) : 0;
}

static int read_task(const char *flag, struct arena *arena, Mesos__V1__TaskInfo **ret_task,
                     struct error *err)
{
    ProtobufCMessage *message;
    int r = read_message(flag, "task", 1, &mesos__v1__task_info__descriptor, arena, &message, err);
    if (r == 0) {
        *ret_task = (Mesos__V1__TaskInfo *)message;
    }
    return r;
}

static int read_group(const char *flag, struct arena *arena, Mesos__V1__TaskGroupInfo **ret_group,
                      struct error *err)
{
    ProtobufCMessage *message;
    // A task's object stands in the list of "tasks".
    int r = read_message(flag, "task_group", 3, &mesos__v1__task_group_info__descriptor, arena,
                         &message, err);
    if (r < 0) {
        return r;
    }
    Mesos__V1__TaskGroupInfo *group = (Mesos__V1__TaskGroupInfo *)message;
    if (group->n_tasks == 0) {
        return error_set(err, -EINVAL, "Failed to load --task_group: it has no tasks");
    }
    *ret_group = group;
    return 0;
}

// ---- --env ----

static void add_variable(Mesos__V1__Environment *environment, size_t *capacity, struct arena *arena,
                         const char *name, const char *value)
{
    if (environment->n_variables == *capacity) {
        *capacity = *capacity > 0 ? *capacity * 2 : 16;
        Mesos__V1__Environment__Variable **grown = arena_calloc(arena, *capacity, sizeof(*grown));
        for (size_t i = 0; i < environment->n_variables; i++) {
            grown[i] = environment->variables[i];
        }
        environment->variables = grown;
    }
    Mesos__V1__Environment__Variable *variable =
        WIRE_NEW(arena, Mesos__V1__Environment__Variable, mesos__v1__environment__variable);
    variable->name = arena_strdup(arena, name);
    variable->value = arena_strdup(arena, value);
    environment->variables[environment->n_variables++] = variable;
}

static int read_environment(const char *text, struct arena *arena,
                            Mesos__V1__Environment **ret_environment, struct error *err)
{
    struct json_reader *reader = json_reader_new(arena, text, strlen(text));
    Mesos__V1__Environment *environment =
        WIRE_NEW(arena, Mesos__V1__Environment, mesos__v1__environment);
    size_t capacity = 0;
    enum json_token token = json_next(reader);
    if (token != JSON_OBJECT_OPEN && token != JSON_ERROR) {
        return error_set(err, -EINVAL, "Failed to load --env: it is not a JSON object");
    }
    while (token != JSON_ERROR && (token = json_next(reader)) == JSON_KEY) {
        const char *name = arena_strdup(arena, json_text(reader, NULL));
        token = json_next(reader);
        if (token == JSON_STRING || token == JSON_NUMBER) {
            add_variable(environment, &capacity, arena, name, json_text(reader, NULL));
        } else if (token == JSON_TRUE || token == JSON_FALSE) {
            add_variable(environment, &capacity, arena, name,
                         token == JSON_TRUE ? "true" : "false");
        } else if (token != JSON_ERROR) {
            return error_set(err, -EINVAL, "Failed to load --env: the value of '%s' is no text",
                             name);
        }
    }
    if (token == JSON_OBJECT_CLOSE) {
        token = json_next(reader);
    }
    if (token != JSON_END) {
        int r = json_reader_error(reader, err);
        return error_wrap(err, r, "Failed to load --env");
    }
    *ret_environment = environment;
    return 0;
}

// ---- the container ----

// What a flag holds, as that message. NULL without the flag.
static int read_part(const char *flag, const char *name,
                     const ProtobufCMessageDescriptor *descriptor, struct arena *arena,
                     ProtobufCMessage **ret_message, struct error *err)
{
    *ret_message = NULL;
    if (flag == NULL) {
        return 0;
    }
    int r = wire_json_decode(descriptor, arena, flag, strlen(flag), ret_message, err);
    return r < 0 ? error_wrap(err, r, "Failed to load --%s", name) : 0;
}

// A list is no message: it is read as the member of one.
static int read_volumes(const char *flag, struct arena *arena, Mesos__V1__ContainerInfo *container,
                        struct error *err)
{
    AUTO_FREE char *data = NULL;
    if (flag[0] == '/') {
        size_t size;
        int r = file_read(flag, TASK_FILE_SIZE_MAX, &data, &size, err);
        if (r < 0) {
            return error_wrap(err, r, "Failed to load --volumes");
        }
        flag = data;
    }
    if (flag[strspn(flag, " \t\r\n")] != '[') {
        return error_set(err, -EINVAL, "Failed to load --volumes: it is not a JSON list");
    }
    const char *text = arena_printf(arena, "{\"type\":\"MESOS\",\"volumes\":%s}", flag);
    ProtobufCMessage *message;
    int r = wire_json_decode(&mesos__v1__container_info__descriptor, arena, text, strlen(text),
                             &message, err);
    if (r < 0) {
        return error_wrap(err, r, "Failed to load --volumes");
    }
    container->volumes = ((Mesos__V1__ContainerInfo *)message)->volumes;
    container->n_volumes = ((Mesos__V1__ContainerInfo *)message)->n_volumes;
    return 0;
}

// A name that is not known reads as the enumeration's first.
static int check_names(const char *name, const Mesos__V1__CapabilityInfo *capabilities,
                       const Mesos__V1__RLimitInfo *rlimits, struct error *err)
{
    for (size_t i = 0; capabilities != NULL && i < capabilities->n_capabilities; i++) {
        if (capabilities->capabilities[i] == MESOS__V1__CAPABILITY_INFO__CAPABILITY__UNKNOWN) {
            return error_set(err, -EINVAL, "Failed to load --%s: unknown capability", name);
        }
    }
    for (size_t i = 0; rlimits != NULL && i < rlimits->n_rlimits; i++) {
        if (rlimits->rlimits[i]->type == MESOS__V1__RLIMIT_INFO__RLIMIT__TYPE__UNKNOWN) {
            return error_set(err, -EINVAL, "Failed to load --%s: unknown type of limit", name);
        }
    }
    return 0;
}

static int make_container(const struct execute_options *o, struct arena *arena,
                          Mesos__V1__ContainerInfo **ret_container, struct error *err)
{
    Mesos__V1__ContainerInfo *container =
        WIRE_NEW(arena, Mesos__V1__ContainerInfo, mesos__v1__container_info);
    Mesos__V1__LinuxInfo *info = WIRE_NEW(arena, Mesos__V1__LinuxInfo, mesos__v1__linux_info);
    ProtobufCMessage *effective, *bounding, *rlimits;
    const ProtobufCMessageDescriptor *capabilities = &mesos__v1__capability_info__descriptor;
    container->type = MESOS__V1__CONTAINER_INFO__TYPE__MESOS;
    int r = read_part(o->effective_capabilities, "effective_capabilities", capabilities, arena,
                      &effective, err);
    if (r == 0) {
        r = read_part(o->bounding_capabilities, "bounding_capabilities", capabilities, arena,
                      &bounding, err);
    }
    if (r == 0) {
        r = read_part(o->rlimits, "rlimits", &mesos__v1__rlimit_info__descriptor, arena, &rlimits,
                      err);
    }
    if (r == 0) {
        r = check_names("rlimits", NULL, (Mesos__V1__RLimitInfo *)rlimits, err);
    }
    if (r == 0) {
        r = check_names("effective_capabilities", (Mesos__V1__CapabilityInfo *)effective, NULL,
                        err);
    }
    if (r == 0) {
        r = check_names("bounding_capabilities", (Mesos__V1__CapabilityInfo *)bounding, NULL, err);
    }
    if (r == 0 && o->volumes != NULL) {
        r = read_volumes(o->volumes, arena, container, err);
    }
    if (r < 0) {
        return r;
    }
    info->effective_capabilities = (Mesos__V1__CapabilityInfo *)effective;
    info->bounding_capabilities = (Mesos__V1__CapabilityInfo *)bounding;
    container->linux_info = effective != NULL || bounding != NULL ? info : NULL;
    container->rlimit_info = (Mesos__V1__RLimitInfo *)rlimits;
    container->tty_info = o->tty ? WIRE_NEW(arena, Mesos__V1__TTYInfo, mesos__v1__ttyinfo) : NULL;
    bool is_plain =
        container->linux_info == NULL && rlimits == NULL && !o->tty && container->n_volumes == 0;
    *ret_container = is_plain ? NULL : container;
    return 0;
}

// ---- the task ----

static int set_package(const char *package, Mesos__V1__CommandInfo *command, struct arena *arena,
                       struct error *err)
{
    if (text_starts_with(package, "hdfs://")) {
        return error_set(err, -ENOTSUP, "--package=%s: HDFS is not supported", package);
    }
    Mesos__V1__CommandInfo__URI *uri =
        WIRE_NEW(arena, Mesos__V1__CommandInfo__URI, mesos__v1__command_info__uri);
    uri->value = arena_strdup(arena, package);
    command->uris = arena_calloc(arena, 1, sizeof(*command->uris));
    command->uris[0] = uri;
    command->n_uris = 1;
    return 0;
}

static int set_command(const struct execute_options *o, Mesos__V1__CommandInfo *command,
                       struct arena *arena, struct error *err)
{
    command->value = arena_strdup(arena, o->command);
    command->has_shell = true;
    command->shell = o->shell;
    if (!o->shell) {
        command->arguments = arena_calloc(arena, 1, sizeof(*command->arguments));
        command->arguments[0] = command->value;
        command->n_arguments = 1;
    }
    int r = 0;
    if (o->env != NULL) {
        r = read_environment(o->env, arena, &command->environment, err);
    }
    if (r == 0 && o->package != NULL) {
        r = set_package(o->package, command, arena, err);
    }
    return r;
}

static int make_task(const struct execute_options *o, struct arena *arena,
                     Mesos__V1__TaskInfo **ret_task, struct error *err)
{
    AUTO_RESOURCES struct resources *resources = NULL;
    int r = resources_parse(o->resources, "*", &resources, err);
    if (r < 0) {
        return error_wrap(err, r, "Failed to parse resources '%s'", o->resources);
    }
    Mesos__V1__TaskInfo *task = WIRE_NEW(arena, Mesos__V1__TaskInfo, mesos__v1__task_info);
    task->name = arena_strdup(arena, o->name);
    task->task_id = WIRE_NEW(arena, Mesos__V1__TaskID, mesos__v1__task_id);
    task->task_id->value = task->name;
    task->agent_id = WIRE_NEW(arena, Mesos__V1__AgentID, mesos__v1__agent_id);
    task->agent_id->value = arena_strdup(arena, "");
    task->n_resources =
        resources_to_proto(resources, arena, RESOURCES_NEW_FORM, false, &task->resources);
    task->command = WIRE_NEW(arena, Mesos__V1__CommandInfo, mesos__v1__command_info);
    r = set_command(o, task->command, arena, err);
    if (r == 0) {
        r = make_container(o, arena, &task->container, err);
    }
    if (r == 0) {
        *ret_task = task;
    }
    return r;
}

int execute_make_tasks(const struct execute_options *o, struct arena *arena,
                       Mesos__V1__TaskGroupInfo **ret_tasks, struct error *err)
{
    int r = check_supported(o, err);
    if (r == 0) {
        r = check_together(o, err);
    }
    if (r == 0 && o->task_group != NULL) {
        return read_group(o->task_group, arena, ret_tasks, err);
    }
    Mesos__V1__TaskInfo *task = NULL;
    if (r == 0) {
        r = o->task != NULL ? read_task(o->task, arena, &task, err)
                            : make_task(o, arena, &task, err);
    }
    if (r < 0) {
        return r;
    }
    Mesos__V1__TaskGroupInfo *tasks =
        WIRE_NEW(arena, Mesos__V1__TaskGroupInfo, mesos__v1__task_group_info);
    tasks->tasks = arena_dup(arena, &task, sizeof(task));
    tasks->n_tasks = 1;
    *ret_tasks = tasks;
    return 0;
}

// ---- the framework ----

static void add_capability(Mesos__V1__FrameworkInfo *info, struct arena *arena,
                           Mesos__V1__FrameworkInfo__Capability__Type type)
{
    Mesos__V1__FrameworkInfo__Capability *capability = WIRE_NEW(
        arena, Mesos__V1__FrameworkInfo__Capability, mesos__v1__framework_info__capability);
    capability->has_type = true;
    capability->type = type;
    info->capabilities[info->n_capabilities++] = capability;
}

static int add_asked_capabilities(const char *text, Mesos__V1__FrameworkInfo *info,
                                  struct arena *arena, struct error *err)
{
    char *list = arena_strdup(arena, text);
    bool has_gpu = false;
    for (char *rest = NULL, *name = strtok_r(list, ",", &rest); name != NULL;
         name = strtok_r(NULL, ",", &rest)) {
        name = text_trim(name);
        int type = wire_enum_value(&mesos__v1__framework_info__capability__type__descriptor, name);
        if (type < 0) {
            return error_set(
                err, -EINVAL,
                "Flags '--framework_capabilities' specifies an unknown capability '%s'", name);
        }
        if (type != MESOS__V1__FRAMEWORK_INFO__CAPABILITY__TYPE__GPU_RESOURCES) {
            return error_set(
                err, -EINVAL,
                "Flags '--framework_capabilities' specifies an unsupported capability '%s'", name);
        }
        if (!has_gpu) {
            add_capability(info, arena, MESOS__V1__FRAMEWORK_INFO__CAPABILITY__TYPE__GPU_RESOURCES);
        }
        has_gpu = true;
    }
    return 0;
}

int execute_make_framework(const struct execute_options *o, struct arena *arena,
                           Mesos__V1__FrameworkInfo **ret_framework, struct error *err)
{
    enum { CAPABILITIES_MAX = 5 };
    const struct passwd *user = getpwuid(getuid());
    if (user == NULL) {
        return error_set(err, -EINVAL, "No username for uid %u", (unsigned)getuid());
    }
    Mesos__V1__FrameworkInfo *info =
        WIRE_NEW(arena, Mesos__V1__FrameworkInfo, mesos__v1__framework_info);
    info->user = arena_strdup(arena, user->pw_name);
    info->name = arena_strdup(arena, "mesos-execute instance");
    info->role = arena_strdup(arena, o->role);
    info->has_checkpoint = true;
    info->checkpoint = o->checkpoint;
    info->principal = arena_strdup(arena, o->principal);
    info->capabilities = arena_calloc(arena, CAPABILITIES_MAX, sizeof(*info->capabilities));
    add_capability(info, arena,
                   MESOS__V1__FRAMEWORK_INFO__CAPABILITY__TYPE__RESERVATION_REFINEMENT);
    add_capability(info, arena, MESOS__V1__FRAMEWORK_INFO__CAPABILITY__TYPE__TASK_KILLING_STATE);
    add_capability(info, arena, MESOS__V1__FRAMEWORK_INFO__CAPABILITY__TYPE__REVOCABLE_RESOURCES);
    if (o->partition_aware) {
        add_capability(info, arena, MESOS__V1__FRAMEWORK_INFO__CAPABILITY__TYPE__PARTITION_AWARE);
    }
    if (o->framework_capabilities != NULL) {
        int r = add_asked_capabilities(o->framework_capabilities, info, arena, err);
        if (r < 0) {
            return r;
        }
    }
    *ret_framework = info;
    return 0;
}
