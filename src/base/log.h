// SPDX-License-Identifier: Apache-2.0
//
// Log lines. Programs and shells log; library code returns errors instead. The cores log through
// here too: this file knows neither clock nor file, a sink that src/env/ installs does. Without a
// sink, lines are dropped.

#pragma once

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARNING, LOG_LEVEL_ERROR };

typedef void log_sink_fn(void *ctx, enum log_level level, const char *file, int line,
                         const char *text);

void log_set_sink(log_sink_fn *sink, void *ctx);
void log_set_level(enum log_level least);
enum log_level log_get_level(void);
void log_write(enum log_level level, const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __FILE__, __LINE__, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __FILE__, __LINE__, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __FILE__, __LINE__, __VA_ARGS__)
#define log_error(...) log_write(LOG_LEVEL_ERROR, __FILE__, __LINE__, __VA_ARGS__)
