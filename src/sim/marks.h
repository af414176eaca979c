// SPDX-License-Identifier: Apache-2.0
//
// Coverage marks: rare things that many seeds together must have come across, or they prove little.
// `mesos-sim` prints how often each was reached.

#pragma once

// clang-format off
#define MARKS(M)                                                                                   \
    M(CONNECTION_BROKEN) M(CONNECTION_SILENT) M(CONNECTION_REFUSED) M(CONNECT_TIMED_OUT)           \
    M(FRAMES_LOST) M(FRAME_HELD_BY_PARTITION) M(HOST_PAUSED) M(CLOCK_STEPPED) M(DISK_SLOW)         \
    M(MASTER_CRASHED) M(WRITE_LOST) M(UNACKNOWLEDGED_WRITE_SURVIVED) M(MASTER_CRASHED_WRITING)     \
    M(AGENT_CRASHED) M(AGENT_STOPPED) M(AGENT_REFUSED) M(AGENT_REREGISTERED) M(AGENT_UNREACHABLE)  \
    M(AGENT_RECOVERED) M(AGENT_TOLD_TO_SHUT_DOWN)                                                  \
    M(AGENT_SILENT_MASTER) M(AGENT_REPLACED) M(AGENT_RECONCILED)                                   \
    M(RECOVERED_AGENT_GIVEN_UP) M(UNREACHABLE_TASK_CAME_BACK)                                      \
    M(OFFER_RESCINDED) M(OFFER_INVALID) M(OFFERS_COMBINED) M(OFFER_EXPIRED_IN_HAND)                \
    M(TASK_INVALID) M(TASK_LOST) M(TASK_UNREACHABLE) M(TASK_DROPPED) M(TASK_GONE) M(TASK_KILLED)   \
    M(TASK_FAILED) M(TASK_FINISHED) M(TASK_UNKNOWN) M(TASK_KILLED_QUEUED)                          \
    M(UPDATE_SENT_AGAIN) M(UPDATE_RECEIVED_AGAIN)                        \
    M(FRAMEWORK_FAILED_OVER) M(FRAMEWORK_RESTARTED) M(FRAMEWORK_TORN_DOWN)                         \
    M(FRAMEWORK_TORN_DOWN_BY_OPERATOR) M(FRAMEWORK_REMOVED_BY_TIME) M(FRAMEWORK_RECOVERED)         \
    M(FRAMEWORK_REFUSED) M(CALL_OF_OLD_STREAM) M(STRANGER_REMOVED) M(RECONCILED_EXPLICITLY)        \
    M(RECONCILED_IMPLICITLY) M(CALL_LOST)                                                                       \
    M(LAUNCH_REFUSED) M(LAUNCH_FAILED) M(UPDATE_REFUSED) M(EXECUTOR_NEVER_SUBSCRIBED)              \
    M(EXECUTOR_DIED) M(EXECUTOR_DIED_EARLY) M(EXECUTOR_SUBSCRIBED_AGAIN) M(EXECUTOR_REPEATED)      \
    M(EXECUTOR_SPOKE_AFTER_THE_END) M(EXECUTOR_OVER_LIMIT) M(EXECUTOR_IGNORED_SHUTDOWN)            \
    M(EXECUTOR_GRACE_OVER) M(EXECUTOR_SHUT_DOWN_BY_FRAMEWORK) M(EXECUTOR_REUSED)                   \
    M(EXECUTOR_CALL_REFUSED) M(SANDBOX_REMOVED) M(DISK_FULL)                                       \
    M(FAILURE_EVENT) M(MESSAGE_TO_EXECUTOR) M(MESSAGE_TO_FRAMEWORK)
// clang-format on

#define MARK_ENUM(name) MARK_##name,
enum mark { MARKS(MARK_ENUM) MARK_COUNT };
#undef MARK_ENUM

extern const char *const mark_names[MARK_COUNT];
