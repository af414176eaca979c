// SPDX-License-Identifier: Apache-2.0
//
// The flags of mesos-execute. Those that ask for what no agent has are rows as well, so that
// whoever gives one is told what is missing, rather than that it does not exist.

#include "base/mem.h"
#include "cli/execute.h"

#define ROW(member, type, text, opts, help)                                                        \
    FLAG_ROW(struct execute_options, member, #member, NULL, type, text, opts, help)
#define NO_HDFS "Refused: HDFS is not supported."
#define NO_IMAGES "Refused: agents have no images."

static const struct flag rows[] = {
    ROW(master, FLAG_TEXT, NULL, FLAG_REQUIRED,
        "The master: host:port, or zk://[user:password@]host1:port1,host2:port2,.../path where "
        "masters elect their leader, or file:///path to a file that holds one of these."),
    ROW(task, FLAG_TEXT, NULL, FLAG_FILE,
        "A TaskInfo as JSON, or a file that holds it (file:///path or /path). Its agent_id need "
        "not "
        "be set. Takes the place of --name, --command and --env."),
    ROW(task_group, FLAG_TEXT, NULL, FLAG_FILE,
        "A TaskGroupInfo as JSON, {\"tasks\": [...]}, or a file that holds it (file:///path or "
        "/path): tasks that run together in one executor. Their agent_id need not be set. Takes "
        "the "
        "place of --task."),
    ROW(name, FLAG_TEXT, NULL, 0, "Name of the task, and its id."),
    ROW(shell, FLAG_BOOL, "true", 0,
        "Whether /bin/sh runs the command. If not, the command is the program to run, without "
        "arguments."),
    ROW(command, FLAG_TEXT, NULL, 0, "The command to run."),
    ROW(env, FLAG_TEXT, NULL, FLAG_FILE,
        "Environment variables of the command as JSON, {\"name\": \"value\"}, or file:///path to a "
        "file that holds it."),
    ROW(resources, FLAG_TEXT, "cpus:1;mem:128", 0, "Resources for the command."),
    ROW(package, FLAG_TEXT, NULL, 0,
        "A URI or path that the agent fetches into the sandbox before the command runs."),
    ROW(checkpoint, FLAG_BOOL, "false", 0, "Whether the task outlives a restart of its agent."),
    ROW(framework_capabilities, FLAG_TEXT, NULL, 0,
        "Further capabilities of the framework, comma-separated; only GPU_RESOURCES may be asked "
        "for. RESERVATION_REFINEMENT, TASK_KILLING_STATE and REVOCABLE_RESOURCES are always on."),
    ROW(containerizer, FLAG_TEXT, "mesos", 0, "Who runs the task: mesos."),
    ROW(role, FLAG_TEXT, "*", 0, "The role to subscribe in."),
    ROW(kill_after, FLAG_DURATION, NULL, 0,
        "Kill the task this long after it runs, such as 10secs or 2mins."),
    ROW(principal, FLAG_TEXT, NULL, 0, "The principal of the framework."),
    ROW(secret, FLAG_TEXT, NULL, FLAG_SECRET, "The secret that goes with the principal."),
    ROW(content_type, FLAG_TEXT, "protobuf", 0,
        "How calls and events are encoded: json or protobuf."),
    ROW(partition_aware, FLAG_BOOL, "true", 0,
        "Whether the framework wants to know unreachable tasks from lost ones."),
    ROW(effective_capabilities, FLAG_TEXT, NULL, FLAG_FILE,
        "The capabilities that the command has, as JSON, {\"capabilities\": [\"NET_RAW\"]}."),
    ROW(bounding_capabilities, FLAG_TEXT, NULL, FLAG_FILE,
        "The most that it can have, likewise. Without: the effective ones."),
    ROW(rlimits, FLAG_TEXT, NULL, FLAG_FILE,
        "Limits of its processes as JSON, {\"rlimits\": [{\"type\": \"RLMT_CPU\", \"soft\": 1, "
        "\"hard\": 1}]}; without soft and hard there is no limit."),
    ROW(volumes, FLAG_TEXT, NULL, FLAG_FILE,
        "Its volumes as a JSON list of Volume messages, or a file that holds it (file:///path or "
        "/path)."),
    ROW(tty, FLAG_BOOL, "false", 0,
        "Gives the command a terminal, to which ATTACH_CONTAINER_INPUT and _OUTPUT of the agent's "
        "operator API speak."),
    ROW(hadoop, FLAG_TEXT, NULL, 0, NO_HDFS),
    ROW(hdfs, FLAG_TEXT, NULL, 0, NO_HDFS),
    ROW(overwrite, FLAG_BOOL, "false", 0, NO_HDFS),
    ROW(appc_image, FLAG_TEXT, NULL, 0, NO_IMAGES),
    ROW(docker_image, FLAG_TEXT, NULL, 0, NO_IMAGES),
    ROW(networks, FLAG_TEXT, NULL, 0, "Refused: tasks share the network of their agent."),
};

const struct flag_table execute_flag_table = {rows, ARRAY_COUNT(rows)};
