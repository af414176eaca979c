// SPDX-License-Identifier: Apache-2.0
//
// Private to cgroup*.c: what both versions share, and the table through which cgroup.c calls them.

#pragma once

#include <signal.h>

#include "container/cgroup.h"

enum {
    CGROUP_FREEZER,
    CGROUP_CPU,
    CGROUP_CPUACCT,
    CGROUP_MEMORY,
    CGROUP_CONTROLLER_COUNT,
};
extern const char *const cgroup_controller_names[CGROUP_CONTROLLER_COUNT];

// A directory in which containers' directories lie: one per distinct hierarchy of version 1, one in
// all of version 2.
struct cgroup_base {
    char *path; // <mount>/<root>
    int fd;     // open on it
};

struct cgroup_driver {
    const struct cgroup_ops *ops;
    bool cpu, memory, enable_cfs, limit_swap, low_revocable;
    char *root;
    struct cgroup_base bases[CGROUP_CONTROLLER_COUNT];
    size_t base_count;
    int base_of[CGROUP_CONTROLLER_COUNT]; // index into bases, -1: not used
    bool is_alone;
    bool spawns_inside; // version 2: children can begin in their cgroup
};

struct cgroup {
    struct cgroup_driver *driver;
    char *id;         // its directory in the bases: "ID", or "ID/mesos/CHILD" for a nested one
    char *limits_id;  // the directory whose limits hold for it: its own, or that of a parent
    bool owns_limits; // they are the same
    int oom_fd;
    bool hard_limit_set; // by us
    bool has_quota;      // cpus have a hard limit, set by us
    bool oomed;
    uint64_t hard_limit_bytes; // UINT64_MAX: none
    unsigned frozen_tries;     // version 1: how often the freeze was waited for; 0: not freezing
};

struct cgroup_ops {
    int version;
    // Names of the subdirectory that holds the processes ("" or "leaf").
    const char *leaf;
    // Where a process with one thread writes "0" to enter.
    const char *enter_file;
    int (*create)(struct cgroup *cgroup, struct error *err);
    // What follows from the cpus that were asked for.
    // With low priority: about a hundredth of it, as in Mesos.
    int (*set_weight)(struct cgroup *cgroup, int64_t cpus, bool is_low, struct error *err);
    // Per 100 ms, which is the kernel's default; negative: no limit.
    int (*set_quota)(struct cgroup *cgroup, int64_t quota_us, struct error *err);
    int (*set_memory)(struct cgroup *cgroup, uint64_t soft_bytes, uint64_t hard_bytes,
                      struct error *err);
    uint32_t oom_events;
    bool (*has_oomed)(struct cgroup *cgroup);
    uint64_t (*memory_peak)(const struct cgroup *cgroup);
    int (*take_down)(struct cgroup *cgroup, struct error *err);
    void (*usage)(const struct cgroup *cgroup, Mesos__V1__ResourceStatistics *statistics);
};

extern const struct cgroup_ops cgroup_v1_ops;
extern const struct cgroup_ops cgroup_v2_ops;

enum { CGROUP_STAT_SIZE = 16 * 1024, CGROUP_NAME_SIZE = 512 };

// Whether it has a directory of its own in that base: one that shares its parent's limits is apart
// only where processes are told apart.
bool cgroup_has_directory(const struct cgroup *cgroup, size_t base);
// Open, read or write, close a control file "<id>/<name>" of a container. Reading fills `text` with
// a NUL at the end and returns its size, or a negative errno.
int cgroup_write_file(const struct cgroup *cgroup, int controller, const char *name,
                      const char *text, struct error *err);
ssize_t cgroup_read_file(const struct cgroup *cgroup, int controller, const char *name, char *text,
                         size_t size);
int cgroup_write_number(const struct cgroup *cgroup, int controller, const char *name,
                        int64_t number, struct error *err);
// A file that holds one number; `fallback` when it cannot be read ("max" reads as UINT64_MAX).
uint64_t cgroup_read_number(const struct cgroup *cgroup, int controller, const char *name,
                            uint64_t fallback);
// The number behind `key` in lines of "key number". False when it is not there.
bool cgroup_stat_find(const char *text, const char *key, uint64_t *ret_number);

// Sends `signal` to every process in `path` beneath `base_fd` and in all groups beneath it. Returns
// how many there were.
size_t cgroup_signal_tree(int base_fd, const char *path, int signal);
// Removes the directory and what lies beneath it. 0, or -EBUSY while processes are left.
int cgroup_remove_tree(int base_fd, const char *path);
