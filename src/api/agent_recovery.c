// SPDX-License-Identifier: Apache-2.0
//
// The agent's checkpoints: a store in <work_dir>/meta/agent.db. What the core asks to keep in a
// turn becomes one transaction, before anything that the turn wants to send leaves. When that
// fails, the agent ends on the spot: its executors go on, and nobody was told what is not there. At
// start the store's records go to the core, and the containers it names to the containerizer.

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/agent_daemon.h"
#include "base/check.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "store/store.h"
#include "wire/wire.h"

// ---- writing ----

// Of what is lost when the machine loses its power, so is every process on it. What others were
// told counts: an agent's id, updates on their way to the master, operations. That an executor or a
// task was begun is told to nobody before its first update; and what is forgotten too late (an
// acknowledgement, an end) is only found out once more.
static bool must_outlive_machine(const char *key, bool is_removal)
{
    static const char *const inner[] = {"framework/", "executor/", "task/", "stream/"};
    for (size_t i = 0; i < ARRAY_COUNT(inner); i++) {
        if (text_starts_with(key, inner[i])) {
            return false;
        }
    }
    return !(is_removal && text_starts_with(key, "update/"));
}

void agent_recovery_keep(struct agent_daemon *d, const char *key, const ProtobufCMessage *message)
{
    struct buf value = BUF_INIT;
    if (message != NULL) {
        wire_encode(message, &value);
    }
    const struct store_item item = {
        .key = key,
        .value = message == NULL  ? NULL
                 : value.size > 0 ? value.data
                                  : "",
        .size = value.size,
    };
    store_apply(d->store, &item, 1, NULL, NULL);
    d->must_sync |= must_outlive_machine(key, message == NULL);
    buf_free(&value);
    env_before_turn_end(d->env, &d->store_hook);
}

static void on_durable(void *ctx, int result, const struct error *err)
{
    struct error *why = ctx;
    if (result < 0) {
        *why = *err;
        why->code = result;
    }
}

static void forget_ended(struct agent_daemon *d)
{
    for (size_t i = 0; i < d->ended_count; i++) {
        containerizer_forget(d->containerizer, d->ended[i]);
        mem_free(d->ended[i]);
    }
    d->ended_count = 0;
}

static void store_due(struct env_hook *hook, struct instant now)
{
    (void)now;
    struct agent_daemon *d = CONTAINER_OF(hook, struct agent_daemon, store_hook);
    struct error why = {0};
    if (store_is_pending(d->store)) {
        store_set_synced(d->store, d->must_sync);
        d->must_sync = false;
        store_apply(d->store, NULL, 0, on_durable, &why);
        store_flush(d->store);
    }
    if (why.code < 0) {
        log_error("Failed to checkpoint, the agent ends and leaves its executors alone: %s",
                  why.text);
        env_log_close();
        _exit(EXIT_FAILURE);
    }
    forget_ended(d);
}

void agent_recovery_container_ended(struct agent_daemon *d, const char *container_id)
{
    d->ended = mem_realloc_array(d->ended, d->ended_count + 1, sizeof(d->ended[0]));
    d->ended[d->ended_count++] = mem_strdup(container_id);
    env_before_turn_end(d->env, &d->store_hook);
}

// ---- reading ----

struct loaded {
    struct agent_daemon *daemon;
    bool is_rebooted;
    bool is_unreadable; // the store did not say what it holds
    int result;
    struct error err;
};

static void on_loaded(void *ctx, int result, const struct store_item *items, size_t count,
                      const struct error *err)
{
    struct loaded *loaded = ctx;
    struct agent_daemon *d = loaded->daemon;
    if (result < 0) {
        loaded->is_unreadable = true;
        loaded->result = result;
        loaded->err = *err;
        return;
    }
    struct agent_record *records = mem_calloc(count + 1, sizeof(records[0]));
    for (size_t i = 0; i < count; i++) {
        records[i] = (struct agent_record){items[i].key, items[i].value, items[i].size};
    }
    struct agent_recovery recovery = {
        .records = records,
        .count = count,
        .is_strict = d->flags->strict,
        .is_additive = strcmp(d->flags->reconfiguration_policy, "additive") == 0,
        .is_cleanup = strcmp(d->flags->recover, "cleanup") == 0,
        .takes_hostname = !d->is_address_known,
    };
    loaded->result =
        agent_recover(d->agent, &recovery, &loaded->is_rebooted, env_now(d->env), &loaded->err);
    mem_free(records);
}

// A store that cannot be read, and its log.
static int put_aside(struct agent_daemon *d, const char *path, struct error *err)
{
    static const char *const ends[] = {"", "-wal"};
    for (size_t i = 0; i < ARRAY_COUNT(ends); i++) {
        AUTO_FREE char *from = mem_printf("%s%s", path, ends[i]);
        AUTO_FREE char *to = mem_printf("%s.broken%s", path, ends[i]);
        if (rename(from, to) < 0 && errno != ENOENT) {
            return error_errno(err, -errno, "Failed to put '%s' aside", from);
        }
    }
    d->agent->metrics.recovery_errors++;
    return 0;
}

// Without --strict a store that cannot be read is put aside.
static int open_store(struct agent_daemon *d, const char *path, struct error *err)
{
    int r = store_sqlite_open(path, &d->store, err);
    if (r == -EBADMSG && !d->flags->strict) {
        log_warning("Starting as a new agent: %s", err->text);
        r = put_aside(d, path, err);
        return r < 0 ? r : store_sqlite_open(path, &d->store, err);
    }
    return r < 0 ? error_wrap(err, r, "Failed to open the checkpoints") : 0;
}

static void load(struct agent_daemon *d, struct loaded *ret_loaded)
{
    *ret_loaded = (struct loaded){.daemon = d};
    store_load(d->store, on_loaded, ret_loaded);
    store_flush(d->store);
}

// The same for one that opens, but is broken further inside.
static int open_and_load(struct agent_daemon *d, struct loaded *ret_loaded, struct error *err)
{
    AUTO_FREE char *meta = mem_printf("%s/meta", d->work_dir);
    int r = path_make_directories(meta, 0755, err);
    if (r < 0) {
        return error_wrap(err, r, "Failed to create the directory of the checkpoints");
    }
    AUTO_FREE char *path = mem_printf("%s/agent.db", meta);
    if ((r = open_store(d, path, err)) < 0) {
        return r;
    }
    load(d, ret_loaded);
    if (!ret_loaded->is_unreadable || ret_loaded->result != -EBADMSG || d->flags->strict) {
        return 0;
    }
    log_warning("Starting as a new agent: %s: %s", path, ret_loaded->err.text);
    d->store = store_free(d->store);
    if ((r = put_aside(d, path, err)) < 0 || (r = open_store(d, path, err)) < 0) {
        return r;
    }
    load(d, ret_loaded);
    return 0;
}

static void recover_containers(struct agent_daemon *d, bool is_rebooted)
{
    size_t count = 0;
    struct arena *arena AUTO_ARENA = arena_new(0, 0);
    struct container_recovery *containers =
        mem_calloc(d->agent->containers.count + 1, sizeof(containers[0]));
    MAP_FOREACH (&d->agent->containers, entry) {
        const struct agent_executor *executor = entry->value;
        struct agent_volume *volumes;
        size_t volume_count = agent_executor_volumes(executor, arena, &volumes);
        containers[count++] = (struct container_recovery){
            .container_id = executor->container_id,
            .sandbox = executor->directory,
            .user = executor->user,
            .resources = executor->allocated,
            .limits = agent_executor_limits(executor),
            .volumes = agent_volumes_of_container(volumes, volume_count, arena),
            .volume_count = volume_count,
        };
    }
    containerizer_recover(d->containerizer, containers, count, is_rebooted);
    mem_free(containers);
}

int agent_recovery_run(struct agent_daemon *d, struct error *err)
{
    d->store_hook.run = store_due;
    struct loaded loaded;
    int r = open_and_load(d, &loaded, err);
    if (r < 0) {
        return r;
    }
    if (loaded.result < 0) {
        *err = loaded.err;
        log_error("If the agent's configuration changed and its id is to stay, "
                  "--reconfiguration_policy=additive may help. To start as a new agent instead: "
                  "rm -rf %s/meta. What then still runs of the former one is destroyed.",
                  d->work_dir);
        return error_wrap(err, loaded.result, "Failed to perform recovery");
    }
    agent_leftovers_schedule(d);
    recover_containers(d, loaded.is_rebooted);
    agent_recovery_start(d->agent, env_now(d->env));
    return 0;
}

const char *agent_recovery_boot_id(struct agent_daemon *d)
{
    char *data;
    size_t size;
    if (file_read("/proc/sys/kernel/random/boot_id", 128, &data, &size, NULL) < 0) {
        return "";
    }
    const char *id = arena_strdup(d->arena, text_trim(data));
    mem_free(data);
    return id;
}

void agent_recovery_free(struct agent_daemon *d)
{
    env_hook_cancel(&d->store_hook);
    for (size_t i = 0; i < d->ended_count; i++) {
        mem_free(d->ended[i]);
    }
    mem_free(d->ended);
    store_free(d->store);
}
