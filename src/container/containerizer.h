// SPDX-License-Identifier: Apache-2.0
//
// Launches and isolates containers: launcher, cgroups v1 and v2, fetcher, the helper program
// mesos-containerizer. The agent's shell drives it; it knows containers, not tasks. All on the loop
// of `env`; callbacks never run inside the call that asked for them.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "env/env.h"
#include "model/hard_limits.h"
#include "model/resources.h"
#include "proto/mesos.pb-c.h"

struct containerizer;

struct containerizer_options {
    const char *launcher;          // "linux" or "posix"; NULL: linux when root
    const char *isolation;         // "posix/cpu,posix/mem", "cgroups/cpu,cgroups/mem", ...
    const char *cgroups_hierarchy; // "/sys/fs/cgroup"
    const char *cgroups_root;      // "mesos"
    bool cgroups_enable_cfs;
    bool cgroups_limit_swap;
    bool revocable_cpu_low_priority; // by cgroups/cpu
    int64_t cgroups_destroy_timeout_ns;
    const char *launcher_dir; // where mesos-containerizer and mesos-fetcher are
    const char *work_dir;
    const char *runtime_dir;
    bool switch_user;
    const char *fetcher_cache_dir;
    uint64_t fetcher_cache_size;
    int64_t fetcher_stall_timeout_ns;
    const char *frameworks_home; // prefix for relative URIs, or NULL
    // containerizer_recover will be called. Without: what an earlier agent left is destroyed.
    bool recovers;
};

struct container_termination {
    bool has_status;
    int status; // as waitpid gives it
    bool has_reason;
    Mesos__V1__TaskStatus__Reason reason; // CONTAINER_LIMITATION_MEMORY, CONTAINER_LAUNCH_FAILED,
    const char *message;                  // with what was used, and the limit; or NULL
    const struct resources *limited;      // what went beyond its limit, or NULL
};

struct containerizer_callbacks {
    // Fetching done, the process runs (pid), its isolation stands.
    void (*on_launched)(void *ctx, const char *container_id, pid_t pid);
    // The container is gone: every process of it is dead and its cgroups are removed. Called once
    // for each launch that was accepted, also when it failed on the way (then has_status is false
    // and `reason`/`message` say why).
    void (*on_terminated)(void *ctx, const char *container_id,
                          const struct container_termination *termination);
};

struct container_rlimit {
    int resource;        // RLIMIT_NOFILE, ...
    uint64_t soft, hard; // RLIM_INFINITY: none
};

// What a container sees at a place of its own, mounted for it alone. Needs root.
struct container_mount {
    enum {
        CONTAINER_MOUNT_HOST,   // `source` is absolute, and there
        CONTAINER_MOUNT_OWN,    // in the own sandbox; made as a directory where nothing is
        CONTAINER_MOUNT_PARENT, // the same in the parent's
    } from;
    const char *source;
    const char *target; // in the sandbox, where it is made; or absolute, and there
    bool is_read_only;
};

// A persistent volume that the container sees in its sandbox, as a link; read-only ones are mounted
// by an agent of root when the container starts.
struct container_volume {
    const char *path;   // in the sandbox
    const char *target; // absolute
    bool keeps_owner;   // others use it now; else it becomes the container's user's
    bool is_read_only;
};

// Its input and output are a terminal, which containerizer_attach speaks to; what comes out of it
// goes to the sandbox's standard output as well. It goes on over a restart of the agent where the
// container does.
struct container_tty {
    bool is_wanted;
    bool is_input_only;     // standard output and error are the sandbox's files all the same, and
                            // the first process leaves the terminal to a child
    uint16_t rows, columns; // of its window; 0: not known
};

struct container_launch {
    const char *container_id;
    const char *sandbox;                   // absolute; the containerizer makes it and chowns it
    const char *user;                      // to run as; NULL: the agent's own
    const Mesos__V1__CommandInfo *command; // shell or argv, and the uris to fetch
    char *const *environment;              // "NAME=value", complete, NULL-terminated
    const struct resources *resources;     // what it asked for, and its limits but for:
    struct hard_limits limits;
    // One that has a memory limit above what it asked for is among the first to be killed when the
    // machine's memory runs out. Nested ones always are.
    bool is_burstable;
    const char *stdout_name; // "stdout", in the sandbox; appended
    const char *stderr_name;
    const struct container_rlimit *rlimits; // may be NULL
    size_t rlimit_count;
    bool outlives_agent; // goes on when the agent's process ends; see containerizer_recover
    const struct container_volume *volumes; // may be NULL; not for nested ones
    size_t volume_count;
    struct container_tty tty;
    const struct container_mount *mounts; // may be NULL
    size_t mount_count;
    // As bits: the most that it can have, and what it has. Without: as its user has them.
    bool has_bounding, has_effective;
    uint64_t bounding, effective;
    // Is nobody's executor: it outlives the agent, and a later one finds it by itself. Its sandbox
    // is <work_dir>/containers/ID; MESOS_SANDBOX and PATH are added to its environment.
    bool is_standalone;
    // For a container inside another (containerizer_launch_nested); else NULL.
    const struct container_nesting *nesting;
};

// A container nested in another: its id is the parent's, a dot, and a name ("ID.NAME"); its sandbox
// lies in the parent's ("containers/NAME"); it ends with the parent. It outlives the agent exactly
// when the outermost one does, but for a session, which never does.
struct container_nesting {
    bool owns_limits; // has cgroups of its own with `resources` as limits; else shares the parent's
    // Has the parent's environment and working directory, and its input and output go through
    // containerizer_attach: by pipes, or by a terminal.
    bool is_session;
    // Links to make in the sandbox, to places in the parent's, which are made as directories where
    // nothing is.
    const struct container_link *links;
    size_t link_count;
};

struct container_link {
    const char *path;   // in the own sandbox
    const char *target; // in the parent's
};

int containerizer_new(struct env *env, const struct containerizer_options *options,
                      const struct containerizer_callbacks *callbacks, void *ctx,
                      struct containerizer **ret_containerizer, struct error *err);
struct containerizer *containerizer_free(struct containerizer *c); // kills what still runs

struct container_recovery {
    const char *container_id;
    const char *sandbox;               // as at its launch
    const char *user;                  // the same
    const struct resources *resources; // the same
    struct hard_limits limits;
    const struct container_volume *volumes;
    size_t volume_count;
};
// Takes over the containers that were launched to outlive their agent, once and before the first
// launch: each ends in on_launched (it runs) or on_terminated (it ended; with its status when that
// is known). All others that are found are destroyed. After a start of the machine
// (`is_rebooted`) none can be alive.
void containerizer_recover(struct containerizer *c, const struct container_recovery *containers,
                           size_t count, bool is_rebooted);
// What is kept of a container that ended: to be called when its end was written down.
void containerizer_forget(struct containerizer *c, const char *container_id);
// From now on containerizer_free leaves those alone that outlive the agent.
void containerizer_leave(struct containerizer *c);

// 0: accepted, on_terminated will be called some day. A negative code: refused (bad id, id in use).
int containerizer_launch(struct containerizer *c, const struct container_launch *launch,
                         struct error *err);
// The same for `launch->nesting`: sandbox and names of the outputs are not asked for, `user` and
// `environment` may be NULL (the parent's user; nothing). What the environment gets beside that:
// MESOS_SANDBOX and PATH, unless they are there.
// Negative with a text: -ENOENT (no parent), -EBUSY (it is not running), -EEXIST, -EINVAL.
int containerizer_launch_nested(struct containerizer *c, const struct container_launch *launch,
                                struct error *err);
// How a nested container ended, as long as its outermost one lives and it was not removed. 0: here
// it is (it points into the containerizer). 1: it is alive. -ENOENT: no such container.
int containerizer_nested_end(const struct containerizer *c, const char *container_id,
                             const struct container_termination **ret_termination);
// A signal to the first process of a container. -ENOENT: it does not run.
int containerizer_kill(struct containerizer *c, const char *container_id, int signal,
                       struct error *err);
// Forgets a nested container that ended, or one that stood alone, and moves its sandbox, when there
// is one, to `trash` (a path on the same file system). -EBUSY: it has not ended yet. -ENOENT: the
// outermost container is not there; or there is no such sandbox of one that stood alone.
int containerizer_remove(struct containerizer *c, const char *container_id, const char *trash,
                         struct error *err);
// ---- input and output of a session, or of what has a terminal ----
struct container_io;
enum container_output { CONTAINER_STDOUT, CONTAINER_STDERR };
// Somebody who listens; the caller's, detached before it goes. Output is read from the first one
// on. All run from the loop; a listener may be detached from within, but no other.
struct container_listener {
    struct list link;
    struct container_io *io; // NULL: not attached
    bool is_paused;
    void (*on_output)(struct container_listener *listener, enum container_output which,
                      const void *data, size_t size);
    // No more will come: the container is gone. It is detached.
    void (*on_end)(struct container_listener *listener);
    // What containerizer_write took has left. May be NULL.
    void (*on_drained)(struct container_listener *listener);
};
// -ENOENT: no such container. -ENOTSUP: it is no session, and has no terminal.
int containerizer_attach(struct containerizer *c, const char *container_id,
                         struct container_listener *listener, struct error *err);
void containerizer_detach(struct container_listener *listener);
// As long as one listener is paused, no output is read, so that the container has to wait.
void containerizer_pause_output(struct container_listener *listener, bool is_paused);
// 0: all of it is with the container. 1: it waits for the container to read; on_drained tells.
int containerizer_write(struct containerizer *c, const char *container_id, const void *data,
                        size_t size, struct error *err);
// After what waits. A terminal has no such end.
int containerizer_close_input(struct containerizer *c, const char *container_id, struct error *err);
int containerizer_resize(struct containerizer *c, const char *container_id, uint16_t rows,
                         uint16_t columns, struct error *err);

// The ids of all that run, parents first, in the arena.
size_t containerizer_list(const struct containerizer *c, struct arena *arena,
                          const char *const **ret_ids);
bool containerizer_owns_limits(const struct containerizer *c, const char *container_id);
bool containerizer_is_standalone(const struct containerizer *c, const char *container_id);
// Where one that stands alone has its sandbox; the caller frees it.
char *containerizer_standalone_sandbox(const struct containerizer *c, const char *container_id);
pid_t containerizer_pid(const struct containerizer *c, const char *container_id); // 0: none

// New limits (an executor got another task, or one ended).
int containerizer_update(struct containerizer *c, const char *container_id,
                         const struct resources *resources, const struct hard_limits *limits,
                         struct error *err);
// Other volumes: those that are not in the list go out of its sandbox.
int containerizer_update_volumes(struct containerizer *c, const char *container_id,
                                 const struct container_volume *volumes, size_t count,
                                 struct error *err);
// SIGKILLs every process of the container, then on_terminated. Harmless for unknown ids.
void containerizer_destroy(struct containerizer *c, const char *container_id);

// Fills a ResourceStatistics (in the arena) from the cgroups, or from /proc for posix isolation.
int containerizer_usage(struct containerizer *c, const char *container_id, struct arena *arena,
                        Mesos__V1__ResourceStatistics **ret_statistics, struct error *err);

// Whether containers are held to cpus and memory.
bool containerizer_limits_cpus(const struct containerizer *c);
bool containerizer_limits_mem(const struct containerizer *c);
// Volumes are mounted wherever they can be (--isolation=filesystem/linux).
bool containerizer_mounts(const struct containerizer *c);

// What this machine has: cpus, mem (MB), disk (MB of work_dir), ports 31000-32000, gpus 0. Mesos'
// rules for what is left for the system (src/slave/containerizer/containerizer.cpp).
int containerizer_machine_resources(const char *work_dir, struct resources **ret_resources,
                                    struct error *err);

struct containerizer_metrics {
    uint64_t destroy_errors, fetches_succeeded, fetches_failed, cache_size_total, cache_size_used;
};
void containerizer_get_metrics(const struct containerizer *c, struct containerizer_metrics *ret);
