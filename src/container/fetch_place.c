// SPDX-License-Identifier: Apache-2.0

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "container/fetch_steps.h"

enum { COPY_CHUNK = 1 << 30 };

// Resolves beneath `base_fd` only: neither ".." nor a symbolic link leads out.
static int open_beneath(int base_fd, const char *path, int flags, mode_t mode)
{
    struct open_how how = {
        .flags = (uint64_t)(flags | O_CLOEXEC),
        .mode = (flags & O_CREAT) != 0 ? mode : 0,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    };
    long fd = syscall(SYS_openat2, base_fd, path, &how, sizeof(how));
    return fd < 0 ? -errno : (int)fd;
}

int fetch_make_parents(int sandbox_fd, const char *path, struct error *err)
{
    AUTO_FREE char *copy = mem_strdup(path);
    for (char *slash = strchr(copy, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        char *name = strrchr(copy, '/');
        AUTO_CLOSE int parent =
            name == NULL ? dup(sandbox_fd)
                         : (*name = '\0', open_beneath(sandbox_fd, copy, O_PATH | O_DIRECTORY, 0));
        const char *last = name == NULL ? copy : name + 1;
        int code = parent < 0                                            ? parent
                   : mkdirat(parent, last, 0755) == 0 || errno == EEXIST ? 0
                                                                         : -errno;
        if (name != NULL) {
            *name = '/';
        }
        if (code < 0) {
            return error_errno(err, code, "Unable to create subdirectory %s in sandbox", copy);
        }
        *slash = '/';
    }
    return 0;
}

int fetch_create(int sandbox_fd, const char *path, int *ret_fd, struct error *err)
{
    int code = fetch_make_parents(sandbox_fd, path, err);
    if (code < 0) {
        return code;
    }
    int fd = open_beneath(sandbox_fd, path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (fd < 0) {
        return error_errno(err, fd, "Failed to create '%s' in the sandbox", path);
    }
    *ret_fd = fd;
    return 0;
}

int fetch_open_source(const char *path, int *ret_fd, uint64_t *ret_size, struct error *err)
{
    // Not blocking: a FIFO without a writer would hold us for ever.
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    struct stat info;
    if (fd < 0 || fstat(fd, &info) < 0) {
        return error_errno(err, -errno, "Failed to open '%s'", path);
    }
    if (!S_ISREG(info.st_mode)) {
        return error_set(err, -EINVAL, "Failed to open '%s': not a regular file", path);
    }
    *ret_size = (uint64_t)info.st_size;
    *ret_fd = TAKE_FD(fd);
    return 0;
}

int fetch_copy(int from_fd, int to_fd, struct error *err)
{
    struct stat info;
    if (fstat(from_fd, &info) == 0) {
        // As cp does: what may be executed there may be executed here.
        (void)fchmod(to_fd, (info.st_mode & 0755) | 0600);
    }
    for (;;) {
        ssize_t n = sendfile(to_fd, from_fd, NULL, COPY_CHUNK);
        if (n < 0) {
            return error_errno(err, -errno, "Failed to copy");
        }
        if (n == 0) {
            return 0;
        }
    }
}

int fetch_make_executable(int sandbox_fd, const char *path, struct error *err)
{
    AUTO_CLOSE int fd = open_beneath(sandbox_fd, path, O_RDONLY, 0);
    if (fd < 0 || fchmod(fd, 0755) < 0) {
        return error_errno(err, fd < 0 ? fd : -errno, "Failed to chmod executable '%s'", path);
    }
    return 0;
}
