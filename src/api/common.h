// SPDX-License-Identifier: Apache-2.0
//
// The state behind the common endpoints, shared by common.c, files.c, metrics.c and help.c.

#pragma once

#include "api/api.h"
#include "base/map.h"
#include "env/env.h"

#define API_COMMON_MAGIC UINT32_C(0x41434f4d)

struct api_common {
    uint32_t magic;
    struct api_common_options options;
    const struct api_router *router; // whose routes /help lists
    struct map files;                // virtual path without outer slashes -> struct attached *
    int verbosity;                   // of /logging/toggle; 0: as the flags say
    int log_level;                   // enum log_level to come back to
    struct timer verbosity_timer;
};

struct api_common *api_common_cast(void *ctx);

// Handlers; ctx is the struct api_common.
void api_files_browse(void *ctx, struct http_request *r);
void api_files_read(void *ctx, struct http_request *r);
void api_files_download(void *ctx, struct http_request *r);
void api_files_debug(void *ctx, struct http_request *r);
void api_metrics_snapshot(void *ctx, struct http_request *r);
void api_help(void *ctx, struct http_request *r);

void api_files_clear(struct api_common *common);
