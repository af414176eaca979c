// SPDX-License-Identifier: Apache-2.0
//
// The dashboard's files, as web/ held them when this was built (embed_assets.py makes the table).

#pragma once

#include <stddef.h>

struct asset {
    const char *path; // "/index.html"
    const unsigned char *data;
    size_t size;
};

extern const struct asset assets[];
extern const size_t asset_count;
