// SPDX-License-Identifier: Apache-2.0
//
// Task states: which are terminal, which moves are allowed, and their names.

#pragma once

#include <stdbool.h>

#include "proto/mesos.pb-c.h"

bool task_state_is_terminal(Mesos__V1__TaskState state); // FINISHED FAILED KILLED ERROR LOST
                                                         // DROPPED GONE GONE_BY_OPERATOR
bool task_state_may_move(Mesos__V1__TaskState from, Mesos__V1__TaskState to);
const char *task_state_name(Mesos__V1__TaskState state); // "TASK_RUNNING"
