// SPDX-License-Identifier: Apache-2.0
//
// The flags of mesos-local: its own, and those that it passes on to the master and to the agents.

#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

struct local_options {
    int64_t num_slaves;
    char *ip;
    int64_t port;
    char *work_dir; // NULL: a temporary one
    char **passed;  // flags that are not ours, as they were given ("--x=y"); owned
    size_t passed_count;
};

// Also FLAGS_HELP, as flags_parse.
int local_options_parse(struct local_options *options, int argc, char **argv, struct error *err);
void local_options_free(struct local_options *options);
void local_options_put_help(struct buf *out);

// The passed flags, by who knows them; one that both know goes to both. The pointers belong to the
// options.
struct local_flags {
    char **master;
    size_t master_count;
    char **agent;
    size_t agent_count;
};

// Asks the programs in `directory` which flags they have. -EINVAL for a flag that none has.
int local_flags_sort(const struct local_options *options, const char *directory,
                     struct local_flags *ret_flags, struct error *err);
void local_flags_free(struct local_flags *flags);
