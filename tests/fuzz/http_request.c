// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a stream of requests: fed at once, and in pieces of the size that the first byte
// says, the outcome is the same; and what is accepted keeps the rules. A request that is taken by
// the head of one before it is what the parser makes of it.

#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "base/check.h"
#include "base/mem.h"
#include "net/http_internal.h"
#include "net/known_head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct http_options limits = {
    .head_size_max = 2000,
    .header_count_max = 10,
    .body_size_max = 2000,
};

static unsigned count_headers(const struct http_request *r, const char *name)
{
    unsigned count = 0;
    const char *at = r->head.data + r->headers_at;
    for (uint32_t i = 0; i < r->header_count; i++) {
        const char *value = at + strlen(at) + 1;
        count += strcasecmp(at, name) == 0;
        CHECK(strpbrk(value, "\r\n") == NULL && at[0] != '\0');
        at = value + strlen(value) + 1;
        CHECK(at <= r->head.data + r->head.size);
    }
    return count;
}

static void note_request(struct http_request *r, struct buf *out)
{
    CHECK(http_path(r)[0] == '/' || strcmp(http_path(r), "*") == 0);
    unsigned hosts = count_headers(r, "host");
    CHECK(hosts == 1 || (r->is_http_1_0 && hosts == 0));
    CHECK(count_headers(r, "content-length") + count_headers(r, "transfer-encoding") <= 1);
    CHECK(r->head.size <= limits.head_size_max && r->header_count <= limits.header_count_max);
    size_t size;
    const char *body = http_body(r, &size);
    CHECK(size <= limits.body_size_max);
    buf_printf(out, "%s %s %s %d ", http_method(r), http_path(r), http_raw_target(r),
               r->keep_alive);
    const char *value = http_query(r, "a");
    const char *form = http_form(r, "a");
    buf_printf(out, "%s %s", value != NULL ? value : "-", form != NULL ? form : "-");
    buf_append(out, body, size);
}

static void feed(const uint8_t *data, size_t size, size_t piece, struct buf *out)
{
    struct http_request *r = request_new(&limits);
    size_t at = 0;
    for (size_t in_piece = piece; at < size;) {
        size_t n = size - at < in_piece ? size - at : in_piece;
        size_t used;
        char *copy = mem_dup(data + at, n);
        enum request_result result = request_feed(r, copy, n, &used);
        mem_free(copy);
        CHECK(used <= n);
        if (result == REQUEST_IS_BAD) {
            CHECK(r->bad_status >= 400 && r->bad_text[0] != '\0');
            buf_puts(out, "bad"); // of several faults, the pieces say which is seen first
            break;
        }
        at += used;
        in_piece -= used;
        if (result == REQUEST_IS_WHOLE) {
            note_request(r, out);
            request_free(r);
            r = request_new(&limits);
        } else {
            CHECK(used == n);
        }
        if (in_piece == 0) {
            in_piece = piece;
        }
    }
    request_free(r);
}

static void check_common_headers(struct http_request *r, struct http_request *taken)
{
    for (int i = 0; i < HTTP_COMMON_COUNT; i++) {
        const char *value = http_get_common_header(r, (enum http_common_header)i);
        const char *other = http_get_common_header(taken, (enum http_common_header)i);
        CHECK((value == NULL) == (other == NULL));
        CHECK(value == NULL || strcmp(value, other) == 0);
    }
}

// All requests at once, as a connection reads them.
static void feed_known(const uint8_t *data, size_t size)
{
    struct known_head *known = NULL;
    size_t at = 0, used = 0;
    for (enum request_result result = REQUEST_IS_WHOLE; result == REQUEST_IS_WHOLE && at < size;
         at += used) {
        char *copy AUTO_FREE = mem_dup(data + at, size - at);
        AUTO_BUF struct buf text = BUF_INIT;
        AUTO_BUF struct buf known_text = BUF_INIT;
        size_t known_used = 0;
        struct http_request *taken =
            known != NULL ? known_head_take(known, &limits, copy, size - at, &known_used) : NULL;
        struct http_request *r = request_new(&limits);
        result = request_feed(r, copy, size - at, &used);
        if (result == REQUEST_IS_WHOLE)
            note_request(r, &text);
        if (taken != NULL) {
            note_request(taken, &known_text);
            CHECK(result == REQUEST_IS_WHOLE && known_used == used);
            CHECK(text.size == known_text.size &&
                  memcmp(text.data, known_text.data, text.size) == 0);
            CHECK(r->head.size == taken->head.size && r->header_count == taken->header_count);
            CHECK(memcmp(r->head.data, taken->head.data, r->head.size) == 0);
            CHECK(r->is_http_1_0 == taken->is_http_1_0 && r->is_head == taken->is_head);
            CHECK(!r->expects_continue && !taken->expects_continue);
            check_common_headers(r, taken);
            known_head_give_back(known, taken);
        } else if (result == REQUEST_IS_WHOLE) {
            known_head_free(known);
            known = known_head_new(r, copy, used);
        }
        request_free(r);
    }
    known_head_free(known);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    AUTO_BUF struct buf whole = BUF_INIT;
    AUTO_BUF struct buf pieces = BUF_INIT;
    feed(data + 1, size - 1, size - 1, &whole);
    feed(data + 1, size - 1, (size_t)data[0] % 16 + 1, &pieces);
    feed_known(data + 1, size - 1);
    // Limits of raw bytes are looked at after each piece; nothing else may depend on the pieces.
    if (size < limits.head_size_max) {
        CHECK(whole.size == pieces.size);
        CHECK(whole.size == 0 || memcmp(whole.data, pieces.data, whole.size) == 0);
    }
    return 0;
}
