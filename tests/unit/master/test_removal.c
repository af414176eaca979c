// SPDX-License-Identifier: Apache-2.0
//
// Agents that do not answer, or do not come back: at which rate they are given up, who is let off,
// and when the master gives itself up instead.

#include "world.h"

#include <stdio.h>
#include <string.h>

enum { AGENTS = 4 };

struct wanted {
    const char *name;
    double value;
};

static void put(void *ctx, const char *name, double value)
{
    struct wanted *wanted = ctx;
    if (strcmp(name, wanted->name) == 0)
        wanted->value = value;
}

static double metric(struct world *w, const char *name)
{
    struct wanted wanted = {.name = name, .value = -1};
    master_put_metrics(w->master, w->now, put, &wanted);
    return wanted.value;
}

static void expect_metrics(struct world *w, double scheduled, double completed, double canceled)
{
    assert_true(metric(w, "master/slave_unreachable_scheduled") == scheduled);
    assert_true(metric(w, "master/slave_unreachable_completed") == completed);
    assert_true(metric(w, "master/slave_unreachable_canceled") == canceled);
}

static struct end *begin(struct world *w, const struct master_options *options)
{
    world_begin(w, options);
    struct end *e = mem_calloc(AGENTS, sizeof(*e));
    for (int i = 0; i < AGENTS; i++) {
        char port[8];
        snprintf(port, sizeof(port), "500%d", i);
        end_register(w, &e[i], port, "cpus:1;mem:64");
    }
    world_pass(w, 1);
    for (int i = 0; i < AGENTS; i++)
        e[i].mute = true;
    return e;
}

static void test_without_a_limit_all_at_once(void **state)
{
    (void)state;
    struct world w;
    struct end *e = begin(&w, NULL);
    world_pass(&w, 14 + 4 * 15);
    assert_true(metric(&w, "master/slaves_unreachable") == 0);
    world_pass(&w, 15);
    assert_true(metric(&w, "master/slaves_unreachable") == AGENTS);
    expect_metrics(&w, AGENTS, AGENTS, 0);
    world_end(&w);
    mem_free(e);
}

static void test_one_by_one_and_who_answers_is_let_off(void **state)
{
    (void)state;
    struct master_options options;
    master_options_init(&options);
    options.agent_removal_interval_ns = 100 * NS_PER_S;
    struct world w;
    struct end *e = begin(&w, &options);
    // Pings go out every 15 s; the fifth without an answer is one too many.
    world_pass(&w, 89);
    assert_true(metric(&w, "master/slaves_unreachable") == 1);
    expect_metrics(&w, AGENTS, 1, 0);
    struct end *left[AGENTS];
    int count = 0;
    for (int i = 0; i < AGENTS; i++) {
        if (!e[i].closed)
            left[count++] = &e[i];
    }
    assert_int_equal(count, AGENTS - 1);
    // One answers again, one comes back over a new link, one stays silent.
    left[0]->mute = false;
    world_pass(&w, 16);
    expect_metrics(&w, AGENTS, 1, 1);
    end_break(&w, left[1]);
    expect_metrics(&w, AGENTS, 1, 1);
    struct agent *a = map_get(&w.master->agents, left[1]->agent_id);
    assert_non_null(a);
    char json[1024];
    snprintf(json, sizeof(json),
             "{\"type\":\"REREGISTER\",\"reregister\":{\"agent\":{\"info\":{\"id\":{\"value\":"
             "\"%s\"},\"hostname\":\"%s\",\"resources\":%s},\"version\":\"1.11.0\",\"pid\":"
             "\"%s\"}}}",
             left[1]->agent_id, a->info->hostname, amount(&w, "cpus:1;mem:64"), a->pid);
    struct end *again = mem_zalloc(sizeof(*again));
    end_send(&w, again, "%s", json);
    assert_non_null(end_next(again, MESETA__LINK__TO_AGENT__TYPE__REREGISTERED));
    expect_metrics(&w, AGENTS, 1, 2);
    assert_true(metric(&w, "master/slaves_unreachable") == 1);
    world_pass(&w, 100);
    assert_true(metric(&w, "master/slaves_unreachable") == 2);
    expect_metrics(&w, AGENTS, 2, 2);
    assert_true(left[2]->closed && !left[0]->closed && !again->closed);
    world_pass(&w, 1000);
    assert_true(metric(&w, "master/slaves_unreachable") == 2);
    world_end(&w);
    mem_free(again);
    mem_free(e);
}

static void test_a_broken_link_has_its_own_deadline(void **state)
{
    (void)state;
    struct master_options options;
    master_options_init(&options);
    options.agent_ping_timeout_ns = 900 * NS_PER_S;
    struct world w;
    struct end *e = begin(&w, &options);
    end_break(&w, &e[0]);
    // Fewer pings than may be missed.
    world_pass(&w, 599);
    assert_true(metric(&w, "master/slaves_unreachable") == 0);
    world_pass(&w, 2);
    assert_true(metric(&w, "master/slaves_unreachable") == 1);
    expect_metrics(&w, 1, 1, 0);
    world_end(&w);
    mem_free(e);
}

// ---- after a recovery ----

static void recover(struct world *w, const struct master_options *options)
{
    world_begin(w, options);
    struct master_item items[AGENTS];
    for (int i = 0; i < AGENTS; i++) {
        Mesos__V1__AgentInfo info = MESOS__V1__AGENT_INFO__INIT;
        Mesos__V1__AgentID id = MESOS__V1__AGENT_ID__INIT;
        id.value = arena_printf(w->arena, "OLD-S%d", i);
        info.id = &id;
        info.hostname = arena_strdup(w->arena, "host");
        size_t size = protobuf_c_message_get_packed_size(&info.base);
        void *data = arena_alloc(w->arena, size);
        protobuf_c_message_pack(&info.base, data);
        items[i] = (struct master_item){
            .key = arena_printf(w->arena, "agents/OLD-S%d", i), .value = data, .size = size};
    }
    assert_int_equal(master_recover(w->master, items, AGENTS, w->now, NULL), 0);
    world_settle(w);
}

static void return_agent(struct world *w, struct end *e, int number)
{
    end_send(w, e,
             "{\"type\":\"REREGISTER\",\"reregister\":{\"agent\":{\"info\":{\"id\":{\"value\":"
             "\"OLD-S%d\"},\"hostname\":\"host\",\"resources\":%s},\"version\":\"1.11.0\",\"pid\":"
             "\"slave(1)@10.0.0.1:500%d\"}}}",
             number, amount(w, "cpus:1;mem:64"), number);
    assert_non_null(end_next(e, MESETA__LINK__TO_AGENT__TYPE__REREGISTERED));
}

static void test_too_many_that_do_not_return(void **state)
{
    (void)state;
    struct master_options options;
    master_options_init(&options);
    options.recovery_agent_removal_limit = 0.5;
    struct world w;
    recover(&w, &options);
    struct end *e = mem_zalloc(sizeof(*e));
    return_agent(&w, e, 2);
    world_pass(&w, 599);
    assert_string_equal(w.gave_up, "");
    world_pass(&w, 2);
    const char *expected =
        "Post-recovery agent removal limit exceeded! After 10mins there were 3 (75%) agents "
        "recovered from the registry that did not reregister:";
    assert_memory_equal(w.gave_up, expected, strlen(expected));
    assert_null(strstr(w.gave_up, "OLD-S2"));
    assert_non_null(strstr(w.gave_up, " OLD-S0"));
    assert_non_null(strstr(w.gave_up, "The configured removal limit is 50%. Please investigate"));
    assert_true(metric(&w, "master/slaves_unreachable") == 0);
    world_end(&w);
    mem_free(e);
}

static void test_as_many_as_may_stay_away(void **state)
{
    (void)state;
    struct master_options options;
    master_options_init(&options);
    options.recovery_agent_removal_limit = 0.5;
    options.agent_removal_interval_ns = 50 * NS_PER_S;
    struct world w;
    recover(&w, &options);
    struct end *e = mem_calloc(3, sizeof(*e));
    return_agent(&w, &e[0], 2);
    return_agent(&w, &e[1], 3);
    world_pass(&w, 601);
    assert_string_equal(w.gave_up, "");
    assert_true(metric(&w, "master/slaves_unreachable") == 1);
    expect_metrics(&w, 2, 1, 0);
    // The other one comes while it waits for its turn.
    return_agent(&w, &e[2], map_has(&w.master->unreachable, "OLD-S0") ? 1 : 0);
    expect_metrics(&w, 2, 1, 1);
    world_pass(&w, 100);
    assert_true(metric(&w, "master/slaves_unreachable") == 1);
    assert_true(metric(&w, "master/recovery_slave_removals") == 1);
    world_end(&w);
    mem_free(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_a_limit_all_at_once),
        cmocka_unit_test(test_one_by_one_and_who_answers_is_let_off),
        cmocka_unit_test(test_a_broken_link_has_its_own_deadline),
        cmocka_unit_test(test_too_many_that_do_not_return),
        cmocka_unit_test(test_as_many_as_may_stay_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
