// SPDX-License-Identifier: Apache-2.0
//
// The agent link: frames cut anywhere, opening, refusal, redirection, and ends of every kind.

#include "harness.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "net/frame.h"
#include "net/link.h"

// ---- frames ----

static bool note_frame(void *ctx, uint32_t channel, const void *data, size_t size)
{
    struct buf *out = ctx;
    buf_printf(out, "%u:%.*s;", channel, (int)size, (const char *)data);
    return channel != 99;
}

static void put_frame(struct buf *out, uint32_t channel, const char *text)
{
    char head[FRAME_HEAD_SIZE];
    frame_put_head(head, channel, strlen(text));
    buf_append(out, head, sizeof(head));
    buf_puts(out, text);
}

static void test_frames(void **state)
{
    (void)state;
    struct buf bytes AUTO_BUF = BUF_INIT;
    put_frame(&bytes, 1, "abc");
    put_frame(&bytes, 0, "");
    put_frame(&bytes, 0x01020304, "d");
    put_frame(&bytes, 2, "a longer one, longer than its head");
    for (size_t first = 1; first <= bytes.size; first++) {
        for (size_t step = 1; step <= bytes.size; step += 6) {
            struct frame_reader reader;
            struct buf out AUTO_BUF = BUF_INIT;
            frame_reader_init(&reader, 100);
            for (size_t at = 0, piece = first; at < bytes.size; at += piece, piece = step) {
                piece = piece < bytes.size - at ? piece : bytes.size - at;
                char *copy = mem_dup(bytes.data + at, piece);
                assert_int_equal(frame_reader_feed(&reader, copy, piece, note_frame, &out), 0);
                mem_free(copy);
            }
            assert_string_equal(out.data,
                                "1:abc;0:;16909060:d;2:a longer one, longer than its head;");
            frame_reader_free(&reader);
        }
    }
}

static void test_frame_limits(void **state)
{
    (void)state;
    struct frame_reader reader;
    struct buf out AUTO_BUF = BUF_INIT;
    frame_reader_init(&reader, 100);
    assert_int_equal(frame_reader_feed(&reader, "\0\0\0\x65\0\0\0\1", 8, note_frame, &out),
                     -EPROTO);
    frame_reader_free(&reader);
    frame_reader_init(&reader, 100);
    static const char stop[] = "\0\0\0\0\0\0\0\x63\0\0\0\0\0\0\0\1";
    assert_int_equal(frame_reader_feed(&reader, stop, 16, note_frame, &out), 1);
    assert_string_equal(out.data, "99:;");
    frame_reader_free(&reader);
}

// ---- links ----

struct end {
    struct link *link;
    struct buf text;
    int code;
    unsigned frames;
    size_t bytes;
    bool free_on_frame;
    bool free_on_open;
};

static void on_open(void *ctx, struct link *link)
{
    struct end *end = ctx;
    buf_puts(&end->text, "open;");
    if (end->free_on_open) {
        end->link = link_free(link);
    }
}

static void on_frame(void *ctx, struct link *link, uint32_t channel, const void *data, size_t size)
{
    struct end *end = ctx;
    end->frames++;
    end->bytes += size;
    if (size < 100) {
        buf_printf(&end->text, "%u:%.*s;", channel, (int)size, (const char *)data);
    }
    if (end->free_on_frame) {
        end->link = link_free(link);
    }
}

static void on_close(void *ctx, struct link *link, const struct error *err)
{
    struct end *end = ctx;
    end->code = err->code;
    buf_printf(&end->text, "close %s;", err->text);
    end->link = link_free(link);
}

static const struct link_callbacks callbacks = {on_open, on_frame, on_close};

struct pair {
    struct harness h;
    struct end server;
    struct end client;
};

static void accept_handler(void *ctx, struct http_request *r)
{
    struct pair *pair = ctx;
    if (strcmp(http_path(r), LINK_PATH) == 0) {
        pair->server.link = link_accept(pair->h.env, r, &callbacks, &pair->server);
        if (pair->server.link != NULL) {
            link_send(pair->server.link, 7, "early", 5);
        }
    }
}

static void pair_init(struct pair *pair)
{
    memset(pair, 0, sizeof(*pair));
    harness_init(&pair->h, NULL);
    pair->h.handler = accept_handler;
    pair->h.handler_ctx = pair;
}

static void pair_open(struct pair *pair)
{
    pair->client.link =
        link_connect(pair->h.env, "127.0.0.1", pair->h.port, &callbacks, &pair->client);
    link_send(pair->client.link, 1, "first", 5);
    HARNESS_UNTIL(&pair->h, pair->client.frames == 1 && pair->server.frames == 1);
}

static void pair_free(struct pair *pair)
{
    pair->client.link = link_free(pair->client.link);
    pair->server.link = link_free(pair->server.link);
    buf_free(&pair->client.text);
    buf_free(&pair->server.text);
    harness_free(&pair->h);
}

static void test_link(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair);
    pair_open(&pair);
    assert_string_equal(pair.client.text.data, "open;7:early;");
    assert_string_equal(pair.server.text.data, "1:first;");
    assert_string_equal(link_local_ip(pair.client.link), "127.0.0.1");
    assert_string_equal(link_local_ip(pair.server.link), "");
    assert_true(strncmp(link_peer(pair.server.link), "127.0.0.1:", 10) == 0);
    char *big AUTO_FREE = mem_zalloc(5 * 1000 * 1000);
    for (int i = 0; i < 5; i++) {
        link_send(pair.client.link, 2, big, 5 * 1000 * 1000);
        link_send(pair.client.link, 3, "x", 1);
    }
    assert_true(link_queued(pair.client.link) > 25 * 1000 * 1000);
    HARNESS_UNTIL(&pair.h, pair.server.frames == 11);
    assert_int_equal(pair.server.bytes, 5 + 5 * 5000001);
    assert_int_equal(link_queued(pair.client.link), 0);
    pair.server.link = link_free(pair.server.link);
    HARNESS_UNTIL(&pair.h, pair.client.link == NULL);
    assert_non_null(strstr(pair.client.text.data, "close the peer closed the link;"));
    pair_free(&pair);
}

static void test_source(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair);
    pair.client.link = link_connect_from(pair.h.env, "127.9.8.7", "127.0.0.1", pair.h.port,
                                         &callbacks, &pair.client);
    link_send(pair.client.link, 1, "first", 5);
    HARNESS_UNTIL(&pair.h, pair.client.frames == 1 && pair.server.frames == 1);
    assert_string_equal(link_local_ip(pair.client.link), "127.9.8.7");
    assert_true(strncmp(link_peer(pair.server.link), "127.9.8.7:", 10) == 0);
    // Addresses that are none, and one that is not ours.
    static const char *const bad[][2] = {
        {"x", "127.0.0.1"}, {"127.0.0.1", "x"}, {"192.0.2.1", "127.0.0.1"}};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct end end = {0};
        end.link =
            link_connect_from(pair.h.env, bad[i][0], bad[i][1], pair.h.port, &callbacks, &end);
        HARNESS_UNTIL(&pair.h, end.link == NULL);
        assert_true(end.code < 0);
        buf_free(&end.text);
    }
    pair_free(&pair);
}

static void test_free_in_callbacks(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair);
    pair.client.free_on_open = true;
    pair.client.link = link_connect(pair.h.env, "127.0.0.1", pair.h.port, &callbacks, &pair.client);
    HARNESS_UNTIL(&pair.h, pair.server.code != 0);
    assert_null(pair.client.link);
    pair.client.free_on_open = false;
    pair_open(&pair);
    pair.client.free_on_frame = true;
    link_send(pair.server.link, 1, "a", 1);
    link_send(pair.server.link, 1, "b", 1);
    HARNESS_UNTIL(&pair.h, pair.server.link == NULL);
    assert_int_equal(pair.client.frames, 2);
    pair_free(&pair);
}

// The server's end is freed between the answer 101 and the moment when it has left.
static void test_free_while_opening(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair);
    pair.client.link = link_connect(pair.h.env, "127.0.0.1", pair.h.port, &callbacks, &pair.client);
    pair.client.link = link_free(pair.client.link);
    pair.client.link = link_connect(pair.h.env, "127.0.0.1", pair.h.port, &callbacks, &pair.client);
    HARNESS_UNTIL(&pair.h, pair.client.link == NULL || pair.server.link != NULL);
    pair.server.link = link_free(pair.server.link);
    HARNESS_UNTIL(&pair.h, pair.client.link == NULL);
    pair_free(&pair);
}

static void expect_close(const char *answer, int code, const char *text)
{
    struct pair pair;
    uint16_t port;
    pair_init(&pair);
    int listener = harness_listen(&port);
    pair.client.link = link_connect(pair.h.env, "localhost", port, &callbacks, &pair.client);
    int fd = harness_accept(&pair.h, listener);
    struct buf request AUTO_BUF = BUF_INIT;
    harness_receive(&pair.h, fd, &request, "\r\n\r\n");
    char *expected AUTO_FREE =
        mem_printf("GET /meseta/link HTTP/1.1\r\nHost: localhost:%u\r\nConnection: Upgrade\r\n"
                   "Upgrade: meseta-link/1\r\n\r\n",
                   port);
    assert_string_equal(request.data, expected);
    harness_puts(&pair.h, fd, answer);
    if (answer[0] == '\0') {
        close(fd);
    }
    HARNESS_UNTIL(&pair.h, pair.client.link == NULL);
    assert_string_equal(pair.client.text.data, text);
    assert_int_equal(pair.client.code, code);
    if (answer[0] != '\0') {
        close(fd);
    }
    close(listener);
    pair_free(&pair);
}

static void test_refusals(void **state)
{
    (void)state;
    expect_close("HTTP/1.1 307 Temporary Redirect\r\nLocation: //10.0.0.1:5050/meseta/link\r\n"
                 "Content-Length: 0\r\n\r\n",
                 -EREMCHG, "close 10.0.0.1:5050;");
    expect_close("HTTP/1.1 307 Temporary Redirect\r\nLocation: http://[::1]:5050\r\n"
                 "Content-Length: 0\r\n\r\n",
                 -EREMCHG, "close [::1]:5050;");
    expect_close("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", -ECONNREFUSED,
                 "close the link was refused: 503 Service Unavailable;");
    expect_close("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", -ECONNREFUSED,
                 "close the link was refused: 200 OK;");
    expect_close("", -ECONNRESET, "close the peer closed the link;");
    // A frame of 4 GiB behind a good answer.
    expect_close("HTTP/1.1 101 Switching Protocols\r\nUpgrade: meseta-link/1\r\n"
                 "Connection: Upgrade\r\n\r\n\xff\xff\xff\xff\x01\x01\x01\x01",
                 -EPROTO, "open;close a frame beyond the limit of size;");
}

static void test_who_may_open(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair);
    struct buf out AUTO_BUF = BUF_INIT;
    harness_ask(&pair.h, "GET " LINK_PATH " HTTP/1.1\r\nHost: a\r\n\r\n", &out);
    assert_non_null(strstr(out.data, "HTTP/1.1 426 Upgrade Required\r\n"));
    assert_non_null(strstr(out.data, "Upgrade: meseta-link/1\r\n"));
    buf_clear(&out);
    harness_ask(&pair.h,
                "GET " LINK_PATH
                " HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
                &out);
    assert_non_null(strstr(out.data, "HTTP/1.1 426 "));
    buf_clear(&out);
    harness_ask(&pair.h, "POST " LINK_PATH " HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
                &out);
    assert_non_null(strstr(out.data, "HTTP/1.1 405 "));
    pair_free(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frames),
        cmocka_unit_test(test_frame_limits),
        cmocka_unit_test(test_link),
        cmocka_unit_test(test_source),
        cmocka_unit_test(test_free_in_callbacks),
        cmocka_unit_test(test_free_while_opening),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_who_may_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
