// SPDX-License-Identifier: Apache-2.0
//
// The server over loopback sockets: answers as bytes, order, limits of time and memory, and ends of
// every kind. harness_free fails when anything is left on the loop; address sanitizer sees the
// rest.

#include "harness.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

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
        harness_drop_dates(&out);
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
        harness_drop_dates(&out);
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

static void test_abort(void **state)
{
    (void)state;
    struct harness h;
    harness_init(&h, NULL);
    int fd = harness_dial(&h);
    harness_puts(&h, fd, "GET /keep HTTP/1.1\r\nHost: a\r\n\r\n");
    HARNESS_UNTIL(&h, h.kept != NULL);
    harness_reset(fd);
    HARNESS_UNTIL(&h, h.aborted == 1);
    // Without on_abort the request stays, and its answer goes nowhere.
    for (int way = 0; way < 3; way++) {
        h.kept = NULL;
        fd = harness_dial(&h);
        harness_puts(&h, fd, "GET /orphan HTTP/1.1\r\nHost: a\r\n\r\n");
        HARNESS_UNTIL(&h, h.kept != NULL);
        harness_reset(fd);
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
        cmocka_unit_test(test_free_with_everything_open),
        cmocka_unit_test(test_free_in_handler),
        cmocka_unit_test(test_time_limits),
        cmocka_unit_test(test_continue),
        cmocka_unit_test(test_body_that_never_ends),
        cmocka_unit_test(test_upgrade),
        cmocka_unit_test(test_connection_limit),
        cmocka_unit_test(test_listen_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
