// SPDX-License-Identifier: Apache-2.0
//
// SUBSCRIBE of the operator API: the state, and then each change as it comes. An event is made once
// for all watchers that read the same encoding. The state is made and sent in pieces
// (master_answers.h); what changes after its moment waits behind it. A watcher that does not keep
// up is closed when more than --max_event_stream_size bytes wait for it; of too many the oldest
// goes.
//
//   WAITING --its state's moment has come--> QUEUEING --the state was sent--> LIVE

#include <stdio.h>
#include <string.h>

#include "api/master_answers.h"
#include "api/master_v0.h"
#include "api/master_v1.h"
#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "wire/recordio.h"
#include "wire/wire.h"

#define HEARTBEAT_NS ((int64_t)(MASTER_V1_HEARTBEAT_S * (double)NS_PER_S))

enum watcher_stage {
    WATCHER_WAITING,  // what changes will be in its state
    WATCHER_QUEUEING, // what changes waits behind its state
    WATCHER_LIVE,
};

typedef Mesos__V1__Master__Event event_t;

struct watcher {
    struct list link; // server->watchers
    struct master_server *server;
    struct http_stream *http;
    enum content_type type;
    struct timer heartbeat;
    enum watcher_stage stage;
    struct answer_reader reader; // of its first event
    struct buf queue;            // records, while QUEUEING
    bool is_closing;             // too much is in it
    struct env_hook hook;        // closes it then
};

static void watcher_free(struct watcher *w)
{
    struct master_server *server = w->server;
    env_timer_cancel(server->env, &w->heartbeat);
    env_hook_cancel(&w->hook);
    master_answers_leave(&w->reader);
    buf_free(&w->queue);
    list_remove(&w->link);
    server->watcher_count--;
    if (server->core != NULL)
        master_notify_tasks(server->core, server->watcher_count > 0);
    mem_free(w);
}

static void watcher_close(struct watcher *w)
{
    http_stream_close(w->http);
    watcher_free(w);
}

static void log_slow(struct watcher *w)
{
    w->server->slow_streams_closed++;
    log_error("Closing an operator's event stream: it is not read, and more than "
              "--max_event_stream_size=%zuB wait for it",
              w->server->event_stream_size_max);
}

static void stream_is_closed(void *ctx, struct http_stream *http)
{
    struct watcher *w = ctx;
    if (http_stream_overflowed(http))
        log_slow(w);
    watcher_free(w);
}

static void queue_overflowed(struct env_hook *hook, struct instant now)
{
    (void)now;
    struct watcher *w = CONTAINER_OF(hook, struct watcher, hook);
    log_slow(w);
    watcher_close(w);
}

static void send_record(struct watcher *w, const struct buf *record)
{
    if (w->stage == WATCHER_LIVE) {
        http_stream_send(w->http, record->data, record->size);
    } else if (w->stage == WATCHER_QUEUEING && !w->is_closing) {
        if (w->queue.size > w->server->event_stream_size_max) {
            w->is_closing = true;
            env_at_turn_end(w->server->env, &w->hook);
            return;
        }
        buf_append(&w->queue, record->data, record->size);
    }
}

static void put_record(struct buf *out, enum content_type type, const event_t *event)
{
    AUTO_BUF struct buf body = BUF_INIT;
    content_encode(type, &event->base, &body);
    recordio_put(out, body.data, body.size);
}

void master_v1_free_watchers(struct master_server *server)
{
    LIST_FOREACH (&server->watchers, struct watcher, link, w)
        watcher_close(w);
}

static event_t *make_event(struct arena *arena, Mesos__V1__Master__Event__Type type)
{
    event_t *event = WIRE_NEW(arena, event_t, mesos__v1__master__event);
    event->has_type = true;
    event->type = type;
    return event;
}

#define EVENT(NAME) MESOS__V1__MASTER__EVENT__TYPE__##NAME

static void beat(struct timer *timer, struct instant now)
{
    (void)now;
    struct watcher *w = CONTAINER_OF(timer, struct watcher, heartbeat);
    event_t event = MESOS__V1__MASTER__EVENT__INIT;
    event.has_type = true;
    event.type = EVENT(HEARTBEAT);
    env_timer_set(w->server->env, &w->heartbeat, HEARTBEAT_NS);
    AUTO_BUF struct buf record = BUF_INIT;
    put_record(&record, w->type, &event);
    send_record(w, &record);
}

// ---- subscribing ----

static void state_begins(struct answer_reader *reader)
{
    struct watcher *w = CONTAINER_OF(reader, struct watcher, reader);
    w->stage = WATCHER_QUEUEING;
    beat(&w->heartbeat, env_now(w->server->env));
}

static void state_is_sent(void *ctx)
{
    struct watcher *w = ctx;
    w->stage = WATCHER_LIVE;
    if (w->queue.size > 0)
        http_stream_send(w->http, w->queue.data, w->queue.size);
    buf_free(&w->queue);
}

static void state_is_ready(struct answer_reader *reader, struct http_blob *blob)
{
    struct watcher *w = CONTAINER_OF(reader, struct watcher, reader);
    if (blob == NULL)
        return; // the master ends
    char size[32];
    int n = snprintf(size, sizeof(size), "%zu\n", http_blob_size(blob));
    http_stream_send_blob(w->http, size, (size_t)n, blob, state_is_sent, w);
}

void master_v1_subscribe(struct api_v1_request *q)
{
    struct master_server *server = q->ctx;
    if (server->watcher_count >= server->watcher_count_max) {
        log_info("Reached the maximum number of operator event stream subscribers (%zu) so the "
                 "oldest connection will be closed",
                 server->watcher_count_max);
        watcher_close(LIST_ENTRY(server->watchers.next, struct watcher, link));
    }
    struct watcher *w = mem_zalloc(sizeof(*w));
    w->server = server;
    w->type = q->type;
    w->heartbeat.run = beat;
    w->reader.begins = state_begins;
    w->reader.ready = state_is_ready;
    list_init(&w->reader.link);
    w->hook.run = queue_overflowed;
    list_init(&w->hook.link);
    list_append(&server->watchers, &w->link);
    server->watcher_count++;
    master_notify_tasks(server->core, true);
    w->http = api_respond_stream(q->http, q->type, q->recordio, NULL, 0, stream_is_closed, w);
    master_v1_ask_subscribed(server, w->type, &w->reader);
}

// ---- changes ----

static void put_task_updated(struct arena *arena, event_t *event,
                             const struct master_notice *notice)
{
    event->task_updated = WIRE_NEW(arena, Mesos__V1__Master__Event__TaskUpdated,
                                   mesos__v1__master__event__task_updated);
    event->task_updated->framework_id = notice->framework->info->id;
    event->task_updated->status = (Mesos__V1__TaskStatus *)(uintptr_t)notice->status;
    event->task_updated->state = notice->task->state;
}

static event_t *make_framework_event(struct arena *arena, const struct master_notice *notice)
{
    event_t *event;
    if (notice->kind == NOTICE_FRAMEWORK_REMOVED) {
        event = make_event(arena, EVENT(FRAMEWORK_REMOVED));
        event->framework_removed = WIRE_NEW(arena, Mesos__V1__Master__Event__FrameworkRemoved,
                                            mesos__v1__master__event__framework_removed);
        event->framework_removed->framework_info = notice->framework->info;
    } else if (notice->kind == NOTICE_FRAMEWORK_ADDED) {
        event = make_event(arena, EVENT(FRAMEWORK_ADDED));
        event->framework_added = WIRE_NEW(arena, Mesos__V1__Master__Event__FrameworkAdded,
                                          mesos__v1__master__event__framework_added);
        event->framework_added->framework = master_v1_framework(arena, notice->framework);
    } else {
        event = make_event(arena, EVENT(FRAMEWORK_UPDATED));
        event->framework_updated = WIRE_NEW(arena, Mesos__V1__Master__Event__FrameworkUpdated,
                                            mesos__v1__master__event__framework_updated);
        event->framework_updated->framework = master_v1_framework(arena, notice->framework);
    }
    return event;
}

static event_t *make_notice_event(struct arena *arena, const struct master_notice *notice)
{
    event_t *event;
    switch (notice->kind) {
    case NOTICE_TASK_ADDED:
        event = make_event(arena, EVENT(TASK_ADDED));
        event->task_added = WIRE_NEW(arena, Mesos__V1__Master__Event__TaskAdded,
                                     mesos__v1__master__event__task_added);
        event->task_added->task = master_v0_task(arena, notice->task);
        return event;
    case NOTICE_TASK_UPDATED:
        event = make_event(arena, EVENT(TASK_UPDATED));
        put_task_updated(arena, event, notice);
        return event;
    case NOTICE_AGENT_ADDED:
        event = make_event(arena, EVENT(AGENT_ADDED));
        event->agent_added = WIRE_NEW(arena, Mesos__V1__Master__Event__AgentAdded,
                                      mesos__v1__master__event__agent_added);
        event->agent_added->agent = master_v1_agent(arena, notice->agent);
        return event;
    case NOTICE_AGENT_REMOVED:
        event = make_event(arena, EVENT(AGENT_REMOVED));
        event->agent_removed = WIRE_NEW(arena, Mesos__V1__Master__Event__AgentRemoved,
                                        mesos__v1__master__event__agent_removed);
        event->agent_removed->agent_id = notice->agent->info->id;
        return event;
    default:
        return make_framework_event(arena, notice);
    }
}

void master_v1_notice(void *ctx, const struct master_notice *notice)
{
    struct master_server *server = ctx;
    if (list_is_empty(&server->watchers))
        return;
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    const event_t *event = make_notice_event(arena, notice);
    struct buf records[2] = {BUF_INIT, BUF_INIT}; // by content type
    LIST_FOREACH (&server->watchers, struct watcher, link, w) {
        struct buf *record = &records[w->type == CONTENT_PROTOBUF];
        if (record->size == 0)
            put_record(record, w->type, event);
        send_record(w, record);
    }
    buf_free(&records[0]);
    buf_free(&records[1]);
}
