// SPDX-License-Identifier: Apache-2.0
//
// Whom a container runs as, and what it may: for mesos-containerizer.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct user_order {
    bool has_user;
    int64_t uid, gid;
    const uint32_t *groups;
    size_t group_count;
    // Capabilities, a bit each: what the container can have at most; and what it has, which a
    // program that it executes keeps also when the user is not root.
    bool has_bounding, has_effective;
    uint64_t bounding, effective;
};

// 0, or a negative errno and what failed.
long user_become(const struct user_order *order, const char **ret_what);
