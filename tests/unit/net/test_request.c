// SPDX-License-Identifier: Apache-2.0
//
// The request reader without sockets: every script whole, byte by byte, and cut at each place; the
// outcome must be the same.

#include "harness.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "net/http_internal.h"

static const struct {
    const char *bytes;
    int status;          // 0: accepted
    const char *outcome; // "METHOD path body-size", or the reason of the refusal
} cases[] = {
    // ---- accepted ----
    {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 0, "GET / 0"},
    {"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 0, "GET / 0"},
    {"GET /a%20b?c=%41 HTTP/1.1\r\nHost: a:1\r\n\r\n", 0, "GET /a b 0"},
    {"GET /a//b/../c HTTP/1.1\r\nHost: a\r\n\r\n", 0, "GET /a//b/../c 0"},
    {"GET http://host:5050/x?y HTTP/1.1\r\nHost: a\r\n\r\n", 0, "GET /x 0"},
    {"GET http://host HTTP/1.1\r\nHost: a\r\n\r\n", 0, "GET / 0"},
    {"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 0, "OPTIONS * 0"},
    {"GET / HTTP/1.0\r\n\r\n", 0, "GET / 0"},
    {"FROBNICATE / HTTP/1.1\r\nHost: a\r\n\r\n", 0, "FROBNICATE / 0"},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", 0, "POST / 3"},
    {"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", 0, "GET / 0"},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
     "chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n"
     "\r\n",
     0, "POST / 5"},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n1\r\na\r\n0\r\nHost: b\r\n"
     "Content-Length: 9\r\n\r\n",
     0, "POST / 1"},
    {"POST / HTTP/1.1\r\nhost:\ta \r\ncontent-length:  1 \r\n\r\nx", 0, "POST / 1"},
    {"POST / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: Upgrade\r\nContent-Length: "
     "2\r\n\r\n"
     "ab",
     0, "POST / 2"},
    {"GET / HTTP/1.1\r\nHost: a\r\nEmpty:\r\n\r\n", 0, "GET / 0"},
    {"GET / HTTP/1.1\r\nHost: a\r\nX: a\tb\r\n\r\n", 0, "GET / 0"},
    {"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\nx", 0,
     "POST / 1"},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\r\n{\n \"a\": 1\n }", 0, "POST / 12"},
    // ---- one framing ----
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: "
     "chunked\r\n\r\n0\r\n\r\n",
     400, NULL},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: "
     "3\r\n\r\n0\r\n\r\n",
     400, NULL},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400, NULL},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\nabc", 400, NULL},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc", 400, NULL},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -3\r\n\r\nabc", 400, NULL},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x3\r\n\r\nabc", 400, NULL},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", 400, NULL},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n", 400, NULL},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n", 413, "The body is too large"},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501, NULL},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: "
     "chunked\r\n\r\n"
     "0\r\n\r\n",
     400, NULL},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501, NULL},
    {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, NULL},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400, NULL},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\ng\r\n", 400, NULL},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", 400, NULL},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n", 400,
     NULL},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc", 400, NULL},
    // ---- one Host ----
    {"GET / HTTP/1.1\r\n\r\n", 400, "No Host header"},
    {"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400, "More than one Host header"},
    {"GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", 400, "More than one Host header"},
    {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400, "Bad Host header"},
    {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, "Bad Host header"},
    // ---- header lines ----
    {"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", 400,
     "A header line begins with white space"},
    {"GET / HTTP/1.1\r\nHost: a\r\nX:\r\n\tb\r\n\r\n", 400,
     "A header line begins with white space"},
    {"GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400, "A header line begins with white space"},
    {"GET / HTTP/1.1\r\nHost: a\r\nX y: a\r\n\r\n", 400, NULL},
    {"GET / HTTP/1.1\r\nHost: a\r\n: a\r\n\r\n", 400, NULL},
    {"GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", 400, NULL},
    {"GET / HTTP/1.1\r\nHost: a\r\nX: \x01\r\n\r\n", 400, NULL},
    {"GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", 400, NULL},
    {"GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\nB: 1\r\nC: 1\r\nD: 1\r\n\r\n", 431, "Too many headers"},
    {"GET / HTTP/1.1\r\nHost: a\r\nX: "
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "a"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "a"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "a"
     "\r\n\r\n",
     431, "The head is too large"},
    // ---- packed bodies ----
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Encoding: identity\r\nContent-Length: 1\r\n\r\nx", 0,
     "POST / 1"},
    {"GET / HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\n\r\n", 0, "GET / 0"},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx", 400,
     "The body is not what gzip makes"},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Encoding: br\r\nContent-Length: 1\r\n\r\nx", 415,
     "Only the content coding gzip is known"},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\nContent-Encoding: gzip\r\n\r\n", 415,
     "A body that is packed twice"},
    {"POST / HTTP/1.1\r\nHost: a\r\nExpect: rain\r\nContent-Length: 1\r\n\r\nx", 417, NULL},
    // ---- targets ----
    {"GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", 400, "Bad escape in the path"},
    {"GET /%4 HTTP/1.1\r\nHost: a\r\n\r\n", 400, "Bad escape in the path"},
    {"GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n", 400, "Bad escape in the path"},
    {"GET /?a=%g1 HTTP/1.1\r\nHost: a\r\n\r\n", 400, "Bad escape in the query"},
    {"GET /?a=%00 HTTP/1.1\r\nHost: a\r\n\r\n", 400, "Bad escape in the query"},
    {"GET x HTTP/1.1\r\nHost: a\r\n\r\n", 400, NULL},
    {"GET ?x HTTP/1.1\r\nHost: a\r\n\r\n", 400, NULL},
    {"GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400, "The path does not begin with a slash"},
    {"GET  HTTP/1.1\r\nHost: a\r\n\r\n", 400, NULL},
    {"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400, NULL},
    {"GET /\x80 HTTP/1.1\r\nHost: a\r\n\r\n", 400, NULL},
    // ---- request lines ----
    {"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505, NULL},
    {"GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505, NULL},
    {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, NULL},
    {"GET /\r\n\r\n", 505, NULL},
    {"GET / FTP/1.1\r\nHost: a\r\n\r\n", 400, NULL},
    {" GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "This is no HTTP request"},
    {"G\"T / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "This is no HTTP request"},
    {"\x16\x03\x01\x02", 400, "This is no HTTP request"},
    {"GETGETGETGETGETGETGETGETGETGETGETGET / HTTP/1.1\r\n\r\n", 400, "This is no HTTP request"},
    {"\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n", 400, "Empty lines instead of a request"},
};

static struct http_options limits = {
    .head_size_max = 300,
    .header_count_max = 4,
    .body_size_max = 1000,
};

// Feeds the bytes with cuts after `first` and then every `step` bytes.
static void feed(const char *bytes, size_t size, size_t first, size_t step, int *ret_status,
                 char *ret_outcome, size_t outcome_size, size_t *ret_used)
{
    struct http_request *r = request_new(&limits);
    size_t at = 0;
    enum request_result result = REQUEST_NEEDS_MORE;
    while (at < size && result == REQUEST_NEEDS_MORE) {
        size_t piece = at == 0 ? first : step;
        piece = piece < size - at ? piece : size - at;
        // A copy of its own, so that reading beyond it is seen.
        char *copy = mem_dup(bytes + at, piece);
        size_t used;
        result = request_feed(r, copy, piece, &used);
        mem_free(copy);
        assert_true(result == REQUEST_IS_BAD || result == REQUEST_IS_WHOLE || used == piece);
        at += used;
    }
    *ret_used = at;
    *ret_status = result == REQUEST_IS_BAD ? r->bad_status : result == REQUEST_IS_WHOLE ? 0 : -1;
    if (result == REQUEST_IS_BAD) {
        snprintf(ret_outcome, outcome_size, "%s", r->bad_text);
    } else if (result == REQUEST_IS_WHOLE) {
        snprintf(ret_outcome, outcome_size, "%s %s %zu", http_method(r), http_path(r),
                 r->body.size);
    } else {
        ret_outcome[0] = '\0';
    }
    request_free(r);
}

static void check_case(size_t i, size_t first, size_t step)
{
    size_t size = strlen(cases[i].bytes);
    int status;
    char outcome[256];
    size_t used;
    feed(cases[i].bytes, size, first, step, &status, outcome, sizeof(outcome), &used);
    if (status != cases[i].status) {
        print_error("case %zu cut at %zu/%zu: %s -> %d %s\n", i, first, step, cases[i].bytes,
                    status, outcome);
    }
    assert_int_equal(status, cases[i].status);
    if (cases[i].outcome != NULL) {
        assert_string_equal(outcome, cases[i].outcome);
    }
    if (status == 0) {
        assert_int_equal(used, size);
    }
}

static void test_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        size_t size = strlen(cases[i].bytes);
        for (size_t cut = 1; cut <= size; cut++) {
            check_case(i, cut, size);
        }
        check_case(i, 1, 1);
        check_case(i, 2, 3);
    }
}

static void test_nul_bytes(void **state)
{
    (void)state;
    static const char *const heads[] = {"GET /a?b HTTP/1.1\r\nHost: a\r\nX: yz\r\n\r\n"};
    size_t size = strlen(heads[0]);
    for (size_t at = 0; at < size - 2; at++) {
        char *bytes = mem_dup(heads[0], size);
        bytes[at] = '\0';
        int status;
        char outcome[256];
        size_t used;
        feed(bytes, size, size, 1, &status, outcome, sizeof(outcome), &used);
        if (status != 400 && status != 505) {
            print_error("NUL at %zu: %d %s\n", at, status, outcome);
        }
        assert_true(status == 400 || status == 505);
        mem_free(bytes);
    }
}

// What is behind a request is left to the next one.
static void test_rest_is_left(void **state)
{
    (void)state;
    static const char *const firsts[] = {
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
    };
    for (size_t i = 0; i < ARRAY_COUNT(firsts); i++) {
        size_t size = strlen(firsts[i]);
        char *bytes AUTO_FREE = mem_printf("%sGET /next HTTP/1.1\r\n", firsts[i]);
        for (size_t cut = 1; cut <= strlen(bytes); cut++) {
            int status;
            char outcome[256];
            size_t used;
            feed(bytes, strlen(bytes), cut, strlen(bytes), &status, outcome, sizeof(outcome),
                 &used);
            assert_int_equal(status, 0);
            assert_int_equal(used, size);
        }
    }
}

static void feed_repeated(const char *start, const char *piece, int expected)
{
    struct http_request *r = request_new(&limits);
    size_t used;
    enum request_result result = request_feed(r, start, strlen(start), &used);
    for (int i = 0; i < 200000 && result == REQUEST_NEEDS_MORE; i++) {
        result = request_feed(r, piece, strlen(piece), &used);
    }
    assert_int_equal(result, REQUEST_IS_BAD);
    assert_int_equal(r->bad_status, expected);
    request_free(r);
}

static void test_endless_things(void **state)
{
    (void)state;
    static const char chunked[] =
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    feed_repeated("GET /", "a", 431);
    feed_repeated("GET / HTTP/1.1\r\nHost: a\r\nX:", " ", 431);
    feed_repeated("GET / HTTP/1.1\r\n", "a: \r\n", 431);
    feed_repeated("GET / HTTP/1.1\r\nX", "x", 431);
    feed_repeated(chunked, "1\r\na\r\n", 413);
    feed_repeated(chunked,
                  "64\r\n0123456789012345678901234567890123456789012345678901234567890123"
                  "456789012345678901234567890123456789\r\n",
                  413);
    char *extension AUTO_FREE = mem_printf("%s1;x=", chunked);
    feed_repeated(extension, "y", 400);
    char *trailer AUTO_FREE = mem_printf("%s0\r\n", chunked);
    feed_repeated(trailer, "a: bbbbbbbbbbbbbb\r\n", 431);
}

static void test_queries(void **state)
{
    (void)state;
    struct http_request *r = request_new(&limits);
    static const char bytes[] = "GET /p?a=1&b=x+y%26&c&d=&%61a=z#frag HTTP/1.1\r\nHost: a\r\n\r\n";
    size_t used;
    assert_int_equal(request_feed(r, bytes, sizeof(bytes) - 1, &used), REQUEST_IS_WHOLE);
    assert_string_equal(http_path(r), "/p");
    assert_string_equal(http_query(r, "a"), "1");
    assert_string_equal(http_query(r, "b"), "x y&");
    assert_string_equal(http_query(r, "c"), "");
    assert_string_equal(http_query(r, "d"), "");
    assert_string_equal(http_query(r, "aa"), "z");
    assert_null(http_query(r, "e"));
    assert_string_equal(http_raw_target(r), "/p?a=1&b=x+y%26&c&d=&%61a=z#frag");
    assert_string_equal(http_get_header(r, "hOST"), "a");
    assert_null(http_get_header(r, "hos"));
    request_free(r);
}

static void test_gzip_choice(void **state)
{
    (void)state;
    assert_false(gzip_is_accepted(NULL));
    assert_false(gzip_is_accepted(""));
    assert_false(gzip_is_accepted("deflate, br"));
    assert_true(gzip_is_accepted("gzip"));
    assert_true(gzip_is_accepted("deflate, GZIP;q=0.5"));
    assert_true(gzip_is_accepted("*"));
    assert_true(gzip_is_accepted("gzip;q=0.001"));
    assert_false(gzip_is_accepted("gzip;q=0"));
    assert_false(gzip_is_accepted("gzip; q=0.000, *"));
    assert_false(gzip_is_accepted("identity, *;q=0"));
    assert_false(gzip_is_accepted("xgzip"));
}

// A request with `size` times "a" as its body, packed, of which the last `cut` bytes are missing
// and which `extra` follows. What came of it stays with the caller.
static struct http_request *feed_packed(size_t size, size_t cut, const char *extra)
{
    AUTO_FREE char *plain = mem_alloc(size);
    memset(plain, 'a', size);
    AUTO_FREE char *packed = NULL;
    size_t packed_size;
    assert_true(gzip_compress(plain, size, &packed, &packed_size));
    packed_size -= cut;
    AUTO_BUF struct buf bytes = BUF_INIT;
    buf_printf(
        &bytes,
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\nContent-Length: %zu\r\n\r\n",
        packed_size + strlen(extra));
    buf_append(&bytes, packed, packed_size);
    buf_puts(&bytes, extra);
    struct http_request *r = request_new(&limits);
    size_t used;
    request_feed(r, bytes.data, bytes.size, &used);
    return r;
}

static void test_packed_bodies(void **state)
{
    (void)state;
    static const struct {
        size_t size, cut;
        const char *extra;
        int status; // 0: accepted
    } bodies[] = {
        {100, 0, "", 0},   {1000, 0, "", 0},  {1001, 0, "", 413}, {1000000, 0, "", 413},
        {100, 1, "", 400}, {100, 9, "", 400}, {100, 0, "x", 400},
    };
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        struct http_request *r = feed_packed(bodies[i].size, bodies[i].cut, bodies[i].extra);
        if (bodies[i].status == 0) {
            size_t size;
            const char *body = http_body(r, &size);
            assert_int_equal(size, bodies[i].size);
            assert_true(body[0] == 'a' && body[size - 1] == 'a');
        } else {
            assert_int_equal(r->bad_status, bodies[i].status);
        }
        request_free(r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),         cmocka_unit_test(test_nul_bytes),
        cmocka_unit_test(test_rest_is_left),  cmocka_unit_test(test_endless_things),
        cmocka_unit_test(test_queries),       cmocka_unit_test(test_gzip_choice),
        cmocka_unit_test(test_packed_bodies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
