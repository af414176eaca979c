// SPDX-License-Identifier: Apache-2.0
//
// Text to value and back. The formats are those that Mesos' users write and read.

#include "base/text.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/timer.h"

bool text_is_equal(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

bool text_is_equal_nocase(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcasecmp(a, b) == 0);
}

bool text_starts_with(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool text_ends_with(const char *s, const char *suffix)
{
    size_t size = strlen(s), suffix_size = strlen(suffix);

    return size >= suffix_size && memcmp(s + size - suffix_size, suffix, suffix_size) == 0;
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

char *text_trim(char *s)
{
    size_t size;

    while (is_space(*s))
        s++;
    size = strlen(s);
    while (size > 0 && is_space(s[size - 1]))
        s[--size] = '\0';
    return s;
}

static int not_a_number(const char *s, struct error *err)
{
    return error_set(err, -EINVAL, "Failed to convert '%.100s' to number", s);
}

int text_parse_i64(const char *s, int64_t *ret_value, struct error *err)
{
    const char *digits = s + (*s == '-' || *s == '+');
    char *end;
    long long value;

    if (!is_digit(*digits))
        return not_a_number(s, err);
    errno = 0;
    value = strtoll(s, &end, 10);
    if (*end != '\0')
        return not_a_number(s, err);
    if (errno == ERANGE)
        return error_set(err, -ERANGE, "Number '%.100s' is out of range", s);
    *ret_value = value;
    return 0;
}

int text_parse_u64(const char *s, uint64_t *ret_value, struct error *err)
{
    char *end;
    unsigned long long value;

    if (!is_digit(*s))
        return not_a_number(s, err);
    errno = 0;
    value = strtoull(s, &end, 10);
    if (*end != '\0')
        return not_a_number(s, err);
    if (errno == ERANGE)
        return error_set(err, -ERANGE, "Number '%.100s' is out of range", s);
    *ret_value = value;
    return 0;
}

int text_parse_double(const char *s, double *ret_value, struct error *err)
{
    char *end;
    double value;

    if (*s == '\0' || s[strspn(s, "0123456789+-.eE")] != '\0')
        return not_a_number(s, err);
    value = strtod(s, &end);
    if (*end != '\0' || end == s)
        return not_a_number(s, err);
    if (!isfinite(value))
        return error_set(err, -ERANGE, "Number '%.100s' is out of range", s);
    *ret_value = value;
    return 0;
}

static const struct unit {
    const char *name;
    int64_t ns;
} units[] = {
    {"ns", 1},
    {"us", NS_PER_US},
    {"ms", NS_PER_MS},
    {"secs", NS_PER_S},
    {"mins", 60 * NS_PER_S},
    {"hrs", 3600 * NS_PER_S},
    {"days", 24 * 3600 * NS_PER_S},
    {"weeks", 7 * 24 * 3600 * NS_PER_S},
};

int text_parse_duration(const char *s, int64_t *ret_ns, struct error *err)
{
    size_t size = strspn(s, "0123456789.");
    char number[64];
    double value;
    int result;

    if (s[size] == '\0')
        return error_set(err, -EINVAL, "Invalid duration '%.100s'", s);
    if (size == 0 || size >= sizeof(number))
        return error_set(err, -EINVAL, "Failed to convert '%.*s' to number",
                         (int)(size < 100 ? size : 100), s);
    memcpy(number, s, size);
    number[size] = '\0';
    result = text_parse_double(number, &value, err);
    if (result < 0)
        return result;
    for (size_t i = 0; i < ARRAY_COUNT(units); i++) {
        if (strcmp(s + size, units[i].name) != 0)
            continue;
        value *= (double)units[i].ns;
        if (value >= 0x1.0p63)
            return error_set(err, -ERANGE, "Duration '%.100s' is out of range", s);
        *ret_ns = (int64_t)value;
        return 0;
    }
    return error_set(err, -EINVAL,
                     "Unknown duration unit '%.40s'; supported units are 'ns', 'us', 'ms', 'secs',"
                     " 'mins', 'hrs', 'days', and 'weeks'",
                     s + size);
}

void text_put_duration(struct buf *out, int64_t ns)
{
    int64_t amount = ns >= 0 ? ns : ns == INT64_MIN ? INT64_MAX : -ns;
    size_t at = ARRAY_COUNT(units) - 1;

    if (ns < 0)
        buf_putc(out, '-');
    while (at > 0 && amount < units[at].ns)
        at--;
    // A fraction of this unit may be a whole number of the next smaller one. Below a millisecond
    // that is always so.
    if (at > 0 && amount % units[at].ns != 0 && (at == 1 || amount % units[at - 1].ns == 0))
        at--;
    if (amount % units[at].ns == 0) {
        buf_put_i64(out, amount / units[at].ns);
        buf_puts(out, units[at].name);
    } else {
        buf_printf(out, "%.15g%s", (double)amount / (double)units[at].ns, units[at].name);
    }
}

static const char *const byte_units[] = {"B", "KB", "MB", "GB", "TB"};

int text_parse_bytes(const char *s, uint64_t *ret_bytes, struct error *err)
{
    size_t size = strspn(s, "0123456789");
    char number[24];
    uint64_t value;
    int result;

    if (s[size] == '.')
        return error_set(err, -EINVAL, "Fractional bytes '%.100s'", s);
    if (s[size] == '\0')
        return error_set(err, -EINVAL, "Invalid bytes '%.100s'", s);
    if (size == 0 || size >= sizeof(number))
        return error_set(err, -EINVAL, "Failed to convert '%.*s' to number",
                         (int)(size < 100 ? size : 100), s);
    memcpy(number, s, size);
    number[size] = '\0';
    result = text_parse_u64(number, &value, err);
    if (result < 0)
        return result;
    for (size_t i = 0; i < ARRAY_COUNT(byte_units); i++) {
        if (strcasecmp(s + size, byte_units[i]) != 0)
            continue;
        if (value > UINT64_MAX >> (10 * i))
            return error_set(err, -ERANGE, "Bytes '%.100s' are out of range", s);
        *ret_bytes = value << (10 * i);
        return 0;
    }
    return error_set(err, -EINVAL, "Unknown bytes unit '%.40s'", s + size);
}

void text_put_bytes(struct buf *out, uint64_t bytes)
{
    size_t at = 0;

    while (bytes != 0 && bytes % 1024 == 0 && at + 1 < ARRAY_COUNT(byte_units)) {
        bytes /= 1024;
        at++;
    }
    buf_put_u64(out, bytes);
    buf_puts(out, byte_units[at]);
}

// Thousandths are what resources are made of. Fifteen digits or fewer always tell two doubles
// apart, so a number that is n / 1000 exactly has no shorter text than n's digits.
static bool put_thousandths(struct buf *out, double value)
{
    double scaled = value * 1000;
    int64_t n;
    unsigned fraction;

    if (!(scaled > -1e15 && scaled < 1e15) || (value == 0 && signbit(value)))
        return false;
    n = (int64_t)(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
    if ((double)n / 1000 != value)
        return false;
    if (n < 0) {
        buf_putc(out, '-');
        n = -n;
    }
    buf_put_i64(out, n / 1000);
    fraction = (unsigned)(n % 1000);
    buf_putc(out, '.');
    buf_putc(out, (char)('0' + fraction / 100));
    if (fraction % 100 != 0)
        buf_putc(out, (char)('0' + fraction / 10 % 10));
    if (fraction % 10 != 0)
        buf_putc(out, (char)('0' + fraction % 10));
    return true;
}

// The decimal digits of a number; returns their end.
static char *write_u64(char *at, uint64_t value)
{
    static const char pairs[] = "00010203040506070809101112131415161718192021222324"
                                "25262728293031323334353637383940414243444546474849"
                                "50515253545556575859606162636465666768697071727374"
                                "75767778798081828384858687888990919293949596979899";
    char digits[20];
    size_t left = sizeof(digits);

    for (; value >= 10; value /= 100) {
        left -= 2;
        memcpy(digits + left, pairs + 2 * (value % 100), 2);
    }
    if (value > 0 || left == sizeof(digits))
        digits[--left] = (char)('0' + value);
    memcpy(at, digits + left, sizeof(digits) - left);
    return at + sizeof(digits) - left;
}

// As write_fraction, for 20 to 23 bits: times of these years. A number of six digits stands for it
// if it is nearer than half of 2^-bits (there is room for one such number at most); else seven
// always do, and the nearest of them is taken.
static char *write_short_fraction(char *at, uint64_t rest, unsigned bits, bool is_even)
{
    enum { SIX = 1000000, SEVEN = 10 * SIX };
    const uint64_t half = UINT64_C(1) << (bits - 1);
    uint64_t scaled = rest * SIX, digits = (scaled + half) >> bits, count = 6;
    uint64_t nearest = digits << bits;
    uint64_t apart = 2 * (nearest > scaled ? nearest - scaled : scaled - nearest);

    if (apart > SIX || (apart == SIX && !is_even)) {
        scaled = rest * SEVEN;
        digits = scaled >> bits;
        count = 7;
        uint64_t behind = scaled & (2 * half - 1);
        digits += behind > half || (behind == half && (digits & 1) == 1);
    }
    while (digits % 10 == 0) {
        digits /= 10;
        count--;
    }
    for (uint64_t i = count; i-- > 0; digits /= 10)
        at[i] = (char)('0' + digits % 10);
    return at + count;
}

// The fewest digits behind the point that tell `rest` * 2^-bits from its neighbours, which are
// 2^-bits away (the free-format method of Steele and White).
static char *write_fraction(char *at, uint64_t rest, unsigned bits, bool is_even)
{
    const uint64_t one = UINT64_C(1) << (bits + 1);
    uint64_t half_step = 1;

    rest *= 2;
    for (;;) {
        rest *= 10;
        half_step *= 10;
        char digit = (char)('0' + (rest >> (bits + 1)));
        rest &= one - 1;
        bool is_low = is_even ? rest <= half_step : rest < half_step;
        bool is_high = is_even ? rest + half_step >= one : rest + half_step > one;
        if (!is_low && !is_high) {
            *at++ = digit;
            continue;
        }
        // In the middle between two digits: the even one, as printf does it.
        bool is_up =
            is_high && (!is_low || rest * 2 > one || (rest * 2 == one && (digit & 1) == 1));
        *at++ = (char)(digit + is_up);
        return at;
    }
}

// Numbers from 1 to 2^52 with a fraction: times, as a rule. What lies behind the point is a whole
// number of 2^-bits, so its digits come out of exact arithmetic on one word.
static bool put_fraction(struct buf *out, double value)
{
    enum { SHORT_BITS_MIN = 20, SHORT_BITS_MAX = 23 };
    uint64_t word, rest;
    unsigned bits;
    char text[48], *at;

    if (!(value >= 1 && value < 4503599627370496.0))
        return false;
    memcpy(&word, &value, sizeof(word));
    bits = 1075 - (unsigned)(word >> 52);
    word = (word & ((UINT64_C(1) << 52) - 1)) | UINT64_C(1) << 52;
    rest = word & ((UINT64_C(1) << bits) - 1);
    if (rest == 0)
        return false;
    at = write_u64(text, word >> bits);
    *at++ = '.';
    at = bits >= SHORT_BITS_MIN && bits <= SHORT_BITS_MAX
             ? write_short_fraction(at, rest, bits, word % 2 == 0)
             : write_fraction(at, rest, bits, word % 2 == 0);
    buf_append(out, text, (size_t)(at - text));
    return true;
}

// Writes `count` digits whose decimal point stands behind the first `point` of them.
static void put_digits(struct buf *out, const char *digits, int count, int point)
{
    if (point > 21 || point < -5) {
        buf_putc(out, digits[0]);
        if (count > 1) {
            buf_putc(out, '.');
            buf_append(out, digits + 1, (size_t)count - 1);
        }
        buf_putc(out, 'e');
        buf_put_i64(out, point - 1);
    } else if (point <= 0) {
        buf_puts(out, "0.");
        for (int i = point; i < 0; i++)
            buf_putc(out, '0');
        buf_append(out, digits, (size_t)count);
    } else {
        for (int i = 0; i < (count > point ? count : point); i++) {
            if (i == point)
                buf_putc(out, '.');
            buf_putc(out, i < count ? digits[i] : '0');
        }
        if (count <= point)
            buf_puts(out, ".0");
    }
}

void text_put_double(struct buf *out, double value)
{
    char text[40], digits[20];
    int count = 0, exponent;
    char *e;

    if (!isfinite(value)) {
        buf_puts(out, "null");
        return;
    }
    if (put_thousandths(out, value) || put_fraction(out, value))
        return;
    if (signbit(value)) {
        buf_putc(out, '-');
        value = -value;
    }
    if (value == 0) {
        buf_puts(out, "0.0");
        return;
    }
    // Fifteen digits, less one, are always kept; but the smallest numbers hold fewer than that.
    for (int precision = value < DBL_MIN ? 0 : 14; precision <= 16; precision++) {
        snprintf(text, sizeof(text), "%.*e", precision, value);
        if (precision == 16 || strtod(text, NULL) == value)
            break;
    }
    e = strchr(text, 'e');
    exponent = (int)strtol(e + 1, NULL, 10);
    for (char *p = text; p < e; p++)
        if (*p != '.')
            digits[count++] = *p;
    while (count > 1 && digits[count - 1] == '0')
        count--;
    CHECK(count > 0);
    put_digits(out, digits, count, exponent + 1);
}

static int hex_value(char c)
{
    if (is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

int text_percent_decode(const char *s, size_t size, bool form, char **ret_text)
{
    AUTO_FREE char *text = mem_alloc(size + 1);
    size_t to = 0;

    for (size_t i = 0; i < size; i++) {
        int high, low;

        if (s[i] == '\0')
            return -EINVAL;
        if (s[i] != '%') {
            text[to++] = form && s[i] == '+' ? ' ' : s[i];
            continue;
        }
        if (size - i < 3)
            return -EINVAL;
        high = hex_value(s[i + 1]);
        low = hex_value(s[i + 2]);
        if (high < 0 || low < 0 || (high == 0 && low == 0))
            return -EINVAL;
        text[to++] = (char)(high << 4 | low);
        i += 2;
    }
    text[to] = '\0';
    *ret_text = TAKE_PTR(text);
    return 0;
}

void text_percent_encode(struct buf *out, const char *s)
{
    static const char digits[] = "0123456789ABCDEF";

    for (; *s != '\0'; s++) {
        unsigned char c = (unsigned char)*s;

        if (is_digit(*s) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
            c == '.' || c == '_' || c == '~') {
            buf_putc(out, *s);
        } else {
            buf_putc(out, '%');
            buf_putc(out, digits[c >> 4]);
            buf_putc(out, digits[c & 15]);
        }
    }
}

// ---- printing ----

// What is printed so far. It may be longer than there is room for.
struct print {
    char *out;
    size_t size; // of `out`
    size_t at;
};

static void print_bytes(struct print *p, const char *bytes, size_t size)
{
    if (p->at < p->size) {
        size_t room = p->size - p->at;
        memcpy(p->out + p->at, bytes, size < room ? size : room);
    }
    p->at += size;
}

static void print_number(struct print *p, bool is_negative, uint64_t value)
{
    char digits[21];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    if (is_negative)
        digits[--at] = '-';
    print_bytes(p, digits + at, sizeof(digits) - at);
}

// Prints one argument; `spec` is what stands behind the percent sign. Returns how long that is, or
// 0 when it is not one of the few.
static size_t print_argument(struct print *p, const char *spec, va_list *args)
{
    if (spec[0] == 's') {
        const char *text = va_arg(*args, const char *);
        text = text != NULL ? text : "(null)";
        print_bytes(p, text, strlen(text));
        return 1;
    }
    if (spec[0] == 'd') {
        int value = va_arg(*args, int);
        print_number(p, value < 0, (uint64_t)(value < 0 ? -(int64_t)value : value));
        return 1;
    }
    if (spec[0] == 'u') {
        print_number(p, false, va_arg(*args, unsigned));
        return 1;
    }
    if (spec[0] == 'z' && spec[1] == 'u') {
        print_number(p, false, va_arg(*args, size_t));
        return 2;
    }
    return 0;
}

int text_print(char *out, size_t size, const char *format, va_list args)
{
    CHECK(size > 0);
    struct print p = {.out = out, .size = size};
    va_list rest;
    va_copy(rest, args);
    for (const char *at = format; *at != '\0';) {
        const char *percent = strchrnul(at, '%');
        print_bytes(&p, at, (size_t)(percent - at));
        if (*percent == '\0')
            break;
        size_t used = print_argument(&p, percent + 1, &rest);
        if (used == 0) {
            va_end(rest);
            return vsnprintf(out, size, format, args);
        }
        at = percent + 1 + used;
    }
    va_end(rest);
    out[p.at < size ? p.at : size - 1] = '\0';
    return (int)p.at;
}

int text_format(char *out, size_t size, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int printed = text_print(out, size, format, args);
    va_end(args);
    return printed;
}
