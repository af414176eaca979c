// SPDX-License-Identifier: Apache-2.0
//
// Fake containers, and the executors in them. An executor talks with its agent over a local stream:
// in order, a little late, and now and then the stream breaks. It does as it should (subscribes,
// runs what it is given, kills what it is told to, sends again what was not acknowledged), unless
// the world is in trouble: then it may die, be late, repeat itself, or not listen.

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "model/task_state.h"
#include "proto/executor.pb-c.h"
#include "sim/ledger.h"

#define CALL(NAME) MESOS__V1__EXECUTOR__CALL__TYPE__##NAME
#define STATE(NAME) MESOS__V1__TASK_STATE__TASK_##NAME

// What an executor was told or says, on its way.
struct mail {
    struct list link;
    struct timer timer;
    struct container *container;
    unsigned session; // of the stream that an event came over
    bool is_call;
    struct buf bytes;
};

// What the core holds for an open stream.
struct exec_stream {
    struct list link;
    struct container *container;
    bool is_open;
    unsigned session;
};

struct exec_update {
    struct list link;
    uint8_t uuid[UUID_SIZE];
    struct buf bytes; // of the Update
    bool is_sent;     // ... over this stream, or named when it was opened
};

struct exec_task {
    struct list link;
    struct container *container;
    char *id;
    struct buf info;      // the TaskInfo
    bool is_acknowledged; // any update of it was
    bool has_ended;       // its terminal update was made
    Mesos__V1__TaskState next;
    struct timer timer;
    struct list updates; // those that were not acknowledged
    int64_t run_ns;      // 0: until it is killed
};

struct container {
    struct list link;
    struct agent_host *host;
    char *id, *framework_id, *executor_id;
    bool is_command, keeps_on; // ... when its stream breaks
    bool outlives_agent;
    bool is_launched, is_alive, is_ending, is_shutting_down;
    bool has_ended; // ... and the agent was not told, or that is not durable yet
    bool is_told;
    bool never_subscribes, ignores_shutdown, ignores_kill;
    unsigned session;
    struct exec_stream *stream; // the newest one
    bool is_subscribed;
    struct list streams, mails, tasks;
    struct timer life; // its launch, then its end
    struct timer subscribe, idle;
    int64_t last_due[2];
    struct agent_termination termination;
    struct resources *limited;
};

static bool trouble(const struct container *c, double probability)
{
    struct sim *sim = c->host->sim;
    return !sim->calm && chance(sim, probability);
}

// ---- freeing ----

static void free_task(struct exec_task *task)
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

static void free_mail(struct mail *mail)
{
    timer_cancel(&mail->container->host->sim->timers, &mail->timer);
    list_remove(&mail->link);
    buf_free(&mail->bytes);
    mem_free(mail);
}

static void free_container(struct container *c)
{
    struct timers *timers = &c->host->sim->timers;
    timer_cancel(timers, &c->life);
    timer_cancel(timers, &c->subscribe);
    timer_cancel(timers, &c->idle);
    LIST_FOREACH (&c->tasks, struct exec_task, link, task)
        free_task(task);
    LIST_FOREACH (&c->mails, struct mail, link, mail)
        free_mail(mail);
    LIST_FOREACH (&c->streams, struct exec_stream, link, stream)
        mem_free(stream);
    list_remove(&c->link);
    resources_free(c->limited);
    mem_free(c->id);
    mem_free(c->framework_id);
    mem_free(c->executor_id);
    mem_free(c);
}

// ---- the end of a container ----

static void container_ended(struct timer *timer, struct instant now)
{
    struct container *c = CONTAINER_OF(timer, struct container, life);
    struct agent_host *a = c->host;
    if (!c->has_ended)
        TRACE(a->sim, "agent %zu: container of executor %s ends", a->index, c->executor_id);
    c->has_ended = true;
    if (a->core == NULL)
        return; // its exit status waits for the next agent
    c->termination.limited = c->limited;
    c->is_told = true;
    agent_container_terminated(a->core, c->id, &c->termination, now);
    agent_host_look(a);
    agent_host_touch(a);
}

static void end_after(struct container *c, int64_t delay_ns, int status)
{
    struct sim *sim = c->host->sim;
    if (c->is_ending)
        return;
    c->is_ending = true;
    c->is_alive = false;
    c->termination.has_status = true;
    c->termination.status = status;
    LIST_FOREACH (&c->tasks, struct exec_task, link, task)
        timer_cancel(&sim->timers, &task->timer);
    timer_cancel(&sim->timers, &c->subscribe);
    timer_cancel(&sim->timers, &c->idle);
    c->life.run = container_ended;
    after(sim, &c->life, delay_ns);
}

static void die(struct container *c, int status)
{
    end_after(c, draw_spread(c->host->sim, NS_PER_MS, 100 * NS_PER_MS), status);
}

static void exceed_limit(struct container *c)
{
    mark(c->host->sim, MARK_EXECUTOR_OVER_LIMIT);
    CHECK(resources_parse("mem:64", "*", &c->limited, NULL) == 0);
    c->termination.has_reason = true;
    c->termination.reason = MESOS__V1__TASK_STATUS__REASON__REASON_CONTAINER_LIMITATION_MEMORY;
    c->termination.message = "Memory limit exceeded";
    die(c, 9);
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

static void subscribe(struct timer *timer, struct instant now)
{
    struct container *c = CONTAINER_OF(timer, struct container, subscribe);
    if (c->host->core == NULL) {
        if (now.mono - c->host->down_since > c->host->sim->config.recovery_timeout_ns) {
            mark(c->host->sim, MARK_EXECUTOR_GAVE_AGENT_UP);
            die(c, 256);
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
    if (trouble(c, 0.05)) {
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

static void idle_for_long(struct timer *timer, struct instant now)
{
    (void)now;
    struct container *c = CONTAINER_OF(timer, struct container, idle);
    if (is_idle(c))
        die(c, 0);
}

static void end_task(struct exec_task *task, Mesos__V1__TaskState state)
{
    struct container *c = task->container;
    task->has_ended = true;
    timer_cancel(&c->host->sim->timers, &task->timer);
    say(task, state);
    if (trouble(c, 0.05)) {
        mark(c->host->sim, MARK_EXECUTOR_SPOKE_AFTER_THE_END);
        say(task, chance(c->host->sim, 0.5) ? STATE(RUNNING) : STATE(FAILED));
    }
    // Also when the acknowledgement stays away.
    after(c->host->sim, &c->idle, 30 * NS_PER_S);
}

static void task_moves(struct timer *timer, struct instant now)
{
    (void)now;
    struct exec_task *task = CONTAINER_OF(timer, struct exec_task, timer);
    struct container *c = task->container;
    struct sim *sim = c->host->sim;
    if (trouble(c, 0.02)) {
        mark(sim, MARK_EXECUTOR_DIED);
        die(c, chance(sim, 0.5) ? 9 : 256);
        return;
    }
    if (trouble(c, 0.02)) {
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
        end_task(task, trouble(c, 0.1) ? STATE(FAILED) : task->next);
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
    end_after(c, draw_spread(sim, NS_PER_MS, NS_PER_S), 0);
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

// ---- launching ----

static const char *find_variable(char *const *environment, const char *name)
{
    size_t size = strlen(name);
    for (; *environment != NULL; environment++) {
        if (strncmp(*environment, name, size) == 0 && (*environment)[size] == '=')
            return *environment + size + 1;
    }
    return "";
}

static void launched(struct timer *timer, struct instant now)
{
    struct container *c = CONTAINER_OF(timer, struct container, life);
    struct agent_host *a = c->host;
    struct sim *sim = a->sim;
    if (a->core != NULL && trouble(c, 0.03)) {
        mark(sim, MARK_LAUNCH_FAILED);
        c->termination.has_reason = true;
        c->termination.reason = MESOS__V1__TASK_STATUS__REASON__REASON_CONTAINER_LAUNCH_FAILED;
        c->termination.message = "Failed to launch container: no luck";
        c->is_ending = true;
        container_ended(timer, now);
        return;
    }
    c->is_launched = true;
    c->is_alive = true;
    if (a->core != NULL)
        agent_container_launched(a->core, c->id, 1000 + (pid_t)draw(sim, 30000), now);
    if (trouble(c, 0.03)) {
        mark(sim, MARK_EXECUTOR_DIED_EARLY);
        die(c, 256);
    } else if (trouble(c, 0.03)) {
        mark(sim, MARK_EXECUTOR_NEVER_SUBSCRIBED);
    } else {
        after(sim, &c->subscribe,
              trouble(c, 0.03) ? draw_spread(sim, NS_PER_S, 90 * NS_PER_S)
                               : draw_spread(sim, NS_PER_MS, 300 * NS_PER_MS));
    }
    agent_host_touch(a);
}

int containers_launch(struct agent_host *a, const struct agent_launch *launch, struct error *err)
{
    struct sim *sim = a->sim;
    if (!sim->calm && chance(sim, 0.02)) {
        mark(sim, MARK_LAUNCH_REFUSED);
        return error_set(err, -EIO, "no room for a container");
    }
    struct container *c = mem_zalloc(sizeof(*c));
    c->host = a;
    c->id = mem_strdup(launch->container_id);
    c->framework_id = mem_strdup(find_variable(launch->environment, "MESOS_FRAMEWORK_ID"));
    c->executor_id = mem_strdup(find_variable(launch->environment, "MESOS_EXECUTOR_ID"));
    CHECK(c->framework_id[0] != '\0' && c->executor_id[0] != '\0');
    c->outlives_agent = launch->outlives_agent;
    c->is_command = strcmp(launch->command->value, "/libexec/mesos-executor") == 0;
    bool is_checkpointed = strcmp(find_variable(launch->environment, "MESOS_CHECKPOINT"), "1") == 0;
    list_init(&c->streams);
    list_init(&c->mails);
    list_init(&c->tasks);
    list_append(&a->containers, &c->link);
    c->keeps_on = is_checkpointed || (!c->is_command && chance(sim, 0.5));
    c->ignores_shutdown = trouble(c, 0.05);
    c->ignores_kill = trouble(c, 0.05);
    c->subscribe.run = subscribe;
    c->idle.run = idle_for_long;
    c->life.run = launched;
    after(sim, &c->life, draw_spread(sim, NS_PER_MS, trouble(c, 0.05) ? 80 * NS_PER_S : NS_PER_S));
    return 0;
}

static struct container *find_container(struct agent_host *a, const char *container_id)
{
    LIST_FOREACH (&a->containers, struct container, link, c) {
        if (strcmp(c->id, container_id) == 0)
            return c;
    }
    return NULL;
}

int containers_update(struct agent_host *a, const char *container_id, struct error *err)
{
    struct container *c = find_container(a, container_id);
    REQUIRE(a->sim, c != NULL, "agent %zu updates a container that is gone", a->index);
    if (trouble(c, 0.02)) {
        mark(a->sim, MARK_UPDATE_REFUSED);
        return error_set(err, -EIO, "the cgroup cannot be written");
    }
    return 0;
}

void containers_destroy(struct agent_host *a, const char *container_id)
{
    struct container *c = find_container(a, container_id);
    REQUIRE(a->sim, c != NULL, "agent %zu destroys a container that is gone", a->index);
    if (c->is_ending)
        return;
    mark(a->sim, MARK_EXECUTOR_GRACE_OVER);
    timer_cancel(&a->sim->timers, &c->life);
    end_after(c, draw_spread(a->sim, NS_PER_MS, a->sim->calm ? NS_PER_S : 20 * NS_PER_S), 9);
}

// ---- the agent's end, and its return ----

void containers_crash(struct agent_host *a, bool is_reboot)
{
    struct sim *sim = a->sim;
    LIST_FOREACH (&a->containers, struct container, link, c) {
        if (is_reboot || !c->outlives_agent) {
            free_container(c);
            continue;
        }
        c->is_told = false;
        c->is_subscribed = false;
        c->stream = NULL;
        LIST_FOREACH (&c->streams, struct exec_stream, link, stream)
            stream->is_open = false;
        LIST_FOREACH (&c->mails, struct mail, link, mail) {
            if (mail->is_call || chance(sim, 0.5))
                free_mail(mail);
        }
        if (c->is_alive && c->session > 0 && !timer_is_set(&c->subscribe))
            after(sim, &c->subscribe, draw_spread(sim, NS_PER_MS, 2 * NS_PER_S));
    }
}

static void recover_one(struct agent_host *a, const char *container_id)
{
    struct sim *sim = a->sim;
    struct container *c = find_container(a, container_id);
    if (c == NULL) {
        // Its record is there, and it was never started, or it ended with the machine.
        c = mem_zalloc(sizeof(*c));
        c->host = a;
        c->id = mem_strdup(container_id);
        c->framework_id = mem_strdup("");
        c->executor_id = mem_strdup(container_id);
        c->termination.message = "Abnormal executor termination: unknown container";
        list_init(&c->streams);
        list_init(&c->mails);
        list_init(&c->tasks);
        list_append(&a->containers, &c->link);
        c->outlives_agent = c->has_ended = true;
        c->is_ending = true;
        mark(sim, MARK_CONTAINER_UNKNOWN);
    }
    if (c->has_ended) {
        mark(sim, MARK_CONTAINER_ENDED_MEANWHILE);
        c->life.run = container_ended;
        after(sim, &c->life, draw_spread(sim, NS_PER_US, NS_PER_S));
    } else if (c->is_launched) {
        mark(sim, MARK_CONTAINER_FOUND_AGAIN);
        agent_container_launched(a->core, c->id, 1000 + (pid_t)draw(sim, 30000), sim->now);
    }
}

void containers_recover(struct agent_host *a)
{
    const char *id;
    for (size_t i = 0; (id = agent_recovering_container(a, i)) != NULL; i++)
        recover_one(a, id);
    LIST_FOREACH (&a->containers, struct container, link, c) {
        if (agent_knows_container(a, c->id))
            continue;
        sim_fail(a->sim, "agent %zu has the container %s and no record of it", a->index, c->id);
    }
}

void containers_forget_told(struct agent_host *a)
{
    LIST_FOREACH (&a->containers, struct container, link, c) {
        if (c->is_told)
            free_container(c);
    }
}

const char *containers_stray(const struct agent_host *a)
{
    LIST_FOREACH (&a->containers, struct container, link, c) {
        if (!agent_knows_container(a, c->id))
            return c->id;
    }
    return NULL;
}

// ---- faults ----

static struct container *draw_container(struct agent_host *a)
{
    size_t count = 0;
    LIST_FOREACH (&a->containers, struct container, link, counted)
        count += counted->is_alive;
    if (count == 0)
        return NULL;
    size_t skip = draw(a->sim, count);
    LIST_FOREACH (&a->containers, struct container, link, c) {
        if (c->is_alive && skip-- == 0)
            return c;
    }
    return NULL;
}

bool containers_kill_one(struct agent_host *a)
{
    struct container *c = a->core != NULL ? draw_container(a) : NULL;
    if (c == NULL)
        return false;
    mark(a->sim, MARK_EXECUTOR_DIED);
    die(c, 9);
    return true;
}

bool containers_break_stream(struct agent_host *a)
{
    struct container *c = a->core != NULL ? draw_container(a) : NULL;
    if (c == NULL || c->stream == NULL)
        return false;
    struct sim *sim = a->sim;
    TRACE(sim, "agent %zu: the stream of executor %s breaks", a->index, c->executor_id);
    struct exec_stream *stream = c->stream;
    stream->is_open = false;
    c->stream = NULL;
    // Of its calls, which go one behind the other, those from one on.
    bool is_lost = false;
    LIST_FOREACH (&c->mails, struct mail, link, mail) {
        is_lost = is_lost || chance(sim, 0.3);
        if (!mail->is_call || is_lost)
            free_mail(mail);
    }
    agent_stream_closed(a->core, c->framework_id, c->executor_id, stream);
    c->session++;
    c->is_subscribed = false;
    if (c->keeps_on)
        after(sim, &c->subscribe, draw_spread(sim, NS_PER_MS, 10 * NS_PER_S));
    else
        die(c, 0);
    agent_host_touch(a);
    return true;
}
