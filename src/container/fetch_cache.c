// SPDX-License-Identifier: Apache-2.0

#include "container/fetch_cache.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "container/uri.h"

// "c<serial>-<part of the name>": found again after a restart, and never somebody else's file.
static bool is_cache_name(const char *name)
{
    if (name[0] != 'c' || !isdigit((unsigned char)name[1])) {
        return false;
    }
    size_t digits = strspn(name + 1, "0123456789");
    return name[1 + digits] == '-';
}

static void empty_directory(int parent_fd, const char *name)
{
    int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);
    if (stream == NULL) {
        fd_close_at(&fd);
        return;
    }
    struct dirent *entry;
    while ((entry = readdir(stream)) != NULL) {
        if (is_cache_name(entry->d_name)) {
            (void)unlinkat(fd, entry->d_name, 0);
        }
    }
    closedir(stream);
}

void fetch_cache_init(struct fetch_cache *cache, const char *directory, uint64_t size_max)
{
    *cache = (struct fetch_cache){.directory = mem_strdup(directory), .size_max = size_max};
    list_init(&cache->by_use);
    DIR *stream = opendir(directory);
    if (stream == NULL) {
        return;
    }
    struct dirent *entry;
    while ((entry = readdir(stream)) != NULL) {
        if (strcmp(entry->d_name, "..") != 0) {
            empty_directory(dirfd(stream), entry->d_name);
        }
    }
    closedir(stream);
}

static void entry_free(struct fetch_cache *cache, struct fetch_entry *entry)
{
    map_remove(&cache->entries, entry->key);
    list_remove(&entry->use_link);
    cache->size_used -= entry->size;
    mem_free(entry->key);
    mem_free(entry->path);
    mem_free(entry);
}

void fetch_cache_free(struct fetch_cache *cache)
{
    MAP_FOREACH (&cache->entries, item) {
        entry_free(cache, item->value);
    }
    map_free(&cache->entries);
    mem_free(cache->directory);
    cache->directory = NULL;
}

static char *make_key(const char *user, const char *uri)
{
    return user == NULL ? mem_strdup(uri) : mem_printf("%s@%s", user, uri);
}

static int file_size(const struct fetch_entry *entry, uint64_t *ret_size)
{
    struct stat info;
    if (lstat(entry->path, &info) < 0) {
        return -errno;
    }
    if (!S_ISREG(info.st_mode)) {
        return -EINVAL;
    }
    *ret_size = (uint64_t)info.st_size;
    return 0;
}

struct fetch_entry *fetch_cache_get(struct fetch_cache *cache, const char *user, const char *uri)
{
    AUTO_FREE char *key = make_key(user, uri);
    struct fetch_entry *entry = map_get(&cache->entries, key);
    if (entry == NULL) {
        return NULL;
    }
    uint64_t size;
    if (!entry->is_pending && (file_size(entry, &size) < 0 || size != entry->size)) {
        if (entry->references > 0) {
            return NULL;
        }
        log_warning("The cache file '%s' was tampered with: fetching it anew", entry->path);
        fetch_cache_drop(cache, entry);
        return NULL;
    }
    list_remove(&entry->use_link);
    list_append(&cache->by_use, &entry->use_link);
    return entry;
}

static int make_directory(const struct fetch_cache *cache, const char *user_name,
                          const struct user *user, char **ret_path, struct error *err)
{
    AUTO_FREE char *path = user_name == NULL ? mem_strdup(cache->directory)
                                             : mem_printf("%s/%s", cache->directory, user_name);
    int code = path_make_directories(cache->directory, 0755, err);
    if (code == 0 && user_name != NULL) {
        code = mkdir(path, 0700) == 0 || errno == EEXIST ? 0 : -errno;
    }
    if (code < 0) {
        return error_errno(err, code, "Failed to create the fetcher cache directory '%s'", path);
    }
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat info;
    if (fd < 0 || fstat(fd, &info) < 0) {
        return error_errno(err, -errno, "Failed to open the fetcher cache directory '%s'", path);
    }
    uid_t owner = user == NULL ? geteuid() : user->uid;
    if (info.st_uid != owner && (info.st_uid != geteuid() || fchown(fd, owner, (gid_t)-1) < 0)) {
        return error_set(err, -EPERM, "The fetcher cache directory '%s' has another owner", path);
    }
    *ret_path = TAKE_PTR(path);
    return 0;
}

int fetch_cache_add(struct fetch_cache *cache, const char *user_name, const struct user *user,
                    const char *uri, struct fetch_entry **ret_entry, struct error *err)
{
    const char *name;
    AUTO_FREE char *directory = NULL;
    AUTO_FREE char *key = make_key(user_name, uri);
    if (map_has(&cache->entries, key)) {
        return error_set(err, -EBUSY, "The cache file of '%s' is still in use", uri);
    }
    int code = uri_basename(uri, &name, err);
    if (code == 0) {
        code = make_directory(cache, user_name, user, &directory, err);
    }
    if (code < 0) {
        return code;
    }
    // Enough of the name for those who look at the cache; its end holds the suffix.
    size_t size = strlen(name);
    struct fetch_entry *entry = mem_zalloc(sizeof(*entry));
    unsigned long long serial = ++cache->next_serial;
    entry->path = size <= 20
                      ? mem_printf("%s/c%llu-%s", directory, serial, name)
                      : mem_printf("%s/c%llu-%.10s_%s", directory, serial, name, name + size - 10);
    entry->key = TAKE_PTR(key);
    entry->is_pending = true;
    list_append(&cache->by_use, &entry->use_link);
    map_put(&cache->entries, entry->key, entry);
    *ret_entry = entry;
    return 0;
}

bool fetch_cache_reserve(struct fetch_cache *cache, struct fetch_entry *entry, uint64_t size)
{
    if (size > cache->size_max) {
        return false;
    }
    // First see whether it would do, so that nothing is evicted for nothing.
    uint64_t evictable = 0;
    LIST_FOREACH (&cache->by_use, struct fetch_entry, use_link, other) {
        evictable += other->references == 0 && !other->is_pending ? other->size : 0;
    }
    if (cache->size_used - evictable > cache->size_max - size) {
        return false;
    }
    LIST_FOREACH (&cache->by_use, struct fetch_entry, use_link, other) {
        if (cache->size_used <= cache->size_max - size) {
            break;
        }
        if (other->references == 0 && !other->is_pending) {
            fetch_cache_drop(cache, other);
        }
    }
    cache->size_used += size - entry->size;
    entry->size = size;
    return true;
}

int fetch_cache_settle(struct fetch_cache *cache, struct fetch_entry *entry)
{
    uint64_t size;
    int code = file_size(entry, &size);
    if (code < 0) {
        fetch_cache_drop(cache, entry);
        return code;
    }
    cache->size_used += size - entry->size;
    entry->size = size;
    entry->is_pending = false;
    return 0;
}

void fetch_cache_drop(struct fetch_cache *cache, struct fetch_entry *entry)
{
    if (unlink(entry->path) < 0 && errno != ENOENT) {
        log_warning("Failed to remove the cache file '%s': %s", entry->path, strerror(errno));
    }
    entry_free(cache, entry);
}
