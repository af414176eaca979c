// SPDX-License-Identifier: Apache-2.0
//
// Persistent volumes in a sandbox: a symbolic link each, as Mesos' posix isolation of file systems
// makes them. The directory behind the link belongs to the container's user, unless other
// containers use it at the same time.
//
// The sandbox is its user's: it is walked without following links.

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "container/container.h"

static int check(const struct container_volume *volume, struct error *err)
{
    if (!container_is_inner_path(volume->path)) {
        return error_set(err, -EINVAL,
                         "The container path '%s' of a persistent volume must be relative, and "
                         "within the sandbox",
                         volume->path);
    }
    return 0;
}

// Whether that name is a link to there.
static bool is_link_to(int fd, const char *name, const char *target)
{
    char text[PATH_MAX];
    ssize_t size = readlinkat(fd, name, text, sizeof(text));
    return size > 0 && (size_t)size < sizeof(text) && (size_t)size == strlen(target) &&
           memcmp(text, target, (size_t)size) == 0;
}

static bool is_mounted(const struct container *container, const struct container_volume *volume)
{
    for (size_t i = 0; i < container->mount_count; i++) {
        if (strcmp(container->mounts[i].target, volume->path) == 0) {
            return true;
        }
    }
    return false;
}

static int add_link(int sandbox_fd, const struct container_volume *volume, struct error *err)
{
    AUTO_CLOSE int fd = -1;
    const char *name;
    int code = container_make_way(sandbox_fd, volume->path, false, &fd, &name, err);
    if (code < 0) {
        return error_wrap(err, code, "Failed to prepare the mount point '%s'", volume->path);
    }
    if (symlinkat(volume->target, fd, name) < 0 && !is_link_to(fd, name, volume->target)) {
        return error_errno(err, -errno, "Failed to symlink persistent volume from '%s' to '%s'",
                           volume->target, volume->path);
    }
    return 0;
}

// What the user has put in its place stays.
static void remove_link(int sandbox_fd, const struct container_volume *volume)
{
    AUTO_CLOSE int fd = -1;
    const char *name;
    if (container_make_way(sandbox_fd, volume->path, false, &fd, &name, NULL) == 0 &&
        is_link_to(fd, name, volume->target)) {
        unlinkat(fd, name, 0);
    }
}

static int change_owner(const struct container_volume *volume, uid_t uid, gid_t gid,
                        struct error *err)
{
    AUTO_CLOSE int fd = open(volume->target, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct stat now;
    if (fd < 0 || fstat(fd, &now) < 0) {
        return error_errno(err, -errno, "Failed to open the persistent volume at '%s'",
                           volume->target);
    }
    // The agent's own user needs no change: it is root, or owns all that is here.
    if (volume->keeps_owner || uid == geteuid() || (now.st_uid == uid && now.st_gid == gid)) {
        return 0;
    }
    if (fchown(fd, uid, gid) < 0) {
        return error_errno(err, -errno,
                           "Failed to change the ownership of the persistent volume at '%s'",
                           volume->target);
    }
    return 0;
}

static bool has(const struct container_volume *volumes, size_t count,
                const struct container_volume *one)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(volumes[i].path, one->path) == 0 &&
            strcmp(volumes[i].target, one->target) == 0) {
            return true;
        }
    }
    return false;
}

void container_keep_volumes(struct container *container, const struct container_volume *volumes,
                            size_t count)
{
    arena_free(container->volume_arena);
    container->volume_arena = arena_new(512, 0);
    container->volume_count = count;
    container->volumes =
        arena_calloc(container->volume_arena, count + 1, sizeof(container->volumes[0]));
    for (size_t i = 0; i < count; i++) {
        container->volumes[i] = volumes[i];
        container->volumes[i].path = arena_strdup(container->volume_arena, volumes[i].path);
        container->volumes[i].target = arena_strdup(container->volume_arena, volumes[i].target);
    }
}

int container_link_volumes(const struct container *container, int sandbox_fd, uid_t uid, gid_t gid,
                           struct error *err)
{
    for (size_t i = 0; i < container->volume_count; i++) {
        const struct container_volume *volume = &container->volumes[i];
        int code = check(volume, err);
        if (code == 0) {
            code = change_owner(volume, uid, gid, err);
        }
        if (code == 0 && !is_mounted(container, volume)) {
            code = add_link(sandbox_fd, volume, err);
        }
        if (code < 0) {
            return code;
        }
    }
    return 0;
}

int containerizer_update_volumes(struct containerizer *c, const char *container_id,
                                 const struct container_volume *volumes, size_t count,
                                 struct error *err)
{
    struct container *container = map_get(&c->containers, container_id);
    if (container == NULL || container->is_orphan || container->sandbox == NULL) {
        return error_set(err, -ENOENT, "Unknown container %s", container_id);
    }
    bool is_same = count == container->volume_count;
    for (size_t i = 0; i < count && is_same; i++) {
        is_same = has(container->volumes, container->volume_count, &volumes[i]);
    }
    if (is_same) {
        return 0;
    }
    AUTO_CLOSE int fd = open(container->sandbox, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat owner;
    if (fd < 0 || fstat(fd, &owner) < 0) {
        return error_errno(err, -errno, "Failed to open the sandbox '%s'", container->sandbox);
    }
    for (size_t i = 0; i < container->volume_count; i++) {
        if (!has(volumes, count, &container->volumes[i])) {
            remove_link(fd, &container->volumes[i]);
        }
    }
    container_keep_volumes(container, volumes, count);
    return container_link_volumes(container, fd, owner.st_uid, owner.st_gid, err);
}
