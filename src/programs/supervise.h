// SPDX-License-Identifier: Apache-2.0
//
// The parent that stays with a container which is to outlive its agent. The agent's child forks;
// the new process becomes the container, and the old one waits for it, to write down its exit
// status for an agent that is started later. Whatever the container starts and loses comes to this
// parent, which takes it down when the container's process has ended. It remains the agent's user,
// out of the container's reach, and holds the lock on ORDER_RUN_FD's file while it lives. It ends
// as the container's process did.

#pragma once

#include <stdbool.h>

// Returns in the new process only: the supervisor's pid, or a negative errno (then in the old one).
// `ends_with_agent`: when the agent's process ends, so does all that is supervised.
long supervise_fork(bool ends_with_agent);
// Lets this process die with the supervisor; to be called after the last change of user, which
// would undo it. 0 or a negative errno.
long supervise_bind(long supervisor);
