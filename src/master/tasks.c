// SPDX-License-Identifier: Apache-2.0
//
// Tasks: their records, their updates and acknowledgements, and where they go in the end.
//
//   TASK_ON_AGENT ──terminal and acknowledged──> TASK_COMPLETED (a ring, oldest out)
//        │  ^
//        │  └──agent comes back── TASK_UNREACHABLE <──agent is marked unreachable── TASK_ON_AGENT
//
// A task that ended holds no resources, but stays on its agent until its framework has acknowledged
// the terminal update: until then the agent sends it again.

#include <string.h>

#include "master/internal.h"

enum { STATUS_COUNT_MAX = 32 };

struct packed *master_pack(const ProtobufCMessage *message)
{
    const void *data;
    size_t size = wire_pack(message, &data);
    struct packed *packed = mem_alloc(sizeof(*packed) + size);
    packed->size = (uint32_t)size;
    memcpy(packed->data, data, size);
    return packed;
}

bool master_task_state_counts(Mesos__V1__TaskState state)
{
    return !task_state_is_terminal(state) && state != STATE(UNREACHABLE);
}

// What a Task says beyond the record's own fields, encoded; NULL when there is nothing.
static struct packed *pack_details(const Mesos__V1__Task *task)
{
    if (task->labels == NULL && task->discovery == NULL && task->container == NULL &&
        task->health_check == NULL && task->kill_policy == NULL && task->user == NULL &&
        task->n_limits == 0)
        return NULL;
    static char none[1] = "";
    Mesos__V1__TaskID task_id = MESOS__V1__TASK_ID__INIT;
    task_id.value = none;
    Mesos__V1__FrameworkID framework_id = MESOS__V1__FRAMEWORK_ID__INIT;
    framework_id.value = none;
    Mesos__V1__AgentID agent_id = MESOS__V1__AGENT_ID__INIT;
    agent_id.value = none;
    Mesos__V1__Task rest = *task;
    rest.name = none;
    rest.task_id = &task_id;
    rest.framework_id = &framework_id;
    rest.agent_id = &agent_id;
    rest.executor_id = NULL;
    rest.n_resources = 0;
    rest.n_statuses = 0;
    rest.has_status_update_state = false;
    rest.has_status_update_uuid = false;
    return master_pack(&rest.base);
}

// Without data and ids, which are those of the record.
static struct packed *pack_status(const Mesos__V1__TaskStatus *status, struct arena *arena)
{
    if (wire_is_pinned(&status->base)) {
        enum { TASK_ID = 1, DATA = 3, AGENT_ID = 5, EXECUTOR_ID = 7 };
        static const uint8_t no_task_id[] = {TASK_ID << 3 | 2, 2, 1 << 3 | 2, 0};
        size_t size;
        const void *came = wire_pinned_bytes(&status->base, &size);
        uint8_t *kept = arena_alloc(arena, sizeof(no_task_id) + size);
        memcpy(kept, no_task_id, sizeof(no_task_id));
        size = sizeof(no_task_id) +
               wire_filter_fields(came, size,
                                  1 << TASK_ID | 1 << DATA | 1 << AGENT_ID | 1 << EXECUTOR_ID,
                                  kept + sizeof(no_task_id));
        struct packed *packed = mem_alloc(sizeof(*packed) + size);
        packed->size = (uint32_t)size;
        memcpy(packed->data, kept, size);
        return packed;
    }
    static char none[1] = "";
    Mesos__V1__TaskID task_id = MESOS__V1__TASK_ID__INIT;
    task_id.value = none;
    Mesos__V1__TaskStatus kept = *status;
    kept.task_id = &task_id;
    kept.agent_id = NULL;
    kept.executor_id = NULL;
    kept.has_data = false;
    kept.data = (ProtobufCBinaryData){0};
    return master_pack(&kept.base);
}

static void make_status_room(struct task *t)
{
    if (t->statuses != t->few_statuses) {
        t->statuses = mem_realloc_array(t->statuses, t->status_count + 1, sizeof(*t->statuses));
    } else if (t->status_count == TASK_STATUSES_INLINE) {
        t->statuses = mem_alloc((TASK_STATUSES_INLINE + 1) * sizeof(*t->statuses));
        memcpy(t->statuses, t->few_statuses, sizeof(t->few_statuses));
    }
}

static void keep_status(struct task *t, const Mesos__V1__TaskStatus *status)
{
    if (t->status_count == STATUS_COUNT_MAX) {
        // The first one tells when it began: the second goes.
        mem_free(t->statuses[1]);
        memmove(&t->statuses[1], &t->statuses[2], (t->status_count - 2) * sizeof(*t->statuses));
        t->status_count--;
    }
    make_status_room(t);
    t->statuses[t->status_count++] = pack_status(status, t->framework->master->scratch);
    t->last_state = status->state;
}

static Mesos__V1__TaskStatus *last_status(const struct task *t, struct arena *arena)
{
    if (t->status_count == 0)
        return NULL;
    const struct packed *packed = t->statuses[t->status_count - 1];
    ProtobufCMessage *message;
    if (wire_decode(&mesos__v1__task_status__descriptor, arena, packed->data, packed->size,
                    &message, NULL) < 0)
        return NULL;
    return (Mesos__V1__TaskStatus *)message;
}

static char *put_text(char **at, const char *text)
{
    char *start = *at;
    size_t size = strlen(text) + 1;
    memcpy(start, text, size);
    *at += size;
    return start;
}

struct task *master_task_add(struct agent *a, struct framework *f, const Mesos__V1__Task *task,
                             struct resources *resources)
{
    const char *executor_id = task->executor_id != NULL ? task->executor_id->value : NULL;
    size_t size = strlen(task->task_id->value) + strlen(task->name) + strlen(a->id) + 3 +
                  (executor_id != NULL ? strlen(executor_id) + 1 : 0);
    struct task *t = mem_zalloc(sizeof(*t) + size);
    char *at = (char *)(t + 1);
    t->magic = TASK_MAGIC;
    t->id = put_text(&at, task->task_id->value);
    t->name = put_text(&at, task->name);
    t->agent_id = put_text(&at, a->id);
    t->executor_id = executor_id != NULL ? put_text(&at, executor_id) : NULL;
    t->place = TASK_ON_AGENT;
    t->seen = f->master->snapshot;
    t->state = task->state;
    t->framework = f;
    t->agent = a;
    t->resources = resources_share(resources);
    t->details = pack_details(task);
    t->statuses = t->few_statuses;
    for (size_t i = 0; i < task->n_statuses; i++)
        keep_status(t, task->statuses[i]);
    if (task->has_status_update_state && task->has_status_update_uuid &&
        task->status_update_uuid.len == UUID_SIZE) {
        t->has_update = true;
        t->update_state = task->status_update_state;
        memcpy(t->update_uuid, task->status_update_uuid.data, UUID_SIZE);
    }
    list_init(&t->by_place);
    list_append(&a->tasks, &t->by_agent);
    map_add_borrowed(&f->tasks, t->id, t);
    f->states[t->state]++;
    t->use = master_agent_hold(a, f);
    t->holds = master_task_state_counts(t->state);
    if (t->holds)
        master_agent_use_add(t->use, t->resources);
    master_notice_task(t, NULL);
    return t;
}

struct task *master_task_free(struct task *t)
{
    if (t == NULL)
        return NULL;
    CHECK(t->magic == TASK_MAGIC);
    master_before_task(t);
    if (t->place != TASK_COMPLETED)
        t->framework->states[t->state]--;
    list_remove(&t->by_agent);
    list_remove(&t->by_place);
    for (uint32_t i = 0; i < t->status_count; i++)
        mem_free(t->statuses[i]);
    if (t->statuses != t->few_statuses)
        mem_free(t->statuses);
    mem_free(t->details);
    resources_unshare(t->resources);
    t->magic = 0;
    mem_free(t);
    return NULL;
}

static void release_resources(struct task *t)
{
    if (!t->holds)
        return;
    t->holds = false;
    struct master *m = t->framework->master;
    master_agent_use_remove(t->use, t->resources);
    allocator_recover(m->allocator, t->framework->id, t->agent->id, t->resources, -1, m->now);
}

void master_count_task_end(struct master *m, const Mesos__V1__TaskStatus *status,
                           Mesos__V1__TaskState state)
{
    static const struct {
        Mesos__V1__TaskState state;
        enum counter counter;
    } counters[] = {
        {STATE(FINISHED), COUNT_TASKS_FINISHED},
        {STATE(FAILED), COUNT_TASKS_FAILED},
        {STATE(KILLED), COUNT_TASKS_KILLED},
        {STATE(LOST), COUNT_TASKS_LOST},
        {STATE(ERROR), COUNT_TASKS_ERROR},
        {STATE(DROPPED), COUNT_TASKS_DROPPED},
        {STATE(GONE), COUNT_TASKS_GONE},
        {STATE(GONE_BY_OPERATOR), COUNT_TASKS_GONE_BY_OPERATOR},
    };
    for (size_t i = 0; i < ARRAY_COUNT(counters); i++) {
        if (counters[i].state == state)
            master_count(m, counters[i].counter);
    }
    // The reason of an update that is not yet the last is not that of the end.
    if (!status->has_reason || !status->has_source || status->state != state)
        return;
    // "master/task_lost/source_slave/reason_executor_terminated": v0 names, lower case.
    const char *reason =
        wire_enum_name(&mesos__v1__task_status__reason__descriptor, (int)status->reason);
    static const char *const sources[] = {"source_master", "source_slave", "source_executor"};
    if (reason == NULL || (size_t)status->source >= ARRAY_COUNT(sources))
        return;
    char *name = arena_printf(m->scratch, "master/%s/%s/%s", task_state_name(state),
                              sources[status->source], reason);
    for (char *c = name; *c != '\0'; c++) {
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c - 'A' + 'a');
    }
    char *agent = strstr(name, "reason_agent_");
    if (agent != NULL)
        name = arena_printf(m->scratch, "%.*sreason_slave_%s", (int)(agent - name), name,
                            agent + strlen("reason_agent_"));
    uint64_t *count = map_get(&m->task_losses, name);
    if (count == NULL) {
        count = mem_zalloc(sizeof(*count));
        map_put(&m->task_losses, name, count);
    }
    (*count)++;
}

void master_task_update(struct task *t, const Mesos__V1__TaskStatus *status,
                        Mesos__V1__TaskState latest)
{
    struct framework *f = t->framework;
    struct master *m = f->master;
    bool ends = master_task_state_counts(t->state) && !master_task_state_counts(latest);
    master_before_task(t);
    if (!task_state_is_terminal(t->state)) {
        f->states[t->state]--;
        f->states[latest]++;
        t->state = latest;
    }
    // Only the newest of equal states is kept; it is news when it is about health or a check.
    bool is_news =
        status->has_reason && (status->reason == REASON(TASK_CHECK_STATUS_UPDATED) ||
                               status->reason == REASON(TASK_HEALTH_CHECK_STATUS_UPDATED));
    if (t->status_count > 0 && t->last_state == status->state)
        mem_free(t->statuses[--t->status_count]);
    else
        is_news = true;
    keep_status(t, status);
    if (is_news)
        master_notice_task(t, status);
    log_debug("Task %s of framework %s is now %s (update: %s)", t->id, f->id,
              task_state_name(t->state), task_state_name(status->state));
    if (!ends)
        return;
    release_resources(t);
    master_count_task_end(m, status, t->state);
    f->terminal[t->state]++;
}

// Off its agent: nothing of it is booked there afterwards.
static void leave_agent(struct task *t)
{
    release_resources(t);
    list_remove(&t->by_agent);
    map_remove(&t->framework->tasks, t->id);
    master_agent_unhold(TAKE_PTR(t->use));
    t->agent = NULL;
}

static void drop_oldest_completed(struct framework *f)
{
    f->completed_count--;
    master_task_free(LIST_ENTRY(f->completed_tasks.next, struct task, by_place));
}

void master_task_finish(struct task *t)
{
    struct framework *f = t->framework;
    struct agent *a = t->agent;
    master_before_task(t);
    if (t->place == TASK_ON_AGENT) {
        leave_agent(t);
    } else {
        CHECK(t->place == TASK_UNREACHABLE);
        list_remove(&t->by_agent);
        list_remove(&t->by_place);
        map_remove(&f->unreachable, t->id);
    }
    f->states[t->state]--;
    t->place = TASK_COMPLETED;
    list_append(&f->completed_tasks, &t->by_place);
    f->completed_count++;
    while (f->completed_count > f->master->options.max_completed_tasks_per_framework)
        drop_oldest_completed(f);
    if (a != NULL)
        master_agent_check_drained(a);
}

void master_task_make_unreachable(struct task *t)
{
    struct framework *f = t->framework;
    CHECK(t->place == TASK_ON_AGENT);
    master_before_task(t);
    leave_agent(t);
    t->place = TASK_UNREACHABLE;
    struct unreachable_agent *agent = map_get(&f->master->unreachable, t->agent_id);
    CHECK(agent != NULL);
    list_append(&agent->tasks, &t->by_agent);
    list_append(&f->unreachable_order, &t->by_place);
    struct task *other = map_put(&f->unreachable, t->id, t);
    if (other != NULL)
        master_task_free(other);
    while (f->unreachable.count > f->master->options.max_unreachable_tasks_per_framework) {
        struct task *oldest = LIST_ENTRY(f->unreachable_order.next, struct task, by_place);
        map_remove(&f->unreachable, oldest->id);
        master_task_free(oldest);
    }
}

void master_task_copy_condition(const struct task *t, struct arena *arena,
                                Mesos__V1__TaskStatus *status)
{
    Mesos__V1__TaskStatus *last = last_status(t, arena);
    if (last == NULL)
        return;
    status->has_healthy = last->has_healthy;
    status->healthy = last->healthy;
    status->check_status = last->check_status;
    status->container_status = last->container_status;
}

// ---- updates from agents ----

static void forward_update(struct framework *f, struct task *t, Mesos__V1__TaskStatus *status)
{
    if (t != NULL && status->has_uuid && status->uuid.len == UUID_SIZE) {
        master_before_task(t);
        t->has_update = true;
        t->update_state = status->state;
        memcpy(t->update_uuid, status->uuid.data, UUID_SIZE);
    }
    master_framework_send_update(f, status);
}

void master_agent_status_update(struct agent *a, Meseta__Link__ToMaster__StatusUpdate *message)
{
    struct master *m = a->master;
    Mesos__V1__TaskStatus *status = message->status;
    const char *framework_id = message->framework_id->value;
    master_count(m, COUNT_MESSAGES_STATUS_UPDATE);
    if (status->has_uuid && status->uuid.len != UUID_SIZE) {
        log_warning("Ignoring a status update from agent %s: its uuid has %zu bytes", a->id,
                    status->uuid.len);
        master_count(m, COUNT_INVALID_STATUS_UPDATES);
        return;
    }
    if (status->agent_id == NULL || strcmp(status->agent_id->value, a->id) != 0) {
        status->agent_id = master_make_agent_id(m->scratch, a->id);
        wire_unpin(&status->base);
    }
    struct framework *f = master_framework(m, framework_id);
    if (f == NULL) {
        log_warning("Status update %s for task %s of unknown framework %s from agent %s",
                    task_state_name(status->state), status->task_id->value, framework_id, a->id);
        master_count(m, COUNT_INVALID_STATUS_UPDATES);
        if (map_has(&m->completed_ids, framework_id))
            master_agent_send_shutdown_framework(a, framework_id);
        return;
    }
    struct task *t = map_get(&f->tasks, status->task_id->value);
    if (t != NULL && t->agent != a)
        t = NULL;
    bool forwarded = f->subscriber != NULL;
    if (forwarded)
        forward_update(f, t, status);
    if (t == NULL || !forwarded)
        master_count(m, COUNT_INVALID_STATUS_UPDATES);
    else
        master_count(m, COUNT_VALID_STATUS_UPDATES);
    if (t == NULL) {
        log_warning("Could not look up task %s for a status update from agent %s",
                    status->task_id->value, a->id);
        return;
    }
    Mesos__V1__TaskState latest = message->has_latest_state ? message->latest_state : status->state;
    // That an agent is not reachable is for the master to say, and that it knows nothing, for none.
    if (latest == STATE(UNREACHABLE) || latest == STATE(UNKNOWN))
        latest = t->state;
    master_task_update(t, status, latest);
    // Nobody will acknowledge an update that does not ask for it.
    if (!status->has_uuid && task_state_is_terminal(t->state))
        master_task_finish(t);
}

void master_call_acknowledge(struct framework *f, Mesos__V1__Scheduler__Call__Acknowledge *call)
{
    struct master *m = f->master;
    master_count(m, COUNT_MESSAGES_STATUS_UPDATE_ACK);
    // Mostly the task is there and knows its agent: one search less, in a large map.
    struct task *t = map_get(&f->tasks, call->task_id->value);
    struct agent *a = t != NULL && strcmp(t->agent_id, call->agent_id->value) == 0
                          ? t->agent
                          : master_agent(m, call->agent_id->value);
    if (a == NULL || a->channel == NULL) {
        log_warning("Cannot acknowledge an update of task %s of framework %s to agent %s: it is "
                    "not %s",
                    call->task_id->value, f->id, call->agent_id->value,
                    a == NULL ? "registered" : "connected");
        master_count(m, COUNT_INVALID_STATUS_UPDATE_ACKS);
        return;
    }
    if (t != NULL && t->agent == a) {
        if (!t->has_update) {
            log_warning("Ignoring an acknowledgement for task %s of framework %s: the update was "
                        "not sent by this master",
                        t->id, f->id);
            master_count(m, COUNT_INVALID_STATUS_UPDATE_ACKS);
            return;
        }
        if (task_state_is_terminal(t->update_state) && call->uuid.len == UUID_SIZE &&
            memcmp(t->update_uuid, call->uuid.data, UUID_SIZE) == 0)
            master_task_finish(t);
    }
    Meseta__Link__ToAgent *message = master_make_to_agent(m->scratch, TO_AGENT(ACKNOWLEDGE));
    Meseta__Link__ToAgent__Acknowledge *acknowledge = WIRE_NEW(
        m->scratch, Meseta__Link__ToAgent__Acknowledge, meseta__link__to_agent__acknowledge);
    acknowledge->framework_id = f->info->id;
    acknowledge->task_id = call->task_id;
    acknowledge->uuid = call->uuid;
    message->acknowledge = acknowledge;
    master_agent_send(a, message);
    master_count(m, COUNT_VALID_STATUS_UPDATE_ACKS);
}
