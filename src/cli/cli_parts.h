// SPDX-License-Identifier: Apache-2.0
//
// Pieces that several commands share.

#pragma once

#include "base/map.h"
#include "cli/cli.h"

// Counts by id: values of the map are size_t, in the arena.
void cli_count_add(struct map *counts, struct arena *arena, const char *id);

// Prints the tasks, that have not ended, of a framework or an agent (NULL: of any) as a table
// behind an empty line.
int cli_task_table_of(struct cli *cli, const char *framework_id, const char *agent_id,
                      struct error *err);

// "cpus:4;mem:1024" as the amounts of a quota; CLI_ERROR_USAGE names the flag.
int cli_read_amounts(const char *flag, const char *text, struct arena *arena,
                     Mesos__V1__Resource ***ret_resources, size_t *ret_count, struct error *err);

// The container that a task runs, or ran, in, by what its statuses tell; NULL when they do not.
const Mesos__V1__ContainerID *cli_task_container(const Mesos__V1__Task *task);
