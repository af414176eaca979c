// SPDX-License-Identifier: Apache-2.0
//
// GET /metrics: all metrics in Prometheus' text format. Each name of /metrics/snapshot is mapped by
// a row of the table in prometheus_rows.c; what only labels can say (containers, versions) is
// added by the daemon (api_common_options.put_prometheus).

#pragma once

#include <stddef.h>

#include "base/buf.h"

enum prometheus_kind {
    PROMETHEUS_GAUGE,
    PROMETHEUS_COUNTER,
    PROMETHEUS_NONE, // a sum of others, which labels make needless
};

struct prometheus_row {
    // The name of a metric; "{label}" stands for a part of it without a slash, "{role}" and
    // "{principal}" for one with or without. The first row that fits counts.
    const char *pattern;
    const char *family; // rows of one family stand one after another
    enum prometheus_kind kind;
    double scale;       // 0: 1
    const char *labels; // more of them, as they are written; NULL: none
    const char *help;   // of the family's first row
};

extern const struct prometheus_row prometheus_rows[];
extern const size_t prometheus_row_count;

struct prometheus_label {
    const char *name;
    const char *value; // any text
};

// "# HELP" and "# TYPE", before a family's samples.
void prometheus_put_head(struct buf *out, const char *family, enum prometheus_kind kind,
                         const char *help);
void prometheus_put_sample(struct buf *out, const char *family,
                           const struct prometheus_label *labels, size_t count, double value);

struct metric_sample {
    const char *name;
    double value;
};
// All samples in their families.
void prometheus_put_metrics(struct buf *out, const struct metric_sample *samples, size_t count);
