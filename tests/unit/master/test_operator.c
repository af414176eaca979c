// SPDX-License-Identifier: Apache-2.0
//
// Agents that an operator deactivates, drains or marks gone, in every place where an agent can be,
// with a registry that answers late, and over failovers.

#include "world.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define EVENT(NAME) MESOS__V1__SCHEDULER__EVENT__TYPE__##NAME
#define TO_AGENT(NAME) MESETA__LINK__TO_AGENT__TYPE__##NAME

// One agent, one framework, and one task of it that runs.
struct scene {
    struct world w;
    struct stream s;
    struct end e;
};

static const char *const aware = ",\"capabilities\":[{\"type\":\"PARTITION_AWARE\"}]";

static void subscribe(struct scene *c, const char *extra)
{
    AUTO_FREE char *text = mem_printf("{\"framework_info\":{\"user\":\"u\",\"name\":\"f\","
                                      "\"failover_timeout\":1e6%s}}",
                                      extra);
    stream_subscribe(&c->w, &c->s, text);
}

static void launch(struct scene *c)
{
    Mesos__V1__Offer *offer = stream_offer(&c->s);
    int status = stream_call(
        &c->w, &c->s,
        "\"type\":\"ACCEPT\",\"accept\":{\"offer_ids\":[{\"value\":\"%s\"}],\"operations\":"
        "[{\"type\":\"LAUNCH\",\"launch\":{\"task_infos\":[{\"name\":\"n\",\"task_id\":"
        "{\"value\":\"t\"},\"agent_id\":{\"value\":\"%s\"},\"resources\":%s,\"command\":"
        "{\"value\":\"true\"}}]}}],\"filters\":{\"refuse_seconds\":0}}",
        offer->id->value, offer->agent_id->value, amount(&c->w, "cpus:1"));
    assert_int_equal(status, 202);
    assert_non_null(end_next(&c->e, TO_AGENT(RUN_TASK)));
    end_update(&c->w, &c->e, c->s.framework_id, "t", "TASK_RUNNING", 'r');
    expect_update(&c->s, "t", "TASK_RUNNING", NULL, NULL);
}

static struct scene *scene_begin(const char *extra)
{
    struct scene *c = mem_zalloc(sizeof(*c));
    world_begin(&c->w, NULL);
    subscribe(c, extra);
    end_register(&c->w, &c->e, "6000", "cpus:4;mem:1024");
    launch(c);
    return c;
}

static void scene_end(struct scene *c)
{
    world_end(&c->w);
    mem_free(c);
}

// The agent comes back over a new link; with its task, if it `runs` still.
static void come_back(struct scene *c, const char *agent_id, bool runs)
{
    AUTO_FREE char *framework_id = mem_strdup(c->s.framework_id);
    AUTO_FREE char *task = mem_printf(
        "{\"info\":{\"id\":{\"value\":\"%s\"},\"user\":\"u\",\"name\":\"f\"},\"tasks\":"
        "[{\"name\":\"n\",\"task_id\":{\"value\":\"t\"},\"framework_id\":{\"value\":\"%s\"},"
        "\"agent_id\":{\"value\":\"%s\"},\"state\":\"TASK_RUNNING\",\"resources\":%s}]}",
        framework_id, framework_id, agent_id, amount(&c->w, "cpus:1"));
    c->e = (struct end){0};
    end_send(&c->w, &c->e,
             "{\"type\":\"REREGISTER\",\"reregister\":{\"agent\":{\"info\":{\"id\":{\"value\":"
             "\"%s\"},\"hostname\":\"6000\",\"resources\":%s},\"version\":\"1.11.0\",\"pid\":"
             "\"slave(1)@10.0.0.1:6000\",\"capabilities\":[{\"type\":\"AGENT_DRAINING\"}]},"
             "\"frameworks\":[%s]}}",
             agent_id, amount(&c->w, "cpus:4;mem:1024"), runs ? task : "");
    snprintf(c->e.agent_id, sizeof(c->e.agent_id), "%s", agent_id);
}

static void task_ends(struct scene *c, const char *state)
{
    end_update(&c->w, &c->e, c->s.framework_id, "t", state, 'k');
    stream_call(&c->w, &c->s,
                "\"type\":\"ACKNOWLEDGE\",\"acknowledge\":{\"agent_id\":{\"value\":\"%s\"},"
                "\"task_id\":{\"value\":\"t\"},\"uuid\":\"%s\"}",
                c->e.agent_id, uuid_base64(&c->w, 'k'));
}

enum act { DEACTIVATE, REACTIVATE, DRAIN, DRAIN_AND_GONE, GONE };

// The status, at once or from the answer; 0 while it is awaited.
static int operate(struct scene *c, enum act act, const char *agent_id)
{
    struct world *w = &c->w;
    struct master_drain_options drain = {
        .mark_gone = act == DRAIN_AND_GONE, .has_grace_period = true, .grace_period_ns = 7};
    w->answer = 0;
    w->answer_text = NULL;
    w->err.text[0] = '\0';
    int status = 0;
    if (act == DEACTIVATE)
        status = master_deactivate_agent(w->master, agent_id, w, w->now, &w->err);
    else if (act == REACTIVATE)
        status = master_reactivate_agent(w->master, agent_id, w, w->now, &w->err);
    else if (act == GONE)
        status = master_mark_agent_gone(w->master, agent_id, w, w->now, &w->err);
    else
        status = master_drain_agent(w->master, agent_id, &drain, w, w->now, &w->err);
    assert_int_equal(w->answer, 0); // never within the call
    if (status != 0)
        return status;
    world_settle(w);
    master_check(w->master);
    return w->answer;
}

static const struct agent *agent(struct scene *c, const char *id)
{
    return map_get(&c->w.master->agents, id);
}

static const struct deactivation *deactivation(struct scene *c, const char *id)
{
    return map_get(&c->w.master->deactivations, id);
}

static bool is_kept(struct scene *c, const char *key)
{
    return map_has(&c->w.kept, key);
}

// ---- deactivated ----

static void test_deactivated_in_every_place(void **state)
{
    (void)state;
    struct scene *c = scene_begin("");
    assert_int_equal(operate(c, REACTIVATE, "M-S0"), 400);
    assert_int_equal(operate(c, DEACTIVATE, "M-S9"), 400);
    assert_string_equal(c->w.err.text, "Unknown agent");
    world_pass(&c->w, 6);
    assert_int_equal(c->w.master->offers.count, 1);
    assert_int_equal(operate(c, DEACTIVATE, "M-S0"), 200);
    assert_non_null(stream_next(&c->s, EVENT(RESCIND)));
    assert_false(agent(c, "M-S0")->active);
    assert_true(is_kept(c, "drains/M-S0"));
    // It stays so over a broken link, an unreachable time, and a failover.
    end_break(&c->w, &c->e);
    come_back(c, "M-S0", true);
    assert_false(agent(c, "M-S0")->active);
    c->e.mute = true;
    world_pass(&c->w, 100);
    assert_null(agent(c, "M-S0"));
    assert_true(is_kept(c, "unreachable/M-S0") && is_kept(c, "drains/M-S0"));
    come_back(c, "M-S0", true);
    assert_false(agent(c, "M-S0")->active);
    world_fail_over(&c->w);
    subscribe(c, "");
    come_back(c, "M-S0", false);
    assert_false(agent(c, "M-S0")->active);
    world_pass(&c->w, 10);
    assert_null(stream_next(&c->s, EVENT(OFFERS)));
    assert_int_equal(operate(c, REACTIVATE, "M-S0"), 200);
    assert_true(agent(c, "M-S0")->active);
    assert_false(is_kept(c, "drains/M-S0"));
    world_pass(&c->w, 1);
    assert_non_null(stream_next(&c->s, EVENT(OFFERS)));
    scene_end(c);
}

static void test_an_agent_that_is_not_here_is_reactivated_for_its_return(void **state)
{
    (void)state;
    struct scene *c = scene_begin("");
    operate(c, DEACTIVATE, "M-S0");
    world_fail_over(&c->w);
    assert_int_equal(operate(c, REACTIVATE, "M-S0"), 409);
    assert_string_equal(c->w.answer_text, "Agent removed while processing the call");
    subscribe(c, "");
    come_back(c, "M-S0", false);
    assert_true(agent(c, "M-S0")->active);
    scene_end(c);
}

static void test_requests_that_overtake_each_other(void **state)
{
    (void)state;
    struct scene *c = scene_begin("");
    c->w.hold_writes = true;
    // What is asked for builds on what was asked for, though nothing is durable yet.
    assert_int_equal(operate(c, DRAIN, "M-S0"), 0);
    assert_int_equal(operate(c, DEACTIVATE, "M-S0"), 0);
    assert_true(agent(c, "M-S0")->active);
    assert_int_equal(operate(c, REACTIVATE, "M-S0"), 400);
    assert_string_equal(c->w.err.text, "Agent is still in the DRAINING state");
    assert_null(end_next(&c->e, TO_AGENT(DRAIN_AGENT)));
    c->w.hold_writes = false;
    world_settle(&c->w);
    assert_true(deactivation(c, "M-S0")->now.is_draining);
    assert_non_null(end_next(&c->e, TO_AGENT(DRAIN_AGENT)));
    scene_end(c);
}

// ---- drained ----

static void test_drained_when_the_last_task_was_acknowledged(void **state)
{
    (void)state;
    struct scene *c = scene_begin("");
    assert_int_equal(operate(c, DRAIN, "M-S0"), 200);
    Meseta__Link__ToAgent *message = end_next(&c->e, TO_AGENT(DRAIN_AGENT));
    assert_non_null(message);
    assert_int_equal(message->drain_agent->config->max_grace_period->nanoseconds, 7);
    assert_false(message->drain_agent->config->mark_gone);
    assert_int_equal(deactivation(c, "M-S0")->drain_started, c->w.now.wall);
    end_update(&c->w, &c->e, c->s.framework_id, "t", "TASK_KILLED", 'k');
    assert_int_equal(deactivation(c, "M-S0")->now.state, MESOS__V1__DRAIN_STATE__DRAINING);
    task_ends(c, "TASK_KILLED");
    assert_int_equal(deactivation(c, "M-S0")->now.state, MESOS__V1__DRAIN_STATE__DRAINED);
    // The next master knows it, and says it again to the agent.
    world_fail_over(&c->w);
    assert_int_equal(deactivation(c, "M-S0")->now.state, MESOS__V1__DRAIN_STATE__DRAINED);
    assert_int_equal(deactivation(c, "M-S0")->now.grace_period_ns, 7);
    come_back(c, "M-S0", false);
    assert_non_null(end_next(&c->e, TO_AGENT(DRAIN_AGENT)));
    assert_int_equal(operate(c, REACTIVATE, "M-S0"), 200);
    assert_true(agent(c, "M-S0")->active);
    scene_end(c);
}

static void test_a_drain_over_disconnection_and_failover(void **state)
{
    (void)state;
    struct scene *c = scene_begin(aware);
    end_break(&c->w, &c->e);
    assert_int_equal(operate(c, DRAIN, "M-S0"), 200);
    assert_int_equal(deactivation(c, "M-S0")->now.state, MESOS__V1__DRAIN_STATE__DRAINING);
    world_fail_over(&c->w);
    assert_int_equal(deactivation(c, "M-S0")->now.state, MESOS__V1__DRAIN_STATE__DRAINING);
    AUTO_FREE char *id = mem_printf(",\"id\":{\"value\":\"%s\"}%s", c->s.framework_id, aware);
    subscribe(c, id);
    come_back(c, "M-S0", true);
    assert_non_null(end_next(&c->e, TO_AGENT(DRAIN_AGENT)));
    assert_int_equal(deactivation(c, "M-S0")->now.state, MESOS__V1__DRAIN_STATE__DRAINING);
    task_ends(c, "TASK_KILLED");
    assert_int_equal(deactivation(c, "M-S0")->now.state, MESOS__V1__DRAIN_STATE__DRAINED);
    scene_end(c);
}

static void test_drained_and_gone(void **state)
{
    (void)state;
    struct scene *c = scene_begin(aware);
    assert_int_equal(operate(c, DRAIN_AND_GONE, "M-S0"), 200);
    c->w.hold_writes = true;
    task_ends(c, "TASK_KILLED");
    assert_non_null(agent(c, "M-S0"));
    assert_int_equal(operate(c, DRAIN, "M-S0"), 409);
    assert_string_equal(c->w.err.text, "Agent is currently being marked gone");
    c->w.hold_writes = false;
    world_settle(&c->w);
    assert_null(agent(c, "M-S0"));
    assert_true(is_kept(c, "gone/M-S0"));
    assert_false(is_kept(c, "agents/M-S0") || is_kept(c, "drains/M-S0"));
    Meseta__Link__ToAgent *message = end_next(&c->e, TO_AGENT(SHUTDOWN));
    assert_non_null(message);
    assert_true(message->shutdown->ends);
    scene_end(c);
}

static void test_an_agent_that_cannot_drain(void **state)
{
    (void)state;
    struct scene *c = scene_begin("");
    struct end *old = mem_zalloc(sizeof(*old));
    end_send(&c->w, old,
             "{\"type\":\"REGISTER\",\"register\":{\"agent\":{\"info\":{\"hostname\":\"old\","
             "\"resources\":%s},\"version\":\"1.5.0\",\"pid\":\"slave(1)@10.0.0.2:5051\"}}}",
             amount(&c->w, "cpus:1"));
    assert_int_equal(operate(c, DRAIN, old->agent_id), 400);
    assert_string_equal(c->w.err.text, "Agent M-S1 is not capable of draining");
    scene_end(c);
    mem_free(old);
}

// ---- gone ----

static void expect_gone(struct scene *c, bool is_aware)
{
    if (is_aware)
        expect_update(&c->s, "t", "TASK_GONE_BY_OPERATOR", "REASON_AGENT_REMOVED_BY_OPERATOR",
                      "Agent has been marked gone");
    else
        expect_update(&c->s, "t", "TASK_LOST", "REASON_AGENT_REMOVED",
                      "Agent has been marked gone");
}

static void test_gone_while_it_is_here(void **state)
{
    (void)state;
    for (int is_aware = 0; is_aware <= 1; is_aware++) {
        struct scene *c = scene_begin(is_aware ? aware : "");
        c->w.hold_writes = true;
        assert_int_equal(operate(c, GONE, "M-S0"), 0);
        assert_int_equal(operate(c, GONE, "M-S0"), 503);
        assert_string_equal(c->w.err.text, "Agent 'M-S0' is already being transitioned to gone");
        assert_int_equal(operate(c, DEACTIVATE, "M-S0"), 409);
        assert_string_equal(c->w.err.text, "Agent is currently being marked gone");
        c->e.mute = true;
        world_pass(&c->w, 200); // it cannot become unreachable any more
        assert_non_null(agent(c, "M-S0"));
        c->w.hold_writes = false;
        world_settle(&c->w);
        assert_int_equal(c->w.answer, 200);
        assert_null(agent(c, "M-S0"));
        expect_gone(c, is_aware);
        assert_non_null(stream_next(&c->s, EVENT(FAILURE)));
        assert_int_equal(operate(c, GONE, "M-S0"), 200);
        assert_false(c->e.closed); // so that it can read what it is told
        // It may not return, whatever it says, to this master or another.
        for (int again = 0; again < 2; again++) {
            come_back(c, "M-S0", true);
            assert_null(agent(c, "M-S0"));
            assert_true(end_next(&c->e, TO_AGENT(SHUTDOWN))->shutdown->ends);
            world_fail_over(&c->w);
        }
        subscribe(c, is_aware ? aware : "");
        stream_call(&c->w, &c->s,
                    "\"type\":\"RECONCILE\",\"reconcile\":{\"tasks\":[{\"task_id\":{\"value\":"
                    "\"t\"},\"agent_id\":{\"value\":\"M-S0\"}}]}");
        expect_update(&c->s, "t", is_aware ? "TASK_GONE_BY_OPERATOR" : "TASK_LOST",
                      "REASON_RECONCILIATION", "Reconciliation: Task is gone");
        scene_end(c);
    }
}

static void test_gone_while_it_is_unreachable(void **state)
{
    (void)state;
    struct scene *c = scene_begin(aware);
    c->e.mute = true;
    c->w.hold_writes = true;
    world_pass(&c->w, 100);
    assert_int_equal(operate(c, GONE, "M-S0"), 503);
    assert_string_equal(c->w.err.text, "Agent 'M-S0' is being transitioned to unreachable");
    c->w.hold_writes = false;
    world_settle(&c->w);
    expect_update(&c->s, "t", "TASK_UNREACHABLE", NULL, NULL);
    assert_int_equal(operate(c, GONE, "M-S0"), 200);
    expect_gone(c, true);
    assert_int_equal(c->w.master->unreachable.count, 0);
    assert_false(is_kept(c, "unreachable/M-S0"));
    scene_end(c);
}

// What is written of an agent that leaves while it is being marked does not outlive it.
static void test_an_agent_that_leaves_while_it_is_marked_unreachable(void **state)
{
    (void)state;
    struct scene *c = scene_begin(aware);
    operate(c, DEACTIVATE, "M-S0");
    c->w.hold_writes = true;
    c->e.mute = true;
    world_pass(&c->w, 100);
    end_send(&c->w, &c->e, "{\"type\":\"UNREGISTER\"}");
    c->w.hold_writes = false;
    world_settle(&c->w);
    assert_null(agent(c, "M-S0"));
    assert_int_equal(c->w.master->unreachable.count, 0);
    assert_false(is_kept(c, "unreachable/M-S0") || is_kept(c, "agents/M-S0") ||
                 is_kept(c, "drains/M-S0"));
    scene_end(c);
}

static void test_gone_while_it_is_awaited_or_returns(void **state)
{
    (void)state;
    struct scene *c = scene_begin("");
    world_fail_over(&c->w);
    c->w.hold_writes = true;
    come_back(c, "M-S0", false); // its admission is being written
    assert_int_equal(operate(c, GONE, "M-S0"), 0);
    c->w.hold_writes = false;
    world_settle(&c->w);
    assert_int_equal(c->w.answer, 200);
    assert_null(agent(c, "M-S0"));
    assert_int_equal(c->w.master->recovered.count, 0);
    world_fail_over(&c->w);
    assert_int_equal(c->w.master->recovered.count, 0);
    assert_true(map_has(&c->w.master->gone, "M-S0"));
    scene_end(c);
}

static void test_gone_agents_are_forgotten_by_age_and_count(void **state)
{
    (void)state;
    struct scene *c = scene_begin("");
    scene_end(c);
    c = mem_zalloc(sizeof(*c));
    struct master_options options;
    master_options_init(&options);
    options.registry_max_agent_count = 2;
    options.registry_gc_interval_ns = 10 * NS_PER_S;
    options.registry_max_agent_age_ns = 100 * NS_PER_S;
    world_begin(&c->w, &options);
    for (int i = 0; i < 4; i++) {
        char port[8], id[16];
        snprintf(port, sizeof(port), "%d", 6000 + i);
        snprintf(id, sizeof(id), "M-S%d", i);
        struct end *e = arena_calloc(c->w.arena, 1, sizeof(*e));
        end_register(&c->w, e, port, "cpus:1");
        assert_int_equal(operate(c, GONE, id), 200);
        c->w.now.wall += NS_PER_S;
        c->w.now.mono += NS_PER_S;
    }
    world_pass(&c->w, 20);
    assert_int_equal(c->w.master->gone.count, 2);
    assert_true(is_kept(c, "gone/M-S2") && is_kept(c, "gone/M-S3"));
    world_pass(&c->w, 120);
    assert_int_equal(c->w.master->gone.count, 0);
    assert_int_equal(c->w.kept.count, 0);
    assert_int_equal(operate(c, GONE, "M-S3"), 404);
    scene_end(c);
}

static void test_an_entry_that_is_not_known_is_refused(void **state)
{
    (void)state;
    struct world w;
    world_begin(&w, NULL);
    struct master_item item = {.key = "wishes/1", .value = "", .size = 0};
    struct error err;
    assert_int_equal(master_recover(w.master, &item, 1, w.now, &err), -EBADMSG);
    assert_string_equal(err.text, "The registry has an entry wishes/1, which this master does not "
                                  "know");
    item.key = "drains/x";
    item.value = "\x0a\x01";
    item.size = 2;
    assert_int_equal(master_recover(w.master, &item, 1, w.now, &err), -EBADMSG);
    world_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deactivated_in_every_place),
        cmocka_unit_test(test_an_agent_that_is_not_here_is_reactivated_for_its_return),
        cmocka_unit_test(test_requests_that_overtake_each_other),
        cmocka_unit_test(test_drained_when_the_last_task_was_acknowledged),
        cmocka_unit_test(test_a_drain_over_disconnection_and_failover),
        cmocka_unit_test(test_drained_and_gone),
        cmocka_unit_test(test_an_agent_that_cannot_drain),
        cmocka_unit_test(test_gone_while_it_is_here),
        cmocka_unit_test(test_gone_while_it_is_unreachable),
        cmocka_unit_test(test_an_agent_that_leaves_while_it_is_marked_unreachable),
        cmocka_unit_test(test_gone_while_it_is_awaited_or_returns),
        cmocka_unit_test(test_gone_agents_are_forgotten_by_age_and_count),
        cmocka_unit_test(test_an_entry_that_is_not_known_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
