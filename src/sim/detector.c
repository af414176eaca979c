// SPDX-License-Identifier: Apache-2.0
//
// How agents and frameworks find the leading master: the real election, which only watches. While
// ZooKeeper is away they keep the leader that they know.

#include "election/election.h"
#include "sim/process.h"

enum { PORT_BASE = 5050 };

static void leader_changed(void *ctx, const Mesos__V1__MasterInfo *leader, bool is_self)
{
    struct detector *d = ctx;
    char host[256];
    uint16_t port;
    CHECK(!is_self);
    if (leader != NULL) {
        CHECK(election_address(leader, host, &port));
        d->leader = (size_t)port - PORT_BASE;
    }
    d->knows = leader != NULL;
    d->on_change(d->ctx);
}

static void failed(void *ctx, const struct error *why)
{
    struct detector *d = ctx;
    sim_fail(d->sim, "nobody can find the leader: %s", why->text);
}

void detector_start(struct detector *d, struct sim *sim, size_t host)
{
    static const struct election_callbacks callbacks = {.on_leader = leader_changed,
                                                        .on_failed = failed};
    d->sim = sim;
    d->knows = !sim->config.has_zoo;
    d->leader = 0;
    if (!sim->config.has_zoo)
        return;
    d->env = process_new(sim, host);
    struct election_options options = {.url = "zk://zoo:2181/mesos",
                                       .session_timeout_ns = sim->config.session_timeout_ns};
    CHECK(election_new(d->env, &options, &callbacks, d, &d->election, NULL) == 0);
}

void detector_end(struct detector *d, bool is_crash)
{
    if (d->env == NULL)
        return;
    d->env->is_crashed = is_crash;
    d->election = election_free(d->election);
    d->env = process_free(d->env);
    d->knows = false;
}
