// SPDX-License-Identifier: Apache-2.0

#include "world.h"

#include <stdio.h>
#include <string.h>

#include "base/base64.h"
#include "base/check.h"

static void send_event(void *ctx, struct master_subscriber *subscriber,
                       const Mesos__V1__Scheduler__Event *event)
{
    struct world *w = ctx;
    struct stream *s = CONTAINER_OF(subscriber, struct stream, base);
    CHECK(!s->closed && s->count < SENT_MAX);
    s->events[s->count++] = WIRE_COPY(w->arena, Mesos__V1__Scheduler__Event, event);
    if (event->subscribed != NULL)
        snprintf(s->framework_id, sizeof(s->framework_id), "%s",
                 event->subscribed->framework_id->value);
}

static void close_subscriber(void *ctx, struct master_subscriber *subscriber)
{
    (void)ctx;
    struct stream *s = CONTAINER_OF(subscriber, struct stream, base);
    CHECK(!s->closed && subscriber->framework == NULL);
    s->closed = true;
}

static void send_agent(void *ctx, struct master_channel *channel,
                       const Meseta__Link__ToAgent *message)
{
    struct world *w = ctx;
    struct end *e = CONTAINER_OF(channel, struct end, base);
    CHECK(!e->closed && e->count < SENT_MAX);
    if (message->type == MESETA__LINK__TO_AGENT__TYPE__PING) {
        e->pinged = true;
        bool known = false;
        for (size_t i = 0; i < w->end_count; i++)
            known = known || w->ends[i] == e;
        if (!known && w->end_count < ARRAY_COUNT(w->ends))
            w->ends[w->end_count++] = e;
    }
    // As the agent reads it: what is pinned comes as its bytes say.
    const void *bytes;
    size_t size = wire_pack(&message->base, &bytes);
    ProtobufCMessage *read;
    CHECK(wire_decode(&meseta__link__to_agent__descriptor, w->arena, bytes, size, &read, NULL) ==
          0);
    e->messages[e->count++] = (Meseta__Link__ToAgent *)read;
    if (message->registered != NULL)
        snprintf(e->agent_id, sizeof(e->agent_id), "%s", message->registered->agent_id->value);
}

static void close_agent(void *ctx, struct master_channel *channel)
{
    (void)ctx;
    struct end *e = CONTAINER_OF(channel, struct end, base);
    CHECK(!e->closed && channel->agent == NULL);
    e->closed = true;
}

static void keep(struct world *w, const struct master_item *item)
{
    if (item->value == NULL) {
        map_remove(&w->kept, item->key);
        return;
    }
    struct master_item *copy = arena_alloc(w->arena, sizeof(*copy));
    *copy = (struct master_item){.key = arena_strdup(w->arena, item->key),
                                 .value = arena_dup(w->arena, item->value, item->size),
                                 .size = item->size};
    map_put(&w->kept, item->key, copy);
}

static void answer(void *ctx, void *waiter, int status, const char *text)
{
    struct world *w = ctx;
    CHECK(waiter == w && status > 0);
    w->answer = status;
    w->answer_text = arena_strdup(w->arena, text);
}

static void apply(void *ctx, const struct master_item *items, size_t count, uint64_t token)
{
    struct world *w = ctx;
    for (size_t i = 0; i < count; i++)
        keep(w, &items[i]);
    for (size_t i = 0; i < count; i++)
        snprintf(w->applied[w->applied_count++ % 16], 128, "%s%s",
                 items[i].value == NULL ? "-" : "", items[i].key);
    if (token != 0) {
        CHECK(w->token_count < ARRAY_COUNT(w->tokens));
        w->tokens[w->token_count++] = token;
    }
}

static void give_up(void *ctx, const char *why)
{
    struct world *w = ctx;
    CHECK(w->gave_up[0] == '\0');
    snprintf(w->gave_up, sizeof(w->gave_up), "%s", why);
}

static void before_change(void *ctx, enum master_record kind, void *record)
{
    struct world *w = ctx;
    w->before_change(w, kind, record);
}

static void note(void *ctx, const struct master_notice *notice)
{
    struct world *w = ctx;
    w->task_notices += notice->task != NULL;
}

static const struct master_ops ops = {
    .before_change = before_change,
    .send_event = send_event,
    .close_subscriber = close_subscriber,
    .send_agent = send_agent,
    .close_agent = close_agent,
    .apply = apply,
    .give_up = give_up,
    .answer = answer,
    .notice = note,
};

void world_begin(struct world *w, const struct master_options *options)
{
    *w = (struct world){.now = {.mono = 1000 * NS_PER_S, .wall = 1700000000 * NS_PER_S}};
    w->arena = arena_new(0, 0);
    struct master_options defaults;
    if (options == NULL) {
        master_options_init(&defaults);
        options = &defaults;
    }
    struct master_options own = *options;
    own.id = "M";
    own.ip = "127.0.0.1";
    own.port = 5050;
    own.hostname = "localhost";
    own.seed = 1;
    w->options = own;
    w->master = master_new(&own, &ops, w, w->now);
}

void world_end(struct world *w)
{
    master_check(w->master);
    master_free(w->master);
    map_free(&w->kept);
    arena_free(w->arena);
}

void world_fail_over(struct world *w)
{
    master_check(w->master);
    master_free(w->master);
    w->token_count = 0;
    w->end_count = 0;
    w->options.id = "M2";
    w->master = master_new(&w->options, &ops, w, w->now);
    struct master_item *items = arena_calloc(w->arena, w->kept.count + 1, sizeof(*items));
    size_t count = 0;
    MAP_FOREACH (&w->kept, entry)
        items[count++] = *(const struct master_item *)entry->value;
    struct error err;
    if (master_recover(w->master, items, count, w->now, &err) < 0)
        fail_msg("%s", err.text);
    world_settle(w);
    master_check(w->master);
}

void world_settle(struct world *w)
{
    for (int i = 0; i < 1000; i++) {
        bool idle = true;
        while (!w->hold_writes && w->token_count > 0) {
            uint64_t token = w->tokens[0];
            memmove(&w->tokens[0], &w->tokens[1], --w->token_count * sizeof(token));
            master_applied(w->master, token, 0, w->now);
            idle = false;
        }
        if (master_next(w->master) <= w->now.mono) {
            master_step(w->master, w->now);
            idle = false;
        }
        for (size_t k = 0; k < w->end_count; k++) {
            struct end *e = w->ends[k];
            if (!e->pinged || e->mute || e->closed)
                continue;
            e->pinged = false;
            Meseta__Link__ToMaster pong = MESETA__LINK__TO_MASTER__INIT;
            pong.type = MESETA__LINK__TO_MASTER__TYPE__PONG;
            master_agent_message(w->master, &e->base, &pong, w->now);
        }
        if (idle)
            return;
    }
    fail_msg("the master never comes to rest");
}

void world_pass(struct world *w, double seconds)
{
    int64_t until = w->now.mono + (int64_t)(seconds * (double)NS_PER_S);
    world_settle(w);
    while (master_next(w->master) <= until) {
        int64_t step = master_next(w->master) - w->now.mono;
        w->now.mono += step;
        w->now.wall += step;
        world_settle(w);
    }
    w->now.wall += until - w->now.mono;
    w->now.mono = until;
}

static void *decode(struct world *w, const ProtobufCMessageDescriptor *descriptor, const char *json)
{
    ProtobufCMessage *message;
    struct error err;
    if (wire_json_decode(descriptor, w->arena, json, strlen(json), &message, &err) < 0)
        fail_msg("%s in %s", err.text, json);
    return message;
}

void stream_subscribe(struct world *w, struct stream *s, const char *json)
{
    static unsigned count;
    *s = (struct stream){0};
    snprintf(s->id, sizeof(s->id), "stream-%u", ++count);
    Mesos__V1__Scheduler__Call__Subscribe *call =
        decode(w, &mesos__v1__scheduler__call__subscribe__descriptor, json);
    master_subscribe(w->master, call, &s->base, s->id, w->now);
    world_settle(w);
}

int stream_call(struct world *w, struct stream *s, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    AUTO_BUF struct buf text = BUF_INIT;
    buf_printf(&text, "{\"framework_id\":{\"value\":\"%s\"},", s->framework_id);
    buf_vprintf(&text, format, args);
    buf_puts(&text, "}");
    va_end(args);
    Mesos__V1__Scheduler__Call *call =
        decode(w, &mesos__v1__scheduler__call__descriptor, text.data);
    w->err.text[0] = '\0';
    int status = master_call(w->master, call, s->id, w, w->now, &w->err);
    world_settle(w);
    return status;
}

Mesos__V1__Scheduler__Event *stream_next(struct stream *s, int type)
{
    while (s->seen < s->count) {
        Mesos__V1__Scheduler__Event *event = s->events[s->seen++];
        if ((int)event->type == type)
            return event;
    }
    return NULL;
}

void stream_break(struct world *w, struct stream *s)
{
    if (!s->closed)
        master_subscriber_closed(w->master, &s->base, w->now);
    s->closed = true;
    world_settle(w);
}

void end_send(struct world *w, struct end *e, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    AUTO_BUF struct buf text = BUF_INIT;
    buf_vprintf(&text, format, args);
    va_end(args);
    Meseta__Link__ToMaster *message = decode(w, &meseta__link__to_master__descriptor, text.data);
    master_agent_message(w->master, &e->base, message, w->now);
    world_settle(w);
}

void end_register(struct world *w, struct end *e, const char *host, const char *resources)
{
    *e = (struct end){0};
    end_send(w, e,
             "{\"type\":\"REGISTER\",\"register\":{\"agent\":{\"info\":{\"hostname\":\"%s\","
             "\"resources\":%s},\"version\":\"1.11.0\",\"pid\":\"slave(1)@10.0.0.1:%s\","
             "\"capabilities\":[{\"type\":\"AGENT_DRAINING\"}]}}}",
             host, amount(w, resources), host[0] >= '0' && host[0] <= '9' ? host : "5051");
}

Meseta__Link__ToAgent *end_next(struct end *e, int type)
{
    while (e->seen < e->count) {
        Meseta__Link__ToAgent *message = e->messages[e->seen++];
        if ((int)message->type == type)
            return message;
    }
    return NULL;
}

void end_break(struct world *w, struct end *e)
{
    if (!e->closed)
        master_channel_closed(w->master, &e->base, w->now);
    e->closed = true;
    world_settle(w);
}

const char *uuid_base64(struct world *w, char letter)
{
    char bytes[16];
    memset(bytes, letter, sizeof(bytes));
    AUTO_BUF struct buf text = BUF_INIT;
    base64_encode(bytes, sizeof(bytes), &text);
    return arena_strdup(w->arena, text.data);
}

void end_update(struct world *w, struct end *e, const char *framework_id, const char *task_id,
                const char *state, char uuid)
{
    const char *extra = "";
    if (uuid != 0)
        extra = arena_printf(w->arena, ",\"uuid\":\"%s\"", uuid_base64(w, uuid));
    end_send(w, e,
             "{\"type\":\"STATUS_UPDATE\",\"status_update\":{\"framework_id\":{\"value\":\"%s\"},"
             "\"status\":{\"task_id\":{\"value\":\"%s\"},\"state\":\"%s\",\"agent_id\":"
             "{\"value\":\"%s\"},\"source\":\"SOURCE_EXECUTOR\"%s}}}",
             framework_id, task_id, state, e->agent_id, extra);
}

Mesos__V1__Offer *stream_offer(struct stream *s)
{
    Mesos__V1__Scheduler__Event *event = stream_next(s, MESOS__V1__SCHEDULER__EVENT__TYPE__OFFERS);
    assert_non_null(event);
    assert_true(event->offers->n_offers >= 1);
    return event->offers->offers[0];
}

const char *amount(struct world *w, const char *text)
{
    struct resources *resources;
    struct error err;
    if (resources_parse(text, "*", &resources, &err) < 0)
        fail_msg("%s", err.text);
    Mesos__V1__Resource **messages;
    size_t count = resources_to_proto(resources, w->arena, RESOURCES_NEW_FORM, false, &messages);
    AUTO_BUF struct buf out = BUF_INIT;
    buf_puts(&out, "[");
    for (size_t i = 0; i < count; i++) {
        buf_puts(&out, i > 0 ? "," : "");
        wire_json_encode(&messages[i]->base, &out);
    }
    buf_puts(&out, "]");
    resources_free(resources);
    return arena_strdup(w->arena, out.data);
}

void expect_update(struct stream *s, const char *task_id, const char *state, const char *reason,
                   const char *message)
{
    Mesos__V1__Scheduler__Event *event = stream_next(s, MESOS__V1__SCHEDULER__EVENT__TYPE__UPDATE);
    if (event == NULL) {
        fail_msg("no update for %s, %s (%s) wanted", task_id, state,
                 message != NULL ? message : "");
        return;
    }
    const Mesos__V1__TaskStatus *status = event->update->status;
    assert_string_equal(status->task_id->value, task_id);
    assert_string_equal(task_state_name(status->state), state);
    if (reason != NULL) {
        assert_true(status->has_reason);
        assert_string_equal(
            wire_enum_name(&mesos__v1__task_status__reason__descriptor, (int)status->reason),
            reason);
    }
    if (message != NULL)
        assert_string_equal(status->message, message);
}
