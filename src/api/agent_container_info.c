// SPDX-License-Identifier: Apache-2.0
//
// What this agent's isolation cannot give is refused by name, rather than left out.

#include "api/agent_container_info.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/mem.h"
#include "model/validate.h"
#include "wire/wire.h"

#define SOURCE(name) MESOS__V1__VOLUME__SOURCE__TYPE__##name
#define SANDBOX_PATH(name) MESOS__V1__VOLUME__SOURCE__SANDBOX_PATH__TYPE__##name
#define LIMIT(name) [MESOS__V1__RLIMIT_INFO__RLIMIT__TYPE__RLMT_##name] = RLIMIT_##name + 1
#define CAPABILITY_FIRST MESOS__V1__CAPABILITY_INFO__CAPABILITY__CHOWN // Linux' number 0

struct reading {
    const struct containerizer *containerizer;
    enum agent_container_kind kind;
    struct container_mount *mounts;
    size_t mount_count;
    struct container_link *links;
    size_t link_count;
};

static int unsupported(struct error *err, const char *what)
{
    return error_set(err, -ENOTSUP, "%s not supported by this agent", what);
}

// ---- volumes ----

// By mounts where the agent was told to use them, and where nothing else keeps a volume read-only.
static bool wants_mount(const struct reading *r, const Mesos__V1__Volume *volume)
{
    return containerizer_mounts(r->containerizer) || volume->mode == MESOS__V1__VOLUME__MODE__RO;
}

static int add_mount(struct reading *r, int from, const char *source,
                     const Mesos__V1__Volume *volume, struct error *err)
{
    bool is_read_only = volume->mode == MESOS__V1__VOLUME__MODE__RO;
    if (geteuid() != 0) {
        return error_set(err, -EPERM, "%s volumes need an agent of root",
                         is_read_only ? "Read-only" : "Mounted");
    }
    struct container_mount *mount = &r->mounts[r->mount_count++];
    mount->from = from;
    mount->source = source;
    mount->target = volume->container_path;
    mount->is_read_only = is_read_only;
    return 0;
}

static int read_host_path(struct reading *r, const Mesos__V1__Volume *volume, const char *path,
                          struct error *err)
{
    if (path[0] != '/') {
        return error_set(err, -EINVAL, "Path '%s' in HOST_PATH volume is not absolute", path);
    }
    if (r->kind == AGENT_CONTAINER_SESSION) {
        return error_set(err, -EINVAL, "HOST_PATH volume is not supported for DEBUG containers");
    }
    if (!containerizer_mounts(r->containerizer)) {
        return error_set(err, -ENOTSUP,
                         "Volumes in ContainerInfo is not supported: the isolator "
                         "'filesystem/linux' must be used for those of type HOST_PATH");
    }
    return strcmp(path, volume->container_path) == 0
               ? 0 // it is there already
               : add_mount(r, CONTAINER_MOUNT_HOST, path, volume, err);
}

static int read_sandbox_path(struct reading *r, const Mesos__V1__Volume *volume, bool is_own,
                             const char *path, struct error *err)
{
    bool is_absolute = volume->container_path[0] == '/';
    if (r->kind == AGENT_CONTAINER_SESSION) {
        return error_set(err, -EINVAL, "SANDBOX_PATH volume is not supported for DEBUG containers");
    }
    if (path[0] == '/') {
        return error_set(err, -EINVAL, "Path '%s' in SANDBOX_PATH volume is absolute", path);
    }
    if (!containerizer_mounts(r->containerizer) && is_absolute) {
        return error_set(err, -EINVAL,
                         "The 'linux' launcher and 'filesystem/linux' isolator must be enabled to "
                         "support SANDBOX_PATH volume with absolute container path");
    }
    if (is_own && !is_absolute) {
        return error_set(err, -EINVAL,
                         "'container_path' is relative for SANDBOX_PATH volume SELF type");
    }
    if (is_own) {
        return add_mount(r, CONTAINER_MOUNT_OWN, path, volume, err);
    }
    if (r->kind != AGENT_CONTAINER_NESTED) {
        return error_set(err, -EINVAL,
                         "SANDBOX_PATH volume PARENT type only works for nested container");
    }
    if (wants_mount(r, volume)) {
        return add_mount(r, CONTAINER_MOUNT_PARENT, path, volume, err);
    }
    struct container_link *link = &r->links[r->link_count++];
    link->path = volume->container_path;
    link->target = path;
    return 0;
}

static int read_volume(struct reading *r, const Mesos__V1__Volume *volume, struct error *err)
{
    const Mesos__V1__Volume__Source *source = volume->source;
    if (volume->image != NULL) {
        return unsupported(err, "Volumes of images are");
    }
    if (volume->host_path != NULL) {
        // Its older meaning: a relative one is of the sandbox.
        return volume->host_path[0] == '/'
                   ? read_host_path(r, volume, volume->host_path, err)
                   : read_sandbox_path(r, volume, true, volume->host_path, err);
    }
    if (source != NULL && source->has_type && source->type == SOURCE(HOST_PATH)) {
        const Mesos__V1__MountPropagation *propagation = source->host_path->mount_propagation;
        if (propagation != NULL && propagation->has_mode &&
            propagation->mode == MESOS__V1__MOUNT_PROPAGATION__MODE__BIDIRECTIONAL) {
            return unsupported(err, "Mounts that propagate to the host are");
        }
        return read_host_path(r, volume, source->host_path->path, err);
    }
    if (source != NULL && source->has_type && source->type == SOURCE(SANDBOX_PATH)) {
        const Mesos__V1__Volume__Source__SandboxPath *path = source->sandbox_path;
        if (!path->has_type || path->type == SANDBOX_PATH(UNKNOWN)) {
            return error_set(err, -EINVAL, "Unknown SANDBOX_PATH volume type");
        }
        return read_sandbox_path(r, volume, path->type == SANDBOX_PATH(SELF), path->path, err);
    }
    return unsupported(err, "Volumes other than those of type HOST_PATH and SANDBOX_PATH are");
}

// ---- limits of processes, capabilities ----

static int read_rlimit(const Mesos__V1__RLimitInfo__RLimit *limit, struct container_rlimit *ret,
                       struct error *err)
{
    static const int resources[] = {
        LIMIT(AS),       LIMIT(CORE),   LIMIT(CPU),     LIMIT(DATA),
        LIMIT(FSIZE),    LIMIT(LOCKS),  LIMIT(MEMLOCK), LIMIT(NICE),
        LIMIT(MSGQUEUE), LIMIT(NOFILE), LIMIT(NPROC),   LIMIT(RSS),
        LIMIT(RTTIME),   LIMIT(RTPRIO), LIMIT(STACK),   LIMIT(SIGPENDING),
    };
    if (!limit->has_type || (size_t)limit->type >= ARRAY_COUNT(resources) ||
        resources[limit->type] == 0) {
        return error_set(err, -EINVAL, "Unknown rlimit type");
    }
    if (limit->has_soft != limit->has_hard) {
        return error_set(err, -EINVAL,
                         "Expecting both or neither of an rlimit's 'soft' and 'hard' to be set");
    }
    if (limit->has_soft && limit->soft > limit->hard) {
        return error_set(err, -EINVAL, "An rlimit's 'soft' is above its 'hard'");
    }
    *ret = (struct container_rlimit){
        .resource = resources[limit->type] - 1,
        .soft = limit->has_soft ? limit->soft : RLIM_INFINITY,
        .hard = limit->has_hard ? limit->hard : RLIM_INFINITY,
    };
    return 0;
}

static int read_capabilities(const Mesos__V1__CapabilityInfo *info, uint64_t *ret_set,
                             struct error *err)
{
    *ret_set = 0;
    for (size_t i = 0; i < info->n_capabilities; i++) {
        int number = (int)info->capabilities[i] - (int)CAPABILITY_FIRST;
        if (number < 0 || number >= 64) {
            return error_set(err, -EINVAL, "Unknown capability");
        }
        *ret_set |= UINT64_C(1) << number;
    }
    return 0;
}

// Mesos' rules: without a bounding set the effective one is the most as well.
static int read_capability_sets(const Mesos__V1__LinuxInfo *info, struct container_launch *launch,
                                struct error *err)
{
    const Mesos__V1__CapabilityInfo *effective = info->effective_capabilities;
    if (effective != NULL && info->capability_info != NULL) {
        return error_set(err, -EINVAL,
                         "Only one of 'capability_info' or 'effective_capabilities' is allowed");
    }
    effective = effective != NULL ? effective : info->capability_info;
    const Mesos__V1__CapabilityInfo *bounding =
        info->bounding_capabilities != NULL ? info->bounding_capabilities : effective;
    int r = bounding != NULL ? read_capabilities(bounding, &launch->bounding, err) : 0;
    if (r == 0 && effective != NULL) {
        r = read_capabilities(effective, &launch->effective, err);
    }
    launch->has_bounding = bounding != NULL;
    launch->has_effective = effective != NULL;
    if (r == 0 && (launch->effective & ~launch->bounding) != 0) {
        return error_set(err, -EINVAL,
                         "Requested capabilities are not all within the bounding capabilities");
    }
    return r;
}

static int read_linux(const Mesos__V1__LinuxInfo *info, struct container_launch *launch,
                      struct error *err)
{
    if (info == NULL) {
        return 0;
    }
    if (info->seccomp != NULL) {
        return unsupported(err, "Seccomp profiles are");
    }
    if (info->has_share_pid_namespace && !info->share_pid_namespace) {
        return unsupported(err, "PID namespaces of their own are");
    }
    if ((info->has_ipc_mode && info->ipc_mode == MESOS__V1__LINUX_INFO__IPC_MODE__PRIVATE) ||
        info->has_shm_size) {
        return unsupported(err, "IPC namespaces and sizes of /dev/shm are");
    }
    return read_capability_sets(info, launch, err);
}

// ---- the whole ----

static int read_parts(const Mesos__V1__ContainerInfo *info, enum agent_container_kind kind,
                      struct container_launch *launch, struct error *err)
{
    if (info->type != MESOS__V1__CONTAINER_INFO__TYPE__MESOS) {
        return kind == AGENT_CONTAINER_OUTERMOST && !launch->is_standalone
                   ? error_set(err, -ENOTSUP,
                               "None of the enabled containerizers (mesos) could create a "
                               "container for the provided TaskInfo/ExecutorInfo message")
                   : error_set(err, -EINVAL, "The provided ContainerInfo is not supported");
    }
    if (info->mesos != NULL && info->mesos->image != NULL) {
        return unsupported(err, "Images are");
    }
    for (size_t i = 0; i < info->n_network_infos; i++) {
        // One without a name says no more than that the host's network is used.
        if (info->network_infos[i]->name != NULL) {
            return unsupported(err, "Networks of their own are");
        }
    }
    if (info->hostname != NULL) {
        return unsupported(err, "Host names of their own are");
    }
    return read_linux(info->linux_info, launch, err);
}

static int read_lists(struct reading *reading, const Mesos__V1__ContainerInfo *info,
                      struct arena *arena, struct container_launch *launch, struct error *err)
{
    int r = 0;
    reading->links = arena_calloc(arena, info->n_volumes + 1, sizeof(reading->links[0]));
    reading->mounts = arena_calloc(arena, info->n_volumes + 1, sizeof(reading->mounts[0]));
    for (size_t i = 0; r == 0 && i < info->n_volumes; i++) {
        r = read_volume(reading, info->volumes[i], err);
    }
    size_t count = info->rlimit_info != NULL ? info->rlimit_info->n_rlimits : 0;
    struct container_rlimit *rlimits = arena_calloc(arena, count + 1, sizeof(rlimits[0]));
    for (size_t i = 0; r == 0 && i < count; i++) {
        r = read_rlimit(info->rlimit_info->rlimits[i], &rlimits[i], err);
    }
    launch->rlimits = rlimits;
    launch->rlimit_count = count;
    launch->mounts = reading->mounts;
    launch->mount_count = reading->mount_count;
    return r;
}

int agent_container_info_read(const struct containerizer *containerizer,
                              const Mesos__V1__ContainerInfo *info, enum agent_container_kind kind,
                              struct arena *arena, struct container_launch *launch,
                              struct container_nesting *nesting, struct error *err)
{
    if (info == NULL) {
        return 0;
    }
    struct reading reading = {.containerizer = containerizer, .kind = kind};
    int r = read_parts(info, kind, launch, err);
    if (r == 0) {
        r = read_lists(&reading, info, arena, launch, err);
    }
    if (r < 0) {
        return r;
    }
    if (nesting != NULL) {
        nesting->owns_limits = !validate_shares_cgroups(info);
        nesting->links = reading.links;
        nesting->link_count = reading.link_count;
    }
    launch->tty.is_wanted = info->tty_info != NULL;
    if (info->tty_info != NULL && info->tty_info->window_size != NULL) {
        launch->tty.rows = (uint16_t)info->tty_info->window_size->rows;
        launch->tty.columns = (uint16_t)info->tty_info->window_size->columns;
    }
    return 0;
}
