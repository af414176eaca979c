// SPDX-License-Identifier: Apache-2.0
//
// Containers without cgroups: the processes of a session, found by walking /proc. Whatever the
// container's first process started belongs to it, as a descendant or as a member of a session that
// was seen among its descendants. A process that left both (double fork and setsid, before anyone
// looked) is lost to this launcher, as it is in Mesos: cgroups are for that.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "proto/mesos.pb-c.h"

struct session;

struct session *session_new(pid_t leader);
struct session *session_free(struct session *session); // NULL is fine; returns NULL
// The leader was reaped: its number means something only as the number of its session from now on.
void session_leader_gone(struct session *session);

// One step: stops what it finds until nothing new turns up, then kills it. 0: nothing is alive.
// 1: call again a little later.
int session_take_down(struct session *session, struct error *err);

// Sums up the resident memory and cpu time of all members; each only when asked for.
int session_usage(struct session *session, bool cpu, bool memory,
                  Mesos__V1__ResourceStatistics *statistics, struct error *err);
