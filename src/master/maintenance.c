// SPDX-License-Identifier: Apache-2.0
//
// Maintenance: which machines are to go down when, and which are down.
//
//   UP ──in a schedule──> DRAINING ──START_MAINTENANCE──> DOWN ──STOP_MAINTENANCE──> UP
//        (out of it again: UP)
//
// The schedule is one entry of the registry, and each machine that is down another. What is known
// is a snapshot (struct maintenance), replaced as a whole by each change. A request is checked
// against the newest snapshot that was asked for; the durable one counts for agents and frameworks.

#include <stdio.h>
#include <string.h>

#include "master/internal.h"

static const char schedule_key[] = "maintenance/schedule";

// ---- machines ----

// A host name counts without regard to case.
static const char *machine_key(struct arena *arena, const char *hostname, const char *ip)
{
    char *key =
        arena_printf(arena, "%s|%s", hostname != NULL ? hostname : "", ip != NULL ? ip : "");
    for (char *c = key; *c != '\0' && *c != '|'; c++) {
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c - 'A' + 'a');
    }
    return key;
}

static const char *key_of(struct arena *arena, const Mesos__V1__MachineID *id)
{
    return machine_key(arena, id->hostname, id->ip);
}

static const char *down_key(struct master *m, const Mesos__V1__MachineID *id)
{
    return arena_printf(m->scratch, "machines/%s", key_of(m->scratch, id));
}

// For texts: the message as JSON.
static const char *id_text(struct arena *arena, const Mesos__V1__MachineID *id)
{
    AUTO_BUF struct buf out = BUF_INIT;
    wire_json_encode(&id->base, &out);
    return arena_strdup(arena, out.data);
}

// The machine that is meant by both, or by one alone.
static const struct machine *find_machine(const struct maintenance *known, struct arena *arena,
                                          const char *hostname, const char *ip)
{
    if (known->machines.count == 0)
        return NULL;
    const struct machine *found = map_get(&known->machines, machine_key(arena, hostname, ip));
    if (found == NULL)
        found = map_get(&known->machines, machine_key(arena, hostname, NULL));
    if (found == NULL)
        found = map_get(&known->machines, machine_key(arena, NULL, ip));
    return found;
}

// "slave(1)@10.0.0.1:5051": what is between.
static const char *ip_of(struct arena *arena, const char *pid)
{
    const char *at = strchr(pid, '@');
    const char *colon = at != NULL ? strrchr(at, ':') : NULL;
    return colon != NULL ? arena_strndup(arena, at + 1, (size_t)(colon - at - 1)) : "";
}

const struct machine *master_agent_machine(const struct agent *a)
{
    const struct master *m = a->master;
    if (m->maintenance->machines.count == 0)
        return NULL;
    return find_machine(m->maintenance, m->scratch, a->info->hostname, ip_of(m->scratch, a->pid));
}

bool master_machine_is_down(struct master *m, const Meseta__Link__AgentDescription *description)
{
    const struct machine *machine =
        find_machine(m->maintenance, m->scratch, description->info->hostname,
                     ip_of(m->scratch, description->pid));
    return machine != NULL && machine->is_down;
}

bool master_agent_is_elsewhere(const struct agent *a,
                               const Meseta__Link__AgentDescription *description)
{
    struct arena *arena = a->master->scratch;
    return strcmp(a->info->hostname, description->info->hostname) != 0 ||
           strcmp(ip_of(arena, a->pid), ip_of(arena, description->pid)) != 0;
}

// ---- snapshots ----

struct maintenance *master_maintenance_new(void)
{
    struct maintenance *made = mem_zalloc(sizeof(*made));
    made->arena = arena_new(1024, 0);
    made->schedule =
        WIRE_NEW(made->arena, Mesos__V1__Maintenance__Schedule, mesos__v1__maintenance__schedule);
    return made;
}

struct maintenance *master_maintenance_free(struct maintenance *maintenance)
{
    if (maintenance == NULL)
        return NULL;
    map_free(&maintenance->machines);
    arena_free(maintenance->arena);
    mem_free(maintenance);
    return NULL;
}

static void put_machine(struct maintenance *to, Mesos__V1__MachineID *id,
                        Mesos__V1__Unavailability *unavailability, bool is_down)
{
    struct machine *machine = arena_alloc(to->arena, sizeof(*machine));
    *machine = (struct machine){.id = id, .unavailability = unavailability, .is_down = is_down};
    map_put(&to->machines, key_of(to->arena, id), machine);
}

// With the schedule; those that are down in `before` stay so.
static struct maintenance *make_next(const struct maintenance *before,
                                     const Mesos__V1__Maintenance__Schedule *schedule)
{
    struct maintenance *next = master_maintenance_new();
    next->schedule = WIRE_COPY(next->arena, Mesos__V1__Maintenance__Schedule, schedule);
    for (size_t i = 0; i < next->schedule->n_windows; i++) {
        Mesos__V1__Maintenance__Window *window = next->schedule->windows[i];
        for (size_t k = 0; k < window->n_machine_ids; k++) {
            const struct machine *known =
                map_get(&before->machines, key_of(next->arena, window->machine_ids[k]));
            put_machine(next, window->machine_ids[k], window->unavailability,
                        known != NULL && known->is_down);
        }
    }
    return next;
}

// ---- what a change means for agents ----

static bool is_same(const struct machine *a, const struct machine *b)
{
    if (a == NULL || b == NULL)
        return a == b;
    return wire_is_equal(&a->unavailability->base, &b->unavailability->base);
}

static void take_down(struct agent *a)
{
    static const char message[] = "Operator initiated 'Machine DOWN'";
    master_registry_forget_agent(a->master, a->id);
    master_agent_remove(a, AGENT_DOWN, message, 0);
}

// Offers and inverse offers say when their agent becomes unavailable: other ones follow.
static void change_unavailability(struct agent *a, bool is_unavailable)
{
    log_info("%s agent %s (%s)", is_unavailable ? "New unavailability of" : "No unavailability of",
             a->id, a->info->hostname);
    LIST_FOREACH (&a->offers, struct offer, by_agent, o)
        master_offer_rescind(o);
    master_inverse_reset(a, is_unavailable);
}

static void take_effect(struct master *m, struct maintenance *next)
{
    struct maintenance *before = m->maintenance;
    m->maintenance = next;
    MAP_FOREACH (&m->agents, entry) {
        struct agent *a = entry->value;
        const char *ip = ip_of(m->scratch, a->pid);
        const struct machine *was = find_machine(before, m->scratch, a->info->hostname, ip);
        const struct machine *is = find_machine(next, m->scratch, a->info->hostname, ip);
        if (is != NULL && is->is_down)
            take_down(a);
        else if (!is_same(was, is))
            change_unavailability(a, is != NULL);
    }
    master_maintenance_free(before);
}

void master_agent_enter_maintenance(struct agent *a)
{
    bool is_unavailable = master_agent_machine(a) != NULL;
    if (is_unavailable == list_is_empty(&a->unavailable))
        master_inverse_reset(a, is_unavailable);
}

// ---- changes on their way to the registry ----

struct change {
    struct write write;
    void *waiter;
    struct maintenance *next;
};

static void drop(struct write *write)
{
    struct change *change = CONTAINER_OF(write, struct change, write);
    master_maintenance_free(change->next);
    mem_free(change);
}

static void is_durable(struct write *write)
{
    struct change *change = CONTAINER_OF(write, struct change, write);
    struct master *m = write->master;
    take_effect(m, change->next);
    master_answer(m, change->waiter, 200, NULL);
    mem_free(change);
}

static struct master_item schedule_item(struct master *m, const struct maintenance *next)
{
    if (next->schedule->n_windows == 0)
        return (struct master_item){.key = schedule_key};
    return master_item_put(m, schedule_key, &next->schedule->base);
}

// Takes `next` over. 0, or a status with its text.
static int write_change(struct master *m, struct maintenance *next, const struct master_item *items,
                        size_t count, void *waiter, struct error *err)
{
    if (master_check_batch(items, count, err) < 0) {
        master_maintenance_free(next);
        return 400;
    }
    struct change *change = mem_zalloc(sizeof(*change));
    change->waiter = waiter;
    change->next = next;
    change->write.done = is_durable;
    change->write.drop = drop;
    m->maintenance_wanted = next;
    master_write(m, &change->write, items, count);
    return 0;
}

// ---- checks ----

static bool is_ipv4(const char *text)
{
    unsigned parts[4];
    char rest;
    if (sscanf(text, "%3u.%3u.%3u.%3u%c", &parts[0], &parts[1], &parts[2], &parts[3], &rest) != 4)
        return false;
    return parts[0] < 256 && parts[1] < 256 && parts[2] < 256 && parts[3] < 256;
}

// Sound, and not among `seen`, where it is put.
static int check_machine(struct master *m, struct map *seen, const Mesos__V1__MachineID *id,
                         struct error *err)
{
    bool has_name = id->hostname != NULL && id->hostname[0] != '\0';
    bool has_ip = id->ip != NULL && id->ip[0] != '\0';
    if (!has_name && !has_ip)
        return error_set(err, -EINVAL, "Both 'hostname' and 'ip' for a machine are empty");
    if (has_ip && !is_ipv4(id->ip))
        return error_set(err, -EINVAL, "Failed to parse the IP '%s'", id->ip);
    if (map_put(seen, key_of(m->scratch, id), m) != NULL)
        return error_set(err, -EINVAL, "Machine '%s' appears more than once in the schedule",
                         id_text(m->scratch, id));
    return 0;
}

static int check_window(struct master *m, struct map *seen,
                        const Mesos__V1__Maintenance__Window *window, struct error *err)
{
    if (window->n_machine_ids == 0)
        return error_set(err, -EINVAL, "List of machines in the maintenance window is empty");
    const Mesos__V1__DurationInfo *duration = window->unavailability->duration;
    if (duration != NULL && duration->nanoseconds < 0)
        return error_set(err, -EINVAL, "Unavailability 'duration' is negative");
    int r = 0;
    for (size_t i = 0; i < window->n_machine_ids && r == 0; i++)
        r = check_machine(m, seen, window->machine_ids[i], err);
    return r;
}

static int check_schedule(struct master *m, const Mesos__V1__Maintenance__Schedule *schedule,
                          struct error *err)
{
    struct map seen = MAP_INIT;
    int r = 0;
    for (size_t i = 0; i < schedule->n_windows && r == 0; i++)
        r = check_window(m, &seen, schedule->windows[i], err);
    MAP_FOREACH (&m->maintenance_wanted->machines, entry) {
        const struct machine *machine = entry->value;
        if (r == 0 && machine->is_down && !map_has(&seen, entry->key))
            r = error_set(err, -EINVAL,
                          "Machine '%s' is deactivated and cannot be removed from the schedule",
                          id_text(m->scratch, machine->id));
    }
    map_free(&seen);
    return r;
}

// That all are in the schedule, and down or not.
static int check_machines(struct master *m, Mesos__V1__MachineID *const *ids, size_t count,
                          bool are_down, struct error *err)
{
    if (count == 0)
        return error_set(err, -EINVAL, "List of machines is empty");
    struct map seen = MAP_INIT;
    int r = 0;
    for (size_t i = 0; i < count && r == 0; i++)
        r = check_machine(m, &seen, ids[i], err);
    map_free(&seen);
    for (size_t i = 0; i < count && r == 0; i++) {
        const struct machine *machine =
            map_get(&m->maintenance_wanted->machines, key_of(m->scratch, ids[i]));
        if (machine == NULL)
            r = error_set(err, -EINVAL, "Machine '%s' is not part of a maintenance schedule",
                          id_text(m->scratch, ids[i]));
        else if (machine->is_down != are_down)
            r = error_set(err, -EINVAL, "Machine '%s' is not in %s mode and cannot be brought %s",
                          id_text(m->scratch, ids[i]), are_down ? "DOWN" : "DRAINING",
                          are_down ? "up" : "down");
    }
    return r;
}

// ---- the calls ----

int master_update_schedule(struct master *m, const Mesos__V1__Maintenance__Schedule *schedule,
                           void *waiter, struct instant now, struct error *err)
{
    master_enter(m, now);
    if (check_schedule(m, schedule, err) < 0)
        return 400;
    struct maintenance *next = make_next(m->maintenance_wanted, schedule);
    struct master_item item = schedule_item(m, next);
    return write_change(m, next, &item, 1, waiter, err);
}

int master_start_maintenance(struct master *m, Mesos__V1__MachineID *const *ids, size_t count,
                             void *waiter, struct instant now, struct error *err)
{
    master_enter(m, now);
    if (check_machines(m, ids, count, false, err) < 0)
        return 400;
    struct maintenance *next = make_next(m->maintenance_wanted, m->maintenance_wanted->schedule);
    struct master_item *items = arena_calloc(m->scratch, count, sizeof(*items));
    for (size_t i = 0; i < count; i++) {
        struct machine *machine = map_get(&next->machines, key_of(m->scratch, ids[i]));
        machine->is_down = true;
        Mesos__V1__MachineInfo info = MESOS__V1__MACHINE_INFO__INIT;
        info.id = machine->id;
        info.has_mode = true;
        info.mode = MESOS__V1__MACHINE_INFO__MODE__DOWN;
        items[i] = master_item_put(m, down_key(m, ids[i]), &info.base);
    }
    return write_change(m, next, items, count, waiter, err);
}

// The schedule without the machines that `leaving` has; windows that become empty go as well.
static Mesos__V1__Maintenance__Schedule *without(struct arena *arena,
                                                 const Mesos__V1__Maintenance__Schedule *schedule,
                                                 const struct map *leaving)
{
    Mesos__V1__Maintenance__Schedule *rest =
        WIRE_COPY(arena, Mesos__V1__Maintenance__Schedule, schedule);
    size_t window_count = 0;
    for (size_t i = 0; i < rest->n_windows; i++) {
        Mesos__V1__Maintenance__Window *window = rest->windows[i];
        size_t count = 0;
        for (size_t k = 0; k < window->n_machine_ids; k++) {
            if (!map_has(leaving, key_of(arena, window->machine_ids[k])))
                window->machine_ids[count++] = window->machine_ids[k];
        }
        window->n_machine_ids = count;
        if (count > 0)
            rest->windows[window_count++] = window;
    }
    rest->n_windows = window_count;
    return rest;
}

int master_stop_maintenance(struct master *m, Mesos__V1__MachineID *const *ids, size_t count,
                            void *waiter, struct instant now, struct error *err)
{
    master_enter(m, now);
    if (check_machines(m, ids, count, true, err) < 0)
        return 400;
    struct map leaving = MAP_INIT;
    struct master_item *items = arena_calloc(m->scratch, count + 1, sizeof(*items));
    for (size_t i = 0; i < count; i++) {
        map_put(&leaving, key_of(m->scratch, ids[i]), m);
        items[i] = (struct master_item){.key = down_key(m, ids[i])};
    }
    struct maintenance *next = make_next(
        m->maintenance_wanted, without(m->scratch, m->maintenance_wanted->schedule, &leaving));
    map_free(&leaving);
    items[count] = schedule_item(m, next);
    return write_change(m, next, items, count + 1, waiter, err);
}

// ---- recovery ----

int master_schedule_load(struct master *m, const Mesos__V1__Maintenance__Schedule *schedule,
                         struct error *err)
{
    int r = check_schedule(m, schedule, err);
    if (r < 0)
        return r;
    struct maintenance *next = make_next(m->maintenance, schedule);
    master_maintenance_free(m->maintenance);
    m->maintenance = m->maintenance_wanted = next;
    return 0;
}

int master_machine_load(struct master *m, const Mesos__V1__MachineInfo *info, struct error *err)
{
    struct machine *machine = map_get(&m->maintenance->machines, key_of(m->scratch, info->id));
    if (machine == NULL)
        return error_set(err, -EBADMSG, "the machine is in no schedule");
    machine->is_down = true;
    return 0;
}
