// SPDX-License-Identifier: Apache-2.0
//
// The state behind the common endpoints, shared by common.c, files.c, metrics.c and help.c.

#pragma once

#include "api/api.h"
#include "base/map.h"
#include "env/env.h"
#include "proto/mesos.pb-c.h"

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
void api_metrics_prometheus(void *ctx, struct http_request *r);
void api_help(void *ctx, struct http_request *r);

void api_files_clear(struct api_common *common);

// ---- what the v1 calls need of the same; all in the arena ----
bool api_is_healthy(const struct api_common *common);
size_t api_list_flags(struct api_common *common, struct arena *arena, Mesos__V1__Flag ***ret_flags);
Mesos__V1__VersionInfo *api_make_version(struct arena *arena);
// Sorted by name.
size_t api_list_metrics(struct api_common *common, struct arena *arena,
                        Mesos__V1__Metric ***ret_metrics);
int api_get_verbosity(const struct api_common *common);

// These two return 0, or the HTTP status to answer with the text of `err`.
int api_files_list(struct api_common *common, struct arena *arena, const char *path,
                   Mesos__V1__FileInfo ***ret_files, size_t *ret_count, struct error *err);

struct api_file_piece {
    char *data;
    size_t size;
    int64_t left; // bytes of the file from the offset on
    int64_t file_size;
};
// Up to `length` bytes (-1: to the end; never more than one answer may hold) at `offset` (-1: none,
// only the size is asked for).
int api_files_read_piece(struct api_common *common, struct arena *arena, const char *path,
                         int64_t offset, int64_t length, struct api_file_piece *ret_piece,
                         struct error *err);
