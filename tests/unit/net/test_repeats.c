// SPDX-License-Identifier: Apache-2.0
//
// What is done once for many: requests with the same head on one connection, answers without a
// body, options of the socket that connections inherit.

#include "harness.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"

// What a handler saw of each request, one line each.
struct scene {
    struct harness h;
    struct buf seen;
    struct http_request *kept; // not answered yet
    unsigned aborted;
    unsigned repeats; // what the memo of the last request counts
};

static void on_abort(void *ctx, struct http_request *r)
{
    struct scene *s = ctx;
    (void)r;
    s->aborted++;
}

static const char *or_none(const char *text)
{
    return text != NULL ? text : "-";
}

// By the first letter of the body: 'k' is answered later, 'h' gets a header more, 'a' would tell of
// its end, 's' is a stream.
static void handle(void *ctx, struct http_request *r)
{
    struct scene *s = ctx;
    size_t size;
    const char *body = http_body(r, &size);
    buf_printf(&s->seen, "%s %s %s length=%s type=%s stream=%s %zu:%.3s\n", http_method(r),
               http_path(r), or_none(http_query(r, "a")), http_get_header(r, "Content-Length"),
               or_none(http_get_common_header(r, HTTP_CONTENT_TYPE)),
               or_none(http_get_common_header(r, HTTP_MESOS_STREAM_ID)), size, body);
    s->repeats = ++http_memo(r)->kind;
    if (body[0] == 'a') {
        http_on_abort(r, on_abort, s);
    }
    if (body[0] == 'h') {
        http_add_answer_header(r, "X-More", "yes");
    }
    if (body[0] == 's') {
        struct http_stream *stream = http_respond_stream(r, "text/plain", NULL, 0, NULL, s);
        http_stream_send_behind(stream, "on", 2, "e", 1);
        http_stream_send(stream, "two", 3);
        http_stream_close(stream);
    } else if (body[0] == 'k') {
        s->kept = r;
    } else {
        http_respond_status(r, body[0] == 'o' ? 200 : 202);
    }
}

static void begin(struct scene *s)
{
    memset(s, 0, sizeof(*s));
    harness_init(&s->h, NULL);
    s->h.handler = handle;
    s->h.handler_ctx = s;
}

static void end(struct scene *s)
{
    buf_free(&s->seen);
    harness_free(&s->h);
}

// A request of `size` bytes of body that begin with `letter`.
static void post(struct scene *s, int fd, const char *more, char letter, size_t size)
{
    AUTO_BUF struct buf text = BUF_INIT;
    buf_printf(&text,
               "POST /p%%20q?a=b%%20c HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n%s"
               "Mesos-Stream-Id: id\r\n\r\n",
               size, more);
    for (size_t i = 0; i < size; i++) {
        buf_putc(&text, i == 0 ? letter : (char)('0' + i % 10));
    }
    harness_send(&s->h, fd, text.data, text.size);
}

static const char type[] = "Content-Type: application/x-protobuf\r\n";

static void expect(struct scene *s, size_t size, const char *what, const char *type_seen)
{
    AUTO_BUF struct buf line = BUF_INIT;
    buf_printf(&line, "POST /p q b c length=%zu type=%s stream=id %zu:%s\n", size, type_seen, size,
               what);
    assert_string_equal(s->seen.data, line.data);
    buf_clear(&s->seen);
}

static void receive(struct scene *s, int fd, const char *what)
{
    AUTO_BUF struct buf out = BUF_INIT;
    harness_receive(&s->h, fd, &out, what);
}

// With a reset: it is gone, not only silent.
static void break_off(int fd)
{
    struct linger now = {.l_onoff = 1};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
    close(fd);
}

// Lengths with more digits and fewer, with memory that is kept and not, another head in between.
static void test_each_is_as_if_read_anew(void **state)
{
    (void)state;
    struct scene s;
    begin(&s);
    int fd = harness_dial(&s.h);
    static const size_t sizes[] = {3, 9, 10, 3, 99, 100, 5000, 4, 60000, 3, 3};
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        post(&s, fd, type, 'x', sizes[i]);
        receive(&s, fd, "HTTP/1.1 202 Accepted\r\nDate: ");
        expect(&s, sizes[i], "x12", "application/x-protobuf");
    }
    post(&s, fd, "", 'x', 3);
    receive(&s, fd, "202");
    expect(&s, 3, "x12", "-");
    post(&s, fd, type, 'x', 3);
    receive(&s, fd, "202");
    expect(&s, 3, "x12", "application/x-protobuf");
    close(fd);
    end(&s);
}

// What a handler finds out from a head it finds again with the same head, whatever the length, and
// with no other.
static void test_memo_goes_with_the_head(void **state)
{
    (void)state;
    struct scene s;
    begin(&s);
    int fd = harness_dial(&s.h);
    static const struct {
        const char *more;
        size_t size;
        unsigned repeats;
    } posts[] = {{type, 3, 1}, {type, 3, 1}, {type, 3, 2}, {type, 1234, 3}, {type, 3, 4},
                 {"", 3, 1},   {"", 12, 1},  {"", 3, 2},   {type, 3, 1}};
    for (size_t i = 0; i < ARRAY_COUNT(posts); i++) {
        post(&s, fd, posts[i].more, 'x', posts[i].size);
        receive(&s, fd, "202");
        assert_int_equal(s.repeats, posts[i].repeats);
    }
    close(fd);
    end(&s);
}

// Calls that came in one piece, too, leave a connection that is idle and is closed for it.
static void test_idle_after_calls(void **state)
{
    (void)state;
    struct scene s;
    memset(&s, 0, sizeof(s));
    struct http_options options = {.idle_timeout_ns = 50 * NS_PER_MS};
    harness_init(&s.h, &options);
    s.h.handler = handle;
    s.h.handler_ctx = &s;
    int fd = harness_dial(&s.h);
    for (int i = 0; i < 4; i++) {
        post(&s, fd, type, 'x', 5);
    }
    AUTO_BUF struct buf out = BUF_INIT;
    harness_receive(&s.h, fd, &out, NULL);
    assert_non_null(s.seen.data);
    close(fd);
    end(&s);
}

// What one request was given is not the next one's.
static void test_nothing_is_left_of_the_one_before(void **state)
{
    (void)state;
    struct scene s;
    begin(&s);
    int fd = harness_dial(&s.h);
    AUTO_BUF struct buf out = BUF_INIT;
    for (const char *at = "xaxhxsx"; *at != '\0'; at++) {
        post(&s, fd, type, *at, 5);
    }
    harness_receive(&s.h, fd, &out, "0\r\n\r\nHTTP/1.1 202");
    const char *more = strstr(out.data, "X-More");
    assert_non_null(more);
    assert_null(strstr(more + 1, "X-More"));
    assert_non_null(strstr(out.data, "\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"));
    // This one's connection goes, and nobody had asked to be told.
    post(&s, fd, type, 'k', 5);
    HARNESS_UNTIL(&s.h, s.kept != NULL);
    break_off(fd);
    harness_turn_for(&s.h, 5);
    http_respond_status(s.kept, 202);
    assert_int_equal(s.aborted, 0);
    end(&s);
}

// Its connection goes while it is with the handler, or ends with it.
static void test_ends_of_one_that_was_repeated(void **state)
{
    (void)state;
    struct scene s;
    begin(&s);
    for (int i = 0; i < 2; i++) {
        int fd = harness_dial(&s.h);
        post(&s, fd, type, 'x', 5);
        receive(&s, fd, "202");
        post(&s, fd, type, 'x', 5);
        receive(&s, fd, "202");
        s.kept = NULL;
        post(&s, fd, type, 'k', 5);
        HARNESS_UNTIL(&s.h, s.kept != NULL);
        if (i == 0) {
            http_respond_status(s.kept, 202);
            receive(&s, fd, "202");
            post(&s, fd, type, 'x', 5);
            receive(&s, fd, "202");
        } else {
            http_on_abort(s.kept, on_abort, &s);
        }
        break_off(fd);
        harness_turn_for(&s.h, 5);
    }
    HARNESS_UNTIL(&s.h, s.aborted == 1);
    end(&s);
}

static void ask_date(struct scene *s, int fd, char letter, const char *status, char ret_date[32])
{
    AUTO_BUF struct buf out = BUF_INIT;
    post(s, fd, type, letter, 5);
    harness_receive(&s->h, fd, &out, "\r\n\r\n");
    assert_int_equal(strncmp(out.data, status, strlen(status)), 0);
    const char *at = out.data + strlen(status);
    assert_int_equal(strncmp(at, "\r\nDate: ", 8), 0);
    assert_string_equal(at + 8 + 29, "\r\nContent-Length: 0\r\n\r\n");
    memcpy(ret_date, at + 8, 29);
    ret_date[29] = '\0';
}

// The bytes of such an answer are kept for a second, and for one status.
static void test_empty_answers_tell_status_and_time(void **state)
{
    (void)state;
    struct scene s;
    begin(&s);
    int fd = harness_dial(&s.h);
    char first[32], date[32];
    ask_date(&s, fd, 'x', "HTTP/1.1 202 Accepted", first);
    ask_date(&s, fd, 'o', "HTTP/1.1 200 OK", date);
    ask_date(&s, fd, 'x', "HTTP/1.1 202 Accepted", date);
    struct tm tm;
    assert_non_null(strptime(date, "%a, %d %b %Y %H:%M:%S GMT", &tm));
    HARNESS_UNTIL(&s.h,
                  (ask_date(&s, fd, 'x', "HTTP/1.1 202 Accepted", date), strcmp(first, date) != 0));
    close(fd);
    end(&s);
}

static int option_of(int fd, int level, int name)
{
    int value = -1;
    socklen_t size = sizeof(value);
    assert_int_equal(getsockopt(fd, level, name, &value, &size), 0);
    return value;
}

// The server's end of our connection: the descriptor whose peer is us.
static int find_other_end(int fd)
{
    struct sockaddr_in own, peer;
    socklen_t size = sizeof(own);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&own, &size), 0);
    for (int other = 3; other < 256; other++) {
        size = sizeof(peer);
        if (getpeername(other, (struct sockaddr *)&peer, &size) == 0 &&
            peer.sin_family == AF_INET && peer.sin_port == own.sin_port) {
            return other;
        }
    }
    fail_msg("the other end is not to be found");
    return -1;
}

static void test_connections_inherit_options(void **state)
{
    (void)state;
    struct scene s;
    begin(&s);
    int fd = harness_dial(&s.h);
    post(&s, fd, type, 'x', 5);
    receive(&s, fd, "202");
    int other = find_other_end(fd);
    assert_int_equal(option_of(other, IPPROTO_TCP, TCP_NODELAY), 1);
    assert_int_equal(option_of(other, SOL_SOCKET, SO_KEEPALIVE), 1);
    assert_int_equal(option_of(other, IPPROTO_TCP, TCP_KEEPIDLE), 60);
    close(fd);
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_is_as_if_read_anew),
        cmocka_unit_test(test_memo_goes_with_the_head),
        cmocka_unit_test(test_idle_after_calls),
        cmocka_unit_test(test_nothing_is_left_of_the_one_before),
        cmocka_unit_test(test_ends_of_one_that_was_repeated),
        cmocka_unit_test(test_empty_answers_tell_status_and_time),
        cmocka_unit_test(test_connections_inherit_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
