// SPDX-License-Identifier: Apache-2.0

#include "harness.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "container/cgroup_mounts.h"

static const int64_t PATIENCE_NS = 60 * NS_PER_S;

const struct setting world_settings[2] = {
    {"posix", "posix/cpu,posix/mem"},
    {"linux", "cgroups/cpu,cgroups/mem"},
};

// The world of the test that runs; a test that fails jumps away from it.
static struct world *current;

static void on_launched(void *ctx, const char *id, pid_t pid)
{
    struct world *w = ctx;
    struct outcome *outcome = world_outcome(w, id);
    assert_non_null(outcome);
    assert_false(outcome->launched);
    assert_false(outcome->terminated);
    outcome->launched = true;
    outcome->pid = pid;
    outcome->launch_ns = env_refresh_now(w->env).mono - outcome->asked_at;
    w->launched++;
    if (w->launched == w->want_launched) {
        env_stop(w->env, 0);
    }
}

static void on_terminated(void *ctx, const char *id, const struct container_termination *t)
{
    struct world *w = ctx;
    struct outcome *outcome = world_outcome(w, id);
    assert_non_null(outcome);
    assert_false(outcome->terminated);
    outcome->terminated = true;
    outcome->has_status = t->has_status;
    outcome->status = t->status;
    outcome->has_reason = t->has_reason;
    outcome->reason = t->reason;
    outcome->message = mem_strdup(t->message);
    outcome->limited_mem = t->limited == NULL ? 0 : resources_scalar(t->limited, "mem");
    w->terminated++;
    if (w->terminated == w->want_terminated) {
        env_stop(w->env, 0);
    }
}

static void on_patience(struct timer *timer, struct instant now)
{
    struct world *w = CONTAINER_OF(timer, struct world, timer);
    (void)now;
    env_stop(w->env, 1);
}

struct world *world_begin_with(const struct setting *setting,
                               void (*change)(struct containerizer_options *options))
{
    if (strcmp(setting->launcher, "linux") == 0 && geteuid() != 0) {
        return NULL;
    }
    static int serial;
    struct world *w = mem_zalloc(sizeof(*w));
    current = w;
    w->setting = *setting;
    w->timer.run = on_patience;
    w->arena = arena_new(0, 0);
    snprintf(w->root, sizeof(w->root), "meseta-test-%d-%d", (int)getpid(), ++serial);
    const char *scratch = getenv("TMPDIR");
    snprintf(w->directory, sizeof(w->directory), "%s/%s", scratch == NULL ? "/tmp" : scratch,
             w->root);
    assert_int_equal(mkdir(w->directory, 0755), 0);
    const char *bin = getenv("MESETA_BIN_DIR");
    assert_non_null(bin);
    w->options = (struct containerizer_options){
        .launcher = setting->launcher,
        .isolation = setting->isolation,
        .cgroups_hierarchy = "/sys/fs/cgroup",
        .cgroups_root = w->root,
        .cgroups_enable_cfs = true,
        .cgroups_destroy_timeout_ns = 20 * NS_PER_S,
        .launcher_dir = bin,
        .work_dir = w->directory,
        .runtime_dir = w->directory,
        .switch_user = true,
        .fetcher_cache_dir = arena_printf(w->arena, "%s/cache", w->directory),
        .fetcher_cache_size = 1024 * 1024,
        .fetcher_stall_timeout_ns = 2 * NS_PER_S,
    };
    if (change != NULL) {
        change(&w->options);
    }
    struct error err = {0};
    struct containerizer_callbacks callbacks = {on_launched, on_terminated};
    assert_int_equal(env_new(&w->env, &err), 0);
    if (containerizer_new(w->env, &w->options, &callbacks, w, &w->c, &err) < 0) {
        fail_msg("containerizer_new: %s", err.text);
    }
    return w;
}

struct world *world_begin(const struct setting *setting)
{
    return world_begin_with(setting, NULL);
}

// No directory of ours in any hierarchy.
static void check_cgroups(const struct world *w)
{
    struct cgroup_mounts mounts = {0};
    assert_int_equal(cgroup_mounts_find(&mounts, "/sys/fs/cgroup", NULL), 0);
    for (int i = 0; i <= CGROUP_CONTROLLER_COUNT; i++) {
        const char *mount = i == CGROUP_CONTROLLER_COUNT ? mounts.v2 : mounts.v1[i];
        if (mount != NULL) {
            const char *path = arena_printf(w->arena, "%s/%s", mount, w->root);
            if (access(path, F_OK) == 0) {
                fail_msg("%s was left behind", path);
            }
        }
    }
    cgroup_mounts_free(&mounts);
}

int world_abandon(void **state)
{
    (void)state;
    if (current != NULL) {
        containerizer_free(current->c);
        current->c = NULL;
        (void)path_remove_tree(current->directory, NULL);
        current = NULL;
    }
    return 0;
}

void world_end(struct world *w)
{
    w->c = containerizer_free(w->c);
    env_timer_cancel(w->env, &w->timer);
    env_free(w->env);
    check_cgroups(w);
    assert_int_equal(world_count_processes(w), 0);
    assert_int_equal(path_remove_tree(w->directory, NULL), 0);
    MAP_FOREACH (&w->outcomes, entry) {
        struct outcome *outcome = entry->value;
        mem_free(outcome->message);
        mem_free(outcome);
    }
    map_free(&w->outcomes);
    arena_free(w->arena);
    mem_free(w);
    current = NULL;
}

struct outcome *world_outcome(struct world *w, const char *id)
{
    return map_get(&w->outcomes, id);
}

static void fill_uris(const struct world *w, const struct order *order,
                      Mesos__V1__CommandInfo *command)
{
    while (command->n_uris < 8 && order->uris[command->n_uris] != NULL) {
        command->n_uris++;
    }
    command->uris = arena_calloc(w->arena, command->n_uris, sizeof(command->uris[0]));
    for (size_t i = 0; i < command->n_uris; i++) {
        Mesos__V1__CommandInfo__URI *uri = command->uris[i] = arena_alloc(w->arena, sizeof(*uri));
        mesos__v1__command_info__uri__init(uri);
        uri->value = arena_strdup(w->arena, order->uris[i]);
        uri->has_cache = uri->has_executable = uri->has_extract = true;
        uri->cache = order->cache;
        uri->executable = order->executable;
        uri->extract = !order->no_extract;
        uri->output_file = arena_strdup(w->arena, order->output_file);
    }
}

static void fill_command(const struct world *w, const struct order *order,
                         Mesos__V1__CommandInfo *command)
{
    mesos__v1__command_info__init(command);
    if (order->shell != NULL) {
        command->value = arena_strdup(w->arena, order->shell);
    } else {
        command->has_shell = true;
        command->shell = false;
        command->value = arena_strdup(w->arena, order->arguments[0]);
        while (order->arguments[command->n_arguments] != NULL) {
            command->n_arguments++;
        }
        command->arguments = (char **)(uintptr_t)order->arguments;
    }
    fill_uris(w, order, command);
}

bool world_has_cgroups(const struct world *w)
{
    return strcmp(w->setting.launcher, "linux") == 0;
}

int world_launch(struct world *w, const struct order *order)
{
    Mesos__V1__CommandInfo command;
    fill_command(w, order, &command);
    AUTO_RESOURCES struct resources *resources = NULL;
    const char *text = order->resources == NULL ? "cpus:1;mem:64" : order->resources;
    assert_int_equal(resources_parse(text, "*", &resources, NULL), 0);
    char *environment[] = {
        (char *)"PATH=/usr/sbin:/usr/bin:/sbin:/bin",
        arena_printf(w->arena, "MARK=%s", w->root),
        arena_printf(w->arena, "MESOS_SANDBOX=%s", world_sandbox(w, order->id)),
        NULL,
    };
    struct container_launch launch = {
        .container_id = order->id,
        .sandbox = world_sandbox(w, order->id),
        .user = order->user,
        .command = &command,
        .environment = environment,
        .resources = resources,
        .limits = order->limits,
        .is_burstable = order->is_burstable,
        .is_standalone = order->is_standalone,
        .stdout_name = "stdout",
        .stderr_name = "stderr",
        .outlives_agent = order->outlives_agent,
    };
    struct container_link link = {order->link, order->link_target};
    struct container_nesting nesting = {
        .owns_limits = order->owns_limits,
        .is_session = order->is_session,
        .links = &link,
        .link_count = order->link != NULL ? 1 : 0,
    };
    struct outcome *outcome = mem_zalloc(sizeof(*outcome));
    outcome->asked_at = env_refresh_now(w->env).mono;
    struct error err = {0};
    bool is_nested = strchr(order->id, '.') != NULL;
    launch.nesting = is_nested ? &nesting : NULL;
    if (is_nested) {
        environment[0] = environment[1]; // neither PATH nor the sandbox
        environment[1] = NULL;
    }
    int code = is_nested ? containerizer_launch_nested(w->c, &launch, &err)
                         : containerizer_launch(w->c, &launch, &err);
    if (code < 0) {
        assert_int_not_equal(err.text[0], '\0');
        snprintf(w->refusal, sizeof(w->refusal), "%s", err.text);
        mem_free(outcome);
        return code;
    }
    mem_free(map_remove(&w->outcomes, order->id)); // of a former one of that id
    w->accepted++;
    map_put(&w->outcomes, order->id, outcome);
    return 0;
}

static void run(struct world *w, const char *what)
{
    env_timer_set(w->env, &w->timer, PATIENCE_NS);
    int status = env_run(w->env);
    env_timer_cancel(w->env, &w->timer);
    if (status != 0) {
        fail_msg("waited too long for %s: %zu accepted, %zu launched, %zu terminated", what,
                 w->accepted, w->launched, w->terminated);
    }
}

void world_wait_all(struct world *w)
{
    w->want_terminated = w->accepted;
    if (w->terminated < w->want_terminated) {
        run(w, "the end");
    }
    w->want_terminated = 0;
}

void world_wait_launched(struct world *w, size_t count)
{
    w->want_launched = count;
    if (w->launched < count) {
        run(w, "the launch");
    }
    w->want_launched = 0;
}

void world_sleep(struct world *w, int64_t ns)
{
    env_timer_set(w->env, &w->timer, ns);
    env_run(w->env);
}

void world_restart(struct world *w, const char *const *ids, size_t count,
                   void (*meanwhile)(struct world *w))
{
    containerizer_leave(w->c);
    w->c = containerizer_free(w->c);
    if (meanwhile != NULL) {
        meanwhile(w);
    }
    struct containerizer_callbacks callbacks = {on_launched, on_terminated};
    struct error err = {0};
    w->options.recovers = true;
    assert_int_equal(containerizer_new(w->env, &w->options, &callbacks, w, &w->c, &err), 0);
    AUTO_RESOURCES struct resources *resources = NULL;
    assert_int_equal(resources_parse("cpus:1;mem:64", "*", &resources, NULL), 0);
    struct container_recovery *recovery = arena_calloc(w->arena, count + 1, sizeof(*recovery));
    w->launched = w->terminated = 0;
    w->accepted = count;
    size_t roots = 0;
    for (size_t i = 0; i < count; i++) {
        recovery[i] = (struct container_recovery){
            .container_id = ids[i], .sandbox = world_sandbox(w, ids[i]), .resources = resources};
        struct outcome *outcome = world_outcome(w, ids[i]);
        if (outcome == NULL) {
            outcome = mem_zalloc(sizeof(*outcome));
            map_put(&w->outcomes, ids[i], outcome);
        }
        outcome->launched = false;
        // Those inside are found without being asked for.
        if (strchr(ids[i], '.') == NULL) {
            recovery[roots++] = recovery[i];
        }
    }
    containerizer_recover(w->c, recovery, roots, false);
}

struct outcome *world_run(struct world *w, const struct order *order)
{
    assert_int_equal(world_launch(w, order), 0);
    world_wait_all(w);
    struct outcome *outcome = world_outcome(w, order->id);
    assert_true(outcome->terminated);
    return outcome;
}

const char *world_sandbox(struct world *w, const char *id)
{
    AUTO_BUF struct buf path = BUF_INIT;
    buf_printf(&path, "%s/work/runs/", w->directory);
    for (const char *at = id; *at != '\0'; at++) {
        buf_printf(&path, *at == '.' ? "/containers/" : "%c", *at);
    }
    return arena_strdup(w->arena, path.data);
}

const char *world_file(struct world *w, const char *id, const char *name)
{
    const char *path = arena_printf(w->arena, "%s/%s", world_sandbox(w, id), name);
    char *text = NULL;
    size_t size;
    struct error err = {0};
    if (file_read(path, 1 << 20, &text, &size, &err) < 0) {
        fail_msg("%s", err.text);
    }
    const char *copy = arena_strndup(w->arena, text, size);
    mem_free(text);
    return copy;
}

size_t world_count_processes(const struct world *w)
{
    char mark[64];
    int mark_size = snprintf(mark, sizeof(mark), "MARK=%s", w->root);
    DIR *proc = opendir("/proc");
    assert_non_null(proc);
    size_t count = 0;
    struct dirent *entry;
    while ((entry = readdir(proc)) != NULL) {
        char path[300], text[65536];
        snprintf(path, sizeof(path), "/proc/%s/environ", entry->d_name);
        AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t size = fd < 0 ? -1 : read(fd, text, sizeof(text));
        count += size > 0 && memmem(text, (size_t)size, mark, (size_t)mark_size + 1) != NULL;
    }
    closedir(proc);
    return count;
}

pid_t world_make_orphan(struct world *w, const char *id)
{
    struct cgroup_mounts mounts = {0};
    assert_int_equal(cgroup_mounts_find(&mounts, "/sys/fs/cgroup", NULL), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        execl("/bin/sleep", "sleep", "1000", NULL);
        _exit(1);
    }
    for (int i = 0; i <= CGROUP_CONTROLLER_COUNT; i++) {
        const char *mount = i == CGROUP_CONTROLLER_COUNT
                                ? (mounts.v1[CGROUP_FREEZER] == NULL ? mounts.v2 : NULL)
                                : mounts.v1[i];
        if (mount == NULL) {
            continue;
        }
        const char *inside = arena_printf(w->arena, "%s/%s/%s/inside", mount, w->root, id);
        assert_int_equal(path_make_directories(inside, 0755, NULL), 0);
        const char *procs = arena_printf(w->arena, "%s/cgroup.procs", inside);
        const char *text = arena_printf(w->arena, "%d", (int)pid);
        assert_int_equal(file_write(procs, text, strlen(text), NULL), 0);
    }
    cgroup_mounts_free(&mounts);
    return pid;
}
