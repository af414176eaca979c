// SPDX-License-Identifier: Apache-2.0
//
// --ip_discovery_command: what a command prints, as Mesos asks for it before it listens.

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/mem.h"
#include "env/env.h"

enum { OUTPUT_SIZE_MAX = 4096 };

int env_discover_ip(const char *command, char **ip, struct error *err)
{
    if (command == NULL) {
        return 0;
    }
    FILE *pipe = popen(command, "re");
    if (pipe == NULL) {
        return error_errno(err, -errno, "Failed to run --ip_discovery_command '%s'", command);
    }
    char output[OUTPUT_SIZE_MAX + 1];
    size_t size = fread(output, 1, OUTPUT_SIZE_MAX, pipe);
    int status = pclose(pipe);
    if (status != 0) {
        return error_set(err, -EINVAL, "--ip_discovery_command '%s' failed with status %d", command,
                         WIFEXITED(status) ? WEXITSTATUS(status) : status);
    }
    while (size > 0 && strchr(" \t\r\n", output[size - 1]) != NULL) {
        size--;
    }
    output[size] = '\0';
    const char *text = output + strspn(output, " \t\r\n");
    struct in_addr address;
    if (inet_pton(AF_INET, text, &address) != 1) {
        return error_set(err, -EINVAL,
                         "--ip_discovery_command '%s' printed '%.64s', not an IPv4 address",
                         command, text);
    }
    mem_free(*ip);
    *ip = mem_strdup(text);
    return 0;
}
