// SPDX-License-Identifier: Apache-2.0
//
// A simulated agent: it registers, answers pings, comes back after a loss, and gets into trouble of
// its own at a given rate.
//
//   OFF ──(connection)──> WAITS ──(its turn)──> REGISTERING ──(admitted)──> REGISTERED
//    ^                      ^ ^──(channel closed, refused)──┘                  │  │
//    │                      └────────────(the trouble is over)──── CUT <───────┘  │
//    └──────────────────────────────(connection lost)─────────────────────────────┘
//
// Few register at a time, so that the master's answers and the swarm's patience are bounded.

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "model/resources.h"
#include "swarm/internal.h"
#include "wire/wire.h"

#define ANSWER_PATIENCE_NS (10 * NS_PER_S)
#define PING_PATIENCE_NS (90 * NS_PER_S)

enum { REGISTERING_MAX = 2000 };

static void register_next(struct swarm *s);

// ---- messages ----

static Meseta__Link__AgentDescription *describe(struct swarm_agent *a, struct arena *arena)
{
    static const Mesos__V1__AgentInfo__Capability__Type types[] = {
        MESOS__V1__AGENT_INFO__CAPABILITY__TYPE__MULTI_ROLE,
        MESOS__V1__AGENT_INFO__CAPABILITY__TYPE__HIERARCHICAL_ROLE,
        MESOS__V1__AGENT_INFO__CAPABILITY__TYPE__RESERVATION_REFINEMENT,
    };
    Meseta__Link__AgentDescription *d =
        WIRE_NEW(arena, Meseta__Link__AgentDescription, meseta__link__agent_description);
    d->info = WIRE_NEW(arena, Mesos__V1__AgentInfo, mesos__v1__agent_info);
    d->info->hostname = arena_printf(arena, "swarm-%u", a->number);
    d->info->has_port = true;
    d->info->port = 5051;
    d->info->resources = a->swarm->agent_resources;
    d->info->n_resources = a->swarm->agent_resource_count;
    if (a->id != NULL) {
        d->info->id = WIRE_NEW(arena, Mesos__V1__AgentID, mesos__v1__agent_id);
        d->info->id->value = a->id;
    }
    d->version = arena_strdup(arena, "1.11.0");
    d->pid = arena_printf(arena, "slave(%u)@%s:5051", a->number, link_local_ip(a->conn->link));
    d->n_capabilities = ARRAY_COUNT(types);
    d->capabilities = arena_calloc(arena, d->n_capabilities, sizeof(*d->capabilities));
    for (size_t i = 0; i < d->n_capabilities; i++) {
        d->capabilities[i] =
            WIRE_NEW(arena, Mesos__V1__AgentInfo__Capability, mesos__v1__agent_info__capability);
        d->capabilities[i]->has_type = true;
        d->capabilities[i]->type = types[i];
    }
    return d;
}

static void ask(struct swarm_agent *a, int64_t now)
{
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    Meseta__Link__ToMaster message = MESETA__LINK__TO_MASTER__INIT;
    Meseta__Link__ToMaster__Register first = MESETA__LINK__TO_MASTER__REGISTER__INIT;
    Meseta__Link__ToMaster__Reregister again = MESETA__LINK__TO_MASTER__REREGISTER__INIT;
    if (a->id == NULL) {
        first.agent = describe(a, arena);
        message.type = MESETA__LINK__TO_MASTER__TYPE__REGISTER;
        message.register_ = &first;
    } else {
        again.agent = describe(a, arena);
        again.n_frameworks = swarm_tasks_describe(a, arena, &again.frameworks);
        message.type = MESETA__LINK__TO_MASTER__TYPE__REREGISTER;
        message.reregister = &again;
    }
    a->asked_at = now;
    swarm_agent_send(a, &message);
}

static void send_plain(struct swarm_agent *a, Meseta__Link__ToMaster__Type type)
{
    Meseta__Link__ToMaster message = MESETA__LINK__TO_MASTER__INIT;
    message.type = type;
    swarm_agent_send(a, &message);
}

// ---- states ----

static void set_state(struct swarm_agent *a, enum swarm_agent_state state)
{
    struct swarm *s = a->swarm;
    if (a->state == AGENT_REGISTERING)
        s->registering_count--;
    if (a->state == AGENT_REGISTERED)
        s->registered--;
    if (a->state == AGENT_CUT)
        s->cut--;
    list_remove(&a->registering);
    a->state = state;
    switch (state) {
    case AGENT_WAITS:
        list_append(&s->to_register, &a->registering);
        break;
    case AGENT_REGISTERING:
        list_append(&s->registering, &a->registering);
        s->registering_count++;
        break;
    case AGENT_REGISTERED:
        s->registered++;
        break;
    case AGENT_CUT:
        s->cut++;
        break;
    case AGENT_OFF:
        break;
    }
}

static void register_next(struct swarm *s)
{
    int64_t now = env_now(s->env).mono;
    while (s->registering_count < REGISTERING_MAX && !list_is_empty(&s->to_register)) {
        struct swarm_agent *a = LIST_ENTRY(s->to_register.next, struct swarm_agent, registering);
        set_state(a, AGENT_REGISTERING);
        ask(a, now);
    }
}

void swarm_agent_opened(struct swarm_agent *a)
{
    if (a->state == AGENT_CUT)
        return; // it comes when its trouble is over
    set_state(a, AGENT_WAITS);
    register_next(a->swarm);
}

void swarm_agent_lost(struct swarm_agent *a)
{
    if (a->state != AGENT_CUT)
        set_state(a, AGENT_OFF);
}

// Begins anew over the same connection.
static void begin_anew(struct swarm_agent *a)
{
    if (a->conn->is_open) {
        set_state(a, AGENT_WAITS);
        register_next(a->swarm);
    } else {
        set_state(a, AGENT_OFF);
    }
}

void swarm_agent_channel_closed(struct swarm_agent *a)
{
    if (a->state == AGENT_CUT || a->swarm->phase == SWARM_LEAVES)
        return;
    // Behind a channel that we closed the master closes nothing: it let go of this agent.
    if (!swarm_is_troubled(a->swarm))
        swarm_fail(a->swarm, "The master dropped agent %u (%s)", a->number,
                   a->id != NULL ? a->id : "not registered");
    begin_anew(a);
}

// ---- trouble ----

static bool has_trouble(const struct swarm *s)
{
    return s->options->partitions > 0 || s->options->restarts > 0;
}

static void plan_trouble(struct swarm_agent *a)
{
    const struct swarm_options *o = a->swarm->options;
    double per_hour = o->partitions + o->restarts;
    double hours = -log(1 - prng_unit(&a->prng)) / per_hour;
    a->restarts = prng_unit(&a->prng) * per_hour >= o->partitions;
    if (hours < 1000)
        env_timer_set(a->swarm->env, &a->trouble, (int64_t)(hours * 3600e9));
}

static void begin_trouble(struct swarm_agent *a)
{
    struct swarm *s = a->swarm;
    if (a->state != AGENT_REGISTERED || s->phase != SWARM_RUNS) {
        plan_trouble(a);
        return;
    }
    if (a->restarts) {
        s->restarts++;
        swarm_tasks_drop(a, false);
    } else {
        s->partitions++;
    }
    set_state(a, AGENT_CUT);
    double part = 0.1 + 0.9 * prng_unit(&a->prng);
    env_timer_set(s->env, &a->trouble, (int64_t)(part * (double)s->options->outage));
}

static void end_trouble(struct swarm_agent *a)
{
    struct swarm_conn *conn = a->conn;
    bool is_alone = conn->agent_count == 1;
    plan_trouble(a);
    set_state(a, AGENT_OFF);
    if (is_alone) {
        swarm_conn_drop(conn);
    } else if (conn->is_open) {
        swarm_agent_close_channel(a);
        begin_anew(a);
    }
}

static void trouble_due(struct timer *timer, struct instant now)
{
    (void)now;
    struct swarm_agent *a = CONTAINER_OF(timer, struct swarm_agent, trouble);
    if (a->state == AGENT_CUT)
        end_trouble(a);
    else
        begin_trouble(a);
}

// ---- what the master says ----

static void admitted(struct swarm_agent *a, const Meseta__Link__ToAgent__Registered *registered)
{
    struct swarm *s = a->swarm;
    if (a->state != AGENT_REGISTERING || registered == NULL)
        return;
    if (a->id == NULL)
        a->id = arena_strdup(s->arena, registered->agent_id->value);
    a->pinged_at = env_now(s->env).mono;
    bool is_first = !a->was_registered;
    a->was_registered = true;
    set_state(a, AGENT_REGISTERED);
    swarm_tasks_send_again(a);
    if (is_first && has_trouble(s))
        plan_trouble(a);
    register_next(s);
    swarm_check_settled(s);
}

static void refused(struct swarm_agent *a, const char *text)
{
    swarm_fail(a->swarm, "The master refused agent %u: %s", a->number, text);
    begin_anew(a);
}

// It was removed: it loses its id and its tasks.
static void shut_down(struct swarm_agent *a, const char *text)
{
    if (!swarm_is_troubled(a->swarm))
        swarm_fail(a->swarm, "The master removed agent %u (%s): %s", a->number,
                   a->id != NULL ? a->id : "", text != NULL ? text : "");
    a->id = NULL;
    swarm_tasks_drop(a, true);
    begin_anew(a);
}

static void serve(struct swarm_agent *a, const Meseta__Link__ToAgent *message)
{
    switch (message->type) {
    case MESETA__LINK__TO_AGENT__TYPE__PING:
        a->pinged_at = env_now(a->swarm->env).mono;
        a->pings++;
        a->swarm->pings++;
        send_plain(a, MESETA__LINK__TO_MASTER__TYPE__PONG);
        break;
    case MESETA__LINK__TO_AGENT__TYPE__RUN_TASK:
        swarm_task_run(a, message->run_task);
        break;
    case MESETA__LINK__TO_AGENT__TYPE__KILL_TASK:
        swarm_task_kill(a, message->kill_task);
        break;
    case MESETA__LINK__TO_AGENT__TYPE__ACKNOWLEDGE:
        swarm_task_acknowledge(a, message->acknowledge);
        break;
    case MESETA__LINK__TO_AGENT__TYPE__SHUTDOWN_FRAMEWORK:
        swarm_task_shutdown_framework(a, message->shutdown_framework->framework_id->value);
        break;
    case MESETA__LINK__TO_AGENT__TYPE__UPDATE_FRAMEWORK:
        swarm_task_update_framework(a->swarm, message->update_framework->framework_info);
        break;
    case MESETA__LINK__TO_AGENT__TYPE__RECONCILE:
        swarm_task_reconcile(a, message->reconcile);
        break;
    default:
        break; // what concerns executors: these agents have none
    }
}

void swarm_agent_message(struct swarm_agent *a, const Meseta__Link__ToAgent *message)
{
    if (a->state == AGENT_CUT)
        return;
    switch (message->type) {
    case MESETA__LINK__TO_AGENT__TYPE__REGISTERED:
    case MESETA__LINK__TO_AGENT__TYPE__REREGISTERED:
        admitted(a, message->registered);
        break;
    case MESETA__LINK__TO_AGENT__TYPE__REFUSED:
        refused(a, message->refused->message);
        break;
    case MESETA__LINK__TO_AGENT__TYPE__SHUTDOWN:
        shut_down(a, message->shutdown != NULL ? message->shutdown->message : NULL);
        break;
    default:
        // Before it is admitted again, what was sent to the agent that it was is void.
        if (a->state == AGENT_REGISTERED)
            serve(a, message);
    }
}

// ---- all of them ----

void swarm_agents_each_second(struct swarm *s, struct instant now)
{
    LIST_FOREACH (&s->registering, struct swarm_agent, registering, a) {
        if (now.mono - a->asked_at > ANSWER_PATIENCE_NS)
            ask(a, now.mono);
    }
    for (size_t i = 0; i < s->agent_count; i++) {
        struct swarm_agent *a = &s->agents[i];
        if (a->state != AGENT_REGISTERED || now.mono - a->pinged_at < PING_PATIENCE_NS)
            continue;
        swarm_fail(s, "The master has not pinged agent %u (%s) for %d s", a->number, a->id,
                   (int)(PING_PATIENCE_NS / NS_PER_S));
        a->pinged_at = now.mono;
    }
}

void swarm_agents_unregister(struct swarm *s)
{
    for (size_t i = 0; i < s->agent_count; i++) {
        struct swarm_agent *a = &s->agents[i];
        env_timer_cancel(s->env, &a->trouble);
        if (a->state == AGENT_REGISTERED)
            send_plain(a, MESETA__LINK__TO_MASTER__TYPE__UNREGISTER);
    }
}

int swarm_agents_init(struct swarm *s, struct error *err)
{
    AUTO_RESOURCES struct resources *total = NULL;
    int r = resources_parse(s->options->agent_resources, "*", &total, err);
    if (r < 0)
        return error_wrap(err, r, "--agent_resources");
    s->agent_resource_count =
        resources_to_proto(total, s->arena, RESOURCES_NEW_FORM, false, &s->agent_resources);
    s->agent_count = s->options->agents;
    s->agents = mem_calloc(s->agent_count + 1, sizeof(*s->agents));
    for (size_t i = 0; i < s->agent_count; i++) {
        struct swarm_agent *a = &s->agents[i];
        a->swarm = s;
        a->number = (uint32_t)(s->options->first + i);
        a->trouble.run = trouble_due;
        list_init(&a->registering);
        list_init(&a->tasks);
        prng_seed(&a->prng, s->options->seed * UINT64_C(0x9e3779b97f4a7c15) + a->number);
    }
    return 0;
}

void swarm_agents_free(struct swarm *s)
{
    for (size_t i = 0; i < s->agent_count; i++) {
        env_timer_cancel(s->env, &s->agents[i].trouble);
        swarm_tasks_drop(&s->agents[i], true);
        mem_free(s->agents[i].freed);
    }
    mem_free(s->agents);
    swarm_known_free(s);
}
