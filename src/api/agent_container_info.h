// SPDX-License-Identifier: Apache-2.0
//
// What a ContainerInfo asks for, as the containerizer takes it: of an executor's container, of one
// that stands alone, of one inside another, of a session.

#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "container/containerizer.h"
#include "proto/mesos.pb-c.h"

enum agent_container_kind {
    AGENT_CONTAINER_OUTERMOST,
    AGENT_CONTAINER_NESTED,
    AGENT_CONTAINER_SESSION,
};

// Fills in terminal, volumes, process limits and capabilities, in the arena; and in `nesting` (NULL
// for the outermost) what only those have. `info` may be NULL.
// -ENOTSUP for what there is not, by name, rather than leaving it out; -EINVAL.
int agent_container_info_read(const struct containerizer *containerizer,
                              const Mesos__V1__ContainerInfo *info, enum agent_container_kind kind,
                              struct arena *arena, struct container_launch *launch,
                              struct container_nesting *nesting, struct error *err);
