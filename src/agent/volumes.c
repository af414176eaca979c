// SPDX-License-Identifier: Apache-2.0
//
// Where persistent volumes lie, which of them a container sees, and how their content goes. The
// paths are Mesos' own: volumes/roles/ROLE/ID below <work_dir> or below a PATH disk's root; a MOUNT
// disk is the volume.
//
// A destroyed volume is *doomed*: that is written down with the destruction itself, its content is
// removed in a later turn, and then the note goes. So no new volume of the same name can show what
// an old one held, wherever the agent dies between.

#include <errno.h>
#include <string.h>

#include "agent/internal.h"
#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "model/operation.h"
#include "proto/checkpoint.pb-c.h"
#include "wire/wire.h"

#define SOURCE(NAME) MESOS__V1__RESOURCE__DISK_INFO__SOURCE__TYPE__##NAME

struct doomed_volume {
    char *path;
    bool is_mount;
    bool is_removing; // the effect was asked for
};

// ---- paths ----

// "a/b" is one directory, "a b".
static const char *role_directory(const Mesos__V1__Resource *volume, struct arena *arena)
{
    char *role = arena_strdup(arena, volume->n_reservations > 0
                                         ? volume->reservations[volume->n_reservations - 1]->role
                                         : "*");
    for (char *c = role; *c != '\0'; c++) {
        if (*c == '/') {
            *c = ' ';
        }
    }
    return role;
}

// Relative roots lie below the work directory.
static const char *disk_root(const struct agent *agent, const char *root, struct arena *arena)
{
    if (root == NULL) {
        return agent->options.work_dir;
    }
    return root[0] == '/' ? root : arena_printf(arena, "%s/%s", agent->options.work_dir, root);
}

const char *agent_volume_path(const struct agent *agent, const Mesos__V1__Resource *volume,
                              struct arena *arena, bool *ret_is_mount)
{
    const Mesos__V1__Resource__DiskInfo__Source *source = volume->disk->source;
    *ret_is_mount = source != NULL && source->type == SOURCE(MOUNT);
    if (*ret_is_mount) {
        return disk_root(agent, source->mount != NULL ? source->mount->root : NULL, arena);
    }
    const char *root = source != NULL && source->path != NULL ? source->path->root : NULL;
    return arena_printf(arena, "%s/volumes/roles/%s/%s", disk_root(agent, root, arena),
                        role_directory(volume, arena), volume->disk->persistence->id);
}

int agent_volume_make(struct agent *agent, const Mesos__V1__Resource *volume, struct error *err)
{
    struct arena *arena AUTO_ARENA = arena_new(512, 0);
    bool is_mount;
    const char *path = agent_volume_path(agent, volume, arena, &is_mount);
    const struct doomed_volume *doomed = map_get(&agent->doomed, path);
    if (doomed != NULL && !doomed->is_removing) {
        // Out of the way first: that it is doomed is durable, or becomes so with this one.
        agent->ops.volume_remove(agent->ctx, path, is_mount);
        ((struct doomed_volume *)doomed)->is_removing = true;
    }
    return agent->ops.volume_make != NULL ? agent->ops.volume_make(agent->ctx, path, is_mount, err)
                                          : 0;
}

// ---- the end of volumes ----

static void doomed_due(struct timer *timer, struct instant now)
{
    (void)now;
    struct agent *agent = CONTAINER_OF(timer, struct agent, doomed_turn);
    MAP_FOREACH (&agent->doomed, entry) {
        struct doomed_volume *doomed = entry->value;
        if (!doomed->is_removing) {
            log_info("Deleting persistent volume at '%s'", doomed->path);
            doomed->is_removing = true;
            agent->ops.volume_remove(agent->ctx, doomed->path, doomed->is_mount);
        }
    }
}

static void doom(struct agent *agent, const char *path, bool is_mount, struct instant now)
{
    if (agent->ops.volume_remove == NULL) {
        return;
    }
    struct doomed_volume *doomed = map_get(&agent->doomed, path);
    if (doomed == NULL) {
        doomed = mem_zalloc(sizeof(*doomed));
        doomed->path = mem_strdup(path);
        map_put(&agent->doomed, path, doomed);
    }
    doomed->is_mount = is_mount;
    doomed->is_removing = false; // a second volume of that name, perhaps
    timer_set(&agent->timers, &agent->doomed_turn, now.mono);
}

static void doomed_free(struct agent *agent, struct doomed_volume *doomed)
{
    map_remove(&agent->doomed, doomed->path);
    mem_free(doomed->path);
    mem_free(doomed);
}

void agent_volume_doom(struct agent *agent, const Mesos__V1__Resource *volume, struct instant now)
{
    struct arena *arena AUTO_ARENA = arena_new(512, 0);
    bool is_mount;
    const char *path = agent_volume_path(agent, volume, arena, &is_mount);
    doom(agent, path, is_mount, now);
    agent_checkpoint_doomed(agent, path, is_mount, true);
}

void agent_volume_removed(struct agent *agent, const char *path, bool succeeded)
{
    struct doomed_volume *doomed = map_get(&agent->doomed, path);
    // One that failed is tried again by the next process.
    if (doomed == NULL || !succeeded || !doomed->is_removing) {
        return;
    }
    agent_checkpoint_doomed(agent, path, doomed->is_mount, false);
    doomed_free(agent, doomed);
}

void agent_doomed_recover(struct agent *agent, const ProtobufCMessage *record, struct instant now)
{
    const Meseta__Checkpoint__Doomed *m = (const void *)record;
    doom(agent, m->path, m->is_mount, now);
}

void agent_volumes_init(struct agent *agent)
{
    agent->doomed_turn.run = doomed_due;
}

void agent_volumes_free(struct agent *agent)
{
    MAP_FOREACH (&agent->doomed, entry) {
        doomed_free(agent, entry->value);
    }
    map_free(&agent->doomed);
    timer_cancel(&agent->timers, &agent->doomed_turn);
}

// ---- volumes in containers ----

struct listing {
    const struct agent_executor *executor;
    struct arena *arena;
    struct agent_volume *volumes;
    size_t count;
    struct map places; // container paths
};

bool agent_names_volume(Mesos__V1__Resource *const *resources, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (resources[i]->disk != NULL && resources[i]->disk->persistence != NULL) {
            return true;
        }
    }
    return false;
}

static bool lists_path(Mesos__V1__Resource *const *resources, size_t count,
                       const struct agent *agent, const char *path, struct arena *arena)
{
    bool is_mount;
    for (size_t i = 0; i < count; i++) {
        if (resources[i]->disk != NULL && resources[i]->disk->persistence != NULL &&
            strcmp(agent_volume_path(agent, resources[i], arena, &is_mount), path) == 0) {
            return true;
        }
    }
    return false;
}

static bool uses_path(const struct agent_executor *executor, const char *path, struct arena *arena)
{
    const struct agent *agent = executor->framework->agent;
    if (!executor->uses_volumes) {
        return false;
    }
    if (!executor->is_generated &&
        lists_path(executor->info->resources, executor->info->n_resources, agent, path, arena)) {
        return true;
    }
    const struct list *lists[] = {&executor->queued, &executor->launched};
    for (size_t i = 0; i < ARRAY_COUNT(lists); i++) {
        LIST_FOREACH (lists[i], struct agent_task, link, task) {
            if (lists_path(task->info->resources, task->info->n_resources, agent, path, arena)) {
                return true;
            }
        }
    }
    return false;
}

// Whether a container of another executor has it.
static bool is_shared_now(const struct listing *l, const char *path)
{
    MAP_FOREACH (&l->executor->framework->agent->containers, entry) {
        const struct agent_executor *other =
            CHECK_CAST(agent_executor, EXECUTOR_MAGIC, entry->value);
        if (other != l->executor && uses_path(other, path, l->arena)) {
            return true;
        }
    }
    return false;
}

static void list_volumes(struct listing *l, Mesos__V1__Resource *const *resources, size_t count)
{
    const struct agent *agent = l->executor->framework->agent;
    for (size_t i = 0; i < count; i++) {
        const Mesos__V1__Resource__DiskInfo *disk = resources[i]->disk;
        if (disk == NULL || disk->persistence == NULL || disk->volume == NULL ||
            map_has(&l->places, disk->volume->container_path)) {
            continue;
        }
        bool is_mount;
        struct agent_volume volume = {
            .path = agent_volume_path(agent, resources[i], l->arena, &is_mount),
            .container_path = arena_strdup(l->arena, disk->volume->container_path),
        };
        volume.is_read_only = disk->volume->mode == MESOS__V1__VOLUME__MODE__RO;
        volume.keeps_owner = resources[i]->shared != NULL && is_shared_now(l, volume.path);
        map_put(&l->places, volume.container_path, l);
        struct agent_volume *grown =
            arena_calloc(l->arena, l->count + 1, sizeof(struct agent_volume));
        if (l->count > 0) {
            memcpy(grown, l->volumes, l->count * sizeof(grown[0]));
        }
        grown[l->count++] = volume;
        l->volumes = grown;
    }
}

size_t agent_executor_volumes(const struct agent_executor *executor, struct arena *arena,
                              struct agent_volume **ret_volumes)
{
    *ret_volumes = NULL;
    if (!executor->uses_volumes) {
        return 0;
    }
    struct listing l = {.executor = executor, .arena = arena, .places = MAP_INIT};
    if (!executor->is_generated) {
        list_volumes(&l, executor->info->resources, executor->info->n_resources);
    }
    const struct list *lists[] = {&executor->launched, &executor->queued};
    for (size_t i = 0; i < ARRAY_COUNT(lists); i++) {
        LIST_FOREACH (lists[i], struct agent_task, link, task) {
            list_volumes(&l, task->info->resources, task->info->n_resources);
        }
    }
    map_free(&l.places);
    *ret_volumes = l.volumes;
    return l.count;
}

int agent_executor_update_volumes(struct agent_executor *executor, struct error *err)
{
    struct agent *agent = executor->framework->agent;
    if (agent->ops.volumes_update == NULL || !executor->uses_volumes) {
        return 0;
    }
    struct arena *arena AUTO_ARENA = arena_new(512, 0);
    struct agent_volume *volumes;
    size_t count = agent_executor_volumes(executor, arena, &volumes);
    return agent->ops.volumes_update(agent->ctx, executor->container_id, volumes, count, err);
}
