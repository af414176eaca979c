// SPDX-License-Identifier: Apache-2.0
//
// Sandboxes belong to their users, who may put links there: what lies in one is reached through
// openat2 without links, and mounted by descriptors, so that nothing is looked up twice.

#include "bare_mount.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <sched.h>
#include <sys/syscall.h>

#include "bare.h"

// Of the kernel's headers, which do not go together with the C library's sys/mount.h.
#define MOUNT_SLAVE_ALL ((1L << 19) | (1L << 14)) // MS_SLAVE | MS_REC

static long failed(long code, const char *what, const char *object, struct mount_failure *ret)
{
    *ret = (struct mount_failure){.what = what, .object = object};
    return code;
}

long mount_join(const char *file, struct mount_failure *ret_failure)
{
    long fd = bare_call6(SYS_openat, AT_FDCWD, (long)file, O_RDONLY | O_CLOEXEC, 0, 0, 0);
    if (fd < 0) {
        return failed(fd, "Failed to open", file, ret_failure);
    }
    long code = BARE_CALL3(SYS_setns, fd, CLONE_NEWNS, 0);
    BARE_CALL3(SYS_close, fd, 0, 0);
    return code < 0 ? failed(code, "Failed to join the mounts of", file, ret_failure) : 0;
}

long mount_separate(struct mount_failure *ret_failure)
{
    long code = BARE_CALL3(SYS_unshare, CLONE_NEWNS, 0, 0);
    if (code < 0) {
        return failed(code, "Failed to make a namespace of mounts", NULL, ret_failure);
    }
    code = bare_call6(SYS_mount, 0, (long)"/", 0, MOUNT_SLAVE_ALL, 0, 0);
    return code < 0 ? failed(code, "Failed to keep mounts to the container", NULL, ret_failure) : 0;
}

// A place to speak of, not to read: `path` itself, or beneath `base` without links.
static long open_place(const char *base, const char *path)
{
    if (base[0] == '\0') {
        return bare_call6(SYS_openat, AT_FDCWD, (long)path, O_PATH | O_CLOEXEC, 0, 0, 0);
    }
    long fd = bare_call6(SYS_openat, AT_FDCWD, (long)base,
                         O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0, 0, 0);
    if (fd < 0) {
        return fd;
    }
    struct open_how how = {
        .flags = O_PATH | O_CLOEXEC,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    long place = bare_call6(SYS_openat2, fd, (long)path, (long)&how, sizeof(how), 0, 0);
    BARE_CALL3(SYS_close, fd, 0, 0);
    return place;
}

long mount_bind(const struct mount_order *order, struct mount_failure *ret_failure)
{
    long source = open_place(order->base, order->source);
    if (source < 0) {
        return failed(source, "Failed to open the volume", order->source, ret_failure);
    }
    long target = open_place(order->target[0] == '/' ? "" : order->sandbox, order->target);
    if (target < 0) {
        return failed(target, "Failed to open the mount point", order->target, ret_failure);
    }
    long tree = BARE_CALL3(SYS_open_tree, source, "",
                           OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);
    if (tree < 0) {
        return failed(tree, "Failed to copy the mounts of the volume", order->source, ret_failure);
    }
    struct mount_attr attributes = {.attr_set = MOUNT_ATTR_RDONLY};
    long code = 0;
    if (order->is_read_only) {
        code = bare_call6(SYS_mount_setattr, tree, (long)"", AT_EMPTY_PATH | AT_RECURSIVE,
                          (long)&attributes, sizeof(attributes), 0);
    }
    if (code < 0) {
        return failed(code, "Failed to make the volume read-only", order->source, ret_failure);
    }
    code = bare_call6(SYS_move_mount, tree, (long)"", target, (long)"",
                      MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH, 0);
    BARE_CALL3(SYS_close, tree, 0, 0);
    BARE_CALL3(SYS_close, target, 0, 0);
    BARE_CALL3(SYS_close, source, 0, 0);
    return code < 0 ? failed(code, "Failed to mount the volume at", order->target, ret_failure) : 0;
}
