// SPDX-License-Identifier: Apache-2.0
//
// Finds the leading master and calls it; calls agents. Several addresses are tried in turn; a
// master that does not lead says who does. With zk:// the election tells.

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/timer.h"
#include "cli/cli.h"
#include "cli/cli_walk.h"
#include "election/election.h"
#include "env/env.h"
#include "wire/content.h"

#define ELECTION_WAIT_NS (10 * NS_PER_S)
#define API "/api/v1"

enum { REDIRECTS_MAX = 5, ADDRESSES_MAX = 16 };

// ---- the election ----

struct watch {
    struct env *env;
    struct timer timer;
    struct address leader;
    bool is_found;
    struct error err;
};

static void on_leader(void *ctx, const Mesos__V1__MasterInfo *leader, bool is_self)
{
    (void)is_self;
    struct watch *watch = ctx;
    if (leader != NULL && election_address(leader, watch->leader.host, &watch->leader.port)) {
        watch->is_found = true;
        env_stop(watch->env, 0);
    }
}

static void on_failed(void *ctx, const struct error *why)
{
    struct watch *watch = ctx;
    watch->err = *why;
    env_stop(watch->env, 1);
}

static void on_timeout(struct timer *timer, struct instant now)
{
    (void)now;
    env_stop(CONTAINER_OF(timer, struct watch, timer)->env, 1);
}

static int find_elected(struct cli *cli, struct error *err)
{
    static const struct election_callbacks callbacks = {on_leader, on_failed};
    struct watch watch = {.timer.run = on_timeout};
    struct election_options options = {.url = cli->master, .session_timeout_ns = ELECTION_WAIT_NS};
    struct election *election = NULL;
    int r = env_new(&watch.env, err);
    if (r != 0) {
        return r;
    }
    signal(SIGPIPE, SIG_DFL); // env_new ignores it
    r = election_new(watch.env, &options, &callbacks, &watch, &election, err);
    if (r == 0) {
        env_timer_set(watch.env, &watch.timer, ELECTION_WAIT_NS);
        env_run(watch.env);
        env_timer_cancel(watch.env, &watch.timer);
    }
    election_free(election);
    env_free(watch.env);
    if (r != 0) {
        return r;
    }
    if (!watch.is_found) {
        return watch.err.code != 0
                   ? error_set(err, CLI_ERROR_UNREACHABLE, "%s: %s", cli->master, watch.err.text)
                   : error_set(err, CLI_ERROR_UNREACHABLE,
                               "No leading master was found at %s within %d seconds", cli->master,
                               (int)(ELECTION_WAIT_NS / NS_PER_S));
    }
    cli->leader = watch.leader;
    cli->has_leader = true;
    return 0;
}

// ---- the leader ----

// The same request to `address`, and to whom it sends us. A positive result: this one knows no
// leader, so another may.
static int ask_at(struct cli *cli, const struct address *address, struct cli_request *request,
                  struct cli_answer *ret_answer, struct error *err)
{
    struct address at = *address;
    for (int i = 0; i <= REDIRECTS_MAX; i++) {
        request->address = &at;
        int r = cli_http_ask(cli, request, ret_answer, err);
        if (r != 0) {
            return r;
        }
        if (ret_answer->status == 503) {
            cli_http_check(ret_answer, arena_printf(cli->arena, "%s:%u", at.host, at.port), err);
            return 1;
        }
        if (ret_answer->status != 307 && ret_answer->status != 308) {
            cli->leader = at;
            cli->has_leader = true;
            return 0;
        }
        if (ret_answer->location == NULL ||
            address_parse_location(ret_answer->location, &at, NULL) < 0) {
            return error_set(err, CLI_ERROR_UNREACHABLE, "%s:%u redirects to nowhere", at.host,
                             at.port);
        }
    }
    return error_set(err, CLI_ERROR_UNREACHABLE, "%s:%u: redirected %d times in a row",
                     address->host, address->port, REDIRECTS_MAX);
}

// Tries the addresses of --master in turn.
static int ask_around(struct cli *cli, struct cli_request *request, struct cli_answer *ret_answer,
                      struct error *err)
{
    // Not in the arena: a stream of events clears that while it runs.
    AUTO_FREE char *copy = mem_strdup(cli->master);
    char *rest = copy;
    struct buf why = BUF_INIT;
    int r = 0;
    size_t count = 0;
    for (char *text; (text = strsep(&rest, ",")) != NULL;) {
        struct address address;
        struct error one;
        if (++count > ADDRESSES_MAX) {
            r = error_set(err, CLI_ERROR_USAGE, "--master names more than %d addresses",
                          ADDRESSES_MAX);
            break;
        }
        r = address_parse_master(text_trim(text), &address, err);
        if (r < 0) {
            r = cli_wrap(err, CLI_ERROR_USAGE, "The master from %s", cli->master_source);
            break;
        }
        r = ask_at(cli, &address, request, ret_answer, &one);
        if (r == 0) {
            break;
        }
        buf_printf(&why, "%s%s", why.size > 0 ? "; " : "", one.text);
        if (r < 0 && r != CLI_ERROR_UNREACHABLE) {
            r = error_set(err, r, "%s", one.text);
            break;
        }
        r = error_set(err, CLI_ERROR_UNREACHABLE, "Cannot reach a leading master (%s, from %s): %s",
                      cli->master, cli->master_source, why.data);
    }
    buf_free(&why);
    return r;
}

int cli_master_ask(struct cli *cli, struct cli_request *request, struct cli_answer *ret_answer,
                   struct error *err)
{
    *ret_answer = (struct cli_answer){0};
    request->principal = cli->config.principal;
    request->secret = cli->config.secret;
    int r;
    if (!cli->has_leader && election_is_url(cli->master)) {
        r = find_elected(cli, err);
        if (r < 0) {
            return r == -EINVAL
                       ? cli_wrap(err, CLI_ERROR_USAGE, "The master from %s", cli->master_source)
                       : r;
        }
    }
    if (cli->has_leader) {
        struct address leader = cli->leader;
        r = ask_at(cli, &leader, request, ret_answer, err);
        if (r != 0) {
            return cli_wrap(err, CLI_ERROR_UNREACHABLE, "Cannot reach the leading master");
        }
    } else {
        r = ask_around(cli, request, ret_answer, err);
    }
    return r != 0 ? r : cli_http_check(ret_answer, "The master", err);
}

int cli_master_get(struct cli *cli, const char *target, struct cli_answer *ret_answer,
                   struct error *err)
{
    struct cli_request request = {.method = "GET", .target = target};
    return cli_master_ask(cli, &request, ret_answer, err);
}

// ---- calls ----

static int decode(struct cli *cli, const ProtobufCMessageDescriptor *descriptor,
                  const struct cli_answer *answer, ProtobufCMessage **ret_message,
                  struct error *err)
{
    if (ret_message == NULL) {
        return 0;
    }
    int r = wire_decode(descriptor, cli->arena, answer->body, answer->size, ret_message, err);
    return r < 0 ? cli_wrap(err, CLI_ERROR_FAILED, "The answer cannot be read") : 0;
}

// The call's answer as it came.
static int call_master(struct cli *cli, const Mesos__V1__Master__Call *call,
                       struct cli_answer *ret_answer, struct error *err)
{
    AUTO_BUF struct buf body = BUF_INIT;
    wire_encode(&call->base, &body);
    struct cli_request request = {
        .target = API,
        .content_type = CONTENT_PROTOBUF_NAME,
        .accept = CONTENT_PROTOBUF_NAME,
        .body = body.data,
        .body_size = body.size,
    };
    return cli_master_ask(cli, &request, ret_answer, err);
}

int cli_master_call(struct cli *cli, const Mesos__V1__Master__Call *call,
                    Mesos__V1__Master__Response **ret_response, struct error *err)
{
    struct cli_answer answer;
    int r = call_master(cli, call, &answer, err);
    return r != 0 ? r
                  : decode(cli, &mesos__v1__master__response__descriptor, &answer,
                           (ProtobufCMessage **)ret_response, err);
}

int cli_master_look(struct cli *cli, Mesos__V1__Master__Call__Type type,
                    Mesos__V1__Master__Response **ret_response, struct error *err)
{
    Mesos__V1__Master__Call call = MESOS__V1__MASTER__CALL__INIT;
    call.has_type = true;
    call.type = type;
    return cli_master_call(cli, &call, ret_response, err);
}

int cli_agent_call(struct cli *cli, const struct address *address,
                   const Mesos__V1__Agent__Call *call, Mesos__V1__Agent__Response **ret_response,
                   struct error *err)
{
    AUTO_BUF struct buf body = BUF_INIT;
    wire_encode(&call->base, &body);
    struct cli_request request = {
        .address = address,
        .target = API,
        .content_type = CONTENT_PROTOBUF_NAME,
        .accept = CONTENT_PROTOBUF_NAME,
        .connect_ms = cli->config.agent_timeout_s * 1000,
        .principal = cli->config.agent_principal,
        .secret = cli->config.agent_secret,
        .body = body.data,
        .body_size = body.size,
    };
    struct cli_answer answer;
    int r = cli_http_ask(cli, &request, &answer, err);
    if (r < 0) {
        return cli_wrap(err, r, "Cannot reach the agent");
    }
    r = cli_http_check(&answer, "The agent", err);
    return r != 0 ? r
                  : decode(cli, &mesos__v1__agent__response__descriptor, &answer,
                           (ProtobufCMessage **)ret_response, err);
}

int cli_agent_address(const Mesos__V1__Master__Response__GetAgents__Agent *agent,
                      struct address *ret_address, struct error *err)
{
    // "slave(1)@10.0.0.7:5051"
    const char *at = agent->pid != NULL ? strchr(agent->pid, '@') : NULL;
    if (at != NULL && address_parse(at + 1, ADDRESS_PORT_AGENT, ret_address, NULL) == 0) {
        return 0;
    }
    int r = address_parse(agent->agent_info->hostname, (uint16_t)agent->agent_info->port,
                          ret_address, err);
    return r < 0 ? cli_wrap(err, CLI_ERROR_FAILED, "The agent has no address") : 0;
}

// ---- lists ----

struct task_walk {
    cli_task_fn *on_task;
    void *ctx;
};

static void on_task_message(void *ctx, unsigned number, const ProtobufCMessage *message)
{
    struct task_walk *walk = ctx;
    walk->on_task(walk->ctx, (enum cli_task_list)number, (const Mesos__V1__Task *)message);
}

int cli_master_walk_tasks(struct cli *cli, cli_task_fn *on_task, void *ctx, struct error *err)
{
    static const unsigned path[] = {13, 0}; // get_tasks
    static const struct cli_walk_list lists[] = {
        {CLI_TASKS_ACTIVE, &mesos__v1__task__descriptor},
        {CLI_TASKS_UNREACHABLE, &mesos__v1__task__descriptor},
        {CLI_TASKS_COMPLETED, &mesos__v1__task__descriptor},
    };
    Mesos__V1__Master__Call call = MESOS__V1__MASTER__CALL__INIT;
    call.has_type = true;
    call.type = MESOS__V1__MASTER__CALL__TYPE__GET_TASKS;
    struct cli_answer answer;
    int r = call_master(cli, &call, &answer, err);
    if (r != 0) {
        return r;
    }
    struct task_walk walk = {on_task, ctx};
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    return cli_walk(answer.body, answer.size, path, lists, ARRAY_COUNT(lists), arena,
                    on_task_message, &walk, err);
}

struct agents {
    struct arena *arena;
    Mesos__V1__Master__Response__GetAgents__Agent **items;
    size_t count, capacity;
};

static void on_agent_message(void *ctx, unsigned number, const ProtobufCMessage *message)
{
    (void)number;
    struct agents *agents = ctx;
    if (agents->count + 1 >= agents->capacity) {
        size_t capacity = agents->capacity * 2 + 16;
        void **items = arena_calloc(agents->arena, capacity, sizeof(items[0]));
        if (agents->count > 0) {
            memcpy(items, agents->items, agents->count * sizeof(items[0]));
        }
        agents->items = (void *)items;
        agents->capacity = capacity;
    }
    agents->items[agents->count++] = (void *)wire_copy(agents->arena, message);
}

int cli_master_agents(struct cli *cli, Mesos__V1__Master__Response__GetAgents__Agent ***ret_agents,
                      size_t *ret_count, struct error *err)
{
    static const unsigned path[] = {10, 0}; // get_agents
    static const struct cli_walk_list lists[] = {
        {1, &mesos__v1__master__response__get_agents__agent__descriptor}};
    Mesos__V1__Master__Call call = MESOS__V1__MASTER__CALL__INIT;
    call.has_type = true;
    call.type = MESOS__V1__MASTER__CALL__TYPE__GET_AGENTS;
    struct cli_answer answer;
    int r = call_master(cli, &call, &answer, err);
    struct agents agents = {.arena = cli->arena};
    agents.items = arena_calloc(cli->arena, 1, sizeof(agents.items[0]));
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    if (r == 0) {
        r = cli_walk(answer.body, answer.size, path, lists, 1, arena, on_agent_message, &agents,
                     err);
    }
    *ret_agents = agents.items;
    *ret_count = agents.count;
    return r;
}

int cli_master_frameworks(struct cli *cli, Mesos__V1__Master__Response__GetFrameworks **ret,
                          struct error *err)
{
    Mesos__V1__Master__Response *response;
    int r = cli_master_look(cli, MESOS__V1__MASTER__CALL__TYPE__GET_FRAMEWORKS, &response, err);
    if (r == 0 && response->get_frameworks == NULL) {
        return error_set(err, CLI_ERROR_FAILED, "The master's answer holds no frameworks");
    }
    if (r == 0) {
        *ret = response->get_frameworks;
    }
    return r;
}
