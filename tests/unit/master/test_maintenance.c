// SPDX-License-Identifier: Apache-2.0
//
// Maintenance in the core: which agents are meant, requests that overtake each other, inverse
// offers and what ends them, machines that go down while their agent comes, failovers.

#include "world.h"

#include <stdio.h>
#include <string.h>

#define EVENT(NAME) MESOS__V1__SCHEDULER__EVENT__TYPE__##NAME
#define TO_AGENT(NAME) MESETA__LINK__TO_AGENT__TYPE__##NAME

struct scene {
    struct world w;
    struct stream s;
    struct end e;
};

// An agent at 10.0.0.1 called "6000" with a task of the framework.
static struct scene *scene_begin(const struct master_options *options)
{
    struct scene *c = mem_zalloc(sizeof(*c));
    world_begin(&c->w, options);
    stream_subscribe(&c->w, &c->s,
                     "{\"framework_info\":{\"user\":\"u\",\"name\":\"f\","
                     "\"failover_timeout\":1e6}}");
    end_register(&c->w, &c->e, "6000", "cpus:4;mem:1024");
    const Mesos__V1__Offer *offer = stream_offer(&c->s);
    stream_call(&c->w, &c->s,
                "\"type\":\"ACCEPT\",\"accept\":{\"offer_ids\":[{\"value\":\"%s\"}],"
                "\"operations\":[{\"type\":\"LAUNCH\",\"launch\":{\"task_infos\":[{\"name\":"
                "\"n\",\"task_id\":{\"value\":\"t\"},\"agent_id\":{\"value\":\"%s\"},"
                "\"resources\":%s,\"command\":{\"value\":\"true\"}}]}}]}",
                offer->id->value, offer->agent_id->value, amount(&c->w, "cpus:1"));
    assert_non_null(end_next(&c->e, TO_AGENT(RUN_TASK)));
    return c;
}

static void scene_end(struct scene *c)
{
    world_end(&c->w);
    mem_free(c);
}

static void *decode(struct scene *c, const ProtobufCMessageDescriptor *descriptor, const char *text)
{
    ProtobufCMessage *message;
    struct error err;
    if (wire_json_decode(descriptor, c->w.arena, text, strlen(text), &message, &err) < 0)
        fail_msg("%s", err.text);
    return message;
}

static int finish(struct scene *c, int status)
{
    if (status != 0)
        return status;
    world_settle(&c->w);
    master_check(c->w.master);
    return c->w.answer;
}

// `ids` is the inside of a list of machines; "" for an empty schedule.
static int schedule(struct scene *c, const char *ids, int start)
{
    const char *text = ids[0] == '\0'
                           ? "{}"
                           : arena_printf(c->w.arena,
                                          "{\"windows\":[{\"machine_ids\":[%s],"
                                          "\"unavailability\":{\"start\":{\"nanoseconds\":%d}}}]}",
                                          ids, start);
    c->w.answer = 0;
    return finish(
        c, master_update_schedule(c->w.master,
                                  decode(c, &mesos__v1__maintenance__schedule__descriptor, text),
                                  &c->w, c->w.now, &c->w.err));
}

static int down(struct scene *c, bool is_down, const char *id)
{
    Mesos__V1__MachineID *ids[] = {decode(c, &mesos__v1__machine_id__descriptor, id)};
    c->w.answer = 0;
    int status = is_down ? master_start_maintenance(c->w.master, ids, 1, &c->w, c->w.now, &c->w.err)
                         : master_stop_maintenance(c->w.master, ids, 1, &c->w, c->w.now, &c->w.err);
    return finish(c, status);
}

static const struct agent *agent(struct scene *c)
{
    return map_get(&c->w.master->agents, "M-S0");
}

static const Mesos__V1__InverseOffer *inverse_offer(struct scene *c)
{
    const Mesos__V1__Scheduler__Event *event = stream_next(&c->s, EVENT(INVERSE_OFFERS));
    return event != NULL ? event->inverse_offers->inverse_offers[0] : NULL;
}

static const char *const whole = "{\"hostname\":\"6000\",\"ip\":\"10.0.0.1\"}";

static void test_which_agents_are_meant(void **state)
{
    (void)state;
    static const struct {
        const char *id;
        bool is_meant;
    } cases[] = {
        {"{\"hostname\":\"6000\",\"ip\":\"10.0.0.1\"}", true},
        {"{\"hostname\":\"6000\"}", true},
        {"{\"ip\":\"10.0.0.1\"}", true},
        {"{\"hostname\":\"6000\",\"ip\":\"10.0.0.2\"}", false},
        {"{\"hostname\":\"6001\",\"ip\":\"10.0.0.1\"}", false},
        {"{\"ip\":\"10.0.0.2\"}", false},
    };
    struct scene *c = scene_begin(NULL);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(schedule(c, cases[i].id, 1), 200);
        assert_int_equal(master_agent_machine(agent(c)) != NULL, cases[i].is_meant);
        world_pass(&c->w, 1.5);
        assert_int_equal(inverse_offer(c) != NULL, cases[i].is_meant);
        assert_int_equal(schedule(c, "", 0), 200);
        assert_int_equal(stream_next(&c->s, EVENT(RESCIND_INVERSE_OFFER)) != NULL,
                         cases[i].is_meant);
        assert_int_equal(c->w.kept.count, 1); // the agent
    }
    scene_end(c);
}

static void test_requests_that_overtake_each_other(void **state)
{
    (void)state;
    struct scene *c = scene_begin(NULL);
    c->w.hold_writes = true;
    assert_int_equal(schedule(c, whole, 1), 0);
    assert_int_equal(down(c, false, whole), 400);
    assert_int_equal(down(c, true, whole), 0);
    assert_int_equal(down(c, true, whole), 400);
    assert_int_equal(schedule(c, "", 0), 400); // it will be down
    assert_null(master_agent_machine(agent(c)));
    assert_int_equal(down(c, false, whole), 0);
    assert_int_equal(schedule(c, "{\"ip\":\"10.0.0.9\"}", 1), 0);
    c->w.hold_writes = false;
    world_settle(&c->w);
    assert_int_equal(c->w.answer, 200);
    assert_null(agent(c)); // it was down for a moment
    assert_int_equal(c->w.master->maintenance->machines.count, 1);
    assert_true(c->w.master->maintenance == c->w.master->maintenance_wanted);
    scene_end(c);
}

static void answer(struct scene *c, const char *what, const char *id, int seconds)
{
    stream_call(&c->w, &c->s,
                "\"type\":\"%s_INVERSE_OFFERS\",\"%s_inverse_offers\":{\"inverse_offer_ids\":"
                "[{\"value\":\"%s\"}],\"filters\":{\"refuse_seconds\":%d}}",
                what, what[0] == 'A' ? "accept" : "decline", id, seconds);
}

static void test_inverse_offers_end_in_every_way(void **state)
{
    (void)state;
    struct master_options options;
    master_options_init(&options);
    options.offer_timeout_ns = 60 * NS_PER_S;
    struct scene *c = scene_begin(&options);
    schedule(c, whole, 1);
    assert_null(inverse_offer(c)); // in the next round
    world_pass(&c->w, 1.5);
    const Mesos__V1__InverseOffer *offer = inverse_offer(c);
    assert_int_equal(offer->unavailability->start->nanoseconds, 1);
    assert_string_equal(offer->url->address->ip, "10.0.0.1");
    // Answered: none until the filter is over.
    answer(c, "DECLINE", offer->id->value, 10);
    world_pass(&c->w, 8);
    assert_null(inverse_offer(c));
    world_pass(&c->w, 4);
    offer = inverse_offer(c);
    assert_non_null(offer);
    const struct inverse *i = map_get(&agent(c)->inverse, c->s.framework_id);
    assert_int_equal(i->answer, MESOS__V1__ALLOCATOR__INVERSE_OFFER_STATUS__STATUS__DECLINE);
    // Another framework cannot answer.
    struct stream *other = mem_zalloc(sizeof(*other));
    stream_subscribe(&c->w, other, "{\"framework_info\":{\"user\":\"u\",\"name\":\"g\"}}");
    stream_call(&c->w, other,
                "\"type\":\"ACCEPT_INVERSE_OFFERS\",\"accept_inverse_offers\":"
                "{\"inverse_offer_ids\":[{\"value\":\"%s\"}]}",
                offer->id->value);
    assert_int_equal(i->answer, MESOS__V1__ALLOCATOR__INVERSE_OFFER_STATUS__STATUS__DECLINE);
    // Its time is over.
    world_pass(&c->w, 61);
    assert_non_null(stream_next(&c->s, EVENT(RESCIND_INVERSE_OFFER)));
    world_pass(&c->w, 61);
    assert_int_equal(c->w.master->inverse_offers.count, 1);
    // The agent is not there.
    end_break(&c->w, &c->e);
    assert_int_equal(c->w.master->inverse_offers.count, 0);
    assert_non_null(stream_next(&c->s, EVENT(RESCIND_INVERSE_OFFER)));
    scene_end(c);
    mem_free(other);
}

// Whatever asks for offers anew asks for inverse offers as well.
static void test_inverse_offers_are_filtered_until_offers_are_wanted(void **state)
{
    (void)state;
    static const char *const anew[] = {
        "\"type\":\"REVIVE\"",
        "\"type\":\"UPDATE_FRAMEWORK\",\"update_framework\":{\"framework_info\":{\"user\":\"u\","
        "\"name\":\"f\",\"id\":{\"value\":\"%s\"},\"failover_timeout\":1e6}}",
        NULL, // it connects again
    };
    struct scene *c = scene_begin(NULL);
    schedule(c, whole, 1);
    world_pass(&c->w, 1.5);
    AUTO_FREE char *id = mem_strdup(c->s.framework_id);
    AUTO_FREE char *again = mem_printf("{\"framework_info\":{\"user\":\"u\",\"name\":\"f\",\"id\":"
                                       "{\"value\":\"%s\"},\"failover_timeout\":1e6}}",
                                       id);
    for (size_t i = 0; i < sizeof(anew) / sizeof(anew[0]); i++) {
        const Mesos__V1__InverseOffer *offer = inverse_offer(c);
        assert_non_null(offer);
        answer(c, "DECLINE", offer->id->value, 3600);
        world_pass(&c->w, 10);
        assert_null(inverse_offer(c));
        stream_call(&c->w, &c->s, "\"type\":\"SUPPRESS\"");
        world_pass(&c->w, 10);
        assert_null(inverse_offer(c));
        if (anew[i] == NULL) {
            stream_break(&c->w, &c->s);
            stream_subscribe(&c->w, &c->s, again);
        } else {
            stream_call(&c->w, &c->s, anew[i], id);
        }
        world_pass(&c->w, 1.5);
    }
    assert_non_null(inverse_offer(c));
    scene_end(c);
}

static void test_inverse_offers_of_a_framework_that_leaves(void **state)
{
    (void)state;
    struct scene *c = scene_begin(NULL);
    schedule(c, whole, 1);
    world_pass(&c->w, 1.5);
    assert_int_equal(c->w.master->inverse_offers.count, 1);
    AUTO_FREE char *id = mem_strdup(c->s.framework_id);
    stream_break(&c->w, &c->s);
    assert_int_equal(c->w.master->inverse_offers.count, 0);
    AUTO_FREE char *again = mem_printf("{\"framework_info\":{\"user\":\"u\",\"name\":\"f\",\"id\":"
                                       "{\"value\":\"%s\"},\"failover_timeout\":1e6}}",
                                       id);
    stream_subscribe(&c->w, &c->s, again);
    world_pass(&c->w, 1.5);
    assert_non_null(inverse_offer(c));
    stream_call(&c->w, &c->s, "\"type\":\"TEARDOWN\"");
    master_check(c->w.master);
    assert_int_equal(c->w.master->inverse_offers.count, 0);
    assert_int_equal(agent(c)->inverse.count, 0);
    scene_end(c);
}

static void test_an_agent_that_comes_while_its_machine_goes_down(void **state)
{
    (void)state;
    struct scene *c = scene_begin(NULL);
    schedule(c, "{\"hostname\":\"7000\"}", 1);
    c->w.hold_writes = true;
    assert_int_equal(down(c, true, "{\"hostname\":\"7000\"}"), 0);
    struct end *late = mem_zalloc(sizeof(*late));
    end_register(&c->w, late, "7000", "cpus:1"); // written after it
    c->w.hold_writes = false;
    world_settle(&c->w);
    master_check(c->w.master);
    assert_non_null(end_next(late, TO_AGENT(REFUSED)));
    assert_int_equal(c->w.master->agents.count, 1);
    assert_false(map_has(&c->w.kept, "agents/M-S1"));
    end_register(&c->w, late, "7000", "cpus:1");
    assert_non_null(end_next(late, TO_AGENT(REFUSED)));
    // One that has an id ends what it runs.
    *late = (struct end){0};
    end_send(&c->w, late,
             "{\"type\":\"REREGISTER\",\"reregister\":{\"agent\":{\"info\":{\"id\":{\"value\":"
             "\"OLD-S1\"},\"hostname\":\"7000\"},\"version\":\"1.11.0\",\"pid\":"
             "\"slave(1)@10.0.0.1:7000\"}}}");
    const Meseta__Link__ToAgent *message = end_next(late, TO_AGENT(SHUTDOWN));
    assert_non_null(message);
    assert_false(message->shutdown->ends);
    assert_int_equal(down(c, false, "{\"hostname\":\"7000\"}"), 200);
    end_register(&c->w, late, "7000", "cpus:1");
    assert_non_null(end_next(late, TO_AGENT(REGISTERED)));
    scene_end(c);
    mem_free(late);
}

static void test_down_over_a_failover(void **state)
{
    (void)state;
    struct scene *c = scene_begin(NULL);
    schedule(c, arena_printf(c->w.arena, "%s,{\"hostname\":\"x\"}", whole), 1);
    assert_int_equal(down(c, true, whole), 200);
    assert_null(agent(c));
    const Meseta__Link__ToAgent *message = end_next(&c->e, TO_AGENT(SHUTDOWN));
    assert_non_null(message);
    assert_string_equal(message->shutdown->message, "Operator initiated 'Machine DOWN'");
    world_fail_over(&c->w);
    const struct machine *machine = map_get(&c->w.master->maintenance->machines, "6000|10.0.0.1");
    assert_true(machine->is_down);
    assert_int_equal(c->w.master->maintenance->machines.count, 2);
    assert_int_equal(down(c, false, whole), 200);
    world_fail_over(&c->w);
    assert_int_equal(c->w.master->maintenance->machines.count, 1);
    scene_end(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_which_agents_are_meant),
        cmocka_unit_test(test_requests_that_overtake_each_other),
        cmocka_unit_test(test_inverse_offers_end_in_every_way),
        cmocka_unit_test(test_inverse_offers_are_filtered_until_offers_are_wanted),
        cmocka_unit_test(test_inverse_offers_of_a_framework_that_leaves),
        cmocka_unit_test(test_an_agent_that_comes_while_its_machine_goes_down),
        cmocka_unit_test(test_down_over_a_failover),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
