// SPDX-License-Identifier: Apache-2.0
//
// Regular expressions by PCRE2.

#define PCRE2_CODE_UNIT_WIDTH 8
#include "allocator/pattern.h"

#include <errno.h>
#include <pcre2.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"

enum {
    TEXT_MAX = 64 * 1024, // attributes are shorter
    STEP_SIZE = 8,
    WORKSPACE_MIN = 64, // ints; PCRE2 asks for 20 at least
    REPEAT_MAX = 1000,  // as RE2
    MATCH_CALLS_MAX = 1000,
};

struct pattern {
    pcre2_code *code;
    pcre2_match_data *data;
    pcre2_match_context *context;
    int *workspace;
    size_t workspace_count;
};

static void *allocate(size_t size, void *ctx)
{
    (void)ctx;
    return mem_alloc(size);
}

static void release(void *memory, void *ctx)
{
    (void)ctx;
    mem_free(memory);
}

// ---- what is refused ----

// Behind "(?": flags as in "i", "i:" or "i-s:", ":" alone, or a name as in "P<name>".
static bool is_plain_group(const char *c)
{
    if (c[0] == 'P' && c[1] == '<') {
        return true;
    }
    while (*c != '\0' && strchr("imsU-", *c) != NULL) {
        c++;
    }
    return *c == ':' || *c == ')';
}

static int check_group(const char *c, struct error *err)
{
    if (c[1] == '*') {
        return error_set(err, -EINVAL, "no argument for repetition operator: *");
    }
    if (c[1] == '?' && !is_plain_group(c + 2)) {
        return error_set(err, -EINVAL, "invalid perl operator: %.3s", c);
    }
    return 0;
}

static int check_escape(const char *c, struct error *err)
{
    if (c[1] == '\0') {
        return error_set(err, -EINVAL, "trailing \\");
    }
    if (strchr("123456789gkKGXRhHNVZcoy", c[1]) != NULL) {
        return error_set(err, -EINVAL, "invalid escape sequence: \\%c", c[1]);
    }
    return 0;
}

static int check_repeat(const char *c, struct error *err)
{
    size_t size = strspn(c + 1, "0123456789,");
    if (c[size + 1] != '}') {
        return 0; // not a repetition: a brace
    }
    for (const char *at = c + 1; *at != '}'; at++) {
        size_t digits = strspn(at, "0123456789");
        if (digits > 4 || (digits == 4 && strncmp(at, "1000", 4) > 0)) {
            return error_set(err, -EINVAL, "invalid repetition size: %.*s", (int)size + 2, c);
        }
        at += digits > 0 ? digits - 1 : 0;
    }
    return 0;
}

// Behind the class's end, or at the end of the text.
static const char *skip_class(const char *c)
{
    c++;
    c += *c == '^';
    c += *c == ']';
    while (*c != '\0' && *c != ']') {
        if (c[0] == '[' && c[1] == ':' && strstr(c, ":]") != NULL) {
            c = strstr(c, ":]") + 2;
        } else {
            c += c[0] == '\\' && c[1] != '\0' ? 2 : 1;
        }
    }
    return *c == ']' ? c + 1 : c;
}

// Looks for what RE2 does not know and PCRE does.
static int check_syntax(const char *text, struct error *err)
{
    int r = 0;
    for (const char *c = text; *c != '\0' && r == 0;) {
        if (*c == '[') {
            c = skip_class(c);
            continue;
        }
        if (*c == '(') {
            r = check_group(c, err);
        } else if (*c == '\\') {
            r = check_escape(c, err);
            c += r == 0; // what is escaped means nothing more
        } else if (*c == '{') {
            r = check_repeat(c, err);
        } else if (strchr("*+?}", *c) != NULL && c > text && (c[1] == '+' || c[1] == '*')) {
            r = error_set(err, -EINVAL, "bad repetition operator: %.2s", c);
        }
        c++;
    }
    return r;
}

// ---- life ----

static int compile(const char *text, struct pattern *pattern, struct error *err)
{
    int r = check_syntax(text, err);
    if (r < 0) {
        return r;
    }
    pcre2_general_context *memory = pcre2_general_context_create(allocate, release, NULL);
    int code;
    PCRE2_SIZE at;
    const uint32_t options = PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C | PCRE2_DOLLAR_ENDONLY |
                             PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_NO_AUTO_POSSESS |
                             PCRE2_NO_START_OPTIMIZE;
    pcre2_compile_context *context = pcre2_compile_context_create(memory);
    pcre2_set_parens_nest_limit(context, 100);
    pattern->code = pcre2_compile((PCRE2_SPTR)text, strlen(text), options, &code, &at, context);
    pcre2_compile_context_free(context);
    if (pattern->code == NULL) {
        char why[160];
        pcre2_get_error_message(code, (PCRE2_UCHAR *)why, sizeof(why));
        pcre2_general_context_free(memory);
        return error_set(err, -EINVAL, "%s (at offset %zu)", why, (size_t)at);
    }
    pattern->data = pcre2_match_data_create(1, memory);
    pattern->context = pcre2_match_context_create(memory);
    pcre2_set_match_limit(pattern->context, MATCH_CALLS_MAX);
    pcre2_set_heap_limit(pattern->context, 64); // KiB
    pcre2_general_context_free(memory);
    return 0;
}

static size_t compiled_size(const struct pattern *pattern)
{
    static const size_t empty_size = 160; // what PCRE2 keeps beside the code
    size_t size = 0;
    CHECK(pcre2_pattern_info(pattern->code, PCRE2_INFO_SIZE, &size) == 0);
    return size > empty_size ? size - empty_size : 0;
}

int pattern_new(const char *text, const struct pattern_limits *limits, struct pattern **ret_pattern,
                struct error *err)
{
    struct pattern *pattern = mem_zalloc(sizeof(*pattern));
    struct error why = {0};
    int r = compile(text, pattern, &why);
    if (r == 0 && compiled_size(pattern) > limits->memory_max) {
        r = error_set(&why, -EINVAL, "pattern too large - compile failed");
    }
    if (r < 0) {
        pattern_free(pattern);
        return error_set(err, r, "Failed to construct regex from pattern '%s': %s", text, why.text);
    }
    size_t steps = (compiled_size(pattern) + STEP_SIZE - 1) / STEP_SIZE;
    if (steps > limits->program_max) {
        pattern_free(pattern);
        return error_set(err, -EINVAL,
                         "Regex '%s' is too complex: program size of %zu is larger than maximum of "
                         "%zu allowed",
                         text, steps, limits->program_max);
    }
    pattern->workspace_count = limits->memory_max / sizeof(int);
    if (pattern->workspace_count < WORKSPACE_MIN) {
        pattern->workspace_count = WORKSPACE_MIN;
    }
    pattern->workspace = mem_calloc(pattern->workspace_count, sizeof(int));
    *ret_pattern = pattern;
    return 0;
}

struct pattern *pattern_free(struct pattern *pattern)
{
    if (pattern != NULL) {
        pcre2_match_data_free(pattern->data);
        pcre2_match_context_free(pattern->context);
        pcre2_code_free(pattern->code);
        mem_free(pattern->workspace);
        mem_free(pattern);
    }
    return NULL;
}

bool pattern_is_match(const struct pattern *pattern, const char *text)
{
    size_t size = strlen(text);
    // 0: it matches in more ways than `data` has room for.
    return size <= TEXT_MAX &&
           pcre2_dfa_match(pattern->code, (PCRE2_SPTR)text, size, 0, 0, pattern->data,
                           pattern->context, pattern->workspace, pattern->workspace_count) >= 0;
}
