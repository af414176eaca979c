// SPDX-License-Identifier: Apache-2.0
//
// Files for the shells. The only file of this folder that makes system calls.

#include "base/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"

enum { READ_SIZE = 16384, TREE_DEPTH_MAX = 64 };

void fd_close_at(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

int file_read(const char *path, size_t limit, char **ret_data, size_t *ret_size, struct error *err)
{
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    AUTO_BUF struct buf buf = BUF_INIT;

    if (fd < 0)
        return error_errno(err, -errno, "Failed to open '%s'", path);
    for (;;) {
        ssize_t n;

        buf_reserve(&buf, READ_SIZE);
        n = read(fd, buf.data + buf.size, READ_SIZE);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_errno(err, -errno, "Failed to read '%s'", path);
        if (n == 0)
            break;
        buf.size += (size_t)n;
        buf.data[buf.size] = '\0';
        if (buf.size > limit)
            return error_set(err, -EFBIG, "File '%s' is larger than %zu bytes", path, limit);
    }
    if (ret_size != NULL)
        *ret_size = buf.size;
    *ret_data = buf_take(&buf);
    return 0;
}

static int write_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, data, size);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        data += n;
        size -= (size_t)n;
    }
    return 0;
}

int file_write(const char *path, const void *data, size_t size, struct error *err)
{
    AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    int result;

    if (fd < 0)
        return error_errno(err, -errno, "Failed to open '%s'", path);
    result = write_all(fd, data, size);
    if (result < 0)
        return error_errno(err, result, "Failed to write '%s'", path);
    return 0;
}

// Makes a rename within the directory of `path` durable.
static int sync_parent(const char *path, struct error *err)
{
    const char *slash = strrchr(path, '/');
    AUTO_FREE char *parent = slash == NULL   ? mem_strdup(".")
                             : slash == path ? mem_strdup("/")
                                             : mem_strndup(path, (size_t)(slash - path));
    AUTO_CLOSE int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 || fsync(fd) < 0)
        return error_errno(err, -errno, "Failed to sync '%s'", parent);
    return 0;
}

int file_replace(const char *path, const void *data, size_t size, mode_t mode, struct error *err)
{
    AUTO_FREE char *beside = mem_printf("%s.XXXXXX", path);
    AUTO_CLOSE int fd = mkostemp(beside, O_CLOEXEC);
    int result;

    if (fd < 0)
        return error_errno(err, -errno, "Failed to create '%s'", beside);
    result = write_all(fd, data, size);
    if (result == 0 && (fchmod(fd, mode) < 0 || fsync(fd) < 0 || rename(beside, path) < 0))
        result = -errno;
    if (result < 0) {
        unlink(beside);
        return error_errno(err, result, "Failed to write '%s'", path);
    }
    return sync_parent(path, err);
}

// One directory, whose parent should be there: -ENOENT when it is not.
static int make_directory(const char *path, mode_t mode, struct error *err)
{
    struct stat status;

    if (mkdir(path, mode) == 0)
        return 0;
    int code = -errno;
    if (code != -EEXIST && code != -EISDIR && code != -EROFS && code != -EACCES)
        return error_errno(err, code, "Failed to create directory '%s'", path);
    if (stat(path, &status) < 0)
        return error_errno(err, code, "Failed to create directory '%s'", path);
    if (!S_ISDIR(status.st_mode))
        return error_errno(err, -ENOTDIR, "Failed to create directory '%s'", path);
    return 0;
}

// Mostly the last levels alone are missing, so it goes up until one can be made, and down again.
int path_make_directories(const char *path, mode_t mode, struct error *err)
{
    AUTO_FREE char *partial = mem_strdup(path);
    size_t whole = strlen(path), size = whole;
    int code;

    while ((code = make_directory(partial, mode, NULL)) == -ENOENT) {
        char *slash = strrchr(partial, '/');

        if (slash == NULL || slash == partial)
            break;
        *slash = '\0';
        size = (size_t)(slash - partial);
    }
    if (code < 0)
        return make_directory(partial, mode, err); // once more, for the text
    while (code == 0 && size < whole) {
        partial[size] = '/';
        size += strlen(partial + size);
        code = make_directory(partial, mode, err);
    }
    return code;
}

// One removal. Directories below TREE_DEPTH_MAX levels are moved up to the top and removed in a
// later round, so that no tree is too deep for the stack or for the process' open files.
struct removal {
    int top;        // the tree's top directory
    unsigned moved; // directories moved up so far
    bool again;     // another round is needed
    struct error *err;
    int code; // of the first failure
};

static void removal_fail(struct removal *removal, int code, const char *name)
{
    if (removal->code == 0)
        removal->code = error_errno(removal->err, code, "Failed to remove '%s'", name);
}

// Opens a directory but follows neither a symbolic link nor a mount: what is mounted in a sandbox
// belongs to somebody else.
static int open_directory(int parent, const char *name)
{
    struct open_how how = {
        .flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
        .resolve = RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS,
    };
    int fd = (int)syscall(SYS_openat2, parent, name, &how, sizeof(how));

    if (fd < 0 && (errno == ENOSYS || errno == EPERM))
        fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd;
}

static void remove_content(struct removal *removal, int fd, int depth);

static void remove_directory(struct removal *removal, int parent, const char *name, int depth)
{
    if (depth >= TREE_DEPTH_MAX) {
        char beside[32];

        snprintf(beside, sizeof(beside), ".removed-%u", removal->moved++);
        if (renameat(parent, name, removal->top, beside) < 0)
            removal_fail(removal, -errno, name);
        else
            removal->again = true;
        return;
    }
    {
        int fd = open_directory(parent, name);

        if (fd < 0 && errno == EACCES && fchmodat(parent, name, 0700, 0) == 0)
            fd = open_directory(parent, name);
        if (fd < 0) {
            if (errno != ENOENT)
                removal_fail(removal, -errno, name);
            return;
        }
        remove_content(removal, fd, depth + 1);
    }
    if (unlinkat(parent, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
        removal_fail(removal, -errno, name);
}

// Takes `fd` over.
static void remove_content(struct removal *removal, int fd, int depth)
{
    DIR *directory = fdopendir(fd);
    struct dirent *entry;

    if (directory == NULL) {
        removal_fail(removal, -errno, "directory");
        close(fd);
        return;
    }
    while ((entry = readdir(directory)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (entry->d_type != DT_DIR) {
            if (unlinkat(fd, entry->d_name, 0) == 0 || errno == ENOENT)
                continue;
            if (errno != EISDIR) {
                removal_fail(removal, -errno, entry->d_name);
                continue;
            }
        }
        remove_directory(removal, fd, entry->d_name, depth);
    }
    closedir(directory);
}

int path_remove_tree(const char *path, struct error *err)
{
    AUTO_CLOSE int top = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct removal removal = {.top = top, .err = err};

    if (top < 0 && errno == EACCES && chmod(path, 0700) == 0)
        removal.top = top = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (top < 0) {
        if (errno == ENOENT)
            return 0;
        if (errno != ENOTDIR && errno != ELOOP)
            return error_errno(err, -errno, "Failed to open '%s'", path);
        if (unlink(path) < 0 && errno != ENOENT)
            return error_errno(err, -errno, "Failed to remove '%s'", path);
        return 0;
    }
    do {
        int fd = openat(top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        removal.again = false;
        if (fd < 0)
            return error_errno(err, -errno, "Failed to open '%s'", path);
        remove_content(&removal, fd, 0);
    } while (removal.again && removal.code == 0);
    if (removal.code != 0)
        return removal.code;
    if (rmdir(path) < 0 && errno != ENOENT)
        return error_errno(err, -errno, "Failed to remove '%s'", path);
    return 0;
}

char *path_own_directory(void)
{
    char path[PATH_MAX];
    ssize_t size = readlink("/proc/self/exe", path, sizeof(path) - 1);
    path[size > 0 ? size : 0] = '\0';
    char *slash = strrchr(path, '/');
    if (slash != NULL) {
        *slash = '\0';
    }
    return mem_strdup(path);
}
