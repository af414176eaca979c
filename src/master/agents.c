// SPDX-License-Identifier: Apache-2.0
//
// Agents that are admitted: their books, their heartbeats, and how they go.
//
//   connected ──link broken──> disconnected (no offers) ──comes back──> connected
//       │                            │
//       └── pings unanswered ────────┴──> being marked ──registry written──> unreachable

#include <string.h>

#include "master/internal.h"

// ---- books ----

static struct agent_use *find_use(struct agent *a, struct framework *f)
{
    struct agent_use *use = a->recent_use;
    if (use != NULL && use->framework == f)
        return use;
    use = map_get(&a->uses, f->id);
    if (use == NULL) {
        use = mem_zalloc(sizeof(*use));
        use->framework = f;
        use->agent = a;
        list_append(&f->uses, &use->by_framework);
        use->used = resources_new();
        map_put(&a->uses, f->id, use);
    }
    a->recent_use = use;
    return use;
}

static void use_free(struct agent_use *use)
{
    list_remove(&use->by_framework);
    resources_free(use->used);
    mem_free(use);
}

// Whether what is in use is there at all.
static bool fits(const struct agent *a)
{
    AUTO_RESOURCES struct resources *used = resources_copy(a->used);
    resources_unallocate(used);
    return resources_covers(a->total, used);
}

int master_agent_read_total(const Meseta__Link__AgentDescription *description,
                            Mesos__V1__Resource *const *checkpointed, size_t count,
                            struct resources **ret_total, struct error *err)
{
    AUTO_RESOURCES struct resources *flags = NULL;
    AUTO_RESOURCES struct resources *made = NULL;
    const Mesos__V1__AgentInfo *info = description->info;
    int r = resources_from_proto(info->resources, info->n_resources, &flags, err);
    if (r == 0)
        r = resources_from_proto(checkpointed, count, &made, err);
    if (r < 0)
        return r;
    struct arena *arena = arena_new(0, 0);
    const char *why;
    r = resources_apply_checkpointed(flags, made, arena, ret_total, &why);
    if (r < 0)
        error_set(err, r, "%s", why);
    arena_free(arena);
    return r;
}

void master_agent_set_total(struct agent *a, struct resources *total)
{
    master_before_agent(a);
    resources_free(a->total);
    a->total = total;
    a->unsettled = !fits(a);
}

void master_agent_use_add(struct agent_use *use, const struct resources *amount)
{
    master_before_agent(use->agent);
    master_before_framework(use->framework);
    resources_add(use->used, amount);
    resources_add(use->agent->used, amount);
    resources_add(use->framework->used, amount);
}

void master_agent_use_remove(struct agent_use *use, const struct resources *amount)
{
    struct agent *a = use->agent;
    master_before_agent(a);
    master_before_framework(use->framework);
    resources_subtract(use->used, amount);
    resources_subtract(a->used, amount);
    if (a->unsettled)
        a->unsettled = !fits(a);
    // Ports of several agents are one set in a framework's sum, so a part may be gone already.
    resources_subtract_available(use->framework->used, amount);
}

struct agent_use *master_agent_hold(struct agent *a, struct framework *f)
{
    struct agent_use *use = find_use(a, f);
    use->holders++;
    return use;
}

void master_agent_unhold(struct agent_use *use)
{
    CHECK(use->holders > 0);
    if (--use->holders > 0)
        return;
    CHECK(resources_is_empty(use->used));
    map_remove(&use->agent->uses, use->framework->id);
    use->agent->recent_use = NULL;
    use_free(use);
}

// ---- executors ----

struct executor *master_agent_find_executor(const struct agent *a, const struct framework *f,
                                            const char *executor_id)
{
    if (!map_has(&a->uses, f->id))
        return NULL;
    LIST_FOREACH (&((struct agent *)a)->executors, struct executor, by_agent, e) {
        if (e->framework == f && strcmp(e->id, executor_id) == 0)
            return e;
    }
    return NULL;
}

struct executor *master_agent_find_instance(const struct agent *a, const struct framework *f,
                                            const char *executor_id, uint64_t instance)
{
    struct executor *e = master_agent_find_executor(a, f, executor_id);
    bool is_other = e != NULL && e->instance != 0 && instance != 0 && e->instance != instance;
    return is_other ? NULL : e;
}

uint64_t master_make_instance(struct master *m)
{
    uint64_t instance;
    do
        instance = prng_u64(&m->prng);
    while (instance == 0);
    return instance;
}

struct executor *master_executor_add(struct agent *a, struct framework *f,
                                     const Mesos__V1__ExecutorInfo *info, uint64_t instance,
                                     struct resources *resources)
{
    struct executor *e = mem_zalloc(sizeof(*e));
    e->framework = f;
    e->agent = a;
    e->id = mem_strdup(info->executor_id->value);
    e->info = master_pack(&info->base);
    e->instance = instance;
    e->resources = resources;
    e->seen = a->master->snapshot;
    list_append(&a->executors, &e->by_agent);
    list_append(&f->executors, &e->by_framework);
    e->use = master_agent_hold(a, f);
    master_agent_use_add(e->use, resources);
    return e;
}

void master_executor_remove(struct executor *e, bool recover)
{
    struct agent *a = e->agent;
    struct framework *f = e->framework;
    master_before_change(a->master, RECORD_EXECUTOR, e, &e->seen);
    master_agent_use_remove(e->use, e->resources);
    master_agent_unhold(e->use);
    if (recover && !resources_is_empty(e->resources))
        allocator_recover(a->master->allocator, f->id, a->id, e->resources, -1, a->master->now);
    list_remove(&e->by_agent);
    list_remove(&e->by_framework);
    resources_free(e->resources);
    mem_free(e->info);
    mem_free(e->id);
    mem_free(e);
}

// ---- heartbeats ----

// For the next ping, or earlier when a broken link's time to come back is over.
static void arm_ping(struct agent *a)
{
    struct master *m = a->master;
    int64_t due = m->now.mono + m->options.agent_ping_timeout_ns;
    int64_t deadline = a->disconnected + m->options.agent_reregister_timeout_ns;
    if (a->channel == NULL && deadline > m->now.mono && deadline < due)
        due = deadline;
    timer_set(&m->timers, &a->ping, due);
}

static void send_ping(struct agent *a)
{
    master_agent_send(a, master_make_to_agent(a->master->scratch, TO_AGENT(PING)));
    a->ping_open = true;
    arm_ping(a);
}

static void ping_is_due(struct timer *timer, struct instant now)
{
    struct agent *a = CONTAINER_OF(timer, struct agent, ping);
    CHECK(a->magic == AGENT_MAGIC);
    struct master *m = a->master;
    if (a->marking)
        return;
    if (a->ping_open && ++a->pings_missed >= m->options.max_agent_ping_timeouts)
        master_removal_schedule(m, a->id, "health check timed out");
    else if (a->channel == NULL &&
             now.mono - a->disconnected >= m->options.agent_reregister_timeout_ns)
        master_removal_schedule(m, a->id, "agent did not reregister in time after disconnecting");
    send_ping(a);
}

// ---- life ----

void master_agent_describe(struct agent *a, const Meseta__Link__AgentDescription *description)
{
    struct master *m = a->master;
    master_before_agent(a);
    if (a->pid != NULL && map_get(&m->agents_by_pid, a->pid) == a)
        map_remove(&m->agents_by_pid, a->pid);
    struct arena *old = a->arena;
    struct shared_description *old_shared = a->shared;
    a->shared = master_description_hold(m, description);
    const Meseta__Link__AgentDescription *shared = master_description_parts(a->shared);
    Mesos__V1__AgentInfo info = *description->info;
    info.n_resources = 0;
    info.resources = NULL;
    // A copy to learn the size: there are many agents, and their infos stay.
    size_t before = arena_size(m->scratch);
    WIRE_COPY(m->scratch, Mesos__V1__AgentInfo, &info);
    size_t size = arena_size(m->scratch) - before + sizeof(Mesos__V1__AgentID) + strlen(a->id) +
                  strlen(description->pid) + 4 * (size_t)ARENA_ALIGNMENT;
    struct arena *arena = arena_new(size, 0);
    a->arena = arena;
    a->info = WIRE_COPY(arena, Mesos__V1__AgentInfo, &info);
    a->info->id = master_make_agent_id(arena, a->id);
    a->info->n_resources = shared->info->n_resources;
    a->info->resources = shared->info->resources;
    a->version = shared->version;
    a->pid = arena_strdup(arena, description->pid);
    a->capability_count = shared->n_capabilities;
    a->capabilities = shared->capabilities;
    map_put(&m->agents_by_pid, a->pid, a);
    arena_free(old);
    master_description_drop(m, old_shared);
}

struct agent *master_agent_add(struct master *m, const Meseta__Link__AgentDescription *description,
                               const char *id, struct resources *total)
{
    struct agent *a = mem_zalloc(sizeof(*a));
    a->magic = AGENT_MAGIC;
    a->master = m;
    a->id = mem_strdup(id);
    list_init(&a->tasks);
    list_init(&a->executors);
    list_init(&a->offers);
    list_init(&a->unavailable);
    list_init(&a->operations);
    a->used = resources_new();
    a->offered = resources_new();
    a->ping.run = ping_is_due;
    a->registered = m->now.wall;
    a->seen = m->snapshot;
    master_agent_describe(a, description);
    a->total = total;
    CHECK(map_put(&m->agents, a->id, a) == NULL);
    return a;
}

struct agent *master_agent_free(struct agent *a)
{
    if (a == NULL)
        return NULL;
    CHECK(a->magic == AGENT_MAGIC);
    master_inverse_free(a);
    MAP_FOREACH (&a->uses, entry)
        use_free(entry->value);
    map_free(&a->uses);
    resources_free(a->total);
    resources_free(a->used);
    resources_free(a->offered);
    arena_free(a->arena);
    master_description_drop(a->master, a->shared);
    mem_free(a->id);
    a->magic = 0;
    mem_free(a);
    return NULL;
}

void master_agent_connect(struct agent *a, struct master_channel *channel)
{
    struct master *m = a->master;
    if (a->channel != NULL && a->channel != channel) {
        struct master_channel *old = a->channel;
        old->agent = NULL;
        a->channel = NULL;
        master_admission_forget_channel(old);
        m->ops->close_agent(m->ctx, old);
    }
    a->channel = channel;
    a->channel_number = channel->number;
    channel->agent = a;
    a->pings_missed = 0;
    master_removal_cancel(m, a->id, "it reregistered");
    master_agent_activate(a);
}

static void rescind_offers(struct agent *a)
{
    LIST_FOREACH (&a->offers, struct offer, by_agent, o)
        master_offer_rescind(o);
}

void master_agent_activate(struct agent *a)
{
    if (a->active || a->channel == NULL || master_agent_is_deactivated(a))
        return;
    master_before_agent(a);
    a->active = true;
    allocator_activate_agent(a->master->allocator, a->id);
}

void master_agent_deactivate(struct agent *a)
{
    master_before_agent(a);
    if (a->active) {
        a->active = false;
        allocator_deactivate_agent(a->master->allocator, a->id);
    }
    master_inverse_rescind(a);
    rescind_offers(a);
}

static bool is_durable(const struct framework *f)
{
    return f->info->has_checkpoint && f->info->checkpoint;
}

// Tasks of frameworks without checkpoint are given up with the link: most often the agent's process
// has ended, and they with it. One that comes back with the agent is taken over again.
static void lose_volatile_tasks(struct agent *a)
{
    struct master *m = a->master;
    const char *text = arena_printf(m->scratch, "Agent %s disconnected", a->info->hostname);
    LIST_FOREACH (&a->tasks, struct task, by_agent, t) {
        struct framework *f = t->framework;
        if (is_durable(f) || !master_task_state_counts(t->state))
            continue;
        Mesos__V1__TaskStatus *status =
            master_make_status(m, t->id, a->id, STATE(LOST), REASON(AGENT_DISCONNECTED), text);
        if (t->executor_id != NULL)
            status->executor_id = master_make_executor_id(m->scratch, t->executor_id);
        master_task_update(t, status, STATE(LOST));
        master_task_finish(t);
        master_framework_send_update(f, status);
    }
    LIST_FOREACH (&a->executors, struct executor, by_agent, e) {
        if (!is_durable(e->framework))
            master_executor_remove(e, true);
    }
}

void master_agent_disconnect(struct agent *a)
{
    log_info("Agent %s at %s (%s) disconnected", a->id, a->pid, a->info->hostname);
    if (a->channel != NULL)
        a->channel->agent = NULL;
    a->channel = NULL;
    a->disconnected = a->master->now.mono;
    // What was sent is lost, and whatever comes back comes with the agent.
    a->ping_open = true;
    if (a->master->options.agent_reregister_timeout_ns < a->master->options.agent_ping_timeout_ns)
        arm_ping(a);
    master_agent_deactivate(a);
    lose_volatile_tasks(a);
}

void master_send_registered(struct agent *a, bool again)
{
    struct master *m = a->master;
    Meseta__Link__ToAgent *message =
        master_make_to_agent(m->scratch, again ? TO_AGENT(REREGISTERED) : TO_AGENT(REGISTERED));
    Meseta__Link__ToAgent__Registered *registered =
        WIRE_NEW(m->scratch, Meseta__Link__ToAgent__Registered, meseta__link__to_agent__registered);
    registered->agent_id = master_make_agent_id(m->scratch, a->id);
    registered->master_info = m->info;
    registered->ping_timeout_total_ns =
        m->options.agent_ping_timeout_ns * (int64_t)m->options.max_agent_ping_timeouts;
    message->registered = registered;
    master_agent_send(a, message);
    send_ping(a);
}

static Mesos__V1__TaskState removed_state(enum agent_removal how, bool is_aware)
{
    if (!is_aware || how == AGENT_LEFT || how == AGENT_DOWN)
        return STATE(LOST);
    return how == AGENT_GONE ? STATE(GONE_BY_OPERATOR) : STATE(UNREACHABLE);
}

// Every task of the agent ends in the way that its removal means for it.
static void remove_tasks(struct agent *a, enum agent_removal how, const char *message,
                         int64_t since_ns)
{
    struct master *m = a->master;
    LIST_FOREACH (&a->tasks, struct task, by_agent, t) {
        struct framework *f = t->framework;
        Mesos__V1__TaskState state =
            removed_state(how, FRAMEWORK_HAS(f->capabilities, PARTITION_AWARE));
        int reason = state == STATE(GONE_BY_OPERATOR) ? REASON(AGENT_REMOVED_BY_OPERATOR)
                                                      : REASON(AGENT_REMOVED);
        Mesos__V1__TaskStatus *status = master_make_status(m, t->id, a->id, state, reason, message);
        if (t->executor_id != NULL)
            status->executor_id = master_make_executor_id(m->scratch, t->executor_id);
        if (how == AGENT_UNREACHABLE) {
            status->unreachable_time =
                WIRE_NEW(m->scratch, Mesos__V1__TimeInfo, mesos__v1__time_info);
            status->unreachable_time->nanoseconds = since_ns;
        }
        master_task_update(t, status, state);
        if (how == AGENT_UNREACHABLE)
            master_task_make_unreachable(t);
        else
            master_task_finish(t);
        master_framework_send_update(f, status);
    }
}

// The core lets go of the channel. An agent that is told to shut down reads that, and then decides.
static void leave_channel(struct agent *a, enum agent_removal how, const char *message)
{
    struct master *m = a->master;
    struct master_channel *channel = a->channel;
    if (channel == NULL)
        return;
    a->channel = NULL;
    channel->agent = NULL;
    if (how == AGENT_GONE || how == AGENT_DOWN) {
        master_channel_send_shutdown(m, channel, message, how == AGENT_GONE);
        return;
    }
    master_admission_forget_channel(channel);
    m->ops->close_agent(m->ctx, channel);
}

void master_agent_remove(struct agent *a, enum agent_removal how, const char *message,
                         int64_t since_ns)
{
    struct master *m = a->master;
    log_info("Removing agent %s at %s (%s): %s", a->id, a->pid, a->info->hostname, message);
    master_count(m, COUNT_SLAVE_REMOVALS);
    master_before_agent(a);
    a->leaving = true;
    master_agent_deactivate(a);
    if (how == AGENT_UNREACHABLE)
        master_operations_tell(a, OPERATION_STATE(UNREACHABLE), "Agent was marked unreachable");
    else if (how == AGENT_GONE)
        master_operations_tell(a, OPERATION_STATE(GONE_BY_OPERATOR), "Agent has been marked gone");
    master_operations_remove(a);
    const char *text =
        how == AGENT_LEFT || how == AGENT_DOWN
            ? arena_printf(m->scratch, "Agent %s removed: %s", a->info->hostname, message)
            : message;
    remove_tasks(a, how, text, since_ns);
    while (!list_is_empty(&a->executors))
        master_executor_remove(LIST_ENTRY(a->executors.next, struct executor, by_agent), true);
    CHECK(a->uses.count == 0);
    allocator_remove_agent(m->allocator, a->id);
    timer_cancel(&m->timers, &a->ping);
    master_removal_cancel(m, a->id, "it is removed");
    map_remove(&m->agents, a->id);
    m->recent_agent = NULL;
    if (map_get(&m->agents_by_pid, a->pid) == a)
        map_remove(&m->agents_by_pid, a->pid);
    leave_channel(a, how, message);
    master_notice_agent(a, NOTICE_AGENT_REMOVED);
    MAP_FOREACH (&m->frameworks, entry)
        master_framework_send_failure(entry->value, a->id, NULL, NULL);
    master_agent_free(a);
}

// ---- inputs ----

static void executor_message(struct agent *a, Meseta__Link__ToMaster__ExecutorMessage *message)
{
    struct master *m = a->master;
    master_count(m, COUNT_MESSAGES_EXECUTOR_TO_FRAMEWORK);
    struct framework *f = master_framework(m, message->framework_id->value);
    if (f == NULL || f->subscriber == NULL) {
        log_warning("Not forwarding a message of executor '%s' of framework %s on agent %s: the "
                    "framework is %s",
                    message->executor_id->value, message->framework_id->value, a->id,
                    f == NULL ? "unknown" : "disconnected");
        master_count(m, COUNT_INVALID_EXECUTOR_TO_FRAMEWORK);
        return;
    }
    Mesos__V1__Scheduler__Event *event = master_make_event(m->scratch, EVENT(MESSAGE));
    event->message = WIRE_NEW(m->scratch, Mesos__V1__Scheduler__Event__Message,
                              mesos__v1__scheduler__event__message);
    event->message->agent_id = master_make_agent_id(m->scratch, a->id);
    event->message->executor_id = message->executor_id;
    event->message->data = message->data;
    master_framework_send(f, event);
    master_count(m, COUNT_VALID_EXECUTOR_TO_FRAMEWORK);
}

static void executor_exited(struct agent *a, Meseta__Link__ToMaster__ExecutorExited *message)
{
    struct master *m = a->master;
    master_count(m, COUNT_MESSAGES_EXITED_EXECUTOR);
    const char *executor_id = message->executor_id->value;
    struct framework *f = master_framework(m, message->framework_id->value);
    struct executor *e =
        f != NULL ? master_agent_find_instance(a, f, executor_id, message->instance) : NULL;
    if (e == NULL) {
        log_info("Ignoring unknown exited executor '%s' of framework %s on agent %s", executor_id,
                 message->framework_id->value, a->id);
        return;
    }
    master_executor_remove(e, true);
    master_framework_send_failure(f, a->id, executor_id, &message->status);
}

// The agent's new total with that much to revoke, and at least what tasks use of it. NULL: it says
// something else.
static struct resources *oversubscribed_total(const struct agent *a,
                                              const Meseta__Link__ToMaster__UpdateAgent *message)
{
    struct error err;
    AUTO_RESOURCES struct resources *estimate = NULL;
    if (resources_from_proto(message->oversubscribed, message->n_oversubscribed, &estimate, &err) <
        0) {
        log_warning("Ignoring oversubscribed resources of agent %s: %s", a->id, err.text);
        return NULL;
    }
    AUTO_RESOURCES struct resources *firm = resources_non_revocable(estimate);
    if (!resources_is_empty(firm)) {
        log_warning("Ignoring oversubscribed resources of agent %s: some are not revocable", a->id);
        return NULL;
    }
    AUTO_RESOURCES struct resources *used = resources_revocable(a->used);
    resources_unallocate(used);
    resources_subtract_available(used, estimate);
    struct resources *total = resources_non_revocable(a->total);
    resources_add(total, estimate);
    resources_add(total, used);
    return total;
}

static void update_oversubscribed(struct agent *a, Meseta__Link__ToMaster__UpdateAgent *message)
{
    struct resources *total = oversubscribed_total(a, message);
    if (total == NULL)
        return;
    log_info("Agent %s oversubscribes anew", a->id);
    LIST_FOREACH (&a->offers, struct offer, by_agent, o) {
        AUTO_RESOURCES struct resources *revocable = resources_revocable(o->resources);
        if (!resources_is_empty(revocable))
            master_offer_rescind(o);
    }
    master_agent_set_total(a, total);
    allocator_update_agent(a->master->allocator, a->id, a->total);
}

static void update_agent(struct agent *a, Meseta__Link__ToMaster__UpdateAgent *message)
{
    struct master *m = a->master;
    master_count(m, COUNT_MESSAGES_UPDATE_SLAVE);
    if (message->has_is_oversubscribed && message->is_oversubscribed) {
        update_oversubscribed(a, message);
        return;
    }
    struct error err;
    struct resources *total;
    if (resources_from_proto(message->resources, message->n_resources, &total, &err) < 0) {
        log_warning("Ignoring new resources of agent %s: %s", a->id, err.text);
        return;
    }
    AUTO_RESOURCES struct resources *used = resources_copy(a->used);
    resources_unallocate(used);
    if (!resources_covers(total, used)) {
        log_warning("Ignoring new resources of agent %s: they are less than what is in use", a->id);
        resources_free(total);
        return;
    }
    rescind_offers(a);
    master_agent_set_total(a, total);
    allocator_update_agent(m->allocator, a->id, a->total);
}

static void pong(struct agent *a)
{
    a->ping_open = false;
    a->pings_missed = 0;
    master_removal_cancel(a->master, a->id, "a pong was received!");
}

uint64_t master_number_link(struct master *m)
{
    return ++m->channel_count;
}

void master_agent_message(struct master *m, struct master_channel *channel,
                          Meseta__Link__ToMaster *message, struct instant now)
{
    master_enter(m, now);
    if (channel->number == 0)
        channel->number = master_number_link(m);
    struct agent *a = channel->agent;
    if (message->type == TO_MASTER(REGISTER) && message->register_ != NULL) {
        master_agent_register(m, channel, message->register_);
        return;
    }
    if (message->type == TO_MASTER(REREGISTER) && message->reregister != NULL) {
        master_agent_reregister(m, channel, message);
        return;
    }
    if (a == NULL) {
        log_warning("Ignoring a message of type %d from an agent that is not registered",
                    (int)message->type);
        master_count(m, COUNT_DROPPED_MESSAGES);
        return;
    }
    CHECK(a->magic == AGENT_MAGIC && a->channel == channel);
    if (message->type == TO_MASTER(PONG)) {
        pong(a);
    } else if (message->type == TO_MASTER(STATUS_UPDATE) && message->status_update != NULL) {
        master_agent_status_update(a, message->status_update);
    } else if (message->type == TO_MASTER(EXECUTOR_MESSAGE) && message->executor_message != NULL) {
        executor_message(a, message->executor_message);
    } else if (message->type == TO_MASTER(EXECUTOR_EXITED) && message->executor_exited != NULL) {
        executor_exited(a, message->executor_exited);
    } else if (message->type == TO_MASTER(UPDATE_AGENT) && message->update_agent != NULL) {
        update_agent(a, message->update_agent);
    } else if (message->type == TO_MASTER(OPERATION_STATUS) && message->operation_status != NULL) {
        master_agent_operation_status(a, message->operation_status);
    } else if (message->type == TO_MASTER(UNREGISTER)) {
        master_count(m, COUNT_MESSAGES_UNREGISTER_SLAVE);
        master_count(m, COUNT_SLAVE_REMOVALS_UNREGISTERED);
        master_registry_forget_agent(m, a->id);
        master_agent_remove(a, AGENT_LEFT, "the agent unregistered", 0);
    } else {
        log_warning("Dropping a message of type %d from agent %s", (int)message->type, a->id);
        master_count(m, COUNT_DROPPED_MESSAGES);
    }
}

struct arena *master_agent_message_in(struct master *m, struct master_channel *channel,
                                      Meseta__Link__ToMaster *message, struct arena *arena,
                                      struct instant now)
{
    m->lent = arena;
    master_agent_message(m, channel, message, now);
    return TAKE_PTR(m->lent);
}

void master_channel_closed(struct master *m, struct master_channel *channel, struct instant now)
{
    master_enter(m, now);
    master_admission_forget_channel(channel);
    if (channel->agent != NULL)
        master_agent_disconnect(channel->agent);
}
