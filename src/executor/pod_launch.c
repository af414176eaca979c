// SPDX-License-Identifier: Apache-2.0
//
// LAUNCH_GROUP: each task becomes a nested container. When the agent has answered for all of them,
// those that run are told as running, and all are waited for.

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/uuid.h"
#include "executor/internal.h"
#include "wire/wire.h"

static void send_launch(struct pod_task *task);

// ---- what is asked for ----

static void add_variable(Mesos__V1__CommandInfo *command, struct arena *arena, const char *name,
                         const char *value)
{
    if (command->environment == NULL) {
        command->environment = WIRE_NEW(arena, Mesos__V1__Environment, mesos__v1__environment);
    }
    Mesos__V1__Environment *environment = command->environment;
    Mesos__V1__Environment__Variable **variables =
        arena_calloc(arena, environment->n_variables + 1, sizeof(variables[0]));
    if (environment->n_variables > 0) {
        memcpy(variables, environment->variables, environment->n_variables * sizeof(variables[0]));
    }
    Mesos__V1__Environment__Variable *variable =
        WIRE_NEW(arena, Mesos__V1__Environment__Variable, mesos__v1__environment__variable);
    variable->name = arena_strdup(arena, name);
    variable->value = arena_strdup(arena, value);
    variables[environment->n_variables++] = variable;
    environment->variables = variables;
}

// A persistent volume of the task lies in the executor's sandbox; the task sees it in its own.
static void add_volume(Mesos__V1__Agent__Call__LaunchContainer *launch,
                       const Mesos__V1__Volume *of_executor, struct arena *arena)
{
    if (launch->container == NULL) {
        launch->container = WIRE_NEW(arena, Mesos__V1__ContainerInfo, mesos__v1__container_info);
        launch->container->type = MESOS__V1__CONTAINER_INFO__TYPE__MESOS;
    }
    Mesos__V1__Volume *volume = WIRE_NEW(arena, Mesos__V1__Volume, mesos__v1__volume);
    volume->mode = of_executor->mode;
    volume->container_path = of_executor->container_path;
    volume->source = WIRE_NEW(arena, Mesos__V1__Volume__Source, mesos__v1__volume__source);
    volume->source->has_type = true;
    volume->source->type = MESOS__V1__VOLUME__SOURCE__TYPE__SANDBOX_PATH;
    volume->source->sandbox_path = WIRE_NEW(arena, Mesos__V1__Volume__Source__SandboxPath,
                                            mesos__v1__volume__source__sandbox_path);
    volume->source->sandbox_path->has_type = true;
    volume->source->sandbox_path->type = MESOS__V1__VOLUME__SOURCE__SANDBOX_PATH__TYPE__PARENT;
    volume->source->sandbox_path->path = of_executor->container_path;
    Mesos__V1__ContainerInfo *info = launch->container;
    Mesos__V1__Volume **volumes = arena_calloc(arena, info->n_volumes + 1, sizeof(volumes[0]));
    if (info->n_volumes > 0) {
        memcpy(volumes, info->volumes, info->n_volumes * sizeof(volumes[0]));
    }
    volumes[info->n_volumes++] = volume;
    info->volumes = volumes;
}

static void copy_limits(Mesos__V1__Agent__Call__LaunchContainer *launch,
                        const Mesos__V1__TaskInfo *info, struct arena *arena)
{
    launch->limits = arena_calloc(arena, info->n_limits + 1, sizeof(launch->limits[0]));
    for (size_t i = 0; i < info->n_limits; i++) {
        Mesos__V1__Agent__Call__LaunchContainer__LimitsEntry *entry =
            WIRE_NEW(arena, Mesos__V1__Agent__Call__LaunchContainer__LimitsEntry,
                     mesos__v1__agent__call__launch_container__limits_entry);
        entry->key = info->limits[i]->key;
        entry->value = info->limits[i]->value;
        launch->limits[launch->n_limits++] = entry;
    }
}

static Mesos__V1__Agent__Call *make_launch(const struct pod_task *task, struct arena *arena)
{
    const Mesos__V1__TaskInfo *info = WIRE_COPY(arena, Mesos__V1__TaskInfo, task->info);
    Mesos__V1__Agent__Call *call =
        pod_make_call(arena, MESOS__V1__AGENT__CALL__TYPE__LAUNCH_CONTAINER);
    Mesos__V1__Agent__Call__LaunchContainer *launch = call->launch_container = WIRE_NEW(
        arena, Mesos__V1__Agent__Call__LaunchContainer, mesos__v1__agent__call__launch_container);
    launch->container_id = pod_container_id(task, arena);
    launch->command = info->command != NULL
                          ? info->command
                          : WIRE_NEW(arena, Mesos__V1__CommandInfo, mesos__v1__command_info);
    launch->container = info->container;
    launch->resources = info->resources;
    launch->n_resources = info->n_resources;
    copy_limits(launch, info, arena);
    for (size_t i = 0; i < info->n_resources; i++) {
        const Mesos__V1__Resource__DiskInfo *disk = info->resources[i]->disk;
        if (disk != NULL && disk->volume != NULL) {
            add_volume(launch, disk->volume, arena);
        }
    }
    const char *ip = getenv("LIBPROCESS_IP");
    add_variable(launch->command, arena, "MESOS_CONTAINER_IP",
                 ip != NULL ? ip : task->pod->environment.agent.host);
    if (info->n_resources > 0 && info->resources[0]->allocation_info != NULL &&
        info->resources[0]->allocation_info->role != NULL) {
        add_variable(launch->command, arena, "MESOS_ALLOCATION_ROLE",
                     info->resources[0]->allocation_info->role);
    }
    return call;
}

// ---- what comes of it ----

// People look for a task's files by its id, and the agent does not know which container it is.
static void link_sandbox(const struct pod_task *task)
{
    const struct pod *pod = task->pod;
    const char *sandbox =
        pod->environment.directory != NULL ? pod->environment.directory : pod->environment.sandbox;
    if (sandbox == NULL) {
        return;
    }
    AUTO_FREE char *folder = mem_printf("%s/tasks", sandbox);
    AUTO_FREE char *link = mem_printf("%s/%s", folder, task->id);
    AUTO_FREE char *target = mem_printf("%s/containers/%s", sandbox, task->container_name);
    if ((mkdir(folder, 0755) < 0 && errno != EEXIST) || symlink(target, link) < 0) {
        log_warning("Unable to create the link '%s': %s", link, strerror(errno));
    }
}

static void all_answered(struct pod_group *group)
{
    LIST_FOREACH (&group->tasks, struct pod_task, member, task) {
        if (task->is_launched) {
            link_sandbox(task);
            pod_report(task, &(struct pod_report){.state = MESOS__V1__TASK_STATE__TASK_RUNNING});
            pod_arm_completion(task);
            if (!task->is_killing) {
                task_checks_start(task->checks);
            }
        }
        pod_wait(task);
    }
}

static void run_launch(struct timer *timer, struct instant now)
{
    (void)now;
    send_launch(CONTAINER_OF(timer, struct pod_task, launch_timer));
}

static void on_launch_answer(void *ctx, struct agent_call *call,
                             const struct agent_call_answer *answer)
{
    struct pod_task *task = CHECK_CAST(pod_task, POD_TASK_MAGIC, ctx);
    CHECK(call == task->launch);
    task->launch = NULL;
    if (answer->status == 0 || answer->status == 503) {
        // The agent went, or has just come: what it did not do is done by asking again.
        log_warning("Launching child container %s of task '%s' was not answered: %s",
                    task->container_name, task->id, answer->text);
        env_timer_set(task->pod->env, &task->launch_timer, POD_RETRY_NS);
    } else {
        task->is_answered = true;
        task->is_launched = answer->status == 200 || answer->status == 202;
        if (!task->is_launched) {
            log_error("Received '%d' (%s) while launching child container %s of task '%s'",
                      answer->status, answer->text, task->container_name, task->id);
            task->launch_error = arena_strdup(task->arena, answer->text);
        } else if (task->is_killing) {
            pod_kill_again(task);
        }
        struct pod_group *group = task->group;
        if (--group->unanswered == 0) {
            all_answered(group);
        } else if (task->is_killing) {
            pod_wait(task); // the others' launch is no longer its concern
        }
    }
    agent_call_free(call);
}

static void send_launch(struct pod_task *task)
{
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    task->launch = pod_call(task, make_launch(task, arena), on_launch_answer);
}

// ---- groups ----

static struct pod_task *task_new(struct pod *pod, struct pod_group *group,
                                 const Mesos__V1__TaskInfo *info)
{
    struct pod_task *task = mem_zalloc(sizeof(*task));
    task->magic = POD_TASK_MAGIC;
    task->pod = pod;
    task->group = group;
    task->arena = arena_new(0, 0);
    task->info = WIRE_COPY(task->arena, Mesos__V1__TaskInfo, info);
    task->id = task->info->task_id->value;
    struct uuid uuid = uuid_random(&pod->prng);
    task->container_name = arena_alloc(task->arena, UUID_TEXT_SIZE);
    uuid_text(&uuid, task->container_name);
    task->launch_timer.run = run_launch;
    pod_check_new(task);
    pod_task_init_timers(task);
    list_append(&group->tasks, &task->member);
    map_put(&pod->tasks, task->id, task);
    return task;
}

static struct pod_group *group_new(struct pod *pod, const Mesos__V1__TaskGroupInfo *info)
{
    struct pod_group *group = mem_zalloc(sizeof(*group));
    list_init(&group->tasks);
    list_append(&pod->groups, &group->link);
    for (size_t i = 0; i < info->n_tasks; i++) {
        task_new(pod, group, info->tasks[i]);
    }
    group->unanswered = info->n_tasks;
    return group;
}

static bool has_known_task(const struct pod *pod, const Mesos__V1__TaskGroupInfo *info)
{
    for (size_t i = 0; i < info->n_tasks; i++) {
        if (map_has(&pod->tasks, info->tasks[i]->task_id->value)) {
            return true;
        }
    }
    return false;
}

void pod_launch_group(struct pod *pod, const Mesos__V1__TaskGroupInfo *info)
{
    if (info->n_tasks == 0 || has_known_task(pod, info)) {
        log_warning("Ignoring a task group without tasks, or with one that is here already");
        return;
    }
    if (pod->is_shutting_down) {
        log_warning("Ignoring the launch group operation as the executor is shutting down");
        return;
    }
    struct pod_group *group = group_new(pod, info);
    LIST_FOREACH (&group->tasks, struct pod_task, member, task) {
        pod_report(task, &(struct pod_report){.state = MESOS__V1__TASK_STATE__TASK_STARTING});
        send_launch(task);
    }
}
