// SPDX-License-Identifier: Apache-2.0
//
// Private to this folder: a container and the steps of its life.
//
//   QUEUED ---> FETCHING ---> STARTING ---> RUNNING ---> DESTROYING ---> freed
//      |            |             |                          ^
//      +------------+-------------+------ failure -----------+
//
// QUEUED    launch was accepted; a turn starts only so many.
// FETCHING  mesos-fetcher works; skipped without uris.
// STARTING  cgroups are there, the helper runs and has not exec'ed yet.
// RUNNING   the exec succeeded (the reply descriptor closed without a text).
// DESTROYING  a timer repeats the take-down until processes and cgroups are gone; then
// on_terminated.
//
// A container is freed in one place only (container_finish, from its timer), so that events which
// the loop has already collected never meet a freed one.

#pragma once

#include "base/arena.h"
#include "base/map.h"
#include "container/cgroup.h"
#include "container/containerizer.h"
#include "container/fetcher.h"
#include "container/order.h"
#include "container/session.h"
#include "container/user.h"

#define CONTAINERIZER_MAGIC UINT32_C(0x434f4e5a)
#define CONTAINER_MAGIC UINT32_C(0x434f4e54)

enum container_state {
    CONTAINER_QUEUED,
    CONTAINER_FETCHING,
    CONTAINER_STARTING,
    CONTAINER_RUNNING,
    CONTAINER_DESTROYING,
};

struct container;

// A descriptor of a container in the containerizer's epoll set.
struct container_watch {
    struct container *container;
    void (*run)(struct container *container);
    int fd; // -1: not watched
};

struct container {
    uint32_t magic;
    enum container_state state;
    struct containerizer *owner;
    char *id;
    struct list queue_link; // in the owner's queue while QUEUED

    // Nesting (container_nested.c).
    struct container *parent; // NULL: none
    struct list children;     // struct container; they are gone before it is taken down
    struct list sibling;      // in the parent's children
    struct map ended;         // of an outermost one: id -> struct container_end
    bool is_session;
    bool is_standalone;
    bool shares_limits; // with the parent
    struct container_tty tty;
    struct container_mount *mounts;
    size_t mount_count;
    bool has_mounts; // a namespace of mounts that is not the agent's
    bool has_bounding, has_effective;
    uint64_t bounding, effective;
    struct container_io *io; // of a session, or with a terminal, that was started
    struct container_link *links;
    size_t link_count;

    struct arena *volume_arena; // owns `volumes` and their texts
    struct container_volume *volumes;
    size_t volume_count;

    // The order; lives in the arena.
    struct arena *arena;
    const char *sandbox;   // NULL where it is not known (an orphan)
    const char *directory; // to work in
    const char *user_name;
    const char *stdout_name, *stderr_name;
    Mesos__V1__CommandInfo *command;
    char **environment;
    struct container_rlimit *rlimits;
    size_t rlimit_count;
    struct cgroup_limits limits;
    bool is_burstable;

    struct user *user;       // NULL: the agent's own
    int out_fd, err_fd;      // until it runs
    struct fetch *fetch;     // while FETCHING
    struct cgroup *cgroup;   // NULL without cgroups
    struct session *session; // NULL with cgroups
    pid_t pid;
    struct env_child *child; // NULL before it was started and after it was reaped
    bool has_status;
    int status;
    struct container_watch reply, oom;
    struct container_watch supervisor; // of one that an earlier agent launched
    char reply_data[sizeof(struct order_reply)];
    size_t reply_size;

    // How it ended.
    bool has_reason;
    Mesos__V1__TaskStatus__Reason reason;
    char *message;
    struct resources *limited;

    struct timer step_timer; // the take-down
    int64_t step_delay_ns;
    int64_t destroy_since; // monotonic
    bool outlives_agent;   // has a supervisor and a file, see container_recover.c
    bool is_orphan;        // found at start: nobody is told
    bool is_overdue;       // the destroy timeout was reported
};

struct containerizer {
    uint32_t magic;
    struct env *env;
    struct containerizer_callbacks callbacks;
    void *ctx;
    // Copies of what the options say.
    char *helper_path;
    char *containers_dir; // files of those that outlive the agent
    char *work_dir;
    bool switch_user;
    bool cpu, memory, enable_cfs;
    bool limits_cpus, limits_mem, mounts;
    int64_t destroy_timeout_ns;

    struct cgroup_driver *driver; // NULL: sessions
    struct fetcher *fetcher;
    struct map containers;
    struct list queue;
    struct timer queue_timer;
    int epoll_fd;
    uv_poll_t *poll; // on epoll_fd; freed by its close callback
    uint64_t destroy_errors;
    bool leaves; // containerizer_leave was called
};

// ---- machine.c ----
uint64_t machine_memory_bytes(void); // 0: not known

// ---- container_launch.c ----
// Takes one from the queue on its way. Failures end in container_fail.
void container_start(struct container *container);
void container_close_files(struct container *container);
// The sandbox's standard output, to write more to it; -1: there is none (any more).
int container_reopen_output(const struct container *container);

// ---- mounts.c ----
// Sources and mount points, before the process starts.
int container_check_mounts(const struct container_launch *launch, struct error *err);
int container_make_mount_points(struct container *container, int sandbox_fd, struct error *err);
int container_put_mounts(const struct container *container, struct buf *order, struct error *err);

// ---- volumes.c ----
void container_keep_volumes(struct container *container, const struct container_volume *volumes,
                            size_t count);
// Those that are kept, in the sandbox.
int container_link_volumes(const struct container *container, int sandbox_fd, uid_t uid, gid_t gid,
                           struct error *err);

// ---- container_nested.c ----
// `own` and what must not be missing, into its arena; of a session the parent's before all.
void container_complete_environment(struct container *container, char *const *own);
// The nested container's directory, which is made, through nothing but directories; and the links
// in it.
int container_open_sandbox(const struct container *container, int *ret_fd, struct error *err);
int container_open_nested_sandbox(const struct container *container, int *ret_fd,
                                  struct error *err);
// Whether a path stays within the directory that it starts from.
bool container_is_inner_path(const char *path);
// Calls for each directory on the way to `path`, and for the last part too when `whole`; leaves the
// last directory open, and *ret_name at what remains. What is made belongs to whom the start
// belongs to.
int container_make_way(int start_fd, const char *path, bool whole, int *ret_fd,
                       const char **ret_name, struct error *err);
int container_make_links(const struct container *container, int sandbox_fd, struct error *err);
// What an ended one leaves behind for containerizer_nested_end.
void container_note_end(struct container *container,
                        const struct container_termination *termination);
// Of an outermost one that is gone: its nested ones are forgotten.
void container_forget_ended(struct container *container, bool with_files);
// The outermost container that this id is in, or NULL; and the id of the one around it.
struct container *container_find_root(const struct containerizer *c, const char *id);
char *container_parent_id(const char *id); // NULL: it is not nested
void container_adopt_child(struct container *parent, struct container *child);
// Its place among the cgroups, as found by its id alone.
struct cgroup *container_adopt_cgroup(const struct containerizer *c, const char *id,
                                      bool shares_limits);

// ---- container_destroy.c ----
// Remembers why (the first reason stays) and destroys.
void container_fail(struct container *container, Mesos__V1__TaskStatus__Reason reason,
                    const char *format, ...) __attribute__((format(printf, 3, 4)));
void container_begin_destroy(struct container *container);
// The oom descriptor became ready.
void container_on_oom(struct container *container);
void container_on_exit(void *ctx, pid_t pid, int status);
// Waits for nothing; used when the containerizer is freed. True when nothing is left.
bool container_take_down_now(struct container *container);
struct container *container_free(struct container *container);

// ---- container_recover.c ----
// Its file, with the lock on it, for the helper.
int container_open_run_file(struct container *container, int *ret_fd, struct error *err);
// What a later agent must know of a nested one, put into that file before all else.
int container_write_head(const struct container *container, int fd, struct error *err);
// The process that the container's own one is, behind its supervisor; 0 when it is not known.
pid_t container_inner_pid(const struct container *container);
// It is to go on after containerizer_free.
bool container_is_left(const struct container *container);

// ---- containerizer.c ----
// In the list, with nothing done yet.
struct container *container_new(struct containerizer *c, const char *id);
struct container *container_make(struct containerizer *c, const struct container_launch *launch);
void container_enqueue(struct container *container);
void container_read_limits(const struct resources *resources, const struct hard_limits *limits,
                           struct cgroup_limits *ret_limits);
// Destroys what has cgroups and is not known.
void container_destroy_orphans(struct containerizer *c);
void container_watch(struct container *container, struct container_watch *watch, int fd,
                     uint32_t events, void (*run)(struct container *container));
void container_unwatch(struct container *container, struct container_watch *watch);
// The same without closing the descriptor.
void container_unwatch_keep(struct container *container, struct container_watch *watch);
