// SPDX-License-Identifier: Apache-2.0
//
// What the agent's shell works out from flags, environment and machine before the core is made:
// resources, attributes, address, host name, and the environment of executors.

#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/agent_daemon.h"
#include "base/check.h"
#include "base/mem.h"
#include "base/text.h"
#include "model/attributes.h"
#include "wire/wire.h"

// ---- resources ----

// Whether --resources names this resource, be it with nothing of it ("cpus:0").
static bool text_names(const char *text, const char *name)
{
    size_t size = strlen(name);
    for (const char *at = text; *at != '\0';) {
        at += strspn(at, "; \t\r\n");
        if (strncmp(at, name, size) == 0 && at[size + strspn(at + size, " \t")] != '\0' &&
            strchr(":( \t", at[size]) != NULL) {
            return true;
        }
        at += strcspn(at, ";\n");
    }
    return false;
}

static bool list_names(Mesos__V1__Resource *const *list, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(list[i]->name, name) == 0) {
            return true;
        }
    }
    return false;
}

// The machine's part, in the default role, for what --resources does not name.
static int add_machine(const struct agent_daemon *d, struct resources *total, struct error *err)
{
    struct arena *arena AUTO_ARENA = arena_new(0, 0);
    const char *text = d->flags->resources != NULL ? d->flags->resources : "";
    size_t blank = strspn(text, " \t\r\n");
    ProtobufCMessage **messages = NULL;
    size_t count = 0;
    bool is_json = text[blank] == '[';
    if (is_json) {
        int r = wire_json_decode_list(&mesos__v1__resource__descriptor, arena, text, strlen(text),
                                      &messages, &count, err);
        if (r < 0) {
            return r;
        }
    }
    struct resources *machine AUTO_RESOURCES = NULL;
    int r = containerizer_machine_resources(d->work_dir, &machine, err);
    if (r < 0) {
        return r;
    }
    struct buf missing AUTO_BUF = BUF_INIT;
    static const char *const names[] = {"cpus", "mem", "disk", "ports"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        bool is_named =
            is_json ? list_names((Mesos__V1__Resource *const *)(void *)messages, count, names[i])
                    : text_names(text, names[i]);
        if (is_named) {
            continue;
        }
        buf_printf(&missing, "%s:", names[i]);
        if (i < 3) {
            buf_printf(&missing, "%.3f;", (double)resources_scalar(machine, names[i]) / 1000);
        } else {
            resources_put_ranges_text(machine, names[i], &missing);
            buf_putc(&missing, ';');
        }
    }
    if (missing.size == 0) {
        return 0;
    }
    struct resources *parsed AUTO_RESOURCES = NULL;
    r = resources_parse(missing.data, d->flags->default_role, &parsed, err);
    if (r == 0) {
        resources_add(total, parsed);
    }
    return r;
}

static int set_resources(struct agent_daemon *d, Mesos__V1__AgentInfo *info, struct error *err)
{
    struct resources *total AUTO_RESOURCES = NULL;
    const char *text = d->flags->resources != NULL ? d->flags->resources : "";
    int r = resources_parse(text, d->flags->default_role, &total, err);
    if (r == 0) {
        r = add_machine(d, total, err);
    }
    if (r < 0) {
        return error_wrap(err, r, "Failed to determine agent resources");
    }
    info->n_resources =
        resources_to_proto(total, d->arena, RESOURCES_NEW_FORM, false, &info->resources);
    return 0;
}

static int set_domain(struct agent_daemon *d, Mesos__V1__AgentInfo *info, struct error *err)
{
    if (d->flags->domain == NULL) {
        return 0;
    }
    ProtobufCMessage *message;
    int r = wire_json_decode(&mesos__v1__domain_info__descriptor, d->arena, d->flags->domain,
                             strlen(d->flags->domain), &message, err);
    if (r < 0) {
        return error_wrap(err, r, "Flag 'domain'");
    }
    info->domain = (Mesos__V1__DomainInfo *)(void *)message;
    return 0;
}

// ---- address ----

const char *agent_setup_ip(const struct agent_flags *flags)
{
    if (flags->advertise_ip != NULL) {
        return flags->advertise_ip;
    }
    const char *advertised = getenv("LIBPROCESS_ADVERTISE_IP");
    if (advertised != NULL) {
        return advertised;
    }
    const char *ip = flags->ip != NULL ? flags->ip : getenv("LIBPROCESS_IP");
    return ip != NULL && strcmp(ip, "0.0.0.0") != 0 && strcmp(ip, "::") != 0 ? ip : NULL;
}

const char *agent_setup_hostname(struct agent_daemon *d, const char *ip)
{
    if (d->flags->hostname != NULL) {
        return d->flags->hostname;
    }
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST};
    struct addrinfo *address = NULL;
    char name[NI_MAXHOST];
    if (!d->flags->hostname_lookup || getaddrinfo(ip, NULL, &hints, &address) != 0) {
        return ip;
    }
    int r = getnameinfo(address->ai_addr, address->ai_addrlen, name, sizeof(name), NULL, 0,
                        NI_NAMEREQD);
    freeaddrinfo(address);
    return r == 0 ? arena_strdup(d->arena, name) : ip;
}

int agent_setup_info(struct agent_daemon *d, uint16_t port, Mesos__V1__AgentInfo **ret_info,
                     struct error *err)
{
    Mesos__V1__AgentInfo *info = WIRE_NEW(d->arena, Mesos__V1__AgentInfo, mesos__v1__agent_info);
    const char *ip = agent_setup_ip(d->flags);
    info->hostname = arena_strdup(d->arena, agent_setup_hostname(d, ip != NULL ? ip : "127.0.0.1"));
    info->has_port = true;
    info->port = d->flags->advertise_port != 0 ? (int32_t)d->flags->advertise_port : port;
    int r = set_resources(d, info, err);
    if (r == 0) {
        r = set_domain(d, info, err);
    }
    if (r == 0 && d->flags->attributes != NULL) {
        r = attributes_parse(d->flags->attributes, d->arena, &info->attributes, &info->n_attributes,
                             err);
    }
    if (r == 0) {
        *ret_info = info;
    }
    return r;
}

// ---- environment ----

static int read_environment(struct agent_daemon *d, const char *text, char ***ret_environment,
                            struct error *err)
{
    struct arena *arena AUTO_ARENA = arena_new(0, 0);
    struct json_reader *reader = json_reader_new(arena, text, strlen(text));
    size_t count = 0, capacity = strlen(text) / 4 + 2; // more than it can hold
    char **environment = arena_calloc(d->arena, capacity, sizeof(char *));
    enum json_token token = json_next(reader);
    const char *libprocess_ip = getenv("LIBPROCESS_IP");
    if (libprocess_ip != NULL) {
        environment[count++] = arena_printf(d->arena, "LIBPROCESS_IP=%s", libprocess_ip);
    }
    if (token != JSON_OBJECT_OPEN) {
        return token == JSON_ERROR ? json_reader_error(reader, err)
                                   : error_set(err, -EINVAL, "Not a JSON object");
    }
    while ((token = json_next(reader)) == JSON_KEY) {
        size_t size;
        const char *name = json_text(reader, &size);
        AUTO_FREE char *copy = mem_strndup(name, size);
        if (json_next(reader) != JSON_STRING) {
            return error_set(err, -EINVAL, "The value of '%s' is not a string", copy);
        }
        if (size == 0 || strchr(copy, '=') != NULL || strlen(copy) != size) {
            return error_set(err, -EINVAL, "'%s' is no name of a variable", copy);
        }
        const char *value = json_text(reader, &size);
        environment[count++] = arena_printf(d->arena, "%s=%.*s", copy, (int)size, value);
    }
    if (token != JSON_OBJECT_CLOSE || json_next(reader) != JSON_END) {
        return json_reader_error(reader, err);
    }
    environment[count] = NULL;
    *ret_environment = environment;
    return 0;
}

// The agent's own, without what would be taken for flags of the executor.
static char **inherit_environment(struct agent_daemon *d)
{
    size_t count = 0, kept = 0;
    while (environ[count] != NULL) {
        count++;
    }
    char **environment = arena_calloc(d->arena, count + 1, sizeof(char *));
    for (size_t i = 0; i < count; i++) {
        bool is_flag = text_starts_with(environ[i], "MESOS_") &&
                       !text_starts_with(environ[i], "MESOS_NATIVE_");
        if ((is_flag || text_starts_with(environ[i], "LIBPROCESS_")) &&
            !text_starts_with(environ[i], "LIBPROCESS_IP=")) {
            continue;
        }
        if (strchr(environ[i], '=') != NULL) {
            environment[kept++] = arena_strdup(d->arena, environ[i]);
        }
    }
    environment[kept] = NULL;
    return environment;
}

int agent_setup_environment(struct agent_daemon *d, char ***ret_environment, struct error *err)
{
    if (d->flags->executor_environment_variables == NULL) {
        *ret_environment = inherit_environment(d);
        return 0;
    }
    int r = read_environment(d, d->flags->executor_environment_variables, ret_environment, err);
    return r < 0 ? error_wrap(err, r, "Flag 'executor_environment_variables'") : 0;
}
