// SPDX-License-Identifier: Apache-2.0
//
// LAUNCH, WAIT, KILL and REMOVE of containers inside other ones, under their older names
// (..._NESTED_CONTAINER) and the newer ones, and of those that stand alone. A launch is answered
// when the container runs or could not be started, a wait when it has ended.

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "api/agent_container_info.h"
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

// What the master books cannot be taken past it.
static int check_standalone_resources(Mesos__V1__Resource *const *messages, size_t count,
                                      struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        const Mesos__V1__Resource *resource = messages[i];
        if (resource->n_reservations > 0 || resource->reservation != NULL ||
            (resource->role != NULL && strcmp(resource->role, "*") != 0)) {
            return error_set(err, -EINVAL, "'launch_container.resources' must be unreserved");
        }
        if (resource->disk != NULL && resource->disk->persistence != NULL) {
            return error_set(err, -EINVAL,
                             "'launch_container.resources' may not use persistent volumes");
        }
        if (resource->revocable != NULL) {
            return error_set(err, -EINVAL, "'launch_container.resources' must be non-revocable");
        }
    }
    return 0;
}

static int check_launch_amounts(const Mesos__V1__Agent__Call__LaunchContainer *body,
                                struct error *err)
{
    const Mesos__V1__ContainerID *parent = body->container_id->parent;
    if (parent != NULL && parent->parent != NULL && body->n_resources > 0) {
        return error_set(err, -EINVAL,
                         "'launch_container' is invalid: containers nested at the second level or "
                         "greater cannot specify resources");
    }
    if (parent != NULL && parent->parent != NULL && body->n_limits > 0) {
        return error_set(err, -EINVAL,
                         "'launch_container' is invalid: containers nested at the second level or "
                         "greater cannot specify resource limits");
    }
    const Mesos__V1__LinuxInfo *info = body->container != NULL ? body->container->linux_info : NULL;
    if (parent == NULL && info != NULL && info->has_share_cgroups && info->share_cgroups) {
        return error_set(err, -EINVAL,
                         "'launch_container' is invalid: containers without a parent cannot set "
                         "'share_cgroups' to 'true'");
    }
    return 0;
}

static int check_launch(const struct api_v1_request *q, struct error *err)
{
    const Mesos__V1__Agent__Call__LaunchContainer *body = (const void *)q->body;
    int r = check_id(q, err);
    struct error why;
    if (r == 0 && validate_resources(body->resources, body->n_resources, &why) < 0) {
        r = error_set(err, -EINVAL, "Invalid resources: %s", why.text);
    }
    if (r == 0 && id_of(q)->parent == NULL) {
        r = check_standalone_resources(body->resources, body->n_resources, err);
    }
    if (r == 0) {
        r = check_launch_parts(q, err);
    }
    return r < 0 ? r : check_launch_amounts(body, err);
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

// What a launch asks for beside its ContainerInfo.
struct amounts {
    const struct resources *resources;
    struct hard_limits limits;
};

static int read_limits(const struct api_v1_request *q, struct hard_limits *ret_limits,
                       struct error *err)
{
    const struct agent_daemon *d = q->ctx;
    *ret_limits = (struct hard_limits){0};
    if (strcmp(q->name, "LAUNCH_CONTAINER") != 0) {
        return 0;
    }
    const Mesos__V1__Agent__Call__LaunchContainer *body = (const void *)q->body;
    for (size_t i = 0; i < body->n_limits; i++) {
        hard_limits_note(ret_limits, body->limits[i]->key, body->limits[i]->value);
    }
    if ((ret_limits->cpus != HARD_LIMIT_UNSET && !containerizer_limits_cpus(d->containerizer)) ||
        (ret_limits->mem != HARD_LIMIT_UNSET && !containerizer_limits_mem(d->containerizer))) {
        return error_set(err, -ENOTSUP,
                         "Resource limits can only be set when the agent has loaded the isolators "
                         "'cgroups/cpu' and 'cgroups/mem'");
    }
    return 0;
}

static int launch_one(struct api_v1_request *q, const char *container_id, bool is_session,
                      const struct amounts *amounts, struct error *err)
{
    struct agent_daemon *d = q->ctx;
    struct arena *arena = http_arena(q->http);
    const Mesos__V1__CommandInfo *command =
        *(Mesos__V1__CommandInfo **)api_v1_member(q->body, "command");
    if (command == NULL || command->value == NULL) {
        return error_set(err, -EINVAL, "A container without a command is not supported");
    }
    bool is_nested = id_of(q)->parent != NULL;
    char **environment = NULL;
    struct container_nesting nesting = {.is_session = is_session};
    struct container_launch launch = {
        .container_id = container_id,
        .user = d->flags->switch_user ? command->user : NULL,
        .command = command,
        .resources = amounts->resources,
        .limits = amounts->limits,
        .is_standalone = !is_nested,
        .nesting = is_nested ? &nesting : NULL,
        .stdout_name = "stdout",
        .stderr_name = "stderr",
    };
    int r = agent_container_info_read(
        d->containerizer, *(Mesos__V1__ContainerInfo **)api_v1_member(q->body, "container"),
        is_session  ? AGENT_CONTAINER_SESSION
        : is_nested ? AGENT_CONTAINER_NESTED
                    : AGENT_CONTAINER_OUTERMOST,
        arena, &launch, &nesting, err);
    if (r == 0) {
        r = make_environment(command, arena, &environment, err);
    }
    if (r < 0) {
        return r;
    }
    launch.environment = environment;
    if (is_nested) {
        return containerizer_launch_nested(d->containerizer, &launch, err);
    }
    AUTO_FREE char *sandbox = containerizer_standalone_sandbox(d->containerizer, container_id);
    launch.sandbox = sandbox;
    return containerizer_launch(d->containerizer, &launch, err);
}

static void launch(struct api_v1_request *q, bool is_session, Mesos__V1__Resource *const *messages,
                   size_t count)
{
    struct agent_daemon *d = q->ctx;
    const char *container_id = agent_v1_id_text(id_of(q), http_arena(q->http));
    struct error err;
    const struct container_termination *end;
    if (containerizer_nested_end(d->containerizer, container_id, &end) >= 0) {
        // It runs, or it ended and was not removed: whoever lost the answer to the same call before
        // may wait for it now.
        http_respond_status(q->http, 202);
        return;
    }
    AUTO_RESOURCES struct resources *resources = NULL;
    struct amounts amounts;
    int r = resources_from_proto(messages, count, &resources, &err);
    amounts.resources = resources;
    if (r == 0) {
        r = read_limits(q, &amounts.limits, &err);
    }
    if (r == 0) {
        r = launch_one(q, container_id, is_session, &amounts, &err);
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
    int r = containerizer_kill(d->containerizer, container_id, signal, &err);
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
    AUTO_FREE char *trash = agent_sandbox_trash_path(d);
    struct error err;
    int r = containerizer_remove(d->containerizer, container_id, trash, &err);
    if (r < 0) {
        bool is_unknown = r == -ENOENT && id_of(q)->parent == NULL;
        http_respond_text(q->http, is_unknown ? 404 : 500, "%s", err.text);
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
