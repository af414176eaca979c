// SPDX-License-Identifier: Apache-2.0
//
// What a framework does: with its offers, and from time to time.

#include <stdio.h>
#include <string.h>

#include "sim/framework.h"
#include "sim/ledger.h"

// ---- offers ----

// An amount of that name in the offer that has as much; a copy with that much. The original gets
// less.
static Mesos__V1__Resource *carve(struct arena *arena, Mesos__V1__Offer *offer, const char *name,
                                  double amount, bool is_calm)
{
    for (size_t i = 0; i < offer->n_resources; i++) {
        Mesos__V1__Resource *from = offer->resources[i];
        if (strcmp(from->name, name) != 0 || from->scalar == NULL ||
            from->scalar->value + 1e-9 < amount || (is_calm && framework_is_dynamic(from)))
            continue; // in the end all reservations are given back
        Mesos__V1__Resource *copy = WIRE_COPY(arena, Mesos__V1__Resource, from);
        copy->scalar->value = amount;
        from->scalar->value -= amount;
        return copy;
    }
    return NULL;
}

// The first port that is left.
static Mesos__V1__Resource *carve_port(struct arena *arena, Mesos__V1__Offer *offer)
{
    for (size_t i = 0; i < offer->n_resources; i++) {
        Mesos__V1__Resource *from = offer->resources[i];
        for (size_t k = 0; from->ranges != NULL && k < from->ranges->n_range; k++) {
            Mesos__V1__Value__Range *range = from->ranges->range[k];
            if (range->begin > range->end)
                continue;
            Mesos__V1__Resource *copy = WIRE_COPY(arena, Mesos__V1__Resource, from);
            copy->ranges->n_range = 1;
            copy->ranges->range[0]->begin = copy->ranges->range[0]->end = range->begin++;
            return copy;
        }
    }
    return NULL;
}

// A volume as a whole; one that is shared stays in the offer, for other tasks as well.
static Mesos__V1__Resource *carve_volume(struct framework_host *f, Mesos__V1__Offer *offer)
{
    for (size_t i = 0; i < offer->n_resources; i++) {
        Mesos__V1__Resource *from = offer->resources[i];
        if (from->disk == NULL || from->disk->persistence == NULL || from->scalar->value <= 0)
            continue;
        Mesos__V1__Resource *copy = WIRE_COPY(f->sim->scratch, Mesos__V1__Resource, from);
        if (from->shared == NULL)
            from->scalar->value = 0;
        mark(f->sim, from->shared != NULL ? MARK_SHARED_VOLUME_USED : MARK_VOLUME_USED);
        return copy;
    }
    return NULL;
}

static char *arena_text(struct arena *arena, const char *text)
{
    return arena_strdup(arena, text);
}

static void add_own(struct arena *arena, Mesos__V1__ExecutorInfo *executor, Mesos__V1__Offer *offer,
                    const char *name, double amount)
{
    for (size_t i = 0; i < offer->n_resources; i++) {
        Mesos__V1__Resource *r = offer->resources[i];
        if (strcmp(r->name, name) != 0 || r->n_reservations > 0 ||
            (r->role != NULL && strcmp(r->role, "*") != 0) || r->scalar->value < amount)
            continue;
        Mesos__V1__Resource *own = WIRE_COPY(arena, Mesos__V1__Resource, r);
        own->scalar->value = amount;
        r->scalar->value -= amount;
        executor->resources[executor->n_resources++] = own;
        return;
    }
}

// Always of the same form, so that a second task may join: from what is not reserved.
static Mesos__V1__ExecutorInfo *make_executor(struct framework_host *f, Mesos__V1__Offer *offer,
                                              bool is_group)
{
    struct arena *arena = f->sim->scratch;
    Mesos__V1__ExecutorInfo *executor =
        WIRE_NEW(arena, Mesos__V1__ExecutorInfo, mesos__v1__executor_info);
    executor->executor_id = WIRE_NEW(arena, Mesos__V1__ExecutorID, mesos__v1__executor_id);
    executor->executor_id->value =
        arena_printf(arena, "%c%zu", is_group ? 'g' : 'e', (size_t)draw(f->sim, 2));
    executor->resources = arena_calloc(arena, 3, sizeof(void *));
    add_own(arena, executor, offer, "cpus", 0.1);
    if (!is_group) {
        executor->command = WIRE_NEW(arena, Mesos__V1__CommandInfo, mesos__v1__command_info);
        executor->command->value = arena_text(arena, "./executor");
        return executor;
    }
    add_own(arena, executor, offer, "mem", 32);
    add_own(arena, executor, offer, "disk", 10);
    executor->has_type = true;
    executor->type = MESOS__V1__EXECUTOR_INFO__TYPE__DEFAULT;
    executor->framework_id = WIRE_NEW(arena, Mesos__V1__FrameworkID, mesos__v1__framework_id);
    executor->framework_id->value = arena_text(arena, f->id);
    return executor;
}

static void set_command(struct arena *arena, Mesos__V1__TaskInfo *info)
{
    info->command = WIRE_NEW(arena, Mesos__V1__CommandInfo, mesos__v1__command_info);
    info->command->value = arena_text(arena, "true");
}

// With nothing to run it yet. NULL when the offer has not enough left.
static Mesos__V1__TaskInfo *make_task(struct framework_host *f, Mesos__V1__Offer *offer)
{
    struct sim *sim = f->sim;
    struct arena *arena = sim->scratch;
    bool greedy = !sim->calm && chance(sim, 0.02);
    double amount = sim->calm ? 0.1 : 0.1 * (double)(1 + draw(sim, 10));
    Mesos__V1__TaskInfo *info = WIRE_NEW(arena, Mesos__V1__TaskInfo, mesos__v1__task_info);
    Mesos__V1__Resource *cpus = carve(arena, offer, "cpus", amount, sim->calm);
    Mesos__V1__Resource *mem = cpus != NULL ? carve(arena, offer, "mem", 32, sim->calm) : NULL;
    if (mem == NULL) {
        if (cpus != NULL)
            cpus->scalar->value = 0;
        return NULL;
    }
    if (greedy)
        cpus->scalar->value = 1000;
    info->resources = arena_calloc(arena, 4, sizeof(void *));
    info->resources[info->n_resources++] = cpus;
    info->resources[info->n_resources++] = mem;
    Mesos__V1__Resource *port = chance(sim, 0.3) ? carve_port(arena, offer) : NULL;
    if (port != NULL)
        info->resources[info->n_resources++] = port;
    Mesos__V1__Resource *volume = !sim->calm && chance(sim, 0.3) ? carve_volume(f, offer) : NULL;
    if (volume != NULL)
        info->resources[info->n_resources++] = volume;
    info->name = arena_text(arena, "task");
    info->task_id = WIRE_NEW(arena, Mesos__V1__TaskID, mesos__v1__task_id);
    info->task_id->value = arena_printf(arena, "t%zu.%u.%u", f->index, f->life, ++f->next_task);
    info->agent_id = offer->agent_id;
    return info;
}

static void note_task(struct framework_host *f, Mesos__V1__TaskInfo *info,
                      const Mesos__V1__ExecutorInfo *executor, bool is_service)
{
    struct sim *sim = f->sim;
    int64_t run_ns = is_service ? 0 : draw_spread(sim, 100 * NS_PER_MS, f->manners.task_ns_max);
    if (sim->calm && run_ns > 30 * NS_PER_S)
        run_ns = 30 * NS_PER_S;
    char *text = arena_printf(sim->scratch, "%lld", (long long)run_ns);
    info->has_data = true;
    info->data = (ProtobufCBinaryData){.data = (uint8_t *)text, .len = strlen(text)};
    struct fw_task *task = mem_zalloc(sizeof(*task));
    task->id = mem_strdup(info->task_id->value);
    task->agent_id = mem_strdup(info->agent_id->value);
    if (executor != NULL)
        task->executor_id = mem_strdup(executor->executor_id->value);
    task->state = TASK(STAGING);
    task->is_calm = sim->calm;
    task->is_service = is_service;
    map_put(&f->tasks, task->id, task);
    f->live_count++;
}

// How many tasks it wants to have at once, and whether it wants another service.
static size_t count_wanted(const struct framework_host *f, bool *ret_service)
{
    *ret_service = false;
    if (f->is_draining || f->wants_teardown)
        return 0;
    if (!f->sim->calm) {
        size_t live = f->live_count;
        *ret_service = true;
        return live < f->manners.live_max ? f->manners.live_max - live : 0;
    }
    size_t running = 0;
    bool has_service = false;
    MAP_FOREACH (&f->tasks, entry) {
        const struct fw_task *task = entry->value;
        if (!task->is_calm || task->is_over)
            continue;
        has_service = has_service || task->is_service;
        running += !task->is_service;
    }
    *ret_service = !has_service;
    size_t done = f->finished + running;
    return (done < CALM_TASKS ? CALM_TASKS - done : 0) + !has_service;
}

static void decline(struct framework_host *f, struct fw_offer *offer, double refuse_seconds)
{
    Mesos__V1__OfferID *ids[] = {offer->offer->id};
    Mesos__V1__Filters filters = MESOS__V1__FILTERS__INIT;
    filters.has_refuse_seconds = true;
    filters.refuse_seconds = refuse_seconds;
    Mesos__V1__Scheduler__Call__Decline body = MESOS__V1__SCHEDULER__CALL__DECLINE__INIT;
    body.n_offer_ids = 1;
    body.offer_ids = ids;
    body.filters = &filters;
    Mesos__V1__Scheduler__Call call = MESOS__V1__SCHEDULER__CALL__INIT;
    call.type = SCHEDULER_CALL(DECLINE);
    call.decline = &body;
    framework_call(f, &call);
    framework_free_offer(offer);
}

// The offer, and others of the same agent and role with it.
static size_t combine(struct framework_host *f, struct fw_offer *offer, Mesos__V1__OfferID **ids,
                      size_t max)
{
    size_t count = 0;
    ids[count++] = offer->offer->id;
    LIST_FOREACH (&f->offers, struct fw_offer, link, other) {
        if (other == offer || count == max || f->manners.multi_role ||
            strcmp(other->offer->agent_id->value, offer->offer->agent_id->value) != 0)
            continue;
        ids[count] = WIRE_NEW(f->sim->scratch, Mesos__V1__OfferID, mesos__v1__offer_id);
        ids[count++]->value = arena_strdup(f->sim->scratch, other->offer->id->value);
        mark(f->sim, MARK_OFFERS_COMBINED);
        framework_free_offer(other);
    }
    return count;
}

enum { LAUNCH_MAX = 16, GROUP_MAX = 3 };

// A LAUNCH of so many tasks, as far as the offer goes; each brings what runs it.
static void make_launch(struct framework_host *f, Mesos__V1__Offer *offer, size_t wanted,
                        bool service, Mesos__V1__Offer__Operation *operation)
{
    struct sim *sim = f->sim;
    Mesos__V1__Offer__Operation__Launch *launch = WIRE_NEW(
        sim->scratch, Mesos__V1__Offer__Operation__Launch, mesos__v1__offer__operation__launch);
    launch->task_infos = arena_calloc(sim->scratch, LAUNCH_MAX, sizeof(void *));
    while (launch->n_task_infos < wanted && launch->n_task_infos < LAUNCH_MAX) {
        Mesos__V1__TaskInfo *info = make_task(f, offer);
        if (info == NULL)
            break;
        if (f->manners.custom_executors && !chance(sim, 0.3))
            info->executor = make_executor(f, offer, false);
        else
            set_command(sim->scratch, info);
        bool is_service = service && (sim->calm ? launch->n_task_infos == 0 : chance(sim, 0.2));
        note_task(f, info, info->executor, is_service);
        launch->task_infos[launch->n_task_infos++] = info;
    }
    operation->has_type = true;
    operation->type = MESOS__V1__OFFER__OPERATION__TYPE__LAUNCH;
    operation->launch = launch;
}

// A LAUNCH_GROUP, whose tasks run together or not at all: each says of how many it is.
static void make_group(struct framework_host *f, Mesos__V1__Offer *offer, size_t wanted,
                       Mesos__V1__Offer__Operation *operation)
{
    struct arena *arena = f->sim->scratch;
    Mesos__V1__Offer__Operation__LaunchGroup *launch = WIRE_NEW(
        arena, Mesos__V1__Offer__Operation__LaunchGroup, mesos__v1__offer__operation__launch_group);
    launch->executor = make_executor(f, offer, true);
    launch->task_group = WIRE_NEW(arena, Mesos__V1__TaskGroupInfo, mesos__v1__task_group_info);
    Mesos__V1__TaskInfo **tasks = arena_calloc(arena, GROUP_MAX, sizeof(*tasks));
    size_t count = 0;
    while (count < wanted && count < GROUP_MAX) {
        Mesos__V1__TaskInfo *info = make_task(f, offer);
        if (info == NULL)
            break;
        set_command(arena, info);
        note_task(f, info, launch->executor, chance(f->sim, 0.2));
        tasks[count++] = info;
    }
    for (size_t i = 0; i < count; i++)
        tasks[i]->name = arena_printf(arena, "one of %zu", count);
    launch->task_group->tasks = tasks;
    launch->task_group->n_tasks = count;
    mark(f->sim, MARK_GROUP_LAUNCHED);
    operation->has_type = true;
    operation->type = MESOS__V1__OFFER__OPERATION__TYPE__LAUNCH_GROUP;
    operation->launch_group = launch;
}

static void accept_offer(struct framework_host *f, struct fw_offer *offer, size_t wanted,
                         bool service)
{
    struct sim *sim = f->sim;
    Mesos__V1__Offer__Operation *resource_operation = framework_make_operation(f, offer->offer);
    Mesos__V1__Offer__Operation operation = MESOS__V1__OFFER__OPERATION__INIT;
    if (f->manners.custom_executors && !sim->calm && wanted > 0 && chance(sim, 0.3))
        make_group(f, offer->offer, wanted, &operation);
    else
        make_launch(f, offer->offer, wanted, service, &operation);
    Mesos__V1__OfferID *ids[4];
    Mesos__V1__Offer__Operation *operations[2] = {resource_operation, &operation};
    Mesos__V1__Filters filters = MESOS__V1__FILTERS__INIT;
    filters.has_refuse_seconds = true;
    filters.refuse_seconds = sim->calm ? 1 : (double)draw(sim, 10);
    Mesos__V1__Scheduler__Call__Accept body = MESOS__V1__SCHEDULER__CALL__ACCEPT__INIT;
    body.n_offer_ids = combine(f, offer, ids, ARRAY_COUNT(ids));
    body.offer_ids = ids;
    body.n_operations = resource_operation != NULL ? 2 : 1;
    body.operations = operations + (resource_operation == NULL);
    body.filters = &filters;
    Mesos__V1__Scheduler__Call call = MESOS__V1__SCHEDULER__CALL__INIT;
    call.type = SCHEDULER_CALL(ACCEPT);
    call.accept = &body;
    framework_call(f, &call);
    framework_free_offer(offer);
}

static double offered_cpus(const Mesos__V1__Offer *offer)
{
    double sum = 0;
    for (size_t i = 0; i < offer->n_resources; i++) {
        if (strcmp(offer->resources[i]->name, "cpus") == 0)
            sum += offer->resources[i]->scalar->value;
    }
    return sum;
}

// One offer; it may be gone afterwards, and others with it.
static void use_offer(struct framework_host *f, struct fw_offer *offer)
{
    struct sim *sim = f->sim;
    const struct manners *manners = &f->manners;
    bool service;
    size_t wanted = count_wanted(f, &service);
    if (f->is_draining)
        return; // kept, to be counted
    if (sim->calm) {
        if (framework_has_reserved(f, offer->offer))
            accept_offer(f, offer, 0, false);
        else if (wanted > 0 && offered_cpus(offer->offer) >= 0.1)
            accept_offer(f, offer, wanted, service);
        else
            decline(f, offer, 5);
        return;
    }
    if (manners->hoards && sim->now.mono - offer->since < 10 * NS_PER_S && chance(sim, 0.7))
        return;
    if (wanted == 0 || (manners->picky && offered_cpus(offer->offer) < 2) || chance(sim, 0.1))
        decline(f, offer, (double)draw(sim, 30));
    else
        accept_offer(f, offer, 1 + draw(sim, wanted), service);
}

void framework_use_offers(struct framework_host *f)
{
    size_t count = 0;
    LIST_FOREACH (&f->offers, struct fw_offer, link, counted) {
        (void)counted;
        count++;
    }
    // Each look may take several away: the list is walked anew.
    for (size_t i = 0; i < count; i++) {
        if (list_is_empty(&f->offers))
            return;
        struct fw_offer *offer = LIST_ENTRY(f->offers.next, struct fw_offer, link);
        list_remove(&offer->link);
        list_append(&f->offers, &offer->link);
        use_offer(f, offer);
    }
}

// ---- other calls ----

static void call_plain(struct framework_host *f, Mesos__V1__Scheduler__Call__Type type)
{
    Mesos__V1__Scheduler__Call call = MESOS__V1__SCHEDULER__CALL__INIT;
    call.type = type;
    framework_call(f, &call);
}

static void kill_task(struct framework_host *f, struct fw_task *task)
{
    Mesos__V1__TaskID task_id = MESOS__V1__TASK_ID__INIT;
    Mesos__V1__AgentID agent_id = MESOS__V1__AGENT_ID__INIT;
    task_id.value = task->id;
    agent_id.value = task->agent_id;
    Mesos__V1__Scheduler__Call__Kill body = MESOS__V1__SCHEDULER__CALL__KILL__INIT;
    body.task_id = &task_id;
    if (chance(f->sim, 0.5))
        body.agent_id = &agent_id;
    Mesos__V1__Scheduler__Call call = MESOS__V1__SCHEDULER__CALL__INIT;
    call.type = SCHEDULER_CALL(KILL);
    call.kill = &body;
    framework_call(f, &call);
}

static void reconcile(struct framework_host *f, bool is_explicit)
{
    struct arena *arena = f->sim->scratch;
    Mesos__V1__Scheduler__Call__Reconcile body = MESOS__V1__SCHEDULER__CALL__RECONCILE__INIT;
    body.tasks = arena_calloc(arena, f->tasks.count + 1, sizeof(void *));
    MAP_FOREACH (&f->tasks, entry) {
        const struct fw_task *task = entry->value;
        if (!is_explicit || task->is_over)
            continue;
        Mesos__V1__Scheduler__Call__Reconcile__Task *named =
            WIRE_NEW(arena, Mesos__V1__Scheduler__Call__Reconcile__Task,
                     mesos__v1__scheduler__call__reconcile__task);
        named->task_id = WIRE_NEW(arena, Mesos__V1__TaskID, mesos__v1__task_id);
        named->task_id->value = task->id;
        named->agent_id = WIRE_NEW(arena, Mesos__V1__AgentID, mesos__v1__agent_id);
        named->agent_id->value = task->agent_id;
        body.tasks[body.n_tasks++] = named;
    }
    if (is_explicit && body.n_tasks == 0)
        return;
    mark(f->sim, is_explicit ? MARK_RECONCILED_EXPLICITLY : MARK_RECONCILED_IMPLICITLY);
    Mesos__V1__Scheduler__Call call = MESOS__V1__SCHEDULER__CALL__INIT;
    call.type = SCHEDULER_CALL(RECONCILE);
    call.reconcile = &body;
    framework_call(f, &call);
}

static struct fw_task *draw_task(struct framework_host *f, bool with_executor)
{
    size_t count = 0;
    struct fw_task *found = NULL;
    MAP_FOREACH (&f->tasks, entry) {
        struct fw_task *task = entry->value;
        if (task->is_over || (with_executor && task->executor_id == NULL))
            continue;
        if (draw(f->sim, ++count) == 0)
            found = task;
    }
    return found;
}

static void speak_to_executor(struct framework_host *f, bool shut_down)
{
    struct fw_task *task = draw_task(f, true);
    if (task == NULL)
        return;
    Mesos__V1__AgentID agent_id = MESOS__V1__AGENT_ID__INIT;
    Mesos__V1__ExecutorID executor_id = MESOS__V1__EXECUTOR_ID__INIT;
    agent_id.value = task->agent_id;
    executor_id.value = task->executor_id;
    Mesos__V1__Scheduler__Call__Shutdown shutdown = MESOS__V1__SCHEDULER__CALL__SHUTDOWN__INIT;
    Mesos__V1__Scheduler__Call__Message message = MESOS__V1__SCHEDULER__CALL__MESSAGE__INIT;
    static uint8_t text[] = "hello";
    shutdown.agent_id = message.agent_id = &agent_id;
    shutdown.executor_id = message.executor_id = &executor_id;
    message.data = (ProtobufCBinaryData){.data = text, .len = 5};
    Mesos__V1__Scheduler__Call call = MESOS__V1__SCHEDULER__CALL__INIT;
    call.type = shut_down ? SCHEDULER_CALL(SHUTDOWN) : SCHEDULER_CALL(MESSAGE);
    call.shutdown = shut_down ? &shutdown : NULL;
    call.message = shut_down ? NULL : &message;
    if (shut_down)
        mark(f->sim, MARK_EXECUTOR_SHUT_DOWN_BY_FRAMEWORK);
    framework_call(f, &call);
}

static void tear_down(struct framework_host *f)
{
    if (!f->is_subscribed)
        return;
    call_plain(f, SCHEDULER_CALL(TEARDOWN));
    f->wants_teardown = true;
}

static void act_in_trouble(struct framework_host *f)
{
    struct sim *sim = f->sim;
    struct fw_task *task;
    switch (draw(sim, 24)) {
    case 0:
    case 1:
    case 2:
        task = draw_task(f, false);
        if (task != NULL)
            kill_task(f, task);
        break;
    case 3:
        reconcile(f, false);
        break;
    case 4:
    case 5:
        reconcile(f, true);
        break;
    case 6:
        call_plain(f, SCHEDULER_CALL(SUPPRESS));
        f->is_suppressed = true;
        break;
    case 7:
        speak_to_executor(f, false);
        break;
    case 8:
        if (chance(sim, 0.2))
            speak_to_executor(f, true);
        break;
    case 9:
        if (chance(sim, 0.05))
            tear_down(f);
        break;
    default:
        if (f->is_suppressed || draw(sim, 4) == 0) {
            call_plain(f, SCHEDULER_CALL(REVIVE));
            f->is_suppressed = false;
        }
        break;
    }
    framework_use_offers(f);
}

static void act_calmly(struct framework_host *f)
{
    struct sim *sim = f->sim;
    int64_t now = sim->now.mono;
    if (now - f->last_revive > 20 * NS_PER_S) {
        f->last_revive = now;
        call_plain(f, SCHEDULER_CALL(REVIVE));
    }
    if (now - f->last_reconcile > 20 * NS_PER_S) {
        // What it believes in, and what the master believes in.
        f->last_reconcile = now;
        f->was_explicit = !f->was_explicit;
        reconcile(f, f->was_explicit);
    }
    MAP_FOREACH (&f->tasks, entry) {
        struct fw_task *task = entry->value;
        if (!task->is_over && (!task->is_calm || f->is_draining))
            kill_task(f, task);
    }
    framework_use_offers(f);
}

void framework_act(struct timer *timer, struct instant now)
{
    (void)now;
    struct framework_host *f = CONTAINER_OF(timer, struct framework_host, act);
    if (f->is_gone)
        return;
    if (f->is_subscribed && f->wants_teardown)
        call_plain(f, SCHEDULER_CALL(TEARDOWN));
    else if (f->is_subscribed && f->sim->calm)
        act_calmly(f);
    else if (f->is_subscribed)
        act_in_trouble(f);
    after(f->sim, timer, f->sim->calm ? 5 * NS_PER_S : f->manners.act_ns);
}

bool framework_is_content(const struct framework_host *f)
{
    bool service;
    if (!f->is_subscribed || f->wants_teardown || count_wanted(f, &service) > 0)
        return false;
    MAP_FOREACH (&f->tasks, entry) {
        const struct fw_task *task = entry->value;
        if (!task->is_over && !(task->is_service && task->is_calm && task->state == TASK(RUNNING)))
            return false;
    }
    return f->finished >= CALM_TASKS;
}

bool framework_is_drained(const struct framework_host *f)
{
    return f->is_subscribed && f->live_count == 0;
}
