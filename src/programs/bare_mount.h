// SPDX-License-Identifier: Apache-2.0
//
// A container's own mounts, for mesos-containerizer: the agent has made the mount points.

#pragma once

#include <stdbool.h>

// What went wrong: a step and what it was about.
struct mount_failure {
    const char *what, *object;
};

// Goes into the namespace of mounts that this file stands for ("/proc/PID/ns/mnt"). 0 or a negative
// errno, here and below.
long mount_join(const char *file, struct mount_failure *ret_failure);
// A namespace of mounts of its own, a copy of the present one, which hears of what is mounted there
// later but tells nothing.
long mount_separate(struct mount_failure *ret_failure);

struct mount_order {
    const char *base; // the directory that `source` lies beneath, with no links on the way; or ""
    const char *source;
    const char *sandbox; // the same for a relative `target`
    const char *target;
    bool is_read_only;
};
// Shows `source`, with all that is mounted in it, at `target`.
long mount_bind(const struct mount_order *order, struct mount_failure *ret_failure);
