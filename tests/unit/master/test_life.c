// SPDX-License-Identifier: Apache-2.0
//
// Whole stories: a task's life, failover, agents that go and come back.

#include "world.h"

#include <errno.h>
#include <string.h>

#define SUBSCRIBE_PLAIN "{\"framework_info\":{\"user\":\"u\",\"name\":\"f\"}}"
#define SUBSCRIBE_DURABLE "{\"framework_info\":{\"user\":\"u\",\"name\":\"f\",\"checkpoint\":true}}"
#define EVENT(NAME) MESOS__V1__SCHEDULER__EVENT__TYPE__##NAME
#define TO_AGENT(NAME) MESETA__LINK__TO_AGENT__TYPE__##NAME

static void launch(struct world *w, struct stream *s, const Mesos__V1__Offer *offer,
                   const char *task_id, const char *resources)
{
    int status = stream_call(
        w, s,
        "\"type\":\"ACCEPT\",\"accept\":{\"offer_ids\":[{\"value\":\"%s\"}],\"operations\":"
        "[{\"type\":\"LAUNCH\",\"launch\":{\"task_infos\":[{\"name\":\"n\",\"task_id\":"
        "{\"value\":\"%s\"},\"agent_id\":{\"value\":\"%s\"},\"resources\":%s,\"command\":"
        "{\"value\":\"true\"},\"labels\":{\"labels\":[{\"key\":\"k\"}]}}]}}],\"filters\":{\"refuse_"
        "seconds\":1}}",
        offer->id->value, task_id, offer->agent_id->value, amount(w, resources));
    assert_int_equal(status, 202);
}

static void acknowledge(struct world *w, struct stream *s, struct end *e, const char *task_id,
                        char uuid)
{
    assert_int_equal(stream_call(w, s,
                                 "\"type\":\"ACKNOWLEDGE\",\"acknowledge\":{\"agent_id\":"
                                 "{\"value\":\"%s\"},\"task_id\":{\"value\":\"%s\"},\"uuid\":"
                                 "\"%s\"}",
                                 e->agent_id, task_id, uuid_base64(w, uuid)),
                     202);
}

static void test_task_from_offer_to_end(void **state)
{
    (void)state;
    struct world w;
    world_begin(&w, NULL);
    struct stream *s = mem_zalloc(sizeof(*s));
    struct end *e = mem_zalloc(sizeof(*e));
    stream_subscribe(&w, s, SUBSCRIBE_PLAIN);
    Mesos__V1__Scheduler__Event *event = stream_next(s, EVENT(SUBSCRIBED));
    assert_non_null(event);
    assert_string_equal(event->subscribed->framework_id->value, "M-0000");
    assert_true(event->subscribed->heartbeat_interval_seconds == 15.0);
    assert_string_equal(event->subscribed->master_info->pid, "master@127.0.0.1:5050");
    assert_non_null(stream_next(s, EVENT(HEARTBEAT)));
    assert_null(stream_next(s, EVENT(OFFERS)));

    end_register(&w, e, "host", "cpus:2;mem:1024;ports:[31000-31010]");
    assert_string_equal(e->agent_id, "M-S0");
    assert_string_equal(w.applied[0], "agents/M-S0");
    s->seen = 0;
    Mesos__V1__Offer *offer = stream_offer(s);
    assert_string_equal(offer->id->value, "M-O0");
    assert_string_equal(offer->hostname, "host");
    assert_string_equal(offer->url->path, "/slave(1)");
    assert_int_equal(offer->n_resources, 3);
    assert_null(offer->allocation_info);
    assert_null(offer->resources[0]->allocation_info);

    launch(&w, s, offer, "t1", "cpus:1;mem:512");
    assert_int_equal(w.task_notices, 1);
    Meseta__Link__ToAgent *run = end_next(e, TO_AGENT(RUN_TASK));
    assert_non_null(run);
    assert_string_equal(run->run_task->task->task_id->value, "t1");
    assert_string_equal(run->run_task->task->resources[0]->allocation_info->role, "*");
    assert_string_equal(run->run_task->framework_info->id->value, "M-0000");

    end_update(&w, e, "M-0000", "t1", "TASK_RUNNING", 'a');
    expect_update(s, "t1", "TASK_RUNNING", NULL, NULL);
    acknowledge(&w, s, e, "t1", 'a');
    assert_non_null(end_next(e, TO_AGENT(ACKNOWLEDGE)));
    struct framework *f = map_get(&w.master->frameworks, "M-0000");
    struct task *t = map_get(&f->tasks, "t1");
    assert_non_null(t);
    assert_int_equal(t->state, MESOS__V1__TASK_STATE__TASK_RUNNING);
    assert_true(t->holds);

    assert_int_equal(w.task_notices, 2);
    master_notify_tasks(w.master, false);
    end_update(&w, e, "M-0000", "t1", "TASK_FINISHED", 'b');
    expect_update(s, "t1", "TASK_FINISHED", NULL, NULL);
    assert_int_equal(w.task_notices, 2);
    assert_int_equal(w.master->task_changes, 3);
    assert_false(t->holds);
    assert_ptr_equal(map_get(&f->tasks, "t1"), t); // until it is acknowledged
    master_check(w.master);
    acknowledge(&w, s, e, "t1", 'a'); // an old one ends nothing
    assert_ptr_equal(map_get(&f->tasks, "t1"), t);
    acknowledge(&w, s, e, "t1", 'b');
    assert_null(map_get(&f->tasks, "t1"));
    assert_int_equal(f->completed_count, 1);
    assert_int_equal(w.master->counters[COUNT_TASKS_FINISHED], 1);

    // All of it is offered again, after the filter of one second at the latest.
    world_pass(&w, 3);
    AUTO_RESOURCES struct resources *offered = resources_new();
    MAP_FOREACH (&w.master->offers, entry)
        resources_add(offered, ((struct offer *)entry->value)->resources);
    assert_int_equal(resources_scalar(offered, "cpus"), 2000);
    world_end(&w);
    mem_free(s);
    mem_free(e);
}

static void test_framework_failover(void **state)
{
    (void)state;
    struct world w;
    world_begin(&w, NULL);
    struct stream *s = mem_zalloc(3 * sizeof(*s));
    struct end *e = mem_zalloc(sizeof(*e));
    end_register(&w, e, "host", "cpus:2;mem:1024");
    // An id of its own invention is taken over and echoed.
    stream_subscribe(&w, &s[0],
                     "{\"framework_info\":{\"user\":\"u\",\"name\":\"f\",\"id\":{\"value\":"
                     "\"mine\"},\"failover_timeout\":100}}");
    assert_string_equal(s[0].framework_id, "mine");
    Mesos__V1__Offer *offer = stream_offer(&s[0]);
    launch(&w, &s[0], offer, "t", "cpus:1;mem:10");
    stream_subscribe(&w, &s[1],
                     "{\"framework_info\":{\"user\":\"u\",\"name\":\"f2\",\"id\":{\"value\":"
                     "\"mine\"},\"failover_timeout\":100}}");
    Mesos__V1__Scheduler__Event *error = stream_next(&s[0], EVENT(ERROR));
    assert_non_null(error);
    assert_string_equal(error->error->message, "Framework failed over");
    assert_true(s[0].closed);
    assert_string_equal(s[1].framework_id, "mine");
    // The old stream's id is worth nothing.
    memcpy(s[0].framework_id, "mine", 5);
    assert_int_equal(stream_call(&w, &s[0], "\"type\":\"REVIVE\""), 400);
    // Gone, but not for long enough.
    stream_break(&w, &s[1]);
    world_pass(&w, 99);
    assert_int_equal(stream_call(&w, &s[1], "\"type\":\"REVIVE\""), 403);
    assert_string_equal(w.err.text, "Framework is not subscribed");
    world_pass(&w, 2);
    assert_int_equal(stream_call(&w, &s[1], "\"type\":\"REVIVE\""), 400);
    assert_string_equal(w.err.text, "Framework cannot be found");
    assert_non_null(end_next(e, TO_AGENT(SHUTDOWN_FRAMEWORK)));
    stream_subscribe(&w, &s[2],
                     "{\"framework_info\":{\"user\":\"u\",\"name\":\"f\",\"id\":{\"value\":"
                     "\"mine\"}}}");
    error = stream_next(&s[2], EVENT(ERROR));
    assert_non_null(error);
    assert_string_equal(error->error->message, "Framework has been removed");
    assert_true(s[2].closed);
    world_end(&w);
    mem_free(s);
    mem_free(e);
}

static void test_heartbeats(void **state)
{
    (void)state;
    struct world w;
    world_begin(&w, NULL);
    struct stream *s = mem_zalloc(sizeof(*s));
    stream_subscribe(&w, s, SUBSCRIBE_PLAIN);
    world_pass(&w, 46);
    size_t beats = 0;
    while (stream_next(s, EVENT(HEARTBEAT)) != NULL)
        beats++;
    assert_int_equal(beats, 4); // at once, and every 15 seconds
    world_end(&w);
    mem_free(s);
}

// The agent stops answering; its task is unreachable; it comes back with it.
static void lose_and_find(bool aware)
{
    struct world w;
    world_begin(&w, NULL);
    struct stream *s = mem_zalloc(sizeof(*s));
    struct end *e = mem_zalloc(2 * sizeof(*e));
    end_register(&w, &e[0], "host", "cpus:2;mem:1024");
    stream_subscribe(&w, s,
                     aware ? "{\"framework_info\":{\"user\":\"u\",\"name\":\"f\",\"capabilities\":"
                             "[{\"type\":\"PARTITION_AWARE\"}]}}"
                           : SUBSCRIBE_PLAIN);
    launch(&w, s, stream_offer(s), "t", "cpus:1;mem:10");
    end_update(&w, &e[0], s->framework_id, "t", "TASK_RUNNING", 'a');
    expect_update(s, "t", "TASK_RUNNING", NULL, NULL);
    e[0].mute = true;
    world_pass(&w, 95);
    if (aware)
        expect_update(s, "t", "TASK_UNREACHABLE", "REASON_AGENT_REMOVED", "health check timed out");
    else
        expect_update(s, "t", "TASK_LOST", "REASON_AGENT_REMOVED", "health check timed out");
    assert_non_null(stream_next(s, EVENT(FAILURE)));
    assert_true(e[0].closed);
    struct framework *f = map_get(&w.master->frameworks, s->framework_id);
    assert_int_equal(f->tasks.count, 0);
    assert_int_equal(f->unreachable.count, 1);
    assert_string_equal(w.applied[(w.applied_count - 1) % 16], "unreachable/M-S0");

    assert_int_equal(stream_call(&w, s,
                                 "\"type\":\"RECONCILE\",\"reconcile\":{\"tasks\":[{\"task_id\":"
                                 "{\"value\":\"t\"},\"agent_id\":{\"value\":\"M-S0\"}}]}"),
                     202);
    expect_update(s, "t", aware ? "TASK_UNREACHABLE" : "TASK_LOST", "REASON_RECONCILIATION",
                  "Reconciliation: Task is unreachable");

    end_send(&w, &e[1],
             "{\"type\":\"REREGISTER\",\"reregister\":{\"agent\":{\"info\":{\"id\":{\"value\":"
             "\"M-S0\"},\"hostname\":\"host\",\"resources\":%s},\"version\":\"1.11.0\",\"pid\":"
             "\"slave(1)@10.0.0.1:5051\"},\"frameworks\":[{\"info\":{\"id\":{\"value\":\"%s\"},"
             "\"user\":\"u\",\"name\":\"f\"},\"tasks\":[{\"name\":\"n\",\"task_id\":{\"value\":"
             "\"t\"},\"framework_id\":{\"value\":\"%s\"},\"agent_id\":{\"value\":\"M-S0\"},"
             "\"state\":\"TASK_RUNNING\",\"resources\":%s}]}]}}",
             amount(&w, "cpus:2;mem:1024"), s->framework_id, s->framework_id,
             amount(&w, "cpus:1;mem:10"));
    assert_non_null(end_next(&e[1], TO_AGENT(REREGISTERED)));
    expect_update(s, "t", "TASK_RUNNING", "REASON_AGENT_REREGISTERED",
                  "Unreachable agent re-reregistered");
    assert_int_equal(f->tasks.count, 1);
    assert_int_equal(f->unreachable.count, 0);
    Mesos__V1__Offer *rest = stream_offer(s);
    assert_true(rest->resources[0]->scalar->value == 1.0);
    world_end(&w);
    mem_free(s);
    mem_free(e);
}

static void test_unreachable_aware(void **state)
{
    (void)state;
    lose_and_find(true);
}

static void test_unreachable_plain(void **state)
{
    (void)state;
    lose_and_find(false);
}

// An agent that says of itself what a registered one said, but on another machine, is a copy: it is
// to become one of its own, and the first one notices nothing.
static void test_copies_of_an_agent(void **state)
{
    (void)state;
    static const char *const copies[][2] = {{"host", "slave(1)@10.0.0.2:5051"},
                                            {"other", "slave(1)@10.0.0.1:5051"}};
    struct world w;
    world_begin(&w, NULL);
    struct end *e = mem_zalloc(sizeof(*e));
    struct end *copy = mem_zalloc(sizeof(*copy));
    end_register(&w, e, "host", "cpus:4;mem:1024");
    for (size_t i = 0; i < ARRAY_COUNT(copies); i++) {
        *copy = (struct end){0};
        end_send(&w, copy,
                 "{\"type\":\"REREGISTER\",\"reregister\":{\"agent\":{\"info\":{\"id\":{\"value\":"
                 "\"M-S0\"},\"hostname\":\"%s\",\"resources\":%s},\"version\":\"1.11.0\",\"pid\":"
                 "\"%s\"}}}",
                 copies[i][0], amount(&w, "cpus:4;mem:1024"), copies[i][1]);
        const Meseta__Link__ToAgent *message = end_next(copy, TO_AGENT(SHUTDOWN));
        assert_non_null(message);
        assert_false(message->shutdown->ends);
        assert_string_equal(message->shutdown->message,
                            "Agent attempted to reregister with different IP / hostname");
    }
    struct agent *a = map_get(&w.master->agents, "M-S0");
    assert_ptr_equal(a->channel, &e->base);
    assert_false(e->closed);
    assert_string_equal(a->pid, "slave(1)@10.0.0.1:5051");
    world_end(&w);
    mem_free(copy);
    mem_free(e);
}

// The link breaks: offers are rescinded, tasks stay, and what was lost on the way is asked for.
static void test_link_breaks(void **state)
{
    (void)state;
    struct world w;
    world_begin(&w, NULL);
    struct stream *s = mem_zalloc(sizeof(*s));
    struct end *e = mem_zalloc(2 * sizeof(*e));
    end_register(&w, &e[0], "host", "cpus:4;mem:1024");
    stream_subscribe(&w, s, SUBSCRIBE_DURABLE);
    launch(&w, s, stream_offer(s), "lost", "cpus:1;mem:10");
    world_pass(&w, 2);
    Mesos__V1__Offer *rest = stream_offer(s);
    end_break(&w, &e[0]);
    Mesos__V1__Scheduler__Event *rescind = stream_next(s, EVENT(RESCIND));
    assert_non_null(rescind);
    assert_string_equal(rescind->rescind->offer_id->value, rest->id->value);
    assert_int_equal(w.master->offers.count, 0);
    assert_int_equal(
        stream_call(&w, s, "\"type\":\"KILL\",\"kill\":{\"task_id\":{\"value\":\"lost\"}}"), 202);
    world_pass(&w, 20);
    end_send(&w, &e[1],
             "{\"type\":\"REREGISTER\",\"reregister\":{\"agent\":{\"info\":{\"id\":{\"value\":"
             "\"M-S0\"},\"hostname\":\"host\",\"resources\":%s},\"version\":\"1.11.0\",\"pid\":"
             "\"slave(1)@10.0.0.1:5051\"}}}",
             amount(&w, "cpus:4;mem:1024"));
    assert_non_null(end_next(&e[1], TO_AGENT(REREGISTERED)));
    Meseta__Link__ToAgent *ask = end_next(&e[1], TO_AGENT(RECONCILE));
    assert_non_null(ask);
    assert_string_equal(ask->reconcile->task_ids[0]->value, "lost");
    assert_true(ask->reconcile->has_partition_aware && !ask->reconcile->partition_aware);
    Meseta__Link__ToAgent *kill = end_next(&e[1], TO_AGENT(KILL_TASK));
    assert_non_null(kill);
    assert_string_equal(kill->kill_task->task_id->value, "lost");
    memcpy(e[1].agent_id, "M-S0", 5);
    // It does not want an acknowledgement, so it is over at once.
    end_update(&w, &e[1], s->framework_id, "lost", "TASK_LOST", 0);
    expect_update(s, "lost", "TASK_LOST", NULL, NULL);
    assert_int_equal(w.master->agents.count, 1);
    world_pass(&w, 5);
    AUTO_RESOURCES struct resources *offered = resources_new();
    MAP_FOREACH (&w.master->offers, entry)
        resources_add(offered, ((struct offer *)entry->value)->resources);
    assert_int_equal(resources_scalar(offered, "cpus"), 4000);
    world_end(&w);
    mem_free(s);
    mem_free(e);
}

// A task of a framework without checkpoint is given up with the link, and its executor with it. One
// that comes back with the agent is in the books again, and its framework hears of it.
static void test_link_breaks_without_checkpoint(void **state)
{
    (void)state;
    struct world w;
    world_begin(&w, NULL);
    struct stream *s = mem_zalloc(2 * sizeof(*s));
    struct end *e = mem_zalloc(2 * sizeof(*e));
    end_register(&w, &e[0], "host", "cpus:4;mem:1024");
    stream_subscribe(&w, &s[0], SUBSCRIBE_PLAIN);
    launch(&w, &s[0], stream_offer(&s[0]), "t", "cpus:1;mem:10");
    end_update(&w, &e[0], s[0].framework_id, "t", "TASK_RUNNING", 'a');
    expect_update(&s[0], "t", "TASK_RUNNING", NULL, NULL);
    world_pass(&w, 6);
    stream_subscribe(&w, &s[1], SUBSCRIBE_DURABLE);
    launch(&w, &s[0], stream_offer(&s[0]), "gone", "cpus:1;mem:10");
    struct agent *a = map_get(&w.master->agents, "M-S0");
    assert_int_equal(resources_scalar(a->used, "cpus"), 2000);
    end_break(&w, &e[0]);
    expect_update(&s[0], "t", "TASK_LOST", "REASON_AGENT_DISCONNECTED", "Agent host disconnected");
    expect_update(&s[0], "gone", "TASK_LOST", "REASON_AGENT_DISCONNECTED",
                  "Agent host disconnected");
    assert_true(resources_is_empty(a->used));
    assert_int_equal(w.master->agents.count, 1);
    master_check(w.master);
    world_pass(&w, 20);
    end_send(&w, &e[1],
             "{\"type\":\"REREGISTER\",\"reregister\":{\"agent\":{\"info\":{\"id\":{\"value\":"
             "\"M-S0\"},\"hostname\":\"host\",\"resources\":%s},\"version\":\"1.11.0\",\"pid\":"
             "\"slave(1)@10.0.0.1:5051\"},\"frameworks\":[{\"info\":{\"id\":{\"value\":\"%s\"},"
             "\"user\":\"u\",\"name\":\"f\"},\"tasks\":[{\"name\":\"n\",\"task_id\":{\"value\":"
             "\"t\"},\"framework_id\":{\"value\":\"%s\"},\"agent_id\":{\"value\":\"M-S0\"},"
             "\"state\":\"TASK_RUNNING\",\"resources\":%s}]}]}}",
             amount(&w, "cpus:4;mem:1024"), s[0].framework_id, s[0].framework_id,
             amount(&w, "cpus:1;mem:10"));
    expect_update(&s[0], "t", "TASK_RUNNING", "REASON_AGENT_REREGISTERED",
                  "Disconnected agent reregistered");
    assert_null(stream_next(&s[0], EVENT(UPDATE)));
    assert_int_equal(resources_scalar(a->used, "cpus"), 1000);
    master_check(w.master);
    world_end(&w);
    mem_free(s);
    mem_free(e);
}

// Frameworks that the master has never seen come with a returning agent.
static void test_new_master_learns_from_agents(void **state)
{
    (void)state;
    struct world w;
    world_begin(&w, NULL);
    struct stream *s = mem_zalloc(sizeof(*s));
    struct end *e = mem_zalloc(sizeof(*e));
    end_send(&w, e,
             "{\"type\":\"REREGISTER\",\"reregister\":{\"agent\":{\"info\":{\"id\":{\"value\":"
             "\"OLD-S7\"},\"hostname\":\"host\",\"resources\":%s},\"version\":\"1.11.0\",\"pid\":"
             "\"slave(1)@10.0.0.1:5051\"},\"frameworks\":[{\"info\":{\"id\":{\"value\":\"old\"},"
             "\"user\":\"u\",\"name\":\"f\"},\"executors\":[{\"executor_id\":{\"value\":\"x\"},"
             "\"command\":{\"value\":\"run\"},\"resources\":%s}],\"tasks\":[{\"name\":\"n\","
             "\"task_id\":{\"value\":\"t\"},\"framework_id\":{\"value\":\"old\"},\"agent_id\":"
             "{\"value\":\"OLD-S7\"},\"executor_id\":{\"value\":\"x\"},\"state\":"
             "\"TASK_RUNNING\",\"resources\":%s}]}]}}",
             amount(&w, "cpus:2;mem:1024"), amount(&w, "cpus:0.5;mem:64"),
             amount(&w, "cpus:1;mem:10"));
    assert_string_equal(e->agent_id, "OLD-S7");
    struct framework *f = map_get(&w.master->frameworks, "old");
    assert_non_null(f);
    assert_true(f->recovered);
    assert_int_equal(resources_scalar(f->used, "cpus"), 1500);
    stream_subscribe(&w, s,
                     "{\"framework_info\":{\"user\":\"u\",\"name\":\"f\",\"id\":{\"value\":"
                     "\"old\"}}}");
    assert_string_equal(s->framework_id, "old");
    assert_false(f->recovered);
    Mesos__V1__Offer *offer = stream_offer(s);
    assert_true(offer->resources[0]->scalar->value == 0.5);
    assert_int_equal(offer->n_executor_ids, 1);
    assert_string_equal(offer->executor_ids[0]->value, "x");
    // The executor ends: its resources return, and the framework hears of it.
    end_send(&w, e,
             "{\"type\":\"EXECUTOR_EXITED\",\"executor_exited\":{\"framework_id\":{\"value\":"
             "\"old\"},\"executor_id\":{\"value\":\"x\"},\"status\":256}}");
    Mesos__V1__Scheduler__Event *failure = stream_next(s, EVENT(FAILURE));
    assert_non_null(failure);
    assert_int_equal(failure->failure->status, 256);
    assert_string_equal(failure->failure->executor_id->value, "x");
    assert_int_equal(resources_scalar(f->used, "cpus"), 1000);
    world_end(&w);
    mem_free(s);
    mem_free(e);
}

// Nothing is told to an agent before the registry has it.
static void test_admission_waits_for_the_registry(void **state)
{
    (void)state;
    struct world w;
    world_begin(&w, NULL);
    struct end *e = mem_zalloc(2 * sizeof(*e));
    w.hold_writes = true;
    end_register(&w, &e[0], "host", "cpus:1");
    assert_int_equal(e[0].count, 0);
    assert_int_equal(w.master->agents.count, 0);
    end_break(&w, &e[0]);
    w.hold_writes = false;
    world_settle(&w);
    assert_int_equal(w.master->agents.count, 0);
    assert_string_equal(w.applied[(w.applied_count - 1) % 16], "-agents/M-S0");
    end_register(&w, &e[1], "host", "cpus:1");
    assert_string_equal(e[1].agent_id, "M-S1");
    world_end(&w);
    mem_free(e);
}

static void test_registry_is_recovered(void **state)
{
    (void)state;
    struct world w;
    world_begin(&w, NULL);
    Mesos__V1__AgentID id = MESOS__V1__AGENT_ID__INIT;
    id.value = (char *)"OLD-S1";
    Mesos__V1__AgentInfo info = MESOS__V1__AGENT_INFO__INIT;
    info.hostname = (char *)"host";
    info.id = &id;
    uint8_t data[256];
    size_t size = protobuf_c_message_pack(&info.base, data);
    struct master_item item = {.key = "agents/OLD-S1", .value = data, .size = size};
    struct error err;
    assert_int_equal(master_recover(w.master, &item, 1, w.now, &err), 0);
    struct stream *s = mem_zalloc(sizeof(*s));
    stream_subscribe(&w, s,
                     "{\"framework_info\":{\"user\":\"u\",\"name\":\"f\",\"capabilities\":"
                     "[{\"type\":\"PARTITION_AWARE\"}]}}");
    const char *ask = "\"type\":\"RECONCILE\",\"reconcile\":{\"tasks\":[{\"task_id\":{\"value\":"
                      "\"t\"},\"agent_id\":{\"value\":\"OLD-S1\"}}]}";
    assert_int_equal(stream_call(&w, s, "%s", ask), 202);
    assert_null(stream_next(s, EVENT(UPDATE))); // it may still come back
    world_pass(&w, 601);
    assert_non_null(stream_next(s, EVENT(FAILURE)));
    assert_int_equal(stream_call(&w, s, "%s", ask), 202);
    expect_update(s, "t", "TASK_UNREACHABLE", "REASON_RECONCILIATION",
                  "Reconciliation: Task is unreachable");
    item.value = "x";
    item.size = 1;
    assert_int_equal(master_recover(w.master, &item, 1, w.now, &err), -EBADMSG);
    world_end(&w);
    mem_free(s);
}

// A new master writes nothing for an agent that is as the registry has it; one that is something
// else now waits until that is durable.
static void test_a_known_agent_returns_at_once(void **state)
{
    (void)state;
    struct world w;
    world_begin(&w, NULL);
    struct end *e = mem_zalloc(4 * sizeof(*e));
    end_register(&w, &e[0], "5051", "cpus:1");
    end_register(&w, &e[1], "5052", "cpus:1");
    world_fail_over(&w);
    size_t applied = w.applied_count;
    w.hold_writes = true;
    for (int i = 0; i < 2; i++) {
        end_send(&w, &e[2 + i],
                 "{\"type\":\"REREGISTER\",\"reregister\":{\"agent\":{\"info\":{\"id\":{\"value\":"
                 "\"M-S%d\"},\"hostname\":\"505%d\",\"resources\":%s},\"version\":\"1.11.0\","
                 "\"pid\":\"slave(1)@10.0.0.1:505%d\"}}}",
                 i, i + 1, amount(&w, i == 0 ? "cpus:1" : "cpus:2"), i + 1);
    }
    assert_non_null(end_next(&e[2], TO_AGENT(REREGISTERED)));
    assert_null(end_next(&e[3], TO_AGENT(REREGISTERED)));
    assert_non_null(map_get(&w.master->agents, "M-S0"));
    assert_null(map_get(&w.master->agents, "M-S1"));
    assert_int_equal(w.applied_count, applied + 2); // the other one, and that it is reachable
    w.hold_writes = false;
    world_settle(&w);
    assert_non_null(end_next(&e[3], TO_AGENT(REREGISTERED)));
    assert_int_equal(w.master->recovered.count, 0);
    world_end(&w);
    mem_free(e);
}

static void test_same_address_registers_anew(void **state)
{
    (void)state;
    struct world w;
    world_begin(&w, NULL);
    struct stream *s = mem_zalloc(sizeof(*s));
    struct end *e = mem_zalloc(2 * sizeof(*e));
    end_register(&w, &e[0], "host", "cpus:2;mem:1024");
    stream_subscribe(&w, s, SUBSCRIBE_DURABLE);
    launch(&w, s, stream_offer(s), "t", "cpus:1;mem:10");
    end_break(&w, &e[0]);
    end_register(&w, &e[1], "host", "cpus:2;mem:1024");
    assert_string_equal(e[1].agent_id, "M-S1");
    expect_update(s, "t", "TASK_LOST", "REASON_AGENT_REMOVED",
                  "Agent host removed: a new agent registered at the same address");
    assert_int_equal(w.master->agents.count, 1);
    world_end(&w);
    mem_free(s);
    mem_free(e);
}

// What agents say alike is kept once, for as long as one says so.
static void test_descriptions_are_shared(void **state)
{
    (void)state;
    struct world w;
    world_begin(&w, NULL);
    static struct end ends[3];
    memset(ends, 0, sizeof(ends));
    const struct agent *agents[3];
    for (size_t i = 0; i < ARRAY_COUNT(ends); i++) {
        AUTO_FREE char *host = mem_printf("%zu", 6000 + i);
        end_register(&w, &ends[i], host, i < 2 ? "cpus:4;mem:1024" : "cpus:5;mem:1024");
        agents[i] = map_get(&w.master->agents, ends[i].agent_id);
        assert_non_null(agents[i]);
        assert_string_equal(agents[i]->info->hostname, host);
    }
    assert_ptr_equal(agents[0]->info->resources, agents[1]->info->resources);
    assert_ptr_equal(agents[0]->version, agents[1]->version);
    assert_ptr_not_equal(agents[0]->info->resources, agents[2]->info->resources);
    assert_true(agents[2]->info->resources[0]->scalar->value == 5);
    assert_int_equal(w.master->descriptions.count, 2);
    end_send(&w, &ends[0], "{\"type\":\"UNREGISTER\"}");
    world_settle(&w);
    assert_int_equal(w.master->descriptions.count, 2);
    assert_true(agents[1]->info->resources[0]->scalar->value == 4);
    end_send(&w, &ends[1], "{\"type\":\"UNREGISTER\"}");
    world_settle(&w);
    assert_int_equal(w.master->descriptions.count, 1);
    world_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_descriptions_are_shared),
        cmocka_unit_test(test_task_from_offer_to_end),
        cmocka_unit_test(test_framework_failover),
        cmocka_unit_test(test_heartbeats),
        cmocka_unit_test(test_unreachable_aware),
        cmocka_unit_test(test_unreachable_plain),
        cmocka_unit_test(test_copies_of_an_agent),
        cmocka_unit_test(test_link_breaks),
        cmocka_unit_test(test_link_breaks_without_checkpoint),
        cmocka_unit_test(test_new_master_learns_from_agents),
        cmocka_unit_test(test_admission_waits_for_the_registry),
        cmocka_unit_test(test_registry_is_recovered),
        cmocka_unit_test(test_same_address_registers_anew),
        cmocka_unit_test(test_a_known_agent_returns_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
