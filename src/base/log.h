// SPDX-License-Identifier: Apache-2.0
//
// Log lines. Programs and shells log; library code returns errors instead. The cores log through
// here too: this file knows neither clock nor file, a sink that src/env/ installs does. Without a
// sink, lines are dropped.

#pragma once

#include <stddef.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARNING, LOG_LEVEL_ERROR };

// `file` is a constant of the program. `size` is the text's length.
typedef void log_sink_fn(void *ctx, enum log_level level, const char *file, int line,
                         const char *text, size_t size);

void log_set_sink(log_sink_fn *sink, void *ctx);
void log_set_level(enum log_level least);
enum log_level log_get_level(void);
void log_write(enum log_level level, const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

extern enum log_level log_least; // log_set_level's

// What a line says is not even looked for while its level is below that one.
#define LOG_AT(level, ...)                                                                         \
    do {                                                                                           \
        if ((level) >= log_least)                                                                  \
            log_write((level), __FILE__, __LINE__, __VA_ARGS__);                                   \
    } while (0)
#define log_debug(...) LOG_AT(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_info(...) LOG_AT(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warning(...) LOG_AT(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_error(...) LOG_AT(LOG_LEVEL_ERROR, __VA_ARGS__)
