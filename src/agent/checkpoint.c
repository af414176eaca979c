// SPDX-License-Identifier: Apache-2.0
//
// What the agent writes down, as keys and messages (proto/checkpoint.proto). Each change of what
// must outlive the process is told with the change itself; the shell makes a turn's changes durable
// before anything that the turn says or starts leaves the agent.

#include <inttypes.h>
#include <string.h>

#include "agent/internal.h"
#include "model/operation.h"
#include "proto/checkpoint.pb-c.h"
#include "wire/wire.h"

bool agent_framework_is_durable(const struct agent_framework *framework)
{
    return framework->agent->ops.checkpoint != NULL && framework->info->has_checkpoint &&
           framework->info->checkpoint;
}

static void put(struct agent *agent, const char *key, const ProtobufCMessage *message)
{
    agent->ops.checkpoint(agent->ctx, key, message);
}

static const char *key_of(struct arena *arena, const char *kind, const char *framework_id,
                          const char *id)
{
    return arena_printf(arena, "%s/%s/%s", kind, framework_id, id);
}

void agent_checkpoint_self(struct agent *agent)
{
    if (agent->ops.checkpoint == NULL) {
        return;
    }
    if (agent->info->id == NULL) {
        put(agent, "agent", NULL);
        return;
    }
    Meseta__Checkpoint__Agent message = MESETA__CHECKPOINT__AGENT__INIT;
    message.info = agent->info;
    message.boot_id = (char *)agent->options.boot_id;
    message.drain = agent->drain;
    put(agent, "agent", &message.base);
}

void agent_checkpoint_framework(const struct agent_framework *framework)
{
    if (!agent_framework_is_durable(framework)) {
        return;
    }
    struct arena *arena AUTO_ARENA = arena_new(512, 0);
    Meseta__Checkpoint__Framework message = MESETA__CHECKPOINT__FRAMEWORK__INIT;
    message.info = framework->info;
    message.has_is_ending = message.is_ending = framework->is_terminating;
    put(framework->agent, arena_printf(arena, "framework/%s", framework->id), &message.base);
}

void agent_checkpoint_drop_framework(const struct agent_framework *framework)
{
    if (agent_framework_is_durable(framework)) {
        struct arena *arena AUTO_ARENA = arena_new(512, 0);
        put(framework->agent, arena_printf(arena, "framework/%s", framework->id), NULL);
    }
}

void agent_checkpoint_executor(const struct agent_executor *executor)
{
    const struct agent_framework *framework = executor->framework;
    if (!agent_framework_is_durable(framework)) {
        return;
    }
    struct arena *arena AUTO_ARENA = arena_new(512, 0);
    Meseta__Checkpoint__Executor message = MESETA__CHECKPOINT__EXECUTOR__INIT;
    message.framework_id = (char *)framework->id;
    message.info = executor->info;
    message.is_generated = executor->is_generated;
    message.container_id = (char *)executor->container_id;
    message.directory = executor->directory;
    message.user = executor->user;
    message.has_instance = executor->instance != 0;
    message.instance = executor->instance;
    put(framework->agent, key_of(arena, "executor", framework->id, executor->id), &message.base);
}

void agent_checkpoint_task(const struct agent_task *task)
{
    const struct agent_framework *framework = task->executor->framework;
    if (!agent_framework_is_durable(framework)) {
        return;
    }
    struct arena *arena AUTO_ARENA = arena_new(512, 0);
    Meseta__Checkpoint__Task message = MESETA__CHECKPOINT__TASK__INIT;
    message.framework_id = (char *)framework->id;
    message.executor_id = (char *)task->executor->id;
    message.info = task->info;
    if (task->stage == TASK_COMPLETED && task->status_count > 0) {
        message.ended = task->statuses[task->status_count - 1]->message;
    }
    put(framework->agent, key_of(arena, "task", framework->id, task->info->task_id->value),
        &message.base);
}

void agent_checkpoint_drop_task(const struct agent_task *task)
{
    const struct agent_framework *framework = task->executor->framework;
    if (agent_framework_is_durable(framework)) {
        struct arena *arena AUTO_ARENA = arena_new(512, 0);
        put(framework->agent, key_of(arena, "task", framework->id, task->info->task_id->value),
            NULL);
    }
}

static void drop_tasks(const struct list *tasks)
{
    LIST_FOREACH (tasks, struct agent_task, link, task) {
        agent_checkpoint_drop_task(task);
    }
}

void agent_checkpoint_drop_executor(const struct agent_executor *executor)
{
    const struct agent_framework *framework = executor->framework;
    if (!agent_framework_is_durable(framework)) {
        return;
    }
    drop_tasks(&executor->queued);
    drop_tasks(&executor->launched);
    drop_tasks(&executor->terminated);
    drop_tasks(&executor->completed);
    struct arena *arena AUTO_ARENA = arena_new(512, 0);
    put(framework->agent, key_of(arena, "executor", framework->id, executor->id), NULL);
}

static const char *update_key(struct arena *arena, const struct agent_update_place *place)
{
    // Of one width, so that keys are in the order of numbers.
    return arena_printf(arena, "update/%s/%s/%020" PRIu64, place->framework_id, place->task_id,
                        place->number);
}

void agent_checkpoint_update(struct agent *agent, const struct agent_update_place *place,
                             const Mesos__V1__TaskStatus *status)
{
    struct arena *arena AUTO_ARENA = arena_new(512, 0);
    if (status == NULL) {
        put(agent, update_key(arena, place), NULL);
        return;
    }
    Meseta__Checkpoint__Update message = MESETA__CHECKPOINT__UPDATE__INIT;
    message.framework_id = (char *)place->framework_id;
    message.number = place->number;
    message.status = (Mesos__V1__TaskStatus *)status;
    put(agent, update_key(arena, place), &message.base);
}

void agent_checkpoint_stream(struct agent *agent, const struct agent_update_place *next,
                             const Mesos__V1__TaskStatus *last, const void *seen, size_t seen_size)
{
    struct arena *arena AUTO_ARENA = arena_new(512, 0);
    const char *key = key_of(arena, "stream", next->framework_id, next->task_id);
    if (last == NULL) {
        put(agent, key, NULL);
        return;
    }
    Meseta__Checkpoint__Stream message = MESETA__CHECKPOINT__STREAM__INIT;
    message.framework_id = (char *)next->framework_id;
    message.task_id = (char *)next->task_id;
    message.next = next->number;
    message.last = (Mesos__V1__TaskStatus *)last;
    message.seen.data = (uint8_t *)seen;
    message.seen.len = seen_size;
    put(agent, key, &message.base);
}

// ---- what is the agent's own ----

void agent_checkpoint_resources(struct agent *agent)
{
    if (agent->ops.checkpoint == NULL) {
        return;
    }
    struct arena *arena AUTO_ARENA = arena_new(512, 0);
    struct resources *made AUTO_RESOURCES = resources_checkpointed(agent->total);
    Meseta__Checkpoint__Resources message = MESETA__CHECKPOINT__RESOURCES__INIT;
    message.n_resources =
        resources_to_proto(made, arena, RESOURCES_NEW_FORM, false, &message.resources);
    put(agent, "resources", message.n_resources > 0 ? &message.base : NULL);
}

void agent_checkpoint_operation(const struct agent_operation *o, bool is_there)
{
    if (o->agent->ops.checkpoint == NULL) {
        return;
    }
    struct arena *arena AUTO_ARENA = arena_new(512, 0);
    Meseta__Checkpoint__Operation message = MESETA__CHECKPOINT__OPERATION__INIT;
    message.uuid.data = (uint8_t *)o->uuid;
    message.uuid.len = UUID_SIZE;
    message.framework_id = (char *)o->framework_id;
    message.info = o->info;
    message.status = o->status;
    put(o->agent, arena_printf(arena, "operation/%s", o->key), is_there ? &message.base : NULL);
}

void agent_checkpoint_doomed(struct agent *agent, const char *path, bool is_mount, bool is_there)
{
    if (agent->ops.checkpoint == NULL) {
        return;
    }
    struct arena *arena AUTO_ARENA = arena_new(512, 0);
    Meseta__Checkpoint__Doomed message = MESETA__CHECKPOINT__DOOMED__INIT;
    message.path = (char *)path;
    message.is_mount = is_mount;
    put(agent, arena_printf(arena, "doomed/%s", path), is_there ? &message.base : NULL);
}
