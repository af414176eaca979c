// SPDX-License-Identifier: Apache-2.0
//
// The HTTP client: answers cut at every byte without sockets, and calls against a peer that the
// test plays by hand.

#include "harness.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "net/answer.h"
#include "net/http_client.h"

// ---- the answer reader ----

static const struct {
    const char *bytes;
    bool is_head;
    bool at_end; // the peer closes behind the bytes
    int status;  // 0: bad
    const char *body;
    bool keep_alive;
    size_t rest; // bytes that belong to the next answer
} answers[] = {
    {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", false, false, 200, "abc", true, 0},
    {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP", false, false, 200, "abc", true, 4},
    {"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", false, false, 202,
     "", false, 0},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\nA;x\r\n0123456789\r\n0\r\n"
     "T: u\r\n\r\n",
     false, false, 200, "ab0123456789", true, 0},
    {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", false, false,
     200, "x", true, 0},
    {"HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\nHTTP/1.1 200 OK\r\n"
     "Content-Length: 1\r\n\r\nx",
     false, false, 200, "x", true, 0},
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", true, false, 200, "", true, 0},
    {"HTTP/1.1 204 No Content\r\n\r\n", false, false, 204, "", true, 0},
    {"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", false, false, 304, "", true, 0},
    {"HTTP/1.1 200 OK\r\n\r\nuntil the end", false, true, 200, "until the end", false, 0},
    {"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", false, false, 200, "x", false, 0},
    {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nraw", false,
     false, 101, "", true, 3},
    {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", false, true, 0, NULL, false, 0},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", false, true, 0, NULL,
     false, 0},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", false, false, 0, NULL, false,
     0},
    {"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", false, false, 0, NULL, false, 0},
    {"SSH-2.0-OpenSSH_9.2\r\n", false, false, 0, NULL, false, 0},
    {"HTTP/1.1 20", false, true, 0, NULL, false, 0},
};

struct seen {
    int status;
    struct buf body;
};

static void seen_head(void *ctx, int status)
{
    struct seen *seen = ctx;
    assert_int_equal(seen->status, 0);
    seen->status = status;
}

static void seen_data(void *ctx, const void *data, size_t size)
{
    struct seen *seen = ctx;
    buf_append(&seen->body, data, size);
}

static const struct answer_callbacks seen_callbacks = {seen_head, seen_data};

static void check_answer(size_t i, size_t first, size_t step)
{
    struct seen seen = {0};
    struct answer_reader a = {0};
    answer_start(&a, answers[i].is_head, &seen_callbacks, &seen);
    size_t size = strlen(answers[i].bytes);
    size_t at = 0;
    enum answer_result result = ANSWER_NEEDS_MORE;
    while (at < size && result == ANSWER_NEEDS_MORE) {
        size_t piece = at == 0 ? first : step;
        piece = piece < size - at ? piece : size - at;
        char *copy = mem_dup(answers[i].bytes + at, piece);
        size_t used;
        result = answer_feed(&a, copy, piece, &used);
        mem_free(copy);
        at += used;
    }
    if (result == ANSWER_NEEDS_MORE && answers[i].at_end) {
        result = answer_end(&a);
    }
    if (answers[i].status == 0) {
        assert_int_equal(result, ANSWER_IS_BAD);
        assert_true(a.bad_text[0] != '\0');
    } else {
        assert_int_equal(result, ANSWER_IS_WHOLE);
        assert_int_equal(seen.status, answers[i].status);
        assert_string_equal(seen.body.data != NULL ? seen.body.data : "", answers[i].body);
        assert_int_equal(a.keep_alive, answers[i].keep_alive);
        assert_int_equal(size - at, answers[i].rest);
    }
    buf_free(&seen.body);
    answer_free(&a);
}

static void test_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(answers); i++) {
        size_t size = strlen(answers[i].bytes);
        for (size_t cut = 1; cut <= size; cut++) {
            check_answer(i, cut, size);
        }
        check_answer(i, 1, 1);
    }
}

static void test_answer_limits(void **state)
{
    (void)state;
    static const char *const pieces[] = {"X: y\r\n", "X", "HTTP/1.1 100 Continue\r\n\r\n"};
    for (size_t i = 0; i < ARRAY_COUNT(pieces); i++) {
        struct seen seen = {0};
        struct answer_reader a = {0};
        answer_start(&a, false, &seen_callbacks, &seen);
        size_t used;
        enum answer_result result = ANSWER_NEEDS_MORE;
        if (i < 2) {
            result = answer_feed(&a, "HTTP/1.1 200 OK\r\n", 17, &used);
        }
        for (int n = 0; n < 100000 && result == ANSWER_NEEDS_MORE; n++) {
            result = answer_feed(&a, pieces[i], strlen(pieces[i]), &used);
        }
        assert_int_equal(result, ANSWER_IS_BAD);
        answer_free(&a);
    }
}

// ---- calls ----

struct record {
    struct harness *h;
    struct http_client *client;
    struct buf text; // what the callbacks told, in order
    int free_at;     // 'h' on_head, 'd' on_data, 'e' on_end: frees the client
    int cancel_at;   // the same, cancels the call
};

static void act(struct record *record, struct http_call *call, int where)
{
    if (record->free_at == where) {
        record->client = http_client_free(record->client);
    } else if (record->cancel_at == where) {
        http_call_cancel(call);
    }
}

static void on_head(void *ctx, struct http_call *call, int status)
{
    struct record *record = ctx;
    const char *x = http_call_header(call, "x-test");
    buf_printf(&record->text, "head %d %s;", status, x != NULL ? x : "-");
    act(record, call, 'h');
}

static void on_data(void *ctx, struct http_call *call, const void *data, size_t size)
{
    struct record *record = ctx;
    buf_printf(&record->text, "data %.*s;", (int)size, (const char *)data);
    act(record, call, 'd');
}

static void on_end(void *ctx, struct http_call *call, const struct error *err)
{
    struct record *record = ctx;
    (void)call;
    buf_printf(&record->text, "end %d;", err != NULL ? err->code : 0);
    if (record->free_at == 'e') {
        record->client = http_client_free(record->client);
    }
}

static const struct http_call_callbacks callbacks = {on_head, on_data, on_end};

static struct http_call *call(struct record *record, const char *target, int64_t timeout_ns)
{
    struct http_header headers[] = {{"Accept", "a/b"}};
    struct http_call_options options = {
        .method = "POST",
        .target = target,
        .headers = headers,
        .header_count = 1,
        .body = "body",
        .body_size = 4,
        .timeout_ns = timeout_ns,
    };
    return http_client_send(record->client, &options, &callbacks, record);
}

static void record_init(struct record *record, struct harness *h, const char *host, uint16_t port)
{
    memset(record, 0, sizeof(*record));
    record->h = h;
    record->client = http_client_new(h->env, host, port);
}

static void record_free(struct record *record)
{
    record->client = http_client_free(record->client);
    buf_free(&record->text);
}

#define EXPECT(record, expected)                                                                   \
    do {                                                                                           \
        HARNESS_UNTIL((record)->h,                                                                 \
                      (record)->text.data != NULL && strstr((record)->text.data, "end") != NULL);  \
        assert_string_equal((record)->text.data, (expected));                                      \
        buf_clear(&(record)->text);                                                                \
    } while (0)

static void test_calls_on_one_connection(void **state)
{
    (void)state;
    struct harness h;
    struct record record;
    harness_init(&h, NULL);
    record_init(&record, &h, "localhost", h.port);
    for (int i = 0; i < 3; i++) {
        call(&record, "/echo", 0);
        EXPECT(&record, "head 200 -;data body;end 0;");
    }
    assert_string_equal(http_client_local_ip(record.client), "127.0.0.1");
    // Two at once wait for each other.
    struct record other = record;
    other.text = BUF_INIT;
    call(&record, "/echo", 0);
    call(&other, "/nowhere", 0);
    EXPECT(&record, "head 200 -;data body;end 0;");
    EXPECT(&other, "head 404 -;data No such path\n;end 0;");
    buf_free(&other.text);
    record_free(&record);
    harness_free(&h);
}

static const char small_answer[] = "HTTP/1.1 200 OK\r\nX-Test: t\r\nContent-Length: 2\r\n\r\nok";

static void test_by_hand(void **state)
{
    (void)state;
    struct harness h;
    struct record record;
    uint16_t port;
    harness_init(&h, NULL);
    int listener = harness_listen(&port);
    record_init(&record, &h, "127.0.0.1", port);
    call(&record, "/path", 0);
    int fd = harness_accept(&h, listener);
    struct buf request AUTO_BUF = BUF_INIT;
    harness_receive(&h, fd, &request, "body");
    char *expected AUTO_FREE =
        mem_printf("POST /path HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nAccept: a/b\r\n"
                   "Content-Length: 4\r\n\r\nbody",
                   port);
    assert_string_equal(request.data, expected);
    for (const char *at = small_answer; *at != '\0'; at++) {
        harness_send(&h, fd, at, 1);
        harness_turn(&h);
    }
    EXPECT(&record, "head 200 t;data o;data k;end 0;");
    // The connection goes stale while it is idle: the next call makes a new one.
    close(fd);
    harness_turn_for(&h, 10);
    call(&record, "/again", 0);
    fd = harness_accept(&h, listener);
    buf_clear(&request);
    harness_receive(&h, fd, &request, "body");
    harness_puts(&h, fd, small_answer);
    EXPECT(&record, "head 200 t;data ok;end 0;");
    // It is closed when the request has come, before any byte: sent once more, and only once.
    call(&record, "/once", 0);
    buf_clear(&request);
    harness_receive(&h, fd, &request, "body");
    close(fd);
    fd = harness_accept(&h, listener);
    buf_clear(&request);
    harness_receive(&h, fd, &request, "/once");
    harness_receive(&h, fd, &request, "body");
    close(fd);
    char *lost AUTO_FREE = mem_printf("end %d;", -ECONNRESET);
    EXPECT(&record, lost);
    // In the middle of the answer nothing is sent again.
    call(&record, "/middle", 0);
    fd = harness_accept(&h, listener);
    buf_clear(&request);
    harness_receive(&h, fd, &request, "body");
    harness_puts(&h, fd, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc");
    harness_turn_for(&h, 5);
    close(fd);
    char *cut AUTO_FREE = mem_printf("head 200 -;data abc;end %d;", -EPROTO);
    EXPECT(&record, cut);
    close(listener);
    record_free(&record);
    harness_free(&h);
}

// What comes while a client is paused stays with the peer.
static void test_pause(void **state)
{
    (void)state;
    struct harness h;
    struct record record;
    uint16_t port;
    harness_init(&h, NULL);
    int listener = harness_listen(&port);
    record_init(&record, &h, "127.0.0.1", port);
    http_client_pause(record.client, true); // there is no connection yet
    call(&record, "/path", 0);
    int fd = harness_accept(&h, listener);
    struct buf request AUTO_BUF = BUF_INIT;
    harness_receive(&h, fd, &request, "body");
    harness_puts(&h, fd, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab");
    HARNESS_UNTIL(&h, record.text.size > 0 && strstr(record.text.data, "data ab;") != NULL);
    http_client_pause(record.client, true);
    harness_puts(&h, fd, "cd");
    harness_turn_for(&h, 20);
    assert_string_equal(record.text.data, "head 200 -;data ab;");
    http_client_pause(record.client, false);
    EXPECT(&record, "head 200 -;data ab;data cd;end 0;");
    close(fd);
    close(listener);
    record_free(&record);
    harness_free(&h);
}

// Three calls of which the first has made the connection known; their requests come at once.
static int pipeline_three(struct harness *h, struct record records[3], int listener, int fd)
{
    buf_clear(&records[0].text);
    if (fd < 0) {
        call(&records[0], "/warm", 0);
        fd = harness_accept(h, listener);
        struct buf request AUTO_BUF = BUF_INIT;
        harness_receive(h, fd, &request, "body");
        harness_puts(h, fd, small_answer);
        EXPECT(&records[0], "head 200 t;data ok;end 0;");
    }
    struct buf request AUTO_BUF = BUF_INIT;
    call(&records[0], "/1", 0);
    call(&records[1], "/2", 0);
    call(&records[2], "/3", 0);
    harness_receive(h, fd, &request, "POST /3");
    assert_non_null(strstr(request.data, "POST /1"));
    assert_non_null(strstr(request.data, "POST /2"));
    return fd;
}

static void test_pipeline(void **state)
{
    (void)state;
    struct harness h;
    struct record records[3];
    uint16_t port;
    harness_init(&h, NULL);
    int listener = harness_listen(&port);
    record_init(&records[0], &h, "127.0.0.1", port);
    http_client_pipeline(records[0].client, 3);
    records[2] = records[1] = records[0];
    int fd = pipeline_three(&h, records, listener, -1);
    // Three answers in one piece, in order.
    char *three AUTO_FREE = mem_printf("%s%s%s", small_answer, small_answer, small_answer);
    harness_puts(&h, fd, three);
    for (int i = 0; i < 3; i++) {
        EXPECT(&records[i], "head 200 t;data ok;end 0;");
    }
    // The peer closes behind the first: whether it saw the others nobody knows.
    fd = pipeline_three(&h, records, listener, fd);
    harness_puts(&h, fd, small_answer);
    close(fd);
    char *lost AUTO_FREE = mem_printf("end %d;", -ECONNRESET);
    EXPECT(&records[0], "head 200 t;data ok;end 0;");
    EXPECT(&records[1], lost);
    EXPECT(&records[2], lost);
    // It says that it closes: the others go to a new connection.
    fd = pipeline_three(&h, records, listener, -1);
    harness_puts(&h, fd, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    EXPECT(&records[0], "head 200 -;end 0;");
    close(fd);
    fd = harness_accept(&h, listener);
    struct buf request AUTO_BUF = BUF_INIT;
    harness_receive(&h, fd, &request, "body");
    harness_puts(&h, fd, small_answer);
    EXPECT(&records[1], "head 200 t;data ok;end 0;");
    harness_receive(&h, fd, &request, "POST /3");
    harness_puts(&h, fd, small_answer);
    EXPECT(&records[2], "head 200 t;data ok;end 0;");
    close(fd);
    close(listener);
    buf_free(&records[1].text);
    buf_free(&records[2].text);
    record_free(&records[0]);
    harness_free(&h);
}

// A call waits for as long as answers to those before it come; silence ends it.
static void test_patience(void **state)
{
    (void)state;
    struct harness h;
    struct record records[3];
    uint16_t port;
    harness_init(&h, NULL);
    int listener = harness_listen(&port);
    record_init(&records[0], &h, "127.0.0.1", port);
    http_client_pipeline(records[0].client, 4);
    records[2] = records[1] = records[0];
    int fd = pipeline_three(&h, records, listener, -1);
    int64_t began = env_refresh_now(h.env).mono;
    // Behind three, with a patience that is over long before they are answered.
    struct record last = records[0];
    last.text = BUF_INIT;
    call(&last, "/4", 1200 * NS_PER_MS);
    for (int i = 0; i < 3; i++) {
        harness_turn_for(&h, 450);
        harness_puts(&h, fd, small_answer);
        EXPECT(&records[i], "head 200 t;data ok;end 0;");
    }
    assert_true(env_refresh_now(h.env).mono - began > 1200 * NS_PER_MS);
    assert_null(last.text.data);
    char *late AUTO_FREE = mem_printf("end %d;", -ETIMEDOUT);
    EXPECT(&last, late);
    close(fd);
    close(listener);
    buf_free(&records[1].text);
    buf_free(&records[2].text);
    buf_free(&last.text);
    record_free(&records[0]);
    harness_free(&h);
}

// One behind others times out, or is cancelled; the client is freed with calls under way.
static void test_pipeline_ends(void **state)
{
    (void)state;
    struct harness h;
    struct record records[3];
    uint16_t port;
    harness_init(&h, NULL);
    int listener = harness_listen(&port);
    record_init(&records[0], &h, "127.0.0.1", port);
    http_client_pipeline(records[0].client, 4);
    records[2] = records[1] = records[0];
    int fd = pipeline_three(&h, records, listener, -1);
    call(&records[0], "/late", 30 * NS_PER_MS);
    char *late AUTO_FREE = mem_printf("end %d;", -ETIMEDOUT);
    char *lost AUTO_FREE = mem_printf("end %d;", -ECONNRESET);
    char *both AUTO_FREE = mem_printf("%s%s", late, lost);
    HARNESS_UNTIL(&h, records[2].text.data != NULL && records[2].text.size > 0);
    assert_string_equal(records[0].text.data, both);
    EXPECT(&records[1], lost);
    EXPECT(&records[2], lost);
    close(fd);
    fd = pipeline_three(&h, records, listener, -1);
    struct http_call *forgotten = call(&records[1], "/4", 0);
    struct buf request AUTO_BUF = BUF_INIT;
    harness_receive(&h, fd, &request, "POST /4");
    http_call_cancel(forgotten);
    char *four AUTO_FREE =
        mem_printf("%s%s%s%s", small_answer, small_answer, small_answer, small_answer);
    harness_puts(&h, fd, four);
    for (int i = 0; i < 3; i++) {
        EXPECT(&records[i], "head 200 t;data ok;end 0;");
    }
    harness_turn_for(&h, 5);
    pipeline_three(&h, records, listener, fd);
    buf_free(&records[1].text);
    buf_free(&records[2].text);
    record_free(&records[0]);
    close(fd);
    close(listener);
    harness_free(&h);
}

static void test_failures(void **state)
{
    (void)state;
    struct harness h;
    struct record record;
    uint16_t port;
    harness_init(&h, NULL);
    int listener = harness_listen(&port);
    record_init(&record, &h, "127.0.0.1", port);
    call(&record, "/slow", 30 * NS_PER_MS);
    int fd = harness_accept(&h, listener);
    char *late AUTO_FREE = mem_printf("end %d;", -ETIMEDOUT);
    EXPECT(&record, late);
    close(fd);
    // One that waits for its turn times out there, too.
    struct http_call *first = call(&record, "/first", 0);
    fd = harness_accept(&h, listener);
    call(&record, "/second", 30 * NS_PER_MS);
    EXPECT(&record, late);
    http_call_cancel(first);
    close(fd);
    close(listener);
    call(&record, "/refused", 0);
    char *refused AUTO_FREE = mem_printf("end %d;", -ECONNREFUSED);
    EXPECT(&record, refused);
    record_free(&record);
    record_init(&record, &h, "no-such-host.invalid", 1);
    call(&record, "/x", 0);
    HARNESS_UNTIL(&h, record.text.size > 0);
    record_free(&record);
    // Freed while the name is being looked up.
    record_init(&record, &h, "no-such-host.invalid", 1);
    call(&record, "/x", 0);
    harness_turn(&h);
    record_free(&record);
    harness_free(&h);
}

static void test_free_and_cancel_anywhere(void **state)
{
    (void)state;
    static const char places[] = "hde";
    struct harness h;
    harness_init(&h, NULL);
    for (const char *place = places; *place != '\0'; place++) {
        for (int cancel = 0; cancel < 2; cancel++) {
            struct record record;
            record_init(&record, &h, "127.0.0.1", h.port);
            *(cancel ? &record.cancel_at : &record.free_at) = (unsigned char)*place;
            call(&record, "/echo", 0);
            HARNESS_UNTIL(&h, record.text.size > 0);
            harness_turn_for(&h, 3);
            if (record.client != NULL) {
                record.cancel_at = 0;
                buf_clear(&record.text);
                call(&record, "/echo", 0);
                EXPECT(&record, "head 200 -;data body;end 0;");
            }
            record_free(&record);
        }
    }
    // Before anything happened, and while a stream is open.
    struct record record;
    record_init(&record, &h, "127.0.0.1", h.port);
    http_call_cancel(call(&record, "/echo", 0));
    call(&record, "/stream", 0);
    HARNESS_UNTIL(&h, h.stream != NULL);
    http_stream_send(h.stream, "one", 3);
    HARNESS_UNTIL(&h, record.text.data != NULL && strstr(record.text.data, "one") != NULL);
    record_free(&record);
    HARNESS_UNTIL(&h, h.stream == NULL);
    harness_free(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_answer_limits),
        cmocka_unit_test(test_calls_on_one_connection),
        cmocka_unit_test(test_by_hand),
        cmocka_unit_test(test_pause),
        cmocka_unit_test(test_pipeline),
        cmocka_unit_test(test_patience),
        cmocka_unit_test(test_pipeline_ends),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_free_and_cancel_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
