// SPDX-License-Identifier: Apache-2.0

#include "check/command.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

#define PATH_DEFAULT "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"

static bool is_named(const char *variable, const char *name, size_t size)
{
    return strncmp(variable, name, size) == 0 && variable[size] == '=';
}

static void set_variable(char **variables, size_t *count, char *variable)
{
    size_t size = strcspn(variable, "=");
    for (size_t i = 0; i < *count; i++) {
        if (is_named(variables[i], variable, size)) {
            variables[i] = variable;
            return;
        }
    }
    variables[(*count)++] = variable;
}

char **command_environment(char *const *base, const Mesos__V1__CommandInfo *command,
                           const char *last, struct arena *arena)
{
    size_t count = 0;
    while (base[count] != NULL) {
        count++;
    }
    size_t extra = command->environment != NULL ? command->environment->n_variables : 0;
    char **variables = arena_calloc(arena, count + extra + 2, sizeof(*variables));
    if (count > 0) {
        memcpy(variables, base, count * sizeof(*variables));
    }
    for (size_t i = 0; i < extra; i++) {
        const Mesos__V1__Environment__Variable *one = command->environment->variables[i];
        if (one->type == MESOS__V1__ENVIRONMENT__VARIABLE__TYPE__SECRET) {
            log_warning("Environment variable '%s' is a secret that nobody resolved: left out",
                        one->name);
            continue;
        }
        set_variable(variables, &count,
                     arena_printf(arena, "%s=%s", one->name, one->value != NULL ? one->value : ""));
    }
    if (last != NULL) {
        set_variable(variables, &count, arena_strdup(arena, last));
    }
    return variables;
}

static const char *find_variable(char *const *variables, const char *name)
{
    size_t size = strlen(name);
    for (; *variables != NULL; variables++) {
        if (is_named(*variables, name, size)) {
            return *variables + size + 1;
        }
    }
    return NULL;
}

static char **command_arguments(const Mesos__V1__CommandInfo *command, struct arena *arena)
{
    if (command->shell) {
        char **arguments = arena_calloc(arena, 4, sizeof(*arguments));
        arguments[0] = arena_strdup(arena, "sh");
        arguments[1] = arena_strdup(arena, "-c");
        arguments[2] = command->value;
        return arguments;
    }
    // The first argument is the program's own name, as in execvp; without any it is the value.
    char **arguments = arena_calloc(arena, command->n_arguments + 2, sizeof(*arguments));
    arguments[0] = command->value;
    for (size_t i = 0; i < command->n_arguments; i++) {
        arguments[i] = command->arguments[i];
    }
    return arguments;
}

int command_prepare(const Mesos__V1__CommandInfo *command, char **environment, struct arena *arena,
                    struct env_spawn *order, struct error *err)
{
    const char *file = "/bin/sh";
    AUTO_FREE char *found = NULL;
    if (!command->shell) {
        int r =
            command_find_program(command->value, find_variable(environment, "PATH"), &found, err);
        if (r < 0) {
            return r;
        }
        file = found;
    }
    order->file = arena_strdup(arena, file);
    order->arguments = command_arguments(command, arena);
    order->environment = environment;
    return 0;
}

// ---- programs ----

// 0 when `file` is a regular file that may be executed.
static int check_program(const char *file)
{
    struct stat st;
    if (stat(file, &st) < 0) {
        return -errno;
    }
    if (!S_ISREG(st.st_mode) || access(file, X_OK) < 0) {
        return -EACCES;
    }
    return 0;
}

int command_find_program(const char *name, const char *path, char **ret_file, struct error *err)
{
    if (strchr(name, '/') != NULL) {
        AUTO_FREE char *here = NULL;
        if (name[0] != '/') {
            char *directory = getcwd(NULL, 0);
            here = mem_printf("%s/", directory != NULL ? directory : "");
            free(directory);
        }
        *ret_file = mem_printf("%s%s", here != NULL ? here : "", name);
        return 0;
    }
    int result = -ENOENT;
    if (name[0] == '\0') {
        return error_errno(err, result, "Failed to execute ''");
    }
    for (const char *at = path != NULL ? path : PATH_DEFAULT; at != NULL;) {
        size_t size = strcspn(at, ":");
        AUTO_FREE char *file =
            size > 0 ? mem_printf("%.*s/%s", (int)size, at, name) : mem_printf("./%s", name);
        int r = check_program(file);
        if (r == 0) {
            if (file[0] == '/') {
                *ret_file = TAKE_PTR(file);
                return 0;
            }
            return command_find_program(file, NULL, ret_file, err);
        }
        if (r == -EACCES) {
            result = r;
        }
        at = at[size] == ':' ? at + size + 1 : NULL;
    }
    return error_errno(err, result, "Failed to execute '%s'", name);
}
