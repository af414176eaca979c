// SPDX-License-Identifier: Apache-2.0
//
// Calls of the agent's operator API about what no agent has yet: resource providers and images.

#include <errno.h>

#include "api/agent_v1.h"
#include "base/mem.h"

static int is_new(const Mesos__V1__ResourceProviderInfo *info, const char *member,
                  struct error *err)
{
    return info->id == NULL ? 0
                            : error_set(err, -EINVAL, "Expecting '%s.info.id' to be unset", member);
}

static int validate_add(const struct api_v1_request *q, struct error *err)
{
    return is_new(((const Mesos__V1__Agent__Call__AddResourceProviderConfig *)q->body)->info,
                  "add_resource_provider_config", err);
}

static int validate_update(const struct api_v1_request *q, struct error *err)
{
    return is_new(((const Mesos__V1__Agent__Call__UpdateResourceProviderConfig *)q->body)->info,
                  "update_resource_provider_config", err);
}

// As Mesos' agent says it that was started without that flag.
static void refuse_config(struct api_v1_request *q)
{
    http_respond_text(q->http, 500, "Missing required flag --resource_provider_config_dir");
}

static void mark_provider_gone(struct api_v1_request *q)
{
    http_respond_text(q->http, 500, "Attempted to remove an unknown resource provider");
}

static void prune_images(struct api_v1_request *q)
{
    http_respond_text(q->http, 501,
                      "There are no images to prune: this agent cannot use images yet "
                      "(--image_providers)");
}

const struct api_v1_row agent_v1_refuse_rows[] = {
    {.name = "ADD_RESOURCE_PROVIDER_CONFIG", .handle = refuse_config, .validate = validate_add},
    {.name = "UPDATE_RESOURCE_PROVIDER_CONFIG",
     .handle = refuse_config,
     .validate = validate_update},
    {.name = "REMOVE_RESOURCE_PROVIDER_CONFIG", .handle = refuse_config},
    {.name = "MARK_RESOURCE_PROVIDER_GONE", .handle = mark_provider_gone},
    {.name = "PRUNE_IMAGES", .handle = prune_images, .is_body_optional = true},
};
const size_t agent_v1_refuse_row_count = ARRAY_COUNT(agent_v1_refuse_rows);
