// SPDX-License-Identifier: Apache-2.0
//
// What the parts of the swarm share.

#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"
#include "base/prng.h"
#include "client/scheduler.h"
#include "election/election.h"
#include "env/env.h"
#include "net/link.h"
#include "proto/link.pb-c.h"
#include "swarm/stats.h"
#include "swarm/swarm.h"
#include "swarm/watch.h"

enum {
    SWARM_MAGIC = 0x53776172,
    SWARM_CONNECTIONS_MAX = 19000, // a process may open 20,000 files where this is tested
    SWARM_NEEDS_MAX = 8,           // scalars that a task asks for
    SWARM_RESEND_STEPS = 7,        // 10 s, 20 s, ... 640 s
};

// STARTS: agents register, then frameworks subscribe. RUNS: until the tasks have ended, or the
// time is over. ENDS: frameworks are torn down, agents unregister. LEAVES: until that is sent.
enum swarm_phase { SWARM_STARTS, SWARM_RUNS, SWARM_ENDS, SWARM_LEAVES };

// ---- agents ----

// One connection to the master, for one agent or several.
struct swarm_conn {
    struct swarm *swarm;
    struct link *link;          // NULL while closed
    bool is_open;               // frames may be sent
    struct list waiting;        // in swarm->connecting, while it waits for its turn
    struct swarm_agent *agents; // the first; the next ones are `stride` further on
    size_t agent_count;
    char source[24]; // the loopback address that it comes from, or ""
};

enum swarm_agent_state {
    AGENT_OFF,         // its connection is not open
    AGENT_WAITS,       // for its turn to register
    AGENT_REGISTERING, // until the master has answered
    AGENT_REGISTERED,
    AGENT_CUT, // hears and says nothing, for a while; its tasks run on
};

struct swarm_agent {
    struct swarm *swarm;
    struct swarm_conn *conn;
    uint32_t number;
    uint32_t channel;
    enum swarm_agent_state state;
    bool was_registered; // a loss is the swarm's doing, or the master's failure
    char *id;            // once a master has given one
    int64_t pinged_at;
    uint32_t pings;          // answered
    int64_t asked_at;        // REGISTERING: when it last asked
    struct list registering; // in swarm->to_register or swarm->registering
    struct timer trouble;    // the next one, or the end of one
    bool restarts;           // the outage is a restart
    struct prng prng;
    struct list tasks;
    size_t task_count;
    int64_t *freed; // when slots became free that nobody has taken since; a ring
    uint32_t freed_first, freed_count, freed_capacity;
};

// A framework as agents know it; one for all agents.
struct known_framework {
    Mesos__V1__FrameworkInfo *info; // in `arena`
    struct arena *arena;
    bool is_partition_aware;
    bool is_checkpointing;
};

struct swarm_task {
    struct list link; // agent->tasks
    struct swarm_agent *agent;
    struct known_framework *framework;
    char *id;
    void *packed; // mesos.v1.Task without its state
    size_t packed_size;
    Mesos__V1__TaskState state;    // the newest
    Mesos__V1__TaskState queue[2]; // updates that were not acknowledged, in order
    unsigned queued;
    unsigned resent;     // how often queue[0] was sent again
    const char *message; // of the newest update: a constant text, or NULL
    uint8_t uuid[16];    // of queue[0]
    struct list unacked; // in swarm->unacked[resent], while queue[0] is under way
    int64_t sent_at;
    int64_t ended_at; // by the monotonic clock; 0 before
    struct timer end;
};

// ---- frameworks ----

enum swarm_behaviour {
    BEHAVES_GREEDY,   // takes all it can get
    BEHAVES_PICKY,    // wants one agent in four, and declines the others
    BEHAVES_BATCH,    // a wave of tasks; when all have ended, the next
    BEHAVES_SERVICE,  // tasks that run until it kills them
    BEHAVES_HOARDING, // keeps offers for a while, and uses half of each
    BEHAVES_SLOW,     // answers and acknowledges late
    BEHAVIOUR_COUNT,
};

enum wanted_state { WANTED, ACCEPTED, RUNNING, ENDED };

// A task as its framework sees it.
struct wanted_task {
    int64_t accepted_at;
    uint8_t state;    // enum wanted_state
    uint16_t attempt; // grows with each time that it was lost
};

struct held_offer {
    struct list link;
    char *id;
    char *agent_id;
    uint64_t fit; // tasks
    int64_t due;
};

// Something to be done at a time: an acknowledgement, or a kill.
struct delayed {
    struct list link;
    int64_t due;
    char *agent_id;
    uint64_t task;
    unsigned attempt;
    size_t uuid_size;
    uint8_t uuid[16];
};

// How long a declined offer is refused.
enum decline { DECLINE_SHORT, DECLINE_LONG, DECLINE_COUNT };

struct swarm_framework {
    struct swarm *swarm;
    uint32_t number;
    enum swarm_behaviour behaviour;
    struct scheduler *scheduler;
    bool is_subscribed;
    bool is_suppressed;
    bool was_rescinded; // an offer was taken back once: an ACCEPT may have crossed it
    struct wanted_task *tasks;
    uint64_t task_count;
    uint64_t next;   // tasks below it were launched at least once
    uint64_t *again; // tasks that were lost and are to be launched again
    uint64_t again_count;
    uint64_t active; // accepted or running
    uint64_t running;
    uint64_t ended;
    uint64_t wave_end; // batch: tasks below it may be launched
    int64_t reconciled_at;
    Mesos__V1__OfferID **declined[DECLINE_COUNT]; // of the event that is handled, not sent yet
    size_t declined_count[DECLINE_COUNT];
    double allowance; // tasks that `rate` allows by now
    struct map held;  // offer id to struct held_offer
    struct list held_order;
    struct list delayed; // of struct delayed, by due
    struct timer tick;
    struct prng prng;
    double ratio_sum; // of what it has to the mean of the hungry
    uint64_t ratio_count;
};

// One loss of the master, as this process saw it: monotonic ns.
struct swarm_failover {
    int64_t lost_at;
    int64_t agents_at;
    int64_t frameworks_at;
};

enum { FAILOVERS_MAX = 100 };

struct swarm {
    uint32_t magic;
    enum swarm_phase phase;
    const struct swarm_options *options;
    struct env *env;
    int status;
    uint64_t failures;
    struct election *election; // NULL: --master is an address
    char host[256];            // of the master; "" while none is known
    uint16_t port;
    struct arena *scratch; // of the message that is being handled or made
    struct buf frame;

    // agents.c, link.c
    struct swarm_agent *agents;
    size_t agent_count;
    struct swarm_conn *conns;
    size_t conn_count;
    struct list connecting; // of struct swarm_conn, that wait for their turn
    size_t opening;         // connections being opened
    int64_t connect_after;  // not before
    struct timer connect_timer;
    struct list to_register; // of struct swarm_agent
    struct list registering;
    size_t registering_count;
    size_t registered;
    size_t cut; // agents that are in trouble by our own doing
    Mesos__V1__Resource **agent_resources;
    size_t agent_resource_count;
    struct map known;                        // framework id to struct known_framework
    struct list unacked[SWARM_RESEND_STEPS]; // of struct swarm_task, by sent_at
    struct timer second_timer;               // resends, silent masters, progress
    struct arena *arena;                     // for as long as the swarm lives

    // frameworks.c
    struct swarm_framework *frameworks;
    size_t framework_count;
    size_t subscribed;
    size_t frameworks_done;
    bool frameworks_began;
    Mesos__V1__Resource **needs; // of a task
    size_t need_count;
    Mesos__V1__Labels *labels; // of a task, or NULL
    uint64_t slots;            // tasks that fit on all agents

    // figures
    struct histogram accept_to_running;
    struct histogram turn_round;
    uint64_t states[32]; // terminal updates of frameworks, by state
    uint64_t running;    // tasks, as their frameworks see it
    uint64_t launched, started, ended, pings, resent, rescinded, refused_calls;
    uint64_t partitions, restarts, running_max;
    int64_t began_at, registered_at, first_accept_at, last_end_at, settled_at, lost_at;
    int64_t agents_back_at, frameworks_back_at, end_deadline;
    bool is_settled, was_settled, all_run_told;
    bool is_released; // what was held ends
    struct swarm_failover failovers[FAILOVERS_MAX];
    size_t failover_count;
    double worst_ratio; // furthest from 1 at any moment
    uint64_t samples;
    struct timer sample_timer;
    struct timer progress_timer;
    struct timer end_timer; // timeout, duration, the end of ENDS
    struct timer duration_timer;
    struct timer hold_timer; // until what is held is released
    uint64_t ended_then;     // at the last progress line
    int64_t progress_at;
    struct watch watch; // of the master
    struct watch_sample at_start, at_registered, at_first_accept, at_full, at_end;
};

// swarm.c
void swarm_fail(struct swarm *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
void swarm_say(const struct swarm *s, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
// Something changed of what `settled` depends on.
void swarm_check_settled(struct swarm *s);
void swarm_check_done(struct swarm *s);
// The connection to the master is gone, whoever noticed.
void swarm_note_loss(struct swarm *s, const char *what);
// Whether latencies count already.
bool swarm_is_warm(const struct swarm *s, int64_t now);
// Whether tasks may be lost because of what this swarm does.
bool swarm_is_troubled(const struct swarm *s);

// link.c
int swarm_links_init(struct swarm *s, struct error *err);
void swarm_links_free(struct swarm *s);
void swarm_conn_drop(struct swarm_conn *conn); // and connects anew
void swarm_agent_send(struct swarm_agent *a, const Meseta__Link__ToMaster *message);
void swarm_agent_close_channel(struct swarm_agent *a);
size_t swarm_links_queued(const struct swarm *s);

// agent.c
int swarm_agents_init(struct swarm *s, struct error *err);
void swarm_agents_free(struct swarm *s);
void swarm_agent_opened(struct swarm_agent *a);
void swarm_agent_lost(struct swarm_agent *a);
void swarm_agent_message(struct swarm_agent *a, const Meseta__Link__ToAgent *message);
void swarm_agent_channel_closed(struct swarm_agent *a);
void swarm_agents_each_second(struct swarm *s, struct instant now);
void swarm_agents_unregister(struct swarm *s);

// agent_task.c
void swarm_task_run(struct swarm_agent *a, const Meseta__Link__ToAgent__RunTask *run);
void swarm_task_kill(struct swarm_agent *a, const Meseta__Link__ToAgent__KillTask *kill);
void swarm_task_acknowledge(struct swarm_agent *a, const Meseta__Link__ToAgent__Acknowledge *ack);
void swarm_task_reconcile(struct swarm_agent *a, const Meseta__Link__ToAgent__Reconcile *reconcile);
void swarm_task_shutdown_framework(struct swarm_agent *a, const char *framework_id);
void swarm_task_update_framework(struct swarm *s, const Mesos__V1__FrameworkInfo *info);
// Those that do not outlive a restart (all of them: whatever their framework wants).
void swarm_tasks_drop(struct swarm_agent *a, bool all);
void swarm_tasks_send_again(struct swarm_agent *a);
// Those that are held end, each within --task_duration.
void swarm_tasks_release(struct swarm *s);
void swarm_tasks_resend_due(struct swarm *s, int64_t now);
size_t swarm_tasks_describe(struct swarm_agent *a, struct arena *arena,
                            Meseta__Link__FrameworkOnAgent ***ret_frameworks);
void swarm_known_free(struct swarm *s);

// framework.c
int swarm_frameworks_init(struct swarm *s, struct error *err);
int swarm_frameworks_begin(struct swarm *s, struct error *err);
void swarm_frameworks_free(struct swarm *s);
// A task's id says its number and, from the second on, the attempt: "90", "90-1". An attempt that
// was lost may come back with its agent.
char *swarm_task_id(struct arena *arena, uint64_t number, unsigned attempt);
bool swarm_parse_task_id(const char *id, uint64_t *ret_number, unsigned *ret_attempt);
void swarm_framework_send(struct swarm_framework *f, Mesos__V1__Scheduler__Call *call);
void swarm_frameworks_tear_down(struct swarm *s);
size_t swarm_frameworks_pending(const struct swarm *s);
void swarm_frameworks_complain(struct swarm *s); // of tasks that did not end
void swarm_frameworks_sample(struct swarm *s);
void swarm_frameworks_each_second(struct swarm *s, struct instant now);

// behaviour.c
int swarm_behaviour_find(const char *name, size_t size);
const char *swarm_behaviour_name(enum swarm_behaviour behaviour);
const char *swarm_behaviour_names(void);
void swarm_behave_init(struct swarm_framework *f);
void swarm_behave_offers(struct swarm_framework *f,
                         const Mesos__V1__Scheduler__Event__Offers *event);
void swarm_behave_update(struct swarm_framework *f, const Mesos__V1__TaskStatus *status);
void swarm_behave_ended(struct swarm_framework *f);
void swarm_behave_forget_offers(struct swarm_framework *f);
void swarm_behave_rescind(struct swarm_framework *f, const char *offer_id);
void swarm_behave_free(struct swarm_framework *f);
// How many tasks it would start now if it got offers.
uint64_t swarm_framework_wants(const struct swarm_framework *f);

// report.c
void swarm_print_progress(struct swarm *s, struct instant now);
void swarm_put_report(const struct swarm *s, struct buf *out);
