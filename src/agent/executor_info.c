// SPDX-License-Identifier: Apache-2.0
//
// The executor of a command task is made by the agent: its id is the task's, its program is
// mesos-executor, and it gets 0.1 cpus and 32 MB on top of what the task asked for. The executor of
// task groups is the framework's to describe, but for its program.

#include <string.h>

#include "agent/internal.h"
#include "wire/wire.h"

// What an executor of the agent's own costs. Mesos' numbers.
#define GENERATED_CPUS 0.1
#define GENERATED_MEM_MB 32.0

// How long an executor may take to notice that its task ended, beyond the task's own grace period.
#define REAP_MARGIN_NS (2 * NS_PER_S)

enum { SHOWN_MAX = 15, CUT = 12 };

// Where to cut a longer text: not within a character, as the name goes out in messages.
static int cut_at(const char *text)
{
    int size = CUT;
    while (size > 0 && ((unsigned char)text[size] & 0xc0) == 0x80) {
        size--;
    }
    return size;
}

// "sh -c 'exit 0'", cut like Mesos does: at most 15 bytes of the command.
static const char *describe_command(const Mesos__V1__CommandInfo *command, struct arena *arena)
{
    if (!command->has_shell || command->shell) {
        if (command->value == NULL) {
            return "(Command: NO COMMAND)";
        }
        if (strlen(command->value) > SHOWN_MAX) {
            return arena_printf(arena, "(Command: sh -c '%.*s...')", cut_at(command->value),
                                command->value);
        }
        return arena_printf(arena, "(Command: sh -c '%s')", command->value);
    }
    if (command->value == NULL) {
        return "(Command: NO EXECUTABLE)";
    }
    struct buf words AUTO_BUF = BUF_INIT;
    buf_printf(&words, "%s, ", command->value);
    for (size_t i = 0; i < command->n_arguments && words.size <= SHOWN_MAX; i++) {
        buf_printf(&words, "%s%s", i == 0 ? "" : ", ", command->arguments[i]);
    }
    if (words.size > SHOWN_MAX) {
        return arena_printf(arena, "(Command: [%.*s...])", cut_at(words.data), words.data);
    }
    return arena_printf(arena, "(Command: [%s])", words.data);
}

// Starts one of the executors that lie in the launcher's directory.
static Mesos__V1__CommandInfo *command_for(const struct agent *agent, const char *program,
                                           struct arena *arena)
{
    Mesos__V1__CommandInfo *command =
        WIRE_NEW(arena, Mesos__V1__CommandInfo, mesos__v1__command_info);
    command->has_shell = true;
    command->shell = false;
    command->value = arena_printf(arena, "%s/%s", agent->options.launcher_dir, program);
    command->n_arguments = 2;
    command->arguments = arena_calloc(arena, 2, sizeof(char *));
    command->arguments[0] = arena_strdup(arena, program);
    command->arguments[1] = arena_printf(arena, "--launcher_dir=%s", agent->options.launcher_dir);
    return command;
}

static Mesos__V1__CommandInfo *make_command(const struct agent *agent,
                                            const Mesos__V1__CommandInfo *of_task,
                                            struct arena *arena)
{
    Mesos__V1__CommandInfo *command = command_for(agent, "mesos-executor", arena);
    command->n_uris = of_task->n_uris;
    command->uris = of_task->uris;
    command->environment = of_task->environment;
    command->user = of_task->user;
    return command;
}

Mesos__V1__CommandInfo *agent_default_executor_command(const struct agent *agent,
                                                       struct arena *arena)
{
    return command_for(agent, "mesos-default-executor", arena);
}

static Mesos__V1__Resource *make_scalar(struct arena *arena, const char *name, double value,
                                        Mesos__V1__Resource__AllocationInfo *allocation)
{
    Mesos__V1__Resource *resource = WIRE_NEW(arena, Mesos__V1__Resource, mesos__v1__resource);
    resource->name = arena_strdup(arena, name);
    resource->type = MESOS__V1__VALUE__TYPE__SCALAR;
    resource->scalar = WIRE_NEW(arena, Mesos__V1__Value__Scalar, mesos__v1__value__scalar);
    resource->scalar->value = value;
    resource->allocation_info = allocation;
    return resource;
}

Mesos__V1__ExecutorInfo *agent_executor_info_generate(const struct agent *agent,
                                                      const Mesos__V1__FrameworkInfo *framework,
                                                      const Mesos__V1__TaskInfo *task,
                                                      struct arena *arena)
{
    Mesos__V1__ExecutorInfo *info =
        WIRE_NEW(arena, Mesos__V1__ExecutorInfo, mesos__v1__executor_info);
    info->executor_id = WIRE_NEW(arena, Mesos__V1__ExecutorID, mesos__v1__executor_id);
    info->executor_id->value = task->task_id->value;
    info->framework_id = framework->id;
    info->container = task->container;
    info->labels = task->labels;
    info->discovery = task->discovery;
    info->source = task->task_id->value;
    info->name = arena_printf(arena, "Command Executor (Task: %s) %s", task->task_id->value,
                              describe_command(task->command, arena));
    info->command = make_command(agent, task->command, arena);
    if (task->kill_policy != NULL && task->kill_policy->grace_period != NULL) {
        info->shutdown_grace_period =
            WIRE_NEW(arena, Mesos__V1__DurationInfo, mesos__v1__duration_info);
        info->shutdown_grace_period->nanoseconds =
            task->kill_policy->grace_period->nanoseconds + REAP_MARGIN_NS;
    }
    Mesos__V1__Resource__AllocationInfo *allocation =
        task->n_resources > 0 ? task->resources[0]->allocation_info : NULL;
    info->n_resources = 2;
    info->resources = arena_calloc(arena, 2, sizeof(Mesos__V1__Resource *));
    info->resources[0] = make_scalar(arena, "cpus", GENERATED_CPUS, allocation);
    info->resources[1] = make_scalar(arena, "mem", GENERATED_MEM_MB, allocation);
    return info;
}
