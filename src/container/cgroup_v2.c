// SPDX-License-Identifier: Apache-2.0
//
// Version 2: one tree. Limits stand on the container's directory, its processes live in the leaf
// beneath it, so that groups of nested containers can stand beside the leaf.

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/fd.h"
#include "container/cgroup_driver.h"

// All controllers share one base; this one is always in use.
enum { TREE = CGROUP_FREEZER };

static int v2_create(struct cgroup *cgroup, struct error *err)
{
    const struct cgroup_driver *driver = cgroup->driver;
    if (!driver->memory) {
        return 0;
    }
    char path[CGROUP_NAME_SIZE];
    snprintf(path, sizeof(path), "%s/memory.events", cgroup->id);
    cgroup->oom_fd = openat(driver->bases[0].fd, path, O_RDONLY | O_CLOEXEC);
    if (cgroup->oom_fd < 0) {
        return error_errno(err, -errno, "Failed to open 'memory.events' of container %s",
                           cgroup->id);
    }
    if (driver->limit_swap) {
        int code = cgroup_write_file(cgroup, TREE, "memory.swap.max", "0", err);
        // A kernel without swap has no such file, and nothing to limit.
        return code == -ENOENT ? 0 : code;
    }
    return 0;
}

static int v2_set_weight(struct cgroup *cgroup, int64_t cpus, bool is_low, struct error *err)
{
    int64_t weight = cpus / (is_low ? 1000 : 10); // 100 for each cpu, or 1
    weight = weight < 1 ? 1 : weight > 10000 ? 10000 : weight;
    return cgroup_write_number(cgroup, TREE, "cpu.weight", weight, err);
}

static int v2_set_quota(struct cgroup *cgroup, int64_t quota_us, struct error *err)
{
    char text[64] = "max";
    if (quota_us >= 0) {
        snprintf(text, sizeof(text), "%lld 100000", (long long)quota_us);
    }
    return cgroup_write_file(cgroup, TREE, "cpu.max", text, err);
}

static int v2_set_memory(struct cgroup *cgroup, uint64_t soft_bytes, uint64_t hard_bytes,
                         struct error *err)
{
    int code = cgroup_write_number(cgroup, TREE, "memory.low", (int64_t)soft_bytes, err);
    if (code < 0 || (cgroup->hard_limit_set && hard_bytes <= cgroup->hard_limit_bytes)) {
        return code;
    }
    return hard_bytes == UINT64_MAX
               ? cgroup_write_file(cgroup, TREE, "memory.max", "max", err)
               : cgroup_write_number(cgroup, TREE, "memory.max", (int64_t)hard_bytes, err);
}

// A kill in a container nested in this one, at that one's own limit, is counted here as well; only
// the local counters tell (Linux 5.2) that this one's limit was reached.
static bool was_own_limit(const struct cgroup *cgroup)
{
    char text[512];
    uint64_t reached = 1;
    return cgroup_read_file(cgroup, TREE, "memory.events.local", text, sizeof(text)) <= 0 ||
           !cgroup_stat_find(text, "oom", &reached) || reached > 0;
}

static bool v2_has_oomed(struct cgroup *cgroup)
{
    char text[512];
    ssize_t size = pread(cgroup->oom_fd, text, sizeof(text) - 1, 0);
    if (size <= 0) {
        return false;
    }
    text[size] = '\0';
    uint64_t kills = 0;
    return cgroup_stat_find(text, "oom_kill", &kills) && kills > 0 && was_own_limit(cgroup);
}

static uint64_t v2_memory_peak(const struct cgroup *cgroup)
{
    // memory.peak is younger than version 2; without it the limit is what was reached.
    return cgroup_read_number(cgroup, TREE, "memory.peak", cgroup->hard_limit_bytes);
}

static int v2_take_down(struct cgroup *cgroup, struct error *err)
{
    int base_fd = cgroup->driver->bases[0].fd;
    char leaf[CGROUP_NAME_SIZE];
    snprintf(leaf, sizeof(leaf), "%s/leaf", cgroup->id);
    if (unlinkat(base_fd, leaf, AT_REMOVEDIR) == 0 || errno == ENOENT) {
        int code = cgroup_remove_tree(base_fd, cgroup->id);
        if (code == 0) {
            return CGROUP_GONE;
        }
        if (code != -EBUSY) {
            return error_errno(err, code, "Failed to remove the cgroup '%s/%s'",
                               cgroup->driver->bases[0].path, cgroup->id);
        }
    }
    int code = cgroup_write_file(cgroup, TREE, "cgroup.kill", "1", err);
    if (code == -ENOENT) {
        // Before Linux 5.14: freeze, so that nothing forks away, and kill one by one.
        (void)cgroup_write_file(cgroup, TREE, "cgroup.freeze", "1", NULL);
        cgroup_signal_tree(base_fd, cgroup->id, SIGKILL);
        code = 0;
    }
    if (code < 0) {
        return code;
    }
    (void)cgroup_remove_tree(base_fd, cgroup->id);
    return CGROUP_AGAIN;
}

#define TAKE_STAT(text, key, statistics, member, scale)                                            \
    do {                                                                                           \
        uint64_t number_;                                                                          \
        if (cgroup_stat_find((text), (key), &number_)) {                                           \
            (statistics)->has_##member = true;                                                     \
            (statistics)->member = (__typeof__((statistics)->member))number_ * (scale);            \
        }                                                                                          \
    } while (0)

static void v2_usage(const struct cgroup *cgroup, Mesos__V1__ResourceStatistics *s)
{
    char text[CGROUP_STAT_SIZE];
    if (cgroup->driver->cpu && cgroup_read_file(cgroup, TREE, "cpu.stat", text, sizeof(text)) > 0) {
        TAKE_STAT(text, "user_usec", s, cpus_user_time_secs, 1e-6);
        TAKE_STAT(text, "system_usec", s, cpus_system_time_secs, 1e-6);
        TAKE_STAT(text, "nr_periods", s, cpus_nr_periods, 1);
        TAKE_STAT(text, "nr_throttled", s, cpus_nr_throttled, 1);
        TAKE_STAT(text, "throttled_usec", s, cpus_throttled_time_secs, 1e-6);
    }
    if (!cgroup->driver->memory) {
        return;
    }
    uint64_t total = cgroup_read_number(cgroup, TREE, "memory.current", UINT64_MAX);
    if (total != UINT64_MAX) {
        s->has_mem_total_bytes = true;
        s->mem_total_bytes = total;
    }
    if (cgroup_read_file(cgroup, TREE, "memory.stat", text, sizeof(text)) > 0) {
        TAKE_STAT(text, "kernel", s, mem_kmem_usage_bytes, 1);
        TAKE_STAT(text, "sock", s, mem_kmem_tcp_usage_bytes, 1);
        TAKE_STAT(text, "file", s, mem_file_bytes, 1);
        TAKE_STAT(text, "file", s, mem_cache_bytes, 1);
        TAKE_STAT(text, "anon", s, mem_anon_bytes, 1);
        TAKE_STAT(text, "anon", s, mem_rss_bytes, 1);
        TAKE_STAT(text, "file_mapped", s, mem_mapped_file_bytes, 1);
        TAKE_STAT(text, "unevictable", s, mem_unevictable_bytes, 1);
    }
}

const struct cgroup_ops cgroup_v2_ops = {
    .version = 2,
    .leaf = "leaf",
    .enter_file = "cgroup.procs",
    .create = v2_create,
    .set_weight = v2_set_weight,
    .set_quota = v2_set_quota,
    .set_memory = v2_set_memory,
    .oom_events = EPOLLPRI,
    .has_oomed = v2_has_oomed,
    .memory_peak = v2_memory_peak,
    .take_down = v2_take_down,
    .usage = v2_usage,
};
