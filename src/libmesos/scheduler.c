// SPDX-License-Identifier: Apache-2.0
//
// The public scheduler on src/client's: options and calls are put together as JSON, which Mesos'
// users know, and decoded as a master would; events are handed to the callback of their kind.

#include <mesos/scheduler.h>

#include <errno.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/mem.h"
#include "client/scheduler.h"
#include "libmesos/host.h"
#include "wire/content.h"

#define MAGIC 0x6c736368u
#define CALL(NAME) MESOS__V1__SCHEDULER__CALL__TYPE__##NAME

struct mesos_scheduler {
    uint32_t magic;
    struct host host;
    struct scheduler *scheduler;
    struct mesos_scheduler_callbacks callbacks;
    void *ctx;
    bool explicit_acknowledgements;
    bool is_stopping;
    int status;
    struct env_hook stop; // looks whether all calls are answered
};

// ---- events ----

static void on_update(struct mesos_scheduler *s, const Mesos__V1__TaskStatus *status)
{
    if (s->callbacks.update != NULL)
        s->callbacks.update(s->ctx, s, host_message(status));
    if (!s->explicit_acknowledgements)
        mesos_acknowledge(s, host_message(status), NULL);
}

static void on_failure(struct mesos_scheduler *s,
                       const Mesos__V1__Scheduler__Event__Failure *failure)
{
    if (s->callbacks.failure != NULL)
        s->callbacks.failure(s->ctx, s, failure->agent_id != NULL ? failure->agent_id->value : NULL,
                             failure->executor_id != NULL ? failure->executor_id->value : NULL,
                             failure->has_status ? failure->status : 0);
}

static void on_offers(struct mesos_scheduler *s, const Mesos__V1__Scheduler__Event__Offers *offers)
{
    for (size_t i = 0; i < offers->n_offers; i++) {
        if (s->callbacks.offer != NULL)
            s->callbacks.offer(s->ctx, s, host_message(offers->offers[i]));
        else
            mesos_decline(s, host_message(offers->offers[i]), -1, NULL);
    }
}

static void on_event(void *ctx, const Mesos__V1__Scheduler__Event *event)
{
    struct mesos_scheduler *s = CHECK_CAST(mesos_scheduler, MAGIC, ctx);
    if (s->callbacks.event != NULL)
        s->callbacks.event(s->ctx, s, host_message(event));
    if (event->subscribed != NULL && s->callbacks.subscribed != NULL)
        s->callbacks.subscribed(s->ctx, s, event->subscribed->framework_id->value);
    if (event->offers != NULL)
        on_offers(s, event->offers);
    if (event->rescind != NULL && s->callbacks.rescinded != NULL)
        s->callbacks.rescinded(s->ctx, s, event->rescind->offer_id->value);
    if (event->update != NULL)
        on_update(s, event->update->status);
    if (event->message != NULL && s->callbacks.message != NULL)
        s->callbacks.message(s->ctx, s, event->message->agent_id->value,
                             event->message->executor_id->value, event->message->data.data,
                             event->message->data.len);
    if (event->failure != NULL)
        on_failure(s, event->failure);
}

static void look_whether_done(struct mesos_scheduler *s)
{
    if (s->is_stopping)
        env_at_turn_end(s->host.env, &s->stop);
}

static void stop_is_due(struct env_hook *hook, struct instant now)
{
    (void)now;
    struct mesos_scheduler *s = CONTAINER_OF(hook, struct mesos_scheduler, stop);
    if (scheduler_pending(s->scheduler) == 0)
        env_stop(s->host.env, s->status);
}

static void on_disconnected(void *ctx, const struct error *why)
{
    struct mesos_scheduler *s = CHECK_CAST(mesos_scheduler, MAGIC, ctx);
    if (s->callbacks.disconnected != NULL)
        s->callbacks.disconnected(s->ctx, s, why->text);
    look_whether_done(s);
}

static void on_refused(void *ctx, const struct error *why)
{
    struct mesos_scheduler *s = CHECK_CAST(mesos_scheduler, MAGIC, ctx);
    if (s->callbacks.refused != NULL)
        s->callbacks.refused(s->ctx, s, why->text);
    env_stop(s->host.env, s->is_stopping ? s->status : -EPERM);
}

static void on_call_refused(void *ctx, Mesos__V1__Scheduler__Call__Type type, int status,
                            const char *text)
{
    struct mesos_scheduler *s = CHECK_CAST(mesos_scheduler, MAGIC, ctx);
    const char *name = wire_enum_name(&mesos__v1__scheduler__call__type__descriptor, (int)type);
    if (s->callbacks.call_refused != NULL)
        s->callbacks.call_refused(s->ctx, s, name != NULL ? name : "", status, text);
}

static void on_calls_answered(void *ctx)
{
    look_whether_done(CHECK_CAST(mesos_scheduler, MAGIC, ctx));
}

static void on_woken(void *ctx)
{
    struct mesos_scheduler *s = CHECK_CAST(mesos_scheduler, MAGIC, ctx);
    if (s->callbacks.woken != NULL)
        s->callbacks.woken(s->ctx, s);
}

// ---- life ----

static void put_list(struct json_writer *w, const char *key, const char *member,
                     const char *const *names)
{
    json_key(w, key);
    json_array_open(w);
    for (size_t i = 0; names != NULL && names[i] != NULL; i++) {
        if (member == NULL) {
            json_string(w, names[i]);
            continue;
        }
        json_object_open(w);
        json_key_string(w, member, names[i]);
        json_object_close(w);
    }
    json_array_close(w);
}

// Every capability must be one that is known: an unknown name would be dropped by the decoder.
static int check_capabilities(const char *const *names, struct error *err)
{
    for (size_t i = 0; names != NULL && names[i] != NULL; i++) {
        if (wire_enum_value(&mesos__v1__framework_info__capability__type__descriptor, names[i]) <=
            0)
            return error_set(err, -EINVAL, "Unknown capability '%s'", names[i]);
    }
    return 0;
}

static int make_framework(const struct mesos_scheduler_options *o, struct arena *arena,
                          Mesos__V1__FrameworkInfo **ret_info, struct error *err)
{
    static const char *const any_role[] = {"*", NULL};
    static const char *const always[] = {"MULTI_ROLE", NULL};
    const struct passwd *entry = o->user == NULL ? getpwuid(geteuid()) : NULL;
    const char *user = o->user != NULL ? o->user : entry != NULL ? entry->pw_name : NULL;
    if (o->master == NULL || o->name == NULL || user == NULL)
        return error_set(err, -EINVAL, "A scheduler needs a master, a name and a user");
    int r = check_capabilities(o->capabilities, err);
    if (r < 0)
        return r;
    AUTO_BUF struct buf text = BUF_INIT;
    struct json_writer w;
    json_begin(&w, &text);
    json_object_open(&w);
    json_key_string(&w, "name", o->name);
    json_key_string(&w, "user", user);
    put_list(&w, "roles", NULL, o->roles != NULL ? o->roles : any_role);
    size_t count = 0;
    while (o->capabilities != NULL && o->capabilities[count] != NULL)
        count++;
    const char **names = arena_calloc(arena, count + ARRAY_COUNT(always), sizeof(*names));
    names[0] = always[0];
    for (size_t i = 0; i < count; i++)
        names[1 + i] = o->capabilities[i];
    put_list(&w, "capabilities", "type", names);
    json_key_double(&w, "failover_timeout", o->failover_timeout);
    json_key_bool(&w, "checkpoint", o->checkpoint);
    if (o->principal != NULL)
        json_key_string(&w, "principal", o->principal);
    if (o->framework_id != NULL) {
        json_key(&w, "id");
        json_object_open(&w);
        json_key_string(&w, "value", o->framework_id);
        json_object_close(&w);
    }
    r = host_put_more(&w, o->framework_info, "FrameworkInfo", err);
    if (r < 0)
        return r;
    json_object_close(&w);
    ProtobufCMessage *message;
    r = wire_json_decode(&mesos__v1__framework_info__descriptor, arena, text.data, text.size,
                         &message, err);
    if (r < 0)
        return error_wrap(err, -EINVAL, "FrameworkInfo");
    *ret_info = (Mesos__V1__FrameworkInfo *)message;
    return 0;
}

static int begin(struct mesos_scheduler *s, const struct mesos_scheduler_options *o,
                 struct error *err)
{
    static const struct scheduler_callbacks callbacks = {
        .on_event = on_event,
        .on_disconnected = on_disconnected,
        .on_refused = on_refused,
        .on_call_refused = on_call_refused,
        .on_calls_answered = on_calls_answered,
    };
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    Mesos__V1__FrameworkInfo *info = NULL;
    int r = make_framework(o, arena, &info, err);
    if (r == 0)
        r = host_open(&s->host, on_woken, s, err);
    if (r < 0)
        return r;
    struct scheduler_options options = {
        .master = o->master,
        .content = o->json ? CONTENT_JSON : CONTENT_PROTOBUF,
        .framework_info = info,
        .principal = o->principal,
        .secret = o->secret,
    };
    return scheduler_new(s->host.env, &options, &callbacks, s, &s->scheduler, err);
}

int mesos_scheduler_new(const struct mesos_scheduler_options *options,
                        const struct mesos_scheduler_callbacks *callbacks, void *ctx,
                        struct mesos_scheduler **ret_scheduler, struct mesos_error *err)
{
    struct mesos_scheduler_options own;
    host_copy(&own, sizeof(own), options);
    struct mesos_scheduler *s = mem_zalloc(sizeof(*s));
    s->magic = MAGIC;
    s->ctx = ctx;
    host_copy(&s->callbacks, sizeof(s->callbacks), callbacks);
    s->explicit_acknowledgements = own.explicit_acknowledgements;
    s->stop.run = stop_is_due;
    list_init(&s->stop.link);
    struct error why = {0};
    int r = begin(s, &own, &why);
    if (r < 0) {
        mesos_scheduler_free(s);
        return host_fail(err, r, &why);
    }
    *ret_scheduler = s;
    return 0;
}

void mesos_scheduler_free(struct mesos_scheduler *s)
{
    if (s == NULL)
        return;
    CHECK(s->magic == MAGIC);
    scheduler_free(s->scheduler);
    env_hook_cancel(&s->stop);
    host_close(&s->host);
    s->magic = 0;
    mem_free(s);
}

int mesos_scheduler_run(struct mesos_scheduler *s)
{
    CHECK(s->magic == MAGIC);
    s->is_stopping = false;
    return env_run(s->host.env);
}

void mesos_scheduler_stop(struct mesos_scheduler *s, int status)
{
    CHECK(s->magic == MAGIC);
    s->is_stopping = true;
    s->status = status;
    look_whether_done(s);
}

void mesos_scheduler_wake(struct mesos_scheduler *s)
{
    host_wake(&s->host);
}

bool mesos_scheduler_is_subscribed(const struct mesos_scheduler *s)
{
    return scheduler_get_state(s->scheduler) == SCHEDULER_SUBSCRIBED &&
           scheduler_framework_id(s->scheduler)[0] != '\0';
}

const char *mesos_scheduler_framework_id(const struct mesos_scheduler *s)
{
    return scheduler_framework_id(s->scheduler);
}

// ---- calls ----

static int send_call(struct mesos_scheduler *s, const Mesos__V1__Scheduler__Call *call,
                     struct mesos_error *err)
{
    CHECK(s->magic == MAGIC);
    struct error why = {0};
    int r = scheduler_send(s->scheduler, call, &why);
    return r < 0 ? host_fail(err, r, &why) : 0;
}

static int send_decoded(struct mesos_scheduler *s, int r, const ProtobufCMessage *message,
                        const struct error *why, struct mesos_error *err)
{
    struct error copy = *why;
    if (r < 0) {
        error_wrap(&copy, -EINVAL, "Not a call of a scheduler");
        return host_fail(err, -EINVAL, &copy);
    }
    const Mesos__V1__Scheduler__Call *call = (const Mesos__V1__Scheduler__Call *)message;
    if (!call->has_type || call->type == CALL(UNKNOWN) || call->type == CALL(SUBSCRIBE)) {
        error_set(&copy, -EINVAL, "A call needs a type other than SUBSCRIBE");
        return host_fail(err, -EINVAL, &copy);
    }
    return send_call(s, call, err);
}

static int send_text(struct mesos_scheduler *s, const char *text, size_t size,
                     struct mesos_error *err)
{
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    ProtobufCMessage *message = NULL;
    struct error why = {0};
    int r = wire_json_decode(&mesos__v1__scheduler__call__descriptor, arena, text, size, &message,
                             &why);
    return send_decoded(s, r, message, &why, err);
}

int mesos_call(struct mesos_scheduler *s, const char *json, struct mesos_error *err)
{
    return send_text(s, json, strlen(json), err);
}

int mesos_call_protobuf(struct mesos_scheduler *s, const void *data, size_t size,
                        struct mesos_error *err)
{
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    ProtobufCMessage *message = NULL;
    struct error why = {0};
    int r = wire_decode(&mesos__v1__scheduler__call__descriptor, arena, data, size, &message, &why);
    return send_decoded(s, r, message, &why, err);
}

static const Mesos__V1__Offer *offer_of(const struct mesos_message *message)
{
    const Mesos__V1__Offer *offer = (const Mesos__V1__Offer *)(const void *)message;
    CHECK(offer != NULL && offer->base.descriptor == &mesos__v1__offer__descriptor);
    return offer;
}

static void put_resource(struct json_writer *w, const char *name, double amount)
{
    if (amount <= 0)
        return;
    json_object_open(w);
    json_key_string(w, "name", name);
    json_key_string(w, "type", "SCALAR");
    json_key(w, "scalar");
    json_object_open(w);
    json_key_double(w, "value", amount);
    json_object_close(w);
    json_object_close(w);
}

static void put_id(struct json_writer *w, const char *key, const char *id)
{
    json_key(w, key);
    json_object_open(w);
    json_key_string(w, "value", id);
    json_object_close(w);
}

static int put_task(struct json_writer *w, const struct mesos_task *t, const char *agent_id,
                    struct error *err)
{
    if (t->task_id == NULL)
        return error_set(err, -EINVAL, "A task needs an id");
    json_object_open(w);
    put_id(w, "task_id", t->task_id);
    json_key_string(w, "name", t->name != NULL ? t->name : t->task_id);
    put_id(w, "agent_id", agent_id);
    json_key(w, "resources");
    json_array_open(w);
    put_resource(w, "cpus", t->cpus);
    put_resource(w, "mem", t->mem);
    put_resource(w, "disk", t->disk);
    json_array_close(w);
    if (t->command != NULL) {
        json_key(w, "command");
        json_object_open(w);
        json_key_string(w, "value", t->command);
        json_object_close(w);
    }
    int r = host_put_more(w, t->more, "TaskInfo", err);
    json_object_close(w);
    return r;
}

static void open_call(struct json_writer *w, struct buf *out, const char *type, const char *member)
{
    json_begin(w, out);
    json_object_open(w);
    json_key_string(w, "type", type);
    json_key(w, member);
    json_object_open(w);
}

static int close_call(struct mesos_scheduler *s, struct json_writer *w, struct mesos_error *err)
{
    json_object_close(w);
    json_object_close(w);
    return send_text(s, w->out->data, w->out->size, err);
}

static void put_filters(struct json_writer *w, double refuse_seconds)
{
    if (refuse_seconds < 0)
        return;
    json_key(w, "filters");
    json_object_open(w);
    json_key_double(w, "refuse_seconds", refuse_seconds);
    json_object_close(w);
}

int mesos_launch(struct mesos_scheduler *s, const struct mesos_message *message,
                 const struct mesos_task *tasks, size_t count, double refuse_seconds,
                 struct mesos_error *err)
{
    const Mesos__V1__Offer *offer = offer_of(message);
    AUTO_BUF struct buf text = BUF_INIT;
    struct json_writer w;
    open_call(&w, &text, "ACCEPT", "accept");
    put_id(&w, "offer_ids", offer->id->value);
    json_key(&w, "operations");
    json_object_open(&w);
    json_key_string(&w, "type", "LAUNCH");
    json_key(&w, "launch");
    json_object_open(&w);
    json_key(&w, "task_infos");
    json_array_open(&w);
    const char *at = (const char *)tasks;
    for (size_t i = 0; i < count; i++) {
        struct mesos_task task;
        struct error why = {0};
        size_t size;
        memcpy(&size, at, sizeof(size));
        host_copy(&task, sizeof(task), at);
        at += size;
        int r = put_task(&w, &task, offer->agent_id->value, &why);
        if (r < 0)
            return host_fail(err, r, &why);
    }
    json_array_close(&w);
    json_object_close(&w);
    json_object_close(&w);
    put_filters(&w, refuse_seconds);
    return close_call(s, &w, err);
}

int mesos_decline(struct mesos_scheduler *s, const struct mesos_message *message,
                  double refuse_seconds, struct mesos_error *err)
{
    AUTO_BUF struct buf text = BUF_INIT;
    struct json_writer w;
    open_call(&w, &text, "DECLINE", "decline");
    put_id(&w, "offer_ids", offer_of(message)->id->value);
    put_filters(&w, refuse_seconds);
    return close_call(s, &w, err);
}

int mesos_kill(struct mesos_scheduler *s, const char *task_id, const char *agent_id,
               struct mesos_error *err)
{
    AUTO_BUF struct buf text = BUF_INIT;
    struct json_writer w;
    open_call(&w, &text, "KILL", "kill");
    put_id(&w, "task_id", task_id);
    if (agent_id != NULL)
        put_id(&w, "agent_id", agent_id);
    return close_call(s, &w, err);
}

int mesos_reconcile(struct mesos_scheduler *s, const char *const *task_ids, struct mesos_error *err)
{
    AUTO_BUF struct buf text = BUF_INIT;
    struct json_writer w;
    open_call(&w, &text, "RECONCILE", "reconcile");
    json_key(&w, "tasks");
    json_array_open(&w);
    for (size_t i = 0; task_ids != NULL && task_ids[i] != NULL; i++) {
        json_object_open(&w);
        put_id(&w, "task_id", task_ids[i]);
        json_object_close(&w);
    }
    json_array_close(&w);
    return close_call(s, &w, err);
}

int mesos_acknowledge(struct mesos_scheduler *s, const struct mesos_message *message,
                      struct mesos_error *err)
{
    const Mesos__V1__TaskStatus *status = (const Mesos__V1__TaskStatus *)(const void *)message;
    CHECK(status != NULL && status->base.descriptor == &mesos__v1__task_status__descriptor);
    if (!status->has_uuid || status->agent_id == NULL)
        return 0;
    Mesos__V1__Scheduler__Call call = MESOS__V1__SCHEDULER__CALL__INIT;
    Mesos__V1__Scheduler__Call__Acknowledge acknowledge =
        MESOS__V1__SCHEDULER__CALL__ACKNOWLEDGE__INIT;
    acknowledge.agent_id = status->agent_id;
    acknowledge.task_id = status->task_id;
    acknowledge.uuid = status->uuid;
    call.has_type = true;
    call.type = CALL(ACKNOWLEDGE);
    call.acknowledge = &acknowledge;
    return send_call(s, &call, err);
}

static int send_bare(struct mesos_scheduler *s, Mesos__V1__Scheduler__Call__Type type,
                     struct mesos_error *err)
{
    Mesos__V1__Scheduler__Call call = MESOS__V1__SCHEDULER__CALL__INIT;
    call.has_type = true;
    call.type = type;
    return send_call(s, &call, err);
}

int mesos_suppress(struct mesos_scheduler *s, struct mesos_error *err)
{
    return send_bare(s, CALL(SUPPRESS), err);
}

int mesos_revive(struct mesos_scheduler *s, struct mesos_error *err)
{
    return send_bare(s, CALL(REVIVE), err);
}

int mesos_teardown(struct mesos_scheduler *s, struct mesos_error *err)
{
    return send_bare(s, CALL(TEARDOWN), err);
}

int mesos_send(struct mesos_scheduler *s, const char *agent_id, const char *executor_id,
               const void *data, size_t size, struct mesos_error *err)
{
    Mesos__V1__AgentID agent = MESOS__V1__AGENT_ID__INIT;
    Mesos__V1__ExecutorID executor = MESOS__V1__EXECUTOR_ID__INIT;
    Mesos__V1__Scheduler__Call__Message message = MESOS__V1__SCHEDULER__CALL__MESSAGE__INIT;
    Mesos__V1__Scheduler__Call call = MESOS__V1__SCHEDULER__CALL__INIT;
    // The message is only read.
    agent.value = (char *)(uintptr_t)agent_id;
    executor.value = (char *)(uintptr_t)executor_id;
    message.agent_id = &agent;
    message.executor_id = &executor;
    message.data = (ProtobufCBinaryData){.len = size, .data = (uint8_t *)(uintptr_t)data};
    call.has_type = true;
    call.type = CALL(MESSAGE);
    call.message = &message;
    return send_call(s, &call, err);
}
