// SPDX-License-Identifier: Apache-2.0
//
// What tests of operations begin with: a master with one agent and one framework that was offered
// all of it, and operations written as JSON.

#pragma once

#include "world.h"

#define STATE(NAME) MESOS__V1__OPERATION_STATE__OPERATION_##NAME

#define CAPABILITIES                                                                               \
    "\"capabilities\":[{\"type\":\"MULTI_ROLE\"},{\"type\":\"HIERARCHICAL_ROLE\"},{\"type\":"      \
    "\"RESERVATION_REFINEMENT\"},{\"type\":\"RESOURCE_PROVIDER\"},{\"type\":\"RESIZE_VOLUME\"},"   \
    "{\"type\":\"AGENT_OPERATION_FEEDBACK\"}]"
#define DYNAMIC "\"reservations\":[{\"type\":\"DYNAMIC\",\"role\":\"r\",\"principal\":\"p\"}]"
#define SCALAR(name, value)                                                                        \
    "\"name\":\"" name "\",\"type\":\"SCALAR\",\"scalar\":{\"value\":" value "}"
#define CPUS(value) "{" SCALAR("cpus", value) "," DYNAMIC "}"
#define DISK(value) "{" SCALAR("disk", value) "," DYNAMIC "}"
#define VOLUME(id, value)                                                                          \
    "{" SCALAR("disk", value) "," DYNAMIC ",\"disk\":{\"persistence\":{\"id\":\"" id               \
                              "\",\"principal\":\"p\"},\"volume\":{\"mode\":\"RW\","               \
                              "\"container_path\":\"data\"}}}"
#define SHARED(id, value)                                                                          \
    "{" SCALAR("disk", value) "," DYNAMIC ",\"shared\":{},\"disk\":{\"persistence\":{\"id\":\"" id \
                              "\",\"principal\":\"p\"},\"volume\":{\"mode\":\"RW\","               \
                              "\"container_path\":\"data\"}}}"
#define RESERVE(id, resources)                                                                     \
    "{" id "\"type\":\"RESERVE\",\"reserve\":{\"resources\":[" resources "]}}"
#define UNRESERVE(id, resources)                                                                   \
    "{" id "\"type\":\"UNRESERVE\",\"unreserve\":{\"resources\":[" resources "]}}"
#define CREATE(id, volumes) "{" id "\"type\":\"CREATE\",\"create\":{\"volumes\":[" volumes "]}}"
#define DESTROY(id, volumes) "{" id "\"type\":\"DESTROY\",\"destroy\":{\"volumes\":[" volumes "]}}"
#define GROW(id, volume, addition)                                                                 \
    "{" id "\"type\":\"GROW_VOLUME\",\"grow_volume\":{\"volume\":" volume                          \
    ",\"addition\":" addition "}}"
#define SHRINK(id, volume, size)                                                                   \
    "{" id "\"type\":\"SHRINK_VOLUME\",\"shrink_volume\":{\"volume\":" volume                      \
    ",\"subtract\":{\"value\":" size "}}}"

// With room for more fields of its FrameworkInfo, such as an id: "" for none.
#define FRAMEWORK                                                                                  \
    "{\"framework_info\":{\"user\":\"u\",\"name\":\"f\",\"principal\":\"p\",\"roles\":[\"r\"],"    \
    "\"checkpoint\":true,\"failover_timeout\":1000%s,\"capabilities\":[{\"type\":\"MULTI_ROLE\"}," \
    "{\"type\":"                                                                                   \
    "\"RESERVATION_REFINEMENT\"},{\"type\":\"SHARED_RESOURCES\"},{\"type\":\"PARTITION_AWARE\"}]}" \
    "}"

struct scene {
    struct world w;
    struct stream s;
    struct end e;
    const Mesos__V1__Offer *offer;
};

// Agent M-S0 has "cpus:4;mem:1024;disk:100", which the framework, of role "r", was offered.
struct scene *scene_begin(void);
// Checks the master a last time.
void scene_end(struct scene *c);

const char *scene_base64(struct world *w, const ProtobufCBinaryData *bytes); // in the arena
// Of the next update about an operation that the framework has not looked at, or NULL.
const Mesos__V1__OperationStatus *scene_status(struct scene *c);
