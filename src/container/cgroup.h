// SPDX-License-Identifier: Apache-2.0
//
// Control groups of containers, version 1 and version 2 behind one interface. Which of them serves
// is found at start from the mount table: version 1 when every controller that is needed is mounted
// there, else the unified tree. Nothing here blocks or waits: taking a container down is a step
// that is repeated until it says done.
//
// Version 1 (cgroup_v1.c): one directory <hierarchy>/<root>/<id> in the hierarchies of freezer,
// cpu, cpuacct and memory, where several may share one. Version 2 (cgroup_v2.c): <tree>/<root>/<id>
// holds the limits and <id>/leaf the processes. A nested container's directory is
// <parent's>/mesos/<name>, everywhere when it has limits of its own; else only where processes are
// told apart: in the freezer's hierarchy, and in version 2 without controllers.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/map.h"
#include "proto/mesos.pb-c.h"

struct cgroup_options {
    const char *hierarchy; // where to look first: "/sys/fs/cgroup"
    const char *root;      // "mesos"; relative to the hierarchies
    bool cpu;              // limit and measure cpu
    bool memory;           // limit and measure memory
    bool enable_cfs;       // cpu limits are hard
    bool limit_swap;       // the memory limit holds for memory and swap
    bool low_revocable;    // containers with revocable cpus get a hundredth of the others' weight
};

// What was asked for, and what is the most: 0 where what was asked for is the limit as well.
struct cgroup_limits {
    int64_t cpus, cpus_max; // thousandths; INT64_MAX: no limit
    uint64_t mem_bytes;
    uint64_t mem_max_bytes; // UINT64_MAX: no limit
    bool has_revocable_cpus;
};

struct cgroup_driver;
struct cgroup; // a container's

// Finds the hierarchies and makes the root in each. Texts say what is not mounted.
int cgroup_driver_new(const struct cgroup_options *options, struct cgroup_driver **ret_driver,
                      struct error *err);
// Also removes the root when nothing is left in it.
struct cgroup_driver *cgroup_driver_free(struct cgroup_driver *driver);
int cgroup_driver_version(const struct cgroup_driver *driver); // 1 or 2
// True when no other agent uses this root; then the caller may clean up what it finds
// (cgroup_driver_list), and calls cgroup_driver_share when it knows what that is.
bool cgroup_driver_is_alone(const struct cgroup_driver *driver);
void cgroup_driver_share(struct cgroup_driver *driver);
// Ids of all containers under the root; keys of `ret_ids`, values are not NULL.
void cgroup_driver_list(const struct cgroup_driver *driver, struct map *ret_ids);

// Makes the container's directories. -EEXIST when they are there.
int cgroup_new(struct cgroup_driver *driver, const char *id, struct cgroup **ret_cgroup,
               struct error *err);
// For one that is there already, to take it down.
struct cgroup *cgroup_adopt(struct cgroup_driver *driver, const char *id);
// The same for a container inside another: `name` is the last part of its id. With `owns_limits`
// limits can be set for it; without, those of `parent` hold for both together.
int cgroup_new_nested(const struct cgroup *parent, const char *name, bool owns_limits,
                      struct cgroup **ret_cgroup, struct error *err);
struct cgroup *cgroup_adopt_nested(const struct cgroup *parent, const char *name, bool owns_limits);
// After cgroup_adopt, for one that goes on: opens what cgroup_oom_fd tells.
int cgroup_watch_again(struct cgroup *cgroup, struct error *err);
struct cgroup *cgroup_free(struct cgroup *cgroup); // frees the object, not the directories

// Mesos' rules: shares and weights follow what was asked for; the soft memory limit always moves,
// the hard one is only ever raised after it was first set.
int cgroup_set_limits(struct cgroup *cgroup, const struct cgroup_limits *limits, struct error *err);
// A descriptor of the directory that a child may begin in (struct env_spawn), or -1 where it has to
// enter by itself.
int cgroup_open_directory(const struct cgroup *cgroup, int *ret_fd, struct error *err);
// Else: the files that the container's first process writes "0" into while it has one thread;
// absolute, in the arena.
size_t cgroup_enter_paths(const struct cgroup *cgroup, struct arena *arena,
                          const char ***ret_paths);

// A descriptor to poll for the events of EPOLL that `ret_events` names, which tells that memory ran
// out (ask cgroup_has_oomed then); -1 without the memory controller. Owned by the cgroup.
int cgroup_oom_fd(const struct cgroup *cgroup, uint32_t *ret_events);
// Whether the limit killed a process, or left one waiting. Clears the descriptor's readiness.
bool cgroup_has_oomed(struct cgroup *cgroup);
// "Memory limit exceeded: Requested: 32MB Maximum Used: 32MB\n\nMEMORY STATISTICS: \n..."; the most
// that was used, in bytes.
void cgroup_put_oom_text(const struct cgroup *cgroup, struct buf *out, uint64_t *ret_used_bytes);

enum cgroup_step { CGROUP_GONE = 0, CGROUP_AGAIN = 1 };
// One step towards no process and no directory: freezes and kills, or uses cgroup.kill, then
// removes. CGROUP_AGAIN: call it again a little later. Negative: it cannot be removed now, with the
// reason; calling again is allowed.
int cgroup_take_down(struct cgroup *cgroup, struct error *err);

// Fills what the controllers know.
void cgroup_usage(const struct cgroup *cgroup, Mesos__V1__ResourceStatistics *statistics);
