// SPDX-License-Identifier: Apache-2.0
//
// mesos-default-executor runs task groups (src/executor).

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "executor/pod.h"
#include "executor_flags.h"

static int run(const char *launcher_dir)
{
    struct executor_environment environment;
    struct env *env = NULL;
    struct error err = {0};
    int r = executor_environment_read(environ, &environment, &err);
    if (r == 0) {
        r = env_log_open("mesos-default-executor", NULL, false, "INFO", &err);
    }
    if (r == 0) {
        r = env_new(&env, &err);
    }
    if (r < 0) {
        fprintf(stderr, "%s\n", err.text);
        return EXIT_FAILURE;
    }
    struct pod_options pod_options = {
        .environment = &environment,
        .launcher_dir = launcher_dir,
    };
    struct pod *pod = pod_new(env, &pod_options);
    int status = env_run(env);
    pod_free(pod);
    env_free(env);
    return status;
}

int main(int argc, char **argv)
{
    int status = EXIT_FAILURE;
    AUTO_FREE char *launcher_dir = NULL;
    if (executor_flags_read("mesos-default-executor", argc, argv, &launcher_dir, &status) !=
        FLAGS_DONE) {
        return status;
    }
    AUTO_FREE char *own = path_own_directory();
    return run(launcher_dir != NULL ? launcher_dir : own);
}
