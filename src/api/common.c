// SPDX-License-Identifier: Apache-2.0
//
// The endpoints that both daemons have and that need no more than a few lines each: /version,
// /health, /flags, /logging/toggle, /system/stats.json.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>

#include "api/common.h"
#include "base/arena.h"
#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "wire/wire.h"

struct api_common *api_common_cast(void *ctx)
{
    return CHECK_CAST(api_common, API_COMMON_MAGIC, ctx);
}

// ---- version ----

// "Jan  2 2026" and "03:04:05" of the compiler to "2026-01-02 03:04:05" and seconds since 1970.
// Both are UTC where SOURCE_DATE_EPOCH is set.
static time_t build_time(char *ret_text, size_t size)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    static const char date[] = __DATE__;
    static const char clock[] = __TIME__;
    char month[4] = {date[0], date[1], date[2], '\0'};
    const char *found = strstr(months, month);
    struct tm tm = {
        .tm_year = atoi(date + 7) - 1900,
        .tm_mon = found == NULL ? 0 : (int)((found - months) / 3),
        .tm_mday = atoi(date + 4),
        .tm_hour = atoi(clock),
        .tm_min = atoi(clock + 3),
        .tm_sec = atoi(clock + 6),
    };
    time_t seconds = timegm(&tm);
    strftime(ret_text, size, "%Y-%m-%d %H:%M:%S", &tm);
    return seconds;
}

Mesos__V1__VersionInfo *api_make_version(struct arena *arena)
{
    char date[32];
    Mesos__V1__VersionInfo *info = WIRE_NEW(arena, Mesos__V1__VersionInfo, mesos__v1__version_info);
    info->has_build_time = true;
    info->build_time = (double)build_time(date, sizeof(date));
    info->build_date = arena_strdup(arena, date);
    info->build_user = arena_strdup(arena, "");
    info->version = arena_strdup(arena, MESOS_VERSION);
    return info;
}

void api_put_version(struct json_writer *w)
{
    char date[32];
    time_t seconds = build_time(date, sizeof(date));
    json_key_string(w, "build_date", date);
    json_key_double(w, "build_time", (double)seconds);
    json_key_string(w, "build_user", "");
    json_key_string(w, "meseta_version", MESETA_VERSION);
    json_key_string(w, "version", MESOS_VERSION);
}

static void handle_version(void *ctx, struct http_request *r)
{
    (void)ctx;
    AUTO_BUF struct buf out = BUF_INIT;
    struct json_writer w;
    json_begin(&w, &out);
    json_object_open(&w);
    api_put_version(&w);
    json_object_close(&w);
    api_respond_json(r, &out);
}

bool api_is_healthy(const struct api_common *common)
{
    return common->options.is_healthy == NULL || common->options.is_healthy(common->options.ctx);
}

static void handle_health(void *ctx, struct http_request *r)
{
    http_respond(r, api_is_healthy(api_common_cast(ctx)) ? 200 : 503, NULL, NULL, 0, NULL, 0);
}

// ---- flags ----

size_t api_list_flags(struct api_common *common, struct arena *arena, Mesos__V1__Flag ***ret_flags)
{
    AUTO_BUF struct buf value = BUF_INIT;
    size_t count = 0, most = 0;
    for (size_t i = 0; i < common->options.flag_table_count; i++)
        most += common->options.flags[i].count;
    Mesos__V1__Flag **flags = arena_calloc(arena, most + 1, sizeof(Mesos__V1__Flag *));
    for (size_t i = 0; i < common->options.flag_table_count; i++) {
        const struct flag_table *table = &common->options.flags[i];
        for (size_t j = 0; j < table->count; j++) {
            buf_clear(&value);
            if (!flag_put_value(&table->rows[j], common->options.flag_values, &value))
                continue;
            Mesos__V1__Flag *flag = WIRE_NEW(arena, Mesos__V1__Flag, mesos__v1__flag);
            flag->name = arena_strdup(arena, table->rows[j].name);
            flag->value = arena_strndup(arena, value.data == NULL ? "" : value.data, value.size);
            flags[count++] = flag;
        }
    }
    *ret_flags = flags;
    return count;
}

void api_put_flags(struct api_common *common, struct json_writer *w)
{
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    Mesos__V1__Flag **flags;
    size_t count = api_list_flags(common, arena, &flags);
    for (size_t i = 0; i < count; i++)
        json_key_string(w, flags[i]->name, flags[i]->value);
}

static void handle_flags(void *ctx, struct http_request *r)
{
    AUTO_BUF struct buf out = BUF_INIT;
    struct json_writer w;
    json_begin(&w, &out);
    json_object_open(&w);
    json_key(&w, "flags");
    json_object_open(&w);
    api_put_flags(api_common_cast(ctx), &w);
    json_object_close(&w);
    json_object_close(&w);
    api_respond_json(r, &out);
}

// ---- logging ----

int api_get_verbosity(const struct api_common *common)
{
    return common->verbosity;
}

void api_set_verbosity(struct api_common *common, int level, int64_t duration_ns)
{
    common->verbosity = level;
    log_set_level(level > 0 ? LOG_LEVEL_DEBUG : (enum log_level)common->log_level);
    env_timer_cancel(common->options.env, &common->verbosity_timer);
    if (level > 0) {
        env_timer_set(common->options.env, &common->verbosity_timer, duration_ns);
    }
}

static void revert_verbosity(struct timer *timer, struct instant now)
{
    (void)now;
    api_set_verbosity(CONTAINER_OF(timer, struct api_common, verbosity_timer), 0, 0);
}

static void handle_logging_toggle(void *ctx, struct http_request *r)
{
    struct api_common *common = api_common_cast(ctx);
    const char *level = http_query(r, "level");
    const char *duration = http_query(r, "duration");
    int64_t value;
    int64_t ns;
    struct error err;
    if (level == NULL && duration == NULL) {
        http_respond_text(r, 200, "%d\n", common->verbosity);
    } else if (duration == NULL) {
        http_respond_text(r, 400, "Expecting 'duration=value' in query.\n");
    } else if (level == NULL) {
        http_respond_text(r, 400, "Expecting 'level=value' in query.\n");
    } else if (text_parse_i64(level, &value, NULL) < 0 || value > INT32_MAX || value < INT32_MIN) {
        http_respond_text(r, 400, "Failed to convert '%s' to number.\n", level);
    } else if (value < 0) {
        http_respond_text(r, 400, "Invalid level '%lld'.\n", (long long)value);
    } else if (text_parse_duration(duration, &ns, &err) < 0) {
        http_respond_text(r, 400, "%s.\n", err.text);
    } else {
        api_set_verbosity(common, (int)value, ns);
        http_respond_status(r, 200);
    }
}

// ---- system ----

static void handle_system_stats(void *ctx, struct http_request *r)
{
    (void)ctx;
    AUTO_BUF struct buf out = BUF_INIT;
    struct json_writer w;
    json_begin(&w, &out);
    json_object_open(&w);
    double load[3];
    if (getloadavg(load, 3) == 3) {
        json_key_double(&w, "avg_load_15min", load[2]);
        json_key_double(&w, "avg_load_1min", load[0]);
        json_key_double(&w, "avg_load_5min", load[1]);
    }
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    if (cpus > 0) {
        json_key_i64(&w, "cpus_total", cpus);
    }
    struct sysinfo info;
    if (sysinfo(&info) == 0) {
        json_key_u64(&w, "mem_free_bytes", (uint64_t)info.freeram * info.mem_unit);
        json_key_u64(&w, "mem_total_bytes", (uint64_t)info.totalram * info.mem_unit);
    }
    json_object_close(&w);
    api_respond_json(r, &out);
}

// ---- setting up ----

static const struct api_route routes[] = {
    {"/version", NULL, handle_version, "The version, and when it was built."},
    {"/health", NULL, handle_health, "200 while the daemon is well; no body."},
    {"/flags", NULL, handle_flags, "The value of each flag."},
    {"/metrics/snapshot", NULL, api_metrics_snapshot, "All metrics as numbers, by name."},
    {"/metrics", "GET,HEAD", api_metrics_prometheus, "All metrics in Prometheus' text format."},
    {"/logging/toggle", NULL, handle_logging_toggle,
     "Sets the verbosity to `level` for `duration`; without both, tells it."},
    {"/system/stats.json", NULL, handle_system_stats,
     "Load, processors and memory of the machine."},
    {"/help", NULL, api_help, "This page; `format=json` for programs."},
};

static const struct api_route file_routes[] = {
    {"/files/browse", NULL, api_files_browse, "Lists the directory `path`."},
    {"/files/read", NULL, api_files_read, "Reads `length` bytes of the file `path` at `offset`."},
    {"/files/download", NULL, api_files_download, "The file `path` as it is."},
    {"/files/debug", NULL, api_files_debug, "Which directories stand behind which virtual paths."},
};

struct api_common *api_common_new(const struct api_common_options *options)
{
    struct api_common *common = mem_zalloc(sizeof(*common));
    common->magic = API_COMMON_MAGIC;
    common->options = *options;
    common->log_level = log_get_level();
    common->verbosity_timer.run = revert_verbosity;
    return common;
}

struct api_common *api_common_free(struct api_common *common)
{
    if (common == NULL) {
        return NULL;
    }
    CHECK(common->magic == API_COMMON_MAGIC);
    env_timer_cancel(common->options.env, &common->verbosity_timer);
    api_files_clear(common);
    common->magic = 0;
    mem_free(common);
    return NULL;
}

void api_common_add_routes(struct api_common *common, struct api_router *router)
{
    common->router = router;
    api_router_add(router, routes, ARRAY_COUNT(routes), common);
    api_router_add_open(router, file_routes, ARRAY_COUNT(file_routes), common);
}
