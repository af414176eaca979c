// SPDX-License-Identifier: Apache-2.0
//
// The executor client's state machine; the picture is in executor.h. Updates leave one at a time,
// so that a retry cannot change their order. Streams and posters are only ever freed from a timer
// or from the stream's end, never from within their own callbacks.

#include "client/executor.h"

#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/uuid.h"
#include "client/backoff.h"
#include "client/poster.h"
#include "client/stream.h"

#define EXECUTOR_TARGET "/api/v1/executor"
#define EXECUTOR_BACKOFF_MIN_NS (100 * NS_PER_MS)
#define EXECUTOR_BACKOFF_MAX_NS (2 * NS_PER_S)
#define EXECUTOR_HEARTBEAT_NS (30 * 60 * NS_PER_S)

enum {
    EXECUTOR_MAGIC = 0x45786563,
    EXECUTOR_SEND_TRIES_MAX = 3, // of one update on one subscription
};

enum executor_state {
    EXECUTOR_WAITING,     // for the back-off to pass
    EXECUTOR_SUBSCRIBING, // SUBSCRIBE was sent
    EXECUTOR_SUBSCRIBED,  // the stream of events is open
    EXECUTOR_ENDED,       // for good
};

enum update_state {
    UPDATE_QUEUED,  // to be sent
    UPDATE_SENT,    // the agent took it, or got it with SUBSCRIBE
    UPDATE_REFUSED, // the agent will not have it
};

struct executor_update {
    struct list link;
    struct arena *arena;
    Mesos__V1__TaskStatus *status;
    enum update_state state;
};

struct executor_task {
    struct list link;
    struct arena *arena;
    Mesos__V1__TaskInfo *info;
};

struct executor {
    uint32_t magic;
    enum executor_state state;
    struct env *env;
    struct executor_environment environment;
    enum content_type content;
    struct executor_callbacks callbacks;
    void *ctx;
    char *authorization; // header value, or NULL
    struct backoff backoff;
    struct event_stream *stream; // SUBSCRIBING, SUBSCRIBED
    struct poster *poster;       // SUBSCRIBED
    struct list updates;         // of struct executor_update, oldest first: unacknowledged ones
    size_t update_count;
    struct list tasks;               // of struct executor_task: without an acknowledged update
    bool is_sending;                 // an UPDATE waits for its answer
    struct executor_update *sending; // which; NULL when it was acknowledged meanwhile
    unsigned send_tries;             // of the update that is being sent
    struct timer retry_timer;        // WAITING: until the next try; also breaks a stream
    struct timer send_timer;         // until an update is tried again
    struct timer heartbeat_timer;    // until a HEARTBEAT call is due
    struct timer recovery_timer;     // since the agent was lost
    struct error broken;             // why the retry timer is to break the connection
    struct prng prng;                // for uuids
};

static void executor_subscribe(struct executor *x);
static void executor_send_next(struct executor *x);

static void update_free(struct executor *x, struct executor_update *update)
{
    if (x->sending == update) {
        x->sending = NULL;
    }
    list_remove(&update->link);
    x->update_count--;
    arena_free(update->arena);
    mem_free(update);
}

static void task_free(struct executor_task *task)
{
    list_remove(&task->link);
    arena_free(task->arena);
    mem_free(task);
}

static void executor_drop_connection(struct executor *x)
{
    x->stream = event_stream_free(x->stream);
    x->poster = poster_free(x->poster);
    x->is_sending = false;
    x->sending = NULL;
    env_timer_cancel(x->env, &x->send_timer);
    env_timer_cancel(x->env, &x->heartbeat_timer);
}

static void executor_end(struct executor *x, const struct error *why)
{
    struct error copy = *why;
    executor_drop_connection(x);
    env_timer_cancel(x->env, &x->retry_timer);
    env_timer_cancel(x->env, &x->recovery_timer);
    x->state = EXECUTOR_ENDED;
    x->callbacks.on_ended(x->ctx, &copy);
}

// `is_gone`: the agent does not serve at all; else it answered and asks for patience. Not from
// within a callback of the stream or of the poster, but for the stream's end.
static void executor_disconnect(struct executor *x, const struct error *why, bool is_gone)
{
    struct error copy = *why;
    executor_drop_connection(x);
    x->broken = (struct error){0};
    if (is_gone && !x->environment.checkpoint) {
        executor_end(x, &copy);
        return;
    }
    bool was_subscribed = x->state == EXECUTOR_SUBSCRIBED;
    if (x->environment.checkpoint && !timer_is_set(&x->recovery_timer)) {
        env_timer_set(x->env, &x->recovery_timer, x->environment.recovery_timeout_ns);
    }
    x->state = EXECUTOR_WAITING;
    env_timer_set(x->env, &x->retry_timer, backoff_next(&x->backoff));
    if (was_subscribed && x->callbacks.on_disconnected != NULL) {
        x->callbacks.on_disconnected(x->ctx);
    }
}

// Breaks the connection as soon as no callback of it is running.
static void executor_break(struct executor *x, int code, const char *text)
{
    if (x->state != EXECUTOR_SUBSCRIBED || x->broken.code != 0) {
        return;
    }
    error_set(&x->broken, code, "%s", text);
    env_timer_set(x->env, &x->retry_timer, 0);
}

static void executor_run_retry(struct timer *timer, struct instant now)
{
    (void)now;
    struct executor *x = CONTAINER_OF(timer, struct executor, retry_timer);
    if (x->broken.code != 0) {
        executor_disconnect(x, &x->broken, x->broken.code != -EAGAIN);
    } else if (x->state == EXECUTOR_WAITING) {
        executor_subscribe(x);
    }
}

static void executor_run_recovery(struct timer *timer, struct instant now)
{
    (void)now;
    struct executor *x = CONTAINER_OF(timer, struct executor, recovery_timer);
    struct error err = {0};
    error_set(&err, -ETIMEDOUT, "The agent did not come back within the recovery timeout");
    executor_end(x, &err);
}

static void executor_set_header(const struct executor *x, Mesos__V1__Executor__Call *call,
                                Mesos__V1__FrameworkID *framework_id,
                                Mesos__V1__ExecutorID *executor_id)
{
    // protobuf-c's strings are not const; nothing writes to them.
    framework_id->value = (char *)x->environment.framework_id;
    executor_id->value = (char *)x->environment.executor_id;
    call->framework_id = framework_id;
    call->executor_id = executor_id;
    call->has_type = true;
}

#define EXECUTOR_CALL(x, name)                                                                     \
    Mesos__V1__FrameworkID framework_id = MESOS__V1__FRAMEWORK_ID__INIT;                           \
    Mesos__V1__ExecutorID executor_id = MESOS__V1__EXECUTOR_ID__INIT;                              \
    Mesos__V1__Executor__Call call = MESOS__V1__EXECUTOR__CALL__INIT;                              \
    executor_set_header((x), &call, &framework_id, &executor_id);                                  \
    call.type = MESOS__V1__EXECUTOR__CALL__TYPE__##name

static void executor_run_heartbeat(struct timer *timer, struct instant now)
{
    (void)now;
    struct executor *x = CONTAINER_OF(timer, struct executor, heartbeat_timer);
    EXECUTOR_CALL(x, HEARTBEAT);
    poster_send(x->poster, &call.base, 0, NULL, NULL);
    env_timer_set(x->env, &x->heartbeat_timer, EXECUTOR_HEARTBEAT_NS);
}

static void executor_run_send(struct timer *timer, struct instant now)
{
    (void)now;
    executor_send_next(CONTAINER_OF(timer, struct executor, send_timer));
}

static struct executor_update *executor_first_queued(struct executor *x)
{
    LIST_FOREACH (&x->updates, struct executor_update, link, update) {
        if (update->state == UPDATE_QUEUED) {
            return update;
        }
    }
    return NULL;
}

static void executor_on_update_answer(void *ctx, int tag, int status, const char *text)
{
    (void)tag;
    struct executor *x = CHECK_CAST(executor, EXECUTOR_MAGIC, ctx);
    struct executor_update *update = TAKE_PTR(x->sending);
    x->is_sending = false;
    if (update == NULL || status == 200 || status == 202) {
        if (update != NULL) {
            update->state = UPDATE_SENT;
        }
        x->send_tries = 0;
        executor_send_next(x);
    } else if (status == 403) {
        executor_break(x, -EAGAIN, text); // not subscribed any more, it says
    } else if (status >= 400 && status < 500 && status != 404) {
        log_warning("The agent refused an update with status %d: %s", status, text);
        update->state = UPDATE_REFUSED;
        x->send_tries = 0;
        executor_send_next(x);
    } else if (x->send_tries < EXECUTOR_SEND_TRIES_MAX) {
        env_timer_set(x->env, &x->send_timer, backoff_next(&x->backoff));
    } else {
        executor_break(x, -EPIPE, text);
    }
}

static void executor_send_next(struct executor *x)
{
    if (x->state != EXECUTOR_SUBSCRIBED || x->is_sending || x->broken.code != 0) {
        return;
    }
    struct executor_update *update = executor_first_queued(x);
    if (update == NULL) {
        return;
    }
    EXECUTOR_CALL(x, UPDATE);
    Mesos__V1__Executor__Call__Update body = MESOS__V1__EXECUTOR__CALL__UPDATE__INIT;
    body.status = update->status;
    call.update = &body;
    x->is_sending = true;
    x->sending = update;
    x->send_tries++;
    poster_send(x->poster, &call.base, 0, executor_on_update_answer, x);
}

static void executor_on_open(void *ctx, struct event_stream *stream)
{
    (void)stream;
    struct executor *x = CHECK_CAST(executor, EXECUTOR_MAGIC, ctx);
    struct poster_order order = {
        .address = &x->environment.agent,
        .target = EXECUTOR_TARGET,
        .authorization = x->authorization,
        .content = x->content,
    };
    x->poster = poster_new(x->env, &order);
    x->state = EXECUTOR_SUBSCRIBED;
    x->send_tries = 0;
    backoff_reset(&x->backoff);
    env_timer_cancel(x->env, &x->recovery_timer);
    env_timer_set(x->env, &x->heartbeat_timer, EXECUTOR_HEARTBEAT_NS);
    executor_send_next(x);
}

static void executor_note_acknowledged(struct executor *x,
                                       const Mesos__V1__Executor__Event__Acknowledged *ack)
{
    bool is_known = false;
    LIST_FOREACH (&x->updates, struct executor_update, link, update) {
        const ProtobufCBinaryData *uuid = &update->status->uuid;
        if (uuid->len == ack->uuid.len && memcmp(uuid->data, ack->uuid.data, uuid->len) == 0) {
            update_free(x, update);
            is_known = true;
        }
    }
    if (!is_known) {
        log_warning("Received acknowledgement for unknown status update of task %s",
                    ack->task_id->value);
        return;
    }
    LIST_FOREACH (&x->tasks, struct executor_task, link, task) {
        if (strcmp(task->info->task_id->value, ack->task_id->value) == 0) {
            task_free(task);
        }
    }
}

static void executor_note_task(struct executor *x, const Mesos__V1__TaskInfo *info)
{
    struct executor_task *task = mem_zalloc(sizeof(*task));
    task->arena = arena_new(0, 0);
    task->info = WIRE_COPY(task->arena, Mesos__V1__TaskInfo, info);
    list_append(&x->tasks, &task->link);
}

static void executor_on_event(void *ctx, struct event_stream *stream,
                              const ProtobufCMessage *message)
{
    (void)stream;
    struct executor *x = CHECK_CAST(executor, EXECUTOR_MAGIC, ctx);
    const Mesos__V1__Executor__Event *event = (const Mesos__V1__Executor__Event *)message;
    if (x->state != EXECUTOR_SUBSCRIBED || x->broken.code != 0) {
        return;
    }
    if (event->type == MESOS__V1__EXECUTOR__EVENT__TYPE__LAUNCH && event->launch != NULL) {
        executor_note_task(x, event->launch->task);
    } else if (event->type == MESOS__V1__EXECUTOR__EVENT__TYPE__LAUNCH_GROUP &&
               event->launch_group != NULL) {
        const Mesos__V1__TaskGroupInfo *group = event->launch_group->task_group;
        for (size_t i = 0; i < group->n_tasks; i++) {
            executor_note_task(x, group->tasks[i]);
        }
    } else if (event->type == MESOS__V1__EXECUTOR__EVENT__TYPE__ACKNOWLEDGED &&
               event->acknowledged != NULL) {
        executor_note_acknowledged(x, event->acknowledged);
    }
    x->callbacks.on_event(x->ctx, event);
}

static void executor_on_end(void *ctx, struct event_stream *stream, int status,
                            const char *location, const struct error *why)
{
    (void)stream;
    (void)location;
    struct executor *x = CHECK_CAST(executor, EXECUTOR_MAGIC, ctx);
    if (x->broken.code != 0) {
        return; // the retry timer is about to see to it
    }
    if (status >= 400 && status < 500 && status != 404 && status != 408 && status != 429) {
        executor_end(x, why);
    } else {
        executor_disconnect(x, why, status == 0 || status == 200);
    }
}

static void executor_subscribe(struct executor *x)
{
    static const struct event_stream_callbacks callbacks = {
        .on_open = executor_on_open,
        .on_event = executor_on_event,
        .on_end = executor_on_end,
    };
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    EXECUTOR_CALL(x, SUBSCRIBE);
    Mesos__V1__Executor__Call__Subscribe subscribe = MESOS__V1__EXECUTOR__CALL__SUBSCRIBE__INIT;
    call.subscribe = &subscribe;
    subscribe.unacknowledged_updates =
        arena_calloc(arena, x->update_count + 1, sizeof(*subscribe.unacknowledged_updates));
    LIST_FOREACH (&x->updates, struct executor_update, link, update) {
        Mesos__V1__Executor__Call__Update *one =
            WIRE_NEW(arena, Mesos__V1__Executor__Call__Update, mesos__v1__executor__call__update);
        one->status = update->status;
        subscribe.unacknowledged_updates[subscribe.n_unacknowledged_updates++] = one;
        if (update->state == UPDATE_QUEUED) {
            update->state = UPDATE_SENT;
        }
    }
    size_t task_count = 0;
    LIST_FOREACH (&x->tasks, struct executor_task, link, task) {
        (void)task;
        task_count++;
    }
    subscribe.unacknowledged_tasks =
        arena_calloc(arena, task_count + 1, sizeof(*subscribe.unacknowledged_tasks));
    LIST_FOREACH (&x->tasks, struct executor_task, link, task) {
        subscribe.unacknowledged_tasks[subscribe.n_unacknowledged_tasks++] = task->info;
    }
    struct event_stream_order order = {
        .address = &x->environment.agent,
        .target = EXECUTOR_TARGET,
        .authorization = x->authorization,
        .content = x->content,
        .call = &call.base,
        .descriptor = &mesos__v1__executor__event__descriptor,
    };
    x->state = EXECUTOR_SUBSCRIBING;
    x->stream = event_stream_new(x->env, &order, &callbacks, x);
}

struct executor *executor_new(struct env *env, const struct executor_environment *environment,
                              enum content_type content, const struct executor_callbacks *callbacks,
                              void *ctx)
{
    struct executor *x = mem_zalloc(sizeof(*x));
    x->magic = EXECUTOR_MAGIC;
    x->env = env;
    x->environment = *environment;
    x->content = content;
    x->callbacks = *callbacks;
    x->ctx = ctx;
    if (environment->token != NULL) {
        x->authorization = mem_printf("Bearer %s", environment->token);
    }
    list_init(&x->updates);
    list_init(&x->tasks);
    x->retry_timer.run = executor_run_retry;
    x->send_timer.run = executor_run_send;
    x->heartbeat_timer.run = executor_run_heartbeat;
    x->recovery_timer.run = executor_run_recovery;
    prng_seed(&x->prng, env_random_u64());
    backoff_init(&x->backoff, EXECUTOR_BACKOFF_MIN_NS,
                 environment->backoff_max_ns > 0 ? environment->backoff_max_ns
                                                 : EXECUTOR_BACKOFF_MAX_NS);
    executor_subscribe(x);
    return x;
}

struct executor *executor_free(struct executor *x)
{
    if (x == NULL) {
        return NULL;
    }
    CHECK(x->magic == EXECUTOR_MAGIC);
    executor_drop_connection(x);
    env_timer_cancel(x->env, &x->retry_timer);
    env_timer_cancel(x->env, &x->recovery_timer);
    LIST_FOREACH (&x->updates, struct executor_update, link, update) {
        update_free(x, update);
    }
    LIST_FOREACH (&x->tasks, struct executor_task, link, task) {
        task_free(task);
    }
    mem_free(x->authorization);
    x->magic = 0;
    mem_free(x);
    return NULL;
}

void executor_update(struct executor *x, const Mesos__V1__TaskStatus *status)
{
    struct executor_update *update = mem_zalloc(sizeof(*update));
    update->arena = arena_new(0, 0);
    Mesos__V1__TaskStatus *copy = WIRE_COPY(update->arena, Mesos__V1__TaskStatus, status);
    if (!copy->has_uuid) {
        struct uuid uuid = uuid_random(&x->prng);
        copy->has_uuid = true;
        copy->uuid.len = UUID_SIZE;
        copy->uuid.data = arena_dup(update->arena, uuid.bytes, UUID_SIZE);
    }
    if (!copy->has_timestamp) {
        copy->has_timestamp = true;
        copy->timestamp = (double)env_now(x->env).wall / (double)NS_PER_S;
    }
    if (!copy->has_source) {
        copy->has_source = true;
        copy->source = MESOS__V1__TASK_STATUS__SOURCE__SOURCE_EXECUTOR;
    }
    if (copy->executor_id == NULL) {
        copy->executor_id = WIRE_NEW(update->arena, Mesos__V1__ExecutorID, mesos__v1__executor_id);
        copy->executor_id->value = arena_strdup(update->arena, x->environment.executor_id);
    }
    update->status = copy;
    update->state = UPDATE_QUEUED;
    list_append(&x->updates, &update->link);
    x->update_count++;
    executor_send_next(x);
}

int executor_message(struct executor *x, const void *data, size_t size, struct error *err)
{
    if (x->state != EXECUTOR_SUBSCRIBED || x->broken.code != 0) {
        return error_set(err, -ENOTCONN, "Not subscribed to the agent");
    }
    EXECUTOR_CALL(x, MESSAGE);
    Mesos__V1__Executor__Call__Message body = MESOS__V1__EXECUTOR__CALL__MESSAGE__INIT;
    body.data.data = (uint8_t *)data;
    body.data.len = size;
    call.message = &body;
    poster_send(x->poster, &call.base, 0, NULL, NULL);
    return 0;
}

size_t executor_unacknowledged(const struct executor *x)
{
    return x->update_count;
}
