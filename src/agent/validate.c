// SPDX-License-Identifier: Apache-2.0
//
// What is checked of an executor's call before it is acted on: Mesos' order, statuses and texts.

#include <errno.h>

#include "agent/internal.h"
#include "model/validate.h"

enum { HTTP_BAD_REQUEST = 400, HTTP_FORBIDDEN = 403, HTTP_NOT_IMPLEMENTED = 501 };

int agent_check_call(const struct agent *agent, const Mesos__V1__Executor__Call *call,
                     struct error *err)
{
    struct error why;
    if (validate_executor_call(call, &why) < 0) {
        error_set(err, -EINVAL, "Failed to validate Executor::Call: %s", why.text);
        return HTTP_BAD_REQUEST;
    }
    if (call->type == MESOS__V1__EXECUTOR__CALL__TYPE__HEARTBEAT) {
        return 0;
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
