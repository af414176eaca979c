// SPDX-License-Identifier: Apache-2.0
//
// Private to this folder: a checker, and its probes.
//
//             delay, interval             result, or timeout
//   WAITING -------------------> PROBING --------------------> WAITING
//      ^  \_______________________/
//      |            | pause
//      |  resume    v
//      +--------- PAUSED

#pragma once

#include <netinet/in.h>
#include <uv.h>

#include "base/arena.h"
#include "base/timer.h"
#include "check/check.h"

enum { CHECKER_MAGIC = 0x43484b52, CHECK_TEXT_SIZE = 1024 };

enum checker_state { CHECKER_WAITING, CHECKER_PROBING, CHECKER_PAUSED };

enum probe_outcome {
    PROBE_SUCCEEDED,   // `value` says with what
    PROBE_FAILED,      // `text` says why
    PROBE_UNAVAILABLE, // does not count
};

// What one look found out.
struct probe_result {
    enum probe_outcome outcome;
    int value; // exit status, HTTP status, or whether the connection came about
    char text[CHECK_TEXT_SIZE];
};

// A connection under way; it outlives a checker that does not want it any more.
struct tcp_probe {
    uv_tcp_t handle;
    uv_connect_t request;
    struct checker *checker; // NULL: nobody asks
};

struct checker {
    uint32_t magic;
    enum checker_state state;
    struct arena *arena; // owns the messages and texts
    struct check_place place;
    const char *name; // "HTTP health check"
    // What is looked at.
    Mesos__V1__CheckInfo__Type type;
    const Mesos__V1__CommandInfo *command;
    const char *url;
    struct sockaddr_storage address;
    int64_t delay_ns, interval_ns, timeout_ns; // no timeout: INT64_MAX
    // What is done with it.
    void (*on_result)(struct checker *checker, const struct probe_result *result);
    void *ctx;
    // A check's.
    checker_status_fn *on_status;
    bool was_known; // the last look told something,
    int last_value; // namely this
    // A health check's.
    checker_health_fn *on_health;
    int64_t grace_ns;
    int64_t start; // monotonic
    uint32_t failures, failures_max;
    bool was_healthy; // ever
    // The rhythm, and the probe under way.
    struct timer timer; // WAITING: the next look; PROBING: the end of patience
    struct env_child *child;
    pid_t pid;
    int output_fd; // of an HTTP probe
    struct tcp_probe *tcp;
    bool is_command_elsewhere; // command_ops.start was called
};

// ---- checker.c ----
void checker_start(struct checker *checker);
// The probe's end; not from within its start.
void checker_finish(struct checker *checker, const struct probe_result *result);

// ---- probes: start one, or -errno with a text; stop it, when it is under way ----
int probe_command_start(struct checker *checker, struct error *err);
void probe_command_stop(struct checker *checker);
int probe_http_start(struct checker *checker, struct error *err);
void probe_http_stop(struct checker *checker);
int probe_tcp_start(struct checker *checker, struct error *err);
void probe_tcp_stop(struct checker *checker);
// Kills the child with its process group; nobody hears of it any more.
void probe_child_stop(struct checker *checker);
