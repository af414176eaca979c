// SPDX-License-Identifier: Apache-2.0
//
// Files of a task's sandbox: from its agent, or, where that cannot be reached from here, through
// the master, which passes on what an agent answers. An agent gives bytes as they are (READ_FILE);
// through the master they come as text, so a piece ends where a character does.

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/cli_json.h"
#include "cli/cli_parts.h"

enum { PIECE_SIZE = 64 * 1024, CHARACTER_MAX = 4 };

int cli_sandbox_open(struct cli *cli, const Mesos__V1__Task *task, struct cli_sandbox *ret_sandbox,
                     struct error *err)
{
    const Mesos__V1__ContainerID *container = cli_task_container(task);
    const char *executor = task->executor_id != NULL && task->executor_id->value[0] != '\0'
                               ? task->executor_id->value
                               : task->task_id->value;
    Mesos__V1__Master__Response__GetAgents__Agent *agent;
    *ret_sandbox = (struct cli_sandbox){.cli = cli, .task = task};
    int r = cli_agent_of(cli, task->agent_id->value, &agent, err);
    if (r != 0) {
        return r;
    }
    ret_sandbox->has_address = cli_agent_address(agent, &ret_sandbox->agent, NULL) == 0;
    ret_sandbox->is_by_master = !ret_sandbox->has_address;
    ret_sandbox->path = arena_printf(cli->arena, "/frameworks/%s/executors/%s/runs/latest",
                                     task->framework_id->value, executor);
    // A container within the executor's has its own place there.
    const char *inner = "";
    for (; container != NULL && container->parent != NULL; container = container->parent) {
        inner = arena_printf(cli->arena, "/containers/%s%s", container->value, inner);
    }
    ret_sandbox->path = arena_printf(cli->arena, "%s%s", ret_sandbox->path, inner);
    return 0;
}

static const char *path_of(const struct cli_sandbox *sandbox, const char *file)
{
    return file[0] != '\0' ? arena_printf(sandbox->cli->arena, "%s/%s", sandbox->path, file)
                           : sandbox->path;
}

// The agent does not answer: from now on the master is asked.
static bool goes_by_master(struct cli_sandbox *sandbox, int r, const struct error *direct)
{
    if (r != CLI_ERROR_UNREACHABLE || sandbox->is_by_master) {
        return false;
    }
    sandbox->is_by_master = true;
    sandbox->direct = *direct;
    return true;
}

int cli_sandbox_get(struct cli_sandbox *sandbox, const char *endpoint, const char *file,
                    const char *more, int (*on_data)(void *ctx, const void *data, size_t size),
                    void *ctx, struct cli_answer *ret_answer, struct error *err)
{
    struct cli *cli = sandbox->cli;
    AUTO_BUF struct buf target = BUF_INIT;
    buf_printf(&target, "/files/%s?path=", endpoint);
    text_percent_encode(&target, path_of(sandbox, file));
    buf_puts(&target, more);
    struct cli_request request = {
        .method = "GET",
        .address = &sandbox->agent,
        .target = target.data,
        .principal = cli->config.agent_principal,
        .secret = cli->config.agent_secret,
        .connect_ms = cli->config.agent_timeout_s * 1000,
        .on_data = on_data,
        .ctx = ctx,
    };
    struct error direct = {0};
    int r = 0;
    *ret_answer = (struct cli_answer){0};
    if (!sandbox->is_by_master) {
        r = cli_http_ask(cli, &request, ret_answer, &direct);
        if (r == 0) {
            return cli_http_check(ret_answer, "The agent", err);
        }
        if (!goes_by_master(sandbox, r, &direct)) {
            return error_set(err, r, "%s", direct.text);
        }
    }
    struct buf through = BUF_INIT;
    buf_puts(&through, "/agent/");
    text_percent_encode(&through, sandbox->task->agent_id->value);
    buf_puts(&through, target.data);
    request.target = through.data;
    request.connect_ms = 0;
    r = cli_master_ask(cli, &request, ret_answer, err);
    buf_free(&through);
    bool is_away = r == CLI_ERROR_UNREACHABLE || (r < 0 && ret_answer->status == 502);
    if (is_away && sandbox->direct.code != 0) {
        cli_wrap(err, r, "Neither the agent answers (%s), nor the master for it",
                 sandbox->direct.text);
    }
    return is_away ? CLI_ERROR_UNREACHABLE : r;
}

// ---- reading on ----

static int read_direct(struct cli_sandbox *sandbox, const char *file, uint64_t offset,
                       struct buf *out, uint64_t *ret_size, struct error *err)
{
    Mesos__V1__Agent__Call__ReadFile body = MESOS__V1__AGENT__CALL__READ_FILE__INIT;
    Mesos__V1__Agent__Call call = MESOS__V1__AGENT__CALL__INIT;
    Mesos__V1__Agent__Response *response;
    body.path = (char *)(uintptr_t)path_of(sandbox, file);
    body.offset = offset;
    body.has_length = true;
    body.length = PIECE_SIZE;
    call.has_type = true;
    call.type = MESOS__V1__AGENT__CALL__TYPE__READ_FILE;
    call.read_file = &body;
    int r = cli_agent_call(sandbox->cli, &sandbox->agent, &call, &response, err);
    if (r != 0) {
        return r;
    }
    if (response->read_file == NULL) {
        return error_set(err, CLI_ERROR_FAILED, "The agent's answer holds no data");
    }
    buf_append(out, response->read_file->data.data, response->read_file->data.len);
    *ret_size = response->read_file->size;
    return 0;
}

// {"data": "...", "offset": 0}; offset -1 asks for the size.
static int read_text(struct cli_sandbox *sandbox, const char *file, int64_t offset, uint64_t length,
                     const char **ret_data, uint64_t *ret_offset, struct error *err)
{
    char more[64];
    struct cli_answer answer;
    struct cli_json *json;
    snprintf(more, sizeof(more), "&offset=%lld&length=%llu", (long long)offset,
             (unsigned long long)length);
    int r = cli_sandbox_get(sandbox, "read", file, offset < 0 ? "&offset=-1" : more, NULL, NULL,
                            &answer, err);
    if (r == 0) {
        r = cli_json_read(sandbox->cli->arena, answer.body, answer.size, &json, err);
        r = r < 0 ? cli_wrap(err, CLI_ERROR_FAILED, "The answer cannot be read") : 0;
    }
    if (r == 0) {
        *ret_data = cli_json_text(json, "data");
        *ret_offset = (uint64_t)cli_json_number(json, "offset");
    }
    return r;
}

// A character that was cut reads as U+FFFD at the end.
static bool ends_cut(const char *data)
{
    return text_ends_with(data, "\xef\xbf\xbd");
}

static int read_by_master(struct cli_sandbox *sandbox, const char *file, uint64_t offset,
                          struct buf *out, uint64_t *ret_used, uint64_t *ret_size,
                          struct error *err)
{
    const char *data = "";
    uint64_t size, at;
    int r = read_text(sandbox, file, -1, 0, &data, &size, err);
    if (r != 0) {
        return r;
    }
    uint64_t left = size > offset ? size - offset : 0;
    uint64_t length = left < PIECE_SIZE ? left : PIECE_SIZE;
    for (unsigned less = 0; length > 0 && less < CHARACTER_MAX; less++) {
        if (less > 0 && (length <= 1 || !ends_cut(data))) {
            break;
        }
        length -= less > 0;
        r = read_text(sandbox, file, (int64_t)offset, length, &data, &at, err);
        if (r != 0) {
            return r;
        }
    }
    if (length > 0) {
        buf_puts(out, data);
    }
    *ret_used = length;
    *ret_size = size;
    return 0;
}

int cli_sandbox_read(struct cli_sandbox *sandbox, const char *file, uint64_t offset,
                     struct buf *out, uint64_t *ret_next, uint64_t *ret_size, struct error *err)
{
    size_t before = out->size;
    if (!sandbox->is_by_master) {
        struct error direct = {0};
        int r = read_direct(sandbox, file, offset, out, ret_size, &direct);
        if (!goes_by_master(sandbox, r, &direct)) {
            *ret_next = offset + (out->size - before);
            return r < 0 ? error_set(err, r, "%s", direct.text) : 0;
        }
    }
    uint64_t used = 0;
    int r = read_by_master(sandbox, file, offset, out, &used, ret_size, err);
    *ret_next = offset + used;
    return r;
}
