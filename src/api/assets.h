// SPDX-License-Identifier: Apache-2.0
//
// The dashboard's files, as web/ held them when this was built, and its libraries
// (embed_assets.py makes the table).

#pragma once

#include <stddef.h>

struct asset {
    const char *path; // "/index.html"
    const unsigned char *data;
    size_t size;
    const unsigned char *packed; // the same by gzip
    size_t packed_size;
    const char *tag; // of its content, for ETag, with its quotes
};

extern const struct asset assets[];
extern const size_t asset_count;
