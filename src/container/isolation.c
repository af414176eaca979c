// SPDX-License-Identifier: Apache-2.0

#include "container/isolation.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/mem.h"

// Deprecated names stand for two each, as in Mesos.
static const struct row {
    const char *name;
    struct isolation isolation;
} rows[] = {
    {"posix/cpu", {.posix_cpu = true}},
    {"posix/mem", {.posix_memory = true}},
    {"process", {.posix_cpu = true, .posix_memory = true}},
    {"cgroups/cpu", {.cgroups_cpu = true}},
    {"cgroups/mem", {.cgroups_memory = true}},
    {"cgroups", {.cgroups_cpu = true, .cgroups_memory = true}},
    {"filesystem/posix", {.posix_cpu = false}}, // the plain file system: what every container has
    {"filesystem/linux", {.filesystem_linux = true}},
    // Parts of the one above, and what containers get whenever they ask for it.
    {"volume/host_path", {.filesystem_linux = true}},
    {"volume/sandbox_path", {.posix_cpu = false}},
    {"posix/rlimits", {.posix_cpu = false}},
    {"linux/capabilities", {.posix_cpu = false}},
};

int isolation_parse(const char *text, struct isolation *ret_isolation, struct error *err)
{
    struct isolation all = {0};
    unsigned seen = 0;
    AUTO_FREE char *copy = mem_strdup(text == NULL ? "" : text);
    char *save = NULL;
    for (char *name = strtok_r(copy, ",", &save); name != NULL; name = strtok_r(NULL, ",", &save)) {
        size_t i = 0;
        while (i < ARRAY_COUNT(rows) && strcmp(rows[i].name, name) != 0) {
            i++;
        }
        if (i == ARRAY_COUNT(rows)) {
            return error_set(err, -EINVAL, "Unknown or unsupported isolator '%s'", name);
        }
        if ((seen & (1u << i)) != 0) {
            return error_set(err, -EINVAL, "Duplicate entries found in --isolation flag '%s'",
                             text);
        }
        seen |= 1u << i;
        all.posix_cpu |= rows[i].isolation.posix_cpu;
        all.posix_memory |= rows[i].isolation.posix_memory;
        all.cgroups_cpu |= rows[i].isolation.cgroups_cpu;
        all.cgroups_memory |= rows[i].isolation.cgroups_memory;
        all.filesystem_linux |= rows[i].isolation.filesystem_linux;
    }
    *ret_isolation = all;
    return 0;
}
