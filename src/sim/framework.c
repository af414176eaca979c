// SPDX-License-Identifier: Apache-2.0
//
// Frameworks that follow a script: manners drawn from the seed, moods from moment to moment. A
// framework remembers its tasks over restarts, acknowledges (soon or late), reconciles, kills,
// fails over and tears itself down. Once the world is calm it ends what it had, runs a few tasks to
// their end and keeps one running: that is what the checks wait for.

#include "sim/framework.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/task_state.h"
#include "sim/ledger.h"

#define STREAM_SILENCE_NS (75 * NS_PER_S)

// ---- small things ----

static void free_task(struct fw_task *task)
{
    mem_free(task->id);
    mem_free(task->agent_id);
    mem_free(task->executor_id);
    mem_free(task);
}

static void free_ack(struct fw_ack *ack)
{
    timer_cancel(&ack->framework->sim->timers, &ack->timer);
    list_remove(&ack->link);
    mem_free(ack->agent_id);
    mem_free(ack->task_id);
    mem_free(ack);
}

// For the next event: most are read and forgotten.
static void keep_arena(struct sim *sim, struct arena *arena)
{
    if (sim->spare != NULL) {
        arena_free(arena);
        return;
    }
    arena_reset(arena);
    sim->spare = arena;
}

void framework_free_offer(struct fw_offer *offer)
{
    struct fw_batch *batch = offer->batch;
    list_remove(&offer->link);
    mem_free(offer);
    if (--batch->left > 0)
        return;
    keep_arena(batch->sim, batch->arena);
    mem_free(batch);
}

static void forget_offers(struct framework_host *f)
{
    LIST_FOREACH (&f->offers, struct fw_offer, link, offer)
        framework_free_offer(offer);
}

static void forget_acks(struct framework_host *f)
{
    LIST_FOREACH (&f->acks, struct fw_ack, link, ack)
        free_ack(ack);
}

static void forget_tasks(struct framework_host *f)
{
    MAP_FOREACH (&f->tasks, entry)
        free_task(entry->value);
    map_free(&f->tasks);
    f->live_count = 0;
}

// ---- calls ----

static void drop_stream(struct framework_host *f)
{
    if (f->stream != NULL)
        net_close(f->stream);
    f->stream = NULL;
    f->is_subscribed = false;
    forget_offers(f);
}

static void subscribe_later(struct framework_host *f, int64_t delay_ns)
{
    if (!timer_is_set(&f->reconnect) && !f->is_gone)
        after(f->sim, &f->reconnect, delay_ns);
}

// It was removed: what it had is nobody's. It begins anew, as another.
void framework_begin_anew(struct framework_host *f)
{
    TRACE(f->sim, "framework %zu (%s) is no more", f->index, f->id);
    if (f->id[0] != '\0')
        ledger_framework_died(f->sim->ledger, f->id);
    drop_stream(f);
    forget_acks(f);
    forget_tasks(f);
    f->id[0] = '\0';
    f->life++;
    f->wants_teardown = false;
    f->is_suppressed = false;
    f->finished = 0;
    f->is_gone = f->leaves;
    subscribe_later(f, draw_spread(f->sim, NS_PER_MS, 10 * NS_PER_S));
}

static void calls_frame(void *ctx, const void *data, size_t size)
{
    struct framework_host *f = ctx;
    CHECK(size > 0 && ((const char *)data)[size - 1] == '\0' && f->unanswered > 0);
    f->unanswered--;
    bool is_teardowns = f->teardown_in > 0 && --f->teardown_in == 0;
    long status = strtol(data, NULL, 10);
    if (status == 202 && is_teardowns) {
        mark(f->sim, MARK_FRAMEWORK_TORN_DOWN);
        framework_begin_anew(f);
    } else if (status == 403 || status == 400) {
        // Not subscribed, unknown, or another stream: it subscribes again.
        drop_stream(f);
        subscribe_later(f, draw_spread(f->sim, NS_PER_MS, NS_PER_S));
    }
}

static void calls_opened(void *ctx)
{
    (void)ctx;
}

static void calls_closed(void *ctx)
{
    struct framework_host *f = ctx;
    f->calls = NULL;
    if (f->unanswered == 0)
        return;
    // Nobody knows what was heard (an offer may be held for ever): it begins a new stream.
    mark(f->sim, MARK_CALL_LOST);
    drop_stream(f);
    subscribe_later(f, draw_spread(f->sim, NS_PER_MS, NS_PER_S));
}

void framework_call(struct framework_host *f, Mesos__V1__Scheduler__Call *call)
{
    static const struct end_ops ops = {
        .opened = calls_opened, .frame = calls_frame, .closed = calls_closed};
    struct sim *sim = f->sim;
    if (!f->is_subscribed || (f->wants_teardown && call->type != SCHEDULER_CALL(TEARDOWN)))
        return;
    Mesos__V1__FrameworkID id = MESOS__V1__FRAMEWORK_ID__INIT;
    id.value = f->id;
    call->framework_id = &id;
    call->has_type = true;
    if (f->calls == NULL) {
        f->unanswered = f->teardown_in = 0;
        f->calls = net_connect(sim, host_of_framework(sim, f->index),
                               host_of_master(f->detector.leader), STREAM_SILENCE_NS, &ops, f);
    }
    f->unanswered++;
    if (call->type == SCHEDULER_CALL(TEARDOWN) && f->teardown_in == 0)
        f->teardown_in = f->unanswered;
    AUTO_BUF struct buf bytes = BUF_INIT;
    buf_putc(&bytes, 'C');
    buf_append(&bytes, f->stream_id, strlen(f->stream_id) + 1);
    wire_encode(&call->base, &bytes);
    net_send(f->calls, bytes.data, bytes.size);
    call->framework_id = NULL;
}

static void acknowledge(struct timer *timer, struct instant now)
{
    (void)now;
    struct fw_ack *ack = CONTAINER_OF(timer, struct fw_ack, timer);
    struct framework_host *f = ack->framework;
    if (f->is_subscribed && !f->wants_teardown) {
        Mesos__V1__Scheduler__Call call = MESOS__V1__SCHEDULER__CALL__INIT;
        Mesos__V1__Scheduler__Call__Acknowledge body =
            MESOS__V1__SCHEDULER__CALL__ACKNOWLEDGE__INIT;
        Mesos__V1__AgentID agent_id = MESOS__V1__AGENT_ID__INIT;
        Mesos__V1__TaskID task_id = MESOS__V1__TASK_ID__INIT;
        agent_id.value = ack->agent_id;
        task_id.value = ack->task_id;
        body.agent_id = &agent_id;
        body.task_id = &task_id;
        body.uuid = (ProtobufCBinaryData){.data = ack->uuid, .len = UUID_SIZE};
        call.type = SCHEDULER_CALL(ACKNOWLEDGE);
        call.acknowledge = &body;
        ledger_update_acknowledged(f->sim->ledger, f->id, ack->agent_id, ack->task_id, ack->uuid);
        framework_call(f, &call);
    }
    free_ack(ack);
}

// ---- events ----

// The arena is theirs from now on.
static void take_offers(struct framework_host *f, const Mesos__V1__Scheduler__Event__Offers *offers,
                        struct arena *arena)
{
    CHECK(offers->n_offers > 0);
    struct fw_batch *batch = mem_zalloc(sizeof(*batch));
    batch->sim = f->sim;
    batch->arena = arena;
    batch->left = offers->n_offers;
    for (size_t i = 0; i < offers->n_offers; i++) {
        struct fw_offer *offer = mem_zalloc(sizeof(*offer));
        offer->batch = batch;
        offer->offer = offers->offers[i];
        offer->since = f->sim->now.mono;
        list_append(&f->offers, &offer->link);
    }
    framework_use_offers(f);
}

static void take_rescind(struct framework_host *f, const char *offer_id)
{
    LIST_FOREACH (&f->offers, struct fw_offer, link, offer) {
        if (strcmp(offer->offer->id->value, offer_id) != 0)
            continue;
        mark(f->sim, MARK_OFFER_EXPIRED_IN_HAND);
        // Now and then it does not hear, and uses what is over.
        if (f->sim->calm || chance(f->sim, 0.8))
            framework_free_offer(offer);
    }
}

// Most times at once; now and then it does not care, and is asked again.
static void answer_inverse(struct framework_host *f,
                           const Mesos__V1__Scheduler__Event__InverseOffers *offers)
{
    struct sim *sim = f->sim;
    if (!sim->calm && chance(sim, 0.3))
        return;
    Mesos__V1__OfferID **ids =
        arena_calloc(sim->scratch, offers->n_inverse_offers + 1, sizeof(*ids));
    for (size_t i = 0; i < offers->n_inverse_offers; i++)
        ids[i] = offers->inverse_offers[i]->id;
    Mesos__V1__Filters filters = MESOS__V1__FILTERS__INIT;
    filters.has_refuse_seconds = true;
    filters.refuse_seconds = (double)draw(sim, 10);
    Mesos__V1__Scheduler__Call call = MESOS__V1__SCHEDULER__CALL__INIT;
    Mesos__V1__Scheduler__Call__AcceptInverseOffers accept =
        MESOS__V1__SCHEDULER__CALL__ACCEPT_INVERSE_OFFERS__INIT;
    Mesos__V1__Scheduler__Call__DeclineInverseOffers decline =
        MESOS__V1__SCHEDULER__CALL__DECLINE_INVERSE_OFFERS__INIT;
    if (chance(sim, 0.5)) {
        accept.inverse_offer_ids = ids;
        accept.n_inverse_offer_ids = offers->n_inverse_offers;
        accept.filters = &filters;
        call.type = SCHEDULER_CALL(ACCEPT_INVERSE_OFFERS);
        call.accept_inverse_offers = &accept;
    } else {
        decline.inverse_offer_ids = ids;
        decline.n_inverse_offer_ids = offers->n_inverse_offers;
        decline.filters = &filters;
        call.type = SCHEDULER_CALL(DECLINE_INVERSE_OFFERS);
        call.decline_inverse_offers = &decline;
    }
    framework_call(f, &call);
}

// What the framework makes of a state. An unreachable task may come back; all else that is not
// alive is over. A task's own end is final, whatever the master says of it later.
static void note_state(struct framework_host *f, struct fw_task *task,
                       const Mesos__V1__TaskStatus *status)
{
    bool is_end = task_state_is_terminal(status->state) ||
                  status->state == MESOS__V1__TASK_STATE__TASK_UNKNOWN;
    if (task->is_final)
        return;
    task->state = status->state;
    f->live_count += task->is_over;
    task->is_over = is_end || (f->sim->calm && status->state == TASK(UNREACHABLE));
    f->live_count -= task->is_over;
    if (status->has_uuid && is_end) {
        task->is_final = true;
        if (status->state == TASK(FINISHED) && f->sim->calm && task->is_calm)
            f->finished++;
    }
    if (is_end && task->is_calm && status->state != TASK(FINISHED) && !f->is_draining)
        TRACE(f->sim, "framework %zu: calm task %s ended otherwise", f->index, task->id);
}

static void take_update(struct framework_host *f, const Mesos__V1__TaskStatus *status)
{
    struct sim *sim = f->sim;
    const char *id = status->task_id->value;
    TRACE(sim, "framework %zu hears that %s is %s%s%s", f->index, id,
          task_state_name(status->state), status->has_uuid ? "" : " from the master: ",
          !status->has_uuid && status->message != NULL ? status->message : "");
    ledger_update_received(sim->ledger, f->id, status);
    struct fw_task *task = map_get(&f->tasks, id);
    REQUIRE(sim, task != NULL, "framework %s hears of task %s, which is not its own", f->id, id);
    note_state(f, task, status);
    if (!status->has_uuid)
        return;
    if (!sim->calm && chance(sim, 0.03))
        return; // it comes again
    struct fw_ack *ack = mem_zalloc(sizeof(*ack));
    ack->framework = f;
    ack->timer.run = acknowledge;
    ack->agent_id = mem_strdup(status->agent_id->value);
    ack->task_id = mem_strdup(id);
    memcpy(ack->uuid, status->uuid.data, UUID_SIZE);
    list_append(&f->acks, &ack->link);
    after(sim, &ack->timer, sim->calm ? 0 : draw_spread(sim, NS_PER_US, f->manners.ack_ns_max));
}

static void take_subscribed(struct framework_host *f, const char *id)
{
    REQUIRE(f->sim, f->id[0] == '\0' || strcmp(f->id, id) == 0, "framework %s is subscribed as %s",
            f->id, id);
    snprintf(f->id, sizeof(f->id), "%s", id);
    f->is_subscribed = true;
    f->is_suppressed = false;
    f->last_reconcile = 0;
    TRACE(f->sim, "framework %zu is subscribed as %s", f->index, id);
}

static void take_error(struct framework_host *f, const char *text)
{
    TRACE(f->sim, "framework %zu: error: %s", f->index, text);
    mark(f->sim, MARK_FRAMEWORK_REFUSED);
    if (strcmp(text, "Framework has been removed") == 0) {
        mark(f->sim, MARK_FRAMEWORK_REMOVED_BY_TIME);
        framework_begin_anew(f);
    }
}

static void stream_frame(void *ctx, const void *data, size_t size)
{
    struct framework_host *f = ctx;
    struct sim *sim = f->sim;
    ProtobufCMessage *message;
    struct error err;
    struct arena *arena = sim->spare != NULL ? TAKE_PTR(sim->spare) : arena_new(0, 0);
    if (wire_decode(&mesos__v1__scheduler__event__descriptor, arena, data, size, &message, &err) <
        0)
        sim_fail(sim, "an event cannot be read: %s", err.text);
    const Mesos__V1__Scheduler__Event *event = (void *)message;
    if (event->subscribed != NULL)
        take_subscribed(f, event->subscribed->framework_id->value);
    else if (event->offers != NULL)
        take_offers(f, event->offers, TAKE_PTR(arena));
    else if (event->rescind != NULL)
        take_rescind(f, event->rescind->offer_id->value);
    else if (event->inverse_offers != NULL)
        answer_inverse(f, event->inverse_offers);
    else if (event->update != NULL)
        take_update(f, event->update->status);
    else if (event->update_operation_status != NULL)
        framework_take_operation(f, event->update_operation_status->status);
    else if (event->error != NULL)
        take_error(f, event->error->message);
    if (arena != NULL)
        keep_arena(sim, arena);
}

// ---- the stream ----

static void stream_closed(void *ctx)
{
    struct framework_host *f = ctx;
    f->stream = NULL;
    f->is_subscribed = false;
    forget_offers(f);
    subscribe_later(f, draw_spread(f->sim, NS_PER_MS, f->sim->calm ? NS_PER_S : 20 * NS_PER_S));
}

static void fill_info(struct framework_host *f, Mesos__V1__FrameworkInfo *info)
{
    struct arena *arena = f->sim->scratch;
    const struct manners *manners = &f->manners;
    info->user = arena_strdup(arena, "joe");
    info->name = arena_printf(arena, "framework %zu", f->index);
    info->has_failover_timeout = true;
    info->failover_timeout = manners->failover_timeout;
    info->has_checkpoint = true;
    info->checkpoint = manners->checkpoint;
    if (f->id[0] != '\0') {
        info->id = WIRE_NEW(arena, Mesos__V1__FrameworkID, mesos__v1__framework_id);
        info->id->value = arena_strdup(arena, f->id);
    }
    const bool wanted[] = {manners->partition_aware, manners->multi_role, manners->refinement,
                           manners->shares};
    static const Mesos__V1__FrameworkInfo__Capability__Type types[] = {
        MESOS__V1__FRAMEWORK_INFO__CAPABILITY__TYPE__PARTITION_AWARE,
        MESOS__V1__FRAMEWORK_INFO__CAPABILITY__TYPE__MULTI_ROLE,
        MESOS__V1__FRAMEWORK_INFO__CAPABILITY__TYPE__RESERVATION_REFINEMENT,
        MESOS__V1__FRAMEWORK_INFO__CAPABILITY__TYPE__SHARED_RESOURCES,
    };
    info->capabilities = arena_calloc(arena, ARRAY_COUNT(types), sizeof(void *));
    for (size_t i = 0; i < ARRAY_COUNT(types); i++) {
        if (!wanted[i])
            continue;
        Mesos__V1__FrameworkInfo__Capability *capability = WIRE_NEW(
            arena, Mesos__V1__FrameworkInfo__Capability, mesos__v1__framework_info__capability);
        capability->has_type = true;
        capability->type = types[i];
        info->capabilities[info->n_capabilities++] = capability;
    }
    if (!manners->multi_role) {
        info->role = arena_strdup(arena, manners->role);
        return;
    }
    info->roles = arena_calloc(arena, 2, sizeof(char *));
    info->roles[info->n_roles++] = arena_strdup(arena, manners->role);
    if (strcmp(manners->role, "b") != 0)
        info->roles[info->n_roles++] = arena_strdup(arena, "b");
}

static void stream_opened(void *ctx)
{
    struct framework_host *f = ctx;
    struct sim *sim = f->sim;
    snprintf(f->stream_id, sizeof(f->stream_id), "stream-%zu-%llu", f->index,
             (unsigned long long)sim->net.next_id++);
    Mesos__V1__FrameworkInfo info = MESOS__V1__FRAMEWORK_INFO__INIT;
    fill_info(f, &info);
    Mesos__V1__Scheduler__Call__Subscribe body = MESOS__V1__SCHEDULER__CALL__SUBSCRIBE__INIT;
    body.framework_info = &info;
    Mesos__V1__Scheduler__Call call = MESOS__V1__SCHEDULER__CALL__INIT;
    call.has_type = true;
    call.type = SCHEDULER_CALL(SUBSCRIBE);
    call.framework_id = info.id;
    call.subscribe = &body;
    AUTO_BUF struct buf bytes = BUF_INIT;
    buf_putc(&bytes, 'S');
    buf_append(&bytes, f->stream_id, strlen(f->stream_id) + 1);
    wire_encode(&call.base, &bytes);
    net_send(f->stream, bytes.data, bytes.size);
}

static void open_stream(struct framework_host *f)
{
    static const struct end_ops ops = {
        .opened = stream_opened, .frame = stream_frame, .closed = stream_closed};
    f->is_subscribed = false;
    forget_offers(f);
    if (f->detector.knows)
        f->stream = net_connect(f->sim, host_of_framework(f->sim, f->index),
                                host_of_master(f->detector.leader), STREAM_SILENCE_NS, &ops, f);
}

static void reconnect(struct timer *timer, struct instant now)
{
    (void)now;
    struct framework_host *f = CONTAINER_OF(timer, struct framework_host, reconnect);
    if (f->stream == NULL && !f->is_gone)
        open_stream(f);
}

// It goes to the new leader; what was said to the old one and not answered may be lost.
static void leader_changed(void *ctx)
{
    struct framework_host *f = ctx;
    if (!f->detector.knows || f->is_gone)
        return;
    if (f->calls != NULL)
        net_close(f->calls);
    f->calls = NULL;
    drop_stream(f);
    timer_cancel(&f->sim->timers, &f->reconnect);
    subscribe_later(f, draw_spread(f->sim, NS_PER_MS, NS_PER_S));
}

// A second scheduler takes over while the first one still listens: its stream is let go of here,
// and the master hears of the new one before it hears that the old one ended.
void framework_fail_over(struct framework_host *f)
{
    struct end *old = f->stream;
    if (old == NULL || !f->is_subscribed || f->is_gone || !f->detector.knows)
        return;
    mark(f->sim, MARK_FRAMEWORK_FAILED_OVER);
    forget_acks(f);
    static const struct end_ops deaf = {
        .opened = framework_deaf_opened, .frame = framework_deaf_frame, .closed = calls_opened};
    old->ops = &deaf;
    open_stream(f);
}

// The scheduler's process dies and begins anew; what it had stored is its tasks and its id.
void framework_restart(struct framework_host *f)
{
    if (f->is_gone)
        return;
    TRACE(f->sim, "framework %zu restarts", f->index);
    mark(f->sim, MARK_FRAMEWORK_RESTARTED);
    size_t host = host_of_framework(f->sim, f->index);
    detector_end(&f->detector, true);
    net_crash_host(f->sim, host, chance(f->sim, 0.1));
    detector_start(&f->detector, f->sim, host);
    f->stream = NULL;
    f->calls = NULL;
    f->is_subscribed = false;
    forget_offers(f);
    forget_acks(f);
    timer_cancel(&f->sim->timers, &f->reconnect);
    subscribe_later(f, draw_spread(f->sim, NS_PER_MS, 120 * NS_PER_S));
}

void framework_deaf_opened(void *ctx)
{
    (void)ctx;
}

void framework_deaf_frame(void *ctx, const void *data, size_t size)
{
    (void)ctx;
    (void)data;
    (void)size;
}

// ---- life ----

static void draw_manners(struct sim *sim, struct manners *manners)
{
    static const char *const roles[] = {"*", "a", "b", "a/c"};
    static const double timeouts[] = {0, 5, 60, 3600, 1e6};
    *manners = (struct manners){
        .picky = chance(sim, 0.2),
        .hoards = chance(sim, 0.3),
        .partition_aware = chance(sim, 0.6),
        .multi_role = chance(sim, 0.5),
        .refinement = chance(sim, 0.5),
        .custom_executors = chance(sim, 0.4),
        .checkpoint = chance(sim, 0.3),
        .role = roles[draw(sim, ARRAY_COUNT(roles))],
        .failover_timeout = timeouts[draw(sim, ARRAY_COUNT(timeouts))],
        .operates = chance(sim, 0.5),
        .shares = chance(sim, 0.4), // volumes that it makes
        .live_max = 1 + (size_t)draw(sim, 10),
        .act_ns = draw_spread(sim, 200 * NS_PER_MS, 20 * NS_PER_S),
        .ack_ns_max = draw_spread(sim, NS_PER_MS, 60 * NS_PER_S),
        .task_ns_max = draw_spread(sim, NS_PER_S, 600 * NS_PER_S),
    };
}

void framework_init(struct sim *sim, size_t index)
{
    struct framework_host *f = &sim->frameworks[index];
    f->sim = sim;
    f->index = index;
    draw_manners(sim, &f->manners);
    f->manners.operates = f->manners.operates && f->manners.refinement &&
                          sim->config.has_operations && strcmp(f->manners.role, "*") != 0;
    f->act.run = framework_act;
    f->reconnect.run = reconnect;
    list_init(&f->offers);
    list_init(&f->acks);
    f->detector.on_change = leader_changed;
    f->detector.ctx = f;
    detector_start(&f->detector, sim, host_of_framework(sim, index));
    after(sim, &f->act, draw_between(sim, 0, f->manners.act_ns));
    subscribe_later(f, draw_spread(sim, NS_PER_MS, 10 * NS_PER_S));
}

void framework_free(struct framework_host *f)
{
    detector_end(&f->detector, true);
    forget_offers(f);
    forget_acks(f);
    forget_tasks(f);
    timer_cancel(&f->sim->timers, &f->act);
    timer_cancel(&f->sim->timers, &f->reconnect);
}
