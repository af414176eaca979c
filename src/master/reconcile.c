// SPDX-License-Identifier: Apache-2.0
//
// RECONCILE: what the master believes about tasks, told without asking the agents. Mesos' decisions
// for a task that is named, in this order: known; its agent (or any) is still expected back: no
// answer; its agent is registered: gone; its agent is unreachable, or gone; else unknown.

#include "master/internal.h"

static void send_known(struct framework *f, const struct task *t)
{
    struct master *m = f->master;
    Mesos__V1__TaskStatus *status =
        master_make_status(m, t->id, t->agent_id, t->has_update ? t->update_state : t->state,
                           REASON(RECONCILIATION), "Reconciliation: Latest task state");
    if (t->executor_id != NULL)
        status->executor_id = master_make_executor_id(m->scratch, t->executor_id);
    master_task_copy_condition(t, m->scratch, status);
    master_framework_send_update(f, status);
}

static void send_unknown(struct framework *f, const char *task_id, const char *agent_id,
                         Mesos__V1__TaskState state, const char *message, int64_t since_ns)
{
    struct master *m = f->master;
    if (!FRAMEWORK_HAS(f->capabilities, PARTITION_AWARE))
        state = STATE(LOST);
    Mesos__V1__TaskStatus *status =
        master_make_status(m, task_id, agent_id, state, REASON(RECONCILIATION), message);
    if (since_ns != 0) {
        status->unreachable_time = WIRE_NEW(m->scratch, Mesos__V1__TimeInfo, mesos__v1__time_info);
        status->unreachable_time->nanoseconds = since_ns;
    }
    master_framework_send_update(f, status);
}

static void reconcile_task(struct framework *f, const char *task_id, const char *agent_id)
{
    struct master *m = f->master;
    const struct task *t = map_get(&f->tasks, task_id);
    if (t != NULL) {
        send_known(f, t);
        return;
    }
    if (agent_id != NULL ? map_has(&m->recovered, agent_id) : m->recovered.count > 0) {
        log_info("Dropping reconciliation of task %s of framework %s: agents have not yet "
                 "reregistered",
                 task_id, f->id);
        return;
    }
    const struct unreachable_agent *u =
        agent_id != NULL ? map_get(&m->unreachable, agent_id) : NULL;
    if (agent_id != NULL && master_agent(m, agent_id) != NULL)
        send_unknown(f, task_id, agent_id, STATE(GONE),
                     "Reconciliation: Task is unknown to the agent", 0);
    else if (u != NULL)
        send_unknown(f, task_id, agent_id, STATE(UNREACHABLE),
                     "Reconciliation: Task is unreachable", u->since_ns);
    else if (agent_id != NULL && map_has(&m->gone, agent_id))
        send_unknown(f, task_id, agent_id, STATE(GONE_BY_OPERATOR), "Reconciliation: Task is gone",
                     0);
    else
        send_unknown(f, task_id, agent_id, STATE(UNKNOWN), "Reconciliation: Task is unknown", 0);
}

void master_call_reconcile(struct framework *f, const Mesos__V1__Scheduler__Call__Reconcile *call)
{
    master_count(f->master, COUNT_MESSAGES_RECONCILE_TASKS);
    if (call->n_tasks == 0) {
        log_info("Performing implicit task state reconciliation for framework %s", f->id);
        MAP_FOREACH (&f->tasks, entry)
            send_known(f, entry->value);
        return;
    }
    log_info("Performing explicit task state reconciliation for %zu tasks of framework %s",
             call->n_tasks, f->id);
    for (size_t i = 0; i < call->n_tasks; i++) {
        const Mesos__V1__Scheduler__Call__Reconcile__Task *task = call->tasks[i];
        reconcile_task(f, task->task_id->value,
                       task->agent_id != NULL ? task->agent_id->value : NULL);
    }
}
