// SPDX-License-Identifier: Apache-2.0
//
// The steps of mesos-fetcher, in the child: opening files in the sandbox, copying, downloading,
// extracting. Everything is blocking. Nothing is ever written outside of the sandbox, whatever
// symbolic links an archive or another URI has put there.

#pragma once

#include <stdint.h>
#include <stdio.h>

#include "base/error.h"

// ---- fetch_place.c ----
// Makes the directories on the way to `path`.
int fetch_make_parents(int sandbox_fd, const char *path, struct error *err);
// Creates or empties the file `path` beneath the directory `sandbox_fd`, with the directories on
// the way. The caller closes *ret_fd.
int fetch_create(int sandbox_fd, const char *path, int *ret_fd, struct error *err);
// Opens a regular file for reading and tells its size.
int fetch_open_source(const char *path, int *ret_fd, uint64_t *ret_size, struct error *err);
int fetch_copy(int from_fd, int to_fd, struct error *err);
// Mode 0755.
int fetch_make_executable(int sandbox_fd, const char *path, struct error *err);

// ---- fetch_download.c ----
// Asked once, when the head of the answer is there: which descriptor takes the body? `size` is -1
// when the server does not say it. A negative code ends the transfer.
typedef int fetch_target_fn(void *ctx, int64_t size, int *ret_fd, struct error *err);

// http, https, ftp, ftps; follows redirects. Fails when nothing moves for `stall_timeout_s`, and
// for an answer that is not a success.
int fetch_download(const char *uri, int64_t stall_timeout_s, fetch_target_fn *target, void *ctx,
                   struct error *err);

// ---- fetch_extract.c ----
enum fetch_kind { FETCH_PLAIN, FETCH_ARCHIVE, FETCH_GZIP };
// By the name's suffix: .tar .tgz .tar.gz .tbz2 .tar.bz2 .txz .tar.xz .zip, and .gz alone.
enum fetch_kind fetch_kind_of(const char *name);
// Unpacks an archive into the current directory.
int fetch_extract(int archive_fd, struct error *err);
// Unpacks a single compressed file.
int fetch_gunzip(int from_fd, int to_fd, struct error *err);
