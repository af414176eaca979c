// SPDX-License-Identifier: Apache-2.0
//
// What must be durable before it counts: the admission of agents, and that they are unreachable.
// A change is written to the registry under a token; when it is durable the rest happens here.
//
// Keys: "agents/<id>" and "unreachable/<id>" (proto/registry.proto).

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "master/internal.h"

enum admission_kind { ADMIT_NEW, ADMIT_AGAIN, UPDATE_KNOWN, MARK_UNREACHABLE };

// One write that somebody waits for.
struct admission {
    struct write write;
    struct master *master;
    enum admission_kind kind;
    struct master_channel *channel; // NULL once the link broke, or for marking
    struct arena *arena;            // of the message
    Meseta__Link__ToMaster *message;
    struct resources *total; // what the agent says it has; NULL for marking
    char *agent_id;
    const char *reason; // for marking: a constant text
    int64_t since_ns;
};

// How many writes about that agent are under way.
static void count_writes(struct master *m, const char *agent_id, int change)
{
    uintptr_t count = (uintptr_t)map_get(&m->writing, agent_id) + (uintptr_t)change;
    if (count == 0)
        map_remove(&m->writing, agent_id);
    else
        map_put(&m->writing, agent_id, (void *)count);
}

static void free_admission(struct admission *admission)
{
    count_writes(admission->master, admission->agent_id, -1);
    if (admission->channel != NULL)
        admission->channel->admission = NULL;
    arena_free(admission->arena);
    resources_free(admission->total);
    mem_free(admission->agent_id);
    mem_free(admission);
}

static void drop_admission(struct write *write)
{
    free_admission(CONTAINER_OF(write, struct admission, write));
}

void master_admission_forget_channel(struct master_channel *channel)
{
    if (channel->admission == NULL)
        return;
    channel->admission->channel = NULL;
    channel->admission = NULL;
}

// ---- the registry ----

static const char *agent_key(struct master *m, const char *id)
{
    return arena_printf(m->scratch, "agents/%s", id);
}

static const char *unreachable_key(struct master *m, const char *id)
{
    return arena_printf(m->scratch, "unreachable/%s", id);
}

void master_registry_forget_agent(struct master *m, const char *id)
{
    struct master_item items[3] = {{.key = NULL}};
    size_t count = 0;
    // Also when that is on its way there.
    if (map_has(&m->unreachable, id) || map_has(&m->writing, id))
        items[count++].key = unreachable_key(m, id);
    if (map_has(&m->deactivations, id))
        items[count++].key = master_deactivation_key(m, id);
    master_deactivation_drop(m, id);
    items[count++].key = agent_key(m, id);
    m->ops->apply(m->ctx, items, count, 0);
}

size_t master_registry_gone_items(struct master *m, const char *id, int64_t since_ns,
                                  struct master_item ret_items[4])
{
    Mesos__V1__TimeInfo time = MESOS__V1__TIME_INFO__INIT;
    time.nanoseconds = since_ns;
    ret_items[0] = (struct master_item){.key = agent_key(m, id)};
    ret_items[1] = (struct master_item){.key = unreachable_key(m, id)};
    ret_items[2] = master_item_put(m, arena_printf(m->scratch, "gone/%s", id), &time.base);
    ret_items[3] = (struct master_item){.key = master_deactivation_key(m, id)};
    return map_has(&m->deactivations, id) ? 4 : 3;
}

static struct admission *begin(struct master *m, enum admission_kind kind, const char *agent_id,
                               struct master_channel *channel,
                               const Meseta__Link__ToMaster *message)
{
    struct admission *admission = mem_zalloc(sizeof(*admission));
    admission->master = m;
    admission->kind = kind;
    admission->agent_id = mem_strdup(agent_id);
    count_writes(m, agent_id, 1);
    admission->channel = channel;
    if (channel != NULL)
        channel->admission = admission;
    if (message != NULL && m->lent != NULL) {
        admission->arena = TAKE_PTR(m->lent);
        admission->message = arena_dup(admission->arena, message, sizeof(*message));
    } else if (message != NULL) {
        admission->arena = arena_new(1024, 0);
        admission->message = WIRE_COPY(admission->arena, Meseta__Link__ToMaster, message);
    }
    return admission;
}

static void is_durable(struct write *write);

static void write_items(struct admission *admission, const struct master_item *items, size_t count)
{
    admission->write.done = is_durable;
    admission->write.drop = drop_admission;
    master_write(admission->master, &admission->write, items, count);
}

static void write_agent(struct admission *admission, const Mesos__V1__AgentInfo *info)
{
    struct master *m = admission->master;
    Mesos__V1__AgentInfo named = *info;
    named.id = master_make_agent_id(m->scratch, admission->agent_id);
    struct master_item items[] = {
        master_item_put(m, agent_key(m, admission->agent_id), &named.base),
        {.key = unreachable_key(m, admission->agent_id)},
    };
    write_items(admission, items, ARRAY_COUNT(items));
}

// ---- checks ----

static void refuse(struct master *m, struct master_channel *channel,
                   const Meseta__Link__AgentDescription *description, const char *text)
{
    log_warning("Refusing agent at %s (%s): %s", description->pid, description->info->hostname,
                text);
    Meseta__Link__ToAgent *message = master_make_to_agent(m->scratch, TO_AGENT(REFUSED));
    message->refused =
        WIRE_NEW(m->scratch, Meseta__Link__ToAgent__Refused, meseta__link__to_agent__refused);
    message->refused->message = arena_strdup(m->scratch, text);
    m->ops->send_agent(m->ctx, channel, message);
}

// "MAJOR.MINOR.PATCH", perhaps with more behind it.
static bool parse_version(const char *text, unsigned long *ret_major)
{
    for (int i = 0; i < 3; i++) {
        char *end;
        if (*text < '0' || *text > '9')
            return false;
        unsigned long number = strtoul(text, &end, 10);
        if (i == 0)
            *ret_major = number;
        if (i < 2 && *end++ != '.')
            return false;
        text = end;
    }
    return true;
}

static int check_description(const struct master *m,
                             const Meseta__Link__AgentDescription *description,
                             Mesos__V1__Resource *const *checkpointed, size_t checkpointed_count,
                             struct resources **ret_total, struct error *err)
{
    unsigned long major;
    if (!parse_version(description->version, &major))
        return error_set(err, -EINVAL, "Failed to parse version '%s'", description->version);
    if (major < 1)
        return error_set(err, -EINVAL,
                         "agent version is %s, minimum supported agent version is 1.0.0",
                         description->version);
    const Mesos__V1__AgentInfo *info = description->info;
    if (info->domain != NULL && m->options.domain == NULL)
        return error_set(err, -EINVAL,
                         "the agent is configured with a domain but the master has none");
    if (info->domain == NULL && m->options.require_agent_domain)
        return error_set(err, -EINVAL, "the agent has no domain, and this master requires one");
    for (size_t i = 0; i < info->n_resources; i++) {
        if (info->resources[i]->allocation_info != NULL)
            return error_set(err, -EINVAL, "its resources are allocated to a role");
    }
    for (size_t i = 0; i < checkpointed_count; i++) {
        if (checkpointed[i]->allocation_info != NULL)
            return error_set(err, -EINVAL, "its checkpointed resources are allocated to a role");
    }
    int r = master_agent_read_total(description, checkpointed, checkpointed_count, ret_total, err);
    return r < 0 ? error_wrap(err, r, "its resources are not valid") : 0;
}

static bool has_revocable(Mesos__V1__Resource *const *messages, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (messages[i]->revocable != NULL)
            return true;
    }
    return false;
}

static void add_revocable(struct resources *total, Mesos__V1__Resource *const *messages,
                          size_t count)
{
    AUTO_RESOURCES struct resources *some = NULL;
    if (!has_revocable(messages, count) || resources_from_proto(messages, count, &some, NULL) < 0)
        return; // what is not sound is refused later
    AUTO_RESOURCES struct resources *revocable = resources_revocable(some);
    resources_unallocate(revocable);
    resources_add(total, revocable);
}

void master_agent_add_revocable(struct master *m, const Meseta__Link__ToMaster__Reregister *message,
                                struct resources *total)
{
    for (size_t i = 0; i < message->n_frameworks; i++) {
        const Meseta__Link__FrameworkOnAgent *on_agent = message->frameworks[i];
        const struct framework *f =
            on_agent->info->id != NULL ? master_framework(m, on_agent->info->id->value) : NULL;
        for (size_t k = 0; k < on_agent->n_executors; k++)
            add_revocable(total, on_agent->executors[k]->resources,
                          on_agent->executors[k]->n_resources);
        for (size_t k = 0; k < on_agent->n_tasks; k++) {
            const Mesos__V1__Task *task = on_agent->tasks[k];
            if (!has_revocable(task->resources, task->n_resources))
                continue;
            const struct task *t = f != NULL ? map_get(&f->tasks, task->task_id->value) : NULL;
            if (master_task_state_counts(task->state) || (t != NULL && t->holds))
                add_revocable(total, task->resources, task->n_resources);
        }
    }
}

// Takes an amount from what is left. Taken one by one, since a port that two tasks claim would be
// one port in their sum. One copy of what is shared serves for all.
static int take(struct resources *left, struct resources *some, struct error *err)
{
    resources_unallocate(some);
    if (!resources_covers(left, some))
        return error_set(err, -EINVAL, "more than the agent has left");
    if (!resources_has_shared(some)) {
        resources_subtract(left, some);
        return 0;
    }
    AUTO_RESOURCES struct resources *divided = resources_non_shared(some);
    resources_subtract(left, divided);
    return 0;
}

// What the books know about already is taken from there; of the rest, what it says.
enum pass { PASS_BOOKED, PASS_NEW };

static int take_used(struct resources *left, Mesos__V1__Resource *const *messages, size_t count,
                     bool counts, struct error *err)
{
    AUTO_RESOURCES struct resources *some = NULL;
    int r = resources_from_proto(messages, count, &some, err);
    return r == 0 && counts ? take(left, some, err) : r;
}

static int take_booked(struct resources *left, const struct resources *booked, struct error *err)
{
    AUTO_RESOURCES struct resources *some = resources_copy(booked);
    return take(left, some, err);
}

static int check_framework(struct master *m, const Mesos__V1__FrameworkInfo *info,
                           struct error *err)
{
    if (info->id == NULL || validate_id(info->id->value, NULL) < 0)
        return error_set(err, -EINVAL, "it names a framework without a valid id");
    const char **roles;
    size_t count = framework_roles(info, m->scratch, &roles);
    for (size_t i = 0; i < count; i++) {
        int r = validate_role(roles[i], err);
        if (r < 0)
            return error_wrap(err, r, "role '%s' of framework %s", roles[i], info->id->value);
    }
    return 0;
}

static int take_executor(const struct agent *known, const struct framework *f,
                         const Meseta__Link__FrameworkOnAgent *on_agent, size_t index,
                         enum pass pass, struct resources *left, struct error *err)
{
    const Mesos__V1__ExecutorInfo *executor = on_agent->executors[index];
    const char *id = executor->executor_id->value;
    const struct executor *booked =
        known != NULL && f != NULL
            ? master_agent_find_instance(known, f, id, master_named_instance(on_agent, index))
            : NULL;
    int r = 0;
    if (pass == PASS_NEW)
        r = take_used(left, executor->resources, executor->n_resources, booked == NULL, err);
    else if (booked != NULL)
        r = take_booked(left, booked->resources, err);
    return r < 0 ? error_wrap(err, r, "executor '%s'", id) : 0;
}

static int take_task(const struct agent *known, const struct framework *f,
                     const Mesos__V1__Task *task, enum pass pass, struct resources *left,
                     struct error *err)
{
    // Booked here, or on another agent: then it is not taken over.
    const struct task *booked = f != NULL ? map_get(&f->tasks, task->task_id->value) : NULL;
    int r = 0;
    if (pass == PASS_NEW)
        r = take_used(left, task->resources, task->n_resources,
                      booked == NULL && master_task_state_counts(task->state), err);
    else if (booked != NULL && booked->agent == known && booked->holds)
        r = take_booked(left, booked->resources, err);
    return r < 0 ? error_wrap(err, r, "task '%s'", task->task_id->value) : 0;
}

// Takes what runs and is, or is not, in the books of `known` (NULL: nothing is).
static int take_named(struct master *m, const struct agent *known,
                      const Meseta__Link__ToMaster__Reregister *message, enum pass pass,
                      struct resources *left, struct error *err)
{
    for (size_t i = 0; i < message->n_frameworks; i++) {
        const Meseta__Link__FrameworkOnAgent *on_agent = message->frameworks[i];
        const char *id = on_agent->info->id->value;
        if (map_has(&m->completed_ids, id))
            continue;
        const struct framework *f = master_framework(m, id);
        int r = 0;
        for (size_t k = 0; r == 0 && k < on_agent->n_executors; k++)
            r = take_executor(known, f, on_agent, k, pass, left, err);
        for (size_t k = 0; r == 0 && k < on_agent->n_tasks; k++)
            r = take_task(known, f, on_agent->tasks[k], pass, left, err);
        if (r < 0)
            return r;
    }
    return 0;
}

// Takes what tasks use that, as the books say, run there, and that it does not name. It counts
// until the agent has answered for it, as far as it is there: what an operation made that never
// reached the agent is not. Executors that it does not name are no more.
static void take_unnamed(struct master *m, const struct agent *known,
                         const Meseta__Link__ToMaster__Reregister *message, struct resources *left)
{
    AUTO_RESOURCES struct resources *unnamed = resources_copy(known->used);
    for (size_t i = 0; i < message->n_frameworks; i++) {
        const Meseta__Link__FrameworkOnAgent *on_agent = message->frameworks[i];
        const struct framework *f = master_framework(m, on_agent->info->id->value);
        for (size_t k = 0; f != NULL && k < on_agent->n_tasks; k++) {
            const struct task *t = map_get(&f->tasks, on_agent->tasks[k]->task_id->value);
            if (t != NULL && t->agent == known && t->holds)
                resources_subtract_available(unnamed, t->resources);
        }
    }
    LIST_FOREACH (&known->executors, const struct executor, by_agent, e)
        resources_subtract_available(unnamed, e->resources);
    resources_unallocate(unnamed);
    resources_subtract_available(left, unnamed);
}

// What a returning agent says it runs must be sound, and fit into what it has.
static int check_tasks(struct master *m, Meseta__Link__ToMaster__Reregister *message,
                       const struct resources *total, struct error *err)
{
    const Mesos__V1__AgentInfo *info = message->agent->info;
    const struct agent *known = master_agent(m, info->id->value);
    AUTO_RESOURCES struct resources *left = resources_copy(total);
    int r = 0;
    for (size_t i = 0; r == 0 && i < message->n_frameworks; i++)
        r = check_framework(m, message->frameworks[i]->info, err);
    if (r == 0 && known != NULL)
        r = take_named(m, known, message, PASS_BOOKED, left, err);
    if (r == 0 && known != NULL)
        take_unnamed(m, known, message, left);
    return r == 0 ? take_named(m, known, message, PASS_NEW, left, err) : r;
}

// ---- registration ----

// No two agents listen at one address: whoever was known there before has lost its memory, or it
// would have come back under its id.
static void replace_at(struct master *m, const char *pid, const char *id)
{
    struct agent *old = map_get(&m->agents_by_pid, pid);
    if (old == NULL || strcmp(old->id, id) == 0)
        return;
    master_count(m, COUNT_SLAVE_REMOVALS_REGISTERED);
    master_registry_forget_agent(m, old->id);
    master_agent_remove(old, AGENT_LEFT, "a new agent registered at the same address", 0);
}

// An id that nobody has: agents bring theirs from masters of the same id.
static const char *make_id(struct master *m)
{
    const char *id;
    do
        id = arena_printf(m->scratch, "%s-S%" PRIu64, m->id, m->next_agent++);
    while (map_has(&m->agents, id) || map_has(&m->recovered, id) || map_has(&m->unreachable, id) ||
           map_has(&m->gone, id) || map_has(&m->writing, id));
    return id;
}

void master_agent_register(struct master *m, struct master_channel *channel,
                           Meseta__Link__ToMaster__Register *message)
{
    master_count(m, COUNT_MESSAGES_REGISTER_SLAVE);
    Meseta__Link__AgentDescription *description = message->agent;
    if (channel->admission != NULL)
        return; // the answer is on its way
    if (channel->agent != NULL) {
        log_info("Agent %s already registered, resending acknowledgement", channel->agent->id);
        master_send_registered(channel->agent, false);
        return;
    }
    struct error err;
    AUTO_RESOURCES struct resources *total = NULL;
    if (check_description(m, description, message->checkpointed_resources,
                          message->n_checkpointed_resources, &total, &err) < 0) {
        refuse(m, channel, description, err.text);
        return;
    }
    if (master_machine_is_down(m, description)) {
        refuse(m, channel, description, "its machine is DOWN for maintenance");
        return;
    }
    const char *id = make_id(m);
    replace_at(m, description->pid, id);
    log_info("Registering agent at %s (%s) with id %s", description->pid,
             description->info->hostname, id);
    Meseta__Link__ToMaster whole = MESETA__LINK__TO_MASTER__INIT;
    whole.type = TO_MASTER(REGISTER);
    whole.register_ = message;
    struct admission *admission = begin(m, ADMIT_NEW, id, channel, &whole);
    admission->total = TAKE_PTR(total);
    write_agent(admission, description->info);
}

static void admit_new(struct admission *admission)
{
    struct master *m = admission->master;
    if (admission->channel == NULL) {
        // It never learned its id and will ask anew.
        master_registry_forget_agent(m, admission->agent_id);
        return;
    }
    struct master_channel *channel = admission->channel;
    const Meseta__Link__AgentDescription *description = admission->message->register_->agent;
    if (master_machine_is_down(m, description)) {
        master_registry_forget_agent(m, admission->agent_id);
        refuse(m, channel, description, "its machine is DOWN for maintenance");
        return;
    }
    // Another try of the same agent may have been admitted meanwhile, over a link that hangs.
    replace_at(m, description->pid, admission->agent_id);
    struct agent *a =
        master_agent_add(m, description, admission->agent_id, TAKE_PTR(admission->total));
    allocator_add_agent(m->allocator, a->id, a->total, NULL, 0);
    allocator_set_agent_info(m->allocator, a->id, a->info);
    a->active = true; // a new id is not deactivated
    master_agent_connect(a, channel);
    master_agent_enter_maintenance(a);
    master_notice_agent(a, NOTICE_AGENT_ADDED);
    master_count(m, COUNT_SLAVE_REGISTRATIONS);
    log_info("Registered agent %s at %s (%s)", a->id, a->pid, a->info->hostname);
    master_send_registered(a, false);
}

// ---- reregistration ----

// Whether the agent was admitted since over a newer link. What it said over this one is older than
// all that came of the other: a task may have ended and been acknowledged. Then that is the end of
// the old link, and nothing else changes.
static bool close_if_old(struct master *m, const struct agent *known,
                         struct master_channel *channel)
{
    if (known == NULL || channel->number >= known->channel_number)
        return false;
    log_info("Ignoring an older reregistration of agent %s", known->id);
    m->ops->close_agent(m->ctx, channel);
    return true;
}

// An agent that is in the registry and not in the books. Takes over `total`.
static void take_over(struct master *m, struct master_channel *channel,
                      Meseta__Link__ToMaster__Reregister *message, struct resources *total)
{
    const char *id = message->agent->info->id->value;
    replace_at(m, message->agent->pid, id);
    bool was_recovered = map_has(&m->recovered, id);
    bool was_unreachable = map_has(&m->unreachable, id);
    master_recovered_remove(m, id);
    master_unreachable_remove(m, id);
    struct agent *a = master_agent_add(m, message->agent, id, total);
    a->reregistered = m->now.wall;
    a->returned = m->now.mono;
    a->active = true;
    a->channel = channel;
    a->channel_number = channel->number;
    channel->agent = a;
    master_count(m, COUNT_SLAVE_REREGISTRATIONS);
    master_agent_take_over(a, message, was_unreachable, was_recovered);
}

// Whether the registry has the agent just as it describes itself, and nothing is under way there
// that would change that. Then nothing has to be written before it is admitted.
static bool is_registered_as(const struct master *m, const Mesos__V1__AgentInfo *info)
{
    const char *id = info->id->value;
    const struct recovered_agent *r = map_get(&m->recovered, id);
    return r != NULL && !r->marking && !map_has(&m->writing, id) && !map_has(&m->unreachable, id) &&
           wire_is_equal(&r->info->base, &info->base);
}

// Whether the agent may not come back under its id ("" when what it says is unsound, which is
// refused later). It is told to end, or to become a new one.
static bool turn_away(struct master *m, struct master_channel *channel,
                      const Meseta__Link__AgentDescription *description, const char *id)
{
    const struct agent *known = master_agent(m, id);
    if (map_has(&m->gone, id)) {
        log_warning("Refusing agent %s at %s (%s): it is gone", id, description->pid,
                    description->info->hostname);
        master_channel_send_shutdown(m, channel, "Agent has been marked gone", true);
    } else if (*id != '\0' && master_machine_is_down(m, description)) {
        log_warning("Refusing agent %s at %s (%s): its machine is DOWN for maintenance", id,
                    description->pid, description->info->hostname);
        master_channel_send_shutdown(m, channel, "Machine is `DOWN`", false);
    } else if (known != NULL && master_agent_is_elsewhere(known, description)) {
        // A copy of its work_dir, on a machine of its own: it gets an id of its own.
        log_warning("Agent %s at %s (%s) attempted to reregister with different IP / hostname; "
                    "expected %s (%s); shutting it down",
                    id, description->pid, description->info->hostname, known->pid,
                    known->info->hostname);
        master_channel_send_shutdown(
            m, channel, "Agent attempted to reregister with different IP / hostname", false);
    } else {
        return false;
    }
    return true;
}

void master_agent_reregister(struct master *m, struct master_channel *channel,
                             Meseta__Link__ToMaster *message)
{
    master_count(m, COUNT_MESSAGES_REREGISTER_SLAVE);
    Meseta__Link__AgentDescription *description = message->reregister->agent;
    if (channel->admission != NULL)
        return;
    struct error err;
    AUTO_RESOURCES struct resources *total = NULL;
    int r = 0;
    if (description->info->id == NULL)
        r = error_set(&err, -EINVAL, "its id is missing");
    if (r == 0)
        r = validate_id(description->info->id->value, &err);
    if (r == 0 && channel->agent != NULL &&
        strcmp(channel->agent->id, description->info->id->value) != 0)
        r = error_set(&err, -EINVAL, "it was registered as %s before", channel->agent->id);
    if (r == 0)
        r = check_description(m, description, message->reregister->checkpointed_resources,
                              message->reregister->n_checkpointed_resources, &total, &err);
    if (r == 0)
        master_agent_add_revocable(m, message->reregister, total);
    const char *id = r == 0 ? description->info->id->value : "";
    if (turn_away(m, channel, description, id))
        return;
    struct agent *known = master_agent(m, id);
    if (r == 0 && close_if_old(m, known, channel))
        return;
    if (known != NULL && known->channel == channel && !known->marking) {
        // It asked twice before it had the answer. What it says of its tasks is older than what
        // was sent to it since.
        log_info("Agent %s already reregistered, resending acknowledgement", known->id);
        master_send_registered(known, true);
        return;
    }
    if (r == 0)
        r = check_tasks(m, message->reregister, total, &err);
    if (r < 0) {
        refuse(m, channel, description, err.text);
        return;
    }
    if (map_has(&m->marking_gone, id) || (known != NULL && known->marking)) {
        refuse(m, channel, description, "it is being marked unreachable or gone; try again");
        return;
    }
    if (known != NULL && wire_is_equal(&known->info->base, &description->info->base)) {
        replace_at(m, description->pid, id);
        master_agent_connect(known, channel);
        master_agent_return(known, message->reregister);
        return;
    }
    if (known == NULL && is_registered_as(m, description->info)) {
        take_over(m, channel, message->reregister, TAKE_PTR(total));
        return;
    }
    struct admission *admission =
        begin(m, known != NULL ? UPDATE_KNOWN : ADMIT_AGAIN, id, channel, message);
    admission->total = TAKE_PTR(total);
    write_agent(admission, description->info);
}

// The registry has it, but it is not here. It is waited for like one known from before this master
// began, unless its frameworks know it as unreachable: that it stays until it comes.
static void await_return(struct master *m, const Mesos__V1__AgentInfo *info)
{
    const char *id = info->id->value;
    if (master_agent(m, id) == NULL && !map_has(&m->unreachable, id))
        master_recovered_add(m, info, m->now.mono + m->options.agent_reregister_timeout_ns);
}

static void admit_again(struct admission *admission)
{
    struct master *m = admission->master;
    const char *id = admission->agent_id;
    Meseta__Link__ToMaster__Reregister *message = admission->message->reregister;
    struct agent *known = master_agent(m, id);
    if (admission->channel == NULL) {
        await_return(m, message->agent->info);
        return;
    }
    struct master_channel *channel = admission->channel;
    if (close_if_old(m, known, channel))
        return;
    if (master_machine_is_down(m, message->agent)) {
        master_channel_send_shutdown(m, channel, "Machine is `DOWN`", false);
        await_return(m, message->agent->info);
        return;
    }
    struct error err;
    // Tasks may have been launched or given up since the message came, if it is in the books. What
    // is not cannot have become more: what fitted then, fits.
    bool may_differ = known != NULL || admission->kind != ADMIT_AGAIN;
    if ((may_differ && check_tasks(m, message, admission->total, &err) < 0) ||
        map_has(&m->marking_gone, id) || (known != NULL && known->marking)) {
        refuse(m, channel, message->agent, "its state changed meanwhile; try again");
        await_return(m, message->agent->info);
        return;
    }
    if (known != NULL) {
        replace_at(m, message->agent->pid, id);
        master_agent_connect(known, channel);
        master_agent_return(known, message);
        return;
    }
    take_over(m, channel, message, TAKE_PTR(admission->total));
}

// ---- unreachable ----

static void write_unreachable(struct admission *admission)
{
    struct master *m = admission->master;
    admission->since_ns = m->now.wall;
    Mesos__V1__TimeInfo time = MESOS__V1__TIME_INFO__INIT;
    time.nanoseconds = admission->since_ns;
    struct master_item items[] = {
        {.key = agent_key(m, admission->agent_id)},
        master_item_put(m, unreachable_key(m, admission->agent_id), &time.base),
    };
    write_items(admission, items, 2);
}

void master_agent_mark_unreachable(struct agent *a, const char *message)
{
    struct master *m = a->master;
    if (a->marking || map_has(&m->marking_gone, a->id))
        return;
    log_info("Marking agent %s (%s) unreachable: %s", a->id, a->info->hostname, message);
    a->marking = true;
    struct admission *admission = begin(m, MARK_UNREACHABLE, a->id, NULL, NULL);
    admission->reason = message;
    write_unreachable(admission);
}

void master_recovered_mark_unreachable(struct recovered_agent *r, const char *reason)
{
    struct master *m = r->master;
    if (r->marking || map_has(&m->marking_gone, r->id))
        return;
    if (map_has(&m->writing, r->id)) {
        // It is coming back this very moment.
        master_count(m, COUNT_SLAVE_UNREACHABLE_CANCELED);
        timer_set(&m->timers, &r->timeout, m->now.mono + NS_PER_S);
        return;
    }
    log_info("Marking agent %s (%s) unreachable: %s", r->id, r->info->hostname, reason);
    r->marking = true;
    struct admission *admission = begin(m, MARK_UNREACHABLE, r->id, NULL, NULL);
    admission->reason = reason;
    write_unreachable(admission);
}

static void marked(struct admission *admission)
{
    struct master *m = admission->master;
    const char *id = admission->agent_id;
    struct agent *a = master_agent(m, id);
    if (a != NULL && a->marking) {
        master_count(m, COUNT_SLAVE_UNREACHABLE_COMPLETED);
        master_count(m, COUNT_SLAVE_REMOVALS_UNHEALTHY);
        master_unreachable_add(m, id, admission->since_ns);
        master_agent_remove(a, AGENT_UNREACHABLE, admission->reason, admission->since_ns);
        return;
    }
    if (a == NULL && map_has(&m->recovered, id)) {
        master_count(m, COUNT_SLAVE_UNREACHABLE_COMPLETED);
        master_count(m, COUNT_RECOVERY_SLAVE_REMOVALS);
        master_count(m, COUNT_SLAVE_REMOVALS_UNHEALTHY);
        master_count(m, COUNT_SLAVE_REMOVALS);
        master_recovered_remove(m, id);
        master_unreachable_add(m, id, admission->since_ns);
        MAP_FOREACH (&m->frameworks, entry)
            master_framework_send_failure(entry->value, id, NULL, NULL);
    }
}

static void is_durable(struct write *write)
{
    struct admission *admission = CONTAINER_OF(write, struct admission, write);
    if (admission->channel != NULL)
        admission->channel->admission = NULL;
    switch (admission->kind) {
    case ADMIT_NEW:
        admit_new(admission);
        break;
    case ADMIT_AGAIN:
    case UPDATE_KNOWN:
        admit_again(admission);
        break;
    case MARK_UNREACHABLE:
        marked(admission);
        break;
    }
    admission->channel = NULL;
    free_admission(admission);
}
