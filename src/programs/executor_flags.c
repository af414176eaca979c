// SPDX-License-Identifier: Apache-2.0

#include "executor_flags.h"

#include <stdio.h>
#include <stdlib.h>

#include "api/api.h"
#include "base/buf.h"
#include "base/mem.h"

struct options {
    char *launcher_dir;
};

static const struct flag rows[] = {
    FLAG_ROW(struct options, launcher_dir, "launcher_dir", NULL, FLAG_TEXT, NULL, 0,
             "Directory of the helper programs, which HTTP checks need. Otherwise this program's "
             "own directory."),
};

static const struct flag_table tables[] = {{rows, ARRAY_COUNT(rows)}};

int executor_flags_read(const char *program, int argc, char **argv, char **ret_launcher_dir,
                        int *ret_status)
{
    struct options options = {0};
    struct error err = {0};
    int r =
        flags_parse(tables, ARRAY_COUNT(tables), &options, argc, argv, NULL, "MESOS_", NULL, &err);
    if (r == FLAGS_DONE) {
        *ret_launcher_dir = TAKE_PTR(options.launcher_dir);
    } else if (r == FLAGS_VERSION) {
        printf("mesos %s\n", MESOS_VERSION);
    } else {
        AUTO_BUF struct buf help = BUF_INIT;
        flags_put_help(tables, ARRAY_COUNT(tables), program, &help);
        if (r == FLAGS_HELP) {
            fputs(help.data, stdout);
        } else {
            fprintf(stderr, "%s\n\n%s", err.text, help.data);
        }
    }
    *ret_status = r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
    flags_free(tables, ARRAY_COUNT(tables), &options);
    return r;
}
