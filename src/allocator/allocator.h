// SPDX-License-Identifier: Apache-2.0
//
// The allocator decides who is offered what. It is a step function: the master tells it what
// changed, asks for a round (allocator_run), and gets offers through one callback. It reads no
// clock and never calls back but from allocator_run.
//
// All amounts are owned by the caller and copied. Ids are the master's strings. Filters, shares and
// sorting follow Mesos' hierarchical allocator (src/master/allocator/mesos/hierarchical.cpp): roles
// are ordered by weighted dominant share, frameworks within a role likewise; ties go to who has
// fewer allocations, then by name.

#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/timer.h"
#include "model/resources.h"

struct allocator;

// Mesos' default of --min_allocatable_resources.
#define ALLOCATOR_MIN_ALLOCATABLE "cpus:0.01|mem:32"
// Without the batch rhythm, the shortest time for which a framework that gave resources back by its
// own will is not offered the same ones again (Mesos: until its next round, a second later).
#define ALLOCATOR_REFUSE_MIN_NS NS_PER_S

struct allocator_options {
    int64_t offer_interval_ns; // 0: offer freed resources at once, coalesced per turn; else the
                               // batch rhythm of Mesos' --allocation_interval
    // As the flag, sound (allocator_check_min_allocatable); NULL: the default; "": any resource.
    const char *min_allocatable_resources;
    const char *fair_sharing_excluded; // names, comma separated; NULL: none
    bool filter_gpu_resources;
    const char *region;  // the master's; agents of other regions go to frameworks with REGION_AWARE
                         // only. NULL: the master has no domain
    bool is_role_random; // --role_sorter=random: by chance and weight, not by share
    bool is_framework_random; // --framework_sorter=random
    // Not in Mesos. Demand-aware: a framework that declined everything three times in a row comes
    // after those that take something, until it takes something or revives. Packing: agents that
    // are partly used are offered before those that are free, so that large tasks find room.
    bool is_demand_aware;
    bool is_packing;
    uint64_t seed;
};

struct allocator_callbacks {
    // `offered` is allocated to `role`; the allocator counts it as the framework's until
    // allocator_recover gives it back. Owned by the allocator, valid during the call only.
    void (*offer)(void *ctx, const char *framework_id, const char *role, const char *agent_id,
                  const struct resources *offered);
};

// Whether a flag's text can be given as min_allocatable_resources; -EINVAL with Mesos' text.
int allocator_check_min_allocatable(const char *text, struct error *err);

struct allocator *allocator_new(const struct allocator_options *options,
                                const struct allocator_callbacks *callbacks, void *ctx);
struct allocator *allocator_free(struct allocator *a);

// Frameworks. `capabilities` are bits as in model/framework.h. `suppressed` roles get no offers.
void allocator_add_framework(struct allocator *a, const char *framework_id,
                             const char *const *roles, size_t role_count,
                             const char *const *suppressed, size_t suppressed_count,
                             unsigned capabilities, bool active);
void allocator_update_framework(struct allocator *a, const char *framework_id,
                                const char *const *roles, size_t role_count,
                                const char *const *suppressed, size_t suppressed_count,
                                unsigned capabilities);
// Of FrameworkInfo.offer_filters: what must at least be in an offer for a role.
void allocator_set_offer_filters(struct allocator *a, const char *framework_id,
                                 const Mesos__V1__FrameworkInfo *info);
// Which agents the framework wants, by role. NULL: all. Takes them over.
struct constraints;
void allocator_set_constraints(struct allocator *a, const char *framework_id,
                               struct constraints *constraints);
void allocator_remove_framework(struct allocator *a, const char *framework_id);
void allocator_activate_framework(struct allocator *a, const char *framework_id);
void allocator_deactivate_framework(struct allocator *a, const char *framework_id);

// Agents. `used` is what tasks already hold, allocated to roles, per framework.
struct allocator_use {
    const char *framework_id;
    const struct resources *used;
};
void allocator_add_agent(struct allocator *a, const char *agent_id, const struct resources *total,
                         const struct allocator_use *uses, size_t use_count);
void allocator_update_agent(struct allocator *a, const char *agent_id,
                            const struct resources *total);
// Host name, attributes and domain, for what depends on them. `info` stays the caller's and must
// live until it is replaced or the agent removed.
void allocator_set_agent_info(struct allocator *a, const char *agent_id,
                              const Mesos__V1__AgentInfo *info);
// All offer filters for the agent go, since its attributes changed.
void allocator_forget_filters(struct allocator *a, const char *agent_id);
// Only agents on these hosts are offered. NULL: all.
void allocator_set_whitelist(struct allocator *a, const char *const *hosts, size_t count);
void allocator_remove_agent(struct allocator *a, const char *agent_id);
void allocator_activate_agent(struct allocator *a, const char *agent_id);
void allocator_deactivate_agent(struct allocator *a, const char *agent_id);

// Resources (allocated to a role) come back: a decline, what an ACCEPT left over, an ended task, a
// rescinded offer. They must have been offered or tracked (CHECKed), unless the framework or the
// agent was removed: then nothing happens, since removing either gives back all it held.
// refuse_ns >= 0 also sets an offer filter for that long (ALLOCATOR_REFUSE_MIN_NS at least without
// the batch rhythm; with it, 0 sets none): the framework is not offered these resources or less of
// this agent in this role until then. Negative: no filter.
void allocator_recover(struct allocator *a, const char *framework_id, const char *agent_id,
                       const struct resources *amount, int64_t refuse_ns, struct instant now);
// Resources are used without an offer (a task found at reregistration).
void allocator_track(struct allocator *a, const char *framework_id, const char *agent_id,
                     const struct resources *amount);

// What a framework holds of an agent (`from`, allocated to a role, offered or tracked) becomes
// `to` of the same role and quantities, and the agent's total with it: a reservation, a volume made
// or destroyed. `from` empty: `to` is shared and the framework holds that many copies more of it,
// which changes no total. `to` empty: the resources are no more. CHECKs that all of it is there.
void allocator_transform(struct allocator *a, const char *framework_id, const char *agent_id,
                         const struct resources *from, const struct resources *to);

// role_count 0: all roles of the framework. Reviving clears its filters in those roles.
void allocator_suppress(struct allocator *a, const char *framework_id, const char *const *roles,
                        size_t role_count);
void allocator_revive(struct allocator *a, const char *framework_id, const char *const *roles,
                      size_t role_count);

void allocator_set_weight(struct allocator *a, const char *role, double weight);

// What a role is promised, and what it may have at most, of scalars. What is not named has no
// guarantee, or no limit; a limit of 0 is one.
struct allocator_quantity {
    const char *name;
    int64_t amount; // thousandths
};
struct allocator_quota {
    const struct allocator_quantity *guarantees;
    size_t guarantee_count;
    const struct allocator_quantity *limits;
    size_t limit_count;
};
bool allocator_has_quotas(const struct allocator *a);
// NULL: no quota any more. Quotas of roles below others (a/b) hold as well.
void allocator_set_quota(struct allocator *a, const char *role,
                         const struct allocator_quota *quota);

// No rounds until so many agents are there, or the deadline is passed (monotonic): after a failover
// quotas must not be met from the first few agents alone.
void allocator_pause(struct allocator *a, size_t agents, int64_t deadline);

// Runs what is due: makes offers for agents that changed. Returns the number of offers made. Call
// it when allocator_next says so (a monotonic deadline; INT64_MAX: nothing to do; <= now: due).
size_t allocator_run(struct allocator *a, struct instant now);
int64_t allocator_next(const struct allocator *a);

// For the endpoints and metrics. Shares are those that the order goes by: a role's is divided by
// its weight.
struct allocator_statistics {
    uint64_t runs;
    int64_t agents, frameworks, filters;
};
void allocator_get_statistics(const struct allocator *a, struct allocator_statistics *ret);
// Of a scalar, in thousandths: what all agents have, and what is offered or used of it.
void allocator_get_amounts(const struct allocator *a, const char *name, int64_t *ret_total,
                           int64_t *ret_held);
// Each role that a framework is subscribed to, with the number of its offer filters.
void allocator_walk_filters(const struct allocator *a,
                            void (*visit)(void *ctx, const char *role, int64_t filters), void *ctx);
// False for one that is unknown, too.
bool allocator_is_suppressed(const struct allocator *a, const char *framework_id, const char *role);
double allocator_dominant_share(const struct allocator *a, const char *role,
                                const char *framework_id /* NULL: of the role */);

// Why a framework is not offered an agent in a role, in the order of the checks.
enum allocator_reason {
    ALLOCATOR_DEACTIVATED,     // the agent is deactivated, drained or not connected
    ALLOCATOR_NOT_WHITELISTED, // its host is not in the whitelist
    ALLOCATOR_NOTHING_FREE,    // all of it is used or in offers
    ALLOCATOR_REGION,          // another region, and the framework is not REGION_AWARE
    ALLOCATOR_GPUS,            // it has GPUs, and the framework does not know of them
    ALLOCATOR_CONSTRAINTS,     // the framework's offer constraints
    ALLOCATOR_RESERVED,        // what is free is reserved for other roles
    ALLOCATOR_CAPABILITY,      // what is free needs a capability
    ALLOCATOR_MINIMUM,         // too little is free
    ALLOCATOR_FILTERED,        // the framework declined this or more
    ALLOCATOR_SHARED,   // only a shared resource is free, and somebody else has an offer of it
    ALLOCATOR_LIMIT,    // a quota's limit
    ALLOCATOR_HEADROOM, // kept for guarantees of other roles
    ALLOCATOR_NEXT,     // nothing: it is offered in the next round
};
struct allocator_why {
    enum allocator_reason reason;
    char detail[200]; // what the reason is about, in words and figures; may be empty
    int64_t until_ns; // FILTERED: when the filter expires, on the monotonic clock; else 0
    const struct resources *free; // what the agent has free
};
// Looks at every agent for each role that the framework is subscribed to: for who asks, not for
// every turn. False when the framework is unknown.
bool allocator_explain(struct allocator *a, const char *framework_id,
                       void (*visit)(void *ctx, const char *role, const char *agent_id,
                                     const struct allocator_why *why),
                       void *ctx);
// Where a framework stands in a role.
struct allocator_standing {
    bool is_active, is_suppressed;
    bool is_sated;        // demand-aware: it declines everything
    double share;         // among the frameworks of the role
    double role_share;    // of the role with all below, divided by its weight
    int64_t filters;      // agents that it has filters for
    size_t before, after; // members that want offers and go before it, or behind
    bool is_by_chance;    // a sorter is random: who goes before is not known, and all are `after`
    int64_t paused_until; // no offers are made before (allocator_pause); 0: they are
};
bool allocator_get_standing(const struct allocator *a, const char *framework_id, const char *role,
                            struct allocator_standing *ret);
// The last few offers, the latest first; and how many there were in all.
uint64_t allocator_walk_offers(const struct allocator *a, const char *framework_id,
                               void (*visit)(void *ctx, const char *role, const char *agent_id,
                                             int64_t wall_ns, const struct resources *offered),
                               void *ctx);
