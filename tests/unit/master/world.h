// SPDX-License-Identifier: Apache-2.0
//
// A world around the master core for its tests: streams and links that only remember what they were
// sent, a registry that answers when it is told to, a clock that is moved by hand. Calls and
// agents' messages are written as JSON.

#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/mem.h"
#include "base/text.h"
#include "master/master.h"
#include "master/records.h"
#include "model/task_state.h"
#include "wire/wire.h"

enum { SENT_MAX = 2048 };

struct stream {
    struct master_subscriber base;
    char id[40];
    char framework_id[128]; // from SUBSCRIBED
    bool closed;            // by the master
    Mesos__V1__Scheduler__Event *events[SENT_MAX];
    size_t count;
    size_t seen; // tests have looked at those before
};

struct end {
    struct master_channel base;
    char agent_id[128]; // from REGISTERED
    bool closed;
    bool mute; // does not answer pings
    bool pinged;
    Meseta__Link__ToAgent *messages[SENT_MAX];
    size_t count;
    size_t seen;
};

struct snapshot;

struct world {
    struct master *master;
    struct instant now;
    struct arena *arena;
    size_t task_notices; // of ops.notice
    uint64_t tokens[256];
    size_t token_count;
    struct end *ends[64]; // those that were ever sent something
    size_t end_count;
    bool hold_writes;      // the registry does not answer
    char applied[16][128]; // keys, "-key" for a deletion; the newest ones
    size_t applied_count;
    char gave_up[1024]; // the core's reason, or ""
    struct error err;   // of the last call
    struct master_options options;
    struct map kept; // what the registry holds: key -> struct master_item *
    int answer;      // HTTP status of the last answer to an operator; 0: none
    const char *answer_text;
    // Of a snapshot that is being taken.
    struct snapshot *snapshot;
    void (*before_change)(struct world *w, enum master_record kind, void *record);
};

void world_begin(struct world *w, const struct master_options *options);
void world_end(struct world *w);
// Answers the registry, runs what is due, until nothing is left at this moment.
void world_settle(struct world *w);
// The master dies and another one takes over what the registry holds. Streams and ends are gone.
void world_fail_over(struct world *w);
void world_pass(struct world *w, double seconds); // step by step through what is due

// `extra` goes into framework_info, for instance ",\"roles\":[\"a\"]"; "" for none.
void stream_subscribe(struct world *w, struct stream *s, const char *json);
// `json` is a call without framework_id, for instance "\"type\":\"REVIVE\"". Gives the status.
int stream_call(struct world *w, struct stream *s, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
// The next event of that type that the test has not seen, or NULL; those before count as seen.
Mesos__V1__Scheduler__Event *stream_next(struct stream *s, int type);
void stream_break(struct world *w, struct stream *s);

// A message as JSON.
void end_send(struct world *w, struct end *e, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void end_register(struct world *w, struct end *e, const char *host, const char *resources);
Meseta__Link__ToAgent *end_next(struct end *e, int type);
void end_break(struct world *w, struct end *e);
// A status update for a task. `uuid` is 0 (none) or a letter that fills it.
void end_update(struct world *w, struct end *e, const char *framework_id, const char *task_id,
                const char *state, char uuid);
// Base64 of 16 times that letter.
const char *uuid_base64(struct world *w, char letter);

// The first offer that was not seen; fails the test when there is none.
Mesos__V1__Offer *stream_offer(struct stream *s);
// A JSON array of resources: "cpus:1;mem:32" in short.
const char *amount(struct world *w, const char *text);
void expect_update(struct stream *s, const char *task_id, const char *state, const char *reason,
                   const char *message);
