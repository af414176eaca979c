// SPDX-License-Identifier: Apache-2.0
//
// Offer operations on resources: what they turn into what (RESERVE, UNRESERVE, CREATE, DESTROY,
// GROW_VOLUME, SHRINK_VOLUME), and whether they make sense. Order of checks and texts are Mesos'
// (src/master/validation.cpp, src/common/resources_utils.cpp). A conversion keeps quantities: it
// changes only to whom something is reserved, and what a disk is.
//
// The master and the agent apply the same conversions, each to what it knows.

#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/error.h"
#include "model/resources.h"
#include "proto/mesos.pb-c.h"

// One of the six above: the master applies it to its books before the agent has confirmed it.
bool operation_is_speculative(Mesos__V1__Offer__Operation__Type type);
bool operation_state_is_terminal(Mesos__V1__OperationState state);
const char *operation_state_name(Mesos__V1__OperationState state); // "OPERATION_FINISHED"; or NULL
const char *operation_type_name(Mesos__V1__Offer__Operation__Type type);

// Visits every resource of an operation other than LAUNCH and LAUNCH_GROUP.
void operation_walk(Mesos__V1__Offer__Operation *operation,
                    void (*visit)(Mesos__V1__Resource *resource, void *ctx), void *ctx);
// Body and resources are sound, each by itself; then resources are brought to the new form, in
// place (what is added lives in the arena). Not for LAUNCH and LAUNCH_GROUP. -EINVAL.
int operation_upgrade(Mesos__V1__Offer__Operation *operation, struct arena *arena,
                      struct error *err);
// The one resource, likewise. It must be sound.
void resource_upgrade(Mesos__V1__Resource *resource, struct arena *arena);
// Sets the role that resources are allocated to, where it is missing; or takes it away.
void operation_allocate(Mesos__V1__Offer__Operation *operation, const char *role,
                        struct arena *arena);
void operation_unallocate(Mesos__V1__Offer__Operation *operation);

struct conversion {
    struct resources *consumed;
    struct resources *converted;
    bool is_destroyed; // no copy of `consumed` may be left
};

struct conversions {
    struct conversion *items;
    size_t count;
};
#define CONVERSIONS_INIT                                                                           \
    {                                                                                              \
        0                                                                                          \
    }
#define AUTO_CONVERSIONS __attribute__((cleanup(conversions_free)))

// Of a speculative operation that is upgraded and was validated.
void conversions_get(const Mesos__V1__Offer__Operation *operation,
                     struct conversions *ret_conversions);
void conversions_free(struct conversions *c); // leaves it empty
// All of them, in order, or none: -EINVAL, and why in the arena.
int conversions_apply(const struct conversions *c, struct resources *r, struct arena *arena,
                      const char **ret_text);

// What an agent writes down: dynamic reservations and persistent volumes, not those of resource
// providers.
struct resources *resources_checkpointed(const struct resources *r);
// Such ones found again in what the agent offers by its flags. -EINVAL with Mesos' text when they
// are not there any more.
int resources_apply_checkpointed(const struct resources *r, const struct resources *checkpointed,
                                 struct arena *arena, struct resources **ret_total,
                                 const char **ret_text);

// What an operation is checked against.
struct operation_scene {
    const char *principal;                     // who asks; NULL: nobody is known
    const Mesos__V1__FrameworkInfo *framework; // NULL: an operator asks
    const struct resources *checkpointed;      // of the agent (resources_checkpointed)
    const struct resources *used;              // by tasks and executors there, of all frameworks
    bool has_hierarchical_roles;               // capabilities of the agent
    bool has_refinement;
    bool has_resize;
};
// Any operation but LAUNCH and LAUNCH_GROUP, upgraded. -EINVAL, and why in the arena.
int operation_validate(const Mesos__V1__Offer__Operation *operation,
                       const struct operation_scene *scene, struct arena *arena,
                       const char **ret_text);
// In the arena.
const char *resources_text(const struct resources *r, struct arena *arena);
const char *resource_text(const Mesos__V1__Resource *message, struct arena *arena);
