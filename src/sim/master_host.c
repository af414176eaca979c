// SPDX-License-Identifier: Apache-2.0
//
// The master's shell in the simulated world. A connection's first frame says what it is: the link
// of an agent ('A' before each message), a framework's stream of events ('S', once), or its calls
// ('C' before each). The stream's id, which the framework chooses here, follows both. To agents and
// on streams the master sends bare messages; a call is answered by its HTTP status as text.

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "election/election.h"
#include "master/records.h"
#include "model/validate.h"
#include "sim/ledger.h"
#include "sim/process.h"
#include "store/store_zookeeper.h"

// One connection.
struct door {
    struct list link;
    struct sim *sim;
    struct master_host *host;
    struct end *end;
    struct master_subscriber subscriber;
    struct master_channel channel;
    bool is_stream, is_link, is_admitted;
    char framework_id[128]; // of a stream, once SUBSCRIBED
    char agent_id[128];     // of a link, once admitted
    struct arena *arena;    // owns:
    Meseta__Link__ToMaster *registration;
};

// What the store was asked to make durable.
struct write {
    struct list link;
    struct master_host *host;
    uint64_t token;
    size_t count;
    struct master_item *items;
    bool *were_there; // which of them the registry may have had when this was asked
};

static void touch(struct master_host *host)
{
    if (host->core != NULL)
        env_at_turn_end(host->env, &host->turn);
}

static void check(struct master_host *host)
{
    struct sim *sim = host->sim;
    books_check_offers(host->books);
    // Walking all the books after each event would be most of the work.
    if (++sim->check_count % 16 == 0)
        master_check(host->core);
}

static void end_turn(struct env_hook *hook, struct instant now)
{
    struct master_host *host = CONTAINER_OF(hook, struct master_host, turn);
    if (host->failed)
        return;
    if (host->recovered && master_next(host->core) <= now.mono)
        master_step(host->core, now);
    if (host->store != NULL)
        store_flush(host->store);
    if (host->failed || !host->recovered)
        return;
    int64_t next = master_next(host->core);
    if (next <= now.mono || (host->store != NULL && store_is_pending(host->store)))
        touch(host);
    if (next == INT64_MAX)
        env_timer_cancel(host->env, &host->step);
    else
        env_timer_set(host->env, &host->step, next > now.mono ? next - now.mono : 0);
    check(host);
}

static void step(struct timer *timer, struct instant now)
{
    (void)now;
    touch(CONTAINER_OF(timer, struct master_host, step));
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
    struct master_host *host = ctx;
    struct sim *sim = host->sim;
    struct door *door = CONTAINER_OF(subscriber, struct door, subscriber);
    if (event->subscribed != NULL) {
        snprintf(door->framework_id, sizeof(door->framework_id), "%s",
                 event->subscribed->framework_id->value);
        books_offers_end(door->host->books, door->framework_id);
    }
    books_event(host->books, door->framework_id, event);
    mark_event(sim, event);
    send_message(door, &event->base);
}

static void close_subscriber(void *ctx, struct master_subscriber *subscriber)
{
    struct master_host *host = ctx;
    struct sim *sim = host->sim;
    struct door *door = CONTAINER_OF(subscriber, struct door, subscriber);
    REQUIRE(sim, subscriber->framework == NULL, "a stream is closed and still used");
    if (door->framework_id[0] != '\0')
        books_offers_end(door->host->books, door->framework_id);
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
        if (!door->is_admitted)
            books_agent_admitted(door->host->books, door->agent_id, door->registration);
        door->is_admitted = true;
        if (message->type == MESETA__LINK__TO_AGENT__TYPE__REREGISTERED)
            mark(sim, MARK_AGENT_REREGISTERED);
    }
    if (message->run_task != NULL)
        books_run_task(door->host->books, door->agent_id, message->run_task);
    if (message->run_task_group != NULL)
        books_run_group(door->host->books, door->agent_id, message->run_task_group);
    if (message->apply_operation != NULL) {
        operations_begin(ledger_operations(sim->ledger), door->agent_id, message->apply_operation);
        books_operation(door->host->books, door->agent_id, message->apply_operation);
    }
    if (message->shutdown_framework != NULL)
        ledger_framework_shut_down(sim->ledger, message->shutdown_framework->framework_id->value,
                                   door->agent_id);
    if (message->refused != NULL)
        mark(sim, MARK_AGENT_REFUSED);
    if (message->reconcile != NULL)
        mark(sim, MARK_AGENT_RECONCILED);
    if (message->type == MESETA__LINK__TO_AGENT__TYPE__SHUTDOWN) {
        mark(sim, MARK_AGENT_TOLD_TO_SHUT_DOWN);
        door->is_admitted = false; // it may come again, over this link
        books_agent_disconnected(door->host->books, door->agent_id); // it is removed
    }
}

static void send_agent(void *ctx, struct master_channel *channel,
                       const Meseta__Link__ToAgent *message)
{
    struct master_host *host = ctx;
    struct sim *sim = host->sim;
    struct door *door = CONTAINER_OF(channel, struct door, channel);
    note_to_agent(sim, door, message);
    if (sim->trace && message->type != MESETA__LINK__TO_AGENT__TYPE__PING)
        sim_trace(sim, "master -> agent %s: %s", door->agent_id,
                  wire_enum_name(&meseta__link__to_agent__type__descriptor, (int)message->type));
    send_message(door, &message->base);
}

static void close_agent(void *ctx, struct master_channel *channel)
{
    struct master_host *host = ctx;
    struct sim *sim = host->sim;
    struct door *door = CONTAINER_OF(channel, struct door, channel);
    REQUIRE(sim, channel->agent == NULL, "a link is closed and still used");
    books_agent_disconnected(door->host->books, door->agent_id);
    net_close(door->end);
    REQUIRE(sim, channel->admission == NULL, "a link is closed while it waits to be admitted");
    free_door(door);
}

static void free_write(struct write *write)
{
    list_remove(&write->link);
    for (size_t i = 0; i < write->count; i++) {
        mem_free((void *)(uintptr_t)write->items[i].key);
        mem_free((void *)(uintptr_t)write->items[i].value);
    }
    mem_free(write->items);
    mem_free(write->were_there);
    mem_free(write);
}

// The process ends with this turn.
static void give_up(struct master_host *host, const char *why);

// Whether what was asked for later, and may be durable with it, has the same key.
static bool is_superseded(const struct write *write, const char *key)
{
    for (const struct list *at = write->link.next; at != &write->host->writes; at = at->next) {
        const struct write *later = LIST_ENTRY(at, struct write, link);
        for (size_t i = 0; i < later->count; i++) {
            if (strcmp(later->items[i].key, key) == 0)
                return true;
        }
    }
    return false;
}

// Whether a write that is under way puts that key.
static bool is_asked(const struct master_host *host, const char *key)
{
    LIST_FOREACH (&host->writes, const struct write, link, write) {
        for (size_t i = 0; i < write->count; i++) {
            if (write->items[i].value != NULL && strcmp(write->items[i].key, key) == 0)
                return true;
        }
    }
    return false;
}

static void is_durable(struct write *write)
{
    struct master_host *host = write->host;
    for (size_t i = 0; i < write->count; i++) {
        const struct master_item *item = &write->items[i];
        bool is_nothing = item->value == NULL && !write->were_there[i];
        if (!is_nothing && !is_superseded(write, item->key))
            registry_told(host->sim, item->key, item->value, item->size);
    }
    uint64_t token = write->token;
    free_write(write);
    master_applied(host->core, token, 0, host->sim->now);
    check(host);
    touch(host);
}

static void store_answered(void *ctx, int result, const struct error *err)
{
    struct write *write = ctx;
    if (result == 0) {
        is_durable(write);
        return;
    }
    struct master_host *host = write->host;
    if (result != -ESTALE && result != -ETIMEDOUT)
        sim_fail(host->sim, "master %zu cannot write its registry: %s", host->index, err->text);
    mark(host->sim, result == -ESTALE ? MARK_MASTER_DEPOSED : MARK_STORE_TIMED_OUT);
    free_write(write);
    give_up(host, err->text);
}

static void apply(void *ctx, const struct master_item *items, size_t count, uint64_t token)
{
    struct master_host *host = ctx;
    struct write *write = mem_zalloc(sizeof(*write));
    write->host = host;
    write->token = token;
    write->items = mem_calloc(count + 1, sizeof(*write->items));
    write->were_there = mem_calloc(count + 1, sizeof(*write->were_there));
    struct store_item *asked = arena_calloc(host->sim->scratch, count + 1, sizeof(*asked));
    for (size_t i = 0; i < count; i++) {
        write->were_there[i] =
            registry_ever_had(host->sim, items[i].key) || is_asked(host, items[i].key);
        struct master_item *item = &write->items[write->count++];
        *item = (struct master_item){.key = mem_strdup(items[i].key), .size = items[i].size};
        if (items[i].value != NULL) {
            void *value = mem_alloc(items[i].size + 1);
            memcpy(value, items[i].value, items[i].size);
            item->value = value;
        }
        asked[i] = (struct store_item){.key = item->key, .value = item->value, .size = item->size};
    }
    list_append(&host->writes, &write->link);
    if (host->store != NULL)
        store_apply(host->store, asked, count, store_answered, write);
    else
        disk_apply(host->sim, items, count, token);
    touch(host);
}

void master_host_applied(struct master_host *host, uint64_t token)
{
    LIST_FOREACH (&host->writes, struct write, link, write) {
        if (write->token == token) {
            is_durable(write);
            break;
        }
    }
}

// ---- inputs ----

static ProtobufCMessage *decode(struct sim *sim, const ProtobufCMessageDescriptor *descriptor,
                                const ProtobufCMessageDescriptor *pinned, const void *data,
                                size_t size)
{
    ProtobufCMessage *message;
    struct error err;
    if (wire_decode_pinned(descriptor, sim->scratch, data, size, pinned, &message, &err) < 0)
        sim_fail(sim, "what was sent cannot be read: %s", err.text);
    return message;
}

static void take_agent_message(struct door *door, const void *data, size_t size)
{
    struct sim *sim = door->sim;
    Meseta__Link__ToMaster *message = (void *)decode(sim, &meseta__link__to_master__descriptor,
                                                     MASTER_AGENT_MESSAGE_PINNED, data, size);
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
        books_from_agent(door->host->books, door->agent_id, message);
    master_agent_message(door->host->core, &door->channel, message, sim->now);
}

static Mesos__V1__Scheduler__Call *decode_call(struct sim *sim, const char *data, size_t size)
{
    size_t id_size = strnlen(data, size);
    CHECK(id_size < size);
    return (void *)decode(sim, &mesos__v1__scheduler__call__descriptor, MASTER_CALL_PINNED,
                          data + id_size + 1, size - id_size - 1);
}

static void take_subscribe(struct door *door, const char *data, size_t size)
{
    struct sim *sim = door->sim;
    Mesos__V1__Scheduler__Call *call = decode_call(sim, data, size);
    struct error err;
    if (validate_scheduler_call(call, &err) < 0)
        sim_fail(sim, "a SUBSCRIBE is not sound: %s", err.text);
    door->is_stream = true;
    master_subscribe(door->host->core, call->subscribe, &door->subscriber, data, sim->now);
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
    books_call_begins(door->host->books, id, call);
    int status = master_call(door->host->core, call, data, NULL, sim->now, &err);
    books_call_ends(door->host->books, id, call, status);
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
    struct master_host *host = door->host;
    const char *bytes = data;
    CHECK(size > 0 && host->core != NULL);
    // The door may be gone afterwards.
    if (bytes[0] == 'A')
        take_agent_message(door, bytes + 1, size - 1);
    else if (bytes[0] == 'S')
        take_subscribe(door, bytes + 1, size - 1);
    else
        take_call(door, bytes + 1, size - 1);
    check(host);
    touch(host);
}

static void on_closed(void *ctx)
{
    struct door *door = ctx;
    struct sim *sim = door->sim;
    struct master_host *host = door->host;
    if (door->is_stream) {
        if (door->subscriber.framework != NULL)
            books_offers_end(door->host->books, door->framework_id);
        master_subscriber_closed(door->host->core, &door->subscriber, sim->now);
    }
    if (door->is_link) {
        bool was_used = door->channel.agent != NULL;
        master_channel_closed(door->host->core, &door->channel, sim->now);
        if (was_used)
            books_agent_disconnected(door->host->books, door->agent_id);
    }
    free_door(door);
    check(host);
    touch(host);
}

static void accept_master(struct sim *sim, size_t index, struct end *end)
{
    static const struct end_ops ops = {.frame = on_frame, .closed = on_closed};
    struct master_host *host = &sim->masters[index];
    CHECK(host->core != NULL);
    struct door *door = mem_zalloc(sizeof(*door));
    door->sim = sim;
    door->host = host;
    door->end = end;
    door->channel.number = master_number_link(host->core);
    list_append(&host->doors, &door->link);
    end->ops = &ops;
    end->ctx = door;
}

void net_accept(struct sim *sim, size_t host, struct end *end)
{
    if (host >= HOST_ZOO)
        zoo_accept(sim, host - HOST_ZOO, end);
    else
        accept_master(sim, host, end);
}

void master_host_teardown(struct master_host *host, const char *framework_id)
{
    struct sim *sim = host->sim;
    TRACE(sim, "an operator removes framework %s", framework_id);
    char *id = arena_strdup(sim->scratch, framework_id);
    books_offers_end(host->books, id);
    master_teardown(host->core, id, sim->now);
    check(host);
    touch(host);
}

// ---- leading ----

static void recover(struct master_host *host, const struct master_item *items, size_t count)
{
    struct sim *sim = host->sim;
    struct error err;
    if (master_recover(host->core, items, count, sim->now, &err) < 0)
        sim_fail(sim, "the registry cannot be read: %s", err.text);
    TRACE(sim, "master %zu leads", host->index);
    host->recovered = true;
    sim->net.has_listener[host_of_master(host->index)] = true;
    check(host);
    touch(host);
}

static void registry_is_loaded(void *ctx, int result, const struct store_item *items, size_t count,
                               const struct error *err)
{
    struct master_host *host = ctx;
    struct sim *sim = host->sim;
    if (result < 0) {
        if (result != -ESTALE && result != -ETIMEDOUT)
            sim_fail(sim, "master %zu cannot read the registry: %s", host->index, err->text);
        mark(sim, result == -ESTALE ? MARK_TAKEOVER_REFUSED : MARK_LOAD_TIMED_OUT);
        give_up(host, err->text);
        return;
    }
    struct master_item *copy = arena_calloc(sim->scratch, count + 1, sizeof(*copy));
    for (size_t i = 0; i < count; i++)
        copy[i] = (struct master_item){
            .key = items[i].key, .value = items[i].value, .size = items[i].size};
    registry_read(sim, host->env->number, copy, count);
    recover(host, copy, count);
}

static void begin_leading(struct master_host *host)
{
    struct sim *sim = host->sim;
    TRACE(sim, "master %zu is elected", host->index);
    host->leads = true;
    if (host->store == NULL) {
        struct master_item *items;
        size_t count = disk_load(sim, sim->scratch, &items);
        recover(host, items, count);
        return;
    }
    AUTO_BUF struct buf znode = BUF_INIT;
    CHECK(election_put_znode(host->election, &znode));
    store_set_leader(host->store, znode.data);
    store_load(host->store, registry_is_loaded, host);
    touch(host);
}

static void leader_changed(void *ctx, const Mesos__V1__MasterInfo *leader, bool is_self)
{
    struct master_host *host = ctx;
    (void)leader;
    if (host->failed)
        return;
    if (host->leads && !is_self) {
        mark(host->sim, MARK_LEADERSHIP_LOST);
        give_up(host, "it leads no more");
    } else if (!host->leads && is_self) {
        begin_leading(host);
    }
}

static void election_failed(void *ctx, const struct error *why)
{
    struct master_host *host = ctx;
    sim_fail(host->sim, "master %zu cannot contend: %s", host->index, why->text);
}

// ---- life ----

static void answer(void *ctx, void *waiter, int status, const char *text)
{
    (void)text;
    operator_answered(ctx, waiter, status);
}

void master_host_touched(struct master_host *host)
{
    check(host);
    touch(host);
}

// The master acknowledges for a framework that it removes what that was not told. Another master
// may let it come back.
static void notice(void *ctx, const struct master_notice *notice)
{
    struct master_host *host = ctx;
    if (notice->kind == NOTICE_FRAMEWORK_REMOVED)
        operations_excuse(ledger_operations(host->sim->ledger), NULL, notice->framework->id);
}

static const struct master_ops ops = {
    .answer = answer,
    .send_event = send_event,
    .close_subscriber = close_subscriber,
    .send_agent = send_agent,
    .close_agent = close_agent,
    .apply = apply,
    .notice = notice,
};

static void make_core(struct master_host *host, struct instant now)
{
    struct sim *sim = host->sim;
    struct master_options options;
    char id[32], ip[32], hostname[32];
    master_options_init(&options);
    snprintf(id, sizeof(id), "M%u", ++sim->generation);
    snprintf(ip, sizeof(ip), "10.0.0.%zu", host->index + 1);
    snprintf(hostname, sizeof(hostname), "master-%zu", host->index);
    options.id = id;
    options.ip = ip;
    options.port = (uint16_t)(5050 + host->index);
    options.hostname = hostname;
    options.allocation_interval_ns = sim->config.allocation_interval_ns;
    options.offer_timeout_ns = sim->config.offer_timeout_ns;
    options.agent_ping_timeout_ns = sim->config.ping_timeout_ns;
    options.max_agent_ping_timeouts = sim->config.max_ping_timeouts;
    options.agent_reregister_timeout_ns = sim->config.reregister_timeout_ns;
    options.max_completed_frameworks = sim->config.max_completed_frameworks;
    options.max_completed_tasks_per_framework = sim->config.max_completed_tasks;
    options.max_unreachable_tasks_per_framework = sim->config.max_unreachable_tasks;
    options.seed = prng_u64(&sim->prng);
    TRACE(sim, "master %zu begins as %s, process %llu", host->index, id,
          (unsigned long long)host->env->number);
    host->core = master_new(&options, &ops, host, now);
}

static void start(struct timer *timer, struct instant now)
{
    static const struct election_callbacks callbacks = {.on_leader = leader_changed,
                                                        .on_failed = election_failed};
    struct master_host *host = CONTAINER_OF(timer, struct master_host, start);
    struct sim *sim = host->sim;
    host->env = process_new(sim, host_of_master(host->index));
    host->leads = host->recovered = host->failed = false;
    host->books = books_new(host);
    make_core(host, now);
    struct election_options election = {.session_timeout_ns = sim->config.session_timeout_ns,
                                        .candidate = master_info(host->core)};
    if (sim->config.has_zoo) {
        election.url = "zk://zoo:2181/mesos";
        struct store_zookeeper_options store = {
            .url = election.url,
            .session_timeout_ns = sim->config.session_timeout_ns,
            .fetch_timeout_ns = 60 * NS_PER_S,
            .store_timeout_ns = 20 * NS_PER_S,
        };
        CHECK(store_zookeeper_new(host->env, &store, &host->store, NULL) == 0);
    }
    CHECK(election_new(host->env, &election, &callbacks, host, &host->election, NULL) == 0);
}

// The process is gone; its connections are the caller's matter.
static void forget(struct master_host *host)
{
    struct sim *sim = host->sim;
    if (host->recovered)
        master_count_marks(host);
    sim->net.has_listener[host_of_master(host->index)] = false;
    host->election = election_free(host->election);
    host->store = store_free(host->store);
    host->core = master_free(host->core);
    env_timer_cancel(host->env, &host->step);
    env_hook_cancel(&host->turn);
    host->env = process_free(host->env);
    host->books = books_free(host->books);
    LIST_FOREACH (&host->doors, struct door, link, door)
        free_door(door);
    LIST_FOREACH (&host->writes, struct write, link, write)
        free_write(write);
    operator_forget(host);
    host->leads = host->recovered = false;
}

static void ended(struct timer *timer, struct instant now)
{
    (void)now;
    struct master_host *host = CONTAINER_OF(timer, struct master_host, start);
    size_t number = host_of_master(host->index);
    if (host->sim->net.paused_until[number] > host->sim->now.mono) {
        timer_set(&host->sim->timers, timer, host->sim->net.paused_until[number]);
        return;
    }
    TRACE(host->sim, "master %zu ends", host->index);
    forget(host);
    net_leave_host(host->sim, number);
    host->start.run = start;
    after(host->sim, &host->start, draw_spread(host->sim, 100 * NS_PER_MS, 20 * NS_PER_S));
}

static void give_up(struct master_host *host, const char *why)
{
    if (host->failed)
        return;
    TRACE(host->sim, "master %zu gives up: %s", host->index, why);
    host->failed = true;
    host->start.run = ended;
    after(host->sim, &host->start, 0);
}

void master_host_init(struct sim *sim, size_t index)
{
    struct master_host *host = &sim->masters[index];
    host->sim = sim;
    host->index = index;
    host->step.run = step;
    host->start.run = start;
    host->turn.run = end_turn;
    list_init(&host->turn.link);
    list_init(&host->doors);
    list_init(&host->writes);
    list_init(&host->waiters);
}

void master_host_start(struct master_host *host)
{
    if (host->core == NULL && !timer_is_set(&host->start))
        after(host->sim, &host->start, draw_spread(host->sim, NS_PER_MS, NS_PER_S));
}

void master_host_stop(struct master_host *host)
{
    if (host->core != NULL)
        give_up(host, "it is stopped");
}

void master_host_crash(struct master_host *host)
{
    struct sim *sim = host->sim;
    if (host->core == NULL)
        return;
    TRACE(sim, "master %zu crashes", host->index);
    mark(sim, MARK_MASTER_CRASHED);
    master_host_free(host);
    net_crash_host(sim, host_of_master(host->index), chance(sim, 0.2));
    if (!sim->config.has_zoo)
        disk_crash(sim);
    host->start.run = start;
}

void master_host_free(struct master_host *host)
{
    timer_cancel(&host->sim->timers, &host->start);
    if (host->core == NULL)
        return;
    host->env->is_crashed = true;
    forget(host);
}

struct master_host *master_leading(const struct sim *sim)
{
    const struct master_host *found = NULL;
    for (size_t i = 0; i < sim->config.master_count; i++) {
        const struct master_host *host = &sim->masters[i];
        if (host->core == NULL || !host->recovered || host->failed)
            continue;
        if (found != NULL)
            return NULL;
        found = host;
    }
    return (struct master_host *)(uintptr_t)found;
}
