// SPDX-License-Identifier: Apache-2.0
//
// mesos-fetcher: fetches the URIs of one container into its sandbox, as the container's user. It
// gets a written order (order.h) on descriptor 3 and asks the agent about the cache over descriptor
// 4 (fetch_talk.h). What it does stands in the sandbox's stderr. Exit: 0 when everything was
// fetched.

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/text.h"
#include "container/fetch_steps.h"
#include "container/fetch_talk.h"
#include "container/order.h"
#include "container/uri.h"

struct item {
    const char *uri;
    const char *output;     // path in the sandbox
    const char *cache_file; // NULL: not by the cache
    int64_t options;        // enum order_uri_option
};

struct job {
    const char *sandbox;
    const char *frameworks_home;
    int64_t stall_timeout_s;
    bool has_user;
    int64_t uid, gid;
    gid_t *groups;
    size_t group_count;
    struct item *items;
    size_t item_count;
    int sandbox_fd;
};

// Where a transfer of an item goes; decided when its size is known.
struct target {
    const struct job *job;
    struct item *item;
    size_t index;
    bool to_cache;
    int fd;
};

static void say(char level, const char *format, ...) __attribute__((format(printf, 2, 3)));

// A line in glog's form, as the rest of the agent's family writes.
static void say(char level, const char *format, ...)
{
    struct timespec now;
    struct tm local;
    clock_gettime(CLOCK_REALTIME, &now);
    localtime_r(&now.tv_sec, &local);
    char stamp[32];
    strftime(stamp, sizeof(stamp), "%m%d %H:%M:%S", &local);
    fprintf(stderr, "%c%s.%06ld %d fetcher] ", level, stamp, now.tv_nsec / 1000, (int)getpid());
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

// ---- the cache ----

static void tell(enum fetch_word word, size_t index, uint64_t size)
{
    struct fetch_packet packet = {.word = word, .item = (uint32_t)index, .size = size};
    (void)send(ORDER_REPLY_FD, &packet, sizeof(packet), MSG_NOSIGNAL);
}

static bool may_cache(size_t index, int64_t size)
{
    if (size < 0) {
        return false;
    }
    tell(FETCH_WANTS_SPACE, index, (uint64_t)size);
    struct fetch_packet reply;
    return recv(ORDER_REPLY_FD, &reply, sizeof(reply), 0) == (ssize_t)sizeof(reply) &&
           reply.word == FETCH_YES;
}

// Chooses between the cache file and the sandbox.
static int choose_target(void *ctx, int64_t size, int *ret_fd, struct error *err)
{
    struct target *target = ctx;
    struct item *item = target->item;
    if (item->cache_file != NULL && may_cache(target->index, size)) {
        target->fd = open(item->cache_file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (target->fd >= 0) {
            target->to_cache = true;
            *ret_fd = target->fd;
            return 0;
        }
        say('W', "Failed to create the cache file '%s': %s", item->cache_file, strerror(errno));
    }
    if (item->cache_file != NULL) {
        say('W', "Fetching '%s' past the cache: %s", item->uri,
            size < 0 ? "the size of it is unknown" : "there is no room for it");
        tell(FETCH_NOT_CACHED, target->index, 0);
        item->cache_file = NULL;
    }
    int code = fetch_create(target->job->sandbox_fd, item->output, &target->fd, err);
    if (code == 0) {
        *ret_fd = target->fd;
    }
    return code;
}

// ---- one item ----

static int copy_local(const char *path, struct target *target, struct error *err)
{
    AUTO_CLOSE int from = -1;
    uint64_t size;
    int to = -1;
    int code = fetch_open_source(path, &from, &size, err);
    if (code == 0) {
        code = choose_target(target, (int64_t)size, &to, err);
    }
    return code < 0 ? code : fetch_copy(from, to, err);
}

static int transfer(const struct job *job, struct item *item, size_t index, struct error *err)
{
    const char *uri = item->uri + strspn(item->uri, " \t\r\n");
    struct target target = {.job = job, .item = item, .index = index, .fd = -1};
    AUTO_FREE char *path = NULL;
    int code = uri_local_path(uri, job->frameworks_home, &path, err);
    if (code == URI_LOCAL) {
        code = copy_local(path, &target, err);
    } else if (code == URI_NOT_LOCAL && uri_is_net(uri)) {
        say('I', "Downloading resource from '%s'", uri);
        code = fetch_download(uri, job->stall_timeout_s, choose_target, &target, err);
    } else if (code == URI_NOT_LOCAL) {
        code = error_set(err, -EPROTONOSUPPORT,
                         "Unsupported kind of URI: file, http, https, ftp and ftps are known");
    }
    if (target.fd >= 0 && close(target.fd) < 0 && code == 0) {
        code = error_errno(err, -errno, "Failed to write");
    }
    if (code == 0 && target.to_cache) {
        tell(FETCH_CACHED, index, 0);
        item->options |= ORDER_URI_CACHED;
    }
    return code;
}

// What is fetched is unpacked beside it; `from_fd` is at its beginning.
static int unpack(const struct job *job, const struct item *item, enum fetch_kind kind, int from_fd,
                  struct error *err)
{
    if (kind == FETCH_ARCHIVE) {
        int code = fetch_extract(from_fd, err);
        return code < 0 ? error_wrap(err, code, "Failed to extract archive '%s' to '%s'",
                                     item->output, job->sandbox)
                        : 0;
    }
    const char *slash = strrchr(item->output, '/');
    AUTO_FREE char *name = mem_strdup(slash == NULL ? item->output : slash + 1);
    name[strlen(name) - strlen(".gz")] = '\0';
    if (name[0] == '\0') {
        return error_set(err, -EINVAL, "Failed to extract '%s': it has no name", item->output);
    }
    AUTO_CLOSE int to = -1;
    int code = fetch_create(job->sandbox_fd, name, &to, err);
    if (code == 0) {
        code = fetch_gunzip(from_fd, to, err);
    }
    return code < 0 ? error_wrap(err, code, "Failed to extract '%s'", item->output) : 0;
}

static int open_in_sandbox(const struct job *job, const char *path, struct error *err)
{
    int fd = openat(job->sandbox_fd, path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? error_errno(err, -errno, "Failed to open '%s'", path) : fd;
}

// The item is in the cache or in the sandbox now; makes of it what was asked for.
static int finish(const struct job *job, const struct item *item, struct error *err)
{
    bool cached = (item->options & ORDER_URI_CACHED) != 0;
    bool executable = (item->options & ORDER_URI_EXECUTABLE) != 0;
    enum fetch_kind kind = fetch_kind_of(item->output);
    bool extract = !executable && (item->options & ORDER_URI_EXTRACT) != 0;
    AUTO_CLOSE int source = -1;
    uint64_t size;
    int code = 0;
    if (cached && (code = fetch_make_parents(job->sandbox_fd, item->output, err)) == 0) {
        code = fetch_open_source(item->cache_file, &source, &size, err);
    }
    if (code == 0 && cached && !(extract && kind != FETCH_PLAIN)) {
        AUTO_CLOSE int to = -1;
        code = fetch_create(job->sandbox_fd, item->output, &to, err);
        if (code == 0) {
            code = fetch_copy(source, to, err);
        }
        if (code == 0) {
            (void)fchmod(to, 0644);
        }
    }
    if (code == 0 && executable) {
        return fetch_make_executable(job->sandbox_fd, item->output, err);
    }
    if (code == 0 && extract && kind != FETCH_PLAIN) {
        if (source < 0 && (source = open_in_sandbox(job, item->output, err)) < 0) {
            return source;
        }
        code = unpack(job, item, kind, source, err);
    }
    return code;
}

// The same URI may stand in the list twice: the second takes the first one's cache file.
static void share_cache_file(struct job *job, size_t index)
{
    struct item *item = &job->items[index];
    for (size_t i = 0; i < index && item->cache_file == NULL; i++) {
        const struct item *other = &job->items[i];
        if ((other->options & ORDER_URI_CACHED) != 0 && strcmp(other->uri, item->uri) == 0) {
            item->cache_file = other->cache_file;
            item->options |= ORDER_URI_CACHED;
        }
    }
}

static int fetch(struct job *job, size_t index, struct error *err)
{
    struct item *item = &job->items[index];
    share_cache_file(job, index);
    bool cached = (item->options & ORDER_URI_CACHED) != 0;
    say('I', "Fetching URI '%s'%s", item->uri, cached ? " from cache" : "");
    if (!cached) {
        int code = transfer(job, item, index, err);
        if (code < 0) {
            return code;
        }
    }
    return finish(job, item, err);
}

// ---- the order ----

static int64_t number_of(const struct order_record *record)
{
    int64_t number = 0;
    if (order_number(record, 0, &number) < 0) {
        say('E', "The order is malformed");
        exit(EXIT_FAILURE);
    }
    return number;
}

static struct item *last_item(struct job *job)
{
    if (job->item_count == 0) {
        say('E', "The order is malformed");
        exit(EXIT_FAILURE);
    }
    return &job->items[job->item_count - 1];
}

static void take_record(struct job *job, const struct order_record *record)
{
    switch (record->tag) {
    case ORDER_DIRECTORY:
        job->sandbox = record->data;
        break;
    case ORDER_FRAMEWORKS_HOME:
        job->frameworks_home = record->data;
        break;
    case ORDER_STALL_TIMEOUT:
        job->stall_timeout_s = number_of(record);
        break;
    case ORDER_UID:
        job->uid = number_of(record);
        job->has_user = true;
        break;
    case ORDER_GID:
        job->gid = number_of(record);
        break;
    case ORDER_GROUP:
        job->groups = mem_realloc_array(job->groups, job->group_count + 1, sizeof(gid_t));
        job->groups[job->group_count++] = (gid_t)number_of(record);
        break;
    case ORDER_URI:
        job->items = mem_realloc_array(job->items, job->item_count + 1, sizeof(job->items[0]));
        job->items[job->item_count++] = (struct item){.uri = record->data};
        break;
    case ORDER_URI_OUTPUT:
        last_item(job)->output = record->data;
        break;
    case ORDER_URI_OPTIONS:
        last_item(job)->options = number_of(record);
        break;
    case ORDER_URI_CACHE_FILE:
        last_item(job)->cache_file = record->data;
        break;
    default:
        say('E', "The order is malformed");
        exit(EXIT_FAILURE);
    }
}

static int become_user(const struct job *job, struct error *err)
{
    if (!job->has_user) {
        return 0;
    }
    gid_t gid = (gid_t)job->gid;
    uid_t uid = (uid_t)job->uid;
    if (setgroups(job->group_count, job->groups) < 0 || setresgid(gid, gid, gid) < 0 ||
        setresuid(uid, uid, uid) < 0) {
        return error_errno(err, -errno, "Failed to become user %u", uid);
    }
    return 0;
}

static int prepare(struct job *job, struct error *err)
{
    job->sandbox_fd = open(job->sandbox, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (job->sandbox_fd < 0 || fchdir(job->sandbox_fd) < 0) {
        return error_errno(err, -errno, "Failed to change to the sandbox '%s'", job->sandbox);
    }
    for (size_t i = 0; i < job->item_count; i++) {
        struct item *item = &job->items[i];
        if (item->output == NULL) {
            int code = uri_basename(item->uri, &item->output, err);
            if (code < 0) {
                return code;
            }
        }
    }
    int code = become_user(job, err);
    // Nobody would wait for what is fetched. A change of user would have undone this.
    if (code == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) {
        return error_errno(err, -errno, "Failed to ask for the end with the agent");
    }
    return code;
}

// What the order says, one after the other. Returns the exit status.
static int run(struct job *job)
{
    struct error err = {0};
    if (job->sandbox == NULL) {
        say('E', "The order is malformed");
        return EXIT_FAILURE;
    }
    if (prepare(job, &err) < 0) {
        say('E', "%s", err.text);
        return EXIT_FAILURE;
    }
    curl_global_init(CURL_GLOBAL_DEFAULT);
    for (size_t i = 0; i < job->item_count; i++) {
        if (fetch(job, i, &err) < 0) {
            say('E', "Failed to fetch '%s': %s", job->items[i].uri, err.text);
            return EXIT_FAILURE;
        }
        say('I', "Fetched '%s' to '%s/%s'", job->items[i].uri, job->sandbox, job->items[i].output);
    }
    say('I', "Successfully fetched all URIs into '%s'", job->sandbox);
    return EXIT_SUCCESS;
}

int main(void)
{
    if (fcntl(ORDER_FD, F_SETFD, FD_CLOEXEC) < 0 ||
        fcntl(ORDER_REPLY_FD, F_SETFD, FD_CLOEXEC) < 0) {
        fputs("mesos-fetcher is started by mesos-agent only\n", stderr);
        return 2;
    }
    umask(022);
    struct job job = {.sandbox_fd = -1};
    struct order_reader reader;
    struct order_record record;
    int code = order_map(ORDER_FD, &reader);
    while (code >= 0 && (code = order_next(&reader, &record)) > 0) {
        take_record(&job, &record);
    }
    if (code < 0) {
        job.sandbox = NULL;
    }
    int status = run(&job);
    curl_global_cleanup();
    mem_free(job.items);
    mem_free(job.groups);
    return status;
}
