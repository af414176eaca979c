// SPDX-License-Identifier: Apache-2.0
//
// Going on where an earlier process ended. First the records become frameworks, executors, tasks
// and streams again; that part asks for no effects but to forget what made no sense. Then the agent
// waits for its executors: each comes back with SUBSCRIBE, or its container is found to have ended,
// or the time is over. Only then does it register, so that the master hears the whole of it.

#include <errno.h>
#include <string.h>

#include "agent/internal.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "model/task_state.h"
#include "proto/checkpoint.pb-c.h"
#include "wire/wire.h"

#define UNKNOWN_REFERENCE "it belongs to nothing that is known"

struct loading {
    struct agent *agent;
    const struct agent_recovery *recovery;
    struct arena *arena; // for the messages
    const char **bad;    // keys of records that are left out
    size_t bad_count;
};

typedef int load_fn(struct loading *l, const ProtobufCMessage *message, struct error *err);

static struct agent_framework *find_framework(const struct loading *l, const char *id,
                                              struct error *err)
{
    struct agent_framework *framework = map_get(&l->agent->frameworks, id);
    if (framework == NULL) {
        error_set(err, -EBADMSG, UNKNOWN_REFERENCE);
    }
    return framework;
}

static struct agent_task *find_task(const struct loading *l, const char *framework_id,
                                    const char *task_id, struct error *err)
{
    struct agent_framework *framework = find_framework(l, framework_id, err);
    struct agent_task *task = framework == NULL ? NULL : map_get(&framework->tasks, task_id);
    if (task == NULL) {
        error_set(err, -EBADMSG, UNKNOWN_REFERENCE);
    }
    return task;
}

// ---- one record each ----

static int load_framework(struct loading *l, const ProtobufCMessage *message, struct error *err)
{
    const Meseta__Checkpoint__Framework *m = (const void *)message;
    if (m->info->id == NULL || map_has(&l->agent->frameworks, m->info->id->value)) {
        return error_set(err, -EBADMSG, "it has no id of its own");
    }
    agent_framework_new(l->agent, m->info)->was_ending = m->has_is_ending && m->is_ending;
    return 0;
}

static int load_executor(struct loading *l, const ProtobufCMessage *message, struct error *err)
{
    const Meseta__Checkpoint__Executor *m = (const void *)message;
    struct agent *agent = l->agent;
    struct agent_framework *framework = find_framework(l, m->framework_id, err);
    if (framework == NULL) {
        return -EBADMSG;
    }
    if (strlen(m->container_id) >= sizeof(((struct agent_executor *)NULL)->container_id) ||
        map_has(&agent->containers, m->container_id) ||
        map_has(&framework->executors, m->info->executor_id->value)) {
        return error_set(err, -EBADMSG, "it has no ids of its own");
    }
    struct resources *own;
    int r = resources_from_proto(m->info->resources, m->info->n_resources, &own, err);
    if (r < 0) {
        return r;
    }
    struct agent_executor *executor = agent_executor_new(framework, m->info, m->is_generated);
    agent_executor_allocate_own(executor, own);
    map_remove(&agent->containers, executor->container_id);
    strcpy(executor->container_id, m->container_id);
    map_put(&agent->containers, executor->container_id, executor);
    mem_free(executor->directory);
    executor->directory = mem_strdup(m->directory);
    mem_free(executor->user);
    executor->user = m->user != NULL ? mem_strdup(m->user) : NULL;
    executor->instance = m->instance;
    executor->is_recovering = true;
    agent->recovering_executors++;
    return 0;
}

// The status is one that the task had. The newest comes last.
static void replay(struct agent_task *task, struct agent_status *status)
{
    Mesos__V1__TaskState state = status->message->state;
    agent_task_add_status(task, status);
    agent_task_set_state(task, state);
    // An update of the agent's own says nothing of that: the task may have been killed before.
    if (status->message->source == MESOS__V1__TASK_STATUS__SOURCE__SOURCE_EXECUTOR) {
        task->executor->was_sent_task = true;
    }
    if (task_state_is_terminal(state)) {
        agent_task_set_stage(task, TASK_TERMINATED);
    } else if (task->stage == TASK_QUEUED) {
        agent_task_set_stage(task, TASK_LAUNCHED);
    }
}

static int load_task(struct loading *l, const ProtobufCMessage *message, struct error *err)
{
    const Meseta__Checkpoint__Task *m = (const void *)message;
    struct agent_framework *framework = find_framework(l, m->framework_id, err);
    struct agent_executor *executor =
        framework == NULL ? NULL : map_get(&framework->executors, m->executor_id);
    if (executor == NULL) {
        return error_set(err, -EBADMSG, UNKNOWN_REFERENCE);
    }
    if (map_has(&framework->tasks, m->info->task_id->value)) {
        return error_set(err, -EBADMSG, "it has no id of its own");
    }
    struct resources *resources;
    int r = resources_from_proto(m->info->resources, m->info->n_resources, &resources, err);
    if (r < 0) {
        return r;
    }
    struct agent_task *task = agent_task_new(executor, m->info, resources);
    if (m->ended != NULL) {
        struct agent_status *status = agent_status_new(m->ended);
        replay(task, status);
        agent_status_unref(status);
        agent_task_complete(task);
    } else if (!executor->is_generated) {
        // Whether it was sent is not known. An executor of ours tells, and is sent it again;
        // others are treated as by Mesos: what they do not name is dropped.
        agent_task_set_stage(task, TASK_LAUNCHED);
    }
    return 0;
}

static int load_stream(struct loading *l, const ProtobufCMessage *message, struct error *err)
{
    const Meseta__Checkpoint__Stream *m = (const void *)message;
    struct agent_task *task = find_task(l, m->framework_id, m->task_id, err);
    if (task == NULL) {
        return -EBADMSG;
    }
    if (m->seen.len % UUID_SIZE != 0 || !m->last->has_uuid || m->last->uuid.len != UUID_SIZE ||
        task_state_is_terminal(m->last->state)) {
        return error_set(err, -EBADMSG, "its last update is unsound");
    }
    struct agent_status *status = agent_status_new(m->last);
    replay(task, status);
    agent_status_unref(status);
    agent_task_note_forwarded(task, m->last);
    agent_stream_recover(l->agent, m->framework_id, m->task_id, m->next, m->seen.data,
                         m->seen.len / UUID_SIZE);
    return 0;
}

static int load_update(struct loading *l, const ProtobufCMessage *message, struct error *err)
{
    const Meseta__Checkpoint__Update *m = (const void *)message;
    struct agent_task *task = find_task(l, m->framework_id, m->status->task_id->value, err);
    if (task == NULL) {
        return -EBADMSG;
    }
    if (!m->status->has_uuid || m->status->uuid.len != UUID_SIZE ||
        task->stage == TASK_TERMINATED) {
        return error_set(err, -EBADMSG, "the update is unsound");
    }
    struct agent_status *status = agent_status_new(m->status);
    bool is_first;
    bool is_next =
        agent_stream_recover_update(l->agent, m->framework_id, m->number, status, &is_first);
    if (is_next) {
        replay(task, status);
        // The former process may have sent it: the framework may know it, and the master must not
        // deny that.
        if (is_first) {
            agent_task_note_forwarded(task, m->status);
        }
    }
    agent_status_unref(status);
    return is_next ? 0 : error_set(err, -EBADMSG, "an update before it is missing");
}

static int load_operation(struct loading *l, const ProtobufCMessage *message, struct error *err)
{
    return agent_operation_recover(l->agent, message, err);
}

// ---- all records ----

// What its executor said of it is lost, so it must not be sent to it once more: it counts as sent.
static void doubt_task(const struct loading *l, const char *key)
{
    struct arena *arena AUTO_ARENA = arena_new(512, 0);
    char *at = arena_strdup(arena, strchr(key, '/') + 1);
    const char *framework_id = strsep(&at, "/");
    const char *task_id = strsep(&at, "/");
    struct agent_framework *framework = map_get(&l->agent->frameworks, framework_id);
    struct agent_task *task =
        framework == NULL || task_id == NULL ? NULL : map_get(&framework->tasks, task_id);
    if (task != NULL && task->stage == TASK_QUEUED) {
        agent_task_set_stage(task, TASK_LAUNCHED);
    }
}

static int load_record(struct loading *l, const struct agent_record *record,
                       const ProtobufCMessageDescriptor *descriptor, load_fn *load,
                       struct error *err)
{
    ProtobufCMessage *message;
    struct error why = {0};
    int r = wire_decode(descriptor, l->arena, record->value, record->size, &message, &why);
    if (r == 0) {
        r = load(l, message, &why);
    }
    if (r < 0 && l->recovery->is_strict) {
        return error_set(err, r, "Failed to recover '%.100s': %.120s", record->key, why.text);
    }
    if (r < 0) {
        log_warning("Leaving out the record '%s': %s", record->key, why.text);
        l->agent->metrics.recovery_errors++;
        l->bad[l->bad_count++] = record->key;
        if (load == load_stream || load == load_update) {
            doubt_task(l, record->key);
        }
    }
    return 0;
}

static int load_all(struct loading *l, struct error *err)
{
    static const struct {
        const char *prefix;
        const ProtobufCMessageDescriptor *descriptor;
        load_fn *load;
    } kinds[] = {
        {"framework/", &meseta__checkpoint__framework__descriptor, load_framework},
        {"executor/", &meseta__checkpoint__executor__descriptor, load_executor},
        {"task/", &meseta__checkpoint__task__descriptor, load_task},
        {"stream/", &meseta__checkpoint__stream__descriptor, load_stream},
        {"update/", &meseta__checkpoint__update__descriptor, load_update},
        {"operation/", &meseta__checkpoint__operation__descriptor, load_operation},
    };
    for (size_t k = 0; k < ARRAY_COUNT(kinds); k++) {
        for (size_t i = 0; i < l->recovery->count; i++) {
            const struct agent_record *record = &l->recovery->records[i];
            if (!text_starts_with(record->key, kinds[k].prefix)) {
                continue;
            }
            int r = load_record(l, record, kinds[k].descriptor, kinds[k].load, err);
            if (r < 0) {
                return r;
            }
        }
    }
    return 0;
}

// NULL when there is none; then nothing of the rest counts.
static int load_self(struct loading *l, Meseta__Checkpoint__Agent **ret_self, struct error *err)
{
    *ret_self = NULL;
    for (size_t i = 0; i < l->recovery->count; i++) {
        const struct agent_record *record = &l->recovery->records[i];
        if (strcmp(record->key, "agent") != 0) {
            continue;
        }
        ProtobufCMessage *message;
        struct error why = {0};
        int r = wire_decode(&meseta__checkpoint__agent__descriptor, l->arena, record->value,
                            record->size, &message, &why);
        Meseta__Checkpoint__Agent *self = (void *)message;
        if (r == 0 && self->info->id == NULL) {
            r = error_set(&why, -EBADMSG, "it has no id");
        }
        if (r < 0 && l->recovery->is_strict) {
            return error_set(err, r, "Failed to recover 'agent': %s", why.text);
        }
        if (r < 0) {
            log_warning("Starting as a new agent: the record 'agent' is unsound: %s", why.text);
            l->agent->metrics.recovery_errors++;
            return 0;
        }
        *ret_self = self;
    }
    return 0;
}

// ---- what comes of them ----

static void forget(struct agent *agent, const char *key)
{
    if (agent->ops.checkpoint != NULL) {
        agent->ops.checkpoint(agent->ctx, key, NULL);
    }
}

// Reservations and volumes are the machine's, whatever the agent is called.
static bool is_machines(const char *key)
{
    return strcmp(key, "resources") == 0 || text_starts_with(key, "doomed/");
}

static void forget_all(struct agent *agent, const struct agent_recovery *recovery)
{
    for (size_t i = 0; i < recovery->count; i++) {
        if (!is_machines(recovery->records[i].key)) {
            forget(agent, recovery->records[i].key);
        }
    }
}

// Without an executor a framework would wait for nothing.
static void drop_idle_frameworks(struct agent *agent, struct instant now)
{
    MAP_FOREACH (&agent->frameworks, entry) {
        agent_framework_remove_if_idle(CHECK_CAST(agent_framework, FRAMEWORK_MAGIC, entry->value),
                                       now);
    }
}

static void add_tasks(const struct list *tasks)
{
    LIST_FOREACH (tasks, struct agent_task, link, task) {
        agent_task_allocate(task);
    }
}

// Only now is it known which tasks live: one that has ended may have had what another one has, and
// what both have, a port say, is in a sum but once.
static void sum_allocated(struct agent *agent)
{
    MAP_FOREACH (&agent->containers, entry) {
        struct agent_executor *executor = CHECK_CAST(agent_executor, EXECUTOR_MAGIC, entry->value);
        add_tasks(&executor->queued);
        add_tasks(&executor->launched);
    }
}

static int take_over(struct loading *l, const Meseta__Checkpoint__Agent *self, struct instant now,
                     struct error *err)
{
    struct agent *agent = l->agent;
    // What is read needs not be written.
    void (*checkpoint)(void *, const char *, const ProtobufCMessage *) = agent->ops.checkpoint;
    agent->ops.checkpoint = NULL;
    agent_set_id(agent, self->info->id->value);
    if (self->drain != NULL)
        agent_drain_recover(agent, self->drain, now);
    agent->is_loading = true;
    int r = load_all(l, err);
    agent->is_loading = false;
    agent->ops.checkpoint = checkpoint;
    if (r < 0) {
        return r;
    }
    sum_allocated(agent);
    for (size_t i = 0; i < l->bad_count; i++) {
        forget(agent, l->bad[i]);
    }
    drop_idle_frameworks(agent, now);
    agent_drain_check(agent);
    agent_checkpoint_self(agent);
    log_info("Recovered agent %s with %zu executors to wait for", agent->info->id->value,
             agent->recovering_executors);
    return 0;
}

// What operations have made of the machine. Without --strict a record that cannot be read is left
// out; one that does not fit the flags is an error in any case, or data would be lost.
static int recover_machine(struct agent *agent, const struct agent_recovery *recovery,
                           struct instant now, struct error *err)
{
    struct arena *arena AUTO_ARENA = arena_new(0, 0);
    for (size_t i = 0; i < recovery->count; i++) {
        const struct agent_record *record = &recovery->records[i];
        bool is_resources = strcmp(record->key, "resources") == 0;
        if (!is_machines(record->key)) {
            continue;
        }
        ProtobufCMessage *message;
        struct error why = {0};
        int r = wire_decode(is_resources ? &meseta__checkpoint__resources__descriptor
                                         : &meseta__checkpoint__doomed__descriptor,
                            arena, record->value, record->size, &message, &why);
        if (r == 0 && is_resources) {
            r = agent_resources_recover(agent, message, &why);
        } else if (r == 0) {
            agent_doomed_recover(agent, message, now);
        }
        if (r == -EINVAL || (r < 0 && recovery->is_strict)) {
            return error_set(err, r, "%s", why.text);
        }
        if (r < 0) {
            log_warning("Leaving out the record '%s': %s", record->key, why.text);
            agent->metrics.recovery_errors++;
            forget(agent, record->key);
        }
    }
    return 0;
}

static int recover_self(struct agent *agent, const struct agent_recovery *recovery,
                        bool *ret_is_rebooted, struct instant now, struct error *err)
{
    CHECK(agent->frameworks.count == 0 && agent->state == AGENT_DISCONNECTED);
    agent->is_recovering = true;
    agent->is_cleanup = recovery->is_cleanup;
    *ret_is_rebooted = false;
    struct arena *arena AUTO_ARENA = arena_new(0, 0);
    struct loading l = {.agent = agent, .recovery = recovery, .arena = arena};
    l.bad = arena_calloc(arena, recovery->count + 1, sizeof(l.bad[0]));
    Meseta__Checkpoint__Agent *self;
    int r = load_self(&l, &self, err);
    if (r < 0) {
        return r;
    }
    if (self == NULL) {
        forget_all(agent, recovery);
        return 0;
    }
    const char *boot_id = agent->options.boot_id;
    *ret_is_rebooted =
        *boot_id != '\0' && *self->boot_id != '\0' && strcmp(boot_id, self->boot_id) != 0;
    if (*ret_is_rebooted) {
        log_info("Agent host rebooted");
    }
    if (recovery->takes_hostname) {
        agent->info->hostname = arena_strdup(agent->info_arena, self->info->hostname);
    }
    struct error why = {0};
    r = agent_check_compatible(agent, self->info, recovery->is_additive, &why);
    if (r < 0 && *ret_is_rebooted) {
        log_warning("Falling back to recover as a new agent due to error: %s", why.text);
        forget_all(agent, recovery);
        return 0;
    }
    if (r < 0) {
        return error_set(err, r, "%s", why.text);
    }
    return take_over(&l, self, now, err);
}

int agent_recover(struct agent *agent, const struct agent_recovery *recovery, bool *ret_is_rebooted,
                  struct instant now, struct error *err)
{
    int r = recover_self(agent, recovery, ret_is_rebooted, now, err);
    return r == 0 ? recover_machine(agent, recovery, now, err) : r;
}

// ---- waiting for the executors ----

static void finish(struct agent *agent, struct instant now)
{
    agent->is_recovering = false;
    agent->recovery_time_s = (double)now.wall / NS_PER_S - agent->start_time;
    timer_cancel(&agent->timers, &agent->recovery);
    log_info("Finished recovery");
    if (agent->state == AGENT_CONNECTED) {
        agent_registration_start(agent, now);
    }
}

static void fail_silent(struct agent_executor *executor)
{
    struct buf text AUTO_BUF = BUF_INIT;
    buf_puts(&text, "Executor did not reregister within ");
    text_put_duration(&text,
                      executor->framework->agent->options.executor_reregistration_timeout_ns);
    agent_executor_set_state(executor, EXECUTOR_TERMINATING);
    agent_executor_fail(
        executor,
        agent_framework_is_partition_aware(executor->framework) ? MESOS__V1__TASK_STATE__TASK_GONE
                                                                : MESOS__V1__TASK_STATE__TASK_LOST,
        MESOS__V1__TASK_STATUS__REASON__REASON_EXECUTOR_REREGISTRATION_TIMEOUT, text.data);
}

static void recovery_due(struct timer *timer, struct instant now)
{
    struct agent *agent = CONTAINER_OF(timer, struct agent, recovery);
    log_info("Cleaning up un-reregistered executors");
    MAP_FOREACH (&agent->containers, entry) {
        struct agent_executor *executor = CHECK_CAST(agent_executor, EXECUTOR_MAGIC, entry->value);
        if (executor->is_recovering && executor->state == EXECUTOR_REGISTERING) {
            fail_silent(executor);
        }
        executor->is_recovering = false;
    }
    agent->recovering_executors = 0;
    finish(agent, now);
}

void agent_recovery_init(struct agent *agent)
{
    agent->recovery.run = recovery_due;
    agent->recovery_time_s = -1;
}

// What was being shut down is so still. Its executors were told that their updates had arrived,
// which nobody wrote down: they would be sent their tasks once more.
static void end_frameworks(struct agent *agent, struct instant now)
{
    MAP_FOREACH (&agent->frameworks, entry) {
        struct agent_framework *framework =
            CHECK_CAST(agent_framework, FRAMEWORK_MAGIC, entry->value);
        if (framework->was_ending) {
            agent_shutdown_framework(agent, framework, now);
        }
    }
}

void agent_recovery_start(struct agent *agent, struct instant now)
{
    CHECK(agent->is_recovering);
    end_frameworks(agent, now);
    if (agent->is_cleanup) {
        finish(agent, now);
        agent_shutdown(agent, "Started to clean up (--recover=cleanup)", now);
    } else if (agent->recovering_executors == 0) {
        finish(agent, now);
    } else {
        timer_set(&agent->timers, &agent->recovery,
                  now.mono + agent->options.executor_reregistration_timeout_ns);
    }
}

void agent_recovery_executor_done(struct agent_executor *executor, struct instant now)
{
    struct agent *agent = executor->framework->agent;
    if (!executor->is_recovering) {
        return;
    }
    executor->is_recovering = false;
    if (--agent->recovering_executors == 0 && timer_is_set(&agent->recovery)) {
        finish(agent, now);
    }
}

void agent_recovery_note_heard(struct agent_executor *executor,
                               const Mesos__V1__Executor__Call__Subscribe *subscribe)
{
    struct map heard = MAP_INIT;
    for (size_t i = 0; i < subscribe->n_unacknowledged_tasks; i++) {
        map_put(&heard, subscribe->unacknowledged_tasks[i]->task_id->value, executor);
    }
    for (size_t i = 0; i < subscribe->n_unacknowledged_updates; i++) {
        map_put(&heard, subscribe->unacknowledged_updates[i]->status->task_id->value, executor);
    }
    executor->was_sent_task |= heard.count > 0;
    LIST_FOREACH (&executor->queued, struct agent_task, link, task) {
        if (map_has(&heard, task->info->task_id->value)) {
            agent_task_set_stage(task, TASK_LAUNCHED);
        }
    }
    map_free(&heard);
}
