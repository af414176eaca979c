// SPDX-License-Identifier: Apache-2.0
//
// For LD_PRELOAD: a disk that is slow, or that fails, where a program syncs. The file that
// SLOW_SYNC_FILE names is read at each sync: "delay 300" (milliseconds) or "fail 5" (errno).

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int slow_sync(int fd, long number)
{
    char text[64] = "";
    const char *path = getenv("SLOW_SYNC_FILE");
    int file = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file >= 0) {
        ssize_t size = read(file, text, sizeof(text) - 1);
        text[size > 0 ? size : 0] = '\0';
        close(file);
    }
    int value;
    if (sscanf(text, "delay %d", &value) == 1) {
        struct timespec time = {.tv_sec = value / 1000, .tv_nsec = value % 1000 * 1000000L};
        nanosleep(&time, NULL);
    } else if (sscanf(text, "fail %d", &value) == 1) {
        errno = value;
        return -1;
    }
    return (int)syscall(number, fd);
}

int fsync(int fd)
{
    return slow_sync(fd, SYS_fsync);
}

int fdatasync(int fd)
{
    return slow_sync(fd, SYS_fdatasync);
}
