// SPDX-License-Identifier: Apache-2.0
//
// Requests whose body is handed over as it comes.

#include "harness.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

struct scene {
    struct harness h;
    struct http_request *r; // while it is open
    struct buf got;
    unsigned parts;
    bool has_last, answers_at_once, pauses_at_once, was_aborted;
};

static bool wants_parts(void *ctx, const struct http_request *r)
{
    (void)ctx;
    return strncmp(http_path(r), "/parts", 6) == 0;
}

static void on_part(void *ctx, const void *data, size_t size, bool is_last)
{
    struct scene *s = ctx;
    buf_append(&s->got, data, size);
    s->parts++;
    if (is_last) {
        s->has_last = true;
        http_respond_text(TAKE_PTR(s->r), 200, "%zu\n", s->got.size);
    }
}

static void on_abort(void *ctx, struct http_request *r)
{
    struct scene *s = ctx;
    assert_ptr_equal(s->r, r);
    s->r = NULL;
    s->was_aborted = true;
}

static void handle(void *ctx, struct http_request *r)
{
    struct scene *s = ctx;
    if (!http_is_in_parts(r)) {
        http_respond_text(r, 200, "whole\n");
        return;
    }
    if (s->answers_at_once) {
        http_respond_text(r, 409, "busy\n");
        return;
    }
    s->r = r;
    http_on_abort(r, on_abort, s);
    http_on_part(r, on_part, s);
    http_pause_parts(r, s->pauses_at_once);
}

static struct scene *begin(void)
{
    struct scene *s = mem_zalloc(sizeof(*s));
    struct http_options options = {.wants_parts = wants_parts};
    harness_init(&s->h, &options);
    s->h.handler = handle;
    s->h.handler_ctx = s;
    return s;
}

static void end(struct scene *s)
{
    harness_free(&s->h);
    buf_free(&s->got);
    mem_free(s);
}

#define HEAD "POST /parts HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

static void test_as_they_come(void **state)
{
    (void)state;
    struct scene *s = begin();
    int fd = harness_dial(&s->h);
    harness_puts(&s->h, fd, HEAD);
    HARNESS_UNTIL(&s->h, s->r != NULL);
    harness_puts(&s->h, fd, "3\r\nabc\r\n");
    HARNESS_UNTIL(&s->h, s->got.size == 3);
    assert_false(s->has_last);
    harness_puts(&s->h, fd, "2\r\nde\r");
    HARNESS_UNTIL(&s->h, s->got.size == 5);
    // What stands behind the end is the next request.
    harness_puts(&s->h, fd, "\n0\r\n\r\nGET /i HTTP/1.1\r\nHost: a\r\n\r\n");
    struct buf out AUTO_BUF = BUF_INIT;
    harness_receive(&s->h, fd, &out, "whole\n");
    assert_non_null(strstr(out.data, "\r\n\r\n5\n"));
    assert_string_equal(s->got.data, "abcde");
    assert_false(s->was_aborted);
    close(fd);
    end(s);
}

static void test_whole_at_once(void **state)
{
    (void)state;
    struct scene *s = begin();
    struct buf out AUTO_BUF = BUF_INIT;
    harness_ask(&s->h, "POST /parts HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", &out);
    assert_non_null(strstr(out.data, "\r\n\r\n3\n"));
    assert_int_equal(s->parts, 1);
    end(s);
}

static void test_pause(void **state)
{
    (void)state;
    struct scene *s = begin();
    s->pauses_at_once = true;
    int fd = harness_dial(&s->h);
    harness_puts(&s->h, fd, HEAD);
    HARNESS_UNTIL(&s->h, s->r != NULL);
    harness_puts(&s->h, fd, "3\r\nabc\r\n0\r\n\r\n");
    harness_turn_for(&s->h, 30);
    assert_int_equal(s->parts, 0);
    http_pause_parts(s->r, false);
    struct buf out AUTO_BUF = BUF_INIT;
    harness_receive(&s->h, fd, &out, "3\n");
    close(fd);
    end(s);
}

static void test_early_answer_ends_the_connection(void **state)
{
    (void)state;
    struct scene *s = begin();
    s->answers_at_once = true;
    struct buf out AUTO_BUF = BUF_INIT;
    harness_ask(&s->h, HEAD "3\r\nabc\r\n", &out);
    assert_non_null(strstr(out.data, "409 Conflict"));
    assert_non_null(strstr(out.data, "Connection: close"));
    end(s);
}

static void test_ends_in_the_midst(void **state)
{
    (void)state;
    static const char *const bad[] = {NULL, "zz\r\n", ""};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct scene *s = begin();
        int fd = harness_dial(&s->h);
        harness_puts(&s->h, fd, HEAD "3\r\nabc\r\n");
        HARNESS_UNTIL(&s->h, s->got.size == 3);
        if (bad[i] == NULL) {
            close(fd); // gone
        } else if (bad[i][0] == '\0') {
            shutdown(fd, SHUT_WR); // says that no more will come
        } else {
            harness_puts(&s->h, fd, bad[i]); // no chunk
        }
        HARNESS_UNTIL(&s->h, s->was_aborted);
        assert_false(s->has_last);
        if (bad[i] != NULL) {
            close(fd);
        }
        end(s);
    }
}

// Beyond what a body may have as a whole, and with more framing than a body may have at once.
static void test_without_end(void **state)
{
    (void)state;
    struct scene *s = begin();
    int fd = harness_dial(&s->h);
    harness_puts(&s->h, fd, HEAD);
    for (int i = 0; i < 20000; i++) {
        harness_puts(&s->h, fd, "1\r\nx\r\n");
        if (i % 500 == 0) {
            HARNESS_UNTIL(&s->h, s->got.size == (size_t)i + 1);
        }
    }
    HARNESS_UNTIL(&s->h, s->got.size == 20000);
    close(fd);
    HARNESS_UNTIL(&s->h, s->was_aborted);
    end(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_they_come),
        cmocka_unit_test(test_whole_at_once),
        cmocka_unit_test(test_pause),
        cmocka_unit_test(test_early_answer_ends_the_connection),
        cmocka_unit_test(test_ends_in_the_midst),
        cmocka_unit_test(test_without_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
