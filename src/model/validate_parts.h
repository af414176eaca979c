// SPDX-License-Identifier: Apache-2.0
//
// Checks that validate_task.c and validate_group.c share. Private to src/model.

#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "model/resources.h"
#include "proto/mesos.pb-c.h"

// What holds for every task, launched alone or in a group. `resources` as validate_task has it.
int validate_task_parts(const Mesos__V1__TaskInfo *task, struct resources **resources,
                        struct error *err);
// The checks that one owner's resources must pass; `whose` starts the sentences. `parsed` as
// validate_task has it.
int validate_owned_resources(Mesos__V1__Resource *const *messages, size_t count, const char *whose,
                             struct resources **parsed, struct error *err);
int validate_unique_volumes(const struct resources *r, struct error *err);
int validate_one_revocability(const struct resources *r, struct error *err);
// A port, or an element of a set, is in both.
bool validate_has_overlap(const struct resources *a, const struct resources *b);
