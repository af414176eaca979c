// SPDX-License-Identifier: Apache-2.0
//
// gzip for whole answers, and for the bodies of requests.

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "net/http_internal.h"

enum { GZIP_STEP = 64 * 1024, GZIP_WINDOW_BITS = 15 + 16, GZIP_MEMORY_LEVEL = 8 };

static bool has_no_weight(const char *parameters, size_t size)
{
    const char *end = parameters + size;
    const char *q = parameters;
    while (q < end && (*q == ' ' || *q == '\t' || *q == ';')) {
        q++;
    }
    if (end - q < 3 || (q[0] != 'q' && q[0] != 'Q') || q[1] != '=' || q[2] != '0') {
        return false;
    }
    for (q += 3; q < end; q++) {
        if (*q >= '1' && *q <= '9') {
            return false;
        }
    }
    return true;
}

bool gzip_is_accepted(const char *accept_encoding)
{
    if (accept_encoding == NULL) {
        return false;
    }
    int by_star = -1;
    for (const char *at = accept_encoding; *at != '\0';) {
        at += strspn(at, " \t,");
        size_t size = strcspn(at, ",");
        size_t name_size = strcspn(at, " \t;,");
        bool allowed = !has_no_weight(at + name_size, size - name_size);
        if ((name_size == 4 && strncasecmp(at, "gzip", 4) == 0) ||
            (name_size == 6 && strncasecmp(at, "x-gzip", 6) == 0)) {
            return allowed;
        }
        if (name_size == 1 && at[0] == '*') {
            by_star = allowed;
        }
        at += size;
    }
    return by_star == 1;
}

bool gzip_compress(const void *data, size_t size, char **ret_data, size_t *ret_size)
{
    z_stream z = {0};
    // The fastest level: the bytes saved by a better one do not pay for its time.
    CHECK(deflateInit2(&z, Z_BEST_SPEED, Z_DEFLATED, GZIP_WINDOW_BITS, GZIP_MEMORY_LEVEL,
                       Z_DEFAULT_STRATEGY) == Z_OK);
    char *out = mem_alloc(size);
    const unsigned char *in = data;
    size_t in_left = size, out_size = 0;
    int r = Z_OK;
    while (r == Z_OK && out_size < size) {
        uInt in_step = in_left > UINT32_MAX / 2 ? UINT32_MAX / 2 : (uInt)in_left;
        size_t room = size - out_size;
        uInt out_step = room > UINT32_MAX / 2 ? UINT32_MAX / 2 : (uInt)room;
        z.next_in = (unsigned char *)(uintptr_t)in;
        z.avail_in = in_step;
        z.next_out = (unsigned char *)out + out_size;
        z.avail_out = out_step;
        r = deflate(&z, in_step == in_left ? Z_FINISH : Z_NO_FLUSH);
        in += in_step - z.avail_in;
        in_left -= in_step - z.avail_in;
        out_size += out_step - z.avail_out;
    }
    deflateEnd(&z);
    if (r != Z_STREAM_END) {
        mem_free(out);
        return false;
    }
    *ret_data = out;
    *ret_size = out_size;
    return true;
}

int gzip_decompress(const void *data, size_t size, size_t size_max, struct buf *out)
{
    if (size > UINT32_MAX) {
        return -EFBIG;
    }
    z_stream z = {.next_in = (unsigned char *)(uintptr_t)data, .avail_in = (uInt)size};
    CHECK(inflateInit2(&z, GZIP_WINDOW_BITS) == Z_OK);
    AUTO_FREE unsigned char *step = mem_alloc(GZIP_STEP);
    size_t left = size_max;
    int code = 0, r = Z_OK;
    while (code == 0 && r == Z_OK) {
        z.next_out = step;
        z.avail_out = GZIP_STEP;
        r = inflate(&z, Z_NO_FLUSH);
        size_t made = GZIP_STEP - z.avail_out;
        if (made > left) {
            code = -EFBIG;
        } else {
            buf_append(out, step, made);
            left -= made;
        }
    }
    if (code == 0 && (r != Z_STREAM_END || z.avail_in > 0)) {
        code = -EINVAL;
    }
    inflateEnd(&z);
    return code;
}
