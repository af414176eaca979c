// SPDX-License-Identifier: Apache-2.0
//
// Values as people read them. What came from frameworks is cleaned before it meets a terminal.

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/text.h"
#include "cli/cli.h"
#include "model/resources.h"
#include "model/task_state.h"

#undef cli_wrap
int cli_wrap(struct error *err, int code, const char *format, ...)
{
    if (err != NULL) {
        AUTO_BUF struct buf text = BUF_INIT;
        va_list args;
        va_start(args, format);
        buf_vprintf(&text, format, args);
        va_end(args);
        error_wrap(err, code, "%s", text.data);
        err->code = code;
    }
    return code;
}

const char *cli_clean(struct arena *arena, const char *text)
{
    if (text == NULL) {
        return "";
    }
    bool is_clean = true;
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0'; at++) {
        is_clean = is_clean && *at >= ' ' && *at != 0x7f && *at != 0xc2;
    }
    if (is_clean) {
        return text;
    }
    char *copy = arena_strdup(arena, text);
    for (unsigned char *at = (unsigned char *)copy; *at != '\0'; at++) {
        bool is_c1 = at[0] == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0; // ESC [ in one character
        if (*at < ' ' || *at == 0x7f || is_c1) {
            *at = '?';
            if (is_c1) {
                at[1] = '?';
            }
        }
    }
    return copy;
}

size_t cli_text_width(const char *text)
{
    size_t width = 0;
    for (; *text != '\0'; text++) {
        width += ((unsigned char)*text & 0xc0) != 0x80;
    }
    return width;
}

const char *cli_text_amount(struct arena *arena, double value)
{
    AUTO_BUF struct buf out = BUF_INIT;
    text_put_double(&out, round(value * 1000) / 1000);
    if (text_ends_with(out.data, ".0")) {
        out.data[out.size - 2] = '\0';
    }
    return arena_strdup(arena, out.data);
}

const char *cli_text_bytes(struct arena *arena, uint64_t bytes)
{
    static const char *const units[] = {"B", "KB", "MB", "GB", "TB", "PB", "EB"};
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 1023.95 && unit + 1 < ARRAY_COUNT(units)) {
        value /= 1024;
        unit++;
    }
    bool is_whole = unit == 0 || value >= 99.95 || fabs(value - round(value)) < 0.05;
    return arena_printf(arena, is_whole ? "%.0f%s" : "%.1f%s", value, units[unit]);
}

const char *cli_text_megabytes(struct arena *arena, double megabytes)
{
    if (megabytes <= 0) {
        return "0";
    }
    return cli_text_bytes(arena, (uint64_t)(megabytes * 1024 * 1024));
}

const char *cli_text_age(struct arena *arena, double seconds)
{
    if (!(seconds > 0)) {
        seconds = 0;
    }
    if (seconds > 1e15) {
        return "-";
    }
    long long s = (long long)seconds;
    if (s < 60) {
        return arena_printf(arena, "%llds", s);
    }
    if (s < 3600) {
        return arena_printf(arena, "%lldm%02llds", s / 60, s % 60);
    }
    if (s < 86400) {
        return arena_printf(arena, "%lldh%02lldm", s / 3600, s / 60 % 60);
    }
    return arena_printf(arena, "%lldd%02lldh", s / 86400, s / 3600 % 24);
}

double cli_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

const char *cli_text_since(struct arena *arena, double seconds)
{
    return seconds > 0 ? cli_text_age(arena, cli_now() - seconds) : "-";
}

const char *cli_text_time(struct arena *arena, double seconds)
{
    if (!(seconds > 0) || seconds > 1e11) {
        return NULL;
    }
    time_t when = (time_t)seconds;
    struct tm tm;
    char text[64];
    if (localtime_r(&when, &tm) == NULL ||
        strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm) == 0) {
        return NULL;
    }
    double age = cli_now() - seconds;
    return age >= 0 ? arena_printf(arena, "%s (%s ago)", text, cli_text_age(arena, age))
                    : arena_printf(arena, "%s (in %s)", text, cli_text_age(arena, -age));
}

double cli_seconds(const Mesos__V1__TimeInfo *time)
{
    return time != NULL ? (double)time->nanoseconds / 1e9 : 0;
}

double cli_scalar(Mesos__V1__Resource *const *resources, size_t count, const char *name)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        if (resources[i]->scalar != NULL && strcmp(resources[i]->name, name) == 0) {
            sum += resources[i]->scalar->value;
        }
    }
    return sum;
}

const char *cli_text_resources(struct arena *arena, Mesos__V1__Resource *const *resources,
                               size_t count)
{
    AUTO_RESOURCES struct resources *sum = NULL;
    AUTO_BUF struct buf out = BUF_INIT;
    if (count == 0 || resources_from_proto(resources, count, &sum, NULL) < 0) {
        return count == 0 ? "-" : "?";
    }
    resources_unallocate(sum);
    resources_put_text(sum, &out);
    return out.size > 0 ? cli_clean(arena, arena_strdup(arena, out.data)) : "-";
}

const char *cli_text_state(struct arena *arena, Mesos__V1__TaskState state)
{
    const char *name = task_state_name(state);
    if (name == NULL) {
        return "?";
    }
    char *text = arena_strdup(arena, text_starts_with(name, "TASK_") ? name + 5 : name);
    for (char *at = text; *at != '\0'; at++) {
        *at = *at >= 'A' && *at <= 'Z' ? (char)(*at - 'A' + 'a') : *at;
    }
    return text;
}

const char *cli_text_container_id(struct arena *arena, const Mesos__V1__ContainerID *id)
{
    if (id == NULL) {
        return NULL;
    }
    return id->parent == NULL
               ? id->value
               : arena_printf(arena, "%s.%s", cli_text_container_id(arena, id->parent), id->value);
}

int cli_read_duration(const char *flag, const char *text, int64_t *ret_ns, struct error *err)
{
    int64_t ns;
    if (text_parse_duration(text, &ns, NULL) < 0 || ns < 0) {
        return error_set(err, CLI_ERROR_USAGE, "--%s: '%s' is no duration, such as 30secs or 2mins",
                         flag, text);
    }
    *ret_ns = ns;
    return 0;
}
