// SPDX-License-Identifier: Apache-2.0
//
// mesos-swarm's flags, and what they may hold.

#include <errno.h>
#include <string.h>

#include "base/flags.h"
#include "base/mem.h"
#include "swarm/swarm.h"

#define ROW(member, type, text, opts, help)                                                        \
    FLAG_ROW(struct swarm_options, member, #member, NULL, type, text, opts, help)

static const struct flag rows[] = {
    ROW(master, FLAG_TEXT, NULL, FLAG_REQUIRED,
        "The master's address (host:port), or where masters elect their leader (zk://...)."),
    ROW(agents, FLAG_SIZE, "10", 0, "How many agents to simulate; with 0 only frameworks."),
    ROW(first, FLAG_SIZE, "0", 0,
        "The number of the first agent: several processes may share a master, each with other "
        "numbers."),
    ROW(connections, FLAG_SIZE, "0", 0,
        "Over how many connections the agents speak; 0: one each up to 19,000, and so many for "
        "any larger number."),
    ROW(agent_resources, FLAG_TEXT, "cpus:10;mem:10240;disk:102400;ports:[31000-32000]", 0,
        "What each agent has."),
    ROW(frameworks, FLAG_SIZE, "1", 0, "How many frameworks; with 0 only agents."),
    ROW(behaviours, FLAG_TEXT, "greedy", 0,
        "How frameworks behave, by turns: greedy (takes all it gets), picky (wants one agent in "
        "four), batch (waves), service (tasks run until it kills them), hoarding (keeps offers "
        "and uses half), slow (answers late)."),
    ROW(roles, FLAG_SIZE, "0", 0, "Frameworks take turns in so many roles; 0: all are in \"*\"."),
    ROW(tasks, FLAG_SIZE, "100", 0, "Tasks to run, of all frameworks together."),
    ROW(task_resources, FLAG_TEXT, "cpus:1;mem:1024", 0, "What each task asks for."),
    ROW(task_labels, FLAG_SIZE, "0", 0, "How many labels each task bears (key0: value0, ...)."),
    ROW(tasks_per_offer, FLAG_SIZE, "0", 0,
        "How many tasks a framework starts with one offer, at most; it leaves the rest of that "
        "agent to others for an hour. 0: as many as fit. Not together with --rate."),
    ROW(task_duration, FLAG_DURATION, "100ms", 0, "How long tasks run, on average."),
    ROW(distribution, FLAG_TEXT, "exponential", 0,
        "Of the durations: fixed, uniform (up to twice the average), exponential."),
    ROW(rate, FLAG_DOUBLE, "0", 0,
        "Tasks started per second, of all frameworks together; 0: as fast as offers come."),
    ROW(hold, FLAG_BOOL, "false", 0, "Tasks do not end: they are held until the swarm is ended."),
    ROW(hold_for, FLAG_DURATION, "0ns", 0,
        "With --hold: when all tasks have run for this long they end, each at a moment within "
        "--task_duration. 0: never."),
    ROW(warm_up, FLAG_DURATION, "0ns", 0,
        "Latencies, turn-rounds and fairness count from this long after the first launch."),
    ROW(task_failures, FLAG_DOUBLE, "0", 0, "Which part of the tasks fails, from 0 to 1."),
    ROW(partitions, FLAG_DOUBLE, "0", 0,
        "How often per hour each agent falls silent for a while; its tasks run on."),
    ROW(restarts, FLAG_DOUBLE, "0", 0,
        "How often per hour each agent restarts, and loses the tasks of frameworks that do not "
        "checkpoint."),
    ROW(outage, FLAG_DURATION, "5secs", 0, "How long one of both lasts at most."),
    ROW(survive_master, FLAG_BOOL, "false", 0,
        "The master may die: agents and frameworks look for the next one. Without it a lost "
        "connection is a failure."),
    ROW(duration, FLAG_DURATION, "0ns", 0,
        "Ends after this long; 0: when the tasks have ended, and where they do not end or are "
        "none, on SIGTERM."),
    ROW(timeout, FLAG_DURATION, "10mins", 0,
        "Fails when it takes longer than this until the agents are registered, and from then "
        "on until the tasks have ended (with --hold: until all run)."),
    ROW(progress, FLAG_DURATION, "1secs", 0, "Time between lines of progress; 0: none."),
    ROW(seed, FLAG_SIZE, "1", 0,
        "Of all that is drawn: durations, failures, outages. The order in which the master "
        "answers is not drawn."),
    ROW(master_pid, FLAG_SIZE, "0", 0,
        "The master's process, if it is on this machine: its CPU time, memory and, where the "
        "machine counts them, instructions are reported."),
    ROW(json, FLAG_TEXT, NULL, 0, "Writes the report to this file too."),
};
static const struct flag_table table = {rows, ARRAY_COUNT(rows)};

static int check(const struct swarm_options *o, struct error *err)
{
    if (o->agents > 1000000 || o->first > 10000000)
        return error_set(err, -EINVAL, "--agents: at most 1000000, --first at most 10000000");
    if (o->connections > 19000)
        return error_set(err, -EINVAL, "--connections: at most 19000, for one process");
    if (o->frameworks > 5000)
        return error_set(err, -EINVAL, "--frameworks: at most 5000");
    if (o->agents == 0 && o->frameworks == 0)
        return error_set(err, -EINVAL, "Neither agents nor frameworks are wanted");
    if (o->tasks > 100000000)
        return error_set(err, -EINVAL, "--tasks: at most 100000000");
    if (strcmp(o->distribution, "fixed") != 0 && strcmp(o->distribution, "uniform") != 0 &&
        strcmp(o->distribution, "exponential") != 0)
        return error_set(err, -EINVAL, "--distribution: '%s' is not fixed, uniform or exponential",
                         o->distribution);
    if (!(o->task_failures >= 0 && o->task_failures <= 1))
        return error_set(err, -EINVAL, "--task_failures: from 0 to 1");
    if (!(o->partitions >= 0 && o->restarts >= 0 && o->rate >= 0))
        return error_set(err, -EINVAL, "--partitions, --restarts, --rate: not below 0");
    if (o->task_labels > 100)
        return error_set(err, -EINVAL, "--task_labels: at most 100");
    if (o->tasks_per_offer > 1000)
        return error_set(err, -EINVAL, "--tasks_per_offer: at most 1000");
    if (o->tasks_per_offer > 0 && o->rate > 0)
        return error_set(err, -EINVAL, "--tasks_per_offer and --rate cannot be used together");
    if (o->hold_for > 0 && !o->hold)
        return error_set(err, -EINVAL, "--hold_for: only with --hold");
    if (o->timeout == 0)
        return error_set(err, -EINVAL, "--timeout: more than 0");
    if (o->master_pid > INT32_MAX)
        return error_set(err, -EINVAL, "--master_pid: no process has that number");
    return 0;
}

int swarm_options_parse(struct swarm_options *options, int argc, char *const argv[],
                        struct error *err)
{
    int r = flags_parse(&table, 1, options, argc, argv, NULL, "", NULL, err);
    if (r != FLAGS_DONE)
        return r;
    r = check(options, err);
    if (r < 0)
        swarm_options_free(options);
    return r;
}

void swarm_options_put_help(struct buf *out)
{
    flags_put_help(&table, 1, "mesos-swarm", out);
}

void swarm_options_free(struct swarm_options *options)
{
    flags_free(&table, 1, options);
}
