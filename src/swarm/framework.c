// SPDX-License-Identifier: Apache-2.0
//
// A simulated framework: its subscription, the account of its tasks, and its calls. What it does
// with offers is its behaviour's matter (behaviour.c). Its tasks are numbers; a task that was lost
// through trouble is launched once more under the same number only after the master said that it
// ended.

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "model/resources.h"
#include "model/task_state.h"
#include "swarm/internal.h"
#include "wire/wire.h"

#define RECONCILE_NS (3 * NS_PER_S)

enum { COMPLAINTS_MAX = 5, CHOICES_MAX = 100 };

void swarm_framework_send(struct swarm_framework *f, Mesos__V1__Scheduler__Call *call)
{
    struct error err;
    call->has_type = true;
    // While there is no master, what was to be said is void; the next subscription makes it plain.
    scheduler_send(f->scheduler, call, &err);
}

// ---- the account ----

static void note_done(struct swarm_framework *f)
{
    if (f->ended == f->task_count) {
        f->swarm->frameworks_done++;
        swarm_check_done(f->swarm);
    }
}

static bool is_expected_end(const struct swarm_framework *f, Mesos__V1__TaskState state)
{
    switch (state) {
    case MESOS__V1__TASK_STATE__TASK_FINISHED:
        return true;
    case MESOS__V1__TASK_STATE__TASK_FAILED:
        return f->swarm->options->task_failures > 0;
    case MESOS__V1__TASK_STATE__TASK_KILLED:
        return f->behaviour == BEHAVES_SERVICE;
    default:
        return false;
    }
}

// An ACCEPT may cross the end of its offer; a task may go down with its agent.
static bool may_be_lost(const struct swarm_framework *f, Mesos__V1__TaskState state)
{
    bool is_loss =
        state == MESOS__V1__TASK_STATE__TASK_LOST || state == MESOS__V1__TASK_STATE__TASK_UNKNOWN ||
        state == MESOS__V1__TASK_STATE__TASK_DROPPED || state == MESOS__V1__TASK_STATE__TASK_GONE;
    return is_loss && (f->was_rescinded || swarm_is_troubled(f->swarm));
}

static void task_ended(struct swarm_framework *f, uint64_t number,
                       const Mesos__V1__TaskStatus *status)
{
    struct swarm *s = f->swarm;
    struct wanted_task *t = &f->tasks[number];
    if (t->state == ENDED || t->state == WANTED)
        return;
    f->active--;
    if (t->state == RUNNING) {
        f->running--;
        s->running--;
    }
    if ((unsigned)status->state < ARRAY_COUNT(s->states))
        s->states[status->state]++;
    if (may_be_lost(f, status->state)) {
        t->state = WANTED;
        t->attempt++;
        f->again[f->again_count++] = number;
        swarm_behave_ended(f);
        return;
    }
    if (!is_expected_end(f, status->state))
        swarm_fail(s, "Task %s of framework %u (%s) ended as %s: %s", status->task_id->value,
                   f->number, swarm_behaviour_name(f->behaviour), task_state_name(status->state),
                   status->message != NULL ? status->message : "no reason given");
    t->state = ENDED;
    f->ended++;
    s->last_end_at = env_now(s->env).mono;
    swarm_behave_ended(f);
    note_done(f);
}

static void task_moved(struct swarm_framework *f, uint64_t number,
                       const Mesos__V1__TaskStatus *status)
{
    struct swarm *s = f->swarm;
    struct wanted_task *t = &f->tasks[number];
    if (status->state == MESOS__V1__TASK_STATE__TASK_RUNNING && t->state == ACCEPTED) {
        if (swarm_is_warm(s, t->accepted_at))
            histogram_add(&s->accept_to_running, env_now(s->env).mono - t->accepted_at);
        t->state = RUNNING;
        f->running++;
        if (++s->running > s->running_max)
            s->running_max = s->running;
        swarm_check_settled(s);
    }
}

char *swarm_task_id(struct arena *arena, uint64_t number, unsigned attempt)
{
    return attempt == 0 ? arena_printf(arena, "%llu", (unsigned long long)number)
                        : arena_printf(arena, "%llu-%u", (unsigned long long)number, attempt);
}

bool swarm_parse_task_id(const char *id, uint64_t *ret_number, unsigned *ret_attempt)
{
    char *end;
    *ret_number = strtoull(id, &end, 10);
    *ret_attempt = 0;
    if (end != id && *end == '-')
        *ret_attempt = (unsigned)strtoul(end + 1, &end, 10);
    return *end == '\0';
}

static void on_update(struct swarm_framework *f, const Mesos__V1__TaskStatus *status)
{
    uint64_t number;
    unsigned attempt;
    bool is_ours = swarm_parse_task_id(status->task_id->value, &number, &attempt);
    swarm_behave_update(f, status);
    if (!is_ours || number >= f->task_count) {
        swarm_fail(f->swarm, "An update for a task that framework %u never had: %s", f->number,
                   status->task_id->value);
        return;
    }
    if (attempt != f->tasks[number].attempt)
        return; // it was given up
    bool is_unknown = status->state == MESOS__V1__TASK_STATE__TASK_UNKNOWN;
    if (task_state_is_terminal(status->state) || is_unknown)
        task_ended(f, number, status);
    else
        task_moved(f, number, status);
}

// ---- events ----

// Asks what became of the tasks that were launched and not heard of: the master that was to launch
// them is gone, perhaps before it did.
static void reconcile(struct swarm_framework *f, int64_t now)
{
    Mesos__V1__Scheduler__Call call = MESOS__V1__SCHEDULER__CALL__INIT;
    Mesos__V1__Scheduler__Call__Reconcile body = MESOS__V1__SCHEDULER__CALL__RECONCILE__INIT;
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    f->reconciled_at = now;
    body.tasks = arena_calloc(arena, f->active + 1, sizeof(*body.tasks));
    for (uint64_t i = 0; i < f->next && body.n_tasks < f->active; i++) {
        if (f->tasks[i].state != ACCEPTED || now - f->tasks[i].accepted_at < RECONCILE_NS)
            continue;
        Mesos__V1__Scheduler__Call__Reconcile__Task *task =
            WIRE_NEW(arena, Mesos__V1__Scheduler__Call__Reconcile__Task,
                     mesos__v1__scheduler__call__reconcile__task);
        task->task_id = WIRE_NEW(arena, Mesos__V1__TaskID, mesos__v1__task_id);
        task->task_id->value = swarm_task_id(arena, i, f->tasks[i].attempt);
        body.tasks[body.n_tasks++] = task;
    }
    call.type = MESOS__V1__SCHEDULER__CALL__TYPE__RECONCILE;
    call.reconcile = &body;
    if (body.n_tasks > 0)
        swarm_framework_send(f, &call);
}

void swarm_frameworks_each_second(struct swarm *s, struct instant now)
{
    for (size_t i = 0; swarm_is_troubled(s) && i < s->framework_count; i++) {
        struct swarm_framework *f = &s->frameworks[i];
        if (f->is_subscribed && f->active > f->running &&
            now.mono - f->reconciled_at > RECONCILE_NS)
            reconcile(f, now.mono);
    }
}

static void on_subscribed(struct swarm_framework *f)
{
    struct swarm *s = f->swarm;
    if (!f->is_subscribed)
        s->subscribed++;
    f->is_subscribed = true;
    f->is_suppressed = false;
    swarm_behave_forget_offers(f);
    swarm_check_settled(s);
}

static void on_event(void *ctx, const Mesos__V1__Scheduler__Event *event)
{
    struct swarm_framework *f = ctx;
    struct swarm *s = f->swarm;
    switch (event->type) {
    case MESOS__V1__SCHEDULER__EVENT__TYPE__SUBSCRIBED:
        on_subscribed(f);
        break;
    case MESOS__V1__SCHEDULER__EVENT__TYPE__OFFERS:
        swarm_behave_offers(f, event->offers);
        break;
    case MESOS__V1__SCHEDULER__EVENT__TYPE__RESCIND:
        s->rescinded++;
        f->was_rescinded = true;
        swarm_behave_rescind(f, event->rescind->offer_id->value);
        break;
    case MESOS__V1__SCHEDULER__EVENT__TYPE__UPDATE:
        arena_reset(s->scratch);
        on_update(f, event->update->status);
        break;
    default:
        break; // heartbeats; failures of agents, which updates tell as well
    }
}

static void on_disconnected(void *ctx, const struct error *why)
{
    struct swarm_framework *f = ctx;
    if (f->is_subscribed) {
        char what[ERROR_TEXT_SIZE + 64];
        f->is_subscribed = false;
        f->swarm->subscribed--;
        snprintf(what, sizeof(what), "Framework %u lost its stream: %s", f->number, why->text);
        swarm_note_loss(f->swarm, what);
    }
    swarm_behave_forget_offers(f);
}

static void on_refused(void *ctx, const struct error *why)
{
    struct swarm_framework *f = ctx;
    if (f->swarm->phase < SWARM_ENDS)
        swarm_fail(f->swarm, "The master will not have framework %u: %s", f->number, why->text);
}

static void on_call_refused(void *ctx, Mesos__V1__Scheduler__Call__Type type, int status,
                            const char *text)
{
    struct swarm_framework *f = ctx;
    f->swarm->refused_calls++;
    if (f->swarm->phase < SWARM_ENDS && !f->swarm->options->survive_master)
        swarm_fail(f->swarm, "A call (%d) of framework %u was answered %d: %s", (int)type,
                   f->number, status, text);
}

// ---- birth and end ----

static int subscribe(struct swarm_framework *f, struct error *err)
{
    static const struct scheduler_callbacks callbacks = {
        .on_event = on_event,
        .on_disconnected = on_disconnected,
        .on_refused = on_refused,
        .on_call_refused = on_call_refused,
    };
    struct swarm *s = f->swarm;
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    Mesos__V1__FrameworkInfo info = MESOS__V1__FRAMEWORK_INFO__INIT;
    Mesos__V1__FrameworkInfo__Capability aware = MESOS__V1__FRAMEWORK_INFO__CAPABILITY__INIT;
    Mesos__V1__FrameworkInfo__Capability roles = MESOS__V1__FRAMEWORK_INFO__CAPABILITY__INIT;
    Mesos__V1__FrameworkInfo__Capability *capabilities[] = {&aware, &roles};
    char *role;
    aware.has_type = roles.has_type = true;
    aware.type = MESOS__V1__FRAMEWORK_INFO__CAPABILITY__TYPE__PARTITION_AWARE;
    roles.type = MESOS__V1__FRAMEWORK_INFO__CAPABILITY__TYPE__MULTI_ROLE;
    info.user = arena_strdup(arena, "root");
    info.name = arena_printf(arena, "swarm-%s-%u", swarm_behaviour_name(f->behaviour), f->number);
    info.has_failover_timeout = true;
    info.failover_timeout = 3600;
    info.has_checkpoint = true;
    info.checkpoint = f->behaviour == BEHAVES_SERVICE;
    info.capabilities = capabilities;
    info.n_capabilities = 1;
    if (s->options->roles > 0) {
        role =
            arena_printf(arena, "swarm-%llu", (unsigned long long)(f->number % s->options->roles));
        info.roles = &role;
        info.n_roles = 1;
        info.n_capabilities = 2;
    }
    struct scheduler_options options = {.master = s->options->master,
                                        .content = CONTENT_PROTOBUF,
                                        .framework_info = &info,
                                        .backoff_min_ns = 50 * NS_PER_MS,
                                        .backoff_max_ns = 500 * NS_PER_MS};
    return scheduler_new(s->env, &options, &callbacks, f, &f->scheduler, err);
}

int swarm_frameworks_begin(struct swarm *s, struct error *err)
{
    s->frameworks_began = true;
    for (size_t i = 0; i < s->framework_count; i++) {
        int r = subscribe(&s->frameworks[i], err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int read_needs(struct swarm *s, struct error *err)
{
    AUTO_RESOURCES struct resources *need = NULL;
    AUTO_RESOURCES struct resources *total = NULL;
    int r = resources_parse(s->options->task_resources, "*", &need, err);
    if (r < 0)
        return error_wrap(err, r, "--task_resources");
    s->need_count = resources_to_proto(need, s->arena, RESOURCES_OLD_FORM, false, &s->needs);
    if (s->need_count == 0 || s->need_count > SWARM_NEEDS_MAX)
        return error_set(err, -EINVAL, "--task_resources: from 1 to %d kinds", SWARM_NEEDS_MAX);
    r = resources_parse(s->options->agent_resources, "*", &total, err);
    if (r < 0)
        return error_wrap(err, r, "--agent_resources");
    uint64_t per_agent = UINT64_MAX;
    for (size_t i = 0; i < s->need_count; i++) {
        if (s->needs[i]->type != MESOS__V1__VALUE__TYPE__SCALAR)
            return error_set(err, -EINVAL, "--task_resources: %s is no scalar", s->needs[i]->name);
        uint64_t fit = (uint64_t)(resources_scalar(total, s->needs[i]->name) /
                                  resources_scalar(need, s->needs[i]->name));
        per_agent = fit < per_agent ? fit : per_agent;
    }
    if (per_agent == 0 && s->options->tasks > 0 && s->agent_count > 0)
        return error_set(err, -EINVAL, "--task_resources: no task fits on an agent");
    s->slots = per_agent * s->agent_count;
    return 0;
}

static void make_labels(struct swarm *s)
{
    size_t count = s->options->task_labels;
    if (count == 0)
        return;
    s->labels = WIRE_NEW(s->arena, Mesos__V1__Labels, mesos__v1__labels);
    s->labels->labels = arena_calloc(s->arena, count, sizeof(*s->labels->labels));
    for (size_t i = 0; i < count; i++) {
        Mesos__V1__Label *label = WIRE_NEW(s->arena, Mesos__V1__Label, mesos__v1__label);
        label->key = arena_printf(s->arena, "key%zu", i);
        label->value = arena_printf(s->arena, "value%zu", i);
        s->labels->labels[s->labels->n_labels++] = label;
    }
}

// The behaviours of --behaviours take turns.
static int choose_behaviours(struct swarm *s, struct error *err)
{
    enum swarm_behaviour chosen[CHOICES_MAX];
    size_t count = 0;
    const char *at = s->options->behaviours;
    do {
        size_t size = strcspn(at, ",");
        int behaviour = swarm_behaviour_find(at, size);
        if (behaviour < 0)
            return error_set(err, -EINVAL, "--behaviours: '%.*s' is none of %s", (int)size, at,
                             swarm_behaviour_names());
        if (count == CHOICES_MAX)
            return error_set(err, -EINVAL, "--behaviours: at most %d", CHOICES_MAX);
        chosen[count++] = (enum swarm_behaviour)behaviour;
        at += size;
    } while (*at++ == ',');
    for (size_t i = 0; i < s->framework_count; i++)
        s->frameworks[i].behaviour = chosen[i % count];
    return 0;
}

int swarm_frameworks_init(struct swarm *s, struct error *err)
{
    int r = read_needs(s, err);
    if (r < 0)
        return r;
    make_labels(s);
    size_t count = s->options->frameworks;
    s->framework_count = count;
    s->frameworks = mem_calloc(count + 1, sizeof(*s->frameworks));
    for (size_t i = 0; i < count; i++) {
        s->frameworks[i].swarm = s;
        list_init(&s->frameworks[i].held_order);
        list_init(&s->frameworks[i].delayed);
    }
    r = choose_behaviours(s, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < count; i++) {
        struct swarm_framework *f = &s->frameworks[i];
        f->number = (uint32_t)i;
        f->task_count = s->options->tasks / count + (i < s->options->tasks % count);
        f->tasks = mem_calloc(f->task_count + 1, sizeof(*f->tasks));
        f->again = mem_calloc(f->task_count + 1, sizeof(*f->again));
        prng_seed(&f->prng, s->options->seed * UINT64_C(0xd1342543de82ef95) + i);
        if (f->task_count == 0)
            s->frameworks_done++;
        swarm_behave_init(f);
    }
    return 0;
}

void swarm_frameworks_free(struct swarm *s)
{
    for (size_t i = 0; s->frameworks != NULL && i < s->framework_count; i++) {
        struct swarm_framework *f = &s->frameworks[i];
        f->scheduler = scheduler_free(f->scheduler);
        swarm_behave_free(f);
        mem_free(f->tasks);
        mem_free(f->again);
    }
    mem_free(s->frameworks);
    s->frameworks = NULL;
}

void swarm_frameworks_tear_down(struct swarm *s)
{
    for (size_t i = 0; i < s->framework_count; i++) {
        Mesos__V1__Scheduler__Call call = MESOS__V1__SCHEDULER__CALL__INIT;
        call.type = MESOS__V1__SCHEDULER__CALL__TYPE__TEARDOWN;
        swarm_behave_forget_offers(&s->frameworks[i]);
        if (s->frameworks[i].is_subscribed)
            swarm_framework_send(&s->frameworks[i], &call);
    }
}

size_t swarm_frameworks_pending(const struct swarm *s)
{
    size_t pending = 0;
    for (size_t i = 0; i < s->framework_count; i++)
        if (s->frameworks[i].scheduler != NULL)
            pending += scheduler_pending(s->frameworks[i].scheduler);
    return pending;
}

void swarm_frameworks_complain(struct swarm *s)
{
    static const char *const names[] = {"never launched", "accepted, and never seen running",
                                        "running, and never ended"};
    unsigned told = 0;
    for (size_t i = 0; i < s->framework_count; i++) {
        const struct swarm_framework *f = &s->frameworks[i];
        for (uint64_t k = 0; k < f->task_count; k++) {
            const struct wanted_task *t = &f->tasks[k];
            if (t->state == ENDED || (s->options->hold && !s->is_released && t->state == RUNNING))
                continue;
            if (told++ < COMPLAINTS_MAX)
                swarm_say(s, "Task %llu of framework %u (%s, %s): %s", (unsigned long long)k,
                          f->number, scheduler_framework_id(f->scheduler),
                          swarm_behaviour_name(f->behaviour), names[t->state]);
        }
    }
    if (told > 0)
        swarm_fail(s, "%u tasks did not end", told);
}

// ---- fairness ----

// Shares are compared while the agents are nearly full, among those that would take any offer.
void swarm_frameworks_sample(struct swarm *s)
{
    uint64_t active = 0, hungry = 0, hungry_active = 0;
    for (size_t i = 0; i < s->framework_count; i++) {
        const struct swarm_framework *f = &s->frameworks[i];
        active += f->active;
        if (f->behaviour == BEHAVES_GREEDY && swarm_framework_wants(f) > 0) {
            hungry++;
            hungry_active += f->active;
        }
    }
    if (hungry < 2 || hungry_active == 0 || active * 10 < s->slots * 9 ||
        !swarm_is_warm(s, env_now(s->env).mono))
        return;
    double mean = (double)hungry_active / (double)hungry;
    s->samples++;
    for (size_t i = 0; i < s->framework_count; i++) {
        struct swarm_framework *f = &s->frameworks[i];
        if (f->behaviour != BEHAVES_GREEDY || swarm_framework_wants(f) == 0)
            continue;
        double ratio = (double)f->active / mean;
        f->ratio_sum += ratio;
        f->ratio_count++;
        double off = ratio > 1 ? ratio - 1 : 1 - ratio;
        if (off > s->worst_ratio)
            s->worst_ratio = off;
    }
}
