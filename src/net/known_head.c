// SPDX-License-Identifier: Apache-2.0
//
// See known_head.h. The raw head is kept in two parts, before and behind the digits of the
// Content-Length; so is what was read of it. One request is kept from call to call with its memory,
// and in its head only those digits change.

#include "net/known_head.h"

#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/mem.h"

enum {
    RAW_SIZE_MAX = 2048,
    DIGITS_MAX = 8,
    SPARE_BODY_MAX = 4096, // memory for a body that is kept
};

// A text with a place in it for digits.
struct gap {
    char *text;    // without the digits
    size_t size;   // of the text
    size_t before; // bytes in front of the place
};

struct known_head {
    struct gap raw;
    struct gap read; // http_request.head
    char *path;
    size_t query_at; // in `read`, without the digits; 0: no query
    uint32_t target_at;
    uint32_t headers_at;
    uint32_t header_count;
    struct http_request *spare; // answered, and not used again yet; or NULL
};

static void gap_init(struct gap *gap, const char *data, size_t size, size_t at, size_t digits)
{
    gap->size = size - digits;
    gap->before = at;
    gap->text = mem_alloc(gap->size);
    memcpy(gap->text, data, at);
    memcpy(gap->text + at, data + at + digits, size - at - digits);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static size_t count_digits(const char *text, size_t size)
{
    size_t n = 0;
    while (n < size && is_digit(text[n])) {
        n++;
    }
    return n;
}

// Where the digits of the Content-Length stand in the raw head, or 0. Only the form that everybody
// writes is taken.
static size_t find_raw_digits(const char *data, size_t size)
{
    static const char name[] = "\r\nContent-Length: ";
    const size_t name_size = sizeof(name) - 1;
    for (size_t i = 0; i + name_size < size; i++) {
        if (data[i] == '\r' && strncasecmp(data + i, name, name_size) == 0) {
            return i + name_size;
        }
    }
    return 0;
}

struct known_head *known_head_new(const struct http_request *r, const char *data, size_t size)
{
    const char *length = http_get_header(r, "Content-Length");
    if (length == NULL || strcmp(r->head.data, "POST") != 0 || !r->keep_alive || r->is_http_1_0 ||
        size < r->body.size || size - r->body.size > RAW_SIZE_MAX ||
        http_get_header(r, "Transfer-Encoding") != NULL || http_get_header(r, "Expect") != NULL ||
        r->is_packed) {
        return NULL;
    }
    size_t head_size = size - r->body.size;
    size_t digits = strlen(length);
    size_t raw_at = find_raw_digits(data, head_size);
    if (head_size < 4 || memcmp(data + head_size - 4, "\r\n\r\n", 4) != 0 || raw_at == 0 ||
        digits == 0 || digits > DIGITS_MAX || count_digits(length, digits) != digits ||
        raw_at + digits + 2 > head_size || memcmp(data + raw_at, length, digits) != 0 ||
        data[raw_at + digits] != '\r') {
        return NULL;
    }
    struct known_head *known = mem_zalloc(sizeof(*known));
    gap_init(&known->raw, data, head_size, raw_at, digits);
    gap_init(&known->read, r->head.data, r->head.size, (size_t)(length - r->head.data), digits);
    known->path = mem_strdup(r->path);
    known->query_at = r->query != NULL ? (size_t)(r->query - r->head.data) : 0;
    known->target_at = r->target_at;
    known->headers_at = r->headers_at;
    known->header_count = r->header_count;
    return known;
}

struct known_head *known_head_free(struct known_head *known)
{
    if (known != NULL) {
        mem_free(known->raw.text);
        mem_free(known->read.text);
        mem_free(known->path);
        if (known->spare != NULL) {
            known->spare->magic = REQUEST_MAGIC;
            request_free(known->spare);
        }
        mem_free(known);
    }
    return NULL;
}

static void put_gap(struct buf *out, const struct gap *gap, const char *digits, size_t count)
{
    buf_clear(out);
    buf_reserve(out, gap->size + count);
    buf_append(out, gap->text, gap->before);
    buf_append(out, digits, count);
    buf_append(out, gap->text + gap->before, gap->size - gap->before);
}

// Whether the length in its head has so many digits.
static bool has_digits(const struct http_request *r, const struct known_head *known, size_t count)
{
    return r->head.size == known->read.size + count;
}

// What stands behind the digits moves when they are more or fewer than before.
static void move_common(struct http_request *r, const struct known_head *known, size_t before,
                        size_t now)
{
    for (size_t i = 0; i < HTTP_COMMON_COUNT; i++) {
        if (r->common_at[i] > known->read.before) {
            r->common_at[i] += (uint32_t)now - (uint32_t)before;
        }
    }
}

// A request with this head, whose body is still to come.
static struct http_request *request_with(struct known_head *known,
                                         const struct http_options *limits, const char *digits,
                                         size_t count)
{
    struct http_request *r = TAKE_PTR(known->spare);
    if (r == NULL) {
        r = request_new(limits);
        r->is_of_known_head = true;
        r->target_at = known->target_at;
        r->headers_at = known->headers_at;
        r->header_count = known->header_count;
        r->path = mem_strdup(known->path);
        r->keep_alive = true;
        r->stage = REQUEST_WHOLE;
    }
    r->magic = REQUEST_MAGIC;
    if (has_digits(r, known, count)) {
        memcpy(r->head.data + known->read.before, digits, count);
        return r;
    }
    if (r->head.size > 0) {
        move_common(r, known, r->head.size - known->read.size, count);
    }
    put_gap(&r->head, &known->read, digits, count);
    r->query = known->query_at != 0 ? r->head.data + known->query_at : NULL;
    return r;
}

struct http_request *known_head_take(struct known_head *known, const struct http_options *limits,
                                     const char *data, size_t size, size_t *ret_used)
{
    const struct gap *raw = &known->raw;
    if (size <= raw->size || memcmp(data, raw->text, raw->before) != 0) {
        return NULL;
    }
    const char *digits = data + raw->before;
    size_t count = 0, length = 0;
    // At least one byte more came than there are beside the digits, and what follows them is none.
    while (count <= DIGITS_MAX && raw->size + count < size && is_digit(digits[count])) {
        length = length * 10 + (size_t)(digits[count++] - '0');
    }
    // A first 0 has other digits behind it, or nothing to come: the parser may see to both.
    if (count == 0 || count > DIGITS_MAX || digits[0] == '0' ||
        memcmp(digits + count, raw->text + raw->before, raw->size - raw->before) != 0) {
        return NULL;
    }
    size_t head_size = raw->size + count;
    if (length > size - head_size || length > limits->body_size_max ||
        known->read.size + count > limits->head_size_max) {
        return NULL;
    }
    struct http_request *r = request_with(known, limits, digits, count);
    buf_append(&r->body, data + head_size, length);
    *ret_used = head_size + length;
    return r;
}

void known_head_give_back(struct known_head *known, struct http_request *r)
{
    CHECK(r->is_of_known_head && known->spare == NULL && list_is_empty(&r->hook.link));
    if (r->body.capacity > SPARE_BODY_MAX) {
        buf_free(&r->body);
    } else {
        buf_clear(&r->body);
    }
    if (r->arena != NULL) {
        arena_reset(r->arena);
    }
    r->on_abort = NULL;
    r->stream = (struct http_stream){0};
    r->answer_header_count = 0;
    r->conn = NULL;
    r->magic = 0; // nobody may use it now
    known->spare = r;
}
