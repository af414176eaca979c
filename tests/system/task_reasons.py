# SPDX-License-Identifier: Apache-2.0
"""Which combinations of a task's state, source and reason Mesos 1.11 has, and the test here that drives each, or why
none does. test_task_reasons.py holds this against proto/mesos.proto and against the tests; compat.py prints it.
"""

import collections
import os
import re

from harness import ROOT

# `driver`: file below tests/, "::", function; or `why` there is none. `reason` may be None.
Row = collections.namedtuple("Row", "state source reason cause driver why")

HERE = "system/test_task_reasons.py::"
SYSTEM = "system/test_"
AGENT = "unit/agent/test_"


def enumeration(name):
    """The names of an enumeration of proto/mesos.proto."""
    with open(os.path.join(ROOT, "proto", "mesos.proto"), encoding="utf-8") as file:
        body = re.search(r"enum %s \{(.*?)\}" % name, file.read(), re.S).group(1)
    return re.findall(r"^\s*(\w+) = \d+;", body, re.M)


def rows(source, lines):
    for states, reason, cause, driver, *why in lines:
        for state in states.split("/"):
            yield Row("TASK_" + state, "SOURCE_" + source, "REASON_" + reason if reason else None, cause, driver,
                      why[0] if why else None)


SAYS = HERE + "test_an_executor_may_say_it"
AWAY = HERE + "test_agent_is_away_and_comes_back"

ROWS = [
    *rows("MASTER", [
        ("STAGING/RUNNING/UNREACHABLE/GONE/GONE_BY_OPERATOR/UNKNOWN/LOST", "RECONCILIATION",
         "the answer to RECONCILE", AWAY),
        ("UNREACHABLE/LOST", "AGENT_REMOVED", "the agent is silent, or left", AWAY),
        ("GONE_BY_OPERATOR", "AGENT_REMOVED_BY_OPERATOR", "the agent is marked gone", AWAY),
        ("RUNNING", "AGENT_REREGISTERED", "the agent of an unreachable task came back", AWAY),
        ("DROPPED/LOST", "INVALID_OFFERS", "ACCEPT names an offer that is not valid",
         SYSTEM + "bad_input_calls.py::test_unknown_offer"),
        ("ERROR", "TASK_INVALID", "the task is not valid", SYSTEM + "bad_input_calls.py::check_error"),
        ("ERROR", "TASK_GROUP_INVALID", "the group, or one of its tasks, is not valid",
         HERE + "test_group_that_is_no_good"),
        ("KILLED", "FRAMEWORK_REMOVED", "the framework is torn down; operators see it",
         HERE + "test_framework_is_removed"),
        ("LOST", "AGENT_DISCONNECTED", "the link to the agent of a framework without checkpointing breaks",
         SYSTEM + "breaks.py::test_agent_that_stays_away"),
        ("DROPPED", "AGENT_DISCONNECTED", "the agent disconnects while an ACCEPT is being authorized", None,
         "an ACCEPT is decided at once, and offers go when the agent disconnects: INVALID_OFFERS instead"),
        ("DROPPED", "AGENT_REMOVED", "the agent is removed while an ACCEPT is being authorized", None,
         "an ACCEPT is decided at once, and offers go with their agent: INVALID_OFFERS instead"),
        ("ERROR", "TASK_UNAUTHORIZED", "the framework may not launch the task", None, "there are no ACLs yet"),
        ("ERROR", "TASK_GROUP_UNAUTHORIZED", "the framework may not launch the group", None, "there are no ACLs yet"),
        ("LOST", "MASTER_DISCONNECTED", "tasks launched through the v0 driver while it has no master", None,
         "Mesos' v0 driver makes it by itself; the v1 API that is served here has no such driver"),
    ]),
    *rows("AGENT", [
        ("DROPPED/LOST", "RECONCILIATION", "the master knows a task that never reached the agent",
         HERE + "test_task_that_never_reached_its_agent"),
        ("KILLED", "TASK_KILLED_DURING_LAUNCH", "killed before its executor had it", AWAY),
        ("FAILED", "EXECUTOR_TERMINATED", "its executor ended", SYSTEM + "agent.py::test_executor_is_killed"),
        ("LOST", "EXECUTOR_TERMINATED", "the executor it was meant for ended before the task came",
         AGENT + "agent_group.c::test_dropped_as_a_whole"),
        ("FAILED", "EXECUTOR_REGISTRATION_TIMEOUT", "its executor never subscribes",
         SYSTEM + "bad_input_executor.py::test_it_never_subscribes"),
        ("GONE/LOST", "EXECUTOR_REREGISTRATION_TIMEOUT", "its executor does not come back to a restarted agent",
         HERE + "test_executors_after_the_agent_restarted"),
        ("DROPPED/LOST", "AGENT_RESTARTED", "its executor came back and has not heard of it",
         HERE + "test_executors_after_the_agent_restarted"),
        ("GONE/LOST", "CONTAINER_UPDATE_FAILED", "the container cannot get what the task brings",
         HERE + "test_container_that_cannot_be_updated"),
        ("FAILED", "CONTAINER_LAUNCH_FAILED", "the container cannot be started",
         SYSTEM + "bad_input_disk.py::test_no_byte_left"),
        ("FAILED", "CONTAINER_LIMITATION_MEMORY", "the container ran out of memory",
         AGENT + "agent.c::test_memory_limit_is_told"),
        ("GONE/LOST", "CONTAINER_PREEMPTED", "the QoS controller takes revocable resources back",
         SYSTEM + "allocator.py::test_revocable_resources_are_offered_and_taken_back"),
        ("KILLED/LOST", "AGENT_DRAINING", "not yet with its executor when the agent is drained; sent after that",
         AGENT + "drain.c::test_queued_tasks_and_new_ones"),
        ("DROPPED", "RESOURCES_UNKNOWN", "it uses what an operation should have made, which the agent did not get",
         AGENT + "operations.c::test_volume_in_a_container"),
        ("DROPPED/LOST", "TASK_INVALID", "a command task is called like an executor that runs",
         HERE + "test_name_of_an_executor_that_runs"),
        ("DROPPED/LOST", "GC_ERROR", "limits that the agent's isolators would not keep (a directory is taken off the list "
         "of garbage without anything that could fail)", SYSTEM + "limits.py::test_an_agent_that_cannot_limit"),
        ("DROPPED", "INVALID_OFFERS", "resources of a resource provider are of an older version", None,
         "there are no resource providers yet"),
        ("FAILED", "CONTAINER_LIMITATION", "it listens on a port that it does not hold", None,
         "there is no isolator network/ports yet"),
        ("FAILED", "CONTAINER_LIMITATION_DISK", "its sandbox or volume is larger than its disk", None,
         "there are no isolators disk/du and disk/xfs yet"),
        ("FAILED", "IO_SWITCHBOARD_EXITED", "the process that serves its terminal ended", None,
         "there is no such process: the agent itself serves sessions"),
    ]),
    *rows("EXECUTOR", [
        ("STARTING/RUNNING/KILLING/FINISHED/FAILED/KILLED/ERROR/LOST/DROPPED/GONE", None,
         "as the executor sees fit", SAYS),
        ("RUNNING", "TASK_CHECK_STATUS_UPDATED", "its check has another result",
         SYSTEM + "checks.py::test_command_check"),
        ("RUNNING", "TASK_HEALTH_CHECK_STATUS_UPDATED", "its health changed",
         SYSTEM + "checks.py::test_health_comes_and_goes"),
        ("KILLED", "AGENT_DRAINING", "the agent is drained",
         SYSTEM + "operator_agents.py::test_a_drained_agent_is_empty_and_can_come_back"),
        ("KILLING", "AGENT_DRAINING", "the agent is drained", AGENT + "drain.c::test_updates_say_why"),
        ("GONE_BY_OPERATOR", "AGENT_DRAINING", "the agent is drained and will be gone",
         SYSTEM + "operator_agents.py::test_drained_and_gone"),
        # Any executor may say any reason; so all of them make the way at least once.
        *(("FAILED", name.replace("REASON_", "", 1), cause, SAYS) for name, cause in [
            (name, {"REASON_COMMAND_EXECUTOR_FAILED": "Mesos itself does not use it",
                    "REASON_EXECUTOR_UNREGISTERED": "Mesos itself does not use it",
                    "REASON_INVALID_FRAMEWORKID": "Mesos itself does not use it",
                    "REASON_AGENT_UNKNOWN": "Mesos itself does not use it",
                    "REASON_TASK_UNKNOWN": "Mesos itself does not use it",
                    "REASON_CONTAINER_LAUNCH_FAILED": "a container of a pod cannot be started",
                    "REASON_CONTAINER_LIMITATION_MEMORY": "a container of a pod ran out of memory",
                    "REASON_MAX_COMPLETION_TIME_REACHED": "its max_completion_time passed"}.get(
                        name, "an executor of its own says so")) for name in enumeration("Reason")]),
    ]),
]


def write_section():
    """The section of docs/compatibility.md."""
    lines = ["\n## Task states and reasons\n\n",
             "For each combination that Mesos has: the test below `tests/` that drives it, or why none does. Every "
             "other reason that an executor\nmay say in its own name is driven by `%s`.\n\n" % SAYS,
             "| state | source | reason | when | driven by, or why not |\n|---|---|---|---|---|\n"]
    for row in ROWS:
        if row.cause == "an executor of its own says so":
            continue
        lines.append("| `%s` | `%s` | %s | %s | %s |\n" % (
            row.state, row.source, "`%s`" % row.reason if row.reason else "–", row.cause,
            "`%s`" % row.driver if row.driver else "*not driven*: " + row.why))
    return "".join(lines)
