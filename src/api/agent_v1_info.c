// SPDX-License-Identifier: Apache-2.0
//
// The ContainerInfo of a nested container. What this agent's isolation cannot give is refused by
// name, rather than left out.

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#include "api/agent_v1.h"
#include "base/mem.h"
#include "model/validate.h"

#define SOURCE(name) MESOS__V1__VOLUME__SOURCE__TYPE__##name
#define SANDBOX_PATH(name) MESOS__V1__VOLUME__SOURCE__SANDBOX_PATH__TYPE__##name
#define LIMIT(name) [MESOS__V1__RLIMIT_INFO__RLIMIT__TYPE__RLMT_##name] = RLIMIT_##name + 1

static int unsupported(struct error *err, const char *what)
{
    return error_set(err, -ENOTSUP, "%s not supported by this agent", what);
}

// Without mounts of its own a container sees a place of its parent's sandbox by a symbolic link.
static int read_volume(const Mesos__V1__Volume *volume, bool is_session,
                       struct container_link *ret_link, struct error *err)
{
    const Mesos__V1__Volume__Source *source = volume->source;
    bool is_own = volume->host_path != NULL && volume->host_path[0] != '/';
    bool is_sandbox_path =
        source != NULL && source->has_type && source->type == SOURCE(SANDBOX_PATH);
    if (!is_own && !is_sandbox_path) {
        return unsupported(err, "Volumes other than those of type SANDBOX_PATH are");
    }
    if (is_session) {
        return error_set(err, -EINVAL, "SANDBOX_PATH volume is not supported for DEBUG containers");
    }
    const Mesos__V1__Volume__Source__SandboxPath *path = is_own ? NULL : source->sandbox_path;
    if (!is_own && (path == NULL || !path->has_type || path->type == SANDBOX_PATH(UNKNOWN))) {
        return error_set(err, -EINVAL, "Unknown SANDBOX_PATH volume type");
    }
    if (!is_own && path->path[0] == '/') {
        return error_set(err, -EINVAL, "Path '%s' in SANDBOX_PATH volume is absolute", path->path);
    }
    if (volume->container_path[0] == '/') {
        return error_set(err, -EINVAL,
                         "The 'linux' launcher and 'filesystem/linux' isolator must be enabled to "
                         "support SANDBOX_PATH volume with absolute container path");
    }
    if (is_own || path->type == SANDBOX_PATH(SELF)) {
        return error_set(err, -EINVAL,
                         "'container_path' is relative for SANDBOX_PATH volume SELF type");
    }
    if (volume->mode == MESOS__V1__VOLUME__MODE__RO) {
        return unsupported(err, "SANDBOX_PATH volumes of mode RO are");
    }
    ret_link->path = volume->container_path;
    ret_link->target = path->path;
    return 0;
}

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

static int read_linux(const Mesos__V1__LinuxInfo *info, struct error *err)
{
    if (info == NULL) {
        return 0;
    }
    if (info->capability_info != NULL || info->bounding_capabilities != NULL ||
        info->effective_capabilities != NULL) {
        return unsupported(err, "Linux capabilities are");
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
    return 0;
}

static int read_parts(const Mesos__V1__ContainerInfo *info, struct error *err)
{
    if (info->type != MESOS__V1__CONTAINER_INFO__TYPE__MESOS) {
        return error_set(err, -EINVAL, "The provided ContainerInfo is not supported");
    }
    if (info->mesos != NULL && info->mesos->image != NULL) {
        return unsupported(err, "Images are");
    }
    if (info->n_network_infos > 0) {
        return unsupported(err, "Networks of their own are");
    }
    if (info->hostname != NULL) {
        return unsupported(err, "Host names of their own are");
    }
    return read_linux(info->linux_info, err);
}

int agent_v1_read_info(const Mesos__V1__ContainerInfo *info, bool is_session, struct arena *arena,
                       struct agent_v1_info *ret_info, struct error *err)
{
    *ret_info = (struct agent_v1_info){0};
    if (info == NULL) {
        return 0;
    }
    int r = read_parts(info, err);
    ret_info->links = arena_calloc(arena, info->n_volumes + 1, sizeof(ret_info->links[0]));
    for (size_t i = 0; r == 0 && i < info->n_volumes; i++) {
        r = read_volume(info->volumes[i], is_session, &ret_info->links[i], err);
    }
    ret_info->link_count = info->n_volumes;
    size_t count = info->rlimit_info != NULL ? info->rlimit_info->n_rlimits : 0;
    ret_info->rlimits = arena_calloc(arena, count + 1, sizeof(ret_info->rlimits[0]));
    for (size_t i = 0; r == 0 && i < count; i++) {
        r = read_rlimit(info->rlimit_info->rlimits[i], &ret_info->rlimits[i], err);
    }
    ret_info->rlimit_count = count;
    ret_info->owns_limits = !validate_shares_cgroups(info);
    ret_info->has_tty = info->tty_info != NULL;
    if (ret_info->has_tty && info->tty_info->window_size != NULL) {
        ret_info->rows = (uint16_t)info->tty_info->window_size->rows;
        ret_info->columns = (uint16_t)info->tty_info->window_size->columns;
    }
    return r;
}
