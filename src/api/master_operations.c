// SPDX-License-Identifier: Apache-2.0
//
// Operations on agents' resources by operators: the calls of the v1 API, and /reserve, /unreserve,
// /create-volumes and /destroy-volumes; and which operations there are.

#include <errno.h>
#include <string.h>

#include "api/master_v1.h"
#include "base/check.h"
#include "wire/wire.h"

#define OPERATION(NAME) MESOS__V1__OFFER__OPERATION__TYPE__##NAME

// Answers with what the core says of it.
static void operate(struct master_server *server, struct http_request *r, const char *agent_id,
                    Mesos__V1__Offer__Operation *operation, Mesos__V1__Offer__Operation__Type type)
{
    operation->has_type = true;
    operation->type = type;
    const char *text = NULL;
    // Nobody is authenticated, so there is no principal to compare with.
    int status =
        master_operate(server->core, agent_id, operation, NULL, env_now(server->env), &text);
    if (text != NULL)
        http_respond_text(r, status, "%s", text);
    else
        http_respond_status(r, status);
    master_server_touch(server);
}

static void reserve(struct master_server *server, struct http_request *r, const char *agent_id,
                    Mesos__V1__Resource **source, size_t source_count,
                    Mesos__V1__Resource **resources, size_t count)
{
    Mesos__V1__Offer__Operation operation = MESOS__V1__OFFER__OPERATION__INIT;
    Mesos__V1__Offer__Operation__Reserve body = MESOS__V1__OFFER__OPERATION__RESERVE__INIT;
    body.source = source;
    body.n_source = source_count;
    body.resources = resources;
    body.n_resources = count;
    operation.reserve = &body;
    operate(server, r, agent_id, &operation, OPERATION(RESERVE));
}

static void unreserve(struct master_server *server, struct http_request *r, const char *agent_id,
                      Mesos__V1__Resource **resources, size_t count)
{
    Mesos__V1__Offer__Operation operation = MESOS__V1__OFFER__OPERATION__INIT;
    Mesos__V1__Offer__Operation__Unreserve body = MESOS__V1__OFFER__OPERATION__UNRESERVE__INIT;
    body.resources = resources;
    body.n_resources = count;
    operation.unreserve = &body;
    operate(server, r, agent_id, &operation, OPERATION(UNRESERVE));
}

static void create(struct master_server *server, struct http_request *r, const char *agent_id,
                   Mesos__V1__Resource **volumes, size_t count)
{
    Mesos__V1__Offer__Operation operation = MESOS__V1__OFFER__OPERATION__INIT;
    Mesos__V1__Offer__Operation__Create body = MESOS__V1__OFFER__OPERATION__CREATE__INIT;
    body.volumes = volumes;
    body.n_volumes = count;
    operation.create = &body;
    operate(server, r, agent_id, &operation, OPERATION(CREATE));
}

static void destroy(struct master_server *server, struct http_request *r, const char *agent_id,
                    Mesos__V1__Resource **volumes, size_t count)
{
    Mesos__V1__Offer__Operation operation = MESOS__V1__OFFER__OPERATION__INIT;
    Mesos__V1__Offer__Operation__Destroy body = MESOS__V1__OFFER__OPERATION__DESTROY__INIT;
    body.volumes = volumes;
    body.n_volumes = count;
    operation.destroy = &body;
    operate(server, r, agent_id, &operation, OPERATION(DESTROY));
}

// ---- the v1 API ----

void master_v1_reserve_resources(struct api_v1_request *q)
{
    const Mesos__V1__Master__Call__ReserveResources *body =
        (const Mesos__V1__Master__Call__ReserveResources *)q->body;
    reserve(q->ctx, q->http, body->agent_id->value, body->source, body->n_source, body->resources,
            body->n_resources);
}

void master_v1_unreserve_resources(struct api_v1_request *q)
{
    const Mesos__V1__Master__Call__UnreserveResources *body =
        (const Mesos__V1__Master__Call__UnreserveResources *)q->body;
    unreserve(q->ctx, q->http, body->agent_id->value, body->resources, body->n_resources);
}

void master_v1_create_volumes(struct api_v1_request *q)
{
    const Mesos__V1__Master__Call__CreateVolumes *body =
        (const Mesos__V1__Master__Call__CreateVolumes *)q->body;
    create(q->ctx, q->http, body->agent_id->value, body->volumes, body->n_volumes);
}

void master_v1_destroy_volumes(struct api_v1_request *q)
{
    const Mesos__V1__Master__Call__DestroyVolumes *body =
        (const Mesos__V1__Master__Call__DestroyVolumes *)q->body;
    destroy(q->ctx, q->http, body->agent_id->value, body->volumes, body->n_volumes);
}

static int check_agent_id(const Mesos__V1__AgentID *agent_id, struct error *err)
{
    return agent_id != NULL
               ? 0
               : error_set(err, -EINVAL,
                           "Expecting 'agent_id' to be present; only agent default resources are "
                           "supported right now");
}

int master_v1_check_grow_volume(const struct api_v1_request *q, struct error *err)
{
    return check_agent_id(((const Mesos__V1__Master__Call__GrowVolume *)q->body)->agent_id, err);
}

int master_v1_check_shrink_volume(const struct api_v1_request *q, struct error *err)
{
    return check_agent_id(((const Mesos__V1__Master__Call__ShrinkVolume *)q->body)->agent_id, err);
}

void master_v1_grow_volume(struct api_v1_request *q)
{
    const Mesos__V1__Master__Call__GrowVolume *call =
        (const Mesos__V1__Master__Call__GrowVolume *)q->body;
    Mesos__V1__Offer__Operation operation = MESOS__V1__OFFER__OPERATION__INIT;
    Mesos__V1__Offer__Operation__GrowVolume body = MESOS__V1__OFFER__OPERATION__GROW_VOLUME__INIT;
    body.volume = call->volume;
    body.addition = call->addition;
    operation.grow_volume = &body;
    operate(q->ctx, q->http, call->agent_id->value, &operation, OPERATION(GROW_VOLUME));
}

void master_v1_shrink_volume(struct api_v1_request *q)
{
    const Mesos__V1__Master__Call__ShrinkVolume *call =
        (const Mesos__V1__Master__Call__ShrinkVolume *)q->body;
    Mesos__V1__Offer__Operation operation = MESOS__V1__OFFER__OPERATION__INIT;
    Mesos__V1__Offer__Operation__ShrinkVolume body =
        MESOS__V1__OFFER__OPERATION__SHRINK_VOLUME__INIT;
    body.volume = call->volume;
    body.subtract = call->subtract;
    operation.shrink_volume = &body;
    operate(q->ctx, q->http, call->agent_id->value, &operation, OPERATION(SHRINK_VOLUME));
}

void master_v1_get_operations(struct api_v1_request *q)
{
    struct master_server *server = q->ctx;
    const struct master *m = server->core;
    struct arena *arena = http_arena(q->http);
    Mesos__V1__Operation **operations =
        arena_calloc(arena, m->operations.count + 1, sizeof(Mesos__V1__Operation *));
    size_t count = 0;
    MAP_FOREACH (&m->operations, entry)
        operations[count++] = master_operation_message(entry->value, arena);
    ProtobufCMessage *body = api_v1_make_body(q);
    api_v1_set_list(body, "operations", operations, count);
    api_v1_respond(q, body);
}

// ---- the v0 endpoints ----

struct form {
    const char *agent_id;
    Mesos__V1__Resource **resources;
    size_t count;
};

// `text` starts Mesos' message, which differs between the endpoints.
static bool read_list(struct http_request *r, const char *field, const char *text,
                      Mesos__V1__Resource ***ret_list, size_t *ret_count)
{
    const char *value = http_form(r, field);
    if (value == NULL) {
        http_respond_text(r, 400, "Missing '%s' query parameter in the request body", field);
        return false;
    }
    ProtobufCMessage **messages;
    struct error err;
    if (wire_json_decode_list(&mesos__v1__resource__descriptor, http_arena(r), value, strlen(value),
                              &messages, ret_count, &err) < 0) {
        http_respond_text(r, 400, "%s '%s' query parameter in the request body: %s", text, field,
                          err.text);
        return false;
    }
    *ret_list = (Mesos__V1__Resource **)messages;
    return true;
}

static bool read_form(struct master_server *server, struct http_request *r, const char *field,
                      const char *text, struct form *form)
{
    if (!master_require_recovery(server, r) || !api_require_method(r, "POST"))
        return false;
    form->agent_id = http_form(r, "slaveId");
    if (form->agent_id == NULL) {
        http_respond_text(r, 400, "Missing 'slaveId' query parameter in the request body");
        return false;
    }
    return read_list(r, field, text, &form->resources, &form->count);
}

static void reserve_endpoint(void *ctx, struct http_request *r)
{
    struct form form;
    Mesos__V1__Resource **source = NULL;
    size_t source_count = 0;
    if (!read_form(ctx, r, "resources", "Error parsing", &form))
        return;
    if (http_form(r, "source") != NULL &&
        !read_list(r, "source", "Error parsing", &source, &source_count))
        return;
    reserve(ctx, r, form.agent_id, source, source_count, form.resources, form.count);
}

static void unreserve_endpoint(void *ctx, struct http_request *r)
{
    struct form form;
    if (read_form(ctx, r, "resources", "Error in parsing", &form))
        unreserve(ctx, r, form.agent_id, form.resources, form.count);
}

static void create_endpoint(void *ctx, struct http_request *r)
{
    struct form form;
    if (read_form(ctx, r, "volumes", "Error in parsing", &form))
        create(ctx, r, form.agent_id, form.resources, form.count);
}

static void destroy_endpoint(void *ctx, struct http_request *r)
{
    struct form form;
    if (read_form(ctx, r, "volumes", "Error in parsing", &form))
        destroy(ctx, r, form.agent_id, form.resources, form.count);
}

static const struct api_route routes[] = {
    {"/reserve", NULL, reserve_endpoint, "Reserves resources of an agent for a role."},
    {"/unreserve", NULL, unreserve_endpoint, "Takes reservations of an agent's resources back."},
    {"/create-volumes", NULL, create_endpoint, "Makes persistent volumes of reserved disk."},
    {"/destroy-volumes", NULL, destroy_endpoint, "Destroys persistent volumes, and their data."},
};

void master_operations_add_routes(struct master_server *server)
{
    api_router_add(server->router, routes, ARRAY_COUNT(routes), server);
}
