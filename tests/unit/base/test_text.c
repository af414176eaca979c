// SPDX-License-Identifier: Apache-2.0
//
// text and base64.

#include "unit.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/mem.h"
#include "base/prng.h"
#include "base/text.h"

static void texts_compare(void **state)
{
    char padded[] = " \t a b \r\n", empty[] = "   ";

    (void)state;
    assert_true(text_is_equal(NULL, NULL));
    assert_false(text_is_equal(NULL, ""));
    assert_false(text_is_equal("a", "A"));
    assert_true(text_is_equal_nocase("a-B", "A-b"));
    assert_false(text_is_equal_nocase("a", NULL));
    assert_true(text_starts_with("abc", "ab"));
    assert_true(text_starts_with("abc", ""));
    assert_false(text_starts_with("ab", "abc"));
    assert_true(text_ends_with("abc", "bc"));
    assert_false(text_ends_with("bc", "abc"));
    assert_string_equal(text_trim(padded), "a b");
    assert_string_equal(text_trim(empty), "");
}

static void integers_are_whole_or_wrong(void **state)
{
    static const char *const wrong[] = {"", " 1", "1 ", "1.0", "x", "1x", "--1", "+", "0x10"};
    struct error err;
    int64_t i = 77;
    uint64_t u = 77;

    (void)state;
    for (size_t at = 0; at < ARRAY_COUNT(wrong); at++) {
        assert_int_equal(text_parse_i64(wrong[at], &i, &err), -EINVAL);
        assert_int_equal(text_parse_u64(wrong[at], &u, &err), -EINVAL);
    }
    assert_int_equal(text_parse_u64("-1", &u, &err), -EINVAL);
    assert_string_equal(err.text, "Failed to convert '-1' to number");
    assert_int_equal(text_parse_i64("9223372036854775808", &i, NULL), -ERANGE);
    assert_int_equal(text_parse_u64("18446744073709551616", &u, NULL), -ERANGE);
    assert_int_equal(i, 77);
    assert_int_equal(u, 77);
    assert_int_equal(text_parse_i64("-9223372036854775808", &i, NULL), 0);
    assert_true(i == INT64_MIN);
    assert_int_equal(text_parse_u64("18446744073709551615", &u, NULL), 0);
    assert_true(u == UINT64_MAX);
}

static void doubles_are_finite_or_wrong(void **state)
{
    static const char *const wrong[] = {"", "nan", "inf", "0x1p3", "1e", "1.2.3", " 1", "1 ", "-"};
    double d = 5;

    (void)state;
    for (size_t at = 0; at < ARRAY_COUNT(wrong); at++)
        assert_int_equal(text_parse_double(wrong[at], &d, NULL), -EINVAL);
    assert_int_equal(text_parse_double("1e999", &d, NULL), -ERANGE);
    assert_true(d == 5);
    assert_int_equal(text_parse_double("-1.5e3", &d, NULL), 0);
    assert_true(d == -1500);
}

static void durations_parse(void **state)
{
    static const struct {
        const char *text;
        int64_t ns;
    } good[] = {
        {"0ns", 0},
        {"5us", 5000},
        {"10secs", 10 * INT64_C(1000000000)},
        {"1.5mins", 90 * INT64_C(1000000000)},
        {"2hrs", 7200 * INT64_C(1000000000)},
        {"1days", 86400 * INT64_C(1000000000)},
        {".5weeks", 302400 * INT64_C(1000000000)},
        {"15ms", 15000000},
    };
    static const char *const wrong[] = {"",       "5",  "secs",      "5 secs",
                                        "-5secs", "5s", "1.2.3secs", "5secs "};
    struct error err;
    int64_t ns = 1;

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(good); i++) {
        assert_int_equal(text_parse_duration(good[i].text, &ns, NULL), 0);
        assert_true(ns == good[i].ns);
    }
    ns = 1;
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++)
        assert_int_equal(text_parse_duration(wrong[i], &ns, &err), -EINVAL);
    assert_int_equal(text_parse_duration("1000000weeks", &ns, &err), -ERANGE);
    assert_true(ns == 1);
}

static void durations_print(void **state)
{
    static const struct {
        int64_t ns;
        const char *text;
    } rows[] = {
        {0, "0ns"},
        {999, "999ns"},
        {1500, "1500ns"},
        {2000, "2us"},
        {1500000, "1500us"},
        {1500001, "1.500001ms"},
        {100000000, "100ms"},
        {5000000000, "5secs"},
        {1500000000, "1500ms"},
        {1234567891, "1.234567891secs"},
        {90000000000, "90secs"},
        {600000000000, "10mins"},
        {7200000000000, "2hrs"},
        {90000000000000, "25hrs"},
        {604800000000000, "1weeks"},
        {864000000000000, "10days"},
        {-5000000000, "-5secs"},
        {-1500000, "-1500us"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        AUTO_BUF struct buf buf = BUF_INIT;

        text_put_duration(&buf, rows[i].ns);
        assert_string_equal(buf.data, rows[i].text);
    }
}

static void sizes_parse_and_print(void **state)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } rows[] = {
        {"0B", 0},
        {"512B", 512},
        {"1000B", 1000},
        {"10KB", 10240},
        {"1025KB", 1049600},
        {"2GB", UINT64_C(2) << 30},
        {"3MB", 3 << 20},
        {"1TB", UINT64_C(1) << 40},
        {"4096TB", UINT64_C(4096) << 40},
    };
    static const char *const wrong[] = {"", "5", "MB", "1.5GB", "5XB", "-1MB", "5MB "};
    uint64_t bytes = 1;

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        AUTO_BUF struct buf buf = BUF_INIT;

        assert_int_equal(text_parse_bytes(rows[i].text, &bytes, NULL), 0);
        assert_true(bytes == rows[i].bytes);
        text_put_bytes(&buf, bytes);
        assert_string_equal(buf.data, rows[i].text);
    }
    assert_int_equal(text_parse_bytes("10kb", &bytes, NULL), 0);
    assert_int_equal(bytes, 10240);
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++)
        assert_int_equal(text_parse_bytes(wrong[i], &bytes, NULL), -EINVAL);
    assert_int_equal(text_parse_bytes("16777216TB", &bytes, NULL), -ERANGE);
    assert_int_equal(bytes, 10240);
}

static void doubles_print_as_short_as_can_be(void **state)
{
    static const struct {
        double value;
        const char *text;
    } rows[] = {
        {0.0, "0.0"},
        {-0.0, "-0.0"},
        {0.1, "0.1"},
        {1, "1.0"},
        {128, "128.0"},
        {-2.5, "-2.5"},
        {0.001, "0.001"},
        {-0.001, "-0.001"},
        {1.025, "1.025"},
        {999999999999.999, "999999999999.999"},
        {0.0001, "0.0001"},
        {0.000001, "0.000001"},
        {0.00000123, "0.00000123"},
        {0.0000001, "1e-7"},
        {1.5e-7, "1.5e-7"},
        {1e15, "1000000000000000.0"},
        {1e20, "100000000000000000000.0"},
        {1e21, "1e21"},
        {1e30, "1e30"},
        {1.234e33, "1.234e33"},
        {0.1 + 0.2, "0.30000000000000004"},
        {1.0 / 3, "0.3333333333333333"},
        {123456789.12345678, "123456789.12345678"},
        {5e-324, "5e-324"},
        {1.7976931348623157e308, "1.7976931348623157e308"},
        {1436917590.123456, "1436917590.123456"},
        {INFINITY, "null"},
        {NAN, "null"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        AUTO_BUF struct buf buf = BUF_INIT;

        text_put_double(&buf, rows[i].value);
        assert_string_equal(buf.data, rows[i].text);
    }
}

static void doubles_round_trip(void **state)
{
    AUTO_BUF struct buf buf = BUF_INIT;
    struct prng prng;

    (void)state;
    prng_seed(&prng, 11);
    for (int i = 0; i < 200000; i++) {
        uint64_t bits = prng_u64(&prng);
        double value;

        if (i % 2 == 0)
            value = (double)(int64_t)(bits >> (bits & 63)) / 1000;
        else
            memcpy(&value, &bits, sizeof(value));
        if (!isfinite(value))
            continue;
        buf_clear(&buf);
        text_put_double(&buf, value);
        assert_true(strtod(buf.data, NULL) == value);
    }
}

// What printf says with the fewest digits that are read back as the same number.
static void put_slowly(char *text, size_t size, double value)
{
    for (int precision = 1; precision <= 20; precision++) {
        snprintf(text, size, "%.*f", precision, value);
        if (strtod(text, NULL) == value)
            return;
    }
}

static void fractions_are_the_shortest(void **state)
{
    AUTO_BUF struct buf buf = BUF_INIT;
    struct prng prng;
    char text[64];

    (void)state;
    prng_seed(&prng, 12);
    for (int i = 0; i < 200000; i++) {
        // Times of these years, and numbers of all sizes from 1 to 2^52.
        double value = 1.7e9 + (double)(prng_u64(&prng) >> 11) * 0x1p-53 * 1e8;
        if (i % 2 == 0) {
            uint64_t bits = prng_u64(&prng);
            bits = (bits >> 12) | (1023 + bits % 52) << 52;
            memcpy(&value, &bits, sizeof(value));
        }
        if (i % 4 == 1)
            value = (double)(int64_t)(value * 1e6) / 1e6;
        buf_clear(&buf);
        text_put_double(&buf, value);
        put_slowly(text, sizeof(text), value);
        assert_string_equal(buf.data, text);
    }
}

static void percent_coding(void **state)
{
    static const char *const wrong[] = {"%", "%1", "%zz", "%00", "a%2", "%-1"};
    AUTO_BUF struct buf buf = BUF_INIT;
    AUTO_FREE char *text = NULL;

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        assert_int_equal(text_percent_decode(wrong[i], strlen(wrong[i]), false, &text), -EINVAL);
        assert_null(text);
    }
    assert_int_equal(text_percent_decode("a\0b", 3, false, &text), -EINVAL);
    assert_int_equal(text_percent_decode("a+%2Fb%c3%BC", 12, false, &text), 0);
    assert_string_equal(text, "a+/b\xc3\xbc");
    mem_free(TAKE_PTR(text));
    assert_int_equal(text_percent_decode("a+b", 3, true, &text), 0);
    assert_string_equal(text, "a b");
    text_percent_encode(&buf, "aZ09-._~/ +\xc3");
    assert_string_equal(buf.data, "aZ09-._~%2F%20%2B%C3");
}

static void base64_round_trips(void **state)
{
    static const char *const pairs[][2] = {{"", ""},
                                           {"f", "Zg=="},
                                           {"fo", "Zm8="},
                                           {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="},
                                           {"fooba", "Zm9vYmE="},
                                           {"foobar", "Zm9vYmFy"}};
    struct prng prng;

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(pairs); i++) {
        AUTO_BUF struct buf buf = BUF_INIT;
        char decoded[16];
        ssize_t size;

        base64_encode(pairs[i][0], strlen(pairs[i][0]), &buf);
        assert_int_equal(buf.size, strlen(pairs[i][1]));
        if (buf.size != 0)
            assert_string_equal(buf.data, pairs[i][1]);
        size = base64_decode(pairs[i][1], strlen(pairs[i][1]), decoded);
        assert_int_equal(size, strlen(pairs[i][0]));
        assert_memory_equal(decoded, pairs[i][0], (size_t)size);
    }
    prng_seed(&prng, 5);
    for (size_t size = 1; size < 200; size++) {
        AUTO_BUF struct buf buf = BUF_INIT;
        uint8_t data[200], *exact;

        for (size_t i = 0; i < size; i++)
            data[i] = (uint8_t)prng_u64(&prng);
        base64_encode(data, size, &buf);
        exact = mem_alloc(buf.size / 4 * 3 + 3);
        assert_int_equal(base64_decode(buf.data, buf.size, exact), size);
        assert_memory_equal(exact, data, size);
        mem_free(exact);
    }
}

static void base64_takes_both_alphabets_and_no_padding(void **state)
{
    static const char *const wrong[] = {
        "Z", "Zg=", "Z===", "=", "====", "Zg==Zg==", "Zm9v\n", "Zm 9", "Zm9vY"};
    uint8_t decoded[16];

    (void)state;
    assert_int_equal(base64_decode("-_8", 3, decoded), 2);
    assert_memory_equal(decoded, "\xfb\xff", 2);
    assert_int_equal(base64_decode("+/8=", 4, decoded), 2);
    assert_memory_equal(decoded, "\xfb\xff", 2);
    assert_int_equal(base64_decode("Zg", 2, decoded), 1);
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++)
        assert_int_equal(base64_decode(wrong[i], strlen(wrong[i]), decoded), -EINVAL);
}

__attribute__((format(printf, 2, 3))) static void expect_print(size_t room, const char *format, ...)
{
    char expected[300], got[300];
    va_list args;
    va_start(args, format);
    int expected_size = vsnprintf(expected, room, format, args);
    va_end(args);
    va_start(args, format);
    memset(got, 'x', sizeof(got));
    assert_int_equal(text_print(got, room, format, args), expected_size);
    va_end(args);
    assert_string_equal(got, expected);
    assert_int_equal(got[room], 'x');
}

static void printing_is_that_of_the_c_library(void **state)
{
    (void)state;
    static const size_t rooms[] = {1, 2, 5, 20, 200};
    for (size_t i = 0; i < ARRAY_COUNT(rooms); i++) {
        expect_print(rooms[i], "%s", "");
        expect_print(rooms[i], "plain");
        expect_print(rooms[i], "task %s of %s", "a-long-identifier", "another");
        expect_print(rooms[i], "%d %d %d%u", 0, INT_MIN, INT_MAX, UINT_MAX);
        expect_print(rooms[i], "%zu of %s%%", SIZE_MAX, "it");
        expect_print(rooms[i], "%s: %.3f, %5d, %.*s", "mixed", 1.5, 7, 2, "abc");
        expect_print(rooms[i], "%x after %d", 255, 3);
        expect_print(rooms[i], "%lld", LLONG_MIN);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_compare),
        cmocka_unit_test(integers_are_whole_or_wrong),
        cmocka_unit_test(doubles_are_finite_or_wrong),
        cmocka_unit_test(durations_parse),
        cmocka_unit_test(durations_print),
        cmocka_unit_test(sizes_parse_and_print),
        cmocka_unit_test(doubles_print_as_short_as_can_be),
        cmocka_unit_test(doubles_round_trip),
        cmocka_unit_test(fractions_are_the_shortest),
        cmocka_unit_test(percent_coding),
        cmocka_unit_test(printing_is_that_of_the_c_library),
        cmocka_unit_test(base64_round_trips),
        cmocka_unit_test(base64_takes_both_alphabets_and_no_padding),
    };

    return cmocka_run_group_tests_name("base-text", tests, NULL, NULL);
}
