// SPDX-License-Identifier: Apache-2.0
//
// container_driver DIRECTORY [OPTION=VALUE...] ID JSON [ID JSON...] [then ID JSON...]: launches
// containers from CommandInfos in JSON and prints a JSON line for each that ended, then one with
// the metrics. "then" waits for all that came before. For tests that need a scripting language,
// such as those of the fetcher. Options: launcher, isolation, cache (bytes), stall (duration),
// home, user.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "container/containerizer.h"
#include "wire/json.h"
#include "wire/wire.h"

struct driver {
    struct env *env;
    struct containerizer *c;
    struct arena *arena;
    const char *directory;
    const char *user;
    size_t running;
};

static void on_launched(void *ctx, const char *id, pid_t pid)
{
    (void)ctx;
    (void)id;
    (void)pid;
}

static void print(const struct buf *out)
{
    puts(out->data);
    fflush(stdout);
}

static void on_terminated(void *ctx, const char *id, const struct container_termination *t)
{
    struct driver *driver = ctx;
    AUTO_BUF struct buf out = BUF_INIT;
    struct json_writer w;
    json_begin(&w, &out);
    json_object_open(&w);
    json_key_string(&w, "id", id);
    if (t->has_status) {
        json_key_i64(&w, "status", t->status);
    }
    if (t->has_reason) {
        json_key_i64(&w, "reason", t->reason);
    }
    json_key_string(&w, "message", t->message);
    json_object_close(&w);
    print(&out);
    if (--driver->running == 0) {
        env_stop(driver->env, 0);
    }
}

static _Noreturn void fail(const char *what, const struct error *err)
{
    fprintf(stderr, "%s: %s\n", what, err->text);
    exit(2);
}

static void launch(struct driver *driver, const char *id, const char *json)
{
    struct error err = {0};
    ProtobufCMessage *message;
    if (wire_json_decode(&mesos__v1__command_info__descriptor, driver->arena, json, strlen(json),
                         &message, &err) < 0) {
        fail(json, &err);
    }
    AUTO_RESOURCES struct resources *resources = NULL;
    if (resources_parse("cpus:1;mem:64", "*", &resources, &err) < 0) {
        fail("resources", &err);
    }
    char *environment[] = {(char *)"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL};
    struct container_launch order = {
        .container_id = id,
        .sandbox = arena_printf(driver->arena, "%s/%s", driver->directory, id),
        .user = driver->user,
        .command = (Mesos__V1__CommandInfo *)message,
        .environment = environment,
        .resources = resources,
        .stdout_name = "stdout",
        .stderr_name = "stderr",
    };
    if (containerizer_launch(driver->c, &order, &err) < 0) {
        fail(id, &err);
    }
    driver->running++;
}

static void wait_all(struct driver *driver)
{
    if (driver->running > 0) {
        env_run(driver->env);
    }
}

static void print_metrics(const struct driver *driver)
{
    struct containerizer_metrics m;
    containerizer_get_metrics(driver->c, &m);
    AUTO_BUF struct buf out = BUF_INIT;
    struct json_writer w;
    json_begin(&w, &out);
    json_object_open(&w);
    json_key_u64(&w, "succeeded", m.fetches_succeeded);
    json_key_u64(&w, "failed", m.fetches_failed);
    json_key_u64(&w, "cache_used", m.cache_size_used);
    json_key_u64(&w, "cache_total", m.cache_size_total);
    json_object_close(&w);
    print(&out);
}

// True when the argument is one of "name=value".
static bool take_option(struct driver *driver, struct containerizer_options *options,
                        const char *argument)
{
    const char *value = strchr(argument, '=');
    if (value == NULL) {
        return false;
    }
    value++;
    if (text_starts_with(argument, "cache=")) {
        return text_parse_u64(value, &options->fetcher_cache_size, NULL) == 0;
    }
    if (text_starts_with(argument, "stall=")) {
        return text_parse_duration(value, &options->fetcher_stall_timeout_ns, NULL) == 0;
    }
    const char **place = text_starts_with(argument, "launcher=")    ? &options->launcher
                         : text_starts_with(argument, "isolation=") ? &options->isolation
                         : text_starts_with(argument, "home=")      ? &options->frameworks_home
                         : text_starts_with(argument, "user=")      ? &driver->user
                                                                    : NULL;
    if (place != NULL) {
        *place = value;
    }
    return place != NULL;
}

int main(int argc, char **argv)
{
    struct driver driver = {.arena = arena_new(0, 0)};
    struct error err = {0};
    if (argc < 2) {
        return 2;
    }
    driver.directory = argv[1];
    struct containerizer_options options = {
        .launcher = "posix",
        .isolation = "",
        .cgroups_hierarchy = "/sys/fs/cgroup",
        .cgroups_root = arena_printf(driver.arena, "meseta-driver-%d", (int)getpid()),
        .cgroups_destroy_timeout_ns = 10 * NS_PER_S,
        .launcher_dir = getenv("MESETA_BIN_DIR"),
        .work_dir = driver.directory,
        .runtime_dir = driver.directory,
        .switch_user = true,
        .fetcher_cache_dir = arena_printf(driver.arena, "%s/cache", driver.directory),
        .fetcher_cache_size = 1 << 20,
        .fetcher_stall_timeout_ns = 60 * NS_PER_S,
    };
    int i = 2;
    while (i < argc && take_option(&driver, &options, argv[i])) {
        i++;
    }
    struct containerizer_callbacks callbacks = {on_launched, on_terminated};
    if (env_new(&driver.env, &err) < 0 ||
        containerizer_new(driver.env, &options, &callbacks, &driver, &driver.c, &err) < 0) {
        fail("containerizer_new", &err);
    }
    while (i < argc) {
        if (strcmp(argv[i], "then") == 0) {
            wait_all(&driver);
            i++;
        } else if (i + 1 < argc) {
            launch(&driver, argv[i], argv[i + 1]);
            i += 2;
        } else {
            return 2;
        }
    }
    wait_all(&driver);
    print_metrics(&driver);
    containerizer_free(driver.c);
    env_free(driver.env);
    arena_free(driver.arena);
    return 0;
}
