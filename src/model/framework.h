// SPDX-License-Identifier: Apache-2.0
//
// What can be read off a FrameworkInfo: capabilities as bits, and its roles.

#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "proto/mesos.pb-c.h"

// 1 << Mesos__V1__FrameworkInfo__Capability__Type
unsigned framework_capabilities(const Mesos__V1__FrameworkInfo *info);
#define FRAMEWORK_HAS(bits, NAME)                                                                  \
    (((bits) >> MESOS__V1__FRAMEWORK_INFO__CAPABILITY__TYPE__##NAME) & 1u)

// `roles` with MULTI_ROLE, else the one `role` (default "*"). The array lives in the arena.
size_t framework_roles(const Mesos__V1__FrameworkInfo *info, struct arena *arena,
                       const char ***ret_roles);
