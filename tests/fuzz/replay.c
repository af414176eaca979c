// SPDX-License-Identifier: Apache-2.0
//
// Replays a corpus: hands each file of the folder named by the first argument to the fuzz target,
// in the order of their names, and reports in TAP. A crash ends the program, which the missing
// lines then show.

#include <dirent.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fd.h"
#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_SIZE_MAX = 64 << 20 };

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

int main(int argc, char *argv[])
{
    struct dirent **entries;
    int count = argc == 2 ? scandir(argv[1], &entries, is_visible, alphasort) : -1;

    if (count <= 0) {
        fprintf(stderr, "usage: %s FOLDER-WITH-INPUTS\n", argv[0]);
        return 2;
    }
    printf("1..%d\n", count);
    for (int i = 0; i < count; i++) {
        AUTO_FREE char *path = mem_printf("%s/%s", argv[1], entries[i]->d_name);
        AUTO_FREE char *data = NULL;
        AUTO_FREE uint8_t *exact = NULL;
        struct error err;
        size_t size;

        fflush(stdout);
        if (file_read(path, INPUT_SIZE_MAX, &data, &size, &err) < 0) {
            printf("not ok %d - %s # %s\n", i + 1, entries[i]->d_name, err.text);
            continue;
        }
        exact = mem_dup(data, size); // without the NUL behind it, so that overruns are seen
        LLVMFuzzerTestOneInput(exact, size);
        printf("ok %d - %s\n", i + 1, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    return 0;
}
