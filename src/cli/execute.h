// SPDX-License-Identifier: Apache-2.0
//
// mesos-execute: runs one task, or one task group, from the shell and tells how it goes, in Mesos'
// words.

#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/flags.h"
#include "proto/mesos.pb-c.h"

// The values of the flags; execute_flag_table describes them.
struct execute_options {
    char *master;
    char *task;
    char *task_group;
    char *name;
    bool shell;
    char *command;
    char *env;
    char *resources;
    char *hadoop;
    char *hdfs;
    char *package;
    bool overwrite;
    bool checkpoint;
    char *appc_image;
    char *docker_image;
    char *framework_capabilities;
    char *containerizer;
    char *effective_capabilities;
    char *bounding_capabilities;
    char *rlimits;
    char *role;
    int64_t kill_after; // nanoseconds
    char *networks;
    char *principal;
    char *secret;
    char *volumes;
    char *content_type;
    bool tty;
    bool partition_aware;
};

extern const struct flag_table execute_flag_table;

// What the flags ask for, checked. The messages live in the arena. -EINVAL, -ENOTSUP for what is
// not there yet, each with a text that names the flag.
// One task comes as a group of its own; whether it is to be launched as a group is another question
// (`task_group` is given).
int execute_make_tasks(const struct execute_options *options, struct arena *arena,
                       Mesos__V1__TaskGroupInfo **ret_tasks, struct error *err);
int execute_make_framework(const struct execute_options *options, struct arena *arena,
                           Mesos__V1__FrameworkInfo **ret_framework, struct error *err);

// Runs the tasks to their end. Returns the exit status of the program: 0 when all finished.
int execute_run(const struct execute_options *options, const Mesos__V1__TaskGroupInfo *tasks,
                const Mesos__V1__FrameworkInfo *framework);

// The whole program.
int execute_main(int argc, char **argv);
