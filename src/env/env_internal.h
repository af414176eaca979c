// SPDX-License-Identifier: Apache-2.0
//
// What the files of src/env/ share; nobody else includes it.

#pragma once

#include "env/env.h"

#define ENV_MAGIC UINT32_C(0x454e5631)

enum { ENV_SIGNAL_COUNT = 65 };

struct env_signal {
    uv_signal_t handle;
    void (*run)(void *ctx, int signal);
    void *ctx;
};

struct env {
    uint32_t magic;
    uv_loop_t loop;
    uv_prepare_t prepare;  // the turn's end: hooks, then the next deadline
    uv_check_t check;      // after the poll: timers that are due
    uv_timer_t alarm;      // bounds the sleep; runs nothing itself
    uv_idle_t awake;       // while there is work in the background: no sleep; runs nothing itself
    uint64_t alarm_due_ms; // what the alarm is set to, UINT64_MAX while it is not set
    struct timers timers;
    struct list hooks;      // env_hook.link, in order of asking
    struct list background; // the same, of those that share a part of each turn
    bool defer;             // env_defer_background was called in this turn,
    bool has_deferred;      // or heeded in the one before
    struct instant now;
    bool now_is_stale; // the clocks are read again when somebody asks
    bool stopped;
    int status;
    struct env_signal *signals[ENV_SIGNAL_COUNT];
    struct list children; // env_child.link
};

// Drops the watches of the children that still run (src/env/child.c).
void env_children_forget(struct env *env);

// What the child does between clone and exec (src/env/child_exec.c). The two share memory until the
// exec, so everything is prepared by the parent and nothing is allocated.
struct env_child_order {
    const char *file;
    char *const *arguments;
    char *const *environment;
    const char *directory; // or NULL
    int *fds;              // scratch: fds[i] becomes i; -1: /dev/null. Changed by the child
    unsigned fd_count;
    bool new_session;
    bool takes_terminal;
    int cgroup_fd;           // 0: none
    int error;               // errno of the step that failed, 0 when exec was reached
    const char *failed_step; // its name
};
int env_child_exec(void *order); // entry of clone()

// Runs the child up to its exec. Returns its pid, or a negative errno (src/env/child_clone.c).
pid_t env_child_clone(struct env_child_order *order, int *ret_pidfd);
