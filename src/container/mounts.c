// SPDX-License-Identifier: Apache-2.0
//
// A container's own mounts: their sources and mount points are made here, before its process
// starts; mounting is the business of the helper (src/programs/bare_mount.c), in a namespace of
// mounts that ends with the container. What is nested in it, or a session, starts from there.
//
// The sandboxes are their users': they are walked without following links. A persistent volume is
// such a link too, made by the agent: it is told by its name, not by what lies there.

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/fd.h"
#include "base/mem.h"
#include "container/container.h"
#include "container/order_write.h"

int container_check_mounts(const struct container_launch *launch, struct error *err)
{
    for (size_t i = 0; i < launch->mount_count; i++) {
        const struct container_mount *mount = &launch->mounts[i];
        bool is_host = mount->from == CONTAINER_MOUNT_HOST;
        if (is_host ? mount->source[0] != '/' : !container_is_inner_path(mount->source)) {
            return error_set(err, -EINVAL, "The source '%s' of a volume leads out of the sandbox",
                             mount->source);
        }
        if (mount->target[0] != '/' && !container_is_inner_path(mount->target)) {
            return error_set(err, -EINVAL,
                             "The container path '%s' of a volume leads out of the sandbox",
                             mount->target);
        }
    }
    for (size_t i = 0; i < launch->volume_count && geteuid() != 0; i++) {
        if (launch->volumes[i].is_read_only) {
            return error_set(err, -EPERM, "Read-only volumes need an agent of root");
        }
    }
    if (launch->mount_count > 0 && geteuid() != 0) {
        return error_set(err, -EPERM, "Only an agent of root can mount volumes");
    }
    if ((launch->has_bounding || launch->has_effective) && geteuid() != 0) {
        return error_set(err, -EPERM, "Only an agent of root can set capabilities");
    }
    return 0;
}

// A volume of the container around this one that appears under that name in its sandbox, or NULL.
static const char *find_parents_volume(const struct container *container, const char *path)
{
    const struct container *parent = container->parent;
    for (size_t i = 0; parent != NULL && i < parent->volume_count; i++) {
        if (strcmp(parent->volumes[i].path, path) == 0) {
            return parent->volumes[i].target;
        }
    }
    return NULL;
}

// The directory when there is nothing yet, and what kind the source is.
static int prepare_beneath(int base_fd, const char *path, uid_t uid, gid_t gid, mode_t *ret_mode,
                           struct error *err)
{
    struct stat there;
    if (fstatat(base_fd, path, &there, AT_SYMLINK_NOFOLLOW) < 0) {
        AUTO_CLOSE int fd = -1;
        const char *name;
        int code = container_make_way(base_fd, path, true, &fd, &name, err);
        if (code < 0) {
            return error_wrap(err, code, "Failed to create the directory '%s' in the sandbox",
                              path);
        }
        if (fchown(fd, uid, gid) < 0 || fstat(fd, &there) < 0) {
            return error_errno(err, -errno, "Failed to change the owner of '%s'", path);
        }
    }
    *ret_mode = there.st_mode;
    return 0;
}

static int prepare_source(const struct container *container, int sandbox_fd,
                          struct container_mount *mount, mode_t *ret_mode, struct error *err)
{
    struct stat there;
    uid_t uid = container->user != NULL ? container->user->uid : geteuid();
    gid_t gid = container->user != NULL ? container->user->gid : getegid();
    if (mount->from == CONTAINER_MOUNT_OWN) {
        return prepare_beneath(sandbox_fd, mount->source, uid, gid, ret_mode, err);
    }
    if (mount->from == CONTAINER_MOUNT_PARENT) {
        const char *volume = find_parents_volume(container, mount->source);
        if (volume == NULL) {
            AUTO_CLOSE int fd = -1;
            int code = container_open_sandbox(container->parent, &fd, err);
            if (code < 0) {
                return code;
            }
            if (fstat(fd, &there) < 0) {
                return error_errno(err, -errno, "Failed to look at the sandbox");
            }
            return prepare_beneath(fd, mount->source, there.st_uid, there.st_gid, ret_mode, err);
        }
        mount->from = CONTAINER_MOUNT_HOST;
        mount->source = volume;
    }
    if (stat(mount->source, &there) < 0) {
        return error_errno(err, -errno, "Path '%s' in HOST_PATH volume does not exist",
                           mount->source);
    }
    *ret_mode = there.st_mode;
    return 0;
}

// A directory, or a file for anything else.
static int make_point(int sandbox_fd, const char *target, bool is_directory, struct error *err)
{
    struct stat there;
    AUTO_CLOSE int fd = -1;
    const char *name;
    if (target[0] == '/') {
        return stat(target, &there) == 0
                   ? 0
                   : error_errno(err, -errno,
                                 "Mount point '%s' is an absolute path. It must exist if the "
                                 "container shares the host filesystem",
                                 target);
    }
    int code = container_make_way(sandbox_fd, target, is_directory, &fd, &name, err);
    if (code == 0 && !is_directory) {
        AUTO_CLOSE int file =
            openat(fd, name, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0644);
        code = file < 0 ? error_errno(err, -errno, "Failed to create '%s'", name) : 0;
    }
    return code < 0 ? error_wrap(err, code, "Failed to create the mount point at '%s'", target) : 0;
}

int container_make_mount_points(struct container *container, int sandbox_fd, struct error *err)
{
    for (size_t i = 0; i < container->mount_count; i++) {
        struct container_mount *mount = &container->mounts[i];
        mode_t mode;
        int code = prepare_source(container, sandbox_fd, mount, &mode, err);
        if (code == 0) {
            code = make_point(sandbox_fd, mount->target, S_ISDIR(mode), err);
        }
        if (code < 0) {
            return code;
        }
    }
    return 0;
}

int container_put_mounts(const struct container *container, struct buf *order, struct error *err)
{
    const struct container *parent = container->parent;
    if (parent != NULL && parent->has_mounts) {
        pid_t pid = container_inner_pid(parent);
        if (pid <= 0) {
            return error_set(err, -EBUSY, "Parent container %s has not begun yet", parent->id);
        }
        char file[64];
        snprintf(file, sizeof(file), "/proc/%d/ns/mnt", (int)pid);
        order_put_text(order, ORDER_MOUNT_NAMESPACE, file);
    }
    for (size_t i = 0; i < container->mount_count; i++) {
        const struct container_mount *mount = &container->mounts[i];
        const char *base = "";
        if (mount->from == CONTAINER_MOUNT_OWN) {
            base = container->sandbox;
        } else if (mount->from == CONTAINER_MOUNT_PARENT) {
            CHECK(parent != NULL);
            base = parent->sandbox;
        }
        order_put_text(order, ORDER_MOUNT_BASE, base);
        order_put_text(order, ORDER_MOUNT_SOURCE, mount->source);
        order_put_text(order, ORDER_MOUNT_SANDBOX, container->sandbox);
        order_put_text(order, ORDER_MOUNT_TARGET, mount->target);
        order_put_number(order, ORDER_MOUNT, mount->is_read_only ? 1 : 0);
    }
    return 0;
}
