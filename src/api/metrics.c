// SPDX-License-Identifier: Apache-2.0
//
// /metrics/snapshot: {"name": number, ...}, sorted by name; /metrics: the same for Prometheus.

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "api/common.h"
#include "api/prometheus.h"
#include "base/arena.h"
#include "base/mem.h"
#include "base/text.h"
#include "wire/wire.h"

struct metric {
    const char *name;
    double value;
    size_t order;
};

struct api_metric_sink {
    struct arena *arena;
    struct metric *metrics;
    size_t count;
    size_t capacity;
};

void api_metric(struct api_metric_sink *sink, const char *name, double value)
{
    if (!isfinite(value)) {
        return;
    }
    if (sink->count == sink->capacity) {
        sink->capacity = sink->capacity * 2 + 64;
        sink->metrics = mem_realloc_array(sink->metrics, sink->capacity, sizeof(*sink->metrics));
    }
    sink->metrics[sink->count] =
        (struct metric){arena_strdup(sink->arena, name), value, sink->count};
    sink->count++;
}

static int compare_metrics(const void *a, const void *b)
{
    const struct metric *x = a;
    const struct metric *y = b;
    int order = strcmp(x->name, y->name);
    return order != 0 ? order : (x->order > y->order) - (x->order < y->order);
}

void api_put_system_metrics(struct api_metric_sink *sink)
{
    double load[3];
    if (getloadavg(load, 3) == 3) {
        api_metric(sink, "system/load_1min", load[0]);
        api_metric(sink, "system/load_5min", load[1]);
        api_metric(sink, "system/load_15min", load[2]);
    }
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    if (cpus > 0) {
        api_metric(sink, "system/cpus_total", (double)cpus);
    }
    struct sysinfo info;
    if (sysinfo(&info) == 0) {
        api_metric(sink, "system/mem_free_bytes", (double)info.freeram * info.mem_unit);
        api_metric(sink, "system/mem_total_bytes", (double)info.totalram * info.mem_unit);
    }
}

size_t api_list_metrics(struct api_common *common, struct arena *arena,
                        Mesos__V1__Metric ***ret_metrics)
{
    struct api_metric_sink sink = {.arena = arena};
    if (common->options.put_metrics != NULL) {
        common->options.put_metrics(common->options.ctx, &sink);
    }
    if (sink.count > 0) {
        qsort(sink.metrics, sink.count, sizeof(*sink.metrics), compare_metrics);
    }
    Mesos__V1__Metric **metrics = arena_calloc(arena, sink.count + 1, sizeof(Mesos__V1__Metric *));
    size_t count = 0;
    for (size_t i = 0; i < sink.count; i++) {
        bool is_last =
            i + 1 == sink.count || strcmp(sink.metrics[i].name, sink.metrics[i + 1].name) != 0;
        if (!is_last)
            continue;
        Mesos__V1__Metric *metric = WIRE_NEW(arena, Mesos__V1__Metric, mesos__v1__metric);
        metric->name = (char *)(uintptr_t)sink.metrics[i].name; // in the arena
        metric->has_value = true;
        metric->value = sink.metrics[i].value;
        metrics[count++] = metric;
    }
    mem_free(sink.metrics);
    *ret_metrics = metrics;
    return count;
}

void api_put_metrics(struct api_common *common, struct json_writer *w)
{
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    Mesos__V1__Metric **metrics;
    size_t count = api_list_metrics(common, arena, &metrics);
    json_object_open(w);
    for (size_t i = 0; i < count; i++)
        json_key_double(w, metrics[i]->name, metrics[i]->value);
    json_object_close(w);
}

void api_metrics_snapshot(void *ctx, struct http_request *r)
{
    struct api_common *common = api_common_cast(ctx);
    const char *timeout = http_query(r, "timeout");
    struct error err;
    int64_t ns;
    // All metrics are at hand at once, so that no timeout can be exceeded; a bad one is refused.
    if (timeout != NULL && text_parse_duration(timeout, &ns, &err) < 0) {
        http_respond_text(r, 400, "Invalid timeout '%s': %s.\n", timeout, err.text);
        return;
    }
    AUTO_BUF struct buf out = BUF_INIT;
    struct json_writer w;
    json_begin(&w, &out);
    api_put_metrics(common, &w);
    api_respond_json(r, &out);
}

void api_metrics_prometheus(void *ctx, struct http_request *r)
{
    struct api_common *common = api_common_cast(ctx);
    const char *path = http_path(r);
    if (!text_ends_with(path, "/metrics") && !text_ends_with(path, "/metrics/")) {
        http_respond_text(r, 404, "There is nothing at '%s'\n", path);
        return;
    }
    AUTO_ARENA struct arena *arena = arena_new(0, 0);
    Mesos__V1__Metric **metrics;
    size_t count = api_list_metrics(common, arena, &metrics);
    struct metric_sample *samples = arena_calloc(arena, count + 1, sizeof(*samples));
    for (size_t i = 0; i < count; i++)
        samples[i] = (struct metric_sample){metrics[i]->name, metrics[i]->value};
    AUTO_BUF struct buf out = BUF_INIT;
    prometheus_put_metrics(&out, samples, count);
    if (common->options.put_prometheus != NULL)
        common->options.put_prometheus(common->options.ctx, &out);
    http_respond_buf(r, 200, "text/plain; version=0.0.4; charset=utf-8", &out, NULL, 0);
}
