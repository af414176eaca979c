// SPDX-License-Identifier: Apache-2.0
//
// Frameworks: subscription, failover, disconnection, update and removal.
//
//   (new) ──SUBSCRIBE──> connected+active ──stream gone──> disconnected ──failover_timeout──>
//   removed
//                              ^                                │
//                              └───────SUBSCRIBE with its id────┘
//   recovered: known only from an agent that brought its tasks; the first SUBSCRIBE activates it.

#include <inttypes.h>
#include <string.h>

#include "allocator/constraints.h"
#include "master/internal.h"

static const char **copy_texts(struct arena *arena, const char *const *texts, size_t count)
{
    const char **copy = arena_calloc(arena, count + 1, sizeof(*copy));
    for (size_t i = 0; i < count; i++)
        copy[i] = arena_strdup(arena, texts[i]);
    return copy;
}

bool master_framework_has_role(const struct framework *f, const char *role)
{
    for (size_t i = 0; i < f->role_count; i++) {
        if (strcmp(f->roles[i], role) == 0)
            return true;
    }
    return false;
}

// ---- checks ----

static bool is_in(const char *text, const char *const *texts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(text, texts[i]) == 0)
            return true;
    }
    return false;
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

// "{ a, b }", sorted and without doubles, for those of `texts` that are not among `allowed`. NULL
// when all are.
static const char *list_strangers(struct arena *arena, const char *const *texts, size_t count,
                                  const char *const *allowed, size_t allowed_count)
{
    const char **found = arena_calloc(arena, count + 1, sizeof(*found));
    size_t found_count = 0;
    for (size_t i = 0; i < count; i++) {
        if (!is_in(texts[i], allowed, allowed_count) && !is_in(texts[i], found, found_count))
            found[found_count++] = texts[i];
    }
    if (found_count == 0)
        return NULL;
    qsort(found, found_count, sizeof(*found), compare_texts);
    const char *text = arena_strdup(arena, "{ ");
    for (size_t i = 0; i < found_count; i++)
        text = arena_printf(arena, "%s%s%s", text, i > 0 ? ", " : "", found[i]);
    return arena_printf(arena, "%s }", text);
}

int master_framework_check_info(struct master *m, const Mesos__V1__FrameworkInfo *info,
                                struct error *err)
{
    int r = validate_framework_info(info, err);
    if (r < 0)
        return r;
    if (m->options.roles != NULL) {
        const char **roles;
        size_t count = framework_roles(info, m->scratch, &roles);
        const char *strangers =
            list_strangers(m->scratch, roles, count, m->options.roles, m->options.role_count);
        if (strangers != NULL)
            return error_set(err, -EINVAL, "Roles %s are not present in the master's --roles",
                             strangers);
    }
    if (strcmp(info->user, "root") == 0 && !m->options.root_submissions)
        return error_set(err, -EINVAL,
                         "User 'root' is not allowed to run frameworks without "
                         "--root_submissions set");
    if (info->id != NULL && map_has(&m->completed_ids, info->id->value))
        return error_set(err, -EINVAL, "Framework has been removed");
    return 0;
}

int master_framework_check_suppressed(const Mesos__V1__FrameworkInfo *info, size_t count,
                                      char **roles, struct arena *arena, struct error *err)
{
    const char **allowed;
    size_t allowed_count = framework_roles(info, arena, &allowed);
    const char *strangers =
        list_strangers(arena, (const char *const *)roles, count, allowed, allowed_count);
    if (strangers == NULL)
        return 0;
    return error_set(err, -EINVAL, "Suppressed roles %s are not contained in the set of roles",
                     strangers);
}

static bool info_checkpoint(const Mesos__V1__FrameworkInfo *info)
{
    return info->has_checkpoint && info->checkpoint;
}

int master_framework_check_update(const struct framework *f, const Mesos__V1__FrameworkInfo *info,
                                  struct error *err)
{
    if (!text_is_equal(f->info->principal, info->principal))
        return error_set(err, -EINVAL, "Changing framework's principal is not allowed.");
    if (strcmp(f->info->user, info->user) != 0)
        return error_set(err, -EINVAL,
                         "Updating 'FrameworkInfo.user' is unsupported; attempted to update from "
                         "'%s' to '%s'",
                         f->info->user, info->user);
    if (info_checkpoint(f->info) != info_checkpoint(info))
        return error_set(err, -EINVAL,
                         "Updating 'FrameworkInfo.checkpoint' is unsupported; attempted to update "
                         "from '%s' to '%s'",
                         info_checkpoint(f->info) ? "true" : "false",
                         info_checkpoint(info) ? "true" : "false");
    return 0;
}

// ---- timers ----

static void send_heartbeat(struct timer *timer, struct instant now)
{
    struct framework *f = CONTAINER_OF(timer, struct framework, heartbeat);
    master_framework_send(f, master_make_event(f->master->scratch, EVENT(HEARTBEAT)));
    timer_set(&f->master->timers, timer, now.mono + HEARTBEAT_INTERVAL_NS);
}

static void failover_is_over(struct timer *timer, struct instant now)
{
    (void)now;
    struct framework *f = CONTAINER_OF(timer, struct framework, failover);
    log_info("Framework failover timeout, removing framework %s (%s)", f->id, f->info->name);
    master_framework_remove(f);
}

// ---- life ----

static void set_info(struct framework *f, const Mesos__V1__FrameworkInfo *info,
                     const char *const *suppressed, size_t suppressed_count)
{
    struct arena *old = f->arena;
    struct arena *arena = arena_new(1024, 0);
    Mesos__V1__FrameworkInfo *copy = WIRE_COPY(arena, Mesos__V1__FrameworkInfo, info);
    copy->id = master_make_framework_id(arena, f->id);
    // It goes along with each task that is launched.
    const void *bytes;
    size_t size = wire_pack(&copy->base, &bytes);
    wire_pin(&copy->base, arena, arena_dup(arena, bytes, size), size, 0);
    f->info = copy;
    f->capabilities = framework_capabilities(copy);
    f->role_count = framework_roles(copy, arena, &f->roles);
    f->suppressed = copy_texts(arena, suppressed, suppressed_count);
    f->suppressed_count = suppressed_count;
    if (f->offer_constraints != NULL)
        f->offer_constraints =
            WIRE_COPY(arena, Mesos__V1__Scheduler__OfferConstraints, f->offer_constraints);
    f->arena = arena;
    arena_free(old);
}

// An id that nobody has: a scheduler may have invented one that looks like ours.
static char *make_id(struct master *m)
{
    for (;;) {
        char *id = mem_printf("%s-%04" PRIu64, m->id, m->next_framework++);
        if (!map_has(&m->frameworks, id) && !map_has(&m->completed_ids, id))
            return id;
        mem_free(id);
    }
}

struct framework *master_framework_add(struct master *m, const Mesos__V1__FrameworkInfo *info,
                                       const char *const *suppressed, size_t suppressed_count,
                                       bool recovered)
{
    struct framework *f = mem_zalloc(sizeof(*f));
    f->magic = FRAMEWORK_MAGIC;
    f->master = m;
    if (info->id != NULL && info->id->value[0] != '\0')
        f->id = mem_strdup(info->id->value);
    else
        f->id = make_id(m);
    CHECK(!map_has(&m->frameworks, f->id));
    f->heartbeat.run = send_heartbeat;
    f->failover.run = failover_is_over;
    f->recovered = recovered;
    f->used = resources_new();
    f->offered = resources_new();
    f->registered = m->now.wall;
    f->reregistered = m->now.wall;
    f->seen = m->snapshot;
    list_init(&f->unreachable_order);
    list_init(&f->completed_tasks);
    list_init(&f->offers);
    list_init(&f->unsent);
    list_init(&f->sending);
    list_init(&f->uses);
    list_init(&f->executors);
    list_init(&f->operations);
    list_init(&f->in_completed);
    set_info(f, info, suppressed, suppressed_count);
    map_put(&m->frameworks, f->id, f);
    master_principal_add(f);
    allocator_add_framework(m->allocator, f->id, f->roles, f->role_count, f->suppressed,
                            f->suppressed_count, f->capabilities, false);
    allocator_set_offer_filters(m->allocator, f->id, f->info);
    master_operations_adopt(f);
    return f;
}

struct framework *master_framework_free(struct framework *f)
{
    if (f == NULL)
        return NULL;
    CHECK(f->magic == FRAMEWORK_MAGIC);
    master_before_framework(f);
    while (!list_is_empty(&f->uses))
        list_remove(f->uses.next);
    map_free(&f->operation_ids);
    MAP_FOREACH (&f->tasks, entry)
        master_task_free(entry->value);
    map_free(&f->tasks);
    MAP_FOREACH (&f->unreachable, entry)
        master_task_free(entry->value);
    map_free(&f->unreachable);
    while (!list_is_empty(&f->completed_tasks))
        master_task_free(LIST_ENTRY(f->completed_tasks.next, struct task, by_place));
    resources_free(f->used);
    resources_free(f->offered);
    arena_free(f->arena);
    mem_free(f->id);
    f->magic = 0;
    mem_free(f);
    return NULL;
}

void master_framework_update(struct framework *f, const Mesos__V1__FrameworkInfo *info,
                             const char *const *suppressed, size_t suppressed_count)
{
    struct master *m = f->master;
    master_before_framework(f);
    set_info(f, info, suppressed, suppressed_count);
    // Offers made for a role that it left are worth nothing any more.
    LIST_FOREACH (&f->offers, struct offer, by_framework, o) {
        if (!master_framework_has_role(f, o->role))
            master_offer_rescind(o);
    }
    master_inverse_forget_filters(f);
    allocator_update_framework(m->allocator, f->id, f->roles, f->role_count, f->suppressed,
                               f->suppressed_count, f->capabilities);
    allocator_set_offer_filters(m->allocator, f->id, f->info);
}

int master_framework_read_constraints(struct master *m, const Mesos__V1__FrameworkInfo *info,
                                      const Mesos__V1__Scheduler__OfferConstraints *message,
                                      struct constraints **ret_constraints, struct error *err)
{
    *ret_constraints = NULL;
    if (message == NULL || message->n_role_constraints == 0)
        return 0;
    const char **roles;
    size_t count = framework_roles(info, m->scratch, &roles);
    for (size_t i = 0; i < message->n_role_constraints; i++) {
        const char *role = message->role_constraints[i]->key;
        if (role == NULL || !is_in(role, roles, count))
            return error_set(err, -EINVAL,
                             "Offer constraints specify `role_constraints` for a role '%s'not "
                             "contained in the set of roles",
                             role != NULL ? role : "");
    }
    const struct pattern_limits limits = {.memory_max = m->options.constraints_memory_max,
                                          .program_max = m->options.constraints_program_max};
    int r = constraints_new(message, &limits, ret_constraints, err);
    return r < 0 ? error_wrap(err, r, "Offer constraints are not valid") : 0;
}

void master_framework_tell_agents(struct framework *f)
{
    LIST_FOREACH (&f->uses, struct agent_use, by_framework, use)
        master_agent_send_framework_info(use->agent, f);
}

static void send_subscribed(struct framework *f)
{
    struct master *m = f->master;
    Mesos__V1__Scheduler__Event *event = master_make_event(m->scratch, EVENT(SUBSCRIBED));
    Mesos__V1__Scheduler__Event__Subscribed *subscribed =
        WIRE_NEW(m->scratch, Mesos__V1__Scheduler__Event__Subscribed,
                 mesos__v1__scheduler__event__subscribed);
    subscribed->framework_id = master_make_framework_id(m->scratch, f->id);
    subscribed->has_heartbeat_interval_seconds = true;
    subscribed->heartbeat_interval_seconds = (double)HEARTBEAT_INTERVAL_NS / (double)NS_PER_S;
    subscribed->master_info = m->info;
    event->subscribed = subscribed;
    master_framework_send(f, event);
}

// SUBSCRIBED goes out, then the first heartbeat, as in Mesos.
static void connect_framework(struct framework *f, struct master_subscriber *subscriber,
                              const char *stream_id)
{
    struct master *m = f->master;
    master_before_framework(f);
    f->subscriber = subscriber;
    subscriber->framework = f;
    memset(f->stream_id, 0, sizeof(f->stream_id));
    strncpy(f->stream_id, stream_id, sizeof(f->stream_id) - 1);
    f->recovered = false;
    f->calls[CALL(SUBSCRIBE)]++;
    timer_cancel(&m->timers, &f->failover);
    if (!f->active) {
        f->active = true;
        allocator_activate_framework(m->allocator, f->id);
    }
    send_subscribed(f);
    send_heartbeat(&f->heartbeat, m->now);
    master_operations_resend(f);
}

void master_framework_set_constraints(struct framework *f,
                                      const Mesos__V1__Scheduler__OfferConstraints *message,
                                      struct constraints *constraints)
{
    allocator_set_constraints(f->master->allocator, f->id, constraints);
    f->offer_constraints =
        message != NULL ? WIRE_COPY(f->arena, Mesos__V1__Scheduler__OfferConstraints, message)
                        : NULL;
}

// Takes the constraints over.
static void subscribe_known(struct framework *f, Mesos__V1__Scheduler__Call__Subscribe *call,
                            struct constraints *constraints, struct master_subscriber *subscriber,
                            const char *stream_id)
{
    struct master *m = f->master;
    Mesos__V1__FrameworkInfo *info = call->framework_info;
    // These two cannot change; what it says now is passed over, as Mesos does.
    info->user = f->info->user;
    info->has_checkpoint = f->info->has_checkpoint;
    info->checkpoint = f->info->checkpoint;
    struct error err;
    if (master_framework_check_update(f, info, &err) < 0) {
        constraints_free(constraints);
        master_subscriber_refuse(m, subscriber, err.text);
        return;
    }
    master_framework_update(f, info, (const char *const *)call->suppressed_roles,
                            call->n_suppressed_roles);
    master_framework_set_constraints(f, call->offer_constraints, constraints);
    master_before_framework(f);
    f->reregistered = m->now.wall;
    if (f->recovered)
        f->registered = m->now.wall;
    if (f->subscriber != NULL) {
        log_info("Framework %s (%s) failed over", f->id, f->info->name);
        master_framework_send_error(f, "Framework failed over");
        struct master_subscriber *old = f->subscriber;
        f->subscriber = NULL;
        old->framework = NULL;
        m->ops->close_subscriber(m->ctx, old);
    }
    // The new scheduler knows nothing of the offers that the old one got.
    master_inverse_forget_framework(f, false);
    LIST_FOREACH (&f->offers, struct offer, by_framework, o)
        master_offer_discard(o, -1);
    connect_framework(f, subscriber, stream_id);
    master_framework_tell_agents(f);
    master_notice_framework(f, NOTICE_FRAMEWORK_UPDATED);
}

void master_subscribe(struct master *m, Mesos__V1__Scheduler__Call__Subscribe *call,
                      struct master_subscriber *subscriber, const char *stream_id,
                      struct instant now)
{
    master_enter(m, now);
    Mesos__V1__FrameworkInfo *info = call->framework_info;
    bool has_id = info->id != NULL && info->id->value[0] != '\0';
    master_count(m,
                 has_id ? COUNT_MESSAGES_REREGISTER_FRAMEWORK : COUNT_MESSAGES_REGISTER_FRAMEWORK);
    struct error err;
    int r = master_framework_check_info(m, info, &err);
    if (r == 0)
        r = master_framework_check_suppressed(info, call->n_suppressed_roles,
                                              call->suppressed_roles, m->scratch, &err);
    struct constraints *constraints = NULL;
    if (r == 0)
        r = master_framework_read_constraints(m, info, call->offer_constraints, &constraints, &err);
    if (r < 0) {
        log_info("Refusing subscription of framework '%s': %s", info->name, err.text);
        master_subscriber_refuse(m, subscriber, err.text);
        return;
    }
    log_info("Subscribing framework '%s' with checkpointing %s", info->name,
             info_checkpoint(info) ? "enabled" : "disabled");
    struct framework *f = has_id ? master_framework(m, info->id->value) : NULL;
    if (f == NULL) {
        f = master_framework_add(m, info, (const char *const *)call->suppressed_roles,
                                 call->n_suppressed_roles, false);
        master_framework_set_constraints(f, call->offer_constraints, constraints);
        connect_framework(f, subscriber, stream_id);
        master_notice_framework(f, NOTICE_FRAMEWORK_ADDED);
    } else {
        subscribe_known(f, call, constraints, subscriber, stream_id);
    }
}

static void deactivate(struct framework *f)
{
    master_before_framework(f);
    if (f->active) {
        f->active = false;
        allocator_deactivate_framework(f->master->allocator, f->id);
    }
    LIST_FOREACH (&f->offers, struct offer, by_framework, o)
        master_offer_discard(o, -1);
    master_inverse_forget_framework(f, false);
}

static void disconnect(struct framework *f)
{
    master_before_framework(f);
    if (f->subscriber != NULL)
        f->subscriber->framework = NULL;
    f->subscriber = NULL;
    f->stream_id[0] = '\0';
    timer_cancel(&f->master->timers, &f->heartbeat);
    deactivate(f);
}

void master_subscriber_closed(struct master *m, struct master_subscriber *subscriber,
                              struct instant now)
{
    master_enter(m, now);
    struct framework *f = subscriber->framework;
    if (f == NULL)
        return;
    CHECK(f->magic == FRAMEWORK_MAGIC && f->subscriber == subscriber);
    disconnect(f);
    // Validation keeps the timeout within what a duration can hold.
    double seconds = f->info->has_failover_timeout ? f->info->failover_timeout : 0;
    if (seconds > 9e9)
        seconds = 9e9;
    log_info("Framework %s (%s) disconnected; it has %g seconds to fail over", f->id, f->info->name,
             seconds);
    int64_t delay = (int64_t)(seconds * (double)NS_PER_S);
    int64_t deadline = now.mono > INT64_MAX - delay ? INT64_MAX : now.mono + delay;
    timer_set(&m->timers, &f->failover, deadline);
}

// ---- removal ----

static void kill_tasks(struct framework *f)
{
    struct master *m = f->master;
    const char *message = arena_printf(m->scratch, "Framework %s removed", f->id);
    MAP_FOREACH (&f->tasks, entry) {
        struct task *t = entry->value;
        Mesos__V1__TaskStatus *status = master_make_status(m, t->id, t->agent_id, STATE(KILLED),
                                                           REASON(FRAMEWORK_REMOVED), message);
        if (t->executor_id != NULL)
            status->executor_id = master_make_executor_id(m->scratch, t->executor_id);
        master_task_update(t, status, STATE(KILLED));
        master_task_finish(t);
    }
    MAP_FOREACH (&f->unreachable, entry) {
        struct task *t = entry->value;
        Mesos__V1__TaskStatus *status = master_make_status(m, t->id, t->agent_id, STATE(KILLED),
                                                           REASON(FRAMEWORK_REMOVED), message);
        master_task_update(t, status, STATE(KILLED));
        master_task_finish(t);
    }
}

static void keep_completed(struct framework *f)
{
    struct master *m = f->master;
    f->completed = true;
    list_append(&m->completed, &f->in_completed);
    map_put(&m->completed_ids, f->id, f);
    m->completed_count++;
    while (m->completed_count > m->options.max_completed_frameworks) {
        struct framework *oldest = LIST_ENTRY(m->completed.next, struct framework, in_completed);
        list_remove(&oldest->in_completed);
        map_remove(&m->completed_ids, oldest->id);
        m->completed_count--;
        master_framework_free(oldest);
    }
}

void master_framework_remove(struct framework *f)
{
    struct master *m = f->master;
    log_info("Removing framework %s (%s)", f->id, f->info->name);
    deactivate(f);
    LIST_FOREACH (&f->uses, struct agent_use, by_framework, use)
        master_agent_send_shutdown_framework(use->agent, f->id);
    kill_tasks(f);
    while (!list_is_empty(&f->executors))
        master_executor_remove(LIST_ENTRY(f->executors.next, struct executor, by_framework), true);
    timer_cancel(&m->timers, &f->heartbeat);
    timer_cancel(&m->timers, &f->failover);
    f->unregistered = m->now.wall;
    if (f->subscriber != NULL) {
        struct master_subscriber *subscriber = f->subscriber;
        f->subscriber = NULL;
        subscriber->framework = NULL;
        m->ops->close_subscriber(m->ctx, subscriber);
    }
    f->stream_id[0] = '\0';
    list_remove(&f->sending);
    CHECK(list_is_empty(&f->uses));
    master_inverse_forget_framework(f, true);
    map_remove(&m->frameworks, f->id);
    m->recent_framework = NULL;
    master_principal_remove(f);
    allocator_remove_framework(m->allocator, f->id);
    master_operations_orphan(f);
    master_notice_framework(f, NOTICE_FRAMEWORK_REMOVED);
    keep_completed(f);
}
