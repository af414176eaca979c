// SPDX-License-Identifier: Apache-2.0
//
// Formats a line and hands it to the sink. Process-wide, because a log is.

#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/text.h"

static struct {
    log_sink_fn *sink;
    void *ctx;
} state;

enum log_level log_least = LOG_LEVEL_INFO;

void log_set_sink(log_sink_fn *sink, void *ctx)
{
    state.sink = sink;
    state.ctx = ctx;
}

void log_set_level(enum log_level least)
{
    log_least = least;
}

enum log_level log_get_level(void)
{
    return log_least;
}

void log_write(enum log_level level, const char *file, int line, const char *format, ...)
{
    char small[1024], *text = small;
    AUTO_FREE char *large = NULL;
    va_list args;
    int size;

    if (state.sink == NULL || level < log_least)
        return;
    va_start(args, format);
    size = text_print(small, sizeof(small), format, args);
    va_end(args);
    CHECK(size >= 0);
    if ((size_t)size >= sizeof(small)) {
        text = large = mem_alloc((size_t)size + 1);
        va_start(args, format);
        vsnprintf(large, (size_t)size + 1, format, args);
        va_end(args);
    }
    state.sink(state.ctx, level, file, line, text, (size_t)size);
}
