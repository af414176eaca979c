// SPDX-License-Identifier: Apache-2.0
//
// A network as TCP shows it: connections between hosts, whose frames arrive in order or not at all.
// Connections break, at each end at its own time, and what was on its way may be lost with them.
// A partition holds frames back in one direction; when it lasts too long, the end that hears
// nothing gives the connection up.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/timer.h"

struct sim;
struct conn;

enum { HOSTS_MAX = 20 };

// What an end is told. After `closed` it is told nothing more, and the end may not be used.
struct end_ops {
    void (*opened)(void *ctx); // for the end that connected
    void (*frame)(void *ctx, const void *data, size_t size);
    void (*closed)(void *ctx);
};

struct end {
    struct conn *conn;
    const struct end_ops *ops;
    void *ctx;
    bool is_gone;
};

struct net {
    struct list conns;
    unsigned blocked[HOSTS_MAX][HOSTS_MAX]; // from, to: how many partitions forbid it
    int64_t paused_until[HOSTS_MAX];        // a stopped process takes nothing
    bool has_listener[HOSTS_MAX];
    uint64_t next_id;
};

void net_init(struct sim *sim);
void net_free(struct sim *sim);
// `limit_ns`: how long an end bears to hear nothing. Nothing is called back before this returned.
struct end *net_connect(struct sim *sim, size_t from, size_t to, int64_t limit_ns,
                        const struct end_ops *ops, void *ctx);
// What arrives at a host with a listener. It sets ops and ctx of the end.
void net_accept(struct sim *sim, size_t host, struct end *end); // dispatches; see net.c
void net_send(struct end *end, const void *data, size_t size);
// Whether what is sent now from this end arrives, and whether what the other end sends arrives
// here.
bool net_is_heard(const struct end *end);
bool net_hears(const struct end *end);
void net_close(struct end *end); // the end is told nothing more
// A fault on the way: a part of what is under way is lost, both ends learn of it some time.
bool net_break_one(struct sim *sim);
// One direction of one connection is late by that much, as when packets are lost and sent again:
// others overtake it.
bool net_stall_one(struct sim *sim, int64_t delay_ns);
// The host's process is gone, its ends with it. Silent: nobody else is told, either.
void net_crash_host(struct sim *sim, size_t host, bool silent);
// The host's process ends in good order: what it sent still arrives.
void net_leave_host(struct sim *sim, size_t host);
void net_block(struct sim *sim, size_t from, size_t to);
void net_unblock(struct sim *sim, size_t from, size_t to);
void net_pause(struct sim *sim, size_t host, int64_t until);
