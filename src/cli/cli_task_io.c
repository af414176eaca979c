// SPDX-License-Identifier: Apache-2.0
//
// mesos task exec, attach.

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "base/uuid.h"
#include "cli/cli.h"
#include "cli/cli_parts.h"
#include "env/env.h"
#include "model/task_state.h"

enum { SIGNAL_BASE = 128 };

// The running task that the first word means, its container, and where its agent is.
static int find_container(struct cli *cli, struct address *ret_agent,
                          const Mesos__V1__ContainerID **ret_container, struct error *err)
{
    Mesos__V1__Task *task;
    Mesos__V1__Master__Response__GetAgents__Agent *agent;
    int r = cli_find_task(cli, cli->words[0], cli_flag_value(cli, "framework"), &task, err);
    if (r != 0) {
        return r;
    }
    *ret_container = cli_task_container(task);
    if (task_state_is_terminal(task->state)) {
        return error_set(err, CLI_ERROR_FAILED, "The task %s has ended: %s", task->task_id->value,
                         cli_text_state(cli->arena, task->state));
    }
    if (*ret_container == NULL) {
        return error_set(err, CLI_ERROR_FAILED, "The task %s has no container yet",
                         task->task_id->value);
    }
    r = cli_agent_of(cli, task->agent_id->value, &agent, err);
    return r < 0 ? r : cli_agent_address(agent, ret_agent, err);
}

static Mesos__V1__ContainerID *make_inner(struct arena *arena, const char *value,
                                          const Mesos__V1__ContainerID *parent)
{
    Mesos__V1__ContainerID *id = WIRE_NEW(arena, Mesos__V1__ContainerID, mesos__v1__container_id);
    id->value = arena_strdup(arena, value);
    id->parent = (Mesos__V1__ContainerID *)(uintptr_t)parent;
    return id;
}

// ---- exec ----

static Mesos__V1__CommandInfo *make_command(struct cli *cli)
{
    Mesos__V1__CommandInfo *command =
        WIRE_NEW(cli->arena, Mesos__V1__CommandInfo, mesos__v1__command_info);
    command->has_shell = true;
    command->shell = false;
    command->value = cli->words[1];
    command->arguments = cli->words + 1;
    command->n_arguments = cli->word_count - 1;
    return command;
}

static Mesos__V1__ContainerInfo *make_terminal(struct arena *arena)
{
    Mesos__V1__ContainerInfo *info =
        WIRE_NEW(arena, Mesos__V1__ContainerInfo, mesos__v1__container_info);
    info->type = MESOS__V1__CONTAINER_INFO__TYPE__MESOS;
    info->tty_info = WIRE_NEW(arena, Mesos__V1__TTYInfo, mesos__v1__ttyinfo);
    Mesos__V1__TTYInfo__WindowSize *size =
        WIRE_NEW(arena, Mesos__V1__TTYInfo__WindowSize, mesos__v1__ttyinfo__window_size);
    if (cli_io_window_size(&size->rows, &size->columns)) {
        info->tty_info->window_size = size;
    }
    return info;
}

static int status_of(int wait_status)
{
    return WIFSIGNALED(wait_status) ? SIGNAL_BASE + WTERMSIG(wait_status)
                                    : WEXITSTATUS(wait_status);
}

// What a container leaves at its agent goes. If not now, with its task.
static void forget(struct cli *cli, const struct address *agent, Mesos__V1__ContainerID *id)
{
    Mesos__V1__Agent__Call__RemoveContainer remove = MESOS__V1__AGENT__CALL__REMOVE_CONTAINER__INIT;
    Mesos__V1__Agent__Call call = MESOS__V1__AGENT__CALL__INIT;
    remove.container_id = id;
    call.has_type = true;
    call.type = MESOS__V1__AGENT__CALL__TYPE__REMOVE_CONTAINER;
    call.remove_container = &remove;
    cli_agent_call(cli, agent, &call, NULL, NULL);
}

// How the command ended.
static int collect(struct cli *cli, const struct address *agent, Mesos__V1__ContainerID *id,
                   int *ret_status, struct error *err)
{
    Mesos__V1__Agent__Call__WaitContainer wait = MESOS__V1__AGENT__CALL__WAIT_CONTAINER__INIT;
    Mesos__V1__Agent__Call call = MESOS__V1__AGENT__CALL__INIT;
    Mesos__V1__Agent__Response *response;
    wait.container_id = id;
    call.has_type = true;
    call.type = MESOS__V1__AGENT__CALL__TYPE__WAIT_CONTAINER;
    call.wait_container = &wait;
    int r = cli_agent_call(cli, agent, &call, &response, err);
    if (r < 0) {
        return cli_wrap(err, r, "The command has ended, but not its status is known");
    }
    const Mesos__V1__Agent__Response__WaitContainer *end = response->wait_container;
    if (end == NULL || !end->has_exit_status) {
        return error_set(err, CLI_ERROR_FAILED, "The command could not be run: %s",
                         end != NULL && end->message != NULL ? end->message : "no reason is known");
    }
    *ret_status = status_of(end->exit_status);
    return 0;
}

int cli_task_exec(struct cli *cli, struct error *err)
{
    struct address agent;
    const Mesos__V1__ContainerID *parent;
    int r = find_container(cli, &agent, &parent, err);
    if (r != 0) {
        return r;
    }
    struct uuid uuid;
    char name[UUID_TEXT_SIZE];
    env_random(uuid.bytes, sizeof(uuid.bytes));
    uuid_text(&uuid, name);
    Mesos__V1__ContainerID *id = make_inner(cli->arena, name, parent);
    Mesos__V1__Agent__Call__LaunchNestedContainerSession body =
        MESOS__V1__AGENT__CALL__LAUNCH_NESTED_CONTAINER_SESSION__INIT;
    Mesos__V1__Agent__Call call = MESOS__V1__AGENT__CALL__INIT;
    bool is_terminal = cli_has_flag(cli, "tty");
    bool is_interactive = cli_has_flag(cli, "interactive");
    body.container_id = id;
    body.command = make_command(cli);
    body.container = is_terminal ? make_terminal(cli->arena) : NULL;
    call.has_type = true;
    call.type = MESOS__V1__AGENT__CALL__TYPE__LAUNCH_NESTED_CONTAINER_SESSION;
    call.launch_nested_container_session = &body;
    struct cli_io_options options = {
        .agent = &agent,
        .call = &call,
        .container_id = id,
        .takes_input = is_interactive,
        .ends_input = !is_interactive && !is_terminal,
        .is_terminal = is_terminal,
    };
    enum cli_io_end end;
    int signal = 0;
    int status = 0;
    r = cli_io_run(cli, &options, &end, &signal, err);
    if (r == CLI_ERROR_UNREACHABLE) {
        return r;
    }
    // However that came about, the command ends with its connection at the latest; what it leaves
    // can be removed only then.
    bool has_ended = r == 0 && end != CLI_IO_SIGNALLED;
    int waited = collect(cli, &agent, id, &status, has_ended ? err : NULL);
    if (waited != CLI_ERROR_UNREACHABLE) {
        forget(cli, &agent, id);
    }
    if (!has_ended) {
        return r < 0 ? r : SIGNAL_BASE + signal;
    }
    return waited < 0 ? waited : status;
}

// ---- attach ----

int cli_task_attach(struct cli *cli, struct error *err)
{
    struct address agent;
    const Mesos__V1__ContainerID *container;
    const char *inner = cli_flag_value(cli, "container");
    int r = find_container(cli, &agent, &container, err);
    if (r != 0) {
        return r;
    }
    if (inner != NULL) {
        container = make_inner(cli->arena, inner, container);
    }
    Mesos__V1__Agent__Call__AttachContainerOutput body =
        MESOS__V1__AGENT__CALL__ATTACH_CONTAINER_OUTPUT__INIT;
    Mesos__V1__Agent__Call call = MESOS__V1__AGENT__CALL__INIT;
    body.container_id = (Mesos__V1__ContainerID *)(uintptr_t)container;
    call.has_type = true;
    call.type = MESOS__V1__AGENT__CALL__TYPE__ATTACH_CONTAINER_OUTPUT;
    call.attach_container_output = &body;
    bool takes_input = !cli_has_flag(cli, "no-stdin");
    struct cli_io_options options = {
        .agent = &agent,
        .call = &call,
        .container_id = container,
        .takes_input = takes_input,
        .is_terminal = takes_input && isatty(STDIN_FILENO),
        .may_detach = true,
    };
    enum cli_io_end end;
    int signal = 0;
    r = cli_io_run(cli, &options, &end, &signal, err);
    if (r != 0) {
        return r;
    }
    if (end == CLI_IO_DETACHED) {
        fprintf(stderr, "mesos: detached; the task goes on\n");
    }
    return end == CLI_IO_SIGNALLED ? SIGNAL_BASE + signal : 0;
}
