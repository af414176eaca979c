// SPDX-License-Identifier: Apache-2.0
//
// Containers without cgroups: the processes of a session, found by walking /proc. Whatever the
// container's first process started belongs to it, as a descendant, as a member of a session that
// was seen among its descendants, or because its environment names the container's sandbox
// (MESOS_SANDBOX), which it got from the first process and which outlasts all parents. A
// process that left all three (double fork, setsid, and another environment, before anyone looked)
// is lost to this launcher: cgroups are for that.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "proto/mesos.pb-c.h"

struct session;

// `sandbox`: the container's, which no other has, or NULL. `is_child`: the leader is a child of
// ours and not reaped yet.
struct session *session_new(pid_t leader, const char *sandbox, bool is_child);
struct session *session_free(struct session *session); // NULL is fine; returns NULL
// The leader was reaped: its number means something only as the number of its session from now on.
void session_leader_gone(struct session *session);

// One step: stops what it finds until nothing new turns up, then kills it. 0: nothing is alive, and
// nothing was started by what ended meanwhile.
// 1: call again a little later.
int session_take_down(struct session *session, struct error *err);

// Sums up the resident memory and cpu time of all members; each only when asked for.
int session_usage(struct session *session, bool cpu, bool memory,
                  Mesos__V1__ResourceStatistics *statistics, struct error *err);
