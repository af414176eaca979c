// SPDX-License-Identifier: Apache-2.0
//
// The JSON writer and the pull reader.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/mem.h"
#include "wire/json.h"
#include "wire/wire.h"

#define TEXT(literal) (literal), sizeof(literal) - 1

// ---- writing ----

static void test_writer_sets_commas(void **state)
{
    (void)state;
    AUTO_BUF struct buf out = BUF_INIT;
    struct json_writer w;
    json_begin(&w, &out);
    json_object_open(&w);
    json_key_string(&w, "a", "x");
    json_key_u64(&w, "b", UINT64_MAX);
    json_key(&w, "c");
    json_array_open(&w);
    json_i64(&w, INT64_MIN);
    json_bool(&w, true);
    json_null(&w);
    json_array_open(&w);
    json_array_close(&w);
    json_object_open(&w);
    json_object_close(&w);
    json_raw(&w, TEXT("{\"r\":1}"));
    json_array_close(&w);
    json_key_double(&w, "d", 128);
    json_key_bool(&w, "e", false);
    json_key_i64(&w, "f", -7);
    json_key(&w, "g");
    json_string(&w, NULL);
    json_object_close(&w);
    assert_string_equal(out.data, "{\"a\":\"x\",\"b\":18446744073709551615,"
                                  "\"c\":[-9223372036854775808,true,null,[],{},{\"r\":1}],"
                                  "\"d\":128.0,\"e\":false,\"f\":-7,\"g\":\"\"}");
}

static void test_writer_escapes(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        size_t size;
        const char *out;
    } rows[] = {
        {TEXT(""), "\"\""},
        {TEXT("plain ~ /text"), "\"plain ~ /text\""},
        {TEXT("a\"b\\c"), "\"a\\\"b\\\\c\""},
        {TEXT("\b\f\n\r\t"), "\"\\b\\f\\n\\r\\t\""},
        {TEXT("\x01\x1f\x7f"), "\"\\u0001\\u001f\\u007f\""},
        {TEXT("a\0b"), "\"a\\u0000b\""},
        {TEXT("\xc3\xa9"), "\"\\u00e9\""},
        {TEXT("\xe2\x82\xac"), "\"\\u20ac\""},
        {TEXT("\xf0\x9f\x98\x80"), "\"\\ud83d\\ude00\""},
        {TEXT("\xff"), "\"\\ufffd\""},
        {TEXT("a\xc3"), "\"a\\ufffd\""},
        {TEXT("\xe2\x82z"), "\"\\ufffd\\ufffdz\""},
        {TEXT("\xed\xa0\x80"), "\"\\ufffd\\ufffd\\ufffd\""}, // a surrogate
        {TEXT("\xc0\xaf"), "\"\\ufffd\\ufffd\""},            // an overlong slash
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        AUTO_BUF struct buf out = BUF_INIT;
        struct json_writer w;
        json_begin(&w, &out);
        json_string_n(&w, rows[i].in, rows[i].size);
        assert_string_equal(out.data, rows[i].out);
    }
}

// A byte that needs an escape, at every place of a word and behind it, in a roomy buffer and a
// tight one.
static void test_writer_escapes_anywhere(void **state)
{
    (void)state;
    static const struct {
        char byte;
        const char *text;
    } odd[] = {{'"', "\\\""},          {'\\', "\\\\"},    {'\n', "\\n"},
               {0x1f, "\\u001f"},      {0x7f, "\\u007f"}, {(char)0x80, "\\ufffd"},
               {(char)0xff, "\\ufffd"}};
    for (size_t i = 0; i < ARRAY_COUNT(odd); i++) {
        for (size_t size = 1; size <= 20; size++) {
            for (size_t at = 0; at < size; at++) {
                char in[20], expected[64];
                memset(in, ' ', sizeof(in));
                in[at] = odd[i].byte;
                snprintf(expected, sizeof(expected), "\"%*s%s%*s\"", (int)at, "", odd[i].text,
                         (int)(size - at - 1), "");
                for (size_t room = 0; room < 200; room += 199) {
                    AUTO_BUF struct buf out = BUF_INIT;
                    struct json_writer w;
                    if (room > 0)
                        buf_reserve(&out, room);
                    json_begin(&w, &out);
                    json_string_n(&w, in, size);
                    assert_string_equal(out.data, expected);
                }
            }
        }
    }
}

static void test_writer_doubles(void **state)
{
    (void)state;
    static const struct {
        double in;
        const char *out;
    } rows[] = {
        {0, "0.0"},
        {128, "128.0"},
        {0.1, "0.1"},
        {-1.5, "-1.5"},
        {1234567.25, "1234567.25"},
        {INFINITY, "\"Infinity\""},
        {-INFINITY, "\"-Infinity\""},
        {NAN, "null"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        AUTO_BUF struct buf out = BUF_INIT;
        struct json_writer w;
        json_begin(&w, &out);
        json_double(&w, rows[i].in);
        assert_string_equal(out.data, rows[i].out);
    }
}

// ---- reading ----

// The tokens of a text, one character each; keys, strings and numbers with their text.
static void trace(const char *text, size_t size, struct buf *out)
{
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    struct json_reader *r = json_reader_new(arena, text, size);
    for (;;) {
        enum json_token token = json_next(r);
        size_t text_size;
        const char *content = json_text(r, &text_size);
        static const char letters[] = "!.{}[]kstn";
        switch (token) {
        case JSON_ERROR:
            buf_puts(out, "!");
            return;
        case JSON_END:
            buf_puts(out, ".");
            return;
        case JSON_KEY:
        case JSON_STRING:
        case JSON_NUMBER:
            buf_putc(out, token == JSON_KEY ? 'k' : token == JSON_STRING ? 's' : '#');
            buf_append(out, content, text_size);
            buf_putc(out, ' ');
            break;
        case JSON_TRUE:
            buf_putc(out, 'T');
            break;
        case JSON_FALSE:
            buf_putc(out, 'F');
            break;
        case JSON_NULL:
            buf_putc(out, 'N');
            break;
        default:
            buf_putc(out, letters[token + 1]);
        }
    }
}

static void test_reader_tokens(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t size;
        const char *trace;
    } rows[] = {
        {TEXT("{}"), "{}."},
        {TEXT(" [ ] "), "[]."},
        {TEXT("null"), "N."},
        {TEXT("{\"a\":1,\"b\":[true,false,null]}"), "{ka #1 kb [TFN]}."},
        {TEXT("[[],{},\"x\"]"), "[[]{}sx ]."},
        {TEXT("-0.5e+10"), "#-0.5e+10 ."},
        {TEXT("\"\\u00e9\\ud83d\\ude00\\/\\n\""), "s\xc3\xa9\xf0\x9f\x98\x80/\n ."},
        {TEXT("{\"a\":1,\"a\":2}"), "{ka #1 ka #2 }."},
        // What is not JSON.
        {TEXT(""), "!"},
        {TEXT("  "), "!"},
        {TEXT("\0"), "!"},
        {TEXT("nul"), "!"},
        {TEXT("01"), "#0 !"},
        {TEXT("+1"), "!"},
        {TEXT("1."), "!"},
        {TEXT(".5"), "!"},
        {TEXT("1e"), "!"},
        {TEXT("-"), "!"},
        {TEXT("NaN"), "!"},
        {TEXT("'a'"), "!"},
        {TEXT("[1,]"), "[#1 !"},
        {TEXT("[1 2]"), "[#1 !"},
        {TEXT("[1}"), "[#1 !"},
        {TEXT("{\"a\"}"), "{!"},
        {TEXT("{\"a\":}"), "{ka !"},
        {TEXT("{\"a\":1,}"), "{ka #1 !"},
        {TEXT("{a:1}"), "{!"},
        {TEXT("{} {}"), "{}!"},
        {TEXT("[] x"), "[]!"},
        {TEXT("\"a"), "!"},
        {TEXT("\"a\nb\""), "!"},
        {TEXT("\"\\x\""), "!"},
        {TEXT("\"\\u12g4\""), "!"},
        {TEXT("\"\\ud800\""), "!"},
        {TEXT("\"\\ud800\\u0041\""), "!"},
        {TEXT("\"\\udc00\""), "!"},
        {TEXT("\"\xff\""), "!"},
        {TEXT("\"\xc0\x80\""), "!"},
        {TEXT("\xef\xbb\xbf{}"), "!"},
        {TEXT("[1,"), "[#1 !"},
        {TEXT("{\"a\":"), "{ka !"},
        {TEXT("\"\\"), "!"},
        {TEXT("\"\\u00"), "!"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        AUTO_BUF struct buf out = BUF_INIT;
        trace(rows[i].text, rows[i].size, &out);
        assert_string_equal(out.data, rows[i].trace);
    }
}

static void test_reader_keeps_nul(void **state)
{
    (void)state;
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    struct json_reader *r = json_reader_new(arena, TEXT("\"a\\u0000b\""));
    assert_int_equal(json_next(r), JSON_STRING);
    size_t size;
    assert_memory_equal(json_text(r, &size), "a\0b", 3);
    assert_int_equal(size, 3);
}

static void test_reader_depth(void **state)
{
    (void)state;
    char text[4 * WIRE_DEPTH_MAX];
    for (int extra = 0; extra < 2; extra++) {
        AUTO_ARENA struct arena *arena = arena_new(0, 0);
        size_t depth = WIRE_DEPTH_MAX + (size_t)extra;
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        struct json_reader *r = json_reader_new(arena, text, 2 * depth);
        enum json_token token;
        do {
            token = json_next(r);
        } while (token != JSON_ERROR && token != JSON_END);
        assert_int_equal(token, extra ? JSON_ERROR : JSON_END);
    }
}

static void test_reader_skip(void **state)
{
    (void)state;
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    struct json_reader *r =
        json_reader_new(arena, TEXT("{\"a\":{\"x\":[1,{}]},\"b\":[[2]],\"c\":3}"));
    assert_int_equal(json_next(r), JSON_OBJECT_OPEN);
    assert_int_equal(json_next(r), JSON_KEY);
    assert_int_equal(json_skip(r), 0); // from the key on
    assert_int_equal(json_next(r), JSON_KEY);
    assert_string_equal(json_text(r, NULL), "b");
    assert_int_equal(json_next(r), JSON_ARRAY_OPEN);
    assert_int_equal(json_skip(r), 0); // from the opening token on
    assert_int_equal(json_next(r), JSON_KEY);
    assert_int_equal(json_next(r), JSON_NUMBER);
    assert_int_equal(json_skip(r), 0); // a scalar was read already
    assert_int_equal(json_next(r), JSON_OBJECT_CLOSE);
    assert_int_equal(json_next(r), JSON_END);

    r = json_reader_new(arena, TEXT("[[1,2"));
    assert_int_equal(json_next(r), JSON_ARRAY_OPEN);
    assert_int_equal(json_skip(r), -EBADMSG);
}

static void test_reader_says_where(void **state)
{
    (void)state;
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    struct json_reader *r = json_reader_new(arena, TEXT("{\n  \"a\": tru\n}"));
    while (json_next(r) != JSON_ERROR) {
    }
    struct error err;
    assert_int_equal(json_reader_error(r, &err), -EBADMSG);
    assert_string_equal(err.text, "expected a value at line 2, column 8");
    assert_int_equal(json_next(r), JSON_ERROR); // and stays there
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_writer_sets_commas),
        cmocka_unit_test(test_writer_escapes),
        cmocka_unit_test(test_writer_escapes_anywhere),
        cmocka_unit_test(test_writer_doubles),
        cmocka_unit_test(test_reader_tokens),
        cmocka_unit_test(test_reader_keeps_nul),
        cmocka_unit_test(test_reader_depth),
        cmocka_unit_test(test_reader_skip),
        cmocka_unit_test(test_reader_says_where),
    };
    return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
