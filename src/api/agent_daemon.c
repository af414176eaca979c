// SPDX-License-Identifier: Apache-2.0
//
// The agent's shell: joins the core's effects to the world, and the world's events to the core.

#include "api/agent_daemon.h"
#include "api/agent_container_info.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "api/agent_v1.h"
#include "base/check.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"

enum {
    DAEMON_MAGIC = 0x4147444d,
    PORT_TRIES_MAX = 100,
    PORT_TRY_US = 10 * 1000,
};

static struct agent_daemon *daemon_cast(void *ctx)
{
    return CHECK_CAST(agent_daemon, DAEMON_MAGIC, ctx);
}

// ---- the turn ----

void agent_daemon_touch(struct agent_daemon *d)
{
    env_at_turn_end(d->env, &d->hook);
}

static void turn_ended(struct env_hook *hook, struct instant now)
{
    struct agent_daemon *d = CONTAINER_OF(hook, struct agent_daemon, hook);
    const Mesos__V1__AgentID *id = d->agent->info->id;
    if (!text_is_equal(id != NULL ? id->value : NULL, d->attached_id)) {
        agent_sandbox_attach(d, id != NULL ? id->value : NULL);
    }
    int64_t deadline = agent_next_deadline(d->agent);
    if (deadline == INT64_MAX) {
        env_timer_cancel(d->env, &d->core_timer);
    } else {
        env_timer_set(d->env, &d->core_timer, deadline > now.mono ? deadline - now.mono : 0);
    }
    // A removal that is under way on its thread comes back to us.
    if (d->removals == 0 && (d->is_leaving || (d->is_stopping && d->agent->has_ended))) {
        env_stop(d->env, 0);
    }
}

static void core_due(struct timer *timer, struct instant now)
{
    struct agent_daemon *d = CONTAINER_OF(timer, struct agent_daemon, core_timer);
    agent_run_timers(d->agent, now);
    agent_daemon_touch(d);
}

static void disk_due(struct timer *timer, struct instant now)
{
    struct agent_daemon *d = CONTAINER_OF(timer, struct agent_daemon, disk_timer);
    struct statvfs fs;
    if (statvfs(d->work_dir, &fs) == 0 && fs.f_blocks > 0) {
        double used = (double)(fs.f_blocks - fs.f_bfree);
        agent_disk_usage(d->agent, used / (double)fs.f_blocks, now);
    } else {
        log_error("Failed to get disk usage of '%s': %s", d->work_dir, strerror(errno));
    }
    env_timer_set(d->env, timer, d->flags->disk_watch_interval);
    agent_daemon_touch(d);
}

// ---- effects of the core ----

static void send_to_master(void *ctx, const Meseta__Link__ToMaster *message)
{
    agent_link_send(daemon_cast(ctx)->link, message);
}

static void send_event(void *ctx, void *stream, const Mesos__V1__Executor__Event *event)
{
    (void)ctx;
    executor_api_send(stream, event);
}

static void close_stream(void *ctx, void *stream)
{
    (void)ctx;
    executor_api_close(stream);
}

static int container_launch(void *ctx, const struct agent_launch *launch, struct error *err)
{
    struct agent_daemon *d = daemon_cast(ctx);
    struct arena *arena AUTO_ARENA = arena_new(512, 0);
    struct container_launch order = {
        .volumes = agent_volumes_of_container(launch->volumes, launch->volume_count, arena),
        .volume_count = launch->volume_count,
        .container_id = launch->container_id,
        .sandbox = launch->sandbox,
        .user = launch->user,
        .command = launch->command,
        .environment = launch->environment,
        .resources = launch->resources,
        .limits = launch->limits,
        .is_burstable = launch->is_command_task,
        .stdout_name = "stdout",
        .stderr_name = "stderr",
        .outlives_agent = launch->outlives_agent,
    };
    int r = agent_container_info_read(d->containerizer, launch->container,
                                      AGENT_CONTAINER_OUTERMOST, arena, &order, NULL, err);
    // The executor of a command task leaves the terminal to the task.
    order.tty.is_input_only = launch->is_command_task;
    if (r == 0) {
        r = agent_sandbox_prepare(d, launch, err);
    }
    return r < 0 ? r : containerizer_launch(d->containerizer, &order, err);
}

static int container_update(void *ctx, const char *container_id, const struct resources *resources,
                            const struct hard_limits *limits, struct error *err)
{
    return containerizer_update(daemon_cast(ctx)->containerizer, container_id, resources, limits,
                                err);
}

static void container_destroy(void *ctx, const char *container_id)
{
    containerizer_destroy(daemon_cast(ctx)->containerizer, container_id);
}

static void remove_path(void *ctx, const char *path)
{
    agent_sandbox_remove(daemon_cast(ctx), path);
}

static int volume_make(void *ctx, const char *path, bool is_mount, struct error *err)
{
    (void)ctx;
    return agent_volumes_make(path, is_mount, err);
}

static void volume_remove(void *ctx, const char *path, bool is_mount)
{
    agent_volumes_remove(daemon_cast(ctx), path, is_mount);
}

static int volumes_update(void *ctx, const char *container_id, const struct agent_volume *volumes,
                          size_t count, struct error *err)
{
    return agent_volumes_update(daemon_cast(ctx), container_id, volumes, count, err);
}

static void reconnect(void *ctx)
{
    agent_link_reconnect(daemon_cast(ctx)->link);
}

static void on_shut_down(void *ctx)
{
    struct agent_daemon *d = daemon_cast(ctx);
    d->is_stopping = true;
    agent_daemon_touch(d);
}

static void checkpoint(void *ctx, const char *key, const ProtobufCMessage *message)
{
    agent_recovery_keep(daemon_cast(ctx), key, message);
}

static const struct agent_ops ops = {
    .checkpoint = checkpoint,
    .send_to_master = send_to_master,
    .send_event = send_event,
    .close_stream = close_stream,
    .container_launch = container_launch,
    .container_update = container_update,
    .container_destroy = container_destroy,
    .remove_path = remove_path,
    .volume_make = volume_make,
    .volume_remove = volume_remove,
    .volumes_update = volumes_update,
    .reconnect = reconnect,
    .on_shut_down = on_shut_down,
};

// ---- events of the world ----

static void on_launched(void *ctx, const char *container_id, pid_t pid)
{
    struct agent_daemon *d = daemon_cast(ctx);
    agent_v1_container_launched(d, container_id);
    agent_container_launched(d->agent, container_id, pid, env_now(d->env));
    agent_daemon_touch(d);
}

static void on_terminated(void *ctx, const char *container_id,
                          const struct container_termination *t)
{
    struct agent_daemon *d = daemon_cast(ctx);
    struct agent_termination termination = {
        .has_status = t->has_status,
        .status = t->status,
        .has_reason = t->has_reason,
        .reason = t->reason,
        .message = t->message,
        .limited = t->limited,
    };
    agent_v1_container_terminated(d, container_id, t);
    if (strchr(container_id, '.') == NULL) { // one of the core's
        agent_container_terminated(d->agent, container_id, &termination, env_now(d->env));
        agent_recovery_container_ended(d, container_id);
    }
    agent_daemon_touch(d);
}

static void on_link_open(void *ctx, const char *local_ip)
{
    struct agent_daemon *d = daemon_cast(ctx);
    if (!d->is_address_known && *local_ip != '\0') {
        d->is_address_known = true;
        agent_set_address(d->agent, local_ip, agent_setup_hostname(d, local_ip));
    }
    agent_link_opened(d->agent, env_now(d->env));
    agent_daemon_touch(d);
}

static void on_link_message(void *ctx, const Meseta__Link__ToAgent *message)
{
    struct agent_daemon *d = daemon_cast(ctx);
    agent_receive(d->agent, message, env_now(d->env));
    agent_daemon_touch(d);
}

static void on_link_close(void *ctx)
{
    struct agent_daemon *d = daemon_cast(ctx);
    agent_link_closed(d->agent, env_now(d->env));
    agent_daemon_touch(d);
}

static void on_request(void *ctx, struct http_request *request)
{
    api_router_dispatch(daemon_cast(ctx)->router, request);
}

void agent_daemon_shutdown(struct agent_daemon *d, const char *message)
{
    if (d->is_stopping) {
        agent_destroy_containers(d->agent);
    }
    d->is_stopping = true;
    agent_link_stop(d->link);
    agent_shutdown(d->agent, message, env_now(d->env));
    agent_daemon_touch(d);
}

void agent_daemon_leave(struct agent_daemon *d, const char *message)
{
    log_info("%s; executors of checkpointing frameworks go on", message);
    d->is_leaving = true;
    agent_link_stop(d->link);
    containerizer_leave(d->containerizer);
    agent_daemon_touch(d);
}

// ---- making ----

static char *absolute_path(const char *path)
{
    char *resolved = realpath(path, NULL);
    char *copy = mem_strdup(resolved != NULL ? resolved : path);
    free(resolved);
    return copy;
}

// Beside this program, as in a build directory; else where they are installed when this program is
// in PREFIX/sbin.
static char *find_launcher_dir(void)
{
    char path[PATH_MAX];
    ssize_t size = readlink("/proc/self/exe", path, sizeof(path) - 1);
    if (size <= 0) {
        return mem_strdup("/usr/libexec/mesos");
    }
    path[size] = '\0';
    *strrchr(path, '/') = '\0';
    AUTO_FREE char *executor = mem_printf("%s/mesos-executor", path);
    if (access(executor, X_OK) == 0) {
        return mem_strdup(path);
    }
    AUTO_FREE char *installed = mem_printf("%s/../libexec/mesos", path);
    return absolute_path(installed);
}

static int set_paths(struct agent_daemon *d, struct error *err)
{
    const struct agent_flags *f = d->flags;
    int r = path_make_directories(f->work_dir, 0755, err);
    if (r < 0) {
        return error_wrap(err, r, "Failed to create the work directory '%s'", f->work_dir);
    }
    AUTO_FREE char *work_dir = absolute_path(f->work_dir);
    d->work_dir = arena_strdup(d->arena, work_dir);
    AUTO_FREE char *launcher_dir =
        f->launcher_dir != NULL ? absolute_path(f->launcher_dir) : find_launcher_dir();
    d->launcher_dir = arena_strdup(d->arena, launcher_dir);
    if (f->runtime_dir != NULL) {
        d->runtime_dir = f->runtime_dir;
    } else if (geteuid() == 0) {
        d->runtime_dir = "/var/run/mesos";
    } else {
        d->runtime_dir = arena_printf(d->arena, "%s/run", d->work_dir);
    }
    return 0;
}

// --fetcher_cache_dir holds one directory per agent, since an agent clears its own at the start. It
// is named after the work directory, which is an agent's own too; of a long name the end counts.
static const char *fetcher_cache_directory(const struct agent_daemon *d)
{
    enum { NAME_SIZE_MAX = 200 };
    AUTO_BUF struct buf name = BUF_INIT;
    text_percent_encode(&name, d->work_dir);
    size_t cut = name.size > NAME_SIZE_MAX ? name.size - NAME_SIZE_MAX : 0;
    return arena_printf(d->arena, "%s/%s", d->flags->fetcher_cache_dir, name.data + cut);
}

static int start_containerizer(struct agent_daemon *d, struct error *err)
{
    const struct agent_flags *f = d->flags;
    struct containerizer_options options = {
        .launcher = f->launcher,
        .isolation = f->isolation,
        .cgroups_hierarchy = f->cgroups_hierarchy,
        .cgroups_root = f->cgroups_root,
        .cgroups_enable_cfs = f->cgroups_enable_cfs,
        .cgroups_limit_swap = f->cgroups_limit_swap,
        .revocable_cpu_low_priority = f->revocable_cpu_low_priority,
        .cgroups_destroy_timeout_ns = f->cgroups_destroy_timeout,
        .launcher_dir = d->launcher_dir,
        .work_dir = d->work_dir,
        .runtime_dir = d->runtime_dir,
        .switch_user = f->switch_user,
        .fetcher_cache_dir = fetcher_cache_directory(d),
        .fetcher_cache_size = f->fetcher_cache_size,
        .fetcher_stall_timeout_ns = f->fetcher_stall_timeout,
        .frameworks_home = f->frameworks_home,
        .recovers = true,
    };
    static const struct containerizer_callbacks callbacks = {
        .on_launched = on_launched,
        .on_terminated = on_terminated,
    };
    return containerizer_new(d->env, &options, &callbacks, d, &d->containerizer, err);
}

static bool wants_parts(void *ctx, const struct http_request *request)
{
    (void)ctx;
    return agent_v1_is_input(request);
}

static int start_server(struct agent_daemon *d, struct error *err)
{
    const struct http_options options = {.wants_parts = wants_parts,
                                         .queue_size_max = d->flags->max_event_stream_size};
    int r = http_server_new(d->env, &options, on_request, d, &d->server, err);
    if (r < 0) {
        return r;
    }
    const char *ip = d->flags->ip != NULL ? d->flags->ip : getenv("LIBPROCESS_IP");
    // A former agent that was killed while it started a child: the child holds the port until it
    // runs, which takes some milliseconds on a busy machine.
    for (int tries = 0; tries < PORT_TRIES_MAX; tries++) {
        r = http_server_listen(d->server, ip != NULL ? ip : "0.0.0.0", (uint16_t)d->flags->port,
                               err);
        if (r != -EADDRINUSE) {
            break;
        }
        usleep(PORT_TRY_US);
    }
    return r;
}

static int start_core(struct agent_daemon *d, struct error *err)
{
    const struct agent_flags *f = d->flags;
    Mesos__V1__AgentInfo *info;
    char **environment;
    int r = agent_setup_info(d, http_server_port(d->server), &info, err);
    if (r == 0) {
        r = agent_setup_environment(d, &environment, err);
    }
    if (r < 0) {
        return r;
    }
    const char *ip = agent_setup_ip(f);
    d->is_address_known = ip != NULL;
    struct agent_options options = {
        .work_dir = d->work_dir,
        .launcher_dir = d->launcher_dir,
        .switch_user = f->switch_user,
        .limits_cpus = containerizer_limits_cpus(d->containerizer),
        .limits_mem = containerizer_limits_mem(d->containerizer),
        .enables_cfs = f->cgroups_enable_cfs,
        .executor_registration_timeout_ns = f->executor_registration_timeout,
        .executor_shutdown_grace_period_ns = f->executor_shutdown_grace_period,
        .registration_backoff_factor_ns = f->registration_backoff_factor,
        .gc_delay_ns = f->gc_delay,
        .gc_disk_headroom = f->gc_disk_headroom,
        .max_completed_executors = f->max_completed_executors_per_framework,
        .environment = environment,
        .recovery_timeout_ns = f->recovery_timeout,
        .executor_reregistration_timeout_ns = f->executor_reregistration_timeout,
        .info = info,
        .ip = ip != NULL ? ip : "127.0.0.1",
        .seed = env_random_u64(),
        .boot_id = agent_recovery_boot_id(d),
    };
    d->agent = agent_new(&options, &ops, d, env_now(d->env), err);
    return d->agent != NULL ? 0 : -EINVAL;
}

static void attach_log(struct agent_daemon *d)
{
    const char *path = d->flags->external_log_file;
    if (path == NULL && d->flags->log_dir != NULL) {
        path = arena_printf(d->arena, "%s/mesos-agent.INFO", d->flags->log_dir);
    }
    struct error err;
    if (path != NULL && api_files_attach(d->common, "/slave/log", path, &err) < 0) {
        log_error("Failed to attach the log file: %s", err.text);
    }
}

static int add_routes(struct agent_daemon *d, struct error *err)
{
    struct api_common_options options = {
        .env = d->env,
        .flag_values = d->flags,
        .put_metrics = agent_metrics_put,
        .put_prometheus = agent_metrics_put_prometheus,
        .ctx = d,
    };
    options.flag_table_count = agent_flags_tables(&options.flags);
    d->router = api_router_new("slave(1)");
    d->common = api_common_new(&options);
    api_common_add_routes(d->common, d->router);
    executor_api_add_routes(d);
    agent_state_add_routes(d);
    agent_containers_add_routes(d);
    agent_v1_add_routes(d);
    return api_router_set_firewall(d->router, d->flags->firewall_rules, err);
}

static int start_link(struct agent_daemon *d, struct error *err)
{
    static const struct agent_link_callbacks callbacks = {
        .on_open = on_link_open,
        .on_message = on_link_message,
        .on_close = on_link_close,
    };
    AUTO_FREE char *master = mem_strdup(d->flags->master);
    return agent_link_new(d->env, text_trim(master), d->flags->zk_session_timeout, &callbacks, d,
                          &d->link, err);
}

int agent_daemon_new(struct env *env, const struct agent_flags *flags,
                     struct agent_daemon **ret_daemon, struct error *err)
{
    struct agent_daemon *d = mem_zalloc(sizeof(*d));
    d->magic = DAEMON_MAGIC;
    d->env = env;
    d->flags = flags;
    d->arena = arena_new(0, 0);
    d->hook.run = turn_ended;
    list_init(&d->hook.link);
    list_init(&d->store_hook.link);
    d->core_timer.run = core_due;
    d->disk_timer.run = disk_due;
    int r = set_paths(d, err);
    if (r == 0) {
        r = start_containerizer(d, err);
    }
    if (r == 0) {
        r = start_server(d, err);
    }
    if (r == 0) {
        r = start_core(d, err);
    }
    if (r == 0) {
        r = agent_oversubscribe_new(d, err);
    }
    if (r == 0) {
        r = add_routes(d, err);
    }
    if (r == 0) {
        attach_log(d);
        r = start_link(d, err);
    }
    if (r == 0) {
        r = agent_recovery_run(d, err);
    }
    if (r < 0) {
        agent_daemon_free(d);
        return r;
    }
    agent_sandbox_sweep(d);
    env_timer_set(env, &d->disk_timer, 0);
    *ret_daemon = d;
    return 0;
}

struct agent_daemon *agent_daemon_free(struct agent_daemon *d)
{
    if (d == NULL) {
        return NULL;
    }
    env_timer_cancel(d->env, &d->core_timer);
    env_timer_cancel(d->env, &d->disk_timer);
    agent_link_free(d->link);
    if (d->server != NULL) {
        http_server_free(d->server);
    }
    agent_oversubscribe_free(d);
    agent_v1_containers_free(d);
    map_free(&d->v1_inputs);
    api_router_free(d->router);
    api_common_free(d->common);
    agent_free(d->agent);
    if (d->containerizer != NULL) {
        containerizer_free(d->containerizer);
    }
    agent_recovery_free(d);
    env_hook_cancel(&d->hook); // streams that ended with the server asked for it
    arena_free(d->arena);
    mem_free(d->attached_id);
    d->magic = 0;
    mem_free(d);
    return NULL;
}
