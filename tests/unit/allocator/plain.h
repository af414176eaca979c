// SPDX-License-Identifier: Apache-2.0
//
// A plain and slow allocator: tables of who holds what, from which everything is computed anew each
// time it is asked. It does not decide; it tells whether a decision was right.

#pragma once

#include "base/prng.h"
#include "fixture.h"

enum { FRAMEWORKS = 5, ROLES = 6, AGENTS = 5, FILTERS_MAX = 600, NAMES = 4 };

extern const char *const role_names[ROLES];
extern const int role_parents[ROLES]; // -1: the root
extern const char *const plain_names[NAMES];

#define CAPABLE(NAME) (1u << MESOS__V1__FRAMEWORK_INFO__CAPABILITY__TYPE__##NAME)

struct plain_framework {
    bool is_there, is_active;
    unsigned capabilities;
    bool subscribed[ROLES], suppressed[ROLES];
    int64_t least_cpus; // of its offer_filters, in thousandths; 0: none
    int rack;           // of its constraints; -1: any
    uint64_t allocations[ROLES];
    struct resources *held[ROLES][AGENTS]; // allocated; never NULL
};

struct plain_agent {
    bool is_there, is_active, is_unlisted;
    bool is_shared_out; // its shared resources were offered in this run
    struct resources *total;
};

struct plain_filter {
    int framework, role, agent;
    struct resources *refused;
    int64_t deadline;
};

struct plain_role {
    double weight;
    uint64_t own_allocations, all_allocations;
    bool has_quota;
    int64_t guarantees[NAMES]; // 0: none
    int64_t limits[NAMES];     // -1: none
};

struct outstanding {
    int framework, role, agent;
    struct resources *resources;
};

struct world {
    struct prng prng;
    struct plain_framework frameworks[FRAMEWORKS];
    struct plain_agent agents[AGENTS];
    struct plain_role roles[ROLES];
    struct plain_filter filters[FILTERS_MAX];
    size_t filter_count;
    struct outstanding *outstanding;
    size_t outstanding_count;
    struct allocator *allocator;
    struct instant now;
    bool has_quotas;
    bool is_listing; // there is a whitelist
    bool is_listed[AGENTS];
    bool is_ordered; // the order of members is by share
    uint64_t offers;
};

bool plain_is_within(int role, int scope); // itself or below; scope -1: all
struct resources *plain_available(const struct world *w, int agent);
// framework < 0: of the role with all below.
double plain_share(const struct world *w, int framework, int role);
// What the framework would be offered of the agent in the role now; NULL: nothing.
struct resources *plain_claim(const struct world *w, int framework, int role, int agent,
                              bool may_share);
// The offer would bring the role nearer to a guarantee.
bool plain_is_progress(const struct world *w, int role, int agent);
// Negative when member 1 goes before member 2.
int plain_compare(const struct world *w, int framework1, int role1, int framework2, int role2);
int64_t plain_consumed(const struct world *w, int role, int name);
// The role is kept by the allocator: for members, weight, quota, reservations or roles below.
bool plain_is_kept(const struct world *w, int role);
bool plain_is_member(const struct world *w, int framework, int role);
