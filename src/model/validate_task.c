// SPDX-License-Identifier: Apache-2.0
//
// Checks of tasks, executors and what hangs on them: commands, containers, checks, resources.

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "model/resource_entry.h"
#include "model/validate.h"
#include "model/validate_parts.h"

// ---- commands ----

#define SECRET(NAME) MESOS__V1__SECRET__TYPE__##NAME
#define VARIABLE(NAME) MESOS__V1__ENVIRONMENT__VARIABLE__TYPE__##NAME

static int validate_secret(const Mesos__V1__Secret *secret, struct error *err)
{
    if (secret->has_type && secret->type == SECRET(REFERENCE)) {
        if (secret->reference == NULL) {
            return error_set(err, -EINVAL,
                             "Secret of type REFERENCE must have the 'reference' field set");
        }
        if (secret->value != NULL) {
            return error_set(err, -EINVAL,
                             "Secret '%s' of type REFERENCE must not have the 'value' field set",
                             secret->reference->name);
        }
    } else if (secret->has_type && secret->type == SECRET(VALUE)) {
        if (secret->value == NULL) {
            return error_set(err, -EINVAL, "Secret of type VALUE must have the 'value' field set");
        }
        if (secret->reference != NULL) {
            return error_set(err, -EINVAL,
                             "Secret of type VALUE must not have the 'reference' field set");
        }
    }
    return 0;
}

static int validate_secret_variable(const Mesos__V1__Environment__Variable *variable,
                                    struct error *err)
{
    if (variable->secret == NULL) {
        return error_set(err, -EINVAL,
                         "Environment variable '%s' of type 'SECRET' must have a secret set",
                         variable->name);
    }
    if (variable->value != NULL) {
        return error_set(err, -EINVAL,
                         "Environment variable '%s' of type 'SECRET' must not have a value set",
                         variable->name);
    }
    struct error why;
    int r = validate_secret(variable->secret, &why);
    if (r < 0) {
        return error_set(err, r, "Environment variable '%s' specifies an invalid secret: %s",
                         variable->name, why.text);
    }
    const Mesos__V1__Secret__Value *value = variable->secret->value;
    if (value != NULL && value->data.len > 0 &&
        memchr(value->data.data, '\0', value->data.len) != NULL) {
        return error_set(
            err, -EINVAL,
            "Environment variable '%s' specifies a secret containing null bytes, which "
            "is not allowed in the environment",
            variable->name);
    }
    return 0;
}

int validate_environment(const Mesos__V1__Environment *environment, struct error *err)
{
    for (size_t i = 0; i < environment->n_variables; i++) {
        const Mesos__V1__Environment__Variable *variable = environment->variables[i];
        int r = 0;
        if (variable->type == VARIABLE(SECRET)) {
            r = validate_secret_variable(variable, err);
        } else if (variable->type == VARIABLE(UNKNOWN)) {
            r = error_set(err, -EINVAL, "Environment variable of type 'UNKNOWN' is not allowed");
        } else if (variable->value == NULL) {
            r = error_set(err, -EINVAL,
                          "Environment variable '%s' of type 'VALUE' must have a value set",
                          variable->name);
        } else if (variable->secret != NULL) {
            r = error_set(err, -EINVAL,
                          "Environment variable '%s' of type 'VALUE' must not have a secret set",
                          variable->name);
        }
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

int validate_command(const Mesos__V1__CommandInfo *command, struct error *err)
{
    return command->environment != NULL ? validate_environment(command->environment, err) : 0;
}

// ---- containers ----

#define VOLUME_SOURCE(NAME) MESOS__V1__VOLUME__SOURCE__TYPE__##NAME

static int validate_volume_source(const Mesos__V1__Volume__Source *source, struct error *err)
{
    const struct {
        Mesos__V1__Volume__Source__Type type;
        const void *body;
        const char *text;
    } rows[] = {
        {VOLUME_SOURCE(DOCKER_VOLUME), source->docker_volume,
         "'source.docker_volume' is not set for DOCKER_VOLUME volume"},
        {VOLUME_SOURCE(HOST_PATH), source->host_path,
         "'source.host_path' is not set for HOST_PATH volume"},
        {VOLUME_SOURCE(SANDBOX_PATH), source->sandbox_path,
         "'source.sandbox_path' is not set for SANDBOX_PATH volume"},
        {VOLUME_SOURCE(SECRET), source->secret, "'source.secret' is not set for SECRET volume"},
        {VOLUME_SOURCE(CSI_VOLUME), source->csi_volume,
         "'source.csi_volume' is not set for CSI volume"},
    };
    for (size_t i = 0; source->has_type && i < ARRAY_COUNT(rows); i++) {
        if (rows[i].type != source->type) {
            continue;
        }
        if (rows[i].body == NULL) {
            return error_set(err, -EINVAL, "%s", rows[i].text);
        }
        if (source->type == VOLUME_SOURCE(CSI_VOLUME) &&
            source->csi_volume->static_provisioning == NULL) {
            return error_set(err, -EINVAL,
                             "'source.csi_volume.static_provisioning' is not set for CSI volume");
        }
        return 0;
    }
    return error_set(err, -EINVAL, "'source.type' is unknown");
}

static int validate_volume(const Mesos__V1__Volume *volume, struct error *err)
{
    int count = (volume->host_path != NULL) + (volume->image != NULL) + (volume->source != NULL);
    if (count != 1) {
        return error_set(err, -EINVAL,
                         "Only one of them should be set: 'host_path', 'image' and 'source'");
    }
    return volume->source != NULL ? validate_volume_source(volume->source, err) : 0;
}

int validate_container(const Mesos__V1__ContainerInfo *container, struct error *err)
{
    for (size_t i = 0; i < container->n_volumes; i++) {
        struct error why;
        int r = validate_volume(container->volumes[i], &why);
        if (r < 0) {
            return error_set(err, r, "Invalid volume: %s", why.text);
        }
    }
    if (container->type != MESOS__V1__CONTAINER_INFO__TYPE__DOCKER) {
        return 0;
    }
    if (container->docker == NULL) {
        return error_set(err, -EINVAL,
                         "DockerInfo 'docker' is not set for DOCKER typed ContainerInfo");
    }
    for (size_t i = 0; i < container->docker->n_parameters; i++) {
        if (strcmp(container->docker->parameters[i]->key, "name") == 0) {
            return error_set(err, -EINVAL, "Parameter in DockerInfo must not be 'name'");
        }
    }
    return 0;
}

// ---- checks ----

#define CHECK_TYPE(NAME) MESOS__V1__CHECK_INFO__TYPE__##NAME
#define HEALTH_TYPE(NAME) MESOS__V1__HEALTH_CHECK__TYPE__##NAME

// `kind` is "health check" or "check", `subject` the same at the start of a sentence.
static int validate_check_command(const Mesos__V1__CommandInfo *command, const char *kind,
                                  const char *subject, struct error *err)
{
    if (command == NULL) {
        return error_set(err, -EINVAL, "Expecting 'command' to be set for COMMAND %s", kind);
    }
    if (command->value == NULL) {
        return error_set(err, -EINVAL, "Command %s must contain %s", kind,
                         command->shell ? "'shell command'" : "'executable path'");
    }
    struct error why;
    int r = validate_command(command, &why);
    return r < 0 ? error_set(err, r, "%s's `CommandInfo` is invalid: %s", subject, why.text) : 0;
}

static int validate_check_path(const char *path, const char *kind, struct error *err)
{
    if (path != NULL && path[0] != '/') {
        return error_set(err, -EINVAL, "The path '%s' of HTTP %s must start with '/'", path, kind);
    }
    return 0;
}

struct check_time {
    const char *name;
    bool is_set;
    double seconds;
};

static int validate_check_times(const struct check_time *times, size_t count, struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        if (times[i].is_set && times[i].seconds < 0.0) {
            return error_set(err, -EINVAL, "Expecting '%s' to be non-negative", times[i].name);
        }
    }
    return 0;
}

static int validate_health_http(const Mesos__V1__HealthCheck__HTTPCheckInfo *http,
                                struct error *err)
{
    if (http == NULL) {
        return error_set(err, -EINVAL, "Expecting 'http' to be set for HTTP health check");
    }
    if (http->scheme != NULL && strcmp(http->scheme, "http") != 0 &&
        strcmp(http->scheme, "https") != 0) {
        return error_set(err, -EINVAL, "Unsupported HTTP health check scheme: '%s'", http->scheme);
    }
    return validate_check_path(http->path, "health check", err);
}

int validate_health_check(const Mesos__V1__HealthCheck *check, struct error *err)
{
    if (!check->has_type) {
        return error_set(err, -EINVAL, "HealthCheck must specify 'type'");
    }
    int r = 0;
    if (check->type == HEALTH_TYPE(COMMAND)) {
        r = validate_check_command(check->command, "health check", "Health check", err);
    } else if (check->type == HEALTH_TYPE(HTTP)) {
        r = validate_health_http(check->http, err);
    } else if (check->type == HEALTH_TYPE(TCP)) {
        r = check->tcp != NULL
                ? 0
                : error_set(err, -EINVAL, "Expecting 'tcp' to be set for TCP health check");
    } else {
        r = error_set(err, -EINVAL, "'UNKNOWN' is not a valid health check type");
    }
    const struct check_time times[] = {
        {"delay_seconds", check->has_delay_seconds, check->delay_seconds},
        {"grace_period_seconds", check->has_grace_period_seconds, check->grace_period_seconds},
        {"interval_seconds", check->has_interval_seconds, check->interval_seconds},
        {"timeout_seconds", check->has_timeout_seconds, check->timeout_seconds},
    };
    return r == 0 ? validate_check_times(times, ARRAY_COUNT(times), err) : r;
}

int validate_check(const Mesos__V1__CheckInfo *check, struct error *err)
{
    if (!check->has_type) {
        return error_set(err, -EINVAL, "CheckInfo must specify 'type'");
    }
    int r = 0;
    if (check->type == CHECK_TYPE(COMMAND)) {
        r = validate_check_command(check->command != NULL ? check->command->command : NULL, "check",
                                   "Check", err);
    } else if (check->type == CHECK_TYPE(HTTP)) {
        r = check->http != NULL
                ? validate_check_path(check->http->path, "check", err)
                : error_set(err, -EINVAL, "Expecting 'http' to be set for HTTP check");
    } else if (check->type == CHECK_TYPE(TCP)) {
        r = check->tcp != NULL ? 0
                               : error_set(err, -EINVAL, "Expecting 'tcp' to be set for TCP check");
    } else {
        r = error_set(err, -EINVAL, "'UNKNOWN' is not a valid check type");
    }
    const struct check_time times[] = {
        {"delay_seconds", check->has_delay_seconds, check->delay_seconds},
        {"interval_seconds", check->has_interval_seconds, check->interval_seconds},
        {"timeout_seconds", check->has_timeout_seconds, check->timeout_seconds},
    };
    return r == 0 ? validate_check_times(times, ARRAY_COUNT(times), err) : r;
}

int validate_kill_policy(const Mesos__V1__KillPolicy *policy, struct error *err)
{
    if (policy->grace_period != NULL && policy->grace_period->nanoseconds < 0) {
        return error_set(err, -EINVAL, "Task's 'kill_policy.grace_period' must be non-negative");
    }
    return 0;
}

// ---- resources ----

static bool is_message_reserved(const Mesos__V1__Resource *m)
{
    return m->n_reservations > 0 || (m->role != NULL && strcmp(m->role, "*") != 0);
}

static bool is_message_dynamic(const Mesos__V1__Resource *m)
{
    return m->reservation != NULL ||
           (m->n_reservations > 0 && m->reservations[m->n_reservations - 1]->type ==
                                         MESOS__V1__RESOURCE__RESERVATION_INFO__TYPE__DYNAMIC);
}

static int validate_disk_info(const Mesos__V1__Resource *m, struct error *err)
{
    const Mesos__V1__Resource__DiskInfo *disk = m->disk;
    if (disk->persistence == NULL) {
        if (disk->volume != NULL) {
            return error_set(err, -EINVAL, "Non-persistent volume not supported");
        }
        return disk->source != NULL ? 0 : error_set(err, -EINVAL, "DiskInfo is set but empty");
    }
    if (m->revocable != NULL) {
        return error_set(err, -EINVAL,
                         "Persistent volumes cannot be created from revocable resources");
    }
    if (!is_message_reserved(m)) {
        return error_set(err, -EINVAL,
                         "Persistent volumes cannot be created from unreserved resources");
    }
    if (disk->volume == NULL) {
        return error_set(err, -EINVAL, "Expecting 'volume' to be set for persistent volume");
    }
    if (disk->volume->host_path != NULL) {
        return error_set(err, -EINVAL, "Expecting 'host_path' to be unset for persistent volume");
    }
    struct error why;
    int r = validate_id(disk->persistence->id, &why);
    return r < 0 ? error_set(err, r, "Invalid persistence ID for persistent volume: %s", why.text)
                 : 0;
}

// validate_resources, and what they are, as validate_task has it.
static int read_resources(Mesos__V1__Resource *const *resources, size_t count,
                          struct resources **parsed, struct error *err)
{
    struct error why;
    int r = *parsed == NULL ? resources_from_proto(resources, count, parsed, &why) : 0;
    if (r < 0) {
        return error_set(err, r, "Invalid resources: %s", why.text);
    }
    if (resources_scalar(*parsed, "gpus") % 1000 != 0) {
        return error_set(
            err, -EINVAL,
            "Invalid 'gpus' resource: The 'gpus' resource must be an unsigned integer");
    }
    for (size_t i = 0; i < count; i++) {
        r = resources[i]->disk != NULL ? validate_disk_info(resources[i], &why) : 0;
        if (r < 0) {
            return error_set(err, r, "Invalid DiskInfo: %s", why.text);
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (is_message_dynamic(resources[i]) && resources[i]->revocable != NULL) {
            AUTO_BUF struct buf text = BUF_INIT;
            resource_put_text(resources[i], &text);
            return error_set(err, -EINVAL,
                             "Invalid ReservationInfo: Dynamically reserved resource %s cannot be "
                             "created from revocable resources",
                             text.data);
        }
    }
    return 0;
}

int validate_resources(Mesos__V1__Resource *const *resources, size_t count, struct error *err)
{
    AUTO_RESOURCES struct resources *parsed = NULL;
    return read_resources(resources, count, &parsed, err);
}

int validate_unique_volumes(const struct resources *r, struct error *err)
{
    for (uint32_t i = 0; i < r->count; i++) {
        const struct resource_kind *kind = r->entries[i].kind;
        if (!kind->persistent) {
            continue;
        }
        const char *id = kind->message->disk->persistence->id;
        bool is_double = !kind->shared && r->entries[i].count > 1;
        for (uint32_t k = 0; k < i && !is_double; k++) {
            const struct resource_kind *other = r->entries[k].kind;
            is_double = other->persistent && other->role == kind->role &&
                        strcmp(other->message->disk->persistence->id, id) == 0;
        }
        if (is_double) {
            return error_set(err, -EINVAL, "Persistence ID '%s' is not unique", id);
        }
    }
    return 0;
}

int validate_one_revocability(const struct resources *r, struct error *err)
{
    for (uint32_t i = 0; i < r->count; i++) {
        for (uint32_t k = 0; k < i; k++) {
            const struct resource_kind *a = r->entries[i].kind;
            const struct resource_kind *b = r->entries[k].kind;
            if (a->revocable != b->revocable && strcmp(a->name, b->name) == 0) {
                return error_set(
                    err, -EINVAL,
                    "Cannot use both revocable and non-revocable '%s' at the same time", a->name);
            }
        }
    }
    return 0;
}

int validate_owned_resources(Mesos__V1__Resource *const *messages, size_t count, const char *whose,
                             struct resources **parsed, struct error *err)
{
    struct error why;
    int r = read_resources(messages, count, parsed, &why);
    if (r < 0) {
        return error_set(err, r, "%s uses invalid resources: %s", whose, why.text);
    }
    r = validate_unique_volumes(*parsed, &why);
    if (r < 0) {
        return error_set(err, r, "%s uses duplicate persistence ID: %s", whose, why.text);
    }
    r = validate_one_revocability(*parsed, &why);
    if (r < 0) {
        return error_set(err, r, "%s mixes revocable and non-revocable resources: %s", whose,
                         why.text);
    }
    return 0;
}

bool validate_has_overlap(const struct resources *a, const struct resources *b)
{
    for (uint32_t i = 0; i < a->count; i++) {
        for (uint32_t k = 0; k < b->count; k++) {
            const struct resource_entry *x = &a->entries[i];
            const struct resource_entry *y = &b->entries[k];
            if (x->kind->identity != y->kind->identity) {
                continue;
            }
            if (x->kind->type == MESOS__V1__VALUE__TYPE__RANGES &&
                ranges_overlap(x->ranges, y->ranges)) {
                return true;
            }
            if (x->kind->type == MESOS__V1__VALUE__TYPE__SET && text_set_overlaps(x->set, y->set)) {
                return true;
            }
        }
    }
    return false;
}

// ---- executors ----

static int validate_executor_type(const Mesos__V1__ExecutorInfo *executor, struct error *err)
{
    if (!executor->has_type) {
        return 0;
    }
    if (executor->type == MESOS__V1__EXECUTOR_INFO__TYPE__CUSTOM) {
        return executor->command != NULL
                   ? 0
                   : error_set(err, -EINVAL,
                               "'ExecutorInfo.command' must be set for 'CUSTOM' executor");
    }
    if (executor->type != MESOS__V1__EXECUTOR_INFO__TYPE__DEFAULT) {
        return 0;
    }
    if (executor->command != NULL) {
        return error_set(err, -EINVAL,
                         "'ExecutorInfo.command' must not be set for 'DEFAULT' executor");
    }
    const Mesos__V1__ContainerInfo *container = executor->container;
    if (container == NULL) {
        return 0;
    }
    if (container->type != MESOS__V1__CONTAINER_INFO__TYPE__MESOS) {
        return error_set(err, -EINVAL,
                         "'ExecutorInfo.container.type' must be 'MESOS' for 'DEFAULT' executor");
    }
    if (container->mesos != NULL && container->mesos->image != NULL) {
        return error_set(
            err, -EINVAL,
            "'ExecutorInfo.container.mesos.image' must not be set for 'DEFAULT' executor");
    }
    return 0;
}

int validate_executor(const Mesos__V1__ExecutorInfo *executor, struct error *err)
{
    int r = validate_executor_type(executor, err);
    if (r == 0) {
        r = validate_id(executor->executor_id->value, err);
    }
    if (r < 0) {
        return r;
    }
    if (executor->shutdown_grace_period != NULL &&
        executor->shutdown_grace_period->nanoseconds < 0) {
        return error_set(err, -EINVAL,
                         "ExecutorInfo's 'shutdown_grace_period' must be non-negative");
    }
    struct error why;
    r = executor->command != NULL ? validate_command(executor->command, &why) : 0;
    if (r < 0) {
        return error_set(err, r, "Executor's `CommandInfo` is invalid: %s", why.text);
    }
    r = executor->container != NULL ? validate_container(executor->container, &why) : 0;
    if (r < 0) {
        return error_set(err, r, "Executor's `ContainerInfo` is invalid: %s", why.text);
    }
    return 0;
}

// ---- tasks ----

static const Mesos__V1__LinuxInfo *linux_info_of(const Mesos__V1__ContainerInfo *container)
{
    return container != NULL ? container->linux_info : NULL;
}

// Task and executor together.
static int validate_total(const struct resources *task, const struct resources *executor,
                          struct error *err)
{
    if (validate_has_overlap(task, executor)) {
        AUTO_BUF struct buf task_text = BUF_INIT;
        AUTO_BUF struct buf executor_text = BUF_INIT;
        resources_put_text(task, &task_text);
        resources_put_text(executor, &executor_text);
        return error_set(err, -EINVAL,
                         "There are overlapping resources in the task resources %s and executor "
                         "resources %s",
                         task_text.data, executor_text.data);
    }
    AUTO_RESOURCES struct resources *total = resources_copy(task);
    resources_add(total, executor);
    struct error why;
    int r = validate_unique_volumes(total, &why);
    if (r < 0) {
        return error_set(err, r, "Task and its executor use duplicate persistence ID: %s",
                         why.text);
    }
    r = validate_one_revocability(total, &why);
    if (r < 0) {
        return error_set(err, r,
                         "Task and its executor mix revocable and non-revocable resources: %s",
                         why.text);
    }
    return 0;
}

static int validate_task_executor(const Mesos__V1__ExecutorInfo *executor,
                                  const struct resources *task_resources, struct error *err)
{
    int r = validate_executor(executor, err);
    if (r < 0) {
        return r;
    }
    AUTO_RESOURCES struct resources *resources = NULL;
    r = validate_owned_resources(executor->resources, executor->n_resources, "Executor", &resources,
                                 err);
    if (r < 0) {
        return r;
    }
    if (executor->has_type && executor->type != MESOS__V1__EXECUTOR_INFO__TYPE__CUSTOM) {
        return error_set(err, -EINVAL, "'ExecutorInfo.type' must be 'CUSTOM'");
    }
    if (executor->command == NULL) {
        return error_set(err, -EINVAL, "'ExecutorInfo.command' must be set");
    }
    for (uint32_t i = 0; i < resources->count; i++) {
        if (resources->entries[i].kind->shared) {
            AUTO_BUF struct buf text = BUF_INIT;
            resources_put_text(resources, &text);
            return error_set(err, -EINVAL,
                             "Executor resources %s should not contain any shared resources",
                             text.data);
        }
    }
    const Mesos__V1__LinuxInfo *linux_info = linux_info_of(executor->container);
    if (linux_info != NULL && linux_info->has_share_cgroups && linux_info->share_cgroups) {
        return error_set(err, -EINVAL,
                         "The 'share_cgroups' field cannot be set to 'true' on executor "
                         "containers");
    }
    return validate_total(task_resources, resources, err);
}

static int validate_limits(const Mesos__V1__TaskInfo *task, const struct resources *resources,
                           struct error *err)
{
    for (size_t i = 0; i < task->n_limits; i++) {
        const char *name = task->limits[i]->key != NULL ? task->limits[i]->key : "";
        if (strcmp(name, "cpus") != 0 && strcmp(name, "mem") != 0) {
            return error_set(err, -EINVAL,
                             "Only cpus and mem may be included in a task's resource limits");
        }
    }
    for (size_t i = 0; i < task->n_limits; i++) {
        bool is_cpus = strcmp(task->limits[i]->key, "cpus") == 0;
        double limit = task->limits[i]->value != NULL ? task->limits[i]->value->value : 0;
        int64_t request = resources_scalar(resources, task->limits[i]->key);
        if (request == 0) {
            return error_set(err, -EINVAL,
                             "When a %s limit is specified, a %s request must also be specified",
                             is_cpus ? "CPU" : "memory", is_cpus ? "CPU" : "memory");
        }
        // An infinite limit is allowed: no limit.
        if (!(limit >= scalar_to_double(request))) {
            return error_set(err, -EINVAL,
                             "The %s limit must be greater than or equal to the %s request",
                             is_cpus ? "cpu" : "memory", is_cpus ? "cpu" : "memory");
        }
    }
    return 0;
}

// What stands before the resources in Mesos' order.
static int validate_task_head(const Mesos__V1__TaskInfo *task, struct error *err)
{
    int r = task->kill_policy != NULL ? validate_kill_policy(task->kill_policy, err) : 0;
    if (r < 0) {
        return r;
    }
    if (task->max_completion_time != NULL && task->max_completion_time->nanoseconds < 0) {
        return error_set(err, -EINVAL, "Task's `max_completion_time` must be non-negative");
    }
    struct error why;
    r = task->check != NULL ? validate_check(task->check, &why) : 0;
    if (r < 0) {
        return error_set(err, r, "Task uses invalid check: %s", why.text);
    }
    r = task->health_check != NULL ? validate_health_check(task->health_check, &why) : 0;
    if (r < 0) {
        return error_set(err, r, "Task uses invalid health check: %s", why.text);
    }
    if (task->n_resources == 0) {
        return error_set(err, -EINVAL, "Task uses no resources");
    }
    return 0;
}

int validate_task_parts(const Mesos__V1__TaskInfo *task, struct resources **resources,
                        struct error *err)
{
    int r = validate_task_head(task, err);
    if (r < 0) {
        return r;
    }
    r = validate_owned_resources(task->resources, task->n_resources, "Task", resources, err);
    if (r < 0) {
        return r;
    }
    struct error why;
    r = task->command != NULL ? validate_command(task->command, &why) : 0;
    if (r < 0) {
        return error_set(err, r, "Task's `CommandInfo` is invalid: %s", why.text);
    }
    r = task->container != NULL ? validate_container(task->container, &why) : 0;
    if (r < 0) {
        return error_set(err, r, "Task's `ContainerInfo` is invalid: %s", why.text);
    }
    return validate_limits(task, *resources, err);
}

int validate_task(const Mesos__V1__TaskInfo *task, struct resources **resources, struct error *err)
{
    int r = validate_task_parts(task, resources, err);
    if (r < 0) {
        return r;
    }
    if ((task->executor != NULL) == (task->command != NULL)) {
        return error_set(err, -EINVAL,
                         "Task should have at least one (but not both) of CommandInfo or "
                         "ExecutorInfo present");
    }
    r = task->executor != NULL ? validate_task_executor(task->executor, *resources, err) : 0;
    if (r < 0) {
        return r;
    }
    const Mesos__V1__LinuxInfo *linux_info = linux_info_of(task->container);
    if (linux_info != NULL && linux_info->has_share_cgroups && !linux_info->share_cgroups) {
        return error_set(err, -EINVAL,
                         "Only tasks in a task group may have 'share_cgroups' set to 'false'");
    }
    return 0;
}
