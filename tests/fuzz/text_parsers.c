// SPDX-License-Identifier: Apache-2.0
//
// Any text through the small parsers of src/base: base64, numbers, durations, sizes, percent
// coding, uuids. What is taken must be written to a text that is taken again and means the same.

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "base/base64.h"
#include "base/check.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/uuid.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_base64(const char *text, size_t size)
{
    AUTO_FREE char *bytes = mem_alloc(size / 4 * 3 + 3);
    ssize_t n = base64_decode(text, size, bytes);
    CHECK(n <= (ssize_t)(size / 4 * 3 + 3));
    if (n < 0) {
        return;
    }
    AUTO_BUF struct buf out = BUF_INIT;
    base64_encode(bytes, (size_t)n, &out);
    AUTO_FREE char *again = mem_alloc(out.size / 4 * 3 + 3);
    CHECK(base64_decode(out.data == NULL ? "" : out.data, out.size, again) == n);
    CHECK(n == 0 || memcmp(bytes, again, (size_t)n) == 0);
}

static void check_numbers(const char *text)
{
    AUTO_BUF struct buf out = BUF_INIT;
    double value;
    double again;
    if (text_parse_double(text, &value, NULL) == 0) {
        CHECK(isfinite(value));
        text_put_double(&out, value);
        CHECK(text_parse_double(out.data, &again, NULL) == 0);
        CHECK(value == again && signbit(value) == signbit(again));
    }
    int64_t i;
    int64_t i2;
    if (text_parse_i64(text, &i, NULL) == 0) {
        buf_clear(&out);
        buf_put_i64(&out, i);
        CHECK(text_parse_i64(out.data, &i2, NULL) == 0 && i == i2);
    }
    uint64_t u;
    uint64_t u2;
    if (text_parse_u64(text, &u, NULL) == 0) {
        buf_clear(&out);
        buf_put_u64(&out, u);
        CHECK(text_parse_u64(out.data, &u2, NULL) == 0 && u == u2);
    }
    if (text_parse_bytes(text, &u, NULL) == 0) {
        buf_clear(&out);
        text_put_bytes(&out, u);
        CHECK(text_parse_bytes(out.data, &u2, NULL) == 0 && u == u2);
    }
    if (text_parse_duration(text, &i, NULL) == 0) {
        buf_clear(&out);
        text_put_duration(&out, i);
        // Written in doubles, as Mesos does: large ones need not come back to the nanosecond.
        CHECK(out.size > 0);
    }
}

static void check_percent(const char *text, size_t size)
{
    for (int form = 0; form < 2; form++) {
        char *decoded;
        if (text_percent_decode(text, size, form != 0, &decoded) != 0) {
            continue;
        }
        AUTO_BUF struct buf out = BUF_INIT;
        text_percent_encode(&out, decoded);
        char *again;
        CHECK(text_percent_decode(out.data == NULL ? "" : out.data, out.size, form != 0, &again) ==
              0);
        CHECK(strcmp(decoded, again) == 0);
        mem_free(decoded);
        mem_free(again);
    }
}

static void check_uuid(const char *text)
{
    struct uuid uuid;
    struct uuid again;
    if (uuid_parse(text, &uuid)) {
        char out[UUID_TEXT_SIZE];
        uuid_text(&uuid, out);
        CHECK(uuid_parse(out, &again) && memcmp(&uuid, &again, sizeof(uuid)) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_FREE char *text = mem_strndup((const char *)data, size);
    check_base64((const char *)data, size);
    check_numbers(text);
    check_percent((const char *)data, strlen(text));
    check_uuid(text);
    return 0;
}
