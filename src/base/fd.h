// SPDX-License-Identifier: Apache-2.0
//
// File descriptors that a scope owns, and whole-file reading and writing. Not for the cores.

#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "base/error.h"

void fd_close_at(int *fd); // closes when >= 0
#define AUTO_CLOSE __attribute__((cleanup(fd_close_at)))

#define TAKE_FD(fd)                                                                                \
    ({                                                                                             \
        int taken_ = (fd);                                                                         \
        (fd) = -1;                                                                                 \
        taken_;                                                                                    \
    })

// The whole file, NUL-terminated; the caller frees with mem_free. -EFBIG beyond `limit` bytes.
int file_read(const char *path, size_t limit, char **ret_data, size_t *ret_size, struct error *err);
// Writes a new or existing file in place (for cgroup files and pid files).
int file_write(const char *path, const void *data, size_t size, struct error *err);
// Writes beside the file, syncs, renames: readers see the old content or the new.
int file_replace(const char *path, const void *data, size_t size, mode_t mode, struct error *err);
// mkdir -p; directories that exist are fine.
int path_make_directories(const char *path, mode_t mode, struct error *err);
// rm -rf without following symbolic links; a path that is not there is fine.
int path_remove_tree(const char *path, struct error *err);

// The directory in which this program's file lies; the caller frees it. "" when it is not known.
char *path_own_directory(void);
