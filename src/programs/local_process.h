// SPDX-License-Identifier: Apache-2.0
//
// One program that mesos-local runs: the master or an agent.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "base/error.h"
#include "local_flags.h"

struct local_process {
    pid_t pid;  // 0 once it has ended
    int status; // as waitpid gives it, once it has ended
    uint16_t port;
    char name[32]; // "master", "agent-1"
    char log[512]; // path
};

struct local_process_order {
    const struct local_options *options;
    const struct local_flags *flags;
    const char *directory; // of the programs
    const char *work_dir;
    size_t index;         // 0: the master; else the agent of that number
    uint16_t master_port; // for agents
};

// Where mesos-master and mesos-agent lie: beside this program, or, installed, in ../sbin from
// there. The caller frees with mem_free.
char *local_program_directory(void);

// Starts it with a log file for its output. When this process dies, a master gets SIGTERM
// and an agent SIGUSR1, on which it takes its tasks down.
int local_process_start(struct local_process *process, const struct local_process_order *order,
                        struct error *err);
void local_process_signal(const struct local_process *process, int signal);
// How it ended, and the end of its log.
void local_process_print_end(const struct local_process *process, FILE *out);
