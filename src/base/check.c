// SPDX-License-Identifier: Apache-2.0
//
// The end of a failed CHECK.

#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

void check_failed(const char *condition, const char *file, int line)
{
    fprintf(stderr, "%s:%d: CHECK(%s) failed\n", file, line, condition);
    abort();
}
