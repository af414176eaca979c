// SPDX-License-Identifier: Apache-2.0
//
// The environment of an executor: what it inherits, what the agent adds, and last what its command
// asks for. A later variable replaces an earlier one of the same name.

#include <string.h>

#include "agent/internal.h"
#include "base/buf.h"
#include "base/text.h"

struct environment {
    struct arena *arena;
    char **variables;
    size_t count;
    size_t capacity;
};

static void environment_put(struct environment *e, char *variable)
{
    size_t name_size = strcspn(variable, "=") + 1;
    for (size_t i = 0; i < e->count; i++) {
        if (strncmp(e->variables[i], variable, name_size) == 0) {
            e->variables[i] = variable;
            return;
        }
    }
    if (e->count + 1 >= e->capacity) {
        size_t capacity = e->capacity == 0 ? 64 : e->capacity * 2;
        char **variables = arena_calloc(e->arena, capacity, sizeof(char *));
        if (e->count > 0) {
            memcpy(variables, e->variables, e->count * sizeof(char *));
        }
        e->variables = variables;
        e->capacity = capacity;
    }
    e->variables[e->count++] = variable;
    e->variables[e->count] = NULL;
}

static void environment_set(struct environment *e, const char *name, const char *value)
{
    environment_put(e, arena_printf(e->arena, "%s=%s", name, value));
}

static void environment_set_duration(struct environment *e, const char *name, int64_t ns)
{
    struct buf text AUTO_BUF = BUF_INIT;
    text_put_duration(&text, ns);
    environment_set(e, name, text.data);
}

// Variables of the command. A name with a NUL or '=' cannot come here: the master checks.
static void put_command_variables(struct environment *e, const Mesos__V1__CommandInfo *command)
{
    if (command == NULL || command->environment == NULL) {
        return;
    }
    for (size_t i = 0; i < command->environment->n_variables; i++) {
        const Mesos__V1__Environment__Variable *v = command->environment->variables[i];
        if (v->type == MESOS__V1__ENVIRONMENT__VARIABLE__TYPE__VALUE) {
            environment_set(e, v->name, v->value != NULL ? v->value : "");
        }
    }
}

char **agent_environment_make(const struct agent_executor *executor, struct arena *arena)
{
    const struct agent_framework *framework = executor->framework;
    const struct agent *agent = framework->agent;
    struct environment e = {.arena = arena};

    for (char *const *v = agent->options.environment; v != NULL && *v != NULL; v++) {
        environment_put(&e, *v);
    }
    bool checkpoint = framework->info->has_checkpoint && framework->info->checkpoint;
    const char *endpoint = strchr(agent->pid, '@') + 1;

    environment_set(&e, "LIBPROCESS_PORT", "0");
    environment_set(&e, "MESOS_FRAMEWORK_ID", framework->id);
    environment_set(&e, "MESOS_EXECUTOR_ID", executor->id);
    environment_set(&e, "MESOS_DIRECTORY", executor->directory);
    environment_set(&e, "MESOS_SANDBOX", executor->directory);
    environment_set(&e, "MESOS_SLAVE_ID", agent->info->id->value);
    environment_set(&e, "MESOS_SLAVE_PID", agent->pid);
    environment_set(&e, "MESOS_AGENT_ENDPOINT", endpoint);
    environment_set(&e, "MESOS_CHECKPOINT", checkpoint ? "1" : "0");
    environment_set(&e, "MESOS_HTTP_COMMAND_EXECUTOR", "0");
    environment_set_duration(&e, "MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD",
                             executor->info->shutdown_grace_period != NULL
                                 ? executor->info->shutdown_grace_period->nanoseconds
                                 : agent->options.executor_shutdown_grace_period_ns);
    if (checkpoint) {
        environment_set_duration(&e, "MESOS_RECOVERY_TIMEOUT", agent->options.recovery_timeout_ns);
        environment_set_duration(&e, "MESOS_SUBSCRIPTION_BACKOFF_MAX",
                                 agent->options.executor_reregistration_timeout_ns);
    }
    put_command_variables(&e, executor->info->command);
    return e.variables;
}
