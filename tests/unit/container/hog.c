// SPDX-License-Identifier: Apache-2.0
//
// hog MEGABYTES: uses that much memory and says so.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
    size_t size = argc < 2 ? 0 : strtoul(argv[1], NULL, 10) << 20;
    volatile char *memory = malloc(size + 1);
    if (memory == NULL) {
        return 1;
    }
    for (size_t at = 0; at < size; at += 4096) {
        memory[at] = 1;
    }
    puts("done");
    free((void *)memory);
    return 0;
}
