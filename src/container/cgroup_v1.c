// SPDX-License-Identifier: Apache-2.0
//
// Version 1: a directory per hierarchy. Killing goes by the freezer: frozen processes cannot fork
// away from the signal.

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text.h"
#include "container/cgroup_driver.h"

// How often a freeze is waited for before the signal is sent all the same.
enum { FREEZE_TRIES_MAX = 20 };

static int v1_create(struct cgroup *cgroup, struct error *err)
{
    const struct cgroup_driver *driver = cgroup->driver;
    if (!driver->memory) {
        return 0;
    }
    char path[CGROUP_NAME_SIZE];
    snprintf(path, sizeof(path), "%s/memory.oom_control", cgroup->id);
    int base_fd = driver->bases[driver->base_of[CGROUP_MEMORY]].fd;
    AUTO_CLOSE int control = openat(base_fd, path, O_RDONLY | O_CLOEXEC);
    if (control < 0) {
        return error_errno(err, -errno, "Failed to open 'memory.oom_control' of container %s",
                           cgroup->id);
    }
    cgroup->oom_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (cgroup->oom_fd < 0) {
        return error_errno(err, -errno, "Failed to create an event descriptor");
    }
    char order[64];
    snprintf(order, sizeof(order), "%d %d", cgroup->oom_fd, control);
    return cgroup_write_file(cgroup, CGROUP_MEMORY, "cgroup.event_control", order, err);
}

static int v1_set_weight(struct cgroup *cgroup, int64_t cpus, bool is_low, struct error *err)
{
    enum { SHARES_OF_CPU = 1024, LOW_SHARES_OF_CPU = 10 }; // as in Mesos
    int64_t shares = cpus * (is_low ? LOW_SHARES_OF_CPU : SHARES_OF_CPU) / 1000;
    return cgroup_write_number(cgroup, CGROUP_CPU, "cpu.shares", shares < 2 ? 2 : shares, err);
}

static int v1_set_quota(struct cgroup *cgroup, int64_t quota_us, struct error *err)
{
    return cgroup_write_number(cgroup, CGROUP_CPU, "cpu.cfs_quota_us", quota_us, err);
}

static int v1_set_memory(struct cgroup *cgroup, uint64_t soft_bytes, uint64_t hard_bytes,
                         struct error *err)
{
    static const char limit[] = "memory.limit_in_bytes";
    static const char swap_limit[] = "memory.memsw.limit_in_bytes";
    int code = cgroup_write_number(cgroup, CGROUP_MEMORY, "memory.soft_limit_in_bytes",
                                   (int64_t)soft_bytes, err);
    if (code < 0 || (cgroup->hard_limit_set && hard_bytes <= cgroup->hard_limit_bytes)) {
        return code;
    }
    int64_t hard = hard_bytes == UINT64_MAX ? -1 : (int64_t)hard_bytes;
    // The limit on memory with swap may never be the lower of the two.
    bool raising = cgroup->hard_limit_set;
    bool swap = cgroup->driver->limit_swap;
    if (swap && raising) {
        code = cgroup_write_number(cgroup, CGROUP_MEMORY, swap_limit, hard, err);
    }
    if (code == 0) {
        code = cgroup_write_number(cgroup, CGROUP_MEMORY, limit, hard, err);
    }
    if (code == 0 && swap && !raising) {
        code = cgroup_write_number(cgroup, CGROUP_MEMORY, swap_limit, hard, err);
    }
    return code;
}

static bool v1_has_oomed(struct cgroup *cgroup)
{
    uint64_t count = 0;
    if (read(cgroup->oom_fd, &count, sizeof(count)) == (ssize_t)sizeof(count) && count > 0) {
        return true;
    }
    // The kernel may have killed before the notice was read.
    char text[256];
    return cgroup_read_file(cgroup, CGROUP_MEMORY, "memory.oom_control", text, sizeof(text)) > 0 &&
           cgroup_stat_find(text, "oom_kill", &count) && count > 0;
}

static uint64_t v1_memory_peak(const struct cgroup *cgroup)
{
    return cgroup_read_number(cgroup, CGROUP_MEMORY, "memory.max_usage_in_bytes", 0);
}

// The freezer comes first: while it holds processes, the others are left alone.
static int remove_directories(struct cgroup *cgroup, struct error *err)
{
    const struct cgroup_driver *driver = cgroup->driver;
    for (size_t i = 0; i < driver->base_count; i++) {
        if (!cgroup_has_directory(cgroup, i)) {
            continue;
        }
        int code = cgroup_remove_tree(driver->bases[i].fd, cgroup->id);
        if (code == -EBUSY) {
            if (i > 0) {
                // One that left the freezer's group, but not this one.
                cgroup_signal_tree(driver->bases[i].fd, cgroup->id, SIGKILL);
            }
            return CGROUP_AGAIN;
        }
        if (code < 0) {
            return error_errno(err, code, "Failed to remove the cgroup '%s/%s'",
                               driver->bases[i].path, cgroup->id);
        }
    }
    return CGROUP_GONE;
}

static bool is_frozen(const struct cgroup *cgroup)
{
    char text[32];
    return cgroup_read_file(cgroup, CGROUP_FREEZER, "freezer.state", text, sizeof(text)) > 0 &&
           text_starts_with(text, "FROZEN");
}

static int v1_take_down(struct cgroup *cgroup, struct error *err)
{
    if (cgroup->frozen_tries == 0) {
        int code = remove_directories(cgroup, err);
        if (code != CGROUP_AGAIN) {
            return code;
        }
    }
    // Writing it again tells the kernel to look after those that did not stop yet.
    int code = cgroup_write_file(cgroup, CGROUP_FREEZER, "freezer.state", "FROZEN", err);
    if (code == -ENOENT) {
        cgroup->frozen_tries = 0;
        return CGROUP_AGAIN;
    }
    if (code < 0) {
        return code;
    }
    cgroup->frozen_tries++;
    if (!is_frozen(cgroup) && cgroup->frozen_tries < FREEZE_TRIES_MAX) {
        return CGROUP_AGAIN;
    }
    cgroup->frozen_tries = 0;
    int freezer = cgroup->driver->base_of[CGROUP_FREEZER];
    cgroup_signal_tree(cgroup->driver->bases[freezer].fd, cgroup->id, SIGKILL);
    code = cgroup_write_file(cgroup, CGROUP_FREEZER, "freezer.state", "THAWED", err);
    return code < 0 ? code : CGROUP_AGAIN;
}

static void cpu_usage(const struct cgroup *cgroup, Mesos__V1__ResourceStatistics *statistics)
{
    char text[CGROUP_STAT_SIZE];
    uint64_t number;
    double hertz = (double)sysconf(_SC_CLK_TCK);
    if (cgroup_read_file(cgroup, CGROUP_CPUACCT, "cpuacct.stat", text, sizeof(text)) > 0) {
        if (cgroup_stat_find(text, "user", &number)) {
            statistics->has_cpus_user_time_secs = true;
            statistics->cpus_user_time_secs = (double)number / hertz;
        }
        if (cgroup_stat_find(text, "system", &number)) {
            statistics->has_cpus_system_time_secs = true;
            statistics->cpus_system_time_secs = (double)number / hertz;
        }
    }
    if (!cgroup->driver->enable_cfs ||
        cgroup_read_file(cgroup, CGROUP_CPU, "cpu.stat", text, sizeof(text)) <= 0) {
        return;
    }
    if (cgroup_stat_find(text, "nr_periods", &number)) {
        statistics->has_cpus_nr_periods = true;
        statistics->cpus_nr_periods = (uint32_t)number;
    }
    if (cgroup_stat_find(text, "nr_throttled", &number)) {
        statistics->has_cpus_nr_throttled = true;
        statistics->cpus_nr_throttled = (uint32_t)number;
    }
    if (cgroup_stat_find(text, "throttled_time", &number)) {
        statistics->has_cpus_throttled_time_secs = true;
        statistics->cpus_throttled_time_secs = (double)number / 1e9;
    }
}

#define TAKE_STAT(text, key, statistics, member)                                                   \
    do {                                                                                           \
        uint64_t number_;                                                                          \
        if (cgroup_stat_find((text), (key), &number_)) {                                           \
            (statistics)->has_##member = true;                                                     \
            (statistics)->member = number_;                                                        \
        }                                                                                          \
    } while (0)

static void take_number(const struct cgroup *cgroup, const char *name, protobuf_c_boolean *ret_has,
                        uint64_t *ret_number)
{
    uint64_t number = cgroup_read_number(cgroup, CGROUP_MEMORY, name, UINT64_MAX);
    *ret_has = number != UINT64_MAX;
    *ret_number = *ret_has ? number : 0;
}

static void memory_usage(const struct cgroup *cgroup, Mesos__V1__ResourceStatistics *s)
{
    take_number(cgroup, "memory.usage_in_bytes", &s->has_mem_total_bytes, &s->mem_total_bytes);
    take_number(cgroup, "memory.kmem.usage_in_bytes", &s->has_mem_kmem_usage_bytes,
                &s->mem_kmem_usage_bytes);
    take_number(cgroup, "memory.kmem.tcp.usage_in_bytes", &s->has_mem_kmem_tcp_usage_bytes,
                &s->mem_kmem_tcp_usage_bytes);
    if (cgroup->driver->limit_swap) {
        take_number(cgroup, "memory.memsw.usage_in_bytes", &s->has_mem_total_memsw_bytes,
                    &s->mem_total_memsw_bytes);
    }
    char text[CGROUP_STAT_SIZE];
    if (cgroup_read_file(cgroup, CGROUP_MEMORY, "memory.stat", text, sizeof(text)) <= 0) {
        return;
    }
    TAKE_STAT(text, "total_cache", s, mem_file_bytes);
    TAKE_STAT(text, "total_cache", s, mem_cache_bytes);
    TAKE_STAT(text, "total_rss", s, mem_anon_bytes);
    TAKE_STAT(text, "total_rss", s, mem_rss_bytes);
    TAKE_STAT(text, "total_mapped_file", s, mem_mapped_file_bytes);
    TAKE_STAT(text, "total_swap", s, mem_swap_bytes);
    TAKE_STAT(text, "total_unevictable", s, mem_unevictable_bytes);
}

static void v1_usage(const struct cgroup *cgroup, Mesos__V1__ResourceStatistics *statistics)
{
    if (cgroup->driver->cpu) {
        cpu_usage(cgroup, statistics);
    }
    if (cgroup->driver->memory) {
        memory_usage(cgroup, statistics);
    }
}

const struct cgroup_ops cgroup_v1_ops = {
    .version = 1,
    .leaf = "",
    // Moving one thread takes no lock on all processes; the first write into cgroup.procs waits 5
    // ms and more for it.
    .enter_file = "tasks",
    .create = v1_create,
    .set_weight = v1_set_weight,
    .set_quota = v1_set_quota,
    .set_memory = v1_set_memory,
    .oom_events = EPOLLIN,
    .has_oomed = v1_has_oomed,
    .memory_peak = v1_memory_peak,
    .take_down = v1_take_down,
    .usage = v1_usage,
};
