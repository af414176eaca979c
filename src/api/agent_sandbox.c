// SPDX-License-Identifier: Apache-2.0
//
// Sandboxes on disk: the folders around a new one and its `latest` link; their removal, which first
// moves a path out of the way (a new executor may want the same one) and then empties it on a
// thread of the loop's pool; and their places in /files.

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/agent_daemon.h"
#include "base/check.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"

enum { FOLDER_MODE = 0755 };

int agent_sandbox_prepare(struct agent_daemon *d, const struct agent_launch *launch,
                          struct error *err)
{
    (void)d;
    const char *slash = strrchr(launch->sandbox, '/');
    AUTO_FREE char *runs = mem_strndup(launch->sandbox, (size_t)(slash - launch->sandbox));
    int r = path_make_directories(runs, FOLDER_MODE, err);
    if (r < 0) {
        return error_wrap(err, r, "Failed to create executor directory '%s'", launch->sandbox);
    }
    if (unlink(launch->latest) < 0 && errno != ENOENT) {
        return error_errno(err, -errno, "Failed to remove latest symlink '%s'", launch->latest);
    }
    if (symlink(launch->sandbox, launch->latest) < 0) {
        return error_errno(err, -errno, "Failed to symlink '%s' to '%s'", launch->sandbox,
                           launch->latest);
    }
    return 0;
}

// ---- removal ----

struct removal {
    uv_work_t work;
    struct agent_daemon *daemon;
    char *path; // NULL: there was nothing to remove
    int result;
    struct error err;
    bool is_reported; // to the core
};

static void remove_on_thread(uv_work_t *work)
{
    struct removal *removal = CONTAINER_OF(work, struct removal, work);
    if (removal->path != NULL && removal->result == 0) {
        removal->result = path_remove_tree(removal->path, &removal->err);
    }
}

static void removed(uv_work_t *work, int status)
{
    struct removal *removal = CONTAINER_OF(work, struct removal, work);
    struct agent_daemon *d = removal->daemon;
    (void)status;
    if (removal->result < 0) {
        log_warning("Failed to delete '%s': %s", removal->path, removal->err.text);
    }
    d->removals--;
    if (removal->is_reported) {
        agent_path_removed(d->agent, removal->result == 0);
    }
    mem_free(removal->path);
    mem_free(removal);
    agent_daemon_touch(d);
}

static struct removal *removal_new(struct agent_daemon *d)
{
    struct removal *removal = mem_zalloc(sizeof(*removal));
    removal->daemon = d;
    d->removals++;
    return removal;
}

static char *trash_folder(const struct agent_daemon *d)
{
    return mem_printf("%s/gc", d->work_dir);
}

char *agent_sandbox_trash_path(struct agent_daemon *d)
{
    AUTO_FREE char *folder = trash_folder(d);
    return mem_printf("%s/%lld-%llu", folder, (long long)getpid(),
                      (unsigned long long)d->trash_count++);
}

void agent_sandbox_discard(struct agent_daemon *d, const char *trash)
{
    if (access(trash, F_OK) < 0) {
        return;
    }
    struct removal *removal = removal_new(d);
    removal->path = mem_strdup(trash);
    CHECK(uv_queue_work(env_loop(d->env), &removal->work, remove_on_thread, removed) == 0);
}

void agent_sandbox_remove(struct agent_daemon *d, const char *path)
{
    struct removal *removal = removal_new(d);
    removal->is_reported = true;
    removal->path = agent_sandbox_trash_path(d);
    if (rename(path, removal->path) < 0) {
        bool is_gone = errno == ENOENT;
        removal->result = is_gone ? 0 : error_errno(&removal->err, -errno, "rename");
        mem_free(removal->path);
        removal->path = is_gone ? NULL : mem_strdup(path);
    }
    CHECK(uv_queue_work(env_loop(d->env), &removal->work, remove_on_thread, removed) == 0);
}

void agent_sandbox_sweep(struct agent_daemon *d)
{
    AUTO_FREE char *trash = trash_folder(d);
    struct removal *removal = removal_new(d);
    removal->path = mem_printf("%s/gc-%lld", d->work_dir, (long long)getpid());
    if (rename(trash, removal->path) < 0) {
        mem_free(removal->path);
        removal->path = NULL;
    }
    struct error err;
    if (path_make_directories(trash, FOLDER_MODE, &err) < 0) {
        log_error("Cannot make '%s': %s", trash, err.text);
    }
    CHECK(uv_queue_work(env_loop(d->env), &removal->work, remove_on_thread, removed) == 0);
}

// ---- /files ----

// Two attachments serve all sandboxes: by real path, and by /frameworks/.../runs/latest.
void agent_sandbox_attach(struct agent_daemon *d, const char *agent_id)
{
    struct error err;
    if (d->attached_id != NULL) {
        AUTO_FREE char *old = mem_printf("%s/slaves/%s", d->work_dir, d->attached_id);
        api_files_detach(d->common, old);
        api_files_detach(d->common, "/frameworks");
    }
    mem_free(d->attached_id);
    d->attached_id = mem_strdup(agent_id);
    if (agent_id == NULL) {
        return;
    }
    AUTO_FREE char *root = mem_printf("%s/slaves/%s", d->work_dir, agent_id);
    AUTO_FREE char *frameworks = mem_printf("%s/frameworks", root);
    if (path_make_directories(frameworks, FOLDER_MODE, &err) < 0 ||
        api_files_attach(d->common, root, root, &err) < 0 ||
        api_files_attach(d->common, "/frameworks", frameworks, &err) < 0) {
        log_error("Failed to attach '%s': %s", root, err.text);
    }
}
