// SPDX-License-Identifier: Apache-2.0
//
// Names of metrics to Prometheus' families and labels.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "api/prometheus.h"
#include "base/mem.h"

static const struct {
    const char *name;
    double value;
    const char *expected; // "": it is left out
} cases[] = {
    {"master/elected", 1, "mesos_master_elected 1.0\n"},
    {"master/frameworks/a%22b%5Cc%0Ad%20e/id-1/calls", 7, ""},
    {"master/frameworks/a%22b%5Cc%0Ad%20e/id-1/calls/accept", 7,
     "mesos_master_framework_calls_total{framework=\"a\\\"b\\\\c\\nd e\",framework_id=\"id-1\","
     "type=\"accept\"} 7.0\n"},
    {"master/frameworks/x/id/roles/a/b/suppressed/suppressed", 0,
     "mesos_master_framework_role_suppressed{framework=\"x\",framework_id=\"id\","
     "role=\"a/b/suppressed\"} 0.0\n"},
    // Not an encoded text: shown as it is.
    {"master/frameworks/%zz/id/subscribed", 1,
     "mesos_master_framework_subscribed{framework=\"%zz\",framework_id=\"id\"} 1.0\n"},
    {"frameworks/p/q/messages_received", 2,
     "mesos_master_messages_received_total{principal=\"p/q\"} 2.0\n"},
    {"allocator/mesos/allocation_run_ms/p99", 2.5,
     "mesos_allocator_allocation_run_recent_seconds{quantile=\"0.99\"} 0.0025\n"},
    {"master/cpus_revocable_total", 3,
     "mesos_master_resources{resource=\"cpus\",revocable=\"true\"} 3.0\n"},
    {"master/cpus_total", 0.125,
     "mesos_master_resources{resource=\"cpus\",revocable=\"false\"} 0.125\n"},
    {"master/task_lost/source_master/reason_slave_removed", 1,
     "mesos_master_tasks_ended_by_reason_total{state=\"lost\",source=\"master\","
     "reason=\"slave_removed\"} 1.0\n"},
    {"master/operations/total", 1, ""},
    {"master/operations/reserve/total", 1, ""},
    {"master/operations/finished", 1, ""},
    {"master/operations/reserve/finished", 1,
     "mesos_master_operations_ended_total{type=\"reserve\",state=\"finished\"} 1.0\n"},
    // What no row knows.
    {"some/\"thing\"", 4, "mesos_other{name=\"some/\\\"thing\\\"\"} 4.0\n"},
    {"master/", 4, "mesos_other{name=\"master/\"} 4.0\n"},
};

static const char *skip_comments(const char *text)
{
    while (*text == '#') {
        text = strchr(text, '\n') + 1;
    }
    return text;
}

static void test_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        AUTO_BUF struct buf out = BUF_INIT;
        struct metric_sample sample = {cases[i].name, cases[i].value};
        prometheus_put_metrics(&out, &sample, 1);
        assert_string_equal(out.data == NULL ? "" : skip_comments(out.data), cases[i].expected);
    }
}

// A family's samples stand together under one head, also when their names do not.
static void test_families(void **state)
{
    (void)state;
    static const struct metric_sample samples[] = {
        {"master/cpus_total", 4},
        {"master/elected", 1},
        {"master/frameworks_active", 0},
        {"master/mem_total", 8},
        {"master/tasks_running", 5},
        {"master/tasks_staging", 6},
        {"zzz", 1},
    };
    AUTO_BUF struct buf out = BUF_INIT;
    prometheus_put_metrics(&out, samples, ARRAY_COUNT(samples));
    assert_string_equal(
        out.data, "# HELP mesos_master_elected Whether this master leads.\n"
                  "# TYPE mesos_master_elected gauge\n"
                  "mesos_master_elected 1.0\n"
                  "# HELP mesos_master_resources The cluster's resources; mem and disk in MiB.\n"
                  "# TYPE mesos_master_resources gauge\n"
                  "mesos_master_resources{resource=\"cpus\",revocable=\"false\"} 4.0\n"
                  "mesos_master_resources{resource=\"mem\",revocable=\"false\"} 8.0\n"
                  "# HELP mesos_master_frameworks_active Frameworks that get offers.\n"
                  "# TYPE mesos_master_frameworks_active gauge\n"
                  "mesos_master_frameworks_active 0.0\n"
                  "# HELP mesos_master_tasks Tasks that have not ended, by state.\n"
                  "# TYPE mesos_master_tasks gauge\n"
                  "mesos_master_tasks{state=\"running\"} 5.0\n"
                  "mesos_master_tasks{state=\"staging\"} 6.0\n"
                  "# HELP mesos_other Other metrics of /metrics/snapshot, by name.\n"
                  "# TYPE mesos_other gauge\n"
                  "mesos_other{name=\"zzz\"} 1.0\n");
}

// The table is as its header says: rows of a family together, of one kind, the first with a help.
static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < prometheus_row_count; i++) {
        const struct prometheus_row *row = &prometheus_rows[i];
        if (row->kind == PROMETHEUS_NONE) {
            continue;
        }
        bool is_first = i == 0 || strcmp(row[-1].family, row->family) != 0;
        assert_true(!is_first || row->help[0] != '\0');
        assert_true(is_first || row[-1].kind == row->kind);
        for (size_t k = 0; is_first && k < i; k++) {
            assert_string_not_equal(prometheus_rows[k].family, row->family);
        }
        size_t size = strlen(row->family);
        bool is_total = size > 6 && strcmp(row->family + size - 6, "_total") == 0;
        assert_true(is_total == (row->kind == PROMETHEUS_COUNTER));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_families),
        cmocka_unit_test(test_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
