// SPDX-License-Identifier: Apache-2.0
//
// What can be read off a URI of a command, by Mesos' rules: everything behind the last slash is the
// file's name, a query included.

#pragma once

#include <stdbool.h>

#include "base/error.h"

// The name of the file that a URI makes in the sandbox, within `uri`. -EINVAL for illegal
// characters and for a URI without a path.
int uri_basename(const char *uri, const char **ret_name, struct error *err);
// Where it goes instead: relative, without "..". -EINVAL.
int uri_check_output(const char *path, struct error *err);
// http, https, ftp, ftps.
bool uri_is_net(const char *uri);
enum uri_local { URI_LOCAL = 0, URI_NOT_LOCAL = 1 };
// The local path of a file:// URI or of a plain path. Relative ones need `home` (may be NULL). The
// caller frees the path (mem_free).
int uri_local_path(const char *uri, const char *home, char **ret_path, struct error *err);
