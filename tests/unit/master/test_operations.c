// SPDX-License-Identifier: Apache-2.0
//
// Operations in the master: what an ACCEPT makes of its offers, what becomes of each operation, and
// that nothing is lost on the way, also when agents, links and frameworks come and go.

#include "scene.h"

#include <stdio.h>
#include <string.h>

#include "model/operation.h"

#define EVENT(NAME) MESOS__V1__SCHEDULER__EVENT__TYPE__##NAME
#define TO_AGENT(NAME) MESETA__LINK__TO_AGENT__TYPE__##NAME
#define ID(id) "\"id\":{\"value\":\"" id "\"},"
#define TASK(id, resources)                                                                        \
    "{\"name\":\"n\",\"task_id\":{\"value\":\"" id "\"},\"agent_id\":{\"value\":\"M-S0\"},"        \
    "\"command\":{\"value\":\"true\"},\"resources\":[" resources "]}"
#define LAUNCH(tasks) "{\"type\":\"LAUNCH\",\"launch\":{\"task_infos\":[" tasks "]}}"

static void accept(struct scene *c, const char *operations)
{
    assert_int_equal(stream_call(&c->w, &c->s,
                                 "\"type\":\"ACCEPT\",\"accept\":{\"offer_ids\":[{\"value\":\"%s\"}"
                                 "],\"operations\":[%s],\"filters\":{\"refuse_seconds\":1}}",
                                 c->offer->id->value, operations),
                     202);
    master_check(c->w.master);
}

static const char *total_of(struct scene *c)
{
    struct agent *a = map_get(&c->w.master->agents, "M-S0");
    assert_non_null(a);
    return resources_text(a->total, c->w.arena);
}

static const Meseta__Link__ToAgent__ApplyOperation *applied(struct scene *c)
{
    const Meseta__Link__ToAgent *message = end_next(&c->e, TO_AGENT(APPLY_OPERATION));
    assert_non_null(message);
    return message->apply_operation;
}

// The agent says what became of it; `letter` 0: without a uuid.
static void say(struct scene *c, const ProtobufCBinaryData *operation, const char *state,
                char letter)
{
    const char *uuid = "";
    if (letter != 0)
        uuid = arena_printf(c->w.arena, ",\"uuid\":{\"value\":\"%s\"}", uuid_base64(&c->w, letter));
    end_send(&c->w, &c->e,
             "{\"type\":\"OPERATION_STATUS\",\"operation_status\":{\"operation_uuid\":\"%s\","
             "\"status\":{\"state\":\"%s\"%s}}}",
             scene_base64(&c->w, operation), state, uuid);
    master_check(c->w.master);
}

static void expect_status(struct scene *c, const char *id, Mesos__V1__OperationState state,
                          const char *message)
{
    const Mesos__V1__OperationStatus *status = scene_status(c);
    assert_non_null(status);
    assert_string_equal(status->operation_id->value, id);
    assert_int_equal(status->state, state);
    if (message != NULL)
        assert_string_equal(status->message, message);
}

static int acknowledge(struct scene *c, const char *id, char letter)
{
    return stream_call(&c->w, &c->s,
                       "\"type\":\"ACKNOWLEDGE_OPERATION_STATUS\",\"acknowledge_operation_status\":"
                       "{\"agent_id\":{\"value\":\"M-S0\"},\"operation_id\":{\"value\":\"%s\"},"
                       "\"uuid\":\"%s\"}",
                       id, uuid_base64(&c->w, letter));
}

static uint64_t operations_in(struct scene *c, int type, Mesos__V1__OperationState state)
{
    return c->w.master->operation_states[type][state];
}

// ---- ACCEPT ----

static void test_reserve_create_launch(void **state)
{
    (void)state;
    struct scene *c = scene_begin();
    accept(c,
           RESERVE(ID("o1"), CPUS("1") "," DISK("50")) "," CREATE(
               ID("o2"), VOLUME("v", "40")) "," LAUNCH(TASK("t", CPUS("1") "," VOLUME("v", "40"))));
    assert_string_equal(total_of(c),
                        "cpus:3; mem:1024; disk:50; cpus(reservations: [(DYNAMIC,r,p)]):1; "
                        "disk(reservations: [(DYNAMIC,r,p)]):10; "
                        "disk(reservations: [(DYNAMIC,r,p)])[v:data]:40");
    const Meseta__Link__ToAgent__ApplyOperation *first = applied(c);
    const Meseta__Link__ToAgent__ApplyOperation *second = applied(c);
    assert_string_equal(first->info->id->value, "o1");
    assert_string_equal(first->framework_id->value, c->s.framework_id);
    assert_string_equal(second->info->id->value, "o2");
    assert_string_equal(second->info->create->volumes[0]->allocation_info->role, "r");
    assert_non_null(end_next(&c->e, TO_AGENT(RUN_TASK))); // behind them
    assert_null(stream_next(&c->s, EVENT(UPDATE)));
    assert_int_equal(operations_in(c, MESOS__V1__OFFER__OPERATION__TYPE__RESERVE, STATE(PENDING)),
                     1);
    say(c, &first->uuid, "OPERATION_FINISHED", 'a');
    say(c, &second->uuid, "OPERATION_FINISHED", 'b');
    const Mesos__V1__OperationStatus *status = scene_status(c);
    assert_string_equal(status->operation_id->value, "o1");
    assert_int_equal(status->state, STATE(FINISHED));
    assert_string_equal(status->agent_id->value, "M-S0");
    assert_non_null(status->uuid);
    expect_status(c, "o2", STATE(FINISHED), NULL);
    assert_int_equal(c->w.master->operations.count, 2);
    assert_null(end_next(&c->e, TO_AGENT(ACKNOWLEDGE_OPERATION)));
    // A wrong uuid is no acknowledgement; the right one goes on to the agent.
    assert_int_equal(acknowledge(c, "o1", 'z'), 202);
    assert_int_equal(c->w.master->operations.count, 2);
    assert_int_equal(c->w.master->counters[COUNT_INVALID_OPERATION_ACKS], 1);
    assert_int_equal(acknowledge(c, "o1", 'a'), 202);
    assert_int_equal(c->w.master->operations.count, 1);
    const Meseta__Link__ToAgent *ack = end_next(&c->e, TO_AGENT(ACKNOWLEDGE_OPERATION));
    assert_non_null(ack);
    assert_memory_equal(ack->acknowledge_operation->operation_uuid.data, first->uuid.data, 16);
    assert_int_equal(operations_in(c, MESOS__V1__OFFER__OPERATION__TYPE__RESERVE, STATE(FINISHED)),
                     1);
    // What was made and not used is offered again at once; what is left of the rest later.
    world_pass(&c->w, 2);
    scene_end(c);
}

static void test_several_offers(void **state)
{
    (void)state;
    struct scene *c = scene_begin();
    accept(c, LAUNCH(TASK("t0", "{" SCALAR("cpus", "1") "}")));
    world_pass(&c->w, 3);
    const Mesos__V1__Offer *rest = stream_offer(&c->s);
    end_update(&c->w, &c->e, c->s.framework_id, "t0", "TASK_FINISHED", 0);
    world_pass(&c->w, 3);
    const Mesos__V1__Offer *freed = stream_offer(&c->s);
    assert_int_equal(freed->n_resources, 1);
    end_next(&c->e, TO_AGENT(RUN_TASK));
    // Both at once: the task needs parts of each.
    assert_int_equal(
        stream_call(&c->w, &c->s,
                    "\"type\":\"ACCEPT\",\"accept\":{\"offer_ids\":[{\"value\":\"%s\"},{\"value\":"
                    "\"%s\"}],\"operations\":[" RESERVE("", CPUS("4")) "," LAUNCH(
                        TASK("t", CPUS("4") ",{" SCALAR("mem", "64") "}")) "]}",
                    freed->id->value, rest->id->value),
        202);
    assert_non_null(end_next(&c->e, TO_AGENT(RUN_TASK)));
    master_check(c->w.master);
    // They are used up.
    assert_int_equal(
        stream_call(&c->w, &c->s,
                    "\"type\":\"ACCEPT\",\"accept\":{\"offer_ids\":[{\"value\":\"%s\"}],"
                    "\"operations\":[" RESERVE(ID("late"), CPUS("1")) "]}",
                    rest->id->value),
        202);
    expect_status(c, "late", STATE(ERROR),
                  arena_printf(c->w.arena,
                               "Operation attempted with invalid offers: Offer %s is no longer "
                               "valid",
                               rest->id->value));
    scene_end(c);
}

static void test_nobody_waits(void **state)
{
    (void)state;
    struct scene *c = scene_begin();
    accept(c, RESERVE("", CPUS("1")));
    const Meseta__Link__ToAgent__ApplyOperation *apply = applied(c);
    say(c, &apply->uuid, "OPERATION_FINISHED", 'a');
    assert_null(scene_status(c)); // it gave no id
    assert_non_null(end_next(&c->e, TO_AGENT(ACKNOWLEDGE_OPERATION)));
    assert_int_equal(c->w.master->operations.count, 0);
    // The agent did not hear that: it is told again.
    say(c, &apply->uuid, "OPERATION_FINISHED", 'a');
    assert_non_null(end_next(&c->e, TO_AGENT(ACKNOWLEDGE_OPERATION)));
    scene_end(c);
}

static void test_dropped_operations(void **state)
{
    (void)state;
    const struct {
        const char *operation;
        const char *message;
    } rows[] = {
        {RESERVE(ID("x"), "{" SCALAR("cpus", "1") "}"),
         "Resource cpus(allocated: r):1 is not dynamically reserved; on agent M-S0 at "
         "slave(1)@10.0.0.1:5051 (host)"},
        {RESERVE(ID("x"), CPUS("40")),
         "cpus(allocated: r):4; mem(allocated: r):1024; disk(allocated: r):100 does not contain "
         "cpus(allocated: r):40"},
        {"{\"id\":{\"value\":\"x\"},\"type\":\"RESERVE\"}",
         "Operation attempted with invalid resources: A RESERVE offer operation must have the "
         "Offer.Operation.reserve field set."},
        {"{\"id\":{\"value\":\"x\"},\"type\":\"RESERVE\",\"reserve\":{\"source\":[" CPUS(
             "1") "],\"resources\":[" CPUS("1") "]}}",
         "Operation attempted with invalid resources: Reservation updates are not yet implemented "
         "for the scheduler API."},
        {CREATE(ID("x"), VOLUME("v", "10")),
         "cpus(allocated: r):4; mem(allocated: r):1024; disk(allocated: r):100 does not contain "
         "disk(allocated: r)(reservations: [(DYNAMIC,r,p)]):10"},
        {DESTROY(ID("x"), VOLUME("v", "10")),
         "Persistent volumes not found; on agent M-S0 at slave(1)@10.0.0.1:5051 (host)"},
        {GROW(ID("x"), VOLUME("v", "10"), DISK("1")),
         "Invalid GROW_VOLUME operation: cpus(allocated: r):4; mem(allocated: r):1024; "
         "disk(allocated: r):100 does not contain "
         "disk(allocated: r)(reservations: [(DYNAMIC,r,p)])[v:data]:10; "
         "disk(allocated: r)(reservations: [(DYNAMIC,r,p)]):1"},
        {SHRINK(ID("x"), VOLUME("v", "10"), "1"),
         "Invalid SHRINK_VOLUME operation: cpus(allocated: r):4; mem(allocated: r):1024; "
         "disk(allocated: r):100 does not contain "
         "disk(allocated: r)(reservations: [(DYNAMIC,r,p)])[v:data]:10"},
        {"{\"id\":{\"value\":\"x\"},\"type\":\"CREATE_DISK\",\"create_disk\":{\"source\":{" SCALAR(
             "disk", "1") "},\"target_type\":\"MOUNT\"}}",
         "'source' is not managed by a resource provider; on agent M-S0 at slave(1)@10.0.0.1:5051 "
         "(host)"},
        {"{\"id\":{\"value\":\"x\"},\"type\":\"DESTROY_DISK\",\"destroy_disk\":{\"source\":"
         "{" SCALAR("disk",
                    "1") ",\"provider_id\":{\"value\":\"q\"},\"disk\":{\"source\":{\"type\":"
                         "\"RAW\",\"id\":\"i\"}}}}}",
         "Invalid DESTROY_DISK Operation: cpus(allocated: r):4; mem(allocated: r):1024; "
         "disk(allocated: r):100 does not contain disk(allocated: r)[RAW(,i)]:1"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct scene *c = scene_begin();
        accept(c, rows[i].operation);
        const Mesos__V1__OperationStatus *status = scene_status(c);
        assert_non_null(status);
        assert_int_equal(status->state, STATE(ERROR));
        if (strstr(rows[i].message, "RAW") == NULL)
            assert_string_equal(status->message, rows[i].message);
        else
            assert_memory_equal(status->message, rows[i].message,
                                (size_t)(strstr(rows[i].message, "[RAW") - rows[i].message));
        assert_null(status->uuid);
        assert_null(end_next(&c->e, TO_AGENT(APPLY_OPERATION)));
        assert_string_equal(total_of(c), "cpus:4; mem:1024; disk:100");
        scene_end(c);
    }
}

static void test_an_id_is_used_once(void **state)
{
    (void)state;
    struct scene *c = scene_begin();
    accept(c, RESERVE(ID("x"), CPUS("1")) "," RESERVE(ID("x"), CPUS("1")));
    assert_non_null(applied(c));
    assert_null(end_next(&c->e, TO_AGENT(APPLY_OPERATION)));
    expect_status(c, "x", STATE(ERROR), "Operation has duplicate ID: x");
    scene_end(c);
}

static void test_sizes(void **state)
{
    (void)state;
    struct scene *c = scene_begin();
    // What was resized is for the next offer; a later operation of the same ACCEPT has it not.
    accept(c, RESERVE("", DISK("50")) "," CREATE("", VOLUME("v", "10")) "," GROW(
                  "", VOLUME("v", "10"), DISK("5")) "," DESTROY(ID("x"), VOLUME("v", "15")));
    const Mesos__V1__OperationStatus *status = scene_status(c);
    assert_non_null(status);
    assert_non_null(strstr(status->message, "does not contain"));
    assert_string_equal(total_of(c), "cpus:4; mem:1024; disk:50; "
                                     "disk(reservations: [(DYNAMIC,r,p)]):35; "
                                     "disk(reservations: [(DYNAMIC,r,p)])[v:data]:15");
    world_pass(&c->w, 3);
    // Whatever was offered is held by offers again: nothing got lost.
    struct agent *a = map_get(&c->w.master->agents, "M-S0");
    struct resources *offered = resources_copy(a->offered);
    resources_unallocate(offered);
    assert_true(resources_is_equal(offered, a->total));
    resources_free(offered);
    scene_end(c);
    c = scene_begin();
    accept(c, RESERVE("", DISK("50")) "," CREATE("", VOLUME("v", "10")) "," SHRINK(
                  "", VOLUME("v", "10"), "4"));
    world_pass(&c->w, 3);
    a = map_get(&c->w.master->agents, "M-S0");
    offered = resources_copy(a->offered);
    resources_unallocate(offered);
    assert_true(resources_is_equal(offered, a->total));
    assert_int_equal(resources_scalar(offered, "disk"), 100000);
    resources_free(offered);
    scene_end(c);
}

static void test_shared_volume(void **state)
{
    (void)state;
    struct scene *c = scene_begin();
    accept(c, RESERVE("", CPUS("2") "," DISK("10")) "," CREATE("", SHARED("v", "10")) "," LAUNCH(
                  TASK("t1", CPUS("1") "," SHARED("v", "10")) "," TASK(
                      "t2", CPUS("1") "," SHARED("v", "10"))));
    // It is offered while it is in use, with what is left.
    c->offer = stream_offer(&c->s);
    assert_null(stream_next(&c->s, EVENT(UPDATE)));
    assert_non_null(end_next(&c->e, TO_AGENT(RUN_TASK)));
    assert_non_null(end_next(&c->e, TO_AGENT(RUN_TASK)));
    world_pass(&c->w, 3);
    // In use, so it cannot go.
    accept(c, DESTROY(ID("x"), SHARED("v", "10")));
    expect_status(c, "x", STATE(ERROR),
                  "Persistent volumes in use; on agent M-S0 at slave(1)@10.0.0.1:5051 (host)");
    end_update(&c->w, &c->e, c->s.framework_id, "t1", "TASK_FINISHED", 0);
    end_update(&c->w, &c->e, c->s.framework_id, "t2", "TASK_FINISHED", 0);
    master_check(c->w.master);
    world_pass(&c->w, 3);
    scene_end(c);
}

// ---- operators ----

static int operate(struct scene *c, const char *json, const char **why)
{
    ProtobufCMessage *message;
    struct error err;
    if (wire_json_decode(&mesos__v1__offer__operation__descriptor, c->w.arena, json, strlen(json),
                         &message, &err) != 0)
        fail_msg("%s", err.text);
    *why = NULL;
    int status = master_operate(c->w.master, "M-S0", (Mesos__V1__Offer__Operation *)message, "p",
                                c->w.now, why);
    if (*why != NULL)
        *why = arena_strdup(c->w.arena, *why);
    world_settle(&c->w);
    master_check(c->w.master);
    return status;
}

// It stands in two offers; both are taken back.
static void test_operators_destroy_shared(void **state)
{
    (void)state;
    struct scene *c = scene_begin();
    accept(c, RESERVE("", CPUS("2") "," DISK("10")) "," CREATE("", SHARED("v", "10")) "," LAUNCH(
                  TASK("t1", CPUS("1") "," SHARED("v", "10")) "," TASK(
                      "t2", CPUS("1") "," SHARED("v", "10"))));
    stream_offer(&c->s); // of the rest
    end_update(&c->w, &c->e, c->s.framework_id, "t1", "TASK_FINISHED", 0);
    end_update(&c->w, &c->e, c->s.framework_id, "t2", "TASK_FINISHED", 0);
    assert_int_equal(c->w.master->offers.count, 3);
    const char *why;
    assert_int_equal(operate(c, DESTROY("", SHARED("v", "10")), &why), 202);
    for (int i = 0; i < 3; i++)
        assert_non_null(stream_next(&c->s, EVENT(RESCIND)));
    const char *total = total_of(c);
    assert_null(strstr(total, "SHARED"));
    scene_end(c);
}

static void test_operators(void **state)
{
    (void)state;
    struct scene *c = scene_begin();
    const char *why;
    // The offer is taken back for it.
    assert_int_equal(operate(c, RESERVE("", CPUS("3")), &why), 202);
    assert_non_null(stream_next(&c->s, EVENT(RESCIND)));
    const Meseta__Link__ToAgent__ApplyOperation *apply = applied(c);
    assert_null(apply->framework_id);
    assert_string_equal(total_of(c), "cpus:1; mem:1024; disk:100; "
                                     "cpus(reservations: [(DYNAMIC,r,p)]):3");
    say(c, &apply->uuid, "OPERATION_FINISHED", 'a');
    assert_non_null(end_next(&c->e, TO_AGENT(ACKNOWLEDGE_OPERATION)));
    assert_int_equal(c->w.master->operations.count, 0);
    c->offer = stream_offer(&c->s);
    accept(c, LAUNCH(TASK("t", CPUS("2"))));
    // Two of the three are in use.
    assert_int_equal(operate(c, UNRESERVE("", CPUS("2")), &why), 409);
    assert_non_null(strstr(why, "does not contain cpus(reservations: [(DYNAMIC,r,p)]):2"));
    assert_int_equal(operate(c, UNRESERVE("", CPUS("1")), &why), 202);
    // Moved from one role to another.
    assert_int_equal(operate(c, RESERVE("", CPUS("1")), &why), 202);
    assert_int_equal(
        operate(
            c,
            "{\"type\":\"RESERVE\",\"reserve\":{\"source\":[" CPUS("1") "],\"resources\":[{" SCALAR(
                "cpus", "1") ",\"reservations\":[{\"type\":\"DYNAMIC\",\"role\":\"s\","
                             "\"principal\":\"p\"}]}]}}",
            &why),
        202);
    assert_non_null(strstr(total_of(c), "(DYNAMIC,s,p)]):1"));
    assert_int_equal(operate(c, RESERVE("", "{" SCALAR("cpus", "1") "}"), &why), 400);
    assert_string_equal(why, "Invalid RESERVE operation on agent M-S0 at slave(1)@10.0.0.1:5051 "
                             "(host): Resource cpus:1 is not dynamically reserved");
    assert_int_equal(operate(c, "{\"type\":\"RESERVE\"}", &why), 400);
    assert_int_equal(operate(c, RESERVE("", CPUS("30")), &why), 409);
    end_break(&c->w, &c->e);
    assert_int_equal(operate(c, UNRESERVE("", CPUS("1")), &why), 409);
    assert_string_equal(why, "Agent M-S0 is disconnected");
    scene_end(c);
}

// ---- agents that come and go ----

// The agent comes back: with the checkpointed resources and operations of those JSON lists.
static void come_back(struct scene *c, const char *checkpointed, const char *operations)
{
    c->e = (struct end){0};
    end_send(&c->w, &c->e,
             "{\"type\":\"REREGISTER\",\"reregister\":{\"agent\":{\"info\":{\"id\":{\"value\":"
             "\"M-S0\"},\"hostname\":\"host\",\"resources\":%s},\"version\":\"1.11.0\",\"pid\":"
             "\"slave(1)@10.0.0.1:5051\"," CAPABILITIES "},\"checkpointed_resources\":[%s],"
             "\"operations\":[%s]}}",
             amount(&c->w, "cpus:4;mem:1024;disk:100"), checkpointed, operations);
    snprintf(c->e.agent_id, sizeof(c->e.agent_id), "M-S0");
    assert_non_null(end_next(&c->e, TO_AGENT(REREGISTERED)));
    master_check(c->w.master);
}

static void test_lost_on_the_way(void **state)
{
    (void)state;
    struct scene *c = scene_begin();
    accept(c, RESERVE(ID("o"), CPUS("1")) "," LAUNCH(TASK("t", CPUS("1"))));
    const Meseta__Link__ToAgent__ApplyOperation *apply = applied(c);
    end_break(&c->w, &c->e);
    // Neither came through. The task holds what is not there; then it is said to be lost.
    come_back(c, "", "");
    assert_string_equal(total_of(c), "cpus:4; mem:1024; disk:100");
    struct agent *a = map_get(&c->w.master->agents, "M-S0");
    assert_true(a->unsettled);
    const Meseta__Link__ToAgent *asked = end_next(&c->e, TO_AGENT(RECONCILE_OPERATIONS));
    assert_non_null(asked);
    assert_int_equal(asked->reconcile_operations->n_uuids, 1);
    assert_memory_equal(asked->reconcile_operations->uuids[0].data, apply->uuid.data, 16);
    say(c, &apply->uuid, "OPERATION_DROPPED", 0);
    expect_status(c, "o", STATE(DROPPED), NULL);
    assert_int_equal(c->w.master->operations.count, 0);
    end_update(&c->w, &c->e, c->s.framework_id, "t", "TASK_DROPPED", 0);
    assert_false(a->unsettled);
    world_pass(&c->w, 3);
    scene_end(c);
}

static const char *operation_json(struct scene *c, const char *id, const char *framework_id,
                                  char letter)
{
    return arena_printf(
        c->w.arena,
        "{\"framework_id\":{\"value\":\"%s\"},\"info\":{\"id\":{\"value\":\"%s\"},\"type\":"
        "\"RESERVE\",\"reserve\":{\"resources\":[" CPUS(
            "1") "]}},\"latest_status\":{\"state\":"
                 "\"OPERATION_FINISHED\",\"uuid\":{\"value\":\"%s\"}},\"statuses\":[{\"state\":"
                 "\"OPERATION_FINISHED\",\"uuid\":{\"value\":\"%s\"}}],\"uuid\":{\"value\":\"%s\"}"
                 "}",
        framework_id, id, uuid_base64(&c->w, letter), uuid_base64(&c->w, letter),
        uuid_base64(&c->w, letter));
}

// A new master learns of reservations and operations from the agent.
static void test_new_master(void **state)
{
    (void)state;
    struct scene *c = mem_zalloc(sizeof(*c));
    world_begin(&c->w, NULL);
    come_back(c, CPUS("1"), operation_json(c, "o", "F", 'a'));
    assert_string_equal(total_of(c), "cpus:3; mem:1024; disk:100; "
                                     "cpus(reservations: [(DYNAMIC,r,p)]):1");
    ProtobufCBinaryData uuid = {.len = 16, .data = (uint8_t *)"aaaaaaaaaaaaaaaa"};
    // Its framework may be on its way, too.
    say(c, &uuid, "OPERATION_FINISHED", 'a');
    assert_null(end_next(&c->e, TO_AGENT(ACKNOWLEDGE_OPERATION)));
    stream_subscribe(&c->w, &c->s,
                     arena_printf(c->w.arena, FRAMEWORK, ",\"id\":{\"value\":\"F\"}"));
    say(c, &uuid, "OPERATION_FINISHED", 'a');
    expect_status(c, "o", STATE(FINISHED), NULL);
    assert_int_equal(acknowledge(c, "o", 'a'), 202);
    assert_non_null(end_next(&c->e, TO_AGENT(ACKNOWLEDGE_OPERATION)));
    assert_int_equal(c->w.master->operations.count, 0);
    scene_end(c);
}

static void test_orphans(void **state)
{
    (void)state;
    struct scene *c = mem_zalloc(sizeof(*c));
    world_begin(&c->w, NULL);
    come_back(c, CPUS("1"), operation_json(c, "o", "F", 'a'));
    ProtobufCBinaryData uuid = {.len = 16, .data = (uint8_t *)"aaaaaaaaaaaaaaaa"};
    world_pass(&c->w, 9 * 60);
    say(c, &uuid, "OPERATION_FINISHED", 'a');
    assert_null(end_next(&c->e, TO_AGENT(ACKNOWLEDGE_OPERATION)));
    world_pass(&c->w, 2 * 60);
    say(c, &uuid, "OPERATION_FINISHED", 'a');
    assert_non_null(end_next(&c->e, TO_AGENT(ACKNOWLEDGE_OPERATION)));
    assert_int_equal(c->w.master->operations.count, 0);
    scene_end(c);
    // A framework that was removed acknowledges nothing any more.
    c = scene_begin();
    accept(c, RESERVE(ID("o"), CPUS("1")) "," RESERVE(ID("p"), CPUS("1")));
    const Meseta__Link__ToAgent__ApplyOperation *first = applied(c);
    const Meseta__Link__ToAgent__ApplyOperation *second = applied(c);
    say(c, &first->uuid, "OPERATION_FINISHED", 'a');
    assert_int_equal(stream_call(&c->w, &c->s, "\"type\":\"TEARDOWN\""), 202);
    assert_non_null(end_next(&c->e, TO_AGENT(ACKNOWLEDGE_OPERATION)));
    assert_int_equal(c->w.master->operations.count, 1);
    say(c, &second->uuid, "OPERATION_FINISHED", 'b');
    assert_non_null(end_next(&c->e, TO_AGENT(ACKNOWLEDGE_OPERATION)));
    assert_int_equal(c->w.master->operations.count, 0);
    scene_end(c);
}

static void reconcile(struct scene *c, const char *operations)
{
    assert_int_equal(stream_call(&c->w, &c->s,
                                 "\"type\":\"RECONCILE_OPERATIONS\",\"reconcile_operations\":{"
                                 "\"operations\":[%s]}",
                                 operations),
                     202);
}

#define ASK(id, agent)                                                                             \
    "{\"operation_id\":{\"value\":\"" id "\"},\"agent_id\":{\"value\":\"" agent "\"}}"

static void test_reconciliation(void **state)
{
    (void)state;
    struct scene *c = scene_begin();
    accept(c, RESERVE(ID("o"), CPUS("1")));
    const Meseta__Link__ToAgent__ApplyOperation *apply = applied(c);
    reconcile(c, "");
    expect_status(c, "o", STATE(PENDING), NULL);
    say(c, &apply->uuid, "OPERATION_FINISHED", 'a');
    expect_status(c, "o", STATE(FINISHED), NULL);
    reconcile(c, ASK("o", "M-S0"));
    const Mesos__V1__OperationStatus *status = scene_status(c);
    assert_int_equal(status->state, STATE(FINISHED));
    assert_null(status->uuid);
    reconcile(c, ASK("x", "M-S0") "," ASK("x", "M-S7") ",{\"operation_id\":{\"value\":\"x\"}}");
    expect_status(c, "x", STATE(UNKNOWN), "Reconciliation: Operation is unknown");
    expect_status(c, "x", STATE(UNKNOWN), "Reconciliation: Both operation and agent are unknown");
    expect_status(c, "x", STATE(UNKNOWN),
                  "Reconciliation: Operation is unknown and no 'agent_id' was provided");
    // Marked unreachable: told at once, and when asked.
    end_break(&c->w, &c->e);
    world_pass(&c->w, 100);
    expect_status(c, "o", STATE(UNREACHABLE), "Agent was marked unreachable");
    reconcile(c, ASK("o", "M-S0"));
    expect_status(c, "o", STATE(UNREACHABLE), "Reconciliation: Agent is unreachable");
    // It comes back, and so does the operation.
    come_back(c, CPUS("1"), operation_json(c, "o", c->s.framework_id, 'a'));
    reconcile(c, ASK("o", "M-S0"));
    expect_status(c, "o", STATE(FINISHED), NULL);
    scene_end(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reserve_create_launch),
        cmocka_unit_test(test_several_offers),
        cmocka_unit_test(test_nobody_waits),
        cmocka_unit_test(test_dropped_operations),
        cmocka_unit_test(test_an_id_is_used_once),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_shared_volume),
        cmocka_unit_test(test_operators_destroy_shared),
        cmocka_unit_test(test_operators),
        cmocka_unit_test(test_lost_on_the_way),
        cmocka_unit_test(test_new_master),
        cmocka_unit_test(test_orphans),
        cmocka_unit_test(test_reconciliation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
