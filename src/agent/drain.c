// SPDX-License-Identifier: Apache-2.0
//
// DRAIN_AGENT: every task is killed, with no more grace than the operator allows, and none is
// started until all of them have ended and that was acknowledged. It goes on over a restart of the
// agent; the master says it again at each reregistration.

#include "agent/internal.h"
#include "base/check.h"
#include "base/log.h"
#include "wire/wire.h"

static bool has_tasks(const struct agent *agent)
{
    MAP_FOREACH (&agent->frameworks, entry) {
        if (((const struct agent_framework *)entry->value)->tasks.count > 0) {
            return true;
        }
    }
    return false;
}

static void set_drain(struct agent *agent, const Mesos__V1__DrainConfig *config)
{
    struct arena *old = agent->drain_arena;
    agent->drain = NULL;
    agent->drain_arena = NULL;
    if (config != NULL) {
        agent->drain_arena = arena_new(256, 0);
        agent->drain = WIRE_COPY(agent->drain_arena, Mesos__V1__DrainConfig, config);
    }
    arena_free(old);
}

// What the task itself allows counts unless it is more.
static const Mesos__V1__KillPolicy *override_policy(const struct agent *agent,
                                                    const struct agent_task *task,
                                                    Mesos__V1__KillPolicy *own)
{
    Mesos__V1__DurationInfo *most = agent->drain->max_grace_period;
    if (most == NULL) {
        return NULL;
    }
    const Mesos__V1__KillPolicy *policy = task->info->kill_policy;
    if (policy != NULL && policy->grace_period != NULL &&
        policy->grace_period->nanoseconds <= most->nanoseconds) {
        return NULL;
    }
    own->grace_period = most;
    return own;
}

static void kill_task(struct agent_framework *framework, struct agent_task *task,
                      struct instant now)
{
    Mesos__V1__KillPolicy own = MESOS__V1__KILL_POLICY__INIT;
    Meseta__Link__ToAgent__KillTask kill = MESETA__LINK__TO_AGENT__KILL_TASK__INIT;
    kill.framework_id = framework->info->id;
    kill.task_id = task->info->task_id;
    kill.kill_policy = (Mesos__V1__KillPolicy *)override_policy(framework->agent, task, &own);
    agent_kill_task(framework->agent, &kill, now);
}

void agent_drain_executor(struct agent_executor *executor, struct instant now)
{
    struct agent_framework *framework = executor->framework;
    if (framework->agent->drain == NULL || framework->is_terminating) {
        return;
    }
    MAP_FOREACH (&framework->tasks, entry) {
        struct agent_task *task = entry->value;
        // One of the queue may take others of its group along.
        if (task->executor == executor && task->stage <= TASK_LAUNCHED) {
            kill_task(framework, task, now);
        }
    }
}

void agent_drain(struct agent *agent, const Mesos__V1__DrainConfig *config, struct instant now)
{
    if (!has_tasks(agent)) {
        log_info("Asked to drain; there are no tasks, so it is done already");
        agent_drain_check(agent);
        return;
    }
    log_info("Draining%s", agent->drain != NULL ? ", as asked anew" : "");
    if (agent->drain == NULL) {
        agent->drain_start_time = (double)now.wall / NS_PER_S;
    }
    set_drain(agent, config);
    agent_checkpoint_self(agent);
    MAP_FOREACH (&agent->frameworks, entry) {
        struct agent_framework *framework =
            CHECK_CAST(agent_framework, FRAMEWORK_MAGIC, entry->value);
        MAP_FOREACH (&framework->executors, inner) {
            agent_drain_executor(CHECK_CAST(agent_executor, EXECUTOR_MAGIC, inner->value), now);
        }
    }
}

void agent_drain_recover(struct agent *agent, const Mesos__V1__DrainConfig *config,
                         struct instant now)
{
    set_drain(agent, config);
    agent->drain_start_time = (double)now.wall / NS_PER_S;
}

void agent_drain_check(struct agent *agent)
{
    if (agent->drain == NULL || has_tasks(agent)) {
        return;
    }
    log_info("Finished draining");
    set_drain(agent, NULL);
    agent_checkpoint_self(agent);
}

void agent_drain_free(struct agent *agent)
{
    set_drain(agent, NULL);
}

void agent_drain_mark_status(const struct agent_framework *framework, Mesos__V1__TaskStatus *status)
{
    const Mesos__V1__DrainConfig *drain = framework->agent->drain;
    if (drain == NULL || (status->state != MESOS__V1__TASK_STATE__TASK_KILLING &&
                          status->state != MESOS__V1__TASK_STATE__TASK_KILLED)) {
        return;
    }
    status->has_reason = true;
    status->reason = MESOS__V1__TASK_STATUS__REASON__REASON_AGENT_DRAINING;
    if (drain->has_mark_gone && drain->mark_gone &&
        status->state == MESOS__V1__TASK_STATE__TASK_KILLED &&
        agent_framework_is_partition_aware(framework)) {
        status->state = MESOS__V1__TASK_STATE__TASK_GONE_BY_OPERATOR;
    }
}
