// SPDX-License-Identifier: Apache-2.0
//
// Containers inside containers. "ID.NAME" is inside "ID"; "ID" is the outermost one. A nested one
// is taken down before the one around it; what it ended with is kept by the outermost one until
// somebody removes it or the outermost one ends, and in its run file for a later agent.
//
// The parent's sandbox belongs to its user, who may put anything there at any moment: whatever is
// made in it is reached step by step, through directories alone.

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "container/container.h"
#include "wire/wire.h"

#define PATH_DEFAULT "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

enum {
    ID_SIZE_MAX = 250, // it names a file
    ENVIRONMENT_SIZE_MAX = 1024 * 1024,
    ENDED_MAX = 10000, // per outermost container; the oldest goes
};

// How one ended.
struct container_end {
    struct container_termination termination; // points at what follows
    char *message;
    struct resources *limited;
};

// ---- ids ----

char *container_parent_id(const char *id)
{
    const char *dot = strrchr(id, '.');
    return dot == NULL ? NULL : mem_strndup(id, (size_t)(dot - id));
}

struct container *container_find_root(const struct containerizer *c, const char *id)
{
    return map_get_n(&c->containers, id, strcspn(id, "."));
}

void container_adopt_child(struct container *parent, struct container *child)
{
    child->parent = parent;
    list_append(&parent->children, &child->sibling);
}

struct cgroup *container_adopt_cgroup(const struct containerizer *c, const char *id,
                                      bool shares_limits)
{
    AUTO_FREE char *parts = mem_strdup(id);
    char *rest = parts;
    struct cgroup *cgroup = cgroup_adopt(c->driver, strsep(&rest, "."));
    while (rest != NULL) {
        const char *name = strsep(&rest, ".");
        struct cgroup *outer = cgroup;
        cgroup = cgroup_adopt_nested(outer, name, rest == NULL ? !shares_limits : false);
        cgroup_free(outer);
    }
    return cgroup;
}

// ---- the sandbox ----

static int open_directory(int fd, const char *name, int *ret_fd, struct error *err)
{
    int inner = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (inner < 0) {
        return error_errno(err, -errno, "Failed to open the directory '%s'", name);
    }
    *ret_fd = inner;
    return 0;
}

// The directory `name` in `fd`, made when it is not there. Never through a link.
static int enter_directory(int fd, const char *name, mode_t mode, bool *ret_made, int *ret_fd,
                           struct error *err)
{
    *ret_made = mkdirat(fd, name, mode) == 0;
    if (!*ret_made && errno != EEXIST) {
        return error_errno(err, -errno, "Failed to create the directory '%s'", name);
    }
    return open_directory(fd, name, ret_fd, err);
}

// The directory at the end of `names` ("a.b"), each in "containers" of the one before, from the
// outermost container's sandbox on.
static int walk(const struct container *root, const char *names, bool makes, int *ret_fd,
                struct error *err)
{
    if (root->sandbox == NULL) {
        return error_set(err, -ENOENT, "The sandbox of container %s is not known", root->id);
    }
    AUTO_CLOSE int fd = open(root->sandbox, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return error_errno(err, -errno, "Failed to open the sandbox '%s'", root->sandbox);
    }
    AUTO_FREE char *copy = mem_strdup(names);
    char *rest = *names == '\0' ? NULL : copy;
    while (rest != NULL) {
        const char *steps[] = {"containers", strsep(&rest, ".")};
        for (size_t i = 0; i < ARRAY_COUNT(steps); i++) {
            bool made;
            int inner;
            int code = makes ? enter_directory(fd, steps[i], 0755, &made, &inner, err)
                             : open_directory(fd, steps[i], &inner, err);
            if (code < 0) {
                return code;
            }
            close(fd);
            fd = inner;
        }
    }
    *ret_fd = TAKE_FD(fd);
    return 0;
}

// The names in an id behind the outermost one's.
static const char *inner_names(const char *id)
{
    const char *dot = strchr(id, '.');
    return dot == NULL ? "" : dot + 1;
}

static int open_sandbox(const struct container *container, bool makes, int *ret_fd,
                        struct error *err)
{
    const struct container *root = container;
    while (root->parent != NULL) {
        root = root->parent;
    }
    return walk(root, inner_names(container->id), makes, ret_fd, err);
}

int container_open_sandbox(const struct container *container, int *ret_fd, struct error *err)
{
    return open_sandbox(container, false, ret_fd, err);
}

int container_open_nested_sandbox(const struct container *container, int *ret_fd, struct error *err)
{
    return open_sandbox(container, true, ret_fd, err);
}

int container_make_way(int start_fd, const char *path, bool whole, int *ret_fd,
                       const char **ret_name, struct error *err)
{
    struct stat owner;
    AUTO_CLOSE int fd = fcntl(start_fd, F_DUPFD_CLOEXEC, 3);
    if (fd < 0 || fstat(fd, &owner) < 0) {
        return error_errno(err, -errno, "Failed to look at the sandbox");
    }
    const char *at = path;
    for (;;) {
        size_t size = strcspn(at, "/");
        bool is_last = at[size] == '\0';
        if (is_last && !whole) {
            break;
        }
        AUTO_FREE char *name = mem_strndup(at, size);
        bool made;
        int inner;
        int code = enter_directory(fd, name, 0755, &made, &inner, err);
        if (code < 0) {
            return code;
        }
        close(fd);
        fd = inner;
        if (made && fchown(fd, owner.st_uid, owner.st_gid) < 0) {
            return error_errno(err, -errno, "Failed to change the owner of '%s'", name);
        }
        if (is_last) {
            at += size;
            break;
        }
        at += size + 1;
    }
    *ret_fd = TAKE_FD(fd);
    *ret_name = at;
    return 0;
}

static int make_link(const struct container *container, int parent_fd, int sandbox_fd,
                     const struct container_link *link, struct error *err)
{
    const char *name;
    // What is there may also be a link out of the sandbox: a volume that the agent put there.
    if (faccessat(parent_fd, link->target, F_OK, 0) < 0) {
        AUTO_CLOSE int made_fd = -1;
        int code = container_make_way(parent_fd, link->target, true, &made_fd, &name, err);
        if (code < 0) {
            return error_wrap(err, code, "Failed to create the directory '%s' in the sandbox",
                              link->target);
        }
    }
    AUTO_CLOSE int fd = -1;
    int code = container_make_way(sandbox_fd, link->path, false, &fd, &name, err);
    if (code < 0) {
        return error_wrap(err, code, "Failed to prepare the mount point '%s'", link->path);
    }
    AUTO_FREE char *target = mem_printf("%s/%s", container->parent->sandbox, link->target);
    if (symlinkat(target, fd, name) < 0) {
        return error_errno(err, -errno, "Failed to create the symlink '%s' -> '%s'", link->path,
                           target);
    }
    return 0;
}

int container_make_links(const struct container *container, int sandbox_fd, struct error *err)
{
    if (container->link_count == 0) {
        return 0;
    }
    AUTO_CLOSE int parent_fd = -1;
    int code = open_sandbox(container->parent, false, &parent_fd, err);
    for (size_t i = 0; code == 0 && i < container->link_count; i++) {
        code = make_link(container, parent_fd, sandbox_fd, &container->links[i], err);
    }
    return code;
}

// ---- the environment ----

static bool has_variable(char *const *environment, const char *name)
{
    size_t size = strlen(name);
    for (; *environment != NULL; environment++) {
        if (strncmp(*environment, name, size) == 0 && (*environment)[size] == '=') {
            return true;
        }
    }
    return false;
}

// As the kernel remembers it, for a container that an earlier agent launched. NULL: it does not.
static char **read_environment(const struct container *container, struct arena *arena)
{
    char path[64];
    pid_t pid = container_inner_pid(container);
    snprintf(path, sizeof(path), "/proc/%d/environ", (int)pid);
    char *data;
    size_t size;
    if (pid <= 0 || file_read(path, ENVIRONMENT_SIZE_MAX, &data, &size, NULL) < 0) {
        return NULL;
    }
    size_t count = 0;
    for (size_t i = 0; i < size; i++) {
        count += data[i] == '\0';
    }
    char **environment = arena_calloc(arena, count + 1, sizeof(environment[0]));
    size_t kept = 0;
    for (const char *at = data; at < data + size; at += strlen(at) + 1) {
        if (strchr(at, '=') != NULL && kept < count) {
            environment[kept++] = arena_strdup(arena, at);
        }
    }
    mem_free(data);
    return environment;
}

// The parent's (for a session), then `own`, each name once; then what must not be missing.
void container_complete_environment(struct container *container, char *const *own)
{
    struct arena *arena = container->arena;
    char **inherited = NULL;
    if (container->is_session) {
        inherited = container->parent->environment != NULL
                        ? container->parent->environment
                        : read_environment(container->parent, arena);
    }
    size_t capacity = 3;
    for (char *const *v = inherited; v != NULL && *v != NULL; v++) {
        capacity++;
    }
    for (char *const *v = own; v != NULL && *v != NULL; v++) {
        capacity++;
    }
    char **all = arena_calloc(arena, capacity, sizeof(all[0]));
    size_t count = 0;
    for (char *const *v = inherited; v != NULL && *v != NULL; v++) {
        AUTO_FREE char *name = mem_strndup(*v, strcspn(*v, "="));
        if (own == NULL || !has_variable(own, name)) {
            all[count++] = arena_strdup(arena, *v);
        }
    }
    for (char *const *v = own; v != NULL && *v != NULL; v++) {
        all[count++] = arena_strdup(arena, *v);
    }
    if (!container->is_session && !has_variable(all, "MESOS_SANDBOX")) {
        all[count++] = arena_printf(arena, "MESOS_SANDBOX=%s", container->sandbox);
    }
    if (!has_variable(all, "PATH")) {
        all[count++] = arena_strdup(arena, "PATH=" PATH_DEFAULT);
    }
    container->environment = all;
}

// ---- launching ----

bool container_is_inner_path(const char *path)
{
    if (*path == '\0' || *path == '/') {
        return false;
    }
    for (const char *at = path;; at++) {
        size_t size = strcspn(at, "/");
        if (size == 0 || (size == 1 && at[0] == '.') || (size == 2 && strncmp(at, "..", 2) == 0)) {
            return false;
        }
        at += size;
        if (*at == '\0') {
            return true;
        }
    }
}

static int check_links(const struct container_nesting *nesting, struct error *err)
{
    for (size_t i = 0; i < nesting->link_count; i++) {
        const struct container_link *link = &nesting->links[i];
        if (!container_is_inner_path(link->path) || !container_is_inner_path(link->target)) {
            return error_set(err, -EINVAL,
                             "The volume '%s' -> '%s' leads out of the sandbox, or nowhere",
                             link->path, link->target);
        }
    }
    return 0;
}

static bool is_name_sound(const char *name)
{
    for (const char *at = name; *at != '\0'; at++) {
        if (*at == '/' || (unsigned char)*at <= ' ' || *at == 0x7f) {
            return false;
        }
    }
    return *name != '\0';
}

// What is known of an earlier one of that id goes.
static void forget_end(struct container *root, const char *id);

int containerizer_launch_nested(struct containerizer *c, const struct container_launch *launch,
                                struct error *err)
{
    const char *id = launch->container_id;
    AUTO_FREE char *parent_id = container_parent_id(id);
    if (parent_id == NULL || !is_name_sound(strrchr(id, '.') + 1) || strlen(id) > ID_SIZE_MAX) {
        return error_set(err, -EINVAL, "Invalid container id '%s'", id);
    }
    if (map_has(&c->containers, id)) {
        return error_set(err, -EEXIST, "Container %s already exists", id);
    }
    struct container *parent = map_get(&c->containers, parent_id);
    if (parent == NULL || parent->is_orphan) {
        return error_set(err, -ENOENT, "Parent container %s does not exist", parent_id);
    }
    if (parent->state != CONTAINER_RUNNING && parent->state != CONTAINER_STARTING) {
        return error_set(err, -EBUSY, "Parent container %s is in '%s' state", parent_id,
                         parent->state == CONTAINER_DESTROYING ? "DESTROYING" : "PREPARING");
    }
    if (parent->has_mounts && parent->state != CONTAINER_RUNNING) {
        return error_set(err, -EBUSY, "Parent container %s is in 'PREPARING' state", parent_id);
    }
    if (parent->sandbox == NULL) {
        return error_set(err, -EBUSY, "The sandbox of container %s is not known", parent_id);
    }
    int code = check_links(launch->nesting, err);
    if (code == 0) {
        code = container_check_mounts(launch, err);
    }
    if (code < 0) {
        return code;
    }
    if (launch->command->value == NULL) {
        return error_set(err, -EINVAL, "The command of container %s has no value", id);
    }
    forget_end(container_find_root(c, id), id);
    AUTO_FREE char *sandbox = mem_printf("%s/containers/%s", parent->sandbox, strrchr(id, '.') + 1);
    struct container_launch order = *launch;
    order.sandbox = sandbox;
    order.stdout_name = "stdout";
    order.stderr_name = "stderr";
    order.outlives_agent = true; // so that a later agent finds it, if only to end it
    order.user = launch->user != NULL ? launch->user : parent->user_name;
    struct container *container = container_make(c, &order);
    container_adopt_child(parent, container);
    container->is_session = launch->nesting->is_session;
    container->has_mounts |= parent->has_mounts;
    container->shares_limits = !launch->nesting->owns_limits;
    container->directory = container->is_session ? parent->directory : container->sandbox;
    container->link_count = launch->nesting->link_count;
    container->links =
        arena_calloc(container->arena, container->link_count + 1, sizeof(container->links[0]));
    for (size_t i = 0; i < container->link_count; i++) {
        const struct container_link *link = &launch->nesting->links[i];
        container->links[i].path = arena_strdup(container->arena, link->path);
        container->links[i].target = arena_strdup(container->arena, link->target);
    }
    container_complete_environment(container, launch->environment);
    container_enqueue(container);
    return 0;
}

// ---- how they end ----

static struct container_end *end_free(struct container_end *end)
{
    if (end != NULL) {
        resources_free(end->limited);
        mem_free(end->message);
        mem_free(end);
    }
    return NULL;
}

static void forget_end(struct container *root, const char *id)
{
    struct container_end *end = root == NULL ? NULL : map_remove(&root->ended, id);
    if (end != NULL) {
        end_free(end);
        containerizer_forget(root->owner, id);
    }
}

void container_note_end(struct container *container,
                        const struct container_termination *termination)
{
    struct containerizer *c = container->owner;
    struct container *root = container_find_root(c, container->id);
    if (strchr(container->id, '.') == NULL || container->is_orphan) {
        return;
    }
    if (root == NULL || container->is_session) {
        containerizer_forget(c, container->id); // nobody will ask
    }
    if (root == NULL) {
        return;
    }
    struct container_end *end = mem_zalloc(sizeof(*end));
    end->termination = *termination;
    end->message = mem_strdup(termination->message);
    end->limited = termination->limited == NULL ? NULL : resources_copy(termination->limited);
    end->termination.message = end->message;
    end->termination.limited = end->limited;
    end_free(map_put(&root->ended, container->id, end));
    if (root->ended.count > ENDED_MAX) {
        size_t first = 0;
        AUTO_FREE char *oldest = mem_strdup(map_next(&root->ended, &first)->key);
        forget_end(root, oldest);
    }
}

void container_forget_ended(struct container *container, bool with_files)
{
    MAP_FOREACH (&container->ended, entry) {
        end_free(entry->value);
        if (with_files) {
            containerizer_forget(container->owner, entry->key);
        }
    }
    map_free(&container->ended);
    container->ended = MAP_INIT;
}

int containerizer_nested_end(const struct containerizer *c, const char *container_id,
                             const struct container_termination **ret_termination)
{
    const struct container *container = map_get(&c->containers, container_id);
    if (container != NULL && !container->is_orphan) {
        return 1;
    }
    const struct container *root = container_find_root(c, container_id);
    const struct container_end *end = root == NULL ? NULL : map_get(&root->ended, container_id);
    if (end == NULL) {
        return -ENOENT;
    }
    *ret_termination = &end->termination;
    return 0;
}

// ---- the other calls ----

int containerizer_kill(struct containerizer *c, const char *container_id, int signal,
                       struct error *err)
{
    struct container *container = map_get(&c->containers, container_id);
    if (container == NULL || container->is_orphan) {
        return error_set(err, -ENOENT, "Container '%s' cannot be found (or is already killed)",
                         container_id);
    }
    if (container->state == CONTAINER_DESTROYING) {
        return 0;
    }
    pid_t pid = container->state == CONTAINER_RUNNING ? container_inner_pid(container) : 0;
    if (pid <= 0) {
        log_warning("Unable to find the pid for container %s, destroying it", container_id);
        container_begin_destroy(container);
        return 0;
    }
    log_info("Sending %s to container %s", strsignal(signal), container_id);
    if (kill(pid, signal) < 0 && errno != ESRCH) {
        return error_errno(err, -errno, "Unable to send signal to container");
    }
    return 0;
}

static int remove_standalone(const struct containerizer *c, const char *container_id,
                             const char *trash, struct error *err)
{
    if (map_has(&c->containers, container_id)) {
        return error_set(err, -EBUSY, "Container has not terminated yet");
    }
    AUTO_FREE char *sandbox = containerizer_standalone_sandbox(c, container_id);
    if (rename(sandbox, trash) == 0) {
        return 0;
    }
    return errno == ENOENT
               ? error_set(err, -ENOENT, "Container %s cannot be found", container_id)
               : error_errno(err, -errno, "Failed to remove the sandbox directory '%s'", sandbox);
}

int containerizer_remove(struct containerizer *c, const char *container_id, const char *trash,
                         struct error *err)
{
    if (strchr(container_id, '.') == NULL) {
        return remove_standalone(c, container_id, trash, err);
    }
    struct container *root = container_find_root(c, container_id);
    if (map_has(&c->containers, container_id)) {
        return error_set(err, -EBUSY, "Nested container has not terminated yet");
    }
    if (root == NULL || root->is_orphan || root->sandbox == NULL) {
        return error_set(err, -ENOENT, "Unknown root container");
    }
    forget_end(root, container_id);
    AUTO_FREE char *parent_id = container_parent_id(container_id);
    AUTO_CLOSE int parent_fd = -1;
    if (walk(root, inner_names(parent_id), false, &parent_fd, NULL) < 0) {
        return 0;
    }
    AUTO_CLOSE int folder_fd = -1;
    if (open_directory(parent_fd, "containers", &folder_fd, NULL) < 0) {
        return 0;
    }
    const char *name = strrchr(container_id, '.') + 1;
    if (renameat(folder_fd, name, AT_FDCWD, trash) < 0 && errno != ENOENT) {
        return error_errno(err, -errno, "Failed to remove the sandbox directory '%s'", name);
    }
    return 0;
}

size_t containerizer_list(const struct containerizer *c, struct arena *arena,
                          const char *const **ret_ids)
{
    const char **ids = arena_calloc(arena, c->containers.count + 1, sizeof(ids[0]));
    size_t count = 0;
    MAP_FOREACH (&c->containers, entry) {
        const struct container *container = entry->value;
        if (!container->is_orphan) {
            ids[count++] = arena_strdup(arena, entry->key);
        }
    }
    *ret_ids = ids;
    return count;
}

pid_t containerizer_pid(const struct containerizer *c, const char *container_id)
{
    const struct container *container = map_get(&c->containers, container_id);
    return container == NULL ? 0 : container->pid;
}

bool containerizer_owns_limits(const struct containerizer *c, const char *container_id)
{
    const struct container *container = map_get(&c->containers, container_id);
    return container != NULL && !container->shares_limits;
}

bool containerizer_is_standalone(const struct containerizer *c, const char *container_id)
{
    const struct container *container = map_get(&c->containers, container_id);
    return container != NULL && container->is_standalone;
}

char *containerizer_standalone_sandbox(const struct containerizer *c, const char *container_id)
{
    return mem_printf("%s/containers/%s", c->work_dir, container_id);
}
