// SPDX-License-Identifier: Apache-2.0
//
// Weights and quotas: /weights and /quota, and the calls of the operator API.

#include <errno.h>
#include <math.h>
#include <string.h>

#include "api/master_v1.h"
#include "base/check.h"
#include "base/text.h"
#include "wire/wire.h"

// The body as text, for the errors that repeat it.
static const char *body_text(struct http_request *r)
{
    size_t size;
    const void *body = http_body(r, &size);
    return size > 512 ? arena_printf(http_arena(r), "%.*s...", 512, (const char *)body)
                      : arena_strndup(http_arena(r), body != NULL ? body : "", size);
}

// ---- weights ----

static size_t make_weights(const struct master *m, struct arena *arena,
                           Mesos__V1__WeightInfo ***ret_infos)
{
    Mesos__V1__WeightInfo **infos =
        arena_calloc(arena, m->weights.count + 1, sizeof(Mesos__V1__WeightInfo *));
    size_t count = 0;
    MAP_FOREACH (&m->weights, entry) {
        Mesos__V1__WeightInfo *info =
            WIRE_NEW(arena, Mesos__V1__WeightInfo, mesos__v1__weight_info);
        info->role = arena_strdup(arena, entry->key);
        info->weight = *(const double *)entry->value;
        infos[count++] = info;
    }
    *ret_infos = infos;
    return count;
}

void master_v1_get_weights(struct api_v1_request *q)
{
    struct master_server *server = q->ctx;
    Mesos__V1__WeightInfo **infos;
    size_t count = make_weights(server->core, http_arena(q->http), &infos);
    ProtobufCMessage *body = api_v1_make_body(q);
    api_v1_set_list(body, "weight_infos", infos, count);
    api_v1_respond(q, body);
}

static void update_weights(struct master_server *server, struct http_request *r,
                           Mesos__V1__WeightInfo *const *infos, size_t count)
{
    struct error err;
    int status = master_update_weights(server->core, infos, count, r, env_now(server->env), &err);
    master_v1_finish(server, r, status, &err);
}

void master_v1_update_weights(struct api_v1_request *q)
{
    const Mesos__V1__Master__Call__UpdateWeights *body =
        (const Mesos__V1__Master__Call__UpdateWeights *)q->body;
    update_weights(q->ctx, q->http, body->weight_infos, body->n_weight_infos);
}

static void weights_endpoint(void *ctx, struct http_request *r)
{
    struct master_server *server = ctx;
    if (!master_require_recovery(server, r) || !api_require_method(r, "GET,PUT"))
        return;
    if (strcmp(http_method(r), "GET") == 0) {
        Mesos__V1__WeightInfo **infos;
        size_t count = make_weights(server->core, http_arena(r), &infos);
        AUTO_BUF struct buf out = BUF_INIT;
        struct json_writer w;
        json_begin(&w, &out);
        json_array_open(&w);
        for (size_t i = 0; i < count; i++)
            wire_json_put(&w, &infos[i]->base);
        json_array_close(&w);
        api_respond_json(r, &out);
        return;
    }
    size_t size;
    const char *body = http_body(r, &size);
    ProtobufCMessage **messages;
    size_t count;
    struct error err;
    int result = wire_json_decode_list(&mesos__v1__weight_info__descriptor, http_arena(r), body,
                                       size, &messages, &count, &err);
    if (result < 0) {
        http_respond_text(r, 400, "%s '%s': %s",
                          result == -EINVAL ? "Failed to convert weights JSON array to protobuf"
                                            : "Failed to parse update weights request JSON",
                          body_text(r), err.text);
        return;
    }
    update_weights(server, r, (Mesos__V1__WeightInfo *const *)messages, count);
}

// ---- quotas ----

static Mesos__V1__Quota__QuotaInfo *make_info(struct arena *arena,
                                              const Mesos__V1__Quota__QuotaConfig *config)
{
    Mesos__V1__Quota__QuotaInfo *info =
        WIRE_NEW(arena, Mesos__V1__Quota__QuotaInfo, mesos__v1__quota__quota_info);
    info->role = config->role;
    info->guarantee = arena_calloc(arena, config->n_guarantees + 1, sizeof(*info->guarantee));
    for (size_t i = 0; i < config->n_guarantees; i++) {
        Mesos__V1__Resource *resource = WIRE_NEW(arena, Mesos__V1__Resource, mesos__v1__resource);
        resource->name = config->guarantees[i]->key;
        resource->type = MESOS__V1__VALUE__TYPE__SCALAR;
        resource->scalar = config->guarantees[i]->value;
        info->guarantee[info->n_guarantee++] = resource;
    }
    return info;
}

static Mesos__V1__Quota__QuotaStatus *make_status(const struct master *m, struct arena *arena)
{
    Mesos__V1__Quota__QuotaStatus *status =
        WIRE_NEW(arena, Mesos__V1__Quota__QuotaStatus, mesos__v1__quota__quota_status);
    status->infos = arena_calloc(arena, m->quotas.count + 1, sizeof(*status->infos));
    status->configs = arena_calloc(arena, m->quotas.count + 1, sizeof(*status->configs));
    MAP_FOREACH (&m->quotas, entry) {
        const struct quota *quota = entry->value;
        status->infos[status->n_infos++] = make_info(arena, quota->config);
        status->configs[status->n_configs++] = quota->config;
    }
    return status;
}

void master_v1_get_quota(struct api_v1_request *q)
{
    struct master_server *server = q->ctx;
    Mesos__V1__Master__Response__GetQuota *body =
        (Mesos__V1__Master__Response__GetQuota *)api_v1_make_body(q);
    body->status = make_status(server->core, http_arena(q->http));
    api_v1_respond(q, &body->base);
}

void master_v1_update_quota(struct api_v1_request *q)
{
    struct master_server *server = q->ctx;
    const Mesos__V1__Master__Call__UpdateQuota *body =
        (const Mesos__V1__Master__Call__UpdateQuota *)q->body;
    struct error err;
    int status =
        master_update_quota(server->core, body->quota_configs, body->n_quota_configs,
                            body->has_force && body->force, q->http, env_now(server->env), &err);
    master_v1_finish(server, q->http, status, &err);
}

static void set_quota(struct master_server *server, struct http_request *r,
                      const Mesos__V1__Quota__QuotaRequest *request)
{
    struct error err;
    int status = master_set_quota(server->core, request, r, env_now(server->env), &err);
    master_v1_finish(server, r, status, &err);
}

void master_v1_set_quota(struct api_v1_request *q)
{
    set_quota(q->ctx, q->http, ((const Mesos__V1__Master__Call__SetQuota *)q->body)->quota_request);
}

void master_v1_remove_quota(struct api_v1_request *q)
{
    struct master_server *server = q->ctx;
    const Mesos__V1__Master__Call__RemoveQuota *body =
        (const Mesos__V1__Master__Call__RemoveQuota *)q->body;
    struct error err;
    int status =
        master_remove_quota(server->core, body->role, NULL, q->http, env_now(server->env), &err);
    master_v1_finish(server, q->http, status, &err);
}

static void post_quota(struct master_server *server, struct http_request *r)
{
    size_t size;
    const char *body = http_body(r, &size);
    ProtobufCMessage *message;
    struct error err;
    int result = wire_json_decode(&mesos__v1__quota__quota_request__descriptor, http_arena(r), body,
                                  size, &message, &err);
    if (result < 0) {
        http_respond_text(r, 400, "Failed to %s set quota request JSON '%s': %s",
                          result == -EINVAL ? "validate" : "parse", body_text(r), err.text);
        return;
    }
    set_quota(server, r, (const Mesos__V1__Quota__QuotaRequest *)message);
}

// The role is what follows /quota/ (or /master/quota/); it may have slashes.
static void delete_quota(struct master_server *server, struct http_request *r)
{
    const char *path = http_path(r);
    const char *rest = text_starts_with(path, "/master/") ? path + strlen("/master") : path;
    rest += strlen("/quota");
    while (*rest == '/')
        rest++;
    const char *whole =
        arena_printf(http_arena(r), "/master%s",
                     text_starts_with(path, "/master/") ? path + strlen("/master") : path);
    if (*rest == '\0') {
        http_respond_text(r, 400,
                          "Failed to parse remove quota request for path '%s': expected 3 tokens, "
                          "found 2 tokens",
                          whole);
        return;
    }
    struct error err;
    int status = master_remove_quota(server->core, rest, whole, r, env_now(server->env), &err);
    master_v1_finish(server, r, status, &err);
}

static void quota_endpoint(void *ctx, struct http_request *r)
{
    struct master_server *server = ctx;
    if (!master_require_recovery(server, r) || !api_require_method(r, "GET,POST,DELETE"))
        return;
    if (strcmp(http_method(r), "GET") == 0)
        api_respond_json_message(r, &make_status(server->core, http_arena(r))->base);
    else if (strcmp(http_method(r), "POST") == 0)
        post_quota(server, r);
    else
        delete_quota(server, r);
}

static const struct api_route routes[] = {
    {"/weights", NULL, weights_endpoint, "The weights of roles; PUT changes them."},
    {"/quota", NULL, quota_endpoint,
     "The quotas of roles; POST sets one, DELETE of /quota/<role> removes it."},
};

void master_quota_add_routes(struct master_server *server)
{
    api_router_add(server->router, routes, ARRAY_COUNT(routes), server);
}
