// SPDX-License-Identifier: Apache-2.0
//
// mesos-swarm: simulated agents and frameworks against a real master.

#include <stdio.h>
#include <stdlib.h>

#include "api/api.h"
#include "base/flags.h"
#include "swarm/swarm.h"

int main(int argc, char **argv)
{
    struct swarm_options options = {0};
    struct error err = {0};
    setvbuf(stderr, NULL, _IOLBF, 0);
    int r = swarm_options_parse(&options, argc, argv, &err);
    if (r == FLAGS_HELP) {
        AUTO_BUF struct buf help = BUF_INIT;
        swarm_options_put_help(&help);
        fputs(help.data, stdout);
        return EXIT_SUCCESS;
    }
    if (r == FLAGS_VERSION) {
        printf("mesos %s\n", MESOS_VERSION);
        return EXIT_SUCCESS;
    }
    if (r < 0) {
        fprintf(stderr, "%s\nSee mesos-swarm --help\n", err.text);
        return EXIT_FAILURE;
    }
    mem_cache_begin();
    int status = swarm_run(&options);
    swarm_options_free(&options);
    return status;
}
