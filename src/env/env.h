// SPDX-License-Identifier: Apache-2.0
//
// What a daemon may ask of the world: time, randomness, timers, signals, child processes, and the
// turn. One thread, one libuv loop. A turn takes all that is ready, lets the daemon step, then
// flushes: hooks that were asked for run once, at the turn's end, before the loop sleeps again.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

#include "base/error.h"
#include "base/list.h"
#include "base/timer.h"

struct env;

int env_new(struct env **ret_env, struct error *err); // also ignores SIGPIPE, seeds map_seed
struct env *env_free(struct env *env);                // everything on it must be closed by then
uv_loop_t *env_loop(struct env *env);                 // for src/net and src/container

int env_run(struct env *env); // until env_stop; the status given there
void env_stop(struct env *env, int status);

// The turn's moment; the same for all that happens in one turn.
struct instant env_now(const struct env *env);
// Reads the clocks anew (after long work).
struct instant env_refresh_now(struct env *env);
void env_random(void *ret_data, size_t size);
uint64_t env_random_u64(void);

// Timers: deadlines on the monotonic clock. The caller's struct, on whatever lifetime; cancel
// before it goes. env_timers() is the heap they live in.
struct timers *env_timers(struct env *env);
void env_timer_set(struct env *env, struct timer *timer, int64_t delay_ns);
void env_timer_cancel(struct env *env, struct timer *timer);

// Runs `run` once at the end of this turn (asking twice in one turn is once). In order of asking;
// one asked for while hooks run is run in the same flush.
struct env_hook {
    struct list link; // unlinked while not asked for; list_init it first
    void (*run)(struct env_hook *hook, struct instant now);
};
void env_at_turn_end(struct env *env, struct env_hook *hook);
// The same, before all that were asked for so far: what must be durable before it is sent.
void env_before_turn_end(struct env *env, struct env_hook *hook);
// Runs `run` once in a later turn, while the loop does not sleep. All that were asked for so share
// what a turn has for them, in the order of asking: 25 µs, or half of what else the turn took, up
// to 100 µs; one is always run. So long work that is cut into pieces of no more than 25 µs holds up
// nothing else for longer than that, or by much.
#define ENV_PIECE_NS (25 * NS_PER_US)
void env_in_background(struct env *env, struct env_hook *hook);
// Somebody new is here, whose question is about to come: the next turn looks for it first. Not
// twice in a row, so that the work goes on however many come.
void env_defer_background(struct env *env);
void env_hook_cancel(struct env_hook *hook);

// A signal handler on the loop; one per signal.
void env_on_signal(struct env *env, int signal, void (*run)(void *ctx, int signal), void *ctx);

// Log sink to standard error (and, with `directory`, to <directory>/<program>.INFO and friends), in
// glog's line form: "I1123 11:58:31.123456 <thread id> file.c:123] text".
int env_log_open(const char *program, const char *directory, bool quiet, const char *level,
                 struct error *err);
// "text" (also NULL), or "json": one object a line. Before or after env_log_open.
int env_log_set_format(const char *format, struct error *err);
// Opens the files anew by their names: somebody has moved them away.
void env_log_reopen(void);
void env_log_close(void);

// The address that `command` (of the shell; NULL: nothing happens) prints takes the place of `*ip`,
// which is from mem_alloc. It is waited for: before the loop runs.
int env_discover_ip(const char *command, char **ip, struct error *err);

// ---- child processes ----
// No code of the daemon runs between fork and exec (posix_spawn or vfork semantics). Descriptors
// other than those in `fds` are closed in the child.
struct env_spawn {
    const char *file;         // absolute path
    char *const *arguments;   // argv, NULL-terminated
    char *const *environment; // NULL-terminated; NULL: inherit
    const char *directory;    // working directory, or NULL
    const int *fds;           // fds[i] becomes descriptor i of the child; -1: /dev/null
    size_t fd_count;
    bool new_session;    // setsid
    bool takes_terminal; // after it: descriptor 0 becomes the session's controlling terminal
    int cgroup_fd;       // directory of the version 2 cgroup that it begins in, or 0: the parent's
};
// Whether the kernel takes `cgroup_fd` (Linux 5.7).
bool env_can_spawn_into_cgroup(void);
struct env_child;
// `on_exit` gets waitpid's status; it never runs inside env_spawn. The handle is freed after it.
int env_spawn(struct env *env, const struct env_spawn *order,
              void (*on_exit)(void *ctx, pid_t pid, int status), void *ctx, pid_t *ret_pid,
              struct env_child **ret_child, struct error *err);
// Forgets the child: on_exit will not be called (the process is reaped all the same, if nobody else
// did).
void env_child_detach(struct env_child *child);
