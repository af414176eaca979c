// SPDX-License-Identifier: Apache-2.0
//
// Base64 with the standard alphabet.

#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "base/buf.h"

void base64_encode(const void *data, size_t size, struct buf *out); // padded
// Decodes standard or URL-safe alphabet, with or without padding, into `ret_data`, which holds at
// least text_size / 4 * 3 + 3 bytes. Returns the bytes written, or -EINVAL.
ssize_t base64_decode(const char *text, size_t text_size, void *ret_data);
