// SPDX-License-Identifier: Apache-2.0
//
// LAUNCH, WAIT, KILL and REMOVE of containers inside executors' containers, under their older names
// (..._NESTED_CONTAINER) and the newer ones. A launch is answered when the container runs or could
// not be started, a wait when it has ended.

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "api/agent_v1.h"
#include "base/check.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "model/resources.h"
#include "model/validate.h"
#include "wire/wire.h"

// Requests that wait for one container.
struct agent_v1_waiters {
    struct list launches; // struct waiter
    struct list waits;
};

struct waiter {
    struct list link;
    struct api_v1_request *q;
    char *container_id;
    bool is_session; // to be answered with its output
};

// ---- waiting ----

static void waiter_free(struct waiter *waiter)
{
    list_remove(&waiter->link);
    mem_free(waiter->container_id);
    mem_free(waiter);
}

static void drop_if_empty(struct agent_daemon *d, const char *container_id)
{
    struct agent_v1_waiters *waiters = map_get(&d->v1_waiters, container_id);
    if (waiters != NULL && list_is_empty(&waiters->launches) && list_is_empty(&waiters->waits)) {
        map_remove(&d->v1_waiters, container_id);
        mem_free(waiters);
    }
}

// The client has gone: nobody wants to know any more.
static void on_abort(void *ctx, struct http_request *r)
{
    (void)r;
    struct waiter *waiter = ctx;
    struct agent_daemon *d = waiter->q->ctx;
    AUTO_FREE char *container_id = mem_strdup(waiter->container_id);
    if (waiter->is_session) {
        containerizer_destroy(d->containerizer, container_id);
    }
    waiter_free(waiter);
    drop_if_empty(d, container_id);
}

static struct waiter *wait_for(struct api_v1_request *q, const char *container_id, bool is_launch)
{
    struct agent_daemon *d = q->ctx;
    struct agent_v1_waiters *waiters = map_get(&d->v1_waiters, container_id);
    if (waiters == NULL) {
        waiters = mem_zalloc(sizeof(*waiters));
        list_init(&waiters->launches);
        list_init(&waiters->waits);
        map_put(&d->v1_waiters, container_id, waiters);
    }
    struct waiter *waiter = mem_zalloc(sizeof(*waiter));
    waiter->q = q;
    waiter->container_id = mem_strdup(container_id);
    list_append(is_launch ? &waiters->launches : &waiters->waits, &waiter->link);
    http_on_abort(q->http, on_abort, waiter);
    return waiter;
}

static struct api_v1_request *take(struct list *waiters, bool *ret_is_session)
{
    if (list_is_empty(waiters)) {
        return NULL;
    }
    struct waiter *waiter = LIST_ENTRY(waiters->next, struct waiter, link);
    struct api_v1_request *q = waiter->q;
    *ret_is_session = waiter->is_session;
    http_on_abort(q->http, NULL, NULL);
    waiter_free(waiter);
    return q;
}

void agent_v1_container_launched(struct agent_daemon *d, const char *container_id)
{
    struct agent_v1_waiters *waiters = map_get(&d->v1_waiters, container_id);
    struct api_v1_request *q;
    bool is_session;
    while (waiters != NULL && (q = take(&waiters->launches, &is_session)) != NULL) {
        if (is_session) {
            agent_v1_begin_output(q, container_id, true);
        } else {
            api_v1_respond_ok(q);
        }
    }
    drop_if_empty(d, container_id);
}

// The members of both responses have the same names.
static void respond_end(struct api_v1_request *q, const struct container_termination *termination)
{
    struct arena *arena = http_arena(q->http);
    ProtobufCMessage *body = api_v1_make_body(q);
    if (termination->has_status) {
        api_v1_set_has(body, "exit_status");
        *(int32_t *)api_v1_member(body, "exit_status") = termination->status;
    }
    if (termination->has_reason) {
        // As Mesos' isolators and launcher say it: what went wrong was not the command's doing.
        api_v1_set_has(body, "state");
        *(Mesos__V1__TaskState *)api_v1_member(body, "state") = MESOS__V1__TASK_STATE__TASK_FAILED;
        api_v1_set_has(body, "reason");
        *(Mesos__V1__TaskStatus__Reason *)api_v1_member(body, "reason") = termination->reason;
    }
    *(char **)api_v1_member(body, "message") = arena_strdup(arena, termination->message);
    if (termination->limited != NULL) {
        Mesos__V1__TaskResourceLimitation *limitation =
            WIRE_NEW(arena, Mesos__V1__TaskResourceLimitation, mesos__v1__task_resource_limitation);
        limitation->n_resources = resources_to_proto(
            termination->limited, arena, RESOURCES_NEW_FORM, false, &limitation->resources);
        *(Mesos__V1__TaskResourceLimitation **)api_v1_member(body, "limitation") = limitation;
    }
    api_v1_respond(q, body);
}

void agent_v1_container_terminated(struct agent_daemon *d, const char *container_id,
                                   const struct container_termination *termination)
{
    struct agent_v1_waiters *waiters = map_get(&d->v1_waiters, container_id);
    struct api_v1_request *q;
    bool is_session;
    while (waiters != NULL && (q = take(&waiters->launches, &is_session)) != NULL) {
        http_respond_text(q->http, 400, "%s",
                          termination->message != NULL ? termination->message
                                                       : "Container destroyed while launching");
    }
    while (waiters != NULL && (q = take(&waiters->waits, &is_session)) != NULL) {
        respond_end(q, termination);
    }
    drop_if_empty(d, container_id);
}

void agent_v1_containers_free(struct agent_daemon *d)
{
    MAP_FOREACH (&d->v1_waiters, entry) {
        struct agent_v1_waiters *waiters = entry->value;
        bool is_session;
        while (take(&waiters->launches, &is_session) != NULL ||
               take(&waiters->waits, &is_session) != NULL) {
        }
        mem_free(waiters);
    }
    map_free(&d->v1_waiters);
}

// ---- checks ----

// "launch_container", for a text.
static const char *member_name(const struct api_v1_request *q)
{
    char *name = arena_strdup(http_arena(q->http), q->name);
    for (char *at = name; *at != '\0'; at++) {
        *at = *at >= 'A' && *at <= 'Z' ? (char)(*at - 'A' + 'a') : *at;
    }
    return name;
}

static const Mesos__V1__ContainerID *id_of(const struct api_v1_request *q)
{
    return *(Mesos__V1__ContainerID **)api_v1_member(q->body, "container_id");
}

static int check_id(const struct api_v1_request *q, struct error *err)
{
    const char *name = member_name(q);
    int r = agent_v1_check_id(id_of(q), err);
    if (r < 0) {
        return error_wrap(err, r, "'%s.container_id' is invalid", name);
    }
    // The newer names could also mean containers that stand alone.
    if (id_of(q)->parent == NULL && strstr(name, "_nested_") != NULL) {
        return error_set(err, -EINVAL, "Expecting '%s.container_id.parent' to be present", name);
    }
    return 0;
}

static int check_launch_parts(const struct api_v1_request *q, struct error *err)
{
    const char *name = member_name(q);
    const Mesos__V1__CommandInfo *command =
        *(Mesos__V1__CommandInfo **)api_v1_member(q->body, "command");
    const Mesos__V1__ContainerInfo *container =
        *(Mesos__V1__ContainerInfo **)api_v1_member(q->body, "container");
    struct error why;
    if (command != NULL && validate_command(command, &why) < 0) {
        return error_set(err, -EINVAL, "'%s.command' is invalid: %s", name, why.text);
    }
    if (container != NULL && validate_container(container, &why) < 0) {
        return error_set(err, -EINVAL, "'%s.container' is invalid: %s", name, why.text);
    }
    if (id_of(q)->parent != NULL && id_of(q)->parent->parent != NULL &&
        !validate_shares_cgroups(container)) {
        return error_set(err, -EINVAL,
                         "'%s' is invalid: containers nested at the second level or greater cannot "
                         "set 'share_cgroups' to 'false'",
                         name);
    }
    return 0;
}

static int check_launch_nested(const struct api_v1_request *q, struct error *err)
{
    int r = check_id(q, err);
    return r < 0 ? r : check_launch_parts(q, err);
}

static int check_launch(const struct api_v1_request *q, struct error *err)
{
    const Mesos__V1__Agent__Call__LaunchContainer *body = (const void *)q->body;
    int r = check_id(q, err);
    struct error why;
    if (r == 0 && validate_resources(body->resources, body->n_resources, &why) < 0) {
        r = error_set(err, -EINVAL, "Invalid resources: %s", why.text);
    }
    return r < 0 ? r : check_launch_parts(q, err);
}

// ---- the calls ----

static void not_found(struct api_v1_request *q, const char *container_id)
{
    http_respond_text(q->http, 404, "Container %s cannot be found", container_id);
}

static int make_environment(const Mesos__V1__CommandInfo *command, struct arena *arena,
                            char ***ret_environment, struct error *err)
{
    size_t count = command->environment != NULL ? command->environment->n_variables : 0;
    char **environment = arena_calloc(arena, count + 1, sizeof(environment[0]));
    for (size_t i = 0; i < count; i++) {
        const Mesos__V1__Environment__Variable *v = command->environment->variables[i];
        if (v->type != MESOS__V1__ENVIRONMENT__VARIABLE__TYPE__VALUE) {
            return error_set(err, -ENOTSUP,
                             "Environment variable '%s' is a secret, which is not supported by "
                             "this agent",
                             v->name);
        }
        environment[i] = arena_printf(arena, "%s=%s", v->name, v->value != NULL ? v->value : "");
    }
    *ret_environment = environment;
    return 0;
}

static int launch_nested(struct api_v1_request *q, const char *container_id, bool is_session,
                         const struct resources *resources, struct error *err)
{
    struct agent_daemon *d = q->ctx;
    struct arena *arena = http_arena(q->http);
    const Mesos__V1__CommandInfo *command =
        *(Mesos__V1__CommandInfo **)api_v1_member(q->body, "command");
    if (command == NULL || command->value == NULL) {
        return error_set(err, -EINVAL, "A container without a command is not supported");
    }
    struct agent_v1_info info;
    char **environment = NULL;
    int r = agent_v1_read_info(*(Mesos__V1__ContainerInfo **)api_v1_member(q->body, "container"),
                               is_session, arena, &info, err);
    if (r == 0 && info.has_tty && !is_session) {
        r = error_set(err, -ENOTSUP, "A terminal is only for sessions on this agent");
    }
    if (r == 0) {
        r = make_environment(command, arena, &environment, err);
    }
    if (r < 0) {
        return r;
    }
    struct container_nesting nesting = {
        .owns_limits = info.owns_limits,
        .is_session = is_session,
        .has_tty = info.has_tty,
        .tty_rows = info.rows,
        .tty_columns = info.columns,
        .links = info.links,
        .link_count = info.link_count,
    };
    struct container_launch launch = {
        .container_id = container_id,
        .user = d->flags->switch_user ? command->user : NULL,
        .command = command,
        .environment = environment,
        .resources = resources,
        .rlimits = info.rlimits,
        .rlimit_count = info.rlimit_count,
        .nesting = &nesting,
    };
    return containerizer_launch_nested(d->containerizer, &launch, err);
}

static void launch(struct api_v1_request *q, bool is_session, Mesos__V1__Resource *const *messages,
                   size_t count)
{
    struct agent_daemon *d = q->ctx;
    const char *container_id = agent_v1_id_text(id_of(q), http_arena(q->http));
    struct error err;
    const struct container_termination *end;
    if (id_of(q)->parent == NULL) {
        http_respond_text(q->http, 400,
                          "Containers without a parent are not supported by this agent");
        return;
    }
    if (containerizer_nested_end(d->containerizer, container_id, &end) >= 0) {
        // It runs, or it ended and was not removed: whoever lost the answer to the same call before
        // may wait for it now.
        http_respond(q->http, 202, NULL, NULL, 0, NULL, 0);
        return;
    }
    AUTO_RESOURCES struct resources *resources = NULL;
    int r = resources_from_proto(messages, count, &resources, &err);
    if (r == 0) {
        r = launch_nested(q, container_id, is_session, resources, &err);
    }
    if (r < 0) {
        log_warning("Failed to launch container %s: %s", container_id, err.text);
        // What is there but not known is on its way out (its launch was cut short).
        http_respond_text(q->http, r == -EEXIST ? 503 : 400, "%s", err.text);
        return;
    }
    log_info("Launching container %s", container_id);
    wait_for(q, container_id, true)->is_session = is_session;
}

static void launch_nested_container(struct api_v1_request *q)
{
    launch(q, false, NULL, 0);
}

static int check_launch_session(const struct api_v1_request *q, struct error *err)
{
    int r = check_launch_nested(q, err);
    const Mesos__V1__Agent__Call__LaunchNestedContainerSession *body = (const void *)q->body;
    if (r == 0 && body->container != NULL && !validate_shares_cgroups(body->container)) {
        r = error_set(err, -EINVAL,
                      "'launch_nested_container_session.container.linux_info' is invalid: "
                      "'share_cgroups' cannot be set to 'false' for nested container sessions");
    }
    return r;
}

static void launch_session(struct api_v1_request *q)
{
    launch(q, true, NULL, 0);
}

static void launch_container(struct api_v1_request *q)
{
    const Mesos__V1__Agent__Call__LaunchContainer *body = (const void *)q->body;
    if (body->n_limits > 0) {
        http_respond_text(q->http, 400, "Resource limits are not supported by this agent");
        return;
    }
    launch(q, false, body->resources, body->n_resources);
}

static void wait_container(struct api_v1_request *q)
{
    struct agent_daemon *d = q->ctx;
    const char *container_id = agent_v1_id_text(id_of(q), http_arena(q->http));
    const struct container_termination *end;
    int r = containerizer_nested_end(d->containerizer, container_id, &end);
    if (r < 0) {
        not_found(q, container_id);
    } else if (r == 0) {
        respond_end(q, end);
    } else {
        wait_for(q, container_id, false);
    }
}

static void kill_container(struct api_v1_request *q)
{
    struct agent_daemon *d = q->ctx;
    const char *container_id = agent_v1_id_text(id_of(q), http_arena(q->http));
    int signal =
        api_v1_has(q->body, "signal") ? *(int32_t *)api_v1_member(q->body, "signal") : SIGKILL;
    struct error err;
    int r = id_of(q)->parent == NULL
                ? error_set(&err, -ENOENT, "Container '%s' cannot be found (or is already killed)",
                            container_id)
                : containerizer_kill(d->containerizer, container_id, signal, &err);
    if (r < 0) {
        http_respond_text(q->http, r == -ENOENT ? 404 : 500, "%s", err.text);
    } else {
        api_v1_respond_ok(q);
    }
}

static void remove_container(struct api_v1_request *q)
{
    struct agent_daemon *d = q->ctx;
    const char *container_id = agent_v1_id_text(id_of(q), http_arena(q->http));
    if (id_of(q)->parent == NULL) {
        not_found(q, container_id);
        return;
    }
    AUTO_FREE char *trash = agent_sandbox_trash_path(d);
    struct error err;
    if (containerizer_remove_nested(d->containerizer, container_id, trash, &err) < 0) {
        http_respond_text(q->http, 500, "%s", err.text);
        return;
    }
    agent_sandbox_discard(d, trash);
    api_v1_respond_ok(q);
}

const struct api_v1_row agent_v1_container_rows[] = {
    {"LAUNCH_NESTED_CONTAINER", launch_nested_container, check_launch_nested, false, false},
    {"WAIT_NESTED_CONTAINER", wait_container, check_id, false, false},
    {"KILL_NESTED_CONTAINER", kill_container, check_id, false, false},
    {"REMOVE_NESTED_CONTAINER", remove_container, check_id, false, false},
    {"LAUNCH_NESTED_CONTAINER_SESSION", launch_session, check_launch_session, false, true},
    {"LAUNCH_CONTAINER", launch_container, check_launch, false, false},
    {"WAIT_CONTAINER", wait_container, check_id, false, false},
    {"KILL_CONTAINER", kill_container, check_id, false, false},
    {"REMOVE_CONTAINER", remove_container, check_id, false, false},
};
const size_t agent_v1_container_row_count = ARRAY_COUNT(agent_v1_container_rows);
