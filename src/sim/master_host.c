// SPDX-License-Identifier: Apache-2.0
//
// The master's shell in the simulated world. A connection's first frame says what it is: the link
// of an agent ('A' before each message), a framework's stream of events ('S', once), or its calls
// ('C' before each). The stream's id, which the framework chooses here, follows both. To agents and
// on streams the master sends bare messages; a call is answered by its HTTP status as text.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/validate.h"
#include "sim/ledger.h"

// One connection.
struct door {
    struct list link;
    struct sim *sim;
    struct end *end;
    struct master_subscriber subscriber;
    struct master_channel channel;
    bool is_stream, is_link;
    char framework_id[128]; // of a stream, once SUBSCRIBED
    char agent_id[128];     // of a link, once admitted
    struct arena *arena;    // owns:
    Meseta__Link__ToMaster *registration;
};

static void touch(struct sim *sim)
{
    struct master_host *host = &sim->master;
    if (host->core == NULL)
        return;
    int64_t next = master_next(host->core);
    if (next == INT64_MAX) {
        timer_cancel(&sim->timers, &host->step);
        return;
    }
    int64_t paused = sim->net.paused_until[HOST_MASTER];
    next = next > sim->now.mono ? next : sim->now.mono;
    timer_set(&sim->timers, &host->step, next > paused ? next : paused);
}

static void step(struct timer *timer, struct instant now)
{
    struct sim *sim = CONTAINER_OF(timer, struct sim, master.step);
    if (master_next(sim->master.core) <= now.mono)
        master_step(sim->master.core, now);
    touch(sim);
}

// ---- effects ----

static void free_door(struct door *door)
{
    list_remove(&door->link);
    arena_free(door->arena);
    mem_free(door);
}

static void send_message(struct door *door, const ProtobufCMessage *message)
{
    AUTO_BUF struct buf bytes = BUF_INIT;
    wire_encode(message, &bytes);
    net_send(door->end, bytes.data != NULL ? bytes.data : "", bytes.size);
}

static void mark_event(struct sim *sim, const Mesos__V1__Scheduler__Event *event)
{
    static const enum mark of_state[] = {
        [MESOS__V1__TASK_STATE__TASK_FINISHED] = MARK_TASK_FINISHED,
        [MESOS__V1__TASK_STATE__TASK_FAILED] = MARK_TASK_FAILED,
        [MESOS__V1__TASK_STATE__TASK_KILLED] = MARK_TASK_KILLED,
        [MESOS__V1__TASK_STATE__TASK_LOST] = MARK_TASK_LOST,
        [MESOS__V1__TASK_STATE__TASK_ERROR] = MARK_TASK_INVALID,
        [MESOS__V1__TASK_STATE__TASK_DROPPED] = MARK_TASK_DROPPED,
        [MESOS__V1__TASK_STATE__TASK_UNREACHABLE] = MARK_TASK_UNREACHABLE,
        [MESOS__V1__TASK_STATE__TASK_GONE] = MARK_TASK_GONE,
        [MESOS__V1__TASK_STATE__TASK_UNKNOWN] = MARK_TASK_UNKNOWN,
    };
    if (event->failure != NULL)
        mark(sim, MARK_FAILURE_EVENT);
    if (event->update == NULL)
        return;
    const Mesos__V1__TaskStatus *status = event->update->status;
    if ((size_t)status->state < ARRAY_COUNT(of_state) && of_state[status->state] != 0)
        mark(sim, of_state[status->state]);
    if (!status->has_reason)
        return;
    if (status->reason == MESOS__V1__TASK_STATUS__REASON__REASON_INVALID_OFFERS)
        mark(sim, MARK_OFFER_INVALID);
    if (status->reason == MESOS__V1__TASK_STATUS__REASON__REASON_AGENT_REREGISTERED)
        mark(sim, MARK_UNREACHABLE_TASK_CAME_BACK);
    if (status->reason == MESOS__V1__TASK_STATUS__REASON__REASON_TASK_KILLED_DURING_LAUNCH)
        mark(sim, MARK_TASK_KILLED_QUEUED);
}

static void send_event(void *ctx, struct master_subscriber *subscriber,
                       const Mesos__V1__Scheduler__Event *event)
{
    struct sim *sim = ctx;
    struct door *door = CONTAINER_OF(subscriber, struct door, subscriber);
    if (event->subscribed != NULL) {
        snprintf(door->framework_id, sizeof(door->framework_id), "%s",
                 event->subscribed->framework_id->value);
        ledger_framework_offers_end(sim->ledger, door->framework_id);
    }
    ledger_event(sim->ledger, door->framework_id, event);
    mark_event(sim, event);
    send_message(door, &event->base);
}

static void close_subscriber(void *ctx, struct master_subscriber *subscriber)
{
    struct sim *sim = ctx;
    struct door *door = CONTAINER_OF(subscriber, struct door, subscriber);
    REQUIRE(sim, subscriber->framework == NULL, "a stream is closed and still used");
    if (door->framework_id[0] != '\0')
        ledger_framework_offers_end(sim->ledger, door->framework_id);
    net_close(door->end);
    free_door(door);
}

static void note_to_agent(struct sim *sim, struct door *door, const Meseta__Link__ToAgent *message)
{
    if (message->registered != NULL) {
        snprintf(door->agent_id, sizeof(door->agent_id), "%s",
                 message->registered->agent_id->value);
        REQUIRE(sim, door->registration != NULL, "agent %s is admitted and never asked",
                door->agent_id);
        ledger_agent_admitted(sim->ledger, door->agent_id, door->registration);
        if (message->type == MESETA__LINK__TO_AGENT__TYPE__REREGISTERED)
            mark(sim, MARK_AGENT_REREGISTERED);
    }
    if (message->run_task != NULL)
        ledger_run_task(sim->ledger, door->agent_id, message->run_task);
    if (message->shutdown_framework != NULL)
        ledger_framework_shut_down(sim->ledger, message->shutdown_framework->framework_id->value,
                                   door->agent_id);
    if (message->refused != NULL)
        mark(sim, MARK_AGENT_REFUSED);
    if (message->reconcile != NULL)
        mark(sim, MARK_AGENT_RECONCILED);
    if (message->type == MESETA__LINK__TO_AGENT__TYPE__SHUTDOWN)
        mark(sim, MARK_AGENT_TOLD_TO_SHUT_DOWN);
}

static void send_agent(void *ctx, struct master_channel *channel,
                       const Meseta__Link__ToAgent *message)
{
    struct sim *sim = ctx;
    struct door *door = CONTAINER_OF(channel, struct door, channel);
    note_to_agent(sim, door, message);
    if (sim->trace && message->type != MESETA__LINK__TO_AGENT__TYPE__PING)
        sim_trace(sim, "master -> agent %s: %s", door->agent_id,
                  wire_enum_name(&meseta__link__to_agent__type__descriptor, (int)message->type));
    send_message(door, &message->base);
}

static void close_agent(void *ctx, struct master_channel *channel)
{
    struct sim *sim = ctx;
    struct door *door = CONTAINER_OF(channel, struct door, channel);
    REQUIRE(sim, channel->agent == NULL, "a link is closed and still used");
    ledger_agent_disconnected(sim->ledger, door->agent_id);
    net_close(door->end);
    REQUIRE(sim, channel->admission == NULL, "a link is closed while it waits to be admitted");
    free_door(door);
}

static void apply(void *ctx, const struct master_item *items, size_t count, uint64_t token)
{
    disk_apply(ctx, items, count, token);
}

void master_host_applied(struct sim *sim, uint64_t token)
{
    if (sim->master.core == NULL)
        return;
    master_applied(sim->master.core, token, 0, sim->now);
    master_host_check(sim);
    touch(sim);
}

// ---- inputs ----

static ProtobufCMessage *decode(struct sim *sim, const ProtobufCMessageDescriptor *descriptor,
                                const void *data, size_t size)
{
    ProtobufCMessage *message;
    struct error err;
    if (wire_decode(descriptor, sim->scratch, data, size, &message, &err) < 0)
        sim_fail(sim, "what was sent cannot be read: %s", err.text);
    return message;
}

static void take_agent_message(struct door *door, const void *data, size_t size)
{
    struct sim *sim = door->sim;
    Meseta__Link__ToMaster *message =
        (void *)decode(sim, &meseta__link__to_master__descriptor, data, size);
    door->is_link = true;
    if (sim->trace && message->type != MESETA__LINK__TO_MASTER__TYPE__PONG)
        sim_trace(sim, "agent %s -> master: %s", door->agent_id,
                  wire_enum_name(&meseta__link__to_master__type__descriptor, (int)message->type));
    if ((message->register_ != NULL || message->reregister != NULL) &&
        door->channel.admission == NULL) {
        struct arena *old = door->arena;
        door->arena = arena_new(0, 0);
        door->registration = WIRE_COPY(door->arena, Meseta__Link__ToMaster, message);
        arena_free(old);
    }
    if (door->channel.agent != NULL)
        ledger_from_agent(sim->ledger, door->agent_id, message);
    master_agent_message(sim->master.core, &door->channel, message, sim->now);
}

static Mesos__V1__Scheduler__Call *decode_call(struct sim *sim, const char *data, size_t size)
{
    size_t id_size = strnlen(data, size);
    CHECK(id_size < size);
    return (void *)decode(sim, &mesos__v1__scheduler__call__descriptor, data + id_size + 1,
                          size - id_size - 1);
}

static void take_subscribe(struct door *door, const char *data, size_t size)
{
    struct sim *sim = door->sim;
    Mesos__V1__Scheduler__Call *call = decode_call(sim, data, size);
    struct error err;
    if (validate_scheduler_call(call, &err) < 0)
        sim_fail(sim, "a SUBSCRIBE is not sound: %s", err.text);
    door->is_stream = true;
    master_subscribe(sim->master.core, call->subscribe, &door->subscriber, data, sim->now);
}

static void take_call(struct door *door, const char *data, size_t size)
{
    struct sim *sim = door->sim;
    Mesos__V1__Scheduler__Call *call = decode_call(sim, data, size);
    struct error err;
    const char *framework_id = call->framework_id->value;
    char *id = arena_strdup(sim->scratch, framework_id);
    if (validate_scheduler_call(call, &err) < 0)
        sim_fail(sim, "a call is not sound: %s", err.text);
    TRACE(sim, "framework %s -> master: %s", framework_id,
          wire_enum_name(&mesos__v1__scheduler__call__type__descriptor, (int)call->type));
    ledger_call_begins(sim->ledger, id, call);
    int status = master_call(sim->master.core, call, data, sim->now, &err);
    ledger_call_ends(sim->ledger, id, call, status);
    if (status >= 400) {
        TRACE(sim, "call of framework %s: %d %s", id, status, err.text);
        if (strstr(err.text, "stream ID") != NULL)
            mark(sim, MARK_CALL_OF_OLD_STREAM);
    }
    char answer[16];
    int answer_size = snprintf(answer, sizeof(answer), "%d", status);
    net_send(door->end, answer, (size_t)answer_size + 1);
}

static void on_frame(void *ctx, const void *data, size_t size)
{
    struct door *door = ctx;
    struct sim *sim = door->sim;
    const char *bytes = data;
    CHECK(size > 0 && sim->master.core != NULL);
    // The door may be gone afterwards.
    if (bytes[0] == 'A')
        take_agent_message(door, bytes + 1, size - 1);
    else if (bytes[0] == 'S')
        take_subscribe(door, bytes + 1, size - 1);
    else
        take_call(door, bytes + 1, size - 1);
    master_host_check(sim);
    touch(sim);
}

static void on_closed(void *ctx)
{
    struct door *door = ctx;
    struct sim *sim = door->sim;
    if (door->is_stream) {
        if (door->subscriber.framework != NULL)
            ledger_framework_offers_end(sim->ledger, door->framework_id);
        master_subscriber_closed(sim->master.core, &door->subscriber, sim->now);
    }
    if (door->is_link) {
        bool was_used = door->channel.agent != NULL;
        master_channel_closed(sim->master.core, &door->channel, sim->now);
        if (was_used)
            ledger_agent_disconnected(sim->ledger, door->agent_id);
    }
    free_door(door);
    master_host_check(sim);
    touch(sim);
}

void net_accept(struct sim *sim, size_t host, struct end *end)
{
    static const struct end_ops ops = {.frame = on_frame, .closed = on_closed};
    CHECK(host == HOST_MASTER && sim->master.core != NULL);
    struct door *door = mem_zalloc(sizeof(*door));
    door->sim = sim;
    door->end = end;
    list_append(&sim->master.doors, &door->link);
    end->ops = &ops;
    end->ctx = door;
}

void master_host_teardown(struct sim *sim, const char *framework_id)
{
    if (sim->master.core == NULL)
        return;
    TRACE(sim, "an operator removes framework %s", framework_id);
    char *id = arena_strdup(sim->scratch, framework_id);
    ledger_framework_offers_end(sim->ledger, id);
    master_teardown(sim->master.core, id, sim->now);
    master_host_check(sim);
    touch(sim);
}

// ---- life ----

static const struct master_ops ops = {
    .send_event = send_event,
    .close_subscriber = close_subscriber,
    .send_agent = send_agent,
    .close_agent = close_agent,
    .apply = apply,
};

static void start(struct timer *timer, struct instant now)
{
    struct sim *sim = CONTAINER_OF(timer, struct sim, master.start);
    struct master_host *host = &sim->master;
    struct master_options options;
    char id[32];
    master_options_init(&options);
    snprintf(id, sizeof(id), "M%u", ++host->generation);
    options.id = id;
    options.ip = "10.0.0.1";
    options.hostname = "master";
    options.allocation_interval_ns = sim->config.allocation_interval_ns;
    options.offer_timeout_ns = sim->config.offer_timeout_ns;
    options.agent_ping_timeout_ns = sim->config.ping_timeout_ns;
    options.max_agent_ping_timeouts = sim->config.max_ping_timeouts;
    options.agent_reregister_timeout_ns = sim->config.reregister_timeout_ns;
    options.max_completed_frameworks = sim->config.max_completed_frameworks;
    options.max_completed_tasks_per_framework = sim->config.max_completed_tasks;
    options.max_unreachable_tasks_per_framework = sim->config.max_unreachable_tasks;
    options.seed = prng_u64(&sim->prng);
    TRACE(sim, "master %s begins", id);
    ledger_reign_begins(sim->ledger);
    host->core = master_new(&options, &ops, sim, now);
    struct master_item *items;
    size_t count = disk_load(sim, sim->scratch, &items);
    struct error err;
    if (master_recover(host->core, items, count, now, &err) < 0)
        sim_fail(sim, "the registry cannot be read: %s", err.text);
    sim->net.has_listener[HOST_MASTER] = true;
    master_host_check(sim);
    touch(sim);
}

void master_host_init(struct sim *sim)
{
    sim->master.step.run = step;
    sim->master.start.run = start;
    list_init(&sim->master.doors);
}

void master_host_start(struct sim *sim)
{
    if (sim->master.core == NULL && !timer_is_set(&sim->master.start))
        after(sim, &sim->master.start, draw_spread(sim, NS_PER_MS, NS_PER_S));
}

void master_host_crash(struct sim *sim)
{
    struct master_host *host = &sim->master;
    if (host->core == NULL)
        return;
    TRACE(sim, "the master crashes");
    mark(sim, MARK_MASTER_CRASHED);
    master_host_free(sim);
    net_crash_host(sim, HOST_MASTER, chance(sim, 0.2));
    disk_crash(sim);
}

void master_host_free(struct sim *sim)
{
    struct master_host *host = &sim->master;
    if (host->core == NULL)
        return;
    master_count_marks(sim);
    host->core = master_free(host->core);
    sim->net.has_listener[HOST_MASTER] = false;
    timer_cancel(&sim->timers, &host->step);
    LIST_FOREACH (&host->doors, struct door, link, door)
        free_door(door);
}

void master_host_check(struct sim *sim)
{
    ledger_check_offers(sim->ledger);
    // Walking all the books after each event would be most of the work.
    if (++sim->check_count % 16 == 0)
        master_check(sim->master.core);
}
