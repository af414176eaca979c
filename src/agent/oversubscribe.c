// SPDX-License-Identifier: Apache-2.0
//
// Oversubscription: the master is told how much the agent offers a second time, as revocable
// resources; those who use such are taken down when the machine has too much to do.

#include "agent/internal.h"
#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "model/framework.h"

void agent_send_oversubscribed(struct agent *agent)
{
    if (agent->oversubscribed == NULL || agent->state != AGENT_REGISTERED) {
        return;
    }
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    Meseta__Link__ToMaster__UpdateAgent update = MESETA__LINK__TO_MASTER__UPDATE_AGENT__INIT;
    update.has_is_oversubscribed = true;
    update.is_oversubscribed = true;
    update.n_oversubscribed = resources_to_proto(agent->oversubscribed, arena, RESOURCES_NEW_FORM,
                                                 false, &update.oversubscribed);
    Meseta__Link__ToMaster message = MESETA__LINK__TO_MASTER__INIT;
    message.type = MESETA__LINK__TO_MASTER__TYPE__UPDATE_AGENT;
    message.update_agent = &update;
    agent_send(agent, &message);
}

void agent_set_oversubscribed(struct agent *agent, const struct resources *estimate)
{
    if (agent->oversubscribed != NULL && resources_is_equal(agent->oversubscribed, estimate)) {
        return;
    }
    resources_free(agent->oversubscribed);
    agent->oversubscribed = resources_copy(estimate);
    agent_send_oversubscribed(agent);
}

static bool is_preemptible(const struct agent_executor *executor)
{
    if (executor->state != EXECUTOR_REGISTERING && executor->state != EXECUTOR_RUNNING) {
        return false;
    }
    AUTO_RESOURCES struct resources *revocable = resources_revocable(executor->allocated);
    return !resources_is_empty(revocable) && !executor->has_pending_termination;
}

size_t agent_preempt_revocable(struct agent *agent)
{
    size_t count = 0;
    MAP_FOREACH (&agent->frameworks, entry) {
        struct agent_framework *framework =
            CHECK_CAST(agent_framework, FRAMEWORK_MAGIC, entry->value);
        bool is_aware = FRAMEWORK_HAS(framework->capabilities, PARTITION_AWARE);
        MAP_FOREACH (&framework->executors, inner) {
            struct agent_executor *executor =
                CHECK_CAST(agent_executor, EXECUTOR_MAGIC, inner->value);
            if (is_preemptible(executor)) {
                agent_executor_fail(executor,
                                    is_aware ? MESOS__V1__TASK_STATE__TASK_GONE
                                             : MESOS__V1__TASK_STATE__TASK_LOST,
                                    MESOS__V1__TASK_STATUS__REASON__REASON_CONTAINER_PREEMPTED,
                                    "Container preempted by QoS correction");
                agent->metrics.executors_preempted++;
                count++;
            }
        }
    }
    return count;
}
