// SPDX-License-Identifier: Apache-2.0
//
// The --isolation flag.

#pragma once

#include <stdbool.h>

#include "base/error.h"

struct isolation {
    bool posix_cpu, posix_memory;     // measure by /proc
    bool cgroups_cpu, cgroups_memory; // limit and measure by cgroups
    bool filesystem_linux;            // volumes are mounted
};

// A list with commas. Unknown names, names that this agent has not got, and doubles are refused.
int isolation_parse(const char *text, struct isolation *ret_isolation, struct error *err);
