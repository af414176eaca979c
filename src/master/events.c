// SPDX-License-Identifier: Apache-2.0
//
// The messages that the master makes, and their way out. All of them live in the scratch arena of
// the input that is being handled; ops get them for the length of one call.

#include <string.h>

#include "master/internal.h"

static void notice(const struct master *m, const struct master_notice *what)
{
    if (m->ops->notice != NULL)
        m->ops->notice(m->ctx, what);
}

void master_notify_tasks(struct master *m, bool is_wanted)
{
    m->notifies_tasks = is_wanted;
}

void master_notice_task(const struct task *t, const Mesos__V1__TaskStatus *status)
{
    struct master *m = t->framework->master;
    m->task_changes++;
    if (!m->notifies_tasks)
        return;
    notice(m, &(struct master_notice){
                  .kind = status != NULL ? NOTICE_TASK_UPDATED : NOTICE_TASK_ADDED,
                  .task = t,
                  .status = status,
                  .framework = t->framework,
              });
}

void master_notice_agent(const struct agent *a, enum master_notice_kind kind)
{
    notice(a->master, &(struct master_notice){.kind = kind, .agent = a});
}

void master_notice_framework(const struct framework *f, enum master_notice_kind kind)
{
    notice(f->master, &(struct master_notice){.kind = kind, .framework = f});
}

Mesos__V1__FrameworkID *master_make_framework_id(struct arena *arena, const char *id)
{
    Mesos__V1__FrameworkID *made = WIRE_NEW(arena, Mesos__V1__FrameworkID, mesos__v1__framework_id);
    made->value = arena_strdup(arena, id);
    return made;
}

Mesos__V1__AgentID *master_make_agent_id(struct arena *arena, const char *id)
{
    Mesos__V1__AgentID *made = WIRE_NEW(arena, Mesos__V1__AgentID, mesos__v1__agent_id);
    made->value = arena_strdup(arena, id);
    return made;
}

Mesos__V1__TaskID *master_make_task_id(struct arena *arena, const char *id)
{
    Mesos__V1__TaskID *made = WIRE_NEW(arena, Mesos__V1__TaskID, mesos__v1__task_id);
    made->value = arena_strdup(arena, id);
    return made;
}

Mesos__V1__ExecutorID *master_make_executor_id(struct arena *arena, const char *id)
{
    Mesos__V1__ExecutorID *made = WIRE_NEW(arena, Mesos__V1__ExecutorID, mesos__v1__executor_id);
    made->value = arena_strdup(arena, id);
    return made;
}

Mesos__V1__Scheduler__Event *master_make_event(struct arena *arena,
                                               Mesos__V1__Scheduler__Event__Type type)
{
    Mesos__V1__Scheduler__Event *event =
        WIRE_NEW(arena, Mesos__V1__Scheduler__Event, mesos__v1__scheduler__event);
    event->has_type = true;
    event->type = type;
    return event;
}

Meseta__Link__ToAgent *master_make_to_agent(struct arena *arena, Meseta__Link__ToAgent__Type type)
{
    Meseta__Link__ToAgent *message = WIRE_NEW(arena, Meseta__Link__ToAgent, meseta__link__to_agent);
    message->type = type;
    return message;
}

Mesos__V1__TaskStatus *master_make_status(struct master *m, const char *task_id,
                                          const char *agent_id, Mesos__V1__TaskState state,
                                          int reason, const char *message)
{
    Mesos__V1__TaskStatus *status =
        WIRE_NEW(m->scratch, Mesos__V1__TaskStatus, mesos__v1__task_status);
    status->task_id = master_make_task_id(m->scratch, task_id);
    if (agent_id != NULL)
        status->agent_id = master_make_agent_id(m->scratch, agent_id);
    status->state = state;
    status->has_source = true;
    status->source = MESOS__V1__TASK_STATUS__SOURCE__SOURCE_MASTER;
    if (reason != REASON_NONE) {
        status->has_reason = true;
        status->reason = (Mesos__V1__TaskStatus__Reason)reason;
    }
    status->message = arena_strdup(m->scratch, message);
    status->has_timestamp = true;
    status->timestamp = (double)m->now.wall / (double)NS_PER_S;
    return status;
}

void master_framework_send(struct framework *f, Mesos__V1__Scheduler__Event *event)
{
    if (f->subscriber == NULL)
        return;
    CHECK((size_t)event->type < ARRAY_COUNT(f->events));
    f->events[event->type]++;
    f->master->ops->send_event(f->master->ctx, f->subscriber, event);
}

void master_framework_send_update(struct framework *f, Mesos__V1__TaskStatus *status)
{
    struct arena *arena = f->master->scratch;
    Mesos__V1__Scheduler__Event *event = master_make_event(arena, EVENT(UPDATE));
    event->update =
        WIRE_NEW(arena, Mesos__V1__Scheduler__Event__Update, mesos__v1__scheduler__event__update);
    event->update->status = status;
    master_framework_send(f, event);
}

static Mesos__V1__Scheduler__Event *make_error(struct arena *arena, const char *message)
{
    Mesos__V1__Scheduler__Event *event = master_make_event(arena, EVENT(ERROR));
    event->error =
        WIRE_NEW(arena, Mesos__V1__Scheduler__Event__Error, mesos__v1__scheduler__event__error);
    event->error->message = arena_strdup(arena, message);
    return event;
}

void master_framework_send_error(struct framework *f, const char *message)
{
    master_framework_send(f, make_error(f->master->scratch, message));
}

void master_framework_send_failure(struct framework *f, const char *agent_id,
                                   const char *executor_id, const int *status)
{
    struct arena *arena = f->master->scratch;
    Mesos__V1__Scheduler__Event *event = master_make_event(arena, EVENT(FAILURE));
    Mesos__V1__Scheduler__Event__Failure *failure =
        WIRE_NEW(arena, Mesos__V1__Scheduler__Event__Failure, mesos__v1__scheduler__event__failure);
    failure->agent_id = master_make_agent_id(arena, agent_id);
    if (executor_id != NULL)
        failure->executor_id = master_make_executor_id(arena, executor_id);
    if (status != NULL) {
        failure->has_status = true;
        failure->status = *status;
    }
    event->failure = failure;
    master_framework_send(f, event);
}

void master_subscriber_refuse(struct master *m, struct master_subscriber *subscriber,
                              const char *message)
{
    CHECK(subscriber->framework == NULL);
    m->ops->send_event(m->ctx, subscriber, make_error(m->scratch, message));
    m->ops->close_subscriber(m->ctx, subscriber);
}

void master_agent_send(struct agent *a, Meseta__Link__ToAgent *message)
{
    if (a->channel != NULL)
        a->master->ops->send_agent(a->master->ctx, a->channel, message);
}

void master_channel_send_shutdown(struct master *m, struct master_channel *channel,
                                  const char *message, bool ends)
{
    Meseta__Link__ToAgent *to_agent = master_make_to_agent(m->scratch, TO_AGENT(SHUTDOWN));
    to_agent->shutdown =
        WIRE_NEW(m->scratch, Meseta__Link__ToAgent__Shutdown, meseta__link__to_agent__shutdown);
    to_agent->shutdown->message = arena_strdup(m->scratch, message);
    to_agent->shutdown->has_ends = true;
    to_agent->shutdown->ends = ends;
    m->ops->send_agent(m->ctx, channel, to_agent);
}

void master_agent_send_shutdown_framework(struct agent *a, const char *framework_id)
{
    struct arena *arena = a->master->scratch;
    Meseta__Link__ToAgent *message = master_make_to_agent(arena, TO_AGENT(SHUTDOWN_FRAMEWORK));
    message->shutdown_framework = WIRE_NEW(arena, Meseta__Link__ToAgent__ShutdownFramework,
                                           meseta__link__to_agent__shutdown_framework);
    message->shutdown_framework->framework_id = master_make_framework_id(arena, framework_id);
    master_agent_send(a, message);
}

void master_agent_send_framework_info(struct agent *a, const struct framework *f)
{
    struct arena *arena = a->master->scratch;
    Meseta__Link__ToAgent *message = master_make_to_agent(arena, TO_AGENT(UPDATE_FRAMEWORK));
    message->update_framework = WIRE_NEW(arena, Meseta__Link__ToAgent__UpdateFramework,
                                         meseta__link__to_agent__update_framework);
    message->update_framework->framework_info = f->info;
    master_agent_send(a, message);
}

void master_agent_send_kill(struct agent *a, const char *framework_id, const char *task_id,
                            Mesos__V1__KillPolicy *policy)
{
    struct arena *arena = a->master->scratch;
    Meseta__Link__ToAgent *message = master_make_to_agent(arena, TO_AGENT(KILL_TASK));
    message->kill_task =
        WIRE_NEW(arena, Meseta__Link__ToAgent__KillTask, meseta__link__to_agent__kill_task);
    message->kill_task->framework_id = master_make_framework_id(arena, framework_id);
    message->kill_task->task_id = master_make_task_id(arena, task_id);
    message->kill_task->kill_policy = policy;
    master_agent_send(a, message);
}
