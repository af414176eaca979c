// SPDX-License-Identifier: Apache-2.0
//
// Offer constraints: the first line is a regular expression, the rest the text that it is tried on.
// Whatever they are, making one and matching must end soon, with or without an error.

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "allocator/pattern.h"
#include "base/check.h"
#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_FREE char *text = mem_strndup((const char *)data, size);
    char *line_end = strchr(text, '\n');
    const char *subject = "";
    if (line_end != NULL) {
        *line_end = '\0';
        subject = line_end + 1;
    }
    const struct pattern_limits limits = {.memory_max = 4096, .program_max = 100};
    struct pattern *pattern;
    struct error err = {0};
    if (pattern_new(text, &limits, &pattern, &err) == 0) {
        pattern_is_match(pattern, subject);
        pattern_free(pattern);
    } else {
        CHECK(err.text[0] != '\0');
    }
    return 0;
}
