// SPDX-License-Identifier: Apache-2.0
//
// Runs real containers through containerizer.h: a world has a loop, a containerizer, a scratch
// directory and what was heard of each container. world_end checks that nothing is left behind.

#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/map.h"
#include "container/containerizer.h"
#include "env/env.h"

// What a group of tests runs with.
struct setting {
    const char *launcher;
    const char *isolation;
};

// Without cgroups, and with them.
extern const struct setting world_settings[2];

// A test with each of the settings, as rows of struct CMUnitTest.
#define BOTH(function)                                                                             \
    {#function " (posix)", function, NULL, world_abandon, (void *)(uintptr_t)&world_settings[0]},  \
    {                                                                                              \
#function " (linux)", function, NULL, world_abandon, (void *)(uintptr_t)&world_settings[1] \
    }

// What was heard of a container.
struct outcome {
    bool launched, terminated;
    pid_t pid;
    int64_t launch_ns; // from the call to on_launched
    int64_t asked_at;
    bool has_status;
    int status;
    bool has_reason;
    Mesos__V1__TaskStatus__Reason reason;
    char *message;
    int64_t limited_mem; // thousandths of MB; 0: none
};

struct world {
    struct env *env;
    struct containerizer *c;
    struct containerizer_options options;
    struct setting setting;
    char directory[128];
    char root[32]; // the cgroups root, its own
    struct map outcomes;
    size_t launched, terminated, accepted;
    size_t want_launched, want_terminated;
    struct timer timer;
    struct arena *arena;
    char refusal[ERROR_TEXT_SIZE]; // text of the last launch that was refused
};

// A launch with defaults that a test changes before world_launch.
struct order {
    const char *id;
    const char *shell;            // a shell command, or
    const char *const *arguments; // file and arguments
    const char *user;
    const char *resources; // "cpus:1;mem:64"
    struct hard_limits limits;
    bool is_burstable;
    bool is_standalone; // its sandbox is where those have it
    const char *uris[8];
    bool cache;
    bool executable;
    bool no_extract;
    const char *output_file;
    bool outlives_agent;
    // Where the id has a dot: nested.
    bool owns_limits;
    bool is_session;
    const char *link, *link_target; // or NULL
};

// NULL in case the setting cannot be had here (no root): the test is to be skipped.
struct world *world_begin(const struct setting *setting);
struct world *world_begin_with(const struct setting *setting,
                               void (*change)(struct containerizer_options *options));
void world_end(struct world *w);

// Begins world `w` of a test's setting; skips the test where the setting cannot be had.
#define BEGIN(state)                                                                               \
    struct world *w = world_begin(*(state));                                                       \
    if (w == NULL) {                                                                               \
        skip();                                                                                    \
        return;                                                                                    \
    }

// A cmocka teardown: cleans up after a test that failed.
int world_abandon(void **state);

// Whether its setting is the one with cgroups.
bool world_has_cgroups(const struct world *w);
int world_launch(struct world *w, const struct order *order); // containerizer_launch's answer
struct outcome *world_outcome(struct world *w, const char *id);
// Until all that was accepted has ended (or `count` were launched). Fails the test after 60 s.
void world_wait_all(struct world *w);
void world_wait_launched(struct world *w, size_t count);
void world_sleep(struct world *w, int64_t ns);
// The containerizer ends and leaves what outlives it; another one recovers the containers `ids`,
// which count as launched anew. `meanwhile` (or NULL) runs between the two.
void world_restart(struct world *w, const char *const *ids, size_t count,
                   void (*meanwhile)(struct world *w));
// Launches it alone and waits for its end.
struct outcome *world_run(struct world *w, const struct order *order);

const char *world_sandbox(struct world *w, const char *id);                // in the arena
const char *world_file(struct world *w, const char *id, const char *name); // content, in the arena
// Processes whose environment says MARK=<root>: everything that the world's containers started.
size_t world_count_processes(const struct world *w);
// Makes the cgroups of a container that no agent knows, with a process in a group inside. Its pid,
// a child of ours.
pid_t world_make_orphan(struct world *w, const char *id);
