// SPDX-License-Identifier: Apache-2.0
//
// Task states. A terminal state is left by no move; STAGING and UNKNOWN are entered by none.
//
//   STAGING -> STARTING -> RUNNING -> KILLING -> (any terminal state)
//
// Each state may be skipped, and STARTING, RUNNING and KILLING may repeat (a status update without
// a change of state). UNREACHABLE is entered from every state that is not terminal, and left again
// when the agent comes back: then the task is what the agent says.

#include "model/task_state.h"

#include <stddef.h>

#include "wire/wire.h"

#define BIT(NAME) (1u << MESOS__V1__TASK_STATE__TASK_##NAME)

#define TERMINAL                                                                                   \
    (BIT(FINISHED) | BIT(FAILED) | BIT(KILLED) | BIT(ERROR) | BIT(LOST) | BIT(DROPPED) |           \
     BIT(GONE) | BIT(GONE_BY_OPERATOR))
#define RUNS (BIT(STARTING) | BIT(RUNNING) | BIT(KILLING))

// moves[from] has a bit for each state that may follow.
static const unsigned moves[] = {
    [MESOS__V1__TASK_STATE__TASK_STAGING] = RUNS | TERMINAL | BIT(UNREACHABLE),
    [MESOS__V1__TASK_STATE__TASK_STARTING] = RUNS | TERMINAL | BIT(UNREACHABLE),
    [MESOS__V1__TASK_STATE__TASK_RUNNING] =
        BIT(RUNNING) | BIT(KILLING) | TERMINAL | BIT(UNREACHABLE),
    [MESOS__V1__TASK_STATE__TASK_KILLING] = BIT(KILLING) | TERMINAL | BIT(UNREACHABLE),
    [MESOS__V1__TASK_STATE__TASK_UNREACHABLE] = BIT(STAGING) | RUNS | TERMINAL | BIT(UNREACHABLE),
    [MESOS__V1__TASK_STATE__TASK_UNKNOWN] = 0,
};

bool task_state_is_terminal(Mesos__V1__TaskState state)
{
    return (unsigned)state < 32 && ((TERMINAL >> (unsigned)state) & 1u) != 0;
}

bool task_state_may_move(Mesos__V1__TaskState from, Mesos__V1__TaskState to)
{
    return (unsigned)from < sizeof(moves) / sizeof(moves[0]) && (unsigned)to < 32 &&
           ((moves[from] >> (unsigned)to) & 1u) != 0;
}

const char *task_state_name(Mesos__V1__TaskState state)
{
    const char *name = wire_enum_name(&mesos__v1__task_state__descriptor, (int)state);
    return name != NULL ? name : "TASK_UNKNOWN";
}
