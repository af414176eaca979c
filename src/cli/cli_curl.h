// SPDX-License-Identifier: Apache-2.0
//
// What the files of src/cli that use libcurl directly share.

#pragma once

#include <curl/curl.h>

#include "base/error.h"
#include "client/address.h"

// The URL, and what every request has in common.
void cli_curl_set_url(CURL *curl, const struct address *address, const char *target);
// HTTP Basic; nothing when `principal` is NULL.
void cli_curl_set_user(CURL *curl, const char *principal, const char *secret);
// Appends "name: value".
struct curl_slist *cli_curl_header(struct curl_slist *list, const char *name, const char *value);
// CLI_ERROR_UNREACHABLE; `text` is the error buffer's.
int cli_curl_error(CURLcode code, const char *text, const struct address *address,
                   struct error *err);
