// SPDX-License-Identifier: Apache-2.0
//
// What the files of the simulator tell each other. One `struct sim` is one world, drawn from one
// seed. Nothing in it asks the machine for anything: time is sim->now, chance is sim->prng, and all
// that happens is a timer in sim->timers.
//
// Hosts are numbered: the masters' come first, then ZooKeeper's servers, the agents', the
// frameworks'.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/agent.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/plant.h"
#include "base/prng.h"
#include "base/timer.h"
#include "base/uuid.h"
#include "env/env.h"
#include "master/master.h"
#include "model/resources.h"
#include "sim/marks.h"
#include "sim/net.h"
#include "sim/registry.h"
#include "sim/zoo.h"
#include "wire/wire.h"

enum { QUOTA_ROLES = 2, QUOTA_NAMES = 2 };
extern const char *const quota_roles[QUOTA_ROLES];
extern const char *const quota_names[QUOTA_NAMES];

enum { MASTERS_MAX = 5, AGENTS_MAX = 5, FRAMEWORKS_MAX = 4, HOST_ZOO = MASTERS_MAX };

#define NS_PER_MIN (60 * NS_PER_S)

// What the seed decides about a world before it begins.
struct config {
    size_t master_count, agent_count, framework_count;
    bool has_operations; // on resources
    bool has_zoo;        // else one master, which leads at once and keeps its registry on a disk
    int64_t session_timeout_ns; // with ZooKeeper
    int64_t zoo_lag_ns;         // of its servers behind their leader, at most, when all is well
    int64_t trouble_ns;         // length of the first phase
    int64_t ping_timeout_ns;
    size_t max_ping_timeouts;
    int64_t reregister_timeout_ns, offer_timeout_ns, allocation_interval_ns;
    int64_t recovery_timeout_ns; // how long executors wait for their agent
    size_t max_completed_frameworks, max_completed_tasks, max_unreachable_tasks;
    int64_t delay_ns;      // of the network, one way; the least
    int64_t disk_ns;       // until a batch is durable, at most, when the disk is well
    unsigned faults;       // bits of enum fault that happen in this world
    int64_t fault_mean_ns; // between two of them
};

// What was written and is not durable yet.
struct disk {
    struct map durable; // key -> struct disk_value
    struct list tail;   // struct batch, oldest first
    struct timer timer; // the oldest one's
    int64_t last_due;
    int64_t slow_until;
};

struct election;
struct store;
struct books;

struct master_host {
    struct sim *sim;
    size_t index;
    struct master *core; // NULL while it is down
    struct env *env;
    struct election *election;
    struct store *store; // NULL: the disk
    bool leads, recovered, failed;
    struct books *books; // of its reign
    struct timer step;   // the core's, on env
    struct env_hook turn;
    struct timer start;  // of the process, or its end
    struct list doors;   // its ends of connections
    struct list writes;  // that its store was asked for
    struct list waiters; // calls of operators
};

// Where the leading master is, as agents and frameworks find out.
struct detector {
    struct sim *sim;
    struct env *env; // NULL: not running
    struct election *election;
    bool knows;
    size_t leader; // index of a master, when it knows one
    void (*on_change)(void *ctx);
    void *ctx;
};

struct agent_host {
    struct sim *sim;
    size_t index;
    struct agent *core; // NULL while it is down
    unsigned generation;
    const char *resources;
    char id[128]; // as the core had it at the last look
    struct detector detector;
    struct end *link;
    bool link_is_open;
    int64_t retry_ns;
    struct timer step, retry, start, dropped, disk_watch;
    struct list containers;
    struct map disk;         // key -> struct buf: its checkpoints
    struct list puts, notes; // of this turn; see agent_disk.c
    bool is_armed;           // the next turn in which something is to be done is its last
    bool is_doomed, doom_commits;
    size_t doom_left; // effects that are still done
    struct timer death;
    unsigned boots;
    int64_t down_since;
    bool cleans_up; // the next start is with --recover=cleanup
    bool is_ending; // an operator stopped it: it starts anew when it has ended
    bool stays_down;
};

// How a framework behaves while there is trouble.
struct manners {
    bool operates, shares;
    bool picky, hoards, partition_aware, multi_role, refinement, custom_executors, checkpoint;
    const char *role;
    double failover_timeout; // seconds
    size_t live_max;
    int64_t act_ns, ack_ns_max, task_ns_max;
};

struct framework_host {
    struct sim *sim;
    size_t index;
    struct manners manners;
    unsigned life;      // counts ids: after a teardown it begins anew
    char id[96];        // "" while it has none
    char stream_id[40]; // of the stream that is open
    bool is_subscribed;
    struct detector detector;
    struct end *stream, *calls;
    size_t unanswered;  // calls
    size_t teardown_in; // which answer is the TEARDOWN's: 1 is the next one; 0: none
    struct timer act, reconnect;
    struct map tasks;   // id -> struct fw_task, of this life
    size_t live_count;  // of them that are not over
    struct list offers; // struct fw_offer
    struct list acks;   // struct fw_ack that wait for their time
    unsigned next_operation;
    unsigned next_task, finished; // tasks that ran to their end since the world is calm
    bool is_suppressed, is_draining, is_gone;
    bool wants_teardown; // was asked for; until the master has answered
    bool leaves;         // ... and then it does not begin anew
    int64_t last_reconcile, last_revive;
    bool was_explicit; // the last reconciliation
};

// Of a role, in thousandths; 0: none of that name.
struct quota_limit {
    bool is_known; // an operator's call may be under way
    int64_t of[QUOTA_NAMES];
};

struct sim {
    uint64_t seed;
    struct prng prng;
    struct instant now;
    struct timers timers;
    struct arena *scratch; // reset between events
    struct arena *spare;   // for an event that a framework gets; may be NULL
    struct config config;
    bool calm; // the second phase
    bool trace;
    uint64_t digest; // of everything that crossed the wire, and when
    uint64_t event_count, check_count, process_count;
    struct net net;
    struct disk disk;
    struct zoo zoo;
    struct registry registry;
    struct master_host masters[MASTERS_MAX];
    unsigned generation; // of masters: counts their starts
    struct agent_host agents[AGENTS_MAX];
    struct framework_host frameworks[FRAMEWORKS_MAX];
    struct ledger *ledger;
    struct map gone;          // ids of agents that an operator was told to be gone
    uint64_t next_volume;     // of operators
    bool is_down[AGENTS_MAX]; // machines, as an operator was told
    uint64_t machine_calls[AGENTS_MAX];
    struct quota_limit limits[QUOTA_ROLES];
    uint64_t quota_calls[QUOTA_ROLES];
    struct timer fault;
    struct list heals; // faults that end by themselves
    uint64_t *marks;   // by enum mark
};

// ---- sim.c: time, chance, trace ----
uint64_t draw(struct sim *sim, uint64_t bound);
bool chance(struct sim *sim, double probability);
// Even, and with even logarithm: small values as likely as large ones.
int64_t draw_between(struct sim *sim, int64_t least, int64_t most);
int64_t draw_spread(struct sim *sim, int64_t least, int64_t most);
void after(struct sim *sim, struct timer *timer, int64_t delay_ns); // timer->run is set
void sim_run_until(struct sim *sim, int64_t mono);
void sim_digest(struct sim *sim, const void *data, size_t size);
// Prints the seed, the moment and the text, and ends the process.
_Noreturn void sim_fail(struct sim *sim, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void sim_trace(struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));
#define TRACE(sim, ...)                                                                            \
    do {                                                                                           \
        if ((sim)->trace)                                                                          \
            sim_trace((sim), __VA_ARGS__);                                                         \
    } while (0)
#define REQUIRE(sim, condition, ...)                                                               \
    do {                                                                                           \
        if (!(condition))                                                                          \
            sim_fail((sim), __VA_ARGS__);                                                          \
    } while (0)
static inline void mark(struct sim *sim, enum mark name)
{
    sim->marks[name]++;
}
size_t host_of_master(size_t index);
size_t host_of_agent(const struct sim *sim, size_t index);
size_t host_of_framework(const struct sim *sim, size_t index);

// ---- detector.c ----
// With `on_change` and `ctx` filled in. Without ZooKeeper the leader is known at once.
void detector_start(struct detector *d, struct sim *sim, size_t host);
void detector_end(struct detector *d, bool is_crash); // harmless when not running

// ---- disk.c ----
void disk_init(struct sim *sim);
void disk_free(struct sim *sim);
void disk_apply(struct sim *sim, const struct master_item *items, size_t count, uint64_t token);
// Of what is not durable, a part from the front survives.
void disk_crash(struct sim *sim);
size_t disk_load(struct sim *sim, struct arena *arena, struct master_item **ret_items);

// ---- master_host.c ----
void master_host_init(struct sim *sim, size_t index);
void master_host_start(struct master_host *host);
void master_host_crash(struct master_host *host);
void master_host_stop(struct master_host *host); // in good order
void master_host_free(struct master_host *host);
void master_host_applied(struct master_host *host, uint64_t token); // from the disk
void master_host_teardown(struct master_host *host, const char *framework_id);
// The one that leads and has read the registry; NULL: none, or more than one believes so.
struct master_host *master_leading(const struct sim *sim);

void master_host_touched(struct master_host *host); // after a call of its core

// ---- operator.c ----
void operator_act(struct sim *sim);
// Everything is taken back, as far as it can be now.
void operator_tidy(struct sim *sim);
void operator_answered(struct master_host *host, void *waiter, int status);
void operator_forget(struct master_host *host);
// The host name of an agent's machine; in the scratch arena.
char *operator_machine(const struct sim *sim, size_t index);

// ---- master_look.c: what the leading core says of itself, for the checks ----
bool master_has_framework(const struct sim *sim, const char *id);
bool master_host_has_framework(const struct master_host *host, const char *id);
bool master_is_settled(const struct sim *sim); // nobody is awaited, nothing is being written
bool master_has_active_agent(const struct sim *sim, const char *id);
size_t master_agent_count(const struct sim *sim);
size_t master_framework_count(const struct sim *sim);
size_t master_timer_count(const struct sim *sim); // without the one that forgets old agents
size_t master_offer_count(const struct sim *sim);
// What it has, as master and agent know it, and operations that are not acknowledged. NULL: that is
// as it must be in the end.
const char *master_lacks_resources(struct sim *sim, const struct agent_host *a);
// What the leading master is told of the machine: nothing, that it is to go down, that it is down.
enum machine_state { MACHINE_UP, MACHINE_DRAINING, MACHINE_DOWN };
enum machine_state master_machine_state(const struct sim *sim, const char *hostname);
size_t master_list_deactivated(const struct sim *sim, struct arena *arena, const char ***ret_ids);
// Frameworks that a master knows and nobody stands for are an operator's to remove.
void master_teardown_strangers(struct sim *sim);
// "framework/task=STATE" of each task on the agent, ended ones that wait for their acknowledgement
// included; in the arena, sorted.
size_t master_list_tasks(const struct sim *sim, const char *agent_id, struct arena *arena,
                         const char ***ret);
void master_count_marks(struct master_host *host);
// What is booked on each agent, for the text of a failure.
void master_put_books(const struct sim *sim, struct buf *out);

// ---- agent_host.c ----
void agent_host_init(struct sim *sim, size_t index);
void agent_host_start(struct agent_host *a);
void agent_host_crash(struct agent_host *a, int64_t down_ns);
void agent_host_stop(struct agent_host *a); // as an operator does
void agent_host_free(struct agent_host *a);
void agent_host_touch(struct agent_host *a);

// A part of its next turn is lost, and then it is.
void agent_host_kill_in_turn(struct agent_host *a);
void agent_host_leave(struct agent_host *a); // as SIGTERM does: what outlives it goes on
// The machine: nothing outlives that.
void agent_host_reboot(struct agent_host *a, int64_t down_ns);

// ---- agent_disk.c ----
void agent_disk_init(struct agent_host *a);
// A record of what runs or waits; NULL: there is none.
const char *agent_disk_leftover(const struct agent_host *a);
void agent_disk_wipe(struct agent_host *a);
void agent_disk_free(struct agent_host *a);
// Asked before each effect: whether the process comes that far.
bool agent_disk_may_act(struct agent_host *a);
void agent_disk_put(struct agent_host *a, const char *key, const ProtobufCMessage *message);
void agent_disk_note_said(struct agent_host *a, const char *framework_id, const char *task_id,
                          Mesos__V1__TaskState state);
void agent_disk_note_acknowledged(struct agent_host *a, const char *framework_id,
                                  const char *task_id, const uint8_t *uuid);
void agent_disk_note_operation(struct agent_host *a,
                               const Meseta__Link__ToAgent__AcknowledgeOperation *message);
bool agent_disk_end_turn(struct agent_host *a); // false: the process was killed in it
size_t agent_disk_load(struct agent_host *a, struct arena *arena, struct agent_record **ret);

// ---- agent_look.c ----
const char *agent_host_id(const struct agent_host *a); // NULL: not registered
// After something that may have made more run there.
void agent_host_check(struct agent_host *a);
// After anything else: now and then.
void agent_host_look(struct agent_host *a);
bool agent_knows_container(const struct agent_host *a, const char *container_id);
// The n-th of those that a new process waits for; NULL: no more.
const char *agent_recovering_container(const struct agent_host *a, size_t n);
bool agent_host_is_registered(const struct agent_host *a);
// A framework with streams of updates there, or NULL; not one that the master has long forgotten.
const char *agent_stream_framework(const struct agent_host *a);
size_t agent_list_tasks(const struct agent_host *a, struct arena *arena, const char ***ret);
struct resources *agent_host_total(const struct agent_host *a);
size_t agent_operation_count(const struct agent_host *a);
// Whether an executor's update of that task counts: it is here and has not ended.
bool agent_awaits_update(const struct agent_host *a, const char *framework_id, const char *task_id,
                         bool in_subscribe);

// ---- container.c, executor.c: containers and what runs in them ----
int containers_launch(struct agent_host *a, const struct agent_launch *launch, struct error *err);
int containers_update(struct agent_host *a, const char *container_id, struct error *err);
void containers_destroy(struct agent_host *a, const char *container_id);
void containers_send(struct agent_host *a, void *stream, const Mesos__V1__Executor__Event *event);
void containers_close_stream(struct agent_host *a, void *stream);
// The agent's process is gone: what does not outlive it ends. `is_reboot`: all of them.
void containers_crash(struct agent_host *a, bool is_reboot);
// A new process has read its records: it hears of those that it knows; the others are destroyed.
void containers_recover(struct agent_host *a);
// That the agent was told of their end is durable.
void containers_forget_told(struct agent_host *a);
// One that runs and that the agent does not know, or NULL.
const char *containers_stray(const struct agent_host *a);
bool containers_break_stream(struct agent_host *a);
bool containers_kill_one(struct agent_host *a);

// ---- framework.c ----
void framework_init(struct sim *sim, size_t index);
void framework_free(struct framework_host *f);
void framework_restart(struct framework_host *f); // the scheduler's process
void framework_fail_over(struct framework_host *f);
bool framework_is_content(const struct framework_host *f);
bool framework_is_drained(const struct framework_host *f);

// ---- faults.c ----
void faults_begin(struct sim *sim);
void faults_end(struct sim *sim); // heals everything
extern const char *const fault_names[];
