// SPDX-License-Identifier: Apache-2.0
//
// See known_head.h. The head is kept as it came last. Usually the next one is the same to the last
// byte; else it may differ in the digits of its Content-Length, which are changed where they stand.
// One request is kept from call to call with its memory, and in its head only those digits change.

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

// A text with digits in it, and room for DIGITS_MAX of them.
struct head_text {
    char *text;
    size_t size;
    size_t before; // bytes in front of the digits
    size_t digits;
};

struct known_head {
    struct head_text raw;  // as it came last
    struct head_text read; // http_request.head
    size_t length;         // what the digits of `raw` say
    char *path;
    size_t query_at; // in `read`, always in front of the digits; 0: no query
    uint32_t target_at;
    uint32_t headers_at;
    uint32_t header_count;
    struct http_request *spare; // answered, and not used again yet; or NULL
    size_t spare_length;        // what the digits of its head say
};

static void text_init(struct head_text *t, const char *data, size_t size, size_t at, size_t digits)
{
    *t = (struct head_text){mem_alloc(size + DIGITS_MAX), size, at, digits};
    memcpy(t->text, data, size);
}

static void set_digits(struct head_text *t, const char *digits, size_t count)
{
    char *at = t->text + t->before;
    if (count != t->digits) {
        memmove(at + count, at + t->digits, t->size - t->before - t->digits);
        t->size = t->size - t->digits + count;
        t->digits = count;
    }
    memcpy(at, digits, count);
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

static size_t read_digits(const char *digits, size_t count)
{
    size_t value = 0;
    for (size_t i = 0; i < count; i++) {
        value = value * 10 + (size_t)(digits[i] - '0');
    }
    return value;
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
    text_init(&known->raw, data, head_size, raw_at, digits);
    text_init(&known->read, r->head.data, r->head.size, (size_t)(length - r->head.data), digits);
    known->length = read_digits(length, digits);
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

// The digits of the request's head become those of `raw`. What stands behind them moves when they
// are more or fewer than before.
static void put_digits(struct known_head *known, struct http_request *r)
{
    const struct head_text *raw = &known->raw;
    size_t before = known->read.digits;
    set_digits(&known->read, raw->text + raw->before, raw->digits);
    buf_clear(&r->head);
    buf_append(&r->head, known->read.text, known->read.size);
    for (size_t i = 0; i < HTTP_COMMON_COUNT; i++) {
        if (r->common_at[i] > known->read.before) {
            r->common_at[i] += (uint32_t)raw->digits - (uint32_t)before;
        }
    }
    r->query = known->query_at != 0 ? r->head.data + known->query_at : NULL;
    known->spare_length = known->length;
}

// A request with this head, whose body is still to come.
static struct http_request *request_with(struct known_head *known,
                                         const struct http_options *limits)
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
        put_digits(known, r);
    }
    r->magic = REQUEST_MAGIC;
    if (known->spare_length != known->length) {
        put_digits(known, r);
    }
    return r;
}

// Whether the bytes begin with the head but for the digits, which are taken over then.
static bool take_other_length(struct known_head *known, const char *data, size_t size)
{
    struct head_text *raw = &known->raw;
    size_t rest = raw->size - raw->before - raw->digits;
    if (size <= raw->before + rest || memcmp(data, raw->text, raw->before) != 0) {
        return false;
    }
    const char *digits = data + raw->before;
    size_t count = count_digits(digits, size - raw->before);
    // A first 0 has other digits behind it, or nothing to come: the parser may see to both.
    if (count == 0 || count > DIGITS_MAX || digits[0] == '0' || size - raw->before - count < rest ||
        memcmp(digits + count, raw->text + raw->before + raw->digits, rest) != 0) {
        return false;
    }
    set_digits(raw, digits, count);
    known->length = read_digits(digits, count);
    return true;
}

struct http_request *known_head_take(struct known_head *known, const struct http_options *limits,
                                     const char *data, size_t size, size_t *ret_used)
{
    const struct head_text *raw = &known->raw;
    if ((size < raw->size || memcmp(data, raw->text, raw->size) != 0) &&
        !take_other_length(known, data, size)) {
        return NULL;
    }
    if (known->length > size - raw->size || known->length > limits->body_size_max ||
        known->read.size - known->read.digits + raw->digits > limits->head_size_max) {
        return NULL;
    }
    struct http_request *r = request_with(known, limits);
    buf_append(&r->body, data + raw->size, known->length);
    *ret_used = raw->size + known->length;
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
