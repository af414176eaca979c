// SPDX-License-Identifier: Apache-2.0
//
// The executors in fake containers. An executor talks with its agent over a local stream:
// in order, a little late, and now and then the stream breaks. It does as it should (subscribes,
// runs what it is given, kills what it is told to, sends again what was not acknowledged), unless
// the world is in trouble: then it may die, be late, repeat itself, or not listen.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "model/task_state.h"
#include "proto/executor.pb-c.h"
#include "sim/container.h"
#include "sim/ledger.h"

#define CALL(NAME) MESOS__V1__EXECUTOR__CALL__TYPE__##NAME
#define STATE(NAME) MESOS__V1__TASK_STATE__TASK_##NAME

// ---- freeing ----

void executor_free_task(struct exec_task *task)
{
    timer_cancel(&task->container->host->sim->timers, &task->timer);
    LIST_FOREACH (&task->updates, struct exec_update, link, update) {
        buf_free(&update->bytes);
        mem_free(update);
    }
    list_remove(&task->link);
    buf_free(&task->info);
    mem_free(task->id);
    mem_free(task);
}

void executor_free_mail(struct mail *mail)
{
    timer_cancel(&mail->container->host->sim->timers, &mail->timer);
    list_remove(&mail->link);
    buf_free(&mail->bytes);
    mem_free(mail);
}

// ---- mail ----

static void deliver(struct timer *timer, struct instant now);

static void post(struct container *c, bool is_call, const ProtobufCMessage *message)
{
    struct sim *sim = c->host->sim;
    struct mail *mail = mem_zalloc(sizeof(*mail));
    mail->container = c;
    mail->is_call = is_call;
    mail->session = c->session;
    mail->timer.run = deliver;
    wire_encode(message, &mail->bytes);
    list_append(&c->mails, &mail->link);
    int64_t due = sim->now.mono + draw_spread(sim, NS_PER_US, 5 * NS_PER_MS);
    int64_t paused = sim->net.paused_until[host_of_agent(sim, c->host->index)];
    due = due > paused ? due : paused;
    int64_t *last = &c->last_due[is_call];
    *last = due > *last ? due : *last;
    timer_set(&sim->timers, &mail->timer, *last);
}

static void *decode(struct sim *sim, const ProtobufCMessageDescriptor *descriptor,
                    const struct buf *bytes)
{
    ProtobufCMessage *message;
    struct error err;
    if (wire_decode(descriptor, sim->scratch, bytes->data != NULL ? bytes->data : "", bytes->size,
                    &message, &err) < 0)
        sim_fail(sim, "what was sent cannot be read: %s", err.text);
    return message;
}

static Mesos__V1__Executor__Call *make_call(struct container *c, int type)
{
    struct arena *arena = c->host->sim->scratch;
    Mesos__V1__Executor__Call *call =
        WIRE_NEW(arena, Mesos__V1__Executor__Call, mesos__v1__executor__call);
    call->executor_id = WIRE_NEW(arena, Mesos__V1__ExecutorID, mesos__v1__executor_id);
    call->executor_id->value = c->executor_id;
    call->framework_id = WIRE_NEW(arena, Mesos__V1__FrameworkID, mesos__v1__framework_id);
    call->framework_id->value = c->framework_id;
    call->has_type = true;
    call->type = (Mesos__V1__Executor__Call__Type)type;
    return call;
}

// ---- what an executor says ----

static void put_unacknowledged(struct container *c, Mesos__V1__Executor__Call__Subscribe *subscribe)
{
    struct sim *sim = c->host->sim;
    size_t tasks = 0, updates = 0;
    LIST_FOREACH (&c->tasks, struct exec_task, link, task) {
        tasks++;
        LIST_FOREACH (&task->updates, struct exec_update, link, update) {
            (void)update;
            updates++;
        }
    }
    subscribe->unacknowledged_tasks = arena_calloc(sim->scratch, tasks + 1, sizeof(void *));
    subscribe->unacknowledged_updates = arena_calloc(sim->scratch, updates + 1, sizeof(void *));
    LIST_FOREACH (&c->tasks, struct exec_task, link, named) {
        if (!named->is_acknowledged)
            subscribe->unacknowledged_tasks[subscribe->n_unacknowledged_tasks++] =
                decode(sim, &mesos__v1__task_info__descriptor, &named->info);
        LIST_FOREACH (&named->updates, struct exec_update, link, update) {
            update->is_sent = true;
            subscribe->unacknowledged_updates[subscribe->n_unacknowledged_updates++] =
                decode(sim, &mesos__v1__executor__call__update__descriptor, &update->bytes);
        }
    }
}

void executor_subscribe(struct timer *timer, struct instant now)
{
    struct container *c = CONTAINER_OF(timer, struct container, subscribe);
    if (c->host->core == NULL) {
        if (now.mono - c->host->down_since > c->host->sim->config.recovery_timeout_ns) {
            mark(c->host->sim, MARK_EXECUTOR_GAVE_AGENT_UP);
            container_die(c, 256);
        } else {
            after(c->host->sim, timer, draw_spread(c->host->sim, NS_PER_MS, 2 * NS_PER_S));
        }
        return;
    }
    if (c->session > 0)
        mark(c->host->sim, MARK_EXECUTOR_SUBSCRIBED_AGAIN);
    c->session++;
    c->is_subscribed = false;
    Mesos__V1__Executor__Call *call = make_call(c, CALL(SUBSCRIBE));
    Mesos__V1__Executor__Call__Subscribe body = MESOS__V1__EXECUTOR__CALL__SUBSCRIBE__INIT;
    call->subscribe = &body;
    put_unacknowledged(c, &body);
    post(c, true, &call->base);
}

static void say(struct exec_task *task, Mesos__V1__TaskState state)
{
    struct container *c = task->container;
    struct sim *sim = c->host->sim;
    Mesos__V1__TaskID id = MESOS__V1__TASK_ID__INIT;
    id.value = task->id;
    struct uuid uuid = uuid_random(&sim->prng);
    Mesos__V1__TaskStatus status = MESOS__V1__TASK_STATUS__INIT;
    status.task_id = &id;
    status.state = state;
    status.has_source = true;
    status.source = MESOS__V1__TASK_STATUS__SOURCE__SOURCE_EXECUTOR;
    status.has_uuid = true;
    status.uuid = (ProtobufCBinaryData){.data = uuid.bytes, .len = UUID_SIZE};
    Mesos__V1__Executor__Call__Update body = MESOS__V1__EXECUTOR__CALL__UPDATE__INIT;
    body.status = &status;
    Mesos__V1__Executor__Call *call = make_call(c, CALL(UPDATE));
    call->update = &body;
    struct exec_update *kept = mem_zalloc(sizeof(*kept));
    memcpy(kept->uuid, uuid.bytes, UUID_SIZE);
    wire_encode(&body.base, &kept->bytes);
    list_append(&task->updates, &kept->link);
    if (!c->is_subscribed)
        return; // later
    kept->is_sent = true;
    post(c, true, &call->base);
    if (container_fails(c, 0.05)) {
        mark(sim, MARK_EXECUTOR_REPEATED);
        post(c, true, &call->base);
    }
}

static bool is_idle(const struct container *c)
{
    LIST_FOREACH (&c->tasks, struct exec_task, link, task) {
        if (!task->has_ended || !list_is_empty(&task->updates))
            return false;
    }
    return true;
}

void executor_idle(struct timer *timer, struct instant now)
{
    (void)now;
    struct container *c = CONTAINER_OF(timer, struct container, idle);
    if (is_idle(c))
        container_die(c, 0);
}

static void end_task(struct exec_task *task, Mesos__V1__TaskState state)
{
    struct container *c = task->container;
    task->has_ended = true;
    timer_cancel(&c->host->sim->timers, &task->timer);
    say(task, state);
    if (container_fails(c, 0.05)) {
        mark(c->host->sim, MARK_EXECUTOR_SPOKE_AFTER_THE_END);
        say(task, chance(c->host->sim, 0.5) ? STATE(RUNNING) : STATE(FAILED));
    }
    // Also when the acknowledgement stays away.
    after(c->host->sim, &c->idle, 30 * NS_PER_S);
}

static void exceed_limit(struct container *c)
{
    mark(c->host->sim, MARK_EXECUTOR_OVER_LIMIT);
    CHECK(resources_parse("mem:64", "*", &c->limited, NULL) == 0);
    c->termination.has_reason = true;
    c->termination.reason = MESOS__V1__TASK_STATUS__REASON__REASON_CONTAINER_LIMITATION_MEMORY;
    c->termination.message = "Memory limit exceeded";
    container_die(c, 9);
}

static void task_moves(struct timer *timer, struct instant now)
{
    (void)now;
    struct exec_task *task = CONTAINER_OF(timer, struct exec_task, timer);
    struct container *c = task->container;
    struct sim *sim = c->host->sim;
    if (container_fails(c, 0.02)) {
        mark(sim, MARK_EXECUTOR_DIED);
        container_die(c, chance(sim, 0.5) ? 9 : 256);
        return;
    }
    if (container_fails(c, 0.02)) {
        exceed_limit(c);
        return;
    }
    switch (task->next) {
    case STATE(STARTING):
        say(task, STATE(STARTING));
        task->next = STATE(RUNNING);
        after(sim, timer, draw_spread(sim, NS_PER_MS, NS_PER_S));
        break;
    case STATE(RUNNING):
        say(task, STATE(RUNNING));
        task->next = STATE(FINISHED);
        if (task->run_ns > 0)
            after(sim, timer, task->run_ns);
        break;
    default:
        end_task(task, container_fails(c, 0.1) ? STATE(FAILED) : task->next);
        break;
    }
}

static void say_rest(struct container *c)
{
    LIST_FOREACH (&c->tasks, struct exec_task, link, task) {
        LIST_FOREACH (&task->updates, struct exec_update, link, update) {
            if (update->is_sent)
                continue;
            update->is_sent = true;
            Mesos__V1__Executor__Call *call = make_call(c, CALL(UPDATE));
            call->update = decode(c->host->sim, &mesos__v1__executor__call__update__descriptor,
                                  &update->bytes);
            post(c, true, &call->base);
        }
    }
}

// ---- what it is told ----

static struct exec_task *find_task(struct container *c, const char *id)
{
    LIST_FOREACH (&c->tasks, struct exec_task, link, task) {
        if (strcmp(task->id, id) == 0)
            return task;
    }
    return NULL;
}

static void take_launch(struct container *c, const Mesos__V1__TaskInfo *info)
{
    struct sim *sim = c->host->sim;
    struct exec_task *task = mem_zalloc(sizeof(*task));
    int64_t run_ns = 0;
    char number[24];
    ledger_task_given(sim->ledger, c->framework_id, info->task_id->value);
    CHECK(info->has_data && info->data.len < sizeof(number));
    memcpy(number, info->data.data, info->data.len);
    number[info->data.len] = '\0';
    CHECK(text_parse_i64(number, &run_ns, NULL) == 0);
    task->container = c;
    task->id = mem_strdup(info->task_id->value);
    wire_encode(&info->base, &task->info);
    list_init(&task->updates);
    list_append(&c->tasks, &task->link);
    task->run_ns = run_ns;
    task->timer.run = task_moves;
    task->next = chance(sim, 0.7) ? STATE(STARTING) : STATE(RUNNING);
    timer_cancel(&sim->timers, &c->idle);
    after(sim, &task->timer, draw_spread(sim, NS_PER_MS, 100 * NS_PER_MS));
}

// All of it or nothing.
static void take_group(struct container *c, const Mesos__V1__TaskGroupInfo *group)
{
    struct sim *sim = c->host->sim;
    for (size_t i = 0; i < group->n_tasks; i++) {
        unsigned long size = 0;
        const Mesos__V1__TaskInfo *task = group->tasks[i];
        REQUIRE(sim, sscanf(task->name, "one of %lu", &size) == 1 && size == group->n_tasks,
                "executor %s is given a group of %zu tasks, and %s is %s", c->executor_id,
                group->n_tasks, task->task_id->value, task->name);
        take_launch(c, task);
    }
    mark(sim, MARK_GROUP_GIVEN);
}

static void take_acknowledged(struct container *c,
                              const Mesos__V1__Executor__Event__Acknowledged *acknowledged)
{
    struct exec_task *task = find_task(c, acknowledged->task_id->value);
    if (task == NULL)
        return;
    task->is_acknowledged = true;
    LIST_FOREACH (&task->updates, struct exec_update, link, update) {
        if (memcmp(update->uuid, acknowledged->uuid.data, UUID_SIZE) == 0) {
            list_remove(&update->link);
            buf_free(&update->bytes);
            mem_free(update);
        }
    }
    if (is_idle(c))
        after(c->host->sim, &c->idle,
              c->is_command ? NS_PER_S : draw_spread(c->host->sim, NS_PER_S, 60 * NS_PER_S));
}

static void take_shutdown(struct container *c)
{
    struct sim *sim = c->host->sim;
    if (c->ignores_shutdown && !sim->calm) {
        mark(sim, MARK_EXECUTOR_IGNORED_SHUTDOWN);
        return;
    }
    LIST_FOREACH (&c->tasks, struct exec_task, link, task) {
        if (!task->has_ended)
            end_task(task, STATE(KILLED));
    }
    container_end_after(c, draw_spread(sim, NS_PER_MS, NS_PER_S), 0);
}

static void take_event(struct container *c, const Mesos__V1__Executor__Event *event)
{
    struct exec_task *task;
    switch (event->type) {
    case MESOS__V1__EXECUTOR__EVENT__TYPE__SUBSCRIBED:
        c->is_subscribed = true;
        say_rest(c);
        break;
    case MESOS__V1__EXECUTOR__EVENT__TYPE__LAUNCH:
        take_launch(c, event->launch->task);
        break;
    case MESOS__V1__EXECUTOR__EVENT__TYPE__LAUNCH_GROUP:
        take_group(c, event->launch_group->task_group);
        break;
    case MESOS__V1__EXECUTOR__EVENT__TYPE__KILL:
        task = find_task(c, event->kill->task_id->value);
        if (task != NULL && !task->has_ended && (!c->ignores_kill || c->host->sim->calm)) {
            task->next = STATE(KILLED);
            after(c->host->sim, &task->timer, draw_spread(c->host->sim, NS_PER_MS, NS_PER_S));
        }
        break;
    case MESOS__V1__EXECUTOR__EVENT__TYPE__ACKNOWLEDGED:
        take_acknowledged(c, event->acknowledged);
        break;
    case MESOS__V1__EXECUTOR__EVENT__TYPE__SHUTDOWN:
        take_shutdown(c);
        break;
    case MESOS__V1__EXECUTOR__EVENT__TYPE__MESSAGE: {
        // It answers with the same.
        Mesos__V1__Executor__Call *call = make_call(c, CALL(MESSAGE));
        Mesos__V1__Executor__Call__Message body = MESOS__V1__EXECUTOR__CALL__MESSAGE__INIT;
        body.data = event->message->data;
        call->message = &body;
        post(c, true, &call->base);
        break;
    }
    default:
        break;
    }
}

// ---- delivery ----

// An update that counts is what the task's stream must say in the end.
static void note_update(struct container *c, const Mesos__V1__TaskStatus *status, bool in_subscribe)
{
    struct agent_host *a = c->host;
    if (agent_awaits_update(a, c->framework_id, status->task_id->value, in_subscribe))
        agent_disk_note_said(a, c->framework_id, status->task_id->value, status->state);
}

static void take_subscribe(struct container *c, const Mesos__V1__Executor__Call *call,
                           unsigned session)
{
    struct exec_stream *stream = mem_zalloc(sizeof(*stream));
    stream->container = c;
    stream->is_open = true;
    stream->session = session;
    list_append(&c->streams, &stream->link);
    c->stream = stream;
    for (size_t i = 0; i < call->subscribe->n_unacknowledged_updates; i++)
        note_update(c, call->subscribe->unacknowledged_updates[i]->status, true);
    agent_subscribe(c->host->core, call, stream, c->host->sim->now);
}

static void take_call(struct container *c, const struct mail *mail)
{
    struct agent_host *a = c->host;
    struct sim *sim = a->sim;
    if (a->core == NULL)
        return; // refused
    Mesos__V1__Executor__Call *call =
        decode(sim, &mesos__v1__executor__call__descriptor, &mail->bytes);
    struct error err;
    if (agent_check_call(a->core, call, &err) != 0) {
        mark(sim, MARK_EXECUTOR_CALL_REFUSED);
        TRACE(sim, "agent %zu refuses a call of executor %s: %s", a->index, c->executor_id,
              err.text);
    } else if (call->type == CALL(SUBSCRIBE)) {
        take_subscribe(c, call, mail->session);
    } else {
        if (call->update != NULL)
            note_update(c, call->update->status, false);
        agent_call(a->core, call, sim->now);
    }
    agent_host_look(a);
    agent_host_touch(a);
}

static void deliver(struct timer *timer, struct instant now)
{
    (void)now;
    struct mail *mail = CONTAINER_OF(timer, struct mail, timer);
    struct container *c = mail->container;
    list_remove(&mail->link);
    sim_digest(c->host->sim, mail->bytes.data, mail->bytes.size);
    if (mail->is_call) {
        take_call(c, mail);
    } else if (c->is_alive && mail->session == c->session) {
        take_event(c, decode(c->host->sim, &mesos__v1__executor__event__descriptor, &mail->bytes));
    }
    buf_free(&mail->bytes);
    mem_free(mail);
}

void containers_send(struct agent_host *a, void *stream, const Mesos__V1__Executor__Event *event)
{
    struct exec_stream *s = stream;
    struct container *c = s->container;
    REQUIRE(a->sim, s->is_open, "agent %zu sends to executor %s on a stream that is closed",
            a->index, c->executor_id);
    TRACE(a->sim, "agent %zu -> executor %s: %s", a->index, c->executor_id,
          wire_enum_name(&mesos__v1__executor__event__type__descriptor, (int)event->type));
    if (s->session == c->session)
        post(c, false, &event->base);
}

void containers_close_stream(struct agent_host *a, void *stream)
{
    struct exec_stream *s = stream;
    REQUIRE(a->sim, s->is_open, "agent %zu closes a stream of executor %s twice", a->index,
            s->container->executor_id);
    s->is_open = false;
    if (s->container->stream == s)
        s->container->stream = NULL;
}
