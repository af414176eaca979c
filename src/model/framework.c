// SPDX-License-Identifier: Apache-2.0
//
// What can be read off a FrameworkInfo.

#include "model/framework.h"

unsigned framework_capabilities(const Mesos__V1__FrameworkInfo *info)
{
    unsigned bits = 0;
    for (size_t i = 0; i < info->n_capabilities; i++) {
        const Mesos__V1__FrameworkInfo__Capability *capability = info->capabilities[i];
        if (capability->has_type && (unsigned)capability->type < 32) {
            bits |= 1u << (unsigned)capability->type;
        }
    }
    return bits;
}

size_t framework_roles(const Mesos__V1__FrameworkInfo *info, struct arena *arena,
                       const char ***ret_roles)
{
    if (!FRAMEWORK_HAS(framework_capabilities(info), MULTI_ROLE)) {
        const char **roles = arena_calloc(arena, 1, sizeof(roles[0]));
        roles[0] = info->role != NULL ? arena_strdup(arena, info->role) : "*";
        *ret_roles = roles;
        return 1;
    }
    const char **roles = arena_calloc(arena, info->n_roles + 1, sizeof(roles[0]));
    for (size_t i = 0; i < info->n_roles; i++) {
        roles[i] = arena_strdup(arena, info->roles[i]);
    }
    *ret_roles = roles;
    return info->n_roles;
}
