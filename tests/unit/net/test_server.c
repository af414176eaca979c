// SPDX-License-Identifier: Apache-2.0
//
// The server over loopback sockets: answers as bytes, order, limits of time and memory, and ends of
// every kind. harness_free fails when anything is left on the loop; address sanitizer sees the
// rest.

#include "harness.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#include "base/mem.h"

// Takes the Date lines out, so that the rest can be compared.
static void drop_dates(struct buf *b)
{
    char *at = b->data;
    while (at != NULL && (at = strstr(at, "Date: ")) != NULL) {
        char *end = strstr(at, "\r\n") + 2;
        memmove(at, end, strlen(end) + 1);
    }
}

static const struct {
    const char *request;
    const char *answer;
} exchanges[] = {
    {"GET /none HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
     "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"},
    {"GET /i?a=b%20c HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n",
     "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 24\r\n\r\n"
     "GET /i a=b c x=y body=0\n"},
    {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
     "chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n"
     "T: u\r\n\r\n",
     "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: 3\r\n\r\nabc"},
    {"HEAD /i HTTP/1.1\r\nHost: a\r\n\r\n",
     "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 23\r\n\r\n"},
    {"GET /none HTTP/1.0\r\n\r\n",
     "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"},
    {"GET /none HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /none HTTP/1.0\r\n\r\n",
     "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n"
     "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"},
    {"BREW /none HTTP/1.1\r\nHost: a\r\n\r\n",
     "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"},
    {"GET /none HTTP/1.1\r\n\r\n",
     "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 15\r\n"
     "Connection: close\r\n\r\nNo Host header\n"},
    // A refused request ends its connection: what follows is not believed.
    {"GET /%zz HTTP/1.1\r\nHost: a\r\n\r\nGET /none HTTP/1.1\r\nHost: a\r\n\r\n",
     "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 23\r\n"
     "Connection: close\r\n\r\nBad escape in the path\n"},
    {"GET /none HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET /none HTTP/1.1\r\nHost: "
     "a\r\n\r\n",
     "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"},
    {"POST /i HTTP/1.1\r\nHost: a\r\nExpect: x\r\nContent-Length: 1\r\n\r\n",
     "HTTP/1.1 417 Expectation Failed\r\nContent-Type: text/plain; charset=utf-8\r\n"
     "Content-Length: 34\r\nConnection: close\r\n\r\nOnly 100-continue can be expected\n"},
    {"GET /evil HTTP/1.1\r\nHost: a\r\n\r\n",
     "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1\r\n"
     "X-Evil: a  Set-Cookie: b\r\n\r\ne"},
    {"POST /form HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n"
     "Content-Length: 12\r\n\r\nb=1&a=x%20+y",
     "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 5\r\n\r\nx  "
     "y\n"},
    {"GET /none HTTP/1.1\r\nHo", ""},
    {"", ""},
};

static void test_exchanges(void **state)
{
    (void)state;
    struct harness h;
    harness_init(&h, NULL);
    for (size_t i = 0; i < ARRAY_COUNT(exchanges); i++) {
        struct buf out AUTO_BUF = BUF_INIT;
        harness_ask(&h, exchanges[i].request, &out);
        drop_dates(&out);
        assert_string_equal(out.data != NULL ? out.data : "", exchanges[i].answer);
    }
    harness_free(&h);
}

static void test_byte_by_byte(void **state)
{
    (void)state;
    struct harness h;
    harness_init(&h, NULL);
    for (size_t i = 0; i < ARRAY_COUNT(exchanges); i++) {
        struct buf out AUTO_BUF = BUF_INIT;
        int fd = harness_dial(&h);
        for (const char *at = exchanges[i].request; *at != '\0'; at++) {
            harness_send(&h, fd, at, 1);
            harness_turn(&h);
        }
        shutdown(fd, SHUT_WR);
        harness_receive(&h, fd, &out, NULL);
        close(fd);
        drop_dates(&out);
        assert_string_equal(out.data != NULL ? out.data : "", exchanges[i].answer);
    }
    harness_free(&h);
}

static size_t count_of(const char *text, const char *part)
{
    size_t count = 0;
    while ((text = strstr(text, part)) != NULL) {
        count++;
        text += strlen(part);
    }
    return count;
}

static void test_pipeline(void **state)
{
    (void)state;
    struct harness h;
    harness_init(&h, NULL);
    struct buf in AUTO_BUF = BUF_INIT;
    struct buf out AUTO_BUF = BUF_INIT;
    for (int i = 0; i < 1000; i++) {
        buf_printf(&in, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n%05d", i);
    }
    harness_ask(&h, in.data, &out);
    assert_int_equal(h.handled, 1000);
    assert_int_equal(count_of(out.data, "HTTP/1.1 200 OK"), 1000);
    const char *at = out.data;
    for (int i = 0; i < 1000; i++) {
        char body[16];
        snprintf(body, sizeof(body), "\r\n\r\n%05d", i);
        at = strstr(at, body);
        assert_non_null(at);
    }
    harness_free(&h);
}

// One that sends without end is served a part each turn, and others in between.
static void test_flood(void **state)
{
    (void)state;
    struct harness h;
    harness_init(&h, NULL);
    struct buf flood AUTO_BUF = BUF_INIT;
    struct buf out AUTO_BUF = BUF_INIT;
    for (int i = 0; i < 20000; i++) {
        buf_printf(&flood, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n%05d", i);
    }
    int first = harness_dial(&h);
    int second = harness_dial(&h);
    // As much as the kernel takes at once.
    ssize_t sent = send(first, flood.data, flood.size, MSG_DONTWAIT);
    assert_true(sent > 200 * 1000);
    harness_puts(&h, second, "GET /echo HTTP/1.1\r\nHost: a\r\n\r\n");
    for (int i = 0; i < 10 && h.handled == 0; i++) {
        harness_turn(&h);
    }
    assert_in_range(h.handled, 1, 2000);
    harness_receive(&h, second, &out, "HTTP/1.1 200 OK");
    assert_in_range(h.handled, 1, (uintmax_t)sent / 100);
    // All of it is served in the end.
    HARNESS_UNTIL(&h, h.handled >= (size_t)sent / 59);
    close(first);
    close(second);
    harness_free(&h);
}

// The second request waits for the answer of the first; one that is not read holds up the pipeline.
static void test_pipeline_waits(void **state)
{
    (void)state;
    struct harness h;
    harness_init(&h, NULL);
    int fd = harness_dial(&h);
    struct buf out AUTO_BUF = BUF_INIT;
    harness_puts(&h, fd,
                 "GET /keep HTTP/1.1\r\nHost: a\r\n\r\n"
                 "GET /none HTTP/1.1\r\nHost: a\r\n\r\n");
    HARNESS_UNTIL(&h, h.kept != NULL);
    harness_turn_for(&h, 10);
    assert_int_equal(h.handled, 1);
    http_respond_text(h.kept, 200, "first");
    harness_receive(&h, fd, &out, "202 Accepted");
    assert_true(strstr(out.data, "first") < strstr(out.data, "202 Accepted"));
    assert_int_equal(h.handled, 2);
    close(fd);
    harness_free(&h);
}

static void test_waiting_is_bounded(void **state)
{
    (void)state;
    struct harness h;
    harness_init(&h, NULL);
    int fd = harness_dial(&h);
    harness_puts(&h, fd, "GET /keep HTTP/1.1\r\nHost: a\r\n\r\n");
    HARNESS_UNTIL(&h, h.kept != NULL);
    char bytes[4096];
    memset(bytes, 'x', sizeof(bytes));
    size_t sent = 0;
    for (int i = 0; i < 20000; i++) {
        ssize_t n = send(fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_NOSIGNAL);
        sent += n > 0 ? (size_t)n : 0;
        harness_turn(&h);
    }
    assert_true(sent < (size_t)20000 * sizeof(bytes)); // it stopped reading
    close(fd);
    harness_turn_for(&h, 20);
    harness_free(&h);
}

static void test_half_closed_peer_gets_answer(void **state)
{
    (void)state;
    struct harness h;
    harness_init(&h, NULL);
    int fd = harness_dial(&h);
    struct buf out AUTO_BUF = BUF_INIT;
    harness_puts(&h, fd, "GET /keep HTTP/1.1\r\nHost: a\r\n\r\n");
    shutdown(fd, SHUT_WR);
    harness_turn_for(&h, 20);
    assert_non_null(h.kept);
    assert_int_equal(h.aborted, 0);
    http_respond_text(h.kept, 200, "late");
    harness_receive(&h, fd, &out, NULL);
    assert_non_null(strstr(out.data, "late"));
    close(fd);
    harness_free(&h);
}

static void reset_and_close(int fd)
{
    struct linger linger = {.l_onoff = 1};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    close(fd);
}

static void test_abort(void **state)
{
    (void)state;
    struct harness h;
    harness_init(&h, NULL);
    int fd = harness_dial(&h);
    harness_puts(&h, fd, "GET /keep HTTP/1.1\r\nHost: a\r\n\r\n");
    HARNESS_UNTIL(&h, h.kept != NULL);
    reset_and_close(fd);
    HARNESS_UNTIL(&h, h.aborted == 1);
    // Without on_abort the request stays, and its answer goes nowhere.
    for (int way = 0; way < 3; way++) {
        h.kept = NULL;
        fd = harness_dial(&h);
        harness_puts(&h, fd, "GET /orphan HTTP/1.1\r\nHost: a\r\n\r\n");
        HARNESS_UNTIL(&h, h.kept != NULL);
        reset_and_close(fd);
        harness_turn_for(&h, 20);
        assert_string_equal(http_path(h.kept), "/orphan");
        if (way == 0) {
            http_respond_text(h.kept, 200, "nobody");
        } else {
            struct http_stream *s = http_respond_stream(h.kept, "a/b", NULL, 0, NULL, NULL);
            http_stream_send(s, "x", 1);
            if (way == 1) {
                http_stream_close(s);
            }
        }
    }
    harness_turn_for(&h, 5);
    harness_free(&h);
}

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
    drop_dates(&out);
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
    drop_dates(&out);
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
            reset_and_close(fd);
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
    drop_dates(&out);
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

static void test_free_with_everything_open(void **state)
{
    (void)state;
    struct harness h;
    harness_init(&h, NULL);
    static const char *const starts[] = {
        "GET /keep HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /stream HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc",
        "GET /none HT",
        "",
    };
    int fds[ARRAY_COUNT(starts)];
    for (size_t i = 0; i < ARRAY_COUNT(starts); i++) {
        fds[i] = harness_dial(&h);
        harness_puts(&h, fds[i], starts[i]);
    }
    harness_turn_for(&h, 10);
    assert_non_null(h.kept);
    assert_non_null(h.stream);
    h.server = http_server_free(h.server);
    assert_int_equal(h.aborted, 1);
    assert_int_equal(h.stream_closed, 1);
    harness_free(&h);
    for (size_t i = 0; i < ARRAY_COUNT(starts); i++) {
        close(fds[i]);
    }
}

static void test_free_in_handler(void **state)
{
    (void)state;
    struct harness h;
    harness_init(&h, NULL);
    int fd = harness_dial(&h);
    struct buf out AUTO_BUF = BUF_INIT;
    harness_puts(&h, fd,
                 "GET /none HTTP/1.1\r\nHost: a\r\n\r\nGET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    int other = harness_dial(&h);
    // The request of /free itself has no on_abort: it is answered after the server has gone.
    harness_puts(&h, other, "GET /keep HTTP/1.1\r\nHost: a\r\n\r\n");
    HARNESS_UNTIL(&h, h.kept != NULL && h.stream != NULL);
    http_respond_text(h.kept, 200, "x");
    h.kept = NULL;
    h.server = http_server_free(h.server);
    harness_receive(&h, fd, &out, NULL);
    assert_int_equal(h.stream_closed, 1);
    close(fd);
    close(other);
    harness_free(&h);
}

static void expect_timeout(struct harness *h, const char *bytes, const char *expected)
{
    int fd = harness_dial(h);
    struct buf out AUTO_BUF = BUF_INIT;
    harness_puts(h, fd, bytes);
    harness_receive(h, fd, &out, NULL);
    if (expected == NULL) {
        assert_int_equal(out.size, 0);
    } else {
        assert_non_null(strstr(out.data, expected));
    }
    close(fd);
}

static void test_time_limits(void **state)
{
    (void)state;
    struct harness h;
    struct http_options options = {
        .idle_timeout_ns = 50 * NS_PER_MS,
        .head_timeout_ns = 60 * NS_PER_MS,
        .body_timeout_ns = 70 * NS_PER_MS,
    };
    harness_init(&h, &options);
    expect_timeout(&h, "", NULL);
    expect_timeout(&h, "GET / HTTP/1.1\r\nHost:", "408 Request Timeout");
    expect_timeout(&h, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nx",
                   "408 Request Timeout");
    expect_timeout(&h, "GET /none HTTP/1.1\r\nHost: a\r\n\r\n", "202 Accepted");
    // Slow loris: a byte now and then does not keep a head alive.
    int fd = harness_dial(&h);
    struct buf out AUTO_BUF = BUF_INIT;
    harness_puts(&h, fd, "GET / HTTP/1.1\r\n");
    for (int i = 0; i < 20; i++) {
        harness_puts(&h, fd, "a: b\r\n");
        harness_turn_for(&h, 10);
    }
    harness_receive(&h, fd, &out, NULL);
    assert_non_null(strstr(out.data, "408 Request Timeout"));
    close(fd);
    // A body that makes progress is waited for; so is a handler; a stream has no limit.
    fd = harness_dial(&h);
    buf_clear(&out);
    harness_puts(&h, fd, "POST /i HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n");
    for (int i = 0; i < 10; i++) {
        harness_turn_for(&h, 20);
        harness_puts(&h, fd, "x");
    }
    harness_receive(&h, fd, &out, "body=10");
    harness_puts(&h, fd, "GET /keep HTTP/1.1\r\nHost: a\r\n\r\n");
    harness_turn_for(&h, 150);
    assert_non_null(h.kept);
    http_respond(h.kept, 200, NULL, NULL, 0, NULL, 0);
    harness_puts(&h, fd, "GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    harness_turn_for(&h, 150);
    assert_non_null(h.stream);
    close(fd);
    HARNESS_UNTIL(&h, h.stream == NULL);
    harness_free(&h);
}

static void test_continue(void **state)
{
    (void)state;
    struct harness h;
    harness_init(&h, NULL);
    int fd = harness_dial(&h);
    struct buf out AUTO_BUF = BUF_INIT;
    harness_puts(
        &h, fd,
        "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    harness_receive(&h, fd, &out, "HTTP/1.1 100 Continue\r\n\r\n");
    assert_int_equal(out.size, 25);
    harness_puts(&h, fd, "ab");
    harness_receive(&h, fd, &out, "\r\n\r\nab");
    assert_int_equal(count_of(out.data, "100 Continue"), 1);
    close(fd);
    harness_free(&h);
}

// The answer to a body that is too large arrives though the client is still sending.
static void test_body_that_never_ends(void **state)
{
    (void)state;
    struct harness h;
    struct http_options options = {.body_size_max = 100000};
    harness_init(&h, &options);
    int fd = harness_dial(&h);
    struct buf out AUTO_BUF = BUF_INIT;
    harness_puts(&h, fd, "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    char piece[1010];
    memset(piece, 'x', sizeof(piece));
    memcpy(piece, "3e8\r\n", 5);
    memcpy(piece + 1005, "\r\n", 2);
    for (int i = 0; i < 200; i++) {
        harness_send(&h, fd, piece, 1007);
    }
    harness_receive(&h, fd, &out, "The body is too large\n");
    assert_non_null(strstr(out.data, "413 Request Entity Too Large"));
    assert_int_equal(h.handled, 0);
    close(fd);
    harness_free(&h);
}

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
        reset_and_close(fd);
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
    reset_and_close(fd);
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

static void test_upgrade(void **state)
{
    (void)state;
    struct harness h;
    harness_init(&h, NULL);
    int fd = harness_dial(&h);
    struct buf out AUTO_BUF = BUF_INIT;
    harness_puts(&h, fd,
                 "GET /upgrade HTTP/1.1\r\nHost: a\r\nUpgrade: test/1\r\n"
                 "Connection: Upgrade\r\n\r\nextra");
    harness_receive(&h, fd, &out, "\r\n\r\n");
    assert_string_equal(out.data, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                                  "Upgrade: test/1\r\n\r\n");
    HARNESS_UNTIL(&h, h.upgraded != NULL);
    assert_string_equal(h.upgraded_extra.data, "extra");
    transport_write(h.upgraded, "raw", 3);
    harness_receive(&h, fd, &out, "raw");
    close(fd);
    harness_free(&h);
}

static void test_connection_limit(void **state)
{
    (void)state;
    struct harness h;
    struct http_options options = {.connection_count_max = 3};
    harness_init(&h, &options);
    int busy = harness_dial(&h);
    harness_puts(&h, busy, "GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    HARNESS_UNTIL(&h, h.stream != NULL);
    int fds[10];
    for (int i = 0; i < 10; i++) {
        fds[i] = harness_dial(&h);
        harness_turn_for(&h, 2);
    }
    struct buf out AUTO_BUF = BUF_INIT;
    harness_receive(&h, fds[0], &out, NULL); // the longest idle one had to go
    harness_puts(&h, fds[9], "GET /none HTTP/1.1\r\nHost: a\r\n\r\n");
    harness_receive(&h, fds[9], &out, "202 Accepted");
    assert_non_null(h.stream);
    for (int i = 0; i < 10; i++) {
        close(fds[i]);
    }
    close(busy);
    HARNESS_UNTIL(&h, h.stream == NULL);
    harness_free(&h);
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

static void test_listen_errors(void **state)
{
    (void)state;
    struct harness h;
    harness_init(&h, NULL);
    struct error err;
    assert_true(http_server_listen(h.server, "nowhere", 0, &err) < 0);
    assert_string_equal(err.text, "'nowhere' is not an IP address");
    assert_true(http_server_listen(h.server, "127.0.0.1", h.port, &err) < 0);
    assert_non_null(strstr(err.text, "address already in use"));
    harness_turn_for(&h, 2);
    harness_free(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exchanges),
        cmocka_unit_test(test_byte_by_byte),
        cmocka_unit_test(test_pipeline),
        cmocka_unit_test(test_flood),
        cmocka_unit_test(test_pipeline_waits),
        cmocka_unit_test(test_waiting_is_bounded),
        cmocka_unit_test(test_half_closed_peer_gets_answer),
        cmocka_unit_test(test_abort),
        cmocka_unit_test(test_stream),
        cmocka_unit_test(test_stream_ends),
        cmocka_unit_test(test_sized_stream),
        cmocka_unit_test(test_stream_closed_after_overflow),
        cmocka_unit_test(test_free_with_everything_open),
        cmocka_unit_test(test_free_in_handler),
        cmocka_unit_test(test_time_limits),
        cmocka_unit_test(test_continue),
        cmocka_unit_test(test_body_that_never_ends),
        cmocka_unit_test(test_gzip),
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_upgrade),
        cmocka_unit_test(test_connection_limit),
        cmocka_unit_test(test_blob),
        cmocka_unit_test(test_listen_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
