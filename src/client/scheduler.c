// SPDX-License-Identifier: Apache-2.0
//
// The scheduler client's state machine; the picture is in scheduler.h. Streams and posters are only
// ever freed from a timer or from the stream's end, never from within their own callbacks.

#include "client/scheduler.h"

#include <errno.h>
#include <string.h>

#include "base/base64.h"
#include "base/check.h"
#include "base/mem.h"
#include "client/address.h"
#include "client/backoff.h"
#include "client/poster.h"
#include "client/stream.h"
#include "election/election.h"

#define SCHEDULER_TARGET "/api/v1/scheduler"
#define SCHEDULER_BACKOFF_MIN_NS (100 * NS_PER_MS)
#define SCHEDULER_BACKOFF_MAX_NS (5 * NS_PER_S)
#define SCHEDULER_ZK_SESSION_NS (10 * NS_PER_S)

enum {
    SCHEDULER_MAGIC = 0x53636864,
    SCHEDULER_REDIRECTS_MAX = 5, // in a row, before the back-off
    SCHEDULER_HEARTBEATS_MISSED_MAX = 5,
};

struct scheduler {
    uint32_t magic;
    enum scheduler_state state;
    struct env *env;
    struct scheduler_callbacks callbacks;
    void *ctx;
    enum content_type content;
    struct arena *arena; // of framework_info
    Mesos__V1__FrameworkInfo *framework_info;
    char *authorization;       // header value, or NULL
    struct election *election; // NULL: the master was given by its address
    bool has_address;          // false until a leader was found
    struct address configured; // where to begin: the address given, or the elected leader's
    struct address address;    // where we are, or were sent to
    unsigned redirects;        // in a row
    struct backoff backoff;
    struct event_stream *stream;  // SUBSCRIBING, SUBSCRIBED
    struct poster *poster;        // SUBSCRIBED
    struct timer retry_timer;     // WAITING: until the next try; also breaks a stream
    struct timer heartbeat_timer; // SUBSCRIBED: until the silence is too long
    int64_t silence_max_ns;       // 0 while the master told no interval
    unsigned pending;
    struct error broken; // why the retry timer is to break the connection
};

static void scheduler_subscribe(struct scheduler *s);

static void scheduler_drop_connection(struct scheduler *s)
{
    s->stream = event_stream_free(s->stream);
    s->poster = poster_free(s->poster);
    s->pending = 0;
    env_timer_cancel(s->env, &s->heartbeat_timer);
}

// Not from within a callback of the stream or of the poster, but for the stream's end.
static void scheduler_disconnect(struct scheduler *s, const struct error *why)
{
    struct error copy = *why;
    scheduler_drop_connection(s);
    s->state = SCHEDULER_WAITING;
    s->address = s->configured;
    s->redirects = 0;
    s->broken = (struct error){0};
    env_timer_set(s->env, &s->retry_timer, backoff_next(&s->backoff));
    s->callbacks.on_disconnected(s->ctx, &copy);
}

static void scheduler_close(struct scheduler *s, const struct error *why)
{
    struct error copy = *why;
    scheduler_drop_connection(s);
    env_timer_cancel(s->env, &s->retry_timer);
    s->state = SCHEDULER_CLOSED;
    s->callbacks.on_refused(s->ctx, &copy);
}

// Breaks the connection as soon as no callback of it is running.
static void scheduler_break(struct scheduler *s, int code, const char *text)
{
    if (s->state != SCHEDULER_SUBSCRIBED || s->broken.code != 0) {
        return;
    }
    error_set(&s->broken, code, "%s", text);
    env_timer_set(s->env, &s->retry_timer, 0);
}

static void scheduler_run_retry(struct timer *timer, struct instant now)
{
    (void)now;
    struct scheduler *s = CONTAINER_OF(timer, struct scheduler, retry_timer);
    if (s->broken.code == -ECONNREFUSED) {
        scheduler_close(s, &s->broken);
    } else if (s->broken.code != 0) {
        scheduler_disconnect(s, &s->broken);
    } else if (s->state == SCHEDULER_WAITING && s->has_address) {
        scheduler_subscribe(s);
    }
}

static void scheduler_run_heartbeat(struct timer *timer, struct instant now)
{
    (void)now;
    struct scheduler *s = CONTAINER_OF(timer, struct scheduler, heartbeat_timer);
    scheduler_break(s, -ETIMEDOUT, "The master went silent: no heartbeat came");
}

static void scheduler_on_open(void *ctx, struct event_stream *stream)
{
    struct scheduler *s = CHECK_CAST(scheduler, SCHEDULER_MAGIC, ctx);
    struct poster_order order = {
        .address = &s->address,
        .target = SCHEDULER_TARGET,
        .authorization = s->authorization,
        .stream_id = event_stream_header(stream, "Mesos-Stream-Id"),
        .content = s->content,
    };
    s->poster = poster_new(s->env, &order);
    s->state = SCHEDULER_SUBSCRIBED;
    s->redirects = 0;
    s->silence_max_ns = 0;
}

// Keeps the id for the next subscription, and the rhythm of heartbeats.
static void scheduler_note_subscribed(struct scheduler *s,
                                      const Mesos__V1__Scheduler__Event__Subscribed *subscribed)
{
    backoff_reset(&s->backoff);
    const char *id = subscribed->framework_id->value;
    if (s->framework_info->id == NULL || strcmp(s->framework_info->id->value, id) != 0) {
        s->framework_info->id = WIRE_NEW(s->arena, Mesos__V1__FrameworkID, mesos__v1__framework_id);
        s->framework_info->id->value = arena_strdup(s->arena, id);
    }
    double seconds = subscribed->heartbeat_interval_seconds;
    if (subscribed->has_heartbeat_interval_seconds && seconds > 0 && seconds < 86400) {
        s->silence_max_ns = (int64_t)(seconds * (double)NS_PER_S) * SCHEDULER_HEARTBEATS_MISSED_MAX;
    }
}

static void scheduler_on_event(void *ctx, struct event_stream *stream,
                               const ProtobufCMessage *message)
{
    (void)stream;
    struct scheduler *s = CHECK_CAST(scheduler, SCHEDULER_MAGIC, ctx);
    const Mesos__V1__Scheduler__Event *event = (const Mesos__V1__Scheduler__Event *)message;
    if (s->state != SCHEDULER_SUBSCRIBED || s->broken.code != 0) {
        return;
    }
    if (event->type == MESOS__V1__SCHEDULER__EVENT__TYPE__SUBSCRIBED && event->subscribed != NULL) {
        scheduler_note_subscribed(s, event->subscribed);
    }
    if (s->silence_max_ns > 0) {
        env_timer_set(s->env, &s->heartbeat_timer, s->silence_max_ns);
    }
    if (event->type == MESOS__V1__SCHEDULER__EVENT__TYPE__ERROR) {
        scheduler_break(s, -ECONNREFUSED,
                        event->error != NULL ? event->error->message : "no reason given");
    }
    s->callbacks.on_event(s->ctx, event);
}

// A refusal that the same request would meet again.
static bool is_final(int status)
{
    return status >= 400 && status < 500 && status != 404 && status != 408 && status != 429;
}

static void scheduler_on_end(void *ctx, struct event_stream *stream, int status,
                             const char *location, const struct error *why)
{
    (void)stream;
    struct scheduler *s = CHECK_CAST(scheduler, SCHEDULER_MAGIC, ctx);
    if (s->broken.code != 0) {
        return; // the retry timer is about to see to it
    }
    struct error err = *why;
    // With an election its outcome counts, not what a master that does not lead yet has heard.
    if ((status == 307 || status == 308) && s->election == NULL) {
        struct address leader;
        int r = address_parse_location(location, &leader, &err);
        if (r == 0 && ++s->redirects <= SCHEDULER_REDIRECTS_MAX) {
            scheduler_drop_connection(s);
            s->address = leader;
            scheduler_subscribe(s);
            return;
        }
        if (r == 0) {
            error_set(&err, -ELOOP, "Redirected %d times in a row", SCHEDULER_REDIRECTS_MAX);
        }
    }
    if (is_final(status)) {
        scheduler_close(s, &err);
    } else {
        scheduler_disconnect(s, &err);
    }
}

static void scheduler_subscribe(struct scheduler *s)
{
    static const struct event_stream_callbacks callbacks = {
        .on_open = scheduler_on_open,
        .on_event = scheduler_on_event,
        .on_end = scheduler_on_end,
    };
    Mesos__V1__Scheduler__Call call = MESOS__V1__SCHEDULER__CALL__INIT;
    Mesos__V1__Scheduler__Call__Subscribe subscribe = MESOS__V1__SCHEDULER__CALL__SUBSCRIBE__INIT;
    subscribe.framework_info = s->framework_info;
    call.has_type = true;
    call.type = MESOS__V1__SCHEDULER__CALL__TYPE__SUBSCRIBE;
    call.framework_id = s->framework_info->id;
    call.subscribe = &subscribe;
    struct event_stream_order order = {
        .address = &s->address,
        .target = SCHEDULER_TARGET,
        .authorization = s->authorization,
        .content = s->content,
        .call = &call.base,
        .descriptor = &mesos__v1__scheduler__event__descriptor,
    };
    s->state = SCHEDULER_SUBSCRIBING;
    s->stream = event_stream_new(s->env, &order, &callbacks, s);
}

// ---- finding the master ----

static void scheduler_on_leader(void *ctx, const Mesos__V1__MasterInfo *leader, bool is_self)
{
    (void)is_self;
    struct scheduler *s = CHECK_CAST(scheduler, SCHEDULER_MAGIC, ctx);
    struct address address;
    if (leader == NULL || s->state == SCHEDULER_CLOSED ||
        !election_address(leader, address.host, &address.port)) {
        return; // a master that leads no more ends, and its stream with it
    }
    s->configured = address;
    s->has_address = true;
    if (s->state != SCHEDULER_WAITING) {
        struct error why;
        error_set(&why, -EREMCHG, "Another master leads: %s:%u", address.host, address.port);
        scheduler_disconnect(s, &why);
    }
    s->address = address;
    env_timer_set(s->env, &s->retry_timer, 0);
}

static void scheduler_on_election_failed(void *ctx, const struct error *why)
{
    struct scheduler *s = CHECK_CAST(scheduler, SCHEDULER_MAGIC, ctx);
    if (s->state != SCHEDULER_CLOSED) {
        scheduler_close(s, why);
    }
}

static int scheduler_find_master(struct scheduler *s, const char *master, struct error *err)
{
    if (!election_is_url(master)) {
        s->has_address = true;
        env_timer_set(s->env, &s->retry_timer, 0);
        return address_parse_master(master, &s->configured, err);
    }
    static const struct election_callbacks callbacks = {
        .on_leader = scheduler_on_leader,
        .on_failed = scheduler_on_election_failed,
    };
    struct election_options options = {
        .url = master,
        .session_timeout_ns = SCHEDULER_ZK_SESSION_NS,
    };
    int r = election_new(s->env, &options, &callbacks, s, &s->election, err);
    return r < 0 ? error_wrap(err, r, "Cannot look for the master") : 0;
}

int scheduler_new(struct env *env, const struct scheduler_options *options,
                  const struct scheduler_callbacks *callbacks, void *ctx,
                  struct scheduler **ret_scheduler, struct error *err)
{
    struct scheduler *s = mem_zalloc(sizeof(*s));
    s->magic = SCHEDULER_MAGIC;
    s->env = env;
    s->callbacks = *callbacks;
    s->ctx = ctx;
    s->content = options->content;
    s->arena = arena_new(0, 0);
    s->framework_info = WIRE_COPY(s->arena, Mesos__V1__FrameworkInfo, options->framework_info);
    s->retry_timer.run = scheduler_run_retry;
    s->heartbeat_timer.run = scheduler_run_heartbeat;
    backoff_init(&s->backoff,
                 options->backoff_min_ns > 0 ? options->backoff_min_ns : SCHEDULER_BACKOFF_MIN_NS,
                 options->backoff_max_ns > 0 ? options->backoff_max_ns : SCHEDULER_BACKOFF_MAX_NS);
    if (options->principal != NULL && options->secret != NULL) {
        AUTO_FREE char *pair = mem_printf("%s:%s", options->principal, options->secret);
        AUTO_BUF struct buf header = BUF_INIT;
        buf_puts(&header, "Basic ");
        base64_encode(pair, strlen(pair), &header);
        s->authorization = buf_take(&header);
    }
    s->state = SCHEDULER_WAITING;
    int r = scheduler_find_master(s, options->master, err);
    if (r < 0) {
        scheduler_free(s);
        return r;
    }
    s->address = s->configured;
    *ret_scheduler = s;
    return 0;
}

struct scheduler *scheduler_free(struct scheduler *s)
{
    if (s == NULL) {
        return NULL;
    }
    CHECK(s->magic == SCHEDULER_MAGIC);
    scheduler_drop_connection(s);
    election_free(s->election);
    env_timer_cancel(s->env, &s->retry_timer);
    arena_free(s->arena);
    mem_free(s->authorization);
    s->magic = 0;
    mem_free(s);
    return NULL;
}

static void scheduler_on_answer(void *ctx, int type, int status, const char *text)
{
    struct scheduler *s = CHECK_CAST(scheduler, SCHEDULER_MAGIC, ctx);
    s->pending--;
    if (status == 0) {
        // Whether the master has seen the call is unknown: a new subscription makes it plain.
        scheduler_break(s, -EPIPE, text);
    } else if (status != 200 && status != 202 && s->callbacks.on_call_refused != NULL) {
        s->callbacks.on_call_refused(s->ctx, (Mesos__V1__Scheduler__Call__Type)type, status, text);
    }
    if (s->pending == 0 && s->broken.code == 0 && s->callbacks.on_calls_answered != NULL) {
        s->callbacks.on_calls_answered(s->ctx);
    }
}

int scheduler_send(struct scheduler *s, const Mesos__V1__Scheduler__Call *call, struct error *err)
{
    if (s->state != SCHEDULER_SUBSCRIBED || s->broken.code != 0 || s->framework_info->id == NULL) {
        return error_set(err, -ENOTCONN, "Not subscribed to a master");
    }
    Mesos__V1__Scheduler__Call whole = *call;
    whole.framework_id = s->framework_info->id;
    s->pending++;
    poster_send(s->poster, &whole.base, (int)call->type, scheduler_on_answer, s);
    return 0;
}

enum scheduler_state scheduler_get_state(const struct scheduler *s)
{
    return s->state;
}

const char *scheduler_framework_id(const struct scheduler *s)
{
    return s->framework_info->id != NULL ? s->framework_info->id->value : "";
}

unsigned scheduler_pending(const struct scheduler *s)
{
    return s->pending;
}
