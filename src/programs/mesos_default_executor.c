// SPDX-License-Identifier: Apache-2.0
//
// mesos-default-executor runs task groups (src/executor).

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "api/api.h"
#include "base/fd.h"
#include "base/flags.h"
#include "base/mem.h"
#include "executor/pod.h"

struct options {
    char *launcher_dir;
};

static const struct flag flag_rows[] = {
    FLAG_ROW(
        struct options, launcher_dir, "launcher_dir", NULL, FLAG_TEXT, NULL, 0,
        "Directory of the helper programs, which HTTP checks need. Otherwise this program's own."),
};

static const struct flag_table flag_tables[] = {{flag_rows, ARRAY_COUNT(flag_rows)}};

// FLAGS_DONE, or else what to exit with is in `ret_status`.
static int read_flags(int argc, char **argv, struct options *options, int *ret_status)
{
    struct error err = {0};
    int r = flags_parse(flag_tables, ARRAY_COUNT(flag_tables), options, argc, argv, NULL, "MESOS_",
                        NULL, &err);
    AUTO_BUF struct buf help = BUF_INIT;
    flags_put_help(flag_tables, ARRAY_COUNT(flag_tables), "mesos-default-executor", &help);
    if (r == FLAGS_HELP) {
        fputs(help.data, stdout);
        *ret_status = EXIT_SUCCESS;
    } else if (r == FLAGS_VERSION) {
        printf("mesos %s\n", MESOS_VERSION);
        *ret_status = EXIT_SUCCESS;
    } else if (r < 0) {
        fprintf(stderr, "%s\n\n%s", err.text, help.data);
        *ret_status = EXIT_FAILURE;
    }
    return r;
}

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
    struct options options = {0};
    int status = EXIT_FAILURE;
    if (read_flags(argc, argv, &options, &status) == FLAGS_DONE) {
        AUTO_FREE char *own = path_own_directory();
        status = run(options.launcher_dir != NULL ? options.launcher_dir : own);
    }
    flags_free(flag_tables, ARRAY_COUNT(flag_tables), &options);
    return status;
}
