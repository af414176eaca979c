// SPDX-License-Identifier: Apache-2.0
//
// The containerizer itself: its options, the list of containers, and the descriptors it watches. A
// container's way is in container_launch.c, its end in container_destroy.c (states: container.h).

#include "container/containerizer.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/check.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "container/container.h"
#include "container/isolation.h"
#include "wire/wire.h"

enum {
    STARTS_PER_TURN = 8,
    EVENTS_PER_TURN = 64,
    ID_SIZE_MAX = 242,     // Mesos' number; it names files
    FREE_TRIES_MAX = 5000, // of a millisecond each
};

// ---- watching ----

void container_watch(struct container *container, struct container_watch *watch, int fd,
                     uint32_t events, void (*run)(struct container *container))
{
    CHECK(watch->fd < 0);
    *watch = (struct container_watch){.container = container, .run = run, .fd = fd};
    struct epoll_event event = {.events = events, .data.ptr = watch};
    CHECK(epoll_ctl(container->owner->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0);
}

void container_unwatch_keep(struct container *container, struct container_watch *watch)
{
    if (watch->fd >= 0) {
        CHECK(epoll_ctl(container->owner->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL) == 0);
        watch->fd = -1;
    }
}

void container_unwatch(struct container *container, struct container_watch *watch)
{
    int fd = watch->fd;
    container_unwatch_keep(container, watch);
    if (fd >= 0 && watch != &container->oom) {
        close(fd); // that one belongs to the cgroup
    }
}

static void on_epoll(uv_poll_t *poll, int status, int events)
{
    struct containerizer *c = CHECK_CAST(containerizer, CONTAINERIZER_MAGIC, poll->data);
    (void)status;
    (void)events;
    struct epoll_event ready[EVENTS_PER_TURN];
    int count = epoll_wait(c->epoll_fd, ready, EVENTS_PER_TURN, 0);
    for (int i = 0; i < count; i++) {
        struct container_watch *watch = ready[i].data.ptr;
        if (watch->fd >= 0) {
            watch->run(CHECK_CAST(container, CONTAINER_MAGIC, watch->container));
        }
    }
}

// ---- options ----

static int make_driver(struct containerizer *c, const struct containerizer_options *options,
                       const struct isolation *isolation, struct error *err)
{
    const char *launcher = options->launcher;
    bool chosen = launcher != NULL;
    bool cgroups = isolation->cgroups_cpu || isolation->cgroups_memory;
    if (chosen && strcmp(launcher, "linux") != 0 && strcmp(launcher, "posix") != 0) {
        return error_set(err, -EINVAL, "Unknown or unsupported launcher: %s", launcher);
    }
    bool wants_linux = chosen ? strcmp(launcher, "linux") == 0 : geteuid() == 0;
    if (!wants_linux && !cgroups) {
        return 0;
    }
    if (geteuid() != 0) {
        return error_set(err, -EPERM, "The %s requires root permissions",
                         cgroups ? "'cgroups' isolation" : "linux launcher");
    }
    struct cgroup_options driver_options = {
        .hierarchy = options->cgroups_hierarchy,
        .root = options->cgroups_root,
        .cpu = isolation->cgroups_cpu,
        .memory = isolation->cgroups_memory,
        .enable_cfs = options->cgroups_enable_cfs,
        .limit_swap = options->cgroups_limit_swap,
        .low_revocable = options->revocable_cpu_low_priority,
    };
    int code = cgroup_driver_new(&driver_options, &c->driver, err);
    if (code < 0 && !chosen && !cgroups) {
        log_warning("Using the posix launcher: %s", err == NULL ? "no cgroups" : err->text);
        return 0;
    }
    return code;
}

struct container *container_new(struct containerizer *c, const char *id)
{
    struct container *container = mem_zalloc(sizeof(*container));
    container->magic = CONTAINER_MAGIC;
    container->owner = c;
    container->id = mem_strdup(id);
    container->arena = arena_new(1024, 0);
    container->out_fd = container->err_fd = container->reply.fd = container->oom.fd =
        container->supervisor.fd = -1;
    list_init(&container->queue_link);
    list_init(&container->children);
    list_init(&container->sibling);
    map_put(&c->containers, container->id, container);
    return container;
}

void container_enqueue(struct container *container)
{
    struct containerizer *c = container->owner;
    list_append(&c->queue, &container->queue_link);
    if (!timer_is_set(&c->queue_timer)) {
        env_timer_set(c->env, &c->queue_timer, 0);
    }
}

// Containers of an agent that is no more, unless another agent shares the root.
void container_destroy_orphans(struct containerizer *c)
{
    if (c->driver == NULL) {
        return;
    }
    struct map ids = MAP_INIT;
    if (cgroup_driver_is_alone(c->driver)) {
        cgroup_driver_list(c->driver, &ids);
        cgroup_driver_share(c->driver);
    } else {
        log_warning("Another agent uses the same cgroups root: orphaned containers are left alone");
    }
    MAP_FOREACH (&ids, entry) {
        if (map_has(&c->containers, entry->key)) {
            continue;
        }
        log_info("Destroying the orphaned container %s", entry->key);
        struct container *container = container_new(c, entry->key);
        container->is_orphan = true;
        container->cgroup = cgroup_adopt(c->driver, entry->key);
        container_begin_destroy(container);
    }
    map_free(&ids);
}

static void run_queue(struct timer *timer, struct instant now)
{
    struct containerizer *c = CONTAINER_OF(timer, struct containerizer, queue_timer);
    (void)now;
    for (int i = 0; i < STARTS_PER_TURN && !list_is_empty(&c->queue); i++) {
        struct container *container = LIST_ENTRY(c->queue.next, struct container, queue_link);
        list_remove(&container->queue_link);
        container_start(container);
    }
    if (!list_is_empty(&c->queue)) {
        env_timer_set(c->env, &c->queue_timer, 0);
    }
}

static int watch_events(struct containerizer *c, struct error *err)
{
    c->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (c->epoll_fd < 0) {
        return error_errno(err, -errno, "Failed to create an epoll descriptor");
    }
    c->poll = mem_zalloc(sizeof(*c->poll));
    CHECK(uv_poll_init(env_loop(c->env), c->poll, c->epoll_fd) == 0);
    c->poll->data = c;
    CHECK(uv_poll_start(c->poll, UV_READABLE, on_epoll) == 0);
    return 0;
}

static int prepare(struct containerizer *c, const struct containerizer_options *options,
                   struct error *err)
{
    struct isolation isolation;
    int code = isolation_parse(options->isolation, &isolation, err);
    if (code < 0) {
        return code;
    }
    c->cpu = isolation.posix_cpu;
    c->memory = isolation.posix_memory;
    c->limits_cpus = isolation.cgroups_cpu;
    c->limits_mem = isolation.cgroups_memory;
    c->mounts = isolation.filesystem_linux;
    if (c->mounts && geteuid() != 0) {
        return error_set(err, -EPERM, "The 'filesystem/linux' isolator requires root permissions");
    }
    c->containers_dir = mem_printf("%s/containers", options->runtime_dir);
    c->work_dir = mem_strdup(options->work_dir);
    c->helper_path = mem_printf("%s/mesos-containerizer", options->launcher_dir);
    if (access(c->helper_path, X_OK) < 0) {
        return error_errno(err, -errno, "Failed to find the helper '%s'", c->helper_path);
    }
    if ((code = make_driver(c, options, &isolation, err)) < 0) {
        return code;
    }
    return watch_events(c, err);
}

int containerizer_new(struct env *env, const struct containerizer_options *options,
                      const struct containerizer_callbacks *callbacks, void *ctx,
                      struct containerizer **ret_containerizer, struct error *err)
{
    struct containerizer *c = mem_zalloc(sizeof(*c));
    c->magic = CONTAINERIZER_MAGIC;
    c->env = env;
    c->callbacks = *callbacks;
    c->ctx = ctx;
    c->switch_user = options->switch_user;
    c->enable_cfs = options->cgroups_enable_cfs;
    c->destroy_timeout_ns = options->cgroups_destroy_timeout_ns;
    c->epoll_fd = -1;
    c->queue_timer.run = run_queue;
    list_init(&c->queue);
    int code = prepare(c, options, err);
    if (code < 0) {
        containerizer_free(c);
        return code;
    }
    struct fetcher_options fetcher_options = {
        .launcher_dir = options->launcher_dir,
        .cache_dir = options->fetcher_cache_dir,
        .cache_size = options->fetcher_cache_size,
        .stall_timeout_ns = options->fetcher_stall_timeout_ns,
        .frameworks_home = options->frameworks_home,
    };
    c->fetcher = fetcher_new(env, &fetcher_options);
    if (!options->recovers) {
        container_destroy_orphans(c);
    }
    *ret_containerizer = c;
    return 0;
}

static void on_poll_closed(uv_handle_t *handle)
{
    mem_free(handle);
}

static void let_go(struct containerizer *c)
{
    MAP_FOREACH (&c->containers, entry) {
        struct container *container = entry->value;
        if (container_is_left(container)) {
            log_info("Container %s goes on", container->id);
            map_remove(&c->containers, container->id);
            container_free(container);
        }
    }
}

static void destroy_all_now(struct containerizer *c)
{
    let_go(c);
    for (int i = 0; i < FREE_TRIES_MAX && c->containers.count > 0; i++) {
        MAP_FOREACH (&c->containers, entry) {
            struct container *container = entry->value;
            if (container_take_down_now(container)) {
                map_remove(&c->containers, container->id);
                container_free(container);
            }
        }
        if (c->containers.count > 0) {
            usleep(1000);
        }
    }
    MAP_FOREACH (&c->containers, entry) {
        struct container *container = entry->value;
        log_error("Container %s could not be destroyed and is left behind", container->id);
        container_free(container);
    }
}

struct containerizer *containerizer_free(struct containerizer *c)
{
    if (c == NULL) {
        return NULL;
    }
    destroy_all_now(c);
    map_free(&c->containers);
    env_timer_cancel(c->env, &c->queue_timer);
    fetcher_free(c->fetcher);
    if (c->poll != NULL) {
        uv_poll_stop(c->poll);
        uv_close((uv_handle_t *)c->poll, on_poll_closed);
    }
    fd_close_at(&c->epoll_fd);
    cgroup_driver_free(c->driver);
    mem_free(c->helper_path);
    mem_free(c->containers_dir);
    mem_free(c->work_dir);
    c->magic = 0;
    mem_free(c);
    return NULL;
}

// ---- the calls ----

static bool is_id_sound(const char *id)
{
    if (id[0] == '\0' || strlen(id) > ID_SIZE_MAX) {
        return false;
    }
    for (const char *at = id; *at != '\0'; at++) {
        // A dot would be between the names of nested ones.
        if (*at == '/' || *at == '.' || (unsigned char)*at <= ' ' || *at == 0x7f) {
            return false;
        }
    }
    return true;
}

// Of thousandths of a MB.
static uint64_t mem_bytes(int64_t mem)
{
    return mem <= 0 ? 0 : (uint64_t)mem * 1024 / 1000 * 1024;
}

void container_read_limits(const struct resources *resources, const struct hard_limits *limits,
                           struct cgroup_limits *ret_limits)
{
    *ret_limits = (struct cgroup_limits){
        .cpus_max = limits->cpus,
        .mem_max_bytes = limits->mem == HARD_LIMIT_INFINITE ? UINT64_MAX : mem_bytes(limits->mem),
    };
    if (resources != NULL) {
        ret_limits->cpus = resources_scalar(resources, "cpus");
        ret_limits->mem_bytes = mem_bytes(resources_scalar(resources, "mem"));
        ret_limits->has_revocable_cpus = resources_scalar_of(resources, "cpus", true) > 0;
    }
}

bool containerizer_limits_cpus(const struct containerizer *c)
{
    return c->limits_cpus;
}

bool containerizer_mounts(const struct containerizer *c)
{
    return c->mounts;
}

bool containerizer_limits_mem(const struct containerizer *c)
{
    return c->limits_mem;
}

static char **copy_texts(struct arena *arena, char *const *texts)
{
    size_t count = 0;
    while (texts != NULL && texts[count] != NULL) {
        count++;
    }
    char **copy = arena_calloc(arena, count + 1, sizeof(copy[0]));
    for (size_t i = 0; i < count; i++) {
        copy[i] = arena_strdup(arena, texts[i]);
    }
    copy[count] = NULL;
    return copy;
}

// Those that were asked for, and the persistent volumes that are to be read-only.
static void keep_mounts(struct container *container, const struct container_launch *launch)
{
    struct arena *arena = container->arena;
    size_t most = launch->mount_count + launch->volume_count;
    container->mounts = arena_calloc(arena, most + 1, sizeof(container->mounts[0]));
    for (size_t i = 0; i < launch->mount_count; i++) {
        struct container_mount *mount = &container->mounts[container->mount_count++];
        *mount = launch->mounts[i];
        mount->source = arena_strdup(arena, mount->source);
        mount->target = arena_strdup(arena, mount->target);
    }
    for (size_t i = 0; i < launch->volume_count && geteuid() == 0; i++) {
        if (launch->volumes[i].is_read_only) {
            container->mounts[container->mount_count++] = (struct container_mount){
                .from = CONTAINER_MOUNT_HOST,
                .source = arena_strdup(arena, launch->volumes[i].target),
                .target = arena_strdup(arena, launch->volumes[i].path),
                .is_read_only = true,
            };
        }
    }
    container->has_mounts = container->mount_count > 0;
}

struct container *container_make(struct containerizer *c, const struct container_launch *launch)
{
    struct container *container = container_new(c, launch->container_id);
    struct arena *arena = container->arena;
    container->sandbox = container->directory = arena_strdup(arena, launch->sandbox);
    container->user_name = c->switch_user ? arena_strdup(arena, launch->user) : NULL;
    container->stdout_name = arena_strdup(arena, launch->stdout_name);
    container->stderr_name = arena_strdup(arena, launch->stderr_name);
    container->command = WIRE_COPY(arena, Mesos__V1__CommandInfo, launch->command);
    container->environment = copy_texts(arena, launch->environment);
    container->outlives_agent = launch->outlives_agent;
    container->tty = launch->tty;
    container->has_bounding = launch->has_bounding;
    container->has_effective = launch->has_effective;
    container->bounding = launch->bounding;
    container->effective = launch->effective;
    keep_mounts(container, launch);
    container->rlimit_count = launch->rlimits == NULL ? 0 : launch->rlimit_count;
    if (container->rlimit_count > 0) {
        container->rlimits =
            arena_dup(arena, launch->rlimits, container->rlimit_count * sizeof(launch->rlimits[0]));
    }
    container->is_burstable = launch->is_burstable || launch->nesting != NULL;
    container_read_limits(launch->resources, &launch->limits, &container->limits);
    container_keep_volumes(container, launch->volumes, launch->volume_count);
    return container;
}

int containerizer_launch(struct containerizer *c, const struct container_launch *launch,
                         struct error *err)
{
    if (!is_id_sound(launch->container_id)) {
        return error_set(err, -EINVAL, "Invalid container id '%s'", launch->container_id);
    }
    if (map_has(&c->containers, launch->container_id)) {
        return error_set(err, -EEXIST, "Container %s already exists", launch->container_id);
    }
    if (launch->sandbox[0] != '/') {
        return error_set(err, -EINVAL, "The sandbox '%s' is not an absolute path", launch->sandbox);
    }
    if (launch->command->value == NULL) {
        return error_set(err, -EINVAL, "The command of container %s has no value",
                         launch->container_id);
    }
    int code = container_check_mounts(launch, err);
    if (code < 0) {
        return code;
    }
    struct container *container = container_make(c, launch);
    if (launch->is_standalone) {
        container->is_standalone = container->outlives_agent = true;
        container_complete_environment(container, launch->environment);
    }
    container_enqueue(container);
    return 0;
}

// NULL, with a text, when it is not there.
static struct container *find(const struct containerizer *c, const char *id, struct error *err)
{
    struct container *container = map_get(&c->containers, id);
    if (container == NULL || container->is_orphan) {
        error_set(err, -ENOENT, "Unknown container %s", id);
        return NULL;
    }
    CHECK(container->magic == CONTAINER_MAGIC);
    return container;
}

int containerizer_update(struct containerizer *c, const char *container_id,
                         const struct resources *resources, const struct hard_limits *limits,
                         struct error *err)
{
    struct container *container = find(c, container_id, err);
    if (container == NULL) {
        return -ENOENT;
    }
    container_read_limits(resources, limits, &container->limits);
    if (container->cgroup == NULL || container->shares_limits ||
        container->state == CONTAINER_DESTROYING) {
        return 0;
    }
    return cgroup_set_limits(container->cgroup, &container->limits, err);
}

void containerizer_destroy(struct containerizer *c, const char *container_id)
{
    struct container *container = find(c, container_id, NULL);
    if (container != NULL) {
        container_begin_destroy(container);
    }
}

// An infinite limit is told as what the machine has, as in Mesos.
static void put_limits(const struct containerizer *c, const struct cgroup_limits *limits,
                       Mesos__V1__ResourceStatistics *statistics)
{
    if (limits->cpus > 0) {
        statistics->has_cpus_soft_limit = true;
        statistics->cpus_soft_limit = (double)limits->cpus / 1000;
    }
    if (limits->cpus_max != 0 || (c->enable_cfs && limits->cpus > 0)) {
        statistics->has_cpus_limit = true;
        statistics->cpus_limit = limits->cpus_max == 0 ? statistics->cpus_soft_limit
                                 : limits->cpus_max == INT64_MAX
                                     ? (double)sysconf(_SC_NPROCESSORS_ONLN)
                                     : (double)limits->cpus_max / 1000;
    }
    if (limits->mem_bytes > 0) {
        statistics->has_mem_soft_limit_bytes = true;
        statistics->mem_soft_limit_bytes = limits->mem_bytes;
    }
    if (limits->mem_max_bytes != 0 || limits->mem_bytes > 0) {
        statistics->has_mem_limit_bytes = true;
        statistics->mem_limit_bytes = limits->mem_max_bytes == 0            ? limits->mem_bytes
                                      : limits->mem_max_bytes == UINT64_MAX ? machine_memory_bytes()
                                                                            : limits->mem_max_bytes;
    }
}

int containerizer_usage(struct containerizer *c, const char *container_id, struct arena *arena,
                        Mesos__V1__ResourceStatistics **ret_statistics, struct error *err)
{
    struct container *container = find(c, container_id, err);
    if (container == NULL) {
        return -ENOENT;
    }
    Mesos__V1__ResourceStatistics *statistics =
        WIRE_NEW(arena, Mesos__V1__ResourceStatistics, mesos__v1__resource_statistics);
    statistics->timestamp = (double)env_now(c->env).wall / 1e9;
    if (container->cgroup != NULL) {
        cgroup_usage(container->cgroup, statistics);
    } else if (container->session != NULL && (c->cpu || c->memory)) {
        int code = session_usage(container->session, c->cpu, c->memory, statistics, err);
        if (code < 0) {
            return code;
        }
    }
    put_limits(c, &container->limits, statistics);
    *ret_statistics = statistics;
    return 0;
}

void containerizer_get_metrics(const struct containerizer *c, struct containerizer_metrics *ret)
{
    struct fetcher_metrics fetcher;
    fetcher_get_metrics(c->fetcher, &fetcher);
    *ret = (struct containerizer_metrics){
        .destroy_errors = c->destroy_errors,
        .fetches_succeeded = fetcher.succeeded,
        .fetches_failed = fetcher.failed,
        .cache_size_total = fetcher.cache_size_total,
        .cache_size_used = fetcher.cache_size_used,
    };
}
