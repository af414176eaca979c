// SPDX-License-Identifier: Apache-2.0
//
// The flags of mesos-executor and mesos-default-executor.

#pragma once

#include "base/flags.h"

// FLAGS_DONE; or else help, version or what is wrong was printed, and `*ret_status` is what to exit
// with. `*ret_launcher_dir`: NULL when it was not given; the caller frees it.
int executor_flags_read(const char *program, int argc, char **argv, char **ret_launcher_dir,
                        int *ret_status);
