// SPDX-License-Identifier: Apache-2.0
//
// The bodies of the server's answers: streams, packed ones, files and blobs, towards peers that
// read slowly, stop or go.

#include "harness.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "base/mem.h"

// ---- streams ----

static void test_stream(void **state)
{
    (void)state;
    struct harness h;
    harness_init(&h, NULL);
    int fd = harness_dial(&h);
    struct buf out AUTO_BUF = BUF_INIT;
    harness_puts(&h, fd, "POST /stream HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx");
    HARNESS_UNTIL(&h, h.stream != NULL);
    http_stream_send(h.stream, "5\nhello", 7);
    http_stream_send(h.stream, "", 0);
    http_stream_send(h.stream, "12\n0123456789ab", 15);
    harness_receive(&h, fd, &out, "ab\r\n");
    assert_int_equal(http_stream_queued(h.stream), 0);
    http_stream_close(h.stream);
    harness_puts(&h, fd, "GET /none HTTP/1.1\r\nHost: a\r\n\r\n");
    harness_receive(&h, fd, &out, "Content-Length: 0\r\n\r\n");
    harness_drop_dates(&out);
    assert_string_equal(out.data, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                                  "Transfer-Encoding: chunked\r\n\r\n7\r\n5\nhello\r\n"
                                  "f\r\n12\n0123456789ab\r\n0\r\n\r\n"
                                  "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n");
    assert_int_equal(h.stream_closed, 0);
    close(fd);
    // HTTP/1.0 knows no chunks: the end of the connection ends the answer.
    buf_clear(&out);
    fd = harness_dial(&h);
    harness_puts(&h, fd, "GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    HARNESS_UNTIL(&h, h.handled == 3);
    http_stream_send(h.stream, "raw", 3);
    http_stream_close(h.stream);
    harness_receive(&h, fd, &out, NULL);
    harness_drop_dates(&out);
    assert_string_equal(out.data, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                                  "Connection: close\r\n\r\nraw");
    close(fd);
    harness_free(&h);
}

static void test_stream_ends(void **state)
{
    (void)state;
    struct harness h;
    struct http_options options = {.queue_size_max = 1024 * 1024};
    harness_init(&h, &options);
    for (int way = 0; way < 3; way++) {
        int fd = harness_dial(&h);
        harness_puts(&h, fd, "GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
        HARNESS_UNTIL(&h, h.stream != NULL);
        if (way == 0) {
            close(fd);
        } else if (way == 1) {
            harness_reset(fd);
        } else {
            char *big AUTO_FREE = mem_zalloc(300 * 1024);
            for (int i = 0; i < 100 && h.stream != NULL; i++) {
                http_stream_send(h.stream, big, 300 * 1024);
                assert_non_null(h.stream); // never from inside the call
                harness_turn(&h);
            }
        }
        HARNESS_UNTIL(&h, h.stream == NULL);
        assert_int_equal(h.stream_closed, way + 1);
        if (way == 2) {
            close(fd);
        }
    }
    harness_free(&h);
}

struct sized {
    struct harness h;
    struct http_stream *stream;
    unsigned drained;
    unsigned closed;
};

static void sized_closed(void *ctx, struct http_stream *s)
{
    struct sized *sized = ctx;
    assert_ptr_equal(sized->stream, s);
    sized->closed++;
}

static void sized_drained(void *ctx, struct http_stream *s)
{
    struct sized *sized = ctx;
    assert_ptr_equal(sized->stream, s);
    sized->drained++;
}

static void handle_sized(void *ctx, struct http_request *r)
{
    struct sized *sized = ctx;
    http_add_answer_header(r, "X-Added", "1");
    if (strcmp(http_path(r), "/sized") != 0) {
        http_respond_text(r, 404, "no");
        return;
    }
    struct http_header header = {"X-Own", "2"};
    sized->stream = http_respond_sized_stream(r, "a/b", 6, &header, 1, sized_closed, sized);
    http_stream_on_drained(sized->stream, sized_drained);
}

// A body of a known size: sent as it is; the connection goes on when it was whole, and is broken
// when it was not.
static void test_sized_stream(void **state)
{
    (void)state;
    struct sized sized = {0};
    struct harness *h = &sized.h;
    harness_init(h, NULL);
    h->handler = handle_sized;
    h->handler_ctx = &sized;
    int fd = harness_dial(h);
    struct buf out AUTO_BUF = BUF_INIT;
    harness_puts(h, fd, "GET /sized HTTP/1.1\r\nHost: a\r\n\r\n");
    HARNESS_UNTIL(h, sized.stream != NULL && sized.drained == 1);
    http_stream_send(sized.stream, "abc", 3);
    HARNESS_UNTIL(h, sized.drained == 2);
    http_stream_send(sized.stream, "def", 3);
    http_stream_close(sized.stream);
    harness_puts(h, fd, "GET /else HTTP/1.1\r\nHost: a\r\n\r\n");
    harness_receive(h, fd, &out, "no");
    harness_drop_dates(&out);
    assert_string_equal(out.data,
                        "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 6\r\n"
                        "X-Own: 2\r\nX-Added: 1\r\n\r\nabcdef"
                        "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain; charset=utf-8\r\n"
                        "Content-Length: 2\r\nX-Added: 1\r\n\r\nno");
    assert_int_equal(sized.drained, 2);
    for (int way = 0; way < 2; way++) {
        sized.stream = NULL;
        buf_clear(&out);
        harness_puts(h, fd, "GET /sized HTTP/1.1\r\nHost: a\r\n\r\n");
        HARNESS_UNTIL(h, sized.stream != NULL);
        http_stream_send(sized.stream, "abc", 3);
        harness_receive(h, fd, &out, "abc");
        if (way == 0) {
            http_stream_close(sized.stream); // too early
        } else {
            http_stream_break(sized.stream);
        }
        harness_receive(h, fd, &out, NULL);
        assert_null(strstr(out.data, "abcd"));
        assert_int_equal(sized.closed, 0);
        close(fd);
        fd = harness_dial(h);
    }
    sized.stream = NULL;
    harness_puts(h, fd, "GET /sized HTTP/1.1\r\nHost: a\r\n\r\n");
    HARNESS_UNTIL(h, sized.stream != NULL);
    close(fd);
    HARNESS_UNTIL(h, sized.closed == 1);
    harness_free(h);
}

// A stream that its owner closes in the same turn in which its queue has overflowed.
static void test_stream_closed_after_overflow(void **state)
{
    (void)state;
    struct harness h;
    struct http_options options = {.queue_size_max = 1000};
    harness_init(&h, &options);
    int fd = harness_dial(&h);
    harness_puts(&h, fd, "GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    HARNESS_UNTIL(&h, h.stream != NULL);
    char big[2000] = "";
    http_stream_send(h.stream, big, sizeof(big));
    http_stream_send(h.stream, "x", 1);
    http_stream_close(h.stream);
    struct buf out AUTO_BUF = BUF_INIT;
    harness_receive(&h, fd, &out, NULL);
    assert_int_equal(h.stream_closed, 0);
    close(fd);
    harness_free(&h);
}

// ---- packed bodies and files ----

static void test_gzip(void **state)
{
    (void)state;
    struct harness h;
    harness_init(&h, NULL);
    struct buf request AUTO_BUF = BUF_INIT;
    struct buf out AUTO_BUF = BUF_INIT;
    buf_puts(&request, "POST /echo HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n"
                       "Content-Length: 20000\r\n\r\n");
    for (int i = 0; i < 20000; i++) {
        buf_putc(&request, (char)('a' + i % 7));
    }
    harness_ask(&h, request.data, &out);
    assert_non_null(strstr(out.data, "Content-Encoding: gzip\r\n"));
    char *body = strstr(out.data, "\r\n\r\n") + 4;
    size_t body_size = out.size - (size_t)(body - out.data);
    assert_int_equal(atoi(strstr(out.data, "Content-Length: ") + 16), body_size);
    static unsigned char plain[30000];
    z_stream z = {0};
    assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
    z.next_in = (unsigned char *)body;
    z.avail_in = (uInt)body_size;
    z.next_out = plain;
    z.avail_out = sizeof(plain);
    assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
    assert_int_equal(z.total_out, 20000);
    assert_memory_equal(plain, request.data + request.size - 20000, 20000);
    inflateEnd(&z);
    // A large body is packed elsewhere, while the next request waits and the peer may go.
    buf_clear(&request);
    buf_clear(&out);
    buf_puts(&request, "POST /echo HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n"
                       "Content-Length: 1000000\r\n\r\n");
    for (int i = 0; i < 1000000; i++) {
        buf_putc(&request, (char)('a' + i % 11));
    }
    size_t without_next = request.size;
    buf_puts(&request, "GET /none HTTP/1.1\r\nHost: a\r\n\r\n");
    harness_ask(&h, request.data, &out);
    assert_non_null(strstr(out.data, "Content-Encoding: gzip\r\n"));
    assert_true(out.size < 100000);
    const char *next = out.data + out.size;
    while (next > out.data && strncmp(next, "HTTP/1.1 202", 12) != 0) {
        next--;
    }
    assert_true(next > out.data);
    for (int i = 0; i < 3; i++) {
        unsigned before = h.handled;
        int fd = harness_dial(&h);
        harness_send(&h, fd, request.data, without_next);
        HARNESS_UNTIL(&h, h.handled > before);
        harness_reset(fd);
    }
    // A short body, and one that nobody asked to have packed, stay as they are.
    buf_clear(&out);
    harness_ask(&h, "GET /i HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n", &out);
    assert_null(strstr(out.data, "gzip"));
    harness_free(&h);
}

static void test_file(void **state)
{
    (void)state;
    struct harness h;
    harness_init(&h, NULL);
    char path[] = "/tmp/meseta-net-XXXXXX";
    h.file_fd = mkstemp(path);
    unlink(path);
    size_t size = 3 * 1000 * 1000;
    char *content AUTO_FREE = mem_alloc(size);
    for (size_t i = 0; i < size; i++) {
        content[i] = (char)('A' + (i * 7 + i / 1000) % 26);
    }
    assert_int_equal(write(h.file_fd, content, size), size);
    h.file_size = size;
    struct buf out AUTO_BUF = BUF_INIT;
    int fd = harness_dial(&h);
    harness_puts(&h, fd,
                 "GET /file HTTP/1.1\r\nHost: a\r\n\r\nGET /none HTTP/1.1\r\nHost: a\r\n\r\n");
    harness_turn_for(&h, 50); // the reader sleeps: it may not be read whole meanwhile
    harness_receive(&h, fd, &out, "202 Accepted");
    char *body = strstr(out.data, "\r\n\r\n") + 4;
    assert_memory_equal(body, content, size);
    assert_true(strstr(out.data, "202 Accepted") > body);
    close(fd);
    // The peer goes in the middle.
    fd = harness_dial(&h);
    harness_puts(&h, fd, "GET /file HTTP/1.1\r\nHost: a\r\n\r\n");
    harness_turn_for(&h, 20);
    harness_reset(fd);
    harness_turn_for(&h, 20);
    // The file is shorter than was said: the connection is cut.
    h.file_size = size + 1;
    buf_clear(&out);
    fd = harness_dial(&h);
    harness_puts(&h, fd, "GET /file HTTP/1.1\r\nHost: a\r\n\r\n");
    harness_receive(&h, fd, &out, NULL);
    close(fd);
    // And the server goes while a piece is being read.
    fd = harness_dial(&h);
    harness_puts(&h, fd, "GET /file HTTP/1.1\r\nHost: a\r\n\r\n");
    unsigned before = h.handled;
    HARNESS_UNTIL(&h, h.handled > before);
    harness_free(&h);
    close(fd);
}

// ---- blobs ----

enum { BLOB_BLOCKS = 300 };

static void fill(char *block, size_t which)
{
    for (size_t i = 0; i < HTTP_BLOCK_SIZE; i++)
        block[i] = (char)('a' + (which * 7 + i / 5) % 26);
}

static void respond_blob(void *ctx, struct http_request *r)
{
    struct http_blob **blob = ctx;
    if (*blob == NULL) {
        *blob = http_blob_new();
        for (size_t i = 0; i < BLOB_BLOCKS; i++) {
            char *block = http_block_new();
            fill(block, i);
            http_blob_add(*blob, block, HTTP_BLOCK_SIZE - i, HTTP_BLOCK_SIZE);
        }
    }
    http_respond_blob(r, 200, "text/plain", *blob, false);
}

static void check_blob(const struct buf *answer)
{
    assert_non_null(answer->data);
    const char *at = strstr(answer->data, "\r\n\r\n");
    assert_non_null(at);
    at += 4;
    char *block = mem_alloc(HTTP_BLOCK_SIZE);
    for (size_t i = 0; i < BLOB_BLOCKS; i++) {
        fill(block, i);
        assert_memory_equal(at, block, HTTP_BLOCK_SIZE - i);
        at += HTTP_BLOCK_SIZE - i;
    }
    mem_free(block);
    assert_ptr_equal(at, answer->data + answer->size);
}

static bool holds_blob(const struct harness *h)
{
    return *(struct http_blob *const *)h->handler_ctx != NULL;
}

// Two share a blob that neither's buffers can hold, and each reads in his own time; its blocks are
// kept as far as that is allowed.
static void test_blob(void **state)
{
    (void)state;
    struct harness h;
    struct http_blob *blob = NULL;
    harness_init(&h, NULL);
    h.handler = respond_blob;
    h.handler_ctx = &blob;
    http_blocks_keep((size_t)3 * HTTP_BLOCK_SIZE);
    struct buf answers[2] = {BUF_INIT, BUF_INIT};
    int fds[2];
    for (int i = 0; i < 2; i++) {
        fds[i] = harness_dial(&h);
        harness_puts(&h, fds[i], "GET /blob HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    }
    harness_turn_for(&h, 5);
    assert_non_null(blob);
    http_blob_release(TAKE_PTR(blob));
    for (int i = 0; i < 2; i++) {
        harness_receive(&h, fds[i], &answers[i], NULL);
        check_blob(&answers[i]);
        buf_free(&answers[i]);
        close(fds[i]);
    }
    assert_true(http_blocks_drop(2));
    char *block = http_block_new();
    assert_false(http_blocks_drop(1));
    mem_free(block);
    http_blocks_keep(0);
    // One that goes while it is being read takes its share with it.
    int fd = harness_dial(&h);
    harness_puts(&h, fd, "GET /blob HTTP/1.1\r\nHost: a\r\n\r\n");
    HARNESS_UNTIL(&h, holds_blob(&h));
    http_blob_release(TAKE_PTR(blob));
    close(fd);
    harness_turn_for(&h, 5);
    assert_false(http_blocks_drop(0));
    harness_free(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stream),       cmocka_unit_test(test_stream_ends),
        cmocka_unit_test(test_sized_stream), cmocka_unit_test(test_stream_closed_after_overflow),
        cmocka_unit_test(test_gzip),         cmocka_unit_test(test_file),
        cmocka_unit_test(test_blob),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
