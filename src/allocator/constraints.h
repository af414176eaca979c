// SPDX-License-Identifier: Apache-2.0
//
// Offer constraints: for each role of a framework, groups of conditions on an agent's attributes,
// host name, region or zone. An agent is offered in the role if it meets all of at least one group.

#pragma once

#include <stdbool.h>

#include "allocator/pattern.h"
#include "base/error.h"
#include "proto/scheduler.pb-c.h"

struct constraints;

// Copies what it needs. -EINVAL with Mesos' texts.
int constraints_new(const Mesos__V1__Scheduler__OfferConstraints *message,
                    const struct pattern_limits *limits, struct constraints **ret_constraints,
                    struct error *err);
struct constraints *constraints_free(struct constraints *constraints); // NULL is fine
bool constraints_exclude(const struct constraints *constraints, const char *role,
                         const Mesos__V1__AgentInfo *info);
