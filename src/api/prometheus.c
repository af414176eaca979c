// SPDX-License-Identifier: Apache-2.0
//
// See prometheus.h.

#include "api/prometheus.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/text.h"
#include "wire/json.h"

enum { CAPTURE_COUNT_MAX = 4 };

// What no row fits has its name as a label.
#define OTHER_FAMILY "mesos_other"

struct capture {
    const char *label; // within the pattern
    size_t label_size;
    const char *value; // within the name
    size_t value_size;
};

struct captures {
    struct capture list[CAPTURE_COUNT_MAX];
    size_t count;
};

// ---- matching ----

static bool may_have_slash(const char *label, size_t size)
{
    return (size == 4 && memcmp(label, "role", 4) == 0) ||
           (size == 9 && memcmp(label, "principal", 9) == 0);
}

static bool match(const char *pattern, const char *name, struct captures *captures)
{
    for (; *pattern != '{'; pattern++, name++) {
        if (*pattern != *name)
            return false;
        if (*pattern == '\0')
            return true;
    }
    const char *label = pattern + 1;
    const char *end = strchr(label, '}');
    size_t label_size = (size_t)(end - label);
    bool any = may_have_slash(label, label_size);
    CHECK(captures->count < CAPTURE_COUNT_MAX); // no row has more
    size_t place = captures->count++;
    for (size_t size = 1; name[size - 1] != '\0' && (any || name[size - 1] != '/'); size++) {
        captures->list[place] = (struct capture){label, label_size, name, size};
        captures->count = place + 1;
        if (match(end + 1, name + size, captures))
            return true;
    }
    captures->count = place;
    return false;
}

// The row that fits, or prometheus_row_count.
static size_t find_row(const char *name, struct captures *captures)
{
    size_t row = 0;
    for (; row < prometheus_row_count; row++) {
        captures->count = 0;
        if (match(prometheus_rows[row].pattern, name, captures))
            break;
    }
    return row;
}

// ---- writing ----

// A backslash, a double quote and a line's end are escaped.
static void put_label_value(struct buf *out, const char *value)
{
    for (; *value != '\0'; value++) {
        if (*value == '\n') {
            buf_puts(out, "\\n");
            continue;
        }
        if (*value == '\\' || *value == '"')
            buf_putc(out, '\\');
        buf_putc(out, *value);
    }
}

static void put_value(struct buf *out, double value)
{
    struct json_writer w;
    json_begin(&w, out);
    json_double(&w, value);
    buf_putc(out, '\n');
}

void prometheus_put_head(struct buf *out, const char *family, enum prometheus_kind kind,
                         const char *help)
{
    buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", family, help, family,
               kind == PROMETHEUS_COUNTER ? "counter" : "gauge");
}

static void put_label(struct buf *out, bool *is_first, const char *name, size_t size,
                      const char *value)
{
    buf_putc(out, *is_first ? '{' : ',');
    *is_first = false;
    buf_append(out, name, size);
    buf_puts(out, "=\"");
    put_label_value(out, value);
    buf_putc(out, '"');
}

static void end_labels(struct buf *out, bool is_first)
{
    buf_puts(out, is_first ? " " : "} ");
}

void prometheus_put_sample(struct buf *out, const char *family,
                           const struct prometheus_label *labels, size_t count, double value)
{
    bool is_first = true;
    buf_puts(out, family);
    for (size_t i = 0; i < count; i++)
        put_label(out, &is_first, labels[i].name, strlen(labels[i].name), labels[i].value);
    end_labels(out, is_first);
    put_value(out, value);
}

// A framework's name is percent-encoded within the metric's.
static void put_capture(struct buf *out, bool *is_first, const struct capture *c)
{
    char *decoded AUTO_FREE = NULL;
    char *value AUTO_FREE = mem_strndup(c->value, c->value_size);
    bool is_encoded = c->label_size == 9 && memcmp(c->label, "framework", 9) == 0;
    if (is_encoded && text_percent_decode(value, c->value_size, false, &decoded) < 0)
        decoded = NULL;
    put_label(out, is_first, c->label, c->label_size, decoded != NULL ? decoded : value);
}

static void put_mapped(struct buf *out, const struct metric_sample *sample)
{
    struct captures captures = {.count = 0};
    size_t row = find_row(sample->name, &captures);
    const struct prometheus_row *r = &prometheus_rows[row];
    bool is_first = true;
    buf_puts(out, r->family);
    for (size_t i = 0; i < captures.count; i++)
        put_capture(out, &is_first, &captures.list[i]);
    if (r->labels != NULL) {
        buf_putc(out, is_first ? '{' : ',');
        is_first = false;
        buf_puts(out, r->labels);
    }
    end_labels(out, is_first);
    put_value(out, sample->value * (r->scale != 0 ? r->scale : 1));
}

// ---- families ----

struct placed {
    const struct metric_sample *sample;
    size_t family; // the first row of it
    size_t order;
};

static int compare_placed(const void *a, const void *b)
{
    const struct placed *x = a, *y = b;
    if (x->family != y->family)
        return x->family < y->family ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

static size_t family_of(size_t row)
{
    while (row > 0 && row < prometheus_row_count &&
           strcmp(prometheus_rows[row - 1].family, prometheus_rows[row].family) == 0)
        row--;
    return row;
}

void prometheus_put_metrics(struct buf *out, const struct metric_sample *samples, size_t count)
{
    struct placed *placed AUTO_FREE = mem_calloc(count + 1, sizeof(*placed));
    size_t placed_count = 0;
    for (size_t i = 0; i < count; i++) {
        struct captures captures = {.count = 0};
        size_t row = find_row(samples[i].name, &captures);
        if (row < prometheus_row_count && prometheus_rows[row].kind == PROMETHEUS_NONE)
            continue;
        placed[placed_count++] = (struct placed){&samples[i], family_of(row), i};
    }
    if (placed_count > 0)
        qsort(placed, placed_count, sizeof(*placed), compare_placed);
    for (size_t i = 0; i < placed_count; i++) {
        const struct placed *p = &placed[i];
        bool is_new = i == 0 || placed[i - 1].family != p->family;
        bool is_other = p->family == prometheus_row_count;
        if (is_new && is_other)
            prometheus_put_head(out, OTHER_FAMILY, PROMETHEUS_GAUGE,
                                "Other metrics of /metrics/snapshot, by name.");
        else if (is_new)
            prometheus_put_head(out, prometheus_rows[p->family].family,
                                prometheus_rows[p->family].kind, prometheus_rows[p->family].help);
        if (is_other)
            prometheus_put_sample(out, OTHER_FAMILY,
                                  &(struct prometheus_label){"name", p->sample->name}, 1,
                                  p->sample->value);
        else
            put_mapped(out, p->sample);
    }
}
