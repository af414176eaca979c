// SPDX-License-Identifier: Apache-2.0
//
// See watch.h.

#include "swarm/watch.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PROC_TEXT_MAX = 8192 };

static int read_proc(int pid, const char *name, char ret_text[PROC_TEXT_MAX])
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return -errno;
    size_t size = fread(ret_text, 1, PROC_TEXT_MAX - 1, file);
    ret_text[size] = '\0';
    fclose(file);
    return size > 0 ? 0 : -ESRCH;
}

static void open_counter(struct watch *watch)
{
    struct perf_event_attr attributes = {
        .type = PERF_TYPE_HARDWARE,
        .size = sizeof(attributes),
        .config = PERF_COUNT_HW_INSTRUCTIONS,
        .exclude_kernel = 1,
        .exclude_hv = 1,
        .inherit = 1,
    };
    long fd = syscall(SYS_perf_event_open, &attributes, watch->pid, -1, -1, PERF_FLAG_FD_CLOEXEC);
    watch->counter = (int)fd;
    if (fd < 0)
        error_errno(&watch->why, -errno, "This machine counts no instructions");
}

int watch_begin(struct watch *watch, int pid, struct error *err)
{
    char text[PROC_TEXT_MAX];
    *watch = (struct watch){.pid = pid, .counter = -1};
    if (pid == 0)
        return 0;
    int r = read_proc(pid, "stat", text);
    if (r < 0)
        return error_errno(err, r, "Cannot look at the master's process %d", pid);
    open_counter(watch);
    return 0;
}

void watch_end(struct watch *watch)
{
    if (watch->counter >= 0)
        close(watch->counter);
    watch->counter = -1;
}

static uint64_t find_kib(const char *text, const char *name)
{
    const char *at = strstr(text, name);
    unsigned long long value = 0;
    if (at == NULL || sscanf(at + strlen(name), " %llu", &value) != 1)
        return 0;
    return value * 1024;
}

struct watch_sample watch_read(const struct watch *watch)
{
    struct watch_sample sample = {0};
    char text[PROC_TEXT_MAX];
    if (watch->pid == 0 || read_proc(watch->pid, "stat", text) < 0)
        return sample;
    const char *at = strrchr(text, ')'); // the name may hold anything
    unsigned long long user = 0, system = 0;
    if (at != NULL && sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu",
                             &user, &system) == 2) {
        double tick = (double)sysconf(_SC_CLK_TCK);
        sample.user_seconds = (double)user / tick;
        sample.cpu_seconds = (double)(user + system) / tick;
    }
    if (read_proc(watch->pid, "status", text) == 0) {
        sample.resident_size = find_kib(text, "VmRSS:");
        sample.resident_size_max = find_kib(text, "VmHWM:");
    }
    uint64_t count = 0;
    if (watch->counter >= 0 && read(watch->counter, &count, sizeof(count)) == sizeof(count))
        sample.instructions = count;
    return sample;
}
