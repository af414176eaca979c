// SPDX-License-Identifier: Apache-2.0
//
// The environment of an executor.

#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "base/timer.h"
#include "client/executor.h"

#define EXECUTOR_SHUTDOWN_GRACE_PERIOD_NS (5 * NS_PER_S)

static const char *lookup(char *const environment[], const char *name)
{
    size_t size = strlen(name);
    for (char *const *at = environment; at != NULL && *at != NULL; at++) {
        if (strncmp(*at, name, size) == 0 && (*at)[size] == '=') {
            return *at + size + 1;
        }
    }
    return NULL;
}

static int lookup_text(char *const environment[], const char *name, const char **ret_text,
                       struct error *err)
{
    const char *text = lookup(environment, name);
    if (text == NULL) {
        return error_set(err, -EINVAL, "Expecting '%s' to be set in the environment", name);
    }
    *ret_text = text;
    return 0;
}

// `default_ns` below 0: it must be there.
static int lookup_duration(char *const environment[], const char *name, int64_t default_ns,
                           int64_t *ret_ns, struct error *err)
{
    const char *text = lookup(environment, name);
    if (text == NULL && default_ns >= 0) {
        *ret_ns = default_ns;
        return 0;
    }
    int r = lookup_text(environment, name, &text, err);
    if (r == 0) {
        r = text_parse_duration(text, ret_ns, err);
        if (r < 0) {
            return error_wrap(err, r, "Failed to parse %s '%s'", name, text);
        }
    }
    return r;
}

static int lookup_agent(char *const environment[], struct address *ret_address, struct error *err)
{
    const char *endpoint = lookup(environment, "MESOS_AGENT_ENDPOINT");
    if (endpoint != NULL) {
        return address_parse(endpoint, ADDRESS_PORT_AGENT, ret_address, err);
    }
    int r = lookup_text(environment, "MESOS_SLAVE_PID", &endpoint, err);
    if (r < 0) {
        return r;
    }
    const char *at = strchr(endpoint, '@');
    if (at == NULL) {
        return error_set(err, -EINVAL, "Failed to parse MESOS_SLAVE_PID '%s'", endpoint);
    }
    return address_parse(at + 1, ADDRESS_PORT_AGENT, ret_address, err);
}

int executor_environment_read(char *const environment[], struct executor_environment *ret,
                              struct error *err)
{
    struct executor_environment e = {0};
    int r = lookup_text(environment, "MESOS_FRAMEWORK_ID", &e.framework_id, err);
    if (r == 0) {
        r = lookup_text(environment, "MESOS_EXECUTOR_ID", &e.executor_id, err);
    }
    if (r == 0) {
        r = lookup_agent(environment, &e.agent, err);
    }
    if (r == 0) {
        r = lookup_duration(environment, "MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD",
                            EXECUTOR_SHUTDOWN_GRACE_PERIOD_NS, &e.shutdown_grace_period_ns, err);
    }
    e.checkpoint = text_is_equal(lookup(environment, "MESOS_CHECKPOINT"), "1");
    if (r == 0 && e.checkpoint) {
        r = lookup_duration(environment, "MESOS_RECOVERY_TIMEOUT", -1, &e.recovery_timeout_ns, err);
    }
    if (r == 0 && e.checkpoint) {
        r = lookup_duration(environment, "MESOS_SUBSCRIPTION_BACKOFF_MAX", -1, &e.backoff_max_ns,
                            err);
    }
    if (r < 0) {
        return r;
    }
    e.directory = lookup(environment, "MESOS_DIRECTORY");
    e.sandbox = lookup(environment, "MESOS_SANDBOX");
    e.token = lookup(environment, "MESOS_EXECUTOR_AUTHENTICATION_TOKEN");
    e.is_local = lookup(environment, "MESOS_LOCAL") != NULL;
    *ret = e;
    return 0;
}
