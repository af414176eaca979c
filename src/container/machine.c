// SPDX-License-Identifier: Apache-2.0
//
// What this machine has to offer, less what is left for the system.

#include <errno.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "base/buf.h"
#include "container/container.h"

static const uint64_t MEGABYTE = UINT64_C(1) << 20;
static const uint64_t GIGABYTE = UINT64_C(1) << 30;

// Leaves a fixed amount from a certain size on, and half below it.
static uint64_t leave(uint64_t total, uint64_t large, uint64_t left)
{
    return total >= large ? total - left : total / 2;
}

uint64_t machine_memory_bytes(void)
{
    struct sysinfo info;
    return sysinfo(&info) < 0 ? 0 : (uint64_t)info.totalram * info.mem_unit;
}

int containerizer_machine_resources(const char *work_dir, struct resources **ret_resources,
                                    struct error *err)
{
    struct sysinfo info;
    if (sysinfo(&info) < 0) {
        return error_errno(err, -errno, "Failed to find the size of the memory");
    }
    struct statvfs disk;
    if (statvfs(work_dir, &disk) < 0) {
        return error_errno(err, -errno, "Failed to find the size of the disk of '%s'", work_dir);
    }
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    uint64_t memory_bytes = leave((uint64_t)info.totalram * info.mem_unit, 2 * GIGABYTE, GIGABYTE);
    uint64_t disk_bytes =
        leave((uint64_t)disk.f_blocks * disk.f_frsize, 10 * GIGABYTE, 5 * GIGABYTE);
    AUTO_BUF struct buf text = BUF_INIT;
    buf_printf(&text, "cpus:%ld;mem:%llu;disk:%llu;ports:[31000-32000]", cpus < 1 ? 1 : cpus,
               (unsigned long long)(memory_bytes / MEGABYTE),
               (unsigned long long)(disk_bytes / MEGABYTE));
    return resources_parse(text.data, "*", ret_resources, err);
}
