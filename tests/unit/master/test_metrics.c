// SPDX-License-Identifier: Apache-2.0
//
// The numbers that the core tells.

#include "world.h"

#include <stdio.h>
#include <string.h>

static void put(void *ctx, const char *name, double value)
{
    double *kept = mem_alloc(sizeof(*kept));
    *kept = value;
    mem_free(map_put(ctx, name, kept));
}

static void look(struct world *w, struct map *ret_numbers)
{
    *ret_numbers = MAP_INIT;
    master_put_metrics(w->master, w->now, put, ret_numbers);
}

static void forget(struct map *numbers)
{
    MAP_FOREACH (numbers, entry)
        mem_free(entry->value);
    map_free(numbers);
}

static void expect(const struct map *numbers, const char *name, double value)
{
    const double *found = map_get(numbers, name);
    if (found == NULL)
        fail_msg("no %s", name);
    if (*found != value)
        fail_msg("%s is %g, not %g", name, *found, value);
}

static void test_numbers_of_a_cluster(void **state)
{
    (void)state;
    struct world w;
    world_begin(&w, NULL);
    struct stream *s = mem_zalloc(sizeof(*s));
    struct end *e = mem_zalloc(2 * sizeof(*e));
    stream_subscribe(&w, s,
                     "{\"framework_info\":{\"user\":\"u\",\"checkpoint\":true,\"name\":\"a "
                     "b\",\"roles\":[\"r\",\"q\"],"
                     "\"capabilities\":[{\"type\":\"MULTI_ROLE\"},{\"type\":\"PARTITION_AWARE\"}]},"
                     "\"suppressed_roles\":[\"q\"]}");
    end_register(&w, &e[0], "7000", "cpus:4;mem:1024;disk:10");
    Mesos__V1__Offer *offer = stream_offer(s);
    assert_int_equal(
        stream_call(&w, s,
                    "\"type\":\"ACCEPT\",\"accept\":{\"offer_ids\":[{\"value\":\"%s\"}],"
                    "\"operations\":[{\"type\":\"LAUNCH\",\"launch\":{\"task_infos\":[{\"name\":"
                    "\"n\",\"task_id\":{\"value\":\"t\"},\"agent_id\":{\"value\":\"%s\"},"
                    "\"resources\":%s,\"command\":{\"value\":\"true\"}},{\"name\":\"n\","
                    "\"task_id\":{\"value\":\"much\"},\"agent_id\":{\"value\":\"%s\"},"
                    "\"resources\":%s,\"command\":{\"value\":\"true\"}}]}}],\"filters\":"
                    "{\"refuse_seconds\":60}}",
                    offer->id->value, offer->agent_id->value, amount(&w, "cpus:1;mem:512"),
                    offer->agent_id->value, amount(&w, "cpus:100")),
        202);
    end_update(&w, &e[0], s->framework_id, "t", "TASK_RUNNING", 'a');
    struct map n;
    look(&w, &n);
    expect(&n, "master/tasks_running", 1);
    expect(&n, "master/tasks_error", 1);
    expect(&n, "master/task_error/source_master/reason_task_invalid", 1);
    expect(&n, "master/cpus_total", 4);
    expect(&n, "master/cpus_used", 1);
    expect(&n, "master/cpus_percent", 0.25);
    expect(&n, "master/cpus_revocable_total", 0);
    expect(&n, "allocator/mesos/resources/cpus/total", 4);
    expect(&n, "allocator/mesos/resources/cpus/offered_or_allocated", 1);
    expect(&n, "allocator/mesos/resources/disk/total", 10);
    expect(&n, "allocator/mesos/resources/mem/offered_or_allocated", 512);
    expect(&n, "allocator/mesos/offer_filters/roles/r/active", 1);
    expect(&n, "allocator/mesos/offer_filters/roles/q/active", 0);
    expect(&n, "master/frameworks/a%20b/M-0000/roles/q/suppressed", 1);
    expect(&n, "master/frameworks/a%20b/M-0000/roles/r/suppressed", 0);
    expect(&n, "master/frameworks/a%20b/M-0000/tasks/active/task_running", 1);
    expect(&n, "master/frameworks/a%20b/M-0000/tasks/terminal/task_error", 1);
    assert_null(map_get(&n, "master/operator_event_stream_subscribers")); // there is no such stream
    forget(&n);
    assert_int_equal(stream_call(&w, s, "\"type\":\"SUPPRESS\""), 202);
    end_break(&w, &e[0]);
    world_pass(&w, 100);
    look(&w, &n);
    expect(&n, "master/frameworks/a%20b/M-0000/roles/r/suppressed", 1);
    expect(&n, "master/tasks_running", 0);
    expect(&n, "master/tasks_unreachable", 1);
    expect(&n, "master/slaves_unreachable", 1);
    expect(&n, "master/slave_removals/reason_unhealthy", 1);
    forget(&n);
    end_register(&w, &e[1], "7001", "cpus:1");
    end_send(&w, &e[1], "{\"type\":\"UNREGISTER\"}");
    look(&w, &n);
    expect(&n, "master/slave_removals", 2);
    expect(&n, "master/slave_removals/reason_unregistered", 1);
    expect(&n, "master/messages_unregister_slave", 1);
    forget(&n);
    world_end(&w);
    mem_free(s);
    mem_free(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers_of_a_cluster),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
