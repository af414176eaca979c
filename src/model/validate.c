// SPDX-License-Identifier: Apache-2.0
//
// Checks of ids, roles, frameworks and calls.

#include "model/validate.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/uuid.h"
#include "model/framework.h"
#include "wire/wire.h"

// ---- ids and roles ----

int validate_id(const char *id, struct error *err)
{
    size_t size = strlen(id);
    if (size == 0) {
        return error_set(err, -EINVAL, "ID must not be empty");
    }
    if (size > 255) {
        return error_set(err, -EINVAL, "ID must not be greater than 255 characters");
    }
    if (strcmp(id, ".") == 0 || strcmp(id, "..") == 0) {
        return error_set(err, -EINVAL, "'%s' is disallowed", id);
    }
    for (const unsigned char *c = (const unsigned char *)id; *c != '\0'; c++) {
        if (*c < 0x20 || *c == 0x7f || *c == '/' || *c == '\\') {
            return error_set(err, -EINVAL, "'%s' contains invalid characters", id);
        }
    }
    return 0;
}

static int validate_role_component(const char *role, const char *component, size_t size,
                                   struct error *err)
{
    if (size == 1 && (*component == '.' || *component == '*')) {
        return error_set(err, -EINVAL, "Role '%s' cannot include '%c' as a component", role,
                         *component);
    }
    if (size == 2 && memcmp(component, "..", 2) == 0) {
        return error_set(err, -EINVAL, "Role '%s' cannot include '..' as a component", role);
    }
    if (*component == '-') {
        return error_set(err, -EINVAL,
                         "Role component '%.*s' is invalid because it starts with a dash",
                         (int)size, component);
    }
    if (strcspn(component, "\t\n\v\f\r \x7f") < size) {
        return error_set(
            err, -EINVAL,
            "Role component '%.*s' is invalid because it contains backspace or whitespace",
            (int)size, component);
    }
    return 0;
}

int validate_role(const char *role, struct error *err)
{
    if (role[0] == '*' && role[1] == '\0') {
        return 0;
    }
    size_t size = strlen(role);
    if (role[0] == '/') {
        return error_set(err, -EINVAL, "Role '%s' cannot start with a slash", role);
    }
    if (size > 0 && role[size - 1] == '/') {
        return error_set(err, -EINVAL, "Role '%s' cannot end with a slash", role);
    }
    if (strstr(role, "//") != NULL) {
        return error_set(err, -EINVAL, "Role '%s' cannot contain two adjacent slashes", role);
    }
    if (size == 0) {
        return error_set(err, -EINVAL, "Role names cannot be the empty string");
    }
    for (const char *component = role;; component++) {
        size_t component_size = strcspn(component, "/");
        int r = validate_role_component(role, component, component_size, err);
        if (r < 0) {
            return r;
        }
        component += component_size;
        if (*component == '\0') {
            return 0;
        }
    }
}

// ---- frameworks ----

static int validate_multiple_roles(const Mesos__V1__FrameworkInfo *info, struct error *err)
{
    struct map seen = MAP_INIT;
    int r = 0;
    for (size_t i = 0; i < info->n_roles && r == 0; i++) {
        if (map_put(&seen, info->roles[i], info->roles[i]) != NULL) {
            r = error_set(err, -EINVAL, "'FrameworkInfo.roles' contains duplicate items: { %s }",
                          info->roles[i]);
        }
    }
    map_free(&seen);
    for (size_t i = 0; i < info->n_roles && r == 0; i++) {
        struct error why;
        r = validate_role(info->roles[i], &why);
        if (r < 0) {
            error_set(err, r, "'FrameworkInfo.roles' contains invalid role: %s", why.text);
        }
    }
    return r;
}

static int validate_roles(const Mesos__V1__FrameworkInfo *info, struct error *err)
{
    bool has_role =
        info->role != NULL && info->role != mesos__v1__framework_info__role__default_value;
    if (FRAMEWORK_HAS(framework_capabilities(info), MULTI_ROLE)) {
        if (has_role) {
            return error_set(err, -EINVAL,
                             "'FrameworkInfo.role' must not be set when the framework is "
                             "MULTI_ROLE capable");
        }
        return validate_multiple_roles(info, err);
    }
    if (info->n_roles > 0) {
        return error_set(err, -EINVAL,
                         "'FrameworkInfo.roles' must not be set when the framework is not "
                         "MULTI_ROLE capable");
    }
    struct error why;
    int r = validate_role(info->role != NULL ? info->role : "*", &why);
    return r < 0 ? error_set(err, r, "'FrameworkInfo.role' is not a valid role: %s", why.text) : 0;
}

// What --min_allocatable_resources and offer filters may ask for.
static int validate_quantity(double value, struct error *err)
{
    if (__builtin_isinf(value)) {
        return error_set(err, -EINVAL, "Infinite values not supported");
    }
    if (__builtin_isnan(value)) {
        return error_set(err, -EINVAL, "NaN not supported");
    }
    if (value != 0 && !__builtin_isnormal(value)) {
        return error_set(err, -EINVAL, "Subnormal values not supported");
    }
    if (value < 0) {
        return error_set(err, -EINVAL, "Negative values not supported");
    }
    return 0;
}

static int validate_offer_filters(const Mesos__V1__OfferFilters *filters, struct error *err)
{
    if (filters == NULL || filters->min_allocatable_resources == NULL) {
        return 0;
    }
    const Mesos__V1__OfferFilters__MinAllocatableResources *least =
        filters->min_allocatable_resources;
    for (size_t i = 0; i < least->n_quantities; i++) {
        if (least->quantities[i]->n_quantities == 0) {
            return error_set(err, -EINVAL,
                             "Resource quantities must contain at least one quantity");
        }
        for (size_t k = 0; k < least->quantities[i]->n_quantities; k++) {
            const Mesos__V1__OfferFilters__ResourceQuantities__QuantitiesEntry *entry =
                least->quantities[i]->quantities[k];
            struct error why;
            int r = entry->value != NULL ? validate_quantity(entry->value->value, &why) : 0;
            if (r < 0) {
                return error_set(err, r, "Invalid resource quantity for '%s': %s",
                                 entry->key != NULL ? entry->key : "", why.text);
            }
        }
    }
    return 0;
}

int validate_framework_info(const Mesos__V1__FrameworkInfo *info, struct error *err)
{
    int r = validate_roles(info, err);
    if (r == 0 && info->id != NULL && info->id->value[0] != '\0') {
        r = validate_id(info->id->value, err);
    }
    for (size_t i = 0; i < info->n_offer_filters && r == 0; i++) {
        r = validate_offer_filters(info->offer_filters[i]->value, err);
    }
    if (r < 0) {
        return r;
    }
    // Nanoseconds must fit into 64 bits.
    if (!(info->failover_timeout * 1e9 < 9223372036854775807.0 &&
          info->failover_timeout * 1e9 > -9223372036854775808.0)) {
        return error_set(err, -EINVAL, "The framework failover_timeout (%g) is invalid",
                         info->failover_timeout);
    }
    return 0;
}

static bool is_same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

int validate_framework_update(const Mesos__V1__FrameworkInfo *before,
                              const Mesos__V1__FrameworkInfo *after, struct error *err)
{
    if (!is_same_text(before->principal, after->principal)) {
        return error_set(err, -EINVAL, "Changing framework's principal is not allowed.");
    }
    if (!is_same_text(before->user, after->user)) {
        return error_set(err, -EINVAL,
                         "Updating 'FrameworkInfo.user' is unsupported; attempted to update from "
                         "'%s' to '%s'",
                         before->user, after->user);
    }
    if (!before->checkpoint != !after->checkpoint) {
        return error_set(err, -EINVAL,
                         "Updating 'FrameworkInfo.checkpoint' is unsupported; attempted to update "
                         "from '%s' to '%s'",
                         before->checkpoint ? "true" : "false",
                         after->checkpoint ? "true" : "false");
    }
    return 0;
}

static bool has_role(const Mesos__V1__FrameworkInfo *info, const char *role)
{
    if (!FRAMEWORK_HAS(framework_capabilities(info), MULTI_ROLE)) {
        return strcmp(info->role != NULL ? info->role : "*", role) == 0;
    }
    for (size_t i = 0; i < info->n_roles; i++) {
        if (strcmp(info->roles[i], role) == 0) {
            return true;
        }
    }
    return false;
}

int validate_suppressed_roles(const Mesos__V1__FrameworkInfo *info, char *const *suppressed,
                              size_t suppressed_count, struct error *err)
{
    for (size_t i = 0; i < suppressed_count; i++) {
        if (!has_role(info, suppressed[i])) {
            return error_set(err, -EINVAL,
                             "Suppressed roles { %s } are not contained in the set of roles",
                             suppressed[i]);
        }
    }
    return 0;
}

// ---- calls ----

static int validate_uuid(const ProtobufCBinaryData *bytes, struct error *err)
{
    if (bytes->len == UUID_SIZE) {
        unsigned version = bytes->data[6] >> 4;
        if (version >= 1 && version <= 5) {
            return 0;
        }
    }
    return error_set(err, -EINVAL, "Not a valid UUID");
}

static const char *text_of(const Mesos__V1__FrameworkID *id)
{
    return id != NULL ? id->value : "";
}

static int expect(const void *body, const char *name, struct error *err)
{
    return body != NULL ? 0 : error_set(err, -EINVAL, "Expecting '%s' to be present", name);
}

#define SCHEDULER_CALL(NAME) MESOS__V1__SCHEDULER__CALL__TYPE__##NAME

static int validate_acknowledge_operation(
    const Mesos__V1__Scheduler__Call__AcknowledgeOperationStatus *acknowledge, struct error *err)
{
    int r = expect(acknowledge, "acknowledge_operation_status", err);
    if (r == 0) {
        r = validate_uuid(&acknowledge->uuid, err);
    }
    return r == 0 ? expect(acknowledge->agent_id, "agent_id", err) : r;
}

static int validate_update_framework(const Mesos__V1__Scheduler__Call *call, struct error *err)
{
    int r = expect(call->update_framework, "update_framework", err);
    if (r < 0) {
        return r;
    }
    if (strcmp(text_of(call->framework_id), text_of(call->update_framework->framework_info->id)) !=
        0) {
        return error_set(err, -EINVAL,
                         "'framework_id' differs from 'update_framework.framework_info.id'");
    }
    return 0;
}

static int validate_subscribe(const Mesos__V1__Scheduler__Call *call, struct error *err)
{
    int r = expect(call->subscribe, "subscribe", err);
    if (r < 0) {
        return r;
    }
    if (strcmp(text_of(call->subscribe->framework_info->id), text_of(call->framework_id)) != 0) {
        return error_set(err, -EINVAL, "'framework_id' differs from 'subscribe.framework_info.id'");
    }
    return 0;
}

int validate_scheduler_call(const Mesos__V1__Scheduler__Call *call, struct error *err)
{
    if (!call->has_type) {
        return error_set(err, -EINVAL, "Expecting 'type' to be present");
    }
    if (call->type == SCHEDULER_CALL(SUBSCRIBE)) {
        return validate_subscribe(call, err);
    }
    if (call->framework_id == NULL) {
        return error_set(err, -EINVAL, "Expecting 'framework_id' to be present");
    }
    switch (call->type) {
    case SCHEDULER_CALL(ACCEPT):
        return expect(call->accept, "accept", err);
    case SCHEDULER_CALL(DECLINE):
        return expect(call->decline, "decline", err);
    case SCHEDULER_CALL(ACCEPT_INVERSE_OFFERS):
        return expect(call->accept_inverse_offers, "accept_inverse_offers", err);
    case SCHEDULER_CALL(DECLINE_INVERSE_OFFERS):
        return expect(call->decline_inverse_offers, "decline_inverse_offers", err);
    case SCHEDULER_CALL(KILL):
        return expect(call->kill, "kill", err);
    case SCHEDULER_CALL(SHUTDOWN):
        return expect(call->shutdown, "shutdown", err);
    case SCHEDULER_CALL(ACKNOWLEDGE):
        return call->acknowledge != NULL ? validate_uuid(&call->acknowledge->uuid, err)
                                         : expect(NULL, "acknowledge", err);
    case SCHEDULER_CALL(ACKNOWLEDGE_OPERATION_STATUS):
        return validate_acknowledge_operation(call->acknowledge_operation_status, err);
    case SCHEDULER_CALL(RECONCILE):
        return expect(call->reconcile, "reconcile", err);
    case SCHEDULER_CALL(RECONCILE_OPERATIONS):
        return expect(call->reconcile_operations, "reconcile_operations", err);
    case SCHEDULER_CALL(MESSAGE):
        return expect(call->message, "message", err);
    case SCHEDULER_CALL(REQUEST):
        return expect(call->request, "request", err);
    case SCHEDULER_CALL(UPDATE_FRAMEWORK):
        return validate_update_framework(call, err);
    default: // without a body: TEARDOWN, REVIVE, SUPPRESS; the master refuses UNKNOWN
        return 0;
    }
}

static int validate_check_status(const Mesos__V1__CheckStatusInfo *status, struct error *err)
{
    if (!status->has_type) {
        return error_set(err, -EINVAL, "CheckStatusInfo must specify 'type'");
    }
    const char *name = NULL;
    if (status->type == MESOS__V1__CHECK_INFO__TYPE__COMMAND && status->command == NULL) {
        name = "command";
    } else if (status->type == MESOS__V1__CHECK_INFO__TYPE__HTTP && status->http == NULL) {
        name = "http";
    } else if (status->type == MESOS__V1__CHECK_INFO__TYPE__TCP && status->tcp == NULL) {
        name = "tcp";
    } else if (status->type == MESOS__V1__CHECK_INFO__TYPE__UNKNOWN) {
        return error_set(err, -EINVAL, "'UNKNOWN' is not a valid check's status type");
    }
    if (name == NULL) {
        return 0;
    }
    const char *type = *name == 'c' ? "COMMAND" : *name == 'h' ? "HTTP" : "TCP";
    return error_set(err, -EINVAL, "Expecting '%s' to be set for %s check's status", name, type);
}

// What only a master may say of a task, and what says nothing.
static bool is_claim_of_an_executor(Mesos__V1__TaskState state)
{
    return state != MESOS__V1__TASK_STATE__TASK_STAGING &&
           state != MESOS__V1__TASK_STATE__TASK_UNREACHABLE &&
           state != MESOS__V1__TASK_STATE__TASK_GONE_BY_OPERATOR &&
           state != MESOS__V1__TASK_STATE__TASK_UNKNOWN;
}

int validate_executor_status(const char *framework_id, const char *executor_id,
                             const Mesos__V1__TaskStatus *status, struct error *err)
{
    if (!status->has_uuid) {
        return error_set(err, -EINVAL, "Expecting 'uuid' to be present");
    }
    int r = validate_uuid(&status->uuid, err);
    if (r < 0) {
        return r;
    }
    if (status->executor_id != NULL && strcmp(status->executor_id->value, executor_id) != 0) {
        return error_set(err, -EINVAL,
                         "ExecutorID in Call: %s does not match ExecutorID in TaskStatus: %s",
                         executor_id, status->executor_id->value);
    }
    if (!status->has_source || status->source != MESOS__V1__TASK_STATUS__SOURCE__SOURCE_EXECUTOR) {
        return error_set(err, -EINVAL,
                         "Received Call from executor %s of framework %s with invalid source, "
                         "expecting 'SOURCE_EXECUTOR'",
                         executor_id, framework_id);
    }
    if (!is_claim_of_an_executor(status->state)) {
        return error_set(err, -EINVAL,
                         "Received %s from executor %s of framework %s which is not allowed",
                         wire_enum_name(&mesos__v1__task_state__descriptor, (int)status->state),
                         executor_id, framework_id);
    }
    return status->check_status != NULL ? validate_check_status(status->check_status, err) : 0;
}

int validate_executor_call(const Mesos__V1__Executor__Call *call, struct error *err)
{
    if (!call->has_type) {
        return error_set(err, -EINVAL, "Expecting 'type' to be present");
    }
    switch (call->type) {
    case MESOS__V1__EXECUTOR__CALL__TYPE__SUBSCRIBE:
        return expect(call->subscribe, "subscribe", err);
    case MESOS__V1__EXECUTOR__CALL__TYPE__UPDATE:
        return call->update != NULL
                   ? validate_executor_status(call->framework_id->value, call->executor_id->value,
                                              call->update->status, err)
                   : expect(NULL, "update", err);
    case MESOS__V1__EXECUTOR__CALL__TYPE__MESSAGE:
        return expect(call->message, "message", err);
    default:
        return 0;
    }
}
