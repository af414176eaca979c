// SPDX-License-Identifier: Apache-2.0
//
// Timings, as the metrics show them.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "api/common.h"
#include "api/timing.h"
#include "base/mem.h"

// Metrics are looked at as the endpoint would write them.
struct shown {
    struct timing timing;
    int64_t now;
};

static void put(void *ctx, struct api_metric_sink *sink)
{
    struct shown *s = ctx;
    timing_put(&s->timing, "t", s->now, 100, sink);
}

static void expect(struct shown *s, const char *text)
{
    struct api_common common = {.magic = API_COMMON_MAGIC,
                                .options = {.put_metrics = put, .ctx = s}};
    AUTO_BUF struct buf out = BUF_INIT;
    struct json_writer w;
    json_begin(&w, &out);
    api_put_metrics(&common, &w);
    assert_string_equal(out.data, text);
}

static void test_few(void **state)
{
    (void)state;
    struct shown s = {.now = 0};
    expect(&s, "{}");
    timing_add(&s.timing, 0, 4 * NS_PER_MS);
    expect(&s, "{\"t\":4.0}");
    timing_add(&s.timing, 10, 2 * NS_PER_MS);
    expect(&s, "{\"t\":2.0,\"t/count\":2.0,\"t/max\":4.0,\"t/min\":2.0,\"t/p50\":3.0,\"t/p90\":3.8,"
               "\"t/p95\":3.9,\"t/p99\":3.98,\"t/p999\":3.998,\"t/p9999\":3.9998}");
    // The first one is too old; of the last the value stays.
    s.now = 105;
    expect(&s, "{\"t\":2.0}");
    s.now = 1000;
    expect(&s, "{\"t\":2.0}");
    timing_free(&s.timing);
}

// The ring keeps the newest ones.
static void test_many(void **state)
{
    (void)state;
    struct shown s = {.now = 0};
    for (int i = 1; i <= TIMING_COUNT_MAX + 500; i++)
        timing_add(&s.timing, 0, i * NS_PER_MS);
    assert_int_equal(s.timing.count, TIMING_COUNT_MAX);
    struct timing_sample *first = &s.timing.samples[s.timing.first];
    assert_true(first->ms == 501);
    expect(&s, "{\"t\":1500.0,\"t/count\":1000.0,\"t/max\":1500.0,\"t/min\":501.0,\"t/p50\":1000.5,"
               "\"t/p90\":1400.1,\"t/p95\":1450.05,\"t/p99\":1490.01,\"t/p999\":1499.001,"
               "\"t/p9999\":1499.9001}");
    timing_free(&s.timing);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_few),
        cmocka_unit_test(test_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
