// SPDX-License-Identifier: Apache-2.0
//
// The public executor on src/client's: events go to the callback of their kind; an end waits for
// the acknowledgements of what was said before.

#include <mesos/executor.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/mem.h"
#include "client/executor.h"
#include "libmesos/host.h"

#define MAGIC 0x6c657863u
#define STOP_MAX_NS (10 * NS_PER_S)

struct mesos_executor {
    uint32_t magic;
    struct host host;
    struct executor *executor;
    struct mesos_executor_callbacks callbacks;
    void *ctx;
    bool is_stopping;
    int status;
    struct env_hook stop; // looks whether all is acknowledged
    struct timer patience;
};

static void look_whether_done(struct mesos_executor *x)
{
    if (x->is_stopping)
        env_at_turn_end(x->host.env, &x->stop);
}

static void stop_is_due(struct env_hook *hook, struct instant now)
{
    (void)now;
    struct mesos_executor *x = CONTAINER_OF(hook, struct mesos_executor, stop);
    if (executor_unacknowledged(x->executor) > 0)
        return;
    env_timer_cancel(x->host.env, &x->patience);
    env_stop(x->host.env, x->status);
}

static void patience_is_over(struct timer *timer, struct instant now)
{
    (void)now;
    struct mesos_executor *x = CONTAINER_OF(timer, struct mesos_executor, patience);
    env_stop(x->host.env, x->status);
}

// ---- events ----

static void shut_down(struct mesos_executor *x, const char *why)
{
    if (x->callbacks.shutdown != NULL)
        x->callbacks.shutdown(x->ctx, x, why);
    if (!x->is_stopping)
        env_stop(x->host.env, 0);
}

static void launch(struct mesos_executor *x, const Mesos__V1__TaskInfo *task)
{
    if (x->callbacks.launch != NULL)
        x->callbacks.launch(x->ctx, x, host_message(task));
}

static void kill_task(struct mesos_executor *x, const Mesos__V1__Executor__Event__Kill *kill)
{
    double grace = -1;
    if (kill->kill_policy != NULL && kill->kill_policy->grace_period != NULL)
        grace = (double)kill->kill_policy->grace_period->nanoseconds / (double)NS_PER_S;
    if (x->callbacks.kill != NULL)
        x->callbacks.kill(x->ctx, x, kill->task_id->value, grace);
}

static void on_event(void *ctx, const Mesos__V1__Executor__Event *event)
{
    struct mesos_executor *x = CHECK_CAST(mesos_executor, MAGIC, ctx);
    if (x->callbacks.event != NULL)
        x->callbacks.event(x->ctx, x, host_message(event));
    if (event->subscribed != NULL && x->callbacks.subscribed != NULL)
        x->callbacks.subscribed(x->ctx, x, host_message(event->subscribed));
    if (event->launch != NULL)
        launch(x, event->launch->task);
    if (event->launch_group != NULL) {
        const Mesos__V1__TaskGroupInfo *group = event->launch_group->task_group;
        for (size_t i = 0; i < group->n_tasks; i++)
            launch(x, group->tasks[i]);
    }
    if (event->kill != NULL)
        kill_task(x, event->kill);
    if (event->message != NULL && x->callbacks.message != NULL)
        x->callbacks.message(x->ctx, x, event->message->data.data, event->message->data.len);
    if (event->type == MESOS__V1__EXECUTOR__EVENT__TYPE__SHUTDOWN)
        shut_down(x, "the agent asks for it");
    look_whether_done(x);
}

static void on_ended(void *ctx, const struct error *why)
{
    struct mesos_executor *x = CHECK_CAST(mesos_executor, MAGIC, ctx);
    shut_down(x, why->text);
    // Nobody will acknowledge anything any more.
    env_stop(x->host.env, x->status);
}

static void on_woken(void *ctx)
{
    struct mesos_executor *x = CHECK_CAST(mesos_executor, MAGIC, ctx);
    if (x->callbacks.woken != NULL)
        x->callbacks.woken(x->ctx, x);
}

// ---- life ----

int mesos_executor_new(const struct mesos_executor_callbacks *callbacks, void *ctx,
                       struct mesos_executor **ret_executor, struct mesos_error *err)
{
    static const struct executor_callbacks own = {.on_event = on_event, .on_ended = on_ended};
    struct executor_environment environment;
    struct error why = {0};
    int r = executor_environment_read(environ, &environment, &why);
    if (r < 0)
        return host_fail(err, r, &why);
    struct mesos_executor *x = mem_zalloc(sizeof(*x));
    x->magic = MAGIC;
    x->ctx = ctx;
    host_copy(&x->callbacks, sizeof(x->callbacks), callbacks);
    x->stop.run = stop_is_due;
    list_init(&x->stop.link);
    x->patience.run = patience_is_over;
    r = host_open(&x->host, on_woken, x, &why);
    if (r < 0) {
        mem_free(x);
        return host_fail(err, r, &why);
    }
    x->executor = executor_new(x->host.env, &environment, CONTENT_PROTOBUF, &own, x);
    *ret_executor = x;
    return 0;
}

void mesos_executor_free(struct mesos_executor *x)
{
    if (x == NULL)
        return;
    CHECK(x->magic == MAGIC);
    executor_free(x->executor);
    env_hook_cancel(&x->stop);
    env_timer_cancel(x->host.env, &x->patience);
    host_close(&x->host);
    x->magic = 0;
    mem_free(x);
}

int mesos_executor_run(struct mesos_executor *x)
{
    CHECK(x->magic == MAGIC);
    return env_run(x->host.env);
}

void mesos_executor_stop(struct mesos_executor *x, int status)
{
    CHECK(x->magic == MAGIC);
    if (!x->is_stopping)
        env_timer_set(x->host.env, &x->patience, STOP_MAX_NS);
    x->is_stopping = true;
    x->status = status;
    look_whether_done(x);
}

void mesos_executor_wake(struct mesos_executor *x)
{
    host_wake(&x->host);
}

// ---- what it says ----

static int make_status(const char *task_id, const char *state, const char *text, const char *more,
                       struct arena *arena, Mesos__V1__TaskStatus **ret_status, struct error *err)
{
    if (wire_enum_value(&mesos__v1__task_state__descriptor, state) < 0)
        return error_set(err, -EINVAL, "There is no task state '%s'", state);
    AUTO_BUF struct buf json = BUF_INIT;
    struct json_writer w;
    json_begin(&w, &json);
    json_object_open(&w);
    json_key(&w, "task_id");
    json_object_open(&w);
    json_key_string(&w, "value", task_id);
    json_object_close(&w);
    json_key_string(&w, "state", state);
    if (text != NULL)
        json_key_string(&w, "message", text);
    int r = host_put_more(&w, more, "TaskStatus", err);
    if (r < 0)
        return r;
    json_object_close(&w);
    ProtobufCMessage *message;
    r = wire_json_decode(&mesos__v1__task_status__descriptor, arena, json.data, json.size, &message,
                         err);
    if (r < 0)
        return error_wrap(err, -EINVAL, "TaskStatus");
    *ret_status = (Mesos__V1__TaskStatus *)message;
    return 0;
}

int mesos_update(struct mesos_executor *x, const char *task_id, const char *state, const char *text,
                 const char *more, struct mesos_error *err)
{
    CHECK(x->magic == MAGIC);
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    Mesos__V1__TaskStatus *status = NULL;
    struct error why = {0};
    int r = make_status(task_id, state, text, more, arena, &status, &why);
    if (r < 0)
        return host_fail(err, r, &why);
    executor_update(x->executor, status);
    return 0;
}

size_t mesos_executor_unacknowledged(const struct mesos_executor *x)
{
    return executor_unacknowledged(x->executor);
}

int mesos_executor_send(struct mesos_executor *x, const void *data, size_t size,
                        struct mesos_error *err)
{
    struct error why = {0};
    int r = executor_message(x->executor, data, size, &why);
    return r < 0 ? host_fail(err, r, &why) : 0;
}
