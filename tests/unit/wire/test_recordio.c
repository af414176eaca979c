// SPDX-License-Identifier: Apache-2.0
//
// RecordIO: framing, and reading however the bytes are cut.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "wire/recordio.h"

static int gather(void *ctx, const void *record, size_t size)
{
    struct buf *out = ctx;
    buf_putc(out, '<');
    buf_append(out, record, size);
    buf_putc(out, '>');
    return 0;
}

static void test_put(void **state)
{
    (void)state;
    AUTO_BUF struct buf out = BUF_INIT;
    recordio_put(&out, "hello", 5);
    recordio_put(&out, "", 0);
    recordio_put(&out, "0123456789", 10);
    assert_string_equal(out.data, "5\nhello0\n10\n0123456789");
}

static void test_feed_in_pieces(void **state)
{
    (void)state;
    static const char text[] = "5\nhello0\n10\n01234567893\na\nb";
    for (size_t piece = 1; piece < sizeof(text); piece++) {
        AUTO_BUF struct buf out = BUF_INIT;
        struct recordio_reader r;
        recordio_reader_init(&r, 100);
        for (size_t at = 0; at < sizeof(text) - 1; at += piece) {
            size_t size = sizeof(text) - 1 - at < piece ? sizeof(text) - 1 - at : piece;
            assert_int_equal(recordio_feed(&r, text + at, size, gather, &out, NULL), 0);
        }
        assert_true(recordio_reader_is_idle(&r));
        recordio_reader_free(&r);
        assert_string_equal(out.data, "<hello><><0123456789><a\nb>");
    }
}

static void test_feed_cut_off(void **state)
{
    (void)state;
    AUTO_BUF struct buf out = BUF_INIT;
    struct recordio_reader r;
    recordio_reader_init(&r, 100);
    assert_int_equal(recordio_feed(&r, "5\nhel", 5, gather, &out, NULL), 0);
    assert_int_equal(out.size, 0);
    assert_false(recordio_reader_is_idle(&r));
    recordio_reader_free(&r);
}

static void test_feed_bad(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int code;
    } rows[] = {
        {"\n", -EBADMSG},
        {"a\n", -EBADMSG},
        {"-1\n", -EBADMSG},
        {"+1\n", -EBADMSG},
        {" 1\nx", -EBADMSG},
        {"1 \n", -EBADMSG},
        {"1\r\nx", -EBADMSG},
        {"0x1\n", -EBADMSG},
        {"{\"a\":1}", -EBADMSG},
        {"101\n", -EFBIG},
        {"9999999999999999999\n", -EFBIG},
        {"11111111111111111111\n", -EBADMSG}, // more digits than any length
        {"1\nab\n", -EBADMSG},                // a newline behind the record's end
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        AUTO_BUF struct buf out = BUF_INIT;
        struct recordio_reader r;
        struct error err = {0};
        recordio_reader_init(&r, 100);
        assert_int_equal(recordio_feed(&r, rows[i].text, strlen(rows[i].text), gather, &out, &err),
                         rows[i].code);
        assert_int_equal(err.code, rows[i].code);
        recordio_reader_free(&r);
    }
}

static int refuse(void *ctx, const void *record, size_t size)
{
    (void)record;
    (void)size;
    ++*(int *)ctx;
    return -ECANCELED;
}

static void test_feed_ends_when_told(void **state)
{
    (void)state;
    int calls = 0;
    struct recordio_reader r;
    recordio_reader_init(&r, 100);
    assert_int_equal(recordio_feed(&r, "1\na1\nb", 6, refuse, &calls, NULL), -ECANCELED);
    assert_int_equal(calls, 1);
    recordio_reader_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_put),
        cmocka_unit_test(test_feed_in_pieces),
        cmocka_unit_test(test_feed_cut_off),
        cmocka_unit_test(test_feed_bad),
        cmocka_unit_test(test_feed_ends_when_told),
    };
    return cmocka_run_group_tests_name("recordio", tests, NULL, NULL);
}
