// SPDX-License-Identifier: Apache-2.0
//
// Directories of persistent volumes on disk. The content of one that was destroyed is moved out of
// the way at once, on the same file system, so that a new volume may take the name; then a thread
// of the loop's pool removes it, with what an agent that ended before has left there.

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/agent_daemon.h"
#include "base/check.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"

enum { VOLUME_MODE = 0755, TRASH_MODE = 0700 };

int agent_volumes_make(const char *path, bool is_mount, struct error *err)
{
    struct stat there;
    if (is_mount) {
        if (stat(path, &there) < 0) {
            return error_errno(err, -errno, "Failed to find the MOUNT disk at '%s'", path);
        }
        return S_ISDIR(there.st_mode)
                   ? 0
                   : error_set(err, -ENOTDIR, "The MOUNT disk '%s' is not a directory", path);
    }
    int r = path_make_directories(path, VOLUME_MODE, err);
    return r < 0 ? error_wrap(err, r, "Failed to create the persistent volume at '%s'", path) : 0;
}

int agent_volumes_update(struct agent_daemon *d, const char *container_id,
                         const struct agent_volume *volumes, size_t count, struct error *err)
{
    struct arena *arena AUTO_ARENA = arena_new(512, 0);
    return containerizer_update_volumes(d->containerizer, container_id,
                                        agent_volumes_of_container(volumes, count, arena), count,
                                        err);
}

struct container_volume *agent_volumes_of_container(const struct agent_volume *volumes,
                                                    size_t count, struct arena *arena)
{
    struct container_volume *converted = arena_calloc(arena, count + 1, sizeof(converted[0]));
    for (size_t i = 0; i < count; i++) {
        converted[i] = (struct container_volume){
            .path = volumes[i].container_path,
            .target = volumes[i].path,
            .keeps_owner = volumes[i].keeps_owner,
            .is_read_only = volumes[i].is_read_only,
        };
    }
    return converted;
}

// ---- removal ----

struct volume_removal {
    uv_work_t work;
    struct agent_daemon *daemon;
    char *path;
    char *base;         // where trash lies
    const char *prefix; // how its names begin
    char *own;          // with the number of this process
    char *trash;
    int result;
    struct error err;
};

// What a process that ended before has left.
static void remove_strays(const struct volume_removal *removal)
{
    DIR *dir = opendir(removal->base);
    if (dir == NULL) {
        return;
    }
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (text_starts_with(entry->d_name, removal->prefix) &&
            !text_starts_with(entry->d_name, removal->own)) {
            AUTO_FREE char *stray = mem_printf("%s/%s", removal->base, entry->d_name);
            path_remove_tree(stray, NULL);
        }
    }
    closedir(dir);
}

static void remove_on_thread(uv_work_t *work)
{
    struct volume_removal *removal = CONTAINER_OF(work, struct volume_removal, work);
    if (removal->result == 0) {
        removal->result = path_remove_tree(removal->trash, &removal->err);
    }
    remove_strays(removal);
}

static void removed(uv_work_t *work, int status)
{
    struct volume_removal *removal = CONTAINER_OF(work, struct volume_removal, work);
    struct agent_daemon *d = removal->daemon;
    (void)status;
    if (removal->result < 0) {
        log_error("Failed to remove the persistent volume at '%s': %s", removal->path,
                  removal->err.text);
    }
    d->removals--;
    agent_volume_removed(d->agent, removal->path, removal->result == 0);
    mem_free(removal->path);
    mem_free(removal->base);
    mem_free(removal->own);
    mem_free(removal->trash);
    mem_free(removal);
    agent_daemon_touch(d);
}

// Everything in the directory, but for what belongs to the file system or to us.
static int empty_into(const char *path, const char *prefix, const char *trash, struct error *err)
{
    if (mkdir(trash, TRASH_MODE) < 0) {
        return error_errno(err, -errno, "Failed to create '%s'", trash);
    }
    DIR *dir = opendir(path);
    if (dir == NULL) {
        return error_errno(err, -errno, "Failed to open '%s'", path);
    }
    int r = 0;
    for (struct dirent *entry; r == 0 && (entry = readdir(dir)) != NULL;) {
        const char *name = entry->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strcmp(name, "lost+found") == 0 ||
            text_starts_with(name, prefix)) {
            continue;
        }
        AUTO_FREE char *from = mem_printf("%s/%s", path, name);
        AUTO_FREE char *to = mem_printf("%s/%s", trash, name);
        if (rename(from, to) < 0) {
            r = error_errno(err, -errno, "Failed to move '%s' away", from);
        }
    }
    closedir(dir);
    return r;
}

// "ROOT/volumes" of "ROOT/volumes/roles/ROLE/ID".
static char *trash_place(const char *path)
{
    char *base = mem_strdup(path);
    for (int i = 0; i < 3; i++) {
        char *slash = strrchr(base, '/');
        CHECK(slash != NULL);
        *slash = '\0';
    }
    return base;
}

void agent_volumes_remove(struct agent_daemon *d, const char *path, bool is_mount)
{
    struct volume_removal *removal = mem_zalloc(sizeof(*removal));
    removal->daemon = d;
    removal->path = mem_strdup(path);
    removal->base = is_mount ? mem_strdup(path) : trash_place(path);
    removal->prefix = is_mount ? ".doomed-" : "doomed-";
    removal->own = mem_printf("%s%lld-", removal->prefix, (long long)getpid());
    removal->trash =
        mem_printf("%s/%s%llu", removal->base, removal->own, (unsigned long long)d->trash_count++);
    if (is_mount) {
        removal->result = empty_into(path, removal->prefix, removal->trash, &removal->err);
    } else if (rename(path, removal->trash) < 0 && errno != ENOENT) {
        removal->result = error_errno(&removal->err, -errno, "rename");
    }
    d->removals++;
    CHECK(uv_queue_work(env_loop(d->env), &removal->work, remove_on_thread, removed) == 0);
}
