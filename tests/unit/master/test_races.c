// SPDX-License-Identifier: Apache-2.0
//
// Messages that cross each other, come twice, or say what nobody expects.

#include "world.h"

#include <stdio.h>
#include <string.h>

#define EVENT(NAME) MESOS__V1__SCHEDULER__EVENT__TYPE__##NAME
#define TO_AGENT(NAME) MESETA__LINK__TO_AGENT__TYPE__##NAME

struct scene {
    struct world w;
    struct stream s[3];
    struct end e[3];
};

static struct scene *begin_with(const struct master_options *options)
{
    struct scene *c = mem_zalloc(sizeof(*c));
    world_begin(&c->w, options);
    return c;
}

static struct scene *begin(void)
{
    return begin_with(NULL);
}

static void end(struct scene *c)
{
    world_end(&c->w);
    mem_free(c);
}

static void subscribe(struct scene *c, size_t i, const char *id)
{
    const char *given =
        id != NULL ? arena_printf(c->w.arena, ",\"id\":{\"value\":\"%s\"}", id) : "";
    stream_subscribe(
        &c->w, &c->s[i],
        arena_printf(c->w.arena,
                     "{\"framework_info\":{\"user\":\"u\",\"name\":\"f\",\"checkpoint\":true%s}}",
                     given));
}

// REREGISTER with `cpus` in all; `frameworks` is the JSON of what it says it runs.
static void reregister(struct scene *c, size_t i, const char *id, const char *cpus,
                       const char *frameworks)
{
    end_send(&c->w, &c->e[i],
             "{\"type\":\"REREGISTER\",\"reregister\":{\"agent\":{\"info\":{\"id\":{\"value\":"
             "\"%s\"},\"hostname\":\"host\",\"resources\":%s},\"version\":\"1.11.0\",\"pid\":"
             "\"slave(1)@10.0.0.1:5051\"},\"frameworks\":[%s]}}",
             id, amount(&c->w, cpus), frameworks);
}

// A framework with one task, as an agent brings it.
static const char *with_task(struct scene *c, const char *framework_id, const char *task_id,
                             const char *state, const char *resources)
{
    return arena_printf(
        c->w.arena,
        "{\"info\":{\"id\":{\"value\":\"%s\"},\"user\":\"u\",\"name\":\"f\",\"checkpoint\":true},"
        "\"tasks\":[{\"name\":\"n\",\"task_id\":{\"value\":\"%s\"},"
        "\"framework_id\":{\"value\":\"%s\"},\"agent_id\":{\"value\":\"x\"},"
        "\"state\":\"%s\",\"resources\":%s}]}",
        framework_id, task_id, framework_id, state, resources);
}

static void launch(struct scene *c, const char *task_id, const char *resources, const char *extra)
{
    Mesos__V1__Offer *offer = stream_offer(&c->s[0]);
    assert_int_equal(
        stream_call(&c->w, &c->s[0],
                    "\"type\":\"ACCEPT\",\"accept\":{\"offer_ids\":[{\"value\":\"%s\"}],"
                    "\"operations\":[{\"type\":\"LAUNCH\",\"launch\":{\"task_infos\":[{\"name\":"
                    "\"n\",\"task_id\":{\"value\":\"%s\"},\"agent_id\":{\"value\":\"%s\"},"
                    "\"resources\":%s,%s}]}}]}",
                    offer->id->value, task_id, offer->agent_id->value, amount(&c->w, resources),
                    extra),
        202);
}

// A scheduler's and an agent's invention may look like an id that the master would give.
static void test_ids_are_nobodys(void **state)
{
    (void)state;
    struct scene *c = begin();
    subscribe(c, 0, "M-0000");
    subscribe(c, 1, NULL);
    assert_string_equal(c->s[1].framework_id, "M-0001");
    c->w.hold_writes = true;
    reregister(c, 0, "M-S0", "cpus:1", "");
    end_register(&c->w, &c->e[1], "7001", "cpus:1"); // while the other one is being written
    c->w.hold_writes = false;
    world_settle(&c->w);
    assert_string_equal(c->e[0].agent_id, "M-S0");
    assert_string_equal(c->e[1].agent_id, "M-S1");
    assert_int_equal(c->w.master->agents.count, 2);
    assert_int_equal(c->w.master->writing.count, 0);
    end(c);
}

// An agent that tried over a link that hangs, and again over another one, is there once.
static void test_registered_twice_at_once(void **state)
{
    (void)state;
    struct scene *c = begin();
    c->w.hold_writes = true;
    end_register(&c->w, &c->e[0], "host", "cpus:2");
    end_register(&c->w, &c->e[1], "host", "cpus:2");
    c->w.hold_writes = false;
    world_settle(&c->w);
    assert_int_equal(c->w.master->agents.count, 1);
    assert_true(c->e[0].closed);
    assert_false(c->e[1].closed);
    assert_string_equal(c->e[1].agent_id, "M-S1");
    assert_non_null(map_get(&c->w.master->agents, "M-S1"));
    assert_string_equal(c->w.applied[(c->w.applied_count - 1) % 16], "-agents/M-S0");
    end(c);
}

// The same at a reregistration: the books are those of one agent, at the newer link.
static void test_reregistered_twice_at_once(void **state)
{
    (void)state;
    struct scene *c = begin();
    c->w.hold_writes = true;
    const char *runs = with_task(c, "F", "t", "TASK_RUNNING", amount(&c->w, "cpus:1"));
    reregister(c, 0, "OLD-S1", "cpus:2", runs);
    reregister(c, 1, "OLD-S1", "cpus:2", runs);
    c->w.hold_writes = false;
    world_settle(&c->w);
    struct agent *a = map_get(&c->w.master->agents, "OLD-S1");
    assert_non_null(a);
    assert_int_equal(resources_scalar(a->used, "cpus"), 1000);
    assert_true(c->e[0].closed);
    assert_ptr_equal(a->channel, &c->e[1].base);
    end(c);
}

// A reregistration that waits for the registry is older than one that was admitted meanwhile: of
// its task the end was acknowledged since, and must not be asked for again.
static void test_pending_reregistration_is_older(void **state)
{
    (void)state;
    struct scene *c = begin();
    subscribe(c, 0, NULL);
    const char *id = c->s[0].framework_id;
    const char *held = amount(&c->w, "cpus:1");
    reregister(c, 0, "OLD-S1", "cpus:2", with_task(c, id, "t", "TASK_FINISHED", held));
    struct framework *f = map_get(&c->w.master->frameworks, id);
    assert_int_equal(f->tasks.count, 1);
    c->w.hold_writes = true;
    reregister(c, 1, "OLD-S1", "cpus:4", with_task(c, id, "t", "TASK_FINISHED", held));
    reregister(c, 2, "OLD-S1", "cpus:2", with_task(c, id, "t", "TASK_FINISHED", held));
    end_update(&c->w, &c->e[2], id, "t", "TASK_FINISHED", 'a');
    assert_int_equal(stream_call(&c->w, &c->s[0],
                                 "\"type\":\"ACKNOWLEDGE\",\"acknowledge\":{\"agent_id\":"
                                 "{\"value\":\"OLD-S1\"},\"task_id\":{\"value\":\"t\"},"
                                 "\"uuid\":\"%s\"}",
                                 uuid_base64(&c->w, 'a')),
                     202);
    assert_int_equal(f->tasks.count, 0);
    c->w.hold_writes = false;
    world_settle(&c->w);
    assert_int_equal(f->tasks.count, 0);
    struct agent *a = map_get(&c->w.master->agents, "OLD-S1");
    assert_true(c->e[0].closed);
    assert_true(c->e[1].closed);
    assert_ptr_equal(a->channel, &c->e[2].base);
    assert_int_equal(resources_scalar(a->total, "cpus"), 2000);
    assert_int_equal(c->w.master->writing.count, 0);
    end(c);
}

// A second REREGISTER that left before the first was answered knows nothing of what was launched in
// between: that stays.
static void test_retry_is_older_than_a_launch(void **state)
{
    (void)state;
    struct scene *c = begin();
    subscribe(c, 0, NULL);
    reregister(c, 0, "OLD-S1", "cpus:2;mem:64", "");
    launch(c, "t", "cpus:1;mem:32",
           "\"executor\":{\"executor_id\":{\"value\":\"x\"},\"command\":{\"value\":\"run\"},"
           "\"resources\":[{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":0.5}}]}");
    struct agent *a = map_get(&c->w.master->agents, "OLD-S1");
    assert_int_equal(resources_scalar(a->used, "cpus"), 1500);
    assert_non_null(end_next(&c->e[0], TO_AGENT(REREGISTERED)));
    assert_non_null(end_next(&c->e[0], TO_AGENT(RUN_TASK)));
    reregister(c, 0, "OLD-S1", "cpus:2;mem:64", "");
    assert_non_null(end_next(&c->e[0], TO_AGENT(REREGISTERED)));
    assert_null(end_next(&c->e[0], TO_AGENT(RECONCILE)));
    assert_int_equal(resources_scalar(a->used, "cpus"), 1500);
    end(c);
}

// A task ended, and the agent forgot it, since another master passed its acknowledgement on. To the
// master that comes back it is over, too: the agent is not asked about it.
static void test_end_acknowledged_through_another_master(void **state)
{
    (void)state;
    struct scene *c = begin();
    subscribe(c, 0, NULL);
    struct framework *f = map_get(&c->w.master->frameworks, c->s[0].framework_id);
    reregister(c, 0, "OLD-S1", "cpus:2;mem:64", "");
    launch(c, "t", "cpus:1;mem:32", "\"command\":{\"value\":\"x\"}");
    end_update(&c->w, &c->e[0], f->id, "t", "TASK_KILLED", 'a');
    assert_int_equal(f->tasks.count, 1);
    reregister(c, 1, "OLD-S1", "cpus:2;mem:64", "");
    assert_non_null(end_next(&c->e[1], TO_AGENT(REREGISTERED)));
    assert_null(end_next(&c->e[1], TO_AGENT(RECONCILE)));
    assert_int_equal(f->tasks.count, 0);
    assert_int_equal(f->completed_count, 1);
    end(c);
}

// A reregistration that comes late over an older link than the one that the agent was admitted
// over: it is older than all that was said since, and the end of that link.
static void test_late_reregistration_over_an_older_link(void **state)
{
    (void)state;
    struct scene *c = begin();
    subscribe(c, 0, NULL);
    const char *id = c->s[0].framework_id;
    // It came first, and what is said over it comes last.
    c->e[0].base.number = master_number_link(c->w.master);
    c->e[1].base.number = master_number_link(c->w.master);
    reregister(c, 1, "OLD-S1", "cpus:2", "");
    struct agent *a = map_get(&c->w.master->agents, "OLD-S1");
    assert_ptr_equal(a->channel, &c->e[1].base);
    const char *held = amount(&c->w, "cpus:1");
    reregister(c, 0, "OLD-S1", "cpus:2", with_task(c, id, "t", "TASK_RUNNING", held));
    assert_true(c->e[0].closed);
    assert_ptr_equal(a->channel, &c->e[1].base);
    assert_int_equal(((struct framework *)map_get(&c->w.master->frameworks, id))->tasks.count, 0);
    end(c);
}

// The end of an executor unbooks the one that was meant, and no other of its id.
static void test_end_of_an_earlier_executor(void **state)
{
    (void)state;
    struct scene *c = begin();
    subscribe(c, 0, NULL);
    reregister(c, 0, "OLD-S1", "cpus:2;mem:64", "");
    launch(c, "t", "cpus:1;mem:32",
           "\"executor\":{\"executor_id\":{\"value\":\"x\"},\"command\":{\"value\":\"run\"},"
           "\"resources\":[{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":0.5}}]}");
    struct agent *a = map_get(&c->w.master->agents, "OLD-S1");
    Meseta__Link__ToAgent *run = end_next(&c->e[0], TO_AGENT(RUN_TASK));
    assert_true(run->run_task->has_executor_instance);
    uint64_t instance = run->run_task->executor_instance;
    assert_int_equal(resources_scalar(a->used, "cpus"), 1500);
    for (int i = 1; i >= 0; i--) {
        end_send(&c->w, &c->e[0],
                 "{\"type\":\"EXECUTOR_EXITED\",\"executor_exited\":{\"framework_id\":{\"value\":"
                 "\"%s\"},\"executor_id\":{\"value\":\"x\"},\"status\":0,\"instance\":\"%llu\"}}",
                 c->s[0].framework_id, (unsigned long long)(instance - (uint64_t)i));
        assert_int_equal(resources_scalar(a->used, "cpus"), i == 1 ? 1500 : 1000);
    }
    end(c);
}

// A returning agent that names another executor of an id than the one that is booked: the booked
// one is no more.
static void test_another_executor_is_named(void **state)
{
    (void)state;
    struct scene *c = begin();
    static const char executor[] =
        "{\"info\":{\"user\":\"u\",\"name\":\"f\",\"id\":{\"value\":\"F\"}},\"executors\":["
        "{\"executor_id\":{\"value\":\"x\"},\"framework_id\":{\"value\":\"F\"},\"command\":{"
        "\"value\":"
        "\"run\"},\"resources\":[{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":%s}}]"
        "}],"
        "\"executor_instances\":[\"%d\"]}";
    char named[1024];
    snprintf(named, sizeof(named), executor, "1.5", 7);
    reregister(c, 0, "OLD-S1", "cpus:2", named);
    struct agent *a = map_get(&c->w.master->agents, "OLD-S1");
    assert_int_equal(resources_scalar(a->used, "cpus"), 1500);
    snprintf(named, sizeof(named), executor, "1", 8);
    reregister(c, 1, "OLD-S1", "cpus:2", named);
    assert_ptr_equal(a->channel, &c->e[1].base);
    assert_int_equal(resources_scalar(a->used, "cpus"), 1000);
    end(c);
}

static void expect_refusal(struct scene *c, size_t i, const char *text)
{
    Meseta__Link__ToAgent *refused = end_next(&c->e[i], TO_AGENT(REFUSED));
    assert_non_null(refused);
    assert_string_equal(refused->refused->message, text);
}

static void test_unsound_reregistrations_are_refused(void **state)
{
    (void)state;
    struct scene *c = begin();
    // A task that ended holds nothing, but its resources are read all the same.
    reregister(
        c, 0, "OLD-S1", "cpus:2",
        with_task(c, "F", "t", "TASK_FINISHED", "[{\"name\":\"cpus\",\"type\":\"SCALAR\"}]"));
    assert_non_null(end_next(&c->e[0], TO_AGENT(REFUSED)));
    reregister(c, 0, "OLD-S1", "cpus:2",
               with_task(c, "F", "t", "TASK_RUNNING", amount(&c->w, "cpus:3")));
    expect_refusal(c, 0, "task 't': more than the agent has left");
    // A port in two tasks: in their sum it would be one.
    char both[4096];
    const char *ports = amount(&c->w, "ports:[31000-31000]");
    snprintf(both, sizeof(both), "%s,%s", with_task(c, "F", "t", "TASK_RUNNING", ports),
             with_task(c, "G", "t2", "TASK_RUNNING", ports));
    reregister(c, 0, "OLD-S1", "cpus:2;ports:[31000-31001]", both);
    expect_refusal(c, 0, "task 't2': more than the agent has left");
    assert_int_equal(c->w.master->agents.count, 0);
    // One that is known may not bring more than fits, either.
    reregister(c, 0, "OLD-S1", "cpus:2",
               with_task(c, "F", "t", "TASK_RUNNING", amount(&c->w, "cpus:1")));
    assert_string_equal(c->e[0].agent_id, "OLD-S1");
    end_break(&c->w, &c->e[0]);
    reregister(c, 1, "OLD-S1", "cpus:2",
               with_task(c, "F", "t2", "TASK_RUNNING", amount(&c->w, "cpus:1.5")));
    expect_refusal(c, 1, "task 't2': more than the agent has left");
    // What is booked already does not count twice.
    reregister(c, 1, "OLD-S1", "cpus:2",
               with_task(c, "F", "t", "TASK_RUNNING", amount(&c->w, "cpus:1")));
    assert_non_null(end_next(&c->e[1], TO_AGENT(REREGISTERED)));
    // A total cannot be somebody's.
    end_send(&c->w, &c->e[2],
             "{\"type\":\"REGISTER\",\"register\":{\"agent\":{\"info\":{\"hostname\":\"h\","
             "\"resources\":[{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":1},"
             "\"allocation_info\":{\"role\":\"r\"}}]},\"version\":\"1.11.0\",\"pid\":\"p\"}}}");
    expect_refusal(c, 2, "its resources are allocated to a role");
    end(c);
}

// An allocation without a role is the framework's own.
static void test_use_without_a_role(void **state)
{
    (void)state;
    struct scene *c = begin();
    reregister(c, 0, "OLD-S1", "cpus:2",
               with_task(c, "F", "t", "TASK_RUNNING",
                         "[{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":1},"
                         "\"allocation_info\":{}}]"));
    struct agent *a = map_get(&c->w.master->agents, "OLD-S1");
    assert_non_null(a);
    assert_int_equal(resources_scalar(a->used, "cpus"), 1000);
    end(c);
}

// The newest state counts for the books and the numbers, whatever update is on its way.
static void test_latest_state_counts(void **state)
{
    (void)state;
    struct scene *c = begin();
    subscribe(c, 0, NULL);
    end_register(&c->w, &c->e[0], "host", "cpus:2;mem:64");
    launch(c, "t", "cpus:1;mem:32", "\"command\":{\"value\":\"true\"}");
    const char *update = "{\"type\":\"STATUS_UPDATE\",\"status_update\":{\"framework_id\":"
                         "{\"value\":\"%s\"},\"status\":{\"task_id\":{\"value\":\"t\"},\"state\":"
                         "\"%s\",\"source\":\"SOURCE_EXECUTOR\",\"reason\":"
                         "\"REASON_TASK_HEALTH_CHECK_STATUS_UPDATED\",\"uuid\":\"%s\"}%s}}";
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    // That it cannot be reached is not for the agent to say.
    end_send(&c->w, &c->e[0], update, c->s[0].framework_id, "TASK_UNREACHABLE",
             uuid_base64(&c->w, 'u'), "");
    struct framework *f = map_get(&c->w.master->frameworks, c->s[0].framework_id);
    assert_int_equal(resources_scalar(f->used, "cpus"), 1000);
    end_send(&c->w, &c->e[0], update, c->s[0].framework_id, "TASK_RUNNING", uuid_base64(&c->w, 'r'),
             ",\"latest_state\":\"TASK_FINISHED\"");
#pragma GCC diagnostic pop
    assert_int_equal(c->w.master->counters[COUNT_TASKS_FINISHED], 1);
    assert_int_equal(f->terminal[MESOS__V1__TASK_STATE__TASK_FINISHED], 1);
    assert_int_equal(c->w.master->task_losses.count, 0);
    assert_true(resources_is_empty(f->used));
    end(c);
}

static void test_agents_hear_of_a_new_info(void **state)
{
    (void)state;
    struct scene *c = begin();
    subscribe(c, 0, NULL);
    end_register(&c->w, &c->e[0], "host", "cpus:2;mem:64");
    launch(c, "t", "cpus:1;mem:32", "\"command\":{\"value\":\"true\"}");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(
            stream_call(
                &c->w, &c->s[0],
                "\"type\":\"UPDATE_FRAMEWORK\",\"update_framework\":"
                "{\"framework_info\":{\"user\":\"u\",\"checkpoint\":true,\"name\":\"other\","
                "\"id\":{\"value\":\"%s\"}}}",
                c->s[0].framework_id),
            200);
        Meseta__Link__ToAgent *update = end_next(&c->e[0], TO_AGENT(UPDATE_FRAMEWORK));
        assert_int_equal(update != NULL, i == 0); // nothing new the second time
        if (update != NULL)
            assert_string_equal(update->update_framework->framework_info->name, "other");
    }
    end(c);
}

static bool was_applied(const struct scene *c, const char *key)
{
    for (size_t i = 0; i < 16; i++) {
        if (strcmp(c->w.applied[i], key) == 0)
            return true;
    }
    return false;
}

// Unreachable agents are forgotten with their tasks: the oldest of too many, and those too old.
static void test_unreachable_agents_are_forgotten(void **state)
{
    (void)state;
    struct master_options options;
    master_options_init(&options);
    options.registry_max_agent_count = 1;
    options.registry_max_agent_age_ns = 3600 * NS_PER_S;
    struct scene *c = begin_with(&options);
    subscribe(c, 0, NULL);
    end_register(&c->w, &c->e[0], "7000", "cpus:2;mem:64");
    launch(c, "t", "cpus:2;mem:64", "\"command\":{\"value\":\"true\"}");
    end_break(&c->w, &c->e[0]);
    world_pass(&c->w, 100);
    end_register(&c->w, &c->e[1], "7001", "cpus:2;mem:64");
    end_break(&c->w, &c->e[1]);
    world_pass(&c->w, 100);
    struct framework *f = map_get(&c->w.master->frameworks, c->s[0].framework_id);
    assert_int_equal(c->w.master->unreachable.count, 2);
    assert_int_equal(f->unreachable.count, 1);
    world_pass(&c->w, 15 * 60);
    assert_int_equal(c->w.master->unreachable.count, 1);
    assert_true(was_applied(c, "-unreachable/M-S0"));
    assert_int_equal(f->unreachable.count, 0);
    master_check(c->w.master);
    world_pass(&c->w, 3600 + 15 * 60);
    assert_int_equal(c->w.master->unreachable.count, 0);
    assert_true(was_applied(c, "-unreachable/M-S1"));
    end(c);
}

// An unreachable agent that is written back and then loses its link stays unreachable to its
// frameworks, who hear of its tasks when it really comes; those that it lost are forgotten then.
static void test_return_from_unreachable_breaks_off(void **state)
{
    (void)state;
    struct scene *c = begin();
    subscribe(c, 0, NULL);
    reregister(c, 0, "OLD-S1", "cpus:2;mem:64", "");
    launch(c, "t", "cpus:1;mem:32", "\"command\":{\"value\":\"true\"}");
    world_pass(&c->w, 6);
    launch(c, "lost", "cpus:1;mem:32", "\"command\":{\"value\":\"true\"}");
    end_break(&c->w, &c->e[0]);
    world_pass(&c->w, 100);
    struct framework *f = map_get(&c->w.master->frameworks, c->s[0].framework_id);
    assert_int_equal(f->unreachable.count, 2);
    c->w.hold_writes = true;
    const char *runs =
        with_task(c, c->s[0].framework_id, "t", "TASK_RUNNING", amount(&c->w, "cpus:1;mem:32"));
    reregister(c, 1, "OLD-S1", "cpus:2;mem:64", runs);
    end_break(&c->w, &c->e[1]);
    c->w.hold_writes = false;
    world_settle(&c->w);
    assert_int_equal(c->w.master->recovered.count, 0);
    assert_int_equal(f->unreachable.count, 2);
    while (stream_next(&c->s[0], EVENT(UPDATE)) != NULL) {
    }
    reregister(c, 2, "OLD-S1", "cpus:2;mem:64", runs);
    expect_update(&c->s[0], "t", "TASK_RUNNING", "REASON_AGENT_REREGISTERED",
                  "Unreachable agent re-reregistered");
    assert_int_equal(f->unreachable.count, 0);
    assert_int_equal(f->tasks.count, 1);
    assert_int_equal(c->w.master->unreachable.count, 0);
    end(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids_are_nobodys),
        cmocka_unit_test(test_registered_twice_at_once),
        cmocka_unit_test(test_reregistered_twice_at_once),
        cmocka_unit_test(test_pending_reregistration_is_older),
        cmocka_unit_test(test_end_acknowledged_through_another_master),
        cmocka_unit_test(test_late_reregistration_over_an_older_link),
        cmocka_unit_test(test_end_of_an_earlier_executor),
        cmocka_unit_test(test_another_executor_is_named),
        cmocka_unit_test(test_retry_is_older_than_a_launch),
        cmocka_unit_test(test_unsound_reregistrations_are_refused),
        cmocka_unit_test(test_use_without_a_role),
        cmocka_unit_test(test_latest_state_counts),
        cmocka_unit_test(test_agents_hear_of_a_new_info),
        cmocka_unit_test(test_unreachable_agents_are_forgotten),
        cmocka_unit_test(test_return_from_unreachable_breaks_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
