// SPDX-License-Identifier: Apache-2.0
//
// SUBSCRIBE of the operator API: the state, and then each change as it comes. An event is made once
// for all watchers that read the same encoding. One that does not keep up is closed when more than
// WAITING_SIZE_MAX bytes wait for it beyond its first state; of too many the oldest goes.

#include <string.h>

#include "api/master_v0.h"
#include "api/master_v1.h"
#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "wire/recordio.h"
#include "wire/wire.h"

#define HEARTBEAT_NS (15 * NS_PER_S)
enum { WAITING_SIZE_MAX = 16 * 1024 * 1024 };

typedef Mesos__V1__Master__Event event_t;

struct watcher {
    struct list link; // server->watchers
    struct master_server *server;
    struct http_stream *http;
    enum content_type type;
    struct timer heartbeat;
};

static void watcher_free(struct watcher *w)
{
    struct master_server *server = w->server;
    env_timer_cancel(server->env, &w->heartbeat);
    list_remove(&w->link);
    server->watcher_count--;
    mem_free(w);
}

static void watcher_close(struct watcher *w)
{
    http_stream_close(w->http);
    watcher_free(w);
}

static void stream_is_closed(void *ctx, struct http_stream *http)
{
    (void)http;
    watcher_free(ctx);
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
    api_stream_send(w->http, w->type, &event.base);
}

// ---- subscribing ----

static void send_snapshot(struct watcher *w)
{
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    event_t *event = make_event(arena, EVENT(SUBSCRIBED));
    event->subscribed =
        WIRE_NEW(arena, Mesos__V1__Master__Event__Subscribed, mesos__v1__master__event__subscribed);
    event->subscribed->get_state = master_v1_state(arena, w->server->core);
    event->subscribed->has_heartbeat_interval_seconds = true;
    event->subscribed->heartbeat_interval_seconds = (double)HEARTBEAT_NS / (double)NS_PER_S;
    AUTO_BUF struct buf body = BUF_INIT;
    AUTO_BUF struct buf record = BUF_INIT;
    content_encode(w->type, &event->base, &body);
    recordio_put(&record, body.data, body.size);
    http_stream_set_queue_max(w->http, record.size + WAITING_SIZE_MAX);
    http_stream_send(w->http, record.data, record.size);
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
    list_append(&server->watchers, &w->link);
    server->watcher_count++;
    w->http = api_respond_stream(q->http, q->type, q->recordio, NULL, 0, stream_is_closed, w);
    send_snapshot(w);
    beat(&w->heartbeat, env_now(server->env));
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
        if (record->size == 0) {
            AUTO_BUF struct buf body = BUF_INIT;
            content_encode(w->type, &event->base, &body);
            recordio_put(record, body.data, body.size);
        }
        http_stream_send(w->http, record->data, record->size);
    }
    buf_free(&records[0]);
    buf_free(&records[1]);
}
