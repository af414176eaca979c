// SPDX-License-Identifier: Apache-2.0
//
// What both cgroup versions share: finding the hierarchies, control files, walking trees.

#include "container/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/text.h"
#include "container/cgroup_driver.h"
#include "container/cgroup_mounts.h"
#include "env/env.h"

const char *const cgroup_controller_names[CGROUP_CONTROLLER_COUNT] = {"freezer", "cpu", "cpuacct",
                                                                      "memory"};

enum { ROOT_TRIES_MAX = 5 };

#define NESTED_FOLDER "mesos" // as Mesos has it

// ---- the driver ----

static int add_base(struct cgroup_driver *driver, const char *mount, size_t *ret_index,
                    struct error *err)
{
    AUTO_FREE char *path = mem_printf("%s/%s", mount, driver->root);
    for (size_t i = 0; i < driver->base_count; i++) {
        if (strcmp(driver->bases[i].path, path) == 0) {
            *ret_index = i;
            return 0;
        }
    }
    int code = path_make_directories(path, 0755, err);
    if (code < 0) {
        return error_wrap(err, code, "Failed to create the cgroup '%s'", path);
    }
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return error_errno(err, -errno, "Failed to open the cgroup '%s'", path);
    }
    struct cgroup_base *base = &driver->bases[driver->base_count];
    base->path = TAKE_PTR(path);
    base->fd = fd;
    *ret_index = driver->base_count++;
    return 0;
}

// What the flags ask for must be there from the start, not fail at the first launch.
static int check_v1_files(const struct cgroup_driver *driver, struct error *err)
{
    if (driver->cpu && driver->enable_cfs &&
        faccessat(driver->bases[driver->base_of[CGROUP_CPU]].fd, "cpu.cfs_quota_us", F_OK, 0) < 0) {
        return error_set(err, -ENOENT,
                         "Failed to find 'cpu.cfs_quota_us'. Your kernel might be too old to use "
                         "the CFS quota feature");
    }
    if (driver->memory && driver->limit_swap &&
        faccessat(driver->bases[driver->base_of[CGROUP_MEMORY]].fd, "memory.memsw.limit_in_bytes",
                  F_OK, 0) < 0) {
        return error_set(err, -ENOENT, "'memory.memsw.limit_in_bytes' is not available");
    }
    return 0;
}

static int use_v1(struct cgroup_driver *driver, const struct cgroup_mounts *mounts,
                  struct error *err)
{
    driver->ops = &cgroup_v1_ops;
    for (int i = 0; i < CGROUP_CONTROLLER_COUNT; i++) {
        if (!cgroup_mounts_needs(driver, i)) {
            continue;
        }
        size_t index;
        int code = add_base(driver, mounts->v1[i], &index, err);
        if (code < 0) {
            return code;
        }
        driver->base_of[i] = (int)index;
    }
    return check_v1_files(driver, err);
}

// Each level on the way to the containers hands its controllers down.
static int delegate(const char *directory, const char *controllers, struct error *err)
{
    AUTO_FREE char *path = mem_printf("%s/cgroup.subtree_control", directory);
    int code = file_write(path, controllers, strlen(controllers), err);
    if (code == -EBUSY) {
        return error_set(err, code,
                         "Failed to enable '%s' in '%s': processes live in that cgroup itself",
                         controllers, directory);
    }
    return code;
}

// For cgroup.subtree_control; NULL: none.
static const char *delegated_controllers(const struct cgroup_driver *driver)
{
    if (driver->cpu && driver->memory) {
        return "+cpu +memory";
    }
    return driver->cpu ? "+cpu" : driver->memory ? "+memory" : NULL;
}

static int use_v2(struct cgroup_driver *driver, const struct cgroup_mounts *mounts,
                  struct error *err)
{
    driver->ops = &cgroup_v2_ops;
    driver->spawns_inside = env_can_spawn_into_cgroup();
    size_t index;
    int code = add_base(driver, mounts->v2, &index, err);
    if (code < 0) {
        return code;
    }
    for (int i = 0; i < CGROUP_CONTROLLER_COUNT; i++) {
        if (cgroup_mounts_needs(driver, i)) {
            driver->base_of[i] = (int)index;
        }
    }
    const char *controllers = delegated_controllers(driver);
    if (controllers == NULL) {
        return 0;
    }
    // From the tree's own root down to ours.
    AUTO_FREE char *path = mem_strdup(driver->bases[index].path);
    size_t at = strlen(mounts->v2);
    for (;;) {
        char was = path[at];
        path[at] = '\0';
        code = delegate(path, controllers, err);
        path[at] = was;
        if (code < 0 || was == '\0') {
            return code;
        }
        at += 1 + strcspn(path + at + 1, "/");
    }
}

// Agents that use one root share a lock on it, so that none takes another's containers for orphans,
// or removes a root that another uses. -ESTALE: one that ended removed it just now.
static int find_company(struct cgroup_driver *driver, struct error *err)
{
    int fd = driver->bases[0].fd;
    driver->is_alone = flock(fd, LOCK_EX | LOCK_NB) == 0;
    if (!driver->is_alone) {
        (void)flock(fd, LOCK_SH);
    }
    for (size_t i = 0; i < driver->base_count; i++) {
        struct stat opened, named;
        if (fstat(driver->bases[i].fd, &opened) < 0 || stat(driver->bases[i].path, &named) < 0 ||
            opened.st_ino != named.st_ino) {
            return error_set(err, -ESTALE, "The cgroup '%s' was removed meanwhile",
                             driver->bases[i].path);
        }
    }
    return 0;
}

static int make_driver(const struct cgroup_options *options, struct cgroup_driver **ret_driver,
                       struct error *err)
{
    if (options->root[0] == '\0' || options->root[0] == '/' ||
        strstr(options->root, "..") != NULL) {
        return error_set(err, -EINVAL, "Invalid cgroups root '%s'", options->root);
    }
    struct cgroup_driver *driver = mem_zalloc(sizeof(*driver));
    driver->cpu = options->cpu;
    driver->memory = options->memory;
    driver->enable_cfs = options->enable_cfs;
    driver->limit_swap = options->limit_swap;
    driver->low_revocable = options->low_revocable;
    driver->root = mem_strdup(options->root);
    for (int i = 0; i < CGROUP_CONTROLLER_COUNT; i++) {
        driver->base_of[i] = -1;
    }
    struct cgroup_mounts mounts = {0};
    int code = cgroup_mounts_find(&mounts, options->hierarchy, err);
    if (code >= 0) {
        code = cgroup_mounts_choose(&mounts, driver, err);
    }
    if (code >= 0) {
        code = code == 1 ? use_v1(driver, &mounts, err) : use_v2(driver, &mounts, err);
    }
    cgroup_mounts_free(&mounts);
    if (code >= 0) {
        code = find_company(driver, err);
    }
    if (code < 0) {
        cgroup_driver_free(driver);
        return code;
    }
    *ret_driver = driver;
    return 0;
}

int cgroup_driver_new(const struct cgroup_options *options, struct cgroup_driver **ret_driver,
                      struct error *err)
{
    int code = -ESTALE;
    for (int tries = 0; tries < ROOT_TRIES_MAX && code == -ESTALE; tries++) {
        code = make_driver(options, ret_driver, err);
    }
    return code;
}

struct cgroup_driver *cgroup_driver_free(struct cgroup_driver *driver)
{
    if (driver == NULL) {
        return NULL;
    }
    // The first one holds the lock and goes last. Whoever still has containers in one keeps it.
    bool alone = driver->base_count > 0 && flock(driver->bases[0].fd, LOCK_EX | LOCK_NB) == 0;
    for (size_t i = driver->base_count; i-- > 0;) {
        if (alone) {
            (void)rmdir(driver->bases[i].path);
        }
        close(driver->bases[i].fd);
        mem_free(driver->bases[i].path);
    }
    mem_free(driver->root);
    mem_free(driver);
    return NULL;
}

int cgroup_driver_version(const struct cgroup_driver *driver)
{
    return driver->ops->version;
}

bool cgroup_driver_is_alone(const struct cgroup_driver *driver)
{
    return driver->is_alone;
}

void cgroup_driver_share(struct cgroup_driver *driver)
{
    (void)flock(driver->bases[0].fd, LOCK_SH);
    driver->is_alone = false;
}

// A stream over a directory beneath `base_fd`, or NULL.
static DIR *open_directory(int base_fd, const char *path)
{
    int fd = openat(base_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return NULL;
    }
    DIR *stream = fdopendir(fd);
    if (stream == NULL) {
        close(fd);
    }
    return stream;
}

// The next subdirectory, or NULL.
static const char *next_directory(DIR *stream)
{
    struct dirent *entry;
    while ((entry = readdir(stream)) != NULL) {
        if (entry->d_type == DT_DIR && strcmp(entry->d_name, ".") != 0 &&
            strcmp(entry->d_name, "..") != 0) {
            return entry->d_name;
        }
    }
    return NULL;
}

void cgroup_driver_list(const struct cgroup_driver *driver, struct map *ret_ids)
{
    for (size_t i = 0; i < driver->base_count; i++) {
        DIR *stream = open_directory(driver->bases[i].fd, ".");
        if (stream == NULL) {
            continue;
        }
        const char *name;
        while ((name = next_directory(stream)) != NULL) {
            map_put(ret_ids, name, ret_ids);
        }
        closedir(stream);
    }
}

// ---- containers ----

struct cgroup *cgroup_adopt(struct cgroup_driver *driver, const char *id)
{
    struct cgroup *cgroup = mem_zalloc(sizeof(*cgroup));
    cgroup->driver = driver;
    cgroup->id = mem_strdup(id);
    cgroup->limits_id = mem_strdup(id);
    cgroup->owns_limits = true;
    cgroup->oom_fd = -1;
    return cgroup;
}

struct cgroup *cgroup_adopt_nested(const struct cgroup *parent, const char *name, bool owns_limits)
{
    AUTO_FREE char *id = mem_printf("%s/" NESTED_FOLDER "/%s", parent->id, name);
    struct cgroup *cgroup = cgroup_adopt(parent->driver, id);
    cgroup->owns_limits = owns_limits;
    if (!owns_limits) {
        mem_free(cgroup->limits_id);
        cgroup->limits_id = mem_strdup(parent->limits_id);
    }
    return cgroup;
}

bool cgroup_has_directory(const struct cgroup *cgroup, size_t base)
{
    return cgroup->owns_limits || (int)base == cgroup->driver->base_of[CGROUP_FREEZER];
}

int cgroup_watch_again(struct cgroup *cgroup, struct error *err)
{
    return cgroup->driver->ops->create(cgroup, err);
}

struct cgroup *cgroup_free(struct cgroup *cgroup)
{
    if (cgroup != NULL) {
        if (cgroup->oom_fd >= 0) {
            close(cgroup->oom_fd);
        }
        mem_free(cgroup->id);
        mem_free(cgroup->limits_id);
        mem_free(cgroup);
    }
    return NULL;
}

static int make_directories(struct cgroup *cgroup, struct error *err)
{
    const struct cgroup_driver *driver = cgroup->driver;
    const char *leaf = driver->ops->leaf;
    for (size_t i = 0; i < driver->base_count; i++) {
        if (!cgroup_has_directory(cgroup, i)) {
            continue;
        }
        char path[CGROUP_NAME_SIZE];
        snprintf(path, sizeof(path), "%s/%s", cgroup->id, leaf);
        if (mkdirat(driver->bases[i].fd, cgroup->id, 0755) < 0 ||
            (leaf[0] != '\0' && mkdirat(driver->bases[i].fd, path, 0755) < 0)) {
            return error_errno(err, -errno, "Failed to create the cgroup '%s/%s'",
                               driver->bases[i].path, cgroup->id);
        }
    }
    return 0;
}

int cgroup_new(struct cgroup_driver *driver, const char *id, struct cgroup **ret_cgroup,
               struct error *err)
{
    CHECK(strlen(id) < CGROUP_NAME_SIZE / 2 && strchr(id, '/') == NULL);
    struct cgroup *cgroup = cgroup_adopt(driver, id);
    int code = make_directories(cgroup, err);
    if (code == 0) {
        code = driver->ops->create(cgroup, err);
    }
    if (code < 0) {
        // Nothing is in them yet; one that another owns is not empty or not ours to remove.
        if (code != -EEXIST) {
            for (size_t i = 0; i < driver->base_count; i++) {
                cgroup_remove_tree(driver->bases[i].fd, id);
            }
        }
        cgroup_free(cgroup);
        return code;
    }
    *ret_cgroup = cgroup;
    return 0;
}

// The folder between a container's directory and those nested in it. Two that begin at once may
// both make it.
static int make_nested_folder(const struct cgroup *parent, const struct cgroup *cgroup,
                              struct error *err)
{
    const struct cgroup_driver *driver = parent->driver;
    char path[CGROUP_NAME_SIZE];
    snprintf(path, sizeof(path), "%s/" NESTED_FOLDER, parent->id);
    for (size_t i = 0; i < driver->base_count; i++) {
        if (cgroup_has_directory(cgroup, i) && mkdirat(driver->bases[i].fd, path, 0755) < 0 &&
            errno != EEXIST) {
            return error_errno(err, -errno, "Failed to create the cgroup '%s/%s'",
                               driver->bases[i].path, path);
        }
    }
    if (driver->ops->version != 2 || !cgroup->owns_limits) {
        return 0;
    }
    const char *controllers = delegated_controllers(driver);
    if (controllers == NULL) {
        return 0;
    }
    AUTO_FREE char *outer = mem_printf("%s/%s", driver->bases[0].path, parent->id);
    AUTO_FREE char *inner = mem_printf("%s/" NESTED_FOLDER, outer);
    int code = delegate(outer, controllers, err);
    return code < 0 ? code : delegate(inner, controllers, err);
}

int cgroup_new_nested(const struct cgroup *parent, const char *name, bool owns_limits,
                      struct cgroup **ret_cgroup, struct error *err)
{
    if (strlen(parent->id) + strlen(name) > CGROUP_NAME_SIZE / 2) {
        return error_set(err, -ENAMETOOLONG,
                         "The cgroup of container '%s' would be nested too "
                         "deeply",
                         name);
    }
    struct cgroup *cgroup = cgroup_adopt_nested(parent, name, owns_limits);
    int code = make_nested_folder(parent, cgroup, err);
    if (code == 0) {
        code = make_directories(cgroup, err);
    }
    if (code == 0 && owns_limits) {
        code = parent->driver->ops->create(cgroup, err);
    }
    if (code < 0) {
        for (size_t i = 0; i < parent->driver->base_count && code != -EEXIST; i++) {
            if (cgroup_has_directory(cgroup, i)) {
                cgroup_remove_tree(parent->driver->bases[i].fd, cgroup->id);
            }
        }
        cgroup_free(cgroup);
        return code;
    }
    *ret_cgroup = cgroup;
    return 0;
}

static int set_cpus(struct cgroup *cgroup, const struct cgroup_limits *limits, struct error *err)
{
    enum { QUOTA_MIN_US = 1000, US_PER_THOUSANDTH = 100 };
    const struct cgroup_ops *ops = cgroup->driver->ops;
    bool is_low = limits->has_revocable_cpus && cgroup->driver->low_revocable;
    int code = ops->set_weight(cgroup, limits->cpus, is_low, err);
    int64_t cpus = limits->cpus_max;
    if (cpus == 0 && cgroup->driver->enable_cfs) {
        cpus = limits->cpus;
    } else if (cpus == 0) {
        cpus = INT64_MAX;
    }
    bool is_limited = cpus < INT64_MAX / US_PER_THOUSANDTH;
    if (code < 0 || (!is_limited && !cgroup->has_quota)) {
        return code;
    }
    int64_t quota_us = !is_limited                               ? -1
                       : cpus * US_PER_THOUSANDTH < QUOTA_MIN_US ? QUOTA_MIN_US
                                                                 : cpus * US_PER_THOUSANDTH;
    code = ops->set_quota(cgroup, quota_us, err);
    if (code == 0) {
        cgroup->has_quota = is_limited;
    }
    return code;
}

int cgroup_set_limits(struct cgroup *cgroup, const struct cgroup_limits *limits, struct error *err)
{
    CHECK(cgroup->owns_limits);
    int code = cgroup->driver->cpu ? set_cpus(cgroup, limits, err) : 0;
    if (code < 0 || !cgroup->driver->memory) {
        return code;
    }
    const uint64_t least = UINT64_C(32) * 1024 * 1024;
    uint64_t soft = limits->mem_bytes < least ? least : limits->mem_bytes;
    uint64_t hard = limits->mem_max_bytes == 0 ? soft : limits->mem_max_bytes;
    hard = hard < least ? least : hard;
    code = cgroup->driver->ops->set_memory(cgroup, soft, hard, err);
    if (code == 0 && (!cgroup->hard_limit_set || hard > cgroup->hard_limit_bytes)) {
        cgroup->hard_limit_set = true;
        cgroup->hard_limit_bytes = hard;
    }
    return code;
}

int cgroup_open_directory(const struct cgroup *cgroup, int *ret_fd, struct error *err)
{
    if (!cgroup->driver->spawns_inside) {
        *ret_fd = -1;
        return 0;
    }
    char path[CGROUP_NAME_SIZE];
    snprintf(path, sizeof(path), "%s/%s", cgroup->id, cgroup->driver->ops->leaf);
    int fd = openat(cgroup->driver->bases[0].fd, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return error_errno(err, -errno, "Failed to open the cgroup of container %s", cgroup->id);
    }
    *ret_fd = fd;
    return 0;
}

size_t cgroup_enter_paths(const struct cgroup *cgroup, struct arena *arena, const char ***ret_paths)
{
    const struct cgroup_driver *driver = cgroup->driver;
    const char *leaf = driver->ops->leaf;
    const char **paths = arena_calloc(arena, driver->base_count, sizeof(paths[0]));
    for (size_t i = 0; i < driver->base_count; i++) {
        const char *id = cgroup_has_directory(cgroup, i) ? cgroup->id : cgroup->limits_id;
        paths[i] = arena_printf(arena, "%s/%s/%s%s%s", driver->bases[i].path, id, leaf,
                                leaf[0] == '\0' ? "" : "/", driver->ops->enter_file);
    }
    *ret_paths = paths;
    return driver->base_count;
}

int cgroup_oom_fd(const struct cgroup *cgroup, uint32_t *ret_events)
{
    *ret_events = cgroup->driver->ops->oom_events;
    return cgroup->oom_fd;
}

bool cgroup_has_oomed(struct cgroup *cgroup)
{
    if (!cgroup->oomed && cgroup->oom_fd >= 0) {
        cgroup->oomed = cgroup->driver->ops->has_oomed(cgroup);
    }
    return cgroup->oomed;
}

void cgroup_put_oom_text(const struct cgroup *cgroup, struct buf *out, uint64_t *ret_used_bytes)
{
    *ret_used_bytes = cgroup->driver->ops->memory_peak(cgroup);
    buf_puts(out, "Memory limit exceeded: Requested: ");
    text_put_bytes(out, cgroup->hard_limit_bytes);
    buf_puts(out, " Maximum Used: ");
    text_put_bytes(out, *ret_used_bytes);
    buf_puts(out, "\n");
    char text[CGROUP_STAT_SIZE];
    if (cgroup_read_file(cgroup, CGROUP_MEMORY, "memory.stat", text, sizeof(text)) > 0) {
        buf_printf(out, "\nMEMORY STATISTICS: \n%s\n", text);
    }
}

int cgroup_take_down(struct cgroup *cgroup, struct error *err)
{
    return cgroup->driver->ops->take_down(cgroup, err);
}

void cgroup_usage(const struct cgroup *cgroup, Mesos__V1__ResourceStatistics *statistics)
{
    cgroup->driver->ops->usage(cgroup, statistics);
}

// ---- control files ----

static int open_file(const struct cgroup *cgroup, int controller, const char *name, int flags)
{
    int base = cgroup->driver->base_of[controller];
    CHECK(base >= 0);
    char path[CGROUP_NAME_SIZE];
    const char *id = cgroup_has_directory(cgroup, (size_t)base) ? cgroup->id : cgroup->limits_id;
    snprintf(path, sizeof(path), "%s/%s", id, name);
    int fd = openat(cgroup->driver->bases[base].fd, path, flags | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int cgroup_write_file(const struct cgroup *cgroup, int controller, const char *name,
                      const char *text, struct error *err)
{
    AUTO_CLOSE int fd = open_file(cgroup, controller, name, O_WRONLY);
    if (fd < 0) {
        return error_errno(err, fd, "Failed to open '%s' of container %s", name, cgroup->id);
    }
    if (write(fd, text, strlen(text)) < 0) {
        return error_errno(err, -errno, "Failed to write '%s' into '%s' of container %s", text,
                           name, cgroup->id);
    }
    return 0;
}

int cgroup_write_number(const struct cgroup *cgroup, int controller, const char *name,
                        int64_t number, struct error *err)
{
    char text[32];
    snprintf(text, sizeof(text), "%lld", (long long)number);
    return cgroup_write_file(cgroup, controller, name, text, err);
}

ssize_t cgroup_read_file(const struct cgroup *cgroup, int controller, const char *name, char *text,
                         size_t size)
{
    AUTO_CLOSE int fd = open_file(cgroup, controller, name, O_RDONLY);
    if (fd < 0) {
        return fd;
    }
    size_t filled = 0;
    while (filled < size - 1) {
        ssize_t n = read(fd, text + filled, size - 1 - filled);
        if (n < 0) {
            return -errno;
        }
        if (n == 0) {
            break;
        }
        filled += (size_t)n;
    }
    text[filled] = '\0';
    return (ssize_t)filled;
}

uint64_t cgroup_read_number(const struct cgroup *cgroup, int controller, const char *name,
                            uint64_t fallback)
{
    char text[64];
    if (cgroup_read_file(cgroup, controller, name, text, sizeof(text)) <= 0) {
        return fallback;
    }
    if (text_starts_with(text, "max")) {
        return UINT64_MAX;
    }
    return strtoull(text, NULL, 10);
}

bool cgroup_stat_find(const char *text, const char *key, uint64_t *ret_number)
{
    size_t size = strlen(key);
    for (const char *line = text; line != NULL && *line != '\0';) {
        if (strncmp(line, key, size) == 0 && line[size] == ' ') {
            *ret_number = strtoull(line + size + 1, NULL, 10);
            return true;
        }
        line = strchr(line, '\n');
        line = line == NULL ? NULL : line + 1;
    }
    return false;
}

// ---- trees ----

static size_t signal_group(int directory_fd, int signal)
{
    int fd = openat(directory_fd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
    if (file == NULL) {
        fd_close_at(&fd);
        return 0;
    }
    size_t count = 0;
    long pid;
    while (fscanf(file, "%ld", &pid) == 1) {
        count++;
        // 0 stands for a process of another pid namespace: not to be signalled from here.
        if (pid > 0) {
            (void)kill((pid_t)pid, signal);
        }
    }
    fclose(file);
    return count;
}

size_t cgroup_signal_tree(int base_fd, const char *path, int signal)
{
    DIR *stream = open_directory(base_fd, path);
    if (stream == NULL) {
        return 0;
    }
    size_t count = signal_group(dirfd(stream), signal);
    const char *name;
    while ((name = next_directory(stream)) != NULL) {
        count += cgroup_signal_tree(dirfd(stream), name, signal);
    }
    closedir(stream);
    return count;
}

int cgroup_remove_tree(int base_fd, const char *path)
{
    if (unlinkat(base_fd, path, AT_REMOVEDIR) == 0 || errno == ENOENT) {
        return 0;
    }
    DIR *stream = open_directory(base_fd, path);
    if (stream == NULL) {
        return errno == ENOENT ? 0 : -errno;
    }
    bool removed = false;
    const char *name;
    while ((name = next_directory(stream)) != NULL) {
        removed = cgroup_remove_tree(dirfd(stream), name) == 0 || removed;
    }
    closedir(stream);
    if (!removed) {
        return -EBUSY;
    }
    return unlinkat(base_fd, path, AT_REMOVEDIR) == 0 || errno == ENOENT ? 0 : -errno;
}
