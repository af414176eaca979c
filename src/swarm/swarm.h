// SPDX-License-Identifier: Apache-2.0
//
// The load generator: many simulated agents over the real agent link, with tasks that only take
// time, and frameworks over the real scheduler API. It measures what the master does for them, and
// finds out by itself when something went wrong.

#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/error.h"

struct swarm_options {
    char *master;
    uint64_t agents;
    uint64_t first;       // number of the first agent
    uint64_t connections; // 0: one each, as far as a process may hold them
    char *agent_resources;
    uint64_t frameworks;
    char *behaviours; // "greedy,picky"
    uint64_t roles;   // 0: all frameworks are in "*"
    uint64_t tasks;   // of all frameworks together
    char *task_resources;
    uint64_t task_labels;     // so many labels on each task
    uint64_t tasks_per_offer; // at most; 0: as many as fit
    int64_t task_duration;
    char *distribution; // of durations: fixed, uniform, exponential
    double rate;        // starts per second of all frameworks together; 0: as offers allow
    bool hold;          // tasks do not end
    int64_t hold_for;   // before they do; 0: for ever
    int64_t warm_up;    // after the first launch; what is earlier does not count as latency
    double task_failures;
    double partitions; // per agent and hour
    double restarts;   // per agent and hour
    int64_t outage;    // length of one, at most
    bool survive_master;
    int64_t duration; // 0: until the tasks have ended
    int64_t timeout;
    int64_t progress; // 0: no lines
    uint64_t seed;
    uint64_t master_pid; // 0: nothing is said of the master
    char *json;          // a file, or NULL
};

// Fills `options`; the results are those of flags_parse.
int swarm_options_parse(struct swarm_options *options, int argc, char *const argv[],
                        struct error *err);
void swarm_options_put_help(struct buf *out);
void swarm_options_free(struct swarm_options *options);

// Runs it; progress goes to standard error, the report to standard output. Returns the program's
// exit status: 0 when all went as it should.
int swarm_run(const struct swarm_options *options);
