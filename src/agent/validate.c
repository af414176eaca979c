// SPDX-License-Identifier: Apache-2.0
//
// What is checked of an executor's call before it is acted on: Mesos' order, statuses and texts.

#include <errno.h>
#include <string.h>

#include "agent/internal.h"

enum { HTTP_BAD_REQUEST = 400, HTTP_FORBIDDEN = 403, HTTP_NOT_IMPLEMENTED = 501 };

#define INVALID "Failed to validate Executor::Call: "

static int check_check_status(const Mesos__V1__CheckStatusInfo *check, struct error *err)
{
    if (!check->has_type) {
        error_set(err, -EINVAL, INVALID "CheckStatusInfo must specify 'type'");
        return HTTP_BAD_REQUEST;
    }
    const char *lacking = NULL;
    switch (check->type) {
    case MESOS__V1__CHECK_INFO__TYPE__COMMAND:
        lacking = check->command == NULL ? "command" : NULL;
        break;
    case MESOS__V1__CHECK_INFO__TYPE__HTTP:
        lacking = check->http == NULL ? "http" : NULL;
        break;
    case MESOS__V1__CHECK_INFO__TYPE__TCP:
        lacking = check->tcp == NULL ? "tcp" : NULL;
        break;
    default:
        error_set(err, -EINVAL, INVALID "'%s' is not a valid check's status type", "UNKNOWN");
        return HTTP_BAD_REQUEST;
    }
    if (lacking != NULL) {
        error_set(err, -EINVAL, INVALID "Expecting '%s' to be set for %s check's status", lacking,
                  lacking);
        return HTTP_BAD_REQUEST;
    }
    return 0;
}

static int check_update(const Mesos__V1__Executor__Call *call, struct error *err)
{
    if (call->update == NULL) {
        error_set(err, -EINVAL, INVALID "Expecting 'update' to be present");
        return HTTP_BAD_REQUEST;
    }
    const Mesos__V1__TaskStatus *status = call->update->status;
    const char *executor_id = call->executor_id->value;
    const char *framework_id = call->framework_id->value;
    if (!status->has_uuid) {
        error_set(err, -EINVAL, INVALID "Expecting 'uuid' to be present");
    } else if (status->uuid.len != UUID_SIZE) {
        error_set(err, -EINVAL, INVALID "Not a valid UUID");
    } else if (status->executor_id != NULL &&
               strcmp(status->executor_id->value, executor_id) != 0) {
        error_set(err, -EINVAL,
                  INVALID "ExecutorID in Call: %s does not match ExecutorID in TaskStatus: %s",
                  executor_id, status->executor_id->value);
    } else if (!status->has_source ||
               status->source != MESOS__V1__TASK_STATUS__SOURCE__SOURCE_EXECUTOR) {
        error_set(err, -EINVAL,
                  INVALID "Received Call from executor %s of framework %s with invalid source, "
                          "expecting 'SOURCE_EXECUTOR'",
                  executor_id, framework_id);
    } else if (status->state == MESOS__V1__TASK_STATE__TASK_STAGING) {
        error_set(err, -EINVAL,
                  INVALID "Received TASK_STAGING from executor %s of framework %s which is not "
                          "allowed",
                  executor_id, framework_id);
    } else if (status->check_status != NULL) {
        return check_check_status(status->check_status, err);
    } else {
        return 0;
    }
    return HTTP_BAD_REQUEST;
}

static int check_body(const Mesos__V1__Executor__Call *call, struct error *err)
{
    if (!call->has_type) {
        error_set(err, -EINVAL, INVALID "Expecting 'type' to be present");
        return HTTP_BAD_REQUEST;
    }
    switch (call->type) {
    case MESOS__V1__EXECUTOR__CALL__TYPE__SUBSCRIBE:
        if (call->subscribe == NULL) {
            error_set(err, -EINVAL, INVALID "Expecting 'subscribe' to be present");
            return HTTP_BAD_REQUEST;
        }
        return 0;
    case MESOS__V1__EXECUTOR__CALL__TYPE__UPDATE:
        return check_update(call, err);
    case MESOS__V1__EXECUTOR__CALL__TYPE__MESSAGE:
        if (call->message == NULL) {
            error_set(err, -EINVAL, INVALID "Expecting 'message' to be present");
            return HTTP_BAD_REQUEST;
        }
        return 0;
    default:
        return 0;
    }
}

int agent_check_call(const struct agent *agent, const Mesos__V1__Executor__Call *call,
                     struct error *err)
{
    int status = check_body(call, err);
    if (status != 0 || call->type == MESOS__V1__EXECUTOR__CALL__TYPE__HEARTBEAT) {
        return status;
    }
    struct agent_framework *framework = map_get(&agent->frameworks, call->framework_id->value);
    if (framework == NULL) {
        error_set(err, -ENOENT, "Framework cannot be found");
        return HTTP_BAD_REQUEST;
    }
    struct agent_executor *executor = map_get(&framework->executors, call->executor_id->value);
    if (executor == NULL) {
        error_set(err, -ENOENT, "Executor cannot be found");
        return HTTP_BAD_REQUEST;
    }
    if (executor->state == EXECUTOR_REGISTERING &&
        call->type != MESOS__V1__EXECUTOR__CALL__TYPE__SUBSCRIBE) {
        error_set(err, -EPERM, "Executor is not subscribed");
        return HTTP_FORBIDDEN;
    }
    if (call->type == MESOS__V1__EXECUTOR__CALL__TYPE__UNKNOWN) {
        error_set(err, -ENOSYS, "The call's type is not known");
        return HTTP_NOT_IMPLEMENTED;
    }
    return 0;
}
