// SPDX-License-Identifier: Apache-2.0
//
// Reading of the mount table. A line is "id parent dev root mountpoint options [tags] - type source
// superoptions"; the controllers of a version 1 hierarchy stand in its super options.

#include "container/cgroup_mounts.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/text.h"

enum { MOUNTINFO_SIZE_MAX = 16 * 1024 * 1024 };

// Space, tab, newline and backslash stand as \ooo; decoded in place.
static void unescape(char *text)
{
    char *out = text;
    for (const char *in = text; *in != '\0';) {
        if (in[0] == '\\' && in[1] >= '0' && in[1] <= '3' && in[2] >= '0' && in[2] <= '7' &&
            in[3] >= '0' && in[3] <= '7') {
            *out++ = (char)(((in[1] - '0') << 6) | ((in[2] - '0') << 3) | (in[3] - '0'));
            in += 4;
        } else {
            *out++ = *in++;
        }
    }
    *out = '\0';
}

static bool is_under(const char *path, const char *directory)
{
    size_t size = strlen(directory);
    while (size > 1 && directory[size - 1] == '/') {
        size--;
    }
    return strncmp(path, directory, size) == 0 && (path[size] == '/' || path[size] == '\0');
}

static void offer(char **place, const char *mount, const char *preferred)
{
    if (*place != NULL && (is_under(*place, preferred) || !is_under(mount, preferred))) {
        return;
    }
    mem_free(*place);
    *place = mem_strdup(mount);
}

static bool has_word(const char *words, const char *separators, const char *word)
{
    size_t size = strlen(word);
    for (const char *at = words; *at != '\0';) {
        size_t length = strcspn(at, separators);
        if (length == size && strncmp(at, word, size) == 0) {
            return true;
        }
        at += length;
        at += strspn(at, separators);
    }
    return false;
}

static void take_line(struct cgroup_mounts *mounts, char *line, const char *preferred)
{
    char *tail = strstr(line, " - ");
    if (tail == NULL) {
        return;
    }
    *tail = '\0';
    char *save = NULL;
    const char *type = strtok_r(tail + 3, " ", &save);
    (void)strtok_r(NULL, " ", &save);
    const char *options = strtok_r(NULL, " ", &save);
    char *mount = strtok_r(line, " ", &save);
    for (int i = 0; i < 4 && mount != NULL; i++) {
        mount = strtok_r(NULL, " ", &save);
    }
    if (type == NULL || options == NULL || mount == NULL) {
        return;
    }
    unescape(mount);
    if (strcmp(type, "cgroup2") == 0) {
        offer(&mounts->v2, mount, preferred);
    } else if (strcmp(type, "cgroup") == 0) {
        for (int i = 0; i < CGROUP_CONTROLLER_COUNT; i++) {
            if (has_word(options, ",", cgroup_controller_names[i])) {
                offer(&mounts->v1[i], mount, preferred);
            }
        }
    }
}

void cgroup_mounts_parse(struct cgroup_mounts *mounts, char *mountinfo, const char *preferred)
{
    char *save = NULL;
    for (char *line = strtok_r(mountinfo, "\n", &save); line != NULL;
         line = strtok_r(NULL, "\n", &save)) {
        take_line(mounts, line, preferred);
    }
}

int cgroup_mounts_find(struct cgroup_mounts *mounts, const char *preferred, struct error *err)
{
    AUTO_FREE char *text = NULL;
    size_t size;
    int code = file_read("/proc/self/mountinfo", MOUNTINFO_SIZE_MAX, &text, &size, err);
    if (code < 0) {
        return code;
    }
    cgroup_mounts_parse(mounts, text, preferred);
    if (mounts->v2 == NULL) {
        return 0;
    }
    AUTO_FREE char *path = mem_printf("%s/cgroup.controllers", mounts->v2);
    AUTO_FREE char *controllers = NULL;
    code = file_read(path, MOUNTINFO_SIZE_MAX, &controllers, &size, err);
    if (code < 0) {
        return code;
    }
    for (int i = 0; i < CGROUP_CONTROLLER_COUNT; i++) {
        mounts->v2_has[i] = has_word(controllers, " \n", cgroup_controller_names[i]);
    }
    // These two are no controllers there: freezing and accounting are always at hand.
    mounts->v2_has[CGROUP_FREEZER] = true;
    mounts->v2_has[CGROUP_CPUACCT] = true;
    return 0;
}

void cgroup_mounts_free(struct cgroup_mounts *mounts)
{
    for (int i = 0; i < CGROUP_CONTROLLER_COUNT; i++) {
        mem_free(mounts->v1[i]);
    }
    mem_free(mounts->v2);
    *mounts = (struct cgroup_mounts){0};
}

bool cgroup_mounts_needs(const struct cgroup_driver *driver, int controller)
{
    switch (controller) {
    case CGROUP_CPU:
    case CGROUP_CPUACCT:
        return driver->cpu;
    case CGROUP_MEMORY:
        return driver->memory;
    default:
        return true;
    }
}

int cgroup_mounts_choose(const struct cgroup_mounts *mounts, const struct cgroup_driver *driver,
                         struct error *err)
{
    const char *missing_v1 = NULL, *missing_v2 = NULL;
    for (int i = 0; i < CGROUP_CONTROLLER_COUNT; i++) {
        if (!cgroup_mounts_needs(driver, i)) {
            continue;
        }
        if (mounts->v1[i] == NULL && missing_v1 == NULL) {
            missing_v1 = cgroup_controller_names[i];
        }
        if (!mounts->v2_has[i] && missing_v2 == NULL) {
            missing_v2 = cgroup_controller_names[i];
        }
    }
    if (missing_v1 == NULL) {
        return 1;
    }
    if (mounts->v2 != NULL && missing_v2 == NULL) {
        return 2;
    }
    if (mounts->v2 == NULL) {
        return error_set(err, -ENOENT, "The cgroup controller '%s' is not mounted", missing_v1);
    }
    return error_set(err, -ENOENT,
                     "The cgroup controller '%s' is not mounted, and the cgroup2 tree at '%s' does "
                     "not offer '%s'",
                     missing_v1, mounts->v2, missing_v2);
}
