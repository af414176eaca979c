// SPDX-License-Identifier: Apache-2.0
//
// Private to cgroup*.c: which hierarchies this machine has mounted, and which version serves.

#pragma once

#include "container/cgroup_driver.h"

struct cgroup_mounts {
    char *v1[CGROUP_CONTROLLER_COUNT]; // mount points; NULL: not mounted
    char *v2;
    bool v2_has[CGROUP_CONTROLLER_COUNT];
};

// From /proc/self/mountinfo; of several mounts the one under `preferred` counts.
int cgroup_mounts_find(struct cgroup_mounts *mounts, const char *preferred, struct error *err);
// The same from a text, for tests.
void cgroup_mounts_parse(struct cgroup_mounts *mounts, char *mountinfo, const char *preferred);
void cgroup_mounts_free(struct cgroup_mounts *mounts);

bool cgroup_mounts_needs(const struct cgroup_driver *driver, int controller);
// 1 or 2, or a negative code with a text that says what is missing.
int cgroup_mounts_choose(const struct cgroup_mounts *mounts, const struct cgroup_driver *driver,
                         struct error *err);
